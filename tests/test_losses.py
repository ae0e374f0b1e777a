"""The losses with numbers put in by SymPy alone, and compiled, against JAX and SciPy; their errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import sympy as sp
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from test_nn import compare_with_jax, d, indexed, m, matrix, n, random, with_numbers

import symgrad as sg
from symgrad import losses, nn
from symgrad.errors import BadArgument, BadOption, ShapeMismatch

ARRAYS = {name: random(3, 2, seed=seed) for seed, name in enumerate("ABCD")}
PROBABILITIES = np.array([[0.1, 0.9], [1.0, 0.0], [0.4, 0.6]])


def huber_by_numpy(r: np.ndarray, delta: float) -> np.ndarray:
    return np.asarray(scipy.special.huber(delta, r))


def triplet_by_numpy(a: np.ndarray, p: np.ndarray, q: np.ndarray, margin: float) -> np.ndarray:
    return np.maximum(((a - p) ** 2).sum(-1) - ((a - q) ** 2).sum(-1) + margin, 0)


def gaussian_kl_by_matrices(m: np.ndarray, v: np.ndarray, q: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Row by row from the general formula with full covariance matrices."""
    rows = []
    for a, b, s, t in zip(m, q, np.exp(v), np.exp(u), strict=True):
        S, T = np.diag(s), np.diag(t)
        trace, distance = np.trace(np.linalg.solve(T, S)), (a - b) @ np.linalg.solve(T, a - b)
        rows.append((trace + distance - len(a) + np.log(np.linalg.det(T) / np.linalg.det(S))) / 2)
    return np.array(rows)


def cross_entropy_by_jax(Z: np.ndarray, Y: np.ndarray) -> np.ndarray:
    return np.asarray(-(jax.nn.log_softmax(jnp.asarray(Z)) * Y).sum(-1))


def binary_by_scipy(Z: np.ndarray, Y: np.ndarray) -> np.ndarray:
    p = scipy.special.expit(Z)
    return -(Y * np.log(p) + (1 - Y) * np.log(1 - p))


# name: the loss of arrays in either form and `reduction=`, its items by NumPy, the arrays it takes.
LOSSES: dict[str, tuple[Callable[..., Any], Callable[..., np.ndarray], list[np.ndarray]]] = {
    "squared_error": (losses.squared_error, lambda a, b: (a - b) ** 2, [ARRAYS["A"], ARRAYS["B"]]),
    "huber": (losses.huber, lambda a, b: huber_by_numpy(a - b, 1.0), [ARRAYS["A"], ARRAYS["B"]]),
    "huber with a delta": (
        lambda a, b, **k: losses.huber(a, b, delta=0.3, **k),
        lambda a, b: huber_by_numpy(a - b, 0.3),
        [ARRAYS["A"], ARRAYS["B"]],
    ),
    "binary_cross_entropy": (losses.binary_cross_entropy, binary_by_scipy, [ARRAYS["A"], PROBABILITIES]),
    "softmax_cross_entropy": (
        losses.softmax_cross_entropy,
        cross_entropy_by_jax,
        [ARRAYS["A"], PROBABILITIES],
    ),
    "softmax_cross_entropy of any weights": (
        losses.softmax_cross_entropy,
        cross_entropy_by_jax,
        [ARRAYS["A"], ARRAYS["B"]],
    ),
    "triplet": (losses.triplet, lambda *x: triplet_by_numpy(*x, 1.0), [ARRAYS[k] for k in "ABC"]),
    "triplet with a margin": (
        lambda *x, **k: losses.triplet(*x, margin=3, **k),
        lambda *x: triplet_by_numpy(*x, 3.0),
        [ARRAYS[k] for k in "ABC"],
    ),
    "gaussian_kl": (
        losses.gaussian_kl,
        lambda m, v: gaussian_kl_by_matrices(m, v, np.zeros_like(m), np.zeros_like(v)),
        [ARRAYS["A"], ARRAYS["B"]],
    ),
    "gaussian_kl from a prior": (losses.gaussian_kl, gaussian_kl_by_matrices, [ARRAYS[k] for k in "ABCD"]),
    "gaussian_kl from a prior of unit variance": (
        losses.gaussian_kl,
        lambda m, v, q: gaussian_kl_by_matrices(m, v, q, np.zeros_like(v)),
        [ARRAYS[k] for k in "ABC"],
    ),
}


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("form", [matrix, indexed])
@pytest.mark.parametrize("name", LOSSES)
def test_loss_equals_an_independent_formula(name: str, form: Any, reduction: str) -> None:
    ours, items, arrays = LOSSES[name]
    symbols = [form(letter, n, d) for letter in "PQRS"[: len(arrays)]]
    value = with_numbers(ours(*symbols, reduction=reduction), **dict(zip("PQRS", arrays, strict=False)))
    expected = items(*arrays).mean() if reduction == "mean" else items(*arrays).sum()
    assert value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("scores", [matrix("Z", n, d), indexed("Z", n, d)])
