"""The documented examples of Azure's evaluation, with real packets in both families.

Source: Azure, How network security groups filter network traffic (VM1 to VM4), and
Application security groups (AsgWeb, AsgLogic, AsgDb). Numbers are those of the project's
table of test vectors.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
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

ALLOW_80 = rule("AllowHttp", 100, "Inbound", "Allow", "Tcp", "80", source="Internet")
DENY_80_OUT = rule("DenyHttpOut", 100, "Outbound", "Deny", "Tcp", "80")
DENY_ALL = [rule("DenyIn", 100, "Inbound", "Deny"), rule("DenyOut", 100, "Outbound", "Deny")]


def how_document(nsg1: list[Rule], nsg2: list[Rule]) -> dict[str, Any]:
    """VM1: both groups; VM2: subnet only; VM3: NIC only; VM4: none."""
    return document(
        [subnet("one", 1, "NSG1"), subnet("two", 2)],
        [
            nic("vm1", "one", 4, 1, networkSecurityGroup="NSG2"),
            nic("vm2", "one", 5, 1),
            nic("vm3", "two", 4, 2, networkSecurityGroup="NSG2"),
            nic("vm4", "two", 5, 2),
        ],
        {"NSG1": nsg1, "NSG2": nsg2},
    )


@pytest.fixture(scope="module")
def how(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """The four machines of Azure's page and one in the internet."""
    with network(tmp_path_factory.mktemp("how")) as net:
        net.host("vm1", *nic_addresses(1, 4))
        net.host("vm2", *nic_addresses(1, 5))
        net.host("vm3", *nic_addresses(2, 4))
        net.host("vm4", *nic_addresses(2, 5))
        net.host("internet", INTERNET_V4, INTERNET_V6)
        net.start(how_document([], []))
        yield net


def decided_by(net: Network, probe: Any) -> tuple[bool, list[tuple[str, str]]]:
    """The outcome of a probe and the (group, rule) whose counters it moved, in no order."""
    before = dict(net.hits())
    outcome = probe()
    moved = [
        (key[0], key[2])
        for key, count in net.hits().items()
        for _ in range(count - before.get(key, 0))
    ]
    return outcome, sorted(moved)


IN, OUT = "DenyAllInBound", "DenyAllOutBound"


@pytest.mark.parametrize(
    ("vector", "nsg1", "nsg2", "source", "destination", "port", "passes", "hits"),
    [
        (7, [ALLOW_80], [], "internet", "vm1", 80, False, [("NSG1", "AllowHttp"), ("NSG2", IN)]),
        (8, [], [ALLOW_80], "internet", "vm1", 80, False, [("NSG1", IN)]),
        (
            9,
            [ALLOW_80],
            [ALLOW_80],
            "internet",
            "vm1",
            80,
            True,
            [("NSG1", "AllowHttp"), ("NSG2", "AllowHttp")],
        ),
        (10, [ALLOW_80], [], "internet", "vm2", 80, True, [("NSG1", "AllowHttp")]),
        (11, [], [ALLOW_80], "internet", "vm3", 80, True, [("NSG2", "AllowHttp")]),
        (12, [], [], "internet", "vm4", 81, True, []),
        (12, [], [], "vm4", "internet", 81, True, []),
        (
            13,
            [],
            [],
            "vm1",
            "internet",
            80,
            True,
            [("NSG1", "AllowInternetOutBound"), ("NSG2", "AllowInternetOutBound")],
        ),
        (14, [], [DENY_80_OUT], "vm1", "internet", 80, False, [("NSG2", "DenyHttpOut")]),
        (15, DENY_ALL, [], "vm2", "vm1", 80, False, [("NSG1", "DenyOut")]),
        (
            16,
            [],
            [],
            "vm2",
            "vm1",
            80,
            True,
            [
                ("NSG1", "AllowVnetInBound"),
                ("NSG1", "AllowVnetOutBound"),
                ("NSG2", "AllowVnetInBound"),
            ],
        ),
        (
            33,
            [rule("Allow-HTTP-All", 100, "Inbound", "Allow", "Tcp", "80")],
            [rule("Allow-HTTP-All", 100, "Inbound", "Allow", "Tcp", "80")],
            "internet",
            "vm1",
            80,
            True,
            [("NSG1", "Allow-HTTP-All"), ("NSG2", "Allow-HTTP-All")],
        ),
    ],
)
def test_how_groups_filter(
    how: Network,
    vector: int,
    nsg1: list[Rule],
    nsg2: list[Rule],
    source: str,
    destination: str,
    port: int,
    passes: bool,
    hits: list[tuple[str, str]],
) -> None:
    """Vectors 7 to 16 and 33: verdict on the wire, and exactly the consulted tables counted."""
    how.reload(how_document(nsg1, nsg2))
    for version in (4, 6):
        outcome = decided_by(how, lambda v=version: how.tcp(source, destination, port, v))
        assert outcome == (passes, sorted(hits)), f"vector {vector}, IPv{version}"


def test_all_protocols_of_a_group_without_rules(how: Network) -> None:
    """Defaults only: the virtual network speaks with itself, whatever the protocol."""
    how.reload(how_document([], []))
    for version in (4, 6):
        for source, destination in (("vm2", "vm1"), ("vm3", "vm1"), ("vm1", "vm4")):
            assert how.udp(source, destination, 53, version)
            assert how.ping(source, destination, version)
        assert not how.udp("internet", "vm1", 53, version)
        assert not how.ping("internet", "vm1", version)


