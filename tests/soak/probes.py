"""First packets of new flows, sent one by one, and whether each arrived: held to the history."""

from __future__ import annotations

import random
import socket
import sys
import time
from collections import Counter
from typing import NamedTuple

from tests.kernel.agreement.frames import ICMP, ICMPV6, TCP, UDP, Shape, ip_packet, number_of
from tests.kernel.network import Host
from tests.oracle.oracle import Packet
from tests.soak import malformed
from tests.soak.history import History
from tests.soak.policies import (
    ADDRESSES,
    ALWAYS_ALLOWED_PORT,
    PORTS,
    QUEUE,
    WAYS,
    is_allowed,
)

# A packet that was to arrive and has not by then never will; on a loaded machine this takes long.
PATIENCE_S = 10.0
# A packet waits no longer than this for its verdict, unless its worker is at fault.
_IN_QUEUE_S = 4.0
NEW_FLOW = "new flow"
_OUTGOING = 4  # PACKET_OUTGOING
_MOST_TOLD = 40


class _Probe(NamedTuple):
    number: int
    kind: str
    sent_s: float
    sender: str
    receiver: str
    version: int
    protocol: int
    port: int


class Probes:
    """Sends and receives in one thread; *counts* and *wrong* say what came of it."""

    def __init__(self, hosts: dict[str, Host], history: History, seed: int) -> None:
        self._hosts = hosts
        self._history = history
        self._drawn = random.Random(seed)
        self._number = 0
        self._waiting: dict[int, _Probe] = {}  # in the order in which they were sent
        self._arrived: dict[int, float] = {}
        self._never: dict[int, _Probe] = {}  # must not arrive at any time
        self.counts: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.wrong_count = 0
        self._outs = {name: _raw(host) for name, host in hosts.items() if name != "bulk"}
        self.sniffers = {
            name: _sniffer(host)
            for name, host in hosts.items()
            if name in {receiver for _, receiver in WAYS}
        }

    def send(self) -> None:
        """Send one packet of a drawn kind."""
        self._number += 1
        number = self._number
        chosen = self._drawn.random()
        if chosen < 0.08:
            self._send_malformed(number)
        elif chosen < 0.12:
            self._send_spoofed(number)
        else:
            self._send_plain(number)

    def _send_plain(self, number: int) -> None:
        sender, receiver = self._drawn.choice(WAYS)
        version = self._drawn.choice((4, 4, 6))
        protocol = self._drawn.choice((TCP, UDP, UDP, ICMP if version == 4 else ICMPV6))
        port = self._drawn.choice(PORTS) if protocol in (TCP, UDP) else 0
        shape = Shape.PLAIN
        if version == 6 and self._drawn.random() < 0.1:
            shape = self._drawn.choice((Shape.HOP_BY_HOP, Shape.DESTINATION_OPTIONS))
        packet = self._packet(number, sender, receiver, version, protocol, port)
        kind = NEW_FLOW if shape is Shape.PLAIN else shape.value
        probe = _Probe(number, kind, time.monotonic(), sender, receiver, version, protocol, port)
        self._waiting[number] = probe
        self.sent[f"{ {TCP: 'TCP', UDP: 'UDP'}.get(protocol, 'ICMP') } IPv{version}"] += 1
        self._put(sender, ip_packet(packet, shape, number))

    def _send_spoofed(self, number: int) -> None:
        """From the client's link with another's address, to a port that is open to all."""
        packet = self._packet(number, "client", "server", 4, UDP, ALWAYS_ALLOWED_PORT)
        packet = packet._replace(source=self._drawn.choice(("10.0.1.77", "10.0.3.4", "192.0.2.1")))
        self._forbid(number, "spoofed")
        self._put("client", ip_packet(packet, Shape.PLAIN, number))

    def _send_malformed(self, number: int) -> None:
        kind, content = malformed.draw(
            self._drawn,
            lambda version, protocol: ip_packet(
                self._packet(number, "internet", "server", version, protocol, ALWAYS_ALLOWED_PORT),
                Shape.PLAIN,
                number,
            ),
        )
        self._forbid(number, kind)
        self._put("internet", content)

    def _forbid(self, number: int, kind: str) -> None:
        probe = _Probe(number, kind, time.monotonic(), "", "server", 0, 0, 0)
        self._waiting[number] = probe
        self.sent["malformed" if kind != "spoofed" else kind] += 1

    def _packet(
        self, number: int, sender: str, receiver: str, version: int, protocol: int, port: int
    ) -> Packet:
        # A source port comes again after so many probes, long after conntrack has forgotten it.
        source_port = 1024 + number % 60000 if port else 0
        ends = ADDRESSES[sender][version == 6], ADDRESSES[receiver][version == 6]
        return Packet(version, protocol, *ends, source_port, port, None, None)

    def _put(self, sender: str, content: bytes) -> None:
        ethertype = 0x86DD if content and content[0] >> 4 == 6 else 0x0800
        mac = self._hosts[sender].gateway_mac
        self._outs[sender].sendto(content, ("eth0", ethertype, 0, 0, mac))

    def receive(self, receiver: str) -> None:
        """Take what a sniffer has; called when it is readable."""
        sniffer = self.sniffers[receiver]
        for _ in range(200):
            try:
                content, place = sniffer.recvfrom(4096)
            except BlockingIOError:
                return
            number = number_of(content)
            if number is None or place[2] == _OUTGOING or not self._is_for(number, receiver):
                continue
            if number in self._never:
                self._tell("arrived, and late", self._never[number])
            elif number in self._waiting:
                self._arrived.setdefault(number, time.monotonic())

    def _is_for(self, number: int, receiver: str) -> bool:
        """Errors about a packet quote it, and go the other way."""
        probe = self._waiting.get(number) or self._never.get(number)
        return probe is not None and probe.receiver == receiver

    def settle(self, *, everything: bool = False) -> None:
        """Judge what has had its time."""
        now_s = time.monotonic()
        while self._waiting:
            number = next(iter(self._waiting))
            probe = self._waiting[number]
            if not everything and now_s - probe.sent_s < PATIENCE_S:
                return
            del self._waiting[number]
            self._judge(probe, self._arrived.pop(number, None))

    def is_waiting(self) -> bool:
        """Whether something may come yet that would be missed."""
        return any(
            number not in self._arrived
            and self._outcomes(probe, probe.sent_s + _IN_QUEUE_S) == {True}
            and not self._history.was_faulty(probe.sent_s, probe.sent_s + _IN_QUEUE_S)
            for number, probe in self._waiting.items()
        )

    def _outcomes(self, probe: _Probe, until_s: float) -> set[bool]:
        """What may be right for a probe that was decided by then."""
        if not probe.sender:
            return {False}
        ends = probe.sender, probe.receiver, probe.version, probe.protocol, probe.port
        in_force = self._history.in_force(probe.sent_s, until_s)
        return {is_allowed(each.number, *ends) for each in in_force}

    def _judge(self, probe: _Probe, arrived_s: float | None) -> None:
        # When it was decided is not known; it was before it arrived.
        until_s = probe.sent_s + _IN_QUEUE_S if arrived_s is None else arrived_s
        allowed = self._outcomes(probe, until_s)
        if arrived_s is None and allowed == {False}:
            self._never[probe.number] = probe
        if (arrived_s is not None) in allowed:
            self.counts["passed" if arrived_s is not None else "denied"] += 1
            self.counts["during a change"] += len(allowed) > 1
            return
        if arrived_s is None and self._history.was_faulty(probe.sent_s, until_s):
            # What the kernel decides by itself is lost with nobody.
            in_force = self._history.in_force(probe.sent_s, until_s)
            if probe.kind != NEW_FLOW or any(each.engine == QUEUE for each in in_force):
                self.counts["lost with a worker"] += 1
                return
        self._tell("denied" if arrived_s is None else "passed", probe)

    def _tell(self, outcome: str, probe: _Probe) -> None:
        self.wrong_count += 1
        if len(self.wrong) < _MOST_TOLD:
            in_force = self._history.in_force(probe.sent_s, probe.sent_s + _IN_QUEUE_S)
            self.wrong.append(f"{outcome}: {probe}, in force: {sorted(in_force)}")

    def sniffers_dropped(self) -> int:
        """Packets that the sniffers were too slow for; asking starts the count anew."""
        return sum(_dropped(sniffer) for sniffer in self.sniffers.values())


def _raw(host: Host) -> socket.socket:
    made = host.namespace.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0))
    host._sockets.append(made)
    return made


def _sniffer(host: Host) -> socket.socket:
    made = host.sniffer()
    made.setblocking(False)
    # SO_RCVBUFFORCE
    made.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)
    return made


def _dropped(sniffer: socket.socket) -> int:
    """PACKET_STATISTICS: packets, and of them dropped."""
    data = sniffer.getsockopt(263, 6, 8)
    return int.from_bytes(data[4:8], sys.byteorder)
