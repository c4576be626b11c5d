"""The oracle's own check says what Azure's text says of a document, at the edges."""

from __future__ import annotations

from typing import Any

import pytest

from .generate import random_tagged_case
from .test_oracle import one_network, rule, two_networks
from .test_platform import FILES
from .validity import complaints


def with_rules(*rules: dict[str, Any]) -> list[str]:
    return complaints(one_network({"vm": "10.0.0.4"}, interface_group=rules), FILES)


def test_drawn_documents_are_valid() -> None:
    """So every refusal of one that was spoiled is due to its mistake."""
    for number in range(200):
        case = random_tagged_case(f"valid-{number}", 0)
        assert complaints(case.document, case.tag_files) == []


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({}, None),
        ({"source": "storage.westus"}, None),
        ({"source": ["Storage"]}, None),
        ({"source": "Storage.Nowhere"}, "SecurityRuleInvalidAddressPrefix"),
        ({"source": ["Storage", "8.8.8.8"]}, "SecurityRuleParameterContainsUnsupportedValue"),
        ({"source": ["8.8.8.8", "*"]}, "SecurityRuleParameterContainsUnsupportedValue"),
        ({"source": ["8.8.8.8", "8.8.8.9"]}, None),
        (
            {"source": ["149.173.0.0/16", "149.173.8.27/32"]},
            "OverlappingSubnetsNotPermittedInSecurityRule",
        ),
        (
            {"source": ["0.0.0.0/0", "::/0"]},
            "ResourceCannotContainAddressPrefixesFromDifferentAddressFamilies",
        ),
        (
            {"source": "8.8.8.8", "destination": ["fd00::/8", "2a00::1"]},
            "ResourceCannotContainAddressPrefixesFromDifferentAddressFamilies",
        ),
        ({"source": ["fd00::/8", "2a00::1"], "destination": "::/0"}, None),
        ({"source": ["fd00::/8", "2a00::1"], "destination": "Storage"}, None),
        ({"source": "AzurePlatformIMDS", "access": "Allow"}, "SecurityRuleInvalidAccessType"),
        ({"source": "AzurePlatformIMDS", "ports": "80"}, None),
        ({"destination": "AzurePlatformDNS", "ports": "53"}, "the DNS tag"),
        ({"destination": "AzurePlatformDNS", "protocol": "Udp"}, "the DNS tag"),
        ({"destination": "AzurePlatformDNS"}, None),
        ({"ports": "0-65536"}, "SecurityRuleInvalidPortRange"),
        ({"ports": "90-80"}, "SecurityRuleInvalidPortRange"),
        ({"ports": "80,443"}, "SecurityRuleInvalidPortRange"),
        ({"ports": ["80", "*"]}, "SecurityRuleInvalidPortRange"),
        ({"ports": 65535}, None),
        ({"protocol": "Icmp"}, None),
        ({"protocol": "Icmp", "ports": "80"}, "Icmp has no destination ports"),
        ({"protocol": "ah", "ports": ["0-79", "81-65535"]}, "ah has no destination ports"),
        ({"protocol": "Esp", "ports": ["0-79", "80-65535"]}, None),
        ({"name": "a."}, "name is"),
        ({"name": "a_"}, None),
        ({"name": "DENYALLINBOUND"}, "rule name"),
        ({"protocol": "Any"}, "protocol is"),
        ({"source": "asg:nobody"}, "no application security group"),
    ],
)
def test_one_rule(fields: dict[str, Any], complaint: str | None) -> None:
    """Section 1: what is refused, and the nearest that is not."""
    found = with_rules(rule(4096, **{"access": "Deny", **fields}))
    if complaint is None:
        assert found == []
    else:
        assert len(found) == 1
        assert found[0].startswith(complaint)


@pytest.mark.parametrize(
    ("other", "complaint"),
    [
        (rule(100, "Deny", name="Other"), "SecurityRuleConflict"),
        (rule(100, "Deny", name="Other", direction="Outbound"), None),
        (rule(101, "Deny", name="RULE100"), "rule name"),
    ],
)
def test_two_rules(other: dict[str, Any], complaint: str | None) -> None:
    """SPEC, section 1: unique names, and unique priorities in one direction."""
    found = with_rules(rule(100, "Allow"), other)
    assert [text.startswith(str(complaint)) for text in found] == (
        [] if complaint is None else [True]
    )


@pytest.mark.parametrize(("right_peers", "count"), [([], 0), (["vnet"], 2)])
def test_peers_that_overlap(right_peers: list[str], count: int) -> None:
    """13.16: refused when both sides declare the peering, and named from each."""
    document = two_networks({"peerings": ["right"]}, {"peerings": right_peers})
    document["virtualNetworks"][1]["addressSpace"] = ["10.0.0.0/8"]
    assert len(complaints(document)) == count


@pytest.mark.parametrize(
    ("sections", "count"),
    [
        ({"subscription": {"kind": "EnterpriseDevTest", "created": "2018-01-31"}}, 0),
        ({"subscription": {"kind": "EnterpriseDevTest", "created": "2018-02-29"}}, 1),
        ({"subscription": {"kind": "EnterpriseDevTest"}}, 1),
        ({"subscription": {"kind": "Enterprise", "created": "2018-01-31"}}, 1),
        (
            {
                "subscription": {
                    "kind": "EnterpriseAgreement",
                    "created": "2018-01-31",
                    "smtpExempted": "2019-05-01",
                }
            },
            1,
        ),
        ({"platformAddresses": {"host": []}}, 0),
        ({"platformAddresses": {"host": ["168.63.129.16/32"]}}, 1),
        ({"platformAddresses": {"dns": []}}, 1),
        ({"scaleSets": [["10.0.0.32/27", "10.0.0.64/27"]]}, 0),
        ({"scaleSets": [["10.0.0.32/27"], ["10.0.0.48/28"]]}, 1),
        ({"scaleSets": [["10.0.1.0/27"]]}, 1),
        ({"scaleSets": [["10.0.0.0/23"]]}, 1),
    ],
)
def test_sections_of_the_platform(sections: dict[str, Any], count: int) -> None:
    """7 and 13.8, and where a scale set's prefixes may lie."""
    document = {**one_network({"vm": "10.0.0.4"}), **sections}
    document["scaleSets"] = [
        {"name": f"set{number}", "subnet": "vnet/default", "privateIPAddressPrefixes": texts}
        for number, texts in enumerate(sections.get("scaleSets", ()))
    ]
    assert len(complaints(document)) == count
