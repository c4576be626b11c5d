"""The control socket: who may ask what, and that no client can harm the daemon."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import resource
import select
import socket
import stat
import struct
import tempfile
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsgd.config.problem import ConfigRefused, Problem
from nsgd.runtime.control import ControlServer
from nsgd.runtime.control_client import (
    ControlError,
    ControlErrorKind,
    DaemonProcess,
    request,
    request_parts,
)
from nsgd.runtime.control_connection import Handler, Parts
from nsgd.runtime.control_listen import MAXIMUM_CONNECTIONS, ControlSocketError
from nsgd.runtime.control_wire import Peer, listener_of
from nsgd.runtime.open_flows import RefusedByKernel
from nsgd.runtime.state import StateError

NOBODY = 65534
LARGE = {"ruleHits": [{"rule": f"rule-{number}", "hits": number} for number in range(100_000)]}
PROBLEM = Problem("a.yaml", "x", 3, "is wrong", "correct it")


def refuse(problem: Exception) -> Handler:
    """A handler that refuses."""

    def handler(arguments: dict[str, Any]) -> dict[str, Any]:
        raise problem

    return handler


HANDLERS: dict[str, Handler] = {
    "status": lambda arguments: {"state": "running"},
    "reload": refuse(ConfigRefused((PROBLEM, PROBLEM))),
    "stop": lambda arguments: {"stopping": True, "got": arguments},
}


class Clock:
    """Seconds that pass when told."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@contextlib.contextmanager
def server_at(
    path: Path,
    handlers: Mapping[str, Handler] = HANDLERS,
    clock: Clock | None = None,
    after_large: Callable[[], None] = lambda: None,
) -> Iterator[ControlServer]:
    """A server that nobody drives yet."""
    made = ControlServer(
        path, handlers, {"reload", "stop"}, clock=clock or Clock(), after_large=after_large
    )
    try:
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def driven(server: ControlServer) -> Iterator[None]:
    """A thread in the place of the daemon's loop."""
    wake_read, wake_write = os.pipe()

    def loop() -> None:
        while wake_read not in (ready := select.select([server.fileno(), wake_read], [], [])[0]):
            assert ready == [server.fileno()]
            server.handle()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        os.close(wake_write)
        thread.join()
        os.close(wake_read)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the socket goes."""
    return tmp_path / "nsgd.sock"


def connect(path: Path) -> socket.socket:
    """A client of bytes."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(5)
    made.connect(str(path))
    return made


def pump(server: ControlServer) -> None:
    """Let the server do all that it can do now."""
    for _ in range(200):
        if not select.select([server], [], [], 0)[0]:
            return
        server.handle()
    raise AssertionError("the server is never done")


