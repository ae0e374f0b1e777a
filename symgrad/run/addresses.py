"""Addresses of arrays, as machine code takes them."""

from __future__ import annotations

import ctypes
import struct
from array import array
from collections.abc import Iterable
from typing import Any

CACHE_LINE = 64  # bytes

_POINTER = next(code for code in "QLI" if array(code).itemsize == struct.calcsize("P"))


def address_of(x: Any) -> int:
    """Where a C-contiguous array's elements begin."""
    if x.size and x.flags.writeable:
        return ctypes.addressof(ctypes.c_char.from_buffer(x))
    return int(x.__array_interface__["data"][0])  # four times slower, for every array


def to_line(address: int) -> int:
    """How many bytes it is from there to the beginning of a cache line."""
    return -address % CACHE_LINE


def pointers_to(addresses: Iterable[int]) -> array[int]:
    """Addresses as C's array of pointers."""
    return array(_POINTER, addresses)
