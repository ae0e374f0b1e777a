"""Stability rules over the whole range of doubles, in first and second derivatives: each against mpmath.

Where derivatives of the formula as it is written are right to rounding, those of what a rule makes of it are
right too: not wrong, infinite or nan. Looked at exactly is only where the two differ.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from test_stability import AUDITS, NAMES, table

import symgrad as sg

ROUNDED = 1e-13  # an error that the plain form may have to count as right
ALLOWED = 1e-11  # one that the other may have then
DIGITS = (450, 750)  # of two evaluations that have to agree
_LARGEST = mpmath.mpf(float(np.finfo(float).max))

_MANY = (5e-324, 1e-310, 1e-300, 1e-160, 1e-100, 1e-30, 1e-8, 1e-3, 0.3, 1.0, 1.7, 20.0, 36.5, 300.0, 709.5,
         745.0, 1e8, 1e50, 1e77, 1e100, 1e140, 1e154, 1e160, 1e300, 1.7e308)  # fmt: skip
_FEW = (1e-160, 1e-8, 1.0, 40.0, 1e100, 1e160)
OTHERWISE_AT_ZERO = {"filled_in_quotient"}  # SymPy differentiates the value that is filled in, a constant


def arity_of(name: str) -> int:
    """Numbers in the rule's audited expression; 0 if it is about an array, or no derivative is meant."""
    point = AUDITS[name].points[0]
    return 0 if {"v", "A"} & point.keys() or AUDITS[name].wrt else len(point)


SCALAR = sorted((name for name in NAMES if arity_of(name) in (1, 2)), key=arity_of)


def points(arity: int) -> np.ndarray:
    sizes = _MANY if arity == 1 else _FEW
    signed = [0.0, *sizes, *(-s for s in sizes)]
    return np.array(list(itertools.product(signed, repeat=arity)))


def derivatives(name: str, stabilise: bool) -> np.ndarray:
    """A row for each point: the gradient and the Hessian."""
    expr, args = table.expression(AUDITS[name])
    with np.errstate(all="ignore"):
        at = points(len(args)).T
        parts = sg.compile(
            expr, args=args, wrt=args, outputs=("grad", "hess"), backend="numpy", stabilise=stabilise
        )(*at)
    return np.concatenate([np.asarray(part).reshape(at.shape[1], -1) for part in parts], axis=1)


def entries(expr: sp.Expr, args: tuple[sp.Symbol, ...]) -> list[sp.Expr]:
    firsts = [sp.diff(expr, a) for a in args]
    return [*firsts, *(sp.diff(f, a) for f in firsts for a in args)]


def exact(function: Callable[..., Any], point: np.ndarray) -> mpmath.mpf | None:
    """None where there is no finite real value, or none that so many digits settle."""
    found = []
    for digits in DIGITS:
        with mpmath.workdps(digits):
            try:
                value = function(*(mpmath.mpf(float(p)) for p in point))
            except (ZeroDivisionError, OverflowError, ValueError):
                return None  # a pole, or out of mpmath's own range
            if isinstance(value, mpmath.mpc) or not mpmath.isfinite(value):
                return None
            found.append(mpmath.mpf(value))
    settled = abs(found[0] - found[1]) <= mpmath.mpf(10) ** -30 * abs(found[1]) + mpmath.mpf(10) ** -340
    return found[1] if settled else None


def is_right(found: float, wanted: mpmath.mpf, tolerance: float, size: float) -> bool:
    """To a relative error, and beside entries of this size to a few of their last places."""
    if abs(wanted) > _LARGEST:
        return abs(found) >= float(_LARGEST) and found * wanted > 0
    if not np.isfinite(found):
        return False
    allowed = tolerance * abs(wanted) + mpmath.mpf("1e-318") + 4 * float(np.finfo(float).eps) * size
    return bool(abs(mpmath.mpf(found) - wanted) <= allowed)


@lru_cache
def candidates(name: str) -> list[tuple[int, int, float, float]]:
    """(point, entry, before, after) where the plain form gives a number, and the rule a different one."""
    after, before = derivatives(name, True), derivatives(name, False)
    with np.errstate(all="ignore"):
        same = np.isfinite(after) & (np.abs(after - before) <= ALLOWED * np.abs(before) + 1e-318)
    places = np.argwhere(np.isfinite(before) & ~same)
    return [(int(p), int(e), float(before[p, e]), float(after[p, e])) for p, e in places]


@pytest.mark.parametrize("name", [n for n in SCALAR if n not in OTHERWISE_AT_ZERO])
def test_no_rule_makes_a_right_derivative_wrong_infinite_or_nan(name: str) -> None:
    found = candidates(name)
    if not found:
        return
    expr, args = table.expression(AUDITS[name])
    where = points(len(args))
    modules = [{"DiracDelta": lambda t, *_: mpmath.mpf(0) if t else mpmath.nan}, "mpmath"]
    value, *functions = (sp.lambdify(args, e, modules) for e in (expr, *entries(expr, args)))
    wrong = []
    for p, k, before, after in found:
        wanted = exact(functions[k], where[p])
        if wanted is None or not is_right(before, wanted, ROUNDED, 0.0):
            continue
        if is_right(after, wanted, ALLOWED, min(1.0, abs(before) + abs(after))):
            continue
        if exact(value, where[p]) is not None:  # the point is in the domain
            wrong.append((where[p].tolist(), k, before, after, mpmath.nstr(wanted, 17)))
    assert not wrong


def test_the_judge_finds_what_is_wrong() -> None:
    assert is_right(1.0, mpmath.mpf(1), ROUNDED, 0.0)
    assert not is_right(1 + 1e-9, mpmath.mpf(1), ALLOWED, 0.0)
    assert not is_right(np.nan, mpmath.mpf(0), ALLOWED, 0.0)
    assert not is_right(-np.inf, mpmath.mpf(10) ** 400, ALLOWED, 0.0)
    assert exact(lambda t: (1 + mpmath.exp(-t) - 1) * mpmath.mpf(10) ** 700, np.array([1500.0])) is None
    assert exact(lambda t: mpmath.log(t), np.array([-1.0])) is None
