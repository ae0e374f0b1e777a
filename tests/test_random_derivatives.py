"""Random programs: the reference against mpmath, derivatives against each other and differences, and C."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import mpmath
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from routines import call
from strategies import RandomProgram, scalar_programs, tensor_programs
from tolerances import assert_close

from symgrad.grad.forward import Forward, Tangent
from symgrad.grad.reverse import cotangents
from symgrad.ir.evaluate import evaluate
from symgrad.ir.graph import Graph, TensorId
from symgrad.ir.reduce import reduce
from symgrad.ir.unit import Unit
from symgrad.loops.lower import Interface, lower
from symgrad.loops.split import split
from symgrad.opt.passes import PASSES

DIGITS = 50
STEP = "1e-18"
programs = st.one_of(scalar_programs(), tensor_programs(max_definitions=3, max_ops=4))


def quick(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, derandomize=True)


def as_float(array: np.ndarray) -> np.ndarray:
    return np.asarray(array, dtype=object).astype(np.float64)


# ---- values ----------------------------------------------------------------------------------------


@quick(60)
@given(programs)
def test_the_reference_agrees_with_mpmath(program: RandomProgram) -> None:
    tensors = list(program.outputs.values())
    found = evaluate(program.graph, tensors, program.arrays(), program.sizes)
    with mpmath.workdps(DIGITS):
        exact = evaluate(program.graph, tensors, program.arrays(), program.sizes, object)
    for value, wanted in zip(found, exact, strict=True):
        assert_close(value, as_float(wanted), factor=100)


def routine_of(unit: Unit) -> object:
    for _, run in PASSES:
        unit = unit.moved(*run(unit.graph, unit.roots))
    distinct: dict[TensorId, str] = {}
    for name, t in unit.outputs:
        if unit.graph.tensors[t].kind != "input":
            distinct.setdefault(t, name)
    return split(
        lower(unit.graph, Interface("kernel", unit.inputs, tuple((n, t) for t, n in distinct.items())))
    )


def compiled(
    unit: Unit, arrays: Mapping[TensorId, np.ndarray], sizes: Mapping[str, int], target: str, dtype: str
) -> dict[str, np.ndarray]:
    """The outputs by machine code; two outputs that are one tensor are computed once."""
    by_name = {name: arrays[t] for name, t in unit.inputs}
    routine = routine_of(unit)
    symbols = {b.name: b.symbol for b in routine.buffers}
    inputs = {b.name: by_name[b.symbol] for b in routine.buffers_of("input")}
    at = {n: sizes[s] for n, s in zip(routine.sizes, routine.size_symbols, strict=True)}
    return {symbols[name]: array for name, array in call(target, routine, at, inputs, dtype).items()}


def unit_of(program: RandomProgram, outputs: Mapping[str, TensorId]) -> Unit:
    g = program.graph
    return Unit(g, tuple((g.tensors[t].name, t) for t in program.inputs), tuple(outputs.items()))


@quick(20)
@given(programs, st.sampled_from(("float64", "float32")))
def test_compiled_c_agrees_with_the_reference(program: RandomProgram, dtype: str) -> None:
    names, tensors = zip(*program.outputs.items(), strict=True)
    wanted = dict(zip(names, evaluate(program.graph, tensors, program.arrays(), program.sizes), strict=True))
    found = compiled(unit_of(program, program.outputs), program.arrays(), program.sizes, "c", dtype)
    for name, array in found.items():
        assert_close(array.reshape(wanted[name].shape), wanted[name], dtype, factor=100)


# ---- derivatives -----------------------------------------------------------------------------------


@dataclass
class Derivatives:
    """A program's outputs added up, with the derivatives of the sum.

    gradients   by reverse mode, one tensor per real input.
    directions  extra inputs of their shapes; `slope` is the derivative along them by forward mode.
    """

    program: RandomProgram
    value: TensorId
    wrt: list[TensorId]
    gradients: list[TensorId]
    directions: list[TensorId]
    slope: TensorId

    def arrays(self) -> dict[TensorId, np.ndarray]:
        rng = np.random.default_rng(7)
        arrays = self.program.arrays()
        return arrays | {
            e: rng.uniform(-1, 1, arrays[t].shape) for t, e in zip(self.wrt, self.directions, strict=True)
        }


def differentiated(program: RandomProgram) -> Derivatives:
    g = program.graph
    value = g.define("map", (), (), g.sum_of(total(program, t) for t in program.outputs.values()))
    wrt = [t for t in program.inputs if t not in program.ranges]
    parts = cotangents(g, {value: ((), g.one)}, wrt)
    gradients = [g.define("map", axes, (), body) for axes, body in parts]
    directions = [g.input(f"along_{g.tensors[t].name}", g.tensors[t].extents) for t in wrt]
    slope = g.define("map", (), (), Forward(g, seeds(g, wrt, directions)).expression(g.read(value)))
    return Derivatives(program, value, wrt, gradients, directions, slope)


def seeds(g: Graph, wrt: Sequence[TensorId], directions: Sequence[TensorId]) -> dict[TensorId, Tangent]:
    """Each of `wrt` moves along its direction."""
    out: dict[TensorId, Tangent] = {}
    for t, direction in zip(wrt, directions, strict=True):
        axes = tuple(g.fresh_axis(e) for e in g.tensors[t].extents)
        out[t] = (axes, g.read(direction, *axes))
    return out


def total(program: RandomProgram, tensor: TensorId) -> int:
    g = program.graph
    axes = [g.fresh_axis(e) for e in g.tensors[tensor].extents]
    return reduce(g, "sum", axes, g.read(tensor, *axes))


def slopes(found: Sequence[np.ndarray], arrays: Mapping[TensorId, np.ndarray], d: Derivatives) -> float:
    return sum(float((part * arrays[e]).sum()) for part, e in zip(found, d.directions, strict=True))


def magnitude(found: Sequence[np.ndarray]) -> float:
    """What an error of the slope is measured by: it may be small because large parts cancel."""
    return max(1.0, *(float(np.abs(part).max(initial=0.0)) for part in found))


@quick(80)
@given(st.one_of(scalar_programs(smooth=False), tensor_programs(max_definitions=3, max_ops=4, min_size=0)))
def test_reverse_mode_agrees_with_forward_mode(program: RandomProgram) -> None:
    d = differentiated(program)
    arrays = d.arrays()
    slope, *parts = evaluate(program.graph, [d.slope, *d.gradients], arrays, program.sizes)
    assert all(np.isfinite(part).all() for part in parts)
    scale = magnitude(parts)
    assert_close(np.asarray(slopes(parts, arrays, d) / scale), slope / scale, factor=100)


@quick(40)
@given(programs)
def test_gradients_agree_with_differences_at_high_precision(program: RandomProgram) -> None:
    d = differentiated(program)
    arrays = d.arrays()
    parts = evaluate(program.graph, d.gradients, arrays, program.sizes)
    with mpmath.workdps(DIGITS):
        step = mpmath.mpf(STEP)
        (ahead,), (behind,) = (evaluate_at(d, [d.value], arrays, sign * step) for sign in (1, -1))
        wanted = float((ahead - behind) / (2 * step))
    scale = magnitude(parts)
    assert_close(np.asarray(slopes(parts, arrays, d) / scale), np.asarray(wanted / scale), factor=100)


def evaluate_at(
    d: Derivatives, tensors: Sequence[TensorId], arrays: Mapping[TensorId, np.ndarray], step: mpmath.mpf
) -> list[np.ndarray]:
    """Tensors a step along the directions, at mpmath's precision."""
    exact = {t: a if t in d.program.ranges else to_mpf(a) for t, a in d.program.arrays().items()}
    for t, e in zip(d.wrt, d.directions, strict=True):
        exact[t] = exact[t] + step * to_mpf(arrays[e])
    return evaluate(d.program.graph, tensors, exact, d.program.sizes, object)


