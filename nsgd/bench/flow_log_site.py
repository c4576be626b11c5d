"""A gateway under flows that begin and end, with a process that hears of them or without."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nsgd.bench.contenders import ContenderFailed, Running
from nsgd.bench.flow_log_contenders import Log, Start, start_program
from nsgd.bench.machine import processor_time_us
from nsgd.bench.network import BenchNetwork
from nsgd.lab.netns import Lab


@dataclass(slots=True)
class FlowLogSite:
    """One contender in a network of its own."""

    network: BenchNetwork
    running: Running
    log: Log | None
    ender: subprocess.Popen[str]  # deletes flows some time after they have begun
    first: int  # of the frames that begin flows; those before it were the warm-up

    def begin_flows(self, rate: float, count: int, lifetime_s: float) -> None:
        """Have so many flows begin and end; the first ends when it is so old."""
        self.network.request_flows(rate, 60.0, count, first=self.first)
        assert self.ender.stdin is not None
        request = {"rate": rate, "count": count, "delayS": lifetime_s}
        self.ender.stdin.write(json.dumps(request) + "\n")
        self.ender.stdin.flush()

    def wait_for_ends(self) -> None:
        """Until the last flow has been ended; all have begun, and the generator has answered."""
        assert self.ender.stdout is not None
        if not self.ender.stdout.readline():
            raise RuntimeError("the process that ends flows has died")

    def log_us(self) -> float:
        """Processor time that the log has had. Raises ContenderFailed."""
        try:
            return 0.0 if self.log is None else processor_time_us(self.log.pid)
        except OSError as error:
            raise ContenderFailed(f"the process that hears of flows has ended: {error}") from error

    def check(self) -> None:
        """Raise ContenderFailed where it has ended, or flows were none."""
        self.running.check()
        counts = self.network.conntrack_counts()
        if counts.invalid:
            raise ContenderFailed(f"conntrack calls {counts.invalid} packets invalid")


@contextmanager
def flow_log_site(
    start: Start, frames: Path, warm_up: int, rate: float, most: int
) -> Iterator[FlowLogSite]:
    """A contender in a fresh gateway, that has had some flows. Raises ContenderFailed.

    Args:
        start: Starts it.
        frames: The file of all flows.
        warm_up: Flows that it is to have had, by which each NIC's file is there.
        rate: Of these, a second.
        most: Flows that begin_flows() will be asked for.
    """
    with tempfile.TemporaryDirectory(prefix="nsgd-bench-") as directory, Lab() as lab:
        network = BenchNetwork(lab, frames)
        running, log = start(network.gateway, Path(directory))
        options = f"--frames={frames}", f"--first={warm_up}", f"--count={most}"
        ender = start_program(network.gateway, "nsgd.bench.ender", *options)
        network.request_flows(rate, 60.0, warm_up)
        network.generator_answer()
        network.wait_until_quiet()
        network.forget_flows()
        yield FlowLogSite(network, running, log, ender, warm_up)
