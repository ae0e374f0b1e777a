"""C expressions: text that knows how tightly it binds, so that parentheses stand where they are needed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symgrad.errors import IllegalProgram
from symgrad.ir.ops import OPS
from symgrad.records import dataclass
from symgrad.targets.special_c import own_function_of

# How tightly an expression binds; an operand that binds less tightly is put in parentheses.
LOW, SUM, PRODUCT, UNARY, ATOM = range(5)

_BINDING = {"add": SUM, "sub": SUM, "mul": PRODUCT, "div": PRODUCT, "neg": UNARY, "cast": UNARY}
_OPERANDS = {  # how tightly each operand has to bind, to keep C's own grouping equal to ours
    "add": (SUM, PRODUCT), "sub": (SUM, PRODUCT), "mul": (PRODUCT, ATOM), "div": (PRODUCT, ATOM),
    "lt": (SUM, SUM), "le": (SUM, SUM), "eq": (SUM, SUM), "ne": (SUM, SUM),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Expression:
    """C text, how tightly it binds, how deep it nests, whether a store could change its value."""

    text: str
    binding: int = ATOM
    depth: int = 0
    volatile: bool = False

    def operand(self, binding: int) -> str:
        return self.text if self.binding >= binding else f"({self.text})"


def apply(op: str, args: Sequence[Expression], dtype: str, prefix: str = "") -> Expression:
    """The op applied to its arguments, as its row of `ir.ops` spells it.

    prefix  of the functions of our own, which take and return double.
    """
    row = OPS[op]
    if not row.c:
        raise IllegalProgram(f"the op {op} has no spelling in C; it should have been expanded")
    is_call = not row.c.startswith("(")
    wanted = (LOW,) * row.arity if is_call else _OPERANDS.get(op, (ATOM,) * row.arity)
    operands = [a.operand(w) for a, w in zip(args, wanted, strict=True)]
    real, suffix = ("double", "") if dtype == "float64" else ("float", "f")
    text = row.c.format(*operands, f=suffix, real=real, own=f"{prefix}_")
    binding = ATOM
    if own_function_of(op) and dtype == "float32":
        text, binding = f"(float){text}", UNARY
    if not is_call:
        binding = _BINDING.get(op, LOW)
        text = text[1:-1] if row.c.endswith(")") else text  # parentheses come back where needed
    depth = 1 + max((a.depth for a in args), default=0)
    return Expression(text, binding, depth, any(a.volatile for a in args))


def real_literal(value: float, dtype: str) -> Expression:
    """The shortest decimal that C reads back as `value`."""
    if value != value:
        return Expression("NAN")
    if value in (float("inf"), float("-inf")):
        return Expression("INFINITY") if value > 0 else Expression("-INFINITY", UNARY)
    text = repr(value) if dtype == "float64" else str(np.float32(value)) + "f"
    return Expression(text, UNARY if text.startswith("-") else ATOM)
