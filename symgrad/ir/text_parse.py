"""Reads the text form of a program; `ir.text` describes the form and writes it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import field
from fractions import Fraction

from symgrad.errors import ParseError
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.matrix.functions import MATRIX_FUNCTIONS
from symgrad.ir.ops import OPS
from symgrad.ir.tensor import KINDS, SCANS
from symgrad.records import dataclass

_TOKEN = re.compile(
    r"""\s*(?: (?P<string>"(?:[^"\\]|\\.)*") | (?P<temporary>%[0-9]+) | (?P<constant>@-?[A-Za-z_]+)
      | (?P<number>0x[0-9a-f]+|[0-9]{1,4000}) | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<mark>[][(),:<~=*/+-]) )""",
    re.VERBOSE,
)
_ARITY = {"ige": 1, "ieq": 1}
_AXIS = re.compile(r"i(0|[1-9][0-9]{0,8})\Z")
_DEFINITION = re.compile(r"T[0-9]+\Z")
_NON_FINITE = ("inf", "-inf", "nan")
_TRY = "print a program to see the form, or read the docstring of symgrad.ir.text"

Token = tuple[str, str]  # (kind, text)
_END: Token = ("end", "the end of the line")


def parse_program(text: str) -> tuple[Graph, dict[str, TensorId]]:
    """The program a text describes, in a graph of its own: (graph, {output name: tensor}).

    Nodes are made as written, without rewriting. Raises ParseError with the number of the line.
    Linear in the length of the text, whatever its nesting.
    """
    reader = _Program()
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            reader.line(line)
        except _Problem as problem:
            where = f"line {number}: {_shortened(line)}"
            raise ParseError(f"line {number} of a program: {problem}", where=where, try_=_TRY) from None
    return reader.finish(number)


class _Problem(Exception):
    """What is wrong with a line; `parse_program` adds which one."""


def _shortened(line: str) -> str:
    text = ascii(line.strip())[1:-1]
    return text if len(text) <= 80 else text[:77] + "..."


@dataclass
class _Definition:
    kind: str
    name: str
    out: list[Node]
    red: list[Node]
    extents: list[Node]
    function: str = ""
    bodies: list[Node] = field(default_factory=list)
    target: list[Node] = field(default_factory=list)
    links: list[TensorId] = field(default_factory=list)
    entry: int = 0


class _Line:
    """The tokens of one line and a place among them."""

    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.at = 0

    def peek(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        token = self.tokens[self.at]
        self.at += token is not _END
        return token

    def take_if(self, text: str) -> bool:
        kind, found = self.peek()
        if kind in ("mark", "name") and found == text:
            self.at += 1
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.take_if(text):
            raise _Problem(f"expected {text!r}, found {self.peek()[1]!r}")

    def name(self) -> str:
        kind, text = self.take()
        if kind == "name":
            return text
        if kind == "string":
            return _string(text)
        raise _Problem(f"expected a name, found {text!r}")

    def end(self) -> None:
        if self.peek() is not _END:
            raise _Problem(f"{self.peek()[1]!r} is too much")


def _tokens(text: str) -> list[Token]:
    out: list[Token] = []
    at, stop = 0, len(text.rstrip())
    while at < stop:
        match = _TOKEN.match(text, at)
        if match is None:
            raise _Problem(f"column {at + 1} cannot be read")
        out.append((str(match.lastgroup), match[match.lastgroup or 0]))
        at = match.end()
    return [*out, _END]


def _string(text: str) -> str:
    try:
        return str(json.loads(text))
    except json.JSONDecodeError as error:
        raise _Problem(f"{text} is not a JSON string") from error


class _Program:
    """The program read so far."""

    def __init__(self) -> None:
        self.g = Graph()
        self.tensors: dict[str, TensorId] = {}  # inputs by name, definitions by "T0" with a mark in front
        self.outputs: dict[str, TensorId] = {}
        self.current: _Definition | None = None
        self.temporaries: dict[str, Node] = {}
        self.axes: dict[str, Node] = {}

    def line(self, text: str) -> None:
        line = _Line(text)
        if line.peek() is _END:
            return
        if line.peek()[0] == "temporary" or line.peek()[1] in ("=", "at", "with"):
            self._body_line(line)
        else:
            self._close()
            self._statement(line)
        line.end()

    def finish(self, lines: int) -> tuple[Graph, dict[str, TensorId]]:
        try:
            self._close()
        except _Problem as problem:
            raise ParseError(f"line {lines} of a program: {problem}", try_=_TRY) from None
        return self.g, self.outputs

    # ---- statements ------------------------------------------------------------------------

    def _statement(self, line: _Line) -> None:
        word = line.name()
        handler: Callable[[_Line], None] | None = {
            "size": self._size, "input": self._input, "output": self._output,
        }.get(word)  # fmt: skip
        if handler is not None:
            handler(line)
        elif word in MATRIX_FUNCTIONS:
            self._header("call", line, word)
        elif word in KINDS and word != "call":
            self._header(word, line)
        else:
            raise _Problem(f"{word!r} does not start a line")

    def _size(self, line: _Line) -> None:
        name = line.name()
        self.g.size(name)
        if line.take_if("~"):
            kind, text = line.take()
            if kind != "number":
                raise _Problem(f"expected a number, found {text!r}")
            self.g.hints[name] = int(text, 0)

    def _input(self, line: _Line) -> None:
        name = line.name()
        line.expect(":")
        dtype = line.name()
        if dtype not in ("real", "int"):
            raise _Problem(f"an input is real or int, not {dtype!r}")
        self.axes = {}
        extents = self._integers(line)
        self._new_tensor("$" + name, self.g.input(name, extents, dtype))

    def _output(self, line: _Line) -> None:
        name = line.name()
        line.expect("=")
        if name in self.outputs:
            raise _Problem(f"a second output {name!r}")
        self.outputs[name] = self.tensor(line.take())

    def _header(self, kind: str, line: _Line, function: str = "") -> None:
        token, name = line.take()
        if token != "name" or not _DEFINITION.match(name):
            raise _Problem(f"a definition is called T0, T1, ..., not {name!r}")
        self.axes, self.temporaries = {}, {}
        if kind in SCANS:
            line.expect("entry")
            self.current = _Definition(kind, name, [], [], [], entry=self._count(line))
            return
        if kind in ("scatter", "state"):
            extents, out = self._integers(line), []
        else:
            extents, out = [], self._axis_list(line)
        red = self._axis_list(line) if line.take_if("over") else []
        self.current = _Definition(kind, name, out, red, extents, function)

    def _axis_list(self, line: _Line) -> list[Node]:
        """`[i0 < extent, ...]`, numbered on from the axes there are."""
        out: list[Node] = []
        line.expect("[")
        while not line.take_if("]"):
            if out:
                line.expect(",")
            name, wanted = line.name(), f"i{len(self.axes)}"
            if name != wanted:
                raise _Problem(f"axes are numbered in order: expected {wanted}, found {name!r}")
            line.expect("<")
            axis = self.g.axis(len(self.axes), self._integer(line))
            self.axes[name] = axis
            out.append(axis)
        return out

    def _body_line(self, line: _Line) -> None:
        if self.current is None:
            raise _Problem("a body without a definition")
        kind, text = line.take()
        if kind == "temporary":
            line.expect("=")
            if text in self.temporaries:
                raise _Problem(f"a second {text}")
            self.temporaries[text] = self._value(line)
        elif text == "with":
            self._link(line)
        elif text == "=":
            self.current.bodies.append(self._value(line))
        else:
            self.current.target.append(self._integer(line))
            while line.take_if(","):
                self.current.target.append(self._integer(line))

    def _link(self, line: _Line) -> None:
        """Read `with state from first step step`."""
        assert self.current is not None
        self.current.links.append(self.tensor(line.take()))
        for word in ("from", "step"):
            line.expect(word)
            self.current.links.append(self.tensor(line.take()))

    def _count(self, line: _Line) -> int:
        kind, text = line.take()
        if kind != "number":
            raise _Problem(f"expected a number, found {text!r}")
        return int(text, 0)

    def _recurrence(self, d: _Definition) -> TensorId:
        """A state with a number of its own, or a scan of the extents of its state."""
        if d.bodies or d.target:
            raise _Problem(f"{d.name} is a recurrence and has no lines with '=' or 'at'")
        if d.kind == "state":
            return self.g.recurrence("state", d.extents, self.g.fresh_number())
        if 3 * d.entry >= len(d.links):
            raise _Problem(f"{d.name} has no state {d.entry}")
        return self.g.recurrence(d.kind, self.g.tensors[d.links[3 * d.entry]].extents, d.entry, d.links)

    def _close(self) -> None:
        """Define what has been read since the last header."""
        d, self.current = self.current, None
        if d is None:
            return
        if d.kind in ("state", *SCANS):
            self._new_tensor(d.name, self._recurrence(d))
            return
        if d.links:
            raise _Problem(f"{d.name} has lines with 'with' and is no recurrence")
        wanted = len(MATRIX_FUNCTIONS[d.function].operands) if d.function else 1
        if d.kind != "enum" and len(d.bodies) != wanted:
            raise _Problem(f"{d.name} has {len(d.bodies)} lines with '=', not {wanted}")
        if len(d.target) != len(d.extents):
            raise _Problem(f"{d.name} has {len(d.target)} indices after 'at', not {len(d.extents)}")
        tensor = self.g.define(d.kind, d.out, d.red, d.bodies, d.target, d.extents, d.function)
        self._new_tensor(d.name, tensor)

    def _new_tensor(self, key: str, tensor: TensorId) -> None:
        if key in self.tensors:
            raise _Problem(f"a second tensor {key.removeprefix('$')!r}")
        self.tensors[key] = tensor

    def tensor(self, token: Token) -> TensorId:
        """The tensor a token names: T0, T1, ... are definitions, quoted or other names are inputs."""
        kind, text = token
        if kind not in ("name", "string"):
            raise _Problem(f"expected the name of a tensor, found {text!r}")
        is_definition = kind == "name" and _DEFINITION.match(text) is not None
        key = text if is_definition else "$" + (_string(text) if kind == "string" else text)
        if key not in self.tensors:
            raise _Problem(f"there is no tensor {text!r} before this line")
        return self.tensors[key]

    # ---- expressions -----------------------------------------------------------------------

    def _value(self, line: _Line) -> Node:
        return _Expression(self, line).read()

    def _integer(self, line: _Line) -> Node:
        node = self._value(line)
        if not is_integer(self.g, node):
            raise _Problem("an integer is needed here")
        return node

    def _integers(self, line: _Line) -> list[Node]:
        line.expect("[")
        out: list[Node] = []
        while not line.take_if("]"):
            if out:
                line.expect(",")
            out.append(self._integer(line))
        return out


def is_integer(g: Graph, node: Node) -> bool:
    """Whether a node may stand where an index stands."""
    q = g.rational(node)
    return g.kind[node] == "int" if q is None else q.denominator == 1


@dataclass
class _Frame:
    """An open bracket: whose arguments it holds, and the sum being read inside it."""

    head: Token
    closing: str
    items: list[Node] = field(default_factory=list)
    total: Node | None = None  # the terms before this one
    sign: int = 1
    product: Node | None = None  # the factors of this term before this one


class _Expression:
    """Reads one expression with a stack of its own, so nesting cannot exhaust Python's."""

    def __init__(self, program: _Program, line: _Line) -> None:
        self.program, self.g, self.line = program, program.g, line
        self.stack = [_Frame(_END, "")]

    def read(self) -> Node:
        """Consume tokens up to the first that cannot continue the expression."""
        while True:
            self._operand()
            while not self._continues():
                frame = self.stack[-1]
                self._finish_item(frame)
                if len(self.stack) == 1:
                    return frame.items[0]
                if self.line.take_if(","):
                    break
                self.line.expect(frame.closing)
                self._push(self._build(self.stack.pop()))

    def _continues(self) -> bool:
        """Take an operator if there is one."""
        frame = self.stack[-1]
        if self.line.take_if("*"):
            return True
        for text, sign in (("+", 1), ("-", -1)):
            if self.line.take_if(text):
                self._finish_term(frame)
                frame.sign = sign
                return True
        return False

    def _operand(self) -> None:
        """Take one operand; opening brackets and their empty contents included."""
        while True:
            frame = self.stack[-1]
            if frame.product is None and frame.total is None and self.line.take_if("-"):
                frame.sign = -1
            opened = self._atom()
            if not opened:
                return
            if self.line.take_if(self.stack[-1].closing):
                self._push(self._build(self.stack.pop()))
                return

    def _atom(self) -> bool:
        """Take a leaf (False), or the head and opening bracket of a call or a read (True)."""
        token = kind, text = self.line.take()
        if kind == "number":
            self._push(self._number(text))
        elif kind == "temporary":
            self._push(self._known(self.program.temporaries, text))
        elif kind == "constant":
            name = text[1:]
            self._push(self.g.intern("const", ("f" if name in _NON_FINITE else "s", name)))
        elif kind in ("name", "string"):
            if self.line.take_if("["):
                self.stack.append(_Frame(token, "]"))
                return True
            if kind == "name" and self.line.take_if("("):
                self.stack.append(_Frame(token, ")"))
                return True
            self._push(self._leaf(kind, text))
        else:
            raise _Problem(f"expected a value, found {text!r}")
        return False

    def _leaf(self, kind: str, text: str) -> Node:
        if kind == "string":
            return self.g.size(_string(text))
        if text in ("true", "false"):
            return self.g.true if text == "true" else self.g.false
        return self._known(self.program.axes, text) if _AXIS.match(text) else self.g.size(text)

    def _known(self, table: dict[str, Node], text: str) -> Node:
        if text not in table:
            raise _Problem(f"{text} is not defined here")
        return table[text]

    def _number(self, text: str) -> Node:
        value = Fraction(int(text, 0) if text.startswith("0x") else int(text))
        if self.line.take_if("/"):
            kind, below = self.line.take()
            if kind != "number" or not int(below, 0 if below.startswith("0x") else 10):
                raise _Problem(f"{below!r} is not a denominator")
            value /= int(below, 0 if below.startswith("0x") else 10)
        return self.g.const(value)

    # ---- sums and products of integers -----------------------------------------------------

    def _push(self, node: Node) -> None:
        frame = self.stack[-1]
        if frame.product is None:
            frame.product = node
        else:
            frame.product = self.g.imul(self._integer(frame.product), self._integer(node))

    def _finish_term(self, frame: _Frame) -> None:
        assert frame.product is not None, "an operand comes before every operator"
        g, term = self.g, frame.product
        q = g.rational(term)
        if frame.total is None and frame.sign < 0 and q is not None:
            frame.total = g.const(-q)  # a negative number need not be an integer
        elif frame.total is None and frame.sign > 0:
            frame.total = term
        else:
            total = g.zero if frame.total is None else self._integer(frame.total)
            frame.total = g.iadd(total, self._integer(term), frame.sign)
        frame.product, frame.sign = None, 1

    def _finish_item(self, frame: _Frame) -> None:
        self._finish_term(frame)
        assert frame.total is not None
        frame.items.append(frame.total)
        frame.total = None

    def _integer(self, node: Node) -> Node:
        if not is_integer(self.g, node):
            raise _Problem("+, - and * are for integers; write add(x, y), mul(x, y) for values")
        return node

    def _build(self, frame: _Frame) -> Node:
        """The call or read whose bracket has been closed."""
        g, text, items = self.g, frame.head[1], frame.items
        if frame.closing == "]":
            tensor = self.program.tensor(frame.head)
            rank = g.tensors[tensor].rank
            if len(items) != rank:
                raise _Problem(f"{text} has {rank} axes and is read with {len(items)} indices")
            return g.intern("read", (tensor, *items))
        arity = _ARITY.get(text, OPS[text].arity if text in OPS else None)
        if arity is None:
            raise _Problem(f"there is no operation {text!r}")
        if len(items) != arity and not (text in OPS and OPS[text].takes(len(items))):
            raise _Problem(f"{text} takes {arity} arguments, not {len(items)}")
        return g.intern(text, tuple(items))