def test_label_cross_entropy_equals_that_of_one_hot_rows(scores: Any) -> None:
    labels = np.array([1, 0, 1])
    value = with_numbers(losses.label_cross_entropy(scores, indexed("y", n)), Z=ARRAYS["A"], y=labels)
    assert value == pytest.approx(cross_entropy_by_jax(ARRAYS["A"], np.eye(2)[labels]).mean(), rel=1e-12)


def test_label_cross_entropy_of_one_row_takes_a_label_without_axes() -> None:
    z, label = indexed("z", 2), sp.Symbol("label", integer=True)
    loss = losses.label_cross_entropy(z, nn.Entries((), lambda: label))
    assert loss == sp.log(sp.Sum(*_sum_of_exp(loss))) - z[label]


def _sum_of_exp(loss: sp.Expr) -> tuple[Any, ...]:
    (total,) = loss.atoms(sp.Sum)
    assert total.function == sp.exp(indexed("z", 2)[total.variables[0]])
    return (total.function, *total.limits)


def test_losses_of_one_sample_of_rank_one_need_no_axis_of_rows() -> None:
    a, b, c = (ARRAYS[k][0] for k in "ABC")
    p, q, r = (indexed(letter, 2) for letter in "PQR")
    assert with_numbers(losses.softmax_cross_entropy(p, q), P=a, Q=b) == pytest.approx(
        cross_entropy_by_jax(a, b)
    )
    assert with_numbers(losses.triplet(p, q, r), P=a, Q=b, R=c) == pytest.approx(
        triplet_by_numpy(a, b, c, 1.0)
    )


def test_index_form_sums_over_every_axis_of_higher_ranks() -> None:
    X, Y = random(2, 3, 2, seed=1), random(2, 3, 2, seed=2)
    x, y = indexed("X", 2, n, d), indexed("Y", 2, n, d)
    assert with_numbers(losses.squared_error(x, y), X=X, Y=Y) == pytest.approx(((X - Y) ** 2).mean())
    expected = cross_entropy_by_jax(X, Y).mean()
    assert with_numbers(losses.softmax_cross_entropy(x, y), X=X, Y=Y) == pytest.approx(expected)


def test_loss_of_layers_in_index_form_equals_jax() -> None:
    X, W, V = random(3, 2), random(2, 4), random(4, 2)
    h = nn.relu(nn.linear(indexed("X", n, d), indexed("W", d, 4)))
    loss = losses.softmax_cross_entropy(nn.linear(h, indexed("V", 4, d)), indexed("Y", n, d))
    expected = cross_entropy_by_jax(np.maximum(X @ W, 0) @ V, PROBABILITIES).mean()
    assert with_numbers(loss, X=X, W=W, V=V, Y=PROBABILITIES) == pytest.approx(expected, rel=1e-12)


def test_a_matrix_beside_an_indexed_array_gives_the_index_form() -> None:
    loss = losses.squared_error(matrix("P", n, d), indexed("Q", n, d))
    assert not loss.has(sp.Trace)
    value = with_numbers(loss, P=ARRAYS["A"], Q=ARRAYS["B"])
    assert value == pytest.approx(((ARRAYS["A"] - ARRAYS["B"]) ** 2).mean(), rel=1e-12)


