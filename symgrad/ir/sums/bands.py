"""An array that is zero but in places, as terms that live where they are not: bands.

Derivatives of sums are full of equalities of indices, `[p == q]*a(p) + [p == q + 1]*b(p)`, inside products
and behind reads of other definitions. `bands` multiplies such an expression out and solves the equalities. A
band

    result[target(loops)] += value(loops)   where guards(loops)

is a diagonal, a dense block, one block per observation of a gather (`target` then holds reads of integer
arrays), or the whole array where there is no equality to solve. Equal places may occur again: terms add up.
Structural zeros are no part of any band, so they cost nothing and are exactly 0.
Source: the delta rule of `ir.reduce`, applied to the axes of the result instead of those of a sum.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import additive_terms, conjunction, conjuncts, reduce
from symgrad.ir.sums.multiplied_out import MultipliedOut, Term, is_solvable
from symgrad.ir.sums.solved import Band as Band
from symgrad.ir.sums.solved import bands_of


def bands(g: Graph, rows: Sequence[Node], columns: Sequence[Node], body: Node) -> list[Band]:
    """`body`, over the axes `rows` and `columns` of a matrix, as bands; their targets are (*rows, *columns).

    Definitions that tie rows to columns are opened where that separates zeros from the rest.
    """
    axes = (*rows, *columns)
    made = [band for t in MultipliedOut(g, rows, columns).terms(body) for band in bands_of(g, axes, t)]
    return merged(g, made, axes)


def is_split(found: Sequence[Band], axes: Sequence[Node]) -> bool:
    """Whether bands over `axes` say more than that the array is dense."""
    return any(band.target != tuple(axes) for band in found)


def lower_triangle(g: Graph, band: Band) -> list[Band]:
    """The part of a band of a square matrix, rows and columns of one shape, on and below the diagonal.

    Row-major places are compared axis by axis: equal up to some axis, and larger in it.
    """
    half = len(band.target) // 2
    rows, columns = band.target[:half], band.target[half:]
    if not half:
        return [band]
    out: list[Band] = []
    for k in range(half):
        same = [g.ieq(a, b) for a, b in zip(rows[:k], columns[:k], strict=True)]
        strictly = g.const(0 if k == half - 1 else 1)
        more = (*band.guards, *same, g.ige0(g.isub(g.isub(rows[k], columns[k]), strictly)))
        out += bands_of(g, band.target, Term(band.loops, more, band.value))
    return out


def on_diagonal(g: Graph, axes: Sequence[Node], found: Iterable[Band]) -> Node:
    """The entries of bands of a square matrix whose row is their column, summed, over fresh `axes`."""
    total = g.zero
    for band in found:
        half = len(band.target) // 2
        parts = [
            p
            for a, row, column in zip(axes, band.target[:half], band.target[half:], strict=True)
            for p in (g.ieq(row, a), g.ieq(row, column))
        ]
        here = conjunction(g, [*parts, *band.guards])
        total = g.add(total, reduce(g, "sum", band.loops, g.mask(here, band.value)))
    return _without_whole_matrices(g, total)


def _without_whole_matrices(g: Graph, body: Node) -> Node:
    """Reads of definitions along a diagonal become expressions of their own: the rest is not computed."""
    while True:
        along = {r: g.args[r] for r in g.reads((body,)) if _is_along_a_diagonal(g, r)}
        if not along:
            return body
        made: dict[Node, Node] = {}
        for r, (t, *index) in along.items():
            tensor = g.tensors[t]
            fresh = {a: g.fresh_axis(g.extent(a)) for a in tensor.red}
            inner = g.substitute(tensor.body, fresh | dict(zip(tensor.out, index, strict=True)))
            made[r] = reduce(g, "sum", tuple(fresh.values()), inner)
        body = g.substitute(body, made)


def _is_along_a_diagonal(g: Graph, read: Node) -> bool:
    """The element of a map or sum of which two indices move together."""
    t, *index = g.args[read]
    moving = [a for i in index for a in g.axes[i]]
    return g.tensors[t].kind in ("map", "sum") and len(set(moving)) < len(moving)


def summed(g: Graph, axes: Sequence[Node], found: Iterable[Band]) -> Node:
    """The bands as one expression over `axes`: masked terms, and scatters where a target gathers."""
    total = g.zero
    for band in found:
        free = set(axes)
        if set(band.loops) <= free:
            equal = [g.ieq(a, i) for a, i in zip(axes, band.target, strict=True)]
            term = g.mask(conjunction(g, [*equal, *band.guards]), band.value)
        else:
            term = g.read(scattered(g, band, [g.extent(a) for a in axes]), *axes)
        total = g.add(total, term)
    return total


def scattered(g: Graph, band: Band, extents: Sequence[Node]) -> TensorId:
    """A band as a definition of its own."""
    body = g.mask(conjunction(g, band.guards), band.value)
    return g.define("scatter", (), band.loops, body, band.target, extents)


def merged(g: Graph, found: Iterable[Band], axes: Sequence[Node] = ()) -> list[Band]:
    """Bands with the same places are one; loops are renamed so that equal places look equal."""
    pool: dict[tuple[Node, int], Node] = {}
    values: dict[tuple[tuple[Node, ...], tuple[Node, ...], tuple[Node, ...]], Node] = {}
    for band in found:
        loops, target, guards, value = _renamed(g, band, frozenset(axes), pool)
        key = (loops, target, guards)
        values[key] = g.add(values.get(key, g.zero), value)
    return [Band(*key, value) for key, value in values.items() if value != g.zero]


def _renamed(
    g: Graph, band: Band, kept: frozenset[Node], pool: dict[tuple[Node, int], Node]
) -> tuple[tuple[Node, ...], tuple[Node, ...], tuple[Node, ...], Node]:
    """Loops that are not `kept` get names by order of appearance in the target."""
    order = dict.fromkeys(a for i in band.target for a in g.first_occurrence(i, g.axes[i]))
    order |= dict.fromkeys(band.loops)
    names: dict[Node, Node] = {}
    for a in order:
        if a in kept:
            continue
        place = (g.extent(a), sum(g.extent(b) == g.extent(a) for b in names))
        if place not in pool:
            pool[place] = g.fresh_axis(g.extent(a))
        names[a] = pool[place]
    *target, value = g.substitute_all((*band.target, band.value), names)
    guards = sorted(set(g.substitute_all(band.guards, names)), key=g.order_key)
    return tuple(names.get(a, a) for a in order), tuple(target), tuple(guards), value


def masked_bands(
    g: Graph, axes: Sequence[Node], body: Node, fixed: Collection[Node] = ()
) -> tuple[list[tuple[int, Node]], list[Band]]:
    """(the dense signed terms, the rest as bands) of a body over `axes` whose terms are masked already.

    fixed  axes that are not solved for.
    """
    dense: list[tuple[int, Node]] = []
    found: list[Band] = []
    for sign, term in additive_terms(g, body):
        parts = conjuncts(g, g.args[term][0]) if g.op[term] == "mask" else []
        if any(g.op[p] == "ieq" and is_solvable(g, p, a) for p in parts for a in g.axes[p].difference(fixed)):
            inner = g.args[term][1]
            whole = Term((), tuple(parts), inner if sign > 0 else g.neg(inner))
            found += bands_of(g, tuple(axes), whole, fixed)
        else:
            dense.append((sign, term))
    return dense, found
