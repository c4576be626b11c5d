"""The time after the first start in which TCP of unknown flows is adopted."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

log = logging.getLogger("nsgd")


class AdoptionWindow:
    """Closed until it is opened, and then for a while."""

    def __init__(self, install_again: Callable[[], bool]) -> None:
        """*install_again* writes the rules by what is_open says then; False where that failed."""
        self._install_again = install_again
        self._until_s: float | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether flows are adopted."""
        return self._until_s is not None

    def open(self, window_s: float) -> None:
        """Adopt for so many seconds; 0 for not at all."""
        if window_s:
            self._until_s = time.monotonic() + window_s

    def tend(self) -> None:
        """End it if it is time to."""
        if self._until_s is None or time.monotonic() < self._until_s:
            return
        self._until_s = None
        if self._install_again():
            log.info("adoption has ended: TCP of unknown flows is judged from now on")
        else:
            self._until_s = time.monotonic() + 1
