"""Differences of two shares of one softmax, over an axis or written out."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.composites.margins import margin
from symgrad.ir.rules import Args, all_among, among
from symgrad.ir.stability.array_shares import (
    array_share,
    is_over_axis,
    log_sum_of_others,
    score_at,
)
from symgrad.ir.stability.audit import SCORES, Audit, at_pairs, stable
from symgrad.ir.stability.log_sums import log_of_sum
from symgrad.ir.stability.patterns import PRODUCTS, factors_of, quotient_of, remove, without

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_LOG_SUM_EXP = "Blanchard, Higham & Higham 2021"
_HALF = Fraction(1, 2)
_PAIRS = ("exp_difference", "expm1", "sinh", "cosh")
_THREE = tuple(
    dict(zip("xyz", scores, strict=True))
    for scores in ((40.0, 0.0, 1.0), (1000.5, 1000.0, 999.0), (0.5, 1.0, -2.0))
)

_ARRAYS = (
    {"v": (40.0, 0.0, 1.0)},
    {"v": (0.25, 1.0, 40.0)},
    {"v": (1000.5, 1000.0, 999.0)},
    {"v": (0.5, 1.0, -2.0)},
)


@stable(
    "div",
    "(exp(a) - exp(b))/sum(exp(c)) is exp(a - L) - exp(b - L), L = logsumexp(c): no overflow",
    Audit(
        "(exp(v[0]) - exp(v[1]))/Sum(exp(v[i]), (i, 0, n - 1))", "exp_difference(0, v[0] - L, v[1] - L)",
        "a difference of exponentials over a sum of such", _LOG_SUM_EXP, SCORES,
    ),
    on=among("exp_difference", "mul", "neg"),
    needs=("exp_difference",),
)  # fmt: skip
def margin_of_softmax(g: Graph, a: Args) -> int | None:
    above = factors_of(g, a[0])
    k = next((k for k, factor in enumerate(above) if g.op[factor] == "exp_difference"), None)
    below = [] if k is None else factors_of(g, a[1])
    for place, divisor in enumerate(below):
        lse = log_of_sum(g, divisor) if g.op[divisor] == "read" else None
        if k is not None and lse is not None:
            c, u, v = g.args[above[k]]
            made = g.node("exp_difference", c, g.sub(u, lse), g.sub(v, lse))
            return quotient_of(g, [*without(above, k), made], without(below, place))
    return None


@stable(
    "exp_difference",
    "p - q of two shares over an axis cancels in its derivatives as one that is written out does",
    Audit(
        "exp(v[0])/Sum(exp(v[i]), (i, 0, n - 1)) - exp(v[1])/Sum(exp(v[i]), (i, 0, n - 1))",
        "margin(v[0], v[1], r), r = logsumexp of the others",
        "at places that are the same for the whole sum", _LOG_SUM_EXP, _ARRAYS,
    ),
    on=among("sub", "neg"),
    needs=("logsumexp",),
)  # fmt: skip
def difference_of_shares_over_axis(g: Graph, a: Args) -> int | None:
    common, u, v = a
    first, second = (array_share(g, g.add(common, part)) for part in (u, v))
    if first is None or second is None or (first.total, first.index) != (second.total, second.index):
        return None
    rest = log_sum_of_others(g, (first, second))
    if rest is None:
        return None
    x, y = (score_at(g, share, share.place) for share in (first, second))
    return margin(g, x, y, (rest,))


@stable(
    "div",
    "(exp(x) - exp(y))/(1 + exp(x) + exp(y)) overflows, and terms of its derivatives cancel",
    Audit("(exp(x) - exp(y))/(1 + exp(x) + exp(y))",
          "margin(x, y, 0), -p*expm1(y - x) for p = share(x, y, 0) and x > y",
          "of three or more; exp(x) - 1, sinh(x) and cosh(x), too",
          _LOG_SUM_EXP, at_pairs((800.0, 1.0), (1.0, 1 + 1e-9), (40.0, -1.0), (-30.0, 5.0))),
    on=lambda ops: ops[0] in (*_PAIRS, "mul", "neg") and ops[1] in ("add", "mul"),
    needs=_PAIRS,
)  # fmt: skip
def pair_over_written_sum(g: Graph, a: Args) -> int | None:
    above, below = factors_of(g, a[0]), factors_of(g, a[1])
    k = next((k for k, factor in enumerate(above) if g.op[factor] in _PAIRS), None)
    for place, divisor in enumerate(below):
        lse = log_of_sum(g, divisor) if k is not None and g.op[divisor] == "add" else None
        if k is not None and lse is not None:
            number, x, y = _pair(g, above[k])
            shares = [g.node("exp", g.sub(score, lse)) for score in (x, y)]
            if any(g.op[p] != "share" for p in shares):
                return None
            rest, missing = remove([*g.args[shares[0]]], [x, y])
            if missing:
                rest = _rest_of_arrays(g, lse, x, y)
            if not rest:
                return None
            made = g.add(*shares) if g.op[above[k]] == "cosh" else margin(g, x, y, rest)
            return quotient_of(g, [g.const(number), *without(above, k), made], without(below, place))
    return None


def _rest_of_arrays(g: Graph, lse: int, x: int, y: int) -> list[int]:
    """The other scores of a logarithm, if x and y are scores of one array among them."""
    scores = [*g.args[lse], *([g.zero] if g.op[lse] == "softplus" else [])]
    for k, total in enumerate(scores):
        found = [array_share(g, g.sub(score, total)) for score in (x, y)] if is_over_axis(g, total) else []
        shares = [share for share in found if share is not None]
        rest = log_sum_of_others(g, shares) if len(shares) == len((x, y)) else None
        if rest is not None:
            return [rest, *without(scores, k)]
    return []


def _pair(g: Graph, node: int) -> tuple[Fraction, int, int]:
    """(c, x, y) of c*(exp(x) - exp(y)), for cosh of c*(exp(x) + exp(y))."""
    args = g.args[node]
    if g.op[node] == "exp_difference":
        c, u, v = args
        return Fraction(1), g.add(c, u), g.add(c, v)
    if g.op[node] == "expm1":
        return Fraction(1), int(args[0]), g.zero
    return _HALF, int(args[0]), g.neg(args[0])


@stable(
    "sub",
    "p - q cancels where two shares are near each other, and its derivatives where one of them is near 1",
    Audit(
        "(1 - exp(x)/(exp(x) + exp(y) + exp(z))) - (1 - exp(y)/(exp(x) + exp(y) + exp(z)))",
        "-margin(x, y, z), p*expm1(y - x) for p = share(x, y, z) and x > y",
        "shares of one sum, or what is left for others", _LOG_SUM_EXP, _THREE,
    ),
    on=lambda ops: ops[0] == ops[1] and ops[0] in ("share", "share_of_others"),
    needs=("share", "share_of_others"),
)  # fmt: skip
def difference_of_shares(g: Graph, a: Args) -> int | None:
    if any(g.op[part] not in ("share", "share_of_others") for part in a) or g.op[a[0]] != g.op[a[1]]:
        return None
    if sorted(g.args[a[0]]) != sorted(g.args[a[1]]):
        return None
    x, y = (g.args[part][0] for part in (a if g.op[a[0]] == "share" else a[::-1]))
    rest, _ = remove([*g.args[a[0]]], [x, y])
    return margin(g, x, y, rest)


@stable(
    "sub",
    "m*p - m*q for two shares cancels where these are near each other, as in mixed derivatives of two levels",
    Audit(
        "log(exp(x) + exp(-x) + exp(y) + exp(-y))", "by x and y: -margin(x, -x, ..)*margin(y, -y, ..)",
        "products with one share each that is not in the other", _LOG_SUM_EXP,
        at_pairs((1e-9, 0.5), (0.25, 1.0), (40.0, 1.0)),
    ),
    on=all_among(*PRODUCTS),
    needs=("share",),
)  # fmt: skip
def difference_of_products_with_shares(g: Graph, a: Args) -> int | None:
    first, second = (factors_of(g, part) for part in a)
    left, rest = remove(first, second)
    if len(left) != 1 or len(rest) != 1 or {g.op[left[0]], g.op[rest[0]]} != {"share"}:
        return None
    common, _ = remove(first, left)
    made = difference_of_shares.apply(g, (left[0], rest[0])) if common else None
    return None if made is None else quotient_of(g, [*common, made], [])
