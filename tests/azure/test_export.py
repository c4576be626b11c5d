"""What is printed as Azure's resources is read as the same model, as far as they hold it."""

from __future__ import annotations

import dataclasses
import json

import pytest

from nsgd.azure.export import Export, rest_resources
from nsgd.model.network import (
    ApplicationSecurityGroup,
    NetworkInterface,
    NetworkModel,
    NetworkSecurityGroup,
    ScaleSet,
    Subnet,
    VirtualNetwork,
)
from nsgd.model.platform import PlatformAddresses
from tests.azure.drawn import DRAWN, draw
from tests.azure.resources import load
from tests.models import SMALL, addresses, prefixes


def what_azure_holds(model: NetworkModel) -> NetworkModel:
    """The model without what Azure's JSON has no place for; this is what may get lost."""
    endpoints: list[NetworkInterface | ScaleSet] = [*model.network_interfaces, *model.scale_sets]
    with_members = {name for e in endpoints for name in e.application_security_groups}
    subnets = {
        (n.name, s.name): s.address_prefixes for n in model.virtual_networks for s in n.subnets
    }
    return dataclasses.replace(
        model,
        virtual_networks=tuple(
            dataclasses.replace(
                n,
                on_premises=(),
                routes=(),
                subnets=tuple(
                    dataclasses.replace(s, routes=tuple(dict.fromkeys((*n.routes, *s.routes))))
                    for s in n.subnets
                ),
            )
            for n in model.virtual_networks
        ),
        network_interfaces=tuple(
            dataclasses.replace(i, link=None, created=None) for i in model.network_interfaces
        ),
        application_security_groups=tuple(
            g if g.name in with_members else ApplicationSecurityGroup(g.name)
            for g in model.application_security_groups
        ),
        scale_sets=tuple(
            dataclasses.replace(s, private_ip_address_prefixes=subnets[s.virtual_network, s.subnet])
            for s in model.scale_sets
        ),
        platform=NetworkModel().platform,
        subscription=None,
    )


def test_a_small_model() -> None:
    """With NICs of both families, groups and forwarding."""
    export = rest_resources(SMALL)
    assert load({"value": export.resources}).model == what_azure_holds(SMALL)
    assert export.changes == []
    assert export.aside == [
        f"link of network interface {name}" for name in ("web1", "web2", "router")
    ]


@pytest.mark.parametrize("number", range(DRAWN))
def test_random_models(number: int) -> None:
    """Documents that the oracle's generator draws; but without several scale sets in a subnet."""
    drawn = draw(f"export-{number}")
    loaded = drawn.load()
    model = loaded.model
    subnets = [(s.virtual_network, s.subnet) for s in model.scale_sets]
    if len(set(subnets)) < len(subnets):
        model = dataclasses.replace(model, scale_sets=())
        members = {n for i in model.network_interfaces for n in i.application_security_groups}
        groups = tuple(
            g if g.name in members else ApplicationSecurityGroup(g.name)
            for g in model.application_security_groups
        )
        model = dataclasses.replace(model, application_security_groups=groups)
    resources = json.dumps(rest_resources(model).resources)
    again = drawn.load(resources, json.dumps({**loaded.reading, "daemon": {}})).model
    assert again == what_azure_holds(model)


def test_routes_are_a_route_table() -> None:
    """All subnets use it, or one with their own; without subnets routes are lost, which is told."""
    with_subnets = VirtualNetwork(
        "a",
        prefixes("10.0.0.0/16"),
        (
            Subnet("x", prefixes("10.0.1.0/24")),
            Subnet("y", prefixes("10.0.2.0/24"), routes=prefixes("172.16.0.0/12")),
        ),
        routes=prefixes("0.0.0.0/0", "192.168.0.0/16"),
    )
    without = dataclasses.replace(with_subnets, name="b", subnets=())
    export = rest_resources(NetworkModel((with_subnets, without)))
    assert export.changes == ["routes of virtual network b, which has no subnet"]
    model = NetworkModel((with_subnets, without))
    assert load(export.resources).model == what_azure_holds(model)
    tables = [r["name"] for r in export.resources if str(r["type"]).endswith("/routeTables")]
    assert tables == ["a-routes", "a.y-routes"]
    alone = dataclasses.replace(with_subnets, routes=())
    (read,) = load(rest_resources(NetworkModel((alone,))).resources).model.virtual_networks
    assert read == alone


def test_two_names_with_one_id() -> None:
    """A name without a group gets one, which others may have."""
    groups = tuple(NetworkSecurityGroup(name) for name in ("web", "NSGD/Web", "other"))
    (change,) = rest_resources(NetworkModel(network_security_groups=groups)).changes
    assert change.startswith("what tells 2 resources apart that get one id, /subscriptions/")
    assert change.endswith("/networksecuritygroups/web")


def test_names_with_a_group() -> None:
    """GROUP/NAME becomes the resource group of the id, and comes back where it is needed."""
    networks = tuple(
        VirtualNetwork(name, prefixes("10.0.0.0/16"), (Subnet("web", prefixes("10.0.1.0/24")),))
        for name in ("rg1/hub", "rg2/hub")
    )
    nic = NetworkInterface("n", "rg2/hub", "web", addresses("10.0.1.4"))
    model = NetworkModel(networks, (nic,))
    export = rest_resources(model)
    assert "/resourceGroups/rg2/providers/" in str(export.resources[1]["id"])
    assert export.resources[1]["name"] == "hub"
    assert load(export.resources).model == model


def test_what_changes_decisions_is_told() -> None:
    """All that Azure's JSON has no place for, apart by whether it decides."""
    network = VirtualNetwork(
        "a",
        prefixes("10.0.0.0/16"),
        (
            Subnet("x", prefixes("10.0.1.0/24")),
            Subnet("y", prefixes("10.0.2.0/24"), routes=prefixes("172.16.0.0/12")),
        ),
        on_premises=prefixes("192.168.0.0/16"),
    )
    model = NetworkModel(
        (network,),
        scale_sets=(
            ScaleSet("part", "a", "x", prefixes("10.0.1.32/27")),
            ScaleSet("whole", "a", "y", prefixes("10.0.2.0/24")),
        ),
        application_security_groups=(ApplicationSecurityGroup("empty", "a"),),
        platform=PlatformAddresses(host=()),
    )
    export = rest_resources(model)
    assert export.changes == [
        "onPremises of virtual network a",
        "privateIPAddressPrefixes of scale set part, which are not those of its subnet",
        "platformAddresses",
    ]
    assert export.aside == [
        "virtualNetwork of application security group empty, which has no members"
    ]


def test_nothing() -> None:
    """An empty model has no resources."""
    assert rest_resources(NetworkModel()) == Export([], [], [])
