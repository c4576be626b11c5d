"""Address sets agree with Python's own sets, and keep their ranges sorted, disjoint and merged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsgd.model.address import Address, IPVersion
from nsgd.policy.address_set import ALL_ADDRESSES, AddressSet, Range, merge_ranges
from tests.policy.builders import address_set, prefixes, value


@pytest.mark.parametrize(
    ("ranges", "merged"),
    [
        ([], ()),
        ([(5, 5)], ((5, 5),)),
        ([(0, 3), (5, 9)], ((0, 3), (5, 9))),  # one apart: not merged
        ([(0, 4), (5, 9)], ((0, 9),)),  # touching
        ([(0, 5), (5, 9)], ((0, 9),)),  # overlapping
        ([(0, 9), (3, 4)], ((0, 9),)),  # one inside the other
        ([(5, 9), (0, 4)], ((0, 9),)),  # in the other order
        ([(7, 8), (7, 8)], ((7, 8),)),
    ],
)
def test_merge_ranges(ranges: list[Range], merged: tuple[Range, ...]) -> None:
    """Ranges that overlap or touch become one, whatever their order."""
    assert merge_ranges(ranges) == merged


@pytest.mark.parametrize(
    ("minuend", "subtrahend", "difference"),
    [
        ("10.0.0.0/24", "10.0.0.0/24", ((), ())),
        ("10.0.0.0/24", "10.0.1.0/24", (((value("10.0.0.0"), value("10.0.0.255")),), ())),
        ("10.0.0.0/24", "10.0.0.0/25", (((value("10.0.0.128"), value("10.0.0.255")),), ())),
        ("10.0.0.0/24", "10.0.0.128/25", (((value("10.0.0.0"), value("10.0.0.127")),), ())),
        (
            "10.0.0.0/30",
            "10.0.0.1",
            (((value("10.0.0.0"),) * 2, (value("10.0.0.2"), value("10.0.0.3"))), ()),
        ),
        # Families do not touch one another, though the integers may be equal.
        ("0.0.0.0/0", "::/0", (((0, 2**32 - 1),), ())),
        ("::/127", "0.0.0.0/0", ((), ((0, 1),))),
        ("::/127", "::1", ((), ((0, 0),))),
    ],
)
def test_difference(
    minuend: str, subtrahend: str, difference: tuple[tuple[Range, ...], tuple[Range, ...]]
) -> None:
    """What is left ends just before the cut and starts again just after it."""
    assert address_set(minuend) - address_set(subtrahend) == AddressSet(*difference)


def test_all_addresses() -> None:
    """Both families, from the first address to the last."""
    assert address_set("0.0.0.0/0", "::/0") == ALL_ADDRESSES
    assert address_set("0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1") == ALL_ADDRESSES


@pytest.mark.parametrize("version", [4, 6])
def test_ranges_of_one_family(version: IPVersion) -> None:
    """Each family is asked for by its version."""
    both = AddressSet(((1, 2),), ((3, 4),))
    assert both.ranges(version) == (both.ranges_v4 if version == 4 else both.ranges_v6)


def test_addresses_are_prefixes_of_full_length() -> None:
    """Neighbours merge into one range."""
    texts = ("10.0.0.1", "10.0.0.3", "10.0.0.2", "fd00::1")
    by_address = AddressSet.of_addresses(Address.parse(text) for text in texts)
    assert by_address == AddressSet.of_prefixes(prefixes(*texts))
    assert by_address.ranges_v4 == ((value("10.0.0.1"), value("10.0.0.3")),)


SPACE = 24
RANGES = st.lists(
    st.tuples(st.integers(0, SPACE - 1), st.integers(0, SPACE - 1)).map(
        lambda pair: (min(pair), max(pair))
    ),
    max_size=6,
)
SETS = st.builds(lambda v4, v6: AddressSet(merge_ranges(v4), merge_ranges(v6)), RANGES, RANGES)


def members(addresses: AddressSet) -> set[tuple[IPVersion, int]]:
    """The same set as Python has it."""
    versions: tuple[IPVersion, ...] = (4, 6)
    return {
        (version, number)
        for version in versions
        for first, last in addresses.ranges(version)
        for number in range(first, last + 1)
    }


def is_canonical(addresses: AddressSet) -> bool:
    """Sorted, disjoint, and with a gap between neighbours: equal sets are then equal values."""
    return all(
        merge_ranges(ranges) == ranges for ranges in (addresses.ranges_v4, addresses.ranges_v6)
    )


@given(SETS, SETS)
def test_union_and_difference_agree_with_python(left: AddressSet, right: AddressSet) -> None:
    """The algebra, over a space small enough to count."""
    assert members(left | right) == members(left) | members(right)
    assert members(left - right) == members(left) - members(right)
    assert is_canonical(left | right)
    assert is_canonical(left - right)


@given(SETS, SETS)
def test_what_was_cut_out_can_be_put_back(left: AddressSet, right: AddressSet) -> None:
    """Equal sets are equal values, by whatever path they came about."""
    assert (left - right) | right == left | right


@given(RANGES)
def test_merge_agrees_with_python(ranges: list[Range]) -> None:
    """Merging keeps every number and adds none."""
    merged = AddressSet(merge_ranges(ranges))
    assert {number for _, number in members(merged)} == {
        number for first, last in ranges for number in range(first, last + 1)
    }
