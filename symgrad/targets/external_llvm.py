"""Ops whose LLVM spelling is a function of SciPy's: one internal function around each.

The inner function computes in double precision, takes Cython's flag, and may return several results through
pointers; the wrapper has the op's type. A row spells it as

    external NAME                 the result of NAME(arguments)
    external NAME 1 of 4          the second of the four results of NAME(arguments, pointers)
    external NAME then 1          the result of NAME(arguments, 1.0)
"""

from __future__ import annotations

from symgrad.ir.ops import OPS
from symgrad.targets.external import SPECIAL, symbol_of

_PREFIX = "external "


def is_external_op(op: str) -> bool:
    """Whether the op is spelled as a call of a function of SciPy's."""
    return op in OPS and OPS[op].llvm.startswith(_PREFIX)


def function_name(op: str) -> str:
    """How the op's function is called in a module."""
    return f"symgrad.{op}"


def call(op: str, real: str, operands: list[str]) -> str:
    """The instruction that applies the op."""
    return f"call {real} @{function_name(op)}({', '.join(f'{real} {x}' for x in operands)})"


def definitions(ops: set[str], real: str, attributes: str) -> tuple[list[str], dict[str, str]]:
    """The functions for these ops in order of their names, and what they declare, by name."""
    texts: list[str] = []
    declarations: dict[str, str] = {}
    for op in sorted(ops):
        text, symbol, declaration = _definition(op, real, attributes)
        texts.append(text)
        declarations[symbol] = declaration
    return texts, declarations


def _definition(op: str, real: str, attributes: str) -> tuple[str, str, str]:
    name, *words = OPS[op].llvm.removeprefix(_PREFIX).split(" ")
    symbol = symbol_of(SPECIAL, name)
    parameters = [f"%x{k}" for k in range(OPS[op].arity)]
    head = ", ".join(f"{real} {p}" for p in parameters)
    lines = [f"define internal {real} @{function_name(op)}({head}) {attributes} {{"]
    arguments = parameters
    if real == "float":
        lines += [f"  %w{k} = fpext float {p} to double" for k, p in enumerate(parameters)]
        arguments = [f"%w{k}" for k in range(len(parameters))]
    if words[:1] == ["then"]:
        arguments = [*arguments, f"{float(words[1]):e}"]
    typed = [f"double {a}" for a in arguments]
    if words[1:2] == ["of"]:
        results = [f"%p{k}" for k in range(int(words[2]))]
        lines += [f"  {p} = alloca double" for p in results]
        lines.append(f"  call void @{symbol}({', '.join([*typed, *(f'ptr {p}' for p in results)])})")
        lines.append(f"  %y = load double, ptr {results[int(words[0])]}")
        types = ", ".join(["double"] * len(arguments) + ["ptr"] * len(results))
        declaration = f"declare void @{symbol}({types}) #6"
    else:
        lines.append(f"  %y = call double @{symbol}({', '.join([*typed, 'i32 0'])})")
        types = ", ".join(["double"] * len(arguments) + ["i32"])
        declaration = f"declare double @{symbol}({types}) #1"
    if real == "float":
        lines.append("  %n = fptrunc double %y to float")
    lines += [f"  ret {real} {'%n' if real == 'float' else '%y'}", "}"]
    return "\n".join(lines), symbol, declaration
