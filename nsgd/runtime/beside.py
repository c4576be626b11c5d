"""Does something long beside what must go on, such as the watchdog and the worker's life."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
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
        return self._do(work, lambda: None)

    def do_with(self, work: Callable[[Callable[[], None]], T], needed: Callable[[], None]) -> T:
        """As do(), of *work* that needs something at some point, which the caller's thread does.

        *work* is given what it calls then, and what waits. Where *needed* raises, that raises the
        same, and so does this once *work* has ended. Only after *needed* the caller's thread is at
        what must not wait.
        """
        done = Future[None]()

        def begin() -> None:
            try:
                needed()
            except BaseException as error:
                done.set_exception(error)
                raise
            done.set_result(None)

        return self._do(partial(work, done.result), begin)

    def _do(self, work: Callable[[], T], first: Callable[[], None]) -> T:
        with ThreadPoolExecutor(1) as executor:
            future = executor.submit(work)
            future.add_done_callback(lambda _: os.write(self._done_write, b"x"))
            try:
                first()
            except BaseException:
                wait([future])
                os.read(self._done_read, 1)
                raise
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
