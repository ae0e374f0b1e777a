"""Which code is left unwritten when it is lowered (`loops.lines`)."""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.loops.lines import Lines
from symgrad.loops.nest import Const, For, Load, Run, Statement, Store, StoreReduce
from symgrad.loops.walk import walk

LEAST = 2_000  # statements; fewer are written at once


def with_lines(body: list[Statement]) -> Sequence[Statement]:
    """A body without runs: `Lines` where it is long, and nothing else stands in it but stores and loops that
    fill outputs; the statements elsewhere.
    """
    if Run not in set(map(type, body)):
        return body
    before = [s for s in body if isinstance(s, Const | For)]
    lines = Lines([s for s in body if not isinstance(s, Const | For)], before)
    return lines if len(lines) > LEAST and _may_begin(body, lines) else list(Lines(body))


def _may_begin(body: Sequence[Statement], lines: Lines) -> bool:
    """Whether all else but runs are stores of their values, and loops that can as well run before all."""
    filled: set[str] = set()
    written = {s.buffer for run in lines.runs for s in run.leaves.values() if isinstance(s, Load)}  # or read
    for s in body:
        if isinstance(s, For):
            inside = [inner for _, inner in walk((s,))]
            filled = {inner.buffer for inner in inside if isinstance(inner, Store)}
            if not written.isdisjoint(filled) or not all(isinstance(t, For | Const | Store) for t in inside):
                return False
        elif isinstance(s, Store | StoreReduce):
            written.add(s.buffer)
            if lines.node_of(s.src) is None:
                return False
        elif not isinstance(s, Run | Const):
            return False
    constants = {s.dst for _, s in walk(lines.before) if isinstance(s, Const)}
    return all(s.src in constants for _, s in walk(lines.before) if isinstance(s, Store))
