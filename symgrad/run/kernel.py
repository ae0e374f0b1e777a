"""The compiled kernel: checks arguments, broadcasts samples, calls machine code.

Leading axes beyond an argument's declared rank are samples and broadcast as in NumPy. A call
allocates its own workspace, so one kernel may be called from several threads; the machine code
runs without the GIL, unless it takes less than a microsecond.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from symgrad.errors import (
    BadArgument,
    ShapeMismatch,
    SymgradError,
    listed,
    quoted,
)
from symgrad.grad.precision import Precision
from symgrad.grad.sparsity import SparseOutput
from symgrad.ir.count import operations
from symgrad.ir.unit import Unit
from symgrad.loops.nest import Failure, Poly, Routine, evaluate_poly
from symgrad.records import dataclass
from symgrad.run.addresses import CACHE_LINE, address_of, pointers_to, to_line
from symgrad.run.brief import is_brief
from symgrad.run.failures import failure, first_sample
from symgrad.run.fastcall import FastCallable
from symgrad.run.indices import Escapes, check_indices
from symgrad.run.intake import Intake, passed_of
from symgrad.run.lost_digits import precision_lost
from symgrad.run.memory import Memory, planned
from symgrad.run.packing import Packing, packing_of
from symgrad.run.records import Entry, record_of
from symgrad.run.results import check_out, direct, flat_out, leaves_of, returned, structured, written
from symgrad.run.samples import Samples
from symgrad.run.signature import (
    Argument,
    OutputLeaf,
    Signature,
    Sizes,
    check_conditions,
    shape_text,
    solve_sizes,
)
from symgrad.run.tiers import improve_later

Shape = tuple[int, ...]
Runner = Callable[[Sequence[np.ndarray], Sequence[np.ndarray | None], "Plan"], list[Any]]

_MOST_PLANS = 256


@dataclass(frozen=True)
class Plan:
    """What follows from the shapes of a call alone; kept for the next call with the same shapes.

    batch      shape of the sample axes.
    cores      shapes of the arguments without them.
    spread     arguments that have some of the sample axes, but not all.
    shapes     of the output buffers; `leaves`: of the results.
    is_plain   each output buffer is one output word as it stands.
    workspace  elements; `numbers`: how many arguments and outputs may be single numbers.
    meta       count, sizes, strides: see targets.base.
    built      the form that runs it, for which the workspace is.
    record     of calls that need no Python code (run.records), None if they do.
    """

    sizes: Sizes
    batch: Shape
    cores: tuple[Shape, ...]
    spread: tuple[int, ...]
    shapes: tuple[Shape, ...]
    leaves: tuple[Shape, ...]
    is_plain: bool
    workspace: int
    numbers: int
    meta: np.ndarray
    meta_address: int
    built: Built
    record: np.ndarray | None


@dataclass(frozen=True)
class Spec:
    """Everything a kernel is made from; picklable. `routine` is None for the reference backend.

    units   before and after optimisation.
    sparse  where the values of sparse results belong.
    memory  the budget of the workspace (`run.memory`); None for as much as it takes.
    threads most that share the samples of a call.
    failures  what its status, the last of its results, may say; without any there is no status.
    precision what its results have to be sure of; the last output then counts those that are not.
    """

    signature: Signature
    routine: Routine | None
    backend: str
    dtype: str
    build: Callable[[Spec], Built]
    units: tuple[Unit, Unit]
    sparse: tuple[SparseOutput, ...] = ()
    memory: Memory = None
    threads: int = 1
    tier: str = "auto"
    failures: tuple[Failure, ...] = ()
    precision: Precision | None = None


@dataclass(frozen=True)
class Built:
    """A runnable form, its text, and addresses (0 where there are none).

    run  `run(inputs, buffers, plan)` returns one result per buffer of the routine: the array
         given, a new one where None was given, or a float for a single number.
    samples  the form for samples, None where they are run by the same code.
    improve  makes a faster form with the same numbers (`run.tiers`), None if this is the fastest.
    """

    run: Runner
    source: Callable[[], str]
    address: int = 0
    workspace: Callable[[Sizes], int] = lambda sizes: 0
    keepalive: object = None
    call_address: int = 0
    samples: Samples | None = None
    improve: Improve | None = None


Improve = Callable[[Callable[[], bool]], Built | None]


class Kernel(FastCallable):
    """A compiled function of arrays. Call it by position or by symbol name.

    source      the text that was compiled, or is being compiled in the background (see `tier`).
    address     of the machine code (0 for the reference backend), which takes addresses of inputs, outputs
                and the workspace if there is one, then sizes; 16 or more single numbers as one array, first.
    program     what it was compiled from; None in a kernel that was unpickled.
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self._spec = spec
        self.program: Any = None
        self._built = spec.build(spec)
        self._real = np.dtype(spec.dtype)
        self._intake = Intake(spec.signature, self._real)
        self._size_names = spec.signature.sizes  # those a caller knows
        self._sized = [k for k, a in enumerate(spec.signature.arguments) if a.is_size]
        self._leaves = [leaf for tree in spec.signature.outputs for leaf in leaves_of(tree)]
        self._failures = spec.failures
        self._fresh: list[None] = [None] * (len(spec.signature.buffers) + bool(self._failures))
        self._plans: dict[Any, Plan] = {}
        self._lock = threading.Lock()
        self._earlier: object = None  # plans for quick code; a call in another thread may be following one
        if self._built.improve is not None:
            improve_later(self, self._built.improve)

    def _exchange(self, better: Built) -> None:
        """From now on calls run `better`, which gives the same numbers."""
        with self._lock:
            self._earlier, self._plans, self._built = self._plans, {}, better
            self._set_record(None)

    # ---- what it is ------------------------------------------------------------------------

    @property
    def source(self) -> str:
        return self._built.source()

    @property
    def batch_source(self) -> str:
        """The text that computes samples side by side, "" where samples are computed one after the other."""
        samples = self._built.samples
        return "" if samples is None else samples.code.source()

    @property
    def threads(self) -> int:
        """The most threads that share the samples of a call."""
        return self._spec.threads

    @property
    def tier(self) -> str:
        """ "quick" while the optimised machine code of a long kernel is being made, then "optimised"."""
        is_quick = self._built.improve is not None or self._spec.tier == "quick"
        return "quick" if is_quick else "optimised"

    @property
    def address(self) -> int:
        return self._built.address

    @property
    def signature(self) -> Signature:
        """Shapes of the arguments and outputs over the sizes, and what a call checks."""
        return self._spec.signature

    @property
    def backend(self) -> str:
        return self._spec.backend

    @property
    def dtype(self) -> np.dtype:
        return self._real

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of the arguments in call order; tangents and the cotangent are passed by their own names."""
        return tuple(a.name for a in self._spec.signature.arguments)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The output words in order."""
        return self._spec.signature.words

    def workspace(self, **sizes: int) -> int:
        """Bytes of workspace that one sample needs for the given sizes (known before the call).

        A call with sample axes needs them once per thread; where samples are computed side by side, for
        8 samples (16 in float32) and for their arguments and results.
        Raises BudgetTooSmall where that is more than the kernel may use (`memory=` of `compile`).
        """
        return self._built.workspace(self._planned(self._checked_sizes(sizes))) * self._real.itemsize

    def tiles(self, **sizes: int) -> dict[str, int]:
        """How the loops of recurrences are cut for the given sizes, so that a call keeps to its memory.

        The numbers of blocks, of tiles in a block, and of steps in a tile (`loops.tiles`); empty where
        everything is stored. Raises BudgetTooSmall as `workspace` does.
        """
        planned = self._planned(self._checked_sizes(sizes))
        return {name: value for name, value in planned.items() if name not in self._size_names}

    def _planned(self, sizes: Sizes) -> Sizes:
        """With the sizes that the routine leaves to its caller."""
        routine, memory = self._spec.routine, self._spec.memory
        if routine is None or (memory is None and not routine.tiles):
            return sizes
        return planned(routine, sizes, memory, self._real.itemsize)

    def sizes_of(self, /, *args: Any) -> dict[str, int]:
        """The sizes that a call with these arguments has. Raises what the call raises for them."""
        arrays, sizes = self._intake(args, {}, None, None)
        return dict(self._make_plan(arrays, sizes).sizes)

    def ops(self, **sizes: int) -> dict[str, int]:
        """Arithmetic operations of one sample, "before" and "after" optimisation, for the given sizes.

        Raises BadArgument for a size that is missing or unknown.
        """
        checked, (before, after) = self._checked_sizes(sizes), self._spec.units
        return {
            "before": operations(before.graph, before.roots, checked),
            "after": operations(after.graph, after.roots, checked),
        }

    def _checked_sizes(self, sizes: Mapping[str, int]) -> Sizes:
        wanted = self._size_names
        for name in [*wanted, *sizes]:
            if name not in sizes or name not in wanted:
                raise BadArgument(
                    f"size {quoted(name)} is " + ("missing" if name in wanted else "not known"),
                    because="the sizes are " + listed(wanted) if wanted else "this kernel has no sizes",
                    try_="pass each of them by name" if wanted else "leave it out",
                )
        return dict(sizes)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._spec,)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._form()}; {self.backend}, {self._real}>"

    def _form(self) -> str:
        """The arguments with their shapes, and the outputs."""
        known = [a for a in self._spec.signature.arguments if a.role != "places"]
        args = [listed([a.name]) + (shape_text(a.extents) if a.extents else "") for a in known]
        return f"({', '.join(args)}) -> {', '.join(self.outputs)}"

    def dense(self, word: str, result: Any) -> Any:
        """A result of this kernel with arrays for sparse matrices, both triangles filled."""
        return result

    # ---- calling ---------------------------------------------------------------------------

    def _call(
        self, /, *args: Any, out: Any = None, tangent: Any = None, cotangent: Any = None, **by_name: Any
    ) -> Any:
        """Evaluate. This is what a call means; `run.fastcall` makes common ones without Python code.

        args, by_name  arrays in the order of `arguments`, or by symbol name; sizes that no shape
                       determines by name. Axes before the declared ones are samples and broadcast.
        tangent        the direction of jvp and hvp, in the structure of wrt.
        cotangent      the weights of vjp, in the shape of the value.
        out            arrays (in the structure of the result, None where one is to be allocated) to
                       write to; they are returned. They may be the inputs.
        Returns a float for one number, arrays otherwise, in the structure asked for at compile time.
        No result shares memory with an argument or another result.
        Raises BadArgument, ShapeMismatch, DtypeMismatch, IndexOutOfRange,
        NoFactorisation, NotConverged, PrecisionLost, BudgetTooSmall.
        """
        try:
            arrays, sizes = self._intake(args, by_name, tangent, cotangent)
            return self._evaluate(arrays, sizes, out)
        except SymgradError as error:
            error.where = error.where or f"the call {self._form()}"
            raise

    def _evaluate(self, arrays: list[np.ndarray], sizes: Sizes, out: Any) -> Any:
        """The results for arguments in order, each of its own type and layout."""
        signature = self._spec.signature
        key: Any = tuple([x.shape for x in arrays])
        if sizes or self._sized:
            key = (key, *sizes.items(), *self._size_values(arrays))
        plan = self._plans.get(key) or self._new_plan(key, arrays, sizes)
        if plan.record is not self._record:
            self._use_record(plan)
        if signature.index_ranges:
            check_indices(self._spec.signature, dict(enumerate(arrays)), plan.sizes)
        if signature.escapes:
            self._escapes.check(arrays, plan.cores, plan.sizes)
        for k in plan.spread:
            arrays[k] = np.ascontiguousarray(np.broadcast_to(arrays[k], plan.batch + plan.cores[k]))
        if out is None:
            outputs = self._run(arrays, self._fresh, plan)
            if plan.is_plain:
                return outputs[0] if signature.single else tuple(outputs)
            return structured(signature, returned(outputs, self._leaves, plan.leaves))
        outs = flat_out(signature, out)
        check_out(outs, plan.leaves, self._real)
        buffers, done = direct(outs, self._leaves, plan.shapes, arrays, self._real)
        results = returned(self._run(arrays, buffers, plan), self._leaves, plan.leaves)
        return structured(signature, written(outs, results, done))

    def _run(self, arrays: Sequence[np.ndarray], buffers: Sequence[Any], plan: Plan) -> list[Any]:
        """One result per output buffer; raises where the status is not 0, or a number of lost entries."""
        outputs = plan.built.run(arrays, buffers, plan)
        if self._failures:
            *outputs, status = outputs
            if np.any(status):
                raise failure(self._failures, status)
        if self._spec.precision is not None and np.any(outputs[-1]):
            raise self._lost(arrays, plan, outputs)
        return outputs

    def _lost(self, arrays: Sequence[np.ndarray], plan: Plan, outputs: Sequence[Any]) -> SymgradError:
        """The error of the first sample of which an entry is not sure enough."""
        spec, sample = self._spec, first_sample(outputs[-1])
        assert spec.precision is not None
        inputs = [x[sample] if x.ndim > len(core) else x for x, core in zip(arrays, plan.cores, strict=True)]
        shapes = {leaf.buffer: _shape(leaf.shape, plan.sizes) for leaf in self._leaves}
        at = (inputs, [np.asarray(x)[sample] for x in outputs], plan.sizes, self._real, shapes, sample)
        return precision_lost(spec.units[0], spec.precision, *at)

    # ---- plans -----------------------------------------------------------------------------

    def _size_values(self, arrays: Sequence[np.ndarray]) -> list[int]:
        """The values of arguments that are sizes."""
        for k in self._sized:
            if arrays[k].ndim:
                raise ShapeMismatch(
                    f"argument {quoted(self._spec.signature.arguments[k].name)} has shape {arrays[k].shape}",
                    because="it is a size, and all samples of a call have the same sizes",
                    try_="pass one whole number, and call once per size",
                )
        return [int(arrays[k]) for k in self._sized]

    def _new_plan(self, key: Any, arrays: Sequence[np.ndarray], sizes: Sizes) -> Plan:
        plan = self._make_plan(arrays, sizes)
        with self._lock:
            if len(self._plans) >= _MOST_PLANS:
                del self._plans[next(iter(self._plans))]
            if plan.built is self._built:  # else there are better plans to come
                self._plans[key] = plan
        return plan

    def _use_record(self, plan: Plan) -> None:
        with self._lock:
            if plan.built is self._built:
                self._set_record(plan.record)

    def _make_plan(self, arrays: Sequence[np.ndarray], given: Mapping[str, int]) -> Plan:
        signature = self._spec.signature
        splits = [x.ndim - len(a.extents) for a, x in zip(signature.arguments, arrays, strict=True)]
        leads = [x.shape[:split] for x, split in zip(arrays, splits, strict=True)]
        cores = [x.shape[split:] for x, split in zip(arrays, splits, strict=True)]
        named = [signature.arguments[k].name for k in self._sized]
        known = dict(given) | dict(zip(named, self._size_values(arrays), strict=True))
        _check_positive(known)
        sizes = solve_sizes(signature.arguments, cores, known, signature.sizes)
        check_conditions(signature, sizes)
        sizes = self._planned(sizes)
        batch = _broadcast(signature.arguments, leads)
        shapes = [_shape(b, sizes) for b in signature.buffers]
        spread = tuple(k for k, lead in enumerate(leads) if lead and lead != batch)
        strides = [prod(core) if lead else 0 for lead, core in zip(leads, cores, strict=True)]
        meta = np.array(
            [prod(batch), *(sizes[n] for n in signature.passed), *strides, *map(prod, shapes), 1],
            dtype=np.int64,
        )
        in_words = tuple(batch + _shape(leaf.shape, sizes) for leaf in self._leaves)
        in_buffers = tuple(batch + s for s in shapes)
        alarms = int(self._spec.precision is not None)
        in_order = [leaf.buffer for leaf in self._leaves] == list(range(len(shapes) - alarms))
        flat = all(isinstance(tree, OutputLeaf) for tree in signature.outputs)
        is_plain = flat and in_order and in_words == in_buffers
        built = self._built
        workspace = built.workspace(sizes)
        by_shape = not (spread or given or self._sized or signature.escapes)
        return Plan(
            sizes,
            batch,
            tuple(cores),
            spread,
            in_buffers + (batch,) * bool(self._failures),
            in_words,
            is_plain,
            workspace,
            len(arrays) + len(shapes) + 1,
            meta,
            address_of(meta),
            built,
            self._new_record(built, arrays, in_words, workspace, meta, sizes, batch)
            if in_order and by_shape
            else None,
        )

    def _new_record(
        self,
        built: Built,
        arrays: Sequence[np.ndarray],
        shapes: Sequence[Shape],
        workspace: int,
        meta: np.ndarray,
        sizes: Sizes,
        batch: Shape,
    ) -> np.ndarray | None:
        """Of calls with arguments like these."""
        signature, passed = self._spec.signature, passed_of(self._spec.signature)
        alarms = int(self._spec.precision is not None) + bool(self._failures)
        entry: Entry | None = Entry(built.call_address, workspace)
        if batch:  # each sample would have alarms of its own
            many = None if alarms else built.samples
            entry = None if many is None else many.entry(int(meta[0]), sizes, workspace)
        if entry is None or not entry.address or passed is None:
            return None
        if any(x.ndim == 0 and x.dtype != self._real for x in arrays):
            return None
        arguments = [(np.dtype(x.dtype.type), x.shape) for x in arrays]
        structure = structured(signature, [None] * len(shapes))
        ranges = [
            (r.argument, arrays[r.argument].size, evaluate_poly(r.low, sizes), evaluate_poly(r.high, sizes))
            for r in signature.index_ranges
        ]
        packing = None if self._spec.routine is None or batch else packing_of(self._spec.routine)
        return record_of(
            entry,
            self._real,
            arguments,
            shapes,
            structure,
            meta,
            passed,
            ranges,
            not batch and self._is_brief(sizes),
            packing,
            alarms,
            bool(batch),
        )

    def _is_brief(self, sizes: Sizes) -> bool:
        routine = self._spec.routine
        if routine is None:
            return False
        return is_brief(
            routine, {n: sizes[s] for n, s in zip(routine.sizes, routine.size_symbols, strict=True)}
        )

    @cached_property
    def _escapes(self) -> Escapes:
        return Escapes(self._spec.units[0], self._spec.signature)


