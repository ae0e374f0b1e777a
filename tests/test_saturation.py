"""Probabilities near 1 and near 0: derivatives of cross-entropies keep their digits, entry by entry.

The reference is written out by hand in mpmath: softmax minus targets, and p_k*(d_kj - p_j).
"""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.ir.graph import Graph
from symgrad.opt.saturation import NAME

TARGETS = ("numpy", "llvm", "c")
RELATIVE = 1e-13
n, d, c = sp.symbols("n d c", integer=True, positive=True)
i = sp.symbols("i", integer=True)
Z, Y, X, W = (sp.MatrixSymbol(*s) for s in (("Z", n, c), ("Y", n, c), ("X", n, d), ("W", d, c)))
v = sp.IndexedBase("v", shape=(n,))
logits = sp.IndexedBase("logits", shape=(n, c))
label = sp.IndexedBase(sp.Symbol("label", integer=True), shape=(n,))

ROWS = np.array([
    [40.0, 0.0, 1.0], [1003.0, 1000.0, 300.0], [-1000.25, -1000.0, -1703.5], [0.5, -0.25, 0.125],
    [0.0, 700.0, 1e-9], [2.0, 2.0, 2.0], [50.0, 50.0, 0.0],
])  # fmt: skip
HOT = np.array([0, 0, 1, 2, 1, 0, 1])
SOFT = np.array(
    [[1.0, 0, 0], [0.75, 0.25, 0.0], [0, 1, 0], [0.25, 0.5, 0.25], [0.0, 1, 0], [0, 0, 2.0], [0, 1, 0]]
)


def softmax(row: np.ndarray) -> list[Any]:
    powers = [mpmath.exp(mpmath.mpf(x)) for x in row]
    return [e / sum(powers) for e in powers]


def wrong(found: Any, wanted: Any) -> list[tuple[float, float]]:
    """Entries without thirteen digits (a subnormal has none to give)."""
    pairs = zip(np.ravel(found), np.ravel(np.array(wanted, dtype=object)), strict=True)
    return [(f, float(w)) for f, w in pairs if not abs(f - w) <= RELATIVE * abs(w) + 1e-320]


def gradient(targets: np.ndarray) -> list[list[Any]]:
    """Of the cross-entropies' mean by the logits."""
    with mpmath.workdps(900):
        return [
            [(mpmath.fsum(y) * p - t) / len(ROWS) for p, t in zip(softmax(row), y, strict=True)]
            for row, y in zip(ROWS, targets, strict=True)
        ]


def hessian(row: np.ndarray) -> list[list[Any]]:
    """Of the log-sum-exp of one row."""
    with mpmath.workdps(900):
        p = softmax(row)
        return [[p[k] * ((k == j) - p[j]) for j in range(len(p))] for k in range(len(p))]


@pytest.mark.parametrize("backend", TARGETS)
@pytest.mark.parametrize("targets", [np.eye(3)[HOT], SOFT], ids=["one-hot", "soft"])
def test_gradient_of_a_cross_entropy_is_right_in_every_entry(targets: np.ndarray, backend: str) -> None:
    loss = sg.losses.softmax_cross_entropy(Z, Y)
    kernel = sg.compile(loss, args=(Z, Y), wrt=Z, outputs="grad", backend=backend)
    assert not wrong(kernel(ROWS, targets), gradient(targets))


@pytest.mark.parametrize("backend", TARGETS)
def test_gradient_by_labels_is_right_in_every_entry(backend: str) -> None:
    loss = sg.losses.label_cross_entropy(logits, label)
    kernel = sg.compile(loss, args=(logits, label), wrt=logits, outputs="grad", backend=backend)
    assert not wrong(kernel(ROWS, HOT), gradient(np.eye(3)[HOT]))


@pytest.mark.parametrize("backend", TARGETS)
def test_gradient_goes_through_a_layer(backend: str) -> None:
    loss = sg.losses.softmax_cross_entropy(X * W, Y)
    kernel = sg.compile(loss, args=(W, X, Y), wrt=W, outputs=("grad", "hess"), backend=backend)
    grad, hess = kernel(ROWS[:1], np.array([[1.0]]), np.eye(3)[:1])
    with mpmath.workdps(900):
        p = softmax(ROWS[0])
        assert not wrong(grad, [p[0] - 1, *p[1:]])
    assert not wrong(hess, hessian(ROWS[0]))


@pytest.mark.parametrize("backend", TARGETS)
@pytest.mark.parametrize("shift", ["outside", "inside", "inside, of exponents with a sign"])
def test_hessian_of_a_log_sum_exp_is_right_in_every_entry(shift: str, backend: str) -> None:
    exponent = {"outside": v[i], "inside": v[i] - v[0]}.get(shift, -(v[0] - v[i]))
    value = sp.log(sp.Sum(sp.exp(exponent), (i, 0, n - 1))) - (v[0] if shift == "outside" else 0)
    kernel = sg.compile(value, wrt=v, outputs=("grad", "hess", "hess_diag"), backend=backend)
    for row in ROWS:
        grad, hess, diagonal = kernel(row)
        with mpmath.workdps(900):
            p = softmax(row)
            assert not wrong(grad, [p[0] - 1, *p[1:]])
        assert not wrong(hess, hessian(row))
        assert not wrong(diagonal, [hessian(row)[k][k] for k in range(3)])


