"""Declarations of what the names in a text stand for, such as `X = matrix(n, d)`."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence

import sympy as sp

from symgrad.errors import BadName, DuplicateNames, ParseError, quoted
from symgrad.frontend.parse import Builder, size_symbol
from symgrad.frontend.text import Source, read, shown
from symgrad.frontend.vocabulary import ALSO_LETTERS, CONSTANTS, FUNCTION_NAMES, Value


def parse_declarations(declarations: Sequence[str]) -> dict[str, object]:
    """What names stand for, from lines such as `X = matrix(n, d)` (or with `:` for `=`).

    Kinds: `real`, `positive`, `integer`, `size` (a positive integer), `vector(n)` (a column, n by 1),
    `matrix(n, d)`, `array(n, d, ...)` (to be indexed, any rank), `integers(n, ...)` (an array of indices, for
    gathers). A name used as a size is declared by that use. The result goes to `parse_expression`.

    Raises ParseError for a line that cannot be read, DuplicateNames for a name declared twice, BadName for a
    name that is not an identifier or means something else.

    >>> sorted(parse_declarations(["X = matrix(n, 3)"]))
    ['X', 'n']
    """
    symbols: dict[str, object] = {}
    given: set[str] = set()
    for line in declarations:
        name, kind = _split_declaration(line)
        if name in given:
            raise DuplicateNames(f"{quoted(name)} is declared twice", where=shown(line))
        given.add(name)
        declared = _declared(name, kind, line, symbols)
        if name in symbols and symbols[name] != declared:
            raise DuplicateNames(
                f"{quoted(name)} is used as a size and declared as something else",
                where=shown(line),
                try_=f"declare it as `{name} = size`",
            )
        symbols[name] = declared
    return symbols


def _split_declaration(line: str) -> tuple[str, str]:
    name, separator, kind = (part.strip() for part in _partition(line))
    if not separator or not kind:
        raise ParseError(
            "a declaration is a name, `=` and a kind",
            where=shown(line),
            try_="for example `X = matrix(n, d)`",
        )
    if not name.isidentifier() or "__" in name:
        raise BadName(
            f"{quoted(name)} is not a name", where=shown(line), because="names are Python identifiers"
        )
    if (name in FUNCTION_NAMES and name not in ALSO_LETTERS) or name in CONSTANTS:
        raise BadName(f"{quoted(name)} already has a meaning", where=shown(line), try_="choose another name")
    return name, kind


def _partition(line: str) -> tuple[str, str, str]:
    found = re.search(r"[=:]", line)
    if found is None:
        return line, "", ""
    return line[: found.start()], found.group(), line[found.end() :]


_SCALAR_KINDS: dict[str, Callable[[str], object]] = {
    "real": lambda name: sp.Symbol(name, real=True),
    "positive": lambda name: sp.Symbol(name, positive=True),
    "integer": lambda name: sp.Symbol(name, integer=True),
    "size": size_symbol,
}
_ARRAY_KINDS: dict[str, tuple[Callable[..., object], int | None]] = {  # the second part: the number of sizes
    "vector": (lambda name, n: sp.MatrixSymbol(name, n, 1), 1),
    "matrix": (lambda name, n, d: sp.MatrixSymbol(name, n, d), 2),
    "array": (lambda name, *shape: sp.IndexedBase(name, shape=shape, real=True), None),
    "integers": (lambda name, *shape: sp.IndexedBase(name, shape=shape, integer=True), None),
}


def _declared(name: str, kind: str, line: str, symbols: dict[str, object]) -> object:
    """The object for one declaration; sizes it mentions for the first time are added to `symbols`."""
    if kind in _SCALAR_KINDS:
        return _SCALAR_KINDS[kind](name)
    word, bracket, _ = kind.partition("(")
    word = word.strip()
    if word not in _ARRAY_KINDS or not bracket:
        kinds = [*_SCALAR_KINDS, *(f"{array}(...)" for array in _ARRAY_KINDS)]
        raise ParseError(
            f"there is no kind {shown(kind)}", where=shown(line), try_="one of " + ", ".join(kinds)
        )
    make, count = _ARRAY_KINDS[word]
    sizes = _sizes(kind, line, symbols)
    if not sizes or (count is not None and len(sizes) != count):
        expected = "at least one size" if count is None else f"{count} size{'s' * (count > 1)}"
        raise ParseError(f"`{word}` takes {expected}, not {len(sizes)}", where=shown(line))
    return make(name, *sizes)


def _sizes(kind: str, line: str, symbols: dict[str, object]) -> list[Value]:
    """The sizes in `matrix(n, d + 1)`, as SymPy integers; new names among them go to `symbols`."""
    source = read(kind)
    call = source.tree
    if not isinstance(call, ast.Call) or call.keywords:
        raise source.error(call, "a kind is a word and sizes in brackets", try_="for example `matrix(n, d)`")
    for node in ast.walk(call):
        if isinstance(node, ast.Name) and node is not call.func:
            symbols.setdefault(node.id, size_symbol(node.id))
    sizes = [
        Builder(Source(source.text, source.skipped, argument), symbols).result() for argument in call.args
    ]
    for size in sizes:
        if not (isinstance(size, sp.Expr) and size.is_integer) or size.is_positive is False:
            raise ParseError(
                f"{shown(str(size))} is not a size",
                where=shown(line),
                because="sizes are positive integers",
            )
    return sizes
