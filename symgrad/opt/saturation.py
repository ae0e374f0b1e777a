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

from collections.abc import Callable, Collection, Sequence

from symgrad.ir.composites.softmax import share_of_others
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.places import exponent_behind
from symgrad.ir.stability.audit import AUDITS, Audit, at_pairs
from symgrad.records import dataclass

NAME = "probability_beside_its_target"  # what `Graph.fired` counts
AUDITS[NAME] = Audit(
    "1/(1 + exp(-x)) - y", "1 - y - 1/(1 + exp(x))",
    "a softmax or logistic function with factors, in a sum; x > 0 and |1 - y| < |y|",
    "Blanchard, Higham & Higham 2021, section 4",
    at_pairs((40.0, 1.0), (800.0, 1.0), (3.0, 0.96875), (-3.0, 0.5)),
)  # fmt: skip
_WRITTEN_OUT = ("logistic", "share")
_MOST_FACTORS = 8  # a product is searched this far

Path = tuple[tuple[Node, int], ...]  # (product, which argument) from the outside to a factor


@dataclass(frozen=True)
class Split:
    """A log-sum-exp m + log(1 + s): the definitions of m, log(1 + s) and s, over the same axes.

    below, ties  of the sum of exponentials less than the largest, and of how many are the largest.
    out, red     the axes of the log-sum-exp, free in `written` and `body`,
    written      an exponent as it was written, and
    body         as it is compared with the largest one.
    exponents    the definition of these, where it was made for this.
    """

    shift: TensorId
    rest: TensorId
    others: TensorId
    below: TensorId
    ties: TensorId
    out: tuple[Node, ...]
    red: tuple[Node, ...]
    written: Node
    body: Node
    exponents: TensorId | None = None


@dataclass(frozen=True)
class Softmax:
    """exp((x - m) - log(1 + s)) of one log-sum-exp, read at `index`; nodes."""

    split: Split
    x: Node
    m: Node
    index: tuple[Node, ...]


@dataclass(frozen=True)
class Share:
    """A factor p: where it is above 1/2, and p or p - 1 as a condition says.

    largest  of a softmax: the definition that all of it is made of.
    """

    is_large: Node
    either: Callable[[Node], Node]  # condition -> p - 1 where it holds, p elsewhere
    largest: TensorId | None = None


def may_saturate(g: Graph, tensors: Sequence[TensorId]) -> bool:
    """Whether there is a logistic function, or a softmax that is written out (log-sum-exp: see who calls)."""
    if not g.stabilise or not any(op in g.op for op in _WRITTEN_OUT):
        return False
    bodies = [b for t in tensors for b in g.tensors[t].bodies]
    return any(g.op[n] in _WRITTEN_OUT for n in g.reachable(bodies))


def beside_target(g: Graph, node: Node, splits: Collection[Split]) -> Node:
    """The sum or difference `node` by the formula above if one term has a probability as a factor."""
    if g.op[node] not in ("add", "sub"):
        return node
    terms = list(g.args[node])
    found = ((k, _place(g, term, splits)) for k, term in enumerate(terms))
    mine, share = next(((k, place[0]) for k, place in found if place is not None), (0, None))
    if share is None or not _is_target(g, terms[1 - mine], share, splits):
        return node
    if g.op[node] == "sub":
        terms[1] = g.neg(terms[1])
    g.fired[NAME] += 1
    return _sum(g, terms[mine], terms[1 - mine], splits)


def _is_target(g: Graph, term: Node, share: Share, splits: Collection[Split]) -> bool:
    """Whether a term is made of no probability: not another gate of a network, or a sum over pairs.

    What is stored may be made of other softmaxes than that of `share`, as the target of a distillation is.
    """
    stack, left = [term], _MOST_FACTORS
    while stack and left:
        left -= 1
        n = stack.pop()
        if g.op[n] == "logistic_slope" or _share(g, n, splits) is not None:
            return False
        if g.op[n] in ("add", "sub", "mul", "div", "neg", "mask", "where"):
            stack += [a for a in g.args[n] if g.kind[a] == "real"]
    return not stack and (share.largest is None or not _is_made_of(g, term, share.largest))


def _is_made_of(g: Graph, node: Node, source: TensorId) -> bool:
    """Whether a value depends on a definition; those made before it do not."""
    stack = [g.args[n][0] for n in g.reads((node,))]
    seen: set[TensorId] = set()
    while stack:
        t = stack.pop()
        if t == source:
            return True
        if t > source and t not in seen:
            seen.add(t)
            stack += g.sources_of(t)
    return False


