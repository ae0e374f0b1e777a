"""Exact rewrites applied whenever a node is made: same value, fewer operations.

Each rule is data: a name, the op it looks at, the reason, and a function that returns the
replacement or None. Every rule strictly simplifies (fewer operations, or a fixed orientation), so
applying them cannot loop. None changes a finite value by more than the rounding it removes, and
none makes a nan. One removes nans and infinities: a constant 0 annihilates (`mul_zero`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Args = tuple[int, ...]
_MAX_BITS = 4096  # larger exact rationals are left for the machine to round


# The form of a node is its op, and says of a number and a product what many rules ask first.
ZERO, ONE, MINUS_ONE, MULTIPLE, SQUARE, POWER = "0", "1", "-1", "number*", "square", "power"
UNITS = (ONE, MINUS_ONE)
_OF_NUMBERS: dict[tuple[object, ...], str] = {("q", 0, 1): ZERO, ("q", 1, 1): ONE, ("q", -1, 1): MINUS_ONE}
_OPS = {ZERO: "const", ONE: "const", MINUS_ONE: "const", MULTIPLE: "mul", SQUARE: "mul", POWER: "mul"}


def form_of_number(args: tuple[object, ...]) -> str:
    """The form of a constant."""
    return _OF_NUMBERS.get(args, "const")


def always(ops: Sequence[str]) -> bool:
    """Whatever the arguments are."""
    return True


@dataclass(frozen=True)
class Rule:
    """One rewrite of `op`; `apply(graph, args)` gives the new node or None.

    stage  "exact", or "stable": equal in exact arithmetic and more accurate in floating point
           (`ir.stability`; off with `stabilise=False`).
    on     whether it can fire on arguments with these ops; asked once for every combination.
    of     the same of arguments of these forms. With both, most rules are never tried: the look-up of those
           that may fire is all that a node costs.
    needs  ops, and kinds of tensors, of which it cannot fire without one below its arguments; none if empty.
    """

    name: str
    op: str
    why: str
    apply: Callable[[Graph, Args], int | None]
    stage: str = "exact"
    on: Callable[[Sequence[str]], bool] = always
    needs: frozenset[str] = frozenset()
    of: Callable[[Sequence[str]], bool] = always


def among(*wanted: str) -> Callable[[Sequence[str]], bool]:
    """Some argument is one of these ops."""
    return lambda ops: any(op in wanted for op in ops)


def all_among(*wanted: str) -> Callable[[Sequence[str]], bool]:
    """All arguments are some of these ops."""
    return lambda ops: all(op in wanted for op in ops)


def equal(ops: Sequence[str]) -> bool:
    """The arguments are the same op."""
    return len(set(ops)) == 1


def exactly(*wanted: str) -> Callable[[Sequence[str]], bool]:
    """The arguments are these ops, in any order."""
    return lambda ops: sorted(ops) == sorted(wanted)


TABLE: dict[str, list[Rule]] = {}
_SELECTED: dict[tuple[bool, tuple[str, ...]], tuple[Rule, ...]] = {}  # what `select` said of all graphs


def rule(
    op: str,
    why: str,
    stage: str = "exact",
    on: Callable[[Sequence[str]], bool] = always,
    needs: Iterable[str] = (),
    of: Callable[[Sequence[str]], bool] = always,
) -> Callable[[Callable[[Graph, Args], int | None]], Rule]:
    """Register the decorated function as the next rule of `op` (stable rules go first)."""

    def register(function: Callable[[Graph, Args], int | None]) -> Rule:
        new = Rule(function.__name__.lstrip("_"), op, why, function, stage, on, frozenset(needs), of)
        rules = TABLE.setdefault(op, [])
        rules.insert(sum(r.stage == "stable" for r in rules) if stage == "stable" else len(rules), new)
        _SELECTED.clear()
        return new

    return register


def select(
    stabilise: bool, forms: tuple[str, ...], present: Collection[str] | None = None
) -> tuple[Rule, ...]:
    """The rules of the op `forms[0]` that may fire on arguments of the forms `forms[1:]`, in order.

    present  the ops and kinds of tensors that a graph has; None for all there are.
    """
    found = _SELECTED.get((stabilise, forms))
    if found is None:
        op, *of = forms
        ops = [_OPS.get(form, form) for form in of]
        candidates = (r for r in TABLE.get(op, ()) if stabilise or r.stage == "exact")
        found = _SELECTED[stabilise, forms] = tuple(r for r in candidates if r.on(ops) and r.of(of))
    if present is None:
        return found
    return tuple(r for r in found if not r.needs or not r.needs.isdisjoint(present))


def is_small(q: int | Fraction) -> bool:
    """Whether a number has few enough digits to be kept as a constant."""
    return q.numerator.bit_length() + q.denominator.bit_length() < _MAX_BITS


def _fold(g: Graph, args: Args, combine: Callable[[Fraction, Fraction], Fraction]) -> int | None:
    a, b = g.rational(args[0]), g.rational(args[1])
    if a is None or b is None:
        return None
    q = combine(a, b)
    return g.const(q) if is_small(q) else None


def _reordered(g: Graph, op: str, a: Args) -> int | None:
    return None if g.is_ordered(*a) else g.intern(op, a[::-1])


# ---- addition ----------------------------------------------------------------------------------


@rule("add", "exact arithmetic on constants", on=exactly("const", "const"))
def fold_add(g: Graph, a: Args) -> int | None:
    return _fold(g, a, lambda x, y: x + y)


@rule("add", "x + 0 is x", of=among(ZERO))
def add_zero(g: Graph, a: Args) -> int | None:
    if a[0] == g.zero:
        return a[1]
    return a[0] if a[1] == g.zero else None


@rule("add", "x + (-y) is x - y: one operation less", on=among("neg"))
def add_neg_to_sub(g: Graph, a: Args) -> int | None:
    if g.op[a[1]] == "neg":
        return g.sub(a[0], g.args[a[1]][0])
    if g.op[a[0]] == "neg":
        return g.sub(a[1], g.args[a[0]][0])
    return None


@rule("add", "masks with one predicate are one mask", on=among("mask"))
def add_equal_masks(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] == "mask" == g.op[a[1]] and g.args[a[0]][0] == g.args[a[1]][0]:
        return g.mask(g.args[a[0]][0], g.add(g.args[a[0]][1], g.args[a[1]][1]))
    return None


@rule("add", "x + x is 2*x, exactly", on=equal)
def add_same_to_double(g: Graph, a: Args) -> int | None:
    return g.mul(g.const(2), a[0]) if a[0] == a[1] else None


@rule("sub", "exact arithmetic on constants", on=exactly("const", "const"))
def fold_sub(g: Graph, a: Args) -> int | None:
    return _fold(g, a, lambda x, y: x - y)


@rule("sub", "x - 0 is x, 0 - x is -x", of=among(ZERO))
def sub_zero(g: Graph, a: Args) -> int | None:
    if a[1] == g.zero:
        return a[0]
    return g.neg(a[1]) if a[0] == g.zero else None


@rule("sub", "x - (-y) is x + y", on=among("neg"))
def sub_neg_to_add(g: Graph, a: Args) -> int | None:
    return g.add(a[0], g.args[a[1]][0]) if g.op[a[1]] == "neg" else None


@rule("sub", "(-x) - y is -(x + y): the sign moves outwards", on=among("neg"))
def sub_of_neg(g: Graph, a: Args) -> int | None:
    return g.neg(g.add(g.args[a[0]][0], a[1])) if g.op[a[0]] == "neg" else None


@rule("neg", "exact arithmetic on constants", on=among("const"))
def fold_neg(g: Graph, a: Args) -> int | None:
    q = g.rational(a[0])
    return None if q is None else g.const(-q)


@rule("neg", "-(-x) is x, -(x - y) is y - x", on=among("neg", "sub"))
def neg_neg(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] == "neg":
        return int(g.args[a[0]][0])
    if g.op[a[0]] == "sub":
        x, y = g.args[a[0]]
        return g.intern("sub", (y, x))
    return None


@rule("neg", "-(c*x) is (-c)*x", of=among(MULTIPLE))
def neg_into_constant(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] != "mul":
        return None
    c, x = g.args[a[0]]
    q = g.rational(c) if g.op[c] == "const" else None
    return None if q is None else g.mul(g.const(-q), x)


@rule("neg", "a mask holds the sign inside", on=among("mask"))
def neg_into_mask(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] != "mask":
        return None
    p, x = g.args[a[0]]
    return g.mask(p, g.neg(x))


# ---- multiplication ----------------------------------------------------------------------------


@rule("mul", "exact arithmetic on constants", on=exactly("const", "const"))
def fold_mul(g: Graph, a: Args) -> int | None:
    return _fold(g, a, lambda x, y: x * y)


@rule("mul", "x*1 is x, x*(-1) is -x", of=among(*UNITS))
def mul_one(g: Graph, a: Args) -> int | None:
    x, y = a
    if y == g.one:
        return x
    if y == g.minus_one:
        return g.neg(x)
    if x == g.one:
        return y
    return g.neg(y) if x == g.minus_one else None


@rule("mul", "a mask annihilates, so the product moves inside", on=among("mask"))
def mul_into_mask(g: Graph, a: Args) -> int | None:
    for x, y in (a, a[::-1]):
        if g.op[x] == "mask":
            p, inner = g.args[x]
            return g.mask(p, g.mul(inner, y))
    return None


@rule("mul", "0*x is 0: SymPy and AD mean a structural zero", of=among(ZERO))
def mul_zero(g: Graph, a: Args) -> int | None:
    return g.zero if g.zero in a else None


@rule("mul", "(-x)*y is -(x*y): signs move outwards and cancel", on=among("neg"))
def mul_neg(g: Graph, a: Args) -> int | None:
    for x, y in (a, a[::-1]):
        if g.op[x] == "neg":
            return g.neg(g.mul(g.args[x][0], y))
    return None


def _is_rational(g: Graph, node: int) -> bool:
    return g.op[node] == "const" and g.args[node][0] == "q"


@rule("mul", "c*(d*x) is (c*d)*x for rational c and d", on=exactly("const", "mul"), of=among(MULTIPLE))
def mul_constants_together(g: Graph, a: Args) -> int | None:
    x, product = a if g.op[a[1]] == "mul" else a[::-1]
    if g.op[product] != "mul" or not _is_rational(g, g.args[product][0]):  # as most products
        return None
    c, rest = g.args[product]
    number = _fold(g, (x, c), lambda c, d: c * d)
    return None if number is None else g.mul(number, rest)


@rule(
    "mul",
    "x*(c*y) is c*(x*y): constants move outwards and meet, rational ones outermost",
    of=among(MULTIPLE),
)
def mul_constant_outwards(g: Graph, a: Args) -> int | None:
    ops, args, (one, other) = g.op, g.args, a
    for x, product in ((one, other), (other, one)):
        if ops[product] == "mul" and ops[args[product][0]] == "const":
            c, rest = args[product]
            if ops[x] != "const" or (_is_rational(g, c) and not _is_rational(g, x)):
                return g.mul(c, g.mul(x, rest))
    return None


@rule("mul", "x*(1/y) is x/y", on=among("div"))
def mul_reciprocal(g: Graph, a: Args) -> int | None:
    for x, y in (a, a[::-1]):
        if g.op[y] == "div" and g.args[y][0] == g.one:
            return g.div(x, g.args[y][1])
    return None


@rule(
    "mul",
    "one order of factors: rational constants, other constants, the rest",
    on=lambda ops: ops[1] == "const",  # else it is the right one
)
def mul_constants_first(g: Graph, a: Args) -> int | None:
    first, second = (0 if _is_rational(g, n) else 1 if g.op[n] == "const" else 2 for n in a)
    if first == second:
        return _reordered(g, "mul", a) if first < 2 else None
    return g.intern("mul", (a[1], a[0])) if first > second else None


@rule("div", "exact arithmetic on constants", on=exactly("const", "const"))
def fold_div(g: Graph, a: Args) -> int | None:
    return None if a[1] == g.zero else _fold(g, a, lambda x, y: x / y)


@rule("div", "x/1 is x, x/(-1) is -x, 0/c is 0 for a constant c", of=among(ZERO, *UNITS))
def div_one(g: Graph, a: Args) -> int | None:
    if a[1] == g.one:
        return a[0]
    if a[1] == g.minus_one:
        return g.neg(a[0])
    return g.zero if a[0] == g.zero and g.rational(a[1]) else None


@rule("div", "x/c is x*(1/c) when 1/c is exact", on=among("const"))
def div_power_of_two(g: Graph, a: Args) -> int | None:
    q = g.rational(a[1])
    if q is None or q == 0 or abs(q.numerator) & (abs(q.numerator) - 1) or q.denominator != 1:
        return None
    return g.mul(g.const(1 / q), a[0])


@rule("div", "a mask annihilates, so the quotient moves inside", on=among("mask"))
def div_into_mask(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] != "mask":
        return None
    p, inner = g.args[a[0]]
    return g.mask(p, g.div(inner, a[1]))


@rule("div", "signs move outwards and cancel", on=among("neg"))
def div_neg(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] == "neg":
        return g.neg(g.div(g.args[a[0]][0], a[1]))
    if g.op[a[1]] == "neg":
        return g.neg(g.div(a[0], g.args[a[1]][0]))
    return None


# ---- powers ------------------------------------------------------------------------------------


@rule("pow", "small integer exponents are products, 1/2 and -1/2 roots", on=among("const"))
def pow_small_exponent(g: Graph, a: Args) -> int | None:
    q = g.rational(a[1])
    if q is None:
        return None
    if q.denominator == 1 and abs(q) <= 64:
        return g.integer_power(a[0], int(q))
    if q == Fraction(1, 2):
        return g.node("sqrt", a[0])
    if q == Fraction(-1, 2):
        return g.div(g.one, g.node("sqrt", a[0]))
    return None  # 3/2 and its like are roots once nothing is differentiated any more: see `opt.passes`


@rule("hypot", "one order of the sides")
def hypot_order(g: Graph, a: Args) -> int | None:
    return _reordered(g, "hypot", a)


@rule("hypot_slope", "beside a number other than 0 there is no origin to be guarded", on=among("const"))
def slope_beside_number(g: Graph, a: Args) -> int | None:
    return g.node("direction_cosine", *a) if any(g.rational(side) for side in a) else None


@rule("sqrt", "the root of a perfect square is exact", on=among("const"))
def fold_sqrt(g: Graph, a: Args) -> int | None:
    q = g.rational(a[0])
    if q is None or q < 0:
        return None
    from math import isqrt

    n, d = isqrt(q.numerator), isqrt(q.denominator)
    exact = n * n == q.numerator and d * d == q.denominator
    return g.const(Fraction(n, d)) if exact else None


# ---- functions at exact points -----------------------------------------------------------------


def _at_zero(op: str, value: int) -> None:
    def fold(g: Graph, a: Args) -> int | None:
        return g.const(value) if a[0] == g.zero else None

    fold.__name__ = f"{op}_at_zero"
    rule(op, f"{op}(0) is {value}, exactly", of=among(ZERO))(fold)


for _op in ("sin", "tan", "asin", "atan", "sinh", "tanh", "asinh", "atanh", "expm1", "log1p", "erf",
            "abs", "sign", "cbrt", "floor", "ceil", "sqrt1pm1", "xlogx", "logcosh",
            "log1msq", "loghypot1", "hypot1m1"):  # fmt: skip
    _at_zero(_op, 0)
for _op in ("exp", "cos", "cosh", "sinc", "sinhc", "exprel", "log1prel"):
    _at_zero(_op, 1)


@rule("abs", "pi and its like are positive", on=among("const"))
def abs_of_named_number(g: Graph, a: Args) -> int | None:
    return a[0] if g.op[a[0]] == "const" and g.args[a[0]][0] == "s" else None


@rule("log", "log(exp(x)) is x on the reals", on=among("exp"))
def log_of_exp(g: Graph, a: Args) -> int | None:
    return g.args[a[0]][0] if g.op[a[0]] == "exp" else None


@rule("log", "log(exp(x)*exp(y)) is x + y on the reals", on=among("exp_of_sum"))
def log_of_exp_of_sum(g: Graph, a: Args) -> int | None:
    return g.add(*g.args[a[0]]) if g.op[a[0]] == "exp_of_sum" else None


@rule("log", "log(1) is 0, exactly", of=among(ONE))
def fold_log(g: Graph, a: Args) -> int | None:
    return g.zero if a[0] == g.one else None


# ---- predicates and selection ------------------------------------------------------------------


def _fold_comparison(op: str, holds: Callable[[Fraction, Fraction], bool]) -> None:
    def fold(g: Graph, a: Args) -> int | None:
        x, y = g.rational(a[0]), g.rational(a[1])
        if x is None or y is None:
            return None
        return g.true if holds(x, y) else g.false

    fold.__name__ = f"fold_{op}"
    rule(op, "a comparison of constants is known", on=exactly("const", "const"))(fold)


_fold_comparison("lt", lambda x, y: x < y)
_fold_comparison("le", lambda x, y: x <= y)
_fold_comparison("eq", lambda x, y: x == y)
_fold_comparison("ne", lambda x, y: x != y)


@rule("and", "true is neutral, false decides, p and p is p")
def fold_and(g: Graph, a: Args) -> int | None:
    if g.false in a:
        return g.false
    if a[0] == g.true or a[0] == a[1]:
        return a[1]
    return a[0] if a[1] == g.true else _reordered(g, "and", a)


@rule("or", "false is neutral, true decides, p or p is p")
def fold_or(g: Graph, a: Args) -> int | None:
    if g.true in a:
        return g.true
    if a[0] == g.false or a[0] == a[1]:
        return a[1]
    return a[0] if a[1] == g.false else _reordered(g, "or", a)


@rule("not", "not of a known or negated predicate", on=among("true", "false", "not"))
def fold_not(g: Graph, a: Args) -> int | None:
    if a[0] in (g.true, g.false):
        return g.false if a[0] == g.true else g.true
    return g.args[a[0]][0] if g.op[a[0]] == "not" else None


@rule("not", "not (i >= 0) is -i - 1 >= 0 on integers: stays a loop bound", on=among("ige"))
def not_ige(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] != "ige":
        return None
    return g.ige0(g.iadd(g.const(-1), g.args[a[0]][0], -1))


@rule("where", "a known predicate, or equal arms")
def fold_where(g: Graph, a: Args) -> int | None:
    if a[0] == g.true or a[1] == a[2]:
        return a[1]
    return a[2] if a[0] == g.false else None


@rule("mask", "a known predicate, or a zero inside", on=among("true", "false", "const"))
def fold_mask(g: Graph, a: Args) -> int | None:
    if a[0] == g.true:
        return a[1]
    return g.zero if a[0] == g.false or a[1] == g.zero else None


@rule("mask", "masks nest by conjunction", on=among("mask"))
def mask_of_mask(g: Graph, a: Args) -> int | None:
    if g.op[a[1]] != "mask":
        return None
    p, x = g.args[a[1]]
    return g.intern("mask", (g.node("and", a[0], p), x))
