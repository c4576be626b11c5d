"""What the policy says of probes: the deciding rule to show, and the hits that must be counted.

Never what decides whether a probe is right: that is between the wire and the hand-written file.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nsgd.lab.traffic import Observation
from nsgd.model.address import Address
from nsgd.model.decision import Decision, TableDecision
from nsgd.model.packet import TCP, UDP, PacketHeader
from nsgd.model.rule import Protocol
from nsgd.model.settings import Failsafe
from nsgd.policy.compile import CompiledPolicy
from nsgd.policy.evaluate import decide

_COUNTERS_TIMEOUT_S = 3.0
_COUNTERS_POLL_S = 0.2

RuleKey = tuple[str, str, str]  # network security group, direction, rule


def rule_key(decision: TableDecision) -> RuleKey:
    """How counters tell the rule from others."""
    return decision.network_security_group, decision.direction.value, decision.rule


def decide_probe(policy: CompiledPolicy, observation: Observation) -> Decision:
    """The decision on the first packet that was sent, by the gateway's links."""
    probe = observation.probe
    return decide(
        policy,
        probe.packet(observation.source_port),
        probe.sender.gateway_link,
        probe.receiver.gateway_link,
    )


def passes_failsafe(failsafe: Failsafe, packet: PacketHeader) -> bool:
    """Tell whether a packet that opens a flow passes ahead of every rule."""
    number = TCP if failsafe.protocol is Protocol.TCP else UDP
    return (
        packet.protocol == number
        and any(ports.first <= packet.destination_port <= ports.last for ports in failsafe.ports)
        and (
            not failsafe.sources
            or any(p.contains(Address(packet.version, packet.source)) for p in failsafe.sources)
        )
    )


def decided_by(decision: Decision) -> str:
    """The deciding group and rule in a few words, or why there is none."""
    reported = decision.reported
    if reported is None:
        return decision.reason.value
    named = reported.network_security_group, reported.direction.value, reported.rule
    return " ".join(filter(None, named))


def predicted_hits(decisions: Iterable[Decision]) -> Counter[RuleKey]:
    """Hits by rule: each first packet is one hit in every table that it was judged by."""
    return Counter(rule_key(table) for decision in decisions for table in decision.consulted)


def counted_hits(status: Mapping[str, Any]) -> Counter[RuleKey]:
    """Hits by rule as the daemon's status reports them."""
    hits: Counter[RuleKey] = Counter()
    for entry in status.get("ruleHits", ()):
        key = (entry["networkSecurityGroup"] or "", entry["direction"], entry["rule"])
        hits[key] += int(entry["hits"])
    return hits


def settled_hits(
    read_status: Callable[[], dict[str, Any]], predicted: Counter[RuleKey]
) -> tuple[dict[str, Any], list[str]]:
    """The daemon's status once its counters are as predicted, or after a while, and differences.

    A verdict is on the wire a moment before its count can be read.
    """
    deadline = time.monotonic() + _COUNTERS_TIMEOUT_S
    while True:
        status = read_status()
        differences = hit_differences(predicted, counted_hits(status))
        if not differences or time.monotonic() > deadline:
            return status, differences
        time.sleep(_COUNTERS_POLL_S)


def hit_differences(predicted: Counter[RuleKey], counted: Counter[RuleKey]) -> list[str]:
    """One line for each rule whose counter is not what the probes that were sent must give."""
    return [
        f"{group} {direction} {rule}: {counted[group, direction, rule]} hits counted,"
        f" {predicted[group, direction, rule]} expected"
        for group, direction, rule in sorted(predicted.keys() | counted.keys())
        if counted[group, direction, rule] != predicted[group, direction, rule]
    ]
