"""The nodes below others. Nodes never change, so that large results are kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress

SHARE_LOOKED_FOR = 16  # a 16th of all nodes is found from its roots, more of them by looking at all
_LARGE = 1_000  # nodes below some roots that are worth keeping
_MOST_KEPT = 4


class Reachable:
    """What is below the roots that were asked for last: every stage asks for those of the same ones."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, ...], list[int]] = {}

    def below(self, roots: Iterable[int], arguments: Sequence[tuple[int, ...]]) -> list[int]:
        """The roots and all they are made of, ascending; a list of the caller's own.

        arguments   those of each node, all of them lower numbers.
        """
        stack = list(roots)
        key = tuple(stack)
        known = self._kept.get(key)
        if known is not None:
            return [*known]
        seen, most = set(stack), len(arguments) // SHARE_LOOKED_FOR
        while stack:
            for a in arguments[stack.pop()]:
                if a not in seen:
                    seen.add(a)
                    stack.append(a)
            if len(seen) > most:
                return self._downwards(key, arguments)
        return sorted(seen)

    def _downwards(self, roots: tuple[int, ...], arguments: Sequence[tuple[int, ...]]) -> list[int]:
        """The same for a large share of all nodes, which are counted down."""
        top = max(roots)
        is_below = bytearray(top + 1)
        for n in roots:
            is_below[n] = 1
        for n in range(top, -1, -1):
            if is_below[n]:
                for a in arguments[n]:
                    is_below[a] = 1
        found = [*compress(range(top + 1), is_below)]
        if len(found) > _LARGE:
            if len(self._kept) >= _MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[roots] = found
            found = [*found]
        return found
