"""Functions of exp(z) that is small: what they are nearly, exp(z), is taken out of logarithms and quotients.

With E = exp(z), softplus(z) = log(1 + E), 1 - exp(-E) and exp(E) - 1 are E times what is nearly 1,

    log(1 + E)/E = log1prel(E)        (exp(E) - 1)/E = exprel(E)

so that log(softplus(z)) and log(1 - exp(-E)) are z plus a small number, and the hazard p/softplus(z) is
nearly 1. As they are written, their derivatives are differences of numbers near 1 where z is far below 0, and
nothing is left of these.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.rules import Args, among
from symgrad.ir.stability.audit import Audit, at, stable
from symgrad.ir.stability.patterns import (
    exponent_of,
    factors_of,
    numbered,
    one_plus,
    quotient_of,
    remove,
    sum_of_signed,
    terms_of,
    without,
)

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_SOURCE = "Maechler 2012"
_LINK = "Maechler 2012; McCullagh & Nelder 1989, section 4.3"
_SMALL = at(-10.0, -30.0, -740.0, 0.5, 40.0)
_LIKE = ("exp", "exp_of_sum", "logistic")  # exp(z), times others, and exp(z)/(1 + exp(z))


def _far(g: Graph, z: int) -> int:
    """z where it is not below 0: what a rule here has made of it, it leaves alone."""
    return g.where(g.node("lt", z, g.zero), g.zero, z)


def _is_far(g: Graph, z: int) -> bool:
    return g.op[z] == "where" and g.args[z][1] == g.zero


# ---- logarithms --------------------------------------------------------------------------------


@stable(
    "log",
    "log(softplus(x)) is nearly x for x far below 0: its second derivative is what is left of 1",
    Audit("log(log(1 + exp(x)))", "x + log(log1prel(exp(x))) for x < 0", "always", _SOURCE, _SMALL),
    on=among("softplus"),
)
def log_of_softplus(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] != "softplus" or _is_far(g, g.args[a[0]][0]):
        return None
    (z,) = g.args[a[0]]
    near = g.add(z, g.node("log", g.node("log1prel", g.node("exp", z))))
    return g.where(g.node("lt", z, g.zero), near, g.node("log", g.node("softplus", _far(g, z))))


@stable(
    "log1mexp",
    "log(1 - exp(-exp(x))) is nearly x for x far below 0: the complementary log-log link",
    Audit("log(1 - exp(-exp(x)))", "x + log(exprel(-exp(x))) for x < 0",
          "a positive number before the inner exponential counts", _LINK, _SMALL),
    on=among("neg", "mul"),
)  # fmt: skip
def log1mexp_of_small(g: Graph, a: Args) -> int | None:
    return _vanishing(g, "log1mexp", a[0])


@stable(
    "logexpm1",
    "log(exp(exp(x)) - 1) is nearly x for x far below 0",
    Audit("log(exp(exp(x)) - 1)", "x + log(exprel(exp(x))) for x < 0", "likewise", _LINK, _SMALL),
    on=among("exp", "mul"),
)  # fmt: skip
def logexpm1_of_small(g: Graph, a: Args) -> int | None:
    return _vanishing(g, "logexpm1", a[0])


def _vanishing(g: Graph, op: str, x: int) -> int | None:
    """log|exp(x) - 1| for x = c*exp(z)."""
    number, power = numbered(g, x)
    z = exponent_of(g, power)
    if z is None or _is_far(g, z) or (number < 0) != (op == "log1mexp"):
        return None
    near = g.add(g.add(z, g.node("log", g.const(abs(number)))), g.node("log", g.node("exprel", x)))
    return g.where(g.node("lt", z, g.zero), near, g.node(op, g.substitute(x, {z: _far(g, z)})))


# ---- quotients ---------------------------------------------------------------------------------


@stable(
    "div",
    "softplus(x), and exp(exp(x)) - 1, over exp(x) or over logistic(x) are nearly 1 for x far below 0",
    Audit("exp(x)/(exp(exp(x)) - 1)", "1/exprel(exp(x)) for x < 0",
          "either above the other, beside other factors", _SOURCE, at(-10.0, -30.0, -740.0, 0.5, 3.0)),
    on=among("softplus", "expm1", "mul", "neg"),
    needs=("softplus", "expm1"),
)  # fmt: skip
def quotient_with_small_exponential(g: Graph, a: Args) -> int | None:
    above, below = factors_of(g, a[0]), factors_of(g, a[1])
    for mine, others, is_above in ((above, below, True), (below, above, False)):
        for place, factor in enumerate(mine):
            if g.op[factor] not in ("softplus", "expm1"):
                continue
            for k, other in enumerate(others):
                made = _relative(g, factor, other) if g.op[other] in _LIKE else None
                if made is not None:
                    z, near = made
                    known = {z: _far(g, z)}
                    top, bottom = (g.substitute(n, known) for n in (factor, other))
                    far = g.div(top, bottom) if is_above else _over(g, bottom, top)
                    near = near if is_above else g.div(g.one, near)
                    ratio = g.where(g.node("lt", z, g.zero), near, far)
                    left, rest = without(mine, place), without(others, k)
                    return quotient_of(g, [ratio, *(left if is_above else rest)], rest if is_above else left)
    return None


def _over(g: Graph, above: int, below: int) -> int:
    """The quotient as it is written; exp(z)/(exp(E) - 1), which overflows, is exp(z - E)/(1 - exp(-E))."""
    if g.op[below] == "expm1" and g.op[above] == "exp" and numbered(g, g.args[below][0])[0] > 0:
        less = g.neg(g.args[below][0])
        above, below = g.node("exp", g.add(g.args[above][0], less)), g.neg(g.node("expm1", less))
    return g.div(above, below)


def _relative(g: Graph, factor: int, other: int) -> tuple[int, int] | None:
    """z, and for small exp(z) the function of softplus(z), or exp(c*exp(z)) - 1, over what is as small."""
    if g.op[factor] == "expm1":
        return _expm1_over(g, factor, other)
    (z,) = g.args[factor]
    if g.op[other] not in ("exp", "logistic") or g.args[other][0] != z or _is_far(g, z):
        return None
    power = g.node("exp", z)
    near = g.node("log1prel", power)
    return z, (near if g.op[other] == "exp" else g.mul(near, g.add(g.one, power)))


def _expm1_over(g: Graph, factor: int, other: int) -> tuple[int, int] | None:
    """Over exp(z), exp(z + y) or exp(z)*exp(y)."""
    number, power = numbered(g, g.args[factor][0])
    z = exponent_of(g, power)
    if z is None or g.op[other] == "logistic" or _is_far(g, z):
        return None
    exponents = g.args[other] if g.op[other] == "exp_of_sum" else (g.args[other][0],)
    for k, x in enumerate(exponents):
        left, missing = remove(terms_of(g, x), terms_of(g, z))
        if not missing:
            rest = [sum_of_signed(g, left), *exponents[:k], *exponents[k + 1 :]]
            near = g.mul(g.const(number), g.node("exprel", g.args[factor][0]))
            beside = [g.node("exp", g.neg(y)) for y in rest if y != g.zero]
            return z, quotient_of(g, [near, *beside], [])
    return None


@stable(
    "div",
    "1/softplus(x) is nearly exp(-x) for x far below 0, where powers of softplus(x) underflow; x/softplus(x)",
    Audit("x/log(1 + exp(x))", "x*exp(-x)/log1prel(exp(x)) for x < 0, 1 - softplus(-x)/softplus(x) for x > 1",
          "above stands nothing that is as small", _SOURCE, at(-10.0, -300.0, -600.0, 0.5, 40.0)),
    on=lambda ops: ops[1] in ("softplus", "mul", "neg"),
    needs=("softplus",),
)  # fmt: skip
def over_softplus(g: Graph, a: Args) -> int | None:
    above, below = factors_of(g, a[0]), factors_of(g, a[1])
    place = next((k for k, f in enumerate(below) if g.op[f] == "softplus"), None)
    if place is None or any(g.op[f] in (*_LIKE, "logistic_slope", "softplus", "expm1", "div") for f in above):
        return None
    (z,) = g.args[below[place]]
    if _is_far(g, z):
        return None
    power, far = g.node("exp", z), _far(g, z)
    near = g.div(g.node("exp", g.neg(z)), g.node("log1prel", power))
    if z in above:
        near, above = g.mul(z, near), without(above, above.index(z))
        most = g.where(g.node("lt", g.one, z), z, g.one)
        share = g.div(g.node("softplus", g.neg(most)), g.intern("softplus", (most,)))
        apart = g.where(g.node("lt", g.one, z), g.sub(g.one, share), g.div(far, g.node("softplus", far)))
    else:
        apart = g.div(g.one, g.node("softplus", far))
    made = g.where(g.node("lt", z, g.zero), near, apart)
    return quotient_of(g, [*above, made], without(below, place))


@stable(
    "sqrt",
    "the root of softplus(x) is that of exp(x) for x far below 0: softplus(x) underflows, its powers before",
    Audit("sqrt(log(1 + exp(x)))", "exp(x/2)*sqrt(log1prel(exp(x))) for x < 0", "always", _SOURCE,
          at(-10.0, -300.0, -740.0, 0.5, 40.0)),
    on=among("softplus"),
)  # fmt: skip
def root_of_softplus(g: Graph, a: Args) -> int | None:
    if g.op[a[0]] != "softplus" or _is_far(g, g.args[a[0]][0]):
        return None
    (z,) = g.args[a[0]]
    half = g.node("exp", g.mul(g.const(Fraction(1, 2)), z))
    near = g.mul(half, g.node("sqrt", g.node("log1prel", g.node("exp", z))))
    return g.where(g.node("lt", z, g.zero), near, g.node("sqrt", g.node("softplus", _far(g, z))))


@stable(
    "mul",
    "exp(-x)*softplus(x) is nearly 1 for x far below 0",
    Audit("exp(-x)*log(1 + exp(x))", "log1prel(exp(x)) for x < 0", "1 + exp(-x), too; beside other factors",
          _SOURCE, at(-10.0, -30.0, -700.0, 0.5, 40.0)),
    on=among("softplus", "exp", "add"),
    needs=("softplus",),
)  # fmt: skip
def product_with_small_exponential(g: Graph, a: Args) -> int | None:
    for first, second in (a, a[::-1]):
        factors = factors_of(g, second) if g.op[first] in ("softplus", "exp", "add") else []
        for place, factor in enumerate(factors):
            made = _product(g, first, factor)
            if made is not None:
                return quotient_of(g, [made, *without(factors, place)], [])
    return None


def _product(g: Graph, x: int, y: int) -> int | None:
    """softplus(z)*exp(-z) and softplus(z)*(1 + exp(-z))."""
    softplus, other = (x, y) if g.op[x] == "softplus" else (y, x)
    if g.op[softplus] != "softplus" or g.op[other] not in ("exp", "add"):
        return None
    (z,) = g.args[softplus]
    inverse = other if g.op[other] == "exp" else one_plus(g, other)
    if inverse != g.node("exp", g.neg(z)) or _is_far(g, z):
        return None
    power = g.node("exp", z)
    near = g.node("log1prel", power)
    near = near if inverse == other else g.mul(near, g.add(g.one, power))
    far = g.mul(*(g.substitute(n, {z: _far(g, z)}) for n in (softplus, other)))
    return g.where(g.node("lt", z, g.zero), near, far)
