"""Logarithms of sums of exponentials less one of their scores, also in sums with other terms.

    log(exp(x) + exp(y) + ..) - x           minus the logarithm of a share, softplus(y - x) of two scores
    x + log(1 + exp(-x))                    softplus(x)
    log(exp(x) + exp(y)) - x - y            log(exp(-x) + exp(-y))
    L - x[0]/2, L = log(sum(exp(x)))        (L - x[0])/2 + L/2
    log(1 + sum(exp(x))) - x[0]             likewise, the sum of the others over the axis beside it
    a + log(exp(x - a) + exp(y - a))        log(exp(x) + exp(y))
    max(x, y) + log(1 + exp(-|x - y|))      the same
    log(exp(x) - exp(y)) - x                log(1 - exp(y - x))

The same times something: t*log(1 + exp(-x/t)) + x. Where a score is nearly all of the logarithm, nothing is
left of the two but their difference. Of sums over an axis the two stand beside each other, c*(L - x), and
`grad.softmaxes` and `opt.logsumexp` see to them.

Source: Maechler 2012; Blanchard, Higham & Higham 2021, section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from symgrad.ir.composites import softmax
from symgrad.ir.places import places_of
from symgrad.ir.rules import Args
from symgrad.ir.stability.array_shares import ArrayShare, is_over_axis, log_sum_of_others, score_at
from symgrad.ir.stability.audit import Audit, at, at_pairs, stable
from symgrad.ir.stability.beside_totals import Others, Terms, Total, monomial
from symgrad.ir.stability.patterns import (
    MOST_SCORES,
    MOST_TERMS,
    all_factors,
    difference_of,
    multiple_of,
    negatives,
    numbered,
    product_of_powers,
    remove,
    sum_of_signed,
    terms_of,
    without,
)

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_MAECHLER = "Maechler 2012"
_LOG_SUM_EXP = "Blanchard, Higham & Higham 2021"
_WRITTEN = ("softplus", "logaddexp", "logexpm1", "logsubexp")
_PRODUCTS = ("mul", "div", "neg")
_PAIR = 2


@stable(
    "sub",
    "log(exp(x) + exp(y)) - x cancels where x is far above y: it is log(1 + exp(y - x))",
    Audit(
        "log(exp(x) + exp(y)) - x", "softplus(y - x)",
        "the logarithm of a few exponentials and one of them, in sums with other terms",
        _LOG_SUM_EXP, at_pairs((40.0, 0.0), (1000.5, 1000.0), (-3.0, 4.0), (3.0, -800.0)),
    ),
    needs=(*_WRITTEN, "logsumexp"),
)  # fmt: skip
def log_softmax_to_softplus(g: Graph, a: Args) -> int | None:
    return _in_sum(g, a, -1)


@stable(
    "add",
    "x + log(1 + exp(-x)) cancels where x is far below 0, where all of it is exp(x)",
    Audit(
        "x + log(1 + exp(-x))", "softplus(x)", "as above; log(exp(x - a) + exp(y - a)) + a, "
        "max(x, y) + log(1 + exp(-|x - y|))", _MAECHLER, at(-40.0, -700.0, -3.0, 5.0),
    ),
    needs=(*_WRITTEN, "logsumexp"),
)  # fmt: skip
def log_sum_exp_and_opposite_score(g: Graph, a: Args) -> int | None:
    is_difference = any(g.op[part] == "neg" for part in a)  # it is made one, and looked at again
    return None if is_difference else _in_sum(g, a, 1)


def _in_sum(g: Graph, a: Args, sign: int) -> int | None:
    made = _together(g, [*_terms(g, 1, a[0]), *_terms(g, sign, a[1])])
    return None if made is None else sum_of_signed(g, made)


def with_log_softmaxes(g: Graph, nodes: Sequence[int]) -> Sequence[int]:
    """The terms of a sum; instead of a logarithm and a score of it what these are together."""
    terms, found = [(1, n) for n in nodes], 0
    while (made := _together(g, terms)) is not None:
        terms, found = made, found + 1
    g.fired[log_sum_exp_and_opposite_score.name] += found
    return [t if s > 0 else g.neg(t) for s, t in terms] if found else nodes


def _terms(g: Graph, sign: int, node: int) -> Terms:
    """The terms of a sum; L - x is one of them."""
    terms: Terms = []
    stack = [(sign, node)]
    while stack and len(stack) + len(terms) <= MOST_TERMS:
        sign, part = stack.pop()
        op, args = g.op[part], g.args[part]
        if op == "neg":
            stack.append((-sign, args[0]))
        elif op in ("add", "sub") and not _is_difference(g, part):
            stack += [(-sign if op == "sub" else sign, args[1]), (sign, args[0])]
        else:
            terms.append((sign, part))
    return [*terms, *stack]


def _is_difference(g: Graph, node: int) -> bool:
    """L - x for the logarithm L of a sum over an axis, x - L, or L + y where x is -y."""
    for total, x in (g.args[node], g.args[node][::-1]):
        if is_over_axis(g, total):
            t, *index = g.args[total]
            body, known = g.tensors[t].body, dict(zip(g.tensors[t].out, index, strict=True))
            scores = (x,) if g.op[node] == "sub" else negatives(g, x)
            return any(places_of(g, body, known, g.tensors[t].red, score) is not None for score in scores)
    return False


def _together(g: Graph, terms: Terms) -> Terms | None:
    """The terms with one logarithm and a score of it put together; None if there is none."""
    for place, (sign, term) in enumerate(terms):
        total = _total(g, place, sign, term)
        if total is None:
            continue
        find = _beside_each_other if g.op[total.node] == "read" else _as_one
        made = find(g, Others(g, total, terms))
        if made is not None:
            return made
    return None


def _total(g: Graph, place: int, sign: int, term: int) -> Total | None:
    if _is_total(g, term):
        return Total(place, sign, term, [], [])
    if g.op[term] not in _PRODUCTS:
        return None
    above, below = all_factors(g, term)
    k = next((k for k, factor in enumerate(above) if _is_total(g, factor)), None)
    return None if k is None else Total(place, sign, above[k], without(above, k), below)


def _is_total(g: Graph, node: int) -> bool:
    return g.op[node] in _WRITTEN or is_over_axis(g, node)


# ---- of a few exponentials that are written out ------------------------------------------------


def _as_one(g: Graph, others: Others) -> Terms | None:
    for amount, less in _differences(g, others):
        places = others.places_of(amount)
        if places:
            return [*others.less(amount, places), others.total.times(g, less())]
    return None


def _differences(g: Graph, others: Others) -> Iterator[tuple[Terms, Callable[[], int]]]:
    """What may be taken away from a logarithm, and what it is then."""
    node = others.total.node
    op, args = g.op[node], g.args[node]
    if op == "logaddexp":
        yield from _of_scores(g, _scores_of(g, node))
        yield from _of_arrays(g, _scores_of(g, node), others)
    elif op == "softplus":
        yield from _of_arrays(g, [args[0], g.zero], others)
        yield terms_of(g, args[0]), lambda: g.node("softplus", g.neg(args[0]))
        yield from _of_distance(g, args[0], others)
    elif op == "logexpm1":
        yield terms_of(g, args[0]), lambda: g.node("log1mexp", g.neg(args[0]))
    else:
        yield terms_of(g, args[0]), lambda: g.node("log1mexp", difference_of(g, args[1], args[0]))


def _scores_of(g: Graph, node: int) -> list[int]:
    """x, y, ... of log(exp(x) + exp(y) + ...); none of too many."""
    scores: list[int] = []
    stack = [node]
    while stack and len(stack) + len(scores) <= MOST_SCORES:
        part = stack.pop()
        if g.op[part] == "logaddexp":
            stack += g.args[part][::-1]
        else:
            scores.append(part)
    return [] if stack else scores


def _of_scores(g: Graph, scores: list[int]) -> Iterator[tuple[Terms, Callable[[], int]]]:
    terms = [terms_of(g, x) for x in scores]
    shared = terms[0] if terms else []
    for others in terms[1:]:
        shared = remove(shared, remove(shared, others)[0])[0]
    for shift in shared:
        yield [shift], partial(_shifted, g, terms, [shift])
    if len(scores) == _PAIR:
        yield [*terms[0], *terms[1]], lambda: _log_sum(g, [g.neg(x) for x in scores])
    for k, own in enumerate(terms):
        yield own, partial(_less_score, g, scores, k)


def _of_arrays(g: Graph, scores: list[int], others: Others) -> Iterator[tuple[Terms, Callable[[], int]]]:
    """Scores at fixed places of the arrays among those of a logarithm."""
    for k, total in enumerate(scores):
        for score, share in _scores_beside(g, others, total) if is_over_axis(g, total) else ():
            rest = log_sum_of_others(g, (share,))
            if rest is not None:
                yield terms_of(g, score), partial(_less_one, g, score, (rest, *without(scores, k)))


def _less_one(g: Graph, score: int, rest: Sequence[int]) -> int:
    """The logarithm of a sum less one of its scores."""
    return g.neg(softmax.log_share(g, score, rest))


def _less_score(g: Graph, scores: list[int], k: int) -> int:
    """The logarithm of a share; the logarithm as it is, less the score in each, if that makes it shorter."""
    terms = [terms_of(g, x) for x in scores]
    lengths = [len(left) + len(rest) for left, rest in (remove(own, terms[k]) for own in terms)]
    if len(scores) > _PAIR and sum(lengths) < sum(map(len, terms)):
        return _shifted(g, terms, terms[k])
    return _less_one(g, scores[k], without(scores, k))


def _shifted(g: Graph, scores: Sequence[Terms], shift: Terms) -> int:
    """The logarithm of the sum where each score is less by what is in the shift."""
    apart = [remove(own, shift) for own in scores]
    return _log_sum(g, [sum_of_signed(g, [*left, *((-s, t) for s, t in rest)]) for left, rest in apart])


def _log_sum(g: Graph, scores: Sequence[int]) -> int:
    return g.node("log", g.sum_of(g.node("exp", x) for x in scores))


def _of_distance(g: Graph, z: int, others: Others) -> Iterator[tuple[Terms, Callable[[], int]]]:
    """softplus(-|x - y|) is the logarithm of two less the larger score, and that of their opposites too."""
    number, size = numbered(g, z)
    if g.op[size] != "abs" or number > 0:
        return
    for key in others.numbers:
        for lattice, _ in key:
            if g.op[lattice] not in ("maximum", "minimum"):
                continue
            x, y = g.args[lattice]
            times = multiple_of(g, g.args[size][0], g.sub(x, y))
            if times:
                sign = -1 if g.op[lattice] == "maximum" else 1
                by = g.const(abs(times * number))
                scores = [g.mul(g.const(-sign), g.mul(by, part)) for part in (x, y)]
                yield [(sign, g.mul(by, lattice))], partial(_log_sum, g, scores)


# ---- of sums over an axis ----------------------------------------------------------------------


def _beside_each_other(g: Graph, others: Others) -> Terms | None:
    """The sum with c*(L - x) for c*L and c*x; nothing else is no longer a sum."""
    total = others.total
    for score, _ in _scores_beside(g, others, total.node):
        amount = terms_of(g, score)
        places = others.places_of(amount)
        left = others.less(amount, places)
        if places and (left or total.above or total.below):
            return [*left, total.times(g, g.sub(total.node, score))]
        part = others.part_of(amount)
        if part is not None:
            ratio, own = part
            (sign, apart), (_, rest) = (total.times(g, x) for x in (g.sub(total.node, score), total.node))
            shares = (ratio, apart), (1 - ratio, rest)
            return [*others.less(amount, own), *((sign, g.mul(g.const(q), x)) for q, x in shares)]
    return None


def _scores_beside(g: Graph, others: Others, total: int) -> Iterator[tuple[int, ArrayShare]]:
    """Scores of a logarithm over an axis that have a term among the others."""
    t, *index = g.args[total]
    tensor = g.tensors[t]
    known = dict(zip(tensor.out, index, strict=True))
    for sign, pattern in terms_of(g, tensor.body):
        if g.axes[pattern].issuperset(tensor.red):
            for k in others.parts:
                whole = _over(g, others, k, sign)
                found = (places_of(g, pattern, known, tensor.red, x) for x in (whole, numbered(g, whole)[1]))
                axes = next((places for places in found if places is not None), None)
                if axes is not None:
                    share = ArrayShare(t, tuple(index), axes)
                    yield score_at(g, share, axes), share


def _over(g: Graph, others: Others, place: int, sign: int) -> int:
    """What a term is -times*sign of."""
    total = others.total
    own, term = others.terms[place]
    number, powers = monomial(g, [term, *total.below], total.above)
    return product_of_powers(g, -sign * own * total.sign * number, dict(powers))
