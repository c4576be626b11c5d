"""The policy whose trees are deepest: all five fields, then a list that classes share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from tests.ruleset.policies import (
    DIRECTIONS,
    Policy,
    Rules,
    as_admin_rule,
    rules_for_one,
    worst_policy,
)


def deepest_policy(mode: str = "audit", roles: Sequence[str] = ("gateway",)) -> Policy:
    """The worst policy with such rules, and behind the list a rule in a chain of its own."""
    policy = worst_policy(mode, rules=1, roles=roles)
    rules = [each for way in DIRECTIONS for each in (*rules_for_one(way), *_five_fields(way))]
    policy["networkSecurityGroups"] = [
        {"name": name, "securityRules": rules} for name in ("subnet", "nic")
    ]
    (configuration,) = policy["securityAdminConfigurations"]
    (collection,) = configuration["ruleCollections"]
    collection["rules"] = [
        as_admin_rule(rule, ("Allow", "Deny", "AlwaysAllow")[number % 3])
        for way in DIRECTIONS
        for number, rule in enumerate(_five_fields(way))
    ]
    return policy


def _five_fields(direction: str) -> Rules:
    """Thirty source ports for each of two values of all other fields.

    Ahead of them rules for a source port only: in so many lists that they have chains of their own.
    """
    wide = [(port, "*", "*", "*") for port in range(20_000, 20_060, 20)]
    prefixes = [[f"10.0.{n}.0/24" for n in (1, 2)], [f"fd00:10:0:{n}::/64" for n in (1, 2)]]
    narrow = [
        (port, *others)
        for of_version in prefixes
        for others in product(("100-109", "200-209"), of_version, of_version)
        for port in range(1000, 1600, 20)
    ]
    return [
        {
            "name": f"{direction}{number}",
            "priority": 200 + number,
            "direction": direction,
            "access": "Deny",
            "protocol": "Tcp",
            "sourcePortRange": f"{port}-{port + 9}",
            "destinationPortRange": destination_port,
            "sourceAddressPrefix": source,
            "destinationAddressPrefix": destination,
        }
        for number, (port, destination_port, source, destination) in enumerate([*wide, *narrow])
    ]
