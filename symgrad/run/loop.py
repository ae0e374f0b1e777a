"""The optimizer loop: evaluate, look, step; it knows functions of arrays, nothing of SymPy or kernels."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from symgrad.errors import BadArgument, BadOption
from symgrad.run.batches import Batches
from symgrad.run.flat import Arrays, Layout, Matrix, Vector, layout_of
from symgrad.run.optim.base import (
    AnyMethod,
    Evaluation,
    Linearisation,
    NoStep,
    check_between,
    check_count,
)
from symgrad.run.progress import ProgressBar

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

Bindings = Mapping[Any, Any]
DEFAULT_STEPS = 10_000
DEFAULT_EPOCHS = 10
PATIENCE = 30
"""A descent method stops after this many steps in a row without a better value or a smaller gradient."""


class Status(IntEnum):
    """Why a loop ended; `OptimizeResult.status`."""

    GRADIENT_SMALL = 0
    AT_ROUNDING = 1
    STEPS_DONE = 2
    CALLBACK = 3
    NOT_FINITE = 4
    NO_STEP = 5


class Ending(NamedTuple):
    """Why the loop ended, in a word and in a sentence, and whether that is a success."""

    status: Status
    message: str
    success: bool


@dataclass(frozen=True, slots=True)
class State:
    """What a callback sees before each step, and once more at the end.

    `value` and `grad_norm` (the largest absolute entry of the gradient) belong to `params`, a dict of
    read-only views that stay valid; with mini-batches they are those of the batch.
    """

    step: int
    epoch: int
    value: float
    grad_norm: float
    params: Arrays


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


@dataclass(frozen=True)
class Limits:
    """When to stop: `max_steps` None means without end; `tol` None means never because of a small
    gradient.
    """

    max_steps: int | None
    tol: float | None
    callback: Callable[[State], object] | None = None


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


def run_loop(
    value_and_grad: Callable[[Bindings], tuple[Any, Any]],
    params: Mapping[Any, Any],
    method: AnyMethod,
    *,
    data: Bindings | None = None,
    batches: Batches | None = None,
    hvp: Callable[[Bindings, Arrays], Any] | None = None,
    hess: Callable[[Bindings], Any] | None = None,
    residuals_and_jac: Callable[[Bindings], tuple[Any, Any]] | None = None,
    epochs: int | None = None,
    max_steps: int | None = None,
    tol: float | None = None,
    callback: Callable[[State], object] | None = None,
    progress: bool | None = None,
    dtype: object = "float64",
) -> OptimizeResult:
    """Minimise a function of arrays that returns its own gradient: `sg.minimize` without SymPy.

    The functions (see `Functions`) are called with a dict of all arrays, parameters and data; with `batches`,
    whose data then takes the place of `data`, with the arrays of one batch. The other arguments, the result
    and the errors are those of `minimize`.
    """
    layout = layout_of(params, dtype)
    is_stochastic = batches is not None
    limits = _limits(layout, batches, epochs, max_steps, tol, callback)
    if is_stochastic and method.needs:
        raise BadOption(
            f"{type(method).__name__} does not work on mini-batches",
            because="it compares values of one and the same function",
            try_="leave batch_size out, or use a method such as Adam",
        )
    whole = batches.data if batches is not None else (data or {})
    calls = Calls(Functions(value_and_grad, hvp, hess, residuals_and_jac), layout, whole)
    loop = Loop(calls, method, limits, layout.pack(params), is_stochastic)
    is_open = batches is None and epochs is None and max_steps is None
    total = None if is_open else limits.max_steps
    stream = batches.epochs() if batches is not None else _same(whole)
    with np.errstate(over="ignore", invalid="ignore"), ProgressBar(progress, total) as bar:
        ending = loop.run(stream, bar)
        calls.data = whole
        return loop.result(ending)


class Loop:
    """One run: the current parameters and the method's state, and what has been seen so far."""

    def __init__(
        self, calls: Calls, method: AnyMethod, limits: Limits, x: Vector, is_stochastic: bool
    ) -> None:
        self.calls, self.limits, self.is_stochastic = calls, limits, is_stochastic
        self.x = x
        self.state = method.init(x)
        self.steps = 0
        self.history: list[float] = []
        self.epoch_of: list[int] = []
        self.good: tuple[Vector, Evaluation] | None = None
        self._best_value, self._best_norm, self._idle = math.inf, math.inf, 0
        self._extra: dict[str, Any] = {"oracle": calls} if method.needs else {}
        self._update: Callable[..., tuple[Vector, Any]] = method.update

    def run(self, stream: Iterator[tuple[int, Bindings]], bar: ProgressBar) -> Ending:
        """Steps until there is a reason to end; a stream gives the epoch and the data for each step."""
        for epoch, data in stream:
            if self.is_stochastic and self._is_done():
                break
            self.calls.data = data
            here = getattr(self.state, "here", None) or self.calls.value_and_grad(self.x)
            grad_norm = largest(here.grad)
            ending = self._not_finite(here, grad_norm, epoch)
            if ending is None:
                self._note(here, epoch)
                bar.show(self.steps, epoch, here.value, grad_norm)
                ending = self._look(here, grad_norm, epoch)
            if ending is None:
                ending = self._step(here)
            if ending is not None:
                return ending
        return self._steps_done()

    def result(self, ending: Ending) -> OptimizeResult:
        """SciPy's result at the last finite point; with mini-batches, on all the data."""
        from symgrad.run.result import Minimum  # SciPy's optimizers are slow to import

        if self.good is None or self.is_stochastic:
            x = self.x if ending.status is not Status.NOT_FINITE or self.good is None else self.good[0]
            here = self.calls.value_and_grad(x)
        else:
            x, here = self.good
        layout = self.calls.layout
        history = np.array(self.history)
        return Minimum(
            x=layout.unpack(x),
            fun=here.value,
            jac=layout.unpack(here.grad),
            nit=self.steps,
            nfev=self.calls.counts["nfev"],
            njev=self.calls.counts["nfev"],
            nhev=self.calls.counts["nhev"],
            success=ending.success,
            status=int(ending.status),
            message=ending.message,
            history=history,
            epoch_history=_means(history, self.epoch_of) if self.is_stochastic else history,
        )

    def _note(self, here: Evaluation, epoch: int) -> None:
        self.good = self.x, here
        self.history.append(here.value)
        self.epoch_of.append(epoch)

    def _look(self, here: Evaluation, grad_norm: float, epoch: int) -> Ending | None:
        """The reasons to end at a finite point; the callback sees the point in any case."""
        stops = self._callback_stops(here, grad_norm, epoch)
        tol = self.limits.tol
        if not self.is_stochastic and tol is not None and grad_norm <= tol:
            return Ending(Status.GRADIENT_SMALL, f"the gradient is below {tol:.3g} in every entry", True)
        if stops:
            return Ending(Status.CALLBACK, f"the callback asked to stop at step {self.steps}", False)
        if self._extra and self._is_idle(here.value, grad_norm):
            return Ending(Status.AT_ROUNDING, _rounding_message(grad_norm), True)
        if not self.is_stochastic and self._is_done():
            return self._steps_done()
        return None

    def _callback_stops(self, here: Evaluation, grad_norm: float, epoch: int) -> bool:
        if self.limits.callback is None:
            return False
        seen = self.x.view()
        seen.flags.writeable = False
        params = self.calls.layout.unpack(seen)
        return bool(self.limits.callback(State(self.steps, epoch, here.value, grad_norm, params)))

    def _is_idle(self, value: float, grad_norm: float) -> bool:
        """Whether a descent method has gone PATIENCE steps without a visible gain in value or gradient."""
        is_lower = value < self._best_value - np.finfo(self.x.dtype).eps * abs(value)
        is_flatter = grad_norm < 0.9 * self._best_norm
        self._idle = 0 if is_lower or is_flatter else self._idle + 1
        self._best_value = min(value, self._best_value)
        self._best_norm = min(grad_norm, self._best_norm)
        return self._idle >= PATIENCE

    def _step(self, here: Evaluation) -> Ending | None:
        try:
            self.x, self.state = self._update(self.state, here.value, here.grad, self.x, **self._extra)
        except NoStep as stop:
            if stop.at_rounding:
                return Ending(Status.AT_ROUNDING, _rounding_message(largest(here.grad)), True)
            return Ending(Status.NO_STEP, f"{stop.reason} (step {self.steps})", False)
        self.steps += 1
        return None

    def _not_finite(self, here: Evaluation, grad_norm: float, epoch: int) -> Ending | None:
        if math.isfinite(here.value) and math.isfinite(grad_norm):
            return None
        if not math.isfinite(here.value):
            what = f"the value is {here.value}"
        else:
            what = f"the gradient of {_first_bad(self.calls.layout, here.grad)} is not finite"
        kept = "x is the last point where both were finite" if self.good else "x is the starting point"
        return Ending(Status.NOT_FINITE, f"{what} at step {self.steps} (epoch {epoch}); {kept}", False)

    def _is_done(self) -> bool:
        return self.limits.max_steps is not None and self.steps >= self.limits.max_steps

    def _steps_done(self) -> Ending:
        if self.is_stochastic:
            return Ending(Status.STEPS_DONE, f"ran for {self.steps} steps, as asked", True)
        message = f"stopped at step {self.steps}, the last allowed; the gradient is not below the tolerance"
        return Ending(Status.STEPS_DONE, message, False)


