"""Routines written by hand, and a way to call one on any target with NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from symgrad.loops.nest import (
    Accumulate,
    Buffer,
    Cell,
    Compute,
    Const,
    For,
    FromInt,
    If,
    Load,
    LoadInt,
    Poly,
    Routine,
    SetCell,
    Statement,
    Store,
    StoreReduce,
    Test,
    poly,
    poly_add,
    variable,
)
from symgrad.targets.base import Loaded, target_named, workspace_elements

TARGETS = ("llvm", "c")
DTYPES = ("float64", "float32")

I, J, N, M = variable("i"), variable("j"), variable("n"), variable("m")  # noqa: E741  (indices)
ZERO, ONE = ("q", 0, 1), ("q", 1, 1)
_GUARD = 12345.0  # stands behind the workspace and every output; nobody may write there


def call(
    target: str,
    routine: Routine,
    sizes: Mapping[str, int],
    inputs: Mapping[str, np.ndarray],
    dtype: str = "float64",
    samples: int = 1,
    loaded: Loaded | None = None,
) -> dict[str, np.ndarray]:
    """The outputs, one leading axis of samples if there are several; fails if memory behind is written.

    Inputs with a leading axis more than the buffer has step through it; the others are shared.
    """
    loaded = loaded or target_named(target).build(routine, dtype)
    arrays, strides, outputs = [], [], {}
    for buffer in routine.buffers_of("input"):
        kind = np.int64 if buffer.dtype == "int" else dtype
        array = np.ascontiguousarray(inputs[buffer.name], dtype=kind)
        batched = array.ndim > len(buffer.extents)
        arrays.append(array)
        strides.append(array.size // samples if batched else 0)
    for buffer in routine.buffers_of("output"):
        shape = tuple(max(_value(e, sizes), 0) for e in buffer.extents)
        size = int(np.prod(shape, dtype=np.int64))
        memory = np.full(size * samples + 1, _GUARD, dtype)
        arrays.append(memory)
        strides.append(size)
        outputs[buffer.name] = (memory, shape if samples == 1 else (samples, *shape))
    work = np.full(workspace_elements(routine, sizes) + loaded.extra + 1, _GUARD, dtype)
    arrays.append(work)
    pointers = np.array([a.ctypes.data for a in arrays], np.uintp)
    meta = np.array([samples, *(sizes[s] for s in routine.sizes), *strides], np.int64)
    loaded.call(pointers.ctypes.data, meta.ctypes.data)
    for memory in (work, *(memory for memory, _ in outputs.values())):
        assert memory[-1] == _GUARD, "written behind the end"
    return {name: memory[:-1].reshape(shape) for name, (memory, shape) in outputs.items()}


def numbers_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How many steps from one number of the type to the next lead from a to b; -0.0 and 0.0 are one apart.

    Two nan are 0 apart, a nan and a number infinitely many.
    """
    a, b = np.asarray(a), np.asarray(b)
    bits = np.int64 if a.dtype == np.float64 else np.int32

    def ordered(x: np.ndarray) -> np.ndarray:
        i = x.view(bits).astype(np.int64)
        return np.where(i < 0, np.iinfo(bits).min - i - 1, i)

    low, high = np.minimum(ordered(a), ordered(b)), np.maximum(ordered(a), ordered(b))
    apart = (high.astype(np.uint64) - low.astype(np.uint64)).astype(np.float64)  # int64 could overflow
    apart = np.where(np.isnan(a) & np.isnan(b), 0.0, apart)
    return np.where(np.isnan(a) != np.isnan(b), np.inf, apart)


def _value(extent: Poly, sizes: Mapping[str, int]) -> int:
    return sum(k * int(np.prod([sizes[n] for n in names], dtype=np.int64)) for names, k in extent)


def routine(
    buffers: Sequence[Buffer], body: list[Statement], sizes: Sequence[str] = ("n", "m"), title: str = ""
) -> Routine:
    return Routine("kernel", tuple(sizes), tuple(sizes), tuple(buffers), body, title)


def loop(var: str, upper: Poly, body: list[Statement], lower: Poly = ()) -> For:
    return For(var, (lower,), (upper,), body)


def every_op(ops: Mapping[str, tuple[int, int, bool]]) -> Routine:
    """y_op[i] = op(x0_op[i] != 0, ..., x1_op[i], ...) for i < n_arity, one loop per op.

    ops: name -> (number of arguments, how many of the first are truth values, whether the result is one).
    """
    body: list[Statement] = [Const(0, ZERO), Const(1, ONE)]
    buffers: list[Buffer] = []
    value = 2
    for op, (arity, conditions, is_bool) in ops.items():
        length = variable(f"n{arity}")
        inner: list[Statement] = []
        args = []
        for k in range(arity):
            buffers.append(Buffer(f"x{k}_{op}", "input", (length,)))
            inner.append(Load(value, f"x{k}_{op}", (I,)))
            if k < conditions:
                inner.append(Compute(value := value + 1, "ne", (value - 1, 0)))
            args.append(value)
            value += 1
        inner.append(Compute(value, op, tuple(args)))
        if is_bool:
            inner.append(Compute(value := value + 1, "mask", (value - 1, 1)))
        inner.append(Store(f"y_{op}", (I,), value))
        value += 1
        body.append(loop("i", length, inner))
    buffers += [Buffer(f"y_{op}", "output", (variable(f"n{arity}"),)) for op, (arity, _, _) in ops.items()]
    return routine(buffers, body, ("n1", "n2", "n3"))


