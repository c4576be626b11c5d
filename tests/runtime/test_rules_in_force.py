"""Rules in force by their numbers, beside what their tables say."""

from __future__ import annotations

from pathlib import Path

import pytest

from nsgd.model.rule import Access, Direction
from nsgd.policy.numbers import DIRECTIONS, DecisionNumbers
from nsgd.runtime.load import load_policy
from nsgd.runtime.rules_in_force import Flags, RulesInForce

DOCUMENT = """
daemon: {{mode: {mode}}}
virtualNetworks: [{{name: hub, addressSpace: [10.0.0.0/16],
  subnets: [{{name: a, addressPrefix: 10.0.0.0/24, networkSecurityGroup: web}}]}}]
networkSecurityGroups: [{{name: web, securityRules: [
  {{name: Http, priority: 100, direction: Inbound, access: Allow, protocol: Tcp,
    sourceAddressPrefix: "*", sourcePortRange: "*", destinationAddressPrefix: "*",
    destinationPortRange: "80"}},
  {{name: Rest, priority: 200, direction: Inbound, access: Deny, protocol: "*",
    sourceAddressPrefix: "*", sourcePortRange: "*", destinationAddressPrefix: "*",
    destinationPortRange: "*"}}]}}]
"""
GONE = {Direction.INBOUND: {("web", "Gone", Access.ALLOW): 40}, Direction.OUTBOUND: {}}


def numbered(numbers: DecisionNumbers, flags: Flags) -> set[tuple[str, Direction, str, Access]]:
    """The rules of those numbers that are set."""
    return {
        (group, direction, rule, access)
        for direction in DIRECTIONS
        for (group, rule, access), number in numbers.by_direction[direction].items()
        if flags[direction][number]
    }


@pytest.mark.parametrize("mode", ["Enforce", "Audit"])
def test_they_are_those_of_the_tables(tmp_path: Path, mode: str) -> None:
    """Not those that were; whoever only looks on lets all through."""
    path = tmp_path / "policy.yaml"
    path.write_text(DOCUMENT.format(mode=mode.lower()))
    loaded = load_policy([path], DecisionNumbers(GONE), None)
    rules = {
        (table.network_security_group, table.direction, decision.rule, decision.access)
        for table in loaded.policy.tables
        for decision in table.decisions()
    }
    assert ("web", Direction.INBOUND, "Rest", Access.DENY) in rules
    found = RulesInForce(loaded)
    assert numbered(loaded.numbers, found.all) == rules
    passing = rules if mode == "Audit" else {each for each in rules if each[3] is Access.ALLOW}
    assert numbered(loaded.numbers, found.passing) == passing
