"""A hand of bones and skin against measured points: errors, and their Jacobian by pose and places.

Everything is in index notation: which parameter turns which bone, and around which axis, stands in constant
arrays. Only vertices that a measurement reads are computed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

import symgrad as sg
from problems.common import Prepared, as_list, kernel, numbers, room

_n, _triangles, _vertices, _used = sp.symbols("n triangles vertices used", integer=True, positive=True)
_bones, _parameters, _depth = sp.symbols("bones parameters depth", integer=True, positive=True)
_i, _r = sp.Idx("i", _n), sp.Idx("r", 3)


def _array(name: str, *shape: Any) -> sp.IndexedBase:
    return sp.IndexedBase(name, shape=shape)


_theta, _us, _points = _array("theta", _parameters), _array("us", _n, 2), _array("points", _n, 3)
_found, _which = _array("found", _n), _array("which", _used)
_corner = _array("corner", _triangles, 3)  # corners count used vertices only
_base, _weight = _array("base", _vertices, 4), _array("weight", _vertices, _bones)
_relative, _inverse = _array("relative", _bones, 4, 4), _array("inverse", _bones, 4, 4)
_parent, _flip = _array("parent", _bones), _array("flip", 3)
_bend = _array("bend", 2, _bones, _parameters)  # around z, around x
_turn = _array("turn", 2, 3, 4, 4)  # a rotation is turn[0] + cos*turn[1] + sin*turn[2]
_axis, _shift = _array("axis", 3, _parameters), _array("shift", 3, _parameters)
_cross = _array("cross", 3, 3, _parameters)  # the matrix of the vector product with the axis
_SMALL = sp.Float(1e-4)  # an angle below which the hand is not turned


def _total(term: Callable[[Any], Any], size: Any) -> sp.Expr:
    k = sp.Dummy("k", integer=True)
    return sp.Sum(term(k), (k, 0, size - 1))


def _stored(shape: tuple[Any, ...], entry: Callable[..., Any]) -> Any:
    return sg.stored(sg.Entries(shape, entry))


def _linear(matrix: sp.IndexedBase, *place: Any) -> sp.Expr:
    return _total(lambda p: matrix[(*place, p)] * _theta[p], _parameters)


def _rotation(s: int, b: Any, k: Any, c: Any) -> sp.Expr:
    angle = _linear(_bend, s, b)
    return _turn[s, 0, k, c] + sp.cos(angle) * _turn[s, 1, k, c] + sp.sin(angle) * _turn[s, 2, k, c]


def _bone_transforms() -> Any:
    """From the hand at rest to the hand in its pose, for every bone; of shape (bones, 3, 4)."""
    shape = (_bones, 4, 4)
    bent = _stored(shape, lambda b, r, c: _total(lambda k: _rotation(0, b, r, k) * _rotation(1, b, k, c), 4))
    posed = _stored(shape, lambda b, r, c: _total(lambda k: _relative[b, r, k] * bent[b, k, c], 4))

    def outwards(placed: Any, _: Any) -> sg.Entries:
        """Every bone by its parent; right for bones at most one step farther from the root than before."""

        def entry(b: Any, r: Any, c: Any) -> Any:
            by_parent = _total(lambda k: placed[_parent[b], r, k] * posed[b, k, c], 4)
            return sg.Where(_parent[b] < 0, posed[b, r, c], by_parent)

        return sg.Entries(shape, entry)

    placed = sg.scan(outwards, posed, _depth).final
    return _stored((_bones, 3, 4), lambda b, r, c: _total(lambda k: placed[b, r, k] * _inverse[b, k, c], 4))


def _whole_rotation() -> Any:
    """Rodrigues' formula."""
    square = _total(lambda r: _linear(_axis, r) ** 2, 3)
    angle = sp.sqrt(square)

    def entry(r: Any, c: Any) -> Any:
        same = sg.Where(sp.Eq(r, c), 1, 0)
        along = _linear(_axis, r) * _linear(_axis, c) * (1 - sp.cos(angle)) / square
        turned = sp.cos(angle) * same + sp.sin(angle) / angle * _linear(_cross, r, c) + along
        return sg.Where(angle < _SMALL, same, turned)

    return _stored((3, 3), entry)


def _vertex_positions() -> Any:
    bones, rotation = _bone_transforms(), _whole_rotation()

    def skinned(v: Any, r: Any) -> sp.Expr:
        def part(b: Any) -> sp.Expr:
            return _total(lambda c: bones[b, r, c] * (_weight[_which[v], b] * _base[_which[v], c]), 4)

        return _flip[r] * _total(part, _bones)

    skin = _stored((_used, 3), skinned)
    return _stored(
        (_used, 3), lambda v, r: _total(lambda c: rotation[r, c] * skin[v, c], 3) + _linear(_shift, r)
    )


_position = _vertex_positions()
_corners = [_position[_corner[_found[_i], k], _r] for k in range(3)]
_first, _second = _us[_i, 0], _us[_i, 1]
_on_vertex = _points[_i, _r] - _corners[0]
_on_triangle = _points[_i, _r] - (
    _first * _corners[0] + _second * _corners[1] + (1 - _first - _second) * _corners[2]
)

