"""Programs as text: what is printed can be read back, and is the same program."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import RandomProgram, scalar_programs, tensor_programs

from symgrad.errors import ParseError
from symgrad.ir.evaluate import evaluate
from symgrad.ir.graph import Graph
from symgrad.ir.reduce import reduce
from symgrad.ir.text import name_text, parse_program, print_program

quick = settings(max_examples=60, deadline=None, derandomize=True)


def comes_back(program: RandomProgram) -> None:
    """Printing, parsing and printing again is the same text, and the same values to the last bit."""
    g, outputs = program.graph, program.outputs
    text = print_program(g, outputs)
    parsed, again = parse_program(text)
    assert print_program(parsed, again) == text
    arrays = program.arrays()
    by_name = {g.tensors[t].name: array for t, array in arrays.items()}
    named = {t: by_name[x.name] for t, x in enumerate(parsed.tensors) if x.kind == "input"}
    for found, wanted in zip(
        evaluate(parsed, list(again.values()), named, program.sizes),
        evaluate(g, list(outputs.values()), arrays, program.sizes),
        strict=True,
    ):
        np.testing.assert_array_equal(found, wanted)


@quick
@given(scalar_programs(smooth=False))
def test_scalar_programs_come_back_from_text(program):
    comes_back(program)


@quick
@given(tensor_programs(smooth=False))
def test_tensor_programs_come_back_from_text(program):
    comes_back(program)


def test_a_program_reads_like_this():
    g = Graph()
    n = g.size("n")
    g.hints["n"] = 1000
    x, k = g.input("x", (n, g.const(3))), g.input("k", (n,), "int")
    i, j = g.fresh_axis(n), g.fresh_axis(n)
    entry = g.node("exp", g.read(x, g.read(k, i), g.const(2)))
    t = g.define("map", (i,), (), g.mul(entry, g.node("sin", entry)))
    guard = g.ige0(g.isub(g.iadd(i, g.const(-2)), g.iscale(j, 2)))
    s = g.define("sum", (i,), (j,), g.mask(guard, g.mul(g.const("pi"), g.read(t, j))))
    m = g.define("scatter", (), (i,), g.read(s, i), (g.read(k, i),), (g.iadd(n, g.one),))
    e = g.define("enum", (), (), [g.const(-1), g.div(g.const(2), g.const(-6)), g.const(float("-inf"))])
    assert print_program(g, {"value": s, "spread": m, "entries": e}) == (
        "size n ~ 1000\n"
        "input x: real[n, 3]\n"
        "input k: int[n]\n"
        "map T0[i0 < n]\n"
        "  %0 = exp(x[k[i0], 2])\n"
        "  = mul(%0, sin(%0))\n"
        "sum T1[i0 < n] over [i1 < n]\n"
        "  = mask(ige(i0 - 2*i1 - 2), mul(@pi, T0[i1]))\n"
        "scatter T2[n + 1] over [i0 < n]\n"
        "  = T1[i0]\n"
        "  at k[i0]\n"
        "enum T3[]\n"
        "  = -1\n"
        "  = -1/3\n"
        "  = @-inf\n"
        "output value = T1\n"
        "output spread = T2\n"
        "output entries = T3\n"
    )


HOSTILE = ["", "n", "i0", "T0", "true", "a b", 'quo"te', "new\nline", "\\", "size", "λ", "[", "%1", "\x00"]


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_comes_back(name):
    g = Graph()
    n = g.size(name)
    x = g.input(name, (n,))
    i = g.fresh_axis(n)
    t = g.define("map", (i,), (), g.mul(g.read(x, i), g.cast(n)))
    text = print_program(g, {name: t})
    parsed, outputs = parse_program(text)
    assert list(outputs) == [name]
    assert [tensor.name for tensor in parsed.tensors if tensor.kind == "input"] == [name]
    assert print_program(parsed, outputs) == text


@given(st.text(max_size=12))
def test_no_two_names_have_one_text_and_none_breaks_a_line(name):
    text = name_text(name)
    assert "\n" not in text
    assert text.startswith('"') or text == name


def test_the_text_of_a_shared_graph_is_as_long_as_the_graph():
    g = Graph()
    node = g.read(g.input("x"))
    for _ in range(300):  # as a tree: 2**300 operations
        node = g.node("sin", g.mul(node, node))
    text = print_program(g, {"y": g.define("map", (), (), node)})
    assert len(text) < 300 * 40
    parsed, outputs = parse_program(text)
    assert print_program(parsed, outputs) == text


def test_indices_shared_through_gathers_do_not_multiply():
    g = Graph()
    n = g.size("n")
    k = g.input("k", (n,), "int")
    i = g.fresh_axis(n)
    index = i
    for _ in range(60):
        index = g.iadd(g.read(k, index), g.read(k, g.iadd(index, g.one)))
    text = print_program(g, {"y": g.define("map", (i,), (), g.cast(index))})
    assert len(text) < 60 * 120
    parsed, outputs = parse_program(text)
    assert print_program(parsed, outputs) == text


def test_a_hundred_thousand_nodes_are_printed_and_read_without_recursion():
    g = Graph()
    x = g.read(g.input("x"))
    node = x
    for k in range(50_000):
        node = g.intern("sin", (g.intern("add", (node, x)),)) if k % 3 else g.intern("mul", (node, node))
    text = print_program(g, {"y": g.define("map", (), (), node)})
    parsed, _ = parse_program(text)
    assert len(parsed.op) == len(g.op)
    assert max(map(len, text.split("\n"))) < 200


def test_text_nested_deeper_than_the_stack_is_read():
    text = "map T0[]\n  = " + "sin(" * 30_000 + "1" + ")" * 30_000 + "\noutput y = T0\n"
    g, outputs = parse_program(text)
    assert len(g.op) > 30_000
    assert list(outputs) == ["y"]


def test_a_large_number_comes_back():
    g = Graph()
    value = g.const(7**5000)
    text = print_program(g, {"y": g.define("map", (), (), g.node("tanh", value))})
    parsed, outputs = parse_program(text)
    assert ("q", 7**5000, 1) in parsed.args
    assert print_program(parsed, outputs) == text


def test_the_text_does_not_depend_on_the_order_nodes_were_made_in():
    texts = set()
    for flip in (False, True):
        g = Graph()
        n, m = g.size("n"), g.size("m")
        a, b = g.input("a", (n,), "int"), g.input("b", (n,), "int")
        i = g.axis(0, n)
        parts = [g.read(a, i), g.read(b, i), n, m, g.imul(n, i), i]
        index = g.zero
        for part in reversed(parts) if flip else parts:
            index = g.iadd(index, part)
        texts.add(print_program(g, {"y": g.define("map", (i,), (), g.cast(index))}))
    assert len(texts) == 1


def test_only_what_the_outputs_need_is_printed():
    g = Graph()
    x, y = g.input("x"), g.input("y")
    t = g.define("map", (), (), g.node("sin", g.read(x)))
    g.define("map", (), (), g.node("sin", g.read(y)))
    assert print_program(g, {"v": t, "x": x}).split("\n") == [
        "input x: real[]", "map T0[]", "  = sin(x[])", "output v = T0", "output x = x", "",
    ]  # fmt: skip


def test_blank_lines_and_spaces_do_not_matter():
    tight = "input x:real[ ]\nmap T0[]\n%0=exp(x[])\n=mul(%0,%0)\noutput y=T0"
    loose = "\n input x : real[]\n\nmap T0 [ ]\n   %0 = exp( x[] )\n\n = mul( %0 , %0 )\n\noutput y = T0\n\n"
    assert print_program(*parse_program(tight)) == print_program(*parse_program(loose))


def test_reductions_made_by_reduce_come_back():
    g = Graph()
    n, m = g.size("n"), g.size("m")
    a, x = g.input("a", (n, m)), g.input("x", (m,))
    i, j = g.fresh_axis(n), g.fresh_axis(m)
    body = g.mul(g.read(a, i, j), g.node("exp", g.read(x, j)))
    y = g.define("map", (i,), (), g.node("log", reduce(g, "sum", [j], body)))
    comes_back(RandomProgram(g, [a, x], {"y": y}, {"n": 2, "m": 3}))


BAD = [
    ("map T0[]\n  = foo(1)", 2, "there is no operation 'foo'"),
    ("map T0[]\n  = sin(1, 2)", 2, "sin takes 1 arguments, not 2"),
    ("map T0[]\n  = add(1", 2, "expected ')', found 'the end of the line'"),
    ("map T0[]\n  = add(1,)", 2, "expected a value, found ')'"),
    ("map T0[]\n  = 1)", 2, "')' is too much"),
    ("map T0[]\n  = %3", 2, "%3 is not defined here"),
    ("map T0[]\n  = cast(i0)", 2, "i0 is not defined here"),
    ("map T0[]\n  = 1/0", 2, "'0' is not a denominator"),
    ("map T0[]\n  = @pi + 1", 2, "+, - and * are for integers; write add(x, y), mul(x, y) for values"),
    ("map T0[]\n  %0 = 1\n  %0 = 2", 3, "a second %0"),
    ("  = 3", 1, "a body without a definition"),
    ("map T0[i1 < n]", 1, "axes are numbered in order: expected i0, found 'i1'"),
    ("map x[]", 1, "a definition is called T0, T1, ..., not 'x'"),
    ("map T0[]\nmap T1[]", 2, "T0 has 0 lines with '=', not 1"),
    ("map T0[]\n  = 1\n  = 2", 3, "T0 has 2 lines with '=', not 1"),
    ("scatter T0[n] over [i0 < n]\n  = 1\n", 3, "T0 has 0 indices after 'at', not 1"),
    ("input x: real[n]\nmap T0[]\n  = x[]", 3, "x has 1 axes and is read with 0 indices"),
    ("input x: real[]\ninput x: real[2]", 2, "a second tensor 'x'"),
    ("input x: complex[]", 1, "an input is real or int, not 'complex'"),
    ("input x: real[1/2]", 1, "an integer is needed here"),
    ('input "\\q": real[]', 1, '"\\q" is not a JSON string'),
    ("size n ~ many", 1, "expected a number, found 'many'"),
    ("loop T0[]", 1, "'loop' does not start a line"),
    ("output y = T0", 1, "there is no tensor 'T0' before this line"),
    ("input x: real[]\noutput y = x\noutput y = x", 3, "a second output 'y'"),
    ("map T0[]; x", 1, "column 9 cannot be read"),
]


@pytest.mark.parametrize(("text", "line", "problem"), BAD)
def test_a_wrong_text_names_the_line_and_the_problem(text, line, problem):
    with pytest.raises(ParseError) as error:
        parse_program(text)
    assert error.value.summary == f"line {line} of a program: {problem}"


_WORDS = [
    "map", "T0", "[", "]", "i0", "<", "n", "=", "\n", "sin", "(", ")", "1", "-", "*", "/", ",", '"', "%0",
    "x", "input", ":", "real", "over", "at", "output", "enum", "scatter", "@pi", "0x", "size", "~",
]  # fmt: skip


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(_WORDS), max_size=30))
def test_any_text_is_a_program_or_a_parse_error(words):
    text = " ".join(words)
    try:
        g, outputs = parse_program(text)
    except ParseError:
        return
    again, same = parse_program(print_program(g, outputs))
    assert list(same) == list(outputs)
    assert len(again.tensors) <= len(g.tensors)


def test_every_prefix_of_a_program_is_refused_or_read():
    text = 'input "a b": real[n]\nsum T0[] over [i0 < n]\n  %0 = exp("a b"[i0])\n  = mul(%0, -3/2)\n'
    lengths = []
    for end in range(len(text)):
        try:
            g, _ = parse_program(text[:end])
        except ParseError:
            continue
        lengths.append(len(g.tensors))
    assert all(a <= b for a, b in pairwise(lengths))
    assert lengths[-1] == 2
