"""Security admin rules: ahead of every group, for whole networks, and whom they are not for."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from nsgd.model.admin import (
    AdminAccess,
    AzureService,
    IntentPolicyNetworks,
    RuleCollection,
    SecurityAdminConfiguration,
    SecurityAdminRule,
)
from nsgd.model.decision import Decision, Reason
from nsgd.model.network import NetworkModel, Peering, Subnet, VirtualNetwork
from nsgd.model.packet import ESP, UDP, PacketHeader
from nsgd.model.platform import Subscription, SubscriptionKind
from nsgd.model.rule import Access, AnyAddress, Direction, PrefixList, Protocol
from nsgd.policy.admin import AdminRules
from nsgd.policy.compile import CompiledPolicy, compile_policy
from nsgd.policy.evaluate import decide
from nsgd.policy.numbers import DecisionNumbers
from tests.policy.builders import (
    ALLOW,
    DENY,
    INBOUND,
    OUTBOUND,
    echo,
    group,
    nic,
    packet,
    port_ranges,
    prefixes,
    rule,
    scale_set,
    side,
    subnet,
)

INTERNET, INTERNET6 = "203.0.113.7", "2600:1::7"


def admin_rule(
    name: str,
    priority: int,
    direction: Direction,
    access: str,
    protocol: str = "*",
    *,
    sources: str = "*",
    destinations: str = "*",
    ports: str = "*",
    source_ports: str = "*",
) -> SecurityAdminRule:
    """Sides are entries with blanks between them, each as in builders.side."""

    def entries(text: str) -> tuple[AnyAddress | PrefixList, ...]:
        return tuple(side(part) for part in text.split())  # type: ignore[misc]

    return SecurityAdminRule(
        name,
        priority,
        direction,
        AdminAccess(access),
        Protocol(protocol),
        entries(sources),
        port_ranges(source_ports),
        entries(destinations),
        port_ranges(ports),
    )


def collection(
    name: str, *rules: SecurityAdminRule, applies_to: tuple[str, ...] = ("vnet",)
) -> RuleCollection:
    """For the network vnet unless others are named."""
    return RuleCollection(name, applies_to, rules)


def configuration(
    *collections: RuleCollection,
    name: str = "baseline",
    policies: IntentPolicyNetworks = IntentPolicyNetworks.NONE,
) -> SecurityAdminConfiguration:
    return SecurityAdminConfiguration(name, collections, policies)


OPEN = group("open", *(rule(f"all-{way.value}", 100, way, ALLOW) for way in Direction))
CLOSED = group("closed", *(rule(f"none-{way.value}", 100, way, DENY) for way in Direction))
DEFAULTS = group("defaults")


def model_of(
    *rules: SecurityAdminRule,
    at_nic: str | None = None,
    at_subnet: str | None = None,
    subnets: tuple[Subnet, ...] = (),
    **fields: object,
) -> NetworkModel:
    """vnet with two NICs, a scale set and a bastion's subnet, peered with far, which has a NIC."""
    vnet = VirtualNetwork(
        "vnet",
        prefixes("10.0.0.0/16", "fd00:1::/48"),
        (
            subnet("s", "10.0.0.0/24,fd00:1::/64", at_subnet),
            Subnet("AzureBastionSubnet", prefixes("10.0.9.0/24"), None, (AzureService.BASTION,)),
            *subnets,
        ),
        (Peering("far"),),
    )
    far = VirtualNetwork(
        "far", prefixes("10.9.0.0/16"), (subnet("t", "10.9.0.0/24"),), (Peering("vnet"),)
    )
    model = NetworkModel(
        (vnet, far),
        (
            nic("a", "10.0.0.4,fd00:1::4", "s", at_nic),
            nic("b", "10.0.0.5", "s", at_nic),
            nic("bastion", "10.0.9.4", "AzureBastionSubnet"),
            nic("f", "10.9.0.4", "t", network="far"),
        ),
        (OPEN, CLOSED, DEFAULTS),
        scale_sets=(scale_set("set", "10.0.0.32/28", "s", at_nic),),
        security_admin_configurations=(configuration(collection("always", *rules)),),
    )
    return replace(model, **fields)  # type: ignore[arg-type]


