"""Layers of networks as plain functions that return SymPy expressions.

Nothing here computes numbers: a layer writes down its formula, and the formula is differentiated and compiled
like any other. Formulas are the exact textbook ones; log-sum-exp, softmax, sigmoid and softplus are made safe
against overflow by the compiler, so there is no `max` to subtract here.

Two forms, one convention: **what goes in decides what comes out**.

- *Matrix form.* All arrays are SymPy matrix expressions (`MatrixSymbol`, `X*W`, explicit `Matrix`): the
  result is a matrix expression. Rows are samples, columns are features; a vector of one number per column is
  a row, `(1, c)`.
- *Index form.* At least one array is an `IndexedBase` with a shape, or an `Entries`: the result is an
  `Entries`, an array of any rank that knows its shape and its entry at given indices. `linear(X, W)[i, j]`
  is an ordinary scalar expression in the indices `i` and `j`. Layers act on the last axes; axes before
  them are batch axes. A vector is an array of rank 1, or a row `(1, c)`. Matrix expressions may stand beside
  index-form arrays.
- Activations also take a scalar expression and return one.

Sizes may be numbers or SymPy symbols. Sizes that have to agree must be the same expression, or ShapeMismatch
is raised; an argument that is not an array where one is needed raises BadArgument; a constant that makes no
sense (a stride of 0, a negative temperature) raises BadOption.

    >>> import sympy as sp
    >>> n, d, c = sp.symbols("n d c", integer=True, positive=True)
    >>> X, W = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("W", shape=(d, c))
    >>> i, j = sp.symbols("i j", cls=sp.Idx)
    >>> linear(X, W)[i, j]
    Sum(W[_k1, j]*X[i, _k1], (_k1, 0, d - 1))

Kinks are written into the formulas, whatever `kinks=` says: the derivative there is the one from the right
(`leaky_relu`, `elu`, `selu`), with two exceptions that follow common practice: `relu` has derivative 0 at 0,
and `hard_tanh` has derivative 1 at both -1 and 1. Choices are written with `symgrad.entries.Where`, which
says why it is not `Piecewise`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from symgrad.entries import (
    Array,
    Entries,
    Number,
    Where,
    check_rank,
    check_same_shape,
    check_size,
    entries,
    is_matrix,
    is_matrix_form,
    positive,
    row_vector,
    scalar,
    sum_entries,
    vector_entries,
)
from symgrad.errors import BadOption

_X = sp.Dummy("x", real=True, dummy_index=-1)  # bound variable of every Lambda, fixed: equal layers are equal


class _EntryFunction(sp.Lambda):
    """A Lambda of one scalar, for `applyfunc`.

    SymPy applies the function of an `applyfunc` to the matrix itself where the matrix is 1 by 1, to see
    whether that gives a matrix; then 1/x would become an inverse, and x > 0 an error. Of a matrix this one
    makes a scalar.
    """

    def __call__(self, *args: Any) -> Any:
        return _X if getattr(args[0], "is_Matrix", False) else super().__call__(*args)


# --------------------------------------------------------------------------------------------------
# Elementwise


def elementwise(formula: Callable[..., Any], *arrays: Array) -> Any:
    """`formula` applied entry by entry, to one array or scalar in any form, or to several arrays.

    One matrix gives `matrix.applyfunc(Lambda(x, formula(x)))`; one scalar gives `formula(scalar)`; otherwise
    the result is `Entries`. Raises ShapeMismatch for several arrays of different shapes.

        >>> X = sp.IndexedBase("X", shape=(3, 3))
        >>> elementwise(lambda a, b: a + b, X, sp.Identity(3))[1, 1]
        X[1, 1] + 1
    """
    if len(arrays) == 1:
        array = arrays[0]
        if isinstance(array, MatrixExpr):
            return array.applyfunc(_EntryFunction(_X, formula(_X)))
        if isinstance(array, sp.MatrixBase):
            return array.applyfunc(formula)
        if not isinstance(array, sp.IndexedBase | Entries):
            return formula(scalar(array, "elementwise"))
    parts = [entries(array, "elementwise") for array in arrays]
    check_same_shape("elementwise", **{f"array {k}": part for k, part in enumerate(parts)})
    return Entries(parts[0].shape, lambda *index: formula(*(part[index] for part in parts)))


def relu(x: Array) -> Any:
    """The positive part, `x if x > 0 else 0`, with derivative 0 at 0."""
    return elementwise(lambda t: Where(t > 0, t, 0), x)


_SLOPE = sp.Rational(1, 100)


def leaky_relu(x: Array, slope: Number = _SLOPE) -> Any:
    """`x if x >= 0 else slope*x` (Maas, Hannun and Ng 2013); the derivative at 0 is 1."""
    factor = scalar(slope)
    return elementwise(lambda t: Where(t >= 0, t, factor * t), x)


def elu(x: Array, alpha: Number = 1) -> Any:
    """`x if x >= 0 else alpha*(exp(x) - 1)` (Clevert, Unterthiner and Hochreiter 2016)."""
    factor = scalar(alpha)
    return elementwise(lambda t: Where(t >= 0, t, factor * (sp.exp(t) - 1)), x)


def selu(x: Array) -> Any:
    """`scale * elu(x, alpha)` with the two constants that keep mean 0 and variance 1.

    Klambauer, Unterthiner, Mayr and Hochreiter 2017, "Self-normalizing neural networks", section 2: both
    constants solve `mean = 0, variance = 1` for standard normal input; the digits are those of the closed
    form there.
    """
    alpha, scale = sp.Float(1.6732632423543772), sp.Float(1.0507009873554805)
    return elementwise(lambda t: Where(t >= 0, scale * t, scale * alpha * (sp.exp(t) - 1)), x)


def gelu(x: Array, approximate: bool = False) -> Any:
    """`x` times the standard normal distribution function, or its approximation by tanh.

    Hendrycks and Gimpel 2016. Exact: `x/2 * (1 + erf(x/sqrt(2)))`. Approximate: `x/2 * (1 +
    tanh(sqrt(2/pi)*(x + 0.044715*x**3)))`.
    """
    if approximate:
        cubic = sp.Rational(44715, 1000000)
        return elementwise(lambda t: t / 2 * (1 + sp.tanh(sp.sqrt(2 / sp.pi) * (t + cubic * t**3))), x)
    return elementwise(lambda t: t / 2 * (1 + sp.erf(t / sp.sqrt(2))), x)


def sigmoid(x: Array) -> Any:
    """The logistic function, `1/(1 + exp(-x))`."""
    return elementwise(lambda t: 1 / (1 + sp.exp(-t)), x)


def silu(x: Array) -> Any:
    """`x * sigmoid(x)`, also called swish (Elfwing, Uchibe and Doya 2018)."""
    return elementwise(lambda t: t / (1 + sp.exp(-t)), x)


swish = silu


def tanh(x: Array) -> Any:
    """The hyperbolic tangent of each entry."""
    return elementwise(sp.tanh, x)


def softplus(x: Array) -> Any:
    """`log(1 + exp(x))`."""
    return elementwise(lambda t: sp.log(1 + sp.exp(t)), x)


def softsign(x: Array) -> Any:
    """`x/(1 + |x|)`."""
    return elementwise(lambda t: t / (1 + sp.Abs(t)), x)


def hard_tanh(x: Array) -> Any:
    """`x` limited to -1..1; the derivative is 1 at both ends."""
    return elementwise(lambda t: Where(t < -1, -1, Where(t > 1, 1, t)), x)


def mish(x: Array) -> Any:
    """`x * tanh(softplus(x))` (Misra 2020)."""
    return elementwise(lambda t: t * sp.tanh(sp.log(1 + sp.exp(t))), x)


# --------------------------------------------------------------------------------------------------
# Linear, softmax, attention


def linear(X: Array, W: Array, b: Array | None = None) -> Any:
    """`X*W`, plus `b` on every row.

    X `(..., d)`, W `(d, c)`, b `(1, c)` or `(c,)`; result `(..., c)`. Matrix form: `X*W + OneMatrix(n, 1)*b`.
    Index form: `Sum(X[..., k]*W[k, j], (k, 0, d - 1)) + b[j]`.
    """
    if is_matrix_form(X, W, b):
        check_size("linear", "the number of columns of X", X.shape[1], W.shape[0], "the number of rows of W")
        if b is None:
            return X * W
        row = row_vector("linear", "b", b, W.shape[1])
        return sp.MatAdd(X * W, sp.MatMul(sp.OneMatrix(X.shape[0], 1), row))
    x, w = entries(X, "linear"), entries(W, "linear")
    check_rank("linear", "X", x, 1)
    check_rank("linear", "W", w, 2, 2)
    check_size("linear", "the last axis of X", x.shape[-1], w.shape[0], "the number of rows of W")
    bias = None if b is None else vector_entries("linear", "b", b, w.shape[1])

    def entry(*index: Any) -> sp.Expr:
        *row, j = index
        product = sum_entries([w.shape[0]], lambda k: x[(*row, k)] * w[k, j], index)
        return product if bias is None else product + bias[j]

    return Entries((*x.shape[:-1], w.shape[1]), entry)


def log_sum_exp(Z: Array) -> Any:
    """`log(sum of exp)` along the last axis.

    A matrix `(n, c)` gives a column `(n, 1)`; Entries `(..., c)` give `(...)`. Matrix form:
    `(Z.applyfunc(exp)*OneMatrix(c, 1)).applyfunc(log)`.
    """
    if is_matrix(Z):
        return elementwise(sp.log, sp.MatMul(elementwise(sp.exp, Z), sp.OneMatrix(Z.shape[1], 1)))
    z = entries(Z, "log_sum_exp")
    check_rank("log_sum_exp", "Z", z, 1)
    return Entries(
        z.shape[:-1],
        lambda *row: sp.log(sum_entries(z.shape[-1:], lambda k: sp.exp(z[(*row, k)]), row)),
    )


def softmax(Z: Array, temperature: Number = 1) -> Any:
    """`exp(Z/temperature)` divided by its sum along the last axis; the shape of Z.

    Matrix form, with `E = (Z/temperature).applyfunc(exp)`: the elementwise product of E and
    `(E*OneMatrix(c, 1)).applyfunc(1/x) * OneMatrix(1, c)`.
    Raises BadOption for a temperature that is not positive.
    """
    z = _divided(Z, positive("softmax", "temperature", temperature))
    if is_matrix(z):
        E = elementwise(sp.exp, z)
        reciprocal = elementwise(lambda t: 1 / t, sp.MatMul(E, sp.OneMatrix(z.shape[1], 1)))
        return sp.HadamardProduct(E, sp.MatMul(reciprocal, sp.OneMatrix(1, z.shape[1])))
    z = entries(z, "softmax")
    check_rank("softmax", "Z", z, 1)

    def entry(*index: Any) -> sp.Expr:
        row = index[:-1]
        return sp.exp(z[index]) / sum_entries(z.shape[-1:], lambda k: sp.exp(z[(*row, k)]), index)

    return Entries(z.shape, entry)


def log_softmax(Z: Array, temperature: Number = 1) -> Any:
    """`Z/temperature` minus its log-sum-exp along the last axis; the shape of Z.

    Raises BadOption for a temperature that is not positive.
    """
    z = _divided(Z, positive("log_softmax", "temperature", temperature))
    normaliser = log_sum_exp(z)
    if is_matrix(z):
        return sp.MatAdd(z, sp.MatMul(-1, normaliser, sp.OneMatrix(1, z.shape[1])))
    z = entries(z, "log_softmax")
    return Entries(z.shape, lambda *index: z[index] - normaliser[index[:-1]])


def attention(
    Q: Array, K: Array, V: Array, mask: Array | None = None, temperature: Number | None = None
) -> Any:
    """Scaled dot-product attention, `softmax(Q*K.T/temperature + mask)*V`.

    Vaswani et al. 2017, section 3.2.1. Q `(..., n, d)`, K `(..., m, d)`, V `(..., m, e)`; result `(..., n,
    e)`. Axes before these, of the same sizes in all three, are batch and heads (index form). `mask` `(n, m)`
    is added to the scores: 0 where a row of Q may look at a row of K, `-oo` or a large negative number where
    it may not. The temperature is `sqrt(d)` unless given.

    Raises ShapeMismatch, and BadOption for a temperature that is not positive.
    """
    if is_matrix_form(Q, K, V, mask):
        _check_attention(Q, K, V, mask)
        scores = _divided(Q * sp.Transpose(K), _attention_scale(Q, temperature))
        return sp.MatMul(softmax(scores if mask is None else sp.MatAdd(scores, mask)), V)
    q, k, v = (entries(array, "attention") for array in (Q, K, V))
    bias = None if mask is None else entries(mask, "attention")
    _check_attention(q, k, v, bias)
    scale = _attention_scale(q, temperature)

    def score(*index: Any) -> sp.Expr:
        *batch, i, j = index
        dot = sum_entries(q.shape[-1:], lambda a: q[(*batch, i, a)] * k[(*batch, j, a)], index)
        return dot / scale if bias is None else dot / scale + bias[i, j]

    weights = softmax(Entries((*q.shape[:-1], k.shape[-2]), score))

    def entry(*index: Any) -> sp.Expr:
        *batch, i, e = index
        return sum_entries([v.shape[-2]], lambda j: weights[(*batch, i, j)] * v[(*batch, j, e)], index)

    return Entries((*q.shape[:-1], v.shape[-1]), entry)


def _attention_scale(q: Array, temperature: Number | None) -> sp.Expr:
    return sp.sqrt(q.shape[-1]) if temperature is None else positive("attention", "temperature", temperature)


def _check_attention(q: Array, k: Array, v: Array, mask: Array | None) -> None:
    for name, array in (("Q", q), ("K", k), ("V", v)):
        if len(array.shape) < 2 or len(array.shape) != len(q.shape):
            check_rank("attention", name, array, max(2, len(q.shape)), max(2, len(q.shape)))
        for axis, size in enumerate(array.shape[:-2]):
            check_size("attention", f"axis {axis} of {name}", size, q.shape[axis], f"axis {axis} of Q")
    check_size("attention", "the last axis of K", k.shape[-1], q.shape[-1], "the last axis of Q")
    check_size("attention", "the number of rows of V", v.shape[-2], k.shape[-2], "the number of rows of K")
    if mask is not None:
        if len(mask.shape) != 2:
            check_rank("attention", "mask", mask, 2, 2)
        check_size("attention", "the number of rows of mask", mask.shape[0], q.shape[-2], "that of Q")
        check_size("attention", "the number of columns of mask", mask.shape[1], k.shape[-2], "the rows of K")


def _divided(array: Array, scale: sp.Expr) -> Array:
    """`array/scale` in the array's own form, and the array itself where the scale is 1."""
    if scale == 1:
        return array
    return (
        sp.MatMul(1 / scale, array)
        if is_matrix(array)
        else elementwise(lambda t: t / scale, entries(array, "softmax"))
    )


