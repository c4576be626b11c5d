"""Malformed packets, port scans, tricks with fragments and headers: nothing passes."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from scapy.packet import Raw

from tests.kernel.documents import (
    INTERNET_V4,
    INTERNET_V6,
    document,
    nic,
    nic_addresses,
    rule,
    subnet,
)
from tests.kernel.network import Host, Network, network
from tests.kernel.odd_packets import (
    ALLOWED_TCP,
    ALLOWED_UDP,
    HEADER,
    HELD,
    SERVER_V4,
    SERVER_V6,
    malformed,
    tricks,
)

DENIED = 54
_ARP, _IPV4, _IPV6 = 0x0806, 0x0800, 0x86DD
_NEIGHBOURS = range(133, 138)
_ICMPV6, _HOP_BY_HOP = 58, 0
# The kernel's own counters of headers that it does not take.
_HEADER_ERRORS = (
    "IpInHdrErrors",
    "IpExtInTruncatedPkts",
    "Ip6InHdrErrors",
    "Ip6InAddrErrors",
    "Ip6InTruncatedPkts",
)


@pytest.fixture(scope="module", params=["queue", "kernel"])
def net(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Network]:
    """A server with an open port of UDP and one of TCP, which answers neither; the internet."""
    with network(tmp_path_factory.mktemp("odd")) as made:
        made.host("server", *nic_addresses(1, 4))
        made.host("internet", INTERNET_V4, INTERNET_V6)
        rules = [
            rule("AllowDns", 100, "Inbound", "Allow", "Udp", str(ALLOWED_UDP)),
            rule("AllowHttp", 110, "Inbound", "Allow", "Tcp", str(ALLOWED_TCP)),
            rule("AllowIcmp", 120, "Inbound", "Allow", "Icmp"),
            rule("DenyIn", 4000, "Inbound", "Deny"),
            rule("DenyOut", 4000, "Outbound", "Deny"),
        ]
        policy = document([subnet("one", 1, "web")], [nic("server", "one", 4, 1)], {"web": rules})
        made.start(policy | {"daemon": {"engine": request.param}})
        yield made


class Wire:
    """What arrives at the server, and a sender that puts frames on the internet's link."""

    _fences = 0  # of all wires together

    def __init__(self, net: Network) -> None:
        self._net = net
        self._sniffer = net["server"].sniffer()
        self._sender = frame_socket(net["internet"])

    def send(self, version: int, packets: Iterable[bytes]) -> None:
        """As frames of an IP version, whatever the packets' first bytes say."""
        kind = _IPV4 if version == 4 else _IPV6
        for packet in packets:
            self._sender.sendto(packet, ("eth0", kind, 0, 0, self._net["internet"].gateway_mac))

    def arrived(self) -> list[bytes]:
        """All that came since the last call; everything sent before this call has come."""
        marker = b"THE-FENCE"
        # By the worker with either engine, behind what waits for it: each time a new flow.
        Wire._fences += 1
        fence = (
            IPv6(src=INTERNET_V6, dst=SERVER_V6)
            / IPv6ExtHdrDestOpt()
            / UDP(sport=10000 + Wire._fences, dport=ALLOWED_UDP)
            / Raw(marker)
        )
        self.send(6, [bytes(fence)])
        return list(self._until(marker))

    def _until(self, marker: bytes) -> Iterator[bytes]:
        while True:
            packet, sender = self._sniffer.recvfrom(65536)
            if sender[2] == socket.PACKET_OUTGOING or _is_chatter(sender[1], packet):
                continue
            if marker in packet:
                return
            yield packet

    def close(self) -> None:
        self._sender.close()
        self._sniffer.close()


def frame_socket(host: Host) -> socket.socket:
    return host.namespace.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0))


def _is_chatter(kind: int, packet: bytes) -> bool:
    """Neighbour discovery and multicast reports of the gateway itself."""
    if kind == _ARP:
        return True
    next_header = packet[6] if kind == _IPV6 and len(packet) > 40 else None
    if next_header == _HOP_BY_HOP:
        return packet[8:10] == b"\xfe\x80"
    return next_header == _ICMPV6 and packet[40] in _NEIGHBOURS


@pytest.fixture
def wire(net: Network) -> Iterator[Wire]:
    with contextlib.closing(Wire(net)) as made:
        yield made


