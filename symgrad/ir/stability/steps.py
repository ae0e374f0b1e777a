"""Differences of one function at two arguments, and such differences over that of the arguments.

    cos(x + h) - cos(x), log(x + y) - log(x)      by what the arguments differ in, h and y
    (exp(x) - exp(y))/(x - y)                     the divided difference, regular at x = y

The rows are in `ir.differences`. Of arguments that have no term in common, a difference loses no more than
an error of the last place of one argument does, but where both are small (exp and cos, which are not 0 at 0)
or where the function saturates (atan, tanh, the logistic function): others are left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.differences import (
    FAMILIES,
    NAMES,
    difference_node,
    log_of_near_quotient,
    log_slope_of_quotient,
    slope_node,
)
from symgrad.ir.probe import CONSTANT, variable_of
from symgrad.ir.rules import Args, among
from symgrad.ir.stability.audit import Audit, at_pairs, stable
from symgrad.ir.stability.patterns import (
    PRODUCTS,
    difference_of,
    factors_of,
    quotient_of,
    remove,
    sum_of_signed,
    terms_of,
    without,
)

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_CONJUGATE = "Higham 2002, sections 1.7, 1.8 and 1.14"
_DIVIDED = "McCurdy, Ng & Parlett 1984"
_ALONE = frozenset(("exp", "cos", "atan", "logistic", "tanh"))  # also of arguments with nothing in common
_BOUNDED = frozenset(
    ("exp", "cos", "sin", "logistic", "tanh")
)  # a step that is no small number is none to them
_FUNCTIONS = frozenset((*FAMILIES, "tanh")) - {"reciprocal", "reciprocal_root"}
_LEAST_STEP = 0.25
Parts = tuple[int, int, int]  # c, u and v


def _may_be_alike(ops: Sequence[str]) -> bool:
    return ops[0] == ops[1] and (ops[0] in _FUNCTIONS or ops[0] in ("mul", "div"))


@stable(
    "sub",
    "f(c + u) - f(c + v) cancels where u and v are small beside c, or near each other",
    Audit(
        "cos(x + y) - cos(x)", "cos_difference(x, y, 0)",
        "exp, cos, atan, tanh and logistic; log, sqrt, sin and 1/x with a term in common; equal factors",
        _CONJUGATE,
        at_pairs((1.0, 1e-12), (0.5, 1e-3), (1e-9, 2e-9), (2.0, 5.0)),
    ),
    on=_may_be_alike,
    needs=(*_FUNCTIONS, "div"),
)  # fmt: skip
def difference_of_one_function(g: Graph, a: Args) -> int | None:
    op = g.op[a[0]]
    if op != g.op[a[1]]:
        return None
    if op == "mul":
        return _with_common_factor(g, *a)
    if op == "div":
        (k, x), (m, y) = g.args[a[0]], g.args[a[1]]
        return _reciprocals(g, k, x, y) if k == m else None
    return _difference(g, op, g.args[a[0]][0], g.args[a[1]][0]) if op in _FUNCTIONS else None


@stable(
    "add",
    "2*f(x + h) + (-2)*f(x) is twice a difference",
    Audit("2*cos(x + y) - 2*cos(x)", "2*cos_difference(x, y, 0)", "factors that are opposite numbers",
          _CONJUGATE,
          at_pairs((1.0, 1e-12), (0.5, 1e-3), (1e-9, 2e-9), (2.0, 5.0))),
    on=lambda ops: ops[0] == ops[1] and ops[0] in ("mul", "div"),
    needs=(*_FUNCTIONS, "div"),
)  # fmt: skip
def sum_with_opposite_factors(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] != g.op[a[1]] or g.op[a[0]] not in ("mul", "div"):
        return None
    (p, x), (q, y) = g.args[a[0]], g.args[a[1]]
    if g.op[p] != "const" or g.op[q] != "const":
        return None
    first, second = g.rational(p), g.rational(q)
    if first is None or second is None or first + second:
        return None
    if g.op[a[0]] == "div":
        return _reciprocals(g, p, x, y)
    if g.op[x] not in _FUNCTIONS or g.op[x] != g.op[y]:
        return None
    made = _difference(g, g.op[x], g.args[x][0], g.args[y][0])
    return None if made is None else g.mul(p, made)


def _with_common_factor(g: Graph, a: int, b: int) -> int | None:
    """k*f(x) - k*f(y)."""
    for i in (0, 1):
        for j in (0, 1):
            x, y = g.args[a][1 - i], g.args[b][1 - j]
            if g.args[a][i] == g.args[b][j] and g.op[x] == g.op[y] and g.op[x] in _FUNCTIONS:
                made = _difference(g, g.op[x], g.args[x][0], g.args[y][0])
                return None if made is None else g.mul(g.args[a][i], made)
    return None


def _reciprocals(g: Graph, k: int, x: int, y: int) -> int | None:
    """k/x - k/y, for roots x and y too."""
    is_root = g.op[x] == g.op[y] == "sqrt"
    parts = _common(g, *(g.args[n][0] if is_root else n for n in (x, y)))
    if parts is None:
        return None
    return g.mul(k, difference_node(g, "reciprocal_root" if is_root else "reciprocal", *parts))


def _difference(g: Graph, op: str, x: int, y: int) -> int | None:
    parts = _common(g, x, y)
    if parts is not None and op in _BOUNDED and _is_large_step(g, *parts[1:]):
        return None
    if parts is None and (op not in _ALONE or _is_of_one_value(g, x, y)):
        return None
    return _difference_by_parts(g, op, parts or (g.zero, x, y))


def _difference_by_parts(g: Graph, op: str, parts: Parts) -> int:
    if op == "tanh":  # 2*logistic(2*x) - 1
        two = g.const(2)
        return g.mul(two, difference_node(g, "logistic", *(g.mul(two, part) for part in parts)))
    return difference_node(g, op, *parts)


def _common(g: Graph, x: int, y: int) -> Parts | None:
    """c, u and v with x = c + u and y = c + v; None if they have no term in common."""
    first, second = terms_of(g, x), terms_of(g, y)
    if len(first) + len(second) < 3:
        return None
    left, right = remove(first, second)
    common, _ = remove(first, left)
    if not common:
        return None
    return sum_of_signed(g, common), sum_of_signed(g, left), sum_of_signed(g, right)


def _is_large_step(g: Graph, u: int, v: int) -> bool:
    step = g.rational(g.sub(u, v))
    return step is not None and abs(step) >= _LEAST_STEP


def _is_of_one_value(g: Graph, x: int, y: int) -> bool:
    """Formulas of one value, or constants: `ir.removable` looks after these."""
    first, second = variable_of(g, x), variable_of(g, y)
    return first == second or CONSTANT in (first, second)


@stable(
    "log_quotient",
    "log((x + y)/x) cancels where y is small beside x",
    Audit("log((x + y)/x)", "log1p(y/x)", "a term in common above and below, and neither is much larger",
          _CONJUGATE, at_pairs((1.0, 1e-12), (3.0, 1e-5), (-2.0, 1e-9), (0.5, 3.0))),
    on=among("add", "sub"),
)  # fmt: skip
def log_of_nearly_equal(g: Graph, a: Args) -> int | None:
    parts = _common(g, *a)
    return None if parts is None else log_of_near_quotient(g, *parts)


@stable(
    "div",
    "(exp(x) - exp(y))/(exp(x) + exp(y)) is 0/0 or infinity over infinity out of range",
    Audit("(exp(x) - exp(y))/(exp(x) + exp(y))", "tanh((x - y)/2)", "the same exponentials", _CONJUGATE,
          at_pairs((800.0, 801.0), (-800.0, -800.5), (1.0, 1 + 1e-9), (0.5, -3.0))),
    on=lambda ops: ops[1] == "add" and ops[0] in ("exp_difference", *PRODUCTS),
    needs=("exp_difference",),
)  # fmt: skip
def difference_over_sum_of_exponentials(g: Graph, a: Args) -> int | None:
    if g.op[a[1]] != "add" or any(g.op[part] != "exp" for part in g.args[a[1]]):
        return None
    exponents = {g.args[part][0] for part in g.args[a[1]]}
    above = factors_of(g, a[0])
    for place, factor in enumerate(above):
        if g.op[factor] == "exp_difference":
            c, u, v = g.args[factor]
            if exponents == {g.add(c, u), g.add(c, v)}:
                made = g.node("tanh", g.mul(g.const(Fraction(1, 2)), g.sub(u, v)))
                return quotient_of(g, [*without(above, place), made], [])
    return None


# ---- divided differences -------------------------------------------------------------------------


_CHANGES = frozenset((*NAMES, "add", "sub", "square_difference", "log_quotient"))


def _may_be_divided(ops: Sequence[str]) -> bool:
    return any(op in _CHANGES or op in PRODUCTS for op in ops)


@stable(
    "div",
    "(f(x) - f(y))/(x - y) is nan at x = y, where it is the derivative; its own derivatives cancel near it",
    Audit(
        "(exp(x) - exp(y))/(x - y)", "exp(y)*exprel(x - y)",
        "differences of one function, and that of its arguments, above and below", _DIVIDED,
        at_pairs((1.0, 1 + 1e-9), (1e-3, 1.001e-3), (0.5, 0.3), (3.0, -2.0)),
    ),
    on=_may_be_divided,
    needs=(*NAMES, "sub", "square_difference", "log_quotient"),
)  # fmt: skip
def divided_difference(g: Graph, a: Args) -> int | None:
    above, below = factors_of(g, a[0]), factors_of(g, a[1])
    for mine, others, is_above in ((above, below, True), (below, above, False)):
        for place, factor in enumerate(mine):
            found = _change(g, factor)
            if found is None:
                continue
            family, parts = found
            rest = _without_step(g, parts, others)
            if rest is not None:
                made = [*without(mine, place), _slope(g, family, parts), *rest[0]]
                return quotient_of(g, *((made, rest[1]) if is_above else (rest[1], made)))
    return None


def _change(g: Graph, node: int) -> tuple[str, Parts] | None:
    """The function and its arguments, of what is a difference of one."""
    op, args = g.op[node], g.args[node]
    if op in NAMES:
        return op.removesuffix("_difference"), args
    if op == "square_difference":
        return "square", (g.zero, *args)
    if op == "log_quotient":
        return "log_quotient", (g.zero, *args)
    if op == "sub" and g.op[args[0]] == g.op[args[1]] and g.op[args[0]] in _FUNCTIONS:
        x, y = args
        return g.op[x], (g.zero, g.args[x][0], g.args[y][0])
    if op in ("add", "sub") and g.op[args[0]] == g.op[args[1]] == "div":
        (p, x), (q, y) = g.args[args[0]], g.args[args[1]]
        if p == g.one and q == (g.one if op == "sub" else g.minus_one):
            return "reciprocal", (g.zero, x, y)
        if (p, q) == (g.minus_one, g.one):
            return "reciprocal", (g.zero, y, x)
    return None


def _without_step(g: Graph, parts: Parts, factors: list[int]) -> tuple[list[int], list[int]] | None:
    """(Factors of u - v that are left, factors that are left of these); None if they have no sum in common.

    A factor that is a difference itself, of the same arguments, is its divided difference times u - v.
    """
    step = _signed_factors(g, difference_of(g, *parts[1:]))
    signed = [s for f in factors for s in _signed_factors(g, f)]
    for place, factor in enumerate(signed):
        found = _change(g, factor)
        if found is not None:
            own = _signed_factors(g, difference_of(g, *found[1][1:]))
            signed = [*without(signed, place), _slope(g, *found), *own]
            break
    left, rest = remove(step, signed)
    shared, _ = remove(step, left)
    return None if all(g.op[f] == "const" for f in shared) else (left, rest)


def _signed_factors(g: Graph, node: int) -> list[int]:
    """The factors, each x - y in one order."""
    found: list[int] = []
    for factor in factors_of(g, node):
        if g.op[factor] == "sub" and not g.is_ordered(*g.args[factor]):
            found += [g.minus_one, g.neg(factor)]
        else:
            found.append(factor)
    return found


def _slope(g: Graph, family: str, parts: Parts) -> int:
    c, u, v = parts
    if family == "square":
        return g.add(u, v)
    if family == "log_quotient":
        return log_slope_of_quotient(g, u, v)
    if family == "tanh":
        return g.mul(g.const(4), slope_node(g, "logistic", *(g.mul(g.const(2), part) for part in parts)))
    return slope_node(g, family, c, u, v)
