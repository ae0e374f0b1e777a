"""Entropies of two states, written with softplus, the logistic function, and log(cosh(x)).

    softplus(z) - w*z    is    w*softplus(-z) + (1 - w)*softplus(z)

which for w = logistic(z) is the entropy -w*log(w) - (1 - w)*log(1 - w), an op of its own with the slope
-z*w*(1 - w), and for another logistic function w,
or a w that is written as 1 - y, the cross-entropy with a soft label. Where w is near 1 and z large,
softplus(z) and w*z cancel; the terms on the right are never negative. With z = 2*x,
log(2*cosh(x)) - x*tanh(x) is the entropy, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from symgrad.ir.rules import Args, exactly
from symgrad.ir.stability.audit import Audit, at, at_pairs, stable
from symgrad.ir.stability.patterns import (
    all_factors,
    exponent_of,
    factors_of,
    multiple_of,
    one_plus,
    quotient_of,
    remove,
    sum_of_signed,
    terms_of,
    without,
)
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Terms = list[tuple[int, int]]  # (sign, term)
_SOURCE = "Cover & Thomas 2006, section 2.1; Maechler 2012"
_WEIGHTS = {"softplus": ("logistic", "sub"), "logcosh": ("tanh",)}
_ANY_WEIGHT = tuple(op for ops in _WEIGHTS.values() for op in ops)
_SUMS = ("add", "sub", "mul", "div", "neg", *_WEIGHTS)


def _may_hold(ops: Sequence[str]) -> bool:
    return all(op in _SUMS or op in ("logistic_slope", "mask") for op in ops)


@stable(
    "add",
    "softplus(x) - x*p cancels where p is near 1: an entropy of two states, or a cross-entropy",
    Audit("log(1 + exp(x)) - x/(1 + exp(-x))", "logistic_entropy(x), or p*softplus(-z) + (1 - p)*softplus(z)",
          "any logistic function p, p = 1 - y, multiples, differences of two; log(2*cosh(x)) - x*tanh(x)",
          _SOURCE, at(40.0, 700.0, 3.0, -20.0)),
    on=_may_hold,
    needs=tuple(_WEIGHTS),
)  # fmt: skip
def softplus_less_weighted(g: Graph, a: Args) -> int | None:
    return _in_sum(g, [*terms_of(g, a[0]), *terms_of(g, a[1])])


@stable(
    "sub",
    "log(2*cosh(x)) - x*tanh(x) in derivatives cancels where tanh is near 1",
    Audit("y*log(2*cosh(x/y))", "by y: logistic_entropy(2*x/y)", "as above", _SOURCE,
          at_pairs((20.0, 1.0), (5.0, 0.5), (0.25, 1.0), (-700.0, 2.0))),
    on=lambda ops: ops[0] in ("add", *_WEIGHTS) and ops[1] == "mul",
    needs=tuple(_WEIGHTS),
)  # fmt: skip
def weighted_from_softplus(g: Graph, a: Args) -> int | None:
    return _in_sum(g, [*terms_of(g, a[0]), *((-s, t) for s, t in terms_of(g, a[1]))])


def _in_sum(g: Graph, terms: Terms) -> int | None:
    """The sum with two terms of it together, also of terms under one mask."""
    predicates = {g.args[term][0] for _, term in terms if g.op[term] == "mask"}
    if len(predicates) != 1:
        return None if predicates else _mixed(g, terms)
    opened, apart = list[tuple[int, int]](), list[tuple[int, int]]()
    for sign, term in terms:
        if g.op[term] == "mask":
            opened += [(sign * s, t) for s, t in terms_of(g, g.args[term][1])]
        else:
            apart.append((sign, term))
    made = _mixed(g, [*apart, *opened])
    return None if made is None else g.where(predicates.pop(), made, sum_of_signed(g, apart))


@stable(
    "add",
    "terms of derivatives of p*softplus(-x) + (1 - p)*softplus(x) cancel next to 0, where these are small",
    Audit("exp(-log(1/(1 + exp(-x)))/(1 + exp(-x)) - log(1/(1 + exp(x)))/(1 + exp(x)))",
          "exp(logistic_entropy(x))", "an entropy of two states that is written with its shares", _SOURCE,
          at(1e-9, -1e-3, 3.0, -40.0)),
    on=lambda ops: all(op == "mul" for op in ops),
    needs=("softplus",),
)  # fmt: skip
def shares_times_their_logarithms(g: Graph, a: Args) -> int | None:
    first, second = (factors_of(g, side) for side in a)
    for factor in first:
        if g.op[factor] != "logistic":
            continue
        (z,) = g.args[factor]
        up, down = g.neg(z), z
        mine, missing = remove(first, [factor, g.node("softplus", up)])
        others, absent = remove(second, [g.node("logistic", up), g.node("softplus", down)])
        if not missing and not absent and sorted(mine) == sorted(others):
            return quotient_of(g, [*mine, g.node("logistic_entropy", z)], [])
    return None


@stable(
    "mul",
    "(1 + exp(x))*exp(-x*p) overflows, and is 1 where all that is left of it is the entropy that it is of",
    Audit("exp(log(1 + exp(x)) - x/(1 + exp(-x)))", "exp(logistic_entropy(x))",
          "the perplexity of two states", _SOURCE, at(800.0, -40.0, 1e-9, 3.0)),
    on=exactly("add", "exp"),
    needs=("exp",),
)  # fmt: skip
def exponential_of_entropy(g: Graph, a: Args) -> int | None:
    for total, power in (a, a[::-1]):
        rest, exponent = one_plus(g, total), exponent_of(g, power)
        z = None if rest is None else exponent_of(g, rest)
        if z is not None and exponent is not None:
            made = _mixed(g, [(1, g.node("softplus", z)), *terms_of(g, exponent)])
            return None if made is None else g.node("exp", made)
    return None


@stable(
    "log",
    "an entropy far out is x*exp(-x) and less: of the derivatives of its logarithm, what is left of 1",
    Audit("log(log(1 + exp(x)) - x/(1 + exp(-x)))",
          "log(log1prel(exp(-|x|)) + |x|*logistic(|x|)) - |x| for |x| > 1", "an entropy of two states",
          _SOURCE, at(100.0, -740.0, 1e-9, 3.0)),
    on=exactly("logistic_entropy"),
)  # fmt: skip
def log_of_entropy(g: Graph, a: Args) -> int | None:
    """Each arm is of numbers that it is for: neither overflows where the other one is taken."""
    if g.op[a[0]] != "logistic_entropy" or g.op[g.args[a[0]][0]] == "where":
        return None
    (z,) = g.args[a[0]]
    is_far = g.node("lt", g.one, g.node("abs", z))
    size = g.where(is_far, g.node("abs", z), g.one)
    over = g.add(g.node("log1prel", g.node("exp", g.neg(size))), g.mul(size, g.node("logistic", size)))
    near = g.node("log", g.node("logistic_entropy", g.where(is_far, g.zero, z)))
    return g.where(is_far, g.sub(g.node("log", over), size), near)


@dataclass(frozen=True)
class Part:
    """sign*times*f(z), the term at a place of a sum: f is softplus or log(cosh), or the weight beside it."""

    place: int
    sign: int
    op: str
    function: int
    times: int

    def argument(self, g: Graph) -> int:
        return int(g.args[self.function][0])


def _mixed(g: Graph, terms: Terms) -> int | None:
    totals = _parts(g, terms, tuple(_WEIGHTS))
    weighted = _parts(g, terms, _ANY_WEIGHT) if totals else []
    for part in weighted:
        made = _with(g, terms, totals, part)
        if made is not None:
            return made
    return None


def _parts(g: Graph, terms: Terms, ops: Sequence[str]) -> list[Part]:
    """The terms with a factor of one of these ops; a difference counts if it is 1 - y."""
    found = []
    for place, (sign, term) in enumerate(terms):
        above, below = all_factors(g, term)
        for k, factor in enumerate(above):
            if g.op[factor] in ops and (g.op[factor] != "sub" or g.args[factor][0] == g.one):
                times = quotient_of(g, *remove(without(above, k), below))
                found.append(Part(place, sign, g.op[factor], factor, times))
                break
    return found


def _with(g: Graph, terms: Terms, totals: Sequence[Part], part: Part) -> int | None:
    """The sum with a weighted value and what it is less than, or two such, put together."""
    used = _less(g, totals, part, part.sign, part.times)
    if used is None and g.op[part.times] in ("add", "sub"):
        each = [_less(g, totals, part, part.sign * s, n) for s, n in terms_of(g, part.times)]
        used = None if None in each else [total for found in each for total in found or ()]
    if used is None or len({total.place for total in used}) < len(used) or len({t.times for t in used}) > 1:
        return None
    left = [term for k, term in enumerate(terms) if k not in (part.place, *(total.place for total in used))]
    if part.op == "tanh":
        for total in used:
            log = (total.sign, g.mul(total.times, g.node("log", g.const(2))))
            if log not in left:
                return None
            left.remove(log)
    return sum_of_signed(g, [(1, _cross_entropy(g, used, part)), *left])


def _less(g: Graph, totals: Sequence[Part], part: Part, sign: int, value: int) -> list[Part] | None:
    """The term times*f(z) beside -times*z*p."""
    for total in totals:
        if part.op in _WEIGHTS[total.op]:
            whole = g.mul(total.times, total.argument(g))
            if multiple_of(g, value, whole) == -sign * total.sign:
                return [total]
    return None


def _cross_entropy(g: Graph, totals: Sequence[Part], part: Part) -> int:
    """times*(w*softplus(-z) + (1 - w)*softplus(z)), or the sum of two."""
    by = g.const(2 if part.op == "tanh" else 1)
    if len(totals) == 1 and part.op != "sub" and totals[0].argument(g) == part.argument(g):
        entropy = g.node("logistic_entropy", g.mul(by, part.argument(g)))
        return g.mul(totals[0].times, entropy if totals[0].sign > 0 else g.neg(entropy))
    arguments = [(total.sign, g.mul(by, total.argument(g))) for total in totals]
    down, up = (
        sum_of_signed(g, [(sign, g.node("softplus", z)) for sign, z in side])
        for side in ([(sign, g.neg(z)) for sign, z in arguments], arguments)
    )
    if part.op == "sub":
        p, rest = part.function, int(g.args[part.function][1])
    else:
        p = g.node("logistic", g.mul(by, part.argument(g)))
        rest = g.sub(g.one, p)
    return g.mul(totals[0].times, g.add(g.mul(p, down), g.mul(rest, up)))
