"""Which resource a packet leaves and enters: by link, by address, and where networks overlap."""

from __future__ import annotations

import marshal

import pytest

from nsgd.model.address import Address
from nsgd.model.network import NetworkModel, Peering, VirtualNetwork
from nsgd.policy.endpoints import (
    AMBIGUOUS,
    NOT_DECLARED,
    EndpointMap,
    build_endpoint_map,
)
from tests.policy.builders import nic, prefixes, scale_set, subnet

TABLES = {
    ("vnet", name, group): indexes
    for name in ("s", "t")
    for group, indexes in (("nsg-s", (0, 1)), ("nsg-n", (2, 3)))
}


def vnet(
    name: str = "vnet", *, peers: tuple[str, ...] = (), subnet_name: str = "s"
) -> VirtualNetwork:
    """A network with one subnet, 10.0.1.0/24 and fd00:1::/64."""
    return VirtualNetwork(
        name,
        prefixes("10.0.0.0/16", "fd00:1::/48"),
        (subnet(subnet_name, "10.0.1.0/24,fd00:1::/64"),),
        tuple(Peering(peer) for peer in peers),
    )


def name_of(found: EndpointMap, index: int) -> str | int:
    """The endpoint's name, or the negative index itself."""
    return found.endpoints[index].name if index >= 0 else index


def find(
    found: EndpointMap,
    source: str,
    destination: str,
    in_link: str | None = None,
    out_link: str | None = None,
) -> tuple[str | int, str | int]:
    version, source_value = Address.parse(source)
    _, destination_value = Address.parse(destination)
    sender, receiver = found.find(version, source_value, destination_value, in_link, out_link)
    return name_of(found, sender), name_of(found, receiver)


ONE = build_endpoint_map(
    NetworkModel(
        (
            VirtualNetwork(
                "vnet",
                prefixes("10.0.0.0/16", "fd00:1::/48"),
                (
                    subnet("s", "10.0.1.0/24,fd00:1::/64", "nsg-s"),
                    subnet("t", "10.0.2.0/24"),
                ),
            ),
        ),
        (
            nic("both", "10.0.1.4,fd00:1::4", "s", "nsg-n"),
            nic("subnet-only", "10.0.1.5", "s"),
            nic("nic-only", "10.0.2.4", "t", "nsg-n", link="veth-n"),
            nic("neither", "10.0.2.5", "t"),
        ),
    ),
    TABLES,
)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("10.0.0.255", NOT_DECLARED),
        ("10.0.1.0", "vnet/s"),
        ("10.0.1.3", "vnet/s"),
        ("10.0.1.4", "both"),
        ("10.0.1.5", "subnet-only"),
        ("10.0.1.6", "vnet/s"),
        ("10.0.1.255", "vnet/s"),
        ("10.0.2.0", "vnet/t"),  # adjacent subnets
        ("10.0.2.4", "nic-only"),
        ("10.0.2.255", "vnet/t"),
        ("10.0.3.0", NOT_DECLARED),  # in the network's space and in no subnet
        ("0.0.0.0", NOT_DECLARED),
        ("255.255.255.255", NOT_DECLARED),
        ("fd00:1::", "vnet/s"),
        ("fd00:1::4", "both"),
        ("fd00:1::5", "vnet/s"),
        ("fd00:1::ffff:ffff:ffff:ffff", "vnet/s"),
        ("fd00:1:0:1::", NOT_DECLARED),
        ("fd00:0:ffff:ffff:ffff:ffff:ffff:ffff", NOT_DECLARED),
        ("::", NOT_DECLARED),
        ("::a00:104", NOT_DECLARED),  # 10.0.1.4 as an integer
    ],
)
def test_by_address(address: str, name: str | int) -> None:
    """A declared NIC takes its address out of its subnet; the rest is the subnet's."""
    version, value = Address.parse(address)
    assert name_of(ONE, ONE.by_address(version, value)) == name
    assert find(ONE, address, address) == (name, name)


