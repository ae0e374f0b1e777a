"""Even functions of a root, as functions of what is under it: cos(|v|), sin(|v|)/|v| and their derivatives.

f(sqrt(s)) is smooth at s = 0 if f is even, and the chain rule does not see it: the root has no derivative
there. So each such function is an op of two arguments that belong together, the root h = sqrt(s), from which
the value is computed (s itself may overflow), and s, by which it is differentiated. With R f = f'(h)/h

    d/ds f(sqrt(s)) = (R f)(h)/2,     and R f is even again: R cos = -sinc, R J_0(h) = -J_1(h)/h, ...

Families closed under R have ops `radial_sinc`, `radial_sinc_1`, ... for R^k f, by two formulas:

    |h| < radius   the Taylor series of R^k f
    elsewhere      a recurrence upwards from f and f', by the differential equation of the family

Beyond the last op they are the same two formulas in plain nodes, which are differentiated without end.

Source: R is the operator of Rayleigh's formula for spherical Bessel functions, DLMF 10.49(ii), 10.51.3, and
of DLMF 10.6.6 and 10.29.4 for those of order 0; the recurrences are these.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from math import factorial
from typing import TYPE_CHECKING, Any

import numpy as np

from symgrad.ir.composites.quotients import QUOTIENTS, Arithmetic
from symgrad.ir.op import Op
from symgrad.ir.ops import OPS
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

HIGHEST = 3  # the highest R^k with an op of its own
_EPSILON = Fraction(1, 1 << 60)  # relative size of the first term that the series leaves out


@dataclass(frozen=True)
class Family:
    """f, and R^k f.

    value        (arithmetic, h) -> f(h).
    first        (arithmetic, h) -> h*(R f)(h) = f'(h), away from 0.
    recurrence   (a, b): h^2 R^k f = -(2k + a) R^(k-1) f + b R^(k-2) f for k >= 2.
    coefficient  j -> the coefficient of h^(2j) in f.
    radius       where the series is used.
    """

    name: str
    value: Callable[[Arithmetic, Any], Any]
    first: Callable[[Arithmetic, Any], Any]
    recurrence: tuple[int, int]
    coefficient: Callable[[int], Fraction]
    radius: Fraction

    def op(self, k: int) -> str:
        """The op of R^k f."""
        return f"radial_{self.name}_{k}" if k else f"radial_{self.name}"

    def term(self, k: int, j: int) -> Fraction:
        """The coefficient of s^j in R^k f: R s^j = 2j s^(j-1)."""
        return self.coefficient(j + k) * Fraction(2**k * factorial(j + k), factorial(j))

    def terms(self, k: int) -> list[Fraction]:
        """As many coefficients as doubles can feel within the radius."""
        found = [self.term(k, 0)]
        while len(found) < 3 or abs(found[-1]) * self.radius ** (2 * len(found) - 2) > _EPSILON * abs(
            found[0]
        ):
            found.append(self.term(k, len(found)))
        return found

    def near(self, a: Arithmetic, k: int, s: Any) -> Any:
        """The series in s, by Horner's rule."""
        terms = self.terms(k)
        value = a.number(terms[-1])
        for c in terms[-2::-1]:
            value = a.call("add", a.call("mul", value, s), a.number(c))
        return value

    def away(self, a: Arithmetic, k: int, h: Any) -> Any:
        """R^k f from f and f' upwards."""
        known = [self.value(a, h)]
        if k > 0:
            known.append(a.call("div", self.first(a, h), h))
        for n in range(2, k + 1):
            above = self.step(a, n, known[n - 2], known[n - 1])
            known.append(a.call("div", a.call("div", above, h), h))
        return known[k]

    def step(self, a: Arithmetic, n: int, before: Any, last: Any) -> Any:
        """h^2 R^n f from R^(n-2) f and R^(n-1) f."""
        shift, sign = self.recurrence
        value = a.call("mul", a.number(Fraction(-(2 * n + shift))), last)
        return a.call("add" if sign > 0 else "sub", value, before)


def _of(op: str) -> Callable[[Arithmetic, Any], Any]:
    return lambda a, h: a.call(op, h)


