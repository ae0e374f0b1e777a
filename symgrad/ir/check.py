"""Is a program legal? The rules of the intermediate representation, checked one by one.

`check` raises for what is certainly wrong, with an example of sizes and indices where there is one.
A read that is neither proven right nor certainly wrong is legal; `unproven_reads` lists those.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from symgrad.errors import IllegalProgram, quoted
from symgrad.ir.bounds import Fact, facts_of, index_always_leaves, index_is_in_range
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.matrix.functions import MATRIX_FUNCTIONS, result_extents
from symgrad.ir.ops import OPS
from symgrad.ir.scan import clocks, scan_of
from symgrad.ir.tensor import KINDS, REDUCTIONS, SCANS, Tensor
from symgrad.records import dataclass

_MAX_CONTEXTS = 8  # guard contexts told apart per node; beyond that only what they share is used
_NAMED_CONSTANTS = ("pi", "e", "euler", "phi", "catalan", "epsilon", "smallest")
_NON_FINITE = ("inf", "-inf", "nan")
_EXTENT_OPS = frozenset(("const", "size", "lin", "imul"))
_LARGEST_EXAMPLE = 4  # sizes tried when looking for an example

Context = frozenset[Fact]


@dataclass(frozen=True)
class Unproven:
    """An index of which the checker does not know that it stays in its tensor.

    tensor    the definition it stands in
    node      the read, or the scatter's target index
    position  which of its indices
    """

    tensor: TensorId
    node: Node
    position: int


def check(g: Graph, tensors: Iterable[TensorId]) -> None:
    """Raise IllegalProgram if `tensors`, or a tensor they need, breaks a rule. Linear in the program."""
    needed = g.definitions_below(tensors)
    _check_names(g, needed)
    known: set[Node] = set()
    for t in needed:
        _check_tensor(g, t)
        tensor = g.tensors[t]
        roots = (*tensor.bodies, *tensor.target, *tensor.extents)
        for n in g.reachable(roots):
            if n not in known:
                _check_node(g, t, n)
                known.add(n)
            if g.op[n] == "read" and g.args[n][0] >= t:
                raise _illegal(g, t, "a definition reads itself or a later one", f"it reads t{g.args[n][0]}")
        for place in _places(g, t):
            _refuse_certain_escape(g, t, place)


def unproven_reads(g: Graph, tensors: Iterable[TensorId]) -> list[Unproven]:
    """The indices, in the order of the program, that are not proven to stay inside their tensor."""
    return [
        Unproven(t, place.node, place.position)
        for t in g.definitions_below(tensors)
        for place in _places(g, t)
        if not _is_proven(g, t, place)
    ]


# ---- definitions -------------------------------------------------------------------------------


def _illegal(g: Graph, t: TensorId, what: str, because: str = "") -> IllegalProgram:
    tensor = g.tensors[t]
    label = f"input {quoted(tensor.name)}" if tensor.kind == "input" else f"{tensor.kind} t{t}"
    return IllegalProgram(f"{label}: {what}", where=label, because=because)


def _check_names(g: Graph, needed: Sequence[TensorId]) -> None:
    names: dict[str, TensorId] = {}
    for t in needed:
        tensor = g.tensors[t]
        if tensor.kind != "input":
            continue
        if not tensor.name:
            raise _illegal(g, t, "an input without a name")
        if names.setdefault(tensor.name, t) != t:
            raise _illegal(g, t, "two inputs have one name and different extents or types")


def _check_tensor(g: Graph, t: TensorId) -> None:
    tensor = g.tensors[t]
    if tensor.kind not in KINDS:
        raise _illegal(g, t, f"there is no kind {tensor.kind!r}")
    for extent in tensor.extents:
        _check_extent(g, t, extent)
    if tensor.kind == "input":
        _check_input(g, t, tensor)
        return
    if tensor.kind in ("state", *SCANS):
        _check_recurrence(g, t, tensor)
        return
    _check_axes(g, t, tensor)
    _check_shape(g, t, tensor)
    if tensor.dtype != "real" or (tensor.name and tensor.kind != "call"):
        raise _illegal(g, t, "only inputs have a name or a type other than real")
    if tensor.kind == "call":
        _check_matrix_call(g, t, tensor)
    for body in tensor.bodies:
        if g.kind[body] not in ("real", "const"):
            raise _illegal(g, t, f"its body is {g.kind[body]}, not a real value")


def _check_input(g: Graph, t: TensorId, tensor: Tensor) -> None:
    if tensor.out or tensor.red or tensor.bodies or tensor.target:
        raise _illegal(g, t, "an input has axes or a body")
    if tensor.dtype not in ("real", "int"):
        raise _illegal(g, t, f"its type is {tensor.dtype!r}, neither real nor int")


def _check_recurrence(g: Graph, t: TensorId, tensor: Tensor) -> None:
    if tensor.out or tensor.red or tensor.bodies or tensor.target or tensor.name:
        raise _illegal(g, t, "a recurrence is made of tensors: it has no axes, body or name")
    if not tensor.extents:
        raise _illegal(g, t, "a trajectory has an axis of time")
    if tensor.kind == "state":
        if tensor.links:
            raise _illegal(g, t, "a state is made of nothing")
        return
    if not tensor.links or len(tensor.links) % 3 or not all(0 <= s < t for s in tensor.links):
        raise _illegal(g, t, "its links are not a state, a first value and a step for each of its states")
    if not 0 <= tensor.entry < len(tensor.links) // 3:
        raise _illegal(g, t, f"it has no state {tensor.entry}")
    scan = scan_of(g, t)
    for state, first, step in zip(scan.states, scan.firsts, scan.steps, strict=True):
        whole = g.tensors[state].extents
        if g.tensors[state].kind != "state" or whole[:1] != (g.iadd(scan.length, g.one),):
            raise _illegal(g, t, "its states are not trajectories of one length")
        if g.tensors[first].extents != whole[1:]:
            raise _illegal(g, t, "the first value of a state has not its extents")
        if g.tensors[step].extents != (scan.length, *whole[1:]):
            raise _illegal(g, t, "the step of a state has not its extents")
    clocks(g, scan)


def _check_axes(g: Graph, t: TensorId, tensor: Tensor) -> None:
    bound = (*tensor.out, *tensor.red)
    for number, axis in enumerate(bound):
        if g.op[axis] != "axis" or g.args[axis][0] != number:
            found = f"axis {number} is {_show(g, axis)}"
            raise _illegal(g, t, "its axes are not numbered by position", found)
        _check_extent(g, t, g.extent(axis))
    used = frozenset().union(*(g.axes[n] for n in (*tensor.bodies, *tensor.target)))
    free = used - set(bound)
    if free:
        raise _illegal(g, t, "it uses an axis it does not bind", f"{_show(g, min(free))} is free")


def _check_shape(g: Graph, t: TensorId, tensor: Tensor) -> None:
    own = tuple(g.extent(a) for a in tensor.out)
    if tensor.kind == "scatter":
        if tensor.out or len(tensor.target) != len(tensor.extents):
            raise _illegal(g, t, "a scatter has one target index per axis of its result, and no result axes")
    elif tensor.target:
        raise _illegal(g, t, "only a scatter has target indices")
    elif tensor.extents != ((g.const(len(tensor.bodies)), *own) if tensor.kind == "enum" else own):
        raise _illegal(g, t, "its extents are not those of its axes")
    if tensor.kind not in ("enum", "call") and len(tensor.bodies) != 1:
        raise _illegal(g, t, f"it has {len(tensor.bodies)} bodies, not one")
    if tensor.kind in REDUCTIONS and not tensor.red:
        raise _illegal(g, t, "a reduction without a reduced axis")
    if tensor.kind in ("map", "enum") and tensor.red:
        raise _illegal(g, t, "it has reduced axes and is no reduction")


def _check_matrix_call(g: Graph, t: TensorId, tensor: Tensor) -> None:
    """A call's operands and result have the shapes of its function, over axes of their own."""
    row = MATRIX_FUNCTIONS.get(tensor.name)
    if row is None:
        raise _illegal(g, t, f"there is no matrix function {tensor.name!r}")
    if len(tensor.bodies) != len(row.operands) or len(tensor.red) != sum(row.ranks):
        raise _illegal(g, t, f"{tensor.name} takes operands of ranks {row.ranks}")
    if len(tensor.out) < len(row.result):
        raise _illegal(g, t, f"the result of {tensor.name} has {len(row.result)} axes")
    split, first = len(tensor.out) - len(row.result), 0
    own = []
    for body, rank in zip(tensor.bodies, row.ranks, strict=True):
        own.append(tensor.red[first : first + rank])
        if g.axes[body] - {*tensor.out[:split], *own[-1]}:
            raise _illegal(g, t, "an operand depends on an axis of the result or of another operand")
        first += rank
    extents = [[g.extent(a) for a in axes] for axes in own]
    if result_extents(g, tensor.name, extents) != tensor.extents[split:]:
        raise _illegal(g, t, f"the shapes of its operands and its result are not those of {tensor.name}")


