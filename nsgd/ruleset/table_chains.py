"""The chains of a policy's tables: their trees, and what each rule does. Made once for a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from operator import is_, or_

from nsgd.model.address import IPVersion
from nsgd.model.rule import Direction
from nsgd.policy.compile import CompiledPolicy
from nsgd.policy.numbers import DecisionNumbers
from nsgd.policy.table import CompiledTable
from nsgd.policy.tree import LONGEST_LIST
from nsgd.policy.tree_nodes import Flattener, longest_list_of
from nsgd.ruleset.marks import MarkLayout
from nsgd.ruleset.names import rule_names, table_labels
from nsgd.ruleset.objects import Chain, ChainGroup, GroupParts
from nsgd.ruleset.rule_chains import RuleEnds, set_number
from nsgd.ruleset.rule_places import rules_apart
from nsgd.ruleset.same import Same, Together
from nsgd.ruleset.statements import Statement
from nsgd.ruleset.tree_chains import AddressSets, TreeChains


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What chains depend on beside their table."""

    layout: MarkLayout
    epoch: str  # of names, nsgd.ruleset.physical


@dataclass(slots=True)
class TableChains:
    """What became of one table."""

    label: str
    final_marks: tuple[int, ...] = ()  # of the numbers of final rules
    # Keys of the chains of its trees, where these are within bounds.
    trees: dict[IPVersion, Together] = field(default_factory=dict)
    # The rules, as bits, to which a tree leads in chains of their own.
    apart: dict[IPVersion, int] = field(default_factory=dict)


# What the chains of any table depend on beside it and its label.
_Common = tuple[tuple[IPVersion, ...], Circumstances]
# Of a network security group and a direction: its tables, and the key of what their rules do.
_RuleKeys = dict[tuple[str, Direction], tuple[tuple[CompiledTable, ...], Together]]


class TableChainsMaker:
    """Makes the chains of tables, and keeps those of tables that stay."""

    def __init__(self) -> None:
        self._common: _Common | None = None
        # By the table's id, with the table that has it.
        self._kept: dict[tuple[int, str], tuple[CompiledTable, TableChains]] = {}
        self._labels: tuple[Sequence[CompiledTable], list[str]] = ((), [])
        self._rule_keys: tuple[_Common | None, _RuleKeys] = None, {}

    def make(
        self, policy: CompiledPolicy, numbers: DecisionNumbers, circumstances: Circumstances
    ) -> list[TableChains]:
        """Of each table of a policy, in its order; of the IP versions that anybody has."""
        labels = self._labels_of(policy.tables)
        versions = policy.endpoint_map.versions
        flattener = Flattener()
        known = self._kept if self._common == (versions, circumstances) else {}
        kept = {}
        result = []
        for index, (table, label) in enumerate(zip(policy.tables, labels, strict=True)):
            key = id(table), label
            found = known.get(key)
            if found is None:
                made = _table_chains(table, label, versions, circumstances, flattener)
                found = table, made
            if table.final:
                # After a load that was refused late, the same table may have other numbers.
                of_rules = numbers.of_table(policy, index)
                found[1].final_marks = _final_marks(table, of_rules, circumstances.layout)
            kept[key] = found
            result.append(found[1])
        self._common, self._kept = (versions, circumstances), kept
        return result

    def _labels_of(self, tables: Sequence[CompiledTable]) -> list[str]:
        before, labels = self._labels
        if len(before) != len(tables) or not all(
            old is new
            or (
                old.network_security_group == new.network_security_group != ""
                and old.direction is new.direction
            )
            for old, new in zip(before, tables, strict=True)
        ):
            labels = table_labels(tables)
        self._labels = tables, labels
        return labels

    def tree_groups(
        self, policy: CompiledPolicy, numbers: DecisionNumbers, circumstances: Circumstances
    ) -> Iterable[ChainGroup]:
        """The trees of the tables of the last make(), whose arguments these are."""
        sets = AddressSets(circumstances.epoch)
        for index, (table, made) in enumerate(self._kept.values()):
            of_rules = partial(numbers.of_table, policy, index)
            for version, key in made.trees.items():
                make = partial(
                    _tree_parts, table, made, version, sets, of_rules, circumstances.layout
                )
                yield ChainGroup(key, make)

    def rule_groups(
        self, policy: CompiledPolicy, numbers: DecisionNumbers, circumstances: Circumstances
    ) -> Iterable[ChainGroup]:
        """What the rules of each network security group do, for all tables of the group.

        The arguments are those of the last make().
        """
        every = list(self._kept.values())
        tables: dict[tuple[str, Direction], list[int]] = {}
        for index, table in enumerate(policy.tables):
            tables.setdefault((table.network_security_group, table.direction), []).append(index)
        # By the trees of the IP versions a rule has a chain or none.
        common = policy.endpoint_map.versions, circumstances
        known = self._rule_keys[1] if self._rule_keys[0] == common else {}
        kept: _RuleKeys = {}
        for group, indexes in tables.items():
            of_group = tuple(policy.tables[index] for index in indexes)
            found = known.get(group)
            if (
                found is None
                or len(found[0]) != len(of_group)
                or not all(map(is_, of_group, found[0]))
            ):
                same = tuple(map(Same, of_group))
                found = of_group, Together("rules", group, same, *common)
            kept[group] = found
            apart = {index: reduce(or_, every[index][1].apart.values(), 0) for index in indexes}
            make = partial(_rule_parts, policy, numbers, circumstances, apart)
            yield ChainGroup(found[1], make)
        self._rule_keys = common, kept


