"""``nsgd run`` in a gateway, as a user would start it: its log, its answers, its reloads."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from nsgd.bench.contenders import ContenderFailed, Running
from nsgd.lab.netns import NetworkNamespace
from nsgd.lab.traffic import module_environment

_NSGD = (sys.executable, "-m", "nsgd")
_READY_TIMEOUT_S = 120.0
_POLL_S = 0.002
_LOG_LINES = 10
_MODULES = "nsgd.cli, nsgd.daemon, nsgd.runtime.worker"


@cache
def compiled_environment() -> dict[str, str]:
    """An environment in which nsgd's modules are compiled already, as an installation has them.

    Python compiles what it cannot find compiled, half a second's work, at each start where it may
    not keep the result (PYTHONDONTWRITEBYTECODE): then they are kept elsewhere for this process.
    """
    environment = module_environment()
    if environment.pop("PYTHONDONTWRITEBYTECODE", ""):
        environment["PYTHONPYCACHEPREFIX"] = directory = tempfile.mkdtemp(prefix="nsgd-bench-")
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
    argv = [sys.executable, "-c", f"import {_MODULES}"]
    subprocess.run(argv, check=True, env=environment)  # noqa: S603
    return environment


@dataclass(slots=True)
class RunningDaemon(Running):
    """The daemon, with log, state and control socket in *directory*."""

    process: subprocess.Popen[Any] | None = None
    directory: Path = Path()
    change_rule: Callable[[], None] | None = None  # writes documents with one rule changed
    # From the start until the control socket and the worker were there; None where none was.
    socket_s: float | None = None
    worker_s: float | None = None

    def ask(self, verb: str, *options: str) -> str:
        """What the command prints. Raises ContenderFailed."""
        argv = [*_NSGD, verb, "--runtime-dir", str(self.directory / "run"), *options]
        completed = subprocess.run(  # noqa: S603
            argv, check=False, capture_output=True, text=True, env=compiled_environment()
        )
        if completed.returncode != 0:
            raise ContenderFailed(f"nsgd {verb}: {completed.stderr.strip()}{self.last_words()}")
        return completed.stdout

    def status(self) -> dict[str, Any]:
        """The status as JSON. Raises ContenderFailed."""
        status: dict[str, Any] = json.loads(self.ask("status", "-o", "json"))
        return status

    def reload_s(self) -> float | None:
        if self.change_rule is None:
            return None
        self.change_rule()
        before = time.perf_counter()
        self.ask("reload")
        return time.perf_counter() - before

    def rule_hits(self) -> dict[str, dict[str, int]] | None:
        hits: dict[str, dict[str, int]] = {}
        for entry in self.status()["ruleHits"]:
            group = hits.setdefault(f"{entry['networkSecurityGroup']} {entry['direction']}", {})
            group[entry["rule"]] = entry["hits"]
        return hits

    def check(self) -> None:
        if self.process is not None and self.process.poll() is not None:
            raise ContenderFailed(f"it has ended{self.last_words()}")

    def wait_until_ready(self, started: float) -> None:
        """Wait for the log's word that the policy is in force. Raises ContenderFailed."""

        def is_ready(log: str) -> bool:
            self._note_progress(started)
            return "in force" in log

        self.wait_for(is_ready, started)
        self.apply_s = time.perf_counter() - started

    def _note_progress(self, started: float) -> None:
        """What can be seen from outside while the log is silent."""
        if self.socket_s is None and any((self.directory / "run").iterdir()):
            self.socket_s = time.perf_counter() - started
        if self.worker_s is None and self.socket_s is not None and self.process is not None:
            pid = self.process.pid
            with contextlib.suppress(OSError):  # wait_for tells that it has ended
                if Path(f"/proc/{pid}/task/{pid}/children").read_text():
                    self.worker_s = time.perf_counter() - started

    def reload_by_signal_s(self, write: Callable[[], None]) -> float:
        """From the moment before documents are written until they are in force.

        Args:
            write: Writes them; SIGHUP follows.

        Raises:
            ContenderFailed: They are refused, or it takes too long.
        """
        generation = self.log().count(" in force: ") + 1

        def is_done(log: str) -> bool:
            if "reload refused" in log:
                raise ContenderFailed(f"the reload was refused{self.last_words()}")
            return f"policy {generation} in force: " in log

        before = time.perf_counter()
        write()
        os.kill(self.processes["supervisor"], signal.SIGHUP)
        self.wait_for(is_done, before)
        return time.perf_counter() - before

    def wait_for(self, is_there: Callable[[str], bool], started: float) -> None:
        """Wait for something in the log. Raises ContenderFailed when it takes too long."""
        deadline = started + _READY_TIMEOUT_S
        while not is_there(self.log()):
            self.check()
            if time.perf_counter() > deadline:
                raise ContenderFailed(
                    f"not ready after {_READY_TIMEOUT_S:.0f} s{self.last_words()}"
                )
            time.sleep(_POLL_S)

    def log(self) -> str:
        """Everything that the daemon has said."""
        return (self.directory / "nsgd.log").read_text(errors="replace")

    def last_words(self) -> str:
        return "".join(f"\n  {line}" for line in self.log().splitlines()[-_LOG_LINES:])


def start_daemon(
    gateway: NetworkNamespace,
    directory: Path,
    config: Path,
    options: Sequence[str] = (),
    change_rule: Callable[[], None] | None = None,
) -> RunningDaemon:
    """Start the daemon and wait until its policy is in force.

    Args:
        gateway: Where it runs.
        directory: For its log, state and control socket; empty.
        config: The document, or the directory of documents.
        options: Of ``nsgd run``, others than these.
        change_rule: See RunningDaemon.

    Raises:
        ContenderFailed: With the end of its log.
    """
    setpriv = shutil.which("setpriv")
    argv = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
    argv += [*_NSGD, "run", "--config", str(config), *options]
    argv += ["--runtime-dir", str(directory / "run"), "--state-dir", str(directory / "state")]
    for name in ("run", "state"):
        (directory / name).mkdir()
    environment = compiled_environment()
    started = time.perf_counter()
    with (directory / "nsgd.log").open("wb") as log:
        process = gateway.popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
        )
    processes = {"supervisor": process.pid}
    running = RunningDaemon(None, processes, process, directory, change_rule)
    running.wait_until_ready(started)
    worker = running.status()["worker"]["pid"]
    if worker is not None:
        processes["worker"] = worker
    return running
