"""Straight-line code as arrays, for passes that look at all statements at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgrad.ir.ops import OPS
from symgrad.loops.lines import Lines
from symgrad.loops.nest import (
    Buffer,
    Compute,
    Const,
    For,
    Load,
    Routine,
    Statement,
    Store,
    StoreReduce,
    Value,
)
from symgrad.loops.reroll.fills import without_fills
from symgrad.loops.walk import has_blocks, unused_name, walk
from symgrad.records import dataclass

Ints = NDArray[np.int64]
COMMUTATIVE = ("add", "mul", "and", "or", "eq", "ne")
CONST, SCALAR, CHAIN = 0, 1, 2  # kinds: a constant, a number of an input of rank 0, a long sum
_ROUNDS, _DEEP = 3, 8  # how deep equal instructions are told apart by their operands
_FAR_MORE = 4
_MULTIPLIER = np.uint64(6364136223846793005)


@dataclass
class Code:
    """Statements by number.

    kinds      equal where two statements do the same to other operands; leaves have the lowest numbers.
    leaves     kinds below this one are constants and elements of inputs, which are there already.
    numbers    of the kinds of ops, by name.
    rollable   by kind: whether such statements may be turns of a loop.
    arguments  (n, width): which statements make the operands, -1 where there is none.
    places     of loads and stores: the constant indices.
    terms      of long sums: (statements, signs), from left to right.
    fills      loops that begin with numbers what statements add to, and the constants they use.
    absorbed   statements that are part of a long sum.
    colours    equal where instructions and what their operands are made of agree.
    """

    statements: list[Statement]
    kinds: Ints
    numbers: dict[Any, int]
    rollable: NDArray[np.bool_]
    arguments: Ints
    places: dict[int, tuple[int, ...]]
    buffers: dict[int, str]  # of the kinds of loads and stores
    is_leaf: NDArray[np.bool_]
    fills: list[tuple[For, list[int]]] = field(default_factory=list)
    terms: dict[int, tuple[Ints, Ints]] = field(default_factory=dict)
    absorbed: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    colours: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))

    def __len__(self) -> int:
        return len(self.statements)

    def value(self, number: int) -> Value:
        """What the statement computes."""
        value: Value = self.statements[number].dst  # type: ignore[union-attr]  # stores are never asked
        return value

    def edges(self) -> tuple[Ints, Ints]:
        """(statement, statement that reads it), with one pair per operand and term; leaves left out."""
        sources, users = [], []
        for column in self.arguments.T:
            (found,) = np.nonzero(column >= 0)
            sources.append(column[found])
            users.append(found)
        for top, (terms, _) in self.terms.items():
            sources.append(terms)
            users.append(np.full(len(terms), top))
        source, user = np.concatenate(sources), np.concatenate(users)
        kept = ~self.is_leaf[source]
        return source[kept], user[kept]


def is_straight(routine: Routine) -> bool:
    """Whether a routine has no loops, but for those that fill outputs, and works on no memory in between."""
    body = routine.body
    others = body.others() if isinstance(body, Lines) else [s for s in body if type(s) is not Compute]
    fills = [s for s in others if isinstance(s, For)]
    accesses = [s for s in others if isinstance(s, Load | Store | StoreReduce)]
    constants = {s.dst for s in others if isinstance(s, Const)}
    if len(fills) + len(accesses) + len(constants) < len(others):
        return False
    buffers = {b.name: b for b in routine.buffers}
    if not all(_is_plain(buffers[s.buffer], s) for s in accesses):
        return False
    stored = [(s.buffer, s.index) for s in accesses if not isinstance(s, Load)]
    is_late = bool(fills) and not isinstance(body, Lines) and _fills_late(routine)
    if len(set(stored)) < len(stored) or is_late:  # one after the other
        return False
    return _are_fills(fills, constants, buffers)


def read(routine: Routine) -> Code | None:
    """The code of a routine; None if it is not straight (`is_straight`)."""
    if not is_straight(routine):
        return None
    buffers = {b.name: b for b in routine.buffers}
    numbers: dict[Any, int] = {"const": CONST, "scalar": SCALAR, "chain": CHAIN}
    place: dict[Value, int] = {}
    kinds: list[int] = []
    arguments: list[tuple[int, ...]] = []
    places: dict[int, tuple[int, ...]] = {}
    fills = [s for s in routine.body if isinstance(s, For)] if has_blocks(routine.body) else []
    straight = [s for s in routine.body if not isinstance(s, For)] if fills else routine.body
    straight, more = without_fills(straight, buffers, unused_name(routine, "fill"))
    fills += more
    for k, s in enumerate(straight):
        own: tuple[int, ...] = ()
        if type(s) is Compute:  # nearly all of them
            kinds.append(numbers.setdefault(s.op, len(numbers)))
            arguments.append(tuple([place[a] for a in s.args]))
            place[s.dst] = k
            continue
        key: Any
        if type(s) is Const:
            key = "const"
        else:
            assert isinstance(s, Load | Store | StoreReduce)
            key = (s.buffer, type(s)) if buffers[s.buffer].extents or type(s) is not Load else "scalar"
            numbers.setdefault((s.buffer, type(s)), len(numbers))
            places[k] = tuple(sum(k for _, k in p) for p in s.index)
            own = () if isinstance(s, Load) else (place[s.src],)
        kinds.append(numbers.setdefault(key, len(numbers)))
        arguments.append(own)
        if not isinstance(s, Store | StoreReduce):
            place[s.dst] = k
    code = _made(straight, numbers, kinds, arguments, places)
    code.fills = [(loop, [place[v] for v in _filled_with(loop) if v in place]) for loop in fills]
    return code


def _are_fills(fills: Sequence[For], constants: set[Value], buffers: Mapping[str, Buffer]) -> bool:
    """Whether loops only write constants to outputs, each its own: they can run before everything else."""
    written: set[str] = set()
    for loop in fills:
        inside = [s for _, s in walk((loop,))]
        if not all(isinstance(s, For | Const | Store) for s in inside):
            return False
        own = {s.buffer for s in inside if isinstance(s, Store)}
        if own & written or any(buffers[name].role != "output" for name in own):
            return False
        if not constants.union(s.dst for s in inside if isinstance(s, Const)).issuperset(_filled_with(loop)):
            return False
        written |= own
    return True


def _filled_with(loop: For) -> list[Value]:
    """What a loop stores."""
    return [s.src for _, s in walk((loop,)) if isinstance(s, Store)]


def _fills_late(routine: Routine) -> bool:
    """Whether a loop writes to what a statement before it has written to."""
    written: set[str] = set()
    for s in routine.body:
        if isinstance(s, Store | StoreReduce):
            written.add(s.buffer)
        elif isinstance(s, For) and any(
            isinstance(inside, Store) and inside.buffer in written for _, inside in walk((s,))
        ):
            return True
    return False


def _made(
    straight: Sequence[Statement], numbers: dict[Any, int], kinds: list[int],
    arguments: list[tuple[int, ...]], places: dict[int, tuple[int, ...]],
) -> Code:  # fmt: skip
    lengths = np.fromiter(map(len, arguments), np.int64, len(arguments))
    width = int(lengths.max(initial=0))
    table = np.full((len(arguments), width), -1, np.int64)
    table[np.arange(width) < lengths[:, None]] = [*chain.from_iterable(arguments)]
    stored = {number: key[0] for key, number in numbers.items() if isinstance(key, tuple)}
    loads = [number for key, number in numbers.items() if isinstance(key, tuple) and key[1] is Load]
    rollable = np.ones(len(numbers), bool)
    rollable[[CONST, SCALAR, *loads]] = False
    kind = np.array(kinds, dtype=np.int64)
    code = Code(list(straight), kind, numbers, rollable, table, places, stored, ~rollable[kind])
    code.absorbed = np.zeros(len(kind), bool)
    colour(code)
    return code


def _is_plain(buffer: Buffer, s: Load | Store | StoreReduce) -> bool:
    """Inputs are only read, outputs only written; anything else could not be put into another order."""
    is_known = not any(names for p in s.index for names, _ in p)
    role = "input" if isinstance(s, Load) else "output"
    return is_known and buffer.role == role and buffer.dtype == "real"


def is_bool(s: Statement) -> bool:
    """Whether a statement of the code makes a truth value."""
    return isinstance(s, Compute) and OPS[s.op].result == "bool"


# ---- equal instructions ------------------------------------------------------------------------


def colour(code: Code) -> None:
    """Give every statement its colour; operands of sums and products are put in the order of theirs."""
    commutative = _commutative(code)
    code.colours = colours = _coloured(code, commutative, _ROUNDS)
    if code.arguments.shape[1] > 1:
        first, second = code.arguments[:, 0], code.arguments[:, 1]
        often = _read_far_more_often(code, first, second) & (colours[first] == colours[second])
        swapped = commutative & ((colours[first] > colours[second]) | often)
        code.arguments[swapped, 0], code.arguments[swapped, 1] = second[swapped], first[swapped]


def _read_far_more_often(code: Code, first: Ints, second: Ints) -> NDArray[np.bool_]:
    """Where the first is, of two elements of inputs: a weight and one of the data, in any order."""
    reads = np.bincount(code.arguments[code.arguments >= 0], minlength=len(code))
    return code.is_leaf[first] & code.is_leaf[second] & (reads[first] > _FAR_MORE * reads[second])


def share_repeated(code: Code, times: int) -> float:
    """The share of statements that are made like so many others, down to what their operands are made of."""
    mine = ~code.is_leaf & ~code.absorbed
    colours = _coloured(code, _commutative(code), _DEEP)[mine]
    _, which, counts = np.unique(colours, return_inverse=True, return_counts=True)
    return float(np.mean(counts[which] >= times)) if len(colours) else 0.0


def _commutative(code: Code) -> NDArray[np.bool_]:
    return np.isin(code.kinds, [code.numbers[op] for op in COMMUTATIVE if op in code.numbers])


def _coloured(code: Code, commutative: NDArray[np.bool_], rounds: int) -> NDArray[np.uint64]:
    """Colours that tell statements apart by their operands, so many levels deep."""
    own = _mixed(code.kinds.astype(np.uint64) + np.uint64(1))
    colours = own
    for _ in range(rounds):
        below = [np.where(column >= 0, colours[column], np.uint64(0)) for column in code.arguments.T]
        if len(below) > 1:
            low, high = np.minimum(below[0], below[1]), np.maximum(below[0], below[1])
            below[0], below[1] = np.where(commutative, low, below[0]), np.where(commutative, high, below[1])
        made = own
        for column in below:
            made = _mixed(made ^ column)
        colours = made
    return colours


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    words = (words ^ (words >> np.uint64(31))) * _MULTIPLIER + np.uint64(1442695040888963407)
    mixed: NDArray[np.uint64] = words ^ (words >> np.uint64(29))
    return mixed
