"""The derivative outputs of a program: which sweeps give `grad`, `jac`, `hess`, `hvp`, `jvp`, `vjp`.

A result is a `Leaf` (one tensor with the shape the user sees) or a tuple of results, in the
structure of `wrt`. Gradients are reverse sweeps; second order is forward over reverse; Jacobians
take the direction with fewer operations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from symgrad.errors import BadOption, NonScalarGradient, quoted
from symgrad.grad.forward import Forward, Tangent
from symgrad.grad.reverse import cotangents
from symgrad.grad.scalar_jacobian import scalar_jacobian
from symgrad.ir.bounds import typical
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import conjunction


@dataclass(frozen=True)
class Leaf:
    """One tensor and the shape it has for the user (an enum's entries may be folded to a matrix)."""

    tensor: TensorId
    shape: tuple[Node, ...]


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
    """

    graph: Graph
    value: TensorId
    shape: tuple[Node, ...]
    wrt: tuple[TensorId, ...]
    packed: bool
    single: bool
    tangents: tuple[TensorId, ...] = ()
    cotangent: TensorId | None = None


def derive(p: Problem, word: str) -> Result:
    """The tensors of one output word. Raises BadOption for an unknown one."""
    if word not in _WORDS:
        raise BadOption(
            f"unknown output {word!r}",
            because=f"the outputs are {', '.join(_WORDS)}",
            try_="use one of these words",
        )
    return _WORDS[word](p)


def _value(p: Problem) -> Result:
    return Leaf(p.value, p.shape)


def _gradient(p: Problem, word: str) -> list[tuple[tuple[Node, ...], Node]]:
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
    parts = _gradient(p, "grad")
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
    parts = [(axes, forward.expression(body)) for axes, body in _gradient(p, "hvp")]
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
        rows = scalar_jacobian(g, _inlined(g, p.value, entries), p.wrt)
        shape = (*p.shape, g.const(len(p.wrt)))
        return _vector(g, [x for row in rows for x in row], shape)
    if entries is not None:
        return _wrap(p, [_entry_rows(p, t) for t in p.wrt])
    parts = [_tensor_jacobian(p, t) for t in p.wrt]
    if p.packed:
        return _last_axis(p, parts)
    return _wrap(p, parts)


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
    """J[o, q] from delta seeds, in the direction that carries fewer extra axes."""
    g = p.graph
    rows = prod(typical(g, e) for e in g.tensors[p.value].extents)
    columns = prod(typical(g, e) for e in g.tensors[t].extents)
    if rows < columns:
        return _reverse_jacobian(p, t)
    seeds, extra = _delta_seed(g, t)
    axes, body = _tangent(p, Forward(g, {t: seeds}))
    return _map(g, (*axes, *extra), body)


def _reverse_jacobian(p: Problem, t: TensorId) -> Leaf:
    g = p.graph
    seed, extra = _delta_seed(g, p.value)
    axes, body = cotangents(g, {p.value: seed}, (t,))[0]
    return _map(g, (*extra, *axes), body)


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
    parts = _gradient(p, "hess")
    if p.packed:
        rows = scalar_jacobian(g, [body for _, body in parts], p.wrt, symmetric=True)
        n = g.const(len(p.wrt))
        return _vector(g, [x for row in rows for x in row], (n, n))
    return _wrap(p, [_wrap(p, [_hess_block(g, part, t) for t in p.wrt]) for part in parts])


def _hess_block(g: Graph, part: tuple[tuple[Node, ...], Node], t: TensorId) -> Leaf:
    """d grad[p] / d t[q] by forward mode with a delta seed."""
    axes, body = part
    seed, extra = _delta_seed(g, t)
    return _map(g, (*axes, *extra), Forward(g, {t: seed}).expression(body))


_WORDS: dict[str, Callable[[Problem], Result]] = {
    "value": _value,
    "grad": _grad,
    "jac": _jac,
    "hess": _hess,
    "hvp": _hvp,
    "jvp": _jvp,
    "vjp": _vjp,
}
OUTPUT_WORDS = tuple(_WORDS)
