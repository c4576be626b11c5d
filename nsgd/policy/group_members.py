"""Whose addresses an application security group stands for, seen from one virtual network."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from nsgd.model.address import Address
from nsgd.model.network import NetworkModel
from nsgd.policy.address_set import AddressSet


@dataclass(slots=True)
class GroupAddresses:
    """The addresses of each group, and of each combination that was asked for."""

    by_group: dict[str, AddressSet]
    _by_groups: dict[tuple[str, ...], AddressSet] = field(default_factory=dict)

    def of(self, groups: tuple[str, ...]) -> AddressSet:
        """The members' addresses of all *groups*; a group without a member has none."""
        found = self._by_groups.get(groups)
        if found is None:
            found = AddressSet.union(
                self.by_group[group] for group in groups if group in self.by_group
            )
            self._by_groups[groups] = found
        return found


def group_addresses(model: NetworkModel, networks: Collection[str]) -> GroupAddresses:
    """The addresses of all members in *networks*.

    A network that is not connected may use the same addresses for other machines, so its members
    do not count. The instances of a scale set have all addresses of its prefixes but those of
    declared NICs, which are members by their own declaration only.
    """
    addresses_of: dict[str, list[Address]] = {}
    members: dict[str, list[AddressSet]] = {}
    joined_scale_sets = [
        scale_set
        for scale_set in model.scale_sets
        if scale_set.virtual_network in networks and scale_set.application_security_groups
    ]
    taken: dict[str, list[Address]] = {each.virtual_network: [] for each in joined_scale_sets}
    for interface in model.network_interfaces:
        network = interface.virtual_network
        if network not in networks:
            continue
        for group in interface.application_security_groups:
            addresses_of.setdefault(group, []).extend(interface.private_ip_addresses)
        if network in taken:
            taken[network] += interface.private_ip_addresses
    for group, addresses in addresses_of.items():
        members[group] = [AddressSet.of_addresses(addresses)]
    declared = {network: AddressSet.of_addresses(found) for network, found in taken.items()}
    for scale_set in joined_scale_sets:
        prefixes = AddressSet.of_prefixes(scale_set.private_ip_address_prefixes)
        instances = prefixes - declared[scale_set.virtual_network]
        for group in scale_set.application_security_groups:
            members.setdefault(group, []).append(instances)
    return GroupAddresses({group: AddressSet.union(sets) for group, sets in members.items()})
