"""The checks of one engine and one failure mode, in their order: a daemon's life with packets."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from nsgd.lab.netns import Lab
from nsgd.lab.subject import NSGD, DaemonFailed, DaemonUnderTest
from nsgd.lab.traffic import module_environment
from nsgd.selftest.finding import Finding, State
from nsgd.selftest.network import PROBES, Connection, Probe, Site, traffic
from nsgd.selftest.policy import PORTS, document

_ALLOWED = frozenset(probe for probe in PROBES if PORTS[probe[1:]])
_WORKER_TIMEOUT_S = 15.0
_RELOADS = 3
_ROUNDS = 3


class CheckFailed(Exception):
    """What was found instead."""


class Life:
    """One daemon from its first start to the end of its rules."""

    def __init__(self, site: Site, directory: Path, engine: str, failure_mode: str) -> None:
        self._site, self._directory = site, directory
        self._engine, self._mode = engine, failure_mode
        self._config = directory / "policy.json"
        self._config.write_bytes(document(engine, failure_mode))
        self._daemon: DaemonUnderTest | None = None
        self._connection: Connection | None = None
        self._rounds = 0  # of probes, since the daemon serves

    def steps(self) -> tuple[tuple[str, Callable[[], str]], ...]:
        """Names of checks and what does them; each returns a detail or raises."""
        return (
            ("without nsgd everything passes", self._open),
            ("the daemon starts", self._start),
            ("allowed passes, denied does not; IPv4 and IPv6, TCP and UDP", self._enforced),
            ("rules are counted", self._counted),
            ("reloads under traffic lose nothing and let nothing through", self._reload),
            ("the worker is killed: open connections go on, another one serves", self._worker),
            ("the daemon is killed: open connections go on", self._killed),
            ("new flows meanwhile follow engine and failure mode", self._alone),
            ("it starts again and takes its rules over", self._again),
            ("it is stopped and the rules are removed: everything passes", self._removed),
        )

    def _running(self) -> DaemonUnderTest:
        if self._daemon is None:
            raise CheckFailed("no daemon runs")
        return self._daemon

    def _expect(self, expected: frozenset[Probe]) -> None:
        for _ in range(_ROUNDS):
            found = self._site.answered()
            self._rounds += 1
            # A busy machine may be late with an answer; what is denied is never to pass.
            if not expected - found or found - expected:
                break
        wrong = [
            f"{protocol} {port} over IPv{version} {'passes' if probe in found else 'is dropped'}"
            for probe in sorted(found ^ expected)
            for version, protocol, port in (probe,)
        ]
        if wrong:
            raise CheckFailed(", ".join(wrong))

    def _open(self) -> str:
        self._expect(frozenset(PROBES))
        return ""

    def _start(self) -> str:
        self._daemon = DaemonUnderTest(self._site.gateway, [self._config], self._directory)
        status = self._daemon.wait_until_ready()
        if status["engine"] != self._engine or status["failureMode"] != self._mode:
            raise CheckFailed(f"it runs with {status['engine']} and {status['failureMode']}")
        return f"nsgd {status['version']}"

    def _enforced(self) -> str:
        self._rounds = 0
        self._expect(_ALLOWED)
        self._connection = Connection(self._site)
        return ""

    def _counted(self) -> str:
        hits = {row["rule"]: row["hits"] for row in self._running().status()["ruleHits"]}
        # Two families each, and the connection that stays open; four probes are denied.
        each = 2 * self._rounds
        expected = {"Allowtcp80": each + 1, "Allowudp53": each, "DenyAllInBound": 2 * each}
        found = {rule: hits.get(rule, 0) for rule in expected}
        if found != expected:
            raise CheckFailed(f"{found}, and not {expected}")
        return ""

    def _reload(self) -> str:
        before = self._running().status()["generation"]
        with traffic(self._site) as stop:
            for _ in range(_RELOADS):
                self._nsgd("reload")
            sent, arrived, through = stop()
        generation = self._running().status()["generation"]
        if generation != before + _RELOADS:
            raise CheckFailed(f"policy {generation} is in force, and not {before + _RELOADS}")
        if (arrived, through) != (sent, 0):
            raise CheckFailed(f"of {sent} flows each, {arrived} and {through} arrived")
        return f"{sent} flows each"

    def _worker(self) -> str:
        pid = self._running().status()["worker"]["pid"]
        os.kill(pid, signal.SIGKILL)
        self._require_connection()
        deadline_s = time.monotonic() + _WORKER_TIMEOUT_S
        while (worker := self._running().status()["worker"])["pid"] in (pid, None):
            if time.monotonic() > deadline_s:
                raise CheckFailed(f"none after {_WORKER_TIMEOUT_S:g} s")
            time.sleep(0.05)
        self._expect(_ALLOWED)
        return f"process {worker['pid']} in place of {pid}"

    def _killed(self) -> str:
        worker = self._running().status()["worker"]["pid"]
        self._running().kill()
        deadline_s = time.monotonic() + _WORKER_TIMEOUT_S
        while Path(f"/proc/{worker}").exists():
            if time.monotonic() > deadline_s:
                raise CheckFailed("its worker lives on")
            time.sleep(0.02)
        self._require_connection()
        return ""

    def _alone(self) -> str:
        if self._engine == "kernel":
            self._expect(_ALLOWED)
            return "decided by nftables"
        if self._mode == "open":
            self._expect(frozenset(PROBES))
            return "all pass"
        self._expect(frozenset())
        return "all are dropped"

    def _again(self) -> str:
        self._daemon = DaemonUnderTest(self._site.gateway, [self._config], self._directory)
        self._daemon.wait_until_ready()
        self._expect(_ALLOWED)
        self._require_connection()
        return ""

    def _removed(self) -> str:
        self._nsgd("stop", "--remove-rules")
        self._expect(frozenset(PROBES))
        return ""

    def _require_connection(self) -> None:
        if self._connection is None or not self._connection.works():
            raise CheckFailed("an open connection stands still")

    def _nsgd(self, *words: str) -> None:
        """Run a verb as its user would."""
        directory = ("--runtime-dir", str(self._directory / "run"))
        command = [*NSGD, *words, *directory]
        done = self._site.gateway.run(["env", *_assignments(), *command], check=False)
        if done.returncode:
            raise CheckFailed(f"nsgd {words[0]} exits with {done.returncode}: {done.stderr}")

    def close(self) -> None:
        """End what is open."""
        if self._connection is not None:
            self._connection.close()


def _assignments() -> Iterator[str]:
    environment = module_environment()
    return (f"{name}={environment[name]}" for name in ("PYTHONPATH",) if name in environment)


def live(directory: Path, engine: str, failure_mode: str) -> Iterator[Finding]:
    """All checks of one engine and failure mode; what needs a check that failed is skipped."""
    with Lab() as lab, Site(lab) as site:
        life = Life(site, directory, engine, failure_mode)
        with contextlib.closing(life):
            failed = ""
            for name, check in life.steps():
                if failed:
                    state, detail = State.SKIPPED, f"'{failed}' failed"
                else:
                    state, detail = _tried(check)
                    failed = name if state is State.FAILED else ""
                yield Finding(name, state, detail, engine, failure_mode)


def _tried(check: Callable[[], str]) -> tuple[State, str]:
    try:
        return State.PASSED, check()
    except (CheckFailed, DaemonFailed, OSError, KeyError, subprocess.SubprocessError) as error:
        return State.FAILED, str(error) or type(error).__name__
