"""Sums of opposite exponentials, which are hyperbolic functions, and logarithms of these."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.product import product_of
from symgrad.ir.rules import Args, among, rule
from symgrad.ir.stability.audit import Audit, at, at_pairs, stable
from symgrad.ir.stability.patterns import MOST_FACTORS, exponent_of, numbered, one_plus

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_GUDERMANN = "DLMF 4.23.39 to 4.23.42, the Gudermannian function"
_HIGHAM = "Higham 2002, section 1.14"
_DEFINITION = "DLMF 4.28"


def _power(g: Graph, node: int) -> tuple[Fraction, int] | None:
    """(c, x) of c*exp(x)."""
    c, power = numbered(g, node)
    x = exponent_of(g, power)
    return None if x is None else (c, x)


def _of_opposite(g: Graph, a: Args, sign: int) -> int | None:
    """2*c*cosh(x) for c*exp(x) and c*exp(-x), 2*c*sinh(x) where one of them has the other sign."""
    first = _power(g, a[0])
    second = None if first is None else _power(g, a[1])
    if first is None or second is None or second[1] != g.neg(first[1]) or abs(first[0]) != abs(second[0]):
        return None
    (c, x), is_negative = first, g.op[first[1]] == "neg"
    op = "cosh" if second[0] * sign == c else "sinh"
    made = g.mul(g.const(2 * c), g.node(op, second[1] if is_negative else x))
    return g.neg(made) if is_negative and op == "sinh" else made


@stable(
    "add",
    "the derivative of exp(x) + exp(-x) cancels near 0, its quotients overflow, and its logarithm",
    Audit("(exp(x) - exp(-x))/(exp(x) + exp(-x))", "tanh(x)",
          "opposite exponents: 2*cosh(x); equal or opposite numbers before",
          _DEFINITION, at(1e-8, 0.5, 30.0, -800.0)),
    on=lambda ops: all(op in ("exp", "mul") for op in ops),
    needs=("exp",),
)  # fmt: skip
def sum_of_exponentials_to_cosh(g: Graph, a: Args) -> int | None:
    return _of_opposite(g, a, 1)


@stable(
    "sub",
    "exp(x) - exp(-x) cancels near 0",
    Audit("exp(x) - exp(-x)", "2*sinh(x)", "likewise", _HIGHAM,
          at(1e-8, 1e-3, 3.0, -30.0)),
    on=lambda ops: all(op in ("exp", "mul") for op in ops),
    needs=("exp",),
)  # fmt: skip
def difference_of_exponentials_to_sinh(g: Graph, a: Args) -> int | None:
    return _of_opposite(g, a, -1)


# ---- logarithms ----------------------------------------------------------------------------------


_SMOOTH = ("exp", "logistic", "logistic_slope", "sech", "cosh")  # their logarithms are no logarithms


@stable(
    "log",
    "1/cosh(x) underflows, and 1/cosh(0) is rounded to 1",
    Audit("log(1/cosh(x)**2)", "-2*logcosh(x)", "always", _HIGHAM, at(1e-6, 0.5, 30.0, -800.0)),
    on=among("sech"),
)
def log_of_sech(g: Graph, a: Args) -> int | None:
    return g.neg(g.node("logcosh", g.args[a[0]][0])) if g.op[a[0]] == "sech" else None


@stable(
    "log",
    "p*(1 - p), the slope of the logistic function, underflows",
    Audit("log(exp(x)/(1 + exp(x))**2)", "-2*logcosh(x/2) - log(4)", "always", _HIGHAM,
          at(1e-6, 0.5, 30.0, -800.0)),
    on=among("logistic_slope"),
)  # fmt: skip
def log_of_logistic_slope(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] != "logistic_slope":
        return None
    half = g.mul(g.const(Fraction(1, 2)), g.args[a[0]][0])
    return g.sub(g.mul(g.const(-2), g.node("logcosh", half)), g.node("log", g.const(4)))


@stable(
    "log",
    "a product of exponentials and logistic functions underflows, or is rounded to 1, before its logarithm",
    Audit("log(1/((1 + exp(-x))*(1 + exp(-y))))", "-softplus(-x) - softplus(-y)",
          "exp, cosh, logistic functions and what they divide, positive numbers aside", _HIGHAM,
          at_pairs((40.0, 30.0), (-800.0, 1.0), (0.5, 1e-8))),
    on=among("mul", "div"),
    needs=_SMOOTH,
)  # fmt: skip
def log_of_smooth_product(g: Graph, a: Args) -> int | None:
    parts = product_of(g, a[0], MOST_FACTORS) if g.op[a[0]] in ("mul", "div") else None
    factors = () if parts is None else (*parts.above, *parts.below)
    if parts is None or parts.number <= 0 or not factors or not all(_is_smooth(g, n) for n in factors):
        return None
    total = g.node("log", g.const(parts.number))
    for factor in parts.above:
        total = g.add(total, g.node("log", factor))
    for factor in parts.below:
        total = g.sub(total, g.node("log", factor))
    return total


def _is_smooth(g: Graph, node: int) -> bool:
    rest = one_plus(g, node)
    return g.op[node] in _SMOOTH or (rest is not None and g.op[rest] == "exp")


@rule("abs", "what is never negative is its own modulus", on=among(*_SMOOTH, "softplus"))
def abs_of_positive(g: Graph, a: Args) -> int | None:
    return a[0] if g.op[a[0]] in (*_SMOOTH, "softplus") else None


# ---- the Gudermannian function -----------------------------------------------------------------


@stable(
    "atan",
    "sinh(x) overflows, and its square in the derivatives of atan(sinh(x)) before it",
    Audit("atan(sinh(x))", "2*atan(tanh(x/2))", "always", _GUDERMANN, at(1e-8, 0.5, -20.0, 500.0, 800.0)),
    on=among("sinh"),
)  # fmt: skip
def atan_of_sinh(g: Graph, a: Args) -> int | None:
    return _gudermannian(g, g.args[a[0]][0]) if g.op[a[0]] == "sinh" else None


@stable(
    "asin",
    "tanh(x) is rounded to 1, where the sine is flat: asin(tanh(x)) keeps half of the digits, or none",
    Audit("asin(tanh(x))", "2*atan(tanh(x/2))", "always", _GUDERMANN, at(1e-8, 0.5, -20.0, 40.0)),
    on=among("tanh"),
)  # fmt: skip
def asin_of_tanh(g: Graph, a: Args) -> int | None:
    return _gudermannian(g, g.args[a[0]][0]) if g.op[a[0]] == "tanh" else None


@stable(
    "acos",
    "acos(tanh(x)) is 2*exp(-x) where tanh(x) is rounded to 1",
    Audit("acos(tanh(x))", "2*atan(exp(-x))", "always", _GUDERMANN, at(1e-8, 0.5, -20.0, 40.0)),
    on=among("tanh"),
)  # fmt: skip
def acos_of_tanh(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] != "tanh":
        return None
    return g.mul(g.const(2), g.node("atan", g.node("exp", g.neg(g.args[a[0]][0]))))


def _gudermannian(g: Graph, x: int) -> int:
    return g.mul(g.const(2), g.node("atan", g.node("tanh", g.mul(g.const(Fraction(1, 2)), x))))
