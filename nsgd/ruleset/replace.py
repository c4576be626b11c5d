"""From whatever nsgd's table holds to a whole ruleset, made and told piece by piece."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count

from nsgd.ruleset import encode, encode_sets
from nsgd.ruleset.batch import delete_table, table_message
from nsgd.ruleset.carry import is_counting
from nsgd.ruleset.commands import Message
from nsgd.ruleset.diff import Change, clean
from nsgd.ruleset.objects import AnySet, Chain, ChainGroup, GroupParts, Ruleset
from nsgd.ruleset.written import GroupNames, Present, Written


def replace_ruleset(desired: Ruleset, present: Present, table_flags: int) -> Change:
    """Turn whatever the table holds into *desired*, keeping base chains and counters.

    No set of *desired* may have the name of one that is there; see nsgd.ruleset.physical. What was
    written is complete once the messages before the last are taken, in their order.
    """
    replacement = _Replacement(desired, present)
    return Change(
        replacement.prepare(table_flags),
        replacement.switch(),
        replacement.clean(),
        replacement.after,
        ending=frozenset(filter(is_counting, present.sets)),
    )


def take_back(before: Present, now: Present) -> Iterator[Message]:
    """Delete what a replacement has put beside that came to nothing; no packet has met it."""
    if before == Present():
        # Without base chains nothing waits in a queue for this table.
        if not now.base_chains:
            yield from delete_table()
        return
    yield from clean(
        sorted(now.chains - before.chains),
        now.sets - before.sets,
        now.limits - before.limits,
        now.counters - before.counters,
    )


class _Replacement:
    """Chain groups are made one after the other: all together they are much of the memory."""

    def __init__(self, desired: Ruleset, present: Present) -> None:
        self._desired, self._present = desired, present
        self._bases = frozenset(base.name for base in desired.base_chains)
        self._live = present.chains | self._bases
        self._refilled: list[Chain] = []  # chains that packets are in
        self._identifiers = count(1)
        self._sets: set[str] = set()
        self._counters: set[str] = set()
        sets = {each.name: each for each in desired.sets}
        self.after = Written(desired.counters, desired.limits, sets, timeouts=desired.timeouts)
        for chain in desired.chains:
            self._name(chain, self.after.chains)

    def prepare(self, table_flags: int) -> Iterator[Message]:
        """What no packet meets yet, each behind what it refers to."""
        desired = self._desired
        yield table_message(table_flags)
        yield from self._new_counters(desired.counters)
        yield from map(encode.new_limit, desired.limits)
        yield from map(encode.new_timeout, desired.timeouts)
        yield from self._chains(desired.chains)
        entrances = []
        for group in desired.groups:
            if group.is_entrance:
                parts = self._take(group)
                entrances.append(parts)
                yield from self._chains(parts.chains)
        for group in desired.groups:
            if not group.is_entrance:
                parts = self._take(group)
                yield from self._chains(parts.chains)
                yield from self._contents(parts)
        for each in desired.sets:
            yield from self._new_set(each)
        for parts in (*entrances, GroupParts(desired.chains)):
            yield from self._contents(parts)

    def switch(self) -> Iterator[Message]:
        """New rules of the chains that packets are in."""
        for base in self._desired.base_chains:
            yield encode.new_base_chain(base)
        for chain in self._refilled:
            yield encode.empty_chain(chain.name)
            yield from encode.plain_rules_of(chain)

    def clean(self) -> Iterator[Message]:
        """Delete the rest of what was there."""
        present, after = self._present, self.after
        # A base chain that is not ours goes too, though that drops what waits in queues.
        there = present.chains | present.base_chains
        yield from clean(
            sorted(there - after.chains.keys() - after.group_chains.keys()),
            present.sets,
            present.limits.difference(limit.name for limit in self.after.limits),
            (),  # as of any change
        )

    def _name(self, chain: Chain, chains: dict[str, object]) -> None:
        if chain.name in self.after.chains or chain.name in self.after.group_chains:
            raise ValueError(f"two chains are named {chain.name}")
        chains[chain.name] = chain.content

    def _take(self, group: ChainGroup) -> GroupParts:
        parts = group.make()
        after = self.after
        after.groups[group.key] = GroupNames.of(parts)
        for chain in parts.chains:
            self._name(chain, after.group_chains)
        after.group_sets.update(each.name for each in parts.sets)
        return parts

    def _chains(self, chains: Iterable[Chain]) -> Iterator[Message]:
        return (encode.new_chain(c.name) for c in chains if c.name not in self._bases)

    def _new_counters(self, counters: Iterable[str]) -> Iterator[Message]:
        for name in counters:
            if name not in self._counters:
                self._counters.add(name)
                yield encode.new_counter(name)

    def _contents(self, parts: GroupParts) -> Iterator[Message]:
        yield from self._new_counters(parts.counters)
        for each in parts.sets:
            yield from self._new_set(each)
        for chain in parts.chains:
            if chain.name in self._live:
                self._refilled.append(chain)
            else:
                yield from encode.rules_of(chain, self._identifiers)

    def _new_set(self, new: AnySet) -> Iterator[Message]:
        if new.name not in self._sets:
            self._sets.add(new.name)
            yield from encode_sets.new_set(new, next(self._identifiers))
