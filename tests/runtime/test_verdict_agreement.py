"""The verdict path, memory and all, decides real bytes as the plain evaluator decides headers."""

from __future__ import annotations

import ipaddress
import json
import random
import struct
from collections import Counter
from dataclasses import replace

import pytest

from nsgd.config.load import Document, load_documents
from nsgd.model.packet import ICMP, ICMPV6, TCP, UDP, PacketHeader
from nsgd.model.rule import Access, Direction
from nsgd.model.settings import DaemonSettings, Mode
from nsgd.policy.compile import compile_policy
from nsgd.policy.evaluate import decide
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.marks import FIRST_RULE_NUMBER, MarkLayout
from nsgd.runtime import counters as cell
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.outcome_cells import OutcomeCells
from nsgd.runtime.packet_handler import packet_handler
from nsgd.runtime.verdict import VerdictPath
from nsgd.runtime.worker_policy import WorkerPolicy
from tests.oracle.generate import random_case

SETTINGS = DaemonSettings()
LAYOUT = MarkLayout(SETTINGS.mark_mask)
# The protocols that the reader does not pass over on the way to the transport header.
WALKED = {0, 43, 44, 60}


def to_bytes(header: PacketHeader) -> bytes:
    """A packet with these fields."""
    if header.protocol == TCP:
        ports = (header.source_port, header.destination_port)
        body = struct.pack("!HHIIBBHHH", *ports, 0, 0, 0x50, 0x02, 0, 0, 0)
    elif header.protocol == UDP:
        body = struct.pack("!HHHH", header.source_port, header.destination_port, 8, 0)
    else:
        body = bytes(8)
    if header.version == 4:
        fields = (0x45, 0, 20 + len(body), 0, 0, 64, header.protocol, 0)
        addresses = (header.source, header.destination)
        return struct.pack("!BBHHHBBHII", *fields, *addresses) + body
    start = struct.pack("!IHBB", 6 << 28, len(body), header.protocol, 64)
    return start + header.source.to_bytes(16, "big") + header.destination.to_bytes(16, "big") + body


class FakePacket:
    """A packet as the queue hands it over."""

    id = 7

    def __init__(self, payload: bytes, mark: int, indev: int, outdev: int) -> None:
        self.indev, self.outdev = indev, outdev
        self._payload, self._mark = payload, mark

    def get_payload(self) -> bytes:
        """The bytes."""
        return self._payload

    def get_mark(self) -> int:
        """The packet mark."""
        return self._mark


