"""Virtual networks with their subnets and peerings, and the route tables that subnets use."""

from __future__ import annotations

import re

from nsgd.azure.context import Context, translate_parts
from nsgd.azure.fields import Fields, Only, Table, fold, read_fields
from nsgd.azure.findings import shown
from nsgd.azure.origins import Piece, Written
from nsgd.azure.recognise import ROUTE_TABLE, VIRTUAL_NETWORK, Resource
from nsgd.azure.security_groups import put_security_group
from nsgd.azure.services import put_services

_NETWORK = Table(
    "a virtual network",
    ("name", "addressSpace", "subnets", "virtualNetworkPeerings", "flowTimeoutInMinutes"),
    (
        "bgpCommunities",
        "ddosProtectionPlan",
        "defaultPublicNatGateway",
        "dhcpOptions",
        "enableDdosProtection",
        "enableVmProtection",
        "encryption",
        "flowLogs",
        "ipAllocations",
        "privateEndpointVNetPolicies",
    ),
)
_ADDRESS_SPACE = Table("an address space", ("addressPrefixes",), ("ipamPoolPrefixAllocations",))
# Service endpoints change the routes of a tag's prefixes, not the tag (docs/azure-reference.md,
# choice 17).
_SUBNET = Table(
    "a subnet",
    (
        "name",
        "addressPrefix",
        "addressPrefixes",
        "networkSecurityGroup",
        "routeTable",
        "privateEndpoints",
        "applicationGatewayIPConfigurations",
        "delegations",
    ),
    (
        "defaultOutboundAccess",
        "ipAllocations",
        "ipConfigurationProfiles",
        "ipConfigurations",
        "ipamPoolPrefixAllocations",
        "natGateway",
        "privateEndpointNetworkPolicies",
        "privateLinkServiceNetworkPolicies",
        "purpose",
        "resourceNavigationLinks",
        "serviceAssociationLinks",
        "serviceEndpointPolicies",
        "serviceEndpoints",
        "sharingScope",
    ),
)
_REMOVE_PEERING = "remove the peering, or correct it"
_PEERING = Table(
    "a peering",
    ("remoteVirtualNetwork", "allowGatewayTransit", "useRemoteGateways", "peeringState"),
    (
        "allowForwardedTraffic",
        "doNotVerifyRemoteGateways",
        "localAddressSpace",
        "localVirtualNetworkAddressSpace",
        "peeringSyncLevel",
        "remoteAddressSpace",
        "remoteBgpCommunities",
        "remoteGateways",
        "remoteVirtualNetworkAddressSpace",
        "remoteVirtualNetworkEncryption",
    ),
    {
        "allowVirtualNetworkAccess": Only(
            True, "the peer would be outside the VirtualNetwork tag on one side", _REMOVE_PEERING
        ),
        "peerCompleteVnets": Only(True, "only some subnets would be peers", _REMOVE_PEERING),
        "enableOnlyIPv6Peering": Only(False, "only IPv6 would be peered", _REMOVE_PEERING),
    },
)
_TABLE = Table(
    "a route table",
    ("name", "routes"),
    ("disableBgpRoutePropagation", "subnets"),
)
_ROUTE = Table(
    "a route", ("name", "addressPrefix"), ("hasBgpOverride", "nextHopIpAddress", "nextHopType")
)
_TAG_LIKE = re.compile(r"[A-Za-z][A-Za-z0-9_.]*")


def translate_network(resource: Resource, context: Context) -> Piece | None:
    """A virtual network as an entry of ``virtualNetworks``."""
    fields = read_fields(_NETWORK, resource.value, resource.at, context.findings)
    if fields is None:
        return None
    piece = Piece(fields.at, fields.below)
    piece.put("name", resource.name, fields.where("name"))
    _put_address_space(piece, fields, context)
    subnets = translate_parts(resource, fields, "subnets", _translate_subnet, context)
    piece.put_pieces("subnets", subnets, fields.where("subnets"))
    key = "virtualNetworkPeerings"
    peerings = translate_parts(resource, fields, key, _translate_peering, context)
    piece.put_pieces("peerings", peerings, fields.where(key))
    fields.copy_to(piece, ("flowTimeoutInMinutes",))
    return piece


