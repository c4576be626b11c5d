"""Documents become one model, or every problem at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from nsgd.config.load import load_documents
from nsgd.config.problem import ConfigRefused
from nsgd.model.address import ALL_PORTS, Address, PortRange, Prefix
from nsgd.model.admin import AzureService
from nsgd.model.network import (
    ApplicationSecurityGroup,
    NetworkInterface,
    NetworkModel,
    NetworkSecurityGroup,
    Peering,
    ScaleSet,
    ServiceTagPrefixes,
    Subnet,
    VirtualNetwork,
)
from nsgd.model.platform import PlatformAddresses, Subscription, SubscriptionKind
from nsgd.model.rule import (
    Access,
    AnyAddress,
    Direction,
    GroupMembers,
    PlatformService,
    PlatformTag,
    PrefixList,
    Protocol,
    PublishedTag,
    SecurityRule,
    ServiceTag,
    TagAddress,
)
from nsgd.model.settings import DaemonSettings, UnmanagedTraffic
from tests.config.documents import (
    FULL,
    Raw,
    group,
    interface,
    load,
    network,
    refuse,
    refuse_one,
    rule,
)
from tests.config.test_admin_rules import FULL_CONFIGURATIONS


def test_a_full_document() -> None:
    """Every field arrives, references in the spelling of the declaration."""
    config = load(FULL)
    web = Subnet("web", (Prefix.parse("10.0.1.0/24"), Prefix.parse("fd00:10:0:1::/64")), "web")
    services = (AzureService.APPLICATION_GATEWAY, AzureService.DATABRICKS)
    assert config.model == NetworkModel(
        (
            VirtualNetwork(
                "lab",
                (Prefix.parse("10.0.0.0/16"), Prefix.parse("fd00:10::/48")),
                (web, Subnet("db", (Prefix.parse("10.0.2.0/24"),), services=services)),
                (Peering("other", allow_gateway_transit=True),),
                (Prefix.parse("192.168.0.0/16"),),
                (Prefix.parse("0.0.0.0/0"),),
            ),
            VirtualNetwork(
                "other",
                (Prefix.parse("10.1.0.0/16"),),
                (Subnet("app", (Prefix.parse("10.1.1.0/24"),)),),
                (Peering("lab", use_remote_gateways=True),),
            ),
        ),
        (
            NetworkInterface(
                "web1",
                "lab",
                "web",
                (Address.parse("10.0.1.4"), Address.parse("fd00:10:0:1::4")),
                "veth-web1",
                "web",
                True,
                ("WebServers",),
                date(2020, 1, 1),
            ),
            NetworkInterface("app1", "other", "app", (Address.parse("10.1.1.4"),)),
        ),
        (
            NetworkSecurityGroup(
                "web",
                (
                    SecurityRule(
                        "AllowHttp",
                        100,
                        Direction.INBOUND,
                        Access.ALLOW,
                        Protocol.TCP,
                        TagAddress(ServiceTag.INTERNET),
                        (ALL_PORTS,),
                        AnyAddress(),
                        (PortRange(80, 80), PortRange(443, 443), PortRange(8000, 8080)),
                        "the site",
                    ),
                    SecurityRule(
                        "DenyDb",
                        100,
                        Direction.OUTBOUND,
                        Access.DENY,
                        Protocol.ANY,
                        GroupMembers(("WebServers",)),
                        (ALL_PORTS,),
                        PrefixList((Prefix.parse("10.0.2.0/24"), Prefix.parse("10.0.3.1"))),
                        (PortRange(5432, 5432),),
                    ),
                    SecurityRule(
                        "AllowStorage",
                        101,
                        Direction.OUTBOUND,
                        Access.ALLOW,
                        Protocol.TCP,
                        TagAddress(ServiceTag.VIRTUAL_NETWORK),
                        (ALL_PORTS,),
                        PublishedTag("Storage.WestUS"),
                        (PortRange(443, 443),),
                    ),
                    SecurityRule(
                        "DenyDns",
                        102,
                        Direction.OUTBOUND,
                        Access.DENY,
                        Protocol.ANY,
                        destination=PlatformTag(PlatformService.DNS),
                    ),
                    SecurityRule(
                        "DenyDbIPv6",
                        103,
                        Direction.OUTBOUND,
                        Access.DENY,
                        Protocol.ANY,
                        PrefixList((Prefix.parse("fd00:10:0:1::/64"),)),
                        (ALL_PORTS,),
                        PrefixList((Prefix.parse("fd00:10:0:2::/64"), Prefix.parse("fd00::1"))),
                        (PortRange(5432, 5432),),
                    ),
                ),
            ),
        ),
        (
            ApplicationSecurityGroup("WebServers", "lab"),
            ApplicationSecurityGroup("Empty"),
            ApplicationSecurityGroup("Apps", "other"),
        ),
        scale_sets=(
            ScaleSet(
                "pool",
                "lab",
                "db",
                (Prefix.parse("10.0.2.32/27"),),
                "web",
                ("WebServers",),
                date(2021, 1, 1),
            ),
        ),
        platform=PlatformAddresses(
            host=(Address.parse("168.63.129.16"),),
            metadata=(),
            load_balancer=(Address.parse("fe80::1234:5678:9abc"),),
        ),
        subscription=Subscription(
            SubscriptionKind.ENTERPRISE_DEV_TEST, date(2018, 1, 31), date(2019, 5, 1)
        ),
        service_tags=(ServiceTagPrefixes("Storage.WestUS", (Prefix.parse("20.38.98.0/25"),)),),
        security_admin_configurations=FULL_CONFIGURATIONS,
    )
    assert config.settings == DaemonSettings(
        unmanaged_traffic=UnmanagedTraffic.DROP,
        metrics_host="::1",
        metrics_port=9481,
        queue_number=7,
        queue_length=512,
        mark_mask=0x00FFFFFF,
    )


def test_documents_are_joined_in_order() -> None:
    """Lists concatenate, across YAML and JSON, and references cross documents both ways."""
    config = load(
        {"networkInterfaces": [interface(networkSecurityGroup="b")], "daemon": {"queueNumber": 3}},
        {"virtualNetworks": [network()], **group(name="a")},
        "networkSecurityGroups: [{name: b}]",
    )
    assert [item.name for item in config.model.network_security_groups] == ["a", "b"]
    assert config.model.network_interfaces[0].network_security_group == "b"
    assert config.settings == replace(DaemonSettings(), queue_number=3)


@pytest.mark.parametrize(
    "documents",
    [({},), ({"networkSecurityGroups": []},), ({}, {"daemon": {}}), ({"daemon": None},)],
)
def test_no_resource_at_all_is_refused(documents: tuple[Raw, ...]) -> None:
    """It would be an empty policy in force; what says how to run may stand by itself."""
    (problem,) = refuse(*documents)
    assert problem.message == "no resource is declared: nothing would be enforced"
    assert load(*documents, group()).model.network_security_groups
    assert load({"daemon": {"queueNumber": 1}}, {}).model == NetworkModel()


def test_no_document_at_all_is_refused() -> None:
    """An empty directory must not take every rule away."""
    with pytest.raises(ConfigRefused, match="there is none"):
        load_documents([])


def test_all_problems_of_all_documents_at_once() -> None:
    """Syntax, tables and cross-checks, by document and line."""
    problems = refuse(
        "networkSecurityGroups:\n- name: a\n  securityRules: 5\n- name: A\n",
        "a: *\n",
        {"daemon": {"queues": 17}},
        "virtualNetworks:\n- name: lab\n  addressSpace:\n  - 10.0.0.1/8\n",
    )
    assert [str(problem) for problem in problems] == [
        "d0:3: networkSecurityGroups[0].securityRules: 'a': 5 is not a list; write [5]",
        "d0:4: networkSecurityGroups[1].name: network security group name 'A' is already taken by "
        "networkSecurityGroups[0]; give it another name; names are compared without case",
        "d1:1: '*' stands here without quotes; quote it: '*'",
        "d2:1: daemon.queues: 17 is outside 1-16; write a number from 1 to 16",
        "d3:4: virtualNetworks[0].addressSpace[0]: 'lab': '10.0.0.1/8' has host bits set; "
        "write 10.0.0.0/8",
    ]


def test_an_unreadable_document_makes_no_name_unknown() -> None:
    """What is not found may be declared in the document that could not be read."""
    documents = {
        "networkInterfaces": [
            interface(networkSecurityGroup="x", applicationSecurityGroups=["y"]),
            interface("web2", subnet="bare"),
        ]
    }
    assert [problem.document for problem in refuse(documents, "a: *")] == ["d1"]
    assert len(refuse(documents)) == 4


def test_a_clash_between_documents_names_the_other() -> None:
    """The message leads to the first declaration."""
    path, message, _ = refuse_one(group(), group(name="WEB"))
    assert path == "networkSecurityGroups[0].name"
    assert message.endswith("is already taken by networkSecurityGroups[0] in d0")


def test_names_of_the_enclosing_objects_are_told() -> None:
    """Indexes alone would make the reader count."""
    path, message, way_out = refuse_one(group(rule(), rule(name="Other", priority=99)))
    assert path == "networkSecurityGroups[0].securityRules[1].priority"
    assert message == "'Other' of 'web': 99 is outside 100-4096"
    assert way_out == "write a number from 100 to 4096"
