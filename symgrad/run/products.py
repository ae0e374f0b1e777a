"""Gauss-Newton matrices and their products: J'J out of a Jacobian that the kernel has no part in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from symgrad.run.accuracy import measured
from symgrad.run.findings import Findings
from symgrad.run.functions import Function
from symgrad.run.judging import COMPLEX, Tolerances, count_text, errors_of, exactly, largest, row_of
from symgrad.run.point import Array
from symgrad.run.report import LEFT_OUT, Entry, Row, entry_name, entry_text

GAUSS_NEWTON = ("gauss_newton", "gnvp")
_BUDGETS = {False: 200_000_000, True: 150_000}  # operations: by the complex step, at high precision


def compare_products(
    word: str, parts: Sequence[Array], function: Function, tangent: Array | None, tolerances: Tolerances,
    findings: Findings,
) -> None:  # fmt: skip
    """The matrix, or its product with `tangent`, by the complex step and by exact differences.

    function  the residuals; parts: what the kernel returned for `word`.
    """
    for exact in (False, True):
        method = exactly(function.digits) if exact else COMPLEX
        reason = _reason(function, exact)
        if reason:
            findings.rows.append(Row(word, method, result=LEFT_OUT, note=reason))
            continue
        wanted = _product(function, exact, tangent if word == "gnvp" else None)
        claimed = _matrix(parts, function) if word == "gauss_newton" else _flat(parts)
        if exact:
            names = [_name(word, function, k, claimed.ndim) for k in range(claimed.size)]
            findings.measured[word] = measured(
                names, claimed.ravel(), wanted.ravel(), function.digits, tolerances.dtype
            )
        findings.rows.append(
            _row(word, method, claimed, np.asarray(wanted, np.float64), function, tolerances)
        )


def _reason(function: Function, exact: bool) -> str:
    cost = function.variables.size * (function.exact_cost if exact else function.operations)
    if cost > _BUDGETS[exact]:
        return f"too large: {cost:,} operations for the whole Jacobian, at most {_BUDGETS[exact]:,}"
    real_only = [] if exact else function.real_only()
    return f"known on the real line only: {', '.join(real_only)}" if real_only else ""


def _product(function: Function, exact: bool, tangent: Array | None) -> Array:
    slope = function.exact_slope if exact else function.complex_slope
    size = function.variables.size
    columns = np.stack([slope(np.eye(1, size, k)[0]) for k in range(size)])
    return np.asarray(columns @ (columns.T if tangent is None else columns.T @ tangent))


def _flat(parts: Sequence[Array]) -> Array:
    return np.concatenate([np.ravel(part) for part in parts])


def _matrix(parts: Sequence[Array], function: Function) -> Array:
    """The blocks side by side, (N, N)."""
    lengths = function.variables.lengths
    if len(parts) == 1:
        return parts[0].reshape(function.variables.size, -1)
    rows = [parts[k : k + len(lengths)] for k in range(0, len(parts), len(lengths))]
    return np.concatenate(
        [
            np.concatenate([p.reshape(n, -1) for p in row], axis=1)
            for n, row in zip(lengths, rows, strict=True)
        ]
    )


def _row(
    word: str, method: str, claimed: Array, wanted: Array, function: Function, tolerances: Tolerances
) -> Row:
    floor = np.full(claimed.shape, tolerances.floor * np.abs(wanted).max(initial=0.0))
    relative, allowed = errors_of(claimed, wanted, np.zeros_like(wanted), floor, tolerances.of(method))
    place = tuple(map(int, np.unravel_index(largest(relative / allowed), claimed.shape)))
    symbol, index, of = _entry(function, place)
    entry = Entry(
        word, symbol, index, of, float(claimed[place]), float(wanted[place]), float(relative[place]),
        float(allowed[place]), method,
    )  # fmt: skip
    return row_of(word, method, count_text(claimed.size, "entry"), entry)


def _entry(function: Function, place: Sequence[int]) -> tuple[str, tuple[int, ...], str]:
    """The symbol and index of a column (or of an entry of a product), and the text of the row."""
    symbol, index = function.variables.entry(place[-1])
    of = entry_text(*function.variables.entry(place[0])) if len(place) == 2 else ""
    return symbol, index, of


def _name(word: str, function: Function, k: int, rank: int) -> str:
    place = divmod(k, function.variables.size) if rank == 2 else (k,)
    return entry_name(word, *_entry(function, place))
