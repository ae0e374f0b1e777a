"""Integer arithmetic as LLVM assembly: folded where it is constant, shared where a block has done it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from symgrad.loops.nest import Least, Poly

Integer = int | str  # a literal, or the name of an i64


class Integers:
    """Appends integer instructions to `lines`.

    names   the value of each integer variable: at first the sizes, which are parameters of the function.
    number  how many names have been given out; every name of the function comes from here.
    """

    def __init__(self, lines: list[str], sizes: Iterable[str], prefix: str) -> None:
        self.lines, self.prefix = lines, prefix
        self.names: dict[str, Integer] = {name: f"%s_{name}" for name in sizes}
        self.number = 0
        self._known: list[dict[str, str]] = [{}]  # instruction -> its result, by enclosing block

    def new(self, text: str) -> str:
        """A new name for the result of an instruction."""
        self.number += 1
        name = f"{self.prefix}{self.number}"
        self.lines.append(f"  {name} = {text}")
        return name

    def shared(self, text: str) -> str:
        """The result of an instruction without effects, reused where an enclosing block has computed it."""
        for known in self._known:
            if text in known:
                return known[text]
        name = self._known[-1][text] = self.new(text)
        return name

    def open_block(self) -> None:
        self._known.append({})

    def close_block(self) -> None:
        self._known.pop()

    def polynomial(self, p: Poly) -> Integer:
        """The value of an integer polynomial."""
        if not p:
            return 0
        if len(p) == 1 and not p[0][0]:
            return p[0][1]
        total: Integer = 0
        for names, k in sorted(p, key=lambda term: term[0] == ()):
            term: Integer = 1
            for name in names:
                term = self.product(term, self.names[name])
            total = self.sum(total, self.product(term, k))
        return total

    def sum(self, a: Integer, b: Integer) -> Integer:
        if isinstance(a, int) and isinstance(b, int):
            return a + b
        return b if a == 0 else a if b == 0 else self.shared(f"add nsw i64 {a}, {b}")

    def product(self, a: Integer, b: Integer) -> Integer:
        if isinstance(a, int) and isinstance(b, int):
            return a * b
        return b if a == 1 else a if b == 1 else 0 if 0 in (a, b) else self.shared(f"mul nsw i64 {a}, {b}")


def least_of(s: Least, integers: Integers, functions: dict[str, str]) -> Integer:
    """Write what computes the least of some integers; notes the functions it declares."""
    return extreme(s.of, "smin", integers, functions)


def extreme(polys: Sequence[Poly], pick: str, integers: Integers, functions: dict[str, str]) -> Integer:
    """Write what computes the least ("smin") or the greatest ("smax") of some integers."""
    result = integers.polynomial(polys[0])
    for p in polys[1:]:
        name = f"llvm.{pick}.i64"
        functions[name] = f"declare i64 @{name}(i64, i64)"
        result = integers.shared(f"call i64 @{name}(i64 {result}, i64 {integers.polynomial(p)})")
    return result
