"""The keyboard and the size of a terminal, as they change; put back as it was at the end."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_KEY_BYTES = 256


class Terminal:
    """Waits for keys, for a new size, and for whoever calls wake()."""

    def __init__(self, keyboard: int, wake_read: int, wake_write: int) -> None:
        self._keyboard = keyboard
        self._wake_read, self._wake_write = wake_read, wake_write
        self.is_gone = False

    def wake(self) -> None:
        """Have wait() return; for other threads and signal handlers."""
        try:
            os.write(self._wake_write, b"w")
        except BlockingIOError:
            return  # it is awake by now

    def wait(self, timeout_s: float | None = None) -> str:
        """Keys that were pressed; none where something else happened or the time is over."""
        ready, _, _ = select.select([self._keyboard, self._wake_read], [], [], timeout_s)
        if self._wake_read in ready:
            os.read(self._wake_read, _KEY_BYTES)
        if self._keyboard not in ready:
            return ""
        data = os.read(self._keyboard, _KEY_BYTES)
        # A terminal that is closed, such as that of a connection that has ended.
        self.is_gone = not data
        # Arrows and their like begin with an escape, and mean nothing here.
        return "" if data.startswith(b"\x1b") else data.decode(errors="ignore")


@contextmanager
def open_terminal() -> Iterator[Terminal]:
    """Keys come one by one and unseen; Ctrl-C stays an interrupt."""
    keyboard = sys.stdin.fileno()
    wake_read, wake_write = os.pipe()
    for end in (wake_read, wake_write):
        os.set_blocking(end, False)
    terminal = Terminal(keyboard, wake_read, wake_write)

    def resized(number: int, frame: FrameType | None) -> None:
        terminal.wake()

    def ended(number: int, frame: FrameType | None) -> None:
        # The terminal is put back as it was, which it would not be by the signal itself.
        raise KeyboardInterrupt

    settings = termios.tcgetattr(keyboard)
    handlers = {signal.SIGWINCH: resized, signal.SIGTERM: ended, signal.SIGHUP: ended}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        tty.setcbreak(keyboard)
        yield terminal
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        with suppress(termios.error):
            termios.tcsetattr(keyboard, termios.TCSADRAIN, settings)
        os.close(wake_read)
        os.close(wake_write)
