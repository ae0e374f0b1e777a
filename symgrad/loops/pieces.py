"""Loops that change where a size says so, as the rows of a block matrix do: each part in a loop of its own.

    for i in [0, n + m): if i < n: a[i] else: b[i - n]      for i in [0, n): a[i]
                                                       ->   for i in [n, n + m): b[i - n]

Tests on indices whose outcome follows from the ranges of the loops around them are decided, and what depends
on them alone is gone. Where a test in a loop, at any depth, changes at a place that is a sum of sizes between
the loop's ends, the loop becomes two over the same turns in the same order, and the test is decided in both.
What is left asks nothing, so it vectorises, and reads no memory that is not there, as vectors with masks do:
processors recover from that, slowly.
Source: index-set splitting, Allen & Kennedy 2001, Optimizing Compilers for Modern Architectures, section 5.8.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from symgrad.loops.nest import (
    Accumulate,
    Cell,
    For,
    If,
    Leave,
    Part,
    Poly,
    Routine,
    SetCell,
    Statement,
    Test,
    Value,
    poly,
    poly_add,
    poly_mul,
)
from symgrad.loops.peel import KNOWN, Decided, alone, copied
from symgrad.loops.walk import next_value, types_in, variables, walk

_MOST_PLACES = 3  # in one loop
_MOST_STATEMENTS = 600  # that splitting adds to a routine

Ranges = Mapping[str, tuple[Poly, Poly]]  # of the loops around: [first, end)


def in_pieces(routine: Routine) -> Routine:
    """The routine with such tests decided, and loops split where that decides more; itself if it has none."""
    if Test not in types_in(routine.body):
        return routine
    return replace(routine, body=_Pieces(routine).block(routine.body, {}))


class _Pieces:
    """`left` is how many statements may still be added."""

    def __init__(self, routine: Routine) -> None:
        self.sizes = frozenset(routine.sizes)
        self.next_value = next_value(routine.body)
        self.left = _MOST_STATEMENTS

    def block(self, body: Sequence[Statement], ranges: Ranges) -> list[Statement]:
        """Statements inside loops of these ranges. As deep as loops stand in each other."""
        out: list[Statement] = []
        for s in body:
            if isinstance(s, For):
                out += self._loop(s, ranges)
            elif isinstance(s, If | Part):
                out.append(replace(s, body=self.block(s.body, ranges)))
            else:
                out.append(s)
        return out

    def _loop(self, loop: For, ranges: Ranges) -> Iterator[Statement]:
        inside = [s for _, s in walk(loop.body, into_parts=True)]
        if not any(isinstance(s, Test) for s in inside):
            yield loop
            return
        if not all(isinstance(s, (*KNOWN, For)) for s in inside) or not _is_plain(loop):
            yield replace(loop, body=self.block(loop.body, ranges))
            return
        (low,), (high,) = loop.lower, loop.upper
        ends = [low, *self._places(loop, inside), high]
        if (len(ends) - 2) * len(inside) > self.left:
            ends = [low, high]
        self.left -= (len(ends) - 2) * len(inside)
        for k in range(len(ends) - 1):
            body = loop.body
            if k:
                body, self.next_value = copied(body, self.next_value)
            around = {**ranges, loop.var: (ends[k], ends[k + 1])}
            body = _decided(body, around, self.sizes)
            yield replace(loop, lower=(ends[k],), upper=(ends[k + 1],), body=self.block(body, around))

    def _places(self, loop: For, inside: Sequence[Statement]) -> list[Poly]:
        """Where tests change between the ends of the loop, in order; none if there is no one order."""
        (low,), (high,) = loop.lower, loop.upper
        found: list[Poly] = []
        for s in inside:
            known = alone(s.index, loop.var) if isinstance(s, Test) and s.op == "ige" else None
            if known is None:
                continue
            k, rest = known
            place = poly_add(rest, poly(1)) if k < 0 else poly_add((), rest, -1)
            if place not in found and self._is_before(low, place) and self._is_before(place, high):
                found.append(place)
        ordered = sorted(found, key=lambda p: sum(self._is_before(q, p) for q in found))
        is_chain = all(map(self._is_before, ordered, ordered[1:]))
        return ordered if is_chain and len(ordered) <= _MOST_PLACES else []

    def _is_before(self, p: Poly, q: Poly) -> bool:
        """Whether q - p, for all sizes, is at least 0, and not always the same: `loops.peel` knows those."""
        distance = poly_add(q, p, -1)
        return is_nonnegative(distance, self.sizes) and any(names for names, _ in distance)


def _is_plain(loop: For) -> bool:
    ends = len(loop.lower) == len(loop.upper) == 1
    return ends and loop.step == 1 and not loop.lanes and not any(isinstance(s, Leave) for s in loop.body)


def is_nonnegative(p: Poly, sizes: Collection[str]) -> bool:
    """Whether a polynomial is at least 0 whatever the sizes are: it is a sum of products of them."""
    return all(k > 0 for _, k in p) and all(name in sizes for name in variables((p,)))


# ---- tests that ranges decide --------------------------------------------------------------------------


def _decided(body: Sequence[Statement], ranges: Ranges, sizes: Collection[str]) -> list[Statement]:
    """The body without the tests that the ranges decide, and without what depends on them alone."""
    once = _Known(ranges, sizes, frozenset()).block(body)
    return _Known(ranges, sizes, frozenset(_settled(once))).block(once)


def _settled(body: Sequence[Statement]) -> set[Value]:
    """Cells that are set in the block that makes them only, to values that do not change."""
    cells = {s.dst for _, s in walk(body) if isinstance(s, Cell)}
    found: set[Value] = set()
    changed: set[Value] = set()
    for block in (body, *(s.body for _, s in walk(body) if isinstance(s, For | If))):
        here = {s.dst for s in block if isinstance(s, Cell)}
        found |= {s.dst for s in block if isinstance(s, Cell) and s.init not in cells}
        changed |= {s.cell for s in block if isinstance(s, Accumulate)}
        changed |= {
            s.cell for s in block if isinstance(s, SetCell) and (s.cell not in here or s.src in cells)
        }
    return found - changed


class _Known(Decided):
    """Statements inside loops of these ranges."""

    def __init__(self, ranges: Ranges, sizes: Collection[str], settled: frozenset[Value]) -> None:
        super().__init__("", (), (), settled)
        self.ranges, self.sizes = dict(ranges), sizes

    def block(self, body: Sequence[Statement]) -> list[Statement]:
        out: list[Statement] = []
        for s in body:
            if not isinstance(s, For):
                out += super().block((s,))
                continue
            before = dict(self.ranges)
            if len(s.lower) == len(s.upper) == 1 and s.step == 1:
                self.ranges[s.var] = s.lower[0], s.upper[0]
            else:
                self.ranges.pop(s.var, None)
            out.append(replace(s, body=self.block(s.body)))
            self.ranges = before
        return out

    def outcome(self, s: Test) -> bool | None:
        least, greatest = self._extreme(s.index, least=True), self._extreme(s.index, least=False)
        is_above = least is not None and is_nonnegative(poly_add(least, poly(s.op == "ieq"), -1), self.sizes)
        below = None if greatest is None else poly_add(poly(-1), greatest, -1)
        is_below = below is not None and is_nonnegative(below, self.sizes)
        if s.op == "ieq":
            return False if is_above or is_below else None
        return True if is_above else False if is_below else None

    def _extreme(self, index: Poly, least: bool) -> Poly | None:
        """The least or the greatest value of an index, as far as its loops are known."""
        for var, (first, end) in reversed(self.ranges.items()):  # inner ones first
            if not any(var in names for names, _ in index):
                continue
            known = _linear(index, var)
            if known is None:
                return None
            k, rest = known
            at = first if (k > 0) == least else poly_add(end, poly(-1))
            index = poly_add(rest, poly_mul(poly(k), at))
        return index


def _linear(index: Poly, var: str) -> tuple[int, Poly] | None:
    """(k, rest) if the index is k*var + rest without `var` in the rest."""
    own = [(names, k) for names, k in index if var in names]
    if len(own) != 1 or own[0][0] != (var,):
        return None
    return own[0][1], tuple(term for term in index if term != own[0])
