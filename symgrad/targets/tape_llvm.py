"""The interpreter of tapes (`tape.py`) as LLVM assembly, and the call of it for a segment.

Every instruction is a function of the same five pointers, which ends in a call of the next instruction's: a
jump, since both have one prototype (`musttail`). So each has registers of its own, and the processor predicts
the jump after each instruction from what came before. What an op computes is written by `llvm_body`, as it is
in compiled code, with operands read from slots.
Source: Bell 1973, Threaded Code, CACM 16(6); LLVM Language Reference Manual, "musttail".
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from symgrad.errors import IllegalProgram
from symgrad.ir.ops import OPS
from symgrad.loops.nest import Buffer, Compute, Const, Function, Load, Part, Statement, Store, Value
from symgrad.targets import external_llvm
from symgrad.targets.llvm_body import Body
from symgrad.targets.tape import Segment, Tape, instructions, takes_truth
from symgrad.targets.vector_math import APART, FUNCTIONS, function_of
from symgrad.targets.vector_math_llvm import definitions

_STATE = ("%ip", "%slots", "%constants", "%arrays", "%table")
_PARAMETERS = ", ".join(f"ptr {name}" for name in _STATE)
_ATTRIBUTES = """\
attributes #0 = { nounwind "prefer-vector-width"="512" }
attributes #1 = { nounwind willreturn memory(none) }
attributes #5 = { nounwind noinline willreturn memory(none) }
attributes #6 = { nounwind willreturn memory(argmem: write) }"""


def name_of(dtype: str, special: bool) -> str:
    """The interpreter's name in the modules that call it."""
    return f"symgrad.tape.{dtype}" + (".special" if special else "")


def declaration(name: str) -> str:
    return f"declare void @{name}(ptr, ptr, ptr, ptr)"


@lru_cache
def interpreter(dtype: str, special: bool) -> str:
    """`NAME(words, slots, constants, arrays)`: run instructions up to the next END."""
    name, real = name_of(dtype, special), "double" if dtype == "float64" else "float"
    ops = instructions(special)
    functions = [_ending(), _constant(), _load(real), _store(real)]
    declared: dict[str, str] = {}
    for op in ops:
        text, needs = _operation(op, dtype)
        functions.append(text)
        declared |= needs
    own, needs = definitions({op for op in ops if op.startswith(APART)}, dtype, "#5", "#5")
    declared |= needs
    wrapped = {op for op in ops if external_llvm.is_external_op(op)}
    external, needs = external_llvm.definitions(wrapped, real, "#5")
    declared |= needs
    names = ["end", "const", "load", "store", *ops]
    table = ", ".join(f"ptr @{_function(n)}" for n in names)
    start = f"""\
@table = internal constant [{len(names)} x ptr] [{table}]

define void @{name}(ptr %ip, ptr %slots, ptr %constants, ptr %arrays) #0 {{
  %table = getelementptr i8, ptr @table, i64 0
{_next("%ip", "call")}
}}"""
    shared = [*own, *external, "\n".join(declared[n] for n in sorted(declared)), _ATTRIBUTES]
    return "\n\n".join([start, *functions, *shared]) + "\n"


def segment_call(tape: Tape, segment: Segment, variable: str, interpreter: str) -> list[str]:
    """The lines that run a segment in a function that has the buffers' addresses.

    variable  that holds the address of the tape.
    """
    slots = (
        f"getelementptr i8, ptr %b_{tape.slots}, i64 0" if tape.slots else f"alloca [{segment.slots} x i64]"
    )
    arrays = [f"ptr %b_{name}" for name in segment.arrays]
    lines = [
        f"  %tape = load ptr, ptr @{variable}",
        f"  %words = getelementptr i8, ptr %tape, i64 {tape.first + 4 * segment.start}",
        f"  %slots = {slots}",
        f"  %arrays = alloca [{len(arrays)} x ptr]",
    ]
    for k, array in enumerate(arrays):
        lines += [f"  %array{k} = getelementptr ptr, ptr %arrays, i64 {k}", f"  store {array}, ptr %array{k}"]
    return [*lines, f"  call void @{interpreter}(ptr %words, ptr %slots, ptr %tape, ptr %arrays)"]


# ---- instructions ------------------------------------------------------------------------------


