"""What loops that come later read of a stored array: the product around it, where earlier loops have it, too.

    s = sum of r[i]*f[i]        f is made and stored in the loop of the sum
    y[i] = s*(r[i]*f[i])        waits for the sum: it reads r[i]*f[i], and neither r nor f

The earlier loop computes the product anyway. Stored instead of f, which nothing else reads later, it costs
nothing there, and the later loop reads an array less. No product is regrouped: what is stored is a node of
both definitions. It is laid out as f is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import needs_its_guards, store
from symgrad.opt.rebuild import Copy, copy_with

Place = tuple[TensorId, Node]  # a definition, and one of its nodes


def products_around(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """Store such products."""
    order = g.definitions_below(roots)
    waits = _sums_before(g, order)
    chosen: dict[Place, Node] = {}
    for s, places in _places_of_maps(g, order).items():
        if s not in roots and any(waits[t] > waits[s] for t, _ in places):
            chosen |= _products(g, places, [t for t, _ in places if waits[t] == waits[s]])
    if not chosen:
        return g, {t: t for t in order}

    def on_node(copy: Copy, t: TensorId, old: Node, new: Node) -> Node:
        if (t, old) not in chosen or copy.new.op[new] != "mul":
            return new
        source = copy.tensors[g.args[chosen[t, old]][0]]
        index = next(
            (copy.new.args[r][1:] for r in copy.new.reads((new,)) if copy.new.args[r][0] == source), ()
        )
        return store(copy.new, index, new) if copy.new.axes[new] == frozenset(index) else new

    return copy_with(g, roots, on_node=on_node)


def _sums_before(g: Graph, order: Sequence[TensorId]) -> dict[TensorId, int]:
    """How many reductions, each of what the one before gave, a definition waits for."""
    waits: dict[TensorId, int] = {}
    for t in order:
        sources = [g.args[r][0] for r in g.reads_of(t)]
        waits[t] = max((waits.get(s, 0) + bool(g.tensors[s].red) for s in sources), default=0)
    return waits


def _places_of_maps(g: Graph, order: Sequence[TensorId]) -> Mapping[TensorId, list[Place]]:
    """Where each map over axes is read, if every index is an axis of its own."""
    places: dict[TensorId, list[Place]] = {}
    for t in order:
        for r in g.reads_of(t):
            s, *index = g.args[r]
            if index and g.tensors[s].kind == "map":
                places.setdefault(s, []).append((t, r))
    return {s: found for s, found in places.items() if all(_is_plain(g, r) for _, r in found)}


def _is_plain(g: Graph, read: Node) -> bool:
    index = g.args[read][1:]
    return all(g.op[i] == "axis" for i in index) and len(set(index)) == len(index)


def _products(g: Graph, places: Sequence[Place], early: Sequence[TensorId]) -> dict[Place, Node]:
    """The product that all later readers of an array have around it, and an early one, too: where it stands.

    places  all reads of the array; early are the definitions that need not wait for more than it does.
    """
    around = {place: _around(g, *place) for place in places}
    forms = {(t, p): _form(g, p, r) for (t, r), found in around.items() for p in found}
    known = {forms[t, p] for (t, _), found in around.items() if t in early for p in found}
    late = [
        [forms[t, p] for p in found if _saves_an_array(g, t, p)]
        for (t, _), found in around.items()
        if t not in early
    ]
    largest = {next((f for f in found[::-1] if f in known), None) for found in late}
    if len(largest) > 1 or None in largest:
        return {}
    return {(t, p): r for (t, r), found in around.items() for p in found if forms[t, p] in largest}


def _around(g: Graph, t: TensorId, read: Node) -> list[Node]:
    """The products around a read, from the inside, as long as nothing else uses what is inside of them."""
    users: dict[Node, set[Node]] = {}
    for n in g.reachable(g.tensors[t].bodies):
        for child in g.children(n):
            users.setdefault(child, set()).add(n)
    found, n = list[Node](), read
    while len(users.get(n, ())) == 1:
        (n,) = users[n]
        if g.op[n] != "mul" or g.axes[n] != g.axes[read]:
            break
        found.append(n)
    bound = needs_its_guards(g, g.tensors[t].bodies) if found else ()
    return [p for p in found if p not in bound]  # what is stored is computed everywhere


def _saves_an_array(g: Graph, t: TensorId, product: Node) -> bool:
    """Whether a definition that reads a product from memory reads fewer arrays along all of its axes."""
    left, seen = [n for n in g.tensors[t].bodies if n != product], {product}
    while left:
        n = left.pop()
        seen.add(n)
        left += [child for child in g.children(n) if child not in seen]
    axes = g.axes[product]
    return sum(g.axes[r] == axes for r in g.reads((product,)) if r not in seen) > 1


def _form(g: Graph, node: Node, read: Node) -> Node:
    """The node with the axes of a read numbered in its order: the same for equal values over other axes."""
    return g.substitute(node, {a: g.axis(k, g.extent(a)) for k, a in enumerate(g.args[read][1:])})
