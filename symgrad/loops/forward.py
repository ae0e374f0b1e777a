"""Values that were just stored or loaded are not loaded again, and what nobody loads is not stored.

    t[i] = v                    y[i] = g(v)
    y[i] = g(t[i])    becomes

if t is memory of the routine's own that nothing else reads. A buffer that is written and read within one turn
of a loop needs no axis for that loop. After fusion (`loops.fuse`) this is most of them.
Source: scalar replacement and array contraction: Allen and Kennedy (2001), chapter 8; Gao, Olsen, Sarkar and
Thekkath, Languages and Compilers for Parallel Computing (1992).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from symgrad.loops.effects import accesses, effects, is_elementwise
from symgrad.loops.independent import never_meet, own_axes
from symgrad.loops.nest import (
    Accumulate,
    Cell,
    For,
    If,
    Load,
    LoadInt,
    Poly,
    Routine,
    SetCell,
    Statement,
    Store,
    StoreReduce,
    Value,
)
from symgrad.loops.renamed import renamed_statement
from symgrad.loops.walk import defined, operands, polynomials, variables, walk

Place = tuple[str, tuple[Poly, ...]]


def forwarded(routine: Routine) -> Routine:
    """The same routine with fewer loads, stores and buffers."""
    body = _Forwarding(routine.body).run()
    routine = replace(routine, body=body)
    while True:
        smaller = _without_unread(routine)
        if smaller is routine:
            return _contracted(routine)
        routine = smaller


# ---- loads that are known ----------------------------------------------------------------------


class _Forwarding:
    """One walk: what is in memory by now, and other names for values and integers that were loaded twice."""

    def __init__(self, body: Sequence[Statement]) -> None:
        self.body = body
        self.cells = {s.dst for _, s in walk(body) if isinstance(s, Cell)}
        self.same: dict[Value, Value] = {}
        self.names: dict[str, str] = {}

    def run(self) -> list[Statement]:
        return self._block(self.body, {}, {})

    def _block(
        self, body: Sequence[Statement], held: dict[Place, Value], integers: dict[Place, str]
    ) -> list[Statement]:
        done: list[Statement] = []
        for old in body:
            s = renamed_statement(old, self.names, self.same)
            if isinstance(s, For | If):
                written = effects(s).writes
                kept = {place: v for place, v in held.items() if place[0] not in written}
                s = replace(s, body=self._block(s.body, dict(kept), dict(integers)))
                held.clear()
                held.update(kept)
            elif isinstance(s, Load):
                if (s.buffer, s.index) in held:
                    self.same[s.dst] = held[s.buffer, s.index]
                    continue
                held[s.buffer, s.index] = s.dst
            elif isinstance(s, LoadInt) and not s.raw:
                if (s.buffer, s.index) in integers:
                    self.names[s.var] = integers[s.buffer, s.index]
                    continue
                integers[s.buffer, s.index] = s.var
            else:
                self._forget(s, held)
            done.append(s)
        return done

    def _forget(self, s: Statement, held: dict[Place, Value]) -> None:
        """What memory holds after a statement; a store leaves elements at other places as they are."""
        written = effects(s).writes
        if written:
            at = s.index if isinstance(s, Store) else None
            for place in [place for place in held if place[0] in written]:
                if at is None or not never_meet(place[1], at, ()):
                    del held[place]
        if isinstance(s, Store) and s.src not in self.cells:
            held[s.buffer, s.index] = s.src


# ---- stores that nobody reads ------------------------------------------------------------------


def _without_unread(routine: Routine) -> Routine:
    """Without values nobody uses and stores nobody reads; the routine itself if there are none."""
    used: set[Value | str] = set()
    read = {b.name for b in routine.buffers if b.role != "work"}
    for _, s in walk(routine.body, into_parts=True):
        if not isinstance(s, Accumulate | SetCell):
            used.update(operands(s))
        else:
            used.add(s.src)
        used.update(variables(polynomials(s)))
        if not isinstance(s, For | If | StoreReduce):
            read.update(effects(s).reads)

    def is_needed(s: Statement) -> bool:
        if isinstance(s, Store | StoreReduce):
            return s.buffer in read
        if isinstance(s, Accumulate | SetCell):
            return s.cell in used
        name = defined(s)
        return name is None or name in used

    body, changed = _filtered(routine.body, is_needed)
    if not changed:
        return routine
    touched = {name for _, s in walk(body, into_parts=True) for name in _buffers_of(s)}
    buffers = tuple(b for b in routine.buffers if b.role != "work" or b.name in touched)
    return replace(routine, body=body, buffers=buffers)


def _buffers_of(s: Statement) -> frozenset[str]:
    return frozenset() if isinstance(s, For | If) else effects(s).touches


def _filtered(
    body: Sequence[Statement], is_needed: Callable[[Statement], bool]
) -> tuple[list[Statement], bool]:
    done: list[Statement] = []
    changed = False
    for s in body:
        if isinstance(s, For | If):
            inner, inner_changed = _filtered(s.body, is_needed)
            changed |= inner_changed
            if not inner:
                changed = True
                continue
            s = replace(s, body=inner) if inner_changed else s
        elif not is_needed(s):
            changed = True
            continue
        done.append(s)
    return done, changed


# ---- axes of buffers that nobody needs ---------------------------------------------------------


def _contracted(routine: Routine) -> Routine:
    """Without the axes of work buffers along which every turn of a loop touches an element of its own."""
    work = {b.name: b for b in routine.buffers if b.role == "work"}
    total = Counter(name for name, _, _ in accesses(routine.body))
    opaque = {n for _, s in walk(routine.body, into_parts=True) if not isinstance(s, For | If)
              and not is_elementwise((s,)) for n in effects(s).touches}  # fmt: skip
    dropped: dict[str, set[int]] = {}
    for _, loop in walk(routine.body):
        if not isinstance(loop, For):
            continue
        inside: dict[str, list[tuple[Poly, ...]]] = {}
        for name, index, _ in accesses(loop.body):
            inside.setdefault(name, []).append(index)
        deep = {name for s in loop.body if isinstance(s, For | If) for name, _, _ in accesses((s,))}
        for name, indices in inside.items():
            if name in work and name not in opaque and name in deep and len(indices) == total[name]:
                dropped.setdefault(name, set()).update(own_axes(indices, loop))
    dropped = {name: axes for name, axes in dropped.items() if axes}
    if not dropped:
        return routine
    buffers = tuple(
        replace(b, extents=_without(b.extents, dropped[b.name])) if b.name in dropped else b
        for b in routine.buffers
    )
    return replace(routine, buffers=buffers, body=_on_smaller(routine.body, dropped))


def _without(parts: tuple[Poly, ...], axes: set[int]) -> tuple[Poly, ...]:
    return tuple(part for p, part in enumerate(parts) if p not in axes)


def _on_smaller(body: Sequence[Statement], dropped: dict[str, set[int]]) -> list[Statement]:
    def one(s: Statement) -> Statement:
        if isinstance(s, For | If):
            return replace(s, body=_on_smaller(s.body, dropped))
        if isinstance(s, Load | LoadInt | Store | StoreReduce) and s.buffer in dropped:
            return replace(s, index=_without(s.index, dropped[s.buffer]))
        return s

    return [one(s) for s in body]
