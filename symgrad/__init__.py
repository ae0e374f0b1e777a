"""symgrad: write a loss or a layer as a SymPy expression, get its exact derivatives as a compiled kernel."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from symgrad import linalg, losses, nn
from symgrad.bench import Bench, bench
from symgrad.entries import Entries, Where
from symgrad.errors import SymgradError
from symgrad.explain import Explanation, explain
from symgrad.export import export_c, export_cuda
from symgrad.extrema import Maximum, Minimum
from symgrad.frontend.gradient import grad
from symgrad.frontend.scan import Scan, scan, while_loop
from symgrad.implicit import implicit
from symgrad.lambdify import lambdify
from symgrad.pipeline import compile  # noqa: A004  (the verb users look for)
from symgrad.program import Program, program
from symgrad.run.kernel import Kernel
from symgrad.stored import stored

if TYPE_CHECKING:
    from symgrad import optim
    from symgrad.run.minimize import minimize
    from symgrad.run.report import Report
    from symgrad.run.scipy_problem import scipy_problem
    from symgrad.run.verify import verify

__all__ = [
    "Bench", "Entries", "Explanation", "Kernel", "Maximum", "Minimum", "Program", "Report", "Scan",
    "SymgradError", "Where", "bench", "compile", "explain", "export_c", "export_cuda", "grad", "implicit",
    "lambdify", "linalg", "losses", "minimize", "nn", "optim", "program", "scan", "scipy_problem", "stored",
    "verify", "while_loop",
]  # fmt: skip
__version__ = "0.1.0"

_LATER = {  # what only some programs use is imported when it is first asked for
    "Report": "symgrad.run.report", "minimize": "symgrad.run.minimize",
    "scipy_problem": "symgrad.run.scipy_problem", "verify": "symgrad.run.verify",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "optim":
        return import_module("symgrad.optim")
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_LATER[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
