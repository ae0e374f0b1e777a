"""Laurent series of a value in one of the nodes it is made of, around a point, to many digits.

They say whether a singularity there is removable and what the value is near it (`removable.py`). A series
holds its first terms as mpmath numbers of `BITS` bits; a sum of which nearly all bits cancel is taken for an
exact 0, which is what it is in everything but a construction.

Source: power series arithmetic, Knuth 1997, The Art of Computer Programming 2, section 4.7; functions by
the differential equations they solve, Griewank & Walther 2008, Evaluating Derivatives, chapter 13.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from fractions import Fraction
from functools import lru_cache
from itertools import count
from math import inf
from typing import TYPE_CHECKING, Any

from symgrad.ir.composites.quotients import ROWS as QUOTIENT_ROWS
from symgrad.ir.composites.quotients import Arithmetic
from symgrad.ir.composites.radial import NAMES as RADIAL
from symgrad.ir.composites.radial import ROWS as RADIAL_ROWS
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

BITS = 600
ROWS = (
    "removable",
    "radial_removable",
)  # what stands for a formula, its last argument (`ir.series.removable`)
MOST_STEPS = 256  # of a formula that is looked into
_ZERO = 400  # bits that cancel in an exact 0
_MOST_KEPT = 2048  # steps around a point, of 5 KiB or so each
_NUMBERS = count()  # of steps, never the same again
Number = Any  # an mpmath number
Formula = tuple[tuple[Any, ...], ...]  # steps: an op and which earlier steps it is of; the last is the value


INFINITY: Formula = (("infinity",),)  # as the center of an expansion


class NoSeries(Exception):
    """The value is not analytic around the point but for a pole, or not known to be."""


class BranchPoint(NoSeries):
    """A root of what is 0 at the point: analytic in roots of the distance."""


UNKNOWN = (NoSeries, ZeroDivisionError, ValueError)
_IS_SIDE = ContextVar("whether a series is in what is never negative", default=False)


@dataclass(frozen=True)
class Series:
    """c_0 u^valuation + c_1 u^(valuation + 1) + ... with c_0 != 0; terms beyond the last one are unknown.

    Without terms: 0, as far as is known.
    """

    valuation: int
    terms: tuple[Number, ...]

    def taylor(self) -> list[Number]:
        """The terms from the constant one on."""
        if self.valuation < 0:
            raise NoSeries
        return [_number(0)] * self.valuation + list(self.terms)

    def constant(self) -> Number:
        return self.taylor()[0] if self.valuation <= 0 and self.terms else _number(0)


def formula_of(g: Graph, node: int, variable: int) -> Formula:
    """How a node is computed from another: comparable between graphs. Empty if it takes too many steps."""
    nodes = between(g, node, variable, MOST_STEPS)
    if len(nodes) > MOST_STEPS:
        return ()
    place = {n: k for k, n in enumerate(nodes)}
    return tuple(
        ("x",) if n == variable
        else ("const", *g.args[n]) if g.op[n] == "const"
        else (g.op[n], *(place[a] for a in meant(g, n)))
        for n in nodes
    )  # fmt: skip


def of_reciprocal(formula: Formula) -> Formula:
    """The formula of t that one of x is for x = 1/t."""
    if not formula:
        return ()
    place = [k + 2 for k in range(len(formula))]  # of its steps, after t and 1
    made: list[tuple[Any, ...]] = [("x",), ("const", "q", 1, 1)]
    for op, *args in formula:
        inside = (1, 0) if op == "x" else args if op == "const" else [place[k] for k in args]
        made.append(("div" if op == "x" else op, *inside))
    return tuple(made)


def between(g: Graph, node: int, variable: int, most: float = inf) -> list[int]:
    """The nodes below one of them, up to the other, arguments first; some of them if there are too many."""
    seen, stack = {node}, [node]
    while stack and len(seen) <= most:
        n = stack.pop()
        for a in () if n == variable else meant(g, n):
            if a not in seen:
                seen.add(a)
                stack.append(a)
    return sorted(seen)


def is_formula_of(g: Graph, node: int, variable: int) -> bool:
    """Whether a node is computed from another and constants alone."""
    return all(
        n == variable or g.op[n] == "const" or g.children(n) for n in between(g, node, variable, MOST_STEPS)
    )


def meant(g: Graph, n: int) -> tuple[int, ...]:
    """The arguments that a value stands for: the plain formula, or the root that is one with its square."""
    op = g.op[n]
    return g.args[n][-1:] if op in ROWS else g.args[n][:1] if op in RADIAL else g.children(n)


def series_of(formula: Formula, order: int, center: Formula = ()) -> Series | None:
    """The first `order` terms or so of a formula in t = x - c, None if it has no such series.

    center  how c is computed; none: 0.

    acos(x)/sqrt(1 - x^2) has one around 1 although its parts have none: they have series in s for
    x = c + s^2 or c - s^2, and odd powers of s cancel. Where both sides are real, both must say the same.
    """
    import mpmath

    if not formula:
        return None
    with mpmath.workprec(BITS):
        try:
            c = _evaluated(center, Series(0, ()), 1).constant() if center else _number(0)
            return _evaluated(formula, _around([c, _number(1)], order), order)
        except BranchPoint:
            return _from_both_sides(formula, c, order)
        except UNKNOWN:
            return None


def _evaluated(formula: Formula, x: Series, order: int) -> Series:
    """The series of the last step. A formula and its derivatives share most steps: they are taken once."""
    known = _steps_around(x, order, _IS_SIDE.get())
    found: list[tuple[int, Series]] = []  # the number of a step among all of this point, and its series
    for op, *args in formula:
        step = (op, *(args if op == "const" else (found[k][0] for k in args)))
        numbered = known.get(step)
        if numbered is None:
            value = x if op == "x" else _step(op, args, order, [s for _, s in found])
            numbered = known[step] = (next(_NUMBERS), value)
        found.append(numbered)
    if len(known) > _MOST_KEPT:
        known.clear()
    return found[-1][1]


@lru_cache(maxsize=32)
def _steps_around(x: Series, order: int, is_side: bool) -> dict[tuple[Any, ...], tuple[int, Series]]:
    """What `_evaluated` has found around a point."""
    return {}


def _around(terms: Sequence[Number], order: int) -> Series:
    return _from_constant([*terms, *[_number(0)] * (order + 1 - len(terms))])


def _from_both_sides(formula: Formula, c: Number, order: int) -> Series | None:
    """That of a formula with roots of x - c, if it has one: on both sides the same, or nan on one."""
    sides = [_from_side(formula, c, sign, 2 * order) for sign in (1, -1)]
    found = [s for s in sides if s is not None]
    is_one = len(found) == 1 or (len(found) == 2 and not sub(*found).terms)
    return found[0] if is_one else None


def _from_side(formula: Formula, c: Number, sign: int, order: int) -> Series | None:
    """By the series in s >= 0, where x = c + sign*s^2."""
    is_side = _IS_SIDE.set(True)
    try:
        found = _evaluated(formula, _around([c, _number(0), _number(sign)], order), order)
    except UNKNOWN:
        return None
    finally:
        _IS_SIDE.reset(is_side)
    if found.valuation % 2 or any(found.terms[1::2]):
        return None
    low = found.valuation // 2
    return Series(low, tuple(sign ** abs(low + k) * term for k, term in enumerate(found.terms[::2])))


def _step(op: Any, args: Sequence[Any], order: int, known: Sequence[Series]) -> Series:
    if op == "const":
        return _constant(args, order)
    if op not in FUNCTIONS:
        raise NoSeries
    return FUNCTIONS[op](*(known[k] for k in args))


def _constant(args: Sequence[Any], order: int) -> Series:
    return _from_constant([constant_of_step(args), *[_number(0)] * (order - 1)])


def constant_of_step(args: Sequence[Any]) -> Number:
    import mpmath

    named = {"pi": mpmath.pi, "e": mpmath.e, "euler": mpmath.euler, "phi": mpmath.phi}
    if args[0] == "q":
        return mpmath.mpf(args[1]) / args[2]
    if args[0] == "s" and args[1] in named:
        return +named[args[1]]
    raise NoSeries


def value_of(formula: Formula) -> Fraction:
    """What a constant is, to `BITS` bits."""
    import mpmath

    with mpmath.workprec(BITS):
        value = _evaluated(formula, Series(0, ()), 1).constant()
        sign, mantissa, exponent, _ = value._mpf_
    return Fraction(-int(mantissa) if sign else int(mantissa)) * Fraction(2) ** int(exponent)


def is_number(c: Number | Fraction, q: Fraction) -> bool:
    """Whether a term of a series is a rational number, to so many digits that it is meant."""
    import mpmath

    with mpmath.workprec(BITS):
        value = _number(c) if isinstance(c, Fraction) else c
        return bool(abs(value - _number(q)) <= mpmath.ldexp(max(abs(value), 1), -_ZERO))


def _number(value: int | Fraction) -> Number:
    import mpmath

    q = Fraction(value)
    return mpmath.mpf(q.numerator) / q.denominator


# ---- arithmetic --------------------------------------------------------------------------------


def _from_constant(terms: Sequence[Number], valuation: int = 0) -> Series:
    """A series without leading zeros."""
    first = next((k for k, c in enumerate(terms) if c), len(terms))
    return Series(valuation + first, tuple(terms[first:]))


def _total(parts: Sequence[Number]) -> Number:
    """A sum; 0 if next to nothing is left of its largest part."""
    import mpmath

    total = mpmath.fsum(parts)
    largest = max((abs(p) for p in parts), default=_number(0))
    return total if abs(total) > mpmath.ldexp(largest, -_ZERO) else _number(0)


def add(a: Series, b: Series) -> Series:
    low = min(a.valuation, b.valuation)
    high = min(a.valuation + len(a.terms), b.valuation + len(b.terms))
    return _from_constant([_total([_term(a, k), _term(b, k)]) for k in range(low, high)], low)


def _term(a: Series, k: int) -> Number:
    place = k - a.valuation
    return a.terms[place] if 0 <= place < len(a.terms) else _number(0)


def neg(a: Series) -> Series:
    return Series(a.valuation, tuple(-c for c in a.terms))


def sub(a: Series, b: Series) -> Series:
    return add(a, neg(b))


def mul(a: Series, b: Series) -> Series:
    return Series(a.valuation + b.valuation, tuple(_products(a.terms, b.terms)))


def _products(a: Sequence[Number], b: Sequence[Number]) -> list[Number]:
    """The terms of a product of power series, as many as both have."""
    count = min(len(a), len(b))
    return [_total([a[j] * b[k - j] for j in range(k + 1) if a[j] and b[k - j]]) for k in range(count)]


def div(a: Series, b: Series) -> Series:
    if not b.terms:
        raise NoSeries
    terms: list[Number] = []
    for k in range(min(len(a.terms), len(b.terms))):
        less = [-terms[j] * b.terms[k - j] for j in range(k) if b.terms[k - j]]
        terms.append(_total([a.terms[k], *less]) / b.terms[0])
    return Series(a.valuation - b.valuation, tuple(terms))


def _like(value: int | Fraction, a: Series) -> Series:
    """A constant with as many terms."""
    return constant_like(_number(value), a)


def constant_like(value: Number, a: Series) -> Series:
    """The same, of a number of many digits."""
    import mpmath

    return _from_constant([mpmath.mpf(value), *[_number(0)] * (len(a.terms) + max(a.valuation, 0) - 1)])


def slope(a: Series) -> Series:
    terms = a.taylor()
    return _from_constant([k * c for k, c in enumerate(terms)][1:])


def _integral(a: Series, constant: Number) -> Series:
    return _from_constant([constant, *(c / (k + 1) for k, c in enumerate(a.taylor()))])


# ---- functions ---------------------------------------------------------------------------------


def exp(a: Series) -> Series:
    import mpmath

    terms = a.taylor()
    found = [mpmath.exp(terms[0])]
    for n in range(1, len(terms)):
        found.append(_total([k * terms[k] * found[n - k] for k in range(1, n + 1) if terms[k]]) / n)
    return _from_constant(found)


def power(a: Series, exponent: Fraction) -> Series:
    """a^p by a differential equation: a b' = p a' b; of what vanishes or has a pole for whole p only.

    Of that also where the variable is never negative: the root of s^2 is s then.
    """
    valuation = a.valuation * exponent
    if exponent.denominator != 1 and a.valuation and not _IS_SIDE.get():
        raise BranchPoint
    if not a.terms or valuation.denominator != 1 or (exponent.denominator != 1 and a.terms[0] < 0):
        raise NoSeries
    p, c = _number(exponent), a.terms
    found = [c[0] ** p]
    for n in range(1, len(c)):
        parts = [(p * k - (n - k)) * c[k] * found[n - k] for k in range(1, n + 1) if c[k]]
        found.append(_total(parts) / (n * c[0]))
    return Series(int(valuation), tuple(found))


def _power(a: Series, p: Series) -> Series:
    import mpmath

    exponent = p.taylor()
    if any(exponent[1:]):
        return exp(mul(p, _log(a)))
    exact = Fraction(int(mpmath.ldexp(exponent[0], 8)), 1 << 8)
    if _number(exact) != exponent[0]:
        if a.valuation:
            raise NoSeries
        return exp(mul(p, _log(a)))
    return power(a, exact)


def root(a: Series) -> Series:
    return power(a, Fraction(1, 2))


def _log(a: Series) -> Series:
    import mpmath

    if a.valuation or not a.terms or a.terms[0] < 0:
        raise NoSeries
    return _integral(div(slope(a), a), mpmath.log(a.terms[0]))


def _by_slope(value: str, rate: Callable[[Series], Series]) -> Callable[[Series], Series]:
    """A function with a known derivative, by its name in mpmath."""

    def function(a: Series) -> Series:
        import mpmath

        start = getattr(mpmath, value)(a.constant())
        if isinstance(start, mpmath.mpc):
            raise NoSeries
        return _integral(mul(rate(a), slope(a)), start)

    return function


def _beside_one(a: Series, sign: int, power_of_a: int = 2) -> Series:
    """1 + sign*a^power."""
    raised = a if power_of_a == 1 else mul(a, a)
    return (add if sign > 0 else sub)(_like(1, raised), raised)


def _waves(a: Series) -> tuple[Series, Series]:
    """sin(a) and cos(a), by s' = a' c and c' = -a' s."""
    import mpmath

    terms = a.taylor()
    nothing = mpmath.ldexp(1, -_ZERO)  # an exact 0, but for rounding: cos(3*pi/2)
    start = [part if abs(part) > nothing else _number(0) for part in mpmath.cos_sin(terms[0])]
    cosine, sine = ([part] for part in start)
    for n in range(1, len(terms)):
        weights = [(k, k * terms[k]) for k in range(1, n + 1) if terms[k]]
        s = _total([w * cosine[n - k] for k, w in weights]) / n
        c = -_total([w * sine[n - k] for k, w in weights]) / n
        sine.append(s)
        cosine.append(c)
    return _from_constant(sine), _from_constant(cosine)


def _lambertw(a: Series) -> Series:
    """W exp(W) = a by Newton's method, which doubles the terms that are right; DLMF 4.13.1."""
    import mpmath

    start = mpmath.mpmathify(mpmath.lambertw(a.constant()))
    if start.imag:
        raise NoSeries
    w = constant_like(start.real, a)
    for _ in range(len(a.taylor()).bit_length()):
        grown = exp(w)
        w = sub(w, div(sub(mul(w, grown), a), mul(grown, _beside_one(w, 1, 1))))
    return w


