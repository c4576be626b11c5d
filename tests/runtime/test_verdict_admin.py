"""The verdict path agrees with the evaluator under security admin rules, packet by packet."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest

from nsgd.model.decision import Reason
from nsgd.model.network import NetworkModel
from nsgd.model.packet import ICMP, TCP, UDP
from nsgd.model.rule import Access, Direction
from nsgd.model.settings import DaemonSettings, Mode
from nsgd.policy.compile import compile_policy
from nsgd.policy.evaluate import decide
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.marks import FIRST_RULE_NUMBER, NO_TABLE, MarkLayout
from nsgd.runtime import counters as cell
from nsgd.runtime.counters import CELLS_OF_OUTCOME, SharedCounters
from nsgd.runtime.denials import DenialReader
from nsgd.runtime.verdict import VerdictPath
from nsgd.runtime.worker_policy import WorkerPolicy
from tests.policy.builders import DENY, INBOUND, OUTBOUND, packet
from tests.policy.test_admin import BLOCKED, INTERNET, RULES, admin_rule, model_of
from tests.runtime.test_verdict_agreement import to_bytes

SETTINGS = DaemonSettings()
LAYOUT = MarkLayout(SETTINGS.mark_mask)
MIXED = (
    *RULES,
    admin_rule("near", 40, INBOUND, "AlwaysAllow", sources="tag:VirtualNetwork", ports="1-20"),
    admin_rule("far", 41, INBOUND, "Deny", "Udp", source_ports="1-100"),
    admin_rule("icmp", 42, INBOUND, "Deny", "Icmp"),
    admin_rule("go", 43, INBOUND, "Allow", ports="25-80"),
)
ADDRESSES = (
    *("10.0.0.4", "10.0.0.5", "10.0.0.33", "10.0.0.77", "10.0.9.4", "10.9.0.4", INTERNET),
    "168.63.129.16",
)
PORTS = (6, 7, 8, 9, 10, 20, 21, 25, 80, 81)


def path_of(
    model: NetworkModel, counters: SharedCounters, settings: DaemonSettings = SETTINGS
) -> tuple[VerdictPath, DecisionNumbers]:
    policy = compile_policy(model)
    numbers = DecisionNumbers().extended(policy, FIRST_RULE_NUMBER, LAYOUT.capacity)
    built = WorkerPolicy.build(1, policy, numbers, settings)
    return VerdictPath(WorkerPolicy.from_bytes(built.to_bytes()), counters), numbers


@pytest.mark.parametrize(
    "model",
    [
        model_of(*MIXED),
        model_of(*MIXED, at_nic="closed"),
        model_of(*MIXED, at_nic="open", at_subnet="defaults", subscription=BLOCKED),
        model_of(*RULES, at_subnet="open", subscription=BLOCKED),
    ],
    ids=["bare", "closed", "two-groups", "smtp"],
)
def test_agreement(model: NetworkModel) -> None:
    """Accept or drop, both numbers of the mark, and one hit for each rule that is named."""
    counters = SharedCounters.create(LAYOUT.capacity)
    path, numbers = path_of(model, counters)
    policy = compile_policy(model)
    cases = list(itertools.product(ADDRESSES, ADDRESSES, PORTS, (TCP, UDP, ICMP), (False, True)))
    random.Random(9).shuffle(cases)
    hits: Counter[tuple[Direction, int]] = Counter()
    flows: Counter[int] = Counter()
    for source, destination, port, protocol, answered in cases:
        header = packet(source, destination, port, protocol, source_port=99)
        expected = decide(policy, header, None, None)
        if source == destination or expected.access is None:
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
            hits[each.direction, number] += 1
        if mark is not None:
            assert LAYOUT.numbers(mark) == (last[OUTBOUND], last[INBOUND])
        way = expected.direction or INBOUND
        flows[cell.FLOWS[way, expected.access, expected.reason]] += 1
    totals = counters.totals()
    for direction in Direction:
        first = counters.first_hit_cell(direction)
        for number in range(LAYOUT.capacity):
            assert totals[first + number] == hits[direction, number]
    assert {index: totals[index] for index in cell.FLOWS.values() if totals[index]} == flows
    assert sum(flows.values()) > 2500
    counters.close()


def test_the_longest_way_has_a_cell_of_its_own() -> None:
    """Two admin tables and four groups: an outcome still fits where outcomes are counted."""
    go = [admin_rule(f"go-{way.value}", 5, way, "Allow") for way in Direction]
    counters = SharedCounters.create(LAYOUT.capacity)
    path, _ = path_of(model_of(*go, at_nic="open", at_subnet="defaults"), counters)
    header = packet("10.0.0.4", "10.0.0.5", 80)._replace(is_midstream=True)
    outcome = path.outcome(tuple(header), 0, None, None)  # type: ignore[arg-type]
    assert len(outcome.counted) == 6 + 3 <= CELLS_OF_OUTCOME
    counters.close()


def test_audit_names_the_rule() -> None:
    """Without a group's name, and the packet passes."""
    counters = SharedCounters.create(LAYOUT.capacity)
    reader = DenialReader(counters)
    audit = DaemonSettings(mode=Mode.AUDIT)
    path, numbers = path_of(model_of(*MIXED), counters, audit)
    mark = path.judge(to_bytes(packet(INTERNET, "10.0.0.4", 9)), 0, None, None)
    assert mark is not None
    ((denial,), others) = reader.read(5)
    assert others == 0
    assert denial.describe(numbers) == (
        f"Tcp {INTERNET}:60000 > 10.0.0.4:9 by Inbound securityAdminRules/deny-in-9"
    )
    assert counters.totals()[cell.FLOWS[INBOUND, Access.DENY, Reason.RULE]] == 1
    counters.close()
