"""The daemon under test: started in the gateway as a user would, asked by ``nsgd status``."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nsgd.lab.netns import NetworkNamespace
from nsgd.lab.traffic import module_environment

NSGD = (sys.executable, "-m", "nsgd")
_READY_TIMEOUT_S = 30.0
_STATUS_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 10.0
_POLL_S = 0.05
_LOG_LINES = 20


class DaemonFailed(Exception):
    """The daemon died or does not become ready; the text has the end of its log."""


class DaemonUnderTest:
    """``nsgd run`` in a namespace. The lab ends it in any case; *stop* ends it in good order."""

    def __init__(
        self,
        namespace: NetworkNamespace,
        configs: Sequence[Path],
        directory: Path,
        nsgd: Sequence[str] = NSGD,
        service_tags: Path | None = None,
        launcher: Sequence[str] | None = None,
        parameters: Sequence[Path] = (),
    ) -> None:
        """Start it, with its runtime and state directories and its log in *directory*.

        Where another one ran before, this one goes on with its state.

        *launcher* is a command that becomes the one behind it; without, the kernel ends the
        daemon when this process ends.
        """
        self._nsgd = list(nsgd)
        self._log = directory / "nsgd.log"
        self._runtime_directory = directory / "run"
        state_directory = directory / "state"
        for path in (self._runtime_directory, state_directory):
            path.mkdir(exist_ok=True)
        # A killed lab cannot clean up: the kernel then ends the daemon.
        setpriv = shutil.which("setpriv")
        argv = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
        if launcher is not None:
            argv = list(launcher)
        argv += [*self._nsgd, "run", "--config", *(str(path.resolve()) for path in configs)]
        if parameters:
            argv += ["--parameters", *(str(path.resolve()) for path in parameters)]
        argv += ["--runtime-dir", str(self._runtime_directory)]
        argv += ["--state-dir", str(state_directory)]
        if service_tags is not None and service_tags.exists():
            argv += ["--service-tags", str(service_tags.resolve())]
        with self._log.open("wb") as log:
            self._process = namespace.popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=module_environment()
            )

    def wait_until_ready(self) -> dict[str, Any]:
        """The first status that says running. Raises DaemonFailed."""
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while time.monotonic() < deadline:
            self.check()
            status = self._ask()
            if status is not None and status.get("state") == "running":
                return status
            time.sleep(_POLL_S)
        raise DaemonFailed(f"not ready after {_READY_TIMEOUT_S:.0f} s{self._log_end()}")

    def status(self) -> dict[str, Any]:
        """What ``nsgd status -o json`` says. Raises DaemonFailed."""
        self.check()
        status = self._ask()
        if status is None:
            raise DaemonFailed(f"no answer to nsgd status{self._log_end()}")
        return status

    def check(self) -> None:
        """Raise DaemonFailed where the daemon has ended."""
        code = self._process.poll()
        if code is not None:
            raise DaemonFailed(f"ended with exit code {code}{self._log_end()}")

    def kill(self) -> None:
        """Have the kernel end it, as no daemon expects. Raises DaemonFailed."""
        self.check()
        self._process.kill()
        self._process.wait(_STOP_TIMEOUT_S)

    def stop(self) -> None:
        """Ask it to end and wait. Raises DaemonFailed where it ends badly or not."""
        self.check()
        self._process.terminate()
        try:
            code = self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise DaemonFailed(f"does not stop on SIGTERM{self._log_end()}") from None
        if code != 0:
            raise DaemonFailed(f"ended with exit code {code} on SIGTERM{self._log_end()}")

    def _ask(self) -> dict[str, Any] | None:
        argv = [*self._nsgd, "status", "--runtime-dir", str(self._runtime_directory), "-o", "json"]
        try:
            completed = subprocess.run(  # noqa: S603
                argv,
                check=False,
                capture_output=True,
                timeout=_STATUS_TIMEOUT_S,
                env=module_environment(),
            )
            status = json.loads(completed.stdout) if completed.returncode == 0 else None
        except (subprocess.TimeoutExpired, ValueError):
            return None
        return status if isinstance(status, dict) else None

    def _log_end(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        return "".join(f"\n  {line}" for line in lines)
