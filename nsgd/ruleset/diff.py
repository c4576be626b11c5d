"""From what nsgd's table holds to what it should hold, by the fewest messages.

In three steps, each a transaction of its own: what is new is put beside what is there, then the
rules change over to it, then what nothing refers to any more goes. The first two may be one where
nothing new has intervals. Where only rules change over, new ones may stand behind the old ones
before: to delete these takes the kernel a tenth of the time, since nothing new is to be checked. A
packet meets the old policy or the new one, in each table that it asks, and never a set that is not
complete.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain as joined
from itertools import count
from typing import TypeVar

from nsgd.ruleset import commands, encode, encode_sets
from nsgd.ruleset.branches import BranchEntry
from nsgd.ruleset.carry import is_counting
from nsgd.ruleset.commands import Message
from nsgd.ruleset.objects import (
    AnySet,
    Chain,
    CountingSet,
    GroupParts,
    LinkAddressSet,
    LinkSet,
    Ruleset,
    VerdictMap,
)
from nsgd.ruleset.physical import is_fixed
from nsgd.ruleset.written import GroupNames, Present, Written

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Change:
    """The messages of three transactions, each of them perhaps none, and the table after them."""

    prepare: Iterable[Message]
    switch: Iterable[Message]
    clean: Iterable[Message]
    written: Written
    is_at_once: bool = False  # the first two may be one: nothing that is new has intervals
    # Keys of elements that count and that the switch deletes, by their set's name; and the sets
    # that are cleaned away (nsgd.ruleset.carry).
    losing: Mapping[str, frozenset[bytes]] = field(default_factory=dict)
    ending: frozenset[str] = frozenset()
    # Where nothing but rules changes over: their chains, and messages that put the new rules behind
    # the old ones, where no packet meets them until the old ones are deleted.
    refilled: tuple[str, ...] = ()
    behind: Iterable[Message] = ()


def change_ruleset(written: Written, desired: Ruleset) -> Change:
    """Turn what was written into *desired*, touching nothing that is the same in both."""
    difference = _Difference(written, desired)
    there = ChainMap(written.chains, written.group_chains)
    refilled = [chain for chain in difference.chains if chain.name in there]
    new_chains = (
        encode.new_chain(chain.name) for chain in difference.chains if chain.name not in there
    )
    prepare = joined(difference.new_objects(), new_chains, difference.new_sets_and_chains(there))
    changed_sets, refills = list(difference.changed_sets()), list(_refilled(refilled))
    change = Change(
        list(prepare),
        [*changed_sets, *refills],
        list(difference.gone()),
        difference.after,
        not difference.has_intervals,
        difference.losing(),
        frozenset(filter(is_counting, written.sets.keys() - difference.after.sets.keys())),
    )
    if changed_sets or not all(chain.is_left for chain in refilled):
        return change
    behind = [message for message in refills if message[0] == commands.NEWRULE]
    return replace(change, refilled=tuple(chain.name for chain in refilled), behind=behind)


def _refilled(chains: Iterable[Chain]) -> Iterator[Message]:
    """New rules of chains that packets are in; they have no sets of their own."""
    for chain in chains:
        yield encode.empty_chain(chain.name)
        yield from encode.plain_rules_of(chain)


def remove_others(written: Written, present: Present) -> list[Message]:
    """Delete what the table holds beside what was written: of a change that was not finished."""
    limits = {limit.name for limit in written.limits}
    wanted = written.chains.keys() | written.group_chains.keys()
    sets = written.sets.keys() | written.group_sets.keys()
    return list(clean(present.chains - wanted, present.sets - sets, present.limits - limits, ()))


class _Difference:
    """A desired ruleset beside what is there: what is new or other, and what is wanted no more."""

    def __init__(self, before: Written, desired: Ruleset) -> None:
        self._before = before
        self.chains: list[Chain] = []  # to be filled
        self.has_intervals = False  # in what is new, or perhaps
        self._made: dict[Hashable, GroupParts] = {}
        kept: dict[Hashable, GroupNames] = {}
        for group in desired.groups:
            known = before.groups.get(group.key)
            if known is None:
                self._made[group.key] = group.make()
            else:
                kept[group.key] = known
        self._gone_groups = (
            []
            if len(kept) == len(before.groups)
            else [names for key, names in before.groups.items() if key not in kept]
        )
        self.after = Written(
            desired.counters,
            desired.limits,
            {each.name: each for each in desired.sets},
            timeouts=desired.timeouts,
            groups=kept | {key: GroupNames.of(parts) for key, parts in self._made.items()},
        )
        for chain in desired.chains:
            self._take(chain)
        self._take_groups()

    def _take(self, chain: Chain) -> None:
        if chain.name in self.after.chains:
            raise ValueError(f"two chains are named {chain.name}")
        self.after.chains[chain.name] = chain.content
        before = self._before.chains
        if chain.name not in before or before[chain.name] != chain.content:
            self.chains.append(chain)

    def _take_groups(self) -> None:
        before, after = self._before, self.after
        if not self._made and not self._gone_groups:
            after.group_chains, after.group_sets = before.group_chains, before.group_sets
            self._gone_chains: list[str] = []
            return
        new: dict[str, object] = {}
        for parts in self._made.values():
            for chain in parts.chains:
                if chain.name in new:
                    raise ValueError(f"two chains are named {chain.name}")
                content = new[chain.name] = chain.content
                if chain.name not in before.group_chains or (
                    before.group_chains[chain.name] != content
                ):
                    self.chains.append(chain)
        self._gone_chains = [
            name for names in self._gone_groups for name in names.chains if name not in new
        ]
        after.group_chains = before.group_chains | new
        for name in self._gone_chains:
            del after.group_chains[name]
        sets = after.group_sets = before.group_sets.copy()
        sets.update(each.name for p in self._made.values() for each in p.sets)
        for name in (name for names in self._gone_groups for name in names.sets):
            sets[name] -= 1
            if not sets[name]:
                del sets[name]

    def counters(self) -> Iterator[str]:
        """Those of the ruleset and of new groups."""
        yield from self.after.counters
        for parts in self._made.values():
            yield from parts.counters

    def new_objects(self) -> Iterator[Message]:
        """Counters and limits; one that is there stays as it is."""
        if self.after.counters is self._before.counters:
            counters: Iterable[str] = (c for p in self._made.values() for c in p.counters)
        else:
            before = frozenset(self._before.counters)
            counters = (name for name in self.counters() if name not in before)
        yield from map(encode.new_counter, counters)
        there = {limit.name for limit in self._before.limits}
        for limit in self.after.limits:
            if limit.name not in there:
                yield encode.new_limit(limit)
        for timeout in self.after.timeouts:
            if timeout not in self._before.timeouts:
                yield encode.new_timeout(timeout)

    def new_sets_and_chains(self, live: Container[str]) -> Iterator[Message]:
        """What no packet meets yet. Afterwards *has_intervals* is known."""
        identifiers = count(1)
        seen = set(self._before.sets) | self._before.group_sets.keys()
        of_groups = (each for parts in self._made.values() for each in parts.sets)
        for any_set in joined(self.after.sets.values(), of_groups):
            if any_set.name not in seen:
                seen.add(any_set.name)
                self.has_intervals |= is_fixed(any_set)
                yield from encode_sets.new_set(any_set, next(identifiers))
        for chain in self.chains:
            if chain.name not in live:
                self.has_intervals |= any(rule.has_own_set for rule in chain.rules)
                yield from encode.rules_of(chain, identifiers)

    def changed_sets(self) -> Iterator[Message]:
        """Elements of sets that rules ask meanwhile."""
        for name, any_set in self.after.sets.items():
            before = self._before.sets.get(name, any_set)
            if before is not any_set and before != any_set:
                yield from _set_difference(before, any_set)

    def losing(self) -> dict[str, frozenset[bytes]]:
        """Elements that count and go on with another verdict, or not at all.

        Others of the same name, such as an interface's other address, may go on counting.
        """
        lost = {}
        for name, after in self.after.sets.items():
            before = self._before.sets.get(name, after)
            if before is after or before == after:
                continue
            match before, after:
                case VerdictMap(), VerdictMap():
                    gone = {
                        before.key.encode(value)
                        for (value, _, _), count in _less(before.counted(), after.counted())
                        if count
                    }
                case CountingSet(entries=counted), CountingSet(entries=now_counted):
                    gone = {before.key.encode(value) for value, _ in _less(counted, now_counted)}
                case _:
                    continue
            if gone:
                lost[name] = frozenset(gone)
        return lost

    def gone(self) -> Iterator[Message]:
        """What is wanted no more."""
        before, after = self._before, self.after
        limits = {limit.name for limit in before.limits}
        limits.difference_update(limit.name for limit in after.limits)
        return clean(
            [*(name for name in before.chains if name not in after.chains), *self._gone_chains],
            joined(
                before.sets.keys() - after.sets.keys(),
                before.group_sets.keys() - after.group_sets.keys(),
            ),
            limits,
            (),  # those of rules outlive them, those of interfaces end apart (nsgd.ruleset.carry)
        )


def clean(
    chains: Iterable[str], sets: Iterable[str], limits: Iterable[str], counters: Iterable[str]
) -> Iterator[Message]:
    """Delete objects, everything after what refers to it."""
    chains = list(chains)
    yield from map(encode.empty_chain, chains)
    yield from map(encode_sets.delete_set, sorted(sets))
    yield from map(encode.delete_chain, chains)
    for name in sorted(limits):
        yield encode.delete_object(name, commands.OBJECT_LIMIT)
    for name in sorted(counters):
        yield encode.delete_object(name, commands.OBJECT_COUNTER)


def _set_difference(before: AnySet, after: AnySet) -> Iterator[Message]:
    """Single elements; a set without intervals has old or new ones for every packet."""
    match before, after:
        case VerdictMap(), VerdictMap(is_interval=False):
            return _elements(partial(_map_of, after), before.counted(), after.counted())
        case CountingSet(entries=counted), CountingSet(name, key, now_counted):
            return _elements(partial(CountingSet, name, key), counted, now_counted)
        case LinkSet(links=links), LinkSet(name, new_links):
            return _elements(partial(LinkSet, name), links, new_links)
        case LinkAddressSet(pairs=pairs), LinkAddressSet(name, version, new_pairs):
            return _elements(partial(LinkAddressSet, name, version), pairs, new_pairs)
    raise ValueError(f"the set {after.name} cannot be changed")


def _elements(
    set_of: Callable[[tuple[_T, ...]], AnySet], old: tuple[_T, ...], new: tuple[_T, ...]
) -> Iterator[Message]:
    """What goes and then what comes, each told as the set of it."""
    yield from encode_sets.delete_elements(set_of(_less(old, new)))
    yield from encode_sets.new_elements(set_of(_less(new, old)))


def _map_of(whole: VerdictMap, counted: tuple[tuple[BranchEntry, str], ...]) -> VerdictMap:
    """The map with these entries only."""
    entries = tuple(entry for entry, _ in counted)
    counts = tuple(count for _, count in counted) if whole.counts is not None else None
    return replace(whole, entries=entries, counts=counts)


def _less(first: tuple[_T, ...], second: tuple[_T, ...]) -> tuple[_T, ...]:
    """What only the first has."""
    without = frozenset(second)
    return tuple(each for each in first if each not in without)
