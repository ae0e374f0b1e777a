"""Quotients with a removable singularity at 0, such as sin(x)/x, and their derivatives.

A `Quotient` is f(x) = h(x)/x. Its n-th derivative f_n is an op of its own (`sinc`, `sinc_1`, ...),
because the quotient rule would lose every digit near 0. Two formulas, written once for every target:

    |x| < radius   the Taylor series of f_n at 0
    elsewhere      Leibniz's rule for x f = h, solved for its highest derivative: f_n = (h_n - n f_(n-1)) / x

The radius is where the subtractions of the second formula have stopped to cancel. Derivatives beyond the
last op are the same two formulas in plain nodes, which can be differentiated without end.

Sources: sinc, exp(x) - 1 over x: GSL and SciPy name them `sinc` and `exprel`; (x - sin x)/x^3 is the third
Stumpff function (Stumpff 1959, Himmelsmechanik I; Battin 1999, section 4.5). Leibniz's rule is calculus.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from math import exp, factorial
from typing import TYPE_CHECKING, Any

import numpy as np

from symgrad.ir.op import Op
from symgrad.ir.ops import OPS
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

HIGHEST = 3  # the highest derivative with an op of its own
_EPSILON = Fraction(1, 1 << 60)  # relative size of the first term that the series leaves out
Call = Callable[..., Any]  # an op by name, on whatever numbers the arithmetic has


@dataclass(frozen=True)
class Arithmetic:
    """Numbers to compute with: graph nodes, NumPy arrays, or mpmath's."""

    call: Call
    number: Callable[[Any], Any]


@dataclass(frozen=True)
class Quotient:
    """h(x)/x.

    numerator    (arithmetic, n, x) -> the n-th derivative of h at x.
    coefficient  k -> the coefficient of x^k in the Taylor series of the quotient.
    radius       where the series is used for derivatives.
    """

    name: str
    numerator: Callable[[Arithmetic, int, Any], Any]
    coefficient: Callable[[int], Fraction]
    radius: Fraction
    domain: tuple[float, float]
    written: str
    total: bool = True
    grows: int = 0  # on so many sides as exp(|x|), so that it overflows later than its numerators

    def op(self, order: int) -> str:
        """The op of the derivative of this order."""
        return f"{self.name}_{order}" if order else self.name

    def term(self, order: int, k: int) -> Fraction:
        """The coefficient of x^k in the series of a derivative."""
        return self.coefficient(k + order) * factorial(k + order) / factorial(k)

    def terms(self, order: int) -> list[Fraction]:
        """As many coefficients as doubles can feel within the radius."""
        found: list[Fraction] = []
        largest = Fraction(0)
        while len(found) < 6 or any(abs(c) * self.radius ** (len(found) - 2 + i) > _EPSILON * largest
                                    for i, c in enumerate(found[-2:])):  # fmt: skip
            found.append(self.term(order, len(found)))
            largest = max(largest, abs(found[-1]) * self.radius ** (len(found) - 1))
        return found

    def near(self, a: Arithmetic, order: int, x: Any) -> Any:
        """The series, by Horner's rule; in x^2 where every other coefficient is 0."""
        terms = self.terms(order)
        odd = not any(terms[::2])
        if odd or not any(terms[1::2]):
            series = _horner(a, terms[1::2] if odd else terms[::2], a.call("mul", x, x))
            return a.call("mul", x, series) if odd else series
        return _horner(a, terms, x)

    def away(
        self, a: Arithmetic, order: int, x: Any, lower: Callable[[int], Any] | None = None, at: Any = None
    ) -> Any:
        """Leibniz's rule; `lower` gives the derivatives below `order` (default: by the same rule).

        at  where numerators are taken, if not at x.
        """
        if order and lower is not None:
            return self._leibniz(a, order, x, lower(order - 1))
        value = a.call("div", self.numerator(a, 0, x if at is None else at), x)
        for n in range(1, order + 1):
            value = self._leibniz(a, n, x, value, at)
        return value

    def _leibniz(self, a: Arithmetic, n: int, x: Any, last: Any, at: Any = None) -> Any:
        less = last if n == 1 else a.call("mul", a.number(Fraction(n)), last)
        return a.call("div", a.call("sub", self.numerator(a, n, x if at is None else at), less), x)