def _check_extent(g: Graph, t: TensorId, extent: Node) -> None:
    for n in g.reachable((extent,)):
        if g.op[n] not in _EXTENT_OPS:
            raise _illegal(g, t, "an extent is not made of sizes alone", f"it contains {_show(g, n)}")
    if not _is_integer(g, extent):
        raise _illegal(g, t, "an extent is not an integer")


# ---- nodes -------------------------------------------------------------------------------------


def _is_integer(g: Graph, n: Node) -> bool:
    q = g.rational(n)
    return g.kind[n] == "int" if q is None else q.denominator == 1


def _show(g: Graph, n: Node) -> str:
    op, args = g.op[n], g.args[n]
    if op == "axis":
        return f"axis i{args[0]}"
    return f"{op}{args}" if op in ("const", "size", "lin", "read") else op


def _check_node(g: Graph, t: TensorId, n: Node) -> None:
    op, args = g.op[n], g.args[n]
    if op == "const":
        if not _is_constant(args):
            raise _illegal(g, t, f"{args} is not a constant")
    elif op == "read":
        _check_read(g, t, n)
    elif op in ("lin", "imul", "ige", "ieq", "axis"):
        for c in g.children(n):
            if not _is_integer(g, c):
                raise _illegal(g, t, f"{op} of something that is not an integer", f"it is {_show(g, c)}")
        if op == "lin" and not _is_canonical(g, n):
            raise _illegal(g, t, "a sum of indices is not in canonical form", _show(g, n))
    elif op not in ("size", "true", "false"):
        _check_call(g, t, n)


