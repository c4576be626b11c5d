"""Keeps one worker alive: starts it, hands it policies, replaces it when it dies or hangs.

Nothing here raises once the first worker has served: without a worker new flows of its queue
follow the failure mode, and the keeper tries again. Nor does anything wait, so that a worker
that does not start or hangs keeps nobody from looking after the others.
"""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Callable
from functools import partial

from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.loop import Loop
from nsgd.runtime.policy_handover import HandOver
from nsgd.runtime.worker_process import WorkerError, WorkerPlace, WorkerProcess, WorkerQueue

log = logging.getLogger("nsgd")

_PAUSES_S = (0.0, 0.1, 0.5, 1.0)
_HEALTHY_AFTER_S = 10.0
# The worker beats four times a second, whatever the traffic.
HUNG_AFTER_S = 3.0
_SOON_S = 1.0
_SECOND_LOOK_S = 0.5  # this process may have been the one that stood still
# Each less than the unit's WatchdogSec, which is not fed meanwhile.
START_TIMEOUT_S = 9.0
HAND_OVER_TIMEOUT_S = 8.0


class WorkerKeeper:
    """The worker of one queue.

    Its counters belong to the queue and not to the worker: another one goes on with them.
    """

    def __init__(
        self, loop: Loop, place: WorkerPlace, new_process: Callable[[], WorkerProcess]
    ) -> None:
        """Keep a worker in a place once start() was called.

        Args:
            loop: Tells of what workers say, and of their ends.
            place: Which queue, and where it is counted.
            new_process: Makes a process that can take the place, or raises WorkerError.
        """
        self._loop = loop
        self._new_process = new_process
        self._policy: HandOver | None = None
        self._started_with = 0  # generation of the present worker's first policy
        self._handed = 0  # and of the last one that it was handed
        self._worker: WorkerProcess | None = None
        self._started_s = 0.0
        self._serves_since_s: float | None = None
        self._handed_s: float | None = None  # since when a policy has not been taken
        self._failures = 0
        self._next_attempt_s = 0.0
        self._stale_since_s: float | None = None
        self.place = place
        self.restarts = 0

    @property
    def queue(self) -> WorkerQueue:
        """The queue that is served."""
        return self.place.queue

    @property
    def counters(self) -> SharedCounters:
        """What the workers of this place have counted."""
        return self.place.counters

    @property
    def exit_descriptor(self) -> int | None:
        """Readable when the worker has ended; None where there is none."""
        return None if self._worker is None else self._worker.exit_descriptor

    @property
    def pid(self) -> int | None:
        """Process id of the worker; None while none serves."""
        worker = self._worker
        return worker.pid if worker is not None and worker.serves and worker.is_running else None

    @property
    def is_alive(self) -> bool:
        """Tell whether the worker has come back to Python lately."""
        worker = self._worker
        return self.pid is not None and worker is not None and not self._is_stale(worker)

    @property
    def serves(self) -> bool:
        """Tell whether a worker has bound the queue, to wait for the first one."""
        return self._worker is not None and self._worker.serves

    @property
    def started_lately(self) -> bool:
        """Tell whether a worker is starting and may be expected to serve soon."""
        worker = self._worker
        age_s = time.monotonic() - self._started_s
        return worker is not None and not worker.serves and age_s < _SOON_S

    @property
    def _generation(self) -> int:
        """That of the policy to decide by; 0 before there is one."""
        return 0 if self._policy is None else self._policy.generation

    @property
    def decides_by_older(self) -> bool:
        """Tell whether the worker may decide by an older policy than the last one."""
        worker = self._worker
        return worker is not None and self._generation not in (
            self._started_with,
            worker.generation,
        )

    def start(self, policy: HandOver) -> None:
        """Start the first worker and do not wait for it. Raises WorkerError."""
        self.set_policy(policy)
        self._start(policy)

    def listen(self) -> None:
        """Take in what the first worker has said. Raises WorkerError where it cannot serve."""
        worker = self._worker
        if worker is None:
            raise WorkerError("there is none")
        self._take_in(worker)
        if not worker.serves and not worker.is_running:
            raise WorkerError("it has ended")

    def set_policy(self, policy: HandOver) -> None:
        """Have every worker that is started from now on decide by this policy."""
        self._policy = policy

    def hand_over(self) -> None:
        """Have the present worker decide by it too; one that does not take it is replaced."""
        worker, policy = self._worker, self._policy
        if worker is None or policy is None or not self.decides_by_older:
            return
        try:
            if policy.changes and policy.changes_of == self._handed:
                worker.change(policy.changes)
            else:
                worker.install(policy.whole())
            self._handed = policy.generation
            self._handed_s = time.monotonic()
        except WorkerError as error:
            self._takes_no_policy(worker, error)

    def wait(self, timeout_s: float) -> None:
        """Wait until the worker has said something, or has gone."""
        if self._worker is not None:
            select.select([self._worker], [], [], timeout_s)

    def links_changed(self) -> None:
        """Tell the worker that link names may have changed."""
        if self._worker is not None:
            self._worker.links_changed()

    def tend(self) -> None:
        """Look after the worker; called at least once a second."""
        worker, now_s = self._worker, time.monotonic()
        if worker is None:
            # Before the first start there is nothing that a worker could decide by.
            if self._policy is not None and now_s >= self._next_attempt_s:
                self._try_to_start(self._policy)
            return
        # The loop, which would tell, may be at something long.
        if not self._hear(worker):
            return
        if not worker.is_running:
            self._died(worker)
        elif not worker.serves:
            if now_s - self._started_s >= START_TIMEOUT_S:
                error = WorkerError(f"no answer within {START_TIMEOUT_S:.0f} s")
                self._did_not_start(error, is_hung=True)
        elif self._handed_s is not None:
            # It may take long to read a policy, and has no heartbeat meanwhile but the one with
            # which it begins.
            handed_for_s = now_s - self._handed_s
            has_begun = worker.heartbeat_age_s < handed_for_s
            limit_s = HAND_OVER_TIMEOUT_S if has_begun else HUNG_AFTER_S
            if handed_for_s >= limit_s:
                error = WorkerError(f"no answer within {limit_s:.0f} s")
                self._takes_no_policy(worker, error)
        elif not self._is_stale(worker):
            self._stale_since_s = None
        elif self._stale_since_s is None:
            self._stale_since_s = now_s
            self._loop.soon(_SECOND_LOOK_S)
        elif now_s - self._stale_since_s >= _SECOND_LOOK_S:
            log.error("worker %d of queue %d hangs, replacing it", worker.pid, self.queue.number)
            self._replace(is_hung=True)

    def ask_to_end(self) -> None:
        """Tell the worker to end; stop() waits for that."""
        if self._worker is not None:
            self._worker.ask_to_end()

    def stop(self, *, is_hung: bool = False) -> None:
        """End the worker."""
        if self._worker is not None:
            self._loop.unwatch(self._worker.exit_descriptor)
            self._loop.unwatch(self._worker)
            self._worker.stop(is_hung=is_hung)
            self._worker = None

    def _is_stale(self, worker: WorkerProcess) -> bool:
        if self._serves_since_s is None:
            return False
        served_s = time.monotonic() - self._serves_since_s
        return min(served_s, worker.heartbeat_age_s) > HUNG_AFTER_S

    def _start(self, policy: HandOver) -> None:
        worker = self._new_process()
        try:
            worker.serve(self.place, policy.whole())
        except WorkerError:
            worker.stop(is_hung=True)
            raise
        self._worker = worker
        self._started_with = self._handed = policy.generation
        self._started_s = time.monotonic()
        self._serves_since_s = self._handed_s = self._stale_since_s = None
        self._loop.watch(worker.exit_descriptor, partial(self._died, worker))
        self._loop.watch(worker, partial(self._said, worker))

    def _try_to_start(self, policy: HandOver) -> None:
        try:
            self._start(policy)
        except WorkerError as error:
            self._did_not_start(error)

    def _take_in(self, worker: WorkerProcess) -> None:
        worker.read()
        if worker.serves and self._serves_since_s is None:
            self._serves_since_s = time.monotonic()
        if worker.generation == self._generation:
            self._handed_s = None

    def _said(self, worker: WorkerProcess) -> None:
        self._hear(worker)

    def _hear(self, worker: WorkerProcess) -> bool:
        """Take in what it has said; False where that was its end."""
        if worker is not self._worker:
            return False  # in one round of the loop it may have been replaced already
        try:
            self._take_in(worker)
        except WorkerError as error:
            if worker.serves:
                self._died(worker)
            else:
                self._did_not_start(error)
            return False
        return True

    def _died(self, worker: WorkerProcess) -> None:
        if worker is not self._worker:
            return
        if worker.serves:
            number = self.queue.number
            log.error("worker %d of queue %d died, starting another", worker.pid, number)
            self._replace()
        elif self._hear(worker):  # which would have told why
            self._did_not_start(WorkerError("it has ended"))

    def _takes_no_policy(self, worker: WorkerProcess, error: WorkerError) -> None:
        number = self.queue.number
        log.error(
            "worker %d of queue %d took no policy (%s), replacing it", worker.pid, number, error
        )
        self._replace(is_hung=True)

    def _did_not_start(self, error: WorkerError, *, is_hung: bool = False) -> None:
        self.stop(is_hung=is_hung)
        self._failures += 1
        self._schedule()
        log.error("worker did not start: %s; trying again", error)

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
