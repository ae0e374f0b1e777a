"""Bundle adjustment: errors of pictured points, penalties of weights, and their sparse Jacobian."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy as sp

import symgrad as sg
from problems.common import Prepared, kernel, numbers

_n, _m, _p = sp.symbols("n m p", integer=True, positive=True)  # cameras, points, observations
_i, _side, _column = sp.Idx("i", _p), sp.Idx("side", 2), sp.Idx("column", 15)
_cams = sp.IndexedBase("cams", shape=(_n, 11))  # rotation, centre, focal length, principal point, distortion
_x, _w = sp.IndexedBase("x", shape=(_m, 3)), sp.IndexedBase("w", shape=(_p,))
_camera, _point = sp.IndexedBase("camera", shape=(_p,)), sp.IndexedBase("point", shape=(_p,))
_feats = sp.IndexedBase("feats", shape=(_p, 2))
_SHOWN = 30  # of the repeated entries, this many are sent, and the last


def _pictured() -> tuple[sp.Expr, sp.Expr]:
    """Where a camera sees a point: turned by Rodrigues' formula, projected, distorted, scaled."""

    def camera(j: int) -> sp.Expr:
        return _cams[_camera[_i], j]

    turn = sp.Matrix([camera(j) for j in range(3)])
    seen = sp.Matrix([_x[_point[_i], j] - camera(3 + j) for j in range(3)])
    angle = sp.sqrt(turn.dot(turn))
    turned = (
        seen * sp.cos(angle)
        + turn.cross(seen) * sp.sinc(angle)
        + turn * (turn.dot(seen) * sp.sinc(angle / 2) ** 2 / 2)
    )
    u, v = turned[0] / turned[2], turned[1] / turned[2]
    square = u**2 + v**2
    scale = (1 + camera(9) * square + camera(10) * square**2) * camera(6)
    return u * scale + camera(7), v * scale + camera(8)


_errors = [_w[_i] * (seen - _feats[_i, k]) for k, seen in enumerate(_pictured())]
_variables = [*(_cams[_camera[_i], j] for j in range(11)), *(_x[_point[_i], j] for j in range(3)), _w[_i]]


def _choice(values: Sequence[sp.Expr], index: Any) -> sp.Expr:
    """The value with that number."""
    *others, chosen = values
    for k, value in reversed(list(enumerate(others))):
        chosen = sg.Where(sp.Eq(index, k), value, chosen)
    return chosen


def _rows_of(error: sp.Expr) -> sp.Expr:
    """The error of one observation, by the parameters of its camera, its point, and its weight."""
    return _choice([sp.Derivative(error, v, evaluate=False) for v in _variables], _column)


_given = (_cams, _x, _w, _camera, _point, _feats)
_error = kernel(_choice(_errors, _side), args=_given, axes=[_i, _side], outputs="value")
_error_rows = kernel(
    _choice([_rows_of(e) for e in _errors], _side), args=_given, axes=[_i, _side, _column], outputs="value"
)
_of_weights = sg.program(1 - _w[_i] ** 2, args=(_w,), wrt=_w)
_penalty = kernel(_of_weights, outputs="value")
_penalty_rows = kernel(sp.Derivative(1 - _w[_i] ** 2, _w[_i], evaluate=False), args=(_w,), outputs="value")


def _arguments(data: dict[str, Any]) -> tuple[np.ndarray, ...]:
    """One camera, point, weight and picture, repeated as often as the input says."""
    n, m, p = data["n"], data["m"], data["p"]
    which = np.arange(p)
    repeated = np.tile(numbers(data["cam"]), (n, 1)), np.tile(numbers(data["x"]), (m, 1))
    return (*repeated, np.full(p, float(data["w"])), which % n, which % m, np.tile(data["feat"], (p, 1)))


def _objective(data: dict[str, Any]) -> Prepared:
    arguments = _arguments(data)

    def output(results: Any) -> dict[str, Any]:
        errors, penalties = results
        shown = {"elements": errors[0].tolist(), "repeated": len(errors)}
        return {
            "reproj_error": shown,
            "w_err": {"element": float(penalties[0]), "repeated": len(penalties)},
        }

    return Prepared(lambda: (_error(*arguments), _penalty(arguments[2])), output)


def _columns(data: dict[str, Any], camera: np.ndarray, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the numbers of each observation stand; and those of the penalties."""
    n, m, p = data["n"], data["m"], data["p"]
    weight = 11 * n + 3 * m + np.arange(p)
    columns = np.empty((p, 2, len(_variables)), np.int32)
    columns[:, :, :11] = (11 * camera[:, None] + np.arange(11))[:, None]
    columns[:, :, 11:14] = (11 * n + 3 * point[:, None] + np.arange(3))[:, None]
    columns[:, :, 14] = weight[:, None]
    return columns, weight


def _jacobian(data: dict[str, Any]) -> Prepared:
    """Compressed rows: the errors' above the penalties'. Which numbers there are is found out beforehand."""
    arguments = _arguments(data)
    columns, weight = _columns(data, *arguments[3:5])
    values, slopes = np.empty(columns.shape), np.empty(len(weight))

    def run() -> tuple[np.ndarray, np.ndarray]:
        return _error_rows(*arguments, out=values), _penalty_rows(arguments[2], out=slopes)

    def output(results: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
        above, below = results
        starts = np.arange(_SHOWN) * len(_variables)
        return {
            "rows": [*starts.tolist(), above.size + below.size],
            "cols": [*columns.ravel()[:_SHOWN].tolist(), int(weight[-1])],
            "vals": [*above.ravel()[:_SHOWN].tolist(), float(below[-1])],
        }

    return Prepared(run, output)


FUNCTIONS = {"objective": _objective, "jacobian": _jacobian}
