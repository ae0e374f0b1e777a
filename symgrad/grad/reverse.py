"""Reverse mode over definitions, by one rule: pull.

For a definition `T[o] = reduce over k of body(o, k)` with cotangent Tbar, every read `S[a(o, k)]`
in the body adds to the cotangent of S

    Sbar[p] += sum over (o, k) of [a(o, k) = p] * Tbar[o] * dT/dbody * dbody/dread

and `ir.reduce` turns the equality into a gather wherever the index map inverts.
Source: tensor_ir study, section 3.1; Urban & van der Smagt, arXiv 1711.01348.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symgrad.grad.cosines import cosines_in
from symgrad.grad.cosines import pulled as pulled_cosines
from symgrad.grad.nested_shares import has_share, weighted
from symgrad.grad.norms import Norm, norms_in
from symgrad.grad.norms import pulled as pulled_norm
from symgrad.grad.recurrence import scan_cotangents
from symgrad.grad.rules import weight
from symgrad.grad.softmaxes import (
    LogShare,
    log_share_tensor,
    log_shares,
    pulled,
    pulled_to_one,
    without_means_of_deviations,
)
from symgrad.grad.store import stored, without_needless_mask
from symgrad.grad.sweep import pullback
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.matrix.call import over, taken_apart
from symgrad.ir.matrix.functions import MATRIX_FUNCTIONS
from symgrad.ir.reduce import additive_terms, conjunction, reduce
from symgrad.ir.scan import is_scan, outer_definitions, outer_sources, scan_of
from symgrad.ir.stability.patterns import sum_of_signed


def cotangents(
    g: Graph, seeds: Mapping[TensorId, tuple[Sequence[Node], Node]], wrt: Sequence[TensorId]
) -> list[tuple[tuple[Node, ...], Node]]:
    """Cotangents of the tensors `wrt`, each as (axes, expression over those axes).

    seeds  tensor -> (axes, its cotangent as an expression over those axes, and possibly more free
           axes, which all results then depend on).
    wrt    taken as independent of each other, where they are definitions.
    A tensor the seeds do not depend on gets the constant 0.
    """
    order = outer_definitions(g, seeds)
    leaves = frozenset(wrt)
    active = _active(g, order, leaves)
    places: dict[TensorId, tuple[Node, ...]] = {}
    total: dict[TensorId, Node] = {}
    norms: dict[Node, Norm] = {}

    def add(t: TensorId, axes: Sequence[Node], value: Node) -> None:
        own = places.setdefault(t, tuple(g.fresh_axis(e) for e in g.tensors[t].extents))
        value = g.substitute(value, dict(zip(axes, own, strict=True)))
        total[t] = g.add(total.get(t, g.zero), value)

    for t, (axes, value) in seeds.items():
        add(t, axes, value)
    for t in reversed(order):
        for norm in [norm for norm in norms.values() if t in norm.sources]:  # all that read it had their turn
            for s, axes, value in _pull_norm(g, norms.pop(norm.node), places, total, active):
                add(s, axes, value)
        if t not in active or t in leaves or g.tensors[t].kind == "input":
            continue
        if g.tensors[t].kind == "logsumexp":
            for s, axes, value in _pull_log_shares(g, t, places, total, active):
                add(s, axes, value)
        if is_scan(g, t):
            if t == min(s for s in order if is_scan(g, s) and scan_of(g, s) == scan_of(g, t)):
                for s, axes, value in _pull_scan(g, t, places, total, active):
                    add(s, axes, value)
            continue
        if total.get(t, g.zero) == g.zero:
            continue
        own = norms_in(g, g.tensors[t].bodies, leaves)
        norms.update((norm.node, norm) for norm, _ in own.values())
        if t in (norm.tensor for norm, _ in own.values()):
            continue  # it has its turn with those that are written elsewhere
        bar = _stored_bar(g, t, places[t], total[t])
        for s, axes, value in _pull(g, t, places[t], bar, active, leaves, own):
            add(s, axes, value)
    return [_result(g, t, places, total) for t in wrt]


def _stored_bar(g: Graph, t: TensorId, axes: tuple[Node, ...], total: Node) -> Node:
    """The cotangent of a tensor as it is used; shares of a log-sum-exp are still to be seen in its own."""
    if g.tensors[t].kind != "logsumexp" or not g.stabilise:
        return stored(g, axes, total)
    terms = additive_terms(g, total)
    seen = [(sign, term) for sign, term in terms if has_share(g, t, axes, term)]
    rest = [part for part in terms if part not in seen]
    return g.add(sum_of_signed(g, seen), stored(g, axes, sum_of_signed(g, rest)))


def _pull_scan(
    g: Graph,
    t: TensorId,
    places: Mapping[TensorId, tuple[Node, ...]],
    total: Mapping[TensorId, Node],
    active: frozenset[TensorId],
) -> list[tuple[TensorId, tuple[Node, ...], Node]]:
    """The contributions of a whole recurrence, once all its trajectories have their cotangents."""
    scan = scan_of(g, t)
    bars = {
        r: (places[r], stored(g, places[r], total[r])) for r in scan.results if total.get(r, g.zero) != g.zero
    }
    if not bars:
        return []
    return scan_cotangents(g, scan, bars, active, lambda seeds, wrt: cotangents(g, seeds, wrt))


def _result(
    g: Graph, t: TensorId, places: dict[TensorId, tuple[Node, ...]], total: dict[TensorId, Node]
) -> tuple[tuple[Node, ...], Node]:
    axes = places.get(t) or tuple(g.fresh_axis(e) for e in g.tensors[t].extents)
    return axes, total.get(t, g.zero)


def _active(g: Graph, order: Sequence[TensorId], wrt: frozenset[TensorId]) -> frozenset[TensorId]:
    """Tensors whose value depends on one of `wrt`."""
    active = set(wrt)
    for t in order:
        tensor = g.tensors[t]
        if is_scan(g, t):
            sources = outer_sources(g, t)
        else:
            sources = tuple(g.args[r][0] for r in g.reads(tensor.bodies))
        if not active.isdisjoint(sources):
            active.add(t)
    return frozenset(active)


def _pull_log_shares(
    g: Graph,
    t: TensorId,
    places: Mapping[TensorId, tuple[Node, ...]],
    total: Mapping[TensorId, Node],
    active: frozenset[TensorId],
) -> list[tuple[TensorId, tuple[Node, ...], Node]]:
    """The contributions of the differences x - L of a log-sum-exp L to what the exponents x read."""
    y = log_share_tensor(g, t)
    if total.get(y, g.zero) == g.zero:
        return []
    tensor = g.tensors[t]
    whole = (*tensor.out, *tensor.red)
    bar = g.substitute(total[y], dict(zip(places[y], whole, strict=True)))
    value = stored(g, whole, pulled(g, t, bar))
    bars = pullback(g, {tensor.body: value}, active)
    common = [r for r in bars if g.axes[r].isdisjoint(tensor.red)]
    found = _to_reads(g, whole, {r: b for r, b in bars.items() if r not in common})
    slopes = pullback(g, {tensor.body: g.one}, active) if common else {}
    return found + _to_reads(g, tensor.out, {r: pulled_to_one(g, t, bar, slopes[r]) for r in common})


def _pull_norm(
    g: Graph,
    norm: Norm,
    places: Mapping[TensorId, tuple[Node, ...]],
    total: Mapping[TensorId, Node],
    active: frozenset[TensorId],
) -> list[tuple[TensorId, tuple[Node, ...], Node]]:
    """The contributions of a norm to what its sides read."""
    if total.get(norm.tensor, g.zero) == g.zero:
        return []
    own = places[norm.tensor]
    found = pulled_norm(g, norm, own, stored(g, own, total[norm.tensor]), active)
    return [part for loops, bars in found for part in _to_reads(g, loops, bars)]


def _pull(
    g: Graph,
    t: TensorId,
    places: tuple[Node, ...],
    bar: Node,
    active: frozenset[TensorId],
    leaves: frozenset[TensorId],
    norms: Mapping[Node, tuple[Norm, Node]],
) -> list[tuple[TensorId, tuple[Node, ...], Node]]:
    """The contributions of one definition to the cotangents of what it reads."""
    tensor = g.tensors[t]
    bar = without_needless_mask(g, bar, tensor.bodies)
    out: list[tuple[TensorId, tuple[Node, ...], Node]] = []
    whole = (*tensor.out, *tensor.red)
    parts = _of_call(g, t, places, bar) if tensor.kind == "call" else [(whole, _seeds(g, t, places, bar))]
    for loops, seeds in parts:
        shares = log_shares(g, seeds, leaves) if g.stabilise else {}
        cosines = cosines_in(g, seeds, leaves)
        apart = shares.keys() | norms.keys()
        bars = pullback(g, seeds, active, apart | cosines.keys())
        for node, quotient in cosines.items():
            own = bars.pop(node, g.zero)
            for inside, found in pulled_cosines(g, quotient, loops, own, active):
                out += _to_reads(g, inside, found)
            rest = {quotient.factor: g.mul(own, quotient.quotient)}
            out += _to_reads(g, loops, pullback(g, rest, active, apart), shares, norms)
        out += _to_reads(g, loops, bars, shares, norms)
    return out


def _to_reads(
    g: Graph,
    loops: Sequence[Node],
    bars: Mapping[Node, Node],
    shares: Mapping[Node, LogShare] = {},
    norms: Mapping[Node, tuple[Norm, Node]] = {},
) -> list[tuple[TensorId, tuple[Node, ...], Node]]:
    """Cotangents of what a body reads, from those of its reads; differences x - L and norms count as such."""
    out: list[tuple[TensorId, tuple[Node, ...], Node]] = []
    for read, bar in bars.items():
        share, value = shares.get(read), bar
        if read in norms:
            norm, times = norms[read]
            s, index, value = norm.tensor, [*norm.place], g.mul(bar, times)
        elif share is None:
            s, *index = g.args[read]
        else:
            s, index = log_share_tensor(g, share.total), [*share.place]
            value = g.mul(g.const(share.times), bar)
        if g.stabilise:
            common = [a for a in loops if all(g.axes[i].isdisjoint((a,)) for i in index)]
            value = without_means_of_deviations(g, common, value)
        own = tuple(g.fresh_axis(e) for e in g.tensors[s].extents)
        here = conjunction(g, [g.ieq(a, p) for a, p in zip(index, own, strict=True)])
        out.append((s, own, reduce(g, "sum", loops, g.mask(here, value))))
    return out


def _seeds(g: Graph, t: TensorId, places: tuple[Node, ...], bar: Node) -> dict[Node, Node]:
    """The cotangent of each body of a definition, over the definition's own axes."""
    tensor = g.tensors[t]
    if tensor.kind == "scatter":
        return {tensor.body: g.substitute(bar, dict(zip(places, tensor.target, strict=True)))}
    if tensor.kind != "enum":
        here = g.substitute(bar, dict(zip(places, tensor.out, strict=True)))
        if tensor.kind == "logsumexp" and g.stabilise:
            return {tensor.body: weighted(g, t, here, weight(g, t, g.one))}
        return {tensor.body: weight(g, t, here)}
    seeds: dict[Node, Node] = {}
    rest = dict(zip(places[1:], tensor.out, strict=True))
    for entry, body in enumerate(tensor.bodies):
        here = g.substitute(bar, {places[0]: g.const(entry), **rest})
        seeds[body] = g.add(seeds.get(body, g.zero), here)
    return seeds


def _of_call(
    g: Graph, t: TensorId, places: tuple[Node, ...], bar: Node
) -> list[tuple[tuple[Node, ...], dict[Node, Node]]]:
    """For each operand of a matrix function, the loops over it and its cotangent."""
    tensor, row = g.tensors[t], MATRIX_FUNCTIONS[g.tensors[t].name]
    parts = taken_apart(g, t, row.ranks, len(row.result))
    here = g.substitute(bar, dict(zip(places, tensor.out, strict=True)))
    assert row.reverse is not None, "factors are made after differentiation"
    values = row.reverse(parts, over(g, parts.places, here))
    return [
        ((*parts.others, *axes), {body: value.at(*axes)})
        for body, axes, value in zip(tensor.bodies, parts.axes, values, strict=True)
        if value is not None
    ]


def gradient(g: Graph, value: TensorId, wrt: Sequence[TensorId]) -> list[tuple[tuple[Node, ...], Node]]:
    """The gradient of a rank-0 tensor with respect to each of `wrt`, as (axes, expression)."""
    return cotangents(g, {value: ((), g.one)}, wrt)
