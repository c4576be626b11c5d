"""SMTP to the Internet: denied ahead of every group, unless subscription or age allows it."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from nsgd.model.decision import Decision, Reason, TableDecision
from nsgd.model.network import (
    NetworkModel,
    NetworkSecurityGroup,
    Peering,
    VirtualNetwork,
)
from nsgd.model.packet import UDP, PacketHeader
from nsgd.model.platform import Subscription, SubscriptionKind
from nsgd.policy.compile import CompiledPolicy, compile_policy
from nsgd.policy.evaluate import decide
from nsgd.policy.numbers import DecisionNumbers
from nsgd.policy.smtp import is_smtp_blocked
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

PAID = SubscriptionKind.PAY_AS_YOU_GO
DEV_TEST = SubscriptionKind.ENTERPRISE_DEV_TEST
AGREEMENT = SubscriptionKind.ENTERPRISE_AGREEMENT
FIRST_DAY = date(2017, 11, 15)
DAY = timedelta(days=1)
BLOCKED = Subscription(PAID, date(2018, 1, 31))
INTERNET, INTERNET6 = "203.0.113.7", "2600:1::7"
RULE = "platformRules/DenySmtpOutBound"
DENIED = Decision(DENY, Reason.RULE, (TableDecision("", OUTBOUND, RULE, DENY),))
ALLOWED = Decision(ALLOW, Reason.NO_NSG)


@pytest.mark.parametrize("kind", SubscriptionKind)
def test_subscriptions_of_before(kind: SubscriptionKind) -> None:
    """None is restricted the day before; on the day all but those with an agreement are."""
    assert not is_smtp_blocked(Subscription(kind, FIRST_DAY - DAY), None)
    assert is_smtp_blocked(Subscription(kind, FIRST_DAY), None) is (kind is not AGREEMENT)
    assert is_smtp_blocked(Subscription(kind, date(2024, 1, 1)), date(2024, 1, 2)) is (
        kind is not AGREEMENT
    )


def test_no_subscription() -> None:
    """Nothing is known of it, so nothing is blocked."""
    assert not is_smtp_blocked(None, None)


@pytest.mark.parametrize(
    ("created", "is_blocked"),
    [
        (None, True),
        (date(2019, 4, 30), True),
        (date(2019, 5, 1), False),
        (date(2019, 5, 2), False),
    ],
)
def test_an_exemption(created: date | None, is_blocked: bool) -> None:
    """For what is made on that day or later; unknown means before."""
    exempted = Subscription(DEV_TEST, date(2018, 1, 31), date(2019, 5, 1))
    assert is_smtp_blocked(exempted, created) is is_blocked
    assert is_smtp_blocked(Subscription(DEV_TEST, date(2018, 1, 31)), created)


def test_an_exemption_of_another_kind_counts_for_nothing() -> None:
    """Azure gives none; documents that say so are refused."""
    exempted = Subscription(PAID, date(2018, 1, 31), date(2019, 5, 1))
    assert is_smtp_blocked(exempted, date(2020, 1, 1))


ALL_OUT = group("open", rule("allow-all", 100, OUTBOUND, ALLOW))


def policy_of(
    subscription: Subscription | None,
    *groups: NetworkSecurityGroup,
    subnet_group: str | None = None,
) -> CompiledPolicy:
    """vnet, peered with far: NICs with and without a day of creation, and two scale sets.

    The groups are attached to the NICs and scale sets, the first one.
    """
    name = groups[0].name if groups else None
    vnet = VirtualNetwork(
        "vnet",
        prefixes("10.0.0.0/16", "52.0.0.0/16", "fd00:1::/48"),
        (subnet("s", "10.0.0.0/24,52.0.0.0/24,fd00:1::/64", subnet_group),),
        (Peering("far"),),
        on_premises=prefixes("51.0.0.0/16"),
        routes=prefixes("53.0.0.0/16"),
    )
    far = VirtualNetwork(
        "far",
        prefixes("10.9.0.0/16", "54.0.0.0/16"),
        (subnet("t", "10.9.0.0/24,54.0.0.0/24"),),
        (Peering("vnet"),),
    )
    return compile_policy(
        NetworkModel(
            (vnet, far),
            (
                nic("undated", "10.0.0.4,fd00:1::4", "s", name),
                nic("old", "10.0.0.5", "s", name, created="2019-04-30"),
                nic("new", "10.0.0.6,fd00:1::6", "s", name, created="2019-05-01"),
            ),
            groups,
            scale_sets=(
                scale_set("old-set", "10.0.0.32/28", "s", name),
                scale_set("new-set", "10.0.0.48/28", "s", name, created="2020-01-01"),
            ),
            subscription=subscription,
        )
    )


def run(policy: CompiledPolicy, first: PacketHeader) -> Decision:
    return decide(policy, first, None, None)


@pytest.mark.parametrize(
    ("first", "is_denied"),
    [
        (packet("10.0.0.4", INTERNET, 25), True),
        (packet("fd00:1::4", INTERNET6, 25), True),
        (packet("10.0.0.33", INTERNET, 25), True),  # an instance
        (packet("10.0.0.77", INTERNET, 25), True),  # a resource of the subnet
        (packet("10.0.0.4", "53.0.0.1", 25), True),  # routes do not shrink Internet
        (packet("10.0.0.4", INTERNET, 24), False),
        (packet("10.0.0.4", INTERNET, 26), False),
        (packet("10.0.0.4", INTERNET, 587), False),
        (packet("10.0.0.4", INTERNET, 465), False),
        (packet("10.0.0.4", INTERNET, 80, source_port=25), False),
        (packet("10.0.0.4", INTERNET, 25, UDP), False),
        (echo("10.0.0.4", INTERNET), False),
        (packet("10.0.0.4", "192.168.1.1", 25), False),  # private
        (packet("10.0.0.4", "10.0.0.5", 25), False),  # the network itself
        (packet("10.0.0.4", "52.0.0.9", 25), False),  # its public space
        (packet("10.0.0.4", "10.9.0.4", 25), False),  # a peer
        (packet("10.0.0.4", "54.0.0.4", 25), False),  # a peer's public space
        (packet("10.0.0.4", "51.0.0.1", 25), False),  # on premises
        (packet("10.0.0.4", "169.254.169.254", 25), False),
        (packet(INTERNET, "10.0.0.4", 25), False),  # inbound
    ],
)
def test_what_is_denied(first: PacketHeader, is_denied: bool) -> None:
    """TCP port 25 of the Internet, outbound: with and without a group that allows all."""
    allowing = group("open", *ALL_OUT.security_rules, rule("in", 100, INBOUND, ALLOW))
    expected = DENIED if is_denied else ALLOWED
    assert run(policy_of(BLOCKED), first) == expected
    with_group = run(policy_of(BLOCKED, allowing, subnet_group="open"), first)
    assert (with_group == DENIED) is is_denied
    assert with_group.access is (DENY if is_denied else ALLOW)
    if not is_denied:
        assert {each.network_security_group for each in with_group.consulted} == {"open"}
    # Without a section nothing is changed.
    assert run(policy_of(None), first) == ALLOWED


@pytest.mark.parametrize("kind", SubscriptionKind)
@pytest.mark.parametrize("created", [date(2017, 11, 14), date(2017, 11, 15), date(2021, 1, 1)])
def test_each_kind(kind: SubscriptionKind, created: date) -> None:
    """A subscription's kind and age decide for all of its resources."""
    policy = policy_of(Subscription(kind, created))
    is_denied = created >= FIRST_DAY and kind is not AGREEMENT
    for source in ("10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.33", "10.0.0.49", "10.0.0.77"):
        found = run(policy, packet(source, INTERNET, 25))
        assert found == (DENIED if is_denied else ALLOWED), source
    assert any(not table.network_security_group for table in policy.tables) is is_denied


