"""Prints a model as resources in the form of Azure's REST interface."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from nsgd.azure.recognise import (
    APPLICATION_GROUP,
    INTERFACE,
    ROUTE_TABLE,
    SCALE_SET,
    SECURITY_GROUP,
    VIRTUAL_NETWORK,
)
from nsgd.azure.rule_text import Json, rule_fields, singular_or_plural
from nsgd.azure.services import delegations_of, is_told_by_name
from nsgd.model.dialect import NOW
from nsgd.model.network import (
    NetworkInterface,
    NetworkModel,
    NetworkSecurityGroup,
    Peering,
    ScaleSet,
    Subnet,
    VirtualNetwork,
)
from nsgd.model.platform import AZURE_PLATFORM
from nsgd.model.rule import DEFAULT_SECURITY_RULES, SecurityRule

# A model knows neither: names that have a group, as group/name, keep it.
_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
_GROUP = "nsgd"

# As the service's own answers describe them.
_DEFAULT_DESCRIPTIONS = {
    "AllowVnetInBound": "Allow inbound traffic from all VMs in VNET",
    "AllowAzureLoadBalancerInBound": "Allow inbound traffic from azure load balancer",
    "DenyAllInBound": "Deny all inbound traffic",
    "AllowVnetOutBound": "Allow outbound traffic from all VMs to all VMs in VNET",
    "AllowInternetOutBound": "Allow outbound traffic from all VMs to Internet",
    "DenyAllOutBound": "Deny all outbound traffic",
}


class Export(NamedTuple):
    """The resources, and a line on everything of the model that Azure's JSON has no place for.

    What *changes* the decisions is apart from what is only put *aside*.
    """

    resources: list[Json]
    changes: list[str]
    aside: list[str]


def rest_resources(model: NetworkModel) -> Export:
    """The resources of a model, in an order in which each refers to earlier ones only.

    Peerings refer to networks that may come later. Where a network has routes, its subnets use a
    route table that is named after it, and those with routes of their own one with both; the routes
    have no next hop: none is known.
    """
    resources = [_resource(APPLICATION_GROUP, g.name) for g in model.application_security_groups]
    resources += [_security_group(group) for group in model.network_security_groups]
    for network in model.virtual_networks:
        tables = {_route_table_name(network, s): network.seen_from(s) for s in network.subnets}
        resources += [_route_table(name, seen) for name, seen in tables.items() if seen.routes]
        resources.append(_network(network))
    resources += [_interface(interface) for interface in model.network_interfaces]
    resources += [_scale_set(scale_set) for scale_set in model.scale_sets]
    return Export(resources, _one_id(resources) + _changes(model), _aside(model))


def _one_id(resources: Sequence[Json]) -> list[str]:
    """Names that are not told apart by their ids, such as ``nsgd/web`` and ``web``."""
    times = Counter(str(resource["id"]).lower() for resource in resources)
    return [
        f"what tells {count} resources apart that get one id, {each}"
        for each, count in times.items()
        if count > 1
    ]


def _changes(model: NetworkModel) -> list[str]:
    lines = []
    for network in model.virtual_networks:
        if network.on_premises:
            lines.append(f"onPremises of virtual network {network.name}")
        if network.routes and not network.subnets:
            lines.append(f"routes of virtual network {network.name}, which has no subnet")
    prefixes = {
        (network.name, subnet.name): subnet.address_prefixes
        for network in model.virtual_networks
        for subnet in network.subnets
    }
    lines += [
        f"privateIPAddressPrefixes of scale set {s.name}, which are not those of its subnet"
        for s in model.scale_sets
        if set(s.private_ip_address_prefixes) != set(prefixes[s.virtual_network, s.subnet])
    ]
    if model.platform != AZURE_PLATFORM:
        lines.append("platformAddresses")
    if model.subscription is not None:
        lines.append("subscription")
    if model.dialect != NOW:
        lines.append(f"dialect {model.dialect.name}")
    if model.security_admin_configurations:
        lines.append("securityAdminConfigurations")
    return lines


def _aside(model: NetworkModel) -> list[str]:
    lines = [
        f"{key} of network interface {interface.name}"
        for interface in model.network_interfaces
        for key, value in (("link", interface.link), ("created", interface.created))
        if value is not None
    ]
    lines += [
        f"{service.value} in services of subnet {network.name}/{subnet.name}"
        for network in model.virtual_networks
        for subnet in network.subnets
        for service in subnet.services
        if not delegations_of((service,)) and not is_told_by_name(subnet.name, service)
    ]
    endpoints: list[NetworkInterface | ScaleSet] = [*model.network_interfaces, *model.scale_sets]
    with_members = {name for e in endpoints for name in e.application_security_groups}
    lines += [
        f"virtualNetwork of application security group {group.name}, which has no members"
        for group in model.application_security_groups
        if group.virtual_network is not None and group.name not in with_members
    ]
    return lines


def _id(resource_type: str, name: str) -> str:
    group, _, own = name.rpartition("/")
    return (
        f"/subscriptions/{_SUBSCRIPTION}/resourceGroups/{group or _GROUP}"
        f"/providers/{resource_type}/{own}"
    )


def _refer(resource_type: str, name: str) -> Json:
    return {"id": _id(resource_type, name)}


def _refer_to_group(name: str) -> Json:
    return _refer(APPLICATION_GROUP, name)


def _subnet_id(network: str, subnet: str) -> str:
    return f"{_id(VIRTUAL_NETWORK, network)}/subnets/{subnet}"


def _resource(resource_type: str, name: str, properties: Json | None = None) -> Json:
    return {
        "name": name.rpartition("/")[2],
        "id": _id(resource_type, name),
        "type": resource_type,
        "properties": properties or {},
    }


def _part(parent_type: str, parent: str, key: str, name: str, properties: Json) -> Json:
    """An object inside a resource, which has an id and a type as well."""
    return {
        "name": name,
        "id": f"{_id(parent_type, parent)}/{key}/{name}",
        "type": f"{parent_type}/{key}",
        "properties": properties,
    }


def _security_group(group: NetworkSecurityGroup) -> Json:
    def part(key: str, rule: SecurityRule, description: str) -> Json:
        fields = rule_fields(rule, _refer_to_group)
        described = {"description": description, **fields} if description else fields
        return _part(SECURITY_GROUP, group.name, key, rule.name, described)

    properties: Json = {"flushConnection": True} if group.flush_connection else {}
    properties["securityRules"] = [
        part("securityRules", rule, rule.description) for rule in group.security_rules
    ]
    properties["defaultSecurityRules"] = [
        part("defaultSecurityRules", rule, _DEFAULT_DESCRIPTIONS[rule.name])
        for rule in DEFAULT_SECURITY_RULES
    ]
    return _resource(SECURITY_GROUP, group.name, properties)


def _route_table_name(network: VirtualNetwork, subnet: Subnet) -> str:
    return f"{network.name}.{subnet.name}-routes" if subnet.routes else f"{network.name}-routes"


def _route_table(name: str, network: VirtualNetwork) -> Json:
    routes = [
        _part(ROUTE_TABLE, name, "routes", f"route-{index}", {"addressPrefix": str(prefix)})
        for index, prefix in enumerate(dict.fromkeys(network.routes))
    ]
    return _resource(ROUTE_TABLE, name, {"routes": routes})


def _network(network: VirtualNetwork) -> Json:
    return _resource(
        VIRTUAL_NETWORK,
        network.name,
        {
            "addressSpace": {"addressPrefixes": [str(p) for p in network.address_space]},
            "subnets": [_subnet(network, subnet) for subnet in network.subnets],
            "virtualNetworkPeerings": [_peering(network, p) for p in network.peerings],
            **({"flowTimeoutInMinutes": m} if (m := network.flow_timeout_minutes) else {}),
        },
    )


def _subnet(network: VirtualNetwork, subnet: Subnet) -> Json:
    prefixes = [str(prefix) for prefix in subnet.address_prefixes]
    properties = singular_or_plural("addressPrefix", prefixes, "es")
    if subnet.network_security_group is not None:
        group = _refer(SECURITY_GROUP, subnet.network_security_group)
        properties["networkSecurityGroup"] = group
    if delegations := delegations_of(subnet.services):
        properties["delegations"] = delegations
    if network.seen_from(subnet).routes:
        properties["routeTable"] = _refer(ROUTE_TABLE, _route_table_name(network, subnet))
    return _part(VIRTUAL_NETWORK, network.name, "subnets", subnet.name, properties)


def _peering(network: VirtualNetwork, peering: Peering) -> Json:
    return _part(
        VIRTUAL_NETWORK,
        network.name,
        "virtualNetworkPeerings",
        peering.remote_virtual_network.rpartition("/")[2],
        {
            "remoteVirtualNetwork": _refer(VIRTUAL_NETWORK, peering.remote_virtual_network),
            "allowVirtualNetworkAccess": True,
            "allowGatewayTransit": peering.allow_gateway_transit,
            "useRemoteGateways": peering.use_remote_gateways,
        },
    )


def _of_endpoint(endpoint: NetworkInterface | ScaleSet) -> tuple[Json, Json]:
    """Properties of the interface, and of each of its IP configurations."""
    outer: Json = {}
    if endpoint.network_security_group is not None:
        outer["networkSecurityGroup"] = _refer(SECURITY_GROUP, endpoint.network_security_group)
    inner: Json = {"subnet": {"id": _subnet_id(endpoint.virtual_network, endpoint.subnet)}}
    if endpoint.application_security_groups:
        inner["applicationSecurityGroups"] = [
            _refer_to_group(name) for name in endpoint.application_security_groups
        ]
    return outer, inner


def _interface(interface: NetworkInterface) -> Json:
    outer, inner = _of_endpoint(interface)
    configurations = [
        {
            "name": f"ipconfig{index}",
            "properties": {
                "primary": index == 1,
                "privateIPAddress": str(address),
                "privateIPAllocationMethod": "Static",
                "privateIPAddressVersion": f"IPv{address.version}",
                **inner,
            },
        }
        for index, address in enumerate(interface.private_ip_addresses, 1)
    ]
    return _resource(
        INTERFACE,
        interface.name,
        {
            "ipConfigurations": configurations,
            "enableIPForwarding": interface.enable_ip_forwarding,
            **outer,
        },
    )


def _scale_set(scale_set: ScaleSet) -> Json:
    outer, inner = _of_endpoint(scale_set)
    configuration = {
        "name": "nic",
        "properties": {
            "primary": True,
            "ipConfigurations": [{"name": "ipconfig1", "properties": inner}],
            **outer,
        },
    }
    profile = {"networkProfile": {"networkInterfaceConfigurations": [configuration]}}
    properties: Json = {"virtualMachineProfile": profile}
    if scale_set.created is not None:
        properties["timeCreated"] = f"{scale_set.created.isoformat()}T00:00:00Z"
    return _resource(SCALE_SET, scale_set.name, properties)
