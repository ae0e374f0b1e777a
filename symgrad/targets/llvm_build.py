"""From LLVM assembly to machine code in this process, through llvmlite.

How much to optimise follows studies/limits.md, sections 2 and 3: loops gain from the whole
pipeline; straight-line code that is already free of common subexpressions gains nothing from it.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib
import json
import os
import pkgutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from importlib import resources
from itertools import count
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numpy as np

from symgrad.errors import IllegalProgram
from symgrad.records import dataclass
from symgrad.targets import cache
from symgrad.targets.base import Loaded
from symgrad.targets.external import address_for, is_external
from symgrad.targets.host import processor
from symgrad.targets.own_functions import MOST_VECTORISED

_LOCK = threading.RLock()  # LLVM's global context is not thread-safe
if hasattr(os, "register_at_fork"):  # no other thread is inside LLVM when a process forks
    os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release)
_CALL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)

_LONGEST_KEPT = 400_000  # characters; machine code of longer texts is not kept for the next request
_MOST_KEPT = 32
_MOST_PIPELINE = 20_000  # statements; beyond, the loop pipeline's cost is not repaid
_MOST_VECTORISED_STATEMENTS = 2_000  # in one function; beyond, the passes take time quadratic in its loops
_MOST_QUICKLY_VECTORISED = 5_000  # in all; beyond, vectorising takes seconds
_MOST_UNROLLED = 300  # statements; beyond, unrolled loops triple the time of code generation
_MOST_ALLOCATION = 30_000  # statements in one function; beyond, only fast allocation is linear
# Statements without loops; longer code begins as a tape: 10 ms to the first number there instead of 170, and
# evaluations that take five times as long. Shorter code may round a product and a sum once, a tape may not.
_QUICK = 2_000
# Statements of a batch, which has one tier: up to here allocating registers well takes two seconds more at
# most, and then a sample takes half the time.
_MOST_ALLOCATION_IN_LANES = 30_000
NEXT_MODULE = "\n;;;; next module\n"  # in a text: what follows is compiled, and later linked, by itself


@dataclass(frozen=True)
class CodeShape:
    """What decides how a routine is worth optimising.

    statements   in all.
    largest      in its longest function.
    block        directly in the longest body of a loop or condition.
    loops, cells whether there are any.
    lanes        it computes samples side by side, in vectors.
    in_order     instructions keep the order of the text, whatever registers that takes.
    """

    statements: int
    largest: int
    block: int
    loops: bool
    cells: bool
    lanes: bool = False
    in_order: bool = False


def has_tiers(shape: CodeShape) -> bool:
    """Whether code of this shape is compiled fast first, and well in the background (tier "auto").

    That is long straight-line code: allocating registers well takes ten times as long and makes it two to
    three times faster. Code with loops is quickly compiled well, and slow without vectors.
    """
    return not shape.loops and not shape.lanes and shape.statements > _QUICK


def build(source: str, name: str, shape: CodeShape, tier: str = "optimised", extra: int = 0) -> Loaded:
    """Compile and load `source`, which defines `name` and `name_call`.

    extra  as in `base.Loaded`.
    tier  as in `base.Target`. What has been compiled well before, and is in the cache, is loaded at once.

    The same text is loaded once while it is among the last few: optimizer loops and restarts ask
    for the same kernel again. Code has no state, so sharing it is safe.
    """
    if tier == "auto" and has_tiers(shape):
        key, quick = _key(source, shape, extra), partial(_build, source, name, shape, True, extra)
        return in_tiers(key, name, lambda check: (source, shape, extra), quick)
    with _LOCK:
        made = _recent if len(source) <= _LONGEST_KEPT else _build
        return made(source, name, shape, tier == "quick", extra)


Check = Callable[[], None]  # called now and then; what it raises ends the work
Source = Callable[[Check], tuple[str, CodeShape, int]]  # makes the text, its shape, `Loaded.extra`


def unchecked() -> None:
    """The work is wanted."""


def in_tiers(key: str, name: str, source: Source, quick: Callable[[], Loaded]) -> Loaded:
    """The optimised code if the cache has it under `key`, else what `quick` makes, which can be improved."""
    with _LOCK:
        code = cache.found(key)
        if code is not None:
            return _load(code, lambda: source(unchecked)[0], name)
        made = quick()
    return replace(made, improve=lambda is_wanted: _improved(key, name, source, is_wanted))


class _Unwanted(Exception):
    """Nobody needs the code that is being made."""


def _improved(key: str, name: str, source: Source, is_wanted: Callable[[], bool]) -> Loaded | None:
    """The optimised code. LLVM is locked for one module at a time: other threads compile in between."""

    def check() -> None:
        if not is_wanted():
            raise _Unwanted

    try:
        code = cache.fetch(key, lambda: _compile(*source(check), check=check))
    except _Unwanted:
        return None
    with _LOCK:
        return _load(code, lambda: source(unchecked)[0], name)


def build_taped(source: str, name: str, tape: np.ndarray, extra: int) -> Loaded:
    """Compile and load code that finds the address of a tape in its variable `tape_variable(name)`."""
    with _LOCK:
        code = cache.fetch(
            _key(source, STRAIGHT, extra, quick=True), lambda: _compile(source, STRAIGHT, extra, True)
        )
        library = _linked(code, (name, name + "_call", tape_variable(name)))
        ctypes.c_void_p.from_address(library[tape_variable(name)]).value = tape.ctypes.data
    return replace(_loaded(code, library, lambda: source, name), keepalive=(library, tape))


def tape_variable(name: str) -> str:
    return f"{name}_tape"


def tape_key(source: str, digest: str) -> str:
    """Under which code is cached whose quick form is `source` with a tape of that digest."""
    return cache.key_of("llvm tape", source, digest, *_surroundings(), _emitters())


def provide(name: str, source: Callable[[], tuple[str, CodeShape]]) -> None:
    """Let all code built from now on call a function that is the same in every process.

    source  its text and shape; asked for where the cache has no code: the name, this machine and our own
            files decide them.
    """
    with _LOCK:
        code = cache.fetch(provided_key(name), lambda: _compile(*source()))
        library = _provided[name] = _linked(code, (name,))
        llvm.add_symbol(name, library[name])


def provided_key(name: str) -> str:
    """Under which code of a function that is the same in every process is cached."""
    return cache.key_of("llvm provided", name, *_surroundings(), _emitters())


def is_provided(name: str) -> bool:
    return name in _provided


STRAIGHT = CodeShape(0, 0, 0, loops=False, cells=False)  # of text that no pass would make faster
_provided: dict[str, Any] = {}  # what keeps it alive, by name


def _build(source: str, name: str, shape: CodeShape, quick: bool, extra: int) -> Loaded:
    code = cache.fetch(_key(source, shape, extra, quick), lambda: _compile(source, shape, extra, quick))
    return _load(code, lambda: source, name)


_recent = lru_cache(maxsize=_MOST_KEPT)(_build)


def _key(source: str, shape: CodeShape, extra: int = 0, quick: bool = False) -> str:
    return cache.key_of("llvm", source, repr((shape, extra, quick)), *_surroundings())


def _surroundings() -> tuple[str, ...]:
    """What decides about machine code besides the text."""
    versions = (llvmlite.__version__, repr(llvm.llvm_version_info), _own_text(), str(MOST_VECTORISED))
    return (_host().triple, *processor(), *versions)


@lru_cache(maxsize=1)
def _own_text() -> str:
    """This file, which decides how code is optimised: with another one, nothing on disk is of use."""
    return (pkgutil.get_data(__package__, Path(__file__).name) or b"").decode("latin-1")


@lru_cache(maxsize=1)
def _emitters() -> str:
    """The files that decide the text of code that is known by its tape, or by its name."""
    folders = ("symgrad.targets", "symgrad.ir", "symgrad.loops", "symgrad.loops.reroll")
    files = [f for folder in folders for f in resources.files(folder).iterdir()]
    texts = sorted((f.name, f.read_bytes()) for f in files if f.name.endswith(".py"))
    return hashlib.sha256(b"".join(text for _, text in texts)).hexdigest()


def _compile(
    source: str,
    shape: CodeShape,
    extra: int = 0,
    quick: bool = False,
    check: Check = unchecked,
) -> bytes:
    """A line of JSON: the functions called, with their types, the length of each object file, `Loaded.extra`;
    then those files.

    check  called before each module; what it raises ends the work.
    """
    called: dict[str, str] = {}
    defined: set[str] = set()
    objects: list[bytes] = []
    for text in source.split(NEXT_MODULE):
        check()
        with _LOCK:
            objects.append(_compile_module(text, shape, quick, called, defined))
    outside = {name: kind for name, kind in called.items() if name not in defined}
    head = {"called": outside, "lengths": [len(o) for o in objects], "extra": extra}
    return b"".join((json.dumps(head).encode(), b"\n", *objects))


def _compile_module(
    text: str, shape: CodeShape, quick: bool, called: dict[str, str], defined: set[str]
) -> bytes:
    machine = _machine(0 if quick else _level(shape))
    try:
        module = llvm.parse_assembly(text)
    except RuntimeError as error:
        raise IllegalProgram("LLVM refused the emitted text", because=str(error)[:4000]) from error
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    if quick:
        _only_registers(module, machine)
    else:
        optimise(module, machine, shape)
    for f in module.functions:
        if f.is_declaration:
            called[f.name] = str(f.global_value_type)
        else:
            defined.add(f.name)
    with _options(_left_out(shape)):
        return bytes(machine.emit_object(module))


def _left_out(shape: CodeShape) -> list[tuple[str, str]]:
    """Passes of code generation that gain nothing for code of this shape, and the words to undo that.

    In long straight-line code nothing is computed twice, nothing leaves a loop, and processors move
    instructions as far as schedulers do. Without moving them once registers are allocated, code generation
    takes five sixths to two thirds of the time, without the others 0.87 of the rest, and evaluations 0.84 to
    1.05 times as long (10,000 operations 38.3 and 38.0 us, a polynomial 4.13 and 4.34).
    """
    is_long = has_tiers(shape)
    text_order = [("-enable-misched=false", "-enable-misched=true")] if shape.in_order or is_long else []
    return text_order + [(f"-disable-{p}=true", f"-disable-{p}=false") for p in _GAIN_NOTHING if is_long]


_GAIN_NOTHING = ("post-ra", "cgp", "machine-cse", "machine-licm", "machine-sink", "peephole", "copyprop")


@contextmanager
def _options(pairs: Sequence[tuple[str, str]]) -> Iterator[None]:
    """With options of the process set, which are right again afterwards."""
    for option, _ in pairs:
        llvm.set_option("symgrad", option)
    try:
        yield
    finally:
        for _, usual in pairs:
            llvm.set_option("symgrad", usual)


def _load(code: bytes, text: Callable[[], str], name: str) -> Loaded:
    """What `_compile` made, in this process's memory and with its addresses."""
    return _loaded(code, _linked(code, (name, name + "_call")), text, name)


