"""What passes on the links of hosts, counted by a thread of its own: the account of nobody's code.

Only packets of the test's flows are counted: TCP, UDP, and echoes.
"""

from __future__ import annotations

import ipaddress
import select
import socket
import struct
import threading
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple, Self

from tests.kernel.network import Host

_RECEIVE_BUFFER_BYTES = 32 << 20
_SO_RCVBUFFORCE = 33
_PACKET_STATISTICS = 6
_SOL_PACKET = 263
_TCP, _UDP = 6, 17
# Echo request and reply.
_ECHOES = {1: (8, 0), 58: (128, 129)}


class End(NamedTuple):
    """Of a packet's sender and receiver; ports are 0 where it has none, as an echo."""

    protocol: int
    source: str
    source_port: int
    destination: str
    destination_port: int

    def reversed(self) -> End:
        """Of an answer."""
        return End(
            self.protocol,
            self.destination,
            self.destination_port,
            self.source,
            self.source_port,
        )


class Capture:
    """Packets and bytes, with IP headers, by host and by ends."""

    def __init__(self, hosts: Iterable[Host]) -> None:
        self._counts: dict[tuple[str, End], tuple[int, int]] = {}
        self._sockets = {}
        for host in hosts:
            made = host.sniffer()
            made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER_BYTES)
            made.setblocking(False)
            self._sockets[made] = host.name
        self._lock = threading.Lock()
        self._is_ending = False
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_ending = True
        self._thread.join()

    def count(self, host: str, end: End) -> tuple[int, int]:
        """Packets and bytes that the host's link has had."""
        with self._lock:
            return self._counts.get((host, end), (0, 0))

    def dropped(self) -> int:
        """Packets that were not counted, for want of room, since this was asked last."""
        statistics = (
            struct.unpack("=II", made.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
            for made in self._sockets
        )
        return sum(drops for _, drops in statistics)

    def _run(self) -> None:
        while not self._is_ending:
            for made in select.select(list(self._sockets), [], [], 0.1)[0]:
                with suppress(BlockingIOError):
                    while True:
                        self._add(self._sockets[made], made.recv(1 << 17))

    def _add(self, host: str, packet: bytes) -> None:
        found = ends(packet)
        if found is not None:
            end, size = found
            with self._lock:
                packets, octets = self._counts.get((host, end), (0, 0))
                self._counts[host, end] = packets + 1, octets + size


def ends(packet: bytes) -> tuple[End, int] | None:
    """Who sends to whom, and how many bytes the packet has; None for what is not counted."""
    if packet[0] >> 4 == 4:
        start = (packet[0] & 15) * 4
        protocol, size = packet[9], int.from_bytes(packet[2:4], "big")
        addresses = packet[12:16], packet[16:20]
    elif packet[0] >> 4 == 6:
        start, protocol, size = 40, packet[6], 40 + int.from_bytes(packet[4:6], "big")
        addresses = packet[8:24], packet[24:40]
    else:
        return None
    source, destination = (str(ipaddress.ip_address(each)) for each in addresses)
    if protocol in (_TCP, _UDP):
        ports = struct.unpack_from("!HH", packet, start)
    elif protocol in _ECHOES and packet[start] in _ECHOES[protocol]:
        ports = 0, 0
    else:
        return None
    return End(protocol, source, ports[0], destination, ports[1]), size
