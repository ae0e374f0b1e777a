"""Elliptic integrals of the first and second kind by the parameter m: rows of the op table.

    elliptic_k(m), elliptic_e(m), elliptic_d(m) = (K - E)/m                     complete
    elliptic_f(phi, m), incomplete_e(phi, m), incomplete_d(phi, m) = (F - E)/m  incomplete

D has no cancellation at m = 0, and with it none of the derivatives by m has a quotient by m:
K' = (K - D)/(2(1 - m)), E' = -D/2. Those of incomplete ones are moments (`moments.py`).
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from symgrad.ir.op import Op, mp_function, scipy_function

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Args = tuple[int, ...]

_STEPS = 12  # of the arithmetic-geometric mean: enough for every m < 1 of double precision
_TERMS = 24  # of the series of D' for |m| < 1/8: the first one left out is below 1e-20


# ---- complete ------------------------------------------------------------------------------------


def _means(g: Graph, m: int) -> tuple[int, int]:
    """K, and D/K = 1/2 + sum of 2**(n-1) c_n**2/m over n >= 1: DLMF 19.8.5 and 19.8.6, c_0**2 = m.

    c_{n+1} = c_n**2/(4 a_{n+1}) has no cancellation; c_1 = m/(2(1 + b)).
    """
    complement = g.sub(g.one, m)
    a, b = g.one, g.node("sqrt", complement)
    half = g.const(Fraction(1, 2))
    total = half
    ratio = None  # c_n/m, and c_n itself
    for n in range(1, _STEPS + 1):
        before = a
        a, b = g.mul(half, g.add(a, b)), g.node("sqrt", g.mul(a, b))
        if ratio is None:
            ratio = g.div(half, g.add(before, g.node("sqrt", complement)))
        else:
            ratio = g.div(g.mul(g.mul(ratio, ratio), m), g.mul(g.const(4), a))
        square = g.mul(g.mul(ratio, ratio), m)
        total = g.add(total, g.mul(g.const(2 ** (n - 1)), square))
    return g.div(g.mul(half, g.const("pi")), a), total


def _with_end(g: Graph, m: int, value: int, at_one: int) -> int:
    return g.where(g.node("eq", m, g.one), at_one, value)


def _expand_k(g: Graph, a: Args) -> int:
    return _with_end(g, a[0], _means(g, a[0])[0], g.const(float("inf")))


def _expand_e(g: Graph, a: Args) -> int:
    """K(1 - m D/K)."""
    k, ratio = _means(g, a[0])
    return _with_end(g, a[0], g.mul(k, g.sub(g.one, g.mul(a[0], ratio))), g.one)


def _expand_d(g: Graph, a: Args) -> int:
    return _with_end(g, a[0], g.mul(*_means(g, a[0])), g.const(float("inf")))


def _k_slope(g: Graph, a: Args, y: int) -> int:
    b = g.sub(y, g.node("elliptic_d", a[0]))
    return g.div(b, g.mul(g.const(2), g.sub(g.one, a[0])))


def _e_slope(g: Graph, a: Args, y: int) -> int:
    return g.mul(g.const(Fraction(-1, 2)), g.node("elliptic_d", a[0]))


def elliptic_d_slope(g: Graph, a: Args, y: int) -> int:
    """((K - D)/(1 - m) - D)/(2m), and the series of DLMF 19.5.1 and 19.5.2 where that difference cancels."""
    m = a[0]
    b = g.sub(g.node("elliptic_k", m), y)
    direct = g.div(g.sub(g.div(b, g.sub(g.one, m)), y), g.mul(g.const(2), m))
    series = g.zero
    square = Fraction(1)  # ((1/2)_k/k!)**2
    coefficients = []
    for k in range(1, _TERMS):
        square *= Fraction(2 * k - 1, 2 * k) ** 2
        coefficients.append(square * Fraction(2 * k, 2 * k - 1) * (k - 1))  # of m**(k-2)
    for c in reversed(coefficients[1:]):
        series = g.add(g.mul(series, m), g.const(c))
    near = g.node("lt", g.node("abs", m), g.const(Fraction(1, 8)))
    half_pi = g.mul(g.const(Fraction(1, 2)), g.const("pi"))
    return g.where(near, g.mul(half_pi, series), direct)


def _np_elliptic_d(m: Any) -> Any:
    import scipy.special

    m = np.asarray(m)
    wide = m.astype(np.float64)
    value = scipy.special.elliprd(np.zeros_like(wide), 1 - wide, 1) / 3
    value = np.where(wide == 1, np.inf, np.where(wide > 1, np.nan, value))
    return value.astype(m.dtype if m.dtype.kind == "f" else np.float64)[()]


def _mp_elliptic_d(m: Any) -> Any:
    import mpmath

    if m == 1:
        return mpmath.inf
    if not m:
        return mpmath.pi / 4
    with mpmath.extraprec(max(0, -2 * mpmath.mag(m)) + 10):
        value = (mpmath.ellipk(m) - mpmath.ellipe(m)) / m
    return +value


# ---- incomplete ----------------------------------------------------------------------------------


def _root(g: Graph, a: Args) -> int:
    """sqrt(1 - m sin(phi)**2)."""
    sine = g.node("sin", a[0])
    return g.node("sqrt", g.sub(g.one, g.mul(a[1], g.mul(sine, sine))))


def _by_moment(name: str) -> Any:
    return lambda g, a, y: g.mul(g.const(Fraction(1, 2)), g.node(f"elliptic_moment_{name}", *a))


def _e_by_m(g: Graph, a: Args, y: int) -> int:
    return g.mul(g.const(Fraction(-1, 2)), g.node("incomplete_d", *a))


def _d_by_phi(g: Graph, a: Args, y: int) -> int:
    sine = g.node("sin", a[0])
    return g.div(g.mul(sine, sine), _root(g, a))


def _reduced(phi: Any) -> tuple[Any, Any]:
    """phi = k*pi + r with |r| <= pi/2."""
    k = np.round(phi / np.pi)
    return k, phi - k * np.pi


def _np_incomplete_d(phi: Any, m: Any) -> Any:
    """Carlson's form sin(r)**3 R_D(cos(r)**2, 1 - m sin(r)**2, 1)/3 (DLMF 19.25.13), and 2k complete ones."""
    import scipy.special

    kind = np.result_type(phi, m)
    phi, m = np.asarray(phi, np.float64), np.asarray(m, np.float64)
    k, r = _reduced(phi)
    s, c = np.sin(r), np.cos(r)
    value = s**3 * scipy.special.elliprd(c * c, 1 - m * s * s, 1) / 3
    whole = np.where(k == 0, 0.0, 2 * k * _np_elliptic_d(m))
    return (value + whole).astype(kind if kind.kind == "f" else np.float64)[()]


