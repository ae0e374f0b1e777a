"""A root beside what it is nearly equal to: sqrt(x^2 + y^2) - x, and the roots of a quadratic equation."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.rules import Args, among
from symgrad.ir.series.probe import variable_of
from symgrad.ir.signs import is_never_negative
from symgrad.ir.stability.audit import Audit, at, at_pairs, stable
from symgrad.ir.stability.patterns import (
    PRODUCTS,
    factors_of,
    numbered,
    powers_of,
    quotient_of,
    remove,
    root_of_square,
    sum_of_signed,
    terms_of,
    under_root,
    without,
)

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_ROOTS = ("sqrt", "norm", "hypot", "leg")
_LESS = ("hypot_less_side", "root_less_side")
_COSINES = ("direction_cosine", "hypot_slope")
_TINY = Fraction(1, 1 << 1000)  # a quotient may have lost digits to underflow
_CONJUGATE = "Higham 2002, section 1.8; Goldberg 1991, section 1.4"


@stable(
    "sub",
    "sqrt(x**2 + s) - x cancels where s is small beside x**2",
    Audit(
        "x - sqrt(x**2 + y**2)", "-hypot_less_side(x, y)",
        "the square of x is a term under the root; or of two sides, the larger first", _CONJUGATE,
        at_pairs((1.0, 1e-8), (1e8, 1.0), (3.0, 4.0), (-2.0, 1e-3)),
    ),
    on=among(*_ROOTS, *_LESS, "mul"),
    needs=(*_ROOTS, *_LESS),
)  # fmt: skip
def root_less_its_side(g: Graph, a: Args) -> int | None:
    for root, side, sign in ((a[0], a[1], 1), (a[1], a[0], -1)):
        made = _less(g, root, side)
        if made is not None:
            return made if sign > 0 else g.neg(made)
    return None


@stable(
    "add",
    "x + sqrt(x**2 + s) cancels where x < 0",
    Audit(
        "x/2 + sqrt(x**2 + y)/2", "root_less_side(-x, y, r)/2",
        "x may be negative; with a number before each; r is sqrt(x**2 + y)", _CONJUGATE,
        at_pairs((-1.0, 1e-12), (-1e8, 1.0), (-2.0, 3.0), (5.0, 1.0), (-3.0, -1e-9)),
    ),
    on=among(*_ROOTS, *_LESS, "mul"),
    needs=(*_ROOTS, *_LESS),
)  # fmt: skip
def root_plus_its_side(g: Graph, a: Args) -> int | None:
    for root, side in (a, a[::-1]):
        made = _less(g, root, g.neg(side), is_sum=True)
        if made is not None:
            return made
    return None


@stable(
    "sub",
    "sqrt(1 + x**2) - x**2/sqrt(1 + x**2) cancels where x is nearly all of the root",
    Audit(
        "sqrt(1 + x**2) - x**2/sqrt(1 + x**2)", "1/hypot(x, 1)",
        "a number beside x; as derivatives of y*sqrt(1 + (x/y)**2)", "Pythagoras",
        at(1e9, 0.75, -1e8, 1e-9, 1e100),
    ),
    on=lambda ops: ops[0] == "hypot" and ops[1] == "mul",
    needs=("hypot", *_COSINES),
)  # fmt: skip
def root_less_square_over_it(g: Graph, a: Args) -> int | None:
    for x, cosine in (g.args[a[1]], g.args[a[1]][::-1]) if g.op[a[1]] == "mul" else ():
        if g.op[cosine] in _COSINES and x == g.args[cosine][0] and a[0] == g.node("hypot", *g.args[cosine]):
            y = g.args[cosine][1]
            return g.mul(y, g.node("direction_cosine", y, x)) if g.rational(y) else None
    return None


@stable(
    "sub",
    "1 - x/sqrt(x**2 + y**2) cancels where x is nearly all of the root",
    Audit(
        "1 - x/sqrt(x**2 + y**2)", "less_cosine(x, y)",
        "a side over the root, with one number before each; (x**2 - 1)/(x**2 + 1) counts", _CONJUGATE,
        at_pairs((1e8, 1.0), (3.0, 4.0), (-1e8, 1.0), (1e-9, 2.0), (1e200, 1e190)),
    ),
    on=among(*_COSINES, "double_cosine", "mul"),
    needs=("hypot", *_COSINES, "double_cosine"),
)  # fmt: skip
def one_less_cosine(g: Graph, a: Args) -> int | None:
    return _less_cosine(g, a[0], a[1], -1)


@stable(
    "add",
    "1 + x/sqrt(x**2 + y**2) cancels where -x is",
    Audit(
        "1/2 + x/(2*sqrt(x**2 + y**2))", "less_cosine(-x, y)/2", "likewise; as derivatives of smooth maxima",
        _CONJUGATE, at_pairs((-1e8, 1.0), (3.0, 4.0), (1e8, 1.0), (1e-9, 2.0), (-1e200, 1e190)),
    ),
    on=among(*_COSINES, "double_cosine", "mul"),
    needs=("hypot", *_COSINES, "double_cosine"),
)  # fmt: skip
def one_plus_cosine(g: Graph, a: Args) -> int | None:
    for one, other in (a, a[::-1]):
        made = _less_cosine(g, one, other, 1)
        if made is not None:
            return made
    return None


def _less_cosine(g: Graph, one: int, other: int, sign: int) -> int | None:
    """q + sign*c, for a number q and q or -q times a cosine c."""
    number, (times, cosine) = g.rational(one), numbered(g, other)
    if number and abs(times) == abs(number) and _is_double(g, cosine):
        x, y = g.args[cosine][:: 1 if sign * times / number > 0 else -1]
        half = g.node("direction_cosine", x, y)
        return g.mul(g.const(2 * number), g.mul(half, half))
    has_origin = g.op[cosine] == "direction_cosine" and not any(g.rational(side) for side in g.args[cosine])
    if not number or abs(times) != abs(number) or g.op[cosine] not in _COSINES or has_origin:
        return None  # the cosine that is nan at the origin stays so
    x, y = g.args[cosine]
    return g.mul(g.const(number), g.node("less_cosine", x if sign * times / number < 0 else g.neg(x), y))


def _is_double(g: Graph, cosine: int) -> bool:
    """The cosine of twice an angle, beside a number: of two sides, entries that are 0 at ties were not."""
    return g.op[cosine] == "double_cosine" and "const" in [g.op[side] for side in g.args[cosine]]


@stable(
    "square_difference",
    "x**2/(1 + x**2) - 1 cancels where x is nearly all of the root",
    Audit("x**2/(1 + x**2) - 1", "-(1/hypot(x, 1))**2", "a number beside x", "Pythagoras",
          at(1e8, 0.75, -1e8, 1e-9, 1e100)),
    on=among("direction_cosine"),
)  # fmt: skip
def cosine_squared_less_one(g: Graph, a: Args) -> int | None:
    for cosine, one, sign in ((a[0], a[1], -1), (a[1], a[0], 1)):
        if g.op[cosine] == "direction_cosine" and one == g.one:
            sine = g.node("direction_cosine", *g.args[cosine][::-1])
            if g.op[g.args[cosine][1]] != "const":
                return None  # of two sides, entries of the Hessian that are 0 at ties would not be
            return g.mul(g.const(sign), g.mul(sine, sine))
    return None


def _adds(g: Graph, side: int) -> bool:
    """Whether nothing can cancel when a side is added to a root."""
    return (g.rational(side) or 0) > 0 or is_never_negative(g, side)


def _less(g: Graph, node: int, side: int, is_sum: bool = False) -> int | None:
    """q*root - side for a number q, as q*(root - side/q)."""
    number, root = numbered(g, node)
    if g.op[root] in _LESS and number == 1:
        whole = g.args[root][2] if g.op[root] == "root_less_side" else g.node("hypot", *g.args[root])
        return _less_two(g, whole, g.args[root][0], side)
    if g.op[root] not in _ROOTS or (is_sum and _adds(g, g.neg(side))):
        return None
    if number == 1:
        return _root_less(g, root, side)
    if g.op[numbered(g, side)[1]] in _ROOTS:
        return None  # of two roots with numbers neither is the side of the other
    made = g.sub(root, g.mul(g.const(1 / number), side))
    return None if g.op[made] == "sub" else g.mul(g.const(number), made)


def _root_less(g: Graph, root: int, side: int) -> int | None:
    if g.op[side] in ("add", "sub", "neg"):
        terms = [t if sign > 0 else g.neg(t) for sign, t in terms_of(g, side)]
        made = _less_two(g, root, terms[0], terms[1]) if len(terms) == 2 else None
        if made is not None:
            return made
    return _less_one(g, root, side)


def _less_two(g: Graph, root: int, u: int, v: int) -> int | None:
    """The root less two of its sides, the larger one first: what is left of that is below the other."""
    first, second = (_less_one(g, root, x) for x in (u, v))
    if first is None or second is None:
        return None
    is_larger = g.node("lt", g.node("abs", v), g.node("abs", u))
    return g.where(is_larger, g.intern("sub", (first, v)), g.intern("sub", (second, u)))


def _less_one(g: Graph, root: int, side: int) -> int | None:
    op, either = g.op[root], (side, g.neg(side))
    if op in ("hypot", "leg"):
        x, y = g.args[root]
        if op == "hypot" and y in either:
            x, y = y, x
        return g.node(f"{op}_less_side", side, y) if x in either else None
    rest = _beside_square(g, root, side)
    if rest is None:
        return None
    far = _far_out(g, side, rest, g.node("root_less_side", side, rest, root))
    if far is None and op == "sqrt":  # one that may be infinite where the difference is not
        root = g.node("root_beside_square", g.args[side][0] if g.op[side] == "neg" else side, rest)
    return far or g.node("root_less_side", side, rest, root)


def _far_out(g: Graph, side: int, rest: int, near: int) -> int | None:
    """sqrt(x^2 + a*x + b) - x for |x| > |a + b/x| = |c|: c/(1 + sqrt(1 + c/x)), for x < 0 less that and 2*x.

    There the derivative by x is a difference that cancels, and from 1e155 on so is the value.
    """
    number, x = numbered(g, side)
    terms = [(sign, factors_of(g, term)) for sign, term in terms_of(g, rest)]
    if not any(x in factors for _, factors in terms):
        return None
    over = [(sign, quotient_of(g, *remove([x], factors)[::-1])) for sign, factors in terms]
    c = g.mul(g.const(1 / number), sum_of_signed(g, over))
    w = g.div(c, side)
    if variable_of(g, w) == w:
        share = g.mul(side, g.node("sqrt1pm1", w))
        tiny = g.mul(c, g.sub(g.const(Fraction(1, 2)), g.mul(g.const(Fraction(1, 8)), w)))
        share = g.where(g.node("lt", g.node("abs", w), g.const(_TINY)), tiny, share)
    else:
        share = g.div(c, g.add(g.one, g.node("sqrt", g.add(g.one, w))))
    made = g.where(g.node("lt", side, g.zero), g.sub(g.mul(g.const(-2), side), share), share)
    return g.where(g.node("lt", g.node("abs", c), g.node("abs", side)), made, near)


def _beside_square(g: Graph, root: int, side: int) -> int | None:
    """s of sqrt(x^2 + s) for the side x or -x."""
    inside = under_root(g, root)
    terms = [] if inside is None else terms_of(g, inside)
    for place, (sign, term) in enumerate(terms if len(terms) > 1 else ()):
        if sign > 0 and _is_square(g, term, side):
            return sum_of_signed(g, terms[:place] + terms[place + 1 :])
    return None


def _is_square(g: Graph, term: int, side: int) -> bool:
    """Whether a term is the square of a side, as it stands or multiplied out: m**2*c**4 of m*c**2."""
    if root_of_square(g, term) in (side, g.neg(side)):
        return True
    if g.op[term] not in ("mul", "div"):
        return False
    whole, root = powers_of(g, [term]), powers_of(g, [side])
    if whole is None or root is None:
        return False
    return whole == (root[0] ** 2, {x: 2 * e for x, e in root[1].items()})


@stable(
    "div",
    "(sqrt(x**2 + y**2) - y)/x is regular at x = 0, and its derivatives cancel",
    Audit(
        "(sqrt(x**2 + y**2) - y)/x", "half_tangent(x, y)", "x stands below once", "DLMF 4.21.28",
        at_pairs((1e-8, 1.0), (3.0, 4.0), (1e8, -1.0), (1e200, 3e190), (-2.0, 1e-9)), is_limit=True,
    ),
    on=among("hypot_less_side", "hypot1m1", "mul"),
    needs=("hypot_less_side", "hypot1m1"),
)  # fmt: skip
def root_less_side_over_other(g: Graph, a: Args) -> int | None:
    above = factors_of(g, a[0])
    for place, factor in enumerate(above):
        if g.op[factor] not in ("hypot_less_side", "hypot1m1"):
            continue
        side, other = g.args[factor] if g.op[factor] == "hypot_less_side" else (g.one, g.args[factor][0])
        below = factors_of(g, a[1])
        if below.count(other) == 1:  # of more there is a series
            rest, _ = remove(below, [other])
            return quotient_of(g, [*without(above, place), g.node("half_tangent", other, side)], rest)
    return None


@stable(
    "div",
    "(sqrt(x**2 + s) - x)/y, where y is a factor of s, is regular at y = 0",
    Audit(
        "(sqrt(x**2 - 4*y) - x)/(2*y)", "quadratic_root(x, -4, y)/2",
        "a factor of what is added to the square", "Goldberg 1991, section 1.4: the quadratic formula",
        at_pairs((1.0, 1e-9), (2.0, 0.75), (-2.0, 0.5), (1e5, 1.0)),
    ),
    on=lambda ops: ops[0] in ("root_less_side", *PRODUCTS),
    needs=("root_less_side",),
)  # fmt: skip
def root_less_side_over_factor(g: Graph, a: Args) -> int | None:
    above, below = factors_of(g, a[0]), factors_of(g, a[1])
    for place, factor in enumerate(above):
        if g.op[factor] != "root_less_side":
            continue
        x, s, _ = g.args[factor]
        left, rest = remove(factors_of(g, s), below)
        shared, _ = remove(factors_of(g, s), left)
        if all(g.op[f] == "const" for f in shared):
            continue
        made = g.node("quadratic_root", x, quotient_of(g, left, []), quotient_of(g, shared, []))
        return quotient_of(g, [*without(above, place), made], rest)
    return None


@stable(
    "div",
    "of 1/(x + sqrt(x**2 + s)) the derivatives by x cancel where x < 0",
    Audit(
        "1/(x + sqrt(x**2 + y))", "quadratic_root(x, 1, y)", "x may be negative; a number above",
        "Goldberg 1991, section 1.4: the quadratic formula",
        at_pairs((-1e3, 0.3), (-2.0, 3.0), (5.0, 1.0), (-3.0, 1e-9)),
    ),
    on=lambda ops: ops[0] == "const" and ops[1] in ("root_less_side", "mul", "neg"),
    needs=("root_less_side",),
)  # fmt: skip
def over_root_less_side(g: Graph, a: Args) -> int | None:
    number, difference = numbered(g, a[1])
    above = g.rational(a[0])
    if g.op[difference] != "root_less_side" or above is None:
        return None  # beside another factor powers of what this is might overflow where the product does not
    x, s, r = g.args[difference]
    infinity = g.const(float("inf"))
    is_inside = g.true
    for size in (r, g.node("abs", s)):
        for pair in ((g.zero, size), (size, infinity)):
            is_inside = g.node("and", is_inside, g.node("lt", *pair))
    root = g.node("quadratic_root", g.neg(x), g.one, g.where(is_inside, s, g.one))
    below = g.where(g.node("eq", difference, g.zero), g.zero, difference)  # where s is -0
    outside = g.div(g.one, g.where(is_inside, g.one, below))  # 1/0 and 1/inf
    return g.mul(g.const(above / number), g.where(is_inside, root, outside))
