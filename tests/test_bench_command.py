"""`sg.bench` and `symgrad bench`: what is counted is exact; times are looked at for what they belong to."""

from __future__ import annotations

import json

import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.cli import main
from symgrad.errors import BadArgument, BadOption

n, d = sp.symbols("n d", integer=True, positive=True)
A, x = sp.MatrixSymbol("A", n, d), sp.MatrixSymbol("x", d, 1)
a, b = sp.symbols("a b")


def test_operations_of_a_scalar_are_counted_by_name():
    found = sg.bench(sp.exp(a) * b + sp.sin(b), outputs="value")
    assert {w.name: w.count for w in found.work} == {"exp": 1, "sin": 1, "mul": 1, "add": 1}
    assert found.moved == 3 * 8 and found.workspace == 0 and found.sizes == {}
    assert [w.seconds for w in found.work] == sorted((w.seconds for w in found.work), reverse=True)


def test_a_matrix_product_counts_its_multiplications_and_the_bytes_it_touches():
    found = sg.bench(A * x, outputs="value", sizes={n: 30, "d": 20}, dtype="float32")
    assert {w.name: w.count for w in found.work} == {"mul": 600, "sum": 600}
    assert (
        found.moved == 4 * (600 + 20 + 30) and found.dtype == "float32" and found.sizes == {"n": 30, "d": 20}
    )


def test_the_floor_is_the_slower_of_arithmetic_and_memory_and_a_call():
    found = sg.bench(sp.erf(a) ** 2)
    assert found.floor == max(found.arithmetic, found.memory) + found.empty_call
    assert found.arithmetic == pytest.approx(sum(w.count * w.each for w in found.work), rel=1e-15 * 8)
    assert found.arithmetic > 0
    assert found.ratio == found.call_out / found.floor > 0
    assert min(found.empty_call, found.call) > 0
    assert found.memory >= 0  # a difference of two times, none may be left
    assert {s.name for s in found.stages} >= {"frontend", "differentiate", "lower", "build"}


def test_the_point_may_be_given_and_sets_the_sizes():
    found = sg.bench(A * x, outputs=("value",), at={A: np.ones((3, 5))})
    assert found.sizes == {"n": 3, "d": 5}
    with pytest.raises(BadArgument, match="no argument"):
        sg.bench(A * x, at={"B": 1.0})
    with pytest.raises(BadArgument, match="no size"):
        sg.bench(A * x, sizes={"m": 1})


def test_the_reference_backend_is_refused():
    with pytest.raises(BadOption, match="reference"):
        sg.bench(a * b, backend="numpy")


@pytest.mark.parametrize("words", ["sparse", "several"])
def test_results_of_every_kind_are_written_to_arrays(words):
    i = sp.Idx("i", n)
    v = sp.IndexedBase("v", shape=(n,))
    loss = sp.Sum(v[i] ** 4, (i, 0, n - 1))
    found = sg.bench(loss, wrt=v, outputs=("value", "grad", "hess") if words == "several" else "hess_diag")
    assert found.call_out > 0


def test_the_command_prints_a_page_and_json(capsys):
    command = ["bench", "Sum(X[i, j]**2, (i, 0, n-1), (j, 0, d-1))", "--let", "X = matrix(n, d)"]
    assert main([*command, "--size", "n=12", "--size", "d=7"]) == 0
    page = capsys.readouterr().out
    for part in (
        "d = 7, n = 12",
        "stages of compiling",
        "floor",
        "with out=",
        "workspace",
        "times the floor",
    ):
        assert part in page
    assert main([*command, "--json", "--backend", "c", "--outputs", "grad"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["backend"] == "c" and found["outputs"] == ["grad"] and found["ratio"] > 0


@pytest.mark.parametrize("word", ["hvp", "jvp", "vjp"])
def test_products_are_measured_along_random_directions(word: str) -> None:
    i, m = sp.Symbol("i", integer=True), sp.Symbol("m", integer=True, positive=True)
    v = sp.IndexedBase("v", shape=(m,))
    found = sg.bench(sp.Sum(sp.exp(v[i]), (i, 0, m - 1)), (v,), v, outputs=word, sizes={m: 10})
    assert found.outputs == (word,)
    assert found.moved == 8 * {"hvp": 30, "jvp": 21, "vjp": 21}[word]
