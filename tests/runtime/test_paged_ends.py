"""Paged ends find the class that a bisection finds, at every boundary, and the slots given.

Those that are made of others are as those that are made anew.
"""

from __future__ import annotations

import random
from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsgd.policy.classes import StepMap
from nsgd.policy.differences import differing_ranges
from nsgd.policy.refine import refine_steps
from nsgd.runtime import paged_ends
from nsgd.runtime.counters import MOST_NICS, NO_SLOT
from nsgd.runtime.paged_ends import PAGE_ADDRESSES, PagedEnds

LAST = (1 << 32) - 1
NOBODY: Mapping[int, int] = {}


def check(
    starts: Sequence[int],
    classes: Sequence[int],
    slots: Mapping[int, int],
    paged: PagedEnds | None = None,
    also: Sequence[int] = (),
) -> PagedEnds:
    """Compare at each start and each slot's address, beside it, and at the ends of its page."""
    paged = paged or PagedEnds(starts, classes, slots)
    for start in (*starts, *slots, LAST, *also):
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


ADDRESSES = LAST + 1
# Pages at both ends, alone and beside each other, and addresses at their ends.
PAGES = (0, 1, 2, 0x0A01, 0x0A02, 0x0A03, 0x8000, 0xFFFE, 0xFFFF)
OFFSETS = (0, 1, 2, 300, PAGE_ADDRESSES - 2, PAGE_ADDRESSES - 1)
addresses = st.builds(
    lambda page, offset: page * PAGE_ADDRESSES + offset,
    st.sampled_from(PAGES),
    st.sampled_from(OFFSETS),
)


