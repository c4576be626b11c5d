"""Network security groups by how they are seen: the tables of each view, and who is judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from nsgd.analysis.policy import AnalysedPolicy, Subject, last_address
from nsgd.answers.resources import Kind
from nsgd.model.address import IP_VERSIONS, IPVersion, Prefix
from nsgd.model.network import NetworkSecurityGroup, VirtualNetwork
from nsgd.model.rule import Access, AnyAddress, Direction, PrefixList, SecurityRule
from nsgd.model.rule import Protocol as IPProtocol
from nsgd.policy.address_set import AddressSet
from nsgd.policy.effective import (
    ALL_PORT_RANGES,
    NetworkResolver,
    effective_security_rules,
    merged_ports,
)
from nsgd.policy.table import CompiledTable, compile_table
from nsgd.spaces.ranges import Ranges, union

Local = Mapping[IPVersion, Ranges]
_MOST_VIEWS = 4  # of a group that is attached nowhere
# Where no network is declared it may be any: what is found must hold if the tag VirtualNetwork is
# all private addresses, and if it is none.
_ASSUMED_NETWORKS = (
    VirtualNetwork(
        "",
        tuple(
            Prefix.parse(text)
            for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
        ),
    ),
    VirtualNetwork("", ()),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """Resources that are asked by the same tables in one direction, with their addresses."""

    direction: Direction
    tables: tuple[CompiledTable, ...]
    local: Local
    subject: Subject  # one of them


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group as some subnets see it; *local* is empty where it is attached to nothing there.

    *domain* are all addresses that there could be: those of the virtual network, and all where
    something forwards for others. *asked* are the resources that ask it; of a group that is
    attached nowhere, all there could be.
    """

    subnet: str | None  # network/subnet, one of them; None where no network is declared
    resolver: NetworkResolver
    tables: Mapping[Direction, CompiledTable]
    local: Local
    domain: Local
    asked: tuple[Asked, ...] = field(default=())


class LintedRule(Protocol):
    """What is looked at of a rule as it is written; sides are those of its kind of rules."""

    @property
    def name(self) -> str:
        """Its name in the table."""

    @property
    def priority(self) -> int:
        """Lower first."""

    @property
    def access(self) -> Access:
        """What it does; AlwaysAllow is an Allow."""

    @property
    def source(self) -> object:
        """A RuleAddress, or of security admin rules several entries."""

    @property
    def destination(self) -> object:
        """The other side."""


class Seen(Protocol):
    """Rules with all views that there are of them: a group's, or the security admin rules."""

    @property
    def name(self) -> str:
        """The group's name; empty for the security admin rules."""

    @property
    def is_of_admin(self) -> bool:
        """Whether these are the security admin rules."""

    def rules(self, direction: Direction) -> Sequence[LintedRule]:
        """The user's rules of one direction, by priority."""

    def views_of(self, rule: LintedRule) -> tuple[GroupView, ...]:
        """The views whose tables have a rule."""

    def backstops(self, direction: Direction) -> Sequence[LintedRule]:
        """Rules that deny all that is left on purpose."""


@dataclass(frozen=True, slots=True)
class SeenGroup:
    """A group with all views that there are of it."""

    group: NetworkSecurityGroup
    views: tuple[GroupView, ...]
    is_attached: bool
    is_of_admin: bool = False

    @property
    def name(self) -> str:
        """The group's name."""
        return self.group.name

    def views_of(self, rule: LintedRule) -> tuple[GroupView, ...]:
        """Where a rule is seen: a group's rules are all seen together."""
        return self.views

    def rules(self, direction: Direction) -> list[SecurityRule]:
        """The user's rules of one direction, by priority."""
        rules = [rule for rule in self.group.security_rules if rule.direction is direction]
        return sorted(rules, key=lambda rule: rule.priority)

    def backstops(self, direction: Direction) -> list[SecurityRule]:
        """The last rule of the user's, where it denies all that is left on purpose."""
        return [rule for rule in self.rules(direction)[-1:] if denies_everything(rule)]


def denies_everything(rule: SecurityRule) -> bool:
    """Whether a rule is a Deny of every packet, as such."""
    return (
        rule.access is Access.DENY
        and rule.protocol is IPProtocol.ANY
        and is_every_address(rule.source)
        and is_every_address(rule.destination)
        and merged_ports(rule.source_ports) == ALL_PORT_RANGES
        and merged_ports(rule.destination_ports) == ALL_PORT_RANGES
    )