def run(model: NetworkModel, first: PacketHeader) -> Decision:
    return decide(compile_policy(model), first, None, None)


def path(decision: Decision) -> list[str]:
    return [
        f"{each.direction.value} {each.network_security_group or '-'} {each.rule}"
        for each in decision.consulted
    ]


# Azure, Diagnose network security rules: the worked example, with and without its rule 900.


def diagnosed(*of_nic: object) -> Decision:
    """The bastion's subnet asks a machine; its network's admin rule VirtualNetwork allows."""
    own = group(
        "nic-nsg",
        rule("DenyVnetInBound", 1000, INBOUND, DENY, source="tag:VirtualNetwork"),
        *of_nic,  # type: ignore[arg-type]
    )
    allowing = admin_rule("VirtualNetwork", 100, INBOUND, "Allow", sources="tag:VirtualNetwork")
    model = model_of(allowing, at_nic="nic-nsg", at_subnet="defaults")
    model = replace(model, network_security_groups=(*model.network_security_groups, own))
    return run(model, packet("10.0.9.4", "10.0.0.4", 443))


def test_vector_22() -> None:
    """An Allow goes on to the groups, which may still deny."""
    decision = diagnosed()
    assert (decision.access, decision.rule) == (DENY, "DenyVnetInBound")
    assert decision.network_security_group == "nic-nsg"
    assert path(decision) == [
        "Inbound - securityAdminRules/VirtualNetwork",
        "Inbound defaults AllowVnetInBound",
        "Inbound nic-nsg DenyVnetInBound",
    ]


def test_vector_23() -> None:
    """With a rule of the group that allows, ahead of the one that denies."""
    decision = diagnosed(rule("AllowBastion", 900, INBOUND, ALLOW, source="10.0.9.0/26"))
    assert (decision.access, decision.rule) == (ALLOW, "AllowBastion")
    assert len(decision.consulted) == 3


@pytest.mark.parametrize("direction", Direction)
def test_vector_24(direction: Direction) -> None:
    """AlwaysAllow delivers what both groups deny, and none of them is asked."""
    model = model_of(
        admin_rule("always", 1, direction, "AlwaysAllow"), at_nic="closed", at_subnet="closed"
    )
    ends = ("10.0.0.4", INTERNET) if direction is OUTBOUND else (INTERNET, "10.0.0.4")
    decision = run(model, packet(*ends, 80))
    assert (decision.access, decision.reason) == (ALLOW, Reason.RULE)
    assert path(decision) == [f"{direction.value} - securityAdminRules/always"]


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("at", ["open", None])
def test_vector_25(direction: Direction, at: str | None) -> None:
    """Deny ends it, whatever the groups allow, and where there is none."""
    model = model_of(admin_rule("never", 1, direction, "Deny"), at_nic=at, at_subnet=at)
    outward, inward = packet("10.0.0.4", INTERNET, 80), packet(INTERNET, "10.0.0.4", 80)
    denied, other = (outward, inward) if direction is OUTBOUND else (inward, outward)
    assert path(run(model, denied)) == [f"{direction.value} - securityAdminRules/never"]
    assert run(model, denied).access is DENY
    assert run(model, other).access is ALLOW
    assert not any("never" in each for each in path(run(model, other)))


# Order


RULES = (
    admin_rule("deny-8", 30, OUTBOUND, "Deny", "Tcp", ports="8"),
    admin_rule("always-8-9", 20, OUTBOUND, "AlwaysAllow", "Tcp", ports="8-9"),
    admin_rule("allow-7-8", 10, OUTBOUND, "Allow", "Tcp", ports="7-8"),
    admin_rule("deny-in-9", 10, INBOUND, "Deny", "Tcp", ports="9"),
)


