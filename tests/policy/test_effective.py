"""Effective rules: their order, and what tags, groups and ports become."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nsgd.model.network import (
    ApplicationSecurityGroup,
    NetworkModel,
    Peering,
    ServiceTagPrefixes,
    VirtualNetwork,
)
from nsgd.model.platform import PlatformAddresses
from nsgd.model.rule import Direction
from nsgd.policy.address_set import ALL_ADDRESSES, AddressSet
from nsgd.policy.effective import (
    NetworkResolver,
    RuleKind,
    SharedAddresses,
    effective_security_rules,
    ordered_rules,
)
from tests.models import addresses
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
    scale_set,
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
    *_, internet, _ = effective_security_rules(resolver, group("g"), OUTBOUND)
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


def test_a_combination_of_groups_is_put_together_once() -> None:
    """Many rules name the same groups."""
    resolver = resolver_with_groups(peered=False)
    assert resolver.addresses(side("asg:web,all")) is resolver.addresses(side("asg:web,all"))


PUBLISHED = (
    ServiceTagPrefixes("Storage", prefixes("20.38.98.0/24", "20.38.99.0/24", "2603:1030::/48")),
    ServiceTagPrefixes("Storage.WestUS", prefixes("20.38.98.0/25")),
    ServiceTagPrefixes("Empty", ()),
)


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("Storage", ("20.38.98.0/23", "2603:1030::/48")),
        ("Storage.WestUS", ("20.38.98.0/25",)),  # a tag of its own, not a part of the other
        ("Empty", ()),
    ],
)
def test_published_tags(name: str, addresses: tuple[str, ...]) -> None:
    """A tag of Microsoft's file is its prefixes, of both families, in whatever network."""
    other = VirtualNetwork("other", prefixes("10.1.0.0/16"))
    model = NetworkModel((VNET, other), service_tags=PUBLISHED)
    shared = SharedAddresses(model)
    tag = side(f"published:{name}")
    found = [NetworkResolver(model, each, shared).addresses(tag) for each in (VNET, other)]
    assert found[0] == address_set(*addresses)
    assert found[0] is found[1]
    assert NetworkResolver(model, VNET).addresses(tag) == found[0]


@pytest.mark.parametrize(
    ("service", "ports", "expected"),
    [
        ("DNS", "*", ((53, 53),)),
        ("DNS", "53", ((53, 53),)),
        ("DNS", "50-60,80", ((53, 53),)),
        ("DNS", "80", ()),
        ("IMDS", "*", ((0, 65535),)),
        ("IMDS", "80", ((80, 80),)),
        ("LKM", "*", ((1688, 1688),)),
        ("LKM", "1687", ()),
    ],
)
def test_ports_of_platform_tags(
    service: str, ports: str, expected: tuple[tuple[int, int], ...]
) -> None:
    """The tag's port applies on the side that names the tag, and to none but it."""
    resolver = NetworkResolver(NetworkModel((VNET,)), VNET)
    tag = f"platform:{service}"
    to = resolver.resolve(rule("r", 100, OUTBOUND, DENY, destination=tag, ports=ports))
    assert (to.destination_ports, to.source_ports) == (expected, ((0, 65535),))
    of = resolver.resolve(rule("r", 100, INBOUND, DENY, source=tag, source_ports=ports))
    assert (of.source_ports, of.destination_ports) == (expected, ((0, 65535),))
    assert to.destination == of.source


