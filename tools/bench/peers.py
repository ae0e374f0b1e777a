"""Contenders from other packages, where they are installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy as sp
from common import Contender, Setup, repeated, stopwatch
from machine_code import FAST, STRICT, CCode, compiler

Arrays = Sequence[np.ndarray]
Shapes = Sequence[tuple[int, ...]]


# ---- CasADi ------------------------------------------------------------------------------------


class CasadiFunction:
    """A CasADi function with its memory.

    build   makes the `casadi.Function`.
    inputs  NumPy's arrays; CasADi counts along columns, so its matrices are their transposes.
    shapes  of the outputs as NumPy's; sparse outputs are compared as dense ones.
    """

    def __init__(self, name: str, build: Callable[[], Any], inputs: Arrays, shapes: Shapes) -> None:
        self.name, self.shapes = name, shapes
        self.inputs = [np.ascontiguousarray(x, dtype=np.float64) for x in inputs]
        with stopwatch() as seconds:
            self.function = build()
        self.build = seconds[0]
        self.values = [np.zeros(max(self.function.nnz_out(k), 1)) for k in range(self.function.n_out())]

    def contenders(self, setup: Setup) -> list[Contender]:
        """From Python, and as C where there is a compiler."""
        kinds = {"strict": STRICT, "fast-math": FAST} if compiler() else {}
        return [self.machine(), *(self.c(kind, flags) for kind, flags in kinds.items())]

    def dense(self) -> list[np.ndarray]:
        """The outputs of the last evaluation."""
        found = []
        for k, (shape, x) in enumerate(zip(self.shapes, self.values, strict=True)):
            sparsity = self.function.sparsity_out(k)
            rows, columns = sparsity.get_triplet()
            full = np.zeros(sparsity.shape)
            full[rows, columns] = x[: len(rows)]
            found.append(full.T.reshape(shape))
        return found

    def machine(self) -> Contender:
        """CasADi's virtual machine, by its quickest call from Python: memory bound once, then a trigger."""
        buffer, trigger = self.function.buffer()
        for k, x in enumerate(self.inputs):
            buffer.set_arg(k, memoryview(x.data))
        for k, x in enumerate(self.values):
            buffer.set_res(k, memoryview(x.data))

        def results(keep: object = buffer) -> list[np.ndarray]:  # the trigger does not keep its buffer
            trigger()
            return self.dense()

        return Contender(f"{self.name} VM", "call, bound", repeated(trigger), results, self.build)

    def c(self, kind: str, flags: Sequence[str]) -> Contender:
        """The C that CasADi writes, compiled and repeated like hand-written C."""
        import casadi

        with stopwatch() as seconds:
            generator = casadi.CodeGenerator("bench.c")
            generator.add(self.function)
            f = self.function
            text = generator.dump() + _CASADI_BENCH.format(
                iw=f.sz_iw() + 1, w=f.sz_w() + 1, arg=f.sz_arg() + 1, res=f.sz_res() + 1,
                inputs=f.n_in(), outputs=f.n_out(), name=f.name(),
            )  # fmt: skip
            code = CCode(text, flags, [*self.inputs, *self.values])

        def results() -> list[np.ndarray]:
            code.run(1)
            return self.dense()

        return Contender(f"{self.name} C, {kind}", "kernel", code.run, results, self.build + seconds[0])


_CASADI_BENCH = """
static long long iw[{iw}];
static double w[{w}];
void bench(double **b)
{{
    const double *arg[{arg}] = {{0}};
    double *res[{res}] = {{0}};
    for (int k = 0; k < {inputs}; k++) arg[k] = b[k];
    for (int k = 0; k < {outputs}; k++) res[k] = b[{inputs} + k];
    {name}(arg, res, iw, w, 0);
}}
"""


# ---- JAX, numba, SymPy and SymEngine -----------------------------------------------------------


def jax_contender(
    jax: Any, function: Callable[..., Any], inputs: Sequence[Any], name: str = "JAX jit"
) -> Contender:
    """A jitted function of arrays that returns a flat tuple; timed with arrays that are already JAX's."""
    jax.config.update("jax_enable_x64", True)
    arrays = [jax.numpy.asarray(x, dtype=jax.numpy.float64) for x in inputs]
    with stopwatch() as seconds:
        compiled = jax.jit(function).lower(*arrays).compile()

    def run(times: int) -> None:
        for _ in range(times):
            jax.block_until_ready(compiled(*arrays))

    return Contender(name, "call", run, lambda: [np.asarray(x) for x in compiled(*arrays)], seconds[0])


def numba_contender(
    numba: Any, function: Callable[..., Any], inputs: Sequence[Any], results: Callable[[Any], Arrays],
    name: str,
) -> Contender:  # fmt: skip
    """`function` under `numba.njit`; `results` turns what it returns into arrays."""
    with stopwatch() as seconds:
        compiled = numba.njit(function)
        compiled(*inputs)
    run = repeated(compiled, *inputs)
    return Contender(name, "call", run, lambda: results(compiled(*inputs)), seconds[0])


def lambdify_contender(
    build: Callable[[], tuple[Sequence[Any], Sequence[Any]]], point: Sequence[float], shapes: Shapes
) -> Contender:
    """SymPy: differentiated by SymPy, `lambdify(..., "math", cse=True)`.

    build  the symbols and all scalar outputs in one list.
    """
    with stopwatch() as seconds:
        symbols, outputs = build()
        function = sp.lambdify(symbols, outputs, "math", cse=True)
    run = repeated(function, *point)
    return Contender("SymPy lambdify, cse", "call", run, lambda: split(function(*point), shapes), seconds[0])


def symengine_contender(
    symengine: Any, build: Callable[[], tuple[Sequence[Any], Sequence[Any]]], point: np.ndarray,
    shapes: Shapes,
) -> Contender:  # fmt: skip
    """SymEngine: its own derivatives, `Lambdify` with LLVM where the package has it."""
    backend = "llvm" if symengine.have_llvm else "lambda"
    with stopwatch() as seconds:
        symbols, outputs = build()
        function = symengine.Lambdify(list(symbols), list(outputs), cse=True, backend=backend)
    place = np.empty(sum(int(np.prod(s)) for s in shapes))

    def run(times: int) -> None:
        for _ in range(times):
            function(point, out=place)

    return Contender(f"SymEngine {backend}", "call", run, lambda: split(function(point), shapes), seconds[0])


def split(numbers: Any, shapes: Shapes) -> list[np.ndarray]:
    """One flat list of numbers as arrays of the given shapes."""
    flat = np.asarray(numbers, dtype=np.float64).ravel()
    ends = np.cumsum([int(np.prod(s)) for s in shapes])
    return [part.reshape(s) for part, s in zip(np.split(flat, ends[:-1]), shapes, strict=True)]
