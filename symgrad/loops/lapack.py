"""The factorisations by LAPACK and BLAS, for a target that runs beside SciPy.

LAPACK stores columns one after the other and we store rows, so that what it sees is the transpose; every
call below is the one that does the right thing to the transpose, so no matrix is turned:

    rows of A = P L U            getrf of A^T; A x = b becomes x^T A^T = b^T, by trsm from the right
    lower triangle of rows       upper triangle of columns: potrf "U" leaves L^T where rows show L
    A = Q R                      A^T = R^T Q^T is an LQ factorisation: gelqf and orglq
    eigenvectors                 columns for LAPACK, rows for us
    A = U S V^T                  A^T = V S U^T: gesdd's U are the rows of V^T, its VT is U

Source: Anderson et al. 1999, LAPACK Users' Guide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce as folded

from symgrad.loops.matrix_loops import Site, exchange, finite, largest, lower_triangle, with_signs
from symgrad.loops.nest import Poly, poly, poly_add, poly_mul
from symgrad.loops.writer import Index, Number, View, as_poly, minus, plus

SMALL = 8  # rows; below, our own loops are as fast and need no call
_BLOCK = 64  # columns of workspace that LAPACK asks for at most


def _times(*factors: Index) -> Poly:
    return folded(poly_mul, map(as_poly, factors))


def _total(*terms: Index) -> Poly:
    return folded(poly_add, map(as_poly, terms))


def _nonempty(c: Site, letters: str) -> Number:
    """LAPACK refuses matrices without rows or columns."""
    w = c.w
    return folded(lambda a, b: a & b, [w.at_least_zero(minus(c.lengths[x], 1)) for x in letters])


def _copy(c: Site, source: View, target: View, rows: Index, columns: Index) -> None:
    with c.w.loop(0, rows) as i, c.w.loop(0, columns) as j:
        target[i, j] = source[i, j]


def _check(c: Site, info: Number) -> None:
    c.fail(c.w.compute("ne", info, 0))


# ---- elimination ---------------------------------------------------------------------------------------


def lu(c: Site) -> None:
    """Factors of the transpose; the last row says which column each was exchanged with."""
    w, n, a = c.w, c.lengths["n"], c.result
    pivots = c.scratch(n)
    _copy(c, c.operands[0], a, n, n)
    with w.when(_nonempty(c, "n")):
        w.lapack("getrf", n, n, a.start(), n, pivots.start())
    with w.loop(0, n) as k:
        a[n, k] = w.real(minus(w.raw_integer(pivots, k), 1))


def _check_diagonal(c: Site) -> None:
    w, a = c.w, c.operands[0]
    with w.loop(0, c.lengths["n"]) as k:
        c.fail(w.compute("eq", a[k, k], 0))


def _divide(c: Site, triangle: str, trans: str, diagonal: str) -> None:
    """result^T = result^T A^-1, or A^-T, for the triangle of A as LAPACK sees it."""
    w, n, k = c.w, c.lengths["n"], c.lengths["k"]
    with w.when(_nonempty(c, "nk")):
        w.blas(
            "trsm", "R", triangle, trans, diagonal, k, n, w.one, c.operands[0].start(), n, c.result.start(), k
        )


def lu_solve(c: Site) -> None:
    _check_diagonal(c)
    _copy(c, c.operands[1], c.result, c.lengths["n"], c.lengths["k"])
    _divide(c, "U", "N", "N")
    _divide(c, "L", "N", "U")
    exchange(c, backwards=True)


def lu_solve_transposed(c: Site) -> None:
    _check_diagonal(c)
    _copy(c, c.operands[1], c.result, c.lengths["n"], c.lengths["k"])
    exchange(c, backwards=False)
    _divide(c, "L", "T", "U")
    _divide(c, "U", "T", "N")


def _triangular(triangle: str, trans: str) -> Callable[[Site], None]:
    def solve(c: Site) -> None:
        _check_diagonal(c)
        _copy(c, c.operands[1], c.result, c.lengths["n"], c.lengths["k"])
        _divide(c, triangle, trans, "N")

    return solve


def cholesky(c: Site) -> None:
    w, n, lower = c.w, c.lengths["n"], c.result
    lower_triangle(c, lower)
    with w.when(_nonempty(c, "n")):
        _check(c, w.lapack("potrf", "U", n, lower.start(), n))
    with w.loop(0, n) as k:
        pivot = lower[k, k]  # nan or infinite, which LAPACK may not notice
        c.fail(~((pivot > 0) & finite(w, pivot)))


# ---- eigenvalues and orthogonal columns ----------------------------------------------------------------


def _eigen(c: Site, job: str, a: View, values: View, work: Poly, integers: Poly) -> None:
    """The eigenvalues of c.operands[0]; with job "V", the rows of `a` become the eigenvectors."""
    w, n = c.w, c.lengths["n"]
    space, whole = c.scratch(work), c.scratch(integers)
    lower_triangle(c, a)
    is_finite = finite(w, largest(w, a, n, n).now)
    c.fail(~is_finite)
    with w.when(is_finite & _nonempty(c, "n")):
        _check(c, w.lapack("syevd", job, "U", n, a.start(), n, values.start(), space.start(), work,
                           whole.start(), integers))  # fmt: skip


def eigh(c: Site) -> None:
    n, vectors = c.lengths["n"], c.result.below(1)
    work = _total(1, _times(6, n), _times(2, n, n))
    _eigen(c, "V", vectors, c.result.row(0), work, plus(_times(5, n), 3))
    with_signs(c.w, vectors, n)


def eigenvalues(c: Site) -> None:
    n = c.lengths["n"]
    _eigen(c, "N", c.scratch(n, n), c.result, plus(_times(2, n), 1), poly(1))


def _is_tall(c: Site) -> Number:
    return c.w.at_least_zero(minus(c.lengths["m"], c.lengths["n"]))


def _usable(c: Site, a: View) -> Number:
    """Whether a copy of the operand, in `a`, is finite and tall; if not, the call fails."""
    w, m, n = c.w, c.lengths["m"], c.lengths["n"]
    _copy(c, c.operands[0], a, m, n)
    is_good = finite(w, largest(w, a, m, n).now) & _is_tall(c)
    c.fail(~is_good)
    return is_good & _nonempty(c, "n")


def qr(c: Site) -> None:
    """The orthogonal factor, and below it the triangular one with a positive diagonal."""
    w, m, n, q = c.w, c.lengths["m"], c.lengths["n"], c.result
    r, work = c.result.below(m), _times(_BLOCK, n)
    factors, space = c.scratch(n), c.scratch(work)
    with w.when(_usable(c, q)):
        w.lapack("gelqf", n, m, q.start(), n, factors.start(), space.start(), work)
        with w.loop(0, n) as i, w.loop(0, n) as j:
            r[i, j] = w.choose(w.at_least_zero(minus(j, i)), q[i, j], 0)
        w.lapack("orglq", n, m, n, q.start(), n, factors.start(), space.start(), work)
        _positive_diagonal(c, q, r)


def _positive_diagonal(c: Site, q: View, r: View) -> None:
    """Turn columns of Q and rows of R; a diagonal entry that is rounding means dependent columns."""
    w, m, n = c.w, c.lengths["m"], c.lengths["n"]
    tolerance = w.epsilon * w.real(m)
    with w.loop(0, n) as j:
        length = w.register(0)
        with w.loop(0, plus(j, 1)) as i:
            length.keep_larger(abs(r[i, j]))
        c.fail(~(abs(r[j, j]) > tolerance * length.now))
        with w.when(r[j, j] < 0):
            with w.loop(0, n) as k:
                r[j, k] = -r[j, k]
            with w.loop(0, m) as i:
                q[i, j] = -q[i, j]


def _singular(c: Site, job: str, values: View, vectors: Sequence[tuple[View, Index]], work: Poly) -> None:
    w, m, n = c.w, c.lengths["m"], c.lengths["n"]
    a, space, whole = c.scratch(m, n), c.scratch(work), c.scratch(_times(8, n))
    parts = [part for view, lead in vectors for part in (view.start(), lead)]
    with w.when(_usable(c, a)):
        _check(c, w.lapack("gesdd", job, n, m, a.start(), n, values.start(), *parts, space.start(), work,
                           whole.start()))  # fmt: skip


def svd(c: Site) -> None:
    """Singular values in the first row, then the left vectors as columns, then the right ones as rows."""
    m, n = c.lengths["m"], c.lengths["n"]
    left, right = c.result.below(1), c.result.below(plus(m, 1))
    work = _total(_times(4, n, n), _times(_BLOCK + 8, n), _times(2, m))
    _singular(c, "S", c.result.row(0), ((right, n), (left, n)), work)


def singular_values(c: Site) -> None:
    m, n = c.lengths["m"], c.lengths["n"]
    unused = c.scratch(1, 1)
    _singular(c, "N", c.result, ((unused, 1), (unused, 1)), _total(_times(_BLOCK + 10, n), m))


LAPACK: dict[str, Callable[[Site], None]] = {
    "lu": lu, "lu_solve": lu_solve, "lu_solve_transposed": lu_solve_transposed, "cholesky": cholesky,
    "solve_lower": _triangular("U", "N"), "solve_lower_transposed": _triangular("U", "T"),
    "solve_upper": _triangular("L", "N"), "solve_upper_transposed": _triangular("L", "T"),
    "eigh": eigh, "eigenvalues": eigenvalues, "qr": qr, "svd": svd, "singular_values": singular_values,
}  # fmt: skip
