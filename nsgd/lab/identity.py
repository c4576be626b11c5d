"""Which process a number meant: a process id alone is given to others again."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path

_START_TIME_FIELD = 19  # counted behind the command's name, proc(5) field 22


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process: its number, its start in clock ticks after boot, and which boot."""

    pid: int
    start: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """That of a process that runs; None where there is none, or it is dead already."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # The name in parentheses may hold anything.
        fields = stat.rpartition(")")[2].split()
        if fields[0] in "ZX":
            return None
        return cls(pid, int(fields[_START_TIME_FIELD]), boot_id())

    @classmethod
    def parse(cls, text: str) -> ProcessIdentity | None:
        """Read what str() wrote; None where it is cut short."""
        parts = text.split()
        if len(parts) != 3 or not (parts[0].isdigit() and parts[1].isdigit()):
            return None
        return cls(int(parts[0]), int(parts[1]), parts[2])

    def __str__(self) -> str:
        return f"{self.pid} {self.start} {self.boot}"

    @property
    def is_running(self) -> bool:
        """Tell whether this very process still runs."""
        return ProcessIdentity.of(self.pid) == self

    def end(self, timeout_s: float) -> bool:
        """Ask it to end, then kill it; True where it ran. No other process is ever signalled."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            # From here on the descriptor means one process, which is ours or is let alone.
            if not self.is_running:
                return False
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(descriptor, number)
                poll = select.poll()
                poll.register(descriptor, select.POLLIN)
                if poll.poll(timeout_s * 1000):
                    break
            return True
        finally:
            os.close(descriptor)


def boot_id() -> str:
    """Differs after each boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
