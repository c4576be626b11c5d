"""The bytes of drawn packets: each a flow's valid first packet, with its number at the end."""

from __future__ import annotations

import functools
import ipaddress
import struct
from collections.abc import Sequence
from enum import Enum

from tests.oracle.oracle import Packet

TCP, UDP, ICMP, ICMPV6, GRE, ESP, AH, SCTP = 6, 17, 1, 58, 47, 50, 51, 132
MARK = b"nsgd"
NUMBER_BYTES = 8
_HOP_LIMIT = 64
BEHIND_AH = 253  # a protocol for experiments
_PADDING = bytes((1, 4, 0, 0, 0, 0))
_SYN, _ACK = 0x02, 0x10

FlowKey = tuple[object, ...]


class Shape(Enum):
    """What is odd about a packet; the kernel engine leaves all but plain ones to the worker."""

    PLAIN = "plain"
    MIDSTREAM = "TCP without SYN"
    HOP_BY_HOP = "hop-by-hop options"
    DESTINATION_OPTIONS = "destination options"


_HEADERS = {Shape.HOP_BY_HOP: 0, Shape.DESTINATION_OPTIONS: 60}


def shapes_of(packet: Packet) -> Sequence[Shape]:
    """What a packet can be; conntrack takes what is behind AH for the flow, so it stays plain."""
    shapes = [Shape.PLAIN]
    if packet.protocol == TCP:
        shapes.append(Shape.MIDSTREAM)
    if packet.version == 6 and packet.protocol != AH:
        shapes += _HEADERS
    return shapes


def flow_key(packet: Packet, number: int) -> FlowKey:
    """What conntrack knows a flow by, from either side."""
    ends = sorted(
        ((packet.source, packet.source_port), (packet.destination, packet.destination_port))
    )
    numbered = packet.protocol in (ICMP, ICMPV6, SCTP)
    return packet.version, packet.protocol, *ends, number & 0xFFFF if numbered else 0


def ip_packet(packet: Packet, shape: Shape, number: int) -> bytes:
    """A packet from its IP header on."""
    source, destination = _packed(packet.source), _packed(packet.destination)
    is_midstream = shape is Shape.MIDSTREAM
    payload = _transport(packet, source + destination, number, is_midstream=is_midstream)
    following = packet.protocol
    if shape in _HEADERS:
        payload = bytes((following, 0)) + _PADDING + payload
        following = _HEADERS[shape]
    if packet.version == 6:
        head = struct.pack("!IHBB", 6 << 28, len(payload), following, _HOP_LIMIT)
        return head + source + destination + payload
    head = struct.pack("!BBHIBB", 0x45, 0, 20 + len(payload), 0, _HOP_LIMIT, following)
    checksum = _checksum(head + source + destination)
    return head + struct.pack("!H", checksum) + source + destination + payload


def number_of(received: bytes) -> int | None:
    """The number of a packet, of whatever frame it ends; None where it is none of ours."""
    if received[-NUMBER_BYTES - len(MARK) : -NUMBER_BYTES] != MARK:
        return None
    return int.from_bytes(received[-NUMBER_BYTES:], "big")


def is_forwarded_copy(received: bytes, sent: bytes) -> bool:
    """Whether a packet is one that was sent, a hop later."""
    if sent[0] >> 4 == 6:
        return received[:7] == sent[:7] and received[8:] == sent[8:] and received[7] == sent[7] - 1
    return (
        received[:8] == sent[:8]
        and received[8] == sent[8] - 1
        and received[9] == sent[9]
        and received[12:] == sent[12:]
    )


def _transport(packet: Packet, addresses: bytes, number: int, *, is_midstream: bool) -> bytes:
    end = MARK + number.to_bytes(NUMBER_BYTES, "big")
    ports = packet.source_port, packet.destination_port
    match packet.protocol:
        case 6:
            flags = _ACK if is_midstream else _SYN
            body = struct.pack("!HHIIBBHHH", *ports, 1, 0, 5 << 4, flags, 8192, 0, 0) + end
            return _with_checksum(body, 16, packet, addresses)
        case 17:
            body = struct.pack("!HHHH", *ports, 8 + len(end), 0) + end
            return _with_checksum(body, 6, packet, addresses)
        case 1 | 58:
            kind = 8 if packet.protocol == ICMP else 128
            body = struct.pack("!BBHHH", kind, 0, 0, number & 0xFFFF, 1) + end
            return _with_checksum(body, 2, packet, addresses)
        case 47:
            return struct.pack("!HH", 0, 0x0800) + end
        case 50:
            return struct.pack("!II", 0x1000, 1) + end
        case 51:
            # conntrack looks behind it, on IPv6.
            return struct.pack("!BBHII12x", BEHIND_AH, 4, 0, 0x1000, 1) + end
        case 132:
            return _sctp_init(number, end)
        case _:
            return end


def _sctp_init(number: int, end: bytes) -> bytes:
    """An association's first message; the number is in a parameter that is to be passed over."""
    parameter = struct.pack("!HH", 0x8001, 4 + len(end)) + end
    chunk = struct.pack("!BBHIIHHI", 1, 0, 20 + len(parameter), 1, 65536, 1, 1, 1) + parameter
    head = struct.pack("!HHI", number & 0xFFFF, 5000, 0)
    checksum = struct.pack("<I", _crc32c(head + bytes(4) + chunk))
    return head + checksum + chunk


def _with_checksum(body: bytes, at: int, packet: Packet, addresses: bytes) -> bytes:
    covered = body
    if packet.protocol != ICMP:  # with a pseudo-header: RFC 9293, RFC 8200
        covered = addresses + struct.pack("!II", len(body), packet.protocol) + body
    checksum = _checksum(covered)
    if packet.protocol == UDP:
        checksum = checksum or 0xFFFF
    return body[:at] + checksum.to_bytes(2, "big") + body[at + 2 :]


def _checksum(data: bytes) -> int:
    """RFC 1071; a sum of 16-bit words with their carries is the remainder by 65535."""
    total = int.from_bytes(data + bytes(len(data) % 2), "big")
    return 0xFFFF - (total % 0xFFFF or 0xFFFF)


@functools.lru_cache(maxsize=100_000)
def _packed(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def _crc32c_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


_CRC32C = _crc32c_table()


def _crc32c(data: bytes) -> int:
    """RFC 9260, appendix A."""
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC32C[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF
