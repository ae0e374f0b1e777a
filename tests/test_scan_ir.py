"""Recurrences in the intermediate representation: meaning, targets, derivatives, text, legality."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import sympy as sp
from routines import TARGETS, call

import symgrad as sg
from symgrad.errors import IllegalProgram, ParseError
from symgrad.grad.outputs import Problem, Result, derive
from symgrad.ir.check import check, unproven_reads
from symgrad.ir.count import operations
from symgrad.ir.evaluate import evaluate
from symgrad.ir.graph import Graph, TensorId
from symgrad.ir.reduce import reduce
from symgrad.ir.scan import clocks, close_scan, new_state, outer_definitions, scan_of
from symgrad.ir.text import parse_program, print_program
from symgrad.ir.unit import Unit
from symgrad.loops.lower import Interface, lower
from symgrad.opt.passes import PASSES
from symgrad.targets.base import workspace_elements

SIZES = {"T": 5, "n": 3}


@dataclass
class Network:
    """h[t + 1] = tanh(W h[t] + X[t]) and a slower state s[t + 1] = s[t]/2 + sin(h[t]*s[t])."""

    g: Graph
    inputs: tuple[TensorId, ...]
    fast: TensorId
    slow: TensorId


def network() -> Network:
    g = Graph()
    T, n = g.size("T"), g.size("n")
    W, X = g.input("W", (n, n)), g.input("X", (T, n))
    h0, s0 = g.input("h0", (n,)), g.input("s0", (n,))
    h, s = new_state(g, T, (n,)), new_state(g, T, (n,))
    t, i, k = g.fresh_axis(T), g.fresh_axis(n), g.fresh_axis(n)
    product = reduce(g, "sum", [k], g.mul(g.read(W, i, k), g.read(h, t, k)))
    fast = g.define("map", (t, i), (), g.node("tanh", g.add(product, g.read(X, t, i))))
    wave = g.node("sin", g.mul(g.read(h, t, i), g.read(s, t, i)))
    slow = g.define("map", (t, i), (), g.add(g.div(g.read(s, t, i), g.const(2)), wave))
    H, S = close_scan(g, [h, s], [h0, s0], [fast, slow])
    return Network(g, (W, X, h0, s0), H, S)


def run_by_hand(W, X, h, s):
    fast, slow = [h], [s]
    for x in X:
        fast.append(np.tanh(W @ fast[-1] + x))
        slow.append(slow[-1] / 2 + np.sin(fast[-2] * slow[-1]))
    return np.array(fast), np.array(slow)


def arrays(seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in ((3, 3), (5, 3), (3,), (3,))]


def loss(net: Network, of: str) -> TensorId:
    """A number: of the last state, of all states, or of one in between."""
    g = net.g
    T, n = g.size("T"), g.size("n")
    i, t = g.fresh_axis(n), g.fresh_axis(g.iadd(T, g.one))
    if of == "last":
        body = reduce(g, "sum", [i], g.mul(g.read(net.slow, T, i), g.read(net.fast, T, i)))
    elif of == "all":
        body = reduce(g, "sum", [i, t], g.node("sin", g.mul(g.read(net.slow, t, i), g.read(net.fast, t, i))))
    else:
        body = reduce(g, "sum", [i], g.integer_power(g.read(net.slow, g.const(2), i), 2))
    return g.define("map", (), (), body)


def loss_by_hand(of: str) -> Callable[..., np.ndarray]:
    def value(*given):
        fast, slow = run_by_hand(*given)
        if of == "last":
            return (fast[-1] * slow[-1]).sum()
        return np.sin(fast * slow).sum() if of == "all" else (slow[2] ** 2).sum()

    return value


def routine_of(g: Graph, inputs: tuple[TensorId, ...], outputs: list[TensorId]):
    named = tuple((g.tensors[t].name, t) for t in inputs)
    unit = Unit(g, named, tuple((f"out{k}", t) for k, t in enumerate(outputs)))
    for _, run in PASSES:
        unit = unit.moved(*run(unit.graph, unit.roots))
    return lower(unit.graph, Interface("f", unit.inputs, unit.outputs))


def on_every_target(g: Graph, inputs, outputs, values, targets=TARGETS) -> dict[str, list[np.ndarray]]:
    found = {"numpy": evaluate(g, outputs, dict(zip(inputs, values, strict=True)), SIZES)}
    routine = routine_of(g, inputs, outputs)
    named = {g.tensors[t].name: v for t, v in zip(inputs, values, strict=True)}
    for target in targets:
        made = call(target, routine, SIZES, named)
        found[target] = [made[f"out{k}"] for k in range(len(outputs))]
    return found


def leaves(result: Result) -> list[TensorId]:
    return [t for part in result for t in leaves(part)] if isinstance(result, tuple) else [result.tensor]


# ---- meaning -----------------------------------------------------------------------------------


def test_trajectories_hold_the_first_value_and_every_step():
    net = network()
    values = arrays()
    for name, found in on_every_target(net.g, net.inputs, [net.fast, net.slow], values).items():
        for got, wanted in zip(found, run_by_hand(*values), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-13, atol=1e-14, err_msg=name)


def test_the_reference_evaluates_recurrences_in_mpmath_too():
    net = network()
    values = arrays()
    exact = evaluate(net.g, [net.slow], dict(zip(net.inputs, values, strict=True)), SIZES, object)[0]
    np.testing.assert_allclose(exact.astype(float), run_by_hand(*values)[1], rtol=1e-13, atol=1e-14)


def test_equal_recurrences_are_one_object():
    net = network()
    again, g = scan_of(net.g, net.fast), net.g
    renamed = [new_state(g, g.size("T"), (g.size("n"),)) for _ in range(2)]
    t, i, k = g.fresh_axis(g.size("T")), g.fresh_axis(g.size("n")), g.fresh_axis(g.size("n"))
    h, s = renamed
    product = reduce(g, "sum", [k], g.mul(g.read(net.inputs[0], i, k), g.read(h, t, k)))
    fast = g.define("map", (t, i), (), g.node("tanh", g.add(product, g.read(net.inputs[1], t, i))))
    wave = g.node("sin", g.mul(g.read(h, t, i), g.read(s, t, i)))
    slow = g.define("map", (t, i), (), g.add(g.div(g.read(s, t, i), g.const(2)), wave))
    assert close_scan(g, renamed, again.firsts, [fast, slow]) == (net.fast, net.slow)


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_few_steps_are_steps_like_any_others(steps):
    g = Graph()
    length, x = g.const(steps), g.input("x")
    state = new_state(g, length, ())
    t = g.fresh_axis(length)
    step = g.define("map", (t,), (), g.mul(g.read(state, t), g.add(g.cast(t), g.const(2))))
    (H,) = close_scan(g, [state], [x], [step])
    for found in on_every_target(g, (x,), [H], [np.array(3.0)]).values():
        np.testing.assert_array_equal(found[0], [3.0, 6.0, 18.0][: steps + 1])


def test_what_does_not_need_the_state_is_computed_before_the_loop():
    net = network()
    inside = clocks(net.g, scan_of(net.g, net.fast))
    assert set(inside) < set(net.g.definitions_below([net.fast]))
    assert not set(inside) & set(outer_definitions(net.g, [net.fast]))


def test_a_step_that_reads_an_older_state_is_refused():
    g = Graph()
    T, x = g.size("T"), g.input("x")
    state, t = new_state(g, T, ()), g.fresh_axis(T)
    older = g.where(g.ige0(g.isub(t, g.one)), g.read(state, g.isub(t, g.one)), g.zero)
    step = g.define("map", (t,), (), g.add(older, g.read(state, t)))
    (H,) = close_scan(g, [state], [x], [step])
    with pytest.raises(IllegalProgram, match="at another time than its own"):
        check(g, [H])


def test_checks_and_counts_see_into_the_step():
    net = network()
    check(net.g, [net.fast, net.slow])
    assert unproven_reads(net.g, [net.fast, net.slow]) == []
    few = operations(net.g, [net.slow], {"T": 5, "n": 3})
    assert 1.9 < operations(net.g, [net.slow], {"T": 10, "n": 3}) / few < 2.1


# ---- text --------------------------------------------------------------------------------------


def test_text_of_a_recurrence_reads_back_as_the_same_text():
    net = network()
    text = print_program(net.g, {"fast": net.fast, "slow": net.slow})
    g, outputs = parse_program(text)
    assert print_program(g, outputs) == text
    check(g, outputs.values())
    named = {g.tensors[t].name: t for t in g.definitions_below(outputs.values()) if g.tensors[t].name}
    values = arrays()
    inputs = {named[n]: v for n, v in zip(("W", "X", "h0", "s0"), values, strict=True)}
    got = evaluate(g, [outputs["slow"]], inputs, SIZES)[0]
    np.testing.assert_allclose(got, run_by_hand(*values)[1], rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("state T0[2]\nscan T1 entry 3\n  with T0 from x step T0", "no state 3"),
        ("state T0[2]\n  = 1", "no lines with '='"),
        ("map T0[]\n  with x from x step x\n  = 1", "is no recurrence"),
    ],
)
def test_malformed_recurrences_are_refused_with_their_line(line, reason):
    with pytest.raises(ParseError, match=reason):
        parse_program("input x: real[]\n" + line)


# ---- derivatives -------------------------------------------------------------------------------


def gradient_by_complex_step(of: str, values: list[np.ndarray]) -> list[np.ndarray]:
    value, out = loss_by_hand(of), []
    for k, array in enumerate(values):
        slope = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            moved = [v.astype(complex) for v in values]
            moved[k][place] += 1e-30j
            slope[place] = value(*moved).imag / 1e-30
        out.append(slope)
    return out


def derived(of: str, word: str) -> tuple[Graph, tuple[TensorId, ...], list[TensorId]]:
    net = network()
    directions = tuple(net.g.input(f"d{k}", net.g.tensors[t].extents) for k, t in enumerate(net.inputs))
    problem = Problem(net.g, loss(net, of), (), net.inputs, False, False, directions)
    return net.g, (*net.inputs, *directions), leaves(derive(problem, word))


@pytest.mark.parametrize("of", ["last", "all", "between"])
def test_gradients_of_recurrences_agree_with_the_complex_step(of):
    values, directions = arrays(), arrays(1)
    wanted = gradient_by_complex_step(of, values)
    g, inputs, outputs = derived(of, "grad")
    check(g, outputs)
    for name, found in on_every_target(g, inputs, outputs, values + directions).items():
        for got, exact in zip(found, wanted, strict=True):
            np.testing.assert_allclose(got, exact, rtol=1e-12, atol=1e-13, err_msg=name)
    g, inputs, outputs = derived(of, "jvp")
    slope = sum((a * b).sum() for a, b in zip(wanted, directions, strict=True))
    for found in on_every_target(g, inputs, outputs, values + directions).values():
        np.testing.assert_allclose(found[0], slope, rtol=1e-12)


def test_hessians_of_recurrences_agree_with_differences_of_exact_gradients():
    values, directions, step = arrays(), arrays(1), 1e-6

    def at(sign: float) -> list[np.ndarray]:
        moved = [v + sign * step * d for v, d in zip(values, directions, strict=True)]
        return gradient_by_complex_step("all", moved)

    wanted = [(a - b) / (2 * step) for a, b in zip(at(1), at(-1), strict=True)]
    g, inputs, outputs = derived("all", "hvp")
    check(g, outputs)
    found = on_every_target(g, inputs, outputs, values + directions, ("llvm",))
    for products in found.values():
        for got, near in zip(products, wanted, strict=True):
            np.testing.assert_allclose(got, near, rtol=1e-7, atol=1e-8)
    g, inputs, outputs = derived("all", "hess")  # C compiles these too, but takes its time
    blocks = on_every_target(g, inputs, outputs, values + directions, ("llvm",))["llvm"]
    for row, product in enumerate(found["llvm"]):
        total = sum(
            np.tensordot(blocks[4 * row + k], direction, axes=direction.ndim)
            for k, direction in enumerate(directions)
        )
        np.testing.assert_allclose(total, product, rtol=1e-11, atol=1e-12)


def test_a_value_that_needs_the_last_states_alone_stores_no_trajectory():
    net = network()
    routine = routine_of(net.g, net.inputs, [loss(net, "last")])
    small, large = (workspace_elements(routine, {"T": steps, "n": 3}) for steps in (10, 10_000))
    assert small == large
    found = on_every_target(net.g, net.inputs, [loss(net, "last")], arrays())
    for got in found.values():
        np.testing.assert_allclose(got[0], loss_by_hand("last")(*arrays()), rtol=1e-13)


def test_gradient_does_not_grow_with_the_number_of_steps():
    g, _, outputs = derived("last", "grad")
    assert len(g.definitions_below(outputs)) < 40


@pytest.mark.parametrize("word", ["value", "grad"])
def test_a_parameter_read_at_the_time_of_the_step_adds_no_loop_over_times(word):
    T, d = sp.symbols("T d", integer=True, positive=True)
    A, W = sp.IndexedBase("A", shape=(T, d)), sp.IndexedBase("W", shape=(d, d))
    j = sp.Symbol("j", integer=True)

    def step(h, t):
        return sg.Entries((d,), lambda i: sp.Sum(W[i, j] * A[t, j] * h[j], (j, 0, d - 1)))

    last = sg.scan(step, sg.Entries((d,), lambda i: 1), T).final[0]
    kernel = sg.compile(last, args=(A, W), wrt=W, outputs=word)
    fewer, more = (kernel.ops(T=steps, d=3)["after"] for steps in (10, 20))
    assert more <= 2 * fewer + 3
    a, w = np.random.default_rng(1).normal(size=(4, 3)), np.random.default_rng(2).normal(size=(3, 3))
    reference = sg.compile(last, args=(A, W), wrt=W, outputs=word, backend="numpy")
    np.testing.assert_allclose(kernel(a, w), reference(a, w), rtol=1e-13)
    if word == "value":
        h = np.ones(3)
        for row in a:
            h = w @ (row * h)
        np.testing.assert_allclose(kernel(a, w), h[0], rtol=1e-13)
