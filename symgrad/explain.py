"""`sg.explain`: what each stage made of a program, what it costs, and how long each stage took.

Everything here is read off by a watcher of `pipeline.compile`; no stage knows about it.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from symgrad import pipeline
from symgrad.errors import BadArgument, quoted
from symgrad.frontend.arguments import name_of, shape_of
from symgrad.frontend.describe import show
from symgrad.frontend.translate import Translation
from symgrad.grad.precision import Precision, check_precision
from symgrad.ir.bounds import TYPICAL_SIZE
from symgrad.ir.count import operations
from symgrad.ir.graph import Graph, TensorId
from symgrad.ir.text import node_text, print_program
from symgrad.ir.unit import Unit
from symgrad.kinks import kink_texts
from symgrad.loops.nest import (
    Compute,
    Contract,
    For,
    If,
    Part,
    Poly,
    Routine,
    Statement,
    Store,
    StoreReduce,
)
from symgrad.loops.reroll import rerolled
from symgrad.loops.walk import walk
from symgrad.program import Program, program
from symgrad.records import dataclass
from symgrad.run.kernel import Kernel
from symgrad.run.point import choose_sizes, names_of
from symgrad.run.signature import poly_text
from symgrad.run.subject import default_outputs

PROMISE = 4
"""A gradient costs at most this many times the operations of its value, before optimisation."""
_MOST_LINES = 40  # of each listing when printed
_MOST_CHARACTERS = 500  # of the expression
_MOST_NODES, _MOST_DEPTH = 400, 100  # SymPy's printer recurses


@dataclass(frozen=True)
class Stage:
    """One stage: its time, what it left (None where that has no meaning), and the rewrites that fired in it.

    definitions  tensors, inputs not counted; `values`: distinct scalar values in their bodies.
    operations   at the sizes of the explanation.
    """

    name: str
    seconds: float
    definitions: int | None = None
    values: int | None = None
    operations: int | None = None
    rewrites: Mapping[str, int] | None = None


@dataclass(frozen=True)
class Explanation:
    """The result of `symgrad.explain`; prints as a page of text.

    expression    as SymPy prints it, or its outermost operation where it is large.
    arguments     name -> shape as text; `wrt` the names differentiated by.
    sizes         that all counts are for.
    stages        in order.
    value_operations, derived_operations, optimised_operations  of the value alone, of all outputs as
                  derived, and of all outputs after the last pass.
    stability     rule -> what it made of what when it first fired; the stages count how often it did.
    kinks         where the derivative jumps and what is taken there (see `Program.kinks`), as text;
                  `convention` the name of what says so.
    definitions   the program after the last pass, as text; `loops` the loop nests made of it.
    workspace     bytes one call needs at these sizes.
    tiles         how recurrences are cut to keep to a budget of memory (`Kernel.tiles`).
    source        how the compiled text reads: its characters and lines.
    accuracy      what a call checks of its rounding errors, "" for nothing.
    """

    outputs: tuple[str, ...]
    backend: str
    dtype: str
    expression: str
    arguments: Mapping[str, str]
    wrt: tuple[str, ...]
    sizes: Mapping[str, int]
    stages: tuple[Stage, ...]
    value_operations: int
    derived_operations: int
    optimised_operations: int
    stability: Mapping[str, str]
    kinks: tuple[str, ...]
    convention: str
    definitions: str
    loops: tuple[str, ...]
    workspace: int
    tiles: dict[str, int]
    source_characters: int
    source_lines: int
    accuracy: str = ""

    @property
    def ratio(self) -> float:
        """Operations of all outputs, as derived, by those of the value alone."""
        return self.derived_operations / max(self.value_operations, 1)

    def to_json(self) -> str:
        """The explanation as JSON text."""
        return json.dumps({**asdict(self), "ratio": self.ratio}, indent=2, allow_nan=False)

    def __str__(self) -> str:
        title = f"explain  {', '.join(self.outputs)}  ({self.backend}, {self.dtype})"
        sections = ["\n  ".join([name, *lines]) for name, lines in _sections(self) if lines]
        return "\n\n".join([title, *sections])

    __repr__ = __str__


def explain(
    expr: Any,
    args: Sequence[Any] | None = None,
    wrt: Any = None,
    *,
    outputs: str | Sequence[str] | None = None,
    sizes: Mapping[Any, int] | None = None,
    backend: str = "llvm",
    dtype: Any = "float64",
    memory: int | str | None = None,
    accuracy: float | None = None,
    allowance: float = 0.0,
    **options: Any,
) -> Explanation:
    """Compile a program and tell what every stage did.

    outputs  words as for `compile`; default: value and gradient, or Jacobian for an array.
    sizes    size symbol or name -> number, for the operation counts; default: the program's hints, else 64.
    The rest is as for `compile`, and so is what is raised; BadArgument for a size that does not exist.
    """
    if isinstance(expr, Program) and args is None and wrt is None and not options:
        source = replace(expr)  # nothing translated yet: the front end's time counts
    else:
        source = program(expr, args, wrt, **options)
    if outputs is None:
        outputs = default_outputs(source)
        source = replace(source)
    recorder = Recorder()
    kernel = pipeline.compile(
        source,
        outputs=outputs,
        backend=backend,
        dtype=dtype,
        memory=memory,
        accuracy=accuracy,
        allowance=allowance,
        watch=recorder,
    )
    chosen = sizes_to_explain(kernel, source, names_of(sizes))
    first, last = recorder.units[0], recorder.units[-1]
    value = source.derived(("value",)).unit
    return Explanation(
        kernel.outputs,
        backend,
        str(kernel.dtype),
        _expression_text(source.expr),
        {name_of(s): _shape_text(s) for s in source.args},
        tuple(name_of(s) for s in source.wrt),
        chosen,
        tuple(recorder.stages(chosen)),
        operations(value.graph, value.roots, chosen),
        operations(first.graph, first.roots, chosen),
        operations(last.graph, last.roots, chosen),
        _stability(source.translation.graph),
        kink_texts(source.kinks, _MOST_LINES),
        source.options.kinks,
        print_program(last.graph, dict(last.outputs)),
        tuple(_loop_lines(recorder.routine)) if recorder.routine else (),
        kernel.workspace(**chosen),
        kernel.tiles(**chosen),
        len(kernel.source),
        kernel.source.count("\n") + 1,
        _accuracy_text(check_precision(accuracy, allowance)),
    )


# ---- watching ----------------------------------------------------------------------------------


class Recorder:
    """Takes the time of each stage and keeps what it made; the counting is done afterwards."""

    def __init__(self) -> None:
        self.units: list[Unit] = []
        self.routine: Routine | None = None
        self._seconds: dict[str, float] = {}
        self._fired: dict[str, Counter[str]] = {}
        self._seen: dict[int, Counter[str]] = {}
        self._roots: dict[str, tuple[Graph, Sequence[TensorId]]] = {}
        self._since = time.perf_counter()

    def __call__(self, stage: str, thing: Any) -> None:
        self._seconds[stage] = time.perf_counter() - self._since
        graph = getattr(thing, "graph", None)
        if isinstance(graph, Graph):
            self._fired[stage] = graph.fired - self._seen.get(id(graph), Counter())
            self._seen[id(graph)] = Counter(graph.fired)
        if isinstance(thing, Translation):
            self._roots[stage] = thing.graph, (thing.value,)
        if isinstance(thing, Unit):
            self.units.append(thing)
            self._roots[stage] = thing.graph, thing.roots
        if isinstance(thing, Routine):
            self.routine = rerolled(thing) if thing.repeats else thing
        self._since = time.perf_counter()

    def stages(self, sizes: Mapping[str, int]) -> Iterator[Stage]:
        """What was seen of each stage, in order, counted for these sizes."""
        for name, seconds in self._seconds.items():
            fired = dict(sorted(self._fired.get(name, Counter()).items())) or None
            if name not in self._roots:
                yield Stage(name, seconds, rewrites=fired)
                continue
            g, roots = self._roots[name]
            tensors = [g.tensors[t] for t in g.definitions_below(roots) if g.tensors[t].kind != "input"]
            values = len(g.reachable([n for t in tensors for n in t.bodies]))
            yield Stage(name, seconds, len(tensors), values, operations(g, roots, sizes), fired)


def sizes_to_explain(kernel: Kernel, source: Program, given: Mapping[str, int]) -> dict[str, int]:
    """The sizes asked for; for the others hints or a typical number, if indices then stay in their arrays."""
    names = kernel.signature.sizes
    for name in given:
        if name not in names:
            raise BadArgument(
                f"there is no size {quoted(name)}",
                because="the sizes are " + ", ".join(names) if names else "the program has no sizes",
            )
    usual = {**dict.fromkeys(names, TYPICAL_SIZE), **dict(source.options.hints), **given}
    usual = {name: int(usual[name]) for name in names}
    try:
        return choose_sizes(kernel.signature, {}, usual, seed=0)
    except BadArgument:
        return choose_sizes(kernel.signature, {}, given, seed=0)


# ---- as text -----------------------------------------------------------------------------------


def _expression_text(expr: Any) -> str:
    """SymPy's own text, if its printer can be trusted with the depth."""
    count, deepest = 0, 0
    stack = [(expr, 0)]
    while stack and count <= _MOST_NODES:
        part, depth = stack.pop()
        count, deepest = count + 1, max(deepest, depth)
        stack.extend((arg, depth + 1) for arg in getattr(part, "args", ()))
    if stack or deepest > _MOST_DEPTH:
        return f"{show(expr)}, large"
    text = str(expr)
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 4] + " ..."


