"""Matrix functions as factorisations and what is read off them, each factorisation made once.

`solve(A, b)`, `log_det(A)` and the `inverse(A)` of its gradient all become reads of one `lu(A)`, because
equal definitions are one object. Operands are put into memory, rows and columns last, as the loops want
them. What remains: `lu`, `cholesky`, `qr`, `eigh`, `svd`, `eigenvalues` and `singular_values` (where no
vectors are needed), substitutions, and the reciprocals that derivatives of vectors divide by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from symgrad.ir.graph import Graph, Node, TensorId
from symgrad.ir.matrix.call import Array, call, identity, over
from symgrad.ir.matrix.functions import MATRIX_FUNCTIONS
from symgrad.ir.ops import OPS
from symgrad.ir.reduce import reduce
from symgrad.opt.rebuild import Copy, NodeHook

_WITH_VECTORS = {"eigenvalues": ("eigenvectors",), "singular_values": ("left_singular", "right_singular")}


class Factors:
    """Replaces the calls of one program; knows of which matrices vectors are needed beside the values."""

    def __init__(self, g: Graph, roots: Sequence[TensorId]) -> None:
        self.needed: set[tuple[str, Node]] = set()
        for t in g.definitions_below(roots):
            if g.tensors[t].kind == "call":
                self.needed.add((g.tensors[t].name, _form(g, g.tensors[t].bodies[0])))

    def of(self, copy: Copy, t: TensorId, on_node: NodeHook) -> TensorId:
        """What the call `t` becomes in the new graph."""
        g, old = copy.new, copy.old.tensors[t]
        made = copy.nodes((*old.bodies, *old.out, *old.red), t, on_node)
        bodies, axes = made[: len(old.bodies)], made[len(old.bodies) :]
        out, red = axes[: len(old.out)], axes[len(old.out) :]
        row, operands = MATRIX_FUNCTIONS[old.name], []
        for body, rank in zip(bodies, row.ranks, strict=True):
            operands.append(in_memory(g, red[:rank], body))
            red = red[rank:]
        places = out[len(out) - len(row.result) :]
        expand = _EXPANSIONS.get(old.name)
        form = _form(copy.old, old.bodies[0])
        if old.name in _WITH_VECTORS and not any((v, form) in self.needed for v in _WITH_VECTORS[old.name]):
            expand = None
        if expand is None:
            value = call(g, old.name, operands, [g.extent(a) for a in places])
        else:
            value = expand(g, *operands)
        return _as_definition(g, out, value.at(*places))


def _form(g: Graph, body: Node) -> Node:
    """The same node for equal matrices, whatever their axes are called."""
    return g.substitute(
        body, {a: g.axis(k, g.extent(a)) for k, a in enumerate(g.first_occurrence(body, g.axes[body]))}
    )


def _as_definition(g: Graph, out: Sequence[Node], body: Node) -> TensorId:
    """The definition that `body` is the whole of, or a map."""
    if g.op[body] == "read":
        t = int(g.args[body][0])
        whole = g.args[body][1:] == tuple(out) and g.tensors[t].extents == tuple(g.extent(a) for a in out)
        if whole and g.tensors[t].kind != "input":
            return t
    return g.define("map", out, (), body)


def in_memory(g: Graph, axes: Sequence[Node], body: Node) -> Array:
    """An operand whose entries are those of a tensor, its rows and columns last and whole."""
    if not _is_in_memory(g, axes, body):
        others = g.first_occurrence(body, g.axes[body] - set(axes))
        body = g.read(g.define("map", (*others, *axes), (), body), *others, *axes)
    return over(g, axes, body)


def _is_in_memory(g: Graph, axes: Sequence[Node], body: Node) -> bool:
    if g.op[body] != "read":
        return False
    t, *index = g.args[body]
    before, own = index[: len(index) - len(axes)], index[len(index) - len(axes) :]
    if len(own) != len(axes) or any(g.op[i] not in ("axis", "const") or i in axes for i in before):
        return False
    if len(set(before)) < sum(g.op[i] == "axis" for i in before):
        return False
    extents = g.tensors[t].extents[len(before) :]
    fits = all(i == a or (i == g.zero and e == g.one) for i, a, e in zip(own, axes, extents, strict=True))
    return fits and tuple(g.extent(a) for a in axes) == extents


# ---- expansions --------------------------------------------------------------------------------------


def _lu(g: Graph, a: Array) -> Array:
    n = a.extents[0]
    return call(g, "lu", (a,), (g.iadd(n, g.one), n))


def _cholesky(g: Graph, a: Array) -> Array:
    return call(g, "cholesky", (a,), a.extents)


def _along(g: Graph, kind: str, n: Node, entry: Callable[[Node], Node]) -> Array:
    """A reduction over one index, as an array without axes."""
    k = g.fresh_axis(n)
    value = reduce(g, kind, [k], entry(k))
    return Array((), lambda: value)


def _turn(g: Graph, lu: Array, k: Node) -> Node:
    """-1 where row k was exchanged, else 1."""
    stays = g.node("eq", lu.at(lu.extents[1], k), g.cast(k))
    return g.where(stays, g.one, g.minus_one)


def _sign(g: Graph, x: Node) -> Node:
    """The sign, spelled as targets want it."""
    expand = OPS["sign"].expand
    assert expand is not None
    return expand(g, (x,))


def _det(g: Graph, a: Array) -> Array:
    lu = _lu(g, a)
    return _along(g, "prod", a.extents[0], lambda k: g.mul(lu.at(k, k), _turn(g, lu, k)))


def _sign_det(g: Graph, a: Array) -> Array:
    lu = _lu(g, a)
    return _along(g, "prod", a.extents[0], lambda k: g.mul(_sign(g, lu.at(k, k)), _turn(g, lu, k)))


def _log_abs_det(g: Graph, a: Array) -> Array:
    lu = _lu(g, a)
    return _along(g, "sum", a.extents[0], lambda k: g.node("log", g.node("abs", lu.at(k, k))))


def _log_det(g: Graph, a: Array) -> Array:
    """nan for a negative determinant, as its logarithm."""
    sign, size = _sign_det(g, a).at(), _log_abs_det(g, a).at()
    return Array((), lambda: g.add(g.node("log", sign), size))


def _log_det_spd(g: Graph, a: Array) -> Array:
    lower = _cholesky(g, a)
    return _along(g, "sum", a.extents[0], lambda k: g.mul(g.const(2), g.node("log", lower.at(k, k))))


def _lu_solve(g: Graph, a: Array, b: Array) -> Array:
    return call(g, "lu_solve", (_lu(g, a), b), b.extents)


def _lu_solve_transposed(g: Graph, a: Array, b: Array) -> Array:
    return call(g, "lu_solve_transposed", (_lu(g, a), b), b.extents)


def _definite_solve(g: Graph, a: Array, b: Array) -> Array:
    lower = _cholesky(g, a)
    half = call(g, "solve_lower", (lower, b), b.extents)
    return call(g, "solve_lower_transposed", (lower, half), b.extents)


def _unit(g: Graph, a: Array) -> Array:
    axes = [g.fresh_axis(e) for e in a.extents]
    return in_memory(g, axes, identity(g, a.extents[0]).at(*axes))


def _packed(name: str, rows: Callable[[Graph, Array], Node]) -> Callable[[Graph, Array], Array]:
    return lambda g, a: call(g, name, (a,), (rows(g, a), a.extents[1]))


_eigh = _packed("eigh", lambda g, a: g.iadd(a.extents[0], g.one))
_qr = _packed("qr", lambda g, a: g.iadd(a.extents[0], a.extents[1]))
_svd = _packed("svd", lambda g, a: g.iadd(g.iadd(a.extents[0], a.extents[1]), g.one))


def _after(g: Graph, i: Node, *before: Node) -> Node:
    """Row i of the part that stands after so many rows."""
    for n in before:
        i = g.iadd(i, n)
    return i


def _first_row(packed: Callable[[Graph, Array], Array]) -> Callable[[Graph, Array], Array]:
    return lambda g, a: Array(a.extents[1:], lambda j: packed(g, a).at(g.zero, j))


def _eigenvectors(g: Graph, a: Array) -> Array:
    return Array(a.extents, lambda i, j: _eigh(g, a).at(_after(g, j, g.one), i))


def _triangular_factor(g: Graph, a: Array) -> Array:
    m, n = a.extents
    return Array((n, n), lambda i, j: _qr(g, a).at(_after(g, i, m), j))


def _left_singular(g: Graph, a: Array) -> Array:
    return Array(a.extents, lambda i, j: _svd(g, a).at(_after(g, i, g.one), j))


def _right_singular(g: Graph, a: Array) -> Array:
    m, n = a.extents
    return Array((n, n), lambda i, j: _svd(g, a).at(_after(g, j, g.one, m), i))


_EXPANSIONS: dict[str, Callable[..., Array]] = {
    "det": _det,
    "sign_det": _sign_det,
    "log_abs_det": _log_abs_det,
    "log_det": _log_det,
    "log_det_spd": _log_det_spd,
    "inverse": lambda g, a: _lu_solve(g, a, _unit(g, a)),
    "inverse_spd": lambda g, a: _definite_solve(g, a, _unit(g, a)),
    "solve": _lu_solve,
    "solve_transposed": _lu_solve_transposed,
    "solve_spd": _definite_solve,
    "eigenvalues": _first_row(_eigh),
    "eigenvectors": _eigenvectors,
    "orthogonal_factor": lambda g, a: Array(a.extents, lambda i, j: _qr(g, a).at(i, j)),
    "triangular_factor": _triangular_factor,
    "singular_values": _first_row(_svd),
    "left_singular": _left_singular,
    "right_singular": _right_singular,
}
