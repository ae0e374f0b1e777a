"""The complementary error function far out, where it underflows: its logarithm, and that one's slopes.

    log_erfc(x)       log(erfc(x)); log_half_erfc(x) is log(erfc(x)/2): of a normal distribution
    erfc_hazard(x)    h = 2/sqrt(pi)*exp(-x^2)/erfc(x), minus the slope of both; sqrt(2) times the inverse of
                      Mills' ratio at sqrt(2)*x
    erfcx(x)          exp(x^2)*erfc(x), which is 2/sqrt(pi)/h
    erfc_excess(x)    e = h - 2*x, of which for large x nothing would be left; h' = h*e
    erfc_bend(x)      d = 2 - h*e, likewise; e' = -d
    erfc_rise(x)      h' = h*e, which is 2 - d
    erfc_bend_slope(x)  r = h*(e^2 - d), likewise; h'' = r and d' = -r

For x >= 0 those of which nothing would be left are polynomials in t = (x - 3)/(x + 3), over powers of 1 + x:
e tends to 1/x, d to 1/x^2, r to 2/x^3. All others follow by sums of numbers of one sign. For x < 0 erfc is
between 1 and 2, and exp(-x^2) is a product of two, whose exponents have no rounding errors worth mentioning.

Sources: DLMF 7.8.1, 7.9.4, 7.12.1; the variable t: Schonfelder 1978, Chebyshev expansions for the error and
related functions. `tools/special_coefficients.py` computes the coefficients.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from symgrad.ir.expansion import by_expansion
from symgrad.ir.op import Op, Partial

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Args = tuple[int, ...]

CENTER = 3
_LEAST = 40
_HALF = Fraction(1, 2)
_EXCESS = (
    1.2150147560129376, -0.22255536352106847, -0.08823435414710835, 0.17195166495618877,
    -0.08921850847039459, -0.0065521096812946, 0.03282943188682423, -0.011647649569260742,
    -0.006764570297673388, 0.006326508866057275, 0.00026034150404017606, -0.002184196058358052,
    0.000515974112740607, 0.0005651184196210042, -0.0002984552724403157, -0.0001013306509501113,
    0.00011034598723988851, 3.981757884855854e-06, -3.110191965390535e-05, 6.298669905067897e-06,
    6.503737018699257e-06, -3.436334731566739e-06, -7.218411118363691e-07, 1.1864891022519928e-06,
    -1.2819311144462651e-07, -3.106830051317174e-07, 9.029820432399696e-08, 6.158030722308243e-08,
    -2.2173409357893745e-08, -8.373728473769534e-09, 2.323653848738872e-09, 5.855744015367188e-10,
)  # fmt: skip
_BEND = (
    1.3633849983603166, -0.1790946791652804, -0.5651457079979142, 0.522996449735401, -0.014384489203769923,
    -0.267748031326832, 0.14192381084918607, 0.06291107351696211, -0.08994032663908379, 0.005531570583230441,
    0.036125111181699296, -0.013452896538808835, -0.010326543836146373, 0.00786340710700547,
    0.0017709207880022655, -0.0031776473182410997, 0.00014702167092624718, 0.0009878272516201866,
    -0.00027477431252248975, -0.00022614510855573187, 0.00013753729569248574, 2.4846400353063214e-05,
    -4.77802850175561e-05, 8.959112364937504e-06, 1.2606580909770307e-05, -7.152271826725699e-06,
    -2.4410000044661612e-06, 2.8270939755067373e-06, 2.969662022704314e-07, -7.561972426977094e-07,
    -1.1356792839426891e-08, 1.3055287177717594e-07, -1.4292648385646093e-09, -1.105941573632442e-08,
)  # fmt: skip
_BEND_SLOPE = (
    2.846166449497487, 0.3356400259448977, -2.612746347187002, 1.230584181751028, 1.3675415901457648,
    -1.5686173438696307, -0.17213648523313968, 1.0361440157580675, -0.3061184428205264, -0.45301709389744277,
    0.3079165445001721, 0.1267963200041391, -0.1794360662608299, -0.00803327645527753, 0.07765730509286056,
    -0.015547047847348564, -0.026005157760505868, 0.011653256974522032, 0.006263080925319728,
    -0.005363045175363968, -0.0005859619775080645, 0.0018333553538462445, -0.0004132348336589784,
    -0.0004534918207899649, 0.00031917391425724404, 5.57072473488615e-05, -0.00014189399028059757,
    1.567540506527357e-05, 4.753804289925184e-05, -1.2530789416939048e-05, -1.2414465507888252e-05,
    4.224039908269813e-06, 2.43028623924569e-06, -8.155967247490636e-07, -3.1895456230535756e-07,
    7.306735231750832e-08, 2.0984341382818844e-08,
)  # fmt: skip


def _polynomial(g: Graph, coefficients: tuple[float, ...], x: int) -> int:
    """By Horner's rule, in 1 - 6/(x + 3), which infinity has too."""
    t = g.sub(g.one, g.div(g.const(2 * CENTER), g.add(x, g.const(CENTER))))
    value = g.const(Fraction(coefficients[-1]))
    for c in coefficients[-2::-1]:
        value = g.add(g.mul(value, t), g.const(Fraction(c)))
    return value


