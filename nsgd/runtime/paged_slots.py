"""The counter slot of an IPv4 address by two look-ups at fixed places, whoever has one.

A dictionary of 10 000 addresses is a megabyte of entries and numbers, which one packet after the
other asks at other places. Here it is two bytes an address, neighbours side by side.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from nsgd.runtime.counters import NO_SLOT

_PAGE_BITS = 16
PAGE_ADDRESSES = 1 << _PAGE_BITS
_PAGES = 1 << (32 - _PAGE_BITS)
# Of pages with all their addresses written out, those with the most slots: 128 KiB each, of which
# the system gives only what is written to.
_MOST_DENSE_PAGES = 64


class SlotPage(Protocol):
    """The slots of 65536 addresses, NO_SLOT for those that have none."""

    def __getitem__(self, offset: int, /) -> int:
        """The slot of the address at *offset* in the page."""


class _SparsePage(dict[int, int]):
    """A page whose addresses are not written out."""

    def __missing__(self, offset: int) -> int:
        return NO_SLOT


class PagedSlots:
    """``pages[top[address >> 16]][address & 0xFFFF]`` is the slot of an address, or NO_SLOT."""

    def __init__(self, slots: Mapping[int, int]) -> None:
        """*slots* by address; none is above 65535."""
        self.top = array("H", [0]) * _PAGES
        self.pages: list[SlotPage] = [bytes(PAGE_ADDRESSES)]
        by_page: dict[int, memoryview[int] | _SparsePage] = {}
        counts = Counter(address >> _PAGE_BITS for address in slots)
        for rank, (page, _) in enumerate(counts.most_common()):
            self.top[page] = len(self.pages)
            made = (
                memoryview(bytearray(2 * PAGE_ADDRESSES)).cast("H")
                if rank < _MOST_DENSE_PAGES
                else _SparsePage()
            )
            by_page[page] = made
            self.pages.append(made)
        for address, slot in slots.items():
            by_page[address >> _PAGE_BITS][address & (PAGE_ADDRESSES - 1)] = slot

    def find(self, address: int) -> int:
        """The slot of an address."""
        return self.pages[self.top[address >> _PAGE_BITS]][address & (PAGE_ADDRESSES - 1)]
