"""Says in the log when the connection table has no room: rules never see what is dropped then."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from nsgd.observe.conntrack_state import ConntrackState

log = logging.getLogger("nsgd")

_PAUSE_S = 5.0


class ConntrackWatch:
    """Reads the table's state, for whoever asks, and looks by itself every few seconds."""

    def __init__(
        self,
        read: Callable[[], ConntrackState | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """*read* gives the state, None where it cannot be read."""
        self.read = read
        self._clock = clock
        self._next_s = clock()
        self._dropped: int | None = None

    def tend(self) -> None:
        """Called at least once a second."""
        now_s = self._clock()
        if now_s < self._next_s:
            return
        self._next_s = now_s + _PAUSE_S
        state = self.read()
        if state is None:
            return
        before, self._dropped = self._dropped, state.dropped
        # What was dropped before the daemon ran is not news.
        if before is not None and state.dropped > before:
            log.error(
                "the connection table is full, %d of at most %d flows: the kernel has dropped %d"
                " packets of new flows ahead of every rule; raise net.netfilter.nf_conntrack_max",
                state.entries,
                state.limit,
                state.dropped - before,
            )
