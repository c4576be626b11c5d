"""Keeps the flow log's process as the settings say: starts it, hands it policies, replaces it.

Nothing here raises or waits, but for the stop: what does not log does not keep flows from being
decided. Where there is no process, events are lost, and it says so.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from nsgd.model.settings import Mode
from nsgd.ruleset.marks import MarkLayout
from nsgd.runtime.channel import Channel, Message
from nsgd.runtime.counters import DENIALS_WRITTEN, SharedCounters
from nsgd.runtime.denials import DenialRing, DenialWriter
from nsgd.runtime.flow_log import cells as cell
from nsgd.runtime.flow_log.attribution import Attribution
from nsgd.runtime.flow_log.cells import FlowLogCells
from nsgd.runtime.flow_log.conntrack_settings import turn_on
from nsgd.runtime.flow_log.handover import Handover
from nsgd.runtime.load import LoadedPolicy
from nsgd.runtime.loop import Loop

log = logging.getLogger("nsgd")

_PAUSES_S = (0.0, 0.5, 2.0, 10.0)
_HEALTHY_AFTER_S = 60.0
# A disk may make it wait; events are lost then, and found again.
HUNG_AFTER_S = 60.0
_STOP_TIMEOUT_S = 5.0


class FlowLogKeeper:
    """The process, where flows are to be logged; *restarts* counts replacements."""

    def __init__(self, loop: Loop, state_directory: Path) -> None:
        self._loop = loop
        self._state_directory = state_directory
        self._areas: Sequence[SharedCounters] = ()
        self._numbers = 0
        self._handover = b""  # empty where flows are not to be logged
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._exit_descriptor = -1
        self._started_s = self._next_attempt_s = 0.0
        self._failures = 0
        self.cells: FlowLogCells | None = None  # None until flows are first to be logged
        self._missing: tuple[str, ...] = ()  # what conntrack does not keep, as told
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """Process id; None while there is none."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def is_wanted(self) -> bool:
        """Tell whether flows are to be logged."""
        return bool(self._handover)

    def follow(self, loaded: LoadedPolicy, areas: Sequence[SharedCounters]) -> DenialWriter | None:
        """Log by a policy from now on, or not at all; workers tell of denials in *areas*.

        Returns:
            Where denials of the kernel engine go; None where nobody logs them.
        """
        settings = loaded.settings
        self._areas = areas
        self._numbers = MarkLayout(settings.mark_mask).capacity
        if settings.flow_log is None:
            self._handover = b""
            self.stop()
            return None
        if self.cells is None:
            self.cells = FlowLogCells.create(self._numbers)
        if not self.is_wanted:
            # What comes from now on is logged, however long the process takes to start.
            counts = self.cells.cells
            counts[cell.LOGGED_UNTIL_MS] = time.time_ns() // 1_000_000
            rings: tuple[DenialRing, ...] = (self.cells, *areas)
            for index, ring in zip(cell.DENIALS_READ, rings, strict=False):
                counts[index] = ring.cells[DENIALS_WRITTEN]
        attribution = Attribution.build(
            loaded.model, loaded.policy.endpoint_map, loaded.numbers, settings.mark_mask
        )
        is_audit = settings.mode is Mode.AUDIT
        self._handover = Handover(settings.flow_log, not is_audit, attribution).to_bytes()
        if self._channel is not None:
            self._send(self._channel)
        self.tend()
        return None if is_audit else DenialWriter(self.cells)

    def marked(self) -> None:
        """Marks of flows were changed: what decisions let through that are no more is logged."""
        if self.cells is not None:
            self.cells.cells[cell.MARKED] += 1

    def tend(self) -> None:
        """Look after the process; called at least once a second."""
        if not self.is_wanted:
            return
        now_s = time.monotonic()
        if self._process is None:
            if now_s >= self._next_attempt_s:
                self._start()
        elif self._process.poll() is not None:
            self._died(self._process)
        elif self._heartbeat_age_s(now_s) > HUNG_AFTER_S:
            log.error("the flow log's process %d hangs, replacing it", self._process.pid)
            self._process.kill()

    def stop(self) -> None:
        """End the process, which writes what it has."""
        process = self._process
        if process is None:
            return
        self._forget()
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            # One that a disk keeps from dying, the kernel ends later.
            with suppress(subprocess.TimeoutExpired):
                process.wait(1.0)

    def close(self) -> None:
        """End the process and let the cells go."""
        self.stop()
        self._handover = b""
        if self.cells is not None:
            self.cells.close()
            self.cells = None

    def _heartbeat_age_s(self, now_s: float) -> float:
        beat_s = self.cells.cells[cell.HEARTBEAT_NS] / 1e9 if self.cells is not None else now_s
        return now_s - max(beat_s, self._started_s)

    def _start(self) -> None:
        if self.cells is None:
            return
        missing = tuple(turn_on())
        if missing != self._missing:
            self._missing = missing
            for line in missing:
                log.warning("%s", line)
        try:
            self._channel, theirs = Channel.pair()
        except OSError as error:
            self._failed(str(error))
            return
        areas = [area.descriptor for area in self._areas]
        inherited = theirs.fileno(), self.cells.descriptor, *areas
        argv = [
            sys.executable,
            "-P",
            "-m",
            "nsgd.runtime.flow_log.process",
            f"--channel={inherited[0]}",
            f"--cells={inherited[1]}",
            *(f"--counters={area}" for area in areas),
            f"--numbers={self._numbers}",
            f"--state-dir={self._state_directory}",
            f"--since-ms={self.cells.cells[cell.LOGGED_UNTIL_MS]}",
        ]
        try:
            self._process = subprocess.Popen(  # noqa: S603
                argv, pass_fds=inherited, stdin=subprocess.DEVNULL
            )
            self._exit_descriptor = os.pidfd_open(self._process.pid)
        except OSError as error:
            self._failed(str(error))
            return
        finally:
            theirs.close()
        self._started_s = time.monotonic()
        self._loop.watch(self._exit_descriptor, partial(self._died, self._process))
        self._send(self._channel)

    def _send(self, channel: Channel) -> None:
        # A process that is dying need not hear of it; the next one will.
        with suppress(OSError):
            channel.send(Message("policy", content=self._handover))

    def _died(self, process: subprocess.Popen[bytes]) -> None:
        if process is not self._process:
            return
        status = process.poll()
        if status is None:
            return
        self.restarts += 1
        lived_s = time.monotonic() - self._started_s
        self._failures = 0 if lived_s > _HEALTHY_AFTER_S else self._failures
        self._forget()
        self._failed(f"exit status {status}")

    def _failed(self, why: str) -> None:
        self._failures += 1
        pause_s = _PAUSES_S[min(self._failures - 1, len(_PAUSES_S) - 1)]
        self._next_attempt_s = time.monotonic() + pause_s
        self._loop.soon(pause_s)
        log.error("the flow log's process does not run (%s); starting it again", why)

    def _forget(self) -> None:
        if self._exit_descriptor >= 0:
            self._loop.unwatch(self._exit_descriptor)
            os.close(self._exit_descriptor)
            self._exit_descriptor = -1
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        self._process = None