def test_cross_entropy_is_written_in_the_form_the_compiler_recognises() -> None:
    Z, Y = matrix("Z", n, d), matrix("Y", n, d)
    (normaliser,) = (
        f
        for f in losses.softmax_cross_entropy(Z, Y).atoms(ElementwiseApplyFunction)
        if f.function.expr.func is sp.log
    )
    assert normaliser.shape == (n, 1)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (
            lambda: losses.squared_error(matrix("P", n, d), matrix("Y", d, n)),
            ShapeMismatch,
            "prediction and target",
        ),
        (lambda: losses.huber(indexed("P", n), indexed("Y", d)), ShapeMismatch, "prediction and target"),
        (lambda: losses.huber(matrix("P", n, d), matrix("Y", n, d), delta=0), BadOption, "delta is 0"),
        (lambda: losses.binary_cross_entropy(1, indexed("Y", n)), BadArgument, "1 is not an array"),
        (
            lambda: losses.softmax_cross_entropy(matrix("Z", n, d), matrix("Y", n, 1)),
            ShapeMismatch,
            "and target",
        ),
        (
            lambda: losses.label_cross_entropy(matrix("Z", n, d), indexed("y", d)),
            ShapeMismatch,
            "axis 0 of labels",
        ),
        (
            lambda: losses.label_cross_entropy(matrix("Z", n, d), indexed("y", n, 1)),
            ShapeMismatch,
            "labels has 2",
        ),
        (lambda: losses.triplet(*(matrix(k, n, d) for k in "ABC"), margin=-1), BadOption, "margin is -1"),
        (
            lambda: losses.triplet(*(indexed(k, n, d) for k in "AB"), indexed("C", n)),
            ShapeMismatch,
            "negative",
        ),
        (
            lambda: losses.gaussian_kl(matrix("M", n, d), matrix("V", n, 1)),
            ShapeMismatch,
            "mean and log_variance",
        ),
        (
            lambda: losses.squared_error(matrix("P", n, d), matrix("Y", n, d), reduction="median"),
            BadOption,
            "reduction is 'median'",
        ),
    ],
)
def test_bad_input_is_an_error_that_names_it(build: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build()


# ---- compiled: one kernel, two sets of sizes, against JAX ----------------------------------------


def huber_by_jax(r: Any, delta: float) -> Any:
    return jnp.where(jnp.abs(r) <= delta, r**2 / 2, delta * (jnp.abs(r) - delta / 2))


def kl_by_jax(m: Any, v: Any, q: Any = 0.0, u: Any = 0.0) -> Any:
    return ((jnp.exp(v - u) + (m - q) ** 2 * jnp.exp(-u) - 1 - v + u) / 2).sum(-1).mean()


# name: the loss, the same by JAX, the number of arrays.
COMPILED: dict[str, tuple[Callable[..., Any], Callable[..., Any], int]] = {
    "squared_error": (losses.squared_error, lambda p, y: ((p - y) ** 2).mean(), 2),
    "huber": (lambda p, y: losses.huber(p, y, 0.7), lambda p, y: huber_by_jax(p - y, 0.7).mean(), 2),
    "binary_cross_entropy": (
        losses.binary_cross_entropy,
        lambda z, y: (jax.nn.softplus(z) - y * z).mean(),
        2,
    ),
    "softmax_cross_entropy": (
        losses.softmax_cross_entropy,
        lambda z, y: -(jax.nn.log_softmax(z) * y).sum(-1).mean(),
        2,
    ),
    "triplet": (
        losses.triplet,
        lambda a, p, q: jax.nn.relu(((a - p) ** 2 - (a - q) ** 2).sum(-1) + 1).mean(),
        3,
    ),
    "gaussian_kl": (losses.gaussian_kl, kl_by_jax, 2),
    "gaussian_kl from a prior": (losses.gaussian_kl, kl_by_jax, 4),
}


@pytest.mark.parametrize("form", [matrix, indexed])
@pytest.mark.parametrize("name", COMPILED)
def test_compiled_loss_has_the_value_and_gradient_of_jax(name: str, form: Any) -> None:
    loss, by_jax, count = COMPILED[name]
    symbols = {letter: form(letter, n, d) for letter in "PQRS"[:count]}
    compare_with_jax(loss(*symbols.values()), symbols, dict.fromkeys(symbols, (n, d)), by_jax)


@pytest.mark.parametrize("form", [matrix, indexed])
def test_compiled_label_cross_entropy_has_the_value_and_gradient_of_jax(form: Any) -> None:
    Z, y = form("Z", n, d), indexed("y", n)
    kernel = sg.compile(losses.label_cross_entropy(Z, y), args=(Z, y), wrt=Z, outputs=("value", "grad"))

    def by_jax(scores: Any, labels: Any) -> Any:
        return -jnp.take_along_axis(jax.nn.log_softmax(scores), labels[:, None], axis=1).mean()

    for scores, labels in ((random(3, 2), np.array([1, 0, 1])), (random(5, 4), np.array([3, 3, 0, 1, 2]))):
        value, gradient = kernel(scores, labels)
        expected, expected_gradient = jax.jit(jax.value_and_grad(by_jax))(scores, labels)
        np.testing.assert_allclose(value, expected, rtol=1e-12)
        np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("form", [matrix, indexed])
def test_compiled_cross_entropy_of_a_linear_layer_has_the_gradient_of_jax(form: Any) -> None:
    shapes = {"X": (n, m), "W": (m, d), "Y": (n, d)}
    symbols = {name: form(name, *shape) for name, shape in shapes.items()}
    X, W, Y = symbols.values()
    loss = losses.softmax_cross_entropy(nn.linear(X, W), Y)
    compare_with_jax(loss, symbols, shapes, lambda X, W, Y: -(jax.nn.log_softmax(X @ W) * Y).sum(-1).mean())


@pytest.mark.parametrize("form", [matrix, indexed])
@pytest.mark.parametrize("loss", [losses.softmax_cross_entropy, losses.binary_cross_entropy])
def test_compiled_cross_entropy_of_huge_scores_is_exact(loss: Any, form: Any) -> None:
    Z, Y = form("Z", n, d), form("Y", n, d)
    kernel = sg.compile(loss(Z, Y, reduction="sum"), args=(Z, Y), wrt=Z, outputs=("value", "grad"))
    value, gradient = kernel(np.array([[1e4, -1e4], [-1e4, 1e4]]), np.array([[1.0, 0.0], [1.0, 0.0]]))
    # Right in the first row: no loss. Wrong in the second: 2e4 for the pair, 1e4 for each entry alone.
    assert value == 2e4
    np.testing.assert_array_equal(gradient, [[0.0, 0.0], [-1.0, 1.0]])
