"""`reduce` against brute force: the same body, summed over the whole grid of its axes by NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from strategies import RandomReduction, reductions

from symgrad.ir.check import check
from symgrad.ir.evaluate import evaluate
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.reduce import additive_terms, conjuncts, factors_of, hoist, reduce

quick = settings(max_examples=120, deadline=None, derandomize=True)


def same_as_brute_force(case: RandomReduction) -> None:
    g = case.graph
    check(g, case.outputs.values())
    plain, reduced = evaluate(g, list(case.outputs.values()), case.arrays(), case.sizes)
    np.testing.assert_allclose(reduced, plain, rtol=1e-11, atol=1e-11)


@quick
@given(reductions(("sum",)))
def test_sums_equal_brute_force(case):
    same_as_brute_force(case)


@quick
@given(reductions(("prod", "max", "min", "logsumexp"), max_size=3))
def test_other_reductions_equal_brute_force(case):
    same_as_brute_force(case)


# ---- what the normal form does, one case each ---------------------------------------------------


class Case:
    """Sizes n, m, tensors A[n, m], B[m, n], x[n], y[m], s[], idx: n -> m, and their arrays."""

    def __init__(self, n: int = 4, m: int = 3) -> None:
        g = self.g = Graph()
        self.n, self.m = g.size("n"), g.size("m")
        self.sizes = {"n": n, "m": m}
        rng = np.random.default_rng(0)
        shapes = {"A": "nm", "B": "mn", "C": "nn", "x": "n", "y": "m", "s": "", "idx": "n"}
        self.tensor: dict[str, TensorId] = {}
        self.array: dict[str, np.ndarray] = {}
        for name, letters in shapes.items():
            extents = [self.n if c == "n" else self.m for c in letters]
            self.tensor[name] = g.input(name, extents, "int" if name == "idx" else "real")
            shape = [n if c == "n" else m for c in letters]
            self.array[name] = rng.integers(0, max(m, 1), shape) if name == "idx" else rng.normal(size=shape)

    def read(self, name: str, *index: Node) -> Node:
        return self.g.read(self.tensor[name], *index)

    def axis(self, letter: str) -> Node:
        return self.g.fresh_axis(self.n if letter == "n" else self.m)

    def value(self, node: Node, *out: Node) -> np.ndarray:
        tensor = self.g.define("map", out, (), node)
        check(self.g, [tensor])
        inputs = {self.tensor[k]: v for k, v in self.array.items()}
        return evaluate(self.g, [tensor], inputs, self.sizes)[0]

    def kinds(self, node: Node) -> list[str]:
        """The kinds of all definitions below a node."""
        roots = [self.g.args[r][0] for r in self.g.reads((node,))]
        return [self.g.tensors[t].kind for t in self.g.definitions_below(roots)]

    def cost(self, node: Node) -> int:
        """Elements visited by all definitions below a node, at the case's sizes."""
        g, total = self.g, 0
        for t in g.definitions_below(g.args[r][0] for r in g.reads((node,))):
            loops = (*g.tensors[t].out, *g.tensors[t].red)
            total += int(np.prod([self.sizes[g.args[g.extent(a)][0]] for a in loops])) if loops else 0
        return total


def test_a_factor_that_does_not_depend_on_the_axis_leaves_the_sum():
    c = Case()
    i, j = c.axis("n"), c.axis("m")
    node = reduce(c.g, "sum", [j], c.g.mul(c.read("x", i), c.read("y", j)))
    assert c.g.op[node] == "mul"
    np.testing.assert_allclose(c.value(node, i), c.array["x"] * c.array["y"].sum())


def test_terms_that_need_fewer_loops_are_summed_apart():
    c = Case()
    i, j = c.axis("n"), c.axis("m")
    node = reduce(c.g, "sum", [i, j], c.g.add(c.read("A", i, j), c.read("x", i)))
    np.testing.assert_allclose(c.value(node), c.array["A"].sum() + 3 * c.array["x"].sum())
    assert c.cost(node) == 4 * 3 + 4


def test_a_sum_over_no_axes_is_what_is_summed() -> None:
    """Its parts stay as they are: what they share with other sums is computed once."""
    c = Case()
    i = c.axis("n")
    shared = c.g.sub(c.read("x", i), c.g.mul(c.read("s"), c.read("x", i)))
    body = c.g.sub(c.read("s"), shared)
    assert reduce(c.g, "sum", [], body) == body


