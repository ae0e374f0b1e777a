"""Parameters as one flat vector: a layout remembers the keys, shapes and offsets, and converts both ways.

Optimizers see one float vector; kernels see one array (or float) per symbol. `unpack` returns views, so going
from the vector to the arrays costs no copy; `pack` copies, so that a vector never aliases a buffer someone
else reuses.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from symgrad.errors import BadArgument, BadOption, DtypeMismatch, ShapeMismatch, quoted
from symgrad.records import dataclass

Vector = NDArray[np.floating[Any]]
Matrix = NDArray[np.floating[Any]]
Arrays = dict[Hashable, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """One parameter's place in the flat vector. `shape` is None for a Python number, which stays one."""

    key: Hashable
    shape: tuple[int, ...] | None
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each parameter lies in the flat vector, in the order the parameters were given."""

    entries: tuple[Entry, ...]
    dtype: np.dtype[Any]

    @property
    def keys(self) -> tuple[Hashable, ...]:
        return tuple(entry.key for entry in self.entries)

    @property
    def size(self) -> int:
        return self.entries[-1].stop if self.entries else 0

    def unpack(self, vector: Vector) -> Arrays:
        """Key -> view of the parameter's shape into `vector`, shape (size,); a float for a number."""
        return {
            entry.key: (
                float(vector[entry.start])
                if entry.shape is None
                else vector[entry.start : entry.stop].reshape(entry.shape)
            )
            for entry in self.entries
        }

    def pack(self, parts: Any) -> Vector:
        """A new vector of `size` numbers from a mapping by key, a sequence in order, or one array of all.

        The shape of each part is free as long as its number of entries is right, so that a gradient of shape
        (n, 1) fits a parameter given as (n,). Raises ShapeMismatch otherwise.
        """
        vector = np.empty(self.size, self.dtype)
        for entry, part in zip(self.entries, self._parts(parts), strict=True):
            flat = np.asarray(part).reshape(-1)
            size = entry.stop - entry.start
            if flat.size != size:
                raise ShapeMismatch(
                    f"{quoted(entry.key)} has {size} entries, and {flat.size} came back for it",
                    because="a gradient has the shape of its parameter",
                )
            vector[entry.start : entry.stop] = flat
        return vector

    def matrix(self, blocks: Any) -> Matrix:
        """A Hessian as one (size, size) matrix, from one array of all entries or rows of blocks.

        A sparse array stays one.
        """
        if hasattr(blocks, "tocsc") and blocks.shape == (self.size, self.size):
            return cast(Matrix, blocks)
        if not isinstance(blocks, tuple | list):
            whole = np.asarray(blocks, self.dtype)
            if whole.size != self.size**2:
                raise ShapeMismatch(
                    f"a Hessian of {self.size} parameters has {self.size**2} entries, not {whole.size}",
                    because=f"the array has shape {whole.shape}",
                )
            return whole.reshape(self.size, self.size)
        if len(self.entries) == 1 and len(blocks) == 1 and not isinstance(blocks[0], tuple | list):
            return self.matrix(blocks[0])
        result = np.empty((self.size, self.size), self.dtype)
        for row, row_blocks in zip(self.entries, blocks, strict=True):
            for column, block in zip(self.entries, row_blocks, strict=True):
                shape = (row.stop - row.start, column.stop - column.start)
                result[row.start : row.stop, column.start : column.stop] = np.reshape(block, shape)
        return result

    def jacobian(self, blocks: Any, rows: int) -> Matrix:
        """A Jacobian as one (rows, size) matrix, from one array of all columns or a block per parameter.

        A sparse array stays one.
        """
        if hasattr(blocks, "tocsc") and blocks.shape == (rows, self.size):
            return cast(Matrix, blocks)
        if not isinstance(blocks, tuple | list):
            whole = np.asarray(blocks, self.dtype)
            if whole.size != rows * self.size:
                raise _wrong_jacobian(f"{self.size} parameters", whole.shape, rows)
            return whole.reshape(rows, self.size)
        result = np.empty((rows, self.size), self.dtype)
        for entry, block in zip(self.entries, blocks, strict=True):
            if np.size(block) != rows * (entry.stop - entry.start):
                raise _wrong_jacobian(quoted(entry.key), np.shape(block), rows)
            result[:, entry.start : entry.stop] = np.reshape(block, (rows, entry.stop - entry.start))
        return result

    def _parts(self, parts: Any) -> Sequence[Any]:
        if isinstance(parts, Mapping):
            return [parts[key] for key in self.keys]
        if isinstance(parts, tuple | list):
            if len(parts) != len(self.entries):
                raise ShapeMismatch(f"{len(self.entries)} parameters, and {len(parts)} arrays for them")
            return parts
        flat = np.asarray(parts).reshape(-1)
        if flat.size != self.size:
            raise ShapeMismatch(f"{self.size} parameter entries, and an array of {flat.size} for them")
        return [flat[entry.start : entry.stop] for entry in self.entries]


def _wrong_jacobian(what: str, shape: tuple[int, ...], rows: int) -> ShapeMismatch:
    return ShapeMismatch(
        f"the Jacobian of {rows} residuals by {what} has shape {shape}",
        because="it has one entry for each residual and each entry of the parameters",
        try_="give the parameters the shapes of their symbols",
    )


def layout_of(params: Mapping[Any, Any], dtype: object = "float64") -> Layout:
    """The layout of `params`: key -> float or array of real numbers.

    Raises BadArgument if there are none or one is not numeric, DtypeMismatch if one is complex.
    """
    if not isinstance(params, Mapping) or not params:
        raise BadArgument(
            "no parameters to optimise",
            because=f"params is {params!r}",
            try_="params={W: W0}, from each symbol to its starting value",
        )
    entries = []
    start = 0
    for key, value in params.items():
        array = _numeric(key, value)
        is_number = array.ndim == 0
        entries.append(Entry(key, None if is_number else array.shape, start, start + array.size))
        start += array.size
    return Layout(tuple(entries), float_dtype(dtype))


def float_dtype(dtype: object) -> np.dtype[Any]:
    """`dtype` as NumPy's, if it is float64 or float32; raises BadOption for anything else."""
    try:
        result: np.dtype[Any] = np.dtype(dtype)  # type: ignore[call-overload]  # a user's object
    except TypeError:
        result = np.dtype(object)
    if result not in (np.dtype("float64"), np.dtype("float32")):
        raise BadOption(f"dtype is {dtype!r}", try_="'float64' or 'float32'")
    return result


def _numeric(key: Hashable, value: object) -> NDArray[Any]:
    try:
        array = np.asarray(value)
    except ValueError as error:  # ragged nested lists
        raise BadArgument(
            f"the starting value of {quoted(key)} is not an array", because=str(error)
        ) from error
    if array.dtype.kind == "c":
        raise DtypeMismatch(
            f"the starting value of {quoted(key)} is complex", try_="split it into real and imaginary part"
        )
    if array.dtype.kind not in "fiub":
        raise BadArgument(
            f"the starting value of {quoted(key)} is not a number or an array of numbers",
            because=f"it is {value!r}"[:120],
        )
    return array
