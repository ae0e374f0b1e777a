"""The square of a number, and its derivative."""

from __future__ import annotations

from functools import partial

import sympy as sp

from problems.common import Prepared
from problems.from_c import Timed, timed_functions

_x = sp.Symbol("x")
_functions = timed_functions(_x**2, _x, ("value", "grad"))


def _prepared(function: Timed, x: float) -> Prepared:
    return Prepared(lambda: function(x)[0], float, lambda: function(x))


FUNCTIONS = {
    "square": partial(_prepared, _functions["value"]),
    "double": partial(_prepared, _functions["grad"]),
}
