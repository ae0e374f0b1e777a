"""Every row of the op table: reference against mpmath, derivatives, kinks, special values, expansions."""

from __future__ import annotations

import itertools
import math

import mpmath
import numpy as np
import pytest
from scalar_derivatives import derivative, value_at, variables
from tolerances import RELATIVE, ULPS, ulps_apart

from symgrad.ir.composites.log_products import NAMES as LOGS
from symgrad.ir.composites.norm import NAMES as NORM
from symgrad.ir.composites.radial import NAMES as RADIAL
from symgrad.ir.graph import Graph
from symgrad.ir.ops import OPS, Op
from symgrad.ir.series.removable import NAMES as REMOVABLE
from symgrad.ir.special import SPECIAL as SPECIAL_ROWS

SPECIAL = (0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 5e-324, 1e308, -1e308, 710.0, -750.0)
# theirs: test_radial.py, test_norms.py, test_removable.py, test_special.py; test_cancellation.py, for a root
# less its side, its cosine and a power less 1, which come with what they are made of
TOGETHER = {"root_less_side", "less_norm_cosine", "powm1"}
APART = RADIAL | NORM | LOGS | {*REMOVABLE} | TOGETHER | SPECIAL_ROWS.keys()
PLAIN = [row for row in OPS.values() if row.name not in APART]
REAL = [row for row in PLAIN if row.name not in ("where", "mask", "cast", "and", "or", "not")]
SMOOTH = [row for row in REAL if row.result == "real"]
EXPANDED = [row for row in PLAIN if row.expand is not None]

every_real_op = pytest.mark.parametrize("row", REAL, ids=lambda row: row.name)
every_smooth_op = pytest.mark.parametrize("row", SMOOTH, ids=lambda row: row.name)
every_expanded_op = pytest.mark.parametrize("row", EXPANDED, ids=lambda row: row.name)


@pytest.fixture(autouse=True)
def fifty_digits():
    with mpmath.workdps(50):
        yield


def samples(row: Op, count: int = 40) -> np.ndarray:
    """Points of the row's domain, one column per argument; the same in every run."""
    intervals = [row.domain[min(k, len(row.domain) - 1)] for k in range(row.arity)]
    rng = np.random.default_rng(sum(row.name.encode()))
    return np.stack([rng.uniform(low, high, count) for low, high in intervals], axis=1)


def exact(row: Op, arguments: np.ndarray) -> list:
    return [row.mpmath(*(mpmath.mpf(float(a)) for a in point)) for point in arguments]


def test_every_op_has_a_tolerance():
    assert set(ULPS) == set(OPS)


def test_every_row_has_one_partial_per_argument_and_a_domain_for_each():
    for row in OPS.values():
        assert len(row.partials) == row.arity
        assert len(row.domain) in (1, row.arity)


def test_every_row_is_spelled_for_targets_or_expanded_but_not_both():
    for row in PLAIN:
        assert bool(row.c and row.llvm) != bool(row.expand), row.name
    for row in SPECIAL_ROWS.values():
        assert bool(row.llvm) != bool(row.expand) and not (row.c and row.expand), row.name


@every_real_op
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_numpy_reference_agrees_with_mpmath(row, dtype):
    points = samples(row).astype(dtype)
    with np.errstate(all="ignore"):
        found = np.asarray(row.numpy(*points.T))
    wanted = np.array(exact(row, points), dtype=object)
    if row.result == "bool":
        assert (found == wanted.astype(bool)).all()
    else:
        assert found.dtype == dtype
        worst = ulps_apart(found, wanted).max()
        assert worst <= ULPS[row.name], worst


every_partial = pytest.mark.parametrize(
    ("row", "place"),
    [pytest.param(row, place, id=f"{row.name}-{place}") for row in SMOOTH for place in range(row.arity)],
)


@every_partial
def test_first_derivative_agrees_with_high_precision_differences(row, place):
    g = Graph()
    x = variables(g, row.arity)
    slope = derivative(g, g.node(row.name, *x), x[place])
    order = tuple(int(k == place) for k in range(row.arity))
    _compare_derivative(g, row, x, slope, order)


@every_partial
def test_second_derivatives_agree_with_high_precision_differences(row, place):
    g = Graph()
    x = variables(g, row.arity)
    slope = derivative(g, g.node(row.name, *x), x[place])
    for other in range(row.arity):
        order = tuple(int(k == place) + int(k == other) for k in range(row.arity))
        _compare_derivative(g, row, x, derivative(g, slope, x[other]), order)


def _compare_derivative(g, row, x, slope, order):
    for point in samples(row, 5):
        arguments = [mpmath.mpf(float(a)) for a in point]
        wanted = mpmath.diff(row.mpmath, tuple(arguments), order)
        scale = max(1, abs(wanted))
        precise = value_at(g, slope, dict(zip(x, arguments, strict=True)), object)
        assert abs(precise - wanted) <= 1e-18 * scale, (point, precise, wanted)
        fast = value_at(g, slope, dict(zip(x, point, strict=True)))
        assert abs(fast - wanted) <= RELATIVE["float64"] * scale, (point, fast, wanted)


