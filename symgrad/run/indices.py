"""Integer arguments that index arrays are checked before a call: no kernel reads outside of memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from symgrad.errors import IndexOutOfRange, quoted
from symgrad.ir.evaluate import evaluate
from symgrad.ir.unit import Unit
from symgrad.loops.nest import evaluate_poly
from symgrad.run.signature import Signature, Sizes


def check_indices(signature: Signature, arrays: Mapping[int, np.ndarray], sizes: Sizes) -> None:
    """Whether these arguments, by number, stay inside the arrays that they index; IndexOutOfRange if not."""
    for r in signature.index_ranges:
        x = arrays.get(r.argument)
        if x is None or x.size == 0:
            continue
        low, high = evaluate_poly(r.low, sizes), evaluate_poly(r.high, sizes)
        least, most = int(x.min()), int(x.max())
        if least < low or most > high:
            raise IndexOutOfRange(
                f"argument {quoted(signature.arguments[r.argument].name)} holds the index "
                f"{least if least < low else most}",
                because=f"the array it indexes allows {low} to {high}"
                if low <= high
                else "the array it indexes is empty",
                try_="pass indices that start at 0 and stay inside the array",
            )


class Escapes:
    """What finds out of the arguments whether a doubtful index leaves its array, by the reference evaluator.

    used  the arguments it reads: integers, and what conditions compare.
    """

    def __init__(self, unit: Unit, signature: Signature) -> None:
        self._unit, self._escapes = unit, signature.escapes
        below = set(unit.graph.definitions_below([t for t, _ in signature.escapes]))
        self.used = [k for k, (_, t) in enumerate(unit.inputs) if t in below]

    def check(self, arrays: Sequence[np.ndarray], cores: Sequence[tuple[int, ...]], sizes: Sizes) -> None:
        """Raise IndexOutOfRange where one does; `cores` are the shapes of the arguments in one sample."""
        unit, used = self._unit, self.used
        leads = [arrays[k].shape[: arrays[k].ndim - len(cores[k])] for k in used]
        checks = [t for t, _ in self._escapes]
        for sample in np.ndindex(*np.broadcast_shapes(*leads)):
            inputs = {}
            for k, lead in zip(used, leads, strict=True):
                at = tuple(
                    i if n > 1 else 0 for i, n in zip(sample[len(sample) - len(lead) :], lead, strict=True)
                )
                inputs[unit.inputs[k][1]] = arrays[k][at]
            found = evaluate(unit.graph, checks, inputs, sizes)
            for (_, name), escapes in zip(self._escapes, found, strict=True):
                if escapes.any():
                    raise IndexOutOfRange(
                        f"an index of {quoted(name)} leaves the array",
                        because="the integers in it give a place below 0 or beyond the end",
                        try_="pass other integers, or guard the access with a condition on both ends",
                    )
