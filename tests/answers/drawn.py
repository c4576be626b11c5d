"""Drawn policies and the questions that packets on their rules' edges make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import NamedTuple

from nsgd.answers.policy import QuestionedPolicy
from nsgd.answers.question import WITH_PORTS, FlowQuestion
from nsgd.answers.refused import QuestionRefused
from nsgd.model.address import Address
from nsgd.model.decision import Decision
from nsgd.model.packet import PacketHeader
from nsgd.model.platform import Subscription, SubscriptionKind
from nsgd.model.rule import Direction
from nsgd.policy.evaluate import decide
from tests.oracle.agreement import load_case
from tests.oracle.generate import random_tagged_case

# May not send SMTP: of every other policy that is drawn without a subscription.
SUBSCRIPTION = Subscription(SubscriptionKind.PAY_AS_YOU_GO, date(2020, 1, 1))


class DrawnPacket(NamedTuple):
    """A packet, and what the policy decides of it when no link is known."""

    policy: QuestionedPolicy
    header: PacketHeader
    decision: Decision

    def questions(self) -> Iterator[FlowQuestion]:
        """What may be asked at its two ends."""
        header = self.header
        source = Address(header.version, header.source)
        destination = Address(header.version, header.destination)
        ports = header.source_port, header.destination_port
        yield FlowQuestion(
            Direction.OUTBOUND, header.protocol, source, ports[0], destination, ports[1]
        )
        yield FlowQuestion(
            Direction.INBOUND, header.protocol, destination, ports[1], source, ports[0]
        )

    def answerable(self) -> Iterator[FlowQuestion]:
        """Those whose local address is one resource's."""
        for question in self.questions():
            try:
                self.policy.local_resource(question, None)
            except QuestionRefused:
                continue
            yield question


def drawn_policies(series: str, count: int, packets: int) -> Iterator[list[DrawnPacket]]:
    """Documents of a series by number, each with packets."""
    for number in range(count):
        case = random_tagged_case(f"{series}-{number}", packets)
        model = load_case(case).model
        if number % 2 and model.subscription is None:
            model = replace(model, subscription=SUBSCRIPTION)
        policy = QuestionedPolicy(model)
        found = []
        for packet in case.packets:
            has_ports = packet.protocol in WITH_PORTS
            version, source = Address.parse(packet.source)
            header = PacketHeader(
                version,
                packet.protocol,
                source,
                Address.parse(packet.destination).value,
                packet.source_port if has_ports else 0,
                packet.destination_port if has_ports else 0,
                is_midstream=False,
            )
            decision = decide(policy.policy, header, None, None)
            found.append(DrawnPacket(policy, header, decision))
        yield found
