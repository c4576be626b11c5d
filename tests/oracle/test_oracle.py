"""The oracle gives the verdicts that Azure's documents state.

The numbers are those of section 12 of the project's notes on Azure's semantics, which
lists the documented examples; each case names the document it comes from. Further
tables pin this project's own choices (13.x) at their edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from .oracle import Answer, Oracle, Packet

IPQ18 = "Diagnose a VM network traffic filter problem (2018-04-20)"
REC = "recorded answers of the service (azure-cli, network tests)"
JAVA = "azure-libraries-for-java, testNetworkWatcherFunctions.json"
HOW = "How network security groups filter network traffic"
ASG = "Application security groups"
DIAG = "Diagnose a network traffic filter problem (2018-05-29)"

INTERNET_HOST = "100.1.2.3"


def rule(
    priority: int,
    access: str,
    *,
    direction: str = "Inbound",
    source: str | Sequence[str] = "*",
    destination: str | Sequence[str] = "*",
    protocol: str = "*",
    ports: str | int | Sequence[str] = "*",
    source_ports: str | Sequence[str] = "*",
    name: str | None = None,
) -> dict[str, Any]:
    """A security rule; a list of addresses that starts with "asg:" names groups."""
    written: dict[str, Any] = {
        "name": name or f"Rule{priority}",
        "priority": priority,
        "direction": direction,
        "access": access,
        "protocol": protocol,
    }
    for side, value in (("source", source), ("destination", destination)):
        if not isinstance(value, str):
            written[f"{side}AddressPrefixes"] = list(value)
        elif value.startswith("asg:"):
            written[f"{side}ApplicationSecurityGroups"] = [value.removeprefix("asg:")]
        else:
            written[f"{side}AddressPrefix"] = value
    for field, ranges in (("sourcePortRange", source_ports), ("destinationPortRange", ports)):
        if isinstance(ranges, (str, int)):
            written[field] = ranges
        else:
            written[f"{field}s"] = list(ranges)
    return written


def one_network(
    interfaces: dict[str, str],
    *,
    interface_group: Sequence[dict[str, Any]] | None = None,
    subnet_group: Sequence[dict[str, Any]] | None = None,
    members: dict[str, str] | None = None,
    **network: Any,
) -> dict[str, Any]:
    """VNet 10.0.0.0/16 with one subnet, interfaces, and groups at either level."""
    groups = [
        {"name": name, "securityRules": list(rules)}
        for name, rules in (("NSG1", subnet_group), ("NSG2", interface_group))
        if rules is not None
    ]
    subnet: dict[str, Any] = {
        "name": "default",
        "addressPrefixes": ["10.0.0.0/24", "fd00:10::/64"],
    }
    if subnet_group is not None:
        subnet["networkSecurityGroup"] = "nsg1"
    written = []
    for name, address in interfaces.items():
        interface: dict[str, Any] = {
            "name": name,
            "subnet": "VNET/default",
            "privateIPAddresses": [address],
            "link": f"veth-{name}",
        }
        if interface_group is not None:
            interface["networkSecurityGroup"] = "nsg2"
        if members and name in members:
            interface["applicationSecurityGroups"] = [members[name]]
        written.append(interface)
    return {
        "virtualNetworks": [
            {
                "name": "vnet",
                "addressSpace": ["10.0.0.0/16", "fd00:10::/48"],
                "subnets": [subnet],
                **network,
            }
        ],
        "networkInterfaces": written,
        "networkSecurityGroups": groups,
        "applicationSecurityGroups": [
            {"name": name, "virtualNetwork": "vnet"} for name in sorted({*(members or {}).values()})
        ],
    }


def tcp(
    source: str,
    destination: str,
    port: int = 80,
    *,
    source_port: int = 60000,
    in_link: str | None = None,
    out_link: str | None = None,
) -> Packet:
    version = 6 if ":" in source else 4
    return Packet(version, 6, source, destination, source_port, port, in_link, out_link)


def icmp(source: str, destination: str, protocol: int = 1) -> Packet:
    version = 6 if ":" in source else 4
    return Packet(version, protocol, source, destination, 0, 0, None, None)


def verdict(answer: Answer) -> tuple[str, str | None, str | None]:
    return answer.access, answer.network_security_group, answer.rule


DEFAULTS = one_network({"vm": "10.0.0.4"}, interface_group=[])
REAL_INTERFACE = one_network({"vm": "10.0.0.9"}, interface_group=[])


@pytest.mark.parametrize(
    ("number", "source", "document", "packet", "access", "rule_name"),
    [
        (1, IPQ18, DEFAULTS, tcp("10.0.0.4", "13.107.21.200"), "Allow", "AllowInternetOutBound"),
        (2, IPQ18, DEFAULTS, tcp("10.0.0.4", "172.31.0.100"), "Deny", "DenyAllOutBound"),
        (3, IPQ18, DEFAULTS, tcp("172.31.0.100", "10.0.0.4"), "Deny", "DenyAllInBound"),
        (4, REC, REAL_INTERFACE, tcp(INTERNET_HOST, "10.0.0.9", 22), "Deny", "DenyAllInBound"),
        (5, REC, REAL_INTERFACE, tcp("10.0.0.9", INTERNET_HOST), "Allow", "AllowInternetOutBound"),
        (
            6,
            JAVA,
            DEFAULTS,
            tcp("10.0.0.4", "8.8.8.8", 443, source_port=443),
            "Allow",
            "AllowInternetOutBound",
        ),
    ],
)
def test_default_rules_of_an_interface(
    number: int, source: str, document: dict[str, Any], packet: Packet, access: str, rule_name: str
) -> None:
    """Vectors 1-6: the verdicts of IP flow verify with default rules only."""
    answer = Oracle(document).judge(packet)
    assert verdict(answer) == (access, "NSG2", rule_name), f"vector {number}, {source}"


ALLOW_80 = [rule(100, "Allow", ports="80", protocol="Tcp", name="AllowHttp")]
DENY_80_OUT = [rule(100, "Deny", direction="Outbound", ports="80", protocol="Tcp", name="DenyHttp")]
IN_80 = tcp(INTERNET_HOST, "10.0.0.4")
OUT_80 = tcp("10.0.0.4", INTERNET_HOST)


@pytest.mark.parametrize(
    ("number", "subnet_group", "interface_group", "packet", "access", "consulted"),
    [
        (7, ALLOW_80, [], IN_80, "Deny", ["NSG1 AllowHttp", "NSG2 DenyAllInBound"]),
        (8, [], ALLOW_80, IN_80, "Deny", ["NSG1 DenyAllInBound"]),
        (9, ALLOW_80, ALLOW_80, IN_80, "Allow", ["NSG1 AllowHttp", "NSG2 AllowHttp"]),
        (10, ALLOW_80, None, IN_80, "Allow", ["NSG1 AllowHttp"]),
        (11, None, ALLOW_80, IN_80, "Allow", ["NSG2 AllowHttp"]),
        (12, None, None, IN_80, "Allow", []),
        (12, None, None, OUT_80, "Allow", []),
        (
            13,
            [],
            [],
            OUT_80,
            "Allow",
            ["NSG2 AllowInternetOutBound", "NSG1 AllowInternetOutBound"],
        ),
        (14, [], DENY_80_OUT, OUT_80, "Deny", ["NSG2 DenyHttp"]),
    ],
)
def test_two_levels(
    number: int,
    subnet_group: list[dict[str, Any]] | None,
    interface_group: list[dict[str, Any]] | None,
    packet: Packet,
    access: str,
    consulted: list[str],
) -> None:
    """Vectors 7-14 (HOW): both levels must allow, in the order of the direction."""
    document = one_network(
        {"vm": "10.0.0.4"}, interface_group=interface_group, subnet_group=subnet_group
    )
    answer = Oracle(document).judge(packet)
    seen = [f"{group} {name}" for group, _, name, _ in answer.consulted]
    assert (answer.access, seen) == (access, consulted), f"vector {number}, {HOW}"
    # 13.3: the reported rule is the last that was consulted; none without a group.
    assert (answer.reason, answer.rule) == (
        ("rule", consulted[-1].split()[1]) if consulted else ("noNetworkSecurityGroup", None)
    )


def test_deny_all_cuts_a_subnet_from_itself() -> None:
    """Vector 15 (HOW): traffic inside a subnet is filtered too."""
    document = one_network(
        {"vm1": "10.0.0.4", "vm2": "10.0.0.5"},
        subnet_group=[rule(100, "Deny"), rule(100, "Deny", direction="Outbound", name="DenyOut")],
    )
    answer = Oracle(document).judge(tcp("10.0.0.4", "10.0.0.5"))
    assert verdict(answer) == ("Deny", "NSG1", "DenyOut")


def test_defaults_pass_traffic_inside_a_subnet() -> None:
    """Vector 16 (HOW): the sender's outbound, then the receiver's inbound."""
    document = one_network({"vm1": "10.0.0.4", "vm2": "10.0.0.5"}, subnet_group=[])
    answer = Oracle(document).judge(tcp("10.0.0.4", "10.0.0.5"))
    assert answer.consulted == (
        ("NSG1", "Outbound", "AllowVnetOutBound", "Allow"),
        ("NSG1", "Inbound", "AllowVnetInBound", "Allow"),
    )
    assert answer.direction == "Inbound"


ASG_EXAMPLE = one_network(
    {"nic1": "10.0.0.4", "nic2": "10.0.0.5", "nic3": "10.0.0.6", "nic4": "10.0.0.7"},
    subnet_group=[
        rule(100, "Allow", source="Internet", destination="asg:AsgWeb", protocol="Tcp", ports="80"),
        rule(
            110,
            "Allow",
            source="asg:AsgLogic",
            destination="asg:AsgDb",
            protocol="Tcp",
            ports="1433",
        ),
        rule(120, "Deny", destination="asg:AsgDb", ports="1433"),
    ],
    members={"nic1": "AsgWeb", "nic2": "AsgWeb", "nic3": "AsgLogic", "nic4": "AsgDb"},
)


@pytest.mark.parametrize(
    ("number", "packet", "access", "rule_name"),
    [
        (17, tcp(INTERNET_HOST, "10.0.0.4"), "Allow", "Rule100"),
        (18, tcp(INTERNET_HOST, "10.0.0.6"), "Deny", "DenyAllInBound"),
        (19, tcp("10.0.0.6", "10.0.0.7", 1433), "Allow", "Rule110"),
        (20, tcp("10.0.0.4", "10.0.0.7", 1433), "Deny", "Rule120"),
        (21, tcp("10.0.0.4", "10.0.0.6", 1433), "Allow", "AllowVnetInBound"),
    ],
)
def test_application_security_groups(
    number: int, packet: Packet, access: str, rule_name: str
) -> None:
    """Vectors 17-21 (ASG): a rule applies only to the members it names."""
    answer = Oracle(ASG_EXAMPLE).judge(packet)
    assert verdict(answer) == (access, "NSG1", rule_name), f"vector {number}, {ASG}"


@pytest.mark.parametrize("subnet_group", [None, ALLOW_80])
def test_allow_http_all(subnet_group: list[dict[str, Any]] | None) -> None:
    """Vector 33 (DIAG): the fix works in one group, and is needed in both where two are."""
    http = [
        rule(100, "Allow", destination="10.0.0.4", protocol="TCP", ports=80, name="Allow-HTTP-All")
    ]
    document = one_network(
        {"vm": "10.0.0.4"}, interface_group=http, subnet_group=subnet_group and http
    )
    assert verdict(Oracle(document).judge(IN_80)) == ("Allow", "NSG2", "Allow-HTTP-All"), DIAG


def test_network_security_group_diagnostics() -> None:
    """Vector 34 (REC): neither end is in VirtualNetwork, nor the source the balancer.

    The recorded answer lists each field's match; one allowing rule for each field
    that it calls unmatched must therefore not decide.
    """
    packet = tcp("12.11.12.14", "10.1.1.4", 12100, out_link="veth-vm")
    unmatched = [
        rule(100, "Allow", source="VirtualNetwork"),
        rule(110, "Allow", destination="VirtualNetwork"),
        rule(120, "Allow", source="AzureLoadBalancer"),
    ]
    for rules in ([], unmatched):
        answer = Oracle(one_network({"vm": "10.0.0.4"}, interface_group=rules)).judge(packet)
        assert verdict(answer) == ("Deny", "NSG2", "DenyAllInBound")


# -- edges of this project's choices -----------------------------------------------------


@pytest.mark.parametrize(
    ("address", "is_internet"),
    [
        # The recorded list's holes, one address on either side.
        ("0.255.255.255", False),
        ("1.0.0.0", True),
        ("9.255.255.255", True),
        ("10.0.0.0", False),
        ("11.0.0.0", True),
        ("100.63.255.255", True),
        ("100.64.0.0", False),
        ("100.128.0.0", True),
        ("172.15.255.255", True),
        ("172.16.0.0", False),
        ("172.32.0.0", True),
        ("168.63.129.16", True),
        ("192.0.0.0", True),
        ("192.0.2.0", False),
        ("198.51.100.1", True),
        ("203.0.113.1", True),
        ("198.20.0.0", True),
        ("223.255.255.255", True),
        ("224.0.0.0", False),
        ("255.255.255.255", False),
        # IANA IPv6 special-purpose address registry.
        ("::1", False),
        ("1fff:ffff::", False),
        ("2000::", True),
        ("2001::", False),
        ("2001:1::", False),
        ("2001:1::1", True),
        ("2001:1::4", False),
        ("2001:3::", True),
        ("2001:4:112::", True),
        ("2001:4:113::", False),
        ("2001:20::", True),
        ("2001:3f:ffff::", True),
        ("2001:40::", False),
        ("2001:200::", True),
        ("2001:db8::1", False),
        ("2002::1", False),
        ("2003::1", True),
        ("3ffe:ffff::", True),
        ("3fff::", False),
        ("3fff:1000::", True),
        ("4000::", False),
        ("fd00:10::4", False),
    ],
)
def test_internet_tag(address: str, is_internet: bool) -> None:
    """13.5: the globally reachable space and the three blocks of the recorded list."""
    document = one_network(
        {"vm": "10.0.0.4"}, interface_group=[rule(100, "Allow", source="INTERNET")]
    )
    answer = Oracle(document).judge(tcp(address, "10.0.0.4", out_link="veth-vm"))
    assert (answer.rule == "Rule100") == is_internet


def two_networks(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    """Networks left 10.0.0.0/16 (its interface has a group) and right 10.1.0.0/16."""
    document = one_network({"vm": "10.0.0.4"}, interface_group=[], **left)
    network: dict[str, Any] = {
        "name": "right",
        "addressSpace": ["10.1.0.0/16"],
        "onPremises": ["192.168.7.0/24"],
        "subnets": [{"name": "default", "addressPrefixes": ["10.1.0.0/24"]}],
    }
    document["virtualNetworks"].append({**network, **right})
    return document


TRANSIT = {"name": "vnet", "allowGatewayTransit": True}
REMOTE = {"name": "right", "useRemoteGateways": True}


@pytest.mark.parametrize(
    ("left", "right", "peer_passes", "on_premises_passes"),
    [
        ([], [], False, False),
        (["right"], [], False, False),
        ([], ["vnet"], False, False),
        (["Right"], ["VNET"], True, False),
        ([REMOTE], ["vnet"], True, False),
        (["right"], [TRANSIT], True, False),
        ([REMOTE], [TRANSIT], True, True),
        ([REMOTE], [], False, False),
    ],
)
def test_peerings(
    left: list[Any], right: list[Any], peer_passes: bool, on_premises_passes: bool
) -> None:
    """13.6: both sides must declare a peering, and both flags carry the gateway."""
    oracle = Oracle(two_networks({"peerings": left}, {"peerings": right}))
    assert (oracle.judge(tcp("10.0.0.4", "10.1.0.4")).access == "Allow") == peer_passes
    assert (oracle.judge(tcp("10.0.0.4", "192.168.7.9")).access == "Allow") == on_premises_passes


def test_peering_is_not_transitive() -> None:
    """13.6: a peer's peer is outside."""
    document = two_networks({"peerings": ["right"]}, {"peerings": ["vnet", "far"]})
    document["virtualNetworks"].append(
        {"name": "far", "addressSpace": ["10.2.0.0/16"], "peerings": ["right"], "subnets": []}
    )
    assert Oracle(document).judge(tcp("10.0.0.4", "10.2.0.4")).rule == "DenyAllOutBound"


