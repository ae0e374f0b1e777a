"""Which roles share a loop, and the order of the loops and of the statements left over.

Roles and statements that are no turns of anything depend on each other. A role that depends on itself is a
loop whose turns run one after the other; roles of one group that depend on each other are one such loop. All
others are loops with turns in any order, which vectorise: of one group, those that pass values only within a
turn share one. If anything else depends on itself, groups were cut out wrongly: a few times they are taken
apart, and groups grow again from what they held; after that the smallest is given up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import field

import numpy as np

from symgrad.loops.reroll.code import CHAIN, Code, Ints
from symgrad.loops.reroll.groups import Groups
from symgrad.records import dataclass

_MOST_ROUNDS, _MOST_REGROWN = 12, 3


@dataclass
class Loop:
    """Roles that run together, each after those it needs within a turn.

    in_order  turns run one after the other, as they read what earlier ones made.
    """

    level: int
    in_order: bool
    roles: list[int] = field(default_factory=list)


@dataclass
class Schedule:
    """Loops in order; before those of each level come the statements of that level, by number.

    level  of every statement that is no turn of a loop (else of its loop).
    """

    loops: list[Loop]
    level: Ints


def schedule(code: Code, groups: Groups) -> Schedule | None:
    """The order of everything; None if no loop is left. Groups and roles that do not work out are dropped."""
    for attempt in range(_MOST_ROUNDS):
        if not groups.live():
            return None
        plan = _Plan(code, groups)
        wrong = plan.in_the_way(all_of_them=attempt < _MOST_REGROWN)
        dropped = wrong or plan.small_loops()
        if not dropped:
            return Schedule(plan.loops, plan.levels())
        groups.drop(dropped)
        if wrong and attempt < _MOST_REGROWN:
            groups.find()
    return None


class _Plan:
    """Units are roles (by number) and, after them, single statements."""

    def __init__(self, code: Code, groups: Groups) -> None:
        self.code, self.groups = code, groups
        self.count = len(groups.roles)
        self.unit = np.where(groups.role >= 0, groups.role, self.count + np.arange(len(code)))
        source, user = code.edges()
        kept = ~code.absorbed[user]
        self.source, self.user = source[kept], user[kept]
        a, b = self.unit[self.source], self.unit[self.user]
        # Within a turn, and not a term of a long sum, which is read in a loop of its own.
        is_close = groups.turn[self.source] == groups.turn[self.user]
        is_close &= (a < self.count) & (b < self.count) & (code.kinds[self.user] != CHAIN)
        self.size = self.count + len(code)
        pairs, which = np.unique(a * self.size + b, return_inverse=True)
        self.close = np.bincount(which, weights=~is_close, minlength=len(pairs)) == 0
        self.a, self.b = np.divmod(pairs, self.size)
        self._find_components()

    # ---- what depends on itself ------------------------------------------------------------

    def _find_components(self) -> None:
        starts = np.searchsorted(self.a, np.arange(self.size + 1)).tolist()
        self.component = np.array(components(starts, self.b.tolist()), dtype=np.int64)
        self.members = np.bincount(self.component)
        self._role_components = set(self.component[: self.count].tolist())
        self.own = {int(a) for a in self.a[self.a == self.b]}  # roles that need themselves

    def in_the_way(self, all_of_them: bool) -> set[int]:
        """Roles to give up, because something of several groups, or of none, depends on itself."""
        together: dict[int, list[int]] = defaultdict(list)
        for u in np.nonzero(self.members[self.component] > 1)[0].tolist():
            together[int(self.component[u])].append(u)
        dropped: set[int] = set()
        for units in together.values():
            roles = [u for u in units if u < self.count]
            of_group: dict[int, list[int]] = defaultdict(list)
            for r in roles:
                of_group[self.groups.roles[r].group].append(r)
            if len(of_group) > 1 or len(roles) < len(units):
                smallest = min(of_group.values(), key=lambda found: sum(map(self._work, found)))
                dropped |= set(roles if all_of_them else smallest)
            elif self._order_within_turns(roles) is None:
                dropped |= set(roles)
        return dropped

    def _work(self, r: int) -> int:
        members = self.groups.roles[r].members
        if self.code.kinds[members[0]] != CHAIN:
            return len(members)
        return sum(len(self.code.terms[s][0]) for s in members.tolist())

    def _order_within_turns(self, roles: list[int]) -> list[int] | None:
        """Roles, each after those it needs in the same turn; None if there is no such order."""
        wanted = np.isin(self.unit[self.source], roles) & np.isin(self.unit[self.user], roles)
        wanted &= self.groups.turn[self.source] == self.groups.turn[self.user]
        pairs = np.unique(self.unit[self.source[wanted]] * self.size + self.unit[self.user[wanted]])
        return _topological(roles, [divmod(int(pair), self.size) for pair in pairs])

    # ---- loops -----------------------------------------------------------------------------

    def small_loops(self) -> set[int]:
        """Roles of loops that are not worth being loops; finds the loops on the way."""
        self._find_levels()
        of_loop: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for r in self.groups.live():
            group, level = self.groups.roles[r].group, int(self.level[r])
            component = -1 if self._is_free(r) else int(self.component[r])
            of_loop[level, group, component].append(r)
        self.loops = []
        small: set[int] = set()
        for (level, _, component), roles in sorted(of_loop.items()):
            if sum(map(self._work, roles)) < self.groups.least_work:
                small |= set(roles)
            order = self._order_within_turns(roles)
            assert order is not None, "roles of one loop do not depend on themselves"
            self.loops.append(Loop(level, component >= 0, order))
        return small

    def _is_free(self, r: int) -> bool:
        """Whether the turns of a role may run in any order."""
        return r not in self.own and self.members[self.component[r]] == 1

    def _find_levels(self) -> None:
        """How many loops lie before each unit, at least; then roles as late as those that use them allow."""
        after: dict[int, list[tuple[int, int]]] = defaultdict(list)
        waiting = np.zeros(len(self.members), dtype=np.int64)
        for a, b, w in zip(*self.component[[self.a, self.b]].tolist(), self._weights(), strict=True):
            if a != b:
                after[a].append((b, w))
                waiting[b] += 1
        level = np.zeros(len(self.members), dtype=np.int64)
        order = [u for u in after if not waiting[u]]
        for u in order:
            for v, w in after[u]:
                level[v] = max(level[v], level[u] + w)
                waiting[v] -= 1
                if not waiting[v] and v in after:
                    order.append(v)
        for u in reversed(order):
            latest = min(level[v] - w for v, w in after[u])
            if any(w == 0 and level[v] == latest for v, w in after[u]) and u in self._role_components:
                level[u] = latest
        self.level = level[self.component]

    def _weights(self) -> list[int]:
        """By dependence: 0 where both can stand in one loop, or stand in order at one level."""
        found = []
        for a, b, close in zip(self.a.tolist(), self.b.tolist(), self.close.tolist(), strict=True):
            if a >= self.count:
                found.append(0)
            elif b >= self.count:
                found.append(1)
            else:
                is_one = close and self.groups.roles[a].group == self.groups.roles[b].group
                is_one = is_one and self._is_free(a) and self._is_free(b)
                found.append(0 if is_one or self.component[a] == self.component[b] else 1)
        return found

    def levels(self) -> Ints:
        """The level of every statement."""
        found: Ints = self.level[self.unit]
        return found


def components(starts: Sequence[int], after: Sequence[int]) -> list[int]:
    """The number of the strongly connected component of each unit; `after[starts[u]:starts[u + 1]]` follow u.

    Source: Tarjan 1972, Depth-first search and linear graph algorithms; without recursion.
    """
    count = len(starts) - 1
    found, low, number = [-1] * count, [0] * count, [0] * count
    place, path, open_units = 0, list[tuple[int, int]](), list[int]()
    for root in range(count):
        if number[root]:
            continue
        path.append((root, starts[root]))
        while path:
            u, at = path.pop()
            if at == starts[u]:
                place += 1
                number[u] = low[u] = place
                open_units.append(u)
            elif found[after[at - 1]] < 0:
                low[u] = min(low[u], low[after[at - 1]])
            while at < starts[u + 1] and number[after[at]]:
                if found[after[at]] < 0:
                    low[u] = min(low[u], number[after[at]])
                at += 1
            if at < starts[u + 1]:
                path += [(u, at + 1), (after[at], starts[after[at]])]
                continue
            if low[u] == number[u]:
                while found[u] < 0:
                    found[open_units.pop()] = u
    return found


def _topological(roles: list[int], pairs: list[tuple[int, int]]) -> list[int] | None:
    """The roles, each after those that a pair puts before it; None if they go round in circles."""
    waiting, after = dict.fromkeys(roles, 0), defaultdict(list)
    for a, b in pairs:
        waiting[b] += 1
        after[a].append(b)
    order = [r for r in roles if not waiting[r]]
    for r in order:
        for b in after[r]:
            waiting[b] -= 1
            if not waiting[b]:
                order.append(b)
    return order if len(order) == len(roles) else None