@pytest.mark.parametrize(
    ("port", "access", "consulted"),
    [
        (6, DENY, ["Outbound closed none-Outbound"]),  # no rule: as if there were none
        (7, DENY, ["Outbound - securityAdminRules/allow-7-8", "Outbound closed none-Outbound"]),
        # The lowest number of those that match.
        (8, DENY, ["Outbound - securityAdminRules/allow-7-8", "Outbound closed none-Outbound"]),
        (9, DENY, ["Outbound - securityAdminRules/always-8-9",
                   "Inbound - securityAdminRules/deny-in-9"]),
        (10, DENY, ["Outbound closed none-Outbound"]),
    ],
)  # fmt: skip
def test_lowest_number_first(port: int, access: Access, consulted: list[str]) -> None:
    """In each direction apart; the receiver's network asks its own rules."""
    model = model_of(*RULES, at_nic="closed")
    decision = run(model, packet("10.0.0.4", "10.0.0.5", port))
    assert (decision.access, path(decision)) == (access, consulted)


def test_always_allow_is_for_one_side() -> None:
    """What leaves unasked is still judged where it arrives, by admin rules and groups."""
    always = admin_rule("always", 1, OUTBOUND, "AlwaysAllow")
    decision = run(model_of(always, at_nic="closed"), packet("10.0.0.4", "10.0.0.5", 80))
    assert path(decision) == [
        "Outbound - securityAdminRules/always",
        "Inbound closed none-Inbound",
    ]
    inward = admin_rule("always-in", 1, INBOUND, "AlwaysAllow")
    decision = run(model_of(inward, at_nic="closed"), packet("10.0.0.4", "10.0.0.5", 80))
    assert path(decision) == ["Outbound closed none-Outbound"]
    both = run(model_of(always, inward, at_nic="closed"), packet("10.0.0.4", "10.0.0.5", 80))
    assert (both.access, both.rule) == (ALLOW, "securityAdminRules/always-in")
    assert [each.direction for each in both.consulted] == [OUTBOUND, INBOUND]


def test_order_on_the_whole_way() -> None:
    """Admin rules, then NIC and subnet; admin rules, then subnet and NIC."""
    allow = [admin_rule(f"go-{way.value}", 5, way, "Allow") for way in Direction]
    model = model_of(*allow, at_nic="open", at_subnet="defaults")
    assert path(run(model, packet("10.0.0.4", "10.0.0.5", 80))) == [
        "Outbound - securityAdminRules/go-Outbound",
        "Outbound open all-Outbound",
        "Outbound defaults AllowVnetOutBound",
        "Inbound - securityAdminRules/go-Inbound",
        "Inbound defaults AllowVnetInBound",
        "Inbound open all-Inbound",
    ]


def test_an_allow_without_groups_is_the_reported_rule() -> None:
    """There is nobody to go on to."""
    decision = run(model_of(admin_rule("go", 5, INBOUND, "Allow")), packet(INTERNET, "10.0.0.4", 8))
    assert decision.access is ALLOW
    assert (decision.rule, decision.network_security_group) == ("securityAdminRules/go", "")


# The platform


BLOCKED = Subscription(SubscriptionKind.PAY_AS_YOU_GO, date(2018, 1, 31))


def test_smtp_is_the_platforms() -> None:
    """No administrator allows it; what is no SMTP is the administrator's."""
    always = admin_rule("always", 1, OUTBOUND, "AlwaysAllow")
    model = model_of(always, at_nic="closed", subscription=BLOCKED)
    assert path(run(model, packet("10.0.0.4", INTERNET, 25))) == [
        "Outbound - platformRules/DenySmtpOutBound"
    ]
    assert path(run(model, packet("10.0.0.4", INTERNET, 26))) == [
        "Outbound - securityAdminRules/always"
    ]


def test_platform_traffic_can_be_denied() -> None:
    """It is exempt from groups only."""
    model = model_of(
        admin_rule("no-dns", 1, OUTBOUND, "Deny", destinations="168.63.129.16", ports="53"),
        at_nic="closed",
    )
    assert path(run(model, packet("10.0.0.4", "168.63.129.16", 53, UDP))) == [
        "Outbound - securityAdminRules/no-dns"
    ]
    assert path(run(model, packet("10.0.0.4", "168.63.129.16", 80))) == [
        "Outbound closed platformRules/AllowHostOutBound"
    ]


# For whom


