"""Subnets of Azure's JSON that security admin rules are not applied in."""

from __future__ import annotations

import json

import pytest

from nsgd.azure.export import rest_resources
from nsgd.azure.native import native_document
from nsgd.config.load import Document, load_documents
from nsgd.model.admin import AzureService
from tests.azure.resources import Raw, load, resource


def vnet(name: str = "s", **properties: object) -> Raw:
    """A virtual network with one subnet, as REST answers it."""
    subnet = {"name": name, "properties": {"addressPrefix": "10.0.1.0/24", **properties}}
    space = {"addressPrefixes": ["10.0.0.0/16"]}
    return resource("virtualNetworks", "hub", {"addressSpace": space, "subnets": [subnet]})


def delegated(service: str) -> Raw:
    """A delegation, with what the service adds to it."""
    properties = {"serviceName": service, "actions": [], "provisioningState": "Succeeded"}
    return {"delegations": [{"name": "d", "id": "x", "properties": properties}]}


GATEWAYS: Raw = {"applicationGatewayIPConfigurations": [{"id": "/subscriptions/x"}]}


@pytest.mark.parametrize(
    ("document", "services"),
    [
        (vnet(), ()),
        (vnet("GatewaySubnet"), (AzureService.VPN_GATEWAY,)),
        (vnet("azurebastionsubnet"), (AzureService.BASTION,)),
        (vnet("AzureFirewallSubnet"), (AzureService.FIREWALL,)),
        (vnet("AzureFirewallManagementSubnet"), (AzureService.FIREWALL,)),
        (vnet("RouteServerSubnet"), (AzureService.ROUTE_SERVER,)),
        (vnet("MyGatewaySubnet"), ()),
        (vnet(**delegated("Microsoft.Sql/managedInstances")), (AzureService.SQL_MANAGED_INSTANCE,)),
        (vnet(**delegated("microsoft.databricks/Workspaces")), (AzureService.DATABRICKS,)),
        (vnet(**delegated("Microsoft.Sql/servers")), ()),
        (vnet(delegations=[{"serviceName": "Microsoft.Sql/managedInstances"}]),
         (AzureService.SQL_MANAGED_INSTANCE,)),
        (vnet(delegations="odd"), ()),
        (vnet(delegations=[3, {"properties": {"serviceName": 4}}]), ()),
        (vnet(**GATEWAYS), (AzureService.APPLICATION_GATEWAY,)),
        (vnet("GatewaySubnet", **GATEWAYS),
         (AzureService.VPN_GATEWAY, AzureService.APPLICATION_GATEWAY)),
    ],
)  # fmt: skip
def test_services(document: Raw, services: tuple[AzureService, ...]) -> None:
    """By the names and delegations that Azure requires; an application gateway is noted."""
    loaded = load(document)
    (network,) = loaded.model.virtual_networks
    assert network.subnets[0].services == services
    is_noted = any("application gateway" in note for note in loaded.notes)
    assert is_noted is (AzureService.APPLICATION_GATEWAY in services)
    # Printed and read again it is the same, or what is left out is told.
    exported = rest_resources(loaded.model)
    again = load(exported.resources).model
    assert (again == loaded.model) is (exported.aside == [])
    assert bool(exported.aside) is is_noted
    native = json.dumps(native_document(loaded.model)).encode()
    assert load_documents([Document("d", native)]).model == loaded.model


def test_admin_rules_have_no_place_in_an_export() -> None:
    """What would decide otherwise without them is told."""
    rule = {
        "name": "r",
        "priority": 1,
        "direction": "Inbound",
        "access": "Deny",
        "protocol": "Any",
        "sources": ["*"],
        "sourcePortRanges": ["*"],
        "destinations": ["*"],
        "destinationPortRanges": ["22"],
    }
    collection = {"name": "c", "appliesTo": ["HUB"], "rules": [rule]}
    admin = {"securityAdminConfigurations": [{"name": "a", "ruleCollections": [collection]}]}
    loaded = load(vnet(), admin)
    (configuration,) = loaded.model.security_admin_configurations
    assert configuration.rule_collections[0].applies_to == ("hub",)
    assert rest_resources(loaded.model).changes == ["securityAdminConfigurations"]
