"""One field of the packets as classes of values: values of a class are matched by the same rules.

Sets of values are bits of an integer, one for each class, and sets of rules are bits of another.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from nsgd.policy.address_set import Range, merge_ranges
from nsgd.policy.classifier import Classifier
from nsgd.spaces.ranges import Ranges

_FEW_RULES = 8  # that tell classes apart quicker than looking at every class


def bits_of(number: int) -> Iterator[int]:
    """The indexes of the bits that are set, ascending."""
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest


class Axis:
    """The classes of one field.

    Attributes:
        all: Every class, as bits.
        rules: By class, the rules that match its values.
    """

    def __init__(
        self,
        ranges: Sequence[Ranges],
        top: int,
        only: Sequence[tuple[Ranges, int]] = (),
        apart: Sequence[Ranges] = (),
    ) -> None:
        """Cut the values from 0 to *top*.

        Args:
            ranges: What each rule matches.
            top: The last value.
            only: Values for which only these rules count, whatever they match.
            apart: Sets of values whose edges must be edges of classes too.
        """
        self.top = top
        self._sets = _interned(ranges)
        classes = Classifier.of_ranges(self._sets)
        limits = Classifier.of_ranges([each for each, _ in only])
        edges = Classifier.of_ranges(apart)
        numbers: dict[tuple[int, int], int] = {}
        self.rules: list[int] = []
        self._starts: list[int] = []
        self._classes: list[int] = []
        self._spans: list[list[Range]] = []
        starts = sorted({*classes.starts, *limits.starts, *edges.starts})
        starts = [start for start in starts if start <= top]
        for start, following in zip(starts, [*starts[1:], top + 1], strict=True):
            matching = classes.rules(start)
            for index in bits_of(limits.rules(start)):
                matching &= only[index][1]
            key = matching, edges.rules(start)
            number = numbers.setdefault(key, len(numbers))
            if number == len(self.rules):
                self.rules.append(matching)
                self._spans.append([])
            self._starts.append(start)
            self._classes.append(number)
            self._spans[number].append((start, following - 1))
        self.all = (1 << len(self.rules)) - 1
        self._of_rule: dict[int, int] = {}
        self._spanned: dict[int, tuple[int, int]] = {}
        self._is_limited = bool(only)

    def of_rule(self, rule: int) -> int:
        """The classes whose values a rule matches."""
        key = rule if self._is_limited else id(self._sets[rule])
        found = self._of_rule.get(key)
        if found is None:
            bit = 1 << rule
            found = 0
            for number, rules in enumerate(self.rules):
                if rules & bit:
                    found |= 1 << number
            self._of_rule[key] = found
        return found

    def of_ranges(self, ranges: Ranges) -> int:
        """The classes of values in *ranges*, whose edges are edges of classes."""
        found = 0
        for first, last in ranges:
            for index in range(bisect_right(self._starts, first) - 1, len(self._starts)):
                if self._starts[index] > last:
                    break
                found |= 1 << self._classes[index]
        return found

    def ranges(self, classes: int) -> Ranges:
        """The values of some classes, as sorted disjoint merged ranges."""
        if classes == self.all:
            return ((0, self.top),)
        return merge_ranges(span for number in bits_of(classes) for span in self._spans[number])

    def class_of(self, value: int) -> int:
        """The class of a value."""
        return self._classes[bisect_right(self._starts, value) - 1]

    def spanned(self, inside: int) -> tuple[int, int]:
        """The rules that match some value of *inside*, and those that match all of them."""
        found = self._spanned.get(inside)
        if found is None:
            some, every = 0, -1
            for number in bits_of(inside):
                some |= self.rules[number]
                every &= self.rules[number]
            found = self._spanned[inside] = some, every & some
        return found

    def split(self, rules: int, inside: int, everywhere: int) -> list[tuple[int, int]]:
        """Cut *inside* where *rules* tell its classes apart: classes, and the rules left there.

        *everywhere* are rules that match all of *inside*.
        """
        telling = rules & ~everywhere
        if telling.bit_count() <= _FEW_RULES:
            blocks = [(inside, rules & everywhere)]
            for rule in bits_of(telling):
                matched, bit = self.of_rule(rule), 1 << rule
                cut: list[tuple[int, int]] = []
                for classes, left in blocks:
                    if hit := classes & matched:
                        cut.append((hit, left | bit))
                    if missed := classes & ~matched:
                        cut.append((missed, left))
                blocks = cut
            return blocks
        by_rules: dict[int, int] = {}
        for number in bits_of(inside):
            left = rules & self.rules[number]
            by_rules[left] = by_rules.get(left, 0) | 1 << number
        return [(classes, left) for left, classes in by_rules.items()]


def _interned(ranges: Sequence[Ranges]) -> list[Ranges]:
    """Equal ranges become one object, which Classifier then reads once."""
    by_identity: dict[int, Ranges] = {}
    by_value: dict[Ranges, Ranges] = {}
    result = []
    for each in ranges:
        found = by_identity.get(id(each))
        if found is None:
            found = by_identity[id(each)] = by_value.setdefault(each, each)
        result.append(found)
    return result
