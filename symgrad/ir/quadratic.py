"""Quadratic forms with rational coefficients as sums of products of linear forms, by exact arithmetic.

A form that is 0 along a line of points other than 0 is small beside its terms near that line: of
(x^2 + y^2)/2 - ((x + y)/2)^2 nothing is left where x is near y. Written in linear forms that are 0 on the
line it keeps its digits: ((x - y)/2)^2.

    rows that sum to zero      -sum of q_ij*(x_i - x_j)^2 over pairs, where no q_ij is positive; deviations
                               from the weighted mean where these are fewer operations
    the same of two kinds      -sum of b_ij*(x_i - x_j)*(y_i - y_j): a covariance
    semidefinite and singular  squares, by Gaussian elimination
    of rank two, indefinite    one product

Source: Golub & Van Loan 2013, section 4.2.8 (elimination of semidefinite matrices); Chan, Golub & LeVeque
1983 (variances). Nodes are keys here, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import combinations
from math import isqrt

from symgrad.records import dataclass

Linear = dict[int, Fraction]
Quadratic = dict[tuple[int, int], Fraction]  # by ordered pairs: the coefficient of x_i*x_j in the sum

_MOST_ELIMINATED = 8  # variables of a form that is no sum of squares of differences
_PAIRS_PER_VARIABLE = 2  # from more pairs than these on, deviations from the mean are fewer operations
_ZERO = Fraction(0)


@dataclass(frozen=True)
class Product:
    """number * first * second."""

    number: Fraction
    first: Linear
    second: Linear


@dataclass(frozen=True)
class Deviations:
    """sum of w_i*(x_i - m)^2, where m is the mean with the weights w."""

    weights: Linear


def pair_of(x: int, y: int) -> tuple[int, int]:
    return (x, y) if x <= y else (y, x)


def add_product(total: Quadratic, number: Fraction, first: Linear, second: Linear) -> None:
    """total += number*first*second."""
    for x, a in first.items():
        for y, b in second.items():
            key = pair_of(x, y)
            total[key] = total.get(key, _ZERO) + number * a * b


def components(form: Quadratic) -> list[Quadratic]:
    """The form in parts that have no variable in common."""
    part_of: dict[int, dict[int, None]] = {}
    for x, y in form:
        first, second = part_of.setdefault(x, {x: None}), part_of.setdefault(y, {y: None})
        if first is not second:
            first.update(second)
            for z in second:
                part_of[z] = first
    parts: dict[int, Quadratic] = {}
    for (x, y), q in form.items():
        parts.setdefault(id(part_of[x]), {})[x, y] = q
    return list(parts.values())


def as_products(form: Quadratic, if_regular: bool = False) -> list[Product] | Deviations | None:
    """The connected form as products without cancellation among them; None if there is none, or no need.

    if_regular  also one product where the form is not singular.
    """
    if len(form) == 1 and if_regular:
        return _monomial(form)
    matrix = _Matrix.of(form)
    if matrix.has_zero_rows():
        found = _paired(matrix) if matrix.is_hollow() else _differences(matrix)
        if found is not None:
            return found
    return _eliminated(matrix, if_regular) if len(matrix.names) <= _MOST_ELIMINATED else None


def _monomial(form: Quadratic) -> list[Product]:
    (((x, y), q),) = form.items()
    return [Product(q, {x: Fraction(1)}, {y: Fraction(1)})]


@dataclass(frozen=True)
class _Matrix:
    """Symmetric, by the names of variables."""

    names: tuple[int, ...]
    entries: Quadratic

    @staticmethod
    def of(form: Quadratic) -> _Matrix:
        names = dict.fromkeys(x for pair in form for x in pair)
        return _Matrix(tuple(names), {(x, y): q if x == y else q / 2 for (x, y), q in form.items()})

    def at(self, x: int, y: int) -> Fraction:
        return self.entries.get(pair_of(x, y), _ZERO)

    def row(self, x: int) -> Linear:
        return {y: q for y in self.names if (q := self.at(x, y))}

    def has_zero_rows(self) -> bool:
        total = dict.fromkeys(self.names, _ZERO)
        for (x, y), q in self.entries.items():
            total[x] += q
            if x != y:
                total[y] += q
        return not any(total.values())

    def is_hollow(self) -> bool:
        """Whether the diagonal is zero."""
        return not any(self.at(x, x) for x in self.names)


# ---- rows that sum to zero -----------------------------------------------------------------------


def _difference(x: int, y: int) -> Linear:
    return {x: Fraction(1), y: Fraction(-1)}


def _differences(matrix: _Matrix) -> list[Product] | Deviations | None:
    """Squares of differences, all of one sign."""
    pairs = [(x, y, -q) for (x, y), q in matrix.entries.items() if x != y]
    if not _are_of_one_sign(q for _, _, q in pairs):
        return None
    if len(pairs) > _PAIRS_PER_VARIABLE * len(matrix.names):
        deviations = _deviations(matrix)
        if deviations is not None:
            return deviations
    return [Product(q, d, d) for x, y, q in pairs for d in (_difference(x, y),)]


def _deviations(matrix: _Matrix) -> Deviations | None:
    """sum of w_i*(x_i - mean)^2, where q_ij is c*w_i*w_j and c = -1/sum(w)."""
    first, second, third, *_ = matrix.names
    below = matrix.at(second, third)
    if not below:
        return None
    square = matrix.at(first, second) * matrix.at(first, third) / below  # c*w_1^2
    relative = {x: Fraction(1) if x == first else matrix.at(first, x) / square for x in matrix.names}
    if any(matrix.at(x, y) != square * relative[x] * relative[y] for x, y in combinations(matrix.names, 2)):
        return None
    scale = -square * sum(relative.values(), _ZERO)
    return Deviations({x: scale * w for x, w in relative.items()})


def _paired(matrix: _Matrix) -> list[Product] | None:
    """Products of differences: variables of two kinds go together by what alone has its sign in a row."""
    for sign in (1, -1):
        partner: dict[int, int] = {}
        for x in matrix.names:
            own = [y for y, q in matrix.row(x).items() if sign * q > 0]
            if len(own) == 1:
                partner[x] = own[0]
        if len(partner) == len(matrix.names):
            return _by_partners(matrix, partner)
    return None


def _by_partners(matrix: _Matrix, partner: dict[int, int]) -> list[Product] | None:
    if any(partner[y] != x for x, y in partner.items()):
        return None
    start = matrix.names[0]
    firsts = [x for x in matrix.names if not matrix.at(start, x)]
    if len(firsts) * 2 != len(matrix.names):
        return None
    made = []
    for x, other in combinations(firsts, 2):
        y, its = partner[x], partner[other]
        q = matrix.at(x, its)
        if q != matrix.at(other, y):
            return None
        if q:
            made.append(Product(-2 * q, _difference(x, other), _difference(y, its)))
    return made if _is_sum_of(matrix, made) else None


# ---- elimination -----------------------------------------------------------------------------------


def _eliminated(matrix: _Matrix, if_regular: bool) -> list[Product] | None:
    """Fewer squares than variables, of one sign; or one product of two."""
    names, left = list(matrix.names), dict(matrix.entries)
    squares: list[tuple[Fraction, Linear]] = []
    while names:
        pivot = max(names, key=lambda x: abs(left.get((x, x), _ZERO)))
        d = left.get((pivot, pivot), _ZERO)
        if not d:
            break
        row = {y: left.get(pair_of(pivot, y), _ZERO) / d for y in names}
        row = {y: c for y, c in row.items() if c}
        squares.append((d, row))
        for x in row:
            for y in row:
                if x <= y:
                    left[x, y] = left.get((x, y), _ZERO) - d * row[x] * row[y]
        names.remove(pivot)
    if any(left.get(pair_of(x, y), _ZERO) for x in names for y in names):
        return _hollow_product(matrix) if not squares else None
    if len(squares) == len(matrix.names) and not if_regular:
        return None
    if len(squares) == len(matrix.names):
        return _product_of_two(squares) if len(squares) == 2 else None
    if _are_of_one_sign(d for d, _ in squares):
        return [Product(d, row, row) for d, row in squares]
    return _product_of_two(squares) if len(squares) == 2 else None


def _product_of_two(squares: Sequence[tuple[Fraction, Linear]]) -> list[Product] | None:
    (d, first), (e, second) = squares
    root = _root(-e / d)
    if root is None:
        return None
    return [Product(d, _sum(first, second, -root), _sum(first, second, root))]


def _hollow_product(matrix: _Matrix) -> list[Product] | None:
    """Of a form without squares."""
    (x, y), q = next((pair, q) for pair, q in matrix.entries.items() if q)
    made = [Product(2 / q, matrix.row(x), matrix.row(y))]
    return made if len(matrix.names) > 2 and _is_sum_of(matrix, made) else None


# ---- arithmetic ------------------------------------------------------------------------------------


def _sum(first: Linear, second: Linear, times: Fraction) -> Linear:
    total = dict(first)
    for x, c in second.items():
        total[x] = total.get(x, _ZERO) + times * c
    return {x: c for x, c in total.items() if c}


def _root(q: Fraction) -> Fraction | None:
    """The root of the square of a rational number."""
    n, d = isqrt(q.numerator), isqrt(q.denominator)
    return Fraction(n, d) if n * n == q.numerator and d * d == q.denominator else None


def _are_of_one_sign(numbers: Iterable[Fraction]) -> bool:
    return len({q > 0 for q in numbers if q}) == 1


def _is_sum_of(matrix: _Matrix, products: Sequence[Product]) -> bool:
    total: Quadratic = {}
    for p in products:
        add_product(total, p.number, p.first, p.second)
    whole = {(x, y): q if x == y else 2 * q for (x, y), q in matrix.entries.items()}
    return {k: q for k, q in total.items() if q} == {k: q for k, q in whole.items() if q}
