"""A real HTTPS server on this host, with a certificate made for the test."""

from __future__ import annotations

import contextlib
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


class Server:
    """Answers by path; *asked* are the paths that were asked for."""

    def __init__(self, directory: Path) -> None:
        self.answers: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.announced: dict[str, int] = {}  # lengths that are not the answer's
        self.pauses_s: dict[str, float] = {}  # before each byte
        self.asked: list[str] = []
        certificate, key = make_certificate(directory)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.trusting = ssl.create_default_context(cafile=str(certificate))
        self.certificate = certificate
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer._answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False  # close() then waits for them
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://localhost:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path
        self.asked.append(path)
        if path in self.redirects:
            handler.send_response(302)
            handler.send_header("Location", self.redirects[path])
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        if path not in self.answers:
            handler.send_error(404)
            return
        body = self.answers[path]
        handler.send_response(200)
        length = self.announced.get(path, len(body))
        if length >= 0:
            handler.send_header("Content-Length", str(length))
        handler.end_headers()
        pause_s = self.pauses_s.get(path)
        # A client that has seen enough closes.
        with contextlib.suppress(OSError):
            if pause_s is None:
                handler.wfile.write(body)
                return
            for byte in body:
                handler.wfile.write(bytes([byte]))
                if self._closing.wait(pause_s):
                    return

    def close(self) -> None:
        """End every thread: other tests count those that are left."""
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is missing")
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


@contextlib.contextmanager
def running(directory: Path) -> Iterator[Server]:
    """A server that is gone afterwards."""
    server = Server(directory)
    try:
        yield server
    finally:
        server.close()
