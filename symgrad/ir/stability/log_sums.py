"""The logarithm of a sum of exponentials: the log-sum-exp of its scores, the logarithms of its terms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symgrad.ir.stability.anchors import anchored, anchored_few
from symgrad.ir.stability.patterns import (
    MOST_SCORES,
    all_factors,
    exponent_of,
    factors_of,
    numbered,
    one_plus,
    quotient_of,
    sum_of_signed,
    terms_of,
    without,
)

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_EXPONENTIALS = ("exp", "exp_of_sum", "read", "sqrt", "pow", "add")  # which these may be, or hold
_SHARES = ("share", "share_of_others", "logistic")


def log_of_sum(g: Graph, node: int) -> int | None:
    """log(S) without overflow when `node` is S = sum of exp(e), read from a definition or written out."""
    if g.op[node] == "add":
        return _log_of_terms(g, node)
    if g.op[node] != "read":
        return None
    t = g.tensors[g.args[node][0]]
    written = _exponent_of(g, t.body) if t.kind == "sum" else None
    if written is None:
        return None
    exponent, shift = _shift_apart(g, written, t.red)
    exponent, anchor = anchored(g, exponent, t.out, t.red)
    index = g.args[node][1:]
    total = g.read(g.define("logsumexp", t.out, t.red, exponent), *index)
    beside = terms_of(g, g.substitute(g.add(anchor, shift), dict(zip(t.out, index, strict=True))))
    # What is subtracted first: it may be one of the exponents.
    return sum_of_signed(g, [(1, total), *sorted(beside, key=lambda term: term[0])])


def _exponent_of(g: Graph, node: int) -> int | None:
    """x of exp(x), 2*x of its square."""
    if g.op[node] == "exp_of_sum" and g.args[node][0] == g.args[node][1]:
        return g.mul(g.const(2), g.args[node][0])
    return exponent_of(g, node)


def _shift_apart(g: Graph, exponent: int, red: tuple[int, ...]) -> tuple[int, int]:
    """x and c if every exponent is x + c: of log(sum(exp(x))) + c no derivative by c is a difference."""
    if g.op[exponent] in ("mul", "div"):
        return _shift_of_factor_apart(g, exponent, red)
    if g.op[exponent] not in ("add", "sub"):
        return exponent, g.zero
    x, y = g.args[exponent]
    if g.axes[y].isdisjoint(red) and g.axes[x].issuperset(red):
        return x, (y if g.op[exponent] == "add" else g.neg(y))
    if g.axes[x].isdisjoint(red) and g.axes[y].issuperset(red):
        return (y if g.op[exponent] == "add" else g.neg(y)), x
    return exponent, g.zero


def _shift_of_factor_apart(g: Graph, exponent: int, red: tuple[int, ...]) -> tuple[int, int]:
    """The same of s*(x + c), where s is one for all: a temperature; of inputs c.

    Beside others, as the logarithm of the sum itself, the result may be what is left of two large numbers.
    """
    above, below = all_factors(g, exponent)
    inside = [k for k, f in enumerate(above) if not g.axes[f].isdisjoint(red)]
    if len(inside) != 1 or any(not g.axes[f].isdisjoint(red) for f in below):
        return exponent, g.zero
    others = without(above, inside[0])
    x, shift = _shift_apart(g, above[inside[0]], red)
    is_input = all(g.tensors[g.args[r][0]].kind == "input" for r in g.reads((shift,)))
    if shift == g.zero or not is_input:
        return exponent, g.zero
    return quotient_of(g, [*others, x], below), quotient_of(g, [*others, shift], below)


def _log_of_terms(g: Graph, node: int) -> int | None:
    """log(exp(a) + exp(b) + ...), the terms may have positive factors, or be positive numbers."""
    rest = one_plus(g, node)
    if rest is not None and exponent_of(g, rest) is not None:
        return None  # softplus and the logistic function have rules of their own
    logs: list[int | None] = []
    stack, number = [node], g.zero
    while stack and len(stack) + len(logs) <= MOST_SCORES:
        part = stack.pop()
        if g.op[part] == "add":
            stack += g.args[part][::-1]
        elif g.op[part] == "const" and _log_of_term(g, part) is not None:
            number = g.add(part, number)  # all numbers are one term
        else:
            logs += _logs_of_term(g, part)
    if logs and number != g.zero:
        logs.append(g.node("log", number))
    known = [part for part in logs if part is not None]
    if stack or len(known) < len(logs) or all(g.op[part] in ("const", "log") for part in known):
        return None
    exponents, anchor = anchored_few(g, known)
    return g.add(g.node("logaddexp", *exponents), anchor)


def _logs_of_term(g: Graph, node: int) -> list[int | None]:
    """The logarithm of a term; those of two for c*cosh(x)."""
    c, cosh = numbered(g, node)
    if g.op[cosh] != "cosh":
        return [_log_of_term(g, node)]
    (x,), half = g.args[cosh], g.const(c / 2)
    return [_log_of_term(g, g.mul(half, g.node("exp", y))) for y in (x, g.neg(x))]


def _log_of_term(g: Graph, node: int) -> int | None:
    """log of a product of exponentials, roots and powers of their sums, shares, and positive numbers.

    Of a number alone, and of shares alone, of which there are several.
    """
    if g.op[node] == "read":
        return log_of_sum(g, node)
    factors = factors_of(g, node)
    is_known = any(g.op[f] in _EXPONENTIALS for f in factors) or (
        all(g.op[f] in _SHARES for f in factors) if len(factors) > 1 else g.op[node] == "const"
    )
    logs = [_log_of_factor(g, f) for f in factors] if is_known else [None]
    known = [log for log in logs if log is not None]
    return g.sum_of(known) if len(known) == len(logs) else None


def _log_of_factor(g: Graph, node: int) -> int | None:
    op, args = g.op[node], g.args[node]
    if op in ("exp", "exp_of_sum"):
        return g.sum_of(args)
    if op == "const":
        q = g.rational(node)
        is_positive = args[0] == "s" if q is None else q > 0  # pi, e and their like
        return g.node("log", node) if is_positive else None
    if op in _SHARES:
        return g.node("log", node)
    if op == "sqrt" or (op == "pow" and g.op[args[1]] == "const"):
        inner = log_of_sum(g, args[0])
        return None if inner is None else g.mul(g.const(0.5) if op == "sqrt" else args[1], inner)
    rest = one_plus(g, node)
    is_softplus = rest is not None and exponent_of(g, rest) is not None
    return g.node("log", node) if is_softplus else log_of_sum(g, node)
