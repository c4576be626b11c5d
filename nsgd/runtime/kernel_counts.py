"""What the kernel engine has counted, in the cells in which a worker counts the same."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from nsgd.model.decision import Reason, TableDecision
from nsgd.model.rule import Access, Direction
from nsgd.policy.effective import UNSUPPORTED_PROTOCOL
from nsgd.policy.numbers import DIRECTIONS, DecisionNumbers
from nsgd.ruleset.dispatch import ALLOWED_INBOUND, ALLOWED_OUTBOUND, ALLOWED_WITHOUT_GROUP
from nsgd.ruleset.names import interface_count, interface_counter, rule_name
from nsgd.runtime import counters as cell
from nsgd.runtime.counters import NICS, SharedCounters

_ALLOWED = (
    (ALLOWED_INBOUND, Direction.INBOUND, Reason.RULE),
    (ALLOWED_OUTBOUND, Direction.OUTBOUND, Reason.RULE),
    (ALLOWED_WITHOUT_GROUP, Direction.INBOUND, Reason.NO_NSG),
)


class KernelCounts:
    """Adds the table's counters of rules and flows to a worker's totals."""

    def __init__(self) -> None:
        self._numbers: DecisionNumbers | None = None
        self._rules: tuple[tuple[str, Direction, int, Reason | None], ...] = ()

    def add(
        self,
        totals: list[int],
        packets: Mapping[str, int],
        numbers: DecisionNumbers,
        counters: SharedCounters,
    ) -> None:
        """Add them.

        Args:
            totals: By cell; changed.
            packets: Of each named counter.
            numbers: Of all rules that ever had one.
            counters: Whose cells the totals are of.
        """
        if self._numbers is not numbers:
            self._numbers, self._rules = numbers, tuple(_rules(numbers))
        for name, direction, number, denies in self._rules:
            count = packets.get(name)
            if not count:
                continue
            totals[counters.first_hit_cell(direction) + number] += count
            if denies is not None:
                totals[cell.FLOWS[direction, Access.DENY, denies]] += count
                totals[cell.DENIED[denies]] += count
        for name, direction, reason in _ALLOWED:
            count = packets.get(name, 0)
            totals[cell.FLOWS[direction, Access.ALLOW, reason]] += count


class KernelNicCounts:
    """The table's counters of network interfaces."""

    def __init__(self) -> None:
        self._names: Iterable[str] = ()
        self._counters: list[tuple[str, tuple[tuple[int, int, str, str], ...]]] = []
        # What was counted and allowed at the last reading, by the count's name.
        self._last: dict[str, tuple[int, int]] = {}

    def add(
        self, counts: dict[str, list[int]], packets: Mapping[str, int], names: Collection[str]
    ) -> None:
        """Add them.

        Counted is what asks and what is denied, one a moment before the other. What is allowed is
        the difference, which may therefore be less than it was.

        Args:
            counts: Of each interface, in the order of NICS; changed.
            packets: Of each named counter.
            names: Of all interfaces; the same object for as long as they are the same.
        """
        if self._names is not names:
            self._names = names
            places = {key: index for index, key in enumerate(NICS)}
            self._counters = [
                (
                    name,
                    tuple(
                        (
                            places[direction, Access.ALLOW],
                            places[direction, Access.DENY],
                            interface_count(name, direction),
                            interface_counter(name, direction, Access.DENY),
                        )
                        for direction in DIRECTIONS
                    ),
                )
                for name in names
            ]
            counts_of = {each[2] for _, counters in self._counters for each in counters}
            self._last = {name: last for name, last in self._last.items() if name in counts_of}
        for name, counters in self._counters:
            of_name = counts[name]
            for allow, deny, count, counter in counters:
                asked = packets.get(count, 0)
                denied = packets.get(counter, 0)
                if not asked and not denied:
                    continue
                before, allowed = self._last.get(count, (0, 0))
                allowed = max(asked - denied, allowed if asked >= before else 0)
                self._last[count] = asked, allowed
                of_name[allow] += allowed
                of_name[deny] += denied


def _rules(
    numbers: DecisionNumbers,
) -> Iterable[tuple[str, Direction, int, Reason | None]]:
    """Counter, direction and number of each rule, and why those flows end that it denies."""
    for direction in DIRECTIONS:
        for (group, rule, access), number in numbers.by_direction[direction].items():
            denies = None
            if access is Access.DENY:
                is_unsupported = rule == UNSUPPORTED_PROTOCOL
                denies = Reason.UNSUPPORTED_PROTOCOL if is_unsupported else Reason.RULE
            name = rule_name(TableDecision(group, direction, rule, access))
            yield name, direction, number, denies
