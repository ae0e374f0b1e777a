"""What is known about integers: lower bounds, what guards imply, and typical values that rank alternatives.

Nothing here makes nodes (but those of sizes), so asking cannot change a program.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from symgrad.ir.graph import Graph, Node

TYPICAL_SIZE = 64  # a size nobody gave a hint for
_COMBINED_FACTS = 2  # how many facts one proof may add up

Linear = tuple[int, dict[Node, int]]  # a constant, and integer coefficients of atoms


class OfSizes(NamedTuple):
    """A number and multiples of sizes, by name: the same in every graph."""

    constant: int
    terms: tuple[tuple[str, int], ...]


class Entries(NamedTuple):
    """`low <= entry <= high` for every entry of an integer input, as calls check it (`Graph.entries`)."""

    low: OfSizes
    high: OfSizes


class Fact(NamedTuple):
    """`constant + sum(k*atom) >= 0`, or `== 0`, at some place of a program."""

    is_equality: bool
    constant: int
    terms: tuple[tuple[Node, int], ...]


def of_sizes(g: Graph, index: Node) -> OfSizes | None:
    """An integer made of sizes alone; None if it holds anything else, or a product of them."""
    constant, terms = g.linear(index)
    if any(g.op[atom] != "size" for atom in terms):
        return None
    return OfSizes(constant, tuple((g.args[atom][0], k) for atom, k in terms.items()))


def is_nonnegative(g: Graph, index: Node) -> bool:
    """True when `index >= 0` holds for every value of its axes, all sizes being >= 0.

    Axes range over [0, extent), and a loop that runs has extents >= 1; entries of integer inputs are where
    `Graph.entries` says. False means "not proven".
    """
    return _is_proven(g, g.linear(index))


def index_is_in_range(
    g: Graph, index: Node, extent: Node, facts: Iterable[Fact] = (), loops: Iterable[Node] = ()
) -> bool:
    """True when `0 <= index < extent` is proven where `facts` hold, inside loops over `loops`."""
    if g.op[index] == "axis" and g.extent(index) == extent:
        return True
    known = _known(g, facts, loops)
    below = g.linear(index)
    above = _minus(_minus(g.linear(extent), (1, {})), below)
    return _follows(g, below, known) and _follows(g, above, known)


def is_implied(g: Graph, index: Node, facts: Iterable[Fact]) -> bool:
    """True when `index >= 0` is proven where `facts` hold."""
    return _follows(g, g.linear(index), _known(g, facts, ()))


def index_always_leaves(g: Graph, index: Node, extent: Node, loops: Iterable[Node] = ()) -> bool:
    """True when, at every size for which the loops run, `index` leaves [0, extent) somewhere in them."""
    form = g.linear(index)
    if any(g.axes[a] and g.op[a] != "axis" for a in form[1]):
        return False  # a product with an axis, or a gathered index
    known = _known(g, (), loops)
    above = _minus(_at_corner(g, form, 1), g.linear(extent))
    below = _minus((-1, {}), _at_corner(g, form, -1))
    return _follows(g, above, known) or _follows(g, below, known)


def _at_corner(g: Graph, form: Linear, sign: int) -> Linear:
    """The largest (sign 1) or smallest (sign -1) value of a form over its axes."""
    out: Linear = (form[0], {a: k for a, k in form[1].items() if g.op[a] != "axis"})
    for atom, k in form[1].items():
        if g.op[atom] == "axis" and k * sign > 0:
            out = _minus(out, _minus((1, {}), g.linear(g.extent(atom))), k)
    return out


def read_is_in_range(g: Graph, read: Node, facts: Iterable[Fact] = (), loops: Iterable[Node] = ()) -> bool:
    """True when every index of a read is proven to lie in its tensor, where `facts` hold."""
    tensor, *index = g.args[read]
    facts, loops = tuple(facts), tuple(loops)
    extents = g.tensors[tensor].extents
    return all(index_is_in_range(g, i, e, facts, loops) for i, e in zip(index, extents, strict=True))


def facts_of(g: Graph, predicate: Node, holds: bool = True) -> list[Fact]:
    """What is known about integers where `predicate` holds (or, with `holds=False`, where it does not)."""
    out: list[Fact] = []
    stack = [(predicate, holds)]
    while stack:
        p, positive = stack.pop()
        op = g.op[p]
        if op == "not":
            stack.append((g.args[p][0], not positive))
        elif op == ("and" if positive else "or"):
            stack += [(q, positive) for q in reversed(g.args[p])]
        elif op == "ige" or (op == "ieq" and positive):
            form = g.linear(g.args[p][0])
            constant, terms = form if positive else _minus((-1, {}), form)  # not i >= 0: -1 - i >= 0
            out.append(Fact(op == "ieq", constant, tuple(terms.items())))
    return out


def is_index_predicate(g: Graph, predicate: Node) -> bool:
    """True if the condition is about indices and sizes only."""
    stack = [predicate]
    seen: set[Node] = set()
    while stack:
        p = stack.pop()
        if p in seen:
            continue
        seen.add(p)
        if g.op[p] in ("and", "or", "not"):
            stack.extend(g.args[p])
        elif g.op[p] not in ("ige", "ieq", "true", "false"):
            return False
    return True


def typical(g: Graph, extent: Node) -> int:
    """A typical value of an extent, from hints where there are any (never used for correctness).

    A size nobody gave a hint for counts as small where it is taken away: n - k + 1 windows are many.
    """
    constant, terms = g.linear(extent)
    total = constant
    for atom, k in terms.items():
        if g.op[atom] == "size":
            name = g.args[atom][0]
            total += k * g.hints.get(name, TYPICAL_SIZE if k > 0 else 0)
        elif g.op[atom] == "imul":
            total += k * typical(g, g.args[atom][0]) * typical(g, g.args[atom][1])
    return max(total, 1)


# ---- proofs ------------------------------------------------------------------------------------


def _known(g: Graph, facts: Iterable[Fact], loops: Iterable[Node]) -> Sequence[Linear]:
    """Forms that are >= 0: the facts, both directions of equalities, and `extent - 1` of the loops."""
    known = [_minus(g.linear(g.extent(a)), (1, {})) for a in loops]
    for fact in facts:
        form = (fact.constant, dict(fact.terms))
        known.append(form)
        if fact.is_equality:
            known.append(_minus((0, {}), form))
    return known


def _follows(g: Graph, goal: Linear, known: Sequence[Linear]) -> bool:
    """True when `goal >= 0`, possibly after taking multiples of known forms away from it."""
    goals = [goal]
    for _ in range(_COMBINED_FACTS):
        if any(_is_proven(g, form) for form in goals):
            return True
        goals = [_minus(form, fact, k) for form in goals for fact in known for k in _multiples(form, fact)]
    return any(_is_proven(g, form) for form in goals)


def _multiples(form: Linear, fact: Linear) -> list[int]:
    """The positive multiples of `fact` that cancel an atom of `form`."""
    quotients = {k // fact[1][a] for a, k in form[1].items() if a in fact[1] and k % fact[1][a] == 0}
    return sorted(q for q in quotients if q > 0)


def _minus(a: Linear, b: Linear, scale: int = 1) -> Linear:
    terms = dict(a[1])
    for atom, k in b[1].items():
        terms[atom] = terms.get(atom, 0) - scale * k
    return a[0] - scale * b[0], {atom: k for atom, k in terms.items() if k}


def _is_proven(g: Graph, form: Linear) -> bool:
    """`form >= 0` from the ranges of its axes, and of the entries that it holds."""
    gathered = next((atom for atom in form[1] if g.op[atom] == "read"), None)
    if gathered is None:
        return _is_proven_of_axes(g, form)
    k = form[1][gathered]
    known = g.entries.get(g.tensors[g.args[gathered][0]].name, ())
    return any(_is_proven(g, _with(g, form, gathered, e.low if k > 0 else e.high)) for e in known)


def _with(g: Graph, form: Linear, atom: Node, bound: OfSizes) -> Linear:
    """The form with a bound in the place of an atom."""
    value = (bound.constant, {g.size(name): c for name, c in bound.terms})
    return _minus(form, _minus((0, {atom: 1}), value), form[1][atom])


def _is_proven_of_axes(g: Graph, form: Linear) -> bool:
    """`form >= 0` from the ranges of its axes alone."""
    constant, terms = form
    low: Linear = (constant, {})
    for atom, k in terms.items():
        if g.op[atom] == "axis":
            if k < 0:  # the axis is at most extent - 1
                low = _minus(low, _minus((1, {}), g.linear(g.extent(atom))), k)
        elif g.op[atom] == "size" or (g.op[atom] == "imul" and not _gathers(g, atom)):
            low = _minus(low, (0, {atom: -k}))
        else:
            return False  # a product with a gathered index: nothing is known
    return _is_proven_bound(g, low, frozenset().union(*(g.axes[a] for a in terms)))


def _gathers(g: Graph, atom: Node) -> bool:
    """Whether a product of integers has a factor of unknown sign."""
    while g.op[atom] == "imul":
        atom, last = g.args[atom]
        if g.op[last] == "read":
            return True
    return g.op[atom] == "read"


def _is_proven_bound(g: Graph, low: Linear, axes: frozenset[Node]) -> bool:
    """Use `extent >= 1` of the axes in the index to cancel positive size terms into the constant."""
    constant, terms = low
    if any(k < 0 for k in terms.values()):
        return False
    if constant >= 0:
        return True
    for axis in sorted(axes):
        c, extent = g.linear(g.extent(axis))
        if all(terms.get(a, 0) >= k >= 0 for a, k in extent.items()) and constant + 1 - c >= 0:
            return True  # low = extent + (rest >= 0), and extent >= 1
    return False
