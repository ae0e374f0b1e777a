"""The table of matrix functions: everything about one is in its row, and nowhere else.

A definition of kind `call` applies one of them. Its bodies are the operands, over axes of their own, and
further axes of the result say that there is one call for each of their values. Functions that a user can
write have derivatives; the others (`factors`) are what `opt.factorise` replaces them by before code is
made, so that a solve, a determinant and their gradients share one factorisation.

Sources: Giles 2008, Collected matrix derivative results for forward and reverse mode algorithmic
differentiation; Seeger, Hetzel, Dai, Meissner & Lawrence 2017, Auto-differentiating linear algebra
(Cholesky, QR, singular values, eigenvectors); Golub & Van Loan 2013, Matrix Computations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from symgrad.errors import NoFactorisation, NotConverged, SymgradError
from symgrad.ir.matrix import rules, values
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph, Node, TensorId
    from symgrad.ir.matrix.call import Array, Call

Forward = Callable[["Call", Sequence["Array | None"]], "Array | None"]
Reverse = Callable[["Call", "Array"], "Sequence[Array | None]"]
Shape = tuple[str, ...]

ALL, SYMMETRIC, LOWER, UPPER = "all", "symmetric", "lower", "upper"


@dataclass(frozen=True)
class MatrixFunction:
    """One row.

    operands  the shape of each operand in letters: equal letters are equal extents.
    result    the shape of the result, as sums of those letters and a number ("m+n+1").
    reads     of the first operand: "all" entries; "symmetric", which it then is (one triangle suffices);
              "lower" or "upper" triangle.
    values    what it computes: one function for floats, one for mpmath's numbers and complex ones.
    work      operations as a function of the letters' values.
    forward   tangent of the result from those of the operands (None: zero).
    reverse   cotangents of the operands from that of the result.
    fails     what is wrong with the first operand where there is no result, "" if there always is one.
    subject   what messages call the first operand.
    error     raised where there is no result.
    tall      the operand must have at least as many rows ("m") as columns ("n").
    source    of the rule or the algorithm.
    """

    name: str
    operands: tuple[Shape, ...]
    result: Shape
    values: values.Values
    work: Callable[[Mapping[str, int]], float]
    forward: Forward | None = None
    reverse: Reverse | None = None
    reads: str = ALL
    fails: str = ""
    try_: str = ""
    tall: bool = False
    subject: str = "the matrix"
    error: type[SymgradError] = NoFactorisation
    source: str = ""

    @property
    def title(self) -> str:
        """The name in words."""
        return {"det": "determinant"}.get(self.name, self.name.replace("_", " "))

    @property
    def ranks(self) -> tuple[int, ...]:
        return tuple(map(len, self.operands))


MATRIX_FUNCTIONS: dict[str, MatrixFunction] = {}

_SINGULAR = "is singular"
_INDEFINITE = "is not positive definite"
_DEFINITE_TRY = 'a positive diagonal added to the matrix ("jitter"), or assume="general"'
_GILES, _SEEGER = "Giles 2008", "Seeger et al. 2017"


def _row(
    name: str, operands: str, result: str, work: Callable[[Mapping[str, int]], float], **rest: Any
) -> None:
    """`operands` and `result` as in "nn, nk" -> "nk"; sums are in brackets: "(n+1)n"."""
    shapes = tuple(_letters(o) for o in operands.split(", "))
    row = MatrixFunction(name, shapes, _letters(result), values.VALUES[name], work, **rest)
    MATRIX_FUNCTIONS[name] = row


def _letters(text: str) -> Shape:
    out: list[str] = []
    while text:
        part, text = text[1:].split(")", 1) if text[0] == "(" else (text[0], text[1:])
        out.append(part)
    return tuple(out)


def _cubic(factor: float) -> Callable[[Mapping[str, int]], float]:
    return lambda d: factor * d["n"] ** 3


def _tall_work(factor: float) -> Callable[[Mapping[str, int]], float]:
    return lambda d: factor * d["m"] * d["n"] ** 2


# ---- solutions of iterations -------------------------------------------------------------------

_row(
    "settled",
    "nk, nk",
    "nk",
    lambda d: d["n"] * d["k"],
    forward=rules.constant_forward,
    reverse=rules.constant_reverse,
    subject="the solution of the equation",
    fails="was not found: Newton's iteration has not converged",
    try_="a guess nearer to the solution, more steps (max_steps=), or a larger tolerance (tol=)",
    error=NotConverged,
    source="the first operand where no entry of the second exceeds 1 (`symgrad.implicit`)",
)

# ---- determinants and inverses -----------------------------------------------------------------

_row(
    "det",
    "nn",
    "",
    _cubic(2 / 3),
    forward=rules.det_forward,
    reverse=rules.det_reverse,
    source=f"{_GILES}, section 2.2.4",
)
_row("sign_det", "nn", "", _cubic(2 / 3), forward=rules.constant_forward, reverse=rules.constant_reverse)
_row(
    "log_abs_det",
    "nn",
    "",
    _cubic(2 / 3),
    forward=rules.log_det_forward("inverse"),
    reverse=rules.log_det_reverse("inverse"),
    source=f"{_GILES}, section 2.2.4",
)
_row(
    "log_det",
    "nn",
    "",
    _cubic(2 / 3),
    forward=rules.log_det_forward("inverse"),
    reverse=rules.log_det_reverse("inverse"),
    source=f"{_GILES}, section 2.2.4",
)
_row(
    "log_det_spd",
    "nn",
    "",
    _cubic(1 / 3),
    forward=rules.log_det_forward("inverse_spd"),
    reverse=rules.log_det_reverse("inverse_spd"),
    reads=SYMMETRIC,
    fails=_INDEFINITE,
    try_=_DEFINITE_TRY,
)
_row(
    "inverse",
    "nn",
    "nn",
    _cubic(2),
    forward=rules.inverse_forward,
    reverse=rules.inverse_reverse,
    fails=_SINGULAR,
    source=f"{_GILES}, section 2.2.3",
)
_row(
    "inverse_spd",
    "nn",
    "nn",
    _cubic(1),
    forward=rules.inverse_forward,
    reverse=rules.inverse_reverse,
    reads=SYMMETRIC,
    fails=_INDEFINITE,
    try_=_DEFINITE_TRY,
    source=f"{_GILES}, section 2.2.3",
)

# ---- solves ------------------------------------------------------------------------------------


def _solve_rows(name: str, adjoint: str, reads: str, factor: float, fails: str, try_: str = "") -> None:
    """The solve with a matrix and the one with its transpose (the same one for a symmetric matrix)."""

    def work(d: Mapping[str, int]) -> float:
        substitutions = 2 if factor else 1
        return factor * d["n"] ** 3 + substitutions * d["n"] ** 2 * d["k"]

    for mine, its in {name: adjoint, adjoint: name}.items():
        turned = mine.endswith("_transposed")
        forward, reverse = rules.solve_forward(mine, turned), rules.solve_reverse(its, turned)
        _row(mine, "nn, nk", "nk", work, forward=forward, reverse=reverse, reads=reads, fails=fails,
             try_=try_, source=f"{_GILES}, section 2.3.1")  # fmt: skip


_solve_rows("solve", "solve_transposed", ALL, 2 / 3, _SINGULAR)
_solve_rows("solve_spd", "solve_spd", SYMMETRIC, 1 / 3, _INDEFINITE, _DEFINITE_TRY)
_solve_rows("solve_lower", "solve_lower_transposed", LOWER, 0.0, _SINGULAR)
_solve_rows("solve_upper", "solve_upper_transposed", UPPER, 0.0, _SINGULAR)

# ---- factorisations ----------------------------------------------------------------------------

_row(
    "cholesky",
    "nn",
    "nn",
    _cubic(1 / 3),
    forward=rules.cholesky_forward,
    reverse=rules.cholesky_reverse,
    reads=SYMMETRIC,
    fails=_INDEFINITE,
    try_='a positive diagonal added to the matrix ("jitter")',
    source=f"{_SEEGER}, section 4.1; Murray 2016, Differentiation of the Cholesky decomposition",
)
_row(
    "eigenvalues",
    "nn",
    "n",
    _cubic(4 / 3),
    forward=rules.eigenvalues_forward,
    reverse=rules.eigenvalues_reverse,
    reads=SYMMETRIC,
    fails="has no eigenvalues: it is not finite",
    source=f"{_GILES}, section 3.1",
)
_row(
    "eigenvectors",
    "nn",
    "nn",
    _cubic(9),
    forward=rules.eigenvectors_forward,
    reverse=rules.eigenvectors_reverse,
    reads=SYMMETRIC,
    fails="has no eigenvectors: it is not finite",
    source=f"{_GILES}, section 3.1; {_SEEGER}, section 4.3",
)
_row(
    "orthogonal_factor",
    "mn",
    "mn",
    _tall_work(4),
    forward=rules.orthogonal_factor_forward,
    reverse=rules.orthogonal_factor_reverse,
    fails="does not have full column rank",
    tall=True,
    source=f"{_SEEGER}, section 4.2; Walter & Lehmann 2018",
)
_row(
    "triangular_factor",
    "mn",
    "nn",
    _tall_work(2),
    forward=rules.triangular_factor_forward,
    reverse=rules.triangular_factor_reverse,
    fails="does not have full column rank",
    tall=True,
    source=f"{_SEEGER}, section 4.2; Walter & Lehmann 2018",
)
_row(
    "singular_values",
    "mn",
    "n",
    _tall_work(4),
    forward=rules.singular_values_forward,
    reverse=rules.singular_values_reverse,
    fails="has no singular values: it is not finite",
    tall=True,
    source=f"{_GILES}, section 3.2",
)
_row(
    "left_singular",
    "mn",
    "mn",
    _tall_work(12),
    forward=rules.left_singular_forward,
    reverse=rules.left_singular_reverse,
    fails="has no singular vectors: it is not finite",
    tall=True,
    source=f"{_SEEGER}, section 4.4",
)
_row(
    "right_singular",
    "mn",
    "nn",
    _tall_work(12),
    forward=rules.right_singular_forward,
    reverse=rules.right_singular_reverse,
    fails="has no singular vectors: it is not finite",
    tall=True,
    source=f"{_SEEGER}, section 4.4",
)

# What derivatives of eigenvectors and singular vectors divide by. Where a divisor is 0 up to rounding there
# is no derivative, and the call fails.
_row(
    "reciprocal_gaps",
    "n",
    "nn",
    lambda d: 2 * d["n"] ** 2,
    forward=rules.reciprocal_gaps_forward,
    reverse=rules.reciprocal_gaps_reverse,
    fails="has repeated values, where the vectors that belong to them have no derivative",
    try_="a symmetric function of the values alone, or a matrix whose values differ",
)
_row(
    "reciprocals",
    "n",
    "n",
    lambda d: d["n"],
    forward=rules.reciprocals_forward,
    reverse=rules.reciprocals_reverse,
    fails="has a value of 0, where its vectors have no derivative",
    try_="a matrix of full rank",
)

# The cotangents of eigenvalues and singular values, as they are. Of values that are equal up to rounding
# they have to be equal too: else the function is not differentiable there.
_row(
    "shared_weights",
    "n, n",
    "n",
    lambda d: 2 * d["n"] ** 2,
    forward=rules.shared_weights_forward,
    reverse=rules.shared_weights_reverse,
    fails="has repeated values, which the function tells apart: it has no derivative there",
    try_="a symmetric function of the values, such as the sum of all, or a matrix whose values differ",
    source="Lewis 1996, Derivatives of spectral functions",
)

# ---- what they are computed by (opt.factorise): no derivatives, they come afterwards --------------

_row("lu", "nn", "(n+1)n", _cubic(2 / 3), source="Golub & Van Loan, algorithm 3.4.1")
_row("lu_solve", "(n+1)n, nk", "nk", lambda d: 2 * d["n"] ** 2 * d["k"], fails=_SINGULAR)
_row("lu_solve_transposed", "(n+1)n, nk", "nk", lambda d: 2 * d["n"] ** 2 * d["k"], fails=_SINGULAR)
_row("eigh", "nn", "(n+1)n", _cubic(9), reads=SYMMETRIC, fails="has no eigenvalues: it is not finite")
_row("qr", "mn", "(m+n)n", _tall_work(4), fails="does not have full column rank", tall=True)
_row("svd", "mn", "(m+n+1)n", _tall_work(12), fails="has no singular values: it is not finite", tall=True)


def is_factor(name: str) -> bool:
    """Whether this is a function without derivatives, which only `opt.factorise` makes."""
    return MATRIX_FUNCTIONS[name].reverse is None


def grids(g: Graph, t: TensorId) -> list[tuple[Node, ...]]:
    """The axes of the arrays that computing a definition makes: of a call, its operands and its result."""
    tensor = g.tensors[t]
    if tensor.kind != "call":
        return [(*tensor.out, *tensor.red)]
    row, first, out = MATRIX_FUNCTIONS[tensor.name], 0, [tensor.out]
    for rank in row.ranks:
        others = tensor.out[: len(tensor.out) - len(row.result)]
        out.append((*others, *tensor.red[first : first + rank]))
        first += rank
    return out


def result_extents(g: Graph, name: str, operands: Sequence[Sequence[Node]]) -> tuple[Node, ...] | None:
    """The extents of the result for those of the operands; None where they do not fit the function."""
    row = MATRIX_FUNCTIONS[name]
    if [len(extents) for extents in operands] != list(row.ranks):
        return None
    pairs = [
        pair
        for shape, own in zip(row.operands, operands, strict=True)
        for pair in zip(shape, own, strict=True)
    ]
    known = {letters: extent for letters, extent in pairs if len(letters) == 1}
    if any(_sum(g, letters, known) != extent for letters, extent in pairs):
        return None
    return tuple(_sum(g, letters, known) for letters in row.result)


def _sum(g: Graph, letters: str, known: Mapping[str, Node]) -> Node:
    """The extent that "m+n+1" stands for."""
    total = g.zero
    for part in letters.split("+"):
        total = g.iadd(total, g.const(int(part)) if part.isdigit() else known[part])
    return total
