"""Stability rewrites: equal in exact arithmetic, more accurate (or finite) in floating point.

They fire while the expression is built, so before differentiation: the derivative of an unstable
form is unstable and no longer recognisable. `Graph(stabilise=False)` turns them off.
Sources: Blanchard, Higham & Higham 2021 (log-sum-exp, softmax); Maechler 2012 (log1pexp);
Higham 2002, Accuracy and Stability of Numerical Algorithms, section 1.14 (expm1, log1p).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from symgrad.ir.rules import Args, among, rule

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_MOST_FACTORS = 8  # a product is searched for exponentials this far: rules take constant time
_MOST_TERMS = 8  # and a sum


def _log_of_sum(g: Graph, node: int) -> int | None:
    """log(S) without overflow when `node` is S = sum of exp(e), read from a definition or written out."""
    if g.op[node] == "add":
        return _log_of_terms(g, node)
    if g.op[node] != "read":
        return None
    t = g.tensors[g.args[node][0]]
    if t.kind != "sum" or g.op[t.body] != "exp":
        return None
    lse = g.define("logsumexp", t.out, t.red, g.args[t.body][0])
    return g.read(lse, *g.args[node][1:])


def _log_of_terms(g: Graph, node: int) -> int | None:
    """log(exp(a) + exp(b) + ...), by pairs; the terms may have positive factors, or be positive numbers."""
    rest = _one_plus(g, node)
    if rest is not None and _exponent(g, rest) is not None:
        return None  # softplus and the logistic function have rules of their own
    logs: list[int | None] = []
    stack = [node]
    while stack and len(stack) + len(logs) <= _MOST_TERMS:
        part = stack.pop()
        if g.op[part] == "add":
            stack += g.args[part][::-1]
        else:
            logs.append(_log_of_term(g, part))
    known = [part for part in logs if part is not None]
    if stack or len(known) < len(logs) or all(g.op[part] in ("const", "log") for part in known):
        return None
    total = known[0]
    for part in known[1:]:
        total = g.node("logaddexp", total, part)
    return total


def _log_of_term(g: Graph, node: int) -> int | None:
    """log of c*exp(x), exp(x) or c, for a rational c > 0."""
    exponent = _exponent(g, node)
    if exponent is not None:
        return exponent
    factor, rest = (g.args[node][0], g.args[node][1]) if g.op[node] == "mul" else (node, None)
    q = g.rational(factor)
    if q is None or q <= 0 or (rest is not None and g.op[rest] != "exp"):
        return None
    log = g.node("log", factor)
    return log if rest is None else g.add(g.args[rest][0], log)


def _exponent(g: Graph, node: int) -> int | None:
    return int(g.args[node][0]) if g.op[node] == "exp" else None


def _one_plus(g: Graph, node: int) -> int | None:
    """x if `node` is 1 + x."""
    if g.op[node] != "add":
        return None
    a, b = g.arguments[node]
    if a == g.one:
        return b
    return a if b == g.one else None


@rule(
    "log", "a determinant overflows where its logarithm does not", "stable",
    on=among("read", "abs", "mul"),
)  # fmt: skip
def log_determinant(g: Graph, a: Args) -> int | None:
    """log(c det(A)) for a rational c > 0, and log|det(A)|."""
    op, args = g.op[a[0]], g.args[a[0]]
    if op == "mul":
        q = g.rational(args[0])
        rest = _log_det(g, args[1], "log_det") if q is not None and q > 0 else None
        return None if rest is None else g.add(g.node("log", args[0]), rest)
    return _log_det(g, args[0], "log_abs_det") if op == "abs" else _log_det(g, a[0], "log_det")


def _log_det(g: Graph, node: int, name: str) -> int | None:
    """The function `name` of the matrix whose determinant `node` is."""
    t = g.tensors[g.args[node][0]] if g.op[node] == "read" else None
    if t is None or t.name != "det" or t.kind != "call":
        return None
    return g.read(g.define("call", t.out, t.red, t.bodies, name=name), *g.args[node][1:])


@rule(
    "log", "log(sum exp(e)) overflows for e > 709; shifted by the largest e it does not", "stable",
    on=among("read", "add"),
)  # fmt: skip
def log_sum_exp(g: Graph, a: Args) -> int | None:
    return _log_of_sum(g, a[0])


@rule("log", "log(1 + exp(x)) overflows for x > 709; softplus does not", "stable", on=among("add"))
def log_one_plus_exp_to_softplus(g: Graph, a: Args) -> int | None:
    rest = _one_plus(g, a[0])
    exponent = None if rest is None else _exponent(g, rest)
    return None if exponent is None else g.node("softplus", exponent)


@rule("log", "1 + x rounds x away when x is small; log1p does not", "stable", on=among("add", "sub"))
def log_one_plus_to_log1p(g: Graph, a: Args) -> int | None:
    rest = _one_plus(g, a[0])
    if rest is not None:
        return g.node("log1p", rest)
    if g.op[a[0]] == "sub" and g.args[a[0]][0] == g.one:
        return g.node("log1p", g.neg(g.args[a[0]][1]))
    return None


@rule("sub", "exp(x) - 1 cancels near 0; expm1 does not", "stable", on=among("const"))
def exp_minus_one_to_expm1(g: Graph, a: Args) -> int | None:
    x, y = a
    if y == g.one and g.op[x] == "exp":
        return g.node("expm1", g.args[x][0])
    if x == g.one and g.op[y] == "exp":
        return g.neg(g.node("expm1", g.args[y][0]))
    return None


@rule("add", "exp(x) + (-1) is expm1(x)", "stable", on=among("const"))
def exp_plus_minus_one_to_expm1(g: Graph, a: Args) -> int | None:
    for x, y in (a, a[::-1]):
        if g.op[x] == "exp" and g.rational(y) == -1:
            return g.node("expm1", g.args[x][0])
    return None


def _factors(g: Graph, node: int) -> list[int]:
    """The factors of a product (-1 for a sign); a product of more than a few is one factor."""
    factors: list[int] = []
    stack = [node]
    while stack and len(stack) + len(factors) <= _MOST_FACTORS:
        part = stack.pop()
        if g.op[part] == "neg":
            stack += [g.const(-1), g.args[part][0]]
        elif g.op[part] == "mul":
            stack += g.args[part][::-1]
        else:
            factors.append(part)
    return [node] if stack else factors


def _quotient(g: Graph, above: list[int], below: list[int]) -> int:
    """The product of one list divided by the product of the other."""
    numerator, denominator = g.one, g.one
    for factor in above:
        numerator = g.mul(numerator, factor)
    for factor in below:
        denominator = g.mul(denominator, factor)
    return g.div(numerator, denominator)


def _without(factors: list[int], place: int) -> list[int]:
    return factors[:place] + factors[place + 1 :]


@rule(
    "div", "exp(a)/sum(exp(b)) is exp(a - logsumexp(b)), other factors aside: no overflow", "stable",
    on=among("exp", "mul", "neg"),
)  # fmt: skip
def softmax_to_exp_of_difference(g: Graph, a: Args) -> int | None:
    above = _factors(g, a[0])
    k = next((k for k, factor in enumerate(above) if g.op[factor] == "exp"), None)
    below = [] if k is None else _factors(g, a[1])
    for place, divisor in enumerate(below):
        lse = _log_of_sum(g, divisor)
        if k is not None and lse is not None:
            softmax = g.node("exp", g.sub(g.args[above[k]][0], lse))
            return _quotient(g, [*_without(above, k), softmax], _without(below, place))
    return None


@rule(
    "div", "sum(w*exp(e))/sum(exp(e)) is sum(w*exp(e - logsumexp(e))): a mean under a softmax", "stable",
    on=among("read"),
)  # fmt: skip
def weighted_mean_to_softmax(g: Graph, a: Args) -> int | None:
    lse = _log_of_sum(g, a[1])
    if lse is None or g.op[a[0]] != "read" or g.tensors[g.args[a[0]][0]].kind != "sum":
        return None
    top, bottom = g.tensors[g.args[a[0]][0]], g.tensors[g.args[a[1]][0]]
    red = {r: g.fresh_axis(g.extent(r)) for r in top.red}
    body = g.substitute(top.body, {**red, **dict(zip(top.out, g.args[a[0]][1:], strict=True))})
    places = dict(zip(bottom.out, g.args[a[1]][1:], strict=True))
    wanted = _alpha_exponent(g, g.args[bottom.body][0], places, bottom.red)
    for exponential in _exponential_factors(g, body):
        exponent = g.args[exponential][0]
        if _alpha_exponent(g, exponent, {}, tuple(red.values())) == wanted:
            shifted = g.substitute(body, {exponential: g.node("exp", g.sub(exponent, lse))})
            out = g.first_occurrence(shifted, g.axes[shifted] - frozenset(red.values()))
            return g.read(g.define("sum", out, tuple(red.values()), shifted), *out)
    return None


def _alpha_exponent(g: Graph, exponent: int, known: dict[int, int], red: tuple[int, ...]) -> int | None:
    """The exponent with its summed axes numbered by appearance: equal for equal sums."""
    order = g.first_occurrence(exponent, frozenset(red))
    if len(order) != len(red):
        return None
    # Negative numbers: a definition's own axes count from 0, and one of them may be free in the exponent.
    numbered = {r: g.axis(-1 - k, g.extent(r)) for k, r in enumerate(order)}
    return g.substitute(exponent, {**known, **numbered})


def _exponential_factors(g: Graph, body: int) -> list[int]:
    """Factors exp(..) of the top-level product of `body`."""
    found, stack = [], [body]
    while stack:
        n = stack.pop()
        if g.op[n] == "mul":
            stack.extend(g.args[n])
        elif g.op[n] in ("neg", "div"):
            stack.append(g.args[n][0])
        elif g.op[n] == "exp":
            found.append(n)
    return found


@rule(
    "div", "1/(1 + exp(-x)) and exp(x)/(1 + exp(x)), times other factors, are logistic(x)", "stable",
    on=among("add", "mul", "neg"),
)  # fmt: skip
def quotient_to_logistic(g: Graph, a: Args) -> int | None:
    below = _factors(g, a[1])
    for place, divisor in enumerate(below):
        power = _one_plus(g, divisor)
        exponent = None if power is None else _exponent(g, power)
        if exponent is None:
            continue
        above = _factors(g, a[0])
        if power in above:
            k, logistic = above.index(power), g.node("logistic", exponent)
            above = _without(above, k)
        else:
            logistic = g.node("logistic", g.neg(exponent))
        return _quotient(g, [*above, logistic], _without(below, place))
    return None


@rule("exp", "exp(x - log(exp(x) + exp(y))) is logistic(x - y): no cancellation", "stable", on=among("sub"))
def share_of_two_to_logistic(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] != "sub":
        return None
    x, total = g.args[a[0]]
    if g.op[total] != "logaddexp" or x not in g.args[total]:
        return None
    first, second = g.args[total]
    return g.node("logistic", g.sub(x, second if x == first else first))


@rule("log", "log(logistic(x)) is -softplus(-x): no log of 0", "stable", on=among("logistic"))
def log_logistic_to_softplus(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] != "logistic":
        return None
    return g.neg(g.node("softplus", g.neg(g.args[a[0]][0])))


def _may_regularise(ops: Sequence[str]) -> bool:
    return ops[0] in ("mul", "neg") and ops[1] in ("mul", "gamma")


@rule(
    "div", "lowergamma(s, x)/gamma(s) is the regularised function: gamma(s) overflows for s > 171", "stable",
    on=_may_regularise,
)  # fmt: skip
def incomplete_gamma_to_regularised(g: Graph, a: Args) -> int | None:
    above, below = _factors(g, a[0]), _factors(g, a[1])
    for factor in above:
        if g.op[factor] in ("gammainc", "gammaincc"):
            whole = g.node("gamma", g.args[factor][0])
            if whole in above and whole in below:
                return _quotient(g, _without(above, above.index(whole)), _without(below, below.index(whole)))
    return None
