"""Logs what audit mode would deny, a few lines a second, and counts the rest."""

from __future__ import annotations

import logging
import time

from nsgd.policy.numbers import DecisionNumbers
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.denials import DenialReader

log = logging.getLogger("nsgd")

_LINES_A_SECOND = 20


class AuditLog:
    """Reads the worker's denials; there are none unless the mode is audit."""

    def __init__(self, counters: SharedCounters) -> None:
        self._reader = DenialReader(counters)
        self._next_s = 0.0

    def tick(self, numbers: DecisionNumbers) -> None:
        """Log what came since the last call, if that was a second ago."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + 1
        denials, others = self._reader.read(_LINES_A_SECOND)
        for denial in denials:
            log.warning("audit: would deny %s", denial.describe(numbers))
        if others:
            log.warning("audit: would deny %d more, not shown", others)
