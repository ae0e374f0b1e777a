"""C functions that SciPy exports to other compiled code, found by name.

SciPy publishes its special functions (`scipy.special.cython_special`), LAPACK and BLAS
(`scipy.linalg.cython_lapack`, `scipy.linalg.cython_blas`) as C function pointers: each Cython module has
a table `__pyx_capi__` of capsules, whose name is the function's C signature. Emitted LLVM assembly calls
such a function by the symbol `MODULE.FUNCTION`, so that texts, caches and pickles never hold an address;
`llvm_build` asks here for the address when it links.

A function that Cython compiled for several types is exported once per type; here its name means the one
in double precision. The functions of `cython_special` that return a value take one more `int`
(Cython's own flag), which must be 0.

Source: Cython documentation, "Sharing declarations between Cython modules" and "Fused types"; Python/C API,
"Capsules".
"""

from __future__ import annotations

import ctypes
import importlib
import re
from functools import cache
from typing import Any

from symgrad.errors import IllegalProgram, quoted
from symgrad.records import dataclass

SPECIAL = "scipy.special.cython_special"
LAPACK = "scipy.linalg.cython_lapack"
BLAS = "scipy.linalg.cython_blas"
MODULES = (SPECIAL, LAPACK, BLAS)

_LLVM_TYPES = {"void": "void", "double": "double", "float": "float", "int": "i32", "long": "i64"}
_NAMES = {"d": "double", "s": "float"}  # the types that cython_lapack and cython_blas call so


@dataclass(frozen=True)
class External:
    """An exported function.

    symbol      what emitted code calls it.
    address     in this process.
    result      its type as LLVM writes it: "void", "double", "i32", ...
    parameters  the types of its parameters; every pointer is "ptr".
    """

    symbol: str
    address: int
    result: str
    parameters: tuple[str, ...]


def symbol_of(module: str, function: str) -> str:
    """The name under which emitted code calls `function`; the same in every process."""
    return f"{module}.{function}"


def is_external(symbol: str) -> bool:
    """Whether this is a name made by `symbol_of`."""
    return symbol.rpartition(".")[0] in MODULES


@cache
def external(symbol: str) -> External:
    """The function behind a symbol.

    Raises IllegalProgram if the installed SciPy exports no such function in double precision, or one with
    types that emitted code cannot pass.
    """
    module, _, function = symbol.rpartition(".")
    exported: dict[str, Any] = importlib.import_module(module).__pyx_capi__
    fused = re.compile(rf"__pyx_fuse(_\d+)*_?\d+{re.escape(function)}")
    for name, capsule in exported.items():
        if name == function or (fused.fullmatch(name) and _is_double(_signature(capsule))):
            result, parameters = _types(symbol, _signature(capsule))
            return External(symbol, _address(capsule), result, parameters)
    raise IllegalProgram(
        f"the installed SciPy exports no function {quoted(function)} in {module}",
        try_="SciPy 1.17 or newer",
    )


def _signature(capsule: Any) -> str:
    name = ctypes.pythonapi.PyCapsule_GetName
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    text: bytes = name(capsule)
    return text.decode()


def _address(capsule: Any) -> int:
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return int(pointer(capsule, _signature(capsule).encode()))


def _split(signature: str) -> tuple[str, list[str]]:
    result, _, rest = signature.partition(" (")
    return result, rest.removesuffix(")").split(", ")


def _is_double(signature: str) -> bool:
    """Whether all numbers are doubles, Cython's flag aside."""
    result, parameters = _split(signature)
    numbers = [p for p in parameters if p != "int __pyx_skip_dispatch"]
    return result in ("double", "void") and all(p in ("double", "double *") for p in numbers)


def _types(symbol: str, signature: str) -> tuple[str, tuple[str, ...]]:
    result, parameters = _split(signature)
    words = [result, *(p for p in parameters if p != "void")]
    kinds = ["ptr" if w.endswith("*") else _LLVM_TYPES.get(_plain(w), "") for w in words]
    if "" in kinds:
        raise IllegalProgram(f"{symbol} cannot be called", because=f"its signature is {signature}")
    return kinds[0], tuple(kinds[1:])


def _plain(word: str) -> str:
    """A parameter's type without its name and without Cython's prefix."""
    kind = word.split(" ")[0]
    return _NAMES.get(kind.rpartition("_")[2], kind) if kind.startswith("__pyx_t") else kind


def address_for(symbol: str, called_as: str) -> int:
    """The address of the function, once it is certain that emitted code calls it with the right types.

    called_as  the type in the module that calls it, as LLVM prints it: "double (double, i32)".
    Raises IllegalProgram as `external` does, and where the types differ (another version of SciPy).
    """
    function = external(symbol)
    exported_as = f"{function.result} ({', '.join(function.parameters)})"
    if called_as != exported_as:
        raise IllegalProgram(
            f"{symbol} cannot be called as {called_as}",
            because=f"the installed SciPy exports it as {exported_as}",
            try_="another version of SciPy",
        )
    return function.address
