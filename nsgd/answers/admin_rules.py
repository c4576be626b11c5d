"""Effective security admin rules of a resource: those of its virtual network, by priority.

Azure answers them for a virtual network, each with what it stands in; the names here are shorter,
since documents have no resource ids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nsgd.answers.ports import listed_ports
from nsgd.answers.resources import Resource
from nsgd.answers.rule_row import rule_row
from nsgd.model.admin import AdminAddress
from nsgd.model.network import NetworkModel
from nsgd.model.rule import (
    AnyAddress,
    Direction,
    PrefixList,
    Protocol,
    PublishedTag,
    RuleAddress,
    TagAddress,
)
from nsgd.policy.admin import AdminRules, AppliedAdminRule, is_exempt

Expand = Callable[[RuleAddress], Sequence[str]]


def admin_rules_as_json(
    model: NetworkModel, resource: Resource, expand: Expand
) -> list[dict[str, Any]]:
    """The rules that are applied to a resource, inbound first; empty where none is.

    Args:
        model: The loaded networks.
        resource: Whose rules.
        expand: What a tag stands for in the resource's network.

    Source:
        Azure REST, ListNetworkManagerEffectiveSecurityAdminRules.
    """
    if is_exempt(resource.subnet):
        return []
    rules = AdminRules(model)
    return [
        _rule(applied, expand)
        for direction in (Direction.INBOUND, Direction.OUTBOUND)
        for applied in rules.of_network(resource.virtual_network.name, direction)
    ]


def _rule(applied: AppliedAdminRule, expand: Expand) -> dict[str, Any]:
    rule = applied.rule
    listed: dict[str, Any] = {
        "id": f"{applied.configuration}/{applied.collection}/{rule.name}",
        "name": applied.name,
        "protocol": "Any" if rule.protocol is Protocol.ANY else rule.protocol.value,
        "sources": [_address(entry) for entry in rule.sources],
        "destinations": [_address(entry) for entry in rule.destinations],
        "sourcePortRanges": listed_ports(rule.source_ports),
        "destinationPortRanges": listed_ports(rule.destination_ports),
    }
    tags = {
        entry["addressPrefix"]: list(expand(side))
        for side in (*rule.sources, *rule.destinations)
        if (entry := _address(side))["addressPrefixType"] == "ServiceTag"
    }
    if tags:
        listed["tagMap"] = tags
    return listed | {
        "access": rule.access.value,
        "priority": rule.priority,
        "direction": rule.direction.value,
    }


def _address(entry: AdminAddress) -> dict[str, str]:
    match entry:
        case AnyAddress():
            text, kind = "*", "IPPrefix"
        case PrefixList(prefixes):
            text, kind = str(prefixes[0]), "IPPrefix"
        case TagAddress(tag):
            text, kind = tag.value, "ServiceTag"
        case PublishedTag(name):
            text, kind = name, "ServiceTag"
    return {"addressPrefix": text, "addressPrefixType": kind}


def as_rows(rules: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """The rules as rows of text, for a table like that of a group's rules."""
    return [
        rule_row(rule, _side_text(rule["sources"]), _side_text(rule["destinations"]))
        for rule in rules
    ]


def _side_text(entries: Sequence[Mapping[str, str]]) -> str:
    return " ".join(entry["addressPrefix"] for entry in entries)
