"""No text is taken for something wider than it says."""

from __future__ import annotations

import pytest

from nsgd.config.addresses import (
    UnresolvedTag,
    parse_address,
    parse_prefix,
    parse_rule_address,
)
from nsgd.config.problem import Refusal
from nsgd.model.address import Address, Prefix
from nsgd.model.rule import AnyAddress, PlatformService, PlatformTag, ServiceTag, TagAddress


@pytest.mark.parametrize(
    "text",
    [
        *("0.0.0.0/0", "::/0", "10.0.0.0/8", "10.0.0.1", "255.255.255.255/32", "fd00::/8"),
        *("1.2.3.4/31", "99.199.249.255", "10.128.0.0/9", "192.168.255.240/29", "2001:DB8::1"),
    ],
)
def test_prefix(text: str) -> None:
    """The quick reader of IPv4 agrees with the model's own."""
    assert parse_prefix(text) == Prefix.parse(text)
    assert parse_rule_address(text) == Prefix.parse(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("*", AnyAddress()),
        ("Internet", TagAddress(ServiceTag.INTERNET)),
        ("INTERNET", TagAddress(ServiceTag.INTERNET)),
        ("virtualnetwork", TagAddress(ServiceTag.VIRTUAL_NETWORK)),
        ("AzureLoadBalancer", TagAddress(ServiceTag.AZURE_LOAD_BALANCER)),
        ("AzurePlatformDNS", PlatformTag(PlatformService.DNS)),
        ("azureplatformimds", PlatformTag(PlatformService.IMDS)),
        ("AzurePlatformLkm", PlatformTag(PlatformService.LKM)),
        # Which of these there are, Microsoft's file says; the case is its own.
        ("Storage", UnresolvedTag("Storage")),
        ("Sql.WestUS", UnresolvedTag("Sql.WestUS")),
        ("Internt", UnresolvedTag("Internt")),
        ("VIRTUAL_NETWORK", UnresolvedTag("VIRTUAL_NETWORK")),
        ("VirtualNetwork.WestUS", UnresolvedTag("VirtualNetwork.WestUS")),
        ("a" * 128, UnresolvedTag("a" * 128)),
        # Hexadecimal digits alone are no address.
        ("fd00", UnresolvedTag("fd00")),
        ("anyone", UnresolvedTag("anyone")),
        # The user's 0.0.0.0/0 is IPv4 only.
        ("0.0.0.0/0", Prefix(4, 0, 0)),
    ],
)
def test_rule_address(value: str, expected: object) -> None:
    """Tags compare without case, and * alone means both families."""
    assert parse_rule_address(value) == expected


@pytest.mark.parametrize(
    ("value", "message", "way_out"),
    [
        ("10.0.0.1/8", "'10.0.0.1/8' has host bits set", "write 10.0.0.0/8"),
        ("fd00::1/64", "'fd00::1/64' has host bits set", "write fd00::/64"),
        ("10.0.0.0/33", "'10.0.0.0/33' is not a prefix", "write a prefix such as"),
        ("10.0.0/8", "'10.0.0/8' is not a prefix", "write a prefix such as"),
        ("10.0.0.256", "'10.0.0.256' is not a prefix", "write a prefix such as"),
        ("010.0.0.0/8", "'010.0.0.0/8' is not a prefix", "write a prefix such as"),
        ("10.0.0.0/", "'10.0.0.0/' is not a prefix", "write a prefix such as"),
        ("10.0.0.0/255.0.0.0", "has a mask, not a prefix length", "write 10.0.0.0/8"),
        ("10.0.0.1-10.0.0.9", "is a range, not a prefix", "write it as prefixes"),
        ("10.0.0.1,10.0.0.2", "but looks like several", "write them as a list, in the plural"),
        (" 10.0.0.1", "it has blanks around it", "write '10.0.0.1'"),
        ("10.0.0.1\n", "it has blanks around it", "write '10.0.0.1'"),
        ("fe80::1%eth0", "it has a zone id", "write fe80::1"),
        ("\u0661\u0660.0.0.1", "is not a prefix", "write a prefix such as"),
        ("10.0.0.0/" + "9" * 5000, "is not a prefix", "write a prefix such as"),
    ],
)
def test_a_prefix_that_is_refused(value: str, message: str, way_out: str) -> None:
    """In a network and, with Azure's code, in a rule."""
    with pytest.raises(Refusal) as caught:
        parse_prefix(value)
    assert message in caught.value.message
    assert caught.value.way_out.startswith(way_out)
    with pytest.raises(Refusal) as in_rule:
        parse_rule_address(value)
    assert in_rule.value.message == f"SecurityRuleInvalidAddressPrefix: {caught.value.message}"
    assert in_rule.value.way_out == caught.value.way_out


