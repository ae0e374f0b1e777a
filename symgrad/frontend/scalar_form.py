"""Scalar nodes as SymPy scalars: the part of IR -> SymPy that matrix form and index form share.

A `Leaves` object says what reads, axes and index equalities look like; everything else is one table
from op to SymPy function. Sums and products are gathered into n-ary ones first, and nothing recurses
over the depth: beyond `_EVALUATED_DEPTH` levels SymPy's own simplifications, which recurse, are
skipped and the objects are made as they stand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from functools import cache
from typing import Any

import sympy as sp
from sympy.functions.elementary.piecewise import ExprCondPair

from symgrad.errors import UnsupportedExpression
from symgrad.frontend.named_numbers import NAMED_NUMBERS
from symgrad.frontend.printed_size import PrintedSize
from symgrad.frontend.special_form import SPECIAL_FORMS
from symgrad.ir.bounds import is_nonnegative
from symgrad.ir.graph import Graph, Node
from symgrad.ir.ops import OPS
from symgrad.ir.quotients import ROWS as QUOTIENT_ROWS
from symgrad.ir.quotients import Arithmetic
from symgrad.ir.radial import ROWS as RADIAL_ROWS
from symgrad.ir.reduce import conjuncts

Expr = Any  # SymPy's scalars and booleans have no common type to name

_EVALUATED_DEPTH = 40  # SymPy's constructors ask questions that recurse over the arguments
_EVALUATED_SIZE = 20_000  # over all the text, however much of it is shared
_EVALUATED_TERMS = 400  # and collect like terms, which is slow for long sums nested in sums
_LARGEST_DENOMINATOR = 10**6  # exact fractions beyond these were floats, and print as such
_LARGEST_NUMERATOR = 10**15
_OPAQUE = frozenset(("read", "const", "size", "axis", "lin", "imul", "true", "false", "ieq", "ige", "cast"))


class Leaves:
    """What the leaves of a scalar expression become; see `IndexForm` and `MatrixForm`.

    symbols  input tensor -> the user's symbol.
    sizes    size name -> the user's symbol; a missing one is made.
    """

    def __init__(self, g: Graph, symbols: Mapping[int, Expr], sizes: Mapping[str, Expr]) -> None:
        self.g, self.symbols = g, symbols
        self.sizes = dict(sizes)
        self.printed = PrintedSize()

    def size(self, name: str) -> Expr:
        """The symbol of a size."""
        if name not in self.sizes:
            self.sizes[name] = sp.Symbol(name, integer=True, positive=True)
        return self.sizes[name]

    def axis(self, node: Node) -> Expr:
        """The symbol of a loop index."""
        raise NotImplementedError

    def read(self, node: Node) -> Expr:
        """An element of a tensor."""
        raise NotImplementedError

    def equality(self, node: Node) -> Expr:
        """The number 1 where the index of an `ieq` node is zero, else 0."""
        raise NotImplementedError

    def indicator(self, node: Node) -> Expr | None:
        """1 where a condition on indices holds, else 0, as a factor; None where there is no such factor."""
        return self.equality(node) if self.g.op[node] == "ieq" else None

    def choice(self, values: Sequence[Expr], exact: bool) -> Expr:
        """The alternatives [a, p, b, q, ..., otherwise] as one expression."""
        pairs = reachable_branches(values)
        if len(pairs) == 1:
            return pairs[0][0]
        # SymPy's constructors fold a Piecewise out of conditions, which doubles at each level
        return _raw(sp.Piecewise, *(sp.Tuple.__new__(ExprCondPair, value, test) for value, test in pairs))

    def predicate(self, node: Node) -> Expr:
        """The condition of an `ieq` or `ige` node."""
        index = self.g.args[node][0]
        if self.g.op[node] == "ige":
            if is_nonnegative(self.g, index):
                return sp.true
            if is_nonnegative(self.g, self.g.iadd(self.g.const(-1), index, -1)):
                return sp.false
        constant, terms = self.g.linear(index)
        left = {a: k for a, k in terms.items() if k > 0 and self.g.axes[a]}
        if self.g.op[node] == "ieq":
            left = left or {a: k for a, k in terms.items() if k > 0}
            right = {a: -k for a, k in terms.items() if a not in left}
            return sp.Eq(self.affine(0, left), self.affine(-constant, right))
        if left:  # i - j + c >= 0 reads i >= j - c
            right = {a: -k for a, k in terms.items() if a not in left}
            strict = constant == -1
            return (sp.Gt if strict else sp.Ge)(self.affine(0, left), self.affine(-constant - strict, right))
        left = {a: -k for a, k in terms.items() if k < 0}
        right = {a: k for a, k in terms.items() if k > 0}
        strict = constant == -1  # n - i - 1 >= 0 reads i < n
        return (sp.Lt if strict else sp.Le)(self.affine(0, left), self.affine(constant + strict, right))

    def integer(self, node: Node) -> Expr:
        """An index or an extent."""
        return self.affine(*self.g.linear(node))

    def affine(self, constant: int, terms: Mapping[Node, int]) -> Expr:
        """constant + sum of k*atom."""
        return sp.Add(sp.Integer(constant), *(k * self._atom(a) for a, k in terms.items()))

    def _atom(self, node: Node) -> Expr:
        factors: list[Expr] = []
        stack = [node]
        while stack:
            n = stack.pop()
            op, args = self.g.op[n], self.g.args[n]
            if op == "imul":
                stack.extend(args)
            elif op == "size":
                factors.append(self.size(args[0]))
            elif op == "axis":
                factors.append(self.axis(n))
            elif op == "read":
                factors.append(self.read(n))
            else:
                factors.append(self.integer(n))
        return sp.Mul(*factors)


def constant_to_sympy(args: tuple[Any, ...]) -> Expr:
    """A constant's payload: exact where it is short, a Float where it was a decimal."""
    tag, *payload = args
    if tag == "s":
        return NAMED_NUMBERS[payload[0]]
    if tag == "f":
        return {"inf": sp.oo, "-inf": -sp.oo}.get(payload[0], sp.nan)
    return rational_to_sympy(Fraction(*payload))


