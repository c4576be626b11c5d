"""Takes the place of the control socket: one daemon at a time, in a directory that it locks."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from pathlib import Path

from nsgd.runtime.control_wire import Peer, listener_of

SOCKET_MODE = 0o660
MAXIMUM_CONNECTIONS = 32


class ControlSocketError(OSError):
    """The socket cannot be had; the text says why and what to do."""


def lock_directory(path: Path) -> int:
    """A lock that the kernel gives up when the daemon dies, so two cannot start at once."""
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise _already_running(path, listener_of(path)) from error
    return descriptor


def listen(path: Path) -> socket.socket:
    """The listening socket, in the place of a dead daemon's. Raises ControlSocketError, OSError."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        pass
    else:
        if not stat.S_ISSOCK(found.st_mode):
            raise ControlSocketError(
                f"control socket {path}: there is something that is no socket;"
                " remove it or choose another runtime directory"
            )
        listener = listener_of(path)
        if listener is not None:
            raise _already_running(path, listener)
        path.unlink()
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.bind(os.fspath(path))
        # Before it listens, so nobody gets in by a looser mode.
        path.chmod(SOCKET_MODE)
        made.listen(MAXIMUM_CONNECTIONS)
    except BaseException:
        made.close()
        raise
    return made


def _already_running(path: Path, listener: Peer | None) -> ControlSocketError:
    who = "another daemon" if listener is None else f"a daemon with process id {listener.pid}"
    return ControlSocketError(
        f"{who} uses {path.parent}; stop it or choose another runtime directory"
    )
