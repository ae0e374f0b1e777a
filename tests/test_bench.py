"""The benchmarks run in a tiny configuration, and their contenders agree. No times are judged."""

from __future__ import annotations

import operator
import subprocess
import sys
from pathlib import Path

import arm
import batch
import call_overhead
import cliffs
import common
import compile_scale
import contractions
import cost_promise
import floors
import machine_code
import network
import network_batch
import network_one
import numpy as np
import pytest
import repeated_parts
import rosenbrock100
import run_all
import scalar_graph
import sparse_hessian
import start
import sympy as sp
import targets
import tensor_programs
import training

import symgrad as sg

BENCH = Path(__file__).resolve().parents[1] / "tools" / "bench"
TIMED = {
    "call_overhead": (call_overhead, 3),
    "rosenbrock100": (rosenbrock100, 1),
    "sparse_hessian": (sparse_hessian, 1),
    "arm": (arm, 2),
    "batch": (batch, 1),
    "network_one": (network_one, 1),
    "network_batch": (network_batch, 1),
    "training": (training, 1),
}


@pytest.fixture(autouse=True)
def cold_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SYMGRAD_CACHE_DIR", str(tmp_path))


@pytest.mark.parametrize("name", TIMED)
def test_every_contender_of_a_benchmark_agrees_with_the_first(name):
    module, count = TIMED[name]
    tables = module.run(common.TINY)
    assert len(tables) == count
    for table in tables:
        assert len(table.agreed) == len(table.rows) >= 3
        assert table.agreed[0].startswith("symgrad llvm")
        assert table.rows[0][-1] == "1.00"
        has_c = any(label.startswith(("symgrad c", "C by hand")) for label in table.agreed)
        assert has_c == (name != "call_overhead" and machine_code.compiler() is not None)


def test_a_large_graph_has_the_derivatives_of_its_steps():
    rng = common.TINY.random()
    drawn, point = scalar_graph.draws(40, rng), scalar_graph.inputs(rng)
    inputs = [np.array(p) for p in point]
    code = machine_code.SymgradCode(lambda: scalar_graph.program(drawn), scalar_graph.WORDS, "llvm", inputs)
    value, slopes = code.results()
    for k in range(len(point)):
        moved = [complex(p) for p in point]
        moved[k] += 1e-30j
        wanted = scalar_graph.chain(drawn, moved, scalar_graph.total, operator.mul)
        assert value == pytest.approx(wanted.real, rel=1e-12)
        assert np.ravel(slopes)[k] == pytest.approx(wanted.imag * 1e30, rel=1e-11, abs=1e-12)


def test_targets_are_those_of_the_results_that_are_kept():
    text = targets.text()
    assert (BENCH / "TARGETS.md").read_text() == text
    rows = [row for table in targets.tables() for row in table.rows]
    assert len(rows) > 60 and {row[-1] for row in rows} <= {"yes", "NO"}


def test_a_target_is_a_bound_from_above_or_below():
    assert targets.Target("", 2, 1.5).is_met and not targets.Target("", 1, 1.5).is_met
    assert targets.Target("", 1, 1.5, True).is_met and not targets.Target("", 2, 1.5, True).is_met


def test_a_start_is_an_import_and_first_calls():
    (table,) = start.run(common.TINY)
    assert [row[0] for row in table.rows] == ["import symgrad", next(iter(start.PROGRAMS))]
    assert all(float(row[-1]) > 0 for row in table.rows)


def test_large_graphs_are_timed_alone_and_over_samples():
    tables = scalar_graph.run(common.TINY)
    assert [t.title.rpartition(", ")[2] for t in tables] == ["one sample", "5 samples"]
    assert all(t.rows[0][0] == "symgrad llvm" and t.rows[0][-1] == "1.00" for t in tables)


def test_the_network_in_matrices_is_the_network_in_indices():
    arrays = network.data(common.TINY, 3)
    sizes = {"d": network.INPUTS, "h": network.HIDDEN, "b": 3}
    codes = [
        machine_code.SymgradCode(program, network.WORDS, "llvm", arrays, sizes).contender()
        for program in (network.program, network.program_in_matrices)
    ]
    assert len(common.compare(codes)) == 2


def test_every_schedule_of_a_program_gives_the_same_numbers():
    (table,) = cliffs.run(common.TINY)
    assert {row[0] for row in table.rows} == {"logistic_regression", "attention_matrix"}
    assert all(float(row[1]) >= 1 for row in table.rows)
    assert table.agreed[0] == "llvm, as compiled" and len(table.agreed) >= 2


def test_products_are_those_of_blas():
    tables = contractions.run(common.TINY)
    assert [t.title for t in tables] == [f"Matrix products: {p}" for p in contractions.PRODUCTS]
    for table in tables:
        expected = ["symgrad llvm", "symgrad c", "BLAS"] if machine_code.compiler() else ["symgrad llvm"]
        assert [label.removesuffix(", kernel") for label in table.agreed] == expected


def test_tensor_programs_have_the_same_numbers_on_every_backend(monkeypatch):
    monkeypatch.setattr(tensor_programs, "CASES", tensor_programs.CASES[3:5])
    tables = tensor_programs.run(common.TINY)
    assert len(tables) == len(tensor_programs.WORDS)
    for table in tables:
        assert [row[0].split("=")[0] for row in table.rows] == ["batch norm n", "||W'W - I||^2 n"]
        assert len(table.agreed) == 2 * len(machine_code.backends())


