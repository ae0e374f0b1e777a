"""Softmaxes over arrays: what all shares of one pull back, and how they move, taken together.

With L = logsumexp(x), the differences y = x - L are read as if they were an array. The pull-back of their
cotangents d and the tangent of y are

    d[k] - p[k]*sum(d)    which for d = p*a is p[k]*(a[k] - s)        s = sum(p*a), p = exp(y)
    dx[k] - sum(p*dx)

where what a number is above its mean is one operation, `deviation(a[k], s)`: nothing is left of it where one
share is near 1, unless something is subtracted from all a first. `opt.logsumexp` does, as this comes before
it, for derivatives of every order. The tangent of a deviation, and of a mean, is known of all of it, too:

    da[k] - sum(p*da) - sum(p*dy*(a - s))        sum(p*da) + sum(p*dy*(a - s))

and since sum(p*(a - s)) is 0, dx may stand for dy in it, which is done where dx is 1 at one place alone.
d and dx that are 1 at one place alone give 1 - p there and -p elsewhere.

Source: Blanchard, Higham & Higham 2021, section 4; Chan, Golub & LeVeque 1983, sections 1 and 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.places import exponent_behind, places_of
from symgrad.ir.reduce import additive_terms, conjunction, conjuncts, reduce
from symgrad.ir.stability.patterns import all_factors, negatives, quotient_of, remove, sum_of_signed
from symgrad.records import dataclass


@dataclass(frozen=True)
class LogShare:
    """times*(x - L): the log-sum-exp L that is read, and the place in its y (its axes, those summed over)."""

    total: TensorId
    place: tuple[Node, ...]
    times: Fraction


@dataclass(frozen=True)
class Softmax:
    """The softmax of one log-sum-exp, at the place `out` of that, over axes `red`."""

    total: TensorId
    out: tuple[Node, ...]
    red: tuple[Node, ...]


# ---- finding them ------------------------------------------------------------------------------


def log_shares(g: Graph, bodies: Iterable[Node], apart: Iterable[TensorId] = ()) -> dict[Node, LogShare]:
    """The differences x - L in some bodies; those of log-sum-exps `apart` are not looked for."""
    bodies = tuple(bodies)
    if all(g.tensors[g.args[r][0]].kind != "logsumexp" for r in g.reads(bodies)):
        return {}
    found = {}
    for n in g.reachable(bodies):
        share = _log_share(g, n) if g.op[n] in ("sub", "add", "neg") else None
        if share is not None and share.total not in apart:
            found[n] = share
    return found


def _log_share(g: Graph, node: Node) -> LogShare | None:
    """x - L, L - x, L + y and -(L + y), where x is -y; the same times a number, as in squares of shares."""
    outer = 1
    if g.op[node] == "neg":
        node, outer = g.args[node][0], -1
    if g.op[node] not in ("add", "sub"):
        return None
    is_sum = g.op[node] == "add"
    for multiple, x, sign in zip(g.args[node], g.args[node][::-1], (-1, -1 if is_sum else 1), strict=True):
        times, total = _number_apart(g, multiple)
        if times and g.op[total] == "read" and g.tensors[g.args[total][0]].kind == "logsumexp":
            t, *index = g.args[total]
            once = times
            while sign > 0 and g.op[x] == "sub" and g.args[x][1] == multiple:  # (x - L) - L
                x, times = g.args[x][0], times + once
            for exponent in negatives(g, x) if is_sum else (x,):
                red = _place_of(g, t, index, g.mul(g.const(1 / times), exponent))
                if red is not None:
                    return LogShare(t, (*index, *red), sign * outer * times)
    return None


def _number_apart(g: Graph, node: Node) -> tuple[Fraction, Node]:
    """(q, x) of q*x."""
    number = g.rational(g.args[node][0]) if g.op[node] == "mul" else None
    return (Fraction(1), node) if number is None else (number, g.args[node][1])


def _place_of(g: Graph, total: TensorId, index: Sequence[Node], x: Node) -> tuple[Node, ...] | None:
    """Where x is among the exponents of a log-sum-exp."""
    tensor = g.tensors[total]
    known = dict(zip(tensor.out, index, strict=True))
    return places_of(g, tensor.body, known, tensor.red, x)


def log_share_tensor(g: Graph, total: TensorId) -> TensorId:
    """y = x - L as a definition, over the axes of L and those that it sums over."""
    tensor = g.tensors[total]
    return g.define("map", (*tensor.out, *tensor.red), (), g.sub(tensor.body, g.read(total, *tensor.out)))


def share_of(g: Graph, softmax: Softmax) -> Node:
    """p."""
    return g.node("exp", log_share_of(g, softmax))


def log_share_of(g: Graph, softmax: Softmax) -> Node:
    """y."""
    tensor = g.tensors[softmax.total]
    places = dict(zip((*tensor.out, *tensor.red), (*softmax.out, *softmax.red), strict=True))
    x = g.substitute(tensor.body, places)
    return g.sub(x, g.read(softmax.total, *softmax.out))


def _is_empty(g: Graph, softmax: Softmax) -> Node:
    """Whether every x is -inf: all shares are 0 then."""
    return g.node("eq", g.read(softmax.total, *softmax.out), g.const(float("-inf")))


# ---- numbers less their mean -------------------------------------------------------------------


def centred(g: Graph, softmax: Softmax, expression: Node) -> Node:
    """c - sum(p*c) for c over the axes of a softmax."""
    total = g.zero
    dense: list[tuple[int, Node]] = []
    for sign, term in _terms(g, expression):
        if g.axes[term].isdisjoint(softmax.red):
            continue
        if is_delta(g, softmax, term):
            p = share_of(g, softmax)
            made = _delta_less(g, softmax, term, reduce(g, "sum", softmax.red, g.mul(p, term)))
            total = g.add(total, made) if sign > 0 else g.sub(total, made)
        else:
            dense.append((sign, term))
    return g.add(total, deviation_of(g, softmax, dense))


def varying(g: Graph, softmax: Softmax, c: Node) -> Node:
    """The terms of c that differ along the axes of a softmax: all that deviations of c are made of."""
    total, red = g.zero, frozenset(softmax.red)
    for sign, term in additive_terms(g, c):
        if not g.axes[term].isdisjoint(red):
            total = g.add(total, term) if sign > 0 else g.sub(total, term)
    return total


def _terms(g: Graph, expression: Node) -> list[tuple[int, Node]]:
    """The terms of a sum; x - L is one of them, small where x may not be."""
    found, stack = [], [(1, expression)]
    while stack:
        sign, n = stack.pop()
        if g.op[n] == "neg":
            stack.append((-sign, g.args[n][0]))
        elif g.op[n] in ("add", "sub") and _log_share(g, n) is None:
            x, y = g.args[n]
            stack += [(-sign if g.op[n] == "sub" else sign, y), (sign, x)]
        else:
            found.append((sign, n))
    return found


def deviation_of(g: Graph, softmax: Softmax, terms: Sequence[tuple[int, Node]]) -> Node:
    """The same for terms that are not 0 but at one place; what all have in common stands outside."""
    if not terms:
        return g.zero
    red = frozenset(softmax.red)
    parts = [all_factors(g, term) for _, term in terms]
    outside = [[f for f in side if g.axes[f].isdisjoint(red)] for side in parts[0]]
    for above, below in parts[1:]:
        outside = [remove(o, remove(o, side)[0])[0] for o, side in zip(outside, (above, below), strict=True)]
    c = g.zero
    for (sign, _), (above, below) in zip(terms, parts, strict=True):
        inner = quotient_of(g, remove(above, outside[0])[0], remove(below, outside[1])[0])
        c = g.add(c, inner) if sign > 0 else g.sub(c, inner)
    if g.axes[c].isdisjoint(red):
        return g.zero
    return g.mul(g.node("deviation", c, mean_under(g, softmax, c)), quotient_of(g, *outside))


def mean_under(g: Graph, softmax: Softmax, c: Node) -> Node:
    body = g.mul(share_of(g, softmax), c)
    made = reduce(g, "sum", softmax.red, body)
    if mean_of(g, made) is not None:
        return made
    out = g.first_occurrence(body, g.axes[body] - frozenset(softmax.red))
    return g.read(g.define("sum", out, softmax.red, body), *out)


def is_delta(g: Graph, softmax: Softmax, term: Node) -> bool:
    """mask([k = e], ..), with an equation for each axis k of the softmax."""
    if g.op[term] != "mask":
        return False
    equations = _equations(g, softmax, conjuncts(g, g.args[term][0]))
    return {a for p in equations for a in _fixed(g, softmax, p)} == {*softmax.red} and len(equations) == len(
        softmax.red
    )


def _equations(g: Graph, softmax: Softmax, conditions: Sequence[Node]) -> list[Node]:
    return [p for p in conditions if g.op[p] == "ieq" and not g.axes[p].isdisjoint(softmax.red)]


def _fixed(g: Graph, softmax: Softmax, equation: Node) -> list[Node]:
    """The axis that an equation says all of."""
    _, terms = g.linear(g.args[equation][0])
    mine = [a for a in terms if not g.axes[a].isdisjoint(softmax.red)]
    return mine if len(mine) == 1 and mine[0] in softmax.red and abs(terms[mine[0]]) == 1 else []


def _delta_less(g: Graph, softmax: Softmax, term: Node, taken: Node) -> Node:
    """[k = e]*z*(1 - p) - [k != e]*taken, for the term [k = e]*z."""
    there, elsewhere = delta_apart(g, softmax, term, taken)
    return g.sub(there, elsewhere)


def delta_apart(g: Graph, softmax: Softmax, term: Node, taken: Node) -> tuple[Node, Node]:
    """[k = e]*z*(1 - p) and [k != e]*taken."""
    predicate, z = g.args[term]
    equations = _equations(g, softmax, conjuncts(g, predicate))
    rest = g.where(_is_empty(g, softmax), g.one, g.sub(g.one, share_of(g, softmax)))
    off = g.node("not", conjunction(g, equations))
    return g.mask(predicate, g.mul(z, rest)), g.mask(off, taken)


# ---- backwards ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pull:
    """The cotangents d of y: p*a, and the terms without a factor p, which may be for one place alone."""

    a: Node
    deltas: tuple[tuple[int, Node], ...]
    others: tuple[tuple[int, Node], ...]


def _taken_apart(g: Graph, softmax: Softmax, bar: Node) -> Pull:
    a, deltas, others = g.zero, [], []
    for sign, term in additive_terms(g, bar):
        if is_delta(g, softmax, term):
            deltas.append((sign, term))
            continue
        inner = _over_share(g, softmax, term)
        if inner is None:
            others.append((sign, term))
        else:
            a = g.add(a, inner) if sign > 0 else g.sub(a, inner)
    return Pull(a, tuple(deltas), tuple(others))


def pulled(g: Graph, total: TensorId, bar: Node) -> Node:
    """The cotangent of x, over the axes of L and those it sums over, from that of y."""
    softmax = Softmax(total, g.tensors[total].out, g.tensors[total].red)
    p, is_any = share_of(g, softmax), g.node("not", _is_empty(g, softmax))
    pull, found = _taken_apart(g, softmax, bar), g.zero
    for sign, term in pull.deltas:
        taken = g.mask(is_any, g.mul(p, reduce(g, "sum", softmax.red, term)))
        made = _delta_less(g, softmax, term, taken)
        found = g.add(found, made) if sign > 0 else g.sub(found, made)
    for sign, term in pull.others:
        beside = _less_share(g, softmax, term)
        if beside is None:
            beside = g.sub(term, g.mask(is_any, g.mul(p, reduce(g, "sum", softmax.red, term))))
        found = g.add(found, beside) if sign > 0 else g.sub(found, beside)
    return g.add(found, g.mask(is_any, g.mul(p, centred(g, softmax, pull.a))))


def pulled_to_one(g: Graph, total: TensorId, bar: Node, slope: Node) -> Node:
    """The cotangent of what all x have in common, with slopes dx, over the axes of L.

    It is sum(d*(dx - sum(p*dx))), so that a d for one place alone takes part there alone. Beside p*(a - s)
    the dx are taken as they are, 0 for the largest exponent (`ir.stability.anchors`).
    """
    softmax = Softmax(total, g.tensors[total].out, g.tensors[total].red)
    is_any = g.node("not", _is_empty(g, softmax))
    pull, apart = _taken_apart(g, softmax, bar), centred(g, softmax, slope)
    weighted = g.mul(share_of(g, softmax), centred(g, softmax, pull.a))
    has_own = not g.axes[slope].isdisjoint(softmax.red)
    found = reduce(g, "sum", softmax.red, g.mul(weighted, slope)) if has_own else g.zero
    for sign, term in (*pull.deltas, *pull.others):
        made = reduce(g, "sum", softmax.red, g.mul(term, apart))
        found = g.add(found, made) if sign > 0 else g.sub(found, made)
    return g.mask(is_any, found)


def _over_share(g: Graph, softmax: Softmax, term: Node) -> Node | None:
    """a if a term is p*a, masked or not."""
    if g.op[term] == "mask":
        inner = _over_share(g, softmax, g.args[term][1])
        return None if inner is None else g.mask(g.args[term][0], inner)
    above, below = all_factors(g, term)
    for k, factor in enumerate(above):
        share = as_share(g, factor)
        if share is not None and (share.total, share.place) == (softmax.total, (*softmax.out, *softmax.red)):
            return quotient_of(g, [*above[:k], *above[k + 1 :]], below)
    return None


def _less_share(g: Graph, softmax: Softmax, term: Node) -> Node | None:
    """z*(q - p) if a term is z*q, for q of another softmax over the same axes, of which the sum is 1."""
    if g.op[term] == "mask":
        predicate, inner = g.args[term]
        made = None if not g.axes[predicate].isdisjoint(softmax.red) else _less_share(g, softmax, inner)
        return None if made is None else g.mask(predicate, made)
    above, below = all_factors(g, term)
    for k, factor in enumerate(above):
        other, others = _share_over(g, factor, softmax.red), [*above[:k], *above[k + 1 :]]
        if other is not None and all(g.axes[f].isdisjoint(softmax.red) for f in (*others, *below)):
            is_empty = g.node("or", _is_empty(g, softmax), _is_empty(g, other))
            apart = g.node("exp_difference", g.zero, log_share_of(g, other), log_share_of(g, softmax))
            q, p = (g.where(_is_empty(g, s), g.zero, share_of(g, s)) for s in (other, softmax))
            return g.mul(quotient_of(g, others, below), g.where(is_empty, g.sub(q, p), apart))
    return None


# ---- means -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mean:
    """sum(p*c)."""

    softmax: Softmax
    c: Node


def mean_of(g: Graph, node: Node) -> Mean | None:
    """What is read, if that is a mean under a softmax, over the axes of its definition."""
    return mean_in(g, g.args[node][0]) if g.op[node] == "read" else None


def mean_in(g: Graph, t: TensorId) -> Mean | None:
    tensor = g.tensors[t]
    if tensor.kind != "sum":
        return None
    softmax, c = None, g.zero
    for sign, term in additive_terms(g, tensor.body):
        above, below = all_factors(g, term)
        found = ((k, _share_over(g, f, tensor.red)) for k, f in enumerate(above))
        place, own = next(((k, s) for k, s in found if s is not None and softmax in (None, s)), (0, None))
        if own is None:
            return None
        softmax = own
        inner = quotient_of(g, [*above[:place], *above[place + 1 :]], below)
        c = g.add(c, inner) if sign > 0 else g.sub(c, inner)
    return None if softmax is None else Mean(softmax, c)


def _share_over(g: Graph, node: Node, red: Sequence[Node]) -> Softmax | None:
    """The softmax over axes `red` that a node is a share of."""
    share = as_share(g, node)
    if share is None or share.times != 1:
        return None
    rank = len(g.tensors[share.total].out)
    out, mine = share.place[:rank], share.place[rank:]
    if len(mine) != len(red) or {*mine} != {*red} or any(g.axes[i] & frozenset(red) for i in out):
        return None
    return Softmax(share.total, out, mine)


def as_share(g: Graph, node: Node) -> LogShare | None:
    """What exp(y) is a share of; also one that is stored, or 0 where there is none."""
    y = exponent_behind(g, node)
    return None if y is None else _log_share(g, y)


def without_means_of_deviations(g: Graph, axes: Sequence[Node], value: Node) -> Node:
    """The terms of a sum but for those that add up to nothing: p*(c - s) over all c."""
    if "deviation" not in g.op:
        return value
    terms = additive_terms(g, value)
    kept = [(sign, term) for sign, term in terms if not _adds_up_to_nothing(g, axes, term)]
    return value if len(kept) == len(terms) else sum_of_signed(g, kept)


def _adds_up_to_nothing(g: Graph, axes: Sequence[Node], term: Node) -> bool:
    above, below = all_factors(g, term)
    places = [k for k, f in enumerate(above) if g.op[f] == "deviation"]
    for k in places:
        c, s = g.args[above[k]]
        mean = mean_of(g, s)
        if mean is None:
            continue
        t, *index = g.args[s]
        place = place_in_mean(g, mean, dict(zip(g.tensors[t].out, index, strict=True)), c)
        others = [*above[:k], *above[k + 1 :], *below]
        if place is None or not {*place} <= {*axes}:
            continue
        out = tuple(
            g.substitute(i, dict(zip(g.tensors[t].out, index, strict=True))) for i in mean.softmax.out
        )
        wanted = LogShare(mean.softmax.total, (*out, *place), Fraction(1))
        rest = [f for f in others if as_share(g, f) != wanted]
        if len(rest) == len(others) - 1 and all(g.axes[f].isdisjoint(place) for f in rest):
            return True
    return False


# ---- forwards ----------------------------------------------------------------------------------


def covariance(g: Graph, softmax: Softmax, dx: Node, c: Node, apart: Node) -> Node:
    """sum(p*dy*(c - s)) from the tangent of x, over the axes of the softmax; `apart` is c - s.

    Numbers c over further axes, rows of a matrix, are taken as they are beside dy: the sum is a product of
    matrices then, in which only an offset that all of them have is lost.
    """
    total, p = g.zero, share_of(g, softmax)
    dense: list[tuple[int, Node]] = []
    for sign, term in additive_terms(g, dx):
        if g.axes[term].isdisjoint(softmax.red):
            continue
        if not is_delta(g, softmax, term):
            dense.append((sign, term))
            continue
        part = reduce(g, "sum", softmax.red, g.mul(g.mul(p, apart), term))
        total = g.add(total, part) if sign > 0 else g.sub(total, part)
    is_matrix = bool(g.axes[c] - g.axes[p])
    moved = g.mul(p, deviation_of(g, softmax, dense))
    return g.add(total, reduce(g, "sum", softmax.red, g.mul(moved, c if is_matrix else apart)))


def place_in_mean(g: Graph, mean: Mean, out: Mapping[Node, Node], c: Node) -> tuple[Node, ...] | None:
    """Which of the numbers of a mean, read where `out` says, is c."""
    return places_of(g, mean.c, out, mean.softmax.red, c)
