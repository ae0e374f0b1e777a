"""The logarithm of a determinant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symgrad.ir.rules import Args, among
from symgrad.ir.stability.audit import Audit, stable

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_TALL, _SMALL = ((2e200, 1e199), (3e198, 2e200)), ((2e-200, 1e-201), (3e-201, 2e-200))


@stable(
    "log",
    "a determinant overflows where its logarithm does not",
    Audit(
        "log(Determinant(A))", "log_det(A)",
        "a rational factor > 0 counts; log(Abs(Determinant(A))) is log_abs_det(A)",
        "Boyd & Vandenberghe 2004, section A.4",
        ({"A": _TALL}, {"A": _SMALL}, {"A": ((2.0, 1.0), (1.0, 3.0))}),
    ),
    on=among("read", "abs", "mul"),
)  # fmt: skip
def log_determinant(g: Graph, a: Args) -> int | None:
    """log(c det(A)) for a rational c > 0, and log|det(A)|."""
    op, args = g.op[a[0]], g.args[a[0]]
    if op == "mul":
        q = g.rational(args[0])
        rest = _log_det(g, args[1], "log_det") if q is not None and q > 0 else None
        return None if rest is None else g.add(g.node("log", args[0]), rest)
    return _log_det(g, args[0], "log_abs_det") if op == "abs" else _log_det(g, a[0], "log_det")


def _log_det(g: Graph, node: int, name: str) -> int | None:
    """The function `name` of the matrix whose determinant `node` is."""
    t = g.tensors[g.args[node][0]] if g.op[node] == "read" else None
    if t is None or t.name != "det" or t.kind != "call":
        return None
    return g.read(g.define("call", t.out, t.red, t.bodies, name=name), *g.args[node][1:])
