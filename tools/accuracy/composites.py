"""Composites: the formula as a user writes it, and the same function written independently for mpmath."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from cases import Case, Points, Sampler, logarithmic

from symgrad.program import program

x, y = sp.symbols("x y", real=True)
n = sp.Symbol("n", integer=True, positive=True)
v = sp.IndexedBase("v", shape=(n,))
A = sp.MatrixSymbol("A", n, n)
i, j = sp.symbols("i j", integer=True)
LENGTH, ORDER = 5, 3


def _over(body: Any, axis: Any = i) -> Any:
    return sp.Sum(body, (axis, 0, n - 1))


# ---- where ---------------------------------------------------------------------------------------


def _wide(low: float, high: float, positive: bool = False, arity: int = 1) -> Sampler:
    """Logarithmic: decades from `low` to `high`, cut to those of single precision."""

    def sample(rng: np.random.Generator, count: int, dtype: np.dtype) -> Points:
        ends = (low, high) if dtype == np.float64 else (max(low, -18), min(high, 18))
        points = np.stack([logarithmic(rng, 2 * count, *ends) for _ in range(arity)], axis=1)
        return np.abs(points) if positive else points

    return sample


def _uniform(low: float, high: float, arity: int = 1) -> Sampler:
    return lambda rng, count, dtype: rng.uniform(low, high, (2 * count, arity))


def _vectors(scale: float, offset: float = 0.0) -> Sampler:
    def sample(rng: np.random.Generator, count: int, dtype: np.dtype) -> Points:
        return scale * rng.standard_normal((count, LENGTH)) + offset

    return sample


def _definite(rng: np.random.Generator, count: int, dtype: np.dtype) -> Points:
    """Symmetric positive definite matrices, well conditioned, as vectors."""
    half = rng.uniform(-1, 1, (count, ORDER, ORDER))
    return (half @ half.transpose(0, 2, 1) + 2 * np.eye(ORDER)).reshape(count, -1)


# ---- what ----------------------------------------------------------------------------------------


def _scalar(
    name: str,
    expr: Any,
    exact: Callable[..., Any],
    sample: Sampler,
    domain: str,
    symbols: Sequence[Any] = (x,),
) -> Case:
    forms = {"call": lambda: program(expr, args=symbols, wrt=tuple(symbols))}
    return Case(name, "composite", len(symbols), forms, exact, sample, domain, tuple(range(len(symbols))))


def _vector(name: str, expr: Any, exact: Callable[..., Any], sample: Sampler, domain: str) -> Case:
    forms = {"vector": lambda: program(expr, args=(v,), wrt=v)}
    return Case(name, "composite", LENGTH, forms, lambda *a: exact(a), sample, domain)


def _variance(a: Sequence[Any]) -> Any:
    mean = mpmath.fsum(a) / len(a)
    return mpmath.fsum((b - mean) ** 2 for b in a) / len(a)


def _log_sum_exp(a: Sequence[Any]) -> Any:
    return mpmath.log(mpmath.fsum(map(mpmath.exp, a)))


def composite_cases() -> list[Case]:
    """In the order of the table."""
    mp = mpmath
    small = "abs(x) in [1e-12, 1]"
    sums = _over(sp.exp(v[j]), j)
    determinant = Case(
        "log-determinant", "composite", ORDER**2,
        {"matrix": lambda: program(sp.log(sp.Determinant(A)), args=(A,), wrt=A)},
        lambda *a: mp.log(mp.det(mp.matrix([list(a[k : k + ORDER]) for k in (0, 3, 6)]))),
        _definite, "3 x 3, positive definite",
    )  # fmt: skip
    mean = _over(v[j], j) / n
    return [
        _scalar(
            "1/(1 + exp(-x))",
            1 / (1 + sp.exp(-x)),
            lambda a: 1 / (1 + mp.exp(-a)),
            _wide(-30, 2.84),
            "abs(x) in [1e-30, 700]",
        ),
        _scalar(
            "log(1 + exp(x))",
            sp.log(1 + sp.exp(x)),
            lambda a: mp.log1p(mp.exp(a)),
            _wide(-30, 2.84),
            "abs(x) in [1e-30, 700]",
        ),
        _scalar(
            "log(1 - exp(-x))",
            sp.log(1 - sp.exp(-x)),
            lambda a: mp.log(-mp.expm1(-a)),
            _wide(-30, 2.5, True),
            "[1e-30, 300]",
        ),
        _scalar("log(1 + x)", sp.log(1 + x), mp.log1p, _wide(-30, 30, True), "[1e-30, 1e30]"),
        _scalar("exp(x) - 1", sp.exp(x) - 1, mp.expm1, _wide(-30, 2.8), "abs(x) in [1e-30, 600]"),
        _scalar("(exp(x) - 1)/x", (sp.exp(x) - 1) / x, lambda a: mp.expm1(a) / a, _wide(-12, 0), small),
        _scalar("log(1 + x)/x", sp.log(1 + x) / x, lambda a: mp.log1p(a) / a, _wide(-12, -0.01), small),
        _scalar("sin(x)/x", sp.sin(x) / x, mp.sinc, _wide(-12, 0), small),
        _scalar(
            "(1 - cos(x))/x**2",
            (1 - sp.cos(x)) / x**2,
            lambda a: 2 * (mp.sin(a / 2) / a) ** 2,
            _wide(-12, 0),
            small,
        ),
        _scalar(
            "(1 - cos(x))/x", (1 - sp.cos(x)) / x, lambda a: 2 * mp.sin(a / 2) ** 2 / a, _wide(-12, 0), small
        ),
        _scalar(
            "sqrt(1 + x) - 1",
            sp.sqrt(1 + x) - 1,
            lambda a: a / (mp.sqrt(1 + a) + 1),
            _wide(-12, -0.01),
            small,
        ),
        _scalar("x**2 - y**2", x**2 - y**2, lambda a, b: (a - b) * (a + b), _near, "y near x", (x, y)),
        _scalar(
            "sqrt(x**2 + y**2)",
            sp.sqrt(x**2 + y**2),
            mp.hypot,
            _wide(-100, 100, arity=2),
            "decades from 1e-100 to 1e100",
            (x, y),
        ),
        _scalar(
            "log(exp(x) + exp(y))",
            sp.log(sp.exp(x) + sp.exp(y)),
            lambda a, b: mp.log(mp.exp(a) + mp.exp(b)),
            _uniform(1, 700, 2),
            "[1, 700]",
            (x, y),
        ),
        _scalar(
            "Gaussian distribution",
            (1 + sp.erf(x / sp.sqrt(2))) / 2,
            lambda a: mp.ncdf(a),
            _uniform(-1, 8),
            "[-1, 8]",
        ),
        _scalar(
            "cross-entropy of a logit",
            sp.log(1 + sp.exp(x)) - x * y,
            lambda a, b: mp.log1p(mp.exp(a)) - a * b,
            _entropy,
            "x in [-30, 30], y in [0, 1]",
            (x, y),
        ),
        _vector(
            "log-sum-exp", sp.log(_over(sp.exp(v[i]))), _log_sum_exp, _vectors(3, 1000), "5 numbers near 1000"
        ),
        _vector(
            "softmax", sp.exp(v[0]) / sums, lambda a: mp.exp(a[0] - _log_sum_exp(a)), _vectors(3), "5 numbers"
        ),
        _vector(
            "softmax, temperature 0.004",
            sp.exp(250 * v[0]) / _over(sp.exp(250 * v[j]), j),
            lambda a: mp.exp(250 * a[0] - _log_sum_exp([250 * b for b in a])),
            _vectors(0.02),
            "5 numbers",
        ),
        _vector(
            "log-softmax", v[0] - sp.log(sums), lambda a: a[0] - _log_sum_exp(a), _vectors(3), "5 numbers"
        ),
        _vector(
            "norm of a vector",
            sp.sqrt(_over(v[i] ** 2)),
            lambda a: mp.sqrt(mp.fsum(b * b for b in a)),
            _vectors(1),
            "5 numbers",
        ),
        _vector("variance", _over((v[i] - mean) ** 2) / n, _variance, _vectors(1), "5 numbers"),
        _vector(
            "variance, offset",
            _over((v[i] - mean) ** 2) / n,
            _variance,
            _vectors(1, 1000),
            "5 numbers near 1000",
        ),
        determinant,
    ]


def _near(rng: np.random.Generator, count: int, dtype: np.dtype) -> Points:
    """Pairs whose squares agree to many digits."""
    a = rng.uniform(0.5, 2, 2 * count)
    gap = 1e-12 if dtype == np.float64 else 1e-5
    return np.stack([a, a * (1 + gap * rng.uniform(-1, 1, 2 * count))], axis=1)


def _entropy(rng: np.random.Generator, count: int, dtype: np.dtype) -> Points:
    return np.stack([rng.uniform(-30, 30, 2 * count), rng.uniform(0, 1, 2 * count)], axis=1)
