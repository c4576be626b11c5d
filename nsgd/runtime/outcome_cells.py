"""Gives outcomes that recur a counter cell of their own: the worker's end."""

from __future__ import annotations

from nsgd.runtime import counters as cell
from nsgd.runtime.counters import CELLS_OF_OUTCOME, MOST_OUTCOMES, SharedCounters


class OutcomeCells:
    """Cells are given for the life of the memory: over policies, and over workers.

    Decision numbers keep their meaning, so an outcome of one policy is the same one under the
    next. Whoever reads knows no cell before its list is complete, and a worker that is killed at
    any point leaves nothing half counted.
    """

    def __init__(self, counters: SharedCounters) -> None:
        self._counters = counters
        used = counters.cells[cell.OUTCOMES_USED]
        self._known = {counters.cells_of_outcome(outcome): outcome for outcome in range(used)}

    def get(self, counted: tuple[int, ...]) -> int | None:
        """The index of the outcome that adds one to each of *counted*; None where there is none."""
        outcome = self._known.get(counted)
        if outcome is not None:
            return outcome
        outcome = len(self._known)
        if outcome >= MOST_OUTCOMES or not 0 < len(counted) <= CELLS_OF_OUTCOME:
            return None
        # To its end: a worker that was killed here may have left a longer list.
        self._counters.list_cells(outcome, counted)
        self._counters.cells[cell.OUTCOMES_USED] = outcome + 1
        self._known[counted] = outcome
        return outcome