@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_sums_of_terms_of_any_sign_end(signs):
    c = Case()
    i = c.axis("n")
    body = c.g.zero
    for sign, term in zip(signs, (c.read("x", i), c.g.node("sin", c.read("x", i))), strict=True):
        body = c.g.add(body, term) if sign > 0 else c.g.sub(body, term)
    node = reduce(c.g, "sum", [i], body)
    x = c.array["x"]
    np.testing.assert_allclose(c.value(node), signs[0] * x.sum() + signs[1] * np.sin(x).sum())


def test_an_equality_eliminates_its_axis_without_a_loop():
    c = Case()
    i, j = c.axis("n"), c.axis("n")
    node = reduce(c.g, "sum", [j], c.g.mask(c.g.ieq(i, j), c.g.mul(c.read("C", i, j), c.read("x", j))))
    assert c.kinds(node) == ["input", "input"]
    np.testing.assert_allclose(c.value(node, i), np.diag(c.array["C"]) * c.array["x"])


def test_a_shifted_equality_leaves_a_range_check():
    c = Case()
    p, i = c.axis("n"), c.axis("n")
    shift = c.g.iadd(c.g.isub(p, i), c.g.const(-2))
    node = reduce(c.g, "sum", [i], c.g.mask(c.g.ieq0(shift), c.read("x", i)))
    assert c.kinds(node) == ["input"]
    np.testing.assert_allclose(c.value(node, p), [0, 0, *c.array["x"][:2]])


def test_an_equality_with_a_gathered_index_of_a_summed_axis_is_a_scatter():
    c = Case()
    p, i = c.axis("m"), c.axis("n")
    node = reduce(c.g, "sum", [i], c.g.mask(c.g.ieq(p, c.read("idx", i)), c.read("x", i)))
    assert "scatter" in c.kinds(node)
    wanted = np.zeros(3)
    np.add.at(wanted, c.array["idx"], c.array["x"])
    np.testing.assert_allclose(c.value(node, p), wanted)


def test_an_equality_with_a_gathered_index_of_a_free_axis_is_a_gather():
    c = Case()
    i, j = c.axis("n"), c.axis("m")
    node = reduce(c.g, "sum", [j], c.g.mask(c.g.ieq(j, c.read("idx", i)), c.read("A", i, j)))
    assert "sum" not in c.kinds(node)
    np.testing.assert_allclose(c.value(node, i), c.array["A"][np.arange(4), c.array["idx"]])


def test_an_equality_no_axis_of_which_has_a_unit_coefficient_stays_a_guard():
    c = Case()
    p, i = c.axis("n"), c.axis("n")
    even = c.g.isub(c.g.iscale(p, 2), c.g.iscale(i, 2))
    node = reduce(c.g, "sum", [i], c.g.mask(c.g.ieq0(even), c.read("x", i)))
    np.testing.assert_allclose(c.value(node, p), c.array["x"])


def test_a_chain_of_products_is_contracted_one_axis_at_a_time():
    c = Case(n=40, m=50)
    i, j, k = c.axis("n"), c.axis("m"), c.axis("n")
    body = c.g.mul(c.g.mul(c.read("A", i, j), c.read("B", j, k)), c.read("x", k))
    node = reduce(c.g, "sum", [j, k], body)
    np.testing.assert_allclose(c.value(node, i), c.array["A"] @ (c.array["B"] @ c.array["x"]))
    assert c.cost(node) == 2 * 40 * 50


def test_a_condition_on_other_axes_leaves_the_sum_but_not_the_reads_it_protects():
    c = Case()
    i, j = c.axis("n"), c.axis("n")
    before = c.g.isub(i, c.g.one)
    product = c.g.mul(c.read("C", before, j), c.read("x", j))
    node = reduce(c.g, "sum", [j], c.g.mask(c.g.ige0(before), product))
    np.testing.assert_allclose(c.value(node, i), [0, *(c.array["C"] @ c.array["x"])[:3]])


def test_costly_parts_that_need_fewer_loops_are_stored_once():
    c = Case()
    i, j = c.axis("n"), c.axis("m")
    inner = c.g.node("exp", c.g.node("sin", c.read("x", i)))
    node = reduce(c.g, "sum", [i, j], c.g.node("tanh", c.g.add(inner, c.read("A", i, j))))
    assert "map" in c.kinds(node)
    wanted = np.tanh(np.exp(np.sin(c.array["x"]))[:, None] + c.array["A"]).sum()
    np.testing.assert_allclose(c.value(node), wanted)