def frame(value: object) -> bytes:
    """A value as a request."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return struct.pack("!I", len(body)) + body


def exchange(server: ControlServer, path: Path, data: bytes) -> Any:
    """Send bytes and return the parsed answer; None where the server just closed."""
    with connect(path) as client:
        with contextlib.suppress(BrokenPipeError):
            client.sendall(data)
        pump(server)
        client.shutdown(socket.SHUT_WR)
        pump(server)
        answer = bytearray()
        with contextlib.suppress(ConnectionResetError):
            while part := client.recv(1 << 16):
                answer += part
                pump(server)
    if not answer:
        return None
    assert struct.unpack("!I", answer[:4]) == (len(answer) - 4,)
    return json.loads(answer[4:])


# Requests and answers


def test_request_and_result(path: Path) -> None:
    """A verb reaches its handler with its arguments, and the result comes back."""
    with server_at(path) as server, driven(server):
        assert request(path, "status") == {"state": "running"}
        assert request(path, "stop") == {"stopping": True, "got": {}}
        assert request(path, "stop", removeRules=True)["got"] == {"removeRules": True}


def test_an_answer_of_megabytes(path: Path) -> None:
    """More than fits into the socket at once, for several clients."""
    with server_at(path, {"status": lambda arguments: LARGE}) as server, driven(server):
        assert request(path, "status") == LARGE
        with connect(path) as slow:
            slow.sendall(frame({"verb": "status"}))
            assert slow.recv(4)
            assert request(path, "status") == LARGE


def parts_of(made: list[int], count: int) -> Handler:
    """A handler whose answer comes in parts; *made* has those that were made."""

    def handler(arguments: dict[str, Any]) -> Parts:
        def parts() -> Parts:
            try:
                for number in range(count):
                    made.append(number)
                    yield {"part": number, "filling": "x" * 4000}
            finally:
                made.append(-1)
            return {"parts": count}

        return parts()

    return handler


def test_an_answer_in_parts(path: Path) -> None:
    """Each comes by itself, and the last one sums up; also where there is nothing but that."""
    made: list[int] = []
    handlers = {"status": parts_of(made, 3), "flows": parts_of([], 0)}
    with server_at(path, handlers) as server, driven(server):
        parts = list(request_parts(path, "status"))
        assert [part.get("part") for part in parts] == [0, 1, 2, None]
        assert parts[-1] == {"parts": 3}
        assert list(request_parts(path, "flows")) == [{"parts": 0}]
    assert made == [0, 1, 2, -1]


def test_no_part_is_made_before_the_client_has_room_for_it(path: Path) -> None:
    """A client that does not read costs one part of memory, and nobody else a wait."""
    made: list[int] = []
    handlers = {"status": parts_of(made, 100_000), "flows": parts_of([], 1)}
    with server_at(path, handlers) as server:
        with connect(path) as client:
            client.sendall(frame({"verb": "status"}))
            # As often as the loop likes: it comes to a stop, since the socket is full.
            pump(server)
            assert 1 < len(made) < 200
            at_rest = len(made)
            with connect(path) as other:
                other.sendall(frame({"verb": "flows"}))
                pump(server)
                assert other.recv(4)
            assert len(made) == at_rest
            client.recv(1 << 20)
            pump(server)
            assert at_rest < len(made) < 400
        pump(server)
        # Whoever has gone is worked for no more.
        assert made[-1] == -1
        assert len(made) < 400


def test_the_loop_goes_on_between_parts(path: Path) -> None:
    """One part for each time that the loop comes by, though there is room for all."""
    made: list[int] = []
    with server_at(path, {"status": parts_of(made, 10)}) as server, connect(path) as client:
        client.sendall(frame({"verb": "status"}))
        counts = []
        while select.select([server], [], [], 0)[0]:
            server.handle()
            counts.append(sum(number >= 0 for number in made))
        # The request brings the first one and, when that is out, the second.
        assert max(after - before for before, after in itertools.pairwise(counts)) <= 2
        assert counts[-1] == 10


class Told:
    """A stream that has what the test puts there."""

    def __init__(self) -> None:
        self.waiting: list[dict[str, Any]] = []
        self.closed = 0

    def take(self) -> dict[str, Any] | None:
        return self.waiting.pop(0) if self.waiting else None

    def close(self) -> None:
        self.closed += 1


def received(client: socket.socket) -> list[Any]:
    """Results of the frames that have come."""
    data, found = client.recv(1 << 16), []
    while data:
        (length,) = struct.unpack("!I", data[:4])
        answer = json.loads(data[4 : 4 + length])
        assert (answer["ok"], answer["more"]) == (True, True)
        found.append(answer["result"])
        data = data[4 + length :]
    return found


def test_a_stream(path: Path) -> None:
    """It begins at once, goes on with what is fed, and ends when the client leaves."""
    told = Told()
    with server_at(path, {"status": lambda arguments: told}) as server:
        with connect(path) as client:
            client.sendall(frame({"verb": "status"}))
            pump(server)
            assert received(client) == [{}]
            told.waiting += [{"part": 1}, {"part": 2}]
            server.feed()
            server.feed()
            server.feed()
            assert received(client) == [{"part": 1}, {"part": 2}]
            pump(server)
            assert told.closed == 0
        pump(server)
        assert told.closed == 1
        server.feed()


def test_a_stream_waits_for_a_reader_that_is_slow(path: Path) -> None:
    """It is asked for no more, its client is not dropped however long it takes, others go on."""
    told, clock = Told(), Clock()
    handlers: dict[str, Handler] = {"status": lambda arguments: told, "flows": parts_of([], 0)}
    with server_at(path, handlers, clock) as server, connect(path) as slow:
        slow.sendall(frame({"verb": "status"}))
        pump(server)
        told.waiting += [{"part": number, "filling": "x" * 100_000} for number in range(20)]
        for _ in range(20):
            server.feed()
            clock.now_s += 60
        left = len(told.waiting)
        assert left > 0
        assert exchange(server, path, frame({"verb": "flows"})) is not None
        received = bytearray()
        while left == len(told.waiting):
            received += slow.recv(1 << 20)
            pump(server)
            server.feed()
        assert received
        assert told.closed == 0


def test_who_is_told_has_nothing_to_say(path: Path) -> None:
    """Further bytes end the stream."""
    told = Told()
    with server_at(path, {"status": lambda arguments: told}) as server, connect(path) as client:
        client.sendall(frame({"verb": "status"}))
        pump(server)
        client.sendall(b"x")
        pump(server)
        assert told.closed == 1


def test_a_refusal_in_the_middle_of_an_answer(path: Path) -> None:
    """It ends the answer, as it would have been one."""

    def handler(arguments: dict[str, Any]) -> Parts:
        yield {"part": 0}
        raise RefusedByKernel("the kernel has had enough")

    with server_at(path, {"status": handler}) as server, driven(server):
        parts = request_parts(path, "status")
        assert next(parts) == {"part": 0}
        with pytest.raises(ControlError, match="status refused") as caught:
            next(parts)
    assert caught.value.kind is ControlErrorKind.REFUSED
    assert caught.value.problems == ("the kernel has had enough",)


def test_a_refused_reload(path: Path) -> None:
    """All problems come back."""
    with (
        server_at(path) as server,
        driven(server),
        pytest.raises(ControlError, match=r"^reload refused$") as caught,
    ):
        request(path, "reload")
    assert caught.value.kind is ControlErrorKind.REFUSED
    assert caught.value.problems == ("a.yaml:3: x: is wrong; correct it",) * 2


@pytest.mark.parametrize(
    "error", [StateError("the disk is full"), RefusedByKernel("the kernel refused the ruleset")]
)
def test_other_refusals(path: Path, error: Exception) -> None:
    """Whatever a reload may raise is a refusal with its reason."""
    with (
        server_at(path, {"reload": refuse(error)}) as server,
        driven(server),
        pytest.raises(ControlError) as caught,
    ):
        request(path, "reload")
    assert caught.value.kind is ControlErrorKind.REFUSED
    assert caught.value.problems == (str(error),)


def test_a_bug_in_a_handler_is_not_hidden(path: Path) -> None:
    """It stops the daemon, and the client learns that there is no answer."""
    with server_at(path, {"status": refuse(KeyError("bug"))}) as server, connect(path) as client:
        client.sendall(frame({"verb": "status"}))
        server.handle()
        with pytest.raises(KeyError):
            server.handle()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"", "not JSON"),
        (b"status", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 60_000, "not JSON"),
        (b"9" * 60_000, "not JSON"),
        ([], "not a JSON object"),
        ("status", "not a JSON object"),
        ({}, "the verb is none of status, reload, stop, flows"),
        ({"verb": None}, "the verb is none of"),
        ({"verb": ["status"]}, "the verb is none of"),
        ({"verb": "Status"}, "the verb is none of"),
        ({"verb": "status", "x": 1}, "status has no argument 'x'"),
        ({"verb": "status", "removeRules": True}, "status has no argument 'removeRules'"),
        ({"verb": "stop", "removeRules": 1}, "stop: removeRules is not of type bool"),
        ({"verb": "stop", "removeRules": None}, "stop: removeRules is not of type bool"),
        ({"verb": "flows", "limit": 1 << 63}, "flows: limit is too large a number"),
        ({"verb": "flows", "limit": -(10**200)}, "flows: limit is too large a number"),
    ],
)
def test_a_request_that_is_none(path: Path, value: object, text: str) -> None:
    """It is refused with the reason, and no handler is called."""
    handlers = {verb: refuse(AssertionError()) for verb in (*HANDLERS, "flows")}
    with server_at(path, handlers) as server:
        answer = exchange(server, path, frame(value))
    assert (answer["ok"], answer["code"]) == (False, "usage")
    assert text in answer["error"]


@pytest.mark.parametrize(("may_write", "bound"), [(False, 64 << 10), (True, 100_000)])
def test_the_length_of_a_request_is_bounded(
    path: Path, monkeypatch: pytest.MonkeyPatch, may_write: bool, bound: int
) -> None:
    """For who may write, documents fit; more is refused before it is read; so is a second one."""
    monkeypatch.setattr("nsgd.runtime.control.MAXIMUM_WRITE_BYTES", 100_000)
    with server_at(path) as server:
        if not may_write:
            server._writers.clear()
        request_bytes = json.dumps({"verb": "status"}).encode()
        padded = request_bytes.ljust(bound)
        assert exchange(server, path, frame(padded))["ok"] is True
        answer = exchange(server, path, struct.pack("!I", bound + 1))
        assert answer["error"] == f"a request of {bound + 1} bytes is longer than {bound}"
        answer = exchange(server, path, frame(request_bytes) + b"x")
        assert answer["error"] == "there are bytes after the request"


def test_a_request_in_pieces(path: Path) -> None:
    """Bytes may come one by one; an end before the last is no request."""
    whole = frame({"verb": "status"})
    with server_at(path) as server:
        with connect(path) as client:
            for byte in whole:
                client.sendall(bytes([byte]))
                pump(server)
            assert b"running" in client.recv(1000)
        for length in range(len(whole)):
            assert exchange(server, path, whole[:length]) is None


# Permissions


def test_mode_of_the_socket(path: Path) -> None:
    """Owner and group may connect, whatever the umask."""
    before = os.umask(0)
    try:
        with server_at(path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
    finally:
        os.umask(before)


def asked_as(uid: int, gid: int, server: ControlServer, ask: Callable[[], object]) -> str:
    """What *ask* returns or raises in a process of another user, while *server* serves."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            text = repr(ask())
        except ControlError as error:
            text = f"{error.kind.value}: {error}"
        except BaseException as error:
            text = repr(error)
        os.write(write, text.encode())
        os._exit(0)
    os.close(write)
    while read not in select.select([server.fileno(), read], [], [])[0]:
        server.handle()
    with open(read, "rb") as file:
        text = file.read().decode()
    os.waitpid(child, 0)
    return text


