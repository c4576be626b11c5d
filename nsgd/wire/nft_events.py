"""What nftables tells its listeners: who changed which table, read from multicast messages.

The kernel sends the messages of one transaction and then its generation; transactions do not mix.
Names keep every byte, so that two tables never look like one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from nsgd.wire import netlink

MULTICAST_GROUP = 7  # NFNLGRP_NFTABLES
NLM_F_DUMP_INTR = 0x10

# All of linux/netfilter/nf_tables.h. The attributes named here have these numbers in each of the
# messages that carry them.
_TABLE_NAME = 1
_CHAIN_HANDLE, _CHAIN_NAME, _CHAIN_HOOK = 2, 3, 4
_GENERATION_ID, _GENERATION_PROCESS, _GENERATION_PROGRAM = 1, 2, 3
_NEW_GENERATION = 15

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port id
_GENERIC_BYTES = 4


class Change(Enum):
    """What was done to an object; a changed one is new as well."""

    NEW = "new"
    DELETE = "delete"


class NftObject(Enum):
    """The kinds of object that a table holds, and the table."""

    TABLE = "table"
    CHAIN = "chain"
    RULE = "rule"
    SET = "set"
    ELEMENT = "element"
    NAMED = "object"  # a counter, quota, limit or another object with a name
    FLOWTABLE = "flowtable"


_NEW, _DELETE = Change.NEW, Change.DELETE
_COMMANDS = {
    0: (_NEW, NftObject.TABLE),
    2: (_DELETE, NftObject.TABLE),
    3: (_NEW, NftObject.CHAIN),
    5: (_DELETE, NftObject.CHAIN),
    6: (_NEW, NftObject.RULE),
    8: (_DELETE, NftObject.RULE),
    9: (_NEW, NftObject.SET),
    11: (_DELETE, NftObject.SET),
    12: (_NEW, NftObject.ELEMENT),
    14: (_DELETE, NftObject.ELEMENT),
    18: (_NEW, NftObject.NAMED),
    20: (_DELETE, NftObject.NAMED),
    22: (_NEW, NftObject.FLOWTABLE),
    24: (_DELETE, NftObject.FLOWTABLE),
    # The "destroy" commands. Linux 6.18 announces them as the deletes above; the numbers are
    # reserved for the same thing.
    26: (_DELETE, NftObject.TABLE),
    27: (_DELETE, NftObject.CHAIN),
    28: (_DELETE, NftObject.RULE),
    29: (_DELETE, NftObject.SET),
    30: (_DELETE, NftObject.ELEMENT),
    31: (_DELETE, NftObject.NAMED),
    32: (_DELETE, NftObject.FLOWTABLE),
}


@dataclass(frozen=True, slots=True)
class NetlinkMessage:
    """One message of a datagram; *payload* follows the netlink header."""

    kind: int
    flags: int
    port_id: int  # the socket whose request this answers or announces; 0 is the kernel's own
    payload: bytes


@dataclass(frozen=True, slots=True)
class NftChainName:
    """A chain in its table.

    *has_hook* of a new chain tells a base chain. Of a deleted one it tells that the chain stays
    and has lost links, since a deletion names the chain alone.
    """

    name: str
    handle: int
    has_hook: bool


@dataclass(frozen=True, slots=True)
class NftEvent:
    """An object was made, changed or deleted."""

    change: Change
    kind: NftObject
    family: int
    table: str  # bytes that are not UTF-8 are kept as lone surrogates
    port_id: int
    chain: NftChainName | None = None  # of a chain only


@dataclass(frozen=True, slots=True)
class NftGeneration:
    """The end of a transaction.

    *port_id* is the socket that sent it. *process_id* is the thread that did, counted in the
    initial PID namespace: in a container it is not what os.getpid() says.
    """

    number: int
    port_id: int
    process_id: int  # 0 where an old kernel does not say
    program: str  # at most 15 characters, chosen by the program; what cannot be printed is replaced


def parse_events(data: bytes) -> Iterator[NftEvent | NftGeneration | None]:
    """Read a datagram; None stands for what is malformed or no announcement that we know.

    Whoever must miss nothing takes None for a change of anything.
    """
    for message in iterate_messages(data):
        yield None if message is None else parse_event(message)


def iterate_messages(data: bytes) -> Iterator[NetlinkMessage | None]:
    """Yield the messages of a datagram; a last None where the rest is malformed."""
    offset = 0
    while offset < len(data):
        if offset + _HEADER.size > len(data):
            yield None
            return
        length, kind, flags, _, port_id = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size or offset + length > len(data):
            yield None
            return
        yield NetlinkMessage(kind, flags, port_id, data[offset + _HEADER.size : offset + length])
        offset += (length + 3) & ~3


def parse_event(message: NetlinkMessage) -> NftEvent | NftGeneration | None:
    """Read one message; None where it is malformed or no announcement that we know."""
    if message.kind >> 8 != netlink.NFNL_SUBSYS_NFTABLES or len(message.payload) < _GENERIC_BYTES:
        return None
    attributes = _attributes(netlink.generic_payload(message.payload))
    if attributes is None:
        return None
    command = message.kind & 0xFF
    if command == _NEW_GENERATION:
        return _generation(message.port_id, attributes)
    table = _name(attributes.get(_TABLE_NAME))
    if command not in _COMMANDS or not table:
        return None
    change, kind = _COMMANDS[command]
    chain = None
    if kind is NftObject.CHAIN:
        chain = _chain(attributes)
        if chain is None:
            return None
    return NftEvent(change, kind, message.payload[0], table, message.port_id, chain)


def _generation(port_id: int, attributes: dict[int, bytes]) -> NftGeneration | None:
    number = attributes.get(_GENERATION_ID, b"")
    process_id = attributes.get(_GENERATION_PROCESS, bytes(4))
    program = _name(attributes.get(_GENERATION_PROGRAM, b"\0"))
    if len(number) != 4 or len(process_id) != 4 or program is None:
        return None
    # It goes to logs, and whoever runs a program chooses its name.
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in program)
    return NftGeneration(
        int.from_bytes(number, "big"), port_id, int.from_bytes(process_id, "big"), printable
    )


def _chain(attributes: dict[int, bytes]) -> NftChainName | None:
    name = _name(attributes.get(_CHAIN_NAME))
    handle = attributes.get(_CHAIN_HANDLE, b"")
    if not name or len(handle) != 8:
        return None
    return NftChainName(name, int.from_bytes(handle, "big"), _CHAIN_HOOK in attributes)


def _attributes(data: bytes) -> dict[int, bytes] | None:
    """Attributes by type; None where they do not fill *data*."""
    found = {}
    size = 0
    for kind, payload in netlink.iterate_attributes(data):
        found[kind] = payload
        size += (4 + len(payload) + 3) & ~3
    # iterate_attributes() stops silently at what is malformed.
    return found if size >= len(data) else None


def _name(data: bytes | None) -> str | None:
    """A NUL-terminated string."""
    if data is None or not data.endswith(b"\0") or b"\0" in data[:-1]:
        return None
    return data[:-1].decode(errors="surrogateescape")
