"""A small HTTP server for scrapes, beside the daemon's loop and harmless to it.

Connections are few and short-lived (nsgd.serving): clients that hold one open keep neither a scrape
nor the daemon's descriptors.
"""

from __future__ import annotations

import gzip
import logging
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from nsgd.serving.few_connections import FewConnections

log = logging.getLogger("nsgd")

_CONNECTIONS = 16
_STOP_POLL_S = 0.1
_LARGE_BYTES = 1 << 20


class MetricsServer:
    """Serves a registry until it is closed."""

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        timeout_s: float = 10.0,
        deadline_s: float = 60.0,
        after_large: Callable[[], None] = lambda: None,
    ) -> None:
        """Listen and start the thread.

        Args:
            host: Address, or name of one, to listen at.
            port: 0 takes a free one.
            registry: What is served.
            timeout_s: How long a client may be silent.
            deadline_s: How long a connection may last.
            after_large: Called once a large answer has gone, from the scrape's thread.

        Raises:
            OSError: It cannot; the address is in the text.
        """
        try:
            self._server = _Server(host, port, registry, timeout_s, deadline_s, after_large)
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


class _Server(FewConnections):
    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        timeout_s: float,
        deadline_s: float,
        after_large: Callable[[], None],
    ) -> None:
        self.registry = registry
        self.after_large = after_large
        self.timeout_s = timeout_s
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        self.address_family, _, _, _, address = found[0]
        super().__init__(
            (str(address[0]), port),
            _Handler,
            most=_CONNECTIONS,
            deadline_s=deadline_s,
            log=log,
            failure="a scrape failed",
        )


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
        is_large = len(body) >= _LARGE_BYTES
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", content_type)
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, 1)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        finally:
            del body
            if is_large:
                self.server.after_large()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a scrape is no event."""
