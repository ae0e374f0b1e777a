"""Losses as plain functions that return one scalar SymPy expression.

The arrays follow the convention of `symgrad.nn`: all matrices give a matrix expression under a `Trace`; as
soon as one array is in index form (`IndexedBase` with a shape, `Entries`) the result is a `Sum` over entries.
Formulas are plain and exact; the compiler makes `log(1 + exp(z))` and `log(sum of exp)` safe against
overflow.

Every loss is a mean over its items, or their sum with `reduction="sum"`. The items are the entries for losses
that act entry by entry (`squared_error`, `huber`, `binary_cross_entropy`), and the rows, that is all axes but
the last, for losses of whole rows (`softmax_cross_entropy`, `label_cross_entropy`, `triplet`, `gaussian_kl`).

    >>> import sympy as sp
    >>> n, d = sp.symbols("n d", integer=True, positive=True)
    >>> squared_error(sp.MatrixSymbol("P", n, d), sp.MatrixSymbol("Y", n, d))
    Trace((P - Y).T*(P - Y))/(d*n)
    >>> squared_error(sp.IndexedBase("p", shape=(n,)), sp.IndexedBase("y", shape=(n,)))
    Sum((p[_k1] - y[_k1])**2, (_k1, 0, n - 1))/n

All raise ShapeMismatch where shapes disagree, BadArgument for what is not an array, and BadOption for
constants and words that make no sense.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sympy as sp

from symgrad.entries import (
    Array,
    Entries,
    Number,
    Where,
    check_rank,
    check_same_shape,
    check_size,
    entries,
    is_matrix_form,
    positive,
    sum_entries,
)
from symgrad.errors import BadOption
from symgrad.nn import elementwise, log_softmax, log_sum_exp, relu, softplus


def squared_error(prediction: Array, target: Array, reduction: str = "mean") -> sp.Expr:
    """`(prediction - target)**2` over the entries of two arrays of one shape.

    Matrix form: `Trace((P - Y).T*(P - Y))`, divided by the number of entries.
    """
    if is_matrix_form(prediction, target):
        check_same_shape("squared_error", prediction=prediction, target=target)
        difference = sp.MatAdd(prediction, sp.MatMul(-1, target))
        total = sp.Trace(sp.MatMul(sp.Transpose(difference), difference))
        return _reduced("squared_error", total, prediction.shape, reduction)
    p, y = _pair("squared_error", prediction=prediction, target=target)
    total = sum_entries(p.shape, lambda *index: (p[index] - y[index]) ** 2)
    return _reduced("squared_error", total, p.shape, reduction)


def huber(prediction: Array, target: Array, delta: Number = 1, reduction: str = "mean") -> sp.Expr:
    """`r**2/2` where `|r| <= delta`, else `delta*(|r| - delta/2)`, for `r = prediction - target`.

    Huber 1964. Matrix form: the sum of the entries of `(P - Y).applyfunc(...)`.
    Raises BadOption for a delta that is not positive.
    """
    limit = positive("huber", "delta", delta)

    def penalty(r: Any) -> sp.Expr:
        size = sp.Abs(r)
        return Where(size <= limit, r**2 / 2, limit * (size - limit / 2))

    if is_matrix_form(prediction, target):
        check_same_shape("huber", prediction=prediction, target=target)
        total = sum_of_matrix(elementwise(penalty, prediction - target))
        return _reduced("huber", total, prediction.shape, reduction)
    p, y = _pair("huber", prediction=prediction, target=target)
    total = sum_entries(p.shape, lambda *index: penalty(p[index] - y[index]))
    return _reduced("huber", total, p.shape, reduction)


def binary_cross_entropy(logits: Array, target: Array, reduction: str = "mean") -> sp.Expr:
    """`log(1 + exp(z)) - y*z` over the entries: z the logits, y the probability of the event, in 0..1.

    Matrix form: the sum of the entries of softplus(Z), minus `Trace(Y.T*Z)`.
    """
    if is_matrix_form(logits, target):
        check_same_shape("binary_cross_entropy", logits=logits, target=target)
        total = sum_of_matrix(softplus(logits)) - sp.Trace(sp.MatMul(sp.Transpose(target), logits))
        return _reduced("binary_cross_entropy", total, logits.shape, reduction)
    z, y = _pair("binary_cross_entropy", logits=logits, target=target)
    total = sum_entries(z.shape, lambda *index: softplus(z[index]) - y[index] * z[index])
    return _reduced("binary_cross_entropy", total, z.shape, reduction)


def softmax_cross_entropy(scores: Array, target: Array, reduction: str = "mean") -> sp.Expr:
    """`-sum(y * log_softmax(z))` per row.

    z are the scores, y is one-hot or any other weights of the classes, both `(..., c)`. Matrix form:
    `-Trace(Y.T*(Z - L*OneMatrix(1, c)))` with the column L of the rows' log-sum-exp.
    """
    if is_matrix_form(scores, target):
        check_same_shape("softmax_cross_entropy", scores=scores, target=target)
        total = -sp.Trace(sp.MatMul(sp.Transpose(target), log_softmax(scores)))
        return _reduced("softmax_cross_entropy", total, scores.shape[:-1], reduction)
    z, y = _pair("softmax_cross_entropy", scores=scores, target=target)
    check_rank("softmax_cross_entropy", "scores", z, 1)
    logs = log_softmax(z)
    total = sum_entries(z.shape, lambda *index: -y[index] * logs[index])
    return _reduced("softmax_cross_entropy", total, z.shape[:-1], reduction)


def label_cross_entropy(scores: Array, labels: Array, reduction: str = "mean") -> sp.Expr:
    """`log_sum_exp(z) - z[label]` per row.

    scores `(..., c)`, labels an `IndexedBase` of integers of shape `(...)`. Always index form: the labels are
    read as indices, `Z[i, labels[i]]`.
    """
    where = "label_cross_entropy"
    z, chosen = entries(scores, where), entries(labels, where)
    check_rank(where, "scores", z, 1)
    check_rank(where, "labels", chosen, len(z.shape) - 1, len(z.shape) - 1)
    for axis, size in enumerate(chosen.shape):
        check_size(where, f"axis {axis} of labels", size, z.shape[axis], f"axis {axis} of scores")
    normaliser = log_sum_exp(z)
    total = _sum_rows(chosen.shape, lambda *row: normaliser[row] - z[(*row, chosen[row])])
    return _reduced(where, total, chosen.shape, reduction)


def triplet(
    anchor: Array, positives: Array, negatives: Array, margin: Number = 1, reduction: str = "mean"
) -> sp.Expr:
    """`max(|a - p|**2 - |a - n|**2 + margin, 0)` per row of three arrays `(..., d)`.

    Schroff, Kalenichenko and Philbin 2015, equation 3. The kink is that of `nn.relu`: derivative 0 where the
    bracket is 0. Matrix form: the sum of the entries of
    `relu((HadamardPower(A - P, 2) - HadamardPower(A - N, 2))*OneMatrix(d, 1) + margin*OneMatrix(n, 1))`.
    """
    gap = positive("triplet", "margin", margin)
    if is_matrix_form(anchor, positives, negatives):
        check_same_shape("triplet", anchor=anchor, positives=positives, negatives=negatives)
        rows, columns = anchor.shape
        near, far = (sp.HadamardPower(anchor - other, 2) for other in (positives, negatives))
        gaps = sp.MatMul(gap, sp.OneMatrix(rows, 1))
        excess = sp.MatAdd(sp.MatMul(sp.MatAdd(near, sp.MatMul(-1, far)), sp.OneMatrix(columns, 1)), gaps)
        return _reduced("triplet", sum_of_matrix(relu(excess)), (rows,), reduction)
    a, p, n = (entries(array, "triplet") for array in (anchor, positives, negatives))
    check_same_shape("triplet", anchor=a, positives=p, negatives=n)
    check_rank("triplet", "anchor", a, 1)

    def difference(*index: Any) -> sp.Expr:
        return (a[index] - p[index]) ** 2 - (a[index] - n[index]) ** 2

    def penalty(*row: Any) -> sp.Expr:
        return relu(sum_entries(a.shape[-1:], lambda k: difference(*row, k), row) + gap)

    return _reduced("triplet", _sum_rows(a.shape[:-1], penalty), a.shape[:-1], reduction)


def gaussian_kl(
    mean: Array,
    log_variance: Array,
    prior_mean: Array | None = None,
    prior_log_variance: Array | None = None,
    reduction: str = "mean",
) -> sp.Expr:
    """Kullback-Leibler divergence of one diagonal Gaussian per row from another; all arrays `(..., d)`.

    Per row the sum over columns of `(exp(v - u) + (m - q)**2*exp(-u) - 1 - v + u)/2`, with mean m and
    log-variance v, and mean q and log-variance u of the prior, both 0 (a standard normal) unless given.
    Kingma and Welling 2014, appendix B. Matrix form: the sum of the entries of the same expression.
    """
    arrays = {"mean": mean, "log_variance": log_variance}
    if prior_mean is not None:
        arrays["prior_mean"] = prior_mean
    if prior_log_variance is not None:
        arrays["prior_log_variance"] = prior_log_variance
    if is_matrix_form(*arrays.values()):
        check_same_shape("gaussian_kl", **arrays)
        total = _gaussian_kl_matrix(mean, log_variance, prior_mean, prior_log_variance)
        return _reduced("gaussian_kl", total, mean.shape[:-1], reduction)
    parts = {name: entries(array, "gaussian_kl") for name, array in arrays.items()}
    check_same_shape("gaussian_kl", **parts)
    check_rank("gaussian_kl", "mean", parts["mean"], 1)

    def term(*index: Any) -> sp.Expr:
        m, v = parts["mean"][index], parts["log_variance"][index]
        q = parts["prior_mean"][index] if "prior_mean" in parts else sp.S.Zero
        u = parts["prior_log_variance"][index] if "prior_log_variance" in parts else sp.S.Zero
        return (sp.exp(v - u) + (m - q) ** 2 * sp.exp(-u) - 1 - v + u) / 2

    shape = parts["mean"].shape
    return _reduced("gaussian_kl", sum_entries(shape, term), shape[:-1], reduction)


def _gaussian_kl_matrix(m: Any, v: Any, q: Any | None, u: Any | None) -> sp.Expr:
    squares = sp.HadamardPower(m if q is None else m - q, 2)
    if u is None:
        terms = elementwise(sp.exp, v) + squares - v
    else:
        weighted = sp.HadamardProduct(squares, elementwise(lambda t: sp.exp(-t), u))
        terms = elementwise(sp.exp, v - u) + weighted - v + u
    return sum_of_matrix(terms - sp.OneMatrix(*m.shape)) / 2


def sum_of_matrix(M: Any) -> sp.Expr:
    """The sum of all entries of a matrix expression `(n, c)`, written `Trace(OneMatrix(c, n)*M)`."""
    return sp.Trace(sp.MatMul(sp.OneMatrix(M.shape[1], M.shape[0]), M))


def _pair(where: str, **arrays: Array) -> tuple[Entries, Entries]:
    """Two arrays in index form, checked to have one shape."""
    parts = {name: entries(array, where) for name, array in arrays.items()}
    check_same_shape(where, **parts)
    first, second = parts.values()
    return first, second


def _sum_rows(extents: Sequence[Any], body: Callable[..., sp.Expr]) -> sp.Expr:
    """The sum over all rows; an array of rank 1 is one row, and has no axis to sum over."""
    return sum_entries(extents, body) if extents else body()


def _reduced(where: str, total: sp.Expr, items: Sequence[Any], reduction: str) -> sp.Expr:
    """The mean over the items, whose numbers along each axis are given, or the sum, as `reduction` says."""
    if reduction not in ("mean", "sum"):
        raise BadOption(
            f"reduction is {reduction!r}",
            where=where,
            because="a loss is a mean over its items or a sum",
            try_='"mean" or "sum"',
        )
    return total / sp.prod(items) if reduction == "mean" else total
