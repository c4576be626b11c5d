"""Memory of a big policy: looked through rarely, kept together, and given back."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager

# A policy of 20 000 rules and 10 000 NICs is made of 0.4 million objects. The collector would look
# through all that there is several times while they are made: a quarter of the time of a load.
_OBJECTS = 1_000_000
_M_ARENA_MAX = -8  # of mallopt(3)


@contextmanager
def collecting_rarely() -> Iterator[None]:
    """Let so many objects be made before the collector looks through them.

    It is not switched off: documents that mean harm must not fill the memory with circles.
    """
    before = gc.get_threshold()
    gc.set_threshold(max(_OBJECTS, before[0]) if before[0] else 0, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def set_aside() -> None:
    """Never look through what there is now; it is still freed when nothing refers to it.

    Circles among it are not, so this is for once, after what a long-lived process does first: its
    first load, its first ruleset.
    """
    gc.freeze()


def keep_together() -> None:
    """Let all threads take memory from one place; to be called before there is a second thread.

    The C library has one for each thread otherwise, so that threads need not wait for each other:
    Python's do so anyway, and what one of them has freed the others do not use. After a start with
    20 000 rules that is 12 MiB of 160.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Return to the system what was freed since: the C library keeps much of it otherwise.

    After a start with 20 000 rules that is 10 MiB of 150, and 9 after the status of these; it takes
    some milliseconds.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # glibc only
        trim(0)
