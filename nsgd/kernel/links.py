"""Notices that links or routes of this network namespace changed."""

from __future__ import annotations

import errno
import socket

# Groups of links, IPv4 routes and IPv6 routes.
_GROUPS = 0x1 | 0x40 | 0x400


class LinkMonitor:
    """A descriptor that becomes readable at a change; what changed is not looked at."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
        self._socket.bind((0, _GROUPS))

    def fileno(self) -> int:
        """For a selector."""
        return self._socket.fileno()

    def drain(self) -> None:
        """Read all notifications; an overflow is a change as well."""
        while True:
            try:
                self._socket.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()
