"""Derives the polynomials of `symgrad/targets/vector_math.py` and writes them to `polynomials.py` beside it.

    python tools/polynomials.py          print how good each polynomial is, and whether the file is up to date
    python tools/polynomials.py --write  write the file

Each polynomial P(x) = c0 + c1 x + ... has the smallest possible largest |weight(x) (function(x) - P(x))|
on its interval: the exchange algorithm of Remez (1934), see Muller, Elementary Functions (3rd edition),
section 3.5. The weight makes that the relative error of the elementary function the polynomial is for.
Coefficients are then rounded to double, which costs little, because the leading terms that carry the
digits stand outside of P.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import mpmath
from mpmath import mp, mpf

FILE = Path(__file__).resolve().parents[1] / "symgrad" / "targets" / "polynomials.py"
Function = Callable[[mpf], mpf]
_DIGITS = 60
_GRID = 40  # points looked at per coefficient
_SLACK = mpf("1e-9")  # reductions round: arguments may lie this much (relatively) outside


@dataclass(frozen=True)
class Task:
    """One polynomial: `terms` coefficients, for `function` on [low, high]."""

    name: str
    meaning: str
    function: Function
    weight: Function
    low: mpf
    high: mpf
    terms: int


def remez(task: Task) -> tuple[list[mpf], mpf]:
    """The coefficients and the largest weighted error."""
    n = task.terms
    grid = _chebyshev(task.low, task.high, _GRID * n)
    values = [(x, task.function(x), task.weight(x)) for x in grid]
    chosen = [round(i * (len(grid) - 1) / n) for i in range(n + 1)]
    for _ in range(30):
        coefficients, level = _level_out([values[i] for i in chosen])
        errors = [w * (f - mpmath.polyval(coefficients[::-1], x)) for x, f, w in values]
        chosen = _alternating(errors, n + 1)
        worst = max(abs(errors[i]) for i in chosen)
        if worst <= abs(level) * mpf("1.0001"):
            break
    return coefficients, worst


def _chebyshev(low: mpf, high: mpf, count: int) -> list[mpf]:
    """Points that crowd at both ends; none is exactly zero, where weights vanish."""
    middle, half = (low + high) / 2, (high - low) / 2
    points = [middle - half * mpmath.cospi(mpf(2 * i + 1) / (2 * count)) for i in range(count)]
    return [x for x in points if x != 0]


def _level_out(points: Sequence[tuple[mpf, mpf, mpf]]) -> tuple[list[mpf], mpf]:
    """The polynomial whose weighted error is +e, -e, +e, ... at the points, and e."""
    n = len(points) - 1
    rows = [[x**j for j in range(n)] + [(-1) ** i / w] for i, (x, _, w) in enumerate(points)]
    solution = mpmath.lu_solve(mpmath.matrix(rows), mpmath.matrix([f for _, f, _ in points]))
    return [solution[j] for j in range(n)], solution[n]


def _alternating(errors: Sequence[mpf], count: int) -> list[int]:
    """Places of `count` largest errors whose signs alternate."""
    places: list[int] = []
    for i, e in enumerate(errors):
        if places and (errors[places[-1]] > 0) == (e > 0):
            if abs(e) > abs(errors[places[-1]]):
                places[-1] = i
        else:
            places.append(i)
    while len(places) > count:
        end = 0 if abs(errors[places[0]]) < abs(errors[places[-1]]) else -1
        places.pop(end)
    assert len(places) == count, "the exchange lost its alternation: more grid points are needed"
    return places


# ---- the functions -----------------------------------------------------------------------------


def tasks() -> list[Task]:
    """Everything `vector_math.py` evaluates, in double for results in double and in single."""
    out = []
    for name, task in _functions().items():
        for kind, terms in zip(("double", "single"), task[-1], strict=True):
            if terms:
                meaning, function, weight, low, high = task[:-1]
                out.append(Task(f"{name}_{kind}", meaning, function, weight, low, high, terms))
    return out


def _functions() -> dict[str, tuple[str, Function, Function, mpf, mpf, tuple[int, int]]]:
    half_log2 = mpmath.log(2) / 2 * (1 + _SLACK)
    s_most = ((mpmath.sqrt(2) - 1) / (mpmath.sqrt(2) + 1)) ** 2 * (1 + _SLACK)
    quarter = (mpmath.pi / 4) ** 2 * (1 + _SLACK) ** 2
    tiny = mpf("1e-12")  # in place of zero, where a quotient would be 0/0
    root = mpmath.sqrt
    return {
        "exp": (
            "(exp(r) - 1 - r)/r^2 for |r| <= log(2)/2",
            lambda r: (mpmath.expm1(r) - r) / r**2,
            lambda r: r**2 / mpmath.expm1(r),
            -half_log2, half_log2, (11, 6),
        ),
        "log": (
            "(log((1 + s)/(1 - s)) - 2 s)/s^3 in z = s^2, for s = (sqrt(2) - 1)/(sqrt(2) + 1) at most",
            lambda z: 2 * (mpmath.atanh(root(z)) - root(z)) / root(z) ** 3,
            lambda z: root(z) ** 3 / (2 * mpmath.atanh(root(z))),
            tiny, s_most, (7, 3),
        ),
        "log_rest": (
            "(log((1 + s)/(1 - s)) - 2 s - 2/3 s^3)/s^5 in z = s^2, for the same s",
            lambda z: 2 * (mpmath.atanh(root(z)) - root(z) - root(z) ** 3 / 3) / root(z) ** 5,
            lambda z: root(z) ** 5 / (2 * mpmath.atanh(root(z))),
            tiny, s_most, (7, 0),
        ),
        "half_reciprocal": (
            "1/(2 (1 + f)) for sqrt(1/2) <= 1 + f <= sqrt(2), for corrections only",
            lambda f: 1 / (2 * (1 + f)),
            lambda f: 2 * (1 + f),
            root(mpf(1) / 2) - 1, root(mpf(2)) - 1, (4, 0),
        ),
        "sin": (
            "(sin(r) - r)/r^3 in z = r^2, for |r| <= pi/4",
            lambda z: (mpmath.sin(root(z)) - root(z)) / root(z) ** 3,
            lambda z: root(z) ** 3 / mpmath.sin(root(z)),
            tiny, quarter, (6, 4),
        ),
        "cos": (
            "(cos(r) - 1 + r^2/2)/r^4 in z = r^2, for |r| <= pi/4",
            lambda z: (mpmath.cos(root(z)) - 1 + z / 2) / z**2,
            lambda z: z**2 / mpmath.cos(root(z)),
            tiny, quarter, (6, 3),
        ),
        "atan": (
            "(atan(u) - u)/u^3 in z = u^2, for |u| <= 1",
            lambda z: (mpmath.atan(root(z)) - root(z)) / root(z) ** 3,
            lambda z: root(z) ** 3 / mpmath.atan(root(z)),
            tiny, mpf(1) + _SLACK, (21, 10),
        ),
        "asin": (
            "(asin(u) - u)/u^3 in z = u^2, for |u| <= 1/2",
            lambda z: (mpmath.asin(root(z)) - root(z)) / root(z) ** 3,
            lambda z: root(z) ** 3 / mpmath.asin(root(z)),
            tiny, mpf(1) / 4 + _SLACK, (13, 6),
        ),
        "erf": (
            "erf(x)/x - 1 in z = x^2, for |x| <= 1",
            lambda z: mpmath.erf(root(z)) / root(z) - 1,
            lambda z: root(z) / mpmath.erf(root(z)),
            tiny, mpf(1) + _SLACK, (13, 8),
        ),
        "erfc_exponent": (
            "-log(erfc(1 + t)) for 1 <= 1 + t <= 6",
            lambda t: -mpmath.log(mpmath.erfc(1 + t)),
            lambda t: mpmath.erfc(1 + t) / mpmath.erf(1 + t),
            tiny, mpf(5) + _SLACK, (20, 8),
        ),
    }  # fmt: skip


# ---- the file ----------------------------------------------------------------------------------


def constant_parts(value: mpf, widths: Sequence[int]) -> list[float]:
    """`value` as a sum of doubles, each rounded to so many bits."""
    parts = []
    for bits in widths:
        with mp.workprec(bits):
            part = +value
        parts.append(float(part))
        value = value - part
    return parts


def text() -> str:
    """The file's text, the same on every machine."""
    lines = [
        '"""Written by tools/polynomials.py (minimax polynomials and split constants); do not edit."""',
        "",
    ]
    for name, parts in (
        ("LOG2", constant_parts(mpmath.log(2), (53, 53))),
        ("LOG2_EXACT", constant_parts(mpmath.log(2), (42, 53))),  # products with exponents are exact
        ("TWO_THIRDS", constant_parts(mpf(2) / 3, (53, 53))),
        ("HALF_PI", constant_parts(mpmath.pi / 2, (53, 32, 53))),
    ):
        lines += [f"# {name}: parts of the constant, largest first.", *_tuple(name, parts), ""]
    for task in tasks():
        coefficients, worst = remez(task)
        lines.append(f"# {task.meaning}")
        lines.append(f"# relative error 2^{float(mpmath.log(worst, 2)):.1f}")
        lines += [*_tuple(task.name.upper(), [float(c) for c in coefficients]), ""]
    return "\n".join(lines)


def _tuple(name: str, values: Sequence[float]) -> list[str]:
    return [f"{name} = (", *(f'    float.fromhex("{v.hex()}"),  # {v!r}' for v in values), ")"]


def main() -> None:
    """Print or write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    mp.dps = _DIGITS
    new = text()
    print(new)
    if write:
        FILE.write_text(new)
    else:
        print(
            "up to date"
            if FILE.exists() and FILE.read_text() == new
            else "the file differs: run with --write"
        )


if __name__ == "__main__":
    main()
