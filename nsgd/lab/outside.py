"""The hosts of a lab that are in no virtual network: Internet, on-premises, Azure's platform."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from nsgd.lab.addresses import UNROUTABLE, following, rule_prefixes
from nsgd.lab.candidates import Candidate, Givers, Shown
from nsgd.model.address import Address, IPVersion, Prefix
from nsgd.model.network import NetworkModel
from nsgd.policy.address_set import AddressSet
from nsgd.policy.service_tags import GLOBALLY_REACHABLE

INTERNET, ELSEWHERE, PLATFORM = "internet", "elsewhere", "platform"
# Of one host: each is tried with many others.
_MAXIMUM_ADDRESSES = 24
_OFFSET = 4
# Documentation and ORCHIDv2: in the tag Internet, and nobody's.
_INTERNET = tuple(map(Address.parse, ("203.0.113.10", "2001:20::10")))
# Neither in the tag Internet nor in a network that has no use for them.
_PRIVATE = AddressSet.of_prefixes(
    map(Prefix.parse, ("172.31.0.96/27", "192.168.255.96/27", "fdff:ffff::60/123"))
)


@dataclass(slots=True)
class _Outside:
    """What is found for the hosts, by their names; *used* is inside networks or cannot be had."""

    model: NetworkModel
    givers: Givers
    versions: list[IPVersion]
    used: AddressSet
    addresses: dict[str, list[Address]] = field(default_factory=dict)

    def add(self, address: Address | None) -> None:
        """Give an address to the host of its place, unless it is taken or not to be had."""
        if address is None or address.version not in self.versions:
            return
        if self.used.contains(*address):
            return
        found = self.addresses.setdefault(self._place(address), [])
        if len(found) < _MAXIMUM_ADDRESSES and self.givers.taken.take_this(address):
            found.append(address)

    def _place(self, address: Address) -> str:
        platform = self.model.platform
        for network in self.model.virtual_networks:
            if any(prefix.contains(address) for prefix in network.on_premises):
                return f"on-premises-{network.name}"
        if address in {*platform.host, *platform.metadata, *platform.key_management}:
            return PLATFORM
        if address in platform.load_balancer:
            return PLATFORM
        return INTERNET if GLOBALLY_REACHABLE.contains(*address) else ELSEWHERE

    def edge(self, prefix: Prefix) -> Address | None:
        """The last address of a prefix that a host outside can have."""
        ranges = (AddressSet.of_prefix(prefix) - self.used).ranges(prefix.version)
        return Address(prefix.version, ranges[-1][1]) if ranges else None

    def first(self, ranges: AddressSet, version: IPVersion) -> Address | None:
        """The first address of a set that a host outside can have."""
        left = (ranges - self.used).ranges(version)
        if not left:
            return None
        first, last = left[0]
        # Not the address that stands for the network itself, where there are others.
        return Address(version, min(first + _OFFSET, last))


def outside_candidates(model: NetworkModel, givers: Givers) -> Iterator[Candidate]:
    """A host for each place outside, with addresses that rules tell apart."""
    spaces = [prefix for network in model.virtual_networks for prefix in network.address_space]
    declared = AddressSet.of_prefixes(spaces) | UNROUTABLE
    versions: set[IPVersion] = {prefix.version for prefix in spaces}
    outside = _Outside(model, givers, sorted(versions), declared)
    connected = AddressSet.of_prefixes(
        prefix
        for network in model.virtual_networks
        for prefix in (*network.on_premises, *(p for p in network.routes if p.length))
    )
    platform = model.platform
    for address in _INTERNET:
        if connected.contains(*address) or declared.contains(*address):
            outside.add(outside.first(GLOBALLY_REACHABLE - connected, address.version))
        else:
            outside.add(address)
    for version in outside.versions:
        outside.add(outside.first(_PRIVATE - connected, version))
    for addresses in (
        platform.host,
        platform.metadata,
        platform.key_management,
        platform.load_balancer,
    ):
        for address in addresses:
            outside.add(address)
    for network in model.virtual_networks:
        for prefix in (*network.on_premises, *(p for p in network.routes if p.length)):
            outside.add(outside.first(AddressSet.of_prefix(prefix), prefix.version))
    named = rule_prefixes(model)
    for prefix in named:
        outside.add(outside.edge(prefix))
    for prefix in named:
        outside.add(following(prefix))
    for name, found in outside.addresses.items():
        if found:
            host = givers.host(givers.name(name), found)
            shown: set[Shown] = {("place outside", name)}
            yield Candidate("place outside", name, (host,), frozenset(shown))
