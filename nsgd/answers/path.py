"""The whole way of a flow inside the declared networks: up to four groups, at both ends.

Azure has no such question: it asks one end at a time. Every table is asked, also those behind one
that denies, so that one answer shows all that must change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nsgd.answers.azure_names import group_name, rule_name
from nsgd.answers.ip_flow import FlowAnswer, ask_each, describe, for_source_port, tables_of
from nsgd.answers.question import FlowQuestion, read_address, read_port, read_protocol
from nsgd.answers.refused import QuestionRefused
from nsgd.answers.resources import Resource, Resources
from nsgd.model.address import Address
from nsgd.model.decision import TableDecision
from nsgd.model.network import NetworkInterface
from nsgd.model.rule import Access, Direction
from nsgd.policy.compile import CompiledPolicy
from nsgd.policy.endpoints import AMBIGUOUS, NOT_DECLARED

# Of every table, whatever those before it say.
Decisions = tuple[TableDecision, ...]


@dataclass(frozen=True, slots=True)
class PathQuestion:
    """The words of a question: ends are names of network interfaces or addresses."""

    sender: str
    receiver: str
    protocol: str
    port: str | None
    source_port: str | None = "*"


@dataclass(frozen=True, slots=True)
class AskedTable:
    """One group's answer; *is_consulted* is false behind the first group that denies."""

    resource: str
    decision: TableDecision
    is_consulted: bool


@dataclass(frozen=True, slots=True)
class PathAnswer:
    """The verdict, and every table on the way: the sender's outbound, the receiver's inbound."""

    source: Address
    destination: Address
    answer: FlowAnswer
    tables: tuple[AskedTable, ...]


def ask_path(policy: CompiledPolicy, resources: Resources, question: PathQuestion) -> PathAnswer:
    """Ask the tables at both ends.

    Raises:
        QuestionRefused: An end is not known, neither is declared, or source ports differ.
    """
    flow, sender, receiver = _ends(policy, resources, question)
    of_sender = () if sender is None else tables_of(policy, sender, Direction.OUTBOUND)
    of_receiver = () if receiver is None else tables_of(policy, receiver, Direction.INBOUND)

    def decide(source_port: int) -> Decisions:
        packet = flow.packet(source_port)
        return (*ask_each(of_sender, packet), *ask_each(of_receiver, packet))

    # All answers are shown, so each must be the same for every port.
    decisions = for_source_port((*of_sender, *of_receiver), flow, decide, lambda each: each, _words)
    answer = _verdict(decisions)
    return PathAnswer(
        flow.local,
        flow.remote,
        answer,
        tuple(
            AskedTable(
                str(sender if decision.direction is Direction.OUTBOUND else receiver),
                decision,
                index < len(answer.consulted),
            )
            for index, decision in enumerate(decisions)
        ),
    )


def _words(decisions: Decisions) -> str:
    return describe(_verdict(decisions))


def _verdict(decisions: Decisions) -> FlowAnswer:
    """The first denial decides."""
    for index, decision in enumerate(decisions):
        if decision.access is Access.DENY:
            return FlowAnswer(Access.DENY, decisions[: index + 1])
    return FlowAnswer(Access.ALLOW, decisions)


def _ends(
    policy: CompiledPolicy, resources: Resources, question: PathQuestion
) -> tuple[FlowQuestion, Resource | None, Resource | None]:
    sender_end, receiver_end = (
        _read_end(resources, side, text)
        for side, text in (("--from", question.sender), ("--to", question.receiver))
    )
    source, destination = _one_family(sender_end, receiver_end)
    protocol = read_protocol(question.protocol, source.version)
    flow = FlowQuestion(
        Direction.OUTBOUND,
        protocol,
        source,
        read_port("source", question.source_port, protocol, is_source=True),
        destination,
        read_port("destination", question.port, protocol, is_source=False),
    )
    sides = [
        resources.at(address, end).endpoint
        if isinstance(end, NetworkInterface)
        else policy.endpoint_map.by_address(address.version, address.value)
        for address, end in ((source, sender_end), (destination, receiver_end))
    ]
    # As for a packet: an address of overlapping networks is settled by the other end.
    settled = [
        policy.endpoint_map.disambiguate(side, other) if side <= AMBIGUOUS else side
        for side, other in (sides, sides[::-1])
    ]
    found: list[Resource | None] = []
    for address, side in zip((source, destination), settled, strict=True):
        if side <= AMBIGUOUS:
            raise resources.ambiguous(address)
        found.append(None if side == NOT_DECLARED else resources.of_endpoint(address, side))
    if found == [None, None]:
        raise QuestionRefused(
            f"neither {source} nor {destination} is in a declared subnet, so no group is asked;"
            " daemon.unmanagedTraffic decides such a flow"
        )
    return flow, found[0], found[1]


def _read_end(resources: Resources, side: str, text: str) -> NetworkInterface | Address:
    """An address, or a network interface by its name."""
    try:
        return Address.parse(text)
    except ValueError:
        if text[:1] == "[" or ":" in text:
            return read_address(side, text)
        return resources.interface(text)


def _one_family(
    sender: NetworkInterface | Address, receiver: NetworkInterface | Address
) -> tuple[Address, Address]:
    """An address of each end, both of one family, IPv4 where both have it."""

    def addresses(end: NetworkInterface | Address) -> tuple[Address, ...]:
        return end.private_ip_addresses if isinstance(end, NetworkInterface) else (end,)

    for version in (4, 6):
        pair = [
            next((a for a in addresses(end) if a.version == version), None)
            for end in (sender, receiver)
        ]
        if pair[0] is not None and pair[1] is not None:
            return pair[0], pair[1]
    raise QuestionRefused("the two ends have no address family in common; name other addresses")


def path_answer_as_json(answer: PathAnswer) -> dict[str, Any]:
    """The verdict as IP flow verify writes it, and every table on the way."""
    reported = answer.answer.reported
    return {
        "access": answer.answer.access.value,
        "ruleName": None if reported is None else rule_name(reported.rule),
        "networkSecurityGroup": (
            None if reported is None else group_name(reported.network_security_group)
        ),
        "source": str(answer.source),
        "destination": str(answer.destination),
        "tables": [
            {
                "direction": table.decision.direction.value,
                "appliedTo": table.resource,
                "networkSecurityGroup": group_name(table.decision.network_security_group),
                "access": table.decision.access.value,
                "ruleName": rule_name(table.decision.rule),
                "isConsulted": table.is_consulted,
            }
            for table in answer.tables
        ],
    }


def path_answer_as_rows(answer: PathAnswer) -> list[tuple[str, ...]]:
    """The tables on the way as rows of text."""
    return [
        (
            table.decision.direction.value,
            table.resource,
            group_name(table.decision.network_security_group) or "",
            table.decision.access.value,
            rule_name(table.decision.rule),
            "" if table.is_consulted else "not asked: denied before",
        )
        for table in answer.tables
    ]


def path_summary(answer: PathAnswer) -> str:
    """The verdict in one line."""
    return f"{answer.source} -> {answer.destination}: {describe(answer.answer)}"
