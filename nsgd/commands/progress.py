"""Says at a terminal that something takes long, and since when; elsewhere nothing."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_QUIET_S = 1.0  # what takes less needs no word


@contextmanager
def progress(what: str, quiet_s: float = _QUIET_S) -> Iterator[None]:
    """While something is done: after a moment a line on standard error, gone at the end."""
    if not sys.stderr.isatty():
        yield
        return
    ended = threading.Event()
    is_shown = False

    def tell() -> None:
        nonlocal is_shown
        began_s = time.monotonic()
        while not ended.wait(quiet_s):
            is_shown = True
            print(f"\r\033[K{what}, {time.monotonic() - began_s:.0f} s", end="", file=sys.stderr)
            sys.stderr.flush()

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()
        if is_shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
