"""Netlink framing: attributes, messages, and nfnetlink's transaction brackets."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

NFNL_SUBSYS_NFTABLES = 10
NFNL_MSG_BATCH_BEGIN = 0x10
NFNL_MSG_BATCH_END = 0x11
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_DUMP = 0x300
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_APPEND = 0x800

NESTED = 0x8000
_TYPE_MASK = 0x3FFF
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port id
_GENERIC = struct.Struct("=BBH")  # family, version, resource id (big endian, swapped by hand)
_BOTH = struct.Struct(_HEADER.format + _GENERIC.format.lstrip("="))
_ATTRIBUTE = struct.Struct("=HH")  # length with header, type
HEADER_BYTES = _HEADER.size
# Some hundred thousand attributes are made for a large ruleset.
_head = _ATTRIBUTE.pack
_BE16, _BE32, _BE64 = (struct.Struct(f">{code}").pack for code in "HIQ")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")  # by length modulo four
_ENDED = (b"\0\0\0\0", b"\0\0\0", b"\0\0", b"\0")  # the same with a NUL before


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    length = len(payload)
    return _head(4 + length, kind) + payload + _PADDING[length & 3]


def nested(kind: int, *parts: bytes) -> bytes:
    """An attribute that holds attributes."""
    payload = b"".join(parts)
    length = len(payload)
    return _head(4 + length, kind | NESTED) + payload + _PADDING[length & 3]


def text(kind: int, value: str) -> bytes:
    """A NUL-terminated string attribute."""
    data = value.encode()
    length = len(data)
    return _head(5 + length, kind) + data + _ENDED[length & 3]


def be16(kind: int, value: int) -> bytes:
    """A 16-bit big-endian attribute."""
    return _head(6, kind) + _BE16(value) + b"\0\0"


def be32(kind: int, value: int) -> bytes:
    """A 32-bit big-endian attribute; negative values in two's complement."""
    return _head(8, kind) + _BE32(value & 0xFFFFFFFF)


def be64(kind: int, value: int) -> bytes:
    """A 64-bit big-endian attribute."""
    return _head(12, kind) + _BE64(value)


def message(
    kind: int, flags: int, sequence: int, family: int, payload: bytes = b"", resource: int = 0
) -> bytes:
    """One nfnetlink request; the length field is filled in."""
    swapped = (resource & 0xFF) << 8 | resource >> 8
    length = _BOTH.size + len(payload)
    head = _BOTH.pack(length, kind, flags | NLM_F_REQUEST, sequence, 0, family, 0, swapped)
    return head + payload


def append_messages(
    data: bytearray, messages: Iterable[tuple[int, int, bytes]], sequence: int, family: int
) -> int:
    """Append requests of nftables, each by its command, flags and payload, as message() has them.

    Sequence numbers go on behind *sequence*; the last one is returned.
    """
    pack, header_bytes = _BOTH.pack, _BOTH.size
    subsystem = NFNL_SUBSYS_NFTABLES << 8
    for command, flags, payload in messages:
        sequence += 1
        length = header_bytes + len(payload)
        kind, request = subsystem | command, flags | NLM_F_REQUEST
        data += pack(length, kind, request, sequence, 0, family, 0, 0)
        data += payload
    return sequence


def nft_message_type(command: int) -> int:
    """The message type of an nftables command."""
    return NFNL_SUBSYS_NFTABLES << 8 | command


def split_messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield (type, sequence, payload after the netlink header); stop at what is malformed."""
    for kind, sequence, message in whole_messages(data):
        yield kind, sequence, message[_HEADER.size :]


def whole_messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield (type, sequence, message with its netlink header); stop at what is malformed."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, _, sequence, _ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size or offset + length > len(data):
            return
        yield kind, sequence, data[offset : offset + length]
        offset += (length + 3) & ~3


def split_attributes(data: bytes) -> dict[int, bytes]:
    """Attributes by type, the last of each type; stop at what is malformed."""
    return dict(iterate_attributes(data))


def iterate_attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (type, payload) for each attribute; stop at what is malformed."""
    offset = 0
    while offset + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4 or offset + length > len(data):
            return
        yield kind & _TYPE_MASK, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def generic_payload(payload: bytes) -> bytes:
    """What follows the nfnetlink header of a message's payload."""
    return payload[_GENERIC.size :]


def error_number(payload: bytes) -> int:
    """The errno of an NLMSG_ERROR payload; 0 is an acknowledgement."""
    if len(payload) < 4:
        return 0
    (negative,) = struct.unpack_from("=i", payload)
    return -int(negative)
