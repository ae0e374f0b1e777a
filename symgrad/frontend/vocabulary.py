"""The words the text parser knows: what each function name builds, and what to say about words it refuses."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import sympy as sp
from sympy.codegen import cfunctions

from symgrad.extrema import Maximum, Minimum
from symgrad.frontend.linalg import linear_algebra

Value = Any  # a SymPy object, or a tuple or list of them while a call is being read

_SYMPY_NAMES = (
    "exp log sqrt cbrt sin cos tan sec csc cot asin acos atan acot atan2 sinh cosh tanh sech csch coth "
    "asinh acosh atanh acoth sinc erf erfc erfi erf2 erfinv erfcinv gamma loggamma digamma trigamma "
    "polygamma beta betainc betainc_regularized lowergamma uppergamma factorial binomial RisingFactorial "
    "FallingFactorial rf ff catalan harmonic zeta dirichlet_eta besselj bessely besseli besselk jn yn airyai "
    "airyaiprime airybi airybiprime elliptic_k elliptic_e elliptic_f LambertW Ei E1 expint li Li Si Ci Shi "
    "Chi fresnels fresnelc floor ceiling frac Mod "
    "Max Min Abs sign Heaviside KroneckerDelta"
)
ELEMENTWISE: dict[str, Callable[..., Value]] = {name: getattr(sp, name) for name in _SYMPY_NAMES.split()} | {
    "abs": sp.Abs,
    "max": sp.Max,
    "min": sp.Min,
    "ln": sp.log,
    "log1p": cfunctions.log1p,
    "expm1": cfunctions.expm1,
    "log2": cfunctions.log2,
    "log10": cfunctions.log10,
    "exp2": cfunctions.exp2,
    "hypot": cfunctions.hypot,
}
RELATIONS: dict[str, Callable[..., Value]] = {
    name: getattr(sp, name) for name in ("Eq", "Ne", "Lt", "Le", "Gt", "Ge")
}
LOGIC: dict[str, Callable[..., Value]] = {name: getattr(sp, name) for name in ("And", "Or", "Not", "Xor")}
MATRIX: dict[str, Callable[..., Value]] = {
    "Trace": sp.Trace,
    "tr": sp.Trace,
    "Transpose": sp.Transpose,
    "HadamardProduct": sp.HadamardProduct,
    "Inverse": sp.Inverse,
    "Determinant": sp.Determinant,
    "det": sp.Determinant,
    "DiagMatrix": sp.DiagMatrix,
    "solve": linear_algebra("solve"),
    "cholesky": linear_algebra("cholesky"),
    "eigvalsh": linear_algebra("eigenvalues"),
    "svdvals": linear_algebra("singular_values"),
    "logdet": linear_algebra("log_det"),
}
OF_SIZES: dict[str, Callable[..., Value]] = {
    "Identity": sp.Identity,
    "OneMatrix": sp.OneMatrix,
    "ones": sp.OneMatrix,
    "ZeroMatrix": sp.ZeroMatrix,
}
OVER_INDICES: dict[str, Callable[..., Value]] = {
    "Sum": sp.Sum, "Product": sp.Product, "Maximum": Maximum, "Minimum": Minimum,
}  # fmt: skip
_SPECIAL = ("Piecewise", "Matrix", "BlockMatrix", "HadamardPower", "Lambda", "map")
FUNCTION_NAMES: tuple[str, ...] = tuple(
    sorted([*ELEMENTWISE, *RELATIONS, *LOGIC, *MATRIX, *OF_SIZES, *OVER_INDICES, *_SPECIAL])
)
CONSTANTS: dict[str, Value] = {"pi": sp.pi, "E": sp.E}
# Functions SymPy may compute exactly at once, and the largest constant they are given.
LARGEST_ARGUMENT: dict[str, int] = {
    **dict.fromkeys(("gamma", "loggamma", "digamma", "trigamma", "polygamma", "beta", "betainc"), 1_000),
    **dict.fromkeys(("betainc_regularized", "lowergamma", "uppergamma", "factorial", "binomial"), 1_000),
    **dict.fromkeys(("RisingFactorial", "FallingFactorial", "rf", "ff", "catalan", "harmonic"), 1_000),
    **dict.fromkeys(("zeta", "dirichlet_eta", "expint", "besselj", "bessely", "besseli", "besselk"), 1_000),
    **dict.fromkeys(("jn", "yn"), 1_000),
    **dict.fromkeys(("exp", "exp2", "expm1", "sinh", "cosh", "sech", "csch"), 5_000),
}
ROUNDING = ("floor", "ceiling", "frac", "Mod")  # SymPy computes as many digits as a constant argument takes
# A function when called, a letter or a name of the user's when not.
ALSO_LETTERS = ("gamma", "digamma", "beta", "zeta", "rf", "ff", "li", "jn", "yn")

RELATION_OF_NODE: dict[type[ast.cmpop], Callable[..., Value]] = {
    ast.Lt: sp.Lt,
    ast.LtE: sp.Le,
    ast.Gt: sp.Gt,
    ast.GtE: sp.Ge,
    ast.Eq: sp.Eq,
    ast.NotEq: sp.Ne,
}
REFUSED_NAMES = {
    "I": "it is SymPy's imaginary unit, and symgrad computes with real numbers",
    "oo": "it is SymPy's infinity, which is not a number to compute with",
    "zoo": "it is SymPy's complex infinity",
    "nan": "it is not a number",
    "inf": "infinity is not a number to compute with",
}
REFUSED_NODES: dict[type[ast.AST], tuple[str, str]] = {
    ast.Lambda: ("lambda functions", "Lambda(t, t**2) inside map(...)"),
    ast.IfExp: ("conditional expressions", "Piecewise((a, condition), (b, True))"),
    ast.ListComp: ("comprehensions", "Sum(x[i], (i, 0, n - 1))"),
    ast.GeneratorExp: ("comprehensions", "Sum(x[i], (i, 0, n - 1))"),
    ast.SetComp: ("comprehensions", "Sum(x[i], (i, 0, n - 1))"),
    ast.DictComp: ("comprehensions", "Sum(x[i], (i, 0, n - 1))"),
    ast.JoinedStr: ("f-strings", ""),
    ast.NamedExpr: ("assignments", ""),
    ast.Slice: ("slices", "index single elements, and write a Sum over them"),
    ast.Starred: ("starred arguments", ""),
    ast.Dict: ("dictionaries", ""),
    ast.Set: ("sets", ""),
}
OPERATOR_HINTS: dict[type[ast.AST], tuple[str, str]] = {
    ast.BitXor: ("^", "write powers with `**`"),
    ast.FloorDiv: ("//", "write floor(a/b)"),
    ast.Mod: ("%", "write Mod(a, b)"),
    ast.MatMult: ("@", "write A*B: between matrices `*` is the matrix product"),
    ast.BitAnd: ("&", "write `and`"),
    ast.BitOr: ("|", "write `or`"),
    ast.Invert: ("~", "write `not`"),
    ast.LShift: ("<<", "write a*2**b"),
    ast.RShift: (">>", "write a/2**b"),
}
