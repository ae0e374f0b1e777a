"""The words of a tape (`tape.py`) for code that is not written out (`loops.lines`), the last one first.

Backwards, the first use of a value that is met is its last one: there it takes a slot, which is free again at
its definition. So values are looked at once.
Source: Poletto & Sarkar 1999, Linear Scan Register Allocation, for intervals without holes.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence

from symgrad.loops.lines import Lines
from symgrad.loops.nest import Run, Statement

Words = Sequence[int]
Write = Callable[[Statement, int], Words]  # the words of a statement on a slot


class BackwardWriter:
    """Words and slots of `Lines`.

    numbers  of instructions, by op.
    """

    def __init__(self, lines: Lines, numbers: Mapping[str, int]) -> None:
        self.lines, self.numbers = lines, numbers
        self.words: list[int] = []  # the last one first
        self.slot = [-1] * (1 + max(max(run.nodes) for run in lines.runs))  # of nodes
        self.free: list[int] = []
        self.count = 0

    def run(self, write: Write) -> array[int]:
        """The words; `write` gives those of leaves and stores."""
        for piece in reversed(self.lines.pieces):
            if type(piece) is Run:
                self._run(piece, write)
            else:
                n = self.lines.node_of(piece.src)  # type: ignore[union-attr]  # no run: a store, which has a source
                assert n is not None
                self._take(n)
                self.words.extend(write(piece, self.slot[n])[::-1])
        self.words.reverse()
        return array("i", self.words)

    def scratch(self) -> int:
        """A slot that holds nothing where the statement stands that is being written."""
        number = self._another()
        self.free.append(number)
        return number

    def _take(self, node: int) -> None:
        """A slot for a value that is read here, and nowhere later."""
        if self.slot[node] < 0:
            self.slot[node] = self._another()

    def _another(self) -> int:
        if self.free:
            return self.free.pop()
        self.count += 1
        return self.count - 1

    def _run(self, run: Run, write: Write) -> None:
        ops, args, numbers, slot, free = run.ops, run.args, self.numbers, self.slot, self.free
        extend, leaves, count = self.words.extend, run.leaves, self.count
        for n in reversed(run.nodes):
            new = slot[n]
            if new < 0:  # nobody reads it
                self.count = count
                new, count = self._another(), self.count
            free.append(new)
            if n in leaves:
                extend(write(leaves[n], new)[::-1])
                continue
            own = args[n]
            if len(own) != 2:
                operands = []
                for a in own:
                    place = slot[a]
                    if place < 0:
                        if not free:
                            free.append(count)
                            count += 1
                        slot[a] = place = free.pop()
                    operands.append(place)
                extend((*operands[::-1], new, numbers[ops[n]]))
                continue
            a, b = own  # nearly all of them: the same, written out
            first, second = slot[a], slot[b]
            if first < 0:
                if not free:
                    free.append(count)
                    count += 1
                slot[a] = first = free.pop()
                second = slot[b]  # a square
            if second < 0:
                if not free:
                    free.append(count)
                    count += 1
                slot[b] = second = free.pop()
            extend((second, first, new, numbers[ops[n]]))
        self.count = count