def _table_chains(
    table: CompiledTable,
    label: str,
    versions: Iterable[IPVersion],
    circumstances: Circumstances,
    flattener: Flattener,
) -> TableChains:
    made = TableChains(label)
    for version in versions:
        root = table.plain_tree(version, flattener)
        if longest_list_of(root) <= LONGEST_LIST:
            made.apart[version] = rules_apart(root, table.silent)
            made.trees[version] = Together("tree", label, version, Same(table), circumstances)
    return made


def _final_marks(
    table: CompiledTable, numbers: Iterable[int], layout: MarkLayout
) -> tuple[int, ...]:
    marks = {
        set_number(layout, table.direction, number).bits
        for rule, number in enumerate(numbers)
        if table.is_final(rule)
    }
    return tuple(sorted(marks))


def _tree_parts(
    table: CompiledTable,
    chains: TableChains,
    version: IPVersion,
    sets: AddressSets,
    numbers: Callable[[], Sequence[int]],
    layout: MarkLayout,
) -> GroupParts:
    root = table.plain_tree(version, Flattener())
    # What is RETURN of those that say nothing.
    targets = rule_names(table)
    apart, allows = chains.apart[version], table.allows
    ends = RuleEnds(table.direction, layout)
    follows: dict[int, tuple[int, tuple[Statement, ...]]] = {}
    for rule, (name, number) in enumerate(zip(targets, numbers(), strict=True)):
        if name and not apart >> rule & 1:
            follows[rule] = number, ends.of(name, number, is_allowed=allows >> rule & 1)
    made = TreeChains(chains.label, version, root, targets, sets, follows)
    return GroupParts(made.chains, tuple(made.sets.values()))


def _rule_parts(
    policy: CompiledPolicy,
    numbers: DecisionNumbers,
    circumstances: Circumstances,
    apart: Mapping[int, int],
) -> GroupParts:
    """What rules count in and the chains of some, of tables by their indexes, with these rules."""
    counters: dict[str, None] = {}
    made: dict[str, Chain] = {}
    seen: set[int] = set()
    for index, of_table in apart.items():
        table = policy.tables[index]
        names = rule_names(table)
        counters.update(dict.fromkeys(filter(None, names)))  # silent ones count nothing
        if not of_table:
            continue
        ends = RuleEnds(table.direction, circumstances.layout)
        for rule, number in enumerate(numbers.of_table(policy, index)):
            # In several networks a rule has one number, and at most one chain.
            if of_table >> rule & 1 and number not in seen:
                seen.add(number)
                is_allowed = table.is_allowed(rule)
                made[names[rule]] = ends.chain(names[rule], number, is_allowed=is_allowed)
    return GroupParts(tuple(made.values()), (), tuple(counters))
