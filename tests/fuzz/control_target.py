"""Any bytes over the control socket: requests to a real server, and answers to a real client.

Whatever comes, the server answers with one frame, or closes, and goes on; a refusal is one of those
that are documented, a log line can be printed, and no connection is left. The client has a result
or raises ControlError. Handlers are the daemon's own where they read arguments; what is behind
them, the supervisor and the kernel, is stood in for.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import socket
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from nsgd.config.document import Document, Role
from nsgd.config.load import load_documents
from nsgd.config.problem import ConfigRefused
from nsgd.model.address import IP_VERSIONS, Address
from nsgd.model.rule import Access, Direction
from nsgd.model.settings import DaemonSettings
from nsgd.policy.numbers import DecisionNumbers
from nsgd.ruleset.marks import FIRST_RULE_NUMBER, NO_TABLE, MarkLayout
from nsgd.runtime import control_client
from nsgd.runtime.control import ControlServer
from nsgd.runtime.control_connection import Handler, Parts
from nsgd.runtime.control_wire import (
    LENGTH,
    SOCKET_NAME,
    UsageRefused,
    parse_object,
)
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.denials import DenialWriter
from nsgd.runtime.flow_list import FlowLister
from nsgd.runtime.load import LoadedPolicy, load_policy
from nsgd.runtime.loop import Loop
from nsgd.runtime.open_flows import OpenFlows
from nsgd.runtime.packed_documents import pack_documents
from nsgd.runtime.recent_denials import RecentDenials
from nsgd.runtime.standing_documents import StandingDocuments
from nsgd.runtime.told import Told
from nsgd.runtime.trial import Trial
from nsgd.wire.conntrack import ConntrackEntry, parse_entry
from nsgd.wire.flow_events import FlowSeen
from tests.fuzz import netlink_target
from tests.fuzz.control_requests import CONTENT, Bytes, drawn_request

LONGEST_BYTES = 8192
_CODES = {"usage", "permission", "refused", "busy"}
WRITE_VERBS = {"reload", "stop", "apply", "confirm", "cutFlows"}


@cache
def _decided() -> list[tuple[ConntrackEntry, bytes]]:
    """Flows of both families, by the first rule that has a number."""
    layout = MarkLayout(DaemonSettings().mark_mask)
    mark = layout.outbound(NO_TABLE) | layout.inbound(FIRST_RULE_NUMBER)
    found = []
    for body in netlink_target.flow_bodies():
        for version in IP_VERSIONS:
            entry = parse_entry(version, body)
            if entry is not None:
                found.append((ConntrackEntry(entry.header, mark, entry.key), body))
    return found


class _Begins:
    """Events of new flows, the same at each step."""

    lost = 0

    def read(self, most: int) -> Sequence[tuple[bool, FlowSeen]]:
        self.lost += 1
        return [
            (False, FlowSeen(entry.key, 1, entry.header, entry.mark, None, 10**12, 10**12))
            for entry, _ in _decided()
        ]

    def close(self) -> None:
        return


class _Table:
    """A connection table of a few flows, all of them decided by the first rule."""

    def __init__(self) -> None:
        self._entries = _decided()

    def pages(self) -> Iterator[list[tuple[ConntrackEntry, bytes]]]:
        yield self._entries
        yield []

    def entries(self) -> list[ConntrackEntry]:
        return [entry for entry, _ in self._entries]

    def own_addresses(self) -> frozenset[Address]:
        return frozenset()

    def set_marks(self, entries: Iterable[ConntrackEntry], mark: int, mask: int) -> int:
        return len(list(entries))


class _Changes:
    """A supervisor that loads documents, and puts none in force."""

    def __init__(self, loaded: LoadedPolicy) -> None:
        self._loaded = loaded

    def in_force(self) -> LoadedPolicy:
        return self._loaded

    def bring_into_force(self, documents: Sequence[Document], *, reevaluate: bool) -> int:
        load_documents(documents)
        return 2

    def go_back(self, before: LoadedPolicy, *, reevaluate: bool) -> int:
        return 3


class _Standing(StandingDocuments):
    """Keeps nothing: a write to the disk each time would be all that is measured."""

    def __init__(self) -> None:
        super().__init__([], [], Path("/nonexistent"))

    def read(self) -> None:
        return None

    def keep(self, documents: Sequence[Document], *, is_unconfirmed: bool = False) -> bool:
        json.dumps(pack_documents(documents)).encode()
        return True

    def put_back(self, kept: object) -> None:
        return

    def settle(self, documents: Sequence[Document]) -> bool:
        return False


class _Printed(logging.Handler):
    """Fails where a line of the log could not be printed, or would be two."""

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if not line.isprintable():
            raise AssertionError(f"not printable: {line!r}")


@contextlib.contextmanager
def _log_looked_at() -> Iterator[None]:
    logger, handler = logging.getLogger("nsgd"), _Printed()
    former = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.setLevel(former)
        logger.removeHandler(handler)


class _Daemon:
    """The server with its handlers, and a client's end."""

    def __init__(self, directory: Path) -> None:
        path = directory / "policy.json"
        path.write_bytes(CONTENT)
        loaded = load_policy([path], DecisionNumbers(), None)
        table = _Table()
        open_flows = OpenFlows(table, directory)
        lister = FlowLister(table, open_flows, lambda: loaded)
        counters = SharedCounters.create(64)
        told = Told(Loop(), lambda group: None, directory)
        told.begin([counters])
        told.recent = RecentDenials([counters], told.denials, most=20)
        told.let_monitor(lambda: loaded, _Begins, lambda: 3, lambda: None)
        self._told, self._denials = told, DenialWriter(counters)
        inbound = loaded.numbers.by_direction[Direction.INBOUND]
        self._denying = inbound["web", "DenyAllInBound", Access.DENY]
        trial = Trial(_Changes(loaded), _Standing())
        handlers: dict[str, Handler] = {
            "status": lambda arguments: {"state": "running"},
            "policy": lambda arguments: {"documents": pack_documents(loaded.documents)},
            "reload": _refuse,
            "stop": lambda arguments: {"rules": "stay"},
            "apply": trial.apply,
            "confirm": trial.confirm,
            "flows": lister.list_flows,
            "cutFlows": lister.cut_flows,
            "monitor": told.monitor,
            "denials": lambda arguments: told.list_denials(arguments, loaded),
        }
        self.path = directory / SOCKET_NAME
        self.server = ControlServer(self.path, handlers, WRITE_VERBS)

    def ask(self, data: bytes, cut: int) -> bytes:
        """Send bytes, in two parts, and return all that comes back."""
        with _log_looked_at():
            return self._ask(data, cut)

    def _ask(self, data: bytes, cut: int) -> bytes:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.connect(str(self.path))
            client.setblocking(False)
            for part in (data[:cut], data[cut:]):
                unsent = memoryview(part)
                with contextlib.suppress(ConnectionError):
                    while unsent:
                        with contextlib.suppress(BlockingIOError):
                            unsent = unsent[client.send(unsent) :]
                        self.server.handle()
                self.server.handle()
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_WR)
            answer = bytearray()
            self._happen()
            for _ in range(100):
                self.server.handle()
                try:
                    while received := client.recv(1 << 16):
                        answer += received
                except BlockingIOError:
                    continue
                except ConnectionError:
                    pass
                break
            else:
                raise AssertionError(f"never done: {answer!r}")
        self.server.handle()
        if self.server._connections:
            raise AssertionError("a connection is left")
        return bytes(answer)

    def _happen(self) -> None:
        """For those who listen: flows begin, and one is denied."""
        for entry, _ in _decided():
            self._denials.write(entry.header, Direction.INBOUND, self._denying)
        assert self._told.monitors is not None
        self._told.monitors._step()
        self.server.feed()


