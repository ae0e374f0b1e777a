"""Derivatives of matrix functions, forward and reverse, as expressions in matrix functions again.

Every rule returns arrays over further calls and sums, so that it can be differentiated to any order. With
A' for a tangent and bar(A) for a cotangent, and Phi for the lower part with a halved diagonal:

    X = solve(A, B)     X' = A^-1 (B' - A' X)              bar(B) = A^-T bar(X), bar(A) = -bar(B) X^T
    L = cholesky(A)     L' = L Phi(L^-1 A' L^-T)           bar(A) = L^-T Phi(L^T bar(L)) L^-1
    A = V diag(w) V^T   w' = diag(V^T A' V)                bar(A) = V (diag(bar(w)) + F o (V^T bar(V))) V^T
                        V' = V (F o (V^T A' V))            F_ij = 1/(w_j - w_i), 0 on the diagonal

A symmetric operand (`solve_spd`, `cholesky`, `eigenvalues`, ...) is taken to be symmetric for all values
of the program's inputs; the front end makes it so. Then a cotangent need not be symmetric.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from symgrad.ir.graph import Graph, Node
from symgrad.ir.matrix.call import Array, Call, call, elementwise, lower_part, product, upper_part
from symgrad.ir.reduce import reduce

Tangents = Sequence[Array | None]
Cotangents = Sequence[Array | None]


def _sum(g: Graph, terms: Sequence[Array | None]) -> Array | None:
    present = [t for t in terms if t is not None]
    total = present[0] if present else None
    for term in present[1:]:
        total = elementwise(g, "add", total, term)  # type: ignore[arg-type]
    return total


def _minus(g: Graph, a: Array) -> Array:
    return elementwise(g, "neg", a)


def _scaled(g: Graph, number: Node, a: Array) -> Array:
    return Array(a.extents, lambda *index: g.mul(number, a.at(*index)))


def _columns_times(g: Graph, a: Array, v: Array) -> Array:
    """a diag(v)."""
    return Array(a.extents, lambda i, j: g.mul(a.at(i, j), v.at(j)))


def _inner(g: Graph, a: Array, b: Array) -> Node:
    """The sum of the products of the entries."""
    i, j = (g.fresh_axis(e) for e in a.extents)
    return reduce(g, "sum", [i, j], g.mul(a.at(i, j), b.at(i, j)))


# ---- constants -----------------------------------------------------------------------------------


def constant_forward(c: Call, dots: Tangents) -> Array | None:
    """Of a function that is constant wherever it has a derivative."""
    return None


def constant_reverse(c: Call, bar: Array) -> Cotangents:
    return [None] * len(c.operands)


# ---- determinants and inverses ---------------------------------------------------------------------


def _inverse_of(c: Call, name: str = "inverse") -> Array:
    return call(c.g, name, c.operands, c.operands[0].extents)


def det_forward(c: Call, dots: Tangents) -> Array | None:
    """det' = det tr(A^-1 A')."""
    (dot,) = dots
    if dot is None:
        return None
    slope = _inner(c.g, _inverse_of(c).transposed, dot)
    return Array((), lambda: c.g.mul(c.result.at(), slope))


def det_reverse(c: Call, bar: Array) -> Cotangents:
    """bar(A) = bar(det) det A^-T."""
    return [_scaled(c.g, c.g.mul(bar.at(), c.result.at()), _inverse_of(c).transposed)]


def log_det_forward(inverse: str) -> Callable[[Call, Tangents], Array | None]:
    """(log det)' = tr(A^-1 A'); `inverse` names the function for the inverse."""

    def forward(c: Call, dots: Tangents) -> Array | None:
        (dot,) = dots
        if dot is None:
            return None
        slope = _inner(c.g, _inverse_of(c, inverse).transposed, dot)
        return Array((), lambda: slope)

    return forward


def log_det_reverse(inverse: str) -> Callable[[Call, Array], Cotangents]:
    """bar(A) = bar A^-T: never through the determinant, which overflows."""
    return lambda c, bar: [_scaled(c.g, bar.at(), _inverse_of(c, inverse).transposed)]


def inverse_forward(c: Call, dots: Tangents) -> Array | None:
    """X' = -X A' X."""
    (dot,) = dots
    return None if dot is None else _minus(c.g, _sandwich(c.g, c.result, dot, c.result))


def inverse_reverse(c: Call, bar: Array) -> Cotangents:
    """bar(A) = -X^T bar(X) X^T."""
    x = c.result.transposed
    return [_minus(c.g, _sandwich(c.g, x, bar, x))]


def _sandwich(g: Graph, a: Array, b: Array, c: Array) -> Array:
    """a b c as one sum, whose order the reduction chooses."""

    def entry(i: Node, j: Node) -> Node:
        k, m = (g.fresh_axis(e) for e in b.extents)
        return reduce(g, "sum", (k, m), g.mul(g.mul(a.at(i, k), b.at(k, m)), c.at(m, j)))

    return Array((a.extents[0], c.extents[1]), entry)


# ---- solves ----------------------------------------------------------------------------------------


def _part(name: str) -> Callable[[Graph, Array], Array]:
    """The entries of the matrix that a solve looks at."""
    if "lower" in name:
        return lower_part
    return upper_part if "upper" in name else lambda g, a: a


def solve_forward(name: str, turned: bool) -> Callable[[Call, Tangents], Array | None]:
    """A X' = B' - A' X; `turned`: the system is that of A^T."""

    def forward(c: Call, dots: Tangents) -> Array | None:
        g, (a, b) = c.g, dots
        terms = [b]
        if a is not None:
            a = _part(name)(g, a)
            terms.append(_minus(g, product(g, a.transposed if turned else a, c.result)))
        right = _sum(g, terms)
        return None if right is None else call(g, name, (c.operands[0], right), c.result.extents)

    return forward


