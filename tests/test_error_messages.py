"""The exact text of what a user reads, through the public functions, one test per cause."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.errors import SymgradError, format_error
from symgrad.targets import c_build

n, d, m = sp.symbols("n d m", integer=True, positive=True)
i = sp.Symbol("i", integer=True)
x, y = sp.symbols("x y")
X, Y = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("Y", d, n)
v, p = sp.IndexedBase("v", shape=(n,)), sp.IndexedBase("p", shape=(m,), integer=True)
TRACE = sp.Trace(X * Y)
GATHER = sp.Sum(v[p[i]], (i, 0, m - 1))

_CALLS: dict[str, Callable[[], Any]] = {}
_TEXTS: dict[str, str] = {}


def case(text: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Register a function whose error reads `text`."""

    def register(call: Callable[[], Any]) -> Callable[[], Any]:
        _CALLS[call.__name__], _TEXTS[call.__name__] = call, text.strip("\n")
        return call

    return register


# ---- the expression --------------------------------------------------------------------------------


@case("""
UnknownFunction: function 'f' is not known
  where    f(x)
  because  symgrad has no row for it in its table of operations
  try      expr.rewrite(exp), or a formula for it
""")
def an_undefined_function() -> None:
    sg.compile(sp.Function("f")(x) + 1)


@case("""
UnknownFunction: function 'marcumq' is not known
  where    marcumq(2, x, 1)
  because  symgrad has no row for it in its table of operations
  try      expr.rewrite(exp), or a formula for it
""")
def a_function_of_sympy_without_a_row() -> None:
    sg.compile(y * sp.marcumq(2, x, 1))


@case("""
NonRealSymbol: symbol 'z' is declared complex
  where    z**2
  because  symgrad computes with real numbers
  try      two real symbols for its parts, or Symbol('z', real=True)
""")
def a_complex_symbol() -> None:
    sg.compile(sp.Symbol("z", complex=True) ** 2)


@case("""
NonRealSymbol: symbol 'z' is declared not real
  where    x
  because  symgrad computes with real numbers
  try      two real symbols for its parts, or Symbol('z', real=True)
""")
def an_imaginary_symbol_among_the_arguments() -> None:
    sg.compile(x, (x, sp.Symbol("z", imaginary=True)))


@case("""
NonRealSymbol: the expression contains I
  where    x + I
  because  symgrad computes with real numbers
  try      the real and the imaginary part as two real expressions
""")
def the_imaginary_unit() -> None:
    sg.compile(x + sp.I)


@case("""
DuplicateNames: two different symbols are called 'x'
  where    x + x
  because  one is a Symbol, the other a Symbol(positive=True)
  try      create the symbol once and use it everywhere, or rename one of the two
""")
def two_symbols_of_one_name() -> None:
    sg.compile(x + sp.Symbol("x", positive=True))


@case("""
DuplicateNames: two different symbols are called 'v'
  where    v*Sum(v[i], (i, 0, n - 1))
  because  one is a IndexedBase(shape=(n,)), the other a Symbol
  try      create the symbol once and use it everywhere, or rename one of the two
""")
def an_array_and_a_scalar_of_one_name() -> None:
    sg.compile(sp.Symbol("v") * sp.Sum(v[i], (i, 0, n - 1)))


@case("""
DuplicateNames: argument 'x' is listed twice
  where    args = (x, x)
  because  an argument has one place in a call
  try      list it once
""")
def an_argument_listed_twice() -> None:
    sg.compile(x, (x, x))


@case("""
DuplicateNames: a symbol appears twice in wrt
  where    wrt = (x, x)
  because  a derivative has one place in the result
  try      name each symbol once
""")
def a_symbol_twice_in_wrt() -> None:
    sg.compile(x, wrt=(x, x), outputs="grad")


@case("""
BadArgument: 'y' is not among the arguments
  where    y
  because  the arguments are x
  try      add it to args
""")
def a_symbol_that_args_leave_out() -> None:
    sg.compile(x * y, (x,))


@case("""
BadArgument: an argument has to be a symbol, not Mul
  where    2*x
  because  it needs a name and a shape
  try      a Symbol, a MatrixSymbol, or an IndexedBase with a shape
""")
def an_expression_among_the_arguments() -> None:
    sg.compile(x, (2 * x,))


@case("""
BadArgument: cannot differentiate by 'y'
  where    wrt
  because  the arguments are x
  try      name one of the arguments in wrt
""")
def a_derivative_by_what_is_no_argument() -> None:
    sg.compile(x, (x,), y, outputs="grad")


