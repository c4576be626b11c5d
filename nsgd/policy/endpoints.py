"""Which declared resource a packet leaves and which it enters, by link and by address.

A NIC that is bound to a link is known by it; any other resource is known by its address:
a declared NIC, or else an undeclared resource of the subnet that holds the address.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nsgd.model.address import IP_VERSIONS, IPVersion
from nsgd.model.network import NetworkModel
from nsgd.policy.service_tags import mutual_peers

NOT_DECLARED = -1
AMBIGUOUS = -2


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A NIC, or any undeclared resource of a subnet, with the tables that judge its traffic."""

    name: str  # the NIC's name, or network/subnet
    virtual_network: int  # index in the model's order
    outbound: tuple[int, ...]  # table indexes: the NIC's, then the subnet's
    inbound: tuple[int, ...]  # table indexes: the subnet's, then the NIC's


@dataclass(frozen=True, slots=True)
class EndpointMap:
    """Finds endpoints; indexes are into *endpoints*.

    ``values[version][i]`` holds from address ``starts[version][i]`` on: an endpoint index,
    NOT_DECLARED, or ``AMBIGUOUS - k`` for ``ambiguities[k]``, where unpeered virtual networks
    overlap.
    """

    endpoints: tuple[Endpoint, ...]
    by_link: dict[str, int]
    starts: dict[IPVersion, list[int]]
    values: dict[IPVersion, list[int]]
    ambiguities: tuple[dict[int, int], ...]  # endpoint index by virtual network
    peers: tuple[tuple[int, ...], ...]  # mutual peers of each virtual network

    def by_address(self, version: IPVersion, address: int) -> int:
        """The endpoint of an address, NOT_DECLARED, or AMBIGUOUS and below."""
        return self.values[version][bisect_right(self.starts[version], address) - 1]

    def disambiguate(self, ambiguous: int, other: int) -> int:
        """Settle an ambiguous address by the network of the flow's other endpoint.

        Its own network comes first, then its peers. Returns AMBIGUOUS where that does not help.
        """
        if other < 0:
            return AMBIGUOUS
        candidates = self.ambiguities[AMBIGUOUS - ambiguous]
        network = self.endpoints[other].virtual_network
        if network in candidates:
            return candidates[network]
        found = [candidates[peer] for peer in self.peers[network] if peer in candidates]
        return found[0] if len(found) == 1 else AMBIGUOUS

    def find(
        self,
        version: IPVersion,
        source: int,
        destination: int,
        in_link: str | None,
        out_link: str | None,
    ) -> tuple[int, int]:
        """The endpoints that a packet leaves and enters.

        Each is an index, NOT_DECLARED or AMBIGUOUS.
        """
        by_link = self.by_link
        sender = by_link.get(in_link, NOT_DECLARED) if in_link else NOT_DECLARED
        if sender < 0:
            sender = self.by_address(version, source)
        receiver = by_link.get(out_link, NOT_DECLARED) if out_link else NOT_DECLARED
        if receiver < 0:
            receiver = self.by_address(version, destination)
        if sender <= AMBIGUOUS or receiver <= AMBIGUOUS:
            settled_sender = self.disambiguate(sender, receiver) if sender <= AMBIGUOUS else sender
            if receiver <= AMBIGUOUS:
                receiver = self.disambiguate(receiver, sender)
            sender = settled_sender
        return sender, receiver

    def to_plain(self) -> tuple[Any, ...]:
        """The map in built-in types only, for the hand-over to a worker."""
        return (
            tuple((e.name, e.virtual_network, e.outbound, e.inbound) for e in self.endpoints),
            self.by_link,
            self.starts,
            self.values,
            self.ambiguities,
            self.peers,
        )

    @classmethod
    def from_plain(cls, plain: tuple[Any, ...]) -> EndpointMap:
        """The inverse of to_plain."""
        endpoints, *rest = plain
        return cls(tuple(Endpoint(*parts) for parts in endpoints), *rest)


