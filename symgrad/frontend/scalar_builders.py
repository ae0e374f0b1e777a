"""SymPy's scalars from ops and the SymPy forms of their arguments: one table, and sums, products and powers.

`exact` asks SymPy to evaluate what is made; otherwise it is made as it stands (see `scalar_form`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import sympy as sp

from symgrad.errors import UnsupportedExpression
from symgrad.frontend.special_form import SPECIAL_FORMS
from symgrad.ir.composites.quotients import ROWS as QUOTIENT_ROWS
from symgrad.ir.composites.quotients import Arithmetic
from symgrad.ir.composites.radial import ROWS as RADIAL_ROWS
from symgrad.ir.ops import OPS

Expr = Any  # SymPy's scalars and booleans have no common type to name


def raw(cls: type, *args: Expr) -> Expr:
    """The object `cls(*args)` without evaluation and without SymPy's cache, which compares deep objects."""
    made = sp.Expr.__new__(cls, *args)
    if cls is sp.Pow:
        made.is_commutative = True
    return made


def add(terms: Sequence[Expr], exact: bool) -> Expr:
    """The sum; `exact` collects like terms."""
    if exact or len(terms) < 2:
        return sp.Add(*terms)
    return sp.Add._from_args(tuple(t for t in terms if t != 0), is_commutative=True)


def multiply(factors: Sequence[Expr], exact: bool) -> Expr:
    """The product, with numbers in front."""
    if exact or len(factors) < 2:
        return sp.Mul(*_numbers_in_front(factors))
    numbers = [f for f in factors if f.is_Number]
    others = Counter(f for f in factors if not f.is_Number)
    number = sp.Mul(*numbers)
    if number == 0 or not others:
        return number
    powers = [f if n == 1 else power_of(f, sp.Integer(n), exact) for f, n in others.items()]
    return sp.Mul._from_args(([] if number == 1 else [number]) + powers, is_commutative=True)


def _numbers_in_front(factors: Sequence[Expr]) -> Sequence[Expr]:
    """(2*x - 2*y)*z as 2*(x - y)*z."""
    if sum(not f.is_Number for f in factors) < 2 or not any(f.is_Add for f in factors):
        return factors
    return [part for f in factors for part in (f.primitive() if f.is_Add else (f,))]


def power_of(base: Expr, exponent: Expr, exact: bool) -> Expr:
    """base**exponent."""
    return sp.Pow(base, exponent) if exact or base.is_Number else raw(sp.Pow, base, exponent)


def reachable_branches(values: Sequence[Expr]) -> list[tuple[Expr, Expr]]:
    """[a, p, b, q, ..., otherwise] as (value, condition) pairs, up to the first that always holds."""
    pairs: list[tuple[Expr, Expr]] = []
    for value, condition in [*zip(values[:-1:2], values[1::2], strict=True), (values[-1], sp.true)]:
        if condition == sp.false:
            continue
        pairs.append((value, condition))
        if condition == sp.true:
            break
    return pairs


def _relation(cls: type) -> Callable[[Sequence[Expr], bool], Expr]:
    """Decided only between numbers and symbols: SymPy would ask whether the difference has a sign."""
    return lambda v, exact: cls(*v) if all(x.is_Atom for x in v) else sp.Basic.__new__(cls, *v)


def _comparison(cls: type, with_infinity: Expr) -> Callable[[Sequence[Expr], bool], Expr]:
    """No value is infinite in exact arithmetic: such a comparison guards a floating-point form."""
    plain = _relation(cls)
    return lambda v, exact: with_infinity if any(x in (sp.oo, -sp.oo) for x in v) else plain(v, exact)


def _less(cls: type, flipped: type) -> Callable[[Sequence[Expr], bool], Expr]:
    """x > 0 rather than 0 < x."""

    def build(v: Sequence[Expr], exact: bool) -> Expr:
        if v[0].is_Number and not v[1].is_Number:
            return _relation(flipped)((v[1], v[0]), exact)
        return _relation(cls)(v, exact)

    return build


def _call(function: Any) -> Callable[[Sequence[Expr], bool], Expr]:
    return lambda v, exact: function(*v) if exact else raw(function, *v)


def _logistic(v: Sequence[Expr], exact: bool) -> Expr:
    e = _call(sp.exp)([multiply([sp.S.NegativeOne, v[0]], exact)], exact)
    return power_of(add([sp.S.One, e], exact), sp.S.NegativeOne, exact)


def _one_over_cosh(v: Sequence[Expr], exact: bool) -> Expr:
    """SymPy has sech, and its printer for NumPy does not."""
    return power_of(_call(sp.cosh)(v, exact), sp.S.NegativeOne, exact)


