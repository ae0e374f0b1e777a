"""What the matrix functions compute: in NumPy for floats, and plainly for other numbers.

Floats go to LAPACK through NumPy and SciPy. mpmath's numbers and complex ones (for the complex step, so
nothing is conjugated: the functions are continued analytically from the real line) take the textbook's
loops, eigenvalues and singular values excepted. A function that has no value raises `NoValue`.

Conventions, the same on every target: the first entry of an eigenvector that is not small (below a
thousandth of its largest) is positive; the triangular factor of QR has a positive diagonal; eigenvalues
ascend and singular values descend.

Source: Golub & Van Loan 2013, Matrix Computations, sections 3.1, 3.4, 4.2 and 5.2.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np

from symgrad.records import dataclass

Matrix = np.ndarray
SMALL = 1e-3  # of the largest entry of an eigenvector: an entry that does not decide the sign


class NoValue(Exception):
    """The function has no value for this matrix."""


@dataclass(frozen=True)
class Values:
    """floats: for float64 and float32; others: for arrays of mpmath numbers, and of complex numbers."""

    floats: Callable[..., Matrix]
    others: Callable[..., Matrix]

    def __call__(self, *matrices: Matrix) -> Matrix:
        """The value, in the type of the operands. Raises NoValue."""
        plain = matrices[0].dtype in (np.float64, np.float32)
        try:
            value = (self.floats if plain else self.others)(*matrices)
        except np.linalg.LinAlgError as error:
            raise NoValue from error
        return np.asarray(value, dtype=matrices[0].dtype)


def _settled(a: Matrix, updates: Matrix) -> Matrix:
    """`a` where no update is larger than 1; of complex numbers (of the complex step) the real parts count."""
    for update in updates.flat:
        if not abs(_real(update)) <= 1:
            raise NoValue
    return a


# ---- textbook loops ------------------------------------------------------------------------------


def _real(x: Any) -> Any:
    real: Any = x.real if isinstance(x, complex | np.complexfloating) else x
    return real


def _zeros(a: Matrix, *shape: int) -> Matrix:
    return np.full(shape, 0 * a.flat[0] if a.size else 0.0, dtype=a.dtype)


def _unit(a: Matrix) -> Matrix:
    out = _zeros(a, *a.shape[:1] * 2)
    np.fill_diagonal(out, 1 + (0 * a.flat[0] if a.size else 0))
    return out


def _lu(a: Matrix) -> Matrix:
    """The triangular factors of the matrix with exchanged rows; below, the row each was exchanged with."""
    n = len(a)
    out = np.concatenate([a, _zeros(a, 1, n)])
    for k in range(n):
        p = max(range(k, n), key=lambda i: (abs(_real(out[i, k])), -i))
        out[[k, p]] = out[[p, k]]
        out[n, k] = out[n, k] + p
        if out[k, k] != 0:
            out[k + 1 : n, k] = out[k + 1 : n, k] / out[k, k]
            out[k + 1 : n, k + 1 :] -= np.outer(out[k + 1 : n, k], out[k, k + 1 :])
    return out


def _exchanges(lu: Matrix) -> list[tuple[int, int]]:
    return [(k, int(_real(p))) for k, p in enumerate(lu[-1])]


def _lower(a: Matrix, b: Matrix, unit: bool = False) -> Matrix:
    """x with a x = b, a lower triangular."""
    x = np.array(b)
    for i in range(len(a)):
        x[i] = x[i] - a[i, :i] @ x[:i] if i else x[i]
        if not unit:
            if a[i, i] == 0:
                raise NoValue
            x[i] = x[i] / a[i, i]
    return x


def _upper(a: Matrix, b: Matrix, unit: bool = False) -> Matrix:
    return _lower(a[::-1, ::-1], b[::-1], unit)[::-1]


def _lu_solve(lu: Matrix, b: Matrix) -> Matrix:
    a, x = lu[:-1], np.array(b)
    for k, p in _exchanges(lu):
        x[[k, p]] = x[[p, k]]
    return _upper(a, _lower(a, x, unit=True))


def _lu_solve_transposed(lu: Matrix, b: Matrix) -> Matrix:
    a = lu[:-1]
    x = _upper(a.T, _lower(a.T, b), unit=True)
    for k, p in reversed(_exchanges(lu)):
        x[[k, p]] = x[[p, k]]
    return x


def _sign(x: Any) -> Any:
    r = _real(x)
    return (r > 0) * 1.0 - (r < 0) * 1.0 if r == r else r


def _parity(lu: Matrix) -> int:
    return -1 if sum(k != p for k, p in _exchanges(lu)) % 2 else 1


def _sign_det(a: Matrix) -> Any:
    lu = _lu(a)
    out = _parity(lu) + (0 * a.flat[0] if a.size else 0)
    for k in range(len(a)):
        out = out * _sign(lu[k, k])
    return out


def _det(a: Matrix) -> Any:
    lu = _lu(a)
    return np.prod([lu[k, k] for k in range(len(a))], initial=1) * _parity(lu)


def _log(x: Any) -> Any:
    """log of a positive number, -inf for 0."""
    if isinstance(x, complex | np.complexfloating):
        return np.log(x)
    import mpmath

    return mpmath.log(x)


def _log_abs_det(a: Matrix) -> Any:
    lu = _lu(a)
    terms = [lu[k, k] * _sign(lu[k, k]) for k in range(len(a))]
    if any(t == 0 for t in terms):
        return terms[0] * 0 - float("inf")
    return sum((_log(t) for t in terms), start=0 * a.flat[0] if a.size else 0)


def _log_det(a: Matrix) -> Any:
    """nan for a negative determinant."""
    return _log_abs_det(a) * (1 if _real(_sign_det(a)) >= 0 else float("nan"))


def _log_det_spd(a: Matrix) -> Any:
    factor = _cholesky(a)
    return sum((2 * _log(factor[k, k]) for k in range(len(a))), start=0 * a.flat[0] if a.size else 0)


def _root(x: Any) -> Any:
    return x**0.5 if isinstance(x, complex | np.complexfloating) else x.sqrt()


def _cholesky(a: Matrix) -> Matrix:
    out = _zeros(a, *a.shape)
    for j in range(len(a)):
        below = a[j:, j] - out[j:, :j] @ out[j, :j] if j else a[j:, j]
        if not 0 < _real(below[0]) < float("inf"):
            raise NoValue
        out[j:, j] = below / _root(below[0])
    return out


def _qr(a: Matrix) -> tuple[Matrix, Matrix]:
    """Gram-Schmidt, each column twice, which is as good as Householder's reflections."""
    m, n = a.shape
    q, r = np.array(a), _zeros(a, n, n)
    for j in range(n):
        length = _root(a[:, j] @ a[:, j] + 0 * a.flat[0])
        for _ in range(2):
            part = q[:, :j].T @ q[:, j] if j else q[:0, 0]
            r[:j, j] = r[:j, j] + part
            q[:, j] = q[:, j] - q[:, :j] @ part if j else q[:, j]
        r[j, j] = _root(q[:, j] @ q[:, j])
        if not _real(r[j, j]) > max(m, n) * _epsilon(a) * _real(length):
            raise NoValue
        q[:, j] = q[:, j] / r[j, j]
    return q, r


