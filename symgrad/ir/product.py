"""Products taken apart into a number and what stands above and below, and put together again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

PRODUCTS = ("mul", "div", "neg")  # what is taken apart
# What may be 1 or -1 but for something that is known by itself, as 1 + x, and what it is counted as.
NEAR_ONE = frozenset(
    ("add", "sub", "exp", "expm1", "exp_of_sum", "cos", "cosh", "sqrt", "hypot", "pow", "square_difference")
)
NEAR = 1 / 64
_WHOLE = range(-64, 65)  # exponents that a product is raised to
Factor = tuple[int, bool]  # a node, and whether it stands above


def factors_in(op: str) -> float | None:
    """How many factors a value of an op is, above and below: 1, or a 64th; None: as many as its arguments.

    Those that may be near 1 are counted by 64ths: it is quick to see that two products differ in others, too.
    Numbers are not counted.
    """
    return None if op in PRODUCTS else NEAR if op in NEAR_ONE else 1.0


@dataclass(frozen=True)
class Product:
    """number * product of `above` / product of `below`."""

    number: Fraction
    above: tuple[int, ...]
    below: tuple[int, ...]


def product_of(
    g: Graph,
    node: int,
    most: int,
    sign: int = 1,
    inside: Callable[[int, bool], Sequence[Factor] | None] | None = None,
) -> Product | None:
    """sign*node as a product of at most `most` factors, from left to right; None if it has more.

    inside  what stands for a factor that is no product itself, if anything: `inside(factor, is above)`.
    """
    number = Fraction(sign)
    above: list[int] = []
    below: list[int] = []
    stack: list[Factor] = [(node, True)]
    while stack:
        if len(stack) + len(above) + len(below) > most:
            return None
        n, is_above = stack.pop()
        op = g.op[n]
        if op in ("mul", "div"):
            x, y = g.args[n]
            stack += [(y, is_above == (op == "mul")), (x, is_above)]
        elif op == "neg":
            number = -number
            stack.append((g.args[n][0], is_above))
        elif q := g.rational(n):
            number = number * q if is_above else number / q
        elif inside is not None and (parts := inside(n, is_above)) is not None:
            stack += reversed(parts)
        else:
            (above if is_above else below).append(n)
    return Product(number, tuple(above), tuple(below))


def powers_in(g: Graph, node: int, most: int) -> tuple[Fraction, dict[int, int]] | None:
    """The number before a product, and how often each factor stands in it; None if more than `most` do.

    x**12 is one factor, in a few products of itself: each node is taken apart once, wholes before parts.
    """
    number, left, found = Fraction(1), {node: 1}, dict[int, int]()
    while left:
        if len(left) + len(found) > most:
            return None
        n = max(left)
        times, op, args = left.pop(n), g.op[n], g.args[n]
        if op in ("mul", "div"):
            for x, sign in zip(args, (1, 1 if op == "mul" else -1), strict=True):
                left[x] = left.get(x, 0) + sign * times
        elif op == "neg":
            number = -number if times % 2 else number
            left[args[0]] = left.get(args[0], 0) + times
        elif q := g.rational(n):
            number *= q**times
        elif op == "pow" and (p := g.rational(args[1])) is not None and p in _WHOLE:
            left[args[0]] = left.get(args[0], 0) + int(p) * times
        else:
            found[n] = found.get(n, 0) + times
    return number, {x: e for x, e in found.items() if e}


def whole_of(g: Graph, parts: Product) -> int:
    """The product as one node; its number apart from 1 and -1 is multiplied last."""
    above, below = g.one, g.one
    for n in parts.above:
        above = g.mul(above, n)
    for n in parts.below:
        below = g.mul(below, n)
    return g.mul(g.const(parts.number), g.div(above, below))
