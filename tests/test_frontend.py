"""Scalar expressions from SymPy to the intermediate representation, against SymPy's own numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from sympy.codegen import cfunctions as cf
from translating import names, value_of, value_of_translation

from symgrad.entries import Where
from symgrad.errors import (
    BadArgument,
    DuplicateNames,
    NonRealSymbol,
    UnknownFunction,
    UnsupportedExpression,
)
from symgrad.frontend.translate import Translator, translate
from symgrad.ir.graph import Graph

x, y, z = sp.symbols("x y z")
p, q = sp.symbols("p q", positive=True)


def check(expr: sp.Expr, **values: float) -> None:
    """The translated value is SymPy's, to a few roundings."""
    exact = float(expr.subs({s: values[s.name] for s in expr.free_symbols}).evalf(30))
    assert value_of(expr, values) == pytest.approx(exact, rel=4e-15, abs=1e-300)


ARITHMETIC = [
    x + y, x - y, -x - y, x * y, x / y, 2 * x / (3 * y), x / (y * z), 1 / (x * y), x**2, x**-3, x**17, y**-1,
    p ** sp.Rational(1, 2), p ** sp.Rational(-1, 2), p ** sp.Rational(3, 2), p ** sp.Rational(-5, 2),
    p ** sp.Rational(1, 3), p**q, p ** (q - 2), 2**x, sp.exp(x), sp.exp(-2 * x), sp.E ** (x + y),
    x / sp.sqrt(p) / q**3, sp.Rational(2, 7) * x, sp.Float("0.1") * x, (x + y) ** 2 / (x - y), sp.pi * x,
    sp.E * x, sp.GoldenRatio * x, sp.EulerGamma + x, sp.Catalan - x, sp.TribonacciConstant * x,
    x * (y + z) - z * (x + 1), (-1) ** sp.Integer(3) * x, p ** sp.pi, sp.cbrt(p), x**2 * y**-2 * z,
]  # fmt: skip


@pytest.mark.parametrize("expr", ARITHMETIC, ids=str)
def test_arithmetic_is_that_of_sympy(expr: sp.Expr) -> None:
    check(expr, x=0.7, y=-1.3, z=2.1, p=0.6, q=1.7)


UNARY = [
    sp.sin, sp.cos, sp.tan, sp.sec, sp.csc, sp.cot, sp.asin, sp.acos, sp.atan, sp.acot, sp.sinh, sp.cosh,
    sp.tanh, sp.sech, sp.csch, sp.coth, sp.asinh, sp.atanh, sp.acsch, sp.asech, sp.exp, sp.log, sp.erf,
    sp.erfc, sp.sinc, sp.Abs, sp.sign, sp.floor, sp.ceiling, sp.frac, sp.sqrt, cf.expm1, cf.log1p, cf.exp2,
    cf.log2, cf.log10,
]  # fmt: skip
BEYOND_ONE = [sp.asec, sp.acsc, sp.acosh, sp.acoth]


@pytest.mark.parametrize("function", UNARY, ids=lambda f: f.__name__)
def test_functions_are_those_of_sympy(function: type) -> None:
    check(function(p), p=0.37)


@pytest.mark.parametrize("function", BEYOND_ONE, ids=lambda f: f.__name__)
def test_functions_beyond_one_are_those_of_sympy(function: type) -> None:
    check(function(p), p=1.37)


@pytest.mark.parametrize("at", [-2.6, -1.0, 0.0, 0.25, 3.0])
@pytest.mark.parametrize("expr", [
    sp.Abs(x), sp.sign(x), sp.floor(x), sp.ceiling(x), sp.frac(x), sp.Mod(x, 2), sp.Mod(x, -2), sp.Max(x, 0),
    sp.Min(x, 0, -1), sp.Heaviside(x), sp.Heaviside(x, 1), sp.Heaviside(x, 0), sp.atan2(x, -1), sp.acot(x),
    sp.sinc(x), sp.real_root(x, 3),
], ids=str)  # fmt: skip
def test_kinked_functions_are_those_of_sympy_on_both_sides(expr: sp.Expr, at: float) -> None:
    exact = float(expr.subs(x, sp.nsimplify(at)).evalf(30))
    assert value_of(expr, {"x": at}) == pytest.approx(exact, rel=4e-15)


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (cf.hypot(x, y), 5.0), (cf.fma(x, y, z), 14.0), (sp.log(x, 3, evaluate=False), 1.0),
        (sp.re(x) + sp.im(y), 3.0), (sp.conjugate(x), 3.0), (sp.Heaviside(x - x, evaluate=False), 0.5),
        (cf.Sqrt(y), 2.0), (cf.Cbrt(2 * y), 2.0), (sp.arg(x), 0.0), (sp.arg(-x), math.pi),
        (sp.KroneckerDelta(x, y), 0.0), (sp.KroneckerDelta(x + 1, y), 1.0),
    ],
    ids=str,
)  # fmt: skip
def test_values_of_further_heads(expr: sp.Expr, expected: float) -> None:
    given = {"x": 3.0, "y": 4.0, "z": 2.0}
    assert value_of(expr, given, args=(x, y, z)) == pytest.approx(expected, rel=1e-15)


