"""Hessians of scalar graphs by edge pushing: one sweep backwards that carries pairs of nodes.

At every moment the value is a function of the nodes still to be visited; `pairs` holds its second derivatives
with respect to two of them, where they are not zero. Visiting a node replaces it by its arguments:

    pushing    what it shares with another node, or itself, goes to its arguments, times its partials;
    creating   its own second partials, times its cotangent, couple its arguments;
    adjoint    its cotangent goes to its arguments, as in reverse mode.

What is left in the end are the Hessian's entries. Pairs that never meet are never made.
Source: Gower and Mello 2012, A new framework for the computation of Hessians (Optimization Methods and
Software 27); Griewank & Walther 2008, Evaluating Derivatives, section 7.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symgrad.grad.composed import composed_slopes
from symgrad.grad.conjugates import OPS_OF_ROOTS
from symgrad.grad.sweep import active_nodes, as_whole, finite_scores, partials, pushforward
from symgrad.ir.composites.softmax import NAMES
from symgrad.ir.decay import within
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.ops import OPS

Pairs = dict[Node, dict[Node, Node]]


def can_push(g: Graph, value: Node, wrt: Sequence[TensorId]) -> bool:
    """Whether `value` is one smooth scalar graph: no reads of definitions, no selections, no kinks.

    Cotangents of reverse mode keep the guards of branches together, pairs of nodes do not; and the slope of a
    kinked function may depend on what its argument is made of, which a placeholder hides. So do
    operations that are differentiated with what their argument is made of, or have a root of their arguments
    for an argument. What the shares of one softmax
    pull back is known of all of them together (`grad.shares`), and by an input of several scores.
    """
    alive = frozenset(active_nodes(g, (value,), frozenset(wrt)))
    for n in g.reachable((value,)):
        if composed_slopes(g, n, alive):
            return False
        if g.op[n] in OPS and (g.op[n] in ("mask", "where") or OPS[g.op[n]].kink):
            return False
        if (
            g.op[n] in NAMES
            or g.op[n] in OPS_OF_ROOTS
            or (g.op[n] == "logaddexp" and _have_common_reads(g, g.args[n]))
        ):
            return False
        if g.op[n] == "read" and g.tensors[g.args[n][0]].kind != "input":
            return False
    return True


def _have_common_reads(g: Graph, nodes: Sequence[Node]) -> bool:
    """Whether something is read in two of these."""
    seen: set[Node] = set()
    for n in nodes:
        own = {*g.reads((n,))}
        if not seen.isdisjoint(own):
            return True
        seen |= own
    return False


def edge_pushing(g: Graph, value: Node, wrt: Sequence[TensorId]) -> dict[tuple[int, int], Node]:
    """The nonzero entries (i, j), j <= i, of the Hessian of `value` by rank-0 inputs, as nodes.

    `value` reads no definitions.
    """
    sweep = _Sweep(g)
    alive = active_nodes(g, (value,), frozenset(wrt))
    sweep.cotangents[value] = g.one
    known = frozenset(alive)
    for n in reversed(alive):
        if g.op[n] != "read":
            sweep.visit(n, known)
    place = {g.read(t): k for k, t in enumerate(wrt)}
    return {
        (place[a], place[b]): w
        for a, row in sweep.pairs.items()
        for b, w in row.items()
        if place[b] <= place[a] and w != g.zero
    }


class _Sweep:
    """Cotangents of nodes and second derivatives of pairs of nodes; `pairs` holds both orders."""

    def __init__(self, g: Graph) -> None:
        self.g = g
        self.cotangents: dict[Node, Node] = {}
        self.pairs: Pairs = {}
        self.templates: dict[tuple[object, ...], tuple[dict[int, Node], dict[tuple[int, int], Node]]] = {}

    def visit(self, n: Node, alive: frozenset[Node]) -> None:
        """Replace a node by its arguments."""
        own = self.pairs.pop(n, {})
        bar = self.cotangents.pop(n, self.g.zero)
        first: dict[Node, Node] = {}
        finite = finite_scores(self.g, n)
        for argument, slope in partials(self.g, n, alive):
            part = self.g.substitute(slope, finite)
            first[argument] = self.g.add(first[argument], part) if argument in first else part
        self._push(n, own, first)
        if bar == self.g.zero:
            return
        for (a, b), second in self._second_partials(n, alive).items():
            self._add(a, b, self.g.mul(bar, self.g.substitute(second, finite)))
        for argument, part in first.items():
            old = self.cotangents.get(argument, self.g.zero)
            self.cotangents[argument] = self.g.add(old, self.g.mul(bar, part))

    def _push(self, n: Node, own: Mapping[Node, Node], first: Mapping[Node, Node]) -> None:
        g, arguments = self.g, list(first)
        for other, w in own.items():
            if other != n:
                self.pairs[other].pop(n, None)
                for a in arguments:
                    part = g.mul(first[a], w)
                    self._add(a, other, g.add(part, part) if a == other else part)
                continue
            for k, a in enumerate(arguments):
                half = g.mul(first[a], w)
                for b in arguments[: k + 1]:
                    self._add(a, b, g.mul(half, first[b]))

    def _add(self, a: Node, b: Node, w: Node) -> None:
        for x, y in {(a, b), (b, a)}:
            row = self.pairs.setdefault(x, {})
            row[y] = self.g.add(row[y], w) if y in row else w

    # ---- second partials ---------------------------------------------------------------------

    def _second_partials(self, n: Node, alive: frozenset[Node]) -> dict[tuple[Node, Node], Node]:
        """d2 n / (da db) for arguments a, b that are alive, each unordered pair once, zeros left out."""
        g, op, args = self.g, self.g.op[n], self.g.args[n]
        if op in ("add", "sub", "neg", "mask", "where"):
            return {}
        whole = as_whole(g, n)
        if whole is not None:
            return {
                k: g.mul(whole[0], second) for k, second in self._second_partials(whole[1], alive).items()
            }
        own = len(args) - OPS[op].formulas
        moving = [k for k, a in enumerate(args[:own]) if a in alive]
        key = (op, *(None if k in moving else a for k, a in enumerate(args)))
        if key not in self.templates:
            self.templates[key] = self._template(op, args, moving)
        places, template = self.templates[key]
        here = {place: args[k] for k, place in places.items()}
        found: dict[tuple[Node, Node], Node] = {}
        inside = within(g, n)
        nodes = [g.mask(inside, s) for s in g.substitute_all(tuple(template.values()), here)]
        for (j, k), second in zip(template, nodes, strict=True):
            a, b = max(args[j], args[k]), min(args[j], args[k])
            twice = g.add(second, second) if j != k and a == b else second
            found[a, b] = g.add(found[a, b], twice) if (a, b) in found else twice
        return {pair: w for pair, w in found.items() if w != g.zero}

    def _template(
        self, op: str, args: tuple[Node, ...], moving: list[int]
    ) -> tuple[dict[int, Node], dict[tuple[int, int], Node]]:
        """(a placeholder per moving argument, the second partials in them).

        Derived for placeholders, because a partial may be written in what an argument is made of.
        """
        g = self.g
        places = {k: g.read(g.input(f"argument {k} of an operation")) for k in moving}
        own = len(args) - OPS[op].formulas
        formulas = g.substitute_all(args[own:], {args[0]: places.get(0, args[0])})
        made = g.node(op, *(places.get(k, a) for k, a in enumerate(args[:own])), *formulas)
        first = dict(partials(g, made, frozenset(places.values()))) if g.op[made] == op else None
        if first is None:  # a rewrite took the operation apart: differentiate what it became
            whole = {k: pushforward(g, (made,), {p: g.one}).get(made, g.zero) for k, p in places.items()}
        else:
            whole = {k: first.get(p, g.zero) for k, p in places.items()}
        second = {
            (j, k): pushforward(g, (whole[j],), {places[k]: g.one}).get(whole[j], g.zero)
            for j in moving
            for k in moving
            if k <= j
        }
        return places, {pair: w for pair, w in second.items() if w != g.zero}