def _half(a: Series) -> Series:
    return Series(a.valuation, tuple(c / 2 for c in a.terms))


def _sinh(a: Series) -> Series:
    return _half(sub(exp(a), exp(neg(a))))


def _cosh(a: Series) -> Series:
    return _half(add(exp(a), exp(neg(a))))


def _logistic(a: Series) -> Series:
    return div(_like(1, a), _beside_one(exp(neg(a)), 1, 1))


def _gaussian(a: Series) -> Series:
    """The derivative of erf: 2/sqrt(pi) exp(-a^2)."""
    import mpmath

    bell = exp(neg(mul(a, a)))
    return Series(bell.valuation, tuple(2 * c / mpmath.sqrt(mpmath.pi) for c in bell.terms))


def composed(coefficients: Sequence[Number], a: Series) -> Series:
    """The sum of c_k a^k, by Horner's rule, for an `a` that vanishes."""
    total = _like(0, a)
    for c in reversed(coefficients):
        total = add(mul(total, a), _from_constant([c, *[_number(0)] * (len(a.taylor()) - 1)]))
    return total


def _bessel(sign: int) -> Callable[[Series, Series], Series]:
    """J_n or I_n of whole order n, of what vanishes; DLMF 10.2.2, 10.25.2."""

    def function(order: Series, a: Series) -> Series:
        import mpmath

        value = order.constant()
        n = int(value)
        if n < 0 or n != value or any(order.taylor()[1:]) or a.valuation < 1:
            raise NoSeries
        coefficients = [_number(0)] * (len(a.taylor()) + n)
        for k in range(0, len(coefficients) - n, 2):
            factorials = mpmath.factorial(k // 2) * mpmath.factorial(k // 2 + n)
            coefficients[n + k] = sign ** (k // 2) / (mpmath.mpf(2) ** (k + n) * factorials)
        return composed(coefficients, a)

    return function


def _quotient(op: str) -> Callable[[Series], Series]:
    q, order = QUOTIENT_ROWS[op]

    def function(a: Series) -> Series:
        arithmetic = Arithmetic(lambda name, *args: FUNCTIONS[name](*args), lambda c: _like(c, a))
        return q.away(arithmetic, order, a)  # type: ignore[no-any-return]  # of numbers of any kind

    return function


def _radial(op: str) -> Callable[[Series], Series]:
    family, k = RADIAL_ROWS[op]

    def function(h: Series) -> Series:
        def call(name: str, *args: Series) -> Series:
            return FUNCTIONS[name](*args)

        return family.away(Arithmetic(call, lambda c: _like(c, h)), k, h)  # type: ignore[no-any-return]  # as above

    return function


def _doubled_square(half: Callable[[Series], Series]) -> Callable[[Series], Series]:
    """1 - cos(h) and cosh(h) - 1 by half the argument."""

    def function(h: Series) -> Series:
        part = half(_half(h))
        return mul(_like(2, h), mul(part, part))

    return function


def _difference(op: str) -> Callable[[Series, Series, Series], Series]:
    """f(c + u) - f(c + v)."""
    return lambda c, u, v: sub(FUNCTIONS[op](add(c, u)), FUNCTIONS[op](add(c, v)))


def _length(x: Series, y: Series) -> Series:
    return root(add(mul(x, x), mul(y, y)))


FUNCTIONS: dict[str, Callable[..., Series]] = {
    "add": add, "sub": sub, "neg": neg, "mul": mul, "div": div, "pow": _power, "sqrt": root,
    **{op: lambda away: away for op in ROWS},
    "exp": exp, "expm1": lambda a: sub(exp(a), _like(1, a)),
    "log": _log, "log1p": lambda a: _log(_beside_one(a, 1, 1)),
    "sin": lambda a: _waves(a)[0], "cos": lambda a: _waves(a)[1],
    "tan": lambda a: div(*_waves(a)),
    "sinh": _sinh, "cosh": _cosh, "tanh": lambda a: div(_sinh(a), _cosh(a)),
    "sech": lambda a: div(_like(1, a), _cosh(a)),
    "asin": _by_slope("asin", lambda a: power(_beside_one(a, -1), Fraction(-1, 2))),
    "acos": _by_slope("acos", lambda a: neg(power(_beside_one(a, -1), Fraction(-1, 2)))),
    "atan": _by_slope("atan", lambda a: power(_beside_one(a, 1), Fraction(-1))),
    "acosh": _by_slope("acosh", lambda a: power(neg(_beside_one(a, -1)), Fraction(-1, 2))),
    "asinh": _by_slope("asinh", lambda a: power(_beside_one(a, 1), Fraction(-1, 2))),
    "atanh": _by_slope("atanh", lambda a: power(_beside_one(a, -1), Fraction(-1))),
    "erf": _by_slope("erf", _gaussian), "erfc": _by_slope("erfc", lambda a: neg(_gaussian(a))),
    "Si": _by_slope("si", lambda a: FUNCTIONS["sinc"](a)),
    "logistic": _logistic, "logistic_slope": lambda a: mul(_logistic(a), _logistic(neg(a))),
    "exp_share": lambda a: neg(div(_like(1, a), sub(exp(neg(a)), _like(1, a)))),
    "softplus": lambda a: _log(_beside_one(exp(a), 1, 1)),
    "logistic_entropy": lambda a: sub(_log(_beside_one(exp(a), 1, 1)), mul(a, _logistic(a))),
    "logcosh": lambda a: _log(_cosh(a)),
    "lambertw": _lambertw, "lambertw_above": lambda a: _beside_one(_lambertw(a), 1, 1),
    "xlogx": lambda a: mul(a, _log(a)), "xovery": div,
    "xlogy": lambda a, b: mul(a, _log(b)), "xlog1py": lambda a, b: mul(a, _log(_beside_one(b, 1, 1))),
    "square_difference": lambda a, b: sub(mul(a, a), mul(b, b)),
    "deviation": sub,
    "nested_share": mul,
    "hypot": lambda a, b: root(add(mul(a, a), mul(b, b))),
    "direction_cosine": lambda a, b: div(a, root(add(mul(a, a), mul(b, b)))),
    "hypot_slope": lambda a, b: div(a, root(add(mul(a, a), mul(b, b)))),
    "double_cosine": lambda a, b: div(sub(mul(a, a), mul(b, b)), add(mul(a, a), mul(b, b))),
    "inversion": lambda a, b: div(a, add(mul(a, a), mul(b, b))),
    "less_cosine": lambda a, b: sub(constant_like(1, a), div(a, root(add(mul(a, a), mul(b, b))))),
    "leg": lambda a, b: root(sub(mul(a, a), mul(b, b))),
    **{
        f"{op}_difference": _difference(op)
        for op in (
            "exp", "log", "sqrt", "sin", "cos", "atan", "logistic", "asin", "asinh", "acosh", "atanh", "tan",
            "sinh", "cosh", "log1p", "softplus", "xlogx", "erf", "loggamma",
        )
    },
    "reciprocal_difference": lambda c, u, v: div(sub(v, u), mul(add(c, u), add(c, v))),
    "pow_difference": lambda c, u, v, p: sub(_power(add(c, u), p), _power(add(c, v), p)),
    "powm1": lambda x, y, t: sub(_power(x, y), _like(1, x)),
    "hypot_less_side": lambda x, y: sub(root(add(mul(x, x), mul(y, y))), x),
    "half_tangent": lambda x, y: div(sub(root(add(mul(x, x), mul(y, y))), y), x),
    "altitude": lambda x, y: div(mul(x, y), root(add(mul(x, x), mul(y, y)))),
    "pseudo_huber": lambda x, y: mul(y, sub(root(add(mul(x, x), mul(y, y))), y)),
    "leg_less_side": lambda x, y: sub(root(sub(mul(x, x), mul(y, y))), x),
    "root_less_side": lambda x, s, r: sub(root(add(mul(x, x), s)), x),
    "less_norm_cosine": lambda x, s, r: sub(constant_like(1, x), div(x, root(add(mul(x, x), s)))),
    "quadratic_root": lambda x, t, q: div(sub(root(add(mul(x, x), mul(q, t))), x), q),
    "quadratic_root_slope": lambda x, t, q: sub(
        div(constant_like(1, q), q), div(x, mul(q, root(add(mul(x, x), mul(q, t)))))
    ),
    "hypot_difference": lambda c, u, v, w: sub(*(_length(add(c, x), w) for x in (u, v))),
    "cosine_difference": lambda c, u, v, w: sub(*(div(add(c, x), _length(add(c, x), w)) for x in (u, v))),
    "sine_difference": lambda c, u, v, w: sub(*(div(w, _length(add(c, x), w)) for x in (u, v))),
    "root_beside_square": lambda x, s: root(add(mul(x, x), s)),
    "reciprocal_root_difference": lambda c, u, v: sub(*(power(add(c, x), Fraction(-1, 2)) for x in (u, v))),
    "sqrt1pm1": lambda a: sub(root(_beside_one(a, 1, 1)), _like(1, a)),
    "hypot1m1": lambda a: sub(root(_beside_one(a, 1)), _like(1, a)),
    "log1msq": lambda a: _log(_beside_one(a, -1)),
    "loghypot1": lambda a: _half(_log(_beside_one(a, 1))),
    "besselj": _bessel(-1), "besseli": _bessel(1), "besseli_core": _bessel(1),
    **{op: _quotient(op) for op in QUOTIENT_ROWS}, **{op: _radial(op) for op in RADIAL_ROWS},
    "radial_cos": lambda h: _waves(h)[1], "radial_cosh": _cosh,
    "radial_versine": _doubled_square(lambda h: _waves(h)[0]), "radial_coshm1": _doubled_square(_sinh),
    "radial_logcosh": lambda h: _log(_cosh(h)),
}  # fmt: skip
