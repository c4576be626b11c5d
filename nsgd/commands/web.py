"""The verb that serves the web page of a running daemon."""

from __future__ import annotations

import argparse
import ipaddress
import logging
import re
import signal
import sys
import threading
from pathlib import Path

from nsgd.commands.common import (
    EXIT_FAILED,
    EXIT_OK,
    EXIT_USAGE,
    AddVerb,
    add_runtime_dir,
    fail,
)
from nsgd.runtime.control_wire import SOCKET_NAME

DEFAULT_LISTEN = "127.0.0.1:9481"
_LISTEN = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[^:\[\]]+)):(?P<port>[0-9]{1,5})")


def add_verbs(verb: AddVerb) -> None:
    """Add the verb and its options."""
    web = verb("web", _web, "serve a read-only web page of the running daemon")
    web.add_argument(
        "--listen",
        metavar="ADDRESS:PORT|PATH",
        default=DEFAULT_LISTEN,
        help="where to serve it; whoever reaches it sees the policy (%(default)s); a path is a"
        " socket for its user and group alone",
    )
    web.add_argument(
        "--server-name",
        metavar="NAME",
        action="append",
        default=[],
        help="a name by which browsers call it, as behind a proxy; localhost needs none",
    )
    add_runtime_dir(web)


def _web(args: argparse.Namespace) -> int:
    from nsgd.web.app import Application
    from nsgd.web.server import WebServer, is_loopback
    from nsgd.web.source import ControlSource

    listen = _read_listen(args.listen)
    if listen is None:
        text = f"--listen {args.listen}: write {DEFAULT_LISTEN}, [::1]:9481, or /a/path"
        return fail(text, EXIT_USAGE)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    application = Application(ControlSource(args.runtime_dir / SOCKET_NAME))
    try:
        server = WebServer(listen, application, args.server_name)
    except OSError as error:
        reason = error.strerror or str(error)
        return fail(f"--listen {args.listen}: {reason}; choose another one", EXIT_FAILED)
    if not isinstance(listen, Path) and not is_loopback(listen[0]):
        print(
            f"warning: whoever reaches {args.listen} sees the policy, without a password and"
            " without encryption; put a proxy with both before it",
            file=sys.stderr,
        )

    def stop(number: int, frame: object) -> None:
        # Not from this thread, which serves: shutdown() waits for it.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    # Whoever reads this may end it at once.
    print(f"nsgd web at {_shown(listen, server.port)}", flush=True)
    with server:
        server.serve()
    return EXIT_OK


def _shown(listen: tuple[str, int] | Path, port: int) -> str:
    if isinstance(listen, Path):
        return str(listen)
    host = f"[{listen[0]}]" if ":" in listen[0] else listen[0]
    return f"http://{host}:{port}/"


def _read_listen(text: str) -> tuple[str, int] | Path | None:
    if text.startswith("/"):
        return Path(text)
    match = _LISTEN.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        return None
    host = match["v6"] or match["v4"]
    try:
        if ipaddress.ip_address(host).version != (6 if match["v6"] else 4):
            return None
    except ValueError:
        return None
    return host, int(match["port"])
