"""Logarithms of sums of shares of one softmax, as of a win and half of a tie.

    c1*p1 + c2*p2 + ... = A/(A + B),    A = the sum of c*exp(x), B = that of (1 - c)*exp(x)

for numbers c between 0 and 1: both sums are of positive terms, so that the logarithm has its digits where the
sum of shares is near 1, and where all of them underflow.

Source: Davidson 1970, On extending the Bradley-Terry model to accommodate ties; Maechler 2012.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.rules import Args, among
from symgrad.ir.stability.audit import Audit, at_pairs, stable
from symgrad.ir.stability.patterns import difference_of, numbered, terms_of

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph


@stable(
    "log",
    "a sum of shares is rounded to 1, or underflows, before its logarithm",
    Audit("log(exp(x)/(1 + exp(x) + exp(y)) + 1/(2*(1 + exp(x) + exp(y))))",
          "-softplus(logaddexp(y, -log(2)) - logaddexp(x, -log(2)))",
          "multiples between 0 and 1 of shares of one softmax that is written out",
          "Davidson 1970; Maechler 2012", at_pairs((40.0, 1.0), (-800.0, 3.0), (900.0, 850.0), (0.5, -3.0))),
    on=among("add"),
    needs=("share",),
)  # fmt: skip
def log_of_sum_of_shares(g: Graph, a: Args) -> int | None:
    left: dict[int, Fraction] = {}
    terms = terms_of(g, a[0])
    for sign, term in terms if len(terms) > 1 else ():
        number, share = numbered(g, term)
        if g.op[share] != "share" or not 0 < sign * number <= 1:
            return None
        x, *rest = g.args[share]
        left = left or dict.fromkeys(sorted((x, *rest)), Fraction(1))
        if sorted((x, *rest)) != list(left) or left[x] < 1:
            return None
        left[x] -= sign * number
    mine = [_score(g, x, 1 - c) for x, c in left.items() if c < 1]
    others = [_score(g, x, c) for x, c in left.items() if c]
    if not mine or not others:
        return None
    return g.neg(g.node("softplus", difference_of(g, _log_sum(g, others), _log_sum(g, mine))))


def _score(g: Graph, x: int, number: Fraction) -> int:
    """The logarithm of number*exp(x)."""
    return g.add(x, g.node("log", g.const(number)))


def _log_sum(g: Graph, scores: list[int]) -> int:
    return g.node("logaddexp", *scores) if len(scores) > 1 else scores[0]
