"""Measures what each stability rule gains, and writes the table `symgrad/ir/STABILITY.md`.

    python tools/stability_table.py          say whether the file has every rule, with the errors measured now
    python tools/stability_table.py --write  write the file

At each of a rule's points the expression, its gradient and its Hessian are evaluated in double precision
without and with the stability rules (the reference evaluator), and without them in as many digits as it
takes (mpmath): an error is the distance from that, in units in the last place of the exact entry.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mpmath
import numpy as np

import symgrad as sg
from symgrad.frontend.declare import parse_declarations
from symgrad.frontend.parse import parse_expression
from symgrad.ir.evaluate import evaluate
from symgrad.ir.stability import AUDITS, Audit
from symgrad.ir.stability.audit import Point
from symgrad.opt.logsumexp import with_split_logsumexp
from symgrad.program import Program

FILE = Path(__file__).resolve().parents[1] / "symgrad" / "ir" / "STABILITY.md"
WORDS = ("value", "grad", "hess")
LOST = 2.0**52  # ulps: no digit is right
_NOTHING = 400  # digits after the point before the first one of a number next to 0


@dataclass(frozen=True)
class Errors:
    """The errors of value, gradient and Hessian at one point, in ulps, without and with the rules."""

    before: tuple[float, ...]
    after: tuple[float, ...]


_ARRAYS = {"v": "v = array(n)", "A": "A = matrix(n, n)"}


def programs(audit: Audit) -> tuple[Program, Program]:
    """The audit's expression without and with stability rules, differentiated by all its arguments."""
    expr, args = expression(audit)
    chosen = tuple(s for s in args if not audit.wrt or s.name in audit.wrt)
    wrt = chosen[0] if _array_of(audit) else chosen
    off, on = (sg.program(expr, args=args, wrt=wrt, stabilise=on) for on in (False, True))
    return off, on


def _array_of(audit: Audit) -> str:
    """The name of the array that an audit is about, "" if it is about numbers."""
    return next((name for name in audit.points[0] if name in _ARRAYS), "")


def expression(audit: Audit) -> tuple[Any, tuple[Any, ...]]:
    """The audit's expression as SymPy's, and its arguments by name."""
    array = _array_of(audit)
    if not array:
        expr = parse_expression(audit.written, {})
        return expr, tuple(sorted(expr.free_symbols, key=str))
    symbols = parse_declarations([_ARRAYS[array]])
    return parse_expression(audit.written, symbols), (symbols[array],)


def evaluated(program: Program, dtype: Any = np.float64) -> Callable[[Point], list[np.ndarray]]:
    """Value, gradient and Hessian by the reference evaluator, as a function of the point."""
    derived = program.derived(WORDS)
    unit = with_split_logsumexp(derived.unit)  # as every target computes it
    g, names, tensors = unit.graph, *zip(*unit.inputs, strict=True)
    roots = [unit.outputs[position][1] for position, *_ in derived.results]

    def run(point: Point) -> list[np.ndarray]:
        inputs = {t: np.asarray(point[name]) for name, t in zip(names, tensors, strict=True)}
        sizes: dict[str, int] = {}
        if _ARRAYS.keys() & point.keys():
            sizes["n"] = len(next(iter(inputs.values())))
        return evaluate(g, roots, inputs, sizes, dtype)

    return run


def exact(program: Program, audit: Audit) -> Callable[[Point], list[np.ndarray]]:
    """As `evaluated`, in mpmath numbers of as many digits as the audit says.

    Where it asks for limits, numbers next to nothing stand for those that are 0.
    """
    run = evaluated(program, object)

    def run_exactly(point: Point) -> list[np.ndarray]:
        with mpmath.workdps(audit.digits):
            nothing = mpmath.mpf(10) ** -_NOTHING
            return run({k: nothing if audit.is_limit and x == 0 else x for k, x in point.items()})

    return run_exactly


def ulps(found: np.ndarray, wanted: np.ndarray) -> float:
    """The largest error of an entry in units in the last place of the exact one (of the largest, for a 0).

    Entries without an exact value (nan) count 0; a result that is not finite where the exact one is, inf.
    """
    entries = [float(w) for w in np.ravel(wanted)]
    largest = max((abs(w) for w in entries if math.isfinite(w)), default=0.0)
    worst = 0.0
    for f, w, near in zip(np.ravel(found), np.ravel(wanted), entries, strict=True):
        if math.isnan(near) or f == near:
            continue
        if not math.isfinite(f) or not math.isfinite(near):
            return math.inf
        unit = math.ulp(near or largest)
        worst = max(worst, float(abs(mpmath.mpf(float(f)) - w) / unit))
    return worst


def errors(audit: Audit) -> list[Errors]:
    """The errors at each of the audit's points."""
    off, on = programs(audit)
    before, after, right = evaluated(off), evaluated(on), exact(off, audit)
    found = []
    for point in audit.points:
        wanted = right(point)
        sides = (tuple(map(ulps, run(point), wanted)) for run in (before, after))
        found.append(Errors(*sides))
    return found


# ---- the table ---------------------------------------------------------------------------------

_HEAD = """\
# Stability rules

Written by `tools/stability_table.py`; do not edit. The rules are in `stability/`; `stabilise=False` turns
them off, and `symgrad.explain` shows which of them rewrote what.

Errors are those of the value, the gradient and the Hessian, the worst at the points where the rule is
measured, in units in the last place of the exact result, without the rules -> with them. "lost" means that
no digit is right, or that the result is infinite or nan where the exact one is finite.

| rule | written | computed | when | value | gradient | Hessian | source |
|---|---|---|---|---|---|---|---|
"""


def figure(error: float) -> str:
    """An error as the table shows it."""
    if error >= LOST:
        return "lost"
    return f"{math.ceil(error)}" if error < 1000 else f"{error:.0e}".replace("e+0", "e").replace("e+", "e")


def read_figure(text: str) -> float:
    """The number that the table shows."""
    return LOST if text == "lost" else float(text)


def rows() -> dict[str, tuple[str, ...]]:
    """The cells of each rule's row by the rule's name, measured now."""
    return {name: _row(name, AUDITS[name]) for name in names()}


def names() -> list[str]:
    """The stability rules in the order of the table: those of the IR, and what passes do after it."""
    return sorted(AUDITS)


def fired(program: Program) -> set[str]:
    """The rules that fired in the value or its derivatives."""
    derived = program.derived(WORDS)
    graphs = (program.translation.graph, derived.unit.graph, with_split_logsumexp(derived.unit).graph)
    return {name for g in graphs for name, times in g.fired.items() if times}


def _row(name: str, audit: Audit) -> tuple[str, ...]:
    measured = errors(audit)
    cells = [name, f"`{audit.written}`", f"`{audit.becomes}`", audit.when]
    for k in range(len(WORDS)):
        before, after = (max(getattr(e, side)[k] for e in measured) for side in ("before", "after"))
        cells.append(f"{figure(before)} -> {figure(after)}")
    return (*(cell.replace("|", "\\|") for cell in cells), audit.source)


def text(table: dict[str, tuple[str, ...]]) -> str:
    return _HEAD + "".join(f"| {' | '.join(cells)} |\n" for cells in table.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the file")
    made = text(rows())
    if parser.parse_args().write:
        FILE.write_text(made)
    print("up to date" if FILE.exists() and FILE.read_text() == made else "differs: --write writes it")


if __name__ == "__main__":
    main()
