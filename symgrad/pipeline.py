"""The stages in order. Read this first.

    SymPy expression --frontend--> definitions --differentiate--> value and derivatives
      --optimise--> fewer operations --lower--> loop nests --emit, build--> machine code --> Kernel

After each stage `watch(stage, thing)` is told what it made; checks, dumps, timing and `explain`
are watchers, and no stage knows about them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from symgrad.errors import BadOption
from symgrad.grad.outputs import ERROR_WORDS, OUTPUT_WORDS
from symgrad.grad.precision import Precision, check_precision
from symgrad.grad.sparsity import SparseOutput, storage_of
from symgrad.ir.collection import collection_paused
from symgrad.ir.graph import TensorId
from symgrad.ir.unit import Few, Unit
from symgrad.loops.carried import with_carried
from symgrad.loops.columns import columns_in_blocks
from symgrad.loops.divisions import with_shared_reciprocals
from symgrad.loops.factors import with_factors_asked_once
from symgrad.loops.few import chosen
from symgrad.loops.in_place import in_place
from symgrad.loops.kept import kept_further
from symgrad.loops.lines import Lines
from symgrad.loops.lower import Interface, lower
from symgrad.loops.nest import Routine
from symgrad.loops.ordinary import with_ordinary_turns
from symgrad.loops.packed import packed
from symgrad.loops.peel import peeled
from symgrad.loops.pieces import in_pieces
from symgrad.loops.promoted import with_promoted
from symgrad.loops.reroll import rerolled, to_reroll
from symgrad.loops.rows import rows_together
from symgrad.loops.short import with_short_loops_written_out
from symgrad.loops.split import split
from symgrad.loops.unswitch import unswitched
from symgrad.loops.versions import with_small_products
from symgrad.opt.centred import centred
from symgrad.opt.cosine_distances import cosine_distances
from symgrad.opt.cosines import cosines_as_quotients
from symgrad.opt.far import far_products
from symgrad.opt.few import for_few
from symgrad.opt.logsumexp import split_logsumexp
from symgrad.opt.mirror import computed_once
from symgrad.opt.near_zeros import near_zeros
from symgrad.opt.others import sums_of_others
from symgrad.opt.passes import PASSES, inline
from symgrad.opt.ranges import in_range
from symgrad.opt.slices import slices_inlined
from symgrad.program import Program, program
from symgrad.run.build import build_kernel
from symgrad.run.interface import signature_of
from symgrad.run.kernel import Kernel
from symgrad.run.memory import Memory, check_memory, has_room_for_products
from symgrad.run.samples import available_threads
from symgrad.run.signature import Signature
from symgrad.targets.base import TIERS
from symgrad.targets.export import check_function_name

BACKENDS = ("llvm", "c", "numpy")
Watch = Callable[[str, Any], None]


def compile(  # noqa: A001  (the verb users look for)
    expr: Any,
    args: Sequence[Any] | None = None,
    wrt: Any = None,
    *,
    outputs: str | Sequence[str] = ("value",),
    backend: str = "llvm",
    dtype: Any = "float64",
    name: str = "kernel",
    sparse: str | None = None,
    triangle: str = "full",
    memory: int | str | None = None,
    threads: int | str = 1,
    tier: str = "auto",
    accuracy: float | None = None,
    allowance: float = 0.0,
    watch: Watch | None = None,
    **options: Any,
) -> Kernel:
    """Compile a SymPy expression or a program to a callable kernel.

    outputs  a word (the kernel returns that one thing) or a sequence of words (it returns a tuple):
             value, grad, jac, hess, hvp, jvp, vjp, hess_diag, gauss_newton (J'J of a vector of
             residuals), gnvp (J'J times a direction). WORD_error is a bound of the rounding error of each
             entry of WORD, to first order (see `grad.rounding`): value_error, grad_error, ...
    backend  "llvm" (needs no compiler), "c" (needs one), or "numpy" (the slow reference).
    dtype    "float64" or "float32", the type of every real number.
    name     of the compiled function: an identifier that no C library uses.
    sparse   "csc", "csr" or "coo": jac, hess and gauss_newton are SciPy sparse arrays, each one matrix over
             the entries of value and wrt; see `run.sparse`.
    triangle "full" or "lower": which half of sparse symmetric results is stored.
    memory   what recurrences may keep for their derivatives: a budget in bytes for the workspace of a call,
             or "stored" (the default: everything), "checkpointed" (about sqrt(T) of T steps, each computed
             twice), "recomputed" (as little as can be, each computed up to three times); see `run.memory`.
             The backend "numpy" is the plain reference: it stores everything, whatever is asked for.
    threads  the most threads that share the samples of a call (leading axes of its arguments), or "all": one
             per processor. The numbers are the same for every count.
    tier     how well LLVM compiles: "optimised"; "quick" (long straight-line code is interpreted, all else
             compiled fast: for a kernel that is called a few times); or "auto": long kernels without loops
             come quick, and become optimised in the background with the same numbers to the bit (see
             `kernel.tier`), all others come optimised.
    accuracy the relative error that every entry of the results may have: a call raises PrecisionLost where
             the bound of an entry's rounding error exceeds accuracy*|entry| + allowance, and says where the
             digits went. None (the default) checks nothing and costs nothing.
    allowance an absolute error that does not matter: for entries that may be 0, as a gradient at an optimum.
    watch    called as `watch(stage, thing)` after each stage.
    options  of `program`: stabilise, kinks, hints, axes.

    Raises subclasses of SymgradError.
    """
    dtype = dtype_name(dtype)
    words = check_words(outputs)
    if backend not in BACKENDS:
        raise BadOption(
            f"unknown backend {backend!r}",
            where="backend=",
            because="the backends are " + ", ".join(BACKENDS),
            try_='backend="llvm", which needs no compiler',
        )
    check_function_name(name)
    memory = check_memory(memory)
    storage = storage_of(sparse, triangle, words)
    count = check_threads(threads, backend)
    check_tier(tier, backend)
    precision = check_precision(accuracy, allowance, words)
    announce = watch or (lambda stage, thing: None)
    is_ready = isinstance(expr, Program) and args is None and wrt is None and not options
    source = expr if is_ready else program(expr, args, wrt, **options)
    with collection_paused():
        announce("frontend", source.translation)
        derived = source.derived(words, storage, precision=precision)
        announce("differentiate", derived.unit)
        signature = signature_of(derived, single=isinstance(outputs, str))
        unit, sparsity = derived.unit, derived.sparse
        kernel = assemble(
            signature, unit, words, name, backend, dtype, sparsity, announce, memory, count, tier,
            derived.precision,
        )  # fmt: skip
    kernel.program = source
    announce("build", kernel)
    return kernel


def assemble(
    signature: Signature,
    unit: Unit,
    words: Sequence[str],
    name: str,
    backend: str,
    dtype: str,
    sparse: tuple[SparseOutput, ...] = (),
    announce: Watch = lambda stage, thing: None,
    memory: Memory = None,
    threads: int = 1,
    tier: str = "auto",
    precision: Precision | None = None,
) -> Kernel:
    """The stages after differentiation: a kernel for a unit whose calls `signature` describes."""
    if backend == "numpy":
        whole = unit
        for run in (
            sums_of_others,
            cosines_as_quotients,
            centred,
            cosine_distances,
            far_products,
            near_zeros,
            split_logsumexp,
            inline,
            in_range,
        ):  # sums meet products as a whole
            whole = whole.moved(*run(whole.graph, whole.roots))
        units = (unit, whole)
        return build_kernel(
            signature, None, units, backend, dtype, sparse, memory, threads, precision=precision
        )
    better = optimise(unit, announce)
    is_late = backend == "llvm" and memory is None  # the search for loops can wait
    routine = routine_of(
        better, name, words, backend == "llvm", memory, search=not is_late, packs=True,
        bounded=precision is not None,
    )  # fmt: skip
    announce("lower", routine)
    units = (unit, better)
    if memory is not None:
        routine = split(routine)  # a budget is for all of the workspace
    return build_kernel(signature, routine, units, backend, dtype, sparse, memory, threads, tier, precision)


def optimise(unit: Unit, announce: Watch = lambda stage, thing: None) -> Unit:
    """Mirrored outputs once, then the passes of `opt.passes` in order; from layouts on, `opt.few` too."""
    unit = computed_once(unit)
    few = None
    for stage, run in PASSES:
        if stage == "layout":
            few = for_few(unit)
        unit = unit.moved(*run(unit.graph, unit.roots))
        if few is not None:
            few = Few(few.size, few.unit.moved(*run(few.unit.graph, few.unit.roots)))
        announce(stage, unit)
    return replace(unit, few=few)


def routine_of(
    unit: Unit,
    name: str,
    words: Sequence[str],
    library: bool = False,
    memory: Memory = None,
    search: bool = True,
    vectors: bool = True,
    packs: bool = False,
    bounded: bool = False,
) -> Routine:
    """Loop nests for an optimised unit; outputs keep its order.

    words    what the routine computes, for its title.
    library  whether they may call LAPACK and BLAS, which only the LLVM target can.
    memory   the budget of its workspace; None for as much as it takes.
    search   whether parts of straight-line code that repeat become loops now, or when it is compiled well.
    vectors  whether its loops run in vectors; else matrix products are plain loops, too.
    packs    whether it takes many single numbers as one array.
    bounded  whether rounding errors are bounded, as they are where `words` ask for bounds: every division is
             then the one whose rounding is counted.
    """
    if memory is not None:
        unit = unit.moved(*slices_inlined(unit.graph, unit.roots))
    plain = not vectors or not has_room_for_products(memory)
    counted = bounded or any(word in ERROR_WORDS for word in words)

    def loops_of(unit: Unit) -> Routine:
        interface = Interface(name, unit.inputs, _distinct(unit), ", ".join(words))
        routine = lower(unit.graph, interface, library, memory is not None, plain)
        if not vectors or isinstance(routine.body, Lines):
            return routine
        routine = in_place(kept_further(routine))
        routine = peeled(columns_in_blocks(unswitched(in_pieces(with_small_products(routine)))))
        routine = with_factors_asked_once(routine, counted)
        routine = routine if counted else with_shared_reciprocals(routine)
        routine = with_ordinary_turns(with_short_loops_written_out(rows_together(routine)), counted)
        return with_promoted(with_carried(routine))

    routine = loops_of(unit)
    if not vectors:
        return routine
    if unit.few is not None:
        routine = chosen(unit.few.size, loops_of(unit.few.unit), routine)
    routine = packed(routine) if packs else routine
    return rerolled(routine) if search else to_reroll(routine)


def _distinct(unit: Unit) -> tuple[tuple[str, TensorId], ...]:
    """Outputs that became one tensor, or a plain input, get definitions of their own again."""
    g, seen, out = unit.graph, set(), []
    for name, t in unit.outputs:
        if t in seen or g.tensors[t].kind == "input":
            t = _copy_of(unit, t)
        seen.add(t)
        out.append((name, t))
    return tuple(out)


def _copy_of(unit: Unit, t: TensorId) -> TensorId:
    g = unit.graph
    axes = tuple(g.fresh_axis(e) for e in g.tensors[t].extents)
    return g.define("map", axes, (), g.read(t, *axes))


def check_words(outputs: str | Sequence[str]) -> tuple[str, ...]:
    """Output words as a tuple; BadOption for an unknown, repeated or missing one."""
    words = (outputs,) if isinstance(outputs, str) else tuple(outputs)
    for word in words:
        if word not in OUTPUT_WORDS and word not in ERROR_WORDS:
            raise BadOption(
                f"unknown output {word!r}",
                where="outputs=",
                because="the outputs are " + ", ".join(OUTPUT_WORDS),
                try_="use one of these words",
            )
    if not words or len(set(words)) != len(words):
        raise BadOption(
            "outputs is empty or names a word twice",
            where="outputs=",
            because="a kernel returns each output once",
            try_='outputs=("value", "grad")',
        )
    return words


def check_threads(threads: Any, backend: str) -> int:
    """How many threads `threads=` means; BadOption for anything but a number from 1 on or "all"."""
    if threads == "all":
        return 1 if backend == "numpy" else available_threads()
    if type(threads) is not int or threads < 1:
        raise BadOption(
            f"threads is {threads!r}",
            where="threads=",
            because="it is a number of threads",
            try_='a whole number from 1 on, or threads="all"',
        )
    if threads > 1 and backend == "numpy":
        raise BadOption(
            "the reference backend computes in one thread",
            where="threads=",
            try_='backend="llvm" or backend="c"',
        )
    return threads


def check_tier(tier: Any, backend: str) -> None:
    """BadOption for anything but a tier that the backend has."""
    if tier not in TIERS:
        raise BadOption(
            f"unknown tier {tier!r}",
            where="tier=",
            because="the tiers are " + ", ".join(TIERS),
            try_='tier="auto", the default',
        )
    if tier == "quick" and backend != "llvm":
        raise BadOption(
            f'backend="{backend}" has no quick tier',
            where="tier=",
            because="only LLVM compiles in more than one way",
            try_='backend="llvm", or leave tier= out',
        )


def dtype_name(dtype: Any) -> str:
    """The name of a dtype, "float64" or "float32"; BadOption for any other type."""
    try:
        name = str(np.dtype(dtype).name)
    except TypeError:
        name = str(dtype)
    if name not in ("float64", "float32"):
        raise BadOption(
            f"unknown dtype {dtype!r}",
            where="dtype=",
            because="kernels compute in float64 or float32",
            try_='dtype="float64"',
        )
    return name
