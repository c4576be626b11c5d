"""Logs what audit mode would deny, a few lines a second, and counts the rest."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from nsgd.model.settings import Mode
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.denials import DenialReader
from nsgd.runtime.load import LoadedPolicy
from nsgd.runtime.told_denials import ToldDenials

log = logging.getLogger("nsgd")

_LINES_A_SECOND = 20


class AuditLog:
    """Reads denials of the workers, which have none unless the mode is audit, and of the kernel."""

    def __init__(self, areas: Sequence[SharedCounters], told: ToldDenials) -> None:
        self._readers = [DenialReader(counters) for counters in areas]
        self._told = told
        self._next_s = 0.0

    def tick(self, loaded: LoadedPolicy) -> None:
        """Log what came since the last call, if that was a second ago."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + 1
        denials, others = self._told.take()
        for reader in self._readers:
            read, more = reader.read(_LINES_A_SECOND)
            denials, others = denials + read, others + more
        if loaded.settings.mode is not Mode.AUDIT:
            return
        others += max(0, len(denials) - _LINES_A_SECOND)
        for denial in denials[:_LINES_A_SECOND]:
            log.warning("audit: would deny %s", denial.describe(loaded.numbers))
        if others:
            log.warning("audit: would deny %d more, not shown", others)
