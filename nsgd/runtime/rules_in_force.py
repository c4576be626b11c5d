"""Which rules the policy in force has, a byte for each number that a rule has or had.

As names they would be 5 MB for 20 000 rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nsgd.model.rule import Direction
from nsgd.model.settings import Mode
from nsgd.policy.numbers import DIRECTIONS
from nsgd.runtime.load import LoadedPolicy

# Not 0 or 0, by a rule's number; 0 is the number of silent ones, and says nothing.
Flags = Mapping[Direction, Sequence[int]]


class RulesInForce:
    """Of a policy: all of its rules, and those that may let something through."""

    def __init__(self, loaded: LoadedPolicy) -> None:
        self.of = loaded
        numbers = loaded.numbers.by_direction
        size = {each: 1 + max(numbers[each].values(), default=0) for each in DIRECTIONS}
        present = {each: bytearray(size[each]) for each in DIRECTIONS}
        allowing = {each: bytearray(size[each]) for each in DIRECTIONS}
        for index, table in enumerate(loaded.policy.tables):
            direction, allows = table.direction, table.allows
            for rule, number in enumerate(loaded.numbers.of_table(loaded.policy, index)):
                present[direction][number] = 1
                if allows >> rule & 1:
                    allowing[direction][number] = 1
        self.all: Flags = present
        self.passing: Flags = present if loaded.settings.mode is Mode.AUDIT else allowing
