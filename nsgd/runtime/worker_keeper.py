"""Keeps one worker alive: starts it, hands it policies, replaces it when it dies or hangs.

Nothing here raises once the first worker has served: without a worker new flows follow the
failure mode, and the keeper tries again.
"""

from __future__ import annotations

import logging
import time
from functools import partial

from nsgd.model.settings import DaemonSettings
from nsgd.ruleset.marks import MarkLayout
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.loop import Loop
from nsgd.runtime.worker_process import WorkerError, WorkerProcess

log = logging.getLogger("nsgd")

_PAUSES_S = (0.0, 0.1, 0.5, 1.0)
_HEALTHY_AFTER_S = 10.0
# The worker beats four times a second, whatever the traffic.
HUNG_AFTER_S = 3.0
_SECOND_LOOK_S = 0.5  # this process may have been the one that stood still


class WorkerKeeper:
    """The worker of a supervisor; *restarts* counts replacements."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._settings: DaemonSettings | None = None
        self._counters: SharedCounters | None = None
        self._policy = b""
        self._worker: WorkerProcess | None = None
        self._started_s = 0.0
        self._failures = 0
        self._next_attempt_s = 0.0
        self._stale_since_s: float | None = None
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """Process id; None while there is no worker."""
        worker = self._worker
        return worker.pid if worker is not None and worker.is_running else None

    @property
    def is_alive(self) -> bool:
        """Tell whether the worker has come back to Python lately."""
        worker = self._worker
        return worker is not None and worker.is_running and not self._is_stale(worker)

    def start(self, settings: DaemonSettings, counters: SharedCounters, policy: bytes) -> None:
        """Start the first worker. Raises WorkerError."""
        self._settings, self._counters, self._policy = settings, counters, policy
        self._start()

    def hand_over(self, policy: bytes) -> None:
        """Have the worker decide by another policy; one that does not take it is replaced."""
        self._policy = policy
        if self._worker is None:
            return
        try:
            self._worker.install(policy)
        except WorkerError as error:
            log.error("worker %d took no policy (%s), replacing it", self._worker.pid, error)
            self._replace(is_hung=True)

    def links_changed(self) -> None:
        """Tell the worker that link names may have changed."""
        if self._worker is not None:
            self._worker.links_changed()

    def tend(self) -> None:
        """Look after the worker; called at least once a second."""
        worker = self._worker
        if worker is not None and not worker.is_running:
            self._died(worker)  # the loop, which would tell, is at something long
        elif worker is not None:
            now_s = time.monotonic()
            if not self._is_stale(worker):
                self._stale_since_s = None
            elif self._stale_since_s is None:
                self._stale_since_s = now_s
                self._loop.soon(_SECOND_LOOK_S)
            elif now_s - self._stale_since_s >= _SECOND_LOOK_S:
                log.error("worker %d hangs, replacing it", worker.pid)
                self._replace(is_hung=True)
        elif self._settings is not None and time.monotonic() >= self._next_attempt_s:
            self._try_to_start()

    def stop(self, *, is_hung: bool = False) -> None:
        """End the worker."""
        if self._worker is not None:
            self._loop.unwatch(self._worker.exit_descriptor)
            self._worker.stop(is_hung=is_hung)
            self._worker = None

    def _is_stale(self, worker: WorkerProcess) -> bool:
        lived_s = time.monotonic() - self._started_s
        return min(lived_s, worker.heartbeat_age_s) > HUNG_AFTER_S

    def _start(self) -> None:
        if self._settings is None or self._counters is None:
            raise RuntimeError("there was no first start")
        capacity = MarkLayout(self._settings.mark_mask).capacity
        worker = WorkerProcess(self._settings, capacity, self._counters, self._policy)
        self._worker = worker
        self._started_s = time.monotonic()
        self._stale_since_s = None
        self._loop.watch(worker.exit_descriptor, partial(self._died, worker))

    def _try_to_start(self) -> None:
        try:
            self._start()
        except WorkerError as error:
            self._failures += 1
            self._schedule()
            log.error("%s; trying again", error)

    def _died(self, worker: WorkerProcess) -> None:
        # In one round of the loop it may have been replaced already.
        if worker is self._worker:
            log.error("worker %d died, starting another", worker.pid)
            self._replace()

    def _replace(self, *, is_hung: bool = False) -> None:
        lived_s = time.monotonic() - self._started_s
        self._failures = 0 if lived_s > _HEALTHY_AFTER_S else self._failures + 1
        self.stop(is_hung=is_hung)
        self.restarts += 1
        self._schedule()
        self.tend()

    def _schedule(self) -> None:
        pause_s = _PAUSES_S[min(max(self._failures - 1, 0), len(_PAUSES_S) - 1)]
        self._next_attempt_s = time.monotonic() + pause_s
        self._loop.soon(pause_s)
