"""Operands of matrix products in memory: products of more than two reads become products of two.

    sum over p of a[i, p]*s[p]*(b[p, j] - c[p, j])   =   sum over p of a[i, p]*t[p, j],
                                                         t[p, j] = s[p]*(b[p, j] - c[p, j])

Storing an operand costs as much as one pass over it, and the product passes over it many times. It is done
where the sum becomes a matrix product (`ir.contraction`) by it. Terms that are none leave the sum.

A read that leaves its tensor at the edges, as in the gradient of a convolution by its input, is read from a
copy with zeros around:

    sum over k of [0 <= i - k < n] y[i - k]*w[k]     =   sum over k of z[i - k + K - 1]*w[k]

Other conditions, as those of a triangular factor, become zeros of the operand that has their axes.

Stored numbers count as finite here, as they do in `ir.reduce`: 0*w[k] is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symgrad.ir.bounds import facts_of, index_is_in_range, read_is_in_range, typical
from symgrad.ir.contraction import is_linear_read, is_plain_read, is_small, scale_of, terms_of
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.ops import OPS
from symgrad.ir.reduce import additive_terms, conjunction, conjuncts, factors_of, reduce
from symgrad.ir.tensor import Tensor
from symgrad.opt.rebuild import Copy, copy_with
from symgrad.records import dataclass

# Finite where their arguments are, unless they overflow.
_AS_FINITE = frozenset(
    (
        "add",
        "sub",
        "mul",
        "neg",
        "abs",
        "cast",
        "mask",
        "where",
        "maximum",
        "minimum",
        "sin",
        "cos",
        "tanh",
        "logistic",
    )
)
_SHORT = 4  # passes over an operand; for fewer it is not worth storing


def operands(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """Put the operands of sums into memory where that makes matrix products of them."""
    below = g.definitions_below(roots)
    chosen = {t for t in below if g.tensors[t].kind == "sum" and not terms_of(g, g.tensors[t])
              and any(plan for *_, plan in _plans(g, g.tensors[t]))}  # fmt: skip
    if not chosen:
        return g, {t: t for t in below}

    def on_tensor(copy: Copy, t: TensorId) -> TensorId | None:
        return _rewritten(copy.new, copy.tensor(t)) if t in chosen else None

    return copy_with(g, roots, on_tensor)


def _rewritten(g: Graph, t: TensorId) -> TensorId:
    """The sum `t` as one of products of two reads, and the sums of its other terms."""
    tensor, products, others = g.tensors[t], g.zero, g.zero
    for sign, term, plan in _plans(g, tensor):
        if plan is None:
            total = reduce(g, "sum", tensor.red, term)
            others = g.add(others, total) if sign > 0 else g.sub(others, total)
        else:
            term = g.mul(_in_memory(g, plan.left), _in_memory(g, plan.right))
            products = g.add(products, g.mul(g.const(sign * plan.scale), term))
    if products == g.zero:  # it became something simpler on the way
        return t
    made = g.define("sum", tensor.out, tensor.red, products)
    if others == g.zero:
        return made
    return g.define("map", tensor.out, (), g.add(g.read(made, *tensor.out), others))


@dataclass(frozen=True)
class _Group:
    """Factors that make one operand: numerators, denominators, and where it is not 0."""

    top: tuple[Node, ...]
    bottom: tuple[Node, ...]
    guards: tuple[Node, ...] = ()

    @property
    def only(self) -> Node | None:
        """The factor, if there is just one."""
        return self.top[0] if len(self.top) == 1 and not self.bottom else None


@dataclass(frozen=True)
class _Plan:
    """One term: scale * left * right."""

    scale: int
    left: _Group
    right: _Group


def _plans(g: Graph, tensor: Tensor) -> list[tuple[int, Node, _Plan | None]]:
    """How each signed term becomes a product of two operands, None if it cannot.

    Empty where loops are better.
    """
    if is_small(g, tensor):
        return []
    out, red = frozenset(tensor.out), frozenset(tensor.red)
    return [(sign, term, _plan(g, out, red, term)) for sign, term in _terms(g, tensor.body)]


def _terms(g: Graph, body: Node) -> list[tuple[int, Node]]:
    """The signed terms of a sum, those under a common condition each under its own."""
    found = []
    for sign, term in additive_terms(g, body):
        if g.op[term] != "mask":
            found.append((sign, term))
            continue
        predicate, inner = g.args[term]
        found += [(sign * k, g.mask(predicate, part)) for k, part in additive_terms(g, inner)]
    return found


def _plan(g: Graph, out: frozenset[Node], red: frozenset[Node], term: Node) -> _Plan | None:
    guards: list[Node] = []
    if g.op[term] == "mask":
        guards, term = conjuncts(g, g.args[term][0]), g.args[term][1]
    top, bottom = factors_of(g, term)
    scale, top = scale_of(g, top)
    factors = [(n, True) for n in top] + [(n, False) for n in bottom]
    seeds = _seeds(g, out, [n for n, _ in factors])
    if seeds is None:
        return None
    axes = (g.axes[seeds[0]], g.axes[seeds[1]])
    homes = {n: _home(g, g.axes[n], axes) for n in (*guards, *(n for n, _ in factors))}
    if None in homes.values() or not red <= axes[0] & axes[1]:
        return None
    if any(_volume(g, (axes[k] - axes[1 - k]) & out) < _SHORT for k in (0, 1)):
        return None
    groups = [
        _Group(tuple(n for n, above in factors if above and homes[n] == k),
               tuple(n for n, above in factors if not above and homes[n] == k),
               tuple(p for p in guards if homes[p] == k))
        for k in (0, 1)
    ]  # fmt: skip
    if guards:
        guarded = [_guarded(g, group, guards, own) for group, own in zip(groups, axes, strict=True)]
        groups = [group for group in guarded if group is not None and _stands_alone(g, group)]
    return _Plan(scale, *groups) if len(groups) == 2 else None


def _home(g: Graph, axes: frozenset[Node], groups: Sequence[frozenset[Node]]) -> int | None:
    """The smaller of the groups that have all these axes."""
    fitting = [k for k, group in enumerate(groups) if axes <= group]
    return min(fitting, key=lambda k: _volume(g, groups[k])) if fitting else None


def _volume(g: Graph, axes: frozenset[Node]) -> int:
    volume = 1
    for a in axes:
        volume *= typical(g, g.extent(a))
    return volume


def _seeds(g: Graph, out: frozenset[Node], factors: Sequence[Node]) -> tuple[Node, Node] | None:
    """Two factors each of which has an axis of the result that the other lacks, with most axes."""
    in_order = sorted(factors, key=lambda n: (-len(g.axes[n]), g.order_key(n)))
    for k, a in enumerate(in_order):
        for b in in_order[:k]:
            if (g.axes[a] - g.axes[b]) & out and (g.axes[b] - g.axes[a]) & out:
                return b, a
    return None


# ---- guards --------------------------------------------------------------------------------------------


def _guarded(g: Graph, group: _Group, guards: Sequence[Node], axes: frozenset[Node]) -> _Group | None:
    """The group under all guards over its axes, if it may be nan where one fails: 0*nan is no 0.

    None if it may be for other guards. Stored numbers are made for all places, whatever guards say of them.
    """
    fitting = tuple(p for p in guards if g.axes[p] <= axes)
    nodes = g.reachable((*group.top, *group.bottom))
    is_finite = not group.bottom and all(g.op[n] in _AS_FINITE or g.op[n] not in OPS for n in nodes)
    if len(fitting) < len(guards) and not is_finite:
        return None
    reads_inputs = all(g.tensors[g.args[n][0]].kind == "input" for n in nodes if g.op[n] == "read")
    return group if is_finite and reads_inputs else replace(group, guards=fitting)


def _stands_alone(g: Graph, group: _Group) -> bool:
    """Whether all it reads is there wherever its own guards hold."""
    facts = [fact for p in group.guards for fact in facts_of(g, p)]
    return all(read_is_in_range(g, r, facts) for r in g.reads((*group.top, *group.bottom)))


def _are_limits(g: Graph, guards: Sequence[Node], read: Node) -> bool:
    """Whether the guards say that a read stays in its tensor, and nothing else."""
    tensor, *index = g.args[read]
    limits = set()
    for i, extent in zip(index, g.tensors[tensor].extents, strict=True):
        limits |= {g.ige0(i), g.ige0(g.isub(g.iadd(extent, g.minus_one), i))}
    return bool(guards) and limits.issuperset(guards)


# ---- memory --------------------------------------------------------------------------------------------


def _in_memory(g: Graph, group: _Group) -> Node:
    """A read of the group's product."""
    only = group.only
    if only is not None and not group.guards and is_plain_read(g, only):
        return only
    if only is not None and is_linear_read(g, only) and _are_limits(g, group.guards, only):
        return _padded(g, only)
    product = g.one
    for n in group.top:
        product = g.mul(product, n)
    for n in group.bottom:
        product = g.div(product, n)
    product = g.mask(conjunction(g, group.guards), product)
    axes = g.first_occurrence(product, g.axes[product])
    return g.read(g.define("map", axes, (), product), *axes)


