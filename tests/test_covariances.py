"""Variances and covariances written in one pass keep their digits at any offset, over arrays and matrices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg

N, DIGITS, TOLERANCE = 5, 60, 1e-13
NOTHING = 1e-60  # what differences in as many digits have of a derivative that is 0
n = sp.Symbol("n", integer=True, positive=True)
i = sp.Symbol("i", integer=True)
u, v, w = (sp.IndexedBase(name, shape=(n,), real=True) for name in "uvw")
A, B, W = (sp.MatrixSymbol(name, n, 1) for name in "ABW")
ONES = sp.OneMatrix(n, 1)
Formula = Callable[..., Any]


MEANS = tuple(sp.Sum(x[i], (i, 0, n - 1)) / n for x in (u, w))
WEIGHTED = tuple(sp.Sum(v[i] * x[i], (i, 0, n - 1)) / sp.Sum(v[i], (i, 0, n - 1)) for x in (u, w))


def indexed(formula: Formula) -> Any:
    def total(f: Callable[[Any], Any]) -> Any:
        return sp.Sum(f(i), (i, 0, n - 1))

    return formula(total(lambda k: u[k]), total(lambda k: w[k]), total(lambda k: u[k] ** 2),
                   total(lambda k: u[k] * w[k]), total(lambda k: w[k] ** 2), n)  # fmt: skip


def matrices(formula: Formula) -> Any:
    parts = (ONES.T * A, ONES.T * B, A.T * A, A.T * B, B.T * B)
    return formula(*(part[0, 0] for part in parts), n)


def exactly(formula: Formula, numbers: Sequence[Any]) -> Any:
    """The formula of the first N numbers and the others, as it is written."""
    a, b = numbers[:N], numbers[N:]
    pairs = [(a, a), (a, b), (b, b)]
    products = (sum((x * y for x, y in zip(*pair, strict=True)), mpmath.mpf(0)) for pair in pairs)
    return formula(sum(a), sum(b), *products, N)


FORMULAS: dict[str, Formula] = {
    "variance": lambda a, b, aa, ab, bb, n: aa / n - (a / n) ** 2,
    "of a sample": lambda a, b, aa, ab, bb, n: (aa - a**2 / n) / (n - 1),
    "times n": lambda a, b, aa, ab, bb, n: n * aa - a**2,
    "turned": lambda a, b, aa, ab, bb, n: a**2 / n - aa,
    "covariance": lambda a, b, aa, ab, bb, n: ab / n - a * b / n**2,
    "covariance of a sample": lambda a, b, aa, ab, bb, n: (ab - a * b / n) / (n - 1),
    "slope": lambda a, b, aa, ab, bb, n: (n * ab - a * b) / (n * aa - a**2),
    "correlation": lambda a, b, aa, ab, bb, n: (n * ab - a * b) / ((n * aa - a**2) * (n * bb - b**2)) ** 0.5,
}


def points(offset: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return offset + rng.standard_normal(N), 0.7 * offset + rng.standard_normal(N)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
@pytest.mark.parametrize("form", ["indexed", "matrices"])
@pytest.mark.parametrize("name", FORMULAS)
def test_values_and_derivatives_have_their_digits(name: str, form: str, offset: float) -> None:
    formula = FORMULAS[name]
    expr = sp.nsimplify((indexed if form == "indexed" else matrices)(formula))
    args = [x for x in ((u, w) if form == "indexed" else (A, B)) if expr.has(x)]
    kernel = sg.compile(expr, args=args, wrt=args[0], outputs=("value", "grad", "hess"))
    at = points(offset)
    value, grad, hess = kernel(*(x if form == "indexed" else x[:, None] for x in at[: len(args)]))
    with mpmath.workdps(DIGITS):
        numbers = [mpmath.mpf(float(x)) for x in np.concatenate(at)]

        def derivative(*orders: int) -> Any:
            places = [k for k, order in enumerate(orders) for _ in range(order)]
            moved = sorted(set(places))

            def along(*t: Any) -> Any:
                shifted = list(numbers)
                for k, x in zip(moved, t, strict=True):
                    shifted[k] = x
                return exactly(formula, shifted)

            if not moved:
                return exactly(formula, numbers)
            return mpmath.diff(along, tuple(numbers[k] for k in moved), tuple(places.count(k) for k in moved))

        unit = np.eye(N, dtype=int)
        wanted = [derivative(), [derivative(*unit[k]) for k in range(N)],
                  [derivative(*(unit[k] + unit[m])) for k in range(N) for m in range(N)]]  # fmt: skip
    for found, right in zip((value, grad, hess), wanted, strict=True):
        right = np.ravel(np.asarray(right, dtype=float))
        assert np.abs(np.ravel(found) - right).max() <= TOLERANCE * np.abs(right).max() + NOTHING


def over(body: Any) -> Any:
    return sp.Sum(body, (i, 0, n - 1))


def centred(a: sp.MatrixSymbol) -> Any:
    return a - (ONES.T * a)[0, 0] / n * ONES


CENTRING = sp.Identity(n) - sp.OneMatrix(n, n) / n
HALF_CENTRED: dict[str, Any] = {
    "first": over((u[i] - MEANS[0]) * w[i]),
    "second": over(u[i] * (MEANS[1] - w[i])) / n,
    "itself": over(u[i] * (u[i] - MEANS[0])),
    "multiplied out": over(u[i] * w[i] - MEANS[0] * w[i]),
    "slope": over((u[i] - MEANS[0]) * w[i]) / over((u[i] - MEANS[0]) ** 2),
    "multiple": over((4 * u[i] - over(4 * u[i]) / n) * w[i]),
    "weights": over(v[i] * (u[i] - WEIGHTED[0]) * w[i]),
    "weighted variance": over(v[i] * u[i] ** 2) / over(v[i]) - WEIGHTED[0] ** 2,
    "weighted covariance": over(v[i] * u[i] * w[i]) - WEIGHTED[0] * over(v[i] * w[i]),
    "matrices": (centred(A).T * B)[0, 0],
    "centring matrix": (A.T * CENTRING * B)[0, 0],
    "times n": (A.T * (ONES * ONES.T - n * sp.Identity(n)) * B)[0, 0],
    "centred on both sides": ((CENTRING * A).T * (CENTRING * B))[0, 0],
    "product of two": (A.T * CENTRING * A)[0, 0] * (A.T * CENTRING * B)[0, 0],
    "of logarithms": sp.log((A.T * CENTRING * A)[0, 0] / n),
    "matrix of weights": (A.T * (sp.DiagMatrix(W) - W * W.T / (ONES.T * W)[0, 0]) * B)[0, 0],
}


def in_numbers(expr: Any, args: Sequence[Any]) -> tuple[Any, list[sp.Symbol]]:
    """The formula of N numbers each as one of symbols, and these."""
    symbols = {str(x): sp.symbols(f"{x}_0:{N}", real=True) for x in args}
    matrices = {x.subs(n, N): sp.Matrix(symbols[str(x)]) for x in args if x in (A, B, W)}
    expr = expr.subs(n, N).subs(matrices).doit()
    elements = {e: symbols[str(e.base)][int(e.indices[0])] for e in expr.atoms(sp.Indexed)}
    return expr.xreplace(elements), [s for several in symbols.values() for s in several]


@pytest.mark.parametrize("name", HALF_CENTRED)
def test_one_centred_factor_centres_the_others(name: str) -> None:
    written = HALF_CENTRED[name]
    args = [x for x in (u, w, v, A, B, W) if written.has(x)]
    wrt = args[:2] if len(args) > 1 else args[:1]
    kernel = sg.compile(written, args=args, wrt=wrt, outputs=("value", "grad", "hess"))
    exact, symbols = in_numbers(written, args)
    by = symbols[: N * len(wrt)]
    gradient = [sp.diff(exact, s) for s in by]
    hessian = [sp.diff(d, s) for d in gradient for s in by]
    function = sp.lambdify(symbols, [[exact], gradient, hessian], "mpmath")
    for offset in (1.0, 1e3, 1e6):
        rng = np.random.default_rng(2)
        at = [rng.random((N, 1) if x in (A, B, W) else N) + offset * (x not in (v, W)) for x in args]
        value, grad, hess = kernel(*at)
        found = (value, np.concatenate([np.ravel(d) for d in grad]),
                 np.block([[np.reshape(block, (N, N)) for block in row] for row in hess]))  # fmt: skip
        with mpmath.workdps(DIGITS):
            right = function(*(mpmath.mpf(float(t)) for x in at for t in np.ravel(x)))
        for ours, exact_numbers in zip(found, right, strict=True):
            numbers = np.asarray(exact_numbers, dtype=float)
            assert np.abs(np.ravel(ours) - numbers).max() <= TOLERANCE * np.abs(numbers).max() + NOTHING


def test_one_centred_factor_leaves_what_would_overflow() -> None:
    kernel = sg.compile(over((u[i] - MEANS[0]) * w[i]), args=[u, w])
    x, y = np.array([1e-300, 2e-300, 4e-300]), np.full(3, 1.5e308)
    y[1] = -y[1]
    with mpmath.workdps(DIGITS):
        exact = [mpmath.mpf(float(t)) for t in x]
        right = mpmath.fsum(
            (a - sum(exact) / 3) * mpmath.mpf(float(b)) for a, b in zip(exact, y, strict=True)
        )
    assert abs(kernel(x, y)[0] - right) <= TOLERANCE * abs(right)


def test_each_row_may_have_its_own_mean() -> None:
    m, k = sp.Symbol("m", integer=True, positive=True), sp.Symbol("k", integer=True)
    X = sp.IndexedBase("X", shape=(m, n), real=True)
    squares, sums = (sp.Sum(X[k, i] ** p, (i, 0, n - 1)) for p in (2, 1))
    kernel = sg.compile(sp.Sum(sp.log(squares / n - (sums / n) ** 2), (k, 0, m - 1)), args=[X])
    x = 1e6 + np.random.default_rng(1).standard_normal((3, N))
    with mpmath.workdps(DIGITS):
        rows = [[mpmath.mpf(float(t)) for t in row] for row in x]
        exact = sum(mpmath.log(sum(t * t for t in r) / N - (sum(r) / N) ** 2) for r in rows)
    assert abs(kernel(x)[0] - exact) <= TOLERANCE * abs(exact)


@pytest.mark.parametrize("other", [n + 1, 2 * n, sp.Integer(3)])
def test_what_is_no_variance_is_left_alone(other: Any) -> None:
    expr = sp.Sum(u[i] ** 2, (i, 0, n - 1)) / n - sp.Sum(u[i], (i, 0, n - 1)) ** 2 / (n * other)
    x = np.arange(4.0)
    value = float(sp.sympify(other).subs(n, 4))
    assert np.isclose(sg.compile(expr, args=[u])(x)[0], 14 / 4 - 36 / (4 * value), rtol=1e-15)


def test_of_no_values_it_is_zero_as_it_was() -> None:
    expr = n * sp.Sum(u[i] ** 2, (i, 0, n - 1)) - sp.Sum(u[i], (i, 0, n - 1)) ** 2
    assert sg.compile(expr, args=[u])(np.zeros(0)) == (0.0,)


X, Y = (sp.MatrixSymbol(name, n, 3) for name in "XY")
SQUARE = sp.OneMatrix(n, n)
TRACES = {
    "centring matrix": (sp.Trace(X.T * CENTRING * Y), 1),
    "times n": (sp.Trace(X.T * (n * sp.Identity(n) - SQUARE) * Y), N),
    "in one pass": (sp.Trace(X.T * Y / n - X.T * SQUARE * Y / n**2), sp.Rational(1, N)),
    "one centred": (sp.Trace(X.T * (Y - SQUARE * Y / n)), 1),
}


@pytest.mark.parametrize("name", TRACES)
def test_a_trace_centres_each_column(name: str) -> None:
    written, times = TRACES[name]
    kernel = sg.compile(written, args=(X, Y), wrt=(X, Y), outputs=("value", "grad"))
    rng = np.random.default_rng(3)
    x, y = (1e6 + rng.standard_normal((N, 3)) for _ in range(2))
    value, (by_x, by_y) = kernel(x, y)
    with mpmath.workdps(DIGITS):
        u, v = (mpmath.matrix(z.tolist()) for z in (x, y))
        for z in (u, v):
            for k in range(3):
                z[:, k] -= mpmath.matrix([sum(z[:, k]) / N] * N)
        count = mpmath.mpf(sp.Rational(times).p) / sp.Rational(times).q
        right = count * mpmath.fsum(s * t for s, t in zip(u, v, strict=True))
        assert abs(value - right) <= TOLERANCE * abs(right)
        for found, exact in ((by_x, v), (by_y, u)):
            assert np.abs(found - np.array(exact.tolist(), dtype=float) * float(count)).max() <= TOLERANCE
