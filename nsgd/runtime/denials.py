"""Recent denials, from the worker to the logs, through a ring in shared memory.

The worker never waits for a reader: what was overwritten before it was read is counted. Where
nobody needs all of them, it tells a few of each rule: a flood costs it a look-up a packet.
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass
from typing import Literal, Protocol

from nsgd.model.address import Address, IPVersion
from nsgd.model.packet import TCP, UDP, PacketHeader
from nsgd.model.rule import Access, Direction
from nsgd.policy.numbers import DecisionNumbers
from nsgd.runtime import counters as cell
from nsgd.runtime.counters import DENIAL_BYTES, DENIAL_RING_RECORDS

# The last is the low half of the unix time in milliseconds.
_RECORD = struct.Struct("=IBBBxHH16s16sI")
_TIME_MASK = 0xFFFFFFFF
_DIRECTIONS = (Direction.OUTBOUND, Direction.INBOUND)
# In a window, about a second, as the kernel engine tells (nsgd.ruleset.rule_chains).
_MOST_OF_A_RULE = 10
_MOST_OF_ALL = 500
_PROTOCOLS = {TCP: "Tcp", UDP: "Udp", 1: "Icmp", 58: "Icmp"}


class DenialRing(Protocol):
    """Memory with a ring, and the cell that counts its records."""

    @property
    def cells(self) -> memoryview[int]:
        """64-bit cells; that of DENIALS_WRITTEN counts."""

    @property
    def denials(self) -> memoryview[int]:
        """The ring's bytes."""


class DenialWriter:
    """The end of the only one who writes."""

    def __init__(self, counters: DenialRing, *, is_limited: bool = False) -> None:
        """Write all that comes or, limited, a few of each rule until the reader asks for more."""
        self._cells = counters.cells
        self._ring = counters.denials
        self._is_limited = is_limited
        self._window = -1
        self._told: dict[tuple[Direction, int], int] = {}  # in the window; no more than rules
        self._left = 0

    def wants(self, direction: Direction, number: int) -> bool:
        """Tell whether a denial by the rule of *number* is to be written; count it where not."""
        if not self._is_limited or self._cells[cell.DENIALS_ALL]:
            return True
        window = self._cells[cell.DENIALS_WINDOW]
        if window != self._window:
            self._window, self._left = window, _MOST_OF_ALL
            self._told.clear()
        told = self._told.get((direction, number), 0)
        if told >= _MOST_OF_A_RULE or not self._left:
            self._cells[cell.DENIALS_UNTOLD] += 1
            return False
        self._told[direction, number] = told + 1
        self._left -= 1
        return True

    def write(self, packet: PacketHeader, direction: Direction, number: int) -> None:
        """Record that the rule of *number* denied a packet."""
        written = self._cells[cell.DENIALS_WRITTEN]
        _RECORD.pack_into(
            self._ring,
            written % DENIAL_RING_RECORDS * DENIAL_BYTES,
            number,
            _DIRECTIONS.index(direction),
            packet.version,
            packet.protocol,
            packet.source_port,
            packet.destination_port,
            packet.source.to_bytes(16, "big"),
            packet.destination.to_bytes(16, "big"),
            time.time_ns() // 1_000_000 & _TIME_MASK,
        )
        self._cells[cell.DENIALS_WRITTEN] = written + 1


@dataclass(frozen=True, slots=True)
class Denial:
    """One denied packet."""

    direction: Direction
    number: int
    version: IPVersion
    protocol: int
    source: Address
    source_port: int
    destination: Address
    destination_port: int
    time_ms: int = 0  # unix time

    @property
    def header(self) -> PacketHeader:
        """The packet's header."""
        return PacketHeader(
            self.version,
            self.protocol,
            self.source.value,
            self.destination.value,
            self.source_port,
            self.destination_port,
            False,
        )

    @classmethod
    def of(cls, packet: PacketHeader, direction: Direction, number: int) -> Denial:
        """By a packet's header and the rule's side and number."""
        return cls(
            direction,
            number,
            packet.version,
            packet.protocol,
            Address(packet.version, packet.source),
            packet.source_port,
            Address(packet.version, packet.destination),
            packet.destination_port,
        )

    def describe(self, numbers: DecisionNumbers) -> str:
        """The denial in words, with the rule's name."""
        for (group, rule, access), number in numbers.by_direction[self.direction].items():
            if number == self.number and access is Access.DENY:
                by = " ".join(filter(None, (group, self.direction.value, rule)))
                break
        else:
            by = "no rule of a group"
        protocol = _PROTOCOLS.get(self.protocol, str(self.protocol))
        if self.protocol in (TCP, UDP):
            sender = _with_port(self.source, self.source_port)
            receiver = _with_port(self.destination, self.destination_port)
        else:
            sender, receiver = str(self.source), str(self.destination)
        return f"{protocol} {sender} > {receiver} by {by}"


def _with_port(address: Address, port: int) -> str:
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


class DenialReader:
    """An end of one of those who read."""

    def __init__(self, counters: DenialRing, seen: int | None = None) -> None:
        """Read what comes from now on, or what came after the first *seen* records."""
        self._cells = counters.cells
        self._ring = counters.denials
        self.seen = self._cells[cell.DENIALS_WRITTEN] if seen is None else seen

    def read(self, most: int) -> tuple[list[Denial], int]:
        """The first *most* denials since the last call, and how many others there were."""
        written = self._cells[cell.DENIALS_WRITTEN]
        first = max(self.seen, written - DENIAL_RING_RECORDS)
        records = [
            bytes(self._ring[start : start + DENIAL_BYTES])
            for index in range(first, min(written, first + most))
            for start in (index % DENIAL_RING_RECORDS * DENIAL_BYTES,)
        ]
        # What the worker wrote over meanwhile is not what it was.
        overwritten = max(0, self._cells[cell.DENIALS_WRITTEN] - DENIAL_RING_RECORDS - first)
        denials = [_parse(record) for record in records[overwritten:]]
        others = written - self.seen - len(denials)
        self.seen = written
        return denials, others


def _parse(record: bytes) -> Denial:
    fields = _RECORD.unpack(record[: _RECORD.size])
    number, direction, version, protocol, source_port, destination_port, *rest = fields
    source, destination, low_ms = rest
    now_ms = time.time_ns() // 1_000_000
    family: Literal[4, 6] = 4 if version == 4 else 6
    return Denial(
        _DIRECTIONS[direction],
        number,
        family,
        protocol,
        Address(family, int.from_bytes(source, "big")),
        source_port,
        Address(family, int.from_bytes(destination, "big")),
        destination_port,
        now_ms - (now_ms - low_ms & _TIME_MASK),
    )
