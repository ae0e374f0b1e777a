"""The stored numbers: where they were taken and how they are read; `make_reference` makes them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from mgh.problem import Instance, Problem

STORE = Path(__file__).resolve().parent / "reference.npz"
WORDS = ("residuals", "jacobian", "gradient", "hessian")


def points(instance: Instance) -> tuple[np.ndarray, np.ndarray]:
    """The start, and a place away from it with digits in every entry."""
    start = instance.start
    away = start + 0.1 * (1.0 + np.abs(start)) * np.cos(1.0 + 2.0 * np.arange(start.size))
    return start, away


def reference(problem: Problem, case: int, place: int) -> dict[str, np.ndarray]:
    """residuals (m,), jacobian (m, n), gradient (n,) and hessian (n, n) of an instance at one of `points`."""
    return {word: _stored()[key_of(problem, case, place, word)] for word in WORDS}


def key_of(problem: Problem, case: int, place: int, word: str) -> str:
    return f"{problem.number}/{case}/{place}/{word}"


@cache
def _stored() -> dict[str, np.ndarray]:
    with np.load(STORE, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}
