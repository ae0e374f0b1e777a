"""What a caller passes to a kernel, as one array per argument that machine code can read."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from symgrad.errors import BadArgument, DtypeMismatch, ShapeMismatch, listed, quoted
from symgrad.run.records import SINGLE, Passed
from symgrad.run.signature import Argument, Signature, Sizes, shape_text

_OTHER_MEANING = ("out", "tangent", "cotangent")  # keywords of a call, whatever a symbol is called
_NO_SIZES: Sizes = {}


def passed_of(signature: Signature) -> Passed | None:
    """How a call without Python code passes the arguments; None if some are not the caller's."""
    roles = [a.role for a in signature.arguments]
    if not {"input", "tangent", "cotangent"}.issuperset(roles):
        return None
    tangents = roles.count("tangent")
    several = signature.wrt_form == "tuple"
    return Passed(roles.count("input"), tangents if several or not tangents else SINGLE, "cotangent" in roles)


class Intake:
    """Puts the arguments of a call in order and converts those that need it."""

    def __init__(self, signature: Signature, real: np.dtype) -> None:
        self._signature = signature
        self._inputs = [a for a in signature.arguments if a.role == "input"]
        self._names = {a.name: k for k, a in enumerate(self._inputs)}
        self._count = len(signature.arguments)
        self._forms = [
            (a, np.dtype(np.int64) if a.dtype == "int" else real, len(a.extents)) for a in signature.arguments
        ]

    def __call__(
        self, args: Sequence[Any], by_name: Mapping[str, Any], tangent: Any, cotangent: Any
    ) -> tuple[list[np.ndarray], Sizes]:
        """C-contiguous, aligned arrays of the kernel's types, and the sizes given by name."""
        given, sizes = args, _NO_SIZES
        if by_name or tangent is not None or cotangent is not None or len(args) != len(self._inputs) \
                or len(args) != self._count:  # fmt: skip
            given, sizes = self._in_order(args, by_name, tangent, cotangent)
        arrays = [
            x
            if type(x) is np.ndarray
            and x.dtype == dtype
            and x.ndim >= rank
            and (flags := x.flags).c_contiguous
            and flags.aligned
            else _array(a, dtype, x)
            for x, (a, dtype, rank) in zip(given, self._forms, strict=True)
        ]
        return arrays, sizes

    # ---- which value belongs to which argument ---------------------------------------------

    def _in_order(
        self, args: Sequence[Any], by_name: Mapping[str, Any], tangent: Any, cotangent: Any
    ) -> tuple[list[Any], Sizes]:
        if len(args) > len(self._inputs):
            raise BadArgument(
                f"{len(args)} arguments given, {len(self._inputs)} expected",
                because=self._arguments_text(),
                try_="pass tangent= and cotangent= by name"
                if len(args) <= self._count
                else "leave out what is too much",
            )
        values: dict[str, Any] = dict(zip(self._names, args, strict=False))
        sizes: Sizes = {}
        for name, x in by_name.items():
            if name in self._names:
                if name in values:
                    raise self._given_twice(name)
                values[name] = x
            elif name in self._signature.sizes:
                sizes[name] = _size(name, x)
            else:
                raise self._unknown(name)
        missing = [name for name in self._names if name not in values]
        if missing:
            raise self._missing(missing[0])
        directions = self._directions("tangent", tangent) + self._directions("cotangent", cotangent)
        return [values[name] for name in self._names] + directions, sizes

    def _arguments_text(self) -> str:
        text = "the arguments are " + listed(self._names) if self._names else "there are no arguments"
        sizes = [name for name in self._signature.sizes if name not in self._names]
        return text + ("; the sizes are " + listed(sizes) if sizes else "")

    def _given_twice(self, name: str) -> BadArgument:
        return BadArgument(
            f"argument {quoted(name)} was given twice",
            because=self._arguments_text(),
            try_="pass it by position or by name, not both",
        )

    def _unknown(self, name: str) -> BadArgument:
        return BadArgument(
            f"there is no argument {quoted(name)}",
            because=self._arguments_text(),
            try_="use one of these names" if self._names or self._signature.sizes else "leave it out",
        )

    def _missing(self, name: str) -> BadArgument:
        hint = f"pass it by position: {name}= means something else in a call"
        return BadArgument(
            f"argument {quoted(name)} is missing",
            because=self._arguments_text(),
            try_=hint if name in _OTHER_MEANING else "pass it by position or by name",
        )

    # ---- tangents and cotangents -----------------------------------------------------------

    def _directions(self, role: str, given: Any) -> list[Any]:
        wanted = [a for a in self._signature.arguments if a.role == role]
        structure = "value" if role == "cotangent" else "symbols in wrt"
        if not wanted and given is None:
            return []
        if not wanted:
            raise BadArgument(
                f"{role}= was given, but no output needs it",
                because="the outputs are " + listed(self._signature.words),
                try_="leave it out, or compile with " + ("vjp" if role == "cotangent" else "jvp or hvp"),
            )
        if given is None:
            raise BadArgument(
                f"argument {role}= is missing",
                because="the outputs are " + listed(self._signature.words),
                try_=f"pass {role}= with the structure of the {structure}",
            )
        form = "single" if role == "cotangent" else self._signature.wrt_form
        if form == "packed" and isinstance(given, tuple):
            return [_stacked(given, wanted[0])]
        if form != "tuple" or (len(wanted) == 1 and not isinstance(given, tuple | list)):
            return [given]
        if not isinstance(given, tuple | list) or len(given) != len(wanted):
            parts = f"{len(given)} parts" if isinstance(given, tuple | list) else f"a {type(given).__name__}"
            raise BadArgument(
                f"{role}= is {parts}, a tuple of {len(wanted)} was expected",
                because="there is one part per symbol in wrt",
                try_=f"pass {role}= with the structure of the {structure}",
            )
        return list(given)


