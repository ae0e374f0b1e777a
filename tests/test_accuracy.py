"""Last-place errors: elementary operations stay within their bounds on every target."""

from __future__ import annotations

from functools import lru_cache

import bounds
import cases
import composites
import exact
import measure
import mpmath
import numpy as np
import pytest
import sympy as sp
import table

import symgrad as sg
from symgrad.ir.ops import OPS
from symgrad.ir.series.removable import NAMES as REMOVABLE
from symgrad.run.accuracy import correct_digits, last_places

TARGETS, DTYPES = ("numpy", "llvm", "c"), ("float64", "float32")
x = sp.Symbol("x", real=True)
ELEMENTARY = [case for case in cases.op_cases() if case.name in cases.WIDE]


# ---- elementary operations ---------------------------------------------------------------------


@lru_cache
def _truth(dtype: str) -> dict[str, measure.Truth]:
    return {c.name: measure.exact_numbers(c, np.dtype(dtype), 25, 1.0, ("value",)) for c in ELEMENTARY}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", TARGETS)
def test_no_elementary_operation_is_further_off_than_its_bound(target: str, dtype: str) -> None:
    truth = _truth(dtype)
    count = min(len(t.points) for t in truth.values())
    assert count >= 20
    for first in range(0, len(ELEMENTARY), 10):  # C compilers take their time over a loop with all of them
        some = ELEMENTARY[first : first + 10]
        kernel = sg.compile(cases.values_program([OPS[c.name] for c in some]), backend=target, dtype=dtype)
        (values,) = kernel(*(column for c in some for column in truth[c.name].points[:count].T))
        for k, case in enumerate(some):
            far = last_places(values[:, k], truth[case.name].value[:count], dtype)
            allowed = bounds.bound(case.name, case.group, "value", target)
            assert far.max() <= allowed, (case.name, far.max())


def test_elementary_functions_are_allowed_two_places_and_composites_four() -> None:
    assert {ulps for (group, _), ulps in bounds.BOUNDS.items() if group == "elementary"} == {2}
    assert {ulps for (group, _), ulps in bounds.BOUNDS.items() if group != "elementary"} == {4}


def test_what_is_worse_is_stated_with_a_reason_and_nothing_else_is() -> None:
    groups = {case.name: case.group for case in table.all_cases()}
    assert len(groups) == len(table.all_cases())
    stated = bounds.stated()
    worse = {(n, q) for (n, q, _), ulps in stated.items() if ulps > bounds.BOUNDS[groups[n], q]}
    assert worse == bounds.EXCEPTIONS.keys()
    lines = table.TARGET.read_text().split("## Where it is worse, and why")[1].splitlines()
    for (name, quantity), reason in bounds.EXCEPTIONS.items():
        assert len(reason) > 20, name
        start = f"- {table._escaped(name)}, {table._TITLES[quantity]}: "
        assert any(line.startswith(start) and line.endswith(table._escaped(reason)) for line in lines), start


def test_what_is_allowed_is_twice_what_the_table_states() -> None:
    """Of a case that is worse on one target, what is usual on another."""
    assert bounds.stated()["cbrt", "value", "llvm"] == 2.24
    assert bounds.bound("cbrt", "elementary", "value", "llvm") == pytest.approx(4.48)
    assert bounds.bound("cbrt", "elementary", "value", "numpy") == 2.54  # 1.27 in single precision
    assert bounds.bound("exp", "elementary", "value", "c") == 2


@pytest.mark.parametrize(
    ("build", "exactly"),
    [
        (sp.tanh, lambda a: 1 / mpmath.cosh(a) ** 2),
        (sp.sech, lambda a: -mpmath.tanh(a) / mpmath.cosh(a)),
        (sp.asin, lambda a: 1 / mpmath.sqrt((1 - a) * (1 + a))),
        (sp.acos, lambda a: -1 / mpmath.sqrt((1 - a) * (1 + a))),
        (sp.atanh, lambda a: 1 / ((1 - a) * (1 + a))),
    ],
    ids=["tanh", "sech", "asin", "acos", "atanh"],
)
@pytest.mark.parametrize("target", TARGETS)
def test_derivatives_keep_their_digits_where_functions_saturate(target, build, exactly) -> None:
    bounded = build in (sp.asin, sp.acos, sp.atanh)
    near_one = 1 - 10.0 ** -np.arange(0.5, 15.5)
    points = np.concatenate([near_one, [1e-300, 1e-9, 0.3]] if bounded else [np.arange(0.1, 300, 7.3)])
    points = np.concatenate([points, -points])
    found = sg.compile(build(x), wrt=x, outputs="grad", backend=target)(points)
    with mpmath.workdps(60):
        wanted = np.array([exactly(mpmath.mpf(float(p))) for p in points], dtype=object)
    assert last_places(found, wanted).max() <= 4


@pytest.mark.parametrize("target", TARGETS)
def test_second_derivatives_of_saturated_functions_are_finite_and_right(target) -> None:
    points = np.array([1e-200, 0.5, 20.0, 300.0, 711.0, 1e308, np.inf])
    hess = sg.compile(sp.tanh(x), wrt=x, outputs="hess", backend=target)
    with mpmath.workdps(60):
        wanted = [-2 * mpmath.tanh(a) / mpmath.cosh(a) ** 2 for a in map(mpmath.mpf, points[:4].tolist())]
    assert last_places(hess(points[:4]), np.array(wanted, dtype=object)).max() <= 6
    assert (hess(points[4:]) == 0).all()
    near_zero = sg.compile(sp.asin(x), wrt=x, outputs="hess", backend=target)
    assert near_zero(1e-200) == 1e-200


