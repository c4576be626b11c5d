"""What tables say of flows between classes of addresses, by protocol and ports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from nsgd.analysis.reach_classes import AddressClasses
from nsgd.model.decision import TableDecision
from nsgd.model.rule import Direction
from nsgd.policy.address_set import merge_ranges
from nsgd.policy.table import CompiledTable, protocol_ranges
from nsgd.spaces.axis import Axis, bits_of
from nsgd.spaces.book import RuleBook
from nsgd.spaces.budget import Budget
from nsgd.spaces.chain import NOBODY, Chain
from nsgd.spaces.diagram import Diagrams
from nsgd.spaces.explore import explore
from nsgd.spaces.flow_sets import TOPS, FlowSet, FlowSets
from nsgd.spaces.node_store import Node
from nsgd.spaces.space import PORTLESS, Axes, portless_rules


class Saying(NamedTuple):
    """What one table says of a flow; *rule* is a number, or NOBODY of a table that is silent."""

    is_allowed: bool
    rule: int
    is_final: bool


class Ruling(NamedTuple):
    """What is decided of a flow, and the rules that are reported, as numbers, or NOBODY.

    Of what is denied outbound, no inbound rule is asked. *settled* is the direction in which no
    further table is asked.
    """

    is_allowed: bool = True
    outbound: int = NOBODY
    inbound: int = NOBODY
    settled: Direction | None = None

    def then(self, saying: Saying, direction: Direction) -> Ruling:
        """What is decided when a further table was asked, as nsgd.policy.evaluate.decide does."""
        if not self.is_allowed or self.settled is direction or saying.rule == NOBODY:
            return self
        settled = direction if saying.is_allowed and saying.is_final else None
        if direction is Direction.OUTBOUND:
            return Ruling(saying.is_allowed, saying.rule, NOBODY, settled)
        return Ruling(saying.is_allowed, self.outbound, saying.rule, settled)


# None of flows that are not asked about.
Flows = FlowSets[Saying | Ruling | bool | None]


class Decisions:
    """Numbers of rules that decide, whatever tables they are in."""

    def __init__(self, is_by_rule: bool) -> None:
        """Unless *is_by_rule*, all rules have one number: verdicts alone are told apart."""
        self._is_by_rule = is_by_rule
        self._numbers: dict[TableDecision, int] = {}

    def number(self, decision: TableDecision) -> int:
        """The number of a decision; of equal ones the same."""
        if not self._is_by_rule:
            return 0
        return self._numbers.setdefault(decision, len(self._numbers))


class TableFlows:
    """One table, and what it says of flows.

    IPv6 is looked at as if its ICMPv6 had the number of ICMP, and the other way round: rules say
    Icmp for both, so both versions have the same functions.
    """

    def __init__(
        self,
        table: CompiledTable,
        classes: AddressClasses,
        flows: Flows,
        decisions: Decisions,
        budget: Budget,
    ) -> None:
        self._is_outbound = table.direction is Direction.OUTBOUND
        self._flows = flows
        self._decisions = decisions
        self._budget = budget
        self._book = book = RuleBook()
        self._chain = Chain.of(book, [book.add(table)])
        rules = book.rules
        self._everyone = (1 << len(classes.classes)) - 1
        self._sources = self._blocks([classes.of_addresses(rule.source) for rule in rules])
        self._destinations = self._blocks(
            [classes.of_addresses(rule.destination) for rule in rules]
        )
        self._axes = Axes(
            [
                Axis(
                    [protocol_ranges(rule, 4) for rule in rules],
                    TOPS[0],
                    only=[(PORTLESS, portless_rules(rules))],
                ),
                Axis([rule.destination_ports for rule in rules], TOPS[1]),
                Axis([rule.source_ports for rule in rules], TOPS[2]),
            ],
            len(rules),
        )
        self._scope = self._axes.scope(self._axes.everything)
        self._diagrams: Diagrams[Saying] = Diagrams(self._axes.everything, budget)
        self._made: dict[int, FlowSet] = {}
        self._told: dict[Node, FlowSet] = {}
        self._rows: dict[int, list[FlowSet]] = {}  # by the rules that match the own end

    def row(self, number: int) -> list[FlowSet]:
        """By class of the other end, what is decided of flows of the class *number*.

        Raises:
            OverBudget: There are too many different cases.
        """
        mine, theirs = self._sources, self._destinations
        if not self._is_outbound:
            mine, theirs = theirs, mine
        own = next(rules for classes, rules in mine if classes >> number & 1)
        found = self._rows.get(own)
        if found is None:
            found = [0] * self._everyone.bit_length()
            self._budget.spend(1 + len(found) // 2)
            for classes, rules in theirs:
                node = self._of_rules(own & rules)
                for other in bits_of(classes):
                    found[other] = node
            self._rows[own] = found
        return found

    def _blocks(self, by_rule: Sequence[int]) -> list[tuple[int, int]]:
        """The classes of one side of flows by the rules that match them there."""
        of_rules: dict[int, int] = {}
        for bit, classes in enumerate(by_rule):
            of_rules[classes] = of_rules.get(classes, 0) | 1 << bit
        blocks = [(self._everyone, 0)]
        for matched, rules in of_rules.items():
            cut: list[tuple[int, int]] = []
            self._budget.spend(len(blocks), matched.bit_length())
            for classes, before in blocks:
                if hit := classes & matched:
                    cut.append((hit, before | rules))
                if missed := classes & ~matched:
                    cut.append((missed, before))
            blocks = cut
        return blocks

    def _of_rules(self, matching: int) -> FlowSet:
        """What is decided where the addresses are matched by these rules and by no others."""
        candidates, value = self._judge(matching & self._scope.candidates, self._scope.sure[0])
        if value is not None:
            return self._flows.leaf(value)
        found = self._made.get(candidates)
        if found is None:
            scope = replace(self._scope, candidates=candidates)
            node = explore(self._axes, scope, self._judge, self._diagrams, self._budget)
            found = self._made[candidates] = self._in_values(node)
        return found

    def _judge(self, candidates: int, sure: int) -> tuple[int, Saying | None]:
        standing = self._chain.stand(candidates, sure)
        if standing.rule is None:
            return standing.kept, None
        if standing.rule == NOBODY:
            return 0, Saying(True, NOBODY, False)
        number = self._decisions.number(self._book.after(standing.rule).decision)
        is_final = bool(self._book.final >> standing.rule & 1)
        return 0, Saying(standing.may_allow, number, is_final)

    def _in_values(self, node: Node) -> FlowSet:
        value = self._diagrams.value(node)
        if value is not None:
            return self._flows.leaf(value)
        found = self._told.get(node)
        if found is None:
            level = self._diagrams.level(node)
            parts: dict[FlowSet, list[tuple[int, int]]] = {}
            for classes, child in self._diagrams.children(node, level):
                made = self._in_values(child)
                parts.setdefault(made, []).extend(self._axes.axes[level].ranges(classes))
            merged = {child: merge_ranges(spans) for child, spans in parts.items()}
            found = self._told[node] = self._flows.node(level, merged)
        return found
