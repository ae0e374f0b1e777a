"""Hyperbolic functions that cancel far out: cosh(x) - sinh(x), coth(x) - 1, sinh(x)/(1 + cosh(x)).

All of them are nearly powers of exp(x) there, and what is left of two is a smaller power, which has a formula
of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.product import NEAR
from symgrad.ir.rules import Args, all_among, among
from symgrad.ir.series.laurent import ROWS
from symgrad.ir.stability.audit import Audit, at, stable
from symgrad.ir.stability.patterns import (
    all_factors,
    argument_of,
    factors_of,
    numbered,
    quotient_of,
    remove,
    without,
)

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_DEFINITION, _DOUBLED = "DLMF 4.28", "DLMF 4.35.21 to 4.35.29"
_HALF = Fraction(1, 2)


def _number_and_others(g: Graph, factors: Sequence[int]) -> tuple[Fraction, list[int]]:
    number, others = Fraction(1), []
    for f in factors:
        q = g.rational(f)
        if q is None:
            others.append(f)
        else:
            number *= q
    return number, others


# ---- cosh(x) - sinh(x) -------------------------------------------------------------------------


_EITHER = ("cosh", "sinh", "mul")


@stable(
    "sub",
    "cosh(x) - sinh(x) cancels for large x, and so do derivatives of exp(-x)*sinh(x)",
    Audit("exp(-x)*sinh(x)", "of derivatives: exp(-x)*exp(-x) for exp(-x)*cosh(x) - exp(-x)*sinh(x)",
          "products that differ by one for the other", _DEFINITION, at(30.0, 3.0, -1e-8, -20.0)),
    on=all_among(*_EITHER),
    needs=("cosh",),
)  # fmt: skip
def difference_of_cosh_and_sinh(g: Graph, a: Args) -> int | None:
    return _exponential(g, a, -1)


@stable(
    "add",
    "cosh(x) + sinh(x) cancels where -x is large",
    Audit("exp(x)*sinh(x)", "of derivatives: exp(x)*exp(x) for exp(x)*cosh(x) + exp(x)*sinh(x)", "likewise",
          _DEFINITION, at(-30.0, -3.0, 1e-8, 20.0)),
    on=all_among(*_EITHER),
    needs=("cosh",),
)  # fmt: skip
def sum_of_cosh_and_sinh(g: Graph, a: Args) -> int | None:
    return _exponential(g, a, 1)


def _exponential(g: Graph, a: Args, sign: int) -> int | None:
    """p*exp(x) or p*exp(-x) for p*cosh(x) and p*sinh(x)."""
    if abs(g.factor_count[a[0]] - g.factor_count[a[1]]) != 1 - NEAR:  # one of each, and the same others
        return None
    (p, first), (q, second) = (_number_and_others(g, factors_of(g, part)) for part in a)
    own, other = remove(first, second)
    if len(own) != 1 or len(other) != 1 or {g.op[own[0]], g.op[other[0]]} != {"cosh", "sinh"}:
        return None
    is_cosh_first = g.op[own[0]] == "cosh"
    cosh, sinh = (own[0], other[0]) if is_cosh_first else (other[0], own[0])
    before_cosh, before_sinh = (p, sign * q) if is_cosh_first else (sign * q, p)
    (u,), (v,) = g.args[cosh], g.args[sinh]
    if abs(p) != abs(q) or u not in (v, g.neg(v)):
        return None
    w = v if before_sinh == before_cosh else g.neg(v)
    made, others = _times_exponential(g, w, remove(first, own)[0])
    for factor in others:
        made = g.mul(factor, made)
    return g.mul(g.const(before_cosh), made)


def _times_exponential(g: Graph, w: int, factors: list[int]) -> tuple[int, list[int]]:
    """exp(w) times a sinh or cosh of w among the factors, which would overflow, and the other factors."""
    doubled = g.mul(g.const(2), w)
    for place, f in enumerate(factors):
        if g.op[f] in ("sinh", "cosh") and w in (u := g.args[f][0], g.neg(u)):
            half = g.const(_HALF if w == u or g.op[f] == "cosh" else -_HALF)
            power = g.node("expm1", doubled) if g.op[f] == "sinh" else g.add(g.node("exp", doubled), g.one)
            return g.mul(half, power), without(factors, place)
    return g.node("exp", w), factors


# ---- 1/tanh(x) ---------------------------------------------------------------------------------


def _may_be_coth(ops: Sequence[str]) -> bool:
    return any(op == "div" or op in ROWS for op in ops) or set(ops) == {"mul", "const"}


@stable(
    "sub",
    "coth(x) is rounded to 1 for x > 19",
    Audit("1 - coth(x)", "-2/expm1(2*x)", "with equal factors; coth(x)**2 - 1 is 1/sinh(x)**2", _DEFINITION,
          at(30.0, 3.0, 300.0, -20.0)),
    on=_may_be_coth,
    needs=("tanh",),
)  # fmt: skip
def coth_less_one(g: Graph, a: Args) -> int | None:
    made = _coth_beside_one(g, a[0], a[1], -1)
    if made is None:
        made = _coth_beside_one(g, a[1], a[0], -1)
        made = None if made is None else g.neg(made)
    return made


@stable(
    "add",
    "coth(x) + 1 is rounded to 0 for x < -19",
    Audit("coth(x) + 1", "-2/expm1(-2*x)", "likewise", _DEFINITION, at(-30.0, -3.0, -300.0, 20.0)),
    on=_may_be_coth,
    needs=("tanh",),
)  # fmt: skip
def coth_plus_one(g: Graph, a: Args) -> int | None:
    made = _coth_beside_one(g, a[0], a[1], 1)
    return _coth_beside_one(g, a[1], a[0], 1) if made is None else made


def _coth_beside_one(g: Graph, coth: int, one: int, sign: int) -> int | None:
    """p*coth(x) + sign*p, and of the square, without what cancels; and p*coth(x) - p*tanh(x)."""
    coth = g.args[coth][-1] if g.op[coth] in ROWS else coth  # x*coth(x) is regular at 0
    if not _may_be_over_tanh(g, coth):
        return None
    above, below = all_factors(g, coth)
    tanh = next((f for f in below if g.op[f] == "tanh"), None)
    if tanh is None:
        return None
    (x,), power = g.args[tanh], below.count(tanh)
    divisors = [f for f in below if f != tanh]
    others, under = all_factors(g, one)
    (p, own), (q, other) = _number_and_others(g, above), _number_and_others(g, others)
    missing, more = remove(own, other)
    if missing or sorted(divisors) != sorted(under) or abs(p) != abs(q):
        return None
    same = sign * q == p
    if more == [tanh] and power == 1 and not same:
        left = g.div(g.const(2), g.node("sinh", g.mul(g.const(2), x)))
    elif more:
        return None
    elif power == 1:
        z = g.mul(g.const(-2 if same else 2), x)
        left = g.div(g.const(-2 if same else 2), g.node("expm1", z))
    elif power == 2 and not same:
        sinh = g.node("sinh", x)
        left = g.div(g.div(g.one, sinh), sinh)
    else:
        return None
    return quotient_of(g, [g.const(p), *own, left], divisors)


def _may_be_over_tanh(g: Graph, node: int) -> bool:
    """Whether a quotient by tanh(x) is there, or beside a number."""
    node = g.args[node][1] if g.op[node] == "mul" else node
    return g.op[node] == "div" and g.op[g.args[node][1]] == "tanh"


@stable(
    "log",
    "coth(x) is rounded to 1 for x > 19",
    Audit("log(coth(x))", "-log(tanh(x))", "always", _DEFINITION, at(1e-9, 0.5, 30.0, 300.0)),
    on=among("div"),
    needs=("tanh",),
)  # fmt: skip
def log_of_coth(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] != "div":
        return None
    one, tanh = g.args[a[0]]
    return g.neg(g.node("log", tanh)) if one == g.one and g.op[tanh] == "tanh" else None


# ---- of half the argument ----------------------------------------------------------------------


@stable(
    "add",
    "1 + cosh(x) overflows before its derivatives over its square do, and these cancel far out",
    Audit("sinh(x)/(1 + cosh(x))", "2*cosh(x/2)**2 for 1 + cosh(x)", "always", _DOUBLED,
          at(30.0, 1e-8, -3.0, 800.0)),
    on=among("cosh"),
)  # fmt: skip
def one_plus_cosh(g: Graph, a: Args) -> int | None:
    for one, other in (a, a[::-1]):
        x = argument_of(g, "cosh", other)
        if x is not None and one == g.one:
            half = g.node("cosh", g.mul(g.const(_HALF), x))
            return g.mul(g.const(2), g.mul(half, half))
    return None


@stable(
    "div",
    "sinh(x) over cosh(x/2) or sinh(x/2) overflows, and cancels with its like",
    Audit("(cosh(x) - 1)/sinh(x)", "tanh(x/2)", "one of the two is sinh(x) alone", _DOUBLED,
          at(30.0, 1e-8, -3.0, 800.0)),
    on=among("sinh"),
)  # fmt: skip
def sinh_beside_its_half(g: Graph, a: Args) -> int | None:
    for doubled, halved in (a, a[::-1]):
        if g.op[doubled] != "sinh":
            continue
        others = factors_of(g, halved)
        if not any(g.op[f] in ("sinh", "cosh") for f in others):
            continue
        half = g.mul(g.const(_HALF), g.args[doubled][0])
        parts = [g.node("sinh", half), g.node("cosh", half)]
        if any(part in others for part in parts):
            rest, others = remove([g.const(2), *parts], others)
            return quotient_of(g, rest, others) if doubled == a[0] else quotient_of(g, others, rest)
    return None


def _may_be_sech(g: Graph, node: int) -> bool:
    """Whether one is there, or one of two factors."""
    if g.op[node] != "mul":
        return g.op[node] == "sech"
    x, y = g.args[node]
    return "sech" in (g.op[x], g.op[y])


@stable(
    "mul",
    "sinh(x) times 1/cosh(x/2) overflows, and its derivatives cancel",
    Audit("sinh(x)/(1 + cosh(x))", "tanh(x/2)", "2*sinh(x/2) for the two", _DOUBLED,
          at(30.0, 1e-8, -3.0, 800.0)),
    on=among("sinh"),
    needs=("sech",),
)  # fmt: skip
def sinh_times_sech(g: Graph, a: Args) -> int | None:
    for sinh, other in (a, a[::-1]):
        if g.op[sinh] != "sinh" or not _may_be_sech(g, other):
            continue
        factors = factors_of(g, other)
        for sech in (f for f in factors if g.op[f] == "sech"):
            (p, x), (q, y) = (numbered(g, g.args[n][0]) for n in (sinh, sech))
            if x == y and p == 2 * q:
                rest = without(factors, factors.index(sech))
                return quotient_of(g, [g.const(2), *rest, g.node("sinh", *g.args[sech])], [])
    return None


@stable(
    "mul",
    "exp(-x)*sinh(x)/x is 0 times infinity where it is 1/(2*x), and its derivatives cancel",
    Audit("exp(-x)*sinh(x)/x", "exprel(-2*x)", "exp(x) counts: exprel(2*x)", _DEFINITION,
          at(30.0, 1e-8, -3.0, 800.0)),
    on=among("sinhc"),
    needs=("sinhc",),
)  # fmt: skip
def exp_times_sinhc(g: Graph, a: Args) -> int | None:
    for sinhc, other in (a, a[::-1]):
        if g.op[sinhc] != "sinhc":
            continue
        (x,), factors = g.args[sinhc], factors_of(g, other)
        for place, factor in enumerate(factors):
            y = argument_of(g, "exp", factor)
            if y is not None and y in (x, g.neg(x)):
                return quotient_of(g, [*without(factors, place), g.node("exprel", g.mul(g.const(2), y))], [])
    return None