# --------------------------------------------------------------------------------------------------
# Convolution (index form: a matrix has too few axes; a matrix is accepted where its two axes are enough)


def conv1d(X: Array, W: Array, b: Array | None = None, stride: int = 1) -> Array:
    """The correlation networks call convolution, in one dimension, over the positions where W fits ("valid").

    X `(..., positions, channels)`, W `(taps, channels, out_channels)`, b `(out_channels,)`; result
    `(..., floor((positions - taps)/stride) + 1, out_channels)`, with the entry
    `Sum(X[..., stride*p + t, c]*W[t, c, o], t, c) + b[o]`. Matrix form (X and W matrices) has one
    channel: X `(n, positions)` with a signal in each row, W `(1, taps)`, b `(1, 1)`; result a matrix
    `(n, floor((positions - taps)/stride) + 1)`.

    With a stride, write the number of positions as `stride*(m - 1) + taps`: the result then has `m` positions
    and no floor, which the compiler does not take as the limit of a sum.
    Raises ShapeMismatch; BadOption unless the stride is a positive int.
    """
    if is_matrix(X) and is_matrix(W):
        check_size("conv1d", "the number of rows of W", W.shape[0], 1, "the one channel of matrix form")
        return _matrix_convolution("conv1d", X, W, b, (1, stride))
    return _convolution("conv1d", X, W, b, (stride,))


