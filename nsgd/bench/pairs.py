"""Contenders that all stand at the same time and take short turns, and what a turn of each costs.

On a virtual machine what the host does changes within tens of seconds, and by more than contenders
differ: only what was measured seconds apart can be compared. So each has a gateway of its own, with
hosts and a generator of its own, and waits there for its turn of a second or two.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nsgd.bench.contenders import Contender, ContenderFailed, Running
from nsgd.bench.machine import processor_time_us, softirq_threads, with_descendants
from nsgd.bench.measure import (
    WARM_UP_FLOWS,
    Measurement,
    Plan,
    check_invalid,
    connections_do_not_hang,
    counted_hits,
    counted_losses,
    judged,
    measure_paced,
    warm_up,
)
from nsgd.bench.network import POOL_FLOWS, BenchNetwork, write_frames
from nsgd.bench.probes import tcp_gbit_per_s
from nsgd.lab.netns import Lab
from nsgd.lab.progress import progress

# For which a turn's flows have frames, and room in the connection table.
MOST_RATE = 150_000
# A generator that comes to its frames' end changes all of them, in a turn's time.
_SPARE_FRAMES = 1000
# A stretch in which all contenders together use so little of a processor that none starts any more.
_REST_S, _MOST_RESTS, _RESTING_SHARE = 0.5, 40, 0.05


@dataclass(slots=True)
class Site:
    """A contender at work in a gateway of its own."""

    network: BenchNetwork
    running: Running

    def take_turn(self, plan: Plan, waiting: Sequence[Site], *, counts_hits: bool) -> Measurement:
        """Measure paced flows, always the same ones, and then an established connection.

        Args:
            plan: How fast and how long.
            waiting: Those that have no turn now; what their processes use is taken out.
            counts_hits: Whether to ask for the rules' hits, which takes as long as the turn.

        Raises:
            ContenderFailed: It has ended, or something is invalid to conntrack.
        """
        result = Measurement()
        network, running = self.network, self.running
        counts = network.conntrack_counts()
        with (
            counted_hits(running, result) if counts_hits else contextlib.nullcontext(),
            judged(network, result),
            counted_losses(network, result),
        ):
            self._measure_paced(plan, waiting, result.values)
        # So that none of them times out in somebody else's turn.
        network.forget_flows()
        check_invalid(result)
        running.check()
        with connections_do_not_hang(running):
            result.values["gbitPerS"] = tcp_gbit_per_s(network, plan.tcp_s)
        after = network.conntrack_counts()
        result.conntrack_dropped = after.drop - counts.drop
        result.conntrack_evicted = after.early_drop - counts.early_drop
        running.check()
        return result

    def _measure_paced(
        self, plan: Plan, waiting: Sequence[Site], values: dict[str, float | None]
    ) -> None:
        """Processor time for each new flow, and where it goes.

        The generator's process delivers what it sends: what the kernel does for a packet up to the
        queue, or up to the server, is in its time.
        """
        processes = self.running.processes
        worker = processes.get("worker", processes.get("program"))

        def spent() -> dict[str, dict[int, float]]:
            return {
                "sender": _spent_us([self.network.generator_pid]),
                "worker": _spent_us([] if worker is None else [worker]),
                "ksoftirqd": _spent_us(softirq_threads()),
                "waiting": _spent_us(_processes(waiting)),
            }

        before = spent()
        sent = measure_paced(self.network, plan.rate, plan, values)
        after = spent()
        if worker is not None and worker not in after["worker"]:
            raise ContenderFailed(f"its worker has ended{self.running.last_words()}")
        parts = {name: _more_us(before[name], after[name]) / sent for name in before}
        cpu = (values["cpuUsPerFlow"] or 0.0) - parts["waiting"]
        values["cpuUsPerFlow"] = cpu
        values["waitingUsPerFlow"] = parts["waiting"]
        values["senderUsPerFlow"] = parts["sender"]
        values["workerUsPerFlow"] = None if worker is None else parts["worker"]
        values["restUsPerFlow"] = cpu - parts["sender"] - parts["worker"]
        values["ksoftirqdUsPerFlow"] = parts["ksoftirqd"]


@contextlib.contextmanager
def pair_site(contender: Contender, frames: Path) -> Iterator[Site]:
    """The contender in a fresh gateway, ready for its turns. Raises ContenderFailed."""
    with tempfile.TemporaryDirectory(prefix="nsgd-bench-") as directory, Lab() as lab:
        network = BenchNetwork(lab, frames)
        running = contender.start(network.gateway, Path(directory))
        result = Measurement()
        warm_up(network, result)
        check_invalid(result)
        yield Site(network, running)


def measure_turns(
    contenders: Sequence[Contender], plan: Plan, rounds: int, nics: int
) -> tuple[dict[str, list[Measurement]], list[str]]:
    """Start all contenders, then give each a turn in every round.

    Args:
        contenders: In the order of the first round.
        plan: How fast and how long a turn is; its *paced_s* and *tcp_s* count.
        rounds: How many.
        nics: That the flows are between, on both sides together.

    Returns:
        Measurements by contender, one for each round, and what failed. What has failed once has no
        further turns; its measurements are empty, so that rounds stay side by side.
    """
    results: dict[str, list[Measurement]] = {contender.name: [] for contender in contenders}
    failures: list[str] = []
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="nsgd-bench-"))
        frames = Path(directory, "frames")
        needed = WARM_UP_FLOWS + int(plan.rate * plan.paced_s) + _SPARE_FRAMES
        write_frames(frames, nics, min(POOL_FLOWS, needed))
        sites: dict[str, Site] = {}
        for contender in contenders:
            progress(f"starting {contender.name}")
            try:
                sites[contender.name] = stack.enter_context(pair_site(contender, frames))
            except ContenderFailed as failed:
                failures.append(f"{contender.name}: {failed}")
        _wait_until_started(list(sites.values()))
        able = set(sites)
        begin = time.monotonic()
        for number in range(rounds):
            for name in turn_order(list(results), number, rounds):
                if name not in able:
                    results[name].append(Measurement())
                    continue
                progress(f"round {number + 1} of {rounds}: {name}")
                started_s = time.monotonic() - begin
                try:
                    waiting = [site for other, site in sites.items() if other != name]
                    found = sites[name].take_turn(plan, waiting, counts_hits=number == 0)
                    found.values["startedS"] = started_s
                except ContenderFailed as failed:
                    found = Measurement(conntrack_invalid=failed.invalid_packets)
                    failures.append(f"{name}, round {number + 1}: {failed}")
                    able.remove(name)
                results[name].append(found)
    progress("")
    return results, failures


def turn_order(names: Sequence[str], number: int, rounds: int) -> list[str]:
    """Who comes behind whom in round *number* of *rounds*, from 0.

    Each round with an odd number is the one before it backwards: what changes steadily with time
    weighs on both of a pair alike. Further on another one comes first.
    """
    shift = number // 2 * len(names) // ((rounds + 1) // 2)
    rotated = [*names[shift:], *names[:shift]]
    return rotated[::-1] if number % 2 else rotated


def _wait_until_started(sites: Sequence[Site]) -> None:
    """Wait for what daemons do once their policy is in force, as to start another worker."""
    for _ in range(_MOST_RESTS):
        before = _spent_us(_processes(sites))
        time.sleep(_REST_S)
        if _more_us(before, _spent_us(_processes(sites))) < _RESTING_SHARE * _REST_S * 1e6:
            break


def _processes(sites: Iterable[Site]) -> list[int]:
    """All processes of contenders, also those that they have started since."""
    return with_descendants(
        pid for site in sites for name, pid in site.running.processes.items() if name != "worker"
    )


def _spent_us(pids: Iterable[int]) -> dict[int, float]:
    """Processor time by process; what is gone is left out."""
    found: dict[int, float] = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            found[pid] = processor_time_us(pid)
    return found


def _more_us(before: Mapping[int, float], after: Mapping[int, float]) -> float:
    """What processes have had since *before*; what has begun meanwhile had nothing then."""
    return sum(max(0.0, spent - before.get(pid, 0.0)) for pid, spent in after.items())
