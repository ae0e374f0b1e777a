"""Entropies of two states, written with softplus, the logistic function, and log(cosh(x)).

    softplus(z) - w*z    is    w*softplus(-z) + (1 - w)*softplus(z)

which for w = logistic(z) is the entropy -w*log(w) - (1 - w)*log(1 - w), and for another logistic function w,
or a w that is written as 1 - y, the cross-entropy with a soft label. Where w is near 1 and z large,
softplus(z) and w*z cancel; the terms on the right are never negative. With z = 2*x,
log(2*cosh(x)) - x*tanh(x) is the entropy, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from symgrad.ir.rules import MULTIPLE, Args
from symgrad.ir.stability.audit import Audit, at, stable
from symgrad.ir.stability.patterns import (
    all_factors,
    multiple_of,
    numbered,
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
    Audit("log(1 + exp(x)) - x/(1 + exp(-x))", "p*softplus(-x) + (1 - p)*softplus(x)",
          "any logistic function p, p = 1 - y, multiples, differences of two; log(2*cosh(x)) - x*tanh(x)",
          _SOURCE, at(40.0, 700.0, 3.0, -20.0)),
    on=_may_hold,
    needs=tuple(_WEIGHTS),
)  # fmt: skip
def softplus_less_weighted(g: Graph, a: Args) -> int | None:
    terms = [*terms_of(g, a[0]), *terms_of(g, a[1])]
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
    "c*p*softplus(z) - c*p*softplus(-z) is c*p*z: the slope of an entropy of two states vanishes with z",
    Audit("log(1 + exp(3*x)) - 3*x/(1 + exp(-3*x))", "by x: -9*x*p*(1 - p), p = logistic(3*x)",
          "in sums with opposite numbers before them", _SOURCE, at(1e-9, 0.5, 30.0, -20.0)),
    on=lambda ops: all(op == "mul" for op in ops),
    needs=("softplus",),
    of=lambda forms: all(form == MULTIPLE for form in forms),
)  # fmt: skip
def multiples_of_opposite_softplus(g: Graph, a: Args) -> int | None:
    (number, first), (opposite, second) = (numbered(g, side) for side in a)
    if number != -opposite or g.op[first] not in ("add", "sub") or g.op[second] not in ("add", "sub"):
        return None
    mine, others = terms_of(g, first), [(-s, t) for s, t in terms_of(g, second)]
    left, missing = remove(mine, [(-s, t) for s, t in others])
    terms = [*left, *((-s, t) for s, t in missing)]
    parts = _parts(g, terms, ("softplus",))
    for k, part in enumerate(parts):
        for other in parts[:k]:
            is_pair = part.times == other.times and part.sign == -other.sign
            if is_pair and multiple_of(g, part.argument(g), other.argument(g)) == -1:
                rest = [term for n, term in enumerate(terms) if n not in (part.place, other.place)]
                made = (part.sign, g.mul(part.times, part.argument(g)))
                return g.mul(g.const(number), sum_of_signed(g, [made, *rest]))
    return None


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
