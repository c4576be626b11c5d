"""Picks addresses for hosts that no document declares: free ones, inside or outside networks."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter

from nsgd.model.address import ADDRESS_BITS, Address, IPVersion, Prefix
from nsgd.model.network import NetworkModel, Subnet
from nsgd.model.reserved import LONGEST_WITH_RESERVED, RESERVED_FIRST
from nsgd.model.rule import PrefixList, PublishedTag
from nsgd.policy.address_set import AddressSet

# What no host of a routed network can have, and the gateway's own addresses.
UNROUTABLE = AddressSet.of_prefixes(
    Prefix.parse(text)
    for text in (
        "0.0.0.0/8",
        "127.0.0.0/8",
        "169.254.1.0/30",
        "224.0.0.0/3",
        "::/64",
        "fe80::/10",
        "ff00::/8",
    )
)


class Taken:
    """Addresses that hosts have already: no address is given twice."""

    def __init__(self, addresses: Iterable[Address]) -> None:
        self._addresses = set(addresses)

    def take(self, ranges: AddressSet, version: IPVersion, *, last: bool = False) -> Address | None:
        """Take the first free address of *ranges*, or the last, or None where there is none."""
        for address in _addresses_of(ranges, version, last):
            if address not in self._addresses:
                self._addresses.add(address)
                return address
        return None

    def take_this(self, address: Address) -> bool:
        """Take one address; False where it is taken already."""
        is_free = address not in self._addresses
        self._addresses.add(address)
        return is_free


def _addresses_of(ranges: AddressSet, version: IPVersion, last: bool) -> Iterator[Address]:
    spans = ranges.ranges(version)
    for first, end in reversed(spans) if last else spans:
        values = range(end, first - 1, -1) if last else range(first, end + 1)
        for value in values:
            yield Address(version, value)


def assignable(prefixes: Iterable[Prefix]) -> AddressSet:
    """The addresses of a subnet's prefixes that Azure gives to resources."""
    kept = []
    for prefix in prefixes:
        whole = AddressSet.of_prefix(prefix)
        if prefix.version == 6 or prefix.length <= LONGEST_WITH_RESERVED:
            reserved = [
                Address(prefix.version, prefix.first + index) for index in range(RESERVED_FIRST)
            ]
            reserved.append(Address(prefix.version, prefix.last))
            whole -= AddressSet.of_addresses(reserved)
        kept.append(whole)
    return AddressSet.union(kept) - UNROUTABLE


class SubnetFinder:
    """Finds the subnet that an address or a prefix lies in."""

    def __init__(self, model: NetworkModel) -> None:
        self._spans: dict[IPVersion, list[tuple[int, int, tuple[str, Subnet]]]] = {4: [], 6: []}
        for network in model.virtual_networks:
            for subnet in network.subnets:
                for prefix in subnet.address_prefixes:
                    self._spans[prefix.version].append(
                        (prefix.first, prefix.last, (network.name, subnet))
                    )
        for spans in self._spans.values():
            spans.sort(key=itemgetter(0))

    def around(self, prefix: Prefix) -> tuple[str, Subnet] | None:
        """Name of the network, and the subnet that holds all of *prefix*."""
        spans = self._spans[prefix.version]
        index = bisect_right(spans, prefix.first, key=itemgetter(0)) - 1
        if index < 0 or spans[index][1] < prefix.last:
            return None
        return spans[index][2]


def attached_groups(model: NetworkModel) -> set[str]:
    """Names of the network security groups that judge something."""
    groups = [
        *(s.network_security_group for network in model.virtual_networks for s in network.subnets),
        *(nic.network_security_group for nic in model.network_interfaces),
        *(scale_set.network_security_group for scale_set in model.scale_sets),
    ]
    return {group for group in groups if group is not None}


def rule_prefixes(model: NetworkModel) -> list[Prefix]:
    """The prefixes that rules name, but not those of groups that judge nothing.

    Of a published tag it is one of each family.
    """
    found: dict[Prefix, None] = {}
    tags: dict[str, Sequence[Prefix]] = {tag.name: tag.prefixes for tag in model.service_tags}
    for side in _sides(model):
        match side:
            case PrefixList(prefixes):
                found |= dict.fromkeys(p for p in prefixes if p.length)
            case PublishedTag(name):
                first: dict[IPVersion, Prefix] = {}
                for prefix in tags[name]:
                    first.setdefault(prefix.version, prefix)
                found |= dict.fromkeys(first.values())
            case _:
                pass  # no prefixes of its own
    return list(found)


def _sides(model: NetworkModel) -> Iterator[object]:
    for configuration in model.security_admin_configurations:
        for collection in configuration.rule_collections:
            for admin_rule in collection.rules:
                yield from (*admin_rule.sources, *admin_rule.destinations)
    attached = attached_groups(model)
    for group in model.network_security_groups:
        if group.name in attached:
            for rule in group.security_rules:
                yield from (rule.source, rule.destination)


def following(prefix: Prefix) -> Address | None:
    """The address after a prefix, where there is one."""
    if prefix.last + 1 >= 1 << ADDRESS_BITS[prefix.version]:
        return None
    return Address(prefix.version, prefix.last + 1)