def _epsilon(a: Matrix) -> Any:
    if a.dtype != object:
        return np.finfo(a.dtype).eps
    import mpmath

    return mpmath.eps * 16  # of roundings on the way


# ---- eigenvalues and singular values ---------------------------------------------------------------


def _symmetric(a: Matrix) -> Matrix:
    """The matrix whose lower triangle is that of `a`."""
    return np.asarray(np.tril(a) + np.tril(a, -1).T)


def _with_signs(vectors: Matrix) -> Matrix:
    """Columns whose first entry that is not small is positive."""
    out = np.array(vectors)
    for j in range(out.shape[1]):
        size = [abs(_real(x)) for x in out[:, j]]
        first = next((i for i, x in enumerate(size) if x > SMALL * max(size)), None)
        if first is not None and _real(out[first, j]) < 0:
            out[:, j] = -out[:, j]
    return out


def _eigh_floats(a: Matrix) -> tuple[Matrix, Matrix]:
    if not np.isfinite(a[np.tril_indices(len(a))]).all():
        raise NoValue
    w, v = np.linalg.eigh(a)
    return w, _with_signs(v)


def _eigh_others(a: Matrix) -> tuple[Matrix, Matrix]:
    a = _symmetric(a)
    if not len(a):
        return a[0:0, 0] if a.ndim == 2 else a, a
    if a.dtype == object:
        import mpmath

        values, vectors = mpmath.eigsy(mpmath.matrix(a.tolist()))
        w, v = np.array(list(values), dtype=object), np.array(vectors.tolist(), dtype=object)
    else:
        w, v = _rotated_symmetric(a)
    order = sorted(range(len(w)), key=lambda k: _real(w[k]))
    return w[order], _with_signs(v[:, order])


