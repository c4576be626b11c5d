"""A soak from its first packet to its report."""

from __future__ import annotations

import os
import random
import selectors
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nsgd.lab.netns import Lab
from tests.kernel.network import Network
from tests.soak.daemon import SoakedDaemon
from tests.soak.flows import Connects, open_long_flows
from tests.soak.growth import WARM_S, growth
from tests.soak.policies import ADDRESSES, ENGINES, at_reload
from tests.soak.probes import PATIENCE_S, Probes

_TICK_S = 0.02
_CONNECT_EVERY_S = 1.0


@dataclass(frozen=True)
class Settings:
    """What to do and for how long.

    *restarts_at* are parts of the run: early, so that most of it sees one supervisor grow, or not.
    It goes on beyond *duration_s* until *least* has been done, such as 3 ``worker kills``,
    or 1 ``connected``.
    """

    duration_s: float
    engines: str = "both"
    queues: int = 1
    reload_every_s: float = 10.0
    kill_every_s: float = 30.0
    sample_every_s: float = 10.0
    packets_per_s: float = 60.0
    seed: int = 1
    restarts_at: tuple[float, ...] = (0.04, 0.08, 0.12)
    least: Mapping[str, int] = field(default_factory=dict)


class _Helper(threading.Thread):
    """Does something every so often until the end; what it raises ends the soak."""

    def __init__(
        self, soak: Soak, name: str, first_s: float, every_s: float, do: Callable[[], None]
    ) -> None:
        super().__init__(name=name)
        self._soak, self._first_s, self._every_s, self._do = soak, first_s, every_s, do

    def run(self) -> None:
        next_s = time.monotonic() + self._first_s
        while not self._soak.is_over.wait(max(0.0, next_s - time.monotonic())):
            next_s = max(next_s + self._every_s, time.monotonic())
            try:
                self._do()
            except Exception as error:
                self._soak.trouble.append(f"{self.name}: {type(error).__name__}: {error}")
                self._soak.is_over.set()


