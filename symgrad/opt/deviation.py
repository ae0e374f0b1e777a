"""Numbers less their mean under a softmax, as differentiation leaves them (`grad.softmaxes`).

With p = softmax(x) and s = sum(p*c), where one p is near 1 its own c is nearly all of s, and nothing is left
of c - s. A number r that is taken from every c leaves the difference the same:

    c - s = (c - r) - sum(p*(c - r))      r = the c of the largest x (the mean of those, if several are),
                                          where these have more than a quarter of the whole

so that the term which was nearly everything is 0; r = 0 where no x has so much, or c - r might overflow.

Source: sums of shifted numbers as for variances, Chan, Golub & LeVeque 1983, section 2; the largest x as in
Blanchard, Higham & Higham 2021, section 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symgrad.ir.graph import Graph, Node
from symgrad.ir.places import places_of
from symgrad.ir.product import whole_of
from symgrad.ir.stability.audit import AUDITS, Audit
from symgrad.opt.means import Means

NAME = "number_less_its_mean"  # what `Graph.fired` counts
AUDITS[NAME] = Audit(
    "Sum(i*exp(v[i]), (i, 0, n - 1))/Sum(exp(v[i]), (i, 0, n - 1))",
    "by v: p*((i - r) - sum(p*(i - r))), r = i of the largest v",
    "a number less its mean under a softmax: any derivative of a softmax",
    "Chan, Golub & LeVeque 1983, section 2",
    ({"v": (40.0, 0.0, 1.0)}, {"v": (0.0, 700.0, -3.0)}, {"v": (0.5, 1.0, -2.0)}),
)


def less_its_mean(g: Graph, node: Node, means: Means) -> Node:
    """c - s for a `deviation`, as above if s is a mean under a softmax."""
    if g.op[node] != "deviation":
        return node
    c, s = g.args[node]
    mean = means.of(g, s)
    if mean is None:
        return node
    t, *index = g.args[s]
    tensor = g.tensors[t]
    known = dict(zip(tensor.out, index, strict=True))
    whole = whole_of(g, mean.c)
    found = places_of(g, whole, known, tensor.red, c) or _where_an_axis_is(g, whole, known, tensor.red, c)
    if found is None:
        return node
    g.fired[NAME] += 1
    return means.less(g, mean, s, known | dict(zip(tensor.red, found, strict=True)))


def _where_an_axis_is(
    g: Graph, whole: Node, known: Mapping[Node, Node], red: Sequence[Node], c: Node
) -> tuple[Node, ...] | None:
    """The axis of c that stands for the one of the mean: on a diagonal [i = j] is 1, and not to be seen."""
    (r, *others), axes = red, sorted(g.axes[c], key=g.order_key)
    found = (a for a in axes if not others and g.substitute(whole, {**known, r: a}) == c)
    return next(((a,) for a in found), None)