_SWEEPS = 30  # of Jacobi's method, which needs about ten


def _rotation(gap: Any, twice: Any) -> tuple[Any, Any]:
    """Cosine and sine of the small angle that makes the entry `twice`/2 zero."""
    sign = 1 if _real(gap) >= 0 else -1
    if _real(gap):
        tangent = twice / (gap + sign * np.sqrt(gap * gap + twice * twice))
    else:  # equal values, whose squared difference would vanish
        ratio = gap / twice
        tangent = 1 / (ratio + (1 if _real(ratio) >= 0 else -1) * np.sqrt(ratio * ratio + 1))
    cosine = 1 / np.sqrt(1 + tangent * tangent)
    return cosine, tangent * cosine


def _turn(a: Matrix, p: int, q: int, rotation: tuple[Any, Any]) -> None:
    """Columns p and q turned."""
    c, s = rotation
    a[:, p], a[:, q] = c * a[:, p] - s * a[:, q], s * a[:, p] + c * a[:, q]


def _is_small(x: Any, than: complex) -> bool:
    """Whether real and imaginary part both are rounding; the latter is all of a derivative."""
    eps = np.finfo(float).eps
    return bool(abs(x.real) <= eps * than.real and abs(x.imag) <= eps * than.imag)


def _rotated_symmetric(a: Matrix) -> tuple[Matrix, Matrix]:
    """Eigenvalues and vectors of a complex symmetric matrix by Jacobi's rotations: nothing is conjugated.

    LAPACK's rounding of real parts would leave traces in imaginary ones, which here are far smaller.
    """
    if not np.isfinite(a).all():
        raise NoValue
    a, v = np.array(a), np.eye(len(a), dtype=a.dtype)
    top = _tops(a)
    for _ in range(_SWEEPS):
        pairs = [(p, q) for p, q in combinations(range(len(a)), 2) if not _is_small(a[p, q], top)]
        for p, q in pairs:
            rotation = _rotation(a[q, q] - a[p, p], 2 * a[p, q])
            _turn(a, p, q, rotation)
            _turn(a.T, p, q, rotation)
            _turn(v, p, q, rotation)
        if not pairs:
            break
    return np.diagonal(a).copy(), v


def _rotated_columns(a: Matrix) -> tuple[Matrix, Matrix]:
    """The columns of a complex matrix made orthogonal by rotations from the right, and those."""
    if not np.isfinite(a).all():
        raise NoValue
    a, v = np.array(a), np.eye(a.shape[1], dtype=a.dtype)
    top = _tops(a.T @ a)
    for _ in range(_SWEEPS):
        moved = False
        for p, q in combinations(range(a.shape[1]), 2):
            both = a[:, p] @ a[:, q]
            if not _is_small(both, top):
                rotation = _rotation(a[:, q] @ a[:, q] - a[:, p] @ a[:, p], 2 * both)
                _turn(a, p, q, rotation)
                _turn(v, p, q, rotation)
                moved = True
        if not moved:
            break
    return a, v


