"""The log posterior of a mixture of Gaussians with a Wishart prior on the precisions, and its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

import symgrad as sg
from problems.common import Prepared, kernel, numbers

_d, _k, _n, _e = sp.symbols("d k n e", integer=True, positive=True)  # e = d*(d - 1)/2
_i, _c, _a, _b = sp.symbols("i c a b", integer=True)
_alpha = sp.IndexedBase("alpha", shape=(_k,))
_mu, _q = sp.IndexedBase("mu", shape=(_k, _d)), sp.IndexedBase("q", shape=(_k, _d))
_l, _x = sp.IndexedBase("l", shape=(_k, _e)), sp.IndexedBase("x", shape=(_n, _d))
_place = sp.IndexedBase("place", shape=(_d, _d))  # where the entry of a row and column stands in l
_m, _gamma = sp.symbols("m gamma", real=True)


def _root(c: Any, a: Any, b: Any) -> sp.Expr:
    """The lower triangular Q of a component, whose Q'Q is the precision."""
    return sg.Where(b < a, _l[c, _place[a, b]], sg.Where(sp.Eq(a, b), sp.exp(_q[c, a]), 0))


def _times_root(vector: Callable[[Any], Any]) -> sp.Expr:
    return sp.Sum(_root(_c, _a, _b) * vector(_b), (_b, 0, _d - 1))


def _log_sum_exp(exponent: Any) -> sp.Expr:
    return sp.log(sp.Sum(sp.exp(exponent), (_c, 0, _k - 1)))


def _log_posterior() -> sp.Expr:
    sum_of_q = sp.Sum(_q[_c, _a], (_a, 0, _d - 1))
    turned = _times_root(lambda b: _x[_i, b]) - _times_root(lambda b: _mu[_c, b])
    exponent = _alpha[_c] + sum_of_q - sp.Sum(turned**2, (_a, 0, _d - 1)) / 2
    half_log_two_pi = sp.log(2 * sp.pi) / 2
    likelihood = sp.Sum(_log_sum_exp(exponent), (_i, 0, _n - 1)) - _n * (
        _d * half_log_two_pi + _log_sum_exp(_alpha[_c])
    )
    freedom = _d + _m + 1
    log_gamma = _d * (_d - 1) / 4 * sp.log(sp.pi) + sp.Sum(sp.loggamma((freedom - _a) / 2), (_a, 0, _d - 1))
    constant = freedom * _d * (sp.log(_gamma) - sp.log(2) / 2) - log_gamma
    squares = sp.Sum(sp.exp(2 * _q[_c, _a]), (_a, 0, _d - 1)) + sp.Sum(_l[_c, _a] ** 2, (_a, 0, _e - 1))
    prior = _k * constant - sp.Sum(_gamma**2 * squares / 2 - _m * sum_of_q, (_c, 0, _k - 1))
    return likelihood + prior


_wrt = (_alpha, _mu, _q, _l)
_program = sg.program(_log_posterior(), args=(*_wrt, _x, _place, _m, _gamma), wrt=_wrt)
_value = kernel(_program, outputs="value")
_gradient = kernel(_program, outputs="grad")


def _arguments(data: dict[str, Any]) -> tuple[Any, ...]:
    d, k = data["d"], data["k"]
    place = np.zeros((d, d), np.int64)
    place.T[np.triu_indices(d, 1)] = np.arange(d * (d - 1) // 2)  # column by column
    parameters = numbers(data["alpha"]), numbers(data["mu"]), numbers(data["q"])
    l = numbers(data["l"]).reshape(k, -1)  # noqa: E741  (the suite's name)
    return (*parameters, l, numbers(data["x"]), place, float(data["m"]), float(data["gamma"]))


def _objective(data: dict[str, Any]) -> Prepared:
    arguments = _arguments(data)
    return Prepared(lambda: _value(*arguments), float)


def _jacobian(data: dict[str, Any]) -> Prepared:
    arguments = _arguments(data)

    def output(parts: Any) -> dict[str, Any]:
        return {name: part.tolist() for name, part in zip(("alpha", "mu", "q", "l"), parts, strict=True)}

    return Prepared(lambda: _gradient(*arguments), output)


FUNCTIONS = {"objective": _objective, "jacobian": _jacobian}
