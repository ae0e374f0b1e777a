"""The LLVM target: a routine as LLVM assembly, and compiled in this process. Needs no compiler."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from symgrad.errors import IllegalProgram
from symgrad.ir.collection import collection_paused
from symgrad.loops import small_matrices
from symgrad.loops.contract import contract_routine
from symgrad.loops.lanes import across_lanes, lanes_loop
from symgrad.loops.lines import Lines
from symgrad.loops.nest import (
    Buffer,
    Call,
    Cell,
    Compute,
    Contract,
    For,
    Function,
    Library,
    Part,
    Routine,
    Statement,
)
from symgrad.loops.reroll import rerolled
from symgrad.loops.split import split
from symgrad.loops.walk import bodies, types_in, walk
from symgrad.targets import contract_llvm, external_llvm, llvm_build, tape_llvm
from symgrad.targets.abreast import lanes_with
from symgrad.targets.base import (
    ALIGNMENT,
    LANES,
    Loaded,
    check_dtype,
    extra_elements,
    literal_value,
    parameters,
    workspace_elements,
)
from symgrad.targets.host import processor
from symgrad.targets.lane_functions import with_lane_functions
from symgrad.targets.lanes_llvm import Tiles, each_lane, read, samples_function
from symgrad.targets.llvm_body import Body, real_literal
from symgrad.targets.llvm_integers import Integer, Integers, least_of
from symgrad.targets.llvm_marks import LoopMarks
from symgrad.targets.outline import outlined
from symgrad.targets.own_functions import inlined_operations, with_own_functions
from symgrad.targets.tape import Segment, Tape, taped
from symgrad.targets.text import check_identifier, comment_text
from symgrad.targets.vector_math_llvm import definitions, vector_definitions

_INLINE = 300  # statements; a longer body gains nothing from being inlined into NAME_call
_PARTS_TOGETHER = 8  # parts of straight-line code in one module; half a second of LLVM's time
_MOST_INLINED = 4_000  # instructions of our functions in a block of samples; more cost seconds of compilation
_MOST_SCOPES = 64  # work buffers; alias metadata is quadratic in their number

# The stack of a function of loops or samples is aligned for vectors. LLVM does not do so for registers that
# it finds too few of: what it keeps there would lie across two lines of the cache, now and then two pages.
_ATTRIBUTES = """\
attributes #0 = { nounwind "prefer-vector-width"="512" }
attributes #1 = { nounwind willreturn memory(none) }
attributes #2 = { nounwind alwaysinline "prefer-vector-width"="512" }
attributes #3 = { nounwind noinline "stackrealign" "prefer-vector-width"="512" }
attributes #4 = { nounwind alwaysinline willreturn memory(none) "prefer-vector-width"="512" }
attributes #5 = { nounwind noinline willreturn memory(none) "prefer-vector-width"="512" }
attributes #6 = { nounwind willreturn memory(argmem: write) }"""


class LLVMTarget:
    """LLVM through llvmlite."""

    name = "llvm"

    def emit(self, routine: Routine, dtype: str = "float64") -> str:
        return emit_llvm(routine, dtype)

    def build(self, routine: Routine, dtype: str = "float64", tier: str = "optimised") -> Loaded:
        tape = None if tier == "optimised" else tape_for(routine, dtype, tier)
        if tape is not None:
            return _build_taped(routine, dtype, tier, tape)
        source, shape, extra = _source(routine, dtype, llvm_build.unchecked)
        return llvm_build.build(source, routine.name, shape, tier, extra)

    def build_batch(self, routine: Routine, dtype: str = "float64") -> Loaded | None:
        lanes = lanes_with(processor()[1], routine, dtype)
        source = emit_llvm_batch(routine, dtype, llvm_build.has_fused_multiply_add(), lanes)
        if source is None:
            return None
        # Two vectors alternate in the text; moved to save registers, they would wait again.
        shape = replace(shape_of(routine, dtype), lanes=True, in_order=lanes > LANES[dtype])
        return llvm_build.build(source, routine.name, shape)


TARGET = LLVMTarget()


