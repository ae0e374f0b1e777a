"""The processor this process runs on, as compilers name it."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=1)
def processor() -> tuple[str, str]:
    """Its name and its features as LLVM writes them: "znver4", "+avx2,+fma,...". Part of every cache key."""
    import llvmlite.binding as llvm  # not on import: it takes 20 ms

    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
