"""The flows' first packets as Ethernet frames, all checksums right whatever the source ports are.

Beside its source port each packet carries that port's complement: in TCP as half of the first
sequence number, in UDP as its first data. Their sum is the same for every port, and so is the
checksum: the generator changes ports without computing one.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence

from nsgd.bench.flows import PROTOCOLS, Flow
from nsgd.model.packet import TCP, UDP

# Differentiated services code point CS1: tells the generator's packets from all others.
FLOOD_TOS = 0x20
FRAME_BYTES = 60
SLOT_BYTES = 64

_SLOT = SLOT_BYTES // 2  # in 16-bit words, as all that follows
_TTL = 64
# Words of a slot: Ethernet has seven, IPv4 ten.
_CHECKSUM, _SOURCE, _DESTINATION, _SOURCE_PORT, _DESTINATION_PORT = 12, 13, 15, 17, 18
_COMPLEMENT = {UDP: 21, TCP: 20}
_TRANSPORT_CHECKSUM = {UDP: 20, TCP: 25}
_COMPLEMENTS = bytes(255 - byte for byte in range(256))

_UDP_BYTES = 26  # with data up to the shortest frame
_TRANSPORT = {
    UDP: struct.pack("!HHHH", 0, 0, _UDP_BYTES, 0).ljust(_UDP_BYTES, b"\0"),
    # A SYN with a window and the option of a largest segment.
    TCP: struct.pack("!HHIIBBHHHBBH", 0, 0, 0x4E530000, 0, 6 << 4, 2, 64240, 0, 0, 2, 4, 1460),
}


def make_frames(flows: Sequence[Flow], source_mac: bytes, destination_mac: bytes) -> bytearray:
    """One Ethernet frame of 60 bytes for each flow, in slots of 64 bytes.

    Args:
        flows: Of PROTOCOLS in turn; ValueError where they are not.
        source_mac: The client's.
        destination_mac: The gateway's.
    """
    link = destination_mac + source_mac + b"\x08\x00"
    slots = {
        protocol: (link + _packet(protocol)).ljust(SLOT_BYTES, b"\0") for protocol in PROTOCOLS
    }
    pair = b"".join(slots.values())
    words = array("H", (pair * (len(flows) // 2 + 1))[: SLOT_BYTES * len(flows)])
    for place, protocol in enumerate(PROTOCOLS):
        of_protocol = flows[place :: len(PROTOCOLS)]
        if any(flow.protocol != protocol for flow in of_protocol):
            raise ValueError("the flows are not of both protocols in turn")
        sums = [
            (flow.source >> 16)
            + (flow.source & 0xFFFF)
            + (flow.destination >> 16)
            + (flow.destination & 0xFFFF)
            for flow in of_protocol
        ]
        packet = slots[protocol][len(link) :]
        header_sum = sum(struct.unpack("!10H", packet[:20]))
        transport = _TRANSPORT[protocol]
        # The pseudo header's constant part, and what a port and its complement come to.
        transport_sum = protocol + len(transport) + 0xFFFF
        transport_sum += sum(struct.unpack(f"!{len(transport) // 2}H", transport))
        # Columns are written in host byte order and swapped as a whole.
        columns = {
            _CHECKSUM: [_checksum(header_sum + total) for total in sums],
            _SOURCE: [flow.source >> 16 for flow in of_protocol],
            _SOURCE + 1: [flow.source & 0xFFFF for flow in of_protocol],
            _DESTINATION: [flow.destination >> 16 for flow in of_protocol],
            _DESTINATION + 1: [flow.destination & 0xFFFF for flow in of_protocol],
            _DESTINATION_PORT: [flow.destination_port for flow in of_protocol],
            _TRANSPORT_CHECKSUM[protocol]: [
                # 0 would say that there is none; to UDP 0xFFFF is the same sum.
                _checksum(transport_sum + total + flow.destination_port) or 0xFFFF
                for flow, total in zip(of_protocol, sums, strict=True)
            ],
        }
        for word, values in columns.items():
            words[place * _SLOT + word :: len(PROTOCOLS) * _SLOT] = _network_order(values)
    set_source_ports(words, _network_order([flow.source_port for flow in flows]))
    return bytearray(words.tobytes())


def source_ports(words: array[int]) -> array[int]:
    """The source ports of all slots, as they lie in the packets."""
    return words[_SOURCE_PORT::_SLOT]


def set_source_ports(words: array[int], ports: array[int]) -> None:
    """Give all slots these source ports, as they lie in a packet; checksums stay right."""
    complements = array("H", ports.tobytes().translate(_COMPLEMENTS))
    words[_SOURCE_PORT::_SLOT] = ports
    step = len(PROTOCOLS)
    for place, protocol in enumerate(PROTOCOLS):
        column = place * _SLOT + _COMPLEMENT[protocol]
        words[column :: step * _SLOT] = complements[place::step]


def _packet(protocol: int) -> bytes:
    """The packet without addresses, ports and checksums."""
    transport = _TRANSPORT[protocol]
    header = struct.pack(
        "!BBHHHBBH8x", 0x45, FLOOD_TOS, 20 + len(transport), 0, 0x4000, _TTL, protocol, 0
    )
    return header + transport


def _network_order(values: Sequence[int]) -> array[int]:
    """16-bit values as they lie in a packet."""
    return array("H", struct.pack(f"!{len(values)}H", *values))


def _checksum(total: int) -> int:
    """The complement of a sum of 16-bit words, carries added."""
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
