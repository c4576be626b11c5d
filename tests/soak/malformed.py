"""Packets to an open port that must not arrive, because of their form alone."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.kernel.agreement.frames import TCP, UDP

Make = Callable[[int, int], bytes]  # (IP version, protocol) to a good packet


def draw(drawn: random.Random, make: Make) -> tuple[str, bytes]:
    """A kind and a packet of it."""
    kind = drawn.choice(sorted(_KINDS))
    version, protocol, spoil = _KINDS[kind]
    return kind, spoil(bytearray(make(version, protocol)))


def _header_too_short(packet: bytearray) -> bytes:
    packet[0] = 0x43
    return bytes(packet)


def _other_version(packet: bytearray) -> bytes:
    packet[0] = 0x55
    return bytes(packet)


def _longer_than_it_is(packet: bytearray) -> bytes:
    return _with_length(packet, len(packet) + 40)


def _cut(packet: bytearray) -> bytes:
    """The IP header promises a UDP header that is not there; the number is behind the end."""
    return _with_length(packet, 24)


def _wrong_checksum(packet: bytearray) -> bytes:
    at = (20 if packet[0] >> 4 == 4 else 40) + 6
    packet[at] ^= 0x55
    return bytes(packet)


def _udp_length(packet: bytearray) -> bytes:
    packet[24:26] = (4).to_bytes(2, "big")
    return bytes(packet)


def _tcp_flags(packet: bytearray) -> bytes:
    packet[33] = 0x29  # FIN, PSH, URG
    return bytes(packet)


def _later_fragment(packet: bytearray) -> bytes:
    packet[6:8] = (0x0003).to_bytes(2, "big")
    return _with_ip_checksum(packet)


def _first_fragment(packet: bytearray) -> bytes:
    packet[6:8] = (0x2000).to_bytes(2, "big")
    return _with_ip_checksum(packet)


def _endless_extension(packet: bytearray) -> bytes:
    """A hop-by-hop header that goes on beyond the packet."""
    next_header = packet[6]
    packet[6] = 60
    packet[40:40] = bytes((next_header, 255, 1, 4, 0, 0, 0, 0))
    packet[4:6] = (len(packet) - 40).to_bytes(2, "big")
    return bytes(packet)


def _with_length(packet: bytearray, length: int) -> bytes:
    packet[2:4] = length.to_bytes(2, "big")
    return _with_ip_checksum(packet)


def _with_ip_checksum(packet: bytearray) -> bytes:
    packet[10:12] = b"\0\0"
    total = sum(int.from_bytes(packet[at : at + 2], "big") for at in range(0, 20, 2))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    packet[10:12] = (~total & 0xFFFF).to_bytes(2, "big")
    return bytes(packet)


_KINDS: dict[str, tuple[int, int, Callable[[bytearray], bytes]]] = {
    "IPv4 header too short": (4, UDP, _header_too_short),
    "unknown IP version": (4, UDP, _other_version),
    "longer than it is": (4, UDP, _longer_than_it_is),
    "cut in the UDP header": (4, UDP, _cut),
    "wrong UDP checksum": (4, UDP, _wrong_checksum),
    "wrong UDP checksum, IPv6": (6, UDP, _wrong_checksum),
    "UDP length too short": (4, UDP, _udp_length),
    "TCP FIN PSH URG": (4, TCP, _tcp_flags),
    "later fragment alone": (4, UDP, _later_fragment),
    "first fragment alone": (4, UDP, _first_fragment),
    "endless extension header": (6, UDP, _endless_extension),
}