def test_routes_widen_virtual_network_and_leave_internet() -> None:
    """TAGS: VirtualNetwork holds the prefixes of routes; 13.5: Internet keeps them."""
    document = one_network({"vm": "10.0.0.4"}, interface_group=[], routes=["0.0.0.0/0"])
    assert Oracle(document).judge(OUT_80).rule == "AllowVnetOutBound"
    assert Oracle(document).judge(IN_80).rule == "AllowVnetInBound"
    denied = one_network(
        {"vm": "10.0.0.4"},
        interface_group=[rule(100, "Deny", direction="Outbound", destination="Internet")],
        routes=["0.0.0.0/0"],
    )
    assert Oracle(denied).judge(OUT_80).rule == "Rule100"


def overlapping(hub_peers_with: str | None) -> dict[str, Any]:
    """Networks red and blue over the same space, and a hub peered with one of them."""
    networks: list[dict[str, Any]] = [
        {
            "name": name,
            "addressSpace": ["10.0.0.0/16"],
            "peerings": ["hub"] if name == hub_peers_with else [],
            "subnets": [
                {
                    "name": "s",
                    "addressPrefixes": ["10.0.0.0/24"],
                    "networkSecurityGroup": name,
                }
            ],
        }
        for name in ("red", "blue")
    ]
    networks.append(
        {
            "name": "hub",
            "addressSpace": ["10.9.0.0/16"],
            "peerings": [hub_peers_with] if hub_peers_with else [],
            "subnets": [{"name": "s", "addressPrefixes": ["10.9.0.0/24"]}],
        }
    )
    return {
        "virtualNetworks": networks,
        "networkInterfaces": [
            {
                "name": f"{name}-vm",
                "subnet": f"{name}/s",
                "privateIPAddresses": ["10.0.0.4"],
                "link": f"veth-{name}",
            }
            for name in ("red", "blue")
        ],
        "networkSecurityGroups": [{"name": name} for name in ("red", "blue")],
    }


