"""Value, gradient and Hessian of a SymPy expression in mpmath, by forward mode: independent of symgrad.

A `Jet` is a number with its first and second derivatives by the symbols, the latter as a lower triangle by
rows; None stands for zeros. Nothing is simplified and no formula is rearranged: what the expression cancels,
it cancels in as many digits as mpmath is told to have.

Source: Griewank & Walther 2008, Evaluating Derivatives, chapters 3.1 and 13.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import sympy as sp

_LARGEST_EXPONENT = 10**6


class NoDerivative(ValueError):
    """The expression has no value, or no two derivatives, at this point."""


@dataclass(frozen=True)
class Jet:
    value: Any
    first: list[Any] | None = None
    second: list[Any] | None = None


def derivatives(expr: sp.Expr, args: Sequence[sp.Symbol], point: Sequence[Any]) -> list[Any]:
    """The value, the gradient and the lower triangle of the Hessian by rows, one after the other."""
    n = len(args)
    known: dict[sp.Basic, Jet] = {}
    for k, (a, p) in enumerate(zip(args, point, strict=True)):
        known[a] = Jet(mpmath.mpf(p), [mpmath.mpf(j == k) for j in range(n)])
    for part in sp.postorder_traversal(expr):
        if part not in known:
            known[part] = _jet(part, [known[a] for a in part.args])
    jet, zero = known[expr], mpmath.mpf(0)
    return [jet.value, *(jet.first or [zero] * n), *(jet.second or [zero] * (n * (n + 1) // 2))]


def _jet(expr: sp.Expr, args: list[Jet]) -> Jet:
    if expr.is_Rational:
        return Jet(mpmath.mpf(int(expr.p)) / int(expr.q))
    if expr.is_Add or expr.is_Mul:
        total = args[0]
        for a in args[1:]:
            total = _sum(total, a) if expr.is_Add else _product(total, a)
        return total
    if expr.is_Pow:
        return _power(args[0], expr.exp)
    if isinstance(expr, sp.atan2):
        return _atan2(*args)
    return _composed(args[0], *_FUNCTIONS[expr.func](args[0].value))


def _plus(a: list[Any] | None, b: list[Any] | None) -> list[Any] | None:
    if a is None or b is None:
        return b if a is None else a
    return [p + q for p, q in zip(a, b, strict=True)]


def _times(a: list[Any] | None, c: Any) -> list[Any] | None:
    return None if a is None else [c * p for p in a]


def _sum(a: Jet, b: Jet) -> Jet:
    return Jet(a.value + b.value, _plus(a.first, b.first), _plus(a.second, b.second))


def _product(a: Jet, b: Jet) -> Jet:
    second = _plus(_times(a.second, b.value), _times(b.second, a.value))
    if a.first is not None and b.first is not None:
        n = len(a.first)
        both = [a.first[i] * b.first[j] + a.first[j] * b.first[i] for i in range(n) for j in range(i + 1)]
        second = _plus(second, both)
    return Jet(a.value * b.value, _plus(_times(a.first, b.value), _times(b.first, a.value)), second)


def _composed(a: Jet, value: Any, slope: Any, bend: Any) -> Jet:
    """f(a) from f, f' and f'' at the value of a."""
    if a.first is None:
        return Jet(value)
    n = len(a.first)
    squares = [a.first[i] * a.first[j] * bend for i in range(n) for j in range(i + 1)]
    return Jet(value, _times(a.first, slope), _plus(_times(a.second, slope), squares))


def _power(base: Jet, written: sp.Expr) -> Jet:
    if written.is_Rational and written.q == 2:
        base = _composed(base, *_root(base.value))
    elif not written.is_Integer:
        raise NotImplementedError(f"power {written}")
    result = Jet(mpmath.mpf(1))
    for _ in range(abs(int(written.p))):
        result = _product(result, base)
    return result if written.p > 0 else _composed(result, *_inverse(result.value))


def _atan2(y: Jet, x: Jet) -> Jet:
    """By the quotient that is not infinite; the value by its quadrant."""
    if (x.value == 0 and y.value == 0) or (y.value == 0 and x.value < 0):
        raise NoDerivative
    if x.value != 0:
        quotient, sign = _product(y, _composed(x, *_inverse(x.value))), 1
    else:
        quotient, sign = _product(x, _composed(y, *_inverse(y.value))), -1
    angle = _composed(quotient, *_atan(quotient.value))
    return Jet(mpmath.atan2(y.value, x.value), _times(angle.first, sign), _times(angle.second, sign))


def _inverse(x: Any) -> tuple[Any, Any, Any]:
    if x == 0:
        raise NoDerivative
    r = 1 / x
    return r, -r * r, 2 * r * r * r


def _root(x: Any) -> tuple[Any, Any, Any]:
    if x <= 0:
        raise NoDerivative
    r = mpmath.sqrt(x)
    return r, 1 / (2 * r), -1 / (4 * r * x)


def _log(x: Any) -> tuple[Any, Any, Any]:
    if x <= 0:
        raise NoDerivative
    return mpmath.log(x), 1 / x, -1 / (x * x)


def _exp(x: Any) -> tuple[Any, Any, Any]:
    if x > _LARGEST_EXPONENT:
        raise NoDerivative  # beyond any double, and too long for mpmath
    e = mpmath.exp(x) if x > -_LARGEST_EXPONENT else mpmath.mpf(0)
    return e, e, e


def _atan(x: Any) -> tuple[Any, Any, Any]:
    d = 1 / (1 + x * x)
    return mpmath.atan(x), d, -2 * x * d * d


def _abs(x: Any) -> tuple[Any, Any, Any]:
    if x == 0:
        raise NoDerivative
    return abs(x), mpmath.sign(x), mpmath.mpf(0)


def _sin(x: Any) -> tuple[Any, Any, Any]:
    s = mpmath.sin(x)
    return s, mpmath.cos(x), -s


def _cos(x: Any) -> tuple[Any, Any, Any]:
    c = mpmath.cos(x)
    return c, -mpmath.sin(x), -c


def _tanh(x: Any) -> tuple[Any, Any, Any]:
    if abs(x) > _LARGEST_EXPONENT:
        return mpmath.sign(x), mpmath.mpf(0), mpmath.mpf(0)
    t, d = mpmath.tanh(x), mpmath.sech(x) ** 2
    return t, d, -2 * t * d


def _sinh(x: Any) -> tuple[Any, Any, Any]:
    if abs(x) > _LARGEST_EXPONENT:
        raise NoDerivative
    s = mpmath.sinh(x)
    return s, mpmath.cosh(x), s


def _asinh(x: Any) -> tuple[Any, Any, Any]:
    h = mpmath.sqrt(1 + x * x)
    return mpmath.sign(x) * mpmath.log(abs(x) + h), 1 / h, -x / h**3


_FUNCTIONS: dict[Any, Callable[[Any], tuple[Any, Any, Any]]] = {
    sp.log: _log, sp.exp: _exp, sp.atan: _atan, sp.Abs: _abs, sp.sin: _sin, sp.cos: _cos, sp.tanh: _tanh,
    sp.sinh: _sinh, sp.asinh: _asinh,
}  # fmt: skip
