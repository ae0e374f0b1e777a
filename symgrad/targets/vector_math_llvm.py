"""The functions of `vector_math.py` as LLVM assembly."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from symgrad.targets.trace import Operation
from symgrad.targets.vector_math import APART, FUNCTIONS, OWN, function_of, is_limited, traced

_TYPES = {"real": "double", "single": "float", "bits": "i64", "truth": "i1"}
_INTRINSICS = {"fma": "llvm.fma", "abs": "llvm.fabs", "sqrt": "llvm.sqrt"}
ARGUMENTS = ("%x", "%y")
# No flag on any of them: nothing is fused or reordered, wherever the function is inlined.
_TEXTS = {
    "add": "fadd {real} {0}, {1}", "sub": "fsub {real} {0}, {1}", "mul": "fmul {real} {0}, {1}",
    "div": "fdiv {real} {0}, {1}", "neg": "fneg {real} {0}",
    "fma": "call {real} @llvm.fma.{suffix}({real} {0}, {real} {1}, {real} {2})",
    "abs": "call {real} @llvm.fabs.{suffix}({real} {0})",
    "sqrt": "call {real} @llvm.sqrt.{suffix}({real} {0})",
    "less": "fcmp olt {real} {0}, {1}", "equal_real": "fcmp oeq {real} {0}, {1}",
    "equal_bits": "icmp eq {bits} {0}, {1}",
    "select": "select {truth} {0}, {kind} {1}, {kind} {2}",
    "to_bits": "bitcast {real} {0} to {bits}", "from_bits": "bitcast {bits} {0} to {real}",
    "bits_add": "add {bits} {0}, {1}", "bits_sub": "sub {bits} {0}, {1}", "bits_and": "and {bits} {0}, {1}",
    "bits_or": "or {bits} {0}, {1}", "bits_xor": "xor {bits} {0}, {1}",
    "bits_left": "shl {bits} {0}, {1}", "bits_right": "lshr {bits} {0}, {1}",
    "widen": "fpext {single} {0} to {real}", "narrow": "fptrunc {real} {0} to {single}",
}  # fmt: skip


def function_name(op: str) -> str:
    """How the function is called in a module."""
    return f"symgrad.{op}"


def vector_name(op: str, lanes: int) -> str:
    """How the function of so many arguments at once is called."""
    return f"symgrad.{op}.x{lanes}"


def numbers_type(element: str, lanes: int) -> str:
    """The type of the results of such a function, which LLVM returns in one register each."""
    return f"[{lanes} x {element}]"


def _defined(op: str, dtype: str, attributes: str, lanes: int = 1) -> tuple[str, dict[str, str]]:
    """The text of `define internal REAL @symgrad.OP(REAL)`, and the declarations it needs by name."""
    lines, result, declarations = _body(op, dtype, lanes)
    real = result.rpartition(" ")[0]
    parameters = ", ".join(f"{real} {x}" for x in ARGUMENTS[: FUNCTIONS[function_of(op)].arity])
    head = f"define internal {real} @{function_name(op)}({parameters}) {attributes} {{"
    return "\n".join([head, *lines, f"  ret {result}", "}"]), declarations


def _body(op: str, dtype: str, lanes: int) -> tuple[list[str], str, dict[str, str]]:
    """What computes our own function of ARGUMENTS: lines, the result with its type, declarations by name."""
    operations = traced(function_of(op), dtype)
    types = {kind: lanes_type(name, lanes) for kind, name in _TYPES.items()}
    suffix = lanes_suffix("f64", lanes)
    values: list[str] = []
    lines: list[str] = []
    declarations: dict[str, str] = {}
    for number, o in enumerate(operations):
        if o.op == "argument":
            values.append(ARGUMENTS[int(o.constant)])
        elif o.op == "constant":
            values.append(splat(_TYPES[o.kind], _literal(o), lanes))
        else:
            values.append(f"%t{number}")
            key = f"equal_{operations[o.args[0]].kind}" if o.op == "equal" else o.op
            text = _TEXTS[key].format(
                *(values[a] for a in o.args), kind=types[o.kind], suffix=suffix, **types
            )
            lines.append(f"  %t{number} = {text}")
            if o.op in _INTRINSICS:
                called = f"{_INTRINSICS[o.op]}.{suffix}"
                parameters = ", ".join([types["real"]] * len(o.args))
                declarations[called] = f"declare {types['real']} @{called}({parameters})"
    return lines, f"{types[operations[-1].kind]} {values[-1]}", declarations


def lanes_type(name: str, lanes: int) -> str:
    """The type of a value in each of so many lanes."""
    return name if lanes == 1 else f"<{lanes} x {name}>"


def lanes_suffix(name: str, lanes: int) -> str:
    """How intrinsics name that type."""
    return name if lanes == 1 else f"v{lanes}{name}"


def splat(name: str, literal: str, lanes: int) -> str:
    """A constant in every lane."""
    return literal if lanes == 1 else f"splat ({name} {literal})"


def _literal(o: Operation) -> str:
    if o.kind == "bits":
        return str(o.constant)
    return _real_literal(o.constant)


def _real_literal(x: float) -> str:
    return f"0x{struct.unpack('<Q', struct.pack('<d', x))[0]:016X}"


def _guarded(op: str, dtype: str, attributes: str) -> tuple[str, dict[str, str]]:
    """Our own function up to its limit, the library's beyond; nan takes the first way."""
    name = function_of(op)
    real, suffix, library = ("double", "f64", name) if dtype == "float64" else ("float", "f32", name + "f")
    text = f"""\
define internal {real} @{function_name(op)}({real} %x) {attributes} {{
  %size = call {real} @llvm.fabs.{suffix}({real} %x)
  %far = fcmp ogt {real} %size, {_real_literal(FUNCTIONS[name].limit)}
  br i1 %far, label %library, label %own
library:
  %there = call {real} @{library}({real} %x)
  ret {real} %there
own:
  %here = call {real} @{function_name(OWN + name)}({real} %x)
  ret {real} %here
}}"""
    return text, {
        f"llvm.fabs.{suffix}": f"declare {real} @llvm.fabs.{suffix}({real})",
        library: f"declare {real} @{library}({real}) #1",
    }


