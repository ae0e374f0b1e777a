"""Exponential, trigonometric and Fresnel integrals, and Lambert's W: rows of the op table."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from symgrad.ir.expansion import by_expansion
from symgrad.ir.op import NoDerivative, Op, mp_function, scipy_function

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Args = tuple[int, ...]


# ---- integrals -----------------------------------------------------------------------------------


def _over_x(op: str) -> Any:
    """f(x)/x."""
    return lambda g, a, y: g.div(g.node(op, a[0]), a[0])


def _fresnel_slope(op: str) -> Any:
    def slope(g: Graph, a: Args, y: int) -> int:
        half_pi = g.mul(g.const(Fraction(1, 2)), g.const("pi"))
        return g.node(op, g.mul(half_pi, g.mul(a[0], a[0])))

    return slope


def _expint_slope(g: Graph, a: Args, y: int) -> int:
    """-E_{n-1}(x), DLMF 8.19.13."""
    return g.neg(expint(g, g.sub(a[0], g.one), a[1]))


def expint(g: Graph, n: int, x: int) -> int:
    """E_n(x); for whole n <= 0 by E_0 = exp(-x)/x and E_n = (exp(-x) - n*E_{n+1})/x (DLMF 8.19.12)."""
    q = g.rational(n)
    if q is None or q > 0 or q.denominator != 1:
        return g.node("expint", n, x)
    e = g.node("exp", g.neg(x))
    value = g.div(e, x)
    for k in range(1, 1 - int(q)):
        value = g.div(g.add(e, g.mul(g.const(k), value)), x)
    return value


def _mp_even(name: str) -> Any:
    """The real part of Ci or Chi: even in x."""
    return lambda x: mp_function(name)(abs(x)) if x else -mp_function("mpf")("inf")


# ---- Lambert's W ---------------------------------------------------------------------------------

# 1/e in parts: the first has 24 bits, so that x + 1/e keeps its digits next to the branch point.
_INVERSE_E = Fraction("0.36787944117144232159552377016146086744581113103176783450783680169746149574489980336")
_UPPER = Fraction(round(_INVERSE_E * 2**24), 2**24)
_MIDDLE = Fraction(float(_INVERSE_E - _UPPER))
_INVERSE_E_PARTS = (_UPPER, _MIDDLE, _INVERSE_E - _UPPER - _MIDDLE)
_E = Fraction("2.71828182845904523536028747135266249775724709369995957496696762772407663035354759")
_NEAR_BRANCH = Fraction(3, 10)  # of p = sqrt(2(1 + e*x))
_BRANCH_TERMS = 26


def _branch_coefficients(count: int) -> list[Fraction]:
    """W as a series in p = sqrt(2(1 + e*x)).

    Source: Corless et al. 1996, On the Lambert W function, equations 4.23 and 4.24.
    """
    mu = [Fraction(-1), Fraction(1)]
    alpha = [Fraction(2), Fraction(-1)]
    for k in range(2, count):
        alpha.append(sum((mu[j] * mu[k + 1 - j] for j in range(2, k)), Fraction(0)))
        first = Fraction(k - 1, k + 1) * (mu[k - 2] / 2 + alpha[k - 2] / 4)
        mu.append(first - alpha[k] / 2 - mu[k - 1] / (k + 1))
    return mu


def _expand_lambertw(g: Graph, a: Args) -> int:
    return _branch_or_steps(g, a[0], g.zero)


def _expand_above_branch(g: Graph, a: Args) -> int:
    return _branch_or_steps(g, a[0], g.one)


def _branch_or_steps(g: Graph, x: int, more: int) -> int:
    """W + more: the series at the branch point near it; elsewhere two steps of fourth order from a guess.

    Fritsch, Shafer and Crowley 1973, Algorithm 443: with z = log(x/w) - w and q = 2(1+w)(1+w+2z/3), the next
    w is w(1 + z/(1+w) * (q-z)/(q-2z)).
    """
    above = x
    for part in _INVERSE_E_PARTS:
        above = g.add(above, g.const(part))
    p = g.node("sqrt", g.mul(g.const(2 * _E), above))
    rise = g.zero  # 1 + W
    for c in reversed(_branch_coefficients(_BRANCH_TERMS)[1:]):
        rise = g.mul(p, g.add(rise, g.const(c)))
    near = g.sub(rise, g.one)
    is_near = g.node("lt", p, g.const(_NEAR_BRANCH))
    log = g.node("log1p", x)
    quotient = g.div(g.node("log1p", log), g.add(g.const(2), log))
    guess = g.mul(log, g.sub(g.one, quotient))
    w = g.where(g.node("lt", x, g.const(Fraction(-1, 4))), near, guess)
    for _ in range(2):
        w = _lambertw_step(g, x, w)
    ends = g.node("or", g.node("eq", x, g.zero), g.node("eq", x, g.const(float("inf"))))
    series = near if more == g.zero else rise
    return g.where(is_near, series, g.add(g.where(ends, x, w), more))


def _lambertw_step(g: Graph, x: int, w: int) -> int:
    z = g.sub(g.node("log", g.div(x, w)), w)
    one_plus = g.add(g.one, w)
    q = g.mul(g.mul(g.const(2), one_plus), g.add(one_plus, g.mul(g.const(Fraction(2, 3)), z)))
    ratio = g.div(g.sub(q, z), g.sub(q, g.mul(g.const(2), z)))
    return g.add(w, g.mul(w, g.mul(g.div(z, one_plus), ratio)))


def _lambertw_slope(g: Graph, a: Args, y: int) -> int:
    """exp(-W)/(1 + W), DLMF 4.13.4."""
    return g.div(g.node("exp", g.neg(g.node("lambertw", a[0]))), g.node("lambertw_above", a[0]))


def _mp_above_branch(x: Any) -> Any:
    return 1 + mp_function("lambertw")(x)


ROWS: tuple[Op, ...] = (
    Op(
        "Si", 1, scipy_function("sici", 0), mp_function("si"), (lambda g, a, y: g.node("sinc", a[0]),),
        sympy="Si", c="{own}Si({0})", llvm="external sici 0 of 2", cost=100, domain=((-8.0, 8.0),),
        source="DLMF 6.2.9",
    ),
    Op(
        "Ci", 1, scipy_function("sici", 1), _mp_even("ci"), (_over_x("cos"),),
        sympy="Ci", c="{own}Ci({0})", llvm="external sici 1 of 2", cost=100, domain=((0.1, 0.5),),
        source="DLMF 6.2.11; the real part for x < 0",
    ),
    Op(
        "Shi", 1, scipy_function("shichi", 0), mp_function("shi"), (lambda g, a, y: g.node("sinhc", a[0]),),
        sympy="Shi", c="{own}Shi({0})", llvm="external shichi 0 of 2", cost=100, domain=((-8.0, 8.0),),
        source="DLMF 6.2.15",
    ),
    Op(
        "Chi", 1, scipy_function("shichi", 1), _mp_even("chi"), (_over_x("cosh"),),
        sympy="Chi", c="{own}Chi({0})", llvm="external shichi 1 of 2", cost=100, domain=((0.6, 8.0),),
        source="DLMF 6.2.16; the real part for x < 0",
    ),
    Op(
        "Ei", 1, scipy_function("expi"), mp_function("ei"), (_over_x("exp"),),
        sympy="Ei", c="{own}Ei({0})", llvm="external expi", cost=100, domain=((0.5, 20.0),),
        source="DLMF 6.2.5",
    ),
    Op(
        "expint", 2, scipy_function("expn"), mp_function("expint"),
        (NoDerivative("expint", "order", "it has no closed form in functions that targets have",
                      "differentiate by the argument only"),
         _expint_slope),
        sympy="expint", c="{own}expint({0}, {1})", llvm="external expn", cost=100,
        domain=((1.0, 6.0), (0.1, 20.0)), source="DLMF 8.19.1; whole orders",
    ),
    Op(
        "fresnels", 1, scipy_function("fresnel", 0), mp_function("fresnels"), (_fresnel_slope("sin"),),
        sympy="fresnels", c="{own}fresnels({0})", llvm="external fresnel 0 of 2", cost=100,
        domain=((-3.0, 3.0),), source="DLMF 7.2.8",
    ),
    Op(
        "fresnelc", 1, scipy_function("fresnel", 1), mp_function("fresnelc"), (_fresnel_slope("cos"),),
        sympy="fresnelc", c="{own}fresnelc({0})", llvm="external fresnel 1 of 2", cost=100,
        domain=((-3.0, 3.0),), source="DLMF 7.2.7",
    ),
    Op(
        "lambertw", 1, by_expansion(_expand_lambertw, 1), mp_function("lambertw"), (_lambertw_slope,),
        sympy="LambertW", expand=_expand_lambertw, cost=150, domain=((-0.3, 8.0),),
        source="Corless et al. 1996; the principal branch, x >= -1/e",
    ),
    Op(
        "lambertw_above", 1, by_expansion(_expand_above_branch, 1), _mp_above_branch, (_lambertw_slope,),
        expand=_expand_above_branch, cost=150, domain=((-0.3, 8.0),),
        source="Corless et al. 1996; 1 + W, the distance to the branch point",
    ),
)  # fmt: skip
