"""Asks a running daemon over its control socket."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nsgd.runtime.control_wire import (
    LENGTH,
    MAXIMUM_ANSWER_BYTES,
    UsageRefused,
    listener_of,
    parse_object,
    to_frame,
)

_RETRY_S = 0.02
_CHUNK_BYTES = 1 << 20


class ControlErrorKind(Enum):
    """Why there is no result."""

    UNREACHABLE = "unreachable"  # no daemon listens
    NO_ANSWER = "noAnswer"  # one may run, but gave none
    PERMISSION = "permission"
    REFUSED = "refused"  # the daemon did not do it; problems say why
    USAGE = "usage"  # it does not know the request: another version
    BUSY = "busy"


class ControlError(Exception):
    """No result; *problems* are those of a refused reload."""

    def __init__(
        self, kind: ControlErrorKind, message: str, problems: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.problems = problems


def request(path: Path, verb: str, timeout_s: float = 10.0, **args: Any) -> dict[str, Any]:
    """Ask the daemon to do something and wait for the result.

    Args:
        path: Its control socket.
        verb: One of VERB_ARGUMENTS.
        timeout_s: For all of it, connecting included.
        args: Arguments of the verb.

    Raises:
        ControlError: There is no result.
    """
    deadline_s = time.monotonic() + timeout_s
    with _asking(path, verb, timeout_s, args) as connection:
        answer = _receive_frame(connection, path, deadline_s)
    return _result(answer)


def request_parts(
    path: Path, verb: str, timeout_s: float = 10.0, **args: Any
) -> Iterator[dict[str, Any]]:
    """Ask for an answer that comes in parts, and yield each; the last one sums up.

    *timeout_s* is for each part. Raises ControlError, also in the middle.
    """
    with _asking(path, verb, timeout_s, args) as connection:
        while True:
            answer = _receive_frame(connection, path, time.monotonic() + timeout_s)
            yield _result(answer)
            if answer.get("more") is not True:
                return


def _receive_frame(connection: socket.socket, path: Path, deadline_s: float) -> dict[str, Any]:
    (length,) = LENGTH.unpack(_receive(connection, LENGTH.size, deadline_s))
    if length > MAXIMUM_ANSWER_BYTES:
        raise _no_answer(f"what listens at {path} is no nsgd daemon")
    return parse_object(_receive(connection, length, deadline_s))


@contextmanager
def _asking(
    path: Path, verb: str, timeout_s: float, args: dict[str, Any]
) -> Iterator[socket.socket]:
    """A connection with the request sent; what goes wrong on it becomes a ControlError."""
    deadline_s = time.monotonic() + timeout_s
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            _connect(connection, path, deadline_s)
            connection.settimeout(timeout_s)
            _send(connection, to_frame({"verb": verb, **args}))
            yield connection
        except PermissionError as error:
            raise ControlError(
                ControlErrorKind.PERMISSION,
                f"user {os.geteuid()} may not connect to {path};"
                " be root, the daemon's user or of the socket's group",
            ) from error
        except TimeoutError as error:
            raise _no_answer(
                f"the daemon at {path} does not answer within {timeout_s:g} s;"
                " it may still be starting, or be busy with a reload"
            ) from error
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise ControlError(
                ControlErrorKind.UNREACHABLE,
                f"no daemon listens at {path}; it does not run, or has another --runtime-dir",
            ) from error
        except (EOFError, ConnectionError) as error:
            raise _no_answer(f"the daemon at {path} went away without an answer") from error
        except OSError as error:
            reason = error.strerror or str(error)
            raise _no_answer(f"no daemon can be reached at {path}: {reason}") from error
        except UsageRefused as error:
            raise _no_answer(f"what listens at {path} is no nsgd daemon: {error}") from error


class DaemonProcess:
    """Holds on to the process that listens, to see its end after asking for it."""

    def __init__(self, path: Path) -> None:
        self._descriptor: int | None = None
        try:
            listener = listener_of(path)
            # 0: of another pid namespace. Its end cannot be seen then.
            if listener is not None and listener.pid:
                self._descriptor = os.pidfd_open(listener.pid)
        except OSError:
            return  # the request that follows says what is wrong

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def wait(self, timeout_s: float) -> bool | None:
        """Wait for its end: False where it still runs, None where that cannot be seen."""
        if self._descriptor is None:
            return None
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000))


def _result(answer: dict[str, Any]) -> dict[str, Any]:
    result = answer.get("result")
    if answer.get("ok") is True and isinstance(result, dict):
        return result
    try:
        kind = ControlErrorKind(answer.get("code"))
    except ValueError:
        kind = ControlErrorKind.REFUSED
    problems = answer.get("problems")
    raise ControlError(
        kind,
        str(answer.get("error", "no reason given")),
        tuple(map(str, problems)) if isinstance(problems, list) else (),
    )


def _no_answer(message: str) -> ControlError:
    return ControlError(ControlErrorKind.NO_ANSWER, message)


def _connect(connection: socket.socket, path: Path, deadline_s: float) -> None:
    connection.setblocking(False)
    while True:
        try:
            connection.connect(os.fspath(path))
        except BlockingIOError:
            # The queue of new connections is full, and a Unix socket cannot wait for its turn.
            if time.monotonic() > deadline_s:
                raise TimeoutError from None
            time.sleep(_RETRY_S)
        else:
            return


def _send(connection: socket.socket, frame: bytes) -> None:
    try:
        connection.sendall(frame)
    except ConnectionError:
        return  # refused before it was read; the answer says why


def _receive(connection: socket.socket, length: int, deadline_s: float) -> bytearray:
    received = bytearray()
    while len(received) < length:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        connection.settimeout(left_s)
        data = connection.recv(min(_CHUNK_BYTES, length - len(received)))
        if not data:
            raise EOFError
        received += data
    return received
