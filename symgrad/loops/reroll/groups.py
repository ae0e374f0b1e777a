"""Parts that repeat: which statements are turns of what.

A *role* is a statement of the loop to be, and has one statement of the code for every turn. A *group* is
roles with the same turns. It grows from statements of one colour: to the statements that make one operand of
all of them, and to statements that use all of them in the same way, as long as those are one per turn, and no
turn needs what a later one makes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from symgrad.loops.reroll.code import CHAIN, Code, Ints
from symgrad.records import dataclass

FEWEST_TURNS = 16
_MOST_SEEDS = 6  # tried for one group
_MOST_IN_VAIN = 10  # groups one after the other that hold too little
_SPECIAL = 3  # turns at either end that may be unlike the others


@dataclass
class Role:
    """One statement of a loop: `members[k]` is it in turn k."""

    group: int
    members: Ints


class Groups:
    """Roles by number; `role[s]`, `turn[s]` and `group[s]` of statement s, -1 where it is in no group.

    least_work  how many statements a group, and a loop, has to stand for.
    """

    def __init__(self, code: Code, least_work: int) -> None:
        self.code, self.least_work = code, least_work
        self.roles: list[Role] = []
        self.role = np.full(len(code), -1)
        self.turn = np.full(len(code), -1)
        self.group = np.full(len(code), -1)
        self.tried = np.zeros(len(code), bool)  # statements that groups were grown from
        self._count = 0

    def find(self) -> None:
        """Grow groups, each from the class of statements of one colour that makes the largest."""
        self.tried[:] = False
        self.users = _Users(self.code)
        in_vain = 0
        while in_vain < _MOST_IN_VAIN and (seeds := self._seeds()):
            in_vain = 0 if self._grow_largest(seeds) else in_vain + 1
        for members in self._lone_sums():
            self._grow(members)

    def _seeds(self) -> list[Ints]:
        """The largest class of statements of one colour of a few kinds, whole and without its ends."""
        code = self.code
        wanted = code.rollable[code.kinds] & ~code.absorbed & (self.role < 0) & ~self.tried
        (candidates,) = np.nonzero(wanted)
        _, which, sizes = np.unique(code.colours[candidates], return_inverse=True, return_counts=True)
        order = np.argsort(which, kind="stable")
        ends = np.cumsum(sizes)
        found: list[Ints] = []
        kinds: set[int] = set()
        for c in np.argsort(-sizes, kind="stable").tolist():
            if sizes[c] < FEWEST_TURNS or len(found) == _MOST_SEEDS:
                break
            members = candidates[order[ends[c] - sizes[c] : ends[c]]]
            if (kind := int(code.kinds[members[0]])) not in kinds:
                kinds.add(kind)
                found.append(members)
        inner = [s[_SPECIAL:-_SPECIAL] for s in found if len(s) >= FEWEST_TURNS + 2 * _SPECIAL]
        return [*found, *inner]

    def _grow_largest(self, seeds: list[Ints]) -> int:
        """Keep the largest of the groups that grow from the seeds; returns how many statements it holds."""
        best, most = seeds[0], 0
        for members in seeds if len(seeds) > 1 else []:
            first = len(self.roles)
            work = self._grow(members)
            self.drop(range(first, len(self.roles)))
            del self.roles[first:]
            if work > most:
                best, most = members, work
        self.tried[best] = True
        return self._grow(best)

    def _lone_sums(self) -> Iterator[Ints]:
        """Long sums that are like no others are loops by themselves."""
        for top, (terms, _) in self.code.terms.items():
            if self.role[top] < 0 and len(terms) >= self.least_work:
                yield np.array([top])

    def drop(self, roles: Iterable[int]) -> None:
        """Take roles out of their groups; their statements stay as they are."""
        for r in roles:
            members = self.roles[r].members
            self.role[members] = self.turn[members] = self.group[members] = -1

    def live(self) -> list[int]:
        """The numbers of the roles there still are."""
        return [r for r, role in enumerate(self.roles) if self.role[role.members[0]] == r]

    # ---- growth ----------------------------------------------------------------------------

    def _grow(self, members: Ints) -> int:
        """Make the group that grows from these; returns how many statements it stands for, 0 for none."""
        group, self._count = self._count, self._count + 1
        first = len(self.roles)
        if not self._add(group, members):
            return 0
        at = first
        while at < len(self.roles):
            for found in (*self._operands(at), *self.users.of(self.roles[at].members)):
                self._add(group, found)
            at += 1
        work = sum(len(self.code.terms[s][0]) if self.code.kinds[s] == CHAIN else 1
                   for role in self.roles[first:] for s in role.members.tolist())  # fmt: skip
        if work < self.least_work:
            self.drop(range(first, len(self.roles)))
            return 0
        return work

    def _operands(self, role: int) -> Iterator[Ints]:
        for column in self.code.arguments[self.roles[role].members].T:
            if column[0] >= 0:
                yield column

    def _add(self, group: int, members: Ints) -> bool:
        """Make these statements a role of the group, if they can be one."""
        code = self.code
        kind = code.kinds[members]
        if (kind != kind[0]).any() or not code.rollable[kind[0]] or (self.role[members] >= 0).any():
            return False
        turns = np.arange(len(members))
        self.turn[members], self.group[members] = turns, group
        if (self.turn[members] != turns).any() or not self._is_in_order(group, members, turns):
            self.turn[members] = self.group[members] = -1
            return False
        self.role[members] = len(self.roles)
        self.roles.append(Role(group, members))
        return True

    def _is_in_order(self, group: int, members: Ints, turns: Ints) -> bool:
        """No turn reads what a later one makes."""
        for column in self.code.arguments[members].T:
            inside = (column >= 0) & (self.group[column] == group)
            if (self.turn[column[inside]] > turns[inside]).any():
                return False
        if self.code.kinds[members[0]] == CHAIN:
            for k, top in enumerate(members.tolist()):
                terms = self.code.terms[top][0]
                if (self.turn[terms[self.group[terms] == group]] > k).any():
                    return False
        which, users = self.users.pairs(members)
        inside = self.group[users] == group
        return not (self.turn[users[inside]] < turns[which[inside]]).any()


class _Users:
    """Which statements use a statement, and how."""

    def __init__(self, code: Code) -> None:
        self.code = code
        sources, users, ways = [], [], []
        for place, column in enumerate(code.arguments.T):
            (found,) = np.nonzero(column >= 0)
            sources.append(column[found])
            users.append(found)
            ways.append(np.full(len(found), place))
        for top, (terms, _) in code.terms.items():
            sources.append(terms)
            users.append(np.full(len(terms), top))
            ways.append(np.full(len(terms), -1))
        source, user, way = (np.concatenate(parts) for parts in (sources, users, ways))
        order = np.argsort(source, kind="stable")
        self._user, self._way = user[order], way[order]
        self._start = np.searchsorted(source[order], np.arange(len(code) + 1))

    def _places(self, members: Ints) -> tuple[Ints, Ints]:
        first, last = self._start[members], self._start[members + 1]
        counts = last - first
        which = np.repeat(np.arange(len(members)), counts)
        before = np.cumsum(counts) - counts
        return which, np.arange(len(which)) - before[which] + first[which]

    def pairs(self, members: Ints) -> tuple[Ints, Ints]:
        """(number of the member, statement that uses it), for all uses."""
        which, at = self._places(members)
        return which, self._user[at]

    def of(self, members: Ints) -> Iterator[Ints]:
        """Statements that use each of the members in the same way: one for each, in their order."""
        which, at = self._places(members)
        user, way = self._user[at], self._way[at]
        width = self.code.arguments.shape[1] + 1
        for key in (self.code.kinds[user], self.code.colours[user].view(np.int64)):
            combined = key * width + way + 1
            _, group, counts = np.unique(combined, return_inverse=True, return_counts=True)
            for g in np.nonzero(counts == len(members))[0].tolist():
                mine = group == g
                if way[mine][0] >= 0 and (which[mine] == np.arange(len(members))).all():
                    yield user[mine]
