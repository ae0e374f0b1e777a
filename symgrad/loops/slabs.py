"""What a product in a loop reads of a large array is made in that loop, slab by slab.

    for i < n: for v < d: for j: t[i, v, j] = f(u[v, i, j])      for v < d:
    for v < d: c[v] = x' t[:, v, :]                      becomes     for i < n: for j: t[i, j] = f(u[v, i, j])
                                                                     c[v] = x' t

A slab is in the cache when the product reads it, where the array does not fit, and its rows lie side by side.
Only where nothing else touches t, and where what f reads is kept for others anyway: else the loop that makes
it might be one with the loop that makes t, and f be given in registers.
Source: Allen and Kennedy, Optimizing Compilers for Modern Architectures (2001), sections 5.2 (interchange)
and 6.2 (fusion); array contraction as in `loops.forward`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from symgrad.loops.effects import Several, effects
from symgrad.loops.nest import (
    Buffer,
    Contract,
    For,
    If,
    Poly,
    Routine,
    Start,
    Statement,
    Store,
    Strided,
    variable,
)
from symgrad.loops.renamed import renamed
from symgrad.loops.strided import axis_of, size, stays_within
from symgrad.loops.walk import (
    bodies,
    defined,
    free_name,
    has_blocks,
    taken_names,
    types_in,
    variables,
    walk,
)
from symgrad.records import dataclass


@dataclass(frozen=True, slots=True)
class _Slab:
    """An array of which the product in a loop reads what has the loop's variable as one index.

    loop   around the product and nothing else.
    axis   of the array, where that index is.
    """

    loop: For
    product: Contract
    buffer: Buffer
    axis: int


def in_slabs(routine: Routine) -> Routine:
    """The same routine with such arrays made where they are read; itself if it has none."""
    if not has_blocks(routine.body) or Contract not in types_in(routine.body):
        return routine
    found = [(body, slab) for body in bodies(routine.body) for slab in _slabs(body, routine)]
    if not found:
        return routine
    touched, made = _uses(routine)
    for body, slab in found:
        maker = _maker(body, slab)
        if maker is None or touched[slab.buffer.name] != 2 or not _keeps(maker, routine, touched, made):
            continue
        return in_slabs(_with_slab(routine, slab, maker))
    return routine


def _slabs(body: Sequence[Statement], routine: Routine) -> Iterator[_Slab]:
    """The arrays that products in loops of this body read in slabs."""
    for s in body:
        if not isinstance(s, For) or s.lanes or len(s.body) != 1 or not isinstance(s.body[0], Contract):
            continue
        product = s.body[0]
        if product.a.start.buffer == product.b.start.buffer:
            continue
        for array, extents in (
            (product.a, (product.rows, product.depth)),
            (product.b, (product.depth, product.columns)),
        ):
            buffer = next(b for b in routine.buffers if b.name == array.start.buffer)
            axis = _axis_of_slabs(s.var, array, extents, buffer.extents)
            if buffer.role == "work" and axis is not None:
                yield _Slab(s, product, buffer, axis)


def _axis_of_slabs(
    var: str, array: Strided, lengths: tuple[Poly, Poly], extents: Sequence[Poly]
) -> int | None:
    """The axis of an array along which a product with this variable around it stays at one place.

    lengths  of the two axes that the product walks.
    """
    index = array.start.index
    places = [p for p, at in enumerate(index) if var in variables((at,))]
    if len(places) != 1 or index[places[0]] != variable(var) or var in variables(array.strides):
        return None
    (p,) = places

    def stays(stride: Poly, length: Poly) -> bool:
        along = axis_of(stride, extents)  # the outermost one passes no other, however long it is
        return p != along == 0 or stays_within(stride, length, extents, p)

    return p if all(map(stays, array.strides, lengths)) else None


def _maker(body: Sequence[Statement], slab: _Slab) -> tuple[For, For] | None:
    """The statement that makes the array and may stand where it is read, and its loop over slabs."""
    between, written = Several(), effects(slab.loop).writes
    for s in reversed(body[: _position(body, slab.loop)]):
        own = effects(s)
        if slab.buffer.name in own.touches:
            over = _loop_over_slabs(s, slab)
            fits = between.commute(own) and not own.touches & written  # the product is there for slabs before
            return (s, over) if isinstance(s, For) and over is not None and fits else None
        between.add(own)
    return None


def _position(body: Sequence[Statement], s: Statement) -> int:
    return next(k for k, other in enumerate(body) if other is s)


def _loop_over_slabs(s: Statement, slab: _Slab) -> For | None:
    """The loop over the slabs, not the innermost one, where loops around one store compute values only."""
    loops: list[For] = []
    while isinstance(s, For) and s.body and not s.lanes and s.step == 1:
        loops.append(s)
        if not all(map(_only_computes, s.body[:-1])):
            return None
        s = s.body[-1]
    if not isinstance(s, Store) or s.buffer != slab.buffer.name:
        return None
    over = next((x for x in loops[:-1] if variable(x.var) == s.index[slab.axis]), None)
    if over is None or (over.lower, over.upper, 1) != (slab.loop.lower, slab.loop.upper, slab.loop.step):
        return None
    others = (at for p, at in enumerate(s.index) if p != slab.axis)
    return None if over.var in variables(others) else over


def _only_computes(s: Statement) -> bool:
    known = effects(s)
    return defined(s) is not None and not known.writes and not known.changes


def _uses(routine: Routine) -> tuple[Counter[str], set[str]]:
    """How many statements touch each array, and what others than stores make."""
    touched, made = Counter[str](), set[str]()
    for _, s in walk(routine.body, into_parts=True):
        if not isinstance(s, For | If):
            own = effects(s)
            touched.update(own.touches)
            made |= own.writes if not isinstance(s, Store) else set()
    return touched, made


def _keeps(maker: tuple[For, For], routine: Routine, touched: Counter[str], made: set[str]) -> bool:
    """Whether all that is read for the array has to be in memory whatever happens to the array."""
    reads = Counter(b for _, s in walk([maker[0]]) if not isinstance(s, For) for b in effects(s).reads)
    work = {b.name for b in routine.buffers if b.role == "work"}
    return all(b in made or touched[b] > times + 1 for b, times in reads.items() if b in work)


def _with_slab(routine: Routine, slab: _Slab, maker: tuple[For, For]) -> Routine:
    """The array made in the loop that reads it, with memory for one slab."""
    whole, over = maker
    inside = {s.var if isinstance(s, For) else defined(s) for _, s in walk([whole])}
    var = slab.loop.var
    if var in inside - {over.var}:
        var = free_name(taken_names(routine), var)
    product = replace(slab.product, a=_on_slab(slab.product.a, slab), b=_on_slab(slab.product.b, slab))
    made = _without_loop(whole, over, var, slab)
    loop = replace(slab.loop, var=var, body=[*made, *renamed([product], {slab.loop.var: var})])
    body = _put(routine.body, whole, slab.loop, loop)
    extents = _without(slab.buffer.extents, slab.axis)
    buffers = tuple(replace(b, extents=extents) if b is slab.buffer else b for b in routine.buffers)
    return replace(routine, buffers=buffers, body=body)


def _without(parts: Sequence[Poly], p: int) -> tuple[Poly, ...]:
    return (*parts[:p], *parts[p + 1 :])


def _without_loop(s: Statement, over: For, var: str, slab: _Slab) -> list[Statement]:
    """The loops that make the array without the one over slabs, whose variable is `var` from now on."""
    if isinstance(s, For):
        inner = [*s.body[:-1], *_without_loop(s.body[-1], over, var, slab)]
        return renamed(inner, {over.var: var}) if s is over else [replace(s, body=inner)]
    assert isinstance(s, Store)
    return [replace(s, index=_without(s.index, slab.axis))]


def _on_slab(x: Strided, slab: _Slab) -> Strided:
    if x.start.buffer != slab.buffer.name:
        return x
    extents, p = slab.buffer.extents, slab.axis

    def stride(old: Poly) -> Poly:
        along = axis_of(old, extents)
        assert along is not None, "as `_axis_of_slabs` asked"
        return size(_without(extents[1 + along :], p - along - 1)) if along < p else old

    one, two = map(stride, x.strides)
    return Strided(Start(slab.buffer.name, _without(x.start.index, p)), (one, two))


def _put(body: Sequence[Statement], whole: For, old: For, new: For) -> list[Statement]:
    """The body in which both stand, at any depth, without the one and with `new` for the other."""
    if any(s is old for s in body):
        return [new if s is old else s for s in body if s is not whole]
    return [replace(s, body=_put(s.body, whole, old, new)) if isinstance(s, For | If) else s for s in body]
