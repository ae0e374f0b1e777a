"""SymPy's special functions that are not one row of the op table with the same arguments.

Those that are (gamma, besselj, airyai, erfinv, ...) are registered by their rows' SymPy names in `scalars`.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

import sympy as sp

from symgrad.errors import UnsupportedExpression
from symgrad.frontend.describe import show
from symgrad.frontend.heads import SCALARS, Expr, Head, scalar
from symgrad.ir.graph import Graph, Node
from symgrad.ir.special import integrals as special_integrals

if TYPE_CHECKING:
    from symgrad.frontend.translate import Translator

_LI_OF_2 = Fraction("1.04516378011749278484458888919461313652261557815120157583290914407501320521")


# ---- gamma and relatives -------------------------------------------------------------------------


@scalar(sp.polygamma)
def _polygamma(tr: Translator, e: Expr, values: list[Node]) -> Node:
    """SymPy's form of digamma and trigamma."""
    order, x = values
    return tr.graph.node("digamma", x) if order == tr.graph.zero else tr.graph.node("polygamma", order, x)


@scalar(sp.zeta)
def _zeta(tr: Translator, e: Expr, values: list[Node]) -> Node:
    return tr.graph.node("zeta" if len(values) == 2 else "riemann_zeta", *values)


@scalar(sp.lowergamma, sp.uppergamma)
def _incomplete_gamma(tr: Translator, e: Expr, values: list[Node]) -> Node:
    g = tr.graph
    op = "gammainc" if isinstance(e, sp.lowergamma) else "gammaincc"
    s = g.rational(values[0])
    if s is not None and s <= 0:
        if op == "gammaincc" and s.denominator == 1:  # DLMF 8.19.1
            power = g.node("pow", values[1], values[0])
            return g.mul(power, special_integrals.expint(g, g.const(1 - s), values[1]))
        raise UnsupportedExpression(
            f"{type(e).__name__} needs a positive first argument", where=show(e), because=f"it is {s}"
        )
    return g.mul(g.node(op, *values), g.node("gamma", values[0]))


@scalar(sp.betainc, sp.betainc_regularized)
def _incomplete_beta(tr: Translator, e: Expr, values: list[Node]) -> Node:
    """The integral from the third argument to the fourth; both in [0, 1]."""
    g = tr.graph
    a, b, low, high = values
    share = g.node("betainc", a, b, high)
    if low != g.zero:
        share = g.sub(share, g.node("betainc", a, b, low))
    return g.mul(share, g.node("beta", a, b)) if isinstance(e, sp.betainc) else share


# ---- of whole order ------------------------------------------------------------------------------


def _whole_order(g: Graph, e: Expr, order: Node) -> int:
    q = g.rational(order)
    if q is None or q.denominator != 1:
        raise UnsupportedExpression(
            f"the order of {type(e).__name__} must be a whole number",
            where=show(e),
            because=f"it is {show(e.args[0])}",
            try_="a number as order, or besselj and bessely, which take any real order",
        )
    return int(q)


@scalar(sp.jn, sp.yn)
def _spherical_bessel(tr: Translator, e: Expr, values: list[Node]) -> Node:
    """A negative order is one of the other kind: y_n = (-1)**(n+1) j_{-n-1} (DLMF 10.47.10)."""
    g = tr.graph
    n, x = _whole_order(g, e, values[0]), values[1]
    op = "spherical_jn" if isinstance(e, sp.jn) else "spherical_yn"
    if n >= 0:
        return g.node(op, values[0], x)
    other = g.node("spherical_yn" if op == "spherical_jn" else "spherical_jn", g.const(-n - 1), x)
    flips = n % 2 if op == "spherical_jn" else 1 - n % 2
    return g.neg(other) if flips else other


@scalar(sp.expint)
def _expint(tr: Translator, e: Expr, values: list[Node]) -> Node:
    _whole_order(tr.graph, e, values[0])
    return special_integrals.expint(tr.graph, *values)


@scalar(sp.LambertW)
def _lambertw(tr: Translator, e: Expr, values: list[Node]) -> Node:
    if len(values) == 2 and values[1] != tr.graph.zero:
        raise UnsupportedExpression(
            f"branch {show(e.args[1])} of LambertW is not supported",
            where=show(e),
            because="symgrad computes the principal branch",
            try_="LambertW(x)",
        )
    return tr.graph.node("lambertw", values[0])


@scalar(sp.elliptic_e)
def _elliptic_e(tr: Translator, e: Expr, values: list[Node]) -> Node:
    return tr.graph.node("incomplete_e" if len(values) == 2 else "elliptic_e", *values)


@scalar(sp.harmonic)
def _harmonic(tr: Translator, e: Expr, values: list[Node]) -> Node:
    """digamma(n + 1) + gamma, DLMF 5.4.14."""
    g = tr.graph
    if len(values) == 2 and values[1] != g.one:
        raise UnsupportedExpression(
            "generalised harmonic numbers are not supported",
            where=show(e),
            try_="zeta(m) - zeta(m, n + 1) for m > 1, which is the same",
        )
    return g.add(g.node("digamma", g.add(values[0], g.one)), g.const("euler"))


# ---- functions that are other functions ----------------------------------------------------------


def _erf2(g: Graph, x: Node, y: Node) -> Node:
    """erf(y) - erf(x), by complements where both are on one side and the difference would cancel."""
    neg_x, neg_y = g.neg(x), g.neg(y)
    plain = g.sub(g.node("erf", y), g.node("erf", x))
    right = g.sub(g.node("erfc", x), g.node("erfc", y))
    left = g.sub(g.node("erfc", neg_y), g.node("erfc", neg_x))
    both_right = g.node("and", g.node("lt", g.zero, x), g.node("lt", g.zero, y))
    both_left = g.node("and", g.node("lt", x, g.zero), g.node("lt", y, g.zero))
    return g.where(both_right, right, g.where(both_left, left, plain))


def _dirichlet_eta(g: Graph, s: Node) -> Node:
    """(1 - 2**(1-s)) zeta(s), DLMF 25.2.3; log(2) at the pole of zeta."""
    log2 = g.node("log", g.const(2))
    factor = g.neg(g.node("expm1", g.mul(g.sub(g.one, s), log2)))
    return g.where(g.node("eq", s, g.one), log2, g.mul(factor, g.node("riemann_zeta", s)))


def _li(g: Graph, x: Node) -> Node:
    return g.node("Ei", g.node("log", x))


def _catalan(g: Graph, n: Node) -> Node:
    return g.div(g.node("binomial", g.mul(g.const(2), n), n), g.add(n, g.one))


_EXPANSIONS: dict[type, Callable[..., Node]] = {
    sp.factorial: lambda g, n: g.node("gamma", g.add(n, g.one)),
    sp.FallingFactorial: lambda g, x, k: g.node("rising", g.add(g.sub(x, k), g.one), k),
    sp.catalan: _catalan,
    sp.erf2: _erf2,
    sp.dirichlet_eta: _dirichlet_eta,
    sp.li: _li,
    sp.Li: lambda g, x: g.sub(_li(g, x), g.const(_LI_OF_2)),
}


def _head_of(build: Callable[..., Node]) -> Head:
    return Head(lambda tr, e, values: build(tr.graph, *values))


for _class, _build in _EXPANSIONS.items():
    SCALARS[_class] = _head_of(_build)
