"""Ops of special functions that SymPy writes in another way, as SymPy expressions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sympy as sp

from symgrad.ir.special.bessel_far import KINDS, MOST, Kind

Expr = Any


def _regularised(function: Any) -> Callable[[Sequence[Expr], bool], Expr]:
    return lambda v, exact: function(*v) / sp.gamma(v[0])


def _share_of_beta(v: Sequence[Expr], exact: bool) -> Expr:
    return sp.betainc_regularized(v[0], v[1], sp.S.Zero, v[2])


def _d(first: Any, second: Any) -> Callable[[Sequence[Expr], bool], Expr]:
    """(F - E)/m."""
    return lambda v, exact: (first(*v) - second(*v)) / v[-1]


def _moment_11(v: Sequence[Expr], exact: bool) -> Expr:
    phi, m = v
    root = sp.sqrt(1 - m * sp.sin(phi) ** 2)
    d = (sp.elliptic_f(phi, m) - sp.elliptic_e(phi, m)) / m
    return (sp.elliptic_f(phi, m) - d - sp.sin(phi) * sp.cos(phi) / root) / (1 - m)


def _moment(j: int, k: int) -> Callable[[Sequence[Expr], bool], Expr]:
    """The closed forms in `ir.special.moments`."""

    def form(v: Sequence[Expr], exact: bool) -> Expr:
        phi, m = v
        if (j, k) == (1, 0):
            return (sp.elliptic_f(phi, m) - sp.elliptic_e(phi, m)) / m
        if (j, k) == (1, 1):
            return _moment_11(v, exact)
        if j > k:
            return (_moment(k, k)(v, exact) - _moment(k, k - 1)(v, exact)) / m
        odd = 2 * k - 1
        product = sp.sin(phi) ** odd * sp.cos(phi) / sp.sqrt(1 - m * sp.sin(phi) ** 2) ** odd
        before, below = _moment(k - 1, k - 1)(v, exact), _moment(k, k - 1)(v, exact)
        return (odd * before - below - product) / (odd * (1 - m))

    return form


def _rise(n: int) -> Callable[[Sequence[Expr], bool], Expr]:
    return lambda v, exact: sp.polygamma(n, v[0] + v[1]) - sp.polygamma(n, v[0])


def _without_exponential(kind: Kind, k: int) -> Callable[[Sequence[Expr], bool], Expr]:
    """exp(x)*K_v(x) or exp(-x)*I_v(x), or (-1)**k times its k-th derivative (DLMF 10.29.5)."""

    def form(v: Sequence[Expr], exact: bool) -> Expr:
        order, x = v
        numbers = [sp.binomial(2 * k, j) * (-1) ** j for j in range(2 * k + 1)]
        function = getattr(sp, kind.op)
        total = sp.Add(*(c * function(order + k - j, x) for j, c in enumerate(numbers)))
        return kind.sign**k * sp.exp(kind.sign * x) * total / 2**k

    return form


def _hazard(x: Expr) -> Expr:
    return 2 * sp.exp(-(x**2)) / (sp.sqrt(sp.pi) * sp.erfc(x))


def _bend_slope(x: Expr) -> Expr:
    excess = _hazard(x) - 2 * x
    return _hazard(x) * (excess**2 + _hazard(x) * excess - 2)


SPECIAL_FORMS: dict[str, Callable[[Sequence[Expr], bool], Expr]] = {
    "gammainc": _regularised(sp.lowergamma),
    "gammaincc": _regularised(sp.uppergamma),
    "betainc": _share_of_beta,
    "gamma_weight": lambda v, exact: v[2] ** v[0] * sp.exp(-v[2]) / sp.gamma(v[1]),
    "beta_weight": lambda v, exact: v[4] ** v[0] * (1 - v[4]) ** v[1] / sp.beta(v[2], v[3]),
    **{kind.row(k): _without_exponential(kind, k) for kind in KINDS.values() for k in range(MOST + 1)},
    "besseli_core": lambda v, exact: sp.besseli(*v),
    "besselk_core": lambda v, exact: sp.besselk(*v),
    "lambertw_above": lambda v, exact: 1 + sp.LambertW(*v),
    "erfc_hazard": lambda v, exact: _hazard(*v),
    "erfcx": lambda v, exact: sp.exp(v[0] ** 2) * sp.erfc(v[0]),
    "erfc_excess": lambda v, exact: _hazard(*v) - 2 * v[0],
    "erfc_bend": lambda v, exact: 2 - _hazard(*v) * (_hazard(*v) - 2 * v[0]),
    "erfc_rise": lambda v, exact: _hazard(*v) * (_hazard(*v) - 2 * v[0]),
    "erfc_bend_slope": lambda v, exact: _bend_slope(*v),
    "log_erfc": lambda v, exact: sp.log(sp.erfc(*v)),
    "log_half_erfc": lambda v, exact: sp.log(sp.erfc(*v) / 2),
    "betaln": lambda v, exact: sp.log(sp.beta(*v)),
    "elliptic_d": _d(sp.elliptic_k, sp.elliptic_e),
    "incomplete_d": _d(sp.elliptic_f, sp.elliptic_e),
    **{f"polygamma_rise_{n}": _rise(n) for n in range(3)},
    **{f"elliptic_moment_{j}{k}": _moment(j, k) for j, k in ((1, 1), (2, 1), (2, 2), (3, 2), (3, 3))},
}
