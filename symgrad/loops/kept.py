"""What a loop keeps for later ones is what these make of it, where it makes the same of it for itself.

    for i: s = f(x[i]);  t[i] = s;  c += s*s*r[i]        for i: s = f(x[i]);  p = s*s*r[i];  t[i] = p;  c += p
    for i: y[i] = t[i]*t[i]*r[i]*c              becomes  for i: y[i] = t[i]*c

The later loop computes less and reads one array less, and the first one computes nothing more. Only arrays of
the routine's own that one statement writes, only what is made of arrays that nothing changes in between, and
only where all later loops make the same. Source: Chaitin, Auslander, Chandra, Cocke, Hopkins and Markstein
1981, "Register allocation via coloring" (to keep a number or to compute it again; here for memory).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from symgrad.ir.ops import OPS
from symgrad.loops.effects import effects, is_elementwise
from symgrad.loops.forward import forwarded
from symgrad.loops.nest import (
    Compute,
    Const,
    For,
    FromInt,
    If,
    Load,
    Poly,
    Routine,
    Statement,
    Store,
    StoreReduce,
    Value,
    variable,
)
from symgrad.loops.renamed import renamed_poly, renamed_statement
from symgrad.loops.walk import each_replaced, has_blocks, operands, variables, walk
from symgrad.records import dataclass

Number = int  # the same for values that are the same


@dataclass(frozen=True, slots=True)
class _Place:
    """A load or store of one element per turn of the loops around it.

    bodies  of these loops, from the outermost one on; `top` counts the routine's statements up to them.
    names   what the variables of the loops are called in keys: by the axis that they walk.
    """

    statement: Load | Store
    bodies: tuple[Sequence[Statement], ...]
    names: dict[str, str]
    top: int


def kept_further(routine: Routine) -> Routine:
    """The routine with such arrays holding more; itself if there are none."""
    if not has_blocks(routine.body):
        return routine
    kept = [places for places in _places(routine).values() if _is_kept(places)]
    if not kept:
        return routine
    search = _Search(routine)
    for places in kept:
        body = search.better(places)
        if body is not None:
            return kept_further(forwarded(replace(routine, body=body)))
    return routine


def _is_kept(places: Sequence[_Place]) -> bool:
    """Whether one statement stores an array, element by element, and later loops load it."""
    if len(places) < 2 or not isinstance(places[0].statement, Store):
        return False
    first, *later = places
    return len(first.names) == len(first.bodies) and all(
        isinstance(p.statement, Load) and p.top > first.top for p in later
    )


def _places(routine: Routine) -> dict[str, list[_Place]]:
    """Where arrays of the routine's own are touched, in order; not those that are touched in other ways."""
    found: dict[str, list[_Place]] = {
        b.name: [] for b in routine.buffers if b.role == "work" and b.dtype == "real" and b.extents
    }
    for top, whole in enumerate(routine.body):
        if not found:
            break
        if not is_elementwise((whole,)):
            for name in effects(whole).touches & found.keys():
                del found[name]
            continue
        for s, loops in _in_loops(whole, ()):
            if isinstance(s, Load | Store | StoreReduce) and s.buffer in found:
                places = {i: f"axis {p}" for p, i in enumerate(s.index)}
                names = {v.var: places[i] for v in loops if (i := variable(v.var)) in places}
                if isinstance(s, StoreReduce) or len(names) < len(s.index):
                    del found[s.buffer]
                else:
                    found[s.buffer].append(_Place(s, tuple(v.body for v in loops), names, top))
    return found


def _in_loops(s: Statement, loops: tuple[For, ...]) -> Iterator[tuple[Statement, tuple[For, ...]]]:
    """Statements that stand in loops and in nothing else; as deep as loops stand in each other."""
    if isinstance(s, For) and not s.lanes and s.step == 1:
        for inside in s.body:
            yield from _in_loops(inside, (*loops, s))
    elif isinstance(s, For | If):
        yield from ((inside, ()) for _, inside in walk(s.body))
    else:
        yield s, loops


