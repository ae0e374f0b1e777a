"""The shared programs: what every derivative rule, pass and target is judged on.

    from programs import PROGRAMS, program_named

Each is a plain SymPy expression with symbolic sizes, the sizes to run it at, and a recipe for its inputs. The
stored reference numbers in `tests/reference` belong to exactly these programs and inputs.
"""

from __future__ import annotations

from .core import SharedProgram
from .derivatives import DERIVATIVES
from .inverses import INVERSES
from .loops import LOOPS
from .matrices import MATRICES
from .networks import NETWORKS
from .scalars import SCALARS
from .statistics import STATISTICS

PROGRAMS: tuple[SharedProgram, ...] = (
    *NETWORKS,
    *STATISTICS,
    *MATRICES,
    *INVERSES,
    *LOOPS,
    *DERIVATIVES,
    *SCALARS,
)

_BY_NAME = {program.name: program for program in PROGRAMS}
assert len(_BY_NAME) == len(PROGRAMS), "two shared programs have the same name"


def program_named(name: str) -> SharedProgram:
    """Return the shared program of that name, or raise `KeyError`."""
    return _BY_NAME[name]


__all__ = ["PROGRAMS", "SharedProgram", "program_named"]
