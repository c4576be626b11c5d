"""Sets of addresses as sorted, disjoint, merged ranges, one list for each IP version."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter

from nsgd.model.address import ADDRESS_BITS, IP_VERSIONS, Address, IPVersion, Prefix

Range = tuple[int, int]  # first and last, both included


def merge_ranges(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """Sort ranges and join those that overlap or touch."""
    merged: list[Range] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def _subtract(minuend: tuple[Range, ...], subtrahend: tuple[Range, ...]) -> tuple[Range, ...]:
    remaining: list[Range] = []
    for first, last in minuend:
        start = first
        for cut_first, cut_last in subtrahend:
            if cut_last < start:
                continue
            if cut_first > last:
                break
            if cut_first > start:
                remaining.append((start, cut_first - 1))
            start = cut_last + 1
        if start <= last:
            remaining.append((start, last))
    return tuple(remaining)


@dataclass(frozen=True, slots=True)
class AddressSet:
    """An immutable set of addresses of both families."""

    ranges_v4: tuple[Range, ...] = ()
    ranges_v6: tuple[Range, ...] = ()

    @classmethod
    def of_prefix(cls, prefix: Prefix) -> AddressSet:
        """All addresses of one prefix."""
        ranges = ((prefix.first, prefix.last),)
        return cls(ranges) if prefix.version == 4 else cls(ranges_v6=ranges)

    @classmethod
    def of_prefixes(cls, prefixes: Iterable[Prefix]) -> AddressSet:
        """All addresses of the prefixes."""
        by_version: dict[IPVersion, list[Range]] = {4: [], 6: []}
        for prefix in prefixes:
            by_version[prefix.version].append((prefix.first, prefix.last))
        return cls(merge_ranges(by_version[4]), merge_ranges(by_version[6]))

    @classmethod
    def of_addresses(cls, addresses: Iterable[Address]) -> AddressSet:
        """Exactly these addresses."""
        by_version: dict[IPVersion, list[Range]] = {4: [], 6: []}
        for address in addresses:
            by_version[address.version].append((address.value, address.value))
        return cls(merge_ranges(by_version[4]), merge_ranges(by_version[6]))

    @classmethod
    def union(cls, sets: Iterable[AddressSet]) -> AddressSet:
        """All addresses of all sets, merged once."""
        parts = tuple(sets)
        return cls(
            merge_ranges(span for part in parts for span in part.ranges_v4),
            merge_ranges(span for part in parts for span in part.ranges_v6),
        )

    def ranges(self, version: IPVersion) -> tuple[Range, ...]:
        """Sorted disjoint ranges of one family."""
        return self.ranges_v4 if version == 4 else self.ranges_v6

    def contains(self, version: IPVersion, value: int) -> bool:
        """Tell whether an address is in the set."""
        ranges = self.ranges(version)
        index = bisect_right(ranges, value, key=itemgetter(0)) - 1
        return index >= 0 and ranges[index][1] >= value

    def __or__(self, other: AddressSet) -> AddressSet:
        return AddressSet(
            merge_ranges(self.ranges_v4 + other.ranges_v4),
            merge_ranges(self.ranges_v6 + other.ranges_v6),
        )

    def __sub__(self, other: AddressSet) -> AddressSet:
        return AddressSet(
            _subtract(self.ranges_v4, other.ranges_v4),
            _subtract(self.ranges_v6, other.ranges_v6),
        )


ALL_ADDRESSES = AddressSet(*(((0, (1 << ADDRESS_BITS[version]) - 1),) for version in IP_VERSIONS))
