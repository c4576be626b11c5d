"""A decision tree as chains: one for each node, named by what it asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from nsgd.model.address import IPVersion
from nsgd.policy.address_set import Range
from nsgd.policy.tree_nodes import Decided, Field, Node, RuleList, Split, Tree
from nsgd.ruleset.branches import RETURN, Branch, MatchValue, MatchValues
from nsgd.ruleset.keys import PROTOCOL, Key, address_key, port_key
from nsgd.ruleset.matches import MatchAddress, Side
from nsgd.ruleset.names import node_chain, root_chain
from nsgd.ruleset.objects import AddressRangeSet, Chain, NftRule
from nsgd.ruleset.physical import content_digest
from nsgd.ruleset.statements import Goto, Return, Statement

# So many comparisons cost less than a look-up.
_MOST_COMPARISONS = 8
_KEYS: dict[tuple[Field, IPVersion], Key] = {
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


class TreeChains:
    """The chains of one table and IP version, the root's first, and the sets that they ask."""

    def __init__(
        self,
        label: str,
        version: IPVersion,
        tree: Tree,
        targets: Sequence[str],
        epoch: str,
    ) -> None:
        """Prepare.

        Args:
            label: The table's, for names.
            version: Of the packets that come here.
            tree: Of the same.
            targets: Where to go on for each rule: a chain, or RETURN.
            epoch: In which the names are given.
        """
        self._version, self._targets, self._epoch = version, targets, epoch
        self._names: dict[int, str] = {}
        self._chains: list[Chain] = []
        self.sets: dict[str, AddressRangeSet] = {}
        known: set[str] = set()
        rules: tuple[NftRule, ...] = ()
        root = tree.root
        within = root.rest if isinstance(root, RuleList) else None
        for node in tree.nodes():
            rules = tuple(self._rules(node))
            if node is within and isinstance(node, Split):
                continue  # its rules stand in the root's chain
            if node is root and not any(_has_set(rule) for rule in rules):
                break
            name = node_chain(label, version, content_digest(rules, epoch))
            self._names[id(node)] = name
            # Nodes with other rules left can ask the same.
            if name not in known:
                known.add(name)
                self._chains.append(Chain(name, rules, is_named_by_content=True))
        else:
            rules = (NftRule((self._go(root),)),)
        # Only this one ever changes its rules: it has no look-ups that could be empty for a moment.
        self.chains = (Chain(root_chain(label, version), rules), *self._chains)

    def _target(self, node: Node) -> str:
        return self._targets[node.rule] if isinstance(node, Decided) else self._names[id(node)]

    def _go(self, node: Node) -> Statement:
        return _go(self._target(node))

    def _rules(self, node: Split | RuleList) -> Iterator[NftRule]:
        if isinstance(node, Split):
            yield from self._split(node)
            return
        for test in node.tests:
            matches = (self._condition(field, ranges) for field, ranges in test.conditions)
            yield NftRule((*matches, _go(self._targets[test.rule])))
        if isinstance(node.rest, Split):
            # Only the root's list goes on so; a chain less is a level less.
            yield from self._split(node.rest)
        else:
            yield NftRule((self._go(node.rest),))

    def _split(self, node: Split) -> Iterator[NftRule]:
        key = _KEYS[node.field, self._version]
        top = 255 if node.field is Field.PROTOCOL else key.top
        lasts = (*(start - 1 for start in node.starts[1:]), top)
        targets = [self._target(child) for child in node.children]
        # What most classes lead to needs no entry.
        usual = Counter(targets).most_common(1)[0][0]
        entries = tuple(
            (first, last, target)
            for first, last, target in zip(node.starts, lasts, targets, strict=True)
            if target != usual
        )
        if len(entries) <= _MOST_COMPARISONS or node.field is Field.PROTOCOL:
            for first, last, target in entries:
                yield NftRule((MatchValue(key, first, last), _go(target)))
        else:
            yield NftRule((Branch(key, entries),))
        yield NftRule((_go(usual),))

    def _condition(self, field: Field, ranges: tuple[Range, ...]) -> Statement:
        key = _KEYS[field, self._version]
        if len(ranges) == 1:
            return MatchValue(key, *ranges[0])
        if key.version is None:
            return MatchValues(key, ranges)
        digest = content_digest(ranges, self._epoch)
        name = f"addresses{self._version}.{self._epoch}/{digest}"
        self.sets[name] = AddressRangeSet(name, self._version, ranges)
        side: Side = "source" if field is Field.SOURCE else "destination"
        return MatchAddress(self._version, side, name)


def _has_set(rule: NftRule) -> bool:
    """Tell whether a rule asks a set of its own, or one that other tables may do without."""
    return rule.has_own_set or any(isinstance(each, MatchAddress) for each in rule.statements)


def _go(target: str) -> Statement:
    return Return() if target == RETURN else Goto(target)
