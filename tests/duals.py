"""Numbers of mpmath with gradients and Hessians, and SymPy expressions evaluated in them.

A reference that shares nothing with the compiler: second-order forward mode, in digits enough for all that a
formula cancels. Nothing is simplified and no formula is rearranged; derivatives of functions are SymPy's.

Source: Griewank & Walther 2008, Evaluating Derivatives, chapters 3.1 and 13.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import mpmath
import numpy as np
import sympy as sp

_LARGEST_EXPONENT = 10**9  # a number that is itself an exponent would be too long for mpmath


class Dual:
    """A number of mpmath with its gradient and its Hessian by the inputs, both arrays of objects.

    Arrays stand left of numbers: mpmath would print an array before it leaves the product to NumPy.
    """

    def __init__(self, value: Any, grad: Any, hess: Any) -> None:
        self.value, self.grad, self.hess = value, grad, hess

    def chain(self, f: Any, slope: Any, curvature: Any) -> Dual:
        square = np.outer(self.grad, self.grad)
        return Dual(f, self.grad * slope, self.hess * slope + square * curvature)

    def __add__(self, other: Any) -> Dual:
        if not isinstance(other, Dual):
            return Dual(self.value + number(other), self.grad, self.hess)
        return Dual(self.value + other.value, self.grad + other.grad, self.hess + other.hess)

    def __mul__(self, other: Any) -> Dual:
        if not isinstance(other, Dual):
            q = number(other)
            return Dual(self.value * q, self.grad * q, self.hess * q)
        cross = np.outer(self.grad, other.grad)
        hess = other.hess * self.value + self.hess * other.value + cross + cross.T
        return Dual(self.value * other.value, other.grad * self.value + self.grad * other.value, hess)

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


def _growing(name: str) -> Callable[[Any], Any]:
    """A function that grows as exp(x): out of range from some number on."""

    def bounded(x: Any) -> Any:
        if abs(x) <= _LARGEST_EXPONENT:
            return getattr(mpmath, name)(x)
        if x < 0 and name == "exp":
            return mpmath.mpf(0)
        raise ZeroDivisionError

    return bounded


def _sech(x: Any) -> Any:
    return mpmath.sech(x) if abs(x) < _LARGEST_EXPONENT else mpmath.mpf(0)


def _sign(x: Any) -> Any:
    if x == 0:
        raise ZeroDivisionError
    return mpmath.sign(x)


_MPMATH = {
    **{name: _growing(name) for name in ("exp", "sinh", "cosh")},
    "sech": _sech, "sign": _sign, "DiracDelta": lambda x: mpmath.mpf(0),
}  # fmt: skip
_T = sp.symbols("t:4", real=True)
_SLOPES = {sp.tanh(_T[0]): sp.sech(_T[0]) ** 2}  # not 1 - tanh(t)^2, which cancels


@lru_cache
def _rule(function: sp.Expr, args: tuple[sp.Symbol, ...]) -> Callable[..., Any]:
    """A function with its derivatives, and the second ones by rows."""
    slopes = [_SLOPES.get(function, sp.diff(function, a)) for a in args]
    curvatures = [[sp.diff(d, a) for a in args] for d in slopes]
    return sp.lambdify(args, [function, slopes, curvatures], modules=[_MPMATH, "mpmath"])


def apply(function: sp.Expr, args: Sequence[Dual]) -> Dual:
    """A function of as many of the symbols t0, t1, ..."""
    value, slopes, curvatures = _rule(function, _T[: len(args)])(*(a.value for a in args))
    grad, hess = args[0].grad * 0, args[0].hess * 0
    for a, slope, row in zip(args, slopes, curvatures, strict=True):
        grad, hess = grad + a.grad * slope, hess + a.hess * slope
        for b, curvature in zip(args, row, strict=True):
            hess = hess + np.outer(a.grad, b.grad) * curvature
    return Dual(value, grad, hess)


def evaluate(e: sp.Expr, known: dict[sp.Basic, Dual]) -> Dual:
    """A SymPy expression of numbers with derivatives; what is known grows by its parts."""
    if e not in known:
        known[e] = _evaluated(e, known)
    return known[e]


def _evaluated(e: sp.Expr, known: dict[sp.Basic, Dual]) -> Dual:
    if e.is_number:
        (any_input, *_) = known.values()
        value = number(e) if e.is_Rational else mpmath.mpf(sp.N(e, mpmath.mp.dps + 10))
        return Dual(value, any_input.grad * 0, any_input.hess * 0)
    if e.is_Pow and e.exp.is_Rational:
        return evaluate(e.base, known) ** number(e.exp)
    if e.is_Pow and e.base != sp.E:
        logarithm = apply(sp.log(_T[0]), [evaluate(e.base, known)])
        return apply(sp.exp(_T[0]), [evaluate(e.exp, known) * logarithm])
    if not (e.is_Add or e.is_Mul):
        variables = iter(_T)
        function = e.func(*(a if a.is_number else next(variables) for a in e.args))
        return apply(function, [evaluate(a, known) for a in e.args if not a.is_number])
    parts = [evaluate(part, known) for part in e.args]
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
