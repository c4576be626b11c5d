"""Reads conntrack's messages by layouts that came before: the kernel writes most flows alike.

A layout is learnt from a message that parse_flow() has read. It knows where the few numbers stand
that are asked for, and which bytes must be as they were for them to stand there. What fits no
layout goes through parse_flow(); so the two never differ, whatever the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from struct import Struct
from typing import Any, NamedTuple

from nsgd.model.address import IPVersion
from nsgd.model.packet import TCP, UDP, PacketHeader
from nsgd.wire import netlink
from nsgd.wire.flow_events import FLOW_ENDED, FLOW_TOLD, VERSIONS, FlowSeen, parse_flow

FlowEvent = tuple[bool, FlowSeen]  # whether it has ended

# CTA_*
_ORIGINAL, _REPLY, _MARK, _COUNTS_ORIGINAL, _COUNTS_REPLY, _ID = 1, 2, 8, 9, 10, 12
_ZONE, _TIMESTAMP, _EVENT_TIME = 18, 20, 27
_ADDRESSES, _PROTOCOL = 1, 2  # of a tuple
_NUMBER, _SOURCE_PORT = 1, 2  # of its protocol
_TYPE_MASK = 0x3FFF
_LENGTH_AND_TYPE_BYTES = 6  # the first of a netlink header; what follows means nothing here
_HEADERS_BYTES = netlink.HEADER_BYTES + 4  # with struct nfgenmsg
_ATTRIBUTE_BYTES = 4
_PAIR_BYTES = 24
_unpack_attribute = Struct("=HH").unpack_from
_NS_PER_MS = 1_000_000
# Messages of one length that differ, and lengths: the kernel has a dozen.
_MOST_OF_A_LENGTH, _MOST_LENGTHS = 4, 64
_TUPLE_NAMES = ["original address", "original port", "reply address", "reply port"]
_COUNT_NAMES = ["packets", "bytes", "reply packets", "reply bytes"]


class _Attribute(NamedTuple):
    kind: int
    start: int  # of its payload, in the message
    end: int


class _CannotLearn(Exception):
    """A message that is not laid out as others will be."""


class _Layout(NamedTuple):
    mask: int  # of the whole message as a number: bits that must be those of
    pattern: int
    read: Callable[[bytes], FlowEvent]


class FlowReader:
    """Reads messages, and learns their layouts."""

    def __init__(self) -> None:
        """Know no layout."""
        self._by_length: dict[int, list[_Layout]] = {}

    def read(self, messages: Iterable[bytes]) -> list[FlowEvent]:
        """Read what begins with a netlink header, mostly one message each.

        Never raises, whatever the bytes. Messages of other kinds, malformed ones, and those that
        tell of no flow are left out.
        """
        found: list[FlowEvent] = []
        by_length = self._by_length
        for message in messages:
            for mask, pattern, read in by_length.get(len(message), ()):
                if int.from_bytes(message, "little") & mask == pattern:
                    found.append(read(message))
                    break
            else:
                found += self._read_new(message)
        return found

    def _read_new(self, message: bytes) -> Iterator[FlowEvent]:
        for kind, _, payload in netlink.split_messages(message):
            if kind not in (FLOW_TOLD, FLOW_ENDED):
                continue
            flow = parse_flow(payload)
            if flow is None:
                continue
            if len(payload) + netlink.HEADER_BYTES == len(message):
                self._learn(message, (kind == FLOW_ENDED, flow))
            yield kind == FLOW_ENDED, flow

    def _learn(self, message: bytes, event: FlowEvent) -> None:
        known = self._by_length.get(len(message), [])
        if len(known) >= _MOST_OF_A_LENGTH or len(self._by_length) >= _MOST_LENGTHS:
            return
        try:
            layout = _layout(message)
        except _CannotLearn:
            return
        if layout.read(message) == event:
            self._by_length[len(message)] = [*known, layout]


class _Learning:
    """What is found in a message: numbers, and bytes that must stay as they are."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._fixed = bytearray(len(message))
        self._numbers: dict[str, tuple[int, str]] = {}  # where, and struct's letter, by name

    def fix(self, start: int, end: int) -> None:
        """These bytes say where others stand, or what they mean."""
        self._fixed[start:end] = b"\xff" * (end - start)

    def attributes(self, start: int, end: int) -> dict[int, _Attribute]:
        """By kind. Raises _CannotLearn where one comes twice, or is cut."""
        found: dict[int, _Attribute] = {}
        for each in self._walk(start, end):
            if each.kind in found:
                raise _CannotLearn
            found[each.kind] = each
        return found

    def flow_tuple(self, name: str, found: _Attribute | None, version: IPVersion) -> int:
        """Note source and source port of a tuple; its protocol. Raises _CannotLearn."""
        if found is None:
            raise _CannotLearn
        parts = self.attributes(found.start, found.end)
        if not parts.keys() >= {_ADDRESSES, _PROTOCOL}:
            raise _CannotLearn
        addresses = self.attributes(parts[_ADDRESSES].start, parts[_ADDRESSES].end)
        protocol = self.attributes(parts[_PROTOCOL].start, parts[_PROTOCOL].end)
        source, bytes_, letter = (1, 4, "I") if version == 4 else (3, 16, "16s")
        if (
            not self.number(f"{name} address", addresses.get(source), bytes_, letter)
            or not self.number(f"{name} port", protocol.get(_SOURCE_PORT), 2, "H")
            or _NUMBER not in protocol
        ):
            raise _CannotLearn
        start, end = protocol[_NUMBER].start, protocol[_NUMBER].end
        self.fix(start, end)
        return self._message[start] if end - start == 1 else -1

    def number(self, name: str, found: _Attribute | None, length: int, letters: str) -> bool:
        """Note an attribute of so many bytes; False where it is not one."""
        if found is None or found.end - found.start != length:
            return False
        self._numbers[name] = found.start, letters
        return True

    def pair(self, names: Sequence[str], found: _Attribute | None) -> bool:
        """Note two attributes of 64 bits inside of one; False where it is not so long."""
        if found is None or found.end - found.start != _PAIR_BYTES:
            return False
        for name, start in zip(names, (found.start + 4, found.start + 16), strict=True):
            self._numbers[name] = start, "Q"
        return True

    def pattern(self) -> tuple[int, int]:
        """The mask, and what the message is below it."""
        mask = int.from_bytes(self._fixed, "little")
        return mask, int.from_bytes(self._message, "little") & mask

    def unpack(self) -> tuple[Any, dict[str, int]]:
        """What unpacks the numbers in the order in which they stand, and their indexes."""
        made, place = [">"], 0
        indexes: dict[str, int] = {}
        for name, (start, letters) in sorted(self._numbers.items(), key=lambda item: item[1]):
            made.append(f"{start - place}x{letters}")
            place = start + Struct(f">{letters}").size
            indexes[name] = len(indexes)
        return Struct("".join(made)).unpack_from, indexes

    def _walk(self, start: int, end: int) -> Iterator[_Attribute]:
        while start < end:
            if end - start < _ATTRIBUTE_BYTES:
                raise _CannotLearn
            length, kind = _unpack_attribute(self._message, start)
            if not _ATTRIBUTE_BYTES <= length <= end - start:
                raise _CannotLearn
            self.fix(start, start + _ATTRIBUTE_BYTES)
            yield _Attribute(kind & _TYPE_MASK, start + _ATTRIBUTE_BYTES, start + length)
            start += (length + 3) & ~3