@pytest.mark.parametrize("target", TARGETS)
def test_the_slope_of_an_inversion_keeps_its_digits_beside_an_axis(target) -> None:
    hess = sg.compile(cases.call_program(OPS["inversion"]), outputs="hess", backend=target)
    for a, b in [(2.6e-20, -0.66), (1e-9, 0.5), (-1e-160, 3.0), (1e-5, 2e5), (1e-12, 1e-3)]:
        with mpmath.workdps(60):
            s, t = mpmath.mpf(a), mpmath.mpf(b)
            wanted = 2 * s * (s * s - 3 * t * t) / (s * s + t * t) ** 3
        assert last_places(hess(a, b)[0, :1], np.array([wanted], dtype=object)).max() <= 8


# ---- the instruments ---------------------------------------------------------------------------


def test_last_places_are_counted_from_the_exact_number() -> None:
    with mpmath.workdps(40):
        third = mpmath.mpf(1) / 3
        value = np.array([1 / 3, np.nextafter(1 / 3, 1), np.inf, np.nan, 1.0, np.inf])
        wanted = np.array([third, third, mpmath.inf, mpmath.nan, mpmath.inf, mpmath.mpf(1)], dtype=object)
        far = last_places(value, wanted)
    assert far[0] < 0.5
    assert far[1] == pytest.approx(1 - far[0]) or far[1] == pytest.approx(1 + far[0])
    assert far[2:4].tolist() == [0.0, 0.0]
    assert np.isinf(far[4:]).all()
    one = np.array([mpmath.mpf(1)], dtype=object)
    assert last_places(np.array([1 + 2.0**-23]), one, "float32")[0] == 1.0
    assert correct_digits(np.array([1.001]), one, 50)[0] == pytest.approx(3, abs=1e-6)


def test_exact_derivatives_are_exact() -> None:
    with mpmath.workdps(60):
        for point in (1e-250, 1e-9, 0.7, 30.0, 1e200):
            a = mpmath.mpf(point)
            cosine = exact.derivative(mpmath.sin, (point,), (0,))
            assert abs(cosine - mpmath.cos(a)) < abs(cosine) * mpmath.mpf(10) ** -25
            inverse = exact.derivative(mpmath.log, (point,), (0, 0))
            assert abs(inverse * a * a + 1) < mpmath.mpf(10) ** -25
        mixed = exact.derivative(lambda a, b: a**2 * b**3, (0.5, 1e-100), (0, 1))
        assert abs(mixed / (3 * mpmath.mpf(1e-100) ** 2) - 1) < mpmath.mpf(10) ** -25
    assert exact.derivative(mpmath.sqrt, (0.0,), (0,)) is None
    assert exact.derivative(lambda a: abs(a) ** 0.5 * mpmath.sign(a), (0.0,), (0,)) is None
    assert exact.value(mpmath.log, (-1.0,)) is None


def test_the_table_shows_what_is_measured_and_says_what_is_too_far_off(monkeypatch) -> None:
    chosen = [c for c in table.all_cases() if c.name in ("exp", "log-determinant")]
    results = [measure.measure(c, 5, 0.3, ("value", "first"), ("numpy", "llvm")) for c in chosen]
    text = table.document(chosen, results)
    rows = [line for line in text.splitlines() if line.startswith(("| exp |", "| log-determinant |"))]
    assert len(rows) == 2
    assert all(row.count(" / ") == 4 for row in rows)
    assert list(table.violations(chosen, results)) == []
    monkeypatch.setitem(bounds.BOUNDS, ("elementary", "value"), 1e-9)
    monkeypatch.setattr(bounds, "EXCEPTIONS", {})
    wrong = list(table.violations(chosen, results))
    assert wrong
    assert all(line.startswith("exp value: ") for line in wrong)


def test_the_table_has_every_operation_and_every_composite() -> None:
    """Every row that makes a real number, but selections, anchors, deviations (which are differences) and
    parts of expansions (`_core`).
    """
    lines = table.TARGET.read_text().splitlines()
    shown = {
        cell.strip().replace("\\", "") for line in lines if line[:2] == "| " for cell in line.split(" | ")[:1]
    }
    shown = {cell.removeprefix("| ") for cell in shown}
    numbers = {row.name for row in OPS.values() if row.result == "real" and not row.name.endswith("_core")}
    assert (
        numbers - {"where", "mask", "cast", "anchor", "deviation", "nested_share", "finite_part", *REMOVABLE}
        <= shown
    )
    assert {case.name for case in table.all_cases()} <= shown


def test_composites_are_written_twice_and_mean_the_same() -> None:
    for case in composites.composite_cases():
        truth = measure.exact_numbers(case, np.dtype("float64"), 3, 1.0, ("value",))
        (form,) = case.forms
        kernel = sg.compile(case.forms[form](), outputs=("value", "grad", "hess"), backend="numpy")
        found = measure._numbers(kernel, case, form, truth.points)["value"]
        wanted = truth.value.astype(np.float64)
        assert found == pytest.approx(wanted, rel=1e-3, abs=1e-9), case.name
