"""Virtual networks, subnets, peerings and route tables, from Azure's JSON to the model."""

from __future__ import annotations

import pytest

from nsgd.model.network import Peering
from tests.azure.resources import (
    Raw,
    flatten,
    load,
    nsg,
    problem,
    problems,
    ref,
    resource,
    rid,
    subnet,
    vnet,
)
from tests.models import prefixes


def peering(remote: str, **properties: object) -> Raw:
    """A peering of az and the REST interface."""
    return {
        "name": f"to-{remote}",
        "id": f"{rid('virtualNetworks', 'hub')}/virtualNetworkPeerings/to-{remote}",
        "properties": {
            "remoteVirtualNetwork": ref("virtualNetworks", remote),
            "allowVirtualNetworkAccess": True,
            "allowForwardedTraffic": True,
            "peeringState": "Connected",
            "remoteAddressSpace": {"addressPrefixes": ["10.9.0.0/16"]},
            **properties,
        },
    }


SPOKE = vnet(subnet(prefix="10.1.1.0/24"), name="spoke", space="10.1.0.0/16")


def test_a_network() -> None:
    """With everything that az shows and that decides nothing."""
    written = vnet(
        subnet(
            ipConfigurations=[{"id": "anything"}],
            serviceEndpoints=[{"service": "Microsoft.Storage", "locations": ["*"]}],
            delegations=[{"name": "d", "properties": {"serviceName": "Microsoft.Web/x"}}],
            privateEndpointNetworkPolicies="Disabled",
            privateLinkServiceNetworkPolicies="Enabled",
        ),
        dhcpOptions={"dnsServers": ["10.0.0.4"]},
        enableDdosProtection=False,
        enableVmProtection=False,
    )
    (network,) = load(written).model.virtual_networks
    assert network.address_space == prefixes("10.0.0.0/16")
    assert [(s.name, s.address_prefixes) for s in network.subnets] == [
        ("web", prefixes("10.0.1.0/24"))
    ]
    assert load(flatten(written)).model == load(written).model


def test_prefixes_of_a_subnet() -> None:
    """A list, one, or both where they say the same."""
    both = subnet(prefix="10.0.1.0/24", addressPrefixes=["10.0.1.0/24", "10.0.2.0/24"])
    (network,) = load(vnet(both)).model.virtual_networks
    assert network.subnets[0].address_prefixes == prefixes("10.0.1.0/24", "10.0.2.0/24")
    differing = subnet(prefix="10.0.1.0/24", addressPrefixes=["10.0.2.0/24"])
    assert "given together" in problem(vnet(differing))
    neither = {"name": "web", "properties": {}}
    found = problem(vnet(neither))
    assert found.startswith("d0 properties.subnets[0].properties.addressPrefixes: ")


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ({"addressSpace": {"addressPrefixes": ["10.0.0.1/16"]}}, "addressSpace.addressPrefixes[0]"),
        ({"addressSpace": {}}, "addressSpace"),
        (
            {"addressSpace": {"addressPrefixes": None, "ipamPoolPrefixAllocations": [1]}},
            "addressSpace.addressPrefixes",
        ),
        ({"addressSpace": ["10.0.0.0/16"]}, "addressSpace"),
        ({"flowTimeoutInMinutes": 31}, "flowTimeoutInMinutes"),
        ({"flowTimeoutInMinutes": "10"}, "flowTimeoutInMinutes"),
    ],
)
def test_paths(written: Raw, path: str) -> None:
    """What is wrong stands where the file has it."""
    assert any(line.startswith(f"d0 properties.{path}: ") for line in problems(vnet(**written)))


def test_idle_timeouts() -> None:
    """As they are; one that is null is as one that is absent, and Azure gives it so."""
    for written, expected in ((10, 10), (4, 4), (30, 30), (None, None)):
        (found,) = load(vnet(flowTimeoutInMinutes=written)).model.virtual_networks
        assert found.flow_timeout_minutes == expected


def test_peerings() -> None:
    """By id, with their gateways; a state other than Connected is told and counts."""
    hub = vnet(virtualNetworkPeerings=[peering("spoke", allowGatewayTransit=True)])
    back = peering("hub", useRemoteGateways=True, peeringState="Disconnected")
    spoke = vnet(
        subnet(prefix="10.1.1.0/24"),
        name="spoke",
        space="10.1.0.0/16",
        virtualNetworkPeerings=[back],
    )
    loaded = load(hub, spoke)
    assert loaded.model.virtual_networks[0].peerings == (Peering("spoke", True, False),)
    assert loaded.model.virtual_networks[1].peerings == (Peering("hub", False, True),)
    (note,) = loaded.notes
    assert note.startswith("d1: properties.virtualNetworkPeerings[0].properties.peeringState: ")
    assert "'Disconnected'" in note
    assert load(flatten(hub), flatten(spoke)).model == loaded.model


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("allowVirtualNetworkAccess", False),
        ("peerCompleteVnets", False),
        ("enableOnlyIPv6Peering", True),
        ("allowVirtualNetworkAccess", 1),
    ],
)
def test_peerings_that_cannot_be_expressed(key: str, value: object) -> None:
    """They would make VirtualNetwork wider or narrower than Azure's."""
    hub = vnet(virtualNetworkPeerings=[peering("spoke", **{key: value})])
    found = problem(hub, SPOKE)
    assert found.startswith(f"d0 properties.virtualNetworkPeerings[0].properties.{key}: ")
    assert "cannot be expressed" in found


