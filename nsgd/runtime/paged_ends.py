"""The class of an IPv4 address and its interface's counter slot, by two look-ups at fixed places.

A bisection of some thousand starts, or a dictionary of some thousand addresses, touches a dozen
places in memory each time. Between two packets other work takes the processor's caches, and then
such places cost more than all the rest of a verdict: here there are two, for both answers together.
"""

from __future__ import annotations

import copy
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from nsgd.policy.address_set import Range
from nsgd.policy.classes import StepMap
from nsgd.policy.differences import steps_between
from nsgd.runtime.counters import MOST_NICS, NO_SLOT

_PAGE_BITS = 16
PAGE_ADDRESSES = 1 << _PAGE_BITS
_PAGES = 1 << (32 - _PAGE_BITS)
# Of pages with all their addresses written out: 64 KiB each with up to 256 classes, else 128, and
# 256 where addresses have slots; 512 then from 65536 classes on.
_MOST_DENSE_PAGES = 64
# With more classes there is room for those that come: an eighth more. With fewer all is soon made
# anew, and what a packet's look-ups are made of should be as small as can be.
_FEW_CLASSES = 4096
_WIDE_CLASSES = 65536  # from here on entries are twice as wide
_NOBODY: Mapping[int, int] = {}

# The slots of addresses from one on up to another, which is not among them; others have NO_SLOT.
SlotsBetween = Callable[[int, int], Mapping[int, int]]


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
        self.first_page = _room_for(max(classes) + 1)
        self.slot_shift = self.first_page.bit_length()
        self.class_mask = (1 << self.slot_shift) - 1
        self.top = array("I", [0]) * _PAGES
        self._mixed: dict[int, Page] = {}  # by the upper bits of its addresses
        self._dense_left = _MOST_DENSE_PAGES
        self._write((starts, classes), 0, _PAGES, slots)
        self.pages = self._numbered()

    def changed(
        self,
        starts: Sequence[int],
        classes: Sequence[int],
        differing: Iterable[Range],
        slots: SlotsBetween,
    ) -> PagedEnds | None:
        """Others, of the same slots, which have all pages in common in which nothing differs.

        These stay as they are: a handler that is at work has them.

        Args:
            starts: As for one that is made anew.
            classes: See *starts*.
            differing: Disjoint ranges of all addresses whose class is another one than here.
            slots: What have a slot, for parts of them.

        Returns:
            None where they have no room for so many classes.
        """
        if not _FEW_CLASSES < max(classes) + 1 <= self.first_page:
            return None
        made = copy.copy(self)
        made.top, made._mixed = self.top[:], dict(self._mixed)
        steps = starts, classes
        own: dict[int, array[int] | None] = {}  # by page, to write into; None: it is all new
        for low, last in differing:
            first, final = low >> _PAGE_BITS, last >> _PAGE_BITS
            if final - first > 1:
                between = first + 1, final
                made._write(steps, *between, slots(*map(_first_address, between)))
            for page in {first, final}:
                begin, end = _first_address(page), _first_address(page + 1)
                if page not in own:
                    own[page] = made._own(steps, page)
                    if own[page] is None:
                        made._write(steps, page, page + 1, slots(begin, end))
                written = own[page]
                if written is not None:
                    part = max(low, begin), min(last + 1, end)
                    made._write_out(written, steps, *part, slots(*part))
        made.pages = made._numbered()
        return made

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

    def _numbered(self) -> list[Page]:
        """All pages, by the numbers that *top* has for them from now on."""
        for number, page in enumerate(self._mixed, self.first_page):
            self.top[page] = number
        none: list[Page] = [b""] * self.first_page
        return [*none, *self._mixed.values()]

    def _write(self, steps: StepMap, first: int, after: int, slots: Mapping[int, int]) -> None:
        """Write the pages from *first* on up to *after*; *slots* are all that are in them."""
        for page in range(first, after) if after - first < len(self._mixed) else [*self._mixed]:
            if first <= page < after and page in self._mixed:
                self._dense_left += not isinstance(self._mixed.pop(page), _BisectedPage)
        low, high = _first_address(first), _first_address(after)
        for start, end, number in steps_between(steps, low, high):
            whole, whole_end = -(-start // PAGE_ADDRESSES), end // PAGE_ADDRESSES
            if whole < whole_end:
                self.top[whole:whole_end] = array("I", [number]) * (whole_end - whole)
        slots_of: dict[int, dict[int, int]] = {}
        for address, slot in slots.items():
            slots_of.setdefault(address >> _PAGE_BITS, {})[address] = slot
        # Pages with a start or a slot inside; those with the most are worth being written out.
        starts = steps[0][bisect_left(steps[0], low) : bisect_left(steps[0], high)]
        mixed = Counter(start // PAGE_ADDRESSES for start in starts if start % PAGE_ADDRESSES)
        mixed.update({page: len(of_page) for page, of_page in slots_of.items()})
        for page, _ in mixed.most_common():
            of_page = slots_of.get(page, _NOBODY)
            if self._dense_left > 0:
                self._dense_left -= 1
                self._mixed[page] = self._dense(steps, page, of_page)
            else:
                self._mixed[page] = _BisectedPage(steps, page, of_page, self.slot_shift)

    def _dense(self, steps: StepMap, page: int, slots: Mapping[int, int]) -> Sequence[int]:
        """As narrow as can be: which page is asked next is anyone's guess, and caches are small."""
        most = MOST_NICS << self.slot_shift if slots else self.first_page
        typecode = next(code for code in "BHIQ" if most <= 1 << 8 * array(code).itemsize)
        written = array(typecode, [0]) * PAGE_ADDRESSES
        self._write_out(written, steps, _first_address(page), _first_address(page + 1), slots)
        return written.tobytes() if typecode == "B" else written

    def _write_out(
        self, page: array[int], steps: StepMap, low: int, high: int, slots: Mapping[int, int]
    ) -> None:
        """Write the entries of a page's addresses from *low* on up to *high*, with their slots."""
        for start, end, number in steps_between(steps, low, high):
            offset, count = start & (PAGE_ADDRESSES - 1), end - start
            page[offset : offset + count] = array(page.typecode, [number]) * count
        for address, slot in slots.items():
            page[address & (PAGE_ADDRESSES - 1)] |= slot << self.slot_shift

    def _own(self, steps: StepMap, page: int) -> array[int] | None:
        """A copy of a page, in its place.

        None where it is not written out, or is perhaps one that has nothing inside any more.
        """
        starts, found = steps[0], self._mixed.get(page)
        behind_first = bisect_right(starts, _first_address(page))
        is_cut = behind_first < bisect_left(starts, _first_address(page + 1))
        if not isinstance(found, array) or not is_cut:
            return None
        own = self._mixed[page] = found[:]
        return own


class _BisectedPage:
    """A page whose addresses are not written out; it has its own part of all steps."""

    __slots__ = "_classes", "_first", "_slots", "_starts"

    def __init__(
        self, steps: StepMap, page: int, slots: Mapping[int, int], slot_shift: int
    ) -> None:
        starts, classes = steps
        self._first = first = _first_address(page)
        begin = bisect_right(starts, first)
        end = bisect_left(starts, _first_address(page + 1), begin)
        self._starts, self._classes = starts[begin:end], classes[begin - 1 : end]
        self._slots = (
            {address - first: slot << slot_shift for address, slot in slots.items()}
            if slots
            else _NOBODY
        )

    def __getitem__(self, offset: int, /) -> int:
        number = self._classes[bisect_right(self._starts, self._first + offset)]
        return number | self._slots.get(offset, NO_SLOT)


def _first_address(page: int) -> int:
    return page << _PAGE_BITS


def _room_for(classes: int) -> int:
    """For how many classes there is to be room."""
    if classes <= _FEW_CLASSES:
        return classes
    room = classes + classes // 8
    return room if classes >= _WIDE_CLASSES else min(room, _WIDE_CLASSES - 1)
