"""For the tests of the front end: translate an expression and evaluate it with the reference evaluator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symgrad.frontend.arguments import name_of
from symgrad.frontend.translate import Translation, translate
from symgrad.ir.evaluate import evaluate


def value_of(
    expr: Any,
    values: Mapping[Any, Any] | None = None,
    sizes: Mapping[str, int] | None = None,
    **options: Any,
) -> np.ndarray:
    """The value of an expression; `values` by symbol or name, explicit matrices in their shape."""
    translated = translate(expr, **options)
    return value_of_translation(translated, values, sizes)


def value_of_translation(
    translated: Translation, values: Mapping[Any, Any] | None = None, sizes: Mapping[str, int] | None = None
) -> np.ndarray:
    """The value of what was translated before."""
    by_name: dict[str, Any] = dict(sizes or {})  # a size may be an argument as well
    by_name |= {key if isinstance(key, str) else name_of(key): v for key, v in (values or {}).items()}
    inputs = {tensor: by_name[name_of(symbol)] for symbol, tensor in translated.inputs.items()}
    (result,) = evaluate(translated.graph, [translated.value], inputs, sizes or {})
    if translated.shape is not None:
        result = result.reshape(*translated.shape, *result.shape[1:])
    return np.asarray(result)


def names(symbols: Sequence[Any]) -> list[str]:
    """The names of arguments in order."""
    return [name_of(symbol) for symbol in symbols]
