"""The sum of squares of the differences of a polynomial, by Horner's scheme, from a step function."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

import symgrad as sg
from problems.common import Prepared, as_list, kernel, numbers

_n, _m = sp.symbols("n m", integer=True, positive=True)
_i, _j = sp.symbols("i j", integer=True)
_x = sp.IndexedBase("x", shape=(_m,))


_point = sg.stored(sg.Entries((_n,), lambda i: -1 + 2 * i / (_n - 1)))
_zeros = sg.Entries((_n,), lambda i: 0)
_horner = sg.scan(
    lambda p, t: sg.Entries((_n,), lambda i: p[i] * _point[i] + _x[_m - 1 - t]), _zeros, _m
).final
_residual = sp.sign(_point[_i]) - _horner[_i]
_objective = sp.Sum(_residual**2, (_i, 0, _n - 1)) / 2

_value = kernel(_objective, args=(_x, _n), wrt=_x, outputs="value")
_gradient = kernel(_objective, args=(_x, _n), wrt=_x, outputs="grad")


def _primal(data: dict[str, Any]) -> Prepared:
    x, n = numbers(data["x"]), data["n"]
    return Prepared(lambda: _value(x, n), float)


def _grad(data: dict[str, Any]) -> Prepared:
    x, n = numbers(data["x"]), data["n"]
    out = np.empty_like(x)
    return Prepared(lambda: _gradient(x, n, out=out), as_list)


FUNCTIONS = {"primal": _primal, "gradient": _grad}
