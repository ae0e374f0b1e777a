"""Stability rules: what they gain is measured, written down, and nowhere a loss."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from symgrad.ir.rules import TABLE
from symgrad.ir.stability import (
    AUDITS,
    centring,
    conjugates,
    half_centred,
    means,
    perfect_squares,
    quadratic_forms,
    sums_of_differences,
    weighted_variances,
)
from symgrad.opt import deviation, saturation

ROOT = Path(__file__).resolve().parents[1]
NAMES = sorted(
    [
        deviation.NAME,
        conjugates.NAME,
        saturation.NAME,
        quadratic_forms.NAME,
        sums_of_differences.NAME,
        means.NAME,
        perfect_squares.NAME,
        weighted_variances.NAME,
        centring.NAME,
        half_centred.NAME,
        *(r.name for rules in TABLE.values() for r in rules if r.stage == "stable"),
    ]
)

_spec = importlib.util.spec_from_file_location("stability_table", ROOT / "tools" / "stability_table.py")
assert _spec is not None and _spec.loader is not None
table = importlib.util.module_from_spec(_spec)
sys.modules["stability_table"] = table
_spec.loader.exec_module(table)

every_rule = pytest.mark.parametrize("name", NAMES)

# Errors in ulps that a rewritten expression may have; of the derivatives, where the plain one has none.
VALUE, DERIVATIVE = 4, 16


def test_every_stability_rule_has_an_audit_and_every_audit_a_rule():
    assert sorted(AUDITS) == NAMES


@every_rule
def test_an_audit_says_what_is_rewritten_when_and_by_whom(name):
    audit = AUDITS[name]
    assert audit.written and audit.becomes and audit.when and audit.source
    assert len(audit.points) >= 2


@every_rule
def test_a_rule_fires_on_its_audited_expression_and_can_be_turned_off(name):
    off, on = table.programs(AUDITS[name])
    assert name in table.fired(on)
    assert not table.fired(off) & set(NAMES)


@pytest.fixture(scope="module")
def committed() -> dict[str, list[str]]:
    lines = table.FILE.read_text(encoding="utf-8").splitlines()
    rows = [line.strip("| ").replace("\\|", "\0").split(" | ") for line in lines if line.startswith("|")]
    return {row[0]: row for row in rows[2:]}


def test_the_table_has_every_rule_and_no_other(committed):
    assert sorted(committed) == NAMES


@every_rule
def test_a_rule_is_no_loss_at_its_points_and_the_table_says_so(name, committed):
    audit = AUDITS[name]
    measured = table.errors(audit)
    for point, errors in zip(audit.points, measured, strict=True):
        for word, before, after in zip(table.WORDS, errors.before, errors.after, strict=True):
            allowed = VALUE if word == "value" else DERIVATIVE
            assert after <= max(before, allowed), (point, word, before, after)
    row = committed[name]
    assert [cell.replace("\0", "|").strip("`") for cell in row[1:4]] == [
        audit.written,
        audit.becomes,
        audit.when,
    ]
    assert row[7] == audit.source
    for k in range(len(table.WORDS)):
        for said, side in zip(row[4 + k].split(" -> "), ("before", "after"), strict=True):
            now = min(max(getattr(e, side)[k] for e in measured), table.LOST)
            written = table.read_figure(said)
            # Libraries of elementary functions differ a little from machine to machine.
            assert written / 4 - 8 <= now <= 4 * written + 8, (table.WORDS[k], side, said, now)


@every_rule
def test_a_rule_is_worth_its_while_at_one_of_its_points_at_least(name):
    """An error a hundred times smaller, or a finite result where there was none."""
    gained = [
        before > 100 * max(after, 1)
        for errors in table.errors(AUDITS[name])
        for before, after in zip(errors.before, errors.after, strict=True)
    ]
    assert any(gained)
