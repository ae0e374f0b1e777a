"""The layers with numbers put in by SymPy alone, and compiled, against JAX and NumPy; their errors."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
import sympy as sp

import symgrad as sg
from symgrad import nn
from symgrad.entries import Entries, Where, entries, piecewise_to_where, sum_entries
from symgrad.errors import BadArgument, BadOption, ShapeMismatch

jax.config.update("jax_enable_x64", True)

n, m, d, c = sp.symbols("n m d c", integer=True, positive=True)
SIZES = {n: 3, m: 4, d: 2, c: 5}
CLOSE = {"rtol": 1e-12, "atol": 1e-14}


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def with_numbers(expression: Any, **arrays: np.ndarray) -> Any:
    """The expression with sizes and arrays put in: a float, or an array for a matrix expression.

    Nothing of symgrad takes part: sums are written out by SymPy, and elements are replaced by numbers.
    """
    result = expression.subs(SIZES)
    for symbol in result.atoms(sp.MatrixSymbol):
        result = result.subs(symbol, sp.Matrix(arrays[symbol.name]))
    traces = {trace: trace.arg.as_explicit().trace() for trace in result.atoms(sp.Trace)}
    result = result.xreplace(traces).doit()
    result = result.as_explicit() if isinstance(result, sp.MatrixExpr) else result
    for _ in range(2):  # twice: an index may itself be an element, Z[0, labels[0]]
        elements = {e: sp.sympify(arrays[str(e.base)][e.indices].item()) for e in constant_elements(result)}
        result = result.xreplace(elements)
    result = result.evalf()
    return np.array(result, dtype=float) if isinstance(result, sp.MatrixBase) else float(result)


def constant_elements(expression: Any) -> list[sp.Indexed]:
    return [e for e in expression.atoms(sp.Indexed) if all(i.is_Integer for i in e.indices)]


def array_of(result: Entries, **arrays: np.ndarray) -> np.ndarray:
    """Every entry of a result in index form, with the numbers put in."""
    shape = tuple(int(size.subs(SIZES)) for size in result.shape)
    indices = [sp.Symbol(f"i{axis}", integer=True) for axis in range(len(shape))]
    entry = result[tuple(indices)]
    values = np.empty(shape)
    for place in np.ndindex(*shape):
        values[place] = with_numbers(entry.subs(dict(zip(indices, place, strict=True))), **arrays)
    return values


def matrix(name: str, *shape: Any) -> sp.MatrixSymbol:
    return sp.MatrixSymbol(name, *shape)


def indexed(name: str, *shape: Any) -> sp.IndexedBase:
    return sp.IndexedBase(name, shape=shape)


ACTIVATIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "relu": (nn.relu, jax.nn.relu),
    "leaky_relu": (nn.leaky_relu, jax.nn.leaky_relu),
    "leaky_relu with a slope": (lambda x: nn.leaky_relu(x, 0.3), lambda x: jax.nn.leaky_relu(x, 0.3)),
    "elu": (nn.elu, jax.nn.elu),
    "elu with an alpha": (lambda x: nn.elu(x, 0.7), lambda x: jax.nn.elu(x, 0.7)),
    "selu": (nn.selu, jax.nn.selu),
    "gelu": (nn.gelu, lambda x: jax.nn.gelu(x, approximate=False)),
    "gelu by tanh": (lambda x: nn.gelu(x, approximate=True), lambda x: jax.nn.gelu(x, approximate=True)),
    "sigmoid": (nn.sigmoid, jax.nn.sigmoid),
    "silu": (nn.silu, jax.nn.silu),
    "tanh": (nn.tanh, jnp.tanh),
    "softplus": (nn.softplus, jax.nn.softplus),
    "softsign": (nn.softsign, jax.nn.soft_sign),
    "hard_tanh": (nn.hard_tanh, jax.nn.hard_tanh),
    "mish": (nn.mish, jax.nn.mish),
}
POINTS = np.array([[-3.7, -1.0, -0.4], [0.0, 0.3, 1.0], [1.7, 4.2, -0.01]])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_of_a_matrix_and_of_an_indexed_array_equals_jax(name: str) -> None:
    ours, theirs = ACTIVATIONS[name]
    expected = np.asarray(theirs(jnp.asarray(POINTS)))
    by_matrix = with_numbers(ours(matrix("X", n, 3)), X=POINTS)
    by_index = array_of(ours(indexed("X", 3, 3)), X=POINTS)
    np.testing.assert_allclose(by_matrix, expected, **CLOSE)
    np.testing.assert_allclose(by_index, expected, **CLOSE)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivative_of_an_activation_equals_jax_away_from_kinks(name: str) -> None:
    ours, theirs = ACTIVATIONS[name]
    x = sp.Symbol("x", real=True)
    slope = ours(x).diff(x)
    for point in (-3.7, -0.4, 0.3, 1.7):
        assert float(slope.subs(x, point)) == pytest.approx(float(jax.grad(theirs)(point)), rel=1e-12)


@pytest.mark.parametrize(
    ("activation", "at", "derivative"),
    [
        (nn.relu, 0, 0),
        (nn.leaky_relu, 0, 1),
        (lambda x: nn.elu(x, 3), 0, 1),
        (nn.hard_tanh, 1, 1),
        (nn.hard_tanh, -1, 1),
    ],
)
def test_derivative_at_a_kink_is_the_documented_one(activation: Any, at: int, derivative: int) -> None:
    x = sp.Symbol("x", real=True)
    assert activation(x).diff(x).subs(x, at) == derivative


def test_swish_is_silu() -> None:
    assert nn.swish is nn.silu


def test_activation_of_a_number_is_a_number() -> None:
    assert nn.relu(-2) == 0
    assert nn.relu(3) == 3


def test_activation_of_an_explicit_matrix_is_explicit() -> None:
    assert nn.relu(sp.Matrix([[-1, 2]])) == sp.Matrix([[0, 2]])


def test_text_is_not_evaluated_as_a_scalar() -> None:
    with pytest.raises(BadArgument, match="is not a scalar"):
        nn.relu("x")


def test_linear_with_bias_equals_numpy_in_both_forms() -> None:
    X, W, b = random(3, 2), random(2, 5), random(1, 5)
    expected = X @ W + b
    by_matrix = nn.linear(matrix("X", n, d), matrix("W", d, c), matrix("b", 1, c))
    by_index = nn.linear(indexed("X", n, d), indexed("W", d, c), indexed("b", c))
    np.testing.assert_allclose(with_numbers(by_matrix, X=X, W=W, b=b), expected, **CLOSE)
    np.testing.assert_allclose(array_of(by_index, X=X, W=W, b=b[0]), expected, **CLOSE)


def test_linear_mixes_matrices_with_indexed_arrays() -> None:
    X, W, b = random(3, 2), random(2, 5), random(1, 5)
    result = nn.linear(indexed("X", n, d), matrix("W", d, c), matrix("b", 1, c))
    np.testing.assert_allclose(array_of(result, X=X, W=W, b=b), X @ W + b, **CLOSE)


def test_two_layers_with_relu_keep_every_index_inside_its_sum() -> None:
    h = nn.linear(nn.relu(nn.linear(indexed("X", n, d), indexed("W", d, c))), indexed("V", c, m))
    i, j = sp.symbols("i j", integer=True)
    assert not [s for s in h[i, j].free_symbols if isinstance(s, sp.Dummy)]
    X, W, V = random(3, 2), random(2, 5), random(5, 4)
    np.testing.assert_allclose(array_of(h, X=X, W=W, V=V), np.maximum(X @ W, 0) @ V, **CLOSE)


def test_a_sum_over_relu_layers_written_by_the_user_is_right() -> None:
    h = nn.linear(nn.relu(nn.linear(indexed("X", n, d), indexed("W", d, c))), indexed("V", c, m))
    i, j = sp.symbols("i j", integer=True)
    total = sp.Sum(h[i, j] ** 2, (i, 0, n - 1), (j, 0, m - 1))
    X, W, V = random(3, 2), random(2, 5), random(5, 4)
    expected = ((np.maximum(X @ W, 0) @ V) ** 2).sum()
    assert with_numbers(total, X=X, W=W, V=V) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("temperature", [1, 0.5])
@pytest.mark.parametrize(
    ("ours", "theirs"), [(nn.softmax, jax.nn.softmax), (nn.log_softmax, jax.nn.log_softmax)]
)
def test_softmax_equals_jax_in_both_forms(ours: Any, theirs: Any, temperature: float) -> None:
    Z = random(3, 5)
    expected = np.asarray(theirs(jnp.asarray(Z) / temperature, axis=-1))
    np.testing.assert_allclose(with_numbers(ours(matrix("Z", n, c), temperature), Z=Z), expected, **CLOSE)
    np.testing.assert_allclose(array_of(ours(indexed("Z", n, c), temperature), Z=Z), expected, **CLOSE)


def test_log_sum_exp_is_a_column_of_a_matrix_and_drops_an_axis_of_entries() -> None:
    Z = random(3, 5)
    expected = np.asarray(jax.nn.logsumexp(jnp.asarray(Z), axis=-1))
    column = nn.log_sum_exp(matrix("Z", n, c))
    assert column.shape == (n, 1)
    np.testing.assert_allclose(with_numbers(column, Z=Z)[:, 0], expected, **CLOSE)
    np.testing.assert_allclose(array_of(nn.log_sum_exp(indexed("Z", n, c)), Z=Z), expected, **CLOSE)


def test_softmax_is_written_in_the_form_the_compiler_recognises() -> None:
    Z, i, j = indexed("Z", n, c), sp.Symbol("i"), sp.Symbol("j")
    entry = nn.softmax(Z)[i, j]
    total = (entry / sp.exp(Z[i, j])) ** -1
    assert isinstance(total, sp.Sum)
    k = total.variables[0]
    assert total == sp.Sum(sp.exp(Z[i, k]), (k, 0, c - 1))


def attention_by_jax(Q: Any, K: Any, V: Any, mask: Any, temperature: float) -> np.ndarray:
    scores = jnp.einsum("...id,...jd->...ij", Q, K) / temperature + mask
    return np.asarray(jnp.einsum("...ij,...je->...ie", jax.nn.softmax(scores, axis=-1), V))


@pytest.mark.parametrize("temperature", [None, 0.7])
def test_attention_equals_jax_in_both_forms(temperature: float | None) -> None:
    Q, K, V, M = random(3, 2), random(4, 2), random(4, 5), random(3, 4)
    expected = attention_by_jax(Q, K, V, M, temperature or np.sqrt(2))
    shapes = {"Q": (n, d), "K": (m, d), "V": (m, c), "M": (n, m)}
    by_matrix = nn.attention(*(matrix(k, *s) for k, s in shapes.items()), temperature=temperature)
    by_index = nn.attention(*(indexed(k, *s) for k, s in shapes.items()), temperature=temperature)
    np.testing.assert_allclose(with_numbers(by_matrix, Q=Q, K=K, V=V, M=M), expected, **CLOSE)
    np.testing.assert_allclose(array_of(by_index, Q=Q, K=K, V=V, M=M), expected, **CLOSE)


@pytest.mark.parametrize("written_with", ["Where", "Piecewise"])
def test_causal_attention_over_a_batch_of_heads_equals_jax(written_with: str) -> None:
    Q, K, V = random(2, 3, 2, seed=1), random(2, 3, 2, seed=2), random(2, 3, 2, seed=3)
    choose = Where if written_with == "Where" else lambda p, a, b: sp.Piecewise((a, p), (b, True))
    causal = Entries((n, n), lambda i, j: choose(j <= i, 0, -sp.oo))
    result = nn.attention(*(indexed(name, 2, n, d) for name in "QKV"), mask=causal)
    minus_infinity_above = np.where(np.tri(3), 0, -np.inf)
    expected = attention_by_jax(Q, K, V, minus_infinity_above, np.sqrt(2))
    np.testing.assert_allclose(array_of(result, Q=Q, K=K, V=V), expected, **CLOSE)


@pytest.mark.parametrize("stride", [1, 2])
def test_conv1d_with_batch_channels_bias_and_stride_equals_jax(stride: int) -> None:
    X, W, b = random(2, 6, 2), random(3, 2, 2), random(2)
    result = nn.conv1d(indexed("X", 2, 2 * n, d), indexed("W", 3, d, 2), indexed("b", 2), stride=stride)
    expected = (
        jax.lax.conv_general_dilated(X, W, (stride,), "VALID", dimension_numbers=("NWC", "WIO", "NWC")) + b
    )
    np.testing.assert_allclose(array_of(result, X=X, W=W, b=b), np.asarray(expected), **CLOSE)


@pytest.mark.parametrize("stride", [1, (2, 1)])
def test_conv2d_with_batch_channels_and_strides_equals_jax(stride: Any) -> None:
    X, W = random(1, 5, 4, 2), random(2, 3, 2, 2)
    result = nn.conv2d(indexed("X", 1, c, m, d), indexed("W", 2, 3, d, 2), stride=stride)
    strides = stride if isinstance(stride, tuple) else (stride, stride)
    expected = jax.lax.conv_general_dilated(
        X, W, strides, "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    np.testing.assert_allclose(array_of(result, X=X, W=W), np.asarray(expected), **CLOSE)


def test_number_of_results_of_a_strided_convolution_has_no_floor_where_the_size_fits() -> None:
    result = nn.conv1d(indexed("X", 2 * (m - 1) + 3, d), indexed("W", 3, d, c), stride=2)
    assert result.shape == (m, c)


def test_convolution_without_batch_takes_a_matrix() -> None:
    X, w = random(3, 2), random(2, 2, 1)
    expected = [(X[i : i + 2] * w[:, :, 0]).sum() for i in range(2)]
    result = nn.conv1d(sp.Matrix(X), indexed("W", 2, 2, 1))
    np.testing.assert_allclose(array_of(result, W=w)[:, 0], expected, **CLOSE)


def normalised(X: np.ndarray, axes: tuple[int, ...], gamma: Any, beta: Any, eps: float) -> np.ndarray:
    mean, variance = X.mean(axis=axes, keepdims=True), X.var(axis=axes, keepdims=True)
    return (X - mean) / np.sqrt(variance + eps) * gamma + beta


@pytest.mark.parametrize(("layer", "axis"), [(nn.batch_norm, 0), (nn.instance_norm, 0), (nn.layer_norm, 1)])
def test_norm_of_a_matrix_equals_numpy(layer: Any, axis: int) -> None:
    X, g, b = random(3, 5), random(1, 5, seed=1), random(1, 5, seed=2)
    result = layer(matrix("X", n, c), matrix("g", 1, c), matrix("b", 1, c), eps=0.01)
    np.testing.assert_allclose(
        with_numbers(result, X=X, g=g, b=b), normalised(X, (axis,), g, b, 0.01), **CLOSE
    )


@pytest.mark.parametrize(
    ("layer", "axes"), [(nn.batch_norm, (0, 1)), (nn.instance_norm, (1,)), (nn.layer_norm, (2,))]
)
def test_norm_of_an_indexed_array_equals_numpy(layer: Any, axes: tuple[int, ...]) -> None:
    X, g, b = random(2, 3, 2), random(2, seed=1), random(2, seed=2)
    result = layer(indexed("X", 2, n, d), indexed("g", d), indexed("b", d))
    np.testing.assert_allclose(array_of(result, X=X, g=g, b=b), normalised(X, axes, g, b, 1e-5), **CLOSE)


def test_norm_without_scale_and_shift_equals_numpy_in_both_forms() -> None:
    X = random(3, 2)
    expected = normalised(X, (0,), 1, 0, 1e-5)
    np.testing.assert_allclose(with_numbers(nn.batch_norm(matrix("X", n, d)), X=X), expected, **CLOSE)
    np.testing.assert_allclose(array_of(nn.batch_norm(indexed("X", n, d)), X=X), expected, **CLOSE)


def test_equal_layers_are_equal_expressions() -> None:
    def layer() -> Any:
        return nn.layer_norm(nn.softmax(nn.linear(indexed("X", n, d), indexed("W", d, c))))[1, 2]

    assert layer() == layer()
    assert nn.softmax(nn.gelu(matrix("X", n, d))) == nn.softmax(nn.gelu(matrix("X", n, d)))


def test_an_entry_is_built_once() -> None:
    built = []
    array = Entries((n,), lambda i: built.append(i) or i)
    assert array[2] is array[2]
    assert built == [2]


def test_a_sum_inside_a_sum_does_not_capture_the_outer_index() -> None:
    x = indexed("x", n, n)
    total = sum_entries([n], lambda i: sum_entries([n], lambda j: x[i, j], [i]))
    X = random(3, 3)
    assert with_numbers(total, x=X) == pytest.approx(X.sum(), rel=1e-12)


def test_where_chooses_differentiates_prints_and_pickles() -> None:
    x = sp.Symbol("x", real=True)
    choice = Where(x > 1, x**2, -x)
    assert (choice.subs(x, 3), choice.subs(x, 0.5)) == (9, -0.5)
    assert choice.diff(x) == Where(x > 1, 2 * x, -1)
    assert choice.rewrite(sp.Piecewise) == sp.Piecewise((x**2, x > 1), (-x, True))
    assert sp.latex(choice) == sp.latex(sp.Piecewise((x**2, x > 1), (-x, True)))
    assert pickle.loads(pickle.dumps(choice)) == choice
    assert choice.is_real
    assert Where(x > 1, x, x) == x
    np.testing.assert_array_equal(sp.lambdify(x, choice)(np.array([2.0, 0.5])), [4.0, -0.5])


def test_piecewise_becomes_nested_where_with_nan_where_nothing_holds() -> None:
    x = sp.Symbol("x", real=True)
    inner = sp.Piecewise((1, x > 2), (x, True))
    rewritten = piecewise_to_where(sp.sin(sp.Piecewise((inner, x > 1), (2, x < 0))))
    assert rewritten == sp.sin(Where(x > 1, Where(x > 2, 1, x), Where(x < 0, 2, sp.nan)))


def test_looking_for_piecewise_does_not_recurse_over_the_depth_of_an_expression() -> None:
    expression = sp.Symbol("x", real=True)
    for _ in range(5000):
        expression = sp.sin(expression, evaluate=False)
    assert piecewise_to_where(expression) is expression


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_of_a_one_by_one_matrix_is_elementwise(name: str) -> None:
    ours, theirs = ACTIVATIONS[name]
    result = ours(matrix("X", n, 1)).subs(n, 1)
    assert result.shape == (1, 1)
    assert with_numbers(result, X=np.array([[0.3]]))[0, 0] == pytest.approx(float(theirs(0.3)), rel=1e-12)


@pytest.mark.parametrize("layer", [nn.softmax, nn.log_softmax, nn.batch_norm, nn.layer_norm])
def test_layers_of_a_single_row_and_a_single_column_have_no_inverse(layer: Any) -> None:
    for shape in ((1, 3), (3, 1), (1, 1)):
        result = layer(matrix("X", *shape))
        assert not result.atoms(sp.Inverse)
        expected = array_of(layer(indexed("X", *shape)), X=random(*shape))
        np.testing.assert_allclose(with_numbers(result, X=random(*shape)), expected, **CLOSE)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: nn.linear(matrix("X", n, d), matrix("W", c, d)), ShapeMismatch, "columns of X does not fit"),
        (
            lambda: nn.linear(matrix("X", n, d), matrix("W", d, c), matrix("b", c, 1)),
            ShapeMismatch,
            "rows of b",
        ),
        (
            lambda: nn.linear(indexed("X", n, d), indexed("W", c, d)),
            ShapeMismatch,
            "last axis of X does not fit",
        ),
        (
            lambda: nn.linear(indexed("X", n, d), indexed("W", d, c), indexed("b", d)),
            ShapeMismatch,
            "length of b",
        ),
        (lambda: nn.linear(sp.IndexedBase("X"), indexed("W", d, c)), BadArgument, "X has no shape"),
        (lambda: nn.linear(3, indexed("W", d, c)), BadArgument, "3 is not an array"),
        (lambda: nn.linear(indexed("X", n, d), indexed("W", d)), ShapeMismatch, "W has 1 axes, not 2 axes"),
        (lambda: nn.softmax(matrix("Z", n, c), 0), BadOption, "temperature is 0"),
        (lambda: nn.log_softmax(indexed("Z", n, c), -1), BadOption, "temperature is -1"),
        (
            lambda: nn.attention(*(matrix(k, n, s) for k, s in zip("QKV", (d, c, c), strict=True))),
            ShapeMismatch,
            "axis of K",
        ),
        (
            lambda: nn.attention(indexed("Q", 2, n, d), indexed("K", 3, n, d), indexed("V", 2, n, d)),
            ShapeMismatch,
            "axis 0 of K does not fit axis 0 of Q",
        ),
        (
            lambda: nn.attention(*(matrix(k, n, d) for k in "QKV"), mask=matrix("M", n, d)),
            ShapeMismatch,
            "columns of mask",
        ),
        (lambda: nn.conv1d(indexed("X", n, d), indexed("W", 3, c, d)), ShapeMismatch, "channels of X"),
        (lambda: nn.conv1d(indexed("X", n, d), indexed("W", 3, d, c), stride=0), BadOption, "stride is 0"),
        (lambda: nn.conv2d(indexed("X", n, d), indexed("W", 3, 3, d, c)), ShapeMismatch, "X has 2 axes"),
        (lambda: nn.batch_norm(matrix("X", n, d), matrix("g", 1, n)), ShapeMismatch, "length of gamma"),
        (lambda: nn.layer_norm(indexed("X", n, d), eps=0), BadOption, "eps is 0"),
        (lambda: nn.instance_norm(indexed("X", n, d)), ShapeMismatch, "at least 3 axes"),
        (
            lambda: nn.elementwise(sp.Add, indexed("X", n, d), indexed("Y", d, n)),
            ShapeMismatch,
            "different shapes",
        ),
        (lambda: entries(indexed("X", n, d))[0], ShapeMismatch, "1 indices for an array of 2 axes"),
    ],
)
def test_bad_input_is_an_error_that_names_it(build: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build()


def test_shape_error_has_four_parts() -> None:
    with pytest.raises(ShapeMismatch) as caught:
        nn.elementwise(sp.Add, indexed("X", n, d), indexed("Y", n))
    assert str(caught.value) == (
        "array 0 and array 1 have different shapes\n"
        "  where    elementwise\n"
        "  because  array 0 is (n, d), array 1 is (n,)\n"
        "  try      give both the same shape, written with the same size symbols"
    )


# ---- compiled: one kernel, two sets of sizes, against JAX ----------------------------------------

SIZE_SETS = ({n: 3, m: 4, d: 2, c: 5}, {n: 6, m: 3, d: 7, c: 4})


def compare_with_jax(
    loss: Any, symbols: dict[str, Any], shapes: dict[str, tuple[Any, ...]], by_jax: Callable[..., Any]
) -> None:
    """Value and gradient by every array of one kernel, for both sets of sizes, against JAX."""
    kernel = sg.compile(
        loss, args=tuple(symbols.values()), wrt=tuple(symbols.values()), outputs=("value", "grad")
    )
    of_jax = jax.jit(jax.value_and_grad(by_jax, argnums=tuple(range(len(symbols)))))
    for seed, sizes in enumerate(SIZE_SETS):
        arrays = [
            random(*(int(sp.sympify(s).subs(sizes)) for s in shapes[name]), seed=seed) for name in symbols
        ]
        value, gradients = kernel(*arrays)
        expected, expected_gradients = of_jax(*arrays)
        np.testing.assert_allclose(value, expected, rtol=1e-11)
        for ours, theirs in zip(gradients, expected_gradients, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)


def weighted(result: Any, weights: Any) -> Any:
    """The sum of the entries of a layer's result times weights: a scalar with every entry in it."""
    if isinstance(result, Entries):
        return sum_entries(result.shape, lambda *index: weights[index] * result[index])
    return sp.Trace(sp.MatMul(sp.Transpose(weights), result))


