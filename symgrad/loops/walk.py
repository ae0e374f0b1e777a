"""Walking a routine: its statements in order, and what each of them defines and reads."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Sequence, Set
from dataclasses import replace
from itertools import count

from symgrad.ir.ops import OPS
from symgrad.loops.lines import Lines
from symgrad.loops.nest import (
    Accumulate,
    Bool,
    Call,
    Cell,
    Compute,
    Const,
    Contract,
    Element,
    For,
    FromInt,
    If,
    Least,
    Library,
    Load,
    LoadInt,
    Part,
    Poly,
    Routine,
    SetCell,
    Start,
    Statement,
    Store,
    StoreReduce,
    Strided,
    Test,
    Tile,
    ToInt,
    Transpose,
    Value,
    Vector,
    variable,
)

Name = Value | str  # a scalar value, or an integer variable


def walk(body: Sequence[Statement], into_parts: bool = False) -> Iterator[tuple[int, Statement]]:
    """Every statement with the number of its block, depth first, without recursion."""
    stack: list[tuple[int, Iterator[Statement]]] = [(0, iter(body))]
    blocks = 0
    entered = _BLOCKS if into_parts else _BLOCKS - {Part}
    while stack:
        block, rest = stack[-1]
        for statement in rest:
            yield block, statement
            if type(statement) in entered:
                blocks += 1
                stack.append((blocks, iter(statement.body)))  # type: ignore[union-attr]  # what has a body
                break
        else:
            stack.pop()


def each_replaced(
    body: Sequence[Statement], by: Callable[[Statement], Sequence[Statement]]
) -> list[Statement]:
    """What `by` puts in the place of each statement, of those inside first. As deep as loops are nested."""
    done: list[Statement] = []
    for s in body:
        if isinstance(s, For | If | Part):
            s = replace(s, body=each_replaced(s.body, by))
        done += by(s)
    return done


def bodies(body: Sequence[Statement], into_parts: bool = True) -> Iterator[Sequence[Statement]]:
    """A body, and those of the statements inside."""
    entered = _BLOCKS if into_parts else _BLOCKS - {Part}
    stack = [body]
    while stack:
        block = stack.pop()
        yield block
        if not entered.isdisjoint(_own_types(block)):
            stack += [s.body for s in block if type(s) in entered]  # type: ignore[union-attr]  # what has a body


def types_in(body: Sequence[Statement]) -> set[type[Statement]]:
    """The types of all statements, those inside others too: what a pass asks before it looks at each."""
    return set().union(*map(_own_types, bodies(body)))


_BLOCKS = frozenset((For, If, Part))
_HAS_VARIABLE = frozenset((LoadInt, ToInt, Least))


def _own_types(body: Sequence[Statement]) -> Set[type[Statement]]:
    return body.types if isinstance(body, Lines) else set(map(type, body))


def has_blocks(body: Sequence[Statement]) -> bool:
    """Whether a statement has others inside."""
    return not _BLOCKS.isdisjoint(_own_types(body))


# Statements are told apart by their exact type: this is done millions of times for large graphs.
_MAKES_VALUE = frozenset((Const, Bool, Compute, FromInt, Test, Load, Cell, Vector, Element))
_READS_SOURCE = frozenset((Store, StoreReduce, SetCell, Accumulate, ToInt, Element))
_HAS_INDICES = frozenset((Load, LoadInt, Store, StoreReduce))


def defined(statement: Statement) -> Name | None:
    """The value or variable a statement introduces (a loop's variable is not counted)."""
    if type(statement) in _MAKES_VALUE:
        return statement.dst  # type: ignore[union-attr]
    return statement.var if isinstance(statement, LoadInt | ToInt | Least) else None


def operands(statement: Statement) -> tuple[Value, ...]:
    """The scalar values a statement reads."""
    if type(statement) is Compute:
        return statement.args
    if type(statement) in _READS_SOURCE:
        return (statement.src,)  # type: ignore[union-attr]
    if isinstance(statement, Cell):
        return (statement.init,)
    if isinstance(statement, Vector):
        return tuple(a for args in statement.args for a in args)
    if isinstance(statement, Call):
        return (*statement.values, *statement.cells)
    if isinstance(statement, Library):
        values = tuple(a for a in statement.arguments if isinstance(a, int))
        return values if statement.info is None else (*values, statement.info)
    return (statement.condition,) if isinstance(statement, If) else ()


def polynomials(statement: Statement) -> tuple[Poly, ...]:
    """The integer expressions a statement evaluates."""
    if type(statement) in _HAS_INDICES:
        return statement.index  # type: ignore[union-attr,return-value]
    if isinstance(statement, Library):
        addresses = [a.index for a in statement.arguments if isinstance(a, Start)]
        whole = [a for a in statement.arguments if isinstance(a, tuple)]
        return (*whole, *(p for index in addresses for p in index))
    if isinstance(statement, FromInt | Test):
        return (statement.index,)
    if isinstance(statement, Contract | Tile):
        return _of_contraction(statement)
    if isinstance(statement, Transpose):
        return (statement.rows, statement.columns, *_of_arrays(statement.source, statement.to))
    if isinstance(statement, Least):
        return statement.of
    if isinstance(statement, Call):
        return tuple(map(variable, statement.integers))
    return (*statement.lower, *statement.upper) if isinstance(statement, For) else ()


def _of_contraction(s: Contract | Tile) -> tuple[Poly, ...]:
    more = (s.lower, *s.scratch.index) if isinstance(s, Contract) else ()
    return (s.rows, s.columns, s.depth, s.keep, s.sign, *_of_arrays(s.a, s.b, s.c), *more)


def _of_arrays(*arrays: Strided) -> Iterator[Poly]:
    return (p for array in arrays for p in (*array.start.index, *array.strides))


def variables(polys: Iterable[Poly]) -> Iterator[str]:
    """The integer variables of some polynomials, repeated as often as they occur."""
    return (name for p in polys for names, _ in p for name in names)


def makers(body: Sequence[Statement], names: Iterable[Name]) -> list[Statement]:
    """The statements of a body that some values and variables are made of."""
    wanted = set(names)
    kept = []
    for s in reversed(body):
        if defined(s) in wanted:
            wanted.update(operands(s))
            wanted.update(variables(polynomials(s)))
            kept.append(s)
    return kept[::-1]


def unused_name(routine: Routine, name: str) -> str:
    """`name`, or `name` and a number, as the name of a further buffer or variable."""
    return free_name(taken_names(routine), name)


def taken_names(routine: Routine) -> set[str]:
    """The names of its buffers, sizes and variables."""
    taken = {*routine.sizes, *(b.name for b in routine.buffers), *(s.var for s in routine.derived)}
    if not has_blocks(routine.body) and _HAS_VARIABLE.isdisjoint(_own_types(routine.body)):
        return taken  # long straight-line code
    return taken | {
        s.var for _, s in walk(routine.body, into_parts=True) if isinstance(s, For | LoadInt | ToInt | Least)
    }


def next_value(body: Sequence[Statement]) -> int:
    """A number above those of all values that the statements introduce, parts included."""
    values = (v for _, s in walk(body, into_parts=True) if isinstance(v := defined(s), int))
    return 1 + max(values, default=0)


def free_name(taken: Collection[str], name: str) -> str:
    """`name`, or `name` and a number, whichever is not taken."""
    return name if name not in taken else next(n for k in count(1) if (n := f"{name}_{k}") not in taken)


def is_bool(statement: Statement, bools: Container[Value] | Container[Name]) -> bool:
    """Whether a statement introduces a truth value; `bools` are those introduced before."""
    if isinstance(statement, Compute):
        row = OPS.get(statement.op)  # targets have ops of their own, which give numbers
        return row is not None and row.result == "bool"
    if isinstance(statement, Cell):
        return statement.init in bools
    return isinstance(statement, Bool | Test)
