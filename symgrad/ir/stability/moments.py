"""Variances and covariances under a softmax, written as means of products less products of means.

    sum(p*x*y) - sum(p*x)*sum(p*y)    is    sum(p*(x - sum(p*x))*(y - sum(p*y)))

and the mean of log(p), written as a log-sum-exp and a mean of its exponents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from symgrad.ir.product import Product, product_of, whole_of
from symgrad.ir.rules import Args, among
from symgrad.ir.stability.audit import Audit, stable
from symgrad.ir.stability.complements import is_share
from symgrad.ir.stability.patterns import all_factors, quotient_of, remove, terms_of

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_CHAN = "Chan, Golub & LeVeque 1983, section 1"
_MOST_FACTORS = 12
_SPREAD = ({"v": (40.0, 0.0, 1.0)}, {"v": (1000.25, 1000.0, 999.5)}, {"v": (0.5, 1.0, -2.0)})
_MEAN = "Sum({0}*exp(v[i]), (i, 0, n - 1))/Sum(exp(v[i]), (i, 0, n - 1))"


def _of_sum(g: Graph, node: int) -> bool:
    return g.op[node] == "read" and g.tensors[g.args[node][0]].kind == "sum"


def _at(g: Graph, read: int, axes: Sequence[int]) -> Product | None:
    """What a sum adds up, over the axes given, as a product; None if it is over others."""
    t, *index = g.args[read]
    tensor = g.tensors[t]
    if [g.extent(a) for a in tensor.red] != [g.extent(a) for a in axes]:
        return None
    places = dict(zip((*tensor.out, *tensor.red), (*index, *axes), strict=True))
    return product_of(g, g.substitute(tensor.body, places), _MOST_FACTORS)


def _without_share(g: Graph, part: Product, axes: Sequence[int]) -> tuple[int, int] | None:
    """(p, the rest) of p times the rest, where the sum of p over the axes is 1."""
    for k, factor in enumerate(part.above):
        if is_share(g, factor) and _is_over(g, factor, axes):
            rest = Product(part.number, (*part.above[:k], *part.above[k + 1 :]), part.below)
            return factor, whole_of(g, rest)
    return None


def _is_over(g: Graph, share: int, axes: Sequence[int]) -> bool:
    """Whether exp(x - logsumexp(y)) is one of the y that are summed up, over these axes."""
    if g.op[share] != "exp":
        return False
    (exponent,) = g.args[share]
    is_negated = g.op[exponent] == "neg"
    parts = g.args[g.args[exponent][0]] if is_negated else g.args[exponent]
    for total, x in (parts, parts[::-1]):
        if g.op[total] != "read" or g.tensors[g.args[total][0]].kind != "logsumexp":
            continue
        t, *index = g.args[total]
        tensor = g.tensors[t]
        own, order = (g.first_occurrence(n, frozenset(a)) for n, a in ((tensor.body, tensor.red), (x, axes)))
        if len(own) == len(tensor.red) and len(order) == len(axes) and not g.axes[total] & frozenset(axes):
            y = g.substitute(tensor.body, dict(zip((*tensor.out, *own), (*index, *order), strict=False)))
            return len(own) == len(order) and x in (_negatives(g, y) if is_negated else (y,))
    return False


def _negatives(g: Graph, x: int) -> tuple[int, ...]:
    """How -x may be written."""
    return g.neg(x), *((g.div(g.neg(g.args[x][0]), g.args[x][1]),) if g.op[x] == "div" else ())


@stable(
    "sub",
    "the mean of a product less the product of the means cancels where these are large beside the variance",
    Audit(
        f"{_MEAN.format('v[i]**2')} - ({_MEAN.format('v[i]')})**2", "sum(p*(v - sum(p*v))**2)",
        "means under one softmax", _CHAN, _SPREAD,
    ),
    on=among("read"),
    needs=("logsumexp",),
)  # fmt: skip
def mean_of_product_less_product_of_means(g: Graph, a: Args) -> int | None:
    for whole, product, sign in ((a[0], a[1], 1), (a[1], a[0], -1)):
        if _of_sum(g, whole) and g.op[product] == "mul" and all(_of_sum(g, s) for s in g.args[product]):
            made = _covariance(g, whole, *g.args[product])
            if made is not None:
                return made if sign > 0 else g.neg(made)
    return None


def _covariance(g: Graph, whole: int, first: int, second: int) -> int | None:
    axes = [g.fresh_axis(g.extent(r)) for r in g.tensors[g.args[whole][0]].red]
    products = [_at(g, read, axes) for read in (whole, first, second)]
    parts = [None if part is None else _without_share(g, part, axes) for part in products]
    found = [part for part in parts if part is not None]
    if len(found) < 3 or len({p for p, _ in found}) > 1:
        return None
    (p, both), (_, x), (_, y) = found
    if g.mul(x, y) != both and quotient_of(g, *_factors(g, x, y)) != quotient_of(g, *_factors(g, both)):
        return None
    body = g.mul(p, g.mul(g.sub(x, first), g.sub(y, second)))
    out = g.first_occurrence(body, g.axes[body] - frozenset(axes))
    return g.read(g.define("sum", out, tuple(axes), body), *out)


def _factors(g: Graph, *nodes: int) -> tuple[list[int], list[int]]:
    """The factors of a product in one order, above and below."""
    both = [all_factors(g, n) for n in nodes]
    return sorted(f for above, _ in both for f in above), sorted(f for _, below in both for f in below)


@stable(
    "sub",
    "log-sum-exp less the mean of its exponents cancels where one of these is far above the others",
    Audit(
        f"log(Sum(exp(v[i]), (i, 0, n - 1))) - {_MEAN.format('v[i]')}", "-sum(p*log(p))",
        "a log-sum-exp and a mean under its softmax: an entropy", _CHAN, _SPREAD,
    ),
    on=among("read"),
    needs=("logsumexp",),
)  # fmt: skip
def total_less_mean_of_exponents(g: Graph, a: Args) -> int | None:
    for total, mean, sign in ((a[0], a[1], 1), (a[1], a[0], -1)):
        if not _of_sum(g, mean) or g.op[total] != "read" or g.tensors[g.args[total][0]].kind != "logsumexp":
            continue
        axes = [g.fresh_axis(g.extent(r)) for r in g.tensors[g.args[mean][0]].red]
        part = _at(g, mean, axes)
        found = None if part is None else _without_share(g, part, axes)
        if found is not None and g.args[found[0]][0] == g.sub(found[1], total):
            p, x = found
            body = g.mul(p, g.sub(total, x))
            out = g.first_occurrence(body, g.axes[body] - frozenset(axes))
            made = g.read(g.define("sum", out, tuple(axes), body), *out)
            return made if sign > 0 else g.neg(made)
    return None


# ---- written out -----------------------------------------------------------------------------------


@stable(
    "add",
    "the mean of squares less the square of the mean cancels where both are large beside the variance",
    Audit(
        "(x**2*exp(x) + y**2*exp(y))/(exp(x) + exp(y)) - ((x*exp(x) + y*exp(y))/(exp(x) + exp(y)))**2",
        "p*(x - m)**2 + q*(y - m)**2", "means of a few numbers under one softmax", _CHAN,
        ({"x": 40.0, "y": 0.0}, {"x": 1000.25, "y": 1000.0}, {"x": 0.5, "y": -1.0}),
    ),
    on=among("mul", "add", "sub"),
    needs=("logistic", "share"),
)  # fmt: skip
def mean_of_squares_less_square_of_mean(g: Graph, a: Args) -> int | None:
    return _variance(g, [*terms_of(g, a[0]), *terms_of(g, a[1])])


def _variance(g: Graph, terms: Sequence[tuple[int, int]]) -> int | None:
    """sum(p*(x - m)**2) for sum(p*x**2) - m**2, with m = sum(p*x)."""
    squares = [n for sign, n in terms if sign < 0]
    if len(squares) != 1 or g.op[squares[0]] != "mul" or len({*g.args[squares[0]]}) > 1:
        return None
    mean, left = g.args[squares[0]][0], [_factors(g, n) for sign, n in terms if sign > 0]
    total, shares = g.zero, []
    for sign, term in terms_of(g, mean):
        above, below = all_factors(g, term)
        p = next((f for f in above if is_share(g, f)), None)
        x, _ = remove(above, [p]) if p is not None else ([], [])
        wanted = sorted((p or 0, *x, *x)), sorted((*below, *below))
        if p is None or wanted not in left:
            return None
        left.remove(wanted)
        number = quotient_of(g, x, below)
        apart = g.sub(number if sign > 0 else g.neg(number), mean)
        total = g.add(total, g.mul(p, g.mul(apart, apart)))
        shares.append(p)
    return total if not left and _are_all(g, shares) else None


def _are_all(g: Graph, shares: list[int]) -> bool:
    """Whether the shares are those of every part of one whole."""
    if len(shares) == 2:
        return g.sub(g.one, shares[0]) == shares[1]
    scores = {tuple(sorted(g.args[p])) for p in shares if g.op[p] == "share"}
    return len(scores) == 1 and sorted(g.args[p][0] for p in shares) == list(*scores)
