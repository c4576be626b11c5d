"""Times a few packets a second on their way through a worker; no other packet pays for it.

A packet is timed where a handler of its own stands for the worker's until that packet is done: to
ask of each packet whether it is to be timed would cost more than all that is to be learnt. In the
same way the first packet after another policy tells that those before it are done.
"""

from __future__ import annotations

import signal
import time
from bisect import bisect_left
from collections.abc import Callable, Collection

from nsgd.runtime import counters as cell
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.packet_handler import Handler, QueuedPacket

# The tick itself takes the processor's caches; what comes right after it is not like the rest.
_PASSED_BY = 3


class DecisionTimer:
    """Stands between a queue and its handler now and then."""

    def __init__(
        self,
        counters: SharedCounters,
        use: Callable[[Handler], None],
        signals: Collection[signal.Signals],
    ) -> None:
        """Time nothing yet.

        Args:
            counters: Where times are counted.
            use: Has the queue hand packets to a handler.
            signals: Those from whose handlers this object is called.
        """
        self._cells = counters.cells
        self._use = use
        self._signals = signals
        self._handle: Handler | None = None
        self._to_pass_by = 0
        self._before_next: Callable[[], None] | None = None

    def put(self, handle: Handler, before_next: Callable[[], None] | None = None) -> None:
        """Hand packets to another handler from now on.

        *before_next* is called once: when the packet is done that may be under way, before the next
        one or by settle(). Where it is called another time, the last one counts.
        """
        self._handle = handle
        self._before_next = before_next or self._before_next
        self._use(handle if self._before_next is None else self._first)

    def settle(self) -> None:
        """No packet is under way: call what waits for that."""
        before_next, self._before_next = self._before_next, None
        if before_next is not None and self._handle is not None:
            self._use(self._handle)
            before_next()

    def arm(self) -> None:
        """Time one of the next packets."""
        if self._handle is not None and self._before_next is None:
            self._to_pass_by = _PASSED_BY
            self._use(self._time)

    def _time(self, packet: QueuedPacket) -> None:
        if self._handle is None:
            raise RuntimeError("there is no handler yet")
        if self._to_pass_by:
            self._to_pass_by -= 1
            self._handle(packet)
            return
        # A policy that comes now would be put under the one that is looked up here.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, self._signals)
        try:
            handle = self._handle
            self._use(handle if self._before_next is None else self._first)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        started_ns = time.perf_counter_ns()
        handle(packet)
        took_ns = time.perf_counter_ns() - started_ns
        self._cells[cell.DECISIONS_TIMED + bisect_left(cell.DECISION_BOUNDS_NS, took_ns)] += 1
        self._cells[cell.DECISION_NS] += took_ns

    def _first(self, packet: QueuedPacket) -> None:
        if self._handle is None:
            raise RuntimeError("there is no handler yet")
        before = signal.pthread_sigmask(signal.SIG_BLOCK, self._signals)
        try:
            self.settle()
            handle = self._handle
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        handle(packet)