def rational_to_sympy(q: Fraction) -> Expr:
    """`q` as a Rational, or as the Float it was written as (0.0005 is not 1/2000 in binary)."""
    if q.denominator <= _LARGEST_DENOMINATOR and abs(q.numerator) <= _LARGEST_NUMERATOR:
        return sp.Rational(q.numerator, q.denominator)
    try:
        value = q.numerator / q.denominator
    except OverflowError:
        return sp.Rational(q.numerator, q.denominator)
    return sp.Float(value) if value else sp.Rational(q.numerator, q.denominator)


class ScalarForm:
    """Converts nodes to SymPy, sharing what nodes share.

    name  called with a node without axes and its expression when the node is used more than once;
          returns the symbol to use instead, or None.
    """

    def __init__(
        self, leaves: Leaves, name: Callable[[Node, Expr], Expr | None] = lambda node, expr: None
    ) -> None:
        self.g, self.leaves, self._name = leaves.g, leaves, name
        self.done: dict[Node, Expr] = {}
        self._depth: dict[Node, int] = {}
        self._uses: Counter[Node] = Counter()
        self._counted: set[Node] = set()
        self._plans: dict[Node, _Plan] = {}

    def convert(self, roots: Iterable[Node]) -> list[Expr]:
        """The expressions of `roots`."""
        roots = list(roots)
        for root in roots:
            self._count_uses(root)
        return [self._run(root) for root in roots]

    def _count_uses(self, root: Node) -> None:
        self._uses[root] += 1
        stack = [root]
        while stack:
            n = stack.pop()
            if n in self._counted:
                continue
            self._counted.add(n)
            if self.g.op[n] not in _OPAQUE:
                for c in self.g.args[n]:
                    self._uses[c] += 1
                    stack.append(c)

    def _run(self, root: Node) -> Expr:
        stack = [root]
        while stack:
            n = stack[-1]
            if n in self.done:
                stack.pop()
                continue
            plan = self._plans.get(n)
            if plan is None:
                plan = self._plans[n] = self._plan(n)
            todo = [d for d in plan.needs if d not in self.done]
            if todo:
                stack.extend(todo)
                continue
            stack.pop()
            self._finish(n, plan)
        return self.done[root]

    def _finish(self, n: Node, plan: _Plan) -> None:
        depth = 1 + max((self._depth[d] for d in plan.needs), default=0)
        exact = depth <= _EVALUATED_DEPTH and self._is_short(plan)
        value = plan.build([self.done[d] for d in plan.needs], exact)
        if self._uses[n] > 1 and not self.g.axes[n] and self.g.kind[n] == "real":
            symbol = self._name(n, value)
            if symbol is not None:
                value, depth = symbol, 1
        hash(value), getattr(value, "is_commutative", None)  # SymPy keeps both; asked later, it would recurse
        self.done[n], self._depth[n] = value, depth

    def _is_short(self, plan: _Plan) -> bool:
        values = [self.done[d] for d in plan.needs]
        if sum(len(v.args) for v in values) > max(_EVALUATED_TERMS, 2 * len(values)):
            return False
        return sum(map(self.leaves.printed.of, values)) <= _EVALUATED_SIZE

    # ---- what a node is made of ------------------------------------------------------------------

    def _plan(self, n: Node) -> _Plan:
        op, args = self.g.op[n], self.g.args[n]
        if op in _OPAQUE:
            value = self._leaf(n, op, args)
            return _Plan((), lambda values, exact: value)
        if op in ("add", "sub"):
            return self._sum(n)
        if op in ("mul", "div", "neg"):
            return self._product(n)
        if op == "where":
            return self._branches(n)
        if op == "mask":
            return self._mask(*args)
        build = _builder(op)
        return _Plan(args, lambda values, exact: build(values, exact))

    def _leaf(self, n: Node, op: str, args: tuple[Any, ...]) -> Expr:
        if op == "const":
            return constant_to_sympy(args)
        if op in ("true", "false"):
            return sp.true if op == "true" else sp.false
        if op in ("ieq", "ige"):
            return self.leaves.predicate(n)
        if op == "read":
            return self.leaves.read(n)
        return self.leaves.integer(args[0] if op == "cast" else n)

    def _sum(self, root: Node) -> _Plan:
        terms: list[tuple[int, Node]] = []
        stack = [(1, root)]
        while stack:
            sign, n = stack.pop()
            op, args = self.g.op[n], self.g.args[n]
            if op not in ("add", "sub", "neg") or (n != root and self._uses[n] > 1):
                terms.append((sign, n))
            elif op == "neg":
                stack.append((-sign, args[0]))
            else:
                stack += [(-sign if op == "sub" else sign, args[1]), (sign, args[0])]

        def build(values: Sequence[Expr], exact: bool) -> Expr:
            return add([v if s > 0 else multiply([sp.S.NegativeOne, v], exact)
                        for (s, _), v in zip(terms, values, strict=True)], exact)  # fmt: skip

        return _Plan(tuple(n for _, n in terms), build)

    def _product(self, root: Node) -> _Plan:
        sign = 1
        factors: list[tuple[int, Node]] = []
        stack = [(1, root)]
        while stack:
            power, n = stack.pop()
            op, args = self.g.op[n], self.g.args[n]
            if op not in ("mul", "div", "neg") or (n != root and self._uses[n] > 1):
                factors.append((power, n))
            elif op == "neg":
                sign = -sign
                stack.append((power, args[0]))
            else:
                stack += [(-power if op == "div" else power, args[1]), (power, args[0])]

        def build(values: Sequence[Expr], exact: bool) -> Expr:
            parts = [v if p > 0 else power_of(v, sp.S.NegativeOne, exact)
                     for (p, _), v in zip(factors, values, strict=True)]  # fmt: skip
            return multiply([sp.Integer(sign), *parts] if sign < 0 else parts, exact)

        return _Plan(tuple(n for _, n in factors), build)

    def _branches(self, root: Node) -> _Plan:
        """where(p, a, where(q, b, c)) as one Piecewise."""
        needs: list[Node] = []
        n = root
        while self.g.op[n] == "where" and (n == root or self._uses[n] == 1):
            p, a, n = self.g.args[n]
            needs += [a, p]
        needs.append(n)
        return _Plan(tuple(needs), self.leaves.choice)

    def _mask(self, predicate: Node, inner: Node) -> _Plan:
        """Index equalities become factors (KroneckerDelta), other conditions a Piecewise."""
        found = {p: self.leaves.indicator(p) for p in conjuncts(self.g, predicate)}
        deltas = [factor for factor in found.values() if factor is not None]
        rest = [p for p, factor in found.items() if factor is None]

        def build(values: Sequence[Expr], exact: bool) -> Expr:
            value, *conditions = values
            if conditions:
                condition = conditions[0] if len(conditions) == 1 else sp.And(*conditions, evaluate=exact)
                value = self.leaves.choice([value, condition, sp.S.Zero], exact)
            return multiply([*deltas, value], exact) if deltas else value

        return _Plan((inner, *rest), build)