def test_kinds_and_order_outbound() -> None:
    """Denials of platform traffic, what exempts it, then all else by priority."""
    nsg = group(
        "g",
        rule("allow-all", 100, OUTBOUND, ALLOW),
        rule("deny-lkm", 300, OUTBOUND, DENY, destination="platform:LKM"),
        rule("deny-dns", 200, OUTBOUND, DENY, destination="platform:DNS"),
        rule("deny-from-dns", 150, OUTBOUND, DENY, source="platform:DNS"),
        rule("deny-dns-in", 100, INBOUND, DENY, destination="platform:DNS"),
    )
    resolver = NetworkResolver(NetworkModel((VNET,)), VNET)
    found = effective_security_rules(resolver, nsg, OUTBOUND)
    assert [(each.name, each.kind, each.priority) for each in found] == [
        ("deny-dns", RuleKind.USER, 200),
        ("deny-lkm", RuleKind.USER, 300),
        ("platformRules/AllowHostOutBound", RuleKind.PLATFORM, 0),
        ("platformRules/AllowMetadataOutBound", RuleKind.PLATFORM, 0),
        ("platformRules/AllowKeyManagementOutBound", RuleKind.PLATFORM, 0),
        ("allow-all", RuleKind.USER, 100),
        ("deny-from-dns", RuleKind.USER, 150),
        ("AllowVnetOutBound", RuleKind.DEFAULT, 65000),
        ("AllowInternetOutBound", RuleKind.DEFAULT, 65001),
        ("DenyAllOutBound", RuleKind.DEFAULT, 65500),
    ]
    inbound = effective_security_rules(resolver, nsg, INBOUND)
    assert [each.name for each in inbound][:2] == ["deny-dns-in", "AllowVnetInBound"]
    assert not any(each.is_silent or each.is_final for each in (*found, *inbound))


def test_nothing_is_exempted_where_there_is_no_platform() -> None:
    """No rule is made of an empty list of addresses, nor for licensing with a default route."""

    def names(model: NetworkModel) -> list[str]:
        resolver = NetworkResolver(model, model.virtual_networks[0])
        return [each.name.partition("/")[2] for each in resolver.exemptions]

    routed = replace(VNET, routes=prefixes("0.0.0.0/0"))
    halved = replace(VNET, routes=prefixes("0.0.0.0/1", "128.0.0.0/1", "::/0"))
    none = PlatformAddresses((), (), (), ())
    host, metadata, keys = (
        f"Allow{service}OutBound" for service in ("Host", "Metadata", "KeyManagement")
    )
    assert names(NetworkModel((VNET,))) == [host, metadata, keys]
    assert names(NetworkModel((halved,))) == [host, metadata, keys]
    assert names(NetworkModel((routed,))) == [host, metadata]
    assert names(NetworkModel((VNET,), platform=none)) == []
    assert names(NetworkModel((VNET,), platform=replace(none, metadata=addresses("::1")))) == [
        metadata
    ]


def test_members_through_a_scale_set() -> None:
    """All addresses of its prefixes, but those of NICs, which join for themselves alone."""
    model = NetworkModel(
        (
            VirtualNetwork("vnet", prefixes("10.0.0.0/16"), (subnet("s", "10.0.0.0/24"),)),
            VirtualNetwork("far", prefixes("10.0.0.0/16"), (subnet("s", "10.0.0.0/24"),)),
        ),
        (
            nic("member", "10.0.0.35", "s", asgs=("web",)),
            nic("other", "10.0.0.40", "s", asgs=("db",)),
            nic("none", "10.0.0.41", "s"),
            nic("elsewhere", "10.0.0.50", "s", network="far"),
        ),
        (),
        (ApplicationSecurityGroup("web"), ApplicationSecurityGroup("db")),
        (
            scale_set("vmss", "10.0.0.32/27,fd00:1::/64", "s", asgs=("web",)),
            scale_set("plain", "10.0.0.64/27", "s"),
            scale_set("far-vmss", "10.0.0.96/27", "s", network="far", asgs=("web",)),
        ),
    )
    resolver = NetworkResolver(model, model.virtual_networks[0])
    web = address_set("10.0.0.32/27", "fd00:1::/64") - address_set("10.0.0.40", "10.0.0.41")
    assert resolver.addresses(side("asg:web")) == web
    assert resolver.addresses(side("asg:db")) == address_set("10.0.0.40")
    far = NetworkResolver(model, model.virtual_networks[1])
    assert far.addresses(side("asg:web")) == address_set("10.0.0.96/27")


def test_an_empty_group_matches_nothing() -> None:
    """The rule stays in the list with an empty side."""
    resolver = resolver_with_groups(peered=False)
    effective = resolver.resolve(rule("r", 100, INBOUND, ALLOW, destination="asg:empty"))
    assert effective.destination == AddressSet()
    assert effective.source == ALL_ADDRESSES
