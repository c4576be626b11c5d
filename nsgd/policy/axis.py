"""One field of a table's rules: where along its values other rules match."""

from __future__ import annotations

from collections.abc import Sequence

from nsgd.policy.address_set import Range
from nsgd.policy.classifier import Classifier

# Start of a class of values, and the rules that match from there on, as bits.
Cut = list[tuple[int, int]]


class Axis:
    """One field of a table; rules are bits."""

    def __init__(self, ranges: Sequence[tuple[Range, ...]], top: int) -> None:
        self.ranges = ranges
        self.top = top
        # Rules with the same ranges are told apart nowhere.
        self._bits: dict[int, int] = {}
        self.distinct: dict[int, tuple[Range, ...]] = {}
        for rule, each in enumerate(ranges):
            self._bits[id(each)] = self._bits.get(id(each), 0) | 1 << rule
            self.distinct[id(each)] = each
        self.size = sum(map(len, self.distinct.values()))
        everything = ((0, top),)
        self.everywhere = 0
        for identity, each in self.distinct.items():
            if each == everything:
                self.everywhere |= self._bits[identity]

    @property
    def of_one_range(self) -> int:
        """The rules that match one range of the values, or all of them."""
        return sum(self._bits[each] for each, ranges in self.distinct.items() if len(ranges) == 1)

    def weight(self, candidates: int) -> int:
        """How many classes there can be among the candidates, about."""
        return 2 * sum(
            len(self.distinct[identity])
            for identity, bits in self._bits.items()
            if bits & candidates & ~self.everywhere
        )

    def cut(self, candidates: int) -> Cut:
        """Where the candidates that match change: start, and those that match from there on."""
        constrained = candidates & ~self.everywhere
        always = candidates & self.everywhere
        classes = Classifier.of_bits(
            (self.distinct[identity], bits & constrained)
            for identity, bits in self._bits.items()
            if bits & constrained
        )
        return [
            (start, always | matching)
            for start, matching in zip(classes.starts, classes.rule_sets, strict=True)
            if start <= self.top
        ]