@pytest.mark.parametrize(
    ("hub_peers_with", "packet", "reason", "group"),
    [
        # One end's link names the network of the other end.
        (None, tcp("10.0.0.4", "10.0.0.5", in_link="veth-red"), "rule", "red"),
        (None, tcp("10.0.0.5", "10.0.0.4", out_link="veth-blue"), "rule", "blue"),
        # An unambiguous address of a peer does too; without the peering it does not.
        ("blue", tcp("10.9.0.4", "10.0.0.4"), "rule", "blue"),
        (None, tcp("10.9.0.4", "10.0.0.4"), "ambiguousNetwork", None),
        # Nothing tells the two apart.
        (None, tcp("10.0.0.4", "10.0.0.5"), "ambiguousNetwork", None),
        (None, tcp(INTERNET_HOST, "10.0.0.4"), "ambiguousNetwork", None),
        # Both links known: never ambiguous.
        (
            None,
            tcp("10.0.0.4", "10.0.0.4", in_link="veth-red", out_link="veth-blue"),
            "rule",
            "blue",
        ),
    ],
)  # fmt: skip
def test_overlapping_networks(
    hub_peers_with: str | None, packet: Packet, reason: str, group: str | None
) -> None:
    """13.16: the link, then the other end's network, then its peers; else denied."""
    answer = Oracle(overlapping(hub_peers_with)).judge(packet)
    assert (answer.reason, answer.network_security_group) == (reason, group)
    assert (answer.access == "Deny") == (reason == "ambiguousNetwork")


