"""What the dialects 2017 and classic mean: protocols, tags, the platform, SMTP."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from nsgd.model.decision import Decision, Reason, TableDecision
from nsgd.model.dialect import CLASSIC, DIALECT_2017, NOW, Dialect
from nsgd.model.network import (
    NetworkModel,
    NetworkSecurityGroup,
    Peering,
    ServiceTagPrefixes,
    VirtualNetwork,
)
from nsgd.model.packet import AH, ESP, ICMP, ICMPV6, TCP, UDP, PacketHeader
from nsgd.model.platform import PlatformAddresses, Subscription, SubscriptionKind
from nsgd.model.rule import ServiceTag
from nsgd.policy.compile import compile_policy
from nsgd.policy.effective import NetworkResolver, effective_security_rules
from nsgd.policy.evaluate import decide
from nsgd.policy.platform_notes import platform_notes
from nsgd.policy.service_tags import resolve_tags
from nsgd.policy.smtp import is_smtp_blocked
from tests.models import addresses
from tests.policy.builders import (
    ALLOW,
    DENY,
    INBOUND,
    OUTBOUND,
    address_set,
    echo,
    group,
    nic,
    packet,
    prefixes,
    rule,
    subnet,
)

GRE, SCTP = 47, 132
VM, VM6, PEER, INTERNET = "10.0.0.4", "fd00:1::4", "10.0.0.9", "203.0.113.7"
HOST, METADATA, KEYS = "168.63.129.16", "169.254.169.254", "20.118.99.224"
UNSUPPORTED = "platformRules/unsupportedProtocol"
OLD = [DIALECT_2017, CLASSIC]
OLD_NAMES = ["2017", "classic"]
old_dialects = pytest.mark.parametrize("dialect", OLD, ids=OLD_NAMES)


def model_of(
    dialect: Dialect,
    nic_group: NetworkSecurityGroup | None,
    subnet_group: NetworkSecurityGroup | None = None,
    subscription: Subscription | None = None,
) -> NetworkModel:
    """A network with a peer, an on-premises prefix and a route; the NIC vm, and newer ones."""
    name = nic_group.name if nic_group else None
    of_subnet = subnet_group.name if subnet_group else None
    network = VirtualNetwork(
        "vnet",
        prefixes("10.0.0.0/16", "fd00:1::/48"),
        (subnet("s", "10.0.0.0/24,fd00:1::/64", of_subnet),),
        (Peering("far"),),
        on_premises=prefixes("192.168.0.0/16"),
        routes=prefixes("172.20.0.0/16"),
    )
    far = VirtualNetwork("far", prefixes("10.9.0.0/16"), (), (Peering("vnet"),))
    return NetworkModel(
        (network, far),
        (
            nic("vm", f"{VM},{VM6}", "s", name),
            nic("new", "10.0.0.5", "s", name, created="2019-05-01"),
            nic("old", "10.0.0.6", "s", name, created="2019-04-30"),
        ),
        tuple(each for each in (nic_group, subnet_group) if each),
        subscription=subscription,
        dialect=dialect,
    )


def run(model: NetworkModel, first: PacketHeader) -> Decision:
    """The decision on a first packet."""
    return decide(compile_policy(model), first, None, None)


def named(decision: Decision) -> tuple[str, str]:
    """Access and reported rule."""
    assert decision.access is not None
    return decision.access.value, decision.rule or ""


# Protocols

ALLOW_ALL = group("open", rule("in", 4096, INBOUND, ALLOW), rule("out", 4096, OUTBOUND, ALLOW))


@old_dialects
@pytest.mark.parametrize(
    ("source", "protocol", "is_supported"),
    [
        (PEER, TCP, True),
        (PEER, UDP, True),
        (PEER, ICMP, True),
        (PEER, ICMPV6, False),
        (PEER, ESP, False),
        (PEER, AH, False),
        (PEER, GRE, False),
        (PEER, SCTP, False),
        (PEER, 0, False),
        (PEER, 255, False),
        ("fd00:1::9", TCP, True),
        ("fd00:1::9", ICMPV6, True),
        ("fd00:1::9", ICMP, False),
        ("fd00:1::9", GRE, False),
    ],
)
def test_any_is_three_protocols(
    dialect: Dialect, source: str, protocol: int, is_supported: bool
) -> None:
    """Of a packet's family; all others are denied in both directions, even by an open group."""
    here = VM if source == PEER else VM6
    inbound = run(model_of(dialect, ALLOW_ALL), packet(source, here, 80, protocol))
    outbound = run(model_of(dialect, ALLOW_ALL), packet(here, source, 80, protocol))
    if is_supported:
        assert (named(inbound), named(outbound)) == (("Allow", "in"), ("Allow", "out"))
        assert inbound.reason is outbound.reason is Reason.RULE
        return
    for decision, direction in ((inbound, INBOUND), (outbound, OUTBOUND)):
        denied = TableDecision("open", direction, UNSUPPORTED, DENY)
        assert decision == Decision(DENY, Reason.UNSUPPORTED_PROTOCOL, (denied,))
    for first in (packet(source, here, 80, protocol), packet(here, source, 80, protocol)):
        assert run(model_of(NOW, ALLOW_ALL), first).access is ALLOW
        # Without a group nothing is judged, and so nothing is denied.
        assert run(model_of(dialect, None), first) == Decision(ALLOW, Reason.NO_NSG)