def solve_reverse(adjoint: str, turned: bool) -> Callable[[Call, Array], Cotangents]:
    """bar(B) = A^-T bar(X) and bar(A) = -bar(B) X^T; `adjoint` is the solve with the transposed matrix."""

    def reverse(c: Call, bar: Array) -> Cotangents:
        g, x = c.g, c.result
        b = call(g, adjoint, (c.operands[0], bar), x.extents)
        a = product(g, x, b.transposed) if turned else product(g, b, x.transposed)
        return [_minus(g, _part(adjoint)(g, a)), b]

    return reverse


# ---- Cholesky ----------------------------------------------------------------------------------------


def phi(g: Graph, a: Array) -> Array:
    """The lower part, its diagonal halved."""
    half = g.const(Fraction(1, 2))

    def entry(i: Node, j: Node) -> Node:
        value = a.at(i, j)
        inside = g.mask(g.ige0(g.iadd(g.isub(i, j), g.minus_one)), value)
        return g.add(inside, g.mask(g.ieq(i, j), g.mul(half, value)))

    return Array(a.extents, entry)


def cholesky_forward(c: Call, dots: Tangents) -> Array | None:
    """L' = L Phi(L^-1 A' L^-T)."""
    g, (dot,), lower = c.g, dots, c.result
    if dot is None:
        return None
    left = call(g, "solve_lower", (lower, dot), dot.extents)
    both = call(g, "solve_lower", (lower, left.transposed), dot.extents)
    return product(g, lower, phi(g, both.transposed))


def cholesky_reverse(c: Call, bar: Array) -> Cotangents:
    """bar(A) = L^-T Phi(L^T bar(L)) L^-1."""
    g, lower = c.g, c.result
    inside = phi(g, product(g, lower.transposed, bar))
    left = call(g, "solve_lower_transposed", (lower, inside), bar.extents)
    both = call(g, "solve_lower_transposed", (lower, left.transposed), bar.extents)
    return [both.transposed]


# ---- eigenvalues and eigenvectors ----------------------------------------------------------------------


def _eigenvectors_of(c: Call) -> Array:
    return call(c.g, "eigenvectors", c.operands, c.operands[0].extents)


def _eigengaps_of(c: Call) -> Array:
    """F."""
    n = c.operands[0].extents[0]
    w = call(c.g, "eigenvalues", c.operands, (n,))
    return call(c.g, "reciprocal_gaps", (w,), (n, n))


def eigenvalues_forward(c: Call, dots: Tangents) -> Array | None:
    g, (dot,), v = c.g, dots, _eigenvectors_of(c)
    if dot is None:
        return None
    turned = product(g, dot, v)

    def entry(j: Node) -> Node:
        k = g.fresh_axis(v.extents[0])
        return reduce(g, "sum", [k], g.mul(v.at(k, j), turned.at(k, j)))

    return Array(c.result.extents, entry)


def eigenvalues_reverse(c: Call, bar: Array) -> Cotangents:
    g, v = c.g, _eigenvectors_of(c)
    weights = call(g, "shared_weights", (c.result, bar), bar.extents)
    return [product(g, _columns_times(g, v, weights), v.transposed)]


def shared_weights_forward(c: Call, dots: Tangents) -> Array | None:
    return dots[1]


def shared_weights_reverse(c: Call, bar: Array) -> Cotangents:
    return [None, bar]


def eigenvectors_forward(c: Call, dots: Tangents) -> Array | None:
    g, (dot,), v = c.g, dots, c.result
    if dot is None:
        return None
    inside = product(g, v.transposed, product(g, dot, v))
    return product(g, v, elementwise(g, "mul", _eigengaps_of(c), inside))


