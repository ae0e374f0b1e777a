"""Where formulas of one value vanish, as constants that can be computed to any number of digits: pi/2, e, 4.

They are found by undoing one operation after the other: log(x/2) - 1 is 0 where x is 2*e. That takes a few
steps and finds few of the zeros of most formulas; nothing depends on finding them all. Of those of sin, cos
and tan, as there is no end of them, the ones next to 0 on both sides are looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import isfinite, nan
from typing import TYPE_CHECKING

from symgrad.ir.series.laurent import UNKNOWN, formula_of, is_number, value_of
from symgrad.ir.series.probe import CONSTANT, is_function, probe, value_at, variable_of

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_MOST_STEPS = 16  # of operations undone
_MOST_POINTS = 4
_LARGEST = 1 << 24  # denominator of a number that is meant to be rational
_NOTHING = -2  # no node: the constant is made of no variable
_MOST_OPERATIONS = 128  # of a formula that is tried at a point
_NEAR, _NEARER, _LESS = 2.0**-20, 2.0**-30, 2.0**-4
_FLAT = 2.0**-32  # at `_NEAR`: of second order
Pairs = list[tuple[int, int]]  # a formula, and what it shall be


def common_zeros(g: Graph, above: Sequence[int], below: Sequence[int], variable: int) -> list[int]:
    """Points other than 0 where two products of formulas of one value vanish both."""
    moving = [[f for f in part if variable_of(g, f) == variable] for part in (below, above)]
    return _exactly(g, [
        c for at, c in (_points(g, [f for part in moving for f in part], variable) if all(moving) else ())
        if all(any(_vanishes(g, f, variable, at) for f in part) for part in moving)
    ])  # fmt: skip


def zeros_at_poles(g: Graph, zero: int, pole: int, variable: int) -> list[int]:
    """Points other than 0 where one formula vanishes and another one has a pole."""
    return _exactly(g, [
        c for at, c in _points(g, (zero,), variable)
        if _vanishes(g, zero, variable, at) and _grows(g, pole, variable, at)
    ])  # fmt: skip


def common_poles(g: Graph, terms: Sequence[int], variable: int) -> list[int]:
    """Points other than 0 where all of these have a pole."""
    divisors = [g.args[t][1] for t in terms if g.op[t] == "div"]
    return _exactly(g, [
        c for at, c in _points(g, divisors, variable) if all(_grows(g, t, variable, at) for t in terms)
    ])  # fmt: skip


def tied_at(g: Graph, terms: Sequence[tuple[int, int]], points: Sequence[int], variable: int) -> list[int]:
    """Those of the points where a sum of (sign, term) vanishes with its slope."""
    found = []
    for c in dict.fromkeys(points):
        beside = probe(g, c).value * (1 + _NEAR)
        values = [sign * value_at(g, t, variable, beside, _MOST_OPERATIONS) for sign, t in terms]
        if abs(sum(values)) < _FLAT * max(abs(v) for v in values):
            found.append(c)
    return found


def _points(g: Graph, formulas: Sequence[int], variable: int) -> list[tuple[float, int]]:
    """Where one of these is 0, but not at 0: what it is about, and as a constant."""
    found: dict[float, int] = {}
    for f in formulas:
        if len(found) < _MOST_POINTS and is_function(g, f) and variable_of(g, f) == variable:
            found |= {probe(g, c).value: c for c in zeros_of(g, f, variable)}
    return [(at, c) for at, c in found.items() if at and isfinite(at)]


def _exactly(g: Graph, constants: Sequence[int]) -> list[int]:
    """1 for log(e); without what is not known to any number of digits."""
    found = []
    for c in constants:
        try:
            value = value_of(formula_of(g, c, _NOTHING))
        except UNKNOWN:
            continue
        q = value.limit_denominator(_LARGEST)
        found.append(g.const(q) if is_number(value, q) else c)
    return found


def _vanishes(g: Graph, node: int, variable: int, at: float) -> bool:
    """Whether it becomes smaller towards a point, from one of the two sides."""
    near, nearer = _towards(g, node, variable, at)
    return nearer <= _LESS * near


def _grows(g: Graph, node: int, variable: int, at: float) -> bool:
    near, nearer = _towards(g, node, variable, at)
    return near <= _LESS * nearer


def _towards(g: Graph, node: int, variable: int, at: float) -> tuple[float, float]:
    """The size near a point and nearer, on the side where it is a number; nan if there is none."""
    if variable_of(g, node) == variable:
        for side in (1, -1):
            near, nearer = (
                abs(value_at(g, node, variable, at * (1 + side * step), _MOST_OPERATIONS))
                for step in (_NEAR, _NEARER)
            )
            if near > 0:
                return near, nearer
    return nan, nan


def zeros_of(g: Graph, node: int, variable: int) -> list[int]:
    """Constants at which a formula of one value is 0."""
    found: list[int] = []
    todo: Pairs = [(node, g.zero)]
    for _ in range(_MOST_STEPS):
        if not todo:
            break
        part, value = todo.pop()
        if part == variable:
            found.append(value)
        elif g.op[part] in _UNDONE:
            todo += _UNDONE[g.op[part]](g, g.args[part], value)
    return [c for c in found if variable_of(g, c) == CONSTANT]


def _is_constant(g: Graph, node: int) -> bool:
    return variable_of(g, node) == CONSTANT


def _of_sum(g: Graph, args: tuple[int, ...], value: int) -> Pairs:
    a, b = args
    if _is_constant(g, b):
        return [(a, g.sub(value, b))]
    return [(b, g.sub(value, a))] if _is_constant(g, a) else []


def _of_difference(g: Graph, args: tuple[int, ...], value: int) -> Pairs:
    a, b = args
    if _is_constant(g, b):
        return [(a, g.add(value, b))]
    return [(b, g.sub(a, value))] if _is_constant(g, a) else []


def _of_product(g: Graph, args: tuple[int, ...], value: int) -> Pairs:
    a, b = args
    for c, other in (args, args[::-1]):
        if _is_constant(g, c):
            return [(other, g.div(value, c))]
    if value == g.zero:
        return [(a, value), (b, value)]
    return _of_square(g, a, value) if a == b else []


def _of_square(g: Graph, base: int, value: int) -> Pairs:
    root = g.node("sqrt", value)
    return [(base, root), (base, g.neg(root))]


def _of_quotient(g: Graph, args: tuple[int, ...], value: int) -> Pairs:
    a, b = args
    if _is_constant(g, b):
        return [(a, g.mul(value, b))]
    if value == g.zero:
        return [(a, value)]
    return [(b, g.div(a, value))] if _is_constant(g, a) else []


def _of_square_difference(g: Graph, args: tuple[int, ...], value: int) -> Pairs:
    for c, other in (args, args[::-1]):
        if value == g.zero and _is_constant(g, c):
            return [(other, c), (other, g.neg(c))]
    return []


def _of_power(g: Graph, args: tuple[int, ...], value: int) -> Pairs:
    base, exponent = args
    if not _is_constant(g, exponent):
        return []
    return [(base, value if value == g.zero else g.node("pow", value, g.div(g.one, exponent)))]


def _of_negative(g: Graph, args: tuple[int, ...], value: int) -> Pairs:
    return [(args[0], g.neg(value))]


def _of_root(g: Graph, args: tuple[int, ...], value: int) -> Pairs:
    return [(args[0], g.mul(value, value))]


def _of_expm1(g: Graph, args: tuple[int, ...], value: int) -> Pairs:
    return [(args[0], g.node("log", g.add(g.one, value)))]


def _of_log1p(g: Graph, args: tuple[int, ...], value: int) -> Pairs:
    return [(args[0], g.sub(g.node("exp", value), g.one))]


def _of_xlogx(g: Graph, args: tuple[int, ...], value: int) -> Pairs:
    return [(args[0], g.one)] if value == g.zero else []


def _turns(g: Graph, *halves: int) -> list[int]:
    """Multiples of pi/2."""
    return [g.mul(g.const(Fraction(k, 2)), g.const("pi")) for k in halves]


def _whole(g: Graph, value: int) -> int:
    """A whole number, or one that is no value of sin and cos."""
    q = g.rational(value)
    return int(q) if q is not None and q.denominator == 1 else 2


def _of_sine(g: Graph, args: tuple[int, ...], value: int) -> Pairs:
    found = {0: (0, 2, -2), 1: (1,), -1: (-1,)}.get(_whole(g, value))
    if found is None:
        angle = g.node("asin", value)
        return [(args[0], angle), (args[0], g.sub(g.const("pi"), angle))]
    return [(args[0], c) for c in _turns(g, *found)]


def _of_cosine(g: Graph, args: tuple[int, ...], value: int) -> Pairs:
    found = {0: (1, -1), 1: (0,), -1: (2, -2)}.get(_whole(g, value))
    if found is None:
        angle = g.node("acos", value)
        return [(args[0], angle), (args[0], g.neg(angle))]
    return [(args[0], c) for c in _turns(g, *found)]


def _of_tangent(g: Graph, args: tuple[int, ...], value: int) -> Pairs:
    at = _turns(g, 0, 2, -2) if value == g.zero else [g.node("atan", value)]
    return [(args[0], c) for c in at]


def _by(op: str) -> Callable[[Graph, tuple[int, ...], int], Pairs]:
    return lambda g, args, value: [(args[0], g.node(op, value))]


_UNDONE: dict[str, Callable[[Graph, tuple[int, ...], int], Pairs]] = {
    "add": _of_sum, "sub": _of_difference, "mul": _of_product, "div": _of_quotient,
    "neg": _of_negative,
    "square_difference": _of_square_difference, "leg": _of_square_difference,
    "sqrt": _of_root, "pow": _of_power,
    "exp": _by("log"), "log": _by("exp"),
    "expm1": _of_expm1, "log1p": _of_log1p, "xlogx": _of_xlogx,
    "sin": _of_sine, "cos": _of_cosine, "tan": _of_tangent,
    "asin": _by("sin"), "acos": _by("cos"),
    "atan": _by("tan"), "acosh": _by("cosh"), "sinh": _by("asinh"), "asinh": _by("sinh"),
    "tanh": _by("atanh"), "atanh": _by("tanh"),
}  # fmt: skip
