"""Terms of a sum that differ by a probability: A - A*p is A*(1 - p), also where other terms stand between.

The entry of a Hessian on the diagonal is a sum of products of probabilities of different degrees, as the
derivative of a mean sum(p*v) is p*(1 + v - mean): what is left of p - p*p, where p is near 1, has no digits.
Rules see two neighbours (`ir/stability/complements.py`); here a whole sum is multiplied out, on the diagonal
and off it, and left as it is unless it holds such a pair.

This comes after differentiation, before log-sum-exps are taken apart (`opt.logsumexp`).
Source: the complement, a sum of the other probabilities; Blanchard, Higham & Higham 2021, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import additive_terms, conjunction, conjuncts
from symgrad.ir.stability.audit import AUDITS, Audit
from symgrad.ir.stability.complements import complement_of, is_share, numbers_apart, share_factors
from symgrad.ir.stability.patterns import remove
from symgrad.opt.rebuild import Copy, copy_with
from symgrad.records import dataclass

NAME = "term_less_its_share"  # what `Graph.fired` counts
AUDITS[NAME] = Audit(
    "Sum(v[i]*exp(v[i]), (i, 0, n - 1))/Sum(exp(v[i]), (i, 0, n - 1))",
    "A - A*p as A*(1 - p), of the second derivatives",
    "terms of one sum, on the diagonal or off it, that differ by a softmax",
    "Blanchard, Higham & Higham 2021, section 4",
    ({"v": (40.0, 0.0, 1.0)}, {"v": (0.0, 100.0, 3.0)}, {"v": (0.5, 1.0, -2.0)}),
)
_MOST_TERMS = 24
_MOST_STEPS = 4  # from a factor to the exponential that it is
_MOST_DELTAS = 3  # equations of indices that a sum is split by


@dataclass(frozen=True)
class Term:
    """number * the product of `factors` where all `conditions` hold.

    whole  the product of the factors as it stood, if it did.
    """

    number: Fraction
    factors: tuple[Node, ...]
    conditions: tuple[Node, ...] = ()
    whole: Node | None = None


def with_pairs(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """The definitions with such pairs of terms in the sums that they are made of."""
    below = g.definitions_below(roots)
    if not g.stabilise or all(g.tensors[t].kind != "logsumexp" for t in below):
        return g, {t: t for t in below}
    tops = {(t, n) for t in below for body in g.tensors[t].bodies for n in _sums(g, body)}
    sums = {(t, n) for t, n in tops if _paired(g, n) is not None}
    if not sums:
        return g, {t: t for t in below}

    def on_node(copy: Copy, t: TensorId, old: Node, new: Node) -> Node:
        made = _paired(copy.new, new) if (t, old) in sums else None
        if made is None:
            return new
        copy.new.fired[NAME] += 1
        return made

    return copy_with(g, roots, on_node=on_node)


def _sums(g: Graph, body: Node) -> list[Node]:
    """The outermost sums of a body over axes that have shares of a softmax for factors."""
    found, stack = [], [body] if g.axes[body] else []
    while stack:
        n = stack.pop()
        if g.op[n] in ("where", "mask"):
            stack += g.args[n][1:]
        elif g.op[n] in ("add", "sub") and len(additive_terms(g, n)) <= _MOST_TERMS:
            found.append(n)
    return found


def _paired(g: Graph, node: Node) -> Node | None:
    """The sum with its pairs; None if it has none."""
    terms = _terms(g, node)
    if terms is None or not any(_exponential(g, f) is not None for term in terms for f in term.factors):
        return None
    return _split(g, terms, _MOST_DELTAS)


# ---- terms ---------------------------------------------------------------------------------------


def _terms(g: Graph, node: Node) -> list[Term] | None:
    """The terms of a sum, multiplied out; None if they are too many."""
    found: list[Term] = []
    stack: list[tuple[Fraction, Node, tuple[Node, ...], tuple[Node, ...]]] = [(Fraction(1), node, (), ())]
    while stack:
        if len(found) + len(stack) > _MOST_TERMS:
            return None
        number, n, beside, conditions = stack.pop()
        if g.op[n] in ("add", "sub", "neg"):
            stack += [(sign * number, m, beside, conditions) for sign, m in reversed(additive_terms(g, n))]
        elif g.op[n] == "mask":
            stack.append((number, g.args[n][1], beside, (*conditions, *conjuncts(g, g.args[n][0]))))
        else:
            own, factors = numbers_apart(g, share_factors(g, n))
            inner = next((f for f in factors if _is_sum(g, f)), None)
            if inner is not None and any(_exponential(g, f) is not None for f in (*beside, *factors)):
                rest, _ = remove(factors, [inner])
                parts = _parts(g, inner)[::-1]
                stack += [(sign * number * own, m, (*beside, *rest), conditions) for sign, m in parts]
            else:
                whole = n if own == 1 and not beside else None
                found.append(Term(number * own, (*beside, *factors), conditions, whole))
    return found


def _is_sum(g: Graph, node: Node) -> bool:
    """Whether a factor is a sum with a share for a term, or a read of a map that is one.

    No other sum is multiplied out: what is left when its terms cancel may be all that the product has.
    """
    terms = _parts(g, node)
    return len(terms) > 1 and any(_exponential(g, term) is not None for _, term in terms)


def _parts(g: Graph, node: Node) -> list[tuple[int, Node]]:
    """The signed terms of a sum, of a read of one, or of a difference of exponentials."""
    if g.op[node] == "read" and g.tensors[g.args[node][0]].kind == "map":
        node = _unfolded(g, node)
    parts: list[tuple[int, Node]] = []
    for sign, term in additive_terms(g, node):
        if g.op[term] == "exp_difference":
            c, u, v = g.args[term]
            parts += [(sign, g.node("exp", g.add(c, u))), (-sign, g.node("exp", g.add(c, v)))]
        else:
            parts.append((sign, term))
    return parts


def _unfolded(g: Graph, read: Node) -> Node:
    """What a read of a map stands for."""
    tensor = g.tensors[g.args[read][0]]
    return g.substitute(tensor.body, dict(zip(tensor.out, g.args[read][1:], strict=True)))


# ---- the sum again -------------------------------------------------------------------------------


def _split(g: Graph, terms: Sequence[Term], deltas: int) -> Node | None:
    """The sum with its pairs, apart where an equation of indices holds and where not; None without a pair."""
    found = _equation(g, terms) if deltas else None
    if found is None:
        return _joined(g, terms)
    equation, places = found
    off = g.node("not", equation)
    on_it = [_at(g, term, places, equation) for term in terms if off not in term.conditions]
    off_it = [_without(term, off) for term in terms if equation not in term.conditions]
    parts = [_split(g, part, deltas - 1) for part in (on_it, off_it)]
    if parts == [None, None]:
        return None
    first, second = (
        _sum(g, some) if part is None else part for part, some in zip(parts, (on_it, off_it), strict=True)
    )
    return g.where(equation, first, second)


def _equation(g: Graph, terms: Sequence[Term]) -> tuple[Node, dict[Node, Node]] | None:
    """An equation under which some term stands alone, and what it puts in the place of an axis."""
    for term in terms:
        for equation in term.conditions:
            places = _solved(g, equation)
            if places is not None:
                return equation, places
    return None


def _solved(g: Graph, equation: Node) -> dict[Node, Node] | None:
    """{i: j} for i = j, two axes of the same extent; {i: a number} for an axis alone."""
    if g.op[equation] != "ieq":
        return None
    (difference,) = g.args[equation]
    axes = g.first_occurrence(difference, g.axes[difference])
    for axis in reversed(axes):
        for sign in (1, -1):
            other = g.iadd(axis, difference, sign)
            is_axis = g.op[other] == "axis" and g.extent(other) == g.extent(axis)
            if axis not in g.axes[other] and (is_axis or g.op[other] == "const"):
                return {axis: other}
    return None


def _at(g: Graph, term: Term, places: dict[Node, Node], equation: Node) -> Term:
    """The term where the equation holds."""
    conditions = tuple(
        c for c in (g.substitute(c, places) for c in term.conditions if c != equation) if c != g.true
    )
    factors = tuple(g.substitute(f, places) for f in term.factors)
    whole = None if term.whole is None else g.substitute(term.whole, places)
    return Term(term.number, factors, conditions, whole)


def _without(term: Term, condition: Node) -> Term:
    return replace(term, conditions=tuple(c for c in term.conditions if c != condition))


def _joined(g: Graph, terms: Sequence[Term]) -> Node | None:
    """The sum with every pair of terms that differ by a share as one; None if there is none."""
    left = list(terms)
    keys = [_keys(g, term) for term in terms]
    places = range(len(terms))
    for a in places:
        for b in places:
            share = _one_more(g, keys[b], keys[a]) if left[a].number == -left[b].number else None
            if share is None or not left[a].number or _but_empty(g, left[a]) != _but_empty(g, left[b]):
                continue
            left[a] = Term(left[a].number, (*left[a].factors, _complement(g, share)), left[a].conditions)
            keys[a] = _keys(g, left[a])
            left[b] = replace(left[b], number=Fraction(0))
    kept = [term for term in left if term.number]
    return _sum(g, kept) if len(kept) < len(left) else None


def _keys(g: Graph, term: Term) -> list[Node]:
    """The factors, shares as the exponentials that they are."""
    return [_exponential(g, f) or f for f in term.factors]


def _one_more(g: Graph, more: list[Node], fewer: list[Node]) -> Node | None:
    """p if the first factors are the others and a share p."""
    rest, missing = remove(more, fewer) if len(more) == len(fewer) + 1 else ([], [])
    return rest[0] if rest and not missing and is_share(g, rest[0]) else None


def _complement(g: Graph, share: Node) -> Node:
    """1 - p, also where every exponent is -inf, and p is 0."""
    if g.op[share] != "exp":
        return complement_of(g, share)
    total = next(n for n in g.reads((share,)) if g.tensors[g.args[n][0]].kind == "logsumexp")
    return g.where(g.node("eq", total, g.const(float("-inf"))), g.one, complement_of(g, share))


def _exponential(g: Graph, node: Node) -> Node | None:
    """exp(x - logsumexp(x)) if a factor is that, stored or guarded."""
    for _ in range(_MOST_STEPS):
        if g.op[node] == "exp":
            return node if is_share(g, node) else None
        if g.op[node] == "where" and g.args[node][1] == g.zero:
            node = g.args[node][2]
        elif g.op[node] == "read" and g.tensors[g.args[node][0]].kind == "map":
            node = _unfolded(g, node)
        else:
            return None
    return None


def _but_empty(g: Graph, term: Term) -> set[Node]:
    """The conditions, but for those of a softmax of no more than -inf, whose shares are 0."""
    infinity = g.const(float("-inf"))
    return {
        c for c in term.conditions
        if not (g.op[c] == "not" and g.op[g.args[c][0]] == "eq" and infinity in g.args[g.args[c][0]])
    }  # fmt: skip


def _sum(g: Graph, terms: Sequence[Term]) -> Node:
    total = g.zero
    for term in terms:
        product = term.whole
        if product is None:
            product = g.one
            for factor in term.factors:
                product = g.mul(product, factor)
        size = abs(term.number)
        value = g.mask(
            conjunction(g, term.conditions), product if size == 1 else g.mul(g.const(size), product)
        )
        total = g.add(total, value) if term.number > 0 else g.sub(total, value)
    return total
