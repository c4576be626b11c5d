"""The three service tags that Azure computes from the virtual network itself.

Internet is not the complement of VirtualNetwork: it is what the IANA special-purpose
registries call globally reachable, so that private space outside the network falls to
DenyAllOutBound, as Azure documents (172.31.0.100 in the IP flow verify quickstart).
"""

from __future__ import annotations

from dataclasses import dataclass

from nsgd.model.address import Prefix
from nsgd.model.network import NetworkModel, VirtualNetwork
from nsgd.model.rule import ServiceTag
from nsgd.policy.address_set import AddressSet


def _set_of(*prefixes: str) -> AddressSet:
    return AddressSet.of_prefixes(Prefix.parse(prefix) for prefix in prefixes)


# IANA IPv4 and IPv6 Special-Purpose Address Registries, entries that are not globally reachable.
# 192.0.0.0/24, 198.51.100.0/24 and 203.0.113.0/24 are left in Internet: Azure's recorded
# expansion of the tag holds them.
_NOT_INTERNET = _set_of(
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/3",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
)
# Blocks inside 2001::/23 that the registry calls globally reachable.
_INTERNET_IN_2001 = _set_of(
    "2001:1::1/128",
    "2001:1::2/128",
    "2001:1::3/128",
    "2001:3::/32",
    "2001:4:112::/48",
    "2001:20::/28",
    "2001:30::/28",
)
GLOBALLY_REACHABLE = (_set_of("0.0.0.0/0", "2000::/3") - _NOT_INTERNET) | _INTERNET_IN_2001


@dataclass(frozen=True, slots=True)
class TagAddresses:
    """Each tag's addresses, seen from one virtual network."""

    virtual_network: AddressSet
    internet: AddressSet
    azure_load_balancer: AddressSet

    def addresses(self, tag: ServiceTag) -> AddressSet:
        """The addresses that *tag* stands for."""
        match tag:
            case ServiceTag.VIRTUAL_NETWORK:
                return self.virtual_network
            case ServiceTag.INTERNET:
                return self.internet
            case ServiceTag.AZURE_LOAD_BALANCER:
                return self.azure_load_balancer


def mutual_peers(model: NetworkModel, network: VirtualNetwork) -> tuple[VirtualNetwork, ...]:
    """Networks that *network* peers with and that peer back; peering is not transitive."""
    by_name = {candidate.name: candidate for candidate in model.virtual_networks}
    peers = []
    for peering in network.peerings:
        peer = by_name[peering.remote_virtual_network]
        if any(back.remote_virtual_network == network.name for back in peer.peerings):
            peers.append(peer)
    return tuple(peers)


def _transit_on_premises(network: VirtualNetwork, peers: tuple[VirtualNetwork, ...]) -> AddressSet:
    """On-premises prefixes of peers whose gateway *network* uses.

    Both sides must agree: useRemoteGateways here, allowGatewayTransit there.
    """
    users = {
        peering.remote_virtual_network
        for peering in network.peerings
        if peering.use_remote_gateways
    }
    return AddressSet.of_prefixes(
        prefix
        for peer in peers
        if peer.name in users
        and any(
            back.remote_virtual_network == network.name and back.allow_gateway_transit
            for back in peer.peerings
        )
        for prefix in peer.on_premises
    )


def resolve_tags(model: NetworkModel, network: VirtualNetwork) -> TagAddresses:
    """Compute the tags for rules that are evaluated in *network*.

    Source:
        Azure, Service tags overview: VirtualNetwork is "the virtual network address space
        (all IP address ranges defined for the virtual network), all connected on-premises
        address spaces, peered virtual networks, virtual networks connected to a virtual
        network gateway, the virtual IP address of the host, and address prefixes used on
        user-defined routes".
    """
    peers = mutual_peers(model, network)
    connected = AddressSet.of_prefixes(
        (
            *network.address_space,
            *network.on_premises,
            *(prefix for peer in peers for prefix in peer.address_space),
        )
    ) | _transit_on_premises(network, peers)
    virtual_network = connected
    if model.dialect.virtual_network_holds_host:
        virtual_network |= AddressSet.of_addresses(model.platform.host)
    if model.dialect.virtual_network_holds_routes:
        virtual_network |= AddressSet.of_prefixes(network.routes)
    return TagAddresses(
        virtual_network=virtual_network,
        # User-defined routes widen VirtualNetwork and do not shrink Internet.
        internet=GLOBALLY_REACHABLE - connected,
        # Health probes come from here.
        azure_load_balancer=AddressSet.of_addresses(model.platform.load_balancer),
    )
