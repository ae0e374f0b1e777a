"""A program's value or gradient as a function of one flat vector of variables, and slopes of it by oracles.

Values come from a compiled kernel in double precision. The complex step and the derivative at 50 digits come
from the reference evaluator, which runs the program as the front end left it: no pass, no target takes part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from symgrad.errors import NoFactorisation, NotConverged, PrecisionLost
from symgrad.frontend.arguments import name_of
from symgrad.ir.complex_forms import COMPLEX_FORMS
from symgrad.ir.count import operations
from symgrad.ir.evaluate import evaluate, evaluate_size
from symgrad.ir.matrix.functions import grids
from symgrad.ir.ops import OPS
from symgrad.kinks import Kink
from symgrad.program import Program
from symgrad.records import dataclass
from symgrad.run.kernel import Kernel
from symgrad.run.kinks import kinks_at
from symgrad.run.point import Array, Arrays, Point
from symgrad.run.sparse import SparseKernel

DIGITS = 50
"""Decimal digits of the high-precision evaluation, unless the caller chooses."""
_SMALL = 300_000  # operations of a kernel that is called for one of its outputs alone
_CHUNK = 4_000_000  # numbers handed to a kernel at once
_TWICE = 20_000  # operations at high precision for one row of second differences, about 0.1 s
_JUMP = 1e-9  # what no slope explains over the steps of exact differences
_COMPLEX_STEP = 1e-170  # its square is 0: real parts do not move, and ties stay ties


@dataclass(frozen=True)
class Variables:
    """The symbols a program is differentiated by, laid end to end.

    is_packed  scalars that the user sees as one vector; is_single: one symbol, results are not wrapped.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    is_packed: bool
    is_single: bool

    @property
    def lengths(self) -> tuple[int, ...]:
        return tuple(prod(shape) for shape in self.shapes)

    @property
    def size(self) -> int:
        return sum(self.lengths)

    def flat(self, arrays: Arrays) -> Array:
        """The variables among `arrays` as one vector, (size,)."""
        return np.concatenate([np.zeros(0), *(np.ravel(arrays[name]) for name in self.names)])

    def split(self, points: Array) -> Arrays:
        """Vectors, (..., size), as arrays with the same leading axes."""
        parts = np.split(points, np.cumsum(self.lengths)[:-1], axis=-1)
        lead = points.shape[:-1]
        return {
            name: part.reshape(lead + shape)
            for name, part, shape in zip(self.names, parts, self.shapes, strict=True)
        }

    def entry(self, position: int) -> tuple[str, tuple[int, ...]]:
        """The symbol and the index in it of one entry."""
        for name, shape, length in zip(self.names, self.shapes, self.lengths, strict=True):
            if position < length:
                return name, tuple(int(i) for i in np.unravel_index(position, shape)) if shape else ()
            position -= length
        raise IndexError(position)

    def direction(self, vector: Array) -> Any:
        """A vector, (size,), as kernels take a tangent."""
        if self.is_packed:
            return vector
        parts = tuple(self.split(vector).values())
        return parts[0] if self.is_single else parts


def variables_of(program: Program, arrays: Arrays) -> Variables:
    """The variables of a program with the shapes that `arrays` have."""
    problem = program.problem()
    names = tuple(name_of(symbol) for symbol in program.wrt)
    return Variables(names, tuple(np.shape(arrays[name]) for name in names), problem.packed, problem.single)


