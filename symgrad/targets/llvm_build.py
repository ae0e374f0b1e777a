"""From LLVM assembly to machine code in this process, through llvmlite.

How much to optimise follows studies/limits.md, sections 2 and 3: loops gain from the whole
pipeline; straight-line code that is already free of common subexpressions gains nothing from it.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import pkgutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from symgrad.errors import IllegalProgram
from symgrad.targets import cache
from symgrad.targets.base import Loaded
from symgrad.targets.external import address_for, is_external
from symgrad.targets.host import processor
from symgrad.targets.own_functions import MOST_VECTORISED

_LOCK = threading.RLock()  # LLVM's global context is not thread-safe
_CALL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)

_LONGEST_KEPT = 400_000  # characters; machine code of longer texts is not kept for the next request
_MOST_KEPT = 32
_MOST_PIPELINE = 20_000  # statements; beyond, the loop pipeline's cost is not repaid
_MOST_VECTORISED_STATEMENTS = 2_000  # in one function; beyond, the passes take time quadratic in its loops
_MOST_QUICKLY_VECTORISED = 5_000  # in all; beyond, vectorising takes seconds
_MOST_UNROLLED = 300  # statements; beyond, unrolled loops triple the time of code generation
_MOST_ALLOCATION = 30_000  # statements in one function; beyond, only fast allocation is linear
_QUICK = 2_000  # statements without loops; beyond, fast allocation saves 10-50x and costs about 5 %


@dataclass(frozen=True)
class CodeShape:
    """What decides how a routine is worth optimising.

    statements   in all.
    largest      in its longest function.
    block        directly in the longest body of a loop or condition.
    loops, cells whether there are any.
    lanes        it computes samples side by side, in vectors.
    """

    statements: int
    largest: int
    block: int
    loops: bool
    cells: bool
    lanes: bool = False


def build(source: str, name: str, shape: CodeShape) -> Loaded:
    """Compile and load `source`, which defines `name` and `name_call`.

    The same text is loaded once while it is among the last few: optimizer loops and restarts ask
    for the same kernel again. Code has no state, so sharing it is safe.
    """
    with _LOCK:
        return (_recent if len(source) <= _LONGEST_KEPT else _build)(source, name, shape)


def provide(source: str, name: str) -> None:
    """Compile `source` and let all code built from now on call its function `name`."""
    with _LOCK:
        loaded = _build(source, name, _STRAIGHT)
        llvm.add_symbol(name, loaded.address)
        _provided[name] = loaded


def is_provided(name: str) -> bool:
    return name in _provided


_STRAIGHT = CodeShape(0, 0, 0, loops=False, cells=False)  # of text that no pass would make faster
_provided: dict[str, Loaded] = {}


def _build(source: str, name: str, shape: CodeShape) -> Loaded:
    return _load(cache.fetch(_key(source, shape), lambda: _compile(source, shape)), source, name)


_recent = lru_cache(maxsize=_MOST_KEPT)(_build)


def _key(source: str, shape: CodeShape) -> str:
    versions = (llvmlite.__version__, repr(llvm.llvm_version_info), _own_text(), str(MOST_VECTORISED))
    return cache.key_of("llvm", source, repr(shape), _host().triple, *processor(), *versions)


@lru_cache(maxsize=1)
def _own_text() -> str:
    """This file, which decides how code is optimised: with another one, nothing on disk is of use."""
    return (pkgutil.get_data(__package__, Path(__file__).name) or b"").decode("latin-1")


def _compile(source: str, shape: CodeShape) -> bytes:
    """The functions that the code calls, with their types, as a line of JSON; then the object file."""
    machine = _machine(_level(shape))
    try:
        module = llvm.parse_assembly(source)
    except RuntimeError as error:
        raise IllegalProgram("LLVM refused the emitted text", because=str(error)[:4000]) from error
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    optimise(module, machine, shape)
    called = {f.name: str(f.global_value_type) for f in module.functions if f.is_declaration}
    return json.dumps(called).encode() + b"\n" + bytes(machine.emit_object(module))


def _load(code: bytes, source: str, name: str) -> Loaded:
    """What `_compile` made, in this process's memory and with its addresses."""
    called, _, machine_code = code.partition(b"\n")
    _resolve(json.loads(called))
    machine = _machine(0)  # nothing is left to generate
    empty = llvm.parse_assembly("")
    empty.triple = machine.triple
    empty.data_layout = str(machine.target_data)
    engine = llvm.create_mcjit_compiler(empty, machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(machine_code))
    engine.finalize_object()
    addresses = [engine.get_function_address(n) for n in (name, name + "_call")]
    return Loaded(source, addresses[0], addresses[1], _CALL(addresses[1]), engine)


def _level(shape: CodeShape) -> int:
    """Of code generation: 0 allocates registers fast, 2 well."""
    is_quick = not shape.loops and shape.statements > _QUICK
    return 0 if is_quick or shape.largest > _MOST_ALLOCATION else 2


@lru_cache(maxsize=1)
def _host() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple()


def has_fused_multiply_add() -> bool:
    """Whether this machine has the instruction; without it our own functions would be slow."""
    with _LOCK:
        features, target = processor()[1], _host()
    return "+fma" in features.split(",") or target.name.startswith(("aarch64", "arm64", "ppc", "riscv"))


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
        builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=0))
        passes = llvm.create_new_function_pass_manager()
        passes.add_sroa_pass()
        for function in module.functions:
            if not function.is_declaration:
                passes.run(function, builder)


def load(text: str, symbols: Mapping[str, int]) -> Any:
    """An execution engine with a module that is no kernel (glue code), quickly compiled; keep it alive.

    symbols  addresses of the functions that it declares.
    """
    with _LOCK:
        for name, place in symbols.items():
            llvm.add_symbol(name, place)
        machine = _machine(0)
        module = llvm.parse_assembly(text)
        module.verify()
        builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=0))
        passes = llvm.create_new_function_pass_manager()
        passes.add_sroa_pass()  # more passes save ten nanoseconds a call and cost twice the time here
        for function in module.functions:
            if not function.is_declaration:
                passes.run(function, builder)
        engine = llvm.create_mcjit_compiler(module, machine)
        engine.finalize_object()
    return engine


@lru_cache(maxsize=1)
def _math_library() -> ctypes.CDLL:
    return ctypes.CDLL(ctypes.util.find_library("m"))


def _resolve(declared: Mapping[str, str]) -> None:
    """Make sure that every outside function exists; LLVM would end the process over a missing one.

    declared  names, and types as LLVM prints them.
    """
    names = list(declared)
    wanted = [n for n in names if not n.startswith("llvm.")]
    wanted += [_called_by_intrinsic(n) for n in names if n.startswith("llvm.")]
    for name in wanted:
        if is_external(name):
            llvm.add_symbol(name, address_for(name, declared[name]))
            continue
        if not name or llvm.address_of_symbol(name):
            continue
        function = getattr(_math_library(), name, None)
        if function is None:
            raise IllegalProgram(
                f"the function {name} is in no library of this process",
                try_='backend="c", or rewrite the expression with other functions',
            )
        llvm.add_symbol(name, ctypes.cast(function, ctypes.c_void_p).value)


def _called_by_intrinsic(name: str) -> str:
    """The C function LLVM calls for an intrinsic, "" if it is an instruction everywhere."""
    parts = name.split(".")
    if len(parts) != 3 or parts[1] not in ("exp", "log", "sin", "cos", "pow", "floor", "ceil"):
        return ""
    return parts[1] + ("f" if parts[2].endswith("f32") else "")
