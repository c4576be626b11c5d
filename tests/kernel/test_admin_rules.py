"""Security admin rules on the wire: ahead of the groups, in both directions, over reloads."""

from __future__ import annotations

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
from tests.kernel.test_lifecycle import Session

Outcome = tuple[bool, list[tuple[str, str]]]
OPEN = [rule(f"All{way}", 100, way, "Allow") for way in ("Inbound", "Outbound")]
CLOSED = [rule(f"None{way}", 100, way, "Deny") for way in ("Inbound", "Outbound")]


def admin(
    name: str, priority: int, direction: str, access: str, *ports: str, protocol: str = "Any"
) -> dict[str, Any]:
    """A rule from and to anywhere."""
    return {
        "name": name,
        "priority": priority,
        "direction": direction,
        "access": access,
        "protocol": protocol,
        "sources": ["*"],
        "sourcePortRanges": ["*"],
        "destinations": ["*"],
        "destinationPortRanges": list(ports) or ["*"],
    }


def policy(groups: list[Rule], *rules: dict[str, Any], **sections: Any) -> dict[str, Any]:
    """Two servers under a group, one that is bare, and one in a bastion's subnet."""
    made = document(
        [subnet("one", 1), subnet("AzureBastionSubnet", 2) | {"services": ["Bastion"]}],
        [
            nic("first", "one", 4, 1, networkSecurityGroup="nsg"),
            nic("second", "one", 5, 1, networkSecurityGroup="nsg"),
            nic("bare", "one", 6, 1),
            nic("exempt", "AzureBastionSubnet", 4, 2),
        ],
        {"nsg": groups},
    )
    collection = {"name": "all", "appliesTo": ["lab"], "rules": list(rules)}
    configurations = [{"name": "baseline", "ruleCollections": [collection]}] if rules else []
    return made | {"securityAdminConfigurations": configurations} | sections


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """The servers and the internet."""
    with network(tmp_path_factory.mktemp("admin")) as made:
        for number, name in enumerate(("first", "second", "bare"), 4):
            made.host(name, *nic_addresses(1, number))
        made.host("exempt", *nic_addresses(2, 4))
        made.host("internet", INTERNET_V4, INTERNET_V6)
        made.start(policy(OPEN))
        yield made


def reached(net: Network, source: str, destination: str, port: int, version: int = 4) -> Outcome:
    """Whether a connection comes about, and the (group, rule) that counted it."""
    return net.decided_by(lambda: net.tcp(source, destination, port, version))


@pytest.mark.parametrize("version", [4, 6])
def test_deny_and_always_allow(net: Network, version: int) -> None:
    """Vectors 24 and 25: whatever the groups say, and where there is none."""
    rules = (
        admin("Never", 1, "Inbound", "Deny", "22"),
        admin("Always", 2, "Inbound", "AlwaysAllow", "22", "443"),
    )
    net.reload(policy(OPEN, *rules))
    denied = (False, [("", "securityAdminRules/Never")])
    for server in ("first", "bare"):
        assert reached(net, "internet", server, 22, version) == denied
    assert reached(net, "internet", "first", 80, version) == (True, [("nsg", "AllInbound")])
    assert reached(net, "internet", "exempt", 22, version) == (True, [])
    net.reload(policy(CLOSED, *rules))
    always = (True, [("", "securityAdminRules/Always")])
    for server in ("first", "bare"):
        assert reached(net, "internet", server, 443, version) == always
    assert reached(net, "internet", "first", 80, version) == (False, [("nsg", "NoneInbound")])


def test_allow_goes_on(net: Network) -> None:
    """Vectors 22 and 23: the groups decide; without one the rule itself is what is left."""
    allow = admin("Go", 1, "Inbound", "Allow")
    net.reload(policy(CLOSED, allow))
    assert reached(net, "internet", "first", 80) == (
        False,
        [("", "securityAdminRules/Go"), ("nsg", "NoneInbound")],
    )
    assert reached(net, "internet", "bare", 80) == (True, [("", "securityAdminRules/Go")])
    net.reload(policy(OPEN, allow))
    assert reached(net, "internet", "first", 80)[0]


