"""The square of a number, and its derivative."""

from __future__ import annotations

from functools import partial

import sympy as sp

from problems.common import Prepared, kernel

_x = sp.Symbol("x")
_square = kernel(_x**2, wrt=_x, outputs="value")
_double = kernel(_x**2, wrt=_x, outputs="grad")

FUNCTIONS = {
    "square": lambda x: Prepared(partial(_square, x), float),
    "double": lambda x: Prepared(partial(_double, x), float),
}
