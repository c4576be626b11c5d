"""First packets with a log and without, by turns: contenders that are all there at the same time.

What two starts of the same program differ by is more than what a log should cost: so there is one
contender without a log twice, each is compared with both, and rounds start all anew.
"""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

from nsgd.bench.flow_log_contenders import Start
from nsgd.bench.flow_log_site import FlowLogSite, flow_log_site
from nsgd.bench.machine import CpuReading
from nsgd.bench.probes import first_packet_latencies_us
from nsgd.bench.statistics import percentile

BASE, AGAIN, LOG = "", " again", "-log"
_LIFETIME_S = 0.25
_RAMP_S = _LIFETIME_S + 0.05  # from when on others end while flows begin
_PROBE_S = 0.0017  # with its pause
_REST_S = 0.3  # for a log to come to its end


@dataclass(frozen=True, slots=True)
class PairsPlan:
    """How much, of each contender and at each rate."""

    rates: tuple[float, ...]  # new flows a second, beside the probes
    turns: int
    probes: int  # in each turn
    warm_up: int


@dataclass(slots=True)
class _Heard:
    latencies_us: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)
    lost: int = 0


def measure_flow_log_pairs(
    without: Start, with_log: Start, frames: Path, plan: PairsPlan
) -> dict[tuple[str, float], dict[str, float]]:
    """Values by BASE, AGAIN or LOG and rate. Raises ContenderFailed.

    Ratios of AGAIN are to BASE, those of LOG to what both together have had.
    """
    starts = {BASE: without, AGAIN: without, LOG: with_log}
    most = max(_flows(rate, plan) for rate in plan.rates)
    made: dict[tuple[str, float], dict[str, float]] = {}
    with contextlib.ExitStack() as stack:
        sites = {
            name: stack.enter_context(
                flow_log_site(start, frames, plan.warm_up, max(plan.rates), most)
            )
            for name, start in starts.items()
        }
        time.sleep(_REST_S)
        for rate in plan.rates:
            heard = {name: _Heard() for name in sites}
            for number in range(plan.turns):
                # Each is first, second and third as often.
                names = list(sites)
                at = number % len(names)
                for name in names[at:] + names[:at]:
                    _take_turn(sites[name], rate, plan, heard[name])
            for name, values in compare(
                {name: each.latencies_us for name, each in heard.items()}
            ).items():
                made[name, rate] = values
                values["probesLost"] = heard[name].lost
                values["idleProcessors"] = sum(heard[name].idle) / plan.turns
        for site in sites.values():
            site.check()
    return made


def compare(latencies_us: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Percentiles of each, and ratios, as measure_flow_log_pairs() has them."""
    base, again = latencies_us[BASE], latencies_us[AGAIN]
    others = {AGAIN: base, LOG: base + again}
    made: dict[str, dict[str, float]] = {}
    for name, latencies in latencies_us.items():
        values = made[name] = {}
        for key, percent in (("latencyP50", 50), ("latencyP99", 99)):
            if not latencies:
                continue
            values[f"{key}Us"] = percentile(latencies, percent)
            if others.get(name):
                values[f"{key}Ratio"] = values[f"{key}Us"] / percentile(others[name], percent)
    return made


def _flows(rate: float, plan: PairsPlan) -> int:
    return math.ceil(rate * (_RAMP_S + plan.probes * _PROBE_S))


def _take_turn(site: FlowLogSite, rate: float, plan: PairsPlan, heard: _Heard) -> None:
    network = site.network
    site.begin_flows(rate, _flows(rate, plan), _LIFETIME_S)
    time.sleep(_RAMP_S)
    before = CpuReading.now()
    latencies = first_packet_latencies_us(network, plan.probes)
    after = CpuReading.now()
    network.generator_answer()
    site.wait_for_ends()
    network.forget_flows()
    heard.latencies_us += latencies
    heard.idle.append(after.idle_processors_since(before))
    heard.lost += plan.probes - len(latencies)
    time.sleep(_REST_S)