def _source(routine: Routine, dtype: str, check: llvm_build.Check) -> tuple[str, llvm_build.CodeShape, int]:
    """Text for this machine, its shape, and elements that it adds to the workspace."""
    check()
    with collection_paused():  # statements are many small objects without cycles
        if isinstance(routine.body, Lines):
            routine = replace(routine, body=[*routine.body])  # written out once
        cut = _settled(split(rerolled(routine) if routine.repeats else routine))
        check()
        extra = extra_elements(routine, cut)
        if llvm_build.has_fused_multiply_add():
            cut = with_own_functions(cut, dtype)
        check()
        cut = outlined(cut)
        module = _module(cut, dtype, check=check)
        return module.text(), module.shape, extra


def _settled(routine: Routine) -> Routine:
    """Parts without loops around them are not contracted: their numbers depend neither on the tier nor on
    where they were cut.
    """
    has_parts = any(isinstance(s, Part) for s in routine.body)
    if has_parts and not any(isinstance(s, For) for _, s in walk(routine.body)):
        return replace(routine, contracts=False)
    return routine


def _module(
    routine: Routine, dtype: str, tape: Tape | None = None, check: llvm_build.Check = llvm_build.unchecked
) -> _Module:
    """The module for this machine; what it calls is there."""
    shape = contract_llvm.shape_for(processor()[1], dtype)
    _provide_functions(routine, dtype)
    rest_lanes = shape.lanes if shape.masks else 0
    convention = llvm_build.many_registers()
    return _Module(
        routine, check_dtype(dtype), shape, rest_lanes=rest_lanes, tape=tape, check=check,
        convention=convention,
    )  # fmt: skip


def _provide_functions(routine: Routine, dtype: str) -> None:
    """Compile the functions that the routine calls and every process makes once."""
    if any(isinstance(s, Contract) for _, s in walk(routine.body)):
        provide_contract(dtype)
    for _, s in walk(routine.body):
        if isinstance(s, Library) and s.module == small_matrices.MODULE:
            _provide_small(s.function, dtype)


def _provide_small(function: str, dtype: str) -> None:
    name = small_matrices.name_of(function, dtype)
    if not llvm_build.is_provided(name):
        routine = small_matrices.small_routine(function, name)
        llvm_build.provide(name, lambda: (emit_llvm(routine, dtype), shape_of(routine, dtype)))


# ---- tapes -------------------------------------------------------------------------------------


def tape_for(routine: Routine, dtype: str, tier: str) -> Tape | None:
    """The routine with its long straight-line code on tape; None where there is none, or it would not pay."""
    whole = split(routine, part=len(routine.body))
    if not any(isinstance(s, Part) for s in whole.body):
        return None
    has_loops = any(isinstance(s, For) for _, s in walk(whole.body))
    if has_loops and tier == "auto" and routine.contracts:
        return None  # quick loops would give other numbers

    def made(cut: Routine) -> Tape | None:
        own, cut = llvm_build.has_fused_multiply_add(), _settled(cut)
        if own and has_loops and any(isinstance(s, Compute) for _, s in walk(cut.body)):
            cut, own = with_own_functions(cut, dtype), False
        return taped(cut, dtype, own)

    tape = made(whole)
    is_complete = tape is not None and not any(isinstance(s, Part) and s.body for s in tape.routine.body)
    return tape if is_complete else made(split(routine))  # what is compiled is so in short parts


def _build_taped(routine: Routine, dtype: str, tier: str, tape: Tape) -> Loaded:
    """The interpreter at work on a tape; in tier "auto" until machine code is there."""
    provide_interpreter(dtype, tape.special)
    quick_text = _module(outlined(tape.routine), dtype, tape).text()

    def source(check: llvm_build.Check) -> tuple[str, llvm_build.CodeShape, int]:
        return _source(routine, dtype, check)

    def quick() -> Loaded:
        extra = extra_elements(routine, tape.routine)
        made = llvm_build.build_taped(quick_text, routine.name, tape.data, extra)
        return replace(made, text=lambda: source(llvm_build.unchecked)[0])

    if tier == "quick":
        return quick()
    key = llvm_build.tape_key(quick_text, tape.digest())
    return llvm_build.in_tiers(key, routine.name, source, quick)


def provide_interpreter(dtype: str, special: bool) -> None:
    """Compile the interpreter of tapes, once per process."""
    name = tape_llvm.name_of(dtype, special)
    if not llvm_build.is_provided(name):
        llvm_build.provide(name, lambda: (tape_llvm.interpreter(dtype, special), llvm_build.STRAIGHT))


# ---- contractions ------------------------------------------------------------------------------


