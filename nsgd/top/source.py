"""Readings of a running daemon, one after the other, in a thread that may wait for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nsgd.runtime.control_client import ControlError, request
from nsgd.top.view import Reading

# Longer than the daemon is away from its socket, but for a reload.
_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Source:
    """Where readings come from."""

    path: Path  # the control socket
    meant: Mapping[str, Any]  # filters of denials
    # The groups, in lower case, that a network interface is under, by the policy in force; None
    # where none is asked for.
    groups_of_nic: Callable[[], frozenset[str]] | None = None

    def read(self) -> Reading:
        """One reading. Raises ControlError; what groups_of_nic raises."""
        status = request(self.path, "status", _TIMEOUT_S)
        denials = request(self.path, "denials", _TIMEOUT_S, **self.meant)
        groups = None if self.groups_of_nic is None else self.groups_of_nic()
        return Reading(status, denials, time.monotonic(), time.time(), groups)


class Reader:
    """Reads each interval until it is stopped, and says when there is something new."""

    def __init__(
        self, source: Source, interval_s: float, news: Callable[[Reading | Exception], None]
    ) -> None:
        """*news* is called in the reader's thread, with a reading or with why there is none."""
        self.interval_s = interval_s
        self._source = source
        self._news = news
        self._wake = threading.Event()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, without waiting for an answer that is under way."""
        self._is_stopping = True
        self._wake.set()

    def _run(self) -> None:
        while not self._is_stopping:
            began_s = time.monotonic()
            try:
                self._news(self._source.read())
            except Exception as error:
                # Whatever it is, the one who looks at the screen must see it.
                self._news(error)
                if not isinstance(error, ControlError):
                    return
            self._wake.wait(max(0.0, began_s + self.interval_s - time.monotonic()))