def _function(name: str) -> str:
    return f"do.{name}"


def _written(name: str, lines: Sequence[str], words: int) -> str:
    """The function of an instruction of so many words."""
    head = f"define internal void @{_function(name)}({_PARAMETERS}) #0 {{"
    after = f"  %after = getelementptr i32, ptr %ip, i64 {words}"
    return "\n".join([head, *lines, after, _next("%after", "musttail call"), "}"])


def _next(ip: str, call: str) -> str:
    """Go on with the instruction at `ip`."""
    state = ", ".join(f"ptr {x}" for x in (ip, *_STATE[1:]))
    return f"""\
  %code = load i32, ptr {ip}
  %number = zext i32 %code to i64
  %entry = getelementptr ptr, ptr %table, i64 %number
  %do = load ptr, ptr %entry
  {call} void %do({state})
  ret void"""


def _word(name: str, place: int) -> list[str]:
    return [
        f"  %p{name} = getelementptr i32, ptr %ip, i64 {place}",
        f"  %w{name} = load i32, ptr %p{name}",
        f"  %n{name} = zext i32 %w{name} to i64",
    ]


def _slot(name: str, place: int) -> list[str]:
    """The address of the slot that a word names, as that of a buffer."""
    return [*_word(name, place), f"  %b_{name} = getelementptr i64, ptr %slots, i64 %n{name}"]


def _ending() -> str:
    return f"define internal void @{_function('end')}({_PARAMETERS}) #0 {{\n  ret void\n}}"


def _constant() -> str:
    lines = [*_slot("y", 1), *_word("c", 2)]
    lines += ["  %place = getelementptr i64, ptr %constants, i64 %nc", "  %value = load i64, ptr %place"]
    return _written("const", [*lines, "  store i64 %value, ptr %b_y"], 3)


def _load(real: str) -> str:
    lines = [*_slot("y", 1), *_array(real), f"  %value = load {real}, ptr %element"]
    return _written("load", [*lines, f"  store {real} %value, ptr %b_y"], 4)


def _store(real: str) -> str:
    lines = [*_slot("x", 1), *_array(real), f"  %value = load {real}, ptr %b_x"]
    return _written("store", [*lines, f"  store {real} %value, ptr %element"], 4)


def _array(real: str) -> list[str]:
    """The address of an element: words 2 and 3."""
    return [
        *_word("a", 2),
        *_word("i", 3),
        "  %start = getelementptr ptr, ptr %arrays, i64 %na",
        "  %array = load ptr, ptr %start",
        f"  %element = getelementptr {real}, ptr %array, i64 %ni",
    ]


def _operation(op: str, dtype: str) -> tuple[str, dict[str, str]]:
    """The function of an op, and what it declares, by name."""
    name = function_of(op)
    arity = FUNCTIONS[name].arity if name else OPS[op].arity
    operands = [f"x{k}" for k in range(arity)]
    lines = _slot("y", 1)
    for k, x in enumerate(operands):
        lines += _slot(x, 2 + k)
    body = Body([Buffer(x, "work", ()) for x in ("y", *operands)], (), dtype, {})
    body.contracts = False
    body.write(_statements(op, operands), _no_part, _no_function)
    return _written(op, [*lines, *body.lines], 2 + arity), body.functions


def _statements(op: str, operands: Sequence[str]) -> list[Statement]:
    """y = op(operands), with the numbers 0 and 1 for truth values."""
    zero, result = len(operands), len(operands) + 1
    body: list[Statement] = [Const(zero, ("q", 0, 1))]
    values: list[Value] = []
    for k, x in enumerate(operands):
        body.append(Load(k, x, ()))
        values.append(k)
        if takes_truth(op, k):
            values[k] = result + 1 + k
            body.append(Compute(values[k], "ne", (k, zero)))
    body.append(Compute(result, op, tuple(values)))
    if op in OPS and OPS[op].result == "bool":
        number = 2 * result
        return [*body, Compute(number, "cast", (result,)), Store("y", (), number)]
    return [*body, Store("y", (), result)]


def _no_part(part: Part) -> tuple[str, str]:
    raise IllegalProgram("an instruction has no parts")


def _no_function(function: Function) -> str:
    raise IllegalProgram("an instruction has no loops")
