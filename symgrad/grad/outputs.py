"""The derivative outputs of a program: which sweeps give `grad`, `jac`, `hess`, `hvp`, `jvp`, `vjp`.

WORD_error is a bound of the rounding error of each entry of WORD (`grad.rounding`).
`hess_diag` is the diagonal of `hess` alone; `gauss_newton` is J'J for the Jacobian J of the value (a vector
of residuals), and `gnvp` its product with a direction.

A result is a `Leaf` (one tensor with the shape the user sees) or a tuple of results, in the
structure of `wrt`. Gradients are reverse sweeps; second order is forward over reverse; Jacobians
take the direction with fewer operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import prod

from symgrad.errors import BadOption, NonScalarGradient, quoted
from symgrad.grad.edge_pushing import can_push, edge_pushing
from symgrad.grad.forward import Forward, Tangent
from symgrad.grad.reverse import cotangents
from symgrad.grad.rounding import Rounding
from symgrad.grad.scalar_jacobian import is_lower, sparse_jacobian, visits
from symgrad.ir.bounds import typical
from symgrad.ir.count import operations_below
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import conjunction, reduce
from symgrad.ir.sums.bands import bands, is_split, on_diagonal, summed
from symgrad.records import dataclass

_NOT_WORTH = 3  # sweeps that visit so many times what edge pushing computes are not tried


@dataclass(frozen=True)
class Leaf:
    """One tensor and the shape it has for the user (an enum's entries may be folded to a matrix).

    mirror  (source, split) if the tensor is known to be `source` with its first `split` axes moved last.
    """

    tensor: TensorId
    shape: tuple[Node, ...]
    mirror: tuple[TensorId, int] | None = None


Result = Leaf | tuple["Result", ...]


@dataclass(frozen=True)
class Problem:
    """What to differentiate.

    value      the value; an enum stands for an explicit array of scalars.
    shape      its shape for the user.
    wrt        the inputs to differentiate by.
    packed     True when `wrt` are scalars that the user sees as one vector.
    single     True when the user named one symbol, not a tuple: results are not wrapped.
    tangents   extra inputs, one per `wrt` (one vector when packed), for jvp and hvp.
    cotangent  extra input of the value's shape, for vjp.
    is_banded  Jacobians and Hessians with structural zeros are sums of bands (`ir.sums.bands`): the form to
               compute, not the one to read.
    """

    graph: Graph
    value: TensorId
    shape: tuple[Node, ...]
    wrt: tuple[TensorId, ...]
    packed: bool
    single: bool
    tangents: tuple[TensorId, ...] = ()
    cotangent: TensorId | None = None
    is_banded: bool = False


def derive(p: Problem, word: str) -> Result:
    """The tensors of one output word. Raises BadOption for an unknown one."""
    if word in ERROR_WORDS:
        return errors_of(Rounding(p.graph), derive(p, base_of(word)))
    if word not in _WORDS:
        raise BadOption(
            f"unknown output {word!r}",
            because=f"the outputs are {', '.join(_WORDS)}",
            try_="use one of these words",
        )
    return _WORDS[word](p)


def base_of(word: str) -> str:
    """The output whose rounding error a word names; any other word itself."""
    return word.removesuffix(_ERROR) if word in ERROR_WORDS else word


def error_word(word: str) -> str:
    """The word for the bound of the rounding error of an output."""
    return word + _ERROR


def errors_of(rounding: Rounding, result: Result) -> Result:
    """Bounds of the rounding errors of a result, entry by entry, in the same structure."""
    if not isinstance(result, Leaf):
        return tuple(errors_of(rounding, part) for part in result)
    mirror = None
    if result.mirror is not None:
        source, split = result.mirror
        mirror = rounding.result(source), split
    return Leaf(rounding.result(result.tensor), result.shape, mirror)


def _value(p: Problem) -> Result:
    return Leaf(p.value, p.shape)


def gradient_parts(p: Problem, word: str) -> list[tuple[tuple[Node, ...], Node]]:
    """(axes, expression) per wrt; the value must be one number (shape () or all extents 1)."""
    g = p.graph
    extents = g.tensors[p.value].extents
    if any(e != g.one for e in extents):
        rank = len(p.shape)
        raise NonScalarGradient(
            f"{quoted(word)} needs a scalar value, but this one has {rank} {'axis' if rank == 1 else 'axes'}",
            because="a gradient is defined for one number",
            try_='"jac", "jvp" or "vjp", or the sum of the entries',
        )
    places = tuple(g.fresh_axis(e) for e in extents)
    return cotangents(g, {p.value: (places, g.one)}, p.wrt)


def _map(g: Graph, axes: Sequence[Node], body: Node) -> Leaf:
    """A result tensor; axes that `body` lost (it is constant along them) are kept.

    A definition read with its axes permuted is made again in the order asked for: no copy.
    """
    t = g.define("map", axes, (), body)
    if g.op[body] == "read" and set(g.args[body][1:]) == set(axes):
        s, *index = g.args[body]
        source = g.tensors[s]
        if tuple(index) == tuple(axes) and source.kind != "input":
            t = s
        elif source.kind in ("map", "sum") and len(index) == len(axes):
            t = g.define(source.kind, [source.out[index.index(a)] for a in axes], source.red, source.body)
    return Leaf(t, g.tensors[t].extents)


def _vector(g: Graph, bodies: Sequence[Node], shape: tuple[Node, ...] | None = None) -> Leaf:
    t = g.define("enum", (), (), bodies)
    return Leaf(t, shape or g.tensors[t].extents)


def _wrap(p: Problem, parts: Sequence[Result]) -> Result:
    return parts[0] if p.single else tuple(parts)


def _grad(p: Problem) -> Result:
    parts = gradient_parts(p, "grad")
    if p.packed:
        return _vector(p.graph, [body for _, body in parts])
    return _wrap(p, [_map(p.graph, axes, body) for axes, body in parts])


# ---- products with a direction -----------------------------------------------------------------


def _direction(p: Problem) -> Forward:
    """Tangents of wrt read from the extra inputs."""
    g = p.graph
    seeds: dict[TensorId, Tangent] = {}
    for k, t in enumerate(p.wrt):
        axes = tuple(g.fresh_axis(e) for e in g.tensors[t].extents)
        at = (p.tangents[0], g.const(k)) if p.packed else (p.tangents[k], *axes)
        seeds[t] = (axes, g.read(*at))
    return Forward(g, seeds)


def _jvp(p: Problem) -> Result:
    return Leaf(_tangent_tensor(p, _direction(p)), p.shape)


def _tangent_tensor(p: Problem, forward: Forward) -> TensorId:
    g = p.graph
    axes, body = _tangent(p, forward)
    return _map(g, axes, body).tensor


def _tangent(p: Problem, forward: Forward) -> Tangent:
    tangent = forward.tensor(p.value)
    if tangent is None:
        return tuple(p.graph.fresh_axis(e) for e in p.graph.tensors[p.value].extents), p.graph.zero
    return tangent


def _hvp(p: Problem) -> Result:
    g, forward = p.graph, _direction(p)
    parts = [(axes, forward.expression(body)) for axes, body in gradient_parts(p, "hvp")]
    if p.packed:
        return _vector(g, [body for _, body in parts])
    return _wrap(p, [_map(g, axes, body) for axes, body in parts])


def _vjp(p: Problem) -> Result:
    g = p.graph
    assert p.cotangent is not None
    tensor = g.tensors[p.value]
    places = tuple(g.fresh_axis(e) for e in tensor.extents)
    parts = cotangents(g, {p.value: (places, g.read(p.cotangent, *places))}, p.wrt)
    if p.packed:
        return _vector(g, [body for _, body in parts])
    return _wrap(p, [_map(g, axes, body) for axes, body in parts])


# ---- whole Jacobians and Hessians --------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """One block of a Jacobian or Hessian: `body` over the axes of its rows and of its columns."""

    rows: tuple[Node, ...]
    columns: tuple[Node, ...]
    body: Node


def _entries(p: Problem) -> list[Node] | None:
    """The scalar entries of an explicit value, None for a tensor value."""
    g, tensor = p.graph, p.graph.tensors[p.value]
    if tensor.kind == "enum" and not tensor.out:
        return list(tensor.bodies)
    return [g.read(p.value)] if not tensor.extents else None


def _jac(p: Problem) -> Result:
    g = p.graph
    entries = _entries(p)
    if entries is not None and p.packed:
        found, n = packed_jacobian(p) or {}, len(p.wrt)
        whole = [found.get((i, j), g.zero) for i in range(len(entries)) for j in range(n)]
        return _vector(g, whole, (*p.shape, g.const(n)))
    if entries is not None:
        return _wrap(p, [_entry_rows(p, t) for t in p.wrt])
    parts = [_tensor_jacobian(p, t) for t in p.wrt]
    if p.packed:
        return _last_axis(p, parts)
    return _wrap(p, parts)


def packed_jacobian(p: Problem) -> dict[tuple[int, int], Node] | None:
    """The nonzero entries of the Jacobian of explicit entries by scalars; None for a value with axes."""
    entries = _entries(p)
    return None if entries is None else sparse_jacobian(p.graph, _inlined(p.graph, p.value, entries), p.wrt)


def packed_hessian(p: Problem) -> dict[tuple[int, int], Node]:
    """The nonzero entries of the lower triangle of the Hessian by scalars.

    By edge pushing, or by forward sweeps over the gradient: what needs fewer operations. The sweeps are not
    even made where they would visit far more nodes. Colouring columns could not save anything: a sweep for
    columns that share no row visits what the sweeps for each of them visit.
    """
    g, entries = p.graph, _entries(p)
    bodies = [body for _, body in gradient_parts(p, "hess")]
    value = _inlined(g, p.value, entries)[0] if entries is not None else g.zero
    if entries is None or not can_push(g, value, p.wrt):
        return sparse_jacobian(g, bodies, p.wrt, is_lower)
    pushed = edge_pushing(g, value, p.wrt)
    cost = operations_below(g, pushed.values())
    if visits(g, bodies, p.wrt) > _NOT_WORTH * cost:
        return pushed
    swept = sparse_jacobian(g, bodies, p.wrt, is_lower)
    return swept if operations_below(g, swept.values()) <= cost else pushed


def _inlined(g: Graph, value: TensorId, entries: list[Node]) -> list[Node]:
    """A rank-0 map is its body: one scalar graph, not a read of it."""
    tensor = g.tensors[value]
    return [tensor.body] if tensor.kind == "map" and not tensor.extents else entries


def _entry_rows(p: Problem, t: TensorId) -> Leaf:
    """J[c, q] for scalar entries c: one reverse sweep each, as one definition."""
    g, tensor = p.graph, p.graph.tensors[p.value]
    axes = tuple(g.fresh_axis(e) for e in g.tensors[t].extents)
    if not tensor.extents:
        own, body = cotangents(g, {p.value: ((), g.one)}, (t,))[0]
        return _map(g, own, body)
    bodies = []
    for c in tensor.bodies:
        entry = g.define("map", (), (), c)
        own, body = cotangents(g, {entry: ((), g.one)}, (t,))[0]
        bodies.append(g.substitute(body, dict(zip(own, axes, strict=True))))
    rows = g.define("enum", axes, (), bodies)
    return Leaf(rows, (*p.shape, *g.tensors[t].extents))


def _tensor_jacobian(p: Problem, t: TensorId) -> Leaf:
    return _block_leaf(p, jacobian_block(p, t))


def jacobian_block(p: Problem, t: TensorId) -> Block:
    """J[o, q] from delta seeds, in the direction that carries fewer extra axes."""
    g = p.graph
    if g.tensors[p.value].kind == "enum" and not g.tensors[p.value].out:
        rows = _entry_rows(p, t).tensor
        entry, *axes = (g.fresh_axis(e) for e in g.tensors[rows].extents)
        return Block((entry,), tuple(axes), g.read(rows, entry, *axes))
    height = prod(typical(g, e) for e in g.tensors[p.value].extents)
    width = prod(typical(g, e) for e in g.tensors[t].extents)
    if height < width:
        seed, extra = _delta_seed(g, p.value)
        columns, body = cotangents(g, {p.value: seed}, (t,))[0]
        return Block(extra, columns, body)
    seed, extra = _delta_seed(g, t)
    places, body = _tangent(p, Forward(g, {t: seed}))
    return Block(places, extra, body)


def _block_leaf(p: Problem, block: Block) -> Leaf:
    """The whole block."""
    g, axes, body = p.graph, (*block.rows, *block.columns), block.body
    if p.is_banded:
        found = bands(g, block.rows, block.columns, body)
        body = summed(g, axes, found) if is_split(found, axes) else body
    return _map(g, axes, body)


def _delta_seed(g: Graph, t: TensorId) -> tuple[Tangent, tuple[Node, ...]]:
    """[axes == extra] as a seed, and the extra axes (one direction per value of them)."""
    axes = tuple(g.fresh_axis(e) for e in g.tensors[t].extents)
    extra = tuple(g.fresh_axis(e) for e in g.tensors[t].extents)
    same = conjunction(g, [g.ieq(a, b) for a, b in zip(axes, extra, strict=True)])
    return (axes, g.mask(same, g.one)), extra


def _last_axis(p: Problem, parts: Sequence[Result]) -> Leaf:
    """Jacobians by scalars as one array whose last axis runs over the scalars."""
    g = p.graph
    axes = tuple(g.fresh_axis(e) for e in g.tensors[p.value].extents)
    bodies = [g.read(part.tensor, *axes) for part in parts if isinstance(part, Leaf)]
    stacked = g.define("enum", axes, (), bodies)
    entry = g.fresh_axis(g.const(len(bodies)))
    return _map(g, (*axes, entry), g.read(stacked, entry, *axes))


def _hess(p: Problem) -> Result:
    g = p.graph
    parts = gradient_parts(p, "hess")
    if p.packed:
        return _symmetric(g, packed_hessian(p), len(p.wrt))
    blocks = [[_hess_block(p, part, t) for t in p.wrt] for part in parts]
    count = range(len(p.wrt))
    return _wrap(p, [_wrap(p, [_mirrored(g, blocks, p.wrt, a, b) for b in count]) for a in count])


def _hess_block(p: Problem, part: tuple[tuple[Node, ...], Node], t: TensorId) -> Leaf:
    return _block_leaf(p, hessian_block(p.graph, part, t))


def hessian_block(g: Graph, part: tuple[tuple[Node, ...], Node], t: TensorId) -> Block:
    """d grad[p] / d t[q] by forward mode with a delta seed."""
    axes, body = part
    seed, extra = _delta_seed(g, t)
    return Block(axes, extra, Forward(g, {t: seed}).expression(body))


def _hess_diag(p: Problem) -> Result:
    g, parts = p.graph, gradient_parts(p, "hess_diag")
    if p.packed:
        bodies = [body for _, body in parts]
        entries = sparse_jacobian(g, bodies, p.wrt, lambda i, j: i == j)
        return _vector(g, [entries.get((k, k), g.zero) for k in range(len(bodies))])
    return _wrap(p, [_diagonal(g, hessian_block(g, part, t)) for part, t in zip(parts, p.wrt, strict=True)])


def _diagonal(g: Graph, block: Block) -> Leaf:
    """The entries [p, p] of a block; no others are made."""
    axes = tuple(g.fresh_axis(g.extent(a)) for a in block.rows)
    return _map(g, axes, on_diagonal(g, axes, bands(g, block.rows, block.columns, block.body)))


def _symmetric(g: Graph, lower: Mapping[tuple[int, int], Node], n: int) -> Leaf:
    """A matrix from the entries on and below its diagonal."""
    whole = [lower.get((max(i, j), min(i, j)), g.zero) for i in range(n) for j in range(n)]
    return _vector(g, whole, (g.const(n), g.const(n)))


# ---- Gauss-Newton ------------------------------------------------------------------------------


def _gauss_newton(p: Problem) -> Result:
    g, n = p.graph, len(p.wrt)
    if p.packed:
        return _symmetric(g, packed_gauss_newton(p), n)
    columns = [gauss_newton_blocks(p, t) for t in p.wrt]
    return _wrap(p, [_wrap(p, [_block_leaf(p, column[a]) for column in columns]) for a in range(n)])


def gauss_newton_blocks(p: Problem, t: TensorId) -> list[Block]:
    """J'J[p, q] for q in `t` and p in each of wrt: a reverse sweep whose cotangent is J in forward mode."""
    g = p.graph
    seed, extra = _delta_seed(g, t)
    tangent = _tangent(p, Forward(g, {t: seed}))
    return [Block(axes, extra, body) for axes, body in cotangents(g, {p.value: tangent}, p.wrt)]


def packed_gauss_newton(p: Problem) -> dict[tuple[int, int], Node]:
    """The nonzero entries of the lower triangle of J'J by scalars."""
    g, entries = p.graph, _entries(p)
    rows: dict[object, dict[int, Node]] = {}
    if entries is not None:
        for (c, j), node in sparse_jacobian(g, _inlined(g, p.value, entries), p.wrt).items():
            rows.setdefault(c, {})[j] = node
        return _products(g, rows.values(), ())
    axes = tuple(g.fresh_axis(e) for e in g.tensors[p.value].extents)
    tangents = [_tangent(p, Forward(g, {t: ((), g.one)})) for t in p.wrt]
    moved = [g.substitute(body, dict(zip(own, axes, strict=True))) for own, body in tangents]
    return _products(g, [{j: node for j, node in enumerate(moved) if node != g.zero}], axes)


def _products(
    g: Graph, rows: Iterable[dict[int, Node]], axes: tuple[Node, ...]
) -> dict[tuple[int, int], Node]:
    total: dict[tuple[int, int], Node] = {}
    for row in rows:
        for i, a in row.items():
            for j, b in row.items():
                if j <= i:
                    part = reduce(g, "sum", axes, g.mul(a, b))
                    total[i, j] = g.add(total.get((i, j), g.zero), part)
    return {place: node for place, node in total.items() if node != g.zero}


def _gnvp(p: Problem) -> Result:
    """J'(J v): forward, then reverse."""
    g = p.graph
    tangent = _tangent_tensor(p, _direction(p))
    places = tuple(g.fresh_axis(e) for e in g.tensors[p.value].extents)
    parts = cotangents(g, {p.value: (places, g.read(tangent, *places))}, p.wrt)
    if p.packed:
        return _vector(g, [body for _, body in parts])
    return _wrap(p, [_map(g, axes, body) for axes, body in parts])


def _mirrored(g: Graph, blocks: list[list[Leaf]], wrt: Sequence[TensorId], a: int, b: int) -> Leaf:
    """Block (a, b), and for one of two that it is block (b, a) transposed: that of fewer directions."""
    block, (rows, columns) = blocks[a][b], (g.tensors[wrt[k]].rank for k in (a, b))
    if (columns, b) < (rows, a):
        return block
    return replace(block, mirror=(blocks[b][a].tensor, len(g.tensors[wrt[b]].extents)))


_WORDS: dict[str, Callable[[Problem], Result]] = {
    "value": _value,
    "grad": _grad,
    "jac": _jac,
    "hess": _hess,
    "hvp": _hvp,
    "jvp": _jvp,
    "vjp": _vjp,
    "hess_diag": _hess_diag,
    "gauss_newton": _gauss_newton,
    "gnvp": _gnvp,
}
OUTPUT_WORDS = tuple(_WORDS)
_ERROR = "_error"
ERROR_WORDS = tuple(map(error_word, OUTPUT_WORDS))
TANGENT_WORDS = ("jvp", "hvp", "gnvp")  # those that take a direction
