"""IR back to SymPy: what derivatives print, and that what they print is right."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import HealthCheck, assume, given, settings
from programs import loops, matrices, networks, statistics
from programs.core import SharedProgram, symbol_name
from strategies import RandomProgram, scalar_programs, tensor_programs
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy_evaluator import evaluate_matrix, evaluate_scalar

import symgrad as sg
from symgrad import nn
from symgrad.errors import BadOption, UnsupportedExpression
from symgrad.frontend.arguments import name_of
from symgrad.frontend.scalar_form import Leaves, rational_to_sympy
from symgrad.frontend.to_sympy import IndexedExpression, node_to_sympy, to_sympy, to_sympy_with_names
from symgrad.frontend.translate import Translation, translate
from symgrad.grad.outputs import Problem, derive
from symgrad.grad.reverse import gradient
from symgrad.ir.composites.quotients import ROWS as QUOTIENT_ROWS
from symgrad.ir.evaluate import evaluate
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.unit import Unit
from symgrad.opt.plain import without_norm_guards

n, d, c, h = sp.symbols("n d c h", integer=True, positive=True)
SIZES = {"n": 5, "d": 3, "c": 4, "h": 2}
i, j, k = sp.symbols("i j k", integer=True)
x, y, a = sp.symbols("x y a")
lam = sp.Symbol("lambda")
A, B, Z = (sp.MatrixSymbol(name, n, n) for name in "ABZ")
V, X, W = sp.MatrixSymbol("V", n, d), sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("W", d, c)
w, t, Y = sp.MatrixSymbol("w", d, 1), sp.MatrixSymbol("y", n, 1), sp.MatrixSymbol("Y", n, c)
W1, W2 = sp.MatrixSymbol("W1", d, h), sp.MatrixSymbol("W2", h, c)
R, r = sp.MatrixSymbol("R", 3, 3), sp.MatrixSymbol("r", 3, 1)
v, M = sp.IndexedBase("v", shape=(n,)), sp.IndexedBase("M", shape=(n, n))


@dataclass
class Derived:
    """One derivative, in SymPy and in numbers."""

    translation: Translation
    tensor: TensorId
    shape: tuple[Any, ...] | None

    @property
    def symbols(self) -> dict[TensorId, Any]:
        return {tensor: symbol for symbol, tensor in self.translation.inputs.items()}

    def sympy(self, prefer: str = "matrix") -> Any:
        """As `Program.grad` and `Program.hess` make it."""
        inputs = tuple((name_of(s), t) for s, t in self.translation.inputs.items())
        unit, moved = without_norm_guards(Unit(self.translation.graph, inputs, (("result", self.tensor),)))
        symbols = {moved[t]: s for t, s in self.symbols.items() if t in moved}
        tensor = moved[self.tensor]
        return to_sympy(unit.graph, tensor, symbols, self.translation.sizes, prefer, self.shape)

    def named(self, prefer: str = "matrix") -> tuple[list[tuple[Any, Any]], Any]:
        g = self.translation.graph
        return to_sympy_with_names(g, self.tensor, self.symbols, self.translation.sizes, prefer, self.shape)

    def numbers(self, values: dict[Any, Any]) -> np.ndarray:
        inputs = {tensor: values[symbol] for symbol, tensor in self.translation.inputs.items()}
        sizes = {name: values[symbol] for name, symbol in self.translation.sizes.items()}
        return evaluate(self.translation.graph, [self.tensor], inputs, sizes)[0]


def derived(expr: Any, wrt: Any, word: str = "grad", part: int | None = None) -> Derived:
    """The derivative `word` of `expr`; `part` picks one of several symbols."""
    translation = translate(expr)
    g = translation.graph
    targets = wrt if isinstance(wrt, tuple) else (wrt,)
    packed = isinstance(wrt, tuple) and all(isinstance(s, sp.Symbol) for s in wrt)
    inputs = tuple(translation.inputs[s] for s in targets)
    result = derive(Problem(g, translation.value, (), inputs, packed, not isinstance(wrt, tuple)), word)
    leaf: Any = result if part is None else result[part]
    extents = [g.rational(e) for e in leaf.shape]
    return Derived(translation, leaf.tensor, None if None in extents else tuple(extents))


def random_values(translation: Translation) -> dict[Any, Any]:
    """Positive numbers, so that logarithms and roots are defined."""
    rng = np.random.RandomState(5)
    values: dict[Any, Any] = {size: SIZES[name] for name, size in translation.sizes.items()}
    for symbol in translation.args:
        shape = [int(evaluate_scalar(sp.sympify(s), values)) for s in getattr(symbol, "shape", ())]
        values[symbol] = rng.uniform(0.2, 1.2, shape) if shape else float(rng.uniform(0.2, 1.2))
    return values


def numbers_of(expr: Any, values: dict[Any, Any]) -> np.ndarray:
    """Any result of to_sympy in numbers, by the independent evaluator."""
    if isinstance(expr, IndexedExpression):
        shape = [int(evaluate_scalar(extent, values)) for extent in expr.shape]
        out = np.empty(shape)
        for at in itertools.product(*map(range, shape)):
            places = {name: place for name, place in zip(expr.indices, at, strict=True) if name != 0}
            out[at] = evaluate_scalar(expr.expr, {**values, **places})
        return out
    if isinstance(expr, sp.MatrixBase):
        return np.array([[evaluate_scalar(e, values) for e in row] for row in expr.tolist()])
    if isinstance(expr, sp.MatrixExpr):
        return evaluate_matrix(expr, values)
    return np.asarray(evaluate_scalar(expr, values))


def assert_same(found: np.ndarray, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(found.reshape(wanted.shape), wanted, rtol=1e-12, atol=1e-12)


def logistic_loss() -> Any:
    score = sp.Sum(X[i, j] * w[j, 0], (j, 0, d - 1))
    return sp.Sum(sp.log(1 + sp.exp(-t[i, 0] * score)), (i, 0, n - 1))


def log_sum_exp() -> Any:
    return sp.log(sp.Sum(sp.exp(w[i, 0]), (i, 0, d - 1)))


def softmax_loss() -> Any:
    score = sp.Sum(X[i, j] * W[j, k], (j, 0, d - 1))
    spread = sp.Sum(sp.log(sp.Sum(sp.exp(score), (k, 0, c - 1))), (i, 0, n - 1))
    return (spread - sp.Trace(Y.T * X * W)) / n + lam / 2 * sp.Trace(W.T * W)


GRAM = V.T * V - sp.Identity(d)
RESIDUAL = X * w - t
NETWORK = (X * W1).applyfunc(sp.tanh) * W2 - Y
RELU = nn.relu(X * W) - Y
E = "exp.(X*W)"
P = f"DiagMatrix(HadamardPower({E}*ones(c, 1), -1))*{E}"
SUM_EXP = "Trace(ones(1, d)*exp.(w))"
SLOPE = "Lambda(t, 1/(exp(t) + 1))"  # the variable is t, the user's vector is called y

PRINTED: dict[str, tuple[Any, Any, str, int | None, str]] = {
    "orthogonality": (sp.Trace(GRAM.T * GRAM), V, "grad", None, "4*V*(-I + V.T*V)"),
    "least squares": (sp.Trace(RESIDUAL.T * RESIDUAL), w, "grad", None, "2*X.T*(X*w - y)"),
    "hessian of least squares": (sp.Trace(RESIDUAL.T * RESIDUAL), w, "hess", None, "2*X.T*X"),
    "ridge": (
        sp.Trace(RESIDUAL.T * RESIDUAL) / n + lam * sp.Trace(w.T * w), w, "hess", None,
        "2*(lambda*I + 1/n*X.T*X)",
    ),
    "softmax regression": (softmax_loss(), W, "grad", None, f"lambda*W + 1/n*X.T*({P} - Y)"),
    "logistic regression": (
        logistic_loss(), w, "grad", None, f"-X.T*(HadamardProduct({SLOPE}.(HadamardProduct(X*w, y)), y))",
    ),
    "trace": (sp.Trace(A * Z * B), Z, "grad", None, "A.T*B.T"),
    "frobenius norm": (sp.sqrt(sp.Trace(A.T * A)), A, "grad", None, "1/sqrt(Trace(A.T*A))*A"),
    "log-sum-exp": (log_sum_exp(), w, "grad", None, f"1/{SUM_EXP}*exp.(w)"),
    "hessian of log-sum-exp": (
        log_sum_exp(), w, "hess", None,
        # A diagonal of p*(1 - p) and -p*q beside it: nothing cancels, and no matrix notation says it shortly.
        "[i, 0, j, 0] -> ((-exp(w[i, 0])/Sum(exp(w[m, 0]), (m, 0, d - 1)) + 1)*KroneckerDelta(i, j)"
        " - Where(Ne(i, j), exp(w[j, 0])/Sum(exp(w[m, 0]), (m, 0, d - 1)), 0))"
        "*exp(w[i, 0])/Sum(exp(w[m, 0]), (m, 0, d - 1))",
    ),
    "network, first layer": (
        sp.Trace(NETWORK.T * NETWORK) / 2, (W1, W2), "grad", 0,
        "X.T*(HadamardProduct(Lambda(t, cosh(t)**(-2)).(X*W1), (tanh.(X*W1)*W2 - Y)*W2.T))",
    ),
    "network, second layer": (
        sp.Trace(NETWORK.T * NETWORK) / 2, (W1, W2), "grad", 1, "tanh.(X*W1).T*(tanh.(X*W1)*W2 - Y)",
    ),
    "rectifier": (
        sp.Trace(RELU.T * RELU), W, "grad", None,
        "2*X.T*(HadamardProduct(Lambda(t, Piecewise((1, t > 0), (0, True))).(X*W), "
        "Lambda(t, Piecewise((t, t > 0), (0, True))).(X*W) - Y))",
    ),
    "quadratic form of fixed size": (sp.Trace(r.T * R * r), r, "grad", None, "(R + R.T)*r"),
    "quadratic form with indices": (
        sp.Sum(v[i] * M[i, j] * v[j], (i, 0, n - 1), (j, 0, n - 1)), v, "grad", None,
        "[i] -> Sum(M[i, j]*v[j], (j, 0, n - 1)) + Sum(M[j, i]*v[j], (j, 0, n - 1))",
    ),
    "hessian of orthogonality": (
        sp.Trace(GRAM.T * GRAM), V, "hess", None,
        "[i, j, k, l] -> 4*(-KroneckerDelta(j, l) + Sum(V[m, j]*V[m, l], (m, 0, n - 1)))*KroneckerDelta(i, k)"
        " + 4*KroneckerDelta(j, l)*Sum(V[i, m]*V[k, m], (m, 0, d - 1)) + 4*V[i, l]*V[k, j]",
    ),
    "rosenbrock": (
        (1 - x) ** 2 + 100 * (y - x**2) ** 2, (x, y), "grad", None,
        "Matrix([[-400*x*(-x**2 + y) + 2*x - 2], [-200*x**2 + 200*y]])",
    ),
    "hessian of rosenbrock": (
        (1 - x) ** 2 + 100 * (y - x**2) ** 2, (x, y), "hess", None,
        "Matrix([[1200*x**2 - 400*y + 2, -400*x], [-400*x, 200]])",
    ),
    "short decimals": (
        sp.sin(x * y) + sp.exp(-a * x**2) / 2 + 0.0005 * x, x, "grad", None,
        "-a*x*exp(-a*x**2) + y*cos(x*y) + 0.0005",
    ),
    "softplus": (sp.log(1 + sp.exp(x)), x, "grad", None, "1/(1 + exp(-x))"),
}  # fmt: skip


@pytest.mark.parametrize("name", PRINTED)
def test_a_derivative_prints_as_one_would_write_it(name: str) -> None:
    expr, wrt, word, part, text = PRINTED[name]
    assert str(derived(expr, wrt, word, part).sympy()) == text


@pytest.mark.parametrize("prefer", ["matrix", "index"])
@pytest.mark.parametrize("name", PRINTED)
def test_what_is_printed_has_the_value_of_the_program(name: str, prefer: str) -> None:
    expr, wrt, word, part, _ = PRINTED[name]
    found = derived(expr, wrt, word, part)
    values = random_values(found.translation)
    assert_same(numbers_of(found.sympy(prefer), values), found.numbers(values))


@pytest.mark.parametrize("prefer", ["matrix", "index"])
@pytest.mark.parametrize("name", PRINTED)
def test_named_parts_put_together_have_the_value_of_the_program(name: str, prefer: str) -> None:
    expr, wrt, word, part, _ = PRINTED[name]
    found = derived(expr, wrt, word, part)
    values = random_values(found.translation)
    wanted = found.numbers(values)
    names, result = found.named(prefer)
    for symbol, definition in names:
        if isinstance(symbol, sp.Indexed):
            shape = tuple(a.upper + 1 if isinstance(a, sp.Idx) else sp.S.One for a in symbol.indices)
            entry = IndexedExpression(symbol.indices, definition, shape)
            values[symbol.base] = numbers_of(entry, values)
        else:
            values[symbol] = numbers_of(definition, values)
    assert_same(numbers_of(result, values), wanted)


def test_a_gradient_that_vanishes_is_a_matrix_of_zeros() -> None:
    translation = translate(sp.Trace(X.T * X), (X, W))
    g = translation.graph
    ((axes, node),) = gradient(g, translation.value, [translation.inputs[W]])
    symbols = {tensor: symbol for symbol, tensor in translation.inputs.items()}
    assert to_sympy(g, g.define("map", axes, (), node), symbols, translation.sizes) == sp.ZeroMatrix(d, c)


# ---- the shared programs -----------------------------------------------------------------------------

SHARED: dict[str, SharedProgram] = {
    program.name: program
    for programs in (loops.LOOPS, matrices.MATRICES, networks.NETWORKS, statistics.STATISTICS)
    for program in programs
}


def read_again(expr: Any, program: SharedProgram, inputs: dict[str, np.ndarray], dtype: Any) -> np.ndarray:
    """The value of a result of to_sympy, through the front end."""
    indexed = isinstance(expr, IndexedExpression)
    axes = [index for index in expr.indices if index != 0] if indexed else None
    again = translate(expr.expr if indexed else expr, program.args, axes=axes)
    values = {tensor: inputs[symbol_name(symbol)] for symbol, tensor in again.inputs.items()}
    return evaluate(again.graph, [again.value], values, program.sizes[CASE], dtype)[0]


CASE = 2


@pytest.mark.parametrize("name", SHARED)
def test_gradients_of_shared_programs_come_back_through_the_front_end(name: str) -> None:
    program = SHARED[name]
    translation = translate(program.expr, program.args)
    g, inputs = translation.graph, program.inputs(CASE)
    symbols = {tensor: symbol for symbol, tensor in translation.inputs.items()}
    values = {tensor: inputs[symbol_name(symbol)] for tensor, symbol in symbols.items()}
    dtype = object if name == "softmax_cold" else np.float64  # its exp(x/tau) exceeds every float64
    for axes, node in gradient(g, translation.value, [translation.inputs[s] for s in program.targets]):
        tensor = g.define("map", axes, (), node)
        wanted = evaluate(g, [tensor], values, program.sizes[CASE], dtype)[0]
        expr = to_sympy(g, tensor, symbols, translation.sizes)
        found = np.asarray(read_again(expr, program, inputs, dtype))
        np.testing.assert_allclose(
            found.astype(float).reshape(wanted.shape), wanted.astype(float), rtol=1e-9, atol=1e-9
        )


# ---- random programs ---------------------------------------------------------------------------------


def named_inputs(program: RandomProgram) -> tuple[dict[TensorId, Any], dict[str, Any]]:
    """A SymPy symbol for every input and size of a random program."""
    sizes = {name: sp.Symbol(name, integer=True, positive=True) for name in program.sizes}
    leaves = Leaves(program.graph, {}, sizes)
    symbols: dict[TensorId, Any] = {}
    for tensor in program.inputs:
        row = program.graph.tensors[tensor]
        shape = tuple(leaves.integer(extent) for extent in row.extents)
        is_matrix = len(shape) == 2 and row.dtype == "real"
        make = sp.MatrixSymbol(row.name, *shape) if is_matrix else sp.IndexedBase(row.name, shape=shape)
        symbols[tensor] = make if shape else sp.Symbol(row.name, real=True)
    return symbols, sizes


# Written out, these are 0/0 or 0*log(0) at 0.
UNDEFINED_AT_ZERO = {op for op in QUOTIENT_ROWS if op != "sinc"} | {"xlogx"}


def check_random_program(program: RandomProgram) -> None:
    g = program.graph
    below = g.definitions_below(program.outputs.values())
    nodes = g.reachable([body for t in below for body in g.tensors[t].bodies])
    assume(UNDEFINED_AT_ZERO.isdisjoint(g.op[n] for n in nodes))
    symbols, sizes = named_inputs(program)
    arrays = program.arrays()
    values = {sizes[name]: value for name, value in program.sizes.items()}
    values |= {symbols[tensor]: array if array.shape else float(array) for tensor, array in arrays.items()}
    for tensor in program.outputs.values():
        (wanted,) = evaluate(program.graph, [tensor], arrays, program.sizes)
        result = to_sympy(program.graph, tensor, symbols, sizes)
        parts = result if isinstance(result, tuple) else (result,)
        found = [numbers_of(part, values).ravel() for part in parts]
        np.testing.assert_allclose(np.concatenate(found), wanted.ravel(), rtol=1e-6, atol=1e-8)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(scalar_programs(smooth=False))
def test_random_scalar_programs_keep_their_value(program: RandomProgram) -> None:
    check_random_program(program)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(tensor_programs(smooth=False))
def test_random_tensor_programs_keep_their_value(program: RandomProgram) -> None:
    check_random_program(program)


# ---- scalars -----------------------------------------------------------------------------------------

Step = Callable[[Graph, Node, Node], Node]
DEEP: dict[str, Step] = {
    "sin": lambda g, u, p: g.node("sin", u),
    "horner": lambda g, u, p: g.add(g.mul(u, g.mul(g.const(0.5), p)), g.one),
    "logistic": lambda g, u, p: g.sub(g.node("logistic", u), p),
    "maximum": lambda g, u, p: g.node("maximum", g.mul(u, p), g.const(Fraction(1, 3))),
    "branches": lambda g, u, p: g.where(g.node("lt", u, p), g.add(u, g.one), g.node("cos", p)),
}


def deep_chain(step: Step, levels: int) -> tuple[Graph, TensorId, dict[TensorId, Any]]:
    g = Graph()
    first, second = g.input("x"), g.input("y")
    u = g.read(first)
    for _ in range(levels):
        u = step(g, u, g.read(second))
    return g, g.define("map", (), (), u), {first: x, second: y}


@pytest.mark.parametrize("name", [name for name in DEEP if name != "branches"])
def test_expressions_of_five_thousand_levels_convert(name: str) -> None:
    g, tensor, symbols = deep_chain(DEEP[name], 3000 if name == "horner" else 5000)
    (wanted,) = evaluate(g, [tensor], {t: 0.7 if s == x else 0.3 for t, s in symbols.items()}, {})
    found = evaluate_scalar(to_sympy(g, tensor, symbols, {}), {x: 0.7, y: 0.3})
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_shared_parts_print_once_under_a_name() -> None:
    g, tensor, symbols = deep_chain(DEEP["branches"], 60)
    with pytest.raises(UnsupportedExpression, match="too large to write out"):
        to_sympy(g, tensor, symbols, {})
    names, result = to_sympy_with_names(g, tensor, symbols, {})
    values: dict[Any, Any] = {x: -7.0, y: 0.3}
    for symbol, definition in names:
        values[symbol] = evaluate_scalar(definition, values)
    (wanted,) = evaluate(g, [tensor], {t: values[s] for t, s in symbols.items()}, {})
    np.testing.assert_allclose(evaluate_scalar(result, values), wanted, rtol=1e-12)
    assert len(names) < 200


def test_names_avoid_the_symbols_of_the_user() -> None:
    x0, z = sp.symbols("x0 z")
    part = sp.sin(x0 * z + 1) + sp.cos(x0)
    names, _ = derived(sp.exp(part) * part**2, x0).named()
    assert "x0" not in {str(symbol) for symbol, _ in names}
    assert names


ELEMENTARY = {
    "hypot": (lambda g, p, q: g.node("hypot", p, q), "sqrt(x**2 + y**2)"),
    "logistic": (lambda g, p, q: g.node("logistic", p), "1/(1 + exp(-x))"),
    "softplus": (lambda g, p, q: g.node("softplus", p), "log(exp(x) + 1)"),
    "log1p": (lambda g, p, q: g.node("log1p", p), "log(x + 1)"),
    "expm1": (lambda g, p, q: g.node("expm1", p), "exp(x) - 1"),
    "mask": (lambda g, p, q: g.mask(g.node("lt", g.zero, p), q), "Piecewise((y, x > 0), (0, True))"),
    "where": (lambda g, p, q: g.where(g.node("le", p, q), p, g.one), "Piecewise((x, x <= y), (1, True))"),
    "maximum": (lambda g, p, q: g.node("maximum", p, q), "Max(x, y)"),
    "modulo": (lambda g, p, q: g.node("mod", p, q), "Mod(x, y)"),
    "difference": (lambda g, p, q: g.sub(p, g.mul(g.const(3), q)), "x - 3*y"),
    "quotient": (lambda g, p, q: g.div(g.mul(p, p), g.add(p, q)), "x**2/(x + y)"),
    "named constant": (lambda g, p, q: g.mul(g.const("pi"), p), "pi*x"),
}


@pytest.mark.parametrize("name", ELEMENTARY)
def test_an_operation_prints_in_plain_functions(name: str) -> None:
    build, text = ELEMENTARY[name]
    g = Graph()
    first, second = g.input("x"), g.input("y")
    node = build(g, g.read(first), g.read(second))
    assert str(node_to_sympy(g, node, (), {first: x, second: y}, {})) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "1/2"),
        (0.0005, "0.0005"),
        (Fraction(1, 3), "1/3"),
        (-7, "-7"),
        (1e-300, "1.0e-300"),
        (0.1, "0.1"),
    ],
)
def test_constants_print_as_they_were_written(value: float | Fraction, text: str) -> None:
    constant = rational_to_sympy(Fraction(value))
    assert str(constant * x) == (f"{text}*x" if "/" not in text else str(sp.Rational(text) * x))
    assert float(constant) == float(value)


# ---- indices -----------------------------------------------------------------------------------------


def test_bound_names_avoid_the_symbols_of_the_user_and_each_other() -> None:
    g = Graph()
    size = g.size("j")
    array = g.input("i", (size, size))
    p, q = g.fresh_axis(size), g.fresh_axis(size)
    inner = g.define("sum", (p,), (q,), g.node("sin", g.read(array, p, q)))
    outer = g.define("sum", (), (p,), g.mul(g.read(inner, p), g.read(inner, p)))
    length = sp.Symbol("j", integer=True, positive=True)
    base = sp.IndexedBase("i", shape=(length, length))
    text = str(to_sympy(g, outer, {array: base}, {"j": length}))
    assert text == "Sum(Sum(sin(i[k, l]), (l, 0, j - 1))**2, (k, 0, j - 1))"


def test_an_indexed_expression_gives_entries_without_capturing_names() -> None:
    found = derived(sp.Sum(v[i] * M[i, j] * v[j], (i, 0, n - 1), (j, 0, n - 1)), v)
    expr = found.sympy()
    (bound,) = {limit[0] for part in expr.expr.atoms(sp.Sum) for limit in part.limits}
    values = random_values(found.translation)
    entry = expr[bound]  # the name of the index bound inside
    assert_same(np.asarray(evaluate_scalar(entry, {**values, bound: 2})), found.numbers(values)[2])


def test_an_indexed_expression_shows_its_indices_in_latex() -> None:
    expr = derived(sp.Sum(v[i] ** 2 * v[j], (i, 0, n - 1), (j, 0, n - 1)), v).sympy()
    assert expr._repr_latex_().startswith(r"$\displaystyle \left[i\right] \mapsto ")
    assert expr.shape == (n,)


def test_a_column_has_the_index_zero_on_its_second_axis() -> None:
    expr = derived(sp.Trace(RESIDUAL.T * RESIDUAL), w).sympy("index")
    assert str(expr).startswith("[i, 0] -> 2*Sum(")


def test_extrema_over_an_axis_are_written_as_maximum_over_a_range() -> None:
    g = Graph()
    array = g.input("v", (g.size("n"),))
    p = g.fresh_axis(g.size("n"))
    top = g.define("max", (), (p,), g.node("sin", g.read(array, p)))
    assert str(to_sympy(g, top, {array: v}, {"n": n})) == "Maximum(sin(v[i]), (i, 0, n - 1))"


# ---- refusals ----------------------------------------------------------------------------------------


def test_a_program_of_too_many_operations_is_refused_at_once() -> None:
    g, tensor, symbols = deep_chain(lambda g, u, p: g.add(g.node("sin", u), p), 12_000)
    with pytest.raises(UnsupportedExpression) as caught:
        to_sympy(g, tensor, symbols, {})
    assert str(caught.value) == (
        "a program of 24003 operations is too large to write as a SymPy expression\n"
        "  because  the limit is 20000; SymPy would need minutes, and the text pages\n"
        "  try      compile it and print the kernel's source, or look at a part of the expression"
    )


def test_a_text_that_doubles_at_each_matrix_is_refused_at_once() -> None:
    total: Any = A
    for _ in range(18):
        total = ElementwiseApplyFunction(sp.tanh, sp.MatAdd(total, sp.MatMul(total, B)))  # + calls doit
    with pytest.raises(UnsupportedExpression, match="too large to write out"):
        derived(sp.Trace(total), A).sympy()


def test_an_unknown_form_is_refused() -> None:
    g, tensor, symbols = deep_chain(DEEP["sin"], 1)
    with pytest.raises(BadOption, match="unknown form 'words'"):
        to_sympy(g, tensor, symbols, {}, prefer="words")


def test_gradients_of_determinants_and_inverses_print_as_matrices() -> None:
    n = sp.Symbol("n", integer=True, positive=True)
    a, b = sp.MatrixSymbol("A", n, n), sp.MatrixSymbol("b", n, 1)
    assert str(sg.program(sp.log(sp.Determinant(a)), wrt=a).grad) == "(A**(-1)).T"
    assert str(sg.program((b.T * a.I * b)[0, 0], wrt=a).grad) == "-(A**(-1)).T*b*b.T*(A**(-1)).T"


def test_a_determinant_stands_in_index_notation_too() -> None:
    n, m = sp.symbols("n m", integer=True, positive=True)
    a, x = sp.MatrixSymbol("A", n, n), sp.IndexedBase("x", shape=(m,))
    i = sp.Symbol("i", integer=True)
    program = sg.program(sp.Determinant(a) * sp.Sum(x[i] ** 2, (i, 0, m - 1)), wrt=x)
    assert str(program.grad) == "[i] -> 2*Determinant(A)*x[i]"


@pytest.mark.parametrize("number", [sp.pi, sp.E, sp.EulerGamma, sp.GoldenRatio, sp.Catalan])
def test_named_numbers_print_as_themselves(number: Any) -> None:
    x = sp.Symbol("x", real=True)
    assert sg.program(number * x**2, wrt=x).grad == 2 * number * x
