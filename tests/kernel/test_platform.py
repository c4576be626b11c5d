"""Azure's platform on the wire: its addresses, its tags, licensing and SMTP.

A host behind the gateway holds the platform's addresses. They are IPv4: the platform's one address
in IPv6, the load balancer's fe80::1234:5678:9abc, is link-local and crosses no gateway.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from scapy.layers.inet import UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

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
from tests.kernel.test_flows import arrives

HOST, METADATA, KEY_MANAGEMENT = "168.63.129.16", "169.254.169.254", "20.118.99.224"
# Neighbours of the platform's addresses, which are nobody's.
NEAR_HOST, NEAR_METADATA = "168.63.129.17", "169.254.169.253"
PREFIX = "platformRules"
BY_HOST = f"{PREFIX}/AllowHostOutBound"
BY_METADATA = f"{PREFIX}/AllowMetadataOutBound"
BY_KEY_MANAGEMENT = f"{PREFIX}/AllowKeyManagementOutBound"
BY_SMTP = f"{PREFIX}/DenySmtpOutBound"

DENY_OUT = rule("DenyOut", 100, "Outbound", "Deny")
DENY_DNS = rule("DenyDns", 4000, "Outbound", "Deny", destination="AzurePlatformDNS")
DENY_METADATA = rule("DenyImds", 4000, "Outbound", "Deny", destination="AzurePlatformIMDS")
DENY_KEY_MANAGEMENT = rule("DenyLkm", 4000, "Outbound", "Deny", destination="AzurePlatformLKM")
# One bound to its link, one known by its address, an instance, and a resource of the subnet.
SENDERS = ("bound", "free", "instance", "stray")
WITH_NIC_GROUP = ("bound", "free", "instance")

Probe = Callable[[Network, str], bool]


def udp(to: str, port: int) -> Probe:
    """One datagram to an address of the platform."""
    return lambda net, sender: net.udp(sender, "platform", port, to=to)


def tcp(to: str, port: int) -> Probe:
    """One connection to an address of the platform."""
    return lambda net, sender: net.tcp(sender, "platform", port, to=to)


def ping(to: str) -> Probe:
    """One echo request to an address of the platform."""
    return lambda net, sender: net.ping(sender, "platform", to=to)


def policy(of_nic: list[Rule], of_subnet: list[Rule], **sections: Any) -> dict[str, Any]:
    """The group "nic" at each NIC and the scale set, the group "subnet" at their subnet.

    A peer in another subnet and the "bare" NIC beside it are under no group.
    """
    made = document(
        [subnet("one", 1, "subnet"), subnet("two", 2)],
        [
            nic("bound", "one", 4, 1, networkSecurityGroup="nic"),
            nic("free", "one", 5, 1, networkSecurityGroup="nic", link=None),
            nic("peer", "two", 4, 2),
            nic("bare", "two", 5, 2),
        ],
        {"nic": of_nic, "subnet": of_subnet},
    )
    made["scaleSets"] = [
        {
            "name": "set",
            "subnet": "lab/one",
            "privateIPAddressPrefixes": ["10.0.1.32/27", "fd00:10:0:1::20/123"],
            "networkSecurityGroup": "nic",
        }
    ]
    return made | sections


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Senders of each kind, the platform, and the internet."""
    with network(tmp_path_factory.mktemp("platform")) as made:
        made.host("bound", *nic_addresses(1, 4))
        made.host("free", *nic_addresses(1, 5))
        made.host("instance", *nic_addresses(1, 40))
        made.host("stray", *nic_addresses(1, 77))
        made.host("peer", *nic_addresses(2, 4))
        made.host("bare", *nic_addresses(2, 5))
        addresses = (HOST, METADATA, KEY_MANAGEMENT, NEAR_HOST, NEAR_METADATA)
        made.host("platform", *addresses)
        made.host("internet", INTERNET_V4, INTERNET_V6)
        made.start(policy([], []))
        yield made


def groups_of(sender: str) -> tuple[str, ...]:
    """The groups that are asked about what a sender sends, in order."""
    return ("nic", "subnet") if sender in WITH_NIC_GROUP else ("subnet",)


def outcome(net: Network, sender: str, probe: Probe) -> tuple[bool, list[tuple[str, str]]]:
    """Whether the probe passed, and the (group, rule) that were counted for it."""
    return net.decided_by(lambda: probe(net, sender))


def exempted(sender: str, by: str) -> tuple[bool, list[tuple[str, str]]]:
    """It passes, each group that is asked answering by a rule of the platform."""
    return True, sorted((group, by) for group in groups_of(sender))


