"""Records that wait: written again, and counted where there is no room for them."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator

import pytest

from nsgd.flowlog.entry import Entry
from nsgd.runtime.flow_log.buffer import UNITS_A_STEP, Buffer
from nsgd.runtime.flow_log.cells import (
    LAST_WRITE_S,
    PENDING,
    RESULTS,
    FlowLogCells,
    Result,
)
from nsgd.runtime.flow_log.giving_way import GivingWay
from nsgd.runtime.flow_log.output import MaxBytesReached, Unit
from tests.runtime.flow_log.sides import attributed


class Sink:
    """An output that fails as it is told to."""

    def __init__(self) -> None:
        self.written: list[int] = []
        self.error: Exception | None = None
        self.broken: set[int] = set()

    def units(self, entries: Iterable[Entry], now_ms: int) -> list[Unit]:
        """One of each."""
        ports = [entry.saying.header.source_port for entry in entries]
        return [Unit(("", "", port), b"x" * 100, 1) for port in ports]

    def write(self, unit: Unit, now_s: float) -> None:
        """Keep the number, or fail."""
        if self.error is not None and (not self.broken or unit.place[2] in self.broken):
            raise self.error
        self.written.append(unit.place[2])

    def mend(self) -> None:
        """Fail no more."""
        self.error = None

    def tidy(self, now_s: float) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


@pytest.fixture
def cells() -> Iterator[FlowLogCells]:
    """Fresh cells."""
    made = FlowLogCells.create(16)
    yield made
    made.close()


@pytest.fixture
def told() -> list[str]:
    """What was told."""
    return []


@pytest.fixture
def buffer(cells: FlowLogCells, told: list[str]) -> Buffer:
    """One with room for ten units."""
    return Buffer(cells, told.append, GivingWay(), most_bytes=1000)


def flush(buffer: Buffer, sink: Sink) -> None:
    """Until nothing is left to try."""
    buffer.start(sink, 0)
    while buffer.is_flushing:
        buffer.step(sink, 77.0)


def fill(buffer: Buffer, numbers: range) -> None:
    """Records by their ports."""
    for number in numbers:
        buffer.add(attributed(number))


def results(cells: FlowLogCells) -> dict[str, int]:
    """Counts that are not zero."""
    found = {result.value: cells.cells[index] for result, index in RESULTS.items()}
    return {name: count for name, count in found.items() if count}


def test_written(buffer: Buffer, cells: FlowLogCells, told: list[str]) -> None:
    """In their order, some at a step."""
    sink = Sink()
    fill(buffer, range(100))
    buffer.start(sink, 0)
    assert cells.cells[PENDING] == 100
    buffer.step(sink, 77.0)
    assert len(sink.written) == UNITS_A_STEP
    assert cells.cells[PENDING] == 100 - UNITS_A_STEP
    flush(buffer, sink)
    assert sink.written == list(range(100))
    assert (results(cells), cells.cells[PENDING]) == ({"written": 100}, 0)
    assert cells.cells[LAST_WRITE_S] == 77
    assert told == []


def test_each_side_of_a_flow_is_a_record(buffer: Buffer, cells: FlowLogCells) -> None:
    """What waits is counted in records, as what is written."""
    one = attributed(1)
    buffer.add(one._replace(sides=one.sides * 2))
    buffer.add(attributed(2))
    buffer.failed(OSError(errno.EROFS, "Read-only file system"))
    assert cells.cells[PENDING] == 3


def test_tried_again(buffer: Buffer, cells: FlowLogCells, told: list[str]) -> None:
    """First what is older; said once when it begins and once when it ends."""
    sink = Sink()
    sink.error = OSError(errno.ENOSPC, "No space left on device")
    fill(buffer, range(4))
    for _ in range(3):
        flush(buffer, sink)
    assert cells.cells[PENDING] == 4
    fill(buffer, range(4, 6))
    sink.mend()
    flush(buffer, sink)
    assert sink.written == list(range(6))
    assert buffer.has_written_all
    assert results(cells) == {"written": 6}
    assert len(told) == 2
    assert "No space left on device" in told[0]
    assert told[1] == "flow log: written again"


def test_one_bad_file_does_not_keep_the_others(buffer: Buffer, told: list[str]) -> None:
    """Its records wait alone."""
    sink = Sink()
    sink.error, sink.broken = OSError(errno.EACCES, "Permission denied"), {2}
    fill(buffer, range(6))
    flush(buffer, sink)
    assert sink.written == [0, 1, 3, 4, 5]
    sink.error = None
    flush(buffer, sink)
    assert sink.written[-1] == 2


@pytest.mark.parametrize(
    ("number", "result"),
    [
        (errno.ENOSPC, Result.WRITE_FAILED),
        (errno.ENXIO, Result.NO_READER),
        (errno.EAGAIN, Result.NO_READER),
    ],
)
def test_no_room(buffer: Buffer, cells: FlowLogCells, number: int, result: Result) -> None:
    """The oldest are given up, and counted by the reason."""
    sink = Sink()
    sink.error = OSError(number, "why")
    for start in range(0, 25, 5):
        fill(buffer, range(start, start + 5))
        flush(buffer, sink)
    assert results(cells) == {result.value: 15}
    assert cells.cells[PENDING] == 10
    sink.error = None
    flush(buffer, sink)
    assert sink.written == list(range(15, 25))
    assert results(cells) == {result.value: 15, "written": 10}


def test_what_will_never_be_written(buffer: Buffer, cells: FlowLogCells) -> None:
    """It is counted at once, and does not wait."""
    sink = Sink()
    sink.error = MaxBytesReached()
    fill(buffer, range(3))
    flush(buffer, sink)
    assert (results(cells), cells.cells[PENDING]) == ({"max_bytes": 3}, 0)


def test_without_an_output(
    buffer: Buffer, cells: FlowLogCells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where none can be opened, records wait as long as they may."""
    monkeypatch.setattr("nsgd.runtime.flow_log.buffer.MOST_RECORDS", 5)
    fill(buffer, range(4))
    buffer.failed(OSError(errno.EROFS, "Read-only file system"))
    assert (results(cells), cells.cells[PENDING]) == ({}, 4)
    fill(buffer, range(4, 6))
    assert buffer.is_full
    buffer.failed(OSError(errno.EROFS, "Read-only file system"))
    assert (results(cells), cells.cells[PENDING]) == ({"write_failed": 6}, 0)
