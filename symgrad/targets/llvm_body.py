"""Statements of the loop language as LLVM assembly text."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain

from symgrad.errors import IllegalProgram
from symgrad.ir.ops import OPS
from symgrad.loops import contract, small_matrices
from symgrad.loops.independent import is_parallel
from symgrad.loops.nest import (
    Accumulate,
    Bool,
    Buffer,
    Call,
    Cell,
    Compute,
    Const,
    Contract,
    Element,
    For,
    FromInt,
    Function,
    If,
    Least,
    Leave,
    Library,
    Load,
    LoadInt,
    Part,
    Poly,
    SetCell,
    Start,
    Statement,
    Store,
    StoreReduce,
    Test,
    Tile,
    ToInt,
    Transpose,
    Value,
    Vector,
    variable,
)
from symgrad.loops.walk import has_blocks
from symgrad.targets import contract_llvm, external_llvm
from symgrad.targets.base import literal_value, row_major
from symgrad.targets.call_lanes import lanes_for
from symgrad.targets.external import BLAS, LAPACK, symbol_of
from symgrad.targets.foresight import LOOKED_AT, Foresight
from symgrad.targets.lanes_llvm import lanes_function
from symgrad.targets.last_turns import Turns, has_rest, parts
from symgrad.targets.liveness import liveness
from symgrad.targets.llvm_extrema import Ordered, extremum_cells
from symgrad.targets.llvm_integers import Integer, Integers, extreme, least_of
from symgrad.targets.llvm_marks import LoopMarks
from symgrad.targets.text import comment_text
from symgrad.targets.vector_math import function_of
from symgrad.targets.vector_math_llvm import (
    function_name,
    lanes_suffix,
    lanes_type,
    numbers_type,
    splat,
    vector_name,
)

# Flags: multiply-add may fuse; only the order of a loop's sum is free. Never nnan, ninf, nsz, afn.
_FAST = {"fadd": "fadd contract", "fsub": "fsub contract", "fmul": "fmul contract"}
_UPDATES = {"sum": "fadd contract", "prod": "fmul contract"}
_ACCUMULATES = {"sum": "fadd reassoc contract", "prod": "fmul contract"}
_EXTREMA = {"max": "maximum", "min": "minimum"}


class Body:
    """Writes the blocks of one function.

    lines       the instructions after the entry block's stack slots.
    slots       the entry block's stack slots (mutable cells).
    functions   declarations needed, by name.
    lane, lanes the variable and the length of a loop over lanes around everything: every value is a vector.
    """

    def __init__(
        self,
        buffers: Sequence[Buffer],
        sizes: Sequence[str],
        dtype: str,
        scopes: Mapping[str, str],
        lane: str = "",
        lanes: int = 1,
    ) -> None:
        self.buffers = {b.name: b for b in buffers}
        self.scopes = scopes  # buffer -> alias metadata of its loads and stores
        self.own_used: set[str] = set()
        self.vectors_used: set[tuple[str, int]] = set()  # vector functions, and of how many lanes
        self.external_used: set[str] = set()
        self.each_used: dict[str, int] = {}  # functions called lane by lane, and how many arguments they have
        self.dtype = dtype
        self.lanes = lanes
        self.element, suffix = ("double", "f64") if dtype == "float64" else ("float", "f32")
        self.real, self.suffix = lanes_type(self.element, lanes), lanes_suffix(suffix, lanes)
        self.truth = lanes_type("i1", lanes)
        self.align = 8 if dtype == "float64" else 4
        self.lines: list[str] = []
        self.slots: list[str] = []
        self.functions: dict[str, str] = {}
        self.buffers_used: dict[str, None] = {}
        self._values: dict[Value, str] = {}
        self._bools: set[Value] = set()
        self._cells: dict[Value, str] = {}  # cell -> its type
        self.extrema: dict[Value, str] = {}  # cells that hold a number as an integer: "max" or "min"
        self.ordered = Ordered(self.element, self._new)
        self._vector_kinds: dict[Value, str] = {}
        self.handed_over: list[Value] = []  # cells of the caller
        self.contracts = True  # whether LLVM may fuse products and sums outside loops
        self.marks: LoopMarks | None = None
        self.convention = ""  # how functions of several numbers at once are called
        self.rest_lanes = 0  # of a vector, where loops with functions get a loop for their last turns
        self.foresight = Foresight(dtype)
        self._access = ""  # metadata of loads and stores in such a loop
        self.integers = Integers(self.lines, sizes, "%v")
        if lane:
            self.integers.names[lane] = 0  # the first one: a vector begins there
        self._block = "entry"
        self._loops: list[int] = []  # the numbers of the loops around
        self._computed: dict[
            str, str
        ] = {}  # ops met before that are one instruction, with places for operands
        self._write: dict[type, Callable[..., None]] = {
            Const: self._const, Bool: self._bool, Compute: self._compute, FromInt: self._from_int,
            Vector: self._vector, Element: self._element,
            ToInt: self._to_int,
            Test: self._test, Load: self._load, LoadInt: self._load_int, Store: self._store,
            StoreReduce: self._store_reduce, Cell: self._cell, SetCell: self._set_cell,
            Accumulate: self._accumulate, Part: self._part, Leave: self._leave, Library: self._library,
            Least: self.least, Contract: self._contract, Tile: self._tile, Transpose: self._transpose,
            Call: self._call_nest,
        }  # fmt: skip

    def write(
        self,
        body: Sequence[Statement],
        part_call: Callable[[Part], tuple[str, str]],
        name_of: Callable[[Function], str],
    ) -> None:
        """Append the statements.

        part_call  gives the function of a part, and the arguments all have.
        name_of    gives the name of a function of loops.
        """
        self.part_call, self.name_of = part_call, name_of
        live = liveness(body, self.handed_over)
        self.extrema = extremum_cells(body) if has_blocks(body) and self.lanes == 1 else {}
        stack: list[tuple[Iterator[Statement | Turns], Callable[[], None]]] = [(iter(body), lambda: None)]
        while stack:
            rest, close = stack[-1]
            statement: Statement | Turns | None = None
            for statement in rest:
                write = self._write.get(type(statement))
                if write is None or isinstance(statement, Turns):  # it has others inside
                    break
                if live.keeps(statement):
                    write(statement)
            else:
                close()
                stack.pop()
                continue
            if isinstance(statement, Turns):
                stack.append((iter(statement.loop.body), self._open_for(statement.loop, statement)))
            elif isinstance(statement, For) and self.rest_lanes and has_rest(statement):
                stack[-1] = chain(self._parts(statement), rest), close
            elif isinstance(statement, For):
                stack.append((iter(statement.body), self._open_for(statement)))
            elif isinstance(statement, If):
                stack.append((iter(statement.body), self._open_if(statement)))
            else:
                raise IllegalProgram(f"LLVM has no text for {type(statement).__name__}")

    # ---- names and integers ----------------------------------------------------------------

    def _new(self, text: str) -> str:
        """A new name for the result of an instruction."""
        return self.integers.new(text)

    def _fresh(self) -> int:
        self.integers.number += 1
        return self.integers.number

    def _pointer(self, name: str, index: tuple[Poly, ...]) -> str:
        buffer = self.buffers[name]
        place: Integer = self.integers.polynomial(index[0]) if len(index) == 1 else 0
        for extent, at in row_major(buffer, index) if len(index) > 1 else ():
            scaled = self.integers.product(place, self.integers.polynomial(extent)) if place != 0 else 0
            place = self.integers.sum(scaled, self.integers.polynomial(at))
        self.buffers_used[name] = None
        kind = "i64" if buffer.dtype == "int" else self.element
        return self._new(f"getelementptr inbounds {kind}, ptr %b_{name}, i64 {place}")

    # ---- values ----------------------------------------------------------------------------

    def _get(self, value: Value) -> str:
        kind = self._cells.get(value)
        if kind is None:
            return self._values[value]
        held = self._new(f"load {kind}, ptr {self._values[value]}")
        return self.ordered.value(held) if value in self.extrema else held

    def _const(self, s: Const) -> None:
        self._forecast(s)
        literal = real_literal(literal_value(s.payload, self.dtype))
        self._values[s.dst] = splat(self.element, literal, self.lanes)

    def _bool(self, s: Bool) -> None:
        self._forecast(s)
        self._bools.add(s.dst)
        self._values[s.dst] = splat("i1", "true" if s.value else "false", self.lanes)

    def _recipe(self, op: str) -> tuple[str, str, str]:
        """The instruction as text with places for the operands, and a declaration it needs."""
        row, real, truth = OPS[op], self.real, self.truth
        word, _, name = row.llvm.partition(" ")
        if word == "call" and self.lanes > 1:
            return self._each_lane(name, row.arity), "", ""
        if word in ("intrinsic", "call"):
            name = f"{name}.{self.suffix}" if word == "intrinsic" else name + self._letter
            kinds = ", ".join([real] * row.arity)
            operands = ", ".join(f"{real} {{{i}}}" for i in range(row.arity))
            attributes = "" if word == "intrinsic" else " #1"
            return f"call {real} @{name}({operands})", name, f"declare {real} @{name}({kinds}){attributes}"
        if word == "select":
            other = "{2}" if row.arity == 3 else "zeroinitializer" if self.lanes > 1 else "0.0"
            return f"select {truth} {{0}}, {real} {{1}}, {real} {other}", "", ""
        if word in ("and", "or"):
            return f"{word} {truth} {{0}}, {{1}}", "", ""
        if word == "not":
            return f"xor {truth} {{0}}, {splat('i1', 'true', self.lanes)}", "", ""
        if word == "sitofp":  # a truth value as 0 or 1; integers come through FromInt
            return f"uitofp {truth} {{0}} to {real}", "", ""
        text = row.llvm if word == "fcmp" else _FAST.get(word, word)
        return f"{text} {real} {{0}}" + (", {1}" if row.arity == 2 else ""), "", ""

    @property
    def _letter(self) -> str:
        """The end of the names of C's functions for this type."""
        return "f" if self.dtype == "float32" else ""

    def _each_lane(self, name: str, arity: int) -> str:
        """A call of a function that takes one lane at a time."""
        operands = ", ".join(f"{self.real} {{{k}}}" for k in range(arity))
        return f"call {self.real} @{lanes_function(name + self._letter)}({operands})"

    def _compute(self, s: Compute) -> None:
        forecast = self._forecast(s) if s.op in LOOKED_AT else ""
        known = self._computed.get(s.op)
        if known is not None:
            values = self._values
            names = map(self._get, s.args) if self._cells else [values[a] for a in s.args]
            values[s.dst] = self.integers.new(known.format(*names) + forecast)
            return
        if function_of(s.op):
            self.own_used.add(s.op)
            operands = ", ".join(f"{self.real} {self._get(a)}" for a in s.args)
            self._values[s.dst] = self._new(f"call {self.real} @{function_name(s.op)}({operands})")
            return
        if external_llvm.is_external_op(s.op):
            self.external_used.add(s.op)
            call = external_llvm.call(s.op, self.real, [self._get(a) for a in s.args])
            if self.lanes > 1:
                name = external_llvm.function_name(s.op)
                self.each_used[name] = len(s.args)
                call = call.replace(f"@{name}(", f"@{lanes_function(name)}(")
            self._values[s.dst] = self._new(call)
            return
        if s.op not in OPS or not OPS[s.op].llvm:
            raise IllegalProgram(f"the op {s.op} has no spelling in LLVM; it should have been expanded")
        text, name, declaration = self._recipe(s.op)
        if name:
            self.functions[name] = declaration
        elif self.lanes > 1 and OPS[s.op].llvm.startswith("call "):
            self.each_used[OPS[s.op].llvm.removeprefix("call ") + self._letter] = OPS[s.op].arity
        if not self.contracts:
            text = text.replace(" contract", "")
        self._values[s.dst] = self._new(text.format(*map(self._get, s.args)) + forecast)
        if OPS[s.op].result == "bool":
            self._bools.add(s.dst)
        else:
            self._computed[s.op] = text

    def _forecast(self, s: Const | Bool | Test | Compute) -> str:
        """Metadata for a selection whose outcome is foreseen."""
        if self.lanes > 1 or self.marks is None:
            return ""
        first = self.foresight.see(s)
        return "" if first is None else self.marks.forecast(first)

    def _vector(self, s: Vector) -> None:
        """A call of a vector function; lanes beyond the arguments repeat the last one."""
        lanes = lanes_for(len(s.args))
        self.vectors_used.add((s.op, lanes))
        filled = [*s.args, *[s.args[-1]] * (lanes - len(s.args))]
        operands = ", ".join(
            f"{self.element} {self._get(x)}" for column in zip(*filled, strict=True) for x in column
        )
        kind = self._vector_kinds[s.dst] = numbers_type(self.element, lanes)
        call = f"call {self.convention}{kind} @{vector_name(s.op, lanes)}({operands})"
        self._values[s.dst] = self._new(call)

    def _element(self, s: Element) -> None:
        numbers = f"{self._vector_kinds[s.src]} {self._values[s.src]}"
        self._values[s.dst] = self._new(f"extractvalue {numbers}, {s.place}")

    def _from_int(self, s: FromInt) -> None:
        number = self._new(f"sitofp i64 {self.integers.polynomial(s.index)} to {self.element}")
        self._values[s.dst] = self._in_every_lane(number, self.element)

    def _to_int(self, s: ToInt) -> None:
        self.integers.names[s.var] = self._new(f"fptosi {self.real} {self._get(s.src)} to i64")

    def _test(self, s: Test) -> None:
        self._forecast(s)
        relation = "sge" if s.op == "ige" else "eq"
        self._bools.add(s.dst)
        holds = self._new(f"icmp {relation} i64 {self.integers.polynomial(s.index)}, 0")
        self._values[s.dst] = self._in_every_lane(holds, "i1")

    def _in_every_lane(self, value: str, kind: str) -> str:
        """A number or truth value that is the same in all lanes."""
        if self.lanes == 1:
            return value
        one = self._new(f"insertelement <{self.lanes} x {kind}> poison, {kind} {value}, i64 0")
        vector, places = f"<{self.lanes} x {kind}>", f"<{self.lanes} x i32> zeroinitializer"
        return self._new(f"shufflevector {vector} {one}, {vector} poison, {places}")

    def _load(self, s: Load) -> None:
        pointer = self._pointer(s.buffer, s.index)
        self._values[s.dst] = self._new(self._load_text(pointer, s.buffer))

    def _load_text(self, pointer: str, buffer: str) -> str:
        return (
            f"load {self.real}, ptr {pointer}, align {self.align}{self.scopes.get(buffer, '')}{self._access}"
        )

    def _load_int(self, s: LoadInt) -> None:
        if s.raw:
            start = self._pointer(s.buffer, ((),) * len(s.index))
            place = self.integers.polynomial(s.index[0])
            pointer = self._new(f"getelementptr inbounds i32, ptr {start}, i64 {place}")
            number = self._new(f"load i32, ptr {pointer}, align 4")
            self.integers.names[s.var] = self._new(f"sext i32 {number} to i64")
            return
        pointer = self._pointer(s.buffer, s.index)
        self.integers.names[s.var] = self._new(f"load i64, ptr {pointer}, align 8{self._access}")

    # ---- libraries -------------------------------------------------------------------------

    def _library(self, s: Library) -> None:
        """A Fortran function: every argument is the address of a slot, or of an array."""
        if s.module == small_matrices.MODULE:
            self._small(s)
            return
        slots = [self._argument(a) for a in s.arguments]
        if s.info is not None:
            slots.append(self._slot("i32", 0))
        letter = "d" if self.dtype == "float64" else "s"
        name = symbol_of({"lapack": LAPACK, "blas": BLAS}[s.module], letter + s.function)
        self.functions[name] = f"declare void @{name}({', '.join(['ptr'] * len(slots))})"
        self.lines.append(f"  call void @{name}({', '.join(f'ptr {slot}' for slot in slots)})")
        if s.info is not None:
            info = self._new(f"load i32, ptr {slots[-1]}")
            number = self._new(f"sitofp i32 {info} to {self.real}")
            self.lines.append(f"  store {self.real} {number}, ptr {self._values[s.info]}")

    def _small(self, s: Library) -> None:
        """One of our own functions: arrays, a number that it sets where it fails, lengths."""
        failed = self._slot(self.real, real_literal(0.0))
        arrays = [self._pointer(a.buffer, a.index) for a in s.arguments if isinstance(a, Start)]
        lengths = [self.integers.polynomial(a) for a in s.arguments if isinstance(a, tuple)]
        name = small_matrices.name_of(s.function, self.dtype)
        kinds = ["ptr"] * (len(arrays) + 1) + ["i64"] * len(lengths)
        self.functions[name] = f"declare void @{name}({', '.join(kinds)})"
        arguments = map(" ".join, zip(kinds, map(str, (*arrays, failed, *lengths)), strict=True))
        self.lines.append(f"  call void @{name}({', '.join(arguments)})")
        number = self._new(f"load {self.real}, ptr {failed}, align {self.align}")
        if s.info is not None:
            self.lines.append(f"  store {self.real} {number}, ptr {self._values[s.info]}")

    def _argument(self, a: str | Poly | Start | Value) -> str:
        if isinstance(a, Start):
            return self._pointer(a.buffer, a.index)
        if isinstance(a, str):
            return self._slot("i8", ord(a))
        if isinstance(a, int):
            return self._slot(self.real, self._get(a))
        size = self.integers.polynomial(a)
        return self._slot("i32", size if isinstance(size, int) else self._new(f"trunc i64 {size} to i32"))

    def _slot(self, kind: str, value: str | int) -> str:
        slot = f"%a{self._fresh()}"
        self.slots.append(f"  {slot} = alloca {kind}")
        self.lines.append(f"  store {kind} {value}, ptr {slot}")
        return slot

    # ---- contractions ----------------------------------------------------------------------

    def least(self, s: Least) -> None:
        """Define the integer."""
        self.integers.names[s.var] = str(least_of(s, self.integers, self.functions))

    def _contract(self, s: Contract) -> None:
        """The function is in a module of its own (`contract_llvm`)."""
        arrays = [self._pointer(x.buffer, x.index) for x in (s.a.start, s.b.start, s.c.start, s.scratch)]
        name = contract_llvm.name_of(self.dtype)
        self.functions[name] = contract_llvm.declaration(self.dtype)
        self._call(name, arrays, contract.integers(s))

    def _tile(self, s: Tile) -> None:
        arrays = [self._pointer(x.start.buffer, x.start.index) for x in (s.a, s.b, s.c)]
        strides = (*s.a.strides, s.b.strides[0], s.c.strides[0])
        self._call(contract_llvm.TILE, arrays, (*strides, s.rows, s.columns, s.depth, s.keep, s.sign))

    def _transpose(self, s: Transpose) -> None:
        arrays = [self._pointer(x.start.buffer, x.start.index) for x in (s.source, s.to)]
        self._call(contract_llvm.TRANSPOSE, arrays, (s.source.strides[0], s.to.strides[0], s.rows, s.columns))

    def _call(self, name: str, arrays: Sequence[str], numbers: Sequence[Poly]) -> None:
        arguments = [f"ptr {a}" for a in arrays]
        arguments += [f"i64 {self.integers.polynomial(p)}" for p in numbers]
        self.lines.append(f"  call void @{name}({', '.join(arguments)})")

    # ---- effects ---------------------------------------------------------------------------

    def _store_text(self, value: str, pointer: str, buffer: str) -> None:
        tail = self.scopes.get(buffer, "") + self._access
        self.lines.append(f"  store {self.real} {value}, ptr {pointer}, align {self.align}{tail}")

    def _store(self, s: Store) -> None:
        value = self._get(s.src)
        self._store_text(value, self._pointer(s.buffer, s.index), s.buffer)

    def _store_reduce(self, s: StoreReduce) -> None:
        value = self._get(s.src)
        pointer = self._pointer(s.buffer, s.index)
        old = self._new(self._load_text(pointer, s.buffer))
        self._store_text(self._combine(s.kind, old, value, _UPDATES), pointer, s.buffer)

    def _combine(self, kind: str, old: str, value: str, table: Mapping[str, str]) -> str:
        if kind == "any":
            return self._new(f"or i1 {old}, {value}")
        if kind in table:
            return self._new(f"{table[kind]} {self.real} {old}, {value}")
        name = f"llvm.{_EXTREMA[kind]}.{self.suffix}"  # these two keep a nan
        self.functions[name] = f"declare {self.real} @{name}({self.real}, {self.real})"
        return self._new(f"call {self.real} @{name}({self.real} {old}, {self.real} {value})")

    def _cell(self, s: Cell) -> None:
        init = self._get(s.init)
        kind = "i1" if s.init in self._bools else self.real
        if s.dst in self.extrema:
            init, kind = self.ordered.key(init, self.extrema[s.dst]), self.ordered.integer
        slot = f"%c{self._fresh()}"
        self.slots.append(f"  {slot} = alloca {kind}")
        self._values[s.dst], self._cells[s.dst] = slot, kind
        self.lines.append(f"  store {kind} {init}, ptr {slot}")

    def _set_cell(self, s: SetCell) -> None:
        value = self._get(s.src)
        if s.cell in self.extrema:
            value = self.ordered.key(value, self.extrema[s.cell])
        self.lines.append(f"  store {self._cells[s.cell]} {value}, ptr {self._values[s.cell]}")

    def _accumulate(self, s: Accumulate) -> None:
        value = self._get(s.src)
        kind, place = self._cells[s.cell], self._values[s.cell]
        if s.cell in self.extrema:
            held, key = self._new(f"load {kind}, ptr {place}"), self.ordered.key(value, s.kind)
            new = self.ordered.better(s.kind, held, key, self.functions)
        else:
            new = self._combine(s.kind, self._get(s.cell), value, _ACCUMULATES)
        self.lines.append(f"  store {kind} {new}, ptr {place}")

    def _part(self, s: Part) -> None:
        name, arguments = self.part_call(s)
        integers = [f"i64 {self.integers.polynomial(variable(i))}" for i in s.integers]
        self.lines.append(f"  call void @{name}({', '.join(filter(None, [arguments, *integers]))})")

    def _leave(self, s: Leave) -> None:
        self.lines.append(f"  br label %done{self._loops[-1]}")
        self._begin(f"left{self._fresh()}")

    # ---- functions of loops ----------------------------------------------------------------

    def _call_nest(self, s: Call) -> None:
        self.buffers_used.update(dict.fromkeys(s.buffers))
        arguments = [f"ptr %b_{name}" for name in s.buffers]
        arguments += [f"i64 {self.integers.names[name]}" for name in s.integers]
        kinds = [self._kind(is_bool) for _, is_bool in s.function.values]
        arguments += [f"{kind} {self._get(v)}" for kind, v in zip(kinds, s.values, strict=True)]
        arguments += [f"ptr {self._values[cell]}" for cell in s.cells]
        self.lines.append(f"  call void @{self.name_of(s.function)}({', '.join(arguments)})")

    def _kind(self, is_bool: bool) -> str:
        return "i1" if is_bool else self.real

    def open_function(self, function: Function) -> str:
        """Its list of parameters. Cells of the caller are kept in slots of its own until `close_function`."""
        parameters = [f"ptr noalias{' readonly' * (b.role == 'input')} %b_{b.name}" for b in function.buffers]
        parameters += [f"i64 %s_{name}" for name in function.integers]
        for value, is_bool in function.values:
            self._values[value] = f"%x{value}"
            parameters.append(f"{self._kind(is_bool)} %x{value}")
            if is_bool:
                self._bools.add(value)
        for value, is_bool in function.cells:
            self.handed_over.append(value)
            kind = self._cells[value] = self._kind(is_bool)
            self._values[value] = f"%k{value}"
            parameters.append(f"ptr noalias %p{value}")
            self.slots.append(f"  %k{value} = alloca {kind}")
            self.lines.append(f"  %q{value} = load {kind}, ptr %p{value}")
            self.lines.append(f"  store {kind} %q{value}, ptr %k{value}")
        return ", ".join(parameters)

    def close_function(self, function: Function) -> None:
        """Hand the caller's cells back."""
        for value, _ in function.cells:
            kind = self._cells[value]
            self.lines.append(f"  %r{value} = load {kind}, ptr %k{value}")
            self.lines.append(f"  store {kind} %r{value}, ptr %p{value}")

    # ---- blocks ----------------------------------------------------------------------------

    def _begin(self, block: str) -> None:
        self.lines.append(f"{block}:")
        self._block = block

    def _open_if(self, s: If) -> Callable[[], None]:
        condition = self._get(s.condition)
        n = self._fresh()
        then, end = f"then{n}", f"end{n}"
        self.lines.append(f"  br i1 {condition}, label %{then}, label %{end}")
        self._begin(then)
        self.integers.open_block()

        def close() -> None:
            self.integers.close_block()
            self.lines.append(f"  br label %{end}")
            self._begin(end)

        return close

    def _open_for(self, s: For, part: Turns | None = None) -> Callable[[], None]:
        """A loop tested at its end, entered only if it has a turn to make; or one of its parts."""
        first = part.first if part else self._bound(s.lower, "smax")
        last = part.last if part else self._bound(s.upper, "smin")
        n, before = self._fresh(), self._block
        var = f"%i{n}"
        if s.comment:
            self.lines.append(f"  ; {comment_text(s.comment)}")
        is_any = (part and part.is_any) or f"slt i64 {first}, {last}"
        self.lines.append(f"  %any{n} = icmp {is_any}")
        self.lines.append(f"  br i1 %any{n}, label %loop{n}, label %done{n}")
        self._begin(f"loop{n}")
        place = len(self.lines)
        self.lines.append("")  # the phi, once the last block of the body is known
        self.integers.names[s.var] = var
        self.integers.open_block()
        self._loops.append(n)
        mark = ""
        if self.marks is not None:
            apart = is_parallel(s)
            self._access, mark = (
                self.marks.access * apart,
                self.marks.new_loop(apart, part.name if part else "", s),
            )

        def close() -> None:
            self._loops.pop()
            self._access = ""
            self.integers.close_block()
            self.lines[place] = f"  {var} = phi i64 [ {first}, %{before} ], [ %next{n}, %{self._block} ]"
            self.lines.append(f"  %next{n} = add nsw i64 {var}, {s.step}")
            self.lines.append(f"  %more{n} = icmp slt i64 %next{n}, {last}")
            self.lines.append(f"  br i1 %more{n}, label %loop{n}, label %done{n}{mark}")
            self._begin(f"done{n}")

        return close

    def _parts(self, s: For) -> list[Turns]:
        first, last = self._bound(s.lower, "smax"), self._bound(s.upper, "smin")
        return parts(s, first, last, self.rest_lanes, self.integers, self.functions)

    def _bound(self, polys: tuple[Poly, ...], pick: str) -> Integer:
        return extreme(polys, pick, self.integers, self.functions)


def real_literal(value: float) -> str:
    """A float or double constant; LLVM writes both by the bits of the double."""
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"
