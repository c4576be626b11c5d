"""Where two maps of the same values differ; parts that are the same are compared as slices.

A change of one rule leaves most of such a map as it is, and what is made of the map follows.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from nsgd.policy.address_set import Range
from nsgd.policy.classes import StepMap


def steps_between(step_map: StepMap, low: int, high: int) -> Iterator[tuple[int, int, int]]:
    """The steps of a map from a value on up to another, which is not among them.

    Each with its first value, the value behind its last, both cut to these, and its result.
    """
    starts, results = step_map
    begin, end = bisect_right(starts, low) - 1, bisect_left(starts, high)
    inside = starts[begin + 1 : end]
    return zip((low, *inside), (*inside, high), results[begin:end], strict=True)


def differing_ranges(
    before: StepMap, after: StepMap, values: int, most_steps: int
) -> list[Range] | None:
    """The values that have another result in one map than in the other.

    Two maps are compared as slices of lists; where these are not equal both are cut in two at a
    start in the middle, until no start is left inside.

    Args:
        before: Starts, of which the first is 0, and the result from each on.
        after: Another map.
        values: How many there are; what starts behind the last is nobody's.
        most_steps: Into how many parts the starts of both maps may cut what is found.

    Returns:
        Disjoint ranges in ascending order that do not touch each other; None beyond *most_steps*.
    """
    if before is after:
        return []
    (then_starts, then_results), (now_starts, now_results) = before, after
    found: list[Range] = []
    steps = 0
    # From a value up to another, and the places of steps in either map that hold there.
    ends = bisect_left(then_starts, values), bisect_left(now_starts, values)
    parts = [(0, values, 0, ends[0], 0, ends[1])]
    while parts:
        low, high, then, then_end, now, now_end = parts.pop()
        if (
            then_results[then:then_end] == now_results[now:now_end]
            and then_starts[then + 1 : then_end] == now_starts[now + 1 : now_end]
        ):
            continue
        if then_end - then == now_end - now == 1:
            steps += 1
            if steps > most_steps:
                return None
            if found and found[-1][1] == low - 1:
                low, _ = found.pop()
            found.append((low, high - 1))
            continue
        if then_end - then > now_end - now:
            cut = then_starts[(then + then_end) // 2]
        else:
            cut = now_starts[(now + now_end) // 2]
        # The first steps that begin there or later, and those that hold there.
        then_cut = bisect_left(then_starts, cut, then + 1, then_end)
        now_cut = bisect_left(now_starts, cut, now + 1, now_end)
        then_at = bisect_right(then_starts, cut, then, then_end) - 1
        now_at = bisect_right(now_starts, cut, now, now_end) - 1
        # What is pushed last is looked at next.
        parts.append((cut, high, then_at, then_end, now_at, now_end))
        parts.append((low, cut, then, then_cut, now, now_cut))
    return found
