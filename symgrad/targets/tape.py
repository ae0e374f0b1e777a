"""Straight-line code as a tape: what an interpreter runs that was compiled once (`tape_llvm.py`).

Machine code for one operation takes LLVM ten microseconds at least, and an operation interpreted takes some
nanoseconds: code that is needed now, and will be better code in a moment, is not compiled at all. A tape is

    constants  8 bytes each
    words      int32: the number of an instruction, the slot of its result, the slots of its operands;
               after the last instruction of each segment, END

A slot is 8 bytes; a value has one from where it is computed to where it is last used. A few slots are on the
stack, more of them a work buffer. Truth values are the numbers 0 and 1. What interpreters can do is a list of
op names; an op is its place in it.

A segment is what stands between two pieces of other code: parts one after the other. Parts with anything but
constants, operations and accesses at places that are known stay what they are, and are compiled.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from symgrad.ir.ops import OPS
from symgrad.loops.lines import Lines
from symgrad.loops.nest import (
    Bool,
    Buffer,
    Compute,
    Const,
    Element,
    FromInt,
    Load,
    Part,
    Poly,
    Routine,
    Statement,
    Store,
    StoreReduce,
    Test,
    Value,
    Vector,
    poly,
)
from symgrad.loops.walk import free_name
from symgrad.records import dataclass
from symgrad.targets.base import literal_value, row_major
from symgrad.targets.tape_lines import BackwardWriter
from symgrad.targets.vector_math import APART, FUNCTIONS

END, CONST, LOAD, STORE = range(4)
_FIRST = 4  # the number of the first op
_EXTERNAL = "external "
_UPDATES = {"sum": "add", "prod": "mul"}  # what is done to a number in memory
_MOST = 2**31 - 1  # a word
_MOST_ON_STACK = 4_096  # slots; threads have small stacks


@lru_cache
def instructions(special: bool) -> tuple[str, ...]:
    """The ops that an interpreter has, in the order of their numbers.

    special  also those that SciPy computes, which takes time to import.
    """
    spelled = [op for op, row in OPS.items() if row.llvm and not row.llvm.startswith(_EXTERNAL)]
    spelled += [APART + name for name in FUNCTIONS]
    if special:
        spelled += [op for op, row in OPS.items() if row.llvm.startswith(_EXTERNAL)]
    return tuple(spelled)


def takes_truth(op: str, position: int) -> bool:
    """Whether an operand of an op is a truth value."""
    return op in ("and", "or", "not") or (op in ("where", "mask", "cast") and position == 0)


@dataclass(frozen=True)
class Segment:
    """Consecutive instructions.

    start   the number of the first word.
    slots   that they take.
    arrays  the buffers they read and write, by the number they have in the words.
    """

    start: int
    slots: int
    arrays: tuple[str, ...]


@dataclass(frozen=True)
class Tape:
    """A routine whose parts are on tape.

    routine   with parts that are empty, and have the names of their segments.
    data      constants, then words.
    first     the byte where words begin.
    special   whether the interpreter needs all instructions.
    slots     the work buffer that holds the slots, "" where they are on the stack.
    """

    routine: Routine
    segments: Mapping[str, Segment]
    data: np.ndarray
    first: int
    special: bool
    slots: str

    def digest(self) -> str:
        """Of what is on it."""
        return hashlib.sha256(self.data.tobytes()).hexdigest()


def taped(routine: Routine, dtype: str, own: bool) -> Tape | None:
    """The routine with its parts on tape, None if none of them can be.

    own  elementary functions are our own (`own_functions.py`), where they are not yet.
    """
    return _Recorder(routine, dtype, own).run()


class _NotKnown(Exception):
    """A statement that no instruction stands for."""


class _Recorder:
    """Writes the tape."""

    def __init__(self, routine: Routine, dtype: str, own: bool) -> None:
        self.routine, self.dtype = routine, dtype
        self.buffers = {b.name: b for b in routine.buffers}
        self.numbers = {op: k + _FIRST for k, op in enumerate(instructions(True))}
        if own:
            self.numbers |= {name: self.numbers[APART + name] for name in FUNCTIONS}
        self.least_special = _FIRST + len(instructions(False))
        self.special = False
        self.words = array("i")
        self.constants: dict[float, int] = {}
        self.payloads: dict[tuple[object, ...], int] = {}
        self.segments: dict[str, Segment] = {}
        self.open: Segment | None = None

    def run(self) -> Tape | None:
        body: list[Statement] = []
        arrays: dict[str, int] = {}
        start = slots = 0
        for s in (*self.routine.body, None):
            made = self._recorded(s, arrays) if isinstance(s, Part) and not s.integers and not s.name else 0
            if made:
                slots = max(slots, made)
                continue
            if slots:
                name = f"tape{len(self.segments) + 1}"
                self.words.append(END)
                self.segments[name] = Segment(start, slots, tuple(arrays))
                body.append(Part([], name=name))
                arrays, start, slots = {}, len(self.words), 0
            if s is not None:
                body.append(s)
        if not self.segments:
            return None
        return self._tape(replace(self.routine, body=body))

    def _tape(self, routine: Routine) -> Tape:
        kind = np.float64 if self.dtype == "float64" else np.float32
        constants = np.zeros((len(self.payloads), 8 // np.dtype(kind).itemsize), kind)
        for payload, place in self.payloads.items():
            constants[place, 0] = literal_value(payload, self.dtype)
        data = np.concatenate([constants.view(np.uint8).ravel(), np.frombuffer(self.words, np.uint8)])
        slots, name = max(s.slots for s in self.segments.values()), ""
        if slots > _MOST_ON_STACK:
            name = free_name([b.name for b in routine.buffers], "slots")
            buffer = Buffer(name, "work", (poly(slots * (8 // np.dtype(kind).itemsize)),))
            routine = replace(routine, buffers=(*routine.buffers, buffer))
        return Tape(routine, self.segments, data, constants.nbytes, self.special, name)

    def _recorded(self, part: Part, arrays: dict[str, int]) -> int:
        """Write a part, and return how many slots it takes; 0 where it cannot be written."""
        length, known = len(self.words), len(arrays)
        try:
            if isinstance(part.body, Lines):
                return self._write_lines(part.body, arrays)
            return self._write(part.body, arrays)
        except _NotKnown:
            del self.words[length:]
            for name in [*arrays][known:]:
                del arrays[name]
            return 0

    def _write(self, body: Sequence[Statement], arrays: dict[str, int]) -> int:
        words, numbers, slots = self.words, self.numbers, _Slots(body)
        slot, last, free = slots.slot, slots.last, slots.free
        vectors: dict[Value, Vector] = {}
        for place, s in enumerate(body):
            if type(s) is Compute:  # nearly all of them
                number = numbers.get(s.op, 0)
                if number < _FIRST:
                    raise _NotKnown
                if number >= self.least_special:
                    self.special = True
                operands = [slot[a] for a in s.args]
                for a in s.args:  # `slots.read` and `slots.new`, written out
                    if last[a] == place:
                        last[a] = -1
                        free.append(slot[a])
                slot[s.dst] = new = free.pop() if free else slots.another()
                words.extend((number, new, *operands))
            elif type(s) is Store or type(s) is StoreReduce:
                self._store(s, place, slots, arrays)
            elif type(s) is Vector:
                vectors[s.dst] = s
            elif type(s) is Element:
                called = vectors[s.src]
                operands = slots.read(called.args[s.place], place)
                words.extend((numbers[APART + called.op], slots.new(s.dst), *operands))
            elif type(s) is Load:
                at = self._array(s.buffer, arrays), self._element(s.buffer, s.index)
                words.extend((LOAD, slots.new(s.dst), *at))
            else:
                constant = self._constant(s)
                words.extend((CONST, slots.new(s.dst), constant))  # type: ignore[union-attr]  # a value
        return max(slots.count, 1)

    def _write_lines(self, lines: Lines, arrays: dict[str, int]) -> int:
        """The same for code that is not written out."""
        used = [self.numbers.get(op, 0) for op in lines.ops()]
        if any(number < _FIRST for number in used):
            raise _NotKnown
        self.special |= any(number >= self.least_special for number in used)
        writer = BackwardWriter(lines, self.numbers)

        def write(s: Statement, slot: int) -> Sequence[int]:
            if isinstance(s, Store):
                return (STORE, slot, self._array(s.buffer, arrays), self._element(s.buffer, s.index))
            if isinstance(s, StoreReduce):
                return self._update(s, slot, writer.scratch(), arrays)
            if isinstance(s, Load):
                return (LOAD, slot, self._array(s.buffer, arrays), self._element(s.buffer, s.index))
            return (CONST, slot, self._constant(s))

        self.words.extend(writer.run(write))
        return max(writer.count, 1)

    def _update(self, s: StoreReduce, src: int, number: int, arrays: dict[str, int]) -> Sequence[int]:
        """The words of a number in memory that is changed, by way of a slot."""
        if s.kind not in _UPDATES:
            raise _NotKnown
        at, update = (self._array(s.buffer, arrays), self._element(s.buffer, s.index)), _UPDATES[s.kind]
        return (LOAD, number, *at, self.numbers[update], number, number, src, STORE, number, *at)

    def _store(self, s: Store | StoreReduce, place: int, slots: _Slots, arrays: dict[str, int]) -> None:
        if isinstance(s, StoreReduce):
            number = slots.new(-1)
            (src,) = slots.read((s.src,), place)
            self.words.extend(self._update(s, src, number, arrays))
            slots.free.append(number)
            return
        at = self._array(s.buffer, arrays), self._element(s.buffer, s.index)
        (src,) = slots.read((s.src,), place)
        self.words.extend((STORE, src, *at))

    def _constant(self, s: Statement) -> int:
        if isinstance(s, Const):
            payload = s.payload
        elif isinstance(s, Bool):
            payload = ("q", int(s.value), 1)
        elif isinstance(s, FromInt):
            payload = ("q", _known(s.index), 1)
        elif isinstance(s, Test):
            index = _known(s.index)
            payload = ("q", int(index >= 0 if s.op == "ige" else index == 0), 1)
        else:
            raise _NotKnown
        return self.payloads.setdefault(payload, len(self.payloads))

    def _array(self, name: str, arrays: dict[str, int]) -> int:
        if self.buffers[name].dtype != "real" or self.buffers[name].role == "table":
            raise _NotKnown
        return arrays.setdefault(name, len(arrays))

    def _element(self, name: str, index: tuple[Poly, ...]) -> int:
        place = _known(index[0]) if len(index) == 1 else _place(self.buffers[name], index)
        if place > _MOST:
            raise _NotKnown
        return place


class _Slots:
    """Which slots the values of a part have, while it is written; `count` is how many there are."""

    def __init__(self, body: Sequence[Statement]) -> None:
        self.slot: dict[Value, int] = {}
        self.last = _last_uses(body)
        self.free: list[int] = []
        self.count = 0

    def read(self, values: Sequence[Value], place: int) -> list[int]:
        """The slots of operands; those that nobody reads later are free from now on."""
        for v in values:
            if self.last[v] == place:
                self.last[v] = -1  # a square reads it twice
                self.free.append(self.slot[v])
        return [self.slot[v] for v in values]

    def new(self, value: Value) -> int:
        """A slot for a value."""
        self.slot[value] = number = self.free.pop() if self.free else self.another()
        return number

    def another(self) -> int:
        """One more slot."""
        self.count += 1
        return self.count - 1


def _last_uses(body: Sequence[Statement]) -> dict[Value, int]:
    """The place of the last statement that reads a value."""
    last: dict[Value, int] = {}
    for place, s in enumerate(body):
        if type(s) is Compute:
            for a in s.args:
                last[a] = place
        elif type(s) is Store or type(s) is StoreReduce:
            last[s.src] = place
        elif type(s) is Vector:
            for args in s.args:
                last |= dict.fromkeys(args, len(body))
    return last


def _place(buffer: Buffer, index: tuple[Poly, ...]) -> int:
    """The number of an element."""
    place = 0
    for extent, at in row_major(buffer, index):
        place = (place * _known(extent) if place else 0) + _known(at)
    return place


def _known(p: Poly) -> int:
    """The value of a polynomial without variables."""
    if not p:
        return 0
    if len(p) > 1 or p[0][0]:
        raise _NotKnown
    return p[0][1]
