"""A document may repeat the six default rules, and change nothing."""

from __future__ import annotations

from typing import Any

import pytest

from nsgd.model.rule import DEFAULT_SECURITY_RULES, SecurityRule, TagAddress
from tests.config.documents import Raw, group, load, refuse, refuse_one

PLACE = "networkSecurityGroups[0].defaultSecurityRules"


def _raw(rule: SecurityRule) -> Raw:
    def text(address: Any) -> str:
        return str(address.tag.value) if isinstance(address, TagAddress) else "*"

    return {
        "name": rule.name,
        "priority": rule.priority,
        "direction": rule.direction.value,
        "access": rule.access.value,
        "protocol": "*",
        "sourceAddressPrefix": text(rule.source),
        "sourcePortRange": "*",
        "destinationAddressPrefix": text(rule.destination),
        "destinationPortRange": "*",
    }


def six() -> list[Raw]:
    """The six as a document writes them."""
    return [_raw(rule) for rule in DEFAULT_SECURITY_RULES]


def test_the_six_in_any_order_spelling_and_description() -> None:
    """Only what decides counts, and the model does not repeat them."""
    rules = list(reversed(six()))
    for raw in rules:
        raw.update(
            name=raw["name"].upper(), description="any words", destinationPortRange="0-65535"
        )
    assert load(group(defaultSecurityRules=rules)) == load(group())


def test_an_empty_list_is_absent() -> None:
    """As everywhere."""
    assert load(group(defaultSecurityRules=[])) == load(group())


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("priority", 65499, "differs in priority from"),
        ("access", "Allow", "differs in access from"),
        ("direction", "Outbound", "differs in direction from"),
        ("protocol", "Tcp", "differs in protocol from"),
        ("sourceAddressPrefix", "Internet", "differs in source from"),
        ("sourceAddressPrefix", "0.0.0.0/0", "differs in source from"),
        ("destinationAddressPrefix", "10.0.0.0/8", "differs in destination from"),
        ("sourcePortRange", 80, "differs in source ports from"),
        ("destinationPortRange", "1-65535", "differs in destination ports from"),
    ],
)
def test_a_changed_rule(field: str, value: object, message: str) -> None:
    """Each field that decides is compared."""
    rules = six()
    rules[2][field] = value
    assert rules[2]["name"] == "DenyAllInBound"
    path, found, way_out = refuse_one(group(defaultSecurityRules=rules))
    assert path == f"{PLACE}[2]"
    assert message in found
    assert way_out.startswith("remove defaultSecurityRules")


def test_a_missing_rule() -> None:
    """They cannot be removed."""
    path, message, _ = refuse_one(group(defaultSecurityRules=six()[:4]))
    assert path == PLACE
    assert message == "'web': AllowInternetOutBound, DenyAllOutBound are missing"


def test_a_rule_twice_and_one_of_another_name() -> None:
    """There are six and no more."""
    rules = [*six(), six()[0], {**six()[1], "name": "Other"}]
    assert [
        (problem.path, problem.message) for problem in refuse(group(defaultSecurityRules=rules))
    ] == [
        (f"{PLACE}[6].name", "'web': 'AllowVnetInBound' is given twice"),
        (f"{PLACE}[7].name", "'web': 'Other' is not a default security rule"),
    ]


def test_a_priority_that_no_rule_has() -> None:
    """Told by its bounds, and as a difference."""
    rules = six()
    rules[2]["priority"] = 65501
    problems = refuse(group(defaultSecurityRules=rules))
    assert [(problem.path, problem.message) for problem in problems] == [
        (f"{PLACE}[2].priority", "'DenyAllInBound' of 'web': 65501 is outside 100-65500"),
        (
            f"{PLACE}[2]",
            "'DenyAllInBound' of 'web': differs in priority from the default security rule",
        ),
    ]
