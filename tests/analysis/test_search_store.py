"""Searches are kept as long as there is room, and what is made again costs steps."""

from __future__ import annotations

import pytest

from nsgd.analysis.search_store import SearchStore
from nsgd.analysis.table_search import TableSearch
from nsgd.policy.table import CompiledTable, compile_table
from nsgd.spaces.budget import Budget, OverBudget
from tests.analysis.drawn import tiny_model
from tests.analysis.test_lint_brute import Brute
from tests.policy.builders import INBOUND


def tables() -> tuple[CompiledTable, ...]:
    found = Brute(tiny_model("store-1")).tables["g1", INBOUND]
    return (found, compile_table("other", INBOUND, found.rules))


def test_the_first_ones_are_kept() -> None:
    """The second does not fit, is made each time, and at last is over the budget."""
    first, second = tables()
    budget = Budget(1_000)
    sides = {id(side): side for rule in first.rules for side in (rule.source, rule.destination)}
    ranges = sum(len(side.ranges(version)) for side in sides.values() for version in (4, 6))
    store = SearchStore(budget, most_ranges=ranges)
    made: list[CompiledTable] = []

    def get(table: CompiledTable) -> TableSearch:
        def make() -> TableSearch:
            made.append(table)
            return TableSearch((table,), INBOUND, {4: (), 6: ()}, budget)

        return store.get(table, (table,), make)

    with budget.question():
        assert get(first) is get(first)
        assert get(second) is not get(second)
    assert [table is first for table in made] == [True, False, False]
    assert budget.spent == ranges
    with budget.question():
        for _ in range(1_000 // ranges):
            get(second)
        with pytest.raises(OverBudget):
            get(second)
    with budget.question():
        assert get(first) is get(first)
