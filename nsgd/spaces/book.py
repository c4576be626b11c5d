"""The rules of several tables as the bits of one integer, shared where two tables have the same.

Of two versions of a table, rules that are the same and stand in the same order are one bit. Where
only such rules are left, both versions decide alike, and nobody need look further.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from nsgd.model.decision import TableDecision
from nsgd.model.rule import Access
from nsgd.policy.address_set import AddressSet
from nsgd.policy.effective import EffectiveSecurityRule
from nsgd.policy.table import CompiledTable


@dataclass(frozen=True, slots=True)
class RuleReference:
    """A rule by its index in a table."""

    table: CompiledTable
    index: int

    @property
    def decision(self) -> TableDecision:
        """What the rule decides; it is not silent."""
        return self.table.decision(self.index)

    @property
    def rule(self) -> EffectiveSecurityRule:
        """The rule itself."""
        return self.table.rules[self.index]


class RuleBook:
    """Rules of tables, each of which is a mask of bits, in priority order from the lowest bit."""

    def __init__(self) -> None:
        self.rules: list[EffectiveSecurityRule] = []
        self.allow = 0
        self.silent = 0
        self.final = 0
        self._before: list[RuleReference | None] = []
        self._after: list[RuleReference | None] = []
        self._masks: dict[int, int] = {}
        self._sets: dict[int, int] = {}
        self._set_numbers: dict[AddressSet, int] = {}
        self._tables: list[CompiledTable] = []  # as long as they are here, their ids are theirs

    def add(self, table: CompiledTable) -> int:
        """The mask of a table; of one table it is always the same."""
        found = self._masks.get(id(table))
        if found is None:
            found = 0
            for index in range(len(table.rules)):
                reference = RuleReference(table, index)
                found |= 1 << self._append(reference, reference)
            self._masks[id(table)] = found
            self._tables.append(table)
        return found

    def add_pair(self, before: CompiledTable, after: CompiledTable) -> tuple[int, int]:
        """The masks of two versions of a table, which have the bits of common rules in common."""
        if before is after:
            mask = self.add(before)
            return mask, mask
        self._tables += (before, after)
        old, new = 0, 0
        next_before = next_after = 0
        keys_before, keys_after = ([self._key(rule) for rule in t.rules] for t in (before, after))
        pairs = common_sequence(keys_before, keys_after)
        for index_before, index_after in (*pairs, (len(keys_before), len(keys_after))):
            for index in range(next_before, index_before):
                old |= 1 << self._append(RuleReference(before, index), None)
            for index in range(next_after, index_after):
                new |= 1 << self._append(None, RuleReference(after, index))
            if index_before < len(keys_before):
                bit = self._append(
                    RuleReference(before, index_before), RuleReference(after, index_after)
                )
                old |= 1 << bit
                new |= 1 << bit
            next_before, next_after = index_before + 1, index_after + 1
        return old, new

    def before(self, bit: int) -> RuleReference:
        """The rule of a bit in the table, or in the first of its two versions."""
        found = self._before[bit]
        if found is None:
            raise LookupError("the rule is not in this version")
        return found

    def after(self, bit: int) -> RuleReference:
        """The rule of a bit in the table, or in the second of its two versions."""
        found = self._after[bit]
        if found is None:
            raise LookupError("the rule is not in this version")
        return found

    def _append(self, before: RuleReference | None, after: RuleReference | None) -> int:
        reference = before or after
        if reference is None:
            raise LookupError("a rule is in one version at least")
        bit = len(self.rules)
        self.rules.append(reference.rule)
        self.allow |= (reference.rule.access is Access.ALLOW) << bit
        self.silent |= reference.rule.is_silent << bit
        self.final |= reference.rule.is_final << bit
        self._before.append(before)
        self._after.append(after)
        return bit

    def _key(self, rule: EffectiveSecurityRule) -> Hashable:
        """What decides of a rule; names and priorities do not."""
        return (
            rule.access,
            rule.protocols,
            self._number(rule.source),
            rule.source_ports,
            self._number(rule.destination),
            rule.destination_ports,
            rule.is_silent,
            rule.is_final,
        )

    def _number(self, addresses: AddressSet) -> int:
        # Hashing a tag's thousands of prefixes once for each of its objects will do.
        found = self._sets.get(id(addresses))
        if found is None:
            found = self._set_numbers.setdefault(addresses, len(self._set_numbers))
            self._sets[id(addresses)] = found
        return found


def common_sequence(
    before: Sequence[Hashable], after: Sequence[Hashable]
) -> tuple[tuple[int, int], ...]:
    """Pairs of indexes of equal keys, ascending on both sides.

    A key that comes several times is paired in order, so the longest sequence may be missed; none
    is ever wrong.
    """
    places: dict[Hashable, list[int]] = {}
    for index in range(len(after) - 1, -1, -1):
        places.setdefault(after[index], []).append(index)
    paired = [(index, places[key].pop()) for index, key in enumerate(before) if places.get(key)]
    # The longest ascending sequence of the second indexes, by patience sorting.
    tops: list[int] = []
    piles: list[int] = []
    previous: list[int] = []
    for number, (_, other) in enumerate(paired):
        pile = bisect_left(tops, other)
        if pile == len(tops):
            tops.append(other)
            piles.append(number)
        else:
            tops[pile] = other
            piles[pile] = number
        previous.append(piles[pile - 1] if pile else -1)
    chosen: list[tuple[int, int]] = []
    number = piles[-1] if piles else -1
    while number >= 0:
        chosen.append(paired[number])
        number = previous[number]
    return tuple(reversed(chosen))
