"""The dialects 2017 and classic on the wire: other protocols, probes, mail, cloud services."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE
from scapy.packet import Raw

from tests.kernel.documents import document, nic, nic_addresses, rule, subnet
from tests.kernel.network import Network, network
from tests.kernel.test_flows import arrives

HOST, METADATA = "168.63.129.16", "169.254.169.254"
UNSUPPORTED = "platformRules/unsupportedProtocol"
ALLOW_ALL = [rule("In", 100, "Inbound", "Allow"), rule("Out", 100, "Outbound", "Allow")]
BLOCKED = {"kind": "BizSpark", "created": "2018-01-31"}
VERSIONS = pytest.mark.parametrize("version", [4, 6])


def of_2017(rules: list[dict[str, Any]], dialect: str = "2017", **sections: Any) -> dict[str, Any]:
    """The NIC "one" under a group, "two" under none."""
    return {
        "dialect": dialect,
        **document(
            [subnet("s", 1), subnet("t", 2)],
            [nic("one", "s", 4, 1, networkSecurityGroup="nsg"), nic("two", "t", 4, 2)],
            {"nsg": rules},
        ),
        **sections,
    }


def of_classic(in_service: list[dict[str, Any]]) -> dict[str, Any]:
    """The same machines; "one" has its group by a cloud service, "two" is an instance in it."""
    made = of_2017(in_service, "classic")
    one, two = made.pop("networkInterfaces")
    del one["networkSecurityGroup"], made["applicationSecurityGroups"]
    service = {"name": "shop", "networkSecurityGroup": "nsg", "virtualMachines": ["one"]}
    made["virtualMachines"] = [one]
    made["cloudServices"] = [{**service, "roleInstances": [two]}]
    return made


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Two machines and the platform."""
    with network(tmp_path_factory.mktemp("dialect")) as made:
        made.host("one", *nic_addresses(1, 4))
        made.host("two", *nic_addresses(2, 4))
        made.host("platform", HOST, METADATA)
        made.start(of_2017([]))
        yield made


def gre(net: Network, sender: str, receiver: str, version: int) -> bool:
    """Whether a GRE packet arrives."""
    source, destination = net[sender].address(version), net[receiver].address(version)
    outer = (IP if version == 4 else IPv6)(src=source, dst=destination)
    inner = IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=1, dport=2) / Raw(b"MARKER-IN-GRE")
    return arrives(net, receiver, b"MARKER-IN-GRE", [bytes(outer / GRE() / inner)], sender)


@VERSIONS
def test_other_protocols(net: Network, version: int) -> None:
    """Denied and counted by their reason in both directions; today an open group lets them pass."""
    net.reload(of_2017(ALLOW_ALL))
    for sender, receiver in (("one", "two"), ("two", "one")):
        before = net.denied("unsupportedProtocol")
        found = net.decided_by(partial(gre, net, sender, receiver, version))
        assert found == (False, [("nsg", UNSUPPORTED)])
        assert net.denied("unsupportedProtocol") == before + 1
        assert net.ping(sender, receiver, version)
    net.reload(of_2017(ALLOW_ALL, "now"))
    # An open group in the default dialect: the flow is new, for nothing of it was kept.
    assert net.decided_by(lambda: gre(net, "one", "two", version)) == (True, [("nsg", "Out")])


def test_the_platform_is_judged_by_the_rules(net: Network) -> None:
    """Vectors 30 and 32, their 2017 halves."""
    net.reload(of_2017([rule("DenyOut", 100, "Outbound", "Deny")]))
    for probe in (
        lambda: net.udp("one", "platform", 53, to=HOST),
        lambda: net.tcp("one", "platform", 80, to=METADATA),
    ):
        assert net.decided_by(probe) == (False, [("nsg", "DenyOut")])
    probed = net.decided_by(lambda: net.tcp("platform", "one", 80))
    assert probed == (True, [("nsg", "AllowAzureLoadBalancerInBound")])
    net.reload(of_2017([]))
    asked = net.decided_by(lambda: net.udp("one", "platform", 53, to=HOST))
    assert asked == (True, [("nsg", "AllowInternetOutBound")])
    net.reload(of_2017([rule("NoProbes", 100, "Inbound", "Deny", source="AzureLoadBalancer")]))
    assert net.decided_by(lambda: net.tcp("platform", "one", 80)) == (False, [("nsg", "NoProbes")])


@VERSIONS
def test_mail_is_blocked_to_every_destination(net: Network, version: int) -> None:
    """Inside the network too; today only to Internet."""
    net.reload(of_2017(ALLOW_ALL, subscription=BLOCKED))
    blocked = (False, [("", "platformRules/DenySmtpOutBound")])
    assert net.decided_by(lambda: net.tcp("two", "one", 25, version)) == blocked
    net.reload(of_2017(ALLOW_ALL, "now", subscription=BLOCKED))
    assert net.decided_by(lambda: net.tcp("two", "one", 25, version)) == (True, [("nsg", "In")])


@VERSIONS
def test_a_cloud_service(net: Network, version: int) -> None:
    """Its group judges its machines and its role instances, in their classic tags."""
    deny = rule("Deny", 100, "Inbound", "Deny", "Tcp", "80", source="VIRTUAL_NETWORK")
    net.reload(of_classic([deny]))
    for sender, receiver in (("one", "two"), ("two", "one")):
        found = net.decided_by(partial(net.tcp, sender, receiver, 80, version))
        assert found == (False, sorted([("nsg", "AllowVnetOutBound"), ("nsg", "Deny")]))
        assert net.tcp(sender, receiver, 81, version)
