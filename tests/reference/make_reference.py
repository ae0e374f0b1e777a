"""Make `reference.npz`: values, gradients and Hessian-vector products of the shared programs.

    cd tests && python -m reference.make_reference [NAME ...]

Needs JAX and mpmath; running the tests needs neither. Each formula (`formulas.py`) is differentiated twice:
by JAX in float64 (reverse, forward over reverse), and by differences at 60 digits (`high_precision.py`). The
latter, rounded to float64, is stored, and the two must agree. The table printed is the one in README.md. With
names, only those programs are made anew. All of it takes some eight minutes.
"""

from __future__ import annotations

import sys
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.special as jsp
import numpy as np
from programs import PROGRAMS, SharedProgram
from programs.core import symbol_name

from . import STORE, checksum
from .formulas import FORMULAS
from .high_precision import Differences

jax.config.update("jax_enable_x64", True)

AGREEMENT = 1e-12  # largest relative difference between JAX and the stored numbers
Outputs = dict[str, list[np.ndarray]]


class JaxNumpy:
    """`jax.numpy` with the few functions that the formulas need from elsewhere."""

    erf, erfc = staticmethod(jsp.erf), staticmethod(jsp.erfc)

    det, inverse = staticmethod(jnp.linalg.det), staticmethod(jnp.linalg.inv)

    @staticmethod
    def logsumexp(values: Any, axis: int) -> Any:
        """log(sum(exp(values))) along an axis."""
        return jsp.logsumexp(values, axis=axis)

    @staticmethod
    def number(value: int) -> Any:
        """A float64."""
        return jnp.float64(value)

    def __getattr__(self, name: str) -> Any:
        return getattr(jnp, name)


def by_jax(program: SharedProgram, case: int) -> Outputs:
    """All outputs of one case from JAX."""
    inputs = {name: jnp.asarray(values) for name, values in program.inputs(case).items()}
    names = [symbol_name(symbol) for symbol in program.targets]
    point, tangents = tuple(inputs[name] for name in names), tuple(map(jnp.asarray, program.tangents(case)))

    def value(*parts: Any) -> Any:
        return FORMULAS[program.name](JaxNumpy(), inputs | dict(zip(names, parts, strict=True)))

    every = tuple(range(len(names)))
    first = jax.jacrev(value, argnums=every)
    along = jax.jvp(value if "jvp" in program.outputs else first, point, tangents)[1]
    derivative, direction = program.outputs[1:]
    outputs = {"value": [value(*point)], derivative: first(*point)}
    outputs[direction] = [along] if direction == "jvp" else along
    return {word: [np.asarray(part) for part in parts] for word, parts in outputs.items()}


def by_differences(program: SharedProgram, case: int) -> Outputs:
    """All outputs of one case from 60-digit differences."""
    names = tuple(symbol_name(symbol) for symbol in program.targets)
    point = Differences(FORMULAS[program.name], program.inputs(case), names)
    derivative, direction = program.outputs[1:]
    tangents = list(program.tangents(case))
    along = [point.value_along(tangents)] if direction == "jvp" else point.gradient_along(tangents)
    return {"value": [point.value()], derivative: point.jacobian(), direction: along}


def relative_error(a: Outputs, b: Outputs) -> float:
    """The largest error over the output arrays, each relative to the largest entry of its array in `b`."""
    pairs = [pair for word in b for pair in zip(a[word], b[word], strict=True)]
    return max(abs(x - y).max() / (abs(y).max() or 1.0) for x, y in pairs)


def make_case(program: SharedProgram, case: int) -> tuple[np.ndarray, float]:
    """The outputs of one case as one flat array, and JAX's error."""
    precise = by_differences(program, case)
    error = relative_error(by_jax(program, case), precise)
    flat = np.concatenate([part.ravel() for word in program.outputs for part in precise[word]])
    assert np.isfinite(flat).all() and error <= AGREEMENT, f"{program.name}, case {case}: JAX is {error} off"
    return flat, error


def make_program(program: SharedProgram) -> dict[str, np.ndarray]:
    """The stored arrays of one program; prints its row of the table."""
    cases = range(len(program.sizes))
    made = [make_case(program, case) for case in cases]
    stored = {f"{program.name}/{case}": made[case][0] for case in cases}
    sums = [checksum(program.inputs(case)) for case in cases]
    stored[f"{program.name}/inputs"] = np.array(sums, dtype=np.int64)
    print(f"| {program.name} | {len(made)} | {max(error for _, error in made):.1e} |", flush=True)
    return stored


def main(names: list[str]) -> None:
    """Make all programs, or the named ones and keep the rest."""
    stored: dict[str, np.ndarray] = {}
    if names:
        with np.load(STORE) as old:
            stored = {key: old[key] for key in old.files if key.split("/")[0] not in names}
    for program in PROGRAMS:
        if not names or program.name in names:
            stored |= make_program(program)
    np.savez_compressed(STORE, **{key: stored[key] for key in sorted(stored)})  # type: ignore[arg-type]  # numpy's stub


if __name__ == "__main__":
    main(sys.argv[1:])