def norm_by_jax(X: Any, axis: Any, gamma: Any = 1, beta: Any = 0) -> Any:
    mean, variance = X.mean(axis=axis, keepdims=True), X.var(axis=axis, keepdims=True)
    return (X - mean) / jnp.sqrt(variance + 1e-5) * gamma + beta


# name: the layer of its arrays, the same by JAX, the shapes of the arrays, the shape of the result.
LAYERS: dict[str, tuple[Callable[..., Any], Callable[..., Any], list[tuple[Any, ...]], tuple[Any, ...]]] = {
    "linear": (nn.linear, lambda X, W: X @ W, [(n, d), (d, c)], (n, c)),
    "linear with bias": (nn.linear, lambda X, W, b: X @ W + b, [(n, d), (d, c), (1, c)], (n, c)),
    "two layers with relu": (
        lambda X, W, V: nn.linear(nn.relu(nn.linear(X, W)), V),
        lambda X, W, V: jax.nn.relu(X @ W) @ V,
        [(n, d), (d, c), (c, m)],
        (n, m),
    ),
    "softmax": (nn.softmax, lambda Z: jax.nn.softmax(Z, axis=-1), [(n, c)], (n, c)),
    "softmax at a low temperature": (
        lambda Z: nn.softmax(Z, sp.Rational(4, 1000)),
        lambda Z: jax.nn.softmax(Z / 0.004, axis=-1),
        [(n, c)],
        (n, c),
    ),
    "log_softmax": (nn.log_softmax, lambda Z: jax.nn.log_softmax(Z, axis=-1), [(n, c)], (n, c)),
    "attention": (
        nn.attention,
        lambda Q, K, V: jax.nn.softmax(Q @ K.T / jnp.sqrt(Q.shape[1]), axis=-1) @ V,
        [(n, d), (m, d), (m, c)],
        (n, c),
    ),
    "attention with a mask and a temperature": (
        lambda Q, K, V, M: nn.attention(Q, K, V, M, temperature=2),
        lambda Q, K, V, M: jax.nn.softmax(Q @ K.T / 2 + M, axis=-1) @ V,
        [(n, d), (m, d), (m, c), (n, m)],
        (n, c),
    ),
    "batch_norm": (
        nn.batch_norm,
        lambda X, g, b: norm_by_jax(X, 0, g, b),
        [(n, d), (1, d), (1, d)],
        (n, d),
    ),
    "layer_norm": (
        nn.layer_norm,
        lambda X, g, b: norm_by_jax(X, 1, g, b),
        [(n, d), (1, d), (1, d)],
        (n, d),
    ),
}


