"""The local derivative of each kind of definition with respect to its body.

For `T[o] = reduce over k of body(o, k)`, `weight` is the factor d T[o] / d body(o, k): it turns
the cotangent of T into that of the body (reverse) and the tangent of the body into a term of the
tangent of T (forward). Source: Futhark's reduction rules (Bruun et al. 2023); Griewank & Walther.
"""

from __future__ import annotations

from collections.abc import Sequence

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.kinks import tie_goes_to
from symgrad.ir.reduce import reduce
from symgrad.ir.tensor import Tensor


def weight(g: Graph, t: TensorId, factor: Node) -> Node:
    """`factor * dT/dbody` over the axes of the definition `t` (a map or a reduction)."""
    tensor = g.tensors[t]
    if tensor.kind in ("map", "sum"):
        return factor
    if tensor.kind == "prod":
        return g.mul(factor, _product_of_the_others(g, tensor))
    if tensor.kind == "logsumexp":
        return g.mul(factor, _softmax(g, t))
    return _extreme(g, t, factor)


def _product_of_the_others(g: Graph, tensor: Tensor) -> Node:
    """prod over k' != k: right at zeros, to every order (y/x is not), and linear in time.

    The product before k times the product after it, axis by axis: once the others along the last
    axis are known, what is left is the product over that axis.
    """
    others, inner = g.one, tensor.body
    for k in reversed(tensor.red):
        c = g.fresh_axis(g.extent(k))
        moved = g.substitute(inner, {k: c})
        for before in (g.isub(k, c), g.isub(c, k)):
            strictly = g.ige0(g.iadd(before, g.const(-1)))
            others = g.mul(others, reduce(g, "prod", [c], g.where(strictly, moved, g.one)))
        inner = reduce(g, "prod", [k], inner)
    return others


def _softmax(g: Graph, t: TensorId) -> Node:
    """exp(x - logsumexp(x)); 0 where every x is -inf, not nan."""
    tensor = g.tensors[t]
    total = g.read(t, *tensor.out)
    empty = g.node("eq", total, g.const(float("-inf")))
    return g.where(empty, g.zero, g.node("exp", g.sub(tensor.body, total)))


def _extreme(g: Graph, t: TensorId, factor: Node) -> Node:
    """`factor` for the element that attains the maximum (or minimum); a tie as `ir.kinks` says."""
    tensor = g.tensors[t]
    attained = g.node("eq", tensor.body, g.read(t, *tensor.out))
    ties = tie_goes_to(g.kinks, tensor.kind)
    if ties == "all":
        number = reduce(g, "sum", tensor.red, g.mask(attained, g.one))
        return g.mask(attained, g.div(factor, number))
    return g.mask(_is_chosen(g, tensor, attained, ties), factor)


def _is_chosen(g: Graph, tensor: Tensor, attained: Node, ties: str) -> Node:
    """Whether this element is the first (or last) for which `attained` holds.

    What does not attain it counts as a place beside all places. (Were it infinite, LLVM would see a selection
    instead of a smallest value, and not vectorise the loop.)
    """
    place = linear_place(g, tensor.red)
    copies = {k: g.fresh_axis(g.extent(k)) for k in tensor.red}
    kind, none = ("min", _places(g, tensor.red)) if ties == "first" else ("max", g.const(-1))
    candidate = g.substitute(g.where(attained, place, none), copies)
    return g.node("eq", place, reduce(g, kind, list(copies.values()), candidate))


def _places(g: Graph, axes: Sequence[Node]) -> Node:
    """How many places the axes have together, as a real number."""
    total = g.const(1)
    for axis in axes:
        total = g.imul(total, g.extent(axis))
    return g.cast(total)


def linear_place(g: Graph, axes: Sequence[Node]) -> Node:
    """The row-major position of the axes' current values, as a real number."""
    place = g.zero
    for axis in axes:
        place = g.iadd(g.imul(place, g.extent(axis)), axis)
    return g.cast(place)