@old_dialects
def test_a_rule_that_denies_any_does_not_name_the_others(dialect: Dialect) -> None:
    """They are denied by what says why; the first group that is asked names it."""
    closed = group("closed", rule("deny", 100, INBOUND, DENY))
    model = model_of(dialect, closed, ALLOW_ALL)
    decision = run(model, packet(PEER, VM, protocol=GRE))
    # Inbound the subnet's group is first.
    assert (decision.network_security_group, decision.rule) == ("open", UNSUPPORTED)
    assert named(run(model, echo(PEER, VM))) == ("Deny", "deny")


@old_dialects
@pytest.mark.parametrize("source", [PEER, "fd00:1::9", INTERNET])
def test_icmp_under_rules_for_tcp(dialect: Dialect, source: str) -> None:
    """Vector 29: an echo request falls to a rule for any, whatever stands for TCP before it."""
    rules = group("nsg", rule("tcp", 100, INBOUND, ALLOW, "Tcp"), rule("any", 4000, INBOUND, DENY))
    here = VM if ":" not in source else VM6
    model = model_of(dialect, rules)
    assert named(run(model, echo(source, here))) == ("Deny", "any")
    assert named(run(model, packet(source, here, 80))) == ("Allow", "tcp")
    assert named(run(model, packet(source, here, 80, UDP))) == ("Deny", "any")


@old_dialects
def test_a_users_rule_of_that_name(dialect: Dialect) -> None:
    """It is the user's; reason and name tell them apart."""
    own = group("nsg", rule("unsupportedProtocol", 100, INBOUND, DENY))
    model = model_of(dialect, own)
    tcp, gre = packet(PEER, VM, 80), packet(PEER, VM, protocol=GRE)
    assert (run(model, tcp).rule, run(model, tcp).reason) == ("unsupportedProtocol", Reason.RULE)
    assert run(model, gre).rule == UNSUPPORTED


def test_the_default_dialect_has_no_such_rule() -> None:
    """Its tables are as they were."""
    for dialect, extra in ((NOW, 0), (DIALECT_2017, 1), (CLASSIC, 1)):
        model = model_of(dialect, ALLOW_ALL)
        resolver = NetworkResolver(model, model.virtual_networks[0])
        rules = effective_security_rules(resolver, ALLOW_ALL, INBOUND)
        assert len(rules) == 4 + extra
        assert (rules[-1].name == UNSUPPORTED) is bool(extra)


# Service tags


@old_dialects
def test_virtual_network(dialect: Dialect) -> None:
    """The space, peers and on-premises prefixes; neither the host's address nor routes."""
    model = model_of(dialect, None)
    found = resolve_tags(model, model.virtual_networks[0]).addresses(ServiceTag.VIRTUAL_NETWORK)
    connected = address_set("10.0.0.0/16", "fd00:1::/48", "10.9.0.0/16", "192.168.0.0/16")
    assert found == connected
    now = replace(model, dialect=NOW)
    found = resolve_tags(now, model.virtual_networks[0]).addresses(ServiceTag.VIRTUAL_NETWORK)
    assert found == connected | address_set(HOST, "172.20.0.0/16")


@old_dialects
def test_the_other_computed_tags(dialect: Dialect) -> None:
    """As today."""
    model = model_of(dialect, None)
    old, now = (
        resolve_tags(each, model.virtual_networks[0])
        for each in (model, replace(model, dialect=NOW))
    )
    assert old.internet == now.internet
    assert old.azure_load_balancer == now.azure_load_balancer


