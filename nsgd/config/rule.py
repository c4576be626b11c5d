"""One security rule: joins singular and plural fields, and refuses what Azure refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from nsgd.config.addresses import RuleEntry, UnresolvedTag
from nsgd.config.dialect import NOW_IN_FORCE, DialectInForce, check_rule
from nsgd.config.families import check_families
from nsgd.config.groups import Group
from nsgd.config.limits import Limits
from nsgd.config.names import Names, fold
from nsgd.config.overlap import find_overlaps
from nsgd.config.platform_tags import check_platform_tags
from nsgd.config.portless import WITHOUT_PORTS, check_portless
from nsgd.config.report import Place, Report
from nsgd.config.rule_tags import RuleTags
from nsgd.config.wording import show
from nsgd.model.address import ALL_PORTS, PortRange, Prefix
from nsgd.model.rule import (
    AnyAddress,
    GroupMembers,
    PlatformTag,
    PrefixList,
    RuleAddress,
    SecurityRule,
    TagAddress,
)


class References(NamedTuple):
    """What rules may refer to, how much of it, and where mistakes go."""

    groups: Names[Group]
    tags: RuleTags
    limits: Limits
    report: Report
    in_force: DialectInForce = NOW_IN_FORCE


class Side(NamedTuple):
    """The keys of one side of a rule, for read_address and read_ports."""

    prefix: str
    prefixes: str
    groups: str
    port: str
    ports: str


def _side(name: str) -> Side:
    return Side(
        f"{name}AddressPrefix",
        f"{name}AddressPrefixes",
        f"{name}ApplicationSecurityGroups",
        f"{name}PortRange",
        f"{name}PortRanges",
    )


SOURCE = _side("source")
DESTINATION = _side("destination")
_ALL = (ALL_PORTS,)


def assemble_rule(
    raw: Mapping[str, Any], place: Place, references: References
) -> SecurityRule | None:
    """The rule, or None where a part of it was refused, which has then been reported."""
    report = references.report
    source = read_address(raw, SOURCE, place, references)
    source_ports = read_ports(raw, SOURCE, place, report)
    destination = read_address(raw, DESTINATION, place, references)
    destination_ports = read_ports(raw, DESTINATION, place, report)
    protocol = raw.get("protocol")
    if _has_prefixes_to_compare(source, destination):
        check_families(raw, place, report)
    if protocol in WITHOUT_PORTS and not references.in_force.refuses(protocol):
        check_portless(raw, place, report)
    if isinstance(source, PlatformTag) or isinstance(destination, PlatformTag):
        check_platform_tags(raw, (source, destination), place, report)
    if references.in_force.restricts_rules:
        check_rule(raw, place, references.in_force, report)
    name = raw.get("name")
    priority = raw.get("priority")
    direction = raw.get("direction")
    access = raw.get("access")
    if (
        name is None
        or priority is None
        or direction is None
        or access is None
        or protocol is None
        or source is None
        or source_ports is None
        or destination is None
        or destination_ports is None
    ):
        return None
    return SecurityRule(
        name,
        priority,
        direction,
        access,
        protocol,
        source,
        source_ports,
        destination,
        destination_ports,
        raw.get("description") or "",
    )


def _has_prefixes_to_compare(source: RuleAddress | None, destination: RuleAddress | None) -> bool:
    """Whether a rule may have several prefixes; what was refused may have had some."""
    if source is None or destination is None:
        return True
    number = len(source.prefixes) if isinstance(source, PrefixList) else 0
    return number + (len(destination.prefixes) if isinstance(destination, PrefixList) else 0) > 1


def read_address(
    raw: Mapping[str, Any], side: Side, place: Place, references: References
) -> RuleAddress | None:
    """One side's addresses, or None where they were refused, which has then been reported."""
    if side.prefix in raw and side.prefixes not in raw and side.groups not in raw:
        entry: RuleEntry | None = raw[side.prefix]
        if isinstance(entry, Prefix):
            return PrefixList((entry,))
        if isinstance(entry, UnresolvedTag) or references.in_force.restricts_rules:
            return references.tags.take(entry, place.at(side.prefix))
        return entry
    report = references.report
    given = [key for key in (side.prefix, side.prefixes, side.groups) if key in raw]
    if not given:
        # The API requires both sides; reading an absent one as '*' would widen a rule silently.
        report.add(
            place.at(side.prefix),
            f"{side.prefix} is missing",
            f"write {side.prefix}: '*' to match all",
        )
        return None
    if len(given) > 1:
        report.add(
            place.at(given[1]),
            f"{' and '.join(given)} are given together",
            "keep one of them; a side with both prefixes and groups needs two rules",
        )
        return None
    if side.groups in raw:
        return _group_members(raw[side.groups], side.groups, place, references)
    return _prefix_list(raw[side.prefixes], side.prefixes, place, references)


