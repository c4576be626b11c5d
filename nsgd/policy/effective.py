"""Effective security rules: a group's rules for one direction, resolved in a virtual network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nsgd.model.address import PortRange
from nsgd.model.network import NetworkModel, NetworkSecurityGroup, VirtualNetwork
from nsgd.model.rule import (
    DEFAULT_SECURITY_RULES,
    Access,
    AnyAddress,
    Direction,
    GroupMembers,
    PlatformTag,
    PrefixList,
    Protocol,
    PublishedTag,
    RuleAddress,
    SecurityRule,
    TagAddress,
)
from nsgd.policy.address_set import ALL_ADDRESSES, AddressSet, Range, merge_ranges
from nsgd.policy.service_tags import TagAddresses, mutual_peers, resolve_tags


@dataclass(frozen=True, slots=True)
class EffectiveSecurityRule:
    """A rule whose tags and groups have become addresses and whose ports are merged."""

    name: str
    priority: int
    access: Access
    protocol: Protocol
    source: AddressSet
    source_ports: tuple[Range, ...]
    destination: AddressSet
    destination_ports: tuple[Range, ...]


class NetworkResolver:
    """Resolves rules in the eyes of one virtual network."""

    def __init__(self, model: NetworkModel, network: VirtualNetwork) -> None:
        self._tags: TagAddresses = resolve_tags(model, network)
        # An application security group is the addresses of its members. A network that is not
        # connected may use the same addresses for other machines, so its members do not count.
        reachable = {network.name, *(peer.name for peer in mutual_peers(model, network))}
        members: dict[str, list[AddressSet]] = {}
        for interface in model.network_interfaces:
            if interface.virtual_network in reachable:
                addresses = AddressSet.of_addresses(interface.private_ip_addresses)
                for group in interface.application_security_groups:
                    members.setdefault(group, []).append(addresses)
        self._members = {
            group: AddressSet(
                merge_ranges(r for part in parts for r in part.ranges_v4),
                merge_ranges(r for part in parts for r in part.ranges_v6),
            )
            for group, parts in members.items()
        }

    def addresses(self, side: RuleAddress) -> AddressSet:
        """The addresses that one side of a rule stands for; empty for empty groups."""
        match side:
            case AnyAddress():
                return ALL_ADDRESSES
            case PrefixList(prefixes):
                return AddressSet.of_prefixes(prefixes)
            case TagAddress(tag):
                return self._tags.addresses(tag)
            case PublishedTag() | PlatformTag():
                raise NotImplementedError
            case GroupMembers(groups):
                union = AddressSet()
                for group in groups:
                    union |= self._members.get(group, AddressSet())
                return union

    def resolve(self, rule: SecurityRule) -> EffectiveSecurityRule:
        """Resolve one rule."""
        return EffectiveSecurityRule(
            name=rule.name,
            priority=rule.priority,
            access=rule.access,
            protocol=rule.protocol,
            source=self.addresses(rule.source),
            source_ports=_merged_ports(rule.source_ports),
            destination=self.addresses(rule.destination),
            destination_ports=_merged_ports(rule.destination_ports),
        )


def _merged_ports(ports: tuple[PortRange, ...]) -> tuple[Range, ...]:
    return merge_ranges((ports_range.first, ports_range.last) for ports_range in ports)


def ordered_rules(group: NetworkSecurityGroup, direction: Direction) -> Iterator[SecurityRule]:
    """The group's and the default rules of one direction, by ascending priority."""
    rules = [rule for rule in group.security_rules if rule.direction is direction]
    yield from sorted(rules, key=lambda rule: rule.priority)
    yield from (rule for rule in DEFAULT_SECURITY_RULES if rule.direction is direction)


def effective_security_rules(
    resolver: NetworkResolver, group: NetworkSecurityGroup, direction: Direction
) -> tuple[EffectiveSecurityRule, ...]:
    """Resolve a group's rules of one direction; the last one matches every packet.

    Source:
        Azure, Network security groups overview: "Rules are processed in priority order, with
        lower numbers processed before higher numbers because lower numbers have higher
        priority. Once traffic matches a rule, processing stops."
    """
    return tuple(resolver.resolve(rule) for rule in ordered_rules(group, direction))
