"""A robot arm of six joints: the hand's pose (12 numbers) and its 12 by 6 Jacobian, one sample and a batch.

Denavit and Hartenberg's transforms (1955) with the lengths of a UR5. The hand-written C uses what a person
knows: the derivative of a pose by a joint's angle is a rotation about that joint's axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import matmul
from typing import Any

import numpy as np
import sympy as sp
from common import Contender, Setup, Table, contest, main, repeated, stopwatch
from cpp_peers import cpp_contenders
from machine_code import SymgradCode, backends, handwritten
from peers import (
    CasadiFunction,
    jax_contender,
    lambdify_contender,
    numba_contender,
    split,
    symengine_contender,
)

import symgrad as sg

WORDS = ("value", "jac")
SHAPES: list[tuple[int, ...]] = [(12,), (12, 6)]
# Cosine and sine of the twist, length and offset (in metres) of each joint.
JOINTS = (
    (0, 1, 0.0, 0.089159),
    (1, 0, -0.425, 0.0),
    (1, 0, -0.39225, 0.0),
    (0, 1, 0.0, 0.10915),
    (0, -1, 0.0, 0.09465),
    (1, 0, 0.0, 0.0823),
)

HAND_WRITTEN = """
#include <math.h>
static const double twist_cos[6] = {0, 1, 1, 0, 0, 1}, twist_sin[6] = {1, 0, 0, 1, -1, 0};
static const double length[6] = {0, -0.425, -0.39225, 0, 0, 0};
static const double offset[6] = {0.089159, 0, 0, 0.10915, 0.09465, 0.0823};

static inline __attribute__((always_inline)) void
arm(const double *c, const double *s, double *restrict pose, double *restrict jacobian)
{
    double T[12] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};
    double axis[6][3], point[6][3];
#pragma GCC unroll 6
    for (int k = 0; k < 6; k++) {
        for (int r = 0; r < 3; r++) {
            axis[k][r] = T[4 * r + 2];
            point[k][r] = T[4 * r + 3];
        }
        for (int r = 0; r < 3; r++) {
            const double x = T[4 * r], y = T[4 * r + 1], z = T[4 * r + 2];
            const double across = c[k] * y - s[k] * x;
            T[4 * r] = c[k] * x + s[k] * y;
            T[4 * r + 3] += length[k] * T[4 * r] + offset[k] * z;
            T[4 * r + 1] = twist_cos[k] * across + twist_sin[k] * z;
            T[4 * r + 2] = twist_cos[k] * z - twist_sin[k] * across;
        }
    }
    for (int e = 0; e < 12; e++) pose[e] = T[e];
