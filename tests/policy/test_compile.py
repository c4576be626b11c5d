"""One table per group, direction and network in use; the whole survives the hand-over."""

from __future__ import annotations

import marshal
from dataclasses import replace

from nsgd.model.network import NetworkModel, VirtualNetwork
from nsgd.policy.compile import CompiledPolicy, compile_policy
from nsgd.policy.evaluate import decide
from tests.policy.builders import (
    ALLOW,
    DENY,
    INBOUND,
    OUTBOUND,
    group,
    nic,
    packet,
    prefixes,
    rule,
    scale_set,
    subnet,
)

WEB = group(
    "web",
    rule("allow-web", 100, INBOUND, ALLOW, "Tcp", ports="80,443"),
    rule("deny-dns", 100, OUTBOUND, DENY, "Udp", ports="53"),
)
MODEL = NetworkModel(
    (
        VirtualNetwork(
            "red",
            prefixes("10.1.0.0/16", "fd00:1::/48"),
            (subnet("s", "10.1.0.0/24,fd00:1::/64", "web"), subnet("t", "10.1.1.0/24", "web")),
        ),
        VirtualNetwork("blue", prefixes("10.2.0.0/16"), (subnet("s", "10.2.0.0/24"),)),
    ),
    (
        nic("red-nic", "10.1.0.4", "s", "strict", network="red"),
        nic("blue-nic", "10.2.0.4", "s", "web", network="blue", link="veth-b"),
        nic("bare", "10.2.0.5", "s", network="blue"),
    ),
    (WEB, group("strict"), group("unused")),
)


def test_tables_are_shared_and_only_those_in_use() -> None:
    """Two subnets share the tables of their group; another network has its own."""
    policy = compile_policy(MODEL)
    found = [(table.network_security_group, table.direction) for table in policy.tables]
    assert found == [
        ("web", OUTBOUND),  # of red
        ("web", INBOUND),
        ("strict", OUTBOUND),
        ("strict", INBOUND),
        ("web", OUTBOUND),  # of blue
        ("web", INBOUND),
    ]
    endpoints = {e.name: (e.outbound, e.inbound) for e in policy.endpoint_map.endpoints}
    assert endpoints["red/s"] == endpoints["red/t"]
    assert endpoints["blue-nic"] != endpoints["red/s"]
    assert endpoints["blue/s"] == endpoints["bare"] == ((), ())
    for outbound, inbound in endpoints.values():
        assert all(policy.tables[index].direction is OUTBOUND for index in outbound)
        assert all(policy.tables[index].direction is INBOUND for index in inbound)
    by_group = {
        name: [policy.tables[index].network_security_group for index in inbound]
        for name, (_, inbound) in endpoints.items()
    }
    assert by_group["red-nic"] == ["web", "strict"]
    assert by_group["blue-nic"] == ["web"]


def test_the_same_group_sees_each_network_with_its_own_tags() -> None:
    """VirtualNetwork is red's space in red's table and blue's in blue's."""
    policy = compile_policy(MODEL)
    within_red = decide(policy, packet("10.1.0.9", "10.1.1.9", 22), None, None)
    into_blue = decide(policy, packet("10.1.0.9", "10.2.0.4", 22), None, None)
    assert (within_red.access, within_red.rule) == (ALLOW, "AllowVnetInBound")
    assert (into_blue.access, into_blue.rule) == (DENY, "DenyAllOutBound")


def test_nothing_declared() -> None:
    """An empty model compiles, and then nothing is ours."""
    policy = compile_policy(NetworkModel())
    assert policy.tables == ()
    assert decide(policy, packet("10.0.0.1", "10.0.0.2", 80), None, None).access is None


def test_hand_over() -> None:
    """Through marshal and back it is the same policy, equal and deciding alike."""
    policy = compile_policy(MODEL)
    handed_over = CompiledPolicy.from_plain(marshal.loads(marshal.dumps(policy.to_plain())))
    bare = tuple(replace(table, rules=()) for table in policy.tables)
    assert handed_over == replace(policy, tables=bare)
    for first in (
        packet("203.0.113.7", "10.1.0.9", 80),
        packet("203.0.113.7", "10.1.0.4", 80),
        packet("2600::7", "fd00:1::9", 443),
        packet("10.1.0.9", "8.8.8.8", 53, protocol=17),
        packet("10.2.0.5", "10.2.0.4", 22),
    ):
        assert decide(handed_over, first, None, None) == decide(policy, first, None, None)


def test_a_group_of_a_scale_set_alone() -> None:
    """It is in use like that of a NIC."""
    network = VirtualNetwork("vnet", prefixes("10.0.0.0/16"), (subnet("s", "10.0.0.0/24"),))
    vmss = scale_set("vmss", "10.0.0.32/27", "s", "web")
    policy = compile_policy(NetworkModel((network,), (), (WEB,), scale_sets=(vmss,)))
    assert [table.direction for table in policy.tables] == [OUTBOUND, INBOUND]
    allowed = decide(policy, packet("203.0.113.7", "10.0.0.33", 80), None, None)
    assert (allowed.network_security_group, allowed.rule) == ("web", "allow-web")
    beside = decide(policy, packet("203.0.113.7", "10.0.0.4", 80), None, None)
    assert beside.network_security_group is None
