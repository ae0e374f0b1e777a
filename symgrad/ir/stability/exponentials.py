"""Exponentials near 1, and products of exponentials that overflow one by one."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.rules import Args, among, exactly
from symgrad.ir.stability.audit import Audit, at, at_pairs, stable
from symgrad.ir.stability.patterns import (
    above_and_below,
    argument_of,
    exponent_of,
    factors_of,
    multiple_of,
    numbered,
    quotient_of,
    without,
)

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_HIGHAM = "Higham 2002, section 1.14"
_MAECHLER = "Maechler 2012"
_KNUTH = "Knuth 1997, section 4.2.2"
_LARGE_OVER_LARGE = {"exp": "expm1", "cosh": "sinh"}  # quotients of two that overflow together


@stable(
    "sub",
    "exp(x) - 1 cancels near 0; expm1 does not",
    Audit("1 - exp(x)", "-expm1(x)", "always; exp(x) - 1 counts", _HIGHAM, at(1e-12, -1e-9, 0.25, -40.0)),
    on=among("const"),
)
def exp_minus_one_to_expm1(g: Graph, a: Args) -> int | None:
    x, y = a
    if y == g.one and g.op[x] == "exp":
        return g.node("expm1", g.args[x][0])
    if x == g.one and g.op[y] == "exp":
        return g.neg(g.node("expm1", g.args[y][0]))
    return None


@stable(
    "add",
    "exp(x) + (-1) is expm1(x)",
    Audit("exp(x) - 1", "expm1(x)", "always", _HIGHAM, at(1e-12, -1e-9, 0.25, 5e-324)),
    on=among("const"),
)
def exp_plus_minus_one_to_expm1(g: Graph, a: Args) -> int | None:
    for x, y in (a, a[::-1]):
        if g.op[x] == "exp" and y == g.minus_one:
            return g.node("expm1", g.args[x][0])
    return None


@stable(
    "mul",
    "exp(x/3)/(1 + exp(x))**(1/3) is infinity over infinity where it is 1; a sum of exponents cancels",
    Audit("sqrt(1 - 1/(1 + exp(-x)))/sqrt(1 + exp(-x))", "exp(-logcosh(x/2) - log(2)); exp(-softplus(-x)/3)",
          "powers of 1 + exp(x) and 1 + exp(-x), or of exp(x)", _MAECHLER, at(800.0, 1e-8, -40.0, 0.5)),
    on=exactly("exp", "exp"),
)  # fmt: skip
def exp_times_power_of_one_plus_exp(g: Graph, a: Args) -> int | None:
    for first, second in (a, a[::-1]):
        power = _softplus_times(g, g.args[first][0]) if g.op[first] == "exp" == g.op[second] else None
        if power is None:
            continue
        (c, z), y = power, g.args[second][0]
        other = _softplus_times(g, y)
        if other is not None and other[0] == c and multiple_of(g, other[1], z) == -1:
            half = g.node("logcosh", g.mul(g.const(Fraction(1, 2)), z))
            return g.node("exp", g.mul(g.const(2 * c), g.add(half, g.node("log", g.const(2)))))
        if multiple_of(g, y, z) == -c:
            return g.node("exp", g.mul(g.const(c), g.node("softplus", g.neg(z))))
    return None


def _softplus_times(g: Graph, node: int) -> tuple[Fraction, int] | None:
    """(c, z) of c*softplus(z)."""
    c, inner = numbered(g, node)
    z = argument_of(g, "softplus", inner)
    return None if z is None else (c, z)


@stable(
    "mul",
    "one exponential overflows or underflows where their product does not",
    Audit(
        "exp(x)*exp(-y)", "exp_of_sum(x, -y)", "two exponentials", _KNUTH,
        at_pairs((800.0, 799.5), (0.1, 0.3), (-760.0, -750.25), (300.3, 0.7)),
    ),
    on=exactly("exp", "exp"),
)  # fmt: skip
def exp_times_exp(g: Graph, a: Args) -> int | None:
    x, y = exponent_of(g, a[0]), exponent_of(g, a[1])
    if x is None or y is None:
        return None
    return g.node("exp", g.mul(g.const(2), x)) if x == y else g.node("exp_of_sum", x, y)


@stable(
    "div",
    "a quotient by an exponential that overflows is 0 where its product with exp(-x) is not",
    Audit("exp(x/3)/(1 + exp(x))**(1/3)", "exp(x/3)*exp(-softplus(x)/3)", "an exponential is divided by",
          _KNUTH, at(800.0, 300.0, -40.0, 0.5)),
    on=lambda ops: ops[1] in ("exp", "mul", "neg"),
    needs=("exp",),
)  # fmt: skip
def over_exponential(g: Graph, a: Args) -> int | None:
    below = factors_of(g, a[1])
    for place, factor in enumerate(below):
        x = exponent_of(g, factor)
        if x is not None:
            return quotient_of(g, [a[0], g.node("exp", g.neg(x))], without(below, place))
    return None


@stable(
    "exp",
    "exp(-log(1 + exp(x))) is logistic(-x): its digits do not go through a logarithm",
    Audit("exp(x)/(exp(x) + exp(y))", "logistic(x - y)", "always", "Maechler 2012",
          at_pairs((1000.0, 1000.5), (40.0, 0.0), (-800.0, -801.0))),
    on=among("neg"),
)  # fmt: skip
def exp_of_minus_softplus_to_logistic(g: Graph, a: Args) -> int | None:
    inner = argument_of(g, "neg", a[0])
    x = None if inner is None else argument_of(g, "softplus", inner)
    return None if x is None else g.node("logistic", g.neg(x))


@stable(
    "div",
    "exp(x)/(exp(x) - 1) and cosh(x)/sinh(x) are infinity over infinity where they are 1",
    Audit("x*exp(x)/(exp(x) - 1)", "x*exp_share(x), x/tanh(x)", "factors of a quotient", _HIGHAM,
          at(800.0, -700.0, 0.5, 40.0)),
    on=among(*_LARGE_OVER_LARGE, "mul", "neg"),
    needs=_LARGE_OVER_LARGE.values(),
)  # fmt: skip
def large_over_large(g: Graph, a: Args) -> int | None:
    return _without_overflow(g, factors_of(g, a[0]), factors_of(g, a[1]))


@stable(
    "div",
    "cosh(x) is infinite where 1/cosh(x) has derivatives still, and sinh(x)/cosh(x) is 1",
    Audit("sinh(x)/cosh(x)", "tanh(x); over cosh(x) times sech(x) else", "factors of a quotient", _HIGHAM,
          at(800.0, -750.0, 0.5, 40.0)),
    on=among("cosh", "mul"),
    needs=("cosh",),
)  # fmt: skip
def over_cosh(g: Graph, a: Args) -> int | None:
    below = factors_of(g, a[1])
    for place, factor in enumerate(below):
        x = argument_of(g, "cosh", factor)
        if x is None:
            continue
        above, opposite = factors_of(g, a[0]), g.node("sinh", x)
        if factor in above:
            return None
        if opposite in above:
            made = [*without(above, above.index(opposite)), g.node("tanh", x)]
        else:
            made = [*above, g.node("sech", x)]
        return quotient_of(g, made, without(below, place))
    return None


@stable(
    "mul",
    "exp(x) times 1/(exp(x) - 1) is infinity times 0 where it is 1; so derivatives of x/(exp(x) - 1) come",
    Audit("x/sinh(x)", "of derivatives: x/sinh(x)/tanh(x)", "factors of a product with a quotient", _HIGHAM,
          at(800.0, -800.0, 0.5, 40.0)),
    on=lambda ops: any(op in _LARGE_OVER_LARGE for op in ops) and bool({"div", "neg", "mul"} & set(ops)),
    needs=_LARGE_OVER_LARGE.values(),
)  # fmt: skip
def large_times_quotient(g: Graph, a: Args) -> int | None:
    for large, other in (a, a[::-1]):
        if g.op[large] in _LARGE_OVER_LARGE:
            above, below = above_and_below(g, other)
            return _without_overflow(g, [*above, large], below)
    return None


def _without_overflow(g: Graph, above: list[int], below: list[int]) -> int | None:
    """The quotient of two products without exp(x) over expm1(x), or cosh(x) over sinh(x)."""
    for place, factor in enumerate(above):
        partner = _LARGE_OVER_LARGE.get(g.op[factor])
        k = next((k for k, f in enumerate(below) if g.op[f] == partner and g.args[f] == g.args[factor]), None)
        if k is None:
            continue
        (x,) = g.args[factor]
        rest, divisors = without(above, place), without(below, k)
        if partner == "sinh":
            return quotient_of(g, rest, [*divisors, g.node("tanh", x)])
        return quotient_of(g, [*rest, g.node("exp_share", x)], divisors)
    return None
