"""Statements of the loop language as C99 statements."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from symgrad.errors import IllegalProgram
from symgrad.ir.ops import OPS
from symgrad.loops import contract
from symgrad.loops.independent import is_parallel, only_gathers, writes_apart
from symgrad.loops.nest import (
    Accumulate,
    Bool,
    Buffer,
    Cell,
    Compute,
    Const,
    Contract,
    Element,
    For,
    FromInt,
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
)
from symgrad.loops.walk import operands, variables
from symgrad.records import dataclass
from symgrad.targets.base import literal_value, row_major
from symgrad.targets.c_expression import ATOM, LOW, UNARY, Expression, apply, real_literal
from symgrad.targets.call_lanes import lanes_for
from symgrad.targets.liveness import liveness
from symgrad.targets.special_c import own_function_of
from symgrad.targets.text import comment_text, comparison, element, polynomial, wrapped
from symgrad.targets.vector_math import function_of

# Compilers recurse over nested expressions, and readers over long lines.
_LONGEST, _DEEPEST = 88, 12

_UPDATES = {"sum": "+=", "prod": "*=", "any": "|="}
_BITWISE = {
    "and": "&",
    "or": "|",
}  # of truth values: || is a branch, which keeps a loop from being vectorised
_SIMPLE = (Const, Bool, Compute, FromInt, Test, Load, LoadInt, Store, StoreReduce)  # vectors do them, too
_BEATS = {"max": ">", "min": "<"}


@dataclass(slots=True)
class Names:
    """How names are spelled in one function, and which it used."""

    spelled: dict[str, str]
    value_prefix: str
    cell_prefix: str


class Body:
    """Prints the body of one function. `lines` is the text, `names_used` the variables in it."""

    def __init__(self, buffers: Sequence[Buffer], names: Names, dtype: str, helper: str) -> None:
        self.buffers = {b.name: b for b in buffers}
        self.names = names
        self.dtype = dtype
        self.real = "double" if dtype == "float64" else "float"
        self.helper = helper  # prefix of the helper functions
        self.own_used: set[str] = set()
        self.vectors_used: set[tuple[str, int]] = set()  # vector functions, and of how many lanes
        self.special_used: set[str] = set()
        self.lines: list[str] = []
        self.names_used: set[str] = set()
        self.helpers_used: set[str] = set()
        self._values: dict[Value, Expression] = {}
        self._pending: dict[Value, str] = {}  # inlined later; its C type
        self._bools: set[Value] = set()
        self._cells: set[Value] = set()
        self._counts = {"value": 0, "cell": 0}
        self._indent = 1
        self._side_by_side = False  # in a loop over lanes
        self._print: dict[type, Callable[..., None]] = {
            Const: self._const, Bool: self._bool, Compute: self._compute, FromInt: self._from_int,
            ToInt: self._to_int, Vector: self._vector, Element: self._element,
            Test: self._test, Load: self._load, LoadInt: self._load_int, Store: self._store,
            StoreReduce: self._store_reduce, Cell: self._cell, SetCell: self._set_cell,
            Accumulate: self._accumulate, Part: self._part, Leave: self._leave, Library: self._library,
            Least: self._least, Contract: self._contract, Tile: self._tile, Transpose: self._transpose,
        }  # fmt: skip

    def print(self, body: Sequence[Statement], part_call: Callable[[Part], str]) -> None:
        """Append the statements; `part_call` gives the line that calls a part."""
        self.part_call = part_call
        self.live = liveness(body)
        stack: list[Iterator[Statement]] = [iter(body)]
        while stack:
            statement = next(stack[-1], None)
            if statement is None:
                stack.pop()
                if stack:
                    self._indent -= 1
                    self._line("}")
            elif isinstance(statement, For | If):
                self._flush()
                if isinstance(statement, For):
                    self._open_for(statement)
                else:
                    self._open_if(statement)
                self._indent += 1
                stack.append(iter(statement.body))
            elif self.live.keeps(statement):
                self._print[type(statement)](statement)

    # ---- text ------------------------------------------------------------------------------

    def _line(self, text: str) -> None:
        self.lines.append("    " * self._indent + text)

    def _use(self, polys: Sequence[Poly]) -> None:
        self.names_used.update(variables(polys))

    def _poly(self, p: Poly) -> str:
        self._use((p,))
        return polynomial(p, self.names.spelled)

    def _place(self, name: str, index: tuple[Poly, ...]) -> str:
        """An element of a buffer, as C writes it."""
        place, printed = element(row_major(self.buffers[name], index), self.names.spelled)
        self.names_used.add(name)
        self._use(printed)
        return f"{self.names.spelled[name]}[{place}]"

    # ---- values ----------------------------------------------------------------------------

    def _get(self, value: Value) -> Expression:
        self._pending.pop(value, None)
        return self._values[value]

    def _define(self, dst: Value, e: Expression, kind: str) -> None:
        """Keep an expression for its only reader, or give it a name."""
        if dst in self.live.inline and len(e.text) <= _LONGEST and e.depth <= _DEEPEST:
            self._values[dst] = e
            self._pending[dst] = kind
            return
        self._name(dst, e, kind)

    def _name(self, dst: Value, e: Expression, kind: str) -> None:
        self._counts["value"] += 1
        name = f"{self.names.value_prefix}{self._counts['value']}"
        self._line(f"const {kind} {name} = {e.text};")
        self._values[dst] = Expression(name)

    def _flush(self) -> None:
        """Name every waiting expression whose value the next statement could change."""
        for value in [v for v in self._pending if self._values[v].volatile]:
            self._name(value, self._values[value], self._pending.pop(value))

    def _atom(self, value: Value) -> str:
        """The value as a name that may be written several times."""
        e = self._get(value)
        if not re.fullmatch(rf"({self.names.value_prefix}|{self.names.cell_prefix})\d+", e.text):
            self._name(value, e, self.real)
        return self._values[value].text

    def _const(self, s: Const) -> None:
        self._values[s.dst] = real_literal(literal_value(s.payload, self.dtype), self.dtype)

    def _bool(self, s: Bool) -> None:
        self._bools.add(s.dst)
        self._values[s.dst] = Expression("1" if s.value else "0")

    def _compute(self, s: Compute) -> None:
        args = [self._get(a) for a in s.args]
        if function_of(s.op):
            self.own_used.add(s.op)
            call = f"{self.helper}_{s.op}({', '.join(a.text for a in args)})"
            depth, volatile = max(a.depth for a in args), any(a.volatile for a in args)
            self._define(s.dst, Expression(call, ATOM, 1 + depth, volatile), self.real)
            return
        is_bool = OPS[s.op].result == "bool"
        if is_bool:
            self._bools.add(s.dst)
        if self._side_by_side and s.op in _BITWISE:
            a, b = (x.operand(ATOM) for x in args)
            depth, volatile = 1 + max(x.depth for x in args), any(x.volatile for x in args)
            self._define(s.dst, Expression(f"{a} {_BITWISE[s.op]} {b}", LOW, depth, volatile), "int")
            return
        if own_function_of(s.op):
            self.special_used.add(own_function_of(s.op))
        e = apply(s.op, args, self.dtype, self.helper)
        self._define(s.dst, e, "int" if is_bool else self.real)

    def _vector(self, s: Vector) -> None:
        """A call of a function of arrays; lanes beyond the arguments repeat the last one."""
        lanes = lanes_for(len(s.args))
        self.vectors_used.add((s.op, lanes))
        self.helpers_used.add("noinline")
        filled = [*s.args, *[s.args[-1]] * (lanes - len(s.args))]
        arrays = []
        for column in zip(*filled, strict=True):
            texts = ", ".join(self._atom(value) for value in column)
            arrays.append(self._array(lanes, f" = {{{texts}}}"))
        arrays.append(self._array(lanes, ""))
        self._line(f"{self.helper}_{s.op}_x{lanes}({', '.join(arrays)});")
        self._values[s.dst] = Expression(arrays[-1])

    def _array(self, lanes: int, start: str) -> str:
        """A new array, and how it is called."""
        self._counts["value"] += 1
        name = f"{self.names.value_prefix}{self._counts['value']}"
        for line in wrapped(f"{self.real} {name}[{lanes}]{start};"):
            self._line(line)
        return name

    def _element(self, s: Element) -> None:
        self._define(s.dst, Expression(f"{self._values[s.src].text}[{s.place}]", ATOM, 1), self.real)

    def _from_int(self, s: FromInt) -> None:
        text = self._poly(s.index)
        text = text if text.isidentifier() else f"({text})"
        self._define(s.dst, Expression(f"({self.real}){text}", UNARY, 1), self.real)

    def _to_int(self, s: ToInt) -> None:
        self._line(f"const int64_t {self.names.spelled[s.var]} = (int64_t){self._atom(s.src)};")

    def _test(self, s: Test) -> None:
        self._bools.add(s.dst)
        self._use((s.index,))
        text = comparison(s.index, ">=" if s.op == "ige" else "==", self.names.spelled)
        self._define(s.dst, Expression(text, LOW, 1), "int")

    def _load(self, s: Load) -> None:
        place = self._place(s.buffer, s.index)
        self._define(
            s.dst, Expression(place, depth=1, volatile=self.buffers[s.buffer].role != "input"), self.real
        )

    def _load_int(self, s: LoadInt) -> None:
        self._line(f"const int64_t {self.names.spelled[s.var]} = {self._place(s.buffer, s.index)};")

    def _library(self, s: Library) -> None:
        raise IllegalProgram(f"C code cannot call {s.function}", because="it depends on nothing but libm")

    # ---- contractions ----------------------------------------------------------------------

    def _least(self, s: Least) -> None:
        self._line(f"const int64_t {self.names.spelled[s.var]} = {self._bound(s.of, 'min')};")

    def _contract(self, s: Contract) -> None:
        self._flush()
        self.helpers_used.add("contract")
        arrays = [self._address(x) for x in (s.a.start, s.b.start, s.c.start, s.scratch)]
        self._call("contract", [*arrays, *map(self._poly, contract.integers(s))])

    def _tile(self, s: Tile) -> None:
        a, b, c = (self._address(x.start) for x in (s.a, s.b, s.c))
        strides = [self._poly(p) for p in (*s.a.strides, s.b.strides[0], s.c.strides[0])]
        sizes = [self._poly(p) for p in (s.rows, s.columns, s.depth)]
        flags = [f"{self._poly(s.keep)} != 0", f"(int){self._poly(s.sign)}"]
        self._call("tile", [a, *strides[:2], b, strides[2], c, strides[3], *sizes, *flags])

    def _transpose(self, s: Transpose) -> None:
        self._flush()
        self.helpers_used.add("transpose")
        source, to = (self._address(x.start) for x in (s.source, s.to))
        sizes = [self._poly(p) for p in (s.rows, s.columns)]
        strides = [self._poly(x.strides[0]) for x in (s.source, s.to)]
        self._call("transpose", [source, strides[0], to, strides[1], *sizes])

    def _address(self, start: Start) -> str:
        return "&" + self._place(start.buffer, start.index)

    def _call(self, function: str, arguments: Sequence[str]) -> None:
        for line in wrapped(f"{self.helper}_{function}({', '.join(arguments)});"):
            self._line(line)

    # ---- effects ---------------------------------------------------------------------------

    def _store(self, s: Store) -> None:
        text = self._get(s.src).text
        self._flush()
        self._line(f"{self._place(s.buffer, s.index)} = {text};")

    def _store_reduce(self, s: StoreReduce) -> None:
        place = self._place(s.buffer, s.index)
        if s.kind in _UPDATES:
            text = self._get(s.src).text
            self._flush()
            self._line(f"{place} {_UPDATES[s.kind]} {text};")
            return
        v = self._atom(s.src)
        self._flush()
        self._line(f"if ({v} {_BEATS[s.kind]} {place} || {v} != {v}) {{")
        self._line(f"    {place} = {v};")
        self._line("}")

    def _cell(self, s: Cell) -> None:
        self._counts["cell"] += 1
        name = f"{self.names.cell_prefix}{self._counts['cell']}"
        kind = "int" if s.init in self._bools else self.real
        self._line(f"{kind} {name} = {self._get(s.init).text};")
        self._cells.add(s.dst)
        self._values[s.dst] = Expression(name, volatile=True)

    def _set_cell(self, s: SetCell) -> None:
        text = self._get(s.src).text
        self._flush()
        self._line(f"{self._values[s.cell].text} = {text};")

    def _accumulate(self, s: Accumulate) -> None:
        cell = self._values[s.cell].text
        if s.kind in _UPDATES:
            text = self._get(s.src).text
            self._flush()
            self._line(f"{cell} {_UPDATES[s.kind]} {text};")
            return
        v = self._atom(s.src)
        self._flush()
        # A nan beats everything and is never beaten.
        self._line(f"{cell} = ({v} {_BEATS[s.kind]} {cell} || {v} != {v}) ? {v} : {cell};")

    def _part(self, s: Part) -> None:
        self._line(self.part_call(s))

    def _leave(self, s: Leave) -> None:
        self._line("break;")

    # ---- blocks ----------------------------------------------------------------------------

    def _open_if(self, s: If) -> None:
        self._line(f"if ({self._get(s.condition).text}) {{")

    def _open_for(self, s: For) -> None:
        if s.comment:
            self._line(f"/* {comment_text(s.comment)} */")
        var = self.names.spelled[s.var]
        lower = self._bound(s.lower, "max")
        upper = self._bound(s.upper, "min")
        sums, anys = ([self._values[c].text for c in cells if c in self.live.uses] for cells in simd_cells(s))
        if sums and len(anys) <= 1 and not s.short:
            self.helpers_used |= {"sum", "any"} if anys else {"sum"}
            self._line(f"{self.helper}_{'ANY' if anys else 'SUM'}({', '.join([*anys, *sums])})")
        elif s.lanes:
            self.helpers_used.add("lanes")
            self._side_by_side = True
            self._line(f"{self.helper}_SIDE_BY_SIDE")
        elif only_gathers(s):
            self.helpers_used.add("gather")
            self._line(f"{self.helper}_ONE_BY_ONE")
        elif is_parallel(s) and not s.short:
            self.helpers_used.add("parallel")
            self._line(f"{self.helper}_INDEPENDENT")
        step = f"{var}++" if s.step == 1 else f"{var} += {s.step}"
        self._line(f"for (int64_t {var} = {lower}; {var} < {upper}; {step}) {{")

    def _bound(self, polys: tuple[Poly, ...], pick: str) -> str:
        text = self._poly(polys[0])
        for p in polys[1:]:
            self.helpers_used.add(pick)
            text = f"{self.helper}_{pick}({text}, {self._poly(p)})"
        return text


def simd_cells(loop: For) -> tuple[tuple[Value, ...], tuple[Value, ...]]:
    """The sums, and the collected truth values, of an innermost loop whose turns may run in any order.

    Both are empty for other loops.
    """
    cells: dict[str, dict[Value, None]] = {"sum": {}, "any": {}}
    used: set[Value] = set()
    for s in loop.body:
        if isinstance(s, Accumulate) and s.kind in cells:
            cells[s.kind][s.cell] = None
        elif not isinstance(s, _SIMPLE):
            return (), ()
        used.update(operands(s))
    if used & (cells["sum"].keys() | cells["any"].keys()) or not writes_apart(loop):
        return (), ()
    return tuple(cells["sum"]), tuple(cells["any"])