def _put_address_space(piece: Piece, fields: Fields, context: Context) -> None:
    where = fields.where("addressSpace")
    value = fields.get("addressSpace")
    space = None if value is None else read_fields(_ADDRESS_SPACE, value, where, context.findings)
    if space is None:
        piece.missing("addressSpace", where)
    elif space.get("addressPrefixes") is None:
        piece.missing("addressSpace", space.where("addressPrefixes"))
    else:
        piece.put("addressSpace", space.get("addressPrefixes"), space.where("addressPrefixes"))


def _translate_subnet(value: object, at: Written, context: Context) -> Piece | None:
    fields = read_fields(_SUBNET, value, at, context.findings)
    if fields is None:
        return None
    piece = Piece(fields.at, fields.below)
    prefixes, prefix = fields.get("addressPrefixes"), fields.get("addressPrefix")
    given = ["name", "addressPrefixes", "addressPrefix"]
    if isinstance(prefixes, list) and prefix in prefixes:
        given.pop()  # some versions of the interface answer with both
    fields.copy_to(piece, given)
    put_security_group(piece, fields, context)
    put_services(piece, fields, context)
    if fields.get("networkSecurityGroup") is not None and fields.get("privateEndpoints"):
        context.findings.note(
            fields.where("privateEndpoints"),
            "Azure may exempt private endpoints from the subnet's network security group;"
            " here it judges them",
        )
    if fields.get("routeTable") is not None:
        _put_routes(piece, fields, context)
    return piece


def _put_routes(piece: Piece, fields: Fields, context: Context) -> None:
    """Set ``routes`` to the prefixes of the route table that a subnet uses, each once."""
    at = fields.where("routeTable")
    value = fields.get("routeTable")
    reference = context.directory.resolve(value, ROUTE_TABLE, at, is_azure_only=True)
    if reference is None or reference.resource is None:
        return
    resource = reference.resource
    table = read_fields(_TABLE, resource.value, resource.at, context.findings)
    if table is None:
        return
    routes: dict[object, Written] = {}
    for route in translate_parts(resource, table, "routes", _translate_route, context):
        prefix = route.value.get("addressPrefix")
        where = route.find(("addressPrefix",))
        if isinstance(prefix, str) and _TAG_LIKE.fullmatch(prefix):
            context.findings.refuse(
                where,
                f"a route to service tag {shown(prefix)} cannot be expressed",
                "write the tag's prefixes as routes",
            )
        elif isinstance(prefix, str):
            routes.setdefault(prefix, where)
        else:
            context.findings.refuse(where, "a route has no prefix", "write addressPrefix")
    if routes:
        piece.put_list("routes", list(routes.items()), at)


def _translate_route(value: object, at: Written, context: Context) -> Piece | None:
    fields = read_fields(_ROUTE, value, at, context.findings)
    if fields is None:
        return None
    piece = Piece(fields.at, fields.below)
    fields.copy_to(piece, ("name", "addressPrefix"))
    return piece


def _translate_peering(value: object, at: Written, context: Context) -> Piece | None:
    fields = read_fields(_PEERING, value, at, context.findings)
    if fields is None:
        return None
    piece = Piece(fields.at, fields.below)
    key = "remoteVirtualNetwork"
    remote = fields.get(key)
    if remote is None:
        piece.missing("name", fields.where(key))
    else:
        reference = context.directory.resolve(remote, VIRTUAL_NETWORK, fields.where(key))
        if reference is None:
            return None
        piece.put("name", reference.name, reference.at)
        piece.at = reference.at  # what may be wrong with a whole peering is where it leads
    fields.copy_to(piece, ("allowGatewayTransit", "useRemoteGateways"))
    state = fields.get("peeringState")
    if isinstance(state, str) and fold(state) != "connected":
        context.findings.note(
            fields.where("peeringState"),
            f"the peering is {shown(state)}; it counts all the same if the other side declares it",
        )
    return piece
