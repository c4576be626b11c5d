"""The class of an IPv4 address by two look-ups at fixed places, whatever the policy.

A bisection of some thousand starts touches a dozen places in memory each time, which costs more
than all the rest of a verdict where other work has taken the processor's caches meanwhile.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

_PAGE_BITS = 16
PAGE_ADDRESSES = 1 << _PAGE_BITS
_PAGES = 1 << (32 - _PAGE_BITS)
# Of pages with all their addresses written out: 64 KiB each with up to 256 classes, else 128.
_MOST_DENSE_PAGES = 64


class Page(Protocol):
    """The classes of 65536 addresses."""

    def __getitem__(self, offset: int, /) -> int:
        """The class of the address at *offset* in the page."""


class _BisectedPage:
    """A page whose addresses are not written out."""

    def __init__(self, starts: Sequence[int], classes: Sequence[int], first: int) -> None:
        self._starts = starts
        self._classes = classes
        self._first = first

    def __getitem__(self, offset: int, /) -> int:
        return self._classes[bisect_right(self._starts, self._first + offset) - 1]


class PagedClasses:
    """``top[address >> 16]`` is a class, or from *first_page* on the number of a page.

    The class is then ``pages[top[address >> 16] - first_page][address & 0xFFFF]``.
    """

    def __init__(self, starts: Sequence[int], classes: Sequence[int]) -> None:
        """Cut into pages: *classes[i]* holds from *starts[i]* on, and *starts[0]* is 0."""
        self.first_page = max(classes) + 1
        self.pages: list[Page] = []
        typecode = "B" if self.first_page <= 1 << 8 else "H" if self.first_page <= 1 << 16 else "I"
        self.top = array("I", [0]) * _PAGES
        for start, after, number in zip(starts, (*starts[1:], 1 << 32), classes, strict=True):
            whole, end = -(-start // PAGE_ADDRESSES), after // PAGE_ADDRESSES
            if whole < end:
                self.top[whole:end] = array("I", [number]) * (end - whole)
        # Pages with a start inside; those with the most are worth being written out.
        mixed = Counter(start // PAGE_ADDRESSES for start in starts if start % PAGE_ADDRESSES)
        for rank, (page, _) in enumerate(mixed.most_common()):
            first = page << _PAGE_BITS
            self.top[page] = self.first_page + len(self.pages)
            if rank < _MOST_DENSE_PAGES:
                self.pages.append(_dense(starts, classes, first, typecode))
            else:
                self.pages.append(_BisectedPage(starts, classes, first))

    def find(self, address: int) -> int:
        """The class of an address."""
        found = self.top[address >> _PAGE_BITS]
        if found < self.first_page:
            return found
        return self.pages[found - self.first_page][address & (PAGE_ADDRESSES - 1)]


def _dense(
    starts: Sequence[int], classes: Sequence[int], first: int, typecode: str
) -> Sequence[int]:
    """As narrow as can be: which page is asked next is anyone's guess, and caches are small."""
    written = array(typecode)
    index = bisect_right(starts, first) - 1
    address = first
    while address < first + PAGE_ADDRESSES:
        end = starts[index + 1] if index + 1 < len(starts) else first + PAGE_ADDRESSES
        end = min(end, first + PAGE_ADDRESSES)
        written.extend(array(typecode, [classes[index]]) * (end - address))
        address = end
        index += 1
    return written.tobytes() if typecode == "B" else written
