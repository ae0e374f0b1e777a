"""A chain of differential equations through `s` steps of the classical Runge-Kutta method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

import symgrad as sg
from problems.common import Prepared, as_list, kernel, numbers

_n, _s = sp.symbols("n s", integer=True, positive=True)
_i = sp.Idx("i", _n)
_x = sp.IndexedBase("x", shape=(_n,))
_h = sg.stored(sg.Entries((1,), lambda k: 2 / _s))[0]  # from time 0 to time 2


def _slope(y: sg.Entries) -> sg.Entries:
    return sg.Entries((_n,), lambda i: sg.Where(sp.Eq(i, 0), _x[0], _x[i] * y[i - 1]))


def _ahead(y: sg.Entries, k: sg.Entries, by: Any) -> sg.Entries:
    return sg.Entries((_n,), lambda i: y[i] + by * k[i])


def _step(y: Any, t: Any) -> sg.Entries:
    k1 = _slope(y)
    k2 = _slope(_ahead(y, k1, _h / 2))
    k3 = _slope(_ahead(y, k2, _h / 2))
    k4 = _slope(_ahead(y, k3, _h))
    return sg.Entries((_n,), lambda i: y[i] + _h / 6 * (k1[i] + 2 * k2[i] + 2 * k3[i] + k4[i]))


_last = sg.scan(_step, sg.Entries((_n,), lambda i: 0), _s).final

_value = kernel(_last[_i], args=(_x, _s), wrt=_x, axes=[_i], outputs="value")
_gradient = kernel(_last[_n - 1], args=(_x, _s), wrt=_x, outputs="grad")


def _prepared(made: sg.Kernel) -> Callable[[dict[str, Any]], Prepared]:
    def prepare(data: dict[str, Any]) -> Prepared:
        x, s = numbers(data["x"]), data["s"]
        out = np.empty_like(x)
        return Prepared(lambda: made(x, s, out=out), as_list)

    return prepare


FUNCTIONS = {"primal": _prepared(_value), "gradient": _prepared(_gradient)}
