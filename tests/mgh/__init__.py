"""The 35 problems of Moré, Garbow and Hillstrom, "Testing Unconstrained Optimization Software", ACM Trans.
Math. Softw. 7 (1981) 17: least squares with starts and minima, written as SymPy expressions.
"""

from mgh.fits import FITS
from mgh.problem import Instance, Problem
from mgh.sized import SIZED
from mgh.small import SMALL

PROBLEMS: tuple[Problem, ...] = tuple(sorted((*SMALL, *FITS, *SIZED), key=lambda problem: problem.number))

__all__ = ["PROBLEMS", "Instance", "Problem"]