@case("""
BadArgument: cannot differentiate by 'x'
  where    wrt
  because  the expression is a constant
  try      args=(x,)
""")
def a_derivative_of_a_constant() -> None:
    sg.compile(x - x, wrt=x)


@case("""
BadArgument: cannot differentiate by 'n'
  where    wrt
  because  it holds integers (sizes or indices)
  try      leave it out of wrt
""")
def a_derivative_by_a_size() -> None:
    sg.compile(sp.Sum(x**i, (i, 0, n - 1)), (n, x), n, outputs="grad")


@case("""
ShapeMismatch: cannot multiply shapes (n, d) and (n, d)
  where    X*X
  because  X has d columns and X has n rows
  try      a transpose, or HadamardProduct for the elementwise product
""")
def a_product_of_matrices_that_do_not_fit() -> None:
    sg.compile(sp.MatMul(X, X, evaluate=False))


@case("""
IndexOutOfRange: index 3 is outside axis 0 of 'a'
  where    a[3]
  because  that axis has 3 entries, 0 to 2
  try      a smaller range: a Sum includes its upper limit, and negative indices do not count from the end
""")
def a_constant_index_beyond_the_end() -> None:
    sg.compile(sp.IndexedBase("a", shape=(3,))[3])


@case("""
IndexOutOfRange: index n is outside axis 0 of 'v'
  where    Sum(v[i], (i, 0, n))
  because  that axis has n entries, 0 to n - 1
  try      a smaller range: a Sum includes its upper limit, and negative indices do not count from the end
""")
def a_sum_that_runs_too_far() -> None:
    sg.compile(sp.Sum(v[i], (i, 0, n)))


@case("""
NonScalarGradient: 'grad' needs a scalar value, but this one has 2 axes
  where    X*Y
  because  a gradient is defined for one number
  try      "jac", "jvp" or "vjp", or the sum of the entries
""")
def the_gradient_of_a_matrix() -> None:
    sg.compile(X * Y, (X, Y), X, outputs="grad")


@case("""
NonScalarGradient: 'hess' needs a scalar value, but this one has 1 axis
  where    [x, y]
  because  a gradient is defined for one number
  try      "jac", "jvp" or "vjp", or the sum of the entries
""")
def the_hessian_of_a_list() -> None:
    sg.compile([x, y], outputs="hess")


# ---- options ---------------------------------------------------------------------------------------


@case("""
BadOption: unknown output 'gradient'
  where    outputs=
  because  the outputs are value, grad, jac, hess, hvp, jvp, vjp, hess_diag, gauss_newton, gnvp
  try      use one of these words
""")
def an_unknown_output() -> None:
    sg.compile(x, outputs="gradient")


@case("""
BadOption: unknown backend 'fortran'
  where    backend=
  because  the backends are llvm, c, numpy
  try      backend="llvm", which needs no compiler
""")
def an_unknown_backend() -> None:
    sg.compile(x, backend="fortran")


@case("""
BadOption: unknown dtype 'float16'
  where    dtype=
  because  kernels compute in float64 or float32
  try      dtype="float64"
""")
def an_unknown_dtype() -> None:
    sg.compile(x, dtype="float16")


@case("""
BadName: 'int' cannot be a name in C
  where    the name of the function
  because  it is a reserved word
  try      letters, digits and underscores, starting with a letter
""")
def a_function_named_like_a_word_of_c() -> None:
    sg.compile(x, name="int")


# ---- the call --------------------------------------------------------------------------------------


@case("""
ShapeMismatch: argument 'Y' has length 2 along axis 0, expected 3
  where    the call (X(n, d), Y(d, n)) -> value
  because  its declared shape is (d, n) and d = 3 (from 'X')
  try      pass arrays whose shapes agree
""")
def arrays_that_contradict_each_other() -> None:
    sg.compile(TRACE, (X, Y))(np.ones((2, 3)), np.ones((2, 3)))


@case("""
ShapeMismatch: argument 'X' has shape (3,)
  where    the call (X(n, d), Y(d, n)) -> value
  because  its declared shape is (n, d)
  try      pass an array with 2 axes
""")
def an_array_that_lacks_an_axis() -> None:
    sg.compile(TRACE, (X, Y))(np.ones(3), np.ones((2, 3)))


@case("""
ShapeMismatch: the sample axes (3,) of argument 'y' do not broadcast
  where    the call (x, y) -> value
  because  the arguments before it have sample axes (2,); axes before the declared shape () count as samples
  try      pass arrays of the declared shapes, or with equal leading axes
""")
def samples_that_do_not_broadcast() -> None:
    sg.compile(x * y)(np.ones(2), np.ones(3))


