"""Rows for softmaxes that are written out: functions of two or three numbers, and any number more.

    logaddexp(x, y, ..)           log(exp(x) + exp(y) + ...)
    share(x, y, z, ..)            p = exp(x)/(exp(x) + exp(y) + ...), an entry of a softmax
    share_of_others(x, y, z, ..)  1 - p
    log_share(x, y, z, ..)        log(p), an entry of a log-softmax

Their derivatives are products of shares, p*(1 - p) and -p*q: no share is ever subtracted from 1 or from what
it is a part of, so that entries of Hessians which are far smaller than others have their digits. By pairs
(a logarithm of two exponentials, one of which is such a logarithm) the same entry would be a difference of
products. All shares of one sum are made of the same exponentials, one for each number.

Of two numbers the last three are `logistic` and `softplus`. `ir/stability/shares.py` makes them.

Source: Blanchard, Higham & Higham 2021, Accurately computing the log-sum-exp and softmax functions,
sections 2 and 4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from symgrad.ir.op import Op, Partial, mp_function
from symgrad.ir.ops import OPS
from symgrad.ir.stability.patterns import difference_of

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Args = tuple[int, ...]
NAMES = ("share", "share_of_others", "log_share")
_LEAST = 3
_SOURCE = "Blanchard, Higham & Higham 2021"


# ---- making them -------------------------------------------------------------------------------


def share(g: Graph, x: int, rest: Sequence[int]) -> int:
    """The share of exp(x) in its sum with the exponentials of the rest."""
    return _share(g, "share", x, rest)


def share_of_others(g: Graph, x: int, rest: Sequence[int]) -> int:
    """What is left for the rest."""
    return _share(g, "share_of_others", x, rest)


def log_share(g: Graph, x: int, rest: Sequence[int]) -> int:
    """The logarithm of the share of exp(x)."""
    return _share(g, "log_share", x, rest)


def _share(g: Graph, op: str, x: int, rest: Sequence[int]) -> int:
    """In one order of the rest: equal shares are one node."""
    if len(rest) > 1:
        return g.node(op, x, *sorted(rest))
    (y,) = rest
    if op == "log_share":
        return g.neg(g.node("softplus", difference_of(g, y, x)))
    return g.node("logistic", difference_of(g, x, y) if op == "share" else difference_of(g, y, x))


def _others(a: Args, k: int) -> Args:
    return (*a[:k], *a[k + 1 :])


# ---- derivatives -------------------------------------------------------------------------------


def _total_by(k: int) -> Partial:
    return lambda g, a, y: share(g, a[k], _others(a, k))


def _share_by(k: int) -> Partial:
    """p*(1 - p) by its own number, -p*q by another."""

    def partial(g: Graph, a: Args, y: int) -> int:
        if not k:
            return g.mul(y, share_of_others(g, a[0], a[1:]))
        return g.neg(g.mul(y, share(g, a[k], _others(a, k))))

    return partial


def _others_by(k: int) -> Partial:
    def partial(g: Graph, a: Args, y: int) -> int:
        p = share(g, a[0], a[1:])
        if not k:
            return g.neg(g.mul(p, y))
        return g.mul(p, share(g, a[k], _others(a, k)))

    return partial


def _log_by(k: int) -> Partial:
    if not k:
        return lambda g, a, y: share_of_others(g, a[0], a[1:])
    return lambda g, a, y: g.neg(share(g, a[k], _others(a, k)))


def _distances(g: Graph, a: Args, dots: Mapping[int, int]) -> int:
    """sum(q*(dx - dy)) over the other numbers y, with shares q and tangents d: that of log(p).

    By differences of tangents, of which equal ones are none: dx less the mean of all tangents would have no
    digits where p is near 1.
    """
    beside: dict[int, list[int]] = {}
    for k, x in enumerate(a[1:], 1):
        beside.setdefault(dots.get(x, g.zero), []).append(k)
    own, total = dots.get(a[0], g.zero), g.zero
    for dot, places in beside.items():
        if dot != own:
            total = g.add(total, g.mul(of_some(g, a, 0, places), g.sub(own, dot)))
    return total


def of_some(g: Graph, a: Args, k: int, places: Sequence[int]) -> int:
    """What the numbers at some places have of the whole, that at place k not among them."""
    if len(places) == len(a) - 1:
        return share_of_others(g, a[k], _others(a, k))
    return g.sum_of(share(g, a[j], _others(a, j)) for j in places)


def _push_share(g: Graph, a: Args, y: int, dots: Mapping[int, int]) -> int:
    return g.mul(y, _distances(g, a, dots))


def _push_others(g: Graph, a: Args, y: int, dots: Mapping[int, int]) -> int:
    return g.neg(g.mul(share(g, a[0], a[1:]), _distances(g, a, dots)))


def _push_log_share(g: Graph, a: Args, y: int, dots: Mapping[int, int]) -> int:
    return _distances(g, a, dots)


# ---- in other ops ------------------------------------------------------------------------------


class _Parts:
    """The largest number m, for each number exp(x - m), and what their sum is made of.

    Where m is infinite, that number alone counts, and several of them have no limit; where it is -inf, every
    share is 0, as those of a log-sum-exp over an array are.
    """

    def __init__(self, g: Graph, a: Args) -> None:
        self.g, self.order = g, sorted(a)
        self.m = self.order[0]
        for x in self.order[1:]:
            self.m = g.intern("maximum", (self.m, x))
        self.has_any = g.node("ne", g.const(float("-inf")), self.m)
        self.is_infinite = g.node("eq", self.m, g.const(float("inf")))

    def share(self, x: int, terms: Sequence[int]) -> int:
        """What these terms have of the whole; x is one of them, or has the rest."""
        g = self.g
        whole, part = (self._total(list(map(self._power, of))) for of in (self.order, sorted(terms)))
        is_lost = g.node("and", self.is_infinite, g.node("lt", g.one, whole))
        share = g.where(self.has_any, g.intern("div", (part, whole)), g.zero if x in terms else g.one)
        return self._limit(is_lost, x, share)

    def logarithm(self) -> int:
        """That of the sum of exp(x - m)."""
        return self.g.intern("log1p", (self._beyond(),))

    def exponent(self, x: int) -> int:
        """x - m, 0 for the largest."""
        g = self.g
        is_top = g.node("and", self._is_top(x), self.has_any)
        apart = g.where(is_top, g.zero, g.intern("sub", (x, self.m)))
        return self._limit(g.node("and", self.is_infinite, g.node("lt", g.zero, self._beyond())), x, apart)

    def _limit(self, is_lost: int, x: int, value: int) -> int:
        return self.g.where(self.g.node("and", is_lost, self._is_top(x)), self.g.const(float("nan")), value)

    def _beyond(self) -> int:
        """The sum of exp(x - m) less 1: those of what is not the largest, and how often that is there."""
        g = self.g
        small = self._total([g.where(self._is_top(x), g.zero, self._exp(x)) for x in self.order])
        ties = self._total([g.where(self._is_top(x), g.one, g.zero) for x in self.order])
        return g.intern("add", (small, g.intern("sub", (ties, g.one))))

    def _is_top(self, x: int) -> int:
        return self.g.node("eq", x, self.m)

    def _power(self, x: int) -> int:
        g = self.g
        return g.where(self._is_top(x), g.one, self._exp(x))

    def _exp(self, x: int) -> int:
        return self.g.intern("exp", (self.g.intern("sub", (x, self.m)),))

    def _total(self, terms: Sequence[int]) -> int:
        whole = terms[0]
        for term in terms[1:]:
            whole = self.g.intern("add", (whole, term))
        return whole


def _expand_logaddexp(g: Graph, a: Args) -> int:
    """The largest one and the logarithm of what is left."""
    if len(a) == 2:
        return _expand_pair(g, a)
    parts = _Parts(g, a)
    return g.intern("add", (parts.m, parts.logarithm()))


def _expand_pair(g: Graph, a: Args) -> int:
    """The larger one plus at most log(2); equal ones apart, or equal infinities would make a nan."""
    far = g.node("log1p", g.node("exp", g.neg(g.node("abs", g.sub(*a)))))
    larger = g.node("maximum", *a)
    return g.where(g.node("eq", *a), g.add(a[0], g.node("log", g.const(2))), g.add(larger, far))


def _expand_log_share(g: Graph, a: Args) -> int:
    """(x - m) - log(..): neither is above 0."""
    parts = _Parts(g, a)
    return g.intern("sub", (parts.exponent(a[0]), parts.logarithm()))


# ---- NumPy, also of complex numbers, by their real parts; mpmath -----------------------------------


def _np_apart(a: Sequence[Any]) -> tuple[Any, list[Any]]:
    """The largest real part m, and every x - m, 0 where both are the same infinity."""
    m = np.real(a[0])
    for x in a[1:]:
        m = np.maximum(m, np.real(x))
    with np.errstate(invalid="ignore"):
        return m, [np.where((np.real(x) == m) & np.isinf(m), np.zeros_like(x), x - m) for x in a]


def _np_rest(m: Any, apart: Sequence[Any]) -> Any:
    """log of the sum of the exponentials: without the first one that is largest, which is 1 in modulus."""
    found, small, top = np.zeros(np.shape(m), dtype=bool), 0, 0
    for d in apart:
        first = (np.real(d) == 0) & ~found
        found = found | first
        small = small + np.where(first, np.zeros_like(d), np.exp(d))
        top = top + np.where(first, d, np.zeros_like(d))
    return top + np.log1p(small * np.exp(-top))


def _np_logaddexp(*a: Any) -> Any:
    """np.logaddexp of any number of arguments, also complex ones."""
    if len(a) == 2 and not any(map(np.iscomplexobj, a)):
        return np.logaddexp(*a)
    m, apart = _np_apart(a)
    return np.asarray(m + _np_rest(m, apart))[()]


def _np_log_share(*a: Any) -> Any:
    m, apart = _np_apart(a)
    return _np_limit(m, a, np.where(np.isneginf(m), np.nan, apart[0] - _np_rest(m, apart)))


def _np_share(*a: Any) -> Any:
    m, apart = _np_apart(a)
    powers = list(map(np.exp, apart))
    return _np_limit(m, a, np.where(np.isneginf(m), 0, powers[0] / sum(powers)))


def _np_share_of_others(*a: Any) -> Any:
    m, apart = _np_apart(a)
    powers = list(map(np.exp, apart))
    return _np_limit(m, a, np.where(np.isneginf(m), 1, sum(powers[1:]) / sum(powers)))


def _np_limit(m: Any, a: Sequence[Any], value: Any) -> Any:
    """nan where the first number and another one are infinite; of the type of the numbers."""
    is_lost = np.isposinf(np.real(a[0])) & (sum(np.real(x) == m for x in a) > 1)
    return np.where(is_lost, np.nan, value).astype(np.result_type(*a))[()]


def _powers(a: Sequence[Any]) -> list[Any]:
    return [mp_function("exp")(x) for x in a]


def _mp_logaddexp(*a: Any) -> Any:
    m = max(a)
    powers = [mp_function("exp")(x - m) for x in a]
    powers.remove(1)
    return m + mp_function("log1p")(sum(powers))


def _mp_log_share(*a: Any) -> Any:
    return -mp_function("log1p")(sum(_powers([x - a[0] for x in a[1:]])))


def _enter(name: str, by: Callable[[int], Partial], numpy: Any, mpmath: Any, **fields: Any) -> None:
    partials = tuple(by(k) for k in range(_LEAST))
    OPS[name] = Op(name, _LEAST, numpy, mpmath, partials, further=by, source=_SOURCE, total=True, **fields)


OPS["logaddexp"] = Op(
    "logaddexp", 2, _np_logaddexp, _mp_logaddexp, (_total_by(0), _total_by(1)), further=_total_by,
    expand=_expand_logaddexp, cost=42, domain=((0.1, 4.0), (0.1, 4.0)), source=_SOURCE, total=True,
)  # fmt: skip
_enter(
    "share", _share_by, _np_share, lambda *a: _powers(a)[0] / sum(_powers(a)),
    expand=lambda g, a: _Parts(g, a).share(a[0], a[:1]), cost=60, tangent=_push_share,
)  # fmt: skip
_enter(
    "share_of_others", _others_by, _np_share_of_others, lambda *a: sum(_powers(a)[1:]) / sum(_powers(a)),
    expand=lambda g, a: _Parts(g, a).share(a[0], a[1:]), cost=60, tangent=_push_others,
)  # fmt: skip
_enter(
    "log_share",
    _log_by,
    _np_log_share,
    _mp_log_share,
    expand=_expand_log_share,
    cost=80,
    tangent=_push_log_share,
)
