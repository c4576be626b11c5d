"""Effective rules in the form of Azure's answers, field by field."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from nsgd.answers.effective_rules import effective_rules_as_json
from nsgd.answers.policy import QuestionedPolicy
from nsgd.answers.prefixes import to_prefixes
from nsgd.model.address import ADDRESS_BITS, Address, IPVersion, Prefix
from nsgd.model.network import NetworkModel, ServiceTagPrefixes
from nsgd.model.rule import (
    Access,
    Direction,
    PlatformService,
    PlatformTag,
    Protocol,
    PublishedTag,
    RuleAddress,
    SecurityRule,
)
from nsgd.policy.address_set import ALL_ADDRESSES, AddressSet, merge_ranges
from tests.policy.builders import group, prefixes, subnet

from .policies import MODEL, POLICY, network, nic


def test_elements_and_their_order() -> None:
    """The subnet's group before the interface's; one where there is one; none without group."""
    elements = POLICY.effective_rules("vm1")["value"]
    assert [(element["networkSecurityGroup"], element["association"]) for element in elements] == [
        ({"id": "Subnet"}, {"subnet": {"id": "lab/grouped"}}),
        ({"id": "Nic"}, {"networkInterface": {"id": "VM1"}}),
    ]
    assert len(POLICY.effective_rules("VM3")["value"]) == 1
    assert POLICY.effective_rules("VM4") == {"value": []}


def test_rules_are_listed_by_direction_and_priority() -> None:
    """Inbound first, the default rules last; no platform rule."""
    rules = POLICY.effective_rules("VM1")["value"][0]["effectiveSecurityRules"]
    assert [rule["name"] for rule in rules] == [
        "securityRules/AllowWeb",
        "securityRules/AllowToWeb",
        "defaultSecurityRules/AllowVnetInBound",
        "defaultSecurityRules/AllowAzureLoadBalancerInBound",
        "defaultSecurityRules/DenyAllInBound",
        "securityRules/DenyDns",
        "defaultSecurityRules/AllowVnetOutBound",
        "defaultSecurityRules/AllowInternetOutBound",
        "defaultSecurityRules/DenyAllOutBound",
    ]


def test_lists_and_groups() -> None:
    """A list leaves the singular field empty; a group is expanded to its members' addresses."""
    subnets, own = POLICY.effective_rules("VM1")["value"]
    to_web = subnets["effectiveSecurityRules"][1]
    assert to_web == {
        "name": "securityRules/AllowToWeb",
        "protocol": "Tcp",
        "sourcePortRange": "0-65535",
        "destinationPortRange": None,
        "sourcePortRanges": ["0-65535"],
        "destinationPortRanges": ["443-443", "8443-8443"],
        "sourceAddressPrefix": "0.0.0.0/0",
        "destinationAddressPrefix": "Web",
        "sourceAddressPrefixes": ["0.0.0.0/0", "0.0.0.0/0"],
        "destinationAddressPrefixes": ["Web"],
        "expandedDestinationAddressPrefix": ["10.0.1.4/32", "fd00:10:0:1::4/128"],
        "access": "Allow",
        "priority": 120,
        "direction": "Inbound",
    }
    from_high = own["effectiveSecurityRules"][1]
    assert from_high["sourceAddressPrefix"] is None
    assert from_high["sourceAddressPrefixes"] == ["8.8.8.0/24", "9.9.9.9/32"]
    assert from_high["sourcePortRange"] == "1024-65535"
    assert not [key for key in from_high if key.startswith("expanded")]


def test_tags() -> None:
    """Microsoft's prefixes as its file has them, the platform's addresses, in the tag map too."""
    sides: tuple[RuleAddress, ...] = (
        PublishedTag("Storage.WestUS"),
        PlatformTag(PlatformService.DNS),
    )
    rules = [
        SecurityRule(
            f"To{number}",
            100 + number,
            Direction.OUTBOUND,
            Access.DENY,
            Protocol.ANY,
            destination=side,
        )
        for number, side in enumerate(sides)
    ]
    published = prefixes("20.60.0.0/16", "13.70.0.0/32", "2603:1030::/48")
    model = NetworkModel(
        (network("lab", "10.0.0.0/16", subnets=(subnet("s", "10.0.0.0/24", "Tags"),)),),
        (nic("vm", "s", "10.0.0.4"),),
        (group("Tags", *rules),),
        service_tags=(ServiceTagPrefixes("Storage.WestUS", published),),
    )
    (element,) = QuestionedPolicy(model).effective_rules("vm")["value"]
    outbound = [r for r in element["effectiveSecurityRules"] if r["direction"] == "Outbound"]
    texts = ["20.60.0.0/16", "13.70.0.0/32", "2603:1030::/48"]
    assert outbound[0]["destinationAddressPrefix"] == "Storage.WestUS"
    assert outbound[0]["expandedDestinationAddressPrefix"] == texts
    assert outbound[1]["destinationAddressPrefix"] == "AzurePlatformDNS"
    assert outbound[1]["expandedDestinationAddressPrefix"] == ["168.63.129.16/32"]
    assert element["tagMap"]["Storage.WestUS"] == texts
    assert list(element["tagMap"]) == [
        "VirtualNetwork",
        "AzureLoadBalancer",
        "Storage.WestUS",
        "AzurePlatformDNS",
        "Internet",
    ]


def test_a_scale_set_is_named() -> None:
    """An instance's own group is associated with the scale set."""
    instance = POLICY.resources.at(Address.parse("10.0.1.40"))
    (_, own) = effective_rules_as_json(MODEL, instance)["value"]
    assert own["association"] == {"scaleSet": {"id": "Set"}}


@pytest.mark.parametrize("version", [4, 6])
def test_prefixes_hold_exactly_the_addresses(version: IPVersion) -> None:
    """The fewest blocks: no two of them make a larger one, and together they are the ranges."""
    drawn = random.Random(f"prefixes {version}")
    bits = ADDRESS_BITS[version]
    for _ in range(300):
        top = 1 << drawn.choice((4, 9, bits))
        edges = sorted({drawn.randrange(top) for _ in range(12)})[:6]
        pairs = zip(edges[::2], edges[1::2], strict=False)
        ranges = merge_ranges((first, last) for first, last in pairs)
        addresses = AddressSet(ranges) if version == 4 else AddressSet((), ranges)
        blocks = to_prefixes(addresses)
        assert AddressSet.of_prefixes(blocks) == addresses
        for left, right in pairwise(blocks):
            joined = left.length == right.length and left.length > 0
            parent = left.network >> (bits - left.length + 1) if joined else None
            assert not joined or parent != right.network >> (bits - right.length + 1)


def test_prefixes_of_everything() -> None:
    """The two largest blocks there are."""
    everything = (Prefix.parse("0.0.0.0/0"), Prefix.parse("::/0"))
    assert to_prefixes(ALL_ADDRESSES) == everything
    assert to_prefixes(AddressSet()) == ()