class _Plan:
    """The nodes an expression is built from, and how."""

    __slots__ = ("build", "needs")

    def __init__(self, needs: tuple[Node, ...], build: Callable[[Sequence[Expr], bool], Expr]) -> None:
        self.needs, self.build = needs, build


# ---- constructors, evaluated by SymPy or left as they are ------------------------------------------


def _raw(cls: type, *args: Expr) -> Expr:
    """The object `cls(*args)` without evaluation and without SymPy's cache, which compares deep objects."""
    made = sp.Expr.__new__(cls, *args)
    if cls is sp.Pow:
        made.is_commutative = True
    return made


def add(terms: Sequence[Expr], exact: bool) -> Expr:
    """The sum; `exact` collects like terms."""
    if exact or len(terms) < 2:
        return sp.Add(*terms)
    return sp.Add._from_args(tuple(t for t in terms if t != 0), is_commutative=True)


def multiply(factors: Sequence[Expr], exact: bool) -> Expr:
    """The product, with numbers in front."""
    if exact or len(factors) < 2:
        return sp.Mul(*_numbers_in_front(factors))
    numbers = [f for f in factors if f.is_Number]
    others = Counter(f for f in factors if not f.is_Number)
    number = sp.Mul(*numbers)
    if number == 0 or not others:
        return number
    powers = [f if n == 1 else power_of(f, sp.Integer(n), exact) for f, n in others.items()]
    return sp.Mul._from_args(([] if number == 1 else [number]) + powers, is_commutative=True)


