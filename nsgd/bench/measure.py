"""Measures one contender once, in a network of its own."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nsgd.bench.contenders import Contender, ContenderFailed, Running
from nsgd.bench.machine import ProcessorTime, resident_mib
from nsgd.bench.network import BenchNetwork
from nsgd.bench.probes import first_packet_latencies_us, tcp_connects_per_s, tcp_gbit_per_s
from nsgd.bench.statistics import percentile
from nsgd.lab.netns import Lab

GENERATOR = "generator"
WARM_UP_FLOWS = 200
_WARM_UP_RATE = 2000.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each part takes."""

    rate: float  # new flows a second while processor time is measured
    paced_s: float
    flood_s: float
    ramp_s: float  # of the flood, not counted
    probes: int
    tcp_s: float


QUICK = Plan(rate=5_000, paced_s=0.4, flood_s=0.2, ramp_s=0.1, probes=30, tcp_s=0.1)
FULL = Plan(rate=20_000, paced_s=3.0, flood_s=0.7, ramp_s=0.2, probes=1_000, tcp_s=1.0)


@dataclass(slots=True)
class Measurement:
    """One contender, once. Keys of *values* are those of nsgd.bench.report.COLUMNS."""

    values: dict[str, float | None] = field(default_factory=dict)
    rule_hits: dict[str, dict[str, int]] | None = None  # of the paced flows, by group and rule
    conntrack_dropped: int = 0
    conntrack_evicted: int = 0
    conntrack_invalid: int = 0  # of the generator's packets


def measure(contender: Contender, plan: Plan, frames: Path) -> Measurement:
    """Start the contender in a fresh gateway and measure everything. Raises ContenderFailed."""
    result = Measurement()
    values = result.values
    with tempfile.TemporaryDirectory(prefix="nsgd-bench-") as directory, Lab() as lab:
        network = BenchNetwork(lab, frames)
        running = contender.start(network.gateway, Path(directory))
        values["applyMs"] = _milliseconds(running.apply_s)
        warm_up(network, result)
        latencies = first_packet_latencies_us(network, plan.probes)
        values["latencyP50Us"] = percentile(latencies, 50) if latencies else None
        values["latencyP99Us"] = percentile(latencies, 99) if latencies else None
        values["probesLost"] = plan.probes - len(latencies)
        with connections_do_not_hang(running):
            values["connectsPerS"] = tcp_connects_per_s(network, plan.tcp_s)
            values["gbitPerS"] = tcp_gbit_per_s(network, plan.tcp_s)
        rate = plan.rate * contender.rate_share
        with judged(network, result):
            _measure_hits(network, running, rate, plan, result)
        with judged(network, result):
            # The same packets once more, in an empty connection table: a contender that
            # remembers what it has decided now knows all of it.
            again: dict[str, float | None] = {}
            measure_paced(network, rate, plan, again)
            values["cpuAgainUsPerFlow"] = again["cpuUsPerFlow"]
            network.wait_until_quiet()
        with judged(network, result):
            values |= measure_flood(network, plan.flood_s, plan.ramp_s)
        running.check()
        for what, pid in running.processes.items():
            values[f"{what}Mib"] = resident_mib(pid)
        counts = network.conntrack_counts()
        result.conntrack_dropped = counts.drop
        result.conntrack_evicted = counts.early_drop
        values["reloadMs"] = _milliseconds(running.reload_s())
        running.check()
    check_invalid(result)
    return result


def measure_cost(contender: Contender, plan: Plan, frames: Path) -> Measurement:
    """Start the contender in a fresh gateway and measure processor time for each new flow, no more.

    Raises ContenderFailed.
    """
    result = Measurement()
    with tempfile.TemporaryDirectory(prefix="nsgd-bench-") as directory, Lab() as lab:
        network = BenchNetwork(lab, frames)
        running = contender.start(network.gateway, Path(directory))
        warm_up(network, result)
        with judged(network, result):
            _measure_hits(network, running, plan.rate * contender.rate_share, plan, result)
        running.check()
    check_invalid(result)
    return result