def is_every_address(side: object) -> bool:
    """Whether one side of a rule is everything, as such."""
    # 0.0.0.0/0 is every address of IPv4 alone, and often meant as a backstop.
    is_all_blocks = isinstance(side, PrefixList) and all(
        prefix.length == 0 for prefix in side.prefixes
    )
    return isinstance(side, AnyAddress) or is_all_blocks


def asked_alike(policy: AnalysedPolicy) -> list[Asked]:
    """All resources, by direction and tables."""
    addresses = {version: policy.addresses(version) for version in IP_VERSIONS}
    found: dict[tuple[Direction, tuple[int, ...], str], list[int]] = {}
    for direction in Direction:
        for endpoint, subject in enumerate(policy.subjects):
            tables = policy.tables(endpoint, direction)
            key = direction, tuple(map(id, tables)), subject.virtual_network
            found.setdefault(key, []).append(endpoint)
    result = []
    for (direction, _, _), endpoints in found.items():
        local: dict[IPVersion, Ranges] = {}
        for version in IP_VERSIONS:
            of_version = addresses[version]
            local[version] = union(of_version[e] for e in endpoints if e in of_version)
        subject = policy.subjects[endpoints[0]]
        result.append(Asked(direction, policy.tables(endpoints[0], direction), local, subject))
    return [asked for asked in result if any(asked.local.values())]


def seen_groups(policy: AnalysedPolicy, asked: Iterable[Asked]) -> list[SeenGroup]:
    """Every group; one that is attached nowhere as some subnet would see it."""
    by_table: dict[int, list[Asked]] = {}
    for each in asked:
        for table in each.tables:
            by_table.setdefault(id(table), []).append(each)
    compiled = policy.compiled
    subnets = {view: f"{network}/{name}" for (network, name), view in _reversed(policy)}
    views: dict[str, list[GroupView]] = {}
    for (view, name), indexes in compiled.of_groups.items():
        tables = {
            direction: compiled.policy.tables[index]
            for direction, index in zip(
                (Direction.OUTBOUND, Direction.INBOUND), indexes, strict=True
            )
        }
        of_view = tuple(each for table in tables.values() for each in by_table.get(id(table), ()))
        local = {version: union(each.local[version] for each in of_view) for version in IP_VERSIONS}
        resolver = compiled.views.resolver(view)
        views.setdefault(name, []).append(
            GroupView(
                subnets[view],
                resolver,
                tables,
                local,
                address_domain(policy, view[0], local),
                of_view,
            )
        )
    return [
        SeenGroup(group, tuple(views[group.name]), True)
        if group.name in views
        else SeenGroup(group, tuple(_views_of_unattached(policy, group)), False)
        for group in policy.model.network_security_groups
    ]


def _reversed(policy: AnalysedPolicy) -> Iterable[tuple[tuple[str, str], object]]:
    return reversed(list(policy.compiled.views.of_subnet.items()))


def _views_of_unattached(
    policy: AnalysedPolicy, group: NetworkSecurityGroup
) -> Iterable[GroupView]:
    views = policy.compiled.views
    resolvers: list[tuple[str | None, NetworkResolver]] = []
    seen: set[object] = set()
    for (network, subnet), view in views.of_subnet.items():
        if view not in seen and len(seen) < _MOST_VIEWS:
            seen.add(view)
            resolvers.append((f"{network}/{subnet}", views.resolver(view)))
    if not resolvers:
        assumed = [NetworkResolver(policy.model, network) for network in _ASSUMED_NETWORKS]
        resolvers = [(None, resolver) for resolver in assumed]
    for name, resolver in resolvers:
        tables = {
            direction: compile_table(
                group.name, direction, effective_security_rules(resolver, group, direction)
            )
            for direction in Direction
        }
        # As if every address were asked by it: what it opens is open where it will be attached.
        everywhere = _everywhere()
        network, _, subnet = (name or "").rpartition("/")
        subject = Subject(Kind.SUBNET, name or "", network, subnet)
        asked = tuple(Asked(d, (table,), everywhere, subject) for d, table in tables.items())
        none: Local = {4: (), 6: ()}
        domain = address_domain(policy, network, none) if network else everywhere
        yield GroupView(name, resolver, tables, none, domain, asked)


def address_domain(policy: AnalysedPolicy, network: str, local: Local) -> Local:
    """All addresses that tables of a network could judge: its own, and those that are known."""
    (space,) = (n.address_space for n in policy.model.virtual_networks if n.name == network)
    addresses = AddressSet.of_prefixes(space)
    return {version: union([addresses.ranges(version), local[version]]) for version in IP_VERSIONS}


def _everywhere() -> Local:
    return {version: ((0, last_address(version)),) for version in IP_VERSIONS}
