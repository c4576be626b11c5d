"""Azure's limits: each is reached, passed by one, and raised by its key."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from nsgd.config.limits import LIMITS
from tests.config.documents import Raw, group, interface, load, network, refuse, refuse_one, rule

# Azure, Azure networking limits (docs/azure-reference.md, Limits).
AZURE = {
    "networkSecurityGroups": 5000,
    "securityRulesPerNetworkSecurityGroup": 1000,
    "addressesPerSide": 4000,
    "applicationSecurityGroups": 3000,
    "applicationSecurityGroupsPerNetworkInterface": 20,
    "applicationSecurityGroupsPerRuleSide": 10,
    "applicationSecurityGroupsPerNetworkSecurityGroup": 100,
    "ipConfigurationsPerApplicationSecurityGroup": 4000,
    "peeringsPerVirtualNetwork": 500,
    "privateIPAddressesPerVirtualNetwork": 65536,
}

# Every rule of a group has a priority of its own in its direction.
PRIORITIES = range(100, 4097)


def rules(count: int, **fields: object) -> list[Raw]:
    """Rules of both directions, each with its own name and priority."""
    return [
        rule(
            name=f"r{index}",
            priority=PRIORITIES[index // 2],
            direction=("Inbound", "Outbound")[index % 2],
            **fields,
        )
        for index in range(count)
    ]


def named(count: int) -> list[Raw]:
    """Resources that have a name only."""
    return [{"name": f"x{index}"} for index in range(count)]


def names(count: int) -> list[str]:
    """The names of named()."""
    return [f"x{index}" for index in range(count)]


def addresses(count: int) -> list[str]:
    """Addresses of 10.0.0.0/8 that no subnet reserves."""
    return [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(4, count + 4)]


def with_prefixes(side: str) -> Callable[[int], Raw]:
    """A group whose rules have so many prefixes on one side, half in each of two rules."""

    def document(count: int) -> Raw:
        plural = f"{side}AddressPrefixes"
        texts = [f"1.{n >> 8}.{n & 255}.0/24" for n in range(count)]
        fields: list[Raw] = [
            {f"{side}AddressPrefix": None, plural: part}
            for part in (texts[: count // 2], texts[count // 2 :])
        ]
        # A tag and '*' are no addresses.
        third = rule(name="third", priority=300, **{f"{side}AddressPrefix": "Storage"})
        return group(rule(**fields[0]), rule(name="second", priority=200, **fields[1]), third)

    return document


def with_groups_on(side: str) -> Callable[[int], Raw]:
    """A rule with so many application security groups on one side."""

    def document(count: int) -> Raw:
        fields: Raw = {
            f"{side}AddressPrefix": None,
            f"{side}ApplicationSecurityGroups": names(count),
        }
        return {**group(rule(**fields)), "applicationSecurityGroups": named(count)}

    return document


def with_groups_in_rules(count: int) -> Raw:
    """So many groups in all rules, in turn as a source and as a destination; the first as both."""
    sides = [("source", "destination")[index % 2] for index in range(count)]
    given = [
        rule(
            name=f"r{index}",
            priority=PRIORITIES[index],
            **{f"{side}AddressPrefix": None, f"{side}ApplicationSecurityGroups": [f"x{number}"]},
        )
        for index, (side, number) in enumerate(
            [*zip(sides, range(count), strict=True), ("destination", 0)]
        )
    ]
    return {**group(*given), "applicationSecurityGroups": named(count)}


def with_interface_in(count: int) -> Raw:
    """A NIC in so many groups."""
    return {
        "virtualNetworks": [network()],
        "networkInterfaces": [interface(applicationSecurityGroups=names(count))],
        "applicationSecurityGroups": named(count),
    }


def with_addresses(count: int, **fields: Any) -> Raw:
    """A network with two NICs that have so many addresses together, and a twin with one more."""
    wide: Raw = {"subnets": [{"name": "web", "addressPrefix": "10.0.0.0/8"}]}
    given = addresses(count)
    return {
        "virtualNetworks": [
            network(space="10.0.0.0/8", **wide),
            network("twin", space="10.0.0.0/8", **wide),
        ],
        "networkInterfaces": [
            interface("a", privateIPAddresses=given[: count // 2], **fields),
            interface("b", privateIPAddresses=given[count // 2 :], **fields),
            interface("c", subnet="twin/web", privateIPAddresses=given[:1]),
        ],
    }


def with_members(count: int) -> Raw:
    """Two NICs of one group that have so many addresses together."""
    return {
        **with_addresses(count, applicationSecurityGroups=["x0"]),
        "applicationSecurityGroups": named(1),
    }


def with_peerings(count: int) -> Raw:
    """A network that peers with so many others."""
    hub = network("hub", subnets=[], peerings=names(count))
    others = [network(name, subnets=[]) for name in names(count)]
    return {"virtualNetworks": [hub, *others]}


@dataclass(frozen=True)
class Case:
    """How to reach a limit, where passing it is told, and in which words."""

    key: str
    document: Callable[[int], Raw]
    path: str
    message: str


CASES = [
    Case(
        "networkSecurityGroups",
        lambda count: {"networkSecurityGroups": named(count)},
        "networkSecurityGroups",
        "{} network security groups, and a subscription has at most {}",
    ),
    Case(
        "securityRulesPerNetworkSecurityGroup",
        lambda count: group(*rules(count)),
        "networkSecurityGroups[0].securityRules",
        "{} rules, and a network security group has at most {}",
    ),
    *(
        Case(
            "addressesPerSide",
            with_prefixes(side),
            "networkSecurityGroups[0].securityRules",
            f"{{}} {side} prefixes, and a network security group has at most {{}}",
        )
        for side in ("source", "destination")
    ),
    Case(
        "applicationSecurityGroups",
        lambda count: {"applicationSecurityGroups": named(count)},
        "applicationSecurityGroups",
        "{} application security groups, and a subscription has at most {}",
    ),
    Case(
        "applicationSecurityGroupsPerNetworkInterface",
        with_interface_in,
        "networkInterfaces[0].applicationSecurityGroups",
        "{} application security groups, and a network interface is in at most {}",
    ),
    *(
        Case(
            "applicationSecurityGroupsPerRuleSide",
            with_groups_on(side),
            f"networkSecurityGroups[0].securityRules[0].{side}ApplicationSecurityGroups",
            "{} application security groups, and one side of a rule has at most {}",
        )
        for side in ("source", "destination")
    ),
    Case(
        "applicationSecurityGroupsPerNetworkSecurityGroup",
        with_groups_in_rules,
        "networkSecurityGroups[0].securityRules",
        "{} application security groups in all rules, and a network security group has at most {}",
    ),
    Case(
        "ipConfigurationsPerApplicationSecurityGroup",
        with_members,
        "applicationSecurityGroups[0]",
        "{} IP configurations, and an application security group has at most {}",
    ),
    Case(
        "peeringsPerVirtualNetwork",
        with_peerings,
        "virtualNetworks[0].peerings",
        "{} peerings, and a virtual network has at most {}",
    ),
    Case(
        "privateIPAddressesPerVirtualNetwork",
        with_addresses,
        "virtualNetworks[0]",
        "{} private IP addresses of network interfaces, and a virtual network has at most {}",
    ),
]


def test_the_table_is_azures() -> None:
    """Key by key, and each has a case below."""
    assert {key: field.default for key, field in LIMITS.items()} == AZURE
    assert {case.key for case in CASES} == AZURE.keys()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.key}-{case.path[-11:]}")
def test_a_limit(case: Case) -> None:
    """Reached it is right; passed by one it is named, with its value and its key; then raised."""
    value = AZURE[case.key]
    load(case.document(value))
    path, message, way_out = refuse_one(case.document(value + 1))
    assert path == case.path
    told = case.message.format(value + 1, value)
    # The names of the objects around go before.
    assert re.sub(r"^('\w+'( of )?)*: ", "", message) == f"{told} (limits.{case.key} raises it)"
    assert way_out
    load(case.document(value + 1), {"limits": {case.key: value + 1}})


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.key}-{case.path[-11:]}")
def test_a_limit_may_be_lowered(case: Case) -> None:
    """A house may have tighter limits than Azure's."""
    load(case.document(2), {"limits": {case.key: 2}})
    (problem,) = refuse(case.document(3), {"limits": {case.key: 2}})
    assert case.message.format(3, 2) in problem.message


