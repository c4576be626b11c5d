"""Takes the place of the control socket: one daemon at a time, in a directory that it locks."""

from __future__ import annotations

import fcntl
import logging
import os
import selectors
import socket
import stat
from collections.abc import Callable
from pathlib import Path

from nsgd.runtime.control_wire import Peer, listener_of

SOCKET_MODE = 0o660
MAXIMUM_CONNECTIONS = 32


log = logging.getLogger("nsgd")

_DEAF_S = 1.0


class Door:
    """Lets clients in, by a selector that is to be readable only where one can be let in."""

    def __init__(
        self,
        listener: socket.socket,
        selector: selectors.BaseSelector,
        clock: Callable[[], float],
    ) -> None:
        self._listener, self._selector, self._clock = listener, selector, clock
        self._deaf_until_s: float | None = None
        self._is_told = False
        selector.register(listener, selectors.EVENT_READ)

    def accept(self) -> socket.socket | None:
        """The next client, whose socket does not block; None where there is none, or no room."""
        try:
            end, _ = self._listener.accept()
        except BlockingIOError:
            return None
        except OSError as error:
            # Without descriptors, as a rule. The client stays there, and would wake the loop again
            # and again.
            self._selector.unregister(self._listener)
            self._deaf_until_s = self._clock() + _DEAF_S
            if not self._is_told:
                log.error("control socket: no connection accepted: %s", error.strerror)
            self._is_told = True
            return None
        self._is_told = False
        end.setblocking(False)
        return end

    def tend(self) -> None:
        """Listen again after a pause."""
        if self._deaf_until_s is not None and self._clock() >= self._deaf_until_s:
            self._deaf_until_s = None
            self._selector.register(self._listener, selectors.EVENT_READ)

    def close(self) -> None:
        """Let nobody in any more."""
        self._listener.close()


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
