"""A network with 8 inputs, 32 hidden units and one output: the loss of one sample and its 321 derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import network
import numpy as np
import sympy as sp
from common import Contender, Setup, Table, contest, main, repeated
from cpp_peers import cpp_contenders
from machine_code import SymgradCode, backends, handwritten
from network import HIDDEN, INPUTS, WORDS
from peers import CasadiFunction, jax_contender, symengine_contender

import symgrad as sg


def run(setup: Setup) -> list[Table]:
    """With loops and symbolic sizes, and written out in 321 symbols."""
    arrays = network.data(setup, 1)
    contenders = [*_ours(arrays, setup), *_by_hand(arrays), *_peers(setup, arrays)]
    return [contest("Two-layer network 8-32-1, one sample", contenders, setup, "Value and 321 derivatives.")]


def _ours(arrays: list[np.ndarray], setup: Setup) -> list[Contender]:
    sizes = {"d": INPUTS, "h": HIDDEN}
    found = []
    for backend in backends():
        code = SymgradCode(lambda: network.program(one_sample=True), WORDS, backend, arrays, sizes)
        found.append(code.contender("kernel, symbolic sizes"))
    for backend in backends()[: 1 if setup.tiny else None]:
        numbers = np.concatenate([x.ravel() for x in arrays])
        written_out = SymgradCode(_written_out, WORDS, backend, list(numbers))
        found.append(_split(written_out.contender("kernel, written out")))
    kernel = sg.compile(network.program(one_sample=True), outputs=WORDS)
    call = Contender("symgrad llvm", "call", repeated(kernel, *arrays), lambda: network.flat(kernel(*arrays)))
    return [*found, call]


def _split(contender: Contender) -> Contender:
    """The 321 derivatives in one vector, as five arrays."""

    def results() -> list[np.ndarray]:
        value, gradient = (np.asarray(x) for x in contender.results())
        ends = np.cumsum([int(np.prod(s)) for s in network.shapes()[1:]])
        return [value, *np.split(gradient, ends[:-1])]

    return Contender(contender.name, contender.way, contender.run, results, contender.build)


def _symbols(module: Any) -> list[list[Any]]:
    """W1 row by row, b1, W2, b2, X, Y as scalar symbols of SymPy or SymEngine."""
    counts = {"w": INPUTS * HIDDEN, "c": HIDDEN, "v": HIDDEN, "e": 1, "x": INPUTS, "y": 1}
    return [[module.Symbol(f"{name}{k}", real=True) if module is sp else module.Symbol(f"{name}{k}")
             for k in range(count)] for name, count in counts.items()]  # fmt: skip


def _loss(module: Any, groups: Sequence[Sequence[Any]]) -> Any:
    W1, b1, W2, (b2,), X, (y,) = groups
    columns = [[X[i] * W1[i * HIDDEN + j] for i in range(INPUTS)] for j in range(HIDDEN)]
    hidden = [module.tanh(sum(column, start=b)) for column, b in zip(columns, b1, strict=True)]
    return (sum((t * w for t, w in zip(hidden, W2, strict=True)), start=b2) - y) ** 2


def _written_out() -> sg.Program:
    groups = _symbols(sp)
    flat = [x for group in groups for x in group]
    return sg.program(_loss(sp, groups), args=flat, wrt=flat[:321])


def _by_hand(arrays: list[np.ndarray]) -> list[Contender]:
    outputs = [np.zeros(s) for s in network.shapes()]
    return handwritten(network.hand_written(1), arrays, outputs)


def _peers(setup: Setup, arrays: list[np.ndarray]) -> list[Contender]:
    found: list[Contender] = []
    if casadi := setup.peer("casadi"):
        for kind in ("SX", "MX"):
            build = network.casadi_function(casadi, kind, 1)
            found += CasadiFunction(f"CasADi {kind}", build, arrays, network.shapes()).contenders(setup)
    if jax := setup.peer("jax"):
        found.append(jax_contender(jax, network.jax_function(jax), arrays))
    if symengine := setup.peer("symengine"):
        point = np.concatenate([x.ravel() for x in arrays])
        found.append(symengine_contender(symengine, lambda: _symengine(symengine), point, network.shapes()))
    if not setup.tiny:
        point = np.concatenate([x.ravel() for x in arrays])
        found += cpp_contenders(setup, _derivatives, point, network.shapes())
    return found


def _derivatives(module: Any, x: Sequence[Any]) -> list[Any]:
    """All outputs, with the functions and symbols of SymForce or wrenfold."""
    counts = [INPUTS * HIDDEN, HIDDEN, HIDDEN, 1, INPUTS, 1]
    ends = np.cumsum(counts)
    loss = _loss(module, [x[end - count : end] for count, end in zip(counts, ends, strict=True)])
    return [loss, *(loss.diff(a) for a in x[:321])]


def _symengine(symengine: Any) -> tuple[list[Any], list[Any]]:
    groups = _symbols(symengine)
    loss = _loss(symengine, groups)
    flat = [x for group in groups for x in group]
    return flat, [loss, *(loss.diff(x) for x in flat[:321])]


if __name__ == "__main__":
    main(run)
