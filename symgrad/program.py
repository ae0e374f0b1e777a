"""A program: what to compute, symbolic and printable, without numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from functools import cached_property
from typing import Any

from symgrad.errors import BadArgument, DuplicateNames, NonScalarGradient, listed, quoted
from symgrad.frontend.arguments import name_of
from symgrad.frontend.describe import show
from symgrad.frontend.to_sympy import to_sympy
from symgrad.frontend.translate import Translation, translate
from symgrad.grad.inside import differentiate
from symgrad.grad.outputs import ERROR_WORDS, TANGENT_WORDS, Leaf, Problem, Result, base_of, derive
from symgrad.grad.precision import Precision, leaves, lost_entries
from symgrad.grad.sparsity import SPARSE_WORDS, SparseOutput, Storage, sparse_output
from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.kinks import DEFAULT, check_convention
from symgrad.ir.unit import Mirror, Unit
from symgrad.kinks import Kink, kinks_of
from symgrad.opt.plain import without_norm_guards
from symgrad.records import dataclass


@dataclass(frozen=True)
class Options:
    """What changes numbers, or ranks alternatives; part of every cache key.

    stabilise  apply stability rewrites (log-sum-exp, softplus, expm1, ...).
    kinks      which derivative is taken at kinks (`ir.kinks`).
    hints      typical values of size symbols, by name; they only choose between equal programs.
    """

    stabilise: bool = True
    kinks: str = DEFAULT
    hints: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Derived:
    """The outputs of a program as tensors: a unit, and how the user sees its results.

    results      one tree per word, its leaves numbered into the unit's outputs.
    value_shape  of the value as the user sees it.
    roles        of the unit's inputs: "input", "tangent", "cotangent", or "places" of sparse outputs.
    wrt_form     "single" (one symbol), "packed" (scalars seen as one vector) or "tuple".
    sparse       where the values of sparse outputs belong, in the order of the words that are sparse.
    precision    what entries have to be sure of; then the last output of the unit counts those that are not.
    """

    unit: Unit
    words: tuple[str, ...]
    results: tuple[Any, ...]
    value_shape: tuple[Node, ...]
    roles: tuple[str, ...]
    wrt_form: str
    translation: Translation
    sparse: tuple[SparseOutput, ...] = ()
    precision: Precision | None = None


@dataclass(frozen=True)
class Program:
    """An expression, its arguments in call order, and what to differentiate by.

    expr     scalar, Matrix, matrix expression, or expression in index notation.
    args     symbols in call order; sizes are not arguments.
    wrt      one symbol or a tuple; results have its structure.
    """

    expr: Any
    given_args: tuple[Any, ...] | None = None
    given_wrt: Any = None
    options: Options = field(default_factory=Options)
    axes: tuple[Any, ...] | None = None

    @cached_property
    def translation(self) -> Translation:
        """The expression in the intermediate representation (stage "frontend")."""
        graph = Graph(self.options.stabilise, self.options.kinks)
        graph.hints = dict(self.options.hints)
        return translate(self.expr, self.given_args, graph, differentiate, self.axes)

    @property
    def args(self) -> tuple[Any, ...]:
        """The arguments in call order."""
        return self.translation.args

    @cached_property
    def wrt(self) -> tuple[Any, ...]:
        """The symbols to differentiate by; default: every real argument."""
        if self.given_wrt is None:
            return tuple(s for s in self.args if self._tensor_kind(s) == "real")
        wrt = tuple(self.given_wrt) if isinstance(self.given_wrt, (tuple, list)) else (self.given_wrt,)
        known = listed(map(name_of, self.args))
        for s in wrt:
            if s not in self.translation.inputs:
                raise BadArgument(
                    f"cannot differentiate by {quoted(str(s))}",
                    where="wrt",
                    because=f"the arguments are {known}" if known else "the expression is a constant",
                    try_="name one of the arguments in wrt" if known else f"args=({name_of(s)},)",
                )
            if self._tensor_kind(s) != "real":
                raise BadArgument(
                    f"cannot differentiate by {quoted(name_of(s))}",
                    where="wrt",
                    because="it holds integers (sizes or indices)",
                    try_="leave it out of wrt",
                )
        if len(set(wrt)) != len(wrt):
            raise DuplicateNames(
                "a symbol appears twice in wrt",
                where="wrt = (" + listed(map(name_of, wrt)) + ")",
                because="a derivative has one place in the result",
                try_="name each symbol once",
            )
        return wrt

    @property
    def grad(self) -> Any:
        """The gradient as readable SymPy, in matrix notation where the input was."""
        return self._readable("grad")

    @property
    def hess(self) -> Any:
        """The Hessian as readable SymPy."""
        return self._readable("hess")

    @property
    def value(self) -> Any:
        """The value as it was understood, back in SymPy."""
        return self._readable("value")

    @cached_property
    def kinks(self) -> tuple[Kink, ...]:
        """Where the derivative jumps: which function, of which argument, where, and what is taken there."""
        return kinks_of(self.translation)

    def _readable(self, word: str) -> Any:
        """An output as SymPy: matrix notation where the inputs are matrices, else sums over indices."""
        derived, tr = self.derived((word,), to_read=True), self.translation
        unit, moved = without_norm_guards(derived.unit)
        symbols = {moved[tr.inputs[s]]: s for s in self.args if tr.inputs[s] in moved}

        def convert(tree: Any) -> Any:
            if isinstance(tree, list):
                return tuple(convert(t) for t in tree)
            position, shape = tree
            tensor = unit.outputs[position][1]
            explicit = unit.graph.tensors[tensor].kind == "enum"
            numbers = [int(tr.graph.rational(e) or 0) for e in shape] if explicit else None
            return to_sympy(unit.graph, tensor, symbols, tr.sizes, shape=numbers)

        return convert(derived.results[0])

    def _tensor_kind(self, symbol: Any) -> str:
        return self.translation.graph.tensors[self.translation.inputs[symbol]].dtype

    def _repr_latex_(self) -> str:
        import sympy

        return f"${sympy.latex(self.expr)}$"

    # ---- derivatives as tensors ------------------------------------------------------------

    def problem(self) -> Problem:
        """The inputs of the derivative stage."""
        tr = self.translation
        g = tr.graph
        wrt = tuple(tr.inputs[s] for s in self.wrt)
        single = self.given_wrt is not None and not isinstance(self.given_wrt, (tuple, list))
        packed = not single and bool(wrt) and all(not g.tensors[t].extents for t in wrt)
        shape = g.tensors[tr.value].extents
        if tr.shape is not None:
            shape = (*(g.const(n) for n in tr.shape), *shape[1:])
        return Problem(
            g, tr.value, shape, wrt, packed, single,
            self._tangents(wrt, packed),
            g.input(self.free_name("cotangent"), g.tensors[tr.value].extents),
        )  # fmt: skip

    def _tangents(self, wrt: Sequence[TensorId], packed: bool) -> tuple[TensorId, ...]:
        g = self.translation.graph
        if packed:
            return (g.input(self.free_name("tangent"), (g.const(len(wrt)),)),)
        names = [self.free_name(f"tangent_{g.tensors[t].name}") for t in wrt]
        return tuple(g.input(name, g.tensors[t].extents) for name, t in zip(names, wrt, strict=True))

    def free_name(self, name: str) -> str:
        """A name that no argument or size has: inputs of equal names and shapes are one tensor."""
        taken = {name_of(s) for s in self.args} | set(self.translation.sizes)
        while name in taken:
            name += "_"
        return name

    def derived(
        self,
        words: Sequence[str],
        storage: Storage | None = None,
        to_read: bool = False,
        precision: Precision | None = None,
    ) -> Derived:
        """The tensors of the given outputs (stage "differentiate").

        storage  of the matrices among them; None for dense ones.
        to_read  in the form to read, not the one to compute.
        precision  what the entries of outputs have to be sure of, if anything.
        """
        tr, p = self.translation, replace(self.problem(), is_banded=not to_read)
        outputs: dict[TensorId, str] = {}
        results: list[Any] = []
        sparse: list[SparseOutput] = []
        trees: list[Result] = []
        for word in words:
            try:
                if storage is None or base_of(word) not in SPARSE_WORDS:
                    result = derive(p, word)
                else:
                    result, made = sparse_output(p, word, storage, self.free_name)
                    sparse.append(made)
            except NonScalarGradient as error:
                error.where = show(self.expr)
                raise
            _name_leaves(result, word, self._leaf_names(p), outputs)
            results.append(_numbered(result, outputs))
            trees.append(result)
        inputs = [(name_of(s), tr.inputs[s]) for s in self.args]
        roles = ["input"] * len(inputs)
        bases = {base_of(word) for word in words}
        if set(TANGENT_WORDS) & bases:
            inputs += [(p.graph.tensors[t].name, t) for t in p.tangents]
            roles += ["tangent"] * len(p.tangents)
        if "vjp" in bases and p.cotangent is not None:
            inputs.append((p.graph.tensors[p.cotangent].name, p.cotangent))
            roles.append("cotangent")
        places = [(p.graph.tensors[t].name, t) for made in sparse for t in made.inputs]
        inputs += places
        roles += ["places"] * len(places)
        mirrors = tuple(m for result in trees for m in _mirrors(result))
        named = tuple((n, t) for t, n in outputs.items())
        if precision is not None:
            values = [tree for word, tree in zip(words, trees, strict=True) if word not in ERROR_WORDS]
            checked = tuple(k for k, (_, t) in enumerate(named) if t in {x.tensor for x in leaves(values)})
            named = (*named, ("lost", lost_entries(p.graph, values, precision)))
            precision = replace(precision, checked=checked)
        unit = Unit(p.graph, tuple(inputs), named, mirrors)
        form = "packed" if p.packed else "single" if p.single else "tuple"
        shared = (tuple(words), tuple(results), p.shape, tuple(roles), form, tr, tuple(sparse))
        return Derived(unit, *shared, precision)

    def _leaf_names(self, p: Problem) -> list[str]:
        return [] if p.single or p.packed else [name_of(s) for s in self.wrt]


def _name_leaves(result: Result, name: str, parts: list[str], outputs: dict[TensorId, str]) -> None:
    """Give every distinct tensor a name like grad_W; `outputs` keeps them in order."""
    if isinstance(result, Leaf):
        if result.tensor not in outputs:
            taken = set(outputs.values())
            unique, k = name, 1
            while unique in taken:
                k += 1
                unique = f"{name}_{k}"
            outputs[result.tensor] = unique
        return
    for part, inner in zip(parts, result, strict=True):
        _name_leaves(inner, f"{name}_{part}", parts, outputs)


def _mirrors(result: Result) -> list[Mirror]:
    """What is known of the symmetry of the leaves."""
    if isinstance(result, Leaf):
        return [] if result.mirror is None else [Mirror(result.tensor, *result.mirror)]
    return [m for part in result for m in _mirrors(part)]


def _numbered(result: Result, outputs: dict[TensorId, str]) -> Any:
    """The tree with each leaf as (position in the unit's outputs, shape)."""
    if isinstance(result, Leaf):
        return (list(outputs).index(result.tensor), result.shape)
    return [_numbered(r, outputs) for r in result]


def program(
    expr: Any,
    args: Sequence[Any] | None = None,
    wrt: Any = None,
    *,
    stabilise: bool | None = None,
    kinks: str | None = None,
    hints: dict[Any, int] | None = None,
    axes: Sequence[Any] | None = None,
) -> Program:
    """A program from a SymPy expression (or an existing program, whose options then change).

    expr       scalar, Matrix, matrix expression, list of scalars, or index notation.
    args       symbols in call order, or one symbol; default: the free symbols by name, sizes left out.
    wrt        one symbol or a tuple of symbols; default: every real argument.
    stabilise  rewrite log(sum(exp)), log(1 + x), ... into their stable forms (default: True).
    kinks      which derivative is taken at kinks: "first" (the default; ties of Max and Min go to the first
               argument, Abs has slope 0 at 0), "mean", "right" or "left"; see `symgrad.ir.kinks`.
    hints      typical values of size symbols, to choose the best loop order for.
    axes       for index notation with free indices: their order in the result; default: by name.

    Raises subclasses of SymgradError that name the sub-expression (when first translated).
    """
    named = None if hints is None else tuple(sorted((str(k), int(v)) for k, v in hints.items()))
    if isinstance(expr, Program):
        old = expr
        options = Options(
            old.options.stabilise if stabilise is None else stabilise,
            old.options.kinks if kinks is None else check_convention(kinks),
            old.options.hints if named is None else named,
        )
        return Program(
            old.expr,
            old.given_args if args is None else _as_args(args),
            old.given_wrt if wrt is None else _as_given(wrt),
            options,
            old.axes if axes is None else tuple(axes),
        )
    return Program(
        expr,
        None if args is None else _as_args(args),
        _as_given(wrt),
        Options(
            stabilise is None or stabilise, DEFAULT if kinks is None else check_convention(kinks), named or ()
        ),
        None if axes is None else tuple(axes),
    )


def _as_args(args: Any) -> tuple[Any, ...]:
    return (args,) if getattr(args, "is_symbol", False) else tuple(args)


def _as_given(wrt: Any) -> Any:
    return tuple(wrt) if isinstance(wrt, (tuple, list)) else wrt
