"""The machine: what it is, how busy it is, how much memory a process takes."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")
_KERNEL_THREADS = 2  # their parent


@dataclass(frozen=True, slots=True)
class CpuReading:
    """Idle time of all processors together, at a moment."""

    time_us: float
    idle_us: float
    stolen_us: float
    processors: int

    @classmethod
    def now(cls) -> CpuReading:
        """Read /proc/stat, whose unit is 10 ms.

        Idle time is measured by the kernel at each change; busy time would be sampled by ticks.
        """
        lines = Path("/proc/stat").read_text().splitlines()
        fields = [int(field) for field in lines[0].split()[1:]]
        processors = sum(line.startswith("cpu") for line in lines) - 1
        idle = (fields[3] + fields[4]) * _TICK_US
        return cls(time.monotonic() * 1e6, idle, fields[7] * _TICK_US, processors)

    def busy_us_since(self, before: CpuReading) -> float:
        """Processor time that was neither idle nor taken by another machine."""
        available = (self.time_us - before.time_us) * self.processors
        return available - (self.idle_us - before.idle_us) - (self.stolen_us - before.stolen_us)

    def idle_processors_since(self, before: CpuReading) -> float:
        """How many processors were idle, on the average."""
        return (self.idle_us - before.idle_us) / (self.time_us - before.time_us)


class ProcessorTime:
    """Processor time that a stretch of time costs the whole machine, from start to *stop*."""

    def __init__(self) -> None:
        self.used_us = 0.0
        self.others_load = 0.0
        self._others_us = _other_programs_us()
        self._before = CpuReading.now()

    def stop(self) -> None:
        """Fill in *used_us*, which leaves other programs out, and *others_load* in processors.

        Other programs' time is sampled by ticks, and what the kernel does for them in interrupts
        is not in it: on a quiet machine there is nothing to correct.
        """
        after = CpuReading.now()
        others_us = max(0.0, _other_programs_us() - self._others_us)
        self.used_us = after.busy_us_since(self._before) - others_us
        self.others_load = others_us / (after.time_us - self._before.time_us)


def _other_programs_us() -> float:
    """Processor time of all programs but this one and its descendants, ended ones included."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        pid = int(path.parent.name)
        parents[pid] = int(fields[1])
        # User, system, and both of children that were waited for.
        ticks[pid] = sum(int(field) for field in fields[11:15])

    def is_other(pid: int) -> bool:
        while pid not in (os.getpid(), _KERNEL_THREADS):
            if pid <= 1:
                return True
            pid = parents.get(pid, 0)
        return False

    return sum(count for pid, count in ticks.items() if is_other(pid)) * _TICK_US


def processor_time_us(pid: int) -> float:
    """Processor time that a process has had, but for threads that have ended by now.

    Raises OSError where it is gone.
    """
    process = Path(f"/proc/{pid}")
    if not (process / "schedstat").exists():
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * _TICK_US
    # In nanoseconds, where the kernel was built with it.
    spent = 0
    for thread in (process / "task").iterdir():
        with contextlib.suppress(OSError):
            spent += int((thread / "schedstat").read_text().split()[0])
    return spent / 1000


def with_descendants(pids: Iterable[int]) -> list[int]:
    """Processes, their children and so on, as far as they live."""
    found = []
    waiting = list(pids)
    while waiting:
        process = Path(f"/proc/{waiting.pop()}")
        found.append(int(process.name))
        try:
            threads = list((process / "task").iterdir())
        except OSError:
            continue  # it has ended
        for thread in threads:
            with contextlib.suppress(OSError):
                waiting += map(int, (thread / "children").read_text().split())
    return found


def softirq_threads() -> list[int]:
    """PIDs of the kernel's threads that do what interrupts have put off, one a processor."""
    found = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            name = path.read_text()
        except OSError:
            continue  # it has ended
        if name.startswith("ksoftirqd/"):
            found.append(int(path.parent.name))
    return found


def resident_mib(pid: int) -> float:
    """Memory of a process in RAM. Raises OSError where it is gone."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(f"process {pid} has no memory")


def describe() -> dict[str, object]:
    """What a reader must know about the machine to compare numbers."""
    packages: dict[str, str | None] = {}
    for name in ("nsgd", "netfilterqueue", "pyroute2", "scapy"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = None
    return {
        "kernel": platform.release(),
        "cpu": _cpu_model(),
        "processors": os.cpu_count(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "packages": packages,
        "conntrackMax": _read_int("/proc/sys/net/netfilter/nf_conntrack_max"),
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _read_int(path: str) -> int | None:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):
        return None
