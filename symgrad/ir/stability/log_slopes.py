"""log(f)/(f - 1) for a product, a quotient or a sum f: log(x*y)/(x*y - 1), log(x/y)/(x/y - 1).

Those of one value are in `singularities`, log(x/y)/(x - y) in `steps`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.rules import Args
from symgrad.ir.stability.audit import Audit, at_pairs, stable
from symgrad.ir.stability.patterns import PRODUCTS, factors_of, quotient_of, terms_of, without

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_LOGARITHMS = ("log", "log_product", "log_quotient", "log_squares")


def _has_logarithm(ops: Sequence[str]) -> bool:
    return any(op in _LOGARITHMS or op in PRODUCTS for op in ops)


@stable(
    "div",
    "log(x*y)/(x*y - 1) is nan at x*y = 1, where it is 1; its derivatives cancel near it",
    Audit("log(x*y)/(x*y - 1)", "log1prel(x*y - 1)", "1/2 < f < 3/2; a product, a quotient, a sum",
          "Higham 2002, section 1.14", at_pairs((2.0, 0.625), (4.0, 0.25 + 2.0**-30), (3.0, 2.0))),
    on=_has_logarithm,
    needs=(*_LOGARITHMS, "xlogy"),
)  # fmt: skip
def log_over_distance_from_one(g: Graph, a: Args) -> int | None:
    above, below = factors_of(g, a[0]), factors_of(g, a[1])
    for mine, others, is_above in ((above, below, True), (below, above, False)):
        for place, factor in enumerate(mine):
            if g.op[factor] not in _LOGARITHMS:
                continue
            for number, log in _written(g, factor):
                terms = _terms_inside(g, log)
                for at, distance in enumerate(others):
                    sign = _sign_of_distance(g, distance, terms)
                    if sign:
                        slope = _slope(g, log, distance, sign)
                        lists = ([number, *without(mine, place), slope], without(others, at))
                        return quotient_of(g, *(lists if is_above else lists[::-1]))
    return None


def _written(g: Graph, log: int) -> list[tuple[int, int]]:
    """A logarithm, with a number before it: that of x/y also as -log(y/x)."""
    if g.op[log] != "log_quotient":
        return [(g.one, log)]
    return [(g.one, log), (g.minus_one, g.intern("log_quotient", g.args[log][::-1]))]


def _terms_inside(g: Graph, log: int) -> Counter[int]:
    args = g.args[log]
    if g.op[log] == "log_product":
        return Counter([g.mul(*args)])
    if g.op[log] == "log_quotient":
        return Counter([g.div(*args)])
    if g.op[log] == "log_squares":
        return Counter(g.mul(x, x) for x in args)
    return _counted(g, args[0])


def _counted(g: Graph, node: int) -> Counter[int]:
    """The terms of a sum, how often each; a difference of squares is two."""
    found: Counter[int] = Counter()
    for sign, term in terms_of(g, node):
        if g.op[term] == "square_difference":
            x, y = g.args[term]
            found[g.mul(x, x)] += sign
            found[g.mul(y, y)] -= sign
        else:
            found[term] += sign
    return found


def _sign_of_distance(g: Graph, node: int, terms: Counter[int]) -> int:
    """1 for f - 1, -1 for 1 - f, else 0."""
    if g.op[node] not in ("add", "sub", "square_difference"):
        return 0
    wanted = Counter(terms)
    wanted[g.one] -= 1
    found = _counted(g, node)
    found[g.one] -= found.pop(g.minus_one, 0)
    for sign in (1, -1):
        if all(found[t] == sign * wanted[t] for t in {*found, *wanted}):
            return sign
    return 0


def _slope(g: Graph, log: int, distance: int, sign: int) -> int:
    """log(f)/distance: a factor above where the logarithm is, else below."""
    t = distance if sign > 0 else g.neg(distance)
    near = g.node("lt", g.node("abs", t), g.const(Fraction(1, 2)))
    if g.op[log] == "log_quotient":  # x - y is exact where x/y - 1 is rounded
        x, y = g.args[log]
        step = g.div(g.where(near, g.sub(x, y), g.zero), g.where(near, y, g.one))
    else:
        step = g.where(near, t, g.zero)
    regular = g.node("log1prel", step)
    if sign < 0:
        regular = g.neg(regular)
    apart = g.div(log, g.where(near, g.one, distance))
    return g.where(near, regular, apart)
