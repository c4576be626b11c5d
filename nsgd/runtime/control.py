"""The control socket of a running daemon: served from its loop, never waiting for a client.

Who may connect is the file's mode; verbs that change something are for root and the daemon's own
user. What arrives is untrusted bytes.
"""

from __future__ import annotations

import logging
import math
import os
import selectors
import time
from collections.abc import Callable, Collection, Generator, Mapping
from pathlib import Path
from typing import Any

from nsgd.config.problem import ConfigRefused
from nsgd.runtime.collection import give_back
from nsgd.runtime.control_connection import Connection, Handler, Parts, Stream
from nsgd.runtime.control_listen import (
    MAXIMUM_CONNECTIONS,
    ControlSocketError,
    Door,
    listen,
    lock_directory,
)
from nsgd.runtime.control_wire import (
    LENGTH,
    MAXIMUM_REQUEST_BYTES,
    MAXIMUM_WRITE_BYTES,
    VERB_ARGUMENTS,
    Peer,
    UsageRefused,
    check_request,
    parse_object,
)
from nsgd.runtime.open_flows import RefusedByKernel
from nsgd.runtime.state import StateError
from nsgd.runtime.worker_process import WorkerError

log = logging.getLogger("nsgd")

# What a handler may raise to refuse; anything else is a bug and stops the daemon.
REFUSALS = (ConfigRefused, StateError, RefusedByKernel, WorkerError)
# Kept for those who may write: others cannot keep them from stopping the daemon.
_RESERVED_CONNECTIONS = 8
TIMEOUT_S = 5.0
_CHUNK_BYTES = 1 << 20
# The C library keeps what such an answer was made of: 9 MiB for the status of 20 000 rules.
_LARGE_ANSWER_BYTES = 1 << 20


