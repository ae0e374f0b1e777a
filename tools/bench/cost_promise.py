"""The cost promise: a gradient takes at most four times the operations of its value.

Every shared program is counted on its definitions, before any schedule (`symgrad.ir.count`): arithmetic and
elementary functions count one, choices and comparisons nothing. The gradient's own share is what value and
gradient together need beyond the value. Programs with several values count a product of a cotangent with the
Jacobian (vjp).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from common import ROOT, Setup, Table, main, number

import symgrad as sg
from symgrad.errors import SymgradError
from symgrad.ir.count import operations
from symgrad.pipeline import optimise

if str(ROOT / "tests") not in sys.path:
    sys.path.insert(0, str(ROOT / "tests"))
from programs import PROGRAMS, SharedProgram

PROMISE = 4.0
TINY = ("rosenbrock", "arm_pose", "dense_matrix")


@dataclass(frozen=True)
class Cost:
    """Operations before and after the passes of `opt`; `both` is value and gradient together."""

    name: str
    value: int
    both: int
    value_after: int
    both_after: int

    @property
    def ratio(self) -> float:
        return (self.both - self.value) / max(self.value, 1)

    @property
    def ratio_after(self) -> float:
        return (self.both_after - self.value_after) / max(self.value_after, 1)


def run(setup: Setup) -> list[Table]:
    """Every shared program, the worst last."""
    chosen = [p for p in PROGRAMS if not setup.tiny or p.name in TINY]
    costs, failed = [], []
    for program in chosen:
        try:
            costs.append(cost_of(program))
        except SymgradError as error:
            failed.append(f"{program.name} ({type(error).__name__})")
    costs.sort(key=lambda c: max(c.ratio, c.ratio_after))
    rows = [
        (c.name, str(c.value), str(c.both), number(c.ratio), str(c.value_after), str(c.both_after),
         number(c.ratio_after), "" if max(c.ratio, c.ratio_after) <= PROMISE else "over 4")
        for c in costs
    ]  # fmt: skip
    header = ("", "value", "value+gradient", "gradient/value", "value, opt.", "value+gradient, opt.",
              "gradient/value, opt.", "promise")  # fmt: skip
    kept = sum(max(c.ratio, c.ratio_after) <= PROMISE for c in costs)
    note = f"{kept} of {len(costs)} programs keep the promise (gradient at most 4 times the value)."
    if failed:
        note += f" Not compiled: {', '.join(failed)}."
    return [Table("Cost promise", header, tuple(rows), tuple(c.name for c in costs), note)]


def cost_of(shared: SharedProgram) -> Cost:
    """Count one program at its largest sizes."""
    program = sg.program(shared.expr, args=shared.args, wrt=shared.wrt)
    words = ("value", "grad" if "grad" in shared.outputs else "vjp")
    sizes = {str(k): v for k, v in shared.sizes[-1].items()}
    counts = []
    for asked in (words[:1], words):
        unit = program.derived(asked).unit
        counts.append([operations(u.graph, u.roots, sizes) for u in (unit, optimise(unit))])
    (value, value_after), (both, both_after) = counts
    return Cost(shared.name, value, both, value_after, both_after)


if __name__ == "__main__":
    main(run)