def definitions(
    ops: set[str], dtype: str, inlined: str, apart: str, lanes: int = 1
) -> tuple[list[str], dict[str, str]]:
    """The functions for these ops and what they call, in order of their names, and the declarations.

    inlined, apart  the attributes of functions to be inlined, and of those never to be.
    lanes           how many arguments each takes at once; not for those with a limit in parts of their own.
    """
    limited = {op for op in ops if op.startswith(APART) and is_limited(function_of(op))}
    texts: list[str] = []
    declarations: dict[str, str] = {}
    for op in sorted(ops | {OWN + function_of(op) for op in limited}):
        attributes = apart if op.startswith(APART) else inlined
        text, needs = (
            _guarded(op, dtype, attributes) if op in limited else _defined(op, dtype, attributes, lanes)
        )
        texts.append(text)
        declarations |= needs
    return texts, declarations


def vector_definitions(
    functions: set[tuple[str, int]], dtype: str, attributes: str, convention: str = ""
) -> tuple[list[str], dict[str, str], set[str]]:
    """The functions `vector_name`, the declarations they need, and the ops for single numbers that they call.

    functions   op and number of lanes of each.
    attributes  of functions that are never inlined.
    convention  how they are called (`llvm_build.many_registers`).
    """
    texts: list[str] = []
    declarations: dict[str, str] = {}
    single: set[str] = set()
    for op, lanes in sorted(functions):
        found, needs = _at_once(op, dtype, attributes, lanes, convention)
        texts += found
        declarations |= needs
        if is_limited(op):
            single.add(APART + op)
    return texts, declarations, single


