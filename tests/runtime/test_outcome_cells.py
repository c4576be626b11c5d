"""Cells of outcomes: each outcome has one, whoever asks, as long as there are any."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nsgd.runtime import counters as cell
from nsgd.runtime.counters import CELLS_OF_OUTCOME, MOST_OUTCOMES, SharedCounters
from nsgd.runtime.outcome_cells import OutcomeCells


@pytest.fixture
def counters() -> Iterator[SharedCounters]:
    """Zeroed."""
    made = SharedCounters.create(1 << 16)
    yield made
    made.close()


def test_the_same_cell_for_every_worker(counters: SharedCounters) -> None:
    """Also for one that comes later."""
    first = OutcomeCells(counters)
    assert [first.get((3, 2)), first.get((2,)), first.get((3, 2))] == [0, 1, 0]
    second = OutcomeCells(counters)
    assert [second.get((2,)), second.get((4,)), second.get((3, 2))] == [1, 2, 0]
    assert counters.cells[cell.OUTCOMES_USED] == 3


def test_lists_too_long_or_empty(counters: SharedCounters) -> None:
    """Have no cell; the longest that fits has."""
    made = OutcomeCells(counters)
    assert made.get(()) is None
    assert made.get(tuple(range(1, CELLS_OF_OUTCOME + 2))) is None
    assert counters.cells[cell.OUTCOMES_USED] == 0
    longest = tuple(range(1, CELLS_OF_OUTCOME + 1))
    assert made.get(longest) == 0
    assert counters.cells_of_outcome(0) == longest


def test_all_cells_used(counters: SharedCounters) -> None:
    """The last is given, none after it, and those that were given stay what they are."""
    made = OutcomeCells(counters)
    for number in range(MOST_OUTCOMES):
        assert made.get((number + 16,)) == number
    for _ in range(2):
        assert made.get((MOST_OUTCOMES + 16,)) is None
        assert made.get((7, 8)) is None
    assert counters.cells[cell.OUTCOMES_USED] == MOST_OUTCOMES
    assert (made.get((16,)), made.get((MOST_OUTCOMES + 15,))) == (0, MOST_OUTCOMES - 1)
    assert OutcomeCells(counters).get((9,)) is None
    counters.outcomes[MOST_OUTCOMES - 1] = 5
    assert counters.totals()[MOST_OUTCOMES + 15] == 5
    assert not any(counters.denials)  # which lie behind
