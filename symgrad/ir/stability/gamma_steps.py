"""Differences of loggamma and digamma at arguments with a term in common: log beta functions, binomials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symgrad.ir.composites.differences import difference_node
from symgrad.ir.rules import Args, among, exactly
from symgrad.ir.special.differences import rise
from symgrad.ir.stability.audit import Audit, at_pairs, stable
from symgrad.ir.stability.patterns import common_terms

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_SOURCE = "DLMF 5.11, 5.12.1; Higham 2002, section 1.7"


@stable(
    "sub",
    "digamma(x + y) - digamma(x) cancels where y is small beside x",
    Audit("digamma(x + y) - digamma(x)", "polygamma_rise_0(x, y)", "a term in common", _SOURCE,
          at_pairs((1.0, 1e-12), (1e8, 0.5), (3.0, 2.0), (0.25, 1e-3)), digits=400),
    on=exactly("digamma", "digamma"),
)  # fmt: skip
def difference_of_digammas(g: Graph, a: Args) -> int | None:
    if any(g.op[part] != "digamma" for part in a):
        return None
    parts = common_terms(g, *(g.args[part][0] for part in a))
    if parts is None:
        return None
    c, u, v = parts
    if u == g.zero:  # from what is a sum to its part: the derivatives by the step would cancel
        return g.neg(rise(g, c, v))
    return rise(g, g.add(c, v), g.sub(u, v))


@stable(
    "add",
    "loggamma(x) - loggamma(x + y) + loggamma(y): the step of the difference may be the larger of the two",
    Audit("loggamma(x) + loggamma(y) - loggamma(x + y)",
          "the smaller one less the rise of the larger one", "arguments with a term in common",
          _SOURCE, at_pairs((3.0, 1e10), (1e10, 3.0), (0.5, 0.25), (2.0, 3.0)), digits=400),
    on=among("loggamma"),
    needs=("loggamma_difference",),
)  # fmt: skip
def log_beta(g: Graph, a: Args) -> int | None:
    for difference, other in (a, a[::-1]):
        if g.op[other] == "loggamma":
            made = _smaller_rise(g, difference, other, 1)
            if made is not None:
                return made
    return None


@stable(
    "sub",
    "loggamma(x + y) - loggamma(x) - loggamma(y): the step of the difference may be the larger of the two",
    Audit("loggamma(x + y) - loggamma(x) - loggamma(y)",
          "the rise of the larger one less the smaller one", "arguments with a term in common",
          _SOURCE, at_pairs((3.0, 1e10), (1e10, 3.0), (0.5, 0.25), (2.0, 3.0)), digits=400),
    on=among("loggamma"),
    needs=("loggamma_difference",),
)  # fmt: skip
def log_beta_with_other_sign(g: Graph, a: Args) -> int | None:
    if g.op[a[1]] == "loggamma":
        return _smaller_rise(g, a[0], a[1], -1)
    made = _smaller_rise(g, a[1], a[0], -1) if g.op[a[0]] == "loggamma" else None
    return None if made is None else g.neg(made)


def _smaller_rise(g: Graph, difference: int, other: int, sign: int) -> int | None:
    """difference + sign*loggamma(w), where the smaller one of the two beside the sum stands alone."""
    turned = 1
    if g.op[difference] == "neg":
        difference, turned = g.args[difference][0], -1
    if g.op[difference] != "loggamma_difference":
        return None
    c, u, v = g.args[difference]
    whole, part, w = g.add(c, u), g.add(c, v), g.args[other][0]
    if sign == turned:  # turned*(loggamma(whole) - loggamma(part) + loggamma(w))
        whole, part, u, v, turned = part, whole, v, u, -turned
    parts = common_terms(g, whole, w)
    if parts is None or part == w or g.op[part] == g.op[w] == "where":  # what this makes
        return None
    is_other = g.node("lt", g.node("abs", part), g.node("abs", w))  # which one the rise is from
    start, alone = g.where(is_other, w, part), g.where(is_other, part, w)
    step = g.where(is_other, g.sub(*parts[1:]), g.sub(u, v))
    made = g.sub(difference_node(g, "loggamma", start, step, g.zero), g.node("loggamma", alone))
    return made if turned > 0 else g.neg(made)
