"""Does something long beside what must go on, such as the watchdog and the worker's life."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
_EVERY_S = 0.5


class Beside:
    """Works in a thread of its own, and meanwhile in the caller's at what must not wait."""

    def __init__(
        self, meanwhile: Callable[[], None], watched: Callable[[], Iterable[int]] = tuple
    ) -> None:
        """Have what is needed, so that do() does not fail where descriptors have run out.

        Args:
            meanwhile: Called twice a second, and at once where a watched descriptor is readable.
            watched: The descriptors, asked for anew each time.
        """
        self._meanwhile = meanwhile
        self._watched = watched
        self._done_read, self._done_write = os.pipe()

    def do(self, work: Callable[[], T]) -> T:
        """What *work* returns or raises."""
        with ThreadPoolExecutor(1) as executor:
            future = executor.submit(work)
            future.add_done_callback(lambda _: os.write(self._done_write, b"x"))
            while not self._is_done():
                self._meanwhile()
            return future.result()

    def close(self) -> None:
        """Let the descriptors go."""
        os.close(self._done_read)
        os.close(self._done_write)

    def _is_done(self) -> bool:
        """Wait a moment; tell whether the work is done."""
        poll = select.poll()
        for descriptor in (self._done_read, *self._watched()):
            poll.register(descriptor, select.POLLIN)
        if self._done_read not in (descriptor for descriptor, _ in poll.poll(_EVERY_S * 1000)):
            return False
        os.read(self._done_read, 1)
        return True