def conv2d(X: Array, W: Array, b: Array | None = None, stride: int | tuple[int, int] = 1) -> Array:
    """The same in two dimensions.

    X `(..., rows, columns, channels)`, W `(row_taps, column_taps, channels, out_channels)`, b
    `(out_channels,)`; `stride` is one number, or one for rows and one for columns. Matrix form is one image
    and one channel: X `(rows, columns)`, W `(row_taps, column_taps)`, b `(1, 1)`. Errors as `conv1d`.
    """
    strides = stride if isinstance(stride, tuple) else (stride, stride)
    if is_matrix(X) and is_matrix(W):
        return _matrix_convolution("conv2d", X, W, b, strides)
    return _convolution("conv2d", X, W, b, strides)


def _matrix_convolution(
    where: str, X: Array, W: Array, b: Array | None, strides: tuple[int, int]
) -> sp.MatrixExpr:
    """Correlation of one matrix with another: entry `Sum(X[s*i + a, t*j + c]*W[a, c], a, c) + b`."""
    for stride in strides:
        _check_stride(where, stride)
    if b is not None:
        check_size(
            where, "the number of entries of b", b.shape[0] * b.shape[1], 1, "the one channel of matrix form"
        )
    i, j, a, c = (sp.Dummy(name, integer=True, nonnegative=True) for name in "ijac")
    term = X[strides[0] * i + a, strides[1] * j + c] * W[a, c]
    body = sp.Sum(term, (c, 0, W.shape[1] - 1), (a, 0, W.shape[0] - 1))
    rows, columns = (sp.floor((n - t) / s) + 1 for n, t, s in zip(X.shape, W.shape, strides, strict=True))
    return sp.FunctionMatrix(rows, columns, sp.Lambda((i, j), body if b is None else body + b[0, 0]))


