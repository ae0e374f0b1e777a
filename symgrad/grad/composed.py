"""Operations that are differentiated together with what their argument is made of.

By the chain rule the derivatives of log(x^2 + y^2 + z^2) and atan(y/x) go through the sum and the quotient,
which leave the range of numbers long before the result does, and second derivatives lose digits. By x and y
themselves they are products of shares of a length:

    log(s), log(1 + s)  by x: 2*(x/h)/h, for a sum s of several squares and h the root of it, or of 1 + s
    log(1 + (x/k)^2)    likewise
    atan(y/x)           by x: -y/(x^2 + y^2), by y: x/(x^2 + y^2), as those of atan2
    atan2(1, q)         those of -atan(q), whatever q is

    k^p*f(x/k)          by k: k^(p-1)*(p*f - w*f'), w = x/k (`scales`, `scaled_polynomials`)
    a root less a polynomial, in the same variables (`conjugates`)
    a scale times a length less its side, a multiple of the scale (`common_scales`)

The value is computed as it is written. Sources: Blue 1978 (`ir.composites.norm`); calculus.
"""

from __future__ import annotations

from collections.abc import Container

from symgrad.grad.common_scales import OPS_OF_LENGTHS, slopes_beside_scale
from symgrad.grad.conjugates import OPS_OF_ROOTS, slopes_of_conjugate
from symgrad.grad.scaled_polynomials import slopes_of_scaled_polynomial
from symgrad.grad.scales import scaled_slopes
from symgrad.ir.graph import Graph, Node
from symgrad.ir.stability.patterns import terms_of

COMPOSED = OPS_OF_ROOTS | OPS_OF_LENGTHS | {"mul", "xlog1py", "log", "log1p", "atan", "atan2"}
Slopes = list[tuple[Node, Node]]  # (a part of the argument, the derivative by it)


def composed_slopes(g: Graph, n: Node, alive: Container[Node]) -> Slopes:
    """The slopes of such an operation, as far as they are by nodes in `alive`; none of any other."""
    op = g.op[n]
    if not g.stabilise or op not in COMPOSED:
        return []
    if op in OPS_OF_LENGTHS:
        return slopes_beside_scale(g, n, alive)
    if op == "mul" and not OPS_OF_LENGTHS.isdisjoint(g.present):
        slopes = slopes_beside_scale(g, n, alive)
        if slopes:
            return slopes
    if op in ("mul", "xlog1py"):
        if "div" not in g.present:
            return []
        return slopes_of_scaled_polynomial(g, n, alive) or scaled_slopes(g, n, alive)
    if op in OPS_OF_ROOTS:
        return slopes_of_conjugate(g, n, alive)
    if op == "atan2":
        return _of_cotangent(g, n)
    return _of_quotient(g, *g.args[n]) if op == "atan" else _of_squares(g, n)


def _of_cotangent(g: Graph, n: Node) -> Slopes:
    one, q = g.args[n]
    if one != g.one:
        return []
    is_negative = g.op[q] == "neg"
    if is_negative:
        (q,) = g.args[q]
    slopes = _of_quotient(g, q) or [(q, g.div(g.one, g.add(g.one, g.mul(q, q))))]
    return [(part, slope if is_negative else g.neg(slope)) for part, slope in slopes]


def _of_quotient(g: Graph, quotient: Node) -> Slopes:
    if g.op[quotient] != "div" or any(g.op[part] == "const" for part in g.args[quotient]):
        return []
    y, x = g.args[quotient]
    return [(y, g.node("inversion", x, y)), (x, g.neg(g.node("inversion", y, x)))] if x != y else []


def _of_squares(g: Graph, n: Node) -> Slopes:
    """By the sides over a power of two, for which nothing is out of range: 2/scale*((x/scale)/h)/h."""
    (squares,) = g.args[n]
    if g.op[n] == "log1p" and g.op[squares] == "mul":
        return _of_square(g, *g.args[squares])
    terms = [term for _, term in terms_of(g, squares)] if g.op[squares] == "add" else []
    sides = [g.args[term][0] for term in terms if g.op[term] == "mul" and g.args[term][0] == g.args[term][1]]
    if len(sides) < 2 or len(set(sides)) < len(terms):
        return []
    length = g.node("sqrt", g.add(g.one, squares) if g.op[n] == "log1p" else squares)
    if g.op[length] != "norm" or g.args[length][0] != g.args[length][2]:
        return []
    _, s, t = g.args[length]
    root, twice = g.intern("sqrt", (t,)), g.mul(g.const(2), g.node("scaled", g.one, s))
    return [(x, g.mul(twice, g.div(g.div(g.node("scaled", x, s), root), root))) for x in sides]


def _of_square(g: Graph, w: Node, same: Node) -> Slopes:
    """log(1 + (x/k)^2) by x: 2*x/(x^2 + k^2), by k: -2*(x/h)^2/k for the length h of both."""
    if w != same or g.op[w] != "div" or any(g.op[part] == "const" for part in g.args[w]):
        return []
    x, k = g.args[w]
    cosine = g.node("direction_cosine", x, k)
    by_k = g.div(g.mul(g.const(-2), g.mul(cosine, cosine)), k)
    return [(x, g.mul(g.const(2), g.node("inversion", x, k))), (k, by_k)]
