"""The supervisor: one policy in force, one worker alive, one table in the kernel.

It never touches a packet. A reload is one kernel transaction and one hand-over; whatever goes
wrong on the way leaves the old policy in force.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from nsgd.config.problem import ConfigRefused
from nsgd.model.settings import DaemonSettings, FailureMode, OnStop
from nsgd.ruleset.marks import MarkLayout
from nsgd.runtime.audit_log import AuditLog
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.flows import Flows
from nsgd.runtime.load import LoadedPolicy, load_policy
from nsgd.runtime.loop import Loop
from nsgd.runtime.open_flows import OpenFlows, RefusedByKernel
from nsgd.runtime.state import StateError, has_numbers, load_numbers, save_numbers
from nsgd.runtime.verdict import WorkerPolicy
from nsgd.runtime.worker_process import WorkerError, WorkerProcess

log = logging.getLogger("nsgd")

_RESTART_PAUSES_S = (0.0, 0.1, 0.5, 1.0)
_HEALTHY_AFTER_S = 10.0


class PolicyTable(Protocol):
    """What the supervisor needs of the kernel's table."""

    def install(self, loaded: LoadedPolicy, *, adopting: bool = False) -> None:
        """Write the ruleset of a policy. Raises RefusedByKernel; the old one then stays."""

    def remove(self) -> bool:
        """Delete the table. Returns False where there was none."""