def measure_generator(plan: Plan, frames: Path) -> Measurement:
    """The generator alone: the gateway drops its packets as they arrive."""
    values: dict[str, float | None] = {}
    with Lab() as lab:
        network = BenchNetwork(lab, frames)
        network.drop_at_gateway()
        measure_paced(network, plan.rate, plan, values)
        network.request_flows(None, plan.flood_s)
        sent, elapsed_s = network.generator_answer()
        values["offeredPerS"] = sent / elapsed_s
    return Measurement(values)


@contextmanager
def connections_do_not_hang(running: Running) -> Iterator[None]:
    """Have a connection that does not come about, or does not go on, fail the contender."""
    try:
        yield
    except TimeoutError as error:
        raise ContenderFailed(f"a TCP connection hangs{running.last_words()}") from error


@contextmanager
def judged(network: BenchNetwork, result: Measurement) -> Iterator[None]:
    """Begin with an empty connection table, and note what conntrack calls invalid meanwhile."""
    network.forget_flows()
    before = network.conntrack_counts().invalid
    yield
    result.conntrack_invalid += network.conntrack_counts().invalid - before


def check_invalid(result: Measurement) -> None:
    """Such packets are of no flow, so no flow was measured. Raises ContenderFailed."""
    invalid = result.conntrack_invalid
    if invalid:
        raise ContenderFailed(
            f"conntrack calls {invalid} of the generator's packets invalid", invalid
        )


def warm_up(network: BenchNetwork, result: Measurement) -> None:
    """A few flows by which neighbours are known and programs have run once."""
    with judged(network, result):
        network.request_flows(_WARM_UP_RATE, 60.0, WARM_UP_FLOWS)
        network.generator_answer()
        network.wait_until_quiet()


def _measure_hits(
    network: BenchNetwork, running: Running, rate: float, plan: Plan, result: Measurement
) -> None:
    """Paced flows, and the hits that they made."""
    with counted_hits(running, result), counted_losses(network, result):
        measure_paced(network, rate, plan, result.values)


@contextmanager
def counted_hits(running: Running, result: Measurement) -> Iterator[None]:
    """Note the hits of rules that are made meanwhile. Raises ContenderFailed."""
    before = running.rule_hits()
    yield
    after = running.rule_hits()
    if before is not None and after is not None:
        result.rule_hits = {
            group: {name: hits - before[group].get(name, 0) for name, hits in rules.items()}
            for group, rules in after.items()
        }


@contextmanager
def counted_losses(network: BenchNetwork, result: Measurement) -> Iterator[None]:
    """Note how many of the flows that are sent meanwhile do not arrive."""
    sent, delivered = network.sent, network.delivered()
    yield
    network.wait_until_quiet()
    arrived = network.delivered() - delivered
    result.values["pacedLostPercent"] = max(0.0, 100 * (1 - arrived / (network.sent - sent)))


def measure_paced(
    network: BenchNetwork, rate: float, plan: Plan, values: dict[str, float | None]
) -> int:
    """Processor time for each new flow, at a rate that loses nothing; returns the flows sent.

    The packets are the same ones at each call.
    """
    processor = ProcessorTime()
    network.request_flows(rate, plan.paced_s, first=WARM_UP_FLOWS)
    sent, elapsed_s = network.generator_answer()
    processor.stop()
    values["pacedPerS"] = sent / elapsed_s
    values["cpuUsPerFlow"] = processor.used_us / sent
    values["othersLoad"] = processor.others_load
    return sent


def measure_flood(network: BenchNetwork, flood_s: float, ramp_s: float) -> dict[str, float]:
    """Delivered new flows a second, of as many as the generator can offer.

    For *flood_s* seconds, of which the first *ramp_s* do not count.
    """
    network.request_flows(None, flood_s)
    time.sleep(ramp_s)
    first = network.arrived_at_gateway(), network.delivered()
    start = time.perf_counter()
    network.generator_answer()
    elapsed_s = time.perf_counter() - start
    values = {
        "offeredPerS": (network.arrived_at_gateway() - first[0]) / elapsed_s,
        "deliveredPerS": (network.delivered() - first[1]) / elapsed_s,
    }
    network.wait_until_quiet()
    return values


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
