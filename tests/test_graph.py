"""Interning: one object for what is equal, the same numbers in every process."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from fractions import Fraction
from itertools import permutations

import pytest
from hypothesis import given, settings
from strategies import tensor_programs

from symgrad.ir.graph import Graph
from symgrad.ir.reduce import reduce


@pytest.fixture
def g() -> Graph:
    return Graph()


def test_equal_expressions_are_one_node(g):
    x, y = g.read(g.input("x")), g.read(g.input("y"))
    assert g.node("sin", g.add(x, y)) == g.node("sin", g.add(y, x))
    assert g.mul(x, y) == g.mul(y, x)
    assert g.node("and", g.node("lt", x, y), g.node("lt", y, x)) == g.node(
        "and", g.node("lt", y, x), g.node("lt", x, y)
    )
    assert g.sub(x, y) != g.sub(y, x)


def test_arguments_come_before_what_uses_them(g):
    x = g.read(g.input("x", (g.size("n"),)), g.axis(0, g.size("n")))
    g.mask(g.ige0(g.iadd(g.axis(0, g.size("n")), g.const(-2))), g.node("exp", g.mul(x, x)))
    for n in range(len(g.op)):
        assert all(c < n for c in g.children(n))


@pytest.mark.parametrize("value", [0, -3, Fraction(2, 7), 0.1, 10**50])
def test_rational_constants_are_exact(g, value):
    assert g.rational(g.const(value)) == Fraction(value)


def test_non_finite_and_named_constants_are_not_rational(g):
    for value in (float("inf"), float("-inf"), float("nan"), "pi"):
        assert g.const(value) == g.const(value)
        assert g.rational(g.const(value)) is None


# ---- integers ----------------------------------------------------------------------------------


def test_index_arithmetic_is_canonical(g):
    n, i, j = g.size("n"), g.fresh_axis(g.size("n")), g.fresh_axis(g.size("m"))
    a = g.iadd(g.iadd(i, j, 2), g.const(-1))
    b = g.isub(g.iadd(g.iscale(j, 3), g.isub(i, g.one)), j)
    assert a == b
    assert g.isub(a, a) == g.zero
    assert g.iadd(g.isub(i, j), j) == i
    assert g.imul(g.iadd(i, n), g.iadd(j, g.const(2))) == g.iadd(
        g.iadd(g.imul(i, j), g.iscale(i, 2)), g.iadd(g.imul(j, n), g.iscale(n, 2))
    )


def test_products_of_integers_do_not_depend_on_the_order_of_factors(g):
    factors = [g.size("n"), g.size("m"), g.fresh_axis(g.size("n")), g.iadd(g.size("k"), g.one)]
    products = set()
    for order in permutations(factors):
        product = g.one
        for f in order:
            product = g.imul(product, f)
        products.add(product)
    assert len(products) == 1


def test_an_equation_has_one_sign(g):
    i, j = g.fresh_axis(g.size("n")), g.fresh_axis(g.size("n"))
    assert g.ieq(i, j) == g.ieq(j, i)
    assert g.ieq(i, i) == g.true
    assert g.ieq(i, g.iadd(i, g.one)) == g.false
    assert g.ige0(g.const(-1)) == g.false


# ---- definitions -------------------------------------------------------------------------------


def test_definitions_that_differ_in_index_names_are_one_object(g):
    n, m = g.size("n"), g.size("m")
    x = g.input("x", (n, m))
    made = set()
    for _ in range(3):
        i, j = g.fresh_axis(n), g.fresh_axis(m)
        made.add(g.define("sum", (i,), (j,), g.mul(g.read(x, i, j), g.cast(g.iadd(i, j)))))
    assert len(made) == 1


@pytest.mark.parametrize("first", ["outer", "inner"])
def test_the_order_in_which_axes_were_made_does_not_matter(g, first):
    """Extents tell the axes of x[i + j]*w[i] apart, whichever has the lower number."""
    n, m = g.size("n"), g.size("m")
    x, w = g.input("x", (g.iadd(n, m),)), g.input("w", (n,))

    def made(order: str) -> int:
        axes = {letter: g.fresh_axis(g.size(letter)) for letter in order}
        i, j = axes["n"], axes["m"]
        body = g.mul(g.node("sin", g.read(x, g.iadd(i, j))), g.read(w, i))
        red, out = (i, j) if first == "outer" else (j, i)
        return g.tensors[g.args[reduce(g, "max", [red], body)][0]].bodies[0], g.axes[out]

    assert made("nm")[0] == made("mn")[0]


def test_an_axis_that_already_has_a_position_may_move_to_another(g):
    n = g.size("n")
    x = g.input("x", (n, n))
    zero, one = g.axis(0, n), g.axis(1, n)
    swapped = g.define("map", (one, zero), (), g.read(x, zero, one))
    assert g.tensors[swapped].body == g.read(x, one, zero)


def test_substitution_is_simultaneous(g):
    n = g.size("n")
    i, j = g.fresh_axis(n), g.fresh_axis(n)
    assert g.substitute(g.isub(i, j), {i: j, j: i}) == g.isub(j, i)


def test_substitution_reaches_what_is_shared_only_once(g):
    x, y = g.read(g.input("x")), g.read(g.input("y"))
    node, wanted = x, y
    for _ in range(200):  # 2**200 paths
        node, wanted = g.node("sin", g.mul(node, node)), g.node("sin", g.mul(wanted, wanted))
    assert g.substitute(node, {x: y}) == wanted


def test_reading_an_entry_of_an_enum_gives_the_entry(g):
    n = g.size("n")
    x = g.input("x", (n,))
    i = g.fresh_axis(n)
    t = g.define("enum", (i,), (), [g.read(x, i), g.node("sin", g.read(x, i))])
    j = g.fresh_axis(n)
    assert g.read(t, g.one, j) == g.node("sin", g.read(x, j))
    e = g.fresh_axis(g.const(2))
    assert g.op[g.read(t, e, j)] == "read"


def test_producers_come_before_consumers(g):
    x = g.input("x", (g.size("n"),))
    i = g.fresh_axis(g.size("n"))
    a = g.define("map", (i,), (), g.node("sin", g.read(x, i)))
    b = g.define("sum", (), (i,), g.mul(g.read(a, i), g.read(x, i)))
    unused = g.define("map", (i,), (), g.node("cos", g.read(x, i)))
    assert g.definitions_below([b]) == [x, a, b]
    assert unused not in g.definitions_below([b])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(tensor_programs())
def test_defining_a_definition_again_gives_the_same_one(program):
    g = program.graph
    for t in g.definitions_below(program.outputs.values()):
        tensor = g.tensors[t]
        if tensor.kind == "input":
            continue
        fresh = {a: g.fresh_axis(g.extent(a)) for a in (*tensor.out, *tensor.red)}
        bodies = g.substitute_all(tensor.bodies, fresh)
        target = g.substitute_all(tensor.target, fresh)
        out, red = [fresh[a] for a in tensor.out], [fresh[a] for a in tensor.red]
        again = g.define(tensor.kind, out, red, bodies, target, tensor.extents)
        assert again == t


# ---- determinism -------------------------------------------------------------------------------

_SCRIPT = """
    from symgrad.ir.graph import Graph
    from symgrad.ir.reduce import reduce
    from symgrad.ir.text import print_program
    g = Graph()
    n, m = g.size("n"), g.size("m")
    A, x, k = g.input("A", (n, m)), g.input("x", (m,)), g.input("k", (n,), "int")
    i, j, l = g.fresh_axis(n), g.fresh_axis(m), g.fresh_axis(m)
    body = g.mul(g.node("exp", g.read(A, i, j)), g.sub(g.read(x, g.read(k, i)), g.read(x, j)))
    guarded = g.mask(g.ige0(g.isub(j, l)), g.node("sin", g.read(x, l)))
    total = reduce(g, "sum", [i, j, l], g.mul(body, guarded))
    print(print_program(g, {"y": g.define("map", (), (), total)}))
    print(sorted(g.fired.items()), g.op, g.args)
"""


def test_output_does_not_depend_on_the_hash_seed():
    """Two processes with other hash seeds make the same nodes in the same order."""
    texts = []
    for seed in ("1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        script = [sys.executable, "-c", textwrap.dedent(_SCRIPT)]
        done = subprocess.run(script, capture_output=True, text=True, check=True, env=environment)
        texts.append(done.stdout)
    assert texts[0] == texts[1]
    assert "output y = " in texts[0]
