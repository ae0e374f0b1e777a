"""`sg.scipy_problem`: a program as the keyword arguments of `scipy.optimize.minimize` or `least_squares`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from symgrad.errors import BadOption
from symgrad.run.calls import Calls, Functions
from symgrad.run.flat import Arrays, Matrix, Vector
from symgrad.run.objective import data_arrays, make_objective

_FIRST_ORDER = ("cg", "bfgs", "l-bfgs-b", "tnc", "slsqp")
_WITH_HESSIAN = ("dogleg", "trust-exact")
_WITH_PRODUCTS = ("newton-cg", "trust-ncg", "trust-krylov", "trust-constr")
_LEAST_SQUARES = ("trf", "dogbox", "lm")
_SPARSE_LEAST_SQUARES = ("trf", "dogbox")
_WITHOUT_DERIVATIVES = ("nelder-mead", "powell", "cobyla", "cobyqa")


class _OverVectors(Mapping[str, Any]):
    """Functions of one flat vector as keyword arguments; `unpack(x)` gives the parameters back."""

    def __init__(self, calls: Calls, x0: Vector, keys: tuple[str, ...], method: str | None) -> None:
        self._calls = calls
        self.x0 = x0
        self._entries = {key: getattr(self, key) for key in keys}
        if method is not None:
            self._entries["method"] = method

    def __getitem__(self, key: str) -> Any:
        return self._entries[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def unpack(self, x: Vector) -> Arrays:
        """Symbol -> value in the structure of the starting values, from a flat vector such as `result.x`."""
        return self._calls.layout.unpack(self._vector(x).copy())

    def pack(self, params: Mapping[Any, Any]) -> Vector:
        """The flat float64 vector for symbol -> value, in the order of the starting values."""
        return self._calls.layout.pack(params).astype(np.float64)

    def _vector(self, x: Vector) -> Vector:
        return np.asarray(x, self._calls.layout.dtype).reshape(-1)


class ScipyProblem(_OverVectors):
    """`fun`, `x0`, `jac`, `hess` and `hessp` over one flat vector; made by `scipy_problem`.

    `fun` and `jac` at the same point cost one call of one kernel; the kernels for `hess` and `hessp` are
    compiled when they are first called. `unpack(x)` gives the parameters back in the structure of the
    starting values.
    """

    _last: tuple[Vector, float, Vector] | None = None

    def fun(self, x: Vector) -> float:
        """The value at `x`, shape (size,)."""
        return self._at(x)[0]

    def jac(self, x: Vector) -> Vector:
        """The gradient at `x`; both have shape (size,)."""
        return self._at(x)[1].copy()

    def hess(self, x: Vector) -> Matrix:
        """The Hessian at `x`, shape (size, size); a sparse array if asked for."""
        return self._calls.hess(self._vector(x)).astype(np.float64)

    def hessp(self, x: Vector, p: Vector) -> Vector:
        """The Hessian at `x` times `p`, shape (size,)."""
        return self._calls.hvp(self._vector(x), self._vector(p)).astype(np.float64)

    def _at(self, x: Vector) -> tuple[float, Vector]:
        # SciPy asks for value and gradient one after the other, and changes x in place between steps.
        if self._last is None or not np.array_equal(self._last[0], x):
            value, grad = self._calls.value_and_grad(self._vector(x))
            self._last = (np.array(x), value, grad.astype(np.float64))
        return self._last[1:]


class ScipyResiduals(_OverVectors):
    """`fun`, `x0` and `jac` of `scipy.optimize.least_squares`; made by `scipy_problem` for its methods.

    `fun` and `jac` at the same point cost one call of one kernel. `unpack(x)` gives the parameters back in
    the structure of the starting values.
    """

    _last: tuple[Vector, Vector, Matrix] | None = None

    def fun(self, x: Vector) -> Vector:
        """The residuals, shape (count,), at `x`, shape (size,)."""
        return self._at(x)[0].copy()

    def jac(self, x: Vector) -> Matrix:
        """The Jacobian of the residuals, shape (count, size), at `x`, shape (size,)."""
        return self._at(x)[1].copy()

    def _at(self, x: Vector) -> tuple[Vector, Matrix]:
        # As above.
        if self._last is None or not np.array_equal(self._last[0], x):
            residuals, jac = self._calls.residuals_and_jac(self._vector(x))
            self._last = (np.array(x), residuals.astype(np.float64), jac.astype(np.float64))
        return self._last[1:]


def scipy_problem(
    program: Any,
    x0: Mapping[Any, Any],
    data: Mapping[Any, Any] | None = None,
    *,
    method: str | None = None,
    backend: str = "llvm",
    dtype: str = "float64",
    kinks: str | None = None,
    sparse: str | None = None,
) -> ScipyProblem | ScipyResiduals:
    """A program or scalar SymPy expression for `scipy.optimize.minimize(**sg.scipy_problem(...),
    method="trust-ncg")`.

    `x0` (symbol -> starting value) says what to minimise over, `data` (symbol -> value) holds the rest.
    Without `method` all of `fun`, `x0`, `jac`, `hess` and `hessp` are there, and SciPy warns if the method it
    is given has no use for one; with `method`, SciPy's name for it, only what it uses, and `method` itself.
    With `sparse` ("csc", "csr" or "coo") `hess` is a SciPy sparse array, which SciPy's "trust-constr" takes.

    With a method of `scipy.optimize.least_squares` ("trf", "dogbox", "lm") the program's value is an array of
    residuals, and what is returned suits that function: `fun` gives the residuals, `jac` their Jacobian,
    which "trf" and "dogbox" take sparse.

    Raises BadOption for a method that is not SciPy's or takes nothing sparse, and what `minimize` raises for
    parameters and data.
    """
    keys = _keys(method) if sparse is None else _sparse_keys(method)
    arrays = data_arrays(data, dtype)
    objective = make_objective(program, x0, arrays, backend, dtype, kinks, sparse)
    functions = Functions(
        objective.value_and_grad, objective.hvp, objective.hess, objective.residuals_and_jac
    )
    start = objective.layout.pack(x0).astype(np.float64)
    kind = ScipyResiduals if method is not None and method.lower() in _LEAST_SQUARES else ScipyProblem
    return kind(Calls(functions, objective.layout, arrays), start, keys, method)


def _sparse_keys(method: str | None) -> tuple[str, ...]:
    if method is not None and method.lower() in _SPARSE_LEAST_SQUARES:
        return _keys(method)
    if method is not None and method.lower() != "trust-constr":
        raise BadOption(
            f"SciPy's {method!r} takes no sparse matrix",
            because="of its methods trust-constr takes a sparse Hessian, trf and dogbox a sparse Jacobian",
            try_="one of these, or sg.minimize with sg.optim.Newton(sparse=True)",
        )
    return ("fun", "x0", "jac", "hess")


def _keys(method: str | None) -> tuple[str, ...]:
    if method is None:
        return ("fun", "x0", "jac", "hess", "hessp")
    extra = {
        **dict.fromkeys(_WITHOUT_DERIVATIVES, ()),
        **dict.fromkeys((*_FIRST_ORDER, *_LEAST_SQUARES), ("jac",)),
        **dict.fromkeys(_WITH_HESSIAN, ("jac", "hess")),
        **dict.fromkeys(_WITH_PRODUCTS, ("jac", "hessp")),
    }
    if method.lower() not in extra:
        raise BadOption(f"SciPy has no method called {method!r}", try_="one of " + ", ".join(extra))
    return ("fun", "x0", *extra[method.lower()])
