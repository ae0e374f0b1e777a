"""The routine with its loops: statements left over as they were, a nest for every loop of the schedule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field, replace
from typing import Any

import numpy as np

from symgrad.loops.nest import (
    Buffer,
    Cell,
    Compute,
    Const,
    For,
    Load,
    LoadInt,
    Poly,
    Routine,
    SetCell,
    Statement,
    Store,
    StoreReduce,
    Value,
    poly,
    poly_add,
    poly_from,
    variable,
)
from symgrad.loops.reroll.code import CHAIN, CONST, Code, Ints, is_bool
from symgrad.loops.reroll.layout import Layout, Reads, is_affine, is_grid, rows_of
from symgrad.loops.reroll.schedule import Loop
from symgrad.records import dataclass


@dataclass
class Turns:
    """The loops around a turn: `counts` and `names` of their variables, outermost first.

    order  the turns as they are numbered in the code.
    """

    order: Ints
    counts: tuple[int, ...]
    names: tuple[str, ...]


@dataclass
class Nest:
    """A loop in the making.

    body    its statements.
    values  of roles in this turn, and of lists read in it.
    """

    turns: Turns
    body: list[Statement]
    values: dict[Any, Value] = field(default_factory=dict)


class Emission:
    """State of one emission; `tables` are the constant arrays made."""

    def __init__(self, routine: Routine, code: Code, layout: Layout) -> None:
        self.routine, self.code, self.layout = routine, code, layout
        self.groups, self.plan = layout.groups, layout.plan
        self.next_value = 1 + max((code.value(k) for k, s in enumerate(code.statements)
                                   if not isinstance(s, Store | StoreReduce)), default=0)  # fmt: skip
        self.tables: dict[tuple[Any, ...], Buffer] = {}
        self.taken = {*routine.sizes, *(b.name for b in routine.buffers)}
        self.names = {word: self._name(word) for word in ("turn", "row", "column", "term")}
        self.places = 0
        self.known: set[int] = set()  # what the statements outside of loops have computed or loaded
        self.top: list[Statement] = []

    def run(self) -> Routine:
        home = {k: self._name(f"rolled{n + 1}") for n, k in enumerate(sorted(set(self.layout.buffer_of)))}
        self.work = [home[k] for k in self.layout.buffer_of]
        for fill, constants in self.code.fills:
            for k in constants:
                self._have(k)
            self.top.append(fill)
        left_over = self._left_over()
        for v in self.layout.copies:
            if self.code.is_leaf[v]:
                self._have(v)
        for k, loop in enumerate(self.plan.loops):
            for s in left_over.pop(loop.level, ()):
                self._single(s)
            self._loop(k, loop)
        for level in sorted(left_over):
            for s in left_over[level]:
                self._single(s)
        lengths = {home[k]: self.layout.length[k] for k in home}
        work = tuple(Buffer(name, "work", (poly(n),)) for name, n in lengths.items() if n)
        tables = tuple(self.tables.values())
        return replace(self.routine, body=self.top, buffers=(*self.routine.buffers, *work, *tables))

    def _name(self, wanted: str) -> str:
        """A name of its own that begins like this."""
        number, name = 1, wanted
        while name in self.taken:
            number, name = number + 1, f"{wanted}_{number}"
        self.taken.add(name)
        return name

    def _left_over(self) -> dict[int, list[int]]:
        """Statements that are in no loop, by level; those of a level nothing loops at, at the next."""
        code = self.code
        rest = (self.groups.role < 0) & ~code.absorbed & ~code.is_leaf
        (numbers,) = np.nonzero(rest)
        levels = np.array(sorted({loop.level for loop in self.plan.loops}))
        at = np.searchsorted(levels, self.plan.level[numbers])
        found: dict[int, list[int]] = {}
        for s, k in zip(numbers.tolist(), at.tolist(), strict=True):
            found.setdefault(int(levels[k]) if k < len(levels) else int(levels[-1]) + 1, []).append(s)
        return found

    def _new(self) -> Value:
        self.next_value += 1
        return self.next_value - 1

    # ---- outside of loops ------------------------------------------------------------------

    def _single(self, s: int) -> None:
        """A statement that is in no loop."""
        if s in self.code.terms:
            self._written_out(s)
            return
        for a in self.code.arguments[s].tolist():
            if a >= 0:
                self._have(a)
        self.top.append(self.code.statements[s])
        self._made(s)

    def _written_out(self, s: int) -> None:
        """A long sum that is in no loop, term by term."""
        terms, signs = self.code.terms[s]
        for t in terms.tolist():
            self._have(t)
        total = self.code.value(int(terms[0]))
        for k in range(1, len(terms)):
            value = self.code.value(s) if k == len(terms) - 1 else self._new()
            op = "add" if signs[k] > 0 else "sub"
            self.top.append(Compute(value, op, (total, self.code.value(int(terms[k])))))
            total = value
        self._made(s)

    def _have(self, v: int) -> None:
        """Make sure that a value is there outside of loops."""
        if v in self.known or (self.groups.role[v] < 0 and not self.code.is_leaf[v]):
            return
        if self.code.is_leaf[v]:
            self.top.append(self.code.statements[v])
            self._made(v)
            return
        self.known.add(v)
        place = (poly(int(self.layout.slot[v])),)
        self._fetch(self.top, self.code.value(v), self.work[int(self.layout.loop_of[v])], place, v)

    def _made(self, v: int) -> None:
        self.known.add(v)
        for home, place in self.layout.copies.get(v, {}).items():
            self._keep(self.top, self.work_of(home), (poly(place),), self.code.value(v), v)

    def work_of(self, home: int) -> str:
        return self.work[self.layout.buffer_of.index(home)]

    def _keep(self, out: list[Statement], buffer: str, place: tuple[Poly, ...], value: Value, v: int) -> None:
        """Store a value, a truth value as 0 or 1."""
        if is_bool(self.code.statements[v]):
            one, number = self._new(), self._new()
            out += [Const(one, ("q", 1, 1)), Compute(number, "mask", (value, one))]
            value = number
        out.append(Store(buffer, place, value))

    def _fetch(
        self, out: list[Statement], value: Value, buffer: str, place: tuple[Poly, ...], v: int
    ) -> None:
        """Load what `_keep` has stored."""
        if not is_bool(self.code.statements[v]):
            out.append(Load(value, buffer, place))
            return
        number, zero = self._new(), self._new()
        out += [Load(number, buffer, place), Const(zero, ("q", 0, 1)), Compute(value, "ne", (number, zero))]

    # ---- loops -----------------------------------------------------------------------------

    def _loop(self, k: int, loop: Loop) -> None:
        for roles in self._apart(loop):
            self._nest(k, replace(loop, roles=roles))

    def _apart(self, loop: Loop) -> list[list[int]]:
        """Long sums in loops of their own: with a loop inside, a loop does not become vectors."""
        if loop.in_order:
            return [loop.roles]
        sums = [r for r in loop.roles if self.code.kinds[self.groups.roles[r].members[0]] == CHAIN]
        return [roles for roles in (sums, [r for r in loop.roles if r not in sums]) if roles]

    def _nest(self, k: int, loop: Loop) -> None:
        order = self.layout.turns[k]
        turns = self._turns(loop, order)
        nest = Nest(turns, [])
        for r in loop.roles:
            for read in self.layout.reads[r]:
                if read.kind == "same" and self.code.kinds[read.values[0]] != CONST:
                    self._have(int(read.values[0]))
        for r in loop.roles:
            self._role(nest, r, self.work[k])
        body = nest.body
        for name, count in reversed(list(zip(turns.names, turns.counts, strict=True))):
            body = [For(name, (poly(0),), (poly(count),), body)]
        if isinstance(body[0], For):
            body[0].comment = f"{len(loop.roles)} statements, {len(order)} times"
        self.top += body

    def _turns(self, loop: Loop, order: Ints) -> Turns:
        """One loop, or two around each other where lists of places repeat row by row."""
        if len(order) == 1:
            return Turns(order, (), ())
        lists = [found[order] for found in self.layout.index_lists(loop)]
        rows = [n for n in map(rows_of, lists) if n]
        best = max(set(rows), key=lambda n: sum(is_grid(found, n) for found in lists), default=0)
        if best:
            return Turns(order, (len(order) // best, best), (self.names["row"], self.names["column"]))
        return Turns(order, (len(order),), (self.names["turn"],))

    def _role(self, nest: Nest, r: int, work: str) -> None:
        members = self.groups.roles[r].members
        first = int(members[0])
        statement, value = self.code.statements[first], self._new()
        if self.code.kinds[first] == CHAIN:
            value = self._sum(nest, r)
        elif isinstance(statement, Compute):
            args = tuple([self._operand(nest, read) for read in self.layout.reads[r]])
            nest.body.append(Compute(value, statement.op, args))
        else:
            assert isinstance(statement, Store | StoreReduce)
            (read,) = self.layout.reads[r]
            source = self._operand(nest, read)
            index = tuple(self._index(nest, axis[nest.turns.order]) for axis in self.layout.axes(members))
            nest.body.append(replace(statement, index=index, src=source))
            return
        nest.values[r] = value
        if r in self.layout.stored:
            place = self._index(nest, self.layout.slot[members[nest.turns.order]])
            self._keep(nest.body, work, (place,), value, first)

    def _operand(self, nest: Nest, read: Reads) -> Value:
        if read.kind == "turn":
            return nest.values[read.role]
        if read.kind == "same" and self.code.kinds[read.values[0]] != CONST:
            return self.code.value(int(read.values[0]))
        key = read.values.tobytes()
        if key not in nest.values:
            nest.values[key] = self._load(nest, read, read.values[nest.turns.order])
        return nest.values[key]

    def _load(self, nest: Nest, read: Reads, values: Ints) -> Value:
        """The values of a list, one for each turn."""
        value, first = self._new(), int(values[0])
        if read.kind in ("constants", "same"):
            payloads = tuple([self._payload(v) for v in values.tolist()])
            if len(set(payloads)) == 1:
                nest.body.append(Const(value, payloads[0]))
            else:
                nest.body.append(Load(value, self._table(payloads, "real"), (_affine(nest.turns),)))
        elif read.kind == "input":
            index = tuple(self._index(nest, axis) for axis in self.layout.axes(values))
            nest.body.append(Load(value, self.code.buffers[int(self.code.kinds[first])], index))
        else:
            place = self._index(nest, self._places(values))
            self._fetch(nest.body, value, self._buffer(values), (place,), first)
        return value

    def _payload(self, v: int) -> tuple[Any, ...]:
        constant = self.code.statements[v]
        assert isinstance(constant, Const)
        return constant.payload

    def _places(self, values: Ints) -> Ints:
        places = self.layout.places(values)
        assert (places >= 0).all(), "everything that a loop reads has its place"
        return places

    def _buffer(self, values: Ints) -> str:
        return self.work_of(self.layout.buffer_for(values))

    # ---- places ----------------------------------------------------------------------------

    def _index(self, nest: Nest, places: Ints) -> Poly:
        """A place in each turn, from a table if it is not affine in the loop variables."""
        found = _polynomial(places, nest.turns)
        return self._looked_up(nest.body, places, _affine(nest.turns)) if found is None else found

    def _looked_up(self, out: list[Statement], places: Ints, at: Poly) -> Poly:
        self.places += 1
        name = self._name(f"at{self.places}")
        out.append(LoadInt(name, self._table(tuple(places.tolist()), "int"), (at,)))
        return variable(name)

    def _table(self, data: tuple[Any, ...], dtype: str) -> str:
        if (dtype, data) not in self.tables:
            name = self._name(f"table{len(self.tables) + 1}")
            self.tables[dtype, data] = Buffer(name, "table", (poly(len(data)),), dtype, data=data)
        return self.tables[dtype, data].name

    # ---- long sums -------------------------------------------------------------------------

    def _sum(self, nest: Nest, r: int) -> Value:
        """The terms of a long sum from left to right; reading the register gives its value."""
        members = self.groups.roles[r].members[nest.turns.order]
        terms = [self.code.terms[s] for s in members.tolist()]
        lengths = np.array([len(t) for t, _ in terms])
        starts = np.cumsum(lengths) - lengths
        values = np.concatenate([t for t, _ in terms])
        signs = np.concatenate([sign for _, sign in terms])
        (read,) = self.layout.reads[r]
        total, cell, name = self._new(), self._new(), self.names["term"]
        begin = self._index(nest, starts)
        first = self._term(nest.body, read, values, lambda p: self._index(nest, p[starts]), begin)
        nest.body.append(Cell(cell, first))
        at = poly_add(begin, variable(name))
        inner: list[Statement] = []

        def index(places: Ints) -> Poly:
            if (lengths == lengths[0]).all() and is_grid(places, int(lengths[0])):
                start = _polynomial(places[starts], nest.turns)
                if start is not None:
                    return poly_add(start, variable(name), int(places[1] - places[0]))
            return self._looked_up(inner, places, at)

        term = self._term(inner, read, values, index, at)
        if (signs < 0).any():
            sign, product = self._new(), self._new()
            payloads = tuple([("q", k, 1) for k in signs.tolist()])
            inner.append(Load(sign, self._table(payloads, "real"), (at,)))
            inner.append(Compute(product, "mul", (sign, term)))
            term = product
        inner += [Compute(total, "add", (cell, term)), SetCell(cell, total)]
        end = self._index(nest, lengths)
        nest.body.append(For(name, (poly(1),), (end,), inner))
        return cell

    def _term(
        self, out: list[Statement], read: Reads, values: Ints, index: Callable[[Ints], Poly], at: Poly
    ) -> Value:
        """A term of a long sum: `index` finds places, `at` is the number of the term."""
        value = self._new()
        if read.kind == "constants":
            payloads = tuple([self._payload(v) for v in values.tolist()])
            out.append(Load(value, self._table(payloads, "real"), (at,)))
        elif read.kind == "input":
            axes = tuple(index(axis) for axis in self.layout.axes(values))
            out.append(Load(value, self.code.buffers[int(self.code.kinds[values[0]])], axes))
        else:
            out.append(Load(value, self._buffer(values), (index(self._places(values)),)))
        return value


def _affine(turns: Turns) -> Poly:
    """The number of a turn, counted in the order of the loops."""
    if not turns.names:
        return poly(0)
    place = variable(turns.names[-1])
    return place if len(turns.names) == 1 else poly_add(place, variable(turns.names[0]), turns.counts[1])


def _polynomial(places: Ints, turns: Turns) -> Poly | None:
    """Places that are affine in the loop variables, as a polynomial; else None."""
    steps: list[int] = []
    if len(turns.names) == 1:
        if not is_affine(places):
            return None
        steps = [int(places[1] - places[0])]
    elif turns.names:
        length = turns.counts[1]
        if not is_grid(places, length):
            return None
        steps = [int(places[length] - places[0]), int(places[1] - places[0])]
    terms: dict[tuple[str, ...], int] = {(): int(places[0])}
    terms |= {(name,): step for name, step in zip(turns.names, steps, strict=True)}
    return poly_from(terms)
