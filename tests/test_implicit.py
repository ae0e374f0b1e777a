"""`sg.implicit`: roots, fixed points and minima against closed forms, on every target, to second order."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import sympy as sp
from scipy.linalg import solve_discrete_lyapunov, solve_sylvester

import symgrad as sg
from symgrad.errors import BadArgument, BadOption, NonScalarGradient, NotConverged, ShapeMismatch

jax.config.update("jax_enable_x64", True)

x, a, b = sp.symbols("x a b")
n, m, k, d = sp.symbols("n m k d", integer=True, positive=True)
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
        ((M, M, M), BadArgument),
        ((M, M, v), ShapeMismatch),
        ((x - a, x, 2 * x), BadArgument),
        (((x - a, b), (x, b), (1, x)), BadArgument),
        ((v, v, 1), ShapeMismatch),
        ((x - a, v, v), ShapeMismatch),
        ((v, v, v, "argmin"), NonScalarGradient),
        (((x - a,), (x, b), (1, 1)), ShapeMismatch),
        (((x - a, b), (x, b), 1), ShapeMismatch),
        (((), (), ()), ShapeMismatch),
        (((x - a, x), (x, x), (1, 1)), BadArgument),
        (((x - a, x), (x, v), (1, 1)), BadArgument),
        ((x - a, (x, b), (1, 1), "root"), ShapeMismatch),
    ]:
        with pytest.raises(error):
            sg.implicit(*arguments)


@pytest.mark.parametrize("backend", BACKENDS)
def test_several_unknowns_are_solved_for_together(backend):
    """The sides of a rectangle from its circumference and area, and their derivatives."""
    first, second = sp.symbols("first second")
    sides = sg.implicit((first + second - a, first * second - b), (first, second), guess=(0, a))
    kernel = sg.compile(sides, args=(a, b), wrt=(a, b), outputs=("value", "jac"), backend=backend)
    root = sp.sqrt(a**2 - 4 * b)
    closed = sp.Matrix([(a - root) / 2, (a + root) / 2])
    at = {a: 5.0, b: 6.0}
    value, jacobian = kernel(5.0, 6.0)
    np.testing.assert_allclose(np.ravel(value), [2.0, 3.0], rtol=1e-14)
    wanted = np.array(closed.jacobian((a, b)).subs(at), dtype=float)
    np.testing.assert_allclose(np.reshape(jacobian, (2, 2)), wanted, rtol=1e-12)


def test_a_least_squares_fit_of_two_scalars_is_differentiated_twice():
    low, slope = sp.symbols("low slope")
    t, y = sp.IndexedBase("t", shape=(n,)), sp.IndexedBase("y", shape=(n,))
    i = sp.Idx("i", n)
    misfit = sp.Sum((low + slope * t[i] - y[i]) ** 2 + b * slope**2, (i, 0, n - 1))
    _, best = sg.implicit(misfit, (low, slope), guess=(0, 0), kind="argmin")
    times, values = np.array([0.0, 1.0, 2.0, 4.0]), np.array([1.0, 2.5, 2.0, 5.0])
    found = sg.compile(best, args=(b, t, y), wrt=b, outputs=("value", "grad", "hess"))(0.3, times, values)
    p = sp.Symbol("p")
    centred = times - times.mean()
    closed = float(centred @ values) / (float(centred @ centred) + len(times) * p)
    np.testing.assert_allclose(found, [float(closed.diff(p, k).subs(p, 0.3)) for k in range(3)], rtol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_matrix_of_fixed_sizes_is_an_unknown(backend):
    """X = A X A' + Q; the gradient of <D, X> by A is Y A X' + Y' A X with Y the solution of the adjoint."""
    X, A, Q, D = (sp.MatrixSymbol(s, 3, 3) for s in "XAQD")
    solution = sg.implicit(A * X * A.T + Q, X, guess=Q, kind="fixed_point")
    assert solution.shape == (3, 3)
    rng = np.random.default_rng(2)
    at = [0.3 * rng.normal(size=(3, 3)), rng.normal(size=(3, 3)), rng.normal(size=(3, 3))]
    kernel = sg.compile(
        sp.Trace(D.T * solution), args=(A, Q, D), wrt=A, outputs=("value", "grad"), backend=backend
    )
    value, gradient = kernel(*at)
    x, y = solve_discrete_lyapunov(at[0], at[1]), solve_discrete_lyapunov(at[0].T, at[2])
    assert value == pytest.approx(float((at[2] * x).sum()), rel=1e-12)
    np.testing.assert_allclose(gradient, y @ at[0] @ x.T + y.T @ at[0] @ x, rtol=1e-11)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_matrix_of_symbolic_sizes_is_an_unknown(backend):
    """A X + X B = C; with A' L + L B' = D, the gradients of <D, X> are -L X' by A, -X' L by B, L by C."""
    A, B, C, X, D = (
        sp.MatrixSymbol(name, *shape)
        for name, shape in zip("ABCXD", [(n, n), (m, m), (n, m), (n, m), (n, m)], strict=True)
    )
    solution = sg.implicit(A * X + X * B - C, X, guess=sp.ZeroMatrix(n, m))
    assert solution.shape == (n, m)
    kernel = sg.compile(
        sp.Trace(D.T * solution),
        args=(A, B, C, D),
        wrt=(A, B, C),
        outputs=("value", "grad"),
        backend=backend,
    )
    rng = np.random.default_rng(4)
    for rows, cols in [(3, 2), (1, 4), (4, 1)]:
        a, b = (0.3 * rng.normal(size=(k, k)) + 2 * np.eye(k) for k in (rows, cols))
        c, d = rng.normal(size=(2, rows, cols))
        value, gradients = kernel(a, b, c, d)
        x, adjoint = solve_sylvester(a, b, c), solve_sylvester(a.T, b.T, d)
        assert value == pytest.approx(float((d * x).sum()), rel=1e-12)
        wanted = -adjoint @ x.T, -x.T @ adjoint, adjoint
        for gradient, exact in zip(gradients, wanted, strict=True):
            np.testing.assert_allclose(gradient, exact, rtol=1e-11, atol=1e-13)


