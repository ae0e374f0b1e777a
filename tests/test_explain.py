"""`sg.explain`: every stage with its counts, the promise about gradients, kinks, loops, memory, code."""

from __future__ import annotations

import json

import pytest
import sympy as sp

import symgrad as sg
from symgrad.errors import BadArgument
from symgrad.opt.passes import PASSES

x, y = sp.symbols("x y", real=True)
n, d, c = sp.symbols("n d c", integer=True, positive=True)
X, W, Y = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("W", d, c), sp.MatrixSymbol("Y", n, c)


def regression() -> sg.Program:
    return sg.program(sg.losses.softmax_cross_entropy(X * W, Y), args=(W, X, Y), wrt=W)


@pytest.fixture(scope="module")
def explained() -> sg.Explanation:
    return sg.explain(regression(), sizes={n: 20, "d": 7, c: 3})


def test_the_stages_are_those_of_the_pipeline_in_order(explained):
    names = [stage.name for stage in explained.stages]
    assert names == ["frontend", "differentiate", *(name for name, _ in PASSES), "lower", "build"]
    assert all(stage.seconds > 0 for stage in explained.stages)


def test_operations_are_counted_at_the_given_sizes(explained):
    assert explained.sizes == {"n": 20, "d": 7, "c": 3}
    product = 2 * 20 * 7 * 3  # of X*W, the least the value can do
    assert product < explained.value_operations < 2 * product
    smaller = sg.explain(regression(), sizes={n: 10, d: 7, c: 3})
    assert smaller.value_operations < explained.value_operations


def test_the_promise_on_the_cost_of_a_gradient_is_printed_and_kept(explained):
    assert 1 < explained.ratio <= 4
    text = str(explained)
    assert f"value, grad as derived: {explained.derived_operations:,}, {explained.ratio:.2f} times" in text
    assert "promise, a gradient costs at most 4 times its value as derived: kept" in text


def test_nothing_is_promised_of_a_hessian():
    assert "promise" not in str(sg.explain(x**2 * y, outputs=("value", "hess")))


def test_the_front_end_counts_the_value_alone(explained):
    frontend, differentiate = explained.stages[:2]
    assert frontend.operations == explained.value_operations
    assert differentiate.operations == explained.derived_operations
    assert frontend.values < differentiate.values


def test_stability_rewrites_show_what_was_written_and_what_is_computed():
    x, y = sp.symbols("x y")
    e = sg.explain(sp.log(1 + sp.exp(x)) + sp.sqrt(x**2 + y**2), wrt=(x, y))
    assert e.stability["log_one_plus_exp_to_softplus"] == "log(add(1, exp(x[]))) -> softplus(x[])"
    assert e.stability["root_of_two_squares_to_hypot"].startswith("sqrt(add(mul(")
    assert "softplus(x[])" in str(e)
    assert sg.explain(sp.log(1 + sp.exp(x)), stabilise=False).stability == {}


def test_rewrites_are_listed_with_the_stage_they_fired_in(explained):
    assert explained.stages[0].rewrites["log_sum_exp"] == 1
    assert "log_sum_exp 1x" in str(explained)


def test_kinks_in_use_are_listed_with_their_place():
    explained = sg.explain(sp.Abs(x) + sp.Max(x, y), kinks="right")
    assert set(explained.kinks) == {
        "Abs(x) where x = 0: slope 1",
        "Max(x, y) where x = y: a tie goes to the first one",
    }
    assert "\nkinks\n  convention right\n" in str(explained)
    assert "\n  Abs(x) where x = 0: slope 1" in str(explained)


def test_a_smooth_program_has_no_section_on_kinks(explained):
    assert explained.kinks == ()
    assert "\nkinks\n" not in str(explained)


def test_arguments_loops_memory_and_code_are_printed(explained):
    text = str(explained)
    assert "W(d, c), X(n, d), Y(n, c)\n  derivatives by W" in text
    assert "\n  for first < n - 1*none - 24 by 48: strip by strip" in text
    assert "\n    for first <= i < first + strip: " in text
    assert f"workspace {explained.workspace:,} bytes" in text
    assert explained.workspace == sg.compile(regression(), outputs=("value", "grad")).workspace(
        n=20, d=7, c=3
    )
    assert explained.source_lines > 10


def test_a_matrix_product_is_one_line_of_the_loops():
    in_place, line = sg.explain(X * W, outputs="value").loops
    assert in_place == "product of few terms, in place: stores value"
    assert line == "matrix product: stores value, n by c, sums of d"


def test_the_loop_nest_of_a_sum_has_a_loop_for_each_axis():
    i, j, k = sp.symbols("i j k", integer=True)
    entry = sp.Sum(sp.exp(X[i, k] * W[k, j]), (k, 0, d - 1))
    lines = sg.explain(sp.Sum(entry**2, (i, 0, n - 1), (j, 0, c - 1)), outputs="value").loops
    assert any(line.startswith("    for ") for line in lines)
    assert [line.strip().split()[3].rstrip(":") for line in lines if line.startswith("    ")][-1] in (
        "n",
        "d",
        "c",
    )


def test_sizes_default_to_hints_and_else_to_typical_numbers():
    program = sg.program(sp.Trace(X.T * X), hints={n: 1000})
    assert sg.explain(program).sizes == {"n": 1000, "d": 64}


def test_an_array_is_explained_with_its_jacobian():
    assert sg.explain(sp.Matrix([x * y, x])).outputs == ("value", "jac")


def test_the_reference_backend_has_no_passes_and_no_loops():
    explained = sg.explain(x * y, backend="numpy")
    assert [stage.name for stage in explained.stages] == ["frontend", "differentiate", "build"]
    assert explained.loops == ()


def test_the_json_holds_what_is_printed(explained):
    content = json.loads(explained.to_json(), parse_constant=pytest.fail)
    assert content["sizes"] == {"n": 20, "d": 7, "c": 3}
    assert content["ratio"] == explained.ratio
    assert [stage["name"] for stage in content["stages"]] == [stage.name for stage in explained.stages]


def test_a_deep_expression_is_named_and_not_printed():
    deep = x
    for _ in range(3000):
        deep = sp.sin(deep, evaluate=False)
    explained = sg.explain(deep, backend="numpy")
    assert explained.expression == "sin(...), large"
    assert "more lines" in str(explained)


def test_a_size_that_does_not_exist_is_refused():
    with pytest.raises(BadArgument) as caught:
        sg.explain(regression(), sizes={"m": 3})
    assert str(caught.value) == "there is no size 'm'\n  because  the sizes are " + ", ".join(
        sg.compile(regression()).signature.sizes
    )
