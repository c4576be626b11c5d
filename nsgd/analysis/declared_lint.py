"""What a group's declaration says by itself: attachments, members, addresses and tags."""

from __future__ import annotations

from collections.abc import Iterator

from nsgd.analysis.findings import Finding, Kind, Unfinished
from nsgd.analysis.groups import LintedRule
from nsgd.analysis.rule_lint import RuleLint
from nsgd.analysis.table_search import TableSearch, decides
from nsgd.model.address import IP_VERSIONS, IPVersion
from nsgd.model.network import NetworkModel
from nsgd.model.packet import PacketHeader
from nsgd.model.rule import (
    Access,
    Direction,
    GroupMembers,
    PrefixList,
    PublishedTag,
    RuleAddress,
)
from nsgd.policy.address_set import AddressSet
from nsgd.policy.tree_nodes import Field
from nsgd.spaces.budget import Budget
from nsgd.spaces.explore import find
from nsgd.spaces.ranges import common
from nsgd.spaces.space import intersect
from nsgd.spaces.witness import ranges_of, witness

# What stands behind a tag's dot without being a region (Azure, Service tags overview).
_NOT_REGIONS = frozenset(("serviceendpoint", "frontend", "backend", "firstparty"))


class DeclaredLint:
    """The rules of a group in one direction, as they are written."""

    def __init__(self, model: NetworkModel, lint: RuleLint, budget: Budget) -> None:
        self._model = model
        self._lint = lint
        self._budget = budget
        self._has_members = bool(model.network_interfaces or model.scale_sets)

    def findings(self) -> Iterator[Finding | Unfinished]:
        """What is found of each rule, by priority."""
        for rule in self._lint.rules:
            if self._has_members:
                yield from self._empty_groups(rule)
            yield from self._lint.ask(Kind.NO_SUCH_ADDRESS, rule, self._no_such_address)
            if rule.access is Access.ALLOW and rule.name in self._lint.witnesses:
                yield from self._lint.ask(Kind.WIDE_TAG, rule, self._wide_tag)

    def _empty_groups(self, rule: LintedRule) -> Iterator[Finding]:
        for side in (rule.source, rule.destination):
            if isinstance(side, GroupMembers) and all(
                view.resolver.addresses(side) == AddressSet()
                for view in self._lint.seen.views_of(rule)
            ):
                groups = side.application_security_groups
                noun = "group" if len(groups) == 1 else "groups"
                message = (
                    f"matches nothing: application security {noun} {', '.join(groups)}"
                    f" {'has' if len(groups) == 1 else 'have'} no member here"
                )
                group = self._lint.seen.name
                yield Finding(Kind.EMPTY_GROUP, group, rule.name, message, self._lint.direction)
                return

    def _no_such_address(self, rule: LintedRule) -> Finding | None:
        """The rule's own side against the addresses that the group is attached to."""
        inbound = self._lint.direction is Direction.INBOUND
        side = rule.destination if inbound else rule.source
        if not isinstance(side, PrefixList):
            return None
        found = None
        for view in self._lint.seen.views_of(rule):
            addresses = view.resolver.addresses(side)
            for version in IP_VERSIONS:
                named, local = addresses.ranges(version), view.local[version]
                if common(named, local):
                    return None
                # Of a rule for IPv6 where nothing has IPv6 nothing is said.
                if named and local and found is None:
                    search, bit = self._lint.at(view, rule)
                    space = search.space(version)
                    box = space.of_rule(bit)
                    if all(box):
                        found = witness(version, ranges_of(space, box)), view
        if found is None:
            return None
        prefixes = ", ".join(str(prefix) for prefix in side.prefixes[:4])
        is_applied = self._lint.seen.is_of_admin
        where = "it is applied to" if is_applied else "the group is attached to"
        words = "destination" if inbound else "source"
        message = f"its {words} {prefixes} is of nothing that {where}"
        return self._lint.finding(Kind.NO_SUCH_ADDRESS, rule, message, (), found)

    def _wide_tag(self, rule: LintedRule) -> Finding | None:
        for field, side in ((Field.SOURCE, rule.source), (Field.DESTINATION, rule.destination)):
            if not isinstance(side, PublishedTag):
                continue
            regional = [tag for tag in self._published() if _is_region_of(tag, side.name)]
            if not regional:
                continue
            for view in self._lint.seen.views_of(rule):
                sides: list[RuleAddress] = [PublishedTag(tag) for tag in regional]
                narrow = AddressSet.union(view.resolver.addresses(each) for each in sides)
                apart = {version: {field: [narrow.ranges(version)]} for version in IP_VERSIONS}
                search = TableSearch(
                    (view.tables[self._lint.direction],),
                    self._lint.direction,
                    view.local,
                    self._budget,
                    apart,
                    view.domain,
                )
                bit = search.bit(search.tables[0], rule.name)
                for version in IP_VERSIONS:
                    packet = _outside(search, version, bit, field, narrow)
                    if packet is not None:
                        message = (
                            f"allows {side.name} of all regions, and the policy names"
                            f" {', '.join(regional)}"
                        )
                        return self._lint.finding(Kind.WIDE_TAG, rule, message, (), (packet, view))
        return None

    def _published(self) -> Iterator[str]:
        return (tag.name for tag in self._model.service_tags)


def _outside(
    search: TableSearch, version: IPVersion, bit: int, field: Field, narrow: AddressSet
) -> PacketHeader | None:
    """A packet that a rule decides, with none of the addresses of *narrow*."""
    space = search.space(version)
    axis = space.axis(field)
    others = space.box({field: axis.all & ~axis.of_ranges(narrow.ranges(version))})
    of_rule = search.of_rule(version, bit)
    inside = None if of_rule is None else intersect(of_rule, others)
    local = search.local_box(version)
    if inside is None:
        return None
    near = None if local is None else intersect(inside, local)
    for box in (near, inside):
        if box is not None:
            found = find(space, space.scope(box), decides(search.chain, bit), search.budget)
            if found is not None:
                return witness(version, ranges_of(space, found))
    return None


def _is_region_of(tag: str, name: str) -> bool:
    head, _, region = tag.rpartition(".")
    return head.lower() == name.lower() and region.lower() not in _NOT_REGIONS
