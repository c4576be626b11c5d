"""HTTP for the pages: GET alone, from names that are ours, within tight bounds of size and time.

Connections are few, and each carries one request: past a limit the oldest gives way, and none lasts
longer than a deadline, however slowly its client sends or reads.
"""

from __future__ import annotations

import errno
import ipaddress
import logging
import re
import socket
import stat
from collections.abc import Collection
from http.server import BaseHTTPRequestHandler
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from nsgd.serving.few_connections import FewConnections
from nsgd.web.app import Application, Response

log = logging.getLogger("nsgd.web")

Place = tuple[str, int] | Path

CONNECTIONS = 32
MAXIMUM_REQUEST_BYTES = 16 << 10
TIMEOUT_S = 10.0  # of silence
DEADLINE_S = 60.0  # of a connection, which may wait for the daemon
_POLL_S = 0.5
_SECURITY_HEADERS = (
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        " img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
)
_HOST = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]{2,45})\]|(?P<name>[A-Za-z0-9_.-]{1,253}))(?::\d{1,5})?"
)


class WebServer(FewConnections):
    """Serves an application on one address until it is shut down."""

    daemon_threads = True

    def __init__(
        self,
        place: Place,
        application: Application,
        names: Collection[str] = (),
        *,
        timeout_s: float = TIMEOUT_S,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        """Listen.

        Args:
            place: An address and a port, of which 0 takes a free one; or a path, for a socket that
                its user and group may use.
            application: What answers.
            names: Names by which browsers may call it, beside localhost and addresses.
            timeout_s: How long a client may be silent.
            deadline_s: How long a connection may last.

        Raises:
            OSError: It cannot listen there.
        """
        self.application = application
        self.names = {name.casefold() for name in (*names, "localhost")}
        self.timeout_s = timeout_s
        self._path: Path | None = None  # set once the socket there is ours
        address: Any = place
        if isinstance(place, Path):
            self.address_family = socket.AF_UNIX
            address = str(place)
            _make_way(place)
        else:
            self.address_family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
        super().__init__(
            address,
            _Handler,
            most=CONNECTIONS,
            deadline_s=deadline_s,
            log=log,
            failure="a page failed",
        )
        self._path = place if isinstance(place, Path) else None
        self.port: int = 0 if self._path else self.server_address[1]

    def server_bind(self) -> None:
        """Bind; a path gets its mode before anybody can connect."""
        super().server_bind()
        if self.address_family == socket.AF_UNIX:
            Path(str(self.server_address)).chmod(0o660)

    def server_close(self) -> None:
        """Listen no more, and leave no path."""
        super().server_close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def serve(self) -> None:
        """Until shutdown()."""
        self.serve_forever(_POLL_S)


def _make_way(path: Path) -> None:
    """Remove a socket that nobody listens at any more, and nothing else. Raises OSError."""
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise OSError(errno.EEXIST, "there is something that is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError(errno.EADDRINUSE, "another program listens there")


class _TooLarge(Exception):
    """A request of more bytes than it may have."""


class _Bounded(BufferedIOBase):
    """Reads lines of a request, so many bytes in all."""

    def __init__(self, file: BufferedIOBase) -> None:
        self._file = file
        self._left = MAXIMUM_REQUEST_BYTES

    def readline(self, size: int | None = -1, /) -> bytes:
        line = self._file.readline(self._left + 1)
        self._left -= len(line)
        if self._left < 0:
            raise _TooLarge
        return line

    def close(self) -> None:
        self._file.close()


def is_ours(host: str, names: Collection[str]) -> bool:
    """Tell whether a Host header names this server, whatever the port.

    A name that an attacker's DNS points here is none of *names*; an address is no name at all.
    """
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    if match["name"] is not None and match["name"].casefold() in names:
        return True
    try:
        ipaddress.ip_address(match["v6"] or match["name"])
    except ValueError:
        return False
    return True


class _Handler(BaseHTTPRequestHandler):
    server: WebServer
    server_version = "nsgd"
    sys_version = ""
    # For answers to what was not read to its end.
    command = ""
    requestline = ""
    request_version = "HTTP/1.0"
    close_connection = True

    def setup(self) -> None:
        self.request.settimeout(self.server.timeout_s)
        super().setup()
        self.rfile = _Bounded(self.rfile)

    def handle(self) -> None:
        try:
            super().handle()
        except _TooLarge:
            most = f"{MAXIMUM_REQUEST_BYTES} bytes"
            self._refuse(431, "Too large", f"A request has {most} at most; this one had more.")

    def do_GET(self) -> None:
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1 or not is_ours(hosts[0], self.server.names):
            self._refuse(
                421,
                "Another name",
                "This server does not answer by that name. Use its address or localhost, or start"
                " it with --server-name NAME.",
            )
            return
        if not self.path.startswith("/"):
            self._refuse(400, "Not a page", "A page's address begins with a slash.")
            return
        try:
            response = self.server.application.respond(self.path)
        except Exception:
            log.exception("a page failed")
            self._refuse(
                500, "A fault of nsgd", "The log of nsgd web has more: journalctl -u nsgd-web"
            )
            return
        self._send(response)

    def do_HEAD(self) -> None:
        self.do_GET()

    def parse_request(self) -> bool:
        is_request = super().parse_request()
        if is_request and self.command not in ("GET", "HEAD"):
            self._refuse(405, "Read only", "Pages can be read, with GET, and nothing else.")
            return False
        return is_request

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server refuses by itself; nothing of the request comes back."""
        self._refuse(int(code), "Not a request", "This is not a request that can be read.")

    def _refuse(self, status: int, title: str, text: str) -> None:
        self._send(self.server.application.refusal(status, title, text))

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        if response.status == 405:
            self.send_header("Allow", "GET, HEAD")
        for name, value in _SECURITY_HEADERS:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what was asked for is nobody's affair."""


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address."""
    return ipaddress.ip_address(host).is_loopback
