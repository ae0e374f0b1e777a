"""A program as text that can be read, compared, and read back.

    size n ~ 1000                      a size, and its hint if there is one
    input x: real[n, 3]
    input idx: int[n]
    map T0[i0 < n]                     a definition: kind, name, axes of the result
      %0 = exp(x[idx[i0], 2])          a value used more than once, or too long for one line
      = mul(%0, sin(%0))               the body
    sum T1[] over [i0 < n]             a reduction over an axis
      = T0[i0]
    output value = T1

A call of a matrix function starts with the function's name, has the axes of its operands after `over`, and
one `=` line per operand. `enum` has one `=` line per entry; `scatter T[extents] over [axes]` ends with a
line `at index, ...`. A recurrence is `state T[extents]`, which its step reads, and `scan T entry k` (or
`backward_scan`) with a line `with state from first step step` for each state.
Integers are written as sums of products (`2*i0 - n + 1`), everything else as calls. Rationals are
exact (`-3/2`); other constants start with @ (`@pi`, `@inf`). A name that is not an ordinary
identifier is a JSON string. Nothing is rewritten on the way in, so printing what was parsed gives
the same text, and every value is printed once, so the text is as long as the program.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.tensor import SCANS, Tensor
from symgrad.ir.text_parse import parse_program as parse_program

_LONG = 90  # a value whose text is longer gets a line of its own
_HEAVY = 6  # indices with more parts than this are not repeated either
_CAP = 100
_MOST_SHOWN = 40  # nodes of a value, where only an impression is wanted
_DECIMAL_BITS = 4096  # longer integers are written in hexadecimal, which is linear to convert
_PLAIN = re.compile(r"(?!(?:[iT]\d+|true|false)\Z)[A-Za-z_][A-Za-z0-9_]*\Z")
_LEAVES = frozenset(("const", "size", "axis", "true", "false"))
_INDEX_LIKE = frozenset(("lin", "imul", "read", "ige", "ieq", "cast"))
_HASH_MASK = (1 << 61) - 1


def print_program(g: Graph, outputs: Mapping[str, TensorId]) -> str:
    """The definitions that `outputs` need, as text; see the module's docstring for the form.

    Linear in the size of the program. Raises nothing for a legal program (`ir.check`).
    """
    needed = g.definitions_below(outputs.values())
    names = _tensor_names(g, needed)
    printer = _Printer(g, names)
    inputs = [t for t in needed if g.tensors[t].kind == "input"]
    lines = [_size_line(g, n) for n in _sizes(g, needed)]
    lines += [_input_line(printer, g.tensors[t]) for t in inputs]
    for t in needed:
        if g.tensors[t].kind != "input":
            lines += printer.definition(names[t], g.tensors[t])
    lines += [f"output {name_text(name)} = {names[t]}" for name, t in outputs.items()]
    return "\n".join(lines) + "\n"


def node_text(g: Graph, node: Node) -> str:
    """A value on one line, definitions by their kind; "..." where that would be long."""
    if len(g.reachable((node,))) > _MOST_SHOWN:
        return "..."
    reads = [g.args[r][0] for r in g.reads((node,))]
    names = {t: name_text(g.tensors[t].name) if g.tensors[t].name else g.tensors[t].kind for t in reads}
    return _Printer(g, names).extent(node)


def name_text(name: str) -> str:
    """A name as it stands in the text: bare where that is unambiguous, else a JSON string."""
    return name if _PLAIN.match(name) else json.dumps(name)


def _tensor_names(g: Graph, needed: Iterable[TensorId]) -> dict[TensorId, str]:
    """Inputs by their own name, definitions as T0, T1, ... in order."""
    names: dict[TensorId, str] = {}
    count = 0
    for t in needed:
        if g.tensors[t].kind == "input":
            names[t] = name_text(g.tensors[t].name)
        else:
            names[t] = f"T{count}"
            count += 1
    return names


def _sizes(g: Graph, needed: Iterable[TensorId]) -> list[str]:
    """The names of all sizes in use, sorted."""
    roots: list[Node] = []
    for t in needed:
        tensor = g.tensors[t]
        roots += [*tensor.bodies, *tensor.target, *tensor.extents, *tensor.out, *tensor.red]
    return sorted(g.args[n][0] for n in g.reachable(roots) if g.op[n] == "size")


def _size_line(g: Graph, name: str) -> str:
    hint = f" ~ {g.hints[name]}" if name in g.hints else ""
    return f"size {name_text(name)}{hint}"


def _input_line(printer: _Printer, tensor: Tensor) -> str:
    extents = ", ".join(printer.extent(e) for e in tensor.extents)
    return f"input {name_text(tensor.name)}: {tensor.dtype}[{extents}]"


class _Printer:
    """Prints definitions. Every order it chooses depends on the structure only, not on node numbers."""

    def __init__(self, g: Graph, names: Mapping[TensorId, str]) -> None:
        self.g, self.names = g, names
        self.digests: dict[Node, int] = {}
        self.text: dict[Node, str] = {}  # of the definition being printed
        self.lines: list[str] = []

    def extent(self, node: Node) -> str:
        self.text = {}
        for n in self._post_order((node,)):
            self.text[n] = self._render(n)
        return self.text[node]

    def definition(self, name: str, tensor: Tensor) -> list[str]:
        if tensor.kind in ("state", *SCANS):
            return self._recurrence(name, tensor)
        self.lines = [self._header(name, tensor)]
        self.text = {}
        roots = (*tensor.bodies, *tensor.target)
        order = self._post_order(roots)
        self._render_all(order, self._shared(order, roots), frozenset(roots))
        self.lines += [f"  = {self.text[b]}" for b in tensor.bodies]
        if tensor.kind == "scatter":
            self.lines.append("  at " + ", ".join(self.text[i] for i in tensor.target))
        return self.lines

    def _recurrence(self, name: str, tensor: Tensor) -> list[str]:
        if tensor.kind == "state":
            return [f"state {name}[{', '.join(self.extent(e) for e in tensor.extents)}]"]
        named = iter([self.names[s] for s in tensor.links])
        triples = zip(named, named, named, strict=True)
        lines = [f"  with {state} from {first} step {step}" for state, first, step in triples]
        return [f"{tensor.kind} {name} entry {tensor.entry}", *lines]

    def _header(self, name: str, tensor: Tensor) -> str:
        out = [self._axis(a) for a in tensor.out]
        if tensor.kind == "scatter":
            out = [self.extent(e) for e in tensor.extents]
        over = ", ".join(self._axis(a) for a in tensor.red)
        word = tensor.name if tensor.kind == "call" else tensor.kind
        return f"{word} {name}[{', '.join(out)}]" + (f" over [{over}]" if tensor.red else "")

    def _axis(self, axis: Node) -> str:
        return f"i{self.g.args[axis][0]} < {self.extent(self.g.extent(axis))}"

    # ---- order and sharing -----------------------------------------------------------------

    def _children(self, n: Node) -> list[Node]:
        """What the text of `n` shows, in the order it shows it."""
        g, op = self.g, self.g.op[n]
        if op == "axis":
            return []
        if op == "lin":
            return sorted(g.children(n), key=self._index_order)
        if op == "imul":
            return sorted(g.factors(n), key=self._index_order)
        return list(g.children(n))

    def _index_order(self, atom: Node) -> tuple[int, int, str, int]:
        """Axes by number, then sizes by name, then the rest by what they are made of."""
        op, args = self.g.op[atom], self.g.args[atom]
        if op == "axis":
            return 0, args[0], "", 0
        return (1, 0, args[0], 0) if op == "size" else (2, 0, "", self._digest(atom))

    def _digest(self, root: Node) -> int:
        """A hash of an integer node's structure, the same in every process and numbering."""
        stack = [root]
        while stack:
            n = stack.pop()
            if n in self.digests:
                continue
            parts = () if self.g.op[n] == "axis" else self.g.children(n)
            todo = [c for c in parts if c not in self.digests]
            if todo:
                stack += [n, *todo]
            else:
                self.digests[n] = self._digest_of(n)
        return self.digests[root]

    def _digest_of(self, n: Node) -> int:
        g, op, args = self.g, self.g.op[n], self.g.args[n]
        if op == "lin":  # order of atoms must not matter
            terms = zip(args[1::2], args[2::2], strict=True)
            return _hash(op, args[0], *sorted(_hash("term", self.digests[a], k) for a, k in terms))
        if op == "imul":
            return _hash(op, *sorted(self.digests[f] for f in g.factors(n)))
        if op == "read":
            return _hash(op, self.names[args[0]], *(self.digests[i] for i in args[1:]))
        return _hash(op, *(str(a) for a in (args[:1] if op == "axis" else args)))

    def _post_order(self, roots: Iterable[Node]) -> list[Node]:
        order: dict[Node, None] = {}
        stack = [(r, False) for r in reversed(tuple(roots))]
        while stack:
            n, ready = stack.pop()
            if n in order:
                continue
            if ready:
                order[n] = None
            else:
                stack.append((n, True))
                stack += [(c, False) for c in reversed(self._children(n)) if c not in order]
        return list(order)

    def _shared(self, order: list[Node], roots: Iterable[Node]) -> set[Node]:
        """The nodes whose text would be repeated, leaves and small indices excepted."""
        weight: dict[Node, int] = {}
        for n in order:
            weight[n] = min(_CAP, 1 + sum(weight[c] for c in self._children(n)))
        uses = dict.fromkeys(order, 0)
        for r in roots:
            uses[r] += 1
        shared: set[Node] = set()
        for n in reversed(order):  # a node's users come before it
            op = self.g.op[n]
            small = op in _LEAVES or (op in _INDEX_LIKE and weight[n] <= _HEAVY)
            if uses[n] > 1 and not small:
                shared.add(n)
            shown = 1 if n in shared else min(uses[n], 2)
            for c in self._children(n):
                uses[c] += shown
        return shared

    # ---- text ------------------------------------------------------------------------------

    def _render_all(self, order: list[Node], shared: set[Node], roots: frozenset[Node]) -> None:
        """Fill `text`, with a line for every shared or long value."""
        count = 0
        for n in order:
            text = self._render(n)
            long = len(text) > _LONG and n not in roots and self.g.op[n] not in _LEAVES
            if n in shared or long:
                self.lines.append(f"  %{count} = {text}")
                text = f"%{count}"
                count += 1
            self.text[n] = text

    def _render(self, n: Node) -> str:
        g, op, args = self.g, self.g.op[n], self.g.args[n]
        if op == "const":
            return _constant_text(args)
        if op == "size":
            return name_text(args[0])
        if op == "axis":
            return f"i{args[0]}"
        if op in ("true", "false"):
            return op
        parts = [self.text[c] for c in self._children(n)]
        if op == "lin":
            coefficients = g.linear(n)[1]
            return _linear_text(args[0], [coefficients[c] for c in self._children(n)], parts)
        if op == "imul":
            return "*".join(parts)
        if op == "read":
            return f"{self.names[args[0]]}[{', '.join(parts)}]"
        return f"{op}({', '.join(parts)})"


def _linear_text(constant: int, coefficients: list[int], atoms: list[str]) -> str:
    out = ""
    for k, atom in zip(coefficients, atoms, strict=True):
        sign = ("-" if k < 0 else "") if not out else (" - " if k < 0 else " + ")
        out += sign + (atom if abs(k) == 1 else f"{_integer_text(abs(k))}*{atom}")
    if constant:
        out += (" - " if constant < 0 else " + ") + _integer_text(abs(constant))
    return out


def _constant_text(args: tuple[Any, ...]) -> str:
    if args[0] != "q":
        return f"@{args[1]}"
    n, d = args[1], args[2]
    return _integer_text(n) if d == 1 else f"{_integer_text(n)}/{_integer_text(d)}"


def _integer_text(n: int) -> str:
    return str(n) if n.bit_length() <= _DECIMAL_BITS else f"{'-' if n < 0 else ''}{abs(n):#x}"


def _hash(*parts: object) -> int:
    """FNV-1a over the printed parts: Python's own hash of text differs between processes."""
    key = 1469598103934665603
    for part in parts:
        for byte in f"{part};".encode("utf-8", "surrogatepass"):
            key = ((key ^ byte) * 1099511628211) & _HASH_MASK
    return key