def eigenvectors_reverse(c: Call, bar: Array) -> Cotangents:
    g, v = c.g, c.result
    inside = elementwise(g, "mul", _eigengaps_of(c), product(g, v.transposed, bar))
    return [product(g, v, product(g, inside, v.transposed))]


def reciprocal_gaps_forward(c: Call, dots: Tangents) -> Array | None:
    """F_ij' = -F_ij^2 (w_j' - w_i')."""
    g, (dot,), f = c.g, dots, c.result
    if dot is None:
        return None

    def entry(i: Node, j: Node) -> Node:
        square = g.mul(f.at(i, j), f.at(i, j))
        return g.mul(square, g.sub(dot.at(i), dot.at(j)))

    return Array(f.extents, entry)


def reciprocal_gaps_reverse(c: Call, bar: Array) -> Cotangents:
    g, f = c.g, c.result
    weighted = elementwise(g, "mul", bar, elementwise(g, "mul", f, f))

    def entry(i: Node) -> Node:
        k = g.fresh_axis(f.extents[0])
        return g.sub(reduce(g, "sum", [k], weighted.at(i, k)), reduce(g, "sum", [k], weighted.at(k, i)))

    return [Array(c.operands[0].extents, entry)]


def reciprocals_forward(c: Call, dots: Tangents) -> Array | None:
    g, (dot,), f = c.g, dots, c.result
    if dot is None:
        return None
    return _minus(g, elementwise(g, "mul", dot, elementwise(g, "mul", f, f)))


def reciprocals_reverse(c: Call, bar: Array) -> Cotangents:
    return [reciprocals_forward(c, [bar])]


# ---- QR ------------------------------------------------------------------------------------------------


def _factors_of(c: Call) -> tuple[Array, Array]:
    """Q and R of the operand."""
    m, n = c.operands[0].extents
    return call(c.g, "orthogonal_factor", c.operands, (m, n)), call(
        c.g, "triangular_factor", c.operands, (n, n)
    )


def _skew(g: Graph, w: Array) -> Array:
    """Omega = low(W) - low(W)^T: what Q^T Q' is."""
    low = lower_part(g, w, strictly=True)
    return elementwise(g, "sub", low, low.transposed)


def _from_lower(g: Graph, a: Array) -> Array:
    """The symmetric matrix with the lower part of `a`."""
    low = lower_part(g, a)
    return elementwise(g, "add", low, lower_part(g, a, strictly=True).transposed)


def _over_triangle(g: Graph, a: Array, r: Array) -> Array:
    """a R^-1."""
    return call(g, "solve_upper_transposed", (r, a.transposed), a.extents[::-1]).transposed


def _over_turned(g: Graph, a: Array, r: Array) -> Array:
    """a R^-T."""
    return call(g, "solve_upper", (r, a.transposed), a.extents[::-1]).transposed


def orthogonal_factor_forward(c: Call, dots: Tangents) -> Array | None:
    """Q' = C - Q (W - Omega) with C = A' R^-1, W = Q^T C."""
    g, (dot,) = c.g, dots
    if dot is None:
        return None
    q, r = _factors_of(c)
    scaled = _over_triangle(g, dot, r)
    w = product(g, q.transposed, scaled)
    return elementwise(g, "sub", scaled, product(g, q, elementwise(g, "sub", w, _skew(g, w))))


def triangular_factor_forward(c: Call, dots: Tangents) -> Array | None:
    """R' = (W - Omega) R."""
    g, (dot,) = c.g, dots
    if dot is None:
        return None
    q, r = _factors_of(c)
    w = product(g, q.transposed, _over_triangle(g, dot, r))
    return product(g, elementwise(g, "sub", w, _skew(g, w)), r)


def orthogonal_factor_reverse(c: Call, bar: Array) -> Cotangents:
    """bar(A) = (bar(Q) - Q sym(bar(Q)^T Q)) R^-T, sym from the lower part."""
    g = c.g
    q, r = _factors_of(c)
    inside = product(g, q, _from_lower(g, product(g, bar.transposed, q)))
    return [_over_turned(g, elementwise(g, "sub", bar, inside), r)]


def triangular_factor_reverse(c: Call, bar: Array) -> Cotangents:
    """bar(A) = Q sym(R bar(R)^T) R^-T."""
    g = c.g
    q, r = _factors_of(c)
    inside = _from_lower(g, product(g, r, bar.transposed))
    return [_over_turned(g, product(g, q, inside), r)]


# ---- singular values ---------------------------------------------------------------------------------------


