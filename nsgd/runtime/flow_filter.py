"""Which decided flows are meant: by the rules that allowed them, their ends, and their header."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from nsgd.model.address import Address, Prefix
from nsgd.model.packet import AH, ESP, ICMP, ICMPV6, TCP, UDP, PacketHeader
from nsgd.model.rule import Direction
from nsgd.runtime.control_wire import UsageRefused

PROTOCOLS: Mapping[str, tuple[int, ...]] = {
    "Tcp": (TCP,),
    "Udp": (UDP,),
    "Icmp": (ICMP, ICMPV6),
    "Esp": (ESP,),
    "Ah": (AH,),
}
PROTOCOL_NAMES = {number: name for name, numbers in PROTOCOLS.items() for number in numbers}
_NUMBER = re.compile(r"[0-9]{1,3}")
_HIGHEST = {"port": 65535, "protocol": 255}


class Side(NamedTuple):
    """What a flow's mark says of one side: the rule reported on it, or why there is none."""

    direction: Direction
    network_security_group: str | None
    rule: str | None
    access: str
    reason: str  # rule, noNetworkSecurityGroup, adopted, audit or unknown


@dataclass(frozen=True, slots=True)
class FlowFilter:
    """All that is not None must hold; names are compared without case.

    Group, rule and direction are of one side: a flow whose outbound rule has the group and whose
    inbound rule has the name is not meant.
    """

    nsg: str | None = None
    rule: str | None = None
    direction: Direction | None = None
    nic: str | None = None  # at either end
    source: Prefix | None = None
    destination: Prefix | None = None
    port: int | None = None  # the destination's
    protocols: tuple[int, ...] | None = None

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> FlowFilter:
        """From a request's arguments, whose types are checked. Raises UsageRefused."""
        direction, port = arguments.get("direction"), arguments.get("port")
        if port is not None and not 0 <= port <= _HIGHEST["port"]:
            raise UsageRefused(f"{port} is not a port; write one from 0 to 65535")
        return cls(
            _folded(arguments, "nsg"),
            _folded(arguments, "rule"),
            None if direction is None else _direction(direction),
            _folded(arguments, "nic"),
            _prefix(arguments, "source"),
            _prefix(arguments, "destination"),
            port,
            _protocols(arguments.get("protocol")),
        )

    @property
    def is_empty(self) -> bool:
        """Tell whether every flow is meant."""
        return self == FlowFilter()

    def meets_header(self, header: PacketHeader) -> bool:
        """Tell whether addresses, port and protocol are meant, as rules see them."""
        if self.protocols is not None and header.protocol not in self.protocols:
            return False
        if self.port is not None and (
            header.protocol not in (TCP, UDP) or header.destination_port != self.port
        ):
            return False
        ends = (self.source, header.source), (self.destination, header.destination)
        return all(
            prefix is None or prefix.contains(Address(header.version, address))
            for prefix, address in ends
        )

    def meets_side(self, side: Side) -> bool:
        """Tell whether a side is the one that is meant."""
        group, rule = side.network_security_group, side.rule
        return (
            (self.nsg is None or (group is not None and group.casefold() == self.nsg))
            and (self.rule is None or (rule is not None and rule.casefold() == self.rule))
            and (self.direction is None or (side.direction is self.direction and rule is not None))
        )

    def meets_ends(self, *names: str | None) -> bool:
        """Tell whether a network interface is among the names of a flow's ends."""
        return self.nic is None or any(
            name is not None and name.casefold() == self.nic for name in names
        )


def _folded(arguments: Mapping[str, Any], name: str) -> str | None:
    value = arguments.get(name)
    if value == "":
        raise UsageRefused(f"{name} is empty")
    return None if value is None else str(value).casefold()


def _direction(text: str) -> Direction:
    for direction in Direction:
        if direction.value.casefold() == text.casefold():
            return direction
    raise UsageRefused(f"{text[:60]!r} is not a direction; write Inbound or Outbound")


def _prefix(arguments: Mapping[str, Any], name: str) -> Prefix | None:
    text = arguments.get(name)
    if text is None:
        return None
    try:
        return Prefix.parse(text)
    except ValueError:
        raise UsageRefused(
            f"{name}: {text[:60]!r} is not a prefix; write one such as 10.0.1.0/24, or an address"
        ) from None


def _protocols(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    for name, numbers in PROTOCOLS.items():
        if name.casefold() == text.casefold():
            return numbers
    # Python refuses to read thousands of digits, by an exception that nobody awaits here.
    if _NUMBER.fullmatch(text) and int(text) <= _HIGHEST["protocol"]:
        return (int(text),)
    raise UsageRefused(
        f"{text[:60]!r} is not a protocol; write one of {', '.join(PROTOCOLS)}, or its number"
    )
