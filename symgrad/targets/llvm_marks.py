"""What LLVM is told about loops and selections: independent turns, parts, forecasts."""

from __future__ import annotations

from symgrad.loops.independent import only_gathers
from symgrad.loops.nest import For
from symgrad.targets.last_turns import ABREAST, BLOCKS, MANY, ONE, REST

_OFTEN = 1_000_000  # to one, that what is foreseen happens


class LoopMarks:
    """Metadata of a module for its loops, and what is foreseen; its numbers begin at `first`.

    Source: LLVM Language Reference Manual, "llvm.access.group", "llvm.loop.parallel_accesses",
    "llvm.loop.unroll.disable", "llvm.loop.interleave.count", "llvm.loop.vectorize.enable",
    "llvm.loop.vectorize.predicate.enable", "prof".
    """

    def __init__(self, first: int) -> None:
        self.first = first
        self.access = f", !llvm.access.group !{first}"
        self.loops: list[str] = []
        self.has_forecasts = False

    def forecast(self, is_first: bool) -> str:
        """What stands behind a selection that is nearly always of its first alternative, or its second."""
        self.has_forecasts = True
        return f", !prof !{self.first + (3 if is_first else 4)}"

    def new_loop(self, is_parallel: bool, part: str, s: For) -> str:
        """What stands at the end of a further loop: independent turns, or one of its parts."""
        numbers = [self.first + 1] * is_parallel + [self.first + 2] * (part == REST)
        numbers += [self.first + 7] * (part == MANY) + [self.first + 8] * (part == BLOCKS)
        few = s.short or part == ONE
        numbers += [self.first + 5] * (few or only_gathers(s)) + [self.first + 6] * few
        if not numbers:
            return ""
        own = self.first + 9 + len(self.loops)
        self.loops.append(f"!{own} = distinct !{{{', '.join(f'!{n}' for n in (own, *numbers))}}}")
        return f", !llvm.loop !{own}"

    def text(self) -> str:
        """The definitions; empty if nothing uses them."""
        properties = (
            f"!{self.first} = distinct !{{}}",
            f'!{self.first + 1} = !{{!"llvm.loop.parallel_accesses", !{self.first}}}',
            f'!{self.first + 2} = !{{!"llvm.loop.vectorize.predicate.enable", i1 true}}',
            f'!{self.first + 5} = !{{!"llvm.loop.vectorize.enable", i1 false}}',
            f'!{self.first + 6} = !{{!"llvm.loop.unroll.disable"}}',
            f'!{self.first + 7} = !{{!"llvm.loop.interleave.count", i32 {ABREAST[MANY]}}}',
            f'!{self.first + 8} = !{{!"llvm.loop.interleave.count", i32 {ABREAST[BLOCKS]}}}',
        )
        forecasts = (
            f'!{self.first + 3} = !{{!"branch_weights", i32 {_OFTEN}, i32 1}}',
            f'!{self.first + 4} = !{{!"branch_weights", i32 1, i32 {_OFTEN}}}',
        )
        return "\n".join(
            [*(properties if self.loops else ()), *(forecasts if self.has_forecasts else ()), *self.loops]
        )
