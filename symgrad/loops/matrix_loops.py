"""Our own loops for the factorisations that `opt.factorise` leaves: what standalone C runs.

No allocation, no library, any real type. A call that has no value says so (`Site.fail`) and goes on with
whatever numbers there are; the lowering fills its result with nan.

Sources: Golub & Van Loan 2013, Matrix Computations: algorithms 3.4.1 (LU with partial pivoting), 4.2.1
(Cholesky), 3.1.1 and 3.1.2 (substitution), 5.2.6 (Gram-Schmidt, here twice: Giraud, Langou & Rozloznik
2005), 8.5.2 (Jacobi for symmetric matrices); Hestenes 1958 and Demmel & Veselic 1992 (one-sided Jacobi for
singular values, which keeps the digits of small ones).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from symgrad.loops.nest import Poly, poly
from symgrad.loops.writer import Index, Number, Register, View, Writer, minus, plus
from symgrad.records import dataclass

_SWEEPS = 60  # of Jacobi's method, which needs about ten
_NEGLIGIBLE = 16  # an entry below 1/16 epsilon of the largest one is zero
SMALL = 1000  # times smaller than the largest entry of an eigenvector: does not decide the sign


@dataclass(frozen=True)
class Site:
    """One call: its lengths by letter, operands and result in memory, more memory, and how to fail."""

    w: Writer
    lengths: Mapping[str, Poly]
    operands: tuple[View, ...]
    result: View
    scratch: Callable[..., View]
    fail: Callable[[Number], None]


# ---- pieces ------------------------------------------------------------------------------------------


def _copy(w: Writer, source: View, target: View, rows: Index, columns: Index) -> None:
    with w.loop(0, rows) as i, w.loop(0, columns) as j:
        target[i, j] = source[i, j]


def _swap_rows(w: Writer, a: View, p: Index, q: Index, columns: Index) -> None:
    with w.loop(0, columns) as j:
        first, second = a[p, j], a[q, j]
        a[p, j] = second
        a[q, j] = first


def _sum(w: Writer, low: Index, high: Index, term: Callable[[Poly], Number]) -> Register:
    total = w.register(0)
    with w.loop(low, high) as k:
        total.add(term(k))
    return total


def _place_of_best(w: Writer, low: Index, high: Index, start: Index, value: Callable[[Index], Number],
                   better: Callable[[Number, Number], Number]) -> Poly:  # fmt: skip
    """The index in [low, high), or `start`, of the first value that no other one beats."""
    best, place = w.register(value(start)), w.register(w.real(start))
    with w.loop(low, high) as i:
        candidate = value(i)
        with w.when(better(candidate, best.now)):
            best.set(candidate)
            place.set(w.real(i))
    return w.whole(place.now)


def largest(w: Writer, a: View, rows: Index, columns: Index) -> Register:
    """The largest size of an entry, nan if there is a nan."""
    top = w.register(0)
    with w.loop(0, rows) as i, w.loop(0, columns) as j:
        top.keep_larger(abs(a[i, j]))
    return top


def finite(w: Writer, x: Number) -> Number:
    return x < w.constant("f", "inf")


def _rotate(w: Writer, a: View, p: Index, q: Index, length: Index, c: Number, s: Number) -> None:
    """Rows p and q turned: c a_p - s a_q and s a_p + c a_q."""
    with w.loop(0, length) as k:
        first, second = a[p, k], a[q, k]
        a[p, k] = c * first - s * second
        a[q, k] = s * first + c * second


def _rotation(w: Writer, top: Number, bottom: Number) -> tuple[Number, Number]:
    """Cosine and sine of the small angle whose tangent t solves t^2 + (top/bottom) t = 1."""
    zeta = top / bottom
    size = abs(zeta)
    tangent = 1 / (size + w.root(zeta * zeta + 1))
    tangent = w.choose(zeta < 0, -tangent, tangent)
    cosine = 1 / w.root(tangent * tangent + 1)
    return cosine, tangent * cosine


def _identity(w: Writer, a: View, n: Index) -> None:
    with w.loop(0, n) as i:
        with w.loop(0, n) as j:
            a[i, j] = 0
        a[i, i] = 1


# ---- elimination ---------------------------------------------------------------------------------------


def lu(c: Site) -> None:
    """Factors of the matrix with exchanged rows; the last row says which row each was exchanged with."""
    w, n, (source,), a = c.w, c.lengths["n"], c.operands, c.result
    _copy(w, source, a, n, n)
    with w.loop(0, n) as k:
        below = plus(k, 1)
        p = _place_of_best(w, below, n, k, lambda i: abs(a[i, k]), lambda x, best: x > best)
        a[n, k] = w.real(p)
        with w.when(w.compute("ne", w.real(p), w.real(k))):
            _swap_rows(w, a, k, p, n)
        pivot = a[k, k]
        with w.when(w.compute("ne", pivot, 0)), w.loop(below, n) as i:
            factor = a[i, k] / pivot
            a[i, k] = factor
            with w.loop(below, n) as j:
                a[i, j] = a[i, j] - factor * a[k, j]


def _substitute(c: Site, a: View, upwards: bool, unit: bool) -> None:
    """a x = b in place of b = c.result: rows from the first one down, or from the last one up."""
    w, n, columns, x = c.w, c.lengths["n"], c.lengths["k"], c.result
    with w.loop(0, n) as step:
        i = minus(minus(n, 1), step) if upwards else step
        low, high = (plus(i, 1), n) if upwards else (poly(0), i)
        pivot = None
        if not unit:
            pivot = a[i, i]
            c.fail(w.compute("eq", pivot, 0))
        if columns == poly(1):  # products of rows and one column
            rest = _sum(w, low, high, lambda r: a[i, r] * x[r, 0]).now
            x[i, 0] = x[i, 0] - rest
        else:
            with w.loop(low, high) as r:
                factor = a[i, r]
                with w.loop(0, columns) as j:
                    x[i, j] = x[i, j] - factor * x[r, j]
        if pivot is not None:
            with w.loop(0, columns) as j:
                x[i, j] = x[i, j] / pivot


def exchange(c: Site, backwards: bool) -> None:
    """The exchanges of rows that a factorisation made, on the result."""
    w, n, factors = c.w, c.lengths["n"], c.operands[0]
    with w.loop(0, n) as step:
        k = minus(minus(n, 1), step) if backwards else step
        p = w.whole(factors[n, k])
        with w.when(w.compute("ne", w.real(p), w.real(k))):
            _swap_rows(w, c.result, k, p, c.lengths["k"])


def lu_solve(c: Site) -> None:
    a = c.operands[0]
    _copy(c.w, c.operands[1], c.result, c.lengths["n"], c.lengths["k"])
    exchange(c, backwards=False)
    _substitute(c, a, upwards=False, unit=True)
    _substitute(c, a, upwards=True, unit=False)


def lu_solve_transposed(c: Site) -> None:
    a = c.operands[0].transposed
    _copy(c.w, c.operands[1], c.result, c.lengths["n"], c.lengths["k"])
    _substitute(c, a, upwards=False, unit=False)
    _substitute(c, a, upwards=True, unit=True)
    exchange(c, backwards=True)


def _triangular(lower: bool, turned: bool) -> Callable[[Site], None]:
    def solve(c: Site) -> None:
        _copy(c.w, c.operands[1], c.result, c.lengths["n"], c.lengths["k"])
        a = c.operands[0]
        _substitute(c, a.transposed if turned else a, upwards=lower == turned, unit=False)

    return solve


def lower_triangle(c: Site, target: View) -> None:
    """The operand's lower triangle, and 0 above."""
    w, n, (a,) = c.w, c.lengths["n"], c.operands
    with w.loop(0, n) as i:
        with w.loop(0, plus(i, 1)) as j:
            target[i, j] = a[i, j]
        with w.loop(plus(i, 1), n) as j:
            target[i, j] = 0


