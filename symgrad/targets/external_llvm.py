"""Ops whose LLVM spelling is a function of SciPy's: one internal function around each.

The inner function computes in double precision, takes Cython's flag, and may return several results through
pointers; the wrapper has the op's type. A row spells it as

    external NAME                 the result of NAME(arguments)
    external NAME 1 of 4          the second of the four results of NAME(arguments, pointers)
    external NAME then 1          the result of NAME(arguments, 1.0)
    external NAME orders A B      the same, but A(x) for order 0 and B(x) for order 1, which are much faster;
                                  where the result is at the end of their range, by `bessel_ends.py`
"""

from __future__ import annotations

from symgrad.ir.ops import OPS
from symgrad.targets.bessel_ends import ENDS, end_function, is_inside
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
    wrappers = [_Wrapper(op, real, attributes) for op in sorted(ops)]
    declarations: dict[str, str] = {}
    for wrapper in wrappers:
        declarations |= wrapper.declarations
    return ["\n".join(wrapper.lines) for wrapper in wrappers], declarations


class _Wrapper:
    """The function of one op: `lines`, and the declarations it needs."""

    def __init__(self, op: str, real: str, attributes: str) -> None:
        self.real = real
        self.declarations: dict[str, str] = {}
        name, *words = OPS[op].llvm.removeprefix(_PREFIX).split(" ")
        self.end = f"{function_name(op)}.end" if name in ENDS else ""
        parameters = [f"%x{k}" for k in range(OPS[op].arity)]
        head = ", ".join(f"{real} {p}" for p in parameters)
        self.lines = [f"define internal {real} @{function_name(op)}({head}) {attributes} {{"]
        arguments = parameters
        if real == "float":
            arguments = [f"%w{k}" for k in range(len(parameters))]
            self._add(
                *(f"{w} = fpext float {p} to double" for w, p in zip(arguments, parameters, strict=True))
            )
        if words[:1] == ["orders"]:
            for order, special in enumerate(words[1:]):
                self._of_order(order, special, arguments)
        if words[:1] == ["then"]:
            arguments = [*arguments, f"{float(words[1]):e}"]
        if words[1:2] == ["of"]:
            self._through_pointers(name, arguments, int(words[0]), int(words[2]))
        else:
            self._call("%y", name, arguments)
        self._checked("%y", arguments)
        self.lines.append("}")
        if self.end:
            lines, declarations = end_function(name, self.end)
            self.lines += ["", *lines]
            self.declarations |= declarations

    def _add(self, *lines: str) -> None:
        self.lines += [f"  {line}" for line in lines]

    def _return(self, value: str) -> None:
        if self.real == "float":
            self._add(f"{value}.n = fptrunc double {value} to float")
            value += ".n"
        self._add(f"ret {self.real} {value}")

    def _checked(self, value: str, arguments: list[str]) -> None:
        """Return the value, or what there is at the end of SciPy's range."""
        if not self.end:
            self._return(value)
            return
        label = value.removeprefix("%")
        self._add(*is_inside(value), f"br i1 {value}.inside, label %{label}.known, label %{label}.beyond")
        self.lines.append(f"{label}.known:")
        self._return(value)
        self.lines.append(f"{label}.beyond:")
        typed = ", ".join(f"double {a}" for a in (value, *arguments))
        self._add(f"{value}.end = call double @{self.end}({typed})")
        self._return(f"{value}.end")

    def _call(self, result: str, name: str, arguments: list[str]) -> None:
        symbol = symbol_of(SPECIAL, name)
        typed = ", ".join(f"double {a}" for a in arguments)
        self._add(f"{result} = call double @{symbol}({typed}, i32 0)")
        types = ", ".join(["double"] * len(arguments) + ["i32"])
        self.declarations[symbol] = f"declare double @{symbol}({types}) #1"

    def _of_order(self, order: int, name: str, arguments: list[str]) -> None:
        self._add(
            f"%is{order} = fcmp oeq double {arguments[0]}, {float(order):e}",
            f"br i1 %is{order}, label %order{order}, label %not{order}",
        )
        self.lines.append(f"order{order}:")
        self._call(f"%y{order}", name, arguments[1:])
        self._checked(f"%y{order}", arguments)
        self.lines.append(f"not{order}:")

    def _through_pointers(self, name: str, arguments: list[str], place: int, count: int) -> None:
        symbol = symbol_of(SPECIAL, name)
        results = [f"%p{k}" for k in range(count)]
        typed = ", ".join([*(f"double {a}" for a in arguments), *(f"ptr {p}" for p in results)])
        self._add(*(f"{p} = alloca double" for p in results))
        self._add(f"call void @{symbol}({typed})", f"%y = load double, ptr {results[place]}")
        types = ", ".join(["double"] * len(arguments) + ["ptr"] * count)
        self.declarations[symbol] = f"declare void @{symbol}({types}) #6"
