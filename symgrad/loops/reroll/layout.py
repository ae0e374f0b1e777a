"""Where what passes between loops lies, and in which order a loop takes its turns.

Values that are read elsewhere than in their own turn are stored, turn after turn, in work buffers: one for
each loop, or one for several that someone reads as one list. Elements of several inputs, and values of
statements that are in no loop, are copied to where a list needs them. A loop whose turns may run in any order
takes them so that as many lists of places as can be are affine in the turn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from symgrad.loops.nest import Load, Store, StoreReduce
from symgrad.loops.reroll.code import CHAIN, CONST, Code, Ints
from symgrad.loops.reroll.groups import Groups
from symgrad.loops.reroll.schedule import Loop, Schedule
from symgrad.records import dataclass

_MARGIN = 4  # places kept free around an array, for what its first or last turns read instead
_MOST_ORDERS = 6  # tried for one loop


@dataclass(frozen=True)
class Reads:
    """What one operand is in all turns (of a long sum: all its terms, sum after sum).

    kind      "turn": role `role` in the same turn; "same": one value; "constants"; "input": elements of one
              array; "memory": places in a work buffer.
    """

    kind: str
    values: Ints
    role: int = -1


class Layout:
    """`slot[v]`: the place of a value that a loop makes; `copies[v]`: (buffer, place) of any other one."""

    def __init__(self, code: Code, groups: Groups, plan: Schedule, order_of_inputs: dict[str, int]) -> None:
        self.code, self.groups, self.plan = code, groups, plan
        self.loop_of = np.full(len(code), -1)
        for k, loop in enumerate(plan.loops):
            for r in loop.roles:
                self.loop_of[groups.roles[r].members] = k
        self.inputs = order_of_inputs
        self.reads = {r: self._reads(r) for loop in plan.loops for r in loop.roles}
        self.stored = self._stored_roles()
        self.slot = np.full(len(code), -1)
        self.copies: dict[int, dict[int, int]] = defaultdict(dict)
        self.length: dict[int, int] = defaultdict(int)
        self.margins: dict[int, set[int]] = defaultdict(set)  # places next to arrays that are free
        self._share_buffers()
        self._place_inputs()
        self.turns = [self._place_loop(k, loop) for k, loop in enumerate(plan.loops)]

    # ---- what is read ----------------------------------------------------------------------

    def _reads(self, r: int) -> list[Reads]:
        role, code = self.groups.roles[r], self.code
        if code.kinds[role.members[0]] == CHAIN:
            return [self._kind_of(np.concatenate([code.terms[s][0] for s in role.members.tolist()]), r)]
        columns = code.arguments[role.members].T
        return [self._kind_of(column, r) for column in columns if column[0] >= 0]

    def _kind_of(self, values: Ints, r: int) -> Reads:
        code, groups = self.code, self.groups
        is_sum = code.kinds[groups.roles[r].members[0]] == CHAIN
        made_by = groups.role[values[0]]
        outside = self.loop_of[values[0]] != self.loop_of[groups.roles[r].members[0]]
        if not is_sum and made_by >= 0 and not outside:
            in_turn = groups.turn[values] == np.arange(len(values))
            if (in_turn & (groups.role[values] == made_by)).all() and not self._is_apart(values[0]):
                return Reads("turn", values, int(made_by))
        if (values == values[0]).all() and outside and not is_sum:
            return Reads("same", values)
        kinds = code.kinds[values]
        if (kinds == CONST).all():
            return Reads("constants", values)
        if (kinds == kinds[0]).all() and code.is_leaf[values[0]] and kinds[0] in code.buffers:
            return Reads("input", values)
        return Reads("memory", values)

    def _is_apart(self, v: int) -> bool:
        """Whether a value is a long sum whose loop runs before that of what uses it (`emit`)."""
        return bool(self.code.kinds[v] == CHAIN) and not self.plan.loops[self.loop_of[v]].in_order

    def _stored_roles(self) -> set[int]:
        """Roles whose values are read elsewhere than in their own turn."""
        found: set[int] = set()
        for reads in self.reads.values():
            for read in reads:
                if read.kind in ("memory", "same"):
                    found.update(np.unique(self.groups.role[read.values]).tolist())
        source, user = self.code.edges()
        outside = (self.groups.role[user] < 0) & ~self.code.absorbed[user]
        found.update(np.unique(self.groups.role[source[outside]]).tolist())
        return found - {-1}

    # ---- buffers ---------------------------------------------------------------------------

    def _share_buffers(self) -> None:
        """`buffer_of[k]`: where loop k stores; the last one is for lists of what no loop makes."""
        count = len(self.plan.loops)
        parent = list(range(count + 1))

        def root(k: int) -> int:
            while parent[k] != k:
                k = parent[k]
            return k

        for reads in self.reads.values():
            for read in reads:
                if read.kind == "memory":
                    makers = [k for k in np.unique(self.loop_of[read.values]).tolist() if k >= 0]
                    for k in makers[1:]:
                        parent[root(k)] = root(makers[0])
        self.buffer_of = [root(k) for k in range(count + 1)]

    def buffer_for(self, values: Ints) -> int:
        """The buffer that holds all of a list."""
        makers = self.loop_of[values]
        made = makers[makers >= 0]
        return self.buffer_of[int(made[0]) if len(made) else -1]

    def _place_inputs(self) -> None:
        """Elements of inputs that lists of inputs alone name: in the order of the inputs."""
        wanted: set[int] = set()
        for reads in self.reads.values():
            for read in reads:
                if read.kind == "memory" and self.code.is_leaf[read.values].all():
                    wanted.update(v for v in read.values.tolist() if self.code.kinds[v] != CONST)
        home = self.buffer_of[-1]
        for v in sorted(wanted, key=self._input_order):
            self.copies[v][home] = self.length[home]
            self.length[home] += 1

    def _input_order(self, v: int) -> tuple[int, tuple[int, ...]]:
        load = self.code.statements[v]
        assert isinstance(load, Load)
        return self.inputs[load.buffer], self.code.places[v]

    # ---- places ----------------------------------------------------------------------------

    def _place_loop(self, k: int, loop: Loop) -> Ints:
        """Choose the order of turns, and places for what is stored; returns the turns in that order."""
        turns = len(self.groups.roles[loop.roles[0]].members)
        order = np.arange(turns) if loop.in_order else self._best_order(loop, turns)
        home = self.buffer_of[k]
        for r in loop.roles:
            if r in self.stored:
                first = self.length[home] + _MARGIN
                self.slot[self.groups.roles[r].members[order]] = np.arange(first, first + turns)
                self.length[home] = first + turns + _MARGIN
                self.margins[home].update(range(first - _MARGIN, first))
                self.margins[home].update(range(first + turns, first + turns + _MARGIN))
        for r in loop.roles:
            for read in self.reads[r]:
                if read.kind == "memory":
                    self._place_rest(read.values[order] if len(read.values) == turns else read.values)
        return order

    def places(self, values: Ints) -> Ints:
        """Where the values of a list lie in its buffer; -1 where that is not settled yet."""
        found = self.slot[values]
        if (found < 0).any():
            home = self.buffer_for(values)
            for at in np.nonzero(found < 0)[0].tolist():
                found[at] = self.copies.get(int(values[at]), {}).get(home, -1)
        return found

    def _place_rest(self, values: Ints) -> None:
        """Places for what no loop stores: where the list would go on if it is free, else at the end."""
        found, home = self.places(values), self.buffer_for(values)
        (missing,) = np.nonzero(found < 0)
        if not len(missing):
            return
        (known,) = np.nonzero(found >= 0)
        steps = np.unique(np.diff(found[known]) // np.diff(known)).tolist()
        for at in missing.tolist():
            v, place = int(values[at]), -1
            if len(steps) == 1:
                place = int(found[known[0]] + steps[0] * (at - known[0]))
            if home in self.copies[v]:
                continue
            if place in self.margins[home]:
                self.margins[home].remove(place)
            else:
                place = self.length[home]
                self.length[home] += 1
            self.copies[v][home] = place

    # ---- orders ----------------------------------------------------------------------------

    def index_lists(self, loop: Loop) -> Iterator[Ints]:
        """The lists of places that a loop goes through, turn by turn (those of long sums left out)."""
        turns = len(self.groups.roles[loop.roles[0]].members)
        for r in loop.roles:
            members = self.groups.roles[r].members
            for read in self.reads[r]:
                if len(read.values) != turns or self.code.kinds[members[0]] == CHAIN:
                    continue
                if read.kind == "memory":
                    yield self.places(read.values)
                elif read.kind == "input":
                    yield from self.axes(read.values)
            if isinstance(self.code.statements[members[0]], Store | StoreReduce):
                yield from self.axes(members)

    def axes(self, accesses: Ints) -> Sequence[Ints]:
        """The indices of loads or stores, axis by axis."""
        table = np.array([self.code.places[s] for s in accesses.tolist()], dtype=np.int64)
        return list(table.reshape(len(accesses), -1).T)

    def _best_order(self, loop: Loop, turns: int) -> Ints:
        lists = [found for found in self.index_lists(loop) if (found >= 0).all()]
        orders = [np.arange(turns)]
        if sum(map(is_affine, lists)) < len(lists):
            orders += [np.argsort(found, kind="stable") for found in lists[:_MOST_ORDERS]]
        return max(orders, key=lambda order: sum(is_affine(found[order]) for found in lists))


def is_affine(places: Ints) -> bool:
    """Whether places go by equal steps."""
    return bool((np.diff(places) == places[1] - places[0]).all()) if len(places) > 1 else True


def rows_of(places: Ints) -> int:
    """How long the first run of equal steps is if all runs are as long, and start by equal steps; else 0."""
    steps = np.diff(places)
    if not len(steps):
        return 0
    (breaks,) = np.nonzero(steps != steps[0])
    length = int(breaks[0]) + 1 if len(breaks) else 0
    return length if length > 1 and is_grid(places, length) else 0


def is_grid(places: Ints, length: int) -> bool:
    """Whether places are affine in (turn // length, turn % length)."""
    if len(places) % length:
        return False
    table = places.reshape(-1, length)
    inner = table[0, 1] - table[0, 0] if length > 1 else 0
    return is_affine(table[:, 0]) and bool((table == table[:, :1] + inner * np.arange(length)).all())