class Links:
    """Names of links by index, for what asks the kernel."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def index(self, name: str | None) -> int:
        """The index of a name; 0 for none."""
        if name is None:
            return 0
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name) + 1

    def name(self, index: int) -> str:
        """As socket.if_indextoname()."""
        return self.names[index - 1]


@pytest.mark.parametrize("is_audit", [False, True])
def test_the_handler_agrees_with_the_judge(monkeypatch: pytest.MonkeyPatch, is_audit: bool) -> None:
    """Verdict, mark and every count, for plain packets and for bytes changed at random."""
    settings = replace(SETTINGS, mode=Mode.AUDIT if is_audit else Mode.ENFORCE)
    links = Links()
    monkeypatch.setattr("socket.if_indextoname", links.name)
    verdicts = Counter[int]()
    given: list[tuple[int, int, int]] = []
    short = 0
    for seed in range(60):
        document, packets = random_case(f"handler:{seed}", 40)
        model = load_documents([Document("drawn.json", json.dumps(document).encode())]).model
        policy = compile_policy(model)
        numbers = DecisionNumbers().extended(policy, FIRST_RULE_NUMBER, LAYOUT.capacity)
        built = WorkerPolicy.build(1, policy, numbers, settings)
        by_judge = SharedCounters.create(LAYOUT.capacity)
        by_handler = SharedCounters.create(LAYOUT.capacity)
        judge = VerdictPath(WorkerPolicy.from_bytes(built.to_bytes()), by_judge).judge
        path = VerdictPath(WorkerPolicy.from_bytes(built.to_bytes()), by_handler)
        handle = packet_handler(path, lambda *verdict: given.append(verdict))
        draw = random.Random(seed)
        for packet in draw.choices(packets, k=400):
            has_ports = packet.protocol in (TCP, UDP)
            payload = bytearray(
                to_bytes(
                    PacketHeader(
                        4 if packet.version == 4 else 6,
                        packet.protocol,
                        int(ipaddress.ip_address(packet.source)),
                        int(ipaddress.ip_address(packet.destination)),
                        packet.source_port if has_ports else 0,
                        packet.destination_port if has_ports else 0,
                        False,
                    )
                )
            )
            if draw.random() < 0.3:
                payload[draw.choice((0, 2, 3, 6, 7, 9, 32 % len(payload), -1))] = draw.randrange(
                    256
                )
            if draw.random() < 0.1:
                del payload[draw.randrange(len(payload)) :]
            mark = draw.choice((0, 0, 0, 0x4000, LAYOUT.is_open, LAYOUT.is_reply | LAYOUT.is_open))
            queued = FakePacket(
                bytes(payload), mark, links.index(packet.in_link), links.index(packet.out_link)
            )
            handle(queued)
            expected = judge(bytes(payload), mark, packet.in_link, packet.out_link)
            verdict = (0, 7, 0) if expected is None else (1, 7, expected)
            assert given == [verdict], (seed, packet)
            given.clear()
            verdicts[verdict[0]] += 1
        used = by_handler.cells[cell.OUTCOMES_USED]
        short += sum(by_handler.outcomes[:used])
        totals = by_handler.totals()
        totals[cell.OUTCOMES_USED] = 0
        assert totals == by_judge.totals(), seed
        # Another worker finds the outcomes of this one.
        assert OutcomeCells(by_handler).get(by_handler.cells_of_outcome(0)) in (0, None)
        by_judge.close()
        by_handler.close()
    assert short > 2000
    assert verdicts[1] > 1000
    assert (verdicts[0] == 0) is is_audit


def test_agreement_on_drawn_policies() -> None:
    """Each packet three times, out of order and answered: accept, drop, numbers and hits."""
    compared = 0
    for seed in range(150):
        document, packets = random_case(f"verdict:{seed}", 40)
        model = load_documents([Document("drawn.json", json.dumps(document).encode())]).model
        policy = compile_policy(model)
        numbers = DecisionNumbers().extended(policy, FIRST_RULE_NUMBER, LAYOUT.capacity)
        counters = SharedCounters.create(LAYOUT.capacity)
        built = WorkerPolicy.build(1, policy, numbers, SETTINGS)
        path = VerdictPath(WorkerPolicy.from_bytes(built.to_bytes()), counters)
        rounds = [packet for packet in packets for _ in range(3)]
        random.Random(seed).shuffle(rounds)
        hits = 0
        for packet in rounds:
            if packet.version == 6 and packet.protocol in WALKED:
                continue
            if packet.protocol == (ICMPV6 if packet.version == 4 else ICMP):
                continue
            has_ports = packet.protocol in (TCP, UDP)
            header = PacketHeader(
                4 if packet.version == 4 else 6,
                packet.protocol,
                int(ipaddress.ip_address(packet.source)),
                int(ipaddress.ip_address(packet.destination)),
                packet.source_port if has_ports else 0,
                packet.destination_port if has_ports else 0,
                False,
            )
            expected = decide(policy, header, packet.in_link, packet.out_link)
            hits += len(expected.consulted)
            mark = path.judge(to_bytes(header), 0, packet.in_link, packet.out_link)
            assert (mark is not None) is (expected.access is not Access.DENY), (seed, packet)
            answer = to_bytes(header.reversed())
            request = LAYOUT.is_reply | LAYOUT.is_open | LAYOUT.is_decided
            again = path.judge(answer, request, packet.out_link, packet.in_link)
            assert again == mark, (seed, packet)
            if expected.access is Access.DENY and expected.consulted:
                hits += 1  # what is denied is counted each time, by the table that denies
            if mark is not None and expected.consulted:
                last = expected.consulted[-1]
                number = LAYOUT.numbers(mark)[last.direction.value == "Inbound"]
                known = numbers.by_direction[last.direction]
                assert known[last.network_security_group, last.rule, last.access] == number
            compared += 1
        first = counters.first_hit_cell(Direction.OUTBOUND)
        assert sum(counters.cells[first:]) == hits, seed
        assert counters.cells[cell.INTERNAL_ERRORS] == 0
        counters.close()
    assert compared > 10_000
