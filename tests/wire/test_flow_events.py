"""Conntrack's messages about flows: what is read of them, and of what is none."""

from __future__ import annotations

import random

import pytest

from nsgd.model.address import Address
from nsgd.model.packet import PacketHeader
from nsgd.wire import netlink
from nsgd.wire.flow_events import (
    FLOW_TOLD,
    dump_request,
    look_up_request,
    parse_flow,
)
from tests.wire.flow_messages import flow_message, flow_tuple, pair

A, B, NAT = "10.0.1.2", "10.0.2.2", "192.0.2.1"
A6, B6 = "fd00::1", "2001:db8::2"
UDP4 = flow_tuple(1, A, B, 17, 1000, 53), flow_tuple(2, B, A, 17, 53, 1000)
COUNTS = pair(9, 3, 300) + pair(10, 2, 220)
TIMES = pair(20, 1_700_000_000_123_456_789, 1_700_000_005_000_000_000)


def header(
    version: int, protocol: int, source: str, to: str, port: int = 0, to_port: int = 0
) -> PacketHeader:
    """A header by texts."""
    one, other = Address.parse(source).value, Address.parse(to).value
    return PacketHeader(4 if version == 4 else 6, protocol, one, other, port, to_port, False)


def test_an_end() -> None:
    """Counters of both directions and both times, in milliseconds."""
    flow = parse_flow(flow_message(*UDP4, more=COUNTS + TIMES + netlink.be64(27, 10**18)))
    assert flow is not None
    assert flow.header == header(4, 17, A, B, 1000, 53)
    assert (flow.ident, flow.mark, flow.counts) == (9, 7, (3, 300, 2, 220))
    assert (flow.start_ms, flow.time_ms) == (1_700_000_000_123, 1_700_000_005_000)


def test_a_begin() -> None:
    """Neither counters nor times but that of the event; no mark is 0."""
    flow = parse_flow(flow_message(*UDP4, mark=None, more=netlink.be64(27, 10**18)))
    assert flow is not None
    assert (flow.mark, flow.counts, flow.start_ms, flow.time_ms) == (0, None, 0, 10**12)


def test_a_flow_of_a_dump() -> None:
    """It has a start only."""
    start = netlink.nested(20, netlink.be64(1, 1_700_000_000_123_456_789))
    flow = parse_flow(flow_message(*UDP4, more=COUNTS + start))
    assert flow is not None
    assert (flow.start_ms, flow.time_ms) == (1_700_000_000_123, 0)


@pytest.mark.parametrize(
    ("version", "protocol", "one", "other", "ports"),
    [
        (4, 6, A, B, (1, 65535)),
        (6, 6, A6, B6, (1, 65535)),
        (6, 17, A6, B6, (53, 53)),
        (4, 1, A, B, ()),
        (6, 58, A6, B6, ()),
    ],
)
def test_protocols(
    version: int, protocol: int, one: str, other: str, ports: tuple[int, ...]
) -> None:
    """Each family and protocol, ports where there are some."""
    there, back = ports or (77,), tuple(reversed(ports)) or (77,)
    message = flow_message(
        flow_tuple(1, one, other, protocol, *there),
        flow_tuple(2, other, one, protocol, *back),
        version=version,
    )
    flow = parse_flow(message)
    assert flow is not None
    assert flow.header == header(version, protocol, one, other, *ports)


def test_translations() -> None:
    """The header is that of the forward hook: after destination, before source translation."""
    flow = parse_flow(
        flow_message(flow_tuple(1, A, NAT, 6, 1000, 80), flow_tuple(2, B, NAT, 6, 8080, 40000))
    )
    assert flow is not None
    assert flow.header == header(4, 6, A, B, 1000, 8080)


def test_a_key_tells_flows_apart() -> None:
    """By either end, and by the zone."""
    others = flow_tuple(1, A, B, 17, 1001, 53), flow_tuple(2, B, A, 17, 53, 1001)
    messages = [
        flow_message(*UDP4),
        flow_message(*others),
        flow_message(*UDP4, more=netlink.be16(18, 5)),
    ]
    keys = [flow.key for flow in map(parse_flow, messages) if flow is not None]
    assert len(set(keys)) == 3


def test_a_look_up_asks_for_what_was_told() -> None:
    """The tuple and the zone, as they came."""
    for more in (b"", netlink.be16(18, 5)):
        flow = parse_flow(flow_message(*UDP4, more=more))
        assert flow is not None
        ((kind, sequence, payload),) = netlink.split_messages(look_up_request(flow.key, 4, 3))
        assert (kind, sequence) == (FLOW_TOLD | 1, 3)
        assert netlink.generic_payload(payload) == UDP4[0] + more


def test_a_dump_is_asked_for_by_family() -> None:
    """The kernel's numbers of families."""
    assert [dump_request(version, 1)[16] for version in (4, 6)] == [2, 10]


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\2\0",
        flow_message(),
        flow_message(UDP4[0]),
        flow_message(*UDP4)[:-1],
        b"\7" + flow_message(*UDP4)[1:],
        flow_message(UDP4[0], flow_tuple(2, B, A, 6, 53, 1000)),
        flow_message(*UDP4, version=6),
        flow_message(*UDP4, mark=None, more=netlink.be16(8, 1)),
        b"\2\0\0\0" + b"".join(UDP4),
        flow_message(*UDP4) + b"\3\0\1\0",
    ],
)
def test_what_is_no_flow(message: bytes) -> None:
    """It is None, not half of one."""
    assert parse_flow(message) is None


def test_any_bytes() -> None:
    """Never an exception, whatever is changed or cut."""
    chance = random.Random(7)
    whole = flow_message(*UDP4, more=COUNTS + TIMES)
    for _ in range(20_000):
        changed = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        parse_flow(bytes(changed[: chance.randrange(len(changed) + 1)]))
