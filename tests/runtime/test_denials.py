"""What a worker tells of denials: all, or a few of each rule until somebody asks for more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nsgd.model.packet import TCP, PacketHeader
from nsgd.model.rule import Direction
from nsgd.runtime import counters as cell
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.denials import DenialReader, DenialWriter

PACKET = PacketHeader(4, TCP, 1, 2, 1024, 22, False)
INBOUND = Direction.INBOUND


@pytest.fixture
def counters() -> Iterator[SharedCounters]:
    """Memory for both ends."""
    made = SharedCounters.create(64)
    yield made
    made.close()


def tell(writer: DenialWriter, number: int, times: int) -> int:
    """Deny so often by one rule; how many were told."""
    told = 0
    for _ in range(times):
        if writer.wants(INBOUND, number):
            writer.write(PACKET, INBOUND, number)
            told += 1
    return told


def test_without_a_limit_all_are_told(counters: SharedCounters) -> None:
    """As audit mode and flow logs need them."""
    assert tell(DenialWriter(counters), 5, 1000) == 1000
    assert counters.cells[cell.DENIALS_UNTOLD] == 0


def test_a_noisy_rule_leaves_room_for_others(counters: SharedCounters) -> None:
    """Ten of each rule, whatever the first one has had; the rest is counted."""
    writer = DenialWriter(counters, is_limited=True)
    reader = DenialReader(counters)
    assert tell(writer, 5, 1000) == 10
    assert tell(writer, 6, 3) == 3
    denials, others = reader.read(512)
    assert [denial.number for denial in denials] == [5] * 10 + [6] * 3
    assert others == 0
    assert counters.cells[cell.DENIALS_UNTOLD] == 990


def test_a_window_ends_when_the_reader_says_so(counters: SharedCounters) -> None:
    """Not by a clock, which the worker would have to read for each packet."""
    writer = DenialWriter(counters, is_limited=True)
    assert [tell(writer, 5, 100), tell(writer, 5, 100)] == [10, 0]
    counters.cells[cell.DENIALS_WINDOW] += 1
    assert tell(writer, 5, 100) == 10


def test_all_rules_together_are_limited(counters: SharedCounters) -> None:
    """A scan over thousands of rules is no flood of records."""
    writer = DenialWriter(counters, is_limited=True)
    assert sum(tell(writer, number, 10) for number in range(60)) == 500
