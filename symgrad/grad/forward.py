"""Forward mode over definitions: no index map has to be inverted.

`Tdot[o] = reduce over k of dT/dbody * sum over reads of dbody/dread * Sdot[index]`. Seeds may have
extra free axes (one direction per value of those axes): a delta seed gives a whole Jacobian.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symgrad.grad import cosines, nested_shares
from symgrad.grad.norms import moved, moved_cosine, norms_in
from symgrad.grad.recurrence import tangents
from symgrad.grad.rules import weight
from symgrad.grad.softmaxes import (
    Mean,
    Softmax,
    as_share,
    centred,
    covariance,
    log_shares,
    mean_in,
    mean_of,
    place_in_mean,
    share_of,
    varying,
)
from symgrad.grad.store import stored
from symgrad.grad.sweep import pushforward
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.matrix.call import over, taken_apart
from symgrad.ir.matrix.functions import MATRIX_FUNCTIONS
from symgrad.ir.reduce import reduce
from symgrad.ir.scan import frontier, is_scan, outer_definitions, scan_of

Tangent = tuple[tuple[Node, ...], Node]  # (one axis per axis of the tensor, expression over them)


class Forward:
    """Tangents of tensors and of expressions, given those of some tensors; computed on demand once."""

    def __init__(self, g: Graph, seeds: Mapping[TensorId, Tangent | None]) -> None:
        self.g = g
        self.tangents: dict[TensorId, Tangent | None] = dict(seeds)
        self.log_shares: dict[TensorId, Tangent] = {}  # of x - L, by L
        self.norms: dict[Node, Node] = {}
        self.deviations: dict[TensorId, Tangent] = {}  # of numbers less their mean, by the mean
        self.parts: dict[TensorId, tuple[tuple[Node, ...], nested_shares.Parts]] = {}  # of x, by L

    def tensor(self, t: TensorId) -> Tangent | None:
        """The tangent of a tensor, None where it is zero."""
        for s in outer_definitions(self.g, (t,)):
            if s not in self.tangents:
                if is_scan(self.g, s):
                    self._scan(s)
                else:
                    self.tangents[s] = self._definition(s)
        return self.tangents[t]

    def expression(self, body: Node) -> Node:
        """The tangent of a node whose free axes belong to the caller."""
        for r in self.g.reads((body,)):
            self.tensor(self.g.args[r][0])
        return self._push((body,)).get(body, self.g.zero)

    def _push(self, bodies: Sequence[Node]) -> dict[Node, Node]:
        known = {r: self._at(r) for r in self.g.reads(bodies)}
        if self.g.stabilise:
            known |= self._of_softmaxes(bodies) | self._of_norms(bodies)
        return pushforward(self.g, bodies, known)

    # ---- norms -----------------------------------------------------------------------------

    def _of_norms(self, bodies: Sequence[Node]) -> dict[Node, Node]:
        """The tangents of norms of sums over axes, and of what is over one of its own."""
        g, found = self.g, {}
        for n, (norm, times) in norms_in(g, bodies).items():
            if norm.node not in self.norms:
                value = moved(g, norm, self.expression)
                self.norms[norm.node] = stored(g, norm.place, value)
            found[n] = g.mul(times, self.norms[norm.node])
        for n in g.reachable(bodies) if "norm_cosine" in g.present else ():
            made = moved_cosine(g, n, self.expression) if g.op[n] == "norm_cosine" else None
            if made is not None:
                found[n] = made
        for n, quotient in cosines.cosines_in(g, bodies).items():
            found[n] = cosines.moved(g, quotient, self.expression)
        return found

    # ---- softmaxes -------------------------------------------------------------------------

    def _of_softmaxes(self, bodies: Sequence[Node]) -> dict[Node, Node]:
        """The tangents of differences x - L, and of numbers less their mean."""
        g, found = self.g, {}
        for n, share in log_shares(g, bodies).items():
            axes, value = self._log_share(share.total)
            moved = g.substitute(value, dict(zip(axes, share.place, strict=True)))
            found[n] = g.mul(g.const(share.times), moved)
        for n in g.reachable(bodies) if "deviation" in g.op else ():
            known = self._deviation(*g.args[n]) if g.op[n] == "deviation" else None
            if known is not None:
                found[n] = known
        for n in g.reachable(bodies) if "nested_share" in g.op else ():
            if g.op[n] == "nested_share":
                found[n] = self._nested_share(n)
        return found

    def _nested_share(self, n: Node) -> Node:
        """The tangent of a share of an array that is itself a share of more."""
        g, share = self.g, as_share(self.g, self.g.args[n][1])
        assert share is not None, "what makes it"
        total, tensor = share.total, self.g.tensors[share.total]
        if total not in self.parts:
            axes, softmax = (*tensor.out, *tensor.red), Softmax(total, tensor.out, tensor.red)
            parts = nested_shares.parts_of(
                g, softmax, self.expression(nested_shares.exponent(g, tensor.body))
            )
            self.parts[total] = axes, nested_shares.Parts(*(stored(g, axes, part) for part in parts))
        axes, parts = self.parts[total]
        here = dict(zip(axes, share.place, strict=True))
        moved = nested_shares.Parts(*(g.substitute(part, here) for part in parts))
        return nested_shares.tangent(g, n, moved, self.expression)

    def _log_share(self, total: TensorId) -> Tangent:
        """The tangent of x - L, over the axes of L and those it sums over."""
        if total not in self.log_shares:
            g, tensor = self.g, self.g.tensors[total]
            axes = (*tensor.out, *tensor.red)
            value = centred(g, Softmax(total, tensor.out, tensor.red), self.expression(tensor.body))
            self.log_shares[total] = axes, stored(g, axes, value)
        return self.log_shares[total]

    def _deviation(self, c: Node, s: Node) -> Node | None:
        """The tangent of c - s for a mean s of numbers of which c is one."""
        g, mean = self.g, mean_of(self.g, s)
        if mean is None:
            return None
        t, *index = g.args[s]
        out = dict(zip(g.tensors[t].out, index, strict=True))
        place = place_in_mean(g, mean, out, c)
        if place is None:
            return None
        if t not in self.deviations:
            axes = (*g.tensors[t].out, *mean.softmax.red)
            moved = centred(g, mean.softmax, self.expression(varying(g, mean.softmax, mean.c)))
            apart = g.node("deviation", mean.c, g.read(t, *g.tensors[t].out))
            self.deviations[t] = axes, stored(g, axes, g.sub(moved, self._covariance(mean, apart)))
        axes, value = self.deviations[t]
        return g.substitute(value, dict(zip(axes, (*index, *place), strict=True)))

    def _covariance(self, mean: Mean, apart: Node) -> Node:
        g, softmax = self.g, mean.softmax
        tensor = g.tensors[softmax.total]
        places = dict(zip((*tensor.out, *tensor.red), (*softmax.out, *softmax.red), strict=True))
        return covariance(g, softmax, g.substitute(self.expression(tensor.body), places), mean.c, apart)

    def _mean(self, mean: Mean) -> Node:
        """The tangent of a mean under a softmax."""
        g, softmax = self.g, mean.softmax
        p = share_of(g, softmax)
        moved = reduce(g, "sum", softmax.red, g.mul(p, self.expression(mean.c)))
        return g.add(moved, self._covariance(mean, centred(g, softmax, mean.c)))

    def _at(self, read: Node) -> Node:
        """The tangent of what a read reads."""
        t, *index = self.g.args[read]
        tangent = self.tangents[t]
        if tangent is None:
            return self.g.zero
        axes, value = tangent
        return self.g.substitute(value, dict(zip(axes, index, strict=True)))

    def _definition(self, t: TensorId) -> Tangent | None:
        g, tensor = self.g, self.g.tensors[t]
        if tensor.kind in ("input", "state"):
            return None
        mean = mean_in(g, t) if tensor.kind == "sum" and g.stabilise else None
        if mean is not None:
            value = self._mean(mean)
            return None if value == g.zero else (tensor.out, stored(g, tensor.out, value))
        dots = self._push(tensor.bodies)
        if not any(b in dots for b in tensor.bodies):
            return None
        if tensor.kind == "enum":
            return self._enum(t, [dots.get(b, g.zero) for b in tensor.bodies])
        if tensor.kind == "scatter":
            return self._scatter(t, dots[tensor.body])
        if tensor.kind == "call":
            return self._call(t, [dots.get(b) for b in tensor.bodies])
        value = dots[tensor.body]
        if tensor.kind != "map":
            value = reduce(g, "sum", tensor.red, weight(g, t, value))
        return tensor.out, stored(g, tensor.out, value)

    def _scan(self, t: TensorId) -> None:
        """The tangents of all trajectories of a recurrence."""
        scan = scan_of(self.g, t)
        outside = {s: self.tensor(s) for s in frontier(self.g, scan)}

        def push(seeds: Mapping[TensorId, Tangent | None], step: TensorId) -> Tangent | None:
            return Forward(self.g, seeds).tensor(step)

        self.tangents.update(tangents(self.g, scan, outside, push))

    def _call(self, t: TensorId, dots: Sequence[Node | None]) -> Tangent | None:
        g, tensor, row = self.g, self.g.tensors[t], MATRIX_FUNCTIONS[self.g.tensors[t].name]
        parts = taken_apart(g, t, row.ranks, len(row.result))
        tangents = [None if d is None else over(g, axes, d) for axes, d in zip(parts.axes, dots, strict=True)]
        assert row.forward is not None, "factors are made after differentiation"
        value = row.forward(parts, tangents)
        if value is None:
            return None
        return tensor.out, stored(g, tensor.out, value.at(*parts.places))

    def _enum(self, t: TensorId, dots: list[Node]) -> Tangent:
        g, tensor = self.g, self.g.tensors[t]
        extra = sorted(frozenset().union(*(g.axes[d] for d in dots)) - set(tensor.out), key=g.order_key)
        whole = g.define("enum", (*tensor.out, *extra), (), dots)
        entry = g.fresh_axis(tensor.extents[0])
        return (entry, *tensor.out), g.read(whole, entry, *tensor.out, *extra)

    def _scatter(self, t: TensorId, dot: Node) -> Tangent:
        g, tensor = self.g, self.g.tensors[t]
        extra = sorted(g.axes[dot] - set(tensor.red), key=g.order_key)
        extents = (*tensor.extents, *(g.extent(a) for a in extra))
        whole = g.define("scatter", (), (*tensor.red, *extra), dot, (*tensor.target, *extra), extents)
        axes = tuple(g.fresh_axis(e) for e in tensor.extents)
        return axes, g.read(whole, *axes, *extra)