def _bessel(op: str, order: int, sign: int) -> Callable[[Arithmetic, Any], Any]:
    def value(a: Arithmetic, h: Any) -> Any:
        found = a.call(op, a.number(Fraction(order)), h)
        return found if sign > 0 else a.call("neg", found)

    return value


def _of_bessel(j: int, sign: int) -> Fraction:
    return Fraction(sign**j, 4**j * factorial(j) ** 2)


FAMILIES: dict[str, Family] = {
    f.name: f
    for f in (
        Family("sinc", _of("sinc"), _of("sinc_1"), (-1, -1), lambda j: QUOTIENTS["sinc"].coefficient(2 * j),
               Fraction(2)),
        Family("sinhc", _of("sinhc"), _of("sinhc_1"), (-1, 1),
               lambda j: QUOTIENTS["sinhc"].coefficient(2 * j), Fraction(4)),
        Family("besselj", _bessel("besselj", 0, 1), _bessel("besselj", 1, -1), (-2, -1),
               lambda j: _of_bessel(j, -1), Fraction(3)),
        Family("besseli", _bessel("besseli", 0, 1), _bessel("besseli", 1, 1), (-2, 1),
               lambda j: _of_bessel(j, 1), Fraction(4)),
    )
}  # fmt: skip


# ---- the meanings of a row ---------------------------------------------------------------------


def _expanded(f: Family, k: int, g: Graph, args: tuple[int, ...]) -> int:
    h, _ = args
    a = Arithmetic(lambda op, *nodes: g.intern(op, nodes), g.const)
    if k == 0:
        return int(f.value(a, h))
    is_near = g.node("lt", g.node("abs", h), g.const(f.radius))
    return g.where(is_near, f.near(a, k, g.intern("mul", (h, h))), f.away(a, k, h))


def numpy_value(f: Family, k: int, h: Any, s: Any, forms: dict[str, Any] | None = None) -> Any:
    """R^k f at an array of real roots, or of complex ones with `forms` for complex numbers."""
    h = np.asarray(h)
    a = Arithmetic(lambda op, *args: (forms[op] if forms else OPS[op].numpy)(*args), float)
    with np.errstate(all="ignore"):
        if k == 0:
            return f.value(a, h)
        is_near = np.abs(np.real(h)) < float(f.radius)
        small = np.where(is_near, h, h.dtype.type(0))
        return np.where(is_near, f.near(a, k, small * small), f.away(a, k, h)).astype(h.dtype)


def _exact(f: Family, k: int, h: Any, s: Any) -> Any:
    """R^k f of an mpmath number at mpmath's working precision."""
    import mpmath

    if k == 0 or not mpmath.isfinite(h) or abs(h) >= float(f.radius) / 2:
        with mpmath.workprec(mpmath.mp.prec + 40 * k):
            a = Arithmetic(
                lambda op, *args: OPS[op].mpmath(*args), lambda c: mpmath.mpf(c.numerator) / c.denominator
            )
            return f.away(a, k, mpmath.mpf(h))
    total, j, term = mpmath.mpf(0), 0, mpmath.mpf(1)
    while j < 3 or abs(term) > mpmath.eps * abs(total):
        c = f.term(k, j)
        term = h ** (2 * j) * c.numerator / c.denominator
        total, j = total + term, j + 1
    return total


def _by_s(f: Family, k: int, g: Graph, args: tuple[int, ...], y: int) -> int:
    h, s = args
    if k < HIGHEST:
        return g.mul(g.const(Fraction(1, 2)), g.node(f.op(k + 1), h, s))
    return g.mul(g.const(Fraction(1, 2)), _beyond(f, g, h, s))


def _beyond(f: Family, g: Graph, h: int, s: int) -> int:
    """R^k f for the first k without an op."""
    a, k = Arithmetic(lambda op, *nodes: g.intern(op, nodes), g.const), HIGHEST + 1
    before, last = (g.node(f.op(n), h, s) for n in (k - 2, k - 1))
    away = g.intern("div", (f.step(a, k, before, last), s))
    is_near = g.node("lt", g.node("abs", h), g.const(f.radius))
    return g.where(is_near, f.near(a, k, s), away)


