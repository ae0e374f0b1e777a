"""The functions of `vector_math.py` as LLVM assembly."""

from __future__ import annotations

import struct

from symgrad.targets.vector_math import APART, FUNCTIONS, OWN, Operation, function_of, is_limited, traced

_TYPES = {"real": "double", "single": "float", "bits": "i64", "truth": "i1"}
_INTRINSICS = {"fma": "llvm.fma.f64", "abs": "llvm.fabs.f64"}
# No flag on any of them: nothing is fused or reordered, wherever the function is inlined.
_TEXTS = {
    "add": "fadd double {0}, {1}", "sub": "fsub double {0}, {1}", "mul": "fmul double {0}, {1}",
    "div": "fdiv double {0}, {1}", "neg": "fneg double {0}",
    "fma": "call double @llvm.fma.f64(double {0}, double {1}, double {2})",
    "abs": "call double @llvm.fabs.f64(double {0})",
    "less": "fcmp olt double {0}, {1}", "equal_real": "fcmp oeq double {0}, {1}",
    "equal_bits": "icmp eq i64 {0}, {1}",
    "select": "select i1 {0}, {kind} {1}, {kind} {2}",
    "to_bits": "bitcast double {0} to i64", "from_bits": "bitcast i64 {0} to double",
    "bits_add": "add i64 {0}, {1}", "bits_sub": "sub i64 {0}, {1}", "bits_and": "and i64 {0}, {1}",
    "bits_or": "or i64 {0}, {1}", "bits_xor": "xor i64 {0}, {1}",
    "bits_left": "shl i64 {0}, {1}", "bits_right": "lshr i64 {0}, {1}",
    "widen": "fpext float {0} to double", "narrow": "fptrunc double {0} to float",
}  # fmt: skip


def function_name(op: str) -> str:
    """How the function is called in a module."""
    return f"symgrad.{op}"


def _defined(op: str, dtype: str, attributes: str) -> tuple[str, dict[str, str]]:
    """The text of `define internal REAL @symgrad.OP(REAL)`, and the declarations it needs by name."""
    operations = traced(function_of(op), dtype)
    values: list[str] = []
    lines: list[str] = []
    declarations: dict[str, str] = {}
    for number, o in enumerate(operations):
        if o.op == "argument":
            values.append("%x")
        elif o.op == "constant":
            values.append(_literal(o))
        else:
            values.append(f"%t{number}")
            key = f"equal_{operations[o.args[0]].kind}" if o.op == "equal" else o.op
            text = _TEXTS[key].format(*(values[a] for a in o.args), kind=_TYPES[o.kind])
            lines.append(f"  %t{number} = {text}")
            if o.op in _INTRINSICS:
                called = _INTRINSICS[o.op]
                parameters = ", ".join(["double"] * len(o.args))
                declarations[called] = f"declare double @{called}({parameters})"
    real = _TYPES[operations[-1].kind]
    head = f"define internal {real} @{function_name(op)}({real} %x) {attributes} {{"
    return "\n".join([head, *lines, f"  ret {real} {values[-1]}", "}"]), declarations


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


def definitions(ops: set[str], dtype: str, inlined: str, apart: str) -> tuple[list[str], dict[str, str]]:
    """The functions for these ops and what they call, in order of their names, and the declarations.

    inlined, apart  the attributes of functions to be inlined, and of those never to be.
    """
    limited = {op for op in ops if op.startswith(APART) and is_limited(function_of(op))}
    texts: list[str] = []
    declarations: dict[str, str] = {}
    for op in sorted(ops | {OWN + function_of(op) for op in limited}):
        write = _guarded if op in limited else _defined
        text, needs = write(op, dtype, apart if op.startswith(APART) else inlined)
        texts.append(text)
        declarations |= needs
    return texts, declarations
