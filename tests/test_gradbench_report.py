"""The table of GradBench: what of a run is kept, how it becomes text, and who is left behind."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import pytest
import report
import run
from outcomes import Result, Session, load


def session(tool, milliseconds, valid=True, function="gradient"):
    """A tool that answered one workload in so many milliseconds."""
    made = Session(tool)
    record(made, milliseconds, valid, function)
    return made


def record(made, milliseconds, valid=True, function="gradient"):
    """One more time that the eval ran."""
    message = {"kind": "evaluate", "id": 2, "function": function, "input": {}, "description": "n=8"}
    runs = [{"name": "evaluate", "nanoseconds": milliseconds * 1e6}] * 3
    made.record(message, {"success": True, "timings": runs})
    made.record({"kind": "analysis", "of": 2, "valid": valid}, {})


def result(*sessions, name="lse"):
    return Result(name, "2026-11-21", "a processor", ["--min-runs", "3"], sessions)


def test_the_best_tool_of_a_row_is_the_fastest_with_a_valid_result():
    text = report.table(result(session("symgrad", 2), session("manual", 8), session("adept", 1, valid=False),
                               session("codipack", 4)))  # fmt: skip
    assert "| gradient n=8 | 2 | 8 | 1 (wrong) | 4 | 0.25 | codipack | 0.5 |" in text
    assert "- adept: 0 of 1 results valid; first error: invalid" in text


def test_a_closed_form_is_never_the_best():
    text = report.table(result(session("symgrad", 2), session("manual", 1), name="ode"))
    assert "| gradient n=8 | 2 | 1 | 2 | - | - |" in text


def test_a_clock_of_coarse_steps_is_read_between_them_by_running_many_times():
    many = Session("manual")
    for k in range(40):
        nanoseconds = {0: 5000, 1: 0}.get(k, 20 if k % 4 else 30)  # one interrupted, one that saw no step
        record(many, nanoseconds / 1e6, valid=k != 7)
        assert not many.errors or k >= 7
    row = many.last("gradient")
    assert row.milliseconds == pytest.approx((28 * 20 + 8 * 30) / 36 / 1e6)
    assert row.runs == 120
    assert not row.valid, "wrong once is wrong"


def test_a_tool_without_the_eval_has_no_column():
    refused = Session("jax")
    refused.record({"kind": "define", "id": 1}, {"success": False, "error": "no module named det"})
    text = report.table(result(session("symgrad", 2), refused))
    assert "| function, workload | symgrad |" in text
    assert "- jax: does not have it\n" in text


def test_a_run_of_an_eval_replaces_its_file_and_no_other(tmp_path):
    result(session("symgrad", 2), name="det").save(tmp_path)
    before = (tmp_path / "det.json").read_bytes()
    result(session("symgrad", 2)).save(tmp_path)
    result(session("symgrad", 3)).save(tmp_path)
    assert (tmp_path / "det.json").read_bytes() == before
    assert load(tmp_path / "lse.json").sessions[0].last("gradient").milliseconds == 3


def test_a_stored_run_makes_the_same_table(tmp_path):
    one = result(session("symgrad", 2), session("manual", 8, valid=False))
    one.save(tmp_path)
    assert report.table(load(tmp_path / "lse.json")) == report.table(one)


def test_the_table_is_that_of_the_stored_results():
    stored = [run.RESULTS / f"{name}.json" for name in run.EVALS]
    text = report.text([load(path) for path in stored if path.exists()])
    assert text == run.TABLE.read_text()


@pytest.mark.parametrize(("program", "word"), [("input(); input()", "no answer"), ("input()", "ended")])
def test_a_tool_that_is_silent_or_gone_is_left_behind(program, word):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "start_new_session": True}
    ask = subprocess.Popen([sys.executable, "-c", "print('{}', flush=True); input()"], **pipes)
    answer = subprocess.Popen([sys.executable, "-c", program], **pipes)
    left = Session("slow")
    try:
        assert list(run.exchanges(ask, answer, left, 0.5)) == []
        assert word in left.errors[0]
    finally:
        for process in (ask, answer):
            process.kill()
            process.communicate()


def test_what_a_tool_has_started_ends_with_it():
    program = (
        "import subprocess, sys; p = subprocess.Popen(['sleep', '60']); print(p.pid, flush=True); p.wait()"
    )
    tool = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    child = int(tool.stdout.readline())
    run.stop(tool)
    tool.stdout.close()
    assert _ends(Path(f"/proc/{child}/stat"))


def _ends(state):
    """Whether a process that was told to end is gone, or waits for nobody, within a second."""
    for _ in range(100):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if state.read_text().split()[2] != "Z":
                time.sleep(0.01)
                continue
        return True
    return False