@case("""
ShapeMismatch: argument 'n' has shape (2,)
  where    the call (n, x) -> value
  because  it is a size, and all samples of a call have the same sizes
  try      pass one whole number, and call once per size
""")
def samples_of_a_size() -> None:
    sg.compile(sp.Sum(x**i, (i, 0, n - 1)), (n, x))([3, 4], 1.0)


@case("""
ShapeMismatch: size 'n' is -1
  where    the call (x) -> value
  because  a size is a number of elements
  try      pass 0 or more
""")
def a_negative_size() -> None:
    sg.compile(sp.Sum(x**i, (i, 0, n - 1)), (x,))(1.0, n=-1)


@case("""
BadArgument: size 'n' is a float
  where    the call (x) -> value
  because  a size is a number of elements
  try      pass a whole number
""")
def a_size_that_is_no_whole_number() -> None:
    sg.compile(sp.Sum(x**i, (i, 0, n - 1)), (x,))(1.0, n=3.0)


@case("""
BadArgument: size 'n' is not known
  where    the call (x) -> value
  because  no array's shape determines it
  try      pass it by name
""")
def a_size_that_nothing_determines() -> None:
    sg.compile(sp.Sum(x**i, (i, 0, n - 1)), (x,))(1.0)


@case("""
BadArgument: argument 'y' is missing
  where    the call (x, y) -> value
  because  the arguments are x, y
  try      pass it by position or by name
""")
def a_missing_argument() -> None:
    sg.compile(x * y)(1.0)


@case("""
BadArgument: argument 'out' is missing
  where    the call (out) -> value
  because  the arguments are out
  try      pass it by position: out= means something else in a call
""")
def an_argument_whose_name_is_taken() -> None:
    sg.compile(sp.Symbol("out"))(out=1.0)


@case("""
BadArgument: 3 arguments given, 2 expected
  where    the call (x, y) -> value
  because  the arguments are x, y
  try      leave out what is too much
""")
def an_argument_too_many() -> None:
    sg.compile(x * y)(1.0, 2.0, 3.0)


@case("""
BadArgument: 2 arguments given, 1 expected
  where    the call (x, tangent(1,)) -> jvp
  because  the arguments are x
  try      pass tangent= and cotangent= by name
""")
def a_tangent_by_position() -> None:
    sg.compile(x**2, outputs="jvp")(1.0, 2.0)


@case("""
BadArgument: there is no argument 'w'
  where    the call (X(n, d), Y(d, n)) -> value
  because  the arguments are X, Y; the sizes are n, d
  try      use one of these names
""")
def an_unknown_name() -> None:
    sg.compile(TRACE, (X, Y))(np.ones((2, 3)), np.ones((3, 2)), w=1.0)


@case("""
BadArgument: argument 'x' was given twice
  where    the call (x, y) -> value
  because  the arguments are x, y
  try      pass it by position or by name, not both
""")
def an_argument_given_twice() -> None:
    sg.compile(x * y)(1.0, 2.0, x=3.0)


@case("""
BadArgument: argument tangent= is missing
  where    the call (x, y, tangent(2,)) -> value, jvp
  because  the outputs are value, jvp
  try      pass tangent= with the structure of the symbols in wrt
""")
def a_missing_tangent() -> None:
    sg.compile(x * y, outputs=("value", "jvp"))(1.0, 2.0)


@case("""
BadArgument: cotangent= was given, but no output needs it
  where    the call (x, y) -> grad
  because  the outputs are grad
  try      leave it out, or compile with vjp
""")
def a_cotangent_that_nothing_needs() -> None:
    sg.compile(x * y, outputs="grad")(1.0, 2.0, cotangent=1.0)


@case("""
BadArgument: tangent= is a ndarray, a tuple of 2 was expected
  where    the call (X(n, d), Y(d, n), tangent_X(n, d), tangent_Y(d, n)) -> jvp
  because  there is one part per symbol in wrt
  try      pass tangent= with the structure of the symbols in wrt
""")
def a_tangent_of_the_wrong_structure() -> None:
    sg.compile(TRACE, (X, Y), (X, Y), outputs="jvp")(
        np.ones((2, 3)), np.ones((3, 2)), tangent=np.ones((2, 3))
    )


@case("""
DtypeMismatch: argument 'x' has dtype complex128
  where    the call (x, y) -> value
  because  the kernel computes with real numbers, float64
  try      pass its real and its imaginary part separately
""")
def a_complex_number() -> None:
    sg.compile(x * y)(1j, 2.0)