def to_mpf(array: np.ndarray) -> np.ndarray:
    return np.asarray(np.frompyfunc(mpmath.mpf, 1, 1)(array), dtype=object)


@quick(30)
@given(programs, st.sampled_from(("float64", "float32")))
def test_compiled_gradients_agree_with_the_reference(program: RandomProgram, dtype: str) -> None:
    d = differentiated(program)
    outputs = {f"grad{k}": t for k, t in enumerate(d.gradients)}
    wanted = dict(zip(outputs, evaluate(program.graph, d.gradients, d.arrays(), program.sizes), strict=True))
    found = compiled(unit_of(program, outputs), d.arrays(), program.sizes, "llvm", dtype)
    for name, array in found.items():
        assert_close(array.reshape(wanted[name].shape), wanted[name], dtype, factor=100)


@quick(30)
@given(programs)
def test_hessian_vector_products_agree_with_differences_of_gradients(program: RandomProgram) -> None:
    d = differentiated(program)
    g, arrays = program.graph, d.arrays()
    products = []
    for t in d.gradients:
        axes = tuple(g.fresh_axis(e) for e in g.tensors[t].extents)
        products.append(
            g.define("map", axes, (), Forward(g, seeds(g, d.wrt, d.directions)).expression(g.read(t, *axes)))
        )
    found = evaluate(g, products, arrays, program.sizes)
    with mpmath.workdps(DIGITS):
        step = mpmath.mpf(STEP)
        ahead, behind = (evaluate_at(d, d.gradients, arrays, sign * step) for sign in (1, -1))
        wanted = [as_float((a - b) / (2 * step)) for a, b in zip(ahead, behind, strict=True)]
    scale = magnitude(found)
    for part, exact in zip(found, wanted, strict=True):
        assert_close(part / scale, exact / scale, factor=1000)