def test_published_tags() -> None:
    """From the file, like today's."""
    storage = group(
        "nsg", rule("storage", 100, OUTBOUND, DENY, destination="published:Storage.WestUS")
    )
    model = replace(
        model_of(DIALECT_2017, storage),
        service_tags=(ServiceTagPrefixes("Storage.WestUS", prefixes("20.38.98.0/25")),),
    )
    assert named(run(model, packet(VM, "20.38.98.1", 443))) == ("Deny", "storage")
    assert named(run(model, packet(VM, "20.38.98.129", 443))) == ("Allow", "AllowInternetOutBound")


# The platform

DENY_OUT = group("nsg", rule("DenyOut", 100, OUTBOUND, DENY))
BARE = group("nsg")


@old_dialects
@pytest.mark.parametrize(
    ("to", "port", "protocol"),
    [(HOST, 53, UDP), (HOST, 53, TCP), (HOST, 80, TCP), (METADATA, 80, TCP), (KEYS, 1688, TCP)],
)
def test_nothing_is_exempt(dialect: Dialect, to: str, port: int, protocol: int) -> None:
    """Vector 30, its 2017 half: a rule that denies all denies the platform."""
    first = packet(VM, to, port, protocol)
    assert named(run(model_of(dialect, DENY_OUT), first)) == ("Deny", "DenyOut")
    assert run(model_of(NOW, DENY_OUT), first).access is ALLOW


@old_dialects
@pytest.mark.parametrize(
    ("first", "expected"),
    [
        # The host's address is in Internet, link-local space is not.
        (packet(VM, HOST, 53, UDP), ("Allow", "AllowInternetOutBound")),
        (packet(VM, KEYS, 1688), ("Allow", "AllowInternetOutBound")),
        (packet(VM, METADATA, 80), ("Deny", "DenyAllOutBound")),
        # Of routes VirtualNetwork has nothing.
        (packet(VM, "172.20.0.1", 80), ("Deny", "DenyAllOutBound")),
        (packet("172.20.0.1", VM, 80), ("Deny", "DenyAllInBound")),
        (packet(VM, "192.168.0.1", 80), ("Allow", "AllowVnetOutBound")),
        # Vector 32, its 2017 half.
        (packet(HOST, VM, 80), ("Allow", "AllowAzureLoadBalancerInBound")),
        (packet("168.63.129.17", VM, 80), ("Deny", "DenyAllInBound")),
    ],
)
def test_default_rules(dialect: Dialect, first: PacketHeader, expected: tuple[str, str]) -> None:
    """What they make of the platform's addresses where nothing is special about them."""
    assert named(run(model_of(dialect, BARE), first)) == expected


def test_a_probe_today() -> None:
    """Vector 32, its other half."""
    decision = run(model_of(NOW, BARE), packet(HOST, VM, 80))
    assert named(decision) == ("Allow", "AllowVnetInBound")


# Notes


@old_dialects
def test_notes(dialect: Dialect) -> None:
    """Each address that a group's outbound rules deny, with services and rules; nothing today."""
    host, metadata = platform_notes(model_of(dialect, DENY_OUT))
    assert host.startswith(
        "network security group nsg denies outbound traffic to 168.63.129.16 (DHCP by DenyOut, DNS"
        " by DenyOut, DNS over TCP by DenyOut, the agent by DenyOut)"
    )
    assert "to 169.254.169.254 (metadata by DenyOut)" in metadata
    assert platform_notes(model_of(NOW, DENY_OUT)) == []
    assert platform_notes(model_of(dialect, None)) == []
    (metadata,) = platform_notes(model_of(dialect, BARE))
    assert "to 169.254.169.254 (metadata by DenyAllOutBound)" in metadata


def test_notes_of_one_service_and_some_senders() -> None:
    """Senders that have the group, and no others; each group once."""

    def notes(source: str) -> list[str]:
        rules = group(
            "nsg",
            rule("dns", 100, OUTBOUND, DENY, "Udp", source=source, destination=HOST, ports="53"),
            rule("imds", 101, OUTBOUND, ALLOW, destination=METADATA),
        )
        return platform_notes(model_of(DIALECT_2017, rules))

    for source in ("*", "10.0.0.0/24", "10.0.0.5", "10.0.0.6,10.0.0.200"):
        (note,) = notes(source)
        assert "to 168.63.129.16 (DNS by dns)" in note
    assert notes("10.0.0.7") == []  # has no group
    assert notes("10.0.1.0/24") == []
    # An undeclared resource of the subnet, in the middle of its prefix.
    stray = group(
        "sub", rule("DenyHost", 100, OUTBOUND, DENY, source="10.0.0.200", destination=HOST)
    )
    host, metadata = platform_notes(model_of(DIALECT_2017, None, stray))
    assert "DNS by DenyHost" in host
    assert "metadata by DenyAllOutBound" in metadata
    both = model_of(DIALECT_2017, DENY_OUT, group("sub", rule("out", 100, OUTBOUND, DENY)))
    assert len(platform_notes(both)) == 4
    assert len(platform_notes(replace(both, platform=PlatformAddresses((), (), (), ())))) == 0
    moved = PlatformAddresses(addresses("fd00:1::53"), (), (), ())
    assert all("fd00:1::53" in note for note in platform_notes(replace(both, platform=moved)))


