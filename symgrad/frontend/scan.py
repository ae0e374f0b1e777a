"""`sg.scan`: recurrences as SymPy expressions. A step is called once, with symbols.

The result stays unevaluated: elements and matrices that refer to one `Recurrence`, which holds the step as an
expression. Nothing is ever written out step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sympy as sp
from sympy.matrices.expressions import MatrixExpr, MatrixSymbol

from symgrad.entries import Entries, entries, is_matrix, piecewise_to_where, scalar
from symgrad.errors import BadArgument, ShapeMismatch
from symgrad.frontend.describe import show

State = Any  # a scalar expression, a matrix (expression), or an array in index form
_MOST_ELEMENTS = 16  # of a matrix that a step gets by its entries
_TRY = "a scalar, a matrix, an IndexedBase with a shape, Entries, or a tuple of those"


class StateMatrix(MatrixSymbol):
    """The matrix that stands for a state inside the step of a recurrence."""

    def __new__(cls, name: Any, rows: Any, cols: Any) -> StateMatrix:
        return super().__new__(cls, name, rows, cols)  # type: ignore[no-any-return]


class StateArray(sp.IndexedBase):
    """The array that stands for a state inside the step of a recurrence."""


class Recurrence(sp.Basic):
    """`state[0] = first`, `state[t + 1] = step(state[t], t)` for 0 <= t < length.

    args   (states, time, firsts, steps, length, condition); the values of arrays are `(indices, entry)`.
           Where the condition on the state does not hold, the state stays as it is; where it still holds
           at the last step, that step gives nan. It is `true` for a loop of a given length.
    """

    def __new__(
        cls, states: Any, time: Any, firsts: Any, steps: Any, length: Any, condition: Any = sp.true
    ) -> Recurrence:
        parts = (states, time, firsts, steps, length, condition)
        return super().__new__(cls, *parts)  # type: ignore[no-any-return]

    def doit(self, **hints: Any) -> Any:
        """Itself: SymPy would evaluate the sums inside, at great length."""
        return self

    @property
    def states(self) -> tuple[Any, ...]:
        return tuple(self.args[0].args)

    @property
    def bound(self) -> set[Any]:
        """The symbols that mean something only inside."""
        indices = [i for part in (*self.args[2].args, *self.args[3].args)
                   if isinstance(part, sp.Tuple) for i in part.args[0].args]  # fmt: skip
        return {*self.states, self.args[1], *indices}

    @property
    def free_symbols(self) -> set[Any]:
        hidden = set().union(*(s.free_symbols for s in self.states))
        inside = set().union(*(a.free_symbols for a in self.args[2:]))
        return inside - hidden - self.bound | set().union(*(_sizes_of(s) for s in self.states))

    def _sympystr(self, printer: Any) -> str:
        names = {s: _plain(s) for s in self.bound}
        steps = [f"{_name(s)} -> {show(_entry(step).xreplace(names))}"
                 for s, step in zip(self.states, self.args[3].args, strict=True)]  # fmt: skip
        firsts = ", ".join(show(_entry(first)) for first in self.args[2].args)
        if self.args[5] is not sp.true:
            condition = show(self.args[5].xreplace(names))
            return f"while_loop({condition}; {', '.join(steps)}; {firsts}; {show(self.args[4] - 1)})"
        return f"scan({', '.join(steps)}; {firsts}; {show(self.args[4])})"


def _entry(value: Any) -> Any:
    return value.args[1] if isinstance(value, sp.Tuple) else value


def _plain(bound: Any) -> Any:
    """A bound symbol under its own name, for printing."""
    if isinstance(bound, StateMatrix):
        return MatrixSymbol(_name(bound), *bound.shape)
    return sp.IndexedBase(_name(bound)) if isinstance(bound, StateArray) else sp.Symbol(_name(bound))


def _sizes_of(state: Any) -> set[Any]:
    return set().union(*(sp.sympify(n).free_symbols for n in getattr(state, "shape", ())))


def _name(state: Any) -> str:
    return str(state.label if isinstance(state, StateArray) else state.name)


class StateElement(sp.Expr):
    """A number of a trajectory: `StateElement(recurrence, state number, time, indices...)`."""

    is_commutative = True

    def __new__(cls, recurrence: Recurrence, number: Any, time: Any, *indices: Any) -> StateElement:
        return sp.Basic.__new__(  # type: ignore[no-any-return]
            cls, recurrence, *map(sp.sympify, (number, time, *indices))
        )

    def doit(self, **hints: Any) -> Any:
        """Itself: SymPy would evaluate the sums inside, at great length."""
        return self

    def _eval_derivative(self, symbol: Any) -> sp.Expr:
        return sp.Derivative(self, symbol, evaluate=False)

    def _eval_is_extended_real(self) -> bool:
        return True

    def _sympystr(self, printer: Any) -> str:
        recurrence, number, *indices = self.args
        return f"{_label(recurrence, number)}[{', '.join(map(printer.doprint, indices))}]"

    def _latex(self, printer: Any) -> str:
        recurrence, number, *indices = self.args
        return f"{_label(recurrence, number)}_{{{', '.join(map(printer.doprint, indices))}}}"


class StateAt(MatrixExpr):
    """A matrix of a trajectory: the state with that number at a time."""

    def __new__(cls, recurrence: Recurrence, number: Any, time: Any) -> StateAt:
        return sp.Basic.__new__(  # type: ignore[no-any-return]
            cls, recurrence, sp.sympify(number), sp.sympify(time)
        )

    def doit(self, **hints: Any) -> Any:
        """Itself: SymPy would evaluate the sums inside, at great length."""
        return self

    @property
    def shape(self) -> tuple[Any, Any]:
        rows, cols = self.args[0].states[int(self.args[1])].shape
        return rows, cols

    def _entry(self, i: Any, j: Any, **_: Any) -> sp.Expr:
        return StateElement(*self.args, i, j)

    def _sympystr(self, printer: Any) -> str:
        return f"{_label(self.args[0], self.args[1])}[{printer.doprint(self.args[2])}]"

    def _latex(self, printer: Any) -> str:
        return f"{_label(self.args[0], self.args[1])}_{{{printer.doprint(self.args[2])}}}"


def _label(recurrence: Recurrence, number: Any) -> str:
    return _name(recurrence.states[int(number)])


class Trajectory(Entries):
    """One state at all times 0..length: an array whose first axis is time.

    `trajectory[t]` is the state at time t in its own form (a scalar, a matrix, `Entries`);
    `trajectory[t, i, j]` is a number. An index outside of the trajectory gives nan.
    """

    __slots__ = ("_number", "_recurrence")

    def __init__(self, recurrence: Recurrence, number: int) -> None:
        shape = getattr(recurrence.states[number], "shape", ())
        super().__init__((recurrence.args[4] + 1, *shape), self._element)
        self._recurrence, self._number = recurrence, number

    def _element(self, *indices: Any) -> sp.Expr:
        return StateElement(self._recurrence, self._number, *indices)

    def __getitem__(self, indices: Any) -> Any:
        given = indices if isinstance(indices, tuple) else (indices,)
        if len(given) == len(self.shape):
            return self._element(*map(scalar, given))
        if len(given) != 1:
            return super().__getitem__(given)  # refused there
        time = scalar(given[0])
        if isinstance(self._recurrence.states[self._number], StateMatrix):
            return StateAt(self._recurrence, self._number, time)
        return Entries(self.shape[1:], lambda *rest: self._element(time, *rest))

    def __repr__(self) -> str:
        return f"Trajectory({_label(self._recurrence, self._number)}, shape={self.shape})"


class Scan:
    """What `scan` returns: the states after the last step, and at all times.

    final       the state after `length` steps, in the structure of `init`.
    trajectory  a `Trajectory` for each state, in the structure of `init`.
    recurrence  the recurrence as a SymPy object.
    """

    def __init__(self, recurrence: Recurrence, single: bool) -> None:
        self.recurrence = recurrence
        paths = tuple(Trajectory(recurrence, k) for k in range(len(recurrence.states)))
        last = tuple(path[recurrence.args[4]] for path in paths)
        self.trajectory: Any = paths[0] if single else paths
        self.final: Any = last[0] if single else last

    def __repr__(self) -> str:
        return str(self.recurrence)


def scan(step: Callable[..., Any], init: State | Sequence[State], length: Any) -> Scan:
    """The recurrence `state = step(state, t)` for t = 0, 1, ..., length - 1, starting from `init`.

    step    called once: `step(state, t)` with a symbol for the state (a Symbol, a MatrixSymbol, or an
            array to be indexed; a Matrix of symbols where `init` is a Matrix of at most 16 entries) and for
            the time; it returns the next state as a SymPy expression. Where `init` is a tuple, `state` is a
            tuple of symbols, and so is what it returns.
    init    the first state: a scalar, a matrix (expression), an array in index form (an IndexedBase with
            a shape, Entries), or a tuple of those. Its shape is that of the state.
    length  the number of steps: an integer >= 0, or an expression in size symbols.

    The result's `final` and `trajectory` are used in expressions like any other; see `Scan`. Value and
    derivatives to any order are loops over time. The gradient stores the states of all times and what a step
    computes on the way from them, or within a budget computes them again (`memory=` of `compile`); the
    parameters of a step get their gradients by one sum over time.

    A recurrence (`scan`, `while_loop`, `implicit`) may stand in the step of another one, and depend on its
    state: it is a loop in the loop of that one, of any length, and `memory=` counts its states as well.

    Raises BadArgument for what is no state, ShapeMismatch where a step changes the shape of a state.

        >>> a, y, n = sp.Symbol("a"), sp.Symbol("y"), sp.Symbol("n", integer=True, positive=True)
        >>> euler = scan(lambda y, t: y - a*y/n, y, n)
        >>> euler.final
        y[n]
        >>> euler
        scan(y -> -a*y/n + y; y; n)
    """
    return scan_of(step, init, _count(length, "scan"))


def while_loop(
    cond: Callable[[Any], Any], step: Callable[..., Any], init: State | Sequence[State], max_steps: Any
) -> Scan:
    """The recurrence `state = step(state, t)` for as long as `cond(state)` holds, at most `max_steps` times.

    cond    called once, with the symbols that `step` gets (see `scan`); a condition on scalars and elements.
    max_steps  the bound that makes the loop differentiable in reverse: an integer, or an expression in sizes.

    The result is that of `scan`: `final` is the first state for which the condition does not hold, nan in
    every entry where there is none after `max_steps` steps; `trajectory` stays at that state. Derivatives go
    through the steps that were made. Compiled code leaves the loop there, and passes over the other turns on
    the way back; the gradient has memory for the states of `max_steps` steps (see `memory=` of `compile`).

    Raises as `scan`, and BadArgument for a condition that is none.

        >>> x = sp.Symbol("x")
        >>> half = while_loop(lambda y: y > 1, lambda y, t: y/2, x, max_steps=100).final
        >>> import symgrad as sg
        >>> sg.compile(half, wrt=x, outputs=("value", "grad"))(12.0)
        (0.75, 0.0625)
    """
    return scan_of(step, init, _count(max_steps, "while_loop") + 1, cond)


def _count(steps: Any, where: str) -> Any:
    count = scalar(steps, where)
    if count.is_negative or count.is_integer is False:
        raise BadArgument(
            f"{show(count)} steps",
            where=where,
            because="the number of steps is an integer, 0 or more",
            try_="such an integer, or an expression in size symbols",
        )
    return count


def scan_of(
    step: Callable[..., Any],
    init: Any,
    length: Any,
    cond: Callable[[Any], Any] | None = None,
    by_entries: bool = True,
) -> Scan:
    """See `scan` and `while_loop`; `by_entries`: whether a step may get the entries of a small matrix."""
    single = not isinstance(init, tuple | list)
    firsts = [_first(value) for value in ([init] if single else init)]
    if not firsts:
        raise BadArgument("a recurrence without a state", where="scan", try_=_TRY)
    names = _state_names(firsts)
    states = [_symbol(name, value) for name, value in zip(names, firsts, strict=True)]
    time = sp.Dummy("t", integer=True, nonnegative=True)
    symbols = [
        _for_step(state, first) if by_entries else state for state, first in zip(states, firsts, strict=True)
    ]
    given = symbols[0] if single else tuple(symbols)
    result = step(given, time)
    after = [result] if single else list(result)
    if len(after) != len(states):
        raise ShapeMismatch(
            f"a step of {len(states)} states returns {len(after)}", where="scan", try_="one for each state"
        )
    steps = [_next(state, value) for state, value in zip(states, after, strict=True)]
    condition = sp.true if cond is None else _condition(cond(given))
    parts = (sp.Tuple(*states), time, sp.Tuple(*map(_held, firsts)), sp.Tuple(*steps), length, condition)
    return Scan(Recurrence(*parts), single)


def _condition(value: Any) -> Any:
    condition = sp.sympify(value)
    if condition is sp.true or not isinstance(condition, sp.logic.boolalg.Boolean):
        raise BadArgument(
            f"the condition of a loop is {show(condition)}",
            where="while_loop",
            because="a loop ends when its condition on the state does not hold any more",
            try_="a comparison of the state, or of an element of it, with a number",
        )
    return condition


def _first(value: Any) -> Any:
    if isinstance(value, Entries):
        return value
    if isinstance(value, sp.IndexedBase):
        return entries(value, "scan")
    value = sp.sympify(value, strict=True)
    if is_matrix(value):
        return value.as_immutable() if isinstance(value, sp.MatrixBase) else value
    return scalar(value, "scan")


def _state_names(firsts: Sequence[Any]) -> list[str]:
    """Names to print: that of the first value where it is a symbol, else h0, h1, ..."""
    return [str(getattr(value, "name", f"h{k}")) for k, value in enumerate(firsts)]


def _symbol(name: str, first: Any) -> Any:
    if isinstance(first, Entries):
        return StateArray(sp.Dummy(name), shape=first.shape)
    if is_matrix(first):
        return StateMatrix(sp.Dummy(name), *first.shape)
    return sp.Dummy(name, real=True)


def _for_step(state: Any, first: Any) -> Any:
    """The symbol, or its entries where the first value is a small Matrix of expressions."""
    is_small = isinstance(first, sp.MatrixBase) and first.rows * first.cols <= _MOST_ELEMENTS
    return state.as_explicit() if is_small else state


def _next(state: Any, value: Any) -> Any:
    """What a step returns, in the form of the state."""
    if isinstance(state, StateArray):
        array = entries(value, "scan")
        _check_shape(state, array.shape)
        return _held(array)
    value = sp.sympify(value, strict=True)
    if is_matrix(value) != isinstance(state, StateMatrix):
        raise ShapeMismatch(
            f"the state {_name(state)} is a {'matrix' if isinstance(state, StateMatrix) else 'scalar'}, "
            f"and its next value is a {type(value).__name__}",
            where=show(value),
            try_="the same form before and after the step",
        )
    if is_matrix(value):
        _check_shape(state, value.shape)
        return value.as_immutable() if isinstance(value, sp.MatrixBase) else value
    return piecewise_to_where(scalar(value, "scan"))  # SymPy would take the branches out of the recurrence


def _held(value: Any) -> Any:
    """An array as a SymPy object: `(indices, entry)`."""
    if not isinstance(value, Entries):
        return value
    indices = [sp.Dummy(f"i{k}", integer=True, nonnegative=True) for k in range(len(value.shape))]
    return sp.Tuple(sp.Tuple(*indices), value[tuple(indices)])


def _check_shape(state: Any, shape: Sequence[Any]) -> None:
    same = len(shape) == len(state.shape) and all(
        sp.expand(sp.sympify(a) - sp.sympify(b)) == 0 for a, b in zip(shape, state.shape, strict=True)
    )
    if not same:
        raise ShapeMismatch(
            f"the state {_name(state)} has shape {tuple(state.shape)} and its next value {tuple(shape)}",
            where="scan",
            because="every step gives a state of the shape of the first",
            try_="the same shape before and after the step",
        )
