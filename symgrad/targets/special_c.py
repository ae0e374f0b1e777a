"""Special functions of our own for C: which ones a file needs, as text.

The functions are in `special_functions.c`, in blocks without empty lines inside; PREFIX stands for the name
of the emitted function, so that two emitted files can be linked together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from symgrad.ir.ops import OPS

_DEFINED = re.compile(r"static \w+ PREFIX_(\w+)\(")
_USED = re.compile(r"PREFIX_(\w+)")
_CALLED = re.compile(r"\{own\}(\w+)")


def own_function_of(op: str) -> str:
    """The function that the op's C spelling calls, "" if it calls none."""
    found = _CALLED.match(OPS[op].c) if op in OPS else None
    return found.group(1) if found else ""


@lru_cache(maxsize=1)
def _blocks() -> dict[str, str]:
    """Each function's text by its name, in the order of the file: callees first."""
    text = Path(__file__).with_name("special_functions.c").read_text(encoding="ascii")
    blocks: dict[str, str] = {}
    for block in text.split("\n\n"):
        found = _DEFINED.search(block)
        if found:
            blocks[found.group(1)] = block.strip("\n")
    return blocks


def definitions(names: Iterable[str], prefix: str) -> list[list[str]]:
    """The lines of these functions and of those they call, callees first."""
    blocks = _blocks()
    needed: set[str] = set()
    stack = list(names)
    while stack:
        name = stack.pop()
        if name not in needed:
            needed.add(name)
            stack.extend(_USED.findall(blocks[name]))
    return [text.replace("PREFIX", prefix).split("\n") for name, text in blocks.items() if name in needed]
