"""Tells systemd how the daemon is: one datagram each, to the socket that the environment names.

Nothing here raises or blocks: a service manager that does not listen must not stop a firewall.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Self


class Notifier:
    """Sends to *address*, a path or an abstract name with '@'; does nothing where it is None."""

    def __init__(self, address: str | None, watchdog_interval_s: float | None = None) -> None:
        self._address = f"\0{address[1:]}" if address and address[0] == "@" else address
        # How often to call watchdog(): half of systemd's limit; None where it has none.
        self.watchdog_interval_s = watchdog_interval_s
        self._next_watchdog_s = 0.0
        self._unsent = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """For the process that systemd started; for its children it does nothing else."""
        address = environment.get("NOTIFY_SOCKET") or None
        # Other kinds, such as vsock:, are for virtual machines.
        if address is not None and address[0] not in "/@":
            address = None
        return cls(address, None if address is None else _watchdog_interval_s(environment))

    def ready(self, status: str = "") -> None:
        """Started, or done with a reload."""
        self._send("READY=1", status, is_kept=True)

    def reloading(self, status: str = "") -> None:
        """A reload has begun; ready() ends it, also where the documents were refused."""
        # systemd 253 and newer compares the time with that of its signal.
        state = f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"
        self._send(state, status, is_kept=True)

    @contextmanager
    def reload(self, state: Callable[[], str]) -> Iterator[None]:
        """Reloading, and then ready, with what *state* says by then."""
        self.reloading()
        try:
            yield
        finally:
            self.ready(state())

    def status(self, text: str) -> None:
        """One line for ``systemctl status``."""
        self._send("", text)

    def stopping(self, status: str = "") -> None:
        """The end has begun."""
        self._send("STOPPING=1", status, is_kept=True)

    def watchdog(self) -> None:
        """Still alive."""
        self._send("WATCHDOG=1")

    def tend(self, *, is_alive: bool) -> None:
        """Tell the watchdog that all is well, which takes a worker whose heart beats."""
        interval_s, now_s = self.watchdog_interval_s, time.monotonic()
        if interval_s is None or now_s < self._next_watchdog_s or not is_alive:
            return
        self._next_watchdog_s = now_s + min(interval_s, 1.0)
        self.watchdog()

    def _send(self, state: str, status: str = "", *, is_kept: bool = False) -> None:
        if self._address is None:
            return
        if is_kept:
            self._unsent = state
        lines = [self._unsent, "" if is_kept else state]
        lines.append(f"STATUS={' '.join(status.split())}" if status else "")
        message = "\n".join(line for line in lines if line)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto(message.encode(errors="replace"), self._address)
        except BlockingIOError:
            return  # systemd is busy: the newest state goes with the next message
        except (OSError, ValueError):
            pass  # nobody listens
        self._unsent = ""


def _watchdog_interval_s(environment: Mapping[str, str]) -> float | None:
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        limit_us = int(environment.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return limit_us / 2e6 if limit_us > 0 else None
