"""Bundle adjustment: errors of pictured points, penalties of weights, and their sparse Jacobian.

An observation depends on 15 parameters of its camera, its point and its weight: the Jacobian is a block of
2 by 15 numbers for each, kept number by number for all observations, and a diagonal for the penalties.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

import symgrad as sg
from problems.common import Prepared, kernel, numbers, room

_n, _m, _p = sp.symbols("n m p", integer=True, positive=True)  # cameras, points, observations
_i = sp.Idx("i", _p)
_cams = sp.IndexedBase("cams", shape=(_n, 11))  # rotation, centre, focal length, principal point, distortion
_x, _w = sp.IndexedBase("x", shape=(_m, 3)), sp.IndexedBase("w", shape=(_p,))
_camera, _point = sp.IndexedBase("camera", shape=(_p,)), sp.IndexedBase("point", shape=(_p,))
_feats = sp.IndexedBase("feats", shape=(_p, 2))


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


_blocks = sp.Matrix([[sp.Derivative(e, v, evaluate=False) for v in _variables] for e in _errors])
_given = (_cams, _x, _w, _camera, _point, _feats)
_error = kernel(sp.Matrix(_errors), args=_given, axes=[_i], outputs="value")
_error_blocks = kernel(_blocks, args=_given, axes=[_i], outputs="value")
_of_weights = sg.program(1 - _w[_i] ** 2, args=(_w,), wrt=_w)
_penalty = kernel(_of_weights, outputs="value")
_penalty_slopes = kernel(sp.Derivative(1 - _w[_i] ** 2, _w[_i], evaluate=False), args=(_w,), outputs="value")


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
        shown = {"elements": errors[:, 0, 0].tolist(), "repeated": errors.shape[-1]}
        return {
            "reproj_error": shown,
            "w_err": {"element": float(penalties[0]), "repeated": len(penalties)},
        }

    errors, penalties = room(2, 1, data["p"]), room(data["p"])
    return Prepared(lambda: (_error(*arguments, out=errors), _penalty(arguments[2], out=penalties)), output)


def _columns(data: dict[str, Any], camera: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Which parameters an observation depends on: its camera's, its point's, its weight."""
    n, m, p = data["n"], data["m"], data["p"]
    columns = np.empty((len(_variables), p), np.int32)
    columns[:11] = 11 * camera + np.arange(11)[:, None]
    columns[11:14] = 11 * n + 3 * point + np.arange(3)[:, None]
    columns[14] = 11 * n + 3 * m + np.arange(p)
    return columns


def _jacobian(data: dict[str, Any]) -> Prepared:
    """The blocks of all observations, an array of shape (2, 15, p), and the penalties' own slopes.

    Which columns a block stands in follows from the indices alone, and is found out beforehand.
    """
    arguments = _arguments(data)
    columns = _columns(data, *arguments[3:5])
    blocks, slopes = room(2, *columns.shape), room(data["p"])

    def run() -> tuple[np.ndarray, np.ndarray]:
        return _error_blocks(*arguments, out=blocks), _penalty_slopes(arguments[2], out=slopes)

    def output(results: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
        """Compressed rows, those of an observation one after the other, the penalties' last."""
        above, below = results
        width, first = len(_variables), [above[side, :, 0] for side in range(2)]
        return {
            "rows": [*range(0, 2 * width * width, width), above.size + below.size],
            "cols": [*columns[:, 0].tolist() * 2, int(columns[-1, -1])],
            "vals": [*np.concatenate(first).tolist(), float(below[-1])],
        }

    return Prepared(run, output)


FUNCTIONS = {"objective": _objective, "jacobian": _jacobian}