def _prefix_list(
    entries: Sequence[RuleEntry | None], key: str, place: Place, references: References
) -> RuleAddress | None:
    report = references.report
    if len(entries) == 1:
        entry = entries[0]
        if isinstance(entry, Prefix):
            return PrefixList((entry,))
        return references.tags.take(entry, place.at(key, 0))
    prefixes: list[tuple[Prefix, int]] = []
    for index, entry in enumerate(entries):
        if isinstance(entry, Prefix):
            prefixes.append((entry, index))
        elif entry is not None:
            # hashicorp/terraform-provider-azurerm issue 5617 quotes the service.
            report.add(
                place.at(key, index),
                "SecurityRuleParameterContainsUnsupportedValue: "
                f"{show(_text_of(entry))} in a list of several",
                "write it alone, in a rule of its own",
            )
    for (outer, first), (inner, second) in find_overlaps(prefixes):
        report.add(
            place.at(key, second),
            f"OverlappingSubnetsNotPermittedInSecurityRule: {inner} is inside {outer}, "
            f"entry {first} of the same list",
            "remove one of them",
        )
    if len(prefixes) != len(entries) or not prefixes:
        return None
    return PrefixList(tuple(prefix for prefix, _ in prefixes))


def _text_of(entry: AnyAddress | TagAddress | PlatformTag | UnresolvedTag) -> str:
    match entry:
        case AnyAddress():
            return "*"
        case TagAddress(tag):
            return tag.value
        case PlatformTag(service):
            return service.value
        case UnresolvedTag(text):
            return text


def _group_members(
    entries: Sequence[Mapping[str, Any] | None], key: str, place: Place, references: References
) -> RuleAddress | None:
    report = references.report
    if len(entries) > 1:  # no limit is below 1
        of_side = "applicationSecurityGroupsPerRuleSide"
        references.limits.check(of_side, len(entries), place.at(key), report)
    members: dict[str, str] = {}
    for index, entry in enumerate(entries):
        name = entry.get("name") if entry else None
        group = references.groups.resolve(name, place, key, index)
        if group is None:
            continue
        if fold(group.name) in members:
            at = place.at(key, index)
            report.add(at, f"{show(group.name)} is given twice", "keep one of them")
        members[fold(group.name)] = group.name
    return GroupMembers(tuple(members.values())) if members else None


def read_ports(
    raw: Mapping[str, Any], side: Side, place: Place, report: Report
) -> tuple[PortRange, ...] | None:
    """One side's ports, or None where they were refused, which has then been reported."""
    if side.port in raw:
        if side.ports in raw:
            report.add(
                place.at(side.ports),
                f"{side.port} and {side.ports} are given together",
                "keep one of them",
            )
        port: PortRange | None = raw[side.port]
        # '*' is read as this very object.
        return _ALL if port is ALL_PORTS else None if port is None else (port,)
    if side.ports not in raw:
        report.add(
            place.at(side.port),
            f"{side.port} is missing",
            f"write {side.port}: '*' to match all",
        )
        return None
    ranges: list[PortRange | None] = raw[side.ports]
    if len(ranges) > 1:
        for index, entry in enumerate(ranges):
            # '0-65535' is another object, and may stand in a list.
            if entry is ALL_PORTS:
                report.add(
                    place.at(side.ports, index),
                    "SecurityRuleInvalidPortRange: '*' in a list of several",
                    f"write {side.port}: '*', or leave '*' out of the list",
                )
    complete = tuple(entry for entry in ranges if entry is not None)
    return complete if complete and len(complete) == len(ranges) else None