def _shape_text(symbol: Any) -> str:
    shape = shape_of(symbol)
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})" if shape else ""


def _accuracy_text(precision: Precision | None) -> str:
    return "" if precision is None else f"a call raises PrecisionLost where an error may exceed {precision}"


def _stability(g: Graph) -> dict[str, str]:
    """For each stability rule that fired: the form as it was written, and what was made of it."""
    return {
        rule: f"{op}({', '.join(node_text(g, a) for a in args)}) -> {node_text(g, made)}"
        for rule, (op, args, made) in sorted(g.rewritten.items())
    }


def _sections(e: Explanation) -> Iterator[tuple[str, Sequence[str]]]:
    yield "expression", e.expression.splitlines()
    arguments = ", ".join(name + shape for name, shape in e.arguments.items())
    yield "arguments", [arguments or "none", "derivatives by " + (", ".join(e.wrt) or "nothing")]
    yield "sizes", [", ".join(f"{name} = {n}" for name, n in sorted(e.sizes.items()))] if e.sizes else ()
    yield "stages", stage_lines(e.stages)
    yield "operations", _operation_lines(e)
    yield (
        "rewrites that fired",
        [
            f"{s.name}: " + ", ".join(f"{rule} {n}x" for rule, n in s.rewrites.items())
            for s in e.stages
            if s.rewrites
        ],
    )
    yield "stability rewrites, the first of each", [f"{rule}: {forms}" for rule, forms in e.stability.items()]
    yield "kinks", [f"convention {e.convention}", *e.kinks] if e.kinks else ()
    yield "accuracy", [e.accuracy] if e.accuracy else ()
    yield "definitions after the last pass", _shortened(e.definitions.splitlines())
    yield "loop nests", _shortened(e.loops)
    yield (
        "memory and code",
        [
            f"workspace {e.workspace:,} bytes",
            *([", ".join(f"{name} {value:,}" for name, value in e.tiles.items())] if e.tiles else []),
            f"source {e.source_characters:,} characters, {e.source_lines:,} lines",
        ],
    )


