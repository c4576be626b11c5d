"""A decision tree as chains: one for each node, named by what it asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nsgd.model.address import IPVersion
from nsgd.policy.address_set import Range
from nsgd.policy.tree_nodes import LIST, Bounds, Field, PlainNode, is_list, is_split, nodes_of
from nsgd.ruleset.branches import RETURN, Branch, MatchValue, MatchValues
from nsgd.ruleset.keys import PROTOCOL, Key, address_key, port_key
from nsgd.ruleset.matches import MatchAddress, Side
from nsgd.ruleset.names import node_chain, root_chain
from nsgd.ruleset.objects import AddressRangeSet, Chain, NftRule
from nsgd.ruleset.physical import plain_digest
from nsgd.ruleset.rule_places import written_split
from nsgd.ruleset.statements import Goto, Return, Statement

_SIDES: dict[int, Side] = {Field.SOURCE: "source", Field.DESTINATION: "destination"}

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
            digest = plain_digest(bounds, self.epoch).hex()
            name = f"addresses{version}.{self.epoch}/{digest}"
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
        self._version, self._sets = version, sets
        self._silent = sum(1 << rule for rule, target in enumerate(targets) if target == RETURN)
        self._of_rule = [_Way.of(target, follows.get(rule)) for rule, target in enumerate(targets)]
        self._of_node: dict[int, _Way] = {}  # by id
        self._keys = [_KEYS[field, version] for field in Field]
        self._chains: list[Chain] = []
        self.sets: dict[str, AddressRangeSet] = {}
        known: set[str] = set()
        rules: tuple[NftRule, ...] = ()
        # Of the root's list only; its rules stand in the root's chain, which is a level less.
        within = root[2] if is_list(root) and is_split(root[2]) else None
        for node in nodes_of(root):
            if node is within:
                continue
            made = self._split(node) if node[0] != LIST else self._list(node)
            if node is root and not any(map(_has_set, made.rules)):
                rules = made.rules
                break
            digest = plain_digest(made.content, sets.epoch)
            told_by = 0
            if made.asked is not None:
                told_by = int.from_bytes(digest, "big")
                digest = plain_digest(made.asked, sets.epoch)
            name = node_chain(label, version, digest.hex())
            self._of_node[id(node)] = _Way(name, name, (Goto(name),))
            # Nodes with other rules left can ask the same.
            if name not in known:
                known.add(name)
                self._chains.append(Chain(name, made.rules, told_by, is_left=True))
        else:
            rules = (NftRule(self._way(root).end),)
        # Only this one ever changes its rules: it has no look-ups that could be empty for a moment.
        self.chains = (Chain(root_chain(label, version), rules, is_left=True), *self._chains)

    def _way(self, node: PlainNode) -> _Way:
        return self._of_rule[node] if isinstance(node, int) else self._of_node[id(node)]

    def _list(self, node: PlainNode) -> _Made:
        _, tests, rest = node
        rules, content, asked = [], [], []
        is_plain = True  # without sets of their own
        for rule, conditions in tests:
            way = self._of_rule[rule]
            statements: list[Statement] = []
            tested, fields = [], []
            for field, bounds in conditions:
                fields.append(field)
                test: object = bounds
                if len(bounds) == 2:
                    statements.append(MatchValue(self._keys[field], bounds[0], bounds[1] - 1))
                elif field in _SIDES:
                    found = self._sets.of(self._version, bounds)
                    self.sets[found.name] = found
                    test = found.name
                    statements.append(MatchAddress(self._version, _SIDES[field], found.name))
                else:
                    is_plain = False
                    statements.append(MatchValues(self._keys[field], _ranges(bounds)))
                tested.append((field, test))
            statements += way.end
            rules.append(NftRule(tuple(statements)))
            content.append((way.told, tested))
            # What says nothing goes back, whichever rule it is.
            asked.append((way.target or rule, fields))
        # The root's list may go on with a node that has no name.
        if is_split(rest) and id(rest) not in self._of_node:
            split = self._split(rest)
            return _Made((*rules, *split.rules), (content, split.content))
        way = self._way(rest)
        rules.append(NftRule(way.end))
        return _Made(tuple(rules), (content, way.told), (asked, way.target) if is_plain else None)

    def _split(self, node: PlainNode) -> _Made:
        field, starts, children = node
        key = self._keys[field]
        top = 255 if field == Field.PROTOCOL else key.top
        lasts = (*(start - 1 for start in starts[1:]), top)
        split = written_split(node, self._silent)
        rules: list[NftRule] = []
        if split.is_compared:
            for index in split.others:
                match = MatchValue(key, starts[index], lasts[index])
                rules.append(NftRule((match, *self._way(children[index]).end)))
        else:
            entries = tuple(
                (starts[index], lasts[index], self._way(children[index]).target)
                for index in split.others
            )
            rules.append(NftRule((Branch(key, entries),)))
        rules.append(NftRule(self._way(split.usual).end))
        told = [self._way(child).told for child in children]
        return _Made(tuple(rules), (field, starts, told))


class _Way(NamedTuple):
    """Where a packet goes on, at a node or a rule."""

    target: str  # a chain or RETURN
    told: object  # what tells the end of a rule that goes on so
    end: tuple[Statement, ...]  # of such a rule

    @classmethod
    def of(cls, target: str, follows: tuple[int, tuple[Statement, ...]] | None) -> _Way:
        if follows is None:
            return cls(target, target, (_go(target),))
        number, end = follows
        return cls(target, (target, number), end)


class _Made(NamedTuple):
    """A node's rules and what names them.

    They are named by their content, as sets are. But a list without sets of its own is named by its
    rules and the fields that they ask: where only values differ, it gets new rules under its name,
    and what leads to it stays as it is.
    """

    rules: tuple[NftRule, ...]
    content: object  # all that the rules are made of
    asked: object = None  # of such a list


def _ranges(bounds: Bounds) -> tuple[Range, ...]:
    return tuple((first, after - 1) for first, after in zip(bounds[::2], bounds[1::2], strict=True))


def _has_set(rule: NftRule) -> bool:
    """Tell whether a rule asks a set of its own, or one that other tables may do without."""
    return rule.has_own_set or any(isinstance(each, MatchAddress) for each in rule.statements)


def _go(target: str) -> Statement:
    return Return() if target == RETURN else Goto(target)
