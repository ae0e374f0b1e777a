"""Incomplete gamma and beta functions and their densities: rows of the op table.

    gammainc, gammaincc, betainc     regularised
    gamma_weight(t, s, x)            x**t * exp(-x) / gamma(s)
    beta_weight(p, q, a, b, x)       x**p * (1 - x)**q / beta(a, b)

The weights are what the incomplete functions have as derivatives. For large shapes their factors are huge and
nearly cancel; they are then computed from log(1 + u) - u with the distance u to the mean.
Source: Loader 2000, Fast and accurate computation of binomial probabilities.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from symgrad.ir.expansion import by_expansion
from symgrad.ir.op import NoDerivative, Op, mp_function, scipy_function
from symgrad.ir.special.differences import rise

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Args = tuple[int, ...]

_LARGE = 10  # shapes from which Stirling's formula is exact to the last place
_UNIFORM = 10**5  # shapes from which the uniform expansion is; series and fractions take ever more terms
_FARTHEST = 750  # exp(-750) is 0

# log(gamma(z)) - (z - 1/2) log z + z - log(2 pi)/2 by powers of 1/z: 1/z, 1/z**3, ... (DLMF 5.11.1)
_STIRLING = tuple(
    Fraction(n, d)
    for n, d in (
        (1, 12), (-1, 360), (1, 1260), (-1, 1680), (1, 1188), (-691, 360360), (1, 156), (-3617, 122400)
    )
)  # fmt: skip
_GAMMA_STAR = (Fraction(1), Fraction(1, 12), Fraction(1, 288), Fraction(-139, 51840))  # DLMF 5.11.4


def _horner(g: Graph, coefficients: tuple[Fraction, ...], x: int) -> int:
    """Lowest power first."""
    result = g.const(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        result = g.add(g.mul(result, x), g.const(c))
    return result


def stirling(g: Graph, z: int) -> int:
    """The correction of Stirling's formula, for z >= 10."""
    inverse = g.div(g.one, z)
    return g.mul(inverse, _horner(g, _STIRLING, g.mul(inverse, inverse)))


def log_minus(g: Graph, ratio: int, u: int) -> int:
    """log(ratio) - u for ratio = 1 + u: near 1 from 2 atanh(r) with r = u/(2 + u), where 2r - u = -u r."""
    r = g.div(u, g.add(g.const(2), u))
    w = g.mul(r, r)
    series = _horner(g, tuple(Fraction(2, k) for k in range(3, 29, 2)), w)
    near = g.mul(r, g.sub(g.mul(w, series), u))
    is_near = g.node("lt", g.node("abs", u), g.const(Fraction(2, 5)))
    return g.where(is_near, near, g.sub(g.node("log", ratio), u))


# ---- incomplete gamma functions of large shape ---------------------------------------------------


def _uniform_coefficients(orders: int, count: int) -> list[tuple[Fraction, ...]]:
    """c_0, c_1, ... as series in eta: DLMF 8.12.9 to 8.12.12, with eta**2/2 = mu - log(1 + mu)."""
    mu = [Fraction(0), Fraction(1)]  # mu mu' = eta (1 + mu)
    for n in range(2, count + 2 * orders):
        rest = sum((mu[i] * (n + 1 - i) * mu[n + 1 - i] for i in range(2, n)), Fraction(0))
        mu.append((mu[n - 1] - rest) / (n + 1))
    inverse = [Fraction(1)]  # of mu/eta
    for n in range(1, len(mu) - 1):
        inverse.append(-sum((mu[k + 1] * inverse[n - k] for k in range(1, n + 1)), Fraction(0)))
    rows = [inverse[1:]]
    for k in range(1, orders):
        slope = [n * c for n, c in enumerate(rows[-1])][1:]
        factor = (-1) ** k * _GAMMA_STAR[k]
        rows.append([d + factor * c for d, c in zip(slope[1:], inverse[1:], strict=False)])
    return [tuple(row[:count]) for row in rows]


