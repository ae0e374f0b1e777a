"""Sums over all places but one, for every place in one go: sum(b[j] for j != i).

    A = sum(|b|)    B = sum(b)    U = sum(b where |b| <= 3*A/4)

    T[i] = U where |b[i]| > 3*A/4, else B - b[i]

At most one b is that large, and without it the sum is U. Of any other b at least a quarter of A is left when
it is taken from B: that is as right as adding up the others is.

Beside sums of squares x*x, those of products x*y are told apart by x*x, too: they stand beside y[i] times the
others' squares (`grad.norms`), to which it matters little what is lost of x[i]*x[i]*y[i].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import conjunction, conjuncts
from symgrad.ir.signs import is_never_negative
from symgrad.ir.stability.patterns import all_factors, quotient_of
from symgrad.opt.rebuild import Copy, copy_with
from symgrad.records import dataclass

_MOST = Fraction(3, 4)  # half of it would do without rounding


@dataclass(frozen=True)
class Others:
    """sum over `red` of [not all of red = places] * value(red), over axes of the result."""

    places: dict[Node, Node]
    value: Node


def sums_of_others(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """The definitions with such sums in linear time."""
    below = g.definitions_below(roots)
    if not any(others_in(g, t) for t in below):
        return g, {t: t for t in below}
    squares: dict[Node, Node] = {}  # in the new graph: x and the squares c*x*x, over axes of nothing else

    def on_tensor(copy: Copy, t: TensorId) -> TensorId | None:
        if others_in(g, t) is None:
            return None
        made = copy.tensor(t)
        found = others_in(copy.new, made)
        return made if found is None else _in_one_go(copy.new, made, found, squares)

    return copy_with(g, roots, on_tensor)


def others_in(g: Graph, t: TensorId) -> Others | None:
    tensor = g.tensors[t]
    if tensor.kind != "sum" or not tensor.out or g.op[tensor.body] != "mask":
        return None
    predicate, value = g.args[tensor.body]
    parts = conjuncts(g, predicate)
    for p in parts:
        places = _places(g, g.args[p][0]) if g.op[p] == "not" else None
        if places is None or {*places} != {*tensor.red} or not {*places.values()} <= {*tensor.out}:
            continue
        rest = g.mask(conjunction(g, [q for q in parts if q != p]), value)
        if g.axes[rest].isdisjoint(places.values()):
            return Others(places, rest)
    return None


def _places(g: Graph, here: Node) -> dict[Node, Node] | None:
    """The axes that a conjunction of equations says are equal, the ones that come later in loops first."""
    found: dict[Node, Node] = {}
    for p in conjuncts(g, here):
        constant, terms = g.linear(g.args[p][0]) if g.op[p] == "ieq" else (1, {})
        axes = sorted(terms, key=g.order_key)
        if constant or len(axes) != 2 or sum(terms.values()) or any(g.op[a] != "axis" for a in axes):
            return None
        if g.extent(axes[0]) != g.extent(axes[1]) or abs(terms[axes[0]]) != 1:
            return None
        found[axes[1]] = axes[0]
    return found


def _in_one_go(g: Graph, t: TensorId, others: Others, squares: dict[Node, Node]) -> TensorId:
    tensor, value = g.tensors[t], others.value
    out = [a for a in tensor.out if a not in others.places.values()]
    size = _size(g, others, squares)

    def total(body: Node) -> Node:
        axes = [a for a in out if a in g.axes[body]]
        return g.read(g.define("sum", axes, tensor.red, body), *axes)

    is_main = g.node("lt", g.mul(g.const(_MOST), _total_of_sizes(g, size, total)), size)
    without = total(g.intern("where", (is_main, g.zero, value)))
    whole = _total_of_sizes(g, value, total)
    here_is_main, own = (g.substitute(n, others.places) for n in (is_main, value))
    return g.define("map", tensor.out, (), g.where(here_is_main, without, g.sub(whole, own)))


def _size(g: Graph, others: Others, squares: dict[Node, Node]) -> Node:
    """What says how much of a sum each of its terms is."""
    common = {a: g.axis(-1 - k, g.extent(a)) for k, a in enumerate(others.places)}
    value = g.substitute(others.value, common)
    sides = _sides_in(g, value)
    back = {there: here for here, there in common.items()}
    if is_never_negative(g, value):
        squares.update((x, value) for x in sides if sides.count(x) == 2)
        return others.value
    square = next((squares[x] for x in sides if x in squares), None)
    return g.node("abs", others.value) if square is None else g.substitute(square, back)


def _sides_in(g: Graph, value: Node) -> list[Node]:
    """The sides of norms among the factors of a product, also where they are over the norm, or stored so."""
    if g.op[value] == "read" and g.tensors[g.args[value][0]].kind == "map":
        t, *index = g.args[value]
        value = g.substitute(g.tensors[t].body, dict(zip(g.tensors[t].out, index, strict=True)))
    factors = [g.args[f][0] if g.op[f] == "norm_cosine" else f for f in all_factors(g, value)[0]]
    return [f for f in factors if g.op[f] == "scaled"]


def _total_of_sizes(g: Graph, size: Node, total: Callable[[Node], Node]) -> Node:
    """The sum of what is known to be a norm's squares is there already, scaled where it has to be."""
    above, below = all_factors(g, size)
    powers = {g.args[f][1] for f in above if g.op[f] == "scaled"}
    if len(powers) != 1 or not is_never_negative(g, size):
        return total(size)
    (s,) = powers
    plain = quotient_of(g, [g.args[f][0] if g.op[f] == "scaled" else f for f in above], below)
    is_out = g.node("out_of_range", s)
    return g.where(is_out, total(g.mask(is_out, size)), total(plain))