def _padded(g: Graph, read: Node) -> Node:
    """The same element of a copy with zeros around, wide enough for all values of the axes."""
    tensor, *index = g.args[read]
    source, axes, place, inside = [], [], [], g.true
    for i, extent in zip(index, g.tensors[tensor].extents, strict=True):
        first, last = _ends(g, i)
        last_of_all = g.iadd(extent, g.minus_one)
        is_inside = index_is_in_range(g, i, extent)
        if is_inside:
            first, last = g.zero, last_of_all
        axis = g.fresh_axis(g.iadd(g.isub(last, first), g.one))
        at = g.iadd(axis, first)
        axes.append(axis)
        source.append(at)
        place.append(g.isub(i, first))
        if not is_inside:
            inside = g.node("and", inside, g.node("and", g.ige0(at), g.ige0(g.isub(last_of_all, at))))
    body = g.mask(inside, g.read(tensor, *source))
    return g.read(g.define("map", axes, (), body), *place)


def _ends(g: Graph, index: Node) -> tuple[Node, Node]:
    """The least and the largest value of an index over its axes."""
    constant, terms = g.linear(index)
    ends = []
    for sign in (-1, 1):
        total = g.const(constant)
        for atom, k in terms.items():
            if g.op[atom] == "axis":
                last = g.iadd(g.extent(atom), g.minus_one)
                total = g.iadd(total, last, k) if k * sign > 0 else total
            else:
                total = g.iadd(total, atom, k)
        ends.append(total)
    return ends[0], ends[1]
