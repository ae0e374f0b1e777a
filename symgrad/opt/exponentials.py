"""A softmax by the exponentials that its sum is made of: one function for each exponent, not two.

    p = exp((x - m) - log(1 + s))      becomes      p = e/(s + ties),   e = exp(x - m)

Here m is the largest x, s the sum of e over the others and `ties` how many are the largest (`opt.logsumexp`).
Both are the same number; the quotient has a rounding less, as x - m is not rounded again. This comes when all
that asks what is a softmax has been answered (`opt.saturation`, `opt.deviation`).

Source: Blanchard, Higham & Higham 2021, Accurately computing the log-sum-exp and softmax functions,
section 2: both formulas and their errors.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import islice, product

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import memory_order, store
from symgrad.opt.rebuild import Copy, copy_with
from symgrad.opt.saturation import Softmax, Split, softmax_of

_MOST_PLACES = 16  # are tried for where an exponent stands among those of its sum


def with_shared_exponentials(
    g: Graph, roots: Sequence[TensorId], splits: Collection[Split]
) -> tuple[Graph, dict[TensorId, TensorId]]:
    """Every softmax of log-sum-exps that were split, in definitions below `roots`, as above."""
    below = g.definitions_below(roots)
    found = _softmaxes(g, below, splits) if splits else {}
    if not found:
        return g, {t: t for t in below}
    sums = {softmax.split.below for softmax, _ in found.values()}
    stored: dict[TensorId, Node] = {}  # these -> the exponentials in the new graph, at the axes of the sum

    def on_tensor(copy: Copy, t: TensorId) -> TensorId | None:
        if t not in sums:
            return None
        tensor = copy.new.tensors[copy.tensor(t)]
        is_top, nothing, exponential = copy.new.args[tensor.body]
        stored[t] = e = store(
            copy.new, memory_order(copy.new, exponential, (*tensor.out, *tensor.red)), exponential
        )
        return copy.new.define("sum", tensor.out, tensor.red, copy.new.where(is_top, nothing, e))

    def on_node(copy: Copy, t: TensorId, old: Node, new: Node) -> Node:
        if old not in found:
            return new
        softmax, places = found[old]
        split, made = softmax.split, copy.new
        there, index = copy.nodes(places, t), copy.nodes(softmax.index, t)
        tensor = made.tensors[copy.tensors[split.below]]
        e = made.substitute(stored[split.below], dict(zip((*tensor.out, *tensor.red), there, strict=True)))
        whole = made.add(*(made.read(copy.tensors[s], *index) for s in (split.below, split.ties)))
        return made.div(e, whole)

    made, moved = copy_with(g, roots, on_tensor, on_node, stabilise=False)
    made.fired.update(g.fired)  # in the same stage
    return made, moved


def _softmaxes(
    g: Graph, below: Sequence[TensorId], splits: Collection[Split]
) -> dict[Node, tuple[Softmax, tuple[Node, ...]]]:
    """The exponentials that are softmaxes, and where among those of the sum each stands."""
    found = {}
    for n in g.reachable([b for t in below for b in g.tensors[t].bodies]):
        softmax = softmax_of(g, n, splits) if g.op[n] == "exp" else None
        places = None if softmax is None else _places(g, softmax)
        if softmax is not None and places is not None:
            found[n] = softmax, places
    return found


def _places(g: Graph, softmax: Softmax) -> tuple[Node, ...] | None:
    """The indices of the exponent among those of its sum; None if it is none of them."""
    split = softmax.split
    known = dict(zip(split.out, softmax.index, strict=True))
    mine = list(g.reads((softmax.x,)))
    for pattern in (split.written, split.body):
        wanted = [(g.args[n][0], k, i) for n in g.reads((pattern,)) for k, i in enumerate(g.args[n]) if k]
        choices = [
            dict.fromkeys(g.args[n][k] for s, k, i in wanted if i == axis for n in mine if g.args[n][0] == s)
            for axis in split.red
        ]
        for chosen in islice(product(*choices), _MOST_PLACES):
            places = known | dict(zip(split.red, chosen, strict=True))
            if g.substitute(pattern, places) == softmax.x:
                return tuple(places[a] for a in (*split.out, *split.red))
    return None
