"""Classes of values are exactly what the rules tell apart, and sets of them are exact."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nsgd.policy.address_set import merge_ranges
from nsgd.spaces.axis import Axis, bits_of
from nsgd.spaces.ranges import Ranges, common, complement, minus, size, union

TOP = 30
SPANS = st.tuples(st.integers(0, TOP), st.integers(0, TOP)).map(lambda s: (min(s), max(s)))
RANGES = st.lists(SPANS, max_size=4).map(merge_ranges)


def values(ranges: Ranges) -> set[int]:
    return {value for first, last in ranges for value in range(first, last + 1)}


@given(RANGES, RANGES)
def test_sets_of_ranges(one: Ranges, other: Ranges) -> None:
    """As sets of values, and merged."""
    for made, expected in (
        (union([one, other]), values(one) | values(other)),
        (common(one, other), values(one) & values(other)),
        (minus(one, other), values(one) - values(other)),
        (complement(one, TOP), set(range(TOP + 1)) - values(one)),
    ):
        assert values(made) == expected
        assert made == merge_ranges(made)
        assert size(made) == len(expected)


@given(st.lists(RANGES, max_size=12), RANGES, RANGES)
def test_classes(ranges: list[Ranges], limit: Ranges, apart: Ranges) -> None:
    """Every value has the rules that match it; a limit leaves some of them only."""
    left = 0b101101
    axis = Axis(ranges, TOP, [(limit, left)], [apart])
    for value in range(TOP + 1):
        rules = sum(1 << rule for rule, each in enumerate(ranges) if value in values(each))
        if value in values(limit):
            rules &= left
        number = axis.class_of(value)
        assert axis.rules[number] == rules
        assert all(
            bool(axis.of_rule(rule) >> number & 1) == bool(rules >> rule & 1)
            for rule in range(len(ranges))
        )
    assert values(axis.ranges(axis.of_ranges(apart))) == values(apart)
    assert values(axis.ranges(axis.all)) == set(range(TOP + 1))


@given(st.lists(RANGES, min_size=1, max_size=14), st.integers(0), st.integers(0))
def test_split(ranges: list[Ranges], some_rules: int, some_classes: int) -> None:
    """The parts are disjoint, are all, and each has the rules that match it; no two the same."""
    axis = Axis(ranges, TOP)
    inside = some_classes & axis.all or axis.all
    rules = some_rules & (1 << len(ranges)) - 1
    some, every = axis.spanned(inside)
    assert every == every & some
    parts = axis.split(rules, inside, every)
    seen = 0
    for classes, left in parts:
        assert classes
        assert not classes & seen
        seen |= classes
        assert all(axis.rules[number] & rules == left for number in bits_of(classes))
    assert seen == inside
    assert len({left for _, left in parts}) == len(parts)
