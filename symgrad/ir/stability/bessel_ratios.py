"""Modified Bessel functions in logarithms, quotients and products with exponentials, far out.

    log(besseli(0, x)), besselk(1, x)/besselk(0, x), exp(k*cos(t))/besseli(0, k), exp(x)*besselk(0, x)

become  where(x >= X, the same of functions without their exponential (`ir.special.bessel_far`), what was
written).  All exponentials of a product are one. A quotient of functions of the same argument, orders apart
by whole numbers, is a formula of the lowest order and its slope, so that no derivative cancels.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from symgrad.ir.product import Product, product_of
from symgrad.ir.rules import Args, among
from symgrad.ir.series.probe import CONSTANT, variable_of
from symgrad.ir.series.removable import IS_PART
from symgrad.ir.special.bessel_far import KINDS, K, far
from symgrad.ir.stability.audit import Audit, at, stable
from symgrad.ir.stability.patterns import (
    MOST_FACTORS,
    conditions_of,
    numbered,
    sum_of_signed,
    terms_of,
)

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_SOURCE = "DLMF 10.25, 10.29.1, 10.40"
_NAMES = tuple(KINDS)
_ROWS = frozenset(kind.row(0) for kind in KINDS.values())
_CORE = {op: f"{op}_core" for op in KINDS}  # the same functions, which the rules below leave alone
_WHOLE = {core: op for op, core in _CORE.items()}
_FUNCTIONS = (*_CORE, *_WHOLE)
_STARTS = frozenset(kind.start for kind in KINDS.values())
_FURTHEST = 4  # orders apart
_PRODUCTS = ("mul", "div", "neg")


class _Choice(NamedTuple):
    """where(condition, far, near), as made here."""

    condition: int
    far: int
    near: int


def _choice_of(g: Graph, node: int) -> _Choice | None:
    """Known by its condition: X <= x for the X above, and x < infinity, and nothing else."""
    if g.op[node] != "where" or _ROWS.isdisjoint(g.present):
        return None
    condition, first, second = g.args[node]
    infinity = g.const(float("inf"))
    for part in conditions_of(g, condition):
        is_start = g.op[part] == "le" and g.rational(g.args[part][0]) in _STARTS
        if not is_start and not (g.op[part] == "lt" and g.args[part][1] == infinity):
            return None
    return _Choice(condition, first, second)


def _arguments(g: Graph, condition: int) -> list[int]:
    """The x of such a condition."""
    return [g.args[part][1] for part in conditions_of(g, condition) if g.op[part] == "le"]


def _renamed(g: Graph, node: int, names: dict[str, str], raw: bool = False) -> int:
    """The product with other names of its functions; `raw`: without any rule."""
    op, args = g.op[node], g.args[node]
    if op in names:
        return g.intern(names[op], args)
    if op not in _PRODUCTS:
        return node
    inside = tuple(_renamed(g, x, names, raw) for x in args)
    return node if inside == args else g.intern(op, inside) if raw else g.node(op, *inside)


# ---- products ------------------------------------------------------------------------------------


def _has_function(g: Graph, a: Args) -> bool:
    """Whether one of the functions is a factor, at the first look; most products have none."""
    stack = list(a)
    for _ in range(2 * MOST_FACTORS):
        if not stack:
            return False
        n = stack.pop()
        op = g.op[n]
        if op in KINDS or op in _WHOLE:
            return True
        if op in _PRODUCTS:
            stack += g.args[n]
        elif op == "where":
            stack.append(g.args[n][2])
    return False


def _parts(g: Graph, op: str, a: Args) -> tuple[Product, list[int]] | None:
    """The factors of the product as it was written, and the choices among them."""
    if not _has_function(g, a):
        return None
    choices = list[int]()

    def inside(node: int, is_above: bool) -> list[tuple[int, bool]] | None:
        choice = _choice_of(g, node)
        if choice is None or g.op[choice.near] not in _PRODUCTS:
            return None
        choices.append(node)
        return [(_renamed(g, choice.near, _WHOLE, raw=True), is_above)]

    parts = product_of(g, g.intern(op, a), MOST_FACTORS, inside=inside)
    return None if parts is None else (parts, choices)


def _exponents(g: Graph, parts: Product) -> int:
    """The sum of all exponents, those of the functions' own exponentials, too; what cancels is left out."""
    total = dict[int, Fraction]()
    for factors, sign in ((parts.above, 1), (parts.below, -1)):
        for f in factors:
            op, args = g.op[f], g.args[f]
            if op in KINDS or op == "exp":
                up = sign if op == "exp" else -sign * KINDS[op].sign
                for side, term in terms_of(g, args[-1]):
                    number, x = numbered(g, term)
                    total[x] = total.get(x, Fraction(0)) + up * side * number
    return g.sum_of(g.mul(g.const(number), x) for x, number in total.items() if number)