@pytest.mark.kernel
def test_who_may_what(caplog: pytest.LogCaptureFixture) -> None:
    """The group may read, others not even connect; only root and the daemon's user may write."""
    group = 12345
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        path = Path(directory) / "nsgd.sock"
        with server_at(path) as server:
            os.chown(path, 0, group)
            asked = partial(asked_as, server=server)
            status, stop = partial(request, path, "status"), partial(request, path, "stop")
            assert asked(NOBODY, group, ask=status) == "{'state': 'running'}"
            assert asked(NOBODY, group, ask=stop) == (
                "permission: stop is for root and the daemon's own user, not for user 65534"
            )
            assert asked(NOBODY, NOBODY, ask=status) == (
                f"permission: user 65534 may not connect to {path};"
                " be root, the daemon's user or of the socket's group"
            )
            assert asked(0, 0, ask=stop) == "{'stopping': True, 'got': {}}"
    assert "stop refused: asked by user 65534, process " in caplog.text


# Clients that misbehave


def test_a_stuck_client_is_dropped_in_time(path: Path) -> None:
    """After 5 s without a whole request, or without taking the answer; others are served."""
    clock = Clock()
    with (
        server_at(path, {"status": lambda arguments: LARGE}, clock) as server,
        connect(path) as silent,
        connect(path) as greedy,
    ):
        greedy.sendall(frame({"verb": "status"}))
        pump(server)
        clock.now_s = 4.9
        with connect(path):
            pump(server)
        silent.setblocking(False)
        with pytest.raises(BlockingIOError):
            silent.recv(1)
        clock.now_s = 5.1
        with connect(path):
            pump(server)
        assert silent.recv(1) == b""
        received = 0
        while part := greedy.recv(1 << 20):
            received += len(part)
        assert 0 < received < len(json.dumps(LARGE))


