"""The oracle's platform rules, mail, scale sets, published tags and open flows, by hand.

Worked vectors carry their number in section 12 of the project's notes on Azure's semantics;
the tables pin the choices of 13.7 and 13.8 at their edges.
"""

from __future__ import annotations

from typing import Any

import pytest

from .open_flows import OpenFlows, turned
from .oracle import Oracle, Packet
from .test_oracle import (
    ALLOW_80,
    IN_80,
    INTERNET_HOST,
    icmp,
    one_network,
    overlapping,
    rule,
    tcp,
    two_networks,
    verdict,
)

HOST = "168.63.129.16"
METADATA = "169.254.169.254"
KMS = "23.102.135.246"
VM = "10.0.0.4"
ALLOWED_HOST = ("Allow", "NSG2", "platformRules/AllowHostOutBound")
ALLOWED_METADATA = ("Allow", "NSG2", "platformRules/AllowMetadataOutBound")
ALLOWED_KMS = ("Allow", "NSG2", "platformRules/AllowKeyManagementOutBound")
DENIED_MAIL = ("Deny", "", "platformRules/DenySmtpOutBound")
DENY_ALL = rule(100, "Deny", direction="Outbound", name="DenyAll")


def udp(source: str, destination: str, port: int, source_port: int = 60000) -> Packet:
    return tcp(source, destination, port, source_port=source_port)._replace(protocol=17)


def deny(tag: str, priority: int = 200, **fields: Any) -> dict[str, Any]:
    """An outbound Deny to a tag."""
    return rule(priority, "Deny", direction="Outbound", destination=tag, name="DenyTag", **fields)


def outbound(*rules: dict[str, Any], **network: Any) -> dict[str, Any]:
    return one_network({"vm": VM}, interface_group=rules, **network)


# -- open flows ----------------------------------------------------------------------------


def test_an_open_flow_outlives_its_rule() -> None:
    """Vector 26 (NSG): the session goes on, a new one is refused."""
    ssh = [rule(100, "Allow", protocol="Tcp", ports="22")]
    flows = OpenFlows(one_network({"vm": VM}, interface_group=ssh))
    session = tcp(INTERNET_HOST, VM, 22)
    assert flows.pass_packet(session) == "Allow"
    flows.replace(one_network({"vm": VM}, interface_group=[]))
    assert flows.pass_packet(session) == "Allow"
    assert flows.pass_packet(session._replace(source_port=60001)) == "Deny"


def test_replies_need_no_rule() -> None:
    """Vectors 27 and 28 (SEED, NSG): in either direction; without the request they are refused."""
    request = tcp(VM, INTERNET_HOST)
    document = outbound(rule(100, "Allow", direction="Outbound", protocol="Tcp", ports="80"))
    assert OpenFlows(document).pass_packet(turned(request)) == "Deny"
    flows = OpenFlows(document)
    assert [flows.pass_packet(p) for p in (request, turned(request))] == ["Allow", "Allow"]

    document = one_network({"vm": VM}, interface_group=[*ALLOW_80, DENY_ALL])
    assert OpenFlows(document).pass_packet(turned(IN_80)) == "Deny"
    flows = OpenFlows(document)
    assert [flows.pass_packet(p) for p in (IN_80, turned(IN_80))] == ["Allow", "Allow"]


def test_icmp_under_tcp_rules() -> None:
    """Vector 29 (SEED): a rule of another protocol passes it by, and * stops it."""
    rules = [rule(100, "Allow", protocol="Tcp"), rule(4096, "Deny", name="DenyRest")]
    answer = Oracle(one_network({"vm": VM}, interface_group=rules)).judge(icmp(INTERNET_HOST, VM))
    assert verdict(answer) == ("Deny", "NSG2", "DenyRest")