@pytest.mark.parametrize(
    ("written", "packet", "matches"),
    [
        # 13.4: Icmp is 1 on IPv4 and 58 on IPv6; * is every protocol.
        (rule(100, "Allow", protocol="ICMP"), icmp(INTERNET_HOST, "10.0.0.4"), True),
        (rule(100, "Allow", protocol="Icmp"), icmp(INTERNET_HOST, "10.0.0.4", 58), False),
        (rule(100, "Allow", protocol="Icmp"), icmp("2a00::1", "fd00:10::4", 58), True),
        (rule(100, "Allow", protocol="Icmp"), icmp("2a00::1", "fd00:10::4", 1), False),
        (rule(100, "Allow", protocol="Esp"), icmp(INTERNET_HOST, "10.0.0.4", 50), True),
        (rule(100, "Allow", protocol="Ah"), icmp(INTERNET_HOST, "10.0.0.4", 51), True),
        (rule(100, "Allow"), icmp(INTERNET_HOST, "10.0.0.4", 132), True),
        # Packets without ports match only rules for every port.
        (rule(100, "Allow", ports="0-65534"), icmp(INTERNET_HOST, "10.0.0.4"), False),
        (rule(100, "Allow", ports=["1024-65535", "0-1023"]), icmp(INTERNET_HOST, "10.0.0.4"), True),
        (rule(100, "Allow", source_ports="1-65535"), icmp(INTERNET_HOST, "10.0.0.4"), False),
        (rule(100, "Allow", ports=0), tcp(INTERNET_HOST, "10.0.0.4", 0), True),
        # 0.0.0.0/0 is IPv4, ::/0 is IPv6, * is both.
        (rule(100, "Allow", source="0.0.0.0/0"), tcp("2a00::1", "fd00:10::4"), False),
        (rule(100, "Allow", source="::/0"), tcp("2a00::1", "fd00:10::4"), True),
        (rule(100, "Allow", source="::/0"), IN_80, False),
        (rule(100, "Allow", source="*"), tcp("2a00::1", "fd00:10::4"), True),
        # A single address is its own prefix.
        (rule(100, "Allow", source=INTERNET_HOST), IN_80, True),
        (rule(100, "Allow", source="100.1.2.4"), IN_80, False),
    ],
)  # fmt: skip
def test_rule_fields(written: dict[str, Any], packet: Packet, matches: bool) -> None:
    """What one rule matches, seen through a subnet's group (no interface declared)."""
    answer = Oracle(one_network({}, subnet_group=[written])).judge(packet)
    assert verdict(answer) == (
        ("Allow", "NSG1", "Rule100") if matches else ("Deny", "NSG1", "DenyAllInBound")
    )


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (tcp(INTERNET_HOST, "8.8.8.8"), "unmanaged"),
        (tcp("10.0.1.0", "8.8.8.8"), "unmanaged"),  # in the network, past the only subnet
        (tcp("10.0.0.255", "8.8.8.8"), "rule"),
        (tcp(INTERNET_HOST, "8.8.8.8", in_link="veth-vm"), "rule"),  # forwarded for others
        (tcp(INTERNET_HOST, "8.8.8.8", in_link="veth-other"), "unmanaged"),
    ],
)
def test_who_is_managed(packet: Packet, reason: str) -> None:
    """A packet is ours by its link, its interface's address or its subnet."""
    assert Oracle(one_network({"vm": "10.0.0.4"}, subnet_group=[])).judge(packet).reason == reason
