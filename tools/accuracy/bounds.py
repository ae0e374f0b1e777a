"""The errors that are allowed, in units in the last place: one table, with a reason for every exception."""

from __future__ import annotations

BOUNDS = {
    ("elementary", "value"): 2.0,
    ("elementary", "first"): 4.0,
    ("elementary", "second"): 8.0,
    ("special", "value"): 4.0,
    ("special", "first"): 8.0,
    ("special", "second"): 16.0,
    ("composite", "value"): 4.0,
    ("composite", "first"): 8.0,
    ("composite", "second"): 16.0,
}
"""By group and quantity."""

EXCEPTIONS: dict[tuple[str, str], tuple[float, str]] = {}
"""(case, quantity) -> (bound, reason)."""


def bound(name: str, group: str, quantity: str) -> float:
    """What is allowed of a quantity of a case, in both precisions and on every target."""
    found = EXCEPTIONS.get((name, quantity))
    return found[0] if found else BOUNDS[group, quantity]
