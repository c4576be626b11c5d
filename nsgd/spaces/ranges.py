"""Sets of values as sorted, disjoint, merged ranges."""

from __future__ import annotations

from collections.abc import Iterable

from nsgd.policy.address_set import Range, merge_ranges

Ranges = tuple[Range, ...]


def union(sets: Iterable[Ranges]) -> Ranges:
    """The values of all sets."""
    return merge_ranges(span for each in sets for span in each)


def common(one: Ranges, other: Ranges) -> Ranges:
    """The values of both sets."""
    found: list[Range] = []
    index = 0
    for first, last in one:
        while index < len(other) and other[index][1] < first:
            index += 1
        at = index
        while at < len(other) and other[at][0] <= last:
            found.append((max(first, other[at][0]), min(last, other[at][1])))
            at += 1
    return tuple(found)


def minus(one: Ranges, other: Ranges) -> Ranges:
    """The values of one set that are not in the other."""
    top = max((last for _, last in one), default=-1)
    return common(one, complement(other, top))


def complement(ranges: Ranges, top: int) -> Ranges:
    """The values from 0 to *top* that are not in the set."""
    found: list[Range] = []
    start = 0
    for first, last in ranges:
        if first > top:
            break
        if first > start:
            found.append((start, first - 1))
        start = last + 1
    if start <= top:
        found.append((start, top))
    return tuple(found)


def size(ranges: Ranges) -> int:
    """How many values there are."""
    return sum(last - first + 1 for first, last in ranges)
