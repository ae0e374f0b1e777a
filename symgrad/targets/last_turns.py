"""Which innermost loops are written in parts for LLVM, and which turns each part makes.

A loop with functions: blocks of four vectors abreast, one of two vectors, and what is left of the turns,
fewer than that, in masked vectors, or by itself where it is a single one.
"""

from __future__ import annotations

from symgrad.loops.nest import (
    Accumulate,
    Bool,
    Compute,
    Const,
    For,
    FromInt,
    Load,
    LoadInt,
    Store,
    StoreReduce,
    Test,
)
from symgrad.records import dataclass
from symgrad.targets.llvm_integers import Integer, Integers
from symgrad.targets.vector_math import OWN

MANY, BLOCKS, ONE, REST = "many", "blocks", "one", "rest"
# Vectors of a loop that are computed abreast: one while results of the others are waited for. With more than
# two, a processor that looks a few hundred instructions ahead has enough of them that need not wait.
ABREAST = {MANY: 4, BLOCKS: 2}
_FEW = 1  # last turns that are no vector: one number by itself takes less time than masks and their set-up


@dataclass(frozen=True)
class Turns:
    """Some turns of a loop, from an integer to another one; `is_any` compares whether there are any."""

    loop: For
    name: str
    first: Integer
    last: Integer
    is_any: str = ""


def has_rest(loop: For) -> bool:
    """Whether an innermost loop has functions, and nothing that keeps vectors from doing it."""
    simple = (Const, Bool, Compute, FromInt, Test, Load, LoadInt, Store, StoreReduce, Accumulate)
    return (
        loop.step == 1
        and not loop.lanes
        and any(isinstance(s, Compute) and s.op.startswith(OWN) for s in loop.body)
        and all(isinstance(s, simple) for s in loop.body)
        and all(s.kind in ("sum", "any") for s in loop.body if isinstance(s, Accumulate))
    )


def is_interleaved(loop: For) -> bool:
    """Whether it walks an array in steps of more than one: the last vector would read beyond its end."""
    indices = (i for s in loop.body if isinstance(s, Load | Store | StoreReduce) for i in s.index)
    return any(abs(k) > 1 for i in indices for names, k in i if loop.var in names)


def parts(
    s: For, first: Integer, last: Integer, lanes: int, integers: Integers, functions: dict[str, str]
) -> list[Turns]:
    """The parts of a loop from `first` to `last` for vectors of so many lanes; notes what it declares.

    LLVM has to see that turns are in whole blocks, by a known number of them or by what is asked before: it
    writes code for single turns where there might be some, and once more for one vector. An array in steps of
    more than one (`is_interleaved`) leaves at least one turn out of its vectors; there both stay.
    """
    for pick in ("smax", "smin"):
        functions[f"llvm.{pick}.i64"] = f"declare i64 @llvm.{pick}.i64(i64, i64)"
    shared, plus = integers.shared, integers.sum
    turns = shared(f"call i64 @llvm.smax.i64(i64 {shared(f'sub nsw i64 {last}, {first}')}, i64 0)")
    many, few = lanes * ABREAST[MANY], lanes * ABREAST[BLOCKS]
    leaves_one = is_interleaved(s)
    whole = _whole_but_one(turns, few, integers) if leaves_one else shared(f"and i64 {turns}, {-few}")
    is_few = shared(f"icmp sle i64 {shared(f'sub nsw i64 {turns}, {whole}')}, {_FEW}")
    border = plus(first, shared(f"select i1 {is_few}, i64 {turns}, i64 {whole}"))
    rest = Turns(s, REST, border, last)
    if leaves_one:
        return [Turns(s, BLOCKS, first, border), rest]
    most, block = shared(f"and i64 {turns}, {-many}"), shared(f"and i64 {turns}, {many - few}")
    middle = plus(first, most)
    return [
        Turns(s, MANY, first, middle, f"sge i64 {most}, {many}"),
        Turns(s, BLOCKS, middle, plus(middle, few), f"ne i64 {block}, 0"),  # one of them
        Turns(s, ONE, plus(first, whole), border),
        rest,
    ]


def _whole_but_one(turns: str, block: int, integers: Integers) -> str:
    """Whole blocks and one more turn, or all turns."""
    shared = integers.shared
    others = shared(f"call i64 @llvm.smax.i64(i64 {shared(f'sub nsw i64 {turns}, 1')}, i64 0)")
    more = shared(f"add nsw i64 {shared(f'and i64 {others}, {-block}')}, 1")
    return shared(f"call i64 @llvm.smin.i64(i64 {more}, i64 {turns})")
