"""Quotients with a removable singularity: nan at 0, and derivatives without digits near it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from symgrad.ir.rules import Args, among
from symgrad.ir.stability.audit import Audit, at, at_pairs, stable
from symgrad.ir.stability.patterns import PRODUCTS, factors_of, quotient_of, remove, without

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_GSL = "Galassi et al. 2009, GNU Scientific Library, sections 4.3 and 7.16"
_QUOTIENT_OF = {"sin": "sinc", "tan": "sinc", "sinh": "sinhc", "expm1": "exprel", "log1p": "log1prel"}
_NEAR_ZERO = (1e-8, -1e-3, 1.5, 5e-324)


def _shared(g: Graph, x: int, others: list[int]) -> tuple[list[int], list[int]] | None:
    """(factors of x that `others` lacks, `others` without those it has); None if they share no variable."""
    own = factors_of(g, x)
    extra, rest = remove(own, others)
    gone, _ = remove(own, extra)
    return None if all(g.op[f] == "const" for f in gone) else (extra, rest)


_DECAYING = ("log1p", "expm1")  # over x: derivatives by a power of x, or a product, are out of range far away


@stable(
    "div",
    "sin(x)/x is nan at 0; its derivatives cancel near 0",
    Audit(
        "sin(x)/x", "sinc(x)", "sin, sinh, tan, exp(x) - 1, log(1 + x) above a factor of their argument",
        _GSL, at(*_NEAR_ZERO),
    ),
    on=among(*PRODUCTS, *_QUOTIENT_OF),
    needs=(*_QUOTIENT_OF, "xlog1py"),
)  # fmt: skip
def quotient_by_own_argument(g: Graph, a: Args) -> int | None:
    above, below = factors_of(g, a[0]), factors_of(g, a[1])
    for place, factor in enumerate(above):
        quotient = _QUOTIENT_OF.get(g.op[factor])
        if quotient is None:
            continue
        x = g.args[factor][0]
        if g.op[factor] in _DECAYING and sum(g.op[f] != "const" for f in factors_of(g, x)) > 1:
            continue  # `singularities` computes it as it is written but near 0
        shared = _shared(g, x, below)
        if shared is not None:
            extra, rest = shared
            made = g.node(quotient, x)
            if g.op[factor] == "tan":
                made = g.div(made, g.node("cos", x))
            return quotient_of(g, [*without(above, place), *extra, made], rest)
    return None


def _may_regularise(ops: Sequence[str]) -> bool:
    return ops[0] in ("mul", "neg") and ops[1] in ("mul", "gamma")


@stable(
    "div",
    "lowergamma(s, x)/gamma(s) is the regularised function: gamma(s) overflows for s > 171",
    Audit(
        "lowergamma(x, y)/gamma(x)", "gammainc(x, y)", "always; uppergamma counts", "DLMF 8.2.4",
        at_pairs((200.0, 190.0), (3.0, 0.5)), wrt=("y",),
    ),
    on=_may_regularise,
    needs=("gammainc", "gammaincc"),
)  # fmt: skip
def incomplete_gamma_to_regularised(g: Graph, a: Args) -> int | None:
    above, below = factors_of(g, a[0]), factors_of(g, a[1])
    for factor in above:
        if g.op[factor] in ("gammainc", "gammaincc"):
            whole = g.node("gamma", g.args[factor][0])
            if whole in above and whole in below:
                return quotient_of(g, without(above, above.index(whole)), without(below, below.index(whole)))
    return None
