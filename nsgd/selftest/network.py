"""A gateway, a server that answers, and a client that asks, each in a namespace of its own."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from nsgd.lab.netns import Lab, NetworkNamespace
from nsgd.selftest.policy import CLIENT, PORTS, SERVER, SERVER_LINK

Probe = tuple[int, str, int]  # IP version, protocol, port

PROBES: tuple[Probe, ...] = tuple((version, *port) for version in (4, 6) for port in PORTS)
_GATEWAY = {4: "169.254.1.1", 6: "fe80::1"}
_CLIENT_LINK = "to-client"
# Less than TCP's first retransmission, which would be a second first packet.
_PATIENCE_S = 0.7
_MOST_FLOWS = 300  # of each kind; two descriptors each
_PAUSE_S = 0.01
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


class Server(threading.Thread):
    """Answers every port of the policy with what it was sent, and keeps what came by UDP."""

    def __init__(self, namespace: NetworkNamespace) -> None:
        super().__init__(daemon=True)
        self._selector = selectors.DefaultSelector()
        self._halt = threading.Event()
        self.datagrams: set[tuple[int, bytes]] = set()  # port and content
        for version, protocol, port in PROBES:
            made = _socket(namespace, version, protocol)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((SERVER[version], port))
            made.setblocking(False)
            if protocol == "tcp":
                made.listen(64)
            self._selector.register(made, selectors.EVENT_READ, (protocol, port))
        self.start()

    def run(self) -> None:
        """Serve until close()."""
        while not self._halt.is_set():
            for key, _ in self._selector.select(0.05):
                with contextlib.suppress(OSError):
                    self._answer(key)

    def _answer(self, key: selectors.SelectorKey) -> None:
        end, (kind, port) = key.fileobj, key.data
        assert isinstance(end, socket.socket)
        if kind == "tcp":
            accepted, _ = end.accept()
            accepted.setblocking(False)
            self._selector.register(accepted, selectors.EVENT_READ, ("open", port))
        elif kind == "udp":
            content, sender = end.recvfrom(2048)
            self.datagrams.add((port, content))
            end.sendto(content, sender)
        else:
            content = b""
            with contextlib.suppress(ConnectionError):
                content = end.recv(2048)
            if content:
                end.sendall(content)
            else:
                self._selector.unregister(end)
                end.close()

    def close(self) -> None:
        """End the thread and its sockets."""
        self._halt.set()
        self.join()
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()


class Site:
    """The namespaces of one lab. Use as a context manager."""

    def __init__(self, lab: Lab) -> None:
        self.gateway = lab.namespace("gateway", forwarding=True)
        self.client = lab.namespace("client")
        server = lab.namespace("server")
        for namespace, link, addresses in (
            (server, SERVER_LINK, SERVER),
            (self.client, _CLIENT_LINK, CLIENT),
        ):
            lab.connect(self.gateway, link, namespace, "eth0")
            for version, length in ((4, 32), (6, 128)):
                own = f"{addresses[version]}/{length}"
                self.gateway.add_address(link, f"{_GATEWAY[version]}/{32 if version == 4 else 64}")
                namespace.add_address("eth0", own)
                self.gateway.add_route(own, link)
                everywhere = "0.0.0.0/0" if version == 4 else "::/0"
                namespace.add_route(everywhere, "eth0", via=_GATEWAY[version])
        self.server = Server(server)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.server.close()

    def sockets(self, version: int, protocol: str, count: int) -> list[socket.socket]:
        """Of the client; each is a flow of its own."""

        def make() -> list[socket.socket]:
            return [socket.socket(_FAMILIES[version], _KINDS[protocol]) for _ in range(count)]

        made = self.client.call(make)
        for each in made:
            each.bind((CLIENT[version], 0))
            each.setblocking(False)
        return made

    def answered(self) -> frozenset[Probe]:
        """The probes that are answered, all sent at once, one first packet each."""
        waiting: dict[socket.socket, Probe] = {}
        found = set()
        with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
            for probe in PROBES:
                version, protocol, port = probe
                end = stack.enter_context(self.sockets(version, protocol, 1)[0])
                waiting[end] = probe
                with contextlib.suppress(BlockingIOError):
                    end.connect((SERVER[version], port))
                if protocol == "udp":
                    end.send(b"ask")
                event = selectors.EVENT_READ if protocol == "udp" else selectors.EVENT_WRITE
                selector.register(end, event)
            deadline_s = time.monotonic() + _PATIENCE_S
            while waiting and (left_s := deadline_s - time.monotonic()) > 0:
                for key, _ in selector.select(left_s):
                    ready = key.fileobj
                    assert isinstance(ready, socket.socket)
                    selector.unregister(ready)
                    probe = waiting.pop(ready)
                    if ready.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                        found.add(probe)
        return frozenset(found)


class Connection:
    """An open TCP connection to an allowed port."""

    def __init__(self, site: Site) -> None:
        (self._end,) = site.sockets(4, "tcp", 1)
        self._end.settimeout(3)
        try:
            self._end.connect((SERVER[4], 80))
        except OSError:
            self._end.close()
            raise

    def works(self) -> bool:
        """Tell whether it carries a byte to and fro."""
        try:
            self._end.sendall(b"x")
            return self._end.recv(1) == b"x"
        except OSError:
            return False

    def close(self) -> None:
        """End it."""
        self._end.close()


@contextlib.contextmanager
def traffic(site: Site) -> Iterator[Callable[[], tuple[int, int, int]]]:
    """New flows to an allowed and to a denied port, all the while.

    The function that it gives says, once they have stopped: how many were sent to each, how many
    arrived of the allowed ones, and of the denied ones.
    """
    halt, sent = threading.Event(), [0]
    ends = {port: site.sockets(4, "udp", _MOST_FLOWS) for port in (53, 54)}

    def send() -> None:
        for number in range(_MOST_FLOWS):
            if halt.wait(_PAUSE_S):
                return
            for port, flows in ends.items():
                flows[number].sendto(b"flow %d" % number, (SERVER[4], port))
            sent[0] = number + 1

    def count(port: int) -> int:
        return sum((port, b"flow %d" % n) in site.server.datagrams for n in range(sent[0]))

    def stop() -> tuple[int, int, int]:
        halt.set()
        sender.join()
        deadline_s = time.monotonic() + _PATIENCE_S
        while count(53) < sent[0] and time.monotonic() < deadline_s:
            time.sleep(0.02)
        return sent[0], count(53), count(54)

    site.server.datagrams.clear()
    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    try:
        yield stop
    finally:
        halt.set()
        sender.join()
        for flows in ends.values():
            for end in flows:
                end.close()


def _socket(namespace: NetworkNamespace, version: int, protocol: str) -> socket.socket:
    return namespace.call(lambda: socket.socket(_FAMILIES[version], _KINDS[protocol]))
