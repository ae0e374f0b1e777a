"""`sg.implicit`: roots, fixed points and minima against closed forms, on every target, to second order."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import sympy as sp

import symgrad as sg
from symgrad.errors import BadArgument, BadOption, NonScalarGradient, NotConverged, ShapeMismatch

jax.config.update("jax_enable_x64", True)

x, a, b = sp.symbols("x a b")
n, d = sp.symbols("n d", integer=True, positive=True)
BACKENDS = ("numpy", "llvm", "c")


@pytest.mark.parametrize("backend", BACKENDS)
def test_derivatives_of_a_root_are_those_of_its_closed_form_to_second_order(backend):
    root = sg.implicit(x**3 - a * b, x, guess=1)
    kernel = sg.compile(root, wrt=(a, b), outputs=("value", "grad", "hess"), backend=backend)
    third = sp.cbrt(a * b)
    at = {a: 2.0, b: 0.7}
    value, gradient, hessian = kernel(2.0, 0.7)
    np.testing.assert_allclose(value, float(third.subs(at)), rtol=1e-14)
    np.testing.assert_allclose(gradient, [float(third.diff(p).subs(at)) for p in (a, b)], rtol=1e-12)
    wanted = [[float(third.diff(p, q).subs(at)) for q in (a, b)] for p in (a, b)]
    np.testing.assert_allclose(hessian, wanted, rtol=1e-11)


def test_derivatives_of_a_root_without_a_closed_form_agree_with_high_precision():
    """Kepler's equation, in its mean anomaly; mpmath differentiates its own solution."""
    kepler = sg.implicit(x - b * sp.sin(x) - a, x, guess=a)
    value, gradient, hessian = sg.compile(kepler, wrt=(a,), args=(a, b), outputs=("value", "grad", "hess"))(
        0.8, 0.6
    )
    with mpmath.workdps(40):

        def solution(m):
            return mpmath.findroot(lambda u: u - mpmath.mpf(0.6) * mpmath.sin(u) - m, m)

        exact = [mpmath.diff(solution, mpmath.mpf(0.8), k) for k in range(3)]
    np.testing.assert_allclose([value, gradient[0], hessian[0, 0]], [float(e) for e in exact], rtol=1e-12)


