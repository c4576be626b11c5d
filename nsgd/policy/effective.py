"""Effective security rules: a group's rules for one direction, resolved in a virtual network."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace
from enum import Enum

from nsgd.model.address import ALL_PORTS, Address, PortRange, Prefix
from nsgd.model.network import NetworkModel, NetworkSecurityGroup, VirtualNetwork
from nsgd.model.platform import PlatformAddresses
from nsgd.model.rule import (
    DEFAULT_SECURITY_RULES,
    LOWEST_PRIORITY,
    Access,
    AnyAddress,
    Direction,
    GroupMembers,
    PlatformService,
    PlatformTag,
    PrefixList,
    Protocol,
    PublishedTag,
    RuleAddress,
    SecurityRule,
    TagAddress,
)
from nsgd.policy.address_set import ALL_ADDRESSES, AddressSet, Range, merge_ranges
from nsgd.policy.group_members import GroupAddresses, group_addresses
from nsgd.policy.service_tags import mutual_peers, resolve_tags

ALL_PORT_RANGES: tuple[Range, ...] = ((0, 65535),)
_DEFAULT_ROUTE = Prefix.parse("0.0.0.0/0")
_KEY_MANAGEMENT_PORT = 1688
# The ports that a tag stands for beside its addresses, on the side that names it.
_TAG_PORTS = {PlatformService.DNS: 53, PlatformService.LKM: _KEY_MANAGEMENT_PORT}


class RuleKind(Enum):
    """Where a rule comes from; the value is the collection that Azure's answers name it in."""

    USER = "securityRules"
    DEFAULT = "defaultSecurityRules"
    PLATFORM = "platformRules"
    ADMIN = "securityAdminRules"


# In full, with its collection: no rule of a user has a slash in its name.
UNSUPPORTED_PROTOCOL = f"{RuleKind.PLATFORM.value}/unsupportedProtocol"


@dataclass(frozen=True, slots=True)
class EffectiveSecurityRule:
    """A rule whose tags and groups have become addresses and whose ports are merged.

    The fields is_silent and is_final are those of nsgd.policy.table.CompiledTable.
    """

    name: str  # of platform and admin rules with their collection: platformRules/NAME
    priority: int  # 0 for a platform rule, which has none
    access: Access
    protocol: Protocol
    source: AddressSet
    source_ports: tuple[Range, ...]
    destination: AddressSet
    destination_ports: tuple[Range, ...]
    kind: RuleKind = RuleKind.USER
    is_silent: bool = False
    is_final: bool = False
    any_protocol: tuple[Protocol, ...] = ()  # what ANY stands for; empty: every IP protocol

    @property
    def protocols(self) -> tuple[Protocol, ...]:
        """What the rule matches; ANY among them is every IP protocol."""
        is_limited = self.protocol is Protocol.ANY and self.any_protocol
        return self.any_protocol if is_limited else (self.protocol,)


# The last rule of a table that stands ahead of the groups: they decide what it does not.
GO_ON = EffectiveSecurityRule(
    "goOn",
    0,
    Access.ALLOW,
    Protocol.ANY,
    ALL_ADDRESSES,
    ALL_PORT_RANGES,
    ALL_ADDRESSES,
    ALL_PORT_RANGES,
    RuleKind.PLATFORM,
    is_silent=True,
)
# The last rule of a group's table where '*' is not every protocol: Azure's text of 2017 has no
# rule that would allow one of the others (docs/azure-reference.md, choice 4).
_DENY_UNSUPPORTED = replace(GO_ON, name=UNSUPPORTED_PROTOCOL, access=Access.DENY, is_silent=False)


