"""Records between being made and being written: bounded, tried again, and counted."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable

from nsgd.flowlog.entry import Entry
from nsgd.runtime.flow_log.cells import LAST_WRITE_S, PENDING, RESULTS, FlowLogCells, Result
from nsgd.runtime.flow_log.giving_way import GivingWay
from nsgd.runtime.flow_log.output import MaxBytesReached, Output, Unit

MOST_RECORDS = 400_000  # that are not encoded, of some 250 bytes each; more are encoded at once
MOST_BYTES = 64 << 20  # encoded, of units that could not be written
UNITS_A_STEP = 64
# Between which others go first: some 50 us each.
_ENTRIES_AT_ONCE, _UNITS_AT_ONCE = 16, 2
_MOST_FAILURES = 3  # one after the other: the rest would most likely fail too
_NO_READER = (errno.ENXIO, errno.EPIPE, errno.EAGAIN)


class Buffer:
    """What waits to be written."""

    def __init__(
        self,
        counts: FlowLogCells,
        tell: Callable[[str], None],
        way: GivingWay,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """Count in *counts*, and *tell* of files that cannot be written, once each time."""
        self._cells = counts.cells
        self._tell = tell
        self._most_bytes = most_bytes
        self._between = way.between
        self._entries: list[Entry] = []
        self._records = 0  # of these
        self._due: deque[Unit] = deque()  # to be tried in this flush
        self._failed: list[Unit] = []  # to be tried in the next one
        self._bytes = self._encoded = 0  # of both
        self._failures = 0  # of this flush, one after the other
        self._is_failing = False

    @property
    def is_full(self) -> bool:
        """Tell whether records should be encoded before more come."""
        return self._records >= MOST_RECORDS

    @property
    def is_flushing(self) -> bool:
        """Tell whether step() has something to do."""
        return bool(self._due)

    @property
    def has_written_all(self) -> bool:
        """Tell whether everything that start() found is written."""
        return not self._due and not self._failed

    def add(self, entry: Entry) -> None:
        """Keep what is said of a flow."""
        self._entries.append(entry)
        self._records += len(entry.sides)

    def start(self, output: Output, now_ms: int) -> None:
        """Encode what there is, and have all be written by step()."""
        # What was to be written before comes first.
        self._due.extendleft(reversed(self._failed))
        self._failed.clear()
        self._failures = 0
        if self._entries:
            units = output.units(self._between(self._entries, _ENTRIES_AT_ONCE), now_ms)
            for unit in self._between(units, _UNITS_AT_ONCE):
                self._due.append(unit)
                self._bytes += len(unit.content)
                self._encoded += unit.records
            self._forget()
        self._count_pending()

    def step(self, output: Output, now_s: float) -> None:
        """Write some units."""
        for _ in self._between(range(min(len(self._due), UNITS_A_STEP)), _UNITS_AT_ONCE):
            unit = self._due.popleft()
            size, records = len(unit.content), unit.records
            try:
                output.write(unit, now_s)
            except MaxBytesReached:
                self._gone(Result.MAX_BYTES, size, records)
            except OSError as error:
                self._gone(Result.WRITTEN, size - len(unit.content), records - unit.records)
                self._failed.append(unit)
                self._failures += 1
                if self._failures >= _MOST_FAILURES:
                    self._failed += self._due
                    self._due.clear()
                self.failed(error)
                break
            else:
                self._gone(Result.WRITTEN, size, records)
                self._cells[LAST_WRITE_S] = int(now_s)
                self._failures = 0
        if self._is_failing and self.has_written_all:
            self._is_failing = False
            self._tell("flow log: written again")
        self._count_pending()

    def failed(self, error: OSError) -> None:
        """Something cannot be written now: what there is no room for is given up, oldest first."""
        result = Result.NO_READER if error.errno in _NO_READER else Result.WRITE_FAILED
        if not self._is_failing:
            self._is_failing = True
            self._tell(
                f"flow log: cannot be written ({error}): what comes waits, and is counted as lost"
                " when there is too much of it"
            )
        while self._bytes > self._most_bytes and (self._failed or self._due):
            unit = self._failed.pop(0) if self._failed else self._due.popleft()
            self._gone(result, len(unit.content), unit.records)
        if self.is_full:
            # There is no output yet that could encode them.
            self._cells[RESULTS[result]] += self._records
            self._forget()
        self._count_pending()

    def _forget(self) -> None:
        self._entries.clear()
        self._records = 0

    def _gone(self, result: Result, size: int, records: int) -> None:
        self._cells[RESULTS[result]] += records
        self._bytes -= size
        self._encoded -= records

    def _count_pending(self) -> None:
        self._cells[PENDING] = self._encoded + self._records
