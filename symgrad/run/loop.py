"""The optimizer loop: evaluate, look, step; it knows functions of arrays, nothing of SymPy or kernels."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from enum import IntEnum
from itertools import count as numbers_from
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from symgrad.errors import BadOption
from symgrad.records import dataclass
from symgrad.run.batches import Batches, Chosen, Turn, Turns
from symgrad.run.calls import Bindings, Calls, Functions, Leap, Leaps
from symgrad.run.flat import Arrays, Layout, Vector, layout_of
from symgrad.run.optim.base import (
    AnyMethod,
    Evaluation,
    NoStep,
    check_between,
    check_count,
)
from symgrad.run.progress import ProgressBar

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

DEFAULT_STEPS = 10_000
DEFAULT_EPOCHS = 10
PATIENCE = 30
"""A descent method stops after this many steps in a row without a better value or a smaller gradient."""


_FIRST_LEAP = 16  # steps at once; twice as many after a leap that was not long
_LONG_LEAP = 0.05  # seconds


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
class Limits:
    """When to stop: after `max_steps`; `tol` None means never because of a small gradient.

    The callback is called before every `callback_every`-th step and at the end.
    """

    max_steps: int
    tol: float | None
    callback: Callable[[State], object] | None = None
    callback_every: int = 1


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
    callback_every: int = 1,
    progress: bool | None = None,
    dtype: object = "float64",
    fuse: Callable[[int], Leaps | None] | None = None,
) -> OptimizeResult:
    """Minimise a function of arrays that returns its own gradient: `sg.minimize` without SymPy.

    The functions (see `Functions`) are called with a dict of all arrays, parameters and data; with `batches`,
    whose data then takes the place of `data`, with the arrays of one batch. `fuse(steps)` gives the same
    steps, several at once, for a run of at most so many. The other arguments, the result and the errors are
    those of `minimize`.
    """
    layout = layout_of(params, dtype)
    is_stochastic = batches is not None
    limits = _limits(layout, batches, epochs, max_steps, tol, callback, callback_every)
    if is_stochastic and method.needs:
        raise BadOption(
            f"{type(method).__name__} does not work on mini-batches",
            because="it compares values of one and the same function",
            try_="leave batch_size out, or use a method such as Adam",
        )
    whole = batches.data if batches is not None else (data or {})
    calls = Calls(Functions(value_and_grad, hvp, hess, residuals_and_jac), layout, whole)
    loop = Loop(calls, method, limits, layout.pack(params), batches)
    loop.leaps = None if fuse is None else fuse(limits.max_steps)
    is_open = batches is None and epochs is None and max_steps is None
    total = None if is_open else limits.max_steps
    turns = Turns(batches.orders() if batches is not None else _same())
    with np.errstate(over="ignore", invalid="ignore"), ProgressBar(progress, total) as bar:
        ending = loop.run(turns, bar)
        return loop.result(ending)


class Loop:
    """One run: the current parameters and the method's state, and what has been seen so far."""

    def __init__(
        self, calls: Calls, method: AnyMethod, limits: Limits, x: Vector, batches: Batches | None
    ) -> None:
        self.calls, self.limits, self.batches, self.whole = calls, limits, batches, calls.data
        self.is_stochastic = batches is not None
        self.x = x
        self.state = method.init(x)
        self.steps = 0
        self.history: list[float] = []
        self.epoch_of: list[int] = []
        self.good: tuple[Vector, Evaluation] | None = None
        self.leaps: Leaps | None = None
        self._pace = _FIRST_LEAP
        self._leapt: tuple[Vector, Any, list[Turn]] | None = None  # the last leap, if nothing came after it
        self._buffers: dict[Any, Any] = {}
        self._best_value, self._best_norm, self._idle = math.inf, math.inf, 0
        self._extra: dict[str, Any] = {"oracle": calls} if method.needs else {}
        self._update: Callable[..., tuple[Vector, Any]] = method.update

    def run(self, turns: Turns, bar: ProgressBar) -> Ending:
        """Steps until there is a reason to end."""
        while True:
            self._leap(turns, bar)
            if self.is_stochastic and self._is_done():
                return self._steps_done()
            turn = turns.take()
            self._bind(turn)
            here = getattr(self.state, "here", None) or self.calls.value_and_grad(self.x)
            grad_norm = largest(here.grad)
            ending = self._not_finite(here, grad_norm, turn[0])
            if ending is None:
                self._note(here, turn[0])
                bar.show(self.steps, turn[0], here.value, grad_norm)
                ending = self._look(here, grad_norm, turn[0])
            if ending is None:
                ending = self._step(here, turn)
            if ending is not None:
                return ending

    def _bind(self, turn: Turn) -> None:
        if self.batches is not None and turn[1] is not None:
            self.calls.data = self.batches.batch(turn[1], self._buffers)

    # ---- several steps at once -------------------------------------------------------------

    def _leap(self, turns: Turns, bar: ProgressBar) -> None:
        """As many steps as nobody has to see, up to a point where the run may end."""
        count = self._unseen()
        if self.leaps is None or count < 2:
            return
        ahead = turns.ahead(min(count, self._pace))
        chosen = _samples_of(ahead)
        ahead = ahead[: self.leaps.most(self.x, self.state, self.whole, chosen)]
        began = time.perf_counter()
        leap = self._over(self.x, self.state, ahead)
        if time.perf_counter() - began < _LONG_LEAP:
            self._pace *= 2
        count = self._good_steps(leap)
        if count == 0:
            return
        if count < len(ahead):
            ahead = ahead[:count]
            leap = self._over(self.x, self.state, ahead)
        self._leapt = self.x, self.state, ahead
        self.x, self.state, self.steps = leap.x, leap.state, self.steps + count
        self.history += leap.values.tolist()
        self.epoch_of += [turns.take()[0] for _ in ahead]
        bar.show(self.steps, ahead[-1][0], self.history[-1], float(leap.grad_norms[-1]))

    def _over(self, x: Vector, state: Any, turns: list[Turn]) -> Leap:
        assert self.leaps is not None
        self.calls.counts["nfev"] += len(turns)
        return self.leaps(x, state, self.whole, _samples_of(turns), len(turns))

    def _unseen(self) -> int:
        """The number of steps until someone looks; 0 at the start, where the arguments are checked."""
        limits = self.limits
        left = limits.max_steps - self.steps
        if self.steps == 0:
            return 0
        return left if limits.callback is None else min(left, -self.steps % limits.callback_every)

    def _good_steps(self, leap: Leap) -> int:
        """How many of the steps began where nothing ends the run."""
        good = np.isfinite(leap.values) & np.isfinite(leap.grad_norms)
        if not self.is_stochastic and self.limits.tol is not None:
            good &= leap.grad_norms > self.limits.tol
        return len(good) if good.all() else int(np.argmin(good))

    # ---- the end ---------------------------------------------------------------------------

    def result(self, ending: Ending) -> OptimizeResult:
        """SciPy's result at the last finite point; with mini-batches, on all the data."""
        from symgrad.run.result import Minimum  # SciPy's optimizers are slow to import

        self.calls.data = self.whole
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
        self.good, self._leapt = (self.x, here), None
        self.history.append(here.value)
        self.epoch_of.append(epoch)

    def _look(self, here: Evaluation, grad_norm: float, epoch: int) -> Ending | None:
        """The reasons to end at a finite point; the callback sees the last one in any case."""
        tol = self.limits.tol
        is_small = not self.is_stochastic and tol is not None and grad_norm <= tol
        is_last = is_small or (not self.is_stochastic and self._is_done())
        stops = self._callback_stops(here, grad_norm, epoch, is_last)
        if is_small:
            return Ending(Status.GRADIENT_SMALL, f"the gradient is below {tol:.3g} in every entry", True)
        if stops:
            return Ending(Status.CALLBACK, f"the callback asked to stop at step {self.steps}", False)
        if self._extra and self._is_idle(here.value, grad_norm):
            return Ending(Status.AT_ROUNDING, _rounding_message(grad_norm), True)
        if not self.is_stochastic and self._is_done():
            return self._steps_done()
        return None

    def _callback_stops(self, here: Evaluation, grad_norm: float, epoch: int, is_last: bool) -> bool:
        is_due = is_last or self.steps % self.limits.callback_every == 0
        if self.limits.callback is None or not is_due:
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

    def _step(self, here: Evaluation, turn: Turn) -> Ending | None:
        if self.leaps is not None:
            leap = self.leaps(self.x, self.state, self.whole, _samples_of([turn]), 1)
            self.x, self.state, self.steps = leap.x, leap.state, self.steps + 1
            return None
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
        self._return_to_good()
        if not math.isfinite(here.value):
            what = f"the value is {here.value}"
        else:
            what = f"the gradient of {_first_bad(self.calls.layout, here.grad)} is not finite"
        kept = "x is the last point where both were finite" if self.good else "x is the starting point"
        return Ending(Status.NOT_FINITE, f"{what} at step {self.steps} (epoch {epoch}); {kept}", False)

    def _return_to_good(self) -> None:
        """The last finite point of a leap: where its last step began."""
        if self._leapt is not None:
            x, state, turns = self._leapt
            if len(turns) > 1:
                x = self._over(x, state, turns[:-1]).x
            self._bind(turns[-1])
            self.good = x, self.calls.value_and_grad(x)

    def _is_done(self) -> bool:
        return self.steps >= self.limits.max_steps

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
    callback_every: int,
) -> Limits:
    for name, count in (("epochs", epochs), ("max_steps", max_steps)):
        if count is not None:
            check_count(name, count, least=0)
    check_count("callback_every", callback_every)
    if tol is None:
        tol = math.sqrt(float(np.finfo(layout.dtype).eps))
    check_between("tol", tol, 0.0, math.inf)
    if epochs is None and max_steps is None:
        epochs, max_steps = (None, DEFAULT_STEPS) if batches is None else (DEFAULT_EPOCHS, None)
    of_epochs = math.inf if epochs is None else epochs * (1 if batches is None else batches.per_epoch)
    return Limits(
        int(min(of_epochs, math.inf if max_steps is None else max_steps)), tol, callback, callback_every
    )


def _same() -> Iterator[Turn]:
    """All the data for every step, each of which is an epoch."""
    return ((epoch, None) for epoch in numbers_from())


def _samples_of(turns: Sequence[Turn]) -> list[Chosen] | None:
    """The samples of each turn; None where they see all the data."""
    return [chosen for _, chosen in turns if chosen is not None] or None


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
