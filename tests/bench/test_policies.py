"""The benchmark's policies: they load, and their rules decide the flows evenly."""

from __future__ import annotations

import json
import statistics
from collections import Counter

import pytest

from nsgd.bench.flows import PROTOCOLS, make_flows
from nsgd.bench.policies import DECIDED_BY, NICS, POLICIES, RULES, Size, policy_document
from nsgd.config.load import Document, load_documents
from nsgd.model.network import NetworkModel
from nsgd.model.packet import TCP, PacketHeader
from nsgd.model.rule import Access
from nsgd.model.settings import Engine
from nsgd.policy.compile import compile_policy
from nsgd.policy.evaluate import decide

ASKED = [
    ("client-nic", "Outbound"),
    ("client-subnet", "Outbound"),
    ("server-subnet", "Inbound"),
    ("server-nic", "Inbound"),
]
LARGEST, SMALL, MEDIUM = Size(), Size(10, 10), Size(100, 1000)


def loaded(name: str, size: Size) -> NetworkModel:
    """The policy, read as nsgd reads it: its limits are Azure's."""
    content = json.dumps(policy_document(name, size)).encode()
    return load_documents([Document(name, content)]).model


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize(("size", "flows_a_rule"), [(LARGEST, 20), (MEDIUM, 100), (SMALL, 200)])
def test_the_deciding_rule_is_spread_evenly(name: str, size: Size, flows_a_rule: int) -> None:
    """Each flow asks four groups and is allowed; all rules decide, and none of them much."""
    model = loaded(name, size)
    assert len(model.network_interfaces) == size.nics
    groups = model.network_security_groups
    assert [len(group.security_rules) for group in groups] == [size.rules] * 4
    policy = compile_policy(model)
    hits: dict[tuple[str, str], Counter[str]] = {asked: Counter() for asked in ASKED}
    for flow in make_flows(flows_a_rule * size.rules, size.nics // 2):
        ends = flow.source, flow.destination, flow.source_port, flow.destination_port
        packet = PacketHeader(4, flow.protocol, *ends, is_midstream=False)
        decision = decide(policy, packet, "to-client", "to-server")
        assert decision.access is Access.ALLOW
        assert [(t.network_security_group, t.direction.value) for t in decision.consulted] == ASKED
        for table in decision.consulted:
            hits[table.network_security_group, table.direction.value][table.rule] += 1
    # Addresses of ten NICs are told apart by one digit, where these rules look at two.
    is_halved = size == SMALL and name in ("sources", "destinations")
    for of_group in hits.values():
        assert all(rule.startswith("Rule") for rule in of_group)
        assert len(of_group) == size.rules // (2 if is_halved else 1)
        assert max(of_group.values()) < 2.5 * statistics.median(of_group.values())


@pytest.mark.parametrize("name", POLICIES)
def test_rules_overlap(name: str) -> None:
    """A rule further down also matches what the first one decides: order is what decides."""
    policy = compile_policy(loaded(name, LARGEST))
    table = next(t for t in policy.tables if t.network_security_group == "client-nic")
    overlapping = 0
    for flow in make_flows(200):
        matching = table.family_v4.protocols[flow.protocol]
        matching &= table.family_v4.sources.rules(flow.source)
        matching &= table.family_v4.destinations.rules(flow.destination)
        matching &= table.destination_ports.rules(flow.destination_port)
        # Less the default rules AllowVnetOutBound and DenyAllOutBound.
        overlapping += matching.bit_count() - 2 > 1
    assert overlapping > 100


@pytest.mark.parametrize("name", ["ports", "mixed"])
def test_protocols_are_told_apart(name: str) -> None:
    """Of flows that differ in protocol alone, each is decided by another rule."""
    policy = compile_policy(loaded(name, MEDIUM))
    for flow in make_flows(50, MEDIUM.nics // 2):
        ends = flow.source, flow.destination, flow.source_port, flow.destination_port
        rules = {
            decide(policy, PacketHeader(4, p, *ends, is_midstream=False), None, None)
            .consulted[0]
            .rule
            for p in PROTOCOLS
        }
        assert len(rules) == len(PROTOCOLS)


@pytest.mark.parametrize("engine", Engine)
def test_the_engine_is_a_setting(engine: Engine) -> None:
    """The documents of both engines differ in nothing else."""
    document = policy_document("mixed", SMALL, engine.value)
    content = json.dumps(document).encode()
    assert load_documents([Document("mixed", content)]).settings.engine is engine
    del document["daemon"]["engine"]
    queue = policy_document("mixed", SMALL)
    assert queue["daemon"].pop("engine") == "queue"
    assert document == queue


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("nics", NICS[:3])
def test_every_size_loads(name: str, rules: int, nics: int) -> None:
    """Any number of rules goes with any number of NICs."""
    model = loaded(name, Size(rules, nics))
    assert {len(group.security_rules) for group in model.network_security_groups} == {rules}
    members = Counter(
        asg for nic in model.network_interfaces for asg in nic.application_security_groups
    )
    assert set(members.values()) == {nics // 2 // min(10, nics // 2)}


@pytest.mark.parametrize(("rules", "nics"), [(11, 10), (10, 20), (0, 0)])
def test_a_size_that_has_no_policy(rules: int, nics: int) -> None:
    """Rules could not be hit evenly."""
    with pytest.raises(ValueError, match="not a size"):
        Size(rules, nics)


def test_every_policy_is_described() -> None:
    """The report says what each policy decides by."""
    assert DECIDED_BY.keys() == POLICIES.keys()
    assert TCP in PROTOCOLS
