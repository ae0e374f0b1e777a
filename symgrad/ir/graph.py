"""The one intermediate representation: interned scalar nodes inside indexed definitions.

A *node* is a plain integer. `Graph.op[node]` is the name of its operation and
`Graph.args[node]` its arguments (nodes, or literals for leaves). Equal nodes are the same
integer, so common subexpressions are shared by construction, and because arguments exist
before the node that uses them, counting upwards visits every node after its arguments.

Leaves and index nodes
    const   ("q", numerator, denominator) | ("s", "pi" | "e" | ...) | ("f", "inf" | "-inf" | "nan")
    size    (name)                      a symbolic extent, an integer >= 0
    axis    (number, extent)            a loop index in [0, extent)
    lin     (c, atom, k, atom, k, ...)  the integer c + sum of k*atom; atoms are axes, sizes,
                                        integer reads and products of those
    imul    (a, b)                      product of two integer atoms
    read    (tensor, index, ...)        an element of an input or of a definition
    ige, ieq (index)                    the predicates index >= 0, index == 0
Every other operation is a row of `ir.ops`.

A *tensor* is an input or a definition; see `ir.tensor`. Axes inside a definition are numbered by
position, so two definitions that differ only in the names of their indices are one object.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from symgrad.ir import stability  # noqa: F401  registers its rules
from symgrad.ir.keys import LEAF_KINDS, MASK, START, STEP, key_of, literals
from symgrad.ir.kinks import DEFAULT, check_convention
from symgrad.ir.ops import OPS
from symgrad.ir.product import factors_in
from symgrad.ir.reachable import Reachable
from symgrad.ir.rules import MULTIPLE, POWER, SQUARE, Rule, form_of_number, select
from symgrad.ir.series.laurent import meant
from symgrad.ir.series.probe import CONSTANT, Probe, is_formula, variable_among
from symgrad.ir.series.removable import Expansion
from symgrad.ir.tensor import Node as Node  # also for those who import the graph
from symgrad.ir.tensor import Tensor
from symgrad.ir.tensor import TensorId as TensorId

if TYPE_CHECKING:
    from symgrad.ir.bounds import Entries

# Of an op: its nodes by their arguments, a key, a kind (none for leaves), what `is_formula`,
# `factors_in` say.
Table = tuple[dict[tuple[Any, ...], Node], int, str | None, bool | None, float | None]
NO_AXES: frozenset[Node] = frozenset()
_FIRST_FRESH = 1_000_000
# The constants that depend on the type: the spacing of its numbers at 1, its smallest normal number.
EPSILON, SMALLEST = ("s", "epsilon"), ("s", "smallest")


class Graph:
    """An arena of interned nodes and tensors. Not thread-safe while it is being built."""

    def __init__(self, stabilise: bool = True, kinks: str = DEFAULT) -> None:
        self.stabilise = stabilise
        self.kinks = check_convention(kinks)  # which derivative is taken at kinks (`ir.kinks`)
        self.hints: dict[str, int] = {}  # typical values of sizes; only rank alternatives
        self.entries: dict[str, tuple[Entries, ...]] = {}  # of integer inputs, by name: what calls check
        self.op: list[str] = []
        self.args: list[tuple[Any, ...]] = []
        self.arguments: list[tuple[Node, ...]] = []  # those of `args` that are nodes
        self.kind: list[str] = []  # "const" | "int" | "real" | "bool"
        self.axes: list[frozenset[Node]] = []  # free axes
        self.factor_count: list[float] = []  # see `factors_in`; of powers of powers: infinite
        self.powers: dict[Node, tuple[Node, int]] = {}  # base and exponent of x*x*...*x
        self.form: list[str] = []  # by which rules are selected (`ir.rules`)
        self.tensors: list[Tensor] = []
        self.fired: Counter[str] = Counter()  # rewrite rule name -> times it fired
        self.rewritten: dict[str, tuple[str, tuple[Node, ...], Node]] = {}  # stable ones: the first time
        self.written: dict[Node, tuple[str, tuple[Node, ...]]] = {}  # of what a stable rule made a choice
        self._key: list[int] = []  # name-free structural key, orders commutative arguments
        self.multiplicities: dict[Node, Node] = {}  # of maxima and minima, see `ir.kinks`
        self.frontiers: dict[tuple[TensorId, ...], tuple[TensorId, ...]] = {}  # of scans (`ir.scan`)
        self.variables: list[Node] = []  # the one node that a value is made of (`ir.series.probe`)
        self.expansions: dict[
            tuple[Node, Node], Expansion
        ] = {}  # of formulas in values (`ir.series.removable`)
        self.probes: dict[Node, Probe] = {}  # what they are close to 0
        self.reciprocals: dict[Node, int] = {}  # whether they are in formulas (`stability.singularities_far`)
        self._reads_of: dict[TensorId, tuple[Node, ...]] = {}
        self._tables: dict[str, Table] = {}
        self._rationals: dict[Node, Fraction] = {}
        self._tensor_ids: dict[Tensor, TensorId] = {}
        self._reachable = Reachable()
        self.present: set[str] = set()  # ops of nodes and kinds of tensors that there are
        self._rules: dict[tuple[str, ...], tuple[Rule, ...]] = {}  # by forms: those that may fire
        self._fresh = _FIRST_FRESH
        self.zero = self.const(0)
        self.one: Node = self.const(1)
        self.minus_one = self.const(-1)
        self.true = self.intern("true", ())
        self.false = self.intern("false", ())

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_reachable": Reachable(), "_rules": {}}

    # ---- interning -------------------------------------------------------------------------

    def intern(self, op: str, args: tuple[Any, ...]) -> Node:
        """The node `op(args)`, without any rewriting."""
        try:
            table, key, kind, formula, factors = self._tables[op]
        except KeyError:
            table, key, kind, formula, factors = self._appears(op)
        node = len(self.op)
        found = table.setdefault(args, node)
        if found != node:
            return found
        self.op.append(op)
        self.args.append(args)
        if kind is None:
            self._intern_leaf(node, op, args, key)
            return node
        self.arguments.append(args)
        self.kind.append(kind)
        form, keys, all_axes, counts, variables = op, self._key, self.axes, self.factor_count, self.variables
        if len(args) == 2:  # `_of_several`, written out for most nodes there are
            a, b = args
            key = ((key ^ keys[a]) * STEP + START) ^ keys[b]
            axes, more = all_axes[a], all_axes[b]
            if axes is not more:
                axes = axes | more
            variable, second = variables[a], variables[b]
            if variable != second and second != CONSTANT:
                variable = second if variable == CONSTANT else node
            if factors is None:
                factors = counts[a] + counts[b]
                if op == "mul":
                    if a == b or a in self.powers or b in self.powers:
                        form = self._form_of_power(node, a, b)
                    elif self.op[a] == "const":
                        form = MULTIPLE
        elif len(args) == 1:
            (a,) = args
            key, axes, variable = key ^ keys[a], all_axes[a], variables[a]
            if factors is None:
                factors = counts[a]
        else:
            key, axes, variable = self._of_several(node, key, args)
            assert factors is not None, "a product has two factors at most"
        keys.append((key * STEP + START) & MASK)
        all_axes.append(axes)
        counts.append(factors)
        self.form.append(form)
        if not formula:
            variable = node if formula is not None else variable_among(self, node, meant(self, node))
        variables.append(variable)
        return node

    def _form_of_power(self, node: Node, a: Node, b: Node) -> str:
        """The form of a product with a power for a factor, or of two equal ones; notes whose power it is."""
        (base, first), (other, second) = self.powers.get(a, (a, 1)), self.powers.get(b, (b, 1))
        is_power = base == other and self.op[base] != "mul"
        if is_power:
            self.powers[node] = base, first + second
        return MULTIPLE if self.op[a] == "const" else SQUARE if a == b else POWER if is_power else "mul"

    def _appears(self, op: str) -> Table:
        """What `intern` asks about an op that there is from now on."""
        table = self._tables[op] = ({}, key_of(op), _KIND_OF.get(op), is_formula(op), factors_in(op))
        self._is_there(op)
        return table

    def _is_there(self, name: str) -> None:
        """Note that there is an op, or a kind of tensor: rules that need it may fire from now on."""
        self.present.add(name)
        self._rules.clear()

    def _intern_leaf(self, node: Node, op: str, args: tuple[Any, ...], key: int) -> None:
        """The rest for what is no row of the table: some arguments are no nodes."""
        nodes = self.children_of(op, args)
        self.arguments.append(nodes)
        if nodes is not args:
            for literal in literals(op, args, nodes):
                key = (key * 69069 + key_of(literal)) & MASK
        self.kind.append(self.tensors[args[0]].dtype if op == "read" else LEAF_KINDS[op])
        axes = NO_AXES
        if nodes:
            key, axes, _ = self._of_several(node, key, nodes)
            key = (key * STEP + START) & MASK
        self._key.append(key)
        self.axes.append(frozenset((node,)) if op == "axis" else axes)
        self.factor_count.append(0.0 if op == "const" else 1.0)
        self.form.append(form_of_number(args) if op == "const" else op)
        self.variables.append(CONSTANT if op == "const" else node)
        if op == "const" and args[0] == "q":
            self._rationals[node] = Fraction(args[1], args[2])

    def _of_several(self, node: Node, key: int, args: tuple[Node, ...]) -> tuple[int, frozenset[Node], Node]:
        """What `intern` asks of any number of arguments: a key, the free axes, the variable."""
        axes, variable = NO_AXES, CONSTANT
        for place, a in enumerate(args):
            if place:
                key = (key * STEP + START) & MASK
            key ^= self._key[a]
            more, own = self.axes[a], self.variables[a]
            if more and more is not axes:
                axes = axes | more if axes else more
            if own not in (variable, CONSTANT):
                variable = own if variable == CONSTANT else node
        return key, axes, variable

    def node(self, op: str, *args: Node) -> Node:
        """The node `op(args)` after the rewrites registered for `op` (see `ir.rules`).

        Two terms, or two factors that are no constants, are put in one order, so that equal ones meet.
        """
        forms = self.form
        key: tuple[str, ...]
        if len(args) == 2:
            a, b = args
            key = (op, forms[a], forms[b])
        elif len(args) == 1:
            key = (op, forms[args[0]])
        else:
            key = (op, *[forms[x] for x in args])
        rules = self._rules.get(key)
        if rules is None:
            rules = self._rules[key] = select(self.stabilise, key, self.present)
        for rule in rules:
            result = rule.apply(self, args)
            if result is not None:
                self.fired[rule.name] += 1
                if rule.stage == "stable":
                    self.rewritten.setdefault(rule.name, (op, args, result))
                    if self.op[result] == "where":
                        self.written[result] = op, args
                return result
        if op == "add" or (op == "mul" and "const" not in key):
            first, second = self._key[a], self._key[b]  # `is_ordered`, asked for most nodes there are
            if second < first or (first == second and b < a):
                args = (b, a)
        return self.intern(op, args)

    def add(self, a: Node, b: Node) -> Node:
        return self.node("add", a, b)

    def sub(self, a: Node, b: Node) -> Node:
        return self.node("sub", a, b)

    def mul(self, a: Node, b: Node) -> Node:
        return self.node("mul", a, b)

    def div(self, a: Node, b: Node) -> Node:
        return self.node("div", a, b)

    def neg(self, a: Node) -> Node:
        return self.node("neg", a)

    def where(self, predicate: Node, a: Node, b: Node) -> Node:
        """`a` where the predicate holds, else `b`; the arm not taken has no effect."""
        return self.node("where", predicate, a, b)

    def mask(self, predicate: Node, a: Node) -> Node:
        """`a` where the predicate holds, else 0, even if `a` is nan or out of bounds there."""
        return self.node("mask", predicate, a)

    def sum_of(self, terms: Iterable[Node]) -> Node:
        """The sum of the terms, added from left to right."""
        total = self.zero
        for term in terms:
            total = self.add(total, term)
        return total

    def integer_power(self, x: Node, n: int) -> Node:
        """x**n for an integer n by repeated squaring (n < 0: one division)."""
        if n < 0:
            return self.div(self.one, self.integer_power(x, -n))
        result, square = self.one, x
        while n:
            if n & 1:
                result = self.mul(result, square)
            n >>= 1
            if n:
                square = self.mul(square, square)
        return result

    @staticmethod
    def children_of(op: str, args: tuple[Any, ...]) -> tuple[Node, ...]:
        if op == "read":
            return args[1:]
        if op == "lin":
            return args[1::2]
        if op in ("const", "size"):
            return ()
        if op == "axis":
            return args[1:]
        return args

    def children(self, node: Node) -> tuple[Node, ...]:
        """The argument nodes of `node` (literals left out)."""
        return self.arguments[node]

    def is_ordered(self, a: Node, b: Node) -> bool:
        """Whether two commutative arguments are in canonical order (never by address or name)."""
        first, second = self._key[a], self._key[b]
        return first < second or (first == second and a <= b)

    def ordered(self, a: Node, b: Node) -> tuple[Node, Node]:
        """Two commutative arguments in canonical order."""
        return (a, b) if self.is_ordered(a, b) else (b, a)

    def order_key(self, node: Node) -> tuple[int, int]:
        return self._key[node], node

    # ---- leaves ----------------------------------------------------------------------------

    def const(self, value: int | float | Fraction | str) -> Node:
        """A constant: exact rational, named ("pi", "e", ...) or a non-finite float."""
        if isinstance(value, str):
            return self.intern("const", ("s", value))
        if isinstance(value, float) and not (abs(value) < float("inf")):
            return self.intern("const", ("f", repr(value)))
        if type(value) is int:
            return self.intern("const", ("q", value, 1))
        q = value if type(value) is Fraction else Fraction(value)
        return self.intern("const", ("q", q.numerator, q.denominator))

    def rational(self, node: Node) -> Fraction | None:
        """The exact value of a rational constant, else None."""
        return self._rationals.get(node)

    def size(self, name: str) -> Node:
        return self.intern("size", (name,))

    def axis(self, number: int, extent: Node) -> Node:
        return self.intern("axis", (number, extent))

    def fresh_axis(self, extent: Node) -> Node:
        """A new axis no other expression uses; `define` renumbers it."""
        return self.axis(self.fresh_number(), extent)

    def extent(self, axis: Node) -> Node:
        return int(self.args[axis][1])

    def read(self, tensor: TensorId, *index: Node) -> Node:
        """An element of a tensor; `index` holds one integer node per axis of the result."""
        assert len(index) == self.tensors[tensor].rank, (self.tensors[tensor], index)
        t = self.tensors[tensor]
        if t.kind == "enum":
            entry = self.rational(index[0])
            if entry is not None and 0 <= entry < len(t.bodies):
                return self.substitute(t.bodies[int(entry)], dict(zip(t.out, index[1:], strict=True)))
        return self.intern("read", (tensor, *index))

    # ---- integers --------------------------------------------------------------------------

    def linear(self, node: Node) -> tuple[int, dict[Node, int]]:
        """`node` as (constant, {atom: coefficient})."""
        op, args = self.op[node], self.args[node]
        if op == "const":
            assert args[0] == "q" and args[2] == 1, "an index must be an integer"
            return args[1], {}
        if op == "lin":
            return args[0], dict(zip(args[1::2], args[2::2], strict=True))
        return 0, {node: 1}

    def lin(self, constant: int, terms: dict[Node, int]) -> Node:
        """The canonical node of `constant + sum(k * atom)`; its order does not depend on names if it can."""
        items = [(a, k) for a, k in terms.items() if k]
        items.sort(key=lambda item: (self._key[item[0]], item[1], item[0]))
        if not items:
            return self.const(constant)
        if constant == 0 and len(items) == 1 and items[0][1] == 1:
            return items[0][0]
        return self.intern("lin", (constant, *(x for item in items for x in item)))

    def iadd(self, a: Node, b: Node, scale: int = 1) -> Node:
        """The integer a + scale*b."""
        ca, ta = self.linear(a)
        cb, tb = self.linear(b)
        for atom, k in tb.items():
            ta[atom] = ta.get(atom, 0) + scale * k
        return self.lin(ca + scale * cb, ta)

    def isub(self, a: Node, b: Node) -> Node:
        return self.iadd(a, b, -1)

    def iscale(self, a: Node, k: int) -> Node:
        return self.iadd(self.zero, a, k)

    def imul(self, a: Node, b: Node) -> Node:
        """The product of two integers, distributed over their linear forms."""
        ca, ta = self.linear(a)
        cb, tb = self.linear(b)
        terms: dict[Node, int] = {}
        for atom, k in ta.items():
            terms[atom] = terms.get(atom, 0) + k * cb
        for atom, k in tb.items():
            terms[atom] = terms.get(atom, 0) + k * ca
        for x, kx in ta.items():
            for y, ky in tb.items():
                product = self._monomial(x, y)
                terms[product] = terms.get(product, 0) + kx * ky
        return self.lin(ca * cb, terms)

    def _monomial(self, x: Node, y: Node) -> Node:
        """The product of two atoms with its factors sorted, so that equal products are one node."""
        factors = sorted(self.factors(x) + self.factors(y), key=self.order_key)
        product = factors[0]
        for f in factors[1:]:
            product = self.intern("imul", (product, f))
        return product

    def factors(self, atom: Node) -> list[Node]:
        """The factors of a product of integers (of any other atom: itself)."""
        out = []
        while self.op[atom] == "imul":
            atom, last = self.args[atom]
            out.append(last)
        return [*out, atom]

    def ige0(self, index: Node) -> Node:
        """The predicate index >= 0."""
        c, terms = self.linear(index)
        if not terms:
            return self.true if c >= 0 else self.false
        return self.intern("ige", (index,))

    def ieq0(self, index: Node) -> Node:
        """The predicate index == 0 (sign-normalised)."""
        c, terms = self.linear(index)
        if not terms:
            return self.true if c == 0 else self.false
        if terms[min(terms, key=self.order_key)] < 0:
            index = self.iscale(index, -1)
        return self.intern("ieq", (index,))

    def ieq(self, a: Node, b: Node) -> Node:
        return self.ieq0(self.isub(a, b))

    def cast(self, index: Node) -> Node:
        """An integer as a real value."""
        return index if self.op[index] == "const" else self.intern("cast", (index,))

    # ---- tensors ---------------------------------------------------------------------------

    def input(self, name: str, extents: Sequence[Node] = (), dtype: str = "real") -> TensorId:
        return self._tensor(Tensor("input", (), (), (), (), tuple(extents), dtype, name))

    def recurrence(self, kind: str, extents: Sequence[Node], entry: int,
                   links: Sequence[TensorId] = ()) -> TensorId:  # fmt: skip
        """A state or a scan as it is written (see `ir.scan`, which makes them)."""
        return self._tensor(Tensor(kind, (), (), (), (), tuple(extents), links=tuple(links), entry=entry))

    def fresh_number(self) -> int:
        """A number no axis and no state has."""
        self._fresh += 1
        return self._fresh

    def _tensor(self, tensor: Tensor) -> TensorId:
        found = self._tensor_ids.get(tensor)
        if found is None:
            if tensor.kind not in self.present:
                self._is_there(tensor.kind)
            found = self._tensor_ids[tensor] = len(self.tensors)
            self.tensors.append(tensor)
        return found

    def define(
        self,
        kind: str,
        out: Sequence[Node],
        red: Sequence[Node],
        bodies: Node | Sequence[Node],
        target: Sequence[Node] = (),
        extents: Sequence[Node] = (),
        name: str = "",
    ) -> TensorId:
        """Intern a definition; its axes are renumbered by position, so names do not matter.

        `extents` is needed for scatter only (the extents of the result), `name` for call only.
        """
        body_list = (bodies,) if isinstance(bodies, int) else tuple(bodies)
        renaming = {a: self.axis(number, self.extent(a)) for number, a in enumerate((*out, *red))}
        # An axis of extent 1 only takes the value 0: nothing has to depend on it.
        values = {a: self.zero if self.extent(a) == self.one else r for a, r in renaming.items()}
        if kind == "call":
            values = renaming
        new_bodies = tuple(self.substitute_all(body_list, values))
        new_target = tuple(self.substitute_all(tuple(target), values))
        result = tuple(self.extent(a) for a in out)
        if kind == "enum":
            result = (self.const(len(body_list)), *result)
        if kind == "scatter":
            result = tuple(extents)
        free = frozenset().union(*(self.axes[b] for b in (*new_bodies, *new_target)))
        assert free <= set(renaming.values()), f"free axes escape the definition: {free}"
        return self._tensor(
            Tensor(
                kind,
                tuple(renaming[a] for a in out),
                tuple(renaming[a] for a in red),
                new_bodies,
                new_target,
                result,
                name=name,
            )
        )

    # ---- traversal and substitution --------------------------------------------------------

    def reachable(self, roots: Iterable[Node]) -> list[Node]:
        """Every node below `roots`, ascending, so arguments come first."""
        return self._reachable.below(roots, self.arguments)

    def first_occurrence(self, root: Node, wanted: frozenset[Node]) -> list[Node]:
        """The axes of `wanted` in the order a left-to-right walk of `root` meets them."""
        order: dict[Node, None] = {}
        seen: set[Node] = set()
        stack = [root]
        while stack and len(order) < len(wanted):
            n = stack.pop()
            if n in seen:
                continue
            seen.add(n)
            if n in wanted:
                order[n] = None
            elif self.axes[n]:
                stack.extend(reversed(self.children(n)))
        return list(order)

    def substitute(self, node: Node, mapping: dict[Node, Node]) -> Node:
        """Replace nodes (axes, usually) inside `node`; index arithmetic stays canonical."""
        return self.substitute_all((node,), mapping)[0]

    def substitute_all(self, roots: Sequence[Node], mapping: dict[Node, Node]) -> list[Node]:
        mapping = {k: v for k, v in mapping.items() if k != v}
        if not mapping:
            return list(roots)
        only_axes = all(self.op[k] == "axis" for k in mapping)
        keys = frozenset(mapping)
        done: dict[Node, Node] = dict(mapping)
        for root in roots:
            self._substitute_into(root, done, keys if only_axes else None)
        return [done.get(r, r) for r in roots]

    def _substitute_into(self, root: Node, done: dict[Node, Node], keys: frozenset[Node] | None) -> None:
        stack = [root]
        while stack:
            n = stack[-1]
            if n in done or (keys is not None and not (self.axes[n] & keys)):
                stack.pop()
                continue
            todo = [c for c in self.children(n) if c not in done and self._touches(c, keys)]
            if todo:
                stack.extend(todo)
                continue
            stack.pop()
            done[n] = self.rebuild(n, [done.get(c, c) for c in self.children(n)])

    def _touches(self, node: Node, keys: frozenset[Node] | None) -> bool:
        return True if keys is None else bool(self.axes[node] & keys)

    def rebuild(self, node: Node, children: Sequence[Node]) -> Node:
        """The same operation on other arguments, canonical again."""
        op, args = self.op[node], self.args[node]
        if tuple(children) == self.children(node):
            return node
        if op == "lin":
            total = self.const(args[0])
            for child, k in zip(children, args[2::2], strict=True):
                total = self.iadd(total, child, k)
            return total
        if op == "imul":
            return self.imul(*children)
        if op == "read":
            return self.read(args[0], *children)
        if op == "ige":
            return self.ige0(children[0])
        if op == "ieq":
            return self.ieq0(children[0])
        if op == "cast":
            return self.cast(children[0])
        if op == "axis":
            return self.axis(args[0], children[0])
        return self.node(op, *children)

    def reads(self, roots: Iterable[Node]) -> Iterator[Node]:
        """Every distinct read below `roots`, ascending."""
        return (n for n in self.reachable(roots) if self.op[n] == "read")

    def definitions_below(self, roots: Iterable[TensorId]) -> list[TensorId]:
        """`roots` and every tensor they need, producers first (ids ascend along dependences)."""
        seen: set[TensorId] = set()
        stack = list(roots)
        while stack:
            t = stack.pop()
            if t in seen:
                continue
            seen.add(t)
            stack.extend(self.sources_of(t))
        return sorted(seen)

    def sources_of(self, t: TensorId) -> list[TensorId]:
        """The tensors a definition is made of: those it reads, and the links of a scan."""
        return [*(self.args[r][0] for r in self.reads_of(t)), *self.tensors[t].links]

    def reads_of(self, t: TensorId) -> tuple[Node, ...]:
        """Every distinct read in the bodies and targets of a tensor, ascending; found once."""
        found = self._reads_of.get(t)
        if found is None:
            tensor = self.tensors[t]
            found = self._reads_of[t] = tuple(self.reads((*tensor.bodies, *tensor.target)))
        return found


_KIND_OF = {op.name: op.result for op in OPS.values()}