def _log_of_one_plus(v: Sequence[Expr], exact: bool) -> Expr:
    return _call(sp.log)([add([sp.S.One, v[0]], exact)], exact)


def _softplus(v: Sequence[Expr], exact: bool) -> Expr:
    return _log_of_one_plus([_call(sp.exp)(v, exact)], exact)


def _log_of_exponentials(v: Sequence[Expr], exact: bool) -> Expr:
    return _call(sp.log)([add([_call(sp.exp)([x], exact) for x in v], exact)], exact)


def _hypot(v: Sequence[Expr], exact: bool) -> Expr:
    squares = [power_of(x, sp.Integer(2), exact) for x in v]
    return power_of(add(squares, exact), sp.S.Half, exact)


def _remainder(v: Sequence[Expr], exact: bool) -> Expr:
    """C's fmod: the sign is the dividend's."""
    size = _call(sp.Mod)([_call(sp.Abs)([x], exact) for x in v], exact)
    return multiply([_call(sp.sign)([v[0]], exact), size], exact)


def _lattice(function: Any) -> Callable[[Sequence[Expr], bool], Expr]:
    """Max and Min compare their arguments, which recurses; `_argset` is what SymPy's own constructor sets."""

    def build(v: Sequence[Expr], exact: bool) -> Expr:
        if exact:
            return function(*v)
        made = raw(function, *v)
        made._argset = frozenset(v)
        return made

    return build


def _formula(formula: Callable[..., Expr]) -> Callable[[Sequence[Expr], bool], Expr]:
    """A formula of a few operations; without evaluation it is made of dummies and filled in afterwards."""

    def build(v: Sequence[Expr], exact: bool) -> Expr:
        if exact:
            return formula(*v)
        dummies = [sp.Dummy(real=True) for _ in v]
        return _filled(formula(*dummies), dict(zip(dummies, v, strict=True)))

    return build


def _filled(e: Expr, values: Mapping[Expr, Expr]) -> Expr:
    """`e` with its dummies replaced; recurses over one formula of this module, nothing of the user's."""
    if e in values:
        return values[e]
    if not e.args:
        return e
    args = [_filled(part, values) for part in e.args]
    if e.is_Add or e.is_Mul:
        return (add if e.is_Add else multiply)(args, False)
    return power_of(args[0], args[1], False) if e.is_Pow else raw(e.func, *args)


@cache
def _quotient_form(op: str) -> Callable[[Sequence[Expr], bool], Expr]:
    """sin(x)/x and its like, and their derivatives, as they are written; not made on import."""
    q, order = QUOTIENT_ROWS[op]
    x = sp.Dummy(real=True)
    e = sp.diff(q.numerator(_SYMBOLIC, 0, x) / x, x, order)
    return _formula(lambda v: e.xreplace({x: v}))


@cache
def _radial_form(op: str) -> Callable[[Sequence[Expr], bool], Expr]:
    """R^k f of a root, as it is written: (1/x d/dx) so many times."""
    family, k = RADIAL_ROWS[op]
    x = sp.Dummy(real=True)
    e = family.value(_SYMBOLIC, x)
    for _ in range(k):
        e = sp.diff(e, x) / x
    return _formula(lambda h, s: e.xreplace({x: h}))


_SYMBOLIC = Arithmetic(
    lambda op, *v: v[0] - v[1] if op == "sub" else builder(op)(v, True),
    lambda c: sp.Rational(c.numerator, c.denominator),
)

_DIFFERENCES: dict[str, Callable[[Expr], Expr]] = {
    "exp": sp.exp, "log": sp.log, "sqrt": sp.sqrt, "sin": sp.sin, "cos": sp.cos, "atan": sp.atan,
    "reciprocal": lambda x: 1 / x, "reciprocal_root": lambda x: 1 / sp.sqrt(x),
    "logistic": lambda x: 1 / (1 + sp.exp(-x)),
    "log1p": lambda x: sp.log(1 + x), "softplus": lambda x: sp.log(1 + sp.exp(x)),
    "xlogx": lambda x: x * sp.log(x),
    **{name: getattr(sp, name) for name in (
        "asin", "asinh", "acosh", "atanh", "tan", "sinh", "cosh", "erf", "loggamma",
    )},
}  # fmt: skip


def _difference_of(f: Callable[[Expr], Expr]) -> Callable[[Sequence[Expr], bool], Expr]:
    return _formula(lambda c, u, v: f(c + u) - f(c + v))


