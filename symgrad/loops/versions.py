"""Matrix products of few terms in place: chosen when the kernel runs.

    c = a b      becomes      if rows*columns*depth <= 32: for i, j: c[i, j] = sum over p of a[i, p]*b[p, j]
                              else: c = a b

A call of the function of products takes longer than a few multiplications do. The choice is by sizes: a
product whose lengths are known is one or the other. (Matrix functions of few rows: `loops.small_matrices`.)
"""

from __future__ import annotations

from dataclasses import replace

from symgrad.loops.nest import (
    Accumulate,
    Cell,
    Compute,
    Const,
    Contract,
    For,
    If,
    Load,
    Poly,
    Routine,
    Statement,
    Store,
    StoreReduce,
    Strided,
    Test,
    Value,
    poly,
    poly_add,
    poly_mul,
    variable,
)
from symgrad.loops.walk import each_replaced, free_name, next_value, taken_names, types_in

MOST_TERMS = 32  # rows times columns times depth: with more, vectors have done it sooner


def with_small_products(routine: Routine) -> Routine:
    """The routine with such products in place; itself if it has no products."""
    if Contract not in types_in(routine.body):
        return routine
    return replace(routine, body=each_replaced(routine.body, _Versions(routine).statement))


class _Versions:
    def __init__(self, routine: Routine) -> None:
        taken = taken_names(routine)
        self.names = tuple(free_name(taken, name) for name in ("row", "column", "term"))
        self.next_value = next_value(routine.body)

    def statement(self, s: Statement) -> list[Statement]:
        """What stands in the place of a statement: of a product, both versions."""
        if not isinstance(s, Contract):
            return [s]
        terms = poly_mul(poly_mul(s.rows, s.columns), s.depth)
        can_be_in_place = s.keep in ((), poly(1)) and all(x.start.index for x in (s.a, s.b, s.c))
        if not can_be_in_place or min((abs(k) for _, k in terms), default=0) > MOST_TERMS:
            return [s]
        if all(not names for names, _ in terms):  # and so few
            return [self._loops(s)]
        is_small, is_large = self._new(), self._new()
        return [
            Test(is_small, "ige", poly_add(poly(MOST_TERMS), terms, -1)),
            If(is_small, [self._loops(s)]),
            Test(is_large, "ige", poly_add(terms, poly(MOST_TERMS + 1), -1)),
            If(is_large, [s]),
        ]

    def _loops(self, s: Contract) -> Statement:
        i, j, p = map(variable, self.names)
        a, b, number = self._new(), self._new(), self._new()
        zero, total = self._new(), self._new()
        add: list[Statement] = [
            Load(a, s.a.start.buffer, _place(s.a, i, p)),
            Load(b, s.b.start.buffer, _place(s.b, p, j)),
            Compute(number, "mul", (a, b)),
            Accumulate("sum", total, number),
        ]
        entry: list[Statement] = [Const(zero, ("q", 0, 1)), Cell(total, zero), self._loop(2, s.depth, add)]
        result = total
        if s.sign != poly(1):
            scale, result = self._new(), self._new()
            ((_, factor),) = s.sign
            entry += [Const(scale, ("q", factor, 1)), Compute(result, "mul", (scale, total))]
        place = s.c.start.buffer, _place(s.c, i, j)
        entry.append(StoreReduce("sum", *place, result) if s.keep else Store(*place, result))
        return self._loop(0, s.rows, [self._loop(1, s.columns, entry)], "product of few terms")

    def _loop(self, which: int, extent: Poly, body: list[Statement], comment: str = "") -> For:
        return For(self.names[which], (poly(0),), (extent,), body, comment, short=True)

    def _new(self) -> Value:
        self.next_value += 1
        return self.next_value - 1


def _place(array: Strided, i: Poly, j: Poly) -> tuple[Poly, ...]:
    """The index of an element; what lies so many elements further, along the last axis."""
    *before, last = array.start.index
    for index, stride in zip((i, j), array.strides, strict=True):
        last = poly_add(last, poly_mul(index, stride))
    return (*before, last)
