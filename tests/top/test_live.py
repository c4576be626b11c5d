"""The live view at a terminal: its keys, its size, a daemon that comes and goes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nsgd.runtime.control import ControlServer
from nsgd.runtime.control_client import ControlError, ControlErrorKind
from nsgd.top.live import LiveView
from nsgd.top.view import Choice, DenialSort, RuleSort
from tests.top.readings import DENIAL, LATER, OTHER, answer, hits, reading, status

PATIENCE_S = 20.0


@contextlib.contextmanager
def daemon(directory: Path, **changes: Any) -> Iterator[list[dict[str, Any]]]:
    """Answers as one does; the verbs' arguments are what was asked."""
    asked: list[dict[str, Any]] = []
    rules = hits(AllowHttp=3, DenyAllInBound=2)
    stopping = threading.Event()

    def denials(arguments: dict[str, Any]) -> dict[str, Any]:
        asked.append(arguments)
        return answer(OTHER, LATER, DENIAL, not_told=4)

    made = ControlServer(
        directory / "nsgd.sock",
        {"status": lambda arguments: status(ruleHits=rules) | changes, "denials": denials},
        (),
    )

    def loop() -> None:
        while not stopping.is_set():
            if select.select([made], [], [], 0.05)[0]:
                made.handle()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield asked
    finally:
        stopping.set()
        thread.join()
        made.close()


class Terminal:
    """``nsgd top`` at a terminal of its own."""

    def __init__(self, directory: Path, *options: str, **environment: str) -> None:
        self._ours, theirs = pty.openpty()
        self.resize(24, 80)
        command = [sys.executable, "-W", "error", "-m", "nsgd", "top", "--interval", "0.5"]
        # These would stand above the terminal's own size.
        inherited = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "LINES"}}
        self.process = subprocess.Popen(
            [*command, "--runtime-dir", str(directory), *options],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={**inherited, "TERM": "xterm-256color", **environment},
        )
        os.close(theirs)
        self.seen = ""

    def resize(self, lines: int, columns: int) -> None:
        """Another size of the window."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("4H", lines, columns, 0, 0))

    def press(self, keys: str) -> None:
        """On its keyboard; what was seen so far does not count for see()."""
        self.seen = ""
        os.write(self._ours, keys.encode())

    def see(self, *texts: str) -> None:
        """Wait until all of it has been on the screen."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not all(text in self.seen for text in texts):
            if time.monotonic() > deadline_s or not self.read():
                raise AssertionError(f"{texts} not in {self.seen[-4000:]}")

    def read(self) -> bool:
        """Some more; False where it has ended."""
        if select.select([self._ours], [], [], 1.0)[0]:
            try:
                data = os.read(self._ours, 1 << 16)
            except OSError:
                return False
            self.seen += data.decode(errors="replace")
        return True

    def end(self) -> int:
        """Read what is left, and its exit code."""
        while self.read() and self.process.poll() is None:
            pass
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        """Whatever happened."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)


@contextlib.contextmanager
def terminal(directory: Path, *options: str, **environment: str) -> Iterator[Terminal]:
    """Closed in the end."""
    made = Terminal(directory, *options, **environment)
    try:
        yield made
    finally:
        made.close()


def test_keys(tmp_path: Path) -> None:
    """Each does what the last line says, and q leaves the terminal as it was."""
    with daemon(tmp_path), terminal(tmp_path) as top:
        top.see("Rules by rate", "AllowHttp", "newest first", "203.0.113.7", "\x1b[32m")
        top.press("s")
        top.see("Rules by hits")
        top.press("s")
        top.see("Rules by name")
        top.press("d")
        top.see("most first")
        top.press("p")
        top.see("PAUSED")
        top.press("+")
        top.see("every 1 s")
        top.press("\x1b[A")
        top.resize(30, 132)
        os.kill(top.process.pid, signal.SIGWINCH)
        top.see("Udp 2001:db8:1234:5678:9abc:def0:1234:5678 > [fd00:")
        top.press("q")
        assert top.end() == 0
        # The screen as it was before, with its cursor.
        assert "\x1b[?1049l" in top.seen
        assert "\x1b[?25h" in top.seen


def test_a_daemon_that_restarts(tmp_path: Path) -> None:
    """It is said that nobody answers, and when there is another."""
    with terminal(tmp_path) as top:
        top.see("NO ANSWER: no daemon listens")
        with daemon(tmp_path):
            top.see("AllowHttp")
        top.seen = ""
        top.see("NO ANSWER", "AllowHttp")
        with daemon(tmp_path, startedAt="2026-05-02T09:20:00Z"):
            top.see("restarted at 2026-05-02T09:20:00Z")
        top.press("\x03")
        top.process.send_signal(signal.SIGTERM)
        assert top.end() == 0
        assert "Traceback" not in top.seen


def test_options_and_no_colour(tmp_path: Path) -> None:
    """Filters reach the daemon; NO_COLOR leaves the screen without colours."""
    with (
        daemon(tmp_path) as asked,
        terminal(tmp_path, "--nsg", "web", "--sort", "name", NO_COLOR="1") as top,
    ):
        top.see("only nsg web", "Rules by name", "AllowHttp")
        assert "\x1b[32m" not in top.seen
        assert asked[0] == {"nsg": "web"}
        top.press("q")
        assert top.end() == 0


# Without a terminal


def test_choices() -> None:
    """Keys change what is shown; others mean nothing."""
    live = LiveView(Choice(), 2.0)
    assert live.press("sdax")
    assert live.choice == Choice(
        rule_sort=RuleSort.HITS, denial_sort=DenialSort.COUNT, denies_only=True
    )
    assert live.press("-" * 9)
    assert live.shown.interval_s == 0.5
    assert live.press("+" * 20)
    assert live.shown.interval_s == 60
    assert not live.press("q")


def test_pause_holds_what_is_shown() -> None:
    """Readings go on meanwhile, and are shown afterwards with a rate since the last one."""
    live = LiveView(Choice(), 2.0)
    assert live.view() is None

    def hear(at_s: float, count: int) -> int:
        live.hear(reading(at_s, ruleHits=hits(A=count)))
        live.take_news()
        found = live.view()
        assert found is not None
        return found.rules[0].hits

    assert hear(0, 1) == 1
    live.press("p")
    assert hear(2, 5) == 1
    live.press(" ")
    found = live.view()
    assert found is not None
    assert (found.rules[0].hits, found.rules[0].per_s) == (5, 2.0)


@pytest.mark.parametrize("error", [LookupError("no such NIC"), ValueError("a bug")])
def test_what_ends_it(error: Exception) -> None:
    """A daemon that does not answer does not, anything else does."""
    live = LiveView(Choice(), 2.0)
    live.hear(ControlError(ControlErrorKind.UNREACHABLE, "gone"))
    live.take_news()
    assert live.shown.trouble == "gone"
    assert live.failure is None
    live.hear(error)
    live.take_news()
    assert live.failure is error