class SharedAddresses:
    """What rules of all virtual networks resolve to alike; each is resolved once."""

    def __init__(self, model: NetworkModel) -> None:
        platform = model.platform
        self._platform = {
            service: AddressSet.of_addresses(_platform_addresses(platform, service))
            for service in PlatformService
        }
        self._published = {tag.name: tag.prefixes for tag in model.service_tags}
        self._sets: dict[PrefixList | PublishedTag, AddressSet] = {}

    def platform(self, service: PlatformService) -> AddressSet:
        """The addresses of one service of the platform."""
        return self._platform[service]

    def addresses(self, side: PrefixList | PublishedTag) -> AddressSet:
        """The addresses of prefixes, or of a tag of Microsoft's file."""
        if isinstance(side, PrefixList) and len(side.prefixes) == 1:
            return AddressSet.of_prefix(side.prefixes[0])
        found = self._sets.get(side)
        if found is None:
            match side:
                case PrefixList(prefixes):
                    found = AddressSet.of_prefixes(prefixes)
                case PublishedTag(name):
                    found = AddressSet.of_prefixes(self._published[name])
            self._sets[side] = found
        return found


def _platform_addresses(
    platform: PlatformAddresses, service: PlatformService
) -> tuple[Address, ...]:
    match service:
        case PlatformService.DNS:
            return platform.host
        case PlatformService.IMDS:
            return platform.metadata
        case PlatformService.LKM:
            return platform.key_management


class NetworkResolver:
    """Resolves rules in the eyes of one virtual network."""

    def __init__(
        self,
        model: NetworkModel,
        network: VirtualNetwork,
        shared: SharedAddresses | None = None,
    ) -> None:
        """Prepare for the rules of *model* in *network*; *shared* spares work for many."""
        self.dialect = model.dialect
        self._shared = shared or SharedAddresses(model)
        self._tags = resolve_tags(model, network)
        reachable = {network.name, *(peer.name for peer in mutual_peers(model, network))}
        self._members = group_addresses(model, reachable)
        self._exemptions = (
            tuple(self._exempting_rules(network)) if self.dialect.exempts_platform_traffic else ()
        )

    def renewed(self, shared: SharedAddresses) -> NetworkResolver:
        """The same for rules of another model that has the same addresses, those of *shared*.

        What was resolved so far is not taken along: the rules may be gone.
        """
        renewed = copy(self)
        renewed._shared = shared
        renewed._members = GroupAddresses(self._members.by_group)
        return renewed

    @property
    def exemptions(self) -> tuple[EffectiveSecurityRule, ...]:
        """Allow outbound platform traffic, ahead of all but the rules that name its tags.

        Source:
            Azure, Network security groups overview, Azure platform considerations: "By default,
            these services aren't subject to the configured network security groups unless targeted
            by service tags specific to each service"; of licensing, "For deployments using default
            route 0.0.0.0/0 configuration, this platform rule is disabled."
        """
        return self._exemptions

    def _exempting_rules(self, network: VirtualNetwork) -> Iterator[EffectiveSecurityRule]:
        exempted = [
            ("AllowHostOutBound", PlatformService.DNS, Protocol.ANY, ALL_PORT_RANGES),
            ("AllowMetadataOutBound", PlatformService.IMDS, Protocol.ANY, ALL_PORT_RANGES),
        ]
        if _DEFAULT_ROUTE not in network.routes:
            ports: tuple[Range, ...] = ((_KEY_MANAGEMENT_PORT, _KEY_MANAGEMENT_PORT),)
            exempted.append(
                ("AllowKeyManagementOutBound", PlatformService.LKM, Protocol.TCP, ports)
            )
        for name, service, protocol, ports in exempted:
            destination = self._shared.platform(service)
            if destination != AddressSet():
                yield EffectiveSecurityRule(
                    name=f"{RuleKind.PLATFORM.value}/{name}",
                    priority=0,
                    access=Access.ALLOW,
                    protocol=protocol,
                    source=ALL_ADDRESSES,
                    source_ports=ALL_PORT_RANGES,
                    destination=destination,
                    destination_ports=ports,
                    kind=RuleKind.PLATFORM,
                )

    def addresses(self, side: RuleAddress) -> AddressSet:
        """The addresses that one side of a rule stands for; empty for empty groups."""
        match side:
            case PrefixList() | PublishedTag():
                return self._shared.addresses(side)
            case AnyAddress():
                return ALL_ADDRESSES
            case TagAddress(tag):
                return self._tags.addresses(tag)
            case PlatformTag(service):
                return self._shared.platform(service)
            case GroupMembers(groups):
                return self._members.of(groups)

    def ports(self, side: RuleAddress, ports: tuple[PortRange, ...]) -> tuple[Range, ...]:
        """The ports of one side of a rule; empty where its platform tag has none of them."""
        merged = merged_ports(ports)
        port = _TAG_PORTS.get(side.service) if isinstance(side, PlatformTag) else None
        if port is None:
            return merged
        return ((port, port),) if any(first <= port <= last for first, last in merged) else ()

    def resolve(self, rule: SecurityRule) -> EffectiveSecurityRule:
        """Resolve one rule."""
        return EffectiveSecurityRule(
            name=rule.name,
            priority=rule.priority,
            access=rule.access,
            protocol=rule.protocol,
            source=self.addresses(rule.source),
            source_ports=self.ports(rule.source, rule.source_ports),
            destination=self.addresses(rule.destination),
            destination_ports=self.ports(rule.destination, rule.destination_ports),
            kind=RuleKind.DEFAULT if rule.priority > LOWEST_PRIORITY else RuleKind.USER,
            any_protocol=self.dialect.any_protocol,
        )


