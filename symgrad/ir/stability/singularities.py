"""Formulas of one value that are regular at a point, and lose their digits there: tanh(x)/x, x - tanh(x).

What these rules look for is cheap to see: a divisor that vanishes at 0, two terms that cancel or have poles
there (`probe.py`); elsewhere, a divisor that vanishes where it is easily said to (`zeros.py`), with something
above it that does too: log(x)/(x - 1). Whether the singularity is removable, a series says (`laurent.py`).
Of a formula with a period it is one of every turn: sin(5*x)/sin(x).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log2
from typing import TYPE_CHECKING

from symgrad.ir.rules import Args, among, rule
from symgrad.ir.series.laurent import FUNCTIONS, ROWS, is_formula_of
from symgrad.ir.series.probe import (
    ALGEBRA,
    CONSTANT,
    POINT,
    Probe,
    is_function,
    probe,
    variable_of,
)
from symgrad.ir.series.removable import IS_PART, center_of, centers_of, is_around, is_near, removable
from symgrad.ir.series.zeros import common_poles, common_zeros, tied_at, zeros_at_poles
from symgrad.ir.stability.audit import Audit, at, stable
from symgrad.ir.stability.patterns import (
    MOST_FACTORS,
    above_and_below,
    factors_of,
    in_powers_of,
    numbered,
    quotient_of,
    remove,
    root_of_square,
    sum_of_signed,
    terms_of,
    under_root,
)

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

SMALL, _LARGE = 2.0**-12, 2.0**12  # at a variable of 2^-30: what vanishes at 0, what has a pole there
CANCELS = 2.0**-20  # relative to the terms
_GROWN = 4  # from here on both terms of (log((exp(x) - 1)/x))'' are well apart
_POWERS = ("div", "pow", "sqrt")
_TIED = ("log", "xlogx")  # with a zero that is no pole of anything, and a tangent that one writes beside it
_POLES = ("div", "tan", "gamma", "digamma", "polygamma", "exp_share")  # what may have one
_LEAVES = ("const", "read", "cast", "mask", "where")


def _audit(written: str, when: str) -> Audit:
    becomes = f"removable(x, radius, series, {written})"
    source = "Taylor; Higham 2002, section 1.14"
    return Audit(written, becomes, when, source, at(0.0, 1e-300, 1e-8, -1e-3, 0.3, 1.5), is_limit=True)


# ---- quotients and products --------------------------------------------------------------------


def _may_be_regular(ops: Sequence[str]) -> bool:
    return "const" not in ops and not all(op == "read" for op in ops)


@stable(
    "div",
    "f(x)/g(x), where both are 0 at x = 0, is nan there; its derivatives cancel near 0",
    _audit(
        "tanh(x)/x", "f vanishes at 0, or at another point that is easily found, to as high an order as g"
    ),
    on=_may_be_regular,
)
def regular_quotient(g: Graph, a: Args) -> int | None:
    if IS_PART.get() or not _may_be_regular([g.op[x] for x in a]):
        return None
    above, below = remove(*([_as_written(g, f) for f in factors_of(g, x)] for x in a))
    made = _regular(g, above, below)
    return _regular_elsewhere(g, above, below) if made is None else made


@stable(
    "mul",
    "x times what has a simple pole at x = 0 is nan there",
    _audit("x*coth(x)", "the pole is of no higher order than the zero"),
    on=among(*_POLES),
)
def regular_product(g: Graph, a: Args) -> int | None:
    if IS_PART.get() or not any(g.op[x] in _POLES for x in a):
        return None
    variable = variable_of(g, a[0])
    if variable == CONSTANT or variable_of(g, a[1]) != variable:
        return None
    zero, pole = sorted(a, key=lambda x: abs(probe(g, x).value))
    small, large = (abs(probe(g, x).value) for x in (zero, pole))
    if small < SMALL < _LARGE < large and g.op[pole] in _POLES:  # no sum of large coefficients
        return removable(g, g.intern("mul", a), variable)
    centers = [c for x, y in (a, a[::-1]) for c in zeros_at_poles(g, x, y, variable)]
    return _if_regular(g, "mul", a, variable, centers)


def _as_written(g: Graph, node: int) -> int:
    """The formula that a choice, or a sum of some, stands for: (1 + x)**3 - 1 has a series, choices none."""
    if not g.written or is_function(g, node):
        return node
    made: dict[int, int] = {}
    stack, left = [node], MOST_FACTORS
    while stack and left:
        n = stack[-1]
        op, args = g.written.get(n, (g.op[n], g.args[n] if g.op[n] in ALGEBRA else ()))
        todo = [] if is_function(g, n) else [x for x in args if x not in made]
        if todo:
            stack += todo
            left -= 1
        elif stack.pop() not in made:
            now = tuple(made.get(x, x) for x in args)
            made[n] = n if (op, now) == (g.op[n], g.args[n]) or not now else g.intern(op, now)
    found = made.get(node, node)
    return found if is_function(g, found) else node


def _regular(g: Graph, above: list[int], below: list[int]) -> int | None:
    """The quotient of two products, with what is a regular formula of one variable as one factor."""
    for mine, others, is_above in ((above, below, True), (below, above, False)):
        for factor in mine:
            if not is_function(g, factor):
                continue
            value, variable = abs(probe(g, factor).value), variable_of(g, factor)
            if not value < SMALL:
                continue
            rest, extra = _with_whole(
                g,
                in_powers_of(g, variable, others),
                variable,
                round(log2(value) / log2(POINT)) if value else 0,
            )
            lists = ([*above, *extra], rest) if is_above else (rest, [*below, *extra])
            made = _grouped(g, *lists, variable)
            if made is not None:
                return made
    return None


def _with_whole(g: Graph, factors: list[int], variable: int, times: int) -> tuple[list[int], list[int]]:
    """The factors with a variable, a product or quotient, in place of its parts, and what is too much then.

    As often as the function of it vanishes: a*b*c^2 is (a*b*c)*c for a function of a*b*c.
    """
    extra: list[int] = []
    parts, below = above_and_below(g, variable)
    for _ in range(times if len(parts) > 1 or below else 0):
        missing, rest = remove(parts, factors)
        gone, _ = remove(parts, missing)
        if all(g.op[f] == "const" for f in gone):
            break
        factors, extra = [*rest, variable, *below], [*extra, *missing]
    return factors, extra


def _regular_elsewhere(g: Graph, above: list[int], below: list[int]) -> int | None:
    """The same where the variable is not 0."""
    for variable in dict.fromkeys(variable_of(g, factor) for factor in below if is_function(g, factor)):
        made = _grouped(g, above, below, variable, is_at_zero=False)
        if made is not None:
            return made
    return None


def _grouped(
    g: Graph, above: list[int], below: list[int], variable: int, is_at_zero: bool = True
) -> int | None:
    numerator, others_above = _apart(g, above, variable)
    denominator, others_below = _apart(g, below, variable)
    if is_at_zero and not any(abs(probe(g, f).value) < SMALL for f in denominator):
        return None
    centers = common_zeros(g, numerator, denominator, variable)
    if not centers and not is_at_zero:
        return None
    away = _written(g, numerator, denominator)
    made = removable(g, away, variable) if is_at_zero else away
    if made is None:
        return None
    made = _regular_around(g, made, variable, centers)
    return None if made == away else quotient_of(g, [*others_above, made], others_below)


def _apart(g: Graph, factors: list[int], variable: int) -> tuple[list[int], list[int]]:
    """Those of one variable, or of none, and the others."""
    of_it = [f for f in factors if variable_of(g, f) in (variable, CONSTANT)]
    return of_it, [f for f in factors if f not in of_it]


def _regular_around(g: Graph, away: int, variable: int, centers: Sequence[int]) -> int:
    """The formula, by series around those of these points where it is regular."""
    made = away
    for center in centers:
        around = None if is_around(g, made, center) else removable(g, made, variable, center)
        made = made if around is None else around
    return made


def _if_regular(g: Graph, op: str, a: Args, variable: int, centers: Sequence[int]) -> int | None:
    """The same for a sum or a product, None if it is regular at none of them."""
    if not centers:
        return None
    away = g.intern(op, a)
    made = _regular_around(g, away, variable, centers)
    return None if made == away else made


def _written(g: Graph, above: list[int], below: list[int]) -> int:
    value = g.one
    for f in above:
        value = f if value == g.one else g.intern("mul", (value, f))
    for f in below:
        value = g.intern("div", (value, f))
    return value


# ---- sums --------------------------------------------------------------------------------------


_OWN = FUNCTIONS.keys() - ALGEBRA  # what is more than sums and products


def _may_cancel(ops: Sequence[str]) -> bool:
    """A sign goes first: a + (-b) is a - b."""
    return "neg" not in ops and any(op in _OWN or op == "mul" for op in ops)


def has_function(g: Graph, node: int) -> bool:
    """Whether it is a function, or a product with one; large graphs are full of other sums."""
    op = g.op[node]
    if op != "mul":
        return op in _OWN
    a, b = g.args[node]
    return g.op[a] in _OWN or g.op[b] in _OWN


@stable(
    "add",
    "f(x) + g(x), where the two cancel at x = 0 or have poles there that do, loses its digits near 0",
    _audit("x + log(1 - x)", "all of one value; all but nothing is left of the two near 0"),
    on=_may_cancel,
)
def regular_sum(g: Graph, a: Args) -> int | None:
    return _regular_sum(g, a, 1)


@stable(
    "sub",
    "f(x) - g(x), where the two cancel at x = 0 or have poles there that do, loses its digits near 0",
    _audit("x - tanh(x)", "all of one value; all but nothing is left of the two near 0"),
    on=_may_cancel,
)
def regular_difference(g: Graph, a: Args) -> int | None:
    return _regular_sum(g, a, -1)


def _regular_sum(g: Graph, a: Args, sign: int) -> int | None:
    """Large graphs are full of sums: what is asked of all of them comes first, and is quick."""
    x, y = a
    first, second = g.variables[x], g.variables[y]
    is_one = first in (second, CONSTANT) or second == CONSTANT
    if not is_one and g.op[x] not in _POLES and g.op[y] not in _POLES:
        return None
    if not is_one and (written := _by_root(g, a)) is not None:
        return _regular_sum(g, written, sign)
    has_own = has_function(g, x) or has_function(g, y) or (CONSTANT in (first, second) and _has_square(g, a))
    if "neg" in (g.op[x], g.op[y]) or not (has_own or (is_one and _holds_function(g, a))):
        return None
    if not is_one:
        return _beside_poles(g, a, sign)
    variable = max(first, second)
    if variable == CONSTANT:
        return None
    op = "add" if sign > 0 else "sub"
    if not has_own:
        return _if_regular(g, op, a, variable, _ties(g, a, sign, variable))
    if cancel(probe(g, x), probe(g, y), sign):
        return removable(g, g.intern(op, a), variable)
    return _if_regular(g, op, a, variable, [*common_poles(g, a, variable), *_ties(g, a, sign, variable)])


def _by_root(g: Graph, a: Args) -> Args | None:
    """A pole 1/s beside a function of sqrt(s), as one by the root: both are of one value then."""
    for pole, other in (a, a[::-1]):
        root = variable_of(g, other)
        square = None if root == CONSTANT or g.op[pole] != "div" else under_root(g, root)
        below = [] if square is None else factors_of(g, g.args[pole][1])
        if square in below:
            by_root = [root if f == square else f for f in below] + [root] * below.count(square)
            made = _written(g, factors_of(g, g.args[pole][0]), by_root)
            return (made, other) if pole == a[0] else (other, made)
    return None


def _has_square(g: Graph, a: Args) -> bool:
    """Whether one of the two is a multiple of the square of a function, as (1 - cos(x))/x**2 is."""
    roots = (root_of_square(g, numbered(g, part)[1]) for part in a)
    return any(root is not None and g.op[root] in _OWN for root in roots)


def _holds_function(g: Graph, a: Args) -> bool:
    """Whether one of the two is a sum with a function for one of its last terms."""
    return any(g.op[part] in ("add", "sub") and any(has_function(g, t) for t in g.args[part]) for part in a)


def _ties(g: Graph, a: Args, sign: int, variable: int) -> list[int]:
    """Where nothing is left of a sum but at 0: at 1, of (x**2 - 1)/2 - log(x) and of x**2 + 2/x - 3.

    Where a logarithm is 0, or 1 for powers beside a number. Not of x - 1 - log(x): its difference is exact.
    """
    terms = [*terms_of(g, a[0]), *((s * sign, t) for s, t in terms_of(g, a[1]))]
    logs = {t: [f for f in factors_of(g, t) if g.op[f] in _TIED] for _, t in terms}
    if all(logs[t] or t == variable or g.op[t] == "const" for _, t in terms):
        return []
    points = [c for own in logs.values() for f in own for c in common_zeros(g, [f], [f], variable)]
    if not any(logs.values()) and len(terms) > 2 and any(g.op[t] in _POWERS for _, t in terms):
        points = [g.one] if any(g.op[t] == "const" for _, t in terms) else []
    return tied_at(g, terms, points, variable)


def cancel(first: Probe, second: Probe, sign: int) -> bool:
    """Whether next to nothing is left of two formulas; sums and products alone are computed as they are."""
    if first.is_algebra and second.is_algebra:
        return False
    left = abs(first.value + sign * second.value)
    return left < CANCELS * max(abs(first.value), abs(second.value))


def _beside_poles(g: Graph, a: Args, sign: int) -> int | None:
    """The same for a pole and a sum of several terms, one of which has the opposite one."""
    for pole, own, total, other in ((a[0], 1, a[1], sign), (a[1], sign, a[0], 1)):
        if g.op[pole] not in _POLES or not is_function(g, pole) or not abs(probe(g, pole).value) > _LARGE:
            continue
        terms = [(s * other, t) for s, t in terms_of(g, total)]
        for place, (s, term) in enumerate(terms):
            is_alike = variable_of(g, term) == variable_of(g, pole)
            if is_alike and cancel(probe(g, pole), probe(g, term), s * own):
                made = g.add(pole, term) if s == own else g.sub(pole, term)
                rest = sum_of_signed(g, terms[:place] + terms[place + 1 :])
                return g.add(rest, made if own > 0 else g.neg(made))
    return None


@stable(
    "log",
    "log((exp(x) - 1)/x) is infinite for x > 716, and its second derivative 1/x**2 cancels from 10 on",
    Audit(
        "log((exp(x) - 1)/x)", "x - log(x) + log1mexp(-x) for x > 4, removable(..) else",
        "log(sinh(x)/x) likewise", "Higham 2002, section 1.14", at(300.0, 1e8, -40.0, 1e-8, 2.5),
    ),
    on=among("exprel", "sinhc"),
    needs=("exprel", "sinhc"),
)  # fmt: skip
def log_of_exponential_quotient(g: Graph, a: Args) -> int | None:
    if IS_PART.get() or g.op[a[0]] not in ("exprel", "sinhc"):
        return None
    (x,) = g.args[a[0]]
    near = removable(g, g.intern("log", a), variable_of(g, a[0])) if is_function(g, a[0]) else None
    value = g.intern("log", a) if near is None else near
    for side in (x,) if g.op[a[0]] == "exprel" else (x, g.neg(x)):
        value = g.where(g.node("lt", g.const(_GROWN), side), _log_far(g, g.op[a[0]], side), value)
    return value


@stable(
    "log",
    "log(f(x)), where f is 1 at x = 0, loses its digits near 0",
    _audit("log(sin(x)/x)", "f is a formula of one value, and 1 where that is 0"),
    on=lambda ops: ops[0] not in (*_LEAVES, "exp"),
)
def log_of_nearly_one(g: Graph, a: Args) -> int | None:
    if IS_PART.get() or g.op[a[0]] in (*_LEAVES, "exp"):
        return None
    if not is_function(g, a[0]):
        return None
    found = probe(g, a[0])
    if found.is_algebra or not abs(found.value - 1) < CANCELS:
        return None
    return removable(g, g.intern("log", a), variable_of(g, a[0]))


def _log_far(g: Graph, op: str, x: int) -> int:
    """log(exprel(x)) or log(sinhc(x)) for x > 0, by the logarithm of 1 - exp(-x) or 1 - exp(-2*x)."""
    rest = g.node("log1mexp", g.neg(x) if op == "exprel" else g.mul(g.const(-2), x))
    less = g.node("log", x) if op == "exprel" else g.add(g.node("log", x), g.node("log", g.const(2)))
    return g.add(g.sub(x, less), rest)


# ---- what is made ------------------------------------------------------------------------------


def _at_constant(g: Graph, lower: int, upper: int, t: int, near: int, away: int) -> int | None:
    said = is_near(g, t, lower, upper)
    return near if said == g.true else away if said == g.node("not", g.true) else None


def _as_made_again(g: Graph, x: int, lower: int, upper: int, t: int, near: int, away: int) -> int | None:
    is_one_of_x = is_formula_of(g, away, x)
    if g.op[away] in ROWS and (not is_one_of_x or center_of(g, t, x) in centers_of(g, away)):
        return away
    if is_one_of_x:
        return None
    return g.where(is_near(g, t, lower, upper), near, away)


def _is_constant(ops: Sequence[str]) -> bool:
    return ops[0] == "const"


@rule("removable", "a known variable says which of the two it is", on=_is_constant)
def removable_at_constant(g: Graph, a: Args) -> int | None:
    return _at_constant(g, *a[1:])


@rule("radial_removable", "a known variable says which of the two it is", on=_is_constant)
def radial_removable_at_constant(g: Graph, a: Args) -> int | None:
    h, _, radius, *arms = a
    return _at_constant(g, g.neg(radius), radius, h, *arms)


_AGAIN = "a formula that is made again may be regular by itself, or one of more than x"


@rule("removable", _AGAIN)
def removable_as_made_again(g: Graph, a: Args) -> int | None:
    return _as_made_again(g, *a)


@rule("radial_removable", _AGAIN)
def radial_removable_as_made_again(g: Graph, a: Args) -> int | None:
    h, _, radius, *arms = a
    return _as_made_again(g, h, g.neg(radius), radius, h, *arms)


@rule("reduced", "exact arithmetic on constants", on=_is_constant)
def fold_reduced(g: Graph, a: Args) -> int | None:
    x, c, p = (g.rational(n) for n in a[:3])
    return None if x is None or c is None or p is None else g.const(x - c - p * round((x - c) / p))


@rule("offset", "exact arithmetic on constants", on=_is_constant)
def fold_offset(g: Graph, a: Args) -> int | None:
    x, c = g.rational(a[0]), g.rational(a[1])
    return None if x is None or c is None else g.const(x - c)
