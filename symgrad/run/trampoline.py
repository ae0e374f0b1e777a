"""The machine code between a Python call and a kernel: one function for all kernels, made once per process.

It has CPython's vectorcall signature (PEP 590). Each kernel has a record (`run.records`)
that says what the call it is prepared for looks like. A call that looks like that is
made at once, anything else is handed to the Python method `_call`; so is one that raises an alarm.

The block holds the workspace, then the single numbers among arguments and results. It begins with a cache
line, since a vector across two lines takes twice as long to load. It lives on the stack
where it is small. The largest block that was not is kept for later calls, one per process: fresh memory costs
a page fault for every 4 KiB, often more than what is computed there. It changes hands under the GIL.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir

from symgrad.run import cpython
from symgrad.run.addresses import CACHE_LINE
from symgrad.run.records import (
    ARRAY,
    HEADER,
    MAX_ARGUMENTS,
    MAX_AXES,
    MAX_CODES,
    MAX_META,
    MAX_RESULTS,
    RANGE,
    RECORD,
    RESULT,
    SINGLE,
    UNUSED,
)

STACK_BYTES = 4096  # of the block; larger ones are allocated
SPARE_BYTES = 1 << 30  # a larger block is not kept
_EXACT = 1 << 53  # whole numbers up to here are doubles

_I32, _I64, _PTR, _BYTE = ir.IntType(32), ir.IntType(64), ir.PointerType(), ir.IntType(8)
_DOUBLE, _FLOAT = ir.DoubleType(), ir.FloatType()
_OFFSET_FLAG = 1 << 63  # PY_VECTORCALL_ARGUMENTS_OFFSET
_NULL = _PTR(None)
Value = Any  # llvmlite has no types for its values
# What the code compares with, or asks for: symbols to it, whose addresses are given when it is loaded.
_OBJECTS: dict[str, object] = {
    "ndarray": np.ndarray, "float64": np.float64, "float": float, "int": int, "tuple": tuple, "None": None,
    "word_out": "out", "word_tangent": "tangent", "word_cotangent": "cotangent", "word_call": "_call",
}  # fmt: skip
_SPARE = np.zeros(2, np.int64)  # address and bytes of the block that is kept
_KEPT: list[Any] = []  # code in use


@cache
def address() -> int:
    """The address of the function; compiled where it is not in the cache."""
    from symgrad.targets import llvm_build  # not before there is a kernel

    places = {f"object_{name}": id(x) for name, x in _OBJECTS.items()} | {"spare": _SPARE.ctypes.data}
    symbols = {**places, **cpython.functions()}
    library = llvm_build.load(lambda: str(_Trampoline().module), _decided_by(), symbols, ("trampoline",))
    _KEPT.append(library)
    return int(library["trampoline"])


def _decided_by() -> str:
    """The files that decide the code, as text."""
    files = ("trampoline.py", "records.py", "cpython.py")
    return "".join((pkgutil.get_data(__package__, file) or b"").decode("latin-1") for file in files)


class _Trampoline:
    """Builds the function, block by block. `self.b` writes at the end of the current block."""

    def __init__(self) -> None:
        self.module = ir.Module("trampoline")
        kind = ir.FunctionType(_PTR, [_PTR, _PTR, _I64, _PTR])
        self.function = ir.Function(self.module, kind, "trampoline")
        self.b = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.slow = self.function.append_basic_block("slow")
        self._body()
        self._hand_over()

    # ---- the call, from top to bottom ------------------------------------------------------

    def _body(self) -> None:
        self.me, self.args, self.count, self.keywords = self.function.args
        self._reserve()
        self.record = self._load(_PTR, self.me, RECORD)
        self._require(self._differs(self.record, _NULL))
        self.given = self.b.and_(self.count, _I64(~_OFFSET_FLAG & (2**64 - 1)))
        self.n_arguments, self.n_results, self.n_codes = (self._header(k) for k in range(3))
        self.n_taken, self.n_arrays = self._header(14), self._header(15)
        self._require(self.b.icmp_signed("==", self.given, self._header(9)))
        self.out, tangent, cotangent = self._keyword_arguments()
        self._collect(tangent, cotangent)
        self.width = self._header(6)  # the record is not read after the kernel has run: it may be gone
        self._store(self.place, self._header(5))
        self._store(self.array, self._at(self.record, _I64(HEADER), 8))
        self._make_block()
        self._store(
            self.buffers, self.b.ptrtoint(self._next_number(), _I64)
        )  # that of all of them, if packed
        self._each(self.n_arguments, self._argument)
        self._each(self._header(12), self._range)
        self._each(self.n_results, self._result)
        self.n_alarms = self._header(16)
        self._each(self.n_alarms, self._alarm)
        self._run()
        self._each(self.n_alarms, self._require_silence)
        self._answer()

    def _reserve(self) -> None:
        """Memory on the stack: pointers for the kernel, results, the block, meta, codes."""
        self.buffers = self._local(ir.ArrayType(_I64, UNUSED + 1))
        self.arrays = self._local(ir.ArrayType(_PTR, MAX_RESULTS))
        self.lent = self._local(ir.ArrayType(_I64, MAX_RESULTS))  # the caller's, not counted yet
        self.all_lent = self._local(_I64)
        self.collected = self._local(ir.ArrayType(_PTR, MAX_ARGUMENTS))
        self.array = self._local(_PTR)  # the facts of the next array
        self.meta = self._local(ir.ArrayType(_I64, MAX_META))
        self.codes = self._local(ir.ArrayType(_I64, MAX_CODES))
        self.stack = self._local(ir.ArrayType(_BYTE, STACK_BYTES))
        self.place, self.made = self._local(_I64), self._local(_I64)  # numbers, and new arrays, so far
        self.heap, self.block, self.bytes = self._local(_PTR), self._local(_PTR), self._local(_I64)
        self._store(self.heap, _NULL)
        self._store(self.made, _I64(0))
        self._store(self.all_lent, _I64(1))

    def _keyword_arguments(self) -> list[Value]:
        """What was passed as out=, tangent= and cotangent=; null for nothing, slow for other keywords."""
        names = ("word_out", "word_tangent", "word_cotangent")
        places = [self._local(_PTR) for _ in names]
        for place in places:
            self._store(place, _NULL)

        def keyword(k: Value) -> None:
            items = self._at(self.keywords, _I64(cpython.TUPLE_ITEMS), 1)
            name = self._load(_PTR, self._at(items, k, 8))
            value = self._load(_PTR, self._at(self.args, self.b.add(self.given, k), 8))
            known = [self._equals(name, self._object(n)) for n in names]
            self._require(self.b.or_(self.b.or_(known[0], known[1]), known[2]))
            for is_it, place in zip(known, places, strict=True):
                with self.b.if_then(is_it):
                    self._store(place, value)

        with self.b.if_then(self._differs(self.keywords, _NULL)):
            self._each(self._load(_I64, self.keywords, cpython.TUPLE_SIZE), keyword)
        return [self.b.load(place, typ=_PTR) for place in places]

    def _collect(self, tangent: Value, cotangent: Value) -> None:
        """The arguments in order: those by position, the parts of the tangent, the cotangent."""
        parts, last = self._header(10), self._header(11)
        wanted = self.b.icmp_signed("!=", parts, _I64(0))
        self._require(self.b.icmp_signed("==", wanted, self._differs(tangent, _NULL)))
        ends = self.b.icmp_signed("!=", last, _I64(0))
        self._require(self.b.icmp_signed("==", ends, self._differs(cotangent, _NULL)))
        several = self.b.or_(wanted, ends)
        self.objects = self.b.select(several, self.collected, self.args)
        with self.b.if_then(several, likely=False):
            self._copy(self.collected, self.args, self.given)
            rest = self._at(self.collected, self.given, 8)
            with self.b.if_then(self.b.icmp_signed("==", parts, _I64(SINGLE))):
                self._store(rest, tangent)
            with self.b.if_then(self.b.icmp_signed(">", parts, _I64(0))):
                self._require(self._equals(self._load(_PTR, tangent, cpython.TYPE), self._object("tuple")))
                size = self._load(_I64, tangent, cpython.TUPLE_SIZE)
                self._require(self.b.icmp_signed("==", size, parts))
                self._copy(rest, self._at(tangent, _I64(cpython.TUPLE_ITEMS), 1), parts)
            with self.b.if_then(ends):
                at = self.b.sub(self.n_arguments, _I64(1))
                self._store(self._at(self.collected, at, 8), cotangent)

    def _make_block(self) -> None:
        needed = self._header(4)
        self._store(self.block, self.stack)
        with self.b.if_then(self.b.icmp_unsigned(">", needed, _I64(STACK_BYTES))):
            size = self.b.add(needed, _I64(CACHE_LINE - 1))
            self._take_spare(size)
            with self.b.if_then(self._equals(self.b.load(self.heap, typ=_PTR), _NULL), likely=False):
                self._store(self.heap, self._call("PyMem_RawMalloc", _PTR, size))
                self._store(self.bytes, size)
            memory = self.b.load(self.heap, typ=_PTR)
            self._require(self._differs(memory, _NULL))  # the slow path reports it
            place = self.b.add(self.b.ptrtoint(memory, _I64), _I64(CACHE_LINE - 1))
            self._store(self.block, self.b.inttoptr(self.b.and_(place, _I64(-CACHE_LINE)), _PTR))

    def _take_spare(self, size: Value) -> None:
        """The block that was kept, if it is there and large enough."""
        spare = self._spare()
        with self.b.if_then(self.b.icmp_unsigned(">=", self._load(_I64, spare, 8), size)):
            self._store(self.heap, self._load(_PTR, spare))
            self._store(self.bytes, self._load(_I64, spare, 8))
            self._store(spare, _NULL)
            self._store(self._at(spare, _I64(1), 8), _I64(0))

    # ---- arguments -------------------------------------------------------------------------

    def _argument(self, k: Value) -> None:
        x = self._load(_PTR, self._at(self.objects, k, 8))
        kind = self._load(_I64, self._at(self._argument_kinds(), k, 8))
        buffer = self._at(self.buffers, self.b.ashr(kind, _I64(1)), 8)
        is_number = self.b.icmp_signed("==", self.b.and_(kind, _I64(1)), _I64(0))
        with self.b.if_else(is_number) as (number, array):
            with number:
                self._store(buffer, self.b.ptrtoint(self._number(x), _I64))
            with array:
                facts = self.b.load(self.array, typ=_PTR)
                flags = cpython.C_CONTIGUOUS | cpython.ALIGNED
                self._require_array(x, facts, self._load(_I64, facts), 1, flags)
                self._store(buffer, self._load(_I64, x, cpython.DATA))
                self._store(self.array, self._at(facts, _I64(ARRAY), 8))

    def _argument_kinds(self) -> Value:
        """What stands behind the ranges."""
        behind = self.b.add(
            self.b.add(self._header(7), self.n_codes), self.b.mul(self._header(12), _I64(RANGE))
        )
        return self._at(self._facts_of_result(self.n_results), behind, 8)

    def _range(self, k: Value) -> None:
        """The entries of an integer array are indices that exist; if not, the slow path says which."""
        after = self.b.add(self.b.mul(k, _I64(RANGE)), self.b.add(self._header(7), self.n_codes))
        facts = self._at(self._facts_of_result(self.n_results), after, 8)
        argument, count, low, high = (self._load(_I64, facts, 8 * word) for word in range(RANGE))
        data = self.b.inttoptr(self._load(_I64, self._at(self.buffers, argument, 8)), _PTR)
        bad = self._local(_I64)
        self._store(bad, _I64(0))

        def look(i: Value) -> None:
            x = self._load(_I64, self._at(data, i, 8))
            outside = self.b.or_(self.b.icmp_signed("<", x, low), self.b.icmp_signed(">", x, high))
            self._store(bad, self.b.or_(self.b.load(bad, typ=_I64), self.b.zext(outside, _I64)))

        self._each(count, look)
        self._require(self.b.icmp_signed("==", self.b.load(bad, typ=_I64), _I64(0)))

    def _number(self, x: Value) -> Value:
        """Where in the block it is now: a Python float or int, NumPy's float64, or an array without axes."""
        kind, where = self._load(_PTR, x, cpython.TYPE), self._number_place()
        is_double = self.b.icmp_signed("==", self.width, _I64(8))
        with self.b.if_else(self._equals(kind, self._object("ndarray"))) as (array, other):
            with array:
                has = self.b.and_(self._load(_I32, x, cpython.FLAGS), _I32(cpython.ALIGNED))
                self._require(self.b.icmp_signed("==", has, _I32(cpython.ALIGNED)))
                self._require(self.b.icmp_signed("==", self._load(_I64, x, cpython.DESCR), self._header(8)))
                self._require(self.b.icmp_signed("==", self._load(_I32, x, cpython.NDIM), _I32(0)))
                data = self._load(_PTR, x, cpython.DATA)
                with self.b.if_else(is_double) as (double, single):
                    with double:
                        self._store(where, self._load(_DOUBLE, data))
                    with single:
                        self._store(where, self._load(_FLOAT, data))
            with other:
                value = self._python_number(x, kind)
                with self.b.if_else(is_double) as (double, single):
                    with double:
                        self._store(where, value)
                    with single:
                        self._store(where, self.b.fptrunc(value, _FLOAT))
        return where

    def _python_number(self, x: Value, kind: Value) -> Value:
        """The double that a float or a whole number is."""
        value = self._local(_DOUBLE)
        with self.b.if_else(self._equals(kind, self._object("int"))) as (whole, real):
            with whole:
                far = self._local(_I32)
                found = self._call("PyLong_AsLongLongAndOverflow", _I64, x, far)
                self._require(self.b.icmp_signed("==", self.b.load(far, typ=_I32), _I32(0)))
                exact = self.b.add(found, _I64(_EXACT))  # of others Python rounds, once
                self._require(self.b.icmp_unsigned("<=", exact, _I64(2 * _EXACT)))
                self._store(value, self.b.sitofp(found, _DOUBLE))
            with real:
                is_float = self.b.or_(*(self._equals(kind, self._object(t)) for t in ("float", "float64")))
                self._require(is_float)
                self._store(value, self._load(_DOUBLE, x, cpython.FLOAT_VALUE))
        return self.b.load(value, typ=_DOUBLE)

    def _number_place(self) -> Value:
        """The address of the next single number in the block, which is taken."""
        where = self._next_number()
        self._store(self.place, self.b.add(self.b.load(self.place, typ=_I64), _I64(1)))
        return where

    def _next_number(self) -> Value:
        place = self.b.load(self.place, typ=_I64)
        return self._at(self.b.load(self.block, typ=_PTR), self.b.mul(place, self.width), 1)

    def _require_array(self, x: Value, facts: Value, descr: Value, first: int, flags: int) -> None:
        """`x` is an ndarray with these flags, this descriptor, and the axes at word `first` of `facts`."""
        self._require(self._equals(self._load(_PTR, x, cpython.TYPE), self._object("ndarray")))
        self._require(self.b.icmp_signed("==", self._load(_I64, x, cpython.DESCR), descr))
        axes = self._load(_I64, facts, 8 * first)
        found = self.b.sext(self._load(_I32, x, cpython.NDIM), _I64)
        self._require(self.b.icmp_signed("==", found, axes))
        has = self.b.and_(self._load(_I32, x, cpython.FLAGS), _I32(flags))
        self._require(self.b.icmp_signed("==", has, _I32(flags)))
        extents = self._load(_PTR, x, cpython.DIMS)

        def compare(a: Value) -> None:
            known = self._load(_I64, self._at(facts, self.b.add(a, _I64(first + 2)), 8))
            self._require(self.b.icmp_signed("==", self._load(_I64, self._at(extents, a, 8)), known))

        self._each(axes, compare)

    # ---- results ---------------------------------------------------------------------------

    def _facts_of_result(self, k: Value) -> Value:
        skipped = self.b.mul(self.n_arrays, _I64(ARRAY))
        words = self.b.add(self.b.mul(k, _I64(RESULT)), self.b.add(skipped, _I64(HEADER)))
        return self._at(self.record, words, 8)

    def _result(self, k: Value) -> None:
        facts = self._facts_of_result(k)
        buffer = self._at(self.buffers, self.b.add(self.n_taken, k), 8)
        axes, given = self._load(_I64, facts), self._given(k)
        is_number = self.b.icmp_signed("==", axes, _I64(0))
        with self.b.if_else(self.b.and_(is_number, self._equals(given, _NULL))) as (number, array):
            with number:
                self._store(buffer, self.b.ptrtoint(self._number_place(), _I64))
                self._set_result(k, _NULL, lent=False)
            with array:
                with self.b.if_else(self._equals(given, _NULL)) as (fresh, old):
                    with fresh:
                        self._set_result(k, self._new_array(facts, axes), lent=False)
                    with old:
                        self._require_fit(k, facts, given)
                        self._set_result(k, given, lent=True)
                x = self._load(_PTR, self._at(self.arrays, k, 8))
                self._store(buffer, self._load(_I64, x, cpython.DATA))
        self._store(self.made, self.b.add(k, _I64(1)))

    def _set_result(self, k: Value, x: Value, lent: bool) -> None:
        self._store(self._at(self.arrays, k, 8), x)
        self._store(self._at(self.lent, k, 8), _I64(int(lent)))
        if not lent:
            self._store(self.all_lent, _I64(0))

    def _new_array(self, facts: Value, axes: Value) -> Value:
        kind, extents = self._load(_I64, facts, 8 * (2 + MAX_AXES)), self._at(facts, _I64(2), 8)
        zero = _I32(0)
        x = self._call(
            "PyArray_New", _PTR, self._object("ndarray"), self.b.trunc(axes, _I32), extents,
            self.b.trunc(kind, _I32), _NULL, _NULL, zero, zero, _NULL,
        )  # fmt: skip
        with self.b.if_then(self._equals(x, _NULL), likely=False):
            self._fail()
        return x

    def _given(self, k: Value) -> Value:
        """What the caller passed for result `k`; null for nothing or None."""
        path = self._at(self._facts_of_result(k), _I64(3 + MAX_AXES), 8)
        x = self._local(_PTR)
        self._store(x, self._unless_none(self.out))

        def inside(level: Value) -> None:
            around = self.b.load(x, typ=_PTR)
            with self.b.if_then(self._differs(around, _NULL)):
                self._require(self._equals(self._load(_PTR, around, cpython.TYPE), self._object("tuple")))
                size = self._load(_I64, around, cpython.TUPLE_SIZE)
                step = self._at(path, self.b.mul(level, _I64(2)), 8)
                self._require(self.b.icmp_signed("==", size, self._load(_I64, step, 8)))
                items = self._at(around, _I64(cpython.TUPLE_ITEMS), 1)
                item = self._load(_PTR, self._at(items, self._load(_I64, step, 16), 8))
                self._store(x, self._unless_none(item))

        self._each(self._load(_I64, path), inside)
        return self.b.load(x, typ=_PTR)

    def _unless_none(self, x: Value) -> Value:
        return self.b.select(self._equals(x, self._object("None")), _NULL, x)

    def _require_fit(self, k: Value, facts: Value, array: Value) -> None:
        """The caller's array for result `k` is of the right form, and apart from all memory in use."""
        flags = cpython.C_CONTIGUOUS | cpython.ALIGNED | cpython.WRITEABLE
        self._require_array(array, facts, self._header(8), 0, flags)
        first = self._load(_I64, array, cpython.DATA)
        last = self.b.add(first, self._load(_I64, facts, 8))

        owned = self._at(self._argument_kinds(), self.n_arguments, 8)

        def apart_from_argument(j: Value) -> None:
            self._require_apart(first, last, j, self._load(_I64, self._at(owned, j, 8)))

        def apart_from_result(j: Value) -> None:
            size = self._load(_I64, self._facts_of_result(j), 8)
            self._require_apart(first, last, self.b.add(self.n_taken, j), size)

        self._each(self.n_taken, apart_from_argument)
        self._each(k, apart_from_result)

    def _require_apart(self, first: Value, last: Value, j: Value, size: Value) -> None:
        other = self._load(_I64, self._at(self.buffers, j, 8))
        before = self.b.icmp_unsigned("<=", last, other)
        after = self.b.icmp_unsigned("<=", self.b.add(other, size), first)
        self._require(self.b.or_(before, after))

    def _alarm(self, k: Value) -> None:
        self._store(self._alarm_place(k), self.b.ptrtoint(self._number_place(), _I64))

    def _alarm_place(self, k: Value) -> Value:
        after = self.b.add(self.n_taken, self.n_results)
        return self._at(self.buffers, self.b.add(after, k), 8)

    def _require_silence(self, k: Value) -> None:
        where = self.b.inttoptr(self._load(_I64, self._alarm_place(k)), _PTR)
        self._require(self.b.fcmp_ordered("==", self._double(where), _DOUBLE(0.0)))

    # ---- the kernel ------------------------------------------------------------------------

    def _run(self) -> None:
        """Call it with everything on this stack: once the GIL is gone, the record may change."""
        block = self.b.load(self.block, typ=_PTR)
        self._store(self._alarm_place(self.n_alarms), self.b.ptrtoint(block, _I64))
        self._store(self._alarm_place(self.b.add(self.n_alarms, _I64(1))), self._header(17))
        source = self._facts_of_result(self.n_results)
        self._copy(self.meta, source, self._header(7))
        self._copy(self.codes, self._at(source, self._header(7), 8), self.n_codes)
        kind = ir.FunctionType(ir.VoidType(), [self.buffers.type, self.meta.type])
        kernel = self.b.inttoptr(self._header(3), kind.as_pointer())
        is_brief = self.b.icmp_signed("!=", self._header(13), _I64(0))
        with self.b.if_else(is_brief) as (brief, long):
            with brief:  # another thread would not have begun
                self.b.call(kernel, [self.buffers, self.meta])
            with long:
                state = self._call("PyEval_SaveThread", _PTR)
                self.b.call(kernel, [self.buffers, self.meta])
                self._call("PyEval_RestoreThread", ir.VoidType(), state)

    def _answer(self) -> None:
        """Floats for single numbers; the results, built into tuples as the codes say.

        Where all of them are the caller's, what was passed as out= has that structure already.
        What is built takes no more places than the results it is made of, and so lies where they lay.
        """
        with self.b.if_then(self.b.icmp_signed("!=", self.b.load(self.all_lent, typ=_I64), _I64(0))):
            self._call("Py_IncRef", ir.VoidType(), self.out)
            self._free()
            self.b.ret(self.out)
        self._each(self.n_results, self._finish)
        top, taken = self._local(_I64), self._local(_I64)
        self._store(top, _I64(0))
        self._store(taken, _I64(0))

        def build(c: Value) -> None:
            code = self._load(_I64, self._at(self.codes, c, 8))
            first, made = self.b.load(top, typ=_I64), self._local(_PTR)
            with self.b.if_else(self.b.icmp_signed("<", code, _I64(0))) as (result, several):
                with result:
                    k = self.b.load(taken, typ=_I64)
                    self._store(taken, self.b.add(k, _I64(1)))
                    self._store(made, self._load(_PTR, self._at(self.arrays, k, 8)))
                with several:
                    new = self._call("PyTuple_New", _PTR, code)
                    with self.b.if_then(self._equals(new, _NULL), likely=False):
                        self._free()  # no memory: what was made is lost
                        self.b.ret(_NULL)
                    self._store(top, self.b.sub(first, code))
                    parts = self._at(self.arrays, self.b.load(top, typ=_I64), 8)
                    self._copy(self._at(new, _I64(cpython.TUPLE_ITEMS), 1), parts, code)
                    self._store(made, new)
            place = self.b.load(top, typ=_I64)
            self._store(self._at(self.arrays, place, 8), self.b.load(made, typ=_PTR))
            self._store(top, self.b.add(place, _I64(1)))

        self._each(self.n_codes, build)
        self._free()
        self.b.ret(self._load(_PTR, self.arrays))

    def _finish(self, k: Value) -> None:
        x = self._load(_PTR, self._at(self.arrays, k, 8))
        with self.b.if_then(self._equals(x, _NULL)):
            self._store(self._at(self.arrays, k, 8), self._float(k))
        with self.b.if_then(self._is_lent(k)):
            self._call("Py_IncRef", ir.VoidType(), x)
            self._store(self._at(self.lent, k, 8), _I64(0))

    def _is_lent(self, k: Value) -> Value:
        return self.b.icmp_signed("!=", self._load(_I64, self._at(self.lent, k, 8)), _I64(0))

    def _float(self, k: Value) -> Value:
        where = self._load(_PTR, self._at(self.buffers, self.b.add(self.n_taken, k), 8))
        x = self._call("PyFloat_FromDouble", _PTR, self._double(where))
        with self.b.if_then(self._equals(x, _NULL), likely=False):
            self._fail()
        return x

    def _double(self, where: Value) -> Value:
        """The real at an address, as a double."""
        value = self._local(_DOUBLE)
        is_double = self.b.icmp_signed("==", self.width, _I64(8))
        with self.b.if_else(is_double) as (double, single):
            with double:
                self._store(value, self._load(_DOUBLE, where))
            with single:
                self._store(value, self.b.fpext(self._load(_FLOAT, where), _DOUBLE))
        return self.b.load(value, typ=_DOUBLE)

    # ---- leaving ---------------------------------------------------------------------------

    def _hand_over(self) -> None:
        """Everything else: undo what was begun, and call the method `_call`."""
        self.b.position_at_end(self.slow)
        self._drop_arrays()
        self._free()
        method = self._call("PyObject_GetAttr", _PTR, self.me, self._object("word_call"))
        with self.b.if_then(self._equals(method, _NULL), likely=False):
            self.b.ret(_NULL)
        result = self._call("PyObject_Vectorcall", _PTR, method, self.args, self.count, self.keywords)
        self._call("Py_DecRef", ir.VoidType(), method)
        self.b.ret(result)

    def _fail(self) -> None:
        """Return with the error that Python has set."""
        self._drop_arrays()
        self._free()
        self.b.ret(_NULL)

    def _drop_arrays(self) -> None:
        """Let go of the arrays that are counted."""

        def drop(k: Value) -> None:
            x = self._load(_PTR, self._at(self.arrays, k, 8))
            with self.b.if_then(self.b.and_(self._differs(x, _NULL), self.b.not_(self._is_lent(k)))):
                self._call("Py_DecRef", ir.VoidType(), x)

        self._each(self.b.load(self.made, typ=_I64), drop)

    def _free(self) -> None:
        """The block is kept if it is the largest, and freed if not."""
        memory = self.b.load(self.heap, typ=_PTR)
        with self.b.if_then(self._differs(memory, _NULL), likely=False):
            spare, size = self._spare(), self.b.load(self.bytes, typ=_I64)
            larger = self.b.icmp_unsigned(">", size, self._load(_I64, spare, 8))
            fits = self.b.icmp_unsigned("<=", size, _I64(SPARE_BYTES))
            with self.b.if_then(self.b.and_(larger, fits)):
                self._store(self.heap, self._load(_PTR, spare))
                self._store(spare, memory)
                self._store(self._at(spare, _I64(1), 8), size)
            self._call("PyMem_RawFree", ir.VoidType(), self.b.load(self.heap, typ=_PTR))

    def _spare(self) -> Value:
        return self._symbol("spare")

    # ---- small parts -----------------------------------------------------------------------

    def _local(self, kind: ir.Type) -> Value:
        """A variable on the stack, made once on entry."""
        with self.b.goto_entry_block():
            made = self.b.alloca(kind)
            made.align = 64
            made.type = _PTR  # forget the type of what it holds
            return made

    def _header(self, k: int) -> Value:
        return self._load(_I64, self.record, 8 * k)

    def _at(self, pointer: Value, index: Value, width: int) -> Value:
        return self.b.gep(pointer, [self.b.mul(index, _I64(width))], source_etype=_BYTE)

    def _load(self, kind: ir.Type, pointer: Value, offset: int = 0) -> Value:
        place = self.b.gep(pointer, [_I64(offset)], source_etype=_BYTE) if offset else pointer
        return self.b.load(place, typ=kind)

    def _store(self, pointer: Value, value: Value) -> None:
        self.b.store(value, pointer)

    def _copy(self, to: Value, source: Value, words: Value) -> None:
        self._each(words, lambda k: self._store(self._at(to, k, 8), self._load(_I64, self._at(source, k, 8))))

    def _object(self, name: str) -> Value:
        return self._symbol(f"object_{name}")

    def _symbol(self, name: str) -> Value:
        """The address of something outside."""
        if name not in self.module.globals:
            ir.GlobalVariable(self.module, _BYTE, name)
        return self.module.globals[name].ptrtoint(_I64).inttoptr(_PTR)

    def _equals(self, a: Value, b: Value) -> Value:
        return self.b.icmp_unsigned("==", self.b.ptrtoint(a, _I64), self.b.ptrtoint(b, _I64))

    def _differs(self, a: Value, b: Value) -> Value:
        return self.b.not_(self._equals(a, b))

    def _require(self, condition: Value) -> None:
        """Go on where the condition holds, leave for the slow path where it does not."""
        on = self.b.append_basic_block()
        self.b.cbranch(condition, on, self.slow)
        self.b.position_at_end(on)

    def _each(self, count: Value, body: Callable[[Value], None]) -> None:
        """body(k) for k in 0 .. count-1."""
        counter = self._local(_I64)
        self._store(counter, _I64(0))
        head, inside, after = (self.b.append_basic_block() for _ in range(3))
        self.b.branch(head)
        self.b.position_at_end(head)
        k = self.b.load(counter, typ=_I64)
        self.b.cbranch(self.b.icmp_signed("<", k, count), inside, after)
        self.b.position_at_end(inside)
        body(k)
        self._store(counter, self.b.add(k, _I64(1)))
        self.b.branch(head)
        self.b.position_at_end(after)

    def _call(self, name: str, result: ir.Type, *arguments: Value) -> Value:
        if name not in self.module.globals:
            ir.Function(self.module, ir.FunctionType(result, [a.type for a in arguments]), name)
        return self.b.call(self.module.globals[name], arguments)
