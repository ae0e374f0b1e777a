"""Differences of two squares, and signs. The last module: rules for particular squares are tried before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symgrad.ir.rules import MULTIPLE, ONE, SQUARE, Args, all_among, among, exactly
from symgrad.ir.stability.audit import Audit, at, at_pairs, stable
from symgrad.ir.stability.patterns import factors_of, quotient_of, root_of_square, without

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_SQUARES = (SQUARE, MULTIPLE, ONE, "const", "cast")  # what may be one


@stable(
    "sub",
    "the squares are rounded before they cancel; x - y is exact where x is near y",
    Audit(
        "x**2 - y**2", "square_difference(x, y)", "two squares; the square of a rational number counts",
        "Higham 2002, section 1.7",
        at_pairs((1 + 2.0**-40, 1.0), (3e200, 1e200), (2e-170, 1e-170), (0.3, -0.30000000000000004)),
    ),
    on=among("mul"),
    of=all_among(*_SQUARES),
)  # fmt: skip
def difference_of_squares(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] == g.op[a[1]] == "const":
        return None
    x = root_of_square(g, a[0])
    y = None if x is None else root_of_square(g, a[1])
    return None if x is None or y is None else g.node("square_difference", x, y)


@stable(
    "add",
    "x**2 - 1 is the difference of two squares",
    Audit("x**2 - 1", "square_difference(x, 1)", "a square less that of a rational number",
          "Higham 2002, section 1.7", at(1 + 2.0**-40, 1.000000123, -3.0, 1e-9)),
    on=exactly("mul", "const"),
    of=among(MULTIPLE, SQUARE),
)  # fmt: skip
def square_less_a_number(g: Graph, a: Args) -> int | None:
    for number, square in (a, a[::-1]):
        if g.op[number] == "const" and g.op[square] == "mul":
            x, y = root_of_square(g, square), root_of_square(g, g.neg(number))
            return None if x is None or y is None else g.node("square_difference", x, y)
    return None


@stable(
    "sign",
    "the sign of x**3 is that of x, which does not underflow",
    Audit("sign(x**3)", "sign(x)", "equal factors; by pairs of two, |x| for two", "school mathematics",
          at(1e-200, -3.0, 0.0)),
    on=among("mul"),
)  # fmt: skip
def sign_of_power(g: Graph, a: Args) -> int | None:
    factors = factors_of(g, a[0]) if g.op[a[0]] == "mul" else []
    if len(factors) < 2 or len(set(factors)) > 1:
        return None
    return g.node("sign", factors[0] if len(factors) % 2 else g.node("abs", factors[0]))


@stable(
    "mul",
    "|x|*sign(x) is x, whose derivative at 0 is 1",
    Audit("Abs(x)*sign(x)", "x", "with other factors too; cube roots of cubes are made of it",
          "school mathematics", at(0.0, -2.5, 1e-300), is_limit=True),
    on=among("sign"),
)  # fmt: skip
def modulus_times_sign(g: Graph, a: Args) -> int | None:
    for sign, other in (a, a[::-1]):
        if g.op[sign] != "sign":
            continue
        factors, modulus = factors_of(g, other), g.node("abs", g.args[sign][0])
        if modulus in factors:
            rest = without(factors, factors.index(modulus))
            return quotient_of(g, [*rest, g.args[sign][0]], [])
    return None


@stable(
    "div",
    "x/|x| by the quotient rule has derivatives that cancel, or do not",
    Audit("x*y/(Abs(x)*Abs(y))", "sign(x)*sign(y)", "a factor above and its modulus below, or the other way",
          "school mathematics", at_pairs((5e-200, 3e-200), (-1e200, 3e200), (0.3, 0.1))),
    on=lambda ops: any(op in ("abs", "mul") for op in ops),
    needs=("abs",),
)  # fmt: skip
def quotient_by_modulus(g: Graph, a: Args) -> int | None:
    above, below = factors_of(g, a[0]), factors_of(g, a[1])
    for mine, others, is_above in ((below, above, False), (above, below, True)):
        for place, factor in enumerate(mine):
            if g.op[factor] == "abs" and (x := g.args[factor][0]) in others:
                rest = without(others, others.index(x))
                made = [*without(mine, place), g.node("sign", x)]
                return quotient_of(g, made, rest) if is_above else quotient_of(g, [*rest, made.pop()], made)
    return None
