"""The flows that every contender gets, as values and as Ethernet frames.

Each flow differs from every other in addresses or ports. Sources, destinations and destination
ports are drawn in turn from shuffled rounds, so that each occurs about equally often, alone and in
combination: whatever fields a policy decides by, its rules are hit evenly.
"""

from __future__ import annotations

import ipaddress
import random
import struct
from array import array
from dataclasses import dataclass

CLIENT_NETWORK = "10.1.0.0/16"
SERVER_NETWORK = "10.2.0.0/16"
CLIENT_BASE = int(ipaddress.IPv4Address("10.1.64.0"))
SERVER_BASE = int(ipaddress.IPv4Address("10.2.64.0"))

# Addresses lie in groups that double in size, like nested prefixes, and in blocks of 16 within
# them. The offsets in a block are the first addresses of /32, /31, /30, /29 and /28 that the
# longer prefixes leave over.
GROUPS = 5
BLOCKS_PER_GROUP = 40
BLOCK_OFFSETS = (0, 1, 2, 4, 8)
ADDRESSES = GROUPS * BLOCKS_PER_GROUP * len(BLOCK_OFFSETS)
_SMALLEST_GROUP = 1024
_BLOCK = 16

FIRST_PORT = 1024
PORTS = 60_000
# Differentiated services code point CS1: tells the generator's packets from all others.
FLOOD_TOS = 0x20

FRAME_BYTES = 60
SLOT_BYTES = 64
_SLOT = SLOT_BYTES // 2  # in 16-bit words
_UDP = 17
_TTL = 64
# Words of a slot behind the Ethernet header of seven.
_CHECKSUM, _SOURCE, _DESTINATION, SOURCE_PORT_WORD, _DESTINATION_PORT = 12, 13, 15, 17, 18


def group_start(group: int) -> int:
    """Where a group begins behind the base; a /22 holds the first, a /21 the first two, and on."""
    return 0 if group == 0 else _SMALLEST_GROUP << (group - 1)


def block_starts() -> list[int]:
    """Offset of each block of 16 addresses from the base, in the order of the groups."""
    return [
        group_start(group) + block * _BLOCK
        for group in range(GROUPS)
        for block in range(BLOCKS_PER_GROUP)
    ]


def addresses(base: int) -> list[int]:
    """The addresses of one side."""
    return [base + start + offset for start in block_starts() for offset in BLOCK_OFFSETS]


@dataclass(frozen=True, slots=True)
class Flow:
    """The first packet of a UDP flow over IPv4."""

    source: int
    destination: int
    source_port: int
    destination_port: int


def make_flows(count: int, seed: int = 1) -> list[Flow]:
    """*count* different flows, the same ones for the same seed."""
    generator = random.Random(seed)

    def rounds(values: list[int]) -> list[int]:
        drawn: list[int] = []
        while len(drawn) < count:
            generator.shuffle(values)
            drawn += values
        return drawn[:count]

    sources = rounds(addresses(CLIENT_BASE))
    destinations = rounds(addresses(SERVER_BASE))
    ports = [
        FIRST_PORT + step * (PORTS // ADDRESSES) + generator.randrange(PORTS // ADDRESSES)
        for step in rounds(list(range(ADDRESSES)))
    ]
    return [
        Flow(source, destination, FIRST_PORT + index % PORTS, port)
        for index, (source, destination, port) in enumerate(
            zip(sources, destinations, ports, strict=True)
        )
    ]


def make_frames(flows: list[Flow], source_mac: bytes, destination_mac: bytes) -> bytearray:
    """One Ethernet frame of 60 bytes for each flow, in slots of 64 bytes.

    The UDP checksum is absent, as IPv4 allows.
    """
    length = FRAME_BYTES - 14
    header = struct.pack(
        "!BBHHHBBH8x", 0x45, FLOOD_TOS, length, 0, 0x4000, _TTL, _UDP, 0
    ) + struct.pack("!HHHH", 0, 0, length - 20, 0)
    template = destination_mac + source_mac + b"\x08\x00" + header
    words = array("H", template.ljust(SLOT_BYTES, b"\0") * len(flows))
    fixed = sum(struct.unpack("!10H", header[:20]))
    # Columns are written in host byte order and swapped as a whole.
    columns = {
        _CHECKSUM: [_checksum(fixed, flow) for flow in flows],
        _SOURCE: [flow.source >> 16 for flow in flows],
        _SOURCE + 1: [flow.source & 0xFFFF for flow in flows],
        _DESTINATION: [flow.destination >> 16 for flow in flows],
        _DESTINATION + 1: [flow.destination & 0xFFFF for flow in flows],
        SOURCE_PORT_WORD: [flow.source_port for flow in flows],
        _DESTINATION_PORT: [flow.destination_port for flow in flows],
    }
    for word, values in columns.items():
        words[word::_SLOT] = _network_order(values)
    return bytearray(words.tobytes())


def _network_order(values: list[int]) -> array[int]:
    """16-bit values as they lie in a packet."""
    return array("H", struct.pack(f"!{len(values)}H", *values))


def _checksum(fixed: int, flow: Flow) -> int:
    """The IPv4 header's checksum, from the sum of its constant words."""
    total = fixed + (flow.source >> 16) + (flow.source & 0xFFFF)
    total += (flow.destination >> 16) + (flow.destination & 0xFFFF)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