def denied_at_once(sender: str, by: str) -> tuple[bool, list[tuple[str, str]]]:
    """The first group that is asked denies it."""
    return False, [(groups_of(sender)[0], by)]


@pytest.mark.parametrize("sender", SENDERS)
def test_platform_traffic_is_exempt(net: Network, sender: str) -> None:
    """Vector 30: all outbound is denied; DNS, other ports, ICMP and IMDS pass all the same."""
    net.reload(policy([DENY_OUT], [DENY_OUT]))
    for probe, by in (
        (udp(HOST, 53), BY_HOST),
        (tcp(HOST, 53), BY_HOST),
        (tcp(HOST, 80), BY_HOST),
        (udp(HOST, 67), BY_HOST),
        (ping(HOST), BY_HOST),
        (tcp(METADATA, 80), BY_METADATA),
        (udp(METADATA, 53), BY_METADATA),
        (tcp(KEY_MANAGEMENT, 1688), BY_KEY_MANAGEMENT),
    ):
        assert outcome(net, sender, probe) == exempted(sender, by)


def test_addresses_and_ports_beside_the_platforms(net: Network) -> None:
    """They are judged by the rules."""
    net.reload(policy([DENY_OUT], [DENY_OUT]))
    for probe in (udp(NEAR_HOST, 53), tcp(NEAR_METADATA, 80), tcp(KEY_MANAGEMENT, 1687)):
        assert outcome(net, "free", probe) == denied_at_once("free", "DenyOut")


@pytest.mark.parametrize("sender", ["bound", "free", "stray"])
def test_a_platform_tag_denies(net: Network, sender: str) -> None:
    """Vector 31: DNS by AzurePlatformDNS, though of the lowest priority, and nothing else."""
    net.reload(policy([DENY_OUT, DENY_DNS], [DENY_OUT, DENY_DNS]))
    for probe in (udp(HOST, 53), tcp(HOST, 53)):
        assert outcome(net, sender, probe) == denied_at_once(sender, "DenyDns")
    for probe, by in (
        (tcp(HOST, 80), BY_HOST),
        (udp(HOST, 54), BY_HOST),
        (ping(HOST), BY_HOST),
        (udp(METADATA, 53), BY_METADATA),
    ):
        assert outcome(net, sender, probe) == exempted(sender, by)


def test_an_exemption_is_one_groups_answer(net: Network) -> None:
    """The NIC's group exempts DNS, and the subnet's is asked all the same."""
    net.reload(policy([DENY_OUT], [DENY_DNS]))
    for sender in WITH_NIC_GROUP:
        hits = sorted([("nic", BY_HOST), ("subnet", "DenyDns")])
        assert outcome(net, sender, udp(HOST, 53)) == (False, hits)
    assert outcome(net, "stray", udp(HOST, 53)) == (False, [("subnet", "DenyDns")])


@pytest.mark.parametrize("sender", ["bound", "free"])
def test_metadata_and_licensing_have_tags_of_their_own(net: Network, sender: str) -> None:
    """Each denies its own service; an ordinary Allow of lower number does not help."""
    allow = rule("AllowAll", 100, "Outbound", "Allow")
    net.reload(policy([allow, DENY_METADATA], []))
    assert outcome(net, sender, tcp(METADATA, 80)) == denied_at_once(sender, "DenyImds")
    assert outcome(net, sender, ping(METADATA)) == denied_at_once(sender, "DenyImds")
    assert outcome(net, sender, udp(HOST, 53)) == exempted(sender, BY_HOST)
    net.reload(policy([allow, DENY_KEY_MANAGEMENT], []))
    probe = tcp(KEY_MANAGEMENT, 1688)
    assert outcome(net, sender, probe) == denied_at_once(sender, "DenyLkm")
    assert outcome(net, sender, tcp(METADATA, 80)) == exempted(sender, BY_METADATA)


@pytest.mark.parametrize("sender", ["bound", "free", "stray"])
def test_licensing_is_not_exempt_beside_a_default_route(net: Network, sender: str) -> None:
    """TCP 1688 alone, and only while the network has no route of its own for 0.0.0.0/0."""
    made = policy([DENY_OUT], [DENY_OUT])
    net.reload(made)
    probe = tcp(KEY_MANAGEMENT, 1688)
    assert outcome(net, sender, probe) == exempted(sender, BY_KEY_MANAGEMENT)
    assert outcome(net, sender, udp(KEY_MANAGEMENT, 1688)) == denied_at_once(sender, "DenyOut")
    made["virtualNetworks"][0]["routes"] = ["0.0.0.0/0"]
    net.reload(made)
    assert outcome(net, sender, probe) == denied_at_once(sender, "DenyOut")
    assert outcome(net, sender, udp(HOST, 53)) == exempted(sender, BY_HOST)


