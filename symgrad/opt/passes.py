"""The optimisation passes in order, each a function from a graph and its outputs to the same.

others    sums over all places but one take linear time for all places (`opt.others`).
cosines   sides over norms are quotients like others (`opt.cosines`).
together  a recurrence that follows another one step by step runs in its loop (`opt.together`).
totals    sums over the states of a recurrence are taken while it runs (`opt.totals`).
symmetric symmetric matrices are read in one order of their indices (`opt.symmetric`).
diagonal  of what is only read on a diagonal, only that is computed (`opt.diagonal`).
inline    maps of rank 0, and maps read once in loops no larger than their own, become part of
          their reader.
centred   what rounding left in a mean is taken from numbers less their mean, too (`opt.centred`).
distances what a cosine leaves of 1 is computed from the directions (`opt.cosine_distances`).
far       exponentials far out, beside what keeps a product with them in range (`opt.far`).
near      loggamma(1 + x) is its series next to its zero (`opt.near_zeros`).
share     expensive values (transcendental functions) needed by several definitions, or at several
          places of one, are computed once and stored, with their derivatives in the same loop; so are
          divisions that a loop repeats (`opt.unvarying`).
forward   maps that only copy are read where they copy from (`opt.forward`).
operands  what is multiplied in sums that can be matrix products is stored (`opt.operands`).
layout    stored tensors get the axis order that their readers walk (`opt.layout`).
logsumexp a log-sum-exp becomes the largest exponent and the rest, two numbers (`opt.logsumexp`), numbers
          less their mean have the same taken from each first (`opt.deviation`), and probabilities keep
          their digits beside what they nearly cancel (`opt.saturation`).
ranges    sums of squares that overflow are scaled, below a division and in logarithms (`opt.ranges`).
legalise  what targets do not spell: ops that are expansions of others, and matrix functions, which
          become factorisations and what is read off them (`opt.factorise`).
invariant constant factors are multiplied with those that fewer loops change (`opt.invariant`).
reciprocals divisions by roots that a loop repeats become products (`opt.reciprocals`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.ops import OPS
from symgrad.ir.reduce import additive_terms, needs_its_guards, store
from symgrad.ir.tensor import Tensor
from symgrad.opt.centred import centred
from symgrad.opt.cosine_distances import cosine_distances
from symgrad.opt.cosines import cosines_as_quotients
from symgrad.opt.diagonal import diagonal
from symgrad.opt.factorise import Factors
from symgrad.opt.far import far_products
from symgrad.opt.forward import forward
from symgrad.opt.invariant import invariant
from symgrad.opt.layout import layout
from symgrad.opt.logsumexp import split_logsumexp
from symgrad.opt.near_zeros import near_zeros
from symgrad.opt.operands import operands
from symgrad.opt.others import sums_of_others
from symgrad.opt.ranges import in_range
from symgrad.opt.rebuild import Copy, copy_with, linked
from symgrad.opt.reciprocals import reciprocals
from symgrad.opt.symmetric import symmetric
from symgrad.opt.together import together
from symgrad.opt.totals import totals
from symgrad.opt.unvarying import unvarying

Pass = Callable[[Graph, Sequence[TensorId]], tuple[Graph, dict[TensorId, TensorId]]]
_MOST_HALVES = 8  # of an exponent that is a product and a root
_KIN = {
    "tanh": "sech",
    "sin": "cos",
    "cos": "sin",
    "sinh": "cosh",
    "cosh": "sinh",
}  # and the derivative of each
_EXPENSIVE = 10  # ops at least this dear are stored rather than computed twice


def _unchanged(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """Nothing to do: no copy."""
    return g, {t: t for t in g.definitions_below(roots)}


# ---- inline ------------------------------------------------------------------------------------


def inline(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """Substitute maps that storing would not pay for into the definitions that read them."""
    chosen = _maps_to_inline(g, roots)
    if not chosen:
        return _unchanged(g, roots)

    def on_node(copy: Copy, t: TensorId, old: Node, new: Node) -> Node:
        if copy.old.op[old] != "read" or copy.old.args[old][0] not in chosen:
            return new
        source = copy.new.tensors[copy.tensors[copy.old.args[old][0]]]
        if source.kind != "map":
            return new
        index = copy.new.args[new][1:] if copy.new.op[new] == "read" else ()
        if copy.new.op[new] != "read" or copy.new.args[new][0] != copy.tensors[copy.old.args[old][0]]:
            return new
        return copy.new.substitute(source.body, dict(zip(source.out, index, strict=True)))

    return copy_with(g, roots, on_node=on_node)


def _maps_to_inline(g: Graph, roots: Sequence[TensorId]) -> frozenset[TensorId]:
    order = g.definitions_below(roots)
    reads: Counter[TensorId] = Counter()
    widest: dict[TensorId, int] = {}
    for t in order:
        tensor = g.tensors[t]
        for r in g.reads_of(t):
            s = g.args[r][0]
            reads[s] += 1
            widest[s] = max(widest.get(s, 0), len(tensor.out) + len(tensor.red))
    chosen = set()
    fixed = linked(g, order) | set(roots)
    for t in order:
        tensor = g.tensors[t]
        if tensor.kind != "map" or t in fixed or _adds_up_scatters(g, tensor):
            continue
        if not tensor.out or (reads[t] == 1 and widest.get(t, 0) <= len(tensor.out)):
            chosen.add(t)
    return frozenset(chosen)


def _adds_up_scatters(g: Graph, tensor: Tensor) -> bool:
    """A sum of scatters: lowering adds them up in one place (`loops.deltas`) if it stays a definition."""
    terms = [term for _, term in additive_terms(g, tensor.body)]
    return all(g.op[term] == "read" and g.tensors[g.args[term][0]].kind == "scatter" for term in terms)


# ---- share -------------------------------------------------------------------------------------


def share(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """Store expensive subexpressions that several definitions, places, or turns of an outer loop need."""
    repeated: set[Node] = set()
    places: dict[Node, set[tuple[TensorId, Node]]] = {}
    form_of: dict[tuple[TensorId, Node], Node] = {}
    for t in g.definitions_below(roots):
        if not g.tensors[t].out and not g.tensors[t].red:
            continue  # values without axes are computed once anyway
        inside = [n for n in g.reachable(g.tensors[t].bodies) if g.axes[n] and g.op[n] in OPS]
        again = unvarying(g, t)
        dear = [n for n in inside if n in again or OPS[g.op[n]].cost >= _EXPENSIVE]
        # A stored value is computed everywhere.
        bound = needs_its_guards(g, g.tensors[t].bodies) if dear else frozenset()
        for n in dear:
            if n not in bound:
                form = _alpha_form(g, n)
                form_of[t, n] = form
                if again.get(n):
                    repeated.add(form)
                if OPS[g.op[n]].cost >= _EXPENSIVE:
                    places.setdefault(form, set()).add((t, n))
    wanted = {f for f, where in places.items() if len(where) > 1 and not _is_whole_map(g, f, where)}
    wanted |= repeated
    beside = _kin(g, places, wanted)
    wanted |= set(beside.values())
    if not wanted:
        return _unchanged(g, roots)

    def on_node(copy: Copy, t: TensorId, old: Node, new: Node) -> Node:
        if form_of.get((t, old)) not in wanted or not copy.new.axes[new]:
            return new
        axes = copy.new.first_occurrence(new, copy.new.axes[new])
        kept = store(copy.new, axes, new)
        if form_of[t, old] in beside and copy.new.op[new] in _KIN:  # next to each other, to be one loop
            store(copy.new, axes, copy.new.node(_KIN[copy.new.op[new]], *copy.new.args[new]))
        return kept

    return copy_with(g, roots, on_node=on_node)


def _kin(
    g: Graph, places: Mapping[Node, set[tuple[TensorId, Node]]], stored: Iterable[Node]
) -> dict[Node, Node]:
    """Functions that are stored, and the ones beside them that share most of their steps in one loop."""
    made = {(g.op[f], g.args[f]): f for f, where in places.items() if not _is_whole_map(g, f, where)}
    pairs = {f: (_KIN[g.op[f]], g.args[f]) for f in stored if g.op[f] in _KIN}
    return {f: made[pair] for f, pair in pairs.items() if pair in made}


def _alpha_form(g: Graph, n: Node) -> Node:
    """The node with its axes renumbered in order of appearance: equal for equal values."""
    axes = g.first_occurrence(n, g.axes[n])
    return g.substitute(n, {a: g.axis(k, g.extent(a)) for k, a in enumerate(axes)})


def _is_whole_map(g: Graph, form: Node, where: set[tuple[TensorId, Node]]) -> bool:
    """Already the whole body of the only map that holds it."""
    return len({t for t, _ in where}) == 1 and any(
        g.tensors[t].kind == "map" and g.tensors[t].bodies == (n,) for t, n in where
    )


# ---- legalise ----------------------------------------------------------------------------------


def legalise(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """Only maps, plain reductions and ops with a spelling are left."""
    if _is_legal(g, roots):
        return _unchanged(g, roots)
    spelled: dict[Node, Node] = {}
    factors = Factors(g, roots)

    def on_node(copy: Copy, t: TensorId, old: Node, new: Node) -> Node:
        return _spell(copy.new, new, spelled)

    def on_tensor(copy: Copy, t: TensorId) -> TensorId | None:
        return factors.of(copy, t, on_node) if copy.old.tensors[t].kind == "call" else None

    # Stability rewrites would put composites together again that are taken apart here.
    return copy_with(g, roots, on_tensor, on_node, stabilise=False)


def _is_legal(g: Graph, roots: Sequence[TensorId]) -> bool:
    below = [g.tensors[t] for t in g.definitions_below(roots)]
    return all(t.kind != "call" and _is_spelled(g, t) for t in below)


def _is_spelled(g: Graph, tensor: Tensor) -> bool:
    """Whether its nodes are ops that targets spell."""
    nodes = g.reachable(tensor.bodies)
    used = {g.op[n] for n in nodes}
    if any(op in OPS and OPS[op].expand is not None for op in used):
        return False
    return "pow" not in used or all(_half_integer(g, n) is None for n in nodes)


def _half_integer(g: Graph, n: Node) -> int | None:
    """k if the node is x**(k + 1/2) for a small k > 0."""
    q = g.rational(g.args[n][1]) if g.op[n] == "pow" else None
    return int(q) if q is not None and q.denominator == 2 and 1 < q < _MOST_HALVES else None


def _half_integer_power(g: Graph, n: Node) -> Node | None:
    """x**k * sqrt(x): cheaper than a power. Not earlier, as its derivative at 0 would be 0*inf."""
    k = _half_integer(g, n)
    if k is None:
        return None
    x = g.args[n][0]
    return g.mul(g.integer_power(x, k), g.node("sqrt", x))


def _spell(g: Graph, root: Node, done: dict[Node, Node]) -> Node:
    """`root` in ops that have a spelling; `done` remembers what is settled.

    Recurses only over expansions of expansions, so no deeper than the op table.
    """
    for n in _unsettled(g, root, done):
        made = g.rebuild(n, [done.get(c, c) for c in g.arguments[n]])
        if g.op[made] == "pow":
            made = _half_integer_power(g, made) or made
        row = OPS.get(g.op[made])
        if row is not None and row.expand is not None:
            for argument in g.args[made]:
                done.setdefault(argument, argument)
            made = _spell(g, row.expand(g, g.args[made]), done)
        done[n] = done[made] = made
    return done[root]


def _unsettled(g: Graph, root: Node, done: dict[Node, Node]) -> list[Node]:
    if all(map(done.__contains__, g.arguments[root])):  # as of a copy, whose arguments came before
        return [] if root in done else [root]
    seen: set[Node] = set()
    stack = [root]
    while stack:
        n = stack.pop()
        if n not in seen and n not in done:
            seen.add(n)
            stack.extend(g.children(n))
    return sorted(seen)


PASSES: tuple[tuple[str, Pass], ...] = (
    ("others", sums_of_others),
    ("cosines", cosines_as_quotients),
    ("together", together),
    ("totals", totals),
    ("symmetric", symmetric),
    ("diagonal", diagonal),
    ("inline", inline),
    ("centred", centred),
    ("distances", cosine_distances),
    ("far", far_products),
    ("near", near_zeros),
    ("share", share),
    ("forward", forward),
    ("operands", operands),
    ("layout", layout),
    ("logsumexp", split_logsumexp),
    ("ranges", in_range),
    ("legalise", legalise),
    ("invariant", invariant),
    ("reciprocals", reciprocals),
)
