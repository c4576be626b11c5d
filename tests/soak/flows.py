"""Flows that stay open through everything, and connections that come and go, all in one loop."""

from __future__ import annotations

import contextlib
import hashlib
import selectors
import socket
import time
from collections import Counter, deque
from typing import NamedTuple

from tests.kernel.network import Network
from tests.soak.history import History
from tests.soak.policies import ADDRESSES, CONNECT_PORTS, LONG_PORT, is_allowed

_ROUND_BYTES = 32 << 10
_PAUSE_S = 0.2
# Many retransmissions later: a flow that makes no progress by then is lost.
STALLED_S = 60.0
_ANSWER_S = 10.0
_CONNECT_S = 12.0  # SYNs after 0, 1, 3 and 7 seconds
_LAST_SYN_S = 7.5
_SENDERS = ("client", "internet")


class LongTcp:
    """A connection over which rounds of data go there and back; each byte is compared."""

    def __init__(self, net: Network, sender: str, version: int) -> None:
        self.name = f"TCP IPv{version} {sender}"
        server = net["bulk"].listen(LONG_PORT, version)
        self._client = net[sender].bound(socket.SOCK_STREAM, 0, version)
        self._client.settimeout(10)
        self._client.connect((net["bulk"].address(version), LONG_PORT))
        self._server, _ = server.accept()
        server.close()
        for end in (self._client, self._server):
            end.setblocking(False)
        self.rounds = 0
        self.slowest_round_s = 0.0
        self.failure: str | None = None
        self._echo = bytearray()
        self._begin()

    @property
    def progress(self) -> int:
        """What has come back; does not rise for long where the flow is lost."""
        return self.rounds

    def _begin(self) -> None:
        block = hashlib.sha256(f"{self.name} {self.rounds}".encode()).digest()
        self._data = block * (_ROUND_BYTES // len(block))
        self._unsent = memoryview(self._data)
        self._received = bytearray()
        self._begun_s = time.monotonic()
        self._next_s = self._begun_s + _PAUSE_S

    def advance(self) -> None:
        """Do what can be done without waiting."""
        if self.failure is not None:
            return
        try:
            self._move()
        except OSError as error:
            self.failure = str(error)
        if time.monotonic() - self._begun_s > STALLED_S:
            self.failure = f"no progress for {STALLED_S:g} s"

    def _move(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._unsent:
                self._unsent = self._unsent[self._client.send(self._unsent) :]
        with contextlib.suppress(BlockingIOError):
            while data := self._server.recv(1 << 16):
                self._echo += data
            raise ConnectionError("closed by nobody")
        with contextlib.suppress(BlockingIOError):
            while self._echo:
                del self._echo[: self._server.send(self._echo)]
        with contextlib.suppress(BlockingIOError):
            while data := self._client.recv(1 << 16):
                self._received += data
            raise ConnectionError("closed by nobody")
        if len(self._received) < _ROUND_BYTES:
            return
        if self._received != self._data:
            self.failure = f"round {self.rounds}: other bytes came back"
            return
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self.slowest_round_s = max(self.slowest_round_s, now_s - self._begun_s)
            self.rounds += 1
            self._begin()

    def close(self) -> None:
        """Close both ends."""
        self._client.close()
        self._server.close()


class LongUdp:
    """A datagram each second and its answer; one that is missing is a decided flow's loss."""

    def __init__(self, net: Network, sender: str, version: int) -> None:
        self.name = f"UDP IPv{version} {sender}"
        self._server = net["bulk"].bound(
            socket.SOCK_DGRAM, LONG_PORT + 1 + _SENDERS.index(sender), version
        )
        self._client = net[sender].bound(socket.SOCK_DGRAM, 0, version)
        self._client.connect(self._server.getsockname()[:2])
        for end in (self._client, self._server):
            end.setblocking(False)
        self.rounds = 0
        self.failure: str | None = None
        self._next_s = 0.0
        self._asked: deque[tuple[int, float]] = deque()
        self._answered: set[int] = set()
        self.progress = 0

    def advance(self) -> None:
        """Do what can be done without waiting."""
        if self.failure is not None:
            return
        now_s = time.monotonic()
        try:
            if now_s >= self._next_s:
                self._next_s = now_s + 1
                self.rounds += 1
                self._client.send(self.rounds.to_bytes(8, "big"))
                self._asked.append((self.rounds, now_s))
            with contextlib.suppress(BlockingIOError):
                while True:
                    data, sender = self._server.recvfrom(100)
                    self._server.sendto(data, sender)
            with contextlib.suppress(BlockingIOError):
                while True:
                    self.progress = int.from_bytes(self._client.recv(100), "big")
                    self._answered.add(self.progress)
        except OSError as error:
            self.failure = f"round {self.rounds}: {error}"
        while self._asked and now_s - self._asked[0][1] > _ANSWER_S:
            number, _ = self._asked.popleft()
            if number not in self._answered:
                self.failure = f"datagram {number} was not answered"
            self._answered.discard(number)

    def close(self) -> None:
        """Close both ends."""
        self._client.close()
        self._server.close()


class _Attempt(NamedTuple):
    client: socket.socket
    begun_s: float
    sender: str
    version: int
    port: int


class Connects:
    """TCP connections by the hosts' own stacks, some of which the policies deny."""

    def __init__(self, net: Network, history: History) -> None:
        self._net = net
        self._history = history
        self._selector = selectors.DefaultSelector()
        self._attempts: dict[int, _Attempt] = {}
        self._count = 0
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        for version in (4, 6):
            for port in CONNECT_PORTS:
                listener = net["server"].listen(port, version)
                listener.setblocking(False)
                self._selector.register(listener, selectors.EVENT_READ)

    def attempt(self) -> None:
        """Begin one connection."""
        count = self._count
        self._count += 1
        sender, version = _SENDERS[count % 2], (4, 6)[count // 2 % 2]
        port = CONNECT_PORTS[count // 4 % len(CONNECT_PORTS)]
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        host = self._net[sender]
        client = host.namespace.call(lambda: socket.socket(family, socket.SOCK_STREAM))
        client.setblocking(False)
        client.bind((ADDRESSES[sender][version == 6], 0))
        begun_s = time.monotonic()
        with contextlib.suppress(BlockingIOError):
            client.connect((ADDRESSES["server"][version == 6], port))
        self._attempts[client.fileno()] = _Attempt(client, begun_s, sender, version, port)
        self._selector.register(client, selectors.EVENT_WRITE)

    def advance(self) -> None:
        """See which came about, and which will not."""
        for key, _ in self._selector.select(0):
            attempt = self._attempts.get(key.fd)
            if attempt is not None:
                error = attempt.client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                self._end(attempt, is_connected=error == 0)
            elif isinstance(key.fileobj, socket.socket):
                with contextlib.suppress(BlockingIOError):
                    key.fileobj.accept()[0].close()
        for attempt in list(self._attempts.values()):
            if time.monotonic() - attempt.begun_s < _CONNECT_S:
                break
            self._end(attempt, is_connected=False)

    def _end(self, attempt: _Attempt, *, is_connected: bool) -> None:
        del self._attempts[attempt.client.fileno()]
        self._selector.unregister(attempt.client)
        attempt.client.close()
        until_s = time.monotonic() if is_connected else attempt.begun_s + _LAST_SYN_S
        in_force = self._history.in_force(attempt.begun_s, until_s)
        allowed = {
            is_allowed(
                each.number,
                attempt.sender,
                "server",
                attempt.version,
                socket.IPPROTO_TCP,
                attempt.port,
            )
            for each in in_force
        }
        if is_connected in allowed:
            self.counts["connected" if is_connected else "not connected"] += 1
        elif not is_connected and self._history.was_faulty(attempt.begun_s, until_s):
            self.counts["lost with a worker"] += 1
        else:
            told = attempt._replace(client=None)  # type: ignore[arg-type]
            outcome = "connected" if is_connected else "not connected"
            self.wrong.append(f"{outcome}: {told}, in force: {sorted(in_force)}")

    def close(self) -> None:
        """Close what is open."""
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()


def open_long_flows(net: Network) -> list[LongTcp | LongUdp]:
    """A flow of each kind, of both families, from inside and from outside."""
    kinds = (LongTcp, LongUdp)
    return [
        kind(net, sender, version) for kind in kinds for sender in _SENDERS for version in (4, 6)
    ]
