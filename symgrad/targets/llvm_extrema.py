"""The largest and the smallest of the numbers that a loop meets, as integers, in LLVM assembly.

With the bits b of a number the integer  b xor ((b >> 63) >>> 1)  has the order of the numbers, also of zeros
with their signs, and turns back into b by the same formula. A nan becomes the largest integer (the smallest,
where the smallest number is looked for), which stands for a nan too. So one comparison in each turn of a loop
keeps all that IEEE 754-2019 asks of `maximum` and `minimum` (section 9.6); LLVM's own takes four, each of
which waits for the one before.

Source: Warren, Hacker's Delight (2nd edition), section 17-3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from symgrad.loops.nest import Accumulate, Call, Cell, Statement, Value
from symgrad.loops.walk import walk
from symgrad.records import dataclass

_KINDS = {"max": "smax", "min": "smin"}


def extremum_cells(body: Sequence[Statement]) -> dict[Value, str]:
    """The cells that hold the largest ("max") or smallest ("min") number, and are nobody else's."""
    cells: set[Value] = set()
    kinds: dict[Value, str] = {}
    shared: set[Value] = set()
    for _, s in walk(body):
        if isinstance(s, Cell):
            cells.add(s.dst)
        elif isinstance(s, Accumulate) and s.kind in _KINDS:
            kinds[s.cell] = s.kind
        elif isinstance(s, Call):
            shared.update(s.cells)
    return {cell: kind for cell, kind in kinds.items() if cell in cells - shared}


@dataclass(frozen=True)
class Ordered:
    """Numbers of one type as integers; `new` writes an instruction and returns the value it gives."""

    real: str
    new: Callable[[str], str]

    @property
    def bits(self) -> int:
        return 64 if self.real == "double" else 32

    @property
    def integer(self) -> str:
        return f"i{self.bits}"

    def key(self, value: str, kind: str) -> str:
        """The integer of a number."""
        key = self._turned(self.new(f"bitcast {self.real} {value} to {self.integer}"))
        is_nan = self.new(f"fcmp uno {self.real} {value}, {value}")
        end = 2 ** (self.bits - 1) - 1 if kind == "max" else -(2 ** (self.bits - 1))
        return self.new(f"select i1 {is_nan}, {self.integer} {end}, {self.integer} {key}")

    def value(self, key: str) -> str:
        """The number of an integer."""
        return self.new(f"bitcast {self.integer} {self._turned(key)} to {self.real}")

    def better(self, kind: str, one: str, other: str, functions: dict[str, str]) -> str:
        """The larger or the smaller of two integers; notes the function it declares."""
        integer, name = self.integer, f"llvm.{_KINDS[kind]}.{self.integer}"
        functions[name] = f"declare {integer} @{name}({integer}, {integer})"
        return self.new(f"call {integer} @{name}({integer} {one}, {integer} {other})")

    def _turned(self, key: str) -> str:
        sign = self.new(f"ashr {self.integer} {key}, {self.bits - 1}")
        return self.new(f"xor {self.integer} {key}, {self.new(f'lshr {self.integer} {sign}, 1')}")
