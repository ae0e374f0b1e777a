"""A scale times a function of a quotient by it, k^p*f(x/k): losses with a width, k^2*log(1 + (x/k)^2).

Where f(w) is like w^p next to 0, the product does not depend on k there, and of its derivative by k, the sum
of p*k^(p-1)*f and k^p*f'*(-x/k^2), only rounding errors are left. It is

    k^(p-1)*(p*f(w) - w*f'(w))    and in the parentheses a formula of one value, w

for which `ir.series` has the digits. Of f = log(1 + exp(w)) that is like w far out instead: f - w*f' is an
entropy (`ir.stability.two_states`). So are the derivatives by what else the quotient is made of:
of c*b1^p1*b2^p2*...*f(w), w = q*b1^e1*b2^e2*... or |w|, by each b that of log-derivatives, (p*f + e*w*f')/b.

Source: Euler's theorem on homogeneous functions.
"""

from __future__ import annotations

from collections.abc import Container
from fractions import Fraction
from math import log2

from symgrad.ir.decay import within
from symgrad.ir.graph import Graph, Node
from symgrad.ir.series.laurent import between
from symgrad.ir.series.probe import CONSTANT, POINT, probe, variable_of
from symgrad.ir.series.removable import moved, plain, removable, slope_of
from symgrad.ir.stability.patterns import factors_of, powers_of, product_of_powers

Powers = tuple[Fraction, dict[Node, int]]  # of a product: the number before it, {factor: power}

_SMALL = 2.0**-12  # of a variable of 2^-30: what vanishes at 0


def scaled_slopes(g: Graph, n: Node, alive: Container[Node]) -> list[tuple[Node, Node]]:
    """(part of such a product, derivative by it) for the parts in `alive`; none of any other product."""
    for w in _quotients(g, n):
        factors = factors_of(g, n)
        own = [f for f in factors if f != w and variable_of(g, f) == w]
        if not own:
            continue
        function = own[0]
        for f in own[1:]:
            function = g.intern("mul", g.ordered(function, f))
        order = 1 if g.op[function] == "softplus" else _order_at_zero(g, function)
        outside = powers_of(g, [f for f in factors if f not in own]) if order else None
        inside = powers_of(g, [_quotient(g, w)]) if outside else None
        if outside is None or inside is None:
            continue
        powers, steps = outside[1], inside[1]
        if any(b in alive and powers.get(b, 0) + order * e == 0 for b, e in steps.items()):
            parts = [b for b in {**powers, **steps} if b in alive]
            return [(b, _slope(g, outside, inside, function, w, b)) for b in parts]
    return []


def _quotients(g: Graph, n: Node) -> list[Node]:
    """What a factor is a function of; seen from the variables of the first few."""
    op, args = g.op[n], g.args[n]
    if op == "xlog1py":
        near: tuple[Node, ...] = args[1:]
    elif op == "mul":
        near = args
        for a in args:
            if g.op[a] in ("mul", "xlog1py"):
                near += g.args[a]
    else:
        return []
    found = (variable_of(g, a) for a in near)
    return [w for w in dict.fromkeys(found) if w != CONSTANT and g.op[_quotient(g, w)] == "div"]


def _quotient(g: Graph, w: Node) -> Node:
    """x/k of |x/k|."""
    return g.args[w][0] if g.op[w] == "abs" else w


def _order_at_zero(g: Graph, function: Node) -> int:
    """n if it is like w^n next to 0, for n > 0; else 0."""
    value = abs(probe(g, function).value)
    return round(log2(value) / log2(POINT)) if 0 < value < _SMALL else 0


def _slope(g: Graph, outside: Powers, inside: Powers, function: Node, w: Node, b: Node) -> Node:
    (number, powers), (q, steps) = outside, inside
    p, e = powers.get(b, 0), steps.get(b, 0)
    if not e:
        return g.mul(product_of_powers(g, number * p, {**powers, b: p - 1}), function)
    is_near = g.true
    for m in between(g, function, w):
        if m != w:
            is_near = g.node("and", is_near, within(g, m))
    if not p:  # the quotient goes into what stands before it
        met = {x: powers.get(x, 0) + steps.get(x, 0) - (x == b) for x in {**powers, **steps}}
        by_w = g.mask(is_near, _formula(g, function, w, 0, 1))
        if g.op[w] == "abs":
            by_w = g.mul(by_w, g.node("sign", _quotient(g, w)))
        return g.mul(product_of_powers(g, number * q * e, met), by_w)
    is_finite = g.node("lt", g.node("abs", w), g.const(float("inf")))  # beyond, w*f' is taken for 0
    is_near = is_finite if is_near == g.true else g.node("and", is_near, is_finite)
    value = g.where(is_near, _formula(g, function, w, p, e), g.mul(g.const(p), function))
    return g.mul(product_of_powers(g, number, {**powers, b: p - 1}), value)


def _formula(g: Graph, function: Node, w: Node, p: int, e: int) -> Node:
    """p*f + e*w*f', or f' for p = 0, as a formula of w, of which what it is made of is not seen meanwhile."""
    t = g.read(g.input("a quotient by a scale"))
    bare = plain(g, function, w, w, Fraction(0), Fraction(0))
    written = moved(g, bare, w, t)
    by_t = slope_of(g, written, t)
    if p:
        by_t = g.intern("mul", (g.const(e), g.intern("mul", (t, by_t))))
        if g.op[function] == "softplus":
            return g.substitute(g.add(g.mul(g.const(p), written), by_t), {t: w})
        by_t = g.intern("add", g.ordered(g.mul(g.const(p), written), by_t))
    is_written = bare == function and p + e * _order_at_zero(g, function) != 0  # nothing cancels
    made = None if is_written else removable(g, by_t, t)
    return g.substitute(by_t, {t: w}) if made is None else moved(g, made, t, w)
