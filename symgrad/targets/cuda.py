"""A routine as CUDA C++ for many samples: one thread computes one sample, or several, one after the other.

The text is that of the C target, made of device functions: what C99 and CUDA spell differently is changed
here, and nothing else. Whoever takes it needs no header of ours: nvcc, NVRTC (`__CUDACC_RTC__`: there are no
headers at all) and, with `kernels/cuda_on_host.h` in front, every C++ compiler.

Source: NVIDIA, CUDA C++ Programming Guide: grid-stride loops, and coalesced access (device memory).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace

from symgrad.loops.nest import Compute, For, If, Part, Routine, Statement
from symgrad.loops.samples import of_samples
from symgrad.loops.split import split
from symgrad.loops.walk import free_name
from symgrad.targets.base import check_dtype
from symgrad.targets.c import CFile
from symgrad.targets.text import wrapped
from symgrad.targets.vector_math import APART, FUNCTIONS, OWN, is_limited

_BOTH = "inline __host__ __device__ "  # what the host calls, too

_INCLUDES = """\
#ifdef __CUDACC_RTC__
typedef long long int64_t;
typedef unsigned long long uint64_t;
#define UINT64_C(x) x##ULL
#define INFINITY __longlong_as_double(0x7ff0000000000000LL)
#define NAN __longlong_as_double(0x7ff8000000000000LL)
#else
#include <math.h>
#include <stdint.h>
#include <string.h>
#endif"""


def emit_cuda(
    routine: Routine, dtype: str = "float64", shared: Collection[str] = (), own: bool = False
) -> str:
    """One CUDA source file: `NAME`, a device function for one sample, and `NAME_batch`, a kernel for many.

    shared  names of the inputs that all samples have in common.
    own     elementary functions are our own (`vector_math.py`).
    Raises what `CFile` and `of_samples` raise.
    """
    alone = replace(routine, body=_on_a_thread(routine.body, own))
    return _CudaFile(of_samples(split(alone), shared), check_dtype(dtype), shared).text()


def _on_a_thread(body: Sequence[Statement], own: bool) -> list[Statement]:
    """Statements without what asks compilers for vectors: a thread computes one number at a time."""
    done: list[Statement] = []
    for s in body:
        if isinstance(s, For):
            s = replace(s, body=_on_a_thread(s.body, own), short=True)
        elif isinstance(s, If | Part):
            s = replace(s, body=_on_a_thread(s.body, own))
        elif own and isinstance(s, Compute) and s.op in FUNCTIONS:
            s = replace(s, op=(APART if is_limited(s.op) else OWN) + s.op)
        done.append(s)
    return done


class _CudaFile(CFile):
    """One CUDA source file in the making."""

    def __init__(self, routine: Routine, dtype: str, shared: Collection[str]) -> None:
        super().__init__(routine, dtype, standalone=True, include="")
        self.shared = shared

    def text(self) -> str:
        # First the functions that add to the helpers, which the text prints.
        last = [*self._work_size(), "", *self._batch(), ""]
        device = re.sub(
            rf"^(#define \w+ )?(?:static (int64_t )?|(?=void {self.name}\())",
            lambda found: (found[1] or "") + (_BOTH + found[2] if found[2] else "static __device__ "),
            super().text(),
            flags=re.MULTILINE,
        )
        device = re.sub(r"\*(const )?restrict ", r"*\1__restrict__ ", device)
        return "\n".join([device, *last])

    def _includes(self) -> list[str]:
        return _INCLUDES.splitlines()

    def _work_size(self) -> list[str]:
        """The function that says how many elements the workspace of a launch has."""
        spelled = self.names.spelled
        head = ", ".join(f"int64_t {spelled[s]}" for s in self.routine.sizes)
        size = self.work_size_text(spelled)
        read = re.findall(r"\w+", size)
        unused = [f"    (void){spelled[s]};" for s in self.routine.sizes if spelled[s] not in read]
        return [
            "/* How many elements the workspace of a launch has. */",
            *wrapped(f"{_BOTH}int64_t {self.name}_work_size({head})"),
            "{", *unused, f"    return {size};", "}",
        ]  # fmt: skip

    def _batch(self) -> list[str]:
        spelled = self.names.spelled
        samples, threads = (spelled[s] for s in self.routine.sizes[-2:])
        sample, thread = (free_name(spelled.values(), name) for name in ("sample", "thread"))
        arguments = [
            spelled[b.name] + ("" if b.name in self.shared else f" + {sample}") for b in self.parameters
        ]
        arguments += [f"{self.work_name} + {thread}"] if self.work else []
        arguments += [spelled[s] for s in self.routine.sizes]
        head = self.parameter_list(restrict=False).removesuffix(f", int64_t {threads}")
        first, *rest = wrapped(f"        {self.name}({', '.join(arguments)});")
        work = f" * {self.work_name}: {self.name}_work_size elements, for the threads of all blocks together."
        return [
            "/*",
            " * Every sample, by any number of blocks of any number of threads. Arrays are as above, the",
            f" * samples being the last axis: element e of sample s stands at e*{samples} + s.",
            *([work] if self.work else []),
            " */",
            *wrapped(f'extern "C" __global__ void {self.name}_batch({head})'),
            "{",
            f"    const int64_t {thread} = (int64_t)blockIdx.x*blockDim.x + threadIdx.x;",
            f"    const int64_t {threads} = (int64_t)gridDim.x*blockDim.x;",
            f"    for (int64_t {sample} = {thread}; {sample} < {samples}; {sample} += {threads}) {{",
            first,
            *("        " + line for line in rest),
            "    }",
            "}",
        ]  # fmt: skip
