"""Platform traffic: exempt from every rule of a group but those that deny it by its own tags."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nsgd.model.decision import Decision, Reason
from nsgd.model.network import NetworkModel, NetworkSecurityGroup, VirtualNetwork
from nsgd.model.packet import TCP, UDP, PacketHeader
from nsgd.model.platform import AZURE_PLATFORM, PlatformAddresses
from nsgd.model.rule import SecurityRule
from nsgd.policy.compile import compile_policy
from nsgd.policy.evaluate import decide
from tests.models import addresses
from tests.policy.builders import (
    ALLOW,
    DENY,
    INBOUND,
    OUTBOUND,
    echo,
    group,
    nic,
    packet,
    prefixes,
    rule,
    scale_set,
    subnet,
)

HOST, METADATA, KEYS = "168.63.129.16", "169.254.169.254", "20.118.99.224"
VM = "10.0.0.4"
BY_HOST = "platformRules/AllowHostOutBound"
BY_METADATA = "platformRules/AllowMetadataOutBound"
BY_KEYS = "platformRules/AllowKeyManagementOutBound"

DENY_ALL = rule("deny-all", 100, OUTBOUND, DENY)
ALLOW_ALL = rule("allow-all", 100, OUTBOUND, ALLOW)
DENY_DNS = rule("deny-dns", 200, OUTBOUND, DENY, destination="platform:DNS")
DENY_IMDS = rule("deny-imds", 200, OUTBOUND, DENY, destination="platform:IMDS")
DENY_LKM = rule("deny-lkm", 200, OUTBOUND, DENY, destination="platform:LKM")
EMPTY = PlatformAddresses((), (), (), ())


def run(
    first: PacketHeader,
    nic_group: NetworkSecurityGroup | None,
    subnet_group: NetworkSecurityGroup | None = None,
    *,
    routes: tuple[str, ...] = (),
    platform: PlatformAddresses = AZURE_PLATFORM,
) -> Decision:
    """One network with the NIC 10.0.0.4 and the scale set 10.0.0.32/28, which has its group."""
    name = nic_group.name if nic_group else None
    network = VirtualNetwork(
        "vnet",
        prefixes("10.0.0.0/16", "fd00:1::/48"),
        (subnet("s", "10.0.0.0/24,fd00:1::/64", subnet_group.name if subnet_group else None),),
        routes=prefixes(*routes),
    )
    model = NetworkModel(
        (network,),
        (nic("vm", f"{VM},fd00:1::4", "s", name),),
        tuple(each for each in (nic_group, subnet_group) if each),
        scale_sets=(scale_set("vmss", "10.0.0.32/28", "s", name),),
        platform=platform,
    )
    return decide(compile_policy(model), first, None, None)


def said(decision: Decision) -> list[tuple[str, str]]:
    """Group and rule of every table consulted; the access is checked by the last one's."""
    if decision.consulted:
        assert decision.access is decision.consulted[-1].access
    return [(each.network_security_group, each.rule) for each in decision.consulted]


@pytest.mark.parametrize(
    ("first", "by"),
    [
        (packet(VM, HOST, 53, UDP), BY_HOST),  # 30
        (packet(VM, HOST, 53), BY_HOST),
        (packet(VM, HOST, 80), BY_HOST),
        (packet(VM, HOST, 32526), BY_HOST),
        (echo(VM, HOST), BY_HOST),
        (packet(VM, HOST, protocol=47), BY_HOST),
        (packet(VM, METADATA, 80), BY_METADATA),
        (packet(VM, METADATA, 53, UDP), BY_METADATA),
        (echo(VM, METADATA), BY_METADATA),
        (packet(VM, KEYS, 1688), BY_KEYS),
        (packet(VM, "40.83.235.53", 1688), BY_KEYS),
        (packet(VM, "23.102.135.246", 1688), BY_KEYS),
        # Their neighbours are not.
        (packet(VM, "168.63.129.15", 53, UDP), "deny-all"),
        (packet(VM, "168.63.129.17", 53, UDP), "deny-all"),
        (packet(VM, "169.254.169.253", 80), "deny-all"),
        (packet(VM, KEYS, 1687), "deny-all"),
        (packet(VM, KEYS, 1689), "deny-all"),
        (packet(VM, KEYS, 1688, UDP), "deny-all"),
        (packet(VM, "20.118.99.225", 1688), "deny-all"),
        (packet(VM, KEYS, 443, source_port=1688), "deny-all"),
        (packet("fd00:1::4", "2603:1030::1", 53, UDP), "deny-all"),
        (packet("10.0.0.33", HOST, 53, UDP), BY_HOST),  # an instance
    ],
)
def test_exempt_from_a_rule_that_denies_all(first: PacketHeader, by: str) -> None:
    """Host and metadata wholly, licensing by TCP 1688; the rule that exempts is named."""
    assert said(run(first, group("nsg", DENY_ALL))) == [("nsg", by)]