def _layout(message: bytes) -> _Layout:
    """The layout of a message with one flow of TCP or UDP. Raises _CannotLearn."""
    learning = _Learning(message)
    learning.fix(0, _LENGTH_AND_TYPE_BYTES)
    learning.fix(netlink.HEADER_BYTES, netlink.HEADER_BYTES + 1)
    ((kind, _, _),) = netlink.whole_messages(message)
    version = VERSIONS.get(message[netlink.HEADER_BYTES])
    found = learning.attributes(_HEADERS_BYTES, len(message))
    original, zone = found.get(_ORIGINAL), found.get(_ZONE)
    if version is None or original is None:
        raise _CannotLearn
    protocol = learning.flow_tuple("original", original, version)
    if protocol not in (TCP, UDP) or protocol != learning.flow_tuple(
        "reply", found.get(_REPLY), version
    ):
        raise _CannotLearn
    if not learning.number("ident", found.get(_ID), 4, "I"):
        raise _CannotLearn
    learning.number("mark", found.get(_MARK), 4, "I")
    learning.number("told", found.get(_EVENT_TIME), 8, "Q")
    are_counted = learning.pair(_COUNT_NAMES[:2], found.get(_COUNTS_ORIGINAL))
    are_counted &= learning.pair(_COUNT_NAMES[2:], found.get(_COUNTS_REPLY))
    times = found.get(_TIMESTAMP)
    if not learning.pair(["start", "stop"], times) and times is not None:
        # One number, of a flow that has not ended.
        learning.number("start", times._replace(start=times.start + _ATTRIBUTE_BYTES), 8, "Q")
    unpack, indexes = learning.unpack()
    counts = slice(indexes["packets"], indexes["packets"] + 4) if are_counted else None
    names = list(indexes)
    if names[:4] != _TUPLE_NAMES or (counts is not None and names[counts] != _COUNT_NAMES):
        raise _CannotLearn
    key, zone_key = slice(original.start, original.end), slice(0, 0)
    if zone is not None:
        zone_key = slice(zone.start, zone.end)
    read = _reader(kind == FLOW_ENDED, version, protocol, key, zone_key, unpack, indexes, counts)
    return _Layout(*learning.pattern(), read)


def _reader(
    has_ended: bool,
    version: IPVersion,
    protocol: int,
    key: slice,
    zone: slice,
    unpack: Callable[[bytes], tuple[Any, ...]],
    indexes: Mapping[str, int],
    counts: slice | None,
) -> Callable[[bytes], FlowEvent]:
    """What reads messages of a layout."""
    ident, mark = indexes["ident"], indexes.get("mark", -1)
    start, stop = indexes.get("start", -1), indexes.get("stop", -1)
    told = indexes.get("told", -1)
    time = stop if stop >= 0 else told
    # A time of its end that is not set gives way to the event's.
    is_told_twice = stop >= 0 and told >= 0
    is_plain = version == 4 and zone == slice(0, 0)
    new = tuple.__new__  # the classes' own constructors take half a microsecond longer

    def read(message: bytes) -> FlowEvent:
        fields = unpack(message)
        source, source_port, destination, destination_port = fields[:4]
        key_bytes = message[key]
        if not is_plain:
            key_bytes += message[zone]
            if version == 6:
                source = int.from_bytes(source, "big")
                destination = int.from_bytes(destination, "big")
        time_ns = fields[time] if time >= 0 else 0
        if is_told_twice and not time_ns:
            time_ns = fields[told]
        header = version, protocol, source, destination, source_port, destination_port, False
        return has_ended, new(
            FlowSeen,
            (
                key_bytes,
                fields[ident],
                new(PacketHeader, header),
                fields[mark] if mark >= 0 else 0,
                None if counts is None else fields[counts],
                fields[start] // _NS_PER_MS if start >= 0 else 0,
                time_ns // _NS_PER_MS,
            ),
        )

    return read
