"""Modified Bessel functions where SciPy's give up before the result leaves the range of numbers, as LLVM.

A function here takes what SciPy's gave, the order and the argument, and gives the result. It is called where
that is 0, tiny, infinite or nan; `ir/special/bessel_ends.py` says what is done, and does it in NumPy.
"""

from __future__ import annotations

from symgrad.ir.special.bessel_ends import HUGE, NEAR, STEPS, TINY
from symgrad.targets.external import SPECIAL, symbol_of

_INFINITY = "0x7FF0000000000000"
_PURE = "nounwind willreturn memory(none)"


class _Body:
    """Lines of a function of doubles, and what it declares."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.declarations: dict[str, str] = {}
        self.count = 0

    def add(self, instruction: str) -> str:
        self.count += 1
        self.lines.append(f"  %v{self.count} = {instruction}")
        return f"%v{self.count}"

    def do(self, operation: str, x: str, y: str) -> str:
        return self.add(f"{operation} double {x}, {y}")

    def either(self, condition: str, x: str, y: str) -> str:
        return self.add(f"select i1 {condition}, double {x}, double {y}")

    def intrinsic(self, name: str, *args: str) -> str:
        symbol = f"llvm.{name}.f64"
        self.declarations[symbol] = f"declare double @{symbol}({', '.join(['double'] * len(args))})"
        return self.add(f"call double @{symbol}({', '.join(f'double {a}' for a in args)})")

    def special(self, name: str, *args: str) -> str:
        symbol = symbol_of(SPECIAL, name)
        kinds = ", ".join([*["double"] * len(args), "i32"])
        self.declarations[symbol] = f"declare double @{symbol}({kinds}) #1"
        return self.add(f"call double @{symbol}({', '.join(f'double {a}' for a in args)}, i32 0)")

    def unscaled(self, scaled: str, exponent: str) -> str:
        """scaled*exp(2*exponent) in two factors, either of which is in range."""
        factor = self.intrinsic("exp", exponent)
        return self.do("fmul", self.do("fmul", scaled, factor), factor)


def _kv(b: _Body) -> str:
    far = b.unscaled(b.special("kve", "%v", "%x"), b.do("fmul", "%x", "-0.5"))
    order = b.intrinsic("fabs", "%v")
    first = b.do("fsub", order, f"{float(STEPS)}")
    low, high = b.special("kv", first, "%x"), b.special("kv", b.do("fadd", first, "1.0"), "%x")
    for k in range(1, STEPS):
        twice = b.do("fmul", b.do("fadd", first, f"{float(k)}"), "2.0")
        low, high = high, b.do("fadd", low, b.do("fmul", b.do("fdiv", twice, "%x"), high))
    is_infinite = b.add(f"fcmp oeq double %y, {_INFINITY}")
    has_steps = b.add(f"fcmp oge double {first}, {float(STEPS)}")
    stepped = b.either(has_steps, b.either(is_infinite, high, "%y"), "%y")
    beyond = b.either(b.add("fcmp ogt double %y, 1.0"), stepped, far)
    return b.either(b.add(f"fcmp uno double {beyond}, {beyond}"), "%y", beyond)


def _iv(b: _Body) -> str:
    size = b.intrinsic("fabs", "%x")
    far = b.unscaled(b.special("ive", "%v", "%x"), b.do("fmul", size, "0.5"))
    is_whole = b.add(f"fcmp oeq double {b.intrinsic('floor', '%v')}, %v")
    order = b.either(is_whole, b.intrinsic("fabs", "%v"), "%v")
    power = b.do("fmul", b.intrinsic("pow", "%x", order), b.intrinsic("pow", "0.5", order))
    near = b.do("fdiv", power, b.special("gamma", b.do("fadd", order, "1.0")))
    is_near = b.add(f"fcmp olt double {size}, {NEAR:e}")
    is_small = b.add(f"fcmp olt double {b.intrinsic('fabs', '%y')}, 1.0")
    beyond = b.either(is_near, near, b.either(is_small, "%y", far))
    return b.either(b.add(f"fcmp uno double {beyond}, {beyond}"), "%y", beyond)


ENDS = {"kv": _kv, "iv": _iv}


def is_inside(y: str) -> list[str]:
    """Lines that set `y.inside`: whether SciPy's result can be trusted."""
    return [
        f"{y}.size = call double @llvm.fabs.f64(double {y})",
        f"{y}.above = fcmp oge double {y}.size, {TINY:e}",
        f"{y}.below = fcmp olt double {y}.size, {HUGE:e}",
        f"{y}.inside = and i1 {y}.above, {y}.below",
    ]


def end_function(name: str, symbol: str) -> tuple[list[str], dict[str, str]]:
    """The lines of the function `symbol`, `double (y, v, x)`, and its declarations."""
    body = _Body()
    body.declarations["llvm.fabs.f64"] = "declare double @llvm.fabs.f64(double)"  # of `is_inside`
    result = ENDS[name](body)
    head = f"define internal double @{symbol}(double %y, double %v, double %x) noinline {_PURE} {{"
    return [head, *body.lines, f"  ret double {result}", "}"], body.declarations