def cholesky(c: Site) -> None:
    w, n, (a,), lower = c.w, c.lengths["n"], c.operands, c.result
    with w.loop(0, n) as i:
        with w.loop(0, i) as j:
            done = _sum(w, 0, j, lambda k: lower[i, k] * lower[j, k]).now
            lower[i, j] = (a[i, j] - done) / lower[j, j]
        pivot = a[i, i] - _sum(w, 0, i, lambda k: lower[i, k] * lower[i, k]).now
        c.fail(~((pivot > 0) & finite(w, pivot)))
        lower[i, i] = w.root(pivot)
        with w.loop(plus(i, 1), n) as j:
            lower[i, j] = 0


# ---- eigenvalues ---------------------------------------------------------------------------------------


def _jacobi(c: Site, vectors: View | None) -> View:
    """The matrix made diagonal by rotations, which the rows of `vectors` take part in."""
    w, n, (source,) = c.w, c.lengths["n"], c.operands
    a = c.scratch(n, n)
    with w.loop(0, n) as i, w.loop(0, plus(i, 1)) as j:
        entry = source[i, j]
        a[i, j] = entry
        a[j, i] = entry
    top = largest(w, a, n, n).now
    c.fail(~finite(w, top))
    least = w.epsilon * top / _NEGLIGIBLE
    if vectors is not None:
        _identity(w, vectors, n)
    moving = w.register(w.truth(True))
    with w.loop(0, _SWEEPS), w.when(moving.now):
        moving.set(w.truth(False))
        with w.loop(0, n) as p, w.loop(plus(p, 1), n) as q:
            entry = a[p, q]
            with w.when(abs(entry) > least):
                moving.set(w.truth(True))
                cosine, sine = _rotation(w, a[q, q] - a[p, p], 2 * entry)
                _rotate(w, a, p, q, n, cosine, sine)
                _rotate(w, a.transposed, p, q, n, cosine, sine)
                if vectors is not None:
                    _rotate(w, vectors, p, q, n, cosine, sine)
    c.fail(moving.now)
    return a


