"""The class of an IPv4 address and its interface's counter slot, by two look-ups at fixed places.

A bisection of some thousand starts, or a dictionary of some thousand addresses, touches a dozen
places in memory each time. Between two packets other work takes the processor's caches, and then
such places cost more than all the rest of a verdict: here there are two, for both answers together.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

from nsgd.runtime.counters import MOST_NICS, NO_SLOT

_PAGE_BITS = 16
PAGE_ADDRESSES = 1 << _PAGE_BITS
_PAGES = 1 << (32 - _PAGE_BITS)
# Of pages with all their addresses written out: 64 KiB each with up to 256 classes, else 128, and
# 256 where addresses have slots; 512 then from 65536 classes on.
_MOST_DENSE_PAGES = 64


class Page(Protocol):
    """The entries of 65536 addresses."""

    def __getitem__(self, offset: int, /) -> int:
        """The entry of the address at *offset* in the page."""


class PagedEnds:
    """``top[address >> 16]`` is an entry, or from *first_page* on the number of a page.

    The entry is then ``pages[top[address >> 16]][address & 0xFFFF]``. Its class is
    ``entry & class_mask``, its slot ``entry >> slot_shift``.
    """

    def __init__(
        self, starts: Sequence[int], classes: Sequence[int], slots: Mapping[int, int]
    ) -> None:
        """Cut into pages.

        Args:
            starts: ``classes[i]`` holds from ``starts[i]`` on, and ``starts[0]`` is 0.
            classes: See *starts*.
            slots: By address; others have NO_SLOT.
        """
        self.first_page = max(classes) + 1
        self.slot_shift = self.first_page.bit_length()
        self.class_mask = (1 << self.slot_shift) - 1
        self.pages: list[Page] = [b""] * self.first_page
        self.top = array("I", [0]) * _PAGES
        for start, after, number in zip(starts, (*starts[1:], 1 << 32), classes, strict=True):
            whole, end = -(-start // PAGE_ADDRESSES), after // PAGE_ADDRESSES
            if whole < end:
                self.top[whole:end] = array("I", [number]) * (end - whole)
        slots_of: dict[int, dict[int, int]] = {}
        for address, slot in slots.items():
            of_page = slots_of.setdefault(address >> _PAGE_BITS, {})
            of_page[address & (PAGE_ADDRESSES - 1)] = slot << self.slot_shift
        # Pages with a start or a slot inside; those with the most are worth being written out.
        mixed = Counter(start // PAGE_ADDRESSES for start in starts if start % PAGE_ADDRESSES)
        mixed.update({page: len(of_page) for page, of_page in slots_of.items()})
        for rank, (page, _) in enumerate(mixed.most_common()):
            self.top[page] = len(self.pages)
            sparse = _BisectedPage(starts, classes, page << _PAGE_BITS, slots_of.get(page, {}))
            self.pages.append(self._dense(sparse) if rank < _MOST_DENSE_PAGES else sparse)

    def find_class(self, address: int) -> int:
        """The class of an address."""
        return self._entry(address) & self.class_mask

    def find_slot(self, address: int) -> int:
        """The slot of an address, or NO_SLOT."""
        return self._entry(address) >> self.slot_shift

    def _entry(self, address: int) -> int:
        found = self.top[address >> _PAGE_BITS]
        if found < self.first_page:
            return found
        return self.pages[found][address & (PAGE_ADDRESSES - 1)]

    def _dense(self, page: _BisectedPage) -> Sequence[int]:
        """As narrow as can be: which page is asked next is anyone's guess, and caches are small."""
        most = MOST_NICS << self.slot_shift if page.slots else self.first_page
        typecode = next(code for code in "BHIQ" if most <= 1 << 8 * array(code).itemsize)
        written = array(typecode)
        for number, count in page.runs():
            written.extend(array(typecode, [number]) * count)
        for offset, slot in page.slots.items():
            written[offset] |= slot
        return written.tobytes() if typecode == "B" else written


class _BisectedPage:
    """A page whose addresses are not written out."""

    def __init__(
        self, starts: Sequence[int], classes: Sequence[int], first: int, slots: Mapping[int, int]
    ) -> None:
        self._starts = starts
        self._classes = classes
        self._first = first
        self.slots = slots  # by offset, where an entry has them

    def __getitem__(self, offset: int, /) -> int:
        number = self._classes[bisect_right(self._starts, self._first + offset) - 1]
        return number | self.slots.get(offset, NO_SLOT)

    def runs(self) -> list[tuple[int, int]]:
        """Classes and how many addresses in a row have them."""
        made = []
        index = bisect_right(self._starts, self._first) - 1
        address, after = self._first, self._first + PAGE_ADDRESSES
        while address < after:
            end = self._starts[index + 1] if index + 1 < len(self._starts) else after
            end = min(end, after)
            made.append((self._classes[index], end - address))
            address = end
            index += 1
        return made
