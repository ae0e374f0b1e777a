"""The shared programs once more, written as array programs that know nothing of SymPy or of symgrad.

Every function takes a namespace `xp` and the inputs by name, and returns the value. `xp` is `jax.numpy` with
a few additions, or the high-precision namespace of `high_precision.py`; so a formula uses whole arrays and no
assignment, and guards the arguments of branches that are not taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any
Inputs = dict[str, Array]
Formula = Callable[[Any, Inputs], Array]


def _square(v: Array) -> Array:
    return v * v


def _cross_entropy(xp: Any, logits: Array, picked: Array) -> Array:
    return xp.sum(xp.logsumexp(logits, 1) - picked) / logits.shape[0]


def dense_matrix(xp: Any, a: Inputs) -> Array:
    logits = xp.tanh(a["X"] @ a["W1"] + a["b1"]) @ a["W2"] + a["b2"]
    return _cross_entropy(xp, logits, xp.sum(a["Y"] * logits, 1))


def dense_index(xp: Any, a: Inputs) -> Array:
    logits = xp.tanh(a["X"] @ a["W1"] + a["b1"][None, :]) @ a["W2"] + a["b2"][None, :]
    return _cross_entropy(xp, logits, logits[np.arange(logits.shape[0]), a["label"]])


def convolution(xp: Any, a: Inputs) -> Array:
    x, w = a["x"], a["w"]
    length = x.shape[2] - w.shape[2] + 1
    windows = [w[:, :, k] @ x[:, :, k : k + length] for k in range(w.shape[2])]
    return xp.sum(_square(xp.tanh(sum(windows))))


def strided_convolution(xp: Any, a: Inputs) -> Array:
    starts = 2 * np.arange(a["y"].shape[0])[:, None] + np.arange(a["w"].shape[0])[None, :]
    return xp.sum(_square(a["x"][starts] @ a["w"] - a["y"])) / 2


def _attention(xp: Any, a: Inputs, temperature: Array) -> Array:
    scores = a["Q"] @ a["K"].T / (temperature * xp.sqrt(xp.number(a["Q"].shape[1])))
    weights = xp.exp(scores - xp.logsumexp(scores, 1)[:, None])
    return xp.sum(_square(weights @ a["V"] - a["R"]))


def attention_index(xp: Any, a: Inputs) -> Array:
    return _attention(xp, a, a["tau"])


def attention_matrix(xp: Any, a: Inputs) -> Array:
    return _attention(xp, a, xp.number(1))


def batch_norm(xp: Any, a: Inputs) -> Array:
    rows = a["X"].shape[0]
    centred = a["X"] - (xp.sum(a["X"], 0) / rows)[None, :]
    deviation = xp.sqrt(xp.sum(_square(centred), 0) / rows + xp.number(1) / 100)
    return xp.sum(xp.tanh(a["gamma"] * centred / deviation[None, :] + a["beta"]) * a["R"])


def embedding(xp: Any, a: Inputs) -> Array:
    return xp.sum(_square(xp.tanh(a["E"][a["token"]] @ a["u"])))


def max_pool(xp: Any, a: Inputs) -> Array:
    even, odd, w = a["x"][::2], a["x"][1::2], a["w"]
    pooled = xp.maximum(even, odd)
    smallest = xp.minimum(xp.minimum(even * even, pooled), w)
    return xp.sum(xp.tanh(pooled) * w + xp.where(pooled > 0, pooled * pooled, 0 * pooled) + smallest**3)


def gated_unit(xp: Any, a: Inputs) -> Array:
    gated = (a["X"] @ a["W"]) / (1 + xp.exp(-(a["X"] @ a["G"])))
    return xp.sum(_square(xp.where(gated > 0, gated, gated / 10))) / a["X"].shape[0]


def mixture_full(xp: Any, a: Inputs) -> Array:
    samples, width = a["x"].shape
    below = np.tril(np.ones((width, width)), -1) > 0
    low = xp.where(below[None], a["l"], 0 * a["l"])
    centred = a["x"][:, None, :] - a["mu"][None]
    scaled = xp.exp(a["s"])[None] * centred + xp.sum(low[None] * centred[:, :, None, :], 3)
    inner = (a["alpha"] + xp.sum(a["s"], 1))[None, :] - xp.sum(_square(scaled), 2) / 2
    constant = samples * width * xp.log(2 * xp.pi) / 2
    prior = (xp.sum(xp.exp(2 * a["s"])) + xp.sum(_square(low))) / 2
    return xp.sum(xp.logsumexp(inner, 1)) - samples * xp.logsumexp(a["alpha"], 0) - constant - prior


def mixture_diagonal(xp: Any, a: Inputs) -> Array:
    centred = a["x"][:, None, :] - a["mu"][None]
    inner = a["alpha"][None, :] + xp.sum(a["s"][None] - _square(xp.exp(a["s"])[None] * centred) / 2, 2)
    return xp.logsumexp(a["alpha"], 0) - xp.sum(xp.logsumexp(inner, 1)) / a["x"].shape[0]


def logistic_regression(xp: Any, a: Inputs) -> Array:
    margins = a["y"] * (a["X"] @ a["w"] + a["b"])
    return xp.sum(xp.log1p(xp.exp(-margins))) / margins.shape[0] + a["penalty"] * xp.sum(_square(a["w"])) / 2


def huber_regression(xp: Any, a: Inputs) -> Array:
    size = abs(a["X"] @ a["w"] - a["y"])
    return xp.sum(xp.where(size <= a["width"], size * size / 2, a["width"] * (size - a["width"] / 2)))


def log_sum_exp_far(xp: Any, a: Inputs) -> Array:
    return xp.logsumexp(a["x"], 0)


def softmax_cold(xp: Any, a: Inputs) -> Array:
    scores = a["x"] / a["tau"]
    return xp.sum(a["u"] * xp.exp(scores - xp.logsumexp(scores, 0)))


def relative_entropy(xp: Any, a: Inputs) -> Array:
    y, w = a["y"], a["w"]
    safe = xp.where(y > 0, y, 1 + 0 * y)
    return xp.sum(y * (xp.log(safe) - w) - y + xp.exp(w))


def _orthogonality(xp: Any, a: Inputs) -> Array:
    return xp.sum(_square(a["W"].T @ a["W"] - np.eye(a["W"].shape[1], dtype=int)))


def trace_cube(xp: Any, a: Inputs) -> Array:
    return xp.trace(a["W"] @ a["W"] @ a["W"])


def exp_trace(xp: Any, a: Inputs) -> Array:
    return xp.exp(xp.sum(a["B"] * a["C"].T))


def log_trace_squared(xp: Any, a: Inputs) -> Array:
    return 2 * xp.log(abs(xp.sum(a["B"] * a["C"].T)))


def frobenius_norm(xp: Any, a: Inputs) -> Array:
    return xp.sqrt(xp.sum(_square(a["A"]))) + xp.sqrt(xp.sum(_square(a["A"] @ a["B"])) + 1) + 1


def weighted_least_squares(xp: Any, a: Inputs) -> Array:
    return xp.sum(a["w"] * _square(a["X"] @ a["b"] - a["y"]))


def block_quadratic(xp: Any, a: Inputs) -> Array:
    x, y = a["x"], a["y"]
    return xp.sum(x * (a["A"] @ x)) + 2 * xp.sum(x * (a["B"] @ y)) + xp.sum(y * (a["C"] @ y))


def transposed_elements(xp: Any, a: Inputs) -> Array:
    return xp.sum(xp.sin(a["W"] * a["W"].T) * (1 + np.arange(a["W"].shape[0])[:, None]))


def log_determinant(xp: Any, a: Inputs) -> Array:
    return xp.log(xp.det(a["A"]))


def determinant_times_trace(xp: Any, a: Inputs) -> Array:
    return xp.det(a["A"] / a["A"].shape[0]) * (xp.sum(a["A"] * a["B"].T) + 1)


def inverse_form(xp: Any, a: Inputs) -> Array:
    return xp.sum(a["b"] * (xp.inverse(a["A"]) @ a["b"]))


def regularised_log_determinant(xp: Any, a: Inputs) -> Array:
    return xp.log(xp.det(a["X"].T @ a["X"] + np.eye(a["X"].shape[1], dtype=int)))


def negative_power(xp: Any, a: Inputs) -> Array:
    once = xp.inverse(a["W"])
    mixed = xp.trace(once @ (once @ once @ once).T)
    return xp.sum(once * once.T) * a["W"].shape[0] + xp.sqrt(1 + mixed * mixed)


def gaussian_likelihood(xp: Any, a: Inputs) -> Array:
    samples, width = a["X"].shape
    centred = a["X"] - a["m"].T
    distances = xp.sum((centred @ xp.inverse(a["S"])) * centred)
    return -(samples * xp.log(xp.det(a["S"])) + distances + samples * width * xp.log(2 * xp.pi)) / 2


def rosenbrock(xp: Any, a: Inputs) -> Array:
    here, there = a["x"][:-1], a["x"][1:]
    return xp.sum(100 * _square(there - here * here) + _square(1 - here))


def banded_form(xp: Any, a: Inputs) -> Array:
    rows = np.arange(a["x"].shape[0])
    band = 2 * (rows[:, None] == rows) - 1 * (abs(rows[:, None] - rows) == 1)
    return xp.sum(xp.sin(a["x"])[:, None] * a["A"] * a["x"][None, :] * band)


def _lennard_jones(xp: Any, a: Inputs) -> Array:
    first, second = np.tril_indices(a["x"].shape[0], -1)
    cube = xp.sum(_square(a["x"][first] - a["x"][second]), 1) ** 3
    return xp.sum(4 * (1 - cube) / (cube * cube))


def total_variation(xp: Any, a: Inputs) -> Array:
    corner, down, right = a["u"][:-1, :-1], a["u"][1:, :-1], a["u"][:-1, 1:]
    return xp.sum(xp.sqrt(_square(down - corner) + _square(right - corner) + xp.number(1) / 100))


def product_with_zeros(xp: Any, a: Inputs) -> Array:
    return xp.prod(a["x"]) + xp.sum(_square(a["x"])) / 2


def product_of_rows(xp: Any, a: Inputs) -> Array:
    factors = 1 + _square(a["x"] @ a["w"])
    return xp.sum(xp.log(factors)) + xp.prod(factors) / 100


def prefix_products(xp: Any, a: Inputs) -> Array:
    return sum(xp.prod(a["x"][: k + 1]) for k in range(a["x"].shape[0]))


def guarded_root(xp: Any, a: Inputs) -> Array:
    y = a["x"] - a["x"][::-1] * a["w"] / 3
    root = xp.sqrt(xp.where(y > 0, y, 1 + 0 * y))
    return xp.sum(xp.where(y > 0, root * a["w"], y * y - a["w"]))


def reused_index(xp: Any, a: Inputs) -> Array:
    x = a["x"]
    cubes = xp.sum((x - xp.sum(x) / x.shape[0]) ** 3)
    return xp.sum(xp.tanh(x * cubes)) + xp.sum(x) * xp.sum(x * x)


def _hidden(xp: Any, a: Inputs) -> Array:
    """The hidden layer for every sample: its derivatives by hand are functions of it."""
    return xp.tanh(a["X"] @ a["W"].T + a["b"])


def gradient_penalty(xp: Any, a: Inputs) -> Array:
    slopes = (a["v"] * (1 - _square(_hidden(xp, a)))) @ a["W"]
    return xp.sum(_square(xp.sqrt(xp.sum(_square(slopes), 1)) - 1)) / a["X"].shape[0]


def score_matching(xp: Any, a: Inputs) -> Array:
    t = _hidden(xp, a)
    first = (a["v"] * (1 - _square(t))) @ a["W"] - a["X"]
    second = (a["v"] * -2 * t * (1 - _square(t))) @ _square(a["W"]) - 1
    return xp.sum(second + _square(first) / 2) / a["X"].shape[0]


def physics_informed(xp: Any, a: Inputs) -> Array:
    t, w, b, v = a["t"], a["w"], a["b"], a["v"]
    hidden = xp.tanh(t[:, None] * w + b)
    bent = -2 * hidden * (1 - _square(hidden)) * _square(w)
    ends = _square(xp.sum(v * xp.tanh(b))) + _square(xp.sum(v * xp.tanh(w * xp.pi / 2 + b)) - 1)
    return xp.sum(_square((bent + hidden) @ v)) / t.shape[0] + ends


def scalar_derivatives(xp: Any, a: Inputs) -> Array:
    x, y = a["x"], a["y"]
    s, c = xp.sin(x * y), xp.cos(x * y)
    mixed = xp.exp(x) * (c + x * c - x * y * s)
    q = 1 + x * x * y * y
    repeated = 4 * x * y**4 * (x * x * y * y - 3) / q**3
    z = x * x + y
    moved = xp.exp(z * y) * (y * xp.tanh(z) + 1 - _square(xp.tanh(z)))
    return mixed * repeated + moved * moved


def _twist_cos_sin(xp: Any) -> list[tuple[Array, Array]]:
    sevenths = (xp.cos(xp.pi / 7), xp.sin(xp.pi / 7))
    return [(0, 1), (1, 0), (1, 0), (0, 1), (0, -1), sevenths]


def _arm(xp: Any, a: Inputs) -> list[Array]:
    """The twelve entries of the hand's pose, found by carrying three axes and a point from joint to joint."""
    lengths = [0, -425, -390, 0, 0, 20]
    offsets = [90, 0, 0, 110, 95, 80]
    one, nil = 1 + 0 * a["q1"], 0 * a["q1"]
    u, v, w, point = [one, nil, nil], [nil, one, nil], [nil, nil, one], [nil, nil, nil]
    for joint, (ca, sa) in enumerate(_twist_cos_sin(xp)):
        c, s = xp.cos(a[f"q{joint + 1}"]), xp.sin(a[f"q{joint + 1}"])
        length, offset = xp.number(lengths[joint]) / 1000, xp.number(offsets[joint]) / 1000
        turned = [c * p + s * q for p, q in zip(u, v, strict=True)]
        across = [c * q - s * p for p, q in zip(u, v, strict=True)]
        point = [p + offset * z + length * t for p, z, t in zip(point, w, turned, strict=True)]
        u, v, w = (
            turned,
            [ca * p + sa * z for p, z in zip(across, w, strict=True)],
            [ca * z - sa * p for p, z in zip(across, w, strict=True)],
        )
    return [entry for row in zip(u, v, w, point, strict=True) for entry in row]


