"""Security admin rules by how they are seen: the tables of each network, and who is judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nsgd.analysis.groups import (
    Asked,
    GroupView,
    LintedRule,
    address_domain,
    is_every_address,
)
from nsgd.analysis.policy import AnalysedPolicy
from nsgd.model.address import IP_VERSIONS
from nsgd.model.admin import AdminAccess, AdminAddress
from nsgd.model.rule import Access, Direction, PrefixList, Protocol
from nsgd.policy.admin import AdminRules, AppliedAdminRule, is_admin_table
from nsgd.policy.effective import ALL_PORT_RANGES, merged_ports
from nsgd.spaces.ranges import union


@dataclass(frozen=True, slots=True)
class LintedAdminRule:
    """A security admin rule as rules of groups are looked at.

    A side of prefixes alone is one list of them; of a side with tags beside it, which no rule of
    a group has, the entries are kept.
    """

    name: str  # securityAdminRules/NAME, as it is reported
    priority: int
    direction: Direction
    access: Access
    is_final: bool
    source: object
    destination: object
    is_everything: bool


@dataclass(frozen=True, slots=True)
class SeenAdminRules:
    """All security admin rules of a model with all views that there are of them."""

    of_rule: Mapping[str, tuple[GroupView, ...]]  # by name; none where it is not applied
    linted: tuple[LintedAdminRule, ...]
    name: str = ""  # they are of no group
    is_of_admin: bool = True

    def rules(self, direction: Direction) -> list[LintedAdminRule]:
        """The rules of one direction, by priority."""
        rules = [rule for rule in self.linted if rule.direction is direction]
        return sorted(rules, key=lambda rule: rule.priority)

    def views_of(self, rule: LintedRule) -> tuple[GroupView, ...]:
        """The views of the networks that a rule is applied in."""
        return self.of_rule.get(rule.name, ())

    def backstops(self, direction: Direction) -> list[LintedAdminRule]:
        """Rules that deny all that is left on purpose, in every network as the last one."""
        return [
            rule
            for rule in self.rules(direction)
            if rule.access is Access.DENY
            and rule.is_everything
            and all(
                view.tables[direction].rule_names[-2] == rule.name for view in self.views_of(rule)
            )
        ]


def seen_admin_rules(policy: AnalysedPolicy, asked: Iterable[Asked]) -> SeenAdminRules:
    """The rules of every configuration, as the networks see them that they are applied in."""
    by_table: dict[int, list[Asked]] = {}
    for each in asked:
        for table in each.tables:
            if is_admin_table(table):
                by_table.setdefault(id(table), []).append(each)
    compiled = policy.compiled
    # Of subnets that see their network alike, and have the same tables, one stands for all.
    subnets = {indexes: subnet for subnet, indexes in reversed(list(compiled.ahead.admin.items()))}
    views = []
    for (outbound, inbound), (network, subnet) in subnets.items():
        tables = {
            direction: compiled.policy.tables[index]
            for direction, indexes in ((Direction.OUTBOUND, outbound), (Direction.INBOUND, inbound))
            for index in indexes
        }
        if tables:
            of_view = tuple(e for table in tables.values() for e in by_table.get(id(table), ()))
            local = {
                version: union(each.local[version] for each in of_view) for version in IP_VERSIONS
            }
            resolver = compiled.views.resolver(compiled.views.of_subnet[network, subnet])
            domain = address_domain(policy, network, local)
            views.append(GroupView(f"{network}/{subnet}", resolver, tables, local, domain, of_view))
    linted = tuple(_linted(each) for each in AdminRules(policy.model).every)
    of_rule: dict[str, tuple[GroupView, ...]] = {}
    for view in views:
        for table in view.tables.values():
            for name in table.rule_names[:-1]:  # the last one is silent
                of_rule[name] = (*of_rule.get(name, ()), view)
    return SeenAdminRules(of_rule, linted)


def _linted(applied: AppliedAdminRule) -> LintedAdminRule:
    rule = applied.rule
    return LintedAdminRule(
        applied.name,
        rule.priority,
        rule.direction,
        Access.DENY if rule.access is AdminAccess.DENY else Access.ALLOW,
        rule.access is AdminAccess.ALWAYS_ALLOW,
        _side(rule.sources),
        _side(rule.destinations),
        rule.protocol is Protocol.ANY
        and is_every_address(_side(rule.sources))
        and is_every_address(_side(rule.destinations))
        and merged_ports(rule.source_ports) == ALL_PORT_RANGES
        and merged_ports(rule.destination_ports) == ALL_PORT_RANGES,
    )


def _side(entries: tuple[AdminAddress, ...]) -> object:
    if len(entries) == 1:
        return entries[0]
    prefixes = [entry.prefixes[0] for entry in entries if isinstance(entry, PrefixList)]
    return PrefixList(tuple(prefixes)) if len(prefixes) == len(entries) else entries


def is_always_allow(rule: LintedRule) -> bool:
    """Whether a rule lets pass what it matches without a group being asked."""
    return isinstance(rule, LintedAdminRule) and rule.is_final