def test_a_subnet_may_span_everything() -> None:
    """The first and the last address of a family have no neighbour to lean on."""
    everything = VirtualNetwork("vnet", prefixes("0.0.0.0/0"), (subnet("s", "0.0.0.0/0,::/0"),))
    found = build_endpoint_map(NetworkModel((everything,)), {})
    for address in ("0.0.0.0", "255.255.255.255", "::", "ffff::"):
        assert find(found, address, address) == ("vnet/s", "vnet/s")


@pytest.mark.parametrize(
    ("name", "outbound", "inbound"),
    [
        ("vnet/s", (0,), (1,)),
        ("vnet/t", (), ()),
        ("both", (2, 0), (1, 3)),  # out: NIC, subnet; in: subnet, NIC
        ("subnet-only", (0,), (1,)),
        ("nic-only", (2,), (3,)),
        ("neither", (), ()),
    ],
)
def test_tables_of_an_endpoint(
    name: str, outbound: tuple[int, ...], inbound: tuple[int, ...]
) -> None:
    """Each endpoint lists its tables in the order in which they are consulted."""
    (endpoint,) = (each for each in ONE.endpoints if each.name == name)
    assert (endpoint.outbound, endpoint.inbound) == (outbound, inbound)


@pytest.mark.parametrize(
    ("in_link", "out_link", "expected"),
    [
        (None, None, ("both", "neither")),
        ("veth-n", None, ("nic-only", "neither")),  # the link counts more than the address
        (None, "veth-n", ("both", "nic-only")),
        ("uplink", "uplink", ("both", "neither")),  # bound to nothing: the address tells
        ("", "", ("both", "neither")),
    ],
)
def test_by_link(in_link: str | None, out_link: str | None, expected: tuple[str, str]) -> None:
    """A bound link names its NIC on either side."""
    assert find(ONE, "10.0.1.4", "10.0.2.5", in_link, out_link) == expected


SCALED = build_endpoint_map(
    NetworkModel(
        (
            VirtualNetwork(
                "vnet",
                prefixes("10.0.0.0/16", "fd00:1::/48"),
                (subnet("s", "10.0.1.0/24,fd00:1::/64", "nsg-s"), subnet("t", "10.0.2.0/24")),
            ),
        ),
        (nic("vm", "10.0.1.40,fd00:1::1:4", "s"), nic("edge", "10.0.1.32", "s", "nsg-n")),
        scale_sets=(
            scale_set("web", "10.0.1.32/28,fd00:1::1:0/112", "s", "nsg-n"),
            scale_set("next", "10.0.1.48/28", "s"),
            scale_set("whole", "10.0.2.0/24", "t", "nsg-n"),
        ),
    ),
    TABLES,
)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("10.0.1.31", "vnet/s"),
        ("10.0.1.32", "edge"),  # the first address of the prefix is a NIC's
        ("10.0.1.33", "web"),
        ("10.0.1.39", "web"),
        ("10.0.1.40", "vm"),
        ("10.0.1.41", "web"),
        ("10.0.1.47", "web"),
        ("10.0.1.48", "next"),  # adjacent scale sets
        ("10.0.1.63", "next"),
        ("10.0.1.64", "vnet/s"),
        ("10.0.2.0", "whole"),  # nothing is left of the subnet
        ("10.0.2.255", "whole"),
        ("10.0.3.0", NOT_DECLARED),
        ("fd00:1::ffff", "vnet/s"),
        ("fd00:1::1:0", "web"),
        ("fd00:1::1:4", "vm"),
        ("fd00:1::1:ffff", "web"),
        ("fd00:1::2:0", "vnet/s"),
    ],
)
def test_scale_sets(address: str, name: str | int) -> None:
    """A declared NIC comes before a scale set, and that before the subnet."""
    version, value = Address.parse(address)
    assert name_of(SCALED, SCALED.by_address(version, value)) == name


@pytest.mark.parametrize(
    ("name", "outbound", "inbound"),
    [("web", (2, 0), (1, 3)), ("next", (0,), (1,)), ("whole", (2,), (3,)), ("vm", (0,), (1,))],
)
def test_tables_of_an_instance(
    name: str, outbound: tuple[int, ...], inbound: tuple[int, ...]
) -> None:
    """The scale set's group stands where a NIC's does."""
    (endpoint,) = (each for each in SCALED.endpoints if each.name == name)
    assert (endpoint.outbound, endpoint.inbound) == (outbound, inbound)


