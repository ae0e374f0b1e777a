"""How long an expression would be in print, found without printing it."""

from __future__ import annotations

from typing import Any

from symgrad.errors import UnsupportedExpression

MOST_PRINTED = 100_000  # operations and symbols, shared parts counted wherever they print
MOST_SEARCHED = 10_000  # of what SymPy is asked about: matrices, bodies of sums


class PrintedSize:
    """Sizes of expressions that share parts, each part visited once however often it prints.

    SymPy's own questions (free symbols, `has`, traversals) visit shared parts again and again; a size
    above the limit tells not to ask them.
    """

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}
        self._alive: list[Any] = []  # the keys are addresses: what was seen must not be freed

    def of(self, expr: Any) -> int:
        """The number of operations and symbols of the text."""
        if id(expr) not in self._sizes:
            self._alive.append(expr)
        stack = [expr]
        while stack:
            e = stack[-1]
            if id(e) in self._sizes:
                stack.pop()
                continue
            todo = [a for a in e._args if id(a) not in self._sizes]
            if todo:
                stack.extend(todo)
                continue
            stack.pop()
            self._sizes[id(e)] = 1 + sum(self._sizes[id(a)] for a in e._args)
        return self._sizes[id(expr)]

    def checked(self, expr: Any, most: int = MOST_PRINTED) -> Any:
        """`expr`, if it can be printed. Raises UnsupportedExpression."""
        if self.of(expr) > most:
            raise UnsupportedExpression(
                "the expression is too large to write out",
                because=f"shared parts written wherever they occur make more than {most} symbols",
                try_="use to_sympy_with_names, which gives shared parts names of their own",
            )
        return expr