def _is_constant(args: tuple[Any, ...]) -> bool:
    if args[0] == "q":
        return len(args) == 3 and all(type(a) is int for a in args[1:]) and args[2] > 0
    return len(args) == 2 and args[1] in {"s": _NAMED_CONSTANTS, "f": _NON_FINITE}.get(args[0], ())


def _is_canonical(g: Graph, n: Node) -> bool:
    atoms, factors = g.args[n][1::2], g.args[n][2::2]
    simple = all(g.op[a] not in ("lin", "const") for a in atoms)
    return simple and all(factors) and len(set(atoms)) == len(atoms)


def _check_read(g: Graph, t: TensorId, n: Node) -> None:
    tensor, *index = g.args[n]
    if not 0 <= tensor < len(g.tensors):
        raise _illegal(g, t, f"it reads tensor {tensor}, which does not exist")
    if len(index) != g.tensors[tensor].rank:
        rank = g.tensors[tensor].rank
        raise _illegal(g, t, f"it reads t{tensor} of rank {rank} with {len(index)} indices")
    for i in index:
        if not _is_integer(g, i):
            raise _illegal(g, t, f"it reads t{tensor} at something that is not an integer", _show(g, i))


def _check_call(g: Graph, t: TensorId, n: Node) -> None:
    op, args = g.op[n], g.args[n]
    row = OPS.get(op)
    if row is None:
        raise _illegal(g, t, f"there is no operation {op!r}")
    if not row.takes(len(args)):
        least = "" if row.further is None else " or more"
        raise _illegal(g, t, f"{op} takes {row.arity}{least} arguments", f"it has {len(args)}")
    for position, a in enumerate(args):
        wanted = _wanted_kind(op, position)
        fits = _is_integer(g, a) if wanted == "int" else g.kind[a] in (wanted, "const")
        if not fits or (wanted == "bool" and g.kind[a] != "bool"):
            raise _illegal(
                g, t, f"argument {position + 1} of {op} must be {wanted}", f"it is {g.kind[a]}: {_show(g, a)}"
            )


def _wanted_kind(op: str, position: int) -> str:
    if op in ("and", "or", "not") or (op in ("where", "mask") and position == 0):
        return "bool"
    return "int" if op == "cast" else "real"


# ---- where reads stand -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Place:
    """One index of a read or of a scatter, the extent it must stay below, and the guards around it."""

    node: Node
    position: int
    index: Node
    extent: Node
    contexts: frozenset[Context]
    guarded: bool


def _places(g: Graph, t: TensorId) -> list[_Place]:
    tensor = g.tensors[t]
    contexts, guarded = _contexts(g, tensor)
    out: list[_Place] = []
    for n in sorted(contexts):
        if g.op[n] == "read":
            read, *index = g.args[n]
            pairs = zip(index, g.tensors[read].extents, strict=True)
            out += [_Place(n, k, i, e, contexts[n], n in guarded) for k, (i, e) in enumerate(pairs)]
    for k, (i, e) in enumerate(zip(tensor.target, tensor.extents, strict=True) if tensor.target else ()):
        out.append(_Place(i, k, i, e, frozenset((_target_context(g, tensor),)), _is_masked(g, tensor)))
    return out


def _is_masked(g: Graph, tensor: Tensor) -> bool:
    return g.op[tensor.body] == "mask"


def _target_context(g: Graph, tensor: Tensor) -> Context:
    """Nothing is added where the outermost mask of a scatter's body is false."""
    if not _is_masked(g, tensor):
        return frozenset()
    return frozenset(facts_of(g, g.args[tensor.body][0]))


_GUARDS = frozenset(("mask", "where", "and", "or"))


