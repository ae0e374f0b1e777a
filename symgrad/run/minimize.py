"""`sg.minimize`: an expression, starting values and data in; SciPy's result out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from symgrad.errors import BadArgument, BadOption
from symgrad.run.batches import make_batches
from symgrad.run.fused import WORTH_IT, Fused, compiled_steps
from symgrad.run.loop import State, Status, run_loop
from symgrad.run.objective import data_arrays, make_objective
from symgrad.run.optim import LBFGS, METHODS, Adam
from symgrad.run.optim.base import AnyMethod, Method, OracleMethod

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

__all__ = ["State", "Status", "minimize", "run_loop"]


def minimize(
    program: Any,
    params: Mapping[Any, Any],
    data: Mapping[Any, Any] | None = None,
    *,
    method: AnyMethod | str | None = None,
    batch_size: int | None = None,
    batch_axis: Any = None,
    epochs: int | None = None,
    max_steps: int | None = None,
    tol: float | None = None,
    callback: Callable[[State], object] | None = None,
    callback_every: int = 1,
    fused: bool | None = None,
    progress: bool | None = None,
    seed: int = 0,
    backend: str = "llvm",
    dtype: str = "float64",
    kinks: str | None = None,
) -> OptimizeResult:
    """Minimise a program or a SymPy expression over the symbols in `params`.

    Arguments
      program     a `Program` or a scalar SymPy expression. With `method="lm"` (`LevenbergMarquardt`) an
                  array of residuals, of whose squares half the sum is minimised; there, axes of the data
                  beyond those of their symbols are samples, each with residuals of its own
      params      symbol -> starting value, a number or an array of the symbol's shape; not modified
      data        symbol -> number or array, for all other symbols
      method      an instance from `sg.optim`, or a name from `sg.optim.METHODS`; default `LBFGS()`,
                  with mini-batches `Adam()`
      batch_size  samples per step; default all. An epoch visits every sample once, in a new order
      batch_axis  the size symbol of the axes that run over samples; default the leading one that
                  all data arrays share
      epochs, max_steps   at most so many; default 10,000 steps, with mini-batches 10 epochs. Without
                  mini-batches a step is an epoch
      tol         stop when no entry of the gradient is larger, without mini-batches only; default the
                  square root of the type's epsilon. 0 goes on until rounding error stops a line search
      callback    called with a `State` before each step and at the end; a true result stops
      callback_every  before every k-th step instead
      fused       True: the steps between two looks are one call of compiled code, with the same results up
                  to rounding; BadOption where a method or a program does not allow it. False: never. None:
                  where it is possible and the run may have 20,000 steps or more, unless a callback sees each
      progress    a bar on stderr: True, False, or None for work longer than a second on a terminal
      seed        of the order of samples; equal seeds give equal results
      backend, dtype, kinks   as in `sg.compile`

    Returns SciPy's `OptimizeResult`: `x` (symbol -> value in the structure given), `fun`, `jac` (like `x`),
    `nit`, `nfev`, `njev`, `nhev`, `success`, `status` (a `Status`), `message`, `history` (the value before
    every step and at the end; of the batches with mini-batches) and `epoch_history` (the mean of every
    epoch). With mini-batches `fun` and `jac` are those of all the data, computed once at the end. `success`
    is true when the gradient is below `tol`, when no step lowers the value by more than rounding error, and
    when mini-batches ran for as long as they were asked to; it is false when the steps ran out before, the
    callback stopped, a value or gradient was not finite (`x` is then the last point where both were), or a
    line search failed.

    A loss that is a sum over samples is, on a mini-batch, the sum over the batch: scale `lr` accordingly, or
    write a mean over the size symbol, whose value is then the batch's size.

    Raises BadArgument, BadOption, ShapeMismatch, DtypeMismatch, and what compiling the expression raises.
    """
    chosen = _method(method, batch_size)
    if callback is not None and not callable(callback):
        raise BadArgument(
            f"callback is {callback!r}, which cannot be called",
            because="it is called with a State before each step",
            try_="a function of one argument, such as lambda state: state.value < 1e-6",
        )
    arrays = data_arrays(data, dtype)
    sparse = "csc" if getattr(chosen, "sparse", False) else None
    objective = make_objective(program, params, arrays, backend, dtype, kinks, sparse)
    batches = None
    if batch_size is not None:
        batches = make_batches(arrays, params, batch_size, batch_axis, seed)
    elif batch_axis is not None:
        raise BadOption("batch_axis without batch_size", try_="batch_size=64, or leave batch_axis out")
    has_residuals = "residuals_and_jac" in chosen.needs

    def fuse(steps: int) -> Fused | None:
        is_seen = callback is not None and callback_every == 1
        if fused is False or (fused is None and (is_seen or steps < WORTH_IT)):
            return None
        return compiled_steps(objective, chosen, batches, bool(fused))

    return run_loop(
        objective.half_squares_and_grad if has_residuals else objective.value_and_grad,
        params,
        chosen,
        data=arrays,
        batches=batches,
        hvp=objective.hvp,
        hess=objective.hess,
        residuals_and_jac=objective.residuals_and_jac,
        epochs=epochs,
        max_steps=max_steps,
        tol=tol,
        callback=callback,
        callback_every=callback_every,
        progress=progress,
        dtype=dtype,
        fuse=fuse,
    )


def _method(method: object, batch_size: int | None) -> AnyMethod:
    if method is None:
        return LBFGS() if batch_size is None else Adam()
    if isinstance(method, str):
        if method not in METHODS:
            raise BadOption(f"there is no method called {method!r}", try_="one of " + ", ".join(METHODS))
        result: AnyMethod = METHODS[method]()
        return result
    if isinstance(method, type) or not isinstance(method, Method | OracleMethod):
        raise BadArgument(
            f"method is {method!r}, not an optimizer",
            because="an optimizer is an object with init(params), update(state, value, grad, params), needs",
            try_="an instance such as sg.optim.Adam(1e-3), or a name: " + ", ".join(METHODS),
        )
    return method