@pytest.mark.parametrize(
    ("source", "destination", "is_denied"),
    [
        ("10.0.0.4", INTERNET, True),
        ("fd00:1::4", INTERNET6, True),
        ("10.0.0.5", INTERNET, True),
        ("10.0.0.6", INTERNET, False),
        ("fd00:1::6", INTERNET6, False),
        ("10.0.0.33", INTERNET, True),
        ("10.0.0.49", INTERNET, False),
        ("10.0.0.77", INTERNET, True),  # of an undeclared resource nothing is known
    ],
)
def test_an_exemption_is_for_each_resource(source: str, destination: str, is_denied: bool) -> None:
    """Of one subnet some may send and some not."""
    policy = policy_of(Subscription(DEV_TEST, date(2018, 1, 31), date(2019, 5, 1)))
    assert run(policy, packet(source, destination, 25)) == (DENIED if is_denied else ALLOWED)


def test_ahead_of_the_groups() -> None:
    """Where SMTP may not be sent no group is asked; where it may, the groups decide as usual."""
    denying = group("closed", rule("deny-25", 100, OUTBOUND, DENY, "Tcp", ports="25"))
    first = packet("10.0.0.4", INTERNET, 25)
    assert run(policy_of(BLOCKED, denying), first) == DENIED
    allowed = policy_of(Subscription(AGREEMENT, date(2018, 1, 31)), denying)
    assert run(allowed, first).rule == "deny-25"
    other = run(policy_of(BLOCKED, denying), packet("10.0.0.4", INTERNET, 80))
    assert other == Decision(
        ALLOW,
        Reason.RULE,
        (TableDecision("closed", OUTBOUND, "AllowInternetOutBound", ALLOW),),
    )


