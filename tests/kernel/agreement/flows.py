"""The decisions that the connection table keeps: which rules passing flows are reported under."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from nsgd.model.rule import Access, Direction
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.marks import NO_TABLE, REQUEST_BITS, MarkLayout
from nsgd.wire.conntrack import ConntrackEntry
from tests.kernel.agreement.expected import Expected
from tests.kernel.agreement.frames import AH, BEHIND_AH
from tests.kernel.agreement.traffic import Traffic
from tests.oracle.choose import read_address
from tests.oracle.oracle import Answer

# Group, rule and access of the last rule of a direction; NO_GROUP where nothing was asked.
Reported = tuple[str, ...]
NO_GROUP: Reported = ("no group",)
# IP version, protocol, addresses and ports, then what is reported outbound and inbound. Flows that
# differ in something else only, as in the number of an echo, are counted.
Flow = tuple[int, int, int, int, int, int, Reported, Reported]


def kept_decisions(
    entries: Iterable[ConntrackEntry], numbers: DecisionNumbers, layout: MarkLayout
) -> Counter[Flow]:
    """Of all entries with a decision, by the rules that its numbers stand for."""
    names = {
        direction: {number: _reported(*identity) for identity, number in known.items()}
        | {NO_TABLE: NO_GROUP}
        for direction, known in numbers.by_direction.items()
    }
    flows: Counter[Flow] = Counter()
    for entry in entries:
        outbound, inbound = layout.numbers(entry.mark)
        if (outbound | inbound) >> REQUEST_BITS and entry.header.protocol != BEHIND_AH:
            header = entry.header
            flows[
                header.version,
                header.protocol,
                header.source,
                header.destination,
                header.source_port,
                header.destination_port,
                names[Direction.OUTBOUND].get(outbound, (f"unknown {outbound}",)),
                names[Direction.INBOUND].get(inbound, (f"unknown {inbound}",)),
            ] += 1
    return flows


def expected_decisions(
    traffic: Traffic, answers: Sequence[Answer], expected: Expected
) -> Counter[Flow]:
    """By the oracle's answers: on each side the last rule that was consulted."""
    flows: Counter[Flow] = Counter()
    for sent, answer in zip(traffic.packets, answers, strict=True):
        packet = sent.way.packet
        is_behind_ah = packet.version == 6 and packet.protocol == AH
        is_judged = answer.access != "Unmanaged" and not sent.way.is_spoofed
        if is_judged and sent.number in expected.passing and not is_behind_ah:
            reported = dict.fromkeys(Direction, NO_GROUP)
            for group, direction, rule, access in answer.consulted:
                reported[Direction(direction)] = _reported(group, rule, Access(access))
            flows[
                packet.version,
                packet.protocol,
                int(read_address(packet.source)),
                int(read_address(packet.destination)),
                packet.source_port,
                packet.destination_port,
                reported[Direction.OUTBOUND],
                reported[Direction.INBOUND],
            ] += 1
    return flows


def compare_flows(expected: Counter[Flow], found: Counter[Flow]) -> Iterator[str]:
    """A line for each flow that is reported under other rules, or is there for no reason."""
    for flow in sorted({*expected, *found}):
        if expected[flow] != found[flow]:
            yield f"flow {flow}: {found[flow]} in the table, oracle: {expected[flow]}"


def _reported(group: str, rule: str, access: Access) -> Reported:
    return group, rule, access.value