def _contexts(g: Graph, tensor: Tensor) -> tuple[dict[Node, frozenset[Context]], set[Node]]:
    """What the guards around each node say, per way to reach it; and the nodes guarded on every way."""
    roots = {*tensor.bodies}
    if not tensor.target and _GUARDS.isdisjoint([g.op[n] for n in g.reachable(tensor.bodies)]):
        return dict.fromkeys(g.reachable(tensor.bodies), frozenset((frozenset(),))), set()
    contexts: dict[Node, frozenset[Context]] = {r: frozenset((frozenset(),)) for r in roots}
    open_nodes = set(roots)
    if tensor.target:
        for i in tensor.target:
            contexts[i] = contexts.get(i, frozenset()) | {_target_context(g, tensor)}
            if not _is_masked(g, tensor):
                open_nodes.add(i)
    for n in reversed(g.reachable(contexts)):  # users before what they use
        for c, added, is_guarded in _edges(g, n):
            reached = {context | added for context in contexts[n]} if added else contexts[n]
            contexts[c] = _merged(contexts.get(c, frozenset()) | reached)
            if n in open_nodes and not is_guarded:
                open_nodes.add(c)
    return contexts, set(contexts) - open_nodes


def _edges(g: Graph, n: Node) -> list[tuple[Node, Context, bool]]:
    """The children of a node, with what holds where each of them matters, and whether that is conditional."""
    op, args = g.op[n], g.args[n]
    if op in ("mask", "where"):
        arms = [(args[1], True), (args[2], False)] if op == "where" else [(args[1], True)]
        guarded = [(arm, frozenset(facts_of(g, args[0], holds)), True) for arm, holds in arms]
        return [(args[0], frozenset(), False), *guarded]
    if op in ("and", "or"):
        sides = (args, args[::-1])
        return [(a, _decided_by(g, b, op == "and"), True) for a, b in sides]
    return [(c, frozenset(), False) for c in g.children(n)]


def _decided_by(g: Graph, other: Node, holds: bool) -> Context:
    """Facts without which `other` alone settles the conjunction or disjunction.

    Only facts about plain indices: two conditions that read must not vouch for each other.
    """
    facts = facts_of(g, other, holds)
    return frozenset(f for f in facts if all(_is_plain(g, atom) for atom, _ in f.terms))


def _is_plain(g: Graph, atom: Node) -> bool:
    return all(g.op[n] != "read" for n in g.reachable((atom,)))


def _merged(contexts: frozenset[Context]) -> frozenset[Context]:
    if len(contexts) <= _MAX_CONTEXTS:
        return contexts
    return frozenset((frozenset.intersection(*contexts),))


def _is_proven(g: Graph, t: TensorId, place: _Place) -> bool:
    loops = (*g.tensors[t].out, *g.tensors[t].red)
    return all(
        index_is_in_range(g, place.index, place.extent, sorted(context), loops) for context in place.contexts
    )


# ---- certain mistakes --------------------------------------------------------------------------


def _refuse_certain_escape(g: Graph, t: TensorId, place: _Place) -> None:
    """Raise if an affine index that no guard protects leaves its tensor whatever the sizes are."""
    tensor = g.tensors[t]
    loops = (*tensor.out, *tensor.red)
    if place.guarded or not index_always_leaves(g, place.index, place.extent, loops):
        return
    sizes = sorted({n for n in g.reachable((place.index, place.extent, *loops)) if g.op[n] == "size"})
    for size in range(1, _LARGEST_EXAMPLE + 1):
        at = dict.fromkeys(sizes, size)
        if all(_value(g, g.extent(a), at) > 0 for a in loops):  # the loops run
            example = _escape(g, place, at)
            raise _illegal(g, t, "an index leaves its tensor", f"for example {example}")


def _escape(g: Graph, place: _Place, sizes: dict[Node, int]) -> str:
    """A corner of the loops at which the index is outside, in words."""
    extent = _value(g, place.extent, sizes)
    axes = sorted(g.axes[place.index])
    for upper in range(1 << min(len(axes), 6)):
        at = dict(sizes)
        for bit, axis in enumerate(axes):
            at[axis] = _value(g, g.extent(axis), sizes) - 1 if upper >> bit & 1 else 0
        value = _value(g, place.index, at)
        if not 0 <= value < extent:
            names = [f"{g.args[s][0]} = {v}" for s, v in at.items() if g.op[s] == "size"]
            names += [f"i{g.args[a][0]} = {v}" for a, v in at.items() if g.op[a] == "axis"]
            return ", ".join([*names, f"index {place.position} is {value} of an extent of {extent}"])
    return ""


def _value(g: Graph, index: Node, at: dict[Node, int]) -> int:
    """An affine index at given sizes and axes."""
    constant, terms = g.linear(index)
    total = constant
    for atom, k in terms.items():
        for factor in g.factors(atom):
            k *= at[factor]
        total += k
    return total