def merged_ports(ports: tuple[PortRange, ...]) -> tuple[Range, ...]:
    """Sorted disjoint ranges; ALL_PORT_RANGES itself for all ports."""
    if len(ports) == 1:
        only = ports[0]
        # '*' is read as this very object.
        if only is ALL_PORTS:
            return ALL_PORT_RANGES
        merged: tuple[Range, ...] = ((only.first, only.last),)
    else:
        merged = merge_ranges([(each.first, each.last) for each in ports])
    return ALL_PORT_RANGES if merged == ALL_PORT_RANGES else merged


def ordered_rules(group: NetworkSecurityGroup, direction: Direction) -> Iterator[SecurityRule]:
    """The group's and the default rules of one direction, by ascending priority."""
    rules = [rule for rule in group.security_rules if rule.direction is direction]
    yield from sorted(rules, key=lambda rule: rule.priority)
    yield from (rule for rule in DEFAULT_SECURITY_RULES if rule.direction is direction)


def effective_security_rules(
    resolver: NetworkResolver, group: NetworkSecurityGroup, direction: Direction
) -> tuple[EffectiveSecurityRule, ...]:
    """Resolve a group's rules of one direction, in the order in which they are tried.

    That is by ascending priority, but for platform traffic: outbound, the rules that deny it by
    its tags come first and those that exempt it follow. The last rule matches every packet: the
    default one, or what denies protocols that rules of the model's dialect cannot name.

    Source:
        Azure, Network security groups overview: "Rules are processed in priority order, with
        lower numbers processed before higher numbers because lower numbers have higher
        priority. Once traffic matches a rule, processing stops."
    """
    rules = tuple(ordered_rules(group, direction))
    rest = (_DENY_UNSUPPORTED,) if resolver.dialect.any_protocol else ()
    if direction is Direction.INBOUND:
        return (*(resolver.resolve(rule) for rule in rules), *rest)
    denials = [rule for rule in rules if _denies_platform_traffic(rule)]
    others = [rule for rule in rules if rule not in denials] if denials else rules
    return (
        *(resolver.resolve(rule) for rule in denials),
        *resolver.exemptions,
        *(resolver.resolve(rule) for rule in others),
        *rest,
    )


def _denies_platform_traffic(rule: SecurityRule) -> bool:
    return rule.access is Access.DENY and isinstance(rule.destination, PlatformTag)
