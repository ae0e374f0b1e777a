"""The kinks of a program: which function has one, of which argument, where, and what its derivative is there.

`P.kinks` lists them, `explain` prints them, and `verify` asks which of them a point is on. The convention
itself is in `symgrad.ir.kinks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

from symgrad.errors import UnsupportedExpression
from symgrad.frontend.to_sympy import node_to_sympy
from symgrad.frontend.translate import Translation
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.kinks import arguments_of, slope_of_abs_at_zero, tie_goes_to
from symgrad.ir.ops import OPS
from symgrad.ir.signs import is_root_at_least_value
from symgrad.records import dataclass

_RELATIONS = ("lt", "le", "eq", "ne")
_TIE = {
    "first": "a tie goes to the first one",
    "last": "a tie goes to the last one",
    "all": "a tie is shared equally",
}
_ANY_VECTORS = "derivative 0, or u*v' for some unit vectors u and v where it is 0 but for rounding"
_JUMP = "a jump, which adds nothing to the slope"


@dataclass(frozen=True)
class Kink:
    """One place where a program's derivative jumps.

    function    the kinked function as SymPy calls it; "Piecewise" for a relation that chooses, "Maximum" and
                "Minimum" for the extreme entry of an array, "svdvals" for singular values.
    where       the place, in words about its arguments.
    derivative  what is taken there, under the program's convention.
    tensor      the definition it stands in, and `nodes` its arguments there.
    """

    function: str
    where: str
    derivative: str
    tensor: TensorId
    nodes: tuple[Node, ...]
    _translation: Translation = field(repr=False, compare=False)

    @property
    def is_jump(self) -> bool:
        """Whether the value itself jumps there, and not only the derivative."""
        return self.derivative.endswith(_JUMP)

    @property
    def is_free(self) -> bool:
        """Whether any of many derivatives may be taken there: no convention says which."""
        return self.derivative == _ANY_VECTORS

    @property
    def arguments(self) -> tuple[Any, ...]:
        """The arguments as SymPy; raises UnsupportedExpression if they are too large to write down."""
        tr = self._translation
        symbols = {t: s for s, t in tr.inputs.items()}
        found = []
        for node in self.nodes:
            axes = sorted(tr.graph.axes[node], key=tr.graph.order_key)
            value = node_to_sympy(tr.graph, node, axes, symbols, tr.sizes, prefer="index")
            found.append(value.expr if axes else value)
        return tuple(found)

    def __str__(self) -> str:
        try:
            names = [str(argument) for argument in self.arguments]
        except UnsupportedExpression:
            return f"{self.function} of a large expression: {self.derivative}"
        named = dict(zip("ab", names, strict=False))
        call = "" if self.function == "Piecewise" else f"({', '.join(names)})"
        return f"{self.function}{call} where {self.where.format(**named)}: {self.derivative}"


def kinks_of(translation: Translation) -> tuple[Kink, ...]:
    """Every kink of a program's value, in the order its definitions are computed."""
    g = translation.graph
    found: dict[Kink, None] = {}
    order = g.definitions_below((translation.value,))
    constant = _constant_for_derivatives(g, order)
    for t in order:
        for kink in () if t in constant else _kinks_in(translation, t):
            found[kink] = None
    return tuple(found)


def _constant_for_derivatives(g: Graph, order: Sequence[TensorId]) -> set[TensorId]:
    """The definitions that are only read for anchors, as the largest score of a softmax."""
    differentiated, others = set[TensorId](), set[TensorId]()
    for t in reversed(order):
        bodies = g.tensors[t].bodies
        below = g.reachable(bodies)
        smooth = _differentiated(g, below, bodies) if t not in others - differentiated else set[Node]()
        for n in g.reads(bodies):
            (differentiated if n in smooth else others).add(g.args[n][0])
    return others - differentiated


