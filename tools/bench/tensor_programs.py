"""Tensor programs: value and all gradients, and Hessian-vector products, at a small and at a large size.

The programs are those of `tests/programs`; one kernel serves both sizes. JAX compiles one function for each;
PyTorch runs eagerly.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from common import ROOT, Contender, Setup, Table, compare, main, measure, number, repeated, stopwatch
from machine_code import backends
from peers import jax_contender
from torch_peers import torch_contender

import symgrad as sg

if str(ROOT / "tests") not in sys.path:
    sys.path.insert(0, str(ROOT / "tests"))
from programs import SharedProgram, program_named

Sizes = Mapping[str, int]
Arrays = Sequence[np.ndarray]
WORDS = {"value and gradients": ("value", "grad"), "Hessian-vector product": ("hvp",)}
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Case:
    """A program, its small and its large sizes, and the same loss in JAX: `loss(jnp, *arguments)`."""

    title: str
    name: str
    names: str
    small: tuple[int, ...]
    large: tuple[int, ...]
    loss: Callable[..., Any]

    def sizes(self, values: tuple[int, ...]) -> Sizes:
        return dict(zip(self.names.split(), values, strict=True))


def _network(jnp: Any, x: Any, label: Any, w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
    logits = jnp.tanh(x @ w1 + b1) @ w2 + b2
    rows = jnp.arange(x.shape[0])
    peak = logits.max(axis=1)
    normaliser = peak + jnp.log(jnp.exp(logits - peak[:, None]).sum(axis=1))
    return (normaliser - logits[rows, label.astype(int)]).mean()


def _convolution(jnp: Any, x: Any, w: Any) -> Any:
    from jax import lax

    return (jnp.tanh(lax.conv_general_dilated(x, w, (1,), "VALID")) ** 2).sum()


def _attention(jnp: Any, q: Any, k: Any, v: Any, r: Any, tau: Any) -> Any:
    score = jnp.exp(q @ k.T / (tau * np.sqrt(q.shape[1])))
    return ((score @ v / score.sum(axis=1, keepdims=True) - r) ** 2).sum()


def _batch_norm(jnp: Any, x: Any, r: Any, gamma: Any, beta: Any) -> Any:
    normal = (x - x.mean(axis=0)) / jnp.sqrt(x.var(axis=0) + 0.01)
    return (jnp.tanh(gamma * normal + beta) * r).sum()


def _orthogonality(jnp: Any, w: Any) -> Any:
    return ((w.T @ w - jnp.eye(w.shape[1])) ** 2).sum()


def _mixture(jnp: Any, x: Any, alpha: Any, mu: Any, s: Any, low: Any) -> Any:
    n, d = x.shape
    below = jnp.tril(low, -1)
    centred = x[:, None, :] - mu[None]
    scaled = jnp.exp(s)[None] * centred + jnp.einsum("kpq,nkq->nkp", below, centred)
    inner = alpha + s.sum(axis=1) - (scaled**2).sum(axis=2) / 2
    peak = inner.max(axis=1)
    fit = (peak + jnp.log(jnp.exp(inner - peak[:, None]).sum(axis=1))).sum()
    normaliser = n * jnp.log(jnp.exp(alpha).sum()) + n * d * np.log(2 * np.pi) / 2
    return fit - normaliser - (jnp.exp(2 * s).sum() + (below**2).sum()) / 2


CASES = (
    Case("MLP", "dense_index", "n d h c", (32, 16, 32, 10), (256, 256, 256, 10), _network),
    Case("convolution", "convolution", "B C O T K", (1, 1, 1, 64, 5), (4, 8, 16, 512, 9), _convolution),
    Case("attention", "attention_index", "n m d e", (32, 32, 16, 16), (256, 256, 64, 64), _attention),
    Case("batch norm", "batch_norm", "n d", (64, 16), (512, 128), _batch_norm),
    Case("||W'W - I||^2", "orthogonality_matrix", "n d", (32, 8), (512, 64), _orthogonality),
    Case("GMM", "mixture_full", "n d c", (50, 4, 5), (1000, 16, 10), _mixture),
)


def run(setup: Setup) -> list[Table]:
    """One table per kind of result: time of a call from Python, with new arrays for the results."""
    return [_table(setup, title, words) for title, words in WORDS.items()]


def _table(setup: Setup, title: str, words: tuple[str, ...]) -> Table:
    rows, agreed = [], []
    for case in CASES:
        kernels = {backend: _Kernel(program_named(case.name), words, backend) for backend in backends()}
        for sizes in [case.small] if setup.tiny else [case.small, case.large]:
            row, labels = _row(setup, case, case.sizes(sizes), words, kernels)
            rows.append(row)
            agreed += labels
    names = [f"symgrad {backend} us" for backend in backends()]
    header = (
        "",
        *names,
        "JAX us",
        "PyTorch us",
        "JAX / llvm",
        "PyTorch / llvm",
        "build llvm s",
        "build JAX s",
    )
    note = f"A call from Python; medians of {setup.rounds} rounds. Seed {setup.seed}."
    return Table(f"Tensor programs: {title}", header, tuple(rows), tuple(agreed), note)


class _Kernel:
    """A kernel and how long it took to make."""

    def __init__(self, program: SharedProgram, words: tuple[str, ...], backend: str) -> None:
        self.program, self.backend = program, backend
        with stopwatch() as seconds:
            self.kernel = sg.compile(program.expr, program.args, program.wrt, outputs=words, backend=backend)
        self.seconds = seconds[0]

    def contender(self, arguments: Arrays, tangents: Arrays) -> Contender:
        direction = {"tangent": tuple(tangents) if len(tangents) > 1 else tangents[0]} if tangents else {}
        call = partial(self.kernel, **direction)
        run = repeated(call, *arguments)
        return Contender(
            f"symgrad {self.backend}", "call", run, lambda: _flat(call(*arguments)), self.seconds
        )


def _row(
    setup: Setup, case: Case, sizes: Sizes, words: tuple[str, ...], kernels: Mapping[str, _Kernel]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    program = program_named(case.name)
    rng = np.random.RandomState(setup.seed % 2**32)
    values = program.make_inputs(rng, sizes)
    arguments = [values[name] for name in values]
    tangents = (
        [rng.random_sample(values[_name(s)].shape) - 0.5 for s in program.targets] if "hvp" in words else []
    )
    contenders = [k.contender(arguments, tangents) for k in kernels.values()]
    peers: dict[str, Contender] = {}
    if jax := setup.peer("jax"):
        peers["jax"] = _jax(jax, case, program, list(values), arguments, tangents)
    if torch := setup.peer("torch"):
        places = [list(values).index(_name(s)) for s in program.targets]
        peers["torch"] = torch_contender(torch, case.name, arguments, places, tangents)
    contenders += peers.values()
    agreed = compare(contenders, TOLERANCE)
    seconds = measure(contenders, setup)
    theirs = dict(zip(peers, seconds[len(kernels) :], strict=True))
    both = [theirs.get("jax"), theirs.get("torch")]
    times = [s * 1e6 for s in seconds[: len(kernels)]] + [s and s * 1e6 for s in both]
    label = f"{case.title} {' '.join(f'{k}={v}' for k, v in sizes.items())}"
    builds = [contenders[0].build, peers["jax"].build if jax else None]
    return (label, *map(number, [*times, *(s and s / seconds[0] for s in both), *builds])), agreed


def _jax(
    jax: Any, case: Case, program: SharedProgram, names: list[str], arguments: Arrays, tangents: Arrays
) -> Contender:
    jax.config.update("jax_enable_x64", True)
    places = tuple(names.index(_name(s)) for s in program.targets)

    def loss(*arrays: Any) -> Any:
        return case.loss(jax.numpy, *arrays)

    def value_and_gradients(*arrays: Any) -> tuple[Any, ...]:
        value, gradients = jax.value_and_grad(loss, places)(*arrays)
        return (value, *gradients)

    def product(*arrays: Any) -> tuple[Any, ...]:
        given, along = arrays[: len(names)], arrays[len(names) :]

        def gradients(*chosen: Any) -> Any:
            whole = list(given)
            for place, x in zip(places, chosen, strict=True):
                whole[place] = x
            return jax.grad(loss, places)(*whole)

        return tuple(jax.jvp(gradients, tuple(given[p] for p in places), along)[1])

    function = product if tangents else value_and_gradients
    return jax_contender(jax, function, [*arguments, *tangents])


def _name(symbol: Any) -> str:
    return str(symbol.label) if hasattr(symbol, "label") else str(symbol.name)


def _flat(x: Any) -> list[np.ndarray]:
    return [leaf for part in x for leaf in _flat(part)] if isinstance(x, tuple) else [np.asarray(x)]


if __name__ == "__main__":
    main(run)
