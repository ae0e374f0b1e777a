"""What a kernel takes and returns, in data: shapes as polynomials in the user's size symbols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symgrad.errors import BadArgument, IndexOutOfRange, ShapeMismatch, listed, quoted
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.loops.nest import Poly, evaluate_poly, poly, poly_add, poly_mul, variable
from symgrad.records import dataclass

Sizes = dict[str, int]


@dataclass(frozen=True)
class Argument:
    """One array parameter. role: "input", "tangent" or "cotangent"; `is_size`: its value is a size."""

    name: str
    extents: tuple[Poly, ...]
    dtype: str = "real"
    role: str = "input"
    is_size: bool = False


@dataclass(frozen=True)
class OutputLeaf:
    """One returned array: which buffer of the routine, and its shape for the user."""

    buffer: int
    shape: tuple[Poly, ...]


OutputTree = OutputLeaf | tuple["OutputTree", ...]


@dataclass(frozen=True)
class IndexRange:
    """Values of an integer argument have to lie in [low, high] (polynomials in the sizes)."""

    argument: int
    low: Poly
    high: Poly


@dataclass(frozen=True)
class Signature:
    """Everything a call needs to know.

    words       names of the outputs in order; `outputs` their structure.
    single      True when the user asked for one word, not a tuple of words.
    buffers     shapes of the routine's output buffers.
    conditions  polynomials that have to be >= 0.
    passed      the sizes that the routine takes, in its order.
    escapes     definitions of the first unit that have to be 0 everywhere, each with the name of an
                array: indices made of data, where bounds on the entries say too little.
    tall        matrices that need at least as many rows as columns: rows - columns, and the matrix in words.
    wrt_form    of tangents: "single" (one array), "packed" (scalars as one vector) or "tuple".
    """

    arguments: tuple[Argument, ...]
    words: tuple[str, ...]
    outputs: tuple[OutputTree, ...]
    single: bool
    buffers: tuple[tuple[Poly, ...], ...]
    sizes: tuple[str, ...]
    conditions: tuple[Poly, ...]
    index_ranges: tuple[IndexRange, ...]
    passed: tuple[str, ...] = ()
    wrt_form: str = "single"
    escapes: tuple[tuple[TensorId, str], ...] = ()
    tall: tuple[tuple[Poly, str], ...] = ()


def size_poly(g: Graph, extent: Node) -> Poly:
    """An extent over the names of the user's size symbols."""
    constant, terms = g.linear(extent)
    total = poly(constant)
    for atom, k in terms.items():
        if g.op[atom] == "size":
            part = variable(g.args[atom][0])
        else:
            part = poly_mul(size_poly(g, g.args[atom][0]), size_poly(g, g.args[atom][1]))
        total = poly_add(total, part, k)
    return total


def shape_text(extents: Sequence[Poly]) -> str:
    """A shape as the user would write it."""
    inner = ", ".join(poly_text(e) for e in extents)
    return f"({inner},)" if len(extents) == 1 else f"({inner})"


def poly_text(p: Poly) -> str:
    parts = []
    for names, k in sorted(p, key=lambda item: (-len(item[0]), item)):
        body = "*".join(map(listed, ([n] for n in names)))
        parts.append(f"{k}" if not names else body if k == 1 else f"{k}*{body}")
    return " + ".join(parts).replace("+ -", "- ") or "0"


def solve_sizes(
    arguments: Sequence[Argument],
    cores: Sequence[tuple[int, ...]],
    given: Mapping[str, int],
    names: Sequence[str],
) -> Sizes:
    """Values of the size symbols from array shapes; one equation per axis, solved one by one.

    Raises ShapeMismatch for a contradiction, BadArgument for a size no shape determines.
    """
    sizes: Sizes = dict(given)
    source: dict[str, str] = dict.fromkeys(given, "the call")
    waiting = [
        (argument, axis, extent, shape[axis])
        for argument, shape in zip(arguments, cores, strict=True)
        for axis, extent in enumerate(argument.extents)
    ]
    while waiting:
        rest = [item for item in waiting if not _solve_one(*item, sizes, source)]
        if len(rest) == len(waiting):
            break
        waiting = rest
    missing = [n for n in names if n not in sizes]
    if missing:
        raise BadArgument(
            f"size {quoted(missing[0])} is not known",
            because="no array's shape determines it",
            try_="pass it by name",
        )
    return sizes


def _solve_one(
    argument: Argument, axis: int, extent: Poly, actual: int, sizes: Sizes, source: dict[str, str]
) -> bool:
    """Use one axis to check a known size or find an unknown one; False: too many unknowns yet."""
    unknown = {n for names, _ in extent for n in names if n not in sizes}
    if not unknown:
        expected = evaluate_poly(extent, sizes)
        if expected != actual:
            raise _contradiction(argument, axis, extent, actual, expected, sizes, source)
        return True
    if len(unknown) > 1:
        return False
    (name,) = unknown
    slope = evaluate_poly(tuple(_without(t, name) for t in extent if name in t[0]), sizes)
    rest = evaluate_poly(tuple(t for t in extent if name not in t[0]), sizes)
    if any(names.count(name) > 1 for names, _ in extent) or slope == 0:
        return False
    value, remainder = divmod(actual - rest, slope)
    if remainder or value < 0:
        raise ShapeMismatch(
            f"argument {quoted(argument.name)} has length {actual} along axis {axis}",
            because=f"its declared extent {poly_text(extent)} cannot be {actual} for a whole {name} >= 0",
            try_="pass an array of the declared shape " + shape_text(argument.extents),
        )
    sizes[name] = value
    source[name] = argument.name
    return True


def _without(term: tuple[tuple[str, ...], int], name: str) -> tuple[tuple[str, ...], int]:
    names = list(term[0])
    names.remove(name)
    return tuple(names), term[1]


def _contradiction(
    argument: Argument,
    axis: int,
    extent: Poly,
    actual: int,
    expected: int,
    sizes: Sizes,
    source: dict[str, str],
) -> ShapeMismatch:
    known = dict.fromkeys(n for names, _ in extent for n in names)
    facts = ", ".join(f"{n} = {sizes[n]} (from {quoted(source.get(n, '?'))})" for n in known)
    return ShapeMismatch(
        f"argument {quoted(argument.name)} has length {actual} along axis {axis}, expected {expected}",
        because=f"its declared shape is {shape_text(argument.extents)}" + (f" and {facts}" if facts else ""),
        try_="pass arrays whose shapes agree",
    )


def check_conditions(signature: Signature, sizes: Sizes) -> None:
    """Raise for sizes that make some index leave its array, or a matrix too wide for its function."""
    for surplus, matrix in signature.tall:
        if evaluate_poly(surplus, sizes) < 0:
            raise ShapeMismatch(
                f"{matrix} has fewer rows than columns",
                because=f"{poly_text(surplus)} >= 0 has to hold, but "
                + ", ".join(f"{n} = {v}" for n, v in sizes.items()),
                try_="the transpose of the matrix in the formula",
            )
    for condition in signature.conditions:
        if evaluate_poly(condition, sizes) < 0:
            values = ", ".join(f"{n} = {v}" for n, v in sizes.items())
            raise IndexOutOfRange(
                "an index leaves its array for these sizes",
                because=f"{poly_text(condition)} >= 0 has to hold, but {values}",
                try_="pass larger arrays, or guard the access with a condition",
            )