def _kinks_in(tr: Translation, t: TensorId) -> Iterator[Kink]:
    g, tensor = tr.graph, tr.graph.tensors[t]
    below = g.reachable(tensor.bodies)
    inner = {op: {c for n in below if g.op[n] == op for c in g.args[n]} for op in ("maximum", "minimum")}
    choosing = {p for n in below if g.op[n] in ("where", "mask") for p in g.reachable((g.args[n][0],))}
    varies: set[Node] = set()
    differentiated = _differentiated(g, below, tensor.bodies)
    for n in below:
        op = g.op[n]
        if n not in differentiated:
            continue
        if op == "read" or not varies.isdisjoint(g.arguments[n]):
            varies.add(n)
        if n not in varies or n in inner.get(op, ()):
            continue  # a number, or part of a maximum of more arguments
        if op in _RELATIONS:
            if n in choosing and any(g.rational(a) is None for a in g.args[n]):
                yield _relation(tr, t, g.args[n])
        elif op in _DESCRIBED:
            described = _DESCRIBED[op](g, n)
            if described is not None:
                where, derivative, nodes = described
                name = OPS[op].sympy or op
                yield Kink(name, where, derivative, t, nodes, tr)
    if tensor.kind == "call" and tensor.name == "singular_values":
        yield Kink("svdvals", "a singular value is 0", _ANY_VECTORS, t, tensor.bodies, tr)
    if tensor.kind in ("max", "min"):
        name = "Maximum" if tensor.kind == "max" else "Minimum"
        place = "its two extreme entries are equal"
        yield Kink(name, place, _TIE[tie_goes_to(g.kinks, tensor.kind)], t, tensor.bodies, tr)


def _differentiated(g: Graph, below: Sequence[Node], roots: Sequence[Node]) -> set[Node]:
    """The nodes but what is only below anchors, and the roots that are values alone (`radial.py`).

    As in cos(sqrt(s)), which is smooth in s.
    """
    seen = set(roots)
    for n in reversed(below):
        if n in seen and g.op[n] != "anchor":
            seen.update(g.args[n][1:2] if g.op[n].startswith("radial_") else g.children(n))
    return seen


def _relation(tr: Translation, t: TensorId, sides: tuple[Node, Node]) -> Kink:
    """A < b, a <= b and b < a have one knot between them."""
    a, b = sorted(sides, key=lambda side: (tr.graph.op[side] == "const", side))
    return Kink("Piecewise", "{a} = {b}", "slope of the arm that is taken", t, (a, b), tr)


Described = tuple[str, str, tuple[Node, ...]]
Describe = Callable[[Graph, Node], "Described | None"]


def _abs(g: Graph, n: Node) -> Described:
    return "{a} = 0", f"slope {slope_of_abs_at_zero(g.kinks)}", g.args[n]


def _extremum(g: Graph, n: Node) -> Described:
    nodes = tuple(arguments_of(g, n))
    where = "{a} = {b}" if len(nodes) == 2 else "the extreme ones are equal"
    return where, _TIE[tie_goes_to(g.kinks, g.op[n])], nodes


def _root(g: Graph, n: Node) -> Described | None:
    return ("{a} = 0", "derivative 0", g.args[n]) if is_root_at_least_value(g, n) else None


def _length(g: Graph, n: Node) -> Described | None:
    """At the origin, where no side is a number other than 0."""
    is_apart = any(g.rational(side) for side in g.args[n])
    return None if is_apart else ("{a} = {b} = 0", "derivative 0", g.args[n])


def _says(where: str, derivative: str) -> Describe:
    return lambda g, n: (where, derivative, g.args[n])


_DESCRIBED: Mapping[str, Describe] = {
    "abs": _abs,
    "maximum": _extremum,
    "minimum": _extremum,
    "sqrt": _root,
    "norm": lambda g, n: ("{a} = 0", "derivative 0", g.args[n][1:2]),
    "pow": _root,
    "hypot": _length,
    "atan2": _says(
        "{a} = {b} = 0 or ({a} = 0 and {b} < 0)", "derivative 0 at the origin; elsewhere " + _JUMP
    ),
    "sign": _says("{a} = 0", _JUMP),
    "floor": _says("{a} is an integer", _JUMP),
    "ceil": _says("{a} is an integer", _JUMP),
    "mod": _says("{a} is a multiple of {b}", _JUMP),
    "fmod": _says("{a} is a multiple of {b}", _JUMP),
}


def kink_texts(kinks: Sequence[Kink], most: int) -> tuple[str, ...]:
    """The first `most` as lines, and a line that counts the others."""
    lines = dict.fromkeys(str(kink) for kink in kinks[:most])
    more = len(kinks) - most
    return (*lines, f"and {more} more") if more > 0 else tuple(lines)
