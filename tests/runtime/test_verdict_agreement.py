"""The verdict path, memory and all, decides real bytes as the plain evaluator decides headers."""

from __future__ import annotations

import ipaddress
import json
import random
import struct

from nsgd.config.load import Document, load_documents
from nsgd.model.packet import ICMP, ICMPV6, TCP, UDP, PacketHeader
from nsgd.model.rule import Access, Direction
from nsgd.model.settings import DaemonSettings
from nsgd.policy.compile import compile_policy
from nsgd.policy.evaluate import decide
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.marks import FIRST_RULE_NUMBER, MarkLayout
from nsgd.runtime import counters as cell
from nsgd.runtime.counters import SharedCounters
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
