"""Does something long beside what must go on, such as the watchdog and the worker's life."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotDoneError
from typing import TypeVar

T = TypeVar("T")
_EVERY_S = 0.5


def do_beside(work: Callable[[], T], meanwhile: Callable[[], None]) -> T:
    """What *work* returns or raises; *meanwhile* is called twice a second until then.

    *work* runs in a thread of its own, *meanwhile* in the caller's.
    """
    with ThreadPoolExecutor(1) as executor:
        future = executor.submit(work)
        while True:
            try:
                return future.result(_EVERY_S)
            except NotDoneError:
                if future.done():
                    raise  # the work's own
                meanwhile()