def _loaded(code: bytes, library: Any, text: Callable[[], str], name: str) -> Loaded:
    extra, call = int(json.loads(code.partition(b"\n")[0])["extra"]), library[name + "_call"]
    return Loaded(text, library[name], call, _CALL(call), library, extra)


def _linked(code: bytes, names: Sequence[str]) -> Any:
    """A library of what `_compile` made: the addresses of `names`, which are good while it is kept."""
    head, _, objects = code.partition(b"\n")
    parts = json.loads(head)
    files = []
    for length in parts["lengths"]:
        files.append(objects[:length])
        objects = objects[length:]
    return _library(files, _resolved(parts["called"]), names)


def _library(files: Sequence[bytes], symbols: Mapping[str, int], names: Sequence[str]) -> Any:
    """Object files, linked in this process's memory.

    Their sections come side by side: code has 32 bits for the way to its constants, and where much of the
    address space is taken, LLVM's older linker (MCJIT) may put them further apart and end the process.
    """
    made = llvm.JITLibraryBuilder().add_current_process()
    for file in files:
        made.add_object_img(file)
    for name, place in symbols.items():
        made.import_symbol(name, place)
    for name in names:
        made.export_symbol(name)
    return made.link(_linker(), f"symgrad {next(_NUMBERS)}")


