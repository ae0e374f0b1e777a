"""The reference evaluator: what every legal program means, slowly and plainly, in NumPy.

Every target and every pass is judged against it, and it against mpmath (`dtype=object` runs the
same code on mpmath numbers). A read outside a tensor is an error unless a mask, or the arm of a
`where` not taken, hides it: each value carries along where it is *poisoned*.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from symgrad.errors import IndexOutOfRange, ShapeMismatch, quoted
from symgrad.ir import complex_forms
from symgrad.ir.graph import EPSILON, SMALLEST, Graph, Node, TensorId
from symgrad.ir.matrix.failures import no_value, not_tall
from symgrad.ir.matrix.functions import MATRIX_FUNCTIONS
from symgrad.ir.matrix.values import NoValue
from symgrad.ir.ops import OPS
from symgrad.ir.scan import Clock, Scan, clocks, clocks_around, is_scan, outer_definitions, scan_of
from symgrad.ir.signs import is_root_at_least_value
from symgrad.ir.tensor import Tensor

Inspect = Callable[[TensorId, Mapping[Node, Any], Mapping[Node, Any]], None]

_REDUCTIONS: dict[str, tuple[np.ufunc, tuple[Any, ...]]] = {  # and the value of an empty one
    "sum": (np.add, ("q", 0, 1)),
    "prod": (np.multiply, ("q", 1, 1)),
    "max": (np.maximum, ("f", "-inf")),
    "min": (np.minimum, ("f", "inf")),
}


def evaluate(
    g: Graph,
    tensors: Sequence[TensorId],
    inputs: Mapping[TensorId, Any],
    sizes: Mapping[str, int],
    dtype: Any = np.float64,
    inspect: Inspect | None = None,
) -> list[np.ndarray]:
    """Arrays of the given tensors.

    inputs  one array per input tensor needed, of the extents that `sizes` gives.
    sizes   a value for every size symbol in use.
    dtype   np.float64, np.float32, object for mpmath numbers at mpmath's working precision, or
            np.complex128 for derivatives by the complex step (see `ir.complex_forms`).
    inspect called with each definition after it was evaluated: its nodes' values, and where each depends on a
            read outside its tensor.
    Raises IndexOutOfRange for a read outside a tensor, ShapeMismatch for an input of the wrong shape,
    NoFactorisation for a matrix that a matrix function is not defined for.
    """
    values: dict[TensorId, np.ndarray] = {}
    counts: dict[TensorId, tuple[str, np.ndarray]] = {}
    with np.errstate(all="ignore"):
        for t in outer_definitions(g, tensors):
            tensor = g.tensors[t]
            if tensor.kind == "input":
                values[t] = _input_array(g, tensor, inputs[t], sizes, dtype)
            elif is_scan(g, t):
                if t not in values:
                    _Run(g, values, sizes, dtype, inspect).scan(scan_of(g, t))
            else:
                definition = _Definition(g, tensor, values, sizes, dtype, counts)
                values[t] = definition.run()
                if tensor.kind == "map" and tensor.body in definition.counts:
                    op, number = definition.counts[tensor.body]
                    counts[t] = op, np.broadcast_to(number, definition.shape)
                if inspect is not None:
                    inspect(t, definition.done, definition.poison)
    return [values[t] for t in tensors]


class _Run:
    """One run of a recurrence: each definition of its step, one time after the other.

    around  (where its time is in the states of this one, the time it is at) of each recurrence around it.
    """

    def __init__(
        self, g: Graph, values: dict[TensorId, np.ndarray], sizes: Mapping[str, int], dtype: Any,
        inspect: Inspect | None,
    ) -> None:  # fmt: skip
        self.g, self.values, self.sizes, self.dtype, self.inspect = g, values, sizes, dtype, inspect

    def scan(self, scan: Scan, around: Sequence[tuple[int, int]] = ()) -> None:
        g, values, inside = self.g, self.values, clocks(self.g, scan)
        outer = [(clocks_around(g, scan, position), at) for position, at in around]
        for t in (*scan.states, *inside):
            shape = tuple(max(evaluate_size(g, e, self.sizes), 0) for e in g.tensors[t].extents)
            values[t] = np.full(shape, np.nan, dtype=self.dtype)
        for state, first, result in zip(scan.states, scan.firsts, scan.results, strict=True):
            values[state][-scan.lag, ...] = values[first]
            values[result] = values[state]
        times = range(max(evaluate_size(g, scan.length, self.sizes), 0))
        for time in reversed(times) if scan.lag else times:
            for t in inside:
                own = [(places[t], at) for places, at in ((inside, time), *outer)]
                if not is_scan(g, t):
                    self._definition(t, own)
                elif t == min(r for r in scan_of(g, t).results if r in inside):
                    self.scan(scan_of(g, t), [(clock.position, at) for clock, at in own])
            for state, step in zip(scan.states, scan.steps, strict=True):
                values[state][time + 1 - scan.lag, ...] = values[step][time]

    def _definition(self, t: TensorId, own: Sequence[tuple[Clock, int]]) -> None:
        """A definition of the step, at the given times."""
        tensor = self.g.tensors[t]
        fixed = {clock.axis: at for clock, at in own}
        definition = _Definition(self.g, tensor, self.values, self.sizes, self.dtype, {}, fixed)
        part = definition.run()
        if self.inspect is not None:
            self.inspect(t, definition.done, definition.poison)
        place = [slice(None)] * len(tensor.extents)
        for clock, at in own:
            if tensor.kind == "scatter":
                part = part.take([at], clock.position)
            place[clock.position] = slice(at, at + 1)
        self.values[t][tuple(place)] = part


def _input_array(g: Graph, tensor: Tensor, value: Any, sizes: Mapping[str, int], dtype: Any) -> np.ndarray:
    if tensor.dtype == "int":
        array = np.asarray(value, dtype=np.int64)
    elif dtype is object:
        array = np.asarray(_to_mpf(np.asarray(value)), dtype=object)
    else:
        array = np.asarray(value, dtype=dtype)
    shape = tuple(max(evaluate_size(g, e, sizes), 0) for e in tensor.extents)
    if array.shape != shape:
        raise ShapeMismatch(
            f"input {quoted(tensor.name)} has shape {array.shape}, not {shape}",
            because="its extents at the given sizes are " + " x ".join(map(str, shape)),
            try_="give an array of that shape, or other sizes",
        )
    return array


def evaluate_size(g: Graph, extent: Node, sizes: Mapping[str, int]) -> int:
    """The value of an extent."""
    constant, terms = g.linear(extent)
    total = constant
    for atom, k in terms.items():
        if g.op[atom] == "size":
            total += k * sizes[g.args[atom][0]]
        else:
            a, b = g.args[atom]
            total += k * evaluate_size(g, a, sizes) * evaluate_size(g, b, sizes)
    return int(total)


class _Definition:
    """One definition evaluated on the whole grid of its axes at once."""

    def __init__(
        self, g: Graph, tensor: Tensor, values: Mapping[TensorId, np.ndarray],
        sizes: Mapping[str, int], dtype: Any, tensor_counts: Mapping[TensorId, tuple[str, np.ndarray]],
        fixed: Mapping[Node, int] | None = None,
    ) -> None:  # fmt: skip
        self.g, self.tensor, self.values, self.sizes, self.dtype = g, tensor, values, sizes, dtype
        self.fixed = fixed or {}  # axes that take one value only
        self.loops = (*tensor.out, *tensor.red)
        self.shape = tuple(
            1 if a in self.fixed else max(evaluate_size(g, g.extent(a), sizes), 0) for a in self.loops
        )
        self.done: dict[Node, Any] = {}
        self.poison: dict[Node, Any] = {}
        # For the complex step at ties: how many arguments attain a maximum or minimum of several.
        self.counts: dict[Node, tuple[str, Any]] = {}
        self.tensor_counts = tensor_counts

    def run(self) -> np.ndarray:
        t = self.tensor
        self._compute_all(t.bodies)  # what thousands of bodies share is walked through once
        if t.kind == "call":
            return self._call()
        grids = [self._grid(b) for b in t.bodies]
        if t.kind == "enum":
            return np.stack(grids) if grids else np.zeros((0, *self.shape), self.dtype)
        if t.kind == "map":
            return grids[0]
        if t.kind == "scatter":
            return self._scatter(grids[0])
        return self._reduce(grids[0])

    def _call(self) -> np.ndarray:
        """One call of the matrix function for each value of the axes before the result's."""
        t, row = self.tensor, MATRIX_FUNCTIONS[self.tensor.name]
        split, first = len(t.out) - len(row.result), len(t.out)
        others, operands = self.shape[:split], []
        for body, rank in zip(t.bodies, row.ranks, strict=True):
            own = range(first, first + rank)
            shape = tuple(n if k < split or k in own else 1 for k, n in enumerate(self.shape))
            operands.append(self._grid(body, shape).reshape(others + tuple(shape[k] for k in own)))
            first += rank
        if row.tall and operands[0].shape[-2] < operands[0].shape[-1]:
            raise not_tall(self.g, t.name, t.bodies[0], operands[0].shape[-2:])
        out = np.empty(self.shape[: len(t.out)], dtype=self.dtype)
        for place in np.ndindex(*others):
            try:
                out[place] = row.values(*(o[place] for o in operands))
            except NoValue:
                raise no_value(self.g, t.name, t.bodies[0]) from None
        return out

    def _grid(self, root: Node, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """The values of a body, over all axes or over those that `shape` does not give the length 1."""
        if root not in self.done:
            self._compute_all((root,))
        shape = self.shape if shape is None else shape
        bad = np.broadcast_to(self.poison[root], shape)
        if bad.any():
            raise IndexOutOfRange(
                "a read falls outside its tensor",
                because=f"at loop indices {tuple(int(i[0]) for i in np.nonzero(bad))}",
                try_="guard the read by a condition on its indices, or correct the range",
            )
        value = np.asarray(self.done[root], dtype=self._storage(root))
        return np.array(np.broadcast_to(value, shape))

    def _compute_all(self, roots: Sequence[Node]) -> None:
        for n in self.g.reachable(roots):
            if n not in self.done:
                self._compute(n)

    def _storage(self, node: Node) -> Any:
        return np.int64 if self.g.kind[node] == "int" else self.dtype

    def _compute(self, n: Node) -> None:
        g, op, args = self.g, self.g.op[n], self.g.args[n]
        self.poison[n] = False
        if op == "const":
            self.done[n] = self._constant(args)
        elif op in ("true", "false"):
            self.done[n] = np.bool_(op == "true")
        elif op == "size":
            self.done[n] = np.int64(self.sizes[args[0]])
        elif op == "axis":
            self.done[n] = self._axis(n)
        elif op == "lin":
            self._linear(n)
        elif op == "read":
            self._read(n)
        else:
            self._elementwise(n, [self.done[c] for c in g.children(n)])

    def _constant(self, args: tuple[Any, ...]) -> Any:
        if self.dtype is object:
            return _mp_constant(args)
        if args[0] == "q":
            return self.dtype(_rational_to_float(args[1], args[2]))
        if args in (EPSILON, SMALLEST):
            return self.dtype(_of_type(args, self.dtype))
        return self.dtype(constant_value(args))

    def _axis(self, n: Node) -> np.ndarray:
        place = self.loops.index(n)  # `ir.check` refuses axes the definition does not bind
        shape = [1] * len(self.loops)
        shape[place] = self.shape[place]
        if n in self.fixed:
            return np.full(shape, self.fixed[n], dtype=np.int64)
        return np.arange(self.shape[place], dtype=np.int64).reshape(shape)

    def _linear(self, n: Node) -> None:
        constant, terms = self.g.linear(n)
        total: Any = np.int64(constant)
        for atom, k in terms.items():
            total = total + k * self.done[atom]
            self.poison[n] = self.poison[n] | self.poison[atom]
        self.done[n] = total

    def _read(self, n: Node) -> None:
        tensor, *index = self.g.args[n]
        array = self.values[tensor]
        bad: Any = False
        clipped = []
        for i, extent in zip(index, array.shape, strict=True):
            at = self._as_integer(i)
            bad = bad | self.poison[i] | (at < 0) | (at >= extent)
            clipped.append(np.clip(at, 0, max(extent - 1, 0)))
        if array.size == 0:
            self.done[n] = np.zeros(np.broadcast_shapes(*(np.shape(c) for c in clipped)), array.dtype)
        else:
            self.done[n] = array[tuple(clipped)]
            if tensor in self.tensor_counts:
                op, number = self.tensor_counts[tensor]
                self.counts[n] = op, number[tuple(clipped)]
        self.poison[n] = bad

    def _as_integer(self, i: Node) -> Any:
        q = self.g.rational(i)
        return self.done[i] if q is None else np.int64(int(q))

    def _elementwise(self, n: Node, args: list[Any]) -> None:
        g, op = self.g, self.g.op[n]
        bad = [self.poison[c] for c in g.children(n)]
        self.poison[n] = _poison(op, args, bad)
        if op in ("ige", "ieq"):
            value = self._as_integer(g.args[n][0])
            self.done[n] = value >= 0 if op == "ige" else value == 0
        elif op == "imul":
            self.done[n] = args[0] * args[1]
        elif op == "cast":
            self.done[n] = _to_real(args[0], self.dtype)
        elif self.dtype is object:
            self.done[n] = _by_mpmath(op, args)
        elif self.dtype is np.complex128:
            self.done[n] = self._complex(n, args)
        else:
            self.done[n] = OPS[op].numpy(*args)

    def _complex(self, n: Node, args: list[Any]) -> Any:
        """An elementwise operation on complex numbers; at a kink, the piece the convention takes."""
        g, op = self.g, self.g.op[n]
        if op in ("maximum", "minimum"):
            counts = [self.counts.get(c, (op, 1)) for c in g.args[n]]
            of_this = [count if of == op else 1 for of, count in counts]
            value, count = complex_forms.extremum(g.kinks, op, *args, *of_this)
            self.counts[n] = op, count
            return value
        if op == "abs":
            return complex_forms.abs_at(g.kinks, *args)
        if is_root_at_least_value(g, n):
            return complex_forms.root_at_least_value(op, *args)
        return complex_forms.COMPLEX_FORMS[op](*args)

    def _reduce(self, grid: np.ndarray) -> np.ndarray:
        first = len(self.tensor.out)
        over = tuple(range(first, grid.ndim))
        kind = self.tensor.kind
        if kind == "logsumexp":
            return _logsumexp(grid, over)
        if kind in ("max", "min") and self.dtype is np.complex128 and grid.size:
            return np.asarray(complex_forms.extreme_entry(self.g.kinks, kind, grid, over), dtype=grid.dtype)
        ufunc, payload = _REDUCTIONS[kind]
        initial = self._constant(payload)
        return np.asarray(ufunc.reduce(grid, axis=over, initial=initial), dtype=grid.dtype)

    def _scatter(self, grid: np.ndarray) -> np.ndarray:
        extents = tuple(max(evaluate_size(self.g, e, self.sizes), 0) for e in self.tensor.extents)
        result = np.zeros(extents, dtype=self.dtype)
        if self.dtype is object:
            result[...] = _mp_constant(("q", 0, 1))
        hidden = self._hidden_places()
        places = []
        for i, extent in zip(self.tensor.target, extents, strict=True):
            for m in self.g.reachable((i,)):
                if m not in self.done:
                    self._compute(m)
            at = np.broadcast_to(self._as_integer(i), self.shape)
            bad = ~hidden & (self.poison[i] | (at < 0) | (at >= extent))
            if np.any(bad):
                raise IndexOutOfRange("a scatter falls outside its result", because=f"extent {extent}")
            places.append(np.where(hidden, 0, at))
        keep = ~hidden
        np.add.at(result, tuple(p[keep] for p in places), grid[keep])
        return result

    def _hidden_places(self) -> np.ndarray:
        """Where the outermost mask of the body is false: nothing is added there."""
        body = self.tensor.body
        if self.g.op[body] != "mask":
            return np.zeros(self.shape, dtype=bool)
        return ~np.broadcast_to(np.asarray(self.done[self.g.args[body][0]], dtype=bool), self.shape)


def _poison(op: str, args: list[Any], bad: list[Any]) -> Any:
    """Where an elementwise result depends on a read outside its tensor.

    An arm not taken has no effect, and neither has a condition whose outcome another one decides
    (in either order: `and` and `or` are commutative).
    """
    if op in ("where", "mask", "and", "or"):
        first = np.asarray(args[0], dtype=bool)
    if op == "mask":
        return bad[0] | (first & bad[1])
    if op == "where":
        return bad[0] | (first & bad[1]) | (~first & bad[2])
    if op in ("and", "or"):
        second = np.asarray(args[1], dtype=bool)
        decided = op == "or"
        settled = (~np.asarray(bad[0]) & (first == decided)) | (~np.asarray(bad[1]) & (second == decided))
        return (bad[0] | bad[1]) & ~settled
    poison: Any = False
    for b in bad:
        poison = poison | b
    return poison


def constant_value(args: tuple[Any, ...]) -> float:
    """The float64 nearest to a constant's payload."""
    if args in (EPSILON, SMALLEST):
        return _of_type(args, np.float64)
    tag, *payload = args
    if tag == "q":
        return _rational_to_float(payload[0], payload[1])
    if tag == "f":
        return float(payload[0])
    import mpmath

    return float(getattr(mpmath, payload[0]))


def _of_type(args: tuple[Any, ...], dtype: Any) -> float:
    limits = np.finfo(dtype)
    return float(limits.eps if args == EPSILON else limits.tiny)


def _rational_to_float(n: int, d: int) -> float:
    try:
        return n / d  # correctly rounded
    except OverflowError:
        return float("inf") if n > 0 else float("-inf")


def _mp_constant(args: tuple[Any, ...]) -> Any:
    import mpmath

    tag, *payload = args
    if tag == "q":
        return mpmath.mpf(payload[0]) / payload[1]
    if args == SMALLEST:
        return mpmath.mpf(0)  # its exponents have no end
    return (
        mpmath.mpf(payload[0]) if tag == "f" else +getattr(mpmath, "eps" if args == EPSILON else payload[0])
    )


def _to_real(value: Any, dtype: Any) -> Any:
    if dtype is not object:
        return np.asarray(value).astype(dtype)
    return _to_mpf(value)


def _to_mpf(value: Any) -> Any:
    import mpmath

    def convert(x: Any) -> Any:
        if isinstance(x, mpmath.mpf):
            return x
        return mpmath.mpf(int(x) if isinstance(x, int | np.integer) else float(x))

    return np.frompyfunc(convert, 1, 1)(value)


def _by_mpmath(op: str, args: list[Any]) -> Any:
    row = OPS[op]
    call = row.mpmath if row.result == "bool" else _as_ieee(op, row.mpmath)
    out = np.frompyfunc(call, len(args), 1)(*args)
    return np.asarray(out, dtype=bool) if row.result == "bool" else out


def _as_ieee(op: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` of mpmath with the floating-point answer where mpmath raises or leaves the reals."""
    import mpmath

    def call(*args: Any) -> Any:
        try:
            value = function(*args)
        except ZeroDivisionError:
            if op == "div":
                return args[0] * mpmath.inf  # nan for 0/0
            return mpmath.inf if op == "pow" else mpmath.nan
        return mpmath.nan if isinstance(value, mpmath.mpc) else value

    return call


def _logsumexp(grid: np.ndarray, over: tuple[int, ...]) -> np.ndarray:
    """m + log(sum exp(x - m)) with m the largest entry; -inf for an empty range."""
    if grid.dtype == object:
        import mpmath

        exp = np.frompyfunc(mpmath.exp, 1, 1)
        return np.asarray(np.frompyfunc(mpmath.log, 1, 1)(np.asarray(exp(grid)).sum(axis=over)))
    top = np.maximum.reduce(grid, axis=over, initial=-np.inf, keepdims=True)
    shift = np.where(np.isfinite(top), top, 0)
    total = np.exp(grid - shift).sum(axis=over)
    return np.asarray(np.log(total) + shift.reshape(total.shape), dtype=grid.dtype)
