"""The chains of a policy's tables: their trees, and what each rule does. Made once for a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from nsgd.model.address import IP_VERSIONS, IPVersion
from nsgd.policy.compile import CompiledPolicy
from nsgd.policy.numbers import DecisionNumbers
from nsgd.policy.table import CompiledTable
from nsgd.policy.tree import LONGEST_LIST
from nsgd.ruleset.branches import RETURN
from nsgd.ruleset.marks import MarkLayout
from nsgd.ruleset.names import rule_name, table_labels
from nsgd.ruleset.objects import ChainGroup, GroupParts
from nsgd.ruleset.rule_chains import RuleChain, set_number
from nsgd.ruleset.same import Same
from nsgd.ruleset.tree_chains import TreeChains


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What chains depend on beside their table."""

    layout: MarkLayout
    log_group: int  # NFLOG group that denials go to
    epoch: str  # of names, nsgd.ruleset.physical


@dataclass(slots=True)
class TableChains:
    """What became of one table."""

    label: str
    final_marks: tuple[int, ...]  # of the numbers of final rules
    has_tree: dict[IPVersion, bool] = field(default_factory=dict)
    groups: list[ChainGroup] = field(default_factory=list)


class TableChainsMaker:
    """Makes the chains of tables, and keeps those of tables that stay."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Same, str, Circumstances], TableChains] = {}

    def make(
        self, policy: CompiledPolicy, numbers: DecisionNumbers, circumstances: Circumstances
    ) -> list[TableChains]:
        """Of each table of a policy, in its order."""
        labels = table_labels(policy.tables)
        kept = {}
        result = []
        for index, (table, label) in enumerate(zip(policy.tables, labels, strict=True)):
            key = Same(table), label, circumstances
            made = self._kept.get(key)
            if made is None:
                of_rules = numbers.of_table(policy, index)
                made = _table_chains(table, label, of_rules, circumstances)
            kept[key] = made
            result.append(made)
        self._kept = kept
        return result

    @staticmethod
    def rule_groups(
        policy: CompiledPolicy, numbers: DecisionNumbers, circumstances: Circumstances
    ) -> Iterable[ChainGroup]:
        """What the rules of each network security group do, for all tables of the group."""
        tables: dict[tuple[object, ...], list[int]] = {}
        for index, table in enumerate(policy.tables):
            key = table.network_security_group, table.direction
            tables.setdefault(key, []).append(index)
        for group, indexes in tables.items():
            same = tuple(Same(policy.tables[index]) for index in indexes)
            make = partial(_rule_parts, policy, numbers, circumstances, indexes)
            yield ChainGroup(("rules", group, same, circumstances), make)


def _table_chains(
    table: CompiledTable, label: str, numbers: Sequence[int], circumstances: Circumstances
) -> TableChains:
    targets = [
        RETURN if table.is_silent(rule) else rule_name(table.decision(rule))
        for rule in range(len(numbers))
    ]
    marks = {
        set_number(circumstances.layout, table.direction, number).bits
        for rule, number in enumerate(numbers)
        if table.is_final(rule)
    }
    made = TableChains(label, tuple(sorted(marks)))
    for version in IP_VERSIONS:
        once = _Once(table, label, version, targets, circumstances.epoch)
        made.has_tree[version] = once.has_tree
        if once.has_tree:
            made.groups.append(
                ChainGroup(("tree", label, version, Same(table), circumstances), once.take)
            )
    return made


class _Once:
    """The chains of a tree, let go when they are taken; made again if they are wanted again."""

    def __init__(
        self,
        table: CompiledTable,
        label: str,
        version: IPVersion,
        targets: Sequence[str],
        epoch: str,
    ) -> None:
        self._made_of = table, label, version, targets, epoch
        self._parts = self._make()
        self.has_tree = self._parts is not None

    def take(self) -> GroupParts:
        """The chains and their sets."""
        parts = self._parts or self._make()
        self._parts = None
        if parts is None:
            raise ValueError("there is no tree")
        return parts

    def _make(self) -> GroupParts | None:
        table, label, version, targets, epoch = self._made_of
        tree = table.tree(version)
        if tree.longest_list > LONGEST_LIST:
            return None
        made = TreeChains(label, version, tree, targets, epoch)
        return GroupParts(made.chains, tuple(made.sets.values()))


def _rule_parts(
    policy: CompiledPolicy,
    numbers: DecisionNumbers,
    circumstances: Circumstances,
    indexes: Iterable[int],
) -> GroupParts:
    made: dict[str, RuleChain] = {}
    for index in indexes:
        table = policy.tables[index]
        for rule, number in enumerate(numbers.of_table(policy, index)):
            if not table.is_silent(rule):
                each = RuleChain(
                    table.decision(rule), number, circumstances.layout, circumstances.log_group
                )
                made[each.name] = each
    rules = made.values()
    return GroupParts(
        tuple(each.chain() for each in rules),
        (),
        tuple(made),
        tuple(limit for each in rules if (limit := each.limit())),
    )