def _enter(name: str, numpy: Any, mpmath: Any, by_s: Any, expand: Any, domain: float, cost: int) -> None:
    OPS[name] = Op(
        name, 2, numpy, mpmath, (None, by_s), expand=expand, cost=cost,
        domain=((0.1, domain), (0.1, domain)), total=True, source="this module",
    )  # fmt: skip


def _enter_families() -> dict[str, tuple[Family, int]]:
    entered = {}
    for f in FAMILIES.values():
        for k in range(HIGHEST + 1):
            entered[f.op(k)] = f, k
            _enter(
                f.op(k), partial(numpy_value, f, k), partial(_exact, f, k), partial(_by_s, f, k),
                partial(_expanded, f, k), 2.0, 300 if f.name.startswith("bessel") else 40,
            )  # fmt: skip
    return entered


ROWS = _enter_families()


# ---- functions whose R is in a family, or made of one ------------------------------------------


def _enter_beginning(name: str, of: str, half: str, sign: int) -> None:
    """f = `of`(h), or 2*`half`(h/2)^2 where that is given; R f is `sign` times the f of a family."""
    family = {"cos": "sinc", "versine": "sinc", "cosh": "sinhc", "coshm1": "sinhc"}[name]

    def value(call: Any, number: Any, h: Any) -> Any:
        if not half:
            return call(of, h)
        part = call(half, call("mul", number(Fraction(1, 2)), h))
        return call("mul", number(Fraction(2)), call("mul", part, part))

    def by_s(g: Graph, args: tuple[int, ...], y: int) -> int:
        return g.mul(g.const(Fraction(sign, 2)), g.node(f"radial_{family}", *args))

    def numpy(h: Any, s: Any) -> Any:
        with np.errstate(all="ignore"):
            return value(lambda op, *v: OPS[op].numpy(*v), lambda c: np.asarray(h).dtype.type(float(c)), h)

    _enter(
        f"radial_{name}", numpy,
        lambda h, s: value(lambda op, *v: OPS[op].mpmath(*v), lambda c: c.numerator / c.denominator, h), by_s,
        lambda g, a: value(lambda op, *v: g.intern(op, v), g.const, a[0]), 2.0, 25,
    )  # fmt: skip


_enter_beginning("cos", "cos", "", -1)
_enter_beginning("cosh", "cosh", "", 1)
_enter_beginning("versine", "", "sin", 1)  # 1 - cos(h)
_enter_beginning("coshm1", "", "sinh", 1)  # cosh(h) - 1


def _logcosh_by_h(g: Graph, args: tuple[int, ...], y: int) -> int:
    """From h = 1 on through the root, which is smooth there: tanh(h)."""
    return g.mask(g.node("le", g.one, g.node("abs", args[0])), g.node("tanh", args[0]))


def _logcosh_by_s(g: Graph, args: tuple[int, ...], y: int) -> int:
    """Up to there tanh(h)/(2h)."""
    near = g.div(g.node("radial_sinhc", *args), g.node("radial_cosh", *args))
    return g.mask(g.node("lt", g.node("abs", args[0]), g.one), g.mul(g.const(Fraction(1, 2)), near))


OPS["radial_logcosh"] = Op(
    "radial_logcosh", 2, lambda h, s: OPS["logcosh"].numpy(h), lambda h, s: OPS["logcosh"].mpmath(h),
    (_logcosh_by_h, _logcosh_by_s), expand=lambda g, a: g.node("logcosh", a[0]), cost=50,
    domain=((0.1, 2.0), (0.1, 2.0)), total=True, source="this module",
)  # fmt: skip

NAMES = frozenset(name for name in OPS if name.startswith("radial_"))  # what this module enters


def by_root(g: Graph, op: str, h: int) -> int:
    """The same function as a formula of the root alone, by which it is differentiated. No rule sees it."""
    a = Arithmetic(lambda name, *nodes: g.intern(name, nodes), g.const)
    if op in ROWS:
        family, k = ROWS[op]
        return int(family.away(a, k, h))
    halved = {"radial_versine": "sin", "radial_coshm1": "sinh"}
    if op not in halved:
        return g.intern(op.removeprefix("radial_"), (h,))
    part = g.intern(halved[op], (g.intern("mul", (g.const(Fraction(1, 2)), h)),))
    return g.intern("mul", (g.const(2), g.intern("mul", (part, part))))
