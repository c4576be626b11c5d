"""What the kernel counts of rules and of interfaces: what asks, and what is denied of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsgd.model.decision import TableDecision
from nsgd.model.rule import Access, Direction
from nsgd.policy.numbers import DIRECTIONS, DecisionNumbers
from nsgd.ruleset.names import interface_count, interface_counter, rule_name
from nsgd.runtime.counters import NICS, SharedCounters
from nsgd.runtime.kernel_counts import KernelCounts, KernelNicCounts
from tests.ruleset.test_names import DECISIONS, RESOURCES

NAMES = ("web",)
NUMBERS = 16


@pytest.fixture(scope="module")
def counters() -> Iterator[SharedCounters]:
    """Those of a worker, which has counted nothing."""
    made = SharedCounters.create(NUMBERS)
    yield made
    made.close()


def read(
    of_kernel: KernelNicCounts, packets: Mapping[str, int], worker: int = 0
) -> dict[tuple[Direction, Access], int]:
    """What is counted of web."""
    counts = {name: [worker] * len(NICS) for name in NAMES}
    of_kernel.add(counts, packets, NAMES)
    return dict(zip(NICS, counts["web"], strict=True))


def test_what_is_not_denied_is_allowed() -> None:
    """In either direction, beside what the worker has counted."""
    packets = {"nic/web/in": 7, "nic/web/in/deny": 3, "nic/web/out": 5, "nic/other/in": 9}
    assert read(KernelNicCounts(), packets, worker=10) == {
        (Direction.INBOUND, Access.ALLOW): 14,
        (Direction.INBOUND, Access.DENY): 13,
        (Direction.OUTBOUND, Access.ALLOW): 15,
        (Direction.OUTBOUND, Access.DENY): 10,
    }


def test_what_is_allowed_never_shrinks() -> None:
    """Denials are read a moment later, and may be more than those among what was read before."""
    of_kernel = KernelNicCounts()
    allowed = Direction.INBOUND, Access.ALLOW
    assert read(of_kernel, {"nic/web/in": 100, "nic/web/in/deny": 40})[allowed] == 60
    assert read(of_kernel, {"nic/web/in": 110, "nic/web/in/deny": 55})[allowed] == 60
    assert read(of_kernel, {"nic/web/in": 200, "nic/web/in/deny": 130})[allowed] == 70
    # Counted anew, after a change of engine.
    assert read(of_kernel, {"nic/web/in": 2, "nic/web/in/deny": 3})[allowed] == 0
    assert read(of_kernel, {"nic/web/in": 5, "nic/web/in/deny": 3})[allowed] == 2


@given(st.lists(DECISIONS, max_size=8, unique=True), st.lists(DECISIONS, max_size=8, unique=True))
def test_rules_are_found_by_their_counters(
    counters: SharedCounters, declared: list[TableDecision], others: list[TableDecision]
) -> None:
    """Whatever they are named; what the table counts of other rules is nobody's."""
    of_direction: dict[Direction, dict[tuple[str, str, Access], int]] = {
        direction: {} for direction in DIRECTIONS
    }
    for number, each in enumerate(declared, 1):
        key = each.network_security_group, each.rule, each.access
        of_direction[each.direction][key] = number
    numbers = DecisionNumbers(of_direction)
    packets = {rule_name(each): 1000 for each in others}
    packets |= {rule_name(each): 10 + number for number, each in enumerate(declared, 1)}
    totals = counters.totals()
    KernelCounts().add(totals, packets, numbers, counters)
    for direction in DIRECTIONS:
        first = counters.first_hit_cell(direction)
        expected = [0] * NUMBERS
        for number in of_direction[direction].values():
            expected[number] = 10 + number
        assert totals[first : first + NUMBERS] == expected


@given(st.lists(RESOURCES, max_size=6, unique=True), st.lists(RESOURCES, max_size=6, unique=True))
def test_interfaces_are_found_by_their_counters(declared: list[str], others: list[str]) -> None:
    """As rules are."""
    packets: dict[str, int] = {}
    for interfaces, first in ((others, 1000), (declared, 10)):
        for number, name in enumerate(interfaces, first):
            for direction in DIRECTIONS:
                packets[interface_count(name, direction)] = 3 * number
                packets[interface_counter(name, direction, Access.DENY)] = number
    counts = {name: [0] * len(NICS) for name in declared}
    KernelNicCounts().add(counts, packets, declared)
    for number, name in enumerate(declared, 10):
        expected = {Access.ALLOW: 2 * number, Access.DENY: number}
        assert counts[name] == [expected[access] for _, access in NICS]


def test_a_name_that_looks_written_otherwise_is_not_taken_for_another(
    counters: SharedCounters,
) -> None:
    """A rule or an interface that has gone, whose counter reads as the name of one there is."""
    gone, declared = "a(b/web", "a._28_.b/web"
    rules = {(declared, "r", Access.DENY): 1}
    numbers = DecisionNumbers({Direction.OUTBOUND: {}, Direction.INBOUND: rules})
    totals = counters.totals()
    counter = rule_name(TableDecision(gone, Direction.INBOUND, "r", Access.DENY))
    assert counter == f"deny/{declared}/in/r"
    KernelCounts().add(totals, {counter: 7}, numbers, counters)
    assert totals == counters.totals()
    counts = {declared: [0] * len(NICS)}
    counter = interface_count(gone, Direction.INBOUND)
    assert counter == f"nic/{declared}/in"
    KernelNicCounts().add(counts, {counter: 7}, [declared])
    assert not any(counts[declared])


def test_nothing_is_kept_of_usual_names(counters: SharedCounters) -> None:
    """A thousand rules and interfaces, and two whose names nft cannot write."""
    rules = {("rg/web", f"r-{number}", Access.DENY): number for number in range(1, 1001)}
    rules["rg(1)/web", "r", Access.ALLOW] = 1001
    numbers = DecisionNumbers({Direction.OUTBOUND: {}, Direction.INBOUND: rules})
    of_rules = KernelCounts()
    of_rules.add(counters.totals(), {}, numbers, counters)
    assert list(of_rules.kept) == ["allow/rg._28_.1._29_./web/in/r"]
    names = [f"rg/nic.{number}" for number in range(1000)]
    of_interfaces = KernelNicCounts()
    of_interfaces.add({name: [0] * len(NICS) for name in names}, {}, names)
    assert not of_interfaces.kept
    of_interfaces.add({}, {}, ["rg(1)/web"])
    assert len(of_interfaces.kept) == 4
