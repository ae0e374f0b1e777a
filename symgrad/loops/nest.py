"""The loop language: what every compiled target prints, and nothing a target has to decide.

A `Routine` is a list of statements over numbered scalar values (each assigned once, in the scope
of the loop or condition that computes it), integer variables (sizes, loop variables, gathered
indices) and row-major buffers. Integers are polynomials in integer variables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any

from symgrad.records import dataclass

Value = int
Monomial = tuple[str, ...]
Poly = tuple[tuple[Monomial, int], ...]  # ((variables, coefficient), ...) sorted; () is zero
Address = Callable[[tuple[Poly, ...]], tuple[str, tuple[Poly, ...]]]  # of an element: (buffer, index) there


@dataclass(frozen=True, slots=True)
class Buffer:
    """Row-major memory. role: "input" (read only), "output", "work" (a slice of the workspace), or "table".

    A table is constant, and part of the code: `data` are whole numbers, or payloads as in `Const`.

    Extents that come out negative count as zero. A rank-0 buffer holds one element.
    dtype "real" is the routine's floating type, "int" is int64. `symbol` is what the user calls it
    (hostile text: only for comments, escaped).
    """

    name: str
    role: str
    extents: tuple[Poly, ...]
    dtype: str = "real"
    symbol: str = ""
    data: tuple[Any, ...] = ()


@dataclass(slots=True)
class Const:
    """dst = a constant; `payload` as in `ir.graph` (("q", n, d), ("s", name), ("f", text))."""

    dst: Value
    payload: tuple[Any, ...]


@dataclass(slots=True)
class Bool:
    """dst = true or false."""

    dst: Value
    value: bool


@dataclass(slots=True)
class Compute:
    """dst = op(args); op is a row of `ir.ops` that has a spelling (no expansion)."""

    dst: Value
    op: str
    args: tuple[Value, ...]


@dataclass(slots=True)
class Run:
    """Many statements that a graph holds (`loops.lines`); none is left where anything else looks.

    ops, args  of the graph, by node.
    nodes   whose values are first, first + 1, ...
    values  of nodes, those of other runs too.
    leaves  what stands for nodes that are not computed: constants, elements of inputs.
    """

    ops: Sequence[str]
    args: Sequence[tuple[int, ...]]
    nodes: Sequence[int]
    first: Value
    values: Mapping[int, Value]
    leaves: Mapping[int, Statement]


@dataclass(slots=True)
class Vector:
    """dst = a vector of one op of several arguments; only targets make it (`targets/call_lanes.py`)."""

    dst: Value
    op: str
    args: tuple[tuple[Value, ...], ...]


@dataclass(slots=True)
class Element:
    """dst = the element at `place` of the vector `src`."""

    dst: Value
    src: Value
    place: int


@dataclass(slots=True)
class FromInt:
    """dst = (real) index."""

    dst: Value
    index: Poly


@dataclass(slots=True)
class ToInt:
    """A new integer variable `var` = the whole number that the real value `src` holds."""

    var: str
    src: Value


@dataclass(slots=True)
class Test:
    """dst = index >= 0 ("ige") or index == 0 ("ieq")."""

    dst: Value
    op: str
    index: Poly


@dataclass(slots=True)
class Load:
    """dst = buffer[index]."""

    dst: Value
    buffer: str
    index: tuple[Poly, ...]


@dataclass(slots=True)
class LoadInt:
    """A new integer variable `var` = buffer[index] (an "int" buffer).

    raw  the buffer is of reals, but a library wrote 32-bit integers to it, which `index` counts.
    """

    var: str
    buffer: str
    index: tuple[Poly, ...]
    raw: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """The address of an element: an array handed to a library."""

    buffer: str
    index: tuple[Poly, ...]


@dataclass(slots=True)
class Library:
    """Call a Fortran function of LAPACK or BLAS, whose arguments are all addresses, or one of our own.

    module     "lapack" or "blas", and `function` without the letter of the real type; or "own", a function of
               `loops.small_matrices`, which takes arrays and then integers.
    arguments  one letter, an integer, an address, or a value (a number of the routine's type).
    info       a register that takes the last argument, an integer result; None where there is none.
    Only a target that runs in this process can do this (the LLVM target, through SciPy).
    """

    module: str
    function: str
    arguments: tuple[str | Poly | Start | Value, ...]
    info: Value | None = None


@dataclass(slots=True)
class Least:
    """A new integer variable `var` = the least of some integers."""

    var: str
    of: tuple[Poly, ...]


@dataclass(frozen=True, slots=True)
class Strided:
    """Numbers in memory by two indices: `start[i*strides[0] + j*strides[1]]`, strides in elements."""

    start: Start
    strides: tuple[Poly, Poly]


@dataclass(slots=True)
class Contract:
    """c[i, j] (+)= sign * (sum over p < depth of a[i, p]*b[p, j]), for i < rows and j < columns.

    keep     added to what c holds where it is not 0.
    sign     1 or -1, or another integer factor.
    lower    not 0: c is symmetric; the entries with j <= i are computed, and copied to the others.
    scratch  memory of `contract.SCRATCH` elements at least.
    A target calls the function that `loops.contract` writes.
    """

    rows: Poly
    columns: Poly
    depth: Poly
    a: Strided
    b: Strided
    c: Strided
    keep: Poly
    sign: Poly
    lower: Poly
    scratch: Start


@dataclass(slots=True)
class Tile:
    """The innermost block of `Contract`, in vector registers: rows and columns of b and c lie side by side.

    rows, columns  at least 1; at most what the target's tile has. Without masks, rows of b and c have space
                   for as many columns as make whole vectors.
    """

    rows: Poly
    columns: Poly
    depth: Poly
    a: Strided
    b: Strided
    c: Strided
    keep: Poly
    sign: Poly


@dataclass(slots=True)
class Transpose:
    """to[p, j] = source[j, p] for p < rows and j < columns, through vector registers.

    Rows of both are contiguous. rows and columns are at least 1; `to` has space for as many of both as make
    whole vectors, and holds any numbers there afterwards. Made by `loops.contract` and `loops.columns`.
    """

    rows: Poly
    columns: Poly
    source: Strided
    to: Strided


@dataclass(slots=True)
class Store:
    """buffer[index] = src."""

    buffer: str
    index: tuple[Poly, ...]
    src: Value


@dataclass(slots=True)
class StoreReduce:
    """buffer[index] = buffer[index] (kind) src; kind in sum, prod, max, min."""

    kind: str
    buffer: str
    index: tuple[Poly, ...]
    src: Value


@dataclass(slots=True)
class Cell:
    """A mutable register `dst`, initially the value `init`. Reading `dst` as a value reads its content."""

    dst: Value
    init: Value


@dataclass(slots=True)
class SetCell:
    """cell = src."""

    cell: Value
    src: Value


@dataclass(slots=True)
class Accumulate:
    """cell = cell (kind) src; the order of a loop's accumulations into one cell is free.

    kind in sum, prod, max, min; max and min keep a nan once they have met one. Kind "any" (or) is for
    cells of truth values; only targets make it (`targets/near.py`).
    """

    kind: str
    cell: Value
    src: Value


@dataclass(slots=True)
class For:
    """for var in [max(lower), min(upper)) by `step`; values computed inside are local to one turn.

    lanes  its turns are samples computed side by side (`loops/lanes.py`).
    short  its turns are few: vectors, and writing turns out, would not pay.
    """

    var: str
    lower: tuple[Poly, ...]
    upper: tuple[Poly, ...]
    body: list[Statement] = field(default_factory=list)
    comment: str = ""
    step: int = 1
    lanes: bool = False
    short: bool = False


@dataclass(slots=True)
class If:
    """body, where the boolean value `condition` holds."""

    condition: Value
    body: list[Statement] = field(default_factory=list)


@dataclass(slots=True)
class Leave:
    """Leave the innermost loop around."""


@dataclass(slots=True)
class Part:
    """Statements compiled as a function of their own; no value crosses its border, only memory.

    integers  variables that it takes besides the sizes.
    name      of a part that stands at several places, and is made once.
    """

    body: Sequence[Statement] = field(default_factory=list)
    comment: str = ""
    integers: tuple[str, ...] = ()
    name: str = ""


@dataclass(frozen=True, eq=False)
class Function:
    """Loops with names of their own, compiled once and called where loops like these stand (`Call`).

    buffers   the arrays it works on, in call order; of role "input" if it only reads them. Extents are
              polynomials in `integers`; the first, which places nothing, is left out (zero).
    integers  its integer parameters.
    values    its scalar parameters: (value, whether it is a truth value).
    cells     registers of the caller that it changes, likewise.
    Two functions are the same if they are one object.
    """

    buffers: tuple[Buffer, ...]
    integers: tuple[str, ...]
    values: tuple[tuple[Value, bool], ...]
    cells: tuple[tuple[Value, bool], ...]
    body: list[Statement]


@dataclass(slots=True)
class Call:
    """Call a function: what is handed over, in the order of its parameters. Made by the LLVM target only."""

    function: Function
    buffers: tuple[str, ...]
    integers: tuple[str, ...]
    values: tuple[Value, ...]
    cells: tuple[Value, ...]


Statement = (
    Const | Bool | Compute | Run | Vector | Element | FromInt | ToInt | Test | Load | LoadInt | Store
    | StoreReduce | Cell | SetCell | Accumulate | For | If | Part | Leave | Call | Library | Least
    | Contract | Tile | Transpose
)  # fmt: skip


@dataclass(frozen=True)
class Failure:
    """A matrix function without a value: its name, and what is wrong in the user's words."""

    function: str
    text: str


@dataclass(frozen=True)
class TimeTiles:
    """How a loop over time is cut (`loops.sweeps`), by sizes that the caller chooses.

    names    of the sizes: blocks, tiles in a block, steps in a tile.
    length   of the loop; the product of the sizes has to be at least length + surplus.
    """

    names: tuple[str, ...]
    length: Poly
    surplus: int


@dataclass
class Routine:
    """One compiled function.

    sizes     names of the integer parameters, in call order (mangled, safe in any target).
    size_symbols  what the user calls them.
    buffers   inputs in call order, then outputs, then work buffers.
    title     one line for the header comment (escaped by the target).
    failures  what can go wrong: if there is any, the last output is the status, 0 or the number (from 1)
              of the first of these that happened.
    tiles     the loops over time that are cut into tiles.
    derived   integers that follow from the sizes, which extents of buffers may use.
    contracts whether targets may round a product and a sum once instead of twice, where they see both.
    straight  of one whose loops were found in straight-line code (`loops.reroll`): the routine before that,
              whose numbers it keeps to the bit.
    repeats   whether loops have still to be looked for in it (`loops.reroll`): when it is compiled well.
    apart     of one whose single numbers are one array (`loops.packed`): its inputs before that.
    """

    name: str
    sizes: tuple[str, ...]
    size_symbols: tuple[str, ...]
    buffers: tuple[Buffer, ...]
    body: Sequence[Statement]
    title: str = ""
    notes: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    tiles: tuple[TimeTiles, ...] = ()
    derived: tuple[Least, ...] = ()
    contracts: bool = True
    straight: Routine | None = None
    repeats: bool = False
    apart: tuple[Buffer, ...] = ()

    def buffers_of(self, role: str) -> tuple[Buffer, ...]:
        return tuple(b for b in self.buffers if b.role == role)


def poly(value: int) -> Poly:
    return (((), value),) if value else ()


def variable(name: str) -> Poly:
    return (((name,), 1),)


def poly_from(terms: Mapping[Monomial, int]) -> Poly:
    return tuple(sorted((m, k) for m, k in terms.items() if k))


def poly_add(a: Poly, b: Poly, scale: int = 1) -> Poly:
    terms = dict(a)
    for m, k in b:
        terms[m] = terms.get(m, 0) + scale * k
    return poly_from(terms)


def poly_mul(a: Poly, b: Poly) -> Poly:
    terms: dict[Monomial, int] = {}
    for ma, ka in a:
        for mb, kb in b:
            m = tuple(sorted(ma + mb))
            terms[m] = terms.get(m, 0) + ka * kb
    return poly_from(terms)


def poly_at(p: Poly, var: str, value: Poly) -> Poly:
    """A polynomial with a variable replaced."""
    total: Poly = ()
    for names, k in p:
        term = poly_from({tuple(n for n in names if n != var): k})
        for _ in range(names.count(var)):
            term = poly_mul(term, value)
        total = poly_add(total, term)
    return total


def evaluate_poly(p: Poly, values: Mapping[str, int]) -> int:
    total = 0
    for names, k in p:
        for name in names:
            k *= values[name]
        total += k
    return total


def with_derived(routine: Routine, sizes: Mapping[str, int]) -> dict[str, int]:
    """The sizes and the integers that follow from them, by name."""
    return {**sizes, **{s.var: min(evaluate_poly(p, sizes) for p in s.of) for s in routine.derived}}


def element_count(buffer: Buffer, sizes: Mapping[str, int]) -> int:
    """How many elements the buffer holds for the given sizes."""
    count = 1
    for extent in buffer.extents:
        count *= max(evaluate_poly(extent, sizes), 0)
    return count
