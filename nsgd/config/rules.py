"""Network security groups from their tables: each rule by itself, then the rules of one group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nsgd.config.default_rules import DEFAULT_NAMES, check_default_rules
from nsgd.config.groups import Group, check_one_network
from nsgd.config.names import Names, fold
from nsgd.config.report import Place, Report
from nsgd.config.rule import assemble_rule
from nsgd.config.wording import show
from nsgd.model.network import NetworkSecurityGroup
from nsgd.model.rule import PrefixList, SecurityRule

# Azure, Azure networking limits: of one network security group.
MAXIMUM_RULES = 1000
MAXIMUM_PREFIXES = 4000  # of all sources together, and of all destinations


def assemble_security_groups(
    sections: Sequence[tuple[Place, Mapping[str, Any]]],
    groups: Names[Group],
    report: Report,
) -> list[NetworkSecurityGroup]:
    """All groups, in the order of *sections*; *groups* knows the networks of its groups."""
    result = []
    for place, raw in sections:
        rules = _assemble_rules(raw.get("securityRules") or (), place, groups, report)
        defaults = raw.get("defaultSecurityRules")
        if defaults:
            check_default_rules(defaults, place.at("defaultSecurityRules"), groups, report)
        name: str | None = raw.get("name")
        if name is not None:
            result.append(
                NetworkSecurityGroup(name, tuple(rules), bool(raw.get("flushConnection")))
            )
    return result


def _assemble_rules(
    raw_rules: Sequence[Mapping[str, Any] | None],
    group_place: Place,
    groups: Names[Group],
    report: Report,
) -> list[SecurityRule]:
    rules_place = group_place.at("securityRules")
    if len(raw_rules) > MAXIMUM_RULES:
        report.add(
            rules_place,
            f"{len(raw_rules)} rules, and a network security group has at most {MAXIMUM_RULES}",
            "join rules by lists of prefixes and ports, or use several groups",
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
        rule = assemble_rule(raw, place, groups, report)
        if rule is not None:
            check_one_network(rule, place, groups, report)
            rules.append(rule)
    _check_prefix_count(rules, rules_place, report)
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


def _check_prefix_count(rules: Sequence[SecurityRule], place: Place, report: Report) -> None:
    for side in ("source", "destination"):
        count = 0
        for rule in rules:
            address = rule.source if side == "source" else rule.destination
            if isinstance(address, PrefixList):
                count += len(address.prefixes)
        if count > MAXIMUM_PREFIXES:
            report.add(
                place,
                f"{count} {side} prefixes, and a network security group has at most "
                f"{MAXIMUM_PREFIXES}",
                "use shorter prefixes, application security groups, or several groups",
            )
