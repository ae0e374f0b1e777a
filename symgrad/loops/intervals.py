"""Between which numbers values lie, as far as comparisons that held tell: in double and in single precision.

A routine has no type yet, and its constants may depend on it (the smallest number): whatever is known here is
known for both types. A value that has an interval is a number, not nan.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgrad.ir.evaluate import constant_value
from symgrad.ir.graph import EPSILON, SMALLEST
from symgrad.ir.ops import OPS
from symgrad.loops.nest import Compute, Const, Statement, Value

_TYPES: tuple[Any, ...] = (np.float64, np.float32)
_SMALL, _LARGE = 2.0**-60, 2.0**60
Ends = tuple[float, ...]  # one for each type
_INFINITE: Ends = (np.inf,) * len(_TYPES)
_ORDINARY = tuple(float(np.finfo(t).tiny) / float(np.finfo(t).eps) for t in _TYPES)
_ALL = tuple(-x for x in _INFINITE), _INFINITE
_BELOW = frozenset(("lt", "le"))


class Intervals:
    """What is known of values: constants, and what has been learnt since."""

    def __init__(self) -> None:
        self._defined: dict[Value, Compute] = {}
        self._known: dict[Value, tuple[Ends, Ends]] = {}
        self._constants: dict[Value, tuple[Ends, Ends]] = {}

    def define(self, s: Statement) -> None:
        """Take note of what a statement computes."""
        if isinstance(s, Const):
            number = tuple(_number(s.payload, dtype) for dtype in _TYPES)
            self._constant(s.dst, number)
        elif isinstance(s, Compute):
            self._defined[s.dst] = s
            self._known.pop(s.dst, None)
            self._constants.pop(s.dst, None)
            if all(a in self._constants for a in s.args):
                rows = zip(*(self._constants[a][0] for a in s.args), _TYPES, strict=True)
                with np.errstate(all="ignore"):
                    self._constant(s.dst, tuple(_applied(s.op, args, dtype) for *args, dtype in rows))

    def _constant(self, value: Value, number: Ends) -> None:
        if not any(x != x for x in number):
            self._constants[value] = number, number

    def is_constant(self, value: Value) -> bool:
        """Whether a value is a number that is known."""
        return value in self._constants

    def is_extreme(self, value: Value) -> bool:
        """Whether it is one that ordinary numbers never reach, just above 0 or far out on either side."""
        sizes = self._constants[value][0] if value in self._constants else ()
        return bool(sizes) and (all(0 < x < _SMALL for x in sizes) or all(abs(x) > _LARGE for x in sizes))

    def is_zero(self, value: Value) -> bool:
        """Whether it is the constant 0."""
        return value in self._constants and not any(self._constants[value][0])

    def is_infinite(self, value: Value) -> bool:
        """Whether it is the constant infinity."""
        return value in self._constants and self._constants[value][0] == _INFINITE

    def is_one_below(self, a: Value, b: Value) -> bool:
        """Whether a < b holds with 1 for whichever of them is no constant."""
        left, right = (self._constants.get(v, ((1.0,) * len(_TYPES),))[0] for v in (a, b))
        return left[0] < right[0]

    def copy(self) -> Intervals:
        """The same knowledge, to be added to."""
        made = Intervals()
        made._defined, made._known, made._constants = (
            dict(self._defined),
            dict(self._known),
            dict(self._constants),
        )
        return made

    def interval(self, value: Value) -> tuple[Ends, Ends] | None:
        """Between which numbers a value lies; None if it may be nan."""
        if value in self._constants:
            return self._constants[value]
        found, s = self._known.get(value), self._defined.get(value)
        if s is not None and s.op in ("abs", "sqrt"):
            inner = self.interval(s.args[0])
            if inner is not None and (s.op == "abs" or min(inner[0]) >= 0):
                return _of_abs(*inner) if s.op == "abs" else _of_sqrt(*inner)
        return found

    def follows(self, s: Compute) -> bool:
        """Whether a comparison is known to hold."""
        if s.op not in _BELOW:
            return False
        left, right = map(self.interval, s.args)
        if left is None or right is None:
            return False
        return all(x < y or (x == y and s.op == "le") for x, y in zip(left[1], right[0], strict=True))

    def is_not_zero(self, a: Value) -> bool:
        """Whether a value is known to be a number other than 0."""
        found = self.interval(a)
        return found is not None and (min(found[0]) > 0 or max(found[1]) < 0)

    def has_reciprocal(self, a: Value) -> bool:
        """Whether a value lies between smallest/eps and its reciprocal (`loops.divisions`)."""
        found = self.interval(a)
        if found is None:
            return False
        least, most = _of_abs(*found)
        return all(x >= low and y <= 1 / low for x, y, low in zip(least, most, _ORDINARY, strict=True))

    def square_of(self, a: Value) -> Value | None:
        """What a value is the root of, if that is in the same range as `has_reciprocal` asks for."""
        s = self._defined.get(a)
        if s is None or s.op != "sqrt" or not self.has_reciprocal(s.args[0]):
            return None
        return s.args[0]

    def learn(self, s: Compute) -> None:
        """A comparison holds from now on; of use where one side is a constant."""
        if s.op not in _BELOW:
            return
        a, b = s.args
        if b in self._constants:
            least, most = self._known.get(a, _ALL)
            bound = self._constants[b][0]
            if s.op == "lt":
                bound = tuple(
                    float(np.nextafter(t(x), t(-np.inf))) for t, x in zip(_TYPES, bound, strict=True)
                )
            self._learn(a, least, tuple(map(min, most, bound)))
        elif a in self._constants:
            least, most = self._known.get(b, _ALL)
            self._learn(b, tuple(map(max, least, self._constants[a][0])), most)

    def _learn(self, value: Value, least: Ends, most: Ends) -> None:
        self._known[value] = least, most
        roots = self._roots(value)
        if roots:
            bound = tuple(1.01 * float(np.sqrt(x)) for x in most)
            for r in roots:
                old = self._known.get(r, _ALL)
                self._known[r] = tuple(map(max, old[0], (-x for x in bound))), tuple(map(min, old[1], bound))

    def _roots(self, value: Value) -> Sequence[Value]:
        """Of what a value is the sum of squares; none if it is not."""
        s = self._defined.get(value)
        if s is None:
            return ()
        if s.op == "mul" and s.args[0] == s.args[1]:
            return s.args[:1]
        if s.op != "add":
            return ()
        parts = [self._roots(a) for a in s.args]
        return [r for part in parts for r in part] if all(parts) else ()


def _number(payload: tuple[Any, ...], dtype: Any) -> float:
    limits = np.finfo(dtype)
    if payload in (EPSILON, SMALLEST):
        return float(limits.eps if payload == EPSILON else limits.tiny)
    with np.errstate(all="ignore"):
        return float(dtype(constant_value(payload)))


def _applied(op: str, args: Sequence[float], dtype: Any) -> float:
    """An op of numbers; nan where it is none of those that make constants."""
    row = OPS.get(op)
    if row is None or op not in ("add", "sub", "mul", "div", "neg", "abs", "sqrt", "eq", "lt", "le", "where"):
        return float("nan")
    return float(row.numpy(*(bool(a) if op == "where" and k == 0 else dtype(a) for k, a in enumerate(args))))


def _of_abs(least: Ends, most: Ends) -> tuple[Ends, Ends]:
    ends = [(max(a, -b, 0.0), max(abs(a), abs(b))) for a, b in zip(least, most, strict=True)]
    return tuple(a for a, _ in ends), tuple(b for _, b in ends)


def _of_sqrt(least: Ends, most: Ends) -> tuple[Ends, Ends]:
    """Roots are rounded to the nearest number, and so keep their order."""
    roots = [[float(np.sqrt(t(x))) for t, x in zip(_TYPES, side, strict=True)] for side in (least, most)]
    return tuple(roots[0]), tuple(roots[1])
