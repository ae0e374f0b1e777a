"""From C text to machine code in this process: find a compiler, compile, cache, load.

The source, the flags, the compiler's version and the processor make the key under which `cache` keeps
the library.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from symgrad.errors import IllegalProgram, MissingCompiler
from symgrad.targets import cache
from symgrad.targets.base import Loaded
from symgrad.targets.host import processor

# limits.md, section 8: contraction and free order of sums pay; what -ffast-math adds does not.
_FLAGS: tuple[str, ...] = (
    "-std=c99", "-fPIC", "-shared", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast",
    "-fopenmp-simd", "-DSYMGRAD_SIMD", "-march=native", "-fno-semantic-interposition",
)  # fmt: skip
if platform.machine().lower() in ("x86_64", "amd64"):
    _FLAGS += ("-mprefer-vector-width=512",)  # limits.md, section 2: compilers prefer 256 bits, 512 pays
# gcc allocates registers before it moves instructions, unless asked: chains of multiply-adds, one after the
# other in the text, wait for each result.
_INTERLEAVED = ("-fschedule-insns", "-fsched-pressure")
_BIG = 5_000  # statements; from here on, optimising more costs minutes and gains a few per cent


def build(source: str, name: str, statements: int, loops: bool, contracts: bool = True) -> Loaded:
    """Compile, unless the cache has it, and load. `contracts` is that of `Routine`.

    Raises MissingCompiler, or IllegalProgram with the compiler's messages if it refuses the text.
    """
    level = "-O1" if statements > _BIG else ("-O3" if loops else "-O2")
    plain = () if contracts else ("-ffp-contract=off",)
    order = _INTERLEAVED if level == "-O3" and _is_gcc() else ()
    with shared_library(source, (level, *_FLAGS, *order, *plain)) as path:
        return load(path, source, name)


@contextmanager
def shared_library(source: str, flags: tuple[str, ...]) -> Iterator[Path]:
    """The compiled library of `source`, as a file that is there for as long as it takes to load it.

    A private copy: what is loaded is what was checked, whatever happens to the cache meanwhile.
    """
    compiler, version = find_compiler()
    key = cache.key_of("c", source, *flags, *compiler, version, *processor())
    library = cache.fetch(key, lambda: _compile(compiler, source, flags))
    with cache.scratch() as directory:
        path = Path(directory, "kernel.so")
        path.write_bytes(library)
        yield path


def load(path: Path, source: str, name: str) -> Loaded:
    import cffi

    ffi = cffi.FFI()
    # Addresses travel as integers: the arguments are pointers, and any ABI passes both alike.
    ffi.cdef(f"void {name}(void); void {name}_call(uintptr_t, uintptr_t);")
    library = ffi.dlopen(str(path))
    call = getattr(library, name + "_call")
    addresses = [int(ffi.cast("uintptr_t", getattr(library, n))) for n in (name, name + "_call")]
    return Loaded(lambda: source, addresses[0], addresses[1], call, (ffi, library))


@lru_cache(maxsize=1)
def _find(words: str) -> tuple[tuple[str, ...], str] | None:
    candidates = [shlex.split(words)] if words else [["cc"], ["gcc"], ["clang"]]
    for command in candidates:
        if command and shutil.which(command[0]):
            done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return tuple(command), done.stdout
    return None


def find_compiler() -> tuple[tuple[str, ...], str]:
    """The command of the C compiler ($CC first, then cc, gcc, clang) and its version text."""
    words = os.environ.get("CC", "")
    found = _find(words)
    if found is None:
        install = {"darwin": "xcode-select --install", "win32": "install MSYS2 and its gcc"}
        raise MissingCompiler(
            "no C compiler was found",
            because=f"CC={words} does not run" if words else "none of cc, gcc, clang is on the path",
            try_=f'{install.get(sys.platform, "apt install gcc")}, or backend="llvm", which needs none',
        )
    return found


def _is_gcc() -> bool:
    """Whether the compiler is GCC itself: others know some of its flags."""
    return "Free Software Foundation" in find_compiler()[1]


def _compile(compiler: tuple[str, ...], source: str, flags: tuple[str, ...]) -> bytes:
    with cache.scratch() as directory:
        text, library = Path(directory, "kernel.c"), Path(directory, "kernel.so")
        text.write_text(source)
        command = [*compiler, *flags, str(text), "-o", str(library), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise IllegalProgram(
                "the C compiler refused the emitted text",
                where=shlex.join(command),
                because=done.stderr.strip()[-4000:],
                try_='another compiler in CC, or backend="llvm"',
            )
        return library.read_bytes()
