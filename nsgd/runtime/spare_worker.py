"""A worker process that waits for a place, so that the next one that dies is replaced at once.

Most of what a worker's start takes is the interpreter's and of loading code, a multiple of what
reading the policy takes, and on a busy machine a second goes by until it has had the processor for
that. A spare has it behind itself, and holds no policy, which a reload would have to renew.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from nsgd.runtime.loop import Loop
from nsgd.runtime.worker_process import WorkerError, WorkerPlace, WorkerProcess

log = logging.getLogger("nsgd")

# Its start takes the processor from the worker that has just taken the last one's place.
_AFTER_USE_S = 1.0
_AFTER_FAILURE_S = 60.0


class SpareWorker:
    """At most one such process, for whichever place needs it first."""

    def __init__(self, loop: Loop, places: Sequence[WorkerPlace]) -> None:
        self._loop = loop
        self._places = places
        self._process: WorkerProcess | None = None
        self._not_before_s = 0.0

    def new_process(self) -> WorkerProcess:
        """The spare, or where there is none a process that has just been started.

        Raises WorkerError.
        """
        spare = self._process
        if spare is not None:
            self._let_go()
            self._not_before_s = time.monotonic() + _AFTER_USE_S
            if spare.is_running:
                return spare
            spare.stop(is_hung=True)
        return WorkerProcess(self._places)

    def tend(self) -> None:
        """Have a spare; called when nothing else is to be done."""
        if self._process is not None or time.monotonic() < self._not_before_s:
            return
        try:
            self._process = WorkerProcess(self._places)
        except WorkerError as error:
            self._fail(error)
        else:
            self._loop.watch(self._process.exit_descriptor, self._ended)

    def stop(self) -> None:
        """End it."""
        spare = self._process
        if spare is not None:
            self._let_go()
            # It has nothing to bring to an end.
            spare.stop(is_hung=True)

    def _ended(self) -> None:
        spare = self._process
        if spare is not None:
            self._let_go()
            spare.stop()
            self._fail(WorkerError(f"process {spare.pid} has ended"))

    def _fail(self, error: WorkerError) -> None:
        self._not_before_s = time.monotonic() + _AFTER_FAILURE_S
        log.warning(
            "no spare worker: %s; trying again in %.0f s, meanwhile a worker that dies is replaced"
            " more slowly",
            error,
            _AFTER_FAILURE_S,
        )

    def _let_go(self) -> None:
        if self._process is not None:
            self._loop.unwatch(self._process.exit_descriptor)
            self._process = None
