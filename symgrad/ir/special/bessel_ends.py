"""Modified Bessel functions where SciPy's give up before the result leaves the range of numbers.

SciPy's kv is 0 from exp(-700) down and infinite from exp(700) up, its iv infinite from exp(700) up and, for
the smallest arguments, 0 wherever (x/2)**2 is. There

    K_v(x) = exp(x)*K_v(x) * exp(-x/2) * exp(-x/2)     where kv is small: kve is not
    K_v(x) by recurrence over the last few orders      where kv is infinite, in large orders (DLMF 10.29.1)
    I_v(x) = exp(-x)*I_v(x) * exp(x/2) * exp(x/2)      where iv is infinite
    I_v(x) = (x/2)**v/gamma(v + 1)                     where x is tiny (DLMF 10.30.1)

`targets/bessel_ends.py` does the same in LLVM.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from symgrad.ir.op import scipy_function

TINY, HUGE = 1e-290, 1e290  # outside SciPy's functions are about to be 0 or infinite
NEAR = 1e-9  # the square of half of it is nothing beside 1
STEPS = 8  # from order to order: enough to come from 1e304 to the largest number


def is_beyond(y: Any) -> Any:
    """Where SciPy's result is not to be trusted."""
    size = np.abs(y)
    return ~((size >= TINY) & (size < HUGE))


def kv(v: Any, x: Any) -> Any:
    """K_v(x), arrays."""
    return _patched("kv", _kv_beyond, v, x)


def iv(v: Any, x: Any) -> Any:
    """I_v(x), arrays."""
    return _patched("iv", _iv_beyond, v, x)


def _patched(name: str, beyond: Any, v: Any, x: Any) -> Any:
    y = scipy_function(name)(v, x)
    if np.iscomplexobj(y):
        return y
    kind = np.result_type(y)
    wide = [np.asarray(a, dtype=np.float64) for a in np.broadcast_arrays(v, x)]
    plain = np.asarray(scipy_function(name)(*wide))
    where = is_beyond(plain)
    if not where.any():
        return y
    with np.errstate(all="ignore"):
        plain[where] = beyond(plain[where], *(a[where] for a in wide))
        return plain.astype(kind)[()]


def _kv_beyond(y: Any, v: Any, x: Any) -> Any:
    from scipy import special

    factor = np.exp(-0.5 * x)
    far = special.kve(v, x) * factor * factor
    first = np.abs(v) - STEPS
    low, high = special.kv(first, x), special.kv(first + 1, x)
    for k in range(1, STEPS):
        low, high = high, low + 2 * (first + k) / x * high
    stepped = np.where((y == np.inf) & (first >= STEPS), high, y)
    beyond = np.where(y > 1, stepped, far)
    return np.where(np.isnan(beyond), y, beyond)


def _iv_beyond(y: Any, v: Any, x: Any) -> Any:
    from scipy import special

    factor = np.exp(0.5 * np.abs(x))
    far = special.ive(v, x) * factor * factor
    order = np.where(np.floor(v) == v, np.abs(v), v)
    near = np.power(x, order) * np.power(0.5, order) / special.gamma(order + 1)  # x/2 may be 0
    beyond = np.where(np.abs(x) < NEAR, near, np.where(np.abs(y) < 1, y, far))
    return np.where(np.isnan(beyond), y, beyond)