def _convolution(where: str, X: Array, W: Array, b: Array | None, strides: tuple[int, ...]) -> Entries:
    """Correlation over `len(strides)` axes of positions; the shapes are those of `conv1d` and `conv2d`."""
    rank = len(strides)
    x, w = entries(X, where), entries(W, where)
    check_rank(where, "X", x, rank + 1)
    check_rank(where, "W", w, rank + 2, rank + 2)
    check_size(where, "the number of channels of X", x.shape[-1], w.shape[-2], "that of W")
    bias = None if b is None else vector_entries(where, "b", b, w.shape[-1])
    for stride in strides:
        _check_stride(where, stride)
    sizes = x.shape[-1 - rank : -1]
    results = [sp.floor((n - t) / s) + 1 for n, t, s in zip(sizes, w.shape, strides, strict=False)]

    def entry(*index: Any) -> sp.Expr:
        batch, places, o = index[: -1 - rank], index[-1 - rank : -1], index[-1]

        def term(*bound: Any) -> sp.Expr:
            *taps, c = bound
            read = [s * p + t for s, p, t in zip(strides, places, taps, strict=True)]
            return x[(*batch, *read, c)] * w[(*taps, c, o)]

        total = sum_entries(w.shape[:-1], term, index)
        return total if bias is None else total + bias[o]

    return Entries((*x.shape[: -1 - rank], *results, w.shape[-1]), entry)