# SMTP

KINDS_2017 = {
    SubscriptionKind.ENTERPRISE_AGREEMENT: False,
    SubscriptionKind.PAY_AS_YOU_GO: True,
    SubscriptionKind.MSDN: True,
    SubscriptionKind.AZURE_PASS: True,
    SubscriptionKind.AZURE_IN_OPEN: True,
    SubscriptionKind.EDUCATION: True,
    SubscriptionKind.BIZSPARK: True,
    SubscriptionKind.FREE_TRIAL: True,
}
EXEMPTED = date(2019, 5, 1)


@old_dialects
@pytest.mark.parametrize("kind", KINDS_2017)
def test_who_may_send_mail(dialect: Dialect, kind: SubscriptionKind) -> None:
    """An agreement, or whoever had a subscription before; pay-as-you-go by exemption."""
    terms = dialect.smtp
    assert terms.offers == KINDS_2017.keys()
    after, before = date(2017, 11, 15), date(2017, 11, 14)
    assert is_smtp_blocked(Subscription(kind, after), None, terms) is KINDS_2017[kind]
    assert not is_smtp_blocked(Subscription(kind, before), None, terms)
    exempted = Subscription(kind, after, EXEMPTED)
    is_exempt = kind is SubscriptionKind.PAY_AS_YOU_GO
    for created, is_later in ((None, False), (date(2019, 4, 30), False), (EXEMPTED, True)):
        expected = KINDS_2017[kind] and not (is_exempt and is_later)
        assert is_smtp_blocked(exempted, created, terms) is expected


@old_dialects
@pytest.mark.parametrize("to", [INTERNET, PEER, "192.168.0.1", "172.31.0.1", "10.9.0.4"])
def test_mail_to_any_destination(dialect: Dialect, to: str) -> None:
    """«vers toutes les ressources»: also inside the network, and also without a group."""
    blocked = Subscription(SubscriptionKind.BIZSPARK, date(2018, 1, 31))
    for nic_group in (None, ALLOW_ALL):
        model = model_of(dialect, nic_group, subscription=blocked)
        denied = TableDecision("", OUTBOUND, "platformRules/DenySmtpOutBound", DENY)
        assert run(model, packet(VM, to, 25)) == Decision(DENY, Reason.RULE, (denied,))
        for other in (packet(VM, to, 587), packet(VM, to, 25, UDP)):
            assert run(model, other).access is ALLOW
    agreement = Subscription(SubscriptionKind.ENTERPRISE_AGREEMENT, date(2018, 1, 31))
    assert run(model_of(dialect, None, subscription=agreement), packet(VM, to, 25)).access is ALLOW


def test_an_exemption_is_for_machines_made_later() -> None:
    """Each NIC by its own day."""
    kind = SubscriptionKind.PAY_AS_YOU_GO
    model = model_of(
        DIALECT_2017, None, subscription=Subscription(kind, date(2018, 1, 31), EXEMPTED)
    )
    for source, access in ((VM, DENY), ("10.0.0.5", ALLOW), ("10.0.0.6", DENY)):
        assert run(model, packet(source, INTERNET, 25)).access is access


def test_other_protocols_where_mail_is_blocked() -> None:
    """The table ahead of the groups is silent on them."""
    blocked = Subscription(SubscriptionKind.MSDN, date(2018, 1, 31))
    model = model_of(DIALECT_2017, None, subscription=blocked)
    assert run(model, packet(VM, PEER, protocol=GRE)) == Decision(ALLOW, Reason.NO_NSG)
    model = model_of(DIALECT_2017, ALLOW_ALL, subscription=blocked)
    assert run(model, packet(VM, PEER, protocol=GRE)).reason is Reason.UNSUPPORTED_PROTOCOL