#pragma GCC unroll 6
    for (int k = 0; k < 6; k++) {
        for (int e = 0; e < 4; e++) {
            const double away = e == 3 ? 1.0 : 0.0;
            const double x = T[e] - away * point[k][0], y = T[4 + e] - away * point[k][1];
            const double z = T[8 + e] - away * point[k][2];
            jacobian[6 * e + k] = axis[k][1] * z - axis[k][2] * y;
            jacobian[6 * (4 + e) + k] = axis[k][2] * x - axis[k][0] * z;
            jacobian[6 * (8 + e) + k] = axis[k][0] * y - axis[k][1] * x;
        }
    }
}
"""

HAND_ONE = """
void bench(double **b)
{
    double c[6], s[6];
    for (int k = 0; k < 6; k++) {
        c[k] = cos(b[k][0]);
        s[k] = sin(b[k][0]);
    }
    arm(c, s, b[6], b[7]);
}
"""

HAND_BATCH = """
void bench(double **b)
{
    static double c[6 * SAMPLES], s[6 * SAMPLES];
    for (int k = 0; k < 6; k++) {
#ifdef __FAST_MATH__ /* loops of one function each become vector functions */
        for (int i = 0; i < SAMPLES; i++) c[i * 6 + k] = cos(b[k][i]);
        for (int i = 0; i < SAMPLES; i++) s[i * 6 + k] = sin(b[k][i]);
#else /* both of one angle become one sincos */
        for (int i = 0; i < SAMPLES; i++) {
            const double q = b[k][i];
            c[i * 6 + k] = cos(q);
            s[i * 6 + k] = sin(q);
        }
#endif
    }
    for (int i = 0; i < SAMPLES; i++) arm(c + 6 * i, s + 6 * i, b[6] + 12 * i, b[7] + 72 * i);
}
"""


def run(setup: Setup) -> list[Table]:
    """One sample: machine code and calls; a batch of samples."""
    samples = 3 if setup.tiny else 1000
    angles = setup.random().uniform(-3.0, 3.0, (6, samples))
    note = "Pose (12 numbers) and 12 by 6 Jacobian."
    kernel = sg.compile(program(), outputs=WORDS)
    one = [*_ours(angles[:, 0], kernel), *_by_hand(angles[:, :1]), *_peers(setup, angles[:, 0])]
    batch = [*_ours_batch(angles, kernel), *_by_hand(angles), *_peers_batch(setup, angles)]
    title = f"Six-joint arm, {samples} samples in one call"
    return [
        contest("Six-joint arm, one sample", one, setup, note),
        contest(title, batch, setup, f"{note} Time of all {samples} samples."),
    ]


def _pose(angles: Sequence[Any], cos: Any, sin: Any, matrix: Callable[[Any], Any]) -> Any:
    """The transform from the base to the hand, with the functions of whichever package."""
    steps = []
    for q, (ca, sa, length, offset) in zip(angles, JOINTS, strict=True):
        c, s = cos(q), sin(q)
        first, second = [c, -s * ca, s * sa, length * c], [s, c * ca, -c * sa, length * s]
        steps.append(matrix([first, second, [0, sa, ca, offset], [0, 0, 0, 1]]))
    return reduce(matmul, steps)


def program() -> sg.Program:
    angles = sp.symbols("q1:7", real=True)
    pose = _pose(angles, sp.cos, sp.sin, sp.Matrix)
    return sg.program(sp.Matrix(list(pose[:3, :])), args=angles, wrt=angles)


def _ours(angles: np.ndarray, kernel: sg.Kernel) -> list[Contender]:
    point = [float(q) for q in angles]
    codes = [SymgradCode(program, WORDS, backend, list(angles)).contender() for backend in backends()]
    return [*codes, Contender("symgrad llvm", "call", repeated(kernel, *point), lambda: list(kernel(*point)))]


def _ours_batch(angles: np.ndarray, kernel: sg.Kernel) -> list[Contender]:
    samples = angles.shape[1]
    codes = [SymgradCode(program, WORDS, b, list(angles), samples=samples).contender() for b in backends()]
    rows = [np.ascontiguousarray(q) for q in angles]
    return [*codes, Contender("symgrad llvm", "call", repeated(kernel, *rows), lambda: list(kernel(*rows)))]


def _by_hand(angles: np.ndarray) -> list[Contender]:
    samples = angles.shape[1]
    rows = [np.ascontiguousarray(q) for q in angles]
    outputs = [np.zeros((samples, 12)), np.zeros((samples, 12, 6))]
    text = HAND_WRITTEN + (HAND_ONE if samples == 1 else f"#define SAMPLES {samples}\n" + HAND_BATCH)
    return handwritten(text, rows, outputs)


def _peers(setup: Setup, angles: np.ndarray) -> list[Contender]:
    found: list[Contender] = []
    if casadi := setup.peer("casadi"):
        found += CasadiFunction("CasADi SX", _casadi(casadi), [angles], SHAPES).contenders(setup)
    if jax := setup.peer("jax"):
        found.append(jax_contender(jax, _jax(jax), [angles]))
    if symengine := setup.peer("symengine"):
        found.append(symengine_contender(symengine, lambda: _symengine(symengine), angles, SHAPES))
    if numba := setup.peer("numba"):
        found.append(_numba(numba, angles))
    if setup.peers:
        found.append(lambdify_contender(_sympy, [float(q) for q in angles], SHAPES))
    if heyoka := setup.peer("heyoka"):
        found.append(_heyoka(heyoka, np.ascontiguousarray(angles[:, None])))
    return found + cpp_contenders(setup, _written_out, angles, SHAPES)


def _peers_batch(setup: Setup, angles: np.ndarray) -> list[Contender]:
    samples = angles.shape[1]
    found: list[Contender] = []
    if jax := setup.peer("jax"):
        found.append(jax_contender(jax, jax.vmap(_jax(jax)), [angles.T], "JAX jit of vmap"))
    if heyoka := setup.peer("heyoka"):
        found.append(_heyoka(heyoka, angles))
    if setup.peers:
        function = sp.lambdify(*_sympy(), "numpy", cse=True)
        rows = list(angles)

        def results() -> list[np.ndarray]:
            columns = np.array([np.broadcast_to(c, samples) for c in function(*rows)]).T
            return [columns[:, :12].copy(), columns[:, 12:].copy()]

        run = repeated(function, *rows)
        found.append(Contender("SymPy lambdify, cse, NumPy columns", "call", run, results))
    return found


def _numba(numba: Any, angles: np.ndarray) -> Contender:
    """SymPy's text in numba; it fills an array, because 84 Python floats would cost more than they say."""
    numbers = numba.njit(sp.lambdify(*_sympy(), "math", cse=True))
    place = np.zeros(84)

    def fill(a: float, b: float, c: float, d: float, e: float, f: float, place: np.ndarray) -> None:
        for k, x in enumerate(numbers(a, b, c, d, e, f)):
            place[k] = x

    point = [*map(float, angles), place]
    return numba_contender(numba, fill, point, lambda _: split(place, SHAPES), "numba on SymPy's cse text")