@pytest.mark.parametrize("form", [matrix, indexed])
@pytest.mark.parametrize("name", LAYERS)
def test_compiled_layer_has_the_value_and_gradient_of_jax(name: str, form: Any) -> None:
    layer, by_jax, inputs, output = LAYERS[name]
    letters = [f"A{k}" for k in range(len(inputs))]
    # A row in matrix form is an array of rank 1 in index form; as a (1, c) array it is accepted too.
    shapes = dict(zip(letters, inputs, strict=True)) | {"C": output}
    symbols = {letter: form(letter, *shape) for letter, shape in shapes.items()}
    rows = [
        Entries(s.shape[1:], lambda j, s=s: s[0, j]) if form is indexed and s.shape[0] == 1 else s
        for s in symbols.values()
    ]
    loss = weighted(layer(*rows[:-1]), symbols["C"])
    compare_with_jax(loss, symbols, shapes, lambda *a: (a[-1] * by_jax(*a[:-1])).sum())


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_compiled_activation_has_the_value_and_gradient_of_jax(name: str) -> None:
    ours, theirs = ACTIVATIONS[name]
    symbols = {"X": matrix("X", n, d), "C": matrix("C", n, d)}
    loss = weighted(ours(symbols["X"]), symbols["C"])
    compare_with_jax(loss, symbols, dict.fromkeys(symbols, (n, d)), lambda X, C: (C * theirs(X)).sum())


