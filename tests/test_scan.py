"""`sg.scan`: recurrences written in SymPy, against JAX, closed forms, and the same thing written out."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import symgrad as sg
from symgrad.errors import BadArgument, IndexOutOfRange, ShapeMismatch, UnsupportedExpression

jax.config.update("jax_enable_x64", True)

T, n, d = sp.symbols("T n d", integer=True, positive=True)
s, k = sp.symbols("s k", integer=True)
BACKENDS = ("numpy", "llvm", "c")


def sigmoid(m):
    z = sp.Symbol("z")
    return m.applyfunc(sp.Lambda(z, 1 / (1 + sp.exp(-z))))


# ---- LSTM --------------------------------------------------------------------------------------

GATES = "ifog"
W = [sp.MatrixSymbol("W" + c, n, d) for c in GATES]
U = [sp.MatrixSymbol("U" + c, n, n) for c in GATES]
b = [sp.MatrixSymbol("b" + c, n, 1) for c in GATES]
X, Y = sp.MatrixSymbol("X", T, d), sp.MatrixSymbol("Y", T, n)
h0, c0 = sp.MatrixSymbol("h0", n, 1), sp.MatrixSymbol("c0", n, 1)
LSTM_ARGS = (*W, *U, *b, h0, c0, X, Y)


def lstm_step(state, t):
    h, c = state
    i, f, o, g = (w * X[t, :].T + u * h + a for w, u, a in zip(W, U, b, strict=True))
    c = sp.HadamardProduct(sigmoid(f), c) + sp.HadamardProduct(sigmoid(i), g.applyfunc(sp.tanh))
    return sp.HadamardProduct(sigmoid(o), c.applyfunc(sp.tanh)), c


def lstm():
    H, _ = sg.scan(lstm_step, (h0, c0), T).trajectory
    loss = sp.Sum((H[s, k, 0] - Y[s - 1, k]) ** 2, (s, 1, T), (k, 0, n - 1))
    return sg.program(loss, args=LSTM_ARGS, wrt=LSTM_ARGS[:14])


def lstm_in_jax(*args):
    w, u, a = jnp.concatenate(args[:4]), jnp.concatenate(args[4:8]), jnp.concatenate(args[8:12])
    h, c, x, y = args[12:]

    def step(state, row):
        h, c = state
        i, f, o, g = jnp.split(w @ row[:, None] + u @ h + a, 4)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h[:, 0]

    return jnp.sum((jax.lax.scan(step, (h, c), x)[1] - y) ** 2)


def lstm_data(steps: int, width: int = 4, inputs: int = 3):
    rng = np.random.default_rng(0)
    sizes = {n: width, d: inputs, T: steps}
    return [rng.normal(size=[sizes[q] if q in sizes else int(q) for q in a.shape]) for a in LSTM_ARGS]


def worst(got, wanted) -> float:
    return max(np.abs(a - np.asarray(b)).max() / np.abs(b).max() for a, b in zip(got, wanted, strict=True))


@pytest.mark.parametrize(("backend", "lengths"), [("numpy", [5]), ("llvm", [1, 1000]), ("c", [1000])])
def test_gradient_of_an_lstm_over_any_number_of_steps_agrees_with_jax(backend, lengths):
    kernel = sg.compile(lstm(), outputs=("value", "grad"), backend=backend)
    for steps in lengths:
        data = lstm_data(steps)
        wanted, slopes = jax.jit(jax.value_and_grad(lstm_in_jax, range(14)))(*data)
        value, gradient = kernel(*data)
        assert abs(value - wanted) <= 1e-12 * abs(wanted)
        assert worst(gradient, slopes) <= 1e-10


def test_parameters_of_a_step_get_their_gradient_by_one_sum_over_time():
    program = lstm()
    derived = program.derived(("grad",))
    g, outputs = derived.unit.graph, dict(derived.unit.outputs)
    for name in ("grad_Wi", "grad_Uf"):
        tensor = g.tensors[outputs[name]]
        over_time = [a for a in tensor.red if g.args[g.extent(a)] == ("T",)]
        assert tensor.kind == "sum" and len(over_time) == 1


# ---- differential equations --------------------------------------------------------------------

alpha, beta, u0, v0, length = sp.symbols("alpha beta u0 v0 length")


def slope(u, v):
    return alpha * u - beta * u * v, beta * u * v - v


def rk4(state, t):
    """A classical Runge-Kutta step of the Lotka-Volterra equations (Kutta 1901)."""
    dt, y = length / T, sp.Matrix(state)
    k1 = sp.Matrix(slope(*y))
    k2 = sp.Matrix(slope(*(y + dt / 2 * k1)))
    k3 = sp.Matrix(slope(*(y + dt / 2 * k2)))
    k4 = sp.Matrix(slope(*(y + dt * k3)))
    return tuple(y + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4))


def rk4_in_jax(steps):
    def final(a, b, u, v, total):
        def f(y):
            return jnp.array([a * y[0] - b * y[0] * y[1], b * y[0] * y[1] - y[1]])

        def step(y, _):
            dt = total / steps
            k1 = f(y)
            k2 = f(y + dt / 2 * k1)
            k3 = f(y + dt / 2 * k2)
            k4 = f(y + dt * k3)
            return y + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

        return jax.lax.scan(step, jnp.array([u, v]), None, steps)[0]

    return final


@pytest.mark.parametrize("backend", BACKENDS)
def test_runge_kutta_solution_and_its_parameter_gradient_agree_with_jax(backend):
    steps = 10 if backend == "numpy" else 200
    u, v = sg.scan(rk4, (u0, v0), T).final
    args = (alpha, beta, u0, v0, length)
    kernel = sg.compile([u, v], args=(*args, T), wrt=args, outputs=("value", "jac"), backend=backend)
    point = (1.1, 0.4, 2.0, 0.7, 3.0)
    value, jacobian = kernel(*point, steps)
    np.testing.assert_allclose(value, rk4_in_jax(steps)(*point), rtol=1e-12)
    wanted = np.stack(jax.jacrev(rk4_in_jax(steps), range(5))(*point), axis=-1)
    np.testing.assert_allclose(jacobian, wanted, rtol=1e-10)


def test_second_derivatives_of_a_runge_kutta_solution_agree_with_jax():
    u, v = sg.scan(rk4, (u0, v0), T).final
    args, point = (alpha, beta, u0, v0), (1.1, 0.4, 2.0, 0.7)
    kernel = sg.compile(u * v, args=(*args, length, T), wrt=args, outputs=("hess",))
    (hessian,) = kernel(*point, 3.0, 50)
    wanted = jax.hessian(lambda p: jnp.prod(rk4_in_jax(50)(*p, 3.0)))(jnp.array(point))
    np.testing.assert_allclose(hessian, wanted, rtol=1e-10)


# ---- second order, hypergradients --------------------------------------------------------------


def test_hessian_and_products_of_a_recurrent_network_agree_with_jax():
    A, x0 = sp.MatrixSymbol("A", n, n), sp.MatrixSymbol("x0", n, 1)
    final = sg.scan(lambda h, t: (A * h + X[t, :].T).applyfunc(sp.tanh), x0, T).final
    loss = (final.T * final)[0, 0]

    def in_jax(a, x, rows):
        h = jax.lax.scan(lambda h, row: (jnp.tanh(a @ h + row[:, None]), None), x, rows)[0]
        return jnp.sum(h * h)

    rng = np.random.default_rng(1)
    data = rng.normal(size=(3, 3)), rng.normal(size=(3, 1)), rng.normal(size=(6, 3))
    P = sg.program(loss.subs(d, n), args=(A, x0, X.subs(d, n)), wrt=(A, x0))
    blocks = sg.compile(P, outputs="hess")(*data)
    for got, wanted in zip(blocks, jax.hessian(in_jax, (0, 1))(*data), strict=True):
        assert worst(got, wanted) <= 1e-11


def test_gradient_of_unrolled_training_by_its_rate_agrees_with_jax():
    """The hypergradient of gradient descent; its step holds a derivative by the state."""
    A, y, rate = sp.MatrixSymbol("A", n, d), sp.MatrixSymbol("y", n, 1), sp.Symbol("rate")
    w0 = sp.MatrixSymbol("w0", d, 1)

    def error(w):
        return ((A * w - y).T * (A * w - y))[0, 0] + sp.Sum(sp.cos(w[k, 0]), (k, 0, d - 1))

    final = sg.scan(lambda w, t: w - rate * sg.grad(error(w), w), w0, T).final
    kernel = sg.compile(error(final), args=(A, y, w0, rate, T), wrt=(rate, w0), outputs="grad")

    def in_jax(a, targets, w, r):
        def error(w):
            return jnp.sum((a @ w - targets) ** 2) + jnp.sum(jnp.cos(w))

        w = jax.lax.scan(lambda w, _: (w - r * jax.grad(error)(w), None), w, None, 15)[0]
        return error(w)

    rng = np.random.default_rng(2)
    data = rng.normal(size=(4, 3)), rng.normal(size=(4, 1)), rng.normal(size=(3, 1)), 0.03
    got = kernel(*data, 15)
    wanted = jax.grad(in_jax, (3, 2))(*data)
    np.testing.assert_allclose(got[0], wanted[0], rtol=1e-11)
    np.testing.assert_allclose(got[1], wanted[1], rtol=1e-10)


@pytest.mark.parametrize("backend", ["llvm", "c"])
def test_recurrences_that_share_their_step_keep_their_values_apart(backend):
    A, x0, x1 = (sp.MatrixSymbol(name, n, m) for name, m in (("A", n), ("x0", 1), ("x1", 1)))
    first, second = (sg.scan(lambda h, t: (A * h).applyfunc(sp.sin), x, T).final for x in (x0, x1))
    loss = (first.T * first)[0, 0] + (second.T * second)[0, 0] ** 2
    rng = np.random.default_rng(3)
    data = rng.normal(size=(3, 3)), rng.normal(size=(3, 1)), rng.normal(size=(3, 1))

    def in_jax(a, x, y):
        for _ in range(4):
            x, y = jnp.sin(a @ x), jnp.sin(a @ y)
        return jnp.sum(x * x) + jnp.sum(y * y) ** 2

    kernel = sg.compile(loss, args=(A, x0, x1, T), wrt=(A, x0, x1), outputs="grad", backend=backend)
    assert worst(kernel(*data, 4), jax.grad(in_jax, (0, 1, 2))(*data)) <= 1e-11


def test_a_recurrence_for_every_entry_of_a_sum_is_one_recurrence():
    x = sp.IndexedBase("x", shape=(n,))
    logistic = sp.Sum(sg.scan(lambda p, t: 3 * p * (1 - p), x[k], 4).final, (k, 0, n - 1))
    value, gradient = sg.compile(logistic, wrt=x, outputs=("value", "grad"))(np.array([0.1, 0.2, 0.7]))

    def one(p):
        for _ in range(4):
            p = 3 * p * (1 - p)
        return p

    np.testing.assert_allclose(value, sum(map(one, (0.1, 0.2, 0.7))), rtol=1e-14)
    np.testing.assert_allclose(gradient, [jax.grad(one)(p) for p in (0.1, 0.2, 0.7)], rtol=1e-12)


# ---- against the same thing written out --------------------------------------------------------

p, q, a, c = sp.symbols("p q a c")
_LEAVES = st.sampled_from([p, q, a, c, sp.Integer(2), sp.Rational(1, 3)])
STEPS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda x, y: x + y, inner, inner),
        st.builds(lambda x, y: sp.sin(x) * y, inner, inner),
        st.builds(sp.tanh, inner),
        st.builds(lambda x, y: sp.Piecewise((x, x < y), (y / 2, True)), inner, inner),
    ),
    max_leaves=4,
)


@settings(max_examples=5, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(STEPS, STEPS, st.integers(0, 3))
def test_random_recurrences_equal_the_same_steps_written_out(first, second, steps):
    def step(state, t):
        values = dict(zip((p, q), state, strict=True))
        return first.subs(values, simultaneous=True) / (t + 2), second.subs(values, simultaneous=True)

    folded = sg.scan(step, (p, q), steps).final
    state = (p, q)
    for t in range(steps):
        state = step(state, t)
    point = (0.3, -0.8, 1.2, 0.7)
    outputs = ("value", "grad")
    got, wanted = (
        sg.compile(x + 2 * y, args=(p, q, a, c), outputs=outputs, backend="numpy")(*point)
        for x, y in (folded, state)
    )
    for left, right in zip(got, wanted, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-11, atol=1e-12)


# ---- loops with a condition ---------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_loop_ends_where_its_condition_fails_and_derivatives_go_through_its_steps(backend):
    """Newton's method for a square root, until its residual is small."""
    root, turns = sg.while_loop(
        lambda state: sp.Abs(state[0] ** 2 - a) > sp.Float(1e-9),
        lambda state, t: ((state[0] + a / state[0]) / 2, state[1] + 1),
        (p, sp.Integer(0)),
        max_steps=30,
    ).final
    kernel = sg.compile([root, turns], args=(a, p), wrt=(a, p), outputs=("value", "jac"), backend=backend)
    (value, steps), jacobian = kernel(2.0, 1.0)
    y, count = 1.0, 0
    while abs(y * y - 2) > 1e-9:
        y, count = (y + 2.0 / y) / 2, count + 1
    assert (steps, value) == (count, pytest.approx(y, rel=1e-15))

    def unrolled(number, start):
        for _ in range(count):
            start = (start + number / start) / 2
        return start

    np.testing.assert_allclose(jacobian[0], jax.grad(unrolled, (0, 1))(2.0, 1.0), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(jacobian[1], [0.0, 0.0])


def test_branches_after_the_end_of_a_loop_have_no_effect_even_where_they_are_nan():
    final = sg.while_loop(lambda y: y > 1, lambda y, t: sp.sqrt(y - 1), p, 5).final
    value, slope = sg.compile(final, wrt=p, outputs=("value", "grad"))(1.5)
    np.testing.assert_allclose([value, slope], [np.sqrt(0.5), 0.5 / np.sqrt(0.5)], rtol=1e-15)


def test_a_loop_that_does_not_end_in_time_gives_nan():
    v = sp.MatrixSymbol("v", n, 1)
    final = sg.while_loop(lambda m: m[0, 0] > 1, lambda m, t: m / 2, v, 3).final
    kernel = sg.compile(final, args=(v,), outputs="value")
    np.testing.assert_array_equal(kernel(np.array([[8.0], [1.0]])), [[1.0], [0.125]])
    assert np.isnan(kernel(np.array([[9.0], [1.0]]))).all()


def test_a_condition_that_never_fails_is_refused():
    with pytest.raises(BadArgument, match="the condition of a loop is True"):
        sg.while_loop(lambda y: True, lambda y, t: y / 2, p, 3)


# ---- the surface -------------------------------------------------------------------------------


def test_arrays_of_any_rank_are_states_in_index_form():
    u = sp.IndexedBase("u", shape=(n, n, 2))

    def step(state, t):
        return sg.Entries(u.shape, lambda i, j, m: state[j, i, m] / 2 + m + t)

    path = sg.scan(step, u, T).trajectory
    start = np.arange(18.0).reshape(3, 3, 2)
    wanted = [start]
    for t in range(3):
        wanted.append(np.swapaxes(wanted[-1], 0, 1) / 2 + np.arange(2) + t)
    for backend in BACKENDS:
        got = sg.compile(path, args=(u, T), outputs="value", backend=backend)(start, 3)
        np.testing.assert_allclose(got, np.array(wanted), rtol=1e-15)
        one = sg.compile(path[1], args=(u, T), outputs="value", backend=backend)
        np.testing.assert_allclose(one(start, 3), wanted[1], rtol=1e-15)


def test_a_time_outside_of_the_trajectory_is_nan():
    path = sg.scan(lambda x, t: x / 2, p, T).trajectory
    kernel = sg.compile([path[0], path[3], path[T]], args=(p, T), outputs="value")
    np.testing.assert_array_equal(kernel(8.0, 2), [8.0, np.nan, 2.0])
    np.testing.assert_array_equal(kernel(8.0, 3), [8.0, 1.0, 1.0])


def test_a_recurrence_prints_its_step_its_start_and_its_length():
    result = sg.scan(lambda x, t: x / 2 + t, p, T)
    assert str(result) == "scan(p -> p/2 + t; p; T)"
    assert str(result.final) == "p[T]"
    assert str(sg.scan(lstm_step, (h0, c0), T).final[0]) == "h0[T]"


def test_arguments_of_a_recurrence_are_found_and_its_own_symbols_are_not():
    final = sg.scan(lambda x, t: a * x + t, p, T).final
    assert final.free_symbols == {a, p, T}
    assert [str(x) for x in sg.program(final).args] == ["T", "a", "p"]


def test_a_gradient_that_is_a_recurrence_is_not_printed_as_a_formula():
    program = sg.program(sg.scan(lambda x, t: a * x, p, T).final)
    with pytest.raises(UnsupportedExpression, match="a recurrence has no formula"):
        _ = program.grad


@pytest.mark.parametrize(
    ("init", "step", "error"),
    [
        (p, lambda x, t: (x, x), BadArgument),
        ((p, q), lambda x, t: (x[0],), ShapeMismatch),
        (h0, lambda x, t: x.T, ShapeMismatch),
        (h0, lambda x, t: sp.Trace(x * x.T), ShapeMismatch),
        ((), lambda x, t: x, BadArgument),
    ],
)
def test_steps_that_do_not_fit_their_state_are_refused(init, step, error):
    with pytest.raises(error):
        sg.scan(step, init, T)


@pytest.mark.parametrize("steps", [-1, sp.Rational(5, 2), -n])
def test_a_number_of_steps_that_is_none_is_refused(steps):
    with pytest.raises(BadArgument, match="steps"):
        sg.scan(lambda s, t: s / 2, init=sp.Symbol("x"), length=steps)
    with pytest.raises(BadArgument, match="steps"):
        sg.while_loop(lambda s: s > 1, lambda s, t: s / 2, sp.Symbol("x"), steps)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_state_may_be_a_small_matrix_in_numbers_with_explicit_arithmetic(backend: str) -> None:
    """A Runge-Kutta step as it is written by hand: sums of explicit matrices, indexed by one number."""
    a = sp.Symbol("a", real=True)
    h = sp.Rational(1, 20)

    def slope(q: sp.Matrix) -> sp.Matrix:
        return sp.Matrix([q[1], -a * sp.sin(q[0])])

    def step(q: sp.Matrix, t: sp.Symbol) -> sp.Matrix:
        k1 = slope(q)
        k2 = slope(q + h / 2 * k1)
        k3 = slope(q + h / 2 * k2)
        return q + h / 6 * (k1 + 2 * k2 + 2 * k3 + slope(q + h * k3))

    angle = sg.scan(step, init=sp.Matrix([1, 0]), length=20).final[0]
    value, slope_of_a = sg.compile(angle, args=(a,), wrt=a, outputs=("value", "grad"), backend=backend)(1.5)

    def solved(gravity: mpmath.mpf) -> mpmath.mpf:
        q = [mpmath.mpf(1), mpmath.mpf(0)]
        tau = mpmath.mpf(1) / 20
        for _ in range(20):
            ks: list[list[mpmath.mpf]] = []
            for weight in (0, tau / 2, tau / 2, tau):
                at = [x + (weight * ks[-1][k] if ks else 0) for k, x in enumerate(q)]
                ks.append([at[1], -gravity * mpmath.sin(at[0])])
            q = [x + tau / 6 * (ks[0][k] + 2 * ks[1][k] + 2 * ks[2][k] + ks[3][k]) for k, x in enumerate(q)]
        return q[0]

    with mpmath.workdps(40):
        np.testing.assert_allclose(value, float(solved(mpmath.mpf(1.5))), rtol=1e-14)
        np.testing.assert_allclose(slope_of_a, float(mpmath.diff(solved, mpmath.mpf(1.5))), rtol=1e-13)


@pytest.mark.parametrize("backend", BACKENDS)
def test_integers_that_pick_entries_of_a_state_are_checked_by_their_least_and_largest(backend):
    """And not by the reference evaluator, as other indices made of data: that takes longer than the call."""
    index = sp.IndexedBase("index", shape=(T, n), integer=True)
    v = sp.IndexedBase("v", shape=(n,))

    def step(state, t):
        return sg.Entries((n,), lambda i: state[index[t, i]] * v[i])

    final = sg.scan(step, sg.Entries((n,), lambda i: v[i]), T).final
    kernel = sg.compile(
        sp.Sum(final[k], (k, 0, n - 1)), args=(v, index), wrt=v, outputs="value", backend=backend
    )
    signature = kernel._spec.signature
    assert not signature.escapes and len(signature.index_ranges) == 1
    numbers, picks = np.array([2.0, 3.0, 5.0]), np.array([[2, 0, 0], [1, 1, 2]])
    state = numbers
    for row in picks:
        state = state[row] * numbers
    assert kernel(numbers, picks) == state.sum()
    for bad in (-1, 3):
        with pytest.raises(IndexOutOfRange, match=f"'index' holds the index {bad}"):
            kernel(numbers, np.where(picks == 1, bad, picks))