def test_a_probe_is_judged_by_the_ordinary_rules(net: Network) -> None:
    """Vector 32: inbound from the host, VirtualNetwork holds it; a user's rule can deny it."""

    def probed(receiver: str) -> tuple[bool, list[tuple[str, str]]]:
        return net.decided_by(lambda: net.tcp("platform", receiver, 80))

    def by(name: str, receiver: str) -> list[tuple[str, str]]:
        return sorted((group, name) for group in groups_of(receiver))

    net.reload(policy([DENY_OUT], [DENY_OUT]))
    for receiver in SENDERS:
        assert probed(receiver) == (True, by("AllowVnetInBound", receiver))
    deny = rule("DenyProbes", 100, "Inbound", "Deny", source="AzureLoadBalancer")
    net.reload(policy([], [deny]))
    for receiver in ("free", "stray"):
        assert probed(receiver) == (False, [("subnet", "DenyProbes")])
    net.reload(policy([deny], []))
    both = [("nic", "DenyProbes"), ("subnet", "AllowVnetInBound")]
    assert probed("bound") == (False, both)
    assert probed("stray") == (True, by("AllowVnetInBound", "stray"))
    # Where the host is nowhere, the load balancer still is.
    net.reload(policy([], [], platformAddresses={"host": []}))
    assert probed("bound") == (True, by("AllowAzureLoadBalancerInBound", "bound"))


def test_without_a_platform_its_addresses_are_like_others(net: Network) -> None:
    """Emptied lists: nothing is exempt, and nobody probes."""
    emptied: dict[str, list[str]] = {
        "host": [],
        "metadata": [],
        "keyManagement": [],
        "loadBalancer": [],
    }
    net.reload(policy([DENY_OUT], [DENY_OUT], platformAddresses=emptied))
    for probe in (udp(HOST, 53), tcp(METADATA, 80), tcp(KEY_MANAGEMENT, 1688)):
        assert outcome(net, "bound", probe) == denied_at_once("bound", "DenyOut")
    for sender in ("free", "stray"):
        assert outcome(net, sender, udp(HOST, 53)) == denied_at_once(sender, "DenyOut")
    inward = net.decided_by(lambda: net.tcp("platform", "bound", 80))
    assert inward == (False, [("subnet", "DenyAllInBound")])


def test_other_addresses_can_be_the_platforms(net: Network) -> None:
    """A resolver of one's own in the host's place: exempt, and Azure's no longer is."""
    addresses = {"host": [NEAR_HOST], "metadata": []}
    net.reload(policy([DENY_OUT], [DENY_OUT], platformAddresses=addresses))
    assert outcome(net, "bound", udp(NEAR_HOST, 53)) == exempted("bound", BY_HOST)
    assert outcome(net, "bound", udp(HOST, 53)) == denied_at_once("bound", "DenyOut")


def test_the_load_balancers_link_local_address_crosses_no_gateway(net: Network) -> None:
    """The kernel forwards nothing from it, so no rule is asked: only its IPv4 probes count."""
    net.reload(policy([], []))
    before = net.status()["packets"]["queued"]
    header = IPv6(src="fe80::1234:5678:9abc", dst=net["bound"].address(6))
    packet = header / UDP(sport=9, dport=80) / Raw(b"MARKER-LINK-LOCAL")
    assert not arrives(net, "bound", b"MARKER-LINK-LOCAL", [bytes(packet)], "platform")
    assert net.status()["packets"]["queued"] == before


# SMTP

ALLOW_OUT = rule("AllowOut", 100, "Outbound", "Allow")
CREATED = {"bound": "2019-05-01", "free": "2019-04-30"}


def smtp_policy(subscription: dict[str, Any] | None) -> dict[str, Any]:
    """Groups that allow everything, under a subscription; "instance" is created, others are not."""
    made = policy([ALLOW_OUT], [ALLOW_OUT])
    for interface in made["networkInterfaces"]:
        if interface["name"] in CREATED:
            interface["created"] = CREATED[interface["name"]]
    made["scaleSets"][0]["created"] = "2020-01-01"
    return made | ({"subscription": subscription} if subscription else {})


def subscription(kind: str, created: str = "2018-01-31", **fields: str) -> dict[str, Any]:
    """The section of that name."""
    return {"kind": kind, "created": created, **fields}


