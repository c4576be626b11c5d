"""Announcements of nftables, from bytes of our own making."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest

from nsgd.wire import netlink
from nsgd.wire.nft_events import (
    Change,
    NetlinkMessage,
    NftChainName,
    NftEvent,
    NftGeneration,
    NftObject,
    iterate_messages,
    parse_events,
)

INET, NETDEV = 1, 5
PORT_ID = 0xF0000001  # of a second socket of a process; they count down from the top
NEW, DELETE = Change.NEW, Change.DELETE

TABLE = netlink.text(1, "web")
HANDLE = netlink.attribute(2, struct.pack(">Q", 7))
CHAIN = netlink.text(3, "in")
HOOK = netlink.nested(4, netlink.be32(1, 1), netlink.be32(2, -5))
GENERATION = (netlink.be32(1, 41), netlink.be32(2, 4242), netlink.text(3, "nft"))


def announced(
    command: int, *attributes: bytes, family: int = INET, port_id: int = PORT_ID
) -> bytes:
    """One message as the kernel sends it."""
    kind = netlink.nft_message_type(command)
    made = netlink.message(kind, 0, 1, family, b"".join(attributes))
    return made[:12] + struct.pack("=I", port_id) + made[16:]


def shortened(message: bytes, length: int) -> bytes:
    """The first bytes of a message, with a header that says so."""
    return struct.pack("=I", length) + message[4:length]


@pytest.mark.parametrize(
    ("command", "change", "kind"),
    [
        (0, NEW, NftObject.TABLE),
        (2, DELETE, NftObject.TABLE),
        (6, NEW, NftObject.RULE),
        (8, DELETE, NftObject.RULE),
        (9, NEW, NftObject.SET),
        (11, DELETE, NftObject.SET),
        (12, NEW, NftObject.ELEMENT),
        (14, DELETE, NftObject.ELEMENT),
        (18, NEW, NftObject.NAMED),
        (20, DELETE, NftObject.NAMED),
        (22, NEW, NftObject.FLOWTABLE),
        (24, DELETE, NftObject.FLOWTABLE),
        (26, DELETE, NftObject.TABLE),
        (32, DELETE, NftObject.FLOWTABLE),
    ],
)
def test_object(command: int, change: Change, kind: NftObject) -> None:
    """Every kind of object names its table, and the message names the socket."""
    data = announced(command, TABLE, HANDLE, family=NETDEV)
    assert list(parse_events(data)) == [NftEvent(change, kind, NETDEV, "web", PORT_ID)]


@pytest.mark.parametrize(
    ("command", "attributes", "change", "has_hook"),
    [
        (3, (TABLE, HANDLE, CHAIN, HOOK), NEW, True),
        (3, (TABLE, HANDLE, CHAIN), NEW, False),
        (5, (TABLE, HANDLE, CHAIN), DELETE, False),
        # Links were taken from it.
        (5, (TABLE, HANDLE, CHAIN, HOOK), DELETE, True),
        (27, (TABLE, HANDLE, CHAIN), DELETE, False),
    ],
)
def test_chain(command: int, attributes: tuple[bytes, ...], change: Change, has_hook: bool) -> None:
    """A chain comes with its handle, and says whether it has a hook."""
    chain = NftChainName("in", 7, has_hook)
    expected = NftEvent(change, NftObject.CHAIN, INET, "web", PORT_ID, chain)
    assert list(parse_events(announced(command, *attributes))) == [expected]


def test_transaction() -> None:
    """Messages of a datagram come in order, the generation with whoever made it."""
    data = announced(0, TABLE) + announced(15, *GENERATION, family=0)
    assert list(parse_events(data)) == [
        NftEvent(NEW, NftObject.TABLE, INET, "web", PORT_ID),
        NftGeneration(41, PORT_ID, 4242, "nft"),
    ]


@pytest.mark.parametrize(
    ("name", "program"),
    [
        (b"nft", "nft"),
        (b"", ""),
        # A forged line, a terminal's control sequence, no UTF-8.
        (b"a\nnsgd: ok", "a\ufffdnsgd: ok"),
        (b"\x1b[31m", "\ufffd[31m"),
        (b"\xff", "\ufffd"),
    ],
)
def test_program(name: bytes, program: str) -> None:
    """A program's name can be printed, whatever it is."""
    data = announced(15, GENERATION[0], GENERATION[1], netlink.attribute(3, name + b"\0"))
    assert list(parse_events(data)) == [NftGeneration(41, PORT_ID, 4242, program)]


def test_an_old_generation_names_nobody() -> None:
    """Process and program came later than the number."""
    assert list(parse_events(announced(15, GENERATION[0]))) == [NftGeneration(41, PORT_ID, 0, "")]


