"""Decisions in Azure's own worked examples, and the order in which groups are consulted."""

from __future__ import annotations

import pytest

from nsgd.model.decision import Decision, Reason
from nsgd.model.network import (
    ApplicationSecurityGroup,
    NetworkModel,
    NetworkSecurityGroup,
    VirtualNetwork,
)
from nsgd.model.packet import AH, ESP, UDP, PacketHeader
from nsgd.model.rule import Access
from nsgd.policy.compile import CompiledPolicy, compile_policy
from nsgd.policy.evaluate import decide
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
    subnet,
)

CLIENT, CLIENT6 = "203.0.113.7", "2600:1::7"


def run(policy: CompiledPolicy, first: PacketHeader) -> Decision:
    return decide(policy, first, None, None)


def named(decision: Decision) -> tuple[Access | None, str | None, str | None]:
    """Access, and the group and rule that are reported."""
    return decision.access, decision.network_security_group, decision.rule


def path(decision: Decision) -> list[tuple[str, str]]:
    """Group and rule of every table consulted, in order."""
    return [(each.network_security_group, each.rule) for each in decision.consulted]


def one_nic(nsg: NetworkSecurityGroup) -> CompiledPolicy:
    """V of the worked examples: 10.0.0.0/16 with the group at the NIC 10.0.0.4."""
    return compile_policy(
        NetworkModel(
            (
                VirtualNetwork(
                    "vnet",
                    prefixes("10.0.0.0/16", "fd00:1::/48"),
                    (subnet("default", "10.0.0.0/24,fd00:1::/64"),),
                ),
            ),
            (nic("vm", "10.0.0.4,fd00:1::4", "default", nsg.name),),
            (nsg,),
        )
    )


@pytest.mark.parametrize(
    ("first", "access", "rule_name"),
    [
        # IP flow verify quickstart, 2018 (worked examples 1-3).
        (packet("10.0.0.4", "13.107.21.200", 80), ALLOW, "AllowInternetOutBound"),
        (packet("10.0.0.4", "172.31.0.100", 80), DENY, "DenyAllOutBound"),
        (packet("172.31.0.100", "10.0.0.4", 80), DENY, "DenyAllInBound"),
        # Recorded answers (4-6).
        (packet("100.1.2.3", "10.0.0.4", 22), DENY, "DenyAllInBound"),
        (packet("10.0.0.4", "100.1.2.3", 80), ALLOW, "AllowInternetOutBound"),
        (packet("10.0.0.4", "8.8.8.8", 443, source_port=443), ALLOW, "AllowInternetOutBound"),
        # The same in the other family.
        (packet("fd00:1::4", CLIENT6, 80), ALLOW, "AllowInternetOutBound"),
        (packet("fd00:1::4", "fd00:2::1", 80), DENY, "DenyAllOutBound"),
        (packet("fd00:2::1", "fd00:1::4", 80), DENY, "DenyAllInBound"),
        (packet(CLIENT6, "fd00:1::4", 22), DENY, "DenyAllInBound"),
        # Any other protocol is matched by the defaults as well.
        (echo("10.0.0.4", "8.8.8.8"), ALLOW, "AllowInternetOutBound"),
        (echo(CLIENT6, "fd00:1::4"), DENY, "DenyAllInBound"),
        (packet("10.0.0.4", "8.8.8.8", protocol=47), ALLOW, "AllowInternetOutBound"),
        # A probe comes from an address that the VirtualNetwork tag holds too (32).
        (packet("168.63.129.16", "10.0.0.4", 80), ALLOW, "AllowVnetInBound"),
    ],
)
def test_default_rules(first: PacketHeader, access: Access, rule_name: str) -> None:
    """A group without rules of its own decides by the six defaults."""
    assert named(run(one_nic(group("nsg")), first)) == (access, "nsg", rule_name)


