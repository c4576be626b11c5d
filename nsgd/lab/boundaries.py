"""Where each rule of a compiled table begins and ends: its ports and protocols, read back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nsgd.model.packet import ICMP, TCP, UDP
from nsgd.model.rule import Protocol
from nsgd.policy.address_set import Range
from nsgd.policy.classifier import Classifier
from nsgd.policy.table import CompiledTable

_PORTS = 65536
_ALL: tuple[Range, ...] = ((0, _PORTS - 1),)
_NUMBERS = {Protocol.TCP: TCP, Protocol.UDP: UDP, Protocol.ICMP: ICMP}
# Of a rule with many port ranges: the first and the last are tried.
_MAXIMUM_RANGES = 6


@dataclass(frozen=True, slots=True)
class RuleShape:
    """What one rule says of protocol and ports; *protocols* are those of TCP, UDP and ICMP."""

    protocols: tuple[Protocol, ...]
    source_ports: tuple[Range, ...]
    destination_ports: tuple[Range, ...]

    @property
    def has_source_ports(self) -> bool:
        """Tell whether the rule asks where a packet comes from."""
        return self.source_ports != _ALL

    def inside(self) -> list[int]:
        """First and last port of each range."""
        return _ends(self.destination_ports)

    def beyond(self) -> list[int]:
        """The ports next to each range."""
        return _neighbours(self.destination_ports)

    def source_beyond(self) -> list[int]:
        """The source ports next to each range."""
        return _neighbours(self.source_ports)


def _some(ranges: tuple[Range, ...]) -> tuple[Range, ...]:
    half = _MAXIMUM_RANGES // 2
    return ranges if len(ranges) <= _MAXIMUM_RANGES else (*ranges[:half], *ranges[-half:])


def _ends(ranges: tuple[Range, ...]) -> list[int]:
    # Port 0 cannot be asked for by a socket.
    ends = (max(port, 1) for span in _some(ranges) for port in span)
    return list(dict.fromkeys(ends))


def _neighbours(ranges: tuple[Range, ...]) -> list[int]:
    ports = (port for first, last in _some(ranges) for port in (first - 1, last + 1))
    return [port for port in dict.fromkeys(ports) if 0 < port < _PORTS]


def rule_shapes(table: CompiledTable) -> list[RuleShape]:
    """The shapes of the table's rules, in their order; silent rules have one too."""
    count = len(table.rule_names)
    sources = _ranges_by_rule(table.source_ports, count)
    destinations = _ranges_by_rule(table.destination_ports, count)
    matching = {
        protocol: table.family_v4.protocols[number] for protocol, number in _NUMBERS.items()
    }
    # Without ports on either side only: ICMP has none.
    matching[Protocol.ICMP] &= table.portless
    return [
        RuleShape(
            tuple(protocol for protocol, rules in matching.items() if rules >> index & 1),
            tuple(sources[index]),
            tuple(destinations[index]),
        )
        for index in range(count)
    ]


def _ranges_by_rule(classifier: Classifier, count: int) -> list[list[Range]]:
    ranges: list[list[Range]] = [[] for _ in range(count)]
    opened = [0] * count
    before = 0
    for start, rules in zip((*classifier.starts, _PORTS), (*classifier.rule_sets, 0), strict=True):
        for index in bits_of(before ^ rules):
            if before >> index & 1:
                ranges[index].append((opened[index], start - 1))
            else:
                opened[index] = start
        before = rules
    return ranges


def bits_of(rules: int) -> Iterator[int]:
    """The indexes of the bits that are set, lowest first."""
    while rules:
        lowest = rules & -rules
        yield lowest.bit_length() - 1
        rules ^= lowest