# -- platform rules --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "packet", "expected"),
    [
        # Vector 30: Deny * * does not reach the platform.
        ([DENY_ALL], udp(VM, HOST, 53), ALLOWED_HOST),
        ([DENY_ALL], tcp(VM, HOST, 32526), ALLOWED_HOST),
        ([DENY_ALL], icmp(VM, HOST), ALLOWED_HOST),
        ([DENY_ALL], tcp(VM, METADATA, 80), ALLOWED_METADATA),
        ([DENY_ALL], icmp(VM, METADATA), ALLOWED_METADATA),
        ([DENY_ALL], tcp(VM, "168.63.129.17", 80), ("Deny", "NSG2", "DenyAll")),
        ([DENY_ALL], tcp(VM, "169.254.169.253", 80), ("Deny", "NSG2", "DenyAll")),
        (
            [rule(100, "Deny", direction="Outbound", destination=HOST)],
            udp(VM, HOST, 53),
            ALLOWED_HOST,
        ),
        # Vector 31: a rule on the platform's tag does, whatever stands before it.
        ([DENY_ALL, deny("AzurePlatformDNS")], udp(VM, HOST, 53), ("Deny", "NSG2", "DenyTag")),
        ([deny("AZUREPLATFORMDNS")], tcp(VM, HOST, 53), ("Deny", "NSG2", "DenyTag")),
        ([deny("AzurePlatformDNS")], udp(VM, HOST, 52), ALLOWED_HOST),
        ([deny("AzurePlatformDNS")], udp(VM, HOST, 54), ALLOWED_HOST),
        ([deny("AzurePlatformDNS")], udp(VM, HOST, 67, source_port=53), ALLOWED_HOST),
        ([deny("AzurePlatformDNS")], icmp(VM, HOST), ALLOWED_HOST),
        ([deny("AzurePlatformDNS")], udp(VM, METADATA, 53), ALLOWED_METADATA),
        (
            [rule(100, "Allow", direction="Outbound"), deny("AzurePlatformDNS", 4096)],
            udp(VM, HOST, 53),
            ("Deny", "NSG2", "DenyTag"),
        ),
        # Another's name servers are none of the platform's.
        (
            [deny("AzurePlatformDNS")],
            udp(VM, "8.8.8.8", 53),
            ("Allow", "NSG2", "AllowInternetOutBound"),
        ),
        (
            [deny("AzurePlatformIMDS", protocol="Tcp", ports="80")],
            tcp(VM, METADATA, 80),
            ("Deny", "NSG2", "DenyTag"),
        ),
        (
            [deny("AzurePlatformIMDS", protocol="Tcp", ports="80")],
            tcp(VM, METADATA, 81),
            ALLOWED_METADATA,
        ),
        ([deny("AzurePlatformIMDS", protocol="Tcp")], icmp(VM, METADATA), ALLOWED_METADATA),
        ([deny("AzurePlatformIMDS")], icmp(VM, METADATA), ("Deny", "NSG2", "DenyTag")),
        # Only for some sources.
        ([deny("AzurePlatformIMDS", source="10.0.0.5")], tcp(VM, METADATA), ALLOWED_METADATA),
        # As a source the tag is one side of an ordinary rule.
        (
            [rule(100, "Deny", direction="Outbound", source="AzurePlatformIMDS")],
            tcp(VM, METADATA),
            ALLOWED_METADATA,
        ),
    ],
)
def test_traffic_to_the_platform(
    rules: list[dict[str, Any]], packet: Packet, expected: tuple[str, str, str]
) -> None:
    """Vectors 30 and 31 (NSG, TAGS), 13.7."""
    assert verdict(Oracle(outbound(*rules)).judge(packet)) == expected


def test_a_platform_tag_as_source_waits_its_turn() -> None:
    """Only a destination goes ahead of the exemption and of the other rules."""
    rules = [
        rule(100, "Allow", direction="Outbound", ports="80"),
        rule(200, "Deny", direction="Outbound", source="AzurePlatformIMDS"),
    ]
    document = {**outbound(*rules), "platformAddresses": {"metadata": [VM]}}
    oracle = Oracle(document)
    assert verdict(oracle.judge(tcp(VM, INTERNET_HOST))) == ("Allow", "NSG2", "Rule100")
    assert verdict(oracle.judge(tcp(VM, INTERNET_HOST, 81))) == ("Deny", "NSG2", "Rule200")
    assert verdict(oracle.judge(tcp(VM, HOST, 81))) == ALLOWED_HOST