def test_a_client_is_not_late_where_the_daemon_was_busy(path: Path) -> None:
    """A long reload is no reason to drop who asked meanwhile."""
    clock = Clock()
    with server_at(path, clock=clock) as server, connect(path) as client:
        pump(server)
        client.sendall(frame({"verb": "status"}))
        clock.now_s = 60
        pump(server)
        assert b"running" in client.recv(1000)


def test_too_many_clients(path: Path) -> None:
    """Those over the limit are told so; a place that is free again is used."""
    with server_at(path) as server, contextlib.ExitStack() as held:
        for _ in range(MAXIMUM_CONNECTIONS - 1):
            held.enter_context(connect(path))
            pump(server)
        with connect(path):
            answer = exchange(server, path, frame({"verb": "status"}))
            assert answer == {
                "ok": False,
                "code": "busy",
                "error": "too many clients at once; try again",
            }
        pump(server)
        assert exchange(server, path, frame({"verb": "status"}))["ok"] is True


def test_without_descriptors(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Said once; the loop is not woken for a client that cannot be taken, who is taken later."""
    clock = Clock()
    with server_at(path, clock=clock) as server, connect(path) as client:
        client.sendall(frame({"verb": "status"}))
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest_free = os.dup(0)
        os.close(lowest_free)
        for _ in range(3):
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, before[1]))
            try:
                server.handle()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, before)
            # Not readable any more: nothing to do until it is tended.
            pump(server)
            server.tend()
            assert not select.select([server], [], [], 0)[0]
            clock.now_s += 1
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, before[1]))
            try:
                server.tend()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, before)
        assert [record.getMessage() for record in caplog.records] == [
            "control socket: no connection accepted: Too many open files"
        ]
        clock.now_s += 1
        server.tend()
        pump(server)
        assert b"running" in client.recv(1000)


def test_who_is_late_is_dropped_though_nobody_comes(path: Path) -> None:
    """A silent client holds a descriptor no longer than its time."""
    clock = Clock()
    with server_at(path, clock=clock) as server, connect(path) as client:
        pump(server)
        clock.now_s += 60
        server.tend()
        assert client.recv(10) == b""


def test_readers_leave_room_for_who_may_stop(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some connections are kept for root and the daemon's user."""
    with server_at(path) as server, contextlib.ExitStack() as held:
        monkeypatch.setattr(server, "_writers", set())
        for _ in range(MAXIMUM_CONNECTIONS):
            held.enter_context(connect(path))
            pump(server)
        assert exchange(server, path, frame({"verb": "status"}))["code"] == "busy"
        monkeypatch.setattr(server, "_writers", {os.geteuid()})
        assert exchange(server, path, frame({"verb": "stop"}))["ok"] is True


def test_a_client_that_leaves_before_its_answer(path: Path) -> None:
    """Its answer is thrown away and its descriptor closed."""
    with server_at(path, {"status": lambda arguments: LARGE}) as server:
        before = len(os.listdir("/proc/self/fd"))
        for data in (b"", frame({"verb": "status"})[:-1], frame({"verb": "status"})):
            with connect(path) as client:
                client.sendall(data)
                pump(server)
            pump(server)
        assert len(os.listdir("/proc/self/fd")) == before


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[tuple[ControlServer, Path]]:
    """One server for all examples."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "nsgd.sock"
        with server_at(path) as server:
            yield server, path


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(
    data=st.binary(max_size=200)
    | st.binary(max_size=200).map(frame)
    | JSON.map(frame)
    | st.dictionaries(
        st.sampled_from(["verb", "removeRules", "x"]), st.sampled_from([*HANDLERS, True, 1]) | JSON
    ).map(frame)
)
def test_any_bytes_do_no_harm(fuzzed: tuple[ControlServer, Path], data: bytes) -> None:
    """Nothing is raised, every answer is well formed, and the next client is served."""
    server, path = fuzzed
    answer = exchange(server, path, data)
    assert answer is None or answer["ok"] is True or answer["code"] in ("usage", "refused")
    assert exchange(server, path, frame({"verb": "status"}))["ok"] is True


# Start and end


def test_the_socket_is_gone_after_close(path: Path) -> None:
    """And another server can take the place."""
    for _ in range(2):
        with server_at(path):
            assert path.is_socket()
        assert not path.exists()


def test_a_stale_socket_is_replaced(path: Path) -> None:
    """A killed daemon leaves its file behind."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    assert path.is_socket()
    with server_at(path) as server, driven(server):
        assert request(path, "status") == {"state": "running"}


def test_a_live_daemon_is_not_replaced(path: Path) -> None:
    """The message names its process; the socket goes on."""
    with server_at(path) as server, driven(server):
        with pytest.raises(ControlSocketError) as caught:
            ControlServer(path, HANDLERS, set())
        assert str(caught.value) == (
            f"a daemon with process id {os.getpid()} uses {path.parent};"
            " stop it or choose another runtime directory"
        )
        assert request(path, "status") == {"state": "running"}


def test_a_listener_without_lock_is_not_replaced(path: Path) -> None:
    """Also a socket of another program."""
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(ControlSocketError, match=f"process id {os.getpid()} uses"):
            ControlServer(path, HANDLERS, set())
    assert path.is_socket()


def test_something_else_is_not_removed(path: Path) -> None:
    """A file of the user's is left alone."""
    path.write_text("precious")
    with pytest.raises(ControlSocketError, match="there is something that is no socket; remove it"):
        ControlServer(path, HANDLERS, set())
    assert path.read_text() == "precious"


def test_a_directory_that_cannot_be_used(tmp_path: Path) -> None:
    """Missing, or with a path that a socket's address cannot hold."""
    with pytest.raises(ControlSocketError, match=r"control socket .*: No such file or directory$"):
        ControlServer(tmp_path / "missing" / "nsgd.sock", HANDLERS, set())
    long = tmp_path / ("x" * 120)
    long.mkdir()
    with pytest.raises(ControlSocketError, match=r"control socket .*: AF_UNIX path too long$"):
        ControlServer(long / "nsgd.sock", HANDLERS, set())


def test_a_failed_start_leaves_nothing_open(path: Path) -> None:
    """The next try, in the same process, finds the lock free."""
    path.write_text("")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ControlSocketError):
        ControlServer(path, HANDLERS, set())
    assert len(os.listdir("/proc/self/fd")) == before
    path.unlink()
    with server_at(path):
        assert path.is_socket()


