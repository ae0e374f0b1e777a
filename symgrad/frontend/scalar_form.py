"""Scalar nodes as SymPy scalars: the part of IR -> SymPy that matrix form and index form share.

A `Leaves` object says what reads, axes and index equalities look like; everything else is one table
from op to SymPy function (`scalar_builders`). Sums and products are gathered into n-ary ones first, and
nothing recurses over the depth: beyond `_EVALUATED_DEPTH` levels SymPy's own simplifications, which
recurse, are skipped and the objects are made as they stand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import sympy as sp
from sympy.functions.elementary.piecewise import ExprCondPair

from symgrad.frontend.named_numbers import NAMED_NUMBERS
from symgrad.frontend.printed_size import PrintedSize
from symgrad.frontend.scalar_builders import add, builder, multiply, power_of, raw, reachable_branches
from symgrad.ir.bounds import is_nonnegative
from symgrad.ir.graph import Graph, Node
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
        return raw(sp.Piecewise, *(sp.Tuple.__new__(ExprCondPair, value, test) for value, test in pairs))

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
        build = builder(op)
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