def provide_contract(dtype: str) -> None:
    """Compile the function that kernels call for contractions, once per process."""
    name = contract_llvm.name_of(dtype)

    def source() -> tuple[str, llvm_build.CodeShape]:
        tile = contract_llvm.shape_for(processor()[1], dtype)
        routine = contract_routine(name, tile.columns, tile.masks)
        return emit_llvm(routine, dtype, own=False, tile=tile), llvm_build.STRAIGHT

    if not llvm_build.is_provided(name):
        llvm_build.provide(name, source)


def shape_of(routine: Routine, dtype: str = "float64") -> llvm_build.CodeShape:
    """What decides how a routine is worth optimising; functions of loops count once."""
    functions = {s.function: None for _, s in walk(routine.body) if isinstance(s, Call)}
    shapes = [_shape_of(body, dtype) for body in (routine.body, *(f.body for f in functions))]
    return llvm_build.CodeShape(
        sum(s.statements for s in shapes),
        max(s.largest for s in shapes),
        max(s.block for s in shapes),
        any(s.loops for s in shapes),
        any(s.cells for s in shapes),
    )


def _shape_of(body: Sequence[Statement], dtype: str) -> llvm_build.CodeShape:
    total = in_parts = largest = 0
    loops = cells = False
    for block in bodies(body):
        total += len(block)
        kinds = set(map(type, block))
        loops |= For in kinds
        cells |= Cell in kinds
        parts = [len(s.body) for s in block if type(s) is Part] if Part in kinds else []
        in_parts += sum(parts)
        largest = max([largest, *parts])
    _, *blocks = bodies(body, into_parts=False)
    total += inlined_operations(body, dtype) if loops else 0
    return llvm_build.CodeShape(
        total, max(largest, total - in_parts), max(map(len, blocks), default=0), loops, cells
    )


def emit_llvm(
    routine: Routine,
    dtype: str = "float64",
    own: bool = True,
    tile: contract_llvm.Shape | None = None,
    rest_lanes: int = 0,
) -> str:
    """The routine as one module of LLVM assembly, the same for every machine.

    own   elementary functions become our own (`vector_math.py`) and loops functions (`outline.py`); else the
          routine is printed as it is.
    tile  what the machine has registers for, of a routine with tiles or squares; None for any machine.
    rest_lanes  numbers in a vector of a machine with masks: the last turns of a loop with functions, fewer
          than that, are one masked vector; 0 for any machine.
    """
    routine = outlined(with_own_functions(routine, dtype)) if own else routine
    return _Module(routine, check_dtype(dtype), tile, rest_lanes=rest_lanes).text()


def emit_llvm_batch(routine: Routine, dtype: str = "float64", own: bool = True, lanes: int = 0) -> str | None:
    """The routine on samples side by side, as one module; None where it is no straight-line code.

    `NAME` of this module computes a block of samples on tiles, `NAME_call` any number; see `base.py`.

    lanes  how many samples a block has; one vector of them unless it is given.
    """
    lanes = lanes or LANES[check_dtype(dtype)]
    block, far = across_lanes(routine, lanes), ""
    if block is None:
        return None
    if own:
        block, far = with_lane_functions(block)
    return _Module(block, dtype, far=far, lanes=lanes).text()


