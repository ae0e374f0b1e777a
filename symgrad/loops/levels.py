"""The loops of one definition, and what is computed at each level of them.

A value is computed in the outermost loop that has all its axes, so loop-invariant code is never inside. Index
conditions become loop bounds; a read that could fall outside its tensor is only made where its condition
holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from symgrad.ir.bounds import Fact, facts_of, is_nonnegative, read_is_in_range
from symgrad.ir.graph import Node
from symgrad.ir.reachable import SHARE_LOOKED_FOR
from symgrad.ir.reduce import conjunction, unguarded
from symgrad.loops.nest import (
    Bool,
    Cell,
    Compute,
    Const,
    For,
    FromInt,
    If,
    Load,
    LoadInt,
    Poly,
    Run,
    SetCell,
    Statement,
    Test,
    ToInt,
    Value,
    poly,
    poly_add,
    poly_from,
    variable,
)
from symgrad.loops.order import place_named
from symgrad.loops.runs import LEAST
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.loops.lower import Lowering
    from symgrad.loops.sweeps import Span

_LEAVES = frozenset(("read", "cast", "ige", "ieq", "const", "true", "false"))  # no values below them
_PLAIN = frozenset(("read", "const", "true", "false"))
_CERTAIN = frozenset(("const", "true", "false"))  # no reads below them
_SELECTIONS = frozenset(("mask", "where", "and", "or"))  # what stands behind their condition may not exist

# Reads that are not proven to be inside their tensor, each with what conditions on the way to it say.
Doubts = tuple[tuple[Node, tuple[Fact, ...]], ...]
_MANY: Doubts = ((-1, ()),)  # too many to tell apart
_MOST = 8


@dataclass(frozen=True)
class Scope:
    """A list of statements that run inside `level` loops (possibly in a branch there)."""

    statements: list[Statement]
    level: int


class Levels:
    """Statements by level: level 0 is outside all loops, level k inside the k-th.

    times  the axes of loops around all of them, and where those are.
    span   the part of one of the loops that is made, if it is not the whole.
    """

    def __init__(
        self, lowering: Lowering, loops: list[Node], times: Mapping[Node, Poly], span: Span | None = None
    ) -> None:
        self.low = lowering
        self.g = lowering.g
        self.times = times
        self.span = span
        self._use_loops(loops)
        self.doubts: dict[Node, Doubts] = {}

    def _use_loops(self, loops: list[Node]) -> None:
        """Start with empty levels for these loops, outermost first."""
        self._performing: Sequence[Node] = ()
        self._performed: frozenset[Node] | None = None
        self.loops = loops = [a for a in loops if a not in self.times]
        self.values: dict[Node, Value] = {}
        self.loaded: set[Node] = set()  # gathered indices already in a variable of this nest
        self.names = {a: self.low.loop_name(d) for d, a in enumerate(loops)}
        self.depth = {a: d + 1 for d, a in enumerate(loops)}
        self.variables = {a: variable(name) for a, name in self.names.items()}
        self.variables |= self.times
        self.depth |= dict.fromkeys(self.times, 0)
        self.pre: list[list[Statement]] = [self.low.top, *([] for _ in loops)]
        self.scopes = [Scope(statements, level) for level, statements in enumerate(self.pre)]
        self.post: list[list[Statement]] = [[] for _ in range(len(loops) + 1)]
        self.lower_bounds: dict[Node, list[Poly]] = {a: [poly(0)] for a in loops}
        self.upper_bounds = {a: [self.poly(self.g.extent(a))] for a in loops}
        if self.span is not None and self.span.axis in self.depth:
            self.lower_bounds[self.span.axis].append(self.span.lower)
            self.upper_bounds[self.span.axis].extend(self.span.upper)
        self.own_bounds = {a: len(self.lower_bounds[a]) + len(self.upper_bounds[a]) for a in loops}

    def _perform(self, roots: Sequence[Node]) -> None:
        """Say that every turn of the inner loop computes `roots`.

        What they read whatever conditions on values say needs no branch where it is read under a condition.
        """
        self._performing, self._performed = roots, None
        self.doubts = {}

    @property
    def performed(self) -> frozenset[Node]:
        """The reads that every turn of the inner loop makes; found when first asked for."""
        if self._performed is None:
            g, inner, innermost = self.g, unguarded(self.g, self._performing), len(self.loops)
            self._performed = frozenset(n for n in inner if g.op[n] == "read" and self.level(n) == innermost)
        return self._performed

    # ---- small helpers ---------------------------------------------------------------------

    def poly(self, node: Node) -> Poly:
        return self.low.poly(node, self.variables)

    def level(self, n: Node) -> int:
        return max((self.depth[a] for a in self.g.axes[n]), default=0)

    def _assemble(self) -> None:
        """Wrap the levels into loops, innermost first."""
        inside = self.pre[len(self.loops)] + self.post[len(self.loops)]
        for d in range(len(self.loops) - 1, -1, -1):
            axis = self.loops[d]
            loop = For(
                self.names[axis],
                tuple(dict.fromkeys(self.lower_bounds[axis])),
                tuple(dict.fromkeys(self.upper_bounds[axis])),
                inside,
            )
            if d == 0:
                self.low.top.append(loop)
                self.low.top.extend(self.post[0])
            else:
                inside = [*self.pre[d], loop, *self.post[d]]
        if not self.loops:
            self.low.top.extend(self.post[0])

    # ---- guards ----------------------------------------------------------------------------

    def _enter(self, guards: list[Node], level: int) -> list[Statement]:
        """Turn conditions into loop bounds where possible, the rest into one nested `If` each."""
        rest = [p for p in guards if not self._as_bound(p)]
        here = self.pre[level]
        on_indices = [p for p in rest if self.g.op[p] in ("ige", "ieq") and not self._unsafe(p)]
        gathered = [p for p in rest if self.g.op[p] in ("ige", "ieq") and self._unsafe(p)]
        on_values = [p for p in rest if p not in on_indices and p not in gathered]
        for parts in (on_indices, gathered, on_values):  # what is read may only exist where those before hold
            if parts:
                (condition,) = self._values((conjunction(self.g, parts),), here)
                inside: list[Statement] = []
                here.append(If(condition, inside))
                here = inside
        return here

    def _is_bounded(self, axis: Node) -> bool:
        """A condition became a bound of this loop."""
        return len(self.lower_bounds[axis]) + len(self.upper_bounds[axis]) > self.own_bounds[axis]

    def _as_bound(self, p: Node) -> bool:
        """ige(c*v + rest) with v the innermost axis and c = 1 or -1 bounds the loop over v."""
        g = self.g
        if (named := place_named(g, p)) is not None:
            self._one_turn(*named)
            return False  # the condition is still asked: the value may be no whole number
        if g.op[p] != "ige":
            return False
        index = g.args[p][0]
        _, terms = g.linear(index)
        if any(g.op[a] not in ("axis", "size", "imul") for a in terms) or not g.axes[index]:
            return False
        axis = max(g.axes[index], key=lambda a: self.depth[a])
        k = terms.get(axis, 0)
        if axis in self.times or abs(k) != 1 or any(axis in g.axes[a] for a in terms if a != axis):
            return False
        rest = self.poly(g.isub(index, g.iscale(axis, k)))
        if k == 1:
            self.lower_bounds[axis].append(poly_from({m: -c for m, c in rest}))
        else:
            self.upper_bounds[axis].append(poly_add(rest, poly(1)))
        return True

    def _one_turn(self, axis: Node, value: Node) -> None:
        """Bound the loop over an axis to the place that a value of outer loops names, or to none."""
        level = self.level(value)
        if axis in self.times or level >= self.depth[axis] or self._unsafe(value):
            return
        scope = self.scopes[level]
        self._emit_nodes((value,), scope, {})
        number, extent = self._lookup(value, {}), self.upper_bounds[axis][0]
        zero, end, least, most, inside, place = (self.low.fresh_value() for _ in range(6))
        name = self.low.fresh_name("g")
        here = scope.statements
        here += [
            Const(zero, ("q", 0, 1)),
            FromInt(end, extent),
            Compute(least, "le", (zero, number)),
            Compute(most, "lt", (number, end)),
            Compute(inside, "and", (least, most)),
            Compute(place, "where", (inside, number, end)),
            ToInt(name, place),
        ]
        self.lower_bounds[axis].append(variable(name))
        self.upper_bounds[axis].append(poly_add(variable(name), poly(1)))

    # ---- values ----------------------------------------------------------------------------

    def _values(self, roots: Sequence[Node], scope: list[Statement] | None = None) -> list[Value]:
        """Make the values of `roots`; `scope` is where values that need a guard are computed."""
        level = len(self.loops)
        here = Scope(self.pre[level] if scope is None else scope, level)
        local: dict[Node, Value] = {}
        self._emit_nodes(roots, here, local)
        return [self._lookup(r, local) for r in roots]

    def _lookup(self, n: Node, local: Mapping[Node, Value]) -> Value:
        value = local.get(n)
        if value is None:
            value = self.values.get(n)
        return self.low.top_values[n] if value is None else value

    def _has_value(self, n: Node, local: Mapping[Node, Value]) -> bool:
        return n in local or n in self.values or n in self.low.top_values

    def _emit_nodes(self, roots: Sequence[Node], scope: Scope, local: dict[Node, Value]) -> None:
        if not self.loops and not self.times and scope.statements is self.pre[0]:
            straight = self._straight(roots)
            if straight is not None:
                self._emit_straight(straight, scope)
                return
        for n in self._needed(roots, local):
            if self._unsafe(n):
                local[n] = self._emit_one(n, scope, local)
            else:
                self._emit_at_its_level(n, scope, local)

    def _straight(self, roots: Sequence[Node]) -> list[Node] | None:
        """All nodes below `roots` without a value, ascending; None if a read among them is in doubt.

        Large graphs without axes are made here: nothing is asked of a node that its reads do not decide.
        """
        g, known = self.g, self.low.top_values
        ops, arguments, kinds = g.op, g.arguments, g.kind
        stack = [r for r in roots if kinds[r] != "int" and r not in known]
        seen, most = set(stack), len(ops) // SHARE_LOOKED_FOR
        while stack:
            n = stack.pop()
            if ops[n] in _LEAVES:
                if not self._is_certain(n):
                    return None
                continue
            for a in arguments[n]:
                if a not in seen and a not in known:
                    seen.add(a)
                    stack.append(a)
            if len(seen) > most:
                return self._most_of_all(roots)
        return sorted(seen)

    def _is_certain(self, leaf: Node) -> bool:
        """Whether a leaf is made outside all loops and reads nothing that may not be there."""
        return self.g.op[leaf] in _CERTAIN or not (self.g.axes[leaf] or self._unsafe(leaf))

    def _most_of_all(self, roots: Sequence[Node]) -> list[Node] | None:
        """The same for a large share of all nodes, which the graph has found before."""
        g, known = self.g, self.low.top_values
        ops, arguments, kinds = g.op, g.arguments, g.kind
        below = [n for n in g.reachable(roots) if n not in known and kinds[n] != "int"]
        leaves = [n for n in below if ops[n] in _LEAVES]
        if not all(map(self._is_certain, leaves)):
            return None
        if any(arguments[n] for n in leaves):  # constants that are only places in memory are not computed
            inner = (arguments[n] for n in below if ops[n] not in _LEAVES)
            used = set(roots).union(chain.from_iterable(inner))
            unused = {n for n in leaves if n not in used}
            below = [n for n in below if n not in unused]
        return below

    def _emit_straight(self, nodes: Sequence[Node], scope: Scope) -> None:
        """Statements that need neither loops nor branches; long code is not written out (`loops.lines`)."""
        low, append = self.low, scope.statements.append
        ops, args, values = self.g.op, self.g.args, low.top_values
        is_long = len(ops) > LEAST and scope.statements is low.outermost
        if is_long and (run := self._run(nodes)) is not None:
            append(run)
            return
        for n in nodes:
            op = ops[n]
            own = args[n]
            if op in _LEAVES:
                values[n] = self._emit_leaf(n, scope)
                continue
            values[n] = dst = low.next_value
            low.next_value = dst + 1
            if len(own) == 2:  # nearly all of them
                a, b = own
                append(Compute(dst, op, (values[a], values[b])))
            else:
                append(Compute(dst, op, tuple([values[a] for a in own])))

    def _run(self, nodes: Sequence[Node]) -> Run | None:
        """The nodes as one statement; None where a leaf is no constant and no element at a known place."""
        low, g = self.low, self.g
        ops, args, kinds = g.op, g.arguments, g.kind
        leaves = [n for n in nodes if ops[n] in _LEAVES]
        if not all(ops[n] in _PLAIN and all(kinds[a] == "const" for a in args[n]) for n in leaves):
            return None
        first, values = low.next_value, low.top_values
        low.next_value += len(nodes)
        values.update(zip(nodes, range(first, low.next_value), strict=True))
        return Run(ops, g.args, nodes, first, values, {n: self._leaf(n, values[n]) for n in leaves})

    def _emit_at_its_level(self, n: Node, scope: Scope, local: dict[Node, Value]) -> None:
        """As far outside as its axes allow; a branch keeps what belongs to its own level."""
        level = self.level(n) if self.g.axes[n] else 0
        outer = self.scopes[level]
        if level == scope.level and scope.statements is not outer.statements:
            local[n] = self._emit_one(n, scope, local)
            return
        table = self.low.top_values if not self.g.axes[n] else self.values
        # Farther out, what this branch has computed for itself cannot be seen.
        visible = local if scope.statements is outer.statements else {}
        table[n] = self._emit_one(n, outer, visible)

    def _needed(self, roots: Sequence[Node], local: Mapping[Node, Value]) -> list[Node]:
        """Nodes to compute, ascending; the arms of guarding selections are not entered."""
        seen: set[Node] = set()
        stack = [r for r in roots if self.g.kind[r] != "int"]
        while stack:
            n = stack.pop()
            if n in seen or self._has_value(n, local):
                continue
            seen.add(n)
            stack.extend(self._value_children(n))
        return sorted(seen)

    def _value_children(self, n: Node) -> tuple[Node, ...]:
        g = self.g
        if g.op[n] in _LEAVES:
            return ()
        if not self._is_guarding(n):
            return g.arguments[n]
        return (g.args[n][0],) if g.op[n] in ("mask", "where") else tuple(t for t, _ in self._branches(n))

    def _emit_one(self, n: Node, scope: Scope, local: dict[Node, Value]) -> Value:
        op, args = self.g.op[n], self.g.args[n]
        if op in _LEAVES:
            return self._emit_leaf(n, scope)
        if self._is_guarding(n):
            return self._emit_guarded(n, scope, local)
        values = tuple([self._lookup(a, local) for a in args])
        dst = self.low.fresh_value()
        scope.statements.append(Compute(dst, op, values))
        return dst

    def _emit_leaf(self, n: Node, scope: Scope) -> Value:
        dst = self.low.fresh_value()
        if self.g.arguments[n]:
            self._integers(self.g.arguments[n], scope)
        scope.statements.append(self._leaf(n, dst))
        return dst

    def _leaf(self, n: Node, dst: Value) -> Statement:
        """The statement for a node that is not computed; the integers of its indices are there."""
        op, args = self.g.op[n], self.g.args[n]
        if op == "const":
            return Const(dst, args)
        if op in ("true", "false"):
            return Bool(dst, op == "true")
        if op == "cast":
            return FromInt(dst, self.poly(args[0]))
        if op in ("ige", "ieq"):
            return Test(dst, op, self.poly(args[0]))
        return Load(dst, *self.low.element(args[0], tuple(self.poly(i) for i in args[1:])))

    def _integers(self, nodes: Sequence[Node], scope: Scope) -> None:
        """Load the gathered indices that `nodes` mention (inner ones first), each once if possible.

        A branch keeps those of its own level: what stands after it would come too late.
        """
        g = self.g
        for n in g.reachable(nodes):
            if g.op[n] != "read" or g.kind[n] != "int" or n in self.loaded:
                continue
            level = self.level(n)
            in_branch = level == scope.level and scope.statements is not self.pre[level]
            once = level > 0 and not in_branch and not self._unsafe(n)
            here = self.pre[level] if once else scope.statements
            if once:
                self.loaded.add(n)
            name = self.low.fresh_name("g")
            t, *index = g.args[n]
            here.append(LoadInt(name, self.low.buffers[t].name, tuple(self.poly(i) for i in index)))
            self.low.integers[n] = name

    # ---- reads that need their condition ---------------------------------------------------

    def _unsafe(self, n: Node) -> bool:
        """Whether computing `n` makes a read that is not proven to be inside its tensor."""
        known = self.doubts.get(n)
        if known is not None:
            return bool(known)
        if self.doubts.keys() >= set(self.g.arguments[n]):  # the common case: arguments come first
            self.doubts[n] = found = self._doubts_of(n)
            return bool(found)
        unknown: set[Node] = set()
        stack = [n]
        while stack:
            m = stack.pop()
            if m not in unknown and m not in self.doubts:
                unknown.add(m)
                stack.extend(self.g.arguments[m])
        for m in sorted(unknown):
            self.doubts[m] = self._doubts_of(m)
        return bool(self.doubts[n])

    def _doubts_of(self, n: Node) -> Doubts:
        op, args = self.g.op[n], self.g.arguments[n]
        if op in _SELECTIONS and self._guards_its_arms(n):
            # Its condition is no reason to compute a selection where a condition around it does not hold:
            # it has to prove the reads of its arms to be inside.
            arms = [self._left(test, arm) for test, arm in self._branches(n)]
            return _together([self.doubts[args[0]] if op in ("mask", "where") else (), *arms])
        own: list[Doubts] = [((n, ()),)] if op == "read" and not self._in_range(n) else []
        return _together([*own, *(self.doubts[a] for a in args)])

    def _left(self, test: Node, arm: Node) -> Doubts:
        """The doubts about an arm that its condition leaves."""
        doubts = self.doubts[arm]
        if not doubts or doubts is _MANY:
            return doubts
        facts = tuple(facts_of(self.g, test))
        more = [(read, known + facts) for read, known in doubts]
        return tuple((read, known) for read, known in more if not read_is_in_range(self.g, read, known))

    def _in_range(self, read: Node) -> bool:
        g = self.g
        t, *index = g.args[read]
        inside = all(
            is_nonnegative(g, i) and is_nonnegative(g, g.isub(g.iadd(extent, g.const(-1)), i))
            for i, extent in zip(index, g.tensors[t].extents, strict=True)
        )
        return inside or read in self.performed

    def _branches(self, n: Node) -> list[tuple[Node, Node]]:
        """(condition, what is only needed where it holds) of a selection or a decided condition."""
        g = self.g
        op, args = g.op[n], g.args[n]
        if op == "mask":
            return [(args[0], args[1])]
        if op == "where":
            return [(args[0], args[1]), (g.node("not", args[0]), args[2])]
        if op in ("and", "or"):
            first, second = sorted(args, key=lambda a: bool(self.doubts[a]))
            if self.doubts[second] and not self.doubts[first]:
                return [(first if op == "and" else g.node("not", first), second)]
        return []

    def _guards_its_arms(self, n: Node) -> bool:
        """A selection or a conjunction whose condition protects an unproven read."""
        if self.g.op[n] in ("mask", "where"):
            return any(self.doubts[a] for a in self.g.args[n][1:])
        return bool(self._branches(n))

    def _is_guarding(self, n: Node) -> bool:
        if self.g.op[n] not in _SELECTIONS:
            return False
        self._unsafe(n)
        return self._guards_its_arms(n)

    def _emit_guarded(self, n: Node, scope: Scope, local: dict[Node, Value]) -> Value:
        """A register that is set in the branch taken, so the other one reads nothing."""
        start, cell = self.low.fresh_value(), self.low.fresh_value()
        if self.g.kind[n] == "bool":
            scope.statements.append(Bool(start, self.g.op[n] == "or"))
        else:
            scope.statements.append(Const(start, ("q", 0, 1)))
        scope.statements.append(Cell(cell, start))
        for test, arm in self._branches(n):
            self._emit_nodes((test,), scope, local)
            inside: list[Statement] = []
            scope.statements.append(If(self._lookup(test, local), inside))
            inner = dict(local)
            self._emit_nodes((arm,), Scope(inside, scope.level), inner)
            inside.append(SetCell(cell, self._lookup(arm, inner)))
        return cell

    def _cell(self, where: list[Statement], identity: tuple[Any, ...]) -> Value:
        start, cell = self.low.fresh_value(), self.low.fresh_value()
        where += [Const(start, identity), Cell(cell, start)]
        return cell


def _together(parts: Iterable[Doubts]) -> Doubts:
    found: dict[Any, None] = {}
    for doubts in parts:
        if doubts is _MANY:
            return _MANY
        found.update(dict.fromkeys(doubts))
    return tuple(found) if len(found) <= _MOST else _MANY
