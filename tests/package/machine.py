"""A root directory booted as a machine of its own, with systemd as process 1."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

_BOOT_S = 120.0
_POLL_S = 0.1


class Machine:
    """A container with its own network, processes and systemd; commands are run inside it."""

    def __init__(self, root: Path, log: Path) -> None:
        """Boot, and wait until systemd has nothing left to start."""
        self._log = log.open("ab")
        self._nspawn = subprocess.Popen(
            [
                *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit"),
                *("--private-network", "--boot", f"--directory={root}"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        self._leader = 0
        self.wait(self._has_leader, "no process 1")
        self.wait(lambda: self.state() in ("running", "degraded"), "systemd is not up")

    def _has_leader(self) -> bool:
        if self._nspawn.poll() is not None:
            raise SystemExit(f"systemd-nspawn ended: see {self._log.name}")
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children")
        pids = children.read_text().split()
        # The last one has been replaced by systemd once its own name is that.
        for pid in pids:
            if Path(f"/proc/{pid}/comm").read_text().strip() == "systemd":
                self._leader = int(pid)
        return self._leader != 0

    def state(self) -> str:
        """What systemd says of the machine."""
        return self.run("systemctl", "is-system-running", check=False).stdout.strip()

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command inside and wait. Raises AssertionError where it fails."""
        done = subprocess.run(
            self._enter(*command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env=_environment(),
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command inside, with its output to be read."""
        return subprocess.Popen(
            self._enter(*command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            env=_environment(),
        )

    def _enter(self, *command: str) -> list[str]:
        return ["nsenter", f"--target={self._leader}", "--all", "--wdns=/", "--", *command]

    @staticmethod
    def wait(is_so: Callable[[], bool], what: str) -> None:
        """Until a fact, for a bounded time. Raises AssertionError."""
        end = time.monotonic() + _BOOT_S
        while not is_so():
            if time.monotonic() > end:
                raise AssertionError(what)
            time.sleep(_POLL_S)

    def close(self) -> None:
        """Shut the machine down in good order, or kill it."""
        if self._leader and self._nspawn.poll() is None:
            # To systemd: power off.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._leader, signal.SIGRTMIN + 4)
        try:
            self._nspawn.wait(_BOOT_S / 2)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait()
        self._log.close()


def _environment() -> dict[str, str]:
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
        "SYSTEMD_PAGER": "",
        "MANWIDTH": "80",
    }
