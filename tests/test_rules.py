"""Every rewrite: fires on its example, keeps the value, makes no nan, and is applied once."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable
from fractions import Fraction
from math import gcd, prod
from types import SimpleNamespace

import mpmath
import numpy as np
import pytest

from symgrad.ir.evaluate import evaluate
from symgrad.ir.graph import Graph, Node
from symgrad.ir.ops import OPS
from symgrad.ir.rules import TABLE, Rule, select
from symgrad.ir.series.laurent import ROWS as REMOVABLE

Example = Callable[[Graph, SimpleNamespace], tuple[Node, ...]]

POINTS = [(0.3, 1.7, -0.4), (1.25, 0.5, 2.0), (0.01, 3.0, 0.75)]
NEAR_ZERO = 1e-12
HARD = (0.0, -0.0, 1.0, -1.0, 1e-300, 1e300, 800.0, -800.0, np.inf, -np.inf, np.nan)


def _one_and_two(g, v):
    """1 + exp(x) + exp(y)."""
    return _raw(g, "add", g.add(g.one, g.node("exp", v.x)), g.node("exp", v.y))


def _sum_of_exp(g: Graph, v: SimpleNamespace, *free: Node) -> Node:
    axis = g.fresh_axis(v.n)
    body = g.node("exp", g.sub(g.read(v.u, axis), g.sum_of(free)))
    return g.read(g.define("sum", (), (axis,), body))


def _two_shares_over_axis(g: Graph, v: SimpleNamespace) -> tuple[Node, ...]:
    total = g.node("log", _sum_of_exp(g, v))
    return g.zero, *(g.sub(g.read(v.u, g.const(k)), total) for k in range(2))


def _product_of_moduli(g: Graph, v: SimpleNamespace) -> Node:
    axis = g.fresh_axis(v.n)
    body = g.add(g.one, g.node("abs", g.read(v.u, axis)))
    return g.read(g.define("prod", (), (axis,), body))


def _determinant(g: Graph, v: SimpleNamespace) -> Node:
    """Of a matrix with 2 + exp(x) on the diagonal and y below: positive."""
    axes = (g.fresh_axis(g.const(2)), g.fresh_axis(g.const(2)))
    body = g.where(g.ieq(*axes), g.add(g.const(2), g.node("exp", v.x)), g.mask(g.ige0(g.isub(*axes)), v.y))
    return g.read(g.define("call", (v.point,), axes, body, name="det"), v.point)


def _weighted_sum(g: Graph, v: SimpleNamespace) -> Node:
    axis = g.fresh_axis(v.n)
    entry = g.read(v.u, axis)
    return g.read(g.define("sum", (), (axis,), g.mul(g.node("sin", entry), g.node("exp", entry))))


def _variance(g: Graph, v: SimpleNamespace) -> tuple[Node, Node]:
    axis, n = g.fresh_axis(v.n), g.cast(v.n)
    entry = g.read(v.u, axis)
    squares = g.read(g.define("sum", (), (axis,), g.mul(entry, entry)))
    mean = g.div(g.read(g.define("sum", (), (axis,), entry)), n)
    return g.div(squares, n), g.mul(mean, mean)


def _bessel(g: Graph, name: str, x: Node, order: int = 1) -> Node:
    return g.node(f"bessel{name}", g.const(order), x)


def _by_law_of_cosines(g, v):
    mixed = g.mul(g.const(2), g.mul(v.x, g.mul(v.y, g.node("cos", v.z))))
    return g.sub(g.add(g.mul(v.x, v.x), g.mul(v.y, v.y)), mixed)


def _norm(g: Graph, v: SimpleNamespace) -> Node:
    return g.node("hypot", v.x, v.y)


def _sum_of_squares(g: Graph, v: SimpleNamespace, beside: Node | None = None) -> Node:
    axis = g.fresh_axis(v.n)
    entry = g.read(v.u, axis) if beside is None else g.add(g.read(v.u, axis), beside)
    return g.read(g.define("sum", (), (axis,), g.mul(entry, entry)))


def _softmax(g: Graph, v: SimpleNamespace) -> Node:
    """The first entry of a softmax."""
    axis = g.fresh_axis(v.n)
    total = g.read(g.define("logsumexp", (), (axis,), g.read(v.u, axis)))
    return g.node("exp", g.sub(g.read(v.u, g.zero), total))


def _mean(g: Graph, v: SimpleNamespace, power: int) -> Node:
    """That of the powers of the numbers, under their softmax."""
    axis, other = g.fresh_axis(v.n), g.fresh_axis(v.n)
    total = g.read(g.define("logsumexp", (), (other,), g.read(v.u, other)))
    x = g.read(v.u, axis)
    return g.read(
        g.define("sum", (), (axis,), g.mul(g.node("exp", g.sub(x, total)), g.integer_power(x, power)))
    )


def _mean_of_two(g: Graph, v: SimpleNamespace, power: int) -> tuple[Node, Node]:
    shares = g.node("logistic", g.sub(v.x, v.y)), g.node("logistic", g.sub(v.y, v.x))
    first, second = (g.mul(p, g.integer_power(x, power)) for p, x in zip(shares, (v.x, v.y), strict=True))
    return first, second


def _norm_of_three(g: Graph, v: SimpleNamespace) -> Node:
    return g.node("sqrt", g.sum_of(g.mul(a, a) for a in (v.x, v.y, v.z)))


def _power(g: Graph, v: SimpleNamespace) -> Node:
    return g.node("scaled", g.one, g.add(g.one, g.mul(v.z, v.z)))


def _mask_inside_mask(g: Graph, v: SimpleNamespace) -> tuple[Node, Node]:
    is_not_zero = g.node("ne", g.node("scaled", v.x, v.z), g.zero)
    return is_not_zero, g.add(g.mask(is_not_zero, v.x), v.y)


def _square_of_mean(g: Graph, v: SimpleNamespace) -> Node:
    mean = g.add(*_mean_of_two(g, v, 1))
    return g.mul(mean, mean)


def _products_of_shares(g: Graph, v: SimpleNamespace) -> tuple[Node, Node]:
    p, q, r = (g.node("logistic", a) for a in (v.x, v.y, v.z))
    return g.mul(p, q), g.mul(g.mul(p, q), r)


def _two_exponentials(g: Graph, v: SimpleNamespace) -> Node:
    return g.add(g.node("exp", v.x), g.node("exp", v.y))


def _power_of_share(g: Graph, x: Node) -> Node:
    return g.node("exp", g.mul(g.const(Fraction(3, 2)), g.neg(g.node("softplus", x))))


def _raw(g: Graph, op: str, *args: Node) -> Node:
    return g.intern(op, args)


def _choice_of_small(g: Graph, v: SimpleNamespace) -> Node:
    """Of x*y for small y, where y is hidden elsewhere, and z."""
    is_small = g.node("lt", g.node("abs", v.y), g.one)
    return g.where(is_small, g.mul(v.x, g.where(is_small, v.y, g.zero)), v.z)


def _removable(g: Graph, x: Node) -> tuple[Node, ...]:
    """The arguments of tanh(x)/x with one term of its series."""
    ends = g.const(Fraction(-1, 1024)), g.const(Fraction(1, 1024))
    return x, *ends, x, g.one, _raw(g, "div", g.node("tanh", x), x)


def _radial_removable(g: Graph, h: Node, square: Node, away: Node) -> tuple[Node, ...]:
    return h, square, *(a for k, a in enumerate(_removable(g, away)) if k in (2, 4, 5))


def cube(g: Graph, x: int) -> int:
    return g.mul(x, g.mul(x, x))


# One example per rule: the arguments its op is called with. x, y, z are reads; p, q are predicates.
EXAMPLES: dict[str, Example] = {
    **{f"{op}_of_root": lambda g, v: (_norm(g, v),)
       for op in ("cos", "cosh", "sinc", "sinhc")},
    **{f"{op}_of_root": lambda g, v: (g.zero, _norm(g, v)) for op in ("besselj", "besseli")},
    "filled_in_quotient": lambda g, v: (g.node("eq", v.x, g.zero), g.one, g.node("sinc", v.x)),
    "one_minus_radial": lambda g, v: (g.one, g.node("cos", _norm(g, v))),
    "radial_plus_minus_one": lambda g, v: (g.node("cosh", _norm(g, v)), g.minus_one),
    "log_of_radial_cosh": lambda g, v: (g.node("cosh", _norm(g, v)),),
    "quotient_by_square_of_root": lambda g, v: (
        g.sub(g.one, g.node("cos", _norm(g, v))), g.add(g.mul(v.x, v.x), g.mul(v.y, v.y))),
    "product_with_own_log_in_sum": lambda g, v: (v.x, g.add(g.node("log", v.x), g.one)),
    "regular_quotient": lambda g, v: (g.node("tanh", v.x), v.x),
    "regular_product": lambda g, v: (v.x, g.node("gamma", v.x)),
    "regular_sum": lambda g, v: (v.x, g.node("expm1", g.neg(v.x))),
    "regular_difference": lambda g, v: (v.x, g.node("tanh", v.x)),
    "log_of_nearly_one": lambda g, v: (g.node("sinc", v.x),),
    "product_regular_far_out": lambda g, v: (v.x, g.node("sin", g.div(g.one, v.x))),
    "quotient_regular_far_out": lambda g, v: (
        g.node("sin", g.div(g.one, v.x)), g.node("tanh", g.div(g.one, v.x))),
    "difference_regular_far_out": lambda g, v: (
        g.node("sinh", g.div(g.one, v.x)), g.node("tanh", g.div(g.one, v.x))),
    "sum_regular_far_out": lambda g, v: (
        g.node("log1p", g.div(g.one, v.x)), g.div(g.minus_one, v.x)),
    "log_of_nearly_one_far_out": lambda g, v: (g.mul(v.x, g.node("atan", g.div(g.one, v.x))),),
    "flat_product_of_root": lambda g, v: (
        g.add(_norm(g, v), g.one), g.node("exp", g.neg(_norm(g, v)))),
    "removable_of_root": lambda g, v: _removable(g, _norm(g, v)),
    "removable_at_constant": lambda g, v: (g.zero, *_removable(g, v.x)[1:3], g.zero, *_removable(g, v.x)[4:]),
    "removable_as_made_again": lambda g, v: (
        *_removable(g, v.x)[:5], _raw(g, "removable", *_removable(g, v.x))),
    "radial_removable_at_constant": lambda g, v: _radial_removable(g, g.zero, g.zero, v.x),
    "radial_removable_as_made_again": lambda g, v: (
        *_radial_removable(g, v.x, v.y, v.x)[:4], _raw(g, "removable", *_removable(g, v.x))),
    "fold_offset": lambda g, v: (g.const(3), g.const(2), g.const(2), g.zero, g.zero),
    "fold_reduced": lambda g, v: tuple(
        g.const(k) for k in (8, 1, 3, 1, 0, 0, 0, 3, 0, 0, 0, 0)  # 8 is 1 + 2*3 and 1 more
    ),
    "sum_of_odd_function": lambda g, v: (g.node("sin", g.add(v.x, v.y)), g.node("sin", g.sub(v.x, v.y))),
    "divided_second_difference": lambda g, v: (_choice_of_small(g, v), v.y),
    "abs_of_named_number": lambda g, v: (g.const("pi"),),
    "log_of_exponential_quotient": lambda g, v: (g.node("exprel", v.x),),
    "over_cosh": lambda g, v: (v.y, g.node("cosh", v.x)),
    "log_of_erfc": lambda g, v: (g.mul(g.const(3), g.node("erfc", v.x)),),
    "log_of_exp_times_erfc": lambda g, v: (
        g.where(g.node("lt", g.one, v.x), g.node("erfcx", v.x), g.node("erfc", v.x)),),
    "any_exp_times_erfc": lambda g, v: (g.node("exp", v.y), g.node("erfc", v.x)),
    "exp_times_erfc": lambda g, v: (g.node("exp", g.mul(v.x, v.x)), g.node("erfc", v.x)),
    "exp_over_erfc": lambda g, v: (g.node("exp", g.neg(g.mul(v.x, v.x))), g.node("erfc", v.x)),
    "large_over_large": lambda g, v: (g.node("exp", v.x), g.node("expm1", v.x)),
    "large_times_quotient": lambda g, v: (g.node("cosh", v.x), g.div(v.y, g.node("sinh", v.x))),
    "root_of_squares_to_norm": lambda g, v: (_sum_of_squares(g, v),),
    "root_of_product_to_norms": lambda g, v: (g.mul(_sum_of_squares(g, v), _sum_of_squares(g, v, g.one)),),
    "weighted_mean_of_few": lambda g, v: (
        _raw(g, "add", g.mul(v.z, g.node("exp", v.x)), g.node("exp", v.y)),
        _raw(g, "add", g.node("exp", v.x), g.node("exp", v.y))),
    "margin_of_softmax": lambda g, v: (g.node("exp_difference", g.zero, v.x, v.y), _sum_of_exp(g, v)),
    "difference_of_shares_over_axis": _two_shares_over_axis,
    "weighted_mean_beside_others": lambda g, v: (_weighted_sum(g, v), g.add(g.one, _sum_of_exp(g, v))),
    "log_one_plus_sum_of_exp_to_softplus": lambda g, v: (_sum_of_exp(g, v),),
    "mean_of_product_less_product_of_means": lambda g, v: (
        _mean(g, v, 2), g.mul(_mean(g, v, 1), _mean(g, v, 1))),
    "total_less_mean_of_exponents": lambda g, v: (g.node("log", _sum_of_exp(g, v)), _mean(g, v, 1)),
    "total_less_mean_of_few": lambda g, v: (
        g.add(g.node("logaddexp", v.x, v.y), g.mul(g.const(Fraction(-3, 4)), v.x)),
        g.mul(g.const(Fraction(-1, 4)), v.y)),
    "shares_to_share_of_others": lambda g, v: (
        g.node("share", v.x, v.y, v.z), g.node("share", v.y, v.x, v.z)),
    "mean_of_squares_less_square_of_mean": lambda g, v: (
        g.sub(_mean_of_two(g, v, 2)[0], _square_of_mean(g, v)), _mean_of_two(g, v, 2)[1]),
    "product_less_its_share": _products_of_shares,
    "incomplete_gamma_to_regularised": lambda g, v: (
        g.intern("mul", (g.node("gammainc", v.x, v.y), g.node("gamma", v.x))),
        g.node("gamma", v.x),
    ),
    "quotient_less_its_share": lambda g, v: (
        g.div(v.z, g.add(v.x, v.y)), g.div(g.div(g.mul(v.x, v.z), g.add(v.x, v.y)), g.add(v.x, v.y))),
    "quotient_plus_its_negative_share": lambda g, v: (
        g.div(g.neg(g.mul(g.const(2), v.z)), g.add(v.x, v.y)),
        g.div(g.div(g.mul(g.mul(g.const(2), v.x), v.z), g.add(v.x, v.y)), g.add(v.x, v.y))),
    "slope_beside_number": lambda g, v: (v.x, g.one),
    "root_less_square_over_it": lambda g, v: (
        g.node("hypot", v.x, g.one), g.mul(v.x, g.node("direction_cosine", v.x, g.one))),
    "log1p_of_squares": lambda g, v: (g.div(g.mul(v.x, v.x), g.mul(v.y, v.y)),),
    "root_beside_number": lambda g, v: (g.add(g.one, g.div(g.mul(v.x, v.x), g.mul(v.y, v.y))),),
    "root_less_one_times_width": lambda g, v: (
        g.mul(v.y, v.y), g.node("hypot1m1", g.div(v.x, v.y))),
    "side_over_root_beside_one": lambda g, v: (
        g.mul(v.z, v.x), g.node("hypot", g.div(v.x, v.y), g.one)),
    "over_root_less_side": lambda g, v: (
        g.const(3), g.node("root_less_side", v.x, v.y, g.node("root_beside_square", v.x, v.y))),
    "root_less_side_over_other": lambda g, v: (g.node("hypot_less_side", v.y, v.x), g.mul(v.z, v.x)),
    "over_square_beside_one": lambda g, v: (
        v.z, g.add(g.one, g.div(g.mul(v.x, v.x), g.mul(v.y, v.y)))),
    "side_beside_cosine_of_one": lambda g, v: (
        v.x, g.integer_power(g.node("direction_cosine", g.one, v.x), 3)),
    "one_less_cosine": lambda g, v: (g.one, g.node("hypot_slope", v.x, v.y)),
    "cosine_squared_less_one": lambda g, v: (g.node("direction_cosine", v.x, g.const(2)), g.one),
    "right_angle_less_arc": lambda g, v: (
        g.mul(g.const(Fraction(1, 2)), g.const("pi")), g.node("atan", v.x)),
    "right_angle_plus_arc": lambda g, v: (
        g.node("atan", v.x), g.mul(g.const(Fraction(1, 2)), g.const("pi"))),
    "sum_less_its_number": lambda g, v: (g.add(g.one, g.node("log", v.y)), g.minus_one),
    "one_plus_cosine": lambda g, v: (
        g.const(Fraction(1, 2)), g.mul(g.const(Fraction(1, 2)), g.node("hypot_slope", v.x, v.y))),
    "form_over_two_squares": lambda g, v: (g.mul(v.x, v.y), g.add(g.mul(v.x, v.x), g.mul(v.y, v.y))),
    "side_by_norm": lambda g, v: (
        v.x, g.node("sqrt", g.sum_of((g.mul(v.x, v.x), g.mul(v.y, v.y), g.mul(v.z, v.z))))),
    "over_power_of_norm": lambda g, v: (v.x, g.node(
        "pow", g.sum_of((g.mul(v.x, v.x), g.mul(v.y, v.y), g.mul(v.z, v.z))), g.const(Fraction(3, 2)))),
    "exponent_less_anchored_total": lambda g, v: (
        g.div(v.x, v.z), g.add(g.div(g.node("anchor", g.zero), v.z), g.mul(v.x, v.y))),
    "log_of_share_of_others": lambda g, v: (g.node("share_of_others", v.x, v.y, v.z),),
    "log_odds_of_share": lambda g, v: (
        g.node("log_share", v.x, v.y, v.z), g.node("softplus", g.sub(v.x, g.node("logaddexp", v.y, v.z)))),
    "log_of_exp_of_sum": lambda g, v: (g.node("exp_of_sum", v.x, v.y),),
    "anchored_total_and_opposite_exponent": lambda g, v: (
        g.div(v.x, v.z), g.sub(v.y, g.div(g.node("anchor", g.zero), v.z))),
    "product_with_anchored_total": lambda g, v: (
        v.z, g.add(g.div(g.node("anchor", g.zero), v.z), v.x)),
    "side_over_repeated_divisor": lambda g, v: (
        v.x, g.div(g.div(g.one, _norm_of_three(g, v)), _norm_of_three(g, v))),
    "power_over_itself": lambda g, v: (g.mul(v.x, _power(g, v)), _power(g, v)),
    "power_beside_its_reciprocal": lambda g, v: (_power(g, v), g.div(v.x, _power(g, v))),
    "power_outwards": lambda g, v: (v.x, g.mul(_power(g, v), v.y)),
    "mask_inside_mask": _mask_inside_mask,
    "log_of_root_and_side": lambda g, v: (g.node("hypot_less_side", v.x, g.one),),
    "log_of_two_squares": lambda g, v: (g.add(g.mul(v.x, v.x), g.mul(v.y, v.y)),),
    "fold_add": lambda g, v: (g.const(2), g.const(Fraction(1, 3))),
    "add_zero": lambda g, v: (v.x, g.zero),
    "add_neg_to_sub": lambda g, v: (v.x, g.neg(v.y)),
    "add_equal_masks": lambda g, v: (g.mask(v.p, v.x), g.mask(v.p, v.y)),
    "add_same_to_double": lambda g, v: (v.x, v.x),
    "exp_plus_minus_one_to_expm1": lambda g, v: (g.node("exp", v.x), g.const(-1)),
    "fold_sub": lambda g, v: (g.const(2), g.const(Fraction(1, 3))),
    "sub_zero": lambda g, v: (g.zero, v.x),
    "sub_neg_to_add": lambda g, v: (v.x, g.neg(v.y)),
    "difference_of_cosh_and_sinh": lambda g, v: (
        g.mul(v.y, g.node("cosh", v.x)),
        g.mul(v.y, g.node("sinh", v.x)),
    ),
    "sum_of_cosh_and_sinh": lambda g, v: (g.node("cosh", v.x), g.node("sinh", v.x)),
    "coth_less_one": lambda g, v: (g.div(v.y, g.node("tanh", v.x)), v.y),
    "coth_plus_one": lambda g, v: (g.div(g.one, g.node("tanh", v.x)), g.one),
    "log_of_coth": lambda g, v: (g.div(g.one, g.node("tanh", v.x)),),
    "one_plus_cosh": lambda g, v: (g.one, g.node("cosh", v.x)),
    "sinh_beside_its_half": lambda g, v: (g.node("sinh", g.mul(g.const(2), v.x)), g.node("sinh", v.x)),
    "sinh_times_sech": lambda g, v: (g.node("sinh", g.mul(g.const(2), v.x)), g.node("sech", v.x)),
    "exp_times_sinhc": lambda g, v: (g.node("exp", g.neg(v.x)), g.node("sinhc", v.x)),
    "sum_less_its_term": lambda g, v: (g.add(v.x, v.y), v.y),
    "sub_of_neg": lambda g, v: (g.neg(v.x), v.y),
    "exp_minus_one_to_expm1": lambda g, v: (g.node("exp", v.x), g.one),
    "fold_neg": lambda g, v: (g.const(Fraction(2, 3)),),
    "neg_neg": lambda g, v: (g.sub(v.x, v.y),),
    "neg_into_constant": lambda g, v: (g.mul(g.const(3), v.x),),
    "neg_into_mask": lambda g, v: (g.mask(v.p, v.x),),
    "fold_mul": lambda g, v: (g.const(6), g.const(Fraction(1, 3))),
    "mul_one": lambda g, v: (v.x, g.const(-1)),
    "mul_into_mask": lambda g, v: (v.y, g.mask(v.p, v.x)),
    "mul_zero": lambda g, v: (v.x, g.zero),
    "mul_neg": lambda g, v: (g.neg(v.x), v.y),
    "mul_constants_together": lambda g, v: (g.const(3), g.mul(g.const(5), v.x)),
    "mul_constant_outwards": lambda g, v: (v.y, g.mul(g.const("pi"), v.x)),
    "mul_reciprocal": lambda g, v: (v.x, g.div(g.one, v.y)),
    "mul_constants_first": lambda g, v: (v.x, g.const(3)),
    "fold_div": lambda g, v: (g.const(6), g.const(4)),
    "div_one": lambda g, v: (v.x, g.const(-1)),
    "div_power_of_two": lambda g, v: (v.x, g.const(-8)),
    "div_into_mask": lambda g, v: (g.mask(v.p, v.x), v.y),
    "div_neg": lambda g, v: (v.x, g.neg(v.y)),
    "softmax_to_exp_of_difference": lambda g, v: (g.node("exp", v.x), _sum_of_exp(g, v)),
    "weighted_mean_to_softmax": lambda g, v: (_weighted_sum(g, v), _sum_of_exp(g, v)),
    "quotient_to_logistic": lambda g, v: (g.one, _raw(g, "add", g.one, g.node("exp", v.x))),
    "pow_small_exponent": lambda g, v: (v.x, g.const(Fraction(1, 2))),
    "hypot_order": lambda g, v: g.ordered(v.x, v.y)[::-1],
    "fold_sqrt": lambda g, v: (g.const(Fraction(9, 4)),),
    "log_determinant": lambda g, v: (_determinant(g, v),),
    "log_sum_exp": lambda g, v: (_sum_of_exp(g, v),),
    "log_of_weighted_exponentials": lambda g, v: (
        g.add(g.mul(v.z, g.node("exp", v.x)), g.node("exp", v.y)),),
    "log_of_size_of_weighted_exponentials": lambda g, v: (_sum_of_exp(g, v),),
    "log_of_weighted_sum": lambda g, v: (v.x, _sum_of_exp(g, v)),
    "log_of_divided_sum": lambda g, v: (_sum_of_exp(g, v), v.x),
    "angle_over_side": lambda g, v: (g.node("atan2", v.y, v.x), v.y),
    "shift_back_of_log_sum_exp": lambda g, v: (
        g.read(v.u, g.zero), g.node("log", _sum_of_exp(g, v, g.read(v.u, g.zero)))
    ),
    "log_one_plus_exp_to_softplus": lambda g, v: (_raw(g, "add", g.one, g.node("exp", v.x)),),
    "log_one_plus_to_log1p": lambda g, v: (g.add(g.one, v.x),),
    "exp_of_minus_softplus_to_logistic": lambda g, v: (g.neg(g.node("softplus", v.x)),),
    "log_one_minus_square": lambda g, v: (g.sub(g.one, g.mul(v.t, v.t)),),
    "log_one_minus_exp_to_log1mexp": lambda g, v: (g.sub(g.one, g.node("exp", v.m)),),
    "log_of_expm1_to_logexpm1": lambda g, v: (g.node("expm1", v.y),),
    "log_difference_to_logsubexp": lambda g, v: (_raw(g, "sub", g.node("exp", v.x), g.node("exp", v.m)),),
    "log_of_cosh_to_logcosh": lambda g, v: (g.node("cosh", v.x),),
    "log_of_power": lambda g, v: (g.integer_power(v.x, 3),),
    "log_of_root": lambda g, v: (g.node("sqrt", v.x),),
    "log_of_hypot_of_one": lambda g, v: (g.node("hypot", g.one, v.x),),
    "product_with_own_log_to_xlogx": lambda g, v: (v.x, g.node("log", v.x)),
    "exp_times_exp": lambda g, v: (g.node("exp", v.x), g.node("exp", v.y)),
    "number_less_saturating": lambda g, v: (g.one, g.node("logistic", v.x)),
    "number_plus_saturating": lambda g, v: (g.const(0.5), g.mul(g.const(0.5), g.node("tanh", v.x))),
    "power_of_one_plus_exp": lambda g, v: (g.add(g.one, g.node("exp", v.x)), g.const(Fraction(1, 3))),
    "softplus_over_argument": lambda g, v: (g.node("softplus", v.x), v.x),
    "product_with_logistic": lambda g, v: (g.node("exp", v.x), g.mul(v.y, g.node("logistic", g.neg(v.x)))),
    "quotient_of_logistics": lambda g, v: (
        g.node("logistic", v.x), g.mul(v.y, g.node("logistic", g.neg(v.x)))),
    "sum_of_exponentials_times_sech": lambda g, v: (
        g.add(g.mul(v.y, g.node("exp", v.x)), g.mul(v.z, g.node("exp", g.neg(v.x)))), g.node("sech", v.x)),
    "slope_of_negative": lambda g, v: (g.neg(v.x),),
    "sech_of_negative": lambda g, v: (g.neg(v.x),),
    "exp_times_power_of_one_plus_exp": lambda g, v: (
        g.node("exp", g.mul(g.const(0.25), v.x)), _exp_of_softplus(g, v.x)),
    "over_exponential": lambda g, v: (v.y, g.node("exp", v.x)),
    "sum_of_exponentials_to_cosh": lambda g, v: (g.node("exp", v.x), g.node("exp", g.neg(v.x))),
    "log_of_sech": lambda g, v: (g.node("sech", v.x),),
    "log_of_sinh": lambda g, v: (g.node("sinh", v.x),),
    "log_of_tanh": lambda g, v: (g.node("tanh", v.x),),
    "quotient_of_bessel": lambda g, v: (_bessel(g, "i", v.x), _bessel(g, "i", v.x, 0)),
    "product_of_bessel": lambda g, v: (g.node("exp", v.x), _bessel(g, "k", v.x)),
    "log_of_bessel": lambda g, v: (g.mul(g.const(2), _bessel(g, "i", v.x)),),
    "difference_with_bessel": lambda g, v: (g.one, g.div(_bessel(g, "i", v.x), _bessel(g, "i", v.x, 0))),
    "sum_with_bessel": lambda g, v: (v.x, g.node("log", _bessel(g, "k", v.x))),
    "log_of_gamma": lambda g, v: (g.node("gamma", v.x),),
    "quotient_of_gammas": lambda g, v: (g.node("gamma", v.x), g.node("gamma", v.y)),
    "erfinv_of_complement": lambda g, v: (g.sub(g.mul(g.const(Fraction(1, 2)), v.x), g.one),),
    "log_of_logistic_slope": lambda g, v: (g.node("logistic_slope", v.x),),
    "log_of_smooth_product": lambda g, v: (g.mul(g.node("logistic", v.x), g.node("logistic", v.y)),),
    "abs_of_positive": lambda g, v: (g.node("exp", v.x),),
    "pair_over_written_sum": lambda g, v: (g.node("exp_difference", g.zero, v.x, v.y), _one_and_two(g, v)),
    "number_over_sum_of_exponentials": lambda g, v: (g.one, _one_and_two(g, v)),
    "difference_of_shares": lambda g, v: (g.node("share", v.x, v.y, v.z), g.node("share", v.y, v.x, v.z)),
    "softplus_less_weighted": lambda g, v: (
        g.node("softplus", g.neg(v.x)), g.mul(v.x, g.node("logistic", v.y))),
    "weighted_from_softplus": lambda g, v: (
        g.node("softplus", v.x), g.mul(v.x, g.node("logistic", v.y))),
    "shares_times_their_logarithms": lambda g, v: (
        g.mul(g.node("logistic", v.x), g.node("softplus", g.neg(v.x))),
        g.mul(g.node("logistic", g.neg(v.x)), g.node("softplus", v.x))),
    "exponential_of_entropy": lambda g, v: (
        g.add(g.one, g.node("exp", v.x)), g.node("exp", g.neg(g.mul(v.x, g.node("logistic", v.x))))),
    "log_of_entropy": lambda g, v: (g.node("logistic_entropy", v.x),),
    "log_of_logistic_difference": lambda g, v: (g.node("logistic_difference", g.zero, v.x, g.neg(v.x)),),
    "log_of_softplus": lambda g, v: (g.node("softplus", v.x),),
    "sum_of_logistic_polynomials": lambda g, v: (
        cube(g, g.node("tanh", v.x)), g.one),
    "difference_of_logistic_polynomials": lambda g, v: (
        g.one, cube(g, g.node("logistic", v.x))),
    "log_of_logistic_polynomials": lambda g, v: (
        g.sub(g.one, cube(g, g.node("logistic", v.x))),),
    "log_of_mixture": lambda g, v: (
        g.add(g.node("logistic", v.x), g.mul(g.node("logistic", g.neg(v.x)), g.node("logistic", v.y))),),
    "log1p_of_mixture": lambda g, v: (
        g.neg(g.mul(g.node("logistic", v.x), g.node("logistic", v.y))),),
    "power_of_share": lambda g, v: (
        g.node("exp", g.mul(g.const(Fraction(1, 2)), v.x)), g.node("sqrt", _two_exponentials(g, v))),
    "root_over_sum_with_root": lambda g, v: (
        g.node("sqrt", _two_exponentials(g, v)),
        g.add(g.node("exp", v.z), g.node("sqrt", _two_exponentials(g, v)))),
    "whole_less_powers": lambda g, v: (
        g.sub(g.one, _power_of_share(g, v.x)), _power_of_share(g, g.neg(v.x))),
    "whole_plus_negative_powers": lambda g, v: (
        g.mul(g.const(-2), _power_of_share(g, v.x)),
        g.mul(g.const(2), g.sub(g.one, _power_of_share(g, g.neg(v.x))))),
    "log_of_sum_of_shares": lambda g, v: (
        g.add(g.node("share", v.x, v.y, v.z),
              g.mul(g.const(Fraction(1, 3)), g.node("share", v.y, v.x, v.z))),),
    "difference_of_products_with_shares": lambda g, v: (
        g.mul(v.t, g.node("share", v.x, v.y, v.z)), g.mul(v.t, g.node("share", v.y, v.x, v.z))),
    "atan_of_sinh": lambda g, v: (g.node("sinh", v.x),),
    "asin_of_tanh": lambda g, v: (g.node("tanh", v.x),),
    "acos_of_tanh": lambda g, v: (g.node("tanh", v.x),),
    "over_softplus": lambda g, v: (
        v.x, g.node("softplus", v.x)),
    "root_of_softplus": lambda g, v: (g.node("softplus", v.x),),
    "log1mexp_of_small": lambda g, v: (g.mul(g.const(-3), g.node("exp", v.x)),),
    "logexpm1_of_small": lambda g, v: (g.node("exp", v.x),),
    "quotient_with_small_exponential": lambda g, v: (g.node("softplus", v.x), g.node("logistic", v.x)),
    "product_with_small_exponential": lambda g, v: (g.node("softplus", v.x), g.node("exp", g.neg(v.x))),
    "one_minus_share": lambda g, v: (g.one, g.node("share", v.x, v.y, v.z)),
    "log_of_share": lambda g, v: (g.node("share", v.x, v.y, v.z),),
    "exp_of_log_share_to_share": lambda g, v: (g.node("log_share", v.x, v.y, v.z),),
    "one_minus_erf": lambda g, v: (g.one, g.node("erf", v.x)),
    "one_plus_erf": lambda g, v: (g.one, g.node("erf", v.x)),
    "log_softmax_to_softplus": lambda g, v: (g.node("logaddexp", g.node("logaddexp", v.x, v.y), v.z), v.y),
    "log_sum_exp_and_opposite_score": lambda g, v: (g.add(v.y, v.x), g.node("softplus", g.neg(v.x))),
    "one_minus_cos": lambda g, v: (g.one, g.node("cos", v.x)),
    "cos_plus_minus_one": lambda g, v: (g.minus_one, g.node("cos", v.x)),
    "one_minus_cosh": lambda g, v: (g.one, g.node("cosh", v.x)),
    "cosh_plus_minus_one": lambda g, v: (g.minus_one, g.node("cosh", v.x)),
    "difference_of_exponentials_to_sinh":
        lambda g, v: (g.node("exp", v.x), g.node("exp", g.neg(v.x))),
    "one_minus_square_of_sine": lambda g, v: (g.one, g.mul(g.node("cos", v.x), g.node("cos", v.x))),
    "difference_of_shifted": lambda g, v: (g.sub(v.x, v.z), g.sub(v.y, v.z)),
    "square_less_a_number": lambda g, v: (g.mul(v.x, v.x), g.const(-4)),
    "sign_of_power": lambda g, v: (g.mul(v.x, g.mul(v.x, v.x)),),
    "modulus_times_sign": lambda g, v: (g.mul(v.y, g.node("abs", v.x)), g.node("sign", v.x)),
    "sum_with_opposite_terms": lambda g, v: (g.sub(v.x, v.y), g.add(v.y, v.z)),
    "quotient_in_lowest_terms": lambda g, v: (
        g.mul(v.z, g.node("square_difference", v.x, v.y)), g.add(v.x, v.y)
    ),
    "root_of_square_to_modulus": lambda g, v: (g.mul(g.const(3), g.mul(v.x, v.x)),),
    "quotient_by_modulus": lambda g, v: (g.mul(v.x, v.y), g.mul(v.z, g.node("abs", v.x))),
    "root_of_difference_to_leg": lambda g, v: (
        g.node("square_difference", g.add(g.const(4), g.node("sin", v.x)), v.y),
    ),
    "side_by_hypot": lambda g, v: (g.mul(g.const(3), v.x), g.node("hypot", v.x, v.y)),
    "log_of_product": lambda g, v: (g.mul(g.node("abs", v.x), g.node("abs", v.y)),),
    "log_of_long_product": lambda g, v: (_product_of_moduli(g, v),),
    "log_of_general_power": lambda g, v: (g.node("pow", v.x, v.z),),
    "product_with_own_log_quotient": lambda g, v: (g.mul(v.y, v.x), g.node("log_quotient", v.x, v.y)),
    "number_times_log": lambda g, v: (v.z, g.node("log", v.x)),
    "difference_of_squares": lambda g, v: (g.mul(v.x, v.x), g.mul(v.y, v.y)),
    "root_minus_one": lambda g, v: (g.node("sqrt", g.add(v.x, g.one)), g.one),
    "root_plus_minus_one": lambda g, v: (g.node("sqrt", g.sub(g.one, g.mul(v.t, v.t))), g.minus_one),
    "one_minus_hypot": lambda g, v: (g.one, g.node("hypot", g.one, v.x)),
    "hypot_plus_minus_one": lambda g, v: (g.minus_one, g.node("hypot", g.one, v.x)),
    "difference_of_roots": lambda g, v: (g.node("sqrt", g.add(v.x, g.one)), g.node("sqrt", v.x)),
    "difference_of_lengths": lambda g, v: (g.node("hypot", v.x, v.y), g.node("hypot", v.z, v.y)),
    "root_of_two_squares_to_hypot": lambda g, v: (g.add(g.mul(v.x, v.x), g.mul(v.y, v.y)),),
    "variance_in_two_passes": lambda g, v: _variance(g, v),
    "quotient_by_own_argument": lambda g, v: (g.node("sin", g.mul(g.const(3), v.x)), v.x),
    "log_logistic_to_softplus": lambda g, v: (g.node("logistic", v.x),),
    "log_of_exp": lambda g, v: (g.node("exp", v.x),),
    "fold_log": lambda g, v: (g.one,),
    "fold_lt": lambda g, v: (g.one, g.const(2)),
    "fold_le": lambda g, v: (g.one, g.one),
    "fold_eq": lambda g, v: (g.one, g.const(2)),
    "fold_ne": lambda g, v: (g.one, g.const(2)),
    "fold_and": lambda g, v: g.ordered(v.p, v.q)[::-1],
    "fold_or": lambda g, v: g.ordered(v.p, v.q)[::-1],
    "fold_not": lambda g, v: (g.node("not", v.p),),
    "difference_of_one_function": lambda g, v: (g.node("cos", g.add(v.x, v.y)), g.node("cos", v.x)),
    "sum_with_opposite_factors": lambda g, v: (
        g.mul(g.const(2), g.node("sin", g.add(v.x, v.y))), g.mul(g.const(-2), g.node("sin", v.x))),
    "difference_of_one_power": lambda g, v: (
        g.node("pow", g.add(v.x, v.y), g.const(Fraction(5, 2))), g.node("pow", v.x, g.const(Fraction(5, 2)))),
    "sum_of_opposite_powers": lambda g, v: (
        g.div(g.const(3), g.mul(g.add(v.x, v.y), g.add(v.x, v.y))), g.div(g.const(-3), g.mul(v.x, v.x))),
    "difference_in_sum": lambda g, v: (g.sub(v.z, g.node("exp", v.x)), g.node("exp", g.add(v.x, v.y))),
    "difference_from_sum": lambda g, v: (
        g.add(g.node("exp", g.add(v.x, v.y)), g.node("exp", g.sub(v.x, v.y))),
        g.mul(g.const(2), g.node("exp", v.x))),
    "difference_of_digammas": lambda g, v: (
        g.node("digamma", g.add(v.x, v.y)), g.node("digamma", v.x)),
    "log_beta": lambda g, v: (
        g.sub(g.node("loggamma", v.x), g.node("loggamma", g.add(v.x, v.y))), g.node("loggamma", v.y)),
    "log_beta_with_other_sign": lambda g, v: (
        g.sub(g.node("loggamma", g.add(v.x, v.y)), g.node("loggamma", v.x)), g.node("loggamma", v.y)),
    "acos_of_nearly_one": lambda g, v: (g.sub(g.one, v.t),),
    "acosh_of_nearly_one": lambda g, v: (g.add(g.one, g.mul(v.x, v.x)),),
    "acos_of_side_over_length": lambda g, v: (g.div(v.x, g.node("hypot", v.x, v.y)),),
    "asin_of_side_over_length": lambda g, v: (g.neg(g.div(v.x, g.node("hypot", v.x, v.y))),),
    "atan_of_half_angle": lambda g, v: (g.div(v.x, g.node("hypot_less_side", g.neg(v.y), v.x)),),
    "atan2_of_half_angle": lambda g, v: (v.x, g.node("hypot_less_side", g.neg(v.y), v.x)),
    "sine_of_multiple": lambda g, v: (g.mul(g.const(3), g.node("atan2", v.x, v.y)),),
    "cosine_of_multiple": lambda g, v: (g.mul(g.const(2), g.node("atan2", v.x, v.y)),),
    "tangent_of_multiple": lambda g, v: (g.mul(g.const(Fraction(1, 2)), g.node("atan2", v.x, v.y)),),
    "side_by_law_of_cosines": lambda g, v: (_by_law_of_cosines(g, v),),
    "log_by_law_of_cosines": lambda g, v: (_by_law_of_cosines(g, v),),
    "log_of_polynomial": lambda g, v: (g.add(g.add(g.one, v.x), g.mul(v.x, v.x)),),
    "log1p_of_polynomial": lambda g, v: (
        g.add(v.x, g.mul(g.const(Fraction(1, 2)), g.mul(v.x, v.x))),),
    "log1mexp_of_square": lambda g, v: (g.neg(g.mul(v.x, v.x)),),
    "logexpm1_of_square": lambda g, v: (g.mul(v.x, v.x),),
    "root_of_double_zero": lambda g, v: (g.node("expm1", g.mul(v.x, v.x)),),
    "log_of_double_zero": lambda g, v: (g.sub(g.node("expm1", v.x), v.x),),
    "difference_of_logs_to_atanh": lambda g, v: (g.node("log1p", v.t), g.node("log1p", g.neg(v.t))),
    "angle_between": lambda g, v: (
        g.div(g.add(g.mul(v.x, v.z), g.mul(v.y, v.y)),
              g.mul(g.node("hypot", v.x, v.y), g.node("hypot", v.z, v.y))),),
    "log_over_distance_from_one": lambda g, v: (
        g.node("log_product", v.x, v.y), g.add(g.mul(v.x, v.y), g.minus_one)),
    "divergence": lambda g, v: (
        g.node("relative_entropy", v.x, v.y), g.sub(v.y, v.x)),
    "root_less_its_side": lambda g, v: (_norm(g, v), v.x),
    "root_plus_its_side": lambda g, v: (g.node("sqrt", g.add(g.mul(v.x, v.x), v.y)), v.x),
    "log_of_nearly_equal": lambda g, v: (g.add(v.x, v.y), v.x),
    "difference_over_sum_of_exponentials": lambda g, v: (
        g.sub(g.node("exp", v.x), g.node("exp", v.y)), g.add(g.node("exp", v.x), g.node("exp", v.y))),
    "power_plus_minus_one": lambda g, v: (g.node("pow", v.x, v.y), g.minus_one),
    "one_minus_power": lambda g, v: (g.one, g.node("pow", g.add(g.one, v.x), v.y)),
    "difference_of_multiples": lambda g, v: (v.y, g.mul(v.y, g.node("sinc", g.mul(v.x, v.y)))),
    "sum_of_multiples": lambda g, v: (
        g.node("sinc", g.mul(v.x, v.y)),
        g.mul(v.x, g.mul(v.y, g.node("sinc_1", g.mul(v.x, v.y))))),
    "terms_of_one_value": lambda g, v: (
        g.sub(g.add(v.y, g.node("exp", v.x)), v.x), g.minus_one),
    "terms_of_one_value_less_one": lambda g, v: (
        g.add(g.add(v.y, g.node("exp", v.x)), g.minus_one), v.x),
    "great_circle": lambda g, v: (
        g.add(
            g.mul(g.node("sin", v.x), g.node("sin", v.y)),
            g.mul(g.mul(g.node("cos", v.x), g.node("cos", v.y)), g.node("cos", g.add(v.x, v.y)))),),
    "growth_over_many_steps": lambda g, v: (g.add(g.one, g.div(v.x, v.y)), v.y),
    "product_less_its_part": lambda g, v: (
        g.one, g.mul(g.node("sqrt", g.add(g.one, v.x)), g.node("exp", v.y))),
    "product_plus_negative_part": lambda g, v: (
        g.mul(g.add(g.one, v.x), g.add(g.one, v.y)), g.minus_one),
    "divergence_of_shares": lambda g, v: (
        g.node("relative_entropy", v.x, v.y),
        g.node("relative_entropy", v.y, v.x)),
    "power_less_one_over_factor": lambda g, v: (g.add(g.node("pow", v.x, v.y), g.minus_one), v.y),
    "root_less_side_over_factor": lambda g, v: (
        g.sub(g.node("sqrt", g.add(g.mul(v.x, v.x), g.mul(g.const(3), v.y))), v.x), g.mul(g.const(2), v.y)),
    "divided_difference": lambda g, v: (g.sub(g.node("exp", v.x), g.node("exp", v.y)), g.sub(v.x, v.y)),
    "not_ige": lambda g, v: (g.ige0(g.iadd(v.k, g.const(-2))),),
    "fold_where": lambda g, v: (v.p, v.x, v.x),
    "fold_mask": lambda g, v: (v.p, g.zero),
    "mask_of_mask": lambda g, v: (v.p, g.mask(v.q, v.x)),
    **{
        f"{op}_at_zero": lambda g, v: (g.zero,)
        for op in (
            "sin", "tan", "asin", "atan", "sinh", "tanh", "asinh", "atanh", "expm1", "log1p", "erf",
            "abs", "sign", "cbrt", "floor", "ceil", "exp", "cos", "cosh", "sinc", "sinhc", "exprel",
            "log1prel", "sqrt1pm1", "xlogx", "logcosh", "log1msq", "loghypot1", "hypot1m1",
        )
    },
}  # fmt: skip

# More shapes of the same rules, each once wrong or with a case of its own.
MORE: list[tuple[str, str, Example]] = [
    ("mul_constants_together", "mul", lambda g, v: (g.const(Fraction(1, 3)), g.mul(g.const(3), v.x))),
    ("mul_constant_outwards", "mul", lambda g, v: (g.const("pi"), g.mul(g.const(2), v.x))),
    ("mul_constant_outwards", "mul", lambda g, v: (g.mul(g.const("e"), v.x), g.mul(g.const("pi"), v.y))),
    ("mul_constants_first", "mul", lambda g, v: (g.const("pi"), g.const(2))),
    ("mul_constants_first", "mul", lambda g, v: g.ordered(g.const("pi"), g.const("e"))[::-1]),
    ("neg_neg", "neg", lambda g, v: (_raw(g, "neg", v.x),)),
    ("sub_zero", "sub", lambda g, v: (v.x, g.zero)),
    ("div_neg", "div", lambda g, v: (g.neg(v.x), v.y)),
    ("div_one", "div", lambda g, v: (v.x, g.one)),
    ("pow_small_exponent", "pow", lambda g, v: (v.x, g.const(-5))),
    ("pow_small_exponent", "pow", lambda g, v: (v.x, g.zero)),
    ("pow_small_exponent", "pow", lambda g, v: (v.x, g.const(Fraction(1, 2)))),
    ("pow_small_exponent", "pow", lambda g, v: (v.x, g.const(Fraction(-1, 2)))),
    ("pow_small_exponent", "pow", lambda g, v: (v.x, g.const(64))),
    ("log_determinant", "log", lambda g, v: (g.node("abs", _determinant(g, v)),)),
    ("log_determinant", "log", lambda g, v: (g.mul(g.const(3), _determinant(g, v)),)),
    ("log_sum_exp", "log", lambda g, v: (g.add(g.node("exp", v.x), g.node("exp", v.y)),)),
    ("log_sum_exp", "log",
     lambda g, v: (g.add(g.add(g.mul(g.const(3), g.node("exp", v.x)), g.one), g.node("exp", v.y)),)),
    ("log_sum_exp", "log", lambda g, v: (g.add(g.const(Fraction(1, 2)), g.node("exp", v.x)),)),
    ("softmax_to_exp_of_difference", "div",
     lambda g, v: (g.mul(v.y, g.node("exp", v.x)), g.add(g.node("exp", v.x), g.node("exp", v.z)))),
    ("log_one_plus_to_log1p", "log",
     lambda g, v: (_raw(g, "sub", g.one, g.mul(g.const(Fraction(1, 9)), v.x)),)),
    ("exp_minus_one_to_expm1", "sub", lambda g, v: (g.one, g.node("exp", v.x))),
    ("quotient_to_logistic", "div", lambda g, v: _over_one_plus(g, g.node("exp", v.x))),
    ("quotient_to_logistic", "div", lambda g, v: (v.y, _raw(g, "add", g.one, g.node("exp", v.x)))),
    ("quotient_to_logistic", "div",
     lambda g, v: (g.node("exp", v.x), g.add(g.const(3), g.mul(g.const(2), g.node("exp", v.x))))),
    ("quotient_to_logistic", "div", lambda g, v: (g.node("expm1", v.x), g.add(g.one, g.node("exp", v.x)))),
    ("number_less_saturating", "sub", lambda g, v: (g.node("tanh", v.x), g.one)),
    ("number_less_saturating", "sub", lambda g, v: (g.one, g.mul(g.const(2), g.node("logistic", v.x)))),
    ("number_less_saturating", "sub", lambda g, v: (g.one, g.mul(g.node("tanh", v.x), g.node("tanh", v.x)))),
    ("product_less_its_share", "sub", lambda g, v: (g.mul(g.const(3), g.node("exp", v.x)), g.const(3))),
    ("number_plus_saturating", "add", lambda g, v: (g.node("tanh", v.x), g.minus_one)),
    *(("product_with_logistic", "mul", lambda g, v, f=f: f(g, v)) for f in (
        lambda g, v: (g.node("logistic", v.x), g.node("logistic", g.neg(v.x))),
        lambda g, v: (g.node("exp", g.mul(g.const(-2), v.x)), g.node("logistic", v.x)),
        lambda g, v: (g.node("exp", g.mul(g.const(-0.5), v.x)), g.node("logistic", v.x)),
        lambda g, v: (g.node("exp", g.sub(v.y, v.x)), g.node("logistic_slope", g.sub(v.x, v.y))),
        lambda g, v: (g.node("exp", v.x), g.node("sech", v.x)),
        lambda g, v: (g.node("exp", v.y), g.node("sech", v.x)),
        lambda g, v: (g.node("expm1", v.x), g.node("logistic", g.neg(v.x))),
        lambda g, v: (g.node("expm1", v.x), g.node("logistic_slope", v.x)),
        lambda g, v: (g.node("cosh", v.x), g.node("sech", v.x)),
        lambda g, v: (g.node("sinh", v.x), g.node("sech", v.x)),
    )),
    ("quotient_of_logistics", "div", lambda g, v: (g.one, g.node("logistic", v.x))),
    ("quotient_of_logistics", "div", lambda g, v: (g.node("logistic_slope", v.x), g.node("logistic", v.x))),
    ("quotient_of_logistics", "div", lambda g, v: (g.node("logistic", v.x), g.node("logistic_slope", v.x))),
    ("exp_times_power_of_one_plus_exp", "mul",
     lambda g, v: (_exp_of_softplus(g, v.x), _exp_of_softplus(g, g.neg(v.x)))),
    ("sum_of_exponentials_to_cosh", "add",
     lambda g, v: (g.mul(g.const(-3), g.node("exp", v.x)), g.mul(g.const(3), g.node("exp", g.neg(v.x))))),
    ("product_less_its_share", "sub", lambda g, v: (v.y, g.mul(v.y, g.node("exp", v.x)))),
    ("product_less_its_share", "sub",
     lambda g, v: (g.node("tanh", v.x), g.integer_power(g.node("tanh", v.x), 3))),
    ("softmax_to_exp_of_difference", "div",
     lambda g, v: (g.mul(v.y, g.node("exp", v.x)), g.mul(v.z, _sum_of_exp(g, v)))),
    ("difference_of_one_function", "sub",
     lambda g, v: (g.mul(v.z, g.node("exp", v.x)), g.mul(v.z, g.node("exp", v.y)))),
    ("difference_of_one_function", "sub",
     lambda g, v: (g.div(v.z, g.node("sqrt", v.y)), g.div(v.z, g.node("sqrt", g.add(v.x, v.y))))),
    ("difference_of_one_function", "sub", lambda g, v: (g.node("tanh", v.x), g.node("tanh", v.y))),
    ("difference_of_roots", "sub",
     lambda g, v: (g.node("hypot", v.x, g.one), g.node("hypot", v.x, g.const(2)))),
    ("one_less_cosine", "sub", lambda g, v: (g.one, g.node("double_cosine", v.x, g.const(2)))),
    ("one_plus_cosine", "add", lambda g, v: (g.one, g.node("double_cosine", v.x, g.const(2)))),
    ("product_plus_negative_part", "add",
     lambda g, v: (g.integer_power(g.add(g.one, v.t), 12), g.minus_one)),
    ("sum_with_opposite_factors", "add",
     lambda g, v: (g.div(g.one, v.x), g.div(g.minus_one, g.add(v.x, v.y)))),
    ("divided_difference", "div", lambda g, v: (g.sub(v.x, v.y), g.node("log_quotient", v.y, v.x))),
    ("log_difference_to_logsubexp", "log",
     lambda g, v: (g.sub(g.node("exp", v.x), g.node("exp", g.sub(v.x, g.mul(v.y, v.y)))),)),
    ("fold_and", "and", lambda g, v: (v.p, g.true)),
    ("fold_and", "and", lambda g, v: (g.false, v.p)),
    ("fold_and", "and", lambda g, v: (v.p, v.p)),
    ("fold_or", "or", lambda g, v: (v.p, g.false)),
    ("fold_or", "or", lambda g, v: (g.true, v.p)),
    ("fold_not", "not", lambda g, v: (g.true,)),
    ("fold_where", "where", lambda g, v: (g.false, v.x, v.y)),
    ("fold_mask", "mask", lambda g, v: (g.false, v.x)),
    ("fold_mask", "mask", lambda g, v: (g.true, v.x)),
]  # fmt: skip

RULES: list[tuple[Rule, Example]] = [
    (rule, EXAMPLES[rule.name]) for rules in TABLE.values() for rule in rules if rule.name in EXAMPLES
] + [(next(r for r in TABLE[op] if r.name == name), example) for name, op, example in MORE]

every_rule = pytest.mark.parametrize(
    ("rule", "example"), RULES, ids=[f"{i}-{r.name}" for i, (r, _) in enumerate(RULES)]
)


def _exp_of_softplus(g: Graph, x: Node) -> Node:
    return g.node("exp", g.mul(g.const(-0.25), g.node("softplus", x)))


def _over_one_plus(g: Graph, e: Node) -> tuple[Node, Node]:
    return e, g.intern("add", (g.one, e))


def _graph() -> tuple[Graph, SimpleNamespace]:
    g = Graph()
    n, m = g.size("n"), g.size("m")
    point = g.fresh_axis(m)
    x, y, z = (g.read(g.input(name, (m,)), point) for name in "xyz")
    k = g.read(g.input("k", (), "int"))
    v = SimpleNamespace(x=x, y=y, z=z, k=k, n=n, u=g.input("u", (n,)), point=point)
    v.p, v.q = g.node("lt", x, y), g.node("lt", z, y)
    v.m = g.neg(g.mul(x, x))  # negative
    v.t = g.mul(g.const(Fraction(1, 2)), x)
    return g, v


def _values(g: Graph, v: SimpleNamespace, node: Node, points: list, dtype: object = np.float64) -> np.ndarray:
    """`node` at points (x, y, z)."""
    if g.kind[node] == "bool":
        node = g.intern("where", (node, g.one, g.zero))
    columns = np.array(points, dtype=dtype).T
    inputs = {g.args[r][0]: column for r, column in zip((v.x, v.y, v.z), columns, strict=True)}
    inputs |= {
        g.args[v.k][0]: 2,
        v.u: np.array([0.5, -1.0, 2.0]),
    }
    tensor = g.define("map", (v.point,), (), node)
    return evaluate(g, [tensor], inputs, {"n": 3, "m": len(points)}, dtype)[0]


def _rewritten(rule: Rule, example: Example) -> tuple[Graph, SimpleNamespace, Node, Node]:
    """(graph, its reads, the node as written, the node as the rules make it)."""
    g, v = _graph()
    args = example(g, v)
    return g, v, g.intern(rule.op, tuple(args)), g.node(rule.op, *args)


def test_every_rule_has_an_example_and_a_name_of_its_own():
    names = [rule.name for rules in TABLE.values() for rule in rules]
    assert sorted(names) == sorted(EXAMPLES)
    assert len(set(names)) == len(names)


def test_every_rule_says_why():
    for rules in TABLE.values():
        assert all(rule.why and rule.stage in ("exact", "stable") for rule in rules)


def test_stable_rules_are_tried_before_exact_ones():
    for rules in TABLE.values():
        stages = [rule.stage for rule in rules]
        assert stages == sorted(stages, reverse=True)


@every_rule
def test_a_rule_fires_on_its_example_and_is_counted(rule, example):
    g, v = _graph()
    args = example(g, v)
    before = g.fired[rule.name]
    assert g.node(rule.op, *args) != g.intern(rule.op, tuple(args))
    assert g.fired[rule.name] > before


@every_rule
def test_a_rule_keeps_the_value(rule, example):
    g, v, raw, new = _rewritten(rule, example)
    with mpmath.workdps(40):
        wanted, found = _values(g, v, raw, POINTS, object), _values(g, v, new, POINTS, object)
        assert (abs(wanted - found) <= mpmath.mpf(10) ** -36 * np.maximum(1, abs(wanted))).all()
        np.testing.assert_allclose(_values(g, v, new, POINTS), wanted.astype(float), rtol=1e-14)


@every_rule
def test_a_rule_makes_no_nan(rule, example):
    g, v, raw, new = _rewritten(rule, example)
    # C99 says pow(-inf, 1/2) is inf; the square root of a negative number is not.
    bases = [x for x in HARD if rule.op != "pow" or x != -np.inf]
    points = [(x, y, 0.5) for x, y in itertools.product(bases, HARD)]
    made = np.isnan(_values(g, v, new, points)) & ~np.isnan(_values(g, v, raw, points))
    assert not made.any(), points[int(made.argmax())]


@every_rule
def test_a_rule_is_asked_for_the_ops_of_its_example(rule, example):
    g, v = _graph()
    args = example(g, v)
    assert rule.apply(g, args) is not None
    assert rule in select(True, (rule.op, *(g.form[a] for a in args)))


@pytest.mark.parametrize("op", [op for op in TABLE if OPS[op].arity < 3])
def test_a_rule_that_is_not_asked_would_not_have_fired(op):
    g, v = _graph()
    for rule, example in RULES:
        g.node(rule.op, *example(g, v))
    booleans, reals = _some_of_every_form(g, ("bool",)), _some_of_every_form(g, ("real", "const"))
    of_booleans = {"and": [booleans] * 2, "or": [booleans] * 2, "not": [booleans], "mask": [booleans, reals]}
    for args in itertools.product(*of_booleans.get(op, [reals] * OPS[op].arity)):
        asked = select(True, (op, *(g.form[a] for a in args)))
        for rule in TABLE[op]:
            assert rule in asked or rule.apply(g, args) is None, (rule.name, args)


def _some_of_every_form(g, kinds, most=3):
    """Nodes of some kinds, a few of every form: the first, which are simple, and the last."""
    by_form = {}
    for n in range(len(g.op)):
        if g.kind[n] in kinds:
            by_form.setdefault(g.form[n], []).append(n)
    return [n for nodes in by_form.values() for n in dict.fromkeys((*nodes[: most - 1], nodes[-1]))]


def _below(g, args):
    """The ops and kinds of tensors that arguments are made of."""
    tensors = g.definitions_below(g.args[r][0] for r in g.reads(args))
    bodies = [b for t in tensors for b in g.tensors[t].bodies]
    return {g.op[n] for n in g.reachable((*args, *bodies))} | {g.tensors[t].kind for t in tensors}


@pytest.mark.parametrize("op", [op for op in TABLE if any(r.needs for r in TABLE[op])])
def test_a_rule_fires_only_on_what_is_made_of_something_it_needs(op):
    """Asked about every pair of forms that there is among the examples, for a hundred of its pairs or so.

    Of three arguments as many combinations of forms are asked about as there are pairs.
    """
    g, v = _graph()
    examples = [(rule, example(g, v)) for rule, example in RULES]
    for rule, args in examples:
        g.node(rule.op, *args)
        assert rule.op != op or not rule.needs or rule.needs & _below(g, args)
    reals = [n for n in range(len(g.op)) if g.kind[n] in ("real", "const")]
    made_of = {n: _below(g, (n,)) for n in reals}
    with_form = defaultdict(list)
    for n in reals:
        with_form[g.form[n]].append(n)
    arity = OPS[op].arity
    for forms in _some_combinations([[*with_form]] * arity, len(with_form) ** 2):
        rules = [r for r in select(True, (op, *forms)) if r.needs]  # others do not fire: see above
        for args in _some_combinations([with_form[form] for form in forms], 100) if rules else ():
            there = set().union(*(made_of[a] for a in args))
            for rule in rules:
                assert rule.needs & there or rule.apply(g, args) is None, (rule.name, args)


def _some_combinations(choices, most):
    """One of each list, in all ways or in every so-many-th: of three lists there are too many to keep."""
    sizes = [len(c) for c in choices]
    count = prod(sizes)
    step = -(-count // most) or 1
    while any(gcd(step, size) > 1 for size in sizes) and step > 1:
        step += 1  # else one list would always give the same
    for k in range(0, count, step):
        chosen = []
        for c in reversed(choices):
            k, place = divmod(k, len(c))
            chosen.append(c[place])
        yield tuple(reversed(chosen))


def test_a_rule_is_asked_once_there_is_what_it_needs():
    g, v = _graph()
    rule = next(r for r in TABLE["mul"] if r.name == "product_with_own_log_in_sum")
    assert rule not in select(True, ("mul", "add", "add"), g.present)
    g.mul(g.add(v.x, v.y), g.add(v.x, g.one))
    total = g.add(g.one, g.node("log", v.x))
    assert rule in select(True, ("mul", "add", "add"), g.present)
    assert g.mul(v.x, total) == g.add(g.node("xlogx", v.x), v.x)


@every_rule
def test_what_a_rule_makes_is_left_alone_by_all_rules(rule, example):
    g, _, _, new = _rewritten(rule, example)
    again = {}
    formulas = {a for n in g.reachable((new,)) if g.op[n] in REMOVABLE for a in g.args[n][-1:]}
    for n in set(g.reachable((new,))) - set(g.reachable(formulas)):
        if g.op[n] in TABLE:
            again[n] = g.node(g.op[n], *g.args[n])
    assert all(made == n for n, made in again.items())


@every_rule
def test_stable_rules_can_be_turned_off_and_exact_ones_cannot(rule, example):
    g, v = _graph()
    g.stabilise = False
    args = example(g, v)
    before = g.fired[rule.name]
    g.node(rule.op, *args)
    assert (g.fired[rule.name] > before) == (rule.stage == "exact")


def test_equal_sums_and_products_are_one_node_whatever_their_order():
    g, v = _graph()
    for op in ("add", "mul", "and", "or"):
        first, second = (v.p, v.q) if op in ("and", "or") else (v.x, v.y)
        assert g.node(op, first, second) == g.node(op, second, first)
    assert g.mul(g.const("pi"), g.const("e")) == g.mul(g.const("e"), g.const("pi"))


def test_products_of_named_and_rational_constants_end_in_one_form():
    g, v = _graph()
    pi, two = g.const("pi"), g.const(2)
    forms = {
        g.mul(pi, g.mul(two, v.x)),
        g.mul(two, g.mul(pi, v.x)),
        g.mul(g.mul(pi, two), v.x),
        g.mul(g.mul(v.x, pi), two),
    }
    assert len(forms) == 1


def test_rules_do_not_recurse_over_the_depth_of_an_expression():
    g, v = _graph()
    node = v.x
    for k in range(20_000):
        node = g.neg(g.mul(g.const(3), g.add(node, v.y))) if k % 2 else g.sub(g.neg(node), v.z)
    assert np.isfinite(_values(g, v, g.node("tanh", node), [(0.0, 0.0, 0.0)])).all()


def test_stability_rules_keep_digits_the_plain_form_loses():
    g, v = _graph()
    plain = Graph(stabilise=False)
    cases = {
        "log1p": (lambda h, x: h.node("log", h.add(h.one, x)), NEAR_ZERO),
        "expm1": (lambda h, x: h.sub(h.node("exp", x), h.one), NEAR_ZERO),
        "softplus": (lambda h, x: h.node("log", h.add(h.one, h.node("exp", x))), 1000.0),
        "logaddexp": (lambda h, x: h.node("log", h.add(h.node("exp", x), h.node("exp", h.neg(x)))), 1000.0),
        "logistic": (lambda h, x: h.div(h.node("exp", x), h.add(h.one, h.node("exp", x))), 1000.0),
    }
    wanted = dict.fromkeys(("log1p", "expm1"), NEAR_ZERO) | dict.fromkeys(("softplus", "logaddexp"), 1000.0)
    wanted["logistic"] = 1.0
    for name, (build, x) in cases.items():
        (found,) = _values(g, v, build(g, v.x), [(x, 0.0, 0.0)])
        assert found == pytest.approx(wanted[name], rel=1e-11, abs=0)
        w = plain.read(plain.input("x"))
        tensor = plain.define("map", (), (), build(plain, w))
        lost = evaluate(plain, [tensor], {plain.args[w][0]: x}, {})[0][()]
        assert lost != pytest.approx(wanted[name], rel=1e-11, abs=0)


def test_a_softmax_under_another_tensors_transpose_is_not_taken_for_its_own():
    """The sums run over rows here and over columns there: equal only after a careless renaming."""
    g = Graph()
    n = g.size("n")
    a = g.input("a", (n, n))
    i, r, s = (g.fresh_axis(n) for _ in range(3))
    w = g.input("w", (n,))
    above = g.define("sum", (i,), (r,), g.mul(g.read(w, r), g.node("exp", g.read(a, r, i))))
    below = g.define("sum", (i,), (s,), g.node("exp", g.read(a, i, s)))
    t = g.define("map", (i,), (), g.div(g.read(above, i), g.read(below, i)))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3, 3)), rng.normal(size=3)
    (found,) = evaluate(g, [t], {a: x, w: y}, {"n": 3})
    np.testing.assert_allclose(found, (y @ np.exp(x)) / np.exp(x).sum(axis=1), rtol=1e-14)
    assert g.fired["weighted_mean_to_softmax"] == 0


def test_the_number_in_a_difference_of_squares_is_a_term_of_its_own():
    """(x**2 - 1) + x*y + cos(y) holds cos(y) - 1."""
    g, v = _graph()
    total = g.add(g.node("square_difference", v.x, g.one), g.mul(v.x, v.y))
    g.add(total, g.node("cos", v.y))
    assert g.fired["terms_of_one_value"] == 1