def _numbers_in_front(factors: Sequence[Expr]) -> Sequence[Expr]:
    """(2*x - 2*y)*z as 2*(x - y)*z."""
    if sum(not f.is_Number for f in factors) < 2 or not any(f.is_Add for f in factors):
        return factors
    return [part for f in factors for part in (f.primitive() if f.is_Add else (f,))]


def power_of(base: Expr, exponent: Expr, exact: bool) -> Expr:
    """base**exponent."""
    return sp.Pow(base, exponent) if exact or base.is_Number else _raw(sp.Pow, base, exponent)


def reachable_branches(values: Sequence[Expr]) -> list[tuple[Expr, Expr]]:
    """[a, p, b, q, ..., otherwise] as (value, condition) pairs, up to the first that always holds."""
    pairs: list[tuple[Expr, Expr]] = []
    for value, condition in [*zip(values[:-1:2], values[1::2], strict=True), (values[-1], sp.true)]:
        if condition == sp.false:
            continue
        pairs.append((value, condition))
        if condition == sp.true:
            break
    return pairs


def _relation(cls: type) -> Callable[[Sequence[Expr], bool], Expr]:
    """Decided only between numbers and symbols: SymPy would ask whether the difference has a sign."""
    return lambda v, exact: cls(*v) if all(x.is_Atom for x in v) else sp.Basic.__new__(cls, *v)


def _comparison(cls: type, with_infinity: Expr) -> Callable[[Sequence[Expr], bool], Expr]:
    """No value is infinite in exact arithmetic: such a comparison guards a floating-point form."""
    plain = _relation(cls)
    return lambda v, exact: with_infinity if any(x in (sp.oo, -sp.oo) for x in v) else plain(v, exact)


def _less(cls: type, flipped: type) -> Callable[[Sequence[Expr], bool], Expr]:
    """x > 0 rather than 0 < x."""

    def build(v: Sequence[Expr], exact: bool) -> Expr:
        if v[0].is_Number and not v[1].is_Number:
            return _relation(flipped)((v[1], v[0]), exact)
        return _relation(cls)(v, exact)

    return build


def _call(function: Any) -> Callable[[Sequence[Expr], bool], Expr]:
    return lambda v, exact: function(*v) if exact else _raw(function, *v)


def _logistic(v: Sequence[Expr], exact: bool) -> Expr:
    e = _call(sp.exp)([multiply([sp.S.NegativeOne, v[0]], exact)], exact)
    return power_of(add([sp.S.One, e], exact), sp.S.NegativeOne, exact)


def _one_over_cosh(v: Sequence[Expr], exact: bool) -> Expr:
    """SymPy has sech, and its printer for NumPy does not."""
    return power_of(_call(sp.cosh)(v, exact), sp.S.NegativeOne, exact)


def _log_of_one_plus(v: Sequence[Expr], exact: bool) -> Expr:
    return _call(sp.log)([add([sp.S.One, v[0]], exact)], exact)


def _softplus(v: Sequence[Expr], exact: bool) -> Expr:
    return _log_of_one_plus([_call(sp.exp)(v, exact)], exact)


def _log_of_exponentials(v: Sequence[Expr], exact: bool) -> Expr:
    return _call(sp.log)([add([_call(sp.exp)([x], exact) for x in v], exact)], exact)


