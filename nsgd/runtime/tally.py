"""How often something happened, in all and in the last ten minutes, in few cells."""

from __future__ import annotations

from collections import deque

MINUTES = 10


class Tally:
    """Counts by the minute, and forgets minutes that are past."""

    __slots__ = ("_minutes", "total")

    def __init__(self) -> None:
        self.total = 0
        self._minutes: deque[list[int]] = deque(maxlen=MINUTES)  # minute of unix time, count

    def add(self, time_ms: int) -> None:
        """Once more, at a unix time."""
        self.total += 1
        minute = time_ms // 60_000
        # What comes late, or before the clock was set back, counts for the newest minute.
        if self._minutes and minute <= self._minutes[-1][0]:
            self._minutes[-1][1] += 1
        else:
            self._minutes.append([minute, 1])

    def lately(self, now_ms: int) -> int:
        """How often in this minute and the nine before it."""
        first = now_ms // 60_000 - MINUTES + 1
        return sum(count for minute, count in self._minutes if minute >= first)
