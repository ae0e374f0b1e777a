"""Numbers less their mean: what rounding left in the mean is taken from them, too.

    x - m    ->    (x - m) - d        m = mean(x), d = mean(x - m)

m is off by some last places of x, which are large beside a deviation that is not: at an offset of 1e3, 1e-13
of a deviation of 1, and more of smaller ones. x - m is exact where x and m are near each other, so that d,
which would be 0, is nearly what m is off by. Sums of products of two deviations do not need it: they lose as
much as the square of that. Sums of deviations, as gradients have them, are 0.

Source: Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance": the corrected two-pass
algorithm.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.stability.patterns import product_of_powers
from symgrad.ir.stability.weighted_means import Weights, powers, weights_of_mean
from symgrad.opt.rebuild import Copy, copy_with
from symgrad.records import dataclass

_OPS = ("add", "sub")


@dataclass(frozen=True)
class _Deviation:
    """x - m, or m - x, where m is the mean of x over these axes under the weights."""

    axes: tuple[Node, ...]
    weights: Weights


def centred(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """The definitions with deviations from means that are right to their last places."""
    below = g.definitions_below(roots)
    chosen = {t: found for t in below if (found := _deviations(g, t))} if g.stabilise else {}
    if not chosen:
        return g, {t: t for t in below}
    nothing = {t for t in chosen if _is_sum_of_deviations(g, t)}

    def on_tensor(copy: Copy, t: TensorId) -> TensorId | None:
        return _nothing(copy.new, copy.tensor(t)) if t in nothing else None

    def on_node(copy: Copy, t: TensorId, old: Node, new: Node) -> Node:
        found = _deviation(copy.new, new) if old in chosen.get(t, ()) else None
        return new if found is None else copy.new.sub(new, _mean(copy.new, new, found))

    return copy_with(g, roots, on_tensor, on_node, stabilise=False)


def _deviations(g: Graph, t: TensorId) -> frozenset[Node]:
    """The deviations in a definition, unless it is a sum of products of two."""
    tensor = g.tensors[t]
    if "sum" not in g.present:
        return frozenset()
    inside = [n for n in g.reachable(tensor.bodies) if g.op[n] in _OPS and g.axes[n]]
    found = frozenset(n for n in inside if _deviation(g, n) is not None)
    if found and tensor.kind == "sum":
        _, factors = powers(g, tensor.body)
        if sum(times for n, times in factors.items() if n in found) == 2:
            return frozenset()
    return found


def _deviation(g: Graph, node: Node) -> _Deviation | None:
    for x, other in (g.args[node], g.args[node][::-1]) if g.op[node] in _OPS else ():
        if g.axes[other] < g.axes[x]:
            over = tuple(g.first_occurrence(x, g.axes[x] - g.axes[other]))
            mean = g.neg(other) if g.op[node] == "add" else other
            for weights in weights_of_mean(g, mean, x, over):
                return _Deviation(over, weights)
    return None


def _is_sum_of_deviations(g: Graph, t: TensorId) -> bool:
    """Whether a definition adds up deviations from one mean under its weights, times a number."""
    tensor = g.tensors[t]
    if tensor.kind != "sum":
        return False
    _, factors = powers(g, tensor.body)
    for n, times in factors.items():
        found = _deviation(g, n) if times == 1 else None
        if found is not None and set(found.axes) == set(tensor.red):
            return factors == {**found.weights.factors[1], n: 1}
    return False


def _nothing(g: Graph, t: TensorId) -> TensorId:
    """0 in the place of a sum; the sum where it is not finite."""
    out = [g.axis(k, extent) for k, extent in enumerate(g.tensors[t].extents)]
    total = g.read(t, *out)
    is_finite = g.node("lt", g.node("abs", total), g.const(float("inf")))
    return g.define("map", out, (), g.where(is_finite, g.zero, total))


def _mean(g: Graph, node: Node, found: _Deviation) -> Node:
    """The mean of the node; 0 where it is not finite."""
    fresh = {a: g.fresh_axis(g.extent(a)) for a in found.axes}
    weighted = g.mul(product_of_powers(g, *found.weights.factors), node)
    body = g.substitute(weighted, fresh)
    out = g.first_occurrence(body, g.axes[body] - frozenset(fresh.values()))
    mean = g.div(g.read(g.define("sum", out, tuple(fresh.values()), body), *out), found.weights.total)
    is_finite = g.node("lt", g.node("abs", mean), g.const(float("inf")))
    return g.read(g.define("map", out, (), g.where(is_finite, mean, g.zero)), *out)
