"""A power less one, without cancellation: a row of the op table.

    powm1(x, y, t) = x^y - 1        t is y*log(x)

Where |t| < 1 it is expm1(t). The logarithm comes with the power: of x = 1 + r it is log1p(r), which x has no
digits for. Derivatives are those of the power, by x and y.

Source: Higham 2002, Accuracy and Stability of Numerical Algorithms, section 1.14.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from symgrad.ir.expansion import by_expansion
from symgrad.ir.op import Op, mp_function
from symgrad.ir.ops import OPS

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Args = tuple[int, ...]


def power_is_near_one(g: Graph, t: int) -> int:
    return g.node("lt", g.node("abs", t), g.one)


def _expand(g: Graph, a: Args) -> int:
    x, y, t = a
    apart = g.intern("sub", (g.node("pow", x, y), g.one))
    return g.where(power_is_near_one(g, t), g.node("expm1", t), apart)


def _exact(x: Any, y: Any, t: Any) -> Any:
    if x > 0:
        return mp_function("expm1")(y * mp_function("log")(x))
    return OPS["pow"].mpmath(x, y) - 1


def _slope(g: Graph, a: Args, place: int) -> int:
    made = OPS["pow"].partials[place]
    assert made is not None
    return made(g, a[:2], g.node("pow", *a[:2]))


OPS["powm1"] = Op(
    "powm1", 3, by_expansion(_expand, 3), _exact,
    (lambda g, a, y: _slope(g, a, 0), lambda g, a, y: _slope(g, a, 1), None), expand=_expand, cost=80,
    domain=((0.5, 2.0), (-1.0, 1.0), (-0.5, 0.5)), source="this module",
)  # fmt: skip