@pytest.mark.parametrize(
    ("value", "message", "way_out"),
    [
        ("any", "'any' is not an address prefix", "write '*'"),
        ("All", "'All' is not an address prefix", "write '*'"),
        ("", "'' is not a prefix", "write a prefix such as"),
        ("**", "'**' is not a prefix", "write a prefix such as"),
        ("aNY", "'aNY' is not an address prefix", "write '*'"),
        ("Storage ", "it has blanks around it", "write 'Storage'"),
        ("Storage,Sql", "but looks like several", "write them as a list, in the plural"),
        ("Storage/24", "'Storage/24' is not a prefix", "write a prefix such as"),
        ("1Storage", "'1Storage' is not a prefix", "write a prefix such as"),
        (".Storage", "'.Storage' is not a prefix", "write a prefix such as"),
        ("a" * 129, "is not a prefix", "write a prefix such as"),
        ("Storag\u00e9", "is not a prefix", "write a prefix such as"),
        # The Kelvin sign is a k to lower().
        ("VirtualNetwor\u212a", "is not a prefix", "write a prefix such as"),
        (10, "10 is not text", "write '*'"),
        (1.5, "1.5 is not text", "write '*'"),
        (True, "true is not text", "write '*'"),
        (None, "null is not text", "write '*'"),
        (["*"], "a list is not text", "write '*'"),
        ({}, "an object is not text", "write '*'"),
    ],
)
def test_a_rule_address_that_is_refused(value: object, message: str, way_out: str) -> None:
    """By name where it looks like a tag, and with Azure's code."""
    with pytest.raises(Refusal) as caught:
        parse_rule_address(value)
    assert caught.value.message.startswith("SecurityRuleInvalidAddressPrefix: ")
    assert message in caught.value.message
    assert caught.value.way_out.startswith(way_out)


@pytest.mark.parametrize("value", ["*", "any", "Internet", "VirtualNetwork", "", 4, None, []])
def test_a_network_prefix_is_no_tag(value: object) -> None:
    """What rules may say does not widen an address space."""
    with pytest.raises(Refusal, match="is not a prefix"):
        parse_prefix(value)


@pytest.mark.parametrize("text", ["0.0.0.0", "10.0.1.4", "255.255.255.255", "fd00::4", "::"])
def test_address(text: str) -> None:
    """The quick reader of IPv4 agrees with the model's own."""
    assert parse_address(text) == Address.parse(text)


@pytest.mark.parametrize(
    ("value", "way_out"),
    [
        ("10.0.1.4/32", "write the address without a prefix length"),
        ("10.0.1", "write an address such as 10.0.1.4 or fd00::4"),
        ("10.0.1.04", "write an address such as 10.0.1.4 or fd00::4"),
        ("fe80::1%eth0", "write an address such as 10.0.1.4 or fd00::4"),
        ("*", "write an address such as 10.0.1.4 or fd00::4"),
        (10, "write an address such as 10.0.1.4"),
        (None, "write an address such as 10.0.1.4"),
    ],
)
def test_an_address_that_is_refused(value: object, way_out: str) -> None:
    """One address and nothing else."""
    with pytest.raises(Refusal, match="is not an address") as caught:
        parse_address(value)
    assert caught.value.way_out == way_out
