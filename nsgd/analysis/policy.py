"""A compiled policy by what it judges: resources, their addresses and their tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nsgd.answers.resources import Kind
from nsgd.model.address import ADDRESS_BITS, IPVersion
from nsgd.model.network import NetworkModel
from nsgd.model.rule import (
    Direction,
    GroupMembers,
    PlatformTag,
    PublishedTag,
    RuleAddress,
    ServiceTag,
    TagAddress,
)
from nsgd.policy.address_set import AddressSet, merge_ranges
from nsgd.policy.compile import Compiled, compile_after
from nsgd.policy.effective import NetworkResolver
from nsgd.policy.endpoints import AMBIGUOUS, NOT_DECLARED
from nsgd.policy.table import CompiledTable
from nsgd.spaces.ranges import Ranges


@dataclass(frozen=True, slots=True)
class Subject:
    """A network interface, the instances of a scale set, or what else is in a subnet."""

    kind: Kind
    name: str  # of a subnet with its virtual network's
    virtual_network: str
    subnet: str
    has_every_address: bool = False  # it forwards for others, by a link of its own

    def __str__(self) -> str:
        words = {
            Kind.NETWORK_INTERFACE: "network interface",
            Kind.SCALE_SET: "scale set",
            Kind.SUBNET: "undeclared resources of subnet",
        }
        return f"{words[self.kind]} {self.name}"


class AnalysedPolicy:
    """A model, compiled, with its resources by the index that the endpoint map gives them."""

    def __init__(self, model: NetworkModel, before: Compiled | None = None) -> None:
        """Compile *model*, sharing with *before* what is equal."""
        self.model = model
        self.compiled = compile_after(before, model)
        self.subjects = tuple(_subjects(model))
        self.endpoints = self.compiled.policy.endpoint_map.endpoints
        self._names: dict[tuple[str, str], dict[str, AddressSet]] = {}

    def tables(self, endpoint: int | None, direction: Direction) -> tuple[CompiledTable, ...]:
        """The tables that a resource is asked by, in order; none for what is not declared."""
        if endpoint is None:
            return ()
        found = self.endpoints[endpoint]
        indexes = found.outbound if direction is Direction.OUTBOUND else found.inbound
        return tuple(self.compiled.policy.tables[index] for index in indexes)

    def spans(self, version: IPVersion) -> Iterator[tuple[int, dict[str, int]]]:
        """From which address on which resources are there, by the names of their networks."""
        endpoint_map = self.compiled.policy.endpoint_map
        networks = [network.name for network in self.model.virtual_networks]
        starts, values = endpoint_map.starts[version], endpoint_map.values[version]
        for start, value in zip(starts, values, strict=True):
            if value <= AMBIGUOUS:
                found = endpoint_map.ambiguities[AMBIGUOUS - value]
                yield start, {networks[index]: endpoint for index, endpoint in found.items()}
            elif value == NOT_DECLARED:
                yield start, {}
            else:
                yield start, {networks[self.endpoints[value].virtual_network]: value}

    def addresses(self, version: IPVersion) -> dict[int, Ranges]:
        """The addresses of each resource that has some, by its index."""
        found: dict[int, list[tuple[int, int]]] = {}
        spans = list(self.spans(version))
        ends = [*(start - 1 for start, _ in spans[1:]), last_address(version)]
        for (start, there), end in zip(spans, ends, strict=True):
            for endpoint in there.values():
                found.setdefault(endpoint, []).append((start, end))
        merged = {endpoint: merge_ranges(ranges) for endpoint, ranges in found.items()}
        everything: Ranges = ((0, last_address(version)),)
        for endpoint, subject in enumerate(self.subjects):
            if subject.has_every_address:
                merged[endpoint] = everything
        return merged

    def nobodys(self, version: IPVersion) -> Ranges:
        """Addresses of the virtual networks that no subnet has, so that nothing can have them.

        Packets from there are none of a declared network's: engines drop them as spoofed.
        """
        spaces = AddressSet.of_prefixes(
            prefix for network in self.model.virtual_networks for prefix in network.address_space
        )
        subnets = AddressSet.of_prefixes(
            prefix
            for network in self.model.virtual_networks
            for subnet in network.subnets
            for prefix in subnet.address_prefixes
        )
        return (spaces - subnets).ranges(version)

    def resolver(self, subject: Subject) -> NetworkResolver:
        """What resolves the rules of a resource's groups."""
        views = self.compiled.views
        return views.resolver(views.of_subnet[subject.virtual_network, subject.subnet])

    def names(self, subject: Subject) -> dict[str, AddressSet]:
        """The tags and groups that the policy's rules name, as the resource sees them."""
        key = subject.virtual_network, subject.subnet
        found = self._names.get(key)
        if found is None:
            resolver = self.resolver(subject)
            found = self._names[key] = {
                side_text(side): resolver.addresses(side) for side in self._named_sides()
            }
        return found

    def _named_sides(self) -> Iterable[RuleAddress]:
        sides: dict[RuleAddress, None] = {TagAddress(tag): None for tag in ServiceTag}
        for group in self.model.network_security_groups:
            for rule in group.security_rules:
                for side in (rule.source, rule.destination):
                    if isinstance(side, PublishedTag | GroupMembers | PlatformTag):
                        sides[side] = None
        for tag in self.admin_tags():
            sides[tag] = None
        return sides

    def admin_tags(self) -> Iterator[PublishedTag]:
        """The tags of Microsoft's file that security admin rules name."""
        for configuration in self.model.security_admin_configurations:
            for collection in configuration.rule_collections:
                for rule in collection.rules:
                    for entry in (*rule.sources, *rule.destinations):
                        if isinstance(entry, PublishedTag):
                            yield entry


def side_text(side: RuleAddress) -> str:
    """One side of a rule as documents have it."""
    match side:
        case TagAddress(tag):
            return tag.value
        case PublishedTag(name):
            return name
        case PlatformTag(service):
            return service.value
        case GroupMembers(groups):
            return ", ".join(groups)
    return "*"


def last_address(version: IPVersion) -> int:
    """The highest address of an IP version."""
    return (1 << ADDRESS_BITS[version]) - 1


def _subjects(model: NetworkModel) -> Iterator[Subject]:
    """In the order in which nsgd.policy.endpoints numbers them."""
    for network in model.virtual_networks:
        for subnet in network.subnets:
            yield Subject(Kind.SUBNET, f"{network.name}/{subnet.name}", network.name, subnet.name)
    for scale_set in model.scale_sets:
        yield Subject(Kind.SCALE_SET, scale_set.name, scale_set.virtual_network, scale_set.subnet)
    for nic in model.network_interfaces:
        forwards = nic.enable_ip_forwarding and nic.link is not None
        yield Subject(Kind.NETWORK_INTERFACE, nic.name, nic.virtual_network, nic.subnet, forwards)
