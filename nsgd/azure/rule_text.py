"""The fields of a security rule as Azure and native documents both have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from nsgd.model.address import ALL_PORTS, PortRange
from nsgd.model.dialect import NOW
from nsgd.model.rule import (
    AnyAddress,
    GroupMembers,
    PlatformTag,
    PrefixList,
    PublishedTag,
    RuleAddress,
    SecurityRule,
    ServiceTag,
    TagAddress,
)

Json = dict[str, object]


def rule_fields(
    rule: SecurityRule,
    refer: Callable[[str], object],
    tag_spellings: Mapping[ServiceTag, str] = NOW.tag_spellings,
) -> Json:
    """A rule's fields without its name, in the order in which people read them.

    One prefix or port is written in the singular field, several in the plural; ports 0-65535 by
    themselves are written ``*``, and an address as the prefix of its full length.

    Args:
        rule: The rule.
        refer: Makes a reference of an application security group's name.
        tag_spellings: How the computed tags are written.
    """
    fields: Json = {
        "priority": rule.priority,
        "direction": rule.direction.value,
        "access": rule.access.value,
        "protocol": rule.protocol.value,
        **_address("source", rule.source, refer, tag_spellings),
        **_ports("source", rule.source_ports),
        **_address("destination", rule.destination, refer, tag_spellings),
        **_ports("destination", rule.destination_ports),
    }
    if rule.description:
        fields["description"] = rule.description
    return fields


def _address(
    side: str,
    address: RuleAddress,
    refer: Callable[[str], object],
    tag_spellings: Mapping[ServiceTag, str],
) -> Json:
    match address:
        case AnyAddress():
            return {f"{side}AddressPrefix": "*"}
        case TagAddress(tag):
            return {f"{side}AddressPrefix": tag_spellings[tag]}
        case PublishedTag(name):
            return {f"{side}AddressPrefix": name}
        case PlatformTag(service):
            return {f"{side}AddressPrefix": service.value}
        case PrefixList(prefixes):
            return singular_or_plural(f"{side}AddressPrefix", [str(p) for p in prefixes], "es")
        case GroupMembers(names):
            return {f"{side}ApplicationSecurityGroups": [refer(name) for name in names]}


def _ports(side: str, ports: Sequence[PortRange]) -> Json:
    if len(ports) == 1 and ports[0] == ALL_PORTS:
        return {f"{side}PortRange": "*"}
    return singular_or_plural(f"{side}PortRange", [str(entry) for entry in ports], "s")


def singular_or_plural(key: str, values: Sequence[str], ending: str) -> Json:
    """One value under *key*, several as a list under *key* with the plural's *ending*."""
    return {key: values[0]} if len(values) == 1 else {f"{key}{ending}": list(values)}