def _horner(a: Arithmetic, terms: list[Fraction], x: Any) -> Any:
    value = a.number(terms[-1])
    for c in terms[-2::-1]:
        value = a.call("add", a.call("mul", value, x), a.number(c))
    return value


_FAR, _SHIFT = 80, 40  # f(x) = exp(40)*(numerators at x - 40)/x beyond 80, to the last place
_END, _END_SINGLE = 740, 120  # infinite from here on, in double and in single precision


def _scaled_away(q: Quotient, a: Arithmetic, order: int, x: Any) -> Any:
    """Leibniz's rule for what grows as exp(|x|): numerators overflow before quotients do, and cancel then."""
    is_far = a.call("lt", a.number(Fraction(_FAR)), x)
    is_single = a.call("eq", a.number(Fraction(2) ** 1000), a.number(float("inf")))
    end = a.call("where", is_single, a.number(Fraction(_END_SINGLE)), a.number(Fraction(_END)))
    x = a.call("minimum", x, end)
    shift = a.call("where", is_far, a.number(Fraction(_SHIFT)), a.number(Fraction(0)))
    if q.grows > 1:
        is_low = a.call("lt", x, a.number(Fraction(-_FAR)))
        x = a.call("maximum", x, a.call("neg", end))
        shift = a.call("where", is_low, a.number(Fraction(-_SHIFT)), shift)
        is_far = a.call("or", is_far, is_low)
    scale = a.call("where", is_far, a.number(Fraction(exp(_SHIFT))), a.number(Fraction(1)))
    return a.call("mul", q.away(a, order, x, at=a.call("sub", x, shift)), scale)


# ---- the meanings of a row ---------------------------------------------------------------------


def _in_graph(g: Graph) -> Arithmetic:
    """Nodes that no rule sees: one would make the quotient again."""
    return Arithmetic(lambda op, *args: g.intern(op, args), g.const)


def plain_of(g: Graph, op: str, x: int) -> int:
    """What a row is away from 0, by its definition: plain nodes that no rule sees."""
    q, order = ROWS[op]
    return int(q.away(_in_graph(g), order, x))


def _expanded(q: Quotient, order: int, g: Graph, args: tuple[int, ...]) -> int:
    a, (x,) = _in_graph(g), args
    away = _scaled_away(q, a, order, x) if q.grows else q.away(a, order, x)
    if order == 0:
        return g.where(g.node("eq", x, g.zero), g.const(q.coefficient(0)), away)
    is_near = g.node("lt", g.node("abs", x), g.const(q.radius))
    return g.where(is_near, q.near(a, order, x), away)


def numpy_value(q: Quotient, order: int, x: Any, forms: dict[str, Call] | None = None) -> Any:
    """The derivative at an array of real numbers, or of complex ones with `forms` for complex numbers."""
    x = np.asarray(x)
    number = float if forms else x.dtype.type  # a selection between two numbers has their type
    a = Arithmetic(
        lambda op, *args: (forms[op] if forms else OPS[op].numpy)(*args), lambda c: number(float(c))
    )
    with np.errstate(all="ignore"):
        away = _scaled_away(q, a, order, x) if q.grows and not forms else q.away(a, order, x)
        if order == 0 and not forms:
            return np.where(x == 0, x.dtype.type(float(q.coefficient(0))), away)
        is_near = np.abs(np.real(x)) < float(q.radius)
        return np.where(is_near, q.near(a, order, np.where(is_near, x, x.dtype.type(0))), away)


