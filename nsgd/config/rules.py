"""Network security groups from their tables: each rule by itself, then the rules of one group."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nsgd.config.default_rules import DEFAULT_NAMES, check_default_rules
from nsgd.config.groups import check_one_network
from nsgd.config.names import fold
from nsgd.config.report import Place, Report
from nsgd.config.rule import References, assemble_rule
from nsgd.config.wording import show
from nsgd.model.network import NetworkSecurityGroup
from nsgd.model.rule import GroupMembers, PrefixList, SecurityRule


def assemble_security_groups(
    sections: Sequence[tuple[Place, Mapping[str, Any]]],
    references: References,
    take: Callable[[Mapping[str, Any]], NetworkSecurityGroup | None] | None = None,
) -> list[NetworkSecurityGroup]:
    """All groups, in the order of *sections*; the application security groups have members.

    What *take* returns of a section is not assembled again.
    """
    result = []
    for place, raw in sections:
        taken = None if take is None else take(raw)
        if taken is not None:
            result.append(taken)
            continue
        rules = _assemble_rules(raw.get("securityRules") or (), place, references)
        defaults = raw.get("defaultSecurityRules")
        if defaults:
            check_default_rules(defaults, place.at("defaultSecurityRules"), references)
        name: str | None = raw.get("name")
        if name is not None:
            result.append(
                NetworkSecurityGroup(name, tuple(rules), bool(raw.get("flushConnection")))
            )
    return result


def _assemble_rules(
    raw_rules: Sequence[Mapping[str, Any] | None],
    group_place: Place,
    references: References,
) -> list[SecurityRule]:
    report = references.report
    rules_place = group_place.at("securityRules")
    references.limits.check(
        "securityRulesPerNetworkSecurityGroup", len(raw_rules), rules_place, report
    )
    rules: list[SecurityRule] = []
    by_name: dict[str, int] = {}
    by_priority: dict[tuple[object, int], int] = {}
    for index, raw in enumerate(raw_rules):
        if raw is None:
            continue
        place = rules_place.at(index)
        name: str | None = raw.get("name")
        if name is not None:
            _check_name(name, by_name, index, place, report)
        priority: int | None = raw.get("priority")
        direction = raw.get("direction")
        if priority is not None and direction is not None:
            first = by_priority.setdefault((direction, priority), index)
            if first != index:
                other = (raw_rules[first] or {}).get("name")
                report.add(
                    place.at("priority"),
                    f"SecurityRuleConflict: {direction.value} priority {show(priority)} is already "
                    f"taken by {show(other) if other else f'securityRules[{first}]'}",
                    "give each rule of a direction its own priority",
                )
        rule = assemble_rule(raw, place, references)
        if rule is not None:
            rules.append(rule)
            if isinstance(rule.source, GroupMembers):
                check_one_network(rule, place, references.groups, report)
    _check_sums(rules, rules_place, references)
    return rules


def _check_name(
    name: str, by_name: dict[str, int], index: int, place: Place, report: Report
) -> None:
    folded = fold(name)
    first = by_name.setdefault(folded, index)
    if first != index:
        report.add(
            place.at("name"),
            f"rule name {show(name)} is already taken by securityRules[{first}]",
            "give it another name; names are compared without case",
        )
    elif folded in DEFAULT_NAMES:
        report.add(
            place.at("name"),
            f"{show(name)} is the name of a default security rule",
            "give it another name; a rule of any other name overrides a default one",
        )


def _check_sums(rules: Sequence[SecurityRule], place: Place, references: References) -> None:
    """Check what all rules of a network security group have together."""
    limits, report = references.limits, references.report
    groups: set[str] = set()
    sources = destinations = 0
    for rule in rules:
        source, destination = rule.source, rule.destination
        if isinstance(source, PrefixList):
            sources += len(source.prefixes)
        elif isinstance(source, GroupMembers):
            groups.update(source.application_security_groups)
        if isinstance(destination, PrefixList):
            destinations += len(destination.prefixes)
        elif isinstance(destination, GroupMembers):
            groups.update(destination.application_security_groups)
    limits.check("addressesPerSide", sources, place, report, "source")
    limits.check("addressesPerSide", destinations, place, report, "destination")
    limits.check("applicationSecurityGroupsPerNetworkSecurityGroup", len(groups), place, report)
