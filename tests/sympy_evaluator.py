"""A small NumPy evaluator of SymPy expressions, which shares no code with symgrad: an oracle for tests.

It walks scalars with a stack of its own, so deep expressions are no problem; matrices recurse.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np
import scipy.special
import sympy as sp
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.diagonal import DiagMatrix, DiagonalOf
from sympy.matrices.expressions.matexpr import MatrixElement

from symgrad.entries import Where
from symgrad.extrema import Maximum, Minimum
from symgrad.frontend.triangle import Triangle

Values = Mapping[Any, Any]

_CALLS: dict[type, Callable[..., Any]] = {
    sp.Add: lambda *a: reduce(operator.add, a),
    sp.Mul: lambda *a: reduce(operator.mul, a),
    sp.Pow: lambda a, b: np.power(a, b),
    sp.Max: lambda *a: reduce(np.maximum, a),
    sp.Min: lambda *a: reduce(np.minimum, a),
    sp.Abs: np.abs,
    sp.Mod: np.mod,
    sp.log: np.log,
    sp.ceiling: np.ceil,
    sp.asin: np.arcsin,
    sp.acos: np.arccos,
    sp.atan: np.arctan,
    sp.atan2: np.arctan2,
    sp.asinh: np.arcsinh,
    sp.acosh: np.arccosh,
    sp.atanh: np.arctanh,
    sp.erf: scipy.special.erf,
    sp.erfc: scipy.special.erfc,
    sp.sinc: lambda a: np.sinc(a / np.pi),
    sp.And: lambda *a: all(a),
    sp.Or: lambda *a: any(a),
    sp.Not: lambda a: not a,
    sp.KroneckerDelta: lambda a, b: float(a == b),
    sp.StrictLessThan: operator.lt,
    sp.LessThan: operator.le,
    sp.StrictGreaterThan: operator.gt,
    sp.GreaterThan: operator.ge,
    sp.Equality: operator.eq,
    sp.Unequality: operator.ne,
}


_REDUCTIONS: dict[type, Callable[..., Any]] = {
    sp.Sum: np.sum,
    sp.Product: np.prod,
    Maximum: lambda terms: np.max(terms, initial=-np.inf),
    Minimum: lambda terms: np.min(terms, initial=np.inf),
}


def evaluate_scalar(expr: Any, values: Values) -> Any:
    """The value of a scalar or a condition; `values` maps symbols, MatrixSymbols and IndexedBases."""
    done: dict[int, Any] = {}
    stack = [expr]
    while stack:
        e = stack[-1]
        if id(e) in done:
            stack.pop()
            continue
        direct = _direct(e, values)
        if direct is not None:
            done[id(e)] = direct
            continue
        todo = [a for a in e.args if id(a) not in done]
        if todo:
            stack.extend(todo)
            continue
        call = _CALLS.get(type(e)) or getattr(np, type(e).__name__)
        done[id(e)] = call(*(done[id(a)] for a in e.args))
    return done[id(expr)]


def _direct(e: Any, values: Values) -> Any:
    """The value of what is not a function of the values of its arguments, else None."""
    if e in (sp.true, sp.false):
        return bool(e)
    if isinstance(e, sp.Number | sp.NumberSymbol):
        return float(e)
    if isinstance(e, sp.Symbol | sp.Idx):
        return values[e]
    if isinstance(e, sp.Piecewise | Where):
        return _choice(e, values)
    if isinstance(e, tuple(_REDUCTIONS)):
        return _over_ranges(e, values)
    if isinstance(e, sp.Trace):
        return np.trace(evaluate_matrix(e.arg, values))
    if isinstance(e, sp.Indexed | MatrixElement):
        array, index = values[e.args[0]], [evaluate_scalar(a, values) for a in e.args[1:]]
        assert all(0 <= i < n for i, n in zip(index, array.shape, strict=True)), "a read out of range"
        return array[tuple(int(i) for i in index)]
    return None


def _choice(e: Any, values: Values) -> Any:
    pairs = [(e.args[1], e.args[0]), (e.args[2], sp.true)] if isinstance(e, Where) else e.args
    return next(evaluate_scalar(value, values) for value, test in pairs if evaluate_scalar(test, values))


def _over_ranges(e: Any, values: Values) -> Any:
    body, *limits = e.args
    ranges = [
        range(int(evaluate_scalar(a, values)), int(evaluate_scalar(b, values)) + 1) for _, a, b in limits
    ]
    bound = [limit[0] for limit in limits]
    terms = [
        evaluate_scalar(body, {**values, **dict(zip(bound, at, strict=True))})
        for at in itertools.product(*ranges)
    ]
    return float(_REDUCTIONS[type(e)](terms))


def evaluate_matrix(m: Any, values: Values) -> np.ndarray:
    """The value of a matrix expression."""
    shape = tuple(int(evaluate_scalar(sp.sympify(s), values)) for s in m.shape)
    result = np.asarray(_matrix(m, values, shape), dtype=float)
    assert result.shape == shape, (m, result.shape, shape)
    return result


def _matrix(m: Any, values: Values, shape: tuple[int, ...]) -> Any:
    def inner(a: Any) -> Any:
        return evaluate_matrix(a, values) if getattr(a, "is_Matrix", False) else evaluate_scalar(a, values)

    if isinstance(m, sp.MatrixSymbol):
        return values[m]
    if isinstance(m, sp.MatMul):
        numbers = [a for a in m.args if not a.is_Matrix]
        return reduce(operator.matmul, [inner(a) for a in m.args if a.is_Matrix]) * np.prod(
            [inner(a) for a in numbers]
        )
    if isinstance(m, ElementwiseApplyFunction):
        (variable,) = m.function.variables
        entry = np.vectorize(
            lambda t: evaluate_scalar(m.function.expr, {**values, variable: t}), otypes=[float]
        )
        return entry(inner(m.expr))
    cases: dict[type, Callable[[], Any]] = {
        sp.MatAdd: lambda: sum(inner(a) for a in m.args),
        sp.MatPow: lambda: np.linalg.matrix_power(inner(m.args[0]), int(m.args[1])),
        sp.Transpose: lambda: inner(m.args[0]).T,
        sp.HadamardProduct: lambda: reduce(operator.mul, [inner(a) for a in m.args]),
        sp.HadamardPower: lambda: inner(m.args[0]) ** inner(m.args[1]),
        sp.Identity: lambda: np.eye(shape[0]),
        sp.OneMatrix: lambda: np.ones(shape),
        sp.ZeroMatrix: lambda: np.zeros(shape),
        DiagMatrix: lambda: np.diag(inner(m.args[0])[:, 0]),
        DiagonalOf: lambda: np.diag(inner(m.args[0]))[:, None],
        Triangle: lambda: getattr(np, m.kind)(inner(m.matrix), m.offset),
    }
    return next(cases[c] for c in type(m).__mro__ if c in cases)()
