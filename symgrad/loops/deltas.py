"""Terms of a map that are not dense: added where they live, not tested for everywhere.

`T[i, j] = a(i, j) + [i == j + 1]*b(i) + S[i, j]`, where S is a scatter that nothing else reads, is stored as
`a`; then `b` is added along one loop, and S is added up in T itself. A Hessian that is all diagonals and
blocks of observations is a fill with zeros and the loops of its bands (`ir.sums.bands`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import additive_terms, conjuncts
from symgrad.ir.sums.bands import Band, masked_bands
from symgrad.ir.tensor import Tensor
from symgrad.ir.triangle import mirrored_entry


def split_bands(
    g: Graph, out: tuple[Node, ...], body: Node, absorbed: frozenset[TensorId], times: Collection[Node] = ()
) -> tuple[Node, list[Band]]:
    """(the rest of the body, what is added to it) of a map over the axes `out`.

    absorbed  scatters that are added, not read.
    times     axes that have no loop here.
    """
    terms, found = masked_bands(g, out, body, times)
    dense = g.zero
    for sign, term in terms:
        if g.op[term] == "read" and g.args[term][0] in absorbed:
            found.append(_of_scatter(g, g.tensors[g.args[term][0]], sign))
        else:
            dense = g.add(dense, term) if sign > 0 else g.sub(dense, term)
    return (dense, found) if found else (body, [])


def _of_scatter(g: Graph, tensor: Tensor, sign: int) -> Band:
    """A scatter as a band: its own loops, and its conditions as guards."""
    is_masked = g.op[tensor.body] == "mask"
    guards, value = (
        (conjuncts(g, g.args[tensor.body][0]), g.args[tensor.body][1]) if is_masked else ([], tensor.body)
    )
    return Band(tensor.red, tensor.target, tuple(guards), value if sign > 0 else g.neg(value))


def absorbed_scatters(g: Graph, roots: Sequence[TensorId], kept: Iterable[TensorId]) -> frozenset[TensorId]:
    """Scatters that one map alone reads, as a whole: they need no memory of their own.

    kept  tensors that need it all the same.
    """
    order = g.definitions_below(roots)
    reads = Counter(g.args[r][0] for t in order for r in g.reads_of(t))
    found = {s for t in order for s in collected(g, g.tensors[t]) if reads[s] == 1}
    return frozenset(found - set(kept))


def collected(g: Graph, tensor: Tensor) -> list[TensorId]:
    """The scatters that are terms of a map, element by element, each once."""
    if tensor.kind != "map":
        return []
    entry = mirrored_entry(g, tensor.out, tensor.body)
    terms = additive_terms(g, tensor.body if entry is None else entry)
    reads = Counter(term for _, term in terms if g.op[term] == "read")
    whole = [g.args[r][0] for r, times in reads.items() if times == 1 and g.args[r][1:] == tensor.out]
    return [s for s in whole if g.tensors[s].kind == "scatter"]