def _refuse(arguments: dict[str, Any]) -> dict[str, Any] | Parts:
    raise ConfigRefused(())


@cache
def _daemon() -> _Daemon:
    # For the process' life, as the daemon's.
    directory = tempfile.TemporaryDirectory(prefix="nsgd-fuzz-")
    atexit.register(directory.cleanup)
    return _Daemon(Path(directory.name))


def test_one_input(data: bytes) -> None:
    """The first byte says what the rest is: an answer, a request's bytes, or its JSON."""
    if len(data) < 2:
        return
    kind, cut, body = data[0] % 5, data[1], data[2:]
    if kind == 0:
        _read_answer(body)
    elif kind == 1:
        _check(_daemon().ask(body, cut))
    else:
        if kind == 3:
            body = _repeated(body)
        elif kind == 4:
            body = json.dumps(drawn_request(Bytes(body))).encode()
        _check(_daemon().ask(LENGTH.pack(len(body)) + body, cut))


def _repeated(body: bytes) -> bytes:
    """Long values and deep ones, from few bytes: what follows a \\x01 comes 5000 times."""
    parts = body.split(b"\x01")
    return parts[0] + b"".join(part[:1] * 5000 + part[1:] for part in parts[1:10])


def _check(answer: bytes) -> None:
    """Frames that a client can read; refusals that are documented."""
    offset = 0
    while offset < len(answer):
        (length,) = LENGTH.unpack_from(answer, offset)
        value = parse_object(answer[offset + LENGTH.size : offset + LENGTH.size + length])
        offset += LENGTH.size + length
        if value["ok"] is False and value["code"] not in _CODES:
            raise AssertionError(f"no documented refusal: {value}")
    if offset != len(answer):
        raise AssertionError(f"half a frame: {answer!r}")


