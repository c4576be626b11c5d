"""Effective security rules of one network interface, as Azure's API answers them.

Rules are listed by direction, inbound first, and priority. Platform rules are not listed, as in
Azure's answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nsgd.answers.admin_rules import admin_rules_as_json
from nsgd.answers.azure_names import rule_name
from nsgd.answers.ports import listed_ports
from nsgd.answers.prefixes import to_prefixes
from nsgd.answers.resources import Association, Resource
from nsgd.answers.rule_row import rule_row
from nsgd.model.network import NetworkModel, NetworkSecurityGroup
from nsgd.model.rule import (
    DEFAULT_SECURITY_RULES,
    AnyAddress,
    Direction,
    GroupMembers,
    PlatformTag,
    PrefixList,
    Protocol,
    PublishedTag,
    RuleAddress,
    SecurityRule,
    TagAddress,
)
from nsgd.policy.effective import NetworkResolver

# What a recorded answer has for '*'. The doubled entry tells it from a rule of IPv4's 0.0.0.0/0.
_ANY_PREFIX = "0.0.0.0/0"
_ANY_PREFIXES = (_ANY_PREFIX, _ANY_PREFIX)


def effective_rules_as_json(model: NetworkModel, resource: Resource) -> dict[str, Any]:
    """What ``az network nic list-effective-nsg`` shows.

    Args:
        model: The loaded networks.
        resource: Whose rules; one element for each group, the subnet's before its own.

    Returns:
        ``value`` is empty where no group is associated. ``effectiveSecurityAdminRules`` is there
        where such rules are applied.

    Source:
        A recorded answer of api-version 2020-05-01; SecurityRules of application security groups
        are not in it, so nsgd lists their members' addresses as expanded prefixes.
    """
    groups = {group.name: group for group in model.network_security_groups}
    seen = resource.virtual_network.seen_from(resource.subnet)
    lister = _Lister(model, NetworkResolver(model, seen))
    answer: dict[str, Any] = {
        "value": [
            lister.element(groups[association.network_security_group], association)
            for association in resource.associations(Direction.INBOUND)
        ]
    }
    admin_rules = admin_rules_as_json(model, resource, lister.expand)
    return answer | ({"effectiveSecurityAdminRules": admin_rules} if admin_rules else {})


class _Lister:
    """Writes rules in the eyes of one virtual network; each tag is expanded once."""

    def __init__(self, model: NetworkModel, resolver: NetworkResolver) -> None:
        self._resolver = resolver
        self._published = {tag.name: tag.prefixes for tag in model.service_tags}
        self._expanded: dict[RuleAddress, list[str]] = {}

    def element(self, group: NetworkSecurityGroup, association: Association) -> dict[str, Any]:
        rules = listed_rules(group)
        tags: dict[str, list[str]] = {}
        for rule in rules:
            for side in (rule.source, rule.destination):
                tag = _tag_name(side)
                if tag is not None:
                    tags[tag] = self.expand(side)
        return {
            "networkSecurityGroup": {"id": group.name},
            "association": {association.kind.value: {"id": association.applied_to}},
            "effectiveSecurityRules": [self._rule(rule) for rule in rules],
            "tagMap": tags,
        }

    def _rule(self, rule: SecurityRule) -> dict[str, Any]:
        source_ports = listed_ports(rule.source_ports)
        destination_ports = listed_ports(rule.destination_ports)
        sources, destinations = side_prefixes(rule.source), side_prefixes(rule.destination)
        listed: dict[str, Any] = {
            "name": rule_name(rule.name),
            "protocol": "All" if rule.protocol is Protocol.ANY else rule.protocol.value,
            "sourcePortRange": _only(source_ports),
            "destinationPortRange": _only(destination_ports),
            "sourcePortRanges": source_ports,
            "destinationPortRanges": destination_ports,
            "sourceAddressPrefix": _only(sources),
            "destinationAddressPrefix": _only(destinations),
            "sourceAddressPrefixes": sources,
            "destinationAddressPrefixes": destinations,
        }
        for field, side in (("Source", rule.source), ("Destination", rule.destination)):
            if not isinstance(side, AnyAddress | PrefixList):
                listed[f"expanded{field}AddressPrefix"] = self.expand(side)
        listed["access"] = rule.access.value
        listed["priority"] = rule.priority
        listed["direction"] = rule.direction.value
        return listed

    def expand(self, side: RuleAddress) -> list[str]:
        """The prefixes of a tag or of application security groups."""
        found = self._expanded.get(side)
        if found is None:
            # Microsoft's prefixes as its file has them, everything else as the fewest blocks.
            prefixes = (
                self._published[side.name]
                if isinstance(side, PublishedTag)
                else to_prefixes(self._resolver.addresses(side))
            )
            found = self._expanded[side] = [str(prefix) for prefix in prefixes]
        return found


def listed_rules(group: NetworkSecurityGroup) -> Sequence[SecurityRule]:
    """A group's and the default rules, inbound first, by priority."""
    rules = (*group.security_rules, *DEFAULT_SECURITY_RULES)
    return sorted(rules, key=lambda rule: (rule.direction is Direction.OUTBOUND, rule.priority))


def side_prefixes(side: RuleAddress) -> list[str]:
    """One side of a rule as answers list it: prefixes, names of groups, or a tag."""
    match side:
        case AnyAddress():
            return list(_ANY_PREFIXES)
        case PrefixList(prefixes):
            return [str(prefix) for prefix in prefixes]
        case GroupMembers(names):
            return list(names)
    return [_tag_name(side) or ""]


def _tag_name(side: RuleAddress) -> str | None:
    match side:
        case TagAddress(tag):
            return tag.value
        case PublishedTag(name):
            return name
        case PlatformTag(service):
            return service.value
    return None


def _only(values: Sequence[str]) -> str | None:
    """The value of the singular field: None where the list says more."""
    return values[0] if len(set(values)) == 1 else None


def as_rows(listed: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The rules of one element of the answer as rows of text, for a table."""
    return [
        rule_row(
            rule,
            side_text(rule["sourceAddressPrefixes"]),
            side_text(rule["destinationAddressPrefixes"]),
        )
        for rule in listed["effectiveSecurityRules"]
    ]


def side_text(prefixes: Sequence[str]) -> str:
    """What side_prefixes() lists, for people."""
    return "*" if tuple(prefixes) == _ANY_PREFIXES else " ".join(prefixes)
