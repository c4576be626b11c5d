"""Layouts of conntrack's messages: read at once, and never anything but what parse_flow() reads."""

from __future__ import annotations

import random

import pytest

from nsgd.wire import flow_layouts, netlink
from nsgd.wire.flow_events import FLOW_ENDED, FLOW_TOLD, FlowSeen, parse_flow
from nsgd.wire.flow_layouts import FlowEvent, FlowReader
from tests.wire.flow_messages import flow_message, flow_tuple, pair

A, B, NAT = "10.0.1.2", "10.0.2.2", "192.0.2.1"
A6, B6 = "fd00::1", "2001:db8::2"
SECOND = 10**9
STATUS = netlink.be32(3, 10) + netlink.be32(7, 120)
COUNTS = pair(9, 3, 300) + pair(10, 2, 220)
ENDED = pair(20, 1_700_000_000 * SECOND, 1_700_000_005 * SECOND)
STARTED = netlink.nested(20, netlink.be64(1, 1_700_000_000 * SECOND))
TOLD = netlink.be64(27, 1_700_000_009 * SECOND)
TCP_STATE = netlink.nested(4, netlink.nested(1, netlink.attribute(1, b"\3")))
# What follows id and mark, by what tells it.
MORE = {
    "begin": (FLOW_TOLD, STATUS + TOLD),
    "end": (FLOW_ENDED, STATUS + COUNTS + ENDED + TCP_STATE + TOLD),
    "end without times": (FLOW_ENDED, COUNTS),
    "end that is told of later": (FLOW_ENDED, COUNTS + pair(20, SECOND, 0) + TOLD),
    "dump": (FLOW_TOLD, COUNTS + STARTED + TCP_STATE),
    "one way counted": (FLOW_ENDED, COUNTS[:28] + ENDED),
    "ways the other way round": (FLOW_ENDED, COUNTS[28:] + COUNTS[:28]),
    "in a zone": (FLOW_ENDED, netlink.be16(18, 5) + COUNTS),
}


def message(kind: int, payload: bytes) -> bytes:
    """With a netlink header."""
    return netlink.message(kind, 0, 7, 0, payload[4:])[: netlink.HEADER_BYTES] + payload


def flow(
    more: str, protocol: int = 17, version: int = 4, port: int = 1000, mark: int | None = 7
) -> bytes:
    """A message of a flow between two hosts."""
    kind, attributes = MORE[more]
    one, other = (A, B) if version == 4 else (A6, B6)
    there = flow_tuple(1, one, other, protocol, port, 53)
    back = flow_tuple(2, other, one, protocol, 53, port)
    payload = flow_message(there, back, version=version, ident=port, mark=mark, more=attributes)
    return message(kind, payload)


def slowly(*messages: bytes) -> list[FlowEvent]:
    """As parse_flow() reads them."""
    return [
        (kind == FLOW_ENDED, found)
        for each in messages
        for kind, _, payload in netlink.split_messages(each)
        if kind in (FLOW_TOLD, FLOW_ENDED) and (found := parse_flow(payload)) is not None
    ]


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[FlowSeen | None]:
    """What the reader had to have read attribute by attribute."""
    made: list[FlowSeen | None] = []

    def parse(payload: bytes) -> FlowSeen | None:
        made.append(parse_flow(payload))
        return made[-1]

    monkeypatch.setattr(flow_layouts, "parse_flow", parse)
    return made


@pytest.mark.parametrize("more", MORE)
@pytest.mark.parametrize("protocol", [6, 17])
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("mark", [None, 0x450020])
def test_the_second_of_a_kind_is_read_by_the_layout_of_the_first(
    more: str, protocol: int, version: int, mark: int | None, parsed: list[FlowSeen | None]
) -> None:
    """Each field, whatever the kernel tells with it."""
    messages = [flow(more, protocol, version, port, mark) for port in (1000, 2000, 65535)]
    assert FlowReader().read(messages) == slowly(*messages)
    # Counters that stand the other way round are the only thing that is not learnt.
    assert len(parsed) == (3 if more.startswith("ways") else 1)


def test_kinds_are_kept_apart(parsed: list[FlowSeen | None]) -> None:
    """Messages of one length, of other protocols and kinds, have layouts of their own."""
    messages = [flow("begin", protocol, port=port) for port in (1, 2) for protocol in (6, 17)]
    messages += [message(FLOW_ENDED, each[netlink.HEADER_BYTES :]) for each in messages]
    assert {len(each) for each in messages} == {len(messages[0])}
    assert FlowReader().read(messages) == slowly(*messages)
    assert len(parsed) == 4


def test_translated_addresses_are_those_of_either_tuple() -> None:
    """As parse_flow() has them, also where the layout was learnt from a plain flow."""
    translated = flow_message(
        flow_tuple(1, A, NAT, 17, 1000, 80),
        flow_tuple(2, B, NAT, 17, 8080, 40000),
        more=STATUS + TOLD,
    )
    messages = [flow("begin"), message(FLOW_TOLD, translated)]
    found = FlowReader().read(messages)
    assert found == slowly(*messages)
    assert found[1][1].header.destination_port == 8080


@pytest.mark.parametrize("protocol", [1, 132, 47])
def test_protocols_that_are_not_learnt(protocol: int, parsed: list[FlowSeen | None]) -> None:
    """They are read all the same."""
    ports = (77,) if protocol == 1 else (1, 2)
    payload = flow_message(
        flow_tuple(1, A, B, protocol, *ports), flow_tuple(2, B, A, protocol, *ports)
    )
    messages = [message(FLOW_TOLD, payload)] * 3
    assert FlowReader().read(messages) == slowly(*messages)
    assert len(parsed) == 3


def test_several_messages_of_one_datagram() -> None:
    """All of them, and nothing for what is of another kind."""
    other = netlink.message(netlink.NLMSG_DONE, 0, 1, 0)
    datagrams = [flow("begin") + other + flow("end", port=2), other, b"", b"\0" * 7]
    reader = FlowReader()
    for _ in range(2):
        assert reader.read(datagrams) == slowly(*datagrams)
    assert len(slowly(*datagrams)) == 2


def test_there_are_never_more_layouts_than_a_few(parsed: list[FlowSeen | None]) -> None:
    """Whatever comes, memory and the time of a look-up have an end."""
    reader = FlowReader()
    for length in range(200):
        for state in range(8):
            more = netlink.attribute(4, bytes(length)) + netlink.attribute(1000 + state, b"")
            payload = flow_message(
                flow_tuple(1, A, B, 17, 1, 2), flow_tuple(2, B, A, 17, 2, 1), more=more
            )
            assert len(reader.read([message(FLOW_TOLD, payload)])) == 1
    assert len(reader._by_length) <= 64
    assert max(map(len, reader._by_length.values())) <= 4
    assert len(parsed) == 1600


def test_any_bytes() -> None:
    """Changed, cut or put together as they may be: never anything else than parse_flow() reads."""
    chance = random.Random(7)
    whole = [
        flow(more, protocol, version) for more in MORE for protocol in (6, 17) for version in (4, 6)
    ]
    reader = FlowReader()
    assert reader.read(whole) == slowly(*whole)
    same = 0
    for _ in range(30_000):
        changed = bytearray(chance.choice(whole))
        for _ in range(chance.randrange(1, 4)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        if chance.random() < 0.2:
            del changed[chance.randrange(len(changed) + 1) :]
            changed[:4] = len(changed).to_bytes(4, "little")
        data = bytes(changed)
        found = reader.read([data])
        assert found == slowly(data), data.hex()
        same += bool(found)
    assert same > 10_000
