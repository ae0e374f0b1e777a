"""Logarithms of sums of exponentials less one of their scores, in sums with others: every entry is right.

Value, gradient and Hessian against numbers of mpmath with derivatives (`duals.py`): off by 1e-13 of itself,
or by four times what rounding of the inputs changes.
"""

from __future__ import annotations

import itertools

import mpmath
import numpy as np
import pytest
import sympy as sp
from duals import exact
from kept_digits import off, wrong_entries
from soft_programs import LSE, POWER, i, over, s, t, u, v

import symgrad as sg

x, y, z, a, b, k = sp.symbols("x y z a b k", real=True)
exp, log = sp.exp, sp.log
HALF = sp.Rational(1, 2)

OF_ONE = {
    "softplus": x + log(1 + exp(-x)), "of a multiple": 2 * x + log(1 + exp(-2 * x)),
    "times a number": -3 * x - 3 * log(1 + exp(-x)), "both times a number": x + 2 * log(1 + exp(-x / 2)),
    "less": 3 * log(1 + exp(x)) - 3 * x, "shifted": x + 3 + log(1 + exp(-x - 1)),
    "with numbers": x + log(2 + exp(-x)), "with a half": x + log(HALF + exp(-x)),
    "by a logarithm": x - log(1 / (1 + exp(-x))), "its logarithm": log(x + log(1 + exp(-x))),
    "its square": (x + log(1 + exp(-x))) ** 2, "of a cube": x**3 + log(1 + exp(-(x**3))),
    "less the argument": log(exp(x) - 1) - x,
}  # fmt: skip
OF_MORE = {
    "scaled": k * x + log(1 + exp(-k * x)), "in a sum": a + x + log(1 + exp(-x)),
    "of a sum": a * x + b + y + log(1 + exp(-a * x - b)), "of a difference": x - y + log(1 + exp(y - x)),
    "a quotient": (x - y) / k + log(1 + exp((y - x) / k)), "times a value": a * x + a * log(1 + exp(-x)),
    "outside": a * (x + log(1 + exp(-x))), "complement": (1 - y) * x + log(1 + exp(-x)),
    "its terms": x - x * y + log(1 + exp(-x)), "of two": log(exp(a) + exp(b)) - b + x,
    "of three": a - log(exp(x) + exp(y) + exp(z)) + z, "twice": 2 * log(exp(x) + exp(y) + exp(z)) - 2 * z,
    "of two times": a * log(exp(x) + exp(y)) - a * y, "less both": log(exp(x) + exp(y)) - x - y,
    "of a score and a number": x + log(1 + exp(-x) + exp(y - x)),
    "of other scores": x - y + log(1 + exp(-x) + exp(y - x) + exp(z - x)),
    "a shift": a + log(exp(x - a) + exp(y - a) + exp(z - a)),
    "a shift and a score": a - x + log(exp(x - a) + exp(y - a) + exp(z - a)),
    "of a difference of exponentials": log(exp(x) - exp(y)) - x + a,
}  # fmt: skip
SIZES = (1e-9, 0.3, 1.0, 5.0, 20.0, 37.0, 40.0, 100.0, 400.0, 710.0, 746.0, 1000.0)
POINTS = [(0.0,), *((sign * size,) for size in SIZES for sign in (1, -1))]
MORE = (1.0, 0.5, -0.3, 0.004, 3.0, 20.0, 1e-8, -5.0, 40.0, 0.1, -37.0, 1.7)
DIGITS = 900


@pytest.mark.parametrize("backend", ["llvm", "numpy", "c"])
def test_a_score_and_its_softplus_are_one(backend: str) -> None:
    for formula in OF_ONE.values() if backend == "llvm" else (OF_ONE["softplus"], OF_ONE["shifted"]):
        assert not wrong_entries(formula, POINTS, backend, digits=DIGITS, is_limit=False), formula


@pytest.mark.parametrize("name", OF_MORE)
def test_every_entry_of_a_sum_has_its_digits(name: str) -> None:
    count = len(OF_MORE[name].free_symbols)
    points = [tuple(MORE[(n + 5 * j + n * j) % len(MORE)] for j in range(count)) for n in range(24)]
    assert not wrong_entries(OF_MORE[name], points, "llvm", digits=DIGITS, is_limit=False)