_BUILDERS: dict[str, Callable[[Sequence[Expr], bool], Expr]] = {
    "pow": lambda v, exact: power_of(v[0], v[1], exact),
    "pow_slope": lambda v, exact: v[1] * power_of(v[0], v[1] - 1, exact),
    "pow_log": lambda v, exact: power_of(v[0], v[1], exact) * sp.log(v[0]),
    "pow_1": lambda v, exact: power_of(v[0], v[1] - 1, exact),
    "pow_2": lambda v, exact: power_of(v[0], v[1] - 2, exact),
    "pow_3": lambda v, exact: power_of(v[0], v[1] - 3, exact),
    "sqrt": lambda v, exact: power_of(v[0], sp.S.Half, exact),
    "cbrt": lambda v, exact: power_of(v[0], sp.Rational(1, 3), exact),
    "exp2": lambda v, exact: power_of(sp.Integer(2), v[0], exact),
    "hypot": _hypot,
    "logistic": _logistic,
    "softplus": _softplus,
    "sech": _one_over_cosh,
    "logaddexp": _log_of_exponentials,
    "share": _formula(lambda *v: sp.exp(v[0]) / sp.Add(*map(sp.exp, v))),
    "share_of_others": _formula(lambda *v: sp.Add(*map(sp.exp, v[1:])) / sp.Add(*map(sp.exp, v))),
    "log_share": _formula(lambda *v: v[0] - sp.log(sp.Add(*map(sp.exp, v)))),
    "margin": _formula(lambda *v: (sp.exp(v[0]) - sp.exp(v[1])) / sp.Add(*map(sp.exp, v))),
    "margin_slope": _formula(
        lambda *v: sp.exp(v[0]) * (sp.exp(v[1]) + sp.Add(*map(sp.exp, v[1:]))) / sp.Add(*map(sp.exp, v)) ** 2
    ),
    "log1p": _log_of_one_plus,
    "expm1": lambda v, exact: add([_call(sp.exp)(v, exact), sp.S.NegativeOne], exact),
    "square_difference": _formula(lambda x, y: x**2 - y**2),
    "hypot_slope": _formula(lambda x, y: x / sp.sqrt(x**2 + y**2)),
    "inversion": _formula(lambda x, y: x / (x**2 + y**2)),
    "direction_cosine": _formula(lambda x, y: x / sp.sqrt(x**2 + y**2)),
    "less_cosine": _formula(lambda x, y: 1 - x / sp.sqrt(x**2 + y**2)),
    "log_squares": _formula(lambda x, y: sp.log(x**2 + y**2)),
    "double_cosine": _formula(lambda x, y: (x**2 - y**2) / (x**2 + y**2)),
    "leg": _formula(lambda x, y: sp.sqrt(x**2 - y**2)),
    "leg_cosh": _formula(lambda x, y: x / sp.sqrt(x**2 - y**2)),
    "leg_sinh": _formula(lambda x, y: y / sp.sqrt(x**2 - y**2)),
    "logistic_slope": _formula(lambda x: sp.exp(x) / (1 + sp.exp(x)) ** 2),
    "logistic_entropy": _formula(lambda x: sp.log(1 + sp.exp(x)) - x / (1 + sp.exp(-x))),
    "exp_share": _formula(lambda x: sp.exp(x) / (sp.exp(x) - 1)),
    "log1mexp": _formula(lambda x: sp.log(1 - sp.exp(x))),
    "logexpm1": _formula(lambda x: sp.log(sp.exp(x) - 1)),
    "logsubexp": _formula(lambda x, y: sp.log(sp.exp(x) - sp.exp(y))),
    "logcosh": _formula(lambda x: sp.log(sp.cosh(x))),
    "log1msq": _formula(lambda x: sp.log(1 - x**2)),
    "loghypot1": _formula(lambda x: sp.log(1 + x**2) / 2),
    "hypot1m1": _formula(lambda x: sp.sqrt(1 + x**2) - 1),
    "pow_difference": _formula(lambda c, u, v, p: (c + u) ** p - (c + v) ** p),
    "powm1": _formula(lambda x, y, t: x**y - 1),
    "hypot_less_side": _formula(lambda x, y: sp.sqrt(x**2 + y**2) - x),
    "half_tangent": _formula(lambda x, y: (sp.sqrt(x**2 + y**2) - y) / x),
    "altitude": _formula(lambda x, y: x * y / sp.sqrt(x**2 + y**2)),
    "pseudo_huber": _formula(lambda x, y: y * (sp.sqrt(x**2 + y**2) - y)),
    "leg_less_side": _formula(lambda x, y: sp.sqrt(x**2 - y**2) - x),
    "root_less_side": _formula(lambda x, s, r: r - x),
    "less_norm_cosine": _formula(lambda x, s, r: 1 - x / r),
    "quadratic_root": _formula(lambda x, t, q: (sp.sqrt(x**2 + q * t) - x) / q),
    "quadratic_root_slope": _formula(
        lambda x, t, q: (sp.sqrt(x**2 + q * t) - x) / (q * sp.sqrt(x**2 + q * t))
    ),
    "hypot_difference": _formula(
        lambda c, u, v, w: sp.sqrt((c + u) ** 2 + w**2) - sp.sqrt((c + v) ** 2 + w**2)
    ),
    "cosine_difference": _formula(
        lambda c, u, v, w: (c + u) / sp.sqrt((c + u) ** 2 + w**2) - (c + v) / sp.sqrt((c + v) ** 2 + w**2)
    ),
    "sine_difference": _formula(
        lambda c, u, v, w: w / sp.sqrt((c + u) ** 2 + w**2) - w / sp.sqrt((c + v) ** 2 + w**2)
    ),
    "root_beside_square": _formula(lambda x, s: sp.sqrt(x**2 + s)),
    "sqrt1pm1": _formula(lambda x: sp.sqrt(1 + x) - 1),
    "log_abs": _formula(lambda x: sp.log(sp.Abs(x))),
    "log_product": _formula(lambda x, y: sp.log(x * y)),
    "log_quotient": _formula(lambda x, y: sp.log(x / y)),
    "log_in_range": lambda v, exact: _call(sp.log)(v[:1], exact),
    "xovery": _formula(lambda x, y: x / y),
    "xlogy": _formula(lambda x, y: x * sp.log(y)),
    "xlog1py": _formula(lambda x, z: x * sp.log(1 + z)),
    "relative_entropy": _formula(lambda x, y: x * sp.log(x / y)),
    "anchor": lambda v, exact: sp.S.Zero,
    "deviation": _formula(lambda x, y: x - y),
    "finite_part": _formula(lambda x: x),
    "nested_share": _formula(lambda x, y: x * y),
    "scaled": lambda v, exact: v[0],
    "scaled_norm": lambda v, exact: v[0],
    "norm_cosine": _formula(lambda x, q, h: x / h),
    "out_of_range": lambda v, exact: sp.false,
    "norm": lambda v, exact: power_of(v[1], sp.S.Half, exact),
    "removable": lambda v, exact: v[-1],
    "offset": lambda v, exact: v[0] - v[1],
    "reduced": lambda v, exact: v[0] - v[1] - v[2] * sp.floor((v[0] - v[1]) / v[2] + sp.S.Half),
    "radial_removable": lambda v, exact: v[-1],
    "xlogx": _formula(lambda x: x * sp.log(x)),
    "exp_of_sum": _formula(lambda x, y: sp.exp(x) * sp.exp(y)),
    "radial_cos": _formula(lambda h, s: sp.cos(h)),
    "radial_cosh": _formula(lambda h, s: sp.cosh(h)),
    "radial_versine": _formula(lambda h, s: 1 - sp.cos(h)),
    "radial_coshm1": _formula(lambda h, s: sp.cosh(h) - 1),
    "radial_logcosh": _formula(lambda h, s: sp.log(sp.cosh(h))),
    "fmod": _remainder,
    "maximum": _lattice(sp.Max),
    "minimum": _lattice(sp.Min),
    "lt": _less(sp.StrictLessThan, sp.StrictGreaterThan),
    "le": _less(sp.LessThan, sp.GreaterThan),
    "eq": _comparison(sp.Equality, sp.false),
    "ne": _comparison(sp.Unequality, sp.true),
    "and": lambda v, exact: sp.And(*v, evaluate=exact),
    "or": lambda v, exact: sp.Or(*v, evaluate=exact),
    "not": lambda v, exact: sp.Not(v[0], evaluate=exact),
    **{f"{name}_difference": _difference_of(f) for name, f in _DIFFERENCES.items()},
    **SPECIAL_FORMS,
}


def builder(op: str) -> Callable[[Sequence[Expr], bool], Expr]:
    """What makes the SymPy expression of an op."""
    if op in _BUILDERS:
        return _BUILDERS[op]
    if op in RADIAL_ROWS:
        return _radial_form(op)
    return _quotient_form(op) if op in QUOTIENT_ROWS and op != "sinc" else _function_of(op)


def _function_of(op: str) -> Callable[[Sequence[Expr], bool], Expr]:
    """The SymPy function that the op's row names."""
    row = OPS.get(op)
    function = getattr(sp, row.sympy, None) if row is not None and row.sympy else None
    if function is None:
        raise UnsupportedExpression(
            f"the operation `{op}` has no SymPy spelling",
            because="its row in the op table names no SymPy function",
            try_="print the program instead of its SymPy form",
        )
    return _call(function)
