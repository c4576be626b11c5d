"""What a run under a flood says, and that the floods are what they should be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nsgd.bench.frames import FRAME_BYTES, SLOT_BYTES
from nsgd.bench.network import DENIED_PORT, POOL_FLOWS, write_denied_frames
from nsgd.bench.overload import (
    SOURCES,
    OverloadPlan,
    measure_overload,
    policy,
    starter,
)
from nsgd.bench.overload_run import CONTENDERS, format_overload, with_ratios
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


def test_ratios_are_of_the_same_round() -> None:
    """Of a round without the firewall to compare with there is none."""
    measured = {
        ("1", "one-rule"): [{"connectedShare": 0.5, "bulkMbitPerS": 100.0}, {}],
        ("1", "queue"): [
            {"connectedShare": 0.4, "bulkMbitPerS": 150.0},
            {"connectedShare": 1.0, "bulkMbitPerS": 1.0},
        ],
    }
    first, second = with_ratios(measured["1", "queue"], measured, "1")
    assert (first["connectedRatio"], first["bulkRatio"]) == (0.8, 1.5)
    assert first["connectedPercent"] == 40
    assert "connectedRatio" not in second
    text = format_overload({("1", "queue"): [first, second]})
    row = text.splitlines()[-1].split()
    assert row[:6] == ["queue", "1", "-", "70.0", "(40.0..100)", "0.80"]


def test_contenders_are_named() -> None:
    """With the firewall to compare with first, and admission on and off."""
    assert list(CONTENDERS) == ["one-rule", "queue", "queue-unlimited", "kernel"]


@pytest.mark.kernel
def test_a_short_run(tmp_path: Path) -> None:
    """Everything is measured; how much of it, this machine decides."""
    write_denied_frames(tmp_path / "frames", SOURCES["1"]())
    values = measure_overload(starter("queue"), tmp_path / "frames", OverloadPlan(20, 200, 0.1))
    assert values["floodPerS"] > 1000
    assert 0 <= values["connectedShare"] <= 1
    assert values["bulkMbitPerS"] > 0
    assert values["queuedPerS"] > 0
