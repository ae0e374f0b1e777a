"""Numbers less their mean under a softmax: what a softmax pulls back.

With p = softmax(x) and s = sum(p*c) the cotangent of x is p*c - p*s. Where one p is near 1 its own c is
nearly all of s, and nothing is left of c - s. A number r that is taken from every c leaves it the same:

    p*c - p*s = p*((c - r) - sum(p*(c - r)))      r = the c of the largest x (the mean of those, if several
                                                  are), where these have more than half of the whole

so that the term which was nearly everything is 0; r = 0 where no x has so much, or c - r might overflow. The
derivative by a temperature is a covariance sum(p*c*x) - s*sum(p*x), and has the same in it. c may be a sum,
multiplied out: the gradient of an entropy is p*s - p - p*log(p), with s = sum(p + p*log(p)). This comes after
differentiation, for which s is one thing (`opt.logsumexp`), so derivatives of any order are looked at.

Source: sums of shifted numbers as for variances, Chan, Golub & LeVeque 1983, section 2; the largest x as in
Blanchard, Higham & Higham 2021, section 4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import islice, permutations, product

from symgrad.ir.graph import Graph, Node
from symgrad.ir.product import Product, product_of, whole_of
from symgrad.ir.stability.audit import AUDITS, Audit
from symgrad.ir.stability.patterns import remove, sum_of_signed, terms_of
from symgrad.opt.means import MOST_FACTORS, Mean, Means

NAME = "number_less_its_mean"  # what `Graph.fired` counts
AUDITS[NAME] = Audit(
    "Sum(i*exp(v[i]), (i, 0, n - 1))/Sum(exp(v[i]), (i, 0, n - 1))",
    "by v: p*((i - r) - sum(p*(i - r))), r = i of the largest v",
    "a number less its mean under a softmax, both with the same factors: any derivative of a softmax",
    "Chan, Golub & LeVeque 1983, section 2",
    ({"v": (40.0, 0.0, 1.0)}, {"v": (0.0, 700.0, -3.0)}, {"v": (0.5, 1.0, -2.0)}),
)
_MOST_PLACES = 16  # are tried for where a number stands in its mean


def less_its_mean(g: Graph, node: Node, means: Means) -> Node:
    """The sum or difference `node` with p*c - p*s as above for every two of its terms that are that."""
    if g.op[node] not in ("add", "sub"):
        return node
    terms = terms_of(g, node)
    products = [product_of(g, _unmasked(g, term), MOST_FACTORS, sign) for sign, term in terms]
    changed = False
    for place, other in permutations(range(len(terms)), 2):
        whole, candidate = products[place], products[other]
        if whole is None or candidate is None:
            continue
        made = _difference(g, means, whole, candidate) or _joined(g, means, whole, candidate)
        if made is not None:
            g.fired[NAME] += 1
            changed = True
            products[place] = products[other] = None
            terms[other], terms[place] = (1, made), (1, g.zero)
    for place, whole in enumerate(products):
        found = None if whole is None else _grouped(g, means, whole, products)
        if found is not None:
            made, others = found
            g.fired[NAME] += 1
            changed = True
            for other in (place, *others):
                products[other], terms[other] = None, (1, g.zero)
            terms[place] = (1, made)
    return sum_of_signed(g, terms) if changed else node


def _difference(g: Graph, means: Means, whole: Product, candidate: Product) -> Node | None:
    """p*(c - s) if `whole` is -p*s and `candidate` is p*c."""
    for factor in whole.above:
        mean = means.of(g, factor)
        if mean is not None and candidate.number == -whole.number * mean.c.number:
            made = _apart(g, means, mean, factor, whole, candidate)
            if made is not None:
                return made
    return None


def _apart(g: Graph, means: Means, mean: Mean, read: Node, whole: Product, candidate: Product) -> Node | None:
    """p*(c - s) if `whole` is p*s and `candidate` is p*c, numbers aside."""
    rest = list(whole.above)
    rest.remove(read)
    for places in islice(_places(g, mean, read, candidate), _MOST_PLACES):
        above, below = ([g.substitute(n, places) for n in part] for part in (mean.c.above, mean.c.below))
        same_above = means.keys(g, candidate.above) == means.keys(g, (*rest, *above))
        if same_above and Counter(candidate.below) == Counter((*whole.below, *below)):
            here = whole_of(g, Product(Fraction(1), tuple(above), tuple(below)))
            apart = means.less(g, mean, read, places, here)
            return whole_of(g, Product(candidate.number, (*rest, apart), whole.below))
    return None


def _grouped(
    g: Graph, means: Means, whole: Product, products: Sequence[Product | None]
) -> tuple[Node, list[int]] | None:
    """p*(c - s) if `whole` is -p*s, and p*c stands among the products term by term; and where."""
    for read in whole.above:
        mean = means.of(g, read)
        if mean is None or not mean.parts:
            continue
        rest = list(whole.above)
        rest.remove(read)
        for candidate in products:
            for places in islice(_places(g, mean, read, candidate), _MOST_PLACES) if candidate else ():
                parts = [_substituted(g, part, places) for part in mean.parts]
                wanted = [replace(p, number=-whole.number * p.number, above=(*rest, *p.above),
                                  below=(*whole.below, *p.below)) for p in parts]  # fmt: skip
                found = [_place_of(g, means, one, products) for one in wanted]
                others = [k for k in found if k is not None]
                if len({*others}) == len(parts):
                    here = g.sum_of(whole_of(g, part) for part in parts)
                    apart = means.less(g, mean, read, places, here)
                    return whole_of(g, Product(-whole.number, (*rest, apart), whole.below)), others
    return None


def _substituted(g: Graph, part: Product, places: dict[Node, Node]) -> Product:
    above, below = (tuple(g.substitute(n, places) for n in side) for side in (part.above, part.below))
    return replace(part, above=above, below=below)


def _place_of(g: Graph, means: Means, wanted: Product, products: Sequence[Product | None]) -> int | None:
    """Where a product is among others."""
    keys, below = means.keys(g, wanted.above), Counter(wanted.below)
    for place, other in enumerate(products):
        if other is None or other.number != wanted.number:
            continue
        if means.keys(g, other.above) == keys and Counter(other.below) == below:
            return place
    return None


def _places(g: Graph, mean: Mean, read: Node, candidate: Product) -> Iterator[dict[Node, Node]]:
    """What the axes of a mean may stand for in a term that may be one of its numbers."""
    tensor = g.tensors[g.args[read][0]]
    known = dict(zip(tensor.out, g.args[read][1:], strict=True))
    pattern = list(g.reads((*mean.c.above, *mean.c.below)))
    parts = (*candidate.above, *candidate.below)
    mine = list(g.reads(parts))
    free = sorted(frozenset[Node]().union(*(g.axes[n] for n in parts)), key=g.order_key)
    choices = []
    for axis in tensor.red:
        found = {
            there: None
            for wanted in pattern for k, i in enumerate(g.args[wanted]) if k and i == axis
            for n in mine if g.args[n][0] == g.args[wanted][0] for there in (g.args[n][k],)
        }  # fmt: skip
        choices.append(found or dict.fromkeys(a for a in free if g.extent(a) == g.extent(axis)))
    for chosen in product(*choices):
        yield known | dict(zip(tensor.red, chosen, strict=True))


def _unmasked(g: Graph, term: Node) -> Node:
    """What is masked where every exponent is -inf, and so its mean nan: left out beside such a mean."""
    if g.op[term] != "mask":
        return term
    predicate, inner = g.args[term]
    return inner if g.op[predicate] == "not" and _is_empty(g, g.args[predicate][0]) else term


def _is_empty(g: Graph, predicate: Node) -> bool:
    return g.op[predicate] == "eq" and g.const(float("-inf")) in g.args[predicate]


# ---- sums of both ------------------------------------------------------------------------------


def _joined(g: Graph, means: Means, whole: Product, candidate: Product) -> Node | None:
    """sum(p*x*(c - s)) for sums that differ by that: -s*sum(p*x), s outside or inside, and sum(p*x*c).

    As sum(p*(c - s)) is 0, x may be shifted like c, and is where the sum beside s is its own mean.
    """
    for mine, theirs in product(_sums_among(g, whole), _sums_among(g, candidate)):
        own, other = Counter(whole.above) - Counter((mine,)), Counter(candidate.above) - Counter((theirs,))
        extra = list((own - other).elements())
        if other - own or len(extra) > 1 or Counter(whole.below) != Counter(candidate.below):
            continue
        for axes, inner, outer in _bodies(g, mine, theirs):
            inner = Product(whole.number * inner.number, (*inner.above, *extra), inner.below)
            outer = replace(outer, number=candidate.number * outer.number)
            if extra:
                inner, outer = _shifted(g, means, mine, extra[0], axes, inner, outer)
            made = _difference(g, means, inner, outer)
            if made is not None:
                out = g.first_occurrence(made, g.axes[made] - frozenset(axes))
                total = g.read(g.define("sum", out, axes, made), *out)
                return whole_of(g, Product(Fraction(1), (*other.elements(), total), candidate.below))
    return None


def _sums_among(g: Graph, parts: Product) -> list[Node]:
    return [n for n in parts.above if g.op[n] == "read" and g.tensors[g.args[n][0]].kind == "sum"]


def _bodies(g: Graph, mine: Node, theirs: Node) -> Iterator[tuple[list[Node], Product, Product]]:
    """New axes, and what two sums add up over these, in every order in which their extents are the same."""
    one, two = (g.tensors[g.args[n][0]] for n in (mine, theirs))
    if len(one.red) != len(two.red):
        return
    axes = [g.fresh_axis(g.extent(a)) for a in one.red]
    inner = product_of(g, _at(g, mine, axes), MOST_FACTORS)
    for order in islice(permutations(axes), _MOST_PLACES):
        if inner is not None and [g.extent(a) for a in two.red] == [g.extent(a) for a in order]:
            outer = product_of(g, _at(g, theirs, order), MOST_FACTORS)
            if outer is not None:
                yield axes, inner, outer


def _at(g: Graph, read: Node, axes: Sequence[Node]) -> Node:
    """What a sum adds up, over these axes."""
    tensor = g.tensors[g.args[read][0]]
    return g.substitute(
        tensor.body, dict(zip((*tensor.out, *tensor.red), (*g.args[read][1:], *axes), strict=True))
    )


def _shifted(
    g: Graph, means: Means, read: Node, factor: Node, axes: list[Node], inner: Product, outer: Product
) -> tuple[Product, Product]:
    """Both products with x - r for x, if `read` is the mean of x, and `factor` one under the same softmax."""
    mean, other = means.of(g, read), means.of(g, factor)
    if mean is None or other is None or means.row(g, mean, read) != means.row(g, other, factor):
        return inner, outer
    tensor = g.tensors[g.args[read][0]]
    places = dict(zip((*tensor.out, *tensor.red), (*g.args[read][1:], *axes), strict=True))
    above, below = ([g.substitute(n, places) for n in part] for part in (mean.c.above, mean.c.below))
    left, missing = remove(list(outer.above), above)
    left_below, missing_below = remove(list(outer.below), below)
    if missing or missing_below:
        return inner, outer
    here = whole_of(g, Product(Fraction(1), tuple(above), tuple(below)))
    x = means.less_shift(g, mean, read, places, here)
    rest, _ = remove(list(inner.above), above)
    rest_below, _ = remove(list(inner.below), below)
    return (
        Product(inner.number, (x, *rest), tuple(rest_below)),
        Product(outer.number, (x, *left), tuple(left_below)),
    )
