"""Rows of single resources: those with equal flows to everybody are told together."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence

from nsgd.analysis.ends import End
from nsgd.analysis.reach import Reach, is_allowed
from nsgd.analysis.reach_told import MOST_BOXES, Among, Asked, Label, Line, ReachRows, Row
from nsgd.model.address import IPVersion
from nsgd.spaces.axis import bits_of
from nsgd.spaces.budget import OverBudget
from nsgd.spaces.flow_sets import FlowSet
from nsgd.spaces.ranges import Ranges, union

_NO_PAIR, _UNDETERMINED = -1, -2
_PAIRS_PER_STEP = 2


def rows_of_resources(reach: Reach, asked: Asked) -> ReachRows:
    """Rows of single resources, and of the parts of tags and prefixes that nothing declares."""
    receivers: dict[int, int] = {}
    for senders_end, receivers_end in asked.ends:
        for sender, seen in reach.pairs(senders_end, receivers_end):
            receivers[sender] = receivers.get(sender, 0) | seen
    labels = _Labels(reach, asked.ends)
    told = _Told(reach, asked)
    alike: dict[bytes, list[int]] = {}
    count = len(reach.classes.classes)
    for sender, of_sender in receivers.items():
        vector = array("q", [_NO_PAIR]) * count
        try:
            with reach.budget.question():
                reach.budget.spend(1 + of_sender.bit_count() // _PAIRS_PER_STEP)
        except OverBudget:
            for receiver in bits_of(of_sender):
                vector[receiver] = _UNDETERMINED
        else:
            for receiver, flows in reach.flow_sets(sender, of_sender):
                vector[receiver] = _UNDETERMINED if flows is None else told.of_flows(flows)
        alike.setdefault(vector.tobytes(), []).append(sender)
    rows: list[Row] = []
    undetermined: list[Row] = []
    for key, senders in alike.items():
        by_flows: dict[int, list[int]] = {}
        for receiver, flows in enumerate(array("q", key)):
            if flows != _NO_PAIR:
                by_flows.setdefault(flows, []).append(receiver)
        version = reach.classes.classes[senders[0]].version
        for flows, of_flows in by_flows.items():
            row = Row(version, labels.of(senders), labels.of(of_flows), ())
            if flows == _UNDETERMINED:
                undetermined.append(row)
                continue
            pairs = ((one, other) for one in senders for other in of_flows)
            lines, is_cut = told.lines(pairs, flows)
            if lines:
                rows.append(Row(version, row.senders, row.receivers, lines, is_cut))
    return ReachRows(tuple(rows), tuple(undetermined))


class _Told:
    """What is told of the flows of pairs: functions of which equal ones are one row."""

    def __init__(self, reach: Reach, asked: Asked) -> None:
        self._reach = reach
        self._asked = asked
        self._in_question = in_question(reach)
        self._verdicts = reach.flows.mapping(is_allowed)
        self._of_flows: dict[FlowSet, FlowSet] = {}

    def of_flows(self, flows: FlowSet) -> int:
        """What is told of a pair with these flows, or _UNDETERMINED."""
        found = self._of_flows.get(flows)
        if found is None:
            try:
                with self._reach.budget.question():
                    found = self._in_question(flows, self._asked.flows)
                    if not self._reach.is_by_rule:
                        found = self._verdicts(found)
            except OverBudget:
                found = _UNDETERMINED
            self._of_flows[flows] = found
        return found

    def lines(
        self, pairs: Iterable[tuple[int, int]], told: FlowSet
    ) -> tuple[tuple[Line, ...], bool]:
        """A line for each box of what is told, with a packet of the first pair that has some."""
        reach = self._reach
        pair = next((each for each in pairs if is_possible(reach, each)), None)
        if pair is None:
            return (), False
        lines: list[Line] = []
        for value, box in reach.flows.boxes(told):
            verdict = is_allowed(value)
            if not (verdict or (verdict is False and self._asked.shows_denied)):
                continue
            if len(lines) == MOST_BOXES:
                return tuple(lines), True
            packet = reach.witness(*pair, box)
            if packet is not None:
                decided = reach.decided(*pair, packet)
                lines.append(Line(bool(verdict), Among.ALL, box, decided, packet))
        return tuple(lines), False


def in_question(reach: Reach) -> Callable[[FlowSet, FlowSet], FlowSet]:
    """What makes a function None for flows that are not asked about."""
    return reach.flows.joining(lambda value, is_asked: value if is_asked else None)


def is_possible(reach: Reach, pair: tuple[int, int]) -> bool:
    """Whether two classes have two addresses that a flow may have."""
    one, other = (reach.classes.classes[number] for number in pair)
    return reach.classes.parts_of_pair(one, other) is not None


class _Labels:
    """Names of classes: those of the resources in them, or of the end that adds them."""

    def __init__(self, reach: Reach, ends: Iterable[tuple[End, End]]) -> None:
        self._reach = reach
        self._ends = list(dict.fromkeys(end for pair in ends for end in pair))
        self._all: dict[tuple[IPVersion, int | None], list[Ranges]] = {}
        for found in reach.classes.classes:
            for part in found.parts:
                key = found.version, part.endpoint
                self._all.setdefault(key, []).append(part.ranges)

    def of(self, classes: Sequence[int]) -> tuple[Label, ...]:
        """Each resource once, with its addresses where it has others too."""
        spans: dict[int | None, list[Ranges]] = {}
        version = self._reach.classes.classes[classes[0]].version
        others: dict[End, list[int]] = {}
        for number in classes:
            for part in self._reach.classes.classes[number].parts:
                if part.endpoint is None:
                    others.setdefault(self._end(number), []).append(number)
                else:
                    spans.setdefault(part.endpoint, []).append(part.ranges)
        labels = []
        for endpoint, ranges in spans.items():
            assert endpoint is not None
            is_all = len(ranges) == len(self._all[version, endpoint])
            subject = self._reach.policy.subjects[endpoint]
            labels.append(Label(subject, None if is_all else union(ranges)))
        for end, numbers in others.items():
            is_all = not self._undeclared(end, version) - set(numbers)
            found = union(self._reach.classes.classes[each].parts[0].ranges for each in numbers)
            labels.append(Label(end, None if is_all else found))
        return tuple(labels)

    def _undeclared(self, end: End, version: IPVersion) -> set[int]:
        """The classes of an end that nothing declares."""
        classes = self._reach.classes.classes
        found = self._reach.in_any_view(end)
        return {
            each
            for each in bits_of(found)
            if classes[each].view is None and classes[each].version == version
        }

    def _end(self, number: int) -> End:
        for end in self._ends:
            if self._reach.in_any_view(end) >> number & 1:
                return end
        raise LookupError("what nothing declares is there for an end's sake")
