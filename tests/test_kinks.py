"""The convention at kinks: every kinked function, every convention, every target; composed, listed, verified.

The expected numbers come from a small model of the convention (`Dual`), which shares nothing with symgrad: a
number with one partial derivative per variable, whose operations choose at their own arguments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import symgrad as sg
from symgrad.cli import main
from symgrad.errors import BadArgument, BadOption
from symgrad.ir.evaluate import evaluate
from symgrad.ir.kinks import CONVENTIONS
from symgrad.ir.rules import TABLE
from symgrad.pipeline import optimise

jax.config.update("jax_enable_x64", True)

a, b, c = sp.symbols("a b c", real=True)
n, m = sp.symbols("n m", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True)
v = sp.IndexedBase("v", shape=(n,))
BACKENDS = ("numpy", "llvm", "c")
KINKS = tuple(CONVENTIONS)


# ---- the model ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dual:
    """A value and its partial derivatives by the convention `kinks`."""

    value: float
    slopes: np.ndarray
    kinks: str

    def _like(self, value: float, slopes: np.ndarray) -> Dual:
        return Dual(value, slopes, self.kinks)

    def __add__(self, other: Dual) -> Dual:
        return self._like(self.value + other.value, self.slopes + other.slopes)

    def __mul__(self, other: Dual) -> Dual:
        return self._like(self.value * other.value, self.slopes * other.value + self.value * other.slopes)

    def scaled(self, factor: float) -> Dual:
        return self._like(factor * self.value, factor * self.slopes)

    def function(self, f: Callable[[float], float], slope: float) -> Dual:
        return self._like(f(self.value), slope * self.slopes)

    def absolute(self) -> Dual:
        at_zero = {"right": 1.0, "left": -1.0}.get(self.kinks, 0.0)
        slope = math.copysign(1.0, self.value) if self.value else at_zero
        return self.function(abs, slope)


def extremum(parts: Sequence[Dual], largest: bool) -> Dual:
    """Maximum or minimum of any number of arguments."""
    best = (max if largest else min)(p.value for p in parts)
    ties = [p for p in parts if p.value == best]
    kinks = parts[0].kinks
    if kinks == "mean":
        return Dual(best, sum(p.slopes for p in ties) / len(ties), kinks)
    first = kinks == "first" or (kinks == "right") == largest
    return ties[0 if first else -1]


# ---- single functions --------------------------------------------------------------------------

# expression, point, and the gradient under first, mean, right, left
SINGLE: list[tuple[Any, tuple[float, ...], tuple[Any, Any, Any, Any]]] = [
    (sp.Abs(a), (0.0,), (0, 0, 1, -1)),
    (sp.Abs(-a), (0.0,), (0, 0, 1, -1)),  # SymPy has made it Abs(a)
    (-sp.Abs(a), (0.0,), (0, 0, -1, 1)),
    (sp.Abs(a) ** 2, (0.0,), (0, 0, 0, 0)),
    (sp.Abs(2 * a - 6), (3.0,), (0, 0, 2, -2)),
    (sp.sign(a), (0.0,), (0, 0, 0, 0)),
    (a * sp.sign(a), (0.0,), (0, 0, 0, 0)),
    (sp.Max(a, 0), (0.0,), (1, 0.5, 1, 0)),
    (sp.Min(a, 0), (0.0,), (1, 0.5, 0, 1)),
    (sp.Max(a, sp.sqrt(2)), (math.sqrt(2),), (1, 0.5, 1, 0)),
    (-sp.Max(-a, 0), (0.0,), (1, 0.5, 1, 0)),  # the side is that of the argument -a
    (-sp.Max(a, 0), (0.0,), (-1, -0.5, -1, 0)),
    (sp.Max(a, b), (2.0, 2.0), ((1, 0), (0.5, 0.5), (1, 0), (0, 1))),
    (sp.Min(a, b), (2.0, 2.0), ((1, 0), (0.5, 0.5), (0, 1), (1, 0))),
    (sp.Max(a, b, c), (2.0, 2.0, 2.0), ((1, 0, 0), (1 / 3, 1 / 3, 1 / 3), (1, 0, 0), (0, 0, 1))),
    (sp.Min(a, b, c), (2.0, 2.0, 2.0), ((1, 0, 0), (1 / 3, 1 / 3, 1 / 3), (0, 0, 1), (1, 0, 0))),
    (sp.Max(a, b, c), (2.0, 1.0, 2.0), ((1, 0, 0), (0.5, 0, 0.5), (1, 0, 0), (0, 0, 1))),
    (sp.Max(a, b, c), (1.0, 2.0, 2.0), ((0, 1, 0), (0, 0.5, 0.5), (0, 1, 0), (0, 0, 1))),
    (sp.Max(a, sp.Min(b, c)), (2.0, 2.0, 2.0), ((1, 0, 0), (0.5, 0.25, 0.25), (1, 0, 0), (0, 1, 0))),
    (sp.Max(a, 1) + sp.Max(-a, 1), (1.0,), (1, 0.5, 1, 0)),
    (sp.Max(a, 0) + sp.Max(-a, 0), (0.0,), (0, 0, 0, 0)),  # -|a|'s other spelling: (1 - 1), (0.5 - 0.5)
    (sp.floor(a) + a, (2.0,), (1, 1, 1, 1)),
    (sp.ceiling(a) * a, (2.0,), (2, 2, 2, 2)),
    (sp.frac(a), (2.0,), (1, 1, 1, 1)),
    (sp.Mod(a, 3), (6.0,), (1, 1, 1, 1)),
    (sp.Mod(a, b), (6.0, 3.0), ((1, -2),) * 4),
    (sp.Heaviside(a) * (a + 1), (0.0,), (0.5,) * 4),
    (sp.Heaviside(a, 1) * (a + 1), (0.0,), (1,) * 4),
    (sp.Heaviside(a, 0) * (a + 1), (0.0,), (0,) * 4),
    (sp.sqrt(a**2 + b**2), (0.0, 0.0), ((0, 0),) * 4),
    (sp.Piecewise((2 * a, a < 0), (3 * a, True)), (0.0,), (3,) * 4),
    (sp.Piecewise((2 * a, a <= 0), (3 * a, True)), (0.0,), (2,) * 4),
    (sp.Piecewise((2 * a, 0 > a), (3 * a, 0 >= a), (5 * a, True)), (0.0,), (3,) * 4),  # noqa: SIM300
    (sg.nn.relu(a), (0.0,), (0,) * 4),
    (sg.nn.relu(sg.nn.relu(a)), (0.0,), (0,) * 4),
    (-sg.nn.relu(-a), (0.0,), (0,) * 4),
    (sg.nn.leaky_relu(a, sp.Rational(1, 4)), (0.0,), (1,) * 4),
    (sg.nn.elu(a, 3), (0.0,), (1,) * 4),
    (sg.nn.hard_tanh(a), (1.0,), (1,) * 4),
    (sg.nn.hard_tanh(a), (-1.0,), (1,) * 4),
    (sp.Min(sp.Max(a, 0), 6), (6.0,), (1, 0.5, 0, 1)),  # relu6
    (sp.Min(sp.Max(a, 0), 6), (0.0,), (1, 0.5, 1, 0)),
    (sp.Max(a - 1, 0) + sp.Min(a + 1, 0), (1.0,), (1, 0.5, 1, 0)),  # soft shrinkage
    (sp.Max(a - 1, 0) + sp.Min(a + 1, 0), (-1.0,), (1, 0.5, 0, 1)),
    (sp.Max(0, 1 - a * b), (1.0, 1.0), ((-1, -1), (-0.5, -0.5), (-1, -1), (0, 0))),  # hinge
    (sp.Piecewise((a**2 / 2, sp.Abs(a) <= 1), (sp.Abs(a) - sp.S.Half, True)), (1.0,), (1,) * 4),  # Huber
    (sp.Piecewise((a**2 / 2, sp.Abs(a) <= 1), (sp.Abs(a) - sp.S.Half, True)), (-1.0,), (-1,) * 4),
]  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kinks", KINKS)
def test_the_derivative_at_a_kink_is_the_documented_one(kinks: str, backend: str) -> None:
    """All expressions in one kernel, each with variables of its own."""
    parts, point, expected = [], [], []
    for k, (expr, at, wanted) in enumerate(SINGLE):
        own = {s: sp.Symbol(f"{s}{k:02d}", real=True) for s in expr.free_symbols}
        parts.append(expr.xreplace(own))
        point += list(at)
        expected += list(np.atleast_1d(wanted[KINKS.index(kinks)]))
    symbols = sorted(sp.Tuple(*parts).free_symbols, key=lambda s: (s.name[1:], s.name))
    kernel = sg.compile(
        sp.Add(*parts), symbols, symbols, outputs=("grad", "hess"), backend=backend, kinks=kinks
    )
    grad, hess = kernel(*point)
    np.testing.assert_allclose(grad, expected, rtol=1e-15, atol=0)
    assert np.isfinite(hess).all()


@pytest.mark.parametrize("kinks", KINKS)
def test_structural_zeros_are_exactly_zero(kinks: str) -> None:
    at = (0.0, np.inf, np.nan)
    expr = sp.Abs(a) + b + sp.Max(a, 0) * 0 * c + 0 * c
    grad, hess = sg.compile(expr, (a, b, c), (a, b, c), outputs=("grad", "hess"), kinks=kinks)(*at)
    assert grad[2] == 0.0 and not np.signbit(grad[2])
    np.testing.assert_array_equal(hess, np.zeros((3, 3)))
    assert not np.signbit(hess).any()


# ---- extremes over an axis ---------------------------------------------------------------------

X = sp.MatrixSymbol("X", n, m)
LARGEST, SMALLEST = (head(X[i, j], (i, 0, n - 1), (j, 0, m - 1)) for head in (sg.Maximum, sg.Minimum))
ENTRIES = np.array([[5.0, 7.0, 5.0], [7.0, 5.0, 7.0]])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kinks", KINKS)
@pytest.mark.parametrize("expr", [LARGEST, SMALLEST], ids=str)
def test_ties_of_an_extreme_entry_are_broken_as_those_of_max(expr: Any, kinks: str, backend: str) -> None:
    found = sg.compile(expr, wrt=X, outputs="grad", backend=backend, kinks=kinks)(ENTRIES)
    duals = [Dual(x, e, kinks) for x, e in zip(ENTRIES.ravel(), np.eye(6), strict=True)]
    wanted = extremum(duals, expr is LARGEST).slopes.reshape(2, 3)
    np.testing.assert_allclose(found, wanted, rtol=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kinks", KINKS)
def test_ties_of_each_row_are_broken_for_themselves(kinks: str, backend: str) -> None:
    rows = sp.Sum((i + 1) * sg.Maximum(sp.Abs(X[i, j]), (j, 0, m - 1)), (i, 0, n - 1))
    data = np.array([[0.0, 0.0, 0.0], [-2.0, 1.0, 2.0]])
    found = sg.compile(rows, wrt=X, outputs="grad", backend=backend, kinks=kinks)(data)
    wanted = np.zeros((2, 3))
    for k, row in enumerate(data):
        duals = [Dual(x, e, kinks).absolute() for x, e in zip(row, np.eye(3), strict=True)]
        wanted[k] = (k + 1) * extremum(duals, True).slopes
    np.testing.assert_allclose(found, wanted, rtol=1e-15)


def test_an_extreme_over_an_empty_range_is_infinite() -> None:
    for head, empty in ((sg.Maximum, -np.inf), (sg.Minimum, np.inf)):
        assert sg.compile(head(v[i], (i, 0, n - 1)), outputs="value")(np.zeros(0)) == empty
        assert sg.compile(head(v[i], (i, 0, n - 3)), outputs="value")(np.zeros(1)) == empty
        assert sg.compile(head(a * i, (i, 2, 1)), (a,), outputs="value")(1.0) == empty


def test_a_range_whose_limits_depend_on_an_outer_index_is_cut() -> None:
    running = sp.Sum(sg.Maximum(v[j], (j, 0, i)), (i, 0, n - 1))
    value, grad = sg.compile(running, wrt=v, outputs=("value", "grad"))(np.array([1.0, 3.0, 2.0, 4.0]))
    assert value == 1 + 3 + 3 + 4
    np.testing.assert_array_equal(grad, [1, 2, 0, 1])


def test_what_is_no_range_is_refused() -> None:
    for limits in ((), ((i, 0),), (i,)):
        with pytest.raises(BadArgument, match="range"):
            sg.Maximum(v[i], *limits)


def test_the_second_derivative_at_a_tie_is_that_of_the_pieces_taken() -> None:
    squares = sg.Maximum(v[i] ** 2, (i, 0, n - 1))
    for kinks, wanted in (("first", (2, 0, 0)), ("left", (0, 0, 2)), ("mean", (2 / 3, 2 / 3, 2 / 3))):
        for backend in BACKENDS:
            hess = sg.compile(squares, wrt=v, outputs="hess", backend=backend, kinks=kinks)(np.ones(3))
            np.testing.assert_allclose(hess, np.diag(wanted), rtol=1e-15)


# ---- random compositions -----------------------------------------------------------------------

SYMBOLS = (a, b, c)
POINT = (0.0, 0.0, 1.0)


@st.composite
def kinked(draw: Any, depth: int = 3) -> Any:
    """A SymPy expression of a, b and c that is full of kinks at POINT."""
    if depth == 0:
        return draw(st.sampled_from((*SYMBOLS, sp.Integer(1))))
    kind = draw(st.sampled_from((sp.Abs, sp.Max, sp.Min, sp.Add, sp.Mul, sp.sin, sp.exp, -1, 2)))
    expr = draw(kinked(depth=depth - 1))
    if isinstance(kind, int):
        return sp.Mul(kind, expr, evaluate=not expr.free_symbols)
    if kind in (sp.Abs, sp.sin, sp.exp):
        return kind(expr, evaluate=False)
    most = 3 if kind in (sp.Max, sp.Min) else 2
    others = draw(st.lists(kinked(depth=depth - 1), min_size=1, max_size=most - 1))
    # A product with a number is folded by symgrad too, and may then equal another argument.
    is_folded = kind is sp.Mul and not all(e.free_symbols for e in (expr, *others))
    return kind(expr, *others, evaluate=is_folded)


def modelled(expr: Any, kinks: str) -> Dual:
    """The value and the gradient at POINT of what SymPy made of an expression."""
    if expr in SYMBOLS:
        k = SYMBOLS.index(expr)
        return Dual(POINT[k], np.eye(3)[k], kinks)
    if not expr.free_symbols:
        return Dual(float(expr.doit()), np.zeros(3), kinks)
    if isinstance(expr, sp.Max | sp.Min):
        parts = _arguments(expr)
        parts.sort(key=lambda part: not part.free_symbols)  # numbers count as last
        return extremum([modelled(part, kinks) for part in parts], isinstance(expr, sp.Max))
    if isinstance(expr, sp.Pow):
        base, power = modelled(expr.base, kinks), int(expr.exp)
        return base.function(lambda t: t**power, power * base.value ** (power - 1))
    first, *rest = (modelled(arg, kinks) for arg in expr.args)
    if isinstance(expr, sp.Abs):
        return first.absolute()
    if isinstance(expr, sp.sin):
        return first.function(math.sin, math.cos(first.value))
    if isinstance(expr, sp.exp):
        return first.function(math.exp, math.exp(first.value))
    assert isinstance(expr, sp.Add | sp.Mul), expr
    for other in rest:
        first = first + other if isinstance(expr, sp.Add) else first * other
    return first


def _arguments(expr: Any) -> list[Any]:
    """Those of a maximum of maxima, which is one function, each once."""
    parts = [x for arg in expr.args for x in (_arguments(arg) if arg.func is expr.func else [arg])]
    return list(dict.fromkeys(parts))


@settings(max_examples=60, deadline=None)
@given(kinked(), st.sampled_from(KINKS))
def test_compositions_of_kinked_functions_follow_the_convention(expr: Any, kinks: str) -> None:
    wanted = modelled(expr, kinks)
    for backend in ("numpy", "llvm"):
        kernel = sg.compile(expr, SYMBOLS, SYMBOLS, outputs=("value", "grad"), backend=backend, kinks=kinks)
        value, grad = kernel(*POINT)
        np.testing.assert_allclose(value, wanted.value, rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(grad, wanted.slopes, rtol=1e-12, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(kinked(), st.sampled_from(KINKS))
def test_the_complex_step_takes_the_same_side_of_every_kink(expr: Any, kinks: str) -> None:
    """What verify trusts at a kink, against the model."""
    translation = sg.program(expr, SYMBOLS, SYMBOLS, kinks=kinks).translation
    inputs, value, slopes = translation.inputs, translation.value, []
    for unit in np.eye(3):
        moved = dict(zip((inputs[s] for s in SYMBOLS), np.array(POINT) + 1e-170j * unit, strict=True))
        found = evaluate(translation.graph, [value], moved, {}, np.complex128)[0]
        slopes.append(found.imag / 1e-170)
    np.testing.assert_allclose(slopes, modelled(expr, kinks).slopes, rtol=1e-12, atol=1e-12)


# ---- rewrites ----------------------------------------------------------------------------------

x0 = sp.Symbol("x0")  # not declared real, so that sqrt(x0**2) stays as it is


@pytest.mark.parametrize("stabilise", [True, False])
@pytest.mark.parametrize(
    ("expr", "slopes"),
    [
        (sp.Abs(-a, evaluate=False), (0, 0, -1, 1)),  # of Abs in its own argument -a
        (-sp.Max(-a, -3, evaluate=False), (1, 0.5, 1, 0)),
        (sp.Min(a, 3), (1, 0.5, 0, 1)),
        (a * sp.sign(a - 3), (0, 0, 0, 0)),
        (sp.sqrt((x0 - 3) ** 2), (0, 0, 0, 0)),
        (sp.Max(a - 3, 3 - a), (1, 0, 1, -1)),
        (sp.log(sp.exp(sp.Max(a, 3))), (1, 0.5, 1, 0)),
        (sp.log(1 + sp.Abs(a - 3)), (0, 0, 1, -1)),
        (sp.exp(sp.Abs(a - 3)) - 1, (0, 0, 1, -1)),
        (sp.sqrt(1 + sp.Abs(a - 3)) - 1, (0, 0, 0.5, -0.5)),
    ],
    ids=str,
)
def test_no_rewrite_moves_a_kink(expr: Any, slopes: Sequence[float], stabilise: bool) -> None:
    at = 0.0 if expr == sp.Abs(-a, evaluate=False) else 3.0
    for kinks, wanted in zip(KINKS, slopes, strict=True):
        for backend in ("numpy", "llvm"):
            kernel = sg.compile(
                expr, wrt=tuple(expr.free_symbols), outputs="grad", backend=backend,
                kinks=kinks, stabilise=stabilise,
            )  # fmt: skip
            assert kernel(at)[0] == wanted, (kinks, backend)


def test_no_rule_rewrites_a_function_whose_kink_leaves_a_choice() -> None:
    """A rule on one of these has to show at ties and at 0 that it keeps every convention."""
    rules = {r.name for op in ("abs", "maximum", "minimum") for r in TABLE.get(op, ())}
    assert rules == {"abs_at_zero", "abs_of_positive", "abs_of_named_number"}


@pytest.mark.parametrize("kinks", KINKS)
@pytest.mark.parametrize(
    "inner", [sp.exp(a), 1 / (1 + sp.exp(-a)), sp.cosh(a), sp.log(1 + sp.exp(a))], ids=str
)
def test_the_modulus_of_what_is_positive_is_itself_also_where_that_underflows(inner: Any, kinks: str) -> None:
    """Where the inner function is 0 its own slope is, so every convention says 0."""
    kernel = sg.compile(sp.Abs(inner, evaluate=False), wrt=(a,), outputs="grad", kinks=kinks)
    assert kernel(1.5)[0] == pytest.approx(float(inner.diff(a).subs(a, 1.5)), rel=1e-14)
    assert kernel(-1000.0)[0] == (-np.inf if inner == sp.cosh(a) else 0)


def test_a_convention_is_part_of_the_graph_and_of_its_copies() -> None:
    program = sg.program(sp.Max(a, b), kinks="mean")
    assert program.translation.graph.kinks == "mean"
    assert optimise(program.derived(("grad",)).unit).graph.kinks == "mean"
    assert sg.program(program).options.kinks == "mean"
    assert sg.program(program, kinks="left").options.kinks == "left"


def test_a_derivative_inside_an_expression_follows_the_convention() -> None:
    slope = sg.compile(
        sg.grad(sp.Max(a, b), a) + 10 * sp.Abs(a).diff(a), (a, b), kinks="mean", outputs="value"
    )
    assert slope(0.0, 0.0) == 0.5


def test_a_maximum_stored_by_a_loop_counts_its_arguments_all_the_same() -> None:
    # exp and sin make the maximum over i costly enough to be stored before the loop over j.
    w, inner = sp.IndexedBase("w", shape=(m,)), sp.Max(sp.exp(v[i]) - 1, sp.sin(v[i]))
    total = sp.Sum(sp.Max(inner, w[j], evaluate=False), (j, 0, m - 1), (i, 0, n - 1))
    for backend in BACKENDS:
        kernel = sg.compile(total, (v, w), (v, w), outputs="grad", backend=backend, kinks="mean")
        by_v, by_w = kernel(np.zeros(2), np.zeros(3))
        np.testing.assert_allclose(by_v, np.full(2, 3 * 2 / 3), rtol=1e-15)
        np.testing.assert_allclose(by_w, np.full(3, 2 / 3), rtol=1e-15)


def test_a_maximum_of_hundreds_shares_a_tie() -> None:
    symbols = sp.symbols("z0:400", real=True)
    kernel = sg.compile(sp.Max(*symbols, evaluate=False), symbols, symbols, outputs="grad", backend="numpy",
                        kinks="mean")  # fmt: skip
    np.testing.assert_allclose(kernel(*[1.0] * 400), np.full(400, 1 / 400), rtol=1e-12)


# ---- said to the user --------------------------------------------------------------------------


def test_an_unknown_convention_is_refused_with_the_names_of_all() -> None:
    for wrong in ("middle", 1, ["mean"]):
        with pytest.raises(BadOption) as caught:
            sg.program(sp.Abs(a), kinks=wrong)
        assert "first, mean, right, left" in str(caught.value)


def test_the_kinks_of_a_program_are_listed_with_argument_place_and_convention() -> None:
    expr = (
        sp.Abs(a - b) + sp.Max(a, b, 0) + sp.Min(a, 2) + sp.floor(a * b) + sp.Piecewise((a, a > c), (b, True))
    )
    kinks = sg.program(expr, kinks="right").kinks
    assert {str(kink) for kink in kinks} == {
        "Abs(a - b) where a - b = 0: slope 1",
        "Max(a, b, 0) where the extreme ones are equal: a tie goes to the first one",
        "Min(a, 2) where a = 2: a tie goes to the last one",
        "floor(a*b) where a*b is an integer: a jump, which adds nothing to the slope",
        "Piecewise where a = c: slope of the arm that is taken",
    }
    assert {kink.function: kink.arguments for kink in kinks}["Abs"] == (a - b,)
    assert sg.program(sp.sin(a)).kinks == ()


def test_what_only_shifts_a_log_sum_exp_has_no_kinks() -> None:
    weighted = sp.log(sp.Sum(v[i] * sp.exp(v[i]), (i, 0, n - 1)))
    hot = sp.log(sp.Sum(sp.exp(v[i] / a), (i, 0, n - 1)))
    assert not sg.program(weighted, wrt=v).kinks
    assert not sg.program(hot, wrt=v).kinks
    beside = sg.program(sp.log(a * sp.exp(sp.Abs(b)) + sp.exp(a)), wrt=(a, b)).kinks
    assert [kink.function for kink in beside] == ["Abs"]


def test_kinks_in_loops_are_written_with_indices() -> None:
    energy = sp.Sum(sp.Abs(v[i] - v[j]), (j, 0, n - 1), (i, 0, n - 1)) + sg.Maximum(v[i], (i, 0, n - 1))
    texts = {str(kink) for kink in sg.program(energy, kinks="mean").kinks}
    assert texts == {
        "Abs(v[i] - v[j]) where v[i] - v[j] = 0: slope 0",
        "Maximum(v[i]) where its two extreme entries are equal: a tie is shared equally",
    }


def test_the_convention_stands_in_the_c_header(tmp_path: Path) -> None:
    for kinks in KINKS:
        paths = sg.export_c(sp.Max(a, b), "f", tmp_path / kinks, kinks=kinks)
        header = next(p for p in paths if p.suffix == ".h").read_text()
        text = " ".join(header.replace("\n * ", " ").split())
        assert f"kinks: {kinks} ({CONVENTIONS[kinks]})" in text
    header = sg.export_c(sp.sin(a), "g", tmp_path)[1].read_text()
    assert "kinks" not in header


def test_every_entry_point_takes_the_convention(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["derive", "Abs(x)", "--kinks", "right", "--format", "sympy"]) == 0
    assert "Eq(x, 0)" in capsys.readouterr().out
    assert main(["explain", "Max(x, y)", "--kinks", "mean", "--backend", "numpy"]) == 0
    assert "convention mean\n  Max(x, y) where x = y: a tie is shared equally" in capsys.readouterr().out
    assert sg.verify(sp.Abs(a), at={a: 0.0}, kinks="right", backend="numpy").ok
    fit = sg.minimize(sp.Abs(a), {a: 0.0}, kinks="left", max_steps=0, backend="numpy")
    assert fit.jac[a] == -1.0
    assert sg.scipy_problem(sp.Abs(a), {a: 0.0}, kinks="right", backend="numpy").jac(np.zeros(1)) == 1.0


# ---- verified ----------------------------------------------------------------------------------

VERIFIED = [
    (sp.Abs(a), {a: 0.0}),
    (sp.Max(a, b, c), {a: 1.0, b: 1.0, c: 1.0}),
    (sp.Min(a, b) * sp.exp(c), {a: 1.0, b: 1.0, c: 0.5}),
    (sp.sqrt(a**2 + b**2), {a: 0.0, b: 0.0}),
    (sp.floor(a) + a**2, {a: 2.0}),
    (sp.Mod(a, 2) * b, {a: 4.0, b: 1.5}),
    (sp.sign(a) * b, {a: 0.0, b: 1.5}),
    (sp.Piecewise((a, a < b), (b * 2 - a, True)), {a: 1.0, b: 1.0}),
    (sp.Sum(sp.Abs(v[i] - v[j]), (j, 0, i - 1), (i, 0, n - 1)), {v: [1.0, 1.0, 2.0]}),
    (sg.Maximum(v[i], (i, 0, n - 1)), {v: [1.0, 2.0, 2.0]}),
    (LARGEST * SMALLEST, {X: ENTRIES}),
]


@pytest.mark.parametrize("kinks", KINKS)
@pytest.mark.parametrize(("expr", "at"), VERIFIED, ids=lambda part: str(part)[:40])
def test_verify_accepts_the_convention_at_a_kink_and_names_the_kink(expr: Any, at: Any, kinks: str) -> None:
    report = sg.verify(expr, at=at, kinks=kinks, backend="numpy")
    assert report.ok, report.table
    row = next(r for r in report.rows if r.output == "grad" and r.method == "complex step")
    assert row.result == "ok" and "direction" in row.compared
    assert f"kinks at the point: {sg.program(expr, kinks=kinks).kinks[0]}" in report.table


def test_verify_says_both_slopes_and_the_derivative_between_them() -> None:
    report = sg.verify(sp.Max(3 * a, -a), at={a: 0.0}, kinks="mean", backend="numpy")
    assert (
        "grad: 1 entry on a kink, such as a: slope -1 on the left, 3 on the right, derivative 1"
        in report.table
    )


@pytest.mark.parametrize("wrong", [-1.5, 1.5, np.nan])
def test_verify_finds_a_gradient_outside_of_both_slopes(wrong: float) -> None:
    report = sg.verify(sp.Abs(a), at={a: 0.0}, grad=lambda x: np.array([wrong]), backend="numpy")
    assert not report.ok


def test_verify_finds_a_choice_that_is_not_the_convention() -> None:
    """Between both slopes, so differences accept it; the complex step knows what the convention takes."""
    report = sg.verify(sp.Abs(a), at={a: 0.0}, grad=lambda x: np.array([0.25]), backend="numpy")
    failed = {row.method for row in report.rows if row.result == "FAILED"}
    assert failed == {"complex step"}


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_verify_names_a_singular_value_of_zero_and_finds_what_is_no_slope_there(backend: str) -> None:
    A = sp.MatrixSymbol("A", 3, 2)
    nuclear = sum(sg.linalg.svdvals(A)[k, 0] for k in range(2))
    rank_one = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])
    report = sg.verify(nuclear, wrt=A, at={A: rank_one}, backend=backend)
    assert report.ok
    assert any("svdvals(A[i, j]) where a singular value is 0" in note for note in report.notes)
    assert not any("svdvals" in note for note in sg.verify(nuclear, wrt=A, at={A: np.eye(3, 2)}).notes)
    wrong = sg.verify(nuclear, wrt=A, at={A: rank_one}, grad=lambda a: 2 * a, backend=backend)
    assert not wrong.ok


def test_verify_says_where_kinks_meet_and_the_convention_is_no_slope() -> None:
    identity = sp.Max(a, 0) - sp.Max(-a, 0)
    report = sg.verify(identity, at={a: 0.0}, backend="numpy")
    assert not report.ok
    assert "kinks meet at the point, and the derivative by convention first is no slope" in report.table
    assert "Max(a, 0) where a = 0: a tie goes to the first one" in report.table
    assert sg.verify(identity, at={a: 0.0}, kinks="mean", backend="numpy").ok


# ---- other systems -----------------------------------------------------------------------------


def test_shared_ties_are_those_of_jax() -> None:
    at = (1.5, 1.5)
    for ours, theirs in ((sp.Max(a, b), jnp.maximum), (sp.Min(a, b), jnp.minimum)):
        grad = sg.compile(ours, (a, b), (a, b), outputs="grad", kinks="mean")(*at)
        np.testing.assert_array_equal(grad, jax.grad(theirs, (0, 1))(*at))
    data = np.array([2.0, 7.0, 7.0, 7.0])
    grad = sg.compile(sg.Maximum(v[i], (i, 0, n - 1)), wrt=v, outputs="grad", kinks="mean")(data)
    np.testing.assert_array_equal(grad, jax.grad(jnp.max)(data))


def test_a_branch_not_taken_makes_nan_elsewhere_and_zero_here() -> None:
    for backend in BACKENDS:
        root = sg.Where(a > 0, sp.sqrt(a), 0)
        value, grad, hess = sg.compile(root, a, a, outputs=("value", "grad", "hess"), backend=backend)(-1.0)
        assert (value, float(grad), float(hess)) == (0.0, 0.0, 0.0)