@case("""
DtypeMismatch: argument 'p' has dtype float64
  where    the call (v(n,), p(m,)) -> value
  because  it holds indices or a size, which are integers
  try      pass integers, x.astype(int) for example
""")
def floats_as_indices() -> None:
    sg.compile(GATHER, (v, p))(np.ones(3), np.ones(2))


@case("""
DtypeMismatch: argument 'x' has dtype <U3
  where    the call (x, y) -> value
  because  the kernel computes with real numbers, float32
  try      convert it to real numbers
""")
def a_text() -> None:
    sg.compile(x * y, dtype="float32")("one", 2.0)


@case("""
IndexOutOfRange: argument 'p' holds the index 3
  where    the call (v(n,), p(m,)) -> value
  because  the array it indexes allows 0 to 2
  try      pass indices that start at 0 and stay inside the array
""")
def an_index_beyond_the_end() -> None:
    sg.compile(GATHER, (v, p))(np.ones(3), [0, 3])


@case("""
IndexOutOfRange: an index of 'v' leaves the array
  where    the call (v(n,), p(m,)) -> value
  because  the integers in it give a place below 0 or beyond the end
  try      pass other integers, or guard the access with a condition on both ends
""")
def a_computed_index_beyond_the_end() -> None:
    sg.compile(sp.Sum(v[2 * p[i]], (i, 0, m - 1)), (v, p))(np.ones(3), [0, 2])


@case("""
IndexOutOfRange: an index leaves its array for these sizes
  where    the call (v(n,)) -> value
  because  n - 5 >= 0 has to hold, but n = 3
  try      pass larger arrays, or guard the access with a condition
""")
def an_array_too_small_for_a_constant_index() -> None:
    sg.compile(2 * v[4], (v,))(np.ones(3))


@case("""
BadArgument: out= is a ndarray, a tuple of 2 was expected
  where    the call (x, y) -> value, grad
  because  out= has the structure of the result
  try      None stands for a part that is to be allocated
""")
def an_out_of_the_wrong_structure() -> None:
    sg.compile(x * y, outputs=("value", "grad"))(1.0, 2.0, out=np.empty(2))


@case("""
ShapeMismatch: out= has shape (3,)
  where    the call (x, y) -> grad
  because  the result has shape (2,)
  try      pass an array of that shape
""")
def an_out_of_the_wrong_shape() -> None:
    sg.compile(x * y, outputs="grad")(1.0, 2.0, out=np.empty(3))


@case("""
DtypeMismatch: out= has dtype int64
  where    the call (x, y) -> grad
  because  the result has dtype float64
  try      pass an array of that dtype
""")
def an_out_of_the_wrong_dtype() -> None:
    sg.compile(x * y, outputs="grad")(1.0, 2.0, out=np.empty(2, np.int64))


@pytest.mark.parametrize("name", _CALLS)
def test_the_message_is_exactly(name: str) -> None:
    with pytest.raises(SymgradError) as caught:
        _CALLS[name]()
    assert format_error(caught.value) == _TEXTS[name]


@pytest.mark.parametrize("compiler", ["/nonexistent/cc", ""])
def test_a_missing_compiler_says_what_to_install_and_that_llvm_needs_none(
    compiler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    c_build._find.cache_clear()
    monkeypatch.setattr(c_build.sys, "platform", "linux")
    monkeypatch.setenv("CC", compiler)
    monkeypatch.setenv("PATH", "")
    because = f"CC={compiler} does not run" if compiler else "none of cc, gcc, clang is on the path"
    try:
        with pytest.raises(SymgradError) as caught:
            sg.compile(3 * x, backend="c")
    finally:
        c_build._find.cache_clear()
    assert format_error(caught.value) == (
        "MissingCompiler: no C compiler was found\n"
        f"  because  {because}\n"
        '  try      apt install gcc, or backend="llvm", which needs none'
    )
    assert sg.compile(3 * x, outputs="value", backend="llvm")(2.0) == 6.0


def test_errors_are_what_numpy_users_catch() -> None:
    for name, builtin in {
        "a_missing_argument": TypeError,
        "a_complex_number": TypeError,
        "arrays_that_contradict_each_other": ValueError,
        "an_index_beyond_the_end": IndexError,
        "an_undefined_function": ValueError,
    }.items():
        with pytest.raises(builtin):
            _CALLS[name]()


def test_a_failed_call_leaves_the_kernel_as_it_was() -> None:
    k = sg.compile(TRACE, (X, Y), outputs="value")
    good = (np.ones((2, 3)), np.ones((3, 2)))
    for bad in ((good[0],), (*good, 1.0), (good[1], good[1]), ("a", "b"), (1j, good[1])):
        with pytest.raises(SymgradError):
            k(*bad)
        assert k(*good) == 6.0