def _sorted(w: Writer, values: View, n: Index, ascending: bool, *rows: tuple[View, Index]) -> None:
    """Put `values` in order, and the rows of matrices with them: (matrix, its columns)."""

    def better(x: Number, best: Number) -> Number:
        return x < best if ascending else x > best

    with w.loop(0, n) as j:
        p = _place_of_best(w, plus(j, 1), n, j, lambda i: values[i], better)
        first, second = values[j], values[p]
        values[j] = second
        values[p] = first
        with w.when(w.compute("ne", w.real(p), w.real(j))):
            for matrix, columns in rows:
                _swap_rows(w, matrix, j, p, columns)


def with_signs(w: Writer, vectors: View, n: Index) -> None:
    """Rows whose first entry that is not small is positive."""
    with w.loop(0, n) as j:
        top = largest(w, vectors.below(j), 1, n).now
        lead = w.register(0)
        with w.loop(0, n) as step:
            entry = vectors[j, minus(minus(n, 1), step)]
            with w.when(abs(entry) * SMALL > top):
                lead.set(entry)
        with w.when(lead.now < 0), w.loop(0, n) as k:
            vectors[j, k] = -vectors[j, k]


def eigh(c: Site) -> None:
    """Eigenvalues in the first row, eigenvectors in the others."""
    w, n, values, vectors = c.w, c.lengths["n"], c.result.row(0), c.result.below(1)
    a = _jacobi(c, vectors)
    with w.loop(0, n) as j:
        values[j] = a[j, j]
    _sorted(w, values, n, True, (vectors, n))
    with_signs(w, vectors, n)


def eigenvalues(c: Site) -> None:
    a = _jacobi(c, None)
    with c.w.loop(0, c.lengths["n"]) as j:
        c.result[j] = a[j, j]
    _sorted(c.w, c.result, c.lengths["n"], True)


# ---- orthogonal columns --------------------------------------------------------------------------------


def _columns(c: Site) -> tuple[View, Number]:
    """The operand's columns as rows, divided by its largest entry, and that."""
    w, m, n = c.w, c.lengths["m"], c.lengths["n"]
    rows = c.scratch(n, m)
    top = largest(w, c.operands[0], m, n).now
    c.fail(~finite(w, top))
    scale = w.choose(top > 0, top, 1)
    with w.loop(0, n) as j, w.loop(0, m) as r:
        rows[j, r] = c.operands[0][r, j] / scale
    return rows, scale


