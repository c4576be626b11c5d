"""What conntrack tells of a flow: its begin, its end, and an entry of a dump, with its counters.

Most flows are of TCP or UDP over IPv4, whose tuples always have one layout: these are read by one
unpacking each. Whatever else is read attribute by attribute.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from nsgd.model.address import IPVersion
from nsgd.model.packet import TCP, UDP, PacketHeader
from nsgd.wire import netlink
from nsgd.wire.conntrack import CT_GET, NFNL_SUBSYS_CTNETLINK, family_number, flow_header

FLOW_TOLD = NFNL_SUBSYS_CTNETLINK << 8  # IPCTNL_MSG_CT_NEW: a begin, or an entry of a dump
FLOW_ENDED = NFNL_SUBSYS_CTNETLINK << 8 | 2  # IPCTNL_MSG_CT_DELETE
GROUP_NEW, GROUP_DESTROY = 1, 3  # NFNLGRP_CONNTRACK_*

# CTA_*
_ORIGINAL, _REPLY, _MARK, _COUNTS_ORIGINAL, _COUNTS_REPLY, _ID = 1, 2, 8, 9, 10, 12
_ZONE, _TIMESTAMP, _EVENT_TIME = 18, 20, 27
_TYPE_MASK = 0x3FFF
_GENERIC_BYTES = 4  # struct nfgenmsg
VERSIONS: dict[int, IPVersion] = {2: 4, 10: 6}
_ABSENT_NUMBER = bytes(4)
_NS_PER_MS = 1_000_000

_unpack_attribute = Struct("=HH").unpack_from
# Two attributes of 64 bits: packets and bytes, or start and stop.
_unpack_pair = Struct(">HHQHHQ").unpack
_PAIR_BYTES = 24
# The inside of a tuple: addresses, protocol and ports, and before each its attribute's header.
_unpack_plain = Struct(">IIIIIIIB3xIH2xIH2x").unpack
_PLAIN_BYTES = 48
_PLAIN_HEADERS = (0, 1, 3, 5, 6, 8, 10)  # where they stand among the fields


def _plain_headers() -> tuple[int, ...]:
    addresses = netlink.attribute(1, bytes(4)), netlink.attribute(2, bytes(4))
    ports = netlink.attribute(1, b"\0"), netlink.be16(2, 0), netlink.be16(3, 0)
    fields = _unpack_plain(netlink.nested(1, *addresses) + netlink.nested(2, *ports))
    return tuple(fields[index] for index in _PLAIN_HEADERS)


_H0, _H1, _H3, _H5, _H6, _H8, _H10 = _plain_headers()


class FlowSeen(NamedTuple):
    """A flow at one moment.

    *key* tells it from all others that are open, *ident* mostly also from those that had its
    addresses and ports before.
    """

    key: bytes
    ident: int
    header: PacketHeader  # of its original direction, as the forward hook sees it
    mark: int
    # Packets and bytes of the original direction, then of the other; None where not counted.
    counts: tuple[int, int, int, int] | None
    start_ms: int  # unix time; 0 where the kernel keeps none
    time_ms: int  # when this was so: a begin or an end; 0 where the kernel does not say


def parse_flow(payload: bytes) -> FlowSeen | None:
    """Read a FLOW_TOLD or FLOW_ENDED message. Never raises, whatever the bytes.

    Args:
        payload: What follows the netlink header.

    Returns:
        The flow; None for what is malformed, of no IP family, or without both tuples and an id.
    """
    end = len(payload)
    version = VERSIONS.get(payload[0]) if end >= _GENERIC_BYTES else None
    if version is None:
        return None
    found: dict[int, bytes] = {}
    offset = _GENERIC_BYTES
    while offset < end:
        if end - offset < 4:
            return None
        length, kind = _unpack_attribute(payload, offset)
        if length < 4 or length > end - offset:
            return None
        found[kind & _TYPE_MASK] = payload[offset + 4 : offset + length]
        offset += (length + 3) & ~3

    original, reply = found.get(_ORIGINAL, b""), found.get(_REPLY, b"")
    ident, mark = found.get(_ID, b""), found.get(_MARK, _ABSENT_NUMBER)
    header = _plain_header(original, reply) if version == 4 else None
    header = header or flow_header(version, original, reply)
    if header is None or len(ident) != 4 or len(mark) != 4:
        return None
    sent, received = _pair(found.get(_COUNTS_ORIGINAL)), _pair(found.get(_COUNTS_REPLY))
    start_ns, stop_ns = _pair(found.get(_TIMESTAMP)) or _start(found.get(_TIMESTAMP))
    told = found.get(_EVENT_TIME, b"")
    told_ns = int.from_bytes(told, "big") if len(told) == 8 else 0
    return FlowSeen(
        original + found.get(_ZONE, b""),
        int.from_bytes(ident, "big"),
        header,
        int.from_bytes(mark, "big"),
        None if sent is None or received is None else sent + received,
        start_ns // _NS_PER_MS,
        (stop_ns or told_ns) // _NS_PER_MS,
    )


def _plain_header(original: bytes, reply: bytes) -> PacketHeader | None:
    """The header where both tuples have the layout of TCP and UDP over IPv4."""
    if len(original) != _PLAIN_BYTES or len(reply) != _PLAIN_BYTES:
        return None
    h0, h1, source, h3, _, h5, h6, protocol, h8, port, h10, _ = _unpack_plain(original)
    r0, r1, target, r3, _, r5, r6, answering, r8, to_port, r10, _ = _unpack_plain(reply)
    if (
        protocol not in (TCP, UDP)
        or protocol != answering
        or (h0, h1, h3, h5, h6, h8, h10) != (_H0, _H1, _H3, _H5, _H6, _H8, _H10)
        or (r0, r1, r3, r5, r6, r8, r10) != (_H0, _H1, _H3, _H5, _H6, _H8, _H10)
    ):
        return None
    return PacketHeader(4, protocol, source, target, port, to_port, False)


def _pair(pair: bytes | None) -> tuple[int, int] | None:
    """The two numbers of counters, or of timestamps; None where there are not two."""
    if pair is None or len(pair) != _PAIR_BYTES:
        return None
    _, _, first, _, _, second = _unpack_pair(pair)
    return first, second


def _start(stamp: bytes | None) -> tuple[int, int]:
    """The start of a flow that has not ended."""
    if stamp is None or len(stamp) != _PAIR_BYTES // 2:
        return 0, 0
    return int.from_bytes(stamp[4:], "big"), 0


def dump_request(version: IPVersion, sequence: int) -> bytes:
    """Ask for every flow of a family."""
    return netlink.message(CT_GET, netlink.NLM_F_DUMP, sequence, family_number(version))


def look_up_request(key: bytes, version: IPVersion, sequence: int) -> bytes:
    """Ask for one flow by its *key*.

    The kernel ends a flow that has run out when somebody looks for it, and tells of that; of itself
    it may take a minute to come to it.
    """
    # A tuple is made of whole attributes, four bytes and four; a zone's number has two.
    zone_bytes = len(key) % 4
    original, zone = key[: len(key) - zone_bytes], key[len(key) - zone_bytes :]
    payload = netlink.nested(_ORIGINAL, original)
    if zone:
        payload += netlink.attribute(_ZONE, zone)
    return netlink.message(CT_GET, netlink.NLM_F_ACK, sequence, family_number(version), payload)
