"""Confirm what reach tells of drawn documents: its packets, and what it says of drawn ones."""

from __future__ import annotations

from collections.abc import Iterator

from nsgd.analysis.assertion_check import Outcome, check
from nsgd.analysis.assertions import Assertion
from nsgd.analysis.ends import End, Ends
from nsgd.analysis.policy import AnalysedPolicy
from nsgd.analysis.reach import Reach, is_allowed
from nsgd.analysis.reach_rows import rows_of_resources
from nsgd.analysis.reach_told import Asked
from nsgd.model.address import Address
from nsgd.model.decision import TableDecision
from nsgd.model.network import NetworkModel
from nsgd.model.packet import ICMP, ICMPV6, PacketHeader
from nsgd.spaces.budget import Budget
from nsgd.spaces.flow_sets import EVERY, FlowBox
from tests.analysis.drawn import as_header, as_packet
from tests.oracle.choose import Chooser, pick
from tests.oracle.oracle import Answer, Oracle, Packet


class ReachCheck:
    """Reach of one document, beside the oracle."""

    def __init__(self, model: NetworkModel, oracle: Oracle) -> None:
        self._policy = AnalysedPolicy(model)
        self._oracle = oracle
        self.undetermined = 0

    def problems(self, packets: list[Packet], chooser: Chooser) -> Iterator[tuple[str, str | None]]:
        """For each thing that is confirmed its kind, and what is wrong with it or None."""
        if not self._policy.subjects:
            return
        yield from self._of_rows()
        yield from self._of_packets(packets)
        yield from self._of_assertions(chooser)

    def _of_rows(self) -> Iterator[tuple[str, str | None]]:
        ends = Ends(self._policy)
        every = [ends.resources(), ends.internet()]
        reach = Reach(self._policy, every, Budget(), is_by_rule=True)
        pairs = [(one, other) for one in every for other in every]
        told = rows_of_resources(reach, Asked(pairs, reach.flows.leaf(True), True))
        self.undetermined += len(told.undetermined)
        for row in told.rows:
            for line in row.lines:
                packet = as_packet(line.witness)
                answer = self._oracle.judge(packet)
                if answer.reason == "ambiguousNetwork":
                    continue  # links would tell
                said = "Allow" if line.is_allowed else "Deny"
                wrong = None
                if (answer.access, *_reported(answer)) != (said, *map(_named, line.decisions)):
                    wrong = f"{packet}: {said} by {line.decisions}, and the oracle says {answer}"
                yield "reach", wrong

    def _of_packets(self, packets: list[Packet]) -> Iterator[tuple[str, str | None]]:
        ends = Ends(self._policy)
        every = ends.find("*")
        reach = Reach(self._policy, [every], Budget())
        pairs = dict(reach.pairs(every, every))
        for packet in packets:
            header = as_header(packet)
            answer = self._oracle.judge(packet)
            is_nobodys = any(
                first <= value <= last
                for value in (header.source, header.destination)
                for first, last in self._policy.nobodys(header.version)
            )
            if answer.reason == "ambiguousNetwork" or is_nobodys:
                continue
            said = {
                is_allowed(reach.flows.at(flows, _flow(header)))
                for one in _classes(reach, header, header.source)
                for other in _classes(reach, header, header.destination)
                if pairs.get(one, 0) >> other & 1
                and (flows := reach.flow_set(one, other)) is not None
            }
            expected = {"Allow": {True}, "Deny": {False}, "Unmanaged": set()}[answer.access]
            wrong = None if said == expected else f"{packet}: {said}, and the oracle says {answer}"
            yield "reach of a drawn packet", wrong

    def _of_assertions(self, chooser: Chooser) -> Iterator[tuple[str, str | None]]:
        ends = Ends(self._policy)
        named = [*ends.subnets(), *ends.named_by_rules(), ends.find("*")]
        for _ in range(4):
            one, other = pick(chooser, named), pick(chooser, named)
            asserted = [
                Assertion("drawn", None, (one,), (other,), FlowBox(*EVERY), expects, True)
                for expects in (True, False)
            ]
            yield from self._counterexamples(asserted, (one, other))

    def _counterexamples(
        self, asserted: list[Assertion], ends: tuple[End, End]
    ) -> Iterator[tuple[str, str | None]]:
        reach = Reach(self._policy, ends, Budget())
        for checked in check(reach, asserted):
            self.undetermined += checked.outcome is Outcome.UNDETERMINED
            if checked.packet is None:
                continue
            packet = as_packet(checked.packet)
            answer = self._oracle.judge(packet)
            if answer.reason == "ambiguousNetwork":
                continue
            expected = "Deny" if checked.assertion.expects_allow else "Allow"
            wrong = None
            if (answer.access, *_reported(answer)) != (expected, *map(_named, checked.decisions)):
                wrong = f"{packet}: {expected} by {checked.decisions}, the oracle says {answer}"
            yield "counterexample", wrong


def _flow(packet: PacketHeader) -> tuple[int, int, int]:
    protocol = packet.protocol
    if packet.version == 6:
        protocol = {ICMP: ICMPV6, ICMPV6: ICMP}.get(protocol, protocol)
    return protocol, packet.destination_port, packet.source_port


def _classes(reach: Reach, packet: PacketHeader, value: int) -> Iterator[int]:
    address = Address(packet.version, value)
    for number, each in enumerate(reach.classes.classes):
        if each.version == address.version and any(
            first <= value <= last for part in each.parts for first, last in part.ranges
        ):
            yield number


_Named = tuple[str | None, str] | None


def _named(decision: TableDecision | None) -> _Named:
    return None if decision is None else (decision.network_security_group, decision.rule)


def _reported(answer: Answer) -> tuple[_Named, _Named]:
    """The last rule of each direction that was asked."""
    found: dict[str, _Named] = {}
    for group, direction, rule, _ in answer.consulted:
        found[direction] = group, rule
    return found.get("Outbound"), found.get("Inbound")