def _condition(g: Graph, functions: Sequence[int]) -> int:
    condition = g.true
    for f in dict.fromkeys(functions):
        x, start = g.args[f][1], g.const(KINDS[g.op[f]].start)
        is_far = g.node("and", g.node("le", start, x), g.node("lt", x, g.const(float("inf"))))
        condition = g.node("and", condition, is_far)
    return condition


def _functions(g: Graph, parts: Product) -> list[int]:
    return [f for f in (*parts.above, *parts.below) if g.op[f] in KINDS]


def _scaled(g: Graph, parts: Product) -> int:
    """The product of all that is no exponential, of functions without theirs."""
    above = [f for f in parts.above if g.op[f] != "exp"]
    below = [f for f in parts.below if g.op[f] != "exp"]
    value = g.const(parts.number)
    bases = _bases(g, above, below)
    powers = dict[int, int]()
    for side, sign in ((above, 1), (below, -1)):
        for f in side:
            if g.op[f] not in KINDS:
                value = g.mul(value, f) if sign > 0 else g.div(value, f)
                continue
            base, step = bases.get(f, (f, 0))
            powers[base] = powers.get(base, 0) + sign
            if step:
                rise = _rise(g, base, step)
                value = g.mul(value, rise) if sign > 0 else g.div(value, rise)
    for base, count in powers.items():
        function = far(g, KINDS[g.op[base]], *g.args[base])
        for _ in range(abs(count)):
            value = g.mul(value, function) if count > 0 else g.div(value, function)
    return value


def _bases(g: Graph, above: Sequence[int], below: Sequence[int]) -> dict[int, tuple[int, int]]:
    """For functions in quotients of such: the one of the lowest order, and how many orders it is below."""
    found = dict[int, tuple[int, int]]()
    upper, lower = ([f for f in side if g.op[f] in KINDS] for side in (above, below))
    for f in dict.fromkeys((*upper, *lower)):
        kin = [h for h in dict.fromkeys((*upper, *lower)) if _steps(g, f, h) is not None]
        if any(h in upper for h in kin) and any(h in lower for h in kin):
            base = min(kin, key=lambda h: _order(g, h) or 0)
            found[f] = base, _steps(g, base, f) or 0
    return found


def _order(g: Graph, f: int) -> int | None:
    """Four times the order, of a quarter that is neither negative nor large; of a whole one its modulus."""
    q = g.rational(g.args[f][0])
    if q is None:
        return None
    q = abs(q) if g.op[f] == K.op or q.denominator == 1 else q
    return int(4 * q) if 0 <= q <= _FURTHEST + 1 and (4 * q).denominator == 1 else None


def _steps(g: Graph, f: int, h: int) -> int | None:
    """By how many orders h is above f, if it is the same function of the same argument."""
    if g.op[f] != g.op[h] or g.args[f][1] != g.args[h][1]:
        return None
    first, second = _order(g, f), _order(g, h)
    apart = None if first is None or second is None else second - first
    return None if apart is None or apart % 4 or abs(apart) > 4 * _FURTHEST else apart // 4


