"""Logarithms of what is nearly 1, of 1 - exp(-x**2), and differences that are an inverse tangent's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symgrad.ir.rules import Args, among
from symgrad.ir.series.laurent import formula_of
from symgrad.ir.series.probe import is_function, probe, variable_of
from symgrad.ir.series.removable import IS_PART, expansion, removable
from symgrad.ir.stability.audit import Audit, at, stable
from symgrad.ir.stability.patterns import factors_of, numbered, root_of_square, sum_of_signed, terms_of

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_HIGHAM = "Higham 2002, section 1.14"
_ENTRIES = ("const", "read", "cast")  # what a polynomial is made of
_LEAST_TERMS = 3
_NEAR = 2.0**-16  # at a variable of 2^-30: without a term of its own
_SMALL = 2.0**-100  # 1 - exp(-x**2) is x**2 to all digits


@stable(
    "log",
    "1 + x + x**2 rounds x away when x is small; log1p of the rest does not",
    Audit("log(1 + x + x**2)", "log1p(x + x**2)", "polynomials of three terms or more, one of which is 1",
          _HIGHAM, at(1e-12, -1e-9, 0.25, 5e-324, 30.0)),
    on=among("add", "sub"),
)  # fmt: skip
def log_of_polynomial(g: Graph, a: Args) -> int | None:
    terms = terms_of(g, a[0])
    rest = [term for term in terms if term != (1, g.one)]
    if len(terms) < _LEAST_TERMS or len(rest) != len(terms) - 1:
        return None
    if not all(g.op[f] in _ENTRIES for _, term in rest for f in factors_of(g, term)):
        return None
    return g.node("log1p", sum_of_signed(g, rest))


@stable(
    "log1p",
    "log(1 + x + x**2/2) is x - x**3/6 + ..: the terms of its second derivative cancel where x is 0",
    Audit("log(1 + x + x**2/2)", "removable(x, radius, series, log1p(x + x**2/2))",
          "polynomials of one value whose logarithm has no square in its series", _HIGHAM,
          at(1e-12, -1e-9, 0.25, 5e-324, 30.0)),
    on=among("add", "sub"),
)  # fmt: skip
def log1p_of_polynomial(g: Graph, a: Args) -> int | None:
    if IS_PART.get() or not is_function(g, a[0]) or not probe(g, a[0]).is_algebra:
        return None
    if abs(probe(g, a[0]).value) > _NEAR:
        return None
    variable, log = variable_of(g, a[0]), g.intern("log1p", a)
    found = expansion(formula_of(g, log, variable))
    is_bent = found is None or found.valuation != 1 or found.series.terms[1] != 0
    return None if is_bent else removable(g, log, variable)


@stable(
    "log1mexp",
    "x**2 leaves the range of numbers before log(1 - exp(-x**2)) does",
    Audit("log(1 - exp(-x**2))", "log(x**2) where x is small", "multiples of squares", _HIGHAM,
          at(1e-300, -1e-170, 1e-40, 0.5, 6.0)),
    on=among("mul", "neg"),
)  # fmt: skip
def log1mexp_of_square(g: Graph, a: Args) -> int | None:
    return _log_beside_square(g, "log1mexp", -1, a[0])


@stable(
    "logexpm1",
    "x**2 leaves the range of numbers before log(exp(x**2) - 1) does",
    Audit("log(exp(x**2) - 1)", "log(x**2) where x is small", "multiples of squares", _HIGHAM,
          at(1e-300, -1e-170, 1e-40, 0.5, 6.0)),
    on=among("mul"),
)  # fmt: skip
def logexpm1_of_square(g: Graph, a: Args) -> int | None:
    return _log_beside_square(g, "logexpm1", 1, a[0])


def _log_beside_square(g: Graph, op: str, sign: int, node: int) -> int | None:
    """log|exp(c*x**2) - 1| for a number c of this sign."""
    number, square = numbered(g, node)
    x = root_of_square(g, square) if sign * number > 0 else None
    if x is None or g.op[x] == "const":
        return None
    is_small = g.node("lt", g.node("abs", x), g.const(_SMALL))
    near = g.add(g.node("log", g.mul(x, x)), g.node("log", g.const(abs(number))))
    return g.where(is_small, near, g.node(op, g.where(is_small, g.const(sign), node)))


@stable(
    "sub",
    "the terms of the second derivative of log(1 + x) - log(1 - x) cancel where x is 0",
    Audit("log(1 + x) - log(1 - x)", "2*atanh(x)", "with one number before both", "DLMF 4.37.24",
          at(1e-12, -1e-9, 0.25, 5e-324, 0.999)),
    on=lambda ops: all(op in ("log1p", "mul") for op in ops),
    needs=("log1p",),
)  # fmt: skip
def difference_of_logs_to_atanh(g: Graph, a: Args) -> int | None:
    (p, first), (q, second) = (numbered(g, part) for part in a)
    if p != q or g.op[first] != "log1p" or g.op[second] != "log1p":
        return None
    (x,), (y,) = g.args[first], g.args[second]
    return g.mul(g.const(2 * p), g.node("atanh", x)) if y == g.neg(x) else None
