"""The verdict path, memory and all, decides real bytes as the plain evaluator decides headers."""

from __future__ import annotations

import json
import random
import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from nsgd.config.load import Document, load_documents
from nsgd.model.packet import ICMP, ICMPV6, TCP, UDP, PacketHeader
from nsgd.model.rule import Access, Direction
from nsgd.model.settings import DaemonRole, DaemonSettings, Mode
from nsgd.policy.compile import compile_policy
from nsgd.policy.evaluate import decide
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.marks import FIRST_RULE_NUMBER, MarkLayout
from nsgd.runtime import counters as cell
from nsgd.runtime import outcome_cells, paged_ends
from nsgd.runtime.counters import DENIAL_RING_RECORDS, MOST_NICS, SharedCounters
from nsgd.runtime.denials import Denial, DenialReader
from nsgd.runtime.outcome_cells import OutcomeCells
from nsgd.runtime.packet_handler import packet_handler
from nsgd.runtime.verdict import VerdictPath
from nsgd.runtime.worker_policy import WorkerPolicy
from tests.oracle.agreement import as_header
from tests.oracle.generate import random_case
from tests.oracle.oracle import Packet

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


def of_interfaces(counters: SharedCounters) -> list[int]:
    """What is counted of interfaces; nobody's slot may hold anything."""
    counts = counters.nics.tolist()
    for first in cell.NICS.values():
        counts[first + cell.NO_SLOT] = 0
    return counts


def of_denials(counters: SharedCounters) -> tuple[list[Denial], int]:
    """What is told of denials but the time, and how many are not."""
    denials, others = DenialReader(counters, 0).read(DENIAL_RING_RECORDS)
    return [replace(each, time_ms=0) for each in denials], others