def conv_by_jax(X: Any, W: Any, strides: tuple[int, ...], letters: tuple[str, str]) -> Any:
    return jax.lax.conv_general_dilated(X, W, strides, "VALID", dimension_numbers=(*letters, letters[0]))


def test_compiled_convolution_in_one_dimension_has_the_value_and_gradient_of_jax() -> None:
    shapes = {"X": (n, m + 4, d), "W": (3, d, c), "b": (c,), "C": (n, m + 2, c)}
    symbols = {name: indexed(name, *shape) for name, shape in shapes.items()}
    result = nn.conv1d(symbols["X"], symbols["W"], symbols["b"])

    def by_jax(X: Any, W: Any, b: Any, C: Any) -> Any:
        return (C * (conv_by_jax(X, W, (1,), ("NWC", "WIO")) + b)).sum()

    compare_with_jax(weighted(result, symbols["C"]), symbols, shapes, by_jax)


def test_compiled_strided_convolution_has_the_value_and_gradient_of_jax() -> None:
    shapes = {"X": (n, 2 * (m - 1) + 3, d), "W": (3, d, c), "C": (n, m, c)}
    symbols = {name: indexed(name, *shape) for name, shape in shapes.items()}
    result = nn.conv1d(symbols["X"], symbols["W"], stride=2)

    def by_jax(X: Any, W: Any, C: Any) -> Any:
        return (C * conv_by_jax(X, W, (2,), ("NWC", "WIO"))).sum()

    compare_with_jax(weighted(result, symbols["C"]), symbols, shapes, by_jax)


