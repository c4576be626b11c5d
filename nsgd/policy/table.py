"""The compiled form of one list of rules, as of a network security group for one direction.

Each field of a packet falls in a class: a range of values for which the same rules match.
A class carries the set of those rules as the bits of an integer, lowest bit first in priority
order, so that the deciding rule is the lowest bit left when the fields' sets are intersected.
A thousand rules cost five look-ups and five ANDs of 1000-bit integers, whatever the rules.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nsgd.model.address import IPVersion
from nsgd.model.decision import Reason, TableDecision
from nsgd.model.packet import AH, ESP, ICMP, ICMPV6, TCP, UDP
from nsgd.model.rule import Access, Direction, Protocol
from nsgd.policy.address_set import ALL_ADDRESSES, Range
from nsgd.policy.effective import UNSUPPORTED_PROTOCOL, EffectiveSecurityRule

_FULL_PORTS: tuple[Range, ...] = ((0, 65535),)

# Rules named Icmp match ICMP on IPv4 and ICMPv6 on IPv6, never the other family's number.
_NUMBERS: dict[Protocol, dict[IPVersion, int]] = {
    Protocol.TCP: {4: TCP, 6: TCP},
    Protocol.UDP: {4: UDP, 6: UDP},
    Protocol.ICMP: {4: ICMP, 6: ICMPV6},
    Protocol.ESP: {4: ESP, 6: ESP},
    Protocol.AH: {4: AH, 6: AH},
}


@dataclass(frozen=True, slots=True)
class Classifier:
    """Maps a value to the rules that match it.

    ``rule_sets[i]`` holds for values from ``starts[i]`` up to the next start; ``starts[0]`` is 0.
    """

    starts: list[int]
    rule_sets: list[int]

    @classmethod
    def of_ranges(cls, ranges_by_rule: Iterable[Sequence[Range]]) -> Classifier:
        """Build from each rule's sorted disjoint ranges, rules in priority order."""
        # Many rules share one object of ranges: any address, or the same groups.
        objects: dict[int, Sequence[Range]] = {}
        bits_of: dict[int, int] = {}
        for index, ranges in enumerate(ranges_by_rule):
            identity = id(ranges)
            objects[identity] = ranges
            bits_of[identity] = bits_of.get(identity, 0) | 1 << index
        # The rules' bits are flipped where one of their ranges starts and after it ends.
        flips: dict[int, int] = {0: 0}
        for identity, bits in bits_of.items():
            for first, last in objects[identity]:
                flips[first] = flips.get(first, 0) ^ bits
                flips[last + 1] = flips.get(last + 1, 0) ^ bits
        starts: list[int] = []
        rule_sets: list[int] = []
        current = 0
        interned: dict[int, int] = {}
        for start in sorted(flips):
            flip = flips[start]
            if start and not flip:
                continue
            current ^= flip
            starts.append(start)
            rule_sets.append(interned.setdefault(current, current))
        return cls(starts, rule_sets)

    def rules(self, value: int) -> int:
        """The rules that match *value*, as bits."""
        return self.rule_sets[bisect_right(self.starts, value) - 1]


@dataclass(frozen=True, slots=True)
class FamilyTable:
    """The classifiers of one IP version."""

    protocols: dict[int, int]  # rules by protocol number, for the numbers that rules name
    other_protocols: int  # rules for every other number
    sources: Classifier
    destinations: Classifier