class Function:
    """`word` ("value" or "grad") of a program at a point, as a function of its variables.

    kernel    that is verified, and `given`, the directions it takes: its own values serve where that is not
              too slow; else a kernel for `word` alone is compiled, for the same backend.
    weights   of a linear combination of the entries, (entries,), instead of all of them.
    digits    that exact values and slopes are good to, about.
    """

    def __init__(
        self, kernel: Kernel, given: Mapping[str, Any], word: str, point: Point, variables: Variables,
        weights: Array | None = None, digits: int = DIGITS,
    ) -> None:  # fmt: skip
        self._verified, self._given, self.word = kernel, given, word
        self._program: Program = kernel.program
        program = self._program
        self._point, self.weights = point, weights
        self.variables, self.digits = variables, digits
        self.at = variables.flat(point.arrays)
        derived = program.derived((word,))
        self._unit = derived.unit
        self._leaves = [self._unit.outputs[k][1] for k, _ in _leaves(derived.results[0])]

    # ---- what it costs -------------------------------------------------------------------------

    @cached_property
    def operations(self) -> int:
        """Operations of one evaluation."""
        return operations(self._unit.graph, self._leaves, self._point.sizes)

    @property
    def exact_cost(self) -> int:
        """Operations of one exact slope."""
        if self.word == "grad" and self.is_differenced_twice:
            return 4 * self.variables.size * self.value_function.operations
        return 2 * self.operations

    @cached_property
    def is_differenced_twice(self) -> bool:
        """Whether exact slopes of the gradient are second differences of the value: no derivative of ours
        takes part then. Left to the gradient where that takes too long.
        """
        return 4 * self.variables.size * self.value_function.operations <= _TWICE

    @cached_property
    def value_function(self) -> Function:
        """The value at the same point."""
        if self.word == "value":
            return self
        return Function(self._verified, self._given, "value", self._point, self.variables, None, self.digits)

    @property
    def largest(self) -> int:
        """Numbers in the largest array the reference evaluator makes."""
        g, most = self._unit.graph, 0
        for t in g.definitions_below(self._leaves):
            for loops in grids(g, t):
                most = max(most, prod(evaluate_size(g, g.extent(a), self._point.sizes) for a in loops))
        return most

    @property
    def kinks(self) -> tuple[Kink, ...]:
        """The kinks of the program."""
        return self._program.kinks

    @property
    def convention(self) -> str:
        """The name of the convention at kinks."""
        return self._program.options.kinks

    @cached_property
    def kinks_here(self) -> tuple[Kink, ...]:
        """The kinks that the point is on, in some entry of their arguments."""
        return kinks_at(self._program.translation, self.kinks, self._point.arrays, self._point.sizes)

    def real_only(self) -> list[str]:
        """The operations that the complex step cannot evaluate; a core by its function's name."""
        g = self._unit.graph
        bodies = [n for t in g.definitions_below(self._leaves) for n in g.tensors[t].bodies]
        used = {g.op[n] for n in g.reachable(bodies)}
        return sorted({op.removesuffix("_core") for op in used & OPS.keys() if op not in COMPLEX_FORMS})

    # ---- values --------------------------------------------------------------------------------

    @cached_property
    def _kernel(self) -> tuple[Kernel, Mapping[str, Any]]:
        """A kernel with the word among its outputs, in double precision, and the directions it takes."""
        k = self._verified
        takes_samples = not isinstance(k, SparseKernel)
        if (
            self.word in k.outputs
            and takes_samples
            and k.dtype == np.float64
            and k.ops(**self._point.sizes)["before"] < _SMALL
        ):
            return k, self._given
        from symgrad.pipeline import compile as compile_kernel  # the pipeline itself imports this folder

        return compile_kernel(self._program, outputs=self.word, backend=k.backend), {}

    def values(self, points: Array) -> Array:
        """Vectors of variables, (B, size), to values, (B, entries), in double precision."""
        count = max(1, _CHUNK // max(1, points.shape[1]))
        chunks = [self._values(points[k : k + count]) for k in range(0, len(points), count)]
        return np.concatenate(chunks)

    @cached_property
    def magnitude(self) -> float:
        """The largest modulus of the values at the point; 0 where none is finite."""
        here = np.abs(self.values(self.at[None]))
        return float(here[np.isfinite(here)].max(initial=0.0))

    def _values(self, points: Array) -> Array:
        """nan where a matrix function or a solution has no value."""
        try:
            return self._called(points)
        except (NoFactorisation, NotConverged, PrecisionLost):
            here = self._called(self.at[None])  # which has one
        values = np.full((len(points), here.shape[1]), np.nan)
        for k, point in enumerate(points):
            with suppress(NoFactorisation, NotConverged, PrecisionLost):
                values[k] = self._called(point[None])[0]
        return values

    def _called(self, points: Array) -> Array:
        kernel, given = self._kernel
        arrays = {**self._point.arrays, **self.variables.split(points)}
        parts = outputs_of(kernel, arrays, self._point.sizes, given)[self.word]
        return self._combined(np.concatenate([np.reshape(x, (len(points), -1)) for x in parts], axis=1))

    def reference_value(self) -> Array:
        """The value at the point by the reference evaluator, (entries,)."""
        return self._evaluated(np.float64, self._point.arrays)

    def exact_value(self) -> Array:
        """The same with `digits` digits, mpmath numbers."""
        import mpmath

        with mpmath.workdps(2 * self.digits):
            return self._evaluated(object, self._point.arrays)

    def complex_slope(self, direction: Array) -> Array:
        """The derivative along `direction` by the complex step, (entries,)."""
        there = self.variables.split(self.at + 1j * _COMPLEX_STEP * direction)
        return self._evaluated(np.complex128, {**self._point.arrays, **there}).imag / _COMPLEX_STEP

    def exact_slope(self, direction: Array) -> Array:
        """The derivative along `direction` by central differences of numbers with twice as many digits.

        Returns mpmath numbers, (entries,): beside a jump the slope of the side that continues the value,
        nan where neither does. With step h, truncation is of order h**2 and rounding of order
        10**(-2*digits)/h (once) or /h**2 (twice): the steps make both small beside 10**-digits.
        """
        return self._slope(direction, 0)

    def exact_error(self, direction: Array, slope: Array) -> Array:
        """Errors of slopes that may be nothing else: how much the tiny ones change with a shorter step."""
        sizes = np.abs(slope).astype(np.float64)
        tiny = (sizes > 0) & (sizes < 10.0 ** -(self.digits // 2))
        if not tiny.any():
            return np.zeros(sizes.shape)
        again = self._slope(direction, 1)
        return np.where(tiny, np.abs(slope - again).astype(np.float64), 0.0)

    def _slope(self, direction: Array, shorter: int) -> Array:
        """`exact_slope` with a step that is shorter by so many digits."""
        import mpmath

        with mpmath.workdps(2 * self.digits):
            vector = self._exactly(direction)
            if self.word == "grad" and self.is_differenced_twice:
                return self._second_slope(vector, mpmath.mpf(10) ** -(self.digits // 2 + shorter))
            step = mpmath.mpf(10) ** -(2 * self.digits // 3 + shorter)
            ahead, behind = (self._moved(vector * (step * side)) for side in (1, -1))
            if self.kinks:
                return _continued(behind, self._moved(vector * 0), ahead, step)
            return np.asarray((ahead - behind) / (2 * step), dtype=object)

    def _second_slope(self, vector: Array, step: Any) -> Array:
        """The Hessian of the value times `vector`, entry by entry, by differences in both directions."""
        import mpmath

        value, ahead = self.value_function, vector * step
        slopes = []
        for k in range(self.variables.size):
            unit = self._exactly(np.eye(1, self.variables.size, k)[0]) * step
            corners = [s * value._moved(s * ahead + t * unit)[0] * t for s in (1, -1) for t in (1, -1)]
            slope = sum(corners) / (4 * step * step)
            is_jump = self.kinks and abs(slope) * step > _JUMP  # of the gradient
            slopes.append(mpmath.nan if is_jump else slope)
        return np.array(slopes, dtype=object)

    @staticmethod
    def _exactly(numbers: Array) -> Array:
        import mpmath

        return np.asarray(np.frompyfunc(mpmath.mpf, 1, 1)(numbers), dtype=object)

    def _moved(self, shift: Array) -> Array:
        """The function at the point moved by mpmath numbers."""
        there = self.variables.split(self._exactly(self.at) + shift)
        return self._evaluated(object, {**self._point.arrays, **there})

    def _evaluated(self, dtype: Any, arrays: Arrays) -> Array:
        inputs = {t: arrays[name] for name, t in self._unit.inputs if name in arrays}
        parts = evaluate(self._unit.graph, self._leaves, inputs, self._point.sizes, dtype)
        return self._combined(np.concatenate([np.ravel(part) for part in parts]))

    def _combined(self, entries: Array) -> Array:
        if self.weights is None:
            return entries
        return np.asarray((entries * self.weights).sum(axis=-1, keepdims=True))


def _continued(behind: Array, here: Array, ahead: Array, step: Any) -> Array:
    """Slopes from values on both sides, of the sides that continue the value here; mpmath numbers."""
    import mpmath

    slopes = []
    for left, middle, right in zip(behind, here, ahead, strict=True):
        most = _JUMP * max(1, abs(middle))
        sides = [side for side in (middle - left, right - middle) if abs(side) <= most]
        slopes.append(sum(sides) / (len(sides) * step) if sides else mpmath.nan)
    return np.array(slopes, dtype=object)


def outputs_of(
    kernel: Kernel, arrays: Arrays, sizes: Mapping[str, int], given: Mapping[str, Any]
) -> dict[str, list[Array]]:
    """The outputs of a kernel by word, each as a list of arrays.

    arrays, sizes  by name; `given`: tangent and cotangent, where the kernel takes them.
    """
    signature = kernel.signature
    arguments = [a.name for a in signature.arguments if a.role == "input"]
    extra = {name: sizes[name] for name in signature.sizes if name not in arguments}
    result = kernel(*(arrays[name] for name in arguments), **extra, **given)
    results = (result,) if kernel.signature.single else result
    return {word: flat_parts(kernel.dense(word, x)) for word, x in zip(kernel.outputs, results, strict=True)}


def pattern_of(kernel: Kernel, word: str, point: Point) -> Array | None:
    """Where a sparse result has places, as a matrix of booleans; None for a dense one."""
    if not isinstance(kernel, SparseKernel) or word not in kernel.sparse_words:
        return None
    integers = {a.name: point.arrays[a.name] for a in kernel.pattern_arguments}
    sizes = {name: point.sizes[name] for name in kernel.signature.sizes}
    found = kernel.sparsity(**sizes, **integers)
    return np.asarray(kernel.dense(word, found if len(kernel.sparse_words) == 1 else found[word]))


def flat_parts(result: Any) -> list[Array]:
    """The arrays of a kernel's result in order, whatever their nesting."""
    if isinstance(result, (tuple, list)):
        return [part for inner in result for part in flat_parts(inner)]
    return [np.asarray(result, dtype=np.float64)]


def _leaves(tree: Any) -> Iterator[tuple[int, Any]]:
    if isinstance(tree, list):
        for inner in tree:
            yield from _leaves(inner)
    else:
        yield tree
