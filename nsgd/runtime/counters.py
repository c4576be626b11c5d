"""Counters in memory that a worker writes and the supervisor reads.

The supervisor owns the memory, so that counts outlive a worker. Each cell is an aligned 64-bit
word with one writer; a reader sees the old or the new value.

An outcome that recurs is counted in one cell of its own instead of in every cell that it adds to;
a list beside it says which these are, and a reader adds both up.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping, Sequence
from itertools import product
from operator import add
from struct import Struct

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
OUTCOMES_USED = 9  # outcomes that have a cell of their own
DENIALS_WINDOW = 10  # goes up where a worker may tell of some more denials; the reader's
DENIALS_UNTOLD = 11  # denials beyond the limits of a window
DENIALS_ALL = 12  # not 0 where a worker is to tell of all denials; the reader's
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
# Of packets that were timed (nsgd.runtime.decision_timer): by the longest time of each bucket, and
# one more bucket for what took longer.
DECISION_BOUNDS_NS = tuple(
    1000 * us for us in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000, 100_000)
)
DECISION_NS = _FIRST_FLOW + len(FLOWS)
DECISIONS_TIMED = DECISION_NS + 1
_FIRST_HIT = DECISIONS_TIMED + len(DECISION_BOUNDS_NS) + 1

MOST_OUTCOMES = 32768
CELLS_OF_OUTCOME = 12  # the most that one outcome adds to; 0 ends a shorter list
# Lists of each length, with 0 to the end.
_LISTS = tuple(
    Struct(f"={length}I{4 * (CELLS_OF_OUTCOME - length)}x")
    for length in range(CELLS_OF_OUTCOME + 1)
)
_LIST_BYTES = 4 * CELLS_OF_OUTCOME
_OUTCOME_BYTES = MOST_OUTCOMES * (8 + 4 * CELLS_OF_OUTCOME)

DENIAL_BYTES = 48
DENIAL_RING_RECORDS = 8192
DENIAL_RING_BYTES = DENIAL_BYTES * DENIAL_RING_RECORDS

# Each network interface has a slot (nsgd.runtime.nic_slots), and a cell in each of these areas.
MOST_NICS = 65536
NO_SLOT = 0  # of one that is not counted; what its cells hold means nothing
NICS: Mapping[tuple[Direction, Access], int] = {
    key: MOST_NICS * index for index, key in enumerate(product(Direction, Access))
}
_NIC_BYTES = 8 * MOST_NICS * len(NICS)


class SharedCounters:
    """An array of 64-bit cells in anonymous shared memory."""

    def __init__(self, descriptor: int, numbers: int) -> None:
        """Map *descriptor*, made by create(), for *numbers* decision numbers a side."""
        self.descriptor = descriptor
        self._numbers = numbers
        self._memory = mmap.mmap(descriptor, _size_bytes(numbers))
        memory = memoryview(self._memory)
        first_outcome = 8 * (_FIRST_HIT + 2 * numbers)
        first_list = first_outcome + 8 * MOST_OUTCOMES
        first_denial = first_outcome + _OUTCOME_BYTES
        self.cells = memory[:first_outcome].cast("Q")
        self.outcomes = memory[first_outcome:first_list].cast("Q")
        self.cells_of_outcomes = memory[first_list:first_denial].cast("I")
        first_nic = first_denial + DENIAL_RING_BYTES
        self.denials = memory[first_denial:first_nic]  # nsgd.runtime.denials
        self.nics = memory[first_nic:].cast("Q")

    @classmethod
    def create(cls, numbers: int) -> SharedCounters:
        """New zeroed counters; the descriptor is not inherited unless it is passed on."""
        descriptor = os.memfd_create("nsgd-counters", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, _size_bytes(numbers))
        return cls(descriptor, numbers)

    def first_hit_cell(self, direction: Direction) -> int:
        """The cell of decision number 0 of a direction; the others follow."""
        return _FIRST_HIT + (self._numbers if direction is Direction.INBOUND else 0)

    def totals(self) -> list[int]:
        """What each cell has come to, outcomes added."""
        totals = self.cells.tolist()
        for outcome, count in enumerate(self.outcomes[: totals[OUTCOMES_USED]].tolist()):
            if count:
                for index in self.cells_of_outcome(outcome):
                    totals[index] += count
        return totals

    def list_cells(self, outcome: int, cells: tuple[int, ...]) -> None:
        """Say which cells an outcome adds to: CELLS_OF_OUTCOME at most."""
        _LISTS[len(cells)].pack_into(self.cells_of_outcomes, outcome * _LIST_BYTES, *cells)

    @staticmethod
    def sum(areas: Sequence[SharedCounters]) -> list[int]:
        """The totals of several areas of one size; cells that count nothing have no meaning."""
        first, *others = (area.totals() for area in areas)
        for other in others:
            first = list(map(add, first, other))
        return first

    def cells_of_outcome(self, outcome: int) -> tuple[int, ...]:
        """The cells that an outcome adds to."""
        first = outcome * CELLS_OF_OUTCOME
        listed = self.cells_of_outcomes[first : first + CELLS_OF_OUTCOME].tolist()
        return tuple(index for index in listed if index)

    def nic_counts(self, slots: Mapping[str, int]) -> dict[str, list[int]]:
        """What has been counted of each network interface, by its slot, in the order of NICS."""
        after = max(slots.values(), default=0) + 1
        areas = [self.nics[first : first + after].tolist() for first in NICS.values()]
        return {name: [area[slot] for area in areas] for name, slot in slots.items()}

    def clear_nic(self, slot: int) -> None:
        """Let another network interface have a slot."""
        for first in NICS.values():
            self.nics[first + slot] = 0

    def close(self) -> None:
        """Unmap and close."""
        for view in (
            self.cells,
            self.outcomes,
            self.cells_of_outcomes,
            self.denials,
            self.nics,
        ):
            view.release()
        self._memory.close()
        os.close(self.descriptor)


def _size_bytes(numbers: int) -> int:
    return 8 * (_FIRST_HIT + 2 * numbers) + _OUTCOME_BYTES + DENIAL_RING_BYTES + _NIC_BYTES
