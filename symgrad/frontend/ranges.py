"""Which reads can leave their arrays: proven ones are errors, doubtful ones are checked at the call."""

from __future__ import annotations

from collections.abc import Container, Iterable

from symgrad.errors import IndexOutOfRange, quoted
from symgrad.frontend.describe import index_text
from symgrad.ir.bounds import Entries, is_index_predicate, is_nonnegative, of_sizes
from symgrad.ir.check import unproven_reads
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import conjunction, conjuncts
from symgrad.ir.tensor import SCANS
from symgrad.records import dataclass


@dataclass(frozen=True, slots=True)
class Gather:
    """Every entry of the integer input `tensor` has to be >= `low` and <= `high` (nodes over sizes)."""

    tensor: TensorId
    low: Node
    high: Node


@dataclass(frozen=True, slots=True)
class ReadChecks:
    """What has to hold at a call so that no read leaves its array.

    conditions  integer nodes over sizes that have to be >= 0.
    gathers     bounds on the entries of integer inputs used as indices.
    escapes     definitions that are 1 where some other index made of integer inputs leaves its array
                although its guards let it be used, each with the name of that array.
    """

    conditions: tuple[Node, ...] = ()
    gathers: tuple[Gather, ...] = ()
    escapes: tuple[tuple[TensorId, str], ...] = ()


def check_reads(g: Graph, roots: Iterable[TensorId]) -> ReadChecks:
    """Check every read that no index condition guards.

    Recurrences are read with nan outside (`frontend.recurrences`), their states at times of their own: of
    those only what is gathered is checked.

    Raises IndexOutOfRange for a read that is out of range for every size that runs the loop; what
    cannot be decided from the expression is returned, what always holds is not.
    """
    conditions: dict[Node, None] = {}
    gathers: dict[Gather, None] = {}
    bounded: set[tuple[Node, int]] = set()
    if not any(t.kind == "input" and t.rank for t in g.tensors):
        return ReadChecks()
    for t in g.definitions_below(roots):
        for n in _unguarded_reads(g, g.tensors[t].bodies):
            tensor, *index = g.args[n]
            kind = g.tensors[tensor].kind
            if kind in SCANS:
                continue
            for position, i in enumerate(index):
                if kind != "state":
                    _check_index(g, tensor, position, i, conditions)
                found = _gather(g, tensor, position, i)
                if found is not None:
                    gathers[found] = None
                    bounded.add((n, position))
    escapes = (*_escapes(g, roots, bounded), *_guarded_escapes(g, roots))
    return ReadChecks(tuple(conditions), tuple(gathers), escapes)


def known_entries(g: Graph, reads: ReadChecks) -> dict[str, tuple[Entries, ...]]:
    """What the checks of a call say of the entries of integer inputs, as `Graph.entries` has it."""
    found: dict[str, tuple[Entries, ...]] = {}
    for gather in reads.gathers:
        low, high = of_sizes(g, gather.low), of_sizes(g, gather.high)
        if low is not None and high is not None:
            name = g.tensors[gather.tensor].name
            found[name] = (*found.get(name, ()), Entries(low, high))
    return found


def _unguarded_reads(g: Graph, roots: Iterable[Node]) -> list[Node]:
    """Reads that are performed whatever the index conditions say."""
    seen: set[Node] = set()
    stack = list(roots)
    found = []
    while stack:
        n = stack.pop()
        if n in seen:
            continue
        seen.add(n)
        if g.op[n] == "read":
            found.append(n)
        guarded = g.op[n] in ("mask", "where") and is_index_predicate(g, g.args[n][0])
        stack.extend(g.args[n][:1] if guarded else g.children(n))
    return sorted(found)


def _check_index(
    g: Graph, tensor: TensorId, position: int, index: Node, conditions: dict[Node, None]
) -> None:
    """Both distances of an index to the ends of its axis: fine, a condition, or an error."""
    extent = g.tensors[tensor].extents[position]
    above = g.iadd(g.isub(extent, index), g.const(-1))
    for distance, sign in ((index, -1), (above, 1)):
        if is_nonnegative(g, distance):
            continue
        least = _least(g, distance)
        if least is None or is_nonnegative(g, least):
            continue
        if is_nonnegative(g, g.iadd(g.const(-1), least, -1)):
            raise _out_of_range(g, tensor, position, index, sign)
        conditions[least] = None


