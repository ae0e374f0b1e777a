"""What the optimizer loop calls: functions of arrays on flat vectors, several steps at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from symgrad.errors import BadArgument
from symgrad.records import dataclass
from symgrad.run.batches import Chosen
from symgrad.run.flat import Arrays, Layout, Matrix, Vector
from symgrad.run.optim.base import Evaluation, Linearisation

Bindings = Mapping[Any, Any]


@dataclass(frozen=True)
class Functions:
    """The function to minimise and its derivatives, each of a dict of all arrays (parameters and data).

    `value_and_grad(arrays)` returns a float and the gradients: a tuple in the order of the parameters, or one
    array of all their entries. `hvp(arrays, tangents)` returns the same for the product of the Hessian with
    `tangents`, a dict by parameter; `hess(arrays)` one square array of all entries, or nested blocks;
    `residuals_and_jac(arrays)` the residuals (count,) and their Jacobian (count, size) if the value is half
    the sum of their squares.
    """

    value_and_grad: Callable[[Bindings], tuple[Any, Any]]
    hvp: Callable[[Bindings, Arrays], Any] | None = None
    hess: Callable[[Bindings], Any] | None = None
    residuals_and_jac: Callable[[Bindings], tuple[Any, Any]] | None = None


class Calls:
    """The functions on flat vectors, with `data` bound, counting how often each is called."""

    def __init__(self, functions: Functions, layout: Layout, data: Bindings) -> None:
        self.functions = functions
        self.layout = layout
        self.data = data
        self.counts = {"nfev": 0, "nhev": 0}

    def value_and_grad(self, x: Vector) -> Evaluation:
        self.counts["nfev"] += 1
        value, grad = self.functions.value_and_grad(self._bindings(x))
        return Evaluation(float(value), self.layout.pack(grad))

    def hvp(self, x: Vector, tangent: Vector) -> Vector:
        if self.functions.hvp is None:
            raise BadArgument("the method needs Hessian-vector products", try_="pass hvp=")
        self.counts["nhev"] += 1
        return self.layout.pack(self.functions.hvp(self._bindings(x), self.layout.unpack(tangent)))

    def hess(self, x: Vector) -> Matrix:
        if self.functions.hess is None:
            raise BadArgument("the method needs the Hessian", try_="pass hess=")
        self.counts["nhev"] += 1
        return self.layout.matrix(self.functions.hess(self._bindings(x)))

    def residuals_and_jac(self, x: Vector) -> Linearisation:
        if self.functions.residuals_and_jac is None:
            raise BadArgument("the method needs residuals", try_="pass residuals_and_jac=")
        self.counts["nfev"] += 1
        return Linearisation(*self.functions.residuals_and_jac(self._bindings(x)))

    def _bindings(self, x: Vector) -> Bindings:
        return {**self.data, **self.layout.unpack(x)}


class Leaps(Protocol):
    """Several steps of the method at once (`run.fused`)."""

    def __call__(
        self, x: Vector, state: Any, data: Bindings, chosen: Sequence[Chosen] | None, count: int
    ) -> Leap: ...

    def most(self, x: Vector, state: Any, data: Bindings, chosen: Sequence[Chosen] | None) -> int: ...


class Leap(NamedTuple):
    """Where some steps led to, and the value and the largest entry of the gradient before each of them."""

    x: Vector
    state: Any
    values: Vector
    grad_norms: Vector