def _right(g: Graph, x: int) -> int:
    """x where it is not negative, else 0: polynomials stay in range there."""
    return g.where(g.node("lt", x, g.zero), g.zero, x)


def _left(g: Graph, x: int) -> int:
    """x where it is negative, else 0; from -40 on nothing changes."""
    return g.node("maximum", g.where(g.node("lt", x, g.zero), x, g.zero), g.const(-_LEAST))


def _density(g: Graph, x: int) -> int:
    """2/sqrt(pi)*exp(-x^2) for |x| <= 40, by an x^2 in two parts."""
    step = g.const(16)
    head = g.div(g.node("floor", g.mul(x, step)), step)
    rest = g.mul(g.sub(x, head), g.add(x, head))
    squares = (g.mul(head, head), rest)
    return g.mul(_two_over_root_pi(g), g.intern("mul", tuple(g.node("exp", g.neg(part)) for part in squares)))


def _near(g: Graph, x: int) -> int:
    """The hazard for x < 0."""
    return g.div(_density(g, _left(g, x)), g.node("erfc", _left(g, x)))


def _two_over_root_pi(g: Graph) -> int:
    return g.div(g.const(2), g.node("sqrt", g.const("pi")))


def _by_sign(g: Graph, x: int, left: int, right: int) -> int:
    return g.where(g.node("lt", x, g.zero), left, right)


def _expand_excess(g: Graph, a: Args) -> int:
    x = _right(g, a[0])
    right = g.div(_polynomial(g, _EXCESS, x), g.add(g.one, x))
    return _by_sign(g, a[0], g.sub(_near(g, a[0]), g.mul(g.const(2), a[0])), right)


def _expand_hazard(g: Graph, a: Args) -> int:
    right = g.add(g.node("erfc_excess", a[0]), g.mul(g.const(2), a[0]))
    return _by_sign(g, a[0], _near(g, a[0]), right)


def _expand_scaled(g: Graph, a: Args) -> int:
    return g.div(_two_over_root_pi(g), g.node("erfc_hazard", a[0]))


def _expand_bend(g: Graph, a: Args) -> int:
    x = _right(g, a[0])
    below = g.add(g.one, x)
    right = g.div(g.div(_polynomial(g, _BEND, x), below), below)
    hazard = _near(g, a[0])
    left = g.sub(g.const(2), g.mul(hazard, g.sub(hazard, g.mul(g.const(2), _left(g, a[0])))))
    return _by_sign(g, a[0], left, right)


def _expand_rise(g: Graph, a: Args) -> int:
    left = g.mul(g.node("erfc_hazard", a[0]), g.node("erfc_excess", _left(g, a[0])))
    return _by_sign(g, a[0], left, g.sub(g.const(2), g.node("erfc_bend", a[0])))


def _expand_bend_slope(g: Graph, a: Args) -> int:
    x = _right(g, a[0])
    right, below = _polynomial(g, _BEND_SLOPE, x), g.add(g.one, x)
    for _ in range(3):
        right = g.div(right, below)
    hazard, back = _near(g, a[0]), _left(g, a[0])
    excess = g.sub(hazard, g.mul(g.const(2), back))
    bend = g.sub(g.const(2), g.mul(hazard, excess))
    return _by_sign(g, a[0], g.mul(hazard, g.sub(g.mul(excess, excess), bend)), right)


def _expand_log_erfc(g: Graph, a: Args) -> int:
    """log(1 - erf(x)), and -x^2 - log(sqrt(pi)/2*h) from 1/2 on, where neither of the two is negative."""
    x = a[0]
    scaled = g.node("log", g.div(g.node("erfc_hazard", x), _two_over_root_pi(g)))
    far = g.neg(g.add(g.mul(x, x), scaled))
    near = g.intern("log1p", (g.neg(g.node("erf", x)),))
    return g.where(g.node("lt", x, g.const(_HALF)), near, far)


def _expand_log_half(g: Graph, a: Args) -> int:
    """log(1 - erfc(-x)/2) for x < 0."""
    x, back = a[0], g.neg(_left(g, a[0]))
    right = g.sub(g.node("log_erfc", x), g.node("log", g.const(2)))
    opposite = g.div(_density(g, back), g.node("erfc_hazard", back))
    return _by_sign(g, x, g.intern("log1p", (g.mul(g.const(-_HALF), opposite),)), right)


# ---- references ----------------------------------------------------------------------------------