def _tops(a: Matrix) -> complex:
    """The largest real and the largest imaginary part."""
    return complex(abs(a.real).max(initial=0), abs(a.imag).max(initial=0))


def _svd_floats(a: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    if not np.isfinite(a).all():
        raise NoValue
    u, s, vt = np.linalg.svd(a, full_matrices=False)
    return u, s, vt.T


def _svd_others(a: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    if not a.size:
        return a, a[0, :0] if len(a) else a.reshape(-1)[:0], _zeros(a, a.shape[1], a.shape[1])
    if a.dtype == object:
        import mpmath

        u, s, vt = mpmath.svd_r(mpmath.matrix(a.tolist()))
        tall = np.array(u.tolist(), dtype=object)
        return tall, np.array(list(s), dtype=object), np.array(vt.tolist(), dtype=object).T
    columns, v = _rotated_columns(a)
    s = np.sqrt((columns * columns).sum(axis=0))
    order = sorted(range(len(s)), key=lambda k: -_real(s[k]))
    return columns[:, order] / s[order], s[order], v[:, order]


def _reciprocal_gaps(w: Matrix) -> Matrix:
    """1/(w_j - w_i), 0 on the diagonal."""
    n = len(w)
    out = _zeros(w, n, n)
    least = n * _epsilon(w) * max((abs(_real(x)) for x in w), default=0)
    for i in range(n):
        for j in range(n):
            if i != j:
                if not abs(_real(w[j] - w[i])) > least:
                    raise NoValue
                out[i, j] = 1 / (w[j] - w[i])
    return out


def _shared_weights(values: Matrix, weights: Matrix) -> Matrix:
    """The weights, where values that are equal up to rounding have weights that are so."""
    w, c = [_real(x) for x in values], [_real(x) for x in weights]
    least = len(w) * _epsilon(values) * max(map(abs, w), default=0)
    apart = max(map(abs, c), default=0) * SMALL
    for i in range(len(w)):
        for j in range(i):
            if abs(w[i] - w[j]) <= least and abs(c[i] - c[j]) > apart:
                raise NoValue
    return weights


def _reciprocals(s: Matrix) -> Matrix:
    least = len(s) * _epsilon(s) * max((abs(_real(x)) for x in s), default=0)
    if not all(abs(_real(x)) > least for x in s):
        raise NoValue
    return 1 / s


# ---- NumPy's and SciPy's -----------------------------------------------------------------------------


def _triangular(lower: bool, turned: bool) -> Callable[[Matrix, Matrix], Matrix]:
    def solve(a: Matrix, b: Matrix) -> Matrix:
        from scipy.linalg import solve_triangular

        if not b.size:
            return np.array(b)
        if not np.all(np.diagonal(a)):
            raise NoValue
        return np.asarray(solve_triangular(a, b, lower=lower, trans=int(turned), check_finite=False))

    return solve


def _definite_factor(a: Matrix) -> Matrix:
    factor = np.asarray(np.linalg.cholesky(a))
    pivots = np.diagonal(factor)  # nan or infinite, which LAPACK may not notice
    if not ((pivots > 0) & np.isfinite(pivots)).all():
        raise NoValue
    return factor


def _definite_solve(a: Matrix, b: Matrix) -> Matrix:
    factor = _definite_factor(a)
    return _triangular(True, True)(factor, _triangular(True, False)(factor, b))


def _definite_log_det(a: Matrix) -> Any:
    return 2 * np.log(np.diagonal(_definite_factor(a))).sum()


def _sign_det_floats(a: Matrix) -> Any:
    sign, value = np.linalg.slogdet(a)
    return np.where(np.isnan(value), value, sign)


def _log_det_floats(a: Matrix) -> Any:
    sign, value = np.linalg.slogdet(a)
    return value if sign >= 0 else np.full_like(value, np.nan)


def _packed(*parts: Matrix) -> Matrix:
    return np.concatenate([np.atleast_2d(p) for p in parts])


def _rows_of_svd(u: Matrix, s: Matrix, v: Matrix) -> Matrix:
    """Values, left vectors as columns, right vectors as rows."""
    return _packed(s, u, v.T)


def _qr_floats(a: Matrix) -> tuple[Matrix, Matrix]:
    if not np.isfinite(a).all():
        raise NoValue
    q, r = np.linalg.qr(a)
    diagonal, lengths = np.diagonal(r), np.sqrt((a * a).sum(axis=0))
    if not (np.abs(diagonal) > max(a.shape) * np.finfo(a.dtype).eps * lengths).all():
        raise NoValue
    signs = np.sign(diagonal)
    return q * signs, np.triu(r) * signs[:, None]


VALUES: dict[str, Values] = {
    "settled": Values(_settled, _settled),
    "det": Values(np.linalg.det, _det),
    "sign_det": Values(_sign_det_floats, _sign_det),
    "log_abs_det": Values(lambda a: np.linalg.slogdet(a)[1], _log_abs_det),
    "log_det": Values(_log_det_floats, _log_det),
    "log_det_spd": Values(_definite_log_det, _log_det_spd),
    "inverse": Values(np.linalg.inv, lambda a: _lu_solve(_lu(a), _unit(a))),
    "inverse_spd": Values(
        lambda a: _definite_solve(a, np.eye(len(a), dtype=a.dtype)),
        lambda a: _upper(_cholesky(a).T, _lower(_cholesky(a), _unit(a))),
    ),
    "solve": Values(np.linalg.solve, lambda a, b: _lu_solve(_lu(a), b)),
    "solve_transposed": Values(
        lambda a, b: np.linalg.solve(a.T, b), lambda a, b: _lu_solve_transposed(_lu(a), b)
    ),
    "solve_spd": Values(_definite_solve, lambda a, b: _upper(_cholesky(a).T, _lower(_cholesky(a), b))),
    "solve_lower": Values(_triangular(True, False), _lower),
    "solve_lower_transposed": Values(_triangular(True, True), lambda a, b: _upper(a.T, b)),
    "solve_upper": Values(_triangular(False, False), _upper),
    "solve_upper_transposed": Values(_triangular(False, True), lambda a, b: _lower(a.T, b)),
    "cholesky": Values(_definite_factor, _cholesky),
    "eigenvalues": Values(lambda a: _eigh_floats(a)[0], lambda a: _eigh_others(a)[0]),
    "eigenvectors": Values(lambda a: _eigh_floats(a)[1], lambda a: _eigh_others(a)[1]),
    "orthogonal_factor": Values(lambda a: _qr_floats(a)[0], lambda a: _qr(a)[0]),
    "triangular_factor": Values(lambda a: _qr_floats(a)[1], lambda a: _qr(a)[1]),
    "singular_values": Values(lambda a: _svd_floats(a)[1], lambda a: _svd_others(a)[1]),
    "left_singular": Values(lambda a: _svd_floats(a)[0], lambda a: _svd_others(a)[0]),
    "right_singular": Values(lambda a: _svd_floats(a)[2], lambda a: _svd_others(a)[2]),
    "reciprocal_gaps": Values(_reciprocal_gaps, _reciprocal_gaps),
    "reciprocals": Values(_reciprocals, _reciprocals),
    "shared_weights": Values(_shared_weights, _shared_weights),
    "lu": Values(_lu, _lu),
    "lu_solve": Values(_lu_solve, _lu_solve),
    "lu_solve_transposed": Values(_lu_solve_transposed, _lu_solve_transposed),
    "eigh": Values(lambda a: _packed(_eigh_floats(a)[0], _eigh_floats(a)[1].T),
                   lambda a: _packed(_eigh_others(a)[0], _eigh_others(a)[1].T)),
    "qr": Values(lambda a: _packed(*_qr_floats(a)), lambda a: _packed(*_qr(a))),
    "svd": Values(lambda a: _rows_of_svd(*_svd_floats(a)), lambda a: _rows_of_svd(*_svd_others(a))),
}  # fmt: skip