def _rise(g: Graph, base: int, steps: int) -> int:
    """The function some orders above, divided by it: by its slope, and by recurrence (DLMF 10.29)."""
    kind, (order, x) = KINDS[g.op[base]], g.args[base]
    q = abs(g.rational(order) or Fraction(0))
    slope = g.div(far(g, kind, order, x, 1), far(g, kind, order, x))
    below, value = g.one, g.one
    for n in range(steps):
        twice = g.div(g.const(2 * (q + n)), x)
        if n == 0:
            half = g.div(g.const(q), x)
            above = g.add(g.add(g.one, half), slope) if kind is K else g.sub(g.sub(g.one, half), slope)
        else:
            above = g.add(below, g.mul(twice, value)) if kind is K else g.sub(below, g.mul(twice, value))
        below, value = value, above
    return value


def _far_product(g: Graph, parts: Product) -> int:
    """The exponential in two factors: it may be out of range where the product is not."""
    exponent = _exponents(g, parts)
    value = _scaled(g, parts)
    if exponent == g.zero:
        return value
    root = g.node("exp", g.mul(g.const(Fraction(1, 2)), exponent))
    return g.intern("mul", (g.intern("mul", (value, root)), root))


def _gains(g: Graph, parts: Product) -> bool:
    """Whether exponentials meet: one that is written, or two of functions that grow and decay."""
    signs = {
        sign * KINDS[g.op[f]].sign
        for side, sign in ((parts.above, 1), (parts.below, -1))
        for f in side
        if g.op[f] in KINDS
    }
    is_written = any(g.op[f] == "exp" for f in (*parts.above, *parts.below))
    return len(signs) == 2 or (is_written and bool(signs))


def _product(g: Graph, op: str, a: Args) -> int | None:
    if IS_PART.get():
        return None
    found = _parts(g, op, a)
    if found is None:
        return None
    parts, choices = found
    functions = _functions(g, parts)
    if not functions or not (choices or _gains(g, parts)):
        return None
    if len(choices) == 1 and not _belongs(g, parts, functions, _choice_of(g, choices[0])):
        return None
    choices_or_not = [(x, _choice_of(g, x)) for x in a]
    near = [_renamed(g, x, _CORE) if choice is None else choice.near for x, choice in choices_or_not]
    if tuple(near) == tuple(a):  # nothing but what is left alone: this is the near arm of a choice
        return None
    return g.where(_condition(g, functions), _far_product(g, parts), g.node(op, *near))


def _belongs(g: Graph, parts: Product, functions: Sequence[int], choice: _Choice | None) -> bool:
    """Whether what stands beside the one choice there is shares its argument, or has an exponential."""
    near = None if choice is None else _renamed(g, choice.near, _WHOLE, raw=True)
    known = None if near is None else product_of(g, near, MOST_FACTORS)
    inside = set() if known is None else {*known.above, *known.below}
    new = [f for f in (*parts.above, *parts.below) if f not in inside]
    of = {variable_of(g, g.args[f][1]) for f in functions}
    return any(g.op[f] == "exp" or f in functions or variable_of(g, f) in of for f in new)


@stable(
    "div",
    "besselk(1, x) and besselk(0, x) underflow for x > 705, besseli(0, x) overflows; their quotients do not",
    Audit("besseli(1, x)/besseli(0, x)", "1 - besseli_far_1(0, x)/besseli_far(0, x) far out",
          "exponentials and modified Bessel functions that grow and decay", _SOURCE,
          at(0.5, 50.0, 800.0), digits=400),
    needs=_FUNCTIONS,
)  # fmt: skip
def quotient_of_bessel(g: Graph, a: Args) -> int | None:
    return _product(g, "div", a)


@stable(
    "mul",
    "exp(-x) underflows and besseli(0, x) overflows where their product is 1/sqrt(2*pi*x)",
    Audit("exp(-x)*besseli(0, x)", "besseli_far(0, x) far out",
          "exponentials and modified Bessel functions that grow and decay", _SOURCE,
          at(0.5, 50.0, 800.0), digits=400),
    needs=_FUNCTIONS,
)  # fmt: skip
def product_of_bessel(g: Graph, a: Args) -> int | None:
    return _product(g, "mul", a)


# ---- logarithms and sums -------------------------------------------------------------------------


