"""Security admin configurations as tables of fields, in the words of Virtual Network Manager."""

from __future__ import annotations

from collections.abc import Mapping

from nsgd.config.addresses import parse_rule_address
from nsgd.config.compound import Field, ListOf, ObjectOf
from nsgd.config.ports import parse_port_range
from nsgd.config.shape import Choice, Integer, Mistake, Parsed, Text
from nsgd.config.wording import show
from nsgd.model.admin import (
    FIRST_ADMIN_PRIORITY,
    LAST_ADMIN_PRIORITY,
    AdminAccess,
    AzureService,
    IntentPolicyNetworks,
)
from nsgd.model.rule import Direction, Protocol

_ADDRESSES = ListOf(Parsed("'*', a service tag, an address or a prefix", parse_rule_address))
_PORTS = ListOf(Parsed("'*', a port or a range of ports", parse_port_range))
_REFERENCE = Text("a name")

SERVICES = ListOf(
    Choice(
        {service.value: service for service in AzureService},
        hints={
            "azurebastion": "Bastion",
            "azurefirewall": "Firewall",
            "applicationgateways": "ApplicationGateway",
            "expressroute": "ExpressRouteGateway",
            "vpn": "VpnGateway",
            "sql": "SqlManagedInstance",
        },
    )
)


class _AdminRule(ObjectOf):
    """A rule whose unlike keys of network security groups' rules are told from misspelt ones."""

    def _unknown(self, key: str) -> Mistake:
        if key in ("sourceApplicationSecurityGroups", "destinationApplicationSecurityGroups"):
            return Mistake(
                f"{self.what} has no application security groups",
                f"write prefixes or service tags in {_side(key)}",
            )
        for singular in ("AddressPrefix", "AddressPrefixes"):
            if key in (f"source{singular}", f"destination{singular}"):
                return Mistake(f"unknown key {show(key)}", f"did you mean {_side(key)}, a list?")
        return ObjectOf._unknown(self, key)


def _side(key: str) -> str:
    return "sources" if key.startswith("source") else "destinations"


def security_admin_configuration(
    name: Text, resource_name: Text, description: Text, later: frozenset[str]
) -> ObjectOf:
    """The shape of an entry of ``securityAdminConfigurations``.

    Ports and addresses are lists, as in Azure's; *later* are the keys that are refused as such.
    """
    sides: Mapping[str, Field] = {
        "sources": Field(_ADDRESSES, is_required=True),
        "sourcePortRanges": Field(_PORTS, is_required=True),
        "destinations": Field(_ADDRESSES, is_required=True),
        "destinationPortRanges": Field(_PORTS, is_required=True),
    }
    protocols = {"Any": Protocol.ANY, **{protocol.value: protocol for protocol in Protocol}}
    rule = _AdminRule(
        "a security admin rule",
        {
            "name": Field(name, is_required=True),
            "priority": Field(Integer(FIRST_ADMIN_PRIORITY, LAST_ADMIN_PRIORITY), is_required=True),
            "direction": Field(Choice({d.value: d for d in Direction}), is_required=True),
            "access": Field(Choice({a.value: a for a in AdminAccess}), is_required=True),
            "protocol": Field(Choice(protocols, hints={"all": "Any"}), is_required=True),
            **sides,
            "description": Field(description, default=""),
        },
        later,
    )
    collection = ObjectOf(
        "a rule collection",
        {
            "name": Field(name, is_required=True),
            "appliesTo": Field(ListOf(_REFERENCE), is_required=True),
            "rules": Field(ListOf(rule), is_required=True),
        },
        later,
    )
    return ObjectOf(
        "a security admin configuration",
        {
            "name": Field(resource_name, is_required=True),
            "applyOnNetworkIntentPolicyBasedServices": Field(
                Choice({each.value: each for each in IntentPolicyNetworks}),
                default=IntentPolicyNetworks.NONE.value,
            ),
            "ruleCollections": Field(ListOf(collection)),
        },
        later,
    )
