"""The errors of calls whose machine code says that something went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from symgrad.errors import SymgradError
from symgrad.ir.matrix.failures import failed
from symgrad.loops.nest import Failure


def failure(failures: Sequence[Failure], status: Any) -> SymgradError:
    """The error of the first sample that failed."""
    sample = first_sample(status)
    found = failures[int(np.asarray(status)[sample]) - 1]
    return failed(found.text, found.function, sample)


def first_sample(status: Any) -> tuple[int, ...]:
    """The first sample whose status is not 0."""
    status = np.asarray(status)
    return next(s for s in np.ndindex(*status.shape) if status[s])
