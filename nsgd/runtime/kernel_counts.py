"""What the kernel engine has counted, in the cells in which a worker counts the same.

Most names say whose they are, so that nothing is kept for each counter: in a table of 20 000 rules
and 10 000 interfaces few have counted anything, and their names are 10 MB.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from nsgd.model.decision import Reason, TableDecision
from nsgd.model.rule import Access, Direction
from nsgd.policy.effective import UNSUPPORTED_PROTOCOL
from nsgd.policy.numbers import DIRECTIONS, DecisionNumbers
from nsgd.ruleset.dispatch import ALLOWED_INBOUND, ALLOWED_OUTBOUND, ALLOWED_WITHOUT_GROUP
from nsgd.ruleset.names import (
    interface_count,
    interface_counter,
    interface_of,
    is_interface_count,
    rule_name,
    rule_of,
)
from nsgd.runtime import counters as cell
from nsgd.runtime.counters import NICS, SharedCounters

_ALLOWED = (
    (ALLOWED_INBOUND, Direction.INBOUND, Reason.RULE),
    (ALLOWED_OUTBOUND, Direction.OUTBOUND, Reason.RULE),
    (ALLOWED_WITHOUT_GROUP, Direction.INBOUND, Reason.NO_NSG),
)
_PLACES = {key: index for index, key in enumerate(NICS)}


class KernelCounts:
    """Adds the table's counters of rules and flows to a worker's totals."""

    def __init__(self) -> None:
        self._numbers: DecisionNumbers | None = None
        # Direction, group, rule and access by those counters that do not tell themselves.
        self.kept: dict[str, tuple[Direction, str, str, Access]] = {}

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
            self._numbers, self.kept = numbers, dict(_untold_rules(numbers))
        for name, count in packets.items():
            found = (self.kept.get(name) or rule_of(name)) if count else None
            if found is None:
                continue
            direction, group, rule, access = found
            number = numbers.by_direction[direction].get((group, rule, access))
            if number is None:
                continue
            totals[counters.first_hit_cell(direction) + number] += count
            if access is Access.DENY:
                is_unsupported = rule == UNSUPPORTED_PROTOCOL
                denies = Reason.UNSUPPORTED_PROTOCOL if is_unsupported else Reason.RULE
                totals[cell.FLOWS[direction, Access.DENY, denies]] += count
                totals[cell.DENIED[denies]] += count
        for name, direction, reason in _ALLOWED:
            count = packets.get(name, 0)
            totals[cell.FLOWS[direction, Access.ALLOW, reason]] += count


class KernelNicCounts:
    """The table's counters of network interfaces."""

    def __init__(self) -> None:
        self._names: Collection[str] = ()
        # Interface, direction and whether it is of denials, by those that do not tell themselves.
        self.kept: dict[str, tuple[str, Direction, bool]] = {}
        # What was counted and allowed at the last reading, of those that have counted something.
        self._last: dict[tuple[str, Direction], tuple[int, int]] = {}

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
            self._names, self.kept = names, dict(_untold_interfaces(names))
            self._last = {key: last for key, last in self._last.items() if key[0] in counts}
        asked: dict[tuple[str, Direction], int] = {}
        denied: dict[tuple[str, Direction], int] = {}
        for name, count in packets.items():
            if not count or not is_interface_count(name):
                continue
            found = self.kept.get(name) or interface_of(name)
            if found is not None and found[0] in counts:
                interface, direction, is_of_denials = found
                (denied if is_of_denials else asked)[interface, direction] = count
        for key in asked | denied:
            interface, direction = key
            of_name = counts[interface]
            asks, denies = asked.get(key, 0), denied.get(key, 0)
            before, allowed = self._last.get(key, (0, 0))
            allowed = max(asks - denies, allowed if asks >= before else 0)
            self._last[key] = asks, allowed
            of_name[_PLACES[direction, Access.ALLOW]] += allowed
            of_name[_PLACES[direction, Access.DENY]] += denies


def _untold_rules(
    numbers: DecisionNumbers,
) -> Iterator[tuple[str, tuple[Direction, str, str, Access]]]:
    for direction in DIRECTIONS:
        for group, rule, access in numbers.by_direction[direction]:
            name = rule_name(TableDecision(group, direction, rule, access))
            told = direction, group, rule, access
            if rule_of(name) != told:
                yield name, told


def _untold_interfaces(names: Collection[str]) -> Iterator[tuple[str, tuple[str, Direction, bool]]]:
    longest = Direction.OUTBOUND
    for name in names:
        if interface_of(interface_counter(name, longest, Access.DENY)) == (name, longest, True):
            continue  # then all of its names do
        for direction in DIRECTIONS:
            yield interface_count(name, direction), (name, direction, False)
            yield interface_counter(name, direction, Access.DENY), (name, direction, True)
