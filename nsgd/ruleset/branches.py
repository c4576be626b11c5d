"""How chains branch: comparisons, sets and verdict maps over any field of a packet."""

from __future__ import annotations

from dataclasses import dataclass

from nsgd.policy.address_set import Range
from nsgd.ruleset.keys import Key
from nsgd.wire import expressions as x

RETURN = ""  # as a target: back to the calling chain

# First and last value, and the chain to go on in.
BranchEntry = tuple[int | str, int | str, str]


def target_text(target: str) -> str:
    """A verdict as nft writes it."""
    return f"goto {target}" if target else "return"


@dataclass(frozen=True, slots=True)
class MatchValue:
    """The field is between two values."""

    key: Key
    first: int
    last: int

    def text(self) -> str:
        return f"{self.key.text} {self.key.range_text(self.first, self.last)}"

    def encode(self) -> list[bytes]:
        key, first, last = self.key, self.first, self.last
        size = last - first + 1
        if size == 1:
            test = [x.compare(x.CMP_EQUAL, key.encode(first))]
        elif key.version is not None and size & (size - 1) == 0 and first % size == 0:
            mask = key.encode(key.top ^ (size - 1))
            test = [x.bitwise(mask), x.compare(x.CMP_EQUAL, key.encode(first))]
        else:
            test = [x.in_range(key.encode(first), key.encode(last))]
        return [*key.loading, *test]


@dataclass(frozen=True, slots=True)
class MatchValues:
    """The field is in one of the ranges, which are disjoint and sorted."""

    key: Key
    ranges: tuple[Range, ...]

    def text(self) -> str:
        values = (self.key.range_text(first, last) for first, last in self.ranges)
        return f"{self.key.text} {{ {', '.join(values)} }}"


@dataclass(frozen=True, slots=True)
class Branch:
    """Go on by the field's value; values of no entry go on with the next rule."""

    key: Key
    entries: tuple[BranchEntry, ...]  # disjoint and sorted

    def text(self) -> str:
        parts = (
            f"{self.key.range_text(first, last)} : {target_text(target)}"
            for first, last, target in self.entries
        )
        return f"{self.key.text} vmap {{ {', '.join(parts)} }}"


@dataclass(frozen=True, slots=True)
class BranchBy:
    """Go on as a named map says; values that it does not have go on with the next rule."""

    key: Key
    map_name: str

    def text(self) -> str:
        return f"{self.key.text} vmap @{self.map_name}"

    def encode(self) -> list[bytes]:
        return [*self.key.loading, x.lookup_verdict(self.map_name)]


@dataclass(frozen=True, slots=True)
class LimitBy:
    """Go on with the rule only while the rate of the field's value is not used up.

    The rate is packets a second and burst. A set keeps it for each value, which is put in; not
    where it is full, and there the rule does not go on.
    """

    key: Key
    set_name: str
    rate: tuple[int, int]

    def text(self) -> str:
        per_second, burst = self.rate
        rate = f"limit rate {per_second}/second burst {burst} packets"
        return f"update @{self.set_name} {{ {self.key.text} {rate} }}"

    def encode(self) -> list[bytes]:
        return [*self.key.loading, x.update_set(self.set_name, self.rate, is_beyond=False)]


@dataclass(frozen=True, slots=True)
class CountIn:
    """Count the packet by its element of a CountingSet; unmatched where it has none."""

    key: Key
    set_name: str

    def text(self) -> str:
        return f"{self.key.text} @{self.set_name}"

    def encode(self) -> list[bytes]:
        return [*self.key.loading, x.lookup(self.set_name)]
