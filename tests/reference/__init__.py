"""The stored reference numbers: reading them needs NumPy only. How they are made: README.md."""

from __future__ import annotations

import zlib
from functools import cache
from pathlib import Path

import numpy as np
from programs import SharedProgram

STORE = Path(__file__).resolve().parent / "reference.npz"
Outputs = dict[str, list[np.ndarray]]


def reference_outputs(program: SharedProgram, case: int) -> Outputs:
    """The stored outputs of one case by output word: one array per differentiated symbol, or just one."""
    flat = _stored()[f"{program.name}/{case}"]
    outputs: Outputs = {}
    start = 0
    for word, shapes in program.output_shapes(case).items():
        outputs[word] = []
        for shape in shapes:
            size = int(np.prod(shape, dtype=int))
            outputs[word].append(flat[start : start + size].reshape(shape))
            start += size
    assert start == flat.size, f"{program.name} has changed since its numbers were stored"
    return outputs


def reference_checksum(program: SharedProgram, case: int) -> int:
    """The checksum of the inputs for which the numbers of this case were made."""
    return int(_stored()[f"{program.name}/inputs"][case])


def checksum(inputs: dict[str, np.ndarray]) -> int:
    """A checksum of all inputs in order, by which a changed random stream is noticed."""
    total = 0
    for values in inputs.values():
        total = zlib.crc32(np.ascontiguousarray(values).tobytes(), total)
    return total


@cache
def _stored() -> dict[str, np.ndarray]:
    with np.load(STORE, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}