def largest(vector: Vector) -> float:
    """The largest absolute entry, without a temporary array; nan if there is one."""
    return max(float(vector.max()), -float(vector.min())) if vector.size else 0.0


def _limits(
    layout: Layout,
    batches: Batches | None,
    epochs: int | None,
    max_steps: int | None,
    tol: float | None,
    callback: Callable[[State], object] | None,
) -> Limits:
    for name, count in (("epochs", epochs), ("max_steps", max_steps)):
        if count is not None:
            check_count(name, count, least=0)
    if tol is None:
        tol = math.sqrt(float(np.finfo(layout.dtype).eps))
    check_between("tol", tol, 0.0, math.inf)
    if epochs is None and max_steps is None:
        epochs, max_steps = (None, DEFAULT_STEPS) if batches is None else (DEFAULT_EPOCHS, None)
    of_epochs = math.inf if epochs is None else epochs * (1 if batches is None else batches.per_epoch)
    return Limits(int(min(of_epochs, math.inf if max_steps is None else max_steps)), tol, callback)


def _same(data: Bindings) -> Iterator[tuple[int, Bindings]]:
    """All the data for every step, each of which is an epoch."""
    epoch = 0
    while True:
        yield epoch, data
        epoch += 1


def _means(history: np.ndarray, epoch_of: list[int]) -> np.ndarray:
    """The mean value of each epoch's batches."""
    epochs = np.array(epoch_of, dtype=np.intp)
    counts = np.bincount(epochs)
    return np.bincount(epochs, weights=history) / counts if len(counts) else history


def _rounding_message(grad_norm: float) -> str:
    return (
        f"no step lowers the value by more than rounding error; the largest gradient entry is {grad_norm:.3g}"
    )


def _first_bad(layout: Layout, grad: Vector) -> Hashable:
    where = int(np.flatnonzero(~np.isfinite(grad))[0])
    return next(entry.key for entry in layout.entries if where < entry.stop)