def _exact(q: Quotient, order: int, x: Any) -> Any:
    """The derivative of an mpmath number at mpmath's working precision."""
    import mpmath

    if not mpmath.isfinite(x) or abs(x) >= float(q.radius) / 2:
        with mpmath.workprec(mpmath.mp.prec + 30 * (order + 1)):
            a = Arithmetic(
                lambda op, *args: OPS[op].mpmath(*args), lambda c: mpmath.mpf(c.numerator) / c.denominator
            )
            return q.away(a, order, mpmath.mpf(x))
    total, k, small = mpmath.mpf(0), 0, 0
    while small < 3:
        c = q.term(order, k)
        term = x**k * c.numerator / c.denominator
        total += term
        small = small + 1 if abs(term) <= mpmath.eps * abs(total) else 0
        k += 1
    return total


def _slope(q: Quotient, order: int, g: Graph, args: tuple[int, ...], y: int) -> int:
    x = args[0]
    if order < HIGHEST:
        return g.node(q.op(order + 1), x)
    a = Arithmetic(lambda op, *nodes: g.intern(op, nodes), g.const)
    away = q.away(a, order + 1, x, lambda n: g.node(q.op(n), x))
    is_near = g.node("lt", g.node("abs", x), g.const(q.radius))
    return g.where(is_near, q.near(a, order + 1, x), away)


# ---- the quotients -----------------------------------------------------------------------------


def _cycle(*ops: tuple[int, str]) -> Callable[[Arithmetic, int, Any], Any]:
    """Derivatives that repeat: (sign, op) of each order."""

    def derivative(a: Arithmetic, n: int, x: Any) -> Any:
        sign, op = ops[n % len(ops)]
        value = a.call(op, x)
        return value if sign > 0 else a.call("neg", value)

    return derivative


_sine = _cycle((1, "sin"), (1, "cos"), (-1, "sin"), (-1, "cos"))


def _exponential(a: Arithmetic, n: int, x: Any) -> Any:
    return a.call("exp" if n else "expm1", x)


def _logarithm(a: Arithmetic, n: int, x: Any) -> Any:
    """(-1)^(n - 1) (n - 1)!/(1 + x)^n from the first derivative on."""
    if n == 0:
        return a.call("log1p", x)
    value = a.number(Fraction((-1) ** (n - 1) * factorial(n - 1)))
    for _ in range(n):
        value = a.call("div", value, a.call("add", a.number(Fraction(1)), x))
    return value


def _even(k: int, sign: int, shift: int) -> Fraction:
    return Fraction(sign ** (k // 2), factorial(k + shift)) if k % 2 == 0 else Fraction(0)


QUOTIENTS: dict[str, Quotient] = {
    q.name: q
    for q in (
        Quotient("sinc", _sine, lambda k: _even(k, -1, 1), Fraction(2), (-1.5, 1.5), "sin(x)/x"),
        Quotient("sinhc", _cycle((1, "sinh"), (1, "cosh")), lambda k: _even(k, 1, 1), Fraction(4),
                 (-4.0, 4.0), "sinh(x)/x", grows=2),
        Quotient("exprel", _exponential, lambda k: Fraction(1, factorial(k + 1)), Fraction(2),
                 (-4.0, 4.0), "(exp(x) - 1)/x", grows=1),
        Quotient("log1prel", _logarithm, lambda k: Fraction((-1) ** k, k + 1), Fraction(2, 5),
                 (-0.9, 4.0), "log(1 + x)/x", total=False),
    )
}  # fmt: skip


def _rows() -> dict[str, tuple[Quotient, int]]:
    """Every op of this module, with its quotient and order; the rows are entered in the table."""
    entered = {}
    for q in QUOTIENTS.values():
        for order in range(HIGHEST + 1):
            entered[q.op(order)] = q, order
            OPS[q.op(order)] = Op(
                q.op(order), 1, partial(numpy_value, q, order), partial(_exact, q, order),
                (partial(_slope, q, order),), sympy="sinc" if q.op(order) == "sinc" else "",
                expand=partial(_expanded, q, order), cost=25 + 10 * (order > 0), domain=(q.domain,),
                source="this module", total=q.total,
            )  # fmt: skip
    return entered


ROWS = _rows()
