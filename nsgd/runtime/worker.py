"""The worker process: binds the queue, decides, counts; started by the supervisor only.

Everything but packets reaches it as a signal, because the binding reads the queue in C and
comes back to Python between packets or when a signal interrupts it. Before it has a queue, it waits
to be told which: one that has started long ago can take a place at once.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from types import FrameType
from typing import NamedTuple

from nsgd.kernel.process import die_with_parent
from nsgd.kernel.queue import PacketQueue, QueueInUseError
from nsgd.runtime import counters as cell
from nsgd.runtime.channel import Channel, Message
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.decision_timer import DecisionTimer
from nsgd.runtime.outcome_cells import OutcomeCells
from nsgd.runtime.packet_handler import packet_handler
from nsgd.runtime.policy_handover import changed_policy
from nsgd.runtime.verdict import VerdictPath
from nsgd.runtime.worker_policy import WorkerPolicy

WAKE_SIGNAL = signal.SIGUSR1
_SIGNALS = (WAKE_SIGNAL, signal.SIGALRM)
# Also catches a wake-up that came between the check for signals and the wait for packets.
_HEARTBEAT_S = 0.25
_TRACEBACKS = 5


class Place(NamedTuple):
    """A queue that this process may be told to serve, as its arguments have it."""

    queue: int
    length: int  # packets that may wait
    counters: int  # descriptor
    numbers: int  # decision numbers a side

    @classmethod
    def of_text(cls, text: str) -> Place:
        """Of QUEUE:LENGTH:COUNTERS:NUMBERS. Raises ValueError."""
        queue, length, counters, numbers = map(int, text.split(":"))
        return cls(queue, length, counters, numbers)


class Worker:
    """One queue, one policy at a time."""

    def __init__(self, channel: Channel, counters: SharedCounters) -> None:
        self._channel = channel
        self._counters = counters
        self._queue: PacketQueue | None = None
        self._timer: DecisionTimer | None = None
        self._path: VerdictPath | None = None
        self._outcome_cells = OutcomeCells(counters)
        self._is_fail_open = False
        self._tracebacks_left = _TRACEBACKS

    def run(self, queue_number: int, queue_length: int) -> int:
        """Wait for a policy, bind, and serve until told to stop."""
        signal.signal(WAKE_SIGNAL, self._wake)
        while self._path is None:
            select.select([self._channel], [], [])
            self._read_channel()
        queue = PacketQueue(queue_number, self._failed)
        handle = packet_handler(self._path, self._outcome_cells, queue.give)
        try:
            queue.bind(queue_length, handle)
        except QueueInUseError as error:
            self._channel.send(Message("failed", text=str(error)))
            return 1
        queue.set_fail_open(self._is_fail_open)
        self._queue = queue
        self._timer = DecisionTimer(self._counters, queue.use_handler, _SIGNALS)
        self._timer.put(handle)
        self._channel.send(Message("ready"))
        signal.signal(signal.SIGALRM, self._wake)
        signal.setitimer(signal.ITIMER_REAL, 0.001, _HEARTBEAT_S)
        queue.run()
        return 0

    def _wake(self, signal_number: int, frame: FrameType | None) -> None:
        self._counters.cells[cell.HEARTBEAT_NS] = time.monotonic_ns()
        # One wake-up inside another could put the handler of the policy before in the place of a
        # newer one's: made before, put after.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            self._read_channel()
            if self._timer is not None and self._queue is not None:
                if self._queue.is_idle:
                    self._timer.settle()
                if signal_number == signal.SIGALRM:
                    self._timer.arm()
        except Exception:
            # Inside a packet's verdict it would be taken for that packet's fault. A worker that
            # cannot take a policy must be replaced.
            traceback.print_exc()
            raise SystemExit(1) from None
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _read_channel(self) -> None:
        while True:
            try:
                message = self._channel.receive()
            except EOFError:
                raise SystemExit(1) from None
            if message is None:
                return
            if message.kind == "links" and self._path is not None:
                # With names of links looked up anew.
                self._use_policy(self._path)
            elif message.kind == "policy" and message.content is not None:
                self._install(WorkerPolicy.from_bytes(message.content))
            elif message.kind == "changes" and message.content is not None:
                if self._path is None:
                    raise ValueError("changes of a policy, and there is none")
                self._install(changed_policy(self._path.lookups.policy, message.content))

    def _install(self, policy: WorkerPolicy) -> None:
        before = None if self._path is None else self._path.lookups
        self._path = VerdictPath(policy, self._counters, before)
        self._is_fail_open = policy.is_fail_open
        told = partial(self._tell_installed, policy.generation)
        self._use_policy(self._path, told)
        if self._queue is None:
            told()
        else:
            self._queue.set_fail_open(policy.is_fail_open)
        self._counters.cells[cell.GENERATION] = policy.generation

    def _tell_installed(self, generation: int) -> None:
        """No packet is under way that was decided by an older policy."""
        if self._queue is not None:
            self._queue.send_verdicts()
        self._channel.send(Message("installed", generation))

    def _use_policy(self, path: VerdictPath, told: Callable[[], None] | None = None) -> None:
        """Have the queue's packets decided by it, where the queue is served already."""
        if self._queue is not None and self._timer is not None:
            # One reference: a packet is decided by the old policy or by the new one.
            handle = packet_handler(path, self._outcome_cells, self._queue.give)
            self._timer.put(handle, told)

    def _failed(self) -> None:
        self._counters.cells[cell.INTERNAL_ERRORS] += 1
        if self._tracebacks_left:
            self._tracebacks_left -= 1
            traceback.print_exc()


def await_place(channel: Channel, places: Sequence[Place]) -> Place:
    """The place that the supervisor has this process take, whenever that may be."""
    while True:
        select.select([channel], [], [])
        try:
            message = channel.receive()
        except EOFError:
            raise SystemExit(1) from None
        for place in places:
            if message is not None and (message.kind, message.number) == ("serve", place.queue):
                return place


def _stop(signal_number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def main() -> int:
    """Entry point of the process; its arguments come from the supervisor."""
    parser = argparse.ArgumentParser(prog="nsgd-worker")
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--channel", type=int, required=True)
    parser.add_argument("--place", type=Place.of_text, action="append", required=True)
    arguments = parser.parse_args()
    die_with_parent(arguments.parent)
    signal.signal(signal.SIGTERM, _stop)
    # Ctrl-C at a terminal reaches the whole group; the supervisor decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    channel = Channel.of_descriptor(arguments.channel)
    place = await_place(channel, arguments.place)
    for other in arguments.place:
        if other is not place:
            os.close(other.counters)
    worker = Worker(channel, SharedCounters(place.counters, place.numbers))
    return worker.run(place.queue, place.length)


if __name__ == "__main__":
    sys.exit(main())
