"""Our side of the GradBench protocol, message by message, on tiny inputs; the suite itself is not needed."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

TOOL = Path(__file__).resolve().parents[1] / "tools" / "bench" / "gradbench"
if str(TOOL) not in sys.path:
    sys.path.insert(0, str(TOOL))

import tool  # noqa: E402  (found through the line above)

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
