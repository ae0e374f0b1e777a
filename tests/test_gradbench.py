"""Our side of the GradBench protocol, message by message, on tiny inputs; the suite itself is not needed."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import tool

RUNS = {"min_runs": 2, "min_seconds": 0}


def conversation(*messages):
    """What the tool answers to messages, through its lines of text."""
    lines = [json.dumps({"id": k} | message) for k, message in enumerate(messages)]
    out = io.StringIO()
    tool.serve(lines, out)
    answers = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [a["id"] for a in answers] == list(range(len(messages)))
    return answers


def evaluated(module, function, data):
    """The output of one function, asked for as an eval does."""
    start, defined, answer = conversation(
        {"kind": "start"},
        {"kind": "define", "module": module},
        {"kind": "evaluate", "module": module, "function": function, "input": data},
    )
    assert start["tool"] == "symgrad"
    assert defined["success"], defined
    assert answer["success"], answer["error"]
    names = [t["name"] for t in answer["timings"]]
    assert names == ["evaluate"] * (data["min_runs"] if isinstance(data, dict) else 1)
    return answer["output"]


def test_a_module_that_nobody_wrote_is_refused():
    answer = conversation({"kind": "define", "module": "../problems/common"})[0]
    assert not answer["success"]
    assert "no problem named" in answer["error"]


def test_a_function_that_nobody_wrote_is_refused():
    message = {"kind": "evaluate", "module": "hello", "function": "triple", "input": 1.0}
    assert "no function 'triple'" in conversation(message)[0]["error"]


def test_a_failure_is_answered_and_the_next_message_too():
    message = {"kind": "evaluate", "module": "hello", "function": "square"}
    failed, fine = conversation(message | {"input": "three"}, message | {"input": 3.0})
    assert not failed["success"]
    assert fine["output"] == 9.0


def test_analyses_are_acknowledged():
    assert conversation({"kind": "analysis", "of": 0, "valid": True}) == [{"id": 0}]


def test_runs_go_on_until_the_seconds_have_passed():
    data = {"x": [0.0], "min_runs": 1, "min_seconds": 0.01}
    message = {"kind": "evaluate", "module": "lse", "function": "primal", "input": data}
    timings = conversation(message)[0]["timings"]
    assert sum(t["nanoseconds"] for t in timings) >= 1e7
    assert sum(t["nanoseconds"] for t in timings[:-1]) < 1e7


def test_hello_squares_and_differentiates():
    assert evaluated("hello", "square", 3) == 9.0
    assert evaluated("hello", "double", 3.5) == 7.0


@pytest.mark.parametrize("shift", [0, 800])
def test_lse_is_the_logarithm_of_a_sum_and_its_gradient_the_softmax(shift):
    x = [1 + shift, 3, 2.5 + shift]
    e = np.exp(np.array(x) - max(x))
    data = {"x": x} | RUNS
    np.testing.assert_allclose(evaluated("lse", "primal", data), max(x) + np.log(e.sum()), rtol=1e-15)
    np.testing.assert_allclose(evaluated("lse", "gradient", data), e / e.sum(), rtol=1e-15)


@pytest.mark.parametrize("n", [2, 5, 24])
def test_llsq_is_a_sum_of_squares_of_polynomial_residuals(n):
    x, t = np.random.default_rng(n).random(7), np.linspace(-1, 1, n)
    powers = t[:, None] ** np.arange(7)
    residual = np.sign(t) - powers @ x
    data = {"x": x.tolist(), "n": n} | RUNS
    np.testing.assert_allclose(evaluated("llsq", "primal", data), residual @ residual / 2, rtol=1e-13)
    np.testing.assert_allclose(evaluated("llsq", "gradient", data), -residual @ powers, rtol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_det_is_the_determinant_and_its_gradient_the_cofactors(size):
    a = np.random.default_rng(size).random((size, size))
    data = {"A": a.ravel().tolist(), "ell": size} | RUNS
    determinant = np.linalg.det(a)
    cofactors = determinant * np.linalg.inv(a).T
    np.testing.assert_allclose(evaluated("det", "primal", data), determinant, rtol=1e-11)
    np.testing.assert_allclose(evaluated("det", "gradient", data), cofactors.ravel(), rtol=1e-10)


def test_det_of_a_singular_matrix_has_the_cofactors_as_gradient():
    data = {"A": [1, 2, 2, 4], "ell": 2} | RUNS
    assert evaluated("det", "primal", data) == 0.0
    assert evaluated("det", "gradient", data) == [4.0, -2.0, -2.0, 1.0]


def runge_kutta(x, steps):
    """The last state of the chain of equations, by the classical method on whole arrays."""
    h, y = 2 / steps, np.zeros_like(x)

    def slope(y):
        return x * np.concatenate([[1], y[:-1]])

    for _ in range(steps):
        k1 = slope(y)
        k2 = slope(y + h / 2 * k1)
        k3 = slope(y + h / 2 * k2)
        k4 = slope(y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return y


@pytest.mark.parametrize(("n", "steps"), [(1, 1), (3, 2), (9, 3), (6, 25)])
def test_ode_is_runge_kutta_and_its_gradient_that_of_the_last_entry(n, steps):
    x = np.random.default_rng(n).random(n)
    data = {"x": x.tolist(), "s": steps} | RUNS
    along = [runge_kutta(x + 1e-30j * unit, steps)[-1].imag / 1e-30 for unit in np.eye(n)]
    np.testing.assert_allclose(evaluated("ode", "primal", data), runge_kutta(x, steps), rtol=1e-14)
    np.testing.assert_allclose(evaluated("ode", "gradient", data), along, rtol=1e-12)


MODES = ["ff", "fr", "rf", "rr"]


@pytest.mark.parametrize("modes", MODES)
def test_particle_is_steered_to_the_origin_in_all_modes(modes):
    data = {"w": 0.0} | RUNS
    assert evaluated("particle", modes, data) == pytest.approx(0.2071918746486118, rel=1e-11)


@pytest.mark.parametrize("modes", MODES)
def test_saddle_is_found_in_all_modes(modes):
    found = evaluated("saddle", modes, {"start": [1, 1]} | RUNS)
    np.testing.assert_allclose(found, 4 * [8.246324826140356e-06], rtol=1e-9)


def test_a_long_chain_reads_nothing_in_front_of_its_states():
    """Memory of this size has nothing in front of it; in 100 steps no number gets to the end."""
    data = {"x": [0.5] * 1500, "s": 100} | RUNS
    assert evaluated("ode", "gradient", data) == [0.0] * 1500