def test_heaviside_of_nan_is_nan() -> None:
    assert np.isnan(value_of(sp.Heaviside(x), {"x": math.nan}))


def test_constants_are_exact_until_the_machine_rounds_them() -> None:
    third = sp.Rational(1, 3)
    assert value_of(third + sp.Rational(2, 3)) == 1.0
    translated = translate(sp.Add(third, x, evaluate=False))
    constants = [a for op, a in zip(translated.graph.op, translated.graph.args, strict=True) if op == "const"]
    assert ("q", 1, 3) in constants


def test_a_float_keeps_its_double() -> None:
    assert value_of(sp.Float(0.1)) == 0.1
    assert value_of(sp.Float("0.1", 40)) == 0.1


@pytest.mark.parametrize("number", [sp.oo, -sp.oo, sp.nan])
def test_infinities_and_nan_come_through(number: sp.Expr) -> None:
    np.testing.assert_equal(value_of(number), float(number))


def test_max_prefers_the_expression_on_a_tie_with_a_number() -> None:
    translated = translate(sp.Max(x, 0))
    (node,) = [n for n, op in enumerate(translated.graph.op) if op == "maximum"]
    first, second = translated.graph.args[node]
    assert translated.graph.op[first] == "read"
    assert second == translated.graph.zero


# ---- conditions --------------------------------------------------------------------------------

CONDITIONS = [
    x < y, x <= y, x > y, x >= y, sp.Eq(x, y), sp.Ne(x, y), sp.And(x < 1, y < 1), sp.Or(x < 1, y < 1),
    sp.Not(sp.And(x < 1, y < 1)), sp.Xor(x < 1, y < 1), sp.Nand(x < 1, y < 1), sp.Nor(x < 1, y < 1),
    sp.Implies(x < 1, y < 1), sp.Equivalent(x < 1, y < 1), sp.ITE(x < 1, y < 1, y > 0),
]  # fmt: skip


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (0.5, 2.0), (2.0, 0.5), (1.0, 2.0)])
def test_conditions_choose_as_in_sympy(condition: sp.Basic, a: float, b: float) -> None:
    expected = 10.0 if condition.subs({x: sp.Rational(a), y: sp.Rational(b)}) == sp.true else 20.0
    expr = sp.Piecewise((10, condition), (20, True))
    assert value_of(expr, {"x": a, "y": b}) == expected
    assert value_of(Where(condition, 10, 20), {"x": a, "y": b}) == expected


def test_a_condition_alone_counts_one_where_it_holds() -> None:
    assert value_of(x < y, {"x": 1.0, "y": 2.0}) == 1.0
    assert value_of(x < y, {"x": 2.0, "y": 1.0}) == 0.0


def test_piecewise_without_a_last_arm_is_nan_elsewhere() -> None:
    expr = sp.Piecewise((x, x > 1))
    assert np.isnan(value_of(expr, {"x": 0.0}))
    assert value_of(expr, {"x": 2.0}) == 2.0


def test_piecewise_takes_the_first_condition_that_holds() -> None:
    expr = sp.Piecewise((1, x < 1), (2, x < 2), (3, x < 3), (4, True))
    assert [float(value_of(expr, {"x": v})) for v in (0, 1, 2, 3)] == [1, 2, 3, 4]


def test_the_arm_not_taken_makes_no_nan() -> None:
    expr = sp.Piecewise((sp.log(x), x > 0), (0, True))
    assert value_of(expr, {"x": -1.0}) == 0.0