def test_names_differ_where_bytes_differ() -> None:
    """No two tables get one name, whatever bytes theirs hold."""
    names = [b"web", b"\xfe", b"\xff", b"\xef\xbf\xbd", b"\\xff"]
    tables = set()
    for name in names:
        (event,) = parse_events(announced(0, netlink.attribute(1, name + b"\0")))
        assert isinstance(event, NftEvent)
        tables.add(event.table)
    assert len(tables) == len(names)


@pytest.mark.parametrize(
    "data",
    [
        announced(0),  # no table
        announced(0, netlink.attribute(1, b"web")),  # no NUL
        announced(0, netlink.attribute(1, b"we\0b\0")),
        announced(0, netlink.attribute(1, b"\0")),
        announced(0, netlink.attribute(1, b"")),
        announced(3, TABLE, HANDLE),
        announced(3, TABLE, CHAIN),
        announced(3, TABLE, CHAIN, netlink.be32(2, 7)),  # a handle of four bytes
        announced(3, CHAIN, HANDLE),
        announced(15),
        announced(15, netlink.be16(1, 41)),
        announced(15, GENERATION[0], netlink.be16(2, 1)),
        announced(15, GENERATION[0], netlink.attribute(3, b"nft")),
        announced(1, TABLE),  # a question
        announced(33, TABLE),  # a command of the future
        announced(0, TABLE + struct.pack("=HH", 3, 1)),  # an attribute shorter than its header
        announced(0, TABLE + struct.pack("=HH", 9, 1)),  # one longer than the message
        announced(0, TABLE + b"\0") + bytes(3),  # a byte too many, then padding
        netlink.message(9 << 8, 0, 1, INET, TABLE),  # another subsystem
        netlink.message(netlink.NLMSG_DONE, 0, 1, 0),
    ],
)
def test_malformed(data: bytes) -> None:
    """What cannot be read is None, and what follows it is read."""
    assert list(parse_events(data)) == [None]
    assert list(parse_events(data + announced(0, TABLE))) == [
        None,
        NftEvent(NEW, NftObject.TABLE, INET, "web", PORT_ID),
    ]


SAMPLES: list[tuple[int, Sequence[bytes], int]] = [
    # Command, attributes, how many of them it needs.
    (0, (TABLE, HANDLE), 1),
    (2, (TABLE,), 1),
    (3, (TABLE, HANDLE, CHAIN, HOOK), 3),
    (5, (TABLE, HANDLE, CHAIN), 3),
    (12, (TABLE, netlink.text(2, "set")), 1),
    (15, GENERATION, 1),
]


@pytest.mark.parametrize(("command", "attributes", "needed"), SAMPLES)
def test_a_datagram_cut_short(command: int, attributes: Sequence[bytes], needed: int) -> None:
    """Whatever is missing at the end: the whole messages before it, and one None."""
    first, last = announced(2, TABLE), announced(command, *attributes)
    whole = list(parse_events(first))
    for length in range(1, len(last)):
        assert list(parse_events(last[:length])) == [None], length
        assert list(parse_events(first + last[:length])) == [*whole, None], length
    assert None not in list(parse_events(first + last))


@pytest.mark.parametrize(("command", "attributes", "needed"), SAMPLES)
def test_a_message_cut_short(command: int, attributes: Sequence[bytes], needed: int) -> None:
    """A header that claims less is malformed, unless it ends with an attribute and has enough."""
    message = announced(command, *attributes)
    ends: set[int] = set()
    length = 20
    for count, attribute in enumerate(attributes, start=1):
        (used,) = struct.unpack_from("=H", attribute)
        if count >= needed:
            # The padding of the last attribute may be missing.
            ends.update(range(length + used, length + len(attribute) + 1))
        length += len(attribute)
    assert max(ends) == len(message)
    for length in range(16, len(message) + 1):
        (event,) = parse_events(shortened(message, length))
        assert (event is not None) == (length in ends), length


@pytest.mark.parametrize("length", [0, 1, 15, 1 << 31, (1 << 32) - 1])
def test_a_length_that_lies(length: int) -> None:
    """Nothing is read past the datagram, and nothing goes round in a circle."""
    lying = struct.pack("=I", length) + announced(0, TABLE)[4:]
    assert list(parse_events(lying)) == [None]


def test_messages_of_a_dump() -> None:
    """Flags and kinds of other messages are kept for whoever reads a dump."""
    data = netlink.message(netlink.NLMSG_DONE, 0x12, 1, 0)
    expected = NetlinkMessage(netlink.NLMSG_DONE, 0x13, 0, bytes(4))
    assert list(iterate_messages(data)) == [expected]
    assert list(iterate_messages(b"")) == []
