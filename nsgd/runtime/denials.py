"""Recent denials, from the worker to the supervisor's log, through a ring in shared memory.

The worker never waits for the reader: what was overwritten before it was read is counted.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

from nsgd.model.address import Address, IPVersion
from nsgd.model.packet import TCP, UDP, PacketHeader
from nsgd.model.rule import Access, Direction
from nsgd.policy.numbers import DecisionNumbers
from nsgd.runtime import counters as cell
from nsgd.runtime.counters import DENIAL_BYTES, DENIAL_RING_RECORDS, SharedCounters

_RECORD = struct.Struct("=IBBBxHH16s16s")
_DIRECTIONS = (Direction.OUTBOUND, Direction.INBOUND)
_PROTOCOLS = {TCP: "Tcp", UDP: "Udp", 1: "Icmp", 58: "Icmp"}


class DenialWriter:
    """The worker's end."""

    def __init__(self, counters: SharedCounters) -> None:
        self._cells = counters.cells
        self._ring = counters.denials

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
    """The supervisor's end."""

    def __init__(self, counters: SharedCounters) -> None:
        self._cells = counters.cells
        self._ring = counters.denials
        self._seen = self._cells[cell.DENIALS_WRITTEN]

    def read(self, most: int) -> tuple[list[Denial], int]:
        """The first *most* denials since the last call, and how many others there were."""
        written = self._cells[cell.DENIALS_WRITTEN]
        first = max(self._seen, written - DENIAL_RING_RECORDS)
        records = [
            bytes(self._ring[start : start + DENIAL_BYTES])
            for index in range(first, min(written, first + most))
            for start in (index % DENIAL_RING_RECORDS * DENIAL_BYTES,)
        ]
        # What the worker wrote over meanwhile is not what it was.
        overwritten = max(0, self._cells[cell.DENIALS_WRITTEN] - DENIAL_RING_RECORDS - first)
        denials = [_parse(record) for record in records[overwritten:]]
        others = written - self._seen - len(denials)
        self._seen = written
        return denials, others


def _parse(record: bytes) -> Denial:
    number, direction, version, protocol, source_port, destination_port, source, destination = (
        _RECORD.unpack(record[: _RECORD.size])
    )
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
    )
