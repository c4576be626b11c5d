"""Network interfaces, with all their IP configurations."""

from __future__ import annotations

from typing import NamedTuple

from nsgd.azure.context import Context, DynamicAddress
from nsgd.azure.fields import Fields, Only, Table, entries_of, fold, read_fields
from nsgd.azure.findings import shown
from nsgd.azure.origins import Piece, Written
from nsgd.azure.recognise import SUBNET, Resource
from nsgd.azure.security_groups import put_application_groups, put_security_group

INTERFACE_IGNORED = (
    "auxiliaryMode",
    "auxiliarySku",
    "defaultOutboundConnectivityEnabled",
    "deleteOption",
    "dnsSettings",
    "dscpConfiguration",
    "enableAcceleratedNetworking",
    "enableFpga",
    "hostedWorkloads",
    "macAddress",
    "migrationPhase",
    "nicType",
    "primary",
    "privateEndpoint",
    "privateLinkService",
    "tapConfigurations",
    "virtualMachine",
    "vnetEncryptionSupported",
    "workloadType",
)
TRACKED = {
    "disableTcpStateTracking": Only(
        False, "every flow's state is kept in connection tracking", "remove it"
    )
}
_INTERFACE = Table(
    "a network interface",
    ("name", "ipConfigurations", "networkSecurityGroup", "enableIPForwarding"),
    INTERFACE_IGNORED,
    TRACKED,
)
_CONFIGURATION = Table(
    "an IP configuration",
    (
        "privateIPAddress",
        "privateIPAllocationMethod",
        "privateIPAddressVersion",
        "subnet",
        "applicationSecurityGroups",
        "networkSecurityGroup",
    ),
    (
        "applicationGatewayBackendAddressPools",
        "gatewayLoadBalancer",
        "loadBalancerBackendAddressPools",
        "loadBalancerInboundNatPools",
        "loadBalancerInboundNatRules",
        "primary",
        "privateLinkConnectionProperties",
        "publicIPAddress",
        "publicIPAddressConfiguration",
        "virtualNetworkTaps",
    ),
)


class IPConfigurations(NamedTuple):
    """What the IP configurations of one interface have in common, and each by itself."""

    groups: Piece  # holds applicationSecurityGroups where there are some
    subnet: tuple[str, Written] | None
    each: list[Fields]


def translate_interface(resource: Resource, context: Context) -> Piece | None:
    """A network interface as an entry of ``networkInterfaces``, with all its addresses."""
    fields = read_fields(_INTERFACE, resource.value, resource.at, context.findings)
    if fields is None:
        return None
    piece = Piece(fields.at, fields.below)
    piece.put("name", resource.name, fields.where("name"))
    put_security_group(piece, fields, context)
    fields.copy_to(piece, ("enableIPForwarding",))
    configurations = read_configurations(fields, context)
    put_common(piece, fields, configurations)
    addresses = []
    for index, configuration in enumerate(configurations.each):
        addresses.append((configuration.get("privateIPAddress"), _address_at(configuration)))
        if configuration.get("privateIPAddress") is None:
            dynamic = _dynamic(piece, index, configuration, context)
            if dynamic is not None:
                context.dynamic.append(dynamic)
    key = "privateIPAddresses"
    if addresses:
        piece.put_list(key, addresses, fields.where("ipConfigurations"))
    else:
        piece.missing(key, fields.where("ipConfigurations"))
    return piece


def _address_at(configuration: Fields) -> Written:
    return configuration.where("privateIPAddress")


def _dynamic(
    piece: Piece, index: int, configuration: Fields, context: Context
) -> DynamicAddress | None:
    method = configuration.get("privateIPAllocationMethod")
    if method is not None and not (isinstance(method, str) and fold(method) == "dynamic"):
        return None  # null is then refused as an address
    version = configuration.get("privateIPAddressVersion")
    is_v6 = isinstance(version, str) and fold(version) == "ipv6"
    return DynamicAddress(piece, index, 6 if is_v6 else 4, _address_at(configuration))


def read_configurations(fields: Fields, context: Context) -> IPConfigurations:
    """Read them, and refuse what differs among those of one interface.

    Azure refuses both too: SubnetsNotInSameVnet and
    ApplicationSecurityGroupsNotSameOnAllIpConfigurationsOfNic are its codes.
    """
    each: list[Fields] = []
    subnet: tuple[str, Written] | None = None
    groups: Piece | None = None
    without_subnet: list[Fields] = []
    for value, at in entries_of(fields, "ipConfigurations", context.findings):
        configuration = read_fields(_CONFIGURATION, value, at, context.findings)
        if configuration is None:
            continue
        each.append(configuration)
        if configuration.get("networkSecurityGroup") is not None:
            # Templates have it there by mistake, and are deployed without complaint; see
            # Azure/azure-quickstart-templates, pull request 1175.
            context.findings.note(
                configuration.where("networkSecurityGroup"),
                "Azure disregards a group in an IP configuration: only the interface's own counts",
            )
        own = _subnet_of(configuration, context)
        if configuration.get("subnet") is None:
            without_subnet.append(configuration)
        if subnet is None:
            subnet = own
        elif own is not None and fold(own[0]) != fold(subnet[0]):
            context.findings.refuse(
                own[1],
                f"subnet {shown(own[0])} differs from {shown(subnet[0])} of the same interface",
                "use one subnet for all its IP configurations",
            )
        own_groups = Piece(configuration.at, configuration.below)
        put_application_groups(own_groups, "applicationSecurityGroups", configuration, context)
        if groups is None:
            groups = own_groups
        elif _group_names(own_groups) != _group_names(groups):
            context.findings.refuse(
                configuration.where("applicationSecurityGroups"),
                "the application security groups differ from those of the interface's first"
                " IP configuration",
                "give all its IP configurations the same ones",
            )
    if len(without_subnet) < len(each):  # of all together the reader of the native entry tells
        for configuration in without_subnet:
            context.findings.refuse(
                configuration.where("subnet"),
                "the IP configuration has no subnet, and others of its interface have one",
                "write the subnet in each of them",
            )
    return IPConfigurations(groups or Piece(fields.at, fields.below), subnet, each)


def _subnet_of(configuration: Fields, context: Context) -> tuple[str, Written] | None:
    value = configuration.get("subnet")
    if value is None:
        return None
    reference = context.directory.resolve(value, SUBNET, configuration.where("subnet"))
    return None if reference is None else (reference.name, reference.at)


def _group_names(piece: Piece) -> set[str]:
    return {fold(name) for name in piece.value.get("applicationSecurityGroups", ())}


def put_common(piece: Piece, fields: Fields, configurations: IPConfigurations) -> None:
    """Set the subnet and the application security groups of an interface."""
    if configurations.subnet is not None:
        piece.put("subnet", *configurations.subnet)
    elif configurations.each:
        piece.missing("subnet", configurations.each[0].where("subnet"))
    else:
        piece.missing("subnet", fields.where("ipConfigurations"))
    key = "applicationSecurityGroups"
    if key in configurations.groups.value:
        piece.value[key] = configurations.groups.value[key]
        piece.parts[key] = configurations.groups.parts[key]
