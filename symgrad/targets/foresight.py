"""Conditions that hardly ever hold: a number that is infinite, or nearly; an index that is a certain one.

    |x| = inf,   x^2 + y^2 < 2^-900,   i = n - 1,   either of two such, all but one such, ...

What is selected by one of them is better jumped to than waited for, where numbers are computed one by one:
the processor goes on as if it did not hold. Source: Ball and Larus 1993, Branch prediction for free.
"""

from __future__ import annotations

import numpy as np

from symgrad.loops.nest import Bool, Compute, Const, Test, Value
from symgrad.targets.base import literal_value

_SELECTIONS = ("where", "mask")
LOOKED_AT = frozenset((*_SELECTIONS, "eq", "ne", "lt", "le", "not", "and", "or"))


class Foresight:
    """What is known about the values of one function, as its statements come."""

    def __init__(self, dtype: str) -> None:
        range_of = np.finfo(dtype)
        self.dtype = dtype
        self.large = float(range_of.max) ** 0.75
        self.small = float(range_of.tiny) ** 0.75
        self.numbers: dict[Value, float] = {}
        self.holds: dict[Value, bool] = {}  # conditions that are nearly always true, or false

    def see(self, s: Const | Bool | Test | Compute) -> bool | None:
        """Of a selection: whether it is nearly always, or nearly never, made of its first alternative."""
        if isinstance(s, Const):
            self.numbers[s.dst] = literal_value(s.payload, self.dtype)
        elif isinstance(s, Bool):
            self.holds[s.dst] = s.value
        elif isinstance(s, Test):
            if s.op == "ieq":
                self.holds[s.dst] = False
        elif s.op in _SELECTIONS:
            return self._selection(s)
        elif (held := self._condition(s)) is not None:
            self.holds[s.dst] = held
        return None

    def _selection(self, s: Compute) -> bool | None:
        chosen = self.holds.get(s.args[0])
        if chosen is not None and s.op == "where" and s.args[1 if chosen else 2] in self.numbers:
            self.numbers[s.dst] = self.numbers[s.args[1 if chosen else 2]]
        return chosen

    def _condition(self, s: Compute) -> bool | None:
        if s.op in ("eq", "ne", "lt", "le"):
            return self._comparison(s)
        known = [self.holds.get(a) for a in s.args]
        if s.op == "not":
            return None if known[0] is None else not known[0]
        if s.op in ("and", "or"):
            deciding = s.op == "or"  # one true argument decides
            return deciding if deciding in known else None if None in known else not deciding
        return None

    def _comparison(self, s: Compute) -> bool | None:
        a, b = (self.numbers.get(x) for x in s.args)
        if a is not None and b is not None:
            return {"eq": a == b, "ne": a != b, "lt": a < b, "le": a <= b}[s.op]
        if s.op in ("eq", "ne"):
            number = b if a is None else a
            return None if number is None or abs(number) < self.large else s.op == "ne"
        if a is not None:
            return self._is_below(a)
        return None if b is None or (above := self._is_below(b)) is None else not above

    def _is_below(self, number: float) -> bool | None:
        """Whether a number is less than nearly all others of its sign, or than nearly none."""
        if abs(number) >= self.large:
            return number < 0
        return number > 0 if 0 < abs(number) <= self.small else None