def stage_lines(stages: Sequence[Stage]) -> list[str]:
    """A table of the stages and their times."""
    rows = [("stage", "ms", "definitions", "values", "operations")]
    for s in stages:
        counts = ["" if n is None else f"{n:,}" for n in (s.definitions, s.values, s.operations)]
        rows.append((s.name, f"{1000 * s.seconds:.1f}", counts[0], counts[1], counts[2]))
    rows.append(("total", f"{1000 * sum(s.seconds for s in stages):.1f}", "", "", ""))
    widths = [max(len(row[k]) for row in rows) for k in range(5)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(row[k].rjust(widths[k]) for k in range(1, 5))]).rstrip()
        for row in rows
    ]


def _operation_lines(e: Explanation) -> list[str]:
    what = ", ".join(e.outputs)
    lines = [
        f"value alone: {e.value_operations:,}",
        f"{what} as derived: {e.derived_operations:,}, {e.ratio:.2f} times the value",
        f"{what} optimised: {e.optimised_operations:,}",
    ]
    if set(e.outputs) <= {"value", "grad"} and "grad" in e.outputs and not e.accuracy:
        kept = "kept" if e.derived_operations <= PROMISE * e.value_operations else "NOT KEPT"
        lines.append(f"promise, a gradient costs at most {PROMISE} times its value as derived: {kept}")
    return lines


