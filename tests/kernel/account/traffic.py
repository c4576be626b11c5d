"""Sends what is planned: flows stay open until they are closed, and each has its own port."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field

from tests.kernel.account.capture import End
from tests.kernel.account.plan import Kind
from tests.kernel.network import Network, internet_checksum

_PATIENCE_S = 10.0
_CHUNK_BYTES = 8000
_PROTOCOLS = {("icmp", 6): 58, ("icmp", 4): 1, ("tcp", 4): 6, ("tcp", 6): 6}
_FIRST_PORT = 41000


@dataclass(slots=True)
class Flow:
    """One flow, and its sockets at both ends."""

    kind: Kind
    end: End
    own_port: int  # of the initiator; an echo's identifier
    sockets: list[socket.socket] = field(default_factory=list)

    def close(self) -> None:
        """Of TCP, the initiator's end first; then nothing more is sent."""
        for made in self.sockets:
            made.close()
        self.sockets.clear()


class Traffic:
    """Opens flows."""

    def __init__(self, net: Network) -> None:
        self._net = net
        self._next_port = _FIRST_PORT
        self._servers: dict[tuple[str, str, int, int], socket.socket] = {}

    def open(self, kinds: Iterable[Kind]) -> list[Flow]:
        """All flows of these kinds, with all that they carry."""
        made = [self._new(kind) for kind in kinds for _ in range(kind.flows)]
        for flow in made:
            if flow.kind.is_denied:
                self._knock(flow)
            elif flow.kind.protocol == "tcp":
                self._connect(flow)
            elif flow.kind.protocol == "udp":
                self._exchange(flow)
            else:
                self._ping(flow)
        return made

    def answer(self, flow: Flow, size: int) -> None:
        """One more datagram of the other side, which nobody waits for."""
        self._server(flow.kind).sendto(bytes(size), (flow.end.source, flow.own_port))

    def _new(self, kind: Kind) -> Flow:
        self._next_port += 1
        source, destination = (
            self._net[name].address(kind.version) for name in (kind.source, kind.destination)
        )
        protocol = _PROTOCOLS.get((kind.protocol, kind.version), 17)
        port = 0 if kind.protocol == "icmp" else self._next_port
        return Flow(kind, End(protocol, source, port, destination, kind.port), self._next_port)

    def _server(self, kind: Kind) -> socket.socket:
        key = kind.protocol, kind.destination, kind.port, kind.version
        if key not in self._servers:
            host, is_tcp = self._net[kind.destination], kind.protocol == "tcp"
            made = (
                host.listen(kind.port, kind.version)
                if is_tcp
                else host.bound(socket.SOCK_DGRAM, kind.port, kind.version)
            )
            made.settimeout(_PATIENCE_S)
            self._servers[key] = made
        return self._servers[key]

    def _client(self, flow: Flow, kind: int) -> socket.socket:
        made = self._net[flow.kind.source].bound(kind, flow.own_port, flow.kind.version)
        made.settimeout(_PATIENCE_S)
        flow.sockets.append(made)
        return made

    def _connect(self, flow: Flow) -> None:
        server = self._server(flow.kind)
        client = self._client(flow, socket.SOCK_STREAM)
        client.connect((flow.end.destination, flow.end.destination_port))
        accepted, _ = server.accept()
        accepted.settimeout(_PATIENCE_S)
        flow.sockets.append(accepted)
        for sent, answered in flow.kind.rounds:
            _stream(client, accepted, sent)
            _stream(accepted, client, answered)

    def _exchange(self, flow: Flow) -> None:
        server, client = self._server(flow.kind), self._client(flow, socket.SOCK_DGRAM)
        for sent, answered in flow.kind.rounds:
            client.sendto(bytes(sent), (flow.end.destination, flow.end.destination_port))
            assert len(server.recv(2000)) == sent
            if answered:
                self.answer(flow, answered)
                assert len(client.recv(2000)) == answered

    def _ping(self, flow: Flow) -> None:
        made = self._raw(flow)
        flow.sockets.append(made)
        for number, (size, _) in enumerate(flow.kind.rounds):
            made.sendto(_echo(flow, number, size), (flow.end.destination, 0))
            while not _is_reply(made.recv(4096), flow, number):
                pass

    def _knock(self, flow: Flow) -> None:
        """Send a first packet, which nobody gets."""
        to = flow.end.destination, flow.end.destination_port
        (size, _), *_ = flow.kind.rounds
        if flow.kind.protocol == "icmp":
            with closing(self._raw(flow)) as made:
                made.sendto(_echo(flow, 0, size), (flow.end.destination, 0))
        elif flow.kind.protocol == "udp":
            self._client(flow, socket.SOCK_DGRAM).sendto(bytes(size), to)
        else:
            made = self._client(flow, socket.SOCK_STREAM)
            made.setblocking(False)
            # Closed before it sends a second one.
            made.connect_ex(to)
        flow.close()

    def _raw(self, flow: Flow) -> socket.socket:
        host, version = self._net[flow.kind.source], flow.kind.version
        made = host.open_socket(socket.SOCK_RAW, version, flow.end.protocol)
        made.bind((host.address(version), 0))
        made.settimeout(_PATIENCE_S)
        return made


def _stream(sender: socket.socket, receiver: socket.socket, size: int) -> None:
    """Bytes of a connection, of which both ends live in one thread."""
    while size:
        chunk = min(size, _CHUNK_BYTES)
        sender.sendall(bytes(chunk))
        size -= chunk
        while chunk:
            chunk -= len(receiver.recv(chunk))


def _echo(flow: Flow, number: int, size: int) -> bytes:
    kind = 8 if flow.kind.version == 4 else 128
    head = struct.pack("!BBHHH", kind, 0, 0, flow.own_port, number)
    body = head + bytes(size)
    if flow.kind.version == 6:
        return body  # the kernel writes the checksum
    padded = body + bytes(len(body) % 2)
    return body[:2] + struct.pack("!H", internet_checksum(padded)) + body[4:]


def _is_reply(data: bytes, flow: Flow, number: int) -> bool:
    message = data[(data[0] & 15) * 4 :] if flow.kind.version == 4 else data
    wanted = struct.pack("!HH", flow.own_port, number)
    return message[0] == (0 if flow.kind.version == 4 else 129) and message[4:8] == wanted
