"""The same network over 64 samples: the mean loss and all gradients, one kernel for every size."""

from __future__ import annotations

import network
import numpy as np
from common import Contender, Setup, Table, contest, main, repeated
from machine_code import SymgradCode, backends, handwritten
from network import HIDDEN, INPUTS, WORDS
from peers import CasadiFunction, jax_contender

import symgrad as sg


def run(setup: Setup) -> list[Table]:
    """In index notation and in matrix notation, against loops by hand and the peers."""
    samples = 3 if setup.tiny else 64
    arrays = network.data(setup, samples)
    contenders = [*_ours(arrays, samples), *_by_hand(arrays, samples), *_peers(setup, arrays, samples)]
    note = f"Mean loss over {samples} samples and all gradients; symgrad's sizes are symbols."
    return [contest(f"Two-layer network 8-32-1, {samples} samples", contenders, setup, note)]


def _ours(arrays: list[np.ndarray], samples: int) -> list[Contender]:
    sizes = {"d": INPUTS, "h": HIDDEN, "b": samples}
    found = []
    for way, program in (("indices", network.program), ("matrices", network.program_in_matrices)):
        for backend in backends():
            code = SymgradCode(program, WORDS, backend, arrays, sizes)
            found.append(code.contender(f"kernel, {way}"))
    kernel = sg.compile(network.program(), outputs=WORDS)
    call = Contender(
        "symgrad llvm", "call, indices", repeated(kernel, *arrays), lambda: network.flat(kernel(*arrays))
    )
    return [*found, call]


def _by_hand(arrays: list[np.ndarray], samples: int) -> list[Contender]:
    outputs = [np.zeros(s) for s in network.shapes()]
    return handwritten(network.hand_written(samples), arrays, outputs)


def _peers(setup: Setup, arrays: list[np.ndarray], samples: int) -> list[Contender]:
    found: list[Contender] = []
    if casadi := setup.peer("casadi"):
        build = network.casadi_function(casadi, "MX", samples)
        found += CasadiFunction("CasADi MX", build, arrays, network.shapes()).contenders(setup)
    if jax := setup.peer("jax"):
        found.append(jax_contender(jax, network.jax_function(jax), arrays))
    return found


if __name__ == "__main__":
    main(run)