@stable(
    "log",
    "besselk(1, x) underflows for x > 705, besseli(0, x) overflows for x > 713, before their logarithms",
    Audit("log(besseli(0, x))", "x + log(besseli_far(0, x)) far out", "also of products", _SOURCE,
          at(0.5, 50.0, 800.0), digits=400),
    on=among(*_NAMES, *_PRODUCTS, "where"),
    needs=_FUNCTIONS,
)  # fmt: skip
def log_of_bessel(g: Graph, a: Args) -> int | None:
    if IS_PART.get():
        return None
    choice = _choice_of(g, a[0])
    node = a[0] if choice is None else _renamed(g, choice.near, _WHOLE, raw=True)
    if choice is None and g.op[node] not in (*_NAMES, *_PRODUCTS):
        return None
    parts = product_of(g, node, MOST_FACTORS)
    functions = [] if parts is None else _functions(g, parts)
    if parts is None or not functions:
        return None
    far_out = g.add(_exponents(g, parts), g.node("log", _scaled(g, parts)))
    return g.where(_condition(g, functions), far_out, g.node("log", _renamed(g, node, _CORE)))


def _beside(g: Graph, op: str, a: Args) -> int | None:
    """The sum of a choice and a number, or a term of the same argument, in both of its cases."""
    if IS_PART.get():
        return None
    first, second = (_choice_of(g, x) for x in a)
    choice = first if second is None else second
    if choice is None or (first is not None and second is not None and first.condition != second.condition):
        return None
    if first is None or second is None:
        other = a[0] if first is None else a[1]
        arguments = {variable_of(g, x) for x in _arguments(g, choice.condition)}
        if variable_of(g, other) not in {CONSTANT, *arguments}:
            return None
        if len(terms_of(g, other)) > 1:
            return None
    far_out, near = (
        tuple(x if c is None else c[k] for x, c in zip(a, (first, second), strict=True)) for k in (1, 2)
    )
    return g.where(choice.condition, _reduced_sum(g, op, far_out), g.node(op, *near))


def _reduced_sum(g: Graph, op: str, a: Args) -> int:
    """The sum without the terms that stand in it twice, with opposite signs; numbers added up."""
    first = terms_of(g, a[0])
    second = [(sign if op == "add" else -sign, term) for sign, term in terms_of(g, a[1])]
    number, others = Fraction(0), dict[int, int]()
    for sign, term in (*first, *second):
        q = g.rational(term)
        if q is None:
            others[term] = others.get(term, 0) + sign
        else:
            number += sign * q
    terms = [(1 if count > 0 else -1, term) for term, count in others.items() for _ in range(abs(count))]
    terms = ([(1, g.const(number))] if number else []) + terms
    if len(terms) < 2:
        return sum_of_signed(g, terms)
    total = terms[0][1] if terms[0][0] > 0 else g.neg(terms[0][1])
    for sign, term in terms[1:]:  # without rules: nothing far out is singular
        total = g.intern("add", g.ordered(total, term)) if sign > 0 else g.intern("sub", (total, term))
    return total


@stable(
    "sub",
    "log(besseli(0, x)) - x and 1 - besseli(1, x)/besseli(0, x) cancel far out",
    Audit("x - log(besseli(0, x))", "-log(besseli_far(0, x)) far out",
          "a number, or a term of the same argument", _SOURCE, at(0.5, 50.0, 800.0), digits=400),
    on=among("where"),
    needs=_ROWS,
)  # fmt: skip
def difference_with_bessel(g: Graph, a: Args) -> int | None:
    return _beside(g, "sub", a)


@stable(
    "add",
    "x + log(besselk(0, x)) cancels far out",
    Audit("-1 + besseli(1, x)/besseli(0, x)", "-besseli_far_1(0, x)/besseli_far(0, x) far out",
          "a number, or a term of the same argument", _SOURCE, at(0.5, 50.0, 800.0), digits=400),
    on=among("where"),
    needs=_ROWS,
)  # fmt: skip
def sum_with_bessel(g: Graph, a: Args) -> int | None:
    return _beside(g, "add", a)
