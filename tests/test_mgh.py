"""The Moré-Garbow-Hillstrom problems: derivatives agree with 80 digits, and methods find the minima."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from mgh import PROBLEMS, Problem
from mgh.reference import points, reference

import symgrad as sg

TOLERANCE = 1e-12  # as for the reference numbers of the shared programs
GRADIENT = 1e-10  # of half the sum of squares; at some minima rounding error ends the search before
ZERO = 1e-13
EPSILON = float(np.finfo(float).eps)
EVERY = {problem.number: problem for problem in PROBLEMS}
NAMES = {problem.number: problem.name for problem in PROBLEMS}
ON_ALL_TARGETS = (7, 10, 11, 20, 24, 31, 35)
SPARSE = (21, 22, 28, 30, 31)
CASES = [(number, "llvm") for number in EVERY] + [
    (number, backend) for backend in ("c", "numpy") for number in ON_ALL_TARGETS
]


def _id(value: object) -> str:
    return f"{value}-{NAMES[value]}" if isinstance(value, int) else str(value)


@cache
def kernels(problem: Problem, backend: str) -> tuple[Any, Any]:
    """One for residuals and Jacobian, one for gradient and Hessian of half the sum of squares."""
    options = {"args": problem.args, "wrt": problem.unknowns, "backend": backend}
    residuals = sg.compile(problem.vector, outputs=("value", "jac"), **options)
    return residuals, sg.compile(problem.half_squares, outputs=("value", "grad", "hess"), **options)


def worst(found: np.ndarray, wanted: np.ndarray, scale: np.ndarray | float) -> float:
    """The largest error relative to `scale`; where that is zero nothing but zero is right."""
    assert found.shape == wanted.shape
    wrong = np.abs(found - wanted)
    return float(
        np.divide(wrong, scale, out=np.where(wrong == 0, 0, np.inf), where=np.asarray(scale) > 0).max()
    )


def errors(problem: Problem, case: int, place: int, backend: str) -> dict[str, float]:
    """The error of every quantity at one point, each against its own size and not that of its neighbours.

    Residuals are measured against the largest one; entries of the Jacobian against themselves, down to
    the rounding error of the row's largest one; gradient and Hessian against the products they are sums of.
    """
    instance = problem.instances[case]
    x, wanted = points(instance)[place], reference(problem, case, place)
    arguments = problem.arguments(instance, x)
    (r, jacobian), (value, gradient, hessian) = (k(*arguments) for k in kernels(problem, backend))
    r, m, n = np.ravel(r), wanted["residuals"].size, x.size
    sizes = np.abs(wanted["jacobian"])
    columns = np.linalg.norm(sizes, axis=0)
    length = float(np.linalg.norm(wanted["residuals"]))
    curved = columns + np.sqrt(np.abs(np.diag(wanted["hessian"])))
    return {
        "residuals": worst(r, wanted["residuals"], np.abs(wanted["residuals"]).max()),
        "half of squares": abs(value - length**2 / 2) / (length**2 / 2),
        "jacobian": worst(
            np.reshape(jacobian, (m, n)), wanted["jacobian"], sizes + EPSILON * sizes.max(1, keepdims=True)
        ),
        "gradient": worst(np.ravel(gradient), wanted["gradient"], columns * length),
        "hessian": worst(np.reshape(hessian, (n, n)), wanted["hessian"], np.outer(curved, curved)),
    }


@pytest.mark.parametrize(("number", "backend"), CASES, ids=_id)
def test_residuals_jacobian_and_hessian_agree_with_high_precision(number: int, backend: str) -> None:
    problem = EVERY[number]
    wrong = []
    for case in range(len(problem.instances)):
        for place, where in enumerate(("the start", "the place away from it")):
            for what, error in errors(problem, case, place, backend).items():
                if not error <= TOLERANCE:
                    wrong.append(f"{what} off by {error:.1e} at {where} of instance {case}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("number", SPARSE, ids=_id)
def test_sparse_derivatives_hold_the_same_numbers_and_no_zeros(number: int) -> None:
    problem = EVERY[number]
    options = {"args": problem.args, "wrt": problem.unknowns, "sparse": "csr"}
    jacobian = sg.compile(problem.vector, outputs="jac", **options)
    hessian = sg.compile(problem.half_squares, outputs="hess", **options)
    for case, instance in enumerate(problem.instances):
        wanted = reference(problem, case, 1)
        arguments = problem.arguments(instance, points(instance)[1])
        for kernel, word in ((jacobian, "jacobian"), (hessian, "hessian")):
            found = kernel(*arguments)
            assert found.nnz == np.count_nonzero(
                np.abs(wanted[word]) > 1e-20
            )  # what is less is rounding error
            assert worst(found.toarray(), wanted[word], np.abs(wanted[word]).max()) <= TOLERANCE


@pytest.mark.parametrize("method", ["lm", "newton"])
@pytest.mark.parametrize("number", EVERY, ids=_id)
def test_levenberg_marquardt_and_newton_reach_a_published_minimum(number: int, method: str) -> None:
    problem = EVERY[number]
    program = sg.program(problem.vector if method == "lm" else problem.half_squares, problem.args)
    for instance in {instance.minima: instance for instance in problem.instances}.values():
        start = problem.starting_values(instance)
        result = sg.minimize(program, start, instance.data, method=method, tol=GRADIENT)
        assert result.success, result.message
        squares = 2.0 * result.fun
        assert any(is_reached(squares, minimum) for minimum in instance.minima), (squares, instance.minima)


def is_reached(squares: float, minimum: float) -> bool:
    """Whether a sum of squares is the minimum as published: to six digits, the last not rounded, or zero."""
    return abs(squares - minimum) <= 1e-5 * minimum if minimum else squares <= ZERO


def test_all_thirty_five_problems_are_there_under_their_numbers() -> None:
    assert [problem.number for problem in PROBLEMS] == list(range(1, 36))
