"""Products, sums and transposes of SymPy matrix expressions, kept in the form a person would write.

SymPy's own `doit` is slow and rewrites more than it should; these constructors only flatten, collect
equal terms, cancel double transposes, drop identities and take common factors out of sums. Nothing here
looks at numbers or at sizes beyond shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby
from math import gcd, lcm
from typing import Any

import sympy as sp
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.diagonal import DiagMatrix
from sympy.printing.str import StrPrinter

from symgrad.frontend.triangle import Triangle

Expr = Any
Matrix = Any  # SymPy's MatrixExpr; its stubs have no useful type
Term = tuple[Expr, tuple[Matrix, ...]]  # coefficient, matrix factors from left to right


def term_of(m: Matrix) -> Term:
    """A matrix expression as coefficient times factors; powers are written out."""
    coefficient, factors = m.as_coeff_matrices() if isinstance(m, sp.MatMul) else (sp.S.One, [m])
    flat: list[Matrix] = []
    for f in factors:
        is_power = isinstance(f, sp.MatPow) and f.exp.is_Integer and f.exp > 0
        flat.extend([f.base] * int(f.exp) if is_power else [f])
    return coefficient, tuple(flat)


def from_term(coefficient: Expr, factors: Sequence[Matrix]) -> Matrix:
    """coefficient * product of the factors; neighbours that are equal become a power."""
    runs = [(m, len(list(run))) for m, run in groupby(factors)]
    factors = [m if k == 1 else sp.MatPow(m, k) for m, k in runs]
    if coefficient == 1:
        return factors[0] if len(factors) == 1 else sp.MatMul(*factors)
    if coefficient == 0:
        return sp.ZeroMatrix(factors[0].rows, factors[-1].cols)
    return sp.MatMul(coefficient, *factors)


class Ones(sp.OneMatrix):
    """SymPy's OneMatrix, printed with its shape: SymPy prints a bare 1, which reads as a number."""

    def _sympystr(self, printer: Any) -> str:
        return f"ones({printer.doprint(self.rows)}, {printer.doprint(self.cols)})"

    def _latex(self, printer: Any) -> str:
        return rf"\mathbf{{1}}_{{{printer.doprint(self.rows)} \times {printer.doprint(self.cols)}}}"

    def _pretty(self, printer: Any) -> Any:
        return printer._print(sp.Symbol(self._sympystr(StrPrinter())))


def ones(rows: Expr, cols: Expr) -> Matrix:
    """The matrix of ones."""
    return Ones(rows, cols)


def scale(coefficient: Expr, m: Matrix) -> Matrix:
    """A scalar times a matrix."""
    own, factors = term_of(m)
    return from_term(coefficient * own, factors)


def matmul(*matrices: Matrix) -> Matrix:
    """The matrix product, flattened, without identities, products of ones contracted."""
    coefficient: Expr = sp.S.One
    factors: list[Matrix] = []
    for m in matrices:
        own, parts = term_of(m)
        coefficient = coefficient * own
        for part in parts:
            if isinstance(part, sp.Identity) and (factors or len(parts) > 1 or len(matrices) > 1):
                identity = part
                continue
            previous = factors[-1] if factors else None
            if isinstance(part, sp.OneMatrix) and isinstance(previous, sp.OneMatrix):
                coefficient = coefficient * part.rows
                factors[-1] = ones(previous.rows, part.cols)
            else:
                factors.append(part)
    return from_term(coefficient, factors or [identity])


def transpose(m: Matrix) -> Matrix:
    """The transpose: inside products; inside sums and elementwise functions only if signs cancel there."""
    coefficient, factors = term_of(m)
    if coefficient != 1 or len(factors) > 1:
        return from_term(coefficient, [transpose(f) for f in reversed(factors)])
    if isinstance(m, sp.Transpose):
        return m.arg
    if isinstance(m, sp.Identity | DiagMatrix):
        return m
    if isinstance(m, sp.OneMatrix | sp.ZeroMatrix):
        return type(m)(m.cols, m.rows)
    if isinstance(m, Triangle):
        return m.turned.of(transpose(m.matrix))
    inside = _transpose_inside(m)
    if inside is not None and (inside == m or _transposes(inside) < _transposes(m)):
        return inside
    return sp.Transpose(m)