@st.composite
def ranges_of(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Disjoint ones, that do not touch each other."""
    ends = sorted(draw(st.sets(addresses, min_size=2, max_size=8)))
    if len(ends) % 2:
        ends.pop()
    pairs = list(zip(ends[::2], ends[1::2], strict=True))
    return [pair for at, pair in enumerate(pairs) if not at or pairs[at - 1][1] + 1 < pair[0]]


@st.composite
def maps(draw: st.DrawFn) -> StepMap:
    """Classes made anew, with any numbers, and perhaps one behind all addresses."""
    behind = addresses.filter(bool) | st.just(ADDRESSES)
    steps = draw(st.dictionaries(behind, st.integers(0, 19), max_size=14)) | {0: 1}
    starts = sorted(steps)
    # No class begins where it is already.
    starts = [0, *(this for last, this in pairwise(starts) if steps[last] != steps[this])]
    return starts, [steps[start] for start in starts]


def slots_between(slots: Mapping[int, int]) -> paged_ends.SlotsBetween:
    """As PagedEnds.changed() asks for them."""
    return lambda low, high: {each: slots[each] for each in sorted(slots) if low <= each < high}


def written_out(paged: PagedEnds) -> list[paged_ends.Page]:
    """The pages that are not bisected."""
    return [page for page in paged.pages[paged.first_page :] if isinstance(page, (bytes, array))]


def page_at(paged: PagedEnds, number: int) -> paged_ends.Page | None:
    """The page of addresses with these upper bits, if it is not all alike."""
    found = paged.top[number]
    return None if found < paged.first_page else paged.pages[found]


def changed(
    before: PagedEnds, known: StepMap, steps: StepMap, slots: Mapping[int, int]
) -> PagedEnds | None:
    """After others."""
    differing = differing_ranges(known, steps, ADDRESSES, 10_000)
    assert differing is not None
    return before.changed(*steps, differing, slots_between(slots))


@settings(max_examples=200, deadline=None)
@given(
    maps(),
    st.lists(maps() | ranges_of(), min_size=1, max_size=10),
    st.dictionaries(addresses, st.integers(1, MOST_NICS - 1), max_size=6),
    st.lists(st.integers(0, LAST), max_size=3),
    st.sampled_from((0, 2, 64)),
    st.sampled_from((8, 300)),
)
def test_one_after_another(
    first: StepMap,
    changes: list[StepMap | list[tuple[int, int]]],
    slots: dict[int, int],
    also: list[int],
    most_dense: int,
    room: int,
) -> None:
    """As if made anew; pages without a difference are the same, and none is changed in place."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(paged_ends, "_FEW_CLASSES", 3)
        monkeypatch.setattr(paged_ends, "_room_for", lambda classes: classes + room)
        monkeypatch.setattr(paged_ends, "_MOST_DENSE_PAGES", most_dense)
        known, before = first, PagedEnds(*first, slots)
        for change in changes:
            steps = change if isinstance(change, tuple) else refine_steps(known, change, ADDRESSES)
            also += steps[0]
            made = changed(before, known, steps, slots)
            for same in (before, changed(before, known, known, slots)):
                check(*known, slots, same, also)
            classes = max(steps[1]) + 1
            assert (made is None) is not (3 < classes <= before.first_page)
            if made is not None:
                check(*steps, slots, made, also)
                differing = differing_ranges(known, steps, ADDRESSES, 10_000) or []
                anew = PagedEnds(*steps, slots)
                for page in {near for each in PAGES for near in (each, each + 1) if near < 65536}:
                    now, low = page_at(made, page), page * PAGE_ADDRESSES
                    assert (now is None) is (page_at(anew, page) is None)
                    high = low + PAGE_ADDRESSES - 1
                    if not any(begin <= high and end >= low for begin, end in differing):
                        assert now is page_at(before, page)
                assert len(written_out(made)) <= most_dense
                assert len(made.pages) == len(anew.pages) - anew.first_page + made.first_page
            known, before = steps, made or PagedEnds(*steps, slots)


def test_what_is_written_out_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is not any more, for another page; a page that was bisected stays so otherwise."""
    monkeypatch.setattr(paged_ends, "_FEW_CLASSES", 0)
    monkeypatch.setattr(paged_ends, "_MOST_DENSE_PAGES", 1)
    size = PAGE_ADDRESSES
    first: StepMap = [0, 5, 7, size, 2 * size + 5], [0, 1, 2, 9, 3]
    second: StepMap = [0, size, 2 * size + 5], [0, 9, 3]
    third: StepMap = [0, size, 2 * size + 5, 2 * size + 9, 3 * size], [0, 9, 3, 4, 3]
    fourth: StepMap = [*third[0], 3 * size + 5], [*third[1], 5]
    paged = PagedEnds(*first, NOBODY)
    found = []
    for known, steps in pairwise((first, second, third, fourth)):
        dense = [isinstance(page_at(paged, number), (bytes, array)) for number in (0, 2, 3)]
        found.append(dense)
        made = changed(paged, known, steps, NOBODY)
        assert made is not None
        paged = check(*steps, NOBODY, made)
    assert found == [[True, False, False], [False, False, False], [False, True, False]]
    assert isinstance(page_at(paged, 2), (bytes, array))
    assert page_at(paged, 3) is not None
    assert len(written_out(paged)) == 1


def test_a_series_with_many_classes() -> None:
    """Until there is room for no more."""
    draw = random.Random(2)
    count = 4500
    first = 0x0A010000
    starts = [0, *sorted(draw.sample(range(first, first + 5 * PAGE_ADDRESSES), count - 1))]
    slots = {start: draw.randrange(1, MOST_NICS) for start in starts[1::2]}
    steps: StepMap = starts, list(range(count))
    paged = PagedEnds(*steps, slots)
    assert paged.first_page == count + count // 8
    series = 0
    while True:
        low = draw.choice((first + draw.randrange(6 * PAGE_ADDRESSES), draw.randrange(LAST - 9)))
        many = low, min(low + draw.choice((7, 3000, 70_000)), LAST)
        known, steps = steps, refine_steps(steps, [many], ADDRESSES)
        made = changed(paged, known, steps, slots)
        if made is None:
            break
        series += 1
        assert made.first_page == paged.first_page
        pages = {id(page) for page in written_out(paged)}
        assert sum(id(page) not in pages for page in written_out(made)) <= 3
        paged = made
    check(*steps, slots, PagedEnds(*steps, slots))
    check(*known, slots, paged)
    assert series > 10
    assert max(steps[1]) == paged.first_page


@pytest.mark.parametrize(
    ("classes", "room"),
    [(4096, 4096), (4097, 4609), (60_000, 65_535), (65_535, 65_535), (65_536, 73_728)],
)
def test_room_for_classes_to_come(classes: int, room: int) -> None:
    """Where they are many, and as long as it makes no entry wider."""
    paged = PagedEnds(list(range(classes)), list(range(classes)), NOBODY)
    assert paged.first_page == room
    assert paged.pages[:room] == [b""] * room
