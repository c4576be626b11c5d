"""Paged slots are those of the mapping that they are made of, and nobody else's."""

from __future__ import annotations

import random

from nsgd.runtime.counters import NO_SLOT
from nsgd.runtime.paged_slots import PAGE_ADDRESSES, PagedSlots

LAST = (1 << 32) - 1


def check(slots: dict[int, int]) -> None:
    """Compare at each address, beside it, and at the ends of its page."""
    paged = PagedSlots(slots)
    for known in slots:
        first = known // PAGE_ADDRESSES * PAGE_ADDRESSES
        for address in (known - 1, known, known + 1, first - 1, first, first + PAGE_ADDRESSES - 1):
            if 0 <= address <= LAST:
                assert paged.find(address) == slots.get(address, NO_SLOT), address
    assert paged.find(0) == slots.get(0, NO_SLOT)
    assert paged.find(LAST) == slots.get(LAST, NO_SLOT)


def test_none() -> None:
    """Nobody has a slot."""
    check({})


def test_the_ends_of_pages() -> None:
    """Also of the first and of the last one, with the largest slot."""
    check({0: 1, PAGE_ADDRESSES - 1: 65535, PAGE_ADDRESSES: 3, LAST: 4, LAST - PAGE_ADDRESSES: 5})


def test_more_pages_than_are_written_out() -> None:
    """Sparse pages agree, and asking them adds nothing to them."""
    draw = random.Random(1)
    slots = {address: draw.randrange(1, 65536) for address in draw.sample(range(LAST), 400)}
    check(slots)
    paged = PagedSlots(slots)
    before = [len(page) for page in paged.pages if isinstance(page, dict)]
    assert before
    for address in range(0, LAST, PAGE_ADDRESSES // 2 + 1):
        paged.find(address)
    assert [len(page) for page in paged.pages if isinstance(page, dict)] == before