def _transpose_inside(m: Matrix) -> Matrix | None:
    if isinstance(m, sp.MatAdd):
        turned = add([transpose(a) for a in m.args])
        return m if set(turned.args) == set(m.args) else turned
    if isinstance(m, sp.HadamardProduct):
        return sp.HadamardProduct(*(transpose(a) for a in m.args))
    if isinstance(m, sp.HadamardPower):
        return sp.HadamardPower(transpose(m.base), m.exp)
    if isinstance(m, ElementwiseApplyFunction):
        return ElementwiseApplyFunction(m.function, transpose(m.expr))
    return None


def _transposes(m: Matrix) -> int:
    return sum(isinstance(part, sp.Transpose) for part in sp.preorder_traversal(m))


class ElementaryFunction(sp.Lambda):
    """A Lambda that is one function of its variable, and prints as that function: `exp.(X*W)`."""

    def _sympystr(self, printer: Any) -> str:
        return str(printer.doprint(self.expr.func))

    def _latex(self, printer: Any) -> str:
        return str(printer.doprint(self.expr.func))


def apply(variable: Expr, body: Expr, m: Matrix) -> Matrix:
    """The function `variable -> body` of every entry."""
    is_elementary = isinstance(body, sp.Function) and body.args == (variable,)
    head = ElementaryFunction if is_elementary else sp.Lambda
    return ElementwiseApplyFunction(head(variable, body), m)


def diagonal(vector: Matrix) -> Matrix:
    """The diagonal matrix of a column; of ones, the identity."""
    coefficient, factors = term_of(vector)
    if len(factors) == 1 and isinstance(factors[0], sp.OneMatrix):
        return scale(coefficient, sp.Identity(vector.rows))
    return scale(coefficient, DiagMatrix(from_term(sp.S.One, factors)))


def hadamard(matrices: Sequence[Matrix]) -> Matrix:
    """The elementwise product; equal factors become a power, matrices of ones are left out, triangles of
    ones take the part of the rest.
    """
    coefficient: Expr = sp.S.One
    powers: dict[Matrix, int] = {}
    for m in matrices:
        own, factors = term_of(m)
        coefficient = coefficient * own
        inner = from_term(sp.S.One, factors)
        for part in inner.args if isinstance(inner, sp.HadamardProduct) else (inner,):
            powers[part] = powers.get(part, 0) + 1
    kept = {m: k for m, k in powers.items() if not isinstance(m, sp.OneMatrix)} or powers
    triangles = [m for m in kept if isinstance(m, Triangle) and isinstance(m.matrix, sp.OneMatrix)]
    kept = {m: k for m, k in kept.items() if m not in triangles} or {triangles.pop(): 1}
    parts = [m if k == 1 or isinstance(m, sp.OneMatrix) else sp.HadamardPower(m, k) for m, k in kept.items()]
    product = parts[0] if len(parts) == 1 else sp.HadamardProduct(*parts)
    for triangle in triangles:
        product = triangle.of(product)
    return scale(coefficient, product)


def trace(*candidates: Matrix) -> Expr:
    """The trace with the number in front, of that of the equal candidates which reads best."""
    pairs = [(c, from_term(sp.S.One, f)) for m in candidates for c, f in map(term_of, (m, transpose(m)))]
    coefficient, inner = min(pairs, key=lambda pair: effort(pair[1]))
    if isinstance(inner, sp.OneMatrix | sp.Identity):
        return coefficient * inner.rows
    return coefficient * sp.Trace(inner)


def effort(m: Matrix) -> tuple[int, bool]:
    """Few signs of transposition, and W.T*W rather than W*W.T."""
    return _transposes(m), not isinstance(term_of(m)[1][0], sp.Transpose)


# ---- sums --------------------------------------------------------------------------------------------


