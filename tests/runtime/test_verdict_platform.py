"""The verdict path agrees with the evaluator where tables are silent, final or the platform's."""

from __future__ import annotations

import itertools
import random
from datetime import date

import pytest
from scapy.layers.inet import IP, TCP

from nsgd.model.address import Address
from nsgd.model.decision import Reason
from nsgd.model.packet import ICMP, UDP
from nsgd.model.packet import TCP as TCP_NUMBER
from nsgd.model.platform import Subscription, SubscriptionKind
from nsgd.model.rule import Access, Direction
from nsgd.model.settings import DaemonSettings
from nsgd.policy.compile import CompiledPolicy
from nsgd.policy.evaluate import decide
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.marks import FIRST_RULE_NUMBER, NO_TABLE, MarkLayout
from nsgd.runtime import counters as cell
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.verdict import VerdictPath
from nsgd.runtime.worker_policy import WorkerPolicy
from tests.policy.builders import DENY, INBOUND, OUTBOUND, group, packet, rule
from tests.policy.test_final import policy_with
from tests.policy.test_smtp import BLOCKED, INTERNET, policy_of
from tests.runtime.test_verdict_agreement import to_bytes

SETTINGS = DaemonSettings()
LAYOUT = MarkLayout(SETTINGS.mark_mask)
EXEMPTED = Subscription(SubscriptionKind.ENTERPRISE_DEV_TEST, date(2018, 1, 31), date(2019, 5, 1))
CLOSED = group(
    "closed",
    rule("deny-dns", 200, OUTBOUND, DENY, destination="platform:DNS"),
    rule("deny-in", 100, INBOUND, DENY, "Tcp", ports="25"),
)
ADDRESSES = (
    *("10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.33", "10.0.0.49", "10.0.0.77", "10.9.0.4"),
    *(INTERNET, "168.63.129.16", "169.254.169.254", "20.118.99.224", "192.168.1.1", "51.0.0.1"),
)
PORTS = (1, 2, 3, 4, 24, 25, 26, 53, 80, 1688)


def path_of(
    policy: CompiledPolicy, counters: SharedCounters
) -> tuple[VerdictPath, DecisionNumbers]:
    numbers = DecisionNumbers().extended(policy, FIRST_RULE_NUMBER, LAYOUT.capacity)
    built = WorkerPolicy.build(1, policy, numbers, SETTINGS)
    return VerdictPath(WorkerPolicy.from_bytes(built.to_bytes()), counters), numbers


@pytest.mark.parametrize(
    "policy",
    [
        policy_of(BLOCKED),
        policy_of(BLOCKED, CLOSED),
        policy_of(EXEMPTED, CLOSED, subnet_group="closed"),
        policy_of(EXEMPTED),
        policy_of(None, CLOSED),
        policy_with(OUTBOUND),
        policy_with(INBOUND),
    ],
    ids=["blocked", "group", "exempted", "exempted-bare", "none", "outbound", "inbound"],
)
def test_agreement(policy: CompiledPolicy) -> None:
    """Accept or drop, both numbers of the mark, and one hit for each rule that is named."""
    counters = SharedCounters.create(LAYOUT.capacity)
    path, numbers = path_of(policy, counters)
    cases = list(
        itertools.product(ADDRESSES, ADDRESSES, PORTS, (TCP_NUMBER, UDP, ICMP), (False, True))
    )
    random.Random(7).shuffle(cases)
    hits: dict[tuple[Direction, int], int] = {}
    compared = 0
    for source, destination, port, protocol, answered in cases[:6000]:
        if source == destination:
            continue
        header = packet(source, destination, port, protocol, source_port=25)
        expected = decide(policy, header, None, None)
        if expected.access is None:
            continue
        if answered:
            request = LAYOUT.is_reply | LAYOUT.is_open
            mark = path.judge(to_bytes(header.reversed()), request, None, None)
        else:
            mark = path.judge(to_bytes(header), 0, None, None)
        assert (mark is None) is (expected.access is DENY)
        last = {OUTBOUND: NO_TABLE, INBOUND: NO_TABLE}
        for each in expected.consulted:
            key = each.network_security_group, each.rule, each.access
            number = last[each.direction] = numbers.by_direction[each.direction][key]
            hits[each.direction, number] = hits.get((each.direction, number), 0) + 1
        if mark is not None:
            assert LAYOUT.numbers(mark) == (last[OUTBOUND], last[INBOUND])
        compared += 1
    totals = counters.totals()
    for direction in Direction:
        first = counters.first_hit_cell(direction)
        for number in range(LAYOUT.capacity):
            assert totals[first + number] == hits.get((direction, number), 0)
    assert compared > 2000
    counters.close()


def test_silence_is_no_decision() -> None:
    """Without a group nothing is named: the flow is one that no group was asked about."""
    counters = SharedCounters.create(LAYOUT.capacity)
    path, _ = path_of(policy_of(BLOCKED), counters)
    mark = path.judge(bytes(IP(src="10.0.0.4", dst=INTERNET) / TCP(dport=80)), 0, None, None)
    assert mark is not None
    assert LAYOUT.numbers(mark) == (NO_TABLE, NO_TABLE)
    totals = counters.totals()
    assert totals[cell.FLOWS[INBOUND, Access.ALLOW, Reason.NO_NSG]] == 1
    assert sum(totals) == 2  # and one accepted
    counters.close()


def test_a_denial_of_smtp_is_counted_outbound() -> None:
    """By the rule's own number, as any denial."""
    counters = SharedCounters.create(LAYOUT.capacity)
    path, numbers = path_of(policy_of(BLOCKED), counters)
    assert (
        path.judge(bytes(IP(src="10.0.0.4", dst=INTERNET) / TCP(dport=25)), 0, None, None) is None
    )
    totals = counters.totals()
    number = numbers.by_direction[OUTBOUND]["", "platformRules/DenySmtpOutBound", DENY]
    assert totals[counters.first_hit_cell(OUTBOUND) + number] == 1
    assert totals[cell.FLOWS[OUTBOUND, DENY, Reason.RULE]] == 1
    assert totals[cell.DENIED[Reason.RULE]] == totals[cell.DROPPED] == 1
    assert totals[cell.DENIALS_WRITTEN] == 1
    assert sum(totals) == 5
    counters.close()


def test_classes_tell_platform_addresses_apart() -> None:
    """What is remembered of one address is not said of its neighbour."""
    counters = SharedCounters.create(LAYOUT.capacity)
    path, _ = path_of(policy_of(BLOCKED, CLOSED), counters)
    host = Address.parse("168.63.129.16").value
    for offset in (-1, 0, 1, 0, -1):
        header = packet("10.0.0.4", str(Address(4, host + offset)), 53, UDP)
        mark = path.judge(to_bytes(header), 0, None, None)
        assert (mark is None) is (offset == 0)
    counters.close()