def _expand_incomplete_d(g: Graph, a: Args) -> int:
    phi, m = a
    pi = g.const("pi")
    k = g.node("floor", g.add(g.div(phi, pi), g.const(Fraction(1, 2))))
    r = g.sub(phi, g.mul(k, pi))
    s, c = g.node("sin", r), g.node("cos", r)
    square = g.mul(s, s)
    carlson = g.node("elliprd", g.mul(c, c), g.sub(g.one, g.mul(m, square)))
    value = g.mul(g.mul(square, s), g.div(carlson, g.const(3)))
    whole = g.mask(g.node("ne", k, g.zero), g.mul(g.mul(g.const(2), k), g.node("elliptic_d", m)))
    return g.add(value, whole)


def _mp_incomplete_d(phi: Any, m: Any) -> Any:
    import mpmath

    with mpmath.extraprec(max(0, -2 * mpmath.mag(m)) + 10 if m else 10):
        if not m:
            value = phi / 2 - mpmath.sin(2 * phi) / 4
        else:
            value = (mpmath.ellipf(phi, m) - mpmath.ellipe(phi, m)) / m
    return +value


_ANGLES = ((-1.4, 1.4), (-3.0, 0.95))

ROWS: tuple[Op, ...] = (
    Op(
        "elliptic_k", 1, scipy_function("ellipk"), mp_function("ellipk"), (_k_slope,),
        sympy="elliptic_k", expand=_expand_k, cost=250, domain=((-3.0, 0.95),),
        source="DLMF 19.2.8, 19.4.1",
    ),
    Op(
        "elliptic_e", 1, scipy_function("ellipe"), mp_function("ellipe"), (_e_slope,),
        sympy="elliptic_e", expand=_expand_e, cost=250, domain=((-3.0, 0.95),), source="DLMF 19.2.8, 19.4.2",
    ),
    Op(
        "elliptic_d", 1, _np_elliptic_d, _mp_elliptic_d, (elliptic_d_slope,),
        expand=_expand_d, cost=250, domain=((-3.0, 0.95),), source="DLMF 19.2.8",
    ),
    Op(
        "elliptic_f", 2, scipy_function("ellipkinc"), mp_function("ellipf"),
        (lambda g, a, y: g.div(g.const(1), _root(g, a)), _by_moment("11")),
        sympy="elliptic_f", c="{own}elliptic_f({0}, {1})", llvm="external ellipkinc", cost=300,
        domain=_ANGLES, source="DLMF 19.2.4, 19.4.5",
    ),
    Op(
        "incomplete_e", 2, scipy_function("ellipeinc"), mp_function("ellipe"),
        (lambda g, a, y: _root(g, a), _e_by_m),
        sympy="elliptic_e", c="{own}incomplete_e({0}, {1})", llvm="external ellipeinc", cost=300,
        domain=_ANGLES, source="DLMF 19.2.5, 19.4.6",
    ),
    Op(
        "incomplete_d", 2, _np_incomplete_d, _mp_incomplete_d, (_d_by_phi, _by_moment("21")),
        expand=_expand_incomplete_d, cost=300, domain=_ANGLES, source="DLMF 19.2.6, 19.25.13",
    ),
    Op(
        "elliprd", 2, lambda x, y: scipy_function("elliprd")(x, y, np.ones_like(x)),
        lambda x, y: mp_function("elliprd")(x, y, 1), (None, None),
        c="{own}elliprd({0}, {1})", llvm="external elliprd then 1", cost=300, domain=((0.1, 2.0), (0.1, 2.0)),
        source="DLMF 19.16.5; R_D(x, y, 1), written by targets only",
    ),
)  # fmt: skip
