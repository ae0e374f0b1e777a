"""Reductions in normal form: the only way a sum over an axis is made, by the front end and by AD.

`reduce` pulls independent factors out, splits off terms that need fewer loops, eliminates axes
that an equality fixes (the delta rule: this is where scatter becomes gather), orders
contractions, and interns what is left as a definition.
Sources: Bernstein et al. 2020 (predicates on contractions); Urban & van der Smagt, arXiv
1711.01348 (index equations of adjoints); variable elimination as in Dechter 1999.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import prod as product_of

from symgrad.ir.bounds import Fact, facts_of, is_nonnegative, read_is_in_range, typical
from symgrad.ir.graph import Graph, Node
from symgrad.ir.ops import OPS

_HOIST_COST = 8  # cheaper subexpressions are recomputed rather than stored


def reduce(g: Graph, kind: str, axes: Sequence[Node], body: Node) -> Node:
    """The value of reducing `body` over `axes` ("sum", "prod", "max", "min", "logsumexp").

    The result depends on the remaining free axes of `body`. An empty range gives the identity.
    """
    single = {a: g.zero for a in axes if g.extent(a) == g.one}
    axes, body = [a for a in axes if a not in single], g.substitute(body, single)
    if not axes:  # as for all of a scalar program; taking its sums apart would lose what they share
        return body
    if kind == "sum":
        return _sum(g, frozenset(axes), body)
    used = [a for a in axes if a in g.axes[body]]
    unused = [a for a in axes if a not in g.axes[body]]
    if used:
        body = _interned(g, kind, used, hoist(g, body))
    return _repeat(g, kind, unused, body)


def store(g: Graph, axes: Sequence[Node], body: Node) -> Node:
    """`body` as a definition over `axes` of its own, read at the same place."""
    if g.op[body] in ("read", "const"):
        return body
    return g.read(g.define("map", axes, (), body), *axes)


def memory_order(g: Graph, body: Node, axes: Sequence[Node]) -> list[Node]:
    """These axes in the order in which `body` reads them where it reads most of them; others first."""
    wanted = frozenset(axes)
    widest = max(g.reads((body,)), key=lambda n: len(g.axes[n] & wanted), default=body)
    order = g.first_occurrence(widest, wanted)
    return [*(a for a in axes if a not in order), *order]


def count(g: Graph, extent: Node) -> Node:
    """An extent as a real number of repetitions, 0 where it is negative."""
    value = g.cast(extent)
    return value if is_nonnegative(g, extent) else g.node("maximum", value, g.zero)


def _repeat(g: Graph, kind: str, axes: Sequence[Node], body: Node) -> Node:
    """Reducing a body that does not depend on the axes."""
    for axis in axes:
        n = count(g, g.extent(axis))
        if kind == "prod":
            body = g.node("pow", body, n)
        elif kind == "logsumexp":
            body = g.add(body, g.node("log", n))
        else:
            identity = g.const(float("-inf") if kind == "max" else float("inf"))
            body = g.where(g.ige0(g.iadd(g.extent(axis), g.const(-1))), body, identity)
    return body


def _interned(g: Graph, kind: str, axes: Sequence[Node], body: Node) -> Node:
    out = _memory_order(g, body, g.first_occurrence(body, g.axes[body] - frozenset(axes)))
    red = g.first_occurrence(body, frozenset(axes))
    return g.read(g.define(kind, out, red, body), *out)


def _memory_order(g: Graph, body: Node, axes: list[Node]) -> list[Node]:
    """Axes that walk operands with stride one come last, so that rows meet rows."""
    if len(axes) < 2:
        return axes
    last: Counter[Node] = Counter()
    for r in g.reads((body,)):
        index = g.args[r][1:]
        if index:
            last.update(g.axes[index[-1]])
    return sorted(axes, key=lambda a: last[a] > 0)


# ---- sums --------------------------------------------------------------------------------------


def _sum(g: Graph, axes: frozenset[Node], body: Node) -> Node:
    """Sum over `axes`; one step of normalisation per call, on ever smaller bodies."""
    if body == g.zero:
        return g.zero
    terms = additive_terms(g, body)
    if len(terms) > 1:
        return _sum_of_terms(g, axes, terms)
    sign, body = terms[0]
    unused = axes - g.axes[body]
    factor = g.const(sign)
    for axis in sorted(unused, key=g.order_key):
        factor = g.mul(factor, count(g, g.extent(axis)))
    axes = axes & g.axes[body]
    if not axes:
        return g.mul(factor, body)
    if g.op[body] == "mask":
        return g.mul(factor, _masked_sum(g, axes, body))
    return g.mul(factor, _sum_of_product(g, axes, body))


def additive_terms(g: Graph, body: Node) -> list[tuple[int, Node]]:
    """`body` as signed terms of its top-level sum."""
    out: list[tuple[int, Node]] = []
    stack = [(1, body)]
    while stack:
        sign, n = stack.pop()
        if g.op[n] == "add":
            stack += [(sign, g.args[n][1]), (sign, g.args[n][0])]
        elif g.op[n] == "sub":
            stack += [(-sign, g.args[n][1]), (sign, g.args[n][0])]
        elif g.op[n] == "neg":
            stack.append((-sign, g.args[n][0]))
        else:
            out.append((sign, n))
    return out


def _sum_of_terms(g: Graph, axes: frozenset[Node], terms: list[tuple[int, Node]]) -> Node:
    """Terms that need the same loops stay together; masked ones and smaller ones go alone."""
    if _is_less_a_number(g, axes, terms):
        return _interned_sum(g, axes, _signed_sum(g, terms))
    groups: dict[object, list[tuple[int, Node]]] = {}
    for sign, term in terms:
        alone = g.op[term] == "mask"
        key: object = term if alone else g.axes[term] & axes
        groups.setdefault(key, []).append((sign, term))
    if len(groups) == 1 and len(terms) > 1:
        (together,) = groups.values()
        body = _signed_sum(g, together)
        if g.op[body] == "neg":  # all terms were negative: their sum is taken, then the sign
            return g.neg(_sum(g, axes, g.args[body][0]))
        if g.op[body] not in ("add", "sub"):  # the terms simplified
            return _sum(g, axes, body)
        return _interned_sum(g, axes, body)
    total = g.zero
    for group in groups.values():
        total = g.add(total, _sum(g, axes, _signed_sum(g, group)))
    return total


def _is_less_a_number(g: Graph, axes: frozenset[Node], terms: list[tuple[int, Node]]) -> bool:
    """Whether these are x - m for elements x and one m, as their mean: sum(x) - n*m may lose all digits.

    Or a number less a quotient that may be near it.
    """
    if len(terms) != 2:
        return False
    (first, x), (second, m) = terms
    if g.axes[x].isdisjoint(axes):
        x, m = m, x
    q = g.rational(m)
    if q and g.op[x] == "div":
        return first * second * q * _sign(g, x) < 0 and axes <= g.axes[x]
    is_less = g.op[m] != "mask" and first * second * _sign(g, m) < 0 and any(g.reads((m,)))
    return g.op[x] == "read" and is_less and axes <= g.axes[x] and g.axes[m] <= g.axes[x] - axes


def _sign(g: Graph, body: Node) -> int:
    """The sign of the numbers in a product."""
    numbers = [q for side in factors_of(g, body) for n in side if (q := g.rational(n)) is not None]
    return -1 if sum(q < 0 for q in numbers) % 2 else 1


def _signed_sum(g: Graph, terms: list[tuple[int, Node]]) -> Node:
    total = g.zero
    for sign, term in terms:
        total = g.add(total, term) if sign > 0 else g.sub(total, term)
    return total


def conjuncts(g: Graph, predicate: Node) -> list[Node]:
    """The parts of a conjunction."""
    out, stack = [], [predicate]
    while stack:
        p = stack.pop()
        if g.op[p] == "and":
            stack += list(reversed(g.args[p]))
        else:
            out.append(p)
    return out


def conjunction(g: Graph, parts: Sequence[Node]) -> Node:
    result = g.true
    for p in parts:
        result = g.node("and", result, p)
    return result


def _masked_sum(g: Graph, axes: frozenset[Node], body: Node) -> Node:
    """Sum of mask(p, x): outer conditions leave, equalities eliminate an axis, the rest stays."""
    predicate, inner = g.args[body]
    parts = conjuncts(g, predicate)
    outside = [p for p in parts if not g.axes[p] & axes]
    inside = [p for p in parts if g.axes[p] & axes]
    if outside and _need(g, inside, outside):
        inside = parts
    elif outside:
        inner = _protected(g, inner, outside, inside)
        return g.mask(conjunction(g, outside), _sum(g, axes, g.mask(conjunction(g, inside), inner)))
    best = _axis_to_eliminate(g, axes, inside)
    if best is not None:
        return _eliminate(g, axes, body, *best)
    for p in inside:
        if g.op[p] == "ieq" and g.axes[p] & axes:
            scattered = _scatter(g, axes, inside, p, inner)
            if scattered is not None:
                return scattered
    return _sum_of_product(g, axes, inner, conjunction(g, inside))


def _protected(g: Graph, body: Node, outside: Sequence[Node], inside: Sequence[Node]) -> Node:
    """`body` for a sum that the conditions `outside` leave, which is then evaluated where they do not hold.

    Factors whose reads need those conditions keep them, as a selection (a mask would leave again).
    """
    total = g.zero
    changed = False
    for sign, term in additive_terms(g, body):
        predicate, rest = g.args[term] if g.op[term] == "mask" else (g.true, term)
        facts = [f for p in (*inside, predicate) for f in facts_of(g, p)]
        sides = factors_of(g, rest)
        kept = [
            [_kept_under(g, n, outside, facts, neutral) for n in side]
            for side, neutral in zip(sides, (g.zero, g.one), strict=True)
        ]
        if kept != list(sides):
            changed = True
            term = g.mask(predicate, _product(g, *kept))
        total = g.add(total, term) if sign > 0 else g.sub(total, term)
    return total if changed else body


def _need(g: Graph, inside: Sequence[Node], outside: Sequence[Node]) -> bool:
    """Whether conditions read what may not exist without those others."""
    facts = [f for p in inside for f in facts_of(g, p)]
    for p in inside:
        related = any(g.axes[q] & g.axes[p] or not g.axes[q] for q in outside)
        if related and any(not read_is_in_range(g, r, facts) for r in g.reads((p,))):
            return True
    return False


def _kept_under(
    g: Graph, factor: Node, outside: Sequence[Node], facts: Sequence[Fact], otherwise: Node
) -> Node:
    if all(g.op[n] != "read" or read_is_in_range(g, n, facts) for n in g.reachable((factor,))):
        return factor
    needed = [p for p in outside if g.axes[p] & g.axes[factor] or not g.axes[p]]
    return g.where(conjunction(g, needed), factor, otherwise)


def _axis_to_eliminate(g: Graph, axes: frozenset[Node], parts: Sequence[Node]) -> tuple[Node, Node] | None:
    """An equality and the reduced axis it fixes: the longest one, so that short loops remain."""
    best, length = None, -1
    for p in parts:
        if g.op[p] != "ieq":
            continue
        _, terms = g.linear(g.args[p][0])
        for atom, k in terms.items():
            inside_atom = any(atom in g.axes[t] for t in terms if t != atom)
            if atom in axes and abs(k) == 1 and not inside_atom:
                n = typical(g, g.extent(atom))
                if n > length:
                    best, length = (p, atom), n
    return best


def _eliminate(g: Graph, axes: frozenset[Node], body: Node, equation: Node, axis: Node) -> Node:
    """sum over v of [v = s] f(v)  =  [0 <= s < extent] f(s)."""
    index = g.args[equation][0]
    k = g.linear(index)[1][axis]
    solution = g.iscale(g.isub(index, g.iscale(axis, k)), -k)  # k is 1 or -1, so 1/k = k
    new = g.substitute(body, {axis: solution})
    guards = [solution, g.isub(g.iadd(g.extent(axis), g.const(-1)), solution)]
    for guard in guards:
        if not is_nonnegative(g, guard):
            new = g.mask(g.ige0(guard), new)
    return _sum(g, axes - {axis}, new)


def _scatter(
    g: Graph, axes: frozenset[Node], parts: Sequence[Node], equation: Node, inner: Node
) -> Node | None:
    """sum over k of [a(k) = p] f(k) as `T[a(k)] += f(k)`: one visit per k instead of one per (k, p)."""
    index = g.args[equation][0]
    _, terms = g.linear(index)
    free = [a for a, k in terms.items() if g.op[a] == "axis" and a not in axes and abs(k) == 1]
    free = [a for a in free if not any(a in g.axes[t] for t in terms if t != a)]
    if not free:
        return None
    p = min(free, key=g.order_key)
    place = g.iscale(g.isub(index, g.iscale(p, terms[p])), -terms[p])
    rest = conjunction(g, [q for q in parts if q != equation])
    value = g.substitute(g.mask(rest, inner), {p: place})
    others = sorted((g.axes[value] | g.axes[place]) - axes - {p}, key=g.order_key)
    limits = (place, g.isub(g.iadd(g.extent(p), g.const(-1)), place))
    loops = sorted(axes & (g.axes[value] | g.axes[place]), key=g.order_key)
    for limit in limits:  # a place outside the result contributes nothing
        if not is_nonnegative(g, limit):
            value = g.mask(g.ige0(limit), value)
    tensor = g.define(
        "scatter", (), [*loops, *others], hoist(g, value), (place, *others),
        extents=[g.extent(a) for a in (p, *others)],
    )  # fmt: skip
    result = g.read(tensor, p, *others)
    for axis in sorted(axes - set(loops), key=g.order_key):
        result = g.mul(count(g, g.extent(axis)), result)
    return result


# ---- products and contraction order ------------------------------------------------------------


def factors_of(g: Graph, body: Node) -> tuple[list[Node], list[Node]]:
    """`body` as (numerators, denominators) of its top-level product."""
    top: list[Node] = []
    bottom: list[Node] = []
    stack = [(body, True)]
    while stack:
        n, above = stack.pop()
        if g.op[n] == "mul":
            stack += [(g.args[n][1], above), (g.args[n][0], above)]
        elif g.op[n] == "div":
            stack += [(g.args[n][1], not above), (g.args[n][0], above)]
        elif g.op[n] == "neg":
            stack += [(g.args[n][0], above), (g.const(-1), above)]
        else:
            (top if above else bottom).append(n)
    return top, bottom


def _product(g: Graph, top: Sequence[Node], bottom: Sequence[Node]) -> Node:
    """The quotient of two products; by norms one after the other, as h**3 may be out of range."""
    lengths = [n for n in bottom if g.op[n] in ("norm", "scaled_norm") and bottom.count(n) > 2]
    result = g.div(_times(g, top), _times(g, [n for n in bottom if n not in lengths]))
    for h in lengths:
        result = g.div(result, h)
    return result


def _times(g: Graph, factors: Sequence[Node]) -> Node:
    """A product in canonical order; factors of one form are multiplied first.

    So a product that is symmetric under swapping two axes is the same node after the swap.
    """
    result, group, key = g.one, g.one, -1
    for n in sorted(factors, key=g.order_key):
        if g.order_key(n)[0] != key:
            result, group, key = g.mul(result, group), g.one, g.order_key(n)[0]
        group = g.mul(group, n)
    return g.mul(result, group)


def _sum_of_product(g: Graph, axes: frozenset[Node], body: Node, guard: Node | None = None) -> Node:
    """Independent factors leave the sum; what stays is contracted one axis at a time if cheaper."""
    top, bottom = factors_of(g, body)
    guarded = guard is not None and guard != g.true
    inner_top = [n for n in top if g.axes[n] & axes or (guarded and not _is_harmless(g, n))]
    inner_bottom = [n for n in bottom if g.axes[n] & axes or (guarded and not _is_divisor(g, n))]
    constant = [n for n in top if n not in inner_top]
    below = [n for n in bottom if n not in inner_bottom]
    outside = _product(g, constant, below)
    if guard is not None and guarded:
        alone = axes - g.axes[guard]
        if alone and alone < axes:
            first = _summed_first(g, alone, inner_top, inner_bottom)
            if first is not None:
                return g.mul(outside, _sum_of_product(g, axes - alone, first, guard))
        inner = g.mask(guard, _product(g, inner_top, inner_bottom))
        return g.mul(outside, _interned_sum(g, axes, inner))
    return g.mul(outside, _contract(g, axes, inner_top, inner_bottom))


def _summed_first(
    g: Graph, axes: frozenset[Node], top: Sequence[Node], bottom: Sequence[Node]
) -> Node | None:
    """A product whose factors over `axes`, which no guard needs, are summed; None if that saves nothing."""
    mine = [n for n in top if g.axes[n] & axes]
    rest = [n for n in top if not g.axes[n] & axes]
    everything = frozenset().union(*(g.axes[n] for n in (*top, *bottom)))
    span = frozenset().union(*(g.axes[n] for n in mine))
    if not mine or span == everything or any(g.axes[n] & axes for n in bottom):
        return None
    if not all(_is_harmless(g, n) for n in mine):
        return None
    return _product(g, [*rest, _sum(g, axes, _times(g, mine))], bottom)


def _is_harmless(g: Graph, node: Node) -> bool:
    """Whether `node` may be evaluated where its guard does not hold: reads in range, no 1/0 or log(0).

    A factor that is not stays inside the sum, under its guard. Stored values count as finite.
    """
    for n in g.reachable((node,)):
        op = g.op[n]
        if op == "read" and not read_is_in_range(g, n):
            return False
        if op == "const" and g.args[n][0] == "f":
            return False
        if op == "div" and not _is_divisor(g, g.args[n][1]):
            return False
        if op in OPS and op != "div" and not OPS[op].total:
            return False
    return True


def _is_divisor(g: Graph, node: Node) -> bool:
    """A constant other than 0, or a size."""
    return g.op[node] in ("const", "cast") and not g.axes[node] and node != g.zero


def _contract(g: Graph, axes: frozenset[Node], top: list[Node], bottom: list[Node]) -> Node:
    """Variable elimination: sum one axis out of the factors that mention it, cheapest first."""
    factors = [(n, True) for n in top] + [(n, False) for n in bottom]
    while len(axes) > 1:
        everything = frozenset().union(*(g.axes[n] for n, _ in factors))
        choice = _cheapest_axis(g, axes, factors, everything)
        if choice is None:
            break
        mine = [f for f in factors if choice in g.axes[f[0]]]
        factors = [f for f in factors if choice not in g.axes[f[0]]]
        partial = _sum(g, frozenset((choice,)), _product(g, *_split(mine)))
        factors.append((partial, True))
        axes = axes - {choice}
    free = _product(g, *_split([f for f in factors if not g.axes[f[0]] & axes]))
    body = _product(g, *_split([f for f in factors if g.axes[f[0]] & axes]))
    return g.mul(free, _interned_sum(g, axes, body))


def _split(factors: list[tuple[Node, bool]]) -> tuple[list[Node], list[Node]]:
    return [n for n, above in factors if above], [n for n, above in factors if not above]


def _cheapest_axis(
    g: Graph, axes: frozenset[Node], factors: list[tuple[Node, bool]], everything: frozenset[Node]
) -> Node | None:
    """The axis whose own factors span the fewest loops; None if that saves nothing."""
    full = product_of(typical(g, g.extent(a)) for a in everything)
    best, best_cost = None, full
    for axis in sorted(axes, key=g.order_key):
        span = frozenset().union(*(g.axes[n] for n, _ in factors if axis in g.axes[n]))
        cost = product_of(typical(g, g.extent(a)) for a in span)
        if span != everything and cost < best_cost:
            best, best_cost = axis, cost
    return best


def _interned_sum(g: Graph, axes: frozenset[Node], body: Node) -> Node:
    """The definition of a sum over `axes`; those that `body` does not mention only count."""
    used = axes & g.axes[body]
    result = _interned(g, "sum", sorted(used, key=g.order_key), hoist(g, body)) if used else body
    for axis in sorted(axes - used, key=g.order_key):
        result = g.mul(count(g, g.extent(axis)), result)
    return result


# ---- hoisting ----------------------------------------------------------------------------------


def hoist(g: Graph, body: Node) -> Node:
    """Give subexpressions that need only some of the loops, and are not cheap, their own maps.

    What stands under a guard may leave it only with a guard that protects it as well, or if all it
    reads is proven to exist: a map evaluates its body everywhere.
    """
    everything = g.axes[body]
    place = _Guards(g, body)
    replaced: dict[Node, Node] = {}
    stack, seen = [body], set()
    while stack:
        n = stack.pop()
        if n in seen:
            continue
        seen.add(n)
        mine = g.axes[n]
        if mine and mine < everything and g.kind[n] == "real" and _own_cost(g, n) >= _HOIST_COST:
            alone = place.without(n)
            if alone is not None:
                replaced[n] = store(g, g.first_occurrence(n, mine), alone)
                continue
        if mine:
            stack.extend(g.children(n))
    return g.substitute(body, replaced)


class _Guards:
    """Which nodes of a body stand under guards, and what each of them needs to stand alone."""

    def __init__(self, g: Graph, body: Node) -> None:
        self.g, self.body = g, body
        self.unguarded = unguarded(g, (body,))
        top = g.op[body] == "mask"
        self.parts = conjuncts(g, g.args[body][0]) if top else []
        self.under_top = unguarded(g, (g.args[body][1],)) if top else set()
        self.unproven: dict[tuple[Node, ...], set[Node]] = {}

    def without(self, n: Node) -> Node | None:
        """`n` as it may be evaluated for all its axes, or None."""
        if n in self.unguarded or n not in self._with_unproven_reads(()):
            return n
        if n not in self.under_top:
            return None
        parts = tuple(p for p in self.parts if self.g.axes[p] <= self.g.axes[n])
        if len(parts) == len(self.parts) or n not in self._with_unproven_reads(parts):
            return self.g.mask(conjunction(self.g, parts), n)
        return None

    def _with_unproven_reads(self, parts: tuple[Node, ...]) -> set[Node]:
        """The nodes of the body below which some read is not proven to be in range, given `parts`."""
        if parts not in self.unproven:
            facts = [fact for p in parts for fact in facts_of(self.g, p)]
            self.unproven[parts] = _with_unproven_reads(self.g, (self.body,), facts)
        return self.unproven[parts]


def needs_its_guards(g: Graph, roots: Sequence[Node]) -> set[Node]:
    """The nodes below `roots` that must not be evaluated for all values of their axes.

    They stand under guards everywhere, and some read below them is not proven to be in range.
    """
    guarded = set(g.reachable(roots)) - unguarded(g, roots)
    return guarded & _with_unproven_reads(g, roots, ()) if guarded else guarded


def _with_unproven_reads(g: Graph, roots: Sequence[Node], facts: Sequence[Fact]) -> set[Node]:
    """The nodes below `roots` that cannot stand alone: neither `facts` nor their own guards prove a read."""
    unproven: dict[Node, frozenset[Node]] = {}
    for n in g.reachable(roots):
        reads = [unproven[c] for c in g.children(n)]
        if g.op[n] in ("mask", "where"):
            reads[1:] = [
                frozenset(
                    r for r in arm if not read_is_in_range(g, r, [*facts, *facts_of(g, g.args[n][0], holds)])
                )
                for arm, holds in zip(reads[1:], (True, False), strict=False)
            ]
        unproven[n] = frozenset().union(*reads)
        if g.op[n] == "read" and not read_is_in_range(g, n, facts):
            unproven[n] |= {n}
    return {n for n, below in unproven.items() if below}


def unguarded(g: Graph, roots: Sequence[Node]) -> set[Node]:
    """The nodes below `roots` that are reached without entering the arm of a mask or a where.

    Nor a side of `and` or `or`, which the other side may decide.
    """
    seen: set[Node] = set()
    stack = list(roots)
    while stack:
        n = stack.pop()
        if n in seen:
            continue
        seen.add(n)
        if g.op[n] in ("mask", "where"):
            stack.append(g.args[n][0])
        elif g.op[n] not in ("and", "or"):
            stack.extend(g.children(n))
    return seen


def _own_cost(g: Graph, node: Node) -> int:
    """What evaluating `node` once costs, counted until it is clearly worth storing."""
    cost, stack, seen = 0, [node], set()
    while stack and cost < _HOIST_COST:
        n = stack.pop()
        if n in seen:
            continue
        seen.add(n)
        if g.op[n] in OPS:
            cost += OPS[g.op[n]].cost
        if g.op[n] != "read":
            stack.extend(g.children(n))
    return cost
