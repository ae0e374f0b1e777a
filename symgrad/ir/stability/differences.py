"""Differences that cancel, and sums of squares that overflow."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.rules import Args, among
from symgrad.ir.stability.audit import Audit, at, at_pairs, stable
from symgrad.ir.stability.patterns import (
    argument_of,
    beside_one,
    one_minus_square,
    remove,
    root_of_square,
    sum_of_signed,
    terms_of,
    under_root,
)

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_HALF_ANGLE = "the half-angle formula; Kahan 1965"
_CONJUGATE = "Higham 2002, section 1.8"


def _with_one(g: Graph, a: Args, op: str) -> tuple[int, int] | None:
    """(x, sign) if a difference is sign*(1 - op(x))."""
    for one, other, sign in ((a[0], a[1], 1), (a[1], a[0], -1)):
        x = argument_of(g, op, other)
        if x is not None and one == g.one:
            return x, sign
    return None


def _twice_square_of_half(g: Graph, op: str, x: int, sign: int) -> int:
    half = g.node(op, g.mul(g.const(Fraction(1, 2)), x))
    return g.mul(g.const(2 * sign), g.mul(half, half))


@stable(
    "sub",
    "1 - cos(x) cancels near 0",
    Audit(
        "1 - cos(x)", "2*sin(x/2)**2", "always; cos(x) - 1 counts", _HALF_ANGLE, at(1e-8, 1e-3, 3.0, 1e300)
    ),
    on=among("cos"),
)
def one_minus_cos(g: Graph, a: Args) -> int | None:
    found = _with_one(g, a, "cos")
    return None if found is None else _twice_square_of_half(g, "sin", *found)


@stable(
    "add",
    "cos(x) - 1 cancels near 0",
    Audit("cos(x) - 1", "-2*sin(x/2)**2", "always", _HALF_ANGLE, at(1e-8, 1e-3, 3.0)),
    on=among("cos"),
)
def cos_plus_minus_one(g: Graph, a: Args) -> int | None:
    for one, other in (a, a[::-1]) if g.minus_one in a else ():
        x = argument_of(g, "cos", other)
        if x is not None and one == g.minus_one:
            return _twice_square_of_half(g, "sin", x, -1)
    return None


@stable(
    "sub",
    "cosh(x) - 1 cancels near 0",
    Audit(
        "1 - cosh(x)",
        "-2*sinh(x/2)**2",
        "always; cosh(x) - 1 counts",
        _HALF_ANGLE,
        at(1e-8, 1e-3, 3.0, 300.0),
    ),
    on=among("cosh"),
)
def one_minus_cosh(g: Graph, a: Args) -> int | None:
    found = _with_one(g, a, "cosh")
    return None if found is None else _twice_square_of_half(g, "sinh", found[0], -found[1])


@stable(
    "add",
    "cosh(x) - 1 cancels near 0",
    Audit("cosh(x) - 1", "2*sinh(x/2)**2", "always", _HALF_ANGLE, at(1e-8, 1e-3, 3.0, 300.0)),
    on=among("cosh"),
)
def cosh_plus_minus_one(g: Graph, a: Args) -> int | None:
    for one, other in (a, a[::-1]):
        x = argument_of(g, "cosh", other)
        if x is not None and one == g.minus_one:
            return _twice_square_of_half(g, "sinh", x, 1)
    return None


_TWO_SUMS = {"add", "sub"}


def _are_sums(ops: Sequence[str]) -> bool:
    return _TWO_SUMS.issuperset(ops)


@stable(
    "sub",
    "both sums are rounded before what they share cancels",
    Audit(
        "exp(v[0] - v[1])/Sum(exp(v[i] - v[1]), (i, 0, n - 1))", "exp(v[0] - logsumexp(v))",
        "two sums of a few terms with one in common", "Higham 2002, section 1.7",
        ({"v": (40.0, 0.0, 1.0)}, {"v": (1000.5, -3.0, 1000.0)}, {"v": (0.5, 1.0, -2.0)}),
    ),
    on=_are_sums,
)  # fmt: skip
def difference_of_shifted(g: Graph, a: Args) -> int | None:
    return _without_opposites(g, a, -1)


@stable(
    "sub",
    "(x + y) - y loses the digits of x that y has not; so terms of second derivatives come",
    Audit("sqrt(1 + x**2)*atan(x)", "of derivatives: x", "one of two terms", "Higham 2002, section 1.7",
          at(1e9, 0.75, -1e4, 1e-9)),
    on=lambda ops: ops[0] == "add",
)  # fmt: skip
def sum_less_its_term(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] != "add" or a[1] not in g.args[a[0]]:
        return None
    first, second = g.args[a[0]]
    return int(second if first == a[1] else first)


@stable(
    "add",
    "the same where a term of one is that of the other with the other sign",
    Audit(
        "(x - y)*(x + y)", "by x: 2*x", "two sums of a few terms, with opposite ones",
        "Higham 2002, section 1.7", at_pairs((1e-9, 1.0), (1.0, -1e-9), (3e-12, 0.7), (3.0, 2.0)),
    ),
    on=_are_sums,
)  # fmt: skip
def sum_with_opposite_terms(g: Graph, a: Args) -> int | None:
    return _without_opposites(g, a, 1)


def _without_opposites(g: Graph, a: Args, sign: int) -> int | None:
    if not _are_sums([g.op[part] for part in a]):
        return None
    first, second = _with_positive_numbers(g, a[0], 1), _with_positive_numbers(g, a[1], -sign)
    left, rest = remove(first, second)
    if len(left) == len(first):
        return None
    return g.sub(sum_of_signed(g, left), sum_of_signed(g, rest))


@stable(
    "add",
    "(log(x) + 1) - 1, as derivatives have it, rounds log(x) where that is small",
    Audit("x*log(x) - x", "by x: log(x)", "a number beside a sum with the opposite one",
          "Higham 2002, section 1.7", at(1 + 1e-9, 0.5, 1e10)),
    on=lambda ops: "const" in ops and not _TWO_SUMS.isdisjoint(ops),
)  # fmt: skip
def sum_less_its_number(g: Graph, a: Args) -> int | None:
    number, total = a if g.op[a[0]] == "const" else a[::-1]
    q = g.rational(number)
    if not q or g.op[total] not in _TWO_SUMS:
        return None
    x, y = g.args[total]
    if g.rational(x) == -q:
        return y if g.op[total] == "add" else g.neg(y)
    return x if g.rational(y) == (-q if g.op[total] == "add" else q) else None


def _with_positive_numbers(g: Graph, node: int, sign: int) -> list[tuple[int, int]]:
    terms = [(sign * s, term) for s, term in terms_of(g, node)]
    return [(-s, g.neg(t)) if (g.rational(t) or 0) < 0 else (s, t) for s, t in terms]


@stable(
    "sub",
    "1 - cos(x)**2 cancels near 0, and 1 - sin(x)**2 where sin(x) is near 1",
    Audit("1 - cos(x)**2", "sin(x)**2", "always; with sin and cos exchanged too", "Pythagoras",
          at(1e-8, 1e-3, 3.0)),
    on=among("const"),
)  # fmt: skip
def one_minus_square_of_sine(g: Graph, a: Args) -> int | None:
    for one, other, sign in ((a[0], a[1], 1), (a[1], a[0], -1)):
        if one != g.one or g.op[other] != "mul" or g.args[other][0] != g.args[other][1]:
            continue
        inner = g.args[other][0]
        complement = {"cos": "sin", "sin": "cos"}.get(g.op[inner])
        if complement is not None:
            made = g.node(complement, g.args[inner][0])
            square = g.mul(made, made)
            return square if sign > 0 else g.neg(square)
    return None


# ---- roots -------------------------------------------------------------------------------------


@stable(
    "sub",
    "sqrt(1 + x) - 1 cancels near 0",
    Audit("1 - sqrt(1 + x)", "-sqrt1pm1(x)", "always", _CONJUGATE, at(1e-12, -1e-5, 3.0, 1e300)),
    on=among("sqrt", "norm"),
)
def root_minus_one(g: Graph, a: Args) -> int | None:
    for one, other, sign in ((a[0], a[1], -1), (a[1], a[0], 1)):
        inside = under_root(g, other)
        if inside is not None and one == g.one:
            return _root_minus_one(g, inside, sign)
    return None


@stable(
    "add",
    "sqrt(1 - x**2) - 1 cancels near 0",
    Audit("sqrt(1 - x**2) - 1", "-x*x/(1 + sqrt((1 - x)*(1 + x)))", "always; 1 + x counts", _CONJUGATE,
          at(1e-6, 0.5, 1 - 2.0**-40)),
    on=among("sqrt", "norm"),
)  # fmt: skip
def root_plus_minus_one(g: Graph, a: Args) -> int | None:
    for one, other in (a, a[::-1]):
        inside = under_root(g, other)
        if inside is not None and one == g.minus_one:
            return _root_minus_one(g, inside, 1)
    return None


def _root_minus_one(g: Graph, inside: int, sign: int) -> int | None:
    x, rest = one_minus_square(g, inside), beside_one(g, inside)
    if x is not None:  # (1 - x)*(1 + x) has digits near |x| = 1 that 1 - x*x has not
        made = g.neg(g.div(g.mul(x, x), g.add(g.one, g.node("sqrt", inside))))
    elif rest is not None:
        made = g.node("sqrt1pm1", rest)
    else:
        return None
    return made if sign > 0 else g.neg(made)


@stable(
    "sub",
    "sqrt(1 + x**2) - 1 cancels near 0, and 1 + x**2 overflows",
    Audit("1 - sqrt(1 + x**2)", "-hypot1m1(x)", "always", _CONJUGATE,
          at(1e-6, 0.5, 3.0, 1e200)),
    on=among("hypot"),
)  # fmt: skip
def one_minus_hypot(g: Graph, a: Args) -> int | None:
    for one, other, sign in ((a[1], a[0], 1), (a[0], a[1], -1)):
        if g.op[other] == "hypot" and one == g.one and g.one in g.args[other]:
            return _hypot_minus_one(g, other, sign)
    return None


@stable(
    "add",
    "sqrt(1 + x**2) - 1 cancels near 0, and 1 + x**2 overflows",
    Audit("sqrt(1 + x**2) - 1", "hypot1m1(x)", "always", _CONJUGATE,
          at(1e-6, 0.5, 3.0, 1e200)),
    on=among("hypot"),
)  # fmt: skip
def hypot_plus_minus_one(g: Graph, a: Args) -> int | None:
    for one, other in (a, a[::-1]):
        if g.op[other] == "hypot" and one == g.minus_one and g.one in g.args[other]:
            return _hypot_minus_one(g, other, 1)
    return None


def _hypot_minus_one(g: Graph, hypot: int, sign: int) -> int:
    x = g.args[hypot][1] if g.args[hypot][0] == g.one else g.args[hypot][0]
    made = g.node("hypot1m1", x)
    return made if sign > 0 else g.neg(made)


def _are_roots(ops: Sequence[str]) -> bool:
    return all(op in ("sqrt", "norm", "hypot", "leg") for op in ops)


@stable(
    "sub",
    "sqrt(x + 1) - sqrt(x) cancels for large x",
    Audit(
        "sqrt(x + 1) - sqrt(x)", "1/(sqrt(x + 1) + sqrt(x))",
        "what is under the roots differs by a number; of sums of two squares, too",
        _CONJUGATE, at(1e10, 1e300, 1e-5),
    ),
    on=_are_roots,
)  # fmt: skip
def difference_of_roots(g: Graph, a: Args) -> int | None:
    if not _are_roots([g.op[root] for root in a]):
        return None
    left, right = remove(_terms_under(g, a[0]), second := _terms_under(g, a[1]))
    if len(right) == len(second):
        return None
    above = g.sub(sum_of_signed(g, left), sum_of_signed(g, right))
    return None if g.rational(above) is None else g.div(above, g.add(*a))


def _terms_under(g: Graph, root: int) -> list[tuple[int, int]]:
    """The terms of what is under a root, also of two sides: their squares may overflow where it does not."""
    if g.op[root] in ("hypot", "leg"):
        x, y = g.args[root]
        return [(1, g.mul(x, x)), (1 if g.op[root] == "hypot" else -1, g.mul(y, y))]
    inside = under_root(g, root)
    return [] if inside is None else terms_of(g, inside)


@stable(
    "sqrt",
    "x**2 + y**2 overflows and underflows before its root does",
    Audit(
        "sqrt(x**2 + y**2)", "hypot(x, y)", "two squares; 1 + x**2 counts", "Moler & Morrison 1983",
        at_pairs((3e200, 4e200), (3e-200, 4e-200), (3.0, 4.0), (1.0, 1e-8)),
    ),
    on=among("add"),
)  # fmt: skip
def root_of_two_squares_to_hypot(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] != "add":
        return None
    x, y = (root_of_square(g, part) for part in g.args[a[0]])
    return None if x is None or y is None else g.node("hypot", x, y)
