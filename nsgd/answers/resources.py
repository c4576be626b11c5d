"""Finds the resource that a question is about: a network interface, an instance of a scale set, or
an address of a subnet that no interface declares.

The network comes from the endpoint map, the map that packets are judged by, so that a question and
a packet never differ about whose an address is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from nsgd.answers.refused import QuestionRefused
from nsgd.config.names import fold
from nsgd.config.wording import closest, show
from nsgd.model.address import Address
from nsgd.model.network import NetworkInterface, NetworkModel, ScaleSet, Subnet, VirtualNetwork
from nsgd.model.rule import Direction
from nsgd.policy.endpoints import AMBIGUOUS, NOT_DECLARED, EndpointMap

_MOST_NAMED = 6


class Kind(Enum):
    """What a group may be associated with, in the words of Azure's answers."""

    NETWORK_INTERFACE = "networkInterface"
    SCALE_SET = "scaleSet"
    SUBNET = "subnet"


@dataclass(frozen=True, slots=True)
class Association:
    """A group and what it is associated with; *applied_to* of a subnet is ``network/subnet``."""

    network_security_group: str
    kind: Kind
    applied_to: str


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource with the groups that judge its traffic."""

    kind: Kind
    name: str
    virtual_network: VirtualNetwork
    subnet: Subnet
    endpoint: int  # index in the endpoint map
    subnet_association: Association | None
    own_association: Association | None  # the network interface's or the scale set's

    def __str__(self) -> str:
        words = {
            Kind.NETWORK_INTERFACE: "network interface",
            Kind.SCALE_SET: "an instance of scale set",
            Kind.SUBNET: "an undeclared resource of subnet",
        }
        return f"{words[self.kind]} {self.name}"

    def associations(self, direction: Direction) -> tuple[Association, ...]:
        """The groups in the order in which they are asked.

        Source:
            Azure, Network security groups overview: inbound the subnet's rules first, then the
            network interface's; outbound the other way round.
        """
        found = [a for a in (self.subnet_association, self.own_association) if a is not None]
        return tuple(found if direction is Direction.INBOUND else reversed(found))


class Resources:
    """The resources of a loaded model."""

    def __init__(self, model: NetworkModel, endpoint_map: EndpointMap) -> None:
        self._model = model
        self._map = endpoint_map
        self._network_index = {n.name: i for i, n in enumerate(model.virtual_networks)}
        self._interfaces = {fold(nic.name): nic for nic in model.network_interfaces}
        self._by_address = {
            (nic.virtual_network, address): nic
            for nic in model.network_interfaces
            for address in nic.private_ip_addresses
        }
        self._subnets = {
            (network.name, subnet.name): subnet
            for network in model.virtual_networks
            for subnet in network.subnets
        }

    def interface(self, name: str) -> NetworkInterface:
        """The declared network interface of a name, compared without case.

        Raises:
            QuestionRefused: There is none.
        """
        found = self._interfaces.get(fold(name))
        if found is None:
            names = tuple(nic.name for nic in self._model.network_interfaces)
            meant = closest(name, names)
            some = ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
            declared = f"declared are {some}" if names else "the documents declare none"
            way_out = f"did you mean {meant}?" if meant else declared
            raise QuestionRefused(f"there is no network interface {show(name)}; {way_out}")
        return found

    def of_interface(self, interface: NetworkInterface) -> Resource:
        """A declared network interface as a resource."""
        return self.at(interface.private_ip_addresses[0], interface)

    def at(self, address: Address, interface: NetworkInterface | None = None) -> Resource:
        """The resource that has an address.

        Args:
            address: Inside a declared virtual network.
            interface: Whose address it must be; None to go by the address alone.

        Raises:
            QuestionRefused: Nothing has it, the interface has others, or it exists in several
                virtual networks.
        """
        if interface is not None and address not in interface.private_ip_addresses:
            has = ", ".join(map(str, interface.private_ip_addresses))
            raise QuestionRefused(
                f"{address} is no address of network interface {interface.name}; it has {has}"
            )
        found = self._map.by_address(address.version, address.value)
        if found == NOT_DECLARED:
            raise QuestionRefused(
                f"{address} is in no declared subnet; ask about an address of a declared one"
            )
        candidates = self._candidates(found)
        if interface is not None:
            network = self._network_index[interface.virtual_network]
        elif len(candidates) == 1:
            (network,) = candidates
        else:
            raise self._ambiguous(address, candidates)
        return self._resource(address, network, candidates[network])

    def of_endpoint(self, address: Address, endpoint: int) -> Resource:
        """The resource of an address whose endpoint is known."""
        network = self._map.endpoints[endpoint].virtual_network
        return self._resource(address, network, endpoint)

    def ambiguous(self, address: Address) -> QuestionRefused:
        """That an address exists in several virtual networks, naming whose it may be."""
        found = self._map.by_address(address.version, address.value)
        return self._ambiguous(address, self._candidates(found))

    def _candidates(self, found: int) -> dict[int, int]:
        """Endpoints by virtual network."""
        if found <= AMBIGUOUS:
            return self._map.ambiguities[AMBIGUOUS - found]
        return {self._map.endpoints[found].virtual_network: found}

    def _ambiguous(self, address: Address, candidates: dict[int, int]) -> QuestionRefused:
        owners = [str(self._resource(address, *candidate)) for candidate in candidates.items()]
        return QuestionRefused(
            f"{address} may be {' or '.join(owners)}: their virtual networks overlap;"
            " name the network interface"
        )

    def _resource(self, address: Address, network_index: int, endpoint: int) -> Resource:
        network = self._model.virtual_networks[network_index]
        owner = self._owner(network, address)
        if isinstance(owner, Subnet):
            subnet, kind, own = owner, Kind.SUBNET, None
            name = f"{network.name}/{subnet.name}"
        else:
            subnet = self._subnets[network.name, owner.subnet]
            is_interface = isinstance(owner, NetworkInterface)
            kind = Kind.NETWORK_INTERFACE if is_interface else Kind.SCALE_SET
            group, name = owner.network_security_group, owner.name
            own = Association(group, kind, name) if group else None
        subnet_name, subnet_group = f"{network.name}/{subnet.name}", subnet.network_security_group
        of_subnet = Association(subnet_group, Kind.SUBNET, subnet_name) if subnet_group else None
        return Resource(kind, name, network, subnet, endpoint, of_subnet, own)

    def _owner(
        self, network: VirtualNetwork, address: Address
    ) -> NetworkInterface | ScaleSet | Subnet:
        interface = self._by_address.get((network.name, address))
        if interface is not None:
            return interface
        for scale_set in self._model.scale_sets:
            if scale_set.virtual_network == network.name and any(
                prefix.contains(address) for prefix in scale_set.private_ip_address_prefixes
            ):
                return scale_set
        return next(
            subnet
            for subnet in network.subnets
            if any(prefix.contains(address) for prefix in subnet.address_prefixes)
        )