def test_each_group_is_asked_of_the_platform() -> None:
    """One group's exemption is not the other's."""
    document = one_network({"vm": VM}, interface_group=[], subnet_group=[deny("AzurePlatformIMDS")])
    answer = Oracle(document).judge(tcp(VM, METADATA))
    assert answer.consulted == (
        ("NSG2", "Outbound", "platformRules/AllowMetadataOutBound", "Allow"),
        ("NSG1", "Outbound", "DenyTag", "Deny"),
    )


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        # Vector 32 (TAGS): VirtualNetwork holds the host's address.
        ([], ("Allow", "NSG2", "AllowVnetInBound")),
        (
            [rule(100, "Deny", source="AzureLoadBalancer", name="NoProbes")],
            ("Deny", "NSG2", "NoProbes"),
        ),
        ([rule(100, "Deny", name="DenyAllIn")], ("Deny", "NSG2", "DenyAllIn")),
    ],
)
def test_probes_are_judged(rules: list[dict[str, Any]], expected: tuple[str, str, str]) -> None:
    """Vector 32, 13.7: inbound from the host the ordinary rules decide."""
    document = one_network({"vm": VM}, interface_group=rules)
    assert verdict(Oracle(document).judge(tcp(HOST, VM))) == expected


@pytest.mark.parametrize(
    ("routes", "rules", "packet", "expected"),
    [
        ([], [DENY_ALL], tcp(VM, KMS, 1688), ALLOWED_KMS),
        ([], [DENY_ALL], tcp(VM, KMS, 1687), ("Deny", "NSG2", "DenyAll")),
        ([], [DENY_ALL], tcp(VM, KMS, 1689), ("Deny", "NSG2", "DenyAll")),
        ([], [DENY_ALL], udp(VM, KMS, 1688), ("Deny", "NSG2", "DenyAll")),
        ([], [DENY_ALL], tcp(VM, INTERNET_HOST, 1688), ("Deny", "NSG2", "DenyAll")),
        (["0.0.0.0/0"], [DENY_ALL], tcp(VM, KMS, 1688), ("Deny", "NSG2", "DenyAll")),
        (["0.0.0.0/0"], [], tcp(VM, KMS, 1688), ("Allow", "NSG2", "AllowVnetOutBound")),
        (["::/0", "128.0.0.0/1"], [DENY_ALL], tcp(VM, KMS, 1688), ALLOWED_KMS),
        ([], [deny("AzurePlatformLKM")], tcp(VM, KMS, 1688), ("Deny", "NSG2", "DenyTag")),
        ([], [deny("AzurePlatformLKM")], udp(VM, KMS, 1688), ("Deny", "NSG2", "DenyTag")),
        (
            [],
            [deny("AzurePlatformLKM")],
            tcp(VM, KMS, 80),
            ("Allow", "NSG2", "AllowInternetOutBound"),
        ),
    ],
)
def test_key_management(
    routes: list[str], rules: list[dict[str, Any]], packet: Packet, expected: tuple[str, str, str]
) -> None:
    """NSG, 7: outbound 1688, off where a default route is configured."""
    assert verdict(Oracle(outbound(*rules, routes=routes)).judge(packet)) == expected


