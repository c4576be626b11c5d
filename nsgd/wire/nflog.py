"""Packets logged by rules, in nfnetlink_log's bytes: the request for a group, and what it sends.

Every length is checked before the read that needs it. A message is read whole or not at all: one
that is cut short would otherwise be a packet without mark, from no link.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from nsgd.wire import netlink

_SUBSYSTEM = 4  # NFNL_SUBSYS_ULOG
LOG_PACKET = _SUBSYSTEM << 8
LOG_CONFIG = _SUBSYSTEM << 8 | 1

# NFULA_CFG_*
_CONFIG_COMMAND, _CONFIG_MODE, _CONFIG_DATAGRAM, _CONFIG_TIMEOUT = 1, 2, 3, 4
_CONFIG_TOGETHER, _CONFIG_FLAGS = 5, 6
_BIND = b"\x01"
_COPY_PACKET = 2
_SEQUENCE_NUMBERS = 1
_COPY_MODE = Struct(">IBx")  # range, mode
_COPY_RANGE_MAX = 0xFFFF - 4  # what fits into an attribute
_DATAGRAM_MAX = 128 << 10

# NFULA_*
_MARK, _IN_LINK, _OUT_LINK, _PAYLOAD, _PREFIX, _SEQUENCE = 2, 4, 5, 9, 10, 12
_WANTED = frozenset((_MARK, _IN_LINK, _OUT_LINK, _PAYLOAD, _PREFIX, _SEQUENCE))
_GENERIC_BYTES = 4  # struct nfgenmsg
_ATTRIBUTE_BYTES = 4
_TYPE_MASK = 0x3FFF
_unpack_attribute = Struct("=HH").unpack_from  # length with header, type
_ABSENT_NUMBER = bytes(4)


class LoggedPacket(NamedTuple):
    """One packet that a log statement saw."""

    mark: int  # 0 also where the packet has none
    prefix: str  # of the log statement; empty where it has none
    in_link: int  # index; 0 where the packet came from this host
    out_link: int  # index; 0 where the packet is for this host
    payload: bytes  # from the IP header on, cut at the rule's snaplen or the group's range
    sequence: int  # of the group, from 0, modulo 2 ** 32


def bind_request(
    group: int,
    sequence: int,
    *,
    copy_range_bytes: int,
    together: int,
    datagram_bytes: int,
    timeout_hundredths: int,
) -> bytes:
    """Ask for a group's packets, with sequence numbers, and for an acknowledgement.

    One message: the kernel refuses all of it, or applies its settings in the order mode, timeout,
    buffer, threshold, flags. A packet with a sequence number has thus seen the other settings.

    Args:
        group: 0-65535, of this network namespace.
        sequence: Of this request, for its answer.
        copy_range_bytes: Most that is copied of a packet; a rule can ask for less.
        together: Packets that make a datagram.
        datagram_bytes: Room for them; a datagram that is full goes earlier.
        timeout_hundredths: The same, in 1/100 s after the first of them.

    Raises:
        ValueError: What the kernel would take for something else, or pass over in silence.
    """
    if not 0 <= group <= 0xFFFF:
        raise ValueError(f"not a log group: {group}")
    # 0 means everything to the kernel.
    if not 1 <= copy_range_bytes <= _COPY_RANGE_MAX:
        raise ValueError(f"not a copy range: {copy_range_bytes}")
    if not 0 < datagram_bytes <= _DATAGRAM_MAX:
        raise ValueError(f"not a datagram size: {datagram_bytes}")
    if not 1 <= together <= 0xFFFF or not 1 <= timeout_hundredths <= 0xFFFF:
        raise ValueError(f"not a threshold and timeout: {together}, {timeout_hundredths}")
    settings = (
        netlink.attribute(_CONFIG_COMMAND, _BIND),
        netlink.attribute(_CONFIG_MODE, _COPY_MODE.pack(copy_range_bytes, _COPY_PACKET)),
        netlink.be32(_CONFIG_TIMEOUT, timeout_hundredths),
        netlink.be32(_CONFIG_DATAGRAM, datagram_bytes),
        netlink.be32(_CONFIG_TOGETHER, together),
        netlink.be16(_CONFIG_FLAGS, _SEQUENCE_NUMBERS),
    )
    return netlink.message(
        LOG_CONFIG, netlink.NLM_F_ACK, sequence, 0, b"".join(settings), resource=group
    )


def parse_logged(payload: bytes) -> LoggedPacket | None:
    """Read a LOG_PACKET message. Never raises, whatever the bytes.

    Args:
        payload: What follows the netlink header.

    Returns:
        The packet; None for a message that is malformed, or that has no sequence number or no
        payload: the first is older than the group's settings, the second says nothing.
    """
    end = len(payload)
    offset = _GENERIC_BYTES
    found: dict[int, bytes] = {}
    while offset < end:
        if end - offset < _ATTRIBUTE_BYTES:
            return None
        length, kind = _unpack_attribute(payload, offset)
        if length < _ATTRIBUTE_BYTES or length > end - offset:
            return None
        kind &= _TYPE_MASK
        if kind in _WANTED:
            found[kind] = payload[offset + _ATTRIBUTE_BYTES : offset + length]
        offset += (length + 3) & ~3

    sequence, data = found.get(_SEQUENCE, b""), found.get(_PAYLOAD, b"")
    # The kernel leaves out a mark of 0, and the link that a packet does not have.
    mark = found.get(_MARK, _ABSENT_NUMBER)
    in_link = found.get(_IN_LINK, _ABSENT_NUMBER)
    out_link = found.get(_OUT_LINK, _ABSENT_NUMBER)
    if not data or not len(sequence) == len(mark) == len(in_link) == len(out_link) == 4:
        return None
    prefix, terminator, rest = found.get(_PREFIX, b"\0").partition(b"\0")
    if not terminator or rest:
        return None
    return LoggedPacket(
        int.from_bytes(mark, "big"),
        # Anybody's rule can name the group, with any bytes.
        prefix.decode(errors="replace"),
        int.from_bytes(in_link, "big"),
        int.from_bytes(out_link, "big"),
        data,
        int.from_bytes(sequence, "big"),
    )
