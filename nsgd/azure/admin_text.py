"""Security admin configurations as they stand in native documents."""

from __future__ import annotations

from nsgd.azure.rule_text import Json
from nsgd.model.address import ALL_PORTS, PortRange
from nsgd.model.admin import (
    AdminAddress,
    IntentPolicyNetworks,
    RuleCollection,
    SecurityAdminConfiguration,
    SecurityAdminRule,
)
from nsgd.model.rule import AnyAddress, PrefixList, Protocol, PublishedTag, TagAddress


def native_configuration(configuration: SecurityAdminConfiguration) -> Json:
    """An entry of ``securityAdminConfigurations``, without what is as by default."""
    fields: Json = {"name": configuration.name}
    with_policies = configuration.intent_policy_networks
    if with_policies is not IntentPolicyNetworks.NONE:
        fields["applyOnNetworkIntentPolicyBasedServices"] = with_policies.value
    if configuration.rule_collections:
        fields["ruleCollections"] = [_collection(c) for c in configuration.rule_collections]
    return fields


def _collection(collection: RuleCollection) -> Json:
    return {
        "name": collection.name,
        "appliesTo": list(collection.applies_to),
        "rules": [_rule(rule) for rule in collection.rules],
    }


def _rule(rule: SecurityAdminRule) -> Json:
    fields: Json = {
        "name": rule.name,
        "priority": rule.priority,
        "direction": rule.direction.value,
        "access": rule.access.value,
        "protocol": "Any" if rule.protocol is Protocol.ANY else rule.protocol.value,
        "sources": [_address(entry) for entry in rule.sources],
        "sourcePortRanges": _ports(rule.source_ports),
        "destinations": [_address(entry) for entry in rule.destinations],
        "destinationPortRanges": _ports(rule.destination_ports),
    }
    if rule.description:
        fields["description"] = rule.description
    return fields


def _address(entry: AdminAddress) -> str:
    match entry:
        case AnyAddress():
            return "*"
        case PrefixList(prefixes):
            return str(prefixes[0])
        case TagAddress(tag):
            return tag.value
        case PublishedTag(name):
            return name


def _ports(ports: tuple[PortRange, ...]) -> list[str]:
    return ["*"] if ports == (ALL_PORTS,) else [str(port) for port in ports]
