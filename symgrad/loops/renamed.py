"""Statements with other names for integer variables and values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from symgrad.loops.nest import (
    Accumulate,
    Cell,
    Compute,
    Contract,
    For,
    FromInt,
    If,
    Least,
    Library,
    Load,
    LoadInt,
    Part,
    Poly,
    SetCell,
    Start,
    Statement,
    Store,
    StoreReduce,
    Strided,
    Test,
    Tile,
    ToInt,
    Transpose,
    Value,
    poly_from,
)
from symgrad.loops.walk import defined, variables, walk


def renamed_poly(p: Poly, names: Mapping[str, str] | Mapping[str, str | None]) -> Poly:
    """A polynomial with some of its variables renamed; None is 0."""
    if not names or not any(n in names for n in variables((p,))):
        return p
    terms = [([names.get(n, n) for n in term], k) for term, k in p]
    return poly_from({tuple(sorted(n for n in term if n)): k for term, k in terms if None not in term})


def renamed(body: Sequence[Statement], names: Mapping[str, str | None]) -> list[Statement]:
    """Statements, and those inside of them, with integer variables renamed; None is 0."""
    done = []
    for s in body:
        s = renamed_statement(s, names, {})
        done.append(replace(s, body=renamed(s.body, names)) if isinstance(s, For | If | Part) else s)
    return done


def renumbered(body: Sequence[Statement], names: Mapping[str, str], first: Value) -> list[Statement]:
    """The same with all buffers renamed, too, and values counted from `first` on."""
    values = [v for _, s in walk(body, into_parts=True) if isinstance(v := defined(s), int)]
    same = {v: first + k for k, v in enumerate(dict.fromkeys(values))}
    return _renumbered(body, names, same)


def _renumbered(
    body: Sequence[Statement], names: Mapping[str, str], same: Mapping[Value, Value]
) -> list[Statement]:
    done = []
    for s in body:
        s = replace(renamed_statement(s, names, same))
        for field in ("dst", "cell"):
            if hasattr(s, field):
                setattr(s, field, same[getattr(s, field)])
        if isinstance(s, Load | LoadInt | Store | StoreReduce):
            s.buffer = names[s.buffer]
        elif isinstance(s, Contract):
            s.a, s.b, s.c = (replace(x, start=_elsewhere(x.start, names)) for x in (s.a, s.b, s.c))
            s.scratch = _elsewhere(s.scratch, names)
        elif isinstance(s, Transpose):
            s.source, s.to = (replace(x, start=_elsewhere(x.start, names)) for x in (s.source, s.to))
        elif isinstance(s, For | If | Part):
            s.body = _renumbered(s.body, names, same)
        done.append(s)
    return done


def _elsewhere(start: Start, names: Mapping[str, str]) -> Start:
    return replace(start, buffer=names[start.buffer])


def renamed_statement(
    s: Statement, names: Mapping[str, str] | Mapping[str, str | None], same: Mapping[Value, Value]
) -> Statement:
    """One statement with other names for what it reads; what stands inside of it stays as it is."""
    if not names and not same:
        return s

    def polys(of: tuple[Poly, ...]) -> tuple[Poly, ...]:
        return tuple(renamed_poly(p, names) for p in of)

    def value(v: Value) -> Value:
        return same.get(v, v)

    if isinstance(s, Compute):
        return replace(s, args=tuple(map(value, s.args)))
    if isinstance(s, Load | LoadInt):
        return replace(s, index=polys(s.index))
    if isinstance(s, Store | StoreReduce):
        return replace(s, index=polys(s.index), src=value(s.src))
    if isinstance(s, SetCell | Accumulate | ToInt):
        return replace(s, src=value(s.src))
    if isinstance(s, Cell):
        return replace(s, init=value(s.init))
    if isinstance(s, If):
        return replace(s, condition=value(s.condition))
    if isinstance(s, FromInt | Test):
        return replace(s, index=renamed_poly(s.index, names))
    if isinstance(s, For):
        return replace(s, lower=polys(s.lower), upper=polys(s.upper))
    if isinstance(s, Least):
        return replace(s, of=polys(s.of))
    return _renamed_opaque(s, names, same)


def _renamed_opaque(s: Statement, names: Mapping[str, str | None], same: Mapping[Value, Value]) -> Statement:
    def one(p: Poly) -> Poly:
        return renamed_poly(p, names)

    def start(a: Start) -> Start:
        return replace(a, index=tuple(map(one, a.index)))

    def array(a: Strided) -> Strided:
        return Strided(start(a.start), (one(a.strides[0]), one(a.strides[1])))

    if isinstance(s, Library):
        changed = tuple(
            start(a) if isinstance(a, Start) else one(a) if isinstance(a, tuple)
            else same.get(a, a) if isinstance(a, int) else a
            for a in s.arguments
        )  # fmt: skip
        return replace(s, arguments=changed)
    if isinstance(s, Contract | Tile):
        s = replace(s, rows=one(s.rows), columns=one(s.columns), depth=one(s.depth), keep=one(s.keep),
                    sign=one(s.sign), a=array(s.a), b=array(s.b), c=array(s.c))  # fmt: skip
        return replace(s, lower=one(s.lower), scratch=start(s.scratch)) if isinstance(s, Contract) else s
    if isinstance(s, Transpose):
        return replace(s, rows=one(s.rows), columns=one(s.columns), source=array(s.source), to=array(s.to))
    return s
