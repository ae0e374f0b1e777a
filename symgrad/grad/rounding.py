"""Running error analysis: beside every value a bound of the rounding error it is computed with.

Forward mode with absolute values. For a value y = f(a, b) that an op computes to k last places

    err(y) = |df/da| err(a) + |df/db| err(b) + 2 k u (|y| + s)

with u half the spacing of the numbers at 1, to first order in u, and s the smallest normal number: below it
a result is off by a part of s, and may be 0 (additions are exact there, and so are, down to s, products by
powers of two). All bounds are kept in units of u until
they are results. Inputs and integers are exact; a constant that is no number of the type is off by one
rounding. A sum of n terms, in whatever order a loop adds them, is off by (n - 1) u times the sum of their
moduli. Errors of one origin that reach a value on two ways are added, though they may cancel. What a branch
or a maximum does not take has no part; that the other side was taken by an error of a condition is not seen.
Underflow inside of a product over an index or of a matrix function is not seen either.
Source: Higham 2002, Accuracy and Stability of Numerical Algorithms, sections 3.1, 3.3 and 4.2; for
log-sum-exp, which is computed as the largest exponent and the rest (`opt.logsumexp`), Blanchard, Higham &
Higham 2021, section 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from symgrad.grad.recurrence import tangents
from symgrad.grad.rounding_matrix import matrix_error
from symgrad.grad.rules import weight
from symgrad.grad.store import stored
from symgrad.grad.sweep import partials
from symgrad.ir.graph import EPSILON, SMALLEST, Graph, Node, TensorId
from symgrad.ir.last_places import OSCILLATING, is_power_of_two, is_representable, last_places
from symgrad.ir.matrix.call import over, taken_apart
from symgrad.ir.matrix.functions import MATRIX_FUNCTIONS
from symgrad.ir.ops import OPS
from symgrad.ir.reduce import conjunction, count, reduce
from symgrad.ir.scan import frontier, is_scan, outer_definitions, scan_of
from symgrad.ir.series.laurent import ROWS as REMOVABLE
from symgrad.ir.series.removable import near_point

Bound = tuple[tuple[Node, ...], Node]  # (one axis per axis of the tensor, expression over them)

Mark = tuple[str, int]  # ("node", a node) or ("tensor", a definition)

_SINGLE_BITS, _DOUBLE_BITS = 24, 53
_BETWEEN = Fraction(1, 1 << 40)  # of the spacings at 1 of the two types
_POSITIVE = frozenset(
    ("abs", "exp", "sqrt", "hypot", "norm", "logistic", "share", "share_of_others", "softplus", "sech")
)
_PER_TERM, _BESIDES = 2, 6  # roundings of a log-sum-exp of n terms, its last addition aside: n + 3 log(n) + 4


class Rounding:
    """Bounds of the rounding errors of tensors, in units of u; made on demand, once each.

    bounds  those that are given; None for what is exact.
    marks   factors of the bounds of some nodes and sums: what a bound owes to one is its slope by the factor.
    """

    def __init__(
        self, g: Graph, bounds: Mapping[TensorId, Bound | None] = {}, marks: Mapping[Mark, Node] = {}
    ) -> None:
        self.g = g
        self.bounds: dict[TensorId, Bound | None] = dict(bounds)
        self.marks = marks
        self.smallest = g.const(SMALLEST[1])
        self._moduli: dict[Node, Node] = {}
        self._shifted: dict[TensorId, Bound] = {}  # of log-sum-exps without their last addition

    def result(self, t: TensorId) -> TensorId:
        """A tensor like `t`: the bounds of its entries as they are, not in units of u."""
        g, tensor, u = self.g, self.g.tensors[t], unit(self.g)
        self._frontier_of(t)
        if tensor.kind == "enum" and t not in self.bounds:
            found = self._pushed(tensor.bodies)
            return g.define("enum", tensor.out, (), [g.mul(u, found.get(b, g.zero)) for b in tensor.bodies])
        bound = self.tensor(t)
        axes, body = bound or (tuple(g.fresh_axis(e) for e in tensor.extents), g.zero)
        return g.define("map", axes, (), g.mul(u, body))

    def tensor(self, t: TensorId) -> Bound | None:
        """The bound of a tensor, None where it is exact."""
        for s in outer_definitions(self.g, (t,)):
            self._one(s)
        return self.bounds[t]

    def _frontier_of(self, t: TensorId) -> None:
        for s in outer_definitions(self.g, (t,)):
            if s != t:
                self._one(s)

    def _one(self, t: TensorId) -> None:
        if t in self.bounds:
            return
        if is_scan(self.g, t):
            self._scan(t)
        else:
            self.bounds[t] = self._definition(t)

    # ---- definitions -----------------------------------------------------------------------

    def _definition(self, t: TensorId) -> Bound | None:
        g, tensor = self.g, self.g.tensors[t]
        if tensor.kind in ("input", "state"):
            return None
        errors = self._pushed(tensor.bodies)
        if tensor.kind == "enum":
            return self._enum(t, [errors.get(b, g.zero) for b in tensor.bodies])
        if tensor.kind == "call":
            return self._call(t, [errors.get(b) for b in tensor.bodies])
        if tensor.kind == "scatter":
            return self._scatter(t, errors)
        value = errors.get(tensor.body, g.zero) if tensor.kind == "map" else self._reduced(t, errors)
        value = self._marked(("tensor", t), value)
        return None if value == g.zero else (tensor.out, stored(g, tensor.out, value))

    def _reduced(self, t: TensorId, errors: Mapping[Node, Node]) -> Node:
        g, tensor = self.g, self.g.tensors[t]
        body, here = tensor.body, g.read(t, *tensor.out)
        error, terms = errors.get(body, g.zero), self._count(tensor.red)
        further = g.cast(g.isub(terms, g.one))
        if tensor.kind == "sum":
            total = reduce(g, "sum", tensor.red, self._added(errors, body, further))
            return (
                g.add(total, g.mul(g.cast(terms), self.smallest))
                if self._is_joined(_unguarded(g, body)[0])
                else total
            )
        if tensor.kind == "prod":
            others = self._modulus(weight(g, t, g.one))
            carried = reduce(g, "sum", tensor.red, g.mul(error, others))
            return g.add(carried, g.mul(further, self._modulus(here)))
        carried = reduce(g, "sum", tensor.red, weight(g, t, error))
        if tensor.kind != "logsumexp":
            return carried
        own = g.add(g.mul(g.const(_PER_TERM), count(g, terms)), g.const(_BESIDES))
        self._shifted[t] = tensor.out, stored(g, tensor.out, g.add(carried, own))
        return g.add(self._shifted[t][1], self._modulus(here))

    def _count(self, axes: Sequence[Node]) -> Node:
        g, total = self.g, self.g.one
        for axis in axes:
            total = g.imul(total, g.extent(axis))
        return total

    def _scatter(self, t: TensorId, errors: Mapping[Node, Node]) -> Bound:
        """As a sum, of as many terms as meet in a place."""
        g, tensor = self.g, self.g.tensors[t]

        def spread(body: Node) -> Node:
            body = g.mask(guard, body)
            if body == g.zero:
                return body
            return g.read(g.define("scatter", (), tensor.red, body, tensor.target, tensor.extents), *axes)

        axes = tuple(g.fresh_axis(e) for e in tensor.extents)
        guard = g.args[tensor.body][0] if g.op[tensor.body] == "mask" else g.true
        additions = g.mul(spread(g.one), spread(self._modulus(tensor.body)))
        return axes, g.add(spread(errors.get(tensor.body, g.zero)), additions)

    def _enum(self, t: TensorId, errors: list[Node]) -> Bound:
        g, tensor = self.g, self.g.tensors[t]
        whole = g.define("enum", tensor.out, (), errors)
        entry = g.fresh_axis(tensor.extents[0])
        return (entry, *tensor.out), g.read(whole, entry, *tensor.out)

    def _call(self, t: TensorId, errors: Sequence[Node | None]) -> Bound | None:
        g, tensor, row = self.g, self.g.tensors[t], MATRIX_FUNCTIONS[self.g.tensors[t].name]
        parts = taken_apart(g, t, row.ranks, len(row.result))
        given = [None if e is None else over(g, axes, e) for axes, e in zip(parts.axes, errors, strict=True)]
        value = matrix_error(parts, given, self._modulus)
        return None if value is None else (tensor.out, stored(g, tensor.out, value.at(*parts.places)))

    def _scan(self, t: TensorId) -> None:
        """The bound of a state is one more state."""
        scan = scan_of(self.g, t)
        outside = {s: self.tensor(s) for s in frontier(self.g, scan)}

        def push(bounds: Mapping[TensorId, Bound | None], step: TensorId) -> Bound | None:
            return Rounding(self.g, bounds, self.marks).tensor(step)

        self.bounds.update(tangents(self.g, scan, outside, push, range(len(scan.states))))

    # ---- expressions -----------------------------------------------------------------------

    def _pushed(self, bodies: Sequence[Node]) -> dict[Node, Node]:
        """The bounds of the nodes below `bodies` that are not exact."""
        errors: dict[Node, Node] = {}
        for n in _arguments_first(self.g, bodies):
            error = self._marked(("node", n), self._node(n, errors))
            if error != self.g.zero:
                errors[n] = error
        return errors

    def _marked(self, place: Mark, error: Node) -> Node:
        mark = self.marks.get(place)
        return error if mark is None else self.g.mul(mark, error)

    def _node(self, n: Node, errors: Mapping[Node, Node]) -> Node:
        g, op, args = self.g, self.g.op[n], self.g.args[n]
        if op == "read":
            return self._at(n)
        if op == "const":
            return self._constant(n)
        if op in ("where", "mask"):
            arms = [errors.get(a, g.zero) for a in args[1:]]
            return _selected(g, args[0], arms)
        if op in ("maximum", "minimum"):
            first, second = (errors.get(a, g.zero) for a in args)
            ordered = args if op == "minimum" else args[::-1]
            return first if first == second else _selected(g, g.node("le", *ordered), [first, second])
        if op in REMOVABLE:
            return self._removable(n, errors)
        if op in ("mul", "div"):
            total = self._product(n, errors, g.one)
            return total if self._is_scaling(n) else g.add(total, self.smallest)
        if op in ("add", "sub") and any(self._is_shifted(a) for a in args):
            return self._beside_logsumexp(n, errors)
        return self._of_op(n, errors)

    def _of_op(self, n: Node, errors: Mapping[Node, Node]) -> Node:
        """What arguments' errors become, and so many of the op's own last places."""
        g, op, total = self.g, self.g.op[n], self.g.zero
        for error in self._carried(n, errors):
            total = g.add(total, error)
        own = Fraction(2 * last_places(op)).limit_denominator(1 << 20) if op in OPS else 0
        return g.add(total, g.mul(g.const(own), g.add(self._size(n), self.smallest))) if own else total

    def _removable(self, n: Node, errors: Mapping[Node, Node]) -> Node:
        """That of a row near the point; of the formula away from it, where it may be singular, too."""
        g, away = self.g, self.g.args[n][-1]
        return _selected(g, near_point(g, n), [self._of_op(n, errors), errors.get(away, g.zero)])

    def _size(self, n: Node) -> Node:
        """|f(x)|, and |x f'(x)| more for a function whose last places are those of its amplitude."""
        g, args = self.g, self.g.args[n]
        slope = OPS[g.op[n]].partials[-1] if g.op[n] in OSCILLATING else None
        if slope is None:
            return self._modulus(n)
        return g.add(self._modulus(n), self._modulus(g.mul(args[-1], slope(g, args, n))))

    def _carried(self, n: Node, errors: Mapping[Node, Node]) -> Iterable[Node]:
        """What the arguments' errors become; that of an exact argument is 0 where the slope is infinite."""
        g = self.g
        if not any(a in errors for a in g.arguments[n]):
            return
        for a, part in partials(g, n, errors):
            error = errors[a]
            if g.op[n] in ("add", "sub", "neg", "abs"):
                yield error
            else:
                moved = g.mul(self._modulus(part), error)
                is_safe = g.op[error] == "const" or OPS[g.op[n]].total
                yield moved if is_safe else g.mask(g.node("ne", error, g.zero), moved)

    def _is_shifted(self, n: Node) -> bool:
        return self.g.op[n] == "read" and self.g.args[n][0] in self._shifted

    def _beside_logsumexp(self, n: Node, errors: Mapping[Node, Node]) -> Node:
        """x - L where L = m + l is kept in two parts: (x - m) - l, and |x - m| <= |x - L| + l."""
        g, args = self.g, self.g.args[n][::-1]
        apart, other = args if self._is_shifted(args[0]) else args[::-1]
        error = self._placed(self._shifted[g.args[apart][0]], g.args[apart][1:])
        return g.add(g.add(errors.get(other, g.zero), error), g.mul(g.const(2), self._modulus(n)))

    def _product(self, n: Node, errors: Mapping[Node, Node], roundings: Node) -> Node:
        """Of a product or a quotient that is rounded so many times; none if by a power of two."""
        g, op, (a, b) = self.g, self.g.op[n], self.g.args[n]
        exact = [is_power_of_two(g.rational(x)) for x in (a, b)]
        first, second = errors.get(a, g.zero), errors.get(b, g.zero)
        if op == "div":
            if second == g.zero and exact[1]:
                return g.div(first, self._modulus(b))
            if second == g.zero:
                return g.add(g.div(first, self._modulus(b)), g.mul(roundings, self._modulus(n)))
            beside = g.mul(self._modulus(n), g.add(second, g.mul(roundings, self._modulus(b))))
            return g.div(g.add(first, beside), self._modulus(b))
        if any(exact):
            by, error = (a, second) if exact[0] else (b, first)
            return g.mul(self._modulus(by), error)
        if second == g.zero:
            a, b, first, second = b, a, second, first
        total = g.mul(self._modulus(a), g.add(second, g.mul(roundings, self._modulus(b))))
        return total if first == g.zero else g.add(total, g.mul(self._modulus(b), first))

    def _added(self, errors: Mapping[Node, Node], body: Node, further: Node) -> Node:
        """The bound of a term of a sum with its part in the additions: so many more roundings of its own."""
        g = self.g
        body, guards = _unguarded(g, body)
        if self._is_joined(body):
            total = self._product(body, errors, g.add(further, g.one))
        else:
            total = g.add(errors.get(body, g.zero), g.mul(further, self._modulus(body)))
        return g.mask(conjunction(g, guards), total) if guards else total

    def _is_joined(self, n: Node) -> bool:
        """Whether a term of a sum is a product whose rounding is counted with those of the additions."""
        return self.g.op[n] == "mul" and not self._is_scaling(n) and ("node", n) not in self.marks

    def _is_scaling(self, n: Node) -> bool:
        """Whether a product or a quotient is one by a power of two."""
        g, (a, b) = self.g, self.g.args[n]
        return is_power_of_two(g.rational(b)) or (g.op[n] == "mul" and is_power_of_two(g.rational(a)))

    def _modulus(self, n: Node) -> Node:
        """|n|; of factors over different axes the product of moduli: sums of them are contractions."""
        g, stack = self.g, [n]
        while stack:
            m = stack[-1]
            parts = [] if m in self._moduli else _apart(g, m)
            todo = [p for p in parts if p not in self._moduli]
            stack.extend(todo)
            if todo:
                continue
            stack.pop()
            if m not in self._moduli:
                self._moduli[m] = _joined(g, m, [self._moduli[p] for p in parts])
        return self._moduli[n]

    def _at(self, read: Node) -> Node:
        """The bound of what a read reads."""
        g, (t, *index) = self.g, self.g.args[read]
        bound = self.bounds[t]
        if bound is None or g.kind[read] != "real":
            return g.zero
        return self._placed(bound, index)

    def _placed(self, bound: Bound, index: Sequence[Node]) -> Node:
        axes, value = bound
        return self.g.substitute(value, dict(zip(axes, index, strict=True)))

    def _constant(self, n: Node) -> Node:
        """0 for a number of the type; what single precision rounds may be exact in double."""
        g, q = self.g, self.g.rational(n)
        if g.args[n][0] == "f" or g.args[n] in (EPSILON, SMALLEST):
            return g.zero
        if q is None:
            return n
        if is_representable(q, _SINGLE_BITS):
            return g.zero
        size = g.const(abs(q))
        is_double = g.node("lt", g.const(EPSILON[1]), g.const(_BETWEEN))
        return g.where(is_double, g.zero, size) if is_representable(q, _DOUBLE_BITS) else size