def test_a_resource_of_a_subnet_is_exempt_too() -> None:
    """By its subnet's group, like a declared NIC."""
    first = packet("10.0.0.77", METADATA, 80)
    assert said(run(first, None, group("sub", DENY_ALL))) == [("sub", BY_METADATA)]


@pytest.mark.parametrize(
    ("deny", "first", "by"),
    [
        # 31: DNS, by UDP and by TCP, and nothing else that the host does.
        (DENY_DNS, packet(VM, HOST, 53, UDP), "deny-dns"),
        (DENY_DNS, packet(VM, HOST, 53), "deny-dns"),
        (DENY_DNS, packet(VM, HOST, 52, UDP), BY_HOST),
        (DENY_DNS, packet(VM, HOST, 54, UDP), BY_HOST),
        (DENY_DNS, packet(VM, HOST, 80, source_port=53), BY_HOST),
        (DENY_DNS, packet(VM, HOST, 67, UDP), BY_HOST),
        (DENY_DNS, echo(VM, HOST), BY_HOST),
        (DENY_DNS, packet(VM, METADATA, 53, UDP), BY_METADATA),
        (DENY_DNS, packet(VM, "8.8.8.8", 53, UDP), "allow-all"),
        (DENY_IMDS, packet(VM, METADATA, 80), "deny-imds"),
        (DENY_IMDS, echo(VM, METADATA), "deny-imds"),
        (DENY_IMDS, packet(VM, HOST, 80), BY_HOST),
        (DENY_LKM, packet(VM, KEYS, 1688), "deny-lkm"),
        (DENY_LKM, packet(VM, KEYS, 1688, UDP), "deny-lkm"),
        (DENY_LKM, packet(VM, KEYS, 443), "allow-all"),
        (DENY_LKM, echo(VM, KEYS), "allow-all"),
    ],
)
def test_only_a_denial_by_tag_counts(deny: SecurityRule, first: PacketHeader, by: str) -> None:
    """It comes before a user's Allow of a lower number, and says no more than its tag."""
    assert said(run(first, group("nsg", ALLOW_ALL, deny))) == [("nsg", by)]


def test_denials_by_tag_stand_by_priority() -> None:
    """The lower number of two that match is the one named."""
    of_tcp = rule("tcp", 150, OUTBOUND, DENY, "Tcp", destination="platform:LKM")
    for rules in ((DENY_LKM, of_tcp), (of_tcp, DENY_LKM)):
        nsg = group("nsg", *rules)
        assert said(run(packet(VM, KEYS, 1688), nsg)) == [("nsg", "tcp")]
        assert said(run(packet(VM, KEYS, 1688, UDP), nsg)) == [("nsg", "deny-lkm")]


def test_a_denial_of_one_source_only() -> None:
    """The rule's other fields count as in any rule; others stay exempt."""
    limited = rule("deny-dns", 200, OUTBOUND, DENY, source=VM, destination="platform:DNS")
    nsg = group("nsg", DENY_ALL, limited)
    assert said(run(packet(VM, HOST, 53, UDP), nsg)) == [("nsg", "deny-dns")]
    assert said(run(packet("10.0.0.33", HOST, 53, UDP), nsg)) == [("nsg", BY_HOST)]


