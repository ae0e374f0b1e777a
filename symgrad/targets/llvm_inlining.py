"""Where our own elementary functions are inlined: in innermost loops, so that these vectorise.

Anywhere else a call is as fast, and the code stays small.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from symgrad.loops.nest import Compute, For, If, Statement
from symgrad.targets.vector_math import is_own, plain_name, traced

MOST_VECTORISED = 3_000  # instructions in one block; the vectoriser's time is quadratic (10,000: 10 s)


def weight(statement: Statement, dtype: str) -> int:
    """How many statements this one is worth when our own functions are inlined."""
    own = isinstance(statement, Compute) and is_own(statement.op)
    return len(traced(plain_name(statement.op), dtype)) if own else 1  # type: ignore[union-attr]  # a Compute


def inlined_loops(body: Sequence[Statement], dtype: str) -> dict[int, int]:
    """The `id` of every loop without loops inside that is short enough to be vectorised, and its weight."""
    found: dict[int, int] = {}
    stack: list[tuple[Iterator[Statement], For | None]] = [(iter(body), None)]
    weights, innermost = [0], [True]  # of each loop around
    while stack:
        rest, loop = stack[-1]
        s = next(rest, None)
        if s is None:
            stack.pop()
            if loop is not None:
                total = weights.pop()
                if innermost.pop() and total <= MOST_VECTORISED:
                    found[id(loop)] = total
        elif isinstance(s, For):
            innermost[-1] = False
            weights.append(0)
            innermost.append(True)
            stack.append((iter(s.body), s))
        elif isinstance(s, If):
            stack.append((iter(s.body), None))
        else:
            weights[-1] += weight(s, dtype)
    return found
