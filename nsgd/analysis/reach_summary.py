"""Rows of ends as they are named: flows that pass between all their resources, or some."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from nsgd.analysis.ends import End
from nsgd.analysis.reach import Reach, is_allowed
from nsgd.analysis.reach_flows import Ruling
from nsgd.analysis.reach_rows import in_question, is_possible
from nsgd.analysis.reach_told import MOST_BOXES, Among, Asked, Label, Line, ReachRows, Row
from nsgd.model.address import IPVersion
from nsgd.spaces.budget import OverBudget
from nsgd.spaces.flow_sets import FlowBox, FlowSet


@dataclass(slots=True)
class _Summary:
    """The flows between all and between some pairs of two ends."""

    everywhere: FlowSet
    somewhere: FlowSet
    samples: dict[FlowSet, tuple[int, int]] = field(default_factory=dict)
    is_undetermined: bool = False

    @property
    def told(self) -> tuple[FlowSet, FlowSet, bool]:
        """What two ends have in common with others that are told alike."""
        return self.everywhere, self.somewhere, self.is_undetermined


def rows_of_ends(reach: Reach, asked: Asked) -> ReachRows:
    """Rows of ends as wholes: flows that pass between all their resources, or between some."""
    summaries: dict[tuple[IPVersion, End], dict[End, _Summary]] = {}
    summarise = _Summarising(reach, asked.flows)
    for senders, receivers in asked.ends:
        for sender, seen in reach.pairs(senders, receivers):
            version = reach.classes.classes[sender].version
            of_senders = summaries.setdefault((version, senders), {})
            summary = of_senders.get(receivers)
            if summary is None:
                summary = of_senders[receivers] = summarise.nothing()
            for receiver, flows in reach.flow_sets(sender, seen):
                if is_possible(reach, (sender, receiver)):
                    summarise.add(summary, (sender, receiver), flows)
    rows: list[Row] = []
    undetermined: list[Row] = []
    alike: dict[tuple[IPVersion, object], list[End]] = {}
    for (version, senders), of_senders in summaries.items():
        key = version, tuple((end, each.told) for end, each in of_senders.items())
        alike.setdefault(key, []).append(senders)
    for (version, _), ends in alike.items():
        by_told: dict[object, list[End]] = {}
        of_first = summaries[version, ends[0]]
        for receivers, summary in of_first.items():
            by_told.setdefault(summary.told, []).append(receivers)
        for to in by_told.values():
            row = Row(version, tuple(map(Label, ends)), tuple(map(Label, to)), ())
            summary = of_first[to[0]]
            if summary.is_undetermined:
                undetermined.append(row)
                continue
            try:
                with reach.budget.question():
                    lines = tuple(islice(summarise.lines(summary), MOST_BOXES + 1))
            except OverBudget:
                undetermined.append(row)
                continue
            if lines:
                is_cut = len(lines) > MOST_BOXES
                rows.append(Row(version, row.senders, row.receivers, lines[:MOST_BOXES], is_cut))
    return ReachRows(tuple(rows), tuple(undetermined))


class _Summarising:
    """Puts the flows of many pairs together."""

    def __init__(self, reach: Reach, flows: FlowSet) -> None:
        self._reach = reach
        self._asked = flows
        join = reach.flows.joining
        self._wanted = join(lambda value, is_asked: bool(is_allowed(value)) and is_asked)
        self._both = join(lambda one, other: bool(one) and bool(other))
        self._either = join(lambda one, other: bool(one) or bool(other))
        self._only = join(lambda one, other: bool(one) and not other)
        self._cut = in_question(reach)

    def nothing(self) -> _Summary:
        """Of no pair yet."""
        return _Summary(self._asked, self._reach.flows.leaf(False))

    def add(self, summary: _Summary, pair: tuple[int, int], flows: FlowSet | None) -> None:
        """Count a pair in, with its flows."""
        if flows is None:
            summary.is_undetermined = True
        elif flows not in summary.samples:
            summary.samples[flows] = pair
            try:
                with self._reach.budget.question():
                    passing = self._wanted(flows, self._asked)
                    summary.everywhere = self._both(summary.everywhere, passing)
                    summary.somewhere = self._either(summary.somewhere, passing)
            except OverBudget:
                summary.is_undetermined = True

    def lines(self, summary: _Summary) -> Iterator[Line]:
        """What passes between all, and then what passes between some only."""
        yield from self._sampled(summary, Among.ALL, summary.everywhere)
        some = self._only(summary.somewhere, summary.everywhere)
        yield from self._sampled(summary, Among.SOME, some)

    def _sampled(self, summary: _Summary, among: Among, part: FlowSet) -> Iterator[Line]:
        """A line for each box, with a packet of a pair of resources between which it passes."""
        for is_in, box in self._reach.flows.boxes(part):
            if is_in:
                inside = self._reach.flows.of_box(box, True, False)
                yield from islice(self._lines_of(summary, among, box, inside), 1)

    def _lines_of(
        self, summary: _Summary, among: Among, box: FlowBox, inside: FlowSet
    ) -> Iterator[Line]:
        reach = self._reach
        for flows, pair in summary.samples.items():
            for ruling, each in reach.flows.boxes(self._cut(flows, inside)):
                if isinstance(ruling, Ruling) and ruling.is_allowed:
                    packet = reach.witness(*pair, each)
                    if packet is not None:
                        yield Line(True, among, box, reach.decided(*pair, packet), packet)