def arm_pose(xp: Any, a: Inputs) -> Array:
    return xp.stack(_arm(xp, a))


def arm_distance(xp: Any, a: Inputs) -> Array:
    return sum(_square(entry - a[f"g{k + 1}"]) for k, entry in enumerate(_arm(xp, a)))


def rosenbrock_two(xp: Any, a: Inputs) -> Array:
    return 100 * _square(a["y"] - a["x"] * a["x"]) + _square(1 - a["x"])


def elementary(xp: Any, a: Inputs) -> Array:
    x, y, z = a["x"], a["y"], a["z"]
    circular = xp.sin(x * y) + xp.cos(z) * xp.tan(x) + xp.arcsin(x) * xp.arccos(y) + xp.arctan(x + z)
    hyperbolic = xp.sinh(x) * xp.cosh(y) + xp.tanh(x * z) + xp.arcsinh(z) + xp.arccosh(1 + x)
    powers = xp.exp(-x) * xp.log(y + z) + xp.sqrt(x + y) + xp.exp(y * xp.log(x)) + z * xp.sqrt(z) + y**-3
    more = xp.arctan2(y, z) + xp.arctanh(y / 2) + xp.exp(z * xp.log(xp.number(2))) + xp.cbrt(x)
    largest, smallest = xp.maximum(xp.maximum(x, z), y), xp.minimum(x * y, z * z)
    kinked = abs(x - y) * z + largest + smallest + xp.where(x > z, y, -y)
    return circular + hyperbolic + powers + more + kinked


