"""`sg.lambdify` against `sympy.lambdify`, and where SymPy's version gives the wrong shape or fails."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import sympy as sp

import symgrad as sg
from symgrad.errors import BadArgument, BadOption, DuplicateNames, NonRealSymbol

x, y, z = sp.symbols("x y z")
t = sp.Symbol("t")
f = sp.Function("f")
LINE = np.array([0.3, 0.5, 1.7])

SCALARS = [
    x**2 + 3 * y - z,
    sp.sin(x) * sp.exp(-y) + sp.log(z + 2),
    sp.sqrt(x**2 + y**2) / z,
    sp.Abs(x - y) + sp.sign(z - 1),
    sp.Max(x, y, z) - sp.Min(x, y),
    sp.Piecewise((x, x > y), (y**2, z > 1), (0, True)),
    sp.tanh(x) + sp.atan2(y, z) + sp.cosh(z),
    x ** sp.Rational(3, 2) + y**-2 + z**x,
    sp.pi * x + sp.E * y + sp.Rational(1, 3),
    sp.floor(3 * x) + sp.ceiling(y) + sp.Mod(z, sp.Rational(1, 2)),
    sp.erf(x) + sp.gamma(3) * y,
]


def same(found: Any, wanted: Any) -> None:
    """Equal structures of equal shapes."""
    if isinstance(wanted, (list, tuple)):
        assert type(found) is type(wanted)
        for a, b in zip(found, wanted, strict=True):
            same(a, b)
        return
    assert np.shape(found) == np.shape(wanted)
    np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-13)


# ---- as SymPy ----------------------------------------------------------------------------------


@pytest.mark.parametrize("expr", SCALARS, ids=str)
@pytest.mark.parametrize(
    "values",
    [(0.3, 0.7, 1.9), (LINE, LINE + 0.1, LINE + 0.5), (LINE[:, None], 0.5, LINE)],
    ids=["numbers", "arrays", "broadcast"],
)
def test_scalars_agree_with_sympy(expr, values):
    wanted = sp.lambdify((x, y, z), expr)(*values)
    # SymPy leaves out the axes of arguments that do not occur.
    full = np.broadcast_shapes(*map(np.shape, values))
    same(sg.lambdify((x, y, z), expr)(*values), np.broadcast_to(wanted, full))


@pytest.mark.parametrize(
    "expr",
    [
        sp.Matrix([x, y * z]),
        sp.Matrix([[x, x * y], [sp.sin(z), z**2]]),
        sp.ImmutableMatrix([[x - y, y - z, z - x]]),
        [x, y + z, [x * y, (z, x)]],
        (x + y, z),
        sp.Tuple(x, y - z),
        sp.Array([[[x, y], [z, x * y]]]),
        [sp.Matrix([x, y]), x],
    ],
    ids=lambda expr: type(expr).__name__,
)
@pytest.mark.parametrize("is_array", [False, True])
def test_matrices_arrays_and_lists_have_the_shapes_of_sympy(expr, is_array):
    values = (LINE, LINE + 1, LINE + 2) if is_array else (0.3, 0.7, 1.9)
    same(sg.lambdify([x, y, z], expr)(*values), sp.lambdify([x, y, z], expr)(*values))


def test_matrix_symbols_agree_with_sympy():
    A, v = sp.MatrixSymbol("A", 3, 3), sp.MatrixSymbol("v", 3, 1)
    rng = np.random.default_rng(0)
    values = rng.random((3, 3)), rng.random((3, 1)), 2.0
    for expr in (A * v, A.T + A, [A * v, x * A[0, 1]], A[1, 2] * x + v[0, 0]):
        same(sg.lambdify((A, v, x), expr)(*values), sp.lambdify((A, v, x), expr)(*values))


@pytest.mark.parametrize(
    ("args", "values"),
    [
        (x, (2.0,)),
        ([x], (2.0,)),
        ("x", (2.0,)),
        ((x, (y, z)), (1.0, (2.0, 3.0))),
        ((x, (y, (z,))), (1.0, [2.0, [3.0]])),
        (((x, y, z),), (np.array([1.0, 2.0, 3.0]),)),
        ((x, [y, z]), (1.0, np.arange(6.0).reshape(2, 3))),
    ],
)
def test_nested_arguments_are_unpacked_as_sympy_does(args, values):
    expr = x + 2 * y + 3 * z if "z" in str(args) else x**2
    same(sg.lambdify(args, expr)(*values), sp.lambdify(args, expr)(*values))


def test_a_matrix_of_symbols_is_an_argument():
    g = sg.lambdify((sp.Matrix([[x], [y]]), z), x - y + z)
    assert g(np.array([3.0, 1.0]), 0.5) == 2.5
    assert g(np.array([[3.0], [1.0]]), 0.5) == 2.5
    assert g(np.ones((2, 1, 4)), LINE[:, None]).shape == (3, 4)
    square = sg.lambdify((sp.Matrix([[x, y], [z, t]]),), x * t - y * z)
    assert square(np.array([[1.0, 2.0], [3.0, 4.0]])) == -2.0


def test_functions_and_their_derivatives_are_arguments_like_symbols():
    expr = f(t) ** 2 + t * f(t).diff(t)
    same(sg.lambdify((t, f(t), f(t).diff(t)), expr)(2.0, 3.0, 5.0), 19.0)
    same(sp.lambdify((t, f(t), f(t).diff(t)), expr)(2.0, 3.0, 5.0), 19.0)


def test_dummies_with_the_name_of_a_symbol_are_kept_apart():
    other = sp.Dummy("x")
    assert sg.lambdify((x, other), x - other)(5.0, 3.0) == 2.0


def test_arguments_can_be_given_by_name():
    g = sg.lambdify((x, y), x - y)
    assert g(y=1.0, x=3.0) == g(3.0, y=1.0) == 2.0


def test_relations_give_truth_values():
    g = sg.lambdify((x, y), x < y)
    assert g(1.0, 2.0) is True
    found = g(LINE, 0.5)
    assert found.dtype == bool
    assert found.tolist() == [True, False, False]
    both = sg.lambdify((x, y), [sp.And(x > 0, y > 0), x])(LINE, -1.0)
    assert both[0].tolist() == [False, False, False]


def test_numbers_come_back_as_python_numbers():
    assert type(sg.lambdify(x, x**2)(3)) is float
    assert [type(part) for part in sg.lambdify(x, [x, 1])(3)] == [float, float]


def test_a_text_is_read_by_the_safe_parser():
    assert sg.lambdify(["x", "y"], "x**2 + sin(y)")(2.0, 0.0) == 4.0


# ---- where SymPy's version is wrong ------------------------------------------------------------


def test_a_constant_has_the_shape_of_the_arguments():
    assert sg.lambdify(x, sp.Integer(3))(LINE).tolist() == [3.0, 3.0, 3.0]
    assert sg.lambdify((x, y), sp.pi)(LINE[:, None], LINE).shape == (3, 3)
    assert sg.lambdify(x, x.diff(x))(LINE).tolist() == [1.0, 1.0, 1.0]
    assert np.shape(sp.lambdify(x, sp.Integer(3))(LINE)) == ()  # SymPy's


def test_an_argument_that_does_not_occur_broadcasts_too():
    assert sg.lambdify((x, y), x**2)(2.0, LINE).tolist() == [4.0, 4.0, 4.0]


def test_a_matrix_with_constants_broadcasts():
    found = sg.lambdify(x, sp.Matrix([x, 1]))(np.arange(3.0))
    assert found.shape == (2, 1, 3)
    assert found.tolist() == [[[0.0, 1.0, 2.0]], [[1.0, 1.0, 1.0]]]
    with pytest.raises(ValueError, match="inhomogeneous"):
        sp.lambdify(x, sp.Matrix([x, 1]))(np.arange(3.0))


def test_entries_of_different_shapes_broadcast_in_one_matrix():
    found = sg.lambdify((x, y), sp.Matrix([[x, y]]))(LINE, LINE[:2, None])
    assert found.shape == (1, 2, 2, 3)
    same(found[0, 0], np.broadcast_to(LINE, (2, 3)))


def test_every_entry_of_a_list_has_the_broadcast_shape():
    found = sg.lambdify(x, [x, 1, [sp.pi]])(LINE)
    assert [np.shape(found[0]), np.shape(found[1]), np.shape(found[2][0])] == [(3,)] * 3


def test_a_sparse_matrix_is_an_array_like_any_other():
    found = sg.lambdify(x, sp.SparseMatrix(2, 2, {(0, 0): x, (1, 0): 3}))(LINE)
    assert found.tolist() == [[LINE.tolist(), [0.0] * 3], [[3.0] * 3, [0.0] * 3]]


def test_a_constant_matrix_and_an_empty_one_have_sample_axes():
    assert sg.lambdify(x, sp.eye(2))(LINE).shape == (2, 2, 3)
    assert sg.lambdify(x, sp.Matrix(0, 2, []))(LINE).shape == (0, 2, 3)
    assert sg.lambdify(x, [])(LINE) == []


def test_a_branch_not_taken_makes_no_warning_and_no_nan():
    g = sg.lambdify(x, sp.Piecewise((sp.log(x), x > 0), (0, True)))
    assert g(np.array([-1.0, 1.0])).tolist() == [0.0, 0.0]


def test_logarithms_of_sums_of_exponentials_do_not_overflow():
    expr = sp.log(sp.exp(x) + sp.exp(y))
    assert sg.lambdify((x, y), expr)(1000.0, 1000.0) == pytest.approx(1000 + np.log(2), rel=1e-14)


# ---- the function ------------------------------------------------------------------------------


def test_float32_gives_float32():
    assert sg.lambdify(x, sp.sin(x), dtype="float32")(LINE).dtype == np.float32


def test_no_arguments_make_a_constant_function():
    assert sg.lambdify((), sp.pi)() == pytest.approx(np.pi, rel=1e-16)


def test_the_function_survives_a_pickle():
    g = pickle.loads(pickle.dumps(sg.lambdify((x, (y, z)), [x + y, sp.Matrix([z, 1])])))
    same(g(1.0, (2.0, 3.0)), [3.0, np.array([[3.0], [1.0]])])


def test_the_signature_names_the_arguments():
    signature = inspect.signature(sg.lambdify((x, (y, z), sp.Symbol("lambda"), sp.Symbol(r"\mu")), x))
    assert list(signature.parameters) == ["x", "argument_1", "argument_2", "argument_3"]


def test_curve_fit_can_use_the_function():
    model = sg.lambdify((t, x, y), x * sp.exp(-y * t))
    times = np.linspace(0, 2, 20)
    found, _ = scipy.optimize.curve_fit(model, times, 3.0 * np.exp(-0.5 * times), p0=(1.0, 1.0))
    np.testing.assert_allclose(found, [3.0, 0.5], rtol=1e-6)


def test_a_deep_expression_with_stand_ins_is_no_recursion():
    deep = f(t)
    for _ in range(5000):
        deep = sp.Add(1, sp.cos(deep, evaluate=False), evaluate=False)
    assert np.isfinite(sg.lambdify(f(t), deep, backend="numpy")(0.5))


# ---- what is refused ---------------------------------------------------------------------------


def test_a_free_symbol_is_reported_before_any_call():
    with pytest.raises(BadArgument, match="y"):
        sg.lambdify(x, x + y)


def test_other_modules_are_refused():
    assert sg.lambdify(x, x + 1, "numpy")(1.0) == 2.0
    assert sg.lambdify(x, x + 1, ["scipy", "numpy"], cse=True)(1.0) == 2.0
    for modules in ("mpmath", ["numpy", "math"], {"sin": np.sin}, [{"sin": np.sin}, "numpy"]):
        with pytest.raises(BadOption, match="is not used"):
            sg.lambdify(x, x + 1, modules)


def test_the_same_symbol_twice_is_refused():
    with pytest.raises(DuplicateNames):
        sg.lambdify((x, x), x)


@pytest.mark.parametrize("args", [{x, y}, (x + y,), (x, 3)], ids=lambda args: type(args).__name__)
def test_arguments_that_are_no_symbols_are_refused(args):
    with pytest.raises(BadArgument, match="an argument has to be a symbol"):
        sg.lambdify(args, x)


@pytest.mark.parametrize("expr", [{x: y}, object(), lambda: 1], ids=["dict", "object", "function"])
def test_what_is_no_expression_is_refused(expr):
    with pytest.raises(BadArgument, match="is not an expression"):
        sg.lambdify((x, y), expr)


def test_complex_results_are_refused():
    with pytest.raises(NonRealSymbol):
        sg.lambdify(x, x + sp.I)


def test_calls_with_other_arguments_are_refused():
    g = sg.lambdify((x, y), x - y)
    for args, by_name in (
        ((1.0,), {}),
        ((1.0, 2.0, 3.0), {}),
        ((1.0,), {"x": 2.0}),
        ((1.0, 2.0), {"z": 3.0}),
    ):
        with pytest.raises(BadArgument) as caught:
            g(*args, **by_name)
        assert caught.value.because == "the arguments are x, y"


def test_nested_values_of_another_length_are_refused():
    with pytest.raises(BadArgument, match="a value has 3 parts, 2 expected"):
        sg.lambdify((x, (y, z)), x)(1.0, (1.0, 2.0, 3.0))
    with pytest.raises(BadArgument, match=r"a value has shape \(3,\)"):
        sg.lambdify((sp.Matrix([x, y]),), x)(LINE)


def test_arguments_may_be_names_of_symbols_with_assumptions() -> None:
    x, y = sp.symbols("x y", real=True)
    assert sg.lambdify("x", x + 1)(2.0) == 3.0
    assert sg.lambdify(["x", "y"], [x - y, x * y])(5.0, 2.0) == [3.0, 10.0]
