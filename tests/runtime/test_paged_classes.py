"""Paged classes find what a bisection finds, at every boundary."""

from __future__ import annotations

import random
from bisect import bisect_right

from nsgd.runtime.paged_classes import PAGE_ADDRESSES, PagedClasses

LAST = (1 << 32) - 1


def check(starts: list[int], classes: list[int]) -> None:
    """Compare at each start, beside it, and at the ends of its page."""
    paged = PagedClasses(starts, classes)
    for start in starts:
        first = start // PAGE_ADDRESSES * PAGE_ADDRESSES
        for address in (start - 1, start, start + 1, first - 1, first, first + PAGE_ADDRESSES - 1):
            if 0 <= address <= LAST:
                assert paged.find(address) == classes[bisect_right(starts, address) - 1], address
    assert paged.find(LAST) == classes[-1]


def test_one_class() -> None:
    """Nothing tells addresses apart."""
    check([0], [0])


def test_boundaries_at_pages() -> None:
    """A start at a page's first and last address."""
    check([0, PAGE_ADDRESSES, 3 * PAGE_ADDRESSES - 1, 3 * PAGE_ADDRESSES, LAST], [0, 1, 2, 0, 3])


def test_more_pages_than_are_written_out() -> None:
    """Sparse pages are bisected, and agree."""
    draw = random.Random(1)
    starts = [0, *sorted(draw.sample(range(1, LAST), 400))]
    check(starts, [draw.randrange(90) for _ in starts])


def test_dense_pages() -> None:
    """Many addresses of one page, each of its own class."""
    first = 0x0A010000
    starts = [0, *range(first + 5, first + 3000)]
    check(starts, list(range(len(starts))))
