"""What a kernel returns: the structure asked for, and the caller's own `out=` arrays in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from symgrad.errors import BadArgument, DtypeMismatch, ShapeMismatch
from symgrad.run.signature import OutputLeaf, OutputTree, Signature

Shape = tuple[int, ...]


def leaves_of(tree: OutputTree) -> list[OutputLeaf]:
    """The arrays of a result in order."""
    if isinstance(tree, OutputLeaf):
        return [tree]
    return [leaf for part in tree for leaf in leaves_of(part)]


def structured(signature: Signature, leaves: Sequence[Any]) -> Any:
    """`leaves` in the structure of the result."""
    rest = iter(leaves)
    words = tuple(_filled(tree, rest) for tree in signature.outputs)
    return words[0] if signature.single else words


def _filled(tree: OutputTree, leaves: Iterator[Any]) -> Any:
    if isinstance(tree, OutputLeaf):
        return next(leaves)
    return tuple(_filled(part, leaves) for part in tree)


def returned(outputs: Sequence[Any], leaves: Sequence[OutputLeaf], shapes: Sequence[Shape]) -> list[Any]:
    """The leaves from the routine's buffers: in their shapes, no two of them sharing memory."""
    seen: set[int] = set()
    out = []
    for leaf, shape in zip(leaves, shapes, strict=True):
        x = outputs[leaf.buffer]
        if isinstance(x, np.ndarray):
            if leaf.buffer in seen:
                x = x.copy()
            seen.add(leaf.buffer)
            if x.shape != shape:
                x = x.reshape(shape)
        out.append(x)
    return out


# ---- out= ------------------------------------------------------------------------------------------


def flat_out(signature: Signature, out: Any) -> list[Any]:
    """The caller's arrays in the order of the leaves, None where there is none."""
    if signature.single:
        return _flat(signature.outputs[0], out, "out")
    return _flat(signature.outputs, out, "out")


def _flat(tree: OutputTree, out: Any, name: str) -> list[Any]:
    if out is None:
        return [None] * len(leaves_of(tree))
    if isinstance(tree, OutputLeaf):
        return [out]
    if not isinstance(out, tuple | list) or len(out) != len(tree):
        given = f"{len(out)} parts" if isinstance(out, tuple | list) else f"a {type(out).__name__}"
        raise BadArgument(
            f"{name}= is {given}, a tuple of {len(tree)} was expected",
            because="out= has the structure of the result",
            try_="None stands for a part that is to be allocated",
        )
    return [x for k, part in enumerate(tree) for x in _flat(part, out[k], f"{name}[{k}]")]


def check_out(outs: Sequence[Any], shapes: Sequence[Shape], real: np.dtype) -> None:
    """Raise ShapeMismatch, DtypeMismatch or BadArgument unless every result fits its array."""
    for out, shape in zip(outs, shapes, strict=True):
        if out is None:
            continue
        if not isinstance(out, np.ndarray):
            raise BadArgument(
                f"out= is a {type(out).__name__}",
                because="results are written to arrays",
                try_=f"pass an array of shape {shape} and dtype {real}",
            )
        if out.shape != shape:
            raise ShapeMismatch(
                f"out= has shape {out.shape}",
                because=f"the result has shape {shape}",
                try_="pass an array of that shape",
            )
        if out.dtype != real and not np.can_cast(real, out.dtype, "same_kind"):
            raise DtypeMismatch(
                f"out= has dtype {out.dtype}",
                because=f"the result has dtype {real}",
                try_="pass an array of that dtype",
            )
        if not out.flags.writeable:
            raise BadArgument(
                "out= is read-only", because="the result is written to it", try_="pass an array of your own"
            )
    arrays = [x for x in outs if x is not None]
    if any(np.shares_memory(a, b) for a, b in combinations(arrays, 2) if np.may_share_memory(a, b)):
        raise BadArgument(
            "two arrays of out= share memory",
            because="one result would overwrite another",
            try_="pass separate arrays",
        )


def direct(
    outs: Sequence[Any],
    leaves: Sequence[OutputLeaf],
    shapes: Sequence[Shape],
    inputs: Sequence[np.ndarray],
    real: np.dtype,
) -> tuple[list[np.ndarray | None], frozenset[int]]:
    """The caller's arrays that machine code can write to, by buffer; and the leaves they hold."""
    chosen: list[np.ndarray | None] = [None] * len(shapes)
    done: set[int] = set()
    seen: set[int] = set()
    for k, (out, leaf) in enumerate(zip(outs, leaves, strict=True)):
        first = leaf.buffer not in seen
        seen.add(leaf.buffer)
        if not first or out is None or type(out) is not np.ndarray or out.dtype != real:
            continue
        if not (out.flags.c_contiguous and out.flags.aligned):
            continue
        if any(np.may_share_memory(out, x) for x in inputs):
            continue
        chosen[leaf.buffer] = out.reshape(shapes[leaf.buffer])
        done.add(k)
    return chosen, frozenset(done)


def written(outs: Sequence[Any], results: Sequence[Any], done: frozenset[int]) -> list[Any]:
    """The results, those with an array of the caller's in it; leaves in `done` are there already."""
    final = []
    for k, (out, x) in enumerate(zip(outs, results, strict=True)):
        if out is not None and k not in done:
            np.copyto(out, x)
        final.append(x if out is None else out)
    return final
