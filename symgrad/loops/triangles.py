"""Triangles of matrix products: where an operand is zero, and where the result is read.

    for a: c[a, i, :] = sum over b of [b <= a] x[i, b]*q[a, b, :]       the sum ends at b = a
    for a: c[a, b, :] = sum over i of x[i, b]*y[i, a, :],               the rows end at b = a
                        of which all that is read has b <= a

Both stand in a loop over `a`, so that each call of a product has one axis that is shorter. Two axes of a
single call stay whole. Structural zeros are masks over indices, which annihilate whatever stands under them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from symgrad.ir.bounds import Fact, facts_of, is_implied, is_index_predicate
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import additive_terms, conjuncts

Path = frozenset[tuple[Node, bool]]  # conditions that hold, or do not


def is_zero_unless(g: Graph, read: Node, low: Node, high: Node) -> bool:
    """Whether what a read finds is structurally zero but where the axis `low` is not larger than `high`."""
    t, *index = g.args[read]
    tensor = g.tensors[t]
    if tensor.kind != "map" or index.count(low) != 1 or index.count(high) != 1:
        return False
    ahead = g.isub(tensor.out[index.index(high)], tensor.out[index.index(low)])
    terms = [term for _, term in additive_terms(g, tensor.body)]
    return all(g.op[term] == "mask" and is_implied(g, ahead, _facts_of_mask(g, term)) for term in terms)


def _facts_of_mask(g: Graph, mask: Node) -> list[Fact]:
    return [fact for p in conjuncts(g, g.args[mask][0]) for fact in facts_of(g, p)]


def is_read_only_where(g: Graph, readers: Iterable[TensorId], t: TensorId, low: int, high: int) -> bool:
    """Whether all that definitions read of `t` has an index `low` not larger than the index `high`."""
    for index, path in _reads(g, readers, t):
        facts = [fact for p, holds in path for fact in facts_of(g, p, holds)]
        if not is_implied(g, g.isub(index[high], index[low]), facts):
            return False
    return True


def _reads(g: Graph, readers: Iterable[TensorId], t: TensorId) -> Iterator[tuple[Sequence[Node], Path]]:
    """The indices of all reads of `t`, and the conditions that each one is under wherever it stands."""
    for reader in readers:
        if not any(g.args[r][0] == t for r in g.reads_of(reader)):
            continue
        tensor = g.tensors[reader]
        paths: dict[Node, Path] = dict.fromkeys((*tensor.bodies, *tensor.target), frozenset())
        for n in reversed(g.reachable(paths)):  # what uses a node stands before it
            if g.op[n] == "read" and g.args[n][0] == t:
                yield g.args[n][1:], paths[n]
            for child, more in _children(g, n):
                path = paths[n] | more
                paths[child] = paths[child] & path if child in paths else path


def _children(g: Graph, n: Node) -> Iterator[tuple[Node, Path]]:
    """What a node is made of, each with the conditions over indices that it is under."""
    if g.op[n] not in ("mask", "where"):
        yield from ((child, frozenset()) for child in g.children(n))
        return
    predicate, *arms = g.args[n]
    yield predicate, frozenset()
    parts = [p for p in conjuncts(g, predicate) if is_index_predicate(g, p)]
    yield arms[0], frozenset((p, True) for p in parts)
    if len(arms) == 2:
        is_whole = len(parts) == len(conjuncts(g, predicate))
        yield arms[1], frozenset([(predicate, False)] if is_whole else [])