def _heyoka(heyoka: Any, angles: np.ndarray) -> Contender:
    """Its own derivatives; one row of results per number, one column per sample."""
    with stopwatch() as seconds:
        symbols = heyoka.make_vars(*(f"q{k + 1}" for k in range(6)))
        matrix = _pose(symbols, heyoka.cos, heyoka.sin, lambda rows: np.array(rows, dtype=object))
        pose = [matrix[r, c] + 0.0 * symbols[0] for r in range(3) for c in range(4)]
        tensors = heyoka.diff_tensors(pose, diff_args=symbols, diff_order=1)
        slopes = [t for _, t in tensors.get_derivatives(1)]
        function = heyoka.cfunc([*pose, *slopes], symbols)
    place = np.empty((84, angles.shape[1]))

    def run(times: int) -> None:
        for _ in range(times):
            function(angles, outputs=place)

    def results() -> list[np.ndarray]:
        run(1)
        return [place[:12].T.copy(), place[12:].T.copy()]

    return Contender("heyoka cfunc, default", "call", run, results, seconds[0])


def _casadi(casadi: Any) -> Callable[[], Any]:
    def build() -> Any:
        q = casadi.SX.sym("q", 6)
        matrix = _pose([q[k] for k in range(6)], casadi.cos, casadi.sin, _casadi_matrix(casadi))
        pose = casadi.vec(matrix[:3, :].T)
        return casadi.Function("arm", [q], [pose, casadi.jacobian(pose, q).T], {"cse": True})

    return build


def _casadi_matrix(casadi: Any) -> Callable[[Any], Any]:
    return lambda rows: casadi.vertcat(*(casadi.horzcat(*row) for row in rows))


def _jax(jax: Any) -> Callable[..., Any]:
    jnp = jax.numpy

    def pose(angles: Any) -> Any:
        matrix = _pose([angles[k] for k in range(6)], jnp.cos, jnp.sin, lambda rows: jnp.array(rows))
        return matrix[:3, :].reshape(12)

    return lambda angles: (pose(angles), jax.jacfwd(pose)(angles))


def _sympy() -> tuple[Sequence[Any], list[Any]]:
    angles = sp.symbols("q1:7", real=True)
    pose = sp.Matrix(list(_pose(angles, sp.cos, sp.sin, sp.Matrix)[:3, :]))
    return angles, [*pose, *pose.jacobian(angles)]


def _written_out(module: Any, angles: Sequence[Any]) -> list[Any]:
    """All outputs, with the functions and symbols of SymForce or wrenfold."""
    steps = _pose(angles, module.cos, module.sin, lambda rows: np.array(rows, dtype=object))
    pose = [steps[r, c] for r in range(3) for c in range(4)]
    return [*pose, *(entry.diff(q) for entry in pose for q in angles)]


def _symengine(symengine: Any) -> tuple[Sequence[Any], list[Any]]:
    angles = symengine.symbols("q1:7")
    matrix = _pose(angles, symengine.cos, symengine.sin, symengine.DenseMatrix)
    pose = [matrix[r, c] for r in range(3) for c in range(4)]
    return angles, [*pose, *(entry.diff(q) for entry in pose for q in angles)]


if __name__ == "__main__":
    main(run)