BESIDE_THEIR_SIZE = {  # as it is written, the smooth function that it is
    "softplus": (sp.Max(x, 0) + log(1 + exp(-sp.Abs(x))), log(1 + exp(x))),
    "cross-entropy": (sp.Max(x, 0) - x * y + log(1 + exp(-sp.Abs(x))), log(1 + exp(x)) - x * y),
    "of minus": (log(1 + exp(-sp.Abs(x))) - sp.Min(x, 0), log(1 + exp(-x))),
    "of two": (sp.Max(x, y) + log(1 + exp(-sp.Abs(x - y))), log(exp(x) + exp(y))),
    "a half of it": (sp.Max(x, 0) + 2 * log(1 + exp(-sp.Abs(x) / 2)), 2 * log(1 + exp(x / 2))),
}


@pytest.mark.parametrize("name", BESIDE_THEIR_SIZE)
def test_the_larger_score_and_the_rest_are_smooth_where_scores_are_equal(name: str) -> None:
    written, smooth = BESIDE_THEIR_SIZE[name]
    args = sorted(smooth.free_symbols, key=str)
    kernel = sg.compile(written, args=args, wrt=args, outputs=("value", "grad", "hess"))
    for point in itertools.product((0.0, 2.0, -40.0, 1000.0), repeat=len(args)):
        with mpmath.workdps(DIGITS):
            wanted = exact(smooth, args, point)
            assert wanted is not None
            found = [float(e) for part in kernel(*point) for e in np.ravel(part)]
            assert not off(found, wanted, list, roundings=0), point


@pytest.mark.parametrize("backend", ["llvm", "numpy"])
def test_scores_of_an_array_stand_beside_their_logarithm(backend: str) -> None:
    """A sum of the value alone: of 40 and its log-sum-exp nothing is left in doubles."""
    scores, small = np.array([40.0, 0.0, 1.0]), 1e-17
    rest = float(np.log1p(np.exp(-40.0) + np.exp(-39.0)))
    cases = [
        (LSE - v[0] + s, (v, s), rest + small),
        (s + LSE - v[0], (v, s), rest + small),
        (s - v[0] + LSE + t, (v, s, t), rest + 2 * small),
        (2 * LSE - 2 * v[0] + s, (v, s), 2 * rest + small),
        (t * LSE - t * v[0] + s, (v, s, t), small * rest + small),
        (v[0] - LSE - s, (v, s), -rest - small),
        (LSE - v[0] + sp.log(over(sp.exp(u[i]))) - u[0] + s, (v, u, s), 2 * rest + small),
        (sp.log(over(sp.exp(v[i] + u[i]))) - v[0] - u[0] + s, (v, u, s), None),
    ]
    for formula, args, wanted in cases:
        given = [scores if isinstance(arg, sp.IndexedBase) else small for arg in args]
        found = sg.compile(formula, args=args, outputs="value", backend=backend)(*given)
        if wanted is None:
            wanted = float(np.log1p(np.exp(-80.0) + np.exp(-78.0))) + small
        assert found == pytest.approx(wanted, rel=1e-14), formula


def test_sums_of_softpluses_over_an_array_keep_what_is_small() -> None:
    each = over(sp.log(1 + sp.exp(-v[i])) + v[i] + u[i])
    value = sg.compile(each, args=(v, u), outputs="value")
    scores, others = np.array([-40.0, -50.0, -60.0]), np.full(3, 1e-17)
    wanted = np.log1p(np.exp(scores)).sum() + 3e-17
    assert value(scores, others) == pytest.approx(wanted, rel=1e-14)


def test_more_than_one_score_beside_a_log_sum_exp() -> None:
    """Whichever of them stands beside it, no two sums make each other for ever."""
    total = LSE - v[0] - v[1] - v[2]
    value = sg.compile(total + LSE, args=(v,), outputs="value")
    assert value(np.array([1.0, 2.0, 3.0])) == pytest.approx(
        2 * np.log(np.exp([1.0, 2.0, 3.0]).sum()) - 6, rel=1e-15
    )
    assert sg.compile(total, args=(v,), outputs="value")(np.array([1.0, 2.0, 3.0])) == pytest.approx(
        np.log(np.exp([1.0, 2.0, 3.0]).sum()) - 6, rel=1e-15
    )


def test_large_parts_of_softmaxes_do_not_leave_the_range() -> None:
    share = sp.exp(v[0]) / over(POWER)
    kernel = sg.compile(-sp.log(share) + s, args=(v, s), outputs="value")
    assert kernel(np.array([1e3, -1e3]), 1e-300) == 1e-300
