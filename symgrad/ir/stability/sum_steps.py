"""Differences of one function in longer sums, and second differences.

z + exp(x + y) - exp(x)                the two terms that cancel are put together first
f(x + h) - 2*f(x) + f(x - h)           by addition theorems, of order h^2 without cancellation
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import comb
from typing import TYPE_CHECKING, NamedTuple

from symgrad.ir.composites.differences import difference_node
from symgrad.ir.rules import Args
from symgrad.ir.stability.audit import Audit, at_pairs, stable
from symgrad.ir.stability.patterns import common_terms, remove, sum_of_signed, terms_of
from symgrad.ir.stability.power_steps import (
    difference_of_one_power,
    power_in,
    sum_of_opposite_powers,
    written_power,
)
from symgrad.ir.stability.steps import FUNCTIONS, difference_of_one_function, sum_with_opposite_factors

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_SUMS = ("add", "sub")
_HELD = FUNCTIONS | {"mul", "div", "pow"}  # also times a number, and powers
_HIGHAM = "Higham 2002, section 1.7"
_MOST_WHOLE = 8  # of exponents that are multiplied out


def _may_hold(ops: Sequence[str]) -> bool:
    """A sum, and beside it a function or a power."""
    first, second = ops
    return (first in _SUMS and second in _HELD) or (second in _SUMS and first in _HELD)


def _kind(g: Graph, node: int) -> str:
    """The function that a node is of, also times a number, "pow" for powers; "" for what is neither."""
    op, args = g.op[node], g.args[node]
    if op in FUNCTIONS:
        return op
    if op == "mul":
        one, other = args
        if g.op[one] == "const":
            if g.op[other] == "mul":
                return "pow" if written_power(g, other) else ""
            return _kind_of_factor(g.op[other])
        is_power = one == other or (g.op[one] == "mul" and other in g.args[one])
        return "pow" if is_power or (g.op[other] == "mul" and one in g.args[other]) else ""
    return "pow" if op == "pow" or (op == "div" and g.op[args[0]] == "const") else ""


def _kind_of_factor(op: str) -> str:
    return op if op in FUNCTIONS or op == "pow" else ""


def _in_sum(g: Graph, a: Args, sign: int) -> int | None:
    """The sum with two terms of it, or three, put together."""
    single = 0 if g.op[a[0]] not in _SUMS else 1
    kind = _kind(g, a[single])
    if not kind:
        return None
    others = terms_of(g, a[1 - single])
    kept = [k for k, (_, t) in enumerate(others) if _kind(g, t) == kind]
    if not kept or len(others) < 2:
        return None
    if sign < 0 and single == 0:
        others = [(-s, t) for s, t in others]
    last = (sign if single == 1 else 1, a[single])
    made = _second_difference(g, [*others, last], [*kept, len(others)])
    if made is not None:
        return made
    for k in kept:
        together = _together(g, last, others[k])
        if together is not None:
            return g.add(sum_of_signed(g, [*others[:k], *others[k + 1 :]]), together)
    return None


def _together(g: Graph, first: tuple[int, int], second: tuple[int, int]) -> int | None:
    """Two signed terms as one difference, if they are of one function of sums with a common term."""
    (s, x), (t, y) = first, second
    one, other = _argument(g, x), _argument(g, y)
    if one is None or other is None or common_terms(g, one, other) is None:
        return None
    rules = (
        (sum_with_opposite_factors, sum_of_opposite_powers) if s == t
        else (difference_of_one_function, difference_of_one_power)
    )  # fmt: skip
    for rule in rules:
        made = rule.apply(g, (x, y)) if rule.on((g.op[x], g.op[y])) else None
        if made is not None:
            return made if s > 0 else g.neg(made)
    return None


def _argument(g: Graph, node: int) -> int | None:
    op, args = g.op[node], g.args[node]
    if op == "mul" and g.op[args[0]] == "const" and g.op[args[1]] in FUNCTIONS:
        op, args = g.op[args[1]], g.args[args[1]]
    if op in FUNCTIONS:
        return int(args[0])
    if op == "div" and g.op[args[0]] == "const" and g.op[args[1]] not in ("mul", "pow"):
        return int(args[1])
    power = power_in(g, node)
    return None if power is None else power.base


@stable(
    "add",
    "f(x + y) - f(x) cancels in a longer sum, too, and f(x + y) - 2*f(x) + f(x - y) twice",
    Audit("exp(x + y) + exp(x - y) - 2*exp(x)", "exp_difference(x/2, y/2, -y/2)**2",
          "two terms whose arguments have a term in common; three of exp, sin, cos, sinh, cosh, log, sqrt or "
          "a power in one distance", _HIGHAM + "; DLMF 4.21, 4.35",
          at_pairs((1.0, 1e-6), (0.5, 1e-3), (2.0, 1e-5), (2.0, 0.5))),
    on=_may_hold,
)  # fmt: skip
def difference_in_sum(g: Graph, a: Args) -> int | None:
    return _in_sum(g, a, 1)


@stable(
    "sub",
    "f(x + y) - f(x) cancels in a longer difference, too",
    Audit("exp(x + y) - y - exp(x)", "exp_difference(x, y, 0) - y", "likewise", _HIGHAM,
          at_pairs((3.0, 1e-9), (0.5, 1e-3), (2.0, 1e-5), (2.0, 5.0))),
    on=_may_hold,
)  # fmt: skip
def difference_from_sum(g: Graph, a: Args) -> int | None:
    return _in_sum(g, a, -1)


# ---- second differences --------------------------------------------------------------------------


class Term(NamedTuple):
    """number * f(argument); of powers f is "pow" and has an exponent."""

    number: Fraction
    function: str
    argument: int
    exponent: int = 0


def _term(g: Graph, sign: int, node: int) -> Term | None:
    number, inner = Fraction(sign), node
    if g.op[node] == "mul" and g.op[g.args[node][0]] == "const":
        q = g.rational(g.args[node][0])
        if q is None:
            return None
        number, inner = number * q, g.args[node][1]
    if g.op[inner] in _SECOND and g.op[inner] != "pow":
        return Term(number, g.op[inner], g.args[inner][0])
    if g.op[inner] == "div":
        q = g.rational(g.args[inner][0])
        if q is not None and g.op[g.args[inner][1]] not in ("mul", "pow"):
            return Term(number * q, "pow", g.args[inner][1], g.minus_one)
    power = power_in(g, node)
    return None if power is None else Term(sign * power.number, "pow", power.base, power.exponent)


def _second_difference(g: Graph, terms: list[tuple[int, int]], kept: list[int]) -> int | None:
    """The sum with f(x + h) - 2*f(x) + f(x - h) in it as one."""
    if len(kept) < 3:
        return None
    found = [(k, term) for k in kept if (term := _term(g, *terms[k])) is not None]
    for k, middle in found:
        ends = [
            (n, t) for n, t in found
            if n != k and (t.function, t.exponent) == (middle.function, middle.exponent)
            and abs(2 * t.number) == abs(middle.number)
        ]  # fmt: skip
        for place, (n, one) in enumerate(ends):
            for m, other in ends[place + 1 :]:
                made = _around(g, middle, one, other)
                if made is not None:
                    rest = [t for at, t in enumerate(terms) if at not in (k, n, m)]
                    return g.add(sum_of_signed(g, rest), made)
    return None


def _around(g: Graph, middle: Term, one: Term, other: Term) -> int | None:
    """Three terms as a second difference, if the arguments of two are as far to both sides of the third."""
    x, number = middle.argument, -middle.number / 2
    for first in _written(g, one):
        for second in _written(g, other):
            if first.number == second.number == number:
                step = _half_way(g, first.argument, x, second.argument)
                if step is not None:
                    return g.mul(g.const(number), _SECOND[middle.function](g, x, step, middle.exponent))
    return None


def _written(g: Graph, term: Term) -> list[Term]:
    """A term, also with the other sign of its argument."""
    sign = {"sin": -1, "sinh": -1, "cos": 1, "cosh": 1}.get(term.function)
    if sign is None:
        return [term]
    return [term, term._replace(number=sign * term.number, argument=g.neg(term.argument))]


def _half_way(g: Graph, a: int, x: int, b: int) -> int | None:
    """h if a = x + h and b = x - h."""
    middle = terms_of(g, x)
    up, missing = remove(terms_of(g, a), middle)
    down, absent = remove(terms_of(g, b), middle)
    if missing or absent or not up or sorted(up) != sorted((-s, t) for s, t in down):
        return None
    return sum_of_signed(g, up)


def _square(g: Graph, x: int) -> int:
    return g.mul(x, x)


def _half(g: Graph, x: int) -> int:
    return g.mul(g.const(Fraction(1, 2)), x)


def _of_exp(g: Graph, x: int, h: int, exponent: int) -> int:
    """(exp((x + h)/2) - exp((x - h)/2))^2."""
    step = _half(g, h)
    return _square(g, difference_node(g, "exp", _half(g, x), step, g.neg(step)))


def _by_wave(function: str, wave: str, sign: int) -> Callable[[Graph, int, int, int], int]:
    """4 f(x) sinh(h/2)^2, or -4 f(x) sin(h/2)^2."""

    def made(g: Graph, x: int, h: int, exponent: int) -> int:
        square = _square(g, g.node(wave, _half(g, h)))
        return g.mul(g.const(4 * sign), g.mul(g.node(function, x), square))

    return made


def _guarded(g: Graph, x: int, h: int, near: Callable[[int, int], int], f: Callable[[int], int]) -> int:
    """By a formula where |h| < x/2, else as it is written."""
    is_near = g.node("lt", g.node("abs", h), _half(g, x))
    ends = g.intern("add", (f(g.add(x, h)), f(g.sub(x, h))))
    apart = g.intern("sub", (ends, g.mul(g.const(2), f(x))))
    return g.where(is_near, near(g.where(is_near, x, g.one), g.where(is_near, h, g.zero)), apart)


def _of_log(g: Graph, x: int, h: int, exponent: int) -> int:
    def near(x: int, h: int) -> int:
        return g.node("log1p", g.neg(_square(g, g.div(h, x))))

    return _guarded(g, x, h, near, lambda at: g.node("log", at))


def _of_root(g: Graph, x: int, h: int, exponent: int) -> int:
    def near(x: int, h: int) -> int:
        up, down, root = (g.node("sqrt", at) for at in (g.add(x, h), g.sub(x, h), x))
        below = g.mul(g.mul(g.add(up, root), g.add(down, root)), g.add(up, down))
        return g.div(g.mul(g.const(-2), _square(g, h)), below)

    return _guarded(g, x, h, near, lambda at: g.node("sqrt", at))


def _of_power(g: Graph, x: int, h: int, p: int) -> int:
    """x^p (exp(s) 2 cosh(t) - 2), s = p/2 log(1 - (h/x)^2) and t = p atanh(h/x)."""
    q = g.rational(p)
    if q is not None and q.denominator == 1 and 0 < q <= _MOST_WHOLE:
        return _of_whole_power(g, x, h, int(q))

    def near(x: int, h: int) -> int:
        r = g.div(h, x)
        s = _half(g, g.mul(p, g.node("log1p", g.neg(_square(g, r)))))
        wave = g.node("sinh", _half(g, g.mul(p, g.node("atanh", r))))
        rest = g.mul(g.const(2), g.mul(g.node("exp", s), _square(g, wave)))
        return g.mul(g.mul(g.const(2), g.node("pow", x, p)), g.add(g.node("expm1", s), rest))

    return _guarded(g, x, h, near, lambda at: g.node("pow", at, p))


def _of_whole_power(g: Graph, x: int, h: int, n: int) -> int:
    """2*(C(n, 2) x^(n-2) h^2 + C(n, 4) x^(n-4) h^4 + ...)."""
    total = g.zero
    for k in range(n - n % 2, 0, -2):
        power = g.mul(g.node("pow", x, g.const(n - k)), g.node("pow", h, g.const(k)))
        total = g.add(total, g.mul(g.const(2 * comb(n, k)), power))
    return total


_SECOND: dict[str, Callable[[Graph, int, int, int], int]] = {
    "exp": _of_exp, "sinh": _by_wave("sinh", "sinh", 1),
    "cosh": _by_wave("cosh", "sinh", 1), "sin": _by_wave("sin", "sin", -1), "cos": _by_wave("cos", "sin", -1),
    "log": _of_log, "sqrt": _of_root, "pow": _of_power,
}  # fmt: skip
