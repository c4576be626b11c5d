"""The generator's flows: all different, well formed, and evenly spread."""

from __future__ import annotations

import struct
from collections import Counter

from nsgd.bench.flows import (
    ADDRESSES,
    CLIENT_BASE,
    FRAME_BYTES,
    SLOT_BYTES,
    addresses,
    make_flows,
    make_frames,
)
from nsgd.model.packet import UDP, PacketHeader
from nsgd.wire.packet import parse_packet

FLOWS = make_flows(5 * ADDRESSES)


def test_every_flow_is_new() -> None:
    """No two flows have the same addresses and ports."""
    assert len(set(FLOWS)) == len(FLOWS)


def test_the_same_flows_each_time() -> None:
    """Every contender and every run gets the same traffic, of which less is a part."""
    assert make_flows(5 * ADDRESSES) == FLOWS


def test_addresses_occur_equally_often() -> None:
    """After whole rounds each source and each destination has had the same number of flows."""
    for values in ([f.source for f in FLOWS], [f.destination for f in FLOWS]):
        assert set(Counter(values).values()) == {5}
        assert len(set(values)) == ADDRESSES


def test_addresses_of_a_side_differ() -> None:
    """A side has a thousand addresses."""
    assert len(set(addresses(CLIENT_BASE))) == ADDRESSES == 1000


def test_frames_are_valid_packets() -> None:
    """Each slot holds its flow, with a right IPv4 checksum, between the given link addresses."""
    flows = FLOWS[:200]
    frames = make_frames(flows, b"\2\0\0\0\0\1", b"\2\0\0\0\0\2")
    assert len(frames) == SLOT_BYTES * len(flows)
    for index, flow in enumerate(flows):
        frame = bytes(frames[SLOT_BYTES * index :][:FRAME_BYTES])
        assert frame[:14] == b"\2\0\0\0\0\2\2\0\0\0\0\1\x08\x00"
        total = sum(struct.unpack("!10H", frame[14:34]))
        assert (total & 0xFFFF) + (total >> 16) == 0xFFFF
        packet = parse_packet(frame[14:])
        assert isinstance(packet, PacketHeader)
        assert packet.protocol == UDP
        assert (packet.source, packet.destination) == (flow.source, flow.destination)
        assert (packet.source_port, packet.destination_port) == (
            flow.source_port,
            flow.destination_port,
        )
