"""Make `reference.npz`: residuals, Jacobian, and gradient and Hessian of half the sum of squares.

    cd tests && python -m mgh.make_reference

Needs mpmath alone: the formulas of `formulas.py` at 80 digits, and central differences with steps of 1e-20
for the Jacobian (error near 1e-40 from the step, 1e-60 from rounding) and of 1e-14 for the Hessian (1e-28 and
1e-52), relative to the size of the function. What is stored is rounded to float64. Takes ten seconds.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from mpmath import mp, mpf

from . import PROBLEMS, Instance, Problem
from .formulas import FORMULAS, Number, Unknowns
from .reference import STORE, key_of, points

FIRST, SECOND = "1e-20", "1e-14"


class Formula:
    """The residuals of one instance at displaced points."""

    def __init__(self, problem: Problem, instance: Instance, x: np.ndarray) -> None:
        self.function = FORMULAS[problem.number]
        self.x = [mpf(float(value)) for value in x]
        self.sizes = [value for value in instance.data.values() if isinstance(value, int)]

    def residuals(self, *moves: tuple[int, Number]) -> list[Number]:
        x = list(self.x)
        for place, by in moves:
            x[place] += by
        return list(map(mpf, self.function(Unknowns(x), *self.sizes)))

    def half_squares(self, *moves: tuple[int, Number]) -> Number:
        return sum(r**2 for r in self.residuals(*moves)) / 2

    def jacobian(self) -> list[list[Number]]:
        """Rows of dr/dx."""
        h = mpf(FIRST)
        pairs = [(self.residuals((j, h)), self.residuals((j, -h))) for j in range(len(self.x))]
        columns = [[(a - b) / (2 * h) for a, b in zip(*pair, strict=True)] for pair in pairs]
        return [list(row) for row in zip(*columns, strict=True)]

    def hessian(self) -> list[list[Number]]:
        h, n = mpf(SECOND), len(self.x)
        f, middle = self.half_squares, self.half_squares()
        rows = [[mpf(0)] * n for _ in range(n)]
        for i in range(n):
            rows[i][i] = (f((i, h)) - 2 * middle + f((i, -h))) / h**2
            for j in range(i):
                same, other = f((i, h), (j, h)) + f((i, -h), (j, -h)), f((i, h), (j, -h)) + f((i, -h), (j, h))
                rows[i][j] = rows[j][i] = (same - other) / (4 * h**2)
        return rows


def numbers_of(problem: Problem, instance: Instance, x: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    formula = Formula(problem, instance, x)
    residuals, jacobian = formula.residuals(), formula.jacobian()
    gradient = [sum(row[j] * r for row, r in zip(jacobian, residuals, strict=True)) for j in range(len(x))]
    yield "residuals", np.array(residuals, float)
    yield "jacobian", np.array(jacobian, float)
    yield "gradient", np.array(gradient, float)
    yield "hessian", np.array(formula.hessian(), float)


def main() -> None:
    mp.dps = 80
    stored = {}
    for problem in PROBLEMS:
        for case, instance in enumerate(problem.instances):
            for place, x in enumerate(points(instance)):
                for word, values in numbers_of(problem, instance, x):
                    stored[key_of(problem, case, place, word)] = values
    np.savez_compressed(STORE, **stored)


if __name__ == "__main__":
    main()