# One entry per op with a kink or a singular point: arguments, and the slope by each of them.
KINKS = [
    ("abs", (0.0,), (0.0,)),
    ("sign", (0.0,), (0.0,)),
    ("floor", (2.0,), (0.0,)),
    ("ceil", (2.0,), (0.0,)),
    ("maximum", (1.5, 1.5), (1.0, 0.0)),
    ("maximum", (1.0, 2.0), (0.0, 1.0)),
    ("minimum", (1.5, 1.5), (1.0, 0.0)),
    ("minimum", (1.0, 2.0), (1.0, 0.0)),
    ("hypot", (0.0, 0.0), (0.0, 0.0)),
    ("hypot", (0.0, -3.0), (0.0, -1.0)),
    ("hypot", (3e200, 4e200), (0.6, 0.8)),
    ("hypot_slope", (0.0, 0.0), (0.0, 0.0)),
    ("less_cosine", (0.0, 0.0), (0.0, 0.0)),
    ("inversion", (0.0, 0.0), (0.0, 0.0)),
    ("hypot_difference", (0.0, 0.0, 3.0, 0.0), (-1.0, 0.0, -1.0, 0.0)),
    ("cosine_difference", (0.0, 0.0, 3.0, 0.0), (0.0, 0.0, 0.0, 0.0)),
    ("sine_difference", (0.0, 0.0, 3.0, 0.0), (0.0, 0.0, 0.0, -1 / 3)),
    ("atan2", (0.0, 0.0), (0.0, 0.0)),
    ("atan2", (0.0, -1.0), (-1.0, 0.0)),
    ("atan2", (1e200, 1e200), (0.5e-200, -0.5e-200)),
    ("mod", (6.0, 3.0), (1.0, -2.0)),
    ("mod", (-6.0, 3.0), (1.0, 2.0)),
    ("fmod", (6.5, 3.0), (1.0, -2.0)),
    ("fmod", (-6.5, 3.0), (1.0, 2.0)),
    ("pow", (0.0, 2.0), (0.0, 0.0)),
    ("pow", (0.0, 1.0), (1.0, 0.0)),
    ("pow", (0.0, 0.0), (0.0, 0.0)),
    ("pow", (0.0, 0.5), (np.inf, 0.0)),
    ("sqrt", (0.0,), (np.inf,)),
    ("norm", (0.0, 0.0, 0.0), (0.0, 0.0, np.inf)),  # of reads, which may be negative
    ("cbrt", (0.0,), (np.inf,)),
    ("sinc", (0.0,), (0.0,)),
    ("softplus", (1000.0,), (1.0,)),
    ("softplus", (-1000.0,), (0.0,)),
    ("logaddexp", (800.0, 800.0), (0.5, 0.5)),
    ("logaddexp", (-800.0, 800.0), (0.0, 1.0)),
    ("logaddexp", (0.0, 40.0), (math.exp(-40.0), 1.0)),
    ("logistic", (1000.0,), (0.0,)),
    ("logistic", (-1000.0,), (0.0,)),
    ("log", (0.0,), (np.inf,)),
    ("acosh", (1.0,), (np.inf,)),
    ("tanh", (1000.0,), (0.0,)),
]


@pytest.mark.parametrize(("name", "point", "slopes"), KINKS)
def test_slopes_at_kinks_follow_the_documented_convention(name, point, slopes):
    g = Graph()
    x = variables(g, len(point))
    node = g.node(name, *x)
    for variable, wanted in zip(x, slopes, strict=True):
        found = value_at(g, derivative(g, node, variable), dict(zip(x, point, strict=True)))
        assert found == pytest.approx(wanted, rel=1e-14, abs=0), (name, point)


def test_every_op_with_a_kink_has_its_convention_tested():
    selections = {"where"}  # tested below
    assert {row.name for row in OPS.values() if row.kink} <= {name for name, _, _ in KINKS} | selections


@pytest.mark.parametrize(("x", "slope"), [(-1.0, 3.0), (0.0, 2.0), (1.0, 2.0)])
def test_the_slope_of_a_selection_is_that_of_the_arm_taken(x, slope):
    g = Graph()
    (v,) = variables(g, 1)
    node = g.where(g.node("lt", v, g.zero), g.mul(g.const(3), v), g.mul(g.const(2), v))
    assert value_at(g, derivative(g, node, v), {v: x}) == slope


@pytest.mark.parametrize("dtype", [np.float64, object])
def test_the_arm_not_taken_leaves_no_nan_in_value_or_slope(dtype):
    g = Graph()
    (v,) = variables(g, 1)
    risky = g.add(g.node("log", v), g.add(g.node("sqrt", v), g.div(g.one, v)))
    for node in (g.where(g.node("lt", g.zero, v), risky, v), g.mask(g.node("lt", g.zero, v), risky)):
        for wrong in (-1.0, 0.0):
            value = value_at(g, node, {v: wrong}, dtype)
            slope = value_at(g, derivative(g, node, v), {v: wrong}, dtype)
            assert value == (wrong if g.op[node] == "where" else 0)
            assert slope == (1 if g.op[node] == "where" else 0)