def test_always_allow_is_for_one_side(net: Network) -> None:
    """What leaves unasked is judged where it arrives; replies need no rule."""
    outbound = admin("AlwaysOut", 1, "Outbound", "AlwaysAllow")
    net.reload(policy(CLOSED, outbound))
    out = ("", "securityAdminRules/AlwaysOut")
    assert reached(net, "first", "second", 80) == (False, [out, ("nsg", "NoneInbound")])
    assert reached(net, "first", "internet", 80) == (True, [out])
    net.reload(policy(CLOSED, outbound, admin("AlwaysIn", 1, "Inbound", "AlwaysAllow")))
    assert reached(net, "first", "second", 80) == (
        True,
        [("", "securityAdminRules/AlwaysIn"), out],
    )


def test_smtp_stays_the_platforms(net: Network) -> None:
    """An administrator cannot allow it, and is not asked."""
    subscription = {"kind": "PayAsYouGo", "created": "2018-01-31"}
    always = admin("AlwaysOut", 1, "Outbound", "AlwaysAllow")
    net.reload(policy(OPEN, always, subscription=subscription))
    assert reached(net, "bare", "internet", 25) == (
        False,
        [("", "platformRules/DenySmtpOutBound")],
    )
    assert reached(net, "bare", "internet", 26)[0]


def test_protocols_without_ports(net: Network) -> None:
    """A rule for Icmp denies what a rule with ports says nothing of."""
    net.reload(policy(OPEN, admin("NoIcmp", 1, "Inbound", "Deny", protocol="Icmp")))
    for version in (4, 6):
        assert not net.ping("internet", "first", version)
        assert net.ping("internet", "exempt", version)
    net.reload(policy(OPEN, admin("NoWeb", 1, "Inbound", "Deny", "80")))
    assert net.ping("internet", "first")


def test_open_flows_outlive_a_change(net: Network) -> None:
    """A rule that comes denies new flows; open ones are judged again only on request."""
    net.reload(policy(OPEN))
    session = Session(net, "internet", "first", 80)
    net.reload(policy(OPEN, admin("Never", 1, "Inbound", "Deny", "80")))
    assert session.works()
    assert not net.tcp("internet", "first", 80)
    answer = net.nsgd("reload", "--reevaluate")
    assert answer.returncode == 0, answer.stderr
    with pytest.raises(TimeoutError):
        session.works()
    session.close()
    # And the other way: what an AlwaysAllow let in stays without it.
    net.reload(policy(CLOSED, admin("Always", 1, "Inbound", "AlwaysAllow", "80")))
    session = Session(net, "internet", "first", 80)
    net.reload(policy(CLOSED))
    assert session.works()
    assert not net.tcp("internet", "first", 80)
    session.close()


def test_audit_and_status(net: Network) -> None:
    """Named without a group in the status and in the log; audit mode lets it pass."""
    net.reload(policy(OPEN, admin("Never", 1, "Inbound", "Deny", "80"), daemon={"mode": "audit"}))
    assert reached(net, "internet", "bare", 80) == (True, [("", "securityAdminRules/Never")])
    rows = [r for r in net.status()["ruleHits"] if r["rule"] == "securityAdminRules/Never"]
    assert {(r["networkSecurityGroup"], r["direction"], r["access"]) for r in rows} == {
        (None, "Inbound", "Deny")
    }
    said = "by Inbound securityAdminRules/Never"
    net.wait(lambda: f"10.0.1.6:80 {said}" in net.log.read_text(), "not logged")
    answer = net.nsgd(
        "ip-flow-verify", "--running", "--direction", "Inbound", "--protocol", "TCP",
        "--local", "10.0.1.6:80", "--remote", f"{INTERNET_V4}:*",
    )  # fmt: skip
    assert answer.stdout.startswith("Deny by securityAdminRules/Never\n"), answer.stderr
