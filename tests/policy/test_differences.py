"""What differs between two maps is found, and nothing else."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nsgd.policy.classes import StepMap
from nsgd.policy.differences import differing_ranges, steps_between
from nsgd.policy.refine import refine_steps

VALUES = 40


@st.composite
def step_maps(draw: st.DrawFn) -> StepMap:
    """Few results, so that many are the same; also a start behind the last value."""
    starts = [0, *sorted(draw(st.sets(st.integers(1, VALUES + 1), max_size=12)))]
    size = len(starts)
    return starts, draw(st.lists(st.integers(0, 2), min_size=size, max_size=size))


def result(step_map: StepMap, value: int) -> int:
    """By bisection."""
    starts, results = step_map
    return results[bisect_right(starts, value) - 1]


@given(step_maps(), step_maps())
@example(([0], [1]), ([0], [2]))
@example(([0, 5], [1, 2]), ([0], [1]))
@example(([0, 5], [1, 1]), ([0], [1]))
@example(([0, 10, 20], [0, 1, 2]), ([0, 9, 11, 20], [0, 1, 1, 2]))
def test_all_that_differs_and_nothing_else(before: StepMap, after: StepMap) -> None:
    """Whatever starts where, in ranges as long as can be."""
    found = differing_ranges(before, after, VALUES, 1000)
    assert found is not None
    values = [value for first, last in found for value in range(first, last + 1)]
    assert values == [v for v in range(VALUES) if result(before, v) != result(after, v)]
    assert all(one[1] + 1 < other[0] for one, other in pairwise(found))


@given(step_maps(), st.integers(0, VALUES - 1), st.integers(1, VALUES))
def test_steps_between(step_map: StepMap, low: int, length: int) -> None:
    """Cut to what is asked for, without gaps."""
    high = min(low + length, VALUES)
    steps = list(steps_between(step_map, low, high))
    found = {value: number for first, end, number in steps for value in range(first, end)}
    assert list(found) == list(range(low, high))
    assert found == {value: result(step_map, value) for value in found}
    assert len(steps) == 1 + sum(low < start < high for start in step_map[0])


def test_more_than_is_looked_for() -> None:
    """Steps count, also where they are one range."""
    before, after = ([0, 10, 20, 30], [0, 1, 2, 3]), ([0, 10, 20, 30], [4, 5, 2, 6])
    assert differing_ranges(before, after, VALUES, 3) == [(0, 19), (30, VALUES - 1)]
    assert differing_ranges(before, after, VALUES, 2) is None


class Counted(list[int]):
    """Says how many entries were taken out of it, by itself or in slices."""

    taken = 0

    def __getitem__(self, place):  # type: ignore[no-untyped-def]
        """As of any list."""
        found = super().__getitem__(place)
        self.taken += len(found) if isinstance(place, slice) else 1
        return found


@pytest.mark.parametrize("places", [(7,), (0, 3999), (1, 2000, 3990)])
def test_what_is_the_same_is_not_cut_further(places: tuple[int, ...]) -> None:
    """Few changes, far apart, cost a few times what it takes to look at all."""
    size = 4000
    starts, classes = Counted(range(0, 10 * size, 10)), Counted(range(size))
    ranges = [(starts[at] + 2, starts[at] + 5) for at in places]
    after = refine_steps((list(starts), list(classes)), ranges, 10 * size)
    starts.taken = classes.taken = 0
    assert differing_ranges((starts, classes), after, 10 * size, 100) == ranges
    assert classes.taken + starts.taken < 2 * size * (2 + len(places))