def test_a_peer_that_is_not_loaded() -> None:
    """Its path is that of the id."""
    found = problem(vnet(virtualNetworkPeerings=[peering("spoke")]))
    path = "properties.virtualNetworkPeerings[0].properties.remoteVirtualNetwork.id"
    assert found.startswith(f"d0 {path}: ")
    assert "no virtual network named 'spoke'" in found


def route_table(*routes: str, name: str = "routes") -> Raw:
    """A route table with a route to each prefix."""
    return resource(
        "routeTables",
        name,
        {
            "disableBgpRoutePropagation": True,
            "routes": [
                {
                    "name": f"r{i}",
                    "properties": {
                        "addressPrefix": prefix,
                        "nextHopType": "VirtualAppliance",
                        "nextHopIpAddress": "10.0.0.4",
                        "hasBgpOverride": False,
                    },
                }
                for i, prefix in enumerate(routes)
            ],
            "subnets": [{"id": f"{rid('virtualNetworks', 'hub')}/subnets/web"}],
        },
    )


def test_routes() -> None:
    """Each subnet has those of its own table, each once; a table in no use does nothing."""
    network = vnet(
        subnet(routeTable=ref("routeTables", "ROUTES")),
        subnet("b", "10.0.2.0/24", routeTable=ref("routeTables", "routes")),
        subnet("c", "10.0.3.0/24", routeTable=ref("routeTables", "more")),
        subnet("d", "10.0.4.0/24"),
    )
    tables = [
        route_table("0.0.0.0/0", "192.168.0.0/16"),
        route_table("172.16.0.0/12", "0.0.0.0/0", name="more"),
        route_table("11.0.0.0/8", name="idle"),
    ]
    (read,) = load(network, tables).model.virtual_networks
    assert read.routes == ()
    assert [each.routes for each in read.subnets] == [
        prefixes("0.0.0.0/0", "192.168.0.0/16"),
        prefixes("0.0.0.0/0", "192.168.0.0/16"),
        prefixes("172.16.0.0/12", "0.0.0.0/0"),
        (),
    ]
    assert load(flatten(tables), flatten(network)).model == load(network, tables).model


def test_routes_that_stand_by_themselves() -> None:
    """They join their table."""
    single = {
        "name": "x",
        "id": f"{rid('routeTables', 'routes')}/routes/x",
        "properties": {"addressPrefix": "192.168.0.0/16"},
    }
    network = vnet(subnet(routeTable=ref("routeTables", "routes")))
    (read,) = load(network, route_table("0.0.0.0/0"), single).model.virtual_networks
    assert read.subnets[0].routes == prefixes("0.0.0.0/0", "192.168.0.0/16")


def test_problems_of_routes() -> None:
    """A table that is not loaded, a tag, a bad prefix, no prefix."""
    network = vnet(subnet(routeTable=ref("routeTables", "routes")))
    found = problem(network)
    assert found.startswith("d0 properties.subnets[0].properties.routeTable.id: ")
    assert "route table 'routes' of resource group rg, that this refers to, is not among" in found
    found = problem(network, route_table("AzureCloud.WestEurope"))
    assert found.startswith("d1 properties.routes[0].properties.addressPrefix: ")
    assert "service tag 'AzureCloud.WestEurope'" in found
    found = problem(network, route_table("0.0.0.0/0", "10.0.0.1/8"))
    assert found.startswith("d1 properties.routes[1].properties.addressPrefix: ")
    assert "host bits" in found
    table = route_table("0.0.0.0/0")
    del table["properties"]["routes"][0]["properties"]["addressPrefix"]
    assert "a route has no prefix" in problem(network, table)


def test_subnets_and_peerings_that_stand_by_themselves() -> None:
    """az network vnet subnet list, vnet peering list: they join their network."""
    group = ref("networkSecurityGroups", "web")
    single = subnet(prefix="10.0.7.0/24", name="seven", networkSecurityGroup=group)
    expected = load(vnet(subnet(), single), nsg()).model
    single["id"] = f"{rid('virtualNetworks', 'hub')}/subnets/seven"
    assert load(vnet(), [single], nsg()).model == expected
    assert load(nsg(), flatten([single]), vnet(subnet(), single)).model == expected
    found = problem(single, nsg())
    assert "virtual network 'hub' of resource group rg, that this is a part of" in found
    joined = load(vnet(), SPOKE, peering("spoke")).model.virtual_networks[0]
    assert joined.peerings == (Peering("spoke"),)


def test_private_endpoints_are_told() -> None:
    """Azure may exempt them from the subnet's group."""
    group = ref("networkSecurityGroups", "web")
    written = vnet(subnet(privateEndpoints=[{"id": "x"}], networkSecurityGroup=group))
    (note,) = load(written, nsg()).notes
    assert "private endpoints" in note


def test_gateways_are_told() -> None:
    """Their prefixes widen VirtualNetwork, and are not read."""
    notes = load(vnet(), resource("localNetworkGateways", "lng", {})).notes
    assert any("onPremises" in note for note in notes)
