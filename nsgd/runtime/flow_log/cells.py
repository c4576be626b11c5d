"""What the flow log counts, in memory that the supervisor owns, and denials on the way to it.

Counts outlive the process that makes them. Each cell is an aligned 64-bit word with one writer.
"""

from __future__ import annotations

import mmap
import os
from enum import Enum

from nsgd.model.rule import Direction
from nsgd.model.settings import MOST_QUEUES
from nsgd.runtime.counters import DENIAL_RING_BYTES, DENIALS_WRITTEN

HEARTBEAT_NS = 0  # monotonic clock
OPEN_FLOWS = 1  # followed now
EVENTS_LOST = 2
RESYNCS = 3
BEGUN_UNSEEN = 4  # flows whose begin was found in a dump, or told with their end
ENDED_UNSEEN = 5  # flows whose end was not told: their last packets are in no record
NOT_FOLLOWED = 6
LAST_WRITE_S = 7  # unix time; 0 before the first
assert DENIALS_WRITTEN == 8
DENIALS_MISSED = 9  # told, and overwritten before they were read
PENDING = 10  # records that wait to be written
LOGGED_UNTIL_MS = 11  # unix time up to which everything told is in records
MARKED = 12  # times that marks of flows were changed, of which the kernel tells nobody
_FIRST_RESULT = 16


class Result(Enum):
    """What became of a record."""

    WRITTEN = "written"
    WRITE_FAILED = "write_failed"  # its room was needed while the file could not be written
    NO_READER = "no_reader"  # the same with a pipe that nobody reads
    MAX_BYTES = "max_bytes"  # the files of this hour alone are as large as may be


RESULTS = {result: _FIRST_RESULT + index for index, result in enumerate(Result)}
DENIALS_READ = tuple(range(32, 33 + MOST_QUEUES))  # of the ring here, and of each worker's
_FIRST_TRAFFIC = 64


class FlowLogCells:
    """The cells, two more for each decision number of each direction, and a ring of denials."""

    def __init__(self, descriptor: int, numbers: int) -> None:
        """Map *descriptor*, made by create(), for *numbers* decision numbers a side."""
        self.descriptor = descriptor
        self._numbers = numbers
        self._memory = mmap.mmap(descriptor, _size_bytes(numbers))
        memory = memoryview(self._memory)
        first_denial = _size_bytes(numbers) - DENIAL_RING_BYTES
        self.cells = memory[:first_denial].cast("Q")
        self.denials = memory[first_denial:]  # nsgd.runtime.denials

    @classmethod
    def create(cls, numbers: int) -> FlowLogCells:
        """New zeroed cells; the descriptor is not inherited unless it is passed on."""
        descriptor = os.memfd_create("nsgd-flow-log", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, _size_bytes(numbers))
        return cls(descriptor, numbers)

    def traffic_cell(self, direction: Direction, number: int) -> int:
        """The cell of the packets of a decision number; that of its bytes follows."""
        side = self._numbers if direction is Direction.INBOUND else 0
        return _FIRST_TRAFFIC + 2 * (side + number)

    def close(self) -> None:
        """Unmap and close."""
        self.cells.release()
        self.denials.release()
        self._memory.close()
        os.close(self.descriptor)


def _size_bytes(numbers: int) -> int:
    return 8 * (_FIRST_TRAFFIC + 4 * numbers) + DENIAL_RING_BYTES
