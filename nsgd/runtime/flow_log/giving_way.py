"""How the log's process lets others have its processor: often, in the middle of its work.

It goes through hundreds of flows at a time. A worker that is to run meanwhile may be put behind it
for a slice of the scheduler, some milliseconds, however low its priority, where the scheduler finds
that the worker has had its share. Who gives way is passed over for whoever waits on the same
processor, and goes on at once where nobody does. Unlike a lower priority it needs no permission.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

_Item = TypeVar("_Item")
# One who has not come to an end for so long has been passed over too often, or has more to do than
# it can: it takes its share, or events would be lost. In their socket there is room for seconds.
_MOST_S = 0.25


class GivingWay:
    """Lets others go first, for so long after each rest."""

    def __init__(
        self,
        give_way: Callable[[], None] = os.sched_yield,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin as after a rest; *clock* is in seconds."""
        self._give_way, self._clock = give_way, clock
        self._until_s = 0.0
        self.has_rested()

    def has_rested(self) -> None:
        """There was nothing left to do."""
        self._until_s = self._clock() + _MOST_S

    def now(self) -> None:
        """Let others go first, unless this has been done for too long."""
        if self._clock() < self._until_s:
            self._give_way()

    def between(self, items: Iterable[_Item], each: int) -> Iterator[_Item]:
        """The items; before the first and each *each* after it, others go first."""
        for index, item in enumerate(items):
            if not index % each:
                self.now()
            yield item