def test_only_the_networks_that_they_apply_to() -> None:
    """Each end asks the rules of its own network."""
    model = model_of(admin_rule("never", 1, INBOUND, "Deny"))
    assert run(model, packet("10.0.0.4", "10.9.0.4", 80)).access is ALLOW
    assert run(model, packet("10.9.0.4", "10.0.0.4", 80)).access is DENY
    both = collection("all", admin_rule("never", 1, INBOUND, "Deny"), applies_to=("vnet", "far"))
    model = replace(model, security_admin_configurations=(configuration(both),))
    assert run(model, packet("10.0.0.4", "10.9.0.4", 80)).access is DENY


@pytest.mark.parametrize("address", ["10.0.0.4", "10.0.0.33", "10.0.0.77"])
def test_every_kind_of_resource(address: str) -> None:
    """A NIC, an instance, an undeclared resource of the subnet; IPv6 too."""
    model = model_of(admin_rule("never", 1, INBOUND, "Deny"))
    assert run(model, packet(INTERNET, address, 80)).access is DENY
    assert run(model, packet(INTERNET6, "fd00:1::77", 80)).access is DENY


def test_tags_are_those_of_the_network() -> None:
    """VirtualNetwork holds the peer; several entries add to one another."""
    model = model_of(
        admin_rule("near", 1, INBOUND, "Deny", sources="tag:VirtualNetwork 203.0.113.0/30"),
    )
    for source, access in (
        ("10.9.0.4", DENY),
        ("10.0.0.5", DENY),
        ("203.0.113.3", DENY),
        ("203.0.113.4", ALLOW),
        ("172.16.0.1", ALLOW),
    ):
        assert run(model, packet(source, "10.0.0.4", 80)).access is access, source


@pytest.mark.parametrize(
    ("protocol", "first", "is_match"),
    [
        ("*", packet(INTERNET, "10.0.0.4", 80), True),
        ("*", packet(INTERNET, "10.0.0.4", protocol=47), True),
        ("Icmp", echo(INTERNET, "10.0.0.4"), True),
        ("Icmp", echo(INTERNET6, "fd00:1::4"), True),
        ("Icmp", packet(INTERNET, "10.0.0.4", 80), False),
        ("Esp", packet(INTERNET, "10.0.0.4", protocol=ESP), True),
        ("Udp", packet(INTERNET, "10.0.0.4", 80), False),
    ],
)
def test_protocols(protocol: str, first: PacketHeader, is_match: bool) -> None:
    """As in groups."""
    model = model_of(admin_rule("never", 1, INBOUND, "Deny", protocol))
    assert (run(model, first).access is DENY) is is_match


@pytest.mark.parametrize("service", [s for s in AzureService if not s.exempts_network])
def test_exempt_subnets(service: AzureService) -> None:
    """Of the subnet nothing is asked, in either direction; its neighbours are asked."""
    never = [admin_rule(f"never-{way.value}", 1, way, "Deny") for way in Direction]
    exempt = Subnet("x", prefixes("10.0.8.0/24"), "closed", (service,))
    model = model_of(*never, subnets=(exempt,))
    assert path(run(model, packet(INTERNET, "10.0.8.4", 80))) == ["Inbound closed none-Inbound"]
    assert path(run(model, packet("10.0.8.4", INTERNET, 80))) == ["Outbound closed none-Outbound"]
    assert path(run(model, packet("10.0.9.4", "10.0.0.4", 80))) == [
        "Inbound - securityAdminRules/never-Inbound"
    ]


