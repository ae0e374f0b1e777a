"""A user's text, the tree Python's parser makes of it, and errors that point into it."""

from __future__ import annotations

import ast
import re

from symgrad.errors import ParseError, quoted
from symgrad.records import dataclass

MAX_TEXT = 1_000_000  # characters
MAX_PIECE = 60  # characters of the user's text shown in a message


@dataclass(frozen=True)
class Source:
    """The text as given to Python's parser, and its tree; makes errors that point into the text."""

    text: str
    skipped: int  # leading blanks, which Python's parser would take for an indent
    tree: ast.expr

    def column(self, node: ast.AST) -> int:
        """The column where a node starts, counted from 1 in characters (`ast` counts bytes)."""
        start = len(self.text.encode()[: getattr(node, "col_offset", 0)].decode())
        return start + self.skipped + 1

    def piece(self, node: ast.AST) -> str:
        return shown(ast.get_source_segment(self.text, node) or self.text)

    def where(self, node: ast.AST) -> str:
        return f"column {self.column(node)}: {self.piece(node)}"

    def error(self, node: ast.AST, summary: str, because: str = "", try_: str = "") -> ParseError:
        return ParseError(summary, where=self.where(node), because=because, try_=try_)


def read(text: str) -> Source:
    """Python's own parser makes the tree; every way it can fail becomes a ParseError."""
    if not isinstance(text, str):
        raise ParseError(f"expected a text, not {type(text).__name__}")
    if len(text) > MAX_TEXT:
        raise ParseError(
            f"the text has {len(text)} characters; the limit is {MAX_TEXT}", try_="put it in a Python file"
        )
    flat = re.sub(r"[\r\n\t\f\v]", " ", text)
    body = flat.lstrip(" ")
    skipped = len(flat) - len(body)
    if not body:
        raise ParseError("the text is empty")
    if "#" in body:  # Python would silently drop what follows
        raise _failure(flat, skipped + body.index("#") + 1, "comments are not read")
    try:
        tree = ast.parse(body.rstrip(" "), mode="eval")
    except SyntaxError as error:
        raise _failure(flat, skipped + max(error.offset or 1, 1), error.msg, _syntax_hint(body)) from None
    except (RecursionError, MemoryError):
        raise ParseError(
            "the text is nested too deeply, or one sum in it is too long, for Python's parser",
            where=shown(body),
            try_="split it, or build the expression in a Python file and name it as `file.py:name`",
        ) from None
    except ValueError as error:  # null bytes, lone surrogates
        raise ParseError("the text has characters that cannot be read", because=str(error)) from None
    return Source(body, skipped, tree.body)


def _failure(flat: str, column: int, because: str, try_: str = "") -> ParseError:
    piece = flat[column - 1 :] or flat
    return ParseError(
        "this is not an expression", where=f"column {column}: {shown(piece)}", because=because, try_=try_
    )


def _syntax_hint(text: str) -> str:
    if re.search(r"(?<![\w.])\d+(\.\d*)?[A-Za-z_(]", text):
        return "write products with `*`: 2*x, not 2x"
    if re.search(r"(?<![<>=!])=(?!=)", text):
        return "write equations as Eq(a, b) or a == b"
    return ""


def shown(text: str) -> str:
    text = text.strip()
    return quoted(text if len(text) <= MAX_PIECE else text[: MAX_PIECE - 3] + "...")
