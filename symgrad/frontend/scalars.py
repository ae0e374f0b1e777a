"""Real-valued heads: constants, arithmetic, elementary functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import sympy as sp
from sympy.codegen import cfunctions
from sympy.core.numbers import (
    ImaginaryUnit,
    Infinity,
    NaN,
    NegativeInfinity,
    TribonacciConstant,
)
from sympy.functions.elementary.complexes import adjoint, conjugate, im, re, transpose

from symgrad.errors import NonRealSymbol, UnsupportedExpression
from symgrad.frontend.describe import show
from symgrad.frontend.heads import SCALARS, Expr, Head, leaf, scalar
from symgrad.frontend.named_numbers import NAMED_NUMBERS
from symgrad.ir.graph import Graph, Node
from symgrad.ir.ops import OPS
from symgrad.ir.stability.whole_sums import as_stable_terms

if TYPE_CHECKING:
    from symgrad.frontend.translate import Translator

Pow, Rational = sp.Pow, sp.Rational  # looked at once per factor of every product

# ---- leaves ------------------------------------------------------------------------------------


@scalar(sp.Rational, children=leaf)
def _rational(tr: Translator, e: Expr, _: list[Node]) -> Node:
    return tr.graph.const(Fraction(int(e.p), int(e.q)))


@scalar(sp.Float, children=leaf)
def _float(tr: Translator, e: Expr, _: list[Node]) -> Node:
    value = float(e)
    if value in (float("inf"), float("-inf")) and e.is_finite:
        raise UnsupportedExpression(f"the number {e} does not fit a float64", try_="an exact Rational")
    return tr.graph.const(value)


def _named(cls: type, value: str | float) -> None:
    SCALARS[cls] = Head(lambda tr, e, _: tr.graph.const(value), leaf)


for _name, _number in NAMED_NUMBERS.items():
    _named(type(_number), _name)
for _cls, _value in ((Infinity, float("inf")), (NegativeInfinity, float("-inf")), (NaN, float("nan"))):
    _named(_cls, _value)


@scalar(TribonacciConstant, children=leaf)
def _tribonacci(tr: Translator, e: Expr, _: list[Node]) -> Node:
    return tr.graph.const(Fraction(str(e.evalf(40))))


@scalar(ImaginaryUnit, type(sp.zoo), children=leaf)
def _imaginary(tr: Translator, e: Expr, _: list[Node]) -> Node:
    raise NonRealSymbol(
        f"the expression contains {e}",
        because="symgrad computes with real numbers",
        try_="the real and the imaginary part as two real expressions",
    )


@scalar(sp.UnevaluatedExpr)
def _unevaluated(tr: Translator, e: Expr, values: list[Node]) -> Node:
    return values[0]


@scalar(sp.Symbol, sp.Idx, children=leaf)
def _symbol(tr: Translator, e: Expr, _: list[Node]) -> Node:
    return tr.symbol(e)


# ---- arithmetic --------------------------------------------------------------------------------


def as_integer(g: Graph, node: Node) -> Node | None:
    """The integer node behind a real value: of a cast, an integer read, or an integer constant."""
    if g.op[node] == "cast":
        return int(g.args[node][0])
    if g.kind[node] == "int":
        return node
    q = g.rational(node)
    return node if q is not None and q.denominator == 1 else None


def _split_integers(g: Graph, values: Sequence[Node]) -> tuple[list[Node], list[Node]]:
    """(casts without their cast and integer constants, the rest); no integers if there is no cast."""
    integers: list[Node] = []
    rest: list[Node] = []
    for v in values:
        i = as_integer(g, v)
        (rest if i is None else integers).append(v if i is None else i)
    return integers, rest


@scalar(sp.Add)
def _add(tr: Translator, e: Expr, values: list[Node]) -> Node:
    """Left to right; integers (indices, sizes) are added as integers, so that they stay indices."""
    g = tr.graph
    if "cast" in map(g.op.__getitem__, values):
        integers, values = _split_integers(g, values)
        total = integers[0]
        for i in integers[1:]:
            total = g.iadd(total, i)
        values.append(g.cast(total))
    terms = as_stable_terms(g, values) if g.stabilise else values
    total = terms[0]
    for v in terms[1:]:
        total = g.node("add", total, v)
    return total


def _is_divisor(factor: Expr) -> bool:
    """Whether this is a power with a negative rational exponent."""
    if type(factor) is not Pow:
        return False
    exponent = factor._args[1]
    return isinstance(exponent, Rational) and exponent.p < 0


def _mul_children(e: Expr) -> Sequence[Expr]:
    factors: Sequence[Expr] = e._args
    if Pow not in map(type, factors):  # as in most products
        return factors
    return [f._args[0] if _is_divisor(f) else f for f in factors]


@scalar(sp.Mul, children=_mul_children)
def _mul(tr: Translator, e: Expr, values: list[Node]) -> Node:
    """Numerators first, then one division by the product of the denominators."""
    g = tr.graph
    above, below = values, []
    if Pow in map(type, e._args):
        above = []
        for factor, v in zip(e._args, values, strict=True):
            if _is_divisor(factor):
                below.append(_power(g, v, -Fraction(int(factor._args[1].p), int(factor._args[1].q))))
            else:
                above.append(v)
    if "cast" in map(g.op.__getitem__, above):
        above = _multiply_integers(g, above)
    result = _product(g, above)
    return g.div(result, _product(g, below)) if below else result


def _product(g: Graph, factors: Sequence[Node]) -> Node:
    if not factors:
        return g.one
    result = factors[0]
    for f in factors[1:]:
        result = g.node("mul", result, f)
    return result


def _multiply_integers(g: Graph, factors: list[Node]) -> list[Node]:
    integers, rest = _split_integers(g, factors)
    if rest:  # a constant times a value is a value; only sizes and indices multiply as integers
        rest += [i for i in integers if g.op[i] == "const"]
        integers = [i for i in integers if g.op[i] != "const"]
    result = integers[0]
    for i in integers[1:]:
        result = g.imul(result, i)
    return [*rest, g.cast(result)]


def _power(g: Graph, base: Node, q: Fraction) -> Node:
    """base**q for an exact exponent; a negative one is one division."""
    if q < 0:
        return g.div(g.one, _power(g, base, -q))
    integer = g.args[base][0] if g.op[base] == "cast" else None
    if integer is not None and q.denominator == 1 and 0 < q <= 8:
        result = integer
        for _ in range(int(q) - 1):
            result = g.imul(result, integer)
        return g.cast(result)
    return g.node("pow", base, g.const(q))


@scalar(sp.Pow)
def _pow(tr: Translator, e: Expr, values: list[Node]) -> Node:
    g = tr.graph
    base, exponent = values
    if e._args[0] is sp.E:
        return g.node("exp", exponent)
    q = g.rational(exponent)
    return g.node("pow", base, exponent) if q is None else _power(g, base, q)


# ---- functions ---------------------------------------------------------------------------------


def _elementwise(op: str) -> Head:
    return Head(lambda tr, e, values: tr.graph.node(op, *values))


for _row in OPS.values():
    _class = getattr(sp, _row.sympy, None) if _row.sympy else None
    if isinstance(_class, type) and _class not in SCALARS:
        SCALARS[_class] = _elementwise(_row.name)
for _op in ("expm1", "log1p", "hypot"):
    SCALARS[getattr(cfunctions, _op)] = _elementwise(_op)
SCALARS[cfunctions.Cbrt] = _elementwise("cbrt")
SCALARS[cfunctions.Sqrt] = _elementwise("sqrt")

Build = Callable[..., Node]


def _expansions() -> dict[type, Build]:
    """Functions that are other functions, as builders of (graph, *arguments)."""

    def one_over(op: str) -> Build:
        return lambda g, x: g.div(g.one, g.node(op, x))

    def of_inverse(op: str) -> Build:
        return lambda g, x: g.node(op, g.div(g.one, x))

    return {
        sp.sec: one_over("cos"), sp.csc: one_over("sin"), sp.cot: one_over("tan"),
        sp.sech: lambda g, x: g.node("sech", x), sp.csch: one_over("sinh"), sp.coth: one_over("tanh"),
        sp.asec: of_inverse("acos"), sp.acsc: of_inverse("asin"), sp.acot: _acot,
        sp.asech: of_inverse("acosh"), sp.acsch: of_inverse("asinh"), sp.acoth: of_inverse("atanh"),
        sp.frac: lambda g, x: g.sub(x, g.node("floor", x)),
        sp.Heaviside: _heaviside,
        cfunctions.exp2: lambda g, x: g.node("pow", g.const(2), x),
        cfunctions.log2: lambda g, x: g.div(g.node("log", x), g.node("log", g.const(2))),
        cfunctions.log10: lambda g, x: g.div(g.node("log", x), g.node("log", g.const(10))),
        cfunctions.fma: lambda g, x, y, z: g.add(g.mul(x, y), z),
        re: lambda g, x: x, im: lambda g, x: g.zero, conjugate: lambda g, x: x,
        adjoint: lambda g, x: x, transpose: lambda g, x: x,
        sp.arg: lambda g, x: g.where(g.node("lt", x, g.zero), g.const("pi"), g.zero),
    }  # fmt: skip


def _acot(g: Graph, x: Node) -> Node:
    """atan(1/x), and pi/2 at 0 as in SymPy; at -0.0 too, where 1/x would say -pi/2."""
    half_pi = g.mul(g.const(Fraction(1, 2)), g.const("pi"))
    return g.where(g.node("eq", x, g.zero), half_pi, g.node("atan", g.div(g.one, x)))


def _heaviside(g: Graph, x: Node, at_zero: Node) -> Node:
    """1 for x > 0, 0 for x < 0, `at_zero` at 0, nan for nan."""
    rest = g.where(g.node("eq", x, g.zero), at_zero, g.const(float("nan")))
    below = g.where(g.node("lt", x, g.zero), g.zero, rest)
    return g.where(g.node("lt", g.zero, x), g.one, below)


def _head_of(build: Build) -> Head:
    return Head(lambda tr, e, values: build(tr.graph, *values))


for _class, _build in _expansions().items():
    SCALARS[_class] = _head_of(_build)


@scalar(sp.log)
def _log(tr: Translator, e: Expr, values: list[Node]) -> Node:
    """log(x), or log(x, b) = log(x)/log(b) where SymPy kept the base."""
    g = tr.graph
    logs = [g.node("log", v) for v in values]
    return logs[0] if len(logs) == 1 else g.div(*logs)


_MOST_PARTS = 100  # of a number: an argument is looked at in bounded time


def _is_number(g: Graph, node: Node) -> bool:
    """Whether a value is made of constants alone, as sqrt(2) is."""
    stack, left = [node], _MOST_PARTS
    while stack and left:
        n = stack.pop()
        if g.op[n] in ("read", "size", "axis"):
            return False
        stack += g.arguments[n]
        left -= 1
    return not stack


def _all_arguments(e: Expr) -> list[Expr]:
    """Those of a maximum of maxima, which SymPy makes one function of, unless told not to evaluate it."""
    found, stack = [], list(reversed(e.args))
    while stack:
        part = stack.pop()
        if type(part) is type(e):
            stack += reversed(part.args)
        else:
            found.append(part)
    return found


@scalar(sp.Max, sp.Min, children=_all_arguments)
def _extremum(tr: Translator, e: Expr, values: list[Node]) -> Node:
    """From left to right with numbers last: a tie of Max(x, 0) goes to x."""
    g = tr.graph
    op = "maximum" if isinstance(e, sp.Max) else "minimum"
    ordered = sorted(dict.fromkeys(values), key=lambda v: _is_number(g, v))
    result = ordered[0]
    for v in ordered[1:]:
        result = g.node(op, result, v)
    return result


@scalar(sp.KroneckerDelta, children=lambda e: e._args[:2])
def _kronecker(tr: Translator, e: Expr, values: list[Node]) -> Node:
    g = tr.graph
    return g.mask(tr.equal(*values), g.one)


def unsupported(tr: Translator, e: Expr) -> UnsupportedExpression:
    """The error for a SymPy class nobody translates."""
    return UnsupportedExpression(
        f"{type(e).__name__} is not supported",
        where=show(e),
        because="symgrad has no numerical meaning for it",
        try_="expr.doit(), or the same quantity in sums, products and functions",
    )
