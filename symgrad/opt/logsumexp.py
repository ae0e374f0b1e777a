"""Log-sum-exp as two numbers: the largest exponent, and the logarithm of what is left.

    L = log(sum(exp(x))) = m + l      m = max(x), or 0 where that is -inf
                                      l = log1p(sum of exp(x) over x != m, plus how many are m, minus 1)

x - L is then (x - m) - l: no digit is lost to a large common offset, and where one x is far above the others
x - L and with it 1 - softmax(x) = -expm1(x - L) keep theirs. This comes after differentiation, for which L is
one thing. For one of the x themselves, x - m is 0 for the largest also where that is infinite: all the rest
has nothing then. Of several infinite ones there is no softmax: how many are the largest is nan.

Source: Blanchard, Higham & Higham 2021, Accurately computing the log-sum-exp and softmax functions,
section 4. What a softmax nearly cancels with, and a logistic function likewise, is in `opt.saturation`.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.places import places_of
from symgrad.ir.reduce import memory_order, store
from symgrad.ir.stability.anchors import is_anchored, largest_anchored
from symgrad.ir.stability.patterns import negatives, terms_of
from symgrad.ir.unit import Unit
from symgrad.opt.deviation import less_its_mean
from symgrad.opt.exponentials import with_shared_exponentials
from symgrad.opt.means import Means
from symgrad.opt.rebuild import Copy, NodeHook, copy_with
from symgrad.opt.saturation import Split, behind_choice, beside_target, less_largest, may_saturate


def with_split_logsumexp(unit: Unit) -> Unit:
    """The unit after `split_logsumexp`."""
    return unit.moved(*split_logsumexp(unit.graph, unit.roots))


def split_logsumexp(g: Graph, roots: Sequence[TensorId]) -> tuple[Graph, dict[TensorId, TensorId]]:
    """The definitions with every log-sum-exp replaced by its two parts."""
    below = g.definitions_below(roots)
    if all(g.tensors[t].kind != "logsumexp" for t in below) and not may_saturate(g, below):
        return g, {t: t for t in below}
    parts: dict[TensorId, Split] = {}  # of m + l in the new graph: m, l
    means = Means(parts.values())

    def on_node(copy: Copy, t: TensorId, old: Node, new: Node) -> Node:
        if parts:  # nothing is a softmax of no log-sum-exp
            new = _apart(copy.new, new, parts)
            new = less_its_mean(copy.new, new, means)
        return beside_target(copy.new, new, parts.values()) if g.stabilise else new

    def on_tensor(copy: Copy, t: TensorId) -> TensorId | None:
        return _split(copy, t, parts, on_node) if copy.old.tensors[t].kind == "logsumexp" else None

    # A stability rule would recognise the sum of exponentials under the logarithm.
    apart, moved = copy_with(g, roots, on_tensor, on_node, stabilise=False)
    whole, again = with_shared_exponentials(apart, [moved[t] for t in roots], parts.values())
    return whole, {t: again[made] for t, made in moved.items() if made in again}


def _split(copy: Copy, t: TensorId, parts: dict[TensorId, Split], on_node: NodeHook) -> TensorId:
    g, old = copy.new, copy.old.tensors[t]
    made = copy.nodes((old.body, *old.out, *old.red), t, on_node)
    body, out, red = made[0], made[1 : 1 + len(old.out)], made[1 + len(old.out) :]
    written, exponents = body, None
    if g.op[body] != "read":
        has_product = any(
            g.op[term] == "mul" for _, term in terms_of(g, body)
        )  # which may be fused with a sum
        body = store(g, memory_order(g, body, (*out, *red)), body)
        exponents = g.args[body][0] if has_product and g.op[body] == "read" else None
    shift = g.define("map", out, (), _largest(g, written, body, out, red))
    m = g.read(shift, *out)
    is_top = g.node("eq", body, m)
    others = g.define("sum", out, red, g.where(is_top, g.zero, g.node("exp", less_largest(g, body, m))))
    ties = _ties(g, m, g.read(g.define("sum", out, red, g.mask(is_top, g.one)), *out), out)
    beyond_one = g.add(g.read(others, *out), g.sub(g.read(ties, *out), g.one))
    beyond = g.define("map", out, (), beyond_one)
    rest = g.define("map", out, (), g.node("log1p", g.read(beyond, *out)))
    is_infinite = g.node("eq", m, g.const(float("inf")))
    whole = g.define("map", out, (), g.where(is_infinite, m, g.add(m, g.read(rest, *out))))
    parts[whole] = Split(shift, rest, beyond, others, ties, tuple(out), tuple(red), written, body, exponents)
    return whole


def _ties(g: Graph, m: Node, count: Node, out: Sequence[Node]) -> TensorId:
    """How many exponents are the largest; nan for several infinite ones, of which none has a share."""
    is_lost = g.node("and", g.node("eq", m, g.const(float("inf"))), g.node("lt", g.one, count))
    return g.define("map", out, (), g.where(is_lost, g.const(float("nan")), count))


def _largest(g: Graph, written: Node, body: Node, out: Sequence[Node], red: Sequence[Node]) -> Node:
    """The largest exponent, 0 if that is -inf: known where an anchor is subtracted from all."""
    if is_anchored(g, written):
        return largest_anchored(g, written)
    top = g.read(g.define("max", out, red, body), *out)
    return g.where(g.node("lt", g.const(float("-inf")), top), top, g.zero)


def _apart(g: Graph, node: Node, parts: dict[TensorId, Split]) -> Node:
    """(x - m) - l for x - (m + l), also for -((m + l) - x); l - (x - m) for (m + l) - x; l + (y + m)."""
    op, args = g.op[node], g.args[node]
    if op == "neg" and g.op[args[0]] == "add":
        return _negated(g, node, parts)
    if op == "exp_difference":
        return _difference(g, node, parts)
    if op not in ("add", "sub"):
        return node
    for total, other, place in ((args[1], args[0], 1), (args[0], args[1], 0)):
        if g.op[total] != "read" or g.args[total][0] not in parts:
            continue
        split, places = parts[g.args[total][0]], g.args[total][1:]
        m, rest = _read_parts(g, split, places)
        if op == "add":
            opposite = [_stored_exponent(g, x, split.exponents) for x in negatives(g, other)]
            own = next((x for x in opposite if _is_exponent(g, x, split, places)), None)
            if own is not None:
                return g.intern("sub", (rest, less_largest(g, own, m)))
            less = opposite[0]
            plus = g.intern("sub", (m, less)) if g.op[less] == "read" else g.intern("add", (other, m))
            # Of several infinite exponents the rest is nan, and the sum is infinite.
            is_infinite = g.node("eq", m, g.const(float("inf")))
            return g.where(is_infinite, plus, g.intern("add", (rest, plus)))
        other = _stored_exponent(g, other, split.exponents)
        is_own = _is_exponent(g, other, split, places)
        moved = less_largest(g, other, m) if is_own else g.intern("sub", (other, m))
        return g.intern("sub", (moved, rest) if place else (rest, moved))
    return node


def _is_exponent(g: Graph, x: Node, split: Split, index: Sequence[Node]) -> bool:
    """Whether x is one of those of a log-sum-exp that is read at `index`."""
    known = dict(zip(split.out, index, strict=True))
    return any(places_of(g, form, known, split.red, x) is not None for form in (split.body, split.written))


def _negated(g: Graph, node: Node, parts: dict[TensorId, Split]) -> Node:
    """(-y - m) - l for -(l + (y + m)), which is how -(y + (m + l)) arrives here."""
    rest, moved = g.args[g.args[node][0]]
    split = next((s for s in parts.values() if g.op[rest] == "read" and g.args[rest][0] == s.rest), None)
    if split is None or g.op[moved] != "add":
        return node
    m, _ = _read_parts(g, split, g.args[rest][1:])
    if g.args[moved][1] != m:
        return node
    return g.intern("sub", (g.intern("sub", (g.neg(g.args[moved][0]), m)), rest))


def _difference(g: Graph, node: Node, parts: dict[TensorId, Split]) -> Node:
    """exp(x - L) - exp(y - L) with -L outside: of x - y no digit is lost to a large L."""
    c, x, y = g.args[node]
    if g.op[x] != "sub" or g.op[y] != "sub" or g.args[x][1] != g.args[y][1]:
        return node
    moved, other, rest = (*(behind_choice(g, g.args[n][0]) for n in (x, y)), g.args[x][1])
    whole = next((t for t, s in parts.items() if g.op[rest] == "read" and g.args[rest][0] == s.rest), None)
    if whole is None or g.op[moved] != "sub" or g.op[other] != "sub":
        return node
    index = g.args[rest][1:]
    m, _ = _read_parts(g, parts[whole], index)
    if g.args[moved][1] != m or g.args[other][1] != m:
        return node
    total = g.intern("neg", (g.read(whole, *index),))
    return g.intern("exp_difference", (g.add(c, total), g.args[moved][0], g.args[other][0]))


def _stored_exponent(g: Graph, x: Node, exponents: TensorId | None) -> Node:
    """`x` as one of the exponents that are stored, if it is one.

    Computed again beside m it may be rounded otherwise than m was, and the largest one would not be m.
    """
    if exponents is None:
        return x
    tensor = g.tensors[exponents]
    places: dict[Node, Node] = {}
    for mine, stored in zip(g.reads((x,)), g.reads((tensor.body,)), strict=False):
        if g.args[mine][0] != g.args[stored][0]:
            return x
        pairs = zip(g.args[mine][1:], g.args[stored][1:], strict=True)
        places |= {there: here for here, there in pairs if there in tensor.out}
    if len(places) < len(tensor.out) or g.substitute(tensor.body, places) != x:
        return x
    return g.read(exponents, *(places[a] for a in tensor.out))


def _read_parts(g: Graph, split: Split, places: Sequence[Node]) -> tuple[Node, Node]:
    return g.read(split.shift, *places), g.read(split.rest, *places)
