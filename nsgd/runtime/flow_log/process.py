"""The flow log's process: hears of flows and denials, and writes; only the supervisor starts it.

It is nobody's bottleneck: the kernel, the worker and the supervisor hand over what they have to say
and never wait. What it could not hear it finds in a dump, and what it could not write it counts.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

from nsgd.kernel.error import KernelError
from nsgd.kernel.flow_events import RECEIVE_BUFFER_BYTES, FlowEvents, dump_flows, look_up_flows
from nsgd.runtime.channel import Channel
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.flow_log import cells as cell
from nsgd.runtime.flow_log.cells import FlowLogCells
from nsgd.runtime.flow_log.giving_way import GivingWay
from nsgd.runtime.flow_log.handover import Handover
from nsgd.runtime.flow_log.logger import FlowLogger
from nsgd.runtime.flow_log.resync import Resync
from nsgd.runtime.flow_log.saved import save_flows, take_flows

log = logging.getLogger("nsgd")

# Events and denials wait for so long where they come, and are then read together: to be woken for
# each costs more than to read it. In the socket there is room for many times as many.
_WAIT_S = 0.05
_EVENTS_AT_ONCE = 4096
_LAST_EVENTS_S, _STOP_TIMEOUT_S = 1.0, 3.0
_NICENESS = 10  # verdicts first, where there are few processors for both


class Process:
    """Waits for what comes, and gives it to the logger."""

    def __init__(
        self,
        channel: Channel,
        logger: FlowLogger,
        cells: FlowLogCells,
        state_directory: Path,
        way: GivingWay,
    ) -> None:
        self._channel = channel
        self._way = way
        self._logger = logger
        self._cells = cells.cells
        self._state_directory = state_directory
        self._is_stopping = False
        self._lost = 0  # events, by this process

    def run(self, since_ms: int, receive_buffer_bytes: int) -> int:
        """Log until told to stop, or until the supervisor is gone."""
        signal.signal(signal.SIGTERM, self._stop)
        # Ctrl-C at a terminal reaches the whole group; the supervisor decides what it means.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        while not self._logger.has_policy:
            select.select([self._channel], [], [])
            if not self._read_channel():
                return 0
        try:
            events = FlowEvents(receive_buffer_bytes)
        except KernelError as error:
            log.error("flow log: %s", error)
            return 1
        saved = take_flows(self._state_directory, _now_ms())
        self._logger.follow(saved, since_ms, _now_ms())
        resync = Resync(self._logger, dump_flows, look_up_flows)
        resync.wanted(0.0)
        marked = self._cells[cell.MARKED]
        is_behind = False
        try:
            while not self._is_stopping:
                is_busy = is_behind or resync.is_dumping or self._logger.is_flushing
                wait_s = 0.0 if is_busy else _WAIT_S
                readable, _, _ = select.select([self._channel], [], [], wait_s)
                if wait_s:
                    self._way.has_rested()
                else:
                    self._way.now()
                self._cells[cell.HEARTBEAT_NS] = time.monotonic_ns()
                # A policy comes ahead of the flows that it decides.
                if readable and not self._read_channel():
                    break
                is_behind = self._read_events(events, resync)
                if self._cells[cell.MARKED] != marked:
                    marked = self._cells[cell.MARKED]
                    resync.soon(time.monotonic())
                resync.step(time.monotonic(), _now_ms())
                self._logger.tick(time.monotonic(), time.time())
            deadline_s = time.monotonic() + _LAST_EVENTS_S
            while self._read_events(events, resync) and time.monotonic() < deadline_s:
                self._cells[cell.HEARTBEAT_NS] = time.monotonic_ns()
        except KernelError as error:
            log.error("flow log: %s", error)
            return 1
        finally:
            events.close()
        self._finish()
        return 0

    def _read_events(self, events: FlowEvents, resync: Resync) -> bool:
        """Tell whether there may be more."""
        before = events.overflows
        found = events.read(_EVENTS_AT_ONCE, self._way.now)
        self._logger.events(found, _now_ms())
        if events.overflows != before:
            self._cells[cell.EVENTS_LOST] += events.lost - self._lost
            self._lost = events.lost
            resync.wanted(time.monotonic())
        return len(found) >= _EVENTS_AT_ONCE

    def _read_channel(self) -> bool:
        """Take what the supervisor says; False where it is gone."""
        try:
            while True:
                message = self._channel.receive()
                if message is None:
                    return True
                if message.content is not None:
                    self._logger.use(Handover.from_bytes(message.content))
                    gc.collect()
        except EOFError:
            return False

    def _finish(self) -> None:
        """Write what there is, and what the next process must know."""
        deadline_s = time.monotonic() + _STOP_TIMEOUT_S
        self._logger.finish(lambda: time.monotonic() < deadline_s, time.time())
        try:
            save_flows(self._state_directory, self._logger.saved(_now_ms()))
        except OSError as error:
            log.error("flow log: open flows cannot be kept for the next start: %s", error)

    def _stop(self, signal_number: int, frame: FrameType | None) -> None:
        self._is_stopping = True


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _give_way() -> None:
    """Let those who decide go first, as far as may be: a system call filter may forbid it."""
    with suppress(OSError):
        os.nice(_NICENESS)
    # A sleeper that wakes takes no processor from those who work.
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def main() -> int:
    """Entry point of the process; its arguments come from the supervisor."""
    parser = argparse.ArgumentParser(prog="nsgd-flow-log")
    parser.add_argument("--channel", type=int, required=True)
    parser.add_argument("--counters", type=int, action="append", required=True)
    parser.add_argument("--cells", type=int, required=True)
    parser.add_argument("--numbers", type=int, required=True)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--since-ms", type=int, default=0)
    parser.add_argument("--receive-buffer", type=int, default=RECEIVE_BUFFER_BYTES)
    arguments = parser.parse_args()
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="nsgd: %(levelname)s: %(message)s"
    )
    _give_way()
    # Hundreds of thousands of flows and records are kept, none of them in a circle: to look through
    # them again and again took half of the time. It is done after each change of the policy.
    gc.disable()
    cells = FlowLogCells(arguments.cells, arguments.numbers)
    areas = [SharedCounters(each, arguments.numbers) for each in arguments.counters]
    way = GivingWay()
    logger = FlowLogger(cells, areas, way)
    channel = Channel.of_descriptor(arguments.channel)
    process = Process(channel, logger, cells, arguments.state_dir, way)
    return process.run(arguments.since_ms, arguments.receive_buffer)


if __name__ == "__main__":
    sys.exit(main())