def _shape(extents: Sequence[Poly], sizes: Sizes) -> Shape:
    return tuple([max(evaluate_poly(e, sizes), 0) for e in extents])


def _check_positive(sizes: Sizes) -> None:
    for name, value in sizes.items():
        if value < 0:
            raise ShapeMismatch(
                f"size {quoted(name)} is {value}",
                because="a size is a number of elements",
                try_="pass 0 or more",
            )


def _broadcast(arguments: Sequence[Argument], leads: Sequence[Shape]) -> Shape:
    """The common shape of the sample axes."""
    batch: Shape = ()
    for a, lead in zip(arguments, leads, strict=True):
        try:
            batch = np.broadcast_shapes(batch, lead)
        except ValueError:
            raise ShapeMismatch(
                f"the sample axes {lead} of argument {quoted(a.name)} do not broadcast",
                because=f"the arguments before it have sample axes {batch}; "
                f"axes before the declared shape {shape_text(a.extents)} count as samples",
                try_="pass arrays of the declared shapes, or with equal leading axes",
            ) from None
    return batch


# ---- machine code ----------------------------------------------------------------------------------


def call_compiled(call: Callable[[int, int], None], real: np.dtype, packing: Packing | None = None) -> Runner:
    """A runner that hands addresses to `NAME_call` (see targets.base).

    Finding the address of an array costs more than the call, so single numbers share one block of
    memory with the workspace.
    """
    width = real.itemsize

    def run(inputs: Sequence[np.ndarray], buffers: Sequence[np.ndarray | None], plan: Plan) -> list[Any]:
        inputs = inputs if packing is None else packing.inputs(inputs, ())
        block = np.empty(plan.workspace + plan.numbers + CACHE_LINE // width, real)
        base = address_of(block)
        skipped = to_line(base) // width
        place = plan.workspace + skipped
        addresses = []
        for x in inputs:
            if x.ndim or x.dtype != real:
                addresses.append(address_of(x))
            else:
                block[place] = x
                addresses.append(base + place * width)
                place += 1
        first = place
        outputs: list[Any] = []
        for shape, buffer in zip(plan.shapes, buffers, strict=True):
            if shape or buffer is not None:
                kept = np.empty(shape, real) if buffer is None else buffer
                outputs.append(kept)
                addresses.append(address_of(kept))
            else:
                outputs.append(None)
                addresses.append(base + place * width)
                place += 1
        pointers = pointers_to([*addresses, base + skipped * width])
        call(pointers.buffer_info()[0], plan.meta_address)
        if place == first:
            return outputs
        numbers = iter(block[first:place].tolist())
        return [next(numbers) if x is None else x for x in outputs]

    return run
