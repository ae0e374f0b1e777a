"""Long straight-line code with its repeated parts as loops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from symgrad.loops.nest import Routine
from symgrad.loops.reroll.code import is_straight, read, share_repeated
from symgrad.loops.reroll.emit import Emission
from symgrad.loops.reroll.groups import FEWEST_TURNS, Groups
from symgrad.loops.reroll.layout import Layout
from symgrad.loops.reroll.schedule import schedule
from symgrad.loops.reroll.sums import collect_sums, collect_sums_left
from symgrad.loops.walk import walk

LEAST = 2_000  # statements; shorter code is compiled in no time
LEAST_WORK = 150  # statements that a loop stands for; compiling a loop takes as long as some of them
_MOST_LEFT = 2  # times as many statements have to be there before as after


def to_reroll(routine: Routine, least: int = LEAST) -> Routine:
    """The routine, marked if `rerolled` is to be asked once there is time to search.

    Long straight-line code is not contracted from here on: its numbers do not depend on what becomes loops.
    """
    if len(routine.body) <= least or not is_straight(routine):
        return routine
    return replace(routine, contracts=False, repeats=True)


def rerolled(routine: Routine, least: int = LEAST, least_work: int = LEAST_WORK) -> Routine:
    """The routine with loops for what repeats; itself where it has loops already or is short.

    It is not contracted from here on (`to_reroll`).
    """
    if len(routine.body) <= least:
        return routine
    code = read(routine)
    if code is None:
        return routine
    routine = replace(routine, contracts=False, repeats=False)
    collect_sums(code)
    if share_repeated(code, FEWEST_TURNS) * _MOST_LEFT < 1:
        return routine
    groups = Groups(code, least_work)
    groups.find()
    if collect_sums_left(code, groups.role < 0):
        groups.find()
    held = np.count_nonzero(groups.role >= 0) + np.count_nonzero(code.absorbed)
    plan = schedule(code, groups) if held * _MOST_LEFT > np.count_nonzero(~code.is_leaf) else None
    if plan is None:
        return routine
    order = {b.name: k for k, b in enumerate(routine.buffers)}
    made = Emission(routine, code, Layout(code, groups, plan, order)).run()
    after = sum(1 for _ in walk(made.body))
    if after * _MOST_LEFT > len(routine.body):
        return routine
    note = f"{len(routine.body):,} statements, of which repeated parts are loops: {after:,}"
    return replace(made, notes=(*routine.notes, note), straight=routine)