def how_it_works(nsg1: NetworkSecurityGroup, nsg2: NetworkSecurityGroup) -> CompiledPolicy:
    """Azure, How network security groups filter network traffic: four machines, three subnets.

    VM1 has NSG1 at its subnet and NSG2 at its NIC, VM2 the first only, VM3 the second only,
    VM4 none; VM5 is as VM1.
    """
    return compile_policy(
        NetworkModel(
            (
                VirtualNetwork(
                    "vnet",
                    prefixes("10.0.0.0/16", "fd00:1::/48"),
                    (
                        subnet("subnet1", "10.0.1.0/24,fd00:1:0:1::/64", "NSG1"),
                        subnet("subnet2", "10.0.2.0/24,fd00:1:0:2::/64"),
                        subnet("subnet3", "10.0.3.0/24,fd00:1:0:3::/64"),
                    ),
                ),
            ),
            (
                nic("VM1", "10.0.1.4,fd00:1:0:1::4", "subnet1", "NSG2"),
                nic("VM2", "10.0.1.5,fd00:1:0:1::5", "subnet1"),
                nic("VM3", "10.0.2.4,fd00:1:0:2::4", "subnet2", "NSG2"),
                nic("VM4", "10.0.3.4,fd00:1:0:3::4", "subnet3"),
                nic("VM5", "10.0.1.6,fd00:1:0:1::6", "subnet1", "NSG2"),
            ),
            (nsg1, nsg2),
        )
    )


VM1, VM2, VM3, VM4, VM5 = (
    ("10.0.1.4", "fd00:1:0:1::4"),
    ("10.0.1.5", "fd00:1:0:1::5"),
    ("10.0.2.4", "fd00:1:0:2::4"),
    ("10.0.3.4", "fd00:1:0:3::4"),
    ("10.0.1.6", "fd00:1:0:1::6"),
)
CLIENTS = (CLIENT, CLIENT6)
ALLOW_80 = rule("allow-80", 100, INBOUND, ALLOW, "Tcp", ports="80")
DENY_80_OUT = rule("deny-80", 100, OUTBOUND, DENY, "Tcp", ports="80")
NSG1_80, NSG2_80 = group("NSG1", ALLOW_80), group("NSG2", ALLOW_80)
NSG1_BARE, NSG2_BARE = group("NSG1"), group("NSG2")


