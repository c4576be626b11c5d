"""Log groups: the request and the packets against bytes by the kernel's header, and no surprise."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsgd.wire.netlink import split_messages
from nsgd.wire.nflog import LOG_PACKET, LoggedPacket, bind_request, parse_logged

GROUP = 0x0105
IP_PACKET = bytes(range(0x45, 0x45 + 31))
# By linux/netfilter/nfnetlink_log.h, enum nfulnl_attr_type.
HEADER, MARK, TIMESTAMP, INDEV, OUTDEV, PHYSINDEV, HWADDR, PAYLOAD, PREFIX, SEQ = (
    *(1, 2, 3, 4, 5, 6, 8),
    *(9, 10, 12),
)
HWTYPE, HWHEADER, HWLEN = 15, 16, 17


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def number(value: int) -> bytes:
    return struct.pack(">I", value)


# In the kernel's order, with what it also sends.
ATTRIBUTES: dict[int, bytes] = {
    HEADER: struct.pack(">HBB", 0x0800, 2, 0),
    PREFIX: b"web/DenyAllInBound\0",
    INDEV: number(7),
    PHYSINDEV: number(70),
    OUTDEV: number(0x01020304),
    MARK: number(0xFEDCBA98),
    HWADDR: struct.pack(">HH", 6, 0) + bytes(8),
    HWTYPE: b"\0\1",
    HWLEN: b"\0\x0e",
    HWHEADER: bytes(14),
    TIMESTAMP: bytes(16),
    SEQ: number(0x80000001),
    PAYLOAD: IP_PACKET,
}
WHOLE = LoggedPacket(0xFEDCBA98, "web/DenyAllInBound", 7, 0x01020304, IP_PACKET, 0x80000001)


def body(changes: dict[int, bytes | None] | None = None) -> bytes:
    """A message's payload; None leaves an attribute out."""
    attributes: dict[int, bytes | None] = {**ATTRIBUTES, **(changes or {})}
    parts = [attribute(kind, value) for kind, value in attributes.items() if value is not None]
    return struct.pack(">BBH", 2, 0, GROUP) + b"".join(parts)


def message(payload: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(payload), 0x0400, 0, 0, 0) + payload


def settings(**changes: int) -> dict[str, Any]:
    return {
        "copy_range_bytes": 0x0102,
        "together": 32,
        "datagram_bytes": 0x10000,
        "timeout_hundredths": 10,
        **changes,
    }


def test_the_request() -> None:
    """By enum nfulnl_attr_config: one message, its group and numbers big endian."""
    expected = (
        struct.pack("=HHB3x", 5, 1, 1)  # NFULA_CFG_CMD, NFULNL_CFG_CMD_BIND
        + struct.pack("=HH", 10, 2)  # NFULA_CFG_MODE
        + struct.pack(">IBx2x", 0x0102, 2)  # NFULNL_COPY_PACKET
        + struct.pack("=HH", 8, 4)  # NFULA_CFG_TIMEOUT
        + struct.pack(">I", 10)
        + struct.pack("=HH", 8, 3)  # NFULA_CFG_NLBUFSIZ
        + struct.pack(">I", 0x10000)
        + struct.pack("=HH", 8, 5)  # NFULA_CFG_QTHRESH
        + struct.pack(">I", 32)
        + struct.pack("=HH", 6, 6)  # NFULA_CFG_FLAGS, NFULNL_CFG_F_SEQ
        + struct.pack(">H2x", 1)
    )
    header = struct.pack("=IHHII", 20 + len(expected), 0x0401, 5, 9, 0)  # REQUEST | ACK
    generic = struct.pack(">BBH", 0, 0, GROUP)
    assert bind_request(GROUP, 9, **settings()) == header + generic + expected


@pytest.mark.parametrize("group", [-1, 0x10000])
def test_no_other_group_is_asked_for(group: int) -> None:
    """Than one that fits into the message."""
    with pytest.raises(ValueError, match="log group"):
        bind_request(group, 1, **settings())