@pytest.mark.parametrize(
    ("nic_rules", "subnet_rules", "consulted"),
    [
        ((), (DENY_DNS,), [("nsg", BY_HOST), ("sub", "deny-dns")]),
        ((DENY_DNS,), (), [("nsg", "deny-dns")]),
        ((DENY_ALL,), (DENY_ALL,), [("nsg", BY_HOST), ("sub", BY_HOST)]),
    ],
)
def test_each_group_answers_for_itself(
    nic_rules: tuple[SecurityRule, ...],
    subnet_rules: tuple[SecurityRule, ...],
    consulted: list[tuple[str, str]],
) -> None:
    """What exempts in one group is that group's Allow: the other one is asked all the same."""
    found = run(
        packet(VM, HOST, 53, UDP),
        group("nsg", *nic_rules),
        group("sub", *subnet_rules),
    )
    assert said(found) == consulted


def test_without_any_group() -> None:
    """No group, no platform rule."""
    assert run(packet(VM, HOST, 53, UDP), None) == Decision(ALLOW, Reason.NO_NSG)


@pytest.mark.parametrize(
    ("routes", "by"),
    [
        ((), BY_KEYS),
        (("0.0.0.0/0",), "deny-all"),
        (("10.9.0.0/16", "0.0.0.0/0"), "deny-all"),
        (("0.0.0.0/1", "::/0"), BY_KEYS),
    ],
)
def test_licensing_and_the_default_route(routes: tuple[str, ...], by: str) -> None:
    """A default route turns the rule for licensing off, and no other one."""
    nsg = group("nsg", DENY_ALL)
    assert said(run(packet(VM, KEYS, 1688), nsg, routes=routes)) == [("nsg", by)]
    assert said(run(packet(VM, HOST, 53, UDP), nsg, routes=routes)) == [("nsg", BY_HOST)]
    assert said(run(packet(VM, METADATA, 80), nsg, routes=routes)) == [("nsg", BY_METADATA)]


def test_licensing_is_ordinary_traffic_elsewhere() -> None:
    """Of another virtual network only its own routes count."""
    with_route = VirtualNetwork(
        "a", prefixes("10.0.0.0/16"), (subnet("s", "10.0.0.0/24"),), routes=prefixes("0.0.0.0/0")
    )
    without = VirtualNetwork("b", prefixes("10.1.0.0/16"), (subnet("s", "10.1.0.0/24"),))
    policy = compile_policy(
        NetworkModel(
            (with_route, without),
            (nic("a", VM, "s", "nsg", network="a"), nic("b", "10.1.0.4", "s", "nsg", network="b")),
            (group("nsg", DENY_ALL),),
        )
    )
    assert said(decide(policy, packet(VM, KEYS, 1688), None, None)) == [("nsg", "deny-all")]
    assert said(decide(policy, packet("10.1.0.4", KEYS, 1688), None, None)) == [("nsg", BY_KEYS)]


@pytest.mark.parametrize(
    ("emptied", "first", "by"),
    [
        ("host", packet(VM, HOST, 53, UDP), "deny-all"),
        ("metadata", packet(VM, METADATA, 80), "deny-all"),
        ("key_management", packet(VM, KEYS, 1688), "deny-all"),
        ("host", packet(VM, METADATA, 80), BY_METADATA),
        ("load_balancer", packet(VM, HOST, 53, UDP), BY_HOST),
    ],
)
def test_an_emptied_list_exempts_nothing(emptied: str, first: PacketHeader, by: str) -> None:
    """Outside Azure these addresses are anybody's."""
    platform = replace(AZURE_PLATFORM, **{emptied: ()})
    assert said(run(first, group("nsg", DENY_ALL), platform=platform)) == [("nsg", by)]


