"""Probabilities beside what they nearly cancel: a*p + b where p is a softmax or a logistic function.

The gradient of a cross-entropy is p - y. Where the model is sure and right, p is rounded to 1 and nothing is
left of 1 - p, which is the whole answer. But 1 - p is known by itself:

    softmax   p = exp(x - L) of the largest x: 1 - p = s/(1 + s), s = the sum of exp(x - max) over the others
    logistic  p = 1/(1 + exp(-z)), z > 0:      1 - p = e/(1 + e), e = exp(-z)

so  a*p + b = (a + b) - a*(1 - p)  where  p > 1/2  and  |a + b| < |b|, which is where the two have opposite
signs and near sizes; elsewhere it stays as it is. The sum a + b is then exact or nearly so. This comes after
differentiation, for which p is one thing, and needs no further function: s is there already
(`opt.logsumexp`), and e is what the logistic function is made of.

Source: the complement, a sum of the other probabilities; Blanchard, Higham & Higham 2021, section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.stability.audit import AUDITS, Audit, at_pairs

NAME = "probability_beside_its_target"  # what `Graph.fired` counts
AUDITS[NAME] = Audit(
    "1/(1 + exp(-x)) - y", "1 - y - 1/(1 + exp(x))",
    "a softmax or logistic function with factors, in a sum; x > 0 and |1 - y| < |y|",
    "Blanchard, Higham & Higham 2021, section 4",
    at_pairs((40.0, 1.0), (800.0, 1.0), (3.0, 0.96875), (-3.0, 0.5)),
)  # fmt: skip
_MOST_FACTORS = 8  # a product is searched this far
_MOST_STEPS = 4  # from what is written to the exponential it is

Factor = tuple[Node, bool]  # above (True) or below the fraction bar


@dataclass(frozen=True)
class Split:
    """A log-sum-exp m + log(1 + s): the definitions of m, log(1 + s) and s, over the same axes."""

    shift: TensorId
    rest: TensorId
    others: TensorId


@dataclass(frozen=True)
class Share:
    """A factor p: where it is above 1/2, and p or p - 1 as a condition says."""

    is_large: Node
    either: Callable[[Node], Node]  # condition -> p - 1 where it holds, p elsewhere


def may_saturate(g: Graph, tensors: Sequence[TensorId]) -> bool:
    """Whether a logistic function is added to anything (log-sum-exp: see who calls)."""
    bodies = [b for t in tensors for b in g.tensors[t].bodies]
    return g.stabilise and any(g.op[n] == "logistic" for n in g.reachable(bodies))


def beside_target(g: Graph, node: Node, splits: Iterable[Split]) -> Node:
    """The sum or difference `node` by the formula above if one term has a probability as a factor."""
    if g.op[node] not in ("add", "sub"):
        return node
    first, second = (_factors(g, a) for a in g.args[node])
    if g.op[node] == "sub":
        second = [(g.minus_one, True), *second]
    shares = [[_share(g, n, splits) if above else None for n, above in term] for term in (first, second)]
    found = [any(s is not None for s in row) for row in shares]
    if found[0] == found[1]:  # none, or two of them: gates of a network, not a probability and its target
        return node
    g.fired[NAME] += 1
    if found[0]:
        return _sum(g, list(zip(first, shares[0], strict=True)), _product(g, second))
    return _sum(g, list(zip(second, shares[1], strict=True)), _product(g, first))


def _sum(g: Graph, factors: list[tuple[Factor, Share | None]], rest: Node) -> Node:
    """The product of the factors plus `rest`; one share is taken out at a time."""
    place = next((k for k, (_, share) in enumerate(factors) if share is not None), None)
    plain = _product(g, [f for k, (f, _) in enumerate(factors) if k != place])
    if place is None:
        return g.add(plain, rest)
    share = factors[place][1]
    assert share is not None
    near = g.node("lt", g.node("abs", g.add(plain, rest)), g.node("abs", rest))
    cancels = g.node("and", share.is_large, near)
    without = _sum(g, factors[:place] + factors[place + 1 :], rest)
    return g.add(g.mul(plain, share.either(cancels)), g.where(cancels, without, rest))


# ---- factors -----------------------------------------------------------------------------------


def _factors(g: Graph, node: Node) -> list[Factor]:
    """The factors of a product of a few; a product of many is one factor."""
    found: list[Factor] = []
    stack = [(node, True)]
    while stack:
        if len(stack) + len(found) > _MOST_FACTORS:
            return [(node, True)]
        n, above = stack.pop()
        if g.op[n] == "neg":
            stack += [(g.args[n][0], above), (g.minus_one, True)]
        elif g.op[n] == "mul":
            stack += [(a, above) for a in g.args[n][::-1]]
        elif g.op[n] == "div":
            stack += [(g.args[n][1], not above), (g.args[n][0], above)]
        else:
            found.append((n, above))
    return found


def _product(g: Graph, factors: Sequence[Factor]) -> Node:
    sides = {True: g.one, False: g.one}
    for n, above in factors:
        sides[above] = g.mul(sides[above], n)
    return g.div(sides[True], sides[False])


# ---- probabilities -----------------------------------------------------------------------------


def _share(g: Graph, node: Node, splits: Iterable[Split]) -> Share | None:
    if g.op[node] == "logistic":
        return _logistic(g, node)
    return _softmax(g, node, splits)


def _logistic(g: Graph, node: Node) -> Share:
    """e/(1 + e) is 1 - p for z > 0 and p for z < 0."""
    (z,) = g.args[node]
    e = g.node("exp", g.neg(g.node("abs", z)))
    above = g.where(g.node("le", g.zero, z), g.one, e)

    def either(condition: Node) -> Node:
        return g.div(g.where(condition, g.neg(e), above), g.add(g.one, e))

    return Share(g.node("lt", g.zero, z), either)


def _softmax(g: Graph, node: Node, splits: Iterable[Split]) -> Share | None:
    """exp((x - m) - log(1 + s)), also one that is stored, or that is 0 where every x is -inf."""
    exponent = _exponent(g, node)
    if exponent is None or g.op[exponent] != "sub":
        return None
    moved, rest = g.args[exponent]
    split = next((s for s in splits if g.op[rest] == "read" and g.args[rest][0] == s.rest), None)
    if split is None or g.op[moved] != "sub":
        return None
    index = g.args[rest][1:]
    (x, m), s = g.args[moved], g.read(split.others, *index)
    if m != g.read(split.shift, *index):
        return None
    is_large = g.node("and", g.node("eq", x, m), g.node("lt", s, g.one))
    complement = g.div(s, g.add(g.one, s))
    return Share(is_large, lambda condition: g.where(condition, g.neg(complement), node))


def _exponent(g: Graph, node: Node) -> Node | None:
    """x if `node` is exp(x), a read of it, or where(.., 0, exp(x))."""
    for _ in range(_MOST_STEPS):
        op, args = g.op[node], g.args[node]
        if op == "exp":
            return int(args[0])
        if op == "where" and args[1] == g.zero:
            node = args[2]
        elif op == "read" and g.tensors[args[0]].kind == "map":
            tensor = g.tensors[args[0]]
            if g.op[tensor.body] not in ("exp", "where", "read"):
                return None
            node = g.substitute(tensor.body, dict(zip(tensor.out, args[1:], strict=True)))
        else:
            return None
    return None
