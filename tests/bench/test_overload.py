"""What a run under a flood says, and that the floods are what they should be."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from nsgd.bench import overload_pairs
from nsgd.bench.contenders import Running
from nsgd.bench.frames import FRAME_BYTES, SLOT_BYTES
from nsgd.bench.network import DENIED_PORT, POOL_FLOWS, write_denied_frames
from nsgd.bench.overload import SOURCES, OverloadPlan, policy, start_one_rule, starter
from nsgd.bench.overload_pairs import PairedRound, measure_pairs
from nsgd.bench.overload_run import CONTENDERS, format_overload
from nsgd.config.load import Document, load_documents
from nsgd.model.packet import UDP, PacketHeader
from nsgd.wire.packet import parse_packet

ETHERNET_BYTES = 14


def test_floods_are_of_denied_udp_flows(tmp_path: Path) -> None:
    """Of as many sources as are asked for, in turn, each packet whole."""
    write_denied_frames(tmp_path / "frames", SOURCES["256"]())
    frames = (tmp_path / "frames").read_bytes()
    assert len(frames) == POOL_FLOWS * SLOT_BYTES
    seen = set()
    for index in range(600):
        frame = frames[SLOT_BYTES * index :][:FRAME_BYTES]
        packet = parse_packet(frame[ETHERNET_BYTES:])
        assert isinstance(packet, PacketHeader)
        assert (packet.protocol, packet.destination_port) == (UDP, DENIED_PORT)
        words = memoryview(frame[ETHERNET_BYTES:][:20]).cast("B")
        total = sum(int.from_bytes(words[at : at + 2]) for at in range(0, 20, 2))
        assert (total & 0xFFFF) + (total >> 16) == 0xFFFF
        seen.add((packet.source, packet.source_port))
    assert len(seen) == 600
    assert len({source for source, _ in seen}) == 256


def test_random_sources_are_all_different() -> None:
    """And as many as the pool has frames."""
    sources = SOURCES["random"]()
    assert len(set(sources)) == len(sources) == POOL_FLOWS


@pytest.mark.parametrize("engine", ["queue", "kernel"])
def test_the_policy_is_one(engine: str) -> None:
    """It loads, with the admission that everybody has."""
    content = json.dumps(policy(engine)).encode()
    settings = load_documents([Document("p", content)]).settings
    assert settings.engine.value == engine
    assert settings.admission is not None


class FakeSite:
    """A firewall whose open flow carries what it is told, and which says when it was asked."""

    def __init__(self, name: str, log: list[str], share: float, carried: list[float]) -> None:
        self._name, self._log = name, log
        self._share, self._carried = share, iter(carried)
        self.running = Running()

    def connected_share(self, plan: OverloadPlan) -> float:
        return self._share

    def open_flow_mbit_per_s(self, plan: OverloadPlan) -> tuple[float, float]:
        self._log.append(self._name)
        carried = next(self._carried)
        return carried, 10 * carried

    def values(self) -> dict[str, float]:
        return {"floodPerS": 1e5}


def test_ratios_are_of_turns_that_follow_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each comes first in turn; where the base carried nothing there is no ratio."""
    asked: list[str] = []
    sites = iter(
        [
            FakeSite("base", asked, 0.5, [100.0, 200.0, 0.0]),
            FakeSite("own", asked, 0.4, [90.0, 210.0, 50.0]),
        ]
    )

    @contextlib.contextmanager
    def overload_site(start: object, frames: Path) -> Iterator[FakeSite]:
        yield next(sites)

    monkeypatch.setattr(overload_pairs, "overload_site", overload_site)
    plan = OverloadPlan(100, 200, pairs=3, slice_s=1, pace_mbit_per_s=200)
    found = measure_pairs(start_one_rule, start_one_rule, tmp_path, plan)
    assert asked == ["base", "own", "own", "base", "base", "own"]
    assert found.paced_ratios == [0.9, 1.05]
    assert found.unpaced_ratios == [0.9, 1.05]
    assert found.values == {
        "connectedShare": 0.4,
        "connectedRatio": 0.8,
        "pacedMbitPerS": 90.0,
        "unpacedMbitPerS": 900.0,
        "floodPerS": 1e5,
    }


def test_a_row_has_the_pairs_of_all_rounds() -> None:
    """With their quartiles; a round that failed has nothing."""
    rounds = [
        PairedRound({"connectedShare": 0.4, "connectedRatio": 0.8}, [0.5, 1.0]),
        PairedRound({"connectedShare": 1.0, "connectedRatio": 1.0}, [1.5, 2.0, 0.0]),
        PairedRound(),
    ]
    row = format_overload({("1", "queue"): rounds}).splitlines()[-1].split()
    assert row[:7] == ["queue", "1", "-", "70.0", "(40.0..100)", "0.90", "(0.80..1.00)"]
    assert row[7:11] == ["-", "1.00", "(0.50..1.50)", "-"]


def test_contenders_are_named() -> None:
    """With the firewall to compare with first, and admission on and off."""
    assert list(CONTENDERS) == ["one-rule", "queue", "queue-unlimited", "kernel"]


@pytest.mark.kernel
def test_a_short_run(tmp_path: Path) -> None:
    """Everything is measured; how much of it, this machine decides."""
    write_denied_frames(tmp_path / "frames", SOURCES["1"]())
    plan = OverloadPlan(20, 200, pairs=1, slice_s=0.2, pace_mbit_per_s=20)
    found = measure_pairs(start_one_rule, starter("queue"), tmp_path / "frames", plan)
    assert found.values["floodPerS"] > 1000
    assert 0 <= found.values["connectedShare"] <= 1
    assert 0 < found.values["pacedMbitPerS"] < found.values["unpacedMbitPerS"]
    assert len(found.paced_ratios) == len(found.unpaced_ratios) == 1
    assert found.values["queuedPerS"] > 0