def test_other_addresses() -> None:
    """The lists are settings, of both families."""
    platform = replace(EMPTY, host=addresses("192.0.2.53", "fd00:ff::53"))
    nsg = group("nsg", DENY_ALL, DENY_DNS)
    for vm, host in ((VM, "192.0.2.53"), ("fd00:1::4", "fd00:ff::53")):
        for port, by in ((53, "deny-dns"), (80, BY_HOST)):
            assert said(run(packet(vm, host, port), nsg, platform=platform)) == [("nsg", by)]
    assert said(run(packet(VM, HOST, 80), nsg, platform=platform)) == [("nsg", "deny-all")]
    # A denial by tag of an emptied list denies nothing.
    imds = group("nsg", DENY_IMDS, rule("allow", 300, OUTBOUND, ALLOW))
    assert said(run(packet(VM, METADATA, 80), imds, platform=platform)) == [("nsg", "allow")]


@pytest.mark.parametrize(
    ("rules", "first", "by"),
    [
        # 32: a probe.
        ((), packet(HOST, VM, 80), "AllowVnetInBound"),
        ((rule("deny-all", 100, INBOUND, DENY),), packet(HOST, VM, 80), "deny-all"),
        (
            (rule("no-probes", 100, INBOUND, DENY, source="tag:AzureLoadBalancer"),),
            packet(HOST, VM, 80),
            "no-probes",
        ),
        # In any other position a platform tag makes an ordinary rule, in its place by priority.
        (
            (
                rule("allow", 100, INBOUND, ALLOW),
                rule("deny", 200, INBOUND, DENY, source="platform:DNS"),
            ),
            packet(HOST, VM, 4000, UDP, source_port=53),
            "allow",
        ),
        (
            (rule("deny", 200, INBOUND, DENY, source="platform:DNS"),),
            packet(HOST, VM, 4000, UDP, source_port=53),
            "deny",
        ),
        (
            (rule("deny", 200, INBOUND, DENY, source="platform:DNS"),),
            packet(HOST, VM, 53, UDP, source_port=4000),
            "AllowVnetInBound",
        ),
        (
            (rule("deny", 200, INBOUND, DENY, source="platform:DNS"),),
            echo(HOST, VM),
            "AllowVnetInBound",
        ),
    ],
)
def test_inbound_is_judged(rules: tuple[SecurityRule, ...], first: PacketHeader, by: str) -> None:
    """By the ordinary rules, so that probes can be denied."""
    assert said(run(first, group("nsg", *rules))) == [("nsg", by)]


def test_a_platform_tag_as_an_outbound_source_is_ordinary() -> None:
    """It does not go ahead of what exempts, nor of rules of lower numbers."""
    deny = rule("deny", 150, OUTBOUND, DENY, "Udp", source="platform:DNS")
    platform = replace(AZURE_PLATFORM, host=addresses(VM))
    from_dns = packet(VM, METADATA, 80, UDP, source_port=53)
    elsewhere = packet(VM, "8.8.8.8", 80, UDP, source_port=53)
    nsg = group("nsg", deny)
    assert said(run(from_dns, nsg, platform=platform)) == [("nsg", BY_METADATA)]
    assert said(run(elsewhere, nsg, platform=platform)) == [("nsg", "deny")]
    allowing = group("nsg", ALLOW_ALL, deny)
    assert said(run(elsewhere, allowing, platform=platform)) == [("nsg", "allow-all")]


def test_protocol() -> None:
    """The rule's own protocol counts: IMDS by TCP only."""
    tcp = rule("tcp", 100, OUTBOUND, DENY, "Tcp", destination="platform:IMDS")
    nsg = group("nsg", tcp)
    assert said(run(packet(VM, METADATA, 80, TCP), nsg)) == [("nsg", "tcp")]
    assert said(run(packet(VM, METADATA, 80, UDP), nsg)) == [("nsg", BY_METADATA)]


def test_an_allow_by_tag_does_not_go_ahead() -> None:
    """Documents cannot hold one, since Azure refuses it; it would be an ordinary rule."""
    allow = rule("allow-lkm", 200, OUTBOUND, ALLOW, destination="platform:LKM")
    nsg = group("nsg", DENY_ALL, allow)
    found = run(packet(VM, KEYS, 1688), nsg, routes=("0.0.0.0/0",))
    assert said(found) == [("nsg", "deny-all")]
