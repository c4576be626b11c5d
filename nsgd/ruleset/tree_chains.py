"""A decision tree as chains: one for each node, named by what it asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nsgd.model.address import IPVersion
from nsgd.policy.address_set import Range
from nsgd.policy.tree_nodes import Bounds, Field, PlainNode, is_list, is_split, nodes_of
from nsgd.ruleset.branches import RETURN, Branch, MatchValue, MatchValues
from nsgd.ruleset.keys import PROTOCOL, Key, address_key, port_key
from nsgd.ruleset.matches import MatchAddress, Side
from nsgd.ruleset.names import node_chain, root_chain
from nsgd.ruleset.objects import AddressRangeSet, Chain, NftRule
from nsgd.ruleset.physical import content_digest
from nsgd.ruleset.rule_places import written_split
from nsgd.ruleset.statements import Goto, Return, Statement

# Of a rule its number, and what is done with a packet that it decides about.
Follows = Mapping[int, tuple[int, tuple[Statement, ...]]]

_KEYS: dict[tuple[int, IPVersion], Key] = {
    (field, version): key
    for version in (4, 6)
    for field, key in (
        (Field.PROTOCOL, PROTOCOL),
        (Field.SOURCE, address_key(version, "source")),
        (Field.DESTINATION, address_key(version, "destination")),
        (Field.SOURCE_PORT, port_key("source")),
        (Field.DESTINATION_PORT, port_key("destination")),
    )
}


class AddressSets:
    """The sets of addresses that rules of several tables have in common, named once."""

    def __init__(self, epoch: str) -> None:
        """*epoch* is the one in which the names are given."""
        self.epoch = epoch
        # By identity of what is in the set, which is kept with it.
        self._made: dict[tuple[int, IPVersion], tuple[Bounds, AddressRangeSet]] = {}

    def of(self, version: IPVersion, bounds: Bounds) -> AddressRangeSet:
        """The set of these addresses."""
        key = id(bounds), version
        found = self._made.get(key)
        if found is None:
            name = f"addresses{version}.{self.epoch}/{content_digest(bounds, self.epoch)}"
            found = self._made[key] = bounds, AddressRangeSet(name, version, _ranges(bounds))
        return found[1]


class TreeChains:
    """The chains of one table and IP version, the root's first, and the sets that they ask."""

    def __init__(
        self,
        label: str,
        version: IPVersion,
        root: PlainNode,
        targets: Sequence[str],
        sets: AddressSets,
        follows: Follows,
    ) -> None:
        """Prepare.

        Args:
            label: The table's, for names.
            version: Of the packets that come here.
            root: Of the tree of the same.
            targets: Where to go on for each rule: a chain, or RETURN.
            sets: Those that there are.
            follows: Of all rules but those of nsgd.ruleset.rule_places.rules_apart().
        """
        self._version, self._targets, self._sets = version, targets, sets
        self._follows = follows
        self._silent = sum(1 << rule for rule, target in enumerate(targets) if target == RETURN)
        self._names: dict[int, str] = {}
        self._chains: list[Chain] = []
        self.sets: dict[str, AddressRangeSet] = {}
        known: set[str] = set()
        rules: tuple[NftRule, ...] = ()
        # Of the root's list only; its rules stand in the root's chain, which is a level less.
        within = root[2] if is_list(root) and is_split(root[2]) else None
        for node in nodes_of(root):
            if node is within:
                continue
            if node is root:
                rules = tuple(self._rules(node))
                if not any(_has_set(rule) for rule in rules):
                    break
            name, told_by = self._named(node)
            name = node_chain(label, version, name)
            self._names[id(node)] = name
            # Nodes with other rules left can ask the same.
            if name not in known:
                known.add(name)
                rules = tuple(self._rules(node))
                self._chains.append(Chain(name, rules, told_by=told_by))
        else:
            rules = (NftRule((_go(self._target(root)),)),)
        # Only this one ever changes its rules: it has no look-ups that could be empty for a moment.
        self.chains = (Chain(root_chain(label, version), rules), *self._chains)

    def _ending(self, node: PlainNode) -> tuple[Statement, ...]:
        """The end of a rule that goes on to a node."""
        if isinstance(node, int) and node in self._follows:
            return self._follows[node][1]
        return (_go(self._target(node)),)

    def _target(self, node: PlainNode) -> str:
        return self._targets[node] if isinstance(node, int) else self._names[id(node)]

    def _told(self, node: PlainNode) -> object:
        """What tells the end of a rule that goes on to a node."""
        if isinstance(node, int) and node in self._follows:
            return self._targets[node], self._follows[node][0]
        return self._target(node)

    def _named(self, node: PlainNode) -> tuple[str, int]:
        """A name for a node, and what tells its rules from others of that name.

        By its content, as sets are. But a list without sets of its own is named by its rules and
        the fields that they ask: where only values differ, it gets new rules under its name, and
        what leads to it stays as it is.
        """
        digest = content_digest(self._content(node), self._sets.epoch)
        if is_split(node) or (is_split(node[2]) and id(node[2]) not in self._names):
            return digest, 0
        _, tests, rest = node
        if not all(_is_plain(*condition) for _, conditions in tests for condition in conditions):
            return digest, 0
        asked = [
            # What says nothing goes back, whichever rule it is.
            (self._targets[rule] or rule, [field for field, _ in conditions])
            for rule, conditions in tests
        ]
        return content_digest((asked, self._target(rest)), self._sets.epoch), int(digest, 16)

    def _content(self, node: PlainNode) -> object:
        """All that the rules of a node are made of."""
        if is_split(node):
            field, starts, children = node
            return field, starts, [self._told(child) for child in children]
        _, tests, rest = node
        return (
            [
                (
                    self._told(rule),
                    [
                        (field, bounds if _is_short(field, bounds) else self._set(bounds).name)
                        for field, bounds in conditions
                    ],
                )
                for rule, conditions in tests
            ],
            # The root's list may go on with a node that has no name.
            self._content(rest)
            if is_split(rest) and id(rest) not in self._names
            else self._told(rest),
        )

    def _rules(self, node: PlainNode) -> Iterator[NftRule]:
        if is_split(node):
            yield from self._split(node)
            return
        _, tests, rest = node
        for rule, conditions in tests:
            matches = (self._condition(field, bounds) for field, bounds in conditions)
            yield NftRule((*matches, *self._ending(rule)))
        if is_split(rest) and id(rest) not in self._names:
            yield from self._split(rest)
        else:
            yield NftRule(self._ending(rest))

    def _split(self, node: PlainNode) -> Iterator[NftRule]:
        field, starts, children = node
        key = _KEYS[field, self._version]
        top = 255 if field == Field.PROTOCOL else key.top
        lasts = (*(start - 1 for start in starts[1:]), top)
        split = written_split(node, self._silent)
        if split.is_compared:
            for index in split.others:
                match = MatchValue(key, starts[index], lasts[index])
                yield NftRule((match, *self._ending(children[index])))
        else:
            entries = tuple(
                (starts[index], lasts[index], self._target(children[index]))
                for index in split.others
            )
            yield NftRule((Branch(key, entries),))
        yield NftRule(self._ending(split.usual))

    def _condition(self, field: int, bounds: Bounds) -> Statement:
        key = _KEYS[field, self._version]
        if len(bounds) == 2:
            return MatchValue(key, bounds[0], bounds[1] - 1)
        if key.version is None:
            return MatchValues(key, _ranges(bounds))
        found = self._set(bounds)
        self.sets[found.name] = found
        side: Side = "source" if field == Field.SOURCE else "destination"
        return MatchAddress(self._version, side, found.name)

    def _set(self, bounds: Bounds) -> AddressRangeSet:
        return self._sets.of(self._version, bounds)


def _is_plain(field: int, bounds: Bounds) -> bool:
    """Tell whether a condition has no set of its own."""
    return len(bounds) == 2 or field in (Field.SOURCE, Field.DESTINATION)


def _is_short(field: int, bounds: Bounds) -> bool:
    """Tell whether a condition has no set with a name."""
    return len(bounds) == 2 or field not in (Field.SOURCE, Field.DESTINATION)


def _ranges(bounds: Bounds) -> tuple[Range, ...]:
    return tuple((first, after - 1) for first, after in zip(bounds[::2], bounds[1::2], strict=True))


def _has_set(rule: NftRule) -> bool:
    """Tell whether a rule asks a set of its own, or one that other tables may do without."""
    return rule.has_own_set or any(isinstance(each, MatchAddress) for each in rule.statements)


def _go(target: str) -> Statement:
    return Return() if target == RETURN else Goto(target)