# ---- results of several entries ----------------------------------------------------------------


def test_an_explicit_matrix_is_one_definition_with_an_entry_per_element() -> None:
    translated = translate(sp.Matrix([[x, y], [x * y, 1], [0, sp.sin(x)]]))
    assert translated.shape == (3, 2)
    assert translated.is_matrix
    result = value_of_translation(translated, {"x": 2.0, "y": 3.0})
    np.testing.assert_allclose(result, [[2, 3], [6, 1], [0, math.sin(2)]], rtol=1e-15)


def test_arrays_lists_and_tuples_keep_their_shape() -> None:
    given = {"x": 2.0, "y": 3.0}
    array = sp.Array([[[x, y]], [[1, x + y]]])
    np.testing.assert_array_equal(value_of(array, given), [[[2, 3]], [[1, 5]]])
    np.testing.assert_array_equal(value_of([x, 7, y], given), [2, 7, 3])
    np.testing.assert_array_equal(value_of(sp.Tuple(y, x), given), [3, 2])
    np.testing.assert_array_equal(value_of(sp.SparseMatrix([[0, x], [y, 0]]), given), [[0, 2], [3, 0]])


def test_nested_lists_are_arrays() -> None:
    np.testing.assert_array_equal(value_of([[x, 1], [y, x]], {"x": 2.0, "y": 3.0}), [[2, 1], [3, 2]])


def test_text_is_never_evaluated() -> None:
    with pytest.raises(BadArgument, match="not str") as caught:
        translate("__import__('os').getcwd()")
    assert "evaluate" in caught.value.because
    with pytest.raises(BadArgument, match="not object"):
        translate(object())


def test_an_unevaluated_expression_is_its_content() -> None:
    assert value_of(sp.UnevaluatedExpr(x) + 1, {"x": 2.0}) == 3.0


def test_one_argument_needs_no_tuple() -> None:
    assert translate(x**2, args=x).args == (x,)


def test_a_number_is_an_expression() -> None:
    assert value_of(3) == 3.0
    assert value_of(2.5) == 2.5


# ---- arguments ---------------------------------------------------------------------------------


def test_default_arguments_are_the_free_symbols_by_name() -> None:
    assert names(translate(z * y + sp.sin(x)).args) == ["x", "y", "z"]


def test_given_arguments_keep_their_order_and_may_be_unused() -> None:
    translated = translate(x + y, args=(y, z, x))
    assert names(translated.args) == ["y", "z", "x"]
    assert set(translated.inputs) == {x, y, z}


def test_hostile_names_go_through_unchanged() -> None:
    hostile = ["lambda", "int", "a b", "π", "x;y", '"', "\n", "_", "1st", "float64", "", "for", "Σ_{i}"]
    symbols = [sp.Symbol(name) for name in hostile]
    expr = sp.Add(*[k * s for k, s in enumerate(symbols, 1)])
    translated = translate(expr, args=symbols)
    assert [translated.graph.tensors[translated.inputs[s]].name for s in symbols] == hostile
    result = value_of_translation(translated, dict(zip(hostile, range(len(hostile)), strict=True)))
    assert result == sum(k * (k + 1) for k in range(len(hostile)))


def test_two_symbols_of_one_name_are_refused() -> None:
    with pytest.raises(DuplicateNames, match="two different symbols are called 'x'"):
        translate(x + sp.Symbol("x", positive=True))
    with pytest.raises(DuplicateNames, match="listed twice"):
        translate(x, args=(x, x))


def test_dummies_of_one_name_are_refused_too() -> None:
    with pytest.raises(DuplicateNames):
        translate(sp.Dummy("a") + sp.Dummy("a"))


def test_a_symbol_left_out_of_the_arguments_is_named() -> None:
    with pytest.raises(BadArgument, match="'y' is not among the arguments"):
        translate(x + y, args=(x,))


@pytest.mark.parametrize("assumption", ["imaginary", "complex"])
def test_symbols_that_are_not_real_are_refused(assumption: str) -> None:
    w = sp.Symbol("w", **{assumption: True})
    with pytest.raises(NonRealSymbol, match="'w'"):
        translate(w + 1)
    with pytest.raises(NonRealSymbol):
        translate(sp.I * x)


