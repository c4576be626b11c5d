"""What the oracle has a policy's packets and counters come to, and the evaluator beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from nsgd.model.rule import Access, Direction
from tests.kernel.agreement.frames import AH, Shape
from tests.kernel.agreement.traffic import Sent, Traffic
from tests.oracle.agreement import product_answer
from tests.oracle.oracle import Answer, Oracle

# The first word says of what: rule, flows, packets, interface.
CounterKey = tuple[str, ...]

KERNEL, QUEUE = "kernel", "queue"


@dataclass(slots=True)
class Expected:
    """What one engine should make of one policy's packets."""

    passing: set[int] = field(default_factory=set)  # numbers of packets
    counts: Counter[CounterKey] = field(default_factory=Counter)
    queued: int = 0
    by_kernel: int = 0  # decided by tables, or the want of them, without the worker


def answers_of(traffic: Traffic) -> list[Answer]:
    """The oracle's, of all packets, asked with the links that they take."""
    oracle = Oracle(traffic.case.document, traffic.case.tag_files)
    return [oracle.judge(sent.way.packet) for sent in traffic.packets]


def disagreements_of_evaluator(traffic: Traffic, answers: Sequence[Answer]) -> list[str]:
    """Where nsgd.policy.evaluate and the oracle part."""
    return [
        f"evaluator: {sent.way}\n  oracle: {expected}\n  nsgd:   {decided}"
        for sent, expected in zip(traffic.packets, answers, strict=True)
        for decided in (product_answer(traffic.policy, sent.way.packet),)
        if decided != expected
    ]


def expected_of(traffic: Traffic, answers: Sequence[Answer], engine: str) -> Expected:
    """By the oracle's answers alone."""
    owners = _Owners(traffic)
    expected = Expected()
    counts = expected.counts
    unmanaged = "drop" if traffic.drops_unmanaged else "accept"
    for sent, answer in zip(traffic.packets, answers, strict=True):
        is_unmanaged = answer.access == "Unmanaged"
        is_denied = (
            sent.way.is_spoofed
            or answer.access == "Deny"
            or (is_unmanaged and traffic.drops_unmanaged)
        )
        passes = traffic.is_audit or not is_denied
        if passes:
            expected.passing.add(sent.number)
        if sent.way.is_spoofed:
            counts["packets", "denied", "spoofed"] += 1
            continue
        if is_unmanaged:
            counts["packets", "unmanaged", unmanaged] += 1
            counts["packets", "denied", "unmanaged"] += is_denied
            continue
        _count_rules(counts, answer, sent)
        owners.count(counts, answer, sent)
        if engine == QUEUE or is_for_worker(sent):
            expected.queued += 1
            counts["packets", "verdicts", "accept" if passes else "drop"] += 1
        else:
            expected.by_kernel += 1
    counts["packets", "queued"] = expected.queued
    return expected


def is_for_worker(sent: Sent) -> bool:
    """Whether the kernel engine leaves a packet to the worker, as docs/packet-path.md has it."""
    packet = sent.way.packet
    is_ipv6_ah = packet.version == 6 and packet.protocol == AH
    return sent.shape is not Shape.PLAIN or sent.way.is_transit or is_ipv6_ah


def _count_rules(counts: Counter[CounterKey], answer: Answer, sent: Sent) -> None:
    for group, direction, rule, access in answer.consulted:
        counts["rule", group, direction, rule, access] += 1
    # Flows that no group was asked about go by Inbound.
    counts["flows", answer.direction or "Inbound", answer.access, answer.reason] += 1
    if answer.access == "Deny":
        counts["packets", "denied", answer.reason] += 1
    elif sent.shape is Shape.MIDSTREAM and answer.reason == "rule":
        counts["packets", "midstream"] += 1


class _Owners:
    """The interfaces that packets leave and enter, by link or else by address."""

    def __init__(self, traffic: Traffic) -> None:
        self._by_link: dict[str, str] = {}
        self._by_address: dict[str, str] = {}
        # The model has the names that classic machines get as interfaces.
        for interface in traffic.model.network_interfaces:
            if interface.link is not None:
                self._by_link[interface.link] = interface.name
            addresses = map(str, interface.private_ip_addresses)
            self._by_address |= dict.fromkeys(addresses, interface.name)

    def count(self, counts: Counter[CounterKey], answer: Answer, sent: Sent) -> None:
        """Count the flow for its sender and, if it comes as far, for its receiver."""
        packet = sent.way.packet
        denied = answer.direction if answer.access == "Deny" else None
        for direction, link, address in (
            (Direction.OUTBOUND, packet.in_link, packet.source),
            (Direction.INBOUND, packet.out_link, packet.destination),
        ):
            access = Access.DENY if denied == direction.value else Access.ALLOW
            owner = self._by_link.get(link or "") or self._by_address.get(address)
            if owner is not None:
                side = direction.value.lower()
                counts["interface", owner, side, access.value.lower()] += 1
            if access is Access.DENY:
                return
