"""Network interfaces: their subnet, addresses, link and application security groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from nsgd.config.declared import DeclaredNetwork, DeclaredSubnet
from nsgd.config.groups import Group, join_group
from nsgd.config.limits import Limits
from nsgd.config.names import Names, fold
from nsgd.config.report import Place, Report
from nsgd.config.wording import show
from nsgd.model.address import Address, Prefix
from nsgd.model.network import NetworkInterface
from nsgd.model.reserved import LONGEST_WITH_RESERVED, RESERVED_FIRST

# The limit on what all interfaces of a network have together.
MOST_ADDRESSES = "privateIPAddressesPerVirtualNetwork"


class InterfaceReader:
    """Assembles the interfaces of all documents; addresses and links are theirs alone."""

    def __init__(
        self,
        networks: Names[DeclaredNetwork],
        security_groups: Names[str],
        groups: Names[Group],
        subnets: Sequence[DeclaredSubnet],
        limits: Limits,
        report: Report,
        kind: str = "network interface",
    ) -> None:
        """*kind* is what the documents call an interface."""
        self._networks = networks
        self._security_groups = security_groups
        self._groups = groups
        self._limits = limits
        self._report = report
        self.names: Names[str] = Names(kind, report)
        self._subnets: dict[str, list[DeclaredSubnet]] = {}
        for subnet in subnets:
            self._subnets.setdefault(fold(subnet.name), []).append(subnet)
        # The interface's place, and which of its addresses it is.
        self._holders: dict[tuple[str, Address], tuple[Place, int]] = {}
        self._links: dict[str, Place] = {}

    def assemble(
        self, sections: Sequence[tuple[Place, Mapping[str, Any]]]
    ) -> list[NetworkInterface]:
        """The interfaces as values; one whose subnet or name was refused is left out."""
        result = []
        for place, raw in sections:
            name: str | None = raw.get("name")
            if name is not None:
                self.names.declare(name, place, name)
            link: str | None = raw.get("link")
            if link is not None:
                self._bind(link, place.at("link"))
            security_group = self._security_groups.resolve(
                raw.get("networkSecurityGroup"), place, "networkSecurityGroup"
            )
            subnet = self.subnet(raw.get("subnet"), place)
            addresses = self._addresses(raw.get("privateIPAddresses") or (), subnet, place)
            groups: tuple[str, ...] = ()
            if entries := raw.get("applicationSecurityGroups"):
                at = place.at("applicationSecurityGroups")
                groups = self.join(entries, name, subnet, len(addresses), at)
            if name is not None and subnet is not None:
                result.append(
                    NetworkInterface(
                        name,
                        subnet.network,
                        subnet.name,
                        addresses,
                        link,
                        security_group,
                        raw.get("enableIPForwarding") or False,
                        groups,
                        raw.get("created"),
                    )
                )
        self._check_numbers()
        return result

    def _check_numbers(self) -> None:
        for name, count in Counter(network for network, _ in self._holders).items():
            network = self._networks.find(name)
            if network is not None:
                self._limits.check(MOST_ADDRESSES, count, network.place, self._report)

    def _bind(self, link: str, place: Place) -> None:
        # Link names are Linux's and compare with case.
        first = self._links.setdefault(link, place)
        if first is not place:
            self._report.add(
                place,
                f"link {show(link)} is already bound by {self._report.locate(first, place)}",
                "a link leads to one network interface only",
            )

    def subnet(self, reference: str | None, place: Place) -> DeclaredSubnet | None:
        """Follow ``network/subnet``, or ``subnet`` where one network only has it.

        None where there is none, which has then been reported.
        """
        if reference is None:
            return None
        # A network may be named GROUP/NAME; a subnet's name has no slash.
        network_name, slash, subnet_name = reference.rpartition("/")
        if slash:
            network = self._networks.resolve(network_name, place, "subnet")
            return (
                None if network is None else network.subnets.resolve(subnet_name, place, "subnet")
            )
        found = self._subnets.get(fold(reference), [])
        if len(found) == 1:
            return found[0]
        if found:
            candidates = ", ".join(f"{subnet.network}/{subnet.name}" for subnet in found[:5])
            self._report.add(
                place.at("subnet"),
                f"{len(found)} virtual networks have a subnet {show(reference)}",
                f"write the network too: {candidates}",
            )
        elif self._report.is_complete:
            self._report.add(
                place.at("subnet"),
                f"there is no subnet named {show(reference)}",
                "write network/subnet, of a subnet that is declared",
            )
        return None

    def _addresses(
        self, entries: Sequence[Address | None], subnet: DeclaredSubnet | None, place: Place
    ) -> tuple[Address, ...]:
        addresses = tuple(entry for entry in entries if entry is not None)
        if subnet is None:
            return addresses
        for index, address in enumerate(entries):
            if address is None:
                continue
            held = place, index
            first = self._holders.setdefault((subnet.network, address), held)
            if first is not held:
                at = _at(*held)
                self._report.add(
                    at,
                    f"{address} is already taken in virtual network {show(subnet.network)} by "
                    f"{self._report.locate(_at(*first), at)}",
                    "give each network interface its own addresses",
                )
            for prefix in subnet.prefixes:
                if prefix.contains(address):
                    break
            else:
                if subnet.prefixes:
                    prefixes = ", ".join(str(p) for p in subnet.prefixes[:5])
                    self._report.add(
                        _at(*held),
                        f"{address} is outside subnet {subnet.network}/{subnet.name} ({prefixes})",
                        "write an address of the subnet, or name another subnet",
                    )
                continue
            if _is_reserved(address, prefix):
                first_free = Address(4, prefix.first + RESERVED_FIRST)
                last_free = Address(4, prefix.last - 1)
                self._report.add(
                    _at(*held),
                    f"{address} is reserved: Azure keeps the first {RESERVED_FIRST} addresses of "
                    f"a subnet and the last",
                    f"write an address from {first_free} to {last_free}",
                )
        return addresses

    def join(
        self,
        entries: Sequence[Mapping[str, Any] | None],
        name: str | None,
        subnet: DeclaredSubnet | None,
        ip_configurations: int,
        place: Place,
    ) -> tuple[str, ...]:
        """The groups that *name* is a member of now; what is wrong has been reported."""
        key = "applicationSecurityGroupsPerNetworkInterface"
        self._limits.check(key, len(entries), place, self._report)
        joined: dict[str, None] = {}
        for index, entry in enumerate(entries):
            group = self._groups.resolve(entry.get("name") if entry else None, place, index)
            if group is None:
                continue
            if group.name in joined:
                at = place.at(index)
                self._report.add(at, f"{show(group.name)} is given twice", "keep one of them")
            elif subnet is not None:
                if group.virtual_network != subnet.network:
                    at = place.at(index)
                    join_group(group, show(name), subnet.network, at, self._report)
                group.ip_configurations += ip_configurations
            joined[group.name] = None
        return tuple(joined)


def _at(interface: Place, index: int) -> Place:
    return interface.at("privateIPAddresses", index)


def _is_reserved(address: Address, prefix: Prefix) -> bool:
    return (
        prefix.version == 4
        and prefix.length <= LONGEST_WITH_RESERVED
        and (address.value < prefix.first + RESERVED_FIRST or address.value == prefix.last)
    )