@pytest.mark.parametrize("assumption", ["real", "positive", "integer", "nonzero", "finite", "extended_real"])
def test_symbols_are_real_unless_they_say_otherwise(assumption: str) -> None:
    w = sp.Symbol("w", **{assumption: True})
    assert value_of(w + 1, {"w": 2.0}) == 3.0


# ---- errors ------------------------------------------------------------------------------------


def test_an_unknown_function_is_named_with_its_neighbours() -> None:
    with pytest.raises(UnknownFunction) as caught:
        translate(sp.Function("sinn")(x))
    assert str(caught.value).splitlines()[0] == "function 'sinn' is not known"
    assert "sin" in caught.value.try_


@pytest.mark.parametrize(
    "expr", [sp.Integral(sp.sin(x), (x, 0, y)), sp.Limit(x, x, 0), sp.polylog(2, x), sp.FiniteSet(x)], ids=str
)
def test_what_has_no_meaning_here_is_refused_by_name(expr: sp.Basic) -> None:
    with pytest.raises((UnsupportedExpression, UnknownFunction), match=type(expr).__name__):
        translate(expr)


def test_an_error_in_a_deep_expression_is_still_told() -> None:
    deep = sp.Function("f")(x)
    for _ in range(5000):
        deep = sp.sin(deep, evaluate=False)
    with pytest.raises(UnknownFunction, match="'f'"):
        translate(deep)


# ---- size --------------------------------------------------------------------------------------


def _nested(depth: int, step: object) -> sp.Basic:
    expr: sp.Basic = x
    for _ in range(depth):
        expr = step(expr)  # type: ignore[operator]  # a lambda
    return expr


DEEP = {
    "sum": lambda e: sp.Add(1, e, evaluate=False),
    "product": lambda e: sp.Mul(sp.Rational(1, 2), e, evaluate=False),
    "quotient": lambda e: sp.Mul(x, sp.Pow(e, -1, evaluate=False), evaluate=False),
    "power": lambda e: sp.Pow(sp.Add(e, 1, evaluate=False), sp.Rational(1, 2), evaluate=False),
    "function": lambda e: sp.tanh(e, evaluate=False),
    "where": lambda e: sp.Basic.__new__(Where, x > 0, e, sp.S.One),
    "subs": lambda e: sp.Basic.__new__(sp.Subs, e, sp.Tuple(x), sp.Tuple(y)),
}


@pytest.mark.parametrize("kind", DEEP)
def test_depth_does_not_matter(kind: str) -> None:
    translated = translate(_nested(5000, DEEP[kind]), args=(x, y))
    assert np.isfinite(value_of_translation(translated, {"x": 0.5, "y": 0.5}))


def test_a_hundred_thousand_operations_go_through() -> None:
    expr: sp.Basic = x
    for k in range(50_000):
        expr = sp.Add(sp.sin(expr, evaluate=False), sp.Integer(k % 7), evaluate=False)
    graph = translate(expr).graph
    assert len(graph.op) > 85_000  # sin(e) + 0 is sin(e)


def test_shared_sub_expressions_are_translated_once() -> None:
    expr: sp.Expr = x
    for _ in range(200):  # 2**200 terms, if sharing were lost
        expr = sp.Mul(expr, sp.Add(expr, y, evaluate=False), evaluate=False)
    assert len(translate(expr).graph.op) < 700


def test_shared_sub_expressions_inside_substitutions_are_translated_once() -> None:
    expr: sp.Basic = x
    for k in range(60):
        inner = sp.Basic.__new__(sp.Add, expr, sp.Symbol("w"))
        bound = sp.Basic.__new__(sp.Subs, inner, sp.Tuple(sp.Symbol("w")), sp.Tuple(sp.Integer(k)))
        expr = sp.Basic.__new__(sp.Add, bound, expr)
    assert len(translate(expr).graph.op) < 400


def test_the_same_expression_gives_the_same_graph_twice() -> None:
    expr = sp.sin(x * y) + sp.Piecewise((x, x > y), (sp.exp(z), True))
    one, two = translate(expr), translate(expr)
    assert (one.graph.op, one.graph.args) == (two.graph.op, two.graph.args)


def test_one_translator_serves_several_expressions() -> None:
    tr = Translator(Graph(), (x, y))
    a, b = tr.value(x + y), tr.value(sp.sin(x + y))
    assert tr.graph.args[b.body] == (a.body,)
    assert tr.args == (x, y)
