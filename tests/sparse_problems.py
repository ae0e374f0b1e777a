"""Problems with sparse derivatives: each as symgrad sees it, and written out for SymPy to differentiate.

`exact` is SymPy's derivative of the written-out form at 40 digits: independent of everything in symgrad.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import mpmath
import numpy as np
import sympy as sp

n, m, d = sp.symbols("n m d", integer=True, positive=True)
i, j, k = sp.symbols("i j k", integer=True)
x = sp.IndexedBase("x", shape=(n,))
y = sp.IndexedBase("y", shape=(n, 3))


def integers(name: str, size: Any) -> sp.IndexedBase:
    return sp.IndexedBase(sp.Symbol(name, integer=True), shape=(size,))


a, b = integers("a", m), integers("b", m)


@dataclass(frozen=True)
class Problem:
    """word of `expr` by `wrt`; `written` makes the same from nested lists of scalars, one per argument."""

    name: str
    word: str
    expr: Any
    args: tuple[Any, ...]
    wrt: Any
    values: tuple[np.ndarray, ...]
    written: Callable[..., Sequence[Any]]
    axes: tuple[Any, ...] | None = None

    @cached_property
    def exact(self) -> np.ndarray:
        """The matrix at `values`; `written` gives the residuals (the value alone, for hess)."""
        chosen = [s in (self.wrt if isinstance(self.wrt, tuple) else (self.wrt,)) for s in self.args]
        variables: list[sp.Symbol] = []
        point: dict[sp.Symbol, Any] = {}
        given = []
        for array, is_variable in zip(self.values, chosen, strict=True):
            entries = array.ravel().tolist()
            if is_variable:
                symbols = [sp.Symbol(f"v{len(variables) + p}", real=True) for p in range(array.size)]
                variables += symbols
                point |= {s: mpmath.mpf(e) for s, e in zip(symbols, entries, strict=True)}
                entries = symbols
            elif array.dtype.kind == "f":
                entries = [sp.Rational(e) for e in entries]
            given.append(np.array(entries, object).reshape(array.shape))
        parts = sp.Matrix(list(self.written(*given)))
        with mpmath.workdps(40):
            jacobian = self._evaluated(parts.jacobian(variables), variables, point)
            if self.word == "jac":
                return jacobian.astype(float)
            if self.word == "gauss_newton":
                return (jacobian.T @ jacobian).astype(float)
            return self._evaluated(sp.hessian(parts[0], variables), variables, point).astype(float)

    @staticmethod
    def _evaluated(matrix: sp.Matrix, variables: list[sp.Symbol], point: dict[sp.Symbol, Any]) -> np.ndarray:
        entries = sp.lambdify(variables, list(matrix), "mpmath")(*point.values())
        return np.array([mpmath.mpf(e) for e in entries], object).reshape(matrix.shape)


def _rng() -> np.random.Generator:
    return np.random.default_rng(3)


def rosenbrock() -> Problem:
    expr = sp.Sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2, (i, 0, n - 2))
    return Problem(
        "rosenbrock", "hess", expr, (x,), x, (_rng().normal(size=7),),
        lambda v: [sum(100 * (v[q + 1] - v[q] ** 2) ** 2 + (1 - v[q]) ** 2 for q in range(len(v) - 1))],
    )  # fmt: skip


_BROYDEN = (
    (3 - 2 * x[i]) * x[i] + 1
    - sp.Piecewise((x[i - 1], i > 0), (0, True))
    - 2 * sp.Piecewise((x[i + 1], i < n - 1), (0, True))
)  # fmt: skip


def _broyden_written(v: Any) -> list[Any]:
    padded = [0, *v, 0]
    return [(3 - 2 * v[q]) * v[q] + 1 - padded[q] - 2 * padded[q + 2] for q in range(len(v))]


def broyden_jacobian() -> Problem:
    values = (_rng().normal(size=8),)
    return Problem("broyden_jacobian", "jac", _BROYDEN, (x,), x, values, _broyden_written, (i,))


def broyden_gauss_newton() -> Problem:
    values = (_rng().normal(size=8),)
    return Problem("broyden_gauss_newton", "gauss_newton", _BROYDEN, (x,), x, values, _broyden_written, (i,))


def broyden_hessian() -> Problem:
    expr = sp.Sum(_BROYDEN**2, (i, 0, n - 1))
    return Problem(
        "broyden_hessian", "hess", expr, (x,), x, (_rng().normal(size=7),),
        lambda v: [sum(r**2 for r in _broyden_written(v))],
    )  # fmt: skip


def lennard_jones() -> Problem:
    square = sp.Sum((y[i, k] - y[j, k]) ** 2, (k, 0, 2))
    expr = sp.Sum(4 * (square**-6 - square**-3), (j, 0, i - 1), (i, 0, n - 1))

    def written(v: Any) -> list[Any]:
        squares = [sum((v[p] - v[q]) ** 2) for p in range(len(v)) for q in range(p)]
        return [sum(4 * (s**-6 - s**-3) for s in squares)]

    places = 1.2 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0.0]]) + 0.1 * _rng().normal(size=(3, 3))
    return Problem("lennard_jones", "hess", expr, (y,), y, (places,), written)


def arrowhead() -> Problem:
    expr = sp.Sum(sp.sin(x[0] * x[i]) + x[i] ** 4, (i, 1, n - 1)) + x[0] ** 2
    return Problem(
        "arrowhead", "hess", expr, (x,), x, (_rng().normal(size=7),),
        lambda v: [sum(sp.sin(v[0] * e) + e**4 for e in v[1:]) + v[0] ** 2],
    )  # fmt: skip


def block_diagonal() -> Problem:
    expr = sp.Sum(sp.exp(y[i, 0] * y[i, 1]) * sp.cos(y[i, 2] + y[i, 0]), (i, 0, n - 1))
    return Problem(
        "block_diagonal", "hess", expr, (y,), y, (_rng().normal(size=(4, 3)),),
        lambda v: [sum(sp.exp(e[0] * e[1]) * sp.cos(e[2] + e[0]) for e in v)],
    )  # fmt: skip


def random_pattern() -> Problem:
    rng = _rng()
    expr = sp.Sum(sp.exp(x[a[j]] * x[b[j]]) + sp.sin(x[a[j]]), (j, 0, m - 1))
    return Problem(
        "random_pattern", "hess", expr, (x, a, b), x,
        (0.5 * rng.normal(size=9), rng.integers(0, 9, 12), rng.integers(0, 9, 12)),
        lambda v, p, q: [sum(sp.exp(v[s] * v[t]) + sp.sin(v[s]) for s, t in zip(p, q, strict=True))],
    )  # fmt: skip


_CAMERA, _POINT = sp.IndexedBase("cam", shape=(n, 3)), sp.IndexedBase("pt", shape=(d, 2))
_SEEN = sp.IndexedBase("seen", shape=(m,))
_RESIDUAL = (
    sp.sin(_CAMERA[a[j], 0]) * _POINT[b[j], 0] + _CAMERA[a[j], 1] * _POINT[b[j], 1] ** 2
    - sp.exp(_CAMERA[a[j], 2] / 5) * _POINT[b[j], 0] - _SEEN[j]
)  # fmt: skip


def _bundle(word: str, expr: Any, is_sum: bool, axes: Any = None) -> Problem:
    rng = _rng()

    def written(cam: Any, pt: Any, p: Any, q: Any, seen: Any) -> list[Any]:
        parts = [
            sp.sin(cam[s][0]) * pt[t][0] + cam[s][1] * pt[t][1] ** 2 - sp.exp(cam[s][2] / 5) * pt[t][0] - z
            for s, t, z in zip(p, q, seen, strict=True)
        ]
        return [sum(r**2 for r in parts)] if is_sum else parts

    values = (
        rng.normal(size=(3, 3)), rng.normal(size=(4, 2)), rng.integers(0, 3, 7), rng.integers(0, 4, 7),
        rng.normal(size=7),
    )  # fmt: skip
    args = (_CAMERA, _POINT, a, b, _SEEN)
    return Problem(f"bundle_{word}", word, expr, args, (_CAMERA, _POINT), values, written, axes)


def bundle_jacobian() -> Problem:
    return _bundle("jac", _RESIDUAL, False, (j,))


def bundle_gauss_newton() -> Problem:
    return _bundle("gauss_newton", _RESIDUAL, False, (j,))


def bundle_hessian() -> Problem:
    return _bundle("hess", sp.Sum(_RESIDUAL**2, (j, 0, m - 1)), True)


PROBLEMS = {
    p.name: p
    for p in (
        rosenbrock(), broyden_jacobian(), broyden_gauss_newton(), broyden_hessian(), lennard_jones(),
        arrowhead(), block_diagonal(), random_pattern(), bundle_jacobian(), bundle_gauss_newton(),
        bundle_hessian(),
    )
}  # fmt: skip
