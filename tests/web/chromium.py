"""A real Chromium without a screen, driven over its own DevTools protocol through two pipes.

A page at a time. What the console says, and what the content security policy blocks, is kept.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.programs import program

PROGRAMS = ("chromium-headless-shell", "chromium")
TIMEOUT_S = 30.0
_FLAGS = (
    "--headless",
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--no-default-browser-check",
    # Nothing but the pages is fetched.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-features=Translate,MediaRouter,OptimizationHints",
    # Its own sandbox needs an ordinary user, and tests run as root.
    "--no-sandbox",
)
# DevTools reads from 3 and writes to 4.
_INHERIT = (
    "import fcntl, os, sys; r, w = (fcntl.fcntl(int(n), fcntl.F_DUPFD, 10) for n in sys.argv[1:3]);"
    " os.dup2(r, 3); os.dup2(w, 4); os.execvp(sys.argv[3], sys.argv[3:])"
)

Popen = Callable[..., "subprocess.Popen[Any]"]


class Navigated(AssertionError):
    """What was asked of a page had no answer: another page has come in its place."""


# What DevTools answers for an expression whose page goes while it is evaluated.
_NAVIGATED = (
    "Inspected target navigated or closed",
    "Execution context was destroyed.",
    "Cannot find default execution context",
)


class Browser:
    """One tab."""

    def __init__(self, directory: Path, popen: Popen = subprocess.Popen) -> None:
        to_browser, self._to = os.pipe()
        self._from, from_browser = os.pipe()
        self.console: list[str] = []  # what it has complained of
        self._buffer = b""
        self._last_id = 0
        self._session: str | None = None
        self._events: list[dict[str, Any]] = []
        command = [
            *(sys.executable, "-c", _INHERIT, str(to_browser), str(from_browser)),
            *(
                program("chromium-headless-shell", *PROGRAMS),
                *_FLAGS,
                f"--user-data-dir={directory}",
                "about:blank",
            ),
        ]
        try:
            self._process = popen(
                command,
                pass_fds=(to_browser, from_browser),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        finally:
            os.close(to_browser)
            os.close(from_browser)
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        self.ask("Page.setLifecycleEventsEnabled", enabled=True)

    def close(self) -> None:
        """End the browser."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        os.close(self._to)
        os.close(self._from)

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of DevTools and wait for its result."""
        self._last_id += 1
        message: dict[str, Any] = {"id": self._last_id, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        deadline_s = time.monotonic() + TIMEOUT_S
        while True:
            answer = self._receive(deadline_s)
            if answer.get("id") == self._last_id:
                if "error" in answer:
                    gone = answer["error"].get("message") in _NAVIGATED
                    kind = Navigated if gone else AssertionError
                    raise kind(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, url: str) -> None:
        """Load a page, and wait until it is there with all that belongs to it."""
        self._events.clear()
        answer = self.ask("Page.navigate", url=url)
        assert "errorText" not in answer, f"{url}: {answer['errorText']}"
        deadline_s = time.monotonic() + TIMEOUT_S
        # Of this page: that an earlier one is there may be told late.
        while not any(
            event["method"] == "Page.lifecycleEvent"
            and event["params"]["loaderId"] == answer["loaderId"]
            and event["params"]["name"] == "load"
            for event in self._events
        ):
            self._receive(deadline_s)

    @contextlib.contextmanager
    def going(self) -> Iterator[None]:
        """Wait until what is done within has led to another page, and that is there."""
        self.run("window.isLeft = true")
        yield
        self.wait("!window.isLeft && document.readyState === 'complete'", "no other page")

    def follow(self, selector: str) -> None:
        """Click on a link, and wait until the page that it leads to is there."""
        with self.going(), contextlib.suppress(Navigated):
            self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self.ask(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, script: str, complaint: str, timeout_s: float = 15.0) -> None:
        """Wait until an expression in the page is true."""
        deadline_s = time.monotonic() + timeout_s
        while not self._is_true(script):
            if time.monotonic() > deadline_s:
                raise AssertionError(complaint)
            time.sleep(0.05)

    def press(self, key: str, *, shift: bool = False) -> None:
        """One key, such as Tab or Enter."""
        code = {"Tab": 9, "Enter": 13, " ": 32, "Escape": 27}[key]
        name = "Space" if key == " " else key
        common = {"key": key, "code": name, "windowsVirtualKeyCode": code, "modifiers": 8 * shift}
        text = {"Enter": "\r", " ": " "}.get(key)
        self.ask(
            "Input.dispatchKeyEvent", type="keyDown", **common, **({"text": text} if text else {})
        )
        self.ask("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text: str) -> None:
        """Text into what has the focus."""
        self.ask("Input.insertText", text=text)

    def look(self, *, width: int = 1280, height: int = 800, dark: bool = False) -> None:
        """The window's size, and whether its user likes it dark."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """What is seen, or the whole page, as PNG."""
        answer = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def _is_true(self, script: str) -> bool:
        try:
            return bool(self.run(script))
        except Navigated:
            return False  # The page that was asked gives way to another one: not yet.

    def _receive(self, deadline_s: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or not select.select([self._from], [], [], left_s)[0]:
                raise AssertionError("the browser does not answer")
            data = os.read(self._from, 1 << 20)
            if not data:
                raise AssertionError(f"the browser ended: {self._process.poll()}")
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        if "method" in answer:
            self._note(answer)
        return answer

    def _note(self, event: dict[str, Any]) -> None:
        self._events.append(event)
        params = event.get("params", {})
        if event["method"] == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            # Violations of the content security policy are among these.
            self.console.append(f"{params['entry']['text']} ({params['entry'].get('url')})")
        elif event["method"] == "Runtime.consoleAPICalled":
            self.console.append(json.dumps(params["args"]))
        elif event["method"] == "Runtime.exceptionThrown":
            self.console.append(json.dumps(params["exceptionDetails"]))


@contextlib.contextmanager
def browser(popen: Popen = subprocess.Popen, prefix: Sequence[str] = ()) -> Iterator[Browser]:
    """A browser with a profile that goes with it; *prefix* stands before its command."""

    def start(command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        return popen([*prefix, *command], **options)

    with tempfile.TemporaryDirectory(
        prefix="nsgd-chromium-", ignore_cleanup_errors=True
    ) as profile:
        made = Browser(Path(profile), start)
        try:
            yield made
        finally:
            made.close()
