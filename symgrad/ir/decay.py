"""Functions whose slopes decay like exp(-|x|): far out, nothing is left of any product with them.

The chain rule multiplies the slope of exp(-1/x^2) by 2/x^3: next to 0 that is 0 times infinity, and the truth
is 0. Where x > 4096, exp(-x) is below 10^-1778: so much smaller than quotients and products of a few doubles
are large that the product is 0. A slope is under a mask there, and a product with a mask is under it as a
whole (`mul_into_mask`): the other factors, and what they are differentiated to, are not looked at. A nan is
not far out, and stays one.

This is asked for only where x may be large while its own derivatives are larger still: where it has a
quotient by what may be 0, a logarithm or an exponential. Sums and products of values pay nothing, nor do
quotients by sqrt(v + 0.01), as in a normalisation, nor exponents of a softmax, less the logarithm of a sum or
a largest value: these are shares, with rules of their own.

Source: DLMF 4.4.16: x^a*exp(-x) tends to 0 for every a.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from symgrad.ir.ops import OPS
from symgrad.ir.signs import is_never_negative

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

FAR = 4096
_MOST_NODES = 8  # of an argument that is searched, from its top
_NO_POLE = frozenset(
    ("add", "sub", "neg", "mul", "abs", "hypot", "norm", "sqrt", "square_difference", "maximum", "minimum")
)
_ENDS = frozenset(("const", "cast", "where", "mask", "sin", "cos", "tanh", "logistic"))
_BY_SQUARES = frozenset(("erf", "erfc"))  # whose own slopes have factors that grow
_OF_SHARES = frozenset(("logaddexp", "softplus", "log_share", "logcosh"))


def within(g: Graph, n: int) -> int:
    """The condition under which derivatives of a node, of every order, are not 0 to any double."""
    decay = OPS[g.op[n]].decay if g.op[n] in OPS else None
    if decay is None or not _may_outrun(g, n):
        return g.true
    return g.node("not", g.node("lt", g.const(FAR), decay(g, g.args[n])))


def _may_outrun(g: Graph, n: int) -> bool:
    """Whether derivatives of the arguments may be out of range where these are just large."""
    ops, level, found = g.op, list(g.args[n]), g.op[n] in _BY_SQUARES
    for _ in range(_MOST_NODES):
        if not level:
            break
        a = level.pop(0)
        op, args = ops[a], g.args[a]
        if op in _OF_SHARES or (op == "read" and g.tensors[args[0]].kind != "input"):
            return False
        if op in _NO_POLE:
            level += args
        elif op == "div":
            found = found or not (_is_number(g, args[1]) or _is_apart_from_zero(g, args[1]))
            level.append(args[0])
        elif op != "read" and op not in _ENDS:
            found = True
    return found


def _is_number(g: Graph, n: int) -> bool:
    """A constant, a size, a root or a multiple of one."""
    while g.op[n] in ("sqrt", "neg", "mul"):
        if g.op[n] == "mul" and g.op[g.args[n][0]] != "const":
            return False
        n = g.args[n][-1]
    return g.op[n] in ("const", "cast")


def _is_apart_from_zero(g: Graph, n: int) -> bool:
    """A positive constant and what is never negative, or a root of that: no quotient by it has a pole."""
    for _ in range(_MOST_NODES):
        if g.op[n] in ("sqrt", "neg"):
            n = g.args[n][0]
        elif g.op[n] == "read" and g.tensors[g.args[n][0]].kind == "map":
            n = g.tensors[g.args[n][0]].body
        else:
            break
    if g.op[n] not in ("add", "hypot"):
        return False
    for constant, rest in (g.args[n], g.args[n][::-1]):
        q = g.rational(constant)
        if q and (g.op[n] == "hypot" or (q > 0 and is_never_negative(g, rest))):
            return True
    return False
