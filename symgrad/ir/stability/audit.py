"""What is written down about a stability rule, so that tests and the table in STABILITY.md can judge it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from symgrad.ir.rules import Args, Rule, always, rule
from symgrad.records import dataclass

if TYPE_CHECKING:
    from symgrad.ir.graph import Graph

Value = float | tuple[float, ...] | tuple[tuple[float, ...], ...]
Point = Mapping[str, Value]

AUDITS: dict[str, Audit] = {}


@dataclass(frozen=True)
class Audit:
    """The record of one rule, by its name.

    written   an expression in which the rule fires, as a user writes it; `v` is an array of n numbers,
              `A` a matrix (n, n).
    becomes   what is computed instead, in the names of `ir.ops`.
    when      the condition under which it fires.
    source    paper or book.
    points    where the errors of value, gradient and Hessian before and after are measured.
    wrt       names that the gradient is by; none: all arguments.
    is_limit  at an argument 0, exact is the limit: the chain rule, in any number of digits, has none there.
    digits    in which the exact numbers are computed. x - sin(x) at the smallest double, differentiated
              twice, cancels as many; fewer where few are cancelled and a function takes seconds in more.
    """

    written: str
    becomes: str
    when: str
    source: str
    points: tuple[Point, ...]
    wrt: tuple[str, ...] = ()
    is_limit: bool = False
    digits: int = 2500


def at(*values: float) -> tuple[Point, ...]:
    """Points of a function of x alone."""
    return tuple({"x": x} for x in values)


def at_pairs(*values: tuple[float, float]) -> tuple[Point, ...]:
    """Points of a function of x and y."""
    return tuple({"x": x, "y": y} for x, y in values)


SCORES: tuple[Point, ...] = (  # of exponentials that overflow, underflow, and neither
    {"v": (1000.0, 1000.5, 999.0)},
    {"v": (-800.0, -801.0, -802.0)},
    {"v": (0.5, 1.0, -2.0)},
)


def stable(
    op: str,
    why: str,
    audit: Audit,
    on: Callable[[Sequence[str]], bool] = always,
    needs: Iterable[str] = (),
    of: Callable[[Sequence[str]], bool] = always,
) -> Callable[[Callable[[Graph, Args], int | None]], Rule]:
    """Register the decorated function as a stability rule of `op`, with its audit."""

    def register(function: Callable[[Graph, Args], int | None]) -> Rule:
        made = rule(op, why, "stable", on, needs, of)(function)
        AUDITS[made.name] = audit
        return made

    return register
