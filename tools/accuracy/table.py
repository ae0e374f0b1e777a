"""How far every op and every composite is from the exact result: writes tools/bench/ACCURACY.md.

And what bounds of rounding errors take from it, `symgrad/ir/last_places.py`.

    python tools/accuracy/table.py                  # about five minutes on two cores
    python tools/accuracy/table.py --only exp,norm  # some of it, printed
    python tools/accuracy/table.py --points 1000    # more points

Exits with 1 where an error exceeds its bound (`bounds.py`).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import last_places
from bounds import BOUNDS, EXCEPTIONS, INFINITE, bound
from cases import Case, op_cases
from composites import composite_cases
from measure import DTYPES, QUANTITIES, TARGETS, Result, measure

TARGET = Path(__file__).resolve().parents[1] / "bench" / "ACCURACY.md"
_TITLES = {"value": "value", "first": "1st", "second": "2nd"}
_GROUPS = {
    "elementary": "Elementary functions and arithmetic",
    "special": "Special functions",
    "composite": "Composites",
}
_HEAD = """\
# Accuracy

Written by `python tools/accuracy/table.py`. Numbers are worst / median errors in units in the last place, of
the type at the head of the column, against mpmath: the value; first and second derivatives against
high-precision differences of the value. Second derivatives are by the first two arguments, mixed ones
included. Points: uniform and logarithmic in the domain, with corners, where the exact result is a normal
number of the type. Functions are measured in calls outside of loops and inside of loops, where they are our
own vector functions; the worse one counts (special functions: in calls, on numpy in arrays).

A correctly rounded result is at most 0.5 off. {bounds} **Bold**: worse than that; the reasons stand below.
Twice what stands here is allowed of these, as other processors and C libraries have errors of their own.
"""

_SPECIAL = """\
Where a function oscillates (Bessel and Airy functions beyond the turning point, trigonometric and Fresnel
integrals beyond 1) an error counts in last places of the amplitude, the root of the sum of the squares of the
function and its companion (J and Y, Ai and Bi, ...), and so do derivatives: near a zero an error cannot be
small beside the result, only beside what the argument's own rounding changes."""


def all_cases() -> list[Case]:
    """Rows of the op table first."""
    return [*op_cases(), *composite_cases()]


def main(argv: Sequence[str] | None = None) -> int:
    options = _options(argv)
    chosen = options.only or set(_GROUPS)
    cases = [case for case in all_cases() if {case.name, case.group} & chosen]
    jobs = [_job(case, options.points, options.seconds) for case in cases]
    with ProcessPoolExecutor(options.processes) as pool:
        results = list(pool.map(_measured, jobs))
    text = document(cases, results)
    print(text) if options.only else TARGET.write_text(text)
    if not options.only:
        last_places.write()
    wrong = list(violations(cases, results))
    print("\n".join(wrong) or "every error is within its bound", file=sys.stderr)
    return 1 if wrong else 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", type=lambda text: set(text.split(",")), help="names of cases, or of groups of them"
    )
    parser.add_argument("--points", type=int, default=150)
    parser.add_argument("--seconds", type=float, default=1.0, help="for the exact values of one case, about")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    return parser.parse_args(argv)


def _job(case: Case, points: int, seconds: float) -> tuple[str, int, float]:
    """Special functions take longer at high precision, and get fewer points."""
    if case.group == "special":
        return case.name, points // 3, 1.5 * seconds
    return case.name, points, seconds


def _measured(job: tuple[str, int, float]) -> Result:
    name, points, seconds = job
    case = next(case for case in all_cases() if case.name == name)
    return measure(case, points, seconds)


def violations(cases: Sequence[Case], results: Sequence[Result]) -> Iterable[str]:
    """One line for every quantity that is worse than allowed."""
    for case, result in zip(cases, results, strict=True):
        for (quantity, target, dtype), errors in result.errors.items():
            if errors.ulps and errors.worst > bound(case.name, case.group, quantity, target):
                at = ", ".join(f"{x:.17g}" for x in errors.at)
                where = f"{target} {dtype} ({errors.form}) at {at}"
                yield f"{case.name} {quantity}: {errors.worst:.3g} ulp on {where}"