def test_compiled_convolution_in_two_dimensions_has_the_value_and_gradient_of_jax() -> None:
    shapes = {"X": (2, n + 2, m + 1, d), "W": (3, 2, d, c), "C": (2, n, m, c)}
    symbols = {name: indexed(name, *shape) for name, shape in shapes.items()}
    result = nn.conv2d(symbols["X"], symbols["W"])

    def by_jax(X: Any, W: Any, C: Any) -> Any:
        return (C * conv_by_jax(X, W, (1, 1), ("NHWC", "HWIO"))).sum()

    compare_with_jax(weighted(result, symbols["C"]), symbols, shapes, by_jax)


@pytest.mark.parametrize(("layer", "axes"), [(nn.batch_norm, (0, 1)), (nn.instance_norm, (1,))])
def test_compiled_norm_of_three_axes_has_the_value_and_gradient_of_jax(layer: Any, axes: Any) -> None:
    shapes = {"X": (n, m, d), "C": (n, m, d)}
    symbols = {name: indexed(name, *shape) for name, shape in shapes.items()}
    loss = weighted(layer(symbols["X"]), symbols["C"])
    compare_with_jax(loss, symbols, shapes, lambda X, C: (C * norm_by_jax(X, axes)).sum())


def test_compiled_causal_attention_of_heads_has_the_value_and_gradient_of_jax() -> None:
    shapes = dict.fromkeys("QKVC", (c, n, d))
    symbols = {name: indexed(name, *shape) for name, shape in shapes.items()}
    causal = Entries((n, n), lambda i, j: Where(j <= i, 0, -sp.oo))
    loss = weighted(nn.attention(*(symbols[k] for k in "QKV"), mask=causal), symbols["C"])

    def by_jax(Q: Any, K: Any, V: Any, C: Any) -> Any:
        scores = jnp.einsum("hid,hjd->hij", Q, K) / jnp.sqrt(Q.shape[-1])
        scores = jnp.where(jnp.tri(Q.shape[1], dtype=bool), scores, -jnp.inf)
        return (C * jnp.einsum("hij,hjd->hid", jax.nn.softmax(scores, axis=-1), V)).sum()

    compare_with_jax(loss, symbols, shapes, by_jax)