class Supervisor:
    """Owns the policy in force and the worker."""

    def __init__(
        self, paths: Sequence[Path], state_directory: Path, table: PolicyTable, flows: Flows
    ) -> None:
        self.open_flows = OpenFlows(flows)
        self._adopting_until_s: float | None = None
        self._audit_log: AuditLog | None = None
        self._paths = paths
        self._state_directory = state_directory
        self._table = table
        self.loop = Loop()
        self._worker: WorkerProcess | None = None
        self._worker_bytes = b""
        self._worker_started_s = 0.0
        self._quick_deaths = 0
        self._remove_rules = False
        self._has_served = False
        self.lock = threading.Lock()  # a scrape reads while the loop changes
        self.loaded: LoadedPolicy | None = None
        self.counters: SharedCounters | None = None
        self.generation = 0
        self.loaded_at_s = 0.0
        self.reloads_succeeded = 0
        self.reloads_refused = 0
        self.last_reload_succeeded = True
        self.worker_restarts = 0

    @property
    def settings(self) -> DaemonSettings:
        """Settings in force. Raises RuntimeError before the first start."""
        if self.loaded is None:
            raise RuntimeError("no policy is in force yet")
        return self.loaded.settings

    @property
    def worker_pid(self) -> int | None:
        """Process id of the worker; None while there is none."""
        worker = self._worker
        return worker.pid if worker is not None and worker.is_running else None

    def start(self) -> None:
        """Bring the first policy into force.

        The worker comes before the rules: from the first queued packet on somebody answers.

        Raises:
            ConfigRefused, StateError, WorkerError, RefusedByKernel: Nothing was changed, except
                that a table left by an earlier daemon may be in place.
        """
        is_first = not has_numbers(self._state_directory)
        loaded = load_policy(self._paths, load_numbers(self._state_directory), None)
        self.counters = SharedCounters.create(MarkLayout(loaded.settings.mark_mask).capacity)
        self._audit_log = AuditLog(self.counters)
        self.loaded = loaded
        self.generation = 1
        self._worker_bytes = self._for_worker(loaded)
        self._start_worker()
        try:
            # Marks before rules: from the first packet on, an adopted flow is a decided one.
            window_s = self.open_flows.at_start(loaded, is_first=is_first)
            self._table.install(loaded, adopting=window_s > 0)
            save_numbers(self._state_directory, loaded.numbers)
        except RefusedByKernel:
            self._stop_worker()
            raise
        if window_s:
            self._adopting_until_s = time.monotonic() + window_s
        self._has_served = True
        self.loaded_at_s = time.time()
        log.info("policy 1 in force: %s", loaded.summary)

    def reload(self, *, reevaluate: bool = False) -> int:
        """Read all documents again and bring them into force.

        Args:
            reevaluate: Judge every open flow again, by its original direction.

        Returns:
            The new generation.

        Raises:
            ConfigRefused, StateError, RefusedByKernel, WorkerError: The old policy stays.
        """
        try:
            generation = self._reload(reevaluate=reevaluate)
        except (ConfigRefused, StateError, RefusedByKernel, WorkerError) as error:
            with self.lock:
                self.reloads_refused += 1
                self.last_reload_succeeded = False
            problems = error.problems if isinstance(error, ConfigRefused) else (error,)
            for problem in problems:
                log.error("%s", problem)
            log.error(
                "reload refused, %d problem%s, keeping policy %d",
                len(problems),
                "" if len(problems) == 1 else "s",
                self.generation,
            )
            raise
        return generation

    def _reload(self, *, reevaluate: bool) -> int:
        previous = self.loaded
        if previous is None:
            raise RuntimeError("no policy is in force yet")
        loaded = load_policy(self._paths, previous.numbers, previous.settings)
        if loaded.numbers != previous.numbers:
            save_numbers(self._state_directory, loaded.numbers)
        self._table.install(loaded, adopting=self._adopting_until_s is not None)
        with self.lock:
            self.loaded = loaded
            self.generation += 1
            self.loaded_at_s = time.time()
            self.reloads_succeeded += 1
            self.last_reload_succeeded = True
        self._worker_bytes = self._for_worker(loaded)
        if self._worker is not None:
            try:
                self._worker.install(self._worker_bytes)
            except WorkerError as error:
                # A worker that cannot take a policy is replaced by one that starts with it.
                log.error("worker %d took no policy (%s), replacing it", self._worker.pid, error)
                self._replace_worker()
        # After the worker: what it decided by the old policy is in the table by now.
        try:
            self.open_flows.after_reload(previous, loaded, everything=reevaluate)
        except RefusedByKernel as error:
            log.error("policy %d in force, open flows not judged again: %s", self.generation, error)
        log.info("policy %d in force: %s", self.generation, loaded.summary)
        return self.generation

    def _for_worker(self, loaded: LoadedPolicy) -> bytes:
        return WorkerPolicy.build(
            self.generation, loaded.policy, loaded.numbers, loaded.settings
        ).to_bytes()

    def rules_that_stay(self) -> str:
        """What a stop leaves behind, and the way out."""
        is_open = self.settings.failure_mode is FailureMode.OPEN
        return (
            "rules stay in place: decided flows go on, new ones"
            f" {'pass undecided' if is_open else 'are dropped'};"
            " 'nsgd stop --remove-rules' removes them"
        )

    # The loop

    def links_changed(self) -> None:
        """Tell the worker that link names may have changed."""
        if self._worker is not None:
            self._worker.links_changed()

    def request_stop(self, *, remove_rules: bool) -> None:
        """Leave the loop after what is under way."""
        self._remove_rules = remove_rules
        self.loop.stop()

    def run(self, tick: Callable[[], None]) -> None:
        """Serve until asked to stop; *tick* is called at least once a second."""

        def look_around() -> None:
            self._end_adoption()
            if self._audit_log is not None and self.loaded is not None:
                self._audit_log.tick(self.loaded.numbers)
            tick()

        self.loop.run(
            {
                signal.SIGHUP: self._reload_on_signal,
                signal.SIGTERM: lambda: self.request_stop(remove_rules=False),
                signal.SIGINT: lambda: self.request_stop(remove_rules=False),
            },
            look_around,
        )

    def close(self) -> None:
        """End the worker; remove the rules where that was asked for, else leave them in force."""
        if self._has_served and self.settings.on_stop is OnStop.REMOVE:
            self._remove_rules = True
        if self._remove_rules:
            # First the rules: packets that still wait in the queue may yet be decided, and none
            # comes after them.
            self._table.remove()
            log.info("rules removed: traffic passes unfiltered")
        self._stop_worker()
        if self._has_served and not self._remove_rules:
            log.info("%s", self.rules_that_stay())
        self.loop.close()
        if self.counters is not None:
            self.counters.close()

    def _reload_on_signal(self) -> None:
        try:
            self.reload()
        except (ConfigRefused, StateError, RefusedByKernel, WorkerError):
            return  # logged and counted

    def _end_adoption(self) -> None:
        if self._adopting_until_s is None or time.monotonic() < self._adopting_until_s:
            return
        self._adopting_until_s = None
        if self.loaded is not None:
            self._table.install(self.loaded)
            log.info("adoption has ended: TCP of unknown flows is judged from now on")

    # The worker

    def _start_worker(self) -> None:
        if self.counters is None:
            raise RuntimeError("no counters yet")
        capacity = MarkLayout(self.settings.mark_mask).capacity
        worker = WorkerProcess(self.settings, capacity, self.counters, self._worker_bytes)
        self._worker = worker
        self._worker_started_s = time.monotonic()
        self.loop.watch(worker.exit_descriptor, self._worker_died)

    def _stop_worker(self) -> None:
        if self._worker is not None:
            self.loop.unwatch(self._worker.exit_descriptor)
            self._worker.stop()
            self._worker = None

    def _worker_died(self) -> None:
        if self._worker is None:
            return
        lived_s = time.monotonic() - self._worker_started_s
        self._quick_deaths = 0 if lived_s > _HEALTHY_AFTER_S else self._quick_deaths + 1
        log.error("worker %d died, starting another", self._worker.pid)
        self._replace_worker()

    def _replace_worker(self) -> None:
        """Start workers until one serves; meanwhile new flows follow the failure mode."""
        self._stop_worker()
        with self.lock:
            self.worker_restarts += 1
        attempt = self._quick_deaths
        while not self.loop.is_stopping:
            time.sleep(_RESTART_PAUSES_S[min(attempt, len(_RESTART_PAUSES_S) - 1)])
            try:
                self._start_worker()
            except WorkerError as error:
                attempt += 1
                log.error("%s", error)
                if attempt > 2 * len(_RESTART_PAUSES_S):
                    raise
            else:
                return
