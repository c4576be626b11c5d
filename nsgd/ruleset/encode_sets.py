"""Sets and maps as netlink messages."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache

from nsgd.model.address import ADDRESS_BITS, IPVersion
from nsgd.policy.address_set import Range
from nsgd.ruleset.branches import RETURN, BranchEntry
from nsgd.ruleset.commands import (
    CREATE,
    DELSET,
    DELSETELEM,
    IN_TABLE,
    NEWSET,
    NEWSETELEM,
    SET_ANONYMOUS,
    Message,
)
from nsgd.ruleset.keys import Key, address_key, link_key
from nsgd.ruleset.objects import (
    AddressRangeSet,
    AnySet,
    CountingSet,
    DynamicSet,
    LinkAddressSet,
    LinkSet,
    VerdictMap,
)
from nsgd.wire import expressions as x
from nsgd.wire.netlink import attribute, be32, be64, nested, text

_USERDATA = 6  # of an element
_CONSTANT, _INTERVAL, _MAP, _CONCAT = 0x2, 0x4, 0x8, 0x80
_TIMEOUT, _DYNAMIC = 0x10, 0x20
_VERDICT_TYPE = 0xFFFFFF00
_ELEMENT_INTERVAL_END = 1
_TYPE_LINK = 41
_HOST_BYTE_ORDER, _NETWORK_BYTE_ORDER = 1, 2
# Elements of one message are one nested attribute, whose length has 16 bits; a verdict's chain
# takes up to 256 bytes of one.
_MOST_ELEMENT_BYTES = 60_000


def delete_set(name: str) -> Message:
    """Delete a set or map that no rule uses."""
    return DELSET, 0, IN_TABLE + text(2, name)


def anonymous_set(
    key: Key, entries: Iterable[BranchEntry], identifier: int, *, is_map: bool
) -> Iterator[Message]:
    """A set or map that belongs to one rule, by an identifier that no other of the batch has."""
    entries = list(entries)
    is_interval = any(first != last for first, last, _ in entries)
    flags = SET_ANONYMOUS | _CONSTANT | (_INTERVAL if is_interval else 0)
    kind = b""
    if is_map:
        flags |= _MAP
        kind = be32(6, _VERDICT_TYPE)
    size = nested(9, be32(1, len(entries) * (2 if is_interval else 1)))
    name = x.ANONYMOUS_MAP if is_map else x.ANONYMOUS_SET
    yield NEWSET, CREATE, _set(name, flags, key, identifier, kind + size)
    elements = _branch_elements(key, entries, is_interval=is_interval, is_map=is_map)
    for payload in _in_parts(elements):
        yield NEWSETELEM, CREATE, IN_TABLE + text(2, name) + be32(4, identifier) + payload


def new_set(any_set: AnySet, identifier: int) -> Iterator[Message]:
    """Create a named set or map with its elements."""
    match any_set:
        case DynamicSet(name, key, room, timeout_s):
            more = _room(room) + be64(11, timeout_s * 1000)
            yield NEWSET, CREATE, _set(name, _TIMEOUT | _DYNAMIC, key, identifier, more)
        case LinkSet(name):
            yield NEWSET, CREATE, _set(name, 0, link_key("source"), identifier)
        case AddressRangeSet(name, version):
            key = address_key(version, "source")
            yield NEWSET, CREATE, _set(name, _INTERVAL, key, identifier)
        case LinkAddressSet(name, version):
            yield NEWSET, CREATE, _link_address_set(name, version, identifier)
        case VerdictMap(name, key, _, is_interval, room, counts):
            flags = _MAP | (_INTERVAL if is_interval else 0)
            kind = be32(6, _VERDICT_TYPE) + _room(room) + (b"" if counts is None else _COUNTING)
            yield NEWSET, CREATE, _set(name, flags, key, identifier, kind)
        case CountingSet(name, key, _, room):
            yield NEWSET, CREATE, _set(name, 0, key, identifier, _room(room) + _COUNTING)
    yield from new_elements(any_set)


def _room(entries: int) -> bytes:
    return nested(9, be32(1, entries)) if entries else b""


def new_elements(any_set: AnySet) -> Iterator[Message]:
    """Add the elements of a named set or map."""
    for payload in _in_parts(_elements(any_set)):
        yield NEWSETELEM, CREATE, IN_TABLE + text(2, any_set.name) + payload


def delete_elements(any_set: AnySet) -> Iterator[Message]:
    """Delete these elements from a named set or map without intervals."""
    for payload in _in_parts(_elements(any_set)):
        yield DELSETELEM, 0, IN_TABLE + text(2, any_set.name) + payload


def _set(name: str, flags: int, key: Key, identifier: int, more: bytes = b"") -> bytes:
    byte_order = _NETWORK_BYTE_ORDER if key.is_network_order else _HOST_BYTE_ORDER
    return _set_payload(name, flags, key.type_number, key.value_bytes, identifier, byte_order, more)


def _set_payload(
    name: str,
    flags: int,
    key_type: int,
    key_bytes: int,
    identifier: int,
    byte_order: int,
    more: bytes,
) -> bytes:
    # What nft itself notes for its listing: the byte order of the key.
    user_data = attribute(13, bytes([0, 4]) + struct.pack("=I", byte_order))
    return (
        IN_TABLE
        + text(2, name)
        + be32(3, flags)
        + be32(4, key_type)
        + be32(5, key_bytes)
        + be32(10, identifier)
        + more
        + user_data
    )


def _link_address_set(name: str, version: IPVersion, identifier: int) -> bytes:
    address = address_key(version, "source")
    sizes = (x.LINK_NAME_BYTES, address.value_bytes)
    fields = (nested(1, be32(1, size)) for size in sizes)
    return _set_payload(
        name,
        _CONCAT,
        _TYPE_LINK << 6 | address.type_number,
        sum(sizes),
        identifier,
        _NETWORK_BYTE_ORDER,
        nested(9, nested(2, *fields)),
    )


def _in_parts(elements: Iterable[bytes]) -> Iterator[bytes]:
    """Elements as attributes, as many in each as fit."""
    part: list[bytes] = []
    left = _MOST_ELEMENT_BYTES
    for element in elements:
        left -= len(element)
        if left < 0:
            yield nested(3, *part)
            part, left = [], _MOST_ELEMENT_BYTES - len(element)
        part.append(element)
    if part:
        yield nested(3, *part)


def _elements(any_set: AnySet) -> Iterator[bytes]:
    match any_set:
        case LinkSet(links=links):
            for link in links:
                yield _element(x.link_name(link))
        case LinkAddressSet(version=version, pairs=pairs):
            size = ADDRESS_BITS[version] // 8
            for link, value in pairs:
                yield _element(x.link_name(link) + value.to_bytes(size, "big"))
        case AddressRangeSet(version=version, ranges=ranges):
            key = address_key(version, "source")
            yield from _range_elements(key, ranges)
        case VerdictMap(counts=counts) if counts is not None:
            yield from _counting_elements(any_set)
        case VerdictMap(key=key, entries=branches, is_interval=is_interval):
            yield from _branch_elements(
                key, branches, is_interval=is_interval, is_map=True, call=x.NFT_JUMP
            )
        case CountingSet(key=key, entries=counted):
            for each, count in counted:
                yield _element(key.encode(each), comment(_USERDATA, count))


def _counting_elements(any_map: VerdictMap) -> Iterator[bytes]:
    """Elements that lead on, with the names of their counts."""
    verdicts: dict[str, bytes] = {}
    for (value, _, target), count in any_map.counted():
        more = verdicts.get(target)
        if more is None:
            more = verdicts[target] = x.verdict_data(2, x.NFT_JUMP, target)
        if count:
            more += comment(_USERDATA, count)
        yield _element(any_map.key.encode(value), more)


def comment(kind: int, written: str) -> bytes:
    """A comment as nft notes it, in an attribute for what users note: type, length, text."""
    data = written.encode() + b"\0"
    return attribute(kind, bytes([0, len(data)]) + data)


def _range_elements(key: Key, ranges: Iterable[Range]) -> Iterator[bytes]:
    entries = ((first, last, RETURN) for first, last in ranges)
    return _branch_elements(key, entries, is_interval=True, is_map=False)


def _branch_elements(
    key: Key,
    entries: Iterable[BranchEntry],
    *,
    is_interval: bool,
    is_map: bool,
    call: int = x.NFT_GOTO,
) -> Iterator[bytes]:
    """One element for each entry, and one for its end, without which it has none."""
    # What is before and behind an element's value, by where it leads.
    around: dict[str, tuple[bytes, bytes]] = {}
    head, tail = _element_around(key.value_bytes, 0)
    end_head, end_tail = _element_around(key.value_bytes, len(_END))
    end_tail += _END
    encode, top = key.encode, key.top
    for first, last, target in entries:
        if is_map:
            found = around.get(target)
            if found is None:
                data = _verdict(call, target) if target else x.verdict_data(2, x.NFT_RETURN)
                before, behind = _element_around(key.value_bytes, len(data))
                found = around[target] = before, behind + data
            head, tail = found
        yield head + encode(first) + tail
        if is_interval and isinstance(last, int) and last < top:
            yield end_head + encode(last + 1) + end_tail


_END = be32(3, _ELEMENT_INTERVAL_END)
# Of a set: each of its elements gets such a counter, which is half as dear as with a counter told
# of each, in the kernel and in what is sent.
_COUNTING = nested(17, text(1, "counter"), nested(2, be64(1, 0), be64(2, 0)))


def _verdict(call: int, chain: str) -> bytes:
    """Most entries lead to a chain of their own, whose name is all that differs."""
    name = chain.encode()
    head, tail = _verdict_around(call, len(name))
    return head + name + tail


@lru_cache(maxsize=512)
def _verdict_around(call: int, size: int) -> tuple[bytes, bytes]:
    hole = "\x7f" * size
    head, _, tail = x.verdict_data(2, call, hole).rpartition(hole.encode())
    return head, tail


def _element(key: bytes, more: bytes = b"") -> bytes:
    head, tail = _element_around(len(key), len(more))
    return head + key + tail + more


@lru_cache(maxsize=1024)
def _element_around(key_bytes: int, more_bytes: int) -> tuple[bytes, bytes]:
    """What is before and behind the key; what is more has its padding in itself."""
    key = nested(1, attribute(1, bytes(key_bytes)))
    whole = nested(1, key, bytes(more_bytes))
    head = len(whole) - len(key) - more_bytes + 8
    return whole[:head], whole[head + key_bytes : len(whole) - more_bytes]