@pytest.mark.parametrize("form", [matrix, indexed])
@pytest.mark.parametrize("layer", [nn.softmax, nn.log_softmax, nn.sigmoid, nn.softplus, nn.silu, nn.mish])
def test_compiled_layer_of_huge_arguments_is_finite(layer: Any, form: Any) -> None:
    Z, C = form("Z", n, c), form("C", n, c)
    kernel = sg.compile(weighted(layer(Z), C), args=(Z, C), wrt=Z, outputs=("value", "grad"))
    value, gradient = kernel(np.array([[1e4, -1e4, 0.0]]), np.ones((1, 3)))
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("form", [matrix, indexed])
def test_compiled_relu_has_derivative_zero_at_zero(form: Any) -> None:
    X = form("X", n, d)
    kernel = sg.compile(
        weighted(nn.relu(X), nn.elementwise(lambda t: 1, X)), args=(X,), wrt=X, outputs="grad"
    )
    np.testing.assert_array_equal(kernel(np.array([[-1.0, 0.0, 2.0]])), [[0.0, 0.0, 1.0]])


def test_entries_compile_to_an_array_of_their_shape() -> None:
    kernel = sg.compile(nn.softmax(indexed("Z", n, c)), outputs="value")
    for shape in ((3, 5), (6, 2)):
        np.testing.assert_allclose(
            kernel(random(*shape)), jax.nn.softmax(random(*shape), axis=-1), rtol=1e-13
        )