def _shortened(lines: Sequence[str]) -> list[str]:
    if len(lines) <= _MOST_LINES:
        return list(lines)
    return [*lines[:_MOST_LINES], f"... {len(lines) - _MOST_LINES} more lines"]


def _loop_lines(routine: Routine) -> Iterator[str]:
    """One line per loop, indented: its range, the operations of one turn, and what it stores."""
    symbols = dict(zip(routine.sizes, routine.size_symbols, strict=True))
    stack: list[tuple[int, Statement]] = [(0, s) for s in reversed(routine.body)]
    parts: set[str] = set()  # that were shown
    top = [s for s in routine.body if not isinstance(s, For)]
    if any(isinstance(s, Compute) for s in top):
        yield "once: " + _contents(top)
    while stack:
        depth, statement = stack.pop()
        if isinstance(statement, For) and statement.short:
            yield "  " * depth + f"{statement.comment}, in place: stores {_stored(statement)}"
            continue
        if isinstance(statement, For):
            first, last = _bound(statement.lower, symbols, "max"), _bound(statement.upper, symbols, "min")
            bounds = f"{statement.var} < {last}" if first == "0" else f"{first} <= {statement.var} < {last}"
            bounds += f" by {statement.step}" if statement.step > 1 else ""
            contents = "; ".join(filter(None, (statement.comment, _contents(statement.body))))
            yield "  " * depth + f"for {bounds}" + (f": {contents}" if contents else "")
        if isinstance(statement, Contract):
            yield "  " * depth + _product(statement, symbols)
        if isinstance(statement, Part):
            yield "  " * depth + (statement.comment or "a part") + (", again" * (statement.name in parts))
        if isinstance(statement, For | If) or (isinstance(statement, Part) and statement.name not in parts):
            inner = depth + (not isinstance(statement, If))
            stack.extend((inner, s) for s in reversed(statement.body))
        if isinstance(statement, Part) and statement.name:
            parts.add(statement.name)


def _stored(s: For) -> str:
    """The array that a product in place stores to."""
    return next(t.buffer for _, t in walk(s.body) if isinstance(t, Store | StoreReduce))


def _product(s: Contract, symbols: Mapping[str, str]) -> str:
    rows, columns, depth = (_bound((p,), symbols, "min") for p in (s.rows, s.columns, s.depth))
    return f"matrix product: stores {s.c.start.buffer}, {rows} by {columns}, sums of {depth}"


def _bound(polys: Sequence[Poly], symbols: Mapping[str, str], several: str) -> str:
    named = [tuple((tuple(symbols.get(v, v) for v in names), k) for names, k in p) for p in polys]
    texts = [poly_text(p) for p in named]
    return texts[0] if len(texts) == 1 else f"{several}({', '.join(texts)})"


def _contents(body: Sequence[Statement]) -> str:
    count = sum(isinstance(s, Compute) for s in body)
    stored = dict.fromkeys(s.buffer for s in body if isinstance(s, Store | StoreReduce))
    parts = [f"{count} operation{'s' if count != 1 else ''}"] if count else []
    return ", ".join(parts + (["stores " + ", ".join(stored)] if stored else []))