class _Module:
    """One module in the making."""

    def __init__(
        self, routine: Routine, dtype: str, tile: contract_llvm.Shape | None = None, far: str = "",
        rest_lanes: int = 0, tape: Tape | None = None, check: llvm_build.Check = llvm_build.unchecked,
        lanes: int = 1, convention: str = "",
    ) -> None:  # fmt: skip
        self.routine, self.dtype, self.far = routine, dtype, far
        self.tile = tile or contract_llvm.shape_for("", dtype)
        self.tape, self.check = tape, check
        loop = lanes_loop(routine)
        self.body = loop.body if loop else routine.body
        self.lane, self.lanes = (loop.var, lanes) if loop else ("", 1)
        self.each_used: dict[str, int] = {}
        self.real = "double" if dtype == "float64" else "float"
        self.name = check_identifier(routine.name)
        self.parameters = parameters(routine)
        self.work = routine.buffers_of("work")
        self.tables = {b.name: b for b in routine.buffers_of("table")}
        for name in (*routine.sizes, *(b.name for b in routine.buffers)):
            check_identifier(name)
        self.scopes = self._scope_names()
        self.marks = LoopMarks(1 + 3 * len(self.work) if self.scopes else 0)
        self.rest_lanes, self.convention = rest_lanes, convention
        self.functions: dict[str, str] = {}
        self.own_used: set[str] = set()
        self.vectors_used: set[tuple[str, int]] = set()
        self.external_used: set[str] = set()
        self.parts: list[str] = []
        self.named_parts: dict[str, str] = {}
        self.shape = shape_of(routine, dtype)
        parts = sum(isinstance(s, Part) for s in routine.body)
        self.is_divided = parts > _PARTS_TOGETHER and not self.shape.loops
        # What is compiled fast first, and then well, is fused by neither, so that both give the same numbers.
        is_plain = llvm_build.has_tiers(self.shape) or not routine.contracts
        self.contracts = self.lanes > 1 or not is_plain
        self.nests: dict[Function, str] = {}  # the name of each function of loops

    def text(self) -> str:
        small = self.lanes == 1 and self.shape.statements <= _INLINE
        attributes = "#2" if small else "#0" if self.lanes == 1 else "#3"
        main = self._function(self.body, f"define void @{self.name}", attributes, None)
        first, *others = self._divided()
        tables = [self._table(b) for b in self.tables.values()]
        if self.tape is not None:
            tables.append(f"@{llvm_build.tape_variable(self.name)} = global ptr null")
        blocks = [f"; {comment_text(self.routine.title or self.name)}", *tables, *first, main]
        blocks += [self._call_function()] if self.lanes == 1 else self._samples_functions()
        texts, needs = each_lane(self.each_used, self.real, self.lanes)
        blocks += texts
        self.functions |= needs
        is_long = self.lanes > 1 and inlined_operations(self.body, self.dtype) > _MOST_INLINED
        vector_texts, needs, single = vector_definitions(self.vectors_used, self.dtype, "#5", self.convention)
        self.functions |= needs
        self.own_used |= single
        texts, needs = definitions(self.own_used, self.dtype, "#5" if is_long else "#4", "#5", self.lanes)
        shared = [*texts, *vector_texts]
        self.functions |= needs
        texts, needs = external_llvm.definitions(self.external_used, self.real, "#5")
        shared += texts
        self.functions |= needs
        texts, needs = contract_llvm.functions(self.tile, self.dtype, types_in(self.body))
        shared += texts
        self.functions |= needs
        self.functions.pop(self.name, None)  # a function that calls itself
        if self.functions:
            shared.append("\n".join(self.functions[name] for name in sorted(self.functions)))
        shared.append(_ATTRIBUTES)
        if self.scopes:
            shared.append(self._scope_metadata())
        if marks := self.marks.text():
            shared.append(marks)
        modules = ([*blocks, *shared], *([*parts, *shared] for parts in others))
        return llvm_build.NEXT_MODULE.join("\n\n".join(module) + "\n" for module in modules)

    def _divided(self) -> list[list[str]]:
        """The functions by module: all in the first, but the parts of very long straight-line code.

        A module is compiled in one go, in which no other thread can compile anything.
        """
        if not self.is_divided:
            return [self.parts]
        kinds = re.sub(r" %\w+", "", self._parameter_list(True))
        calls = "\n".join(f"declare void @{self.name}_part{k + 1}({kinds})" for k in range(len(self.parts)))
        groups = range(0, len(self.parts), _PARTS_TOGETHER)
        return [[calls], *(self.parts[k : k + _PARTS_TOGETHER] for k in groups)]

    # ---- functions -------------------------------------------------------------------------

    def _name_of(self, function: Function) -> str:
        """The name of a function of loops, which is written when it is first called."""
        if function not in self.nests:
            self.nests[function] = name = f"{self.name}_nest{len(self.nests) + 1}"
            body = Body(function.buffers, function.integers, self.dtype, {})
            body.contracts, body.marks, body.rest_lanes = self.contracts, self.marks, self.rest_lanes
            body.convention = self.convention
            parameters = body.open_function(function)
            body.write(function.body, self._no_part, self._no_function)
            body.close_function(function)
            self._note(body)
            lines = [*body.slots, *body.lines]
            head = f"define internal void @{name}({parameters}) #3 {{"
            self.parts.append("\n".join([head, "entry:", *lines, "  ret void", "}"]))
        return self.nests[function]

    def _no_function(self, function: Function) -> str:
        raise IllegalProgram("a function of loops calls another one")

    def _note(self, body: Body) -> None:
        """What a function needs of the module."""
        self.own_used |= body.own_used
        self.vectors_used |= body.vectors_used
        self.external_used |= body.external_used
        self.each_used |= body.each_used
        self.functions |= body.functions

    def _part_call(self, part: Part) -> tuple[str, str]:
        name = self.named_parts.get(part.name) or self._new_part(part)
        return name, self._parameter_list(False)

    def _new_part(self, part: Part) -> str:
        name = f"{self.name}_part{len(self.parts) + 1}"
        if part.name:
            self.named_parts[part.name] = name
        self.check()
        place = len(self.parts)
        self.parts.append("")
        linkage = "hidden" if self.is_divided else "internal"
        head = f"define {linkage} void @{name}"
        segment = self.tape.segments.get(part.name) if self.tape is not None else None
        if segment is not None:
            self.parts[place] = self._taped_function(segment, head)
        else:
            self.parts[place] = self._function(part.body, head, "#3", part)
        return name

    def _taped_function(self, segment: Segment, head: str) -> str:
        """The interpreter runs a segment."""
        assert self.tape is not None
        interpreter = tape_llvm.name_of(self.dtype, self.tape.special)
        self.functions[interpreter] = tape_llvm.declaration(interpreter)
        slices = _WorkSlices(self.work, self.routine, self.real)
        slices.locate(
            dict.fromkeys([*segment.arrays, self.tape.slots] if self.tape.slots else segment.arrays)
        )
        self.functions |= slices.functions
        variable = llvm_build.tape_variable(self.name)
        lines = tape_llvm.segment_call(self.tape, segment, variable, interpreter)
        start = [f"{head}({self._parameter_list(True)}) #3 {{", "entry:", *slices.lines]
        return "\n".join([*start, *lines, "  ret void", "}"])

    def _no_part(self, part: Part) -> tuple[str, str]:
        raise IllegalProgram("a part stands inside another part")

    def _function(
        self, statements: Sequence[Statement], head: str, attributes: str, part: Part | None
    ) -> str:
        integers = (*self.routine.sizes, *(part.integers if part else ()))
        body = Body(self.routine.buffers, integers, self.dtype, self.scopes, self.lane, self.lanes)
        body.contracts, body.marks, body.rest_lanes = self.contracts, self.marks, self.rest_lanes
        body.convention = self.convention
        for s in self.routine.derived:
            body.least(s)
        body.write(statements, self._no_part if part else self._part_call, self._name_of)
        self._note(body)
        slices = _WorkSlices(self.work, self.routine, self.real)
        slices.locate(body.buffers_used)
        self.functions |= slices.functions
        tables = [self._table_address(name) for name in body.buffers_used if name in self.tables]
        lines = [*body.slots, *slices.lines, *tables, *body.lines]
        return "\n".join(
            [
                f"{head}({self._parameter_list(True, integers)}) {attributes} {{",
                "entry:",
                *lines,
                "  ret void",
                "}",
            ]
        )

    def _table(self, b: Buffer) -> str:
        """A constant array."""
        kind = "i64" if b.dtype == "int" else self.real
        if b.dtype == "int":
            numbers = [str(k) for k in b.data]
        else:
            numbers = [real_literal(literal_value(payload, self.dtype)) for payload in b.data]
        items = ", ".join(f"{kind} {number}" for number in numbers)
        return f"@{self.name}_{b.name} = private unnamed_addr constant [{len(numbers)} x {kind}] [{items}]"

    def _table_address(self, name: str) -> str:
        return f"  %b_{name} = getelementptr i8, ptr @{self.name}_{name}, i64 0"

    def _parameter_list(self, declare: bool, integers: Sequence[str] | None = None) -> str:
        out = []
        for b in self.parameters:
            extra = " noalias" + (" readonly" if b.role == "input" else "") if declare else ""
            out.append(f"ptr{extra} %b_{b.name}")
        if self.work:
            out.append(("ptr noalias" if declare else "ptr") + " %work")
        names = self.routine.sizes if integers is None else integers
        return ", ".join([*out, *(f"i64 %s_{name}" for name in names)])

    def _call_function(self) -> str:
        sizes = len(self.routine.sizes)
        before, inside, arguments = [], [], []
        for k in range(sizes):
            before += read("i64", f"%s{k}", "%meta", 1 + k)
        for k, b in enumerate(self.parameters):
            kind = "i64" if b.dtype == "int" else self.real
            before += read("ptr", f"%b{k}", "%buffers", k)
            before += read("i64", f"%d{k}", "%meta", 1 + sizes + k)
            inside.append(f"  %o{k} = mul i64 %s, %d{k}")
            inside.append(f"  %q{k} = getelementptr {kind}, ptr %b{k}, i64 %o{k}")
            arguments.append(f"ptr %q{k}")
        if self.work:
            before += read("ptr", "%w", "%buffers", len(self.parameters))
            arguments.append("ptr %w")
        arguments += [f"i64 %s{k}" for k in range(sizes)]
        return "\n".join([
            f"define void @{self.name}_call(ptr %buffers, ptr %meta) #0 {{",
            "entry:",
            *read("i64", "%count", "%meta", 0),
            *before,
            "  %any = icmp sgt i64 %count, 0",
            "  br i1 %any, label %loop, label %done",
            "loop:",
            "  %s = phi i64 [ 0, %entry ], [ %next, %loop ]",
            *inside,
            f"  call void @{self.name}({', '.join(arguments)})",
            "  %next = add nuw nsw i64 %s, 1",
            "  %more = icmp slt i64 %next, %count",
            "  br i1 %more, label %loop, label %done",
            "done:",
            "  ret void",
            "}",
        ])  # fmt: skip

    def _samples_functions(self) -> list[str]:
        self.functions["llvm.smin.i64"] = "declare i64 @llvm.smin.i64(i64, i64)"
        work, sizes = workspace_elements(self.routine, {}), len(self.routine.sizes)
        tiles = Tiles(self.real, self.lanes)
        return samples_function(self.name, self.parameters, work, sizes, self.far, tiles)

    # ---- aliasing of the workspace's slices --------------------------------------------------

    def _scope_names(self) -> dict[str, str]:
        """Slices of the workspace do not overlap; a pointer sum alone would not say so."""
        if not 2 <= len(self.work) <= _MOST_SCOPES:
            return {}
        first = 1 + len(self.work)
        return {
            b.name: f", !alias.scope !{first + 2 * k}, !noalias !{first + 2 * k + 1}"
            for k, b in enumerate(self.work)
        }

    def _scope_metadata(self) -> str:
        numbers = range(1, 1 + len(self.work))
        lines = ['!0 = distinct !{!0, !"workspace"}']
        lines += [f'!{k} = distinct !{{!{k}, !0, !"{self.work[k - 1].name}"}}' for k in numbers]
        place = 1 + len(self.work)
        for k in numbers:
            others = ", ".join(f"!{other}" for other in numbers if other != k)
            lines += [f"!{place} = !{{!{k}}}", f"!{place + 1} = !{{{others}}}"]
            place += 2
        return "\n".join(lines)


