"""What flow logging costs: one contender, with or without a log, under flows that begin and end.

Processor time is measured from the first flow until the last has ended and all is written, so that
whatever a flow costs is in it; first packets are timed while as many others begin and end.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nsgd.bench.contenders import ContenderFailed
from nsgd.bench.flow_log_contenders import FLUSH_S, Log, Start, start_program
from nsgd.bench.machine import CpuReading, ProcessorTime, processor_time_us
from nsgd.bench.measure import measure_flood
from nsgd.bench.network import BenchNetwork
from nsgd.bench.options import FLOW_LOG_RATE
from nsgd.bench.probes import first_packet_latencies_us
from nsgd.bench.statistics import percentile
from nsgd.lab.netns import Lab

_LIFETIME_S = 1.5  # less than flows may be idle in this network
# A log has written all once it has done next to nothing for longer than from flush to flush.
_REST_S, _MOST_RESTS, _RESTING_SHARE = FLUSH_S + 0.2, 10, 0.03
_RAMP_S = 0.2
_LOAD_PER_PROBE_S = 0.0025
_AFTER_FLOOD_S = 1.0  # a log may be behind, and find then that events were lost
_EVENTS_PER_FLOW = 2


@dataclass(frozen=True, slots=True)
class FlowLogPlan:
    """How long, and how much."""

    rate: float  # new flows a second
    paced_s: float
    probes: int
    flood_s: float
    # Flows by which each NIC's file is there, and each rule's name known, before all that.
    warm_up: int = 6000


FULL_FLOW_LOG = FlowLogPlan(rate=FLOW_LOG_RATE, paced_s=3.0, probes=800, flood_s=0.7)
QUICK_FLOW_LOG = FlowLogPlan(rate=5_000, paced_s=0.5, probes=30, flood_s=0.3)


@dataclass(slots=True)
class _Ender:
    """Deletes flows some time after they have begun, in a process of its own."""

    process: subprocess.Popen[str]

    def request(self, rate: float, count: int) -> None:
        """Begin with the time that passes until the first flow ends."""
        assert self.process.stdin is not None
        request = {"rate": rate, "count": count, "delayS": _LIFETIME_S}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def wait(self) -> None:
        """Until the last has ended."""
        assert self.process.stdout is not None
        if not self.process.stdout.readline():
            raise RuntimeError("the process that ends flows has died")


@dataclass(slots=True)
class _Bench:
    network: BenchNetwork
    ender: _Ender
    log: Log | None
    plan: FlowLogPlan
    values: dict[str, float] = field(default_factory=dict)


def measure_flow_log(start: Start, frames: Path, plan: FlowLogPlan) -> dict[str, float]:
    """Values of one contender in a fresh gateway. Raises ContenderFailed."""
    with tempfile.TemporaryDirectory(prefix="nsgd-bench-") as directory, Lab() as lab:
        network = BenchNetwork(lab, frames)
        running, log = start(network.gateway, Path(directory))
        most = int(plan.rate * max(plan.paced_s, plan.probes * _LOAD_PER_PROBE_S)) + 1
        options = f"--frames={frames}", f"--first={plan.warm_up}", f"--count={most}"
        ender = _Ender(start_program(network.gateway, "nsgd.bench.ender", *options))
        bench = _Bench(network, ender, log, plan)
        network.request_flows(plan.rate, 60.0, plan.warm_up)
        network.generator_answer()
        network.wait_until_quiet()
        network.forget_flows()
        if log is not None:
            _wait_until_written(log)
        with _counted(bench, ""):
            _measure_paced(bench)
        _measure_latency(bench)
        with _counted(bench, "Unpaced"):
            bench.values |= measure_flood(network, plan.flood_s, min(_RAMP_S, plan.flood_s / 2))
            time.sleep(_AFTER_FLOOD_S)
        running.check()
        counts = network.conntrack_counts()
        if counts.invalid:
            raise ContenderFailed(f"conntrack calls {counts.invalid} packets invalid")
        return bench.values


def _measure_paced(bench: _Bench) -> None:
    """Processor time for each flow, from its begin until its records are written."""
    plan, values, log = bench.plan, bench.values, bench.log
    count = int(plan.rate * plan.paced_s)
    delivered = bench.network.delivered()
    log_us = _log_us(log)
    processor = ProcessorTime()
    start = time.perf_counter()
    bench.network.request_flows(plan.rate, 60.0, count, first=plan.warm_up)
    bench.ender.request(plan.rate, count)
    # From when on others end while flows begin.
    time.sleep(min(_LIFETIME_S, plan.paced_s / 2))
    middle = CpuReading.now()
    time.sleep(max(0.0, start + plan.paced_s - time.perf_counter()))
    after = CpuReading.now()
    sent, elapsed_s = bench.network.generator_answer()
    bench.ender.wait()
    _wait_until_written(log)
    processor.stop()
    values["pacedPerS"] = sent / elapsed_s
    values["pacedDeliveredPercent"] = 100 * (bench.network.delivered() - delivered) / sent
    values["cpuUsPerFlow"] = processor.used_us / sent
    values["othersLoad"] = processor.others_load
    values["idleProcessors"] = (after.idle_us - middle.idle_us) / (after.time_us - middle.time_us)
    if log is not None:
        values["logUsPerFlow"] = (_log_us(log) - log_us) / sent
        values["logUsPerEvent"] = values["logUsPerFlow"] / _EVENTS_PER_FLOW
    bench.network.forget_flows()


def _wait_until_written(log: Log | None) -> None:
    """Two rests, or more where a log needs them: it may be late on a busy machine."""
    time.sleep(_REST_S)
    for _ in range(_MOST_RESTS):
        before_us = _log_us(log)
        time.sleep(_REST_S)
        if _log_us(log) - before_us < _RESTING_SHARE * _REST_S * 1e6:
            break


def _log_us(log: Log | None) -> float:
    try:
        return 0.0 if log is None else processor_time_us(log.pid)
    except OSError as error:
        raise ContenderFailed(f"the process that hears of flows has ended: {error}") from error


def _measure_latency(bench: _Bench) -> None:
    """First packets of new flows, while others begin and end at the paced rate."""
    plan, values = bench.plan, bench.values
    count = int(plan.rate * plan.probes * _LOAD_PER_PROBE_S)
    bench.network.request_flows(plan.rate, 60.0, count, first=plan.warm_up)
    bench.ender.request(plan.rate, count)
    time.sleep(_RAMP_S)
    latencies = first_packet_latencies_us(bench.network, plan.probes)
    if latencies:
        values["latencyP50Us"] = percentile(latencies, 50)
        values["latencyP99Us"] = percentile(latencies, 99)
    values["probesLost"] = plan.probes - len(latencies)
    bench.network.generator_answer()
    bench.ender.wait()
    bench.network.forget_flows()


@contextmanager
def _counted(bench: _Bench, kind: str) -> Iterator[None]:
    """What the log has had meanwhile, and what was lost."""
    log = bench.log
    if log is None:
        yield
        return
    before = log.counted()
    yield
    counted = {name: number - before[name] for name, number in log.counted().items()}
    bench.values[f"eventsLost{kind}"] = counted["lost"]
    if not kind:
        flows = bench.plan.rate * bench.plan.paced_s
        for name in counted.keys() & {"records", "events"}:
            bench.values[f"{name}PerFlow"] = counted[name] / flows
