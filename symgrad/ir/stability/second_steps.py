"""Second differences f(x + h) - 2*f(x) + f(x - h), by addition theorems: of order h^2 without cancellation.

Where h is not small nothing cancels, and they are computed as they are written. `sum_steps` looks for them.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import comb
from typing import TYPE_CHECKING, NamedTuple

from symgrad.ir.composites.differences import difference_node
from symgrad.ir.rules import Args
from symgrad.ir.series.removable import removable
from symgrad.ir.stability.audit import Audit, at_pairs, stable
from symgrad.ir.stability.patterns import (
    ODD,
    above_and_below,
    factors_of,
    quotient_of,
    remove,
    sum_of_signed,
    terms_of,
    without,
)
from symgrad.ir.stability.power_steps import power_in

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_LARGE = 2.0**500
_MOST_WHOLE = 8  # of exponents that are multiplied out


class Term(NamedTuple):
    """number * f(argument); of powers f is "pow" and has an exponent."""

    number: Fraction
    function: str
    argument: int
    exponent: int = 0


def _term(g: Graph, sign: int, node: int) -> Term | None:
    number, inner = Fraction(sign), node
    if g.op[node] == "mul" and g.op[g.args[node][0]] == "const":
        q = g.rational(g.args[node][0])
        if q is None:
            return None
        number, inner = number * q, g.args[node][1]
    if g.op[inner] in _SECOND and g.op[inner] != "pow":
        return Term(number, g.op[inner], g.args[inner][0])
    if g.op[inner] == "div":
        q = g.rational(g.args[inner][0])
        if q is not None and g.op[g.args[inner][1]] not in ("mul", "pow"):
            return Term(number * q, "pow", g.args[inner][1], g.minus_one)
    power = power_in(g, node)
    return None if power is None else Term(sign * power.number, "pow", power.base, power.exponent)


def second_difference(g: Graph, terms: list[tuple[int, int]], kept: list[int]) -> int | None:
    """The sum with f(x + h) - 2*f(x) + f(x - h) in it as one."""
    if len(kept) < 3:
        return None
    found = [(k, term) for k in kept if (term := _term(g, *terms[k])) is not None]
    for k, middle in found:
        ends = [
            (n, t) for n, t in found
            if n != k and (t.function, t.exponent) == (middle.function, middle.exponent)
            and abs(2 * t.number) == abs(middle.number)
        ]  # fmt: skip
        for place, (n, one) in enumerate(ends):
            for m, other in ends[place + 1 :]:
                made = _around(g, middle, one, other)
                if made is not None:
                    rest = [t for at, t in enumerate(terms) if at not in (k, n, m)]
                    return g.add(sum_of_signed(g, rest), made)
    return None


def _around(g: Graph, middle: Term, one: Term, other: Term) -> int | None:
    """Three terms as a second difference, if the arguments of two are as far to both sides of the third."""
    x, number = middle.argument, -middle.number / 2
    for first in _written(g, one):
        for second in _written(g, other):
            if first.number == second.number == number:
                step = _half_way(g, first.argument, x, second.argument)
                if step is not None:
                    return g.mul(g.const(number), _SECOND[middle.function](g, x, step, middle.exponent))
    return None


def _written(g: Graph, term: Term) -> list[Term]:
    """A term, also with the other sign of its argument."""
    if term.function not in ODD and term.function not in ("cos", "cosh"):
        return [term]
    sign = -1 if term.function in ODD else 1
    return [term, term._replace(number=sign * term.number, argument=g.neg(term.argument))]


def _half_way(g: Graph, a: int, x: int, b: int) -> int | None:
    """h if a = x + h and b = x - h; -h is as good."""
    middle = terms_of(g, x)
    up, missing = remove(terms_of(g, a), middle)
    down, absent = remove(terms_of(g, b), middle)
    if missing or absent or not up or sorted(up) != sorted((-s, t) for s, t in down):
        return None
    step = sum_of_signed(g, up)
    return g.args[step][0] if g.op[step] == "neg" else step


def _square(g: Graph, x: int) -> int:
    return g.mul(x, x)


def _half(g: Graph, x: int) -> int:
    return g.mul(g.const(Fraction(1, 2)), x)


def _of_exp(g: Graph, x: int, h: int, exponent: int) -> int:
    """(exp((x + h)/2) - exp((x - h)/2))^2."""
    step = _half(g, h)
    return _square(g, difference_node(g, "exp", _half(g, x), step, g.neg(step)))


def _by_wave(function: str, wave: str, sign: int) -> Callable[[Graph, int, int, int], int]:
    """4 f(x) sinh(h/2)^2, or -4 f(x) sin(h/2)^2."""

    def made(g: Graph, x: int, h: int, exponent: int) -> int:
        square = _square(g, g.node(wave, _half(g, h)))
        return g.mul(g.const(4 * sign), g.mul(g.node(function, x), square))

    return made


def _apart(g: Graph, x: int, h: int, f: Callable[[int], int]) -> int:
    """As it is written."""
    ends = g.intern("add", (f(g.add(x, h)), f(g.sub(x, h))))
    return g.intern("sub", (ends, g.mul(g.const(2), f(x))))


def _guarded(g: Graph, x: int, h: int, near: Callable[[int, int], int], f: Callable[[int], int]) -> int:
    """By a formula where |h| < x/2, else as it is written."""
    is_near = g.node("lt", g.node("abs", h), _half(g, x))
    made = near(g.where(is_near, x, g.one), g.where(is_near, h, g.zero))
    return g.where(is_near, made, _apart(g, x, h, f))


def _where_small(g: Graph, x: int, h: int, near: Callable[[int], int], f: Callable[[int], int]) -> int:
    """By a formula where |h| < 1, else as it is written."""
    is_near = g.node("lt", g.node("abs", h), g.one)
    return g.where(is_near, near(g.where(is_near, h, g.zero)), _apart(g, x, h, f))


def _of_tan(g: Graph, x: int, h: int, exponent: int) -> int:
    """2 tan(x) sin(h)^2/(cos(x + h) cos(x - h))."""

    def near(h: int) -> int:
        above = _square(g, g.node("sin", h))
        below = g.mul(g.node("cos", g.add(x, h)), g.node("cos", g.sub(x, h)))
        return g.div(g.mul(g.mul(g.const(2), g.node("tan", x)), above), below)

    return _where_small(g, x, h, near, lambda at: g.node("tan", at))


def _of_tanh(g: Graph, x: int, h: int, exponent: int) -> int:
    """-2 tanh(x) s^2/(1 + s^2) for s = sinh(h)/cosh(x)."""

    def near(h: int) -> int:
        return g.mul(g.const(-2), _near_tanh(g, x, h))

    return _where_small(g, x, h, near, lambda at: g.node("tanh", at))


def _of_logistic(g: Graph, x: int, h: int, exponent: int) -> int:
    """That of tanh(x/2)/2."""

    def near(h: int) -> int:
        return g.neg(_near_tanh(g, _half(g, x), _half(g, h)))

    return _where_small(g, x, h, near, lambda at: g.node("logistic", at))


def _near_tanh(g: Graph, x: int, h: int) -> int:
    square = _square(g, g.mul(g.node("sinh", h), g.node("sech", x)))
    return g.intern("div", (g.mul(g.node("tanh", x), square), g.add(g.one, square)))


def _of_softplus(g: Graph, x: int, h: int, exponent: int) -> int:
    """log(1 + 4 p (1 - p) sinh(h/2)^2) for the logistic function p of x."""

    def near(h: int) -> int:
        square = _square(g, g.node("sinh", _half(g, h)))
        return _log_beside_one(g, g.mul(g.const(4), g.mul(g.node("logistic_slope", x), square)))

    return _where_small(g, x, h, near, lambda at: g.node("softplus", at))


def _of_atan(g: Graph, x: int, h: int, exponent: int) -> int:
    """atan(-2 u v/(1 - u^2 + v^2)) for v = h/(1 + x^2) and u = x v; 0 where x^2 is out of range."""
    in_range = g.node("lt", g.node("abs", x), g.const(_LARGE))
    middle = x

    def near(h: int) -> int:
        x = g.where(in_range, middle, g.zero)
        size = g.add(g.one, _square(g, x))
        share, v = g.div(x, size), g.div(h, size)
        below = g.add(g.sub(g.one, _square(g, g.mul(share, h))), _square(g, v))
        t = g.mul(g.mul(g.const(-2), g.mul(share, h)), g.div(h, g.mul(size, below)))
        share_of_t = g.intern("div", (g.node("atan", t), t))
        return g.mul(t, removable(g, share_of_t, t) or share_of_t)

    return _where_small(g, x, h, near, lambda at: g.node("atan", at))


def _log_beside_one(g: Graph, t: int) -> int:
    """log(1 + t) as a product with t."""
    return g.mul(t, g.node("log1prel", t))


def _of_log(g: Graph, x: int, h: int, exponent: int) -> int:
    def near(x: int, h: int) -> int:
        return _log_beside_one(g, g.neg(_square(g, g.div(h, x))))

    return _guarded(g, x, h, near, lambda at: g.node("log", at))


def _of_root(g: Graph, x: int, h: int, exponent: int) -> int:
    def near(x: int, h: int) -> int:
        up, down, root = (g.node("sqrt", at) for at in (g.add(x, h), g.sub(x, h), x))
        shares = g.mul(g.div(h, g.add(up, root)), g.div(h, g.add(down, root)))
        return g.mul(shares, g.div(g.const(-2), g.add(up, down)))

    return _guarded(g, x, h, near, lambda at: g.node("sqrt", at))


def _of_power(g: Graph, x: int, h: int, p: int) -> int:
    """x^p (exp(s) 2 cosh(t) - 2), s = p/2 log(1 - (h/x)^2) and t = p atanh(h/x)."""
    q = g.rational(p)
    if q is not None and q.denominator == 1 and 0 < q <= _MOST_WHOLE:
        return _of_whole_power(g, x, h, int(q))

    def of_reciprocal(x: int, h: int) -> int:
        shares = g.mul(g.div(h, x), g.div(h, g.sub(x, h)))
        return g.mul(shares, g.div(g.const(2), g.add(x, h)))

    def near(x: int, h: int) -> int:
        r = g.div(h, x)
        s = _half(g, g.mul(p, g.node("log1p", g.neg(_square(g, r)))))
        wave = g.node("sinh", _half(g, g.mul(p, g.node("atanh", r))))
        rest = g.mul(g.const(2), g.mul(g.node("exp", s), _square(g, wave)))
        return g.mul(g.mul(g.const(2), g.node("pow", x, p)), g.add(g.node("expm1", s), rest))

    return _guarded(g, x, h, of_reciprocal if q == -1 else near, lambda at: g.node("pow", at, p))


def _of_whole_power(g: Graph, x: int, h: int, n: int) -> int:
    """2*(C(n, 2) x^(n-2) h^2 + C(n, 4) x^(n-4) h^4 + ...)."""
    total = g.zero
    for k in range(n - n % 2, 0, -2):
        power = g.mul(g.integer_power(x, n - k), g.integer_power(h, k))
        total = g.add(total, g.mul(g.const(2 * comb(n, k)), power))
    return total


_SECOND: dict[str, Callable[[Graph, int, int, int], int]] = {
    "exp": _of_exp, "sinh": _by_wave("sinh", "sinh", 1),
    "cosh": _by_wave("cosh", "sinh", 1), "sin": _by_wave("sin", "sin", -1), "cos": _by_wave("cos", "sin", -1),
    "log": _of_log, "sqrt": _of_root, "pow": _of_power,
    "tan": _of_tan, "tanh": _of_tanh, "softplus": _of_softplus, "logistic": _of_logistic, "atan": _of_atan,
}  # fmt: skip


@stable(
    "div",
    "(f(x + h) - 2*f(x) + f(x - h))/h**2 is nan at h = 0, where it is the second derivative",
    Audit("(log(x + y) - 2*log(x) + log(x - y))/y**2", "-log1prel(-(y/x)**2)/x**2",
          "of log, sqrt, powers, tan, tanh, atan, logistic and softplus, where |y| is small",
          "Higham 2002, section 1.7; DLMF 4.21, 4.35",
          at_pairs((1.0, 1e-6), (0.5, 1e-3), (2.0, 1e-5), (2.0, 0.5))),
    on=lambda ops: ops[0] in ("where", "mul", "neg") and ops[1] != "const",
    needs=("where",),
)  # fmt: skip
def divided_second_difference(g: Graph, a: Args) -> int | None:
    """By what is hidden where the choice is another one: `near` is a product with it."""
    above, below = factors_of(g, a[0]), factors_of(g, a[1])
    for place, factor in enumerate(above):
        if g.op[factor] != "where":
            continue
        is_near, near, apart = g.args[factor]
        hidden = {d: g.where(is_near, d, g.zero) for d in below if _is_bounded_by(g, is_near, d)}
        if not hidden or not set(hidden.values()) <= set(g.reachable((near,))):
            continue
        parts, beneath = above_and_below(g, near)
        others = without(above, place)
        above_it, below_it = remove([*others, *parts], [*(hidden.get(d, d) for d in below), *beneath])
        small = quotient_of(g, above_it, [])
        for d in below_it:  # one after the other: their product may be out of range
            small = g.div(small, d)
        shown = [g.where(is_near, g.one, d) if d in hidden else d for d in below]
        return g.where(is_near, small, quotient_of(g, [*others, apart], shown))
    return None


def _is_bounded_by(g: Graph, condition: int, x: int) -> bool:
    """Whether a condition is |x| < something."""
    return g.op[condition] == "lt" and g.args[condition][0] == g.node("abs", x)
