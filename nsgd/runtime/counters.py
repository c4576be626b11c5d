"""Counters in memory that a worker writes and the supervisor reads.

The supervisor owns the memory, so that counts outlive a worker. Each cell is an aligned 64-bit
word with one writer; a reader sees the old or the new value.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping
from itertools import product

from nsgd.model.decision import Reason
from nsgd.model.packet import Unparsable
from nsgd.model.rule import Access, Direction

HEARTBEAT_NS = 0  # monotonic clock
GENERATION = 1  # of the policy that the worker decides by
ACCEPTED = 2
DROPPED = 3
MIDSTREAM = 4
UNMANAGED_ACCEPTED = 5
UNMANAGED_DROPPED = 6
INTERNAL_ERRORS = 7
DENIALS_WRITTEN = 8  # records ever written to the ring of denials
_FIRST_ENUMERATED = 16

UNPARSABLE: Mapping[Unparsable, int] = {
    reason: _FIRST_ENUMERATED + index for index, reason in enumerate(Unparsable)
}
DENIED: Mapping[Reason, int] = {
    reason: _FIRST_ENUMERATED + len(UNPARSABLE) + index for index, reason in enumerate(Reason)
}
_FIRST_FLOW = _FIRST_ENUMERATED + len(UNPARSABLE) + len(DENIED)
FLOWS: Mapping[tuple[Direction, Access, Reason], int] = {
    key: _FIRST_FLOW + index for index, key in enumerate(product(Direction, Access, Reason))
}
_FIRST_HIT = _FIRST_FLOW + len(FLOWS)

DENIAL_BYTES = 48
DENIAL_RING_RECORDS = 1024
DENIAL_RING_BYTES = DENIAL_BYTES * DENIAL_RING_RECORDS


class SharedCounters:
    """An array of 64-bit cells in anonymous shared memory."""

    def __init__(self, descriptor: int, numbers: int) -> None:
        """Map *descriptor*, made by create(), for *numbers* decision numbers a side."""
        self.descriptor = descriptor
        self._numbers = numbers
        self._memory = mmap.mmap(descriptor, _size_bytes(numbers))
        first_denial = _size_bytes(numbers) - DENIAL_RING_BYTES
        self.cells = memoryview(self._memory)[:first_denial].cast("Q")
        self.denials = memoryview(self._memory)[first_denial:]  # nsgd.runtime.denials

    @classmethod
    def create(cls, numbers: int) -> SharedCounters:
        """New zeroed counters; the descriptor is not inherited unless it is passed on."""
        descriptor = os.memfd_create("nsgd-counters", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, _size_bytes(numbers))
        return cls(descriptor, numbers)

    def first_hit_cell(self, direction: Direction) -> int:
        """The cell of decision number 0 of a direction; the others follow."""
        return _FIRST_HIT + (self._numbers if direction is Direction.INBOUND else 0)

    def hits(self, direction: Direction, number: int) -> int:
        """How often the rule of a decision number decided a table."""
        return self.cells[self.first_hit_cell(direction) + number]

    def close(self) -> None:
        """Unmap and close."""
        self.cells.release()
        self.denials.release()
        self._memory.close()
        os.close(self.descriptor)


def _size_bytes(numbers: int) -> int:
    return 8 * (_FIRST_HIT + 2 * numbers) + DENIAL_RING_BYTES
