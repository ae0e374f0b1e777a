"""The compiled kernel: checks arguments, broadcasts samples, calls machine code.

Leading axes beyond an argument's declared rank are samples and broadcast as in NumPy. A call
allocates its own workspace, so one kernel may be called from several threads; the machine code
runs without the GIL.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from symgrad.errors import BadArgument, DtypeMismatch, IndexOutOfRange, ShapeMismatch, quoted
from symgrad.loops.nest import Routine, evaluate_poly
from symgrad.run.signature import (
    Argument,
    OutputLeaf,
    OutputTree,
    Signature,
    Sizes,
    check_conditions,
    shape_text,
    solve_sizes,
)

Runner = Callable[[list[np.ndarray], list[np.ndarray], "Plan"], None]


@dataclass(frozen=True)
class Plan:
    """What follows from the shapes of a call alone; kept for the next call with the same shapes."""

    sizes: Sizes
    batch: tuple[int, ...]
    cores: tuple[tuple[int, ...], ...]
    shapes: tuple[tuple[int, ...], ...]  # of the output buffers, without the samples
    workspace: int
    meta: np.ndarray  # count, sizes, strides: see targets.base


@dataclass(frozen=True)
class Spec:
    """Everything a kernel is made from; picklable. `routine` is None for the reference backend."""

    signature: Signature
    routine: Routine | None
    backend: str
    dtype: str
    build: Callable[[Spec], Built]
    payload: Any = None  # what `build` needs besides


@dataclass(frozen=True)
class Built:
    """A runnable form: `run(inputs, outputs, plan)`, its text, and addresses (0 where there are none)."""

    run: Runner
    source: str
    address: int = 0
    workspace: Callable[[Sizes], int] = lambda sizes: 0
    keepalive: object = None


class Kernel:
    """A compiled function of arrays. Call it by position or by symbol name.

    source      the text that was compiled.
    address     of the machine code (0 for the reference backend).
    ops         operation counts before and after optimisation, as functions of the sizes.
    """

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._built = spec.build(spec)
        self._plans: dict[Any, Plan] = {}
        self._inputs = [a for a in spec.signature.arguments if a.role == "input"]
        self._real = np.dtype(spec.dtype)
        self._dtypes = [np.dtype(np.int64) if a.dtype == "int" else self._real
                        for a in spec.signature.arguments]  # fmt: skip

    # ---- what it is ------------------------------------------------------------------------

    @property
    def source(self) -> str:
        return self._built.source

    @property
    def address(self) -> int:
        return self._built.address

    @property
    def backend(self) -> str:
        return self._spec.backend

    @property
    def dtype(self) -> np.dtype:
        return self._real

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of the arguments in call order."""
        return tuple(a.name for a in self._spec.signature.arguments)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The output words in order."""
        return self._spec.signature.words

    def workspace(self, **sizes: int) -> int:
        """Bytes of workspace a call needs for the given sizes (known before the call)."""
        return self._built.workspace(dict(sizes)) * self._real.itemsize

    def __reduce__(self) -> tuple[Any, ...]:
        return Kernel, (self._spec,)

    def __repr__(self) -> str:
        args = ", ".join(
            a.name + (shape_text(a.extents) if a.extents else "") for a in self._spec.signature.arguments
        )
        return f"<Kernel ({args}) -> {', '.join(self.outputs)}; {self.backend}, {self._real}>"

    # ---- calling ---------------------------------------------------------------------------

    def __call__(
        self, *args: Any, out: Any = None, tangent: Any = None, cotangent: Any = None, **by_name: Any
    ) -> Any:
        """Evaluate.

        args, by_name  arrays in the order of `arguments`, or by symbol name; sizes that no shape
                       determines by name.
        tangent        the direction of jvp and hvp, in the structure of wrt.
        cotangent      the weights of vjp, in the shape of the value.
        out            arrays (in the structure of the result) to write to; they are returned.
        Returns a float for one number, arrays otherwise, in the structure asked for at compile time.
        Raises BadArgument, ShapeMismatch, DtypeMismatch, IndexOutOfRange.
        """
        signature = self._spec.signature
        given, sizes = self._gather(args, by_name, tangent, cotangent)
        arrays = [self._array(a, d, x) for a, d, x in zip(signature.arguments, self._dtypes, given, strict=True)]
        key = (tuple(x.shape for x in arrays), *sizes.items(), *self._size_values(arrays))
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = self._make_plan(arrays, sizes)
            if len(self._plans) > 256:
                self._plans.pop(next(iter(self._plans)))
        if signature.index_ranges:
            self._check_indices(arrays, plan)
        inputs = [_expanded(x, core, plan.batch) for x, core in zip(arrays, plan.cores, strict=True)]
        outputs = [np.empty(plan.batch + s, self._real) for s in plan.shapes]
        self._built.run(inputs, outputs, plan)
        return self._result(outputs, plan, out)

    def _gather(
        self, args: Sequence[Any], by_name: dict[str, Any], tangent: Any, cotangent: Any
    ) -> tuple[list[Any], Sizes]:
        """One value per argument, in order, and the sizes given by name."""
        signature = self._spec.signature
        if len(args) > len(self._inputs):
            raise BadArgument(
                f"{len(args)} arguments given, {len(self._inputs)} expected",
                because="the arguments are " + ", ".join(a.name for a in self._inputs),
                try_="pass tangent= and cotangent= by name",
            )
        values: dict[str, Any] = {a.name: x for a, x in zip(self._inputs, args, strict=False)}
        sizes: Sizes = {}
        for name, x in by_name.items():
            if name in signature.sizes and all(a.name != name for a in self._inputs):
                sizes[name] = int(x)
            elif name in values or all(a.name != name for a in self._inputs):
                raise _unexpected(name, name in values, self._inputs)
            else:
                values[name] = x
        missing = [a.name for a in self._inputs if a.name not in values]
        if missing:
            raise BadArgument(
                f"argument {quoted(missing[0])} is missing",
                because="the arguments are " + ", ".join(a.name for a in self._inputs),
                try_="pass it by position or by name",
            )
        extra = self._directions("tangent", tangent) + self._directions("cotangent", cotangent)
        return [values[a.name] for a in self._inputs] + extra, sizes

    def _directions(self, role: str, given: Any) -> list[Any]:
        wanted = [a for a in self._spec.signature.arguments if a.role == role]
        if not wanted:
            if given is not None:
                raise BadArgument(
                    f"{role}= was given, but no output needs it", try_="leave it out, or ask for that output"
                )
            return []
        if given is None:
            raise BadArgument(f"argument {role}= is missing", try_=f"pass {role}= with the structure of the "
                              + ("value" if role == "cotangent" else "symbols in wrt"))  # fmt: skip
        if len(wanted) == 1 and not (isinstance(given, (tuple, list)) and _is_nested(given, wanted[0])):
            return [given]
        if len(given) != len(wanted):
            raise BadArgument(
                f"{role}= has {len(given)} parts, {len(wanted)} expected",
                because="there is one part per symbol in wrt",
            )
        return list(given)

    def _array(self, a: Argument, dtype: np.dtype, x: Any) -> np.ndarray:
        """The argument as a C-contiguous array of the kernel's type; a copy only where needed."""
        if type(x) is np.ndarray and x.dtype == dtype and x.flags.c_contiguous and x.ndim >= len(a.extents):
            return x
        array = np.asarray(x)
        allowed = "biu" if a.dtype == "int" else "biuf"
        if array.dtype.kind not in allowed:
            raise DtypeMismatch(
                f"argument {quoted(a.name)} has dtype {array.dtype}",
                because="it holds indices, which are integers" if a.dtype == "int"
                else f"the kernel computes with {self._real}",
                try_="pass an integer array" if a.dtype == "int" else "pass real numbers",
            )  # fmt: skip
        array = np.asarray(array, dtype=dtype, order="C")
        if array.ndim < len(a.extents):
            array = self._as_column(a, array)
        return array

    def _as_column(self, a: Argument, array: np.ndarray) -> np.ndarray:
        """A vector for a declared (n, 1) or (1, n) matrix; anything else misses axes."""
        ones = [axis for axis, e in enumerate(a.extents) if e == (((), 1),)]
        if array.ndim == len(a.extents) - 1 and len(ones) == 1:
            return np.expand_dims(array, ones[0])
        raise ShapeMismatch(
            f"argument {quoted(a.name)} has shape {array.shape}",
            because=f"its declared shape is {shape_text(a.extents)}",
            try_="pass an array with that many axes",
        )

    def _size_values(self, arrays: Sequence[np.ndarray]) -> list[int]:
        return [int(x) for a, x in zip(self._spec.signature.arguments, arrays, strict=True) if a.is_size]

    def _make_plan(self, arrays: Sequence[np.ndarray], given: Mapping[str, int]) -> Plan:
        signature = self._spec.signature
        leads, cores = [], []
        for a, x in zip(signature.arguments, arrays, strict=True):
            split = x.ndim - len(a.extents)
            leads.append(x.shape[:split])
            cores.append(x.shape[split:])
        known = dict(given)
        for a, x in zip(signature.arguments, arrays, strict=True):
            if a.is_size:
                known[a.name] = int(x)
        sizes = solve_sizes(signature.arguments, cores, known, signature.sizes)
        check_conditions(signature, sizes)
        batch = _broadcast(signature.arguments, leads)
        shapes = tuple(tuple(max(evaluate_poly(e, sizes), 0) for e in b) for b in signature.buffers)
        strides = [prod(core) if lead else 0 for lead, core in zip(leads, cores, strict=True)]
        strides += [prod(s) for s in shapes]
        meta = [prod(batch), *(sizes[n] for n in signature.passed), *strides]
        return Plan(
            sizes, batch, tuple(cores), shapes, self._built.workspace(sizes), np.array(meta, dtype=np.int64)
        )

    def _check_indices(self, arrays: Sequence[np.ndarray], plan: Plan) -> None:
        signature = self._spec.signature
        for r in signature.index_ranges:
            x = arrays[r.argument]
            if x.size == 0:
                continue
            low, high = evaluate_poly(r.low, plan.sizes), evaluate_poly(r.high, plan.sizes)
            least, most = int(x.min()), int(x.max())
            if least < low or most > high:
                raise IndexOutOfRange(
                    f"argument {quoted(signature.arguments[r.argument].name)} holds the index "
                    f"{least if least < low else most}",
                    because=f"the array it indexes allows {low} to {high}",
                    try_="pass indices that start at 0 and stay inside the array",
                )

    # ---- results ---------------------------------------------------------------------------

    def _result(self, outputs: list[np.ndarray], plan: Plan, out: Any) -> Any:
        signature = self._spec.signature
        outs = [out] if signature.single else (out if out is not None else [None] * len(signature.words))
        if len(outs) != len(signature.words):
            raise BadArgument(f"out= has {len(outs)} parts, {len(signature.words)} expected")
        seen: set[int] = set()
        results = [self._tree(t, outputs, plan, o, seen) for t, o in zip(signature.outputs, outs, strict=True)]
        return results[0] if signature.single else tuple(results)

    def _tree(
        self, tree: OutputTree, outputs: list[np.ndarray], plan: Plan, out: Any, seen: set[int]
    ) -> Any:
        if not isinstance(tree, OutputLeaf):
            outs = out if out is not None else [None] * len(tree)
            return tuple(self._tree(t, outputs, plan, o, seen) for t, o in zip(tree, outs, strict=True))
        array = outputs[tree.buffer]
        shape = plan.batch + tuple(max(evaluate_poly(e, plan.sizes), 0) for e in tree.shape)
        if array.shape != shape:
            array = array.reshape(shape)
        if out is not None:
            return _written(out, array)
        if tree.buffer in seen:
            array = array.copy()  # two results of one tensor must not alias
        seen.add(tree.buffer)
        return float(array) if array.ndim == 0 else array


