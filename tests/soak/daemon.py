"""The daemon of a soak as a process tree: its workers, what they hold, and what the table holds."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from nsgd.runtime.control_client import ControlError, request, request_parts
from tests.kernel.network import Network
from tests.soak.history import History
from tests.soak.policies import InForce, policy

_TIMEOUT_S = 120.0
_TABLE = ("nft", "-j", "list", "table", "inet", "nsgd")


class DaemonTrouble(Exception):
    """The daemon did not do what it was asked to; the text says what."""


class SoakedDaemon:
    """Changes, kills and measures; one thing at a time, whatever the thread."""

    def __init__(self, net: Network, first: InForce, queues: int = 1) -> None:
        """Start it, with so many workers."""
        self._net, self._queues = net, queues
        self.history = History(first)
        self._lock = threading.Lock()  # held while there must be a worker, or none
        self.counts: Counter[str] = Counter()
        self._write(first)
        net.restart()
        self.socket = net.directory / "run" / "nsgd.sock"

    def reload(self, to: InForce) -> None:
        """Bring another policy into force."""
        with self.history.change(to):
            self._write(to)
            try:
                request(self.socket, "reload", _TIMEOUT_S)
            except ControlError as error:
                raise DaemonTrouble(f"reload: {error} {error.problems}") from error
        self.counts["reloads"] += 1

    def kill_a_worker(self) -> None:
        """With SIGKILL, and wait until the queue has another reader."""
        with self._lock:
            pid = self.supervisor
            before = workers(pid)
            if not before:
                raise DaemonTrouble("there is no worker")
            with self.history.fault():
                os.kill(before[self.counts["worker kills"] % len(before)], signal.SIGKILL)
                self._wait_for_readers(pid, before)
            self.counts["worker kills"] += 1

    def _wait_for_readers(self, pid: int, before: list[int]) -> None:
        deadline_s = time.monotonic() + 60
        while True:
            now = workers(pid)
            if len(now) == len(before) and now != before:
                return
            if time.monotonic() > deadline_s:
                raise DaemonTrouble(f"no other worker within 60 s: {before}, {now}")
            time.sleep(0.01)

    def restart(self, *, is_killed: bool) -> None:
        """End the supervisor, by its command or by SIGKILL, and start another."""
        with self._lock:
            daemon = self._net.daemon
            assert daemon is not None
            with self.history.fault():
                if is_killed:
                    daemon.kill()
                    daemon.wait(60)
                else:
                    request(self.socket, "stop", _TIMEOUT_S, removeRules=False)
                    if daemon.wait(60) != 0:
                        raise DaemonTrouble(f"the daemon ended with {daemon.returncode}")
                self._net.start_daemon()
                self._wait_until_it_serves()
            self.counts["supervisor kills" if is_killed else "supervisor stops"] += 1

    def _wait_until_it_serves(self) -> None:
        assert self._net.daemon is not None
        deadline_s = time.monotonic() + 120
        while True:
            try:
                status = request(self.socket, "status", 5.0)
            except ControlError:
                if time.monotonic() > deadline_s or self._net.daemon.poll() is not None:
                    raise
                time.sleep(0.05)
                continue
            if status["worker"]["up"]:
                return

    @property
    def supervisor(self) -> int:
        """Its process id."""
        return self._net.daemon_pid

    def status(self) -> dict[str, Any]:
        """As ``nsgd status -o json``."""
        return request(self.socket, "status", _TIMEOUT_S)

    def list_flows(self) -> int:
        """Ask for the decided flows, all of them; how many there are."""
        return sum(len(part.get("flows", ())) for part in request_parts(self.socket, "flows"))

    def sample(self) -> dict[str, Any]:
        """Memory, descriptors and objects of this moment; settled where no change came into it."""
        begun_s = time.monotonic()
        with self._lock:
            pid = self.supervisor
            of_workers = workers(pid)
            in_force = self.history.current
            made: dict[str, Any] = {
                "policy": in_force.number,
                "engine": in_force.engine,
                "supervisor": _process(pid),
                "workers": [_process(each) for each in of_workers],
                "table": self._table_objects(),
                "flows": self.list_flows(),
            }
        # A reload may have come into it.
        made["isSettled"] = len(self.history.in_force(begun_s, time.monotonic())) == 1
        return made

    def _table_objects(self) -> dict[str, int]:
        listed = json.loads(self._net.gateway.run(_TABLE, timeout_s=60).stdout)["nftables"]
        counts: Counter[str] = Counter()
        for entry in listed:
            for kind, value in entry.items():
                counts[kind] += 1
                counts["elements"] += len(value.get("elem", ())) if kind in ("set", "map") else 0
        del counts["metainfo"]
        return dict(sorted(counts.items()))

    def _write(self, to: InForce) -> None:
        settings = {"engine": to.engine, "queues": self._queues}
        self._net.write({**policy(to.number), "daemon": settings})

    def log_faults(self) -> list[str]:
        """Lines of the daemon's log that no run should have."""
        words = ("Traceback", "hangs", "internal error", "CRITICAL")
        with self._net.log.open(errors="replace") as log:
            return [line.rstrip() for line in log if any(word in line for word in words)][:20]


def workers(supervisor: int) -> list[int]:
    """Process ids of a supervisor's workers, zombies and the spare one left out."""
    found: list[int] = []
    readers = queue_readers(supervisor)
    for children in Path(f"/proc/{supervisor}/task").glob("*/children"):
        for text in _read(children).split():
            command = _read(Path(f"/proc/{text}/cmdline"))
            if "nsgd.runtime.worker" in command.split("\0") and int(text) in readers:
                found.append(int(text))
    return sorted(found)


def queue_readers(pid: int) -> set[int]:
    """Port ids of queues' readers in a process' network namespace: their process ids, mostly."""
    lines = _read(Path(f"/proc/{pid}/net/netfilter/nfnetlink_queue")).splitlines()
    return {int(line.split()[1]) for line in lines}


def _process(pid: int) -> dict[str, int]:
    status = dict(
        line.split(":", 1)
        for line in _read(Path(f"/proc/{pid}/status")).splitlines()
        if ":" in line
    )
    try:
        descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        descriptors = 0
    resident = status.get("VmRSS", "0").split()[0]
    anonymous = status.get("RssAnon", "0").split()[0]
    return {
        "pid": pid,
        "rssKiB": int(resident),
        "anonymousKiB": int(anonymous),
        "descriptors": descriptors,
        "threads": int(status.get("Threads", "0")),
    }


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""  # it has ended
