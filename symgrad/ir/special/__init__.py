"""Special functions: rows of the op table (`ops.py`), in one file per family.

The reference is SciPy in double precision, also for poles, infinities and arguments outside the domain
(where it gives nan), and mpmath for more digits. Derivatives are closed forms in the same functions, to any
order; where there is none (by the order of a Bessel function, by the shape of an incomplete gamma function)
asking for one is an error that says so.

Targets spell most of these rows as calls: LLVM of SciPy's exported C functions (`targets/external.py`), C of
functions of our own (`targets/special_functions.c`). Rows with an expansion need neither.
"""

from __future__ import annotations

from symgrad.ir.op import Op
from symgrad.ir.special import (
    bessel,
    bessel_far,
    differences,
    elliptic,
    erfc,
    gamma,
    incomplete,
    integrals,
    moments,
)

_FAMILIES = (
    gamma,
    differences,
    incomplete,
    bessel,
    bessel_far,
    integrals,
    elliptic,
    moments,
    erfc,
)
SPECIAL: dict[str, Op] = {row.name: row for family in _FAMILIES for row in family.ROWS}
