"""What the server takes and gives over HTTP, and that no client can hold it up."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from nsgd.web import server as server_module
from nsgd.web.app import Application
from nsgd.web.server import CONNECTIONS, MAXIMUM_REQUEST_BYTES, Place, WebServer, is_ours
from tests.web.fake import FakeSource


@contextlib.contextmanager
def serving(
    place: Place = ("127.0.0.1", 0),
    names: tuple[str, ...] = (),
    timeout_s: float = 20.0,
    deadline_s: float = 60.0,
) -> Iterator[WebServer]:
    """A server in a thread."""
    application = Application(FakeSource())
    with WebServer(place, application, names, timeout_s=timeout_s, deadline_s=deadline_s) as server:
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def server() -> Iterator[WebServer]:
    """One for the tests that leave it as it is."""
    with serving() as made:
        yield made


def connect(server: WebServer) -> socket.socket:
    """A client of bytes."""
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def say(server: WebServer, request: bytes) -> bytes:
    """The whole answer to some bytes."""
    with connect(server) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(request)
        return rest(client)


def rest(client: socket.socket) -> bytes:
    """What comes until the end."""
    parts = []
    with contextlib.suppress(ConnectionError):
        while data := client.recv(65536):
            parts.append(data)
    return b"".join(parts)


def status_of(answer: bytes) -> int:
    """The status in an answer."""
    return int(answer.split(b" ", 2)[1])


def get(server: WebServer, host: str, method: str = "GET", path: str = "/") -> int:
    """The status of a request with a Host header."""
    return status_of(say(server, f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()))


@pytest.mark.parametrize("path", ["/", "/networks", "/static/live.js", "/nothing", "/flows?port=x"])
def test_headers(server: WebServer, path: str) -> None:
    """Every answer, refusals too, has the security policy, and is kept by nobody."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    policy = dict(
        part.strip().split(" ", 1)
        for part in response.headers["Content-Security-Policy"].split(";")
    )
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    for name, value in (
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-store"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Server", "nsgd "),
    ):
        assert response.headers[name] == value
    assert "Set-Cookie" not in response.headers
    assert "Access-Control-Allow-Origin" not in response.headers
    connection.close()


@pytest.mark.parametrize(
    ("host", "is_answered"),
    [
        ("localhost", True),
        ("LOCALHOST:1234", True),
        ("127.0.0.1:9481", True),
        ("[::1]:9481", True),
        ("192.0.2.7", True),
        ("evil.example", False),
        ("evil.example:9481", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
        ("localhost@evil.example", False),
        ("[evil]", False),
        ("localhost:80:80", False),
    ],
)
def test_names(server: WebServer, host: str, is_answered: bool) -> None:
    """A page of another site whose name points here cannot read ours: no name but localhost."""
    assert get(server, host) == (200 if is_answered else 421)


def test_no_name_or_two(server: WebServer) -> None:
    """Which one a cache or proxy would take is not to be guessed."""
    assert status_of(say(server, b"GET / HTTP/1.1\r\n\r\n")) == 421
    two = b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"
    assert status_of(say(server, two)) == 421


def test_names_that_are_given() -> None:
    """As behind a proxy."""
    assert is_ours("nsgd.example:443", {"nsgd.example"})
    with serving(names=("NSGD.example",)) as server:
        assert get(server, "nsgd.example") == 200
        assert get(server, "other.example") == 421


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FETCH"])
def test_only_reading(server: WebServer, method: str) -> None:
    """There is nothing to change."""
    assert get(server, "localhost", method) == 405


def test_head(server: WebServer) -> None:
    """As GET, without the page."""
    answer = say(server, b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert status_of(answer) == 200
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /" + b"a" * MAXIMUM_REQUEST_BYTES + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: " + b"a" * MAXIMUM_REQUEST_BYTES + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 150 + b"\r\n", 431),
        (b"a" * 100_000, 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 505),
        (b"GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET <script> HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    ],
)
def test_what_is_no_request(server: WebServer, request_bytes: bytes, status: int) -> None:
    """Read up to a bound, and never shown again."""
    answer = say(server, request_bytes)
    assert b"<script>" not in answer
    assert b"aaaa" not in answer
    # A line without a version is answered as HTTP/0.9 was: by the page alone.
    assert (
        status_of(answer) == status if answer.startswith(b"HTTP/") else b"Not a request" in answer
    )


@pytest.mark.parametrize(
    "path", ["/static/../../../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/%00", "/static/%00"]
)
def test_traversal(server: WebServer, path: str) -> None:
    """As it stands on the wire, which no client tidies up."""
    assert get(server, "localhost", path=path) == 404


def test_a_silent_client_is_cut_off() -> None:
    """And so is one that sends a byte now and then, by the deadline of a connection."""
    with serving(timeout_s=0.2) as server, connect(server) as client:
        assert rest(client) == b""
    with serving(deadline_s=0.3) as server, connect(server) as client:
        end_s = time.monotonic() + 20
        is_open = True
        while is_open and time.monotonic() < end_s:
            try:
                client.sendall(b"G")
                time.sleep(0.05)
            except ConnectionError:
                is_open = False
        assert not is_open


def test_silent_clients_do_not_keep_others_out() -> None:
    """The oldest gives way."""
    with serving() as server:
        held = [connect(server) for _ in range(CONNECTIONS + 5)]
        assert get(server, "localhost") == 200
        # Six made room: five for those behind them, one for the page.
        assert [rest(client) for client in held[:6]] == [b""] * 6
        held[6].setblocking(False)
        with pytest.raises(BlockingIOError):
            held[6].recv(1)
        for client in held:
            client.close()


def test_a_client_that_does_not_read_holds_a_thread_for_a_while_only() -> None:
    """Its answer waits in the socket; others are served."""
    with serving(timeout_s=0.5) as server, connect(server) as client:
        client.sendall(b"GET /static/style.css HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert get(server, "localhost") == 200


def test_a_fault_is_told_and_survived(
    server: WebServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The page says where to look, and nothing of the inside."""

    def fail(target: str) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(server.application, "respond", fail)
    answer = say(server, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert status_of(answer) == 500
    assert b"secret" not in answer
    assert "a page failed" in caplog.text
    monkeypatch.undo()
    assert get(server, "localhost") == 200


def test_a_socket_for_a_group(tmp_path: Path) -> None:
    """In place of a port, which every user of the machine could open."""
    path = tmp_path / "web.sock"
    with serving(path) as server:
        assert path.stat().st_mode & 0o777 == 0o660
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(str(path))
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost:8000\r\n\r\n")
            assert status_of(rest(client)) == 200
        with pytest.raises(OSError, match="another program"):
            WebServer(path, server.application)
    assert not path.exists()


def test_a_socket_that_was_left_behind(tmp_path: Path) -> None:
    """Is taken over; a file is not."""
    path = tmp_path / "web.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with serving(path):
        pass
    path.write_text("")
    with pytest.raises(OSError, match="no socket"):
        WebServer(path, Application(FakeSource()))


def test_ipv6() -> None:
    """The loopback of the other family."""
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    with serving(("::1", 0)) as server:
        connection = HTTPConnection("::1", server.port, timeout=20)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        connection.close()


@pytest.mark.parametrize(
    ("host", "is_local"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("0.0.0.0", False), ("::", False)],
)
def test_what_is_reached_from_elsewhere(host: str, is_local: bool) -> None:
    """Deserves a warning."""
    assert server_module.is_loopback(host) is is_local