def test_platform_traffic_to_port_25() -> None:
    """The host's address is in Internet, as recorded answers list it."""
    assert run(policy_of(BLOCKED, ALL_OUT), packet("10.0.0.4", "168.63.129.16", 25)) == DENIED


def test_a_peer_is_not_asked_for_the_sender() -> None:
    """What is Internet for one network may be a peer's space for another one."""
    policy = policy_of(BLOCKED)
    from_far = packet("10.9.0.4", "51.0.0.1", 25)  # on premises of vnet, Internet for far
    assert run(policy, from_far) == DENIED
    assert run(policy, packet("10.0.0.4", "51.0.0.1", 25)) == ALLOWED


def test_numbers() -> None:
    """The rule that denies has one number for all networks; the silent one has none."""
    policy = policy_of(BLOCKED, ALL_OUT)
    numbers = DecisionNumbers().extended(policy, 32, 1000)
    ours = [key for key in numbers.by_direction[OUTBOUND] if not key[0]]
    assert ours == [("", RULE, DENY)]
    assert not any("GoOn" in key[1] for key in numbers.by_direction[OUTBOUND])
    smtp = [index for index, table in enumerate(policy.tables) if not table.network_security_group]
    assert len(smtp) == 2
    for index in smtp:
        number = numbers.by_direction[OUTBOUND][ours[0]]
        assert numbers.of_table(policy, index) == (number, 0)


def test_one_table_for_each_network() -> None:
    """Shared by all its resources, and asked first of what they send."""
    policy = policy_of(BLOCKED, ALL_OUT)
    for endpoint in policy.endpoint_map.endpoints:
        names = [policy.tables[index].network_security_group for index in endpoint.outbound]
        assert names[0] == ""
        assert "" not in names[1:]
        assert all(policy.tables[index].network_security_group for index in endpoint.inbound)
    ahead = {
        endpoint.virtual_network: endpoint.outbound[0] for endpoint in policy.endpoint_map.endpoints
    }
    assert len(set(ahead.values())) == len(ahead) == 2