def matrix_vector() -> Routine:
    """y = X w, and s = the largest entry of y, through a work buffer."""
    row = [Load(4, "X", (I, J)), Load(5, "w", (J,)), Compute(6, "mul", (4, 5)), Accumulate("sum", 3, 6)]
    return routine(
        [Buffer("X", "input", (N, M)), Buffer("w", "input", (M,)), Buffer("y", "output", (N,)),
         Buffer("s", "output", ()), Buffer("h", "work", (N,))],
        [
            Const(1, ZERO), Const(2, ("f", "-inf")),
            loop("i", N, [Cell(3, 1), loop("j", M, row), Store("h", (I,), 3)]),
            Cell(7, 2),
            loop("i", N, [Load(8, "h", (I,)), Store("y", (I,), 8), Accumulate("max", 7, 8)]),
            Store("s", (), 7),
        ],
        title="y = X w",
    )  # fmt: skip


def triangle() -> Routine:
    """y[i] = sum over max(0, i - 2) <= j < min(m, i + 1) of X[i, j]: two bounds at both ends."""
    inner = For(
        "j",
        ((), poly_add(I, poly(-2))),
        (M, poly_add(I, poly(1))),
        [Load(3, "X", (I, J)), Accumulate("sum", 2, 3)],
    )
    return routine(
        [Buffer("X", "input", (N, M)), Buffer("y", "output", (N,))],
        [Const(1, ZERO), loop("i", N, [Cell(2, 1), inner, Store("y", (I,), 2)])],
    )


def guarded() -> Routine:
    """y[i] = x[i - 1] where i >= 1, else i + 0.5; z[i] += 1 on the diagonal i = 2."""
    body: list[Statement] = [
        FromInt(1, I), Const(2, ("q", 1, 2)), Compute(3, "add", (1, 2)), Cell(4, 3),
        Test(5, "ige", poly_add(I, poly(-1))),
        If(5, [Load(6, "x", (poly_add(I, poly(-1)),)), Compute(10, "exp", (6,))]),
        If(5, [Load(7, "x", (poly_add(I, poly(-1)),)), SetCell(4, 7)]),
        Store("y", (I,), 4),
        Test(8, "ieq", poly_add(I, poly(-2))), Const(9, ONE), Store("z", (I,), 2),
        If(8, [StoreReduce("sum", "z", (I,), 9)]),
    ]  # fmt: skip
    return routine(
        [Buffer("x", "input", (N,)), Buffer("y", "output", (N,)), Buffer("z", "output", (N,))],
        [loop("i", N, body)],
        ("n",),
    )


def gather() -> Routine:
    """y[i] = X[idx[i], i] for an integer array idx, and c[idx[i]] += 1."""
    row = variable("row")
    body: list[Statement] = [
        LoadInt("row", "idx", (I,)),
        Load(1, "X", (row, I)),
        Store("y", (I,), 1),
        Const(2, ONE),
        StoreReduce("sum", "c", (row,), 2),
    ]
    zero: list[Statement] = [Const(3, ZERO), Store("c", (I,), 3)]
    return routine(
        [Buffer("X", "input", (M, N)), Buffer("idx", "input", (N,), "int"), Buffer("y", "output", (N,)),
         Buffer("c", "output", (M,))],
        [loop("i", M, zero), loop("i", N, body)],
    )  # fmt: skip


def extremum(kind: str) -> Routine:
    """y[0] and the register s = the largest (smallest) of x."""
    start = ("f", "-inf" if kind == "max" else "inf")
    inner: list[Statement] = [Load(3, "x", (I,)), Accumulate(kind, 2, 3), StoreReduce(kind, "y", (), 3)]
    return routine(
        [Buffer("x", "input", (N,)), Buffer("y", "output", ()), Buffer("s", "output", ())],
        [Const(1, start), Cell(2, 1), Store("y", (), 1), loop("i", N, inner), Store("s", (), 2)],
        ("n",),
    )


def chain(length: int) -> Routine:
    """A long straight line whose values are read near and far, with truth values and a loop at the end.

    y = the last values; z[i] = x[i] times a value and masked by a truth value of the line's middle.
    """
    inputs = 8
    body: list[Statement] = [Load(k, "x", (poly(k),)) for k in range(inputs)]
    third, flag = inputs, -1
    body.append(Const(third, ("q", 1, 3)))
    value = third + 1
    values = list(range(inputs))
    for step in range(length // 3):
        near, far = values[-1 - step % 5], values[(step * 7919) % len(values)]
        body.append(Compute(value, "add" if step % 3 else "sub", (near, far)))
        body.append(Compute(value + 1, "mul", (value, third)))
        body.append(Compute(value + 2, "lt", (value, value + 1)))
        if step == length // 6:
            flag = value + 2
        values.append(value + 1)
        value += 3
    body += [Store("y", (poly(k),), values[-1 - k]) for k in range(4)]
    middle = values[len(values) // 2]
    last: list[Statement] = [
        Load(value, "x", (I,)),
        Compute(value + 1, "mul", (value, middle)),
        Compute(value + 2, "where", (flag, value + 1, value)),
        Store("z", (I,), value + 2),
    ]
    return routine(
        [Buffer("x", "input", (poly(inputs),)), Buffer("y", "output", (poly(4),)),
         Buffer("z", "output", (poly(inputs),))],
        [*body, loop("i", poly(inputs), last)],
        (),
    )  # fmt: skip
