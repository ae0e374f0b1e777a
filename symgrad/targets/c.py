"""The C target: a routine as readable C99, and the same text compiled for this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symgrad.errors import IllegalProgram
from symgrad.loops.contract import contract_routine
from symgrad.loops.lanes import across_lanes, lanes_loop
from symgrad.loops.nest import Buffer, For, Least, LoadInt, Part, Routine, Statement, ToInt
from symgrad.loops.packed import numbers_of
from symgrad.loops.split import split
from symgrad.loops.walk import variables, walk
from symgrad.targets import c_build, contract_c, special_c
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
from symgrad.targets.c_body import Body, Names
from symgrad.targets.c_expression import real_literal
from symgrad.targets.lane_functions import with_lane_functions
from symgrad.targets.lanes_c import samples_functions
from symgrad.targets.own_functions import inlined_operations, with_own_functions
from symgrad.targets.text import (
    check_identifier,
    comment_text,
    fresh_prefix,
    local_names,
    polynomial,
    shape_text,
    wrapped,
)
from symgrad.targets.vector_math_c import definitions, vector_definitions

MOST_SIDE_BY_SIDE = 3_000  # statements in the loop over lanes; gcc takes seconds beyond
_MOST_INLINED = 8_000  # instructions of our functions in it; beyond, it calls them with vectors


class CTarget:
    """C99, compiled by whatever C compiler is installed."""

    name = "c"

    def emit(self, routine: Routine, dtype: str = "float64") -> str:
        return emit_c(routine, dtype, own=True)

    def build(self, routine: Routine, dtype: str = "float64", tier: str = "optimised") -> Loaded:
        """There is one tier. Raises MissingCompiler where no C compiler is found."""
        given, routine = routine, split(routine)
        loops = any(isinstance(s, For) for _, s in walk(routine.body, into_parts=True))
        statements = sum(1 for _ in walk(routine.body, into_parts=True))
        text = self.emit(routine, dtype)
        made = c_build.build(text, routine.name, statements, loops, contracts=routine.contracts)
        return replace(made, extra=extra_elements(given, routine))

    def build_batch(self, routine: Routine, dtype: str = "float64") -> Loaded | None:
        source = emit_c_batch(routine, dtype)
        return None if source is None else c_build.build(source, routine.name, 0, loops=True)


TARGET = CTarget()


def emit_c(
    routine: Routine, dtype: str = "float64", standalone: bool = False, include: str = "", own: bool = False
) -> str:
    """The routine as one C99 source file.

    standalone  leave out `NAME_call`, which only a host that calls by pointer array needs.
    include     a header of one's own to include first.
    own         elementary functions are our own (`vector_math.py`), so that loops over them vectorise.
    Raises BadName if a name of the routine cannot be used in C.
    """
    return CFile(routine, check_dtype(dtype), standalone, include, own).text()


def emit_c_batch(routine: Routine, dtype: str = "float64") -> str | None:
    """The routine on samples side by side, as one source file; None where it is no straight-line code, or is
    too long for a compiler to see the vectors in it.

    `NAME` of this file computes a block of samples on tiles, `NAME_call` any number; see `base.py`.
    """
    block = across_lanes(routine, LANES[check_dtype(dtype)])
    if block is None or any(isinstance(s, Part) for _, s in walk(block.body)):
        return None
    block, far = with_lane_functions(block)
    if sum(1 for _ in walk(block.body)) > MOST_SIDE_BY_SIDE:
        return None
    file = CFile(block, dtype, standalone=False, include="", far=far)
    file.calls_vectors = inlined_operations(block.body, dtype) > _MOST_INLINED
    return file.text()


class CFile:
    """One source file in the making."""

    def __init__(
        self, routine: Routine, dtype: str, standalone: bool, include: str, own: bool = False, far: str = ""
    ) -> None:
        routine = with_own_functions(routine, dtype) if own else routine
        self.lanes, self.far = LANES[dtype] if lanes_loop(routine) else 1, far
        self.routine, self.dtype, self.standalone, self.include = routine, dtype, standalone, include
        self.real = "double" if dtype == "float64" else "float"
        self.name = check_identifier(routine.name)
        self.parameters = parameters(routine)
        self.work = routine.buffers_of("work")
        names = _all_names(routine)
        self.work_name = next(w for w in _numbered("work", len(names)) if w not in names)
        spelled = local_names([*names, self.work_name])
        prefixes = (fresh_prefix("t", spelled.values()), fresh_prefix("c", spelled.values()))
        self.offset_prefix = fresh_prefix("at", spelled.values())
        self.names = Names(spelled, *prefixes)
        self.helpers: set[str] = set()
        self.own_used: set[str] = set()
        self.vectors_used: set[tuple[str, int]] = set()
        self.calls_vectors = False
        self.cblas = False  # large matrix products are handed to CBLAS
        self.special_used: set[str] = set()
        self.parts: list[list[str]] = []
        self.named_parts: dict[str, str] = {}

    def text(self) -> str:
        head = f"void {self.name}"
        if self.lanes > 1:
            self.helpers.add("noinline")  # one copy of the code, so one result for every place in a batch
            head = f"{self.name}_NOINLINE {head}"
        main = self._function(self.routine.body, head, None)
        functions = [*self.parts, main]
        if self.lanes > 1:
            functions += self._samples_functions()
        elif not self.standalone:
            functions.append(self._call_function())
        if "contract" in self.helpers:
            contraction = self._contraction()
        elif "transpose" in self.helpers:
            contraction = [contract_c.functions(self.dtype, self.name, tile=False)]
        else:
            contraction = []
        blocks = [
            self._header(),
            self._includes(),
            *([self._tables()] if self.routine.buffers_of("table") else []),
            *self._helper_functions(),
            *self._own_functions(),
            *special_c.definitions(self.special_used, self.name),
            *contraction,
            *functions,
        ]
        return "\n\n".join("\n".join(block) for block in blocks) + "\n"

    # ---- functions -------------------------------------------------------------------------

    def _part_call(self, part: Part) -> str:
        name = self.named_parts.get(part.name) or self._new_part(part)
        integers = (self.names.spelled[i] for i in part.integers)
        return f"{name}({', '.join([*self._argument_names(), *integers])});"

    def _new_part(self, part: Part) -> str:
        name = f"{self.name}_part{len(self.parts) + 1}"
        if part.name:
            self.named_parts[part.name] = name
        self.parts.append([])  # keeps its place
        place = len(self.parts) - 1
        head = f"static {self.name}_NOINLINE void {name}"
        function = self._function(part.body, head, part)
        comment = [f"/* {comment_text(part.comment)} */"] if part.comment else []
        self.parts[place] = comment + function
        self.helpers.add("noinline")
        return name

    def _no_part(self, part: Part) -> str:
        raise IllegalProgram("a part stands inside another part")

    def _function(self, statements: Sequence[Statement], head: str, part: Part | None) -> list[str]:
        body = Body(self.routine.buffers, self.names, self.dtype, self.name)
        body.print(statements, self._no_part if part else self._part_call)
        self.own_used |= body.own_used
        self.vectors_used |= body.vectors_used
        self.special_used |= body.special_used
        self.helpers |= body.helpers_used
        if any(isinstance(s, Part) for _, s in walk(statements)):
            body.names_used |= {b.name for b in self.parameters} | {self.work_name, *self.routine.sizes}
            body.names_used -= {self.work_name} if not self.work else set()
        slices = self._work_slices(body.names_used)
        derived = self._derived(body.names_used)
        integers = part.integers if part else ()
        unused = [
            f"    (void){self.names.spelled[p]};"
            for p in (*self._parameter_keys(), *integers)
            if p not in body.names_used
        ]
        return [
            *wrapped(f"{head}({self.parameter_list(integers=integers)})"),
            "{",
            *unused,
            *derived,
            *slices,
            *body.lines,
            "}",
        ]

    def _derived(self, used: set[str]) -> list[str]:
        """Declarations of the integers that follow from the sizes; adds the sizes they need to `used`."""
        lines = []
        for s in self.routine.derived:
            if s.var in used:
                used.update(variables(s.of))
                least = self._least(s, self.names.spelled)
                lines.append(f"    const int64_t {self.names.spelled[s.var]} = {least};")
        return lines

    def _least(self, s: Least, spelled: dict[str, str]) -> str:
        text = polynomial(s.of[0], spelled)
        for p in s.of[1:]:
            self.helpers.add("min")
            text = f"{self.name}_min({text}, {polynomial(p, spelled)})"
        return text

    def _work_slices(self, used: set[str]) -> list[str]:
        """Declarations of the work buffers in use; adds the sizes they need to `used`."""
        last = max((i for i, b in enumerate(self.work) if b.name in used), default=-1)
        lines: list[str] = []
        offset, sums = "", 0
        for buffer in self.work[: last + 1]:
            if buffer.name in used:
                if "(" in offset:  # all start from the workspace: made from each other they might overlap
                    sums += 1
                    lines.append(f"    const int64_t {self.offset_prefix}{sums} = {offset};")
                    offset = f"{self.offset_prefix}{sums}"
                start = self.work_name + (f" + {offset}" if offset else "")
                lines.append(f"    {self.real} *const restrict {self.names.spelled[buffer.name]} = {start};")
                used.add(self.work_name)
            if buffer is not self.work[last]:
                offset = _join_offsets(offset, self._slice_text(buffer, used, self.names.spelled))
        return lines

    def _slice_text(self, buffer: Buffer, used: set[str], spelled: dict[str, str]) -> str:
        """The elements of one slice, rounded up, as an expression in the sizes."""
        constant, factors = 1, []
        for extent in buffer.extents:
            if all(names == () for names, _ in extent):
                constant *= max(sum(k for _, k in extent), 0)
                continue
            self.helpers.add("extent")
            used.update(variables([extent]))
            factors.append(f"{self.name}_extent({polynomial(extent, spelled)})")
        if not factors or not constant:
            return str(-(-constant // ALIGNMENT) * ALIGNMENT)
        if constant != 1:
            factors.append(str(constant))
        product = "*".join(factors)
        if constant % ALIGNMENT == 0:
            return product
        self.helpers.add("slice")
        return f"{self.name}_slice({product})"

    def work_size_text(self, spelled: dict[str, str]) -> str:
        """The elements of the whole workspace as a C expression in the sizes, spelled as given."""
        offset = ""
        spelled = spelled | {s.var: self._least(s, spelled) for s in self.routine.derived}
        for buffer in self.work:
            offset = _join_offsets(offset, self._slice_text(buffer, set(), spelled))
        return offset or "0"

    def _parameter_keys(self) -> list[str]:
        work = [self.work_name] if self.work else []
        return [*(b.name for b in self.parameters), *work, *self.routine.sizes]

    def _argument_names(self) -> list[str]:
        return [self.names.spelled[key] for key in self._parameter_keys()]

    def parameter_list(self, restrict: bool = True, integers: Sequence[str] = ()) -> str:
        """The parameters of NAME; `restrict` is left out for a header that C++ reads too."""
        star = "*restrict " if restrict else "*"
        out = []
        for b in self.parameters:
            const = "const " if b.role == "input" else ""
            out.append(f"{const}{self._type(b)} {star}{self.names.spelled[b.name]}")
        if self.work:
            out.append(f"{self.real} {star}{self.work_name}")
        out += [f"int64_t {self.names.spelled[size]}" for size in (*self.routine.sizes, *integers)]
        return ", ".join(out) or "void"

    def _type(self, buffer: Buffer) -> str:
        return "int64_t" if buffer.dtype == "int" else self.real

    def _call_function(self) -> list[str]:
        first_stride = 1 + len(self.routine.sizes)
        arguments = []
        for place, b in enumerate(self.parameters):
            const = "const " if b.role == "input" else ""
            step = f"sample * meta[{first_stride + place}]"
            arguments.append(f"({const}{self._type(b)} *)buffers[{place}] + {step}")
        if self.work:
            arguments.append(f"({self.real} *)buffers[{len(self.parameters)}]")
        arguments += [f"meta[{1 + place}]" for place in range(len(self.routine.sizes))]
        call = (
            f"        {self.name}("
            + (",\n            " if len(arguments) > 2 else ", ").join(arguments)
            + ");"
        )
        unused = [] if arguments and (self.parameters or self.work) else ["    (void)buffers;"]
        return [
            "/* every sample: buffers are inputs, outputs, workspace; meta is count, sizes, strides */",
            f"void {self.name}_call(void *const *buffers, const int64_t *meta);",
            f"void {self.name}_call(void *const *buffers, const int64_t *meta)",
            "{",
            *unused,
            "    const int64_t count = meta[0];",
            "    for (int64_t sample = 0; sample < count; sample++) {",
            *call.split("\n"),
            "    }",
            "}",
        ]

    def _samples_functions(self) -> list[list[str]]:
        work, sizes = workspace_elements(self.routine, {}), len(self.routine.sizes)
        return samples_functions(self.name, self.real, self.lanes, self.parameters, work, sizes, self.far)

    # ---- what stands before the functions ----------------------------------------------------

    def _header(self) -> list[str]:
        r = self.routine
        lines = ["/*", f" * {comment_text(r.title or r.name)}"]
        lines += [" *"] if r.sizes or r.buffers else []
        for size, symbol in zip(r.sizes, r.size_symbols, strict=True):
            lines.append(f" * size    {self.names.spelled[size]}{_called(symbol, size)}")
        for b in r.buffers:
            if b.role == "table":
                continue
            kind = self._type(b)
            shape = shape_text(b, self.names.spelled)
            lines.append(
                f" * {b.role:<7} {self.names.spelled[b.name]} {shape} {kind}{_called(b.symbol, b.name)}"
            )
            if b is r.buffers[0]:
                names = ", ".join(comment_text(n.symbol or n.name) for n in numbers_of(r))
                lines += [f" *         {line}" for line in wrapped(names) if line]
        if r.notes:
            lines += [" *", *(f" * {comment_text(note)}" for note in r.notes)]
        return [*lines, " */"]

    def _includes(self) -> list[str]:
        own = [f'#include "{self.include}"'] if self.include else []
        prototype = f"void {self.name}({self.parameter_list()});"
        headers = ["math", "stdint", *(["string"] if self.own_used or self.vectors_used else [])]
        headers += ["limits", "cblas"] if self.cblas and "contract" in self.helpers else []
        includes = [f"#include <{header}.h>" for header in headers]
        return [*own, *includes, *([] if own else ["", *wrapped(prototype)])]

    def _tables(self) -> list[str]:
        """Constant arrays."""
        lines = []
        for b in self.routine.buffers_of("table"):
            if b.dtype == "int":
                numbers = [str(k) for k in b.data]
            else:
                numbers = [real_literal(literal_value(p, self.dtype), self.dtype).text for p in b.data]
            lines += wrapped(
                f"static const {self._type(b)} {self.names.spelled[b.name]}[{len(numbers)}]"
                f" = {{{', '.join(numbers)}}};"
            )
        return lines

    def _own_functions(self) -> list[list[str]]:
        vectors, single = vector_definitions(self.vectors_used, self.dtype, self.name)
        used = self.own_used | single
        own = definitions(used, self.dtype, self.name, self.calls_vectors) if used else []
        return [*own, *vectors]

    def _contraction(self) -> list[list[str]]:
        """The function that `nest.Contract` calls; it needs helpers of its own."""
        routine = contract_routine(self.name, contract_c.columns_of(self.dtype), masks=False)
        inner = CFile(routine, self.dtype, standalone=True, include="")
        function = inner._function(routine.body, f"static void {self.name}_contract", None)
        self.helpers |= inner.helpers
        if not self.cblas:
            return [contract_c.functions(self.dtype, self.name, tile=True), function]
        arguments = ", ".join(("a", "b", "c", *routine.sizes))
        call = [*wrapped(f"    if ({self.name}_cblas({arguments})) {{"), "        return;", "    }"]
        start = function.index("{") + 1
        return [
            contract_c.functions(self.dtype, self.name, tile=True),
            contract_c.cblas_function(self.dtype, self.name),
            [*function[:start], *call, *function[start:]],
        ]

    def _helper_functions(self) -> list[list[str]]:
        wanted = {
            "sum": _sum_macro(self.name),
            "any": _any_macro(self.name),
            "lanes": _lanes_macro(self.name),
            "parallel": _parallel_macro(self.name),
            "gather": _gather_macro(self.name),
            "noinline": _noinline_macro(self.name),
            "min": _integer_function(f"{self.name}_min", "a, b", "a < b ? a : b"),
            "max": _integer_function(f"{self.name}_max", "a, b", "a > b ? a : b"),
            "extent": _integer_function(f"{self.name}_extent", "a", "a > 0 ? a : 0"),
            "slice": _integer_function(
                f"{self.name}_slice", "a", f"(a + {ALIGNMENT - 1}) / {ALIGNMENT} * {ALIGNMENT}"
            ),
        }
        return [lines for helper, lines in wanted.items() if helper in self.helpers]


def _integer_function(name: str, arguments: str, result: str) -> list[str]:
    typed = ", ".join(f"int64_t {a}" for a in arguments.split(", "))
    return [f"static int64_t {name}({typed})", "{", f"    return {result};", "}"]


def _sum_macro(name: str) -> list[str]:
    return [
        "/* Compile with -fopenmp-simd -DSYMGRAD_SIMD to let sums be added up in any order. */",
        "#ifdef SYMGRAD_SIMD",
        f"#define {name}_PRAGMA(...) _Pragma(#__VA_ARGS__)",
        f"#define {name}_SUM(...) {name}_PRAGMA(omp simd reduction(+ : __VA_ARGS__))",
        "#else",
        f"#define {name}_SUM(...)",
        "#endif",
    ]


def _any_macro(name: str) -> list[str]:
    return [
        "/* The same where truth values are collected beside the sums. */",
        "#ifdef SYMGRAD_SIMD",
        f"#define {name}_ANY(any, ...) {name}_PRAGMA(omp simd reduction(| : any) reduction(+ : __VA_ARGS__))",
        "#else",
        f"#define {name}_ANY(...)",
        "#endif",
    ]


def _lanes_macro(name: str) -> list[str]:
    return [
        "/* The samples of a block are computed side by side. */",
        "#ifdef SYMGRAD_SIMD",
        f'#define {name}_SIDE_BY_SIDE _Pragma("omp simd")',
        "#else",
        f"#define {name}_SIDE_BY_SIDE",
        "#endif",
    ]


def _gather_macro(name: str) -> list[str]:
    return [
        "/* Processors load vectors of addresses number by number. */",
        "#ifdef SYMGRAD_SIMD",
        f'#define {name}_ONE_BY_ONE _Pragma("omp simd simdlen(1)")',
        "#else",
        f"#define {name}_ONE_BY_ONE",
        "#endif",
    ]


def _parallel_macro(name: str) -> list[str]:
    return [
        "/* The turns of a loop touch different elements of all arrays. */",
        "#if defined(__clang__)",
        f'#define {name}_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")',
        "#elif defined(__GNUC__)",
        f'#define {name}_INDEPENDENT _Pragma("GCC ivdep")',
        "#else",
        f"#define {name}_INDEPENDENT",
        "#endif",
    ]


def _noinline_macro(name: str) -> list[str]:
    return [
        "/* Functions that stay apart: parts of long code, and those that take arrays. */",
        "#if defined(__GNUC__)",
        f"#define {name}_NOINLINE __attribute__((noinline))",
        "#else",
        f"#define {name}_NOINLINE",
        "#endif",
    ]


def _join_offsets(a: str, b: str) -> str:
    if a.isdigit() and b.isdigit():
        return str(int(a) + int(b))
    return f"{a} + {b}" if a and a != "0" else b


def _called(symbol: str, name: str) -> str:
    return "" if symbol in ("", name) else f"  for {comment_text(symbol)}"


def _numbered(name: str, most: int) -> list[str]:
    return [name, *(f"{name}_{k}" for k in range(1, most + 1))]


def _all_names(routine: Routine) -> list[str]:
    """Every variable of the routine, each once, in order of appearance."""
    names: dict[str, None] = dict.fromkeys(routine.sizes)
    names.update(dict.fromkeys(b.name for b in routine.buffers))
    names.update(dict.fromkeys(s.var for s in routine.derived))
    for _, s in walk(routine.body, into_parts=True):
        if isinstance(s, For | LoadInt | ToInt | Least):
            names[s.var] = None
    return list(names)
