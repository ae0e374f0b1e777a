"""Functions of a root h that are flat where it is 0: (1 + h)*exp(-h), tanh(h)/h, of a norm h.

They have a second derivative there, f''(0) times the identity, and the chain rule does not see it: the root
has no derivative. By what is under the root they are smooth enough (`ir.series.removable`).
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.rules import Args, among, rule
from symgrad.ir.series.laurent import ROWS, is_formula_of
from symgrad.ir.series.probe import CONSTANT, variable_of
from symgrad.ir.series.removable import expansion_of, removable
from symgrad.ir.stability.audit import Audit, at_pairs, stable
from symgrad.ir.stability.patterns import (
    above_and_below,
    factors_of,
    in_powers_of,
    quotient_of,
    remove,
    terms_of,
)
from symgrad.ir.stability.radial import ROOTS, square_of_root

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_MOST_POWERS = 4


@rule("removable", "of a root it is differentiated by what is under it if it is flat at 0")
def removable_of_root(g: Graph, a: Args) -> int | None:
    h, _, radius, t, near, away = a
    found = square_of_root(g, h)
    if found is None or t != h or g.op[away] in ROWS or not is_formula_of(g, away, h):
        return None
    series = expansion_of(g, away, h, t)
    return (
        g.node("radial_removable", *found, radius, near, away)
        if series is not None and series.is_flat
        else None
    )


@stable(
    "mul",
    "(1 + h)*exp(-h) of a root h has a second derivative where h is 0, which the chain rule does not see",
    Audit(
        "(1 + sqrt(x**2 + y**2))*exp(-sqrt(x**2 + y**2))", "itself, by h**2: -exp(-h)/2",
        "factors of one root, exp(..) among them, whose product is flat at 0",
        "Stein 1999, Interpolation of Spatial Data, section 2.7: the Matern class",
        at_pairs((0.0, 0.0), (1e-9, 2e-9), (0.6, -0.8), (3.0, 4.0)), is_limit=True,
    ),
    on=among("exp"),
    needs=ROOTS,
)  # fmt: skip
def flat_product_of_root(g: Graph, a: Args) -> int | None:
    exponential = next((x for x in a if g.op[x] == "exp"), None)
    h = CONSTANT if exponential is None else variable_of(g, exponential)
    if h == CONSTANT or square_of_root(g, h) is None:
        return None
    away, others = g.one, []
    for factor in (f for part in a for f in factors_of(g, part)):
        of_h = factor if variable_of(g, factor) == h else _polynomial_in(g, factor, h)
        if of_h is None:
            others.append(factor)
        else:
            away = of_h if away == g.one else g.intern("mul", (away, of_h))
    made = None if away == exponential else removable(g, away, h)
    if made is None or g.op[made] != "radial_removable":
        return None
    return quotient_of(g, [*others, made], [])


def _polynomial_in(g: Graph, node: int, h: int) -> int | None:
    """A sum of terms c*h^k written so, where the root's squares are written out: 1 + h + h^2/3."""
    total, others = g.zero, []
    for sign, term in terms_of(g, node) if g.op[node] == "add" else ():
        found = _power_of(g, term, h)
        signed = term if sign > 0 else g.neg(term)
        if found is None:
            others.append(signed)
        else:
            total = g.add(total, found) if sign > 0 else g.sub(total, found)
    if others:
        square = _multiple_of_square(g, others, h)
        if square is None:
            return None
        total = g.add(total, square)
    return total if variable_of(g, total) == h else None


def _multiple_of_square(g: Graph, terms: list[int], h: int) -> int | None:
    """C*h^2 for the terms of c*s, multiplied out, of a root h of s with a constant factor."""
    factors, below = above_and_below(g, h)
    root = next(f for f in factors if square_of_root(g, f) is not None)
    found = square_of_root(g, root)
    constants = [f for f in factors if f != root]
    if found is None or below or any(variable_of(g, f) != CONSTANT for f in constants):
        return None
    ratios = set()
    for sign, part in terms_of(g, found[1]):
        for term in terms:
            missing, rest = remove(factors_of(g, part), factors_of(g, term))
            q = [g.rational(f) for f in rest]
            if not missing and sign > 0 and len(q) <= 1 and None not in q:
                ratios.add((q or [Fraction(1)])[0])
                terms = [t for t in terms if t != term]
                break
    if terms or len(ratios) != 1:
        return None
    (ratio,) = ratios
    return g.mul(quotient_of(g, [g.const(ratio or 0)], constants * 2), g.mul(h, h))


def _power_of(g: Graph, term: int, h: int) -> int | None:
    """c*h^k for a product of such, c a constant."""
    above, below = above_and_below(g, term)
    roots, scales = above_and_below(g, h)
    root = next(f for f in roots if square_of_root(g, f) is not None)
    above = in_powers_of(g, root, above)
    variable, constants = ([f for f in roots if (variable_of(g, f) == CONSTANT) == c] for c in (False, True))
    k = 0
    while k < _MOST_POWERS:
        missing, rest = remove(variable, above)
        less, rest_below = remove(scales, below)
        if missing or less:
            break
        above, below, k = rest, rest_below, k + 1
    if any(variable_of(g, f) != CONSTANT for f in (*above, *below)):
        return None
    return g.mul(quotient_of(g, above, [*below, *constants * k]), g.integer_power(h, k))
