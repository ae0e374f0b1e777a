"""`symgrad.records.dataclass` makes what `dataclasses.dataclass` makes."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from dataclasses import FrozenInstanceError, field
from typing import Any

import pytest

from symgrad import records

MAKERS = (dataclasses.dataclass, records.dataclass)


def _classes(dataclass: Any) -> tuple[Any, ...]:
    @dataclass(frozen=True)
    class Point:
        x: float
        y: float = 2.0
        names: list[str] = field(default_factory=list, compare=False)
        secret: int = field(default=0, repr=False)

    @dataclass
    class Sum:
        parts: tuple[int, ...]

        def __post_init__(self) -> None:
            self.parts = tuple(sorted(self.parts))

    @dataclass(frozen=True, slots=True)
    class Cell:
        """One place."""

        row: int

    return Point, Sum, Cell


@pytest.mark.parametrize("dataclass", MAKERS)
def test_records_are_dataclasses(dataclass: Any) -> None:
    Point, Sum, Cell = _classes(dataclass)
    p = Point(1.0, names=["a"])
    assert (p.x, p.y, p.names, p.secret) == (1.0, 2.0, ["a"], 0)
    assert Point(1.0).names is not Point(1.0).names
    assert repr(p).endswith("Point(x=1.0, y=2.0, names=['a'])")
    assert p == Point(1.0) != Point(1.5) and p != (1.0, 2.0, 0)
    assert hash(p) == hash((1.0, 2.0, 0))
    assert dataclasses.replace(p, y=3.0) == Point(1.0, 3.0)
    assert dataclasses.asdict(p) == {"x": 1.0, "y": 2.0, "names": ["a"], "secret": 0}
    assert Sum((2, 1)) == Sum((1, 2)) and Sum.__hash__ is None
    assert hash(Cell(3)) == hash((3,)) and Cell.__doc__ == "One place." and Cell.__match_args__ == ("row",)
    assert not hasattr(Cell(3), "__dict__")


@pytest.mark.parametrize("dataclass", MAKERS)
def test_frozen_records_cannot_be_changed_but_copied(dataclass: Any) -> None:
    Point, _, Cell = _classes(dataclass)
    for record in (Point(1.0), Cell(1)):
        with pytest.raises(FrozenInstanceError, match=r"row|x"):
            setattr(record, dataclasses.fields(record)[0].name, 2)
        with pytest.raises(FrozenInstanceError):
            delattr(record, dataclasses.fields(record)[0].name)
        assert copy.deepcopy(record) == record


@pytest.mark.parametrize("dataclass", MAKERS)
def test_the_first_instance_says_what_is_missing_as_any_other(dataclass: Any) -> None:
    Point, _, _ = _classes(dataclass)
    for _ in range(2):
        with pytest.raises(
            TypeError, match=r"Point.__init__\(\) missing 1 required positional argument: 'x'"
        ):
            Point()
    Point(1.0)
    assert list(inspect.signature(Point).parameters) == ["x", "y", "names", "secret"]


def test_symgrad_s_own_records_are_pickled() -> None:
    from symgrad.loops.nest import Buffer, Compute

    for record in (Buffer("x", "input", ()), Compute(1, "add", (2, 3))):
        assert pickle.loads(pickle.dumps(record)) == record