def test_close_leaves_another_daemons_socket(path: Path) -> None:
    """Its directory was removed and made again meanwhile."""
    with server_at(path):
        path.unlink()
        spare = path.with_name("spare")  # the first inode may be given again
        spare.touch()
        path.touch()
    assert path.exists()


# The client's errors


def test_no_daemon(path: Path) -> None:
    """No socket, or one that nobody listens on."""
    expected = f"no daemon listens at {path}; it does not run, or has another --runtime-dir"
    for _ in range(2):
        with pytest.raises(ControlError) as caught:
            request(path, "status")
        assert caught.value.kind is ControlErrorKind.UNREACHABLE
        assert str(caught.value) == expected
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as dead:
            if not path.exists():
                dead.bind(str(path))


def test_a_daemon_that_does_not_answer(path: Path) -> None:
    """The client gives up in time, also while the queue of connections is full."""
    with server_at(path), contextlib.ExitStack() as held:
        for _ in range(2):
            with pytest.raises(
                ControlError, match=r"does not answer within 0.1 s; it may"
            ) as caught:
                request(path, "status", 0.1)
            assert caught.value.kind is ControlErrorKind.NO_ANSWER
            with contextlib.suppress(BlockingIOError):
                while True:
                    client = held.enter_context(socket.socket(socket.AF_UNIX))
                    client.setblocking(False)
                    client.connect(str(path))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "went away without an answer"),
        (b"\0\0\0\5{", "went away without an answer"),
        (b"\xff\xff\xff\xff", "is no nsgd daemon"),
        (frame(b"HTTP"), "is no nsgd daemon: not JSON"),
        (frame([1]), "is no nsgd daemon: not a JSON object"),
    ],
)
def test_an_answer_that_is_none(path: Path, data: bytes, text: str) -> None:
    """Another program listens, or a daemon dies."""
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()

        def serve() -> None:
            client, _ = other.accept()
            with client:
                client.recv(1000)
                client.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(ControlError) as caught:
            request(path, "status")
        thread.join()
    assert caught.value.kind is ControlErrorKind.NO_ANSWER
    assert text in str(caught.value)


