"""Virtual networks, subnets and peerings."""

from __future__ import annotations

import pytest

from tests.config.documents import Raw, load, network, refuse, refuse_one


def networks(*raw: Raw) -> Raw:
    """A document of networks."""
    return {"virtualNetworks": list(raw)}


def subnets(*raw: Raw, space: object = ("10.0.0.0/16", "fd00::/48")) -> Raw:
    """A document of one network with these subnets."""
    return networks(network(addressSpace=space, subnets=list(raw)))


@pytest.mark.parametrize(
    ("prefixes", "is_inside"),
    [
        (["10.0.0.0/16"], True),
        (["10.0.255.0/24"], True),
        (["10.1.0.0/24"], False),
        (["10.0.0.0/15"], False),
        (["9.255.255.255"], False),
        (["fd00::/48"], True),
        (["fd00:0:1::/64"], False),
        (["10.0.1.0/24", "fd00::/64"], True),
    ],
)
def test_a_subnet_is_inside_the_address_space(prefixes: list[str], is_inside: bool) -> None:
    """Whole, in one of its prefixes, in both families."""
    document = subnets({"name": "s", "addressPrefixes": prefixes})
    if is_inside:
        load(document)
    else:
        path, message, _ = refuse_one(document)
        assert path == "virtualNetworks[0].subnets[0].addressPrefixes[0]"
        shown = prefixes[0] if "/" in prefixes[0] else f"{prefixes[0]}/32"
        outside = f"{shown} is outside the address space 10.0.0.0/16, fd00::/48"
        assert message == f"'s' of 'lab': {outside}"


def test_singular_and_plural_prefix() -> None:
    """Either, not both, and one of them."""
    singular = load(subnets({"name": "s", "addressPrefix": "10.0.1.0/24"}))
    assert singular == load(subnets({"name": "s", "addressPrefixes": ["10.0.1.0/24"]}))
    both = {"name": "s", "addressPrefix": "10.0.1.0/24", "addressPrefixes": ["10.0.1.0/24"]}
    assert refuse_one(subnets(both))[1].endswith("are given together")
    path, message, _ = refuse_one(subnets({"name": "s"}))
    assert path == "virtualNetworks[0].subnets[0].addressPrefixes"
    assert message == "'s' of 'lab': addressPrefixes is missing"


@pytest.mark.parametrize(
    ("one", "other", "is_apart"),
    [
        ("10.0.1.0/24", "10.0.2.0/24", True),
        ("10.0.1.0/25", "10.0.1.128/25", True),
        ("10.0.1.0/24", "10.0.1.128/25", False),
        ("10.0.1.128/25", "10.0.1.0/24", False),
        ("10.0.1.0/24", "10.0.1.0/24", False),
        ("fd00::/64", "fd00:0:0:1::/64", True),
        ("fd00::/64", "fd00::1", False),
    ],
)
def test_subnets_do_not_overlap(one: str, other: str, is_apart: bool) -> None:
    """Neither does the address space; the message names both."""
    document = subnets({"name": "a", "addressPrefix": one}, {"name": "b", "addressPrefix": other})
    space = networks(network(addressSpace=[one, other], subnets=[]))
    if is_apart:
        load(document)
        load(space)
    else:
        assert " overlaps " in refuse_one(document)[1]
        assert "of the same address space" in refuse_one(space)[1]


def test_prefixes_of_one_subnet_do_not_overlap() -> None:
    """An address has one place."""
    document = subnets({"name": "s", "addressPrefixes": ["10.0.1.0/24", "10.0.1.4"]})
    path, message, _ = refuse_one(document)
    assert path == "virtualNetworks[0].subnets[0].addressPrefixes[1]"
    assert message == (
        "'s' of 'lab': 10.0.1.4/32 overlaps 10.0.1.0/24 at "
        "virtualNetworks[0].subnets[0].addressPrefixes[0]"
    )


