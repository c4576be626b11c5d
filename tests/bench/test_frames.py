"""The frames: well formed, with right checksums, whatever the source ports are."""

from __future__ import annotations

import struct
from array import array

import pytest

from nsgd.bench.flows import PROTOCOLS, Flow, make_flows
from nsgd.bench.frames import (
    FLOOD_TOS,
    FRAME_BYTES,
    SLOT_BYTES,
    make_frames,
    set_source_ports,
    source_ports,
)
from nsgd.model.packet import TCP, UDP, PacketHeader
from nsgd.wire.packet import parse_packet

FLOWS = make_flows(400)
SYN = 2


def packets(frames: bytes) -> list[bytes]:
    """What is behind the Ethernet header, without padding."""
    found = []
    for start in range(0, len(frames), SLOT_BYTES):
        frame = frames[start : start + FRAME_BYTES]
        assert frame[:14] == b"\2\0\0\0\0\2\2\0\0\0\0\1\x08\x00"
        (length,) = struct.unpack("!H", frame[16:18])
        assert 20 < length <= FRAME_BYTES - 14
        found.append(frame[14 : 14 + length])
    return found


def frames_of(flows: list[Flow]) -> bytes:
    """The frames of these flows, all between the same link addresses."""
    return bytes(make_frames(flows, b"\2\0\0\0\0\1", b"\2\0\0\0\0\2"))


def folded(data: bytes) -> int:
    """The sum of 16-bit words as RFC 1071 has it; 0xFFFF where a checksum in it is right."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def assert_right(packet: bytes) -> None:
    """Both checksums, over what the RFCs say that they are over."""
    protocol = packet[9]
    assert folded(packet[:20]) == 0xFFFF
    transport = packet[20:]
    pseudo = packet[12:20] + struct.pack("!HH", protocol, len(transport))
    assert folded(pseudo + transport) == 0xFFFF
    if protocol == UDP:
        assert transport[6:8] != b"\0\0"  # which would say that there is none
        assert struct.unpack("!H", transport[4:6]) == (len(transport),)


def test_frames_are_the_flows() -> None:
    """Each slot holds its flow, and TCP begins with a SYN."""
    found = packets(frames_of(FLOWS))
    assert len(found) == len(FLOWS)
    for flow, packet in zip(FLOWS, found, strict=True):
        assert packet[1] == FLOOD_TOS
        assert_right(packet)
        header = parse_packet(packet)
        assert header == PacketHeader(
            4,
            flow.protocol,
            flow.source,
            flow.destination,
            flow.source_port,
            flow.destination_port,
            is_midstream=False,
        )
        if flow.protocol == TCP:
            assert packet[33] == SYN


def test_checksums_stay_right_when_ports_change() -> None:
    """What the generator does when it begins anew: other ports, the checksums left alone."""
    words = array("H", frames_of(FLOWS))
    before = source_ports(words)
    after = before[7:] + before[:7]
    set_source_ports(words, after)
    assert source_ports(words) == after != before
    found = packets(words.tobytes())
    for index, packet in enumerate(found):
        assert_right(packet)
        header = parse_packet(packet)
        assert isinstance(header, PacketHeader)
        assert header.source_port == FLOWS[(index + 7) % len(FLOWS)].source_port
        assert header.protocol == FLOWS[index].protocol


@pytest.mark.parametrize("place", range(len(PROTOCOLS)))
def test_a_checksum_is_never_0(place: int) -> None:
    """One that comes out as 0 is written as its other form: in UDP 0 would say there is none."""
    offset = {UDP: 26, TCP: 36}[PROTOCOLS[place]]

    def packet(port: int) -> bytes:
        flows = [Flow(protocol, 0x0A480000, 0x0A880000, 1, port) for protocol in PROTOCOLS]
        return packets(frames_of(flows))[place]

    # The checksum is what all other words lack to 0xFFFF: a port of that value leaves nothing.
    (lacking,) = struct.unpack_from("!H", packet(0), offset)
    assert packet(lacking)[offset : offset + 2] == b"\xff\xff"
    assert_right(packet(lacking))
    assert packet(lacking + 1)[offset : offset + 2] == b"\xff\xfe"


def test_flows_take_turns() -> None:
    """Frames lie by protocols in turn; other flows are refused, not mangled."""
    with pytest.raises(ValueError, match="in turn"):
        frames_of([FLOWS[0], FLOWS[2]])
    assert len(packets(frames_of(FLOWS[:3]))) == 3
