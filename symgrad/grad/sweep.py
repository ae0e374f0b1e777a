"""Scalar sweeps over the body of a definition: the chain rule on a shared graph, both ways.

Sources: Griewank & Walther 2008, Evaluating Derivatives, chapter 3.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from fractions import Fraction

from symgrad.errors import UnsupportedExpression
from symgrad.grad.composed import COMPOSED, composed_slopes
from symgrad.grad.shares import groups, mean_tangent, pull_together
from symgrad.ir.decay import within
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.op import Opposite
from symgrad.ir.ops import OPS
from symgrad.ir.reduce import conjunction, conjuncts
from symgrad.ir.rules import MINUS_ONE, MULTIPLE, UNITS, ZERO, is_small
from symgrad.ir.stability.anchors import without_masked
from symgrad.ir.stability.patterns import factors_of, quotient_of, remove

Number = int | Fraction
Scaled = tuple[Node, Number]  # a node, and what it is to be multiplied by
_HAVE_SIGNS = frozenset(("sub", "mask", "const", ZERO, *UNITS))  # forms that hold one inside
_NUMBERS = ("const", MINUS_ONE)
_HAVE_NUMBERS = frozenset(("neg", MULTIPLE))  # forms with a number on top
_HAVE_EITHER = _HAVE_SIGNS | _HAVE_NUMBERS


def active_nodes(g: Graph, roots: Iterable[Node], active: frozenset[TensorId]) -> list[Node]:
    """Nodes below `roots` whose value depends on a tensor in `active`, ascending."""
    alive: set[Node] = set()
    order = []
    ops, kinds, arguments = g.op, g.kind, g.arguments
    for n in g.reachable(roots):
        if ops[n] == "read":
            is_alive = g.args[n][0] in active
        else:
            is_alive = kinds[n] == "real" and not alive.isdisjoint(arguments[n])
        if is_alive:
            alive.add(n)
            order.append(n)
    return order


def pullback(
    g: Graph, seeds: Mapping[Node, Node], active: frozenset[TensorId], leaves: Container[Node] = ()
) -> dict[Node, Node]:
    """Cotangents of every read below the seeds' keys; `seeds` maps a node to its cotangent.

    leaves  nodes that are taken as if they were read.

    Each node is visited once; a partial derivative is built once per active argument. Signs and numbers are
    carried beside the cotangents: most signs cancel, or end in a difference, and a number that comes early
    would be moved outwards of every product on the way.
    """
    order = active_nodes(g, seeds, active)
    alive = set(order)
    cotangent = {n: scaled(g, bar) for n, bar in seeds.items() if n in alive}
    reads: dict[Node, Node] = {}
    together, bars = groups(g, order), dict[Node, Node]()
    ops, zero, one = g.op, g.zero, g.one
    nothing = zero, 1
    for n in reversed(order):
        bar, number = cotangent.pop(n, nothing)
        if n in together:
            bars[n] = whole(g, bar, number)
            group = together[n]
            for argument, value in pull_together(g, group, bars, alive) if n == group.last else ():
                old, new = cotangent.get(argument), scaled(g, value)
                cotangent[argument] = new if old is None else _joined(g, argument, old, new)
            continue
        if bar == zero:
            continue
        if ops[n] == "read" or n in leaves:
            reads[n] = whole(g, bar, number)
            continue
        for argument, part, sign in signed_slopes(g, n, alive):
            if part != one:
                new = _times(g, bar, number, part, sign)
            else:
                new = (bar, number) if sign == 1 else scaled(g, bar, -number)
            old = cotangent.get(argument)
            cotangent[argument] = new if old is None else _joined(g, argument, old, new)
    return reads


def _times(g: Graph, bar: Node, number: Number, part: Node, sign: Number) -> Scaled:
    """number*bar times sign*part."""
    form = g.form[part]
    if form in _NUMBERS and (q := _number(g, part)) is not None:
        return scaled(g, *_more(g, bar, number, sign * q))
    if form in _HAVE_NUMBERS:
        part, sign = _apart(g, part, sign)
    if g.op[part] == "div":
        product, number = _times_quotient(g, whole(g, bar, number), part), sign
    else:
        product = g.node("mul", bar, part)
        if sign == -1:
            number = -number
        elif sign != 1:
            product, number = _more(g, product, number, sign)
    return scaled(g, product, number) if g.form[product] in _HAVE_EITHER else (product, number)


def _times_quotient(g: Graph, bar: Node, quotient: Node) -> Node:
    """t*(x/t), as of t*f(x/t), is x, so that terms in which it cancels are the same."""
    above_quotient, divisor = g.args[quotient]
    below = factors_of(g, divisor)
    above, left = remove(factors_of(g, bar), below)
    if len(left) < len(below):
        return quotient_of(g, [*above, above_quotient], left)
    return g.node("mul", bar, quotient)


def scaled(g: Graph, n: Node, number: Number = 1) -> Scaled:
    """number*n without the signs and numbers that are on top of it, and these; without a minus if it can."""
    n, number = _apart(g, n, number)
    if number == -1 and g.form[n] in _HAVE_SIGNS:
        opposite = g.neg(n)
        if g.op[opposite] != "neg":
            return opposite, 1
    return n, number


def _apart(g: Graph, n: Node, number: Number) -> Scaled:
    """number*n without the signs and numbers that are on top of it, and these."""
    while g.form[n] in _HAVE_NUMBERS:
        if g.op[n] == "neg":
            n, number = g.args[n][0], -number
            continue
        c, rest = g.args[n]
        q = _number(g, c)
        if q is None or not is_small(q * number):  # as pi
            break
        n, number = rest, q * number
    return n, number


def _number(g: Graph, n: Node) -> Number | None:
    """The value of a rational constant."""
    q = g.rational(n)
    return q.numerator if q is not None and q.denominator == 1 else q


def _more(g: Graph, n: Node, number: Number, factor: Number) -> Scaled:
    """factor*number*n; a number of too many digits stays a product."""
    together = number * factor
    return (n, together) if is_small(together) else (whole(g, n, number), factor)


def whole(g: Graph, n: Node, number: Number) -> Node:
    """number*n as a node."""
    return n if number == 1 else g.neg(n) if number == -1 else g.mul(g.const(number), n)


def _joined(g: Graph, n: Node, a: Scaled, b: Scaled) -> Scaled:
    """The sum of two contributions to the cotangent of `n`."""
    if a == b and a[0] != g.zero:
        return scaled(g, *_more(g, *a, 2))
    (first, is_minus), (second, other) = (_signed(g, *a), _signed(g, *b))
    if is_minus == other:
        return scaled(g, _sum(g, n, first, second), -1 if is_minus else 1)
    return scaled(g, g.sub(second, first) if is_minus else g.sub(first, second))


def _signed(g: Graph, n: Node, number: Number) -> tuple[Node, bool]:
    """number*n, or its opposite, and whether that is it."""
    return (n, True) if number == -1 else (whole(g, n, number), False)


def _sum(g: Graph, n: Node, a: Node, b: Node) -> Node:
    """The sum of two contributions to the cotangent of `n`, under a mask if both are.

    Where neither guard holds, `n` and what it is made of may be infinite, nan or out of range. The
    sum is about to be multiplied by partial derivatives made of them, and a product only stays
    under a mask that is on top.
    """
    if g.op[a] != "mask" or g.op[b] != "mask" or _is_plain_read(g, n):
        return g.add(a, b)
    first, second = conjuncts(g, g.args[a][0]), conjuncts(g, g.args[b][0])
    common = [p for p in first if p in second]
    left = conjunction(g, [p for p in first if p not in common])
    right = conjunction(g, [p for p in second if p not in common])
    total = g.add(g.mask(left, g.args[a][1]), g.mask(right, g.args[b][1]))
    if not _has_delta(g, (*first, *second)) and g.node("not", left) != right:
        common.append(g.node("or", left, right))
    return g.mask(conjunction(g, common), total)


def _is_plain_read(g: Graph, n: Node) -> bool:
    """Whether an element is read at a place that does not depend on other elements."""
    return g.op[n] == "read" and not any(g.op[i] == "read" for i in g.reachable(g.children(n)))


def _has_delta(g: Graph, conditions: Iterable[Node]) -> bool:
    """Equalities of indices have to stay where a sum can use them."""
    return any(g.op[p] == "ieq" for p in conditions)


def pushforward(g: Graph, roots: Iterable[Node], tangents: Mapping[Node, Node]) -> dict[Node, Node]:
    """Tangents of every node below `roots`.

    tangents  those of the reads (absent = zero), and of other nodes where they are known.
    """
    dot: dict[Node, Node] = {n: t for n, t in tangents.items() if t != g.zero}
    for n in g.reachable(roots):
        if g.op[n] == "read" or n in dot or g.kind[n] != "real":
            continue
        if not any(c in dot for c in g.children(n)):
            continue
        mean = _push_mean(g, n, dot)
        total = push_one(g, n, dot) if mean is None else mean
        if total != g.zero:
            dot[n] = total
    return dot


def _push_mean(g: Graph, n: Node, dot: Mapping[Node, Node]) -> Node | None:
    """The tangent of a mean of a few numbers under a softmax, if that is one."""
    if g.op[n] not in ("add", "sub") or "share" not in g.present:
        return None
    return mean_tangent(g, n, dot, lambda nodes: pushforward(g, nodes, dot))


def push_one(g: Graph, n: Node, dot: Mapping[Node, Node]) -> Node:
    """The tangent of one node from the tangents of its arguments."""
    if g.op[n] in ("where", "mask"):
        return _push_selection(g, n, dot)
    row = OPS.get(g.op[n])
    if row is not None and row.tangent is not None:
        return g.substitute(row.tangent(g, g.args[n], n, dot), finite_scores(g, n))
    total = g.zero
    for argument, part in slopes(g, n, dot):
        total = g.add(total, g.mul(part, dot[argument]))
    return total


def _push_selection(g: Graph, n: Node, dot: Mapping[Node, Node]) -> Node:
    """One selection of tangents instead of a sum of two masked ones."""
    predicate, *arms = g.args[n]
    tangents = [dot.get(a, g.zero) for a in arms]
    if len(arms) == 1 or tangents[1] == g.zero:
        return g.mask(predicate, tangents[0])
    if tangents[0] == g.zero:
        return g.mask(g.node("not", predicate), tangents[1])
    return g.where(predicate, *tangents)


def as_whole(g: Graph, n: Node) -> tuple[Node, Node] | None:
    """(c, m) if a node is differentiated as c*m: log(1 + x^2) as 2*log(hypot(1, x)).

    By the square of x its second derivative underflows where by x it does not.
    """
    if g.op[n] != "log1p" or not g.stabilise:
        return None
    (square,) = g.args[n]
    if g.op[square] != "mul" or g.args[square][0] != g.args[square][1]:
        return None
    return g.const(2), g.intern("loghypot1", (g.args[square][0],))


def slopes(g: Graph, n: Node, alive: Container[Node]) -> list[tuple[Node, Node]]:
    """(node, derivative of n by it) for nodes in `alive` that n is made of: its arguments, but for a few."""
    return [(a, whole(g, part, sign)) for a, part, sign in signed_slopes(g, n, alive)]


def partials(g: Graph, n: Node, alive: Container[Node]) -> list[tuple[Node, Node]]:
    """(argument, d n / d argument) for the arguments in `alive`, structural zeros left out."""
    return [(a, whole(g, part, sign)) for a, part, sign in _signed_partials(g, n, alive)]


def signed_slopes(g: Graph, n: Node, alive: Container[Node]) -> list[tuple[Node, Node, Number]]:
    """(node, s, 1 or -1) for the slopes +s or -s."""
    composed = composed_slopes(g, n, alive) if g.op[n] in COMPOSED else []
    if composed:
        return [(a, slope, 1) for a, slope in composed if a in alive]
    if "anchor" not in g.present:
        return _signed_partials(g, n, alive)
    finite = finite_scores(g, n)
    return [(a, g.substitute(part, finite), sign) for a, part, sign in _signed_partials(g, n, alive)]


def finite_scores(g: Graph, n: Node) -> dict[Node, Node]:
    """What is 0 in the derivatives of a product s*(u - m) where it is infinite."""
    return without_masked(g, n) if "anchor" in g.present and g.op[n] in ("mul", "div") else {}


def _signed_partials(g: Graph, n: Node, alive: Container[Node]) -> list[tuple[Node, Node, Number]]:
    op, args = g.op[n], g.args[n]
    if op == "mul":  # most nodes of a large graph are products and sums
        a, b = args
        if a in alive:
            return [(a, b, 1), (b, a, 1)] if b in alive else [(a, b, 1)]
        return [(b, a, 1)] if b in alive else []
    if op == "add":
        return [(a, g.one, 1) for a in args if a in alive]
    inner = as_whole(g, n) if op == "log1p" else None
    if inner is not None:
        times, log = inner
        return [(a, g.mul(times, part), sign) for a, part, sign in _signed_partials(g, log, alive)]
    row = OPS.get(op)
    rules = () if row is None else row.partials_of(len(args))
    if len(rules) != len(args):
        raise UnsupportedExpression(
            f"no derivative rule for `{op}`", try_="write the expression with other functions"
        )
    found: list[tuple[Node, Node, Number]] = []
    for a, rule in zip(args, rules, strict=True):
        if rule is not None and a in alive:
            if isinstance(rule, Opposite):
                found.append((a, rule.partial(g, args, n), -1))
            else:
                found.append((a, rule(g, args, n), 1))
    if row is None or row.decay is None:
        return found
    inside = within(g, n)
    return [(a, g.mask(inside, part), sign) for a, part, sign in found]
