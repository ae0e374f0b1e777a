"""The complementary error function: where erf saturates, and its logarithm where it underflows."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.decay import FAR
from symgrad.ir.rules import Args, among
from symgrad.ir.signs import is_never_negative
from symgrad.ir.stability.audit import Audit, at, at_pairs, stable
from symgrad.ir.stability.completed_squares import root_left
from symgrad.ir.stability.patterns import argument_of, factors_of, quotient_of, without

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_DLMF = "DLMF 7.2.2"
_FAR = "DLMF 7.8.1, 7.9.4"
_OVERFLOWS, _UNDERFLOWS = (
    (85, 700),
    (9, Fraction(53, 2)),
)  # exp(y) and erfc(x), in single and in double precision
_ERFC_IS_TWO = -FAR  # as are all of its derivatives 0, also times exp(y)


def _multiple_of(g: Graph, op: str, node: int) -> tuple[int, int] | None:
    """(c, x) if the node is c*op(x) for a number c."""
    if g.op[node] == op:
        return g.one, int(g.args[node][0])
    if g.op[node] != "mul":
        return None
    c, rest = g.args[node]
    return (c, int(g.args[rest][0])) if g.op[c] == "const" and g.op[rest] == op else None


def _complement(g: Graph, number: int, other: int, sign: int) -> int | None:
    """c + sign*c*erf(x) as c*erfc(-sign*x); 2*c - c*erfc(x) as c*erfc(-x)."""
    found = _multiple_of(g, "erf", other)
    if found is not None and number in (found[0], g.neg(found[0])):
        direction = -sign if number == found[0] else sign
        return g.mul(number, g.node("erfc", found[1] if direction > 0 else g.neg(found[1])))
    found = _multiple_of(g, "erfc", other)
    if found is not None and number == g.mul(g.const(-2 * sign), found[0]):
        return g.mul(g.const(-sign), g.mul(found[0], g.node("erfc", g.neg(found[1]))))
    return None


@stable(
    "sub",
    "1 - erf(x) cancels where erf saturates",
    Audit("1 - erf(x)", "erfc(x)", "always; 2 - erfc(x) is erfc(-x), with common factors too", _DLMF,
          at(5.0, 20.0, 0.5, -3.0)),
    on=among("const"),
    needs=("erf", "erfc"),
)  # fmt: skip
def one_minus_erf(g: Graph, a: Args) -> int | None:
    for number, other, sign in ((a[0], a[1], 1), (a[1], a[0], -1)):
        made = _complement(g, number, other, -1) if g.op[number] == "const" else None
        if made is not None:
            return made if sign > 0 else g.neg(made)
        x = argument_of(g, "erfc", other)
        if number == g.one and x is not None:
            return g.node("erf", x) if sign > 0 else g.neg(g.node("erf", x))
    return None


@stable(
    "add",
    "1 + erf(x) cancels where erf saturates",
    Audit("1 + erf(x)", "erfc(-x)", "always, with a common factor too", _DLMF, at(-5.0, -20.0, 0.5, 3.0)),
    on=among("const"),
    needs=("erf", "erfc"),
)  # fmt: skip
def one_plus_erf(g: Graph, a: Args) -> int | None:
    for number, other in (a, a[::-1]):
        made = _complement(g, number, other, 1) if g.op[number] == "const" else None
        if made is not None:
            return made
    return None


@stable(
    "log",
    "erfc(x) underflows for x > 26.5, and is rounded to 2 for x < -6",
    Audit("log(erfc(x))", "log_erfc(x), by x: -erfc_hazard(x)", "a number as a factor, too", _FAR,
          at(40.0, 0.25, -3.0, 300.0)),
    on=among("erfc", "mul"),
    needs=("erfc",),
)  # fmt: skip
def log_of_erfc(g: Graph, a: Args) -> int | None:
    found = _multiple_of(g, "erfc", a[0])
    if found is None:
        return None
    c, x = found
    if c == g.const(0.5):
        return g.node("log_half_erfc", x)
    value = g.node("log_erfc", x)
    return value if c == g.one else g.add(value, g.node("log", c))


def _is_square(g: Graph, exponent: int, x: int, sign: int) -> bool:
    """Whether the exponent is sign*x**2, numbers and their roots multiplied out."""
    wanted, of_x = _sorted(g, factors_of(g, x) * 2)
    number, factors = _sorted(g, factors_of(g, exponent))
    return wanted is not None and number == sign * wanted and factors == of_x


def _sorted(g: Graph, factors: list[int]) -> tuple[Fraction | None, list[int]]:
    """The product of the numbers among factors, and the others; roots of numbers come in pairs."""
    number, roots, others = Fraction(1), Fraction(1), list[int]()
    for f in factors:
        q = g.rational(f)
        under = g.rational(g.args[f][0]) if g.op[f] == "sqrt" else None
        if q is not None:
            number *= q
        elif under is not None:
            roots *= under
        else:
            others.append(f)
    root = g.rational(g.node("sqrt", g.const(roots)))
    return None if root is None else number * root, sorted(others)


def _of_both(g: Graph, powers: list[int], others: list[int], sign: int) -> tuple[int, int, int] | None:
    """The places of exp(sign*x**2) and erfc(x), and x."""
    for k, f in enumerate(others):
        x = argument_of(g, "erfc", f)
        for j, power in enumerate(powers if x is not None else ()):
            if x is not None and g.op[power] == "exp" and _is_square(g, g.args[power][0], x, sign):
                return j, k, x
    return None


@stable(
    "mul",
    "exp(x**2) overflows and erfc(x) underflows where their product is 1/(sqrt(pi)*x)",
    Audit("exp(x**2)*erfc(x)", "erfcx(x), by x: -erfcx(x)*erfc_excess(x)", "numbers as factors of x, too",
          _FAR, at(30.0, 300.0, 0.5, -3.0)),
    on=among("exp", "erfc"),
    needs=("erfc",),
)  # fmt: skip
def exp_times_erfc(g: Graph, a: Args) -> int | None:
    factors = [*factors_of(g, a[0]), *factors_of(g, a[1])]
    found = _of_both(g, factors, factors, 1)
    if found is None:
        return None
    rest = [f for k, f in enumerate(factors) if k not in found[:2]]
    return quotient_of(g, [*rest, g.node("erfcx", found[2])], [])


@stable(
    "mul",
    "exp(y) overflows and erfc(x) underflows where their product does neither: advection with dispersion",
    Audit("exp(y)*erfc(x)", "exp(y - x**2)*erfcx(x) where one of them is out of range and x > 1",
          "y may be positive; for all x > 1, and with -w**2 for y - x**2, if x has the terms for it", _FAR,
          at_pairs((26.6, 700.0), (30.0, 900.0), (30.0, 800.0), (0.5, 3.0), (-3.0, 2.0))),
    on=among("exp", "erfc"),
    needs=("erfc",),
)  # fmt: skip
def any_exp_times_erfc(g: Graph, a: Args) -> int | None:
    factors = [*factors_of(g, a[0]), *factors_of(g, a[1])]
    power = next((k for k, f in enumerate(factors) if _may_overflow(g, f)), None)
    other = next((k for k, f in enumerate(factors) if g.op[f] == "erfc"), None)
    if power is None or other is None:
        return None
    (y,), (x,) = g.args[factors[power]], g.args[factors[other]]
    root = root_left(g, y, x)
    exponent = g.sub(y, g.mul(x, x)) if root is None else g.neg(g.mul(root, root))
    is_together = _is_together(g, y, x, root)
    first = g.where(is_together, g.node("exp", exponent), factors[power])
    second = g.where(is_together, g.node("erfcx", x), factors[other])
    twice = g.mul(g.const(2), factors[power])
    made = g.where(g.node("lt", x, g.const(_ERFC_IS_TWO)), twice, g.mul(first, second))
    return quotient_of(g, [made, *(f for k, f in enumerate(factors) if k not in (power, other))], [])


def _may_overflow(g: Graph, node: int) -> bool:
    return g.op[node] == "exp" and not is_never_negative(g, g.neg(g.args[node][0]))


def _is_together(g: Graph, y: int, x: int, root: int | None) -> int:
    """Below 1, second derivatives of erfcx by x cancel; x**2 is rounded, which is seen where it is large."""
    is_right = g.node("lt", g.one, x)
    if root is not None:
        return is_right
    is_single = g.intern("eq", (g.const(Fraction(2) ** 1000), g.const(float("inf"))))
    most, farthest = (
        g.where(is_single, g.const(single), g.const(double)) for single, double in (_OVERFLOWS, _UNDERFLOWS)
    )
    return g.node("and", is_right, g.node("or", g.node("lt", most, y), g.node("lt", farthest, x)))


def is_in_range(g: Graph, node: int) -> bool:
    """Whether it is the product that is made above, or one of its two factors."""
    if g.op[node] != "where":
        return False
    condition, *arms = g.args[node]
    if g.op[condition] == "lt" and g.args[condition][1] == g.const(_ERFC_IS_TWO):
        return g.op[arms[1]] == "mul" and all(is_in_range(g, f) for f in g.args[arms[1]])
    return [g.op[arm] for arm in arms] in (["exp", "exp"], ["erfcx", "erfc"])


@stable(
    "log",
    "exp(y)*erfc(x) overflows and underflows before its logarithm",
    Audit("log(exp(y)*erfc(x))", "y + log_erfc(x)", "likewise, with -w**2 + log(erfcx(x)) for x > 1", _FAR,
          at_pairs((5.0, 20.0), (40.0, 900.0), (-3.0, 900.0), (0.5, 3.0))),
    on=among("where"),
)  # fmt: skip
def log_of_exp_times_erfc(g: Graph, a: Args) -> int | None:
    if not is_in_range(g, a[0]):
        return None
    return g.where(g.args[a[0]][0], *(g.node("log", arm) for arm in g.args[a[0]][1:]))


@stable(
    "div",
    "exp(-x**2)/erfc(x) is 0/0 for x > 26.5, where it is sqrt(pi)*x",
    Audit("exp(-x**2)/erfc(x)", "sqrt(pi)/2*erfc_hazard(x)", "likewise", _FAR, at(30.0, 300.0, 0.5, -3.0)),
    on=lambda ops: ops[0] in ("exp", "mul", "neg") and ops[1] in ("erfc", "mul", "neg"),
    needs=("erfc",),
)  # fmt: skip
def exp_over_erfc(g: Graph, a: Args) -> int | None:
    above, below = factors_of(g, a[0]), factors_of(g, a[1])
    found = _of_both(g, above, below, -1)
    if found is None:
        return None
    j, k, x = found
    half_root_pi = g.mul(g.const(Fraction(1, 2)), g.node("sqrt", g.const("pi")))
    return quotient_of(g, [*without(above, j), half_root_pi, g.node("erfc_hazard", x)], without(below, k))
