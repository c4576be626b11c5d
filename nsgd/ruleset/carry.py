"""What elements of maps have counted of network interfaces, and how it outlives them.

A count's name is the comment of each element that counts for it. Elements that end leave what they
have counted to a named counter of that name, which no rule uses: the sum is the count.
"""

from __future__ import annotations

import struct
from collections.abc import Container, Iterator, Mapping
from typing import NamedTuple

from nsgd.ruleset import commands, encode
from nsgd.ruleset.commands import Message
from nsgd.ruleset.endpoint_maps import COUNTING_DENIALS, COUNTING_WAYS
from nsgd.wire.netlink import NESTED, be64, iterate_attributes, split_attributes, text

_NUMBER = struct.Struct(">Q")
# Tens of thousands are read at once. Kernels write them alike, which is looked at in one go; what
# looks otherwise is read attribute by attribute.
_NUMBERS = struct.Struct(">4xQ4xQ")
_OCTETS_HEAD, _PACKETS_HEAD = be64(1, 0)[:4], be64(2, 0)[:4]
_COUNTER_HEADS = tuple(
    text(1, "counter") + struct.pack("=HH", 4 + _NUMBERS.size, kind) for kind in (2, 2 | NESTED)
)
_COUNTER_HEAD_BYTES = len(_COUNTER_HEADS[0])
_COMMENT = 0  # of nft's own notes on an element


class Counted(NamedTuple):
    """Of first packets."""

    packets: int
    octets: int

    def plus(self, other: Counted) -> Counted:
        """The sum."""
        return Counted(self.packets + other.packets, self.octets + other.octets)


NOTHING = Counted(0, 0)
Counts = dict[str, Counted]


def is_counting(name: str) -> bool:
    """Tell by its name in the kernel whether elements of a map or set count."""
    return is_of_denials(name) or name.partition(".")[0] in COUNTING_WAYS


def is_of_denials(name: str) -> bool:
    """Tell by its name in the kernel whether elements of a set count what is denied."""
    return name.partition(".")[0] in COUNTING_DENIALS


def read_counter(data: bytes) -> Counted | None:
    """Of the attributes of a counter; None where they are malformed."""
    if len(data) == _NUMBERS.size and data[:4] == _OCTETS_HEAD and data[12:16] == _PACKETS_HEAD:
        number_of_octets, number = _NUMBERS.unpack(data)
        return Counted(number, number_of_octets)
    found = split_attributes(data)
    octets, packets = found.get(1, b""), found.get(2, b"")
    if len(octets) != _NUMBER.size or len(packets) != _NUMBER.size:
        return None
    return Counted(int(_NUMBER.unpack(packets)[0]), int(_NUMBER.unpack(octets)[0]))


def read_elements(elements: bytes) -> Iterator[tuple[bytes, str, Counted]]:
    """Key, name and count of each element that counts, of the kernel's list of elements."""
    for _, element in iterate_attributes(elements):
        parts = split_attributes(element)
        expression = parts.get(7, b"")
        if expression[:_COUNTER_HEAD_BYTES] in _COUNTER_HEADS:
            data = expression[_COUNTER_HEAD_BYTES:]
        else:
            data = split_attributes(expression).get(2, b"")
        counted = read_counter(data)
        name = _comment(parts.get(6, b""))
        if counted is not None and name:
            yield split_attributes(parts.get(1, b"")).get(1, b""), name, counted


def _comment(notes: bytes) -> str:
    """The notes are a list of type, length and value."""
    at = 0
    while at + 2 <= len(notes):
        kind, size = notes[at], notes[at + 1]
        if kind == _COMMENT:
            return notes[at + 2 : at + 2 + size].rstrip(b"\0").decode(errors="replace")
        at += 2 + size
    return ""


def carry(
    carried: Mapping[str, Counted], ended: Mapping[str, Counted], wanted: Container[str]
) -> tuple[list[Message], Counts]:
    """Leave to named counters what elements have counted; end those that nobody wants.

    Args:
        carried: What the named counters hold.
        ended: What elements have counted that end in the same transaction.
        wanted: Names of what goes on being counted.

    Returns:
        The messages, and what the named counters hold then.
    """
    after = {
        name: carried.get(name, NOTHING).plus(ended.get(name, NOTHING))
        for name in (*carried, *(name for name in ended if name not in carried))
        if name in wanted
    }
    after = {name: counted for name, counted in after.items() if counted.packets}
    other = [name for name in carried if after.get(name) != carried[name]]
    messages = [encode.delete_object(name, commands.OBJECT_COUNTER) for name in other]
    messages += (
        encode.new_counter(name, *counted)
        for name, counted in after.items()
        if carried.get(name) != counted
    )
    return messages, after
