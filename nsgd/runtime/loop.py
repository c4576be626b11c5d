"""The supervisor's event loop: readable descriptors, signals, and a look around each second."""

from __future__ import annotations

import selectors
import signal
import socket
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Protocol

END_SIGNALS: tuple[int, ...] = (signal.SIGTERM, signal.SIGINT)
_TICK_S = 1.0


class EndedEarly(Exception):
    """The process was asked to end before it served."""


class Watched(Protocol):
    """Something readable."""

    def fileno(self) -> int:
        """For a selector."""


class Loop:
    """Calls what is due, one at a time, in the main thread."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._stopping = False
        self._pause_s = _TICK_S
        self._at_ticks: list[Callable[[], None]] = []
        self._early: dict[int, None] = {}

    @property
    def is_stopping(self) -> bool:
        """Tell whether stop() was called."""
        return self._stopping

    def note(self, *numbers: int) -> None:
        """Have run() begin with what these signals ask for that come before it."""

        def noted(signal_number: int, frame: FrameType | None) -> None:
            self._early[signal_number] = None

        for number in numbers:
            signal.signal(number, noted)

    def go_on(self) -> None:
        """Raises EndedEarly where a signal was noted that asks for the end."""
        if not self._early.keys().isdisjoint(END_SIGNALS):
            raise EndedEarly

    def watch(self, watched: Watched | int, ready: Callable[[], None]) -> None:
        """Call *ready* whenever *watched* is readable."""
        self._selector.register(watched, selectors.EVENT_READ, ready)

    def unwatch(self, watched: Watched | int) -> None:
        """Forget a descriptor."""
        self._selector.unregister(watched)

    def stop(self) -> None:
        """Leave run() after what is under way."""
        self._stopping = True

    def soon(self, pause_s: float) -> None:
        """Have the next tick come after *pause_s* at the latest."""
        self._pause_s = min(self._pause_s, pause_s)

    def at_ticks(self, tend: Callable[[], None]) -> None:
        """Call *tend* whenever run() calls its tick, after it."""
        self._at_ticks.append(tend)

    def run(self, signals: Mapping[int, Callable[[], None]], tick: Callable[[], None]) -> None:
        """Serve until stop(); *tick* is called at least once a second."""
        wake_read, wake_write = socket.socketpair()
        wake_write.setblocking(False)
        previous = signal.set_wakeup_fd(wake_write.fileno())

        def on_signal() -> None:
            # A storm of SIGHUP is one reload: the bytes are the signals since the last look.
            for number in dict.fromkeys(wake_read.recv(4096)):
                if number in signals:
                    signals[number]()

        for number in signals:
            signal.signal(number, _noted)
        self.watch(wake_read, on_signal)
        try:
            for number in self._early:
                if number in signals:
                    signals[number]()
            while not self._stopping:
                pause_s, self._pause_s = self._pause_s, _TICK_S
                for key, _ in self._selector.select(pause_s):
                    key.data()
                tick()
                for tend in self._at_ticks:
                    tend()
        finally:
            signal.set_wakeup_fd(previous)
            self.unwatch(wake_read)
            wake_read.close()
            wake_write.close()

    def close(self) -> None:
        """Let the selector go."""
        self._selector.close()


def _noted(signal_number: int, frame: FrameType | None) -> None:
    """The loop learns of signals from the wake-up descriptor."""
