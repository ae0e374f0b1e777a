"""Logarithms of sums of exponentials with factors of any sign: mixtures, means of exponentials.

    log(sum(w*exp(z))) = m + log(sum(w*exp(z - m)))      for any number m

m is the largest z where that is far from 0, and a constant for derivatives; elsewhere it is 0, and every
number is computed as it is written. Sums without such factors are log-sum-exps (`log_sums`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from symgrad.ir.rules import Args, among
from symgrad.ir.series.probe import CONSTANT, variable_of
from symgrad.ir.stability.audit import SCORES, Audit, at_pairs, stable
from symgrad.ir.stability.log_sums import log_of_sum
from symgrad.ir.stability.patterns import MOST_TERMS, all_factors, quotient_of, terms_of

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_FAR = 40  # squares of exp of less, and quotients by them, are in range of single precision, too
_SOURCE = "Blanchard, Higham & Higham 2021"
_WITH_FACTOR = tuple({"v": (3.0, *point["v"])} for point in SCORES if isinstance(point["v"], tuple))
_EXPONENTIALS = ("exp", "exp_of_sum")


class Term(NamedTuple):
    """weight*exp(exponent)."""

    weight: int
    exponent: int


@stable(
    "log",
    "log(w*exp(x) + (1 - w)*exp(y)) overflows for x > 709, and is -inf far out, as for a mixture",
    Audit("log((2 + sin(x))*exp(y) + exp(2*y))",
          "m + log((2 + sin(x))*exp(y - m) + exp(2*y - m)), m the largest exponent",
          "m is beyond 40, else 0; also of sums over an axis, and of products with such a sum", _SOURCE,
          at_pairs((0.25, 1000.0), (0.5, -800.0), (0.25, 0.5))),
    on=among("add", "sub", "mul", "div", "neg", "read"),
    needs=_EXPONENTIALS,
)  # fmt: skip
def log_of_weighted_exponentials(g: Graph, a: Args) -> int | None:
    return _shifted(g, a[0])


@stable(
    "log_product",
    "log(y*Sum(exp(v))) overflows where log(Sum(exp(v))) does not",
    Audit("log(v[0]*Sum(exp(v[i]), (i, 1, n - 1)))",
          "log(v[0]) + logsumexp(v[1:]) out of range, and for derivatives",
          "weights inside: m + log(y*Sum(w*exp(z - m))); a number or a size for y, too", _SOURCE,
          _WITH_FACTOR),
    on=among("read"),
    needs=_EXPONENTIALS,
)  # fmt: skip
def log_of_weighted_sum(g: Graph, a: Args) -> int | None:
    return _shifted(g, g.mul(*a)) if _has_read(g, a) else None


@stable(
    "log_quotient",
    "log(Sum(exp(v))/y) overflows where log(Sum(exp(v))) does not",
    Audit("log(Sum(exp(v[i]), (i, 1, n - 1))/v[0])",
          "logsumexp(v[1:]) - log(v[0]) out of range, and for derivatives",
          "likewise; a sum below counts", _SOURCE, _WITH_FACTOR),
    on=among("read"),
    needs=_EXPONENTIALS,
)  # fmt: skip
def log_of_divided_sum(g: Graph, a: Args) -> int | None:
    return _shifted(g, g.div(*a)) if _has_read(g, a) else None


@stable(
    "log_abs",
    "a factor under a logarithm may overflow, or be 0, where its own logarithm does not",
    Audit("log(v[0]**3*Sum(exp(v[i]), (i, 1, n - 1)))", "of the sum: logsumexp(v[1:])",
          "likewise", _SOURCE, _WITH_FACTOR),
    on=among("add", "sub", "mul", "div", "neg", "read"),
    needs=_EXPONENTIALS,
)  # fmt: skip
def log_of_size_of_weighted_exponentials(g: Graph, a: Args) -> int | None:
    return _shifted(g, a[0], "log_abs")


def _has_read(g: Graph, a: Args) -> bool:
    return any(g.op[side] == "read" for side in a)


def _shifted(g: Graph, node: int, log: str = "log") -> int | None:
    without_weights = _log_of_plain_sums(g, node, log)
    if without_weights is not None:
        return without_weights
    found = _terms(g, node)
    if found is None:
        return None
    if len(found) == 1:  # what a sum over an axis was shifted by
        return g.add(found[0].exponent, g.node(log, found[0].weight))
    top = found[0].exponent
    for term in found[1:]:
        top = g.node("maximum", top, term.exponent)
    shift = _shift(g, top)
    parts = [g.mul(t.weight, g.node("exp", g.sub(t.exponent, shift))) for t in found]
    return g.add(shift, g.node(log, g.sum_of(parts)))


def _log_of_plain_sums(g: Graph, node: int, log: str) -> int | None:
    """Of a product whose exponentials are in sums of nothing but these: by log-sum-exps, out of range too."""
    above, below = all_factors(g, node)
    total = g.zero
    rest: tuple[list[int], list[int]] = [], []
    for factors, others, sign in ((above, rest[0], 1), (below, rest[1], -1)):
        for factor in factors:
            known = log_of_sum(g, factor) if g.op[factor] == "read" else None
            if known is None:
                others.append(factor)
            else:
                total = g.add(total, known) if sign > 0 else g.sub(total, known)
    if total == g.zero or any(_has_exponentials(g, factor) for others in rest for factor in others):
        return None
    total = g.add(total, g.node(log, quotient_of(g, *rest)))
    return total if log == "log_abs" else g.node("log_in_range", node, total, total)


def _has_exponentials(g: Graph, factor: int) -> bool:
    if g.op[factor] != "read" or g.tensors[g.args[factor][0]].kind != "sum":
        return g.op[factor] in _EXPONENTIALS
    above, below = all_factors(g, g.tensors[g.args[factor][0]].body)
    return any(g.op[f] in _EXPONENTIALS for f in (*above, *below))


def _terms(g: Graph, node: int) -> list[Term] | None:
    """The terms of a sum in which there is an exponential; one term only of a sum over an axis."""
    signed = terms_of(g, node, MOST_TERMS)
    found, has_exponential = [], False
    for sign, term in signed:
        made = _term(g, term)
        if made is None:
            return None
        has_exponential |= variable_of(g, made.exponent) != CONSTANT
        found.append(made if sign > 0 else Term(g.neg(made.weight), made.exponent))
    is_new = len(found) > 1 or all(g.op[part] == "anchor" for _, part in terms_of(g, found[0].exponent))
    return found if has_exponential and is_new else None


def _term(g: Graph, node: int) -> Term | None:
    """A product as its exponentials and the rest; None if it has been shifted already."""
    above, below = all_factors(g, node)
    exponents: list[int] = []
    weights: tuple[list[int], list[int]] = [], []
    for factors, rest, sign in ((above, weights[0], 1), (below, weights[1], -1)):
        for factor in factors:
            if g.op[factor] in _EXPONENTIALS:
                x = g.sum_of(g.args[factor])
                if any(g.op[part] == "anchor" for _, part in terms_of(g, x)):
                    return None
                exponents.append(x if sign > 0 else g.neg(x))
                continue
            over_axis = _sum_over_axis(g, factor) if g.op[factor] == "read" else None
            if over_axis is not None:
                factor, shift = over_axis
                exponents.append(shift if sign > 0 else g.neg(shift))
            rest.append(factor)
    return Term(quotient_of(g, *weights), g.sum_of(exponents))


def _sum_over_axis(g: Graph, node: int) -> Term | None:
    """exp(shift) times a sum over an axis of what is left of its terms."""
    t, *index = g.args[node]
    tensor = g.tensors[t]
    found = _term(g, tensor.body) if tensor.kind == "sum" else None
    if found is None or found.exponent == g.zero:
        return None
    weight, exponent = found
    top = g.read(g.define("max", tensor.out, tensor.red, exponent), *tensor.out)
    shift = _shift(g, top)
    body = g.mul(weight, g.node("exp", g.sub(exponent, shift)))
    whole = g.read(g.define("sum", tensor.out, tensor.red, body), *index)
    return Term(whole, g.substitute(shift, dict(zip(tensor.out, index, strict=True))))


def _shift(g: Graph, top: int) -> int:
    """The largest exponent, 0 where that is near 0 or infinite; a constant for derivatives."""
    size = g.node("abs", top)
    is_far = g.node("and", g.node("lt", g.const(_FAR), size), g.node("lt", size, g.const(float("inf"))))
    return g.node("anchor", g.where(is_far, top, g.zero))