def test_who_listens(path: Path) -> None:
    """Found without asking anything, and the server forgets the visit."""
    assert listener_of(path) is None
    with server_at(path) as server:
        assert listener_of(path) == Peer(os.getpid(), os.geteuid(), os.getegid())
        pump(server)
        with DaemonProcess(path) as process:
            assert process.wait(0) is False
    with DaemonProcess(path) as process:
        assert process.wait(0) is None


@pytest.mark.parametrize("leaves", [False, True])
def test_memory_is_given_back_after_a_large_answer(path: Path, leaves: bool) -> None:
    """Once, whether or not the client has read it all; nothing of the answer is kept by then."""
    kept_bytes: list[int] = []

    def after_large() -> None:
        kept_bytes.append(tracemalloc.get_traced_memory()[0])

    def in_parts(arguments: dict[str, Any]) -> Parts:
        yield {}
        return dict(LARGE)

    handlers: dict[str, Handler] = {"status": lambda arguments: dict(LARGE), "policy": in_parts}
    tracemalloc.start()
    try:
        with server_at(path, handlers, after_large=after_large) as server:
            for number, verb in enumerate(handlers):
                with connect(path) as client:
                    client.sendall(frame({"verb": verb}))
                    pump(server)
                    assert len(kept_bytes) == number
                    while client.recv(1 << 16) and not leaves:
                        server.handle()
                pump(server)
                assert len(kept_bytes) == number + 1
    finally:
        tracemalloc.stop()
    assert max(kept_bytes) < 1 << 20


def test_small_answers_leave_nothing_to_give_back(path: Path) -> None:
    """Nor does a refusal."""
    calls: list[None] = []
    with server_at(path, after_large=lambda: calls.append(None)) as server:
        for verb in HANDLERS:
            assert exchange(server, path, frame({"verb": verb}))
    assert not calls