def _hypot(v: Sequence[Expr], exact: bool) -> Expr:
    squares = [power_of(x, sp.Integer(2), exact) for x in v]
    return power_of(add(squares, exact), sp.S.Half, exact)


def _remainder(v: Sequence[Expr], exact: bool) -> Expr:
    """C's fmod: the sign is the dividend's."""
    size = _call(sp.Mod)([_call(sp.Abs)([x], exact) for x in v], exact)
    return multiply([_call(sp.sign)([v[0]], exact), size], exact)


def _lattice(function: Any) -> Callable[[Sequence[Expr], bool], Expr]:
    """Max and Min compare their arguments, which recurses; `_argset` is what SymPy's own constructor sets."""

    def build(v: Sequence[Expr], exact: bool) -> Expr:
        if exact:
            return function(*v)
        made = _raw(function, *v)
        made._argset = frozenset(v)
        return made

    return build


def _formula(formula: Callable[..., Expr]) -> Callable[[Sequence[Expr], bool], Expr]:
    """A formula of a few operations; without evaluation it is made of dummies and filled in afterwards."""

    def build(v: Sequence[Expr], exact: bool) -> Expr:
        if exact:
            return formula(*v)
        dummies = [sp.Dummy(real=True) for _ in v]
        return _filled(formula(*dummies), dict(zip(dummies, v, strict=True)))

    return build


def _filled(e: Expr, values: Mapping[Expr, Expr]) -> Expr:
    """`e` with its dummies replaced; recurses over one formula of this module, nothing of the user's."""
    if e in values:
        return values[e]
    if not e.args:
        return e
    args = [_filled(part, values) for part in e.args]
    if e.is_Add or e.is_Mul:
        return (add if e.is_Add else multiply)(args, False)
    return power_of(args[0], args[1], False) if e.is_Pow else _raw(e.func, *args)


@cache
def _quotient_form(op: str) -> Callable[[Sequence[Expr], bool], Expr]:
    """sin(x)/x and its like, and their derivatives, as they are written; not made on import."""
    q, order = QUOTIENT_ROWS[op]
    x = sp.Dummy(real=True)
    e = sp.diff(q.numerator(_SYMBOLIC, 0, x) / x, x, order)
    return _formula(lambda v: e.xreplace({x: v}))


@cache
def _radial_form(op: str) -> Callable[[Sequence[Expr], bool], Expr]:
    """R^k f of a root, as it is written: (1/x d/dx) so many times."""
    family, k = RADIAL_ROWS[op]
    x = sp.Dummy(real=True)
    e = family.value(_SYMBOLIC, x)
    for _ in range(k):
        e = sp.diff(e, x) / x
    return _formula(lambda h, s: e.xreplace({x: h}))


_SYMBOLIC = Arithmetic(
    lambda op, *v: v[0] - v[1] if op == "sub" else _builder(op)(v, True),
    lambda c: sp.Rational(c.numerator, c.denominator),
)