def _check_stride(where: str, stride: Any) -> None:
    if isinstance(stride, bool) or not isinstance(stride, int) or stride < 1:
        raise BadOption(
            f"the stride is {stride!r}",
            where=where,
            because="positions are read at stride*p + t, with a stride known when the kernel is compiled",
            try_="a positive int",
        )


# --------------------------------------------------------------------------------------------------
# Normalisation: (X - mean)/sqrt(variance + eps), then times gamma plus beta, per column. The variance divides
# by the number of entries (no Bessel correction).

_EPS = sp.Rational(1, 100000)


def batch_norm(X: Array, gamma: Array | None = None, beta: Array | None = None, eps: Number = _EPS) -> Any:
    """Each column (last axis) normalised by its mean and variance over all other axes.

    Ioffe and Szegedy 2015. X `(n, c)`, or `(..., c)` in index form; gamma and beta one number per column,
    `(1, c)` or `(c,)`; the shape of X.
    """
    if is_matrix_form(X, gamma, beta):
        return _matrix_norm("batch_norm", X, gamma, beta, eps)
    rank = len(entries(X, "batch_norm").shape)
    return _entries_norm("batch_norm", X, gamma, beta, eps, range(rank - 1))


def instance_norm(X: Array, gamma: Array | None = None, beta: Array | None = None, eps: Number = _EPS) -> Any:
    """Each channel of each sample normalised over its positions (Ulyanov, Vedaldi and Lempitsky 2016).

    X `(samples, ..., c)` in index form, normalised over all axes but the first and the last. In matrix form X
    is one sample, `(positions, c)`. gamma and beta as in `batch_norm`; the shape of X.
    """
    if is_matrix_form(X, gamma, beta):
        return _matrix_norm("instance_norm", X, gamma, beta, eps)
    x = entries(X, "instance_norm")
    check_rank("instance_norm", "X", x, 3)
    return _entries_norm("instance_norm", x, gamma, beta, eps, range(1, len(x.shape) - 1))


