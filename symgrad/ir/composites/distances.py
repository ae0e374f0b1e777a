"""Differences of two lengths with a side in common, and of their direction cosines: rows of the op table.

    hypot_difference(c, u, v, w)        r - s        r = hypot(p, w), p = c + u
    cosine_difference(c, u, v, w)       p/r - q/s    s = hypot(q, w), q = c + v
    sine_difference(c, u, v, w)         w/r - w/s

The difference of two distances is one: sqrt((x - a)^2 + y^2) - sqrt((x + a)^2 + y^2), of c = x and w = y.
With d = u - v, which has digits that p - q has lost (`differences`), they are

    y = d*k             k = (p + q)/(r + s)
    z = -f*k*o          f = d/(r + s)            o = w/r + w/s
    e = f*o^2/(1 + cos(t))

t being the angle between (p, w) and (q, w), of whose half f*o/(1 + cos(t)) is the tangent. By c and w the
derivatives of y are e and z. For the lesser length m, the larger one M and n = m/M those of e and z are

    e by c              z*(1 + n + n^2)*(w/m)/m
    e by w, z by c      -(d/m)*(o/m)*(1 - n + n^2 - k^2*(1 + n + n^2))/2
    z by w              (f/m)*k*(1 + n)*(w/r*w/s + (w/M)^2 - 1 + (w/m)^2)

and all those by u and v are derivatives of one length. Nothing in them cancels but next to their own zeros.
Where v is -u, the derivative by u is taken of both, and there is none by v: as a function of u the difference
is the same one, of c and -c beside u.

Sources: Higham 2002, Accuracy and Stability of Numerical Algorithms, sections 1.7 and 1.8; DLMF 4.21.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from symgrad.ir.composites.hypot import bending
from symgrad.ir.expansion import by_expansion
from symgrad.ir.op import Op, Partial, mp_function
from symgrad.ir.ops import OPS
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Args = tuple[int, ...]
_HALF = Fraction(1, 2)
_NEAR = 4  # of lengths that are of one size


@dataclass(frozen=True)
class _Two:
    """p and q, d and p + q, r and s, p/r and q/s, w/r and w/s; whether |p| < |q|, and so m is r."""

    sides: tuple[int, int]
    step: int
    total: int
    lengths: tuple[int, int]
    cosines: tuple[int, int]
    sines: tuple[int, int]
    is_first: int

    def sum(self, g: Graph) -> int:
        """r + s."""
        return g.add(*self.lengths)

    def shares(self, g: Graph) -> tuple[int, int]:
        """f and k: their product does not underflow where y does, which is that times r + s."""
        return _over(g, self.step, self.sum(g)), _over(g, self.total, self.sum(g))

    def has_sum(self, g: Graph) -> int:
        """Whether r + s is neither 0 nor infinite."""
        infinity = g.const(float("inf"))
        return g.node("and", g.node("lt", g.zero, self.sum(g)), g.node("lt", self.sum(g), infinity))

    def ratio(self, g: Graph) -> int:
        """n."""
        return _over(g, self.of_least(g, self.lengths), self.of_least(g, self.lengths[::-1]))

    def are_near(self, g: Graph) -> int:
        """Whether the lengths are of one size."""
        least, most = (self.of_least(g, pair) for pair in (self.lengths, self.lengths[::-1]))
        return g.node("lt", most, g.mul(g.const(_NEAR), least))

    def of_least(self, g: Graph, both: tuple[int, int]) -> int:
        """Of two values that of the lesser length."""
        return g.where(self.is_first, *both)


def _two(g: Graph, a: Args) -> _Two:
    c, u, v, w = a
    sides = g.add(c, u), g.add(c, v)
    (p, _), (q, _) = bare = [_without_sign(g, x) for x in sides]
    r, s = g.node("hypot", p, w), g.node("hypot", q, w)
    is_first = g.node("lt", g.node("abs", p), g.node("abs", q))
    is_central, twice = g.neg(u) == v, g.mul(g.const(2), c)
    step, total = (g.mul(g.const(2), u), twice) if is_central else (g.sub(u, v), g.add(twice, g.add(u, v)))
    slopes = [g.node("hypot_slope", x, w) for x, _ in bare]
    first, second = (g.neg(n) if is_minus else n for n, (_, is_minus) in zip(slopes, bare, strict=True))
    sines = g.node("hypot_slope", w, p), g.node("hypot_slope", w, q)
    return _Two(sides, step, total, (r, s), (first, second), sines, is_first)


def _without_sign(g: Graph, x: int) -> tuple[int, bool]:
    """x or -x, and whether it is -x: lengths are found again."""
    return (g.args[x][0], True) if g.op[x] == "neg" else (x, False)


def _times(g: Graph, first: int, *others: int) -> int:
    """A product in this order: rules would take divisors together, which may leave the range of numbers."""
    for other in others:
        first = g.intern("mul", (first, other))
    return first


def _over(g: Graph, x: int, y: int) -> int:
    return g.intern("div", (x, y))


def _unless_zero(g: Graph, x: int, value: int) -> int:
    return g.mask(g.node("ne", x, g.zero), value)


# ---- values ------------------------------------------------------------------------------------


def _expand_difference(g: Graph, a: Args) -> int:
    """The lesser factor times the quotient of the larger one, which does not underflow."""
    two = _two(g, a)
    is_less = g.node("lt", g.node("abs", two.step), g.node("abs", two.total))
    less, more = (g.where(is_less, *pair) for pair in ((two.step, two.total), (two.total, two.step)))
    near = _times(g, less, _over(g, more, two.sum(g)))
    return g.where(two.has_sum(g), near, g.intern("sub", two.lengths))


def _expand_cosines(g: Graph, a: Args) -> int:
    """By the half angle, of angles that are less than a right one."""
    two = _two(g, a)
    cosine = g.add(g.mul(*two.cosines), g.mul(*two.sines))
    both = g.add(*two.sines)
    near = _times(g, both, _over(g, _times(g, two.shares(g)[0], both), g.add(g.one, cosine)))
    is_near = g.node("and", g.node("lt", g.zero, cosine), two.has_sum(g))
    return g.where(is_near, near, g.intern("sub", two.cosines))


def _expand_sines(g: Graph, a: Args) -> int:
    two = _two(g, a)
    near = g.neg(_times(g, *two.shares(g), g.add(*two.sines)))
    return g.where(two.has_sum(g), near, g.intern("sub", two.sines))


# ---- derivatives -------------------------------------------------------------------------------


def _difference_by_common_side(g: Graph, a: Args, y: int) -> int:
    return g.node("sine_difference", *a)


def _cosines_by_shift(g: Graph, a: Args, e: int) -> int:
    two, z = _two(g, a), g.node("sine_difference", *a)
    least, ratio, sine = two.of_least(g, two.lengths), two.ratio(g), two.of_least(g, two.sines)
    sizes = g.add(g.add(g.one, ratio), g.mul(ratio, ratio))
    return _unless_zero(g, least, _times(g, z, sizes, _over(g, sine, least)))


def _mixed(g: Graph, a: Args, y: int) -> int:
    """Of the cosines by w, of the sines by c; as written where one length is much larger."""
    two = _two(g, a)
    least, ratio, (_, k) = two.of_least(g, two.lengths), two.ratio(g), two.shares(g)
    square = g.mul(ratio, ratio)
    less, more = g.add(g.sub(g.one, ratio), square), g.add(g.add(g.one, ratio), square)
    bracket = g.sub(less, g.mul(g.mul(k, k), more))
    both = _times(g, bracket, _over(g, g.add(*two.sines), least))
    near = g.mul(g.const(-_HALF), _times(g, _over(g, two.step, least), both))
    far = g.sub(*(_turned(g, x, a[3]) for x in two.sides))
    return g.where(two.are_near(g), near, far)


def _sines_by_common_side(g: Graph, a: Args, z: int) -> int:
    """By the cosine of the lesser length; as written where that is far from the other."""
    two = _two(g, a)
    least, whole = two.of_least(g, two.lengths), g.add(g.one, two.ratio(g))
    cosine, sine = two.of_least(g, two.cosines), two.of_least(g, two.sines[::-1])
    bracket = g.sub(g.add(g.mul(*two.sines), g.mul(sine, sine)), g.mul(cosine, cosine))
    f, k = (g.node("xovery", x, two.sum(g)) for x in (two.step, two.total))  # no pass takes them apart
    near = _times(g, _over(g, f, least), _times(g, k, whole, bracket))
    far = g.sub(*(_bent(g, a[3], x) for x in two.sides))
    return g.where(two.are_near(g), near, far)


def _bent(g: Graph, x: int, w: int) -> int:
    """(w/h)^2/h, the derivative of x/h by x, of lengths h of x and w."""
    return bending(g, (x, w), g.node("hypot_slope", w, x))


def _turned(g: Graph, x: int, w: int) -> int:
    """-(x/h)*(w/h)/h, that by w, and of w/h by x."""
    return g.neg(bending(g, (x, w), g.node("hypot_slope", x, w)))


def _by_parts(
    one: Callable[[Graph, int, int], int], both: Callable[[Graph, Args], int]
) -> tuple[Partial, Partial]:
    """The derivatives by u and v, of one length each, or of `both`."""

    def by_first(g: Graph, a: Args, y: int) -> int:
        c, u, v, w = a
        return both(g, (u, c, g.neg(c), w)) if g.neg(u) == v else one(g, g.add(c, u), w)

    def by_second(g: Graph, a: Args, y: int) -> int:
        c, u, v, w = a
        return g.zero if g.neg(u) == v else g.neg(one(g, g.add(c, v), w))

    return by_first, by_second


def _both_bent(g: Graph, a: Args) -> int:
    two = _two(g, a)
    return g.add(*(_bent(g, x, a[3]) for x in two.sides))


# ---- rows --------------------------------------------------------------------------------------


def _hypot(x: Any, y: Any) -> Any:
    return mp_function("hypot")(x, y)


def _share(x: Any, length: Any) -> Any:
    return x / length if length else length


def _exact(c: Any, u: Any, v: Any, w: Any) -> Any:
    return _share((u - v) * (2 * c + u + v), _hypot(c + u, w) + _hypot(c + v, w))


def _exact_cosines(c: Any, u: Any, v: Any, w: Any) -> Any:
    return _share(c + u, _hypot(c + u, w)) - _share(c + v, _hypot(c + v, w))


def _exact_sines(c: Any, u: Any, v: Any, w: Any) -> Any:
    return _share(w, _hypot(c + u, w)) - _share(w, _hypot(c + v, w))


def _enter(
    name: str, expand: Callable[[Graph, Args], int], exact: Any, partials: tuple[Partial, ...]
) -> None:
    OPS[name] = Op(
        name, 4, by_expansion(expand, 4), exact, partials, expand=expand, cost=50,
        domain=((-2.0, 2.0), (-1.0, 1.0), (-1.0, 1.0), (0.1, 2.0)), kink="the origin (derivative 0)",
        source="this module",
    )  # fmt: skip


_enter(
    "hypot_difference", _expand_difference, _exact,
    (
        lambda g, a, y: g.node("cosine_difference", *a),
        *_by_parts(lambda g, x, w: g.node("hypot_slope", x, w), lambda g, a: g.node("cosine_difference", *a)),
        _difference_by_common_side,
    ),
)  # fmt: skip
_enter(
    "cosine_difference", _expand_cosines, _exact_cosines,
    (_cosines_by_shift, *_by_parts(_bent, _both_bent), _mixed),
)  # fmt: skip
_enter(
    "sine_difference", _expand_sines, _exact_sines,
    (_mixed, *_by_parts(_turned, lambda g, a: _mixed(g, a, a[0])), _sines_by_common_side),
)  # fmt: skip
NAMES = frozenset(("hypot_difference", "cosine_difference", "sine_difference"))