def special_functions(xp: Any, a: Inputs) -> Array:
    x, y = a["x"], a["y"]
    angle = x + 2 * y
    return xp.erf(x * y) + xp.erfc(y) * x + xp.sin(angle) / angle * y + xp.log(xp.erfc(x - y))


def branches(xp: Any, a: Inputs) -> Array:
    x, y = a["x"], a["y"]
    inside = (x > 0) & ((y > 0) | (x > 1))
    nested = xp.where(y > 0.5, xp.sqrt(xp.where(y > 0.5, y, 1 + 0 * y)), y**3)
    outside = x * y * y + xp.where(y > 0, y, 0 * y)
    return xp.where(inside, xp.log(xp.where(inside, x, 1 + 0 * x)) * nested, outside) + xp.exp(x)


FORMULAS: dict[str, Formula] = {
    formula.__name__: formula
    for formula in (
        dense_matrix,
        dense_index,
        convolution,
        strided_convolution,
        attention_index,
        attention_matrix,
        batch_norm,
        embedding,
        max_pool,
        gated_unit,
        mixture_full,
        mixture_diagonal,
        logistic_regression,
        huber_regression,
        log_sum_exp_far,
        softmax_cold,
        relative_entropy,
        trace_cube,
        exp_trace,
        log_trace_squared,
        frobenius_norm,
        weighted_least_squares,
        block_quadratic,
        transposed_elements,
        log_determinant,
        determinant_times_trace,
        inverse_form,
        regularised_log_determinant,
        negative_power,
        gaussian_likelihood,
        rosenbrock,
        banded_form,
        total_variation,
        product_with_zeros,
        product_of_rows,
        prefix_products,
        guarded_root,
        reused_index,
        gradient_penalty,
        score_matching,
        physics_informed,
        scalar_derivatives,
        arm_pose,
        arm_distance,
        rosenbrock_two,
        elementary,
        special_functions,
        branches,
    )
} | {
    "orthogonality_matrix": _orthogonality,
    "orthogonality_index": _orthogonality,
    "lennard_jones_pairs": _lennard_jones,
    "lennard_jones_guarded": _lennard_jones,
}
