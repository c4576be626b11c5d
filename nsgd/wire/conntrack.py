"""Conntrack entries from and to ctnetlink bytes: the few fields that judging a flow again needs."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from nsgd.model.address import IPVersion
from nsgd.model.packet import TCP, UDP, PacketHeader
from nsgd.wire.netlink import attribute, be32, nested, split_attributes

NFNL_SUBSYS_CTNETLINK = 1
CT_NEW = NFNL_SUBSYS_CTNETLINK << 8
CT_GET = NFNL_SUBSYS_CTNETLINK << 8 | 1

_TUPLE_ORIGINAL, _TUPLE_REPLY, _MARK, _ZONE, _MARK_MASK = 1, 2, 8, 18, 21
_TUPLE_ADDRESSES, _TUPLE_PROTOCOL = 1, 2
_unpack_attribute = struct.Struct("=HH").unpack_from  # length with header, type
_FAMILIES: dict[IPVersion, int] = {4: 2, 6: 10}


@dataclass(frozen=True, slots=True)
class ConntrackEntry:
    """One flow.

    *header* is its original direction as the forward hook sees it: after destination and before
    source translation. *key* is what names the entry to the kernel.
    """

    header: PacketHeader
    mark: int
    key: bytes


def parse_entry(version: IPVersion, payload: bytes) -> ConntrackEntry | None:
    """Read an entry of a dump, its attributes only; None where it is not one that we can read."""
    attributes = split_attributes(payload)
    original, reply = attributes.get(_TUPLE_ORIGINAL, b""), attributes.get(_TUPLE_REPLY, b"")
    header = flow_header(version, original, reply)
    if header is None:
        return None
    mark = attributes.get(_MARK, b"\0\0\0\0")
    if len(mark) != 4:
        return None
    key = nested(_TUPLE_ORIGINAL, original)
    if _ZONE in attributes:
        key += attribute(_ZONE, attributes[_ZONE])
    return ConntrackEntry(header, int.from_bytes(mark, "big"), key)


def mark_of(payload: bytes) -> int:
    """The mark of a dumped entry, without reading more of it; 0 where it has none.

    An entry costs a microsecond so, and eight with all that parse_entry() reads.
    """
    offset, end = 0, len(payload)
    while offset + 4 <= end:
        length, kind = _unpack_attribute(payload, offset)
        if length < 4:
            break
        if kind == _MARK and length == 8 and offset + length <= end:
            return int.from_bytes(payload[offset + 4 : offset + 8], "big")
        offset += (length + 3) & ~3
    return 0


def flow_header(version: IPVersion, original: bytes, reply: bytes) -> PacketHeader | None:
    """A flow's original direction as the forward hook sees it, from its two tuples.

    None where they are not those of a flow.
    """
    # The reply's source is the receiver behind a destination translation; the original's source
    # is the sender ahead of a source translation.
    sender, receiver = _source(version, original), _source(version, reply)
    if sender is None or receiver is None or sender[1] != receiver[1]:
        return None
    source, protocol, source_port = sender
    destination, _, destination_port = receiver
    has_ports = protocol in (TCP, UDP)
    return PacketHeader(
        version,
        protocol,
        source,
        destination,
        source_port if has_ports else 0,
        destination_port if has_ports else 0,
        False,
    )


def _source(version: IPVersion, flow_tuple: bytes) -> tuple[int, int, int] | None:
    """Source address, protocol and source port of a tuple."""
    parts = split_attributes(flow_tuple)
    address = split_attributes(parts.get(_TUPLE_ADDRESSES, b"")).get(1 if version == 4 else 3, b"")
    protocol = split_attributes(parts.get(_TUPLE_PROTOCOL, b""))
    number, port = protocol.get(1, b""), protocol.get(2, b"\0\0")
    if len(address) != (4 if version == 4 else 16) or len(number) != 1 or len(port) != 2:
        return None
    return int.from_bytes(address, "big"), number[0], int(struct.unpack(">H", port)[0])


def mark_update(entry: ConntrackEntry, mark: int, mask: int) -> bytes:
    """The payload of a request that changes only the bits of *mask* in an entry's mark."""
    return entry.key + be32(_MARK, mark) + be32(_MARK_MASK, mask)


def family_number(version: IPVersion) -> int:
    """The kernel's number of a family."""
    return _FAMILIES[version]
