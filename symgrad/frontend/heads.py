"""Which function translates which SymPy class: the tables the other files of this folder fill.

A scalar head is either `combine(translator, expr, nodes of the children)`, for operations that only
need their arguments, or a task. A *task* is a generator that yields other tasks and is sent their
results; the translator runs them with a stack of its own, so nothing recurses over the depth.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.frontend.translate import Translator
    from symgrad.ir.graph import Node

Expr = Any  # SymPy's scalars, matrices and booleans have no common type to name
Task = Generator[Any, Any, Any]
Combine = Callable[["Translator", Expr, "list[Node]"], "Node"]
MakeTask = Callable[["Translator", Expr], Task]


def _own_args(expr: Expr) -> Sequence[Expr]:
    return expr._args  # type: ignore[no-any-return]  # SymPy's tuple; `.args` is a slower way to it


@dataclass(frozen=True, slots=True)
class Head:
    """How one SymPy class becomes a node: `combine` after `children`, or a `task`."""

    combine: Combine | None = None
    children: Callable[[Expr], Sequence[Expr]] = _own_args
    task: MakeTask | None = None


SCALARS: dict[type, Head] = {}
MATRICES: dict[type, MakeTask] = {}


def scalar(
    *classes: type, children: Callable[[Expr], Sequence[Expr]] = _own_args
) -> Callable[[Combine], Combine]:
    """Register the decorated function as the `combine` of the classes."""

    def register(combine: Combine) -> Combine:
        for cls in classes:
            SCALARS[cls] = Head(combine, children)
        return combine

    return register


def task(*classes: type) -> Callable[[MakeTask], MakeTask]:
    """Register the decorated generator function as the task of scalar classes."""

    def register(make: MakeTask) -> MakeTask:
        for cls in classes:
            SCALARS[cls] = Head(task=make)
        return make

    return register


def matrix(*classes: type) -> Callable[[MakeTask], MakeTask]:
    """Register the decorated generator function as the task of matrix classes."""

    def register(make: MakeTask) -> MakeTask:
        for cls in classes:
            MATRICES[cls] = make
        return make

    return register


def each(tasks: Iterable[Task]) -> Task:
    """Task: the results of all tasks, one after the other."""
    results = []
    for one in tasks:
        results.append((yield one))  # noqa: PERF401  (a comprehension cannot yield)
    return results


def leaf(expr: Expr) -> Sequence[Expr]:
    """The children of what has none, whatever SymPy stores in its arguments."""
    return ()
