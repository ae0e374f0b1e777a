"""Loops as functions of their own, equal ones once, so that compilers take time linear in their number.

LLVM's passes over one function take time that grows faster than the number of loops in it, and a long chain
of layers is the same few loops over other arrays. So each nest of a larger routine becomes a function of the
arrays, integers and values it uses, with names of its own; nests that are equal but for names are one
function, called with other arguments.

A call costs a few nanoseconds, and a nest has no effect but on memory and on registers (cells) around it:
those are handed over by address, and kept in a register inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from symgrad.loops.nest import (
    Accumulate,
    Bool,
    Buffer,
    Call,
    Cell,
    Compute,
    Const,
    Contract,
    For,
    FromInt,
    Function,
    If,
    Least,
    Library,
    Load,
    LoadInt,
    Part,
    Poly,
    Routine,
    SetCell,
    Statement,
    Store,
    StoreReduce,
    Test,
    Tile,
    ToInt,
    Transpose,
    Value,
    poly_from,
)
from symgrad.loops.walk import defined, is_bool, operands, polynomials, variables, walk

LEAST = 100  # statements; a routine no longer than this stays one function
_MOST_TOGETHER = 200  # statements; of a longer nest the loops inside become functions, if it has any


def outlined(routine: Routine, least: int = LEAST) -> Routine:
    """The routine with its nests as calls of functions; itself if it is short or has one loop only."""
    statements = [s for _, s in walk(routine.body)]
    if len(statements) <= least or sum(isinstance(s, For) for s in statements) < 2:
        return routine
    return replace(routine, body=_Outlining(routine, statements).run())


class _Outlining:
    """State of one pass over a routine."""

    def __init__(self, routine: Routine, statements: Sequence[Statement]) -> None:
        self.routine = routine
        self.buffers = {b.name: b for b in routine.buffers}
        self.constants: dict[Value, Const | Bool] = {}  # computed again rather than handed over
        self.bools: set[Value] = set()
        self.cells: set[Value] = set()
        for s in statements:
            if isinstance(s, Const | Bool):
                self.constants[s.dst] = s
            if isinstance(s, Cell):
                self.cells.add(s.dst)
            if is_bool(s, self.bools):
                self.bools.add(s.dst)  # type: ignore[union-attr]  # what is true or false is a value
        self.known: dict[str, Function] = {}

    def run(self) -> list[Statement]:
        result: list[Statement] = []
        stack: list[tuple[Iterator[Statement], list[Statement]]] = [(iter(self.routine.body), result)]
        while stack:
            rest, out = stack[-1]
            s = next(rest, None)
            if s is None:
                stack.pop()
            elif isinstance(s, For) and _is_unit(s):
                out.append(self._call(s))
            elif isinstance(s, For | If):
                copy = replace(s, body=[])
                out.append(copy)
                stack.append((iter(s.body), copy.body))
            else:
                out.append(s)
        return result

    def _call(self, loop: For) -> Call:
        names = _Names(self, loop)
        body = [*names.constants(), *names.copied()]
        buffers, integers, values, cells = names.parameters()
        key = repr((body, buffers, integers, values, cells))
        function = self.known.get(key)
        if function is None:
            function = self.known[key] = Function(buffers, integers, values, cells, body)
        return Call(
            function, tuple(names.buffers), tuple(names.integers), tuple(names.values), tuple(names.cells)
        )


def _is_unit(loop: For) -> bool:
    """Whether a nest becomes one function."""
    count, loops = 0, 0
    for _, s in walk((loop,)):
        count += 1
        loops += isinstance(s, For)
        # Addresses, or functions already.
        if isinstance(s, Library | Contract | Tile | Transpose | Least | Part):
            return False
    return count <= _MOST_TOGETHER or loops == 1


class _Names:
    """What a nest calls its things when it is a function: numbered in the order it first names them.

    buffers, integers, values, cells   what is handed over: name outside -> name inside, in call order.
    """

    def __init__(self, outside: _Outlining, loop: For) -> None:
        self.outside, self.loop = outside, loop
        self.buffers: dict[str, str] = {}
        self.integers: dict[str, str] = {}
        self.values: dict[Value, Value] = {}
        self.cells: dict[Value, Value] = {}
        self.again: dict[Value, Value] = {}  # constants of the routine
        self.own: dict[Value, Value] = {}
        self.variables: dict[str, str] = {}  # loop variables and gathered indices
        self.written: set[str] = set()
        self.count = 0
        for _, s in walk((loop,)):
            self._meet(s)

    def _number(self) -> Value:
        self.count += 1
        return self.count - 1

    # ---- what there is ---------------------------------------------------------------------

    def _meet(self, s: Statement) -> None:
        for p in polynomials(s):
            self._meet_integers((p,))
        if isinstance(s, Load | LoadInt | Store | StoreReduce):
            self._meet_buffer(s.buffer)
            if isinstance(s, Store | StoreReduce):
                self.written.add(s.buffer)
        for value in (*operands(s), *((s.cell,) if isinstance(s, SetCell | Accumulate) else ())):
            self._meet_value(value)
        if isinstance(s, For):
            self.variables.setdefault(s.var, f"i{len(self.variables)}")  # loops side by side may share a name
        name = defined(s)
        if isinstance(name, str):
            self.variables.setdefault(name, f"i{len(self.variables)}")
        elif name is not None:
            self.own[name] = self._number()

    def _meet_buffer(self, name: str) -> None:
        if name not in self.buffers:
            self.buffers[name] = f"a{len(self.buffers)}"
            self._meet_integers(self.outside.buffers[name].extents[1:])  # the first one places nothing

    def _meet_integers(self, polys: Sequence[Poly]) -> None:
        for name in variables(polys):
            if name not in self.variables and name not in self.integers:
                self.integers[name] = f"n{len(self.integers)}"

    def _meet_value(self, value: Value) -> None:
        if any(value in known for known in (self.own, self.values, self.cells, self.again)):
            return
        if value in self.outside.constants:
            self.again[value] = self._number()
        else:
            (self.cells if value in self.outside.cells else self.values)[value] = self._number()

    # ---- the function ----------------------------------------------------------------------

    def parameters(self) -> tuple[Any, ...]:
        """The fields of a `Function` before its body."""
        buffers = []
        for name, own in self.buffers.items():
            b = self.outside.buffers[name]
            extents = ((), *map(self._poly, b.extents[1:])) if b.extents else ()
            buffers.append(Buffer(own, "output" if name in self.written else "input", extents, b.dtype))
        bools = self.outside.bools
        values = tuple((own, value in bools) for value, own in self.values.items())
        cells = tuple((own, value in bools) for value, own in self.cells.items())
        return tuple(buffers), tuple(self.integers.values()), values, cells

    def constants(self) -> list[Statement]:
        return [replace(self.outside.constants[v], dst=own) for v, own in self.again.items()]

    def copied(self) -> list[Statement]:
        """The nest in its own names, without recursion."""
        result: list[Statement] = []
        stack: list[tuple[Iterator[Statement], list[Statement]]] = [(iter((self.loop,)), result)]
        while stack:
            rest, out = stack[-1]
            s = next(rest, None)
            if s is None:
                stack.pop()
                continue
            copy = self._renamed(s)
            out.append(copy)
            if isinstance(s, For | If) and isinstance(copy, For | If):
                stack.append((iter(s.body), copy.body))
        return result

    def _renamed(self, s: Statement) -> Statement:
        fields: dict[str, Any] = {}
        if isinstance(s, Const | Bool | Compute | FromInt | Test | Load | Cell):
            fields["dst"] = self.own[s.dst]
        if isinstance(s, Compute):
            fields["args"] = tuple(map(self._value, s.args))
        elif isinstance(s, Cell):
            fields["init"] = self._value(s.init)
        elif isinstance(s, If):
            fields |= {"condition": self._value(s.condition), "body": []}
        elif isinstance(s, For):
            lower, upper = tuple(map(self._poly, s.lower)), tuple(map(self._poly, s.upper))
            fields |= {"var": self.variables[s.var], "lower": lower, "upper": upper, "body": []}
        if isinstance(s, Store | StoreReduce | SetCell | Accumulate | ToInt):
            fields["src"] = self._value(s.src)
        if isinstance(s, SetCell | Accumulate):
            fields["cell"] = self._value(s.cell)
        if isinstance(s, LoadInt | ToInt):
            fields["var"] = self.variables[s.var]
        if isinstance(s, Load | LoadInt | Store | StoreReduce):
            fields |= {"buffer": self.buffers[s.buffer], "index": tuple(map(self._poly, s.index))}
        if isinstance(s, FromInt | Test):
            fields["index"] = self._poly(s.index)
        return replace(s, **fields)

    def _value(self, value: Value) -> Value:
        for known in (self.own, self.values, self.again):
            if value in known:
                return known[value]
        return self.cells[value]

    def _poly(self, p: Poly) -> Poly:
        return poly_from({tuple(sorted(map(self._integer, names))): k for names, k in p})

    def _integer(self, name: str) -> str:
        return self.variables[name] if name in self.variables else self.integers[name]
