"""From a routine (or, for the reference backend, a unit) to a kernel. Used again when unpickling."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from symgrad.ir.evaluate import evaluate
from symgrad.ir.unit import Unit
from symgrad.loops.nest import Routine
from symgrad.run.kernel import Built, Kernel, Plan, Runner, Spec, call_compiled
from symgrad.run.signature import Signature, Sizes
from symgrad.targets.base import target_named, workspace_elements


def build_kernel(signature: Signature, thing: Routine | Unit, backend: str, dtype: str) -> Kernel:
    """A kernel for a routine (compiled backends) or a unit ("numpy")."""
    if isinstance(thing, Unit):
        return Kernel(Spec(signature, None, backend, dtype, build_reference, thing))
    signature = replace(signature, passed=thing.size_symbols)
    return Kernel(Spec(signature, thing, backend, dtype, build_compiled))


def build_compiled(spec: Spec) -> Built:
    """Machine code for `spec.routine`."""
    routine = spec.routine
    assert routine is not None
    loaded = target_named(spec.backend).build(routine, spec.dtype)

    def workspace(sizes: Sizes) -> int:
        by_name = {n: sizes[s] for n, s in zip(routine.sizes, routine.size_symbols, strict=True)}
        return workspace_elements(routine, by_name)

    run = call_compiled(loaded.call, np.dtype(spec.dtype))
    return Built(run, loaded.source, loaded.address, workspace, loaded)


def build_reference(spec: Spec) -> Built:
    """The reference evaluator behind the interface of a kernel."""
    unit: Unit = spec.payload
    return Built(_reference_runner(unit, np.dtype(spec.dtype).type), "the reference evaluator has no source")


def _reference_runner(unit: Unit, real: Any) -> Runner:
    tensors = [t for _, t in unit.outputs]
    inputs_of = [t for _, t in unit.inputs]

    def run(inputs: list[np.ndarray], outputs: list[np.ndarray], plan: Plan) -> None:
        for sample in np.ndindex(*plan.batch):
            arrays = {
                t: x[sample] if x.ndim > len(core) else x
                for t, x, core in zip(inputs_of, inputs, plan.cores, strict=True)
            }
            for out, value in zip(outputs, evaluate(unit.graph, tensors, arrays, plan.sizes, real), strict=True):
                out[sample] = value

    return run