def mailed(
    net: Network, sender: str, receiver: str = "internet", port: int = 25, version: int = 4
) -> tuple[bool, list[tuple[str, str]]]:
    """A connection as SMTP would make it."""
    return net.decided_by(lambda: net.tcp(sender, receiver, port, version))


def passed(sender: str) -> tuple[bool, list[tuple[str, str]]]:
    """It passes, by the groups' own rules and counted by nothing else."""
    groups = () if sender == "bare" else groups_of(sender)
    return True, sorted((group, "AllowOut") for group in groups)


BLOCKED = (False, [("", BY_SMTP)])


@pytest.mark.parametrize("version", [4, 6])
def test_smtp_is_denied_ahead_of_the_groups(net: Network, version: int) -> None:
    """Of any sender, under any group or none; submission, and mail inside the network, pass."""
    net.reload(smtp_policy(subscription("PayAsYouGo")))
    for sender in (*SENDERS, "bare"):
        assert mailed(net, sender, version=version) == BLOCKED, sender
        assert mailed(net, sender, port=587, version=version) == passed(sender), sender
    for sender in ("bound", "bare"):
        assert mailed(net, sender, "peer", version=version) == passed(sender)
    assert net.decided_by(lambda: net.udp("bound", "internet", 25, version)) == passed("bound")
    # Inbound SMTP is no concern of the subscription's.
    inward = mailed(net, "internet", "bare", version=version)
    assert inward == (True, [])


def test_smtp_is_reported_without_a_group(net: Network) -> None:
    """null in the status, an empty label in the metrics."""
    net.reload(smtp_policy(subscription("PayAsYouGo")))
    assert mailed(net, "bound") == BLOCKED
    status = json.loads(net.nsgd("status", "-o", "json").stdout)
    (row,) = [row for row in status["ruleHits"] if row["rule"] == BY_SMTP]
    hits = row.pop("hits")
    assert row == {
        "networkSecurityGroup": None,
        "direction": "Outbound",
        "rule": BY_SMTP,
        "access": "Deny",
    }
    assert f'nsg="",rule="{BY_SMTP}"}} {float(hits)}' in metrics(net)
    assert hits == net.hits()["", "Outbound", BY_SMTP] > 0


def metrics(net: Network) -> str:
    """What Prometheus would scrape."""
    line = next(text for text in net.log.read_text().splitlines() if "metrics at http" in text)
    address = json.dumps(line.partition("metrics at ")[2])
    code = f"import urllib.request as r; print(r.urlopen({address}).read().decode())"
    return net.gateway.run(["python3", "-c", code]).stdout


DENIED_KINDS = (
    "PayAsYouGo",
    "MSDN",
    "AzurePass",
    "AzureInOpen",
    "Education",
    "BizSpark",
    "FreeTrial",
    "CloudServiceProvider",
    "EnterpriseDevTest",
)


@pytest.mark.parametrize("kind", DENIED_KINDS)
def test_offers_that_may_not_send_mail(net: Network, kind: str) -> None:
    """Since the day on which the rule began; one of the day before is not restricted."""
    net.reload(smtp_policy(subscription(kind, "2017-11-15")))
    assert mailed(net, "bound") == BLOCKED
    net.reload(smtp_policy(subscription(kind, "2017-11-14")))
    assert mailed(net, "bound") == passed("bound")


def test_offers_that_may(net: Network) -> None:
    """An enterprise agreement, no subscription at all, and Dev/Test by an exemption.

    That holds for what was created on its day or later, and is not known of an undeclared resource.
    """
    for made in (None, subscription("EnterpriseAgreement")):
        net.reload(smtp_policy(made))
        for sender in ("bound", "stray"):
            assert mailed(net, sender) == passed(sender)
    net.reload(smtp_policy(subscription("EnterpriseDevTest", smtpExempted="2019-05-01")))
    for sender in ("bound", "instance"):
        assert mailed(net, sender) == passed(sender)
    for sender in ("free", "stray", "bare"):
        assert mailed(net, sender) == BLOCKED


def test_a_group_still_denies_mail_where_the_subscription_may_send_it(net: Network) -> None:
    """The groups decide as usual, and the rule of the platform is not counted."""
    deny = rule("DenyMail", 100, "Outbound", "Deny", "Tcp", "25")
    made = policy([deny], [], subscription=subscription("EnterpriseAgreement"))
    net.reload(made)
    assert mailed(net, "bound") == (False, [("nic", "DenyMail")])
