"""A determinant by expansion by minors, each minor once.

The minor of the last rows and of a set of as many columns is expanded along its first row into those of the
rows after it; sets of columns are numbered by their bits. So one step of the recurrence makes the minors of
t + 1 rows from those of t, and the minor of sets of another size is 0. For size l these are 2**l minors per
step, and l steps. (The plain recursion computes the minors of k rows l!/k! times.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

import symgrad as sg
from problems.common import Prepared, kernel, numbers

_l, _sets = sp.symbols("l sets", integer=True, positive=True)
_j, _k = sp.symbols("j k", integer=True)
_a = sp.IndexedBase("A", shape=(_l, _l))
_bit = sp.IndexedBase("bit", shape=(_l,), integer=True)  # of column j: set k without it is k - bit[j]
_sign = sp.IndexedBase("sign", shape=(_l, _sets))  # of column j in the first row; 0 where k is without it


def _expanded(minor: Any, t: Any) -> sg.Entries:
    def entry(k: Any) -> sp.Expr:
        rest = k - _bit[_j]
        term = _sign[_j, k] * _a[_l - 1 - t, _j] * minor[rest]
        return sp.Sum(sg.Where(sp.And(rest >= 0, rest < _sets), term, 0), (_j, 0, _l - 1))

    return sg.Entries((_sets,), entry)


_none = sg.Entries((_sets,), lambda k: sg.Where(sp.Eq(k, 0), 1, 0))
_determinant = sg.scan(_expanded, _none, _l).final[_sets - 1]
_args = (_a, _bit, _sign)

_value = kernel(_determinant, args=_args, wrt=_a, outputs="value")
_gradient = kernel(_determinant, args=_args, wrt=_a, outputs="grad")


def _tables(size: int) -> tuple[np.ndarray, np.ndarray]:
    """The bits of the columns, and for every column and every set its sign in the expansion."""
    sign, turn = np.zeros((size, 2**size)), np.ones(2**size)  # turn: -1 for sets of an odd number
    for j in range(size):
        n = 1 << j  # sets of earlier columns are the first n; the next n have column j besides
        sign[j].reshape(-1, 2, n)[:, 1] = turn[:n]
        turn[n : 2 * n] = -turn[:n]
    return 1 << np.arange(size), sign


def _prepared(made: sg.Kernel, output: Callable[[Any], Any]) -> Callable[[dict[str, Any]], Prepared]:
    def prepare(data: dict[str, Any]) -> Prepared:
        size = data["ell"]
        a = numbers(data["A"]).reshape(size, size)
        return Prepared(lambda: made(a, *_tables(size)), output)

    return prepare


FUNCTIONS = {
    "primal": _prepared(_value, float),
    "gradient": _prepared(_gradient, lambda result: result.ravel().tolist()),
}
