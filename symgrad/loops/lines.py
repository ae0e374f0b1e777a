"""Long straight-line code that is not written out: runs of nodes of a graph, and what is stored between them.

Statements take a microsecond each to make, and what runs first, a tape, does not need them. Whoever looks at
the statements sees them, one by one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, overload

from symgrad.loops.nest import Compute, Run, Statement, Value


class Lines(Sequence[Statement]):
    """The statements that runs stand for and those between them, in order; pickled as a list of them.

    before  loops that fill outputs, and constants they use.
    pieces  runs, and statements that store their values.
    """

    def __init__(self, pieces: Sequence[Statement], before: Sequence[Statement] = ()) -> None:
        self.before, self.pieces = tuple(before), tuple(pieces)
        self._length = len(before) + sum(len(p.nodes) if type(p) is Run else 1 for p in pieces)

    @cached_property
    def runs(self) -> list[Run]:
        return [p for p in self.pieces if type(p) is Run]

    @cached_property
    def types(self) -> frozenset[type[Statement]]:
        """The types of its statements, without what stands inside others."""
        return frozenset({Compute, *map(type, self.others())})

    def ops(self) -> set[str]:
        """What is computed."""
        return {run.ops[n] for run in self.runs for n in run.nodes if n not in run.leaves}

    def others(self) -> list[Statement]:
        """The statements that are no `Compute`."""
        inside = ((p,) if type(p) is not Run else p.leaves.values() for p in self.pieces)
        return [*self.before, *chain.from_iterable(inside)]

    def node_of(self, value: Value) -> int | None:
        """The node of a run that has a value; None where no run has it."""
        run = self.runs[max(bisect_right(self.runs, value, key=lambda r: r.first) - 1, 0)]
        return run.nodes[value - run.first] if 0 <= value - run.first < len(run.nodes) else None

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Statement]:
        written = (_statements(p) if type(p) is Run else (p,) for p in self.pieces)
        return chain(self.before, chain.from_iterable(written))

    @cached_property
    def _written(self) -> list[Statement]:
        return list(iter(self))

    @overload
    def __getitem__(self, place: int) -> Statement: ...

    @overload
    def __getitem__(self, place: slice) -> list[Statement]: ...

    def __getitem__(self, place: int | slice) -> Statement | list[Statement]:
        return self._written[place]

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(iter(self)),)


def _statements(run: Run) -> Iterator[Statement]:
    """The statements of a run."""
    ops, args, values, leaves = run.ops, run.args, run.values, run.leaves
    for dst, n in enumerate(run.nodes, run.first):
        if n in leaves:
            yield leaves[n]
        else:
            yield Compute(dst, ops[n], tuple([values[a] for a in args[n]]))