_model = (_found, _corner, _which, _base, _weight, _relative, _inverse, _parent, _flip)
_constants = (_bend, _turn, _axis, _shift, _cross)
_arguments_of = {"simple": (_theta, _points, *_model, *_constants)}
_arguments_of["complicated"] = (_us, *_arguments_of["simple"])


def _kernel_of(error: sp.Expr, variant: str, wrt: Any = _theta, **options: Any) -> sg.Kernel:
    return kernel(error, args=_arguments_of[variant], wrt=wrt, axes=[_i, _r], **options)


_errors = {
    "simple": _kernel_of(_on_vertex, "simple", outputs="value"),
    "complicated": _kernel_of(_on_triangle, "complicated", outputs="value"),
}
_slopes = {
    "simple": _kernel_of(_on_vertex, "simple", outputs="jac"),
    "complicated": _kernel_of(_on_triangle, "complicated", outputs="jac"),
}
_slopes_by_places = _kernel_of(_on_triangle, "complicated", _us, outputs="jac", sparse="csr")  # two in a row


def _rotations() -> np.ndarray:
    """Around z and around x, of homogeneous coordinates: the part that stays, with cos, with sin."""
    turn = np.zeros((2, 3, 4, 4))
    for k, (a, b, rest) in enumerate(((0, 1, 2), (1, 2, 0))):
        turn[k, 0, rest, rest] = turn[k, 0, 3, 3] = 1
        turn[k, 1, a, a] = turn[k, 1, b, b] = 1
        turn[k, 2, b, a], turn[k, 2, a, b] = 1, -1
    return turn


def _pose(bones: int) -> tuple[np.ndarray, ...]:
    """What the parameters do: three turn the hand, three shift it, and four bend each of five fingers."""
    count = 26
    bend, axis, shift, cross = (
        np.zeros(s) for s in ((2, bones, count), (3, count), (3, count), (3, 3, count))
    )
    for k in range(3):
        axis[k, k] = shift[k, 3 + k] = 1
        a, b = (k + 1) % 3, (k + 2) % 3
        cross[b, a, k], cross[a, b, k] = 1, -1
    for finger in range(5):
        for joint, parameter in ((2, 6), (3, 8), (4, 9)):
            bend[1, 4 * finger + joint, 4 * finger + parameter] = 1
        bend[0, 4 * finger + 2, 4 * finger + 7] = 1
    return bend, _rotations(), axis, shift, cross


def _depth_of(parents: np.ndarray) -> int:
    """How many bones the longest way to a root has, beside the first."""
    at, steps = parents, 0
    while (at >= 0).any():
        at, steps = np.where(at >= 0, parents[at], at), steps + 1
    return steps


def _prepared(data: dict[str, Any]) -> tuple[str, Callable[[], tuple[Any, ...]], int]:
    """(variant, the arguments anew, depth of the tree of bones)."""
    model, us = data["data"]["model"], numbers(data["us"])
    variant = "complicated" if us.size else "simple"
    given = [numbers(data["theta"]), numbers(data["data"]["points"])]
    parents, triangles = np.array(model["parents"]), np.array(model["triangles"])
    if variant == "simple":  # measured at vertices: triangles of one corner
        triangles = np.repeat(np.arange(len(model["weights"]))[:, None], 3, axis=1)
    found = np.array(data["data"]["correspondences"])
    skin = [numbers(model[name]) for name in ("base_positions", "weights")]
    bones = [numbers(model[name]) for name in ("base_relatives", "inverse_base_absolutes")]
    flip = np.array([-1.0 if model["is_mirrored"] else 1.0, 1.0, 1.0])
    constants = _pose(len(parents))

    def arguments() -> tuple[Any, ...]:
        """Which vertices are read is found out in every run."""
        is_found, is_used = np.zeros(len(triangles), bool), np.zeros(len(skin[0]), bool)
        is_found[found] = True
        is_used[triangles[is_found]] = True
        which = np.flatnonzero(is_used)
        number = np.cumsum(is_used) - 1
        number[~is_used] = 0  # corners of triangles that nothing reads
        first = (us,) if variant == "complicated" else ()
        return (*first, *given, found, number[triangles], which, *skin, *bones, parents, flip, *constants)

    return variant, arguments, _depth_of(parents)


def _objective(data: dict[str, Any]) -> Prepared:
    variant, arguments, depth = _prepared(data)
    errors = room(len(data["data"]["points"]), 3)
    return Prepared(
        lambda: _errors[variant](*arguments(), depth=depth, out=errors), lambda r: as_list(r.ravel())
    )


def _jacobian(data: dict[str, Any]) -> Prepared:
    variant, arguments, depth = _prepared(data)
    slopes = room(len(data["data"]["points"]), 3, len(data["theta"]))

    def run() -> list[np.ndarray]:
        values = arguments()
        pose = _slopes[variant](*values, depth=depth, out=slopes)
        if variant == "simple":
            return [pose]
        return [_slopes_by_places(*values, depth=depth).data.reshape(-1, 2), pose]

    def output(parts: list[np.ndarray]) -> Any:
        return as_list(np.concatenate([part.reshape(-1, part.shape[-1]) for part in parts], axis=1))

    return Prepared(run, output)


FUNCTIONS = {"objective": _objective, "jacobian": _jacobian}
