"""Every error symgrad raises on purpose: one class per cause, each in four parts.

    ShapeMismatch: cannot add shapes (n, 32) and (16,)
      where    loss -> tanh -> add
      because  the last axis is 32 on the left and 16 on the right
      try      give b1 the shape (32,)

A class's docstring is its page; `symgrad why ShapeMismatch` prints it. `str(error)` starts with the summary,
without the class name, because Python's traceback prints that name itself; `format_error(error)` puts it in
front for places that print an error without a traceback (the command line).

Where a caller of a numerical function would look for a built-in class, ours derives from it as well
(`ShapeMismatch` is a `ValueError`), so code written against NumPy's habits keeps working.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable

import numpy as np

_LABELS = (("where", "where"), ("because", "because"), ("try_", "try"))
_LABEL_WIDTH = 9


class SymgradError(Exception):
    """The base of every error symgrad raises on purpose.

    Catch this class to catch them all. `summary` says what is wrong in one line; `where` names the place in
    the user's expression; `because` gives the facts that make it wrong; `try_` says what would make it right.
    Empty parts are not printed.
    """

    summary: str
    where: str
    because: str
    try_: str

    def __init__(self, summary: str, *, where: str = "", because: str = "", try_: str = "") -> None:
        # Only the summary goes to args: unpickling calls cls(*args) and then restores __dict__.
        super().__init__(summary)
        self.summary = summary
        self.where = where
        self.because = because
        self.try_ = try_

    def __str__(self) -> str:
        lines = [self.summary]
        for attribute, label in _LABELS:
            text = getattr(self, attribute)
            if text:
                lines.append(f"  {label:<{_LABEL_WIDTH}}" + _continued(text))
        return "\n".join(lines)


class ShapeMismatch(SymgradError, ValueError):
    """Two shapes that have to agree do not.

    Raised while an expression is read, when terms of a sum, factors of a product, or the blocks of a block
    matrix have shapes that do not fit; and when a kernel is called, when an array's shape contradicts the
    declared one or one size symbol would need two values at once.

    What to do: compare the two shapes in the message. A column vector is `(n, 1)`, not `(n,)`; `A*B` between
    matrices is the matrix product, and the elementwise product is `HadamardProduct(A, B)`.
    """


class BadArgument(SymgradError, TypeError):
    """A call has an argument too few, one too many, or one of the wrong kind.

    Raised when a program's `args` leave out a symbol of the expression, when a kernel is called without one
    of its arguments, with an unknown name, with one given twice, or with something that is not a number or an
    array; and when `tangent=` or `cotangent=` is missing where an output needs it.

    What to do: the message names the argument; `kernel.arguments` lists what a call takes, in order.
    """


class DtypeMismatch(SymgradError, TypeError):
    """An array's data type cannot be used without losing digits or meaning.

    Raised when complex numbers reach a real argument, when floats reach an argument of integer indices, or
    when an `out=` array has another type than the result.

    What to do: convert explicitly with `array.astype(...)`, or compile with the `dtype=` that the data has.
    """


class UnknownFunction(SymgradError, ValueError):
    """The expression calls a function for which symgrad has no row in its table of operations.

    Raised for SymPy functions that have not been given a derivative and a spelling for each target, for
    undefined functions such as `Function("f")(x)`, and by the text parser for a name that is not on its list.

    What to do: rewrite it with the functions symgrad knows (`expr.rewrite(exp)` often helps), or pass a
    `Lambda`.
    """


class UnsupportedExpression(SymgradError, ValueError):
    """A part of the expression has a meaning symgrad does not compile.

    Raised for objects of SymPy that are not numerical expressions of real arguments (unevaluated integrals,
    sets, infinite sums, symbolic powers of matrices). Nothing is dropped or guessed silently: the message
    names the part.

    What to do: evaluate the part first (`expr.doit()`), or write it with sums, products and functions.
    """


class NonRealSymbol(SymgradError, ValueError):
    """A symbol or a number is not real.

    symgrad computes with real numbers. Raised for the imaginary unit, and for symbols that say of themselves
    that they are not real (`Symbol("z", imaginary=True)`).

    What to do: split the quantity into its real and imaginary part, as two real symbols.
    """


class NonScalarGradient(SymgradError, ValueError):
    """The gradient of something that is not a single number was asked for.

    `grad`, `hess` and `hvp` differentiate a scalar. Raised when the expression is a vector, a matrix, or an
    array.

    What to do: ask for `jac`, `jvp` or `vjp`, or reduce the value to a scalar first (a `Sum`, a `Trace`).
    """


class IndexOutOfRange(SymgradError, IndexError):
    """An index leaves the array it reads.

    Raised when a constant index or the range of a `Sum` can be seen to exceed the declared shape, and when a
    kernel is called with integer indices outside the axis they select from. Negative indices do not count
    from the end.

    What to do: compare the index with the shape in the message; SymPy's arrays start at 0, and the upper end
    of a `Sum` is included: `(i, 0, n - 1)` runs over n elements.
    """


class NotConverged(SymgradError, ArithmeticError):
    """The iteration behind `sg.implicit` has not reached a solution within its steps.

    Raised when a kernel is called. C functions do not raise: their last output, `status`, is 0, or the number
    of the first iteration that failed, whose results are then nan.

    What to do: give a guess nearer to the solution, more steps, or a larger tolerance; check that there is a
    solution, and that the derivative of the equation is not singular there.
    """


class NoFactorisation(SymgradError, np.linalg.LinAlgError):
    """A matrix does not have the inverse, the factorisation or the derivative that a kernel needs.

    Raised when a kernel is called: for a singular matrix where a system is solved or an inverse taken, for
    one that is not positive definite in a Cholesky factorisation (or a solve with `assume="spd"`), for
    dependent columns in QR, for numbers that are not finite in eigenvalues and singular values, and for
    repeated eigenvalues where the derivative of eigenvectors is asked for. C functions do not raise: their
    last output, `status`, is 0, or the number of the first call that failed, whose results are then nan.

    What to do: the message names the matrix. Call the kernel with another one, or change the formula so that
    it cannot be singular (add a positive diagonal).
    """


class PrecisionLost(SymgradError, ArithmeticError):
    """A number that was computed may have a larger rounding error than it was allowed.

    Raised when a kernel that was compiled with `accuracy=` is called: for an entry of a result the bound of
    its rounding error exceeds `accuracy` times its modulus plus `allowance`. The message names the entry, its
    value and the bound, and the sum or difference in which most of the digits cancelled. The bound is one:
    the number may be better than that.

    What to do: write the formula without the cancellation (`stabilise=True`, the default, does it for many);
    compile in double precision; ask for less; or, where an entry is to be zero, as a gradient at an optimum
    is, give the absolute error that does not matter as `allowance=`.
    """


class BudgetTooSmall(SymgradError, MemoryError):
    """The workspace of a kernel does not fit into the memory it may use.

    Raised where `memory=` is a number of bytes, when a kernel is called or asked for its workspace, and the
    sizes of that call need more even if as little as possible is stored.

    What to do: the message says the smallest budget for these sizes. What counts is the workspace, not the
    arguments and results; values that do not belong to a recurrence have to be stored in any case.
    """


class MissingCompiler(SymgradError, RuntimeError):
    """The C target was asked for, and no working C compiler was found.

    Raised by `backend="c"` only. The default target needs no compiler, and `export_c` only writes files.

    What to do: install a compiler (`apt install gcc`, `xcode-select --install`, or the Visual Studio build
    tools), name one in the environment variable `CC`, or use `backend="llvm"`.
    """


class DuplicateNames(SymgradError, ValueError):
    """Two different arguments have the same name.

    SymPy keeps `Symbol("x")` and `Symbol("x", real=True)` apart, and they print alike; a call by name could
    not tell them apart, nor could a reader of the emitted code. Also raised when an argument is listed twice.

    What to do: create each symbol once and reuse it, or rename one of the two.
    """


class BadName(SymgradError, ValueError):
    """A name cannot be used where it has to appear.

    Raised when the name given to an exported kernel is not a C identifier, or is a reserved word of C.
    Symbols may have any name: the emitted code uses a safe spelling of it.

    What to do: choose letters, digits and underscores, starting with a letter.
    """


class IllegalProgram(SymgradError):
    """An internal check found a program that breaks a rule of the intermediate representation.

    This is a fault in symgrad, not in the expression: a stage produced something the next one must not be
    given.

    What to do: report it with the expression that led to it; the message names the stage and the rule.
    """


class ParseError(SymgradError, ValueError):
    """A text is not an expression the safe parser accepts.

    The parser reads arithmetic, comparisons, `and`/`or`/`not`, calls of the functions it knows, indices such
    as `X[i, j]`, and the attribute `.T`; nothing in the text is ever executed. The message names the piece of
    text and the column where it starts, counted from 1.

    What to do: write powers as `x**2`; declare arrays with `--let "X = matrix(n, d)"`; for anything the text
    cannot say, put the expression in a Python file and name it as `file.py:name`.
    """


class VerificationFailed(SymgradError, ArithmeticError):
    """A derivative or a value differs from an independent computation by more than its tolerance.

    Raised where a failed verification has to stop the caller. `symgrad verify` prints the table of the
    comparisons and exits with 1.

    What to do: look at the row that failed. Near a kink (`Abs` at 0, a tie in `Max`) or beside a singularity
    finite differences are not the derivative: verify at another point. Anywhere else it is a fault to report.
    """


class BadOption(SymgradError, ValueError):
    """An option has a value that is not one of its values, or does not fit another option.

    Raised for unknown output words, targets, data types and methods, and for combinations that mean nothing.

    What to do: the message lists the values the option takes.
    """


def quoted(name: object) -> str:
    """A symbol's name for a message: in quotes, on one line, whatever characters it contains.

    >>> print(quoted("x"))
    'x'
    >>> print(quoted("two\\nlines"))
    'two\\nlines'
    """
    text = name if isinstance(name, str) else str(name)
    return repr(text)


def listed(names: Iterable[object]) -> str:
    """Names for a message, separated by commas; those that are not plain words are quoted.

    >>> print(listed(["x", "a b"]))
    x, 'a b'
    """
    texts = [str(name) for name in names]
    return ", ".join(text if text.isascii() and text.isidentifier() else quoted(text) for text in texts)


def format_error(error: SymgradError) -> str:
    """The whole message with the class's name in front, as it is printed where there is no traceback."""
    return f"{type(error).__name__}: {error}"


def error_classes() -> dict[str, type[SymgradError]]:
    """Every error class of this module by its name, the base class first, in the order of the source."""
    return {
        name: value
        for name, value in globals().items()
        if inspect.isclass(value) and issubclass(value, SymgradError)
    }


def error_page(name: str) -> str:
    """The page of the error class called `name` (in any case): its name, underlined, and its docstring.

    Raises BadOption if there is no such class; the message lists those there are.
    """
    classes = error_classes()
    name = next((known for known in classes if known.lower() == name.lower()), name)
    if name not in classes:
        raise BadOption(
            f"there is no error class called {quoted(name)}",
            try_="one of " + ", ".join(classes),
        )
    return f"{name}\n{'=' * len(name)}\n\n{inspect.cleandoc(classes[name].__doc__ or '')}\n"


def _continued(text: str) -> str:
    """Lines after the first are indented under the first, so that the four parts stay four columns."""
    return text.replace("\n", "\n" + " " * (_LABEL_WIDTH + 2))