def layer_norm(X: Array, gamma: Array | None = None, beta: Array | None = None, eps: Number = _EPS) -> Any:
    """Each row normalised along the last axis (Ba, Kiros and Hinton 2016); arguments as `batch_norm`."""
    if is_matrix_form(X, gamma, beta):
        return _matrix_norm("layer_norm", X, gamma, beta, eps, along_rows=True)
    rank = len(entries(X, "layer_norm").shape)
    return _entries_norm("layer_norm", X, gamma, beta, eps, range(rank - 1, rank))


def _matrix_norm(
    where: str, X: Any, gamma: Any, beta: Any, eps: Number, along_rows: bool = False
) -> MatrixExpr:
    """Normalise down the columns, or along the rows."""
    (n, c), tiny = map(sp.sympify, X.shape), positive(where, "eps", eps)
    rows, columns = sp.OneMatrix(n, 1), sp.OneMatrix(1, c)

    def average(M: Any) -> Any:
        if along_rows:
            return sp.MatMul(1 / c, M, sp.OneMatrix(c, 1))
        return sp.MatMul(1 / n, sp.OneMatrix(1, n), M)

    def spread(v: Any) -> Any:
        return sp.MatMul(v, columns) if along_rows else sp.MatMul(rows, v)

    centred = sp.MatAdd(X, sp.MatMul(-1, spread(average(X))))
    variance = average(sp.HadamardPower(centred, 2))
    deviation = spread(elementwise(lambda t: 1 / sp.sqrt(t + tiny), variance))
    result = sp.HadamardProduct(centred, deviation)
    if gamma is not None:
        result = sp.HadamardProduct(result, sp.MatMul(rows, row_vector(where, "gamma", gamma, c)))
    if beta is not None:
        result = sp.MatAdd(result, sp.MatMul(rows, row_vector(where, "beta", beta, c)))
    return result


def _entries_norm(where: str, X: Any, gamma: Any, beta: Any, eps: Number, axes: range) -> Entries:
    """Normalise over the given axes, which are neighbours; mean and variance keep the other axes."""
    x, tiny = entries(X, where), positive(where, "eps", eps)
    scale = None if gamma is None else vector_entries(where, "gamma", gamma, x.shape[-1])
    shift = None if beta is None else vector_entries(where, "beta", beta, x.shape[-1])
    extents = x.shape[axes.start : axes.stop]

    def kept(index: Sequence[Any]) -> tuple[Any, ...]:
        return (*index[: axes.start], *index[axes.stop :])

    def average(a: Callable[..., sp.Expr]) -> Entries:
        def entry(*rest: Any) -> sp.Expr:
            before, after = rest[: axes.start], rest[axes.start :]
            return sum_entries(extents, lambda *k: a(*before, *k, *after), rest) / sp.prod(extents)

        return Entries(kept(x.shape), entry)

    mean = average(lambda *index: x[index])
    variance = average(lambda *index: (x[index] - mean[kept(index)]) ** 2)

    def entry(*index: Any) -> sp.Expr:
        result = (x[index] - mean[kept(index)]) / sp.sqrt(variance[kept(index)] + tiny)
        if scale is not None:
            result = result * scale[index[-1]]
        return result if shift is None else result + shift[index[-1]]

    return Entries(x.shape, entry)