def qr(c: Site) -> None:
    """The orthogonal factor, and below it the triangular one."""
    w, m, n = c.w, c.lengths["m"], c.lengths["n"]
    columns, scale = _columns(c)
    triangle = c.result.below(m)
    tolerance = w.epsilon * w.real(m)
    with w.loop(0, n) as j:
        with w.loop(0, n) as i:
            triangle[i, j] = 0
        whole = w.root(_sum(w, 0, m, lambda r: columns[j, r] * columns[j, r]).now)
        with w.loop(0, 2), w.loop(0, j) as i:
            part = _sum(w, 0, m, lambda r: columns[i, r] * columns[j, r]).now
            triangle[i, j] = triangle[i, j] + part * scale
            with w.loop(0, m) as r:
                columns[j, r] = columns[j, r] - part * columns[i, r]
        length = w.root(_sum(w, 0, m, lambda r: columns[j, r] * columns[j, r]).now)
        c.fail(~(length > tolerance * whole))
        triangle[j, j] = length * scale
        with w.loop(0, m) as r:
            columns[j, r] = columns[j, r] / length
    with w.loop(0, m) as r, w.loop(0, n) as j:
        c.result[r, j] = columns[j, r]


def _one_sided(c: Site, vectors: View | None) -> tuple[View, Number]:
    """The columns made orthogonal by rotations, as rows, and the scale to multiply them by."""
    w, m, n = c.w, c.lengths["m"], c.lengths["n"]
    columns, scale = _columns(c)
    tolerance, least = w.epsilon * w.real(m), w.smallest / w.epsilon
    if vectors is not None:
        _identity(w, vectors, n)
    moving = w.register(w.truth(True))
    with w.loop(0, _SWEEPS), w.when(moving.now):
        moving.set(w.truth(False))
        with w.loop(0, n) as p, w.loop(plus(p, 1), n) as q:
            first, second, both = w.register(0), w.register(0), w.register(0)
            with w.loop(0, m) as r:
                x, y = columns[p, r], columns[q, r]
                first.add(x * x)
                second.add(y * y)
                both.add(x * y)
            bound = tolerance * w.root(first.now) * w.root(second.now)
            # Next to the largest entry, which is 1, a column of this size is 0: its square would vanish.
            is_column = (first.now > least) & (second.now > least)
            with w.when(is_column & (abs(both.now) > bound)):
                moving.set(w.truth(True))
                cosine, sine = _rotation(w, second.now - first.now, 2 * both.now)
                _rotate(w, columns, p, q, m, cosine, sine)
                if vectors is not None:
                    _rotate(w, vectors, p, q, n, cosine, sine)
    c.fail(moving.now)
    return columns, scale


def _lengths(w: Writer, columns: View, values: View, m: Index, n: Index) -> None:
    with w.loop(0, n) as j:
        values[j] = w.root(_sum(w, 0, m, lambda r: columns[j, r] * columns[j, r]).now)


def svd(c: Site) -> None:
    """Singular values in the first row, then the left vectors as columns, then the right ones as rows."""
    w, m, n = c.w, c.lengths["m"], c.lengths["n"]
    values, right = c.result.row(0), c.result.below(plus(m, 1))
    columns, scale = _one_sided(c, right)
    _lengths(w, columns, values, m, n)
    _sorted(w, values, n, False, (columns, m), (right, n))
    _to_unit_vectors(w, columns, values, m, n)
    with w.loop(0, n) as j:
        with w.loop(0, m) as r:
            c.result[plus(r, 1), j] = columns[j, r]
        values[j] = values[j] * scale


def _to_unit_vectors(w: Writer, columns: View, lengths: View, m: Index, n: Index) -> None:
    """Orthogonal columns by their lengths; those that are 0 become what is orthogonal to the ones before."""
    least = w.smallest / w.epsilon
    with w.loop(0, n) as j:
        length = lengths[j]
        is_found = w.register(length * length > least)
        with w.when(is_found.now), w.loop(0, m) as r:
            columns[j, r] = columns[j, r] / length
        with w.loop(0, m) as r, w.when(~is_found.now):
            left = 1 - _sum(w, 0, j, lambda i: columns[i, r] * columns[i, r]).now
            with w.when(2 * w.real(m) * left > 1):  # some unit vector has 1/m left of its square, or more
                is_found.set(w.truth(True))
                _set_to_axis(w, columns, j, r, m)
                _orthogonalise(w, columns, j, m)


