"""From a routine (or, for the reference backend, a unit) to a kernel. Used again when unpickling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from symgrad.grad.precision import Precision
from symgrad.grad.sparsity import SparseOutput
from symgrad.ir.evaluate import evaluate, evaluate_size
from symgrad.ir.unit import Unit
from symgrad.loops.nest import Routine
from symgrad.run.kernel import Built, Kernel, Plan, Runner, Spec, call_compiled
from symgrad.run.memory import Memory
from symgrad.run.packing import packing_of
from symgrad.run.samples import Samples
from symgrad.run.signature import Signature, Sizes
from symgrad.run.sparse import SparseKernel
from symgrad.targets.base import Loaded, target_named, workspace_elements


def build_kernel(
    signature: Signature,
    routine: Routine | None,
    units: tuple[Unit, Unit],
    backend: str,
    dtype: str,
    sparse: tuple[SparseOutput, ...] = (),
    memory: Memory = None,
    threads: int = 1,
    tier: str = "auto",
    precision: Precision | None = None,
) -> Kernel:
    """A kernel for a routine, or for the last of the units where there is none (backend "numpy").

    units   before and after optimisation.
    sparse  where the values of sparse results belong, if there are any.
    memory  the budget of the workspace.
    threads most that share the samples of a call.
    tier    how well to compile, see `targets.base.Target`.
    precision  what its last output counts the exceptions to.
    """
    kind = SparseKernel if sparse else Kernel
    if routine is None:
        reference = (backend, dtype, build_reference, units, sparse, memory)
        return kind(Spec(signature, None, *reference, precision=precision))
    signature = replace(signature, passed=routine.size_symbols)
    machine = (backend, dtype, build_compiled, units, sparse, memory, threads, tier)
    return kind(Spec(signature, routine, *machine, failures=routine.failures, precision=precision))


def build_compiled(spec: Spec) -> Built:
    """Machine code for `spec.routine`."""
    routine = spec.routine
    assert routine is not None
    return _built(spec, routine, target_named(spec.backend).build(routine, spec.dtype, spec.tier))


def _built(spec: Spec, routine: Routine, loaded: Loaded) -> Built:
    def workspace(sizes: Sizes) -> int:
        by_name = {n: sizes[s] for n, s in zip(routine.sizes, routine.size_symbols, strict=True)}
        return workspace_elements(routine, by_name) + loaded.extra

    one = call_compiled(loaded.call, np.dtype(spec.dtype), packing_of(routine))
    many = Samples(spec, loaded)

    def run(inputs: Sequence[np.ndarray], buffers: Sequence[np.ndarray | None], plan: Plan) -> list[Any]:
        return (many if plan.batch else one)(inputs, buffers, plan)

    improve = loaded.improve

    def improved(is_wanted: Callable[[], bool]) -> Built | None:
        assert improve is not None
        better = improve(is_wanted)
        return None if better is None else _built(spec, routine, better)

    return Built(
        run,
        loaded.text,
        loaded.address,
        workspace,
        loaded,
        loaded.call_address,
        many,
        improved if improve is not None else None,
    )


def build_reference(spec: Spec) -> Built:
    """The reference evaluator behind the interface of a kernel."""
    run = _reference_runner(spec.units[1], np.dtype(spec.dtype).type)
    return Built(run, lambda: "the reference evaluator has no source")


def _reference_runner(unit: Unit, real: Any) -> Runner:
    g, tensors = unit.graph, [t for _, t in unit.outputs]

    def run(inputs: Sequence[np.ndarray], buffers: Sequence[np.ndarray | None], plan: Plan) -> list[Any]:
        outputs = [np.empty(s, real) if b is None else b for s, b in zip(plan.shapes, buffers, strict=True)]
        for sample in np.ndindex(*plan.batch):
            arrays = {}
            for (_, t), x, core in zip(unit.inputs, inputs, plan.cores, strict=True):
                one = x[sample] if x.ndim > len(core) else x
                shape = tuple(max(evaluate_size(g, e, plan.sizes), 0) for e in g.tensors[t].extents)
                arrays[t] = one.reshape(shape)  # the cotangent of an explicit array comes in its own shape
            for out, value in zip(outputs, evaluate(g, tensors, arrays, plan.sizes, real), strict=True):
                out[sample] = value
        return [float(x) if x.ndim == 0 and b is None else x for x, b in zip(outputs, buffers, strict=True)]

    return run
