"""Structural keys of nodes: equal for equal structure, whatever its names, and the same in every process."""

from __future__ import annotations

from typing import Any

MASK = (1 << 61) - 1
STEP, START = 6364136223846793005, 1442695040888963407  # from argument to argument: Knuth's generator MMIX
LEAF_KINDS = {  # of leaves but reads, whose kind is that of what is read
    "const": "const", "size": "int", "axis": "int", "lin": "int", "imul": "int",
    "true": "bool", "false": "bool", "ige": "bool", "ieq": "bool",
}  # fmt: skip
KEYS: dict[object, int] = {}  # of the texts asked for so far


def literals(op: str, args: tuple[Any, ...], nodes: tuple[int, ...]) -> tuple[Any, ...]:
    """The arguments that are not nodes and belong to the structure; the numbers of axes do not."""
    if op == "axis" or len(nodes) == len(args):
        return ()
    if not nodes:
        return args
    return args[:1] + args[2::2] if op == "lin" else args[:1]


def key_of(value: object) -> int:
    """A hash that does not change between processes (Python's own is salted for text)."""
    if isinstance(value, int):
        return (value * 0x9E3779B97F4A7C15 + 0x7F4A7C15) & MASK
    key = KEYS.get(value)
    if key is None:
        key = 1469598103934665603
        for byte in str(value).encode("utf-8", "surrogatepass"):
            key = ((key ^ byte) * 1099511628211) & MASK
        KEYS[value] = key
    return key
