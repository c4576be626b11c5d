"""Finds prefixes that overlap, in one sorted sweep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from nsgd.model.address import Prefix

Owner = TypeVar("Owner")


def find_overlaps(
    entries: Sequence[tuple[Prefix, Owner]],
) -> Iterator[tuple[tuple[Prefix, Owner], tuple[Prefix, Owner]]]:
    """Pairs of a prefix and one inside it: at least one for each entry that is inside another.

    Two prefixes are either apart or one covers the other, so sorted by first address each needs
    comparing only with the last one that nothing before it covers.
    """
    if len(entries) < 2:
        return
    ordered = sorted(
        entries, key=lambda entry: (entry[0].version, entry[0].network, entry[0].length)
    )
    outer = ordered[0]
    for entry in ordered[1:]:
        if outer[0].covers(entry[0]):
            yield outer, entry
        else:
            outer = entry