_BUILDERS: dict[str, Callable[[Sequence[Expr], bool], Expr]] = {
    "pow": lambda v, exact: power_of(v[0], v[1], exact),
    "pow_1": lambda v, exact: power_of(v[0], v[1] - 1, exact),
    "pow_2": lambda v, exact: power_of(v[0], v[1] - 2, exact),
    "pow_3": lambda v, exact: power_of(v[0], v[1] - 3, exact),
    "sqrt": lambda v, exact: power_of(v[0], sp.S.Half, exact),
    "cbrt": lambda v, exact: power_of(v[0], sp.Rational(1, 3), exact),
    "exp2": lambda v, exact: power_of(sp.Integer(2), v[0], exact),
    "hypot": _hypot,
    "logistic": _logistic,
    "softplus": _softplus,
    "sech": _one_over_cosh,
    "logaddexp": _log_of_exponentials,
    "log1p": _log_of_one_plus,
    "expm1": lambda v, exact: add([_call(sp.exp)(v, exact), sp.S.NegativeOne], exact),
    "square_difference": _formula(lambda x, y: x**2 - y**2),
    "hypot_slope": _formula(lambda x, y: x / sp.sqrt(x**2 + y**2)),
    "inversion": _formula(lambda x, y: x / (x**2 + y**2)),
    "direction_cosine": _formula(lambda x, y: x / sp.sqrt(x**2 + y**2)),
    "log_squares": _formula(lambda x, y: sp.log(x**2 + y**2)),
    "double_cosine": _formula(lambda x, y: (x**2 - y**2) / (x**2 + y**2)),
    "leg": _formula(lambda x, y: sp.sqrt(x**2 - y**2)),
    "leg_cosh": _formula(lambda x, y: x / sp.sqrt(x**2 - y**2)),
    "leg_sinh": _formula(lambda x, y: y / sp.sqrt(x**2 - y**2)),
    "logistic_slope": _formula(lambda x: sp.exp(x) / (1 + sp.exp(x)) ** 2),
    "exp_share": _formula(lambda x: sp.exp(x) / (sp.exp(x) - 1)),
    "log1mexp": _formula(lambda x: sp.log(1 - sp.exp(x))),
    "logexpm1": _formula(lambda x: sp.log(sp.exp(x) - 1)),
    "logsubexp": _formula(lambda x, y: sp.log(sp.exp(x) - sp.exp(y))),
    "logcosh": _formula(lambda x: sp.log(sp.cosh(x))),
    "log1msq": _formula(lambda x: sp.log(1 - x**2)),
    "loghypot1": _formula(lambda x: sp.log(1 + x**2) / 2),
    "hypot1m1": _formula(lambda x: sp.sqrt(1 + x**2) - 1),
    "sqrt1pm1": _formula(lambda x: sp.sqrt(1 + x) - 1),
    "log_abs": _formula(lambda x: sp.log(sp.Abs(x))),
    "log_product": _formula(lambda x, y: sp.log(x * y)),
    "log_quotient": _formula(lambda x, y: sp.log(x / y)),
    "log_in_range": lambda v, exact: _call(sp.log)(v[:1], exact),
    "xovery": _formula(lambda x, y: x / y),
    "xlogy": _formula(lambda x, y: x * sp.log(y)),
    "xlog1py": _formula(lambda x, z: x * sp.log(1 + z)),
    "relative_entropy": _formula(lambda x, y: x * sp.log(x / y)),
    "anchor": lambda v, exact: sp.S.Zero,
    "scaled": lambda v, exact: v[0],
    "scaled_norm": lambda v, exact: v[0],
    "norm_cosine": _formula(lambda x, q, h: x / h),
    "out_of_range": lambda v, exact: sp.false,
    "norm": lambda v, exact: power_of(v[1], sp.S.Half, exact),
    "removable": lambda v, exact: v[-1],
    "offset": lambda v, exact: v[0] - v[1],
    "radial_removable": lambda v, exact: v[-1],
    "xlogx": _formula(lambda x: x * sp.log(x)),
    "exp_of_sum": _formula(lambda x, y: sp.exp(x) * sp.exp(y)),
    "radial_cos": _formula(lambda h, s: sp.cos(h)),
    "radial_cosh": _formula(lambda h, s: sp.cosh(h)),
    "radial_versine": _formula(lambda h, s: 1 - sp.cos(h)),
    "radial_coshm1": _formula(lambda h, s: sp.cosh(h) - 1),
    "radial_logcosh": _formula(lambda h, s: sp.log(sp.cosh(h))),
    "fmod": _remainder,
    "maximum": _lattice(sp.Max),
    "minimum": _lattice(sp.Min),
    "lt": _less(sp.StrictLessThan, sp.StrictGreaterThan),
    "le": _less(sp.LessThan, sp.GreaterThan),
    "eq": _comparison(sp.Equality, sp.false),
    "ne": _comparison(sp.Unequality, sp.true),
    "and": lambda v, exact: sp.And(*v, evaluate=exact),
    "or": lambda v, exact: sp.Or(*v, evaluate=exact),
    "not": lambda v, exact: sp.Not(v[0], evaluate=exact),
    **SPECIAL_FORMS,
}


def _builder(op: str) -> Callable[[Sequence[Expr], bool], Expr]:
    """What makes the SymPy expression of an op."""
    if op in _BUILDERS:
        return _BUILDERS[op]
    if op in RADIAL_ROWS:
        return _radial_form(op)
    return _quotient_form(op) if op in QUOTIENT_ROWS and op != "sinc" else _function_of(op)


def _function_of(op: str) -> Callable[[Sequence[Expr], bool], Expr]:
    """The SymPy function that the op's row names."""
    row = OPS.get(op)
    function = getattr(sp, row.sympy, None) if row is not None and row.sympy else None
    if function is None:
        raise UnsupportedExpression(
            f"the operation `{op}` has no SymPy spelling",
            because="its row in the op table names no SymPy function",
            try_="print the program instead of its SymPy form",
        )
    return _call(function)
