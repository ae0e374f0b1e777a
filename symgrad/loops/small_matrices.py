"""Functions for matrices of few rows: our own loops, which have done their work before LAPACK has begun.

A routine chooses between one of them and LAPACK when it runs, by the number of rows. They are written in the
loop language and compiled once per process and type, as that of `nest.Contract` is, so that kernels with
both grow by a call. All functions of one matrix are chosen by the same number: factors made by one side are
read by the same side.

Kernels of up to 32 rows take a quarter (n = 1) to all (n = 32) of the time they take with LAPACK in SciPy.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from symgrad.ir.matrix.functions import MATRIX_FUNCTIONS
from symgrad.loops.matrix_loops import OWN, Site
from symgrad.loops.nest import Buffer, Library, Poly, Routine, poly, variable
from symgrad.loops.writer import Number, View, Writer, as_poly, minus, plus

MOST = 32  # rows
MODULE = "own"  # of `nest.Library`
FUNCTIONS = (
    "lu", "lu_solve", "lu_solve_transposed", "cholesky",
    "solve_lower", "solve_lower_transposed", "solve_upper", "solve_upper_transposed",
)  # fmt: skip
_LETTERS = {"float64": "f64", "float32": "f32"}

Loops = Callable[[Site], None]


def name_of(function: str, dtype: str) -> str:
    """How the compiled function is called."""
    return f"symgrad_{function}_{_LETTERS[dtype]}"


def by_size(function: str, library: Loops) -> Loops:
    """The loops of a call of `function`: this module's for few rows, `library` for many."""

    def write(c: Site) -> None:
        w = c.w
        is_small = w.at_least_zero(minus(MOST, c.lengths["n"]))
        with w.when(is_small):
            failed = _call(c, function)
            if MATRIX_FUNCTIONS[function].fails:
                c.fail(w.compute("ne", failed, 0))
        with w.when(~is_small):
            library(c)

    return write


def _call(c: Site, function: str) -> Number:
    """Append a call; not 0 where it failed."""
    arrays = [view.start() for view in (*c.operands, c.result)]
    lengths = [as_poly(c.lengths[letter]) for letter in letters_of(function)]
    failed = c.w.register(0)
    c.w.append(Library(MODULE, function, (*arrays, *lengths), failed.cell))
    return failed.now


def letters_of(function: str) -> tuple[str, ...]:
    """The lengths that the function takes, in order."""
    shapes = MATRIX_FUNCTIONS[function].operands
    return tuple(
        dict.fromkeys(letter for shape in shapes for part in shape for letter in part if letter.isalpha())
    )


def small_routine(function: str, name: str) -> Routine:
    """The function: operands (read), result, whether it failed (a number, set to 1 then), lengths."""
    row, letters = MATRIX_FUNCTIONS[function], letters_of(function)
    values, integers = count(), count()
    w = Writer(lambda: next(values), lambda d: f"i{d}", lambda: f"g{next(integers)}", 0, lambda _: 2)
    inputs = [Buffer(f"a{k}", "input", tuple(map(_extent, s))) for k, s in enumerate(row.operands)]
    result, failed = Buffer("x", "output", tuple(map(_extent, row.result))), Buffer("failed", "output", ())

    def fail(condition: Number) -> None:
        with w.when(condition):
            View(w, failed.name).put(w.one)

    def no_scratch(*extents: object) -> View:
        raise AssertionError("these functions need no memory of their own")

    lengths = {letter: variable(letter) for letter in letters}
    operands = tuple(View(w, b.name) for b in inputs)
    OWN[function](Site(w, lengths, operands, View(w, result.name), no_scratch, fail))
    title = f"{row.title} of few rows"
    return Routine(name, letters, letters, (*inputs, result, failed), w.statements, title)


def _extent(text: str) -> Poly:
    """A length as the table of matrix functions spells it: "n", or "n+1"."""
    total: Poly = ()
    for part in text.split("+"):
        total = plus(total, poly(int(part)) if part.isdigit() else variable(part))
    return total
