"""Calls over samples: the form of a kernel for batches, and threads that share the samples of a call.

A kernel that is straight-line code computes samples side by side in vector registers (`loops/lanes.py`);
that form is compiled when it is first called. Any other kernel runs its samples one after the other. Either
way a sample is computed by the same instructions wherever it stands, and nothing is added up over samples,
so the numbers do not depend on how the samples are shared out.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

import numpy as np

from symgrad.ir.count import operations
from symgrad.loops.nest import Routine
from symgrad.loops.packed import apart
from symgrad.loops.split import split
from symgrad.records import dataclass
from symgrad.run.addresses import CACHE_LINE, address_of, pointers_to, to_line
from symgrad.run.packing import Packing, packing_of
from symgrad.run.records import Entry
from symgrad.run.signature import Sizes
from symgrad.targets.abreast import batch_elements
from symgrad.targets.base import LANES, Loaded, extra_elements, target_named

if TYPE_CHECKING:
    from symgrad.run.kernel import Plan, Spec

_LEAST = 50_000  # operations; a thread with less to do costs more than it saves


@dataclass(frozen=True)
class Code:
    """What runs samples: `call` as in `targets.base`, its address, what gives the text, what to keep alive.

    workspace  elements, None where a call for one sample says it.
    sample     address of the routine for one sample, 0 where `call` does not ask for it.
    packing    of the arguments into what `call` takes.
    """

    call: Callable[[int, int], None]
    address: int
    source: Callable[[], str]
    workspace: int | None
    sample: int
    keepalive: object
    packing: Packing | None = None


class Samples:
    """Runs calls that have sample axes; `Runner` of `run.kernel`."""

    def __init__(self, spec: Spec, one: Loaded) -> None:
        self._spec, self._one = spec, one
        self._real = np.dtype(spec.dtype)
        self._code: Code | None = None
        self._lock = threading.Lock()
        self._operations: dict[tuple[tuple[str, int], ...], int] = {}  # of one sample, by the sizes

    @property
    def code(self) -> Code:
        """Compiled when first asked for."""
        with self._lock:
            if self._code is None:
                self._code = self._compiled()
            return self._code

    def _compiled(self) -> Code:
        spec = self._spec
        assert spec.routine is not None
        routine = apart(spec.routine)
        many = None if routine is None else target_named(spec.backend).build_batch(routine, spec.dtype)
        if routine is None or many is None:
            return self._one_by_one(packing_of(spec.routine))
        elements = batch_elements(routine, spec.dtype)
        if isinstance(spec.memory, int) and elements * self._real.itemsize > spec.memory:
            return self._one_by_one(packing_of(spec.routine))
        alone = self._alone(routine)
        return Code(many.call, many.call_address, many.text, elements, alone.address, (alone, many))

    def _one_by_one(self, packing: Packing | None) -> Code:
        one = self._one
        return Code(one.call, one.call_address, lambda: "", None, 0, one, packing)

    def _alone(self, routine: Routine) -> Loaded:
        """The routine for one sample, for a workspace no larger than that of the form for batches."""
        spec, one = self._spec, self._one
        cut = split(routine)
        if routine is spec.routine and one.extra <= extra_elements(routine, cut):
            return one
        return target_named(spec.backend).build(cut, spec.dtype, "quick")

    def entry(self, count: int, sizes: Sizes, workspace: int) -> Entry | None:
        """Where so many samples are run by one call that takes the arguments as they are; None if not.

        workspace  elements that one sample needs.
        """
        code = self.code
        elements = workspace if code.workspace is None else code.workspace
        if code.packing is not None or len(self._shares(count, sizes, elements * self._real.itemsize)) != 1:
            return None
        return Entry(code.address, elements, code.sample)

    def __call__(
        self, inputs: Sequence[np.ndarray], buffers: Sequence[np.ndarray | None], plan: Plan
    ) -> list[Any]:
        outputs = [
            np.empty(s, self._real) if b is None else b for s, b in zip(plan.shapes, buffers, strict=True)
        ]
        code = self._code or self.code
        length = (plan.workspace if code.workspace is None else code.workspace) * self._real.itemsize
        shares = self._shares(int(plan.meta[0]), plan.sizes, length)
        length = -(-length // CACHE_LINE) * CACHE_LINE
        work = np.empty(length * len(shares) + CACHE_LINE, np.uint8)
        whole = plan.meta
        if code.packing is not None:
            inputs, whole = self._packed(code.packing, inputs, plan)
        starts, base = [address_of(x) for x in (*inputs, *outputs)], address_of(work)
        base += to_line(base)
        if len(shares) <= 1:
            pointers = pointers_to([*starts, base, code.sample])
            code.call(pointers.buffer_info()[0], address_of(whole))
            return outputs
        steps = self._steps([*inputs, *outputs], whole)
        jobs = []
        for k, (first, size) in enumerate(shares):
            meta = whole.copy()
            meta[0] = size
            places = [start + first * step for start, step in zip(starts, steps, strict=True)]
            jobs.append((pointers_to([*places, base + k * length, code.sample]), meta))
        _run(code.call, jobs)
        return outputs

    def _packed(
        self, packing: Packing, arguments: Sequence[np.ndarray], plan: Plan
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """What `call` takes for these arguments, and its meta (see `targets.base`)."""
        inputs = packing.inputs(arguments, plan.batch)
        first = 1 + len(self._spec.signature.passed)  # of the strides
        strides = plan.meta[first:]
        width = len(packing.numbers) if inputs[0].ndim > 1 else 0
        kept = [width, *strides[list(packing.others)], *strides[len(arguments) :]]
        return inputs, np.array([*plan.meta[:first], *kept], np.int64)

    def _steps(self, arrays: Sequence[np.ndarray], meta: np.ndarray) -> list[int]:
        """Bytes from one sample to the next in each array."""
        strides = meta[1 + len(self._spec.signature.passed) :].tolist()
        return [step * x.itemsize for x, step in zip(arrays, strides, strict=False)]

    def _shares(self, count: int, sizes: Sizes, workspace: int) -> list[tuple[int, int]]:
        """(first, how many) samples for each thread, which needs so many bytes of workspace."""
        threads, memory = self._spec.threads, self._spec.memory
        if isinstance(memory, int) and workspace:
            threads = min(threads, memory // workspace)
        if threads > 1:
            threads = min(threads, count * self._work(sizes) // _LEAST)
        lanes = LANES[self._spec.dtype]
        size = max(-(-count // max(threads, 1)), 1)
        size = -(-size // lanes) * lanes if threads > 1 else size
        return [(first, min(size, count - first)) for first in range(0, count, size)]

    def _work(self, sizes: Sizes) -> int:
        """Operations of one sample."""
        key, unit = tuple(sizes.items()), self._spec.units[1]
        if key not in self._operations:
            self._operations[key] = max(operations(unit.graph, unit.roots, sizes), 1)
        return self._operations[key]


# ---- threads -----------------------------------------------------------------------------------


def available_threads() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Pool:
    """Threads that are started when first needed and shared by all kernels of the process."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self._size = 0
        self._lock = threading.Lock()

    def executor(self, size: int) -> ThreadPoolExecutor:
        with self._lock:
            if self._executor is None or self._size < size:
                self._executor, self._size = ThreadPoolExecutor(size, "symgrad"), size
            return self._executor


_pool = _Pool()


def _forget_threads() -> None:
    """A forked process has none of its parent's threads."""
    global _pool
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


def _run(call: Callable[[int, int], None], jobs: Sequence[tuple[Any, np.ndarray]]) -> None:
    """All jobs, the first one in this thread. Machine code runs without the GIL."""
    executor = _pool.executor(len(jobs) - 1)
    waiting = [executor.submit(call, p.buffer_info()[0], address_of(meta)) for p, meta in jobs[1:]]
    pointers, meta = jobs[0]
    call(pointers.buffer_info()[0], address_of(meta))
    wait(waiting)
    for job in waiting:
        job.result()
