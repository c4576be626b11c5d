"""The packets of one IP version, cut into classes by the rules of some tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nsgd.model.address import ADDRESS_BITS, IPVersion
from nsgd.model.packet import TCP, UDP, PacketHeader
from nsgd.policy.address_set import Range
from nsgd.policy.effective import ALL_PORT_RANGES, EffectiveSecurityRule
from nsgd.policy.table import protocol_ranges
from nsgd.policy.tree_nodes import Field
from nsgd.spaces.axis import Axis
from nsgd.spaces.book import RuleBook
from nsgd.spaces.ranges import Ranges

# Classes of each field, by the place of the field in the order of the space.
Box = tuple[int, ...]

PORTLESS: tuple[Range, ...] = ((0, TCP - 1), (TCP + 1, UDP - 1), (UDP + 1, 255))
PLAIN_ORDER = (
    Field.PROTOCOL,
    Field.DESTINATION_PORT,
    Field.SOURCE,
    Field.DESTINATION,
    Field.SOURCE_PORT,
)


@dataclass(frozen=True, slots=True)
class Scope:
    """A box of a space with what is known of the rules in it, level by level."""

    inside: Box
    every: tuple[int, ...]  # by level, the rules that match all of the box in this field
    sure: tuple[int, ...]  # by level, those that do so in this field and in all after it
    candidates: int  # the rules that match some packet of the box
    bits: int  # how large its sets are


class Axes:
    """Some fields of packets, in the order in which they are asked."""

    def __init__(self, axes: Sequence[Axis], rules: int) -> None:
        """*axes* are cut by so many *rules*."""
        self.axes = tuple(axes)
        self.everything: Box = tuple(axis.all for axis in self.axes)
        self.bits = max(rules, *(len(axis.rules) for axis in self.axes))

    def scope(self, inside: Box) -> Scope:
        """What is known in a box, which is not empty."""
        every: list[int] = []
        candidates = -1
        for axis, classes in zip(self.axes, inside, strict=True):
            some, all_of = axis.spanned(classes)
            every.append(all_of)
            candidates &= some
        sure = [-1]
        for each in reversed(every):
            sure.append(sure[-1] & each)
        sure.reverse()
        return Scope(inside, tuple(every), tuple(sure), candidates, self.bits)


def portless_rules(rules: Iterable[EffectiveSecurityRule]) -> int:
    """As bits, the rules that match protocols without ports too: those that name no ports."""
    return sum(
        1 << bit
        for bit, rule in enumerate(rules)
        if rule.source_ports == ALL_PORT_RANGES == rule.destination_ports
    )


class Space(Axes):
    """Packets of one IP version by field, in an order in which the protocol precedes the ports.

    Protocols without ports are matched by those rules only that name none; the ports of such
    packets stand for nothing.
    """

    def __init__(
        self,
        book: RuleBook,
        version: IPVersion,
        order: Sequence[Field] = PLAIN_ORDER,
        apart: Mapping[Field, Sequence[Ranges]] | None = None,
    ) -> None:
        """Cut by the rules of *book*, which gets no further ones, and by the sets *apart*."""
        if order.index(Field.PROTOCOL) > min(
            order.index(Field.SOURCE_PORT), order.index(Field.DESTINATION_PORT)
        ):
            raise ValueError("the protocol tells whether there are ports")
        self.book = book
        self.version: IPVersion = version
        self.order = tuple(order)
        self.level = {field: level for level, field in enumerate(self.order)}
        top = (1 << ADDRESS_BITS[version]) - 1
        rules = book.rules
        portless = portless_rules(rules)
        apart = apart or {}
        ranges: dict[Field, tuple[list[Ranges], int]] = {
            Field.PROTOCOL: ([protocol_ranges(rule, version) for rule in rules], 255),
            Field.DESTINATION_PORT: ([rule.destination_ports for rule in rules], 65535),
            Field.SOURCE: ([rule.source.ranges(version) for rule in rules], top),
            Field.DESTINATION: ([rule.destination.ranges(version) for rule in rules], top),
            Field.SOURCE_PORT: ([rule.source_ports for rule in rules], 65535),
        }
        super().__init__(
            [
                Axis(
                    *ranges[field],
                    only=[(PORTLESS, portless)] if field is Field.PROTOCOL else (),
                    apart=apart.get(field, ()),
                )
                for field in self.order
            ],
            len(rules),
        )

    def axis(self, field: Field) -> Axis:
        """The axis of a field."""
        return self.axes[self.level[field]]

    def values(self, packet: PacketHeader) -> tuple[int, ...]:
        """The values of a packet in the order of the space."""
        values = {
            Field.PROTOCOL: packet.protocol,
            Field.DESTINATION_PORT: packet.destination_port,
            Field.SOURCE: packet.source,
            Field.DESTINATION: packet.destination,
            Field.SOURCE_PORT: packet.source_port,
        }
        return tuple(values[field] for field in self.order)

    def of_rule(self, bit: int) -> Box:
        """The packets that a rule matches; empty in a field where it matches none."""
        return tuple(axis.of_rule(bit) for axis in self.axes)

    def box(self, parts: Mapping[Field, int]) -> Box:
        """The packets with these classes, and any in the other fields."""
        return tuple(
            parts.get(field, axis.all) for field, axis in zip(self.order, self.axes, strict=True)
        )


def intersect(one: Box, other: Box) -> Box | None:
    """The packets of both boxes; None where there are none."""
    both = tuple(a & b for a, b in zip(one, other, strict=True))
    return both if all(both) else None