def test_the_machine_code_repeats_as_often_as_it_is_told():
    arrays = network.data(common.TINY, 3)
    sizes = {"d": network.INPUTS, "h": network.HIDDEN, "b": 3}
    code = machine_code.SymgradCode(network.program, network.WORDS, "llvm", arrays, sizes)
    code.outputs[0][...] = np.nan
    code.run(0)
    assert np.isnan(code.outputs[0])
    code.run(2)
    assert np.isfinite(code.outputs[0])


def test_the_cost_promise_is_counted_for_programs_with_one_value_and_with_several():
    (table,) = cost_promise.run(common.TINY)
    assert sorted(table.agreed) == sorted(cost_promise.TINY)
    for _, value, both, ratio, *_ in table.rows:
        assert float(ratio) == pytest.approx((int(both) - int(value)) / int(value), rel=5e-3)


def test_the_worst_program_of_the_cost_promise_stands_last():
    (table,) = cost_promise.run(common.TINY)
    worst = [max(float(row[3]), float(row[6])) for row in table.rows]
    assert worst == sorted(worst)


def test_a_random_expression_of_a_given_depth_compiles_to_the_numbers_computed_along():
    table, layers = compile_scale.run(common.TINY)
    assert [row[0] for row in layers.rows] == ["10 layers"]
    assert table.agreed == ("200",)
    assert table.header == ("", "200 operations")
    assert [row[0] for row in table.rows] == list(compile_scale.ROWS)


def test_parts_that_repeat_are_found_and_give_the_same_numbers():
    (table,) = repeated_parts.run(common.TINY)
    ((_, plain, with_loops, *_),) = table.rows
    assert int(plain.replace(",", "")) > 10 * int(with_loops.replace(",", ""))


def test_a_kernel_with_wrong_numbers_stops_the_scale_benchmark():
    code = machine_code.SymgradCode(lambda: _square_and_gradient(), ("value", "grad"), "llvm", [0.3, 0.7])
    with pytest.raises(common.ResultsDiffer):
        compile_scale._check(code.loaded, 0, (0.3**2 * 0.7, 2 * 0.3 * 0.7, 0.3**2 + 1e-6))


def _square_and_gradient():
    x, y = sp.symbols("x y", real=True)
    return sg.program(x**2 * y, args=(x, y), wrt=(x, y))


def _contender(*results):
    return common.Contender("it", "call", lambda times: None, lambda: [np.asarray(x) for x in results])


def test_contenders_that_differ_are_not_timed():
    for wrong in ([1.0, 2.1], [1.0, np.nan], [1.0]):
        with pytest.raises(common.ResultsDiffer):
            common.contest("wrong", [_contender([1.0, 2.0]), _contender(wrong)], common.TINY)
    with pytest.raises(common.ResultsDiffer, match="2 results"):
        common.compare([_contender(1.0), _contender(1.0, 2.0)])


def test_contenders_agree_within_rounding_and_whatever_the_shape():
    near = [_contender([[1.0, 2.0]]), _contender([1.0, 2.0 + 1e-12])]
    assert common.compare(near) == ("it, call", "it, call")


def test_every_contender_runs_in_every_round():
    runs = {"a": 0, "b": 0}

    def contender(name):
        def run(times):
            runs[name] += times

        return common.Contender(name, "call", run, list)

    seconds = common.measure([contender("a"), contender("b")], common.Setup(rounds=5, block=0.0))
    assert len(seconds) == 2
    assert runs == {"a": 6, "b": 6}  # one to warm up


def test_runs_draw_new_data_unless_they_are_told_the_seed():
    assert common.Setup().seed != common.Setup().seed
    assert common.Setup(seed=1).random().random() == common.Setup(seed=1).random().random()


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.0, "0.00"), (1.0, "1.00"), (0.01234, "0.0123"), (12345.6, "12346"), (2e-5, "2.00e-05")],
)
def test_numbers_in_tables_have_three_digits(value, text):
    assert common.number(value) == text


def test_a_table_is_markdown_with_aligned_columns():
    table = common.Table("T", ("", "ns"), (("a", "1"), ("long", "20")), note="N.")
    assert table.text() == "## T\n\nN.\n\n|      | ns |\n| ---- | -: |\n| a    |  1 |\n| long | 20 |\n"


def test_run_all_knows_every_benchmark():
    scripts = {p.stem for p in BENCH.glob("*.py") if "main(run)" in p.read_text() and p.stem != "common"}
    assert set(run_all.BENCHMARKS) == scripts


def test_run_all_writes_what_it_measured_with_the_machine_and_the_versions(tmp_path):
    results = tmp_path / "RESULTS.md"
    command = [sys.executable, str(BENCH / "run_all.py"), "--only", "call_overhead", "--no-peers"]
    command += ["--rounds", "1", "--output", str(results)]
    subprocess.run(command, check=True, capture_output=True)
    text = results.read_text()
    assert "## Call overhead: value and gradient" in text
    assert f"numpy {np.__version__}" in text
    assert "Rosenbrock-100" not in text


def test_the_floor_of_a_kernel_stands_beside_its_time():
    (table,) = floors.run(common.TINY)
    ((_, operations, moved, arithmetic, _, floor, call, ratio),) = table.rows
    assert int(operations) > 100
    assert int(moved) == 8 * (6 + 12 + 72)
    assert 0 < float(arithmetic) < float(floor)
    assert float(ratio) == pytest.approx(float(call) / float(floor), rel=0.02)