@pytest.mark.parametrize(
    ("setting", "good", "bad"),
    [
        # 0 is the largest range to the kernel, and it passes over a size beyond its own limit.
        ("copy_range_bytes", (1, 65531), (0, -1, 65532)),
        ("datagram_bytes", (1, 131072), (0, -1, 131073)),
        ("together", (1, 65535), (0, -1, 65536)),
        ("timeout_hundredths", (1, 65535), (0, -1, 65536)),
    ],
)
def test_settings_that_are_refused(
    setting: str, good: tuple[int, ...], bad: tuple[int, ...]
) -> None:
    """Rather than taken for something else."""
    for value in good:
        assert bind_request(GROUP, 1, **settings(**{setting: value}))
    for value in bad:
        with pytest.raises(ValueError, match=str(value)):
            bind_request(GROUP, 1, **settings(**{setting: value}))


def test_a_packet() -> None:
    """All of it, from a datagram of several."""
    second = body({SEQ: number(0x80000002), PAYLOAD: IP_PACKET[:20]})
    done = struct.pack("=IHHII", 20, 3, 0, 0, 0) + bytes(4)
    read = [
        parse_logged(payload)
        for kind, _, payload in split_messages(message(body()) + message(second) + done)
        if kind == LOG_PACKET
    ]
    assert read == [WHOLE, WHOLE._replace(sequence=0x80000002, payload=IP_PACKET[:20])]


@pytest.mark.parametrize(
    ("absent", "field", "value"),
    [(MARK, "mark", 0), (INDEV, "in_link", 0), (OUTDEV, "out_link", 0), (PREFIX, "prefix", "")],
)
def test_what_the_kernel_leaves_out(absent: int, field: str, value: object) -> None:
    """A mark of 0, the link of a packet to or from this host."""
    parsed = parse_logged(body({absent: None}))
    assert parsed is not None
    assert parsed._asdict() == {**WHOLE._asdict(), field: value}


@pytest.mark.parametrize("needed", [SEQ, PAYLOAD])
def test_what_every_packet_has(needed: int) -> None:
    """Without a number it is older than the settings; without bytes it says nothing."""
    assert parse_logged(body({needed: None})) is None
    assert parse_logged(body({needed: b""})) is None


@pytest.mark.parametrize("kind", [MARK, INDEV, OUTDEV, SEQ])
@pytest.mark.parametrize("length", [0, 1, 2, 3, 5, 8])
def test_a_number_of_another_length(kind: int, length: int) -> None:
    """Is not a number."""
    assert parse_logged(body({kind: bytes(length)})) is None


@pytest.mark.parametrize(
    ("prefix", "read"),
    [
        (b"\0", ""),
        (b"a\0", "a"),
        ("ä".encode() + b"\0", "ä"),
        (b"\xff\0", "\N{REPLACEMENT CHARACTER}"),
        (b"", None),
        (b"a", None),
        (b"a\0b\0", None),
        (b"a\0\0", None),
    ],
)
def test_the_prefix(prefix: bytes, read: str | None) -> None:
    """Ends with its only NUL."""
    parsed = parse_logged(body({PREFIX: prefix}))
    assert (parsed and parsed.prefix) == read


def test_a_message_cut_anywhere() -> None:
    """Is no packet: never one without its mark. Only padding may be missing at the end."""
    whole = body()
    padding = -len(IP_PACKET) % 4
    assert padding
    assert whole.endswith(IP_PACKET + bytes(padding))
    for length in range(len(whole)):
        expected = WHOLE if length >= len(whole) - padding else None
        assert parse_logged(whole[:length]) == expected, length


def test_a_datagram_cut_anywhere() -> None:
    """Its whole packets are read, and no part of the last."""
    packets = message(body()) + message(body())
    first = len(packets) // 2
    for length in range(len(packets)):
        read = [parse_logged(payload) for _, _, payload in split_messages(packets[:length])]
        assert read == [WHOLE] * (length >= first), length


@pytest.mark.parametrize("length", [0, 1, 3, 0x7FFF, 0xFFFF])
def test_a_length_that_lies(length: int) -> None:
    """Shorter than its own header, or beyond the message, for each attribute."""
    whole = body()
    offset = 4
    for value in ATTRIBUTES.values():
        lying = bytearray(whole)
        struct.pack_into("=H", lying, offset, length)
        assert parse_logged(bytes(lying)) is None
        offset += len(attribute(0, value))
    assert offset == len(whole)


@given(st.binary(max_size=200), st.integers(0, 200))
def test_no_bytes_raise(noise: bytes, offset: int) -> None:
    """Alone, or over a part of a good message."""
    whole = body()
    for data in (noise, whole[:offset] + noise + whole[offset + len(noise) :]):
        parsed = parse_logged(data)
        assert parsed is None or (parsed.payload and parsed.sequence < 1 << 32)