_UNIFORM_ROWS = [row[: 12 - 4 * k] for k, row in enumerate(_uniform_coefficients(3, 12))]


def _uniform(g: Graph, s: int, x: int, side: int) -> int:
    """The upper function (side 1) or the lower one (side -1) for s > 1e5: DLMF 8.12.3 and 8.12.4."""
    gap = g.sub(x, s)
    half_square = g.neg(log_minus(g, g.div(x, s), g.div(gap, s)))
    exponent = g.mul(s, half_square)
    half, is_below = g.const(Fraction(1, 2)), g.node("lt", gap, g.zero)
    is_far = g.node("not", g.node("lt", exponent, g.const(_FARTHEST)))
    size = g.node("sqrt", g.add(half_square, half_square))
    eta = g.where(is_far, g.zero, g.where(is_below, g.neg(size), size))
    over_s, series = g.div(g.one, s), g.zero
    for row in reversed(_UNIFORM_ROWS):
        series = g.add(g.mul(series, over_s), _horner(g, row, eta))
    density = g.div(g.node("exp", g.neg(exponent)), g.node("sqrt", g.mul(_two_pi(g), s)))
    z = g.mul(eta, g.node("sqrt", g.mul(half, s)))
    tail = g.mul(half, g.node("erfc", z if side > 0 else g.neg(z)))
    rest = g.mul(density, series)
    near = g.add(tail, rest) if side > 0 else g.sub(tail, rest)
    certain = g.where(is_below if side > 0 else g.node("lt", g.zero, gap), g.one, g.zero)
    value = g.where(is_far, certain, near)
    defined = g.node("and", g.node("le", g.zero, x), g.node("le", x, g.const(float("inf"))))
    return g.where(defined, value, g.const(float("nan")))


def _two_pi(g: Graph) -> int:
    return g.mul(g.const(2), g.const("pi"))


def _expand_incomplete(op: str, side: int) -> Callable[[Graph, Args], int]:
    def expand(g: Graph, a: Args) -> int:
        s, x = a
        finite = g.node("lt", s, g.const(float("inf")))
        is_large = g.node("and", g.node("lt", g.const(_UNIFORM), s), finite)
        usual = g.node(op, g.where(is_large, g.one, s), x)
        return g.where(is_large, _uniform(g, g.where(is_large, s, g.const(_UNIFORM)), x, side), usual)

    return expand


# ---- weights -------------------------------------------------------------------------------------


def _times_power(g: Graph, exponent: int, base: int) -> int:
    """exponent * log(base), 0 where the exponent is 0 (also where the base is)."""
    return g.mask(g.node("ne", exponent, g.zero), g.mul(exponent, g.node("log", base)))


def _unless_extreme(g: Graph, direct: int, parts: tuple[int, ...], logarithm: int) -> int:
    """The product itself where its factors keep their digits, else the exponential of its logarithm."""
    fits = g.true
    for part in parts:
        low, high = g.node("lt", g.const(Fraction(1, 10**30)), part), g.node("lt", part, g.const(10**30))
        fits = g.node("and", fits, g.node("and", low, high))
    return g.where(fits, direct, g.node("exp", logarithm))


def _times_rest(g: Graph, density: int, factors: tuple[int, ...]) -> int:
    """The density times powers that may be infinite where it is 0."""
    product = density
    for factor in factors:
        product = g.mul(product, factor)
    return g.mask(g.node("ne", density, g.zero), product)


def _expand_gamma_weight(g: Graph, a: Args) -> int:
    t, s, x = a
    power, decay, whole = g.node("pow", x, t), g.node("exp", g.neg(x)), g.node("gamma", s)
    logarithm = g.sub(g.sub(_times_power(g, t, x), x), g.node("loggamma", s))
    usual = _unless_extreme(g, g.div(g.mul(power, decay), whole), (power, decay, whole), logarithm)
    is_large = g.node("le", g.const(_LARGE), s)
    shape = g.where(is_large, s, g.const(_LARGE))
    distance = log_minus(g, g.div(x, shape), g.div(g.sub(x, shape), shape))
    density = g.node("exp", g.sub(g.mul(shape, distance), stirling(g, shape)))
    root = g.node("sqrt", g.div(shape, _two_pi(g)))
    large = _times_rest(g, density, (root, g.node("pow", x, g.sub(t, shape))))
    return g.where(is_large, large, usual)


