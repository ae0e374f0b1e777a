"""Even functions of a root, whose derivatives at its zero the chain rule does not see: cos(|v|).

They become functions of what is under the root (`radial.py`). The root itself keeps its convention.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from symgrad.ir.rules import Args, Rule, among
from symgrad.ir.stability.audit import Audit, at_pairs, stable
from symgrad.ir.stability.patterns import factors_of, quotient_of, remove, under_root, without

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

_RAYLEIGH = "DLMF 10.49(ii), 10.51.3"
ROOTS = ("sqrt", "norm", "leg", "hypot", "abs")
_HALF_ANGLE = "the half-angle formula; Kahan 1965"


def _at_origin_too(written: str, becomes: str, when: str, source: str, *more: tuple[float, float]) -> Audit:
    points = at_pairs((0.0, 0.0), (1e-9, 2e-9), (0.6, -0.8), (3.0, 4.0), *more)
    return Audit(written, becomes, when, source, points, is_limit=True)


def square_of_root(g: Graph, root: int) -> tuple[int, int] | None:
    """(h, s) with h = |root| and s = h^2, if a product or quotient has one root of something for a factor."""
    if g.op[root] == "div":
        above, below = g.args[root]
        found = square_of_root(g, above)
        return None if found is None else (root, g.div(found[1], g.mul(below, below)))
    factors = factors_of(g, root)
    roots = [f for f in factors if g.op[f] in ROOTS and not any(g.op[a] == "const" for a in g.args[f])]
    if len(roots) != 1:
        return None
    inner = g.args[roots[0]]
    under = under_root(g, roots[0])
    square = g.sum_of(g.mul(side, side) for side in inner) if under is None else under
    scale = quotient_of(g, without(factors, factors.index(roots[0])), [])
    return root, g.mul(g.mul(scale, scale), square)


def _even(op: str, written: str, becomes: str, source: str = _RAYLEIGH) -> Rule:
    """The rule for one even function of one argument, or of an order 0 and one argument."""

    def rewrite(g: Graph, a: Args) -> int | None:
        if len(a) == 2 and a[0] != g.zero:
            return None
        found = square_of_root(g, a[-1])
        return None if found is None else g.node(f"radial_{op}", *found)

    rewrite.__name__ = f"{op}_of_root"
    audit = _at_origin_too(written, becomes, "a root, hypot or modulus is a factor of the argument", source)
    why = f"{op} of a root is smooth where the root is 0"
    return stable(op, why, audit, on=among("mul", "neg", *ROOTS), needs=ROOTS)(rewrite)


_NORM = "sqrt(x**2 + y**2)"
_even("cos", f"cos({_NORM})", "cos(h), by s: -sinc(h)/2")
_even("cosh", f"cosh({_NORM})", "cosh(h), by s: sinhc(h)/2")
_even("sinc", f"sin({_NORM})/{_NORM}", "sinc(h), by s: its R/2, R f = f'(h)/h")
_even("sinhc", f"sinh({_NORM})/{_NORM}", "sinhc(h), by s: its R/2")
_even("besselj", f"besselj(0, {_NORM})", "besselj(0, h), by s: -besselj(1, h)/(2*h)", "DLMF 10.6.6")
_even("besseli", f"besseli(0, {_NORM})", "besseli(0, h), by s: besseli(1, h)/(2*h)", "DLMF 10.29.4")


# ---- what is left of 1 -------------------------------------------------------------------------

_LESS_ONE = {"radial_cos": ("radial_versine", -1), "radial_cosh": ("radial_coshm1", 1)}


def _beside_one(g: Graph, a: Args, one: int) -> int | None:
    """f(h) - 1 of a pair (f(h), 1), in any order."""
    for f, other in (a, a[::-1]):
        if g.op[f] in _LESS_ONE and other == one:
            op, sign = _LESS_ONE[g.op[f]]
            made = g.node(op, *g.args[f])
            return made if sign > 0 else g.neg(made)
    return None


@stable(
    "sub",
    "1 - cos(h) cancels near 0, for a root h too",
    _at_origin_too(
        f"1 - cos({_NORM})", "2*sin(h/2)**2, by s: sinc(h)/2", "always; cosh too; f - 1 counts", _HALF_ANGLE
    ),
    on=among("radial_cos", "radial_cosh"),
)  # fmt: skip
def one_minus_radial(g: Graph, a: Args) -> int | None:
    made = _beside_one(g, a, g.one)
    return made if made is None or a[1] == g.one else g.neg(made)


@stable(
    "add",
    "cos(h) - 1 cancels near 0, for a root h too",
    _at_origin_too(f"cosh({_NORM}) - 1", "2*sinh(h/2)**2, by s: sinhc(h)/2", "always; cos too", _HALF_ANGLE),
    on=among("radial_cos", "radial_cosh"),
)  # fmt: skip
def radial_plus_minus_one(g: Graph, a: Args) -> int | None:
    return _beside_one(g, a, g.minus_one)


@stable(
    "log",
    "cosh(h) overflows for h > 710, and is rounded to 1 near 0, for a root h too",
    _at_origin_too(
        f"log(cosh({_NORM}))", "logcosh(h), by s: tanh(h)/(2*h)", "always", "Higham 2002, section 1.14",
        (-800.0, 1.0),
    ),
    on=among("radial_cosh"),
)  # fmt: skip
def log_of_radial_cosh(g: Graph, a: Args) -> int | None:
    return g.node("radial_logcosh", *g.args[a[0]]) if g.op[a[0]] == "radial_cosh" else None


_HALF_OF = {"radial_versine": "radial_sinc", "radial_coshm1": "radial_sinhc"}


@stable(
    "div",
    "(1 - cos(h))/h**2 is nan where h is 0",
    _at_origin_too(f"(1 - cos({_NORM}))/(x**2 + y**2)", "sinc(h/2)**2/2", "cosh too", _RAYLEIGH),
    on=among(*_HALF_OF, "mul", "neg"),
    needs=_HALF_OF,
)  # fmt: skip
def quotient_by_square_of_root(g: Graph, a: Args) -> int | None:
    above = factors_of(g, a[0])
    place = next((k for k, f in enumerate(above) if g.op[f] in _HALF_OF), None)
    below = [] if place is None else factors_of(g, a[1])
    if place is None:
        return None
    h, s = g.args[above[place]]
    for square in ([s], [h, h]):
        missing, rest = remove(square, below)
        if not missing:
            half, quarter = g.const(Fraction(1, 2)), g.const(Fraction(1, 4))
            part = g.node(_HALF_OF[g.op[above[place]]], g.mul(half, h), g.mul(quarter, s))
            made = g.mul(half, g.mul(part, part))
            return quotient_of(g, [*without(above, place), made], rest)
    return None
