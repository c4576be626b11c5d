"""NSG diagnostics: table by table, each rule up to the one that decides, and what of it matched.

The explanation walks the effective rules one by one, as people read them; the verdict comes from
the compiled tables. A test holds the two together.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from nsgd.answers.azure_names import diagnostics_rule_name, group_name
from nsgd.answers.question import EVERY_PORT, WITH_PORTS, FlowQuestion
from nsgd.model.address import IPVersion
from nsgd.model.packet import AH, ESP, ICMP, ICMPV6, TCP, UDP
from nsgd.model.rule import Access, Direction, Protocol
from nsgd.policy.address_set import Range
from nsgd.policy.effective import EffectiveSecurityRule

_EVERY: tuple[Range, ...] = ((0, 65535),)
_NUMBERS = {Protocol.TCP: TCP, Protocol.UDP: UDP, Protocol.ESP: ESP, Protocol.AH: AH}


@dataclass(frozen=True, slots=True)
class RuleEvaluation:
    """One rule, and which of its fields the packet matches."""

    name: str
    access: Access
    protocol_matched: bool
    source_matched: bool
    source_port_matched: bool
    destination_matched: bool
    destination_port_matched: bool

    @property
    def is_match(self) -> bool:
        """Tell whether every field matches."""
        return not self.failed_fields

    @property
    def failed_fields(self) -> tuple[str, ...]:
        """What does not match, in a few words."""
        fields = (
            ("protocol", self.protocol_matched),
            ("source", self.source_matched),
            ("source port", self.source_port_matched),
            ("destination", self.destination_matched),
            ("destination port", self.destination_port_matched),
        )
        return tuple(name for name, is_matched in fields if not is_matched)


@dataclass(frozen=True, slots=True)
class RulesToAsk:
    """One table's effective rules and what its group is associated with."""

    network_security_group: str  # "" for rules that stand ahead of every group
    applied_to: str
    direction: Direction
    rules: Sequence[EffectiveSecurityRule]


@dataclass(frozen=True, slots=True)
class TableEvaluation:
    """One table's rules in order, up to and with the one that matched."""

    network_security_group: str
    applied_to: str
    direction: Direction
    rules: tuple[RuleEvaluation, ...]

    @property
    def matched(self) -> RuleEvaluation:
        """The rule that decides."""
        return self.rules[-1]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The tables that were asked, the deciding one last."""

    question: FlowQuestion
    tables: tuple[TableEvaluation, ...]  # without those that say nothing

    @property
    def access(self) -> Access:
        """Deny as soon as one table denies; Allow where none was asked."""
        return self.tables[-1].matched.access if self.tables else Access.ALLOW


def explain(question: FlowQuestion, tables: Sequence[RulesToAsk]) -> Explanation:
    """Walk through the rules.

    Args:
        question: A source port of EVERY_PORT matches a rule of every source port only: the caller
            has made sure that all ports are judged by the same rules.
        tables: In the order in which they are asked.
    """
    asked: list[TableEvaluation] = []
    for table in tables:
        evaluations: list[RuleEvaluation] = []
        for rule in table.rules:
            evaluations.append(_evaluate(rule, question))
            if evaluations[-1].is_match:
                break
        if rule.is_silent:
            continue
        asked.append(
            TableEvaluation(
                table.network_security_group,
                table.applied_to,
                table.direction,
                tuple(evaluations),
            )
        )
        if rule.is_final or rule.access is Access.DENY:
            break
    return Explanation(question, tuple(asked))


def _evaluate(rule: EffectiveSecurityRule, question: FlowQuestion) -> RuleEvaluation:
    packet = question.packet(question.source_port or 0)
    source_ports, destination_ports = rule.source_ports, rule.destination_ports
    has_ports = question.protocol in WITH_PORTS
    is_any_source_port = not has_ports or question.source_port is EVERY_PORT
    return RuleEvaluation(
        rule.name,
        rule.access,
        any(_is_protocol(each, packet.version, packet.protocol) for each in rule.protocols),
        rule.source.contains(packet.version, packet.source),
        source_ports == _EVERY if is_any_source_port else _holds(source_ports, packet.source_port),
        rule.destination.contains(packet.version, packet.destination),
        # A rule that names ports says nothing of packets that have none.
        _holds(destination_ports, packet.destination_port)
        if has_ports
        else destination_ports == _EVERY,
    )


def _is_protocol(protocol: Protocol, version: IPVersion, number: int) -> bool:
    if protocol is Protocol.ANY:
        return True
    if protocol is Protocol.ICMP:
        return number == (ICMP if version == 4 else ICMPV6)
    return number == _NUMBERS[protocol]


def _holds(ranges: Sequence[Range], port: int) -> bool:
    index = bisect_right(ranges, port, key=itemgetter(0)) - 1
    return index >= 0 and port <= ranges[index][1]


def explanation_as_json(explanation: Explanation) -> dict[str, Any]:
    """What ``az network watcher run-configuration-diagnostic`` shows, for one profile.

    Source:
        A recorded answer of api-version 2020-05-01.
    """
    question = explanation.question
    is_outbound = question.direction is Direction.OUTBOUND
    source, destination, port = (
        (question.local, question.remote, question.remote_port)
        if is_outbound
        else (question.remote, question.local, question.local_port)
    )
    return {
        "results": [
            {
                "profile": {
                    "direction": question.direction.value,
                    "protocol": question.protocol_name.capitalize(),
                    "source": str(source),
                    "destination": str(destination),
                    "destinationPort": str(port) if question.protocol in WITH_PORTS else "*",
                },
                "networkSecurityGroupResult": {
                    "securityRuleAccessResult": explanation.access.value,
                    "evaluatedNetworkSecurityGroups": [
                        _table_as_json(table) for table in explanation.tables
                    ],
                },
            }
        ]
    }


def _table_as_json(table: TableEvaluation) -> dict[str, Any]:
    return {
        "networkSecurityGroupId": group_name(table.network_security_group),
        "appliedTo": table.applied_to,
        "matchedRule": {
            "ruleName": diagnostics_rule_name(table.matched.name),
            "action": table.matched.access.value,
        },
        "rulesEvaluationResult": [
            {
                "name": diagnostics_rule_name(rule.name),
                "protocolMatched": rule.protocol_matched,
                "sourceMatched": rule.source_matched,
                "sourcePortMatched": rule.source_port_matched,
                "destinationMatched": rule.destination_matched,
                "destinationPortMatched": rule.destination_port_matched,
            }
            for rule in table.rules
        ],
    }