def _is_nested(given: Sequence[Any], argument: Argument) -> bool:
    """Whether a one-element tuple wraps the direction, rather than being it."""
    return len(given) == 1 and np.ndim(given[0]) >= len(argument.extents)


def _unexpected(name: str, twice: bool, inputs: Sequence[Argument]) -> BadArgument:
    return BadArgument(
        f"argument {quoted(name)} was given twice" if twice else f"there is no argument {quoted(name)}",
        because="the arguments are " + ", ".join(a.name for a in inputs),
        try_="name each argument once",
    )


def _broadcast(arguments: Sequence[Argument], leads: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The common shape of the sample axes."""
    batch: tuple[int, ...] = ()
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


def _expanded(x: np.ndarray, core: tuple[int, ...], batch: tuple[int, ...]) -> np.ndarray:
    """Contiguous over all samples, or untouched where every sample shares it."""
    lead = x.shape[: x.ndim - len(core)]
    if not lead or lead == batch:
        return x
    return np.ascontiguousarray(np.broadcast_to(x, batch + core))


def _written(out: Any, array: np.ndarray) -> Any:
    """Copy a result to the caller's array."""
    if not isinstance(out, np.ndarray) or out.shape != array.shape:
        raise ShapeMismatch(
            f"out= has shape {getattr(out, 'shape', type(out).__name__)}",
            because=f"the result has shape {array.shape}",
            try_="pass an array of that shape",
        )
    if not np.can_cast(array.dtype, out.dtype, "same_kind") or not out.flags.writeable:
        raise DtypeMismatch(
            f"out= has dtype {out.dtype}" + ("" if out.flags.writeable else " and is read-only"),
            because=f"the result has dtype {array.dtype}",
        )
    np.copyto(out, array)
    return out


def call_compiled(call: Callable[[int, int], None], real: np.dtype) -> Runner:
    """A runner that hands addresses to `NAME_call` (see targets.base)."""

    def run(inputs: list[np.ndarray], outputs: list[np.ndarray], plan: Plan) -> None:
        work = np.empty(plan.workspace, real)
        arrays = [*inputs, *outputs, work]
        pointers = (ctypes.c_void_p * len(arrays))(*[x.__array_interface__["data"][0] for x in arrays])
        call(ctypes.addressof(pointers), plan.meta.__array_interface__["data"][0])

    return run
