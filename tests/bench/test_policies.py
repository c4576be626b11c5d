"""The benchmark's policies: they load, and their rules decide the flows evenly."""

from __future__ import annotations

import json
import statistics
from collections import Counter

import pytest

from nsgd.bench.flows import make_flows
from nsgd.bench.policies import DECIDED_BY, POLICIES, policy_document
from nsgd.config.load import Document, load_documents
from nsgd.model.packet import UDP, PacketHeader
from nsgd.model.rule import Access
from nsgd.policy.compile import compile_policy
from nsgd.policy.evaluate import decide

FLOWS = make_flows(20_000)
# Rules that decide UDP flows; a quarter of "mixed" is for TCP.
DECIDING = {"mixed": 750}
ASKED = [
    ("client-nic", "Outbound"),
    ("client-subnet", "Outbound"),
    ("server-subnet", "Inbound"),
    ("server-nic", "Inbound"),
]


@pytest.mark.parametrize("name", POLICIES)
def test_the_deciding_rule_is_spread_evenly(name: str) -> None:
    """Each flow asks four groups of 1000 rules and is allowed; no rule decides much of them."""
    content = json.dumps(policy_document(name)).encode()
    model = load_documents([Document(name, content)]).model
    assert [len(group.security_rules) for group in model.network_security_groups] == [1000] * 4
    policy = compile_policy(model)
    hits: dict[tuple[str, str], Counter[str]] = {asked: Counter() for asked in ASKED}
    for flow in FLOWS:
        ports = flow.source_port, flow.destination_port
        packet = PacketHeader(4, UDP, flow.source, flow.destination, *ports, is_midstream=False)
        decision = decide(policy, packet, "to-client", "to-server")
        assert decision.access is Access.ALLOW
        assert [(t.network_security_group, t.direction.value) for t in decision.consulted] == ASKED
        for table in decision.consulted:
            hits[table.network_security_group, table.direction.value][table.rule] += 1
    for of_group in hits.values():
        assert all(rule.startswith("Rule") for rule in of_group)
        assert len(of_group) == DECIDING.get(name, 1000)
        assert max(of_group.values()) < 2.5 * statistics.median(of_group.values())


@pytest.mark.parametrize("name", POLICIES)
def test_rules_overlap(name: str) -> None:
    """A rule further down also matches what the first one decides: order is what decides."""
    content = json.dumps(policy_document(name)).encode()
    policy = compile_policy(load_documents([Document(name, content)]).model)
    table = next(t for t in policy.tables if t.network_security_group == "client-nic")
    overlapping = 0
    for flow in FLOWS[:200]:
        matching = table.family_v4.protocols[UDP]
        matching &= table.family_v4.sources.rules(flow.source)
        matching &= table.family_v4.destinations.rules(flow.destination)
        matching &= table.destination_ports.rules(flow.destination_port)
        # Less the default rules AllowVnetOutBound and DenyAllOutBound.
        overlapping += matching.bit_count() - 2 > 1
    assert overlapping > 100


def test_every_policy_is_described() -> None:
    """The report says what each policy decides by."""
    assert DECIDED_BY.keys() == POLICIES.keys()