def test_index_form_takes_a_row_for_a_vector_as_matrix_form_does() -> None:
    n, d, c = sp.symbols("n d c", integer=True, positive=True)
    x, w = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("W", shape=(d, c))
    row, vector = sp.IndexedBase("b", shape=(1, c)), sp.IndexedBase("b", shape=(c,))
    i, j = sp.symbols("i j", integer=True)
    assert nn.linear(x, w, row)[i, j].subs(row[0, j], vector[j]) == nn.linear(x, w, vector)[i, j]


@pytest.mark.parametrize("bias", [False, True])
def test_convolutions_in_matrix_form_equal_scipys_correlation(bias: bool) -> None:
    n, m, s, t = sp.symbols("n m s t", integer=True, positive=True)
    x, w, row = sp.MatrixSymbol("X", n, m), sp.MatrixSymbol("W", s, t), sp.MatrixSymbol("w", 1, t)
    b = sp.MatrixSymbol("b", 1, 1)
    offset = (b,) if bias else ()
    planes = sg.compile(nn.conv2d(x, w, *offset), args=(x, w, *offset), outputs="value")
    signals = sg.compile(nn.conv1d(x, row, *offset), args=(x, row, *offset), outputs="value")
    rng = np.random.default_rng(3)
    for rows, columns, row_taps, taps in ((4, 7, 2, 3), (3, 3, 3, 1)):
        image, kernel = rng.standard_normal((rows, columns)), rng.standard_normal((row_taps, taps))
        more = (np.array([[0.5]]),) if bias else ()
        expected = scipy.signal.correlate2d(image, kernel, mode="valid") + 0.5 * bias
        np.testing.assert_allclose(planes(image, kernel, *more), expected, rtol=1e-13, atol=1e-14)
        expected = scipy.signal.correlate2d(image, kernel[:1], mode="valid") + 0.5 * bias
        np.testing.assert_allclose(signals(image, kernel[:1], *more), expected, rtol=1e-13, atol=1e-14)


def test_a_strided_convolution_in_matrix_form_has_the_right_gradient() -> None:
    m, t = sp.symbols("m t", integer=True, positive=True)
    x, w = sp.MatrixSymbol("X", 2, 2 * (m - 1) + t), sp.MatrixSymbol("w", 1, t)
    y = nn.conv1d(x, w, stride=2)
    report = sg.verify(sg.program(sp.Trace(y.T * y), args=(x, w), wrt=(x, w)), sizes={"m": 4, "t": 3})
    assert report.ok, report.table
