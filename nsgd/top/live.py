"""The live view: readings and keys come in, screens go out."""

from __future__ import annotations

import threading
from dataclasses import replace

from rich.console import Console
from rich.live import Live

from nsgd.runtime.control_client import ControlError
from nsgd.top.screen import Shown, draw
from nsgd.top.source import Reader, Source
from nsgd.top.terminal import Terminal, open_terminal
from nsgd.top.view import Choice, Reading, View, view

LEAST_INTERVAL_S, MOST_INTERVAL_S = 0.5, 60.0


class LiveView:
    """What is shown, as the user has chosen, of the last two readings."""

    def __init__(self, choice: Choice, interval_s: float, note: str = "") -> None:
        self.choice = choice
        self.shown = Shown(interval_s, note=note)
        self.failure: Exception | None = None  # that ends it
        self._now: Reading | None = None
        self._before: Reading | None = None
        self._paused_at: tuple[Reading | None, Reading | None] | None = None
        self._news: list[Reading | Exception] = []
        self._lock = threading.Lock()

    def hear(self, news: Reading | Exception) -> None:
        """Keep what a reader has found; from any thread."""
        with self._lock:
            self._news.append(news)

    def take_news(self) -> None:
        """Go on to what was heard."""
        with self._lock:
            news, self._news = self._news, []
        for each in news:
            if isinstance(each, ControlError):
                self.shown = replace(self.shown, trouble=str(each))
            elif isinstance(each, Exception):
                self.failure = each
            else:
                self._go_on(each)

    def _go_on(self, reading: Reading) -> None:
        before, started = self._now, reading.status["startedAt"]
        restarted = self.shown.restarted
        if before is not None and before.status["startedAt"] != started:
            restarted = started
        self.shown = replace(self.shown, trouble="", restarted=restarted)
        self._before, self._now = before, reading

    def press(self, keys: str) -> bool:
        """Do what keys ask for; False where it is to end."""
        for key in keys:
            if key in "qQ\x04":
                return False
            if key == "s":
                has_bytes = self._now is not None and bool(self._now.status.get("flowLog"))
                order = self.choice.rule_sort.next(has_bytes=has_bytes)
                self.choice = replace(self.choice, rule_sort=order)
            elif key == "d":
                self.choice = replace(self.choice, denial_sort=self.choice.denial_sort.next())
            elif key == "a":
                self.choice = replace(self.choice, denies_only=not self.choice.denies_only)
            elif key in "p ":
                self._pause()
            elif key in "+-":
                wanted_s = self.shown.interval_s * (2 if key == "+" else 0.5)
                interval_s = min(max(wanted_s, LEAST_INTERVAL_S), MOST_INTERVAL_S)
                self.shown = replace(self.shown, interval_s=interval_s)
        return True

    def _pause(self) -> None:
        """Hold what is shown; readings go on meanwhile."""
        is_paused = not self.shown.is_paused
        self.shown = replace(self.shown, is_paused=is_paused)
        self._paused_at = (self._now, self._before) if is_paused else None

    def view(self) -> View | None:
        """What to show; None before the first reading."""
        now, before = self._paused_at or (self._now, self._before)
        return None if now is None else view(now, before, self.choice)


def run(source: Source, choice: Choice, interval_s: float, note: str = "") -> None:
    """Show it until the user leaves. Raises what the source raises, ControlError excepted."""
    console = Console(highlight=False)
    live = LiveView(choice, interval_s, note)
    with open_terminal() as terminal:

        def news(found: Reading | Exception) -> None:
            live.hear(found)
            terminal.wake()

        reader = Reader(source, interval_s, news)
        with Live(console=console, screen=True, auto_refresh=False) as screen:
            reader.start()
            try:
                _show(live, console, screen, terminal, reader)
            except KeyboardInterrupt:
                return
            finally:
                reader.stop()
    if live.failure is not None:
        raise live.failure


def _show(
    live: LiveView, console: Console, screen: Live, terminal: Terminal, reader: Reader
) -> None:
    while live.failure is None and not terminal.is_gone:
        drawn = draw(live.view(), live.choice, live.shown, console.size.height)
        screen.update(drawn, refresh=True)
        if not live.press(terminal.wait()):
            return
        live.take_news()
        reader.interval_s = live.shown.interval_s