@pytest.mark.parametrize(
    ("addresses", "packet", "expected"),
    [
        ({}, udp(VM, HOST, 53), ALLOWED_HOST),
        ({"host": None}, udp(VM, HOST, 53), ALLOWED_HOST),
        ({"host": []}, udp(VM, HOST, 53), ("Deny", "NSG2", "DenyAll")),
        ({"host": ["8.8.8.8"]}, udp(VM, HOST, 53), ("Deny", "NSG2", "DenyAll")),
        ({"host": ["8.8.8.8"]}, udp(VM, "8.8.8.8", 53), ALLOWED_HOST),
        ({"metadata": []}, tcp(VM, METADATA), ("Deny", "NSG2", "DenyAll")),
        ({"keyManagement": []}, tcp(VM, KMS, 1688), ("Deny", "NSG2", "DenyAll")),
        # An address that is both is the host's.
        ({"metadata": [HOST]}, udp(VM, HOST, 53), ALLOWED_HOST),
        ({"loadBalancer": []}, tcp(HOST, VM), ("Allow", "NSG2", "AllowVnetInBound")),
        ({"host": []}, tcp(HOST, VM), ("Allow", "NSG2", "AllowAzureLoadBalancerInBound")),
        ({"host": [], "loadBalancer": []}, tcp(HOST, VM), ("Deny", "NSG2", "DenyAllInBound")),
    ],
)
def test_other_platform_addresses(
    addresses: dict[str, Any], packet: Packet, expected: tuple[str, str, str]
) -> None:
    """13.7: all are settings, and [] is none of them."""
    document = {**outbound(DENY_ALL), "platformAddresses": addresses}
    assert verdict(Oracle(document).judge(packet)) == expected


# -- mail -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subscription", "created", "denied"),
    [
        (None, None, False),
        ({"kind": "PayAsYouGo", "created": "2017-11-15"}, None, True),
        ({"kind": "PayAsYouGo", "created": "2017-11-14"}, None, False),
        ({"kind": "PayAsYouGo", "created": "2018-01-31"}, "2024-01-01", True),
        ({"kind": "MSDN", "created": "2018-01-31"}, None, True),
        ({"kind": "CloudServiceProvider", "created": "2018-01-31"}, None, True),
        ({"kind": "EnterpriseAgreement", "created": "2018-01-31"}, None, False),
        ({"kind": "ENTERPRISEAGREEMENT", "created": "2018-01-31"}, None, False),
        ({"kind": "EnterpriseDevTest", "created": "2018-01-31"}, "2024-01-01", True),
        *(
            (
                {
                    "kind": "EnterpriseDevTest",
                    "created": "2018-01-31",
                    "smtpExempted": "2019-05-01",
                },
                created,
                denied,
            )
            for created, denied in (
                (None, True),
                ("2019-04-30", True),
                ("2019-05-01", False),
                ("2019-05-02", False),
            )
        ),
    ],
)
def test_who_may_send_mail(
    subscription: dict[str, Any] | None, created: str | None, denied: bool
) -> None:
    """7, 13.8: by subscription and day, ahead of every group and also where there is none."""
    for group in ([rule(100, "Allow", direction="Outbound")], [DENY_ALL], None):
        document = one_network({"vm": VM}, interface_group=group)
        document["subscription"] = subscription
        document["networkInterfaces"][0]["created"] = created
        answer = Oracle(document).judge(tcp(VM, INTERNET_HOST, 25))
        if denied:
            assert verdict(answer) == DENIED_MAIL
            assert answer.consulted == (("", "Outbound", "platformRules/DenySmtpOutBound", "Deny"),)
        elif group is None:
            assert verdict(answer) == ("Allow", None, None)
        else:
            assert answer.network_security_group == "NSG2"


