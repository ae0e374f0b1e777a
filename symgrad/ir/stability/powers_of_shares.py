"""Powers of softmaxes, and what the powers of all shares leave of 1.

    exp(q*x)/(exp(x) + exp(y))**q    p**q = exp(q*log(p))          a share p, whose logarithm is known
    exp(x)/(exp(x) + exp(y))**q      p*(exp(x) + exp(y))**(1 - q)  for 0 < q < 1, as in a nested logit
    1 - p1**q - p2**q - p3**q        p1*(1 - p1**(q - 1)) + ...    as p1 + p2 + p3 = 1

The last is the impurity of Gini for q = 2, and Tsallis's entropy but for a number. Where one share is near 1,
the terms on the right are small and have one sign.

Source: Blanchard, Higham & Higham 2021, section 4; McFadden 1978, Modelling the choice of residential
location (nested logit); Tsallis 1988, Possible generalization of Boltzmann-Gibbs statistics.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from symgrad.ir.product import powers_in
from symgrad.ir.rules import Args, among
from symgrad.ir.stability.audit import Audit, at, at_pairs, stable
from symgrad.ir.stability.log_sums import log_of_sum
from symgrad.ir.stability.patterns import (
    MOST_FACTORS,
    factors_of,
    numbered,
    quotient_of,
    remove,
    sum_of_signed,
    terms_of,
    without,
)

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_LOG_SUM_EXP = "Blanchard, Higham & Higham 2021, section 4"
_HALF = Fraction(1, 2)
_MOST_SHARES = 7  # and 1: the terms of a sum that are looked at


# ---- powers ------------------------------------------------------------------------------------


@stable(
    "div",
    "a power of a sum of exponentials overflows, and its quotient with one is a power of a share",
    Audit(
        "exp(x/2)/sqrt(exp(x) + exp(y))", "exp(log(logistic(x - y))/2)",
        "exp(q*x) over S**q for a score x; exp(x) over S**q for q < 1", _LOG_SUM_EXP,
        at_pairs((800.0, 1.0), (1.0, 900.0), (40.0, -1.0), (-30.0, 5.0)),
    ),
    on=lambda ops: ops[0] in ("exp", "exp_of_sum", "mul", "neg") and ops[1] in ("sqrt", "pow", "mul"),
    needs=("exp",),
)  # fmt: skip
def power_of_share(g: Graph, a: Args) -> int | None:
    above, below = factors_of(g, a[0]), factors_of(g, a[1])
    for place, divisor in enumerate(below):
        total, q = _base_and_exponent(g, divisor)
        lse = log_of_sum(g, total) if q > 0 else None
        if lse is None:
            continue
        for k, factor in enumerate(above):
            made = _over_power(g, factor, total, lse, q) if g.op[factor] == "exp" else None
            if made is not None:
                return quotient_of(g, [*without(above, k), *made], without(below, place))
    return None


@stable(
    "div",
    "a root of a sum of exponentials over a sum with that root overflows: it is a share of it",
    Audit(
        "sqrt(exp(x) + exp(y))/(sqrt(exp(x) + exp(y)) + exp(z))", "logistic(logaddexp(x, y)/2 - z)",
        "powers of such sums, beside other exponentials", "McFadden 1978",
        tuple(dict(zip("xyz", scores, strict=True))
              for scores in ((800.0, 1.0, 300.0), (1.0, 900.0, -3.0), (40.0, -1.0, 25.0), (-30.0, 5.0, 2.0))),
    ),
    on=lambda ops: ops[0] in ("sqrt", "pow", "mul", "neg") and ops[1] in ("add", "mul"),
    needs=("exp",),
)  # fmt: skip
def root_over_sum_with_root(g: Graph, a: Args) -> int | None:
    above, below = factors_of(g, a[0]), factors_of(g, a[1])
    for k, factor in enumerate(above):
        total, q = _base_and_exponent(g, factor)
        lse = log_of_sum(g, total) if q > 0 else None
        if lse is None:
            continue
        for place, divisor in enumerate(below):
            whole = log_of_sum(g, divisor) if g.op[divisor] == "add" else None
            log = None if whole is None else _log_share(g, g.mul(g.const(q), lse), whole)
            if log is not None:
                return quotient_of(g, [*without(above, k), g.node("exp", log)], without(below, place))
    return None


def _base_and_exponent(g: Graph, node: int) -> tuple[int, Fraction]:
    """The sum S of exponentials and q of S**q; q = 0 if it is none."""
    q: Fraction | None = None
    if g.op[node] == "sqrt":
        q = _HALF
    elif g.op[node] == "pow":
        q = g.rational(g.args[node][1])
    is_sum = q is not None and g.op[g.args[node][0]] == "add"
    return (g.args[node][0], q) if q is not None and is_sum else (node, Fraction(0))


def _over_power(g: Graph, power: int, total: int, lse: int, q: Fraction) -> list[int] | None:
    """The factors of exp(x) over total**q."""
    (x,) = g.args[power]
    log = _log_share(g, g.mul(g.const(1 / q), x), lse)
    if log is not None:
        return [g.node("exp", g.mul(g.const(q), log))]
    if q < 1 and _log_share(g, x, lse) is not None:
        rest = g.node("sqrt", total) if q == _HALF else g.node("pow", total, g.const(1 - q))
        return [g.node("exp", g.sub(x, lse)), rest]
    return None


def _log_share(g: Graph, x: int, lse: int) -> int | None:
    """log(p) if x is a score."""
    share = g.node("exp", g.sub(x, lse))
    return g.node("log", share) if g.op[share] in ("share", "logistic") else None


# ---- what is left of 1 -------------------------------------------------------------------------


class _Power(NamedTuple):
    """number*share**exponent."""

    number: Fraction
    share: int
    exponent: Fraction


@stable(
    "sub",
    "1 less powers of all shares cancels where one of them is near 1",
    Audit("1 - 1/(1 + exp(-x))**(3/2) - 1/(1 + exp(x))**(3/2)", "-p*expm1(log(p)/2) - q*expm1(log(q)/2)",
          "equal powers above 1 of all shares of a softmax, and the number before them", "Tsallis 1988",
          at(40.0, -3.0, 0.5, 800.0)),
    on=among("add", "mul", "exp", "expm1", "square_difference"),
    needs=("share", "logistic", "softplus"),
)  # fmt: skip
def whole_less_powers(g: Graph, a: Args) -> int | None:
    return _less_powers(g, [*terms_of(g, a[0]), *((-s, n) for s, n in terms_of(g, a[1]))])


@stable(
    "add",
    "1 and negative multiples of powers of all shares cancel where one of them is near 1",
    Audit("2 - 2/(1 + exp(-x))**(3/2) - 2/(1 + exp(x))**(3/2)", "-2*p*expm1(log(p)/2) - ..", "as above",
          "Tsallis 1988", at(40.0, -3.0, 0.5, 800.0)),
    on=among("add", "mul", "exp", "expm1", "square_difference"),
    needs=("share", "logistic", "softplus"),
)  # fmt: skip
def whole_plus_negative_powers(g: Graph, a: Args) -> int | None:
    return _less_powers(g, [*terms_of(g, a[0]), *terms_of(g, a[1])])


def _less_powers(g: Graph, terms: list[tuple[int, int]]) -> int | None:
    number, powers, others = Fraction(0), list[_Power](), list[tuple[int, int]]()
    for sign, term in _powers_apart(g, terms):
        q = g.rational(term) if g.op[term] == "const" else None
        power = _power(g, sign, term) if q is None else None
        if q is not None:
            number += sign * q
        elif power is not None:
            powers.append(power)
        else:
            others.append((sign, term))
    if not number or not 1 < len(powers) <= _MOST_SHARES or not _are_all(g, powers, -number):
        return None
    total = g.sum_of(_left(g, power.share, power.exponent) for power in powers)
    return g.add(sum_of_signed(g, others), g.mul(g.const(number), total))


def _powers_apart(g: Graph, terms: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """With 1 and -p**2 for 1 - p**2, and exp(x) and -1 for exp(x) - 1, as what was added first."""
    found: list[tuple[int, int]] = []
    for sign, term in terms:
        number, power = numbered(g, term)
        if g.op[power] == "expm1":
            exponential = g.mul(g.const(number), g.node("exp", g.args[power][0]))
            found += [(-sign, g.const(number)), (sign, exponential)]
        elif g.op[term] == "square_difference" and g.args[term][0] == g.one:
            p = g.args[term][1]
            found += [(sign, g.one), (-sign, g.mul(p, p))]
        else:
            found.append((sign, term))
    return found


def _power(g: Graph, sign: int, term: int) -> _Power | None:
    number, power = numbered(g, term)
    if g.op[power] == "exp":
        q, log = numbered(g, g.args[power][0])
        if g.op[log] == "softplus":
            return _Power(sign * number, g.node("logistic", g.neg(g.args[log][0])), -q)
        return _Power(sign * number, g.node("exp", log), q) if g.op[log] == "log_share" else None
    parts = powers_in(g, power, MOST_FACTORS) if g.op[power] == "mul" else None
    if parts is None or len(parts[1]) != 1:
        return None
    ((share, n),) = parts[1].items()
    is_share = g.op[share] in ("share", "logistic")
    return _Power(sign * number * parts[0], share, Fraction(n)) if is_share else None


def _are_all(g: Graph, powers: list[_Power], number: Fraction) -> bool:
    """Whether these are all the shares of one softmax, with one exponent above 1 and this number."""
    q = powers[0].exponent
    if q <= 1 or any(power.exponent != q or power.number != number for power in powers):
        return False
    shares = [power.share for power in powers]
    if g.op[shares[0]] == "logistic":
        return shares[1:] == [g.node("logistic", g.neg(g.args[shares[0]][0]))]
    scores = sorted(g.args[shares[0]])
    if any(g.op[p] != "share" or sorted(g.args[p]) != scores for p in shares):
        return False
    return remove(scores, [g.args[p][0] for p in shares]) == ([], [])


def _left(g: Graph, share: int, q: Fraction) -> int:
    """p - p**q."""
    if q == 2:
        return g.mul(share, g.sub(g.one, share))
    return g.neg(g.mul(share, g.node("expm1", g.mul(g.const(q - 1), g.node("log", share)))))