@dataclass(frozen=True, slots=True)
class CompiledTable:
    """One decision structure for (network security group, direction, virtual network).

    Tables are asked one after the other. Two kinds of match are no plain allow or deny: a silent
    one says nothing, as if the table were not there, and the next table is asked; a final allow
    settles its direction, and no later table of that direction is asked.
    """

    network_security_group: str  # empty for a table that belongs to none
    direction: Direction
    rule_names: tuple[str, ...]  # in priority order, the default rules last
    allows: int  # the rules whose access is Allow, as bits
    family_v4: FamilyTable
    family_v6: FamilyTable
    source_ports: Classifier
    destination_ports: Classifier
    portless: int  # rules that match packets without ports: those with all ports on both sides
    silent: int = 0  # the rules that decide nothing: never named, counted or numbered
    final: int = 0  # the rules whose Allow settles the direction

    def match(
        self,
        version: IPVersion,
        protocol: int,
        source: int,
        destination: int,
        source_port: int,
        destination_port: int,
    ) -> int:
        """The index of the deciding rule. The last rule matches everything, so there is one."""
        family = self.family_v4 if version == 4 else self.family_v6
        candidates = family.protocols.get(protocol, family.other_protocols)
        classifier = family.sources
        candidates &= classifier.rule_sets[bisect_right(classifier.starts, source) - 1]
        classifier = family.destinations
        candidates &= classifier.rule_sets[bisect_right(classifier.starts, destination) - 1]
        if protocol in (TCP, UDP):
            classifier = self.destination_ports
            candidates &= classifier.rule_sets[
                bisect_right(classifier.starts, destination_port) - 1
            ]
            classifier = self.source_ports
            candidates &= classifier.rule_sets[bisect_right(classifier.starts, source_port) - 1]
        else:
            candidates &= self.portless
        return (candidates & -candidates).bit_length() - 1

    def is_allowed(self, rule_index: int) -> bool:
        """Tell whether the rule's access is Allow."""
        return bool(self.allows >> rule_index & 1)

    def is_silent(self, rule_index: int) -> bool:
        """Tell whether a match of the rule says nothing."""
        return bool(self.silent >> rule_index & 1)

    def is_final(self, rule_index: int) -> bool:
        """Tell whether an Allow by the rule ends the questions in this direction."""
        return bool(self.final >> rule_index & 1)

    def reason(self, rule_index: int) -> Reason:
        """Why a flow that the rule decides ends as it does."""
        is_unsupported = self.rule_names[rule_index] == UNSUPPORTED_PROTOCOL
        return Reason.UNSUPPORTED_PROTOCOL if is_unsupported else Reason.RULE

    def decisions(self) -> Iterator[TableDecision]:
        """What each rule can decide, in order; silent rules decide nothing."""
        for index in range(len(self.rule_names)):
            if not self.is_silent(index):
                yield self.decision(index)

    def decision(self, rule_index: int) -> TableDecision:
        """Name the rule of an index, which is not silent."""
        return TableDecision(
            self.network_security_group,
            self.direction,
            self.rule_names[rule_index],
            Access.ALLOW if self.is_allowed(rule_index) else Access.DENY,
        )

    def to_plain(self) -> tuple[Any, ...]:
        """The table in built-in types only, for the hand-over to a worker."""

        def family(table: FamilyTable) -> tuple[Any, ...]:
            return (
                table.protocols,
                table.other_protocols,
                table.sources.starts,
                table.sources.rule_sets,
                table.destinations.starts,
                table.destinations.rule_sets,
            )

        return (
            self.network_security_group,
            self.direction.value,
            self.rule_names,
            self.allows,
            family(self.family_v4),
            family(self.family_v6),
            (self.source_ports.starts, self.source_ports.rule_sets),
            (self.destination_ports.starts, self.destination_ports.rule_sets),
            self.portless,
            self.silent,
            self.final,
        )

    @classmethod
    def from_plain(cls, plain: tuple[Any, ...]) -> CompiledTable:
        """The inverse of to_plain."""

        def family(parts: tuple[Any, ...]) -> FamilyTable:
            protocols, other, s_starts, s_sets, d_starts, d_sets = parts
            return FamilyTable(
                protocols, other, Classifier(s_starts, s_sets), Classifier(d_starts, d_sets)
            )

        group, direction, names, allows, v4, v6, sports, dports, *sets = plain
        return cls(
            group,
            Direction(direction),
            names,
            allows,
            family(v4),
            family(v6),
            Classifier(*sports),
            Classifier(*dports),
            *sets,
        )


def compile_table(
    network_security_group: str, direction: Direction, rules: Sequence[EffectiveSecurityRule]
) -> CompiledTable:
    """Compile effective rules given in priority order.

    Raises:
        ValueError: the last rule does not match every packet; the default rules always do.
    """
    last = rules[-1]
    if (
        last.protocols != (Protocol.ANY,)
        or not _FULL_PORTS == last.source_ports == last.destination_ports
        or not ALL_ADDRESSES == last.source == last.destination
    ):
        raise ValueError("the last rule must match every packet")
    by_protocol = dict.fromkeys(Protocol, 0)
    for index, rule in enumerate(rules):
        for protocol in rule.protocols:
            by_protocol[protocol] |= 1 << index
    return CompiledTable(
        network_security_group=network_security_group,
        direction=direction,
        rule_names=tuple(rule.name for rule in rules),
        allows=_bits(rule.access is Access.ALLOW for rule in rules),
        family_v4=_compile_family(4, rules, by_protocol),
        family_v6=_compile_family(6, rules, by_protocol),
        source_ports=Classifier.of_ranges(rule.source_ports for rule in rules),
        destination_ports=Classifier.of_ranges(rule.destination_ports for rule in rules),
        # A rule that names ports says nothing of packets that have none (ICMP, ESP, GRE ...).
        portless=_bits(
            rule.source_ports == _FULL_PORTS and rule.destination_ports == _FULL_PORTS
            for rule in rules
        ),
        silent=_bits(rule.is_silent for rule in rules),
        final=_bits(rule.is_final for rule in rules),
    )


def _bits(flags: Iterable[bool]) -> int:
    return sum(1 << index for index, flag in enumerate(flags) if flag)


def _compile_family(
    version: IPVersion, rules: Sequence[EffectiveSecurityRule], by_protocol: Mapping[Protocol, int]
) -> FamilyTable:
    any_protocol = by_protocol[Protocol.ANY]
    return FamilyTable(
        protocols={
            numbers[version]: any_protocol | by_protocol[protocol]
            for protocol, numbers in _NUMBERS.items()
        },
        other_protocols=any_protocol,
        sources=Classifier.of_ranges(rule.source.ranges(version) for rule in rules),
        destinations=Classifier.of_ranges(rule.destination.ranges(version) for rule in rules),
    )
