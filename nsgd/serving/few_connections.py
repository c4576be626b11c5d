"""A server of few connections, each in a thread: past a limit the oldest gives way to the newest.

So clients that hold connections open keep neither others out nor the process' threads and
descriptors, however slowly they send or read.
"""

from __future__ import annotations

import logging
import socket
import socketserver
import sys
import threading
import time
from typing import Any

_NO_DESCRIPTOR_PAUSE_S = 0.2


class FewConnections(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Serves an address, or a path of AF_UNIX where *address_family* was set so before."""

    allow_reuse_address = True

    def __init__(
        self,
        address: Any,
        handler: type[socketserver.BaseRequestHandler],
        *,
        most: int,
        deadline_s: float,
        log: logging.Logger,
        failure: str,
    ) -> None:
        """Listen.

        Args:
            address: As a socket of the family is bound to.
            handler: Made for each connection, in a thread of its own.
            most: Connections at a time.
            deadline_s: How long one may last.
            log: Told of what a handler raises, but for what its client may cause.
            failure: That, in a few words.

        Raises:
            OSError: It cannot listen there.
        """
        self.request_queue_size = most
        self._most = most
        self._deadline_s = deadline_s
        self._log, self._failure = log, failure
        self._lock = threading.Lock()
        self._open: dict[socket.socket, float] = {}  # since when; the oldest first
        super().__init__(address, handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        try:
            return super().get_request()
        except OSError:
            # Without descriptors the client stays there, and would be asked for again at once.
            time.sleep(_NO_DESCRIPTOR_PAUSE_S)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            if len(self._open) >= self._most:
                oldest = next(iter(self._open))
                del self._open[oldest]  # its thread may take a moment to notice
                _cut_off(oldest)
            self._open[request] = time.monotonic()
        super().process_request(request, client_address)

    def close_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().close_request(request)

    def service_actions(self) -> None:
        """Cut off whoever takes too long; called between the connections, and at each poll."""
        oldest_s = time.monotonic() - self._deadline_s
        with self._lock:
            for request in [each for each, since_s in self._open.items() if since_s < oldest_s]:
                _cut_off(request)

    def cut_off_all(self) -> None:
        """Wake every thread that waits for its client."""
        with self._lock:
            for request in self._open:
                _cut_off(request)

    def handle_error(self, request: object, client_address: object) -> None:
        # A client that goes away or stays silent is its own affair.
        if not isinstance(sys.exception(), OSError):
            self._log.exception("%s", self._failure)


def _cut_off(request: socket.socket) -> None:
    try:
        request.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # gone already
