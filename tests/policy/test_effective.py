"""Effective rules: their order, and what tags, groups and ports become."""

from __future__ import annotations

import pytest

from nsgd.model.network import (
    ApplicationSecurityGroup,
    NetworkModel,
    Peering,
    VirtualNetwork,
)
from nsgd.model.rule import Direction
from nsgd.policy.address_set import ALL_ADDRESSES, AddressSet
from nsgd.policy.effective import NetworkResolver, effective_security_rules, ordered_rules
from tests.policy.builders import (
    ALLOW,
    DENY,
    INBOUND,
    OUTBOUND,
    address_set,
    group,
    nic,
    prefixes,
    rule,
    side,
    subnet,
)

VNET = VirtualNetwork("vnet", prefixes("10.0.0.0/16", "fd00:1::/48"), (subnet("s", "10.0.0.0/24"),))

DEFAULTS = {
    INBOUND: [
        ("AllowVnetInBound", 65000, ALLOW),
        ("AllowAzureLoadBalancerInBound", 65001, ALLOW),
        ("DenyAllInBound", 65500, DENY),
    ],
    OUTBOUND: [
        ("AllowVnetOutBound", 65000, ALLOW),
        ("AllowInternetOutBound", 65001, ALLOW),
        ("DenyAllOutBound", 65500, DENY),
    ],
}


@pytest.mark.parametrize("direction", [INBOUND, OUTBOUND])
def test_default_rules_are_always_there(direction: Direction) -> None:
    """Every group ends with the three defaults of the direction."""
    rules = ordered_rules(group("empty"), direction)
    assert [(r.name, r.priority, r.access) for r in rules] == DEFAULTS[direction]


@pytest.mark.parametrize("direction", [INBOUND, OUTBOUND])
def test_order(direction: Direction) -> None:
    """By ascending priority, whatever the document's order, and one direction at a time."""
    other = OUTBOUND if direction is INBOUND else INBOUND
    rules = [
        rule("last", 4096, direction, DENY),
        rule("elsewhere", 100, other, DENY),
        rule("first", 100, direction, ALLOW),
        rule("middle", 101, direction, ALLOW),
    ]
    for ordering in (rules, rules[::-1]):
        names = [r.name for r in ordered_rules(group("g", *ordering), direction)]
        assert names == ["first", "middle", "last", *(name for name, _, _ in DEFAULTS[direction])]


def test_default_rules_resolved() -> None:
    """The tags of the defaults become this network's addresses."""
    resolver = NetworkResolver(NetworkModel((VNET,)), VNET)
    vnet, load_balancer, deny = effective_security_rules(resolver, group("g"), INBOUND)
    assert vnet.source == vnet.destination
    assert vnet.source == address_set("10.0.0.0/16", "fd00:1::/48", "168.63.129.16")
    assert load_balancer.source == address_set("168.63.129.16", "fe80::1234:5678:9abc")
    assert load_balancer.destination == ALL_ADDRESSES
    assert deny.source == deny.destination == ALL_ADDRESSES
    assert {r.source_ports for r in (vnet, load_balancer, deny)} == {((0, 65535),)}
    _, internet, _ = effective_security_rules(resolver, group("g"), OUTBOUND)
    assert internet.source == ALL_ADDRESSES
    assert internet.destination == resolver.addresses(side("tag:Internet"))


@pytest.mark.parametrize(
    ("ports", "merged"),
    [
        ("*", ((0, 65535),)),
        ("80", ((80, 80),)),
        ("0-65535", ((0, 65535),)),
        ("80,81", ((80, 81),)),
        ("80,82", ((80, 80), (82, 82))),
        ("443,80-90,85-100", ((80, 100), (443, 443))),
        ("0-32767,32768-65535", ((0, 65535),)),  # the whole range in two parts
    ],
)
def test_ports_are_merged(ports: str, merged: tuple[tuple[int, int], ...]) -> None:
    """Lists of ports become sorted disjoint ranges, on both sides."""
    resolver = NetworkResolver(NetworkModel((VNET,)), VNET)
    effective = resolver.resolve(rule("r", 100, INBOUND, ALLOW, ports=ports, source_ports=ports))
    assert effective.destination_ports == effective.source_ports == merged


def test_prefixes() -> None:
    """Explicit prefixes stand for themselves, in both families."""
    resolver = NetworkResolver(NetworkModel((VNET,)), VNET)
    text = "192.0.2.0/25", "192.0.2.128/25", "2001:db8::/32"
    assert resolver.addresses(side(",".join(text))) == address_set("192.0.2.0/24", text[2])
    assert resolver.addresses(side("*")) == ALL_ADDRESSES


def resolver_with_groups(*, peered: bool, seen_from: str = "vnet") -> NetworkResolver:
    """Two networks that use the same space or are peered, with members of two groups in each."""
    near_peerings = (Peering("far"),) if peered else ()
    far_peerings = (Peering("vnet"),) if peered else ()
    near = VirtualNetwork(
        "vnet", prefixes("10.0.0.0/16"), (subnet("s", "10.0.0.0/24"),), near_peerings
    )
    far = VirtualNetwork(
        "far", prefixes("10.9.0.0/16"), (subnet("t", "10.9.0.0/24"),), far_peerings
    )
    model = NetworkModel(
        (near, far),
        (
            nic("web-1", "10.0.0.4,fd00:1::4", "s", asgs=("web",)),
            nic("web-2", "10.0.0.5", "s", asgs=("web", "all")),
            nic("db", "10.0.0.7", "s", asgs=("all",)),
            nic("other", "10.0.0.8", "s"),
            nic("far-web", "10.9.0.4", "t", network="far", asgs=("web",)),
        ),
        (),
        tuple(ApplicationSecurityGroup(name) for name in ("web", "all", "empty")),
    )
    return NetworkResolver(model, near if seen_from == "vnet" else far)


@pytest.mark.parametrize(
    ("groups", "addresses"),
    [
        ("asg:web", ("10.0.0.4", "10.0.0.5", "fd00:1::4")),
        ("asg:all", ("10.0.0.5", "10.0.0.7")),
        ("asg:web,all", ("10.0.0.4", "10.0.0.5", "10.0.0.7", "fd00:1::4")),
        ("asg:all,web", ("10.0.0.4", "10.0.0.5", "10.0.0.7", "fd00:1::4")),
        ("asg:empty", ()),
        ("asg:empty,all", ("10.0.0.5", "10.0.0.7")),
    ],
)
def test_application_security_groups(groups: str, addresses: tuple[str, ...]) -> None:
    """A group is every address of its members, several groups are their union, none is nothing."""
    found = resolver_with_groups(peered=False).addresses(side(groups))
    assert found == address_set(*addresses)


def test_members_of_an_unconnected_network_do_not_count() -> None:
    """Their addresses may be someone else's here; a peer's are its own."""
    far_web = address_set("10.9.0.4")
    for peered in (False, True):
        found = resolver_with_groups(peered=peered).addresses(side("asg:web"))
        assert (found - far_web != found) is peered
    assert resolver_with_groups(peered=False, seen_from="far").addresses(side("asg:web")) == far_web


def test_an_empty_group_matches_nothing() -> None:
    """The rule stays in the list with an empty side."""
    resolver = resolver_with_groups(peered=False)
    effective = resolver.resolve(rule("r", 100, INBOUND, ALLOW, destination="asg:empty"))
    assert effective.destination == AddressSet()
    assert effective.source == ALL_ADDRESSES