def _gamma_weight_slopes() -> tuple[Any, ...]:
    def by_x(g: Graph, a: Args, y: int) -> int:
        """y (t - x)/x: one rounded difference; at x = 0 t x**(t-1) e**-x/gamma(s) - y, without a quotient."""
        t, s, x = a
        rest = g.mul(t, g.node("gamma_weight", g.sub(t, g.one), s, x))
        at_zero = g.sub(g.mask(g.node("ne", t, g.zero), rest), y)
        return g.where(g.node("ne", x, g.zero), g.mul(y, g.div(g.sub(t, x), x)), at_zero)

    return (
        lambda g, a, y: g.mul(y, g.node("log", a[2])),
        lambda g, a, y: g.neg(g.mul(y, g.node("digamma", a[1]))),
        by_x,
    )


def _expand_beta_weight(g: Graph, a: Args) -> int:
    p, q, first, second, x = a
    rest = g.sub(g.one, x)
    left, right, whole = g.node("pow", x, p), g.node("pow", rest, q), g.node("beta", first, second)
    logarithm = g.sub(
        g.add(_times_power(g, p, x), g.mask(g.node("ne", q, g.zero), g.mul(q, g.node("log1p", g.neg(x))))),
        g.node("betaln", first, second),
    )
    usual = _unless_extreme(g, g.div(g.mul(left, right), whole), (left, right, whole), logarithm)
    low = g.const(_LARGE)
    are_large = g.node("and", g.node("le", low, first), g.node("le", low, second))
    return g.where(are_large, _beta_weight_of_large(g, a, are_large), usual)


def _beta_weight_of_large(g: Graph, a: Args, are_large: int) -> int:
    """From the distances to the mean: a u + b v = 0 for u = ((a + b)x - a)/a and v on the other side."""
    p, q, first, second, x = a
    first, second = (g.where(are_large, shape, g.const(_LARGE)) for shape in (first, second))
    both, rest = g.add(first, second), g.sub(g.one, x)
    gap = g.sub(g.mul(second, x), g.mul(first, rest))
    ratios = g.div(g.mul(x, both), first), g.div(g.mul(rest, both), second)
    near = g.add(
        g.mul(first, log_minus(g, ratios[0], g.div(gap, first))),
        g.mul(second, log_minus(g, ratios[1], g.div(g.neg(gap), second))),
    )
    corrections = g.sub(stirling(g, both), g.add(stirling(g, first), stirling(g, second)))
    density = g.node("exp", g.add(near, corrections))
    root = g.node("sqrt", g.div(g.mul(first, g.div(second, both)), _two_pi(g)))
    powers = (g.node("pow", x, g.sub(p, first)), g.node("pow", rest, g.sub(q, second)))
    return _times_rest(g, density, (root, *powers))


def _beta_weight_slopes() -> tuple[Any, ...]:
    def by_x(g: Graph, a: Args, y: int) -> int:
        """y (p (1 - x) - q x)/(x (1 - x)) inside; at the ends without a quotient."""
        p, q, first, second, x = a
        rest = g.sub(g.one, x)
        left = g.mul(p, g.node("beta_weight", g.sub(p, g.one), q, first, second, x))
        right = g.mul(q, g.node("beta_weight", p, g.sub(q, g.one), first, second, x))
        ends = g.sub(g.mask(g.node("ne", p, g.zero), left), g.mask(g.node("ne", q, g.zero), right))
        ratio = g.div(g.sub(g.mul(p, rest), g.mul(q, x)), g.mul(x, rest))
        inside = g.node("and", g.node("ne", x, g.zero), g.node("ne", rest, g.zero))
        return g.where(inside, g.mul(y, ratio), ends)

    def by_shape(place: int) -> Any:
        def slope(g: Graph, a: Args, y: int) -> int:
            return g.mul(y, rise(g, a[place], a[5 - place]))

        return slope

    return (
        lambda g, a, y: g.mul(y, g.node("log", a[4])),
        lambda g, a, y: g.mul(y, g.node("log1p", g.neg(a[4]))),
        by_shape(2),
        by_shape(3),
        by_x,
    )