def _read_answer(body: bytes) -> None:
    """What a client makes of bytes that something else than nsgd may have sent."""
    client, other = socket.socketpair()
    with client, other:
        other.sendall(body)
        other.close()
        try:
            answer = control_client._receive_frame(client, Path("somewhere"), time.monotonic() + 5)
            control_client._result(answer)
        except (control_client.ControlError, EOFError, UsageRefused):
            return


def seeds() -> Iterator[bytes]:
    """A request of each verb with each argument, some that are none, and answers."""
    document = pack_documents([Document("new.json", CONTENT, Role.POLICY)])
    requests: list[dict[str, Any]] = [
        {"verb": "status"},
        {"verb": "policy"},
        {"verb": "reload", "reevaluate": True},
        {"verb": "stop", "removeRules": False},
        {"verb": "apply", "documents": document, "confirmSeconds": 60, "reevaluate": False},
        {"verb": "apply", "documents": [{"name": 1, "content": "x", "role": []}]},
        {"verb": "apply", "documents": document},
        {"verb": "confirm", "revert": True},
        {"verb": "confirm", "revert": False},
        {"verb": "flows"},
        {"verb": "flows", "nsg": "web", "rule": "AllowVnetInBound", "direction": "Inbound"},
        {"verb": "flows", "source": "10.0.1.0/24", "destination": "198.51.100.9", "limit": 1},
        {"verb": "flows", "port": 80, "protocol": "Tcp", "nic": "server"},
        {"verb": "flows", "protocol": "47"},
        {"verb": "cutFlows", "all": True},
        {"verb": "cutFlows", "nsg": "web", "port": 53},
        {"verb": "denials", "limit": 2, "after": 1, "direction": "Inbound"},
        {"verb": "denials", "source": "198.51.100.0/24", "nsg": "web"},
        {"verb": "monitor"},
        {"verb": "monitor", "access": "Deny", "protocol": "Udp", "port": 53},
        {"verb": "monitor", "access": "perhaps"},
        {"verb": "fly"},
    ]
    for request in requests:
        body = json.dumps(request).encode()
        yield b"\2\0" + body
        yield b"\1\3" + LENGTH.pack(len(body)) + body
    yield b"\3\0" + b'{"verb":"flows","protocol":"\0019"}'
    yield b"\3\0" + b'{"verb":"flows","port":\0019}'
    yield b"\3\0" + b"\1[\1]"
    for first in range(8):
        for second in range(16):
            yield b"\4\0" + bytes([first, *[second, 7, 3] * 20]) + b"web\xff{}" * 4
    for answer in (
        {"ok": True, "result": {"generation": 1}},
        {"ok": True, "result": {"flows": []}, "more": True},
        {"ok": False, "code": "refused", "error": "reload refused", "problems": ["a", "b"]},
        {"ok": False, "code": [], "error": None, "problems": {}},
    ):
        body = json.dumps(answer).encode()
        yield b"\0\0" + LENGTH.pack(len(body)) + body
