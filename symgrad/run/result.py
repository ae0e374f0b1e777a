"""The result of a minimisation: SciPy's, printable."""

from __future__ import annotations

from typing import Any

from scipy.optimize import OptimizeResult


class Minimum(OptimizeResult):
    """SciPy's result, printable although the keys of `x` and `jac` are symbols, not text."""

    def __repr__(self) -> str:
        return repr(OptimizeResult({name: _with_text_keys(entry) for name, entry in self.items()}))


def _with_text_keys(entry: Any) -> Any:
    return {str(key): value for key, value in entry.items()} if isinstance(entry, dict) else entry