@pytest.mark.parametrize("family", [0, 1], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize(
    ("nsg1", "nsg2", "target", "access", "consulted"),
    [
        # 7: only NSG1 allows.
        (NSG1_80, NSG2_BARE, VM1, DENY, [("NSG1", "allow-80"), ("NSG2", "DenyAllInBound")]),
        # 8: only NSG2 allows, and is never asked.
        (NSG1_BARE, NSG2_80, VM1, DENY, [("NSG1", "DenyAllInBound")]),
        # 9 and 33: both allow.
        (NSG1_80, NSG2_80, VM1, ALLOW, [("NSG1", "allow-80"), ("NSG2", "allow-80")]),
        # 10 and 33: at the subnet only.
        (NSG1_80, NSG2_BARE, VM2, ALLOW, [("NSG1", "allow-80")]),
        # 11: at the NIC only.
        (NSG1_BARE, NSG2_80, VM3, ALLOW, [("NSG2", "allow-80")]),
        (NSG1_80, NSG2_BARE, VM3, DENY, [("NSG2", "DenyAllInBound")]),
    ],
)
def test_inbound_asks_subnet_then_nic(
    nsg1: NetworkSecurityGroup,
    nsg2: NetworkSecurityGroup,
    target: tuple[str, str],
    access: Access,
    consulted: list[tuple[str, str]],
    family: int,
) -> None:
    """Every group must allow; the first that denies ends it; a level without group is skipped."""
    decision = run(how_it_works(nsg1, nsg2), packet(CLIENTS[family], target[family], 80))
    assert (decision.access, decision.reason) == (access, Reason.RULE)
    assert path(decision) == consulted
    assert named(decision) == (access, *consulted[-1])
    assert decision.direction is INBOUND


@pytest.mark.parametrize(
    "first",
    [
        packet(CLIENT, VM4[0], 80),
        packet(VM4[0], CLIENT, 80),
        packet(CLIENT6, VM4[1], 22),
        packet(VM4[1], CLIENT6, 22),
        echo(CLIENT, VM4[0]),
        packet(CLIENT, "10.0.3.77", 80),  # an undeclared resource of the same subnet
    ],
)
def test_no_group_at_all(first: PacketHeader) -> None:
    """12: without any group all traffic passes, and no rule is named."""
    decision = run(how_it_works(NSG1_BARE, NSG2_BARE), first)
    assert decision == Decision(ALLOW, Reason.NO_NSG)
    assert named(decision) == (ALLOW, None, None)
    assert decision.direction is None


@pytest.mark.parametrize("family", [0, 1], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize(
    ("nsg1", "nsg2", "access", "consulted"),
    [
        # 13: the defaults of both.
        (
            NSG1_BARE,
            NSG2_BARE,
            ALLOW,
            [("NSG2", "AllowInternetOutBound"), ("NSG1", "AllowInternetOutBound")],
        ),
        # 14: the NIC's denies, the subnet's is never asked.
        (NSG1_BARE, group("NSG2", DENY_80_OUT), DENY, [("NSG2", "deny-80")]),
        (
            group("NSG1", DENY_80_OUT),
            NSG2_BARE,
            DENY,
            [("NSG2", "AllowInternetOutBound"), ("NSG1", "deny-80")],
        ),
    ],
)
def test_outbound_asks_nic_then_subnet(
    nsg1: NetworkSecurityGroup,
    nsg2: NetworkSecurityGroup,
    access: Access,
    consulted: list[tuple[str, str]],
    family: int,
) -> None:
    """The other way round from inbound."""
    decision = run(how_it_works(nsg1, nsg2), packet(VM1[family], CLIENTS[family], 80))
    assert named(decision) == (access, *consulted[-1])
    assert path(decision) == consulted
    assert decision.direction is OUTBOUND


DENY_ALL = (rule("deny-in", 100, INBOUND, DENY), rule("deny-out", 100, OUTBOUND, DENY))


@pytest.mark.parametrize("family", [0, 1], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize(
    ("nsg1", "sender", "receiver", "access", "consulted"),
    [
        # 15: an all-deny group cuts machines of one subnet from one another.
        (group("NSG1", *DENY_ALL), VM2, VM1, DENY, [("NSG1", "deny-out")]),
        (
            group("NSG1", DENY_ALL[0]),
            VM2,
            VM1,
            DENY,
            [("NSG1", "AllowVnetOutBound"), ("NSG1", "deny-in")],
        ),
        # 16: with the defaults they talk, each way judged.
        (
            NSG1_BARE,
            VM2,
            VM1,
            ALLOW,
            [
                ("NSG1", "AllowVnetOutBound"),
                ("NSG1", "AllowVnetInBound"),
                ("NSG2", "AllowVnetInBound"),
            ],
        ),
        (
            NSG1_BARE,
            VM1,
            VM2,
            ALLOW,
            [
                ("NSG2", "AllowVnetOutBound"),
                ("NSG1", "AllowVnetOutBound"),
                ("NSG1", "AllowVnetInBound"),
            ],
        ),
        # Four tables at most, and one at least.
        (
            NSG1_BARE,
            VM1,
            VM5,
            ALLOW,
            [
                ("NSG2", "AllowVnetOutBound"),
                ("NSG1", "AllowVnetOutBound"),
                ("NSG1", "AllowVnetInBound"),
                ("NSG2", "AllowVnetInBound"),
            ],
        ),
        (
            NSG1_BARE,
            VM1,
            VM3,
            ALLOW,
            [
                ("NSG2", "AllowVnetOutBound"),
                ("NSG1", "AllowVnetOutBound"),
                ("NSG2", "AllowVnetInBound"),
            ],
        ),
        (NSG1_BARE, VM4, VM3, ALLOW, [("NSG2", "AllowVnetInBound")]),
        (NSG1_BARE, VM3, VM4, ALLOW, [("NSG2", "AllowVnetOutBound")]),
    ],
)
def test_between_machines(
    nsg1: NetworkSecurityGroup,
    sender: tuple[str, str],
    receiver: tuple[str, str],
    access: Access,
    consulted: list[tuple[str, str]],
    family: int,
) -> None:
    """The sender's outbound rules come first, then the receiver's inbound rules."""
    decision = run(how_it_works(nsg1, NSG2_BARE), packet(sender[family], receiver[family], 22))
    assert decision.access is access
    assert path(decision) == consulted


ASG_RULES = group(
    "nsg",
    rule(
        "Allow-HTTP-Inbound-Internet",
        100,
        INBOUND,
        ALLOW,
        "Tcp",
        source="tag:Internet",
        destination="asg:AsgWeb",
        ports="80",
    ),
    rule(
        "Allow-Database-BusinessLogic",
        110,
        INBOUND,
        ALLOW,
        "Tcp",
        source="asg:AsgLogic",
        destination="asg:AsgDb",
        ports="1433",
    ),
    rule("Deny-Database-All", 120, INBOUND, DENY, destination="asg:AsgDb", ports="1433"),
)
ASG_POLICY = compile_policy(
    NetworkModel(
        (
            VirtualNetwork(
                "vnet",
                prefixes("10.0.0.0/16", "fd00:1::/48"),
                (subnet("default", "10.0.0.0/24,fd00:1::/64", "nsg"),),
            ),
        ),
        (
            nic("NIC1", "10.0.0.4,fd00:1::4", "default", asgs=("AsgWeb",)),
            nic("NIC2", "10.0.0.5,fd00:1::5", "default", asgs=("AsgWeb",)),
            nic("NIC3", "10.0.0.6,fd00:1::6", "default", asgs=("AsgLogic",)),
            nic("NIC4", "10.0.0.7,fd00:1::7", "default", asgs=("AsgDb",)),
        ),
        (ASG_RULES,),
        tuple(ApplicationSecurityGroup(name, "vnet") for name in ("AsgWeb", "AsgLogic", "AsgDb")),
    )
)


@pytest.mark.parametrize(
    ("source", "destination", "port", "access", "rule_name"),
    [
        (CLIENT, "10.0.0.4", 80, ALLOW, "Allow-HTTP-Inbound-Internet"),  # 17
        (CLIENT6, "fd00:1::5", 80, ALLOW, "Allow-HTTP-Inbound-Internet"),
        (CLIENT, "10.0.0.4", 79, DENY, "DenyAllInBound"),
        (CLIENT, "10.0.0.4", 81, DENY, "DenyAllInBound"),
        (CLIENT, "10.0.0.6", 80, DENY, "DenyAllInBound"),  # 18
        (CLIENT6, "fd00:1::6", 80, DENY, "DenyAllInBound"),
        ("10.0.0.6", "10.0.0.7", 1433, ALLOW, "Allow-Database-BusinessLogic"),  # 19
        ("fd00:1::6", "fd00:1::7", 1433, ALLOW, "Allow-Database-BusinessLogic"),
        ("10.0.0.4", "10.0.0.7", 1433, DENY, "Deny-Database-All"),  # 20
        ("fd00:1::4", "fd00:1::7", 1433, DENY, "Deny-Database-All"),
        ("10.0.0.4", "10.0.0.6", 1433, ALLOW, "AllowVnetInBound"),  # 21
        ("fd00:1::4", "fd00:1::6", 1433, ALLOW, "AllowVnetInBound"),
        # An undeclared resource of the subnet is in no group.
        ("10.0.0.99", "10.0.0.7", 1433, DENY, "Deny-Database-All"),
        ("10.0.0.4", "10.0.0.99", 1433, ALLOW, "AllowVnetInBound"),
    ],
)
def test_application_security_groups(
    source: str, destination: str, port: int, access: Access, rule_name: str
) -> None:
    """A rule that names a group applies to its members only."""
    assert named(run(ASG_POLICY, packet(source, destination, port))) == (access, "nsg", rule_name)


@pytest.mark.parametrize(
    ("first", "rule_name"),
    [
        (packet(CLIENT, "10.0.0.4", 80), "tcp"),
        (packet(CLIENT, "10.0.0.4", 80, protocol=UDP), "udp"),
        (echo(CLIENT, "10.0.0.4"), "icmp"),
        (echo(CLIENT6, "fd00:1::4"), "icmp"),
        (packet(CLIENT, "10.0.0.4", protocol=ESP), "esp"),
        (packet(CLIENT, "10.0.0.4", protocol=AH), "ah"),
        (packet(CLIENT6, "fd00:1::4", protocol=AH), "ah"),
        (packet(CLIENT, "10.0.0.4", protocol=47), "DenyAllInBound"),
        # The other family's ICMP is nobody's protocol.
        (packet(CLIENT, "10.0.0.4", protocol=58), "DenyAllInBound"),
        (packet(CLIENT6, "fd00:1::4", protocol=1), "DenyAllInBound"),
    ],
)
def test_protocols(first: PacketHeader, rule_name: str) -> None:
    """Each protocol is matched by its own rule."""
    names = ("Tcp", "Udp", "Icmp", "Esp", "Ah")
    rules = (
        rule(name.lower(), 100 + index, INBOUND, ALLOW, name) for index, name in enumerate(names)
    )
    assert run(one_nic(group("nsg", *rules)), first).rule == rule_name


def test_icmp_under_rules_for_tcp() -> None:
    """29: only a rule for any protocol matches an echo request."""
    nsg = group(
        "nsg",
        rule("tcp-only", 100, INBOUND, ALLOW, "Tcp"),
        rule("deny-rest", 200, INBOUND, DENY),
    )
    decision = run(one_nic(nsg), echo(CLIENT, "10.0.0.4"))
    assert named(decision) == (DENY, "nsg", "deny-rest")


@pytest.mark.parametrize(
    ("source", "destination"),
    [(CLIENT, "8.8.8.8"), (CLIENT6, "2600:2::1"), ("10.0.9.4", CLIENT)],
)
def test_unmanaged(source: str, destination: str) -> None:
    """Traffic that touches nothing declared has no access: a setting decides it."""
    decision = run(one_nic(group("nsg")), packet(source, destination, 80))
    assert decision == Decision(None, Reason.UNMANAGED)


def test_ambiguous() -> None:
    """An address of two networks that nothing settles is denied under a reason of its own."""
    networks = tuple(
        VirtualNetwork(name, prefixes("10.0.0.0/16"), (subnet("s", "10.0.0.0/24"),))
        for name in ("red", "blue")
    )
    nics = (
        nic("red-vm", "10.0.0.4", "s", network="red", link="veth-red"),
        nic("blue-vm", "10.0.0.4", "s", "nsg", network="blue", link="veth-blue"),
    )
    policy = compile_policy(NetworkModel(networks, nics, (group("nsg"),)))
    first = packet(CLIENT, "10.0.0.4", 80)
    assert run(policy, first) == Decision(DENY, Reason.AMBIGUOUS_NETWORK)
    assert run(policy, first.reversed()) == Decision(DENY, Reason.AMBIGUOUS_NETWORK)
    # The link tells.
    to_red = decide(policy, first, "uplink", "veth-red")
    to_blue = decide(policy, first, "uplink", "veth-blue")
    assert to_red == Decision(ALLOW, Reason.NO_NSG)
    assert named(to_blue) == (DENY, "nsg", "DenyAllInBound")