def _stacked(parts: tuple[Any, ...], a: Argument) -> np.ndarray:
    """One direction per scalar as one vector along the last axis; the parts may have sample axes."""
    scalars = [_array(Argument(a.name, ()), np.dtype(float), x) for x in parts]
    try:
        return np.stack(np.broadcast_arrays(*scalars), axis=-1)
    except ValueError:
        raise ShapeMismatch(
            f"the parts of {a.name}= do not broadcast",
            because="their shapes are " + ", ".join(str(x.shape) for x in scalars),
            try_="pass one number per symbol in wrt, or arrays of equal shape",
        ) from None


def _size(name: str, x: Any) -> int:
    try:
        return operator.index(x)
    except TypeError:
        raise BadArgument(
            f"size {quoted(name)} is a {type(x).__name__}",
            because="a size is a number of elements",
            try_="pass a whole number",
        ) from None


# ---- one array -------------------------------------------------------------------------------------


def _array(a: Argument, dtype: np.dtype, x: Any) -> np.ndarray:
    """`x` in the type, rank and layout of the argument; a copy only where needed."""
    if not a.extents:
        if type(x) is float and a.dtype == "real":
            return np.array(x, dtype)
        if isinstance(x, Integral if a.dtype == "int" else Real):
            return _number(a, dtype, x)
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise DtypeMismatch(
            f"argument {quoted(a.name)} is a masked array",
            because="a kernel has no notion of missing entries",
            try_="fill them: x.filled(...)",
        )
    try:
        array = np.asarray(x)
    except ValueError:
        raise BadArgument(
            f"argument {quoted(a.name)} is a {type(x).__name__} that is no array",
            because="its rows have different lengths",
            try_="pass rows of equal length",
        ) from None
    _check_kind(a, dtype, array)
    array = np.require(np.asarray(array, dtype=dtype, order="C"), requirements=["C", "A"])
    return array if array.ndim >= len(a.extents) else _as_column(a, array)


def _number(a: Argument, dtype: np.dtype, x: Any) -> np.ndarray:
    try:
        return np.array(int(x) if a.dtype == "int" else float(x), dtype)
    except OverflowError:
        raise DtypeMismatch(
            f"argument {quoted(a.name)} is too large for {dtype}",
            because=f"it has about {len(str(abs(int(x))))} digits",
            try_="scale it down",
        ) from None


def _check_kind(a: Argument, dtype: np.dtype, array: np.ndarray) -> None:
    kind = array.dtype.kind
    if a.dtype == "int":
        if kind not in "biu":
            raise DtypeMismatch(
                f"argument {quoted(a.name)} has dtype {array.dtype}",
                because="it holds indices or a size, which are integers",
                try_="pass integers, x.astype(int) for example",
            )
        if kind == "u" and array.size and int(array.max()) > np.iinfo(np.int64).max:
            raise DtypeMismatch(
                f"argument {quoted(a.name)} is too large for {dtype}", because="indices are int64"
            )
    elif kind not in "biuf":
        raise DtypeMismatch(
            f"argument {quoted(a.name)} has dtype {array.dtype}",
            because=f"the kernel computes with real numbers, {dtype}",
            try_="pass its real and its imaginary part separately"
            if kind == "c"
            else "convert it to real numbers",
        )


def _as_column(a: Argument, array: np.ndarray) -> np.ndarray:
    """A vector for a declared (n, 1) or (1, n) matrix; anything else lacks axes."""
    ones = [axis for axis, e in enumerate(a.extents) if e == (((), 1),)]
    if array.ndim == len(a.extents) - 1 and len(ones) == 1:
        return np.expand_dims(array, ones[0])
    raise ShapeMismatch(
        f"argument {quoted(a.name)} has shape {array.shape}",
        because=f"its declared shape is {shape_text(a.extents)}",
        try_=f"pass an array with {len(a.extents)} axes",
    )
