"""Numbers of mpmath with gradients and Hessians, and SymPy expressions evaluated in them.

A reference that shares nothing with the compiler: second-order forward mode, in digits enough for all that a
formula cancels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mpmath
import numpy as np
import sympy as sp

RELATIVE, ROUNDINGS, SMALLEST = 1e-13, 4, 1e-306


class Dual:
    """A number of mpmath with its gradient and its Hessian by the inputs, both arrays of objects."""

    def __init__(self, value: Any, grad: Any, hess: Any) -> None:
        self.value, self.grad, self.hess = value, grad, hess

    def chain(self, f: Any, slope: Any, curvature: Any) -> Dual:
        square = np.outer(self.grad, self.grad)
        return Dual(f, slope * self.grad, slope * self.hess + curvature * square)

    def __add__(self, other: Any) -> Dual:
        if not isinstance(other, Dual):
            return Dual(self.value + number(other), self.grad, self.hess)
        return Dual(self.value + other.value, self.grad + other.grad, self.hess + other.hess)

    def __mul__(self, other: Any) -> Dual:
        if not isinstance(other, Dual):
            q = number(other)
            return Dual(self.value * q, self.grad * q, self.hess * q)
        cross = np.outer(self.grad, other.grad)
        hess = self.value * other.hess + other.value * self.hess + cross + cross.T
        return Dual(self.value * other.value, self.value * other.grad + other.value * self.grad, hess)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Dual:
        return self * -1

    def __sub__(self, other: Any) -> Dual:
        return self + -other

    def __rsub__(self, other: Any) -> Dual:
        return -self + other

    def __truediv__(self, other: Any) -> Dual:
        if not isinstance(other, Dual):
            return self * (1 / number(other))
        return self * (1 / other)

    def __rtruediv__(self, other: Any) -> Dual:
        x = self.value
        return self.chain(1 / x, -1 / x**2, 2 / x**3) * other

    def __pow__(self, k: Any) -> Dual:
        x = self.value
        curvature = k * (k - 1) * x ** (k - 2) if k not in (0, 1) else mpmath.mpf(0)
        return self.chain(x**k, k * x ** (k - 1), curvature)


def number(x: Any) -> Any:
    return mpmath.mpf(x.p) / x.q if isinstance(x, sp.Rational) else mpmath.mpf(x)


def inputs(values: Sequence[Any]) -> list[Dual]:
    """The variables at these values, each with its own unit gradient."""
    zeros = np.full((len(values), len(values)), mpmath.mpf(0), dtype=object)
    units = zeros + np.array([[mpmath.mpf(j == k) for j in range(len(values))] for k in range(len(values))])
    return [Dual(mpmath.mpf(x), unit, zeros) for x, unit in zip(values, units, strict=True)]


# ---- SymPy expressions -----------------------------------------------------------------------------

FUNCTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], Callable[[Any], Any]]] = {
    "exp": (mpmath.exp, mpmath.exp, mpmath.exp),
    "log": (mpmath.log, lambda x: 1 / x, lambda x: -1 / x**2),
    "sinh": (mpmath.sinh, mpmath.cosh, mpmath.sinh),
    "cosh": (mpmath.cosh, mpmath.sinh, mpmath.cosh),
    "tanh": (mpmath.tanh, lambda x: mpmath.sech(x) ** 2, lambda x: -2 * mpmath.tanh(x) * mpmath.sech(x) ** 2),
    "atan": (mpmath.atan, lambda x: 1 / (1 + x * x), lambda x: -2 * x / (1 + x * x) ** 2),
    "Abs": (abs, mpmath.sign, lambda x: mpmath.mpf(0)),
}  # fmt: skip


def apply(name: str, x: Dual) -> Dual:
    return x.chain(*(f(x.value) for f in FUNCTIONS[name]))


def evaluate(e: sp.Expr, known: Mapping[sp.Symbol, Dual]) -> Dual:
    """A SymPy expression of numbers with derivatives."""
    if e.is_Symbol:
        return known[e]
    if e.is_number:
        (any_input, *_) = known.values()
        value = number(e) if e.is_Rational else mpmath.mpf(sp.N(e, mpmath.mp.dps + 10))
        return Dual(value, any_input.grad * 0, any_input.hess * 0)
    if isinstance(e, sp.exp) or (e.is_Pow and e.base == sp.E):
        return apply("exp", evaluate(e.exp, known))
    if e.is_Pow and e.exp.is_Rational:
        return evaluate(e.base, known) ** number(e.exp)
    if e.is_Pow:
        return apply("exp", evaluate(e.exp, known) * apply("log", evaluate(e.base, known)))
    parts = [evaluate(part, known) for part in e.args]
    if not (e.is_Add or e.is_Mul):
        return apply(type(e).__name__, *parts)
    total = parts[0]
    for part in parts[1:]:
        total = total + part if e.is_Add else total * part
    return total


def exact(e: sp.Expr, args: Sequence[sp.Symbol], point: Sequence[Any]) -> list[Any] | None:
    """Value, gradient and Hessian by rows; None where some of it is not a finite real number."""
    try:
        found = evaluate(e, dict(zip(args, inputs(point), strict=True)))
    except (ZeroDivisionError, ValueError):
        return None
    entries = [found.value, *found.grad, *found.hess.ravel()]
    return entries if all(isinstance(x, mpmath.mpf) and mpmath.isfinite(x) for x in entries) else None


def changes(
    e: sp.Expr, args: Sequence[sp.Symbol], point: Sequence[float], wanted: Sequence[Any]
) -> list[Any]:
    """By how much half a last place of each of the inputs changes the entries, all together."""
    change = [mpmath.mpf(0)] * len(wanted)
    for k, x in enumerate(point):
        moved = [mpmath.mpf(p) for p in point]
        moved[k] += mpmath.mpf(float(np.spacing(abs(x)))) / 2 if x else 0
        beside = exact(e, args, moved)
        if beside is not None:
            change = [c + abs(a - b) for c, a, b in zip(change, wanted, beside, strict=True)]
    return change


def lost(e: sp.Expr, args: Sequence[sp.Symbol], point: Sequence[float], found: Sequence[float]) -> list[Any]:
    """(place, found, exact) of the entries that are off by more than `RELATIVE`.

    What rounding of the inputs changes is allowed as well, as no formula can know of that; it is looked at
    only where something is off.
    """
    wanted = exact(e, args, point)
    if wanted is None:
        return []
    pairs = [(k, a, b) for k, (a, b) in enumerate(zip(found, wanted, strict=True)) if abs(b) < 1.7e308]
    off = [(k, a, b) for k, a, b in pairs if not abs(a - b) <= RELATIVE * abs(b) + SMALLEST]
    if off:
        change = changes(e, args, point, wanted)
        off = [(k, a, b) for k, a, b in off if not abs(a - b) <= RELATIVE * abs(b) + ROUNDINGS * change[k]]
    return [(k, float(a), mpmath.nstr(b, 17)) for k, a, b in off]
