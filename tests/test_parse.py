"""The safe parser: what it reads, and exactly how it refuses the rest."""

import builtins

import pytest
import sympy as sp
from sympy.abc import t

from symgrad.errors import (
    BadName,
    DuplicateNames,
    IndexOutOfRange,
    ParseError,
    ShapeMismatch,
    SymgradError,
    UnknownFunction,
    format_error,
)
from symgrad.frontend.declare import parse_declarations
from symgrad.frontend.parse import parse_expression

x, y, z = sp.symbols("x y z", real=True)
n, d, m = sp.symbols("n d m", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True)
X, A = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("A", n, n)
w, b = sp.MatrixSymbol("w", d, 1), sp.MatrixSymbol("b", n, 1)
v = sp.IndexedBase("v", shape=(n,), real=True)
T = sp.IndexedBase("T", shape=(n, d, 3), real=True)
idx = sp.IndexedBase("idx", shape=(m,), integer=True)
SYMBOLS = {"X": X, "A": A, "w": w, "b": b, "v": v, "T": T, "idx": idx, "n": n, "d": d, "m": m}


def refusal(text: str) -> str:
    """The whole message with which a text is refused."""
    with pytest.raises(SymgradError) as caught:
        parse_expression(text, SYMBOLS)
    return format_error(caught.value)


# --- what is read ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x", x),
        ("  x  ", x),
        ("x\n  + y", x + y),
        ("1/3", sp.Rational(1, 3)),
        ("0.5*x", 0.5 * x),
        ("x - y - z", x - y - z),
        ("x/y/z*2", 2 * x / y / z),
        ("-x**2", -(x**2)),
        ("x**-1", 1 / x),
        ("2**3**2", sp.Integer(512)),
        ("--+x", x),
        ("pi*E", sp.pi * sp.E),
        ("sin(x)*log(y, 2)", sp.sin(x) * sp.log(y, 2)),
        ("sqrt(x**2)", sp.Abs(x)),
        ("abs(x) + max(x, y) + min(x, y)", sp.Abs(x) + sp.Max(x, y) + sp.Min(x, y)),
        ("sign(x)*Heaviside(x)", sp.sign(x) * sp.Heaviside(x)),
        ("gamma*gamma(x)", sp.Symbol("gamma", real=True) * sp.gamma(x)),
        ("0 < x <= 1", sp.And(sp.Lt(0, x), x <= 1)),
        ("x > 0 and not y > 0 or z == 1", sp.Or(sp.And(x > 0, sp.Not(y > 0)), sp.Eq(z, 1))),
        ("Ne(x, 1)", sp.Ne(x, 1)),
        ("Piecewise((x, x > 0), (0, True))", sp.Piecewise((x, x > 0), (0, True))),
        ("μ", sp.Symbol("μ", real=True)),
    ],
)
def test_scalar_texts_become_the_sympy_expression_they_spell(text, expected):
    assert parse_expression(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("X*w - b", X * w - b),
        ("X.T*X", X.T * X),
        ("2*X", 2 * X),
        ("A**2", A**2),
        ("Trace(A) + 1", sp.Trace(A) + 1),
        ("HadamardProduct(X, X)", sp.HadamardProduct(X, X)),
        ("HadamardPower(X, 2)", sp.HadamardPower(X, 2)),
        ("Identity(n) + A", sp.Identity(n) + A),
        ("OneMatrix(n, 1) + b", sp.OneMatrix(n, 1) + b),
        ("X[i, 0]", X[i, 0]),
        ("w[i]", w[i, 0]),
        ("T[i, j, 2]", T[i, j, 2]),
        (
            "map(Lambda(t, t**2), X)",
            X.applyfunc(sp.Lambda(sp.Symbol("t", real=True), sp.Symbol("t", real=True) ** 2)),
        ),
        ("Matrix([[1, x], [y, 2]])", sp.ImmutableMatrix([[1, x], [y, 2]])),
        ("Matrix([x, y])", sp.ImmutableMatrix([x, y])),
        ("Matrix([[1, x], [y, 2]])[0, 1]", x),
        ("BlockMatrix([[A, X], [X.T, Identity(d)]])", sp.BlockMatrix([[A, X], [X.T, sp.Identity(d)]])),
        ("Sum(v[i]**2, (i, 0, n - 1))", sp.Sum(v[i] ** 2, (i, 0, n - 1))),
        ("Sum(v[i]*v[j], (j, 0, i), (i, 0, n - 1))", sp.Sum(v[i] * v[j], (j, 0, i), (i, 0, n - 1))),
        ("Sum(v[idx[j]], (j, 0, m - 1))", sp.Sum(v[idx[j]], (j, 0, m - 1))),
        ("Product(v[i], (i, 0, n - 1))", sp.Product(v[i], (i, 0, n - 1))),
        ("KroneckerDelta(i, j)", sp.KroneckerDelta(i, j)),
    ],
)
def test_array_texts_become_the_sympy_expression_they_spell(text, expected):
    assert parse_expression(text, SYMBOLS) == expected


