"""Maps the values of one field to the rules that match them."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nsgd.policy.address_set import Range


@dataclass(frozen=True, slots=True)
class Classifier:
    """Maps a value to the rules that match it.

    ``rule_sets[i]`` holds for values from ``starts[i]`` up to the next start; ``starts[0]`` is 0.
    """

    starts: list[int]
    rule_sets: list[int]

    @classmethod
    def of_ranges(cls, ranges_by_rule: Iterable[Sequence[Range]]) -> Classifier:
        """Build from each rule's sorted disjoint ranges, rules in priority order."""
        numbered = ((ranges, 1 << index) for index, ranges in enumerate(ranges_by_rule))
        return cls.of_bits(numbered)

    @classmethod
    def of_bits(cls, ranges_with_bits: Iterable[tuple[Sequence[Range], int]]) -> Classifier:
        """Build from sorted disjoint ranges and the bits of the rules that have them."""
        # Many rules share one object of ranges: any address, or the same groups.
        objects: list[Sequence[Range]] = []
        bits_of: defaultdict[int, int] = defaultdict(int)
        for ranges, bits in ranges_with_bits:
            identity = id(ranges)
            if identity not in bits_of:
                objects.append(ranges)
            bits_of[identity] |= bits
        # The rules' bits are flipped where one of their ranges starts and after it ends.
        flips: defaultdict[int, int] = defaultdict(int)
        for ranges, bits in zip(objects, bits_of.values(), strict=True):
            for first, last in ranges:
                flips[first] ^= bits
                flips[last + 1] ^= bits
        current = flips.pop(0, 0)
        starts, rule_sets = [0], [current]
        interned: dict[int, int] = {current: current}
        for start in sorted(flips):
            if flip := flips[start]:
                current ^= flip
                starts.append(start)
                rule_sets.append(interned.setdefault(current, current))
        return cls(starts, rule_sets)

    def rules(self, value: int) -> int:
        """The rules that match *value*, as bits."""
        return self.rule_sets[bisect_right(self.starts, value) - 1]


@dataclass(frozen=True, slots=True)
class FamilyTable:
    """The classifiers of one IP version."""

    protocols: dict[int, int]  # rules by protocol number, for the numbers that rules name
    other_protocols: int  # rules for every other number
    sources: Classifier
    destinations: Classifier
