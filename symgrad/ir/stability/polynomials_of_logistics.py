"""Polynomials of a logistic function p, and their logarithms: sums that cancel where p is 0, 1/2 or 1.

With q = 1 - p = logistic(-z), every polynomial in p is homogeneous in p and q, as 1 is p + q:

    1 - p**3 = (p + q)**3 - p**3 = q*(3*p**2 + 3*p*q + q**2)

In this form, that of Bernstein, what vanishes at p = 1 has a factor q, what vanishes at p = 0 a factor p, and
what vanishes at z = 0 a factor p - q = tanh(z/2). What is left cancels nowhere if it has one sign. The slope
p*q, tanh(z/2) and sech(z/2)**2 = 4*p*q are such polynomials, and so are the derivatives of all.

Source: Farouki 2012, The Bernstein polynomial basis: a centennial retrospective, sections 3 and 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.rules import Args
from symgrad.ir.stability.audit import Audit, at, stable
from symgrad.ir.stability.bernstein import (
    APART,
    ONE,
    Coefficients,
    Form,
    P,
    Q,
    form_of,
    orders_of,
    plus,
    times,
)
from symgrad.ir.stability.patterns import (
    all_factors,
    argument_of,
    numbered,
    quotient_of,
    sum_of_signed,
    terms_of,
)
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_SOURCE = "Farouki 2012, sections 3 and 6"
_POINTS = at(40.0, 800.0, -40.0, 3.0, 1e-8)
_LOGISTIC = ("logistic", "logistic_slope", "tanh", "sech")
_HALF = Fraction(1, 2)
_MOST_DEGREE = 10
_MOST_TERMS = 12
_MOST_LOOKED_AT = 12  # factors, to see whether there is a logistic function
_MOST_DEPTH = 3  # of sums in products in sums


# ---- what is such a polynomial -----------------------------------------------------------------


@dataclass(frozen=True)
class Unit:
    """z = times*x: the x of a logistic function, and the number before it; the function itself."""

    x: int | tuple[int, int]
    times: Fraction
    function: int

    def z(self, g: Graph) -> int:
        (z,) = g.args[self.function]
        return g.mul(g.const(2), z) if g.op[self.function] in ("tanh", "sech") else z


def _unit(g: Graph, node: int) -> Unit | None:
    """The z of logistic(z), or of tanh(z/2); of x - y and y - x it is the same but for the number."""
    op = g.op[node]
    if op not in _LOGISTIC:
        return None
    (z,) = g.args[node]
    times, _ = numbered(g, z)
    if op in ("tanh", "sech"):
        times = 2 * times
    x = _value(g, node)
    is_turned = isinstance(x, tuple) and g.args[numbered(g, z)[1]] != x
    return Unit(x, -times if is_turned else times, node)


def _functions(g: Graph, node: int) -> list[int]:
    """The logistic functions among the factors of a product of a few, or of the last terms of a sum."""
    ops, args = g.op, g.args
    found, stack = [], [*args[node]] if ops[node] in ("add", "sub") else [node]
    for _ in range(_MOST_LOOKED_AT):
        if not stack:
            break
        n = stack.pop()
        op = ops[n]
        if op == "mul":
            stack += args[n]
        elif op in ("neg", "div"):
            stack.append(args[n][0])
        elif op in _LOGISTIC:
            found.append(n)
    return found


def _value(g: Graph, function: int) -> int | tuple[int, int]:
    """The x of its unit, before any number is looked at."""
    z = int(g.args[function][0])
    if g.op[z] in ("neg", "mul"):
        _, z = numbered(g, z)
    if g.op[z] != "sub":
        return z
    first, second = g.args[z]
    return (first, second) if first < second else (second, first)


def _of_function(g: Graph, node: int, of: Unit) -> Coefficients:
    """A function of a unit as a polynomial; for sech(z/2) its square."""
    unit = _unit(g, node)
    is_same = unit is not None and unit.times == of.times
    if g.op[node] == "logistic":
        return P if is_same else Q
    if g.op[node] == "tanh":
        return APART if is_same else times((Fraction(-1),), APART)
    return times((Fraction(4 if g.op[node] == "sech" else 1),), times(P, Q))


@dataclass(frozen=True)
class Term:
    """A product: the factors that are polynomials, their number, and the other factors above and below."""

    parts: tuple[int, ...]
    number: Fraction
    others: tuple[int, ...]
    divisors: tuple[int, ...]


def _split(g: Graph, node: int, of: Unit, depth: int = _MOST_DEPTH) -> Term:
    """A product taken apart; one sech of an odd number is no polynomial."""
    above, below = all_factors(g, node)
    parts, others, number = list[int](), list[int](), Fraction(1)
    for factor in above:
        q = g.rational(factor) if g.op[factor] == "const" else None
        if q is not None:
            number *= q
        elif _is_function(g, factor, of) or (depth and _is_sum(g, factor, of, depth - 1)):
            parts.append(factor)
        else:
            others.append(factor)
    halves = [factor for factor in parts if g.op[factor] == "sech"]
    if len(halves) % 2:
        parts.remove(halves[0])
        others.append(halves[0])
    for factor in below:
        q = g.rational(factor) if g.op[factor] == "const" else None
        number = number / q if q else number
    divisors = [factor for factor in below if g.op[factor] != "const" or not g.rational(factor)]
    return Term(tuple(parts), number, tuple(sorted(others)), tuple(sorted(divisors)))


def _is_function(g: Graph, node: int, of: Unit) -> bool:
    if g.op[node] not in _LOGISTIC or _value(g, node) != of.x:
        return False
    unit = _unit(g, node)
    return unit is not None and abs(unit.times) == abs(of.times)


def _is_sum(g: Graph, node: int, of: Unit, depth: int) -> bool:
    """Whether all of a sum is a polynomial."""
    if g.op[node] not in ("add", "sub"):
        return False
    return all(
        term != node and _is_whole(_split(g, term, of, depth)) for _, term in terms_of(g, node, _MOST_TERMS)
    )


def _is_whole(term: Term) -> bool:
    return not term.others and not term.divisors


def _polynomial(g: Graph, term: Term, of: Unit) -> Coefficients | None:
    """The product of the parts of a term, squares of sech(z/2) as such; None if its degree is too high."""
    made: Coefficients = (term.number,)
    halves = 0
    for part in term.parts:
        halves += g.op[part] == "sech"
        if g.op[part] == "sech" and halves % 2:
            continue
        factor = _sum(g, part, of) if g.op[part] in ("add", "sub") else _of_function(g, part, of)
        if factor is None or len(made) + len(factor) > _MOST_DEGREE + 2:
            return None
        made = times(made, factor)
    return made


def _sum(g: Graph, node: int, of: Unit) -> Coefficients | None:
    total: Coefficients = (Fraction(0),)
    for sign, term in terms_of(g, node, _MOST_TERMS):
        made = _polynomial(g, _split(g, term, of), of)
        if made is None:
            return None
        total = plus(total, made, sign)
    return total


def _written(g: Graph, form: Form, z: int) -> list[int]:
    """The factors of a form."""
    p, q = g.node("logistic", z), g.node("logistic", g.neg(z))
    factors = [g.const(form.number), *[p] * form.above, *[q] * form.below]
    factors += [g.node("tanh", g.mul(g.const(_HALF), z))] * form.odd
    return factors if len(form.rest) == 1 else [*factors, _bernstein(g, form.rest, z)]


def _bernstein(g: Graph, c: Coefficients, z: int) -> int:
    p, q = g.node("logistic", z), g.node("logistic", g.neg(z))
    total = g.zero
    for k, x in enumerate(c):
        term = quotient_of(g, [g.const(abs(x)), *[p] * k, *[q] * (len(c) - 1 - k)], [])
        total = g.add(total, term) if x > 0 else g.sub(total, term) if x else total
    return total


# ---- sums --------------------------------------------------------------------------------------


_PARTS = ("mul", "div", "add", "sub", "const", *_LOGISTIC)  # what is negated is subtracted first


def _may_cancel(ops: Sequence[str]) -> bool:
    return all(op in _PARTS for op in ops) and any(op != "const" for op in ops)


@stable(
    "add",
    "a polynomial of a logistic function cancels where p is 0, 1/2 or 1, and all of it vanishes there",
    Audit("tanh(x)**3 + 1", "2*q*(3*p**2 + q**2), p = logistic(-2*x)",
          "some terms are larger there than their sum; other factors are those of all", _SOURCE, _POINTS),
    on=_may_cancel,
    needs=_LOGISTIC,
)  # fmt: skip
def sum_of_logistic_polynomials(g: Graph, a: Args) -> int | None:
    return _together(g, a, 1)


@stable(
    "sub",
    "1 - p**3 cancels where p is near 1",
    Audit("1 - 1/(1 + exp(-x))**3", "q*(3*p**2 + 3*p*q + q**2)", "likewise", _SOURCE, _POINTS),
    on=_may_cancel,
    needs=_LOGISTIC,
)  # fmt: skip
def difference_of_logistic_polynomials(g: Graph, a: Args) -> int | None:
    return _together(g, a, -1)


def _together(g: Graph, a: Args, sign: int) -> int | None:
    of = _shared(g, a)
    if of is None:
        return None
    sides = [terms_of(g, side, _MOST_TERMS) for side in a]
    beside = {_beside(g, term, of.x) for _, term in sides[1]}
    if not any(_beside(g, term, of.x) in beside for _, term in sides[0]):
        return None
    terms = [*sides[0], *((sign * s, term) for s, term in sides[1])]
    groups: dict[tuple[tuple[int, ...], ...], list[tuple[int, int, Term]]] = {}
    for s, term in terms:
        split = _split(g, term, of)
        groups.setdefault((split.others, split.divisors), []).append((s, term, split))
    if len(groups) == len(terms):
        return None
    found, is_better = list[tuple[int, int]](), False
    for (others, divisors), group in groups.items():
        total = _cancelled(g, group, of)
        if total is None:
            found += [(s, term) for s, term, _ in group]
            continue
        is_better = True
        if any(total):
            factors = [*others, *_written(g, form_of(total), of.z(g))]
            found.append((1, quotient_of(g, factors, [*divisors])))
    return sum_of_signed(g, found) if is_better else None


def _beside(g: Graph, term: int, x: int | tuple[int, int]) -> tuple[int, ...]:
    """The factors of a term that no polynomial has: most terms share them with no other one."""
    ops, args = g.op, g.args
    found, stack = [], [term]
    for _ in range(_MOST_LOOKED_AT):
        if not stack:
            break
        n = stack.pop()
        op = ops[n]
        if op == "mul":
            stack += args[n]
        elif op == "neg":
            stack.append(args[n][0])
        elif op == "div":
            stack.append(args[n][0])
            found += [-args[n][1]] if ops[args[n][1]] != "const" else []
        elif op not in ("const", "add", "sub", "sech") and (op not in _LOGISTIC or _value(g, n) != x):
            found.append(n)
    return tuple(sorted((*found, *stack)))


def _cancelled(g: Graph, group: Sequence[tuple[int, int, Term]], of: Unit) -> Coefficients | None:
    """The total of some terms with the same other factors; None if nothing cancels in it as it is written."""
    if len(group) < 2:
        return None
    total: Coefficients = (Fraction(0),)
    parts = []
    for sign, _, term in group:
        made = _polynomial(g, term, of)
        if made is None or max(len(made), len(total)) > _MOST_DEGREE + 1:
            return None
        parts.append(made)
        total = plus(total, made, sign)
    return total if _cancels(parts, total) else None


def _shared(g: Graph, a: Args) -> Unit | None:
    """What both sides of a sum are functions of; a number is one of anything."""
    first = _functions(g, a[0])
    second = _functions(g, a[1]) if first or _has_number(g, a[0]) else []
    if first and second:
        known = {_value(g, f) for f in second}
        return next((_unit(g, f) for f in first if _value(g, f) in known), None)
    alone, other = (first, a[1]) if first else (second, a[0])
    return _unit(g, alone[0]) if alone and _has_number(g, other) else None


def _has_number(g: Graph, node: int) -> bool:
    """A number, or a sum of one and something."""
    return g.op[node] == "const" or (
        g.op[node] in ("add", "sub") and any(g.op[x] == "const" for x in g.args[node])
    )


def _cancels(parts: Sequence[Coefficients], total: Coefficients) -> bool:
    """Whether the total has a zero of a higher order than some part, at p = 0, 1 or 1/2."""
    parts = [part for part in parts if any(part)]
    if len(parts) < 2 or not any(total):
        return len(parts) > 1
    orders, whole = [orders_of(part)[:3] for part in parts], orders_of(total)[:3]
    return any(min(order[k] for order in orders) < whole[k] for k in range(3))


# ---- logarithms --------------------------------------------------------------------------------


@stable(
    "log",
    "a polynomial of a logistic function underflows, or is rounded to 1, before its logarithm",
    Audit("log(1 - 1/(1 + exp(-x))**2)", "log1p(-p**2) for x < 0, -softplus(x) + log(2*p + q) for x > 0",
          "a quotient of two such, of one sign", _SOURCE, _POINTS),
    on=lambda ops: ops[0] in ("add", "sub", "mul", "div"),
    needs=_LOGISTIC,
)  # fmt: skip
def log_of_logistic_polynomials(g: Graph, a: Args) -> int | None:
    above, below = all_factors(g, a[0])
    of = next((_unit(g, f) for n in (*above, *below) for f in _functions(g, n)), None)
    if of is None or _is_one_sided(g, of.z(g)):
        return None
    z, found = of.z(g), [_all_of(g, side, of) for side in (above, below)]
    if found[0] is None or found[1] is None or not any(found[0]):
        return None
    top, bottom = (form_of(c) for c in found if c is not None)
    is_simple = len(top.rest) == 1 == len(bottom.rest)
    number = top.number / bottom.number
    if is_simple or number <= 0 or top.odd or bottom.odd or min(*top.rest, *bottom.rest) < 0:
        return None
    p_power, q_power = top.above - bottom.above, top.below - bottom.below
    ends = number * top.rest[-1] / bottom.rest[-1], number * top.rest[0] / bottom.rest[0]
    near = q_power == 0 and ends[0] == 1, p_power == 0 and ends[1] == 1
    if not any(near) and not p_power and not q_power:
        return None
    lower, upper = _sides(g, z)
    down, up = (
        _log1p(g, found[0], found[1], side) if is_near else _log(g, top, bottom, side)
        for is_near, side in ((near[1], lower), (near[0], upper))
    )
    return g.where(g.node("lt", g.zero, z), up, down)


def _all_of(g: Graph, factors: Sequence[int], of: Unit) -> Coefficients | None:
    """The product of a few factors, if that is a polynomial."""
    term = _split(g, quotient_of(g, [*factors], []), of)
    return _polynomial(g, term, of) if _is_whole(term) else None


def _sides(g: Graph, z: int) -> tuple[int, int]:
    """z where it is below 0, and where it is above: what the rule has made of it, it leaves alone."""
    is_above = g.node("lt", g.zero, z)
    return g.where(is_above, g.zero, z), g.where(is_above, z, g.zero)


def _is_one_sided(g: Graph, z: int) -> bool:
    inner = argument_of(g, "neg", z)
    z = z if inner is None else inner
    return g.op[z] == "where" and g.zero in g.args[z][1:]


def _log1p(g: Graph, top: Coefficients | None, bottom: Coefficients | None, z: int) -> int:
    """log(a/b) as log1p((a - b)/b)."""
    a, b = top or ONE, bottom or ONE
    less, below = form_of(plus(a, b, -1)), form_of(b)
    return g.node("log1p", quotient_of(g, _written(g, less, z), _written(g, below, z)))


def _log(g: Graph, top: Form, bottom: Form, z: int) -> int:
    """log(a/b) as a sum of logarithms."""
    rest = g.div(_bernstein(g, top.rest, z), _bernstein(g, bottom.rest, z))
    total = g.node("log", g.mul(g.const(top.number / bottom.number), rest))
    for power, side in ((top.above - bottom.above, g.neg(z)), (top.below - bottom.below, z)):
        total = g.sub(total, g.mul(g.const(power), g.node("softplus", side)))
    return total