class Comparison:
    """The handler beside the judge, on one policy after another."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, settings: DaemonSettings) -> None:
        self.links = Links()
        monkeypatch.setattr("socket.if_indextoname", self.links.name)
        self.settings = settings
        self.verdicts = Counter[int]()
        self.short = 0  # packets that went the short way
        self.of_nics = 0  # counted of network interfaces

    def compare(self, document: Any, packets: Iterable[Sent]) -> None:
        """Verdict and mark of each packet, and what all are counted as."""
        model = load_documents([Document("drawn.json", json.dumps(document).encode())]).model
        policy = compile_policy(model)
        numbers = DecisionNumbers().extended(policy, FIRST_RULE_NUMBER, LAYOUT.capacity)
        # The last one has the last slot.
        slots = [*range(1, len(model.network_interfaces) + 1)]
        slots[-1:] = [MOST_NICS - 1] * len(slots[-1:])
        built = WorkerPolicy.build(1, policy, numbers, self.settings, slots)
        by_judge = SharedCounters.create(LAYOUT.capacity)
        by_handler = SharedCounters.create(LAYOUT.capacity)
        judge = VerdictPath(WorkerPolicy.from_bytes(built.to_bytes()), by_judge).judge
        path = VerdictPath(WorkerPolicy.from_bytes(built.to_bytes()), by_handler)
        given: list[tuple[int, int, int]] = []
        handle = packet_handler(
            path, OutcomeCells(by_handler), lambda *verdict: given.append(verdict)
        )
        for sent in packets:
            index = self.links.index
            handle(FakePacket(sent.payload, sent.mark, index(sent.in_link), index(sent.out_link)))
            expected = judge(sent.payload, sent.mark, sent.in_link, sent.out_link)
            verdict = (0, 7, 0) if expected is None else (1, 7, expected)
            assert given == [verdict], sent
            given.clear()
            self.verdicts[verdict[0]] += 1
        used = by_handler.cells[cell.OUTCOMES_USED]
        self.short += sum(by_handler.outcomes[:used])
        totals = by_handler.totals()
        totals[cell.OUTCOMES_USED] = 0
        assert totals == by_judge.totals()
        assert of_interfaces(by_handler) == of_interfaces(by_judge)
        assert of_denials(by_handler) == of_denials(by_judge)
        self.of_nics += sum(by_judge.nics.tolist())
        # Another worker finds the outcomes of this one.
        if used:
            assert OutcomeCells(by_handler).get(by_handler.cells_of_outcome(0)) == 0
        by_judge.close()
        by_handler.close()


class Sent(NamedTuple):
    """A packet as it reaches the queue."""

    payload: bytes
    mark: int
    in_link: str | None
    out_link: str | None


def header_of(packet: Packet) -> PacketHeader:
    """Of a drawn packet, as it can be sent: only TCP and UDP have ports on the wire."""
    header = as_header(packet)
    has_ports = packet.protocol in (TCP, UDP)
    return header if has_ports else header._replace(source_port=0, destination_port=0)


LENGTHS = (0, 19, 20, 27, 28, 29, 39, 40, 41, 60, 1500, 65535)
FRAGMENTS = (0x8000, 0x4000, 0xC000, 0x2000, 0x6000, 0x0001, 0x4001)


def spoil(draw: random.Random, payload: bytearray) -> None:
    """Change what is looked at, or cut the packet short; not always."""
    if payload[0] == 0x45 and draw.random() < 0.3:
        match draw.randrange(6):
            case 0:  # total length, and more or less than is there
                payload[2:4] = draw.choice(LENGTHS).to_bytes(2, "big")
            case 1:
                payload[6:8] = draw.choice(FRAGMENTS).to_bytes(2, "big")
            case 2:  # options of IP
                payload[0] += 2
                payload[20:20] = bytes(8)
                payload[2:4] = len(payload).to_bytes(2, "big")
            case 3 if len(payload) > 32:  # options of TCP, there or not, to the end or beyond
                payload[32] = draw.choice((0x60, 0xA0, 0xF0))
                payload += bytes(draw.choice((0, 4, 20, 40)))
                payload[2:4] = len(payload).to_bytes(2, "big")
            case side:
                at = 12 + 4 * (side % 2)
                payload[at : at + 4] = draw.choice((b"\0", b"\xff")) * 4
    if draw.random() < 0.3:
        places = (0, 2, 3, 6, 7, 9, 32 % len(payload), 33 % len(payload), -1)
        payload[draw.choice(places)] = draw.randrange(256)
    if draw.random() < 0.1:
        del payload[draw.randrange(len(payload)) :]


@pytest.mark.parametrize("is_audit", [False, True])
def test_the_handler_agrees_with_the_judge(monkeypatch: pytest.MonkeyPatch, is_audit: bool) -> None:
    """Verdict, mark and every count, for plain packets and for bytes changed at random."""
    mode = Mode.AUDIT if is_audit else Mode.ENFORCE
    comparison = Comparison(monkeypatch, replace(SETTINGS, mode=mode))
    for seed in range(60):
        document, packets = random_case(f"handler:{seed}", 40)
        draw = random.Random(seed)
        monkeypatch.setattr(paged_ends, "_MOST_DENSE_PAGES", (64, 1, 0)[seed % 3])
        sent: list[Sent] = []
        for packet in draw.choices(packets, k=400):
            payload = bytearray(to_bytes(header_of(packet)))
            spoil(draw, payload)
            others = draw.getrandbits(32) & ~LAYOUT.requests
            mark = draw.choice((0, 0, others, LAYOUT.is_open, LAYOUT.is_reply | LAYOUT.is_open))
            sent.append(Sent(bytes(payload), mark, packet.in_link, packet.out_link))
        comparison.compare(document, sent)
    assert comparison.short > 2000
    assert comparison.of_nics > 1000
    assert comparison.verdicts[1] > 1000
    assert (comparison.verdicts[0] == 0) is is_audit


def linked_document(draw: random.Random) -> dict[str, Any]:
    """Four NICs on links of their own, and rules that tell source ports apart."""

    def rules(count: int) -> list[dict[str, Any]]:
        return [
            {
                "name": f"Rule{number}",
                "priority": 100 + number,
                "direction": draw.choice(("Inbound", "Outbound")),
                "access": draw.choice(("Allow", "Allow", "Deny")),
                "protocol": draw.choice(("Tcp", "Udp", "*")),
                "sourceAddressPrefix": "*",
                "sourcePortRange": draw.choice(("*", str(first), f"{first}-{first + 150}")),
                "destinationAddressPrefix": draw.choice(("*", "10.0.0.4", "10.0.0.5")),
                "destinationPortRange": draw.choice(("*", "80", "80-90")),
            }
            for number in range(count)
            for first in [draw.choice((100, 200, 300))]
        ]

    subnet = {"name": "s", "addressPrefix": "10.0.0.0/24", "networkSecurityGroup": "subnet"}
    return {
        "virtualNetworks": [{"name": "n", "addressSpace": ["10.0.0.0/16"], "subnets": [subnet]}],
        "networkInterfaces": [
            {
                "name": f"nic{number}",
                "subnet": "n/s",
                "privateIPAddresses": [f"10.0.0.{number}"],
                "link": f"eth{number}",
                "enableIPForwarding": number % 2 == 0,
                "networkSecurityGroup": f"group{number}",
            }
            for number in (4, 5, 6, 7)
        ],
        "networkSecurityGroups": [
            {"name": name, "securityRules": rules(6)}
            for name in ("subnet", "group4", "group5", "group6", "group7")
        ],
    }


@pytest.mark.parametrize("role", DaemonRole)
def test_the_handler_tells_links_and_source_ports_apart(
    monkeypatch: pytest.MonkeyPatch, role: DaemonRole
) -> None:
    """Both at once, from few addresses, so that packets differ in nothing else."""
    comparison = Comparison(monkeypatch, replace(SETTINGS, roles=frozenset({role})))
    for seed in range(20):
        draw = random.Random(seed)
        document = linked_document(draw)
        links = ("eth4", "eth5", "eth9", None)
        sent: list[Sent] = []
        for _ in range(1500):
            source, destination = draw.sample(range(4, 7), 2)
            header = PacketHeader(
                4,
                draw.choice((TCP, UDP)),
                (10 << 24) + source if draw.random() < 0.8 else draw.choice((8 << 24, 9 << 24)),
                (10 << 24) + destination if draw.random() < 0.8 else 8 << 24,
                draw.choice((1, 100, 250, 300)),
                draw.choice((80, 443)),
                False,
            )
            payload = bytearray(to_bytes(header))
            if header.protocol == TCP and draw.random() < 0.2:
                payload[33] = draw.choice((0x10, 0x12, 0x04, 0x01, 0x42, 0x82))
            in_link = f"eth{source}" if draw.random() < 0.5 else draw.choice(links)
            sent.append(Sent(bytes(payload), 0, in_link, draw.choice(links)))
        comparison.compare(document, sent)
    assert comparison.short > 5000
    assert comparison.of_nics > 10_000
    assert min(comparison.verdicts.values()) > 3000


def test_the_handler_agrees_where_all_outcome_cells_are_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What has no cell of its own is counted as ever."""
    monkeypatch.setattr(outcome_cells, "MOST_OUTCOMES", 2)
    comparison = Comparison(monkeypatch, SETTINGS)
    draw = random.Random(1)
    sent = [
        Sent(
            to_bytes(PacketHeader(4, UDP, source, (10 << 24) + 5, port, 80, False)),
            0,
            "eth4",
            "eth5",
        )
        for source in ((10 << 24) + 4, (10 << 24) + 6, 8 << 24)
        for port in (1, 100, 200, 300)
        for _ in range(5)
    ]
    for _ in range(5):
        draw.shuffle(sent)
        comparison.compare(linked_document(draw), sent)
    assert 0 < comparison.short < 5 * len(sent)


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
            header = header_of(packet)
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