class Soak:
    """One run; `run` returns its report."""

    def __init__(
        self, settings: Settings, directory: Path, told: Callable[[str], None] = lambda line: None
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._told = told
        self._engines = ENGINES[settings.engines]
        self._drawn = random.Random(settings.seed)
        self.is_over = threading.Event()
        self.trouble: list[str] = []
        self.samples: list[dict[str, Any]] = []
        self._reloads = 0
        self._restarts_left = list(settings.restarts_at)
        self._begun_s = 0.0

    def run(self) -> dict[str, Any]:
        """Raises what cannot be set up; what goes wrong later is in the report."""
        with Lab() as lab:
            net = Network(lab, self._directory)
            net.engine = ""
            for name, addresses in ADDRESSES.items():
                net.host(name, *addresses)
            self._daemon = SoakedDaemon(net, at_reload(0, self._engines), self._settings.queues)
            try:
                return self._run(net)
            finally:
                net.close()

    def _run(self, net: Network) -> dict[str, Any]:
        settings, daemon = self._settings, self._daemon
        probes = Probes(net.hosts, daemon.history, settings.seed)
        flows = open_long_flows(net)
        connects = Connects(net, daemon.history)
        self._begun_s = time.monotonic()
        self._take_sample()
        reload_s = settings.reload_every_s
        helpers = [
            _Helper(self, "reloads", reload_s, reload_s, self._change),
            _Helper(self, "kills", settings.kill_every_s, settings.kill_every_s, self._kill),
            # Between two reloads.
            _Helper(self, "samples", 1.5 * reload_s, settings.sample_every_s, self._take_sample),
        ]
        for helper in helpers:
            helper.start()
        selector = selectors.DefaultSelector()
        for name, sniffer in probes.sniffers.items():
            selector.register(sniffer, selectors.EVENT_READ, name)

        next_packet_s = next_connect_s = self._begun_s

        def turn(*, is_sending: bool) -> None:
            nonlocal next_packet_s, next_connect_s
            now_s = time.monotonic()
            if is_sending:
                # Not more at once where this process did not come to run.
                next_packet_s = max(next_packet_s, now_s - 0.2)
                while next_packet_s <= now_s:
                    probes.send()
                    next_packet_s += 1 / settings.packets_per_s
                if now_s >= next_connect_s:
                    connects.attempt()
                    next_connect_s = now_s + _CONNECT_EVERY_S
            for key, _ in selector.select(_TICK_S):
                probes.receive(key.data)
            probes.settle()
            connects.advance()
            for flow in flows:
                flow.advance()

        end_s = self._begun_s + settings.duration_s
        try:
            while not self.is_over.is_set() and (
                time.monotonic() < end_s or self._is_anything_left(connects.counts)
            ):
                turn(is_sending=True)
            lasted_s = time.monotonic() - self._begun_s
            self.is_over.set()
            for helper in helpers:
                while helper.is_alive():
                    turn(is_sending=False)
            least_s, last_s = time.monotonic() + 1, time.monotonic() + PATIENCE_S
            while time.monotonic() < (last_s if probes.is_waiting() else least_s):
                turn(is_sending=False)
            # Each still goes on, or is found to be lost.
            before = [flow.progress for flow in flows]
            while any(
                flow.failure is None and flow.progress <= progress + 1
                for flow, progress in zip(flows, before, strict=True)
            ):
                turn(is_sending=False)
            probes.settle(everything=True)
        finally:
            self.is_over.set()
            for helper in helpers:
                helper.join()
            selector.close()
            connects.close()
        report = self._report(lasted_s, probes, connects, flows)
        for flow in flows:
            flow.close()
        return report

    def _is_anything_left(self, connections: Counter[str]) -> bool:
        done = self._daemon.counts + connections
        return any(done[name] < count for name, count in self._settings.least.items())

    def _change(self) -> None:
        """A reload; now and then a restart ahead of it."""
        passed = (time.monotonic() - self._begun_s) / self._settings.duration_s
        if self._restarts_left and passed >= self._restarts_left[0]:
            self._restarts_left.pop(0)
            self._daemon.restart(is_killed=len(self._restarts_left) % 2 == 0)
        self._reloads += 1
        self._daemon.reload(at_reload(self._reloads, self._engines))

    def _kill(self) -> None:
        # At any time between two reloads, or in the midst of one.
        self.is_over.wait(self._drawn.random() * min(5.0, self._settings.kill_every_s / 2))
        self._daemon.kill_a_worker()

    def _take_sample(self) -> None:
        sample = self._daemon.sample()
        sample["atSeconds"] = round(time.monotonic() - self._begun_s, 1)
        sample["load"] = os.getloadavg()[0]
        self.samples.append(sample)
        resident = sample["supervisor"]["rssKiB"]
        self._told(
            f"{sample['atSeconds']:7.1f} s  policy {sample['policy']} {sample['engine']:6}"
            f"  supervisor {resident} KiB, {sample['supervisor']['descriptors']} descriptors"
            f"  load {sample['load']:.1f}"
        )

    def _report(
        self, lasted_s: float, probes: Probes, connects: Connects, flows: list[Any]
    ) -> dict[str, Any]:
        status = self._daemon.status()
        wrong = [*probes.wrong, *connects.wrong]
        lost = [f"{flow.name}: {flow.failure}" for flow in flows if flow.failure is not None]
        troubles = [*self.trouble, *self._daemon.log_faults()]
        if status["packets"]["denied"]["internalError"]:
            troubles.append("errors inside nsgd")
        grown = growth(self.samples)
        return {
            "lastedSeconds": round(lasted_s, 1),
            "engines": self._settings.engines,
            "workers": self._settings.queues,
            "seed": self._settings.seed,
            "done": dict(self._daemon.counts),
            "sent": dict(sorted(probes.sent.items())),
            "probes": dict(sorted(probes.counts.items())),
            "connections": dict(sorted(connects.counts.items())),
            "longFlows": {
                flow.name: {
                    "rounds": flow.rounds,
                    "slowestRoundSeconds": round(getattr(flow, "slowest_round_s", 0.0), 1),
                }
                for flow in flows
            },
            "sniffersDropped": probes.sniffers_dropped(),
            "packets": status["packets"],
            "queue": status["queue"],
            "kernelDenials": status["kernelDenials"],
            "wrongVerdicts": probes.wrong_count + len(connects.wrong),
            "wrong": wrong,
            "lostFlows": lost,
            "trouble": troubles,
            "growth": grown,
            "growthFromSeconds": WARM_S,
            "samples": self.samples,
            "isGood": not (wrong or lost or troubles or grown["grown"]),
        }
