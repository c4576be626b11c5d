"""The supervisor's side of a worker process: starts it, writes and reads its channel, ends it.

A process that was started has loaded what a worker consists of, and waits to be told its queue.
Nothing here waits for a worker but stop(): whoever keeps several looks after all of them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from nsgd.runtime import counters as cell
from nsgd.runtime.channel import Channel, Message
from nsgd.runtime.counters import SharedCounters

# Known without importing the worker, which would import the queue's extension module.
_WAKE_SIGNAL = signal.SIGUSR1
_STOP_TIMEOUT_S = 5.0


class WorkerError(Exception):
    """The worker did not start, or did not take a policy."""


class WorkerQueue(NamedTuple):
    """What a worker reads: an NFQUEUE number, and how many packets may wait there."""

    number: int
    length: int


@dataclass(frozen=True, slots=True)
class WorkerPlace:
    """A queue, and where its worker counts; it outlives that worker."""

    queue: WorkerQueue
    counters: SharedCounters
    numbers: int  # decision numbers a side that the counters are for


class WorkerProcess:
    """One process that decides by the policy it was last handed."""

    def __init__(self, places: Sequence[WorkerPlace]) -> None:
        """Start a process that can take any of these places. Raises WorkerError."""
        self._counters: SharedCounters | None = None
        self.serves = False
        self.generation = 0  # of the policy that it decides by
        try:
            self._channel, theirs = Channel.pair()
        except OSError as error:
            raise WorkerError(str(error)) from error
        inherited = (theirs.fileno(), *(place.counters.descriptor for place in places))
        argv = [
            sys.executable,
            "-P",
            "-m",
            "nsgd.runtime.worker",
            f"--parent={os.getpid()}",
            f"--channel={inherited[0]}",
            *(
                f"--place={place.queue.number}:{place.queue.length}"
                f":{place.counters.descriptor}:{place.numbers}"
                for place in places
            ),
        ]
        try:
            self._process = subprocess.Popen(  # noqa: S603
                argv, pass_fds=inherited, stdin=subprocess.DEVNULL
            )
        except OSError as error:
            self._channel.close()
            raise WorkerError(str(error)) from error
        finally:
            theirs.close()
        self.exit_descriptor = -1
        try:
            self.exit_descriptor = os.pidfd_open(self._process.pid)
        except OSError as error:
            self.stop(is_hung=True)
            raise WorkerError(str(error)) from error

    def serve(self, place: WorkerPlace, policy: bytes) -> None:
        """Have it take a place; *serves* tells when it reads the queue. Raises WorkerError."""
        self._counters = place.counters
        self._say(Message("serve", place.queue.number))
        self.install(policy)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Tell whether the process still exists."""
        return self._process.poll() is None

    @property
    def heartbeat_age_s(self) -> float:
        """Seconds since a worker of this place last came back to Python, its timer included."""
        if self._counters is None:
            raise RuntimeError("it has no place yet")
        return (time.monotonic_ns() - self._counters.cells[cell.HEARTBEAT_NS]) / 1e9

    def fileno(self) -> int:
        """For a selector: readable when the worker has said something, or has gone."""
        return self._channel.fileno()

    def read(self) -> None:
        """Take in what the worker has said. Raises WorkerError where it ends, or has ended."""
        while True:
            try:
                message = self._channel.receive()
            except EOFError:
                raise WorkerError(self._how_it_ended()) from None
            if message is None:
                return
            match message.kind:
                case "ready":
                    self.serves = True
                case "installed":
                    self.generation = message.number
                case "failed":
                    raise WorkerError(message.text)

    def install(self, policy: bytes) -> None:
        """Hand a policy over; *generation* tells when the worker decides by it.

        Raises WorkerError.
        """
        self._say(Message("policy", content=policy))

    def change(self, changes: bytes) -> None:
        """As install(), where it has the policy that these are changes of (HandOver.changes)."""
        self._say(Message("changes", content=changes))

    def links_changed(self) -> None:
        """Have the worker look link names up again.

        One that is dying need not, and one that does not read has such a message waiting.
        """
        with suppress(WorkerError):
            self._say(Message("links"))

    def ask_to_end(self) -> None:
        """Tell the process to end; stop() waits for that."""
        if self.is_running:
            self._process.terminate()

    def stop(self, *, is_hung: bool = False) -> None:
        """End the process and wait for it; one that hangs is not asked first."""
        if self.is_running:
            if is_hung:
                self._process.kill()
            else:
                self._process.terminate()
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        # One that the kernel cannot end yet, it will end later.
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_TIMEOUT_S)
        self._channel.close()
        if self.exit_descriptor >= 0:
            os.close(self.exit_descriptor)

    def _say(self, message: Message) -> None:
        try:
            self._channel.send(message)
            # Before that a signal would kill it: its handler is not there yet. What waits in the
            # channel it reads by itself, before it serves or with its first heartbeat.
            if self.serves:
                self._process.send_signal(_WAKE_SIGNAL)
        except OSError as error:
            raise WorkerError(f"the worker is gone: {error}") from error

    def _how_it_ended(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_TIMEOUT_S)
            return f"exit status {self._process.returncode}"
        return "it has closed its channel"
