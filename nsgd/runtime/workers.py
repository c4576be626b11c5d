"""All workers of a supervisor, one for each queue."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nsgd.model.settings import DaemonSettings
from nsgd.ruleset.marks import MarkLayout
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.loop import Loop
from nsgd.runtime.policy_handover import HandOver
from nsgd.runtime.spare_worker import SpareWorker
from nsgd.runtime.worker_keeper import START_TIMEOUT_S, WorkerKeeper
from nsgd.runtime.worker_process import WorkerError, WorkerPlace, WorkerQueue

_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A worker as it is shown; *pid* is None while none serves the queue."""

    queue_number: int
    pid: int | None
    restarts: int


class Workers:
    """Keeps a worker for each queue of the settings, each by itself."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._keepers: tuple[WorkerKeeper, ...] = ()
        self._spare: SpareWorker | None = None

    @property
    def counters(self) -> Sequence[SharedCounters]:
        """The area of each queue; none before open()."""
        return [keeper.counters for keeper in self._keepers]

    @property
    def states(self) -> Sequence[WorkerState]:
        """Each worker as it is now, by queue."""
        return [WorkerState(k.queue.number, k.pid, k.restarts) for k in self._keepers]

    @property
    def are_alive(self) -> bool:
        """Tell whether the heart of every worker beats."""
        return all(keeper.is_alive for keeper in self._keepers)

    def open(self, settings: DaemonSettings) -> None:
        """Make a place for each worker, where its counters are."""
        capacity = MarkLayout(settings.mark_mask).capacity
        places = [
            WorkerPlace(
                WorkerQueue(number, settings.queue_length),
                SharedCounters.create(capacity),
                capacity,
            )
            for number in settings.queue_numbers
        ]
        spare = self._spare = SpareWorker(self._loop, places)
        self._keepers = tuple(WorkerKeeper(self._loop, p, spare.new_process) for p in places)

    def start(self, policy: HandOver) -> None:
        """Start the first workers, all at once, and wait until each serves its queue.

        Raises:
            WorkerError: One does not; the others are still there.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        try:
            for keeper in self._keepers:
                keeper.start(policy)
            policy.forget()
            for keeper in self._keepers:
                while not keeper.serves:
                    if time.monotonic() >= deadline:
                        raise WorkerError(f"no answer within {START_TIMEOUT_S:.0f} s")
                    keeper.wait(_LOOK_S)
                    keeper.listen()
        except WorkerError as error:
            raise WorkerError(f"worker did not start: {error}") from error

    def hand_over(self, policy: HandOver, meanwhile: Callable[[], None]) -> None:
        """Have every worker decide by another policy, and wait until none decides by an older.

        One after the other, so that only one queue at a time waits while its worker reads the
        policy. A worker that does not take it is replaced by one that has it from the start.

        Args:
            policy: The policy. One that has the policy before gets the changes.
            meanwhile: Looks after all workers; called many times a second.
        """
        for keeper in self._keepers:
            keeper.set_policy(policy)
        for keeper in self._keepers:
            keeper.hand_over()
            while keeper.decides_by_older:
                # First the wait: what it ends with is heard of meanwhile, and not waited for again.
                keeper.wait(_LOOK_S)
                meanwhile()
        policy.forget()

    def links_changed(self) -> None:
        """Tell the workers that link names may have changed."""
        for keeper in self._keepers:
            keeper.links_changed()

    def tend(self) -> None:
        """Look after each worker; called at least once a second.

        What else the supervisor has to do waits a moment for a worker that starts: it would take
        the processor from it.
        """
        for keeper in self._keepers:
            keeper.tend()
        while starting := [keeper for keeper in self._keepers if keeper.started_lately]:
            starting[0].wait(_LOOK_S)
            for keeper in self._keepers:
                keeper.tend()

    @property
    def exit_descriptors(self) -> Sequence[int]:
        """Readable when tend() has a worker to replace."""
        found = (keeper.exit_descriptor for keeper in self._keepers)
        return [descriptor for descriptor in found if descriptor is not None]

    def keep_spare(self) -> None:
        """Have a process for the next worker that dies; called when all else is done."""
        if self._spare is not None:
            self._spare.tend()

    def stop(self) -> None:
        """End the workers."""
        if self._spare is not None:
            self._spare.stop()
        for keeper in self._keepers:
            keeper.ask_to_end()
        for keeper in self._keepers:
            keeper.stop()

    def close(self) -> None:
        """Let the counters go, of workers that have ended."""
        for keeper in self._keepers:
            keeper.counters.close()
        self._keepers = ()
