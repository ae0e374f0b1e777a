"""The operations of an elementary function, written down by calling its definition once (`vector_math.py`).

A definition is an ordinary Python function over `Value`s. What it does to them is kept in a `Trace`, in order
and without repetitions, for targets to print.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from symgrad.records import dataclass

REAL, SINGLE, BITS, TRUTH = "real", "single", "bits", "truth"  # double, float, 64-bit unsigned, bool

_SIGN = 1 << 63
INFINITY, NAN = float("inf"), float("nan")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: `op` on the results of earlier ones (by number) or a constant."""

    op: str
    kind: str
    args: tuple[int, ...] = ()
    constant: float | int = 0


@dataclass
class Trace:
    """The operations of one function, in order; the arguments come first."""

    operations: list[Operation] = field(default_factory=list)
    known: dict[Operation, int] = field(default_factory=dict)

    def add(self, op: str, kind: str, *args: Value | float, constant: float | int = 0) -> Value:
        """The value of an operation, shared with an equal one before it."""
        numbers = tuple(self.value(a).number for a in args)
        if op in ("add", "sub"):  # see the docstring of `vector_math`
            assert all(self.operations[n].op != "mul" for n in numbers), "a product would be fused: use fma"
        operation = Operation(op, kind, numbers, constant)
        if operation not in self.known:
            self.known[operation] = len(self.operations)
            self.operations.append(operation)
        return Value(self, self.known[operation], kind)

    def value(self, x: Value | float) -> Value:
        """`x`, or the constant `x`."""
        return x if isinstance(x, Value) else self.constant(x)

    def constant(self, x: float | int) -> Value:
        """A double, or the bits of an integer (modulo 2^64)."""
        if isinstance(x, int):
            return self.add("constant", BITS, constant=x % (1 << 64))
        return self.add("constant", REAL, constant=x)


@dataclass(frozen=True, slots=True)
class Value:
    """The result of an operation. Operators on real values round once; on bits they are modulo 2^64."""

    trace: Trace
    number: int
    kind: str

    def _arithmetic(self, real: str, bits: str, other: Value | float) -> Value:
        return self.trace.add(real if self.kind == REAL else bits, self.kind, self, other)

    def __add__(self, other: Value | float) -> Value:
        return self._arithmetic("add", "bits_add", other)

    def __sub__(self, other: Value | float) -> Value:
        return self._arithmetic("sub", "bits_sub", other)

    def __rsub__(self, other: float | int) -> Value:
        return self.trace.constant(other) - self

    def __rtruediv__(self, other: float) -> Value:
        return self.trace.constant(other) / self

    def __mul__(self, other: Value | float) -> Value:
        assert self.kind == REAL
        return self.trace.add("mul", REAL, self, other)

    def __truediv__(self, other: Value | float) -> Value:
        return self.trace.add("div", REAL, self, other)

    def __neg__(self) -> Value:
        return self.trace.add("neg", REAL, self)

    def __lt__(self, other: Value | float) -> Value:
        return self.trace.add("less", TRUTH, self, other)

    def __gt__(self, other: float) -> Value:
        return self.trace.constant(other) < self

    def equals(self, other: Value | float) -> Value:
        return self.trace.add("equal", TRUTH, self, other)

    def __and__(self, other: Value | int) -> Value:
        return self._arithmetic("", "bits_and", other)

    def __or__(self, other: Value | int) -> Value:
        return self._arithmetic("", "bits_or", other)

    def __xor__(self, other: Value | int) -> Value:
        return self._arithmetic("", "bits_xor", other)

    def __lshift__(self, places: int) -> Value:
        return self._arithmetic("", "bits_left", places)

    def __rshift__(self, places: int) -> Value:
        return self._arithmetic("", "bits_right", places)

    def bits(self) -> Value:
        """The representation as an integer."""
        return self.trace.add("to_bits", BITS, self)

    def real(self) -> Value:
        """The double with this representation."""
        return self.trace.add("from_bits", REAL, self)


def fma(a: Value, b: Value | float, c: Value | float) -> Value:
    """a*b + c, rounded once."""
    return a.trace.add("fma", REAL, a, b, c)


def square_root(x: Value) -> Value:
    return x.trace.add("sqrt", REAL, x)


def magnitude(x: Value) -> Value:
    return x.trace.add("abs", REAL, x)


def select(condition: Value, yes: Value | float, no: Value | float) -> Value:
    """Both are computed; one is taken."""
    trace = condition.trace
    return trace.add("select", trace.value(yes).kind, condition, yes, no)


def at_most(x: Value, limit: float) -> Value:
    """The smaller one; nan stays nan."""
    return select(x > limit, limit, x)


def at_least(x: Value, limit: float) -> Value:
    return select(x < limit, limit, x)


def polynomial(x: Value, coefficients: Sequence[float], plain: int = 0) -> Value:
    """c0 + c1 x + c2 x^2 + ...: even and odd terms apart, which halves the wait for results.

    plain  how many leading terms are added one after the other: the halves can be larger than their sum.
    """
    head, rest = coefficients[:plain], coefficients[plain:]
    if len(rest) < 4:
        return horner(x, coefficients)
    square = x * x
    result = fma(horner(square, rest[1::2]), x, horner(square, rest[::2]))
    for c in head[::-1]:
        result = fma(result, x, c)
    return result


def horner(x: Value, coefficients: Sequence[float]) -> Value:
    """c0 + c1 x + c2 x^2 + ..., one term after the other."""
    result = x.trace.constant(coefficients[-1])
    for c in coefficients[-2::-1]:
        result = fma(result, x, c)
    return result


def with_sign_of(x: Value, source: Value) -> Value:
    """`x`, which is not negative, with the sign of `source`."""
    return (x.bits() | (source.bits() & _SIGN)).real()