def test_a_ridge_regression_of_several_outputs_is_differentiated_twice():
    """W = (X'X + a I)^-1 X'Y: the derivatives of |W|^2 by a are -2 <W, HW> and 6 |HW|^2, H the inverse."""
    X, Y, W = sp.MatrixSymbol("X", n, m), sp.MatrixSymbol("Y", n, k), sp.MatrixSymbol("W", m, k)
    loss = sp.Trace((X * W - Y).T * (X * W - Y)) + a * sp.Trace(W.T * W)
    best = sg.implicit(loss, W, guess=sp.ZeroMatrix(m, k), kind="argmin")
    kernel = sg.compile(sp.Trace(best.T * best), args=(a, X, Y), wrt=a, outputs=("value", "grad", "hess"))
    rng = np.random.default_rng(5)
    data, targets = rng.normal(size=(7, 3)), rng.normal(size=(7, 2))
    inverse = np.linalg.inv(data.T @ data + 0.7 * np.eye(3))
    w = inverse @ data.T @ targets
    exact = (w**2).sum(), -2 * (w * (inverse @ w)).sum(), 6 * ((inverse @ w) ** 2).sum()
    np.testing.assert_allclose(kernel(0.7, data, targets), exact, rtol=1e-12)


def test_a_rectangular_unknown_minimises_a_scalar():
    X, B = sp.MatrixSymbol("X", 2, 3), sp.MatrixSymbol("B", 2, 3)
    nearest = sg.implicit(sp.Trace((X - B).T * (X - B)) + a * sp.Trace(X.T * X), X, guess=B, kind="argmin")
    target = np.arange(6.0).reshape(2, 3)
    value, slopes = sg.compile(nearest, args=(a, B), wrt=a, outputs=("value", "jac"))(0.25, target)
    np.testing.assert_allclose(value, target / 1.25, rtol=1e-13)
    np.testing.assert_allclose(np.reshape(slopes, (2, 3)), -target / 1.25**2, rtol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_search_ends_in_single_precision_too(backend):
    v, u, i = sp.IndexedBase("v", shape=(n,)), sp.Symbol("u"), sp.Idx("i", n)
    roots = sp.Sum(sg.implicit(u**5 + u - v[i], u, guess=v[i]) ** 2, (i, 0, n - 1))
    W, c, z = sp.MatrixSymbol("W", n, n), sp.MatrixSymbol("c", n, 1), sp.MatrixSymbol("z", n, 1)
    point = sg.implicit((W * z + c).applyfunc(sp.tanh), z, guess=c, kind="fixed_point")
    rng = np.random.default_rng(0)
    many, weights, shift = (
        3 * rng.normal(size=200),
        0.03 * rng.normal(size=(40, 40)),
        rng.normal(size=(40, 1)),
    )
    for program, args in ((roots, (many,)), ((point.T * point)[0, 0], (weights, shift))):
        exact = sg.compile(program, outputs=("value", "grad"))(*args)
        kernel = sg.compile(program, outputs=("value", "grad"), dtype="float32", backend=backend)
        found = kernel(*(x.astype(np.float32) for x in args))
        assert found[0] == pytest.approx(exact[0], rel=1e-5)
        for ours, theirs in zip(found[1], exact[1], strict=True):
            np.testing.assert_allclose(ours, theirs, atol=2e-5 * abs(np.asarray(theirs)).max())


@pytest.mark.parametrize(
    "options", [{"tol": 0}, {"tol": -1.0}, {"tol": "small"}, {"max_steps": -1}, {"max_steps": 2.5}]
)
def test_options_that_no_search_can_have_are_refused(options):
    with pytest.raises(BadOption, match=next(iter(options))):
        sg.implicit(x**2 - a, x, guess=1, **options)
