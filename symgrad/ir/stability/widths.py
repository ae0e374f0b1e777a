"""Losses and densities with a width, functions of 1 + (x/k)**2: Cauchy's, pseudo-Huber, Student's t.

SymPy writes (x/k)**2 as x**2/k**2, and both squares leave the range of numbers before the quotient does.
Where the sum with a number stands alone, no other sum looks for either of the squares.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.product import product_of
from symgrad.ir.rules import Args, among
from symgrad.ir.stability.audit import Audit, at_pairs, stable
from symgrad.ir.stability.patterns import (
    factors_of,
    one_plus,
    quotient_of,
    remove,
    root_of_square,
    without,
)

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_MOST_FACTORS = 6  # of the term beside the number
_WHY = "x**2/k**2 is 0/0 or inf/inf where (x/k)**2 is a number"
_POINTS = at_pairs((3e200, 2e200), (-1e-180, 3e-180), (0.3, -0.7), (1.0, 0.25))


@stable(
    "log1p",
    _WHY,
    Audit("log(1 + x**2/y**2)", "log1p((x/y)**2)", "a square over a square", "Blue 1978", _POINTS),
    on=among("div", "mul"),
    needs=("div",),
)  # fmt: skip
def log1p_of_squares(g: Graph, a: Args) -> int | None:
    made = _square_of_quotient(g, a[0])
    return None if made is None or not _is_square(g, made) else g.node("log1p", made)


@stable(
    "sqrt",
    _WHY,
    Audit("sqrt(1 + x**2/y**2)", "hypot(x/y, 1)", "likewise, beside a positive number", "Blue 1978", _POINTS),
    on=among("add"),
    needs=("div",),
)  # fmt: skip
def root_beside_number(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] != "add":
        return None
    for number, term in (g.args[a[0]], g.args[a[0]][::-1]):
        side = root_of_square(g, number) if g.op[number] == "const" else None
        squares = None if side is None else _squares(g, term, may_be_reciprocal=True)
        times = None if squares is None else root_of_square(g, g.const(squares[0]))
        if side is not None and squares is not None and times is not None:
            return g.node("hypot", g.mul(times, g.div(*squares[1:])), side)
    return None


@stable(
    "div",
    _WHY,
    Audit("(1 + x**2/y**2)**(-3/2)", "(abs(y)/h)**3, h = hypot(x, y)", "likewise, beside 1; powers by halves",
          "Blue 1978", _POINTS),
    on=among("add", "mul", "pow"),
    needs=("div",),
)  # fmt: skip
def over_square_beside_one(g: Graph, a: Args) -> int | None:
    below = factors_of(g, a[1])
    for place, factor in enumerate(below):
        s, power = g.args[factor] if g.op[factor] == "pow" else (factor, g.one)
        times = 2 * (g.rational(power) or 0)
        cosine = _cosine(g, s) if times.denominator == 1 and 0 < times <= _MOST_FACTORS else None
        if cosine is not None:
            return quotient_of(g, [a[0], *([cosine] * int(times))], without(below, place))
    return None


@stable(
    "mul",
    "k**2*(sqrt(1 + (x/k)**2) - 1) is inf*0 or 0*inf, and its derivatives by k cancel far out",
    Audit(
        "y**2*(sqrt(1 + (x/y)**2) - 1)", "pseudo_huber(x, abs(y))",
        "by y once sign(y)*hypot_less_side(abs(y), x)", "Charbonnier et al. 1997", _POINTS,
    ),
    on=among("hypot1m1"),
    needs=("hypot1m1",),
)  # fmt: skip
def root_less_one_times_width(g: Graph, a: Args) -> int | None:
    for root, other in (a, a[::-1]):
        if g.op[root] != "hypot1m1" or g.op[g.args[root][0]] != "div":
            continue
        x, k = g.args[g.args[root][0]]
        factors, width = factors_of(g, other), g.node("abs", k)
        own = factors_of(g, k)
        rest, missing = remove(factors, own)
        if missing:
            return None
        less, missing = remove(rest, own)
        if not missing:
            return quotient_of(g, [*less, g.node("pseudo_huber", x, width)], [])
        return quotient_of(g, [*rest, g.node("sign", k), g.node("hypot_less_side", width, x)], [])
    return None


@stable(
    "div",
    "x/sqrt(1 + (x/k)**2), the slope of a loss with a width, cancels in its derivatives by k",
    Audit("x/sqrt(1 + x**2/y**2)", "altitude(x, abs(y))", "x a factor above", "Pythagoras", _POINTS),
    on=among("hypot", "mul"),
    needs=("hypot",),
)  # fmt: skip
def side_over_root_beside_one(g: Graph, a: Args) -> int | None:
    below = factors_of(g, a[1]) if g.op[a[1]] in ("hypot", "mul") else []
    for place, root in enumerate(below):
        quotient = g.args[root][0] if g.op[root] == "hypot" and g.args[root][1] == g.one else None
        if quotient is None or g.op[quotient] != "div":
            continue
        (x, k), above = g.args[quotient], factors_of(g, a[0])
        if x in above:
            rest, _ = remove(above, [x])
            made = g.node("altitude", x, g.node("abs", k))
            return quotient_of(g, [*rest, made], without(below, place))
    return None


def _cosine(g: Graph, s: int) -> int | None:
    """1/sqrt(1 + (x/k)**2) of 1 + x**2/k**2, by the sides x and k; 1 for an infinite width."""
    squares = _squares(g, one_plus(g, s) or g.one)
    number = None if squares is None else root_of_square(g, g.const(squares[0]))
    if squares is None or number is None:
        return None
    x, k = g.mul(number, squares[1]), g.node("abs", squares[2])
    infinity = g.const(float("inf"))
    is_flat = g.node("and", g.node("eq", k, infinity), g.node("lt", g.node("abs", x), infinity))
    return g.where(is_flat, g.one, g.node("direction_cosine", k, x))


def _is_square(g: Graph, node: int) -> bool:
    return g.op[node] == "mul" and g.args[node][0] == g.args[node][1]


def _square_of_quotient(g: Graph, term: int) -> int | None:
    """The same term with (x/k)**2 for x**2/k**2, if there is nothing else in it but a number."""
    squares = _squares(g, term)
    if squares is None:
        return None
    number, x, k = squares
    quotient = g.div(x, k)
    made = g.mul(g.const(number), g.mul(quotient, quotient))
    return None if made == term else made


def _squares(g: Graph, term: int, may_be_reciprocal: bool = False) -> tuple[Fraction, int, int] | None:
    """(c, x, k) of c*x**2/k**2, for a number c and nothing else; x may be 1 only if that is asked for."""
    parts = product_of(g, term, _MOST_FACTORS) if g.op[term] in ("div", "mul") else None
    if parts is None or parts.number < 0:
        return None
    above = parts.above or ((g.one, g.one) if may_be_reciprocal else ())
    below = sorted(parts.below, key=g.order_key)
    if len(above) != 2 or above[0] != above[1] or not below or below[::2] != below[1::2]:
        return None
    if any(g.op[k] in ("cast", "const") for k in below):
        return None
    return parts.number, above[0], quotient_of(g, below[::2], [])