def lane_by_lane(name: str, vectors: Sequence[str], element: str, lanes: int) -> list[str]:
    """The lines that call `name` for each lane of the given vectors, and return the results."""
    vector = lanes_type(element, lanes)
    lines, result = [], "poison"
    for lane in range(lanes):
        lines += [f"  %a{lane}.{k} = extractelement {vector} {x}, i64 {lane}" for k, x in enumerate(vectors)]
        operands = ", ".join(f"{element} %a{lane}.{k}" for k in range(len(vectors)))
        lines.append(f"  %y{lane} = call {element} @{name}({operands})")
        lines.append(f"  %r{lane} = insertelement {vector} {result}, {element} %y{lane}, i64 {lane}")
        result = f"%r{lane}"
    return [*lines, f"  ret {vector} {result}"]


def _at_once(
    op: str, dtype: str, attributes: str, lanes: int, convention: str
) -> tuple[list[str], dict[str, str]]:
    """A function of several numbers, which computes with vectors and gives one result for each.

    Vectors are made and taken apart here, once, rather than by every caller: that takes LLVM longer than all
    else that a caller does.
    """
    element = "double" if dtype == "float64" else "float"
    vector, results = lanes_type(element, lanes), numbers_type(element, lanes)
    arguments = ARGUMENTS[: FUNCTIONS[op].arity]
    parameters = ", ".join(f"{element} {x}{lane}" for x in arguments for lane in range(lanes))

    def function(name: str, lines: Sequence[str], values: Sequence[str]) -> str:
        head = f"define internal {convention}{results} @{name}({parameters}) {attributes} {{"
        return "\n".join([head, *lines, *_returned(values, results, element), "}"])

    name, values = vector_name(op, lanes), [f"%v{k}" for k in range(lanes)]
    lines = [line for x in arguments for line in _gathered(x, vector, element, lanes)]
    body, result, declarations = _body(OWN + op, dtype, lanes)
    texts = []
    if is_limited(op):
        called = f"call {element} @{function_name(APART + op)}({element}"
        each = [f"  {value} = {called} %x{k})" for k, value in enumerate(values)]
        texts.append(function(f"{name}.each", each, values))
        guard, needs = _guard(op, dtype, lanes, f"{convention}{results} @{name}.each({parameters})")
        lines += [*guard, f"  ret {results} %there", "own:"]
        declarations |= needs
    lines += [*body, *(f"  {value} = extractelement {result}, i64 {k}" for k, value in enumerate(values))]
    return [*texts, function(name, lines, values)], declarations


def _guard(op: str, dtype: str, lanes: int, otherwise: str) -> tuple[list[str], dict[str, str]]:
    """What goes to the block `own` where all arguments are within the limit, and else calls `otherwise`.

    That is a function of its own: this one has no registers to save for calls of the library.
    """
    element, suffix = ("double", "f64") if dtype == "float64" else ("float", "f32")
    real, truth = lanes_type(element, lanes), lanes_type("i1", lanes)
    size, reduce = f"llvm.fabs.{lanes_suffix(suffix, lanes)}", f"llvm.vector.reduce.or.v{lanes}i1"
    return [
        f"  %size = call {real} @{size}({real} %x)",
        f"  %far = fcmp ogt {real} %size, {splat(element, _real_literal(FUNCTIONS[op].limit), lanes)}",
        f"  %any = call i1 @{reduce}({truth} %far)",
        "  br i1 %any, label %each, label %own",
        "each:",
        f"  %there = call {otherwise}",
    ], {size: f"declare {real} @{size}({real})", reduce: f"declare i1 @{reduce}({truth})"}


def _gathered(x: str, vector: str, element: str, lanes: int) -> Iterator[str]:
    """The lines that make the vector `x` of the numbers x0, x1, ..."""
    before = "poison"
    for lane in range(lanes):
        name = x if lane == lanes - 1 else f"{x}.{lane}"
        yield f"  {name} = insertelement {vector} {before}, {element} {x}{lane}, i64 {lane}"
        before = name


def _returned(numbers: Sequence[str], results: str, element: str) -> Iterator[str]:
    """The lines that return numbers beside each other."""
    before = "poison"
    for k, number in enumerate(numbers):
        yield f"  %r{k} = insertvalue {results} {before}, {element} {number}, {k}"
        before = f"%r{k}"
    yield f"  ret {results} {before}"
