"""What the shares of one softmax that is written out pull back, all of them together.

With cotangents c of the shares p = softmax(x), and d of their logarithms, that of a score is

    p[k]*sum(p[l]*(c[k] - c[l]))  +  d[k]*(1 - p[k]) - p[k]*sum(d[l] for l != k)

Share by share it would be a sum of p[k]*c[k] and -p[k]*p[l]*c[l]: where one share is near 1 its own c is
nearly all of sum(p*c), and of c less that mean nothing is left. Differences of cotangents are made of what
they do not have in common. A d = p*a is a c = a, and shares of another softmax among the d, all but one, are
1 less that one. The two shares of two scores are logistic functions p(z) and p(-z): (c - c')*p*(1 - p) for z.

Source: Blanchard, Higham & Higham 2021, section 4; Chan, Golub & LeVeque 1983, section 2.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence

from symgrad.ir.composites.softmax import NAMES, of_some, share, share_of_others
from symgrad.ir.decay import within
from symgrad.ir.graph import Graph, Node
from symgrad.ir.stability.patterns import (
    all_factors,
    difference_of,
    linear_terms,
    quotient_of,
    remove,
    sum_of_signed,
    terms_of,
)
from symgrad.records import dataclass

Scores = tuple[Node, ...]


@dataclass(frozen=True)
class Group:
    """The shares of one sum that are there: `last` is the one that a sweep backwards meets last.

    Of two scores, their difference z in place of them.
    """

    scores: Scores
    members: tuple[Node, ...]

    @property
    def last(self) -> Node:
        return self.members[0]


def groups(g: Graph, order: Sequence[Node]) -> dict[Node, Group]:
    """For each share beside others of the same sum, among ascending nodes, these."""
    found: dict[Scores, list[Node]] = {}
    for n in order:
        if g.op[n] in NAMES:
            found.setdefault(tuple(sorted(g.args[n])), []).append(n)
    together = [
        Group(scores, tuple(members))
        for scores, members in found.items()
        if len(members) > 1 and len({*scores}) == len(scores)
    ]
    together += _pairs(g, order)
    return {n: group for group in together for n in group.members}


def _pairs(g: Graph, order: Sequence[Node]) -> list[Group]:
    """Logistic functions of opposite numbers."""
    nodes = [n for n in order if g.op[n] == "logistic"]
    if len(nodes) == 1:
        return []
    forms = {n: linear_terms(g, g.args[n][0]) for n in nodes}
    known = {frozenset(form.items()): n for n, form in forms.items()}
    pairs = []
    for n, form in forms.items():
        other = known.get(frozenset((term, -number) for term, number in form.items()), n)
        if n < other:
            pairs.append(Group((g.args[n][0],), (n, other)))
    return pairs


def _pull_pair(g: Graph, group: Group, bars: Mapping[Node, Node]) -> tuple[Node, Node]:
    """(c - c')*p*(1 - p) for z; of polynomials in the shares two products, which have rules of their own."""
    (z,), (n, other) = group.scores, group.members
    slope, own, opposite = g.node("logistic_slope", z), bars[n], bars[other]
    if _holds(g, own, group.members) or _holds(g, opposite, group.members):
        value = g.sub(g.mul(own, slope), g.mul(opposite, slope))
    else:
        value = g.mul(difference_of_sums(g, own, opposite), slope)
    return z, g.mask(within(g, n), value)


def _holds(g: Graph, bar: Node, shares: Sequence[Node]) -> bool:
    """Whether a share is a factor of a term."""
    return any(share in all_factors(g, term)[0] for _, term in terms_of(g, bar) for share in shares)


def pull_together(
    g: Graph, group: Group, bars: Mapping[Node, Node], alive: Container[Node]
) -> Iterator[tuple[Node, Node]]:
    """(score, what it gets) for the scores in `alive`, from the cotangents of the shares."""
    if len(group.scores) == 1:
        yield _pull_pair(g, group, bars)
        return
    of_share, of_log = _apart(g, group.scores, {n: bars[n] for n in group.members})
    classes: dict[Node, list[int]] = {}
    for k, x in enumerate(group.scores):
        classes.setdefault(of_share.get(x, g.zero), []).append(k)
    for k, x in enumerate(group.scores):
        if x not in alive:
            continue
        own, total = of_share.get(x, g.zero), g.zero
        for other, places in classes.items():
            if other != own:
                part = of_some(g, group.scores, k, places)
                total = g.add(total, g.mul(part, difference_of_sums(g, own, other)))
        p, rest = share(g, x, _without(group.scores, x)), share_of_others(g, x, _without(group.scores, x))
        value = g.mul(p, total)
        if x in of_log:
            value = g.add(value, g.mul(of_log[x], rest))
        yield x, g.sub(value, g.mul(p, _sum_of_others(g, x, of_log)))


def _without(scores: Scores, x: Node) -> Scores:
    return tuple(y for y in scores if y != x)


def _apart(g: Graph, scores: Scores, bars: Mapping[Node, Node]) -> tuple[dict[Node, Node], dict[Node, Node]]:
    """The cotangents c of shares and d of logarithms, by score."""
    of_share: dict[Node, Node] = {}
    of_log: dict[Node, Node] = {}
    for n, bar in bars.items():
        x = g.args[n][0]
        if g.op[n] != "log_share":
            bar = bar if g.op[n] == "share" else g.neg(bar)
            of_share[x] = g.add(of_share.get(x, g.zero), bar)
            continue
        p = share(g, x, _without(scores, x))
        for sign, term in terms_of(g, bar):
            above, below = all_factors(g, term)
            inside = p in above
            into, value = (
                (of_share, quotient_of(g, remove(above, [p])[0], below)) if inside else (of_log, term)
            )
            old = into.get(x, g.zero)
            into[x] = g.add(old, value) if sign > 0 else g.sub(old, value)
    return of_share, of_log


def _sum_of_others(g: Graph, x: Node, of_log: Mapping[Node, Node]) -> Node:
    """The sum of the d of all other scores, in which shares of another softmax are put together."""
    families: dict[tuple[Scores, tuple[Node, ...], tuple[Node, ...], int], list[Node]] = {}
    total = g.zero
    for y, d in of_log.items():
        if y == x:
            continue
        for sign, term in terms_of(g, d):
            above, below = all_factors(g, term)
            q = next((f for f in above if g.op[f] == "share"), None)
            if q is None:
                total = g.add(total, term) if sign > 0 else g.sub(total, term)
            else:
                rest = tuple(sorted(remove(above, [q])[0]))
                key = tuple(sorted(g.args[q])), rest, tuple(sorted(below)), sign
                families.setdefault(key, []).append(q)
    for (scores, above_, below_, sign), shares in families.items():
        part = _total_of_shares(g, scores, shares)
        term = g.mul(quotient_of(g, list(above_), list(below_)), part)
        total = g.add(total, term) if sign > 0 else g.sub(total, term)
    return total


def _total_of_shares(g: Graph, scores: Scores, shares: Sequence[Node]) -> Node:
    """Their sum: all of them are 1, all but one 1 less that one."""
    missing, again = remove(list(scores), [g.args[q][0] for q in shares])
    if again or len(missing) > 1:
        return g.sum_of(shares)
    if not missing:
        return g.one
    (x,) = missing
    return share_of_others(g, x, _without(scores, x))


# ---- forwards ----------------------------------------------------------------------------------


def mean_tangent(
    g: Graph, n: Node, dot: Mapping[Node, Node], push: Callable[[Sequence[Node]], Mapping[Node, Node]]
) -> Node | None:
    """The tangent of a sum of c*p over all shares p of one sum; None of another sum.

    It is sum(p*dc) and, for each pair, p*q*(c - c')*(dx - dx'): an offset that all c have takes no digits.
    """
    numbers: dict[Node, tuple[Node, Node]] = {}  # by score: the share, and c
    for sign, term in terms_of(g, n):
        above, below = all_factors(g, term)
        p = next((f for f in above if g.op[f] == "share" and g.args[f][0] not in numbers), None)
        if p is None or (numbers and sorted(g.args[p]) != sorted(g.args[next(iter(numbers.values()))[0]])):
            return None
        c = quotient_of(g, remove(above, [p])[0], below)
        numbers[g.args[p][0]] = p, c if sign > 0 else g.neg(c)
    scores = [*numbers]
    if not scores or len(scores) < len(g.args[numbers[scores[0]][0]]):
        return None
    tangents = push([c for _, c in numbers.values()])
    total = g.zero
    for k, x in enumerate(scores):
        p, c = numbers[x]
        total = g.add(total, g.mul(p, tangents.get(c, g.zero)))
        for y in scores[:k]:
            q, other = numbers[y]
            moved = g.sub(dot.get(x, g.zero), dot.get(y, g.zero))
            apart = g.mul(difference_of_sums(g, c, other), moved)
            total = g.add(total, g.mul(g.mul(p, q), apart))
    return total


def difference_of_sums(g: Graph, a: Node, b: Node) -> Node:
    """a - b without the terms that both have; logarithms of shares of one sum differ by their scores."""
    first, second = remove(terms_of(g, a), terms_of(g, b))
    first, second = list(first), list(second)
    pairs: list[tuple[int, Node]] = []
    for sign, term in list(first):
        for other in second:
            made = _of_one_sum(g, term, other[1]) if other[0] == sign else None
            if made is not None:
                first.remove((sign, term))
                second.remove(other)
                pairs.append((sign, made))
                break
    left, right = sum_of_signed(g, first), sum_of_signed(g, second)
    return g.add(sum_of_signed(g, pairs), difference_of(g, left, right))


def _of_one_sum(g: Graph, a: Node, b: Node) -> Node | None:
    """x - y for the logarithms of the shares of x and y."""
    if g.op[a] == g.op[b] == "log_share" and sorted(g.args[a]) == sorted(g.args[b]):
        return difference_of(g, g.args[a][0], g.args[b][0])
    return None
