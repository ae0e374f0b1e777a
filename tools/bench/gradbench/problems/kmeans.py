"""The cost of a clustering, and Newton's step for its centres: gradient over diagonal of the Hessian."""

from __future__ import annotations

from typing import Any

import sympy as sp

import symgrad as sg
from problems.common import Prepared, as_list, kernel, numbers

_n, _k, _d = sp.symbols("n k d", integer=True, positive=True)
_i, _j, _l = sp.symbols("i j l", integer=True)
_points = sp.IndexedBase("points", shape=(_n, _d))
_centroids = sp.IndexedBase("centroids", shape=(_k, _d))


def _row(array: sp.IndexedBase, i: Any) -> sg.Entries:
    return sg.Entries((_d,), lambda k: array[i, k])


def _product(left: Any, right: Any) -> sp.Expr:
    return sp.Sum(left[_l] * right[_l], (_l, 0, _d - 1))


_centre, _point = _row(_centroids, _j), _row(_points, _i)
_farther = _product(_centre, _centre) - 2 * _product(_centre, _point)  # than the origin, squared
_nearest = sg.Minimum(_farther, (_j, 0, _k - 1)) + _product(_point, _point)
_cost = sp.Sum(_nearest, (_i, 0, _n - 1))

_program = sg.program(_cost, args=(_centroids, _points), wrt=_centroids)
_value = kernel(_program, outputs="value")
_slope_and_curvature = kernel(_program, outputs=("grad", "hess_diag"))


def _cost_of(data: dict[str, Any]) -> Prepared:
    arguments = numbers(data["centroids"]), numbers(data["points"])
    return Prepared(lambda: _value(*arguments), float)


def _direction(data: dict[str, Any]) -> Prepared:
    arguments = numbers(data["centroids"]), numbers(data["points"])

    def run() -> Any:
        slope, curvature = _slope_and_curvature(*arguments)
        return slope / curvature

    return Prepared(run, as_list)


FUNCTIONS = {"cost": _cost_of, "dir": _direction}
