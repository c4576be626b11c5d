"""What becomes of packets after the first one: the notes' section 4, on top of the oracle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .oracle import Oracle, Packet

_Tuple = tuple[int, str, str, int, int]


class OpenFlows:
    """Flows that were allowed once, and go on whatever the rules say later."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._oracle = Oracle(document)
        self._open: set[_Tuple] = set()

    def pass_packet(self, packet: Packet) -> str:
        """The access of one packet; an allowed one opens its flow.

        Source:
            NSG: a flow record is made for existing connections, so a reply needs no rule, in
            either direction.
        """
        there = _tuple(packet)
        back = _tuple(turned(packet))
        if there in self._open or back in self._open:
            return "Allow"
        access = self._oracle.judge(packet).access
        if access == "Allow":
            self._open.add(there)
        return access

    def replace(self, document: Mapping[str, Any]) -> None:
        """Other rules from now on.

        Source:
            NSG: existing connections may not be interrupted when a rule that allowed them is
            removed; a change affects new connections only.
        """
        self._oracle = Oracle(document)


def turned(packet: Packet) -> Packet:
    """A reply to *packet*."""
    return Packet(
        packet.version,
        packet.protocol,
        packet.destination,
        packet.source,
        packet.destination_port,
        packet.source_port,
        packet.out_link,
        packet.in_link,
    )


def _tuple(packet: Packet) -> _Tuple:
    return (
        packet.protocol,
        packet.source,
        packet.destination,
        packet.source_port,
        packet.destination_port,
    )