class ControlServer:
    """Listens in a directory that it locks for the daemon's life."""

    def __init__(
        self,
        path: Path,
        handlers: Mapping[str, Handler],
        write_verbs: Collection[str],
        *,
        clock: Callable[[], float] = time.monotonic,
        after_large: Callable[[], None] = give_back,
    ) -> None:
        """Take the place of a dead daemon's socket, but not of a live one's.

        Args:
            path: The socket, in an existing directory.
            handlers: Called with a verb's arguments; a result, or an exception of REFUSALS.
            write_verbs: Verbs that only root and the daemon's own user may use.
            clock: Monotonic seconds.
            after_large: Called once a large answer, or a large part of one, has gone.

        Raises:
            ControlSocketError: A daemon runs there, or the place cannot be used.
        """
        self._path = path
        self._handlers = handlers
        self._verbs = {verb: VERB_ARGUMENTS.get(verb, {}) for verb in handlers}
        self._write_verbs = frozenset(write_verbs)
        self._clock = clock
        self._after_large = after_large
        self._has_sent_much = False
        self._writers = {0, os.geteuid()}
        self._connections: set[Connection] = set()
        try:
            self._lock = lock_directory(path)
            try:
                listener = listen(path)
            except BaseException:
                os.close(self._lock)
                raise
        except ControlSocketError:
            raise
        except OSError as error:
            reason = error.strerror or str(error)
            raise ControlSocketError(f"control socket {path}: {reason}") from error
        self._inode = path.lstat().st_ino
        # A selector's own descriptor is readable when one of its descriptors is ready.
        self._selector = selectors.EpollSelector()
        self._door = Door(listener, self._selector, clock)

    def fileno(self) -> int:
        """Readable when there is something to handle."""
        return self._selector.fileno()

    def handle(self) -> None:
        """Do what can be done now; called when fileno() is readable."""
        # Before the events: a client whose bytes waited while the loop was busy is not late.
        now_s = self._clock()
        ready = [key.data for key, _ in self._selector.select(0)]
        for connection in ready:
            if connection is not None:
                self._advance(connection)
        for connection in [c for c in self._connections if c.deadline_s < now_s]:
            self._drop(connection)
        if None in ready:
            self._accept()
        if self._has_sent_much:
            # Here, where nothing refers to the answer any more.
            self._has_sent_much = False
            self._after_large()

    def feed(self) -> None:
        """Send those whose answer is a stream what has come for them; called from the loop.

        A client that has not read the part before is passed over: its stream keeps, or loses.
        """
        for connection in list(self._connections):
            if connection.stream is not None and connection.unsent is None:
                part = connection.stream.take()
                if part is not None:
                    self._answer(connection, {"ok": True, "result": part, "more": True})

    def tend(self) -> None:
        """Listen again after a pause, and drop who is late; called at least once a second."""
        self._door.tend()
        self.handle()

    def close(self) -> None:
        """Leave; the socket's file goes too, unless it is another's by now."""
        for connection in list(self._connections):
            self._drop(connection)
        self._selector.close()
        try:
            if self._path.lstat().st_ino == self._inode:
                self._path.unlink()
        except OSError as error:
            log.warning("control socket %s is not removed: %s", self._path, error.strerror)
        self._door.close()
        os.close(self._lock)

    def _accept(self) -> None:
        end = self._door.accept()
        if end is None:
            return
        connection = Connection(end, Peer.of(end), self._clock() + TIMEOUT_S)
        self._connections.add(connection)
        self._selector.register(end, selectors.EVENT_READ, connection)
        limit = MAXIMUM_CONNECTIONS
        if connection.peer.uid not in self._writers:
            limit -= _RESERVED_CONNECTIONS
        if len(self._connections) > limit:
            self._answer(connection, _refusal("busy", "too many clients at once; try again"))
            self._drop(connection)

    def _advance(self, connection: Connection) -> None:
        try:
            if connection.unsent is None and connection.stream is not None:
                # Whoever is told has nothing to say: gone, or no client of ours.
                connection.socket.recv(1)
                self._drop(connection)
            elif connection.unsent is None:
                self._receive(connection)
            else:
                self._send(connection)
        except BlockingIOError:
            return
        except OSError:
            self._drop(connection)

    def _receive(self, connection: Connection) -> None:
        received = connection.received
        may_write = connection.peer.uid in self._writers
        limit = MAXIMUM_WRITE_BYTES if may_write else MAXIMUM_REQUEST_BYTES
        wanted = LENGTH.size + limit + 1 - len(received)
        data = connection.socket.recv(min(wanted, _CHUNK_BYTES))
        if not data:
            self._drop(connection)
            return
        received += data
        if len(received) < LENGTH.size:
            return
        (length,) = LENGTH.unpack_from(received)
        if length > limit:
            text = f"a request of {length} bytes is longer than {limit}"
            self._answer(connection, _refusal("usage", text))
        elif len(received) > LENGTH.size + length:
            self._answer(connection, _refusal("usage", "there are bytes after the request"))
        elif len(received) == LENGTH.size + length:
            self._answer(connection, self._result(connection, received[LENGTH.size :]))

    def _result(self, connection: Connection, body: bytearray) -> dict[str, Any]:
        peer = connection.peer
        try:
            verb, arguments = check_request(parse_object(body), self._verbs)
        except UsageRefused as refused:
            return _refusal("usage", str(refused))
        connection.verb = verb
        if verb in self._write_verbs and peer.uid not in self._writers:
            log.warning("%s refused: asked by user %d, process %d", verb, peer.uid, peer.pid)
            text = f"{verb} is for root and the daemon's own user, not for user {peer.uid}"
            return _refusal("permission", text)
        return self._frame_of(connection, lambda: self._handlers[verb](arguments))

    def _frame_of(
        self, connection: Connection, make: Callable[[], dict[str, Any] | Parts | Stream]
    ) -> dict[str, Any]:
        """The frame of a result, of the next part of one, or of a refusal."""
        verb, connection.parts = connection.verb, None
        try:
            result = make()
            if isinstance(result, dict):
                return {"ok": True, "result": result}
            if not isinstance(result, Generator):
                connection.stream = result
                # The client hears that it is being told, whatever there is to say.
                return {"ok": True, "result": result.take() or {}, "more": True}
            try:
                part = next(result)
            except StopIteration as end:
                return {"ok": True, "result": end.value}
            connection.parts = result
            return {"ok": True, "result": part, "more": True}
        except UsageRefused as usage:
            return _refusal("usage", f"{verb}: {usage}")
        except ConfigRefused as refused:
            problems = [str(problem) for problem in refused.problems]
            return _refusal("refused", f"{verb} refused") | {"problems": problems}
        except REFUSALS as refused:
            return _refusal("refused", f"{verb} refused") | {"problems": [str(refused)]}

    def _answer(self, connection: Connection, answer: Mapping[str, Any]) -> None:
        connection.to_send(answer)
        self._selector.modify(connection.socket, selectors.EVENT_WRITE, connection)
        # At once: a small answer is then on its way before the daemon stops.
        self._advance(connection)

    def _send(self, connection: Connection) -> None:
        assert connection.unsent is not None
        is_stream = connection.stream is not None
        connection.deadline_s = math.inf if is_stream else self._clock() + TIMEOUT_S
        while connection.unsent:
            connection.unsent = connection.unsent[connection.socket.send(connection.unsent) :]
        parts = connection.parts
        if is_stream:
            # A reader that is slow loses what it does not read, and not its place.
            connection.unsent = None
            self._selector.modify(connection.socket, selectors.EVENT_READ, connection)
        elif parts is None:
            self._drop(connection)
        else:
            # One at a time: it goes out when the loop comes by again.
            connection.to_send(self._frame_of(connection, lambda: parts))

    def _drop(self, connection: Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
            if connection.parts is not None:
                connection.parts.close()
            if connection.stream is not None:
                connection.stream.close()
            self._selector.unregister(connection.socket)
            connection.socket.close()
            connection.unsent = None
            self._has_sent_much |= connection.longest >= _LARGE_ANSWER_BYTES


def _refusal(code: str, text: str) -> dict[str, Any]:
    return {"ok": False, "code": code, "error": text}