class _Search:
    """What stands where in a routine; `numbers` are those of values, by how they are computed."""

    def __init__(self, routine: Routine) -> None:
        self.body = routine.body
        self.writes = [effects(s).writes for s in routine.body]
        self.sizes = {*routine.sizes, *(s.var for s in routine.derived)}
        self.constants = [s for _, s in walk(routine.body) if isinstance(s, Const)]
        self.numbers: dict[tuple[object, ...], Number] = {}
        self.users: dict[Value, list[Statement]] = {}
        self.conditions = set[Value]()  # which arrays do not keep: they hold numbers
        for _, s in walk(routine.body, into_parts=True):
            if isinstance(s, Compute) and OPS[s.op].result == "bool":
                self.conditions.add(s.dst)
            for v in operands(s):
                self.users.setdefault(v, []).append(s)

    def better(self, places: Sequence[_Place]) -> list[Statement] | None:
        """The body with another value in one array; None where there is nothing better to keep."""
        made, *later = places
        changed = frozenset[str]().union(*self.writes[made.top :])
        inside = {n: v for v, n in reversed(self._values(made, changed).items())}
        ways = [self._way(p, self._values(p, changed), inside) for p in later]
        same = [
            steps for steps in zip(*ways, strict=False)
            if len({n for n, _ in steps}) == 1 and inside[steps[0][0]] not in self.conditions
        ]  # fmt: skip
        if not same:
            return None
        kept = inside[same[-1][0][0]]
        return _changed(self.body, made, kept, later, [values for _, values in same[-1]])

    def _values(self, place: _Place, changed: frozenset[str]) -> dict[Value, Number]:
        """Numbers of values around a place, that of the array's element first."""
        element = place.statement.dst if isinstance(place.statement, Load) else place.statement.src
        known = {element: self._number(("kept",))}
        known |= {c.dst: self._number(("const", c.payload)) for c in self.constants}
        for s in (s for body in place.bodies for s in body):
            if not isinstance(s, Load | FromInt | Compute):
                continue
            key: tuple[object, ...] | None = None
            if isinstance(s, Load) and s.buffer not in changed and self._is_known(s.index, place):
                key = ("load", s.buffer, *(renamed_poly(p, place.names) for p in s.index))
            elif isinstance(s, FromInt) and self._is_known((s.index,), place):
                key = ("int", renamed_poly(s.index, place.names))
            elif isinstance(s, Compute) and all(map(known.__contains__, s.args)):
                key = (s.op, *map(known.__getitem__, s.args))
            if key is not None:
                known.setdefault(s.dst, self._number(key))
        return known

    def _number(self, key: tuple[object, ...]) -> Number:
        return self.numbers.setdefault(key, len(self.numbers))

    def _is_known(self, index: Sequence[Poly], place: _Place) -> bool:
        return all(name in place.names or name in self.sizes for name in variables(index))

    def _way(
        self, place: _Place, known: dict[Value, Number], inside: dict[Number, Value]
    ) -> list[tuple[Number, list[Value]]]:
        """What alone is made of a loaded element, step by step, as long as `inside` has it."""
        assert isinstance(place.statement, Load)
        way: list[tuple[Number, list[Value]]] = []
        values = [place.statement.dst]
        while True:
            users = [s for v in values for s in self.users.get(v, ())]
            made = {known.get(s.dst, -1) if isinstance(s, Compute) else -1 for s in users}
            if len(made) != 1 or not made <= inside.keys():
                return way
            values = list(dict.fromkeys(s.dst for s in users if isinstance(s, Compute)))
            way.append((made.pop(), values))


def _changed(
    body: Sequence[Statement],
    made: _Place,
    kept: Value,
    later: Sequence[_Place],
    values: Sequence[list[Value]],
) -> list[Statement]:
    """The body that stores `kept`; what was loaded stands for `values`, by place."""
    store = made.statement
    assert isinstance(store, Store)
    order = [s for inside in made.bodies for s in inside if s is store or getattr(s, "dst", None) == kept]
    same = {v: p.statement.dst for p, made_of in zip(later, values, strict=True) for v in made_of
            if isinstance(p.statement, Load)}  # fmt: skip

    def by(s: Statement) -> list[Statement]:
        if isinstance(s, Compute) and s.dst in same:
            return []
        new = [] if s is store else [renamed_statement(s, {}, same)]
        return [*new, replace(store, src=kept)] if s is order[-1] else new

    return each_replaced(body, by)
