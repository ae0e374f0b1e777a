"""Dataclasses that cost next to nothing to import: `from symgrad.records import dataclass`.

For each class the standard library compiles up to seven methods, which took more than half of the time of
`import symgrad`, and most are never called. Here they are shared by all classes, but for `__init__`, which is
compiled when the first instance is made. Everything else is the standard library's: fields, `replace`,
`asdict`, and what type checkers see. Options are `frozen`, `slots` and `eq`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(cls=None, *, frozen=False, slots=False, eq=True):
        """`dataclasses.dataclass` with these options and no others."""
        if cls is None:
            return lambda c: _made(c, frozen, slots, eq)
        return _made(cls, frozen, slots, eq)


def _made(cls: type, frozen: bool, slots: bool, eq: bool) -> Any:
    own = frozenset(cls.__dict__)
    cls.__doc__ = cls.__doc__ or cls.__name__  # or it would be made of the signature
    made: Any = dataclasses.dataclass(cls, init=False, repr=False, eq=False, slots=slots)
    methods: dict[str, Any] = {"__init__": _compiled_later(made, frozen), "__repr__": _text}
    if eq:
        methods["__eq__"], methods["__hash__"] = _comparison(made, frozen)
    if frozen:
        methods |= {"__setattr__": _refuse, "__delattr__": _refuse}
    if frozen and slots:
        methods |= {"__getstate__": _state, "__setstate__": _set_state}
    for name, method in methods.items():
        if name not in own:
            setattr(made, name, method)
    return made


def _compiled_later(cls: Any, frozen: bool) -> Callable[..., None]:
    def __init__(self: Any, *args: Any, **named: Any) -> None:
        cls.__init__ = made = _initialiser(cls, frozen)
        made(self, *args, **named)

    return __init__


def _initialiser(cls: type, frozen: bool) -> Callable[..., None]:
    """`__init__` with one parameter for each field."""
    names: dict[str, Any] = {"_set": object.__setattr__, "_missing": dataclasses.MISSING}
    parameters, lines = ["self"], []
    for k, field in enumerate(dataclasses.fields(cls)):
        parameter = value = field.name
        if field.default is not dataclasses.MISSING:
            names[f"_default_{k}"] = field.default
            parameter += f"=_default_{k}"
        elif field.default_factory is not dataclasses.MISSING:
            names[f"_make_{k}"] = field.default_factory
            parameter, value = f"{parameter}=_missing", f"_make_{k}() if {value} is _missing else {value}"
        parameters.append(parameter)
        lines.append(f"_set(self, {field.name!r}, {value})" if frozen else f"self.{field.name} = {value}")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    body = "\n    ".join(lines or ["pass"])
    exec(f"def __init__({', '.join(parameters)}):\n    {body}", names)  # the names are those of fields
    made: Callable[..., None] = names["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


def _comparison(cls: type, frozen: bool) -> tuple[Callable[[Any, Any], Any], Callable[[Any], int] | None]:
    """`__eq__` and `__hash__` by the fields that are compared, as one tuple."""
    names = [f.name for f in dataclasses.fields(cls) if f.compare]
    get: Callable[[Any], Any] = attrgetter(*names) if names else lambda self: ()
    key = get if len(names) != 1 else lambda self: (get(self),)

    def equals(self: Any, other: Any) -> Any:
        return key(self) == key(other) if other.__class__ is self.__class__ else NotImplemented

    return equals, (lambda self: hash(key(self))) if frozen else None


@recursive_repr()
def _text(self: Any) -> str:
    parts = []
    for f in dataclasses.fields(self):  # no generator: a frame less for each record inside another
        if f.repr:
            parts.append(f"{f.name}={getattr(self, f.name)!r}")  # noqa: PERF401  (a comprehension is a frame, too)
    return f"{type(self).__qualname__}({', '.join(parts)})"


def _refuse(self: Any, name: str, value: Any = None) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot assign to or delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, f.name) for f in dataclasses.fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for f, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, f.name, value)