@pytest.mark.parametrize(
    ("packet", "denied"),
    [
        (tcp(VM, INTERNET_HOST, 25), True),
        (tcp(VM, INTERNET_HOST, 24), False),
        (tcp(VM, INTERNET_HOST, 26), False),
        (tcp(VM, INTERNET_HOST, 587), False),
        (udp(VM, INTERNET_HOST, 25), False),
        (tcp(VM, INTERNET_HOST, 80, source_port=25), False),
        (tcp(INTERNET_HOST, VM, 25), False),
        (tcp(VM, "10.0.0.9", 25), False),
        (tcp(VM, "10.1.0.4", 25), False),  # a peer
        (tcp(VM, "192.168.7.9", 25), False),  # private, behind the peer's gateway
        (tcp(VM, "172.31.0.100", 25), False),
        (tcp(VM, HOST, 25), True),  # the Internet tag holds it (REC)
        (tcp(VM, METADATA, 25), False),
        (tcp("10.0.0.77", INTERNET_HOST, 25), True),  # an undeclared resource of the subnet
        (tcp("10.1.0.9", INTERNET_HOST, 25), True),  # of a network without any group
        (tcp("10.0.9.9", INTERNET_HOST, 25), False),  # in no subnet: not ours
    ],
)
def test_what_is_mail(packet: Packet, denied: bool) -> None:
    """13.8: outbound TCP port 25 to the Internet tag as its network sees it."""
    document = two_networks({"peerings": ["right"]}, {"peerings": ["vnet"]})
    document["subscription"] = {"kind": "FreeTrial", "created": "2018-01-31"}
    assert (verdict(Oracle(document).judge(packet)) == DENIED_MAIL) == denied


# -- scale sets -------------------------------------------------------------------------------


def with_scale_set(**fields: Any) -> dict[str, Any]:
    """A scale set 10.0.0.32/27 around a declared interface 10.0.0.40."""
    document = one_network(
        {"vm": VM, "inside": "10.0.0.40"},
        subnet_group=[rule(100, "Allow", ports="80")],
        interface_group=[],
    )
    document["networkSecurityGroups"] += [
        {"name": "Set", "securityRules": [rule(100, "Allow", destination="asg:web", ports="80")]},
    ]
    document["applicationSecurityGroups"] = [{"name": "Web", "virtualNetwork": "vnet"}]
    document["scaleSets"] = [
        {
            "name": "set",
            "subnet": "VNET/default",
            "privateIPAddressPrefixes": ["10.0.0.32/27"],
            **fields,
        }
    ]
    return document


SET_GROUPS = {"networkSecurityGroup": "set", "applicationSecurityGroups": ["WEB"]}


@pytest.mark.parametrize(
    ("fields", "address", "consulted"),
    [
        (SET_GROUPS, "10.0.0.32", ["NSG1 Rule100", "Set Rule100"]),
        (SET_GROUPS, "10.0.0.63", ["NSG1 Rule100", "Set Rule100"]),
        (SET_GROUPS, "10.0.0.31", ["NSG1 Rule100"]),
        (SET_GROUPS, "10.0.0.64", ["NSG1 Rule100"]),
        # A declared interface goes first, with its own groups.
        (SET_GROUPS, "10.0.0.40", ["NSG1 Rule100", "NSG2 DenyAllInBound"]),
        # A scale set without a group, and one that is no member.
        ({}, "10.0.0.33", ["NSG1 Rule100"]),
        ({"networkSecurityGroup": "Set"}, "10.0.0.33", ["NSG1 Rule100", "Set DenyAllInBound"]),
    ],
)
def test_instances_of_a_scale_set(
    fields: dict[str, Any], address: str, consulted: list[str]
) -> None:
    """An instance has the scale set's group as an interface has its own."""
    answer = Oracle(with_scale_set(**fields)).judge(tcp(INTERNET_HOST, address))
    assert [f"{group} {name}" for group, _, name, _ in answer.consulted] == consulted


def test_a_declared_interface_is_in_its_own_application_groups_only() -> None:
    """The scale set around it does not make it a member."""
    document = with_scale_set(**SET_GROUPS)
    document["networkInterfaces"][1]["networkSecurityGroup"] = "Set"
    answer = Oracle(document).judge(tcp(INTERNET_HOST, "10.0.0.40"))
    assert verdict(answer) == ("Deny", "Set", "DenyAllInBound")
    document["networkInterfaces"][1]["applicationSecurityGroups"] = ["Web"]
    answer = Oracle(document).judge(tcp(INTERNET_HOST, "10.0.0.40"))
    assert verdict(answer) == ("Allow", "Set", "Rule100")