def _singular_of(c: Call) -> tuple[Array, Array, Array]:
    m, n = c.operands[0].extents
    return (call(c.g, "left_singular", c.operands, (m, n)), call(c.g, "singular_values", c.operands, (n,)),
            call(c.g, "right_singular", c.operands, (n, n)))  # fmt: skip


def singular_values_forward(c: Call, dots: Tangents) -> Array | None:
    """s' = diag(U^T A' V), and 0 for a singular value of 0, as of |x| at 0."""
    g, (dot,) = c.g, dots
    if dot is None:
        return None
    u, s, v = _singular_of(c)
    turned = product(g, dot, v)

    def entry(j: Node) -> Node:
        k = g.fresh_axis(u.extents[0])
        slope = reduce(g, "sum", [k], g.mul(u.at(k, j), turned.at(k, j)))
        return g.mask(g.node("lt", g.zero, s.at(j)), slope)

    return Array(s.extents, entry)


def singular_values_reverse(c: Call, bar: Array) -> Cotangents:
    """bar(A) = U diag(bar(s)) V^T."""
    g = c.g
    u, s, v = _singular_of(c)
    weights = call(g, "shared_weights", (s, bar), bar.extents)
    positive = Array(s.extents, lambda j: g.mask(g.node("lt", g.zero, s.at(j)), weights.at(j)))
    return [product(g, _columns_times(g, u, positive), v.transposed)]


def _singular_gaps(c: Call, s: Array) -> Array:
    """1/(s_j^2 - s_i^2), 0 on the diagonal, without the cancellation of squares."""
    g, n = c.g, s.extents[0]
    gaps = call(g, "reciprocal_gaps", (s,), (n, n))

    def entry(i: Node, j: Node) -> Node:
        apart = g.node("not", g.ieq(i, j))
        return g.mask(apart, g.div(gaps.at(i, j), g.add(s.at(i), s.at(j))))

    return Array((n, n), entry)


def _rows_times(g: Graph, v: Array, a: Array) -> Array:
    """diag(v) a."""
    return Array(a.extents, lambda i, j: g.mul(v.at(i), a.at(i, j)))


def _outside(g: Graph, u: Array, a: Array) -> Array:
    """(I - U U^T) a."""
    return elementwise(g, "sub", a, product(g, u, product(g, u.transposed, a)))


def left_singular_forward(c: Call, dots: Tangents) -> Array | None:
    """U' = U (F o (P S + S P^T)) + (I - U U^T) A' V S^-1 with P = U^T A' V."""
    g, (dot,) = c.g, dots
    if dot is None:
        return None
    u, s, v = _singular_of(c)
    turned = product(g, dot, v)
    p = product(g, u.transposed, turned)
    both = elementwise(g, "add", _columns_times(g, p, s), _rows_times(g, s, p.transposed))
    inside = product(g, u, elementwise(g, "mul", _singular_gaps(c, s), both))
    if u.extents[0] == u.extents[1]:
        return inside
    lengths = call(g, "reciprocals", (s,), s.extents)
    return elementwise(g, "add", inside, _columns_times(g, _outside(g, u, turned), lengths))


def right_singular_forward(c: Call, dots: Tangents) -> Array | None:
    """V' = V (F o (S P + P^T S))."""
    g, (dot,) = c.g, dots
    if dot is None:
        return None
    u, s, v = _singular_of(c)
    p = product(g, u.transposed, product(g, dot, v))
    both = elementwise(g, "add", _rows_times(g, s, p), _columns_times(g, p.transposed, s))
    return product(g, v, elementwise(g, "mul", _singular_gaps(c, s), both))


def left_singular_reverse(c: Call, bar: Array) -> Cotangents:
    """bar(A) = (U (G + G^T) S + (I - U U^T) bar(U) S^-1) V^T with G = F o (U^T bar(U))."""
    g = c.g
    u, s, v = _singular_of(c)
    weights = elementwise(g, "mul", _singular_gaps(c, s), product(g, u.transposed, bar))
    both = elementwise(g, "add", weights, weights.transposed)
    inside = product(g, u, _columns_times(g, both, s))
    if u.extents[0] != u.extents[1]:
        lengths = call(g, "reciprocals", (s,), s.extents)
        inside = elementwise(g, "add", inside, _columns_times(g, _outside(g, u, bar), lengths))
    return [product(g, inside, v.transposed)]


def right_singular_reverse(c: Call, bar: Array) -> Cotangents:
    """bar(A) = U S (H + H^T) V^T with H = F o (V^T bar(V))."""
    g = c.g
    u, s, v = _singular_of(c)
    weights = elementwise(g, "mul", _singular_gaps(c, s), product(g, v.transposed, bar))
    both = elementwise(g, "add", weights, weights.transposed)
    return [product(g, product(g, u, _rows_times(g, s, both)), v.transposed)]