def _density_of_gamma(sign: int) -> Any:
    """sign * x**(s - 1) * exp(-x) / gamma(s), DLMF 8.8.13."""

    def slope(g: Graph, a: Args, y: int) -> int:
        weight = g.node("gamma_weight", g.sub(a[0], g.one), *a)
        return weight if sign > 0 else g.neg(weight)

    return slope


def _density_of_beta(g: Graph, a: Args, y: int) -> int:
    """x**(a - 1) * (1 - x)**(b - 1) / beta(a, b)."""
    return g.node("beta_weight", g.sub(a[0], g.one), g.sub(a[1], g.one), *a)


# ---- rows ----------------------------------------------------------------------------------------


def _by_shape(op: str, argument: str) -> NoDerivative:
    return NoDerivative(
        op,
        argument,
        "it is a generalised hypergeometric function, without a closed form in functions that targets have",
        "differentiate by the last argument only, and hold this one constant or give it by data",
    )


def _incomplete(op: str, side: int, exact: Callable[..., Any]) -> tuple[Op, Op]:
    """The function, and the one that its expansion calls for shapes up to 1e5."""
    expand = _expand_incomplete(f"{op}_core", side)
    domain = ((0.1, 20.0), (0.1, 20.0))
    return (
        Op(
            op, 2, by_expansion(expand, 2), exact,
            (_by_shape(op, "first argument"), _density_of_gamma(-side)),
            expand=expand, cost=350, domain=domain, source="DLMF 8.2.4, 8.12",
        ),
        Op(
            f"{op}_core", 2, scipy_function(op), exact, (None, None),
            c=f"{{own}}{op}({{0}}, {{1}})", llvm=f"external {op}", cost=300, domain=domain,
            source="DLMF 8.2.4; shapes up to 1e5, written by targets only",
        ),
    )  # fmt: skip


ROWS: tuple[Op, ...] = (
    *_incomplete("gammainc", -1, lambda s, x: mp_function("gammainc")(s, 0, x, regularized=True)),
    *_incomplete("gammaincc", 1, lambda s, x: mp_function("gammainc")(s, x, regularized=True)),
    Op(
        "betainc", 3, scipy_function("betainc"),
        lambda a, b, x: mp_function("betainc")(a, b, 0, x, regularized=True),
        (_by_shape("betainc", "first argument"), _by_shape("betainc", "second argument"),
         _density_of_beta),
        c="{own}betainc({0}, {1}, {2})", llvm="external betainc", cost=400,
        domain=((0.1, 8.0), (0.1, 8.0), (0.05, 0.95)), source="DLMF 8.17.2",
    ),
    Op(
        "gamma_weight", 3, by_expansion(_expand_gamma_weight, 3),
        lambda t, s, x: x**t * mp_function("exp")(-x) * mp_function("rgamma")(s), _gamma_weight_slopes(),
        expand=_expand_gamma_weight, cost=300, domain=((-0.9, 8.0), (0.1, 8.0), (0.1, 20.0)),
        source="DLMF 8.8.13; x**t * exp(-x) / gamma(s)",
    ),
    Op(
        "beta_weight", 5, by_expansion(_expand_beta_weight, 5),
        lambda p, q, a, b, x: x**p * (1 - x) ** q / mp_function("beta")(a, b), _beta_weight_slopes(),
        expand=_expand_beta_weight, cost=350,
        domain=((-0.9, 6.0), (-0.9, 6.0), (0.1, 8.0), (0.1, 8.0), (0.05, 0.95)),
        source="DLMF 8.17.1; x**p * (1 - x)**q / beta(a, b)",
    ),
)  # fmt: skip