@pytest.mark.parametrize("backend", TARGETS)
def test_hessian_of_many_log_sum_exps_is_right_in_every_entry(backend: str) -> None:
    loss = sg.losses.softmax_cross_entropy(Z, Y)
    kernel = sg.compile(loss, args=(Z, Y), wrt=Z, outputs="hess", backend=backend)
    hess = kernel(ROWS, np.eye(3)[HOT])
    for k, row in enumerate(ROWS):
        with mpmath.workdps(900):
            wanted = [[entry / len(ROWS) for entry in line] for line in hessian(row)]
        assert not wrong(hess[k, :, k], wanted)
        assert not np.delete(hess[k], k, axis=1).any()


@pytest.mark.parametrize("backend", TARGETS)
def test_hessian_of_three_written_out_logits_is_right_in_every_entry(backend: str) -> None:
    xs = sp.symbols("x:3", real=True)
    value = sp.log(sum(map(sp.exp, xs)))
    kernel = sg.compile(value, args=xs, wrt=xs, outputs=("grad", "hess"), backend=backend)
    points = [
        [40.0, 0.0, 1.0],
        [0.0, 1.0, 40.0],
        [1.0, 40.0, 0.0],
        [0.5, 0.25, -0.125],
        [1000.0, 999.0, 1001.0],
    ]
    for point in points:
        row = np.array(point)
        grad, hess = kernel(*row)
        with mpmath.workdps(900):
            assert not wrong(grad, softmax(row))
        assert not wrong(hess, hessian(row))


@pytest.mark.parametrize("backend", TARGETS)
def test_gradient_of_a_binary_cross_entropy_is_right_in_every_entry(backend: str) -> None:
    kernel = sg.compile(
        sg.losses.binary_cross_entropy(Z, Y), args=(Z, Y), wrt=Z, outputs="grad", backend=backend
    )
    scores = np.array([[40.0, -40.0, 700.0, 1.5], [-700.0, 3.0, 38.0, 0.0]])
    targets = np.array([[1.0, 0.0, 1.0, 0.875], [0.0, 1.0, 0.5, 1.0]])
    with mpmath.workdps(900):
        wanted = [
            (1 / (1 + mpmath.exp(-mpmath.mpf(s))) - t) / 8
            for s, t in zip(scores.flat, targets.flat, strict=True)
        ]
    assert not wrong(kernel(scores, targets), wanted)


@pytest.mark.parametrize("backend", TARGETS)
def test_a_row_of_minus_infinities_has_no_gradient_but_its_target(backend: str) -> None:
    loss = sg.losses.label_cross_entropy(logits, label)
    kernel = sg.compile(loss, args=(logits, label), wrt=logits, outputs="grad", backend=backend)
    row = np.array([[-np.inf, 40.0, 0.0]])
    with mpmath.workdps(60):
        p = softmax(row[0, 1:])
    assert not wrong(kernel(row, np.array([1])), [0, p[0] - 1, p[1]])


def test_without_stability_rules_nothing_is_rewritten() -> None:
    x, y = sp.symbols("x y", real=True)
    value = sp.log(1 + sp.exp(x)) - x * y
    plain, kept = (
        sg.compile(value, args=(x, y), wrt=x, outputs="grad", backend="numpy", stabilise=on)
        for on in (False, True)
    )
    assert float(plain(40.0, 1.0)) == 0.0
    assert float(kept(40.0, 1.0)) == pytest.approx(-np.exp(-40.0), rel=1e-14)


def test_gates_of_a_recurrent_network_stay_as_they_are() -> None:
    """forget*c + input*g: two logistic functions, none of them beside a target."""
    f, h, a, b = sp.symbols("f h a b", real=True)
    seen: list[Graph] = []

    def watch(stage: str, thing: Any) -> None:
        if stage == "logsumexp":
            seen.append(thing.graph)

    sg.compile(a / (1 + sp.exp(-f)) + b / (1 + sp.exp(-h)), args=(f, h, a, b), wrt=(f, h), watch=watch)
    assert seen and not seen[0].fired[NAME]


def test_what_is_made_of_the_same_softmax_is_no_target() -> None:
    """p'*v + p*v' along a direction, p' stored: both sums over what is mixed stay matrix products."""
    seen: list[Graph] = []

    def watch(stage: str, thing: Any) -> None:
        if stage == "logsumexp":
            seen.append(thing.graph)

    mixed = sg.nn.softmax(X * W) * Y.T
    loss = sp.Trace(mixed.T * mixed)
    sg.compile(loss, args=(W, X, Y), wrt=(W, Y), outputs="hvp", watch=watch)
    assert seen and not seen[0].fired[NAME]
