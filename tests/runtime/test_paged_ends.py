"""Paged ends find the class that a bisection finds, at every boundary, and the slots given."""

from __future__ import annotations

import random
from array import array
from bisect import bisect_right
from collections.abc import Mapping

import pytest

from nsgd.runtime.counters import MOST_NICS, NO_SLOT
from nsgd.runtime.paged_ends import PAGE_ADDRESSES, PagedEnds

LAST = (1 << 32) - 1
NOBODY: Mapping[int, int] = {}


def check(starts: list[int], classes: list[int], slots: Mapping[int, int]) -> PagedEnds:
    """Compare at each start and each slot's address, beside it, and at the ends of its page."""
    paged = PagedEnds(starts, classes, slots)
    for start in (*starts, *slots, LAST):
        first = start // PAGE_ADDRESSES * PAGE_ADDRESSES
        for address in (start - 1, start, start + 1, first - 1, first, first + PAGE_ADDRESSES - 1):
            if 0 <= address <= LAST:
                expected = classes[bisect_right(starts, address) - 1]
                assert paged.find_class(address) == expected, address
                assert paged.find_slot(address) == slots.get(address, NO_SLOT), address
                # As the packet handler looks.
                entry = paged.top[address >> 16]
                if entry >= paged.first_page:
                    entry = paged.pages[entry][address & 0xFFFF]
                assert entry & paged.class_mask == expected
                assert entry >> paged.slot_shift == slots.get(address, NO_SLOT)
    return paged


def test_one_class() -> None:
    """Nothing tells addresses apart."""
    check([0], [0], NOBODY)


def test_slots_where_nothing_tells_addresses_apart() -> None:
    """Also of the first and of the last address, with the largest slot."""
    ends = {0: 1, PAGE_ADDRESSES - 1: MOST_NICS - 1, PAGE_ADDRESSES: 3, LAST: 4}
    check([0], [0], {**ends, LAST - PAGE_ADDRESSES: 5})


@pytest.mark.parametrize("slots", [NOBODY, {PAGE_ADDRESSES: 7, 3 * PAGE_ADDRESSES - 1: 8}])
def test_boundaries_at_pages(slots: Mapping[int, int]) -> None:
    """A start at a page's first and last address."""
    starts = [0, PAGE_ADDRESSES, 3 * PAGE_ADDRESSES - 1, 3 * PAGE_ADDRESSES, LAST]
    check(starts, [0, 1, 2, 0, 3], slots)


def test_more_pages_than_are_written_out() -> None:
    """Sparse pages are bisected, and agree."""
    draw = random.Random(1)
    starts = [0, *sorted(draw.sample(range(1, LAST), 400))]
    slots = {address: draw.randrange(1, MOST_NICS) for address in draw.sample(range(LAST), 400)}
    slots |= {start: draw.randrange(1, MOST_NICS) for start in starts[:200]}
    check(starts, [draw.randrange(90) for _ in starts], slots)


@pytest.mark.parametrize(
    ("classes", "width"), [(255, 4), (3_000, 4), (65_535, 4), (65_536, 8), (65_537, 8)]
)
def test_dense_pages(classes: int, width: int) -> None:
    """Many addresses of one page, each of its own class; the largest classes and slots."""
    first = 0x0A010000
    count = classes - 1
    starts = [0, *range(first + 5, first + 5 + count)]
    last = min(first + 4 + count, first + PAGE_ADDRESSES - 1)
    slots = {first + 5: MOST_NICS - 1, last: MOST_NICS - 1, first: 2}
    paged = PagedEnds(starts, list(range(classes)), slots)
    page = paged.pages[paged.top[first >> 16]]
    assert isinstance(page, array)
    assert page.itemsize == width
    for address in (first, first + 4, *range(first + 5, last, 97), last - 1, last):
        assert paged.find_class(address) == max(0, address - first - 4)
        assert paged.find_slot(address) == slots.get(address, NO_SLOT)


def test_pages_are_narrow() -> None:
    """What is not asked of a page takes no room in it."""
    paged = check([0, 5, 1 << 20, (1 << 20) + 9], [0, 1, 0, 1], {5: 3})
    with_slots, without = paged.pages[paged.first_page :]
    assert isinstance(without, bytes)
    assert not isinstance(with_slots, bytes)
