"""What is looked for in a sum as a whole, before its terms are added two by two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from symgrad.ir.stability.conjugates import with_conjugates
from symgrad.ir.stability.distances import with_differences_of_lengths
from symgrad.ir.stability.log_softmaxes import with_log_softmaxes
from symgrad.ir.stability.means import with_differences_of_means
from symgrad.ir.stability.perfect_squares import with_perfect_squares
from symgrad.ir.stability.quadratic_forms import with_forms_of_differences
from symgrad.ir.stability.sums_of_differences import with_sums_of_differences
from symgrad.ir.stability.weighted_variances import with_weighted_variances

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_PRODUCTS = ("mul", "neg")
_LOOKED_FOR = (
    with_conjugates,
    with_differences_of_lengths,
    with_forms_of_differences,
    with_sums_of_differences,
    with_weighted_variances,
    with_perfect_squares,
    with_differences_of_means,
    with_log_softmaxes,
)


def as_stable_terms(g: Graph, terms: Sequence[int]) -> Sequence[int]:
    """The same sum in terms that do not cancel, as far as one of the patterns is there.

    None of them has only two terms one of which is no product: as most sums of a large graph.
    """
    if len(terms) == 2 and (g.op[terms[0]] not in _PRODUCTS or g.op[terms[1]] not in _PRODUCTS):
        return terms
    for rewrite in _LOOKED_FOR:
        terms = rewrite(g, terms)
    return terms