@every_expanded_op
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_expansion_agrees_with_the_reference(row, dtype):
    points = samples(row).astype(dtype)
    g = Graph()
    x = variables(g, row.arity)
    node = row.expand(g, tuple(x))
    for point in points:
        found = value_at(g, node, dict(zip(x, point, strict=True)), dtype)
        wanted = row.mpmath(*(mpmath.mpf(float(a)) for a in point))
        assert ulps_apart(np.array([found], dtype), np.array([wanted], dtype=object))[0] <= ULPS[row.name]


@every_expanded_op
def test_expansion_agrees_with_the_reference_at_special_values(row):
    g = Graph()
    x = variables(g, row.arity)
    node = row.expand(g, tuple(x))
    for point in itertools.product(SPECIAL, repeat=row.arity):
        if row.name == "mod" and (point[1] == 0 or abs(point[0]) > 1e300 or abs(point[1]) < 1e-300):
            continue  # the quotient is beyond the integers a double holds
        found = value_at(g, node, dict(zip(x, point, strict=True)))
        with np.errstate(all="ignore"):
            wanted = float(row.numpy(*(np.float64(a) for a in point)))
        assert np.isclose(found, wanted, rtol=1e-15, atol=0, equal_nan=True), (point, found, wanted)


@every_expanded_op
def test_expansion_ends_in_ops_that_have_a_spelling(row):
    g = Graph(stabilise=False)  # as the pass that expands
    root = row.expand(g, tuple(variables(g, row.arity)))
    for _ in range(len(OPS)):
        names = {g.op[n] for n in g.reachable((root,)) if g.op[n] in OPS and OPS[g.op[n]].expand}
        if not names:
            break
        for n in g.reachable((root,)):
            inner = OPS.get(g.op[n])
            if inner is not None and inner.expand is not None:
                root = g.substitute(root, {n: inner.expand(g, g.args[n])})
                break
    assert not names


LIBM = [row for row in SMOOTH if "{f}(" in row.c and row.name not in ("floor", "ceil", "fmod")]


@pytest.mark.parametrize("row", LIBM, ids=lambda row: row.name)
def test_special_values_are_those_of_c99(row):
    """`math` wraps the C library, raising where C returns nan or an infinity."""
    function = math.fabs if row.name == "abs" else getattr(math, row.c.partition("{")[0])
    for point in itertools.product(SPECIAL, repeat=row.arity):
        with np.errstate(all="ignore"):
            found = float(row.numpy(*(np.float64(a) for a in point)))
        try:
            wanted = function(*point)
        except (ValueError, OverflowError):
            assert not math.isfinite(found), point
            continue
        assert np.isclose(found, wanted, rtol=1e-14, atol=0, equal_nan=True), (point, found, wanted)
        if wanted == 0:
            assert math.copysign(1, found) == math.copysign(1, wanted), point


SATURATED = [
    ("logistic", (np.inf,), 1.0), ("logistic", (-np.inf,), 0.0), ("logistic", (-745.0,), math.exp(-745.0)),
    ("softplus", (np.inf,), np.inf), ("softplus", (-np.inf,), 0.0), ("softplus", (1e6,), 1e6),
    ("logaddexp", (-np.inf, 3.0), 3.0), ("logaddexp", (-np.inf, -np.inf), -np.inf),
    ("logaddexp", (np.inf, np.inf), np.inf), ("logaddexp", (1e4, -1e4), 1e4),
    ("sinc", (0.0,), 1.0), ("sinc", (1e-200,), 1.0), ("sign", (np.inf,), 1.0), ("sign", (-np.inf,), -1.0),
    ("maximum", (np.inf, 3.0), np.inf), ("minimum", (-np.inf, 3.0), -np.inf),
    ("mod", (-1.0, np.inf), np.inf), ("mod", (-0.5, 3.0), 2.5),
]  # fmt: skip


@pytest.mark.parametrize(("name", "point", "wanted"), SATURATED)
def test_saturated_values_are_exact(name, point, wanted):
    row = OPS[name]
    with np.errstate(all="ignore"):
        assert row.numpy(*(np.float64(a) for a in point)) == wanted
    g = Graph()
    x = variables(g, row.arity)
    assert value_at(g, row.expand(g, tuple(x)), dict(zip(x, point, strict=True))) == wanted


@every_smooth_op
def test_nan_goes_through_every_smooth_op(row):
    for place in range(row.arity):
        arguments = [np.float64(1.0)] * row.arity
        arguments[place] = np.float64(np.nan)
        if row.name.startswith("pow") and (place == 1 or row.name in ("pow_1", "pow_slope")):
            continue  # 1**nan and nan**0 are 1 in C99
        with np.errstate(all="ignore"):
            assert np.isnan(row.numpy(*arguments))


@every_smooth_op
def test_a_total_op_is_finite_wherever_its_arguments_are_moderate(row):
    if not row.total:
        return
    for point in itertools.product((-30.0, -1.0, -0.0, 0.0, 1e-300, 1.0, 30.0), repeat=row.arity):
        assert np.isfinite(row.numpy(*(np.float64(a) for a in point))), point
