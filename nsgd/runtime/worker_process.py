"""The supervisor's side of a worker: start it, hand it policies, notice its death."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress

from nsgd.model.settings import DaemonSettings
from nsgd.runtime import counters as cell
from nsgd.runtime.channel import Channel, Message
from nsgd.runtime.counters import SharedCounters

# Known without importing the worker, which would import the queue's extension module.
_WAKE_SIGNAL = signal.SIGUSR1
# Each less than the unit's WatchdogSec, which is not fed meanwhile.
_START_TIMEOUT_S = 9.0
_HAND_OVER_TIMEOUT_S = 8.0
_STOP_TIMEOUT_S = 5.0


class WorkerError(Exception):
    """The worker did not start, or did not take a policy."""


class WorkerProcess:
    """One running worker that decides by the policy it was last handed."""

    def __init__(
        self, settings: DaemonSettings, numbers: int, counters: SharedCounters, policy: bytes
    ) -> None:
        """Start a worker and wait until it serves the queue. Raises WorkerError."""
        self._counters = counters
        self.exit_descriptor = -1
        try:
            self._channel, theirs = Channel.pair()
        except OSError as error:
            raise WorkerError(f"worker did not start: {error}") from error
        inherited = (theirs.fileno(), counters.descriptor)
        argv = [
            sys.executable,
            "-P",
            "-m",
            "nsgd.runtime.worker",
            f"--parent={os.getpid()}",
            f"--channel={inherited[0]}",
            f"--counters={inherited[1]}",
            f"--numbers={numbers}",
            f"--queue={settings.queue_number}",
            f"--queue-length={settings.queue_length}",
        ]
        try:
            self._process = subprocess.Popen(  # noqa: S603
                argv, pass_fds=inherited, stdin=subprocess.DEVNULL
            )
        except OSError as error:
            self._channel.close()
            raise WorkerError(f"worker did not start: {error}") from error
        finally:
            theirs.close()
        try:
            # No wake-up: a signal would kill it before its handler is there. It waits for its
            # first policy by itself.
            self._channel.send(Message("policy", content=policy))
            self._await("ready", _START_TIMEOUT_S)
            self.exit_descriptor = os.pidfd_open(self._process.pid)
        except (WorkerError, OSError) as error:
            self.stop()
            raise WorkerError(f"worker did not start: {error}") from error

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
        """Seconds since the worker last came back to Python, its timer included."""
        return (time.monotonic_ns() - self._counters.cells[cell.HEARTBEAT_NS]) / 1e9

    def install(self, policy: bytes) -> None:
        """Hand a policy over and wait until the worker decides by it. Raises WorkerError."""
        try:
            self._channel.send(Message("policy", content=policy))
            self._wake()
        except OSError as error:
            raise WorkerError(f"the worker is gone: {error}") from error
        self._await("installed", _HAND_OVER_TIMEOUT_S)

    def links_changed(self) -> None:
        """Have the worker look link names up again.

        One that is dying need not, and one that does not read has such a message waiting.
        """
        try:
            self._channel.send(Message("links"))
        except OSError:
            return
        self._wake()

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

    def _wake(self) -> None:
        self._process.send_signal(_WAKE_SIGNAL)

    def _await(self, kind: str, timeout_s: float) -> Message:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            readable, _, _ = select.select([self._channel], [], [], 0.05)
            if not readable:
                if self._process.poll() is not None:
                    raise WorkerError(f"exit status {self._process.returncode}")
                continue
            try:
                message = self._channel.receive()
            except EOFError:
                self._process.kill()
                self._process.wait()
                raise WorkerError(f"exit status {self._process.returncode}") from None
            if message is None:
                continue
            if message.kind == "failed":
                raise WorkerError(message.text)
            if message.kind == kind:
                return message
        raise WorkerError(f"no answer within {timeout_s:.0f} s")