def _set_to_axis(w: Writer, columns: View, j: Index, axis: Index, m: Index) -> None:
    with w.loop(0, m) as r:
        columns[j, r] = 0
    columns[j, axis] = 1


def _orthogonalise(w: Writer, columns: View, j: Index, m: Index) -> None:
    """By Gram and Schmidt, twice is enough."""
    with w.loop(0, 2), w.loop(0, j) as i:
        part = _sum(w, 0, m, lambda r: columns[i, r] * columns[j, r]).now
        with w.loop(0, m) as r:
            columns[j, r] = columns[j, r] - part * columns[i, r]
    length = w.root(_sum(w, 0, m, lambda r: columns[j, r] * columns[j, r]).now)
    with w.loop(0, m) as r:
        columns[j, r] = columns[j, r] / length


def singular_values(c: Site) -> None:
    w, m, n = c.w, c.lengths["m"], c.lengths["n"]
    columns, scale = _one_sided(c, None)
    _lengths(w, columns, c.result, m, n)
    with w.loop(0, n) as j:
        c.result[j] = c.result[j] * scale
    _sorted(w, c.result, n, False)


# ---- reciprocals ---------------------------------------------------------------------------------------


def _least(c: Site) -> Number:
    """What a divisor has to exceed: the rounding of the largest value."""
    w, n, values = c.w, c.lengths["n"], c.operands[0]
    top = w.register(0)
    with w.loop(0, n) as j:
        top.keep_larger(abs(values[j]))
    return w.epsilon * w.real(n) * top.now


def reciprocal_gaps(c: Site) -> None:
    w, n, (values,) = c.w, c.lengths["n"], c.operands
    least = _least(c)
    with w.loop(0, n) as i:
        with w.loop(0, i) as j:
            gap = values[j] - values[i]
            c.fail(~(abs(gap) > least))
            reciprocal = 1 / gap
            c.result[i, j] = reciprocal
            c.result[j, i] = -reciprocal
        c.result[i, i] = 0


def reciprocals(c: Site) -> None:
    w, (values,) = c.w, c.operands
    least = _least(c)
    with w.loop(0, c.lengths["n"]) as j:
        c.fail(~(abs(values[j]) > least))
        c.result[j] = 1 / values[j]


def shared_weights(c: Site) -> None:
    """The second operand, where values that are equal up to rounding have weights that are so."""
    w, n, (values, weights) = c.w, c.lengths["n"], c.operands
    least, top = _least(c), w.register(0)
    with w.loop(0, n) as j:
        top.keep_larger(abs(weights[j]))
    with w.loop(0, n) as i:
        with w.loop(0, i) as j:
            is_repeated = abs(values[i] - values[j]) <= least
            c.fail(is_repeated & (abs(weights[i] - weights[j]) * SMALL > top.now))
        c.result[i] = weights[i]


def settled(c: Site) -> None:
    """The first operand, where no entry of the second is larger than 1."""
    w, (value, update) = c.w, c.operands
    with w.loop(0, c.lengths["n"]) as i, w.loop(0, c.lengths["k"]) as j:
        c.fail(~(abs(update[i, j]) <= 1))
        c.result[i, j] = value[i, j]


OWN: dict[str, Callable[[Site], None]] = {
    "settled": settled, "shared_weights": shared_weights,
    "lu": lu, "lu_solve": lu_solve, "lu_solve_transposed": lu_solve_transposed, "cholesky": cholesky,
    "solve_lower": _triangular(True, False), "solve_lower_transposed": _triangular(True, True),
    "solve_upper": _triangular(False, False), "solve_upper_transposed": _triangular(False, True),
    "eigh": eigh, "eigenvalues": eigenvalues, "qr": qr, "svd": svd, "singular_values": singular_values,
    "reciprocal_gaps": reciprocal_gaps, "reciprocals": reciprocals,
}  # fmt: skip
