"""The processor this process runs on, as compilers name it, and what LLVM should know about it besides.

Vectors of numbers from eight addresses: the own instruction of Zen takes three times as long as eight loads
that are put together (3.6 and 1.1 ns for doubles, measured on Zen 5), and LLVM uses it.
"""

from __future__ import annotations

from functools import lru_cache

_ZEN = "znver"  # how LLVM's names of these processors begin


@lru_cache(maxsize=1)
def processor() -> tuple[str, str]:
    """Its name and its features as LLVM writes them: "znver4", "+avx2,+fma,...". Part of every cache key."""
    import llvmlite.binding as llvm  # not on import: it takes 20 ms

    name = llvm.get_host_cpu_name()
    return name, ",".join((llvm.get_host_cpu_features().flatten(), *tuning(name)))


def tuning(name: str) -> tuple[str, ...]:
    """What makes code for a processor of that name faster and LLVM does not do by itself."""
    return ("+prefer-no-gather",) if name.startswith(_ZEN) else ()