def test_resources_are_counted_over_all_documents() -> None:
    """The document with the first that is too many is named."""
    limits = {"limits": {"networkSecurityGroups": 3}}
    one, two = ({"networkSecurityGroups": [{"name": n} for n in pair]} for pair in ("ab", "cd"))
    (problem,) = refuse(one, limits, two)
    assert (problem.document, problem.path) == ("d2", "networkSecurityGroups")
    load(one, {"limits": {"networkSecurityGroups": 4}}, two)


def test_the_section_stands_once() -> None:
    """In one document at most; the first one holds."""
    document = group(*rules(3))
    section = {"limits": {"securityRulesPerNetworkSecurityGroup": 3}}
    path, message, way_out = refuse_one(section, document, section)
    assert path == "limits"
    assert message == "the limits section is already given by limits in d0"
    assert way_out == "keep it in one document"


@pytest.mark.parametrize("absent", [None, "", [], {}])
def test_an_absent_section(absent: object) -> None:
    """And absent values in one that is there."""
    load({"limits": absent, **group(*rules(3))})
    load({"limits": {"networkSecurityGroups": None}, **group(*rules(3))})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, "0 is outside 1-1000000000"),
        (-1, "-1 is outside 1-1000000000"),
        (10**10, "10000000000 is outside 1-1000000000"),
        ("5", "'5' is text, not an integer"),
        (5.0, "5.0 is not an integer"),
        (True, "true is not an integer"),
    ],
)
@pytest.mark.parametrize("key", LIMITS)
def test_a_value_that_is_refused(key: str, value: object, message: str) -> None:
    """And nothing else is: what it would have limited is judged by Azure's number."""
    document = {**with_members(2), **with_peerings(0), **group(*rules(3))}
    document["virtualNetworks"] = with_addresses(2)["virtualNetworks"]
    path, found, _ = refuse_one({"limits": {key: value}, **document})
    assert path == f"limits.{key}"
    assert found == message


def test_an_unknown_limit() -> None:
    """With the one that was meant."""
    key = "securityRulesPerNetworkSecurityGroups"
    path, _, way_out = refuse_one({"limits": {key: 5}})
    assert path == f"limits.{key}"
    assert way_out == "did you mean securityRulesPerNetworkSecurityGroup?"