def test_what_a_guard_protects_is_not_stored_without_it():
    c = Case()
    p, k, j = c.axis("n"), c.axis("n"), c.axis("m")
    shifted = c.read("x", c.g.isub(p, k))
    costly = c.g.node("exp", c.g.node("sin", shifted))
    body = c.g.mul(costly, c.g.node("sin", c.g.mul(shifted, c.read("A", k, j))))
    node = reduce(c.g, "sum", [k, j], c.g.mask(c.g.ige0(c.g.isub(p, k)), body))
    x, a = c.array["x"], c.array["A"]
    wanted = [
        sum(np.exp(np.sin(x[q - r])) * np.sin(x[q - r] * a[r]).sum() for r in range(q + 1)) for q in range(4)
    ]
    np.testing.assert_allclose(c.value(node, p), wanted)


def test_a_division_under_a_guard_that_never_holds_makes_no_nan():
    c = Case()
    p, k = c.axis("n"), c.axis("n")
    guard = c.g.ige0(c.g.isub(p, c.g.iadd(k, c.g.one)))  # never for p = 0
    node = reduce(c.g, "sum", [k], c.g.mask(guard, c.g.div(c.read("x", k), c.g.cast(p))))
    x = c.array["x"]
    np.testing.assert_allclose(c.value(node, p), [0, x[0], x[:2].sum() / 2, x[:3].sum() / 3])


def test_hoisting_leaves_an_expression_that_needs_every_loop_alone():
    c = Case()
    i, j = c.axis("n"), c.axis("m")
    body = c.g.node("exp", c.read("A", i, j))
    assert hoist(c.g, body) == body


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [("sum", 0.0), ("prod", 1.0), ("max", -np.inf), ("min", np.inf), ("logsumexp", -np.inf)],
)
@pytest.mark.parametrize("depends", [True, False])
def test_a_reduction_over_nothing_is_its_identity(kind, wanted, depends):
    c = Case(n=0)
    i = c.axis("n")
    body = c.read("x", i) if depends else c.read("s")
    assert c.value(reduce(c.g, kind, [i], body)) == wanted


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [("sum", lambda s: 4 * s), ("prod", lambda s: s**4), ("max", lambda s: s), ("min", lambda s: s),
     ("logsumexp", lambda s: s + np.log(4))],
)  # fmt: skip
def test_a_body_without_the_axis_is_repeated(kind, wanted):
    c = Case()
    node = reduce(c.g, kind, [c.axis("n")], c.read("s"))
    np.testing.assert_allclose(c.value(node), wanted(c.array["s"]))


def test_equal_sums_with_other_index_names_are_one_definition():
    c = Case()
    nodes = set()
    for _ in range(2):
        i = c.axis("n")
        nodes.add(reduce(c.g, "sum", [i], c.g.mul(c.read("x", i), c.g.node("sin", c.read("x", i)))))
    assert len(nodes) == 1


@pytest.mark.parametrize("split", [additive_terms, factors_of, conjuncts])
def test_splitting_does_not_recurse_over_depth(split):
    g = Graph()
    reads = [g.read(g.input(f"x{i}")) for i in range(2)]
    op, leaf = {additive_terms: ("add", reads[0]), factors_of: ("mul", reads[0])}.get(
        split, ("and", g.node("lt", *reads))
    )
    node = leaf
    for k in range(20_000):
        node = g.intern(op, (node, reads[1] if op != "and" else g.node("lt", reads[0], g.const(k))))
    found = split(g, node)
    assert len(found[0] if split is factors_of else found) == 20_001


def test_a_condition_that_needs_another_condition_to_be_evaluated_keeps_it():
    """[T[-p] = k] may only be looked at where -p >= 0 holds, which does not depend on k."""
    c = Case()
    g, p, k = c.g, c.axis("n"), c.axis("n")
    back = g.iscale(p, -1)
    same = g.node("lt", c.read("x", back), c.read("x", k))
    node = reduce(g, "sum", [k], g.mask(g.node("and", g.ige0(back), same), g.one))
    x = c.array["x"]
    np.testing.assert_allclose(c.value(node, p), [(x[0] < x).sum(), 0, 0, 0])