def test_names_are_unique_without_case() -> None:
    """Networks in all documents, subnets in their network."""
    two = networks(network(subnets=[]), network("LAB", subnets=[]))
    path, message, _ = refuse_one(two)
    assert path == "virtualNetworks[1].name"
    assert "virtual network name 'LAB' is already taken by virtualNetworks[0]" in message
    document = subnets(
        {"name": "s", "addressPrefix": "10.0.1.0/24"},
        {"name": "S", "addressPrefix": "10.0.2.0/24"},
    )
    path, message, _ = refuse_one(document)
    assert path == "virtualNetworks[0].subnets[1].name"
    assert "subnet name 'S' is already taken by virtualNetworks[0].subnets[0]" in message
    load(networks(network(), network("other")))


def test_an_unknown_security_group() -> None:
    """With the name that was meant, where one is near."""
    document = subnets({"name": "s", "addressPrefix": "10.0.1.0/24", "networkSecurityGroup": "wbe"})
    path, message, way_out = refuse_one(document)
    assert path == "virtualNetworks[0].subnets[0].networkSecurityGroup"
    assert message == "'s' of 'lab': there is no network security group named 'wbe'"
    assert way_out == "declare the network security group, or correct the name"
    document["networkSecurityGroups"] = [{"name": "Web"}]
    assert refuse_one(document)[2] == "did you mean 'Web'?"


@pytest.mark.parametrize("absent", [None, "", []])
def test_an_address_space_is_required(absent: object) -> None:
    """A network without one is in no tag."""
    path, message, _ = refuse_one(networks(network(addressSpace=absent, subnets=[])))
    assert path == "virtualNetworks[0].addressSpace"
    assert message.endswith("addressSpace is missing")


@pytest.mark.parametrize(
    ("peering", "message"),
    [
        ("nowhere", "there is no virtual network named 'nowhere'"),
        ("LAB", "'lab' is this network itself"),
        ({"name": "Other"}, "the peering with 'other' is given twice"),
        (5, "5 is not text"),
        ({"name": "other", "allowGatewayTransit": "yes"}, "'yes' is not true or false"),
        ({"useRemoteGateways": True}, "name is missing"),
    ],
)
def test_a_peering_that_is_refused(peering: object, message: str) -> None:
    """Known, another one, and once."""
    document = networks(
        network(peerings=["other", peering]), network("other", "10.1.0.0/16", subnets=[])
    )
    assert message in refuse(document)[0].message
    assert refuse(document)[0].path.startswith("virtualNetworks[0].peerings[1]")


def test_peers_do_not_overlap() -> None:
    """Where both sides declare it; the message names both."""
    small = network("b", "10.0.128.0/17", subnets=[], peerings=["A"])
    path, message, _ = refuse_one(networks(network("a", peerings=["b"]), small))
    assert path == "virtualNetworks[1].addressSpace[0]"
    assert message == (
        "'b': 10.0.128.0/17 overlaps 10.0.0.0/16 of peer 'a' (virtualNetworks[0].addressSpace[0])"
    )
    # Which of the two is declared first changes nothing but the places.
    path, message, _ = refuse_one(networks(small, network("a", peerings=["b"])))
    assert path == "virtualNetworks[0].addressSpace[0]"
    assert "of peer 'a' (virtualNetworks[1].addressSpace[0])" in message


def test_networks_that_are_no_peers_may_overlap() -> None:
    """Also where one side only declares the peering, and where both peer with a third."""
    load(networks(network("a", peerings=["b"]), network("b")))
    hub = network("hub", "10.9.0.0/16", subnets=[], peerings=["a", "b"])
    load(networks(network("a", peerings=["hub"]), network("b", peerings=["hub"]), hub))


@pytest.mark.parametrize("minutes", [4, 10, 30])
def test_an_idle_timeout(minutes: int) -> None:
    """Azure's range, both ends included."""
    asking = {"name": "a", "addressSpace": ["10.0.0.0/16"], "flowTimeoutInMinutes": minutes}
    (found,) = load({"virtualNetworks": [asking]}).model.virtual_networks
    assert found.flow_timeout_minutes == minutes


@pytest.mark.parametrize("minutes", [3, 31, 0, -4, "10", True, 4.5, [4]])
def test_what_is_no_idle_timeout(minutes: object) -> None:
    """Refused where it stands; a number in quotes is text."""
    asking = {"name": "a", "addressSpace": ["10.0.0.0/16"], "flowTimeoutInMinutes": minutes}
    path, _, _ = refuse_one({"virtualNetworks": [asking]})
    assert path == "virtualNetworks[0].flowTimeoutInMinutes"