# ---- the document ------------------------------------------------------------------------------


def document(cases: Sequence[Case], results: Sequence[Result]) -> str:
    """The whole table in Markdown."""
    lines = [_HEAD.format(bounds=_bounds_text())]
    for group, title in _GROUPS.items():
        chosen = [(c, r) for c, r in zip(cases, results, strict=True) if c.group == group]
        if chosen:
            lines += [f"## {title}", "", *([_SPECIAL, ""] if group == "special" else []), *_table(chosen), ""]
    lines += ["## Where it is worse, and why", "", *_reasons(cases, results), ""]
    lines += _refusals(results)
    return "\n".join(lines).rstrip() + "\n"


def _bounds_text() -> str:
    texts = []
    names = {"elementary": "Elementary functions", "special": "special functions", "composite": "composites"}
    for group, words in names.items():
        limits = " and ".join(sorted({f"{BOUNDS[group, q]:g}" for q in QUANTITIES}))
        texts.append(f"{words} are allowed {limits}, their derivatives, too")
    return "; ".join(texts) + "."


def _table(chosen: Sequence[tuple[Case, Result]]) -> list[str]:
    columns = [(target, dtype) for dtype in DTYPES for target in TARGETS]
    lines = [
        "| function | domain | | "
        + " | ".join(f"{t} {'f64' if d == 'float64' else 'f32'}" for t, d in columns)
        + " |",
        "| --- | --- | --- |" + " --- |" * len(columns),
    ]
    for case, result in chosen:
        first = True
        for quantity in QUANTITIES:
            cells = [_cell(case, result, quantity, *column) for column in columns]
            if not any(cells):
                continue
            name, domain = (_escaped(case.name), _escaped(case.domain)) if first else ("", "")
            lines.append(f"| {name} | {domain} | {_TITLES[quantity]} | " + " | ".join(cells) + " |")
            first = False
    return lines


def _cell(case: Case, result: Result, quantity: str, target: str, dtype: str) -> str:
    errors = result.errors.get((quantity, target, dtype))
    if errors is None or not errors.ulps:
        return ""
    text = f"{_number(errors.worst)} / {_number(errors.median)}"
    return f"**{text}**" if errors.worst > BOUNDS.get((case.group, quantity), INFINITE) else text


def _number(ulps: float) -> str:
    return f"{ulps:.2f}" if ulps < 1e3 else f"{ulps:.1e}" if ulps != float("inf") else "inf"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*")


def _reasons(cases: Sequence[Case], results: Sequence[Result]) -> list[str]:
    lines = []
    for case, result in zip(cases, results, strict=True):
        for quantity in QUANTITIES:
            found = [(e.worst, k, e) for k, e in result.errors.items() if k[0] == quantity and e.ulps]
            worst, key, errors = max(found, key=lambda item: item[0], default=(0.0, ("", "", ""), None))
            if errors is None or worst <= BOUNDS.get((case.group, quantity), INFINITE):
                continue
            reason = EXCEPTIONS.get((case.name, quantity), "not explained yet")
            at = ", ".join(f"{x:.6g}" for x in errors.at[:2])
            lines.append(
                f"- {_escaped(case.name)}, {_TITLES[quantity]}: {_number(worst)} on {key[1]} {key[2]}"
                f" at {at}: {_escaped(reason)}"
            )
    return lines or ["Nowhere."]


def _refusals(results: Sequence[Result]) -> list[str]:
    lines = [
        f"- {_escaped(result.name)}, on {_escaped(reason)}" for result in results for reason in result.refused
    ]
    return ["## What a target refuses", "", *lines, ""] if lines else []


if __name__ == "__main__":
    raise SystemExit(main())
