"""Jacobians of scalar graphs: structural zeros are never computed.

Forward, one sweep per variable over the nodes that depend on it, or reverse, one sweep per row
over the nodes it depends on: whichever touches fewer nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from symgrad.grad.forward import Forward
from symgrad.grad.sweep import pullback, push_one
from symgrad.ir.graph import Graph, Node, TensorId

Entries = dict[tuple[int, int], Node]
Wanted = Callable[[int, int], bool]

_REVERSE_FACTOR = 2  # a reverse visit makes about twice the operations of a forward one


def sparse_jacobian(
    g: Graph, rows: Sequence[Node], wrt: Sequence[TensorId], is_wanted: Wanted | None = None
) -> Entries:
    """The entries d rows[i] / d wrt[j] by rank-0 inputs that are not structurally zero, by (i, j).

    is_wanted  of the entries that are; sweeps are forward then, and what only others need is left behind.
    Beyond the sweeps nothing is done per pair of a row and a variable.
    """
    places: dict[Node, list[int]] = {}
    for i, row in enumerate(rows):
        places.setdefault(row, []).append(i)
    if _reads_definitions(g, rows):
        columns = _through_definitions(g, places, wrt, is_wanted)
        return _collected(g, places, columns, is_wanted)
    users = _users(g, rows)
    reach = [_descendants(g, users, g.read(t)) for t in wrt]
    backwards = _REVERSE_FACTOR * sum(len(g.reachable((r,))) for r in places) if is_wanted is None else 0
    if is_wanted is None and sum(map(len, reach)) > backwards:
        return _by_rows(g, places, wrt)
    swept = [_tangents(g, g.read(t), below) for t, below in zip(wrt, reach, strict=True)]
    return _collected(g, places, swept, is_wanted)


def is_lower(i: int, j: int) -> bool:
    """Whether an entry lies on or below the diagonal."""
    return j <= i


def visits(g: Graph, rows: Sequence[Node], wrt: Sequence[TensorId]) -> int:
    """How many nodes forward sweeps over `rows` visit (no row reads a definition)."""
    users = _users(g, rows)
    return sum(len(_descendants(g, users, g.read(t))) for t in wrt)


def _collected(
    g: Graph,
    places: Mapping[Node, list[int]],
    columns: Sequence[Mapping[Node, Node]],
    is_wanted: Wanted | None,
) -> Entries:
    """The entries of columns that are given by node."""
    return {
        (i, j): dot
        for j, column in enumerate(columns)
        for node, dot in column.items()
        if dot != g.zero
        for i in places.get(node, ())
        if is_wanted is None or is_wanted(i, j)
    }


def _by_rows(g: Graph, places: Mapping[Node, list[int]], wrt: Sequence[TensorId]) -> Entries:
    active = frozenset(wrt)
    number = {g.read(t): j for j, t in enumerate(wrt)}
    found: Entries = {}
    for row, own in places.items():
        for read, bar in pullback(g, {row: g.one}, active).items():
            found |= {(i, number[read]): bar for i in own if bar != g.zero}
    return found


def _through_definitions(
    g: Graph, places: Mapping[Node, list[int]], wrt: Sequence[TensorId], is_wanted: Wanted | None
) -> list[dict[Node, Node]]:
    """Columns of rows that read definitions."""
    columns = []
    for j, t in enumerate(wrt):
        forward = Forward(g, {t: ((), g.one)})
        rows = [r for r, own in places.items() if is_wanted is None or any(is_wanted(i, j) for i in own)]
        columns.append({r: forward.expression(r) for r in rows})
    return columns


def _reads_definitions(g: Graph, rows: Sequence[Node]) -> bool:
    return any(g.tensors[g.args[r][0]].kind != "input" for r in g.reads(rows))


def _users(g: Graph, rows: Sequence[Node]) -> dict[Node, list[Node]]:
    """For each node below `rows`, the nodes that use it."""
    users: dict[Node, list[Node]] = {}
    for n in g.reachable(rows):
        if g.op[n] != "read" and g.kind[n] == "real":
            for c in dict.fromkeys(g.children(n)):
                users.setdefault(c, []).append(n)
    return users


def _descendants(g: Graph, users: dict[Node, list[Node]], read: Node) -> list[Node]:
    """Everything that depends on `read`, ascending."""
    seen: set[Node] = set()
    stack = list(users.get(read, ()))
    while stack:
        n = stack.pop()
        if n not in seen:
            seen.add(n)
            stack.extend(users.get(n, ()))
    return sorted(seen)


def _tangents(g: Graph, read: Node, reach: list[Node]) -> dict[Node, Node]:
    """The tangents of `read` and of what depends on it, zeros left out."""
    dot: dict[Node, Node] = {read: g.one}
    for n in reach:
        if all(c not in dot for c in g.children(n)):
            continue  # reached through what has no slope: a jump, an anchor
        value = push_one(g, n, dot)
        if value != g.zero:
            dot[n] = value
    return dot
