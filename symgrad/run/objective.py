"""From an expression, parameters and data to functions of arrays, each compiled when first called."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import field
from typing import Any

import numpy as np
import sympy as sp

from symgrad.errors import BadArgument, DtypeMismatch, ShapeMismatch, quoted
from symgrad.frontend.arguments import default_arguments
from symgrad.frontend.survey import Survey
from symgrad.program import program as make_program
from symgrad.records import dataclass
from symgrad.run.flat import Arrays, Layout, float_dtype, layout_of
from symgrad.run.optim.base import Linearisation

Bindings = Mapping[Any, Any]
_MATRICES = ("hess", ("value", "jac"))  # outputs with a matrix, which may be sparse


@dataclass
class Objective:
    """An expression to minimise over some of its symbols; what it needs is compiled when first asked for.

    The methods take a dict with an array for every symbol and return what the kernels return, except that
    `value` is a float. Picklable if the kernels are. With `sparse`, a format of SciPy's, the Hessian and
    the Jacobian are one sparse array each.
    """

    program: Any
    params: tuple[Hashable, ...]
    data: tuple[Hashable, ...]
    layout: Layout
    backend: str
    dtype: str
    sparse: str | None = None
    kernels: dict[Any, Callable[..., Any]] = field(default_factory=dict)

    def kernel(self, outputs: str | tuple[str, ...]) -> Callable[..., Any]:
        """The kernel for `outputs`, with the parameters first and then the data, compiled once."""
        if outputs not in self.kernels:
            from symgrad.pipeline import compile as compile_kernel  # the pipeline itself imports this folder

            self.kernels[outputs] = compile_kernel(
                self.program,
                args=self.params + self.data,
                wrt=self.params,
                outputs=outputs,
                backend=self.backend,
                dtype=self.dtype,
                sparse=self.sparse if outputs in _MATRICES else None,
            )
        return self.kernels[outputs]

    def value_and_grad(self, arrays: Bindings) -> tuple[float, Any]:
        value, grad = self.kernel(("value", "grad"))(*self._in_order(arrays))
        if np.ndim(value) != 0:
            raise ShapeMismatch(
                f"the value is an array of shape {np.shape(value)}, not one number",
                because="axes of an array beyond those of its symbol count as samples, with a value for each",
                try_="give params and data the shapes of their symbols, and sum over samples inside",
            )
        return float(value), grad

    def residuals_and_jac(self, arrays: Bindings) -> Linearisation:
        """All entries of an array of residuals, and their Jacobian; samples are residuals like any other."""
        value, jac = self.kernel(("value", "jac"))(*self._in_order(arrays))
        if np.ndim(value) == 0:
            raise ShapeMismatch(
                "the value is one number, not an array of residuals",
                because="this method minimises half the sum of the squared entries of the program's value",
                try_='the residuals themselves as the program; or method="newton" for the value as it is',
            )
        residuals = np.asarray(value, self.layout.dtype).reshape(-1)
        return Linearisation(residuals, self.layout.jacobian(jac, residuals.size))

    def half_squares_and_grad(self, arrays: Bindings) -> tuple[float, Any]:
        """Half the sum of squared residuals, and its gradient as one vector."""
        return self.residuals_and_jac(arrays).evaluation()

    def hvp(self, arrays: Bindings, tangents: Arrays) -> Any:
        parts = tuple(tangents[key] for key in self.params)
        are_scalars = all(entry.shape is None for entry in self.layout.entries)
        tangent = np.array(parts, self.dtype) if are_scalars else parts
        return self.kernel("hvp")(*self._in_order(arrays), tangent=tangent)

    def hess(self, arrays: Bindings) -> Any:
        return self.kernel("hess")(*self._in_order(arrays))

    def _in_order(self, arrays: Bindings) -> Iterator[Any]:
        return (arrays[key] for key in (*self.params, *self.data))


def make_objective(
    program: Any,
    params: Mapping[Any, Any],
    data: Bindings,
    backend: str,
    dtype: object,
    kinks: str | None = None,
    sparse: str | None = None,
) -> Objective:
    """An objective for a program or an expression; nothing is compiled yet.

    Raises BadArgument if a symbol is both a parameter and data, or if a program's argument is neither.
    """
    layout = layout_of(params, dtype)
    both = [key for key in params if key in data]
    if both:
        raise BadArgument(
            f"{quoted(both[0])} is both a parameter and data", try_="leave it out of one of them"
        )
    if kinks is not None:
        program = make_program(program, kinks=kinks)
    if hasattr(program, "wrt"):
        _check_arguments(program.args, params, data)
    elif isinstance(program, sp.Basic):
        _check_arguments(_symbols_of(program), params, data)
    return Objective(program, tuple(params), tuple(data), layout, backend, layout.dtype.name, sparse)


def data_arrays(data: Mapping[Any, Any] | None, dtype: object) -> dict[Any, Any]:
    """Data as NumPy arrays, in `dtype` so that no call converts them again; numbers stay numbers.

    Integers stay integers unless the symbol is a matrix, because others may be indices.
    Raises BadArgument for something that is not numeric, DtypeMismatch for complex numbers.
    """
    result: dict[Any, Any] = {}
    for key, value in (data or {}).items():
        array = np.asarray(value)
        if array.dtype.kind == "c":
            raise DtypeMismatch(
                f"the data for {quoted(key)} is complex", try_="split it into two real symbols"
            )
        if array.dtype.kind not in "fiub":
            raise BadArgument(
                f"the data for {quoted(key)} is not numeric", because=f"its dtype is {array.dtype}"
            )
        if array.ndim == 0:
            result[key] = value
        else:
            is_real = array.dtype.kind == "f" or getattr(key, "is_Matrix", False)
            result[key] = np.asarray(array, float_dtype(dtype) if is_real else None, order="C")
    return result


def _symbols_of(expr: Any) -> tuple[Any, ...]:
    """The symbols of an expression that need a value, as a program would find them; sizes aside."""
    survey = Survey()
    survey.absorb(expr)
    return tuple(s for s in default_arguments(survey, expr) if s not in survey.sizes)


def _check_arguments(args: tuple[Any, ...], params: Mapping[Any, Any], data: Bindings) -> None:
    missing = [arg for arg in args if arg not in params and arg not in data]
    if missing:
        raise BadArgument(
            f"there is no value for {', '.join(quoted(arg) for arg in missing)}",
            because="the program's arguments are " + ", ".join(map(str, args)),
            try_=f"params={{{missing[0]}: ...}} to optimise it, data={{{missing[0]}: ...}} to keep it fixed",
        )