@pytest.mark.parametrize("service", [s for s in AzureService if s.exempts_network])
@pytest.mark.parametrize(
    ("policies", "applied"),
    [
        (IntentPolicyNetworks.NONE, []),
        (IntentPolicyNetworks.ALLOW_RULES_ONLY, ["go", "always"]),
        (IntentPolicyNetworks.ALL, ["never", "go", "always"]),
    ],
)
def test_exempt_networks(
    service: AzureService, policies: IntentPolicyNetworks, applied: list[str]
) -> None:
    """One service in one subnet is enough; the configuration may say otherwise."""
    rules = (
        admin_rule("never", 1, INBOUND, "Deny", "Tcp", ports="1"),
        admin_rule("go", 2, INBOUND, "Allow", "Tcp", ports="2"),
        admin_rule("always", 3, INBOUND, "AlwaysAllow", "Tcp", ports="3"),
    )
    subnets = (Subnet("x", prefixes("10.0.8.0/24"), None, (service,)),)
    both = collection("all", *rules, applies_to=("vnet", "far"))
    model = replace(
        model_of(subnets=subnets),
        security_admin_configurations=(configuration(both, policies=policies),),
    )
    for address in ("10.0.0.4", "10.0.8.4"):
        found = [path(run(model, packet(INTERNET, address, port))) for port in (1, 2, 3, 4)]
        names = [name.rpartition("/")[2] for each in found for name in each]
        assert names == applied, address
    # The other network has no such service.
    assert run(model, packet(INTERNET, "10.9.0.4", 1)).access is DENY


# Names and tables


def test_names_tell_rules_apart() -> None:
    """As much of a name as is needed, compared without case."""
    deny = [admin_rule(name, 1, INBOUND, "Deny") for name in ("one", "two", "TWO", "three")]
    configurations = (
        configuration(collection("a", deny[0]), collection("b", deny[1]), collection("c", deny[2])),
        configuration(collection("d", deny[3], applies_to=("far",)), name="other"),
        configuration(collection("D", deny[3], applies_to=()), name="third"),
    )
    model = replace(model_of(), security_admin_configurations=configurations)
    rules = AdminRules(model)
    assert [each.name for each in rules.of_network("vnet")] == [
        "securityAdminRules/one",
        "securityAdminRules/b/two",
        "securityAdminRules/c/TWO",
    ]
    (third,) = rules.of_network("far")
    assert third.name == "securityAdminRules/other/d/three"
    assert (third.configuration, third.collection) == ("other", "d")
    assert rules.of_network("nowhere") == ()


def admin_tables(policy: CompiledPolicy) -> list[tuple[int, Direction]]:
    return [
        (index, table.direction)
        for index, table in enumerate(policy.tables)
        if not table.network_security_group
    ]


def test_one_table_for_each_network_and_direction() -> None:
    """Of a direction without rules there is none, and an exempt subnet asks none."""
    policy = compile_policy(model_of(*RULES, at_nic="closed"))
    assert sorted(way.value for _, way in admin_tables(policy)) == ["Inbound", "Outbound"]
    outbound, inbound = (index for index, _ in admin_tables(policy))
    for endpoint in policy.endpoint_map.endpoints:
        is_asked = endpoint.name in ("a", "b", "set", "vnet/s")
        assert (endpoint.outbound[:1] == (outbound,)) is is_asked
        assert (endpoint.inbound[:1] == (inbound,)) is is_asked
        assert outbound not in endpoint.outbound[1:]
    only_inbound = compile_policy(model_of(RULES[3]))
    assert [way for _, way in admin_tables(only_inbound)] == [INBOUND]
    assert admin_tables(compile_policy(model_of())) == []
    bare = tuple(replace(table, rules=()) for table in policy.tables)
    assert CompiledPolicy.from_plain(policy.to_plain()) == replace(policy, tables=bare)


def test_numbers() -> None:
    """Each rule has one, the same for all networks; what goes on has none."""
    both = collection("all", *RULES, applies_to=("vnet", "far"))
    model = replace(model_of(), security_admin_configurations=(configuration(both),))
    policy = compile_policy(model)
    assert len(admin_tables(policy)) == 4
    numbers = DecisionNumbers().extended(policy, 32, 1000)
    assert list(numbers.by_direction[OUTBOUND]) == [
        ("", "securityAdminRules/allow-7-8", ALLOW),
        ("", "securityAdminRules/always-8-9", ALLOW),
        ("", "securityAdminRules/deny-8", DENY),
    ]
    assert list(numbers.by_direction[INBOUND]) == [("", "securityAdminRules/deny-in-9", DENY)]
    for index, way in admin_tables(policy):
        assert numbers.of_table(policy, index)[-1] == 0
        assert numbers.of_table(policy, index)[0] == 32, way
