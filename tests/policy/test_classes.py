"""Values are of one class exactly if every map gives them the same result."""

from __future__ import annotations

from bisect import bisect_right

from hypothesis import given
from hypothesis import strategies as st

from nsgd.policy.classes import StepMap, join_classes

SPACE = 40


@st.composite
def step_maps(draw: st.DrawFn) -> StepMap:
    """A map of 0 to 39 with few results, so that they come again."""
    starts = sorted({0, *draw(st.sets(st.integers(1, SPACE - 1), max_size=8))})
    results = draw(st.lists(st.integers(0, 2), min_size=len(starts), max_size=len(starts)))
    return starts, results


def look_up(step_map: StepMap, value: int) -> int:
    """The result for a value."""
    starts, results = step_map
    return results[bisect_right(starts, value) - 1]


@given(st.lists(step_maps(), max_size=5))
def test_classes_are_exactly_what_the_maps_tell_apart(maps: list[StepMap]) -> None:
    """No more classes than needed, and none too few."""
    starts, classes = join_classes(maps)
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    assert len(starts) == len(classes)
    by_class: dict[int, tuple[int, ...]] = {}
    by_results: dict[tuple[int, ...], int] = {}
    for value in range(SPACE):
        number = look_up((starts, classes), value)
        results = tuple(look_up(step_map, value) for step_map in maps)
        assert by_class.setdefault(number, results) == results
        assert by_results.setdefault(results, number) == number


@given(
    st.lists(step_maps(), max_size=3),
    st.lists(st.sets(st.integers(0, SPACE - 1), max_size=8), max_size=5),
)
def test_sets_are_maps_to_whether_a_value_is_inside(
    maps: list[StepMap], sets: list[set[int]]
) -> None:
    """Also where two sets are the same, or ranges of one begin where others end."""
    ranges = [[(value, value) for value in sorted(inside)] for inside in sets]
    as_maps = [
        (list(range(SPACE + 1)), [int(value in inside) for value in range(SPACE + 1)])
        for inside in sets
    ]
    assert join_classes(maps, [*ranges, *ranges]) == join_classes([*maps, *as_maps])
