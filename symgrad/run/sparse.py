"""Kernels with sparse results: SciPy sparse arrays whose pattern is found once and kept.

A pattern depends on sizes, and on integer arrays where indices are gathered. It is computed at the first call
with them and kept for the next; a call with other integers computes it again.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from symgrad.errors import BadArgument, BadOption, ShapeMismatch, quoted
from symgrad.grad.sparsity import SparseOutput
from symgrad.ir.evaluate import evaluate_size
from symgrad.records import dataclass
from symgrad.run.indices import check_indices
from symgrad.run.intake import Intake
from symgrad.run.kernel import Kernel, Spec
from symgrad.run.patterns import Pattern, make_pattern
from symgrad.run.signature import Argument, Signature, Sizes, solve_sizes

_MOST_PATTERNS = 16


@dataclass(frozen=True)
class Found:
    """The patterns of one call: what the machine code takes, and empty matrices to fill."""

    integers: tuple[np.ndarray, ...]
    inputs: list[np.ndarray]
    sizes: Sizes
    matrices: tuple[Any, ...]


class SparseKernel(Kernel):
    """A kernel some of whose results are SciPy sparse arrays (csc_array, csr_array or coo_array).

    The pattern of a result holds no structural zero and is the same in every call with the same sizes and
    integer arrays; `sparsity` gives it. Everything else is as in `Kernel`, except that there are no sample
    axes and no `out=`.
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        mine = tuple(a for a in spec.signature.arguments if a.role != "places")
        counts = {name for output in spec.sparse for name in (output.count, output.total)}
        sizes = tuple(name for name in spec.signature.sizes if name not in counts)
        self._user = replace(spec.signature, arguments=mine, sizes=sizes)
        self._size_names = sizes
        self._intake = Intake(self._user, self.dtype)
        self._words = [k for k, word in enumerate(self.outputs) if word in {s.word for s in spec.sparse}]
        self._integers = self._integer_arguments()
        self._patterns: dict[Any, Found] = {}
        self._guard = threading.Lock()

    def _integer_arguments(self) -> list[int]:
        """The arguments that patterns depend on besides sizes."""
        unit, outputs = self._spec.units[0], self._spec.sparse
        equations = [t for output in outputs for band in output.bands for t in band]
        below = set(unit.graph.definitions_below(equations))
        return [k for k, a in enumerate(self._user.arguments) if unit.inputs[k][1] in below and not a.is_size]

    # ---- calling ---------------------------------------------------------------------------

    def _call(
        self, /, *args: Any, out: Any = None, tangent: Any = None, cotangent: Any = None, **by_name: Any
    ) -> Any:
        """Evaluate; see `Kernel._call`.

        Each sparse result is one matrix: rows run over the entries of the value (of wrt, for hess and
        gauss_newton), columns over those of wrt, arrays laid end to end in row-major order. The arrays of a
        result are its own.
        Raises also BadOption for `out=`, and ShapeMismatch for sample axes.
        """
        if out is not None:
            raise BadOption("out= is given", because="sparse results are new arrays", try_="leave it out")
        arrays, given = self._intake(args, by_name, tangent, cotangent)
        found = self._found(arrays, given)
        sizes = {**given, **found.sizes} if given else found.sizes
        results = self._evaluate([*arrays, *found.inputs], sizes, None)
        words = [results] if self.signature.single else list(results)
        for k, empty in zip(self._words, found.matrices, strict=True):
            words[k] = _filled(empty, words[k])
        return words[0] if self.signature.single else tuple(words)

    def _check_ranks(self, arrays: Sequence[np.ndarray]) -> None:
        for a, x in zip(self._user.arguments, arrays, strict=True):
            if x.ndim > len(a.extents):
                raise ShapeMismatch(
                    f"argument {quoted(a.name)} has shape {x.shape}",
                    because="a sparse array has two axes: such a kernel takes one sample per call",
                    try_="call once per sample, or compile without sparse=",
                )

    # ---- patterns --------------------------------------------------------------------------

    def _found(self, arrays: Sequence[np.ndarray], given: Mapping[str, int]) -> Found:
        """The patterns for these shapes, sizes and integers: those kept, if they still hold."""
        values = self._size_values(arrays)
        key = (*(x.shape for x in arrays), *given.items(), *values)
        found = self._patterns.get(key)
        integers = [arrays[k] for k in self._integers]
        if found is None:
            self._check_ranks(arrays)
        if found is None or not all(map(np.array_equal, found.integers, integers)):
            known = dict(zip((self._user.arguments[k].name for k in self._sized), values, strict=True))
            cores = [x.shape for x in arrays]
            sizes = solve_sizes(self._user.arguments, cores, {**given, **known}, self._user.sizes)
            found = self._make(sizes, {k: arrays[k] for k in self._integers})
            with self._guard:
                if len(self._patterns) >= _MOST_PATTERNS:
                    del self._patterns[next(iter(self._patterns))]
                self._patterns[key] = found
        return found

    def _make(self, sizes: Sizes, integers: Mapping[int, np.ndarray]) -> Found:
        """The patterns for integer arguments, by number."""
        check_indices(self._spec.signature, integers, sizes)
        unit = self._spec.units[0]
        given = {unit.inputs[k][1]: x for k, x in integers.items()}
        patterns = [make_pattern(unit.graph, output, given, sizes) for output in self._spec.sparse]
        counts = {name: n for p in patterns for name, n in p.sizes.items()}
        matrices = tuple(
            _empty(output, p, self.dtype) for output, p in zip(self._spec.sparse, patterns, strict=True)
        )
        kept = tuple(np.array(x) for x in integers.values())
        return Found(kept, [x for p in patterns for x in p.inputs], counts, matrices)

    def sparsity(self, **values: Any) -> Any:
        """The pattern of the sparse results: arrays of True, in the format they were compiled for.

        values  every size by name, and every integer array that indices are gathered from.
        One array, or a dict from word to array where there are several.
        Raises BadArgument for a value that is missing or unknown.
        """
        names = {self._user.arguments[k].name: k for k in self._integers}
        sizes = {name: x for name, x in values.items() if name not in names}
        missing = [name for name in names if name not in values]
        if missing:
            raise BadArgument(
                f"array {quoted(missing[0])} is missing",
                because="the pattern depends on the integers in it",
                try_="pass it by name",
            )
        integers = {k: np.asarray(values[name], np.int64) for name, k in names.items()}
        found = self._make(super()._checked_sizes(sizes), integers)
        words = [output.word for output in self._spec.sparse]
        patterns = [_filled(m, np.ones(m.nnz, bool)) for m in found.matrices]
        return patterns[0] if len(patterns) == 1 else dict(zip(words, patterns, strict=True))

    # ---- what it is ------------------------------------------------------------------------

    def _checked_sizes(self, sizes: Mapping[str, int]) -> Sizes:
        """The sizes, and how many values there are: at most so many where that depends on integer arrays."""
        checked = super()._checked_sizes(sizes)
        if not self._integers:
            return {**checked, **self._make(checked, {}).sizes}
        g = self._spec.units[0].graph
        counts: Sizes = {}
        for output in self._spec.sparse:
            lengths = [[evaluate_size(g, e, checked) for e in g.tensors[t].extents] for *_, t in output.bands]
            entries = sum(prod(max(n, 0) for n in own) for own in lengths)
            counts |= {output.count: entries, output.total: 2 * entries}
        counts.pop("", None)
        return {**checked, **counts}

    @property
    def sparse_words(self) -> tuple[str, ...]:
        """The output words whose results are sparse."""
        return tuple(output.word for output in self._spec.sparse)

    @property
    def pattern_arguments(self) -> tuple[Argument, ...]:
        """The integer arrays that the patterns depend on."""
        return tuple(self._user.arguments[k] for k in self._integers)

    @property
    def signature(self) -> Signature:
        """What a caller passes; the machine code takes places besides."""
        return self._user

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of the arguments in call order, without those that hold places."""
        return tuple(a.name for a in self._user.arguments)

    def dense(self, word: str, result: Any) -> Any:
        """A result of this kernel with arrays for sparse matrices, both triangles filled."""
        for output in self._spec.sparse:
            if output.word == word:
                whole = result.toarray()
                is_half = output.is_symmetric and output.storage.triangle == "lower"
                return whole + np.tril(whole, -1).T if is_half else whole
        return result


def _empty(output: SparseOutput, pattern: Pattern, dtype: np.dtype) -> Any:
    """The matrix with zeros for values, in canonical format."""
    import scipy.sparse  # slow to import, and most programs do without it

    values = np.zeros(len(pattern.rows), dtype)
    coo = scipy.sparse.coo_array((values, (pattern.rows, pattern.columns)), shape=pattern.shape)
    coo.has_canonical_format = output.storage.format != "csc"
    if output.storage.format == "coo":
        return coo
    made = coo.tocsc() if output.storage.format == "csc" else coo.tocsr()
    made.has_canonical_format = True
    return made


def _filled(empty: Any, values: np.ndarray) -> Any:
    """A matrix of the same pattern with these values, sharing no memory with it."""
    made = copy.copy(empty)
    made.data = values
    if empty.format == "coo":
        made.coords = tuple(x.copy() for x in empty.coords)
    else:
        made.indices, made.indptr = empty.indices.copy(), empty.indptr.copy()
    return made