def test_another_networks_interface_leaves_an_instance_its_address() -> None:
    """13.16: every lookup is by network and address."""
    document = overlapping(None)
    document["networkInterfaces"][0]["privateIPAddresses"] = ["10.0.0.40"]
    document["applicationSecurityGroups"] = [{"name": "web", "virtualNetwork": "blue"}]
    document["networkSecurityGroups"][1]["securityRules"] = [
        rule(100, "Deny", destination="asg:web", name="DenyWeb")
    ]
    document["scaleSets"] = [
        {
            "name": "set",
            "subnet": "blue/s",
            "privateIPAddressPrefixes": ["10.0.0.32/27"],
            "applicationSecurityGroups": ["web"],
        }
    ]
    answer = Oracle(document).judge(tcp(VM, "10.0.0.40", in_link="veth-blue"))
    assert verdict(answer) == ("Deny", "blue", "DenyWeb")


@pytest.mark.parametrize(
    ("created", "denied"), [(None, True), ("2019-04-30", True), ("2019-05-01", False)]
)
def test_mail_of_instances(created: str | None, denied: bool) -> None:
    """13.8: the scale set's day counts for them."""
    document = with_scale_set(created=created)
    document["subscription"] = {
        "kind": "EnterpriseDevTest",
        "created": "2018-01-31",
        "smtpExempted": "2019-05-01",
    }
    answer = Oracle(document).judge(tcp("10.0.0.33", INTERNET_HOST, 25))
    assert (verdict(answer) == DENIED_MAIL) == denied


# -- published tags ---------------------------------------------------------------------------


def tag_file(**tags: list[str]) -> dict[str, Any]:
    return {
        "changeNumber": 1,
        "cloud": "Public",
        "values": [
            {
                "name": name.replace("__", "."),
                "id": name,
                "properties": {"addressPrefixes": prefixes},
            }
            for name, prefixes in tags.items()
        ],
    }


FILES = {
    "Public": tag_file(
        Storage=["20.40.0.0/16", "2603:1000::/24"],
        Storage__WestUS=["20.40.1.0/24", "20.40.0.0/23"],
        Internet=["10.0.0.0/8"],
        AzurePlatformIMDS=["20.40.9.9/32"],
    ),
    "AzureGovernment": tag_file(Storage=["52.1.0.0/16"]),
}


@pytest.mark.parametrize(
    ("tag", "cloud", "address", "matches"),
    [
        ("Storage", None, "20.40.0.0", True),
        ("Storage", None, "20.40.255.255", True),
        ("Storage", None, "20.41.0.0", False),
        ("STORAGE", "Public", "2603:10ff:ffff::1", True),
        ("storage", None, "2603:1100::", False),
        ("storage.westus", None, "20.40.0.255", True),
        ("Storage.WestUS", None, "20.40.2.0", False),
        ("Storage.WestUS", None, "2603:1000::1", False),
        ("Storage", "AzureGovernment", "20.40.0.0", False),
        ("Storage", "AzureGovernment", "52.1.255.255", True),
        # Computed, whatever a file holds of the name.
        ("Internet", None, "10.9.9.9", False),
        ("Internet", None, "20.40.0.1", True),
    ],
)
def test_published_tags(tag: str, cloud: str | None, address: str, matches: bool) -> None:
    """TAGS: a name is looked up whole and without case, in the file of the document's cloud."""
    document = one_network({"vm": VM}, interface_group=[rule(100, "Allow", source=tag)])
    if cloud:
        document["serviceTags"] = {"cloud": cloud}
    vm = "fd00:10::4" if ":" in address else VM
    document["networkInterfaces"][0]["privateIPAddresses"].append("fd00:10::4")
    answer = Oracle(document, FILES).judge(tcp(address, vm))
    assert (answer.rule == "Rule100") == matches


def test_a_file_does_not_move_the_platform() -> None:
    """A platform's tag means the platform's addresses, not those of the file."""
    oracle = Oracle(outbound(deny("AzurePlatformIMDS")), FILES)
    assert verdict(oracle.judge(tcp(VM, METADATA))) == ("Deny", "NSG2", "DenyTag")
    assert oracle.judge(tcp(VM, "20.40.9.9")).access == "Allow"
