"""Sums over all places but one, for every place in one go: sum(b[j] for j != i).

    A = sum(|b|)    B = sum(b)    U = sum(b where |b| <= 3*A/4)

    T[i] = U where |b[i]| > 3*A/4, else B - b[i]

At most one b is that large, and without it the sum is U. Of any other b at least a quarter of A is left when
it is taken from B: that is as right as adding up the others is.

No b is that large where sum(b*b) < A*A/2, as (3/4)**2 is more than a half. There T[i] is B - b[i], and U is
not computed: all of it is asked once, outside of loops (`loops.factors`).

Beside sums of squares x*x and y*y, those of products x*y are told apart by x*x and y*y: they stand beside
y[i] times the others' x*x (`grad.norms`), to which it matters little what is lost of x[i]*x[i]*y[i].
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.product import Factor, Product, product_of
from symgrad.ir.reduce import conjunction, conjuncts
from symgrad.ir.signs import is_never_negative
from symgrad.ir.stability.patterns import all_factors, quotient_of
from symgrad.opt.rebuild import Copy, copy_with
from symgrad.records import dataclass

_MOST = Fraction(3, 4)  # half of it would do without rounding
_MOST_FACTORS = 24


@dataclass(frozen=True)
class Others:
    """sum over `red` of [not all of red = places] * value(red), over axes of the result."""

    places: dict[Node, Node]
    value: Node


def sums_of_others(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """The definitions with such sums in linear time."""
    below = g.definitions_below(roots)
    if not any(others_in(g, t) for t in below):
        return g, {t: t for t in below}
    squares: dict[Node, Node] = {}  # in the new graph: x and the squares c*x*x, over axes of nothing else
    parts: dict[TensorId, Parts] = {}

    def on_tensor(copy: Copy, t: TensorId) -> TensorId | None:
        if others_in(g, t) is None:
            return None
        made = copy.tensor(t)
        found = others_in(copy.new, made)
        if found is None:
            return made
        own = _parts(copy.new, made, found, squares)
        made = copy.new.define("map", own.out, (), own.sum)
        parts[made] = own
        return made

    def on_node(copy: Copy, t: TensorId, old: Node, new: Node) -> Node:
        return _of_wholes(copy.new, new, parts) if copy.new.op[new] == "sub" and parts else new

    made, places = copy_with(g, roots, on_tensor, on_node)
    plain, moved = _written_out(made, [places[t] for t in roots], parts)
    return plain, {t: moved[s] for t, s in places.items() if s in moved}


def _written_out(
    g: Graph, roots: Sequence[TensorId], parts: Mapping[TensorId, Parts]
) -> tuple[Graph, dict[TensorId, TensorId]]:
    """The definitions with such sums where they are read: most times it is a difference, or not needed."""

    def on_node(copy: Copy, t: TensorId, old: Node, new: Node) -> Node:
        if g.op[old] != "read" or g.args[old][0] not in parts:
            return new
        source, *index = copy.new.args[new]
        tensor = copy.new.tensors[source]
        return copy.new.substitute(tensor.body, dict(zip(tensor.out, index, strict=True)))

    return copy_with(g, roots, on_node=on_node)


def others_in(g: Graph, t: TensorId) -> Others | None:
    tensor = g.tensors[t]
    if tensor.kind != "sum" or not tensor.out or g.op[tensor.body] != "mask":
        return None
    predicate, value = g.args[tensor.body]
    parts = conjuncts(g, predicate)
    for p in parts:
        places = _places(g, g.args[p][0]) if g.op[p] == "not" else None
        if places is None or {*places} != {*tensor.red} or not {*places.values()} <= {*tensor.out}:
            continue
        rest = g.mask(conjunction(g, [q for q in parts if q != p]), value)
        if g.axes[rest].isdisjoint(places.values()):
            return Others(places, rest)
    return None


def _places(g: Graph, here: Node) -> dict[Node, Node] | None:
    """The axes that a conjunction of equations says are equal, the ones that come later in loops first."""
    found: dict[Node, Node] = {}
    for p in conjuncts(g, here):
        constant, terms = g.linear(g.args[p][0]) if g.op[p] == "ieq" else (1, {})
        axes = sorted(terms, key=g.order_key)
        if constant or len(axes) != 2 or sum(terms.values()) or any(g.op[a] != "axis" for a in axes):
            return None
        if g.extent(axes[0]) != g.extent(axes[1]) or abs(terms[axes[0]]) != 1:
            return None
        found[axes[1]] = axes[0]
    return found


@dataclass(frozen=True)
class Parts:
    """A sum over all places but one, of axes `out`: it is whole - own where `is_even`, that is most times."""

    out: tuple[Node, ...]
    sum: Node
    whole: Node
    own: Node
    is_even: Node


def _parts(g: Graph, t: TensorId, others: Others, squares: dict[Node, Node]) -> Parts:
    tensor, value = g.tensors[t], others.value
    out = [a for a in tensor.out if a not in others.places.values()]

    def total(body: Node) -> Node:
        axes = [a for a in out if a in g.axes[body]]
        return g.read(g.define("sum", axes, tensor.red, body), *axes)

    sizes = _sizes(g, others, squares)
    is_even = conjunction(g, [_is_even(g, size, total) for size in sizes])
    is_uneven = g.node("not", is_even)
    if len(sizes) == 1:
        (size,) = sizes
        whole_size = _in_range(g, size, total)
    else:
        size = g.node("abs", value)
        whole_size = total(g.mask(is_uneven, size))
    is_main = g.node("lt", g.mul(g.const(_MOST), whole_size), size)
    without = total(g.mask(is_uneven, g.intern("where", (is_main, g.zero, value))))
    here_is_main, own = (g.substitute(n, others.places) for n in (is_main, value))
    whole = _in_range(g, value, total)
    rest = g.sub(whole, own)
    made = g.where(is_even, rest, g.where(here_is_main, without, rest))
    return Parts(tensor.out, made, whole, own, is_even)


def _of_wholes(g: Graph, node: Node, parts: Mapping[TensorId, Parts]) -> Node:
    """y*Q - x*P where that is y*(Q - x*x) - x*(P - x*y), and no term is most of a sum: that is as right."""
    read = list[Node]()
    for side in g.args[node]:
        product = _product(g, side)
        sums = [f for f in product.above if g.op[f] == "read" and g.args[f][0] in parts] if product else []
        if len(sums) != 1:
            return node
        read += sums
    found = [_at(g, parts[g.args[r][0]], r) for r in read]
    pairs = list(zip(g.args[node], read, found, strict=True))
    first, second = (_product(g, g.substitute(side, {r: part.own})) for side, r, part in pairs)
    if first is None or second is None or not _is_same(first, second):
        return node
    plain = g.sub(*(g.substitute(side, {r: part.whole}) for side, r, part in pairs))
    return g.where(conjunction(g, [part.is_even for part in found]), plain, node)


def _at(g: Graph, parts: Parts, read: Node) -> Parts:
    """The parts of such a sum where it is read."""
    index = g.args[read][1:]
    here = dict(zip(parts.out, index, strict=True))
    nodes = (parts.sum, parts.whole, parts.own, parts.is_even)
    return Parts(index, *g.substitute_all(nodes, here))


def _product(g: Graph, node: Node) -> Product | None:
    def quotient(n: Node, is_above: bool) -> Sequence[Factor] | None:
        x, _, h = g.args[n] if g.op[n] == "norm_cosine" else (n, n, n)
        return None if x == n else [(x, is_above), (h, not is_above)]

    return product_of(g, node, _MOST_FACTORS, inside=quotient)


def _is_same(a: Product, b: Product) -> bool:
    (over, under), (above, below) = ((Counter(p.above), Counter(p.below)) for p in (a, b))
    is_one_number = a.number == b.number
    return is_one_number and over - under == above - below and under - over == below - above


def _is_even(g: Graph, size: Node, total: Callable[[Node], Node]) -> Node:
    """Whether no term is most of a sum: not where squares of its terms are out of range."""
    plain = _plain(g, size)
    square = g.mul(plain, plain)
    whole = total(plain)
    return g.node("lt", total(square), g.mul(g.const(Fraction(1, 2)), g.mul(whole, whole)))


def _sizes(g: Graph, others: Others, squares: dict[Node, Node]) -> list[Node]:
    """What says how much of a sum each of its terms is, at most: of a product the squares of its sides."""
    common = {a: g.axis(-1 - k, g.extent(a)) for k, a in enumerate(others.places)}
    value = g.substitute(others.value, common)
    sides = _sides_in(g, value)
    back = {there: here for here, there in common.items()}
    if is_never_negative(g, value):
        squares.update((x, value) for x in sides if sides.count(x) == 2)
        return [others.value]
    found = dict.fromkeys(g.substitute(squares[x], back) for x in sides if x in squares)
    return list(found) or [g.node("abs", others.value)]


def _sides_in(g: Graph, value: Node) -> list[Node]:
    """The sides of norms among the factors of a product, also where they are over the norm, or stored so."""
    if g.op[value] == "read" and g.tensors[g.args[value][0]].kind == "map":
        t, *index = g.args[value]
        value = g.substitute(g.tensors[t].body, dict(zip(g.tensors[t].out, index, strict=True)))
    factors = [g.args[f][0] if g.op[f] == "norm_cosine" else f for f in all_factors(g, value)[0]]
    return [f for f in factors if g.op[f] == "scaled"]


def _in_range(g: Graph, value: Node, total: Callable[[Node], Node]) -> Node:
    """The sum of what is made of sides of norms is that of the plain ones, scaled where it has to be."""
    powers = list(dict.fromkeys(g.args[f][1] for f in all_factors(g, value)[0] if g.op[f] == "scaled"))
    if not powers:
        return total(value)
    is_out = g.node("out_of_range", powers[0])
    for s in powers[1:]:
        is_out = g.node("or", is_out, g.node("out_of_range", s))
    return g.where(is_out, total(g.mask(is_out, value)), total(_plain(g, value)))


def _plain(g: Graph, value: Node) -> Node:
    """A product of sides of norms as they are written."""
    above, below = all_factors(g, value)
    return quotient_of(g, [g.args[f][0] if g.op[f] == "scaled" else f for f in above], below)
