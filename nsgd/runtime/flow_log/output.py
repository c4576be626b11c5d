"""Where records go, as the buffer sees it: units that are written whole, or not yet."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from nsgd.flowlog.entry import Entry


class MaxBytesReached(Exception):
    """There is no older file to remove: what is new is not written, and never will be."""


@dataclass(slots=True)
class Unit:
    """Encoded records that go to one place together."""

    place: tuple[str, str, int]  # what the output makes of it
    content: bytes
    records: int


class Output(Protocol):
    """Files or a pipe. Nothing waits for whoever reads them."""

    def units(self, entries: Iterable[Entry], now_ms: int) -> Iterable[Unit]:
        """Encode the records of entries."""

    def write(self, unit: Unit, now_s: float) -> None:
        """Write a unit.

        Raises:
            OSError: The unit is to be written later; what of it was written is gone from it.
            MaxBytesReached: It is not to be written at all.
        """

    def tidy(self, now_s: float) -> None:
        """Remove what is older than it may be. Raises OSError."""

    def close(self) -> None:
        """Let go of files and locks."""


def lock(descriptor: int, path: object) -> None:
    """Keep other processes of this kind from writing there. Raises OSError.

    A daemon that was killed may leave one for a moment, which still writes what it has.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OSError(errno.EBUSY, "another process writes a flow log there", str(path)) from None
