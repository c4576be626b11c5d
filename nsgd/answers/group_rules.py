"""The rules of one group as rows of text, whether or not anything is associated with it."""

from __future__ import annotations

from nsgd.answers.azure_names import rule_name
from nsgd.answers.effective_rules import listed_rules, side_prefixes, side_text
from nsgd.answers.ports import listed_ports
from nsgd.answers.rule_row import rule_row
from nsgd.model.network import NetworkSecurityGroup
from nsgd.model.rule import Protocol


def group_rows(group: NetworkSecurityGroup) -> list[tuple[str, ...]]:
    """The group's and the default rules, as the rows of effective rules."""
    return [
        rule_row(
            {
                "direction": rule.direction.value,
                "priority": rule.priority,
                "name": rule_name(rule.name),
                "access": rule.access.value,
                "protocol": "All" if rule.protocol is Protocol.ANY else rule.protocol.value,
                "sourcePortRanges": listed_ports(rule.source_ports),
                "destinationPortRanges": listed_ports(rule.destination_ports),
            },
            side_text(side_prefixes(rule.source)),
            side_text(side_prefixes(rule.destination)),
        )
        for rule in listed_rules(group)
    ]
