"""Logarithms whose argument overflows, underflows, or is rounded to 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symgrad.ir.product import powers_in
from symgrad.ir.rules import Args, among
from symgrad.ir.stability.audit import SCORES, Audit, at, at_pairs, stable
from symgrad.ir.stability.log_sums import log_of_sum
from symgrad.ir.stability.patterns import (
    MOST_FACTORS,
    argument_of,
    beside_one,
    exponent_of,
    factors_of,
    in_powers_of,
    one_minus_square,
    one_plus,
)

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_MAECHLER = "Maechler 2012"
_HIGHAM = "Higham 2002, section 1.14"
_LOG_SUM_EXP = "Blanchard, Higham & Higham 2021"


@stable(
    "log",
    "log(sum exp(e)) overflows for e > 709; shifted by the largest e it does not",
    Audit(
        "log(Sum(exp(v[i]), (i, 0, n - 1)))", "logsumexp(v)", "a sum of exponentials, with positive factors",
        _LOG_SUM_EXP, SCORES,
    ),
    on=among("read", "add"),
)  # fmt: skip
def log_sum_exp(g: Graph, a: Args) -> int | None:
    return log_of_sum(g, a[0])


@stable(
    "add",
    "c and the shift -c of every exponent of a log-sum-exp are nothing, and cancel only up to rounding",
    Audit(
        "v[0] + log(Sum(exp(v[i] - v[0]), (i, 0, n - 1)))", "logsumexp(v)",
        "what is added is what every exponent is shifted by, as by its largest entry", _LOG_SUM_EXP,
        ({"v": (0.0, 50.0, 45.0)}, {"v": (3.0, 0.5, -2.0)}),
    ),
    on=among("sub"),
    needs=("logsumexp",),
)  # fmt: skip
def shift_back_of_log_sum_exp(g: Graph, a: Args) -> int | None:
    for apart, shift in (a, a[::-1]):
        if g.op[apart] == "sub" and g.args[apart][1] == shift:
            total = g.args[apart][0]
            if g.op[total] == "read" and g.tensors[g.args[total][0]].kind == "logsumexp":
                return int(total)
    return None


@stable(
    "log",
    "log(1 + exp(x)) overflows for x > 709; softplus does not",
    Audit("log(1 + exp(x))", "softplus(x)", "always", _MAECHLER, at(1000.0, 40.0, 1e-8, -40.0)),
    on=among("add"),
)
def log_one_plus_exp_to_softplus(g: Graph, a: Args) -> int | None:
    rest = one_plus(g, a[0])
    exponent = None if rest is None else exponent_of(g, rest)
    return None if exponent is None else g.node("softplus", exponent)


@stable(
    "log1p",
    "log(1 + sum exp(e)) overflows for e > 709, and its derivatives are differences where the e have a shift",
    Audit(
        "log1p(Sum(exp(v[i] - v[0]), (i, 0, n - 1)))", "softplus(logsumexp(v) - v[0])",
        "a sum of exponentials", _MAECHLER, ({"v": (0.0, 1000.0, 999.0)}, {"v": (40.0, 0.0, 1.0)},
                                             {"v": (0.5, 1.0, -2.0)}),
    ),
    on=among("read"),
    needs=("exp",),
)  # fmt: skip
def log_one_plus_sum_of_exp_to_softplus(g: Graph, a: Args) -> int | None:
    total = log_of_sum(g, a[0]) if g.op[a[0]] == "read" else None
    return None if total is None else g.node("softplus", total)


@stable(
    "log",
    "1 - x**2 is (1 - x)*(1 + x): log of it near 1, log1p(-x**2) near 0",
    Audit(
        "log(1 - x**2)", "log1msq(x)", "always", _HIGHAM,
        at(1e-8, 0.3, 1 - 2.0**-40),
    ),
    on=among("square_difference"),
)  # fmt: skip
def log_one_minus_square(g: Graph, a: Args) -> int | None:
    x = one_minus_square(g, a[0])
    return None if x is None else g.node("log1msq", x)


@stable(
    "log",
    "1 + x rounds x away when x is small; log1p does not",
    Audit("log(1 + x)", "log1p(x)", "always; 1 - x counts", _HIGHAM, at(1e-12, -1e-9, 0.25, 5e-324)),
    on=among("add", "sub", "where"),
)
def log_one_plus_to_log1p(g: Graph, a: Args) -> int | None:
    rest = beside_one(g, a[0])
    return _log_of_choice(g, a[0]) if rest is None else g.node("log1p", rest)


def _log_of_choice(g: Graph, node: int) -> int | None:
    """The same where a rule has made a choice of 1 + x: one arm has its digits where it nearly vanishes."""
    op, args = g.written.get(node, ("", ()))
    rest = beside_one(g, g.intern(op, args)) if op in ("add", "sub") else None
    if rest is None:
        return None
    near, made, _ = g.args[node]
    return g.where(near, g.node("log", made), g.node("log1p", g.where(near, g.zero, rest)))


@stable(
    "log",
    "log(1 - exp(x)) loses its digits near 0 and far below it",
    Audit("log(1 - exp(x))", "log1mexp(x)", "always", _MAECHLER, at(-1e-10, -0.5, -2.0, -50.0, -720.0)),
    on=among("neg"),
)
def log_one_minus_exp_to_log1mexp(g: Graph, a: Args) -> int | None:
    inner = argument_of(g, "neg", a[0])
    exponent = None if inner is None else argument_of(g, "expm1", inner)
    return None if exponent is None else g.node("log1mexp", exponent)


@stable(
    "log",
    "log(exp(x) - 1) overflows for x > 709",
    Audit("log(exp(x) - 1)", "logexpm1(x)", "always", _MAECHLER, at(1e-10, 1.5, 36.0, 800.0)),
    on=among("expm1"),
)
def log_of_expm1_to_logexpm1(g: Graph, a: Args) -> int | None:
    x = argument_of(g, "expm1", a[0])
    return None if x is None else g.node("logexpm1", x)


@stable(
    "log",
    "log(exp(x) - exp(y)) overflows for x > 709 and cancels where x is near y",
    Audit(
        "log(exp(x) - exp(y))", "logsubexp(x, y)", "always", _MAECHLER,
        at_pairs((800.0, 799.0), (1.0, 1.0 - 2.0**-30), (3.0, -40.0), (-800.0, -801.0)),
    ),
    on=among("sub", "exp_difference"),
)  # fmt: skip
def log_difference_to_logsubexp(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] == "exp_difference":
        c, u, v = g.args[a[0]]
        return g.add(c, g.node("logsubexp", u, v))
    if g.op[a[0]] != "sub":
        return None
    x, y = (exponent_of(g, part) for part in g.args[a[0]])
    return None if x is None or y is None else g.node("logsubexp", x, y)


@stable(
    "log",
    "cosh(x) overflows for |x| > 710, and is rounded to 1 near 0",
    Audit("log(cosh(x))", "logcosh(x)", "always", _HIGHAM, at(1e-6, 0.5, 30.0, -800.0)),
    on=among("cosh"),
)
def log_of_cosh_to_logcosh(g: Graph, a: Args) -> int | None:
    x = argument_of(g, "cosh", a[0])
    return None if x is None else g.node("logcosh", x)


@stable(
    "log",
    "log(logistic(x)) is -softplus(-x): no log of 0, and no log of what was rounded to 1",
    Audit("log(1/(1 + exp(-x)))", "-softplus(-x)", "always", _MAECHLER, at(-800.0, 40.0, 0.5)),
    on=among("logistic"),
)
def log_logistic_to_softplus(g: Graph, a: Args) -> int | None:
    x = argument_of(g, "logistic", a[0])
    return None if x is None else g.neg(g.node("softplus", g.neg(x)))


@stable(
    "log",
    "x**n overflows and underflows before log(x**n) does, and its rounding is all there is near 1",
    Audit(
        "log(x**4)", "4*log(|x|)", "a product of equal factors; log(x) without |.| for an odd power", _HIGHAM,
        at(1e200, 1e-100, 1 + 2.0**-40, -3.0),
    ),
    on=among("mul"),
)  # fmt: skip
def log_of_power(g: Graph, a: Args) -> int | None:
    found = powers_in(g, a[0], MOST_FACTORS)
    if found is None or found[0] != 1 or len(found[1]) != 1:
        return None
    ((x, exponent),) = found[1].items()
    if exponent < 2 or g.op[x] == "const":
        return None
    rest = None if exponent % 2 else beside_one(g, x)
    log = g.node("log", x if exponent % 2 else g.node("abs", x))
    if rest is not None:
        near = g.node("lt", g.node("abs", rest), g.const(0.5))
        log = g.where(near, g.node("log1p", rest), log)
    return g.mul(g.const(exponent), log)


@stable(
    "log",
    "sqrt(x) rounds away half the digits of x - 1 near 1",
    Audit(
        "log(sqrt(x))", "log(x)/2", "always; of sums over an axis not: their norms do not overflow", _HIGHAM,
        at(1 + 2.0**-40, 0.5, 1e300),
    ),
    on=among("sqrt", "norm"),
)  # fmt: skip
def log_of_root(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] == "norm":
        r, s, t = g.args[a[0]]
        x = s if r == t else None  # `opt.ranges` sees to sums of squares that overflow
    else:
        x = argument_of(g, "sqrt", a[0])
    return None if x is None else g.mul(g.const(0.5), g.node("log", x))


@stable(
    "log",
    "hypot(1, x) is rounded to 1 for small x",
    Audit(
        "log(sqrt(1 + x**2))", "loghypot1(x)", "always", _HIGHAM,
        at(1e-6, 0.5, 3.0, 1e200),
    ),
    on=among("hypot"),
)  # fmt: skip
def log_of_hypot_of_one(g: Graph, a: Args) -> int | None:
    sides = g.args[a[0]] if g.op[a[0]] == "hypot" else ()
    if g.one not in sides:
        return None
    return g.node("loghypot1", sides[1] if sides[0] == g.one else sides[0])


@stable(
    "mul",
    "x*log(x) is nan at 0, where its limit is 0",
    Audit("x*y*log(x)", "y*xlogx(x)", "a factor x beside log(x)", "Cover & Thomas 2006, section 2.1",
          at_pairs((0.0, 2.0), (0.25, 1.0), (1e-300, 3.0), (5e-324, 4.0), (1e300, 0.5)), wrt=("y",),
          is_limit=True),
    on=among("log", "log_squares"),
)  # fmt: skip
def product_with_own_log_to_xlogx(g: Graph, a: Args) -> int | None:
    for log, other in (a, a[::-1]):
        x = _inside_log(g, log)
        factors = [] if x is None else in_powers_of(g, x, factors_of(g, other))
        if x is None or x not in factors or g.op[x] == "const":
            continue
        factors.remove(x)
        result = g.node("xlogx", x)
        for factor in factors:
            result = g.mul(factor, result)
        return result
    return None


@stable(
    "mul",
    "x*(1 + log(x)), as in derivatives of x**2*log(x), is nan at 0, where its limit is 0",
    Audit("x**2*log(x)", "by x: xlogx(x) + (xlogx(x) + x)", "a factor x beside log(x) in a sum of two",
          "Cover & Thomas 2006, section 2.1", at(0.0, 0.25, 1e-300, 1e100), is_limit=True),
    on=among("add", "sub"),
    needs=("log", "log_squares"),
)  # fmt: skip
def product_with_own_log_in_sum(g: Graph, a: Args) -> int | None:
    for total, other in (a, a[::-1]):
        if g.op[total] not in ("add", "sub"):
            continue
        for place, log in enumerate(g.args[total]):
            x = _inside_log(g, log)
            factors = [] if x is None else factors_of(g, other)
            if x is not None and x in factors and g.op[x] != "const":
                factors.remove(x)
                terms = list(g.args[total])
                terms[place], terms[1 - place] = g.node("xlogx", x), g.mul(x, terms[1 - place])
                made = g.node(g.op[total], *terms)
                for factor in factors:
                    made = g.mul(factor, made)
                return made
    return None


def _inside_log(g: Graph, node: int) -> int | None:
    """x if `node` is log(x), of squares too."""
    if g.op[node] == "log_squares":
        return g.sum_of(g.mul(side, side) for side in g.args[node])
    return argument_of(g, "log", node)
