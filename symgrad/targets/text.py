"""Names, comments and integer expressions as C text."""

from __future__ import annotations

import re
from collections.abc import Iterable

from symgrad.errors import BadName, quoted
from symgrad.loops.nest import Buffer, Poly

# Reserved words of C99 to C23 and C++20: an exported header is included from both languages.
_WORDS_OF_C = (
    "alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t"
    " char32_t class compl concept const const_cast consteval constexpr constinit continue co_await"
    " co_return co_yield decltype default delete do double dynamic_cast else enum explicit export"
    " extern false float for friend goto if inline int long main mutable namespace new noexcept not"
    " not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires"
    " restrict return short signed sizeof static static_assert static_cast struct switch template"
    " this thread_local throw true try typedef typeid typename typeof typeof_unqual union unsigned"
    " using virtual void volatile wchar_t while xor xor_eq"
)
RESERVED = frozenset(_WORDS_OF_C.split())

# Names of the headers that emitted code includes or calls; a local variable must not hide them.
_WORDS_OF_LIBC = (
    "int64_t INFINITY NAN NULL acos acosh asin asinh atan atan2 atanh cbrt ceil cos cosh erf erfc"
    " exp expm1 fabs floor fmod hypot log log1p pow sin sinh sqrt tan tanh j0 j1 jn y0 y1 yn gamma"
    " signgam exp2 log2 log10 logb fma fmax fmin fdim remainder round trunc lround rint tgamma"
    " lgamma printf"
)
_LIBRARY = frozenset(_WORDS_OF_LIBC.split())
LIBRARY_NAMES = _LIBRARY | {name + "f" for name in _LIBRARY}

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_LONGEST_COMMENT = 300


def check_identifier(name: str) -> str:
    """`name`, or BadName if C or C++ would not take it as the name of a function or variable."""
    reserved = name in RESERVED or re.match(r"_([A-Z]|_)", name) or "__" in name
    if not _IDENTIFIER.match(name) or reserved:
        raise BadName(
            f"{quoted(name)} cannot be a name in C",
            where="the name of the function",
            because="it is a reserved word" if reserved else "it is not a C identifier",
            try_="letters, digits and underscores, starting with a letter",
        )
    return name


def local_names(names: Iterable[str]) -> dict[str, str]:
    """How each variable is spelled: as it is called, unless that would hide a library function."""
    wanted = list(names)
    spelled: dict[str, str] = {}
    taken = set(wanted)
    for name in wanted:
        check_identifier(name)
        new, number = name, 0
        while new in LIBRARY_NAMES or (new != name and new in taken):
            number += 1
            new = f"{name}_{number}"
        taken.add(new)
        spelled[name] = new
    return spelled


def fresh_prefix(letter: str, names: Iterable[str]) -> str:
    """A prefix that, followed by digits, is none of `names`."""
    taken = list(names)
    while any(re.fullmatch(letter + r"\d+", name) for name in taken):
        letter += letter[0]
    return letter


def comment_text(text: str) -> str:
    """`text` on one line, harmless inside a comment of C or of LLVM's assembly.

    Everything but printable ASCII is written as <U+....>, and so is the backslash, which could
    join two lines. No two characters are left that would open or close a comment or begin a trigraph.
    """
    text = "".join(c if " " <= c <= "~" and c != "\\" else f"<U+{ord(c):04X}>" for c in text)
    text = re.sub(r"(?<=\*)(?=/)|(?<=/)(?=\*)|(?<=\?)(?=\?)", " ", text)
    return text if len(text) <= _LONGEST_COMMENT else text[:_LONGEST_COMMENT] + "..."


def polynomial(p: Poly, spelled: dict[str, str]) -> str:
    """An integer polynomial as a C expression; constants last, subtractions written as such."""
    if not p:
        return "0"
    terms = sorted(p, key=lambda term: (term[0] == (), term[1] < 0))
    out = ""
    for names, k in terms:
        factors = [spelled[name] for name in names]
        if abs(k) != 1 or not factors:
            factors.insert(0, str(abs(k)))
        text = "*".join(factors)
        if out:
            out += (" - " if k < 0 else " + ") + text
        else:
            out = ("-" if k < 0 else "") + text
    return out


def comparison(p: Poly, relation: str, spelled: dict[str, str]) -> str:
    """`p relation 0` with the subtracted terms moved to the other side."""
    left = tuple(t for t in p if t[1] > 0)
    right = tuple((names, -k) for names, k in p if k < 0)
    return f"{polynomial(left, spelled)} {relation} {polynomial(right, spelled)}"


def element(steps: list[tuple[Poly, Poly]], spelled: dict[str, str]) -> tuple[str, list[Poly]]:
    """The number of an element in row-major order, and the polynomials that stand in it.

    `steps` as from `base.row_major`.
    """
    place, printed = "0", []
    for extent, index in steps:
        at = polynomial(index, spelled)
        printed.append(index)
        if place == "0":
            place = at
            continue
        printed.append(extent)
        stride = polynomial(extent, spelled)
        stride = f"({stride})" if len(extent) > 1 or stride.startswith("-") else stride
        place = f"({place})" if re.search(r" [+-] |^-", place) else place
        joined = " - " + at[1:] if at.startswith("-") else " + " + at
        place = f"{place}*{stride}" + ("" if at == "0" else joined)
    return place, printed


def shape_text(buffer: Buffer, spelled: dict[str, str]) -> str:
    """The shape as a tuple of expressions in the sizes, for comments."""
    extents = [polynomial(e, spelled) for e in buffer.extents]
    return "(" + ", ".join(extents) + ("," if len(extents) == 1 else "") + ")"


def wrapped(declaration: str) -> list[str]:
    """A function's head on several lines, broken after commas."""
    lines, width = [""], 100
    for word in declaration.split(", "):
        word += ", "
        if len(lines[-1]) + len(word) > width and lines[-1]:
            lines.append("    ")
        lines[-1] += word
    return [line.rstrip() for line in [*lines[:-1], lines[-1].removesuffix(", ")]]