def unit(g: Graph) -> Node:
    """u: half the spacing of the type's numbers at 1."""
    return g.mul(g.const(Fraction(1, 2)), g.const(EPSILON[1]))


def _unguarded(g: Graph, body: Node) -> tuple[Node, list[Node]]:
    """A term without its guards and its sign, and the guards."""
    guards = []
    while g.op[body] in ("mask", "neg"):
        if g.op[body] == "mask":
            guards.append(g.args[body][0])
        body = g.args[body][-1]
    return body, guards


def _apart(g: Graph, n: Node) -> tuple[Node, ...]:
    """The parts whose moduli make that of a node."""
    args = g.args[n]
    if g.op[n] in ("mul", "div"):
        return args if g.axes[args[0]] != g.axes[args[1]] else ()
    return args[-1:] if g.op[n] in ("neg", "mask") else ()


def _joined(g: Graph, n: Node, parts: Sequence[Node]) -> Node:
    op, args = g.op[n], g.args[n]
    if not parts:
        q = g.rational(n)
        if q is not None:
            return g.const(abs(q))
        is_positive = op in _POSITIVE or (op == "mul" and args[0] == args[1])
        return n if is_positive else g.node("abs", n)
    if op == "neg":
        return parts[0]
    return g.mask(args[0], parts[0]) if op == "mask" else g.node(op, *parts)


def _selected(g: Graph, predicate: Node, arms: Sequence[Node]) -> Node:
    first, second = (*arms, g.zero)[:2]
    if first == second:
        return first if len(arms) == 2 else g.mask(predicate, first)
    if second == g.zero:
        return g.mask(predicate, first)
    if first == g.zero:
        return g.mask(g.node("not", predicate), second)
    return g.where(predicate, first, second)


def _arguments_first(g: Graph, bodies: Sequence[Node]) -> list[Node]:
    """The real nodes below `bodies`, ascending, without conditions and what is only a form of an argument."""
    seen: set[Node] = set()
    stack = [b for b in bodies if g.kind[b] in ("real", "const")]
    while stack:
        n = stack.pop()
        if n in seen:
            continue
        seen.add(n)
        if g.op[n] == "read":
            continue
        row = OPS.get(g.op[n])
        used = g.arguments[n][: -row.formulas] if row is not None and row.formulas else g.arguments[n]
        used = (*used, g.arguments[n][-1]) if g.op[n] in REMOVABLE else used
        stack.extend(a for a in used if g.kind[a] in ("real", "const"))
    return sorted(seen)
