"""IP flow verify: whether the groups of one resource let a flow pass in one direction, and by which
rule.

As Azure's, it asks the two tables of the local resource and nobody at the other end.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from nsgd.answers.azure_names import group_name, rule_name
from nsgd.answers.question import EVERY_PORT, FlowQuestion
from nsgd.answers.refused import QuestionRefused
from nsgd.answers.resources import Resource
from nsgd.model.address import PortRange
from nsgd.model.decision import TableDecision
from nsgd.model.packet import PacketHeader
from nsgd.model.rule import Access, Direction
from nsgd.policy.compile import CompiledPolicy
from nsgd.policy.table import CompiledTable

T = TypeVar("T")
_LAST_PORT = 65535
_MOST_RANGES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class FlowAnswer:
    """The outcome, and the tables that were asked, the deciding one last."""

    access: Access
    consulted: tuple[TableDecision, ...]

    @property
    def reported(self) -> TableDecision | None:
        """The rule that Azure would name; None where no group was asked.

        Of two groups that allow, the last one; of those that deny, the first.
        """
        return self.consulted[-1] if self.consulted else None


def tables_of(
    policy: CompiledPolicy, resource: Resource, direction: Direction
) -> tuple[CompiledTable, ...]:
    """The tables of a resource in the order in which they are asked."""
    endpoint = policy.endpoint_map.endpoints[resource.endpoint]
    indexes = endpoint.outbound if direction is Direction.OUTBOUND else endpoint.inbound
    return tuple(policy.tables[index] for index in indexes)


def judge(tables: Iterable[CompiledTable], packet: PacketHeader) -> FlowAnswer:
    """Ask the tables of one direction in turn; the first that denies ends it."""
    consulted: list[TableDecision] = []
    for decision in ask_each(tables, packet):
        consulted.append(decision)
        if decision.access is Access.DENY:
            return FlowAnswer(Access.DENY, tuple(consulted))
    return FlowAnswer(Access.ALLOW, tuple(consulted))


def ask_each(tables: Iterable[CompiledTable], packet: PacketHeader) -> Iterator[TableDecision]:
    """What each table of one direction says, also those behind one that denies."""
    for table in tables:
        rule = table.match(*packet[:6])
        if table.is_silent(rule):
            continue
        yield table.decision(rule)
        if table.is_final(rule):
            return


def verify(tables: Sequence[CompiledTable], question: FlowQuestion) -> FlowAnswer:
    """Answer a question by the tables of its local resource.

    Raises:
        QuestionRefused: The question is for every source port, and they are not judged alike.
    """

    def decide(source_port: int) -> FlowAnswer:
        return judge(tables, question.packet(source_port))

    def outcome(answer: FlowAnswer) -> Hashable:
        return answer.access, answer.reported

    return for_source_port(tables, question, decide, outcome, describe)


def for_source_port(
    tables: Iterable[CompiledTable],
    question: FlowQuestion,
    decide: Callable[[int], T],
    outcome: Callable[[T], Hashable],
    words: Callable[[T], str],
) -> T:
    """Decide for the question's source port, or for all of them if their outcome is one.

    Azure takes ``*`` for the source port and does not say which it means. Where ports are judged
    differently no one answer is true of all, so none is given.

    Args:
        tables: All that may be asked.
        question: Its source port may be EVERY_PORT.
        decide: Judges from one source port.
        outcome: What of the result must be the same for every port.
        words: The result in a few words.

    Raises:
        QuestionRefused: With the ranges of ports that differ.
    """
    if question.source_port is not EVERY_PORT:
        return decide(question.source_port)
    # What any table says of a source port changes at these ports only.
    starts = {0}.union(*(table.source_ports.starts for table in tables))
    results: list[tuple[int, T]] = []
    for start in sorted(starts):
        if start <= _LAST_PORT:
            result = decide(start)
            if not results or outcome(results[-1][1]) != outcome(result):
                results.append((start, result))
    if len(results) == 1:
        return results[0][1]
    ends = [start - 1 for start, _ in results[1:]] + [_LAST_PORT]
    parts = [
        f"{PortRange(start, end)} {words(result)}"
        for (start, result), end in zip(results[:_MOST_RANGES_SHOWN], ends, strict=False)
    ]
    if len(results) > _MOST_RANGES_SHOWN:
        parts.append(f"{len(results) - _MOST_RANGES_SHOWN} more ranges")
    side = "local" if question.direction is Direction.OUTBOUND else "remote"
    raise QuestionRefused(
        f"the answer depends on the {side} port: {', '.join(parts)}; name the port"
    )


def describe(answer: FlowAnswer) -> str:
    """The outcome in a few words, for messages and tables."""
    reported = answer.reported
    if reported is None:
        return f"{answer.access.value} (no network security group)"
    by = f"{answer.access.value} by {rule_name(reported.rule)}"
    group = group_name(reported.network_security_group)
    return f"{by} of {group}" if group else by


def flow_answer_as_json(answer: FlowAnswer) -> dict[str, Any]:
    """The answer in Azure's form, with the group beside it.

    ``ruleId`` is there and empty, as in Azure's answers since 2019.
    """
    reported = answer.reported
    return {
        "access": answer.access.value,
        "ruleName": None if reported is None else rule_name(reported.rule),
        "ruleId": "",
        "networkSecurityGroup": (
            None if reported is None else group_name(reported.network_security_group)
        ),
    }