def test_map_applies_a_function_by_its_name():
    mapped = parse_expression("map(tanh, X)", SYMBOLS)
    assert mapped.shape == (n, d)
    assert mapped[0, 0] == sp.tanh(X[0, 0])


def test_map_over_an_explicit_matrix_applies_the_function_to_each_element():
    assert parse_expression("map(sin, Matrix([[x, y]]))") == sp.ImmutableMatrix([[sp.sin(x), sp.sin(y)]])


@pytest.mark.parametrize(
    "expression",
    [
        sp.exp(-(x**2) / 2) / sp.sqrt(2 * sp.pi),
        sp.Piecewise((x**2, x < y), (sp.Max(x, y, 1), True)),
        sp.atan2(y, x) - sp.Rational(3, 7) * sp.Abs(x) ** sp.Rational(1, 3),
        sp.log(sp.Sum(sp.exp(v[i]), (i, 0, n - 1))),
        A.T * X * w - 3 * b,
        sp.Trace(A.T * A) + sp.Sum(X[i, j] ** 2, (i, 0, n - 1), (j, 0, d - 1)),
    ],
)
def test_what_sympy_prints_is_read_back(expression):
    assert parse_expression(str(expression), SYMBOLS) == expression


def test_names_are_real_and_indices_and_limits_are_integers():
    names = {symbol.name: symbol for symbol in parse_expression("x*Sum(k, (k, 0, p - 1))").atoms(sp.Symbol)}
    assert names["x"].is_real and names["x"].is_integer is None
    assert names["k"].is_integer and names["k"].is_positive is None
    assert names["p"].is_integer and names["p"].is_positive


def test_integers_stay_exact_and_decimals_are_the_doubles_they_spell():
    assert parse_expression("10**30 + 1") == sp.Integer(10) ** 30 + 1
    assert float(parse_expression("0.1")) == 0.1


def test_given_symbols_are_used_and_may_stand_for_expressions_and_numbers():
    assert parse_expression("t + x", {"t": t, "x": 2}) == t + 2
    assert parse_expression("f*2", {"f": x**2}) == 2 * x**2


def test_the_symbols_passed_in_are_not_changed():
    given = {"x": x}
    parse_expression("x + y", given)
    assert given == {"x": x}


def test_a_sum_of_two_thousand_terms_and_a_hundred_brackets_are_read():
    assert len(parse_expression(" + ".join(f"x{k}" for k in range(2000))).args) == 2000
    assert parse_expression("(" * 100 + "x" + ")" * 100) == x


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "x + __import__('os')",
            "ParseError: '__import__' is not read: names with double underscores are refused\n"
            "  where    column 5: \"__import__('os')\"",
        ),
        (
            "x.__class__",
            "ParseError: the attribute .__class__ is not read\n"
            "  where    column 1: 'x.__class__'\n"
            "  try      `.T` is the only attribute",
        ),
        (
            "1 + x^2",
            "ParseError: the operator `^` is not read\n"
            "  where    column 1: '1 + x^2'\n"
            "  try      write powers with `**`",
        ),
        (
            "2x",
            "ParseError: this is not an expression\n"
            "  where    column 1: '2x'\n"
            "  because  invalid decimal literal\n"
            "  try      write products with `*`: 2*x, not 2x",
        ),
        (
            "x + 9**9**9",
            "ParseError: this constant is too large to compute\n"
            "  where    column 5: '9**9**9'\n"
            "  because  the limits are 10000 bits and 10000 terms",
        ),
        (
            "é + sinn(x)",
            "UnknownFunction: there is no function 'sinn'\n"
            "  where    column 5: 'sinn(x)'\n"
            "  try      sin or sinh or sinc",
        ),
        (
            "sin(X)",
            "ShapeMismatch: a number is needed, not a matrix\n"
            "  where    column 5: 'X'\n"
            "  because  its shape is (n, d)\n"
            "  try      map(sin, X)",
        ),
        (
            "u[i]",
            "ParseError: 'u' is not an array\n"
            "  where    column 1: 'u[i]'\n"
            "  because  it is a number\n"
            "  try      declare it: `u = array(n)`",
        ),
        (
            "I*x",
            "ParseError: 'I' is ambiguous\n"
            "  where    column 1: 'I'\n"
            "  because  it is SymPy's imaginary unit, and symgrad computes with real numbers\n"
            "  try      declare it: `I = real`",
        ),
    ],
)
def test_refusals_name_the_piece_of_text_and_its_column(text, message):
    assert refusal(text) == message


