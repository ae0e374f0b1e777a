"""Loop code written as if it were Python: for algorithms that are not definitions.

    with w.loop(0, n) as i, w.loop(0, i) as j:
        a[i, j] = a[i, j] - factor * b[j]

appends statements of the loop language. Nothing is computed; a `Number` stands for a value of the code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from symgrad.loops.nest import (
    Accumulate,
    Bool,
    Cell,
    Compute,
    Const,
    For,
    FromInt,
    If,
    Least,
    Library,
    Load,
    LoadInt,
    Poly,
    SetCell,
    Start,
    Statement,
    Store,
    Test,
    ToInt,
    Value,
    poly,
    poly_add,
    poly_mul,
    variable,
)
from symgrad.records import dataclass

Index = Poly | int


def as_poly(i: Index) -> Poly:
    return poly(i) if isinstance(i, int) else i


def plus(a: Index, b: Index) -> Poly:
    return poly_add(as_poly(a), as_poly(b))


def minus(a: Index, b: Index) -> Poly:
    return poly_add(as_poly(a), as_poly(b), -1)


def times(a: Index, b: Index) -> Poly:
    return poly_mul(as_poly(a), as_poly(b))


@dataclass(frozen=True)
class Number:
    """A value of the code being written; arithmetic on it writes statements."""

    w: Writer
    value: Value

    def __add__(self, other: Number | int) -> Number:
        return self.w.compute("add", self, other)

    def __sub__(self, other: Number | int) -> Number:
        return self.w.compute("sub", self, other)

    def __rsub__(self, other: int) -> Number:
        return self.w.compute("sub", self.w.number(other), self)

    def __mul__(self, other: Number | int) -> Number:
        return self.w.compute("mul", self, other)

    def __rmul__(self, other: int) -> Number:
        return self.w.compute("mul", self.w.number(other), self)

    def __truediv__(self, other: Number | int) -> Number:
        return self.w.compute("div", self, other)

    def __rtruediv__(self, other: int) -> Number:
        return self.w.compute("div", self.w.number(other), self)

    def __neg__(self) -> Number:
        return self.w.compute("neg", self)

    def __abs__(self) -> Number:
        return self.w.compute("abs", self)

    def __lt__(self, other: Number | int) -> Number:
        return self.w.compute("lt", self, other)

    def __gt__(self, other: Number | int) -> Number:
        return self.w.compute("lt", other, self)

    def __le__(self, other: Number | int) -> Number:
        return self.w.compute("le", self, other)

    def __invert__(self) -> Number:
        return self.w.compute("not", self)

    def __and__(self, other: Number) -> Number:
        return self.w.compute("and", self, other)

    def __or__(self, other: Number) -> Number:
        return self.w.compute("or", self, other)


@dataclass(frozen=True)
class View:
    """An array in memory: `buffer[prefix..., index...]`, rows shifted by `offset`; or its transpose."""

    w: Writer
    buffer: str
    prefix: tuple[Poly, ...] = ()
    offset: Poly = ()
    turned: bool = False

    def _place(self, index: Index | tuple[Index, ...]) -> tuple[Poly, ...]:
        parts: Any = index if isinstance(index, tuple) and not _is_poly(index) else (index,)
        places = [as_poly(i) for i in parts]
        if self.turned:
            places.reverse()
        places[0] = plus(places[0], self.offset)
        return (*self.prefix, *places)

    def __getitem__(self, index: Any) -> Number:
        return self.w.load(self.buffer, self._place(index))

    def __setitem__(self, index: Any, number: Number | int) -> None:
        self.w.append(Store(self.buffer, self._place(index), self.w.number(number).value))

    def get(self) -> Number:
        """The entry of an array of rank 0."""
        return self.w.load(self.buffer, self.prefix)

    def put(self, number: Number) -> None:
        """Set the entry of an array of rank 0."""
        self.w.append(Store(self.buffer, self.prefix, number.value))

    @property
    def transposed(self) -> View:
        return View(self.w, self.buffer, self.prefix, self.offset, not self.turned)

    def start(self) -> Start:
        """The address of the first element."""
        return Start(self.buffer, (*self.prefix, *self._first()))

    def _first(self) -> tuple[Poly, ...]:
        rank = self.w.rank_of(self.buffer) - len(self.prefix)
        return (self.offset, *[()] * (rank - 1)) if rank else ()

    def below(self, rows: Index) -> View:
        """The part that starts after so many rows."""
        return View(self.w, self.buffer, self.prefix, plus(self.offset, rows), self.turned)

    def row(self, i: Index) -> View:
        """One row, as a vector."""
        return View(self.w, self.buffer, (*self.prefix, plus(i, self.offset)))


def _is_poly(index: tuple[Any, ...]) -> bool:
    """Whether a tuple is one polynomial rather than several indices: its items are (names, coefficient)."""
    return all(isinstance(i, tuple) and len(i) == 2 and isinstance(i[1], int) for i in index) and all(
        isinstance(i[0], tuple) and all(isinstance(name, str) for name in i[0]) for i in index
    )


def _arguments(
    arguments: Sequence[str | Index | Start | Number],
) -> tuple[str | Poly | Start | Value, ...]:
    return tuple(
        a.value if isinstance(a, Number) else poly(a) if isinstance(a, int) else a for a in arguments
    )


class Register:
    """A mutable number or truth value."""

    def __init__(self, w: Writer, init: Number) -> None:
        self.w, self.cell = w, w.fresh()
        w.append(Cell(self.cell, init.value))

    @property
    def now(self) -> Number:
        """Its content where the number is used: what is set in between counts."""
        return Number(self.w, self.cell)

    def set(self, number: Number | int) -> None:
        self.w.append(SetCell(self.cell, self.w.number(number).value))

    def add(self, number: Number) -> None:
        """Add a term of a sum whose order is free."""
        self.w.append(Accumulate("sum", self.cell, number.value))

    def keep_larger(self, number: Number) -> None:
        """A nan is larger than anything."""
        self.w.append(Accumulate("max", self.cell, number.value))


class Writer:
    """Appends statements to the innermost open block.

    fresh      numbers values.
    loop_name  the variable of a loop that stands inside k others.
    integer    names integer variables.
    rank_of    how many indices a buffer has.
    """

    def __init__(
        self,
        fresh: Callable[[], Value],
        loop_name: Callable[[int], str],
        integer: Callable[[], str],
        depth: int,
        rank_of: Callable[[str], int],
    ) -> None:
        self.fresh, self.loop_name, self.integer, self.depth = fresh, loop_name, integer, depth
        self.rank_of = rank_of
        self.blocks: list[list[Statement]] = [[]]

    @property
    def statements(self) -> list[Statement]:
        return self.blocks[0]

    def append(self, statement: Statement) -> None:
        self.blocks[-1].append(statement)

    # ---- values ------------------------------------------------------------------------------

    def constant(self, *payload: Any) -> Number:
        dst = self.fresh()
        self.append(Const(dst, payload))
        return Number(self, dst)

    def number(self, x: Number | int) -> Number:
        return x if isinstance(x, Number) else self.constant("q", x, 1)

    @property
    def epsilon(self) -> Number:
        """The spacing of the routine's real type at 1."""
        return self.constant("s", "epsilon")

    @property
    def smallest(self) -> Number:
        """The smallest positive normal number of the routine's real type."""
        return self.constant("s", "smallest")

    def truth(self, value: bool) -> Number:
        dst = self.fresh()
        self.append(Bool(dst, value))
        return Number(self, dst)

    def compute(self, op: str, *args: Number | int) -> Number:
        values = tuple(self.number(a).value for a in args)
        dst = self.fresh()
        self.append(Compute(dst, op, values))
        return Number(self, dst)

    def root(self, x: Number) -> Number:
        return self.compute("sqrt", x)

    def choose(self, condition: Number, x: Number | int, y: Number | int) -> Number:
        return self.compute("where", condition, x, y)

    def load(self, buffer: str, index: tuple[Poly, ...]) -> Number:
        dst = self.fresh()
        self.append(Load(dst, buffer, index))
        return Number(self, dst)

    def raw_integer(self, array: View, i: Index) -> Poly:
        """One of the 32-bit integers that a library wrote to an array of reals."""
        name = self.integer()
        self.append(LoadInt(name, array.buffer, (as_poly(i),), raw=True))
        return variable(name)

    def at_least_zero(self, i: Index) -> Number:
        dst = self.fresh()
        self.append(Test(dst, "ige", as_poly(i)))
        return Number(self, dst)

    def equals_zero(self, i: Index) -> Number:
        dst = self.fresh()
        self.append(Test(dst, "ieq", as_poly(i)))
        return Number(self, dst)

    def real(self, i: Index) -> Number:
        dst = self.fresh()
        self.append(FromInt(dst, as_poly(i)))
        return Number(self, dst)

    def least(self, *of: Index) -> Poly:
        """The least of some integers, as an integer."""
        name = self.integer()
        self.append(Least(name, tuple(map(as_poly, of))))
        return variable(name)

    def whole(self, x: Number) -> Poly:
        """An index from a number that holds a whole one."""
        name = self.integer()
        self.append(ToInt(name, x.value))
        return variable(name)

    def register(self, init: Number | int) -> Register:
        return Register(self, self.number(init))

    # ---- libraries ---------------------------------------------------------------------------

    @property
    def one(self) -> Number:
        return self.number(1)

    def lapack(self, function: str, *arguments: str | Index | Start | Number) -> Number:
        """Call a LAPACK function; the number is its last argument, `info`: 0 if all went well."""
        info = self.register(0)
        self.append(Library("lapack", function, _arguments(arguments), info.cell))
        return info.now

    def blas(self, function: str, *arguments: str | Index | Start | Number) -> None:
        self.append(Library("blas", function, _arguments(arguments)))

    # ---- blocks ------------------------------------------------------------------------------

    @contextmanager
    def loop(self, low: Index, *high: Index, step: int = 1, after: Index | None = None) -> Iterator[Poly]:
        """for i in [max(low, after), min(high...)) by `step`."""
        var = self.loop_name(self.depth)
        self.depth += 1
        self.blocks.append([])
        yield variable(var)
        body = self.blocks.pop()
        self.depth -= 1
        lows = (low,) if after is None else (low, after)
        self.append(For(var, tuple(map(as_poly, lows)), tuple(map(as_poly, high)), body, step=step))

    @contextmanager
    def loops(self, extents: Sequence[Index]) -> Iterator[tuple[Poly, ...]]:
        """Loops over all indices of an array of these extents."""
        with ExitStack() as stack:
            yield tuple([stack.enter_context(self.loop(0, e)) for e in extents])

    @contextmanager
    def when(self, condition: Number) -> Iterator[None]:
        self.blocks.append([])
        yield
        body = self.blocks.pop()
        self.append(If(condition.value, body))
