"""Mini-batches: which axes of the data run over samples, and a new order of the samples in every epoch."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator, Mapping
from itertools import islice, takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgrad.errors import BadOption, ShapeMismatch, quoted
from symgrad.records import dataclass
from symgrad.run.optim.base import check_count

Axes = dict[Hashable, tuple[int, ...]]
Chosen = NDArray[np.int64]  # the numbers of the samples of a batch


@dataclass(frozen=True)
class Batches:
    """Data split into batches of `size` samples along `axes` (key -> axes that run over the `count` samples).

    Data without an entry in `axes` is the same in every batch; `size_key`, if the data has it, is a number
    that is replaced by the batch's number of samples. The last batch of an epoch is shorter when `size` does
    not divide `count`, so that an epoch visits every sample once.
    """

    data: Mapping[Any, Any]
    axes: Axes
    count: int
    size: int
    seed: int
    size_key: Hashable = None

    def orders(self) -> Iterator[tuple[int, Chosen]]:
        """(epoch, the samples of one batch), without end."""
        random = np.random.default_rng(self.seed)
        epoch = 0
        while True:
            order = random.permutation(self.count)
            for start in range(0, self.count, self.size):
                yield epoch, order[start : start + self.size]
            epoch += 1

    @property
    def per_epoch(self) -> int:
        """Batches in an epoch."""
        return -(-self.count // self.size)

    def batch(self, chosen: Chosen, buffers: dict[Any, NDArray[Any]]) -> dict[Any, Any]:
        """The data of a batch; the arrays of full batches are those in `buffers`, filled anew."""
        batch = dict(self.data)
        for key, axes in self.axes.items():
            array = batch[key]
            for axis in axes[:-1]:
                array = np.take(array, chosen, axis)
            if len(chosen) == self.size:
                # mode="clip" lets NumPy write straight into the buffer; the indices are in range.
                buffers[key] = np.take(array, chosen, axes[-1], out=buffers.get(key), mode="clip")
                batch[key] = buffers[key]
            else:
                batch[key] = np.take(array, chosen, axes[-1])
        if self.size_key in batch:
            batch[self.size_key] = len(chosen)
        return batch


Turn = tuple[int, Chosen | None]  # the epoch and the samples of a step; None for all the data


class Turns:
    """The turns to come: taken one by one, or several at once after a look at them."""

    def __init__(self, stream: Iterator[Turn]) -> None:
        self._stream = stream
        self._seen: deque[Turn] = deque()

    def take(self) -> Turn:
        """The next turn."""
        return self._seen.popleft() if self._seen else next(self._stream)

    def ahead(self, count: int) -> list[Turn]:
        """The next turns that see as many samples as the first of them, at most `count`; not taken yet."""
        while len(self._seen) < count:
            self._seen.append(next(self._stream))
        size = _sample_number(self._seen[0])
        return list(takewhile(lambda turn: _sample_number(turn) == size, islice(self._seen, count)))


def _sample_number(turn: Turn) -> int:
    return 0 if turn[1] is None else len(turn[1])


def make_batches(
    data: Mapping[Any, Any], params: Mapping[Any, Any], batch_size: int, batch_axis: Any, seed: int
) -> Batches:
    """Batches of `batch_size` samples of `data` (symbol -> array).

    The samples run over the axes whose size is the symbol `batch_axis`; by default the leading size that all
    data arrays have in common. Raises BadOption if there is no such axis or a parameter has it too,
    ShapeMismatch if the arrays disagree about its length.
    """
    check_count("batch_size", batch_size)
    size_symbol = _common_leading_size(data) if batch_axis is None else batch_axis
    axes = {key: _axes_of(key, array, size_symbol) for key, array in data.items()}
    axes = {key: where for key, where in axes.items() if where}
    if not axes:
        raise BadOption(
            f"no data array has an axis of size {size_symbol}", try_=f"batch_axis= one of {_sizes_of(data)}"
        )
    for key in params:
        if size_symbol in _shape_of(key):
            raise BadOption(
                f"mini-batches along {size_symbol} would cut the parameter {quoted(key)}",
                because=f"{key} has the shape {_shape_of(key)}",
            )
    count = _sample_count(data, axes, size_symbol)
    return Batches(data, axes, count, min(batch_size, count), seed, size_symbol)


def _common_leading_size(data: Mapping[Any, Any]) -> Any:
    leading = {shape[0] for key in data if (shape := _shape_of(key))}
    if len(leading) == 1:
        return leading.pop()
    shapes = ", ".join(f"{key} {_shape_of(key)}" for key in data) or "no data"
    raise BadOption(
        "it is not clear which axis of the data runs over samples",
        because=f"the arrays have no leading size in common: {shapes}",
        try_=f"batch_axis= one of {_sizes_of(data)}",
    )


def _shape_of(key: Any) -> tuple[Any, ...]:
    """The declared shape of a symbol; () for scalars and for an IndexedBase without one."""
    return tuple(getattr(key, "shape", None) or ())


def _sizes_of(data: Mapping[Any, Any]) -> str:
    sizes = {str(size) for key in data for size in _shape_of(key) if not str(size).isdigit()}
    return ", ".join(sorted(sizes)) or "the sizes in the symbols' shapes"


def _axes_of(key: Any, array: Any, size_symbol: Any) -> tuple[int, ...]:
    """Positions of `size_symbol` in the declared shape; a column given as a 1-D array has its only axis."""
    last = np.ndim(array) - 1
    return tuple(sorted({min(i, last) for i, size in enumerate(_shape_of(key)) if size == size_symbol}))


def _sample_count(data: Mapping[Any, Any], axes: Axes, size_symbol: Any) -> int:
    counts = {(key, axis): np.shape(data[key])[axis] for key, where in axes.items() for axis in where}
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{count} in {key}" for (key, _), count in counts.items())
        raise ShapeMismatch(
            "the data arrays have different numbers of samples", because=f"{size_symbol} is {found}"
        )
    count: int = next(iter(counts.values()))
    if count == 0:
        raise BadOption("there are no samples to make mini-batches of", because=f"{size_symbol} is 0")
    return count
