"""What a kernel is asked to be sure of, and how it counts the numbers that it is not sure of."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite

from symgrad.errors import BadOption
from symgrad.grad.outputs import ERROR_WORDS, OUTPUT_WORDS, Leaf, Result
from symgrad.grad.rounding import Rounding
from symgrad.ir.graph import SMALLEST, Graph, Node, TensorId
from symgrad.ir.reduce import reduce
from symgrad.records import dataclass


@dataclass(frozen=True)
class Precision:
    """The bound of an entry's rounding error may be `accuracy` times its modulus plus `allowance`.

    checked  positions of the outputs that this holds for among those of the unit.
    """

    accuracy: float
    allowance: float = 0.0
    checked: tuple[int, ...] = ()

    def __str__(self) -> str:
        more = f" + {self.allowance:.3g}" if self.allowance else ""
        return f"{self.accuracy:.3g}*|entry|{more}"


def check_precision(
    accuracy: float | None, allowance: float, words: Iterable[str] = OUTPUT_WORDS
) -> Precision | None:
    """What `accuracy=` and `allowance=` mean for these outputs; BadOption for what means nothing."""
    if accuracy is None:
        if allowance:
            raise BadOption(
                "allowance without accuracy",
                where="allowance=",
                because="it is added to what accuracy= allows",
                try_="accuracy=1e-10",
            )
        return None
    for name, number, low in (("accuracy", accuracy, 0.0), ("allowance", allowance, -1.0)):
        is_number = isinstance(number, int | float) and not isinstance(number, bool) and isfinite(number)
        if not is_number or number <= low or number < 0:
            raise BadOption(
                f"{name} is {number!r}",
                where=f"{name}=",
                because="it is the relative error that an entry may have, above 0"
                if name == "accuracy"
                else "it is an absolute error, 0 or more",
                try_="accuracy=1e-10",
            )
    if set(words) <= set(ERROR_WORDS):
        raise BadOption(
            "there is nothing to check beside " + ", ".join(words),
            where="accuracy=",
            because="the outputs are bounds already",
            try_="the outputs that they are bounds of",
        )
    return Precision(float(accuracy), float(allowance))


def lost_entries(g: Graph, results: Iterable[Result], precision: Precision) -> TensorId:
    """The number of entries whose bound is too large; infinities and nan say of themselves what they are."""
    rounding, total = Rounding(g), g.zero
    for leaf in leaves(results):
        axes = tuple(g.fresh_axis(e) for e in g.tensors[leaf.tensor].extents)
        value, bound = g.read(leaf.tensor, *axes), g.read(rounding.result(leaf.tensor), *axes)
        total = g.add(total, reduce(g, "sum", axes, g.mask(_is_lost(g, value, bound, precision), g.one)))
    return g.define("map", (), (), total)


def _is_lost(g: Graph, value: Node, bound: Node, precision: Precision) -> Node:
    """Also where the bound is nan; an error below the smallest normal number is none that counts."""
    if bound == g.zero:
        return g.false
    size = g.node("abs", value)
    allowed = g.add(g.mul(g.const(precision.accuracy), size), g.const(precision.allowance))
    allowed = g.add(allowed, g.const(SMALLEST[1]))
    is_finite = g.node("lt", size, g.const(float("inf")))
    return g.node("and", is_finite, g.node("not", g.node("le", bound, allowed)))


def leaves(results: Iterable[Result]) -> Iterable[Leaf]:
    """The leaves of results, each tensor once."""
    stack, seen = list(results)[::-1], set()
    while stack:
        result = stack.pop()
        if not isinstance(result, Leaf):
            stack.extend(result[::-1])
        elif result.tensor not in seen:
            seen.add(result.tensor)
            yield result