def _mp_excess(x: Any) -> Any:
    """Far out by the continued fraction, DLMF 7.9.4."""
    import mpmath

    if x == mpmath.inf:
        return mpmath.mpf(0)
    if x < 10:
        with mpmath.extraprec(80):
            return 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-x * x) / mpmath.erfc(x) - 2 * x
    value = mpmath.mpf(0)
    for n in range(int((mpmath.mp.prec / (2 * min(x, mpmath.mpf(1000)))) ** 2 / 2) + 10, 0, -1):
        value = mpmath.mpf(n) / 2 / (x + value)
    return 2 * value


def mp_erfc(x: Any) -> Any:
    """mpmath's function; far out, where that gives up, by the hazard."""
    import mpmath

    if not mpmath.isfinite(x) or x < 1000:
        return mpmath.erfc(x)
    return 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-x * x) / _mp_hazard(x)


def _mp_scaled(x: Any) -> Any:
    import mpmath

    return 2 / mpmath.sqrt(mpmath.pi) / _mp_hazard(x)


def _mp_hazard(x: Any) -> Any:
    import mpmath

    if x < 10:
        return 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-x * x) / mpmath.erfc(x)
    return _mp_excess(x) + 2 * x


def _mp_parts(x: Any) -> tuple[Any, Any, Any]:
    """Hazard, excess and bend with more digits than are lost."""
    import mpmath

    size = max(0, int(mpmath.mag(x))) if mpmath.isfinite(x) and x else 0
    with mpmath.extraprec(80 + 8 * size):
        h, e = _mp_hazard(x), _mp_excess(x)
        return h, e, 2 - h * e


def _mp_bend(x: Any) -> Any:
    import mpmath

    return _mp_parts(x)[2] if mpmath.isfinite(x) else mpmath.mpf(0 if x > 0 else 2)


def _mp_rise(x: Any) -> Any:
    import mpmath

    h, e, _ = _mp_parts(x)
    return h * e if mpmath.isfinite(x) else mpmath.mpf(2 if x > 0 else 0)


def _mp_bend_slope(x: Any) -> Any:
    import mpmath

    h, e, d = _mp_parts(x)
    size = max(0, int(mpmath.mag(x))) if mpmath.isfinite(x) and x else 0
    with mpmath.extraprec(80 + 8 * size):
        return h * (e * e - d) if mpmath.isfinite(x) else mpmath.mpf(0)


def _mp_log_erfc(x: Any) -> Any:
    import mpmath

    if x < 1:
        return mpmath.log1p(-mpmath.erf(x))
    return -x * x - mpmath.log(mpmath.sqrt(mpmath.pi) / 2 * (_mp_excess(x) + 2 * x))


def _mp_log_half(x: Any) -> Any:
    import mpmath

    return mpmath.log1p(-mpmath.erfc(-x) / 2) if x < 0 else _mp_log_erfc(x) - mpmath.log(2)


def _slope_of_bend_slope(g: Graph, a: Args, y: int) -> int:
    """r*e + h*(r - 2*e*d), which cancels far out: of fifth derivatives of the logarithm."""
    h, e, d = (g.node(f"erfc_{name}", a[0]) for name in ("hazard", "excess", "bend"))
    inner = g.sub(y, g.mul(g.const(2), g.mul(e, d)))
    return g.add(g.mul(y, e), g.mul(h, inner))


def _is(name: str, sign: int = 1) -> Partial:
    """The derivative is another row, or minus that."""
    return lambda g, a, y: g.node(name, a[0]) if sign > 0 else g.neg(g.node(name, a[0]))


def _scaled_slope(g: Graph, a: Args, y: int) -> int:
    return g.neg(g.mul(y, g.node("erfc_excess", a[0])))


def _row(name: str, expand: Any, mp: Any, slope: Partial, cost: int, least: float = -20.0) -> Op:
    return Op(
        name, 1, by_expansion(expand, 1), mp, (slope,), expand=expand, cost=cost, domain=((least, 60.0),),
        source="DLMF 7.8.1, 7.9.4",
    )  # fmt: skip


ROWS: tuple[Op, ...] = (
    _row("erfc_hazard", _expand_hazard, _mp_hazard, _is("erfc_rise"), 80),
    _row("erfcx", _expand_scaled, _mp_scaled, _scaled_slope, 84, least=-9.0),
    _row("erfc_excess", _expand_excess, _mp_excess, _is("erfc_bend", -1), 78),
    _row("erfc_bend", _expand_bend, _mp_bend, _is("erfc_bend_slope", -1), 84),
    _row("erfc_rise", _expand_rise, _mp_rise, _is("erfc_bend_slope"), 90),
    _row("erfc_bend_slope", _expand_bend_slope, _mp_bend_slope, _slope_of_bend_slope, 90),
    _row("log_erfc", _expand_log_erfc, _mp_log_erfc, _is("erfc_hazard", -1), 140),
    _row("log_half_erfc", _expand_log_half, _mp_log_half, _is("erfc_hazard", -1), 180),
)
