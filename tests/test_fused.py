"""Optimizer loops in compiled code: the same run as step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from numpy.testing import assert_allclose

import symgrad as sg
from symgrad.errors import BadOption, IndexOutOfRange
from symgrad.run.fused import Fused

n, d, h = sp.symbols("n d h", integer=True, positive=True)
X, Y = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("Y", n, 1)
W, b, v, c = (
    sp.MatrixSymbol("W", d, h),
    sp.MatrixSymbol("b", 1, h),
    sp.MatrixSymbol("v", h, 1),
    sp.Symbol("c"),
)
ones = sp.OneMatrix(n, 1)
residual = (X * W + ones * b).applyfunc(sp.tanh) * v + c * ones - Y
NETWORK = (residual.T * residual)[0, 0] / n
a, k = sp.symbols("a k")

METHODS = [
    sg.optim.GradientDescent(0.05),
    sg.optim.Momentum(0.01),
    sg.optim.Nesterov(0.01),
    sg.optim.RMSProp(0.01, epsilon=1e-3),
    sg.optim.Adam(lambda step: 0.02 / (1 + step)),
    sg.optim.AdamW(0.01, epsilon=1e-3),
]


def network(seed: int = 1) -> tuple[dict[Any, Any], dict[Any, Any]]:
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(50, 3))
    params = {W: rng.normal(size=(3, 4)) * 0.5, b: np.zeros((1, 4)), v: rng.normal(size=(4, 1)), c: 0.25}
    return params, {X: images, Y: np.sin(images.sum(axis=1))}


def both(program: Any, params: dict[Any, Any], data: dict[Any, Any], **options: Any) -> tuple[Any, Any]:
    """The run step by step, and the fused one."""
    slow, fast = (
        sg.minimize(program, params, data, progress=False, fused=f, **options) for f in (False, True)
    )
    assert (fast.nit, fast.status, fast.message) == (slow.nit, slow.status, slow.message)
    return slow, fast


def assert_same_run(slow: Any, fast: Any, rtol: float = 1e-11) -> None:
    assert_allclose(fast.history, slow.history, rtol)
    assert_allclose(fast.epoch_history, slow.epoch_history, rtol)
    for key, value in slow.x.items():
        assert type(fast.x[key]) is type(value)
        assert_allclose(fast.x[key], value, rtol, atol=rtol)
        assert_allclose(fast.jac[key], slow.jac[key], rtol, atol=rtol)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
def test_every_method_on_mini_batches_with_a_shorter_last_one(method: Any) -> None:
    w, y = sp.MatrixSymbol("w", d, 1), sp.MatrixSymbol("y", n, 1)
    loss = ((X * w - y).T * (X * w - y))[0, 0] / n
    data = {X: network()[1][X], y: network()[1][Y]}
    slow, fast = both(loss, {w: np.full(3, 0.5)}, data, method=method, batch_size=16, epochs=8, seed=3)
    assert slow.nit == 32
    assert_same_run(slow, fast)


@pytest.mark.parametrize(
    "options", [{"max_steps": 60}, {"batch_size": 16, "epochs": 8}], ids=["all", "batches"]
)
def test_a_network_with_four_parameters(options: dict[str, Any]) -> None:
    assert_same_run(*both(NETWORK, *network(), method=METHODS[4], **options))


@pytest.mark.parametrize(("backend", "dtype", "rtol"), [("c", "float64", 1e-11), ("llvm", "float32", 2e-4)])
def test_other_targets_and_types(backend: str, dtype: str, rtol: float) -> None:
    loss = (sp.cos(a * k) - a) ** 2
    options = {"method": METHODS[1], "max_steps": 40, "backend": backend, "dtype": dtype, "tol": 0.0}
    assert_same_run(*both(loss, {a: 0.3}, {k: 1.5}, **options), rtol)


def test_a_callback_sees_every_so_many_steps_and_the_end() -> None:
    seen: list[list[tuple[int, float, float]]] = [[], []]
    for fused in (False, True):
        sg.minimize(
            (a - 3) ** 2,
            {a: 0.0},
            method=sg.optim.GradientDescent(0.1),
            max_steps=25,
            callback=lambda s, f=fused: seen[f].append((s.step, s.value, s.params[a])),
            callback_every=10,
            fused=fused,
        )
    assert [step for step, _, _ in seen[True]] == [0, 10, 20, 25]
    assert_allclose(seen[True], seen[False], 1e-13)


def test_a_callback_may_stop_in_the_middle() -> None:
    slow, fast = both(
        (a - 3) ** 2, {a: 0.0}, {}, method=sg.optim.GradientDescent(0.1), max_steps=500, tol=0.0,
        callback=lambda s: s.step >= 40, callback_every=20,
    )  # fmt: skip
    assert fast.nit == 40 and fast.status == 3
    assert_same_run(slow, fast)


def test_the_run_ends_at_the_step_where_the_gradient_is_small() -> None:
    slow, fast = both((a - 3) ** 2, {a: 0.0}, {}, method=sg.optim.GradientDescent(0.1), tol=1e-6)
    assert fast.success and fast.nit == slow.nit > 50
    assert_same_run(slow, fast)


def test_a_run_that_leaves_the_numbers_keeps_the_last_finite_point() -> None:
    slow, fast = both(sp.exp(-a) - a**4, {a: 0.5}, {}, method=sg.optim.GradientDescent(0.4))
    assert fast.status == 4 and np.isfinite(fast.x[a]) and np.isfinite(fast.fun)
    assert_allclose([fast.x[a], fast.fun], [slow.x[a], slow.fun], 1e-12)
    assert_allclose(fast.history, slow.history, 1e-9)


def test_scalars_one_of_which_the_program_does_not_use() -> None:
    slow, fast = both(
        (a - k) ** 2, {a: 0.5, c: 2.0}, {k: 3.0}, method=sg.optim.Adam(0.1), max_steps=40
    )  # fmt: skip
    assert fast.x[c] == 2.0
    assert_same_run(slow, fast)


def test_samples_along_two_axes_and_their_number_as_data() -> None:
    gram, target = sp.MatrixSymbol("K", n, n), sp.MatrixSymbol("t", n, 1)
    rng = np.random.default_rng(5)
    loss = ((gram * target).T * (gram * target))[0, 0] * a**2 / n + (a - 1) ** 2 * n
    data = {gram: rng.normal(size=(12, 12)), target: rng.normal(size=12), n: 12}
    options = {"method": sg.optim.GradientDescent(1e-3), "batch_size": 4, "epochs": 9, "batch_axis": n}
    assert_same_run(*both(loss, {a: 0.0}, data, **options))


def test_labels_that_choose_a_column_are_checked_once_and_gathered() -> None:
    i, j = sp.Idx("i", n), sp.Idx("j", d)
    P, label = sp.IndexedBase("P", shape=(d, h)), sp.IndexedBase("label", shape=(n,))
    Z = sp.IndexedBase("Z", shape=(n, d))
    loss = sp.Sum((P[j, label[i]] * Z[i, j] - 1) ** 2, (j, 0, d - 1), (i, 0, n - 1)) / n
    rng = np.random.default_rng(6)
    data = {Z: rng.normal(size=(20, 3)), label: rng.integers(0, 4, 20)}
    params = {P: rng.normal(size=(3, 4))}
    options = {"method": sg.optim.Adam(0.05), "batch_size": 8, "epochs": 12, "batch_axis": n}
    assert_same_run(*both(loss, params, data, **options))
    data[label][7] = 4
    with pytest.raises(IndexOutOfRange):
        sg.minimize(loss, params, data, fused=True, **options)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"method": "lbfgs"}, "LBFGS"),
        ({"method": "gd", "backend": "numpy"}, "numpy"),
    ],
)
def test_what_cannot_be_fused_is_refused_with_the_reason(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadOption, match=reason):
        sg.minimize((a - 3) ** 2, {a: 0.0}, fused=True, **options)


def test_a_recurrence_in_the_program_is_refused_and_left_to_the_steps() -> None:
    loss = (sg.scan(lambda y, t: y - a * y / 10, 1.0, n).final - k) ** 2
    data = {k: 0.5, n: 10}
    with pytest.raises(BadOption, match="recurrence"):
        sg.minimize(loss, {a: 0.1}, data, method="gd", fused=True)
    result = sg.minimize(loss, {a: 0.1}, data, method="gd", max_steps=20_000, tol=1e-3)
    assert result.success


def test_long_runs_are_fused_by_themselves_unless_a_callback_sees_each_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts: list[int] = []
    whole = Fused.__call__

    def counted(self: Fused, *args: Any) -> Any:
        counts.append(args[-1])
        return whole(self, *args)

    monkeypatch.setattr(Fused, "__call__", counted)
    options = {"method": sg.optim.GradientDescent(1e-4), "max_steps": 20_000, "tol": 0.1}
    sg.minimize((a - 3) ** 2, {a: 0.0}, **options)
    assert max(counts) > 1000
    counts.clear()
    sg.minimize((a - 3) ** 2, {a: 0.0}, callback=lambda s: s.step > 5, **options)
    sg.minimize((a - 3) ** 2, {a: 0.0}, **{**options, "max_steps": 100})
    assert not counts


def test_a_call_takes_no_more_steps_than_its_workspace_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symgrad.run.fused._MOST_MEMORY", 1 << 13)
    i, j = sp.Idx("i", n), sp.Idx("j", d)
    Z = sp.IndexedBase("Z", shape=(n, d))
    loss = sp.Sum(a**2 * sp.exp(sp.Sum(sp.sin(Z[i, j]), (j, 0, d - 1))) - a, (i, 0, n - 1)) / n
    data = {Z: np.random.default_rng(7).normal(size=(64, 3))}
    options = {"method": sg.optim.GradientDescent(0.01), "batch_size": 16, "epochs": 30, "batch_axis": n}
    assert_same_run(*both(loss, {a: 1.0}, data, **options))
