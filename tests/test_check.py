"""Legality: what is refused, with which words, and which reads are proven to stay in range."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from strategies import scalar_programs, tensor_programs

from symgrad.errors import IllegalProgram
from symgrad.ir.bounds import facts_of, index_is_in_range, is_nonnegative
from symgrad.ir.check import check, unproven_reads
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.tensor import Tensor

quick = settings(max_examples=60, deadline=None, derandomize=True)


@pytest.fixture
def g() -> Graph:
    return Graph()


def axis(g: Graph, name: str = "n") -> Node:
    return g.fresh_axis(g.size(name))


def x_of(g: Graph, name: str = "n") -> TensorId:
    return g.input("x", (g.size(name),))


@quick
@given(tensor_programs(min_size=0))
def test_random_tensor_programs_are_legal(program):
    check(program.graph, program.outputs.values())


@quick
@given(scalar_programs(smooth=False))
def test_random_scalar_programs_are_legal_and_proven(program):
    check(program.graph, program.outputs.values())
    assert unproven_reads(program.graph, program.outputs.values()) == []


@quick
@given(tensor_programs())
def test_checking_makes_no_nodes(program):
    before = len(program.graph.op)
    check(program.graph, program.outputs.values())
    unproven_reads(program.graph, program.outputs.values())
    assert len(program.graph.op) == before


def test_the_whole_message_of_an_escaping_index(g):
    x, i = x_of(g), axis(g)
    t = g.define("map", (i,), (), g.read(x, g.iadd(i, g.one)))
    with pytest.raises(IllegalProgram) as error:
        check(g, [t])
    assert str(error.value) == (
        "map t1: an index leaves its tensor\n"
        "  where    map t1\n"
        "  because  for example n = 1, i0 = 0, index 0 is 1 of an extent of 1"
    )


# ---- what is refused ---------------------------------------------------------------------------


def raw(g: Graph, **fields) -> TensorId:
    """A map T[] = 1 with some of its fields replaced, as no builder would make it."""
    parts = {"kind": "map", "out": (), "red": (), "bodies": (g.one,), "target": (), "extents": ()}
    g.tensors.append(Tensor(**{**parts, **fields}))
    return len(g.tensors) - 1


def refused(g: Graph, tensor: TensorId, message: str) -> None:
    with pytest.raises(IllegalProgram, match=re.escape(message)):
        check(g, [tensor])


def test_a_map_with_nothing_wrong_passes(g):
    check(g, [raw(g)])


BAD_NODES = {
    "exp takes 1 arguments": lambda g: g.intern("exp", (g.one, g.one)),
    "argument 1 of exp must be real": lambda g: g.intern("exp", (g.true,)),
    "argument 1 of where must be bool": lambda g: g.intern("where", (g.one, g.one, g.zero)),
    "argument 2 of and must be bool": lambda g: g.intern(
        "where", (g.intern("and", (g.true, g.one)), g.one, g.zero)
    ),
    "argument 1 of sin must be real": lambda g: g.intern("sin", (g.size("n"),)),
    "argument 1 of cast must be int": lambda g: g.intern("cast", (g.node("sin", g.one),)),
    "its body is bool, not a real value": lambda g: g.true,
    "its body is int, not a real value": lambda g: g.size("n"),
    "ige of something that is not an integer": lambda g: g.intern(
        "mask", (g.intern("ige", (g.const("pi"),)), g.one)
    ),
    "is not a constant": lambda g: g.intern("const", ("s", "zeta")),
    "a sum of indices is not in canonical form": lambda g: g.cast(g.intern("lin", (1, g.size("n"), 0))),
}


@pytest.mark.parametrize("message", BAD_NODES)
def test_a_wrong_node_is_refused(g, message):
    refused(g, raw(g, bodies=(BAD_NODES[message](g),)), message)


def test_a_read_of_the_wrong_rank_is_refused(g):
    x = x_of(g)
    refused(g, raw(g, bodies=(g.intern("read", (x, g.zero, g.zero)),)), "of rank 1 with 2 indices")


def test_a_read_at_a_real_number_is_refused(g):
    x, s = x_of(g), g.input("s")
    node = g.intern("read", (x, g.node("sin", g.read(s))))
    refused(g, raw(g, bodies=(node,)), "at something that is not an integer")


def test_a_definition_that_reads_itself_is_refused(g):
    t = g.define("map", (), (), g.const("pi"))
    node = g.add(g.read(t), g.one)
    g.tensors[t] = Tensor("map", (), (), (node,), (), ())
    refused(g, t, "a definition reads itself or a later one")


def test_a_free_axis_is_refused(g):
    x = x_of(g)
    refused(g, raw(g, bodies=(g.read(x, g.axis(0, g.size("n"))),)), "it uses an axis it does not bind")


def test_axes_out_of_order_are_refused(g):
    n = g.size("n")
    out = (g.axis(1, n), g.axis(0, n))
    refused(g, raw(g, out=out, extents=(n, n)), "its axes are not numbered by position")


def test_extents_that_are_not_those_of_the_axes_are_refused(g):
    out = (g.axis(0, g.size("n")),)
    refused(g, raw(g, out=out, extents=(g.size("m"),)), "its extents are not those of its axes")


def test_an_extent_that_depends_on_data_is_refused(g):
    k = g.input("k", (), "int")
    a = g.axis(0, g.read(k))
    refused(g, raw(g, out=(a,), extents=(g.read(k),)), "an extent is not made of sizes alone")


def test_a_fractional_extent_is_refused(g):
    refused(g, g.input("x", (g.const(0.5),)), "an extent is not an integer")


@pytest.mark.parametrize("kind", ["sum", "prod", "max", "min", "logsumexp"])
def test_a_reduction_over_no_axis_is_refused(g, kind):
    refused(g, raw(g, kind=kind), "a reduction without a reduced axis")


def test_shapes_of_definitions_are_checked(g):
    a = g.axis(0, g.size("n"))
    refused(g, raw(g, red=(a,)), "it has reduced axes and is no reduction")
    refused(g, raw(g, bodies=(g.one, g.zero)), "it has 2 bodies, not one")
    refused(g, raw(g, target=(g.zero,)), "only a scatter has target indices")
    refused(g, raw(g, kind="scatter", red=(a,), target=(), extents=(g.one,)), "one target index per axis")
    refused(g, raw(g, kind="loop"), "there is no kind 'loop'")
    refused(g, raw(g, kind="enum", bodies=(g.one, g.zero), extents=(g.const(3),)), "not those of its axes")
    refused(g, raw(g, dtype="int"), "only inputs have a name or a type other than real")


def test_inputs_are_checked(g):
    refused(g, g.input("x", (), "bool"), "neither real nor int")
    refused(g, g.input(""), "an input without a name")
    refused(g, raw(g, kind="input", name="y"), "an input has axes or a body")


def test_two_inputs_of_one_name_are_refused(g):
    a, b = g.input("x"), g.input("x", (g.size("n"),))
    i = axis(g)
    refused(g, g.define("map", (i,), (), g.add(g.read(a), g.read(b, i))), "two inputs have one name")


def test_a_fault_below_an_output_is_found(g):
    wrong = raw(g, bodies=(g.intern("exp", (g.true,)),))
    t = g.define("map", (), (), g.intern("sin", (g.intern("read", (wrong,)),)))
    refused(g, t, "argument 1 of exp must be real")


ESCAPES = {
    "one past the end": lambda g, x, i: g.read(x, g.iadd(i, g.one)),
    "one before the start": lambda g, x, i: g.read(x, g.isub(i, g.one)),
    "the extent itself": lambda g, x, i: g.read(x, g.size("n")),
    "twice the axis": lambda g, x, i: g.read(x, g.iadd(g.iscale(i, 2), g.one)),
    "reversed, off by one": lambda g, x, i: g.read(x, g.isub(g.size("n"), i)),
    "a negative constant": lambda g, x, i: g.read(x, g.const(-1)),
}


@pytest.mark.parametrize("name", ESCAPES)
def test_an_index_that_always_leaves_is_refused_with_an_example(g, name):
    x, i = x_of(g), axis(g)
    t = g.define("map", (i,), (), ESCAPES[name](g, x, i))
    with pytest.raises(IllegalProgram, match="for example n = 1"):
        check(g, [t])


def test_a_scatter_that_always_leaves_is_refused(g):
    x, i = x_of(g), axis(g)
    t = g.define("scatter", (), (i,), g.read(x, i), (g.iadd(i, g.size("n")),), (g.size("n"),))
    refused(g, t, "an index leaves its tensor")


def test_an_entry_beyond_an_enum_is_refused(g):
    e = g.define("enum", (), (), [g.const("pi"), g.one])
    refused(g, g.define("map", (), (), g.read(e, g.const(2))), "index 0 is 2 of an extent of 2")


def test_an_index_that_leaves_for_small_sizes_only_is_not_refused(g):
    x = x_of(g)
    t = g.define("map", (), (), g.read(x, g.iadd(g.size("n"), g.const(-100))))
    check(g, [t])
    assert len(unproven_reads(g, [t])) == 1


def test_an_index_that_leaves_only_for_some_sizes_is_not_refused(g):
    x, i = x_of(g, "m"), axis(g, "n")
    t = g.define("map", (i,), (), g.read(x, i))
    check(g, [t])
    assert len(unproven_reads(g, [t])) == 1


# ---- what is proven ----------------------------------------------------------------------------


def conditional(g: Graph, condition: Node, value: Node) -> dict[str, Node]:
    """The value under a condition, in every form that guards it."""
    other = g.const(7)
    return {
        "mask": g.mask(condition, value),
        "where": g.where(condition, value, other),
        "else": g.intern("where", (g.intern("not", (condition,)), other, value)),
        "deep": g.mask(condition, g.node("exp", g.add(value, g.node("sin", value)))),
        "nested": g.mask(condition, g.where(g.node("lt", other, other), value, value)),
    }


@pytest.mark.parametrize("form", ["mask", "where", "else", "deep", "nested"])
def test_a_guarded_shift_is_proven(g, form):
    x, p, k = x_of(g), axis(g), axis(g)
    node = conditional(g, g.ige0(g.isub(p, k)), g.read(x, g.isub(p, k)))[form]
    t = g.define("map", (p, k), (), node)
    check(g, [t])
    assert unproven_reads(g, [t]) == []


def test_an_unguarded_shift_is_not_proven(g):
    x, p, k = x_of(g), axis(g), axis(g)
    t = g.define("map", (p, k), (), g.read(x, g.isub(p, k)))
    (found,) = unproven_reads(g, [t])
    assert (found.tensor, found.position) == (t, 0)
    assert g.op[found.node] == "read"


def test_the_wrong_arm_is_not_proven(g):
    x, p, k = x_of(g), axis(g), axis(g)
    t = g.define("map", (p, k), (), g.where(g.ige0(g.isub(p, k)), g.one, g.read(x, g.isub(p, k))))
    assert len(unproven_reads(g, [t])) == 1


def test_a_read_guarded_on_one_way_only_is_not_proven(g):
    x, p, k = x_of(g), axis(g), axis(g)
    value = g.read(x, g.isub(p, k))
    node = g.add(g.mask(g.ige0(g.isub(p, k)), value), g.node("sin", value))
    assert len(unproven_reads(g, [g.define("map", (p, k), (), node)])) == 1


def test_a_read_guarded_differently_on_two_ways_is_proven(g):
    x, p, k = x_of(g), axis(g), axis(g)
    d = g.isub(p, k)
    value = g.read(x, d)
    node = g.where(g.ige0(d), value, g.mask(g.ieq0(d), g.node("sin", value)))
    assert unproven_reads(g, [g.define("map", (p, k), (), node)]) == []


def test_the_adjoint_of_a_convolution_is_proven(g):
    n, m = g.size("n"), g.size("m")
    y = g.input("y", (n,))
    p, k = g.fresh_axis(g.iadd(g.iadd(n, m), g.const(-1))), g.fresh_axis(m)
    d = g.isub(p, k)
    inside = g.node("and", g.ige0(d), g.ige0(g.isub(g.iadd(n, g.const(-1)), d)))
    t = g.define("sum", (p,), (k,), g.mask(inside, g.read(y, d)))
    check(g, [t])
    assert unproven_reads(g, [t]) == []


def test_an_equality_carries_a_bound_over(g):
    x, i, j = x_of(g), axis(g, "m"), axis(g)
    t = g.define("map", (i, j), (), g.mask(g.ieq(i, j), g.read(x, i)))
    assert unproven_reads(g, [t]) == []


def test_the_first_element_is_proven_where_a_loop_over_it_runs(g):
    x, i = x_of(g), axis(g)
    assert unproven_reads(g, [g.define("map", (i,), (), g.read(x, g.zero))]) == []
    assert len(unproven_reads(g, [g.define("map", (), (), g.read(x, g.zero))])) == 1


def test_gathered_indices_are_not_proven_unless_guarded(g):
    x, k, i = x_of(g), g.input("k", (g.size("n"),), "int"), axis(g)
    index = g.read(k, i)
    assert len(unproven_reads(g, [g.define("map", (i,), (), g.read(x, index))])) == 1
    above = g.ige0(g.isub(g.iadd(g.size("n"), g.const(-1)), index))
    guarded = g.mask(g.node("and", g.ige0(index), above), g.read(x, index))
    assert unproven_reads(g, [g.define("map", (i,), (), guarded)]) == []


def test_a_condition_protects_the_reads_of_the_one_beside_it(g):
    k, i = g.input("k", (g.size("n"),), "int"), axis(g)
    before = g.isub(i, g.one)
    node = g.mask(g.node("and", g.ige0(before), g.ige0(g.read(k, before))), g.one)
    assert unproven_reads(g, [g.define("map", (i,), (), node)]) == []


def test_two_conditions_that_read_do_not_protect_each_other(g):
    k, i = g.input("k", (g.size("n"),), "int"), axis(g)
    before = g.isub(i, g.one)
    both = g.node("and", g.ige0(g.read(k, before)), g.ieq(g.read(k, before), i))
    assert len(unproven_reads(g, [g.define("map", (i,), (), g.mask(both, g.one))])) == 1


def test_a_scatter_is_proven_by_its_mask(g):
    x, k, i = x_of(g), g.input("k", (g.size("n"),), "int"), axis(g)
    place, m = g.read(k, i), g.size("m")
    inside = g.node("and", g.ige0(place), g.ige0(g.isub(g.iadd(m, g.const(-1)), place)))
    guarded = g.define("scatter", (), (i,), g.mask(inside, g.read(x, i)), (place,), (m,))
    plain = g.define("scatter", (), (i,), g.read(x, i), (place,), (m,))
    assert unproven_reads(g, [guarded]) == []
    assert [u.tensor for u in unproven_reads(g, [plain])] == [plain]


def test_a_deep_graph_under_guards_is_checked_without_recursion(g):
    x, i = x_of(g), axis(g)
    node = g.read(x, i)
    for k in range(5_000):
        node = g.mask(g.ige0(g.iadd(i, g.const(-k % 7))), g.node("sin", node))
    t = g.define("map", (i,), (), node)
    check(g, [t])
    assert unproven_reads(g, [t]) == []


# ---- bounds ------------------------------------------------------------------------------------


def test_integers_that_are_never_negative(g):
    n, m = g.size("n"), g.size("m")
    i, j = g.fresh_axis(n), g.fresh_axis(m)
    proven = [
        g.const(0), n, i, g.iadd(i, j), g.imul(n, m), g.imul(i, m), g.iadd(n, g.const(2)),
        g.isub(g.iadd(n, g.const(-1)), i), g.iadd(g.isub(n, i), j),
        g.isub(g.iadd(g.iscale(n, 2), g.const(-2)), g.iscale(i, 2)),
    ]  # fmt: skip
    assert all(is_nonnegative(g, index) for index in proven)


def test_integers_that_may_be_negative(g):
    n, m = g.size("n"), g.size("m")
    i, j = g.fresh_axis(n), g.fresh_axis(m)
    k = g.input("k", (n,), "int")
    gathered = g.read(k, i)
    open_ = [
        g.const(-1), g.isub(n, g.one), g.isub(i, g.one), g.isub(i, j), g.isub(n, m), gathered,
        g.imul(gathered, n), g.imul(gathered, gathered), g.isub(g.iadd(n, g.const(-2)), i), g.isub(m, i),
    ]  # fmt: skip
    assert not any(is_nonnegative(g, index) for index in open_)


@pytest.mark.parametrize("holds", [True, False])
def test_facts_of_a_condition_hold_where_it_does(g, holds):
    """Checked point by point: wherever the condition has the value, every fact is true."""
    i, j = g.fresh_axis(g.const(5)), g.fresh_axis(g.const(5))
    p = g.ige0(g.isub(i, j))
    q = g.ieq0(g.iadd(g.isub(i, j), g.const(-2)))
    conditions = {
        p: lambda a, b: a >= b,
        q: lambda a, b: a - b == 2,
        g.node("and", p, q): lambda a, b: a >= b and a - b == 2,
        g.node("or", p, q): lambda a, b: a >= b or a - b == 2,
        g.intern("not", (g.node("and", p, q),)): lambda a, b: not (a >= b and a - b == 2),
        g.intern("not", (g.intern("not", (p,)),)): lambda a, b: a >= b,
    }
    found = 0
    for node, meaning in conditions.items():
        for fact in facts_of(g, node, holds):
            found += 1
            for a in range(5):
                for b in range(5):
                    if meaning(a, b) == holds:
                        value = fact.constant + sum(c * {i: a, j: b}[atom] for atom, c in fact.terms)
                        assert value == 0 if fact.is_equality else value >= 0
    assert found >= 4


def test_proofs_are_sound_on_every_small_case(g):
    """Whatever is proven in range is in range, for all small sizes and all places in the loops."""
    n, m = g.size("n"), g.size("m")
    i, j = g.fresh_axis(n), g.fresh_axis(m)
    atoms = {"i": i, "j": j, "n": n, "m": m}
    proven = 0
    for ci in (-1, 0, 1):
        for cj in (-1, 0, 1):
            for cn in (-1, 0, 1):
                for c in (-1, 0, 1):
                    index = g.iadd(g.iadd(g.iadd(g.const(c), i, ci), j, cj), n, cn)
                    for condition in (g.ige0(g.isub(i, j)), g.ieq(i, j), g.ige0(g.isub(m, n))):
                        if index_is_in_range(g, index, n, facts_of(g, condition), (i, j)):
                            proven += 1
                            assert _always_in_range(g, index, condition, atoms)
    assert proven > 20


def _always_in_range(g: Graph, index: Node, condition: Node, atoms: dict[str, Node]) -> bool:
    def value(node: Node, at: dict[Node, int]) -> int:
        constant, terms = g.linear(node)
        return constant + sum(k * at[a] for a, k in terms.items())

    for n in range(4):
        for m in range(4):
            for a in range(n):
                for b in range(m):
                    at = dict(zip(atoms.values(), (a, b, n, m), strict=True))
                    left = value(g.args[condition][0], at)
                    holds = left == 0 if g.op[condition] == "ieq" else left >= 0
                    if holds and not 0 <= value(index, at) < n:
                        return False
    return True