def _least(g: Graph, distance: Node) -> Node | None:
    """The smallest value over all axes, an integer of sizes; None if it depends on data."""
    while g.axes[distance]:
        constant, terms = g.linear(distance)
        result = g.const(constant)
        for atom, k in terms.items():
            if g.op[atom] not in ("axis", "imul", "size") or _holds_data(g, atom):
                return None
            ends = {x: g.zero if k > 0 else g.iadd(g.extent(x), g.const(-1)) for x in g.axes[atom]}
            result = g.iadd(result, g.substitute(atom, ends), k)
        distance = result
    known = all(g.op[a] in ("size", "imul") for a in g.linear(distance)[1])
    return distance if known and not _holds_data(g, distance) else None


def _holds_data(g: Graph, index: Node) -> bool:
    """Whether an index depends on the entries of an integer array."""
    return any(g.op[n] == "read" for n in g.reachable((index,)))


def _gather(g: Graph, tensor: TensorId, position: int, index: Node) -> Gather | None:
    """The bounds that the data of a gathered index has to keep: the index without it, at its ends."""
    constant, terms = g.linear(index)
    reads = [atom for atom, k in terms.items() if g.op[atom] == "read" and k == 1]
    if len(reads) != 1 or g.tensors[g.args[reads[0]][0]].kind != "input":
        return None
    rest = g.lin(constant, {atom: k for atom, k in terms.items() if atom != reads[0]})
    least, minus_greatest = _least(g, rest), _least(g, g.iscale(rest, -1))
    if least is None or minus_greatest is None:
        return None
    last = g.iadd(g.tensors[tensor].extents[position], g.const(-1))
    return Gather(g.args[reads[0]][0], g.iscale(least, -1), g.iadd(last, minus_greatest))


# ---- indices made of data --------------------------------------------------------------------------


def _escapes(
    g: Graph, roots: Iterable[TensorId], bounded: Container[tuple[Node, int]]
) -> list[tuple[TensorId, str]]:
    """Definitions that find the escapes of indices that `bounded` does not cover and no guard rules out."""
    if not any(t.kind == "input" and t.dtype == "int" for t in g.tensors):
        return []
    found = []
    reached: dict[TensorId, dict[Node, Node]] = {}
    for place in unproven_reads(g, roots):
        t, n, position = place.tensor, place.node, place.position
        if g.op[n] != "read" or (n, position) in bounded or not _holds_data(g, g.args[n][1 + position]):
            continue
        if t not in reached:
            reached[t] = _reached(g, g.tensors[t].bodies)
        tensor, index = g.args[n][0], g.args[n][1 + position]
        above = g.ige0(g.iadd(g.isub(g.tensors[tensor].extents[position], index), g.const(-1)))
        outside = g.node("not", g.node("and", g.ige0(index), above))
        escape = g.mask(g.node("and", reached[t][n], outside), g.one)
        check = g.define("map", g.first_occurrence(escape, g.axes[escape]), (), escape)
        found.append((check, g.tensors[tensor].name))
    return found


def guarded_read(g: Graph, read: Node) -> Node:
    """A read in the arm of a choice: nan, and no access, where an index made of data is outside its array.

    Conditions on values say whether such a read is used at all. What is not used has no effect, be it
    outside or not; what is used outside is found by the check at the call, and nan wherever nobody checks.
    """
    tensor, *index = g.args[read]
    inside = g.true
    for i, extent in zip(index, g.tensors[tensor].extents, strict=True):
        if _holds_data(g, i):
            inside = conjunction(g, [inside, *_both_ends(g, i, extent)])
    if inside == g.true:
        return read
    return g.add(g.mask(inside, read), g.mask(g.node("not", inside), g.const(float("nan"))))


def _both_ends(g: Graph, index: Node, extent: Node) -> tuple[Node, Node]:
    return g.ige0(index), g.ige0(g.iadd(g.isub(extent, index), g.const(-1)))


def _guarded_escapes(g: Graph, roots: Iterable[TensorId]) -> list[tuple[TensorId, str]]:
    """Definitions that find where the nan of a `guarded_read` is used."""
    if not any(t.kind == "input" and t.dtype == "int" for t in g.tensors):
        return []
    found = []
    used = _conditions_of_definitions(g, roots)
    for t, (condition, reached) in used.items():
        if condition is None:
            continue
        reads = [r for r in g.reads(g.tensors[t].bodies) if g.kind[r] == "real"]
        for n in reached:
            name = _name_behind(g, n, reads)
            if name is not None:
                used_where = conjuncts(g, conjunction(g, [condition, reached[n]]))
                if set(_inside(g, n)) <= set(used_where):
                    continue  # the choice asks for both ends itself
                here = conjunction(g, [*used_where, g.args[n][0]])
                escape = g.mask(here, g.one)
                check = g.define("map", g.first_occurrence(escape, g.axes[escape]), (), escape)
                found.append((check, name))
    return found


