"""Differences of one function at two arguments, without cancellation: rows of the op table.

    exp_difference(c, u, v) = exp(c + u) - exp(c + v)

and so for log, sqrt, sin, cos, atan, the logistic function, 1/x and 1/sqrt(x). c is what the
arguments have in common and 0 if nothing: u - v is exact to a rounding where c + u and c + v, rounded, differ
by nothing. The derivative by c is the difference of the derivatives, one of these again, so that it keeps its
digits too; those by u and v are derivatives of the function.

A `Family` has the difference as d = u - v times the divided difference, which is regular at d = 0 (`slope`):
(exp(x) - exp(y))/(x - y) is that, and at x = y the derivative. Each is written with what is small, d, and the
arguments a = c + u and b = c + v; where the two are not near each other nothing cancels, and the difference
is computed as it is written.

Sources: Higham 2002, Accuracy and Stability of Numerical Algorithms, sections 1.7, 1.8 and 1.14; McCurdy, Ng
& Parlett 1984, Accurate computation of divided differences of the exponential function; the addition theorems
DLMF 4.21.6 to 4.21.9, 4.24.15.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from symgrad.ir.expansion import by_expansion
from symgrad.ir.op import Interval, Op, mp_function
from symgrad.ir.ops import OPS
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Args = tuple[int, ...]
_HALF = Fraction(1, 2)
_HUGE = 2.0**1000  # products of two numbers below it are in range by a margin


@dataclass(frozen=True)
class Family:
    """The differences of one function f.

    function   (graph, x) -> f(x).
    rate       (graph, x) -> f'(x).
    change     (graph, c, u, v, y) -> f'(c + u) - f'(c + v), where y is the difference of f.
    near       (graph, a, b, d) -> whether a and b are so close that something may cancel.
    value      (graph, a, b, d, (c, u, v)) -> f(a) - f(b), where they are.
    slope      the same over d.
    exact      (c, u, v) -> the difference, of mpmath numbers.
    apart      (graph, a, b) -> f(a) - f(b) where they are not; none: as it is written.
    """

    function: Callable[[Graph, int], int]
    rate: Callable[[Graph, int], int]
    change: Callable[[Graph, int, int, int, int], int]
    near: Callable[[Graph, int, int, int], int]
    value: Callable[[Graph, int, int, int, Args], int]
    slope: Callable[[Graph, int, int, int, Args], int]
    exact: Callable[[Any, Any, Any], Any]
    domain: Interval = (-1.0, 1.0)
    cost: int = 60
    apart: Callable[[Graph, int, int], int] | None = None


def difference_node(g: Graph, family: str, c: int, u: int, v: int) -> int:
    """f(c + u) - f(c + v) for the function of a family."""
    return g.node(f"{family}_difference", c, u, v)


def slope_node(g: Graph, family: str, c: int, u: int, v: int) -> int:
    """The same over u - v, with its limit at u = v."""
    f = FAMILIES[family]
    a, b = g.add(c, u), g.add(c, v)
    d = g.mul(g.const(2), u) if g.neg(u) == v else g.sub(u, v)
    near = f.near(g, a, b, d)
    apart = g.div(difference_node(g, family, c, u, v), g.where(near, g.one, d))
    return g.where(near, f.slope(g, a, b, d, (c, u, v)), apart)


def log_slope_of_quotient(g: Graph, x: int, y: int) -> int:
    """log(x/y)/(x - y), with its limit at x = y; both may be negative."""
    d = g.sub(x, y)
    near = of_one_size(g, x, y, d)
    apart = g.div(g.node("log_quotient", x, y), g.where(near, g.one, d))
    return g.where(near, g.div(g.node("log1prel", g.div(d, y)), y), apart)


def log_of_near_quotient(g: Graph, c: int, u: int, v: int) -> int:
    """log((c + u)/(c + v)) by what the two differ in; both may be negative."""
    a, b, d = g.add(c, u), g.add(c, v), g.sub(u, v)
    near = of_one_size(g, a, b, d)
    apart = g.node("log_quotient", g.where(near, g.one, a), b)
    if g.neg(u) == v:  # odd in u, and so are its even derivatives
        inside = g.div(g.where(near, u, g.zero), g.where(near, c, g.one))
        return g.where(near, g.mul(g.const(2), g.node("atanh", inside)), apart)
    return g.where(near, g.node("log1p", g.div(d, b)), apart)


def in_near_quotient(g: Graph, node: int) -> tuple[int, int] | None:
    """a and b if this is log(a/b) as `log_of_near_quotient` makes it."""
    if g.op[node] != "where" or g.op[g.args[node][2]] != "log_quotient":
        return None
    hidden, b = g.args[g.args[node][2]]
    return (g.args[hidden][2], b) if g.op[hidden] == "where" else None


def _expand(name: str) -> Callable[[Graph, Args], int]:
    def expand(g: Graph, args: Args) -> int:
        f, (c, u, v) = FAMILIES[name], args
        a, b, d = g.add(c, u), g.add(c, v), g.intern("sub", (u, v))
        written = f.apart or (lambda g, a, b: g.intern("sub", (f.function(g, a), f.function(g, b))))
        apart = written(g, a, b)
        return g.where(f.near(g, a, b, d), f.value(g, a, b, d, args), apart)

    return expand


# ---- what is near, and formulas ------------------------------------------------------------------


def _op(name: str) -> Callable[[Graph, int], int]:
    return lambda g, x: g.node(name, x)


def within_one(g: Graph, a: int, b: int, d: int) -> int:
    return g.node("lt", g.node("abs", d), g.one)


def of_one_size(g: Graph, a: int, b: int, d: int) -> int:
    """Both positive, or both negative, and neither much larger."""
    x, y = (g.node("abs", part) for part in (a, b))
    ratio = g.const(4)
    close = g.node("and", g.node("lt", x, g.mul(ratio, y)), g.node("lt", y, g.mul(ratio, x)))
    return g.node("and", close, g.node("lt", g.node("abs", d), x))


def _within_one_in_range(g: Graph, a: int, b: int, d: int) -> int:
    """And sums of the two are in range."""
    return g.node("and", within_one(g, a, b, d), g.node("lt", g.node("abs", b), g.const(_HUGE)))


def _half(g: Graph, d: int) -> int:
    return g.mul(g.const(_HALF), d)


def _exp_value(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    return g.mul(g.node("exp", b), g.node("expm1", d))


def _exp_slope(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    """By the middle, which does not move where both ends move apart: central differences."""
    return g.mul(g.node("exp", middle(g, parts)), g.node("sinhc", _half(g, d)))


def middle(g: Graph, parts: Args) -> int:
    """c + (u + v)/2."""
    c, u, v = parts
    return c if g.neg(u) == v else g.add(c, _half(g, g.add(u, v)))


def _log_value(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    return g.node("log1p", g.div(d, b))


def _log_slope(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    return g.div(g.node("log1prel", g.div(d, b)), b)


def _root_value(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    return g.div(d, g.add(g.node("sqrt", a), g.node("sqrt", b)))


def _root_slope(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    return g.div(g.one, g.add(g.node("sqrt", a), g.node("sqrt", b)))


def _reciprocal(g: Graph, x: int) -> int:
    return g.div(g.one, x)


def _reciprocal_rate(g: Graph, x: int) -> int:
    return g.neg(g.div(g.div(g.one, x), x))


def _reciprocal_change(g: Graph, c: int, u: int, v: int, y: int) -> int:
    """1/b^2 - 1/a^2."""
    return g.neg(g.mul(y, g.add(*(_reciprocal(g, g.add(c, x)) for x in (u, v)))))


def _reciprocal_value(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    return g.neg(g.intern("div", (g.intern("div", (d, a)), b)))


def _reciprocal_slope(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    return g.neg(g.intern("div", (g.intern("div", (g.one, a)), b)))


def _reciprocal_root(g: Graph, x: int) -> int:
    return g.div(g.one, g.node("sqrt", x))


def _reciprocal_root_value(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    x, y = (g.node("sqrt", part) for part in (a, b))
    return g.neg(g.intern("div", (g.intern("div", (g.div(d, g.add(x, y)), x)), y)))


def _reciprocal_root_slope(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    x, y = (g.node("sqrt", part) for part in (a, b))
    return g.neg(g.intern("div", (g.intern("div", (g.div(g.one, g.add(x, y)), x)), y)))


def _reciprocal_root_change(g: Graph, c: int, u: int, v: int, y: int) -> int:
    """p^3 - q^3 = (p - q)*(p^2 + p*q + q^2), times -1/2."""
    p, q = (FAMILIES["reciprocal_root"].function(g, g.add(c, x)) for x in (u, v))
    sizes = g.add(g.add(g.mul(p, p), g.mul(p, q)), g.mul(q, q))
    return g.mul(g.const(-_HALF), g.mul(y, sizes))


def _between(g: Graph, parts: Args, odd: str, even: str, sign: int) -> int:
    """sin or cos of c + (u + v)/2, with the rounding errors of the two sums (Knuth's two-sum) put back."""
    c, u, v = parts
    total, lost = _two_sum(g, u, v)
    middle, more = _two_sum(g, c, _half(g, total))
    correction = g.mul(g.node("anchor", g.add(_half(g, lost), more)), g.node(even, middle))
    return (g.add if sign > 0 else g.sub)(g.node(odd, middle), correction)


def _two_sum(g: Graph, x: int, y: int) -> tuple[int, int]:
    """A sum and its rounding error, Knuth 1997, section 4.2.2, theorem B."""
    if g.zero in (x, y):
        return g.add(x, y), g.zero
    total = g.intern("add", (x, y))
    back = g.intern("sub", (total, x))
    lost = g.intern("sub", (x, g.intern("sub", (total, back))))
    return total, g.intern("add", (lost, g.intern("sub", (y, back))))


def _cos_value(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    return g.mul(g.const(-2), g.mul(g.node("sin", _half(g, d)), _between(g, parts, "sin", "cos", 1)))


def _cos_slope(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    return g.neg(g.mul(g.node("sinc", _half(g, d)), _between(g, parts, "sin", "cos", 1)))


def _sin_value(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    return g.mul(g.const(2), g.mul(g.node("sin", _half(g, d)), _between(g, parts, "cos", "sin", -1)))


def _sin_slope(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    return g.mul(g.node("sinc", _half(g, d)), _between(g, parts, "cos", "sin", -1))


def _on_one_side(g: Graph, a: int, b: int, d: int) -> int:
    """1 + a*b is positive and in range."""
    product = g.mul(a, b)
    return g.node("and", g.node("lt", g.const(-_HALF), product), g.node("lt", product, g.const(_HUGE)))


def _atan_value(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    return g.intern("atan", (g.div(d, g.add(g.one, g.mul(a, b))),))


def _atan_slope(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    """atan(t)/t over 1 + a*b, with t = d/(1 + a*b)."""
    below = g.add(g.one, g.mul(a, b))
    t = g.intern("div", (d, below))
    return g.div(g.div(g.node("atan", t), t), below)


def _atan_rate(g: Graph, x: int) -> int:
    return g.div(g.one, g.add(g.one, g.mul(x, x)))


def _atan_change(g: Graph, c: int, u: int, v: int, y: int) -> int:
    """1/(1 + a^2) - 1/(1 + b^2)."""
    a, b, d = g.add(c, u), g.add(c, v), g.intern("sub", (u, v))
    first, second = (g.add(g.one, g.mul(x, x)) for x in (a, b))
    near = g.neg(g.mul(g.div(d, first), g.div(g.add(a, b), second)))
    apart = g.intern("sub", (g.div(g.one, first), g.div(g.one, second)))
    in_range = [g.node("lt", g.node("abs", x), g.const(_HUGE)) for x in (a, b)]
    return g.where(g.node("and", *in_range), near, apart)


def _is_finite(g: Graph, a: int, b: int, d: int) -> int:
    return g.node("lt", g.node("abs", d), g.const(float("inf")))


def _logistic_value(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    """p(a)*p(-b)*(1 - exp(-d)), the larger argument first: no factor grows."""
    up = g.node("lt", g.zero, d)
    first, second = g.where(up, a, b), g.where(up, b, a)
    share = g.mul(g.node("logistic", first), g.node("logistic", g.neg(second)))
    less = g.node("expm1", g.neg(g.node("abs", d)))
    return g.mul(share, g.where(up, g.neg(less), less))


def _logistic_slope(g: Graph, a: int, b: int, d: int, parts: Args) -> int:
    """By half arguments, whose derivatives are odd, and far from each other as above."""
    x, y, h = (_half(g, part) for part in (a, b, d))
    close = g.mul(g.node("sinhc", h), g.mul(g.node("sech", x), g.node("sech", y)))

    def ordered(first: int, second: int, less: int) -> int:
        share = g.mul(g.node("logistic", first), g.node("logistic", g.neg(second)))
        return g.mul(share, g.node("exprel", less))

    far = g.where(g.node("lt", g.zero, d), ordered(a, b, g.neg(d)), ordered(b, a, d))
    return g.where(within_one(g, a, b, d), g.mul(g.const(Fraction(1, 4)), close), far)


def _logistic_change(g: Graph, c: int, u: int, v: int, y: int) -> int:
    """p(1 - p) - q(1 - q) = (p - q)*((1 - p) - q), which for v = -u is 0 where c is."""
    if g.neg(u) == v:
        return g.mul(y, difference_node(g, "logistic", v, g.neg(c), c))
    a, b = g.add(c, u), g.add(c, v)
    return g.mul(y, difference_node(g, "logistic", g.zero, g.neg(a), b))


def _exact(name: str, *args: Any) -> Any:
    return mp_function(name)(*args)


def _exact_logistic(c: Any, u: Any, v: Any) -> Any:
    p, q = c + u, c + v
    first, second = (1 / (1 + _exact("exp", -x)) for x in (p, -q))
    return -first * second * _exact("expm1", v - u)


def _exact_log(c: Any, u: Any, v: Any) -> Any:
    a, b = c + u, c + v
    return _exact("log1p", (u - v) / b) if a > 0 and b > 0 else OPS["log"].mpmath(a) - OPS["log"].mpmath(b)


def _exact_atan(c: Any, u: Any, v: Any) -> Any:
    a, b = c + u, c + v
    return _exact("atan", (u - v) / (1 + a * b)) if a * b > -1 else _exact("atan", a) - _exact("atan", b)


def _exact_root(c: Any, u: Any, v: Any) -> Any:
    below = OPS["sqrt"].mpmath(c + u) + OPS["sqrt"].mpmath(c + v)
    return (u - v) / below if below else below


def _middle(c: Any, u: Any, v: Any) -> Any:
    return c + (u + v) / 2


_POSITIVE = (0.5, 1.5)

FAMILIES: dict[str, Family] = {
    "exp": Family(
        _op("exp"), _op("exp"), lambda g, c, u, v, y: y, within_one, _exp_value, _exp_slope,
        lambda c, u, v: _exact("exp", c + v) * _exact("expm1", u - v),
    ),
    "log": Family(
        _op("log"), _reciprocal,
        lambda g, c, u, v, y: difference_node(g, "reciprocal", c, u, v),
        of_one_size, _log_value, _log_slope, _exact_log, _POSITIVE,
    ),
    "sqrt": Family(
        _op("sqrt"), lambda g, x: g.div(g.const(_HALF), g.node("sqrt", x)),
        lambda g, c, u, v, y: _half(g, difference_node(g, "reciprocal_root", c, u, v)),
        of_one_size, _root_value, _root_slope, _exact_root, _POSITIVE, 30,
    ),
    "reciprocal": Family(
        _reciprocal, _reciprocal_rate,
        _reciprocal_change, of_one_size, _reciprocal_value, _reciprocal_slope,
        lambda c, u, v: (v - u) / (c + u) / (c + v), _POSITIVE, 20,
    ),
    "reciprocal_root": Family(
        _reciprocal_root, lambda g, x: g.div(g.const(-_HALF), g.mul(x, g.node("sqrt", x))),
        _reciprocal_root_change, of_one_size, _reciprocal_root_value, _reciprocal_root_slope,
        lambda c, u, v: _exact_root(c, v, u) / _exact("sqrt", c + u) / _exact("sqrt", c + v), _POSITIVE, 40,
    ),
    "sin": Family(
        _op("sin"), _op("cos"), lambda g, c, u, v, y: difference_node(g, "cos", c, u, v),
        _within_one_in_range, _sin_value, _sin_slope,
        lambda c, u, v: 2 * _exact("cos", _middle(c, u, v)) * _exact("sin", (u - v) / 2), cost=100,
    ),
    "cos": Family(
        _op("cos"), lambda g, x: g.neg(g.node("sin", x)),
        lambda g, c, u, v, y: g.neg(difference_node(g, "sin", c, u, v)),
        _within_one_in_range, _cos_value, _cos_slope,
        lambda c, u, v: -2 * _exact("sin", _middle(c, u, v)) * _exact("sin", (u - v) / 2), cost=100,
    ),
    "atan": Family(
        _op("atan"), _atan_rate, _atan_change,
        _on_one_side, _atan_value, _atan_slope, _exact_atan,
    ),
    "logistic": Family(
        _op("logistic"), _op("logistic_slope"), _logistic_change,
        _is_finite, _logistic_value, _logistic_slope, _exact_logistic, cost=80,
    ),
}  # fmt: skip


def _by_common(name: str) -> Callable[[Graph, Args, int], int]:
    def slope(g: Graph, args: Args, y: int) -> int:
        c, u, v = args
        return FAMILIES[name].change(g, c, u, v, y)

    return slope


def _by_side(name: str, side: int) -> Callable[[Graph, Args, int], int]:
    def slope(g: Graph, args: Args, y: int) -> int:
        made = FAMILIES[name].rate(g, g.add(args[0], args[side]))
        return made if side == 1 else g.neg(made)

    return slope


_TOTAL = frozenset(
    ("exp", "sin", "cos", "atan", "logistic", "asinh", "sinh", "cosh", "softplus", "erf")
)  # finite arguments give a finite result, overflow aside


def enter(name: str, f: Family) -> None:
    """The row of a family."""
    expand = _expand(name)
    OPS[f"{name}_difference"] = Op(
        f"{name}_difference", 3, by_expansion(expand, 3), f.exact,
        (_by_common(name), _by_side(name, 1), _by_side(name, 2)), expand=expand, cost=f.cost,
        domain=(f.domain, (-0.25, 0.25), (-0.25, 0.25)), source="this module", total=name in _TOTAL,
    )  # fmt: skip


for _name, _family in FAMILIES.items():
    enter(_name, _family)