@pytest.mark.parametrize(
    "text",
    [
        "lambda x: x",
        "[i for i in x]",
        "(i for i in x)",
        "f'{x}'",
        "'x'",
        "b'x'",
        "None",
        "...",
        "1j",
        "x if y else z",
        "(x := 1)",
        "sin(*x)",
        "sin(x=1)",
        "sin(**x)",
        "{1: 2}",
        "{1}",
        "await x",
        "yield x",
        "x; y",
        "x = 1",
        "import os",
        "x # y",
        "x in y",
        "x is y",
        "x @ y",
        "x // y",
        "x % y",
        "x & y",
        "~x",
        "v[1:2]",
        "X.shape",
        "X.T.__class__",
        "x.T",
        "sin",
        "(sin)(x)(y)",
        "sin(x)(y)",
        "X.T(1)",
        "__x__",
        "x__y",
        "(x, y)",
        "[x]",
        "v",
        "Lambda(t, t)",
        "map(x, X)",
        "Sum(x)",
        "Sum(x, k)",
        "Sum(x, (k, 0))",
        "Matrix(3)",
        "Piecewise(x)",
        "Piecewise((x, y))",
        "(x > 0) + 1",
        "not x",
        "T[i]",
        "X[i]",
        "oo",
        "nan",
        "1/0",
        "log(0)",
        "1e999",
        "x\0",
        "\ud800",
        "",
        "   ",
    ],
)
def test_everything_else_is_a_parse_error(text):
    assert refusal(text).startswith("ParseError: ")


@pytest.mark.parametrize(
    "name", ["exec", "eval", "open", "compile", "getattr", "print", "Symbol", "sympify", "lambdify"]
)
def test_functions_of_python_and_sympy_that_are_not_on_the_list_are_unknown(name):
    assert refusal(f"{name}(x)").startswith(f"UnknownFunction: there is no function '{name}'\n")


def test_nothing_in_a_text_is_executed(monkeypatch):
    def forbidden(*_args, **_kwargs):
        raise AssertionError("the parser executed something")

    monkeypatch.setattr(builtins, "eval", forbidden)
    monkeypatch.setattr(builtins, "exec", forbidden)
    assert parse_expression("sin(x)**2 + Sum(v[i], (i, 0, n - 1))", SYMBOLS).has(sp.sin)
    assert refusal("exec('import os')").startswith("UnknownFunction")


@pytest.mark.parametrize(
    "text",
    [
        "(" * 1000 + "x" + ")" * 1000,
        "-" * 100_000 + "x",
        "not " * 100_000 + "x",
        "**".join("x" * 5000),
        "x" + "[0]" * 100_000,
        "+".join("x" * 100_000),
        "sin(" * 1000 + "x" + ")" * 1000,
        "1" * 5000,
        "x" * 1_000_001,
    ],
)
def test_texts_too_deep_or_too_long_are_refused_without_a_crash(text):
    assert refusal(text).startswith("ParseError: ")


