"""The document format as tables of fields, in Azure's words where Azure has them."""

from __future__ import annotations

import re

from nsgd.config.addresses import parse_address, parse_prefix, parse_rule_address
from nsgd.config.admin_schema import SERVICES, security_admin_configuration
from nsgd.config.compound import Field, ListOf, NameOr, ObjectOf
from nsgd.config.dialect import DIALECT
from nsgd.config.limits import LIMITS
from nsgd.config.platform import PLATFORM_ADDRESSES, ObjectWithEmptyLists
from nsgd.config.ports import parse_port_range
from nsgd.config.rule_tags import DEFAULT_CLOUD, parse_cloud
from nsgd.config.settings import SETTINGS
from nsgd.config.shape import Boolean, Choice, Integer, Parsed, Shape, Text
from nsgd.config.subscription import DATE, SUBSCRIPTION
from nsgd.model.dialect import NOW
from nsgd.model.rule import HIGHEST_PRIORITY, LOWEST_PRIORITY, Access, Direction, Protocol

# Azure REST, VirtualNetwork, flowTimeoutInMinutes.
FLOW_TIMEOUT_MINUTES = 4, 30

# Keys that other releases or Azure's own exports have: refused, but not as a spelling mistake.
LATER = frozenset(
    (
        "defaultOutboundAccess",
        "dnsSettings",
        "enableAcceleratedNetworking",
        "etag",
        "id",
        "ipConfigurations",
        "location",
        "macAddress",
        "outputs",
        "parameters",
        "properties",
        "provisioningState",
        "resourceGroup",
        "resourceGuid",
        "resources",
        "$schema",
        "securityAdminRules",
        "serviceEndpoints",
        "tags",
        "type",
        "variables",
        "virtualNetworkPeerings",
    )
)

MAXIMUM_DESCRIPTION_CHARACTERS = 140

# Azure, Network security groups overview, Security rules: up to 80 characters, the first a letter
# or number, the last a letter, number or underscore.
_NAME_PATTERN = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?"
_NAME = Text(
    "a name of 1-80 letters, digits, '_', '.' and '-', which begins with a letter or digit "
    "and ends with a letter, digit or '_'",
    re.compile(_NAME_PATTERN),
)
# Resources of two resource groups may have one name: GROUP/NAME tells them apart
# (docs/azure-reference.md, choice 16). Azure, Naming rules: a group has up to 90 characters.
_RESOURCE_NAME = Text(
    f"{_NAME.allowed}; before it GROUP/, a resource group, where two would clash",
    re.compile(rf"(?:[A-Za-z0-9_.()-]{{1,90}}/)?{_NAME_PATTERN}"),
)
_REFERENCE = Text("a name")

# Linux, dev_valid_name() in net/core/dev.c.
_LINK_BYTES = 15
_LINK = Text(
    f"the name of a Linux link: 1-{_LINK_BYTES} characters without blanks, '/' and ':', "
    "not '.' or '..'",
    re.compile(rf"(?!\.{{1,2}}\Z)[!-.0-9;-~]{{1,{_LINK_BYTES}}}"),
)

_PREFIXES = ListOf(Parsed("a prefix", parse_prefix))
_RULE_ADDRESS = Parsed("'*', a service tag, an address or a prefix", parse_rule_address)
_PORT = Parsed("'*', a port or a range of ports", parse_port_range)
_NAMED = NameOr(ObjectOf("a name", {"name": Field(_REFERENCE, is_required=True)}, LATER))
_GROUP_NAMES = ListOf(_NAMED)


def _rule(what: str, priority: Integer) -> ObjectOf:
    fields: dict[str, Field] = {
        "name": Field(_NAME, is_required=True),
        "priority": Field(priority, is_required=True),
        "direction": Field(Choice({d.value: d for d in Direction}), is_required=True),
        "access": Field(Choice({a.value: a for a in Access}), is_required=True),
        "protocol": Field(
            Choice(
                {p.value: p for p in Protocol},
                hints={"any": "*", "all": "*", "icmpv4": "Icmp", "icmpv6": "Icmp"},
            ),
            is_required=True,
        ),
        "description": Field(
            Text("text", longest=MAXIMUM_DESCRIPTION_CHARACTERS, is_multiline=True), default=""
        ),
    }
    for side in ("source", "destination"):
        fields |= {
            f"{side}AddressPrefix": Field(_RULE_ADDRESS),
            f"{side}AddressPrefixes": Field(ListOf(_RULE_ADDRESS)),
            f"{side}ApplicationSecurityGroups": Field(_GROUP_NAMES),
            f"{side}PortRange": Field(_PORT),
            f"{side}PortRanges": Field(ListOf(_PORT)),
        }
    return ObjectOf(what, fields, LATER)


SECURITY_RULE = _rule("a security rule", Integer(HIGHEST_PRIORITY, LOWEST_PRIORITY))
DEFAULT_SECURITY_RULE = _rule("a default security rule", Integer(HIGHEST_PRIORITY, 65500))

NETWORK_SECURITY_GROUP = ObjectOf(
    "a network security group",
    {
        "name": Field(_RESOURCE_NAME, is_required=True),
        "securityRules": Field(ListOf(SECURITY_RULE)),
        "defaultSecurityRules": Field(ListOf(DEFAULT_SECURITY_RULE)),
        "flushConnection": Field(Boolean(), default=False),
    },
    LATER,
)

