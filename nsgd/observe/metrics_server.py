"""A small HTTP server for scrapes, beside the daemon's loop and harmless to it.

Connections are few and short-lived: past a limit the oldest gives way, so clients that hold one
open keep neither a scrape nor the daemon's descriptors.
"""

from __future__ import annotations

import gzip
import logging
import socket
import socketserver
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

log = logging.getLogger("nsgd")

_CONNECTIONS = 16
_STOP_POLL_S = 0.1
_NO_DESCRIPTOR_PAUSE_S = 0.2


class MetricsServer:
    """Serves a registry until it is closed."""

    def __init__(
        self, host: str, port: int, registry: CollectorRegistry, timeout_s: float = 10.0
    ) -> None:
        """Listen and start the thread. Raises OSError, with the address in its text."""
        try:
            self._server = _Server(host, port, registry, timeout_s)
        except OSError as error:
            where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            reason = error.strerror or str(error)
            raise OSError(f"metrics cannot be served at {where}: {reason}") from error
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_STOP_POLL_S,), name="metrics", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening, cut off open connections and wait for their threads."""
        self._server.shutdown()
        self._thread.join()
        self._server.cut_off_all()
        self._server.server_close()


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    request_queue_size = _CONNECTIONS

    def __init__(self, host: str, port: int, registry: CollectorRegistry, timeout_s: float) -> None:
        self.registry = registry
        self.timeout_s = timeout_s
        self._lock = threading.Lock()
        self._open: dict[socket.socket, None] = {}  # the oldest first
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        self.address_family, _, _, _, address = found[0]
        super().__init__((str(address[0]), port), _Handler)

    def get_request(self) -> tuple[socket.socket, object]:
        try:
            return super().get_request()
        except OSError:
            # Without descriptors the client stays there, and would be asked for again at once.
            time.sleep(_NO_DESCRIPTOR_PAUSE_S)
            raise

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        with self._lock:
            if len(self._open) >= _CONNECTIONS:
                _cut_off(next(iter(self._open)))
            self._open[request] = None
        super().process_request(request, client_address)

    def close_request(self, request: socket.socket) -> None:  # type: ignore[override]
        with self._lock:
            self._open.pop(request, None)
        super().close_request(request)

    def cut_off_all(self) -> None:
        """Wake every thread that waits for its client."""
        with self._lock:
            for request in self._open:
                _cut_off(request)

    def handle_error(self, request: object, client_address: object) -> None:
        # A client that goes away or stays silent is its own affair.
        if not isinstance(sys.exception(), OSError):
            log.exception("a scrape failed")


def _cut_off(request: socket.socket) -> None:
    try:
        request.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # gone already


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "nsgd"
    sys_version = ""

    def setup(self) -> None:
        self.request.settimeout(self.server.timeout_s)
        super().setup()

    def do_GET(self) -> None:
        if self.path.partition("?")[0] not in ("/", "/metrics"):
            self.send_error(HTTPStatus.NOT_FOUND, explain="The metrics are at /metrics.")
            return
        encode, content_type = choose_encoder(self.headers.get("Accept", ""))
        try:
            body = encode(self.server.registry)
        except Exception:
            log.exception("metrics could not be collected")
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR, explain="See the daemon's log.")
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", content_type)
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, 1)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a scrape is no event."""