@pytest.mark.parametrize(
    "text",
    [
        "9**9**9",
        "9.0**9.0**9.0**9.0",
        "2**20000",
        "(1/2)**20000",
        "2**(10**30/7)",
        "0.5**99999",
        "exp(10**9)",
        "floor(exp(10**9))",
        "exp(exp(exp(10)))",
        "gamma(10**9)",
        "polygamma(0, 10**9)",
        "exp2(10**9)",
        "factorial(10**9)",
        "binomial(10**9, 10**8)",
        "rf(x, 10**9)",
        "zeta(2*10**9)",
        "harmonic(10**9)",
        "lowergamma(10**9, x)",
        "jn(10**9, x)",
        "Mod(x**10**300, 10**9)",
        "Sum(k, (k, 10**300, 1)) == 0",
        "floor(3**(1/10**300))",
        "Matrix([[1, 2], [3, 4]])**1000000",
        "Matrix([[x, y, z], [y, z, x], [z, x, 1]])**16",
        "map(gamma, Matrix([10**9]))",
        "map(Lambda(t, t**t**t), Matrix([9]))",
        "Matrix([10**2000])*10**2000",
        "Sum(k, (k, 0, 10**9)) > 5",
        "2**9000*2**9000",
    ],
)
def test_short_texts_that_ask_for_long_computations_are_refused(text):
    assert refusal(text).startswith("ParseError: ")


@pytest.mark.parametrize(
    "text",
    [
        "X + 1",
        "X + b",
        "X*X",
        "X/X",
        "x/X",
        "x**X",
        "sin(X)",
        "Max(x, X)",
        "Trace(X)",
        "Matrix([[1, 2], [3]])",
    ],
)
def test_shapes_that_do_not_fit_are_shape_mismatches(text):
    symbols = SYMBOLS | {"X": sp.MatrixSymbol("X", 2, 3)}
    with pytest.raises(ShapeMismatch) as caught:
        parse_expression(text, symbols)
    assert "column " in caught.value.where


def test_a_constant_index_outside_its_matrix_is_out_of_range():
    with pytest.raises(IndexOutOfRange):
        parse_expression("M[5, 0]", {"M": sp.MatrixSymbol("M", 3, 1)})


def test_an_index_declared_as_a_real_symbol_is_refused():
    with pytest.raises(ParseError, match="'x' is used as an index or a size"):
        parse_expression("v[x]", SYMBOLS | {"x": x})


# --- declarations ---------------------------------------------------------------------------------


def test_declarations_give_the_symbols_of_each_kind_and_the_sizes_they_use():
    lines = [
        "X = matrix(n, d)",
        "w: vector(d)",
        "v=array(n)",
        "T = array(n, d, 3)",
        "idx = integers(m)",
        "a = positive",
    ]
    declared = parse_declarations(lines)
    assert declared == {
        "X": X,
        "w": w,
        "v": v,
        "T": T,
        "idx": idx,
        "a": sp.Symbol("a", positive=True),
        "n": n,
        "d": d,
        "m": m,
    }


def test_sizes_may_be_declared_before_or_after_their_use_and_be_sums():
    assert parse_declarations(["n = size", "X = matrix(n + 1, 2*n)"])["X"].shape == (n + 1, 2 * n)
    assert parse_declarations(["X = matrix(n, 3)", "n = size"])["n"] == n


def test_declared_names_are_used_by_the_expression():
    declared = parse_declarations(["X = matrix(n, d)", "w = vector(d)"])
    assert parse_expression("X*w", declared) == X * w


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        (["x"], ParseError),
        (["x = "], ParseError),
        (["x = tensor(n)"], ParseError),
        (["x = matrix"], ParseError),
        (["x = matrix(n)"], ParseError),
        (["x = array()"], ParseError),
        (["x = array(0)"], ParseError),
        (["x = array(1.5)"], ParseError),
        (["x = matrix(n, n=2)"], ParseError),
        (["x = matrix(n, __import__('os'))"], ParseError),
        (["x y = real"], BadName),
        (["sin = real"], BadName),
        (["pi = real"], BadName),
        (["__x = real"], BadName),
        (["x = real", "x = real"], DuplicateNames),
        (["X = matrix(n, n)", "n = real"], DuplicateNames),
        (["n = real", "X = matrix(n, n)"], ParseError),
    ],
)
def test_declarations_that_mean_nothing_are_refused(lines, kind):
    with pytest.raises(kind):
        parse_declarations(lines)


def test_a_letter_that_is_also_a_function_may_be_declared():
    declared = parse_declarations(["gamma = positive"])
    assert parse_expression("gamma", declared) == sp.Symbol("gamma", positive=True)


def test_an_unknown_function_that_is_a_declared_name_is_told_apart():
    with pytest.raises(UnknownFunction, match="'w' is declared, and not a function"):
        parse_expression("w(1)", SYMBOLS)
