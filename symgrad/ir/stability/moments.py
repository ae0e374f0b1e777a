"""Variances and covariances under a softmax, written as means of products less products of means.

    sum(p*x*y) - sum(p*x)*sum(p*y)    is    sum(p*(x - sum(p*x))*(y - sum(p*y)))

and the mean of log(p), written as a log-sum-exp and a mean of its exponents.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.composites import softmax
from symgrad.ir.product import Product, product_of, whole_of
from symgrad.ir.rules import Args, among
from symgrad.ir.stability.anchors import with_masked_scores
from symgrad.ir.stability.audit import Audit, stable
from symgrad.ir.stability.complements import is_share
from symgrad.ir.stability.patterns import (
    MOST_SCORES,
    all_factors,
    difference_of,
    negatives,
    quotient_of,
    remove,
    sum_of_signed,
    terms_of,
    without,
)

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_CHAN = "Chan, Golub & LeVeque 1983, section 1"
_MOST_FACTORS = 12
_SPREAD = ({"v": (40.0, 0.0, 1.0)}, {"v": (1000.25, 1000.0, 999.5)}, {"v": (0.5, 1.0, -2.0)})
_MEAN = "Sum({0}*exp(v[i]), (i, 0, n - 1))/Sum(exp(v[i]), (i, 0, n - 1))"


def _of_sum(g: Graph, node: int) -> bool:
    return g.op[node] == "read" and g.tensors[g.args[node][0]].kind == "sum"


def _at(g: Graph, read: int, axes: Sequence[int]) -> Product | None:
    """What a sum adds up, over the axes given, as a product; None if it is over others."""
    t, *index = g.args[read]
    tensor = g.tensors[t]
    if [g.extent(a) for a in tensor.red] != [g.extent(a) for a in axes]:
        return None
    places = dict(zip((*tensor.out, *tensor.red), (*index, *axes), strict=True))
    return product_of(g, g.substitute(tensor.body, places), _MOST_FACTORS)


def _without_share(g: Graph, part: Product, axes: Sequence[int]) -> tuple[int, int] | None:
    """(p, the rest) of p times the rest, where the sum of p over the axes is 1."""
    for k, factor in enumerate(part.above):
        if is_share(g, factor) and _is_over(g, factor, axes):
            rest = Product(part.number, (*part.above[:k], *part.above[k + 1 :]), part.below)
            return factor, whole_of(g, rest)
    return None


def _is_over(g: Graph, share: int, axes: Sequence[int]) -> bool:
    """Whether exp(x - logsumexp(y)) is one of the y that are summed up, over these axes."""
    share = _unguarded(g, share)
    if g.op[share] != "exp":
        return False
    (exponent,) = g.args[share]
    is_negated = g.op[exponent] == "neg"
    parts = g.args[g.args[exponent][0]] if is_negated else g.args[exponent]
    for total, x in (parts, parts[::-1]):
        if g.op[total] != "read" or g.tensors[g.args[total][0]].kind != "logsumexp":
            continue
        t, *index = g.args[total]
        tensor = g.tensors[t]
        own, order = (g.first_occurrence(n, frozenset(a)) for n, a in ((tensor.body, tensor.red), (x, axes)))
        if len(own) == len(tensor.red) and len(order) == len(axes) and not g.axes[total] & frozenset(axes):
            y = g.substitute(tensor.body, dict(zip((*tensor.out, *own), (*index, *order), strict=False)))
            return len(own) == len(order) and x in (negatives(g, y) if is_negated else (y,))
    return False


@stable(
    "sub",
    "the mean of a product less the product of the means cancels where these are large beside the variance",
    Audit(
        f"{_MEAN.format('v[i]**2')} - ({_MEAN.format('v[i]')})**2", "sum(p*(v - sum(p*v))**2)",
        "means under one softmax", _CHAN, _SPREAD,
    ),
    on=among("read"),
    needs=("logsumexp",),
)  # fmt: skip
def mean_of_product_less_product_of_means(g: Graph, a: Args) -> int | None:
    for whole, product, sign in ((a[0], a[1], 1), (a[1], a[0], -1)):
        if _of_sum(g, whole) and g.op[product] == "mul" and all(_of_sum(g, s) for s in g.args[product]):
            made = _covariance(g, whole, *g.args[product])
            if made is not None:
                return made if sign > 0 else g.neg(made)
    return None


def _covariance(g: Graph, whole: int, first: int, second: int) -> int | None:
    axes = [g.fresh_axis(g.extent(r)) for r in g.tensors[g.args[whole][0]].red]
    products = [_at(g, read, axes) for read in (whole, first, second)]
    parts = [None if part is None else _without_share(g, part, axes) for part in products]
    found = [part for part in parts if part is not None]
    if len(found) < 3 or len({p for p, _ in found}) > 1:
        return None
    (p, both), (_, x), (_, y) = found
    if g.mul(x, y) != both and quotient_of(g, *_factors(g, x, y)) != quotient_of(g, *_factors(g, both)):
        return None
    body = g.mul(p, g.mul(g.node("deviation", x, first), g.node("deviation", y, second)))
    out = g.first_occurrence(body, g.axes[body] - frozenset(axes))
    return g.read(g.define("sum", out, tuple(axes), body), *out)


def _factors(g: Graph, *nodes: int) -> tuple[list[int], list[int]]:
    """The factors of a product in one order, above and below."""
    both = [all_factors(g, n) for n in nodes]
    return sorted(f for above, _ in both for f in above), sorted(f for _, below in both for f in below)


@stable(
    "sub",
    "log-sum-exp less the mean of its exponents cancels where one of these is far above the others",
    Audit(
        f"log(Sum(exp(v[i]), (i, 0, n - 1))) - {_MEAN.format('v[i]')}", "-sum(p*log(p))",
        "a log-sum-exp and a mean under its softmax: an entropy", _CHAN, _SPREAD,
    ),
    on=among("read"),
    needs=("logsumexp",),
)  # fmt: skip
def total_less_mean_of_exponents(g: Graph, a: Args) -> int | None:
    for total, mean, sign in ((a[0], a[1], 1), (a[1], a[0], -1)):
        if g.op[total] != "read" or g.tensors[g.args[total][0]].kind != "logsumexp":
            continue
        above, below = all_factors(g, mean)
        for k, factor in enumerate(above):
            made = _entropy(g, total, factor, without(above, k), below) if _of_sum(g, factor) else None
            if made is not None:
                return made if sign > 0 else g.neg(made)
    return None


def _entropy(g: Graph, total: int, mean: int, above: list[int], below: list[int]) -> int | None:
    """-sum(p*log(p)) if the mean of p*u, times and over the factors, is that of the exponents of `total`."""
    axes = [g.fresh_axis(g.extent(r)) for r in g.tensors[g.args[mean][0]].red]
    part = _at(g, mean, axes)
    found = None if part is None else _without_share(g, part, axes)
    if found is None:
        return None
    p, u = found
    x = quotient_of(g, [*above, u], below)
    exponent = g.args[_unguarded(g, p)][0]
    with_masked = with_masked_scores(g, x)
    if exponent != g.sub(with_masked, total):
        return None
    apart = g.neg(exponent)
    body = g.mul(p, apart if with_masked == x else g.node("finite_part", apart))
    out = g.first_occurrence(body, g.axes[body] - frozenset(axes))
    return g.read(g.define("sum", out, tuple(axes), body), *out)


def _unguarded(g: Graph, share: int) -> int:
    """exp(..) of a share that is 0 where there is none."""
    return g.args[share][2] if g.op[share] == "where" else share


# ---- written out -----------------------------------------------------------------------------------


@stable(
    "add",
    "the mean of squares less the square of the mean cancels where both are large beside the variance",
    Audit(
        "(x**2*exp(x) + y**2*exp(y))/(exp(x) + exp(y)) - ((x*exp(x) + y*exp(y))/(exp(x) + exp(y)))**2",
        "p*q*(x - y)**2; of more than two sum(p*(x - m)**2)", "means of a few numbers under one softmax",
        _CHAN,
        ({"x": 40.0, "y": 0.0}, {"x": 1000.25, "y": 1000.0}, {"x": 0.5, "y": -1.0}),
    ),
    on=among("mul", "add", "sub"),
    needs=("logistic", "share"),
)  # fmt: skip
def mean_of_squares_less_square_of_mean(g: Graph, a: Args) -> int | None:
    return _variance(g, [*terms_of(g, a[0]), *terms_of(g, a[1])])


def _variance(g: Graph, terms: Sequence[tuple[int, int]]) -> int | None:
    """sum(p*(x - m)**2) for sum(p*x**2) - m**2, with m = sum(p*x)."""
    squares = [n for sign, n in terms if sign < 0]
    if len(squares) != 1 or g.op[squares[0]] != "mul" or len({*g.args[squares[0]]}) > 1:
        return None
    mean, left = g.args[squares[0]][0], [_factors(g, n) for sign, n in terms if sign > 0]
    total, shares, numbers = g.zero, [], []
    for sign, term in terms_of(g, mean):
        above, below = all_factors(g, term)
        p = next((f for f in above if is_share(g, f)), None)
        x, _ = remove(above, [p]) if p is not None else ([], [])
        wanted = sorted((p or 0, *x, *x)), sorted((*below, *below))
        if p is None or wanted not in left:
            return None
        left.remove(wanted)
        number = quotient_of(g, x, below)
        number = number if sign > 0 else g.neg(number)
        apart = g.sub(number, mean)
        total = g.add(total, g.mul(p, g.mul(apart, apart)))
        shares.append(p)
        numbers.append(number)
    others = None if left else _others(g, shares)
    if others is None:
        return None
    if others or len(shares) > 2:
        return g.add(total, g.mul(g.sum_of(others), g.mul(mean, mean)))
    apart = difference_of(g, *numbers)
    return g.mul(g.mul(*shares), g.mul(apart, apart))


def _others(g: Graph, shares: list[int]) -> list[int] | None:
    """The other shares of the whole that these are of, the numbers of which are 0; None if of several."""
    if any(g.op[p] != "share" for p in shares):
        is_whole = len(shares) == 2 and (g.sub(g.one, shares[0]) == shares[1] or _are_opposite(g, *shares))
        return [] if is_whole else None
    wholes = {tuple(sorted(g.args[p])) for p in shares}
    if len(wholes) != 1:
        return None
    scores: list[int] = list(*wholes)
    left, again = remove(scores, [g.args[p][0] for p in shares])
    return None if again else [softmax.share(g, x, remove(scores, [x])[0]) for x in left]


def _are_opposite(g: Graph, p: int, q: int) -> bool:
    """Whether these are logistic functions of z and -z, also of (x - y)/t and (y - x)/t."""
    if g.op[p] != "logistic" or g.op[q] != "logistic":
        return False
    (sign, above, below), (other, others, beneath) = (_signed_factors(g, g.args[n][0]) for n in (p, q))
    (mine, theirs), same = remove(above, others), below == beneath
    if not mine and not theirs:
        return same and sign == -other
    return same and sign == other and len(mine) == 1 and g.neg(mine[0]) == theirs[0]


@stable(
    "add",
    "log-sum-exp less a mean of its exponents cancels where one of these is far above the others",
    Audit(
        "log(exp(x) + exp(y)) - (x*exp(x) + y*exp(y))/(exp(x) + exp(y))", "-p*log(p) - q*log(q)",
        "a log-sum-exp of a few numbers and a mean of these, by its softmax or by numbers", _CHAN,
        ({"x": 40.0, "y": 0.0}, {"x": 1000.25, "y": 1000.0}, {"x": 0.5, "y": -1.0}),
    ),
    on=among("logaddexp", "add", "sub"),
    needs=("logaddexp",),
)  # fmt: skip
def total_less_mean_of_few(g: Graph, a: Args) -> int | None:
    return _less_mean(g, [(1, a[0]), (1, a[1])])


def _less_mean(g: Graph, parts: Sequence[tuple[int, int]]) -> int | None:
    """-sum(w*log(p)) for the terms log(sum(exp(x))) and -w*x of each x, where the w are p or add up to 1."""
    terms = _all_terms(g, parts)
    place = next((k for k, (_, n) in enumerate(terms) if g.op[n] == "logaddexp"), None)
    if place is None or len(terms) < len(g.args[terms[place][1]]):
        return None
    sign, total = terms.pop(place)
    scores, weighted = list(g.args[total]), list[tuple[int, int]]()
    for k, x in enumerate(scores):
        p = softmax.share(g, x, without(scores, k))
        weights = ((k, _weight(g, -sign * other, n, p, x)) for k, (other, n) in enumerate(terms))
        place, weight = next(((k, w) for k, w in weights if w is not None), (0, None))
        if weight is not None:
            del terms[place]
            weighted.append((k, weight))
        elif x != g.zero:
            return None
    found = _weighted_logarithms(g, scores, weighted)
    return None if found is None else sum_of_signed(g, [(-sign, found), *terms])


def _weighted_logarithms(g: Graph, scores: list[int], weighted: Sequence[tuple[int, int]]) -> int | None:
    """sum(w*log(p)) if the weights, by place, are the shares or add up to 1; a score 0 may have none."""
    missing = [k for k in range(len(scores)) if k not in [place for place, _ in weighted]]
    numbers = [q for _, w in weighted if (q := g.rational(w)) is not None]
    left = 1 - sum(numbers, Fraction(0))
    if (
        len(missing) > 1
        or len(numbers) not in (0, len(weighted))
        or (numbers and bool(missing) != (left > 0))
    ):
        return None
    if numbers and left < 0:
        return None
    shares = [softmax.share(g, x, without(scores, k)) for k, x in enumerate(scores)]
    own = [(k, g.const(left) if numbers else shares[k]) for k in missing]
    total = g.zero
    for k, weight in sorted([*weighted, *own]):
        total = g.add(total, g.mul(weight, softmax.log_share(g, scores[k], without(scores, k))))
    return total


def _all_terms(g: Graph, parts: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The terms of a sum of a few scores; none of a longer one."""
    terms: list[tuple[int, int]] = []
    stack = list(parts)
    while stack and len(stack) + len(terms) <= MOST_SCORES:
        sign, n = stack.pop()
        if g.op[n] == "neg":
            stack.append((-sign, g.args[n][0]))
        elif g.op[n] in ("add", "sub"):
            x, y = g.args[n]
            stack += [(-sign if g.op[n] == "sub" else sign, y), (sign, x)]
        else:
            terms.append((sign, n))
    return [] if stack else terms


def _weight(g: Graph, sign: int, term: int, p: int, x: int) -> int | None:
    """w if sign*term is w*x, for the share p or a number above 0."""
    wanted, found = product_of(g, x, _MOST_FACTORS), product_of(g, term, _MOST_FACTORS, sign)
    if wanted is None or found is None or sorted(wanted.below) != sorted(found.below):
        return None
    extra, missing = remove(list(found.above), list(wanted.above))
    ratio = found.number / wanted.number
    if missing or extra not in ([], [p]) or ratio <= 0:
        return None
    if extra:
        return p if ratio == 1 else None
    return g.const(ratio)


def _signed_factors(g: Graph, *nodes: int) -> tuple[int, list[int], list[int]]:
    """The sign and the factors of a product, -1 counted as a sign."""
    above, below = _factors(g, *nodes)
    count = above.count(g.minus_one) + below.count(g.minus_one)
    return (-1) ** count, [f for f in above if f != g.minus_one], [f for f in below if f != g.minus_one]
