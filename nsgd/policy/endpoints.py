"""Which declared resource a packet leaves and which it enters, by link and by address.

A NIC that is bound to a link is known by it; any other resource is known by its address: a
declared NIC, or else an instance of a scale set, or else an undeclared resource of the subnet.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from nsgd.model.address import IP_VERSIONS, IPVersion
from nsgd.model.network import NetworkInterface, NetworkModel, ScaleSet
from nsgd.policy.service_tags import mutual_peers

NOT_DECLARED = -1
AMBIGUOUS = -2


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A NIC, any instance of a scale set, or any undeclared resource of a subnet.

    With the tables that judge its traffic.
    """

    name: str  # the NIC's or the scale set's name, or network/subnet
    virtual_network: int  # index in the model's order
    outbound: tuple[int, ...]  # table indexes: those ahead, the NIC's, then the subnet's
    inbound: tuple[int, ...]  # table indexes: those ahead, the subnet's, then the NIC's


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

    @property
    def versions(self) -> tuple[IPVersion, ...]:
        """The IP versions whose packets can be anybody's: of a link any, of an address its own."""
        return tuple(
            version
            for version in IP_VERSIONS
            if self.by_link or any(value != NOT_DECLARED for value in self.values[version])
        )

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


# Table indexes, outbound and inbound.
_Judges = tuple[tuple[int, ...], tuple[int, ...]]
Ahead = _Judges  # those that are asked before those of the groups


def _none_ahead(network: str, subnet: str, created: date | None) -> Ahead:
    return (), ()


def build_endpoint_map(
    model: NetworkModel,
    tables: Mapping[tuple[str, str, str], tuple[int, int]],
    ahead: Callable[[str, str, date | None], Ahead] = _none_ahead,
) -> EndpointMap:
    """Build the map.

    Args:
        model: The loaded networks.
        tables: Outbound and inbound table index by (virtual network, subnet, network security
            group).
        ahead: Tables to ask before those of the groups about what leaves and enters a resource, by
            its virtual network, its subnet and the day of its creation, where that is known.
    """
    endpoints: list[Endpoint] = []
    by_link: dict[str, int] = {}
    spans: dict[IPVersion, list[_Span]] = {4: [], 6: []}
    network_index = {network.name: i for i, network in enumerate(model.virtual_networks)}
    subnet_groups: dict[tuple[str, str], str | None] = {}
    # Many resources are judged alike: their tables are put together once.
    judged_by: dict[tuple[object, ...], _Judges] = {}
    shared: dict[_Judges, _Judges] = {}

    def add(
        name: str,
        network: str,
        subnet: str,
        nic_group: str | None,
        subnet_group: str | None,
        created: date | None = None,
    ) -> int:
        key = network, subnet, nic_group, created
        found = judged_by.get(key)
        if found is None:
            outbound, inbound = ahead(network, subnet, created)
            own = [tables[network, subnet, group] for group in (nic_group, subnet_group) if group]
            made = (
                (*outbound, *(outbound for outbound, _ in own)),
                (*inbound, *(inbound for _, inbound in reversed(own))),
            )
            found = judged_by[key] = shared.setdefault(made, made)
        endpoints.append(Endpoint(name, network_index[network], *found))
        return len(endpoints) - 1

    for owner in model.virtual_networks:
        network = network_index[owner.name]
        for subnet in owner.subnets:
            group = subnet.network_security_group
            subnet_groups[owner.name, subnet.name] = group
            index = add(f"{owner.name}/{subnet.name}", owner.name, subnet.name, None, group)
            for prefix in subnet.address_prefixes:
                spans[prefix.version].append(
                    _Span(prefix.first, prefix.last, network, index, _SUBNET)
                )
    resources: tuple[ScaleSet | NetworkInterface, ...] = (
        *model.scale_sets,
        *model.network_interfaces,
    )
    for resource in resources:
        network = network_index[resource.virtual_network]
        index = add(
            resource.name,
            resource.virtual_network,
            resource.subnet,
            resource.network_security_group,
            subnet_groups[resource.virtual_network, resource.subnet],
            resource.created,
        )
        if isinstance(resource, ScaleSet):
            for prefix in resource.private_ip_address_prefixes:
                spans[prefix.version].append(
                    _Span(prefix.first, prefix.last, network, index, _SCALE_SET)
                )
            continue
        if resource.link is not None:
            by_link[resource.link] = index
        for version, value in resource.private_ip_addresses:
            spans[version].append(_Span(value, value, network, index, _INTERFACE))

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


# What holds an address, the narrowest last: each takes its addresses out of those before.
_SUBNET, _SCALE_SET, _INTERFACE = range(3)


class _Span(NamedTuple):
    first: int
    last: int
    network: int
    endpoint: int
    holder: int


def _sweep(
    spans: Iterable[_Span], ambiguities: list[dict[int, int]]
) -> tuple[list[int], list[int]]:
    """Cut the address space where the answer changes."""
    opening: dict[int, list[_Span]] = {}
    closing: dict[int, list[_Span]] = {}
    for span in spans:
        opening.setdefault(span.first, []).append(span)
        closing.setdefault(span.last + 1, []).append(span)
    held: tuple[dict[int, int], ...] = ({}, {}, {})  # endpoint by network, by kind of holder
    subnets, scale_sets, interfaces = held
    starts, values = [0], [NOT_DECLARED]
    for start in sorted({*opening, *closing}):
        # Closing first: the next prefix may start where the last one ended.
        for span in closing.get(start, ()):
            held[span.holder].pop(span.network)
        for span in opening.get(start, ()):
            held[span.holder][span.network] = span.endpoint
        candidates = {**subnets, **scale_sets, **interfaces}
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