def test_a_fixed_point_of_a_network_agrees_with_the_solved_linear_system_of_its_derivative():
    """z = tanh(W z + c), as in a deep equilibrium model; JAX goes through many plain iterations."""
    W, c, z = sp.MatrixSymbol("W", n, n), sp.MatrixSymbol("c", n, 1), sp.MatrixSymbol("z", n, 1)
    point = sg.implicit((W * z + c).applyfunc(sp.tanh), z, guess=c, kind="fixed_point", max_steps=12)
    loss = (point.T * point)[0, 0]
    rng = np.random.default_rng(0)
    w, shift = 0.3 * rng.normal(size=(3, 3)), rng.normal(size=(3, 1))
    value, gradient = sg.compile(loss, args=(W, c), outputs=("value", "grad"))(w, shift)

    def in_jax(w, shift):
        z = jax.lax.fori_loop(0, 200, lambda _, z: jnp.tanh(w @ z + shift), shift)
        return jnp.sum(z * z)

    np.testing.assert_allclose(value, in_jax(w, shift), rtol=1e-12)
    for got, wanted in zip(gradient, jax.jacfwd(in_jax, (0, 1))(w, shift), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("backend", ["numpy", "llvm"])
def test_hypergradient_of_ridge_regression_is_that_of_the_closed_form(backend):
    X, y, w = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("y", n, 1), sp.MatrixSymbol("w", d, 1)
    V, u, rate = sp.MatrixSymbol("V", n, d), sp.MatrixSymbol("u", n, 1), sp.Symbol("rate")
    objective = ((X * w - y).T * (X * w - y))[0, 0] + rate * (w.T * w)[0, 0]
    best = sg.implicit(objective, w, guess=sp.ZeroMatrix(d, 1), kind="argmin", max_steps=2)
    loss = ((V * best - u).T * (V * best - u))[0, 0]
    kernel = sg.compile(loss, args=(rate, X, y, V, u), wrt=rate, outputs=("value", "grad"), backend=backend)
    rng = np.random.default_rng(1)
    A, t, B, s = (rng.normal(size=shape) for shape in ((7, 3), (7, 1), (7, 3), (7, 1)))

    def closed(r):
        w = jnp.linalg.solve(A.T @ A + r * jnp.eye(3), A.T @ t)
        return jnp.sum((B @ w - s) ** 2)

    value, gradient = kernel(0.7, A, t, B, s)
    np.testing.assert_allclose(value, closed(0.7), rtol=1e-12)
    np.testing.assert_allclose(gradient, jax.grad(closed)(0.7), rtol=1e-10)


@pytest.mark.parametrize("backend", ["llvm", "c"])
def test_the_search_for_a_number_ends_when_it_has_arrived(backend):
    root = sg.implicit(x**3 - a, x, guess=1, max_steps=10**12)
    value, gradient = sg.compile(root, wrt=a, outputs=("value", "grad"), backend=backend)(8.0)
    np.testing.assert_allclose([value, gradient], [2.0, 1 / 12], rtol=1e-14)


def test_the_search_ends_when_it_has_arrived_and_its_length_takes_no_memory():
    """It would not come back from the steps it may make."""
    w, v = sp.MatrixSymbol("w", n, 1), sp.MatrixSymbol("v", n, 1)
    cube = sp.Lambda(x, x**3 + x)
    kernels = []
    for steps in (10, 10**12):
        root = sg.implicit(w.applyfunc(cube) - v, w, guess=v, max_steps=steps)
        program = sg.program((root.T * root)[0, 0], args=(v,), wrt=v)
        kernels.append(sg.compile(program, outputs=("value", "grad")))
    short, long = kernels
    assert long.workspace(n=5) == short.workspace(n=5)
    values = np.linspace(0.5, 3.0, 5)[:, None]
    value, gradient = long(values)
    roots = [float(mpmath.findroot(lambda r, q=q: r**3 + r - q, 1)) for q in values[:, 0]]
    np.testing.assert_allclose(value, sum(r * r for r in roots), rtol=1e-14)
    np.testing.assert_allclose(gradient[:, 0], [2 * r / (3 * r * r + 1) for r in roots], rtol=1e-12)


def test_a_linear_equation_takes_one_step():
    kernel = sg.compile(
        sg.implicit(a * x - b, x, guess=0, max_steps=1), wrt=(a, b), outputs=("value", "grad")
    )
    value, gradient = kernel(4.0, 3.0)
    np.testing.assert_allclose([value, *gradient], [0.75, -3 / 16, 1 / 4], rtol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_solution_that_is_not_reached_is_an_error_of_the_call(backend):
    kernel = sg.compile(sg.implicit(x**2 - a, x, guess=1), wrt=a, outputs=("value", "grad"), backend=backend)
    with pytest.raises(NotConverged, match="made of 'a' was not found") as error:
        kernel(-1.0)
    assert "max_steps" in str(error.value)
    assert kernel(9.0) == (pytest.approx(3.0), pytest.approx(1 / 6))


def test_what_is_no_equation_for_the_unknown_is_refused():
    M, v = sp.MatrixSymbol("M", n, n), sp.MatrixSymbol("v", n, 1)
    for arguments, error in [
        ((x - a, x, 1, "zero"), BadOption),
        ((x - a, x + 1, 1), BadArgument),
        ((M, M, M), ShapeMismatch),
        ((v, v, 1), ShapeMismatch),
        ((x - a, v, v), ShapeMismatch),
        ((v, v, v, "argmin"), NonScalarGradient),
    ]:
        with pytest.raises(error):
            sg.implicit(*arguments)
