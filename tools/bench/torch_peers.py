"""PyTorch's own differentiation of the tensor programs, run eagerly: losses by name, and a contender."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from common import Contender


def _network(torch: Any, x: Any, label: Any, w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
    logits = torch.tanh(x @ w1 + b1) @ w2 + b2
    return torch.nn.functional.cross_entropy(logits, label.long())


def _convolution(torch: Any, x: Any, w: Any) -> Any:
    return (torch.tanh(torch.nn.functional.conv1d(x, w)) ** 2).sum()


def _attention(torch: Any, q: Any, k: Any, v: Any, r: Any, tau: Any) -> Any:
    return ((torch.softmax(q @ k.T / (tau * math.sqrt(q.shape[1])), 1) @ v - r) ** 2).sum()


def _batch_norm(torch: Any, x: Any, r: Any, gamma: Any, beta: Any) -> Any:
    normal = (x - x.mean(0)) / torch.sqrt(x.var(0, correction=0) + 0.01)
    return (torch.tanh(gamma * normal + beta) * r).sum()


def _orthogonality(torch: Any, w: Any) -> Any:
    return ((w.T @ w - torch.eye(w.shape[1], dtype=w.dtype)) ** 2).sum()


def _mixture(torch: Any, x: Any, alpha: Any, mu: Any, s: Any, low: Any) -> Any:
    n, d = x.shape
    below = torch.tril(low, -1)
    centred = x[:, None, :] - mu[None]
    scaled = torch.exp(s)[None] * centred + torch.einsum("kpq,nkq->nkp", below, centred)
    inner = alpha + s.sum(1) - (scaled**2).sum(2) / 2
    fit = torch.logsumexp(inner, 1).sum()
    normaliser = n * torch.logsumexp(alpha, 0) + n * d * math.log(2 * math.pi) / 2
    return fit - normaliser - (torch.exp(2 * s).sum() + (below**2).sum()) / 2


LOSSES: dict[str, Callable[..., Any]] = {
    "dense_index": _network,
    "convolution": _convolution,
    "attention_index": _attention,
    "batch_norm": _batch_norm,
    "orthogonality_matrix": _orthogonality,
    "mixture_full": _mixture,
}


def torch_contender(
    torch: Any, name: str, arguments: Sequence[np.ndarray], places: Sequence[int], along: Sequence[np.ndarray]
) -> Contender:
    """Value and gradients by the arguments at `places`; with `along`, the Hessian times these directions."""
    torch.set_num_threads(1)
    values = [torch.as_tensor(np.asarray(x, dtype=np.float64)) for x in arguments]
    directions = [torch.as_tensor(np.asarray(x, dtype=np.float64)) for x in along]
    chosen = [values[p].requires_grad_() for p in places]

    def gradients() -> tuple[Any, ...]:
        value = LOSSES[name](torch, *values)
        return (value.detach(), *torch.autograd.grad(value, chosen))

    def product() -> tuple[Any, ...]:
        slopes = torch.autograd.grad(LOSSES[name](torch, *values), chosen, create_graph=True)
        return tuple(torch.autograd.grad(slopes, chosen, directions))

    call = product if along else gradients

    def run(times: int) -> None:
        for _ in range(times):
            call()

    return Contender("PyTorch", "call", run, lambda: [x.numpy() for x in call()])
