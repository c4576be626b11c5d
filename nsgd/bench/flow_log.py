"""What flow logging costs: one contender, with or without a log, under flows that begin and end.

Processor time is measured from the first flow until the last has ended and all is written, so that
whatever a flow costs is in it. What first packets wait is measured by turns: flow_log_pairs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nsgd.bench.flow_log_contenders import FLUSH_S, Start
from nsgd.bench.flow_log_site import FlowLogSite, flow_log_site
from nsgd.bench.machine import CpuReading, ProcessorTime
from nsgd.bench.measure import measure_flood
from nsgd.bench.options import FLOW_LOG_RATE

_LIFETIME_S = 1.5  # less than flows may be idle in this network
# A log has written all once it has done next to nothing for longer than from flush to flush.
_REST_S, _MOST_RESTS, _RESTING_SHARE = FLUSH_S + 0.2, 10, 0.03
_RAMP_S = 0.2
_AFTER_FLOOD_S = 1.0  # a log may be behind, and find then that events were lost
_EVENTS_PER_FLOW = 2


@dataclass(frozen=True, slots=True)
class FlowLogPlan:
    """How long, and how much."""

    rate: float  # new flows a second
    paced_s: float
    flood_s: float
    # Flows by which each NIC's file is there, and each rule's name known, before all that.
    warm_up: int = 6000


FULL_FLOW_LOG = FlowLogPlan(rate=FLOW_LOG_RATE, paced_s=3.0, flood_s=0.7)
QUICK_FLOW_LOG = FlowLogPlan(rate=5_000, paced_s=0.5, flood_s=0.3)


@dataclass(slots=True)
class _Bench:
    site: FlowLogSite
    plan: FlowLogPlan
    values: dict[str, float] = field(default_factory=dict)


def measure_flow_log(start: Start, frames: Path, plan: FlowLogPlan) -> dict[str, float]:
    """Values of one contender in a fresh gateway. Raises ContenderFailed."""
    most = int(plan.rate * plan.paced_s) + 1
    with flow_log_site(start, frames, plan.warm_up, plan.rate, most) as site:
        bench = _Bench(site, plan)
        if site.log is not None:
            _wait_until_written(site)
        with _counted(bench, ""):
            _measure_paced(bench)
        with _counted(bench, "Unpaced"):
            ramp_s = min(_RAMP_S, plan.flood_s / 2)
            bench.values |= measure_flood(site.network, plan.flood_s, ramp_s)
            time.sleep(_AFTER_FLOOD_S)
        site.check()
        return bench.values


def _measure_paced(bench: _Bench) -> None:
    """Processor time for each flow, from its begin until its records are written."""
    plan, values, site = bench.plan, bench.values, bench.site
    network = site.network
    count = int(plan.rate * plan.paced_s)
    delivered = network.delivered()
    log_us = site.log_us()
    processor = ProcessorTime()
    start = time.perf_counter()
    site.begin_flows(plan.rate, count, _LIFETIME_S)
    # From when on others end while flows begin.
    time.sleep(min(_LIFETIME_S, plan.paced_s / 2))
    middle = CpuReading.now()
    time.sleep(max(0.0, start + plan.paced_s - time.perf_counter()))
    after = CpuReading.now()
    sent, elapsed_s = network.generator_answer()
    site.wait_for_ends()
    _wait_until_written(site)
    processor.stop()
    values["pacedPerS"] = sent / elapsed_s
    values["pacedDeliveredPercent"] = 100 * (network.delivered() - delivered) / sent
    values["cpuUsPerFlow"] = processor.used_us / sent
    values["othersLoad"] = processor.others_load
    values["idleProcessors"] = after.idle_processors_since(middle)
    if site.log is not None:
        values["logUsPerFlow"] = (site.log_us() - log_us) / sent
        values["logUsPerEvent"] = values["logUsPerFlow"] / _EVENTS_PER_FLOW
    network.forget_flows()


def _wait_until_written(site: FlowLogSite) -> None:
    """Two rests, or more where a log needs them: it may be late on a busy machine."""
    time.sleep(_REST_S)
    for _ in range(_MOST_RESTS):
        before_us = site.log_us()
        time.sleep(_REST_S)
        if site.log_us() - before_us < _RESTING_SHARE * _REST_S * 1e6:
            break


@contextmanager
def _counted(bench: _Bench, kind: str) -> Iterator[None]:
    """What the log has had meanwhile, and what was lost."""
    log = bench.site.log
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
