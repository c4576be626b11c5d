"""Few connections, the newest rather than the oldest, and none for long."""

from __future__ import annotations

import contextlib
import logging
import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest

from nsgd.serving.few_connections import FewConnections

MOST = 3
PATIENCE_S = 20.0


class Stuck(socketserver.BaseRequestHandler):
    """Does not look at its client before it may; then it says hello."""

    may_go_on = threading.Event()

    def handle(self) -> None:
        self.may_go_on.wait(PATIENCE_S)
        self.request.sendall(b"hello")


class Failing(socketserver.BaseRequestHandler):
    """Goes wrong by itself, or because of its client."""

    error: Exception = ValueError("a bug")

    def handle(self) -> None:
        raise self.error


@contextlib.contextmanager
def serving(
    handler: type[socketserver.BaseRequestHandler], deadline_s: float = 60.0
) -> Iterator[FewConnections]:
    log = logging.getLogger("nsgd.tests")
    server = FewConnections(
        ("127.0.0.1", 0), handler, most=MOST, deadline_s=deadline_s, log=log, failure="it failed"
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.cut_off_all()
        server.server_close()


def connect(server: FewConnections) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.server_address[1]), PATIENCE_S)


def test_each_that_comes_beyond_the_limit_takes_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the oldest there is, though the threads of those before have not noticed yet."""
    monkeypatch.setattr(Stuck, "may_go_on", threading.Event())
    with serving(Stuck) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(server)) for _ in range(2 * MOST)]
        for client in clients[:MOST]:
            assert client.recv(1) == b"", "not cut off"
        Stuck.may_go_on.set()
        for client in clients[MOST:]:
            assert client.recv(5) == b"hello"


def test_none_lasts_longer_than_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its handler waits for."""
    monkeypatch.setattr(Stuck, "may_go_on", threading.Event())
    with serving(Stuck, deadline_s=0.1) as server, connect(server) as client:
        assert client.recv(1) == b""
        Stuck.may_go_on.set()


@pytest.mark.parametrize("error", [ValueError("a bug"), BrokenPipeError("gone")])
def test_a_bug_is_told_and_a_client_that_goes_is_not(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And the next one is served all the same."""
    monkeypatch.setattr(Failing, "error", error)
    with serving(Failing) as server:
        for _ in range(2):
            with connect(server) as client:
                assert client.recv(1) == b""
    assert caplog.messages == ([] if isinstance(error, OSError) else ["it failed"] * 2)


def test_no_descriptor_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not tried again at once, and whoever waits is served when there is one."""
    tries: list[float] = []
    monkeypatch.setattr("nsgd.serving.few_connections.time.sleep", tries.append)
    accept = socketserver.TCPServer.get_request

    def get_request(server: socketserver.TCPServer) -> tuple[socket.socket, object]:
        if len(tries) < 3:
            raise OSError(24, "Too many open files")
        return accept(server)

    monkeypatch.setattr(socketserver.TCPServer, "get_request", get_request)
    monkeypatch.setattr(Failing, "error", ConnectionResetError())
    with serving(Failing) as server, connect(server) as client:
        assert client.recv(1) == b""
    assert len(tries) == 3
