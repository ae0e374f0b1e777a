"""What an optimizer is: a small frozen class with a pure step over flat vectors.

    state = method.init(params)
    params, state = method.update(state, value, grad, params)

`params` and `grad` have shape (size,); `value` is a float; nothing passed in is modified. A method that needs
more than one value and gradient per step names it in `needs` and gets an `Oracle` as the keyword `oracle`:
`"value_and_grad"` (line searches), `"hvp"`, `"hess"`, `"residuals_and_jac"` (sums of squares). Its state may
then carry `here`, the value and gradient at the parameters it returns, so that nobody computes them a second
time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np

from symgrad.errors import BadOption
from symgrad.run.flat import Matrix, Vector

Rate = float | Callable[[int], float]
"""A step size: a positive number, or a schedule from the step's number (0, 1, ...) to one."""


class Evaluation(NamedTuple):
    """The value and the gradient, shape (size,), at one point."""

    value: float
    grad: Vector


class Linearisation(NamedTuple):
    """The residuals, shape (count,), and their Jacobian, shape (count, size), at one point."""

    residuals: Vector
    jac: Matrix

    def evaluation(self) -> Evaluation:
        """Half the sum of squares and its gradient."""
        r, jac = self
        return Evaluation(0.5 * float(np.dot(r, r)), np.asarray(r @ jac, jac.dtype))


class Oracle(Protocol):
    """What a method may ask about the function; vectors have shape (size,), matrices (size, size)."""

    def value_and_grad(self, x: Vector) -> Evaluation: ...
    def hvp(self, x: Vector, tangent: Vector) -> Vector: ...
    def hess(self, x: Vector) -> Matrix: ...
    def residuals_and_jac(self, x: Vector) -> Linearisation: ...


@runtime_checkable
class Method(Protocol):
    """An optimizer that follows one gradient per step, and so suits mini-batches; `needs` is empty."""

    needs: ClassVar[tuple[str, ...]]

    def init(self, params: Vector) -> Any: ...
    def update(self, state: Any, value: float, grad: Vector, params: Vector) -> tuple[Vector, Any]: ...


@runtime_checkable
class OracleMethod(Protocol):
    """An optimizer that asks for more than one value and gradient per step; `needs` names what."""

    needs: ClassVar[tuple[str, ...]]

    def init(self, params: Vector) -> Any: ...
    def update(
        self, state: Any, value: float, grad: Vector, params: Vector, *, oracle: Oracle
    ) -> tuple[Vector, Any]: ...


AnyMethod = Method | OracleMethod


class NoStep(Exception):
    """A method found no acceptable step; `at_rounding` says that the decrease left is below rounding error.

    Never reaches the user: the loop turns it into the result's status and message.
    """

    def __init__(self, reason: str, at_rounding: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.at_rounding = at_rounding


def rate_at(rate: Rate, step: int) -> float:
    """The step size at `step`."""
    return rate(step) if callable(rate) else rate


def check_rate(rate: Rate, name: str = "lr") -> None:
    """Raises BadOption unless `rate` is a schedule or a positive finite number."""
    if not callable(rate):
        check_between(name, rate, 0.0, math.inf, open_below=True)


def check_between(name: str, value: float, low: float, high: float, open_below: bool = False) -> None:
    """Raises BadOption unless low <= value < high (low < value with `open_below`)."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and low <= value < high and not (open_below and value == low):
        return
    sign = "<" if open_below else "<="
    raise BadOption(
        f"{name} is {value!r}", because=f"{name} is a number with {low:g} {sign} {name} < {high:g}"
    )


def check_count(name: str, value: object, least: int = 1) -> None:
    """Raises BadOption unless `value` is an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise BadOption(f"{name} is {value!r}", because=f"{name} is an integer, {least} or more")
