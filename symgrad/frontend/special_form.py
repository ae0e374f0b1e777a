"""Ops of special functions that SymPy writes in another way, as SymPy expressions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sympy as sp

Expr = Any


def _regularised(function: Any) -> Callable[[Sequence[Expr], bool], Expr]:
    return lambda v, exact: function(*v) / sp.gamma(v[0])


def _share_of_beta(v: Sequence[Expr], exact: bool) -> Expr:
    return sp.betainc_regularized(v[0], v[1], sp.S.Zero, v[2])


def _d(first: Any, second: Any) -> Callable[[Sequence[Expr], bool], Expr]:
    """(F - E)/m."""
    return lambda v, exact: (first(*v) - second(*v)) / v[-1]


SPECIAL_FORMS: dict[str, Callable[[Sequence[Expr], bool], Expr]] = {
    "gammainc": _regularised(sp.lowergamma),
    "gammaincc": _regularised(sp.uppergamma),
    "betainc": _share_of_beta,
    "gamma_weight": lambda v, exact: v[2] ** v[0] * sp.exp(-v[2]) / sp.gamma(v[1]),
    "beta_weight": lambda v, exact: v[4] ** v[0] * (1 - v[4]) ** v[1] / sp.beta(v[2], v[3]),
    "lambertw_above": lambda v, exact: 1 + sp.LambertW(*v),
    "betaln": lambda v, exact: sp.log(sp.beta(*v)),
    "elliptic_d": _d(sp.elliptic_k, sp.elliptic_e),
    "incomplete_d": _d(sp.elliptic_f, sp.elliptic_e),
}
