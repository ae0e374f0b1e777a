"""The numbers that have names in the intermediate representation, and what they are in SymPy."""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.core.singleton import Singleton


class Epsilon(sp.AtomicExpr, metaclass=Singleton):
    """The distance from 1 to the next larger number of the type that a program is compiled for."""

    is_commutative = True
    is_real = is_positive = is_finite = True

    def _sympystr(self, printer: Any) -> str:
        return "epsilon"

    def _latex(self, printer: Any) -> str:
        return r"\varepsilon"


class Smallest(sp.AtomicExpr, metaclass=Singleton):
    """The smallest normal number above 0 of the type that a program is compiled for."""

    is_commutative = True
    is_real = is_positive = is_finite = True

    def _sympystr(self, printer: Any) -> str:
        return "smallest"

    def _latex(self, printer: Any) -> str:
        return r"\omega"


EPSILON: Any = Epsilon()
NAMED_NUMBERS: dict[str, Any] = {
    "pi": sp.pi, "e": sp.E, "phi": sp.GoldenRatio, "euler": sp.EulerGamma, "catalan": sp.Catalan,
    "epsilon": EPSILON, "smallest": Smallest(),
}  # fmt: skip