def _sum(g: Graph, term: Node, rest: Node, splits: Collection[Split]) -> Node:
    """term + rest; one probability is taken out of the term at a time."""
    place = _place(g, term, splits)
    if place is None:
        return g.add(term, rest)
    share, path = place
    whole = _replaced(g, path, g.one)
    near = g.node("lt", g.node("abs", g.add(whole, rest)), g.node("abs", rest))
    cancels = g.node("and", share.is_large, near)
    beside = g.where(cancels, _sum(g, whole, rest, splits), rest)
    return g.add(_replaced(g, path, share.either(cancels)), beside)


# ---- factors -----------------------------------------------------------------------------------


def _place(g: Graph, term: Node, splits: Collection[Split]) -> tuple[Share, Path] | None:
    """The first probability among the factors of a product of a few, and the way there."""
    stack: list[tuple[Node, Path]] = [(term, ())]
    for _ in range(_MOST_FACTORS):
        if not stack:
            return None
        n, path = stack.pop()
        share = _share(g, n, splits)
        if share is not None:
            return share, path
        places = {"mul": (1, 0), "neg": (0,), "div": (0,), "mask": (1,)}.get(g.op[n], ())
        stack += [(g.args[n][k], (*path, (n, k))) for k in places]
    return None


def _replaced(g: Graph, path: Path, value: Node) -> Node:
    """The product with `value` in place of the factor that `path` leads to; rounded in the same order."""
    for n, k in reversed(path):
        args = list(g.args[n])
        args[k] = value
        value = g.node(g.op[n], *args)
    return value


# ---- probabilities -----------------------------------------------------------------------------


def _share(g: Graph, node: Node, splits: Collection[Split]) -> Share | None:
    if g.op[node] == "logistic":
        return _logistic(g, node)
    return _of_few(g, node) if g.op[node] == "share" else _softmax(g, node, splits)


def _logistic(g: Graph, node: Node) -> Share:
    """e/(1 + e) is 1 - p for z > 0 and p for z < 0."""
    (z,) = g.args[node]
    e = g.node("exp", g.neg(g.node("abs", z)))
    above = g.where(g.node("le", g.zero, z), g.one, e)

    def either(condition: Node) -> Node:
        return g.div(g.where(condition, g.neg(e), above), g.add(g.one, e))

    return Share(g.node("lt", g.zero, z), either)


def _of_few(g: Graph, node: Node) -> Share:
    """That of scores which are written out."""
    rest = share_of_others(g, g.args[node][0], g.args[node][1:])
    return Share(g.node("lt", rest, node), lambda condition: g.where(condition, g.neg(rest), node))


def _softmax(g: Graph, node: Node, splits: Collection[Split]) -> Share | None:
    """That of the largest x."""
    found = softmax_of(g, node, splits)
    if found is None:
        return None
    s = g.read(found.split.others, *found.index)
    is_large = g.node("and", g.node("eq", found.x, found.m), g.node("lt", s, g.one))
    complement = g.div(s, g.add(g.one, s))
    return Share(is_large, lambda condition: g.where(condition, g.neg(complement), node), found.split.shift)


def softmax_of(g: Graph, node: Node, splits: Collection[Split]) -> Softmax | None:
    """What `node` is, if it is a softmax: also one that is stored, or that is 0 where every x is -inf."""
    exponent = exponent_behind(g, node)
    if exponent is None or g.op[exponent] != "sub":
        return None
    moved, rest = g.args[exponent]
    moved = behind_choice(g, moved)
    split = next((s for s in splits if g.op[rest] == "read" and g.args[rest][0] == s.rest), None)
    if split is None or g.op[moved] != "sub":
        return None
    index = g.args[rest][1:]
    x, m = g.args[moved]
    return Softmax(split, x, m, index) if m == g.read(split.shift, *index) else None


def less_largest(g: Graph, x: Node, m: Node) -> Node:
    """x - m for an exponent and the largest one: 0 for that, also where it is infinite."""
    return g.where(g.node("eq", x, m), g.zero, g.intern("sub", (x, m)))


def behind_choice(g: Graph, node: Node) -> Node:
    """x - m, if a node is that as above; the node itself otherwise."""
    is_choice = g.op[node] == "where" and g.args[node][1] == g.zero
    return int(g.args[node][2]) if is_choice else node
