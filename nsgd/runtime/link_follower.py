"""Has the rules follow this host's links and routes, once a burst of changes has gone by."""

from __future__ import annotations

import time
from collections.abc import Callable

from nsgd.runtime.loop import Loop

# A link, its address and its routes come one after the other.
_SETTLE_S = 0.05


class LinkFollower:
    """Calls *install_again* after changes, until it succeeds."""

    def __init__(self, loop: Loop, install_again: Callable[[], bool]) -> None:
        self._loop = loop
        self._install_again = install_again
        self._changed_s: float | None = None

    def changed(self) -> None:
        """Links or routes have changed."""
        if self._changed_s is None:
            self._changed_s = time.monotonic()
        self._loop.soon(_SETTLE_S)

    def tend(self) -> None:
        """Write the links that lead inwards, if it is time to."""
        if self._changed_s is None:
            return
        if time.monotonic() < self._changed_s + _SETTLE_S:
            self._loop.soon(_SETTLE_S)
            return
        self._changed_s = None if self._install_again() else time.monotonic() + 1
