"""Squared distances written out: sums over the same axes, which cancel where points are near.

    sum(x**2) + sum(y**2) - 2*sum(x*y)   ->   sum((x - y)**2)
    sum(x**2) - 2*m*sum(x) + n*m**2      ->   sum((x - m)**2)

Sums over axes of the same extents are one sum of what they add up, times what stands before them, if that is
a form which `quadratic_forms` writes in differences. Between all rows of two matrices this takes a product of
matrices and makes it a loop of as many steps, each of which computes a difference more.

Source: Higham 2002, section 1.8; Golub & Van Loan 2013, section 4.2.8.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.stability.audit import AUDITS, Audit
from symgrad.ir.stability.patterns import product_of_powers
from symgrad.ir.stability.quadratic_forms import with_forms_of_differences
from symgrad.ir.stability.weighted_means import Powers, count, is_sum, powers, summand, times_power

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

NAME = "sum_of_squared_differences"  # what `Graph.fired` counts
AUDITS[NAME] = Audit(
    "Sum(v[i]**2, (i, 0, n - 1)) - 2*v[0]*Sum(v[i], (i, 0, n - 1)) + n*v[0]**2",
    "sum((v - v[0])**2)",
    "sums over the same axes that are together the sum of a quadratic form in differences",
    "Higham 2002, section 1.8",
    (
        {"v": (1e6 + 0.1, 1e6 + 0.7, 1e6 - 0.4)},
        {"v": (0.5, 1.0, -2.0)},
    ),
)
_MOST_SUMS = 12
_ONE = Fraction(1)


def with_sums_of_differences(g: Graph, terms: Sequence[int]) -> Sequence[int]:
    """The terms of a sum; instead of sums that are together a form in differences, the sum of that."""
    if "sum" not in g.present or not 2 < len(terms) <= _MOST_SUMS:
        return terms
    found = {term: powers(g, term) for term in terms}
    sums = {term: n for term, whole in found.items() if (n := _only_sum(g, whole)) is not None}
    for extents in dict.fromkeys(_extents(g, n) for n in sums.values()):
        axes = [g.fresh_axis(extent) for extent in extents]
        added = {
            term: product_of_powers(g, *x)
            for term, whole in found.items()
            if (x := _added(g, whole, sums.get(term), axes)) is not None
        }
        made = _together(g, axes, list(added.values())) if len(added) > 2 else None
        if made is not None:
            g.fired[NAME] += 1
            return [*(n for n in terms if n not in added), made]
    return terms


def _only_sum(g: Graph, whole: Powers) -> int | None:
    """The sum over axes among the factors, if there is one only."""
    sums = [(n, times) for n, times in whole[1].items() if is_sum(g, n)]
    return sums[0][0] if len(sums) == 1 and sums[0][1] == 1 else None


def _extents(g: Graph, read: int) -> tuple[int, ...]:
    return tuple(g.extent(axis) for axis in g.tensors[g.args[read][0]].red)


def _added(g: Graph, whole: Powers, read: int | None, axes: Sequence[int]) -> Powers | None:
    """What is added up over the axes by a sum, or by n times a number; None if it is no such sum."""
    if read is None:
        number = times_power(whole, powers(g, count(g, axes)), -1)
        return number if sum(map(abs, number[1].values())) < sum(map(abs, whole[1].values())) else None
    inner = summand(g, read, axes)
    return None if inner is None else times_power(times_power(whole, (_ONE, {read: 1}), -1), inner)


def _together(g: Graph, axes: Sequence[int], bodies: Sequence[int]) -> int | None:
    """One sum of them all, if they are products of differences and nothing else."""
    made = with_forms_of_differences(g, bodies)
    if made is bodies or any(n in made for n in bodies):
        return None
    body = g.sum_of(made)
    out = g.first_occurrence(body, g.axes[body] - frozenset(axes))
    return g.read(g.define("sum", out, axes, body), *out)