@lru_cache(maxsize=1)
def _linker() -> Any:
    return llvm.create_lljit_compiler(_machine(0), use_jit_link=True)


_NUMBERS = count()  # names of libraries, which are never used twice


def _level(shape: CodeShape) -> int:
    """Of code generation: 0 allocates registers fast, 2 well."""
    is_long = shape.lanes and not shape.loops and shape.statements > _MOST_ALLOCATION_IN_LANES
    return 0 if is_long or shape.largest > _MOST_ALLOCATION else 2


@lru_cache(maxsize=1)
def _host() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    # Else a loop that walks memory in steps of a size is vectorised for steps of 1, which it seldom meets.
    # It is an option of the process; llvmlite has no other way to set it.
    llvm.set_option("symgrad", "-enable-mem-access-versioning=false")
    # Else x[i + 1] is kept for the next turn, as its x[i]: such a loop has up to 31 turns without vectors.
    llvm.set_option("symgrad", "-enable-load-in-loop-pre=false")
    # Else the last turns of a loop that walks x[2*i] and x[2*i + 1], up to 16, are no masked vectors.
    llvm.set_option("symgrad", "-enable-masked-interleaved-mem-accesses=true")
    return llvm.Target.from_default_triple()


def has_fused_multiply_add() -> bool:
    """Whether this machine has the instruction; without it our own functions would be slow."""
    with _LOCK:
        features, target = processor()[1], _host()
    return "+fma" in features.split(",") or target.name.startswith(("aarch64", "arm64", "ppc", "riscv"))


