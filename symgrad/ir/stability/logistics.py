"""Logistic functions: quotients of exponentials that are one, what is left of 1 beside them, their products.

With p = logistic(z), every product of powers of exp(z), 1 + exp(z) and p is one of p, 1 - p = logistic(-z),
p*(1 - p) = logistic_slope(z), 1/cosh and tanh, and so are the derivatives of these: no exponential overflows
beside another one that would have helped, and no two terms of a derivative cancel that are one.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.rules import Args, among, rule
from symgrad.ir.stability.audit import Audit, at, stable
from symgrad.ir.stability.patterns import (
    above_and_below,
    exponent_of,
    factors_of,
    multiple_of,
    numbered,
    quotient_of,
    sum_of_signed,
    terms_of,
    without,
)

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_MAECHLER = "Maechler 2012"
_COMPLEMENT = "the function's symmetry"
_HALF = Fraction(1, 2)
_MOST_ODDS = 2**32  # of the numbers in q + r*exp(z): the logarithm of r/q is added to z, and is rounded there


# ---- quotients of exponentials -----------------------------------------------------------------


@stable(
    "div",
    "1/(1 + exp(-x)) and exp(x)/(1 + exp(x)), times other factors, are logistic(x)",
    Audit(
        "exp(x)/(1 + exp(x))", "logistic(x)",
        "positive numbers beside and before the exponential count, (exp(x) - 1)/(exp(x) + 1) is tanh(x/2)",
        _MAECHLER, at(800.0, -40.0, 0.5, 40.0),
    ),
    on=among("add", "mul", "neg"),
    needs=("exp",),
)  # fmt: skip
def quotient_to_logistic(g: Graph, a: Args) -> int | None:
    below = factors_of(g, a[1])
    for place, divisor in enumerate(below):
        odds = _odds(g, divisor)
        if odds is None:
            continue
        number, times, exponent = odds
        above = factors_of(g, a[0])
        power, less = g.node("exp", exponent), g.node("expm1", exponent)
        shift = g.node("log", g.const(times / number))
        if power in above:
            made, number = g.node("logistic", g.add(exponent, shift)), times
            above = without(above, above.index(power))
        elif less in above and number == times:
            made = g.node("tanh", g.mul(g.const(_HALF), exponent))
            above = without(above, above.index(less))
        elif less in above:
            made = _less_one(g, exponent, shift, number / times)
            above = without(above, above.index(less))
        else:
            made = g.node("logistic", g.neg(g.add(exponent, shift)))
        return quotient_of(g, [g.const(1 / number), *above, made], without(below, place))
    return None


def _less_one(g: Graph, z: int, shift: int, odds: Fraction) -> int:
    """(exp(z) - 1)/(1 + exp(z + shift)), odds = exp(-shift): both terms are divided by exp(z) above 0."""
    is_above = g.node("lt", g.zero, z)
    up, down = g.where(is_above, z, g.zero), g.where(is_above, g.zero, z)
    above = g.mul(
        g.neg(g.node("expm1", g.neg(up))), g.mul(g.const(odds), g.node("logistic", g.add(up, shift)))
    )
    below = g.mul(g.node("expm1", down), g.node("logistic", g.neg(g.add(down, shift))))
    return g.where(is_above, above, below)


def _odds(g: Graph, node: int) -> tuple[Fraction, Fraction, int] | None:
    """(q, r, z) if the node is q + r*exp(z), for positive numbers that are not too far from each other."""
    if g.op[node] != "add":
        return None
    for one, other in (g.args[node], g.args[node][::-1]):
        q, (r, power) = g.rational(one), numbered(g, other)
        z = exponent_of(g, power)
        if q is not None and z is not None and q > 0 and r > 0:
            return (q, r, z) if r / _MOST_ODDS < q < r * _MOST_ODDS else None
    return None


@stable(
    "pow",
    "1 + exp(x) overflows before its powers do, and their derivatives with it",
    Audit("(1 + exp(x))**(1/3)", "exp(softplus(x)/3)", "no whole exponent; powers of logistic functions",
          _MAECHLER, at(800.0, 300.0, -40.0, 0.5)),
    on=among("add", "logistic"),
    needs=("exp", "logistic"),
)  # fmt: skip
def power_of_one_plus_exp(g: Graph, a: Args) -> int | None:
    q = g.rational(a[1])
    return None if q is not None and q.denominator == 1 else _power(g, *a)


def _power(g: Graph, base: int, exponent: int) -> int | None:
    """(q + r*exp(z))**c or logistic(z)**c."""
    if g.op[base] == "logistic":
        return g.node("exp", g.neg(g.mul(exponent, g.node("softplus", g.neg(g.args[base][0])))))
    odds = _odds(g, base)
    if odds is None:
        return None
    number, times, z = odds
    log = g.node("softplus", g.add(z, g.node("log", g.const(times / number))))
    power = g.node("exp", g.mul(exponent, log))
    return power if number == 1 else g.mul(g.node("pow", g.const(number), exponent), power)


_BESIDE_ARGUMENT = {"softplus": ("softplus", 0), "logexpm1": ("log1mexp", 1)}  # x + f(-x), x > a number


@stable(
    "div",
    "log(1 + exp(x))/x is 1 + log(1 + exp(-x))/x: where x is large, the derivative of x/x cancels",
    Audit("log(1 + exp(x))/x", "1 + softplus(-x)/x for x > 0", "x a factor of the divisor; log(exp(x) - 1)",
          _MAECHLER, at(100.0, 20.0, 0.5, -40.0)),
    on=among("softplus", "logexpm1", "mul", "neg"),
    needs=("softplus", "logexpm1"),
)  # fmt: skip
def softplus_over_argument(g: Graph, a: Args) -> int | None:
    above, below = factors_of(g, a[0]), factors_of(g, a[1])
    for place, factor in enumerate(above):
        if g.op[factor] not in _BESIDE_ARGUMENT:
            continue
        (x,), (rest, least) = g.args[factor], _BESIDE_ARGUMENT[g.op[factor]]
        if x not in below:
            continue
        is_far = g.node("lt", g.const(least), x)
        far = g.add(g.one, g.div(g.node(rest, g.neg(x)), x))
        made = g.where(is_far, far, g.div(factor, g.where(is_far, g.one, x)))
        return quotient_of(g, [*without(above, place), made], without(below, below.index(x)))
    return None


# ---- products ----------------------------------------------------------------------------------


_FACTORS = ("logistic", "logistic_slope", "sech", "exp", "expm1", "sinh", "cosh")


@stable(
    "mul",
    "exponentials overflow beside logistic functions of the same value, and terms of derivatives cancel",
    Audit(
        "(1 - 1/(1 + exp(-x)))*exp(x)/(1 + exp(-x))", "logistic(x)**2",
        "p*(1 - p), exp(x)*p**n, exp(x)/cosh(x), (exp(x) - 1)*p", _MAECHLER,
        at(800.0, -40.0, 1e-8, 40.0),
    ),
    on=among(*_FACTORS),
    needs=("logistic", "logistic_slope", "sech"),
)  # fmt: skip
def product_with_logistic(g: Graph, a: Args) -> int | None:
    for factor, other in (a, a[::-1]):
        if g.op[factor] not in _FACTORS:
            continue
        above, below = above_and_below(g, other)
        for place, partner in enumerate(above):
            made = _product(g, factor, partner) if g.op[partner] in _FACTORS else None
            if made is not None:
                return quotient_of(g, [*without(above, place), *made], below)
    return None


def _product(g: Graph, first: int, second: int) -> Sequence[int] | None:
    """The factors of the product of two functions, fewer or smaller ones; None if nothing is gained."""
    for x, y in ((first, second), (second, first)):
        make = _PRODUCTS.get((g.op[x], g.op[y]))
        if make is not None:
            return make(g, g.args[x][0], g.args[y][0], multiple_of(g, g.args[x][0], g.args[y][0]))
    return None


@stable(
    "mul",
    "exp(x) and exp(-x) in a sum overflow before a mean of two states does",
    Audit("(x*exp(x) + exp(-x))/(exp(x) + exp(-x))", "x*logistic(2*x) + logistic(-2*x)",
          "sech(x) beside a sum with an exponential in each of its terms", _MAECHLER, at(800.0, -40.0, 0.5)),
    on=lambda ops: "sech" in ops and ("add" in ops or "sub" in ops),
    needs=("sech",),
)  # fmt: skip
def sum_of_exponentials_times_sech(g: Graph, a: Args) -> int | None:
    for sech, total in (a, a[::-1]):
        terms = terms_of(g, total) if g.op[sech] == "sech" and g.op[total] in ("add", "sub") else []
        if len(terms) > 1 and all(any(g.op[f] == "exp" for f in factors_of(g, term)) for _, term in terms):
            return sum_of_signed(g, [(sign, g.mul(term, sech)) for sign, term in terms])
    return None


def _half_sech(g: Graph, z: int) -> int:
    return g.mul(g.const(_HALF), g.node("sech", g.mul(g.const(_HALF), z)))


def _two_logistics(g: Graph, x: int, z: int, q: Fraction | None) -> Sequence[int] | None:
    return [g.node("logistic_slope", z)] if q == -1 else None


def _exp_logistic(g: Graph, x: int, z: int, q: Fraction | None) -> Sequence[int] | None:
    """exp(q*z)*p, with exp(-z)*p = 1 - p."""
    if q == -_HALF:
        return [_half_sech(g, z)]
    if q is None or q > -1:
        return None
    return [g.node("exp", g.mul(g.const(q + 1), z)), g.node("logistic", g.neg(z))]


def _exp_slope(g: Graph, x: int, z: int, q: Fraction | None) -> Sequence[int] | None:
    return [g.node("logistic", x)] * 2 if q in (1, -1) else None


def _exp_sech(g: Graph, x: int, z: int, q: Fraction | None) -> Sequence[int] | None:
    if q in (1, -1):
        return [g.const(2), g.node("logistic", g.mul(g.const(2), x))]
    return [g.node("exp", g.sub(x, g.node("logcosh", z)))]


def _expm1_logistic(g: Graph, x: int, z: int, q: Fraction | None) -> Sequence[int] | None:
    return [g.node("tanh", g.mul(g.const(_HALF), x))] if q == -1 else None


def _expm1_slope(g: Graph, x: int, z: int, q: Fraction | None) -> Sequence[int] | None:
    return [g.node("tanh", g.mul(g.const(_HALF), x)), g.node("logistic", x)] if q in (1, -1) else None


def _cosh_sech(g: Graph, x: int, z: int, q: Fraction | None) -> Sequence[int] | None:
    return [] if q in (1, -1) else None


def _sinh_sech(g: Graph, x: int, z: int, q: Fraction | None) -> Sequence[int] | None:
    return [g.node("tanh", x)] if q in (1, -1) else None


_PRODUCTS = {
    ("logistic", "logistic"): _two_logistics,
    ("exp", "logistic"): _exp_logistic,
    ("exp", "logistic_slope"): _exp_slope,
    ("exp", "sech"): _exp_sech,
    ("expm1", "logistic"): _expm1_logistic,
    ("expm1", "logistic_slope"): _expm1_slope,
    ("cosh", "sech"): _cosh_sech,
    ("sinh", "sech"): _sinh_sech,
}


@stable(
    "div",
    "a quotient of logistic functions, as of odds, is infinite or nan where one of them underflows",
    Audit(
        "1/((1 - 1/(1 + exp(-x)))*(1 + exp(-x)))", "exp(x)", "p/(1 - p) is exp(x), p*(1 - p)/p is 1 - p, 1/p",
        _COMPLEMENT, at(500.0, -700.0, 1e-8, 40.0),
    ),
    on=lambda ops: ops[1] in ("logistic", "logistic_slope", "mul"),
    needs=("logistic", "logistic_slope"),
)  # fmt: skip
def quotient_of_logistics(g: Graph, a: Args) -> int | None:
    above, below = factors_of(g, a[0]), factors_of(g, a[1])
    for place, divisor in enumerate(below):
        if g.op[divisor] not in ("logistic", "logistic_slope"):
            continue
        (z,) = g.args[divisor]
        for at_place, factor in enumerate(above):
            made = _quotient(g, factor, divisor) if g.op[factor] in ("logistic", "logistic_slope") else None
            if made is not None:
                more, rest = made
                return quotient_of(g, [*without(above, at_place), *more], [*without(below, place), *rest])
        if g.op[divisor] == "logistic" and all(g.op[f] == "const" for f in above):
            whole = g.add(g.one, g.node("exp", g.neg(z)))
            return quotient_of(g, [*above, whole], without(below, place))
    return None


def _quotient(g: Graph, factor: int, divisor: int) -> tuple[list[int], list[int]] | None:
    """What is above and below when one logistic function or slope is divided by another."""
    (x,), (z,) = g.args[factor], g.args[divisor]
    q = multiple_of(g, x, z)
    if q is None or abs(q) != 1:
        return None
    if g.op[factor] == g.op[divisor]:
        return ([], []) if q == 1 or g.op[factor] == "logistic_slope" else ([g.node("exp", x)], [])
    if g.op[factor] == "logistic_slope":
        return [g.node("logistic", g.neg(z))], []
    return [], [g.node("logistic", g.neg(x))]


@rule("logistic_slope", "the slope of the logistic function is even", on=among("neg", "sub", "mul"))
def slope_of_negative(g: Graph, a: Args) -> int | None:
    return _of_one_sign(g, "logistic_slope", a[0])


@rule("sech", "1/cosh is even", on=among("neg", "sub", "mul"))
def sech_of_negative(g: Graph, a: Args) -> int | None:
    return _of_one_sign(g, "sech", a[0])


def _of_one_sign(g: Graph, op: str, x: int) -> int | None:
    """op(-x) as op(x), also of -2*x, and op(x - y) as op(y - x) if that is the order of the two."""
    if g.op[x] == "neg":
        return g.node(op, g.args[x][0])
    if g.op[x] == "mul" and (q := g.rational(g.args[x][0])) and q < 0:
        return g.node(op, g.mul(g.const(-q), g.args[x][1]))
    if g.op[x] == "sub" and not g.is_ordered(*g.args[x]):
        return g.intern(op, (g.intern("sub", g.args[x][::-1]),))
    return None


# ---- beside a number ---------------------------------------------------------------------------


def _beside_number(g: Graph, a: Args, sign: int) -> int | None:
    """c + d*f, where all of it cancels as f saturates, or vanishes."""
    for (x, before), (y, after) in (((a[0], 1), (a[1], sign)), ((a[1], sign), (a[0], 1))):
        c = g.rational(x)
        if c:
            d, f = numbered(g, y)
            return _left(g, before * c, after * d, f)
    return None


def _left(g: Graph, c: Fraction, d: Fraction, f: int) -> int | None:
    op, args = g.op[f], g.args[f]
    if op == "tanh" and abs(c) == abs(d):
        twice = g.mul(g.const(2 if c == d else -2), args[0])
        return g.mul(g.const(2 * c), g.node("logistic", twice))
    if op == "logistic" and d == -2 * c:
        return g.mul(g.const(-c), g.node("tanh", g.mul(g.const(_HALF), args[0])))
    if c != -d:
        return None
    made = g.sub(g.one, f) if op in ("cosh", "exp") and abs(c) != 1 else _one_minus(g, f)
    return None if made is None else g.mul(g.const(c), made)


def _one_minus(g: Graph, f: int) -> int | None:
    """1 - f for a logistic function, or a square of tanh or 1/cosh."""
    if g.op[f] == "logistic":
        return g.node("logistic", g.neg(g.args[f][0]))
    if g.op[f] == "mul" and g.args[f][0] == g.args[f][1] and g.op[g.args[f][0]] in ("tanh", "sech"):
        inner = g.args[f][0]
        other = g.node("sech" if g.op[inner] == "tanh" else "tanh", g.args[inner][0])
        return g.mul(other, other)
    return None


_SATURATE = ("logistic", "tanh", "mul")


def _may_saturate(ops: Sequence[str]) -> bool:
    return "const" in ops and any(op in _SATURATE for op in ops)


@stable(
    "sub",
    "1 - p cancels where p is near 1, and 1 - 2*p where p is near 1/2; other functions have the digits",
    Audit(
        "1 - 1/(1 + exp(-x))", "logistic(-x)",
        "1 - 2*p is -tanh(x/2), 1 - tanh(x) is 2*logistic(-2*x), 1 - tanh(x)**2 is sech(x)**2; multiples",
        _COMPLEMENT, at(40.0, 800.0, -3.0, 0.5),
    ),
    on=_may_saturate,
    needs=("logistic", "tanh", "sech", "cosh", "exp"),
)  # fmt: skip
def number_less_saturating(g: Graph, a: Args) -> int | None:
    return _beside_number(g, a, -1)


@stable(
    "add",
    "1 + tanh(x) cancels where tanh is near -1, and p - 1/2 where p is near 1/2",
    Audit("1 + tanh(x)", "2*logistic(2*x)", "as above", _COMPLEMENT, at(-20.0, -300.0, 0.5, 30.0)),
    on=_may_saturate,
    needs=("logistic", "tanh", "sech", "cosh", "exp"),
)  # fmt: skip
def number_plus_saturating(g: Graph, a: Args) -> int | None:
    return _beside_number(g, a, 1)
