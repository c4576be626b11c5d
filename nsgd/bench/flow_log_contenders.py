"""Contenders of ``nsgd bench --flow-log``: each alone, and with a process that hears of flows."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nsgd.bench.contenders import PLAIN_CONTENDERS, ContenderFailed, Running
from nsgd.bench.policies import Size, policy_document
from nsgd.bench.queue_program import READY
from nsgd.bench.running_daemon import RunningDaemon, start_daemon
from nsgd.lab.netns import NetworkNamespace
from nsgd.lab.traffic import module_environment

FLUSH_S = 1
_CONNTRACK = tuple(
    (f"net.netfilter.nf_conntrack_{n}", "1") for n in ("acct", "events", "timestamp")
)
_READER = "nsgd.bench.event_reader"


class Log(Protocol):
    """A process that hears of flows."""

    @property
    def pid(self) -> int:
        """The process."""

    def counted(self) -> dict[str, int]:
        """``events`` or ``records`` that it has had, and ``lost`` events or times, so far."""


@dataclass(slots=True)
class _NsgdLog:
    daemon: RunningDaemon
    pid: int

    def counted(self) -> dict[str, int]:
        state = self.daemon.status()["flowLog"]
        return {"records": sum(state["records"].values()), "lost": state["eventsLost"]}


@dataclass(slots=True)
class _Reader:
    process: subprocess.Popen[str]

    @property
    def pid(self) -> int:
        return self.process.pid

    def counted(self) -> dict[str, int]:
        self.process.send_signal(signal.SIGUSR1)
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline() or "{}")
        if not told:
            raise ContenderFailed("the reader of events has ended")
        return {"events": told["begun"] + told["ended"], "lost": told["overflows"]}


Start = Callable[[NetworkNamespace, Path], tuple[Running, Log | None]]


def start_one_rule(gateway: NetworkNamespace, directory: Path) -> tuple[Running, Log | None]:
    """nft with one rule, and nobody who hears of flows."""
    (contender,) = (each for each in PLAIN_CONTENDERS if each.name == "one-rule")
    return contender.start(gateway, directory), None


def start_reader(gateway: NetworkNamespace, directory: Path) -> tuple[Running, Log | None]:
    """The same with the bare reader, and conntrack as nsgd sets it for a log."""
    running, _ = start_one_rule(gateway, directory)
    gateway.sysctl(_CONNTRACK)
    process = start_program(gateway, _READER)
    return running, _Reader(process)


def starter(engine: str, size: Size, policy: str, *, logs: bool) -> Start:
    """What starts nsgd with an engine, and with a flow log or without."""

    def start(gateway: NetworkNamespace, directory: Path) -> tuple[Running, Log | None]:
        document = policy_document(policy, size, engine)
        if logs:
            log = {"path": str(directory / "log"), "flushSeconds": FLUSH_S}
            document["daemon"]["flowLog"] = log
        path = directory / "policy.json"
        path.write_text(json.dumps(document))
        started = time.perf_counter()
        running = start_daemon(gateway, directory, path)
        if not logs:
            return running, None
        # It says so once it listens.
        running.wait_for(lambda said: "flow log: azure at" in said, started)
        pid = running.status()["flowLog"]["pid"]
        return running, _NsgdLog(running, pid)

    return start


def start_program(gateway: NetworkNamespace, module: str, *options: str) -> subprocess.Popen[Any]:
    """Start one of the benchmark's programs, and wait for its word. Raises ContenderFailed."""
    process = gateway.popen(
        [sys.executable, "-m", module, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=module_environment(),
    )
    assert process.stdout is not None
    if process.stdout.readline().strip() != READY:
        raise ContenderFailed(f"{module} does not start")
    return process