def header_errors(net: Network) -> int:
    """What the gateway's IP has not taken."""

    def read() -> int:
        total = 0
        for name in ("snmp", "netstat"):
            lines = Path(f"/proc/thread-self/net/{name}").read_text().splitlines()
            for heads, values in zip(lines[::2], lines[1::2], strict=True):
                prefix, *names = heads.split()
                for each, value in zip(names, values.split()[1:], strict=True):
                    if prefix.rstrip(":") + each in _HEADER_ERRORS:
                        total += int(value)
        for line in Path("/proc/thread-self/net/snmp6").read_text().splitlines():
            name, value = line.split()
            if name in _HEADER_ERRORS:
                total += int(value)
        return total

    return net.gateway.call(read)


def test_malformed_packets(net: Network, wire: Wire) -> None:
    """Each is dropped, though it shows an allowed port, and counted by nsgd or the kernel."""
    worker = net.status()["worker"]["pid"]

    def count(outcome: str) -> int:
        if outcome == HEADER:
            return header_errors(net)
        packets = net.status()["packets"]
        return int(packets["denied"].get(outcome, packets["unparsable"].get(outcome, 0)))

    def is_counted(outcome: str, expected: int) -> Callable[[], bool]:
        return lambda: count(outcome) >= expected

    before = net.hits()
    for case in malformed():
        known = 0 if case.outcome == HELD else count(case.outcome)
        wire.send(case.version, case.packets)
        if case.outcome != HELD:
            net.wait(is_counted(case.outcome, known + 1), f"{case.name} is not {case.outcome}")
    assert wire.arrived() == []
    # Nobody took one of them for a packet that a rule could judge.
    fence = {("web", "Inbound", "AllowDns")}
    moved = {key for key, hits in net.hits().items() if hits != before.get(key, 0)}
    assert moved <= fence
    assert net.status()["worker"]["pid"] == worker
    assert net.status()["packets"]["denied"]["internalError"] == 0


def test_tricks_with_fragments_and_headers(net: Network, wire: Wire) -> None:
    """None gets a packet to the denied port through; some do get one to the allowed port there."""
    for name, version, packets in tricks(DENIED):
        wire.send(version, packets)
        arrived = wire.arrived()
        assert not [packet for packet in arrived if DENIED in ports(packet)], name
    reached = set()
    for name, version, packets in tricks(ALLOWED_UDP):
        wire.send(version, packets)
        if wire.arrived():
            reached.add(name)
    # The ways themselves are passable: it was the port that was closed.
    assert {
        "IPv4: a first fragment of 8 bytes",
        "IPv6: a first fragment of 8 bytes",
        "IPv4: fragments backwards",
        "IPv4: an empty datagram",
        "IPv6: an empty datagram",
        "IPv6: an atomic fragment",
        "IPv6: destination options twice",
    } <= reached


def ports(packet: bytes) -> set[int]:
    """Each number that may be the destination port of UDP, wherever the header may begin."""
    return {
        int.from_bytes(packet[at + 2 : at + 4], "big")
        for at in range(20, min(len(packet) - 7, 400), 4)
    }


@pytest.mark.parametrize("version", [4, 6])
def test_a_port_scan(net: Network, wire: Wire, version: int) -> None:
    """Six kinds of segments, and datagrams, to a thousand ports: the two open ones are reached."""
    source, destination = (INTERNET_V4, SERVER_V4) if version == 4 else (INTERNET_V6, SERVER_V6)
    head = (IP if version == 4 else IPv6)(src=source, dst=destination)
    denied = sum(net.status()["packets"]["denied"].values())
    kinds = {"S": 1024, "F": 64, "": 64, "FPU": 64, "FA": 64, "A": 64}
    sent = 0
    for number, (flags, last) in enumerate(kinds.items()):
        wire.send(
            version,
            (
                bytes(head / TCP(sport=5000 + number, dport=port, flags=flags))
                for port in range(1, last + 1)
                if port != ALLOWED_TCP
            ),
        )
        sent += last - (last >= ALLOWED_TCP)
    wire.send(version, [bytes(head / TCP(sport=6000, dport=ALLOWED_TCP, flags="S"))])
    wire.send(
        version,
        (
            bytes(head / UDP(sport=5000, dport=port))
            for port in range(1, 1025)
            if port != ALLOWED_UDP
        ),
    )
    sent += 1023
    wire.send(version, [bytes(head / UDP(sport=6000, dport=ALLOWED_UDP))])
    at = 20 if version == 4 else 40
    reached = [int.from_bytes(packet[at + 2 : at + 4], "big") for packet in wire.arrived()]
    assert sorted(reached) == [ALLOWED_UDP, ALLOWED_TCP]
    net.wait(
        lambda: sum(net.status()["packets"]["denied"].values()) == denied + sent,
        "not all denials were counted",
    )
