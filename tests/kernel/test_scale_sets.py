"""Instances of scale sets: hosts that no document declares, known by their addresses."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.kernel.documents import (
    INTERNET_V4,
    INTERNET_V6,
    Rule,
    document,
    nic,
    nic_addresses,
    rule,
    subnet,
)
from tests.kernel.network import Network, network

VERSIONS = pytest.mark.parametrize("version", [4, 6])
# The scale set has .32 to .63 of its subnet, and ::20 to ::3f.
PREFIXES = ["10.0.1.32/27", "fd00:10:0:1::20/123"]
NUMBERS = {"below": 31, "first": 32, "last": 63, "above": 64, "declared": 40}
INSTANCES = ("first", "last")
RESOURCES = ("below", "above")
ALLOW_80 = rule("AllowHttp", 100, "Inbound", "Allow", "Tcp", "80")
IN = "DenyAllInBound"


def policy(of_set: list[Rule], of_subnet: list[Rule], *, member: bool = False) -> dict[str, Any]:
    """A scale set, a NIC inside its prefixes that is not its, and a peer in another subnet."""
    made = document(
        [subnet("one", 1, "subnet"), subnet("two", 2)],
        [nic("declared", "one", NUMBERS["declared"], 1, link=None), nic("peer", "two", 4, 2)],
        {"set": of_set, "subnet": of_subnet},
        ["Web"],
    )
    scale_set: dict[str, Any] = {
        "name": "web",
        "subnet": "lab/one",
        "privateIPAddressPrefixes": PREFIXES,
        "networkSecurityGroup": "set",
    }
    made["scaleSets"] = [scale_set | ({"applicationSecurityGroups": ["Web"]} if member else {})]
    return made


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Hosts at the edges of the scale set, at the declared NIC's address, and elsewhere."""
    with network(tmp_path_factory.mktemp("scale-sets")) as made:
        for name, number in NUMBERS.items():
            made.host(name, *nic_addresses(1, number))
        made.host("peer", *nic_addresses(2, 4))
        made.host("internet", INTERNET_V4, INTERNET_V6)
        made.start(policy([], []))
        yield made


def asked(net: Network, receiver: str, version: int, sender: str = "internet") -> Any:
    """A connection to port 80: whether it passed, and what was counted."""
    return net.decided_by(partial(net.tcp, sender, receiver, 80, version))


@VERSIONS
def test_an_instance_is_under_both_groups(net: Network, version: int) -> None:
    """Of the scale set and of the subnet; its neighbours and the declared NIC under the latter."""
    net.reload(policy([ALLOW_80], [ALLOW_80]))
    for host in INSTANCES:
        both = [("set", "AllowHttp"), ("subnet", "AllowHttp")]
        assert asked(net, host, version) == (True, both), host
    for host in (*RESOURCES, "declared"):
        assert asked(net, host, version) == (True, [("subnet", "AllowHttp")]), host


@VERSIONS
def test_either_group_denies_an_instance(net: Network, version: int) -> None:
    """The subnet's is asked first inbound; the scale set's denies none but instances."""
    net.reload(policy([], [ALLOW_80]))
    for host in INSTANCES:
        both = [("set", IN), ("subnet", "AllowHttp")]
        assert asked(net, host, version) == (False, both), host
    for host in ("above", "declared"):
        assert asked(net, host, version) == (True, [("subnet", "AllowHttp")]), host
    net.reload(policy([ALLOW_80], []))
    for host in ("first", "below"):
        assert asked(net, host, version) == (False, [("subnet", IN)]), host


@VERSIONS
def test_an_instance_sends(net: Network, version: int) -> None:
    """Outbound the scale set's group is asked first."""
    deny = rule("DenyHttpOut", 100, "Outbound", "Deny", "Tcp", "80")
    net.reload(policy([deny], []))
    assert asked(net, "internet", version, "first") == (False, [("set", "DenyHttpOut")])
    for host in ("below", "declared"):
        allowed = (True, [("subnet", "AllowInternetOutBound")])
        assert asked(net, "internet", version, host) == allowed, host
    net.reload(policy([], [deny]))
    both = [("set", "AllowInternetOutBound"), ("subnet", "DenyHttpOut")]
    assert asked(net, "internet", version, "last") == (False, both)


@VERSIONS
def test_instances_are_members_of_an_application_security_group(net: Network, version: int) -> None:
    """As destination: whatever address of the prefixes, but for the NIC that is not a member."""
    to_web = rule(
        "AllowToWeb",
        100,
        "Inbound",
        "Allow",
        "Tcp",
        "80",
        destinationApplicationSecurityGroups=["Web"],
    )
    net.reload(policy([ALLOW_80], [to_web], member=True))
    for host in INSTANCES:
        both = [("set", "AllowHttp"), ("subnet", "AllowToWeb")]
        assert asked(net, host, version) == (True, both), host
    for host in (*RESOURCES, "declared"):
        assert asked(net, host, version) == (False, [("subnet", IN)]), host
    # Without the membership the group is empty and matches nothing.
    net.reload(policy([ALLOW_80], [to_web]))
    assert asked(net, "first", version) == (False, [("subnet", IN)])


@VERSIONS
def test_instances_as_source(net: Network, version: int) -> None:
    """A rule lets only members out; outsiders and the declared NIC are denied."""
    rules = [
        rule(
            "AllowFromWeb",
            100,
            "Outbound",
            "Allow",
            "Tcp",
            "80",
            sourceApplicationSecurityGroups=["Web"],
        ),
        rule("DenyOut", 200, "Outbound", "Deny"),
    ]
    net.reload(policy([], rules, member=True))
    both = [("set", "AllowVnetOutBound"), ("subnet", "AllowFromWeb")]
    for host in INSTANCES:
        assert asked(net, "peer", version, host) == (True, both), host
    for host in ("above", "declared"):
        assert asked(net, "peer", version, host) == (False, [("subnet", "DenyOut")]), host


def test_a_resource_becomes_an_instance_at_a_reload(net: Network) -> None:
    """The prefixes grow over a neighbour: its new flows are judged by the scale set's group."""
    before, after = policy([], [ALLOW_80]), policy([], [ALLOW_80])
    after["scaleSets"][0]["privateIPAddressPrefixes"] = [*PREFIXES, "10.0.1.64/27"]
    net.reload(before)
    assert asked(net, "above", 4) == (True, [("subnet", "AllowHttp")])
    net.reload(after)
    assert asked(net, "above", 4) == (False, [("set", IN), ("subnet", "AllowHttp")])
