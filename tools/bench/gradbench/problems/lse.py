"""Log-sum-exp, written in its primitive elements: a maximum, a sum, a logarithm."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

import symgrad as sg
from problems.common import Prepared, as_list, kernel, numbers

_n = sp.Symbol("n", integer=True, positive=True)
_i = sp.Symbol("i", integer=True)
_x = sp.IndexedBase("x", shape=(_n,))
_largest = sg.Maximum(_x[_i], (_i, 0, _n - 1))
_lse = _largest + sp.log(sp.Sum(sp.exp(_x[_i] - _largest), (_i, 0, _n - 1)))

_value = kernel(_lse, wrt=_x, outputs="value")
_gradient = kernel(_lse, wrt=_x, outputs="grad")


def _primal(data: dict[str, Any]) -> Prepared:
    x = numbers(data["x"])
    return Prepared(lambda: _value(x), float)


def _grad(data: dict[str, Any]) -> Prepared:
    x = numbers(data["x"])
    out = np.empty_like(x)
    return Prepared(lambda: _gradient(x, out=out), as_list)


FUNCTIONS = {"primal": _primal, "gradient": _grad}
