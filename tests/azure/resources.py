"""Azure's JSON for the tests of this folder, as REST answers it and as ``az`` flattens it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nsgd.config.load import Document, LoadedConfig, load_documents
from nsgd.config.problem import ConfigRefused

Raw = dict[str, Any]

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"


def load(*documents: object) -> LoadedConfig:
    """Load documents given as values, each written as JSON."""
    return load_documents(
        [Document(f"d{i}", json.dumps(document).encode()) for i, document in enumerate(documents)]
    )


def problems(*documents: object) -> list[str]:
    """All problems of documents that must have some: document, path, message and way out."""
    with pytest.raises(ConfigRefused) as caught:
        load(*documents)
    return [
        f"{problem.document} {problem.path}: {problem.message}; {problem.way_out}"
        for problem in caught.value.problems
    ]


def problem(*documents: object) -> str:
    """The only problem."""
    found = problems(*documents)
    assert len(found) == 1, found
    return found[0]


def rid(kind: str, name: str, group: str = "rg") -> str:
    """A resource id; *kind* without Microsoft.Network is of that namespace."""
    namespace = kind if "." in kind else f"Microsoft.Network/{kind}"
    return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers/{namespace}/{name}"


def ref(kind: str, name: str, group: str = "rg") -> Raw:
    """A reference."""
    return {"id": rid(kind, name, group)}


def resource(kind: str, name: str, properties: Raw, group: str = "rg", **top: object) -> Raw:
    """A resource as the REST interface has it, with the fields that decide nothing."""
    namespace = kind if "." in kind else f"Microsoft.Network/{kind}"
    return {
        "name": name,
        "id": rid(kind, name, group),
        "etag": 'W/"1"',
        "type": namespace,
        "location": "westeurope",
        "tags": {"team": "web"},
        "properties": {"provisioningState": "Succeeded", **properties},
        **top,
    }


def rule(name: str = "AllowHttp", **changed: object) -> Raw:
    """A security rule as the service answers it, with its empty lists; None takes a key away."""
    properties: Raw = {
        "provisioningState": "Succeeded",
        "protocol": "Tcp",
        "sourcePortRange": "*",
        "destinationPortRange": "80",
        "sourceAddressPrefix": "Internet",
        "destinationAddressPrefix": "*",
        "access": "Allow",
        "priority": 100,
        "direction": "Inbound",
        "sourcePortRanges": [],
        "destinationPortRanges": [],
        "sourceAddressPrefixes": [],
        "destinationAddressPrefixes": [],
    }
    properties.update(changed)
    kept = {key: value for key, value in properties.items() if value is not None}
    return {
        "name": name,
        "id": f"{rid('networkSecurityGroups', 'web')}/securityRules/{name}",
        "etag": 'W/"1"',
        "type": "Microsoft.Network/networkSecurityGroups/securityRules",
        "properties": kept,
    }


def nsg(*rules: Raw, name: str = "web", group: str = "rg", **properties: object) -> Raw:
    """A network security group."""
    return resource(
        "networkSecurityGroups", name, {"securityRules": list(rules), **properties}, group
    )


def subnet(name: str = "web", prefix: str = "10.0.1.0/24", **properties: object) -> Raw:
    """A subnet inside a virtual network."""
    return {"name": name, "properties": {"addressPrefix": prefix, **properties}}


def vnet(
    *subnets: Raw,
    name: str = "hub",
    space: str = "10.0.0.0/16",
    group: str = "rg",
    **properties: object,
) -> Raw:
    """A virtual network; with one subnet web where none is given."""
    return resource(
        "virtualNetworks",
        name,
        {
            "addressSpace": {"addressPrefixes": [space]},
            "subnets": list(subnets or (subnet(),)),
            **properties,
        },
        group,
    )


def configuration(
    address: str | None = "10.0.1.4", subnet_id: str | None = None, **properties: object
) -> Raw:
    """An IP configuration in hub/web; without an address it is dynamic."""
    fields: Raw = {
        "primary": True,
        "privateIPAllocationMethod": "Dynamic" if address is None else "Static",
        "subnet": {"id": subnet_id or f"{rid('virtualNetworks', 'hub')}/subnets/web"},
        **properties,
    }
    if address is not None:
        fields["privateIPAddress"] = address
    return {"name": "ipconfig1", "properties": fields}


def nic(*configurations: Raw, name: str = "web1", group: str = "rg", **properties: object) -> Raw:
    """A network interface."""
    return resource(
        "networkInterfaces",
        name,
        {"ipConfigurations": list(configurations or (configuration(),)), **properties},
        group,
    )


def asg(name: str = "WebServers", group: str = "rg") -> Raw:
    """An application security group."""
    return resource("applicationSecurityGroups", name, {}, group)


def scale_set(*interfaces: Raw, name: str = "vmss", group: str = "rg", **properties: object) -> Raw:
    """A scale set with the interface configurations given."""
    profile = {"networkProfile": {"networkInterfaceConfigurations": list(interfaces)}}
    return resource(
        "Microsoft.Compute/virtualMachineScaleSets",
        name,
        {"virtualMachineProfile": profile, **properties},
        group,
    )


def scale_set_interface(name: str = "nic", **properties: object) -> Raw:
    """An interface configuration of a scale set, in hub/web."""
    inner = {"subnet": {"id": f"{rid('virtualNetworks', 'hub')}/subnets/web"}}
    return {
        "name": name,
        "properties": {
            "primary": True,
            "ipConfigurations": [{"name": "ipconfig1", "properties": inner}],
            **properties,
        },
    }


def flatten(value: object) -> object:
    """As az prints it: no ``properties``, and the resource group beside the id."""
    if isinstance(value, list):
        return [flatten(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    result = {}
    for key, entry in value.items():
        if key == "properties":
            result.update({k: flatten(v) for k, v in entry.items()})
        else:
            result[key] = flatten(entry)
    if "id" in result:
        result["resourceGroup"] = "rg"
    return result