def many_registers() -> str:
    """The calling convention by which eight numbers come back in registers: in C's on x86 it is two.

    It also leaves eight registers of the caller as they were.
    """
    with _LOCK:
        return "x86_regcallcc " if _host().triple.startswith("x86_64") else ""


def _machine(level: int) -> Any:
    cpu, features = processor()
    # The JIT's default is the large code model, which spells every constant as an address: 1.4x slower.
    return _host().create_target_machine(
        cpu=cpu, features=features, opt=level, reloc="pic", codemodel="small", jit=True
    )


def optimise(module: Any, machine: Any, shape: CodeShape) -> None:
    """Run the passes that pay for code of this shape."""
    if shape.lanes:
        builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=0))
        passes = llvm.create_new_module_pass_manager()
        passes.add_always_inliner_pass()
        passes.run(module, builder)
    elif shape.loops and shape.statements <= _MOST_PIPELINE:
        is_large = shape.largest > _MOST_VECTORISED_STATEMENTS or shape.statements > _MOST_QUICKLY_VECTORISED
        options = llvm.create_pipeline_tuning_options(speed_level=1 if is_large else 2)
        options.loop_vectorization = shape.block <= MOST_VECTORISED and not is_large
        options.slp_vectorization = False
        if shape.statements > _MOST_UNROLLED:
            options.loop_unrolling = options.loop_interleaving = False
        builder = llvm.create_pass_builder(machine, options)
        builder.getModulePassManager().run(module, builder)
    elif shape.cells:
        _only_registers(module, machine)


def _only_registers(module: Any, machine: Any) -> None:
    """Mutable cells become values, and nothing else is done."""
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=0))
    passes = llvm.create_new_function_pass_manager()
    passes.add_sroa_pass()
    for function in module.functions:
        if not function.is_declaration:
            passes.run(function, builder)


def load(text: Callable[[], str], key: str, symbols: Mapping[str, int], names: Sequence[str]) -> Any:
    """A library with a module that is no kernel (glue code): addresses of `names`; keep it.

    text     writes the module, where the cache has no machine code for `key`, which has to decide it.
    symbols  addresses of what the module declares; they are no part of the machine code.
    """

    def made() -> bytes:
        machine = _machine(2)
        module = llvm.parse_assembly(text())
        module.verify()
        builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=0))
        passes = llvm.create_new_function_pass_manager()
        passes.add_sroa_pass()
        passes.add_simplify_cfg_pass()
        passes.add_instruction_combine_pass()
        for function in module.functions:
            if not function.is_declaration:
                passes.run(function, builder)
        return bytes(machine.emit_object(module))

    with _LOCK:
        return _library([cache.fetch(cache.key_of("llvm glue", key, *_surroundings()), made)], symbols, names)


@lru_cache(maxsize=1)
def _math_library() -> ctypes.CDLL:
    return ctypes.CDLL(ctypes.util.find_library("m"))


def _resolved(declared: Mapping[str, str]) -> dict[str, int]:
    """The addresses of all outside functions.

    declared  names, and types as LLVM prints them.
    """
    names = list(declared)
    wanted = [n for n in names if not n.startswith("llvm.")]
    wanted += [_called_by_intrinsic(n) for n in names if n.startswith("llvm.")]
    return {name: _address_of(name, declared.get(name, "")) for name in wanted if name}


def _address_of(name: str, kind: str) -> int:
    if is_external(name):
        return address_for(name, kind)
    known = llvm.address_of_symbol(name)
    if known:
        return int(known)
    function = getattr(_math_library(), name, None)
    if function is None:
        raise IllegalProgram(
            f"the function {name} is in no library of this process",
            try_='backend="c", or rewrite the expression with other functions',
        )
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _called_by_intrinsic(name: str) -> str:
    """The C function LLVM calls for an intrinsic, "" if it is an instruction everywhere."""
    parts = name.split(".")
    if len(parts) != 3 or parts[1] not in ("exp", "log", "sin", "cos", "pow", "floor", "ceil"):
        return ""
    return parts[1] + ("f" if parts[2].endswith("f32") else "")
