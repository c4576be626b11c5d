"""Keeps the searches of many views as long as they are not too much together."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nsgd.analysis.table_search import TableSearch
from nsgd.policy.table import CompiledTable
from nsgd.spaces.budget import Budget

MOST_RANGES = 1_600_000  # some three hundred megabytes, measured
_RANGE_STEPS = 1  # what a range costs of a search that is made again


class SearchStore:
    """Searches by whose they are; what does not fit is made again, in steps of the budget.

    Who looks at all views in turn, rule for rule, finds the first ones here: those are kept.
    """

    def __init__(self, budget: Budget, most_ranges: int = MOST_RANGES) -> None:
        self._budget = budget
        self._left = most_ranges
        self._kept: dict[int, TableSearch] = {}
        self._made: set[int] = set()

    def get(
        self, owner: object, tables: Iterable[CompiledTable], make: Callable[[], TableSearch]
    ) -> TableSearch:
        """The search of *owner*, which lives as long as this store.

        Raises:
            OverBudget: It was made before, was not kept, and no steps are left to make it again.
        """
        found = self._kept.get(id(owner))
        if found is not None:
            return found
        # A tag that several rules name is one object.
        rules = (rule for table in tables for rule in table.rules)
        sides = {id(side): side for rule in rules for side in (rule.source, rule.destination)}
        ranges = sum(len(side.ranges(4)) + len(side.ranges(6)) for side in sides.values())
        if id(owner) in self._made:
            self._budget.spend(_RANGE_STEPS * ranges)
        self._made.add(id(owner))
        found = make()
        if ranges <= self._left:
            self._left -= ranges
            self._kept[id(owner)] = found
        return found
