"""The compiled form of one list of rules, as of a network security group for one direction.

A packet is decided by a decision tree (nsgd.policy.tree), which both engines and every answer
have in common. Whoever asks about ranges of values instead finds classes of them by field, each
with the rules that match as the bits of an integer, lowest bit first in priority order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from nsgd.model.address import IP_VERSIONS, IPVersion
from nsgd.model.decision import Reason, TableDecision
from nsgd.model.packet import AH, ESP, ICMP, ICMPV6, TCP, UDP
from nsgd.model.rule import Access, Direction, Protocol
from nsgd.policy.address_set import ALL_ADDRESSES, Range
from nsgd.policy.classifier import Classifier, FamilyTable
from nsgd.policy.effective import ALL_PORT_RANGES, UNSUPPORTED_PROTOCOL, EffectiveSecurityRule
from nsgd.policy.tree import build_tree
from nsgd.policy.tree_nodes import Flattener, PlainNode, Tree, match_plain

# Rules named Icmp match ICMP on IPv4 and ICMPv6 on IPv6, never the other family's number.
_NUMBERS: dict[Protocol, dict[IPVersion, int]] = {
    Protocol.TCP: {4: TCP, 6: TCP},
    Protocol.UDP: {4: UDP, 6: UDP},
    Protocol.ICMP: {4: ICMP, 6: ICMPV6},
    Protocol.ESP: {4: ESP, 6: ESP},
    Protocol.AH: {4: AH, 6: AH},
}
_ALL_PROTOCOLS: tuple[Range, ...] = ((0, 255),)


@dataclass(frozen=True)
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
    silent: int = 0  # the rules that decide nothing: never named, counted or numbered
    final: int = 0  # the rules whose Allow settles the direction
    # Not in a worker, which has the trees only.
    rules: tuple[EffectiveSecurityRule, ...] = ()
    _plain: dict[IPVersion, PlainNode] = field(default_factory=dict, compare=False, repr=False)

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
        root = self._plain.get(version)
        if root is None:
            root = self.plain_tree(version, Flattener())
        return match_plain(root, (protocol, destination_port, source, destination, source_port))

    def plain_tree(self, version: IPVersion, flattener: Flattener) -> PlainNode:
        """The root of the tree of one IP version, made once."""
        found = self._plain.get(version)
        if found is None:
            found = self._plain[version] = self.tree(version, flattener).root
        return found

    def tree(self, version: IPVersion, flattener: Flattener) -> Tree:
        """The decision tree of one IP version; it is not kept."""
        return build_tree(self.field_ranges(version), self.portless, version, flattener)

    def field_ranges(self, version: IPVersion) -> tuple[list[tuple[Range, ...]], ...]:
        """What the rules match: by field (nsgd.policy.tree_nodes.Field), the ranges of each."""
        return (
            [protocol_ranges(rule, version) for rule in self.rules],
            [rule.destination_ports for rule in self.rules],
            [rule.source.ranges(version) for rule in self.rules],
            [rule.destination.ranges(version) for rule in self.rules],
            [rule.source_ports for rule in self.rules],
        )

    @cached_property
    def portless(self) -> int:
        """Rules that match packets without ports: those with all ports on both sides."""
        # A rule that names ports says nothing of packets that have none (ICMP, ESP, GRE ...).
        return _bits(
            rule.source_ports == ALL_PORT_RANGES and rule.destination_ports == ALL_PORT_RANGES
            for rule in self.rules
        )

    @cached_property
    def family_v4(self) -> FamilyTable:
        """The classes of IPv4."""
        return self._family(4)

    @cached_property
    def family_v6(self) -> FamilyTable:
        """The classes of IPv6."""
        return self._family(6)

    @cached_property
    def source_ports(self) -> Classifier:
        """The classes of source ports."""
        return Classifier.of_ranges(rule.source_ports for rule in self.rules)

    @cached_property
    def destination_ports(self) -> Classifier:
        """The classes of destination ports."""
        return Classifier.of_ranges(rule.destination_ports for rule in self.rules)

    def _family(self, version: IPVersion) -> FamilyTable:
        by_protocol = dict.fromkeys(Protocol, 0)
        for index, rule in enumerate(self.rules):
            for protocol in rule.protocols:
                by_protocol[protocol] |= 1 << index
        any_protocol = by_protocol[Protocol.ANY]
        return FamilyTable(
            protocols={
                numbers[version]: any_protocol | by_protocol[protocol]
                for protocol, numbers in _NUMBERS.items()
            },
            other_protocols=any_protocol,
            sources=Classifier.of_ranges(rule.source.ranges(version) for rule in self.rules),
            destinations=Classifier.of_ranges(
                rule.destination.ranges(version) for rule in self.rules
            ),
        )

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

    def to_plain(
        self, flattener: Flattener, versions: Iterable[IPVersion] = IP_VERSIONS
    ) -> tuple[Any, ...]:
        """The table in built-in types only, for the hand-over to a worker.

        It can then be asked about packets of these IP versions.
        """
        return (
            self.network_security_group,
            self.direction.value,
            self.rule_names,
            self.allows,
            self.silent,
            self.final,
            {version: self.plain_tree(version, flattener) for version in versions},
        )

    @classmethod
    def from_plain(cls, plain: tuple[Any, ...]) -> CompiledTable:
        """A table that can be asked about packets, and not about its rules."""
        group, direction, names, allows, silent, final, trees = plain
        return cls(group, Direction(direction), names, allows, silent, final, (), trees)


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
        or not ALL_PORT_RANGES == last.source_ports == last.destination_ports
        or not ALL_ADDRESSES == last.source == last.destination
    ):
        raise ValueError("the last rule must match every packet")
    return CompiledTable(
        network_security_group=network_security_group,
        direction=direction,
        rule_names=tuple(rule.name for rule in rules),
        allows=_bits(rule.access is Access.ALLOW for rule in rules),
        silent=_bits(rule.is_silent for rule in rules),
        final=_bits(rule.is_final for rule in rules),
        rules=tuple(rules),
    )


def _bits(flags: Iterable[bool]) -> int:
    return sum(1 << index for index, flag in enumerate(flags) if flag)


def protocol_ranges(rule: EffectiveSecurityRule, version: IPVersion) -> tuple[Range, ...]:
    """The protocol numbers that a rule matches, whether or not they have ports."""
    if Protocol.ANY in rule.protocols:
        return _ALL_PROTOCOLS
    return _numbers(rule.protocols, version)


@cache
def _numbers(protocols: tuple[Protocol, ...], version: IPVersion) -> tuple[Range, ...]:
    """Protocols as ranges of numbers, of the same ones the same object."""
    return tuple(
        (number, number) for number in sorted({_NUMBERS[each][version] for each in protocols})
    )
