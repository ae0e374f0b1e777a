"""Sums of squares that leave the range of numbers, in logarithms and below a division.

    log(s), log1p(s)   as log(t) - 2*log(scale), where s is a sum with squares that has over- or underflowed
    x/s, x*y/s, (1 + y**2)/s
                       as (x*scale/t)*scale and its like, one division for each s
    x/h, x*y/(h*k)     the same for norms h = sqrt(s) of sums over an axis
    x*x/(k*k)          one factor at a time (`repeated_factors.py`)
    (x/k)/sqrt((x/k)**2 + 1)  by x and k: their quotient is what leaves the range

Here t is the sum s of sides that are multiplied with `scale`, a power of two: 1 wherever s is in range, and
then both are what is written, to the last digit, but in another order: x*(1/s/s) is (x/s)*(1/s), as 1/s/s is
out of range long before it. So are sums over an axis, sums of products that stand over s (x'y/(|x|*|y|)), and
what a norm is divided by already (`scaled_sums.py`).

This comes after differentiation, for which a sum is a sum, and a quotient in lowest terms is one. What is
divided once and has no side of s above it is 0 or infinite where s is the other: it stays as it is, and so do
sums for each pair of rows, of which a second one is dear, and factors with more than two sides.

Source: Blue 1978, A portable Fortran program to find the Euclidean norm of a vector.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from symgrad.ir.composites.log_products import unless_zero
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.product import Product, product_of
from symgrad.opt.far import is_apart
from symgrad.opt.outermost import PRODUCTS, outermost_products
from symgrad.opt.rebuild import Copy, copy_with
from symgrad.opt.repeated_factors import has_repeated_factors, one_at_a_time
from symgrad.opt.rows import with_quotients_by_rows
from symgrad.opt.scaled_sums import (
    BOUNDED,
    DOUBLE,
    SINGLE,
    Form,
    Scaled,
    by_precision,
    degree_of,
    form_of,
    has_number,
    is_sum,
    length_of,
    scaled_by,
    scaled_length,
    scaled_sum,
    sides_of,
    times,
    total_of,
)

_MOST_FACTORS = 16  # of a product
_LOGS = {"log": 0, "log1p": 0, "xlogy": 1, "xlog1py": 1}  # and the place of what they are a logarithm of
_MAY_HAVE_SUM = frozenset(("add", "norm", "scaled_norm", *PRODUCTS))  # as divisors


def in_range(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """The definitions with such logarithms and quotients by scaled sums."""
    if not g.stabilise:
        return g, {t: t for t in g.definitions_below(roots)}
    plain, places = with_quotients_by_rows(g, roots)
    made, moved = _in_range(plain, [places[t] for t in roots])
    return made, {t: moved[s] for t, s in places.items() if s in moved}


def _in_range(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    below = g.definitions_below(roots)
    chosen = {t: found for t in below if (found := _chosen(g, t))}
    if not chosen:
        return g, {t: t for t in below}
    made_of: dict[tuple[TensorId, Node], Node] = {}

    def on_node(copy: Copy, t: TensorId, old: Node, new: Node) -> Node:
        wanted = chosen.get(t)
        if wanted is None:
            return new
        if old in wanted:
            parts = wanted[old]
            if parts is None:
                new = _MADE[copy.old.op[old]](copy.new, new)
            else:
                new = _product(copy.new, new, _moved(parts, t, made_of))
        made_of[t, old] = new
        return new

    return copy_with(g, roots, on_node=on_node, stabilise=False)


def _moved(parts: Product, t: TensorId, made_of: dict[tuple[TensorId, Node], Node]) -> Product:
    """The product with its factors in the new graph."""
    above, below = ([made_of[t, n] for n in side] for side in (parts.above, parts.below))
    return Product(parts.number, tuple(above), tuple(below))


# ---- what is looked for ------------------------------------------------------------------------


def _chosen(g: Graph, t: TensorId) -> dict[Node, Product | None]:
    """The nodes of a definition that are computed in another way: products as their factors, logarithms."""
    op, args = g.op, g.args
    nodes = g.reachable(g.tensors[t].bodies)
    found: dict[Node, Product | None] = {}
    has_quotient = False
    for n in nodes:
        if op[n] == "div":
            has_quotient = has_quotient or op[args[n][1]] in _MAY_HAVE_SUM or is_sum(g, args[n][1])
        elif op[n] == "mul":
            has_quotient = has_quotient or (args[n][0] == args[n][1] and "div" in g.present)
        elif _is_out_of_range(g, n):
            found[n] = None
    for n in outermost_products(g, t, nodes) if has_quotient else ():
        parts = product_of(g, n, _MOST_FACTORS)
        parts = None if parts is None else _with_sides(g, parts)
        if parts is None or is_apart(g, parts):
            continue
        if _has_sums(g, parts) or has_repeated_factors(g, n, parts):
            found[n] = parts
    return found


def _with_sides(g: Graph, parts: Product) -> Product:
    """The product with the quotients that are squared in its divisors: x/k over 1 + (x/k)**2."""
    above, below = list(parts.above), list(parts.below)
    for s in dict.fromkeys(parts.below):
        for side in sides_of(g, s) if g.op[s] == "add" else ():
            if isinstance(side, int) and g.op[side] == "div":
                x, k = g.args[side]
                while x in above and k in below:
                    above.remove(x)
                    below.remove(k)
                    above.append(side)
    return Product(parts.number, tuple(above), tuple(below))


def _has_sums(g: Graph, parts: Product) -> bool:
    """Whether a product is divided by sums that are scaled."""
    sums = [s for s in parts.below if not _is_plain(g, s)]
    if not sums or _has_high_degree(g, parts, sums):
        return False
    needed = {s for s in sums if _is_needed(g, parts, s)}
    return bool(needed) and all(s in needed or length_of(g, s) is not None for s in sums)


def _is_out_of_range(g: Graph, n: Node) -> bool:
    """Whether this is a logarithm of a sum with squares, or the cosine of a quotient beside 1."""
    op, args = g.op[n], g.args[n]
    if op == "direction_cosine":
        return bool(args[1] == g.one and g.op[args[0]] == "div")
    return op in _LOGS and _has_square(g, args[_LOGS[op]], op in ("log1p", "xlog1py"))


def _has_square(g: Graph, s: Node, may_be_one: bool = False) -> bool:
    """Whether this is a sum with a square that may leave the range of numbers; or a square."""
    is_one = g.op[s] in ("add", "div") or is_sum(g, s) or (may_be_one and g.op[s] == "mul")
    return is_one and bool(sides_of(g, s))


def _is_needed(g: Graph, parts: Product, s: Node) -> bool:
    """Whether the quotient by s may be a number where s is infinite, or not the one that is found."""
    norm = length_of(g, s)
    if norm is not None:
        if g.axes[norm] and parts.above and parts.below.count(norm) > 1:
            return True  # the square of a length of a row: its sides may be stored elsewhere
        under = g.args[norm][1]
        sides = sides_of(g, under)
        return any(_scaled_side(g, n, under) or degree_of(g, n, sides) for n in parts.above)
    if not parts.above or not (g.op[s] == "add" or is_sum(g, s)):
        return False
    sides = sides_of(g, s)
    if sides and has_number(g, s):
        return True
    return bool(sides) and any(_is_side(g, n, sides) or _is_second_degree(g, n, sides) for n in parts.above)


def _is_side(g: Graph, n: Node, sides: frozenset[Form]) -> bool:
    """Whether this is one of the sides, or a sum over axes of products with one or two."""
    return form_of(g, n) in sides or (is_sum(g, n) and degree_of(g, n, sides) > 0)


def _has_high_degree(g: Graph, parts: Product, sums: Sequence[Node]) -> bool:
    """Whether a factor has more than two sides of a sum: it leaves the range before the sum does."""
    sides = [sides_of(g, s) for s in sums]
    return any(degree_of(g, n, own) > 2 for n in parts.above for own in sides)


def _is_plain(g: Graph, n: Node) -> bool:
    """Whether this divides like a number: a size, a power of two, or a length that is at least a number."""
    if g.op[n] == "cast" or _power_of(g, n) is not None:
        return True
    return bool(g.op[n] == "hypot" and any(g.op[side] == "const" for side in g.args[n]))


def _is_second_degree(g: Graph, n: Node, sides: frozenset[Form]) -> bool:
    """Whether this is a sum with the square of a side."""
    return (g.op[n] in ("add", "sub") or is_sum(g, n)) and not sides.isdisjoint(sides_of(g, n))


# ---- what is made of it ------------------------------------------------------------------------


def _logarithm(g: Graph, node: Node) -> Node:
    """log(t) + 2*log(1/scale); log1p(s) is log(s) where s overflows, and log1p(t - 1) that of t."""
    op, args = g.op[node], g.args[node]
    place = _LOGS[op]
    s = args[place]
    scaled = scaled_sum(g, s, may_underflow=op in ("log", "xlogy"))
    total = total_of(g, scaled)
    shift = g.where(scaled.over, _doubled_log(g, 0), g.zero)
    if op in ("log1p", "xlog1py"):  # they are 0 where s is
        less = g.intern("sub", (total, g.one))
        made = g.intern("log1p", (g.where(scaled.over, less, s),))
    else:
        made = g.intern("log", (total,))
        if scaled.under is not None:
            shift = g.where(scaled.under, _doubled_log(g, 1), shift)
    made = g.intern("add", (made, shift))
    if place == 0:
        return made
    product = g.intern("mul", (args[0], made))
    return unless_zero(g, args, -1 if op == "xlog1py" else 0, product)


def _direction(g: Graph, node: Node) -> Node:
    """x/k over the root of 1 + (x/k)**2, without the quotient."""
    quotient = g.args[node][0]
    if g.op[quotient] != "div":  # it has become the square of one
        return node
    x, k = g.args[quotient]
    return g.mul(g.node("sign", k), g.node("direction_cosine", x, k))


_MADE = {**dict.fromkeys(_LOGS, _logarithm), "direction_cosine": _direction}


def _doubled_log(g: Graph, which: int) -> Node:
    double, single = (-2 * powers[which] * math.log(2) for powers in (DOUBLE, SINGLE))
    return by_precision(g, double, single)


def _product(g: Graph, node: Node, parts: Product) -> Node:
    """The product `node` in range."""
    made = _quotient(g, parts) if _has_sums(g, parts) else one_at_a_time(g, parts)
    return node if made is None else made


def _quotient(g: Graph, parts: Product) -> Node | None:
    """The product with every division by a sum of squares, or its root, beside what is of its size.

    None for one with more sides of a length than powers: the other powers are outside of it.
    """
    found = _Divided.of(g, parts)
    factors = _factors(g, found)
    lengths = [scaled for scaled in found.left if scaled.degree == 1]
    if any(degree_of(g, f.node, scaled.sides) > f.takes[scaled] for scaled in lengths for f in factors):
        return None
    made = list[Node]()
    again = list[Scaled]()
    for scaled, times_divided in found.times.items():
        for still in range(times_divided, 0, -1):
            beside = _beside(factors, scaled, still)
            if not beside:
                again += [scaled] * still
                break
            made.append(_share(g, beside, scaled, found.left))
            factors = [factor for factor in factors if not any(factor is other for other in beside)]
    others = [scaled_by(g, factor.node, factor.takes) for factor in factors]
    if not others and not made:
        others = [g.one]
    for scaled, count in found.left.items():
        for _ in range(-count):  # a factor had too many powers: before it is divided by what is as large
            few = others or made
            few[0] = g.intern("div", (few[0], scaled.scale))
            found.left[scaled] += 1
    whole = g.one
    for n in (*made, *others):
        whole = n if whole == g.one else g.intern("mul", g.ordered(whole, n))
    for scaled in _in_turns(again):
        whole = _divided(g, whole, scaled, found.left)
    for scaled, count in found.left.items():
        whole = times(g, whole, scaled.scale, count)
    for n in found.plain:
        whole = g.div(whole, n)
    return g.mul(g.const(parts.number), whole)


def _in_turns(again: Sequence[Scaled]) -> list[Scaled]:
    """The same divisors, each once before any comes again: a large one may stand beside a small one."""
    left, turns = Counter(again), list[Scaled]()
    while left.total():
        turn = [scaled for scaled, count in left.items() if count > 0]
        left.subtract(turn)
        turns += turn
    return turns


class _Divided(NamedTuple):
    """A product by what divides it.

    above  its factors
    times  how often each sum, or root of one, divides it
    left   how often it is to be multiplied by each scale
    plain  the other divisors
    """

    above: list[Node]
    times: dict[Scaled, int]
    left: dict[Scaled, int]
    plain: list[Node]

    @staticmethod
    def of(g: Graph, parts: Product) -> _Divided:
        above, below = list(parts.above), list(parts.below)
        for n in parts.below:
            if n in above:
                above.remove(n)
                below.remove(n)
        norms = [norm for n in below if (norm := length_of(g, n)) is not None]
        lengths = {g.args[norm][1]: scaled_length(g, norm) for norm in norms}
        found = _Divided([], {}, {}, [])
        for n in below:
            if _is_plain(g, n) and _power_of(g, n) not in lengths:
                found.plain.append(n)
            elif _is_plain(g, n):
                scaled = lengths[_power_of(g, n)]
                found.left[scaled] = found.left.get(scaled, 0) - 1
            else:
                norm = length_of(g, n)
                s = n if norm is None else g.args[norm][1]
                scaled = lengths.get(s) or scaled_sum(g, s)
                count = 1 if norm is not None or scaled.degree == 2 else 2
                found.times[scaled] = found.times.get(scaled, 0) + count
                powers = 0 if g.op[n] == "scaled_norm" else scaled.degree * count
                found.left[scaled] = found.left.get(scaled, 0) + powers
        for n in above:
            own = lengths.get(g.args[n][1]) if g.op[n] == "scaled" else None
            if own is not None:
                found.left[own] = found.left.get(own, 0) + 1
            if own is None or g.args[n][0] != g.one:
                found.above.append(n if own is None else g.args[n][0])
        return found


class _Factor(NamedTuple):
    """A factor of a product, and how often it is multiplied by which scales."""

    node: Node
    takes: dict[Scaled, int]


def _scaled_side(g: Graph, n: Node, s: Node) -> bool:
    """Whether this is a side of a norm over the power of two that belongs to it."""
    return g.op[n] == "scaled" and g.args[n][0] != g.one and g.args[n][1] == s


def _factors(g: Graph, found: _Divided) -> list[_Factor]:
    """The factors with as many scales as they have sides; what is left becomes less."""
    left = found.left
    factors = [_Factor(n, _taken(g, n, left)) for n in found.above]
    for factor in factors:
        for scaled in left if is_sum(g, factor.node) else ():  # its other sides may be as large, or small
            if factor.takes[scaled]:
                _take(factor, scaled, left, scaled.degree - factor.takes[scaled])
    for scaled in found.times if factors else ():
        for factor in factors:  # what is as large as a sum with a number may be anything
            if scaled.has_number and not factor.takes[scaled] and g.op[factor.node] not in BOUNDED:
                _take(factor, scaled, left, 1)
    return factors


def _take(factor: _Factor, scaled: Scaled, left: dict[Scaled, int], most: int) -> None:
    more = max(0, min(left[scaled], most))
    factor.takes[scaled] += more
    left[scaled] -= more


def _power_of(g: Graph, n: Node) -> Node | None:
    """The sum whose power of two this is."""
    return g.args[n][1] if g.op[n] == "scaled" and g.args[n][0] == g.one else None


def _taken(g: Graph, n: Node, left: dict[Scaled, int]) -> dict[Scaled, int]:
    """As many scales as each term of a factor has sides; what is left becomes less."""
    takes = {}
    for scaled, count in left.items():
        takes[scaled] = max(0, min(degree_of(g, n, scaled.sides), count))
        left[scaled] -= takes[scaled]
    return takes


def _beside(factors: list[_Factor], scaled: Scaled, still: int) -> list[_Factor]:
    """What stands over one of `still` equal divisors: of its degree, or a pair where there are so many."""
    own = sorted((f for f in factors if f.takes[scaled]), key=lambda f: -f.takes[scaled])
    is_single = not own or own[0].takes[scaled] >= scaled.degree or len(own) <= still
    return own[: 1 if is_single else 2]


def _share(g: Graph, beside: list[_Factor], scaled: Scaled, left: dict[Scaled, int]) -> Node:
    """Factors over a sum or a length, and the scales that are left of its own.

    A small factor beside what has overflowed is divided first, and multiplied with small powers last.
    """
    total = total_of(g, scaled)
    first, *others = beside
    if others and scaled.has_number and all(_is_side(g, f.node, scaled.sides) for f in beside):
        product = (scaled_by(g, f.node, f.takes) for f in beside)
        return g.div(g.intern("mul", g.ordered(*product)), total)
    own = first.takes[scaled] if form_of(g, first.node) in scaled.sides else 0
    x = scaled_by(g, first.node, {**first.takes, scaled: first.takes[scaled] - own})
    for other in others:
        y = scaled_by(g, other.node, {**other.takes, scaled: 0})
        if form_of(g, other.node) not in scaled.sides:
            y = scaled_by(g, other.node, other.takes)
        else:
            if own and x != y:  # the larger one first
                is_less = g.node("lt", g.node("abs", x), g.node("abs", y))
                x, y = g.where(is_less, y, x), g.where(is_less, x, y)
            y = times(g, y, scaled.scale, other.takes[scaled])
        over = g.div(times(g, x, scaled.up, own), total)
        return times(g, g.intern("mul", (over, y)), scaled.down, own)
    over = times(g, g.div(times(g, x, scaled.up, own), total), scaled.down, own)
    more = max(0, min(left[scaled], scaled.degree - first.takes[scaled]))
    left[scaled] -= more
    return times(g, over, scaled.scale, more)


def _divided(g: Graph, n: Node, scaled: Scaled, left: dict[Scaled, int]) -> Node:
    """n over a sum or a length that has no factor beside it; both may be 0."""
    own = max(0, min(left[scaled], scaled.degree))
    left[scaled] -= own
    if scaled.has_number and own == 2:
        return g.intern("mul", (n, g.div(g.one, scaled.sum)))
    return times(g, g.div(n, total_of(g, scaled)), scaled.scale, own)