def _name_behind(g: Graph, n: Node, reads: Iterable[Node]) -> str | None:
    """The array of the `guarded_read` whose nan this node is, None for any other node."""
    if g.op[n] != "mask" or g.args[n][1] != g.const(float("nan")):
        return None
    inside = _inside(g, n)
    for read in reads:
        tensor, *index = g.args[read]
        ends = [_both_ends(g, i, e) for i, e in zip(index, g.tensors[tensor].extents, strict=True)
                if _holds_data(g, i)]  # fmt: skip
        if ends and set(inside) == {p for pair in ends for p in pair}:
            return str(g.tensors[tensor].name)
    return None


def _inside(g: Graph, n: Node) -> list[Node]:
    """What holds where the nan of a `guarded_read` is not taken."""
    return conjuncts(g, g.node("not", g.args[n][0]))


def _conditions_of_definitions(
    g: Graph, roots: Iterable[TensorId]
) -> dict[TensorId, tuple[Node | None, dict[Node, Node]]]:
    """For each definition the condition under which its entries are used, and that of each of its nodes.

    The condition is over the definition's own axes; None where it cannot be written over them.
    """
    wanted = set(roots)
    conditions: dict[TensorId, Node | None] = dict.fromkeys(wanted, g.true)
    found: dict[TensorId, tuple[Node | None, dict[Node, Node]]] = {}
    for t in reversed(g.definitions_below(wanted)):
        tensor = g.tensors[t]
        if tensor.kind == "input":
            continue
        own = conditions[t]
        reached = _reached(g, (*tensor.bodies, *tensor.target), on_values=True)
        found[t] = own, reached
        conditions.update(dict.fromkeys(tensor.links, g.true))  # a recurrence needs all of what it is made of
        for read in g.reads_of(t):
            s = g.args[read][0]
            here = None if own is None else _over_own_axes(g, read, g.node("and", own, reached[read]))
            if s not in conditions:
                conditions[s] = here
            elif conditions[s] is not None:
                before = conditions[s]
                conditions[s] = None if here is None or before is None else g.node("or", before, here)
    return found


def _over_own_axes(g: Graph, read: Node, condition: Node) -> Node | None:
    """The condition under which a read is used, over the axes of the definition it reads."""
    s, *index = g.args[read]
    own = g.tensors[s].out
    if condition == g.true or len(own) != len(index) or len(set(index)) != len(index):
        return g.true if condition == g.true else None
    if any(g.op[i] != "axis" for i in index) or not g.axes[condition] <= set(index):
        return None
    return g.substitute(condition, dict(zip(index, own, strict=True)))


def _reached(g: Graph, roots: Iterable[Node], on_values: bool = False) -> dict[Node, Node]:
    """For each node below `roots` the condition under which it is used, on indices alone unless asked."""
    out = dict.fromkeys(roots, g.true)
    for n in reversed(g.reachable(out)):  # users before what they use
        for c, p in zip(g.children(n), _guards(g, n, on_values), strict=True):
            here = g.node("and", out[n], p)
            out[c] = g.node("or", out[c], here) if c in out else here
    return out


def _guards(g: Graph, n: Node, on_values: bool) -> list[Node]:
    """The condition under which each argument of a node is used."""
    if g.op[n] not in ("mask", "where"):
        return [g.true] * len(g.children(n))
    predicate = g.args[n][0]
    if on_values or is_index_predicate(g, predicate):
        return [g.true, predicate, g.node("not", predicate)][: len(g.args[n])]
    on_indices = [p for p in conjuncts(g, predicate) if is_index_predicate(g, p)]
    return [g.true, conjunction(g, on_indices), g.true][: len(g.args[n])]


def _out_of_range(g: Graph, tensor: TensorId, position: int, index: Node, sign: int) -> IndexOutOfRange:
    extent = g.tensors[tensor].extents[position]
    least = _least(g, index if sign < 0 else g.iscale(index, -1))
    assert least is not None  # or nothing was proven
    reached = least if sign < 0 else g.iscale(least, -1)
    size = index_text(g, extent)
    last = index_text(g, g.iadd(extent, g.const(-1)))
    return IndexOutOfRange(
        f"index {index_text(g, reached)} is outside axis {position} of {quoted(g.tensors[tensor].name)}",
        because=f"that axis has {size} entries, 0 to {last}",
        try_="a smaller range: a Sum includes its upper limit, "
        "and negative indices do not count from the end",
    )
