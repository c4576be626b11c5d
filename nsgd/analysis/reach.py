"""Who reaches whom: what all tables together decide of flows from one class to another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from nsgd.analysis.ends import End
from nsgd.analysis.policy import AnalysedPolicy
from nsgd.analysis.reach_classes import AddressClasses
from nsgd.analysis.reach_flows import Decisions, Flows, Ruling, Saying, TableFlows
from nsgd.answers.ip_flow import judge
from nsgd.model.address import IPVersion
from nsgd.model.decision import TableDecision
from nsgd.model.packet import ICMP, ICMPV6, PacketHeader
from nsgd.model.rule import Access, Direction
from nsgd.policy.table import CompiledTable
from nsgd.policy.tree_nodes import Field
from nsgd.spaces.axis import bits_of
from nsgd.spaces.budget import Budget, OverBudget
from nsgd.spaces.flow_sets import FlowBox, FlowSet, FlowSets
from nsgd.spaces.ranges import Ranges, minus, size, union
from nsgd.spaces.witness import witness

Row = list[FlowSet]  # by class
Sayings = tuple[FlowSet, ...]


class Reach:
    """Flows of a policy between the classes of what it declares and of what some ends add.

    A flow is judged as the engines judge it where both ends' links or addresses are known: by the
    sender's tables outbound, then by the receiver's inbound. What neither end declares is judged
    by nobody, and is in no pair.
    """

    def __init__(
        self,
        policy: AnalysedPolicy,
        ends: Sequence[End],
        budget: Budget,
        *,
        is_by_rule: bool = False,
    ) -> None:
        """Prepare.

        Args:
            policy: Whose flows.
            ends: All that will be asked about.
            budget: Of all questions.
            is_by_rule: Whether flows are told apart by the rules that decide them, too.
        """
        self.policy = policy
        self.budget = budget
        self.flows: Flows = FlowSets(budget)
        self.is_by_rule = is_by_rule
        self._decisions = Decisions(is_by_rule)
        self.classes = AddressClasses(policy, ends)
        self._tables: dict[int, TableFlows | None] = {}
        self._known_rows: dict[tuple[int, bool], list[Row] | None] = {}
        self._joined: dict[tuple[Sayings, Sayings], FlowSet | None] = {}
        self._then = {each: self.flows.joining(partial(_then, each)) for each in Direction}

    def pairs(self, senders: End, receivers: End) -> Iterator[tuple[int, int]]:
        """The classes of senders, and as bits the classes to which their flows are judged.

        A tag is what it is in the eyes of the other end, or, where nothing declares the other, in
        the eyes of the end itself.
        """
        classes = self.classes
        in_any_view = self.in_any_view(receivers)
        for number in bits_of(self.in_any_view(senders)):
            sender = classes.classes[number]
            seen = in_any_view
            if sender.view is not None:
                seen = classes.of_end(receivers, sender.view)
            seen &= classes.judged_with(sender)
            found = 0
            for view, of_view in classes.by_view.items():
                looking = view or sender.view
                # What nothing declares sees no tag: it is what the other end sees itself to be.
                theirs = seen if sender.view else seen & classes.of_end(receivers, view)
                if theirs & of_view and classes.of_end(senders, looking) >> number & 1:
                    found |= theirs & of_view
            if found:
                yield number, found

    def in_any_view(self, end: End) -> int:
        """The classes of an end, whoever looks at it."""
        found = 0
        for view in self.classes.by_view:
            found |= self.classes.of_end(end, view)
        return found

    def flow_sets(self, sender: int, receivers: int) -> Iterator[tuple[int, FlowSet | None]]:
        """What is decided of flows to each of some classes; None where it is undetermined."""
        leaving = self._rows(sender, True)
        joined = self._joined
        for receiver in bits_of(receivers):
            entering = self._rows(receiver, False)
            if leaving is None or entering is None:
                yield receiver, None
                continue
            sayings = (
                tuple([row[receiver] for row in leaving]),
                tuple([row[sender] for row in entering]),
            )
            if sayings not in joined:
                joined[sayings] = self._join(*sayings)
            yield receiver, joined[sayings]

    def flow_set(self, sender: int, receiver: int) -> FlowSet | None:
        """The same of one class."""
        ((_, found),) = self.flow_sets(sender, 1 << receiver)
        return found

    def _join(self, leaving: Sayings, entering: Sayings) -> FlowSet | None:
        found = self.flows.leaf(Ruling())
        try:
            with self.budget.question():
                for saying in leaving:
                    found = self._then[Direction.OUTBOUND](found, saying)
                for saying in entering:
                    found = self._then[Direction.INBOUND](found, saying)
                return found
        except OverBudget:
            return None

    def _rows(self, number: int, is_outbound: bool) -> list[Row] | None:
        """By table that is asked, what it says of flows of a class, by class of the other end."""
        key = number, is_outbound
        if key in self._known_rows:
            return self._known_rows[key]
        found = self.classes.classes[number]
        tables = self.classes.table_lists[found.outbound if is_outbound else found.inbound]
        rows: list[Row] | None = []
        for table in tables:
            row = self._row(table, number)
            if row is None:
                rows = None
                break
            assert rows is not None
            rows.append(row)
        self._known_rows[key] = rows
        return rows

    def _row(self, table: CompiledTable, number: int) -> Row | None:
        try:
            with self.budget.question():
                if id(table) not in self._tables:
                    # Should it be too much, it is not tried for every class again.
                    self._tables[id(table)] = None
                    self._tables[id(table)] = TableFlows(
                        table, self.classes, self.flows, self._decisions, self.budget
                    )
                flows = self._tables[id(table)]
                return None if flows is None else flows.row(number)
        except OverBudget:
            return None

    # -- what shows it -------------------------------------------------------------------

    def witness(self, sender: int, receiver: int, box: FlowBox) -> PacketHeader | None:
        """A packet of a box from one class to the other; None where neither has two addresses."""
        one, other = (self.classes.classes[number] for number in (sender, receiver))
        parts = self.classes.parts_of_pair(one, other)
        if parts is None:
            return None
        version = one.version
        values: dict[Field, Ranges] = {
            Field.PROTOCOL: protocols_of(version, box.protocols),
            Field.DESTINATION_PORT: box.destination_ports,
            Field.SOURCE_PORT: box.source_ports,
            Field.SOURCE: parts[0].ranges,
            Field.DESTINATION: parts[1].ranges,
        }
        packet = witness(version, values)
        if packet.source != packet.destination:
            return packet
        same: Ranges = ((packet.source, packet.source),)
        for field in (Field.DESTINATION, Field.SOURCE):
            if left := minus(values[field], same):
                return witness(version, {**values, field: left})
        return None

    def decided(
        self, sender: int, receiver: int, packet: PacketHeader
    ) -> tuple[TableDecision | None, TableDecision | None]:
        """The rules that are reported of a packet between two classes, outbound and inbound."""
        one, other = (self.classes.classes[number] for number in (sender, receiver))
        leaving = judge(self.classes.table_lists[one.outbound], packet)
        if leaving.access is Access.DENY:
            return leaving.reported, None
        return leaving.reported, judge(self.classes.table_lists[other.inbound], packet).reported


def protocols_of(version: IPVersion, protocols: Ranges) -> Ranges:
    """Protocols of a function in the numbers of an IP version."""
    if version == 4 or size(protocols) == 256:
        return protocols
    swapped: list[Ranges] = []
    for number, other in ((ICMP, ICMPV6), (ICMPV6, ICMP)):
        if any(first <= number <= last for first, last in protocols):
            swapped.append(((other, other),))
    rest = minus(protocols, ((ICMP, ICMP), (ICMPV6, ICMPV6)))
    return union([rest, *swapped])


def is_allowed(value: Saying | Ruling | bool | None) -> bool | None:
    """Whether flows pass; None of those that are not asked about."""
    return value.is_allowed if isinstance(value, Ruling | Saying) else value


def _then(direction: Direction, ruling: object, saying: object) -> Ruling:
    if not isinstance(ruling, Ruling) or not isinstance(saying, Saying):
        raise TypeError("a ruling is followed by what a table says")
    return ruling.then(saying, direction)
