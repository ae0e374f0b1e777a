"""Stability rewrites: equal in exact arithmetic, more accurate (or finite) in floating point.

They fire while the expression is built, so before differentiation: the derivative of an unstable
form is unstable and no longer recognisable. `Graph(stabilise=False)` turns them off.
Sources: Blanchard, Higham & Higham 2021 (log-sum-exp, softmax); Maechler 2012 (log1pexp);
Higham 2002, Accuracy and Stability of Numerical Algorithms, section 1.14 (expm1, log1p).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from symgrad.ir.rules import Args, rule

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph


def _log_of_sum(g: Graph, node: int) -> int | None:
    """log(S) as a log-sum-exp when `node` reads a definition S = sum of exp(e)."""
    if g.op[node] != "read":
        return None
    t = g.tensors[g.args[node][0]]
    if t.kind != "sum" or g.op[t.body] != "exp":
        return None
    lse = g.define("logsumexp", t.out, t.red, g.args[t.body][0])
    return g.read(lse, *g.args[node][1:])


def _exponent(g: Graph, node: int) -> int | None:
    return g.args[node][0] if g.op[node] == "exp" else None


def _one_plus(g: Graph, node: int) -> int | None:
    """x if `node` is 1 + x."""
    if g.op[node] != "add":
        return None
    a, b = g.args[node]
    if a == g.one:
        return b
    return a if b == g.one else None


@rule("log", "log(sum exp(e)) overflows for e > 709; shifted by max(e) it does not", "stable")
def log_sum_exp(g: Graph, a: Args) -> int | None:
    return _log_of_sum(g, a[0])


@rule("log", "log(1 + exp(x)) overflows for x > 709; softplus does not", "stable")
def log_one_plus_exp_to_softplus(g: Graph, a: Args) -> int | None:
    rest = _one_plus(g, a[0])
    exponent = None if rest is None else _exponent(g, rest)
    return None if exponent is None else g.node("softplus", exponent)


@rule("log", "1 + x rounds x away when x is small; log1p does not", "stable")
def log_one_plus_to_log1p(g: Graph, a: Args) -> int | None:
    rest = _one_plus(g, a[0])
    if rest is not None:
        return g.node("log1p", rest)
    if g.op[a[0]] == "sub" and g.args[a[0]][0] == g.one:
        return g.node("log1p", g.neg(g.args[a[0]][1]))
    return None


@rule("sub", "exp(x) - 1 cancels near 0; expm1 does not", "stable")
def exp_minus_one_to_expm1(g: Graph, a: Args) -> int | None:
    x, y = a
    if y == g.one and g.op[x] == "exp":
        return g.node("expm1", g.args[x][0])
    if x == g.one and g.op[y] == "exp":
        return g.neg(g.node("expm1", g.args[y][0]))
    return None


@rule("add", "exp(x) + (-1) is expm1(x)", "stable")
def exp_plus_minus_one_to_expm1(g: Graph, a: Args) -> int | None:
    for x, y in (a, a[::-1]):
        if g.op[x] == "exp" and g.rational(y) == -1:
            return g.node("expm1", g.args[x][0])
    return None


@rule("div", "exp(a)/sum(exp(b)) is exp(a - logsumexp(b)): no overflow", "stable")
def softmax_to_exp_of_difference(g: Graph, a: Args) -> int | None:
    exponent, lse = _exponent(g, a[0]), _log_of_sum(g, a[1])
    if exponent is None or lse is None:
        return None
    return g.node("exp", g.sub(exponent, lse))


@rule("div", "1/(1 + exp(-x)) and exp(x)/(1 + exp(x)) are the logistic function", "stable")
def quotient_to_logistic(g: Graph, a: Args) -> int | None:
    rest = _one_plus(g, a[1])
    exponent = None if rest is None else _exponent(g, rest)
    if exponent is None:
        return None
    if a[0] == g.one:
        return g.node("logistic", g.neg(exponent))
    return g.node("logistic", exponent) if a[0] == rest else None


@rule("log", "log(logistic(x)) is -softplus(-x): no log of 0", "stable")
def log_logistic_to_softplus(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] != "logistic":
        return None
    return g.neg(g.node("softplus", g.neg(g.args[a[0]][0])))
