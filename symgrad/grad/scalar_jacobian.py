"""Jacobians of scalar graphs: structural zeros are never computed, symmetric entries only once.

Forward, one sweep per variable over the nodes that depend on it, or reverse, one sweep per row
over the nodes it depends on: whichever touches fewer nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from symgrad.grad.forward import Forward
from symgrad.grad.sweep import pullback, push_one
from symgrad.ir.graph import Graph, Node, TensorId

_REVERSE_FACTOR = 2  # a reverse visit makes about twice the operations of a forward one


def scalar_jacobian(
    g: Graph, rows: Sequence[Node], wrt: Sequence[TensorId], symmetric: bool = False
) -> list[list[Node]]:
    """d rows[i] / d wrt[j] for rank-0 inputs `wrt`; `symmetric` computes the lower triangle once."""
    reads = [g.read(t) for t in wrt]
    if _reads_definitions(g, rows):
        columns = [_column_through_definitions(g, rows, t, j if symmetric else 0) for j, t in enumerate(wrt)]
        return _assemble(g, columns, len(rows), symmetric)
    users = _users(g, rows)
    reach = [_descendants(g, users, r) for r in reads]
    forward_cost = sum(len(d) for d in reach)
    if symmetric or forward_cost <= _REVERSE_FACTOR * sum(len(g.reachable((r,))) for r in rows):
        columns = [_column(g, rows, r, d, j if symmetric else 0)
                   for j, (r, d) in enumerate(zip(reads, reach, strict=True))]  # fmt: skip
        return _assemble(g, columns, len(rows), symmetric)
    active = frozenset(wrt)
    out = []
    for row in rows:
        bars = pullback(g, {row: g.one}, active)
        out.append([bars.get(r, g.zero) for r in reads])
    return out


def sparse_jacobian(
    g: Graph,
    rows: Sequence[Node],
    wrt: Sequence[TensorId],
    is_wanted: Callable[[int, int], bool] = lambda i, j: True,
) -> dict[tuple[int, int], Node]:
    """The entries d rows[i] / d wrt[j] that are not structurally zero, by (i, j).

    One forward sweep per variable over what depends on it; entries that are not wanted leave no nodes behind
    that are. The cost is that of the sweeps: nothing is done per pair of a row and a variable.
    """
    places: dict[Node, list[int]] = {}
    for i, row in enumerate(rows):
        places.setdefault(row, []).append(i)
    through = _reads_definitions(g, rows)
    users = {} if through else _users(g, rows)
    found: dict[tuple[int, int], Node] = {}
    for j, t in enumerate(wrt):
        if through:
            forward = Forward(g, {t: ((), g.one)})
            wanted = [r for r, own in places.items() if any(is_wanted(i, j) for i in own)]
            column = {r: forward.expression(r) for r in wanted}
        else:
            read = g.read(t)
            column = _tangents(g, read, _descendants(g, users, read))
        for node, dot in column.items():
            for i in places.get(node, ()):
                if dot != g.zero and is_wanted(i, j):
                    found[i, j] = dot
    return found


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


def _column(g: Graph, rows: Sequence[Node], read: Node, reach: list[Node], first: int) -> list[Node]:
    dot = _tangents(g, read, reach)
    return [dot.get(r, g.zero) for r in rows[first:]]


def _tangents(g: Graph, read: Node, reach: list[Node]) -> dict[Node, Node]:
    """The tangents of `read` and of what depends on it, zeros left out."""
    dot: dict[Node, Node] = {read: g.one}
    for n in reach:
        value = push_one(g, n, dot)
        if value != g.zero:
            dot[n] = value
    return dot


def _column_through_definitions(g: Graph, rows: Sequence[Node], t: TensorId, first: int) -> list[Node]:
    forward = Forward(g, {t: ((), g.one)})
    return [forward.expression(r) for r in rows[first:]]


def _assemble(g: Graph, columns: list[list[Node]], n_rows: int, symmetric: bool) -> list[list[Node]]:
    if not symmetric:
        return [[column[i] for column in columns] for i in range(n_rows)]
    n = len(columns)
    return [[columns[min(i, j)][max(i, j) - min(i, j)] for j in range(n)] for i in range(n_rows)]