def overlapping(*, peered: bool = True) -> EndpointMap:
    """Networks a and b use the same space; hub peers with a; both have one NIC by link."""
    hub_peers = ("a",) if peered else ()
    hub = VirtualNetwork(
        "hub",
        prefixes("10.9.0.0/16"),
        (subnet("h", "10.9.0.0/24"),),
        tuple(Peering(peer) for peer in hub_peers),
    )
    model = NetworkModel(
        (vnet("a", peers=("hub",) if peered else ()), vnet("b"), hub),
        (
            nic("a-linked", "10.0.1.4", "s", network="a", link="veth-a"),
            nic("b-linked", "10.0.1.4", "s", network="b", link="veth-b"),
            nic("a-other", "10.0.1.5,fd00:1::5", "s", network="a"),
        ),
    )
    return build_endpoint_map(model, {})


@pytest.mark.parametrize(
    ("source", "destination", "in_link", "out_link", "expected"),
    [
        # Both links known: never ambiguous, equal addresses or not.
        ("10.0.1.4", "10.0.1.4", "veth-a", "veth-b", ("a-linked", "b-linked")),
        ("10.0.1.4", "10.0.1.4", "veth-b", "veth-a", ("b-linked", "a-linked")),
        # One link known: the other address is looked up in its network.
        ("10.0.1.4", "10.0.1.5", "veth-a", None, ("a-linked", "a-other")),
        ("10.0.1.4", "10.0.1.5", "veth-b", None, ("b-linked", "b/s")),
        ("10.0.1.5", "10.0.1.4", None, "veth-a", ("a-other", "a-linked")),
        ("10.0.1.5", "10.0.1.4", None, "veth-b", ("b/s", "b-linked")),
        ("fd00:1::4", "fd00:1::5", "veth-b", None, ("b-linked", "b/s")),
        ("fd00:1::4", "fd00:1::5", "veth-a", None, ("a-linked", "a-other")),
        # The other end is in a network that peers with one of the two.
        ("10.9.0.4", "10.0.1.5", None, None, ("hub/h", "a-other")),
        ("10.0.1.5", "10.9.0.4", None, None, ("a-other", "hub/h")),
        # Nothing tells.
        ("10.0.1.5", "10.0.1.6", None, None, (AMBIGUOUS, AMBIGUOUS)),
        ("203.0.113.7", "10.0.1.5", None, None, (NOT_DECLARED, AMBIGUOUS)),
        ("10.0.1.5", "203.0.113.7", None, None, (AMBIGUOUS, NOT_DECLARED)),
        ("10.0.1.5", "203.0.113.7", "veth-b", None, ("b-linked", NOT_DECLARED)),
    ],
)
def test_overlapping_networks(
    source: str,
    destination: str,
    in_link: str | None,
    out_link: str | None,
    expected: tuple[str | int, str | int],
) -> None:
    """An address of two networks is settled by the flow's other end, or not at all."""
    assert find(overlapping(), source, destination, in_link, out_link) == expected


def test_an_unpeered_end_settles_nothing() -> None:
    """The hub without its peering knows neither network."""
    found = overlapping(peered=False)
    assert find(found, "10.9.0.4", "10.0.1.5") == ("hub/h", AMBIGUOUS)
    assert find(found, "10.0.1.5", "10.9.0.4") == (AMBIGUOUS, "hub/h")


def test_two_peers_with_the_same_address_settle_nothing() -> None:
    """More than one answer is none."""
    hub = VirtualNetwork(
        "hub",
        prefixes("10.9.0.0/16"),
        (subnet("h", "10.9.0.0/24"),),
        (Peering("a"), Peering("b")),
    )
    model = NetworkModel((vnet("a", peers=("hub",)), vnet("b", peers=("hub",)), hub))
    assert find(build_endpoint_map(model, {}), "10.9.0.4", "10.0.1.5") == ("hub/h", AMBIGUOUS)


@pytest.mark.parametrize("found", [ONE, overlapping()])
def test_hand_over(found: EndpointMap) -> None:
    """The map survives the way to a worker."""
    assert EndpointMap.from_plain(marshal.loads(marshal.dumps(found.to_plain()))) == found