def test_icmp_rules_match_the_icmp_of_each_family(how: Network) -> None:
    """Icmp is ICMP on IPv4 and ICMPv6 on IPv6; nothing else passes by such a rule."""
    icmp = rule("AllowPing", 100, "Inbound", "Allow", "Icmp")
    how.reload(how_document([icmp], [icmp]))
    for version in (4, 6):
        assert how.ping("internet", "vm1", version)
        assert not how.udp("internet", "vm1", 53, version)


def asg_document() -> dict[str, Any]:
    """The example of Azure's page on application security groups."""
    rules = [
        rule(
            "Allow-HTTP-Inbound-Internet",
            100,
            "Inbound",
            "Allow",
            "Tcp",
            "80",
            source="Internet",
            destinationApplicationSecurityGroups=["AsgWeb"],
        ),
        rule(
            "Allow-Database-BusinessLogic",
            110,
            "Inbound",
            "Allow",
            "Tcp",
            "1433",
            sourceApplicationSecurityGroups=["AsgLogic"],
            destinationApplicationSecurityGroups=["AsgDb"],
        ),
        rule(
            "Deny-Database-All",
            120,
            "Inbound",
            "Deny",
            "*",
            "1433",
            destinationApplicationSecurityGroups=["AsgDb"],
        ),
    ]
    return document(
        [subnet("one", 1, "NSG")],
        [
            nic("vm1", "one", 4, 1, applicationSecurityGroups=["AsgWeb"]),
            nic("vm2", "one", 5, 1, applicationSecurityGroups=["AsgWeb"]),
            nic("vm3", "one", 6, 1, applicationSecurityGroups=["AsgLogic"]),
            nic("vm4", "one", 7, 1, applicationSecurityGroups=["AsgDb"]),
        ],
        {"NSG": rules},
        ["AsgWeb", "AsgLogic", "AsgDb"],
    )


@pytest.fixture(scope="module")
def asg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """NIC1 to NIC4 and the internet."""
    with network(tmp_path_factory.mktemp("asg")) as net:
        for number in range(1, 5):
            net.host(f"vm{number}", *nic_addresses(1, 3 + number))
        net.host("internet", INTERNET_V4, INTERNET_V6)
        net.start(asg_document())
        yield net


@pytest.mark.parametrize(
    ("vector", "source", "destination", "port", "passes", "deciding"),
    [
        (17, "internet", "vm1", 80, True, "Allow-HTTP-Inbound-Internet"),
        (18, "internet", "vm3", 80, False, "DenyAllInBound"),
        (19, "vm3", "vm4", 1433, True, "Allow-Database-BusinessLogic"),
        (20, "vm1", "vm4", 1433, False, "Deny-Database-All"),
        # 120 does not apply to a NIC that is not in AsgDb.
        (21, "vm1", "vm3", 1433, True, "AllowVnetInBound"),
    ],
)
def test_application_security_groups(
    asg: Network, vector: int, source: str, destination: str, port: int, passes: bool, deciding: str
) -> None:
    """Vectors 17 to 21."""
    expected = [("NSG", deciding)]
    if source != "internet":
        expected.append(("NSG", "AllowVnetOutBound"))
    for version in (4, 6):
        outcome = decided_by(asg, lambda v=version: asg.tcp(source, destination, port, v))
        assert outcome == (passes, sorted(expected)), f"vector {vector}, IPv{version}"


@pytest.mark.parametrize("version", [4, 6])
def test_a_rule_change_leaves_open_connections(how: Network, version: int) -> None:
    """Vector 26: the allow is removed; the open session goes on, a new one is refused."""
    ssh = rule("AllowSsh", 100, "Inbound", "Allow", "Tcp", "22")
    how.reload(how_document([ssh], [ssh]))
    server = how["vm1"].listen(22, version)
    client = how["internet"].bound(socket.SOCK_STREAM, 0, version)
    client.connect((how["vm1"].address(version), 22))
    session, _ = server.accept()
    how.reload(how_document([], []))
    for sender, receiver in ((client, session), (session, client)):
        sender.sendall(b"still here")
        receiver.settimeout(2)
        assert receiver.recv(100) == b"still here"
    server.close()
    assert not how.tcp("internet", "vm1", 22, version)
    session.close()
    client.close()


@pytest.mark.parametrize("version", [4, 6])
def test_replies_need_no_rule(how: Network, version: int) -> None:
    """Vectors 27 and 28: out is allowed and in is not, and the other way round."""
    closed = [rule("DenyIn", 200, "Inbound", "Deny"), rule("DenyOut", 200, "Outbound", "Deny")]
    out = [rule("AllowHttpOut", 100, "Outbound", "Allow", "Tcp", "80"), *closed]
    how.reload(how_document(out, out))
    assert how.tcp("vm1", "internet", 80, version)
    assert not how.tcp("internet", "vm1", 80, version)
    inward = [rule("AllowHttpIn", 100, "Inbound", "Allow", "Tcp", "80"), *closed]
    how.reload(how_document(inward, inward))
    assert how.tcp("internet", "vm1", 80, version)
    assert not how.tcp("vm1", "internet", 80, version)
