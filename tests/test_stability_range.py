"""Stability rules over the whole range of doubles: no rewrite turns a right answer into a wrong one."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

import mpmath
import numpy as np
import pytest
import sympy as sp
from test_stability import NAMES, table

import symgrad as sg
from symgrad.ir.evaluate import evaluate
from symgrad.ir.rules import TABLE
from symgrad.ir.stability import AUDITS

TARGETS = ("numpy", "llvm", "c")
DIGITS, DIGITS_OF_BESSEL = 1000, 400  # these take long, and 1 less 1e-308 has digits in as many, too
FACTOR, PLUS = 4, 8  # an error in ulps may be this much larger than that of the plain form
# Of differences of exponents, whose rounding exp amplifies.
ROUNDED = {
    "exp_of_minus_softplus_to_logistic", "exp_of_log_share_to_share", "softmax_to_exp_of_difference",
    "margin_of_softmax", "difference_of_shares", "shares_to_share_of_others",
    "number_less_its_mean", "weighted_mean_to_softmax", "weighted_mean_of_few", "power_of_share",
    "root_over_sum_with_root",
}  # fmt: skip
# Functions of the root of two squares amplify its rounding.
OF_ROOT = {name for name in NAMES if AUDITS[name].is_limit and len(AUDITS[name].points[0]) == 2}
BESSEL = {r.name for rules in TABLE.values() for r in rules if "bessel" in r.name}
# mpmath's functions have no values there: see test_bessel_far.py. An infinite number less an infinite mean
# has none either, as in all variances; with a centring matrix it is infinite.
NO_REFERENCE_AT_INFINITY = BESSEL | {"centring_matrix"}
# Of exponentials of exponentials, or beside 1, the reference has too few digits beyond, or takes for ever.
OF_SMALL = {
    "log_of_softplus", "log_of_logistic_difference", "quotient_with_small_exponential",
    "log1mexp_of_small", "logexpm1_of_small", "log_of_logistic_polynomials", "log_of_share_of_others",
    "log_odds_of_share", "log_of_mixture", "log1p_of_mixture",
}  # fmt: skip
OF_SMALL_TO = 2000.0
LEFT_OUT = {
    "incomplete_gamma_to_regularised": "mpmath's incomplete gamma function does not end where both are large",
    "log_determinant": "of a nearly singular matrix: its condition number is not known here",
}
ARRAYS = {("v",): (4,), ("A",): (2, 2)}  # and their shapes
FARTHEST = 800.0  # exponents whose difference has an exponential

_TINY, _LARGEST = float(np.finfo(float).tiny), float(np.finfo(float).max)
SIZES = (5e-324, 3e-310, _TINY, 1e-300, 1.5e-154, 1e-17, 1e-8, 1e-3, 0.3, 1.0, 1 + 2.0**-52, 1.7, 20.0, 36.5,
         372.0, 709.0, 710.3, 745.0, 1e8, 1e154, 1.4e154, 1e300, _LARGEST, np.inf)  # fmt: skip
SPECIALS = np.array([0.0, -0.0, *SIZES, *(-s for s in SIZES)])


def points(arity: int) -> np.ndarray:
    """Every special value (pairs: those of them that differ in kind), and numbers of random bits."""
    rng = np.random.default_rng(7)
    bits = rng.integers(0, 2**64, (40, arity), dtype=np.uint64).view(np.float64)
    moderate = rng.uniform(-8, 8, (20, arity))
    rest = np.concatenate([bits[~np.isnan(bits).any(axis=1)], moderate])
    if arity == 1:
        return np.concatenate([SPECIALS[:, None], rest])
    if arity > 2:
        return np.concatenate([rng.choice(SPECIALS, (50, arity)), rng.uniform(-800, 800, (20, arity)), rest])
    few = [s for s in SPECIALS if abs(s) in (0.0, 5e-324, 1e-8, 1.0, 709.0, 745.0, 1e300, np.inf)]
    return np.concatenate([np.array(list(itertools.product(few, repeat=2))), rest])


def group_of(name: str) -> tuple[tuple[str, ...], bool]:
    """The arguments of the rule's audited expression; and whether each target is compared with its own plain
    form: they have Bessel functions of their own.
    """
    return tuple(sorted(AUDITS[name].points[0])), name in BESSEL


TESTED = sorted(set(NAMES) - LEFT_OUT.keys(), key=lambda name: (group_of(name), name))
GROUPS = {group: list(names) for group, names in itertools.groupby(TESTED, group_of)}


def points_of(name: str) -> np.ndarray:
    """(B, arity), or (B, numbers) for one array."""
    names, _ = group_of(name)
    return points(math.prod(ARRAYS[names]) if names in ARRAYS else len(names))


@lru_cache
def values(group: tuple[tuple[str, ...], bool], stabilise: bool, target: str) -> np.ndarray:
    """One column per expression of the group, one row per point."""
    found, at = [table.expression(AUDITS[name]) for name in GROUPS[group]], points_of(GROUPS[group][0])
    args = max((a for _, a in found), key=len)
    both = sp.Matrix([expr for expr, _ in found])
    with np.errstate(all="ignore"):
        kernel = sg.compile(both, args=args, stabilise=stabilise, backend=target)
        columns = [at.reshape(-1, *ARRAYS[group[0]])] if group[0] in ARRAYS else at.T
        return np.asarray(kernel(*columns)).reshape(len(at), -1)


@lru_cache
def exact(name: str) -> list[mpmath.mpf]:
    """The audited expression, as it is written, at the doubles themselves; nan where it is not asked."""
    program, _ = table.programs(AUDITS[name])
    tr = program.translation
    with mpmath.workdps(DIGITS_OF_BESSEL if name in BESSEL else DIGITS):
        inputs = [tr.inputs[s] for s in program.args]

        def one(point: np.ndarray) -> mpmath.mpf:
            if (name in OF_SMALL and np.abs(point).max() > OF_SMALL_TO) or (
                name in NO_REFERENCE_AT_INFINITY and np.isinf(point).any()
            ):
                return mpmath.nan
            given = [np.frompyfunc(mpmath.mpf, 1, 1)(point.reshape(shape))] if tr.sizes else point
            at = dict(zip(inputs, given, strict=True))
            return evaluate(tr.graph, [tr.value], at, dict.fromkeys(tr.sizes, shape[0]), object)[0][()]

        shape = ARRAYS.get(group_of(name)[0], (0,))
        return [one(point) for point in points_of(name)]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", TESTED)
def test_no_rewrite_turns_a_right_answer_into_a_wrong_one(name: str, target: str) -> None:
    _, has_own = group = group_of(name)
    place, plainly = GROUPS[group].index(name), target if has_own else "numpy"
    plain, rewritten = (values(group, on, t)[:, place] for on, t in ((False, plainly), (True, target)))
    wrong = []
    for point, before, after, wanted in zip(points_of(name), plain, rewritten, exact(name), strict=True):
        if mpmath.isnan(wanted):
            continue  # undefined, or a limit that the plain form does not take either
        allowed = FACTOR * _error(before, wanted) + PLUS
        if name in ROUNDED:
            finite = np.clip(point[np.isfinite(point)], -FARTHEST, FARTHEST)
            allowed += finite.max(initial=0.0) - finite.min(initial=0.0)
        if name in OF_ROOT and wanted and mpmath.isfinite(wanted):
            allowed += float(np.hypot(*point) / abs(wanted))
        if not _error(after, wanted) <= allowed:
            wrong.append((point.tolist(), before, after, mpmath.nstr(wanted, 17)))
    assert not wrong


def _error(found: float, wanted: mpmath.mpf) -> float:
    """In ulps; the largest double and infinity are neighbours."""
    if abs(wanted) > _LARGEST:
        return 0.0 if abs(found) >= _LARGEST and found * wanted > 0 else np.inf
    return table.ulps(np.array(found), np.array(wanted, dtype=object))


x = sp.Symbol("x", real=True)
FAR = {
    sp.log(1 + x**2) / x: 1e100,
    sp.log(1 + x**2) / x**2: 1e90,
    sp.log(1 + x**4) / x**2: 1e50,
    (1 - sp.exp(-(x**2))) / x: 1e100,
    x / sp.log(1 + x): 1e140,
}


@pytest.mark.parametrize("target", ["numpy", "llvm"])
@pytest.mark.parametrize("expr", FAR, ids=str)
def test_quotients_regular_at_zero_have_their_derivatives_far_away(expr: sp.Expr, target: str) -> None:
    kernel = sg.compile(expr, wrt=x, outputs=("value", "grad", "hess"), backend=target)
    entries = [sp.lambdify(x, sp.diff(expr, x, order), "mpmath") for order in range(3)]
    for at in (1e-9, 1e-3, 0.3, 20.0, 1e5, FAR[expr]):
        with mpmath.workdps(400):
            wanted = [f(mpmath.mpf(at)) for f in entries]
        for found, exact in zip(kernel(at), wanted, strict=True):
            assert abs(float(found) - exact) <= 1e-13 * abs(exact) + mpmath.mpf("1e-320")
