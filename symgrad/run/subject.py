"""What a verification is about: the program, the kernel whose numbers are judged, and the output words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symgrad.errors import BadArgument, BadOption
from symgrad.grad.outputs import ERROR_WORDS
from symgrad.program import Program, program
from symgrad.records import dataclass
from symgrad.run.emitted import emitted_kernel, words_in_file
from symgrad.run.kernel import Kernel


@dataclass(frozen=True)
class Subject:
    """
    kernel  judged; with derivatives written by hand, it only gives the value and the shapes.
    own     output word to what the user gave for it.
    name    of what is judged, for the title.
    """

    program: Program
    kernel: Kernel
    words: tuple[str, ...]
    own: Mapping[str, Any]
    name: str


def subject_of(
    given: Any, wrt: Any, outputs: Any, grad: Any, hess: Any, against: Any, backend: str, dtype: Any,
    kinks: str | None,
) -> Subject:  # fmt: skip
    """See `verify` for the arguments."""
    own = {word: value for word, value in (("grad", grad), ("hess", hess)) if value is not None}
    source, kernel = _source(given, wrt, outputs, backend, dtype, kinks)
    if against is not None:
        _check_alone(own, kernel)
        words = words_in_file(against) if outputs is None else _as_words(outputs)
        kernel = emitted_kernel(source, against, words, str(np.dtype(dtype)))
        words = _judged(words)
        return Subject(source, kernel, words, own, f"{', '.join(words)}  ({against}, {kernel.dtype})")
    if own:
        _check_own(own, outputs)
        kernel = kernel or _compiled(source, ("value",), backend, dtype)
        names = {"grad": "your gradient", "hess": "your Hessian"}
        return Subject(source, kernel, tuple(own), own, ", ".join(names[word] for word in own))
    words = _words(source, kernel, outputs)
    kernel = kernel or _compiled(source, words, backend, dtype)
    words = _judged(words)
    return Subject(source, kernel, words, own, f"{', '.join(words)}  ({kernel.backend}, {kernel.dtype})")


def _judged(words: tuple[str, ...]) -> tuple[str, ...]:
    """The outputs that are values and derivatives: bounds of rounding errors are neither."""
    judged = tuple(word for word in words if word not in ERROR_WORDS)
    if not judged:
        raise BadOption(
            "there is nothing to verify beside " + ", ".join(words),
            because="a bound of a rounding error is neither a value nor a derivative",
            try_="the outputs that they are bounds of",
        )
    return judged


def default_outputs(source: Program) -> tuple[str, str]:
    """Value and gradient, or value and Jacobian where the value is an array."""
    p = source.problem()
    is_number = all(e == p.graph.one for e in p.graph.tensors[p.value].extents)
    return ("value", "grad" if is_number else "jac")


def _source(
    given: Any, wrt: Any, outputs: Any, backend: str, dtype: Any, kinks: str | None
) -> tuple[Program, Kernel | None]:
    """The program, and the kernel if one was given."""
    if not isinstance(given, Kernel):
        if isinstance(given, Program) and wrt is None and kinks is None:
            return given, None
        return program(given, wrt=wrt, kinks=kinks), None
    if wrt is not None or kinks is not None or backend != "llvm" or np.dtype(dtype) != np.float64:
        raise BadOption(
            "wrt, kinks, backend and dtype belong to a program, and a kernel was given",
            try_="leave them out, or pass the program",
        )
    if given.program is None:
        raise BadArgument(
            "the kernel does not know its program",
            because="it was unpickled",
            try_="verify the program, or a kernel compiled in this process",
        )
    if outputs is not None and not set(_as_words(outputs)) <= set(given.outputs):
        raise BadOption(
            "outputs names a word that the kernel does not have",
            because="the kernel's outputs are " + ", ".join(given.outputs),
        )
    return given.program, given


def _check_alone(own: Mapping[str, Any], kernel: Kernel | None) -> None:
    if own or kernel is not None:
        raise BadOption(
            "against= is given beside " + ("a kernel" if kernel is not None else " and ".join(own) + "="),
            because="one thing is verified at a time",
            try_="verify(program, against=...)",
        )


def _check_own(own: Mapping[str, Any], outputs: Any) -> None:
    if outputs is not None and set(_as_words(outputs)) != set(own):
        raise BadOption(
            f"with {'= and '.join(own)}= outputs is " + ", ".join(own),
            because="only what you wrote yourself is verified then",
            try_="leave outputs out",
        )


def _as_words(outputs: str | Sequence[str]) -> tuple[str, ...]:
    return (outputs,) if isinstance(outputs, str) else tuple(outputs)


def _words(source: Program, kernel: Kernel | None, outputs: Any) -> tuple[str, ...]:
    if outputs is not None:
        return _as_words(outputs)
    return kernel.outputs if kernel is not None else default_outputs(source)


def _compiled(source: Program, words: tuple[str, ...], backend: str, dtype: Any) -> Kernel:
    from symgrad.pipeline import compile as compile_kernel  # the pipeline itself imports this folder

    return compile_kernel(source, outputs=words, backend=backend, dtype=dtype)
