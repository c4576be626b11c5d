"""Echo messages and TCP SYNs as raw sockets see them. Standard library only."""

from __future__ import annotations

import struct
from typing import NamedTuple

ECHO_REQUEST = {4: 8, 6: 128}
ECHO_REPLY = {4: 0, 6: 129}
# Destination unreachable, packet too big, time exceeded, parameter problem.
_ERRORS = {4: {3, 11, 12}, 6: {1, 2, 3, 4}}
_PROTOCOL = {4: 1, 6: 58}
_IPV6_HEADER_BYTES = 40
_ECHO_HEADER_BYTES = 8
_TCP_SYN, _TCP_ACK = 0x02, 0x10


class Echo(NamedTuple):
    """What an ICMP message says of one echo request."""

    kind: str  # "request", "reply" or "error"
    identifier: int
    text: str  # the payload, or type and code of the error


def echo_request(version: int, identifier: int, payload: bytes) -> bytes:
    """An echo request; the kernel fills in the checksum of ICMPv6."""
    kind = ECHO_REQUEST[version]
    message = struct.pack("!BBHHH", kind, 0, 0, identifier, 1) + payload
    if version == 6:
        return message
    return struct.pack("!BBHHH", kind, 0, _checksum(message), identifier, 1) + payload


def read_echo(version: int, data: bytes) -> Echo | None:
    """Read what a raw socket gave: behind the IPv4 header, which IPv6 sockets leave out."""
    message = data if version == 6 else data[_ipv4_header_bytes(data) :]
    if len(message) < _ECHO_HEADER_BYTES:
        return None
    kind, code = message[0], message[1]
    if kind in _ERRORS[version]:
        inner = message[_ECHO_HEADER_BYTES:]
        start = _IPV6_HEADER_BYTES if version == 6 else _ipv4_header_bytes(inner)
        if len(inner) < start + _ECHO_HEADER_BYTES or inner[start] != ECHO_REQUEST[version]:
            return None
        if inner[6 if version == 6 else 9] != _PROTOCOL[version]:
            return None
        return Echo("error", int.from_bytes(inner[start + 4 : start + 6]), f"{kind}/{code}")
    kinds = {ECHO_REQUEST[version]: "request", ECHO_REPLY[version]: "reply"}
    if kind not in kinds:
        return None
    text = message[_ECHO_HEADER_BYTES:].decode(errors="replace")
    return Echo(kinds[kind], int.from_bytes(message[4:6]), text)


def read_syn(version: int, data: bytes) -> tuple[int, int] | None:
    """Source and destination port of a segment that opens a connection."""
    segment = data if version == 6 else data[_ipv4_header_bytes(data) :]
    if len(segment) < 14 or segment[13] & (_TCP_SYN | _TCP_ACK) != _TCP_SYN:
        return None
    return int.from_bytes(segment[0:2]), int.from_bytes(segment[2:4])


def _ipv4_header_bytes(data: bytes) -> int:
    return (data[0] & 0x0F) * 4 if data else 0


def _checksum(message: bytes) -> int:
    padded = message + b"\0" * (len(message) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
