"""Softmaxes of an array and a few scores beside it, as in log(1 + sum(exp(x))).

With L = logsumexp(x), an x has q = exp(x - L) of the array, and the array has s of the whole: a product that
is one operation, `nested_share(s, q)`. Its tangent is known of all of it,

    s*q*(dx[k] - sum(s*q*dx) - sum(r*dz))        r the shares of the other scores z, which with s add up to 1

By q and s apart it would be a sum of dx[k] - sum(q*dx) and (1 - s)*(sum(q*dx) - ..), of which nothing is left
where s is small. A dx that is 1 at one place alone gives (1 - q) + q*(1 - s) there and -s*q elsewhere.

Source: Blanchard, Higham & Higham 2021, section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from symgrad.grad.softmaxes import (
    Softmax,
    as_share,
    delta_apart,
    deviation_of,
    is_delta,
    mean_under,
    share_of,
)
from symgrad.ir.composites.softmax import share
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import additive_terms, reduce
from symgrad.ir.stability.patterns import all_factors, quotient_of, remove, sum_of_signed, terms_of

_SHARES = ("logistic", "logistic_slope", "share")


# ---- backwards ---------------------------------------------------------------------------------


def weighted(g: Graph, total: TensorId, bar: Node, softmax: Node) -> Node:
    """bar*q over the axes of L, a share of exp(L) among the factors of `bar` and q as one."""
    if not any(op in g.op for op in _SHARES):
        return g.mul(bar, softmax)
    read, made = g.read(total, *g.tensors[total].out), g.zero
    for sign, term in additive_terms(g, bar):
        value = _weighted_term(g, read, term, softmax)
        made = g.add(made, value) if sign > 0 else g.sub(made, value)
    return made


def has_share(g: Graph, total: TensorId, axes: Sequence[Node], term: Node) -> bool:
    """Whether a share of exp(L), read at `axes`, is a factor."""
    read = g.read(total, *axes)
    return any(_share_of(g, read, f) is not None for f in all_factors(g, term)[0])


def _weighted_term(g: Graph, read: Node, term: Node, softmax: Node) -> Node:
    if g.op[term] == "mask":
        predicate, inner = g.args[term]
        return g.mask(predicate, _weighted_term(g, read, inner, softmax))
    above, below = all_factors(g, term)
    for k, factor in enumerate(above):
        parts = _share_of(g, read, factor)
        if parts is not None:
            own, *others = parts
            nested = g.node("nested_share", own, softmax)
            return quotient_of(g, [*above[:k], *above[k + 1 :], *others, nested], below)
    return g.mul(term, softmax)


def _share_of(g: Graph, read: Node, factor: Node) -> tuple[Node, ...] | None:
    """The share of exp(L) first, if it is a factor of this."""
    op, args = g.op[factor], g.args[factor]
    if op == "share" and args[0] == read:
        return (factor,)
    if op not in ("logistic", "logistic_slope"):
        return None
    terms = terms_of(g, args[0])
    if (1, read) in terms:
        rest = (g.node("logistic", g.neg(args[0])),) if op == "logistic_slope" else ()
        return (g.node("logistic", args[0]), *rest)
    if op == "logistic_slope" and (-1, read) in terms:
        return g.node("logistic", g.neg(args[0])), g.node("logistic", args[0])
    return None


# ---- forwards ----------------------------------------------------------------------------------


class Parts(NamedTuple):
    """What the tangent of x is made of, over the axes of L and those it sums over.

    near, own, far  of what is 1 at one place alone: [k = e]*(1 - q), [k = e]*q and [k != e]*q[e].
    mean, apart     of what is not: sum(q*dx), and dx[k] less that.
    dense           dx[k] itself, and
    common          what all of them have.
    """

    near: Node
    own: Node
    far: Node
    dense: Node
    mean: Node
    apart: Node
    common: Node


def exponent(g: Graph, body: Node) -> Node:
    """x where an exponent is that or -inf: how the latter moves does not matter, as their q is 0."""
    is_left_out = g.op[body] == "where" and g.args[body][1] == g.const(float("-inf"))
    return int(g.args[body][2]) if is_left_out else body


def parts_of(g: Graph, softmax: Softmax, dx: Node) -> Parts:
    near = own = far = common = g.zero
    dense: list[tuple[int, Node]] = []
    p = share_of(g, softmax)
    for sign, term in additive_terms(g, dx):
        plus = g.add if sign > 0 else g.sub
        if g.axes[term].isdisjoint(softmax.red):
            common = plus(common, term)
        elif is_delta(g, softmax, term):
            there, elsewhere = delta_apart(g, softmax, term, reduce(g, "sum", softmax.red, g.mul(p, term)))
            near, own, far = plus(near, there), plus(own, g.mul(term, p)), plus(far, elsewhere)
        else:
            dense.append((sign, term))
    c = sum_of_signed(g, dense)
    mean = mean_under(g, softmax, c) if dense else g.zero
    return Parts(near, own, far, c, mean, deviation_of(g, softmax, dense), common)


def tangent(g: Graph, node: Node, parts: Parts, expression: Callable[[Node], Node]) -> Node:
    """That of nested_share(s, q) where the x stands; `expression` gives those of the other scores."""
    s, inner = g.args[node]
    rest, others = _others(g, s, inner)
    half = g.node("lt", s, g.const(1 / 2))
    spread = g.where(
        half, g.sub(parts.dense, g.mul(s, parts.mean)), g.add(parts.apart, g.mul(rest, parts.mean))
    )
    moved = g.add(parts.near, g.mul(rest, g.add(parts.own, parts.common)))
    moved = g.sub(g.add(moved, spread), g.mul(s, parts.far))
    for r, z in others:
        moved = g.sub(moved, g.mul(r, expression(z)))
    return g.mul(node, moved)


def _others(g: Graph, s: Node, inner: Node) -> tuple[Node, list[tuple[Node, Node]]]:
    """1 - s, and the share r of each other score z."""
    if g.op[s] == "share":
        scores = g.args[s]
        shares = [(share(g, z, (*scores[:k], *scores[k + 1 :])), z) for k, z in enumerate(scores) if k]
        return g.node("share_of_others", *scores), shares
    (apart,) = g.args[s]
    rest, found = g.node("logistic", g.neg(apart)), as_share(g, inner)
    assert found is not None
    read = g.read(found.total, *found.place[: len(g.tensors[found.total].out)])
    beyond, _ = remove(terms_of(g, apart), [(1, read)])
    return rest, [(rest, g.neg(sum_of_signed(g, beyond)))]
