"""The three computed tags: their edges, and whose networks count."""

from __future__ import annotations

import pytest

from nsgd.model.address import Address
from nsgd.model.network import NetworkModel, Peering, VirtualNetwork
from nsgd.model.platform import PlatformAddresses
from nsgd.model.rule import ServiceTag
from nsgd.policy.address_set import AddressSet
from nsgd.policy.service_tags import (
    GLOBALLY_REACHABLE,
    TagAddresses,
    mutual_peers,
    resolve_tags,
)
from tests.models import addresses
from tests.policy.builders import address_set, prefixes

HOST = "168.63.129.16"


def holds(addresses: AddressSet, text: str) -> bool:
    address = Address.parse(text)
    return any(first <= address.value <= last for first, last in addresses.ranges(address.version))


def network(
    name: str,
    *space: str,
    peerings: tuple[Peering, ...] = (),
    on_premises: tuple[str, ...] = (),
    routes: tuple[str, ...] = (),
) -> VirtualNetwork:
    return VirtualNetwork(
        name,
        prefixes(*space),
        peerings=peerings,
        on_premises=prefixes(*on_premises),
        routes=prefixes(*routes),
    )


def tags(*networks: VirtualNetwork) -> TagAddresses:
    """The tags as the first network sees them."""
    return resolve_tags(NetworkModel(networks), networks[0])


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        ("1.0.0.0", "0.255.255.255"),
        ("9.255.255.255", "10.0.0.0"),
        ("11.0.0.0", "10.255.255.255"),
        ("100.63.255.255", "100.64.0.0"),
        ("100.128.0.0", "100.127.255.255"),
        ("126.255.255.255", "127.0.0.0"),
        ("128.0.0.0", "127.255.255.255"),
        ("169.253.255.255", "169.254.0.0"),
        ("169.255.0.0", "169.254.255.255"),
        ("172.15.255.255", "172.16.0.0"),
        ("172.32.0.0", "172.31.255.255"),
        ("192.0.1.255", "192.0.2.0"),
        ("192.0.3.0", "192.0.2.255"),
        ("192.88.98.255", "192.88.99.0"),
        ("192.88.100.0", "192.88.99.255"),
        ("192.167.255.255", "192.168.0.0"),
        ("192.169.0.0", "192.168.255.255"),
        ("198.17.255.255", "198.18.0.0"),
        ("198.20.0.0", "198.19.255.255"),
        ("223.255.255.255", "224.0.0.0"),
        # Azure's recorded expansion of the tag holds these.
        ("192.0.0.0", "255.255.255.255"),
        ("198.51.100.1", "240.0.0.0"),
        ("203.0.113.7", "0.0.0.0"),
        (HOST, "169.254.169.254"),
        ("2000::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "4000::"),
        ("2001:200::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001::"),
        ("2001:1::1", "2001:1::"),
        ("2001:1::3", "2001:1::4"),
        ("2001:3::", "2001:2:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2001:4:112::", "2001:4:113::"),
        ("2001:20::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2001:3f:ffff:ffff:ffff:ffff:ffff:ffff", "2001:40::"),
        ("2001:db9::", "2001:db8::"),
        ("2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2002::"),
        ("2003::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("3fff:1000::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2606:4700::1", "fd00::1"),
        ("2606:4700::2", "fe80::1"),
        ("2606:4700::3", "::1"),
    ],
)
def test_globally_reachable_edges(inside: str, outside: str) -> None:
    """The registries' blocks start and end where they should."""
    assert holds(GLOBALLY_REACHABLE, inside)
    assert not holds(GLOBALLY_REACHABLE, outside)


def test_one_network() -> None:
    """VirtualNetwork is the address space and the host's address, as recorded answers list it."""
    found = tags(network("vnet", "10.0.0.0/16", "fd00:1::/48"))
    assert found.virtual_network == address_set("10.0.0.0/16", "fd00:1::/48", HOST)
    assert found.internet == GLOBALLY_REACHABLE


def test_each_tag_by_name() -> None:
    """A rule's tag leads to its own addresses."""
    found = tags(network("vnet", "10.0.0.0/16"))
    assert found.addresses(ServiceTag.VIRTUAL_NETWORK) is found.virtual_network
    assert found.addresses(ServiceTag.INTERNET) is found.internet
    load_balancer = found.addresses(ServiceTag.AZURE_LOAD_BALANCER)
    assert load_balancer == address_set(HOST, "fe80::1234:5678:9abc")


@pytest.mark.parametrize(
    ("platform", "virtual_network", "load_balancer"),
    [
        (PlatformAddresses(), ("10.0.0.0/16", HOST), (HOST, "fe80::1234:5678:9abc")),
        (PlatformAddresses(host=()), ("10.0.0.0/16",), (HOST, "fe80::1234:5678:9abc")),
        (PlatformAddresses(load_balancer=()), ("10.0.0.0/16", HOST), ()),
        (
            PlatformAddresses(
                host=addresses("192.0.2.1", "fd00::1"), load_balancer=addresses("192.0.2.2")
            ),
            ("10.0.0.0/16", "192.0.2.1", "fd00::1"),
            ("192.0.2.2",),
        ),
    ],
)
def test_platform_addresses(
    platform: PlatformAddresses, virtual_network: tuple[str, ...], load_balancer: tuple[str, ...]
) -> None:
    """VirtualNetwork holds the host's addresses as they are set; each list may be empty."""
    vnet = network("vnet", "10.0.0.0/16")
    found = resolve_tags(NetworkModel((vnet,), platform=platform), vnet)
    assert found.virtual_network == address_set(*virtual_network)
    assert found.azure_load_balancer == address_set(*load_balancer)
    assert found.internet == GLOBALLY_REACHABLE