def build_endpoint_map(
    model: NetworkModel, tables: Mapping[tuple[str, str], tuple[int, int]]
) -> EndpointMap:
    """Build the map.

    Args:
        model: The loaded networks.
        tables: Outbound and inbound table index by (virtual network, network security group).
    """
    endpoints: list[Endpoint] = []
    by_link: dict[str, int] = {}
    spans: dict[IPVersion, list[_Span]] = {4: [], 6: []}
    network_index = {network.name: i for i, network in enumerate(model.virtual_networks)}
    subnet_groups: dict[tuple[str, str], str | None] = {}

    def add(name: str, network: str, nic_group: str | None, subnet_group: str | None) -> int:
        from_nic = [tables[network, group] for group in (nic_group, subnet_group) if group]
        endpoints.append(
            Endpoint(
                name,
                network_index[network],
                outbound=tuple(outbound for outbound, _ in from_nic),
                inbound=tuple(inbound for _, inbound in reversed(from_nic)),
            )
        )
        return len(endpoints) - 1

    for interface_owner in model.virtual_networks:
        for subnet in interface_owner.subnets:
            group = subnet.network_security_group
            subnet_groups[interface_owner.name, subnet.name] = group
            index = add(f"{interface_owner.name}/{subnet.name}", interface_owner.name, None, group)
            for prefix in subnet.address_prefixes:
                spans[prefix.version].append(
                    _Span(
                        prefix.first,
                        prefix.last,
                        network_index[interface_owner.name],
                        index,
                        is_interface=False,
                    )
                )
    for interface in model.network_interfaces:
        network = interface.virtual_network
        index = add(
            interface.name,
            network,
            interface.network_security_group,
            subnet_groups[network, interface.subnet],
        )
        if interface.link is not None:
            by_link[interface.link] = index
        for address in interface.private_ip_addresses:
            spans[address.version].append(
                _Span(
                    address.value, address.value, network_index[network], index, is_interface=True
                )
            )

    starts: dict[IPVersion, list[int]] = {}
    values: dict[IPVersion, list[int]] = {}
    ambiguities: list[dict[int, int]] = []
    for version in IP_VERSIONS:
        starts[version], values[version] = _sweep(spans[version], ambiguities)
    return EndpointMap(
        tuple(endpoints),
        by_link,
        starts,
        values,
        tuple(ambiguities),
        tuple(
            tuple(network_index[peer.name] for peer in mutual_peers(model, network_of))
            for network_of in model.virtual_networks
        ),
    )


@dataclass(frozen=True, slots=True)
class _Span:
    first: int
    last: int
    network: int
    endpoint: int
    is_interface: bool  # a declared NIC takes its address out of its subnet


def _sweep(
    spans: Iterable[_Span], ambiguities: list[dict[int, int]]
) -> tuple[list[int], list[int]]:
    """Cut the address space where the answer changes."""
    opening: dict[int, list[_Span]] = {}
    closing: dict[int, list[_Span]] = {}
    for span in spans:
        opening.setdefault(span.first, []).append(span)
        closing.setdefault(span.last + 1, []).append(span)
    subnets: dict[int, int] = {}
    interfaces: dict[int, int] = {}
    starts, values = [0], [NOT_DECLARED]
    for start in sorted({*opening, *closing}):
        # Closing first: the next prefix may start where the last one ended.
        for span in closing.get(start, ()):
            (interfaces if span.is_interface else subnets).pop(span.network)
        for span in opening.get(start, ()):
            (interfaces if span.is_interface else subnets)[span.network] = span.endpoint
        candidates = {**subnets, **interfaces}
        if not candidates:
            value = NOT_DECLARED
        elif len(candidates) == 1:
            (value,) = candidates.values()
        else:
            ambiguities.append(candidates)
            value = AMBIGUOUS - (len(ambiguities) - 1)
        if start == 0:
            values[0] = value
        elif value != values[-1]:
            starts.append(start)
            values.append(value)
    return starts, values