def add(matrices: Sequence[Matrix]) -> Matrix:
    """The sum: like terms collected, common factors in front of, before and behind a parenthesis."""
    collected: dict[tuple[Matrix, ...], Expr] = {}
    for m in matrices:
        outer, factors = term_of(m)
        inner = factors[0] if len(factors) == 1 else None
        for part in inner.args if isinstance(inner, sp.MatAdd) else (from_term(sp.S.One, factors),):
            own, parts = term_of(part)
            collected[parts] = collected.get(parts, sp.S.Zero) + outer * own
    terms = [(c, f) for f, c in collected.items() if c != 0 and not isinstance(f[0], sp.ZeroMatrix)]
    if not terms:
        return sp.ZeroMatrix(*matrices[0].shape)
    return _factored(terms)


def _factored(terms: list[Term]) -> Matrix:
    if len(terms) == 1:
        return from_term(*terms[0])
    coefficient, terms = _common_coefficient(terms)
    summands = _group(_group([(c, f) for c, f in terms], left=True), left=False)
    if len(summands) == 1:
        return from_term(coefficient * summands[0][0], summands[0][1])
    together = sp.MatAdd(*(from_term(c, f) for c, f in sorted(summands, key=_place)))
    return from_term(coefficient, [together])


def _place(term: Term) -> tuple[int, int]:
    """Positive terms first, then the longer products; matrices of ones and identities last."""
    coefficient, factors = term
    constant = all(isinstance(f, sp.OneMatrix | sp.Identity) for f in factors)
    return (2 if constant else int(coefficient.could_extract_minus_sign())), -len(factors)


def _group(terms: list[Term], left: bool) -> list[Term]:
    """Terms that share their first (or last) factors become one product with a sum inside."""
    groups: dict[Matrix, list[Term]] = {}
    for term in terms:
        groups.setdefault(term[1][0 if left else -1], []).append(term)
    if len(groups) == len(terms):
        return terms
    out: list[Term] = []
    for group in groups.values():
        out += [_pulled(group, left)] if len(group) > 1 and _pulls_well(group) else group
    return out


def _pulls_well(group: list[Term]) -> bool:
    """False where a bare factor would leave an identity with a coefficient like 1/sqrt(...) in the sum."""
    shortest = min(len(f) for _, f in group)
    return (
        all(len(f) > shortest or not c.has(sp.Pow, sp.Function, sp.Trace) for c, f in group) or shortest > 1
    )


def _pulled(group: list[Term], left: bool) -> Term:
    count = min(len(f) for _, f in group)
    lists = [f if left else f[::-1] for _, f in group]
    shared = 1
    while shared < count and all(f[shared] == lists[0][shared] for f in lists):
        shared += 1
    common = lists[0][:shared]
    rest = []
    for (c, _), f in zip(group, lists, strict=True):
        kept = f[shared:] if left else f[shared:][::-1]
        size = common[-1].cols if left else common[-1].rows
        rest.append((c, kept or (sp.Identity(size),)))
    own, inner = term_of(_factored(rest))
    ordered = (*common, *inner) if left else (*inner, *common[::-1])
    return own, ordered


def _common_coefficient(terms: list[Term]) -> tuple[Expr, list[Term]]:
    """The rational and the symbols that every coefficient has as a factor."""
    split = [_split(c) for c, _ in terms]
    number = _common_rational([q for q, _ in split])
    symbols = set(split[0][1]).intersection(*(s for _, s in split[1:]))
    common = sp.Mul(number, *sorted(symbols, key=sp.default_sort_key))
    if common == 1:
        return sp.S.One, terms
    return common, [
        (sp.Mul(q / number, *(s for s in others if s not in symbols)), f)
        for (q, others), (_, f) in zip(split, terms, strict=True)
    ]


def _split(coefficient: Expr) -> tuple[Expr, tuple[Expr, ...]]:
    number, rest = coefficient.as_coeff_Mul()
    return number, () if rest == 1 else sp.Mul.make_args(rest)


def _common_rational(numbers: Sequence[Expr]) -> Expr:
    if not all(q.is_Rational for q in numbers):
        equal = all(abs(q) == abs(numbers[0]) for q in numbers)
        return abs(numbers[0]) if equal else sp.S.One
    values = [Fraction(int(q.p), int(q.q)) for q in numbers]
    common = Fraction(gcd(*(v.numerator for v in values)), lcm(*(v.denominator for v in values)))
    if all(v < 0 for v in values):
        common = -common
    return sp.Rational(common.numerator, common.denominator)
