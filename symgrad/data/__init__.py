"""The data set shipped with symgrad: 1,797 handwritten digits, 8 by 8 pixels."""

from __future__ import annotations

from importlib import resources

import numpy as np
from numpy.typing import NDArray


def digits() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return `(images, labels)` of the UCI optical recognition of handwritten digits test set.

    `images` is float64 of shape (1797, 64), rows of 8x8 pixels in row-major order with grey levels 0..16;
    `labels` is int64 of shape (1797,), digits 0..9. Both are fresh arrays that the caller may change.

    Source: E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, DOI 10.24432/C50P49, CC BY 4.0.

    >>> images, labels = digits()
    >>> images.shape, labels[:5].tolist()
    ((1797, 64), [0, 1, 2, 3, 4])
    """
    file = resources.files(__name__).joinpath("digits.npz")
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
        return stored["images"].astype(np.float64), stored["labels"].astype(np.int64)