class _WorkSlices:
    """Where each work buffer starts, computed from the sizes."""

    def __init__(self, work: Sequence[Buffer], routine: Routine, real: str) -> None:
        self.work, self.real = work, real
        self.lines: list[str] = []
        self.functions: dict[str, str] = {}
        self.integers = Integers(self.lines, routine.sizes, "%w")
        for s in routine.derived:
            self.integers.names[s.var] = str(least_of(s, self.integers, self.functions))

    def locate(self, used: Mapping[str, None]) -> None:
        """Append what computes the address of every buffer in `used`."""
        offset: Integer = 0
        last = max((i for i, b in enumerate(self.work) if b.name in used), default=-1)
        for k, buffer in enumerate(self.work[: last + 1]):
            if buffer.name in used:
                place = f"getelementptr inbounds {self.real}, ptr %work, i64 {offset}"
                self.lines.append(f"  %b_{buffer.name} = {place}")
            if k < last:
                offset = self.integers.sum(offset, self._slice(buffer))

    def _slice(self, buffer: Buffer) -> Integer:
        count: Integer = 1
        for extent in buffer.extents:
            count = self.integers.product(count, self._clamped(self.integers.polynomial(extent)))
        if isinstance(count, int):
            return -(-count // ALIGNMENT) * ALIGNMENT
        return self.integers.shared(f"and i64 {self.integers.sum(count, ALIGNMENT - 1)}, {-ALIGNMENT}")

    def _clamped(self, extent: Integer) -> Integer:
        if isinstance(extent, int):
            return max(extent, 0)
        self.functions["llvm.smax.i64"] = "declare i64 @llvm.smax.i64(i64, i64)"
        return self.integers.shared(f"call i64 @llvm.smax.i64(i64 {extent}, i64 0)")
