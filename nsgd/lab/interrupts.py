"""Ctrl-C and SIGTERM around steps that must not be cut in half."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def exit_on_signal(number: int, frame: FrameType | None) -> None:
    """A handler that lets every ``with`` and ``finally`` run, and exits as a shell reports it."""
    raise SystemExit(128 + number)


@contextlib.contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Let the block end first. Does nothing outside the main thread, which no handler runs in."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        received.append(number)

    former = {
        number: signal.signal(number, receive)
        for number in _SIGNALS
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        for received_number in dict.fromkeys(received):
            signal.raise_signal(received_number)
