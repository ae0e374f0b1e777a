"""The shared programs, translated and run by the reference evaluator, against the stored numbers."""

from __future__ import annotations

import pytest
from programs import PROGRAMS, SharedProgram
from reference import reference_outputs
from tolerances import assert_close
from translating import value_of

from symgrad.grad.inside import differentiate


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_the_translated_value_of_a_shared_program_is_the_stored_one(program: SharedProgram) -> None:
    for case, sizes in enumerate(program.sizes):
        options = {"args": program.args, "differentiate": differentiate}
        found = value_of(program.expr, program.inputs(case), dict(sizes), **options)
        assert_close(found, reference_outputs(program, case)["value"][0], "float64")