SUBNET = ObjectOf(
    "a subnet",
    {
        "name": Field(_NAME, is_required=True),
        "addressPrefix": Field(Parsed("a prefix", parse_prefix)),
        "addressPrefixes": Field(_PREFIXES),
        "networkSecurityGroup": Field(_REFERENCE),
        "services": Field(SERVICES),
        "routes": Field(_PREFIXES),
    },
    LATER,
)

PEERING = ObjectOf(
    "a peering",
    {
        "name": Field(_REFERENCE, is_required=True),
        "allowGatewayTransit": Field(Boolean(), default=False),
        "useRemoteGateways": Field(Boolean(), default=False),
    },
    LATER,
)

VIRTUAL_NETWORK = ObjectOf(
    "a virtual network",
    {
        "name": Field(_RESOURCE_NAME, is_required=True),
        "addressSpace": Field(_PREFIXES, is_required=True),
        "subnets": Field(ListOf(SUBNET)),
        "peerings": Field(ListOf(NameOr(PEERING))),
        "onPremises": Field(_PREFIXES),
        "routes": Field(_PREFIXES),
        "flowTimeoutInMinutes": Field(Integer(*FLOW_TIMEOUT_MINUTES)),
    },
    LATER,
)

NETWORK_INTERFACE = ObjectOf(
    "a network interface",
    {
        "name": Field(_RESOURCE_NAME, is_required=True),
        "subnet": Field(_REFERENCE, is_required=True),
        "privateIPAddresses": Field(ListOf(Parsed("an address", parse_address)), is_required=True),
        "link": Field(_LINK),
        "networkSecurityGroup": Field(_REFERENCE),
        "enableIPForwarding": Field(Boolean(), default=False),
        "applicationSecurityGroups": Field(_GROUP_NAMES),
        "created": Field(DATE),
    },
    LATER,
)

# A classic machine is a network interface underneath.
_MACHINE = {
    key: field
    for key, field in NETWORK_INTERFACE.fields.items()
    if key != "applicationSecurityGroups"
}
VIRTUAL_MACHINE = ObjectOf("a virtual machine", _MACHINE, LATER)

CLOUD_SERVICE = ObjectOf(
    "a cloud service",
    {
        "name": Field(_RESOURCE_NAME, is_required=True),
        "networkSecurityGroup": Field(_REFERENCE),
        "virtualMachines": Field(ListOf(_REFERENCE)),
        "roleInstances": Field(
            ListOf(
                ObjectOf(
                    "a role instance",
                    {
                        "name": Field(_NAME, is_required=True),
                        **{
                            key: field
                            for key, field in _MACHINE.items()
                            if key not in ("name", "networkSecurityGroup")
                        },
                    },
                    LATER,
                )
            )
        ),
    },
    LATER,
)

SCALE_SET = ObjectOf(
    "a scale set",
    {
        "name": Field(_RESOURCE_NAME, is_required=True),
        "subnet": Field(_REFERENCE, is_required=True),
        "privateIPAddressPrefixes": Field(_PREFIXES, is_required=True),
        "networkSecurityGroup": Field(_REFERENCE),
        "applicationSecurityGroups": Field(_GROUP_NAMES),
        "created": Field(DATE),
    },
    LATER,
)

APPLICATION_SECURITY_GROUP = ObjectOf(
    "an application security group",
    {"name": Field(_RESOURCE_NAME, is_required=True), "virtualNetwork": Field(_REFERENCE)},
    LATER,
)

_ADMIN_CONFIGURATION = security_admin_configuration(
    _NAME,
    _RESOURCE_NAME,
    Text("text", longest=MAXIMUM_DESCRIPTION_CHARACTERS, is_multiline=True),
    LATER,
)

_SERVICE_TAGS: Shape = ObjectOf(
    "the serviceTags section",
    {"cloud": Field(Parsed("the name of a cloud", parse_cloud), default=DEFAULT_CLOUD)},
    LATER,
)

_LIMITS: Shape = ObjectOf("the limits section", LIMITS, LATER)

_PLATFORM: Shape = ObjectWithEmptyLists("the platformAddresses section", PLATFORM_ADDRESSES, LATER)

_SUBSCRIPTION: Shape = ObjectOf("the subscription section", SUBSCRIPTION, LATER)

_SETTINGS: Shape = ObjectOf("the daemon section", SETTINGS, LATER)

DOCUMENT = ObjectOf(
    "a document",
    {
        "virtualNetworks": Field(ListOf(VIRTUAL_NETWORK)),
        "networkInterfaces": Field(ListOf(NETWORK_INTERFACE)),
        "scaleSets": Field(ListOf(SCALE_SET)),
        "virtualMachines": Field(ListOf(VIRTUAL_MACHINE)),
        "cloudServices": Field(ListOf(CLOUD_SERVICE)),
        "networkSecurityGroups": Field(ListOf(NETWORK_SECURITY_GROUP)),
        "applicationSecurityGroups": Field(ListOf(APPLICATION_SECURITY_GROUP)),
        "securityAdminConfigurations": Field(ListOf(_ADMIN_CONFIGURATION)),
        "dialect": Field(DIALECT, default=NOW.name),
        "serviceTags": Field(_SERVICE_TAGS),
        "platformAddresses": Field(_PLATFORM),
        "subscription": Field(_SUBSCRIPTION),
        "limits": Field(_LIMITS),
        "daemon": Field(_SETTINGS),
    },
    LATER,
)