def test_public_space_of_the_network_is_not_internet() -> None:
    """A virtual network may use public addresses; they are its own then."""
    found = tags(network("vnet", "52.0.0.0/16", "2600:1::/48"))
    assert not holds(found.internet, "52.0.0.0")
    assert not holds(found.internet, "52.0.255.255")
    assert not holds(found.internet, "2600:1::1")
    assert holds(found.internet, "51.255.255.255")
    assert holds(found.internet, "52.1.0.0")
    assert holds(found.internet, "2600:2::")


def test_on_premises_space_is_connected() -> None:
    """It widens VirtualNetwork and leaves Internet."""
    found = tags(network("vnet", "10.0.0.0/16", on_premises=("172.16.0.0/12", "52.0.0.0/16")))
    assert holds(found.virtual_network, "172.31.255.255")
    assert holds(found.virtual_network, "52.0.0.1")
    assert not holds(found.internet, "52.0.0.1")


def test_routes_widen_one_tag_and_do_not_shrink_the_other() -> None:
    """A default route makes VirtualNetwork cover everything; Internet stays."""
    found = tags(network("vnet", "10.0.0.0/16", routes=("0.0.0.0/0",)))
    assert found.virtual_network.ranges_v4 == ((0, 2**32 - 1),)
    assert found.virtual_network.ranges_v6 == ()
    assert found.internet == GLOBALLY_REACHABLE


A_TO_B, B_TO_A, B_TO_C, C_TO_B = (Peering(name) for name in "bacb")


def test_peering_counts_when_both_sides_declare_it() -> None:
    """One side alone connects nothing, from whichever end it is seen."""
    one_sided = (
        network("a", "10.1.0.0/16", peerings=(A_TO_B,)),
        network("b", "10.2.0.0/16"),
    )
    for networks in (one_sided, one_sided[::-1]):
        assert mutual_peers(NetworkModel(networks), networks[0]) == ()
        assert tags(*networks).virtual_network == tags(networks[0], network("b")).virtual_network
    both = (one_sided[0], network("b", "10.2.0.0/16", peerings=(B_TO_A,)))
    assert tags(*both).virtual_network == address_set("10.1.0.0/16", "10.2.0.0/16", HOST)
    assert tags(*both[::-1]).virtual_network == tags(*both).virtual_network


def test_peering_is_not_transitive() -> None:
    """The hub sees both spokes; a spoke sees the hub only."""
    spoke_a = network("a", "10.1.0.0/16", peerings=(A_TO_B,))
    hub = network("b", "10.2.0.0/16", peerings=(B_TO_A, B_TO_C))
    spoke_c = network("c", "10.3.0.0/16", peerings=(C_TO_B,))
    assert tags(spoke_a, hub, spoke_c).virtual_network == address_set(
        "10.1.0.0/16", "10.2.0.0/16", HOST
    )
    assert tags(hub, spoke_a, spoke_c).virtual_network == address_set(
        "10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16", HOST
    )


@pytest.mark.parametrize(
    ("uses", "allows", "is_connected"),
    [(True, True, True), (True, False, False), (False, True, False), (False, False, False)],
)
def test_a_peers_gateway(uses: bool, allows: bool, is_connected: bool) -> None:
    """A peer's on-premises space counts when this side uses the gateway and that one allows it."""
    spoke = network("a", "10.1.0.0/16", peerings=(Peering("b", use_remote_gateways=uses),))
    hub = network(
        "b",
        "10.2.0.0/16",
        peerings=(Peering("a", allow_gateway_transit=allows),),
        on_premises=("192.168.0.0/16", "52.0.0.0/16"),
    )
    found = tags(spoke, hub)
    assert holds(found.virtual_network, "192.168.1.1") is is_connected
    assert holds(found.virtual_network, "52.0.0.1") is is_connected
    assert holds(found.internet, "52.0.0.1") is not is_connected


def test_a_gateway_needs_a_mutual_peering() -> None:
    """Flags on one side alone connect nothing."""
    spoke = network("a", "10.1.0.0/16", peerings=(Peering("b", use_remote_gateways=True),))
    hub = network("b", "10.2.0.0/16", on_premises=("192.168.0.0/16",))
    assert not holds(tags(spoke, hub).virtual_network, "192.168.1.1")


def test_a_peers_routes_stay_its_own() -> None:
    """User-defined routes belong to the network that declares them."""
    near = network("a", "10.1.0.0/16", peerings=(A_TO_B,))
    far = network("b", "10.2.0.0/16", peerings=(B_TO_A,), routes=("172.16.0.0/12",))
    assert not holds(tags(near, far).virtual_network, "172.16.0.1")
    assert holds(tags(far, near).virtual_network, "172.16.0.1")
