"""The hosts that a lab of a policy could have inside its virtual networks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from nsgd.lab.addresses import SubnetFinder, Taken, assignable, rule_prefixes
from nsgd.lab.topology import LabHost
from nsgd.model.address import IP_VERSIONS, Address, Prefix
from nsgd.model.network import NetworkInterface, NetworkModel, Subnet, VirtualNetwork
from nsgd.policy.address_set import AddressSet

GATEWAY = "gateway"
INSTANCES = 2  # of each scale set
# A host without a declaration has an address more for rules that name a part of its subnet.
_MORE_ADDRESSES = 4
_LINK_BYTES = 15
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")
# Where what is behind a forwarding NIC is: outside of every virtual network, and no Internet.
_BEHIND = assignable(map(Prefix.parse, ("198.18.0.0/15", "fd53:b::/64")))

Shown = tuple[str, str]  # what kind of thing a host shows, and which one


@dataclass(frozen=True, slots=True)
class Candidate:
    """Hosts that are built together or not at all, and what they would show."""

    kind: str
    name: str
    hosts: tuple[LabHost, ...]
    shows: frozenset[Shown]


@dataclass(slots=True)
class Givers:
    """Names, links and addresses that are given once."""

    taken: Taken
    links: set[str]
    names: set[str] = field(default_factory=lambda: {GATEWAY})

    def name(self, *parts: str) -> str:
        """A host's name: fit for files, and unlike all others."""
        text = _NOT_IN_NAMES.sub("-", "-".join(parts)).lstrip("-.") or "host"
        return _unlike(text, 200, self.names)

    def link(self, name: str) -> str:
        """A link's name that no document has given to another."""
        return _unlike(f"h-{name}", _LINK_BYTES, self.links)

    def host(self, name: str, addresses: Iterable[Address | None]) -> LabHost:
        """A host with a link of its own; addresses that are None are left out."""
        given = tuple(address for address in addresses if address is not None)
        return LabHost(name, given, self.link(name))


def _unlike(text: str, limit: int, others: set[str]) -> str:
    chosen, number = text[:limit], 1
    while chosen in others:
        number += 1
        chosen = f"{text[: limit - len(str(number)) - 1]}-{number}"
    others.add(chosen)
    return chosen


def givers_for(model: NetworkModel) -> Givers:
    """What is taken before any host is thought of: declared addresses and links."""
    declared = (a for nic in model.network_interfaces for a in nic.private_ip_addresses)
    links = {nic.link for nic in model.network_interfaces if nic.link}
    return Givers(Taken(declared), {"lo", *links})


def inside_candidates(model: NetworkModel, givers: Givers) -> Iterator[Candidate]:
    """Hosts for NICs, then instances of scale sets, then undeclared resources of subnets."""
    networks = {network.name: network for network in model.virtual_networks}
    subnets = {
        (network.name, subnet.name): subnet
        for network in model.virtual_networks
        for subnet in network.subnets
    }
    for nic in model.network_interfaces:
        subnet = subnets[nic.virtual_network, nic.subnet]
        yield _interface(nic, subnet, networks[nic.virtual_network], givers)
    instances: dict[str, list[Prefix]] = {}
    for scale_set in model.scale_sets:
        instances.setdefault(scale_set.virtual_network, []).extend(
            scale_set.private_ip_address_prefixes
        )
        subnet = subnets[scale_set.virtual_network, scale_set.subnet]
        free = assignable(subnet.address_prefixes)
        free -= free - AddressSet.of_prefixes(scale_set.private_ip_address_prefixes)
        hosts = []
        for number in range(INSTANCES):
            addresses = [givers.taken.take(free, version) for version in IP_VERSIONS]
            if any(addresses):
                hosts.append(givers.host(givers.name(scale_set.name, str(number)), addresses))
        if hosts:
            shown = _judged(scale_set.virtual_network, subnet, scale_set.network_security_group)
            shown |= {
                ("application security group", n) for n in scale_set.application_security_groups
            }
            yield Candidate("scale set", scale_set.name, tuple(hosts), frozenset(shown))
    named = _named_parts(model)
    for (network, _), subnet in subnets.items():
        free = assignable(subnet.address_prefixes)
        free -= AddressSet.of_prefixes(instances.get(network, ()))
        more = named.get((network, subnet.name), [])
        host = _undeclared(network, subnet, free, more, givers)
        if host is not None:
            shown = {*_judged(network, subnet, None), ("undeclared", f"{network}/{subnet.name}")}
            yield Candidate(
                "undeclared resource", f"{network}/{subnet.name}", (host,), frozenset(shown)
            )


def _judged(network: str, subnet: Subnet, group: str | None) -> set[Shown]:
    groups = [each for each in (group, subnet.network_security_group) if each]
    return {
        ("subnet", f"{network}/{subnet.name}"),
        ("combination of groups", f"{network}: {group} and {subnet.network_security_group}"),
        *(("network security group", each) for each in groups),
    }


def _interface(
    nic: NetworkInterface, subnet: Subnet, network: VirtualNetwork, givers: Givers
) -> Candidate:
    name = givers.name(nic.name)
    link = nic.link or givers.link(name)
    host = LabHost(name, nic.private_ip_addresses, link)
    hosts: tuple[LabHost, ...] = (host,)
    shown = _judged(nic.virtual_network, subnet, nic.network_security_group)
    shown |= {("application security group", name) for name in nic.application_security_groups}
    if nic.enable_ip_forwarding:
        # It sends with addresses of others, which need a host that has them.
        routed = assignable(p for p in network.routes if p.length)
        routed -= AddressSet.of_prefixes(network.address_space)
        behind = [
            givers.taken.take(routed, version) or givers.taken.take(_BEHIND, version)
            for version in IP_VERSIONS
            if host.address(version) is not None
        ]
        given = tuple(address for address in behind if address is not None)
        hosts += (LabHost(givers.name("behind", nic.name), given, link, behind=name),)
        shown.add(("forwarding network interface", nic.name))
    return Candidate("network interface", nic.name, hosts, frozenset(shown))


def _named_parts(model: NetworkModel) -> dict[tuple[str, str], list[Prefix]]:
    """Prefixes in rules that are a part of a subnet, by network and subnet."""
    finder = SubnetFinder(model)
    parts: dict[tuple[str, str], list[Prefix]] = {}
    for prefix in rule_prefixes(model):
        found = finder.around(prefix)
        if found is not None and prefix not in found[1].address_prefixes:
            parts.setdefault((found[0], found[1].name), []).append(prefix)
    return parts


def _undeclared(
    network: str, subnet: Subnet, free: AddressSet, parts: Sequence[Prefix], givers: Givers
) -> LabHost | None:
    named = AddressSet.of_prefixes(parts)
    addresses = [
        # Outside of all parts that rules name, where the subnet has such addresses.
        givers.taken.take(free - named, version) or givers.taken.take(free, version)
        for version in IP_VERSIONS
    ]
    for prefix in parts:
        if len(addresses) >= len(IP_VERSIONS) + _MORE_ADDRESSES:
            break
        inside = free - (free - AddressSet.of_prefix(prefix))
        addresses.append(givers.taken.take(inside, prefix.version))
    if not any(addresses):
        return None
    return givers.host(givers.name(network, subnet.name, "other"), addresses)
