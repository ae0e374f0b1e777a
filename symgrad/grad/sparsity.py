"""Sparse Jacobians and Hessians: which entries there are, and a vector of their values.

The matrix has a row per entry of the value (of wrt, for Hessians) and a column per entry of wrt, laid end to
end in row-major order. Its entries come

  - from a scalar graph, one by one: forward sweeps of `scalar_jacobian` that only visit what depends on a
    variable. The pattern is known here and now.
  - from definitions over axes, as the bands of `ir.sums.bands`. Where the entries lie follows from sizes and
    integer arrays by index equations, which `run.patterns` evaluates once per set of them; the kernel takes
    the places of each band's values as an integer array, and adds the values up there. Where all bands are
    diagonals there is nothing to add up: values are computed one after the other, and then put in order.

Symmetric matrices are computed on and below the diagonal; the rest is read from there.
Source: Griewank & Walther 2008, Evaluating Derivatives, chapters 7 (sparsity) and 10 (symmetric Hessians).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from symgrad.errors import BadOption
from symgrad.grad.outputs import (
    Block,
    Leaf,
    Problem,
    gauss_newton_blocks,
    gradient_parts,
    hessian_block,
    jacobian_block,
    packed_gauss_newton,
    packed_hessian,
    packed_jacobian,
)
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import conjunction, hoist
from symgrad.ir.sums.bands import Band, bands, lower_triangle, merged
from symgrad.ir.sums.structure import Indicators
from symgrad.records import dataclass

FORMATS = ("csc", "csr", "coo")
TRIANGLES = ("full", "lower")
SPARSE_WORDS = ("jac", "hess", "gauss_newton")

NewName = Callable[[str], str]


@dataclass(frozen=True)
class Storage:
    """How sparse results are stored: one of FORMATS, and one of TRIANGLES for symmetric ones."""

    format: str
    triangle: str = "full"


@dataclass(frozen=True)
class SparseOutput:
    """One sparse result: its values are an output of the unit, and this says where they belong.

    shape      of the matrix.
    entries    places of the values, row and column by value, where they are known; else None, and
    bands      per band two definitions over its loops, 1 + row and column of its values (both 0 where there
               is none).
    places     per band the integer input that takes their places among the values (-1 there); none where they
               are computed band after band.
    count      the name of the size that is the number of values computed, where there are places.
    mirror     the integer input that says which computed value each value of the result is, if there is one;
               its length is the size named `total`.
    """

    word: str
    storage: Storage
    shape: tuple[Node, Node]
    is_symmetric: bool
    entries: tuple[tuple[int, int], ...] | None = None
    bands: tuple[tuple[TensorId, TensorId], ...] = ()
    places: tuple[TensorId, ...] = ()
    count: str = ""
    mirror: TensorId | None = None
    total: str = ""

    @property
    def inputs(self) -> tuple[TensorId, ...]:
        """The integer inputs of the kernel that belong to this output."""
        return self.places if self.mirror is None else (*self.places, self.mirror)


def storage_of(format: str | None, triangle: str, words: Sequence[str]) -> Storage | None:  # noqa: A002
    """The storage asked for, for these output words; raises BadOption for what means nothing."""
    if format is not None and format not in FORMATS:
        raise BadOption(f"sparse is {format!r}", try_="one of " + ", ".join(FORMATS))
    if triangle not in TRIANGLES:
        raise BadOption(f"triangle is {triangle!r}", try_="one of " + ", ".join(TRIANGLES))
    if format is None and triangle != "full":
        raise BadOption(
            "triangle without sparse",
            because="dense Hessians are whole: both halves are filled, one of them by copying",
            try_='sparse="csc", or leave triangle out',
        )
    if format is not None and not set(words) & set(SPARSE_WORDS):
        raise BadOption(
            "sparse without a matrix",
            because="the outputs are " + ", ".join(words),
            try_="one of " + ", ".join(SPARSE_WORDS) + " among the outputs",
        )
    return None if format is None else Storage(format, triangle)


def sparse_output(p: Problem, word: str, storage: Storage, new_name: NewName) -> tuple[Leaf, SparseOutput]:
    """The values of a sparse result, (number of values,), and where they belong.

    new_name  gives inputs and sizes names that no argument has.
    """
    if word not in SPARSE_WORDS:
        raise BadOption(
            f"{word!r} is a dense output",
            where="sparse=",
            because="the bounds of sparse results are checked, and not handed out",
            try_="accuracy=, or the output without sparse=",
        )
    entries = _packed_entries(p, word)
    if entries is not None:
        return _explicit(p, word, storage, entries)
    return _banded(p, word, storage, new_name)


# ---- scalars -----------------------------------------------------------------------------------


def _packed_entries(p: Problem, word: str) -> Mapping[tuple[int, int], Node] | None:
    if not p.packed:
        return None
    if word == "jac":
        return packed_jacobian(p)
    return packed_hessian(p) if word == "hess" else packed_gauss_newton(p)


def _explicit(
    p: Problem, word: str, storage: Storage, entries: Mapping[tuple[int, int], Node]
) -> tuple[Leaf, SparseOutput]:
    g, symmetric = p.graph, word != "jac"
    whole = dict(entries)
    if symmetric and storage.triangle == "full":
        whole |= {(j, i): node for (i, j), node in entries.items()}
    places = sorted(whole, key=(lambda ij: ij[::-1]) if storage.format == "csc" else None)
    values = g.define("enum", (), (), [whole[place] for place in places])
    n = g.const(len(p.wrt))
    shape = (_count(g, g.tensors[p.value].extents), n) if word == "jac" else (n, n)
    made = SparseOutput(word, storage, shape, symmetric, tuple(places))
    return Leaf(values, g.tensors[values].extents), made


# ---- definitions over axes ---------------------------------------------------------------------


def _banded(p: Problem, word: str, storage: Storage, new_name: NewName) -> tuple[Leaf, SparseOutput]:
    g, symmetric = p.graph, word != "jac"
    lengths = [_count(g, g.tensors[t].extents) for t in p.wrt]
    columns = _sum(g, lengths)
    shape = (columns if symmetric else _count(g, g.tensors[p.value].extents), columns)
    found = _matrix_bands(p, word)
    diagonals = _diagonals(g, found)
    if diagonals:
        total = new_name(f"stored_{word}")
        order = g.input(new_name(f"order_{word}"), (g.size(total),), "int")
        values = _in_order(g, _one_after_the_other(g, diagonals), order)
        made = SparseOutput(word, storage, shape, symmetric, None, _where(g, diagonals), (), "", order, total)
        return Leaf(values, g.tensors[values].extents), made
    count, total = new_name(f"entries_{word}"), ""
    places = tuple(
        g.input(new_name(f"places_{word}_{k}"), [g.extent(a) for a in band.loops], "int")
        for k, band in enumerate(found)
    )
    indicators = Indicators(g)
    filled = [indicators.of(band.value) for band in found]
    values, mirror = _values(g, found, filled, places, g.size(count)), None
    if symmetric and storage.triangle == "full":
        total = new_name(f"stored_{word}")
        mirror = g.input(new_name(f"mirror_{word}"), (g.size(total),), "int")
        values = _in_order(g, values, mirror)
    made = SparseOutput(word, storage, shape, symmetric, None, _where(g, found), places, count, mirror, total)
    return Leaf(values, g.tensors[values].extents), made


def _values(
    g: Graph, found: Sequence[Band], filled: Sequence[Node], places: Sequence[TensorId], count: Node
) -> TensorId:
    """The values of all bands, added up at their places; those that are zero (see `_places`) have none."""
    k = g.fresh_axis(count)
    total = g.zero
    for band, indicator, own in zip(found, filled, places, strict=True):
        at = g.read(own, *band.loops)
        there = g.true if indicator == g.one else g.ige0(at)
        body = g.mask(conjunction(g, [*band.guards, there]), hoist(g, band.value))
        total = g.add(total, g.read(g.define("scatter", (), band.loops, body, (at,), (count,)), k))
    return g.define("map", (k,), (), total)


def _in_order(g: Graph, values: TensorId, order: TensorId) -> TensorId:
    k = g.fresh_axis(*g.tensors[order].extents)
    return g.define("map", (k,), (), g.read(values, g.read(order, k)))


def _where(g: Graph, found: Sequence[Band]) -> tuple[tuple[TensorId, TensorId], ...]:
    """`SparseOutput.bands`."""
    indicators = Indicators(g)
    return tuple(_places(g, band, indicators.of(band.value)) for band in found)


def _places(g: Graph, band: Band, indicator: Node) -> tuple[TensorId, TensorId]:
    """1 + row and column of each value of a band, 0 where a guard does not hold or the value is zero."""
    here = conjunction(g, [*band.guards, g.node("lt", g.zero, indicator)])
    row, column = band.target
    above, beside = (g.mask(here, g.cast(i)) for i in (g.iadd(row, g.one), column))
    return g.define("map", band.loops, (), above), g.define("map", band.loops, (), beside)


def _diagonals(g: Graph, found: Sequence[Band]) -> list[Band]:
    """The bands as diagonals without guards, no entry of the matrix in two of them; none if they are not all.

    A diagonal has one loop, and takes one step down and one to the right in each turn.
    """
    made: dict[int, Band] = {}
    for band in found:
        if len(band.loops) != 1:
            return []
        loop, (row, column) = band.loops[0], band.target
        offset, rest = g.linear(g.isub(row, column))
        if rest or g.linear(row)[1].get(loop) != 1 or loop in g.axes[g.isub(row, loop)]:
            return []
        same = made.setdefault(offset, Band(band.loops, band.target, (), g.zero))
        if (same.loops, same.target) != (band.loops, band.target):
            return []
        value = g.add(same.value, g.mask(conjunction(g, band.guards), band.value))
        made[offset] = Band(band.loops, band.target, (), value)
    return list(made.values())


def _one_after_the_other(g: Graph, diagonals: Sequence[Band]) -> TensorId:
    """The values of diagonals, from the first to the last."""
    count = _sum(g, [g.extent(*band.loops) for band in diagonals])
    k, total, first = g.fresh_axis(count), g.zero, g.zero
    for band in diagonals:
        (loop,) = band.loops
        own = g.define("scatter", (), band.loops, hoist(g, band.value), (g.iadd(first, loop),), (count,))
        total, first = g.add(total, g.read(own, k)), g.iadd(first, g.extent(loop))
    return g.define("map", (k,), (), total)


def _matrix_bands(p: Problem, word: str) -> list[Band]:
    """The matrix as bands whose target is (row, column); of symmetric ones the lower triangle."""
    g = p.graph
    lengths = [_count(g, g.tensors[t].extents) for t in p.wrt]
    starts = [_sum(g, lengths[:k]) for k in range(len(lengths))]
    out: list[Band] = []
    for a, b, block in _blocks(p, word):
        found = bands(g, block.rows, block.columns, block.body)
        if word != "jac" and a == b:
            found = [half for band in found for half in lower_triangle(g, band)]
        rank = len(block.rows)
        row = g.zero if word == "jac" else starts[a]
        for band in found:
            place = (
                g.iadd(row, _row_major(g, block.rows, band.target[:rank])),
                g.iadd(starts[b], _row_major(g, block.columns, band.target[rank:])),
            )
            out.append(Band(band.loops, place, band.guards, band.value))
    return merged(g, out)


def _blocks(p: Problem, word: str) -> list[tuple[int, int, Block]]:
    """(row block, column block, expression); of symmetric matrices the blocks on and below the diagonal."""
    count = range(len(p.wrt))
    if word == "jac":
        return [(0, b, jacobian_block(p, t)) for b, t in enumerate(p.wrt)]
    if word == "hess":
        parts = gradient_parts(p, word)
        return [(a, b, hessian_block(p.graph, parts[a], p.wrt[b])) for a in count for b in count if b <= a]
    columns = [gauss_newton_blocks(p, t) for t in p.wrt]
    return [(a, b, columns[b][a]) for a in count for b in count if b <= a]


def _row_major(g: Graph, axes: Sequence[Node], index: Sequence[Node]) -> Node:
    place = g.zero
    for a, i in zip(axes, index, strict=True):
        place = g.iadd(g.imul(place, g.extent(a)), i)
    return place


def _count(g: Graph, extents: Sequence[Node]) -> Node:
    total = g.one
    for extent in extents:
        total = g.imul(total, extent)
    return total


def _sum(g: Graph, parts: Sequence[Node]) -> Node:
    total = g.zero
    for part in parts:
        total = g.iadd(total, part)
    return total
