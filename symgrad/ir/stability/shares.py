"""Softmax and logistic functions, what is left of 1 beside them, and their logarithms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from symgrad.ir.composites import softmax
from symgrad.ir.rules import Args, among
from symgrad.ir.stability.array_shares import array_share
from symgrad.ir.stability.audit import SCORES, Audit, at_pairs, stable
from symgrad.ir.stability.log_sums import log_of_sum
from symgrad.ir.stability.patterns import (
    MOST_SCORES,
    exponent_of,
    factors_of,
    numbered,
    quotient_of,
    remove,
    terms_of,
    without,
)

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_LOG_SUM_EXP = "Blanchard, Higham & Higham 2021"
_THREE = tuple(
    dict(zip("xyz", scores, strict=True))
    for scores in ((40.0, 0.0, 1.0), (1000.5, 1000.0, 999.0), (0.5, 1.0, -2.0))
)
_MAECHLER = "Maechler 2012"
_COMPLEMENT = "the function's symmetry"
_PAIR = 2


@stable(
    "div",
    "exp(a)/sum(exp(b)) is exp(a - logsumexp(b)), other factors aside: no overflow",
    Audit(
        "exp(v[0])/Sum(exp(v[i]), (i, 0, n - 1))", "exp(v[0] - logsumexp(v))",
        "an exponential over a sum of such", _LOG_SUM_EXP, SCORES,
    ),
    on=among("exp", "exp_of_sum", "mul", "neg"),
    needs=("exp", "exp_of_sum"),
)  # fmt: skip
def softmax_to_exp_of_difference(g: Graph, a: Args) -> int | None:
    above, below = factors_of(g, a[0]), factors_of(g, a[1])
    if all(g.op[factor] not in ("exp", "exp_of_sum") for factor in above):
        return None
    totals = {divisor: lse for divisor in below if (lse := log_of_sum(g, divisor)) is not None}
    if not totals:
        return None
    above = _with_scores_together(g, _with_numbers_apart(g, above), below)
    other: tuple[list[int], list[int]] | None = None
    for is_share, made in _over_sums(g, above, below, totals):
        if is_share:
            return quotient_of(g, *made)
        other = other or made
    return None if other is None else quotient_of(g, *other)


def _over_sums(
    g: Graph, above: list[int], below: list[int], totals: Mapping[int, int]
) -> Iterator[tuple[bool, tuple[list[int], list[int]]]]:
    """The quotient with exp(x - L) for an exp(x) and a divisor; of exp(x)*exp(y) only shares."""
    for k, factor in enumerate(above):
        exponents = g.args[factor] if g.op[factor] in ("exp", "exp_of_sum") else ()
        for place, x in enumerate(exponents):
            others = [g.node("exp", y) for y in without([*exponents], place)]
            for divisor, lse in totals.items() if g.op[x] != "const" else ():
                exponent, times = _part_for(g, x, below.count(divisor))
                share = g.node("exp", g.sub(exponent, lse))
                is_share = _is_share(g, share)
                if is_share or not others:
                    rest, _ = remove(below, [divisor] * times)
                    yield is_share, ([*without(above, k), *others, *[share] * times], rest)


def _is_share(g: Graph, node: int) -> bool:
    """Whether exp(x - L) is a share: that of a score."""
    exponent = exponent_of(g, node)
    return g.op[node] in ("share", "logistic") or (
        exponent is not None and array_share(g, exponent) is not None
    )


def _with_numbers_apart(g: Graph, factors: list[int]) -> list[int]:
    """The factors, exp(x) and exp(c) for exp(x)*exp(c): beside a number c, x may be a score."""
    found: list[int] = []
    for factor in factors:
        x, *numbers = g.args[factor] if g.op[factor] == "exp_of_sum" else (factor,)
        if numbers and g.op[x] == "const":
            x, numbers = numbers[0], [x]
        if numbers and g.op[numbers[0]] == "const":
            found += [g.node("exp", x), g.node("exp", numbers[0])]
        else:
            found.append(factor)
    return found


def _with_scores_together(g: Graph, factors: list[int], below: list[int]) -> list[int]:
    """The factors, exp(x + y) for an exp(x)*exp(y) that stands in a sum that is divided by."""
    sums = [n for divisor in below if g.op[divisor] == "add" for _, n in terms_of(g, divisor)]
    is_score = [g.op[f] == "exp_of_sum" and f in sums for f in factors]
    return [
        g.intern("exp", (g.add(*g.args[f]),)) if together else f
        for f, together in zip(factors, is_score, strict=True)
    ]


def _part_for(g: Graph, exponent: int, times: int) -> tuple[int, int]:
    """(x, k) if the exponent is k*x, for a k of so many equal divisors: a power of a share is a product."""
    q = g.rational(g.args[exponent][0]) if times > 1 and g.op[exponent] == "mul" else None
    is_count = q is not None and q.denominator == 1 and 1 < q <= times
    return (g.args[exponent][1], int(q)) if q is not None and is_count else (exponent, 1)


@stable(
    "div",
    "sum(w*exp(e))/sum(exp(e)) is sum(w*exp(e - logsumexp(e))): a mean under a softmax",
    Audit(
        "Sum(v[i]*exp(v[i]), (i, 0, n - 1))/Sum(exp(v[i]), (i, 0, n - 1))", "sum(v*exp(v - logsumexp(v)))",
        "sums over the same exponentials", _LOG_SUM_EXP,
        SCORES,
    ),
    on=among("read", "mul", "neg"),
    needs=("exp",),
)  # fmt: skip
def weighted_mean_to_softmax(g: Graph, a: Args) -> int | None:
    above, below = factors_of(g, a[0]), factors_of(g, a[1])
    for place, divisor in enumerate(below):
        for k, factor in enumerate(above) if g.op[divisor] == "read" else ():
            mean = _mean(g, factor, divisor) if g.op[factor] == "read" else None
            if mean is not None:
                return quotient_of(g, [*without(above, k), mean], without(below, place))
    return None


@stable(
    "div",
    "S/(1 + S) and sum(w*exp(e))/(1 + S), for S = sum(exp(e)), are inf/inf for large scores: S has a share",
    Audit(
        "Sum(v[i]*exp(v[i]), (i, 0, n - 1))/(1 + Sum(exp(v[i]), (i, 0, n - 1)))",
        "logistic(logsumexp(v))*sum(v*exp(v - logsumexp(v)))",
        "a sum of exponentials over an axis among the terms of a divisor", _LOG_SUM_EXP, SCORES,
    ),
    on=lambda ops: ops[0] in ("read", "mul", "neg") and ops[1] in ("add", "mul"),
    needs=("exp",),
)  # fmt: skip
def weighted_mean_beside_others(g: Graph, a: Args) -> int | None:
    above, below = factors_of(g, a[0]), factors_of(g, a[1])
    for place, divisor in enumerate(below):
        for k, factor in enumerate(above) if g.op[divisor] == "add" else ():
            made = _of_array(g, factor, divisor) if g.op[factor] == "read" else None
            if made is not None:
                return quotient_of(g, [*without(above, k), *made], without(below, place))
    return None


def _of_array(g: Graph, weighted: int, divisor: int) -> list[int] | None:
    """The mean sum(w*exp(e))/S and the share S/(z + S)."""
    for sign, total in terms_of(g, divisor):
        own = log_of_sum(g, total) if sign > 0 and g.op[total] == "read" else None
        lse = None if own is None else log_of_sum(g, divisor)
        if own is None or lse is None:
            continue
        mean = g.one if weighted == total else _mean(g, weighted, total)
        if mean is not None:
            return [mean, g.node("exp", g.sub(own, lse))]
    return None


def _mean(g: Graph, weighted: int, total: int) -> int | None:
    """sum(w*p) for sum(w*exp(e)) over sum(exp(e)), where the two are read."""
    if g.tensors[g.args[weighted][0]].kind != "sum":
        return None
    lse = log_of_sum(g, total)
    if lse is None:
        return None
    top, bottom = g.tensors[g.args[weighted][0]], g.tensors[g.args[total][0]]
    red = {r: g.fresh_axis(g.extent(r)) for r in top.red}
    body = g.substitute(top.body, {**red, **dict(zip(top.out, g.args[weighted][1:], strict=True))})
    places = dict(zip(bottom.out, g.args[total][1:], strict=True))
    wanted = _alpha_exponent(g, g.args[bottom.body][0], places, bottom.red)
    for exponential, exponent in _exponential_factors(g, body):
        if _alpha_exponent(g, exponent, {}, tuple(red.values())) == wanted:
            share = _stored(g, g.node("exp", g.sub(exponent, lse)), body)
            shifted = g.substitute(body, {exponential: share})
            out = g.first_occurrence(shifted, g.axes[shifted] - frozenset(red.values()))
            return g.read(g.define("sum", out, tuple(red.values()), shifted), *out)
    return None


@stable(
    "div",
    "(x*exp(a) + y*exp(b))/(exp(a) + exp(b)) is x*p + y*q, with shares p and q: a mean under a softmax",
    Audit(
        "(x*exp(x) + y*exp(y) + z*exp(z))/(exp(x) + exp(y) + exp(z))", "x*share(x, y, z) + ...",
        "a sum of exponentials with factors over a sum of exponentials, written out", _LOG_SUM_EXP, _THREE,
    ),
    on=lambda ops: ops[0] in ("add", "sub", "mul", "neg") and ops[1] in ("add", "mul"),
    needs=("exp",),
)  # fmt: skip
def weighted_mean_of_few(g: Graph, a: Args) -> int | None:
    above, below = factors_of(g, a[0]), factors_of(g, a[1])
    for divisor in below:
        lse = log_of_sum(g, divisor) if g.op[divisor] == "add" else None
        for k, factor in enumerate(above) if lse is not None else ():
            if lse is None or g.op[factor] not in ("add", "sub"):
                continue
            for times in range(below.count(divisor), 0, -1):
                shares = _shares_of(g, factor, lse, times)
                if shares is not None:
                    rest, _ = remove(below, [divisor] * times)
                    return quotient_of(g, [*without(above, k), shares], rest)
    return None


def _shares_of(g: Graph, total: int, lse: int, times: int) -> int | None:
    """The sum with exp(x - lse)**times for each exp(times*x), also for x = 0; None if a term has none."""
    found, stack = g.zero, [(1, total)]
    for _ in range(2 * MOST_SCORES):
        if not stack:
            return found
        sign, node = stack.pop()
        if g.op[node] in ("add", "sub"):
            stack += [(-sign if g.op[node] == "sub" else sign, g.args[node][1]), (sign, g.args[node][0])]
            continue
        factors = factors_of(g, node)
        k = next((k for k, factor in enumerate(factors) if g.op[factor] == "exp"), None)
        exponent, count = (g.zero, times) if k is None else _part_for(g, g.args[factors[k]][0], times)
        share = g.node("exp", g.sub(exponent, lse))
        if count != times or (k is None and g.op[share] not in ("share", "logistic")):
            return None
        left = factors if k is None else without(factors, k)
        term = quotient_of(g, [*left, *[share] * times], [])
        found = g.add(found, term) if sign > 0 else g.sub(found, term)
    return None


@stable(
    "div",
    "1/(1 + exp(x) + exp(y)) is the share of the 1: it may overflow, and its logarithm cancels",
    Audit("1/(1 + exp(x) + exp(y))", "share(0, x, y)", "a number among exponentials that are divided by",
          _LOG_SUM_EXP, at_pairs((800.0, 1.0), (-40.0, 0.5), (-30.0, -40.0))),
    on=lambda ops: ops[1] in ("add", "mul"),
    needs=("exp", "cosh"),
)  # fmt: skip
def number_over_sum_of_exponentials(g: Graph, a: Args) -> int | None:
    below = factors_of(g, a[1])
    for place, divisor in enumerate(below):
        number = _number_in(g, divisor)
        lse = None if number is None else log_of_sum(g, divisor)
        if number is not None and lse is not None:
            share = g.node("exp", g.sub(g.node("log", number), lse))
            if g.op[share] in ("share", "logistic"):
                return quotient_of(g, [*factors_of(g, a[0]), share], [*without(below, place), number])
    return None


def _number_in(g: Graph, node: int) -> int | None:
    """c of a sum c + exp(x) + exp(y) of three terms or more, one of which may be a sum over an axis."""
    if g.op[node] != "add":
        return None
    terms = terms_of(g, node)
    numbers = [n for sign, n in terms if sign > 0 and g.op[n] == "const"]
    is_longer = len(terms) > _PAIR or any(g.op[numbered(g, n)[1]] in ("cosh", "read") for _, n in terms)
    return numbers[0] if len(numbers) == 1 and is_longer else None


def _stored(g: Graph, share: int, body: int) -> int:
    """The share as a definition of its own if the body is over more axes."""
    if not g.axes[share] < g.axes[body]:
        return share
    axes = g.first_occurrence(share, g.axes[share])
    return g.read(g.define("map", axes, (), share), *axes)


def _alpha_exponent(g: Graph, exponent: int, known: dict[int, int], red: tuple[int, ...]) -> int | None:
    """The exponent with its summed axes numbered by appearance: equal for equal sums."""
    order = g.first_occurrence(exponent, frozenset(red))
    if len(order) != len(red):
        return None
    # Negative numbers: a definition's own axes count from 0, and one of them may be free in the exponent.
    numbered = {r: g.axis(-1 - k, g.extent(r)) for k, r in enumerate(order)}
    return g.substitute(exponent, {**known, **numbered})


def _exponential_factors(g: Graph, body: int) -> list[tuple[int, int]]:
    """Factors exp(x) of the top-level product of `body`, each with x; those that are stored as well."""
    found, stack = [], [body]
    while stack:
        n = stack.pop()
        if g.op[n] == "mul":
            stack.extend(g.args[n])
        elif g.op[n] in ("neg", "div"):
            stack.append(g.args[n][0])
        elif g.op[n] == "exp":
            found.append((n, int(g.args[n][0])))
        elif g.op[n] == "read":
            tensor = g.tensors[g.args[n][0]]
            if tensor.kind == "map" and g.op[tensor.body] == "exp":
                (exponent,) = g.args[tensor.body]
                found.append((n, g.substitute(exponent, dict(zip(tensor.out, g.args[n][1:], strict=True)))))
    return found


@stable(
    "exp",
    "exp(log_share(x, y, z)) is the share itself: its digits do not go through a logarithm",
    Audit(
        "exp(x)/(exp(x) + exp(y) + exp(z))", "share(x, y, z)", "always", _LOG_SUM_EXP, _THREE
    ),
    on=among("log_share"),
)  # fmt: skip
def exp_of_log_share_to_share(g: Graph, a: Args) -> int | None:
    return softmax.share(g, *_scores(g, a[0])) if g.op[a[0]] == "log_share" else None


@stable(
    "log",
    "a softmax near 1 is rounded, and a small one may underflow: its logarithm has its own digits",
    Audit("log(exp(x)/(exp(x) + exp(y) + exp(z)))", "log_share(x, y, z)", "always", _LOG_SUM_EXP, _THREE),
    on=among("share"),
)
def log_of_share(g: Graph, a: Args) -> int | None:
    return softmax.log_share(g, *_scores(g, a[0])) if g.op[a[0]] == "share" else None


@stable(
    "log",
    "1 - p underflows where p is near 1: its logarithm is that of two states, one and all the others",
    Audit("log(1 - exp(x)/(exp(x) + exp(y) + exp(z)))", "-softplus(x - logaddexp(y, z))", "always",
          _LOG_SUM_EXP, (*_THREE, {"x": 1003.0, "y": -700.0, "z": 0.25})),
    on=among("share_of_others"),
)  # fmt: skip
def log_of_share_of_others(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] != "share_of_others":
        return None
    return g.neg(g.node("softplus", _log_odds(g, a[0])))


def _log_odds(g: Graph, node: int) -> int:
    """x - log(exp(y) + exp(z)) for the number x that a share is of, and the others."""
    x, rest = _scores(g, node)
    return g.sub(x, g.node("logaddexp", *sorted(rest)))


@stable(
    "add",
    "log(p) - log(1 - p) is x - log(exp(y) + exp(z)): the derivatives of both cancel",
    Audit("log(exp(x)/(exp(x) + exp(y) + exp(z))) - log(1 - exp(x)/(exp(x) + exp(y) + exp(z)))",
          "x - logaddexp(y, z)", "written out", _LOG_SUM_EXP, _THREE),
    on=among("log_share"),
    needs=("log_share",),
)  # fmt: skip
def log_odds_of_share(g: Graph, a: Args) -> int | None:
    for share, other in (a, a[::-1]):
        if g.op[share] == "log_share" and g.op[other] == "softplus":
            odds = _log_odds(g, share)
            return odds if g.args[other][0] == odds else None
    return None


@stable(
    "sub",
    "1 - p cancels where p is near 1; the share of the others does not",
    Audit("1 - exp(x)/(exp(x) + exp(y) + exp(z))", "share_of_others(x, y, z)", "always", _COMPLEMENT, _THREE),
    on=among("const"),
    needs=("share", "share_of_others"),
)
def one_minus_share(g: Graph, a: Args) -> int | None:
    for one, other, sign in ((a[0], a[1], 1), (a[1], a[0], -1)):
        if one == g.one and g.op[other] in ("share", "share_of_others"):
            complement = softmax.share_of_others if g.op[other] == "share" else softmax.share
            share = complement(g, *_scores(g, other))
            return share if sign > 0 else g.neg(share)
    return None


@stable(
    "add",
    "the shares of all but one are 1 less that one: the derivatives of each are sums in which these cancel",
    Audit(
        "(exp(x) + exp(y))/(exp(x) + exp(y) + exp(z))", "share_of_others(z, x, y)", "written out",
        _COMPLEMENT, _THREE,
    ),
    on=among("share"),
    needs=("share",),
)  # fmt: skip
def shares_to_share_of_others(g: Graph, a: Args) -> int | None:
    terms = [*terms_of(g, a[0]), *terms_of(g, a[1])]
    found = [n for sign, n in terms if sign > 0 and g.op[n] == "share"]
    if len(found) < len(terms):
        return None
    scores = sorted(g.args[found[0]])
    missing, rest = remove(scores, [g.args[n][0] for n in found])
    if len(missing) != 1 or rest or any(sorted(g.args[n]) != scores for n in found):
        return None
    return softmax.share_of_others(g, missing[0], [x for x in scores if x != missing[0]])


def _scores(g: Graph, node: int) -> tuple[int, list[int]]:
    """The number that a share is of, and the others."""
    x, *rest = g.args[node]
    return x, rest
