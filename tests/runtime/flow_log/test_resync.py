"""When flows are dumped, and what happens to those that a dump does not have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from nsgd.model.address import IPVersion
from nsgd.runtime.flow_log.resync import Resync
from nsgd.wire.flow_events import FlowSeen


class Reader:
    """Notes what it is told."""

    interval_s = 300.0

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.missing: list[tuple[bytes, IPVersion]] = []

    def dump_begins(self) -> None:
        """All flows come now."""
        self.heard.append("begins")

    def dumped(self, flows: list[FlowSeen], now_ms: int) -> None:
        """Some of them."""
        self.heard.append("part")

    def dump_ends(self, *, is_resync: bool) -> list[tuple[bytes, IPVersion]]:
        """That was all."""
        self.heard.append("ends, resync" if is_resync else "ends")
        return self.missing

    def vanished(self, flows: list[tuple[bytes, IPVersion]], now_ms: int) -> None:
        """Of these nothing was told."""
        self.heard.append(f"vanished {len(flows)}")


@pytest.fixture
def reader() -> Reader:
    """One that has heard nothing."""
    return Reader()


@pytest.fixture
def looked_up() -> list[tuple[bytes, IPVersion]]:
    """What was looked up."""
    return []


@pytest.fixture
def resync(reader: Reader, looked_up: list[tuple[bytes, IPVersion]]) -> Resync:
    """Dumps of two parts."""

    def look_up(keys: Iterable[tuple[bytes, IPVersion]]) -> None:
        looked_up.extend(keys)

    def dump() -> Iterator[list[FlowSeen]]:
        yield []
        yield []

    return Resync(reader, dump, look_up)


def steps(resync: Resync, now_s: float, count: int = 10) -> None:
    """So many at one moment."""
    for _ in range(count):
        resync.step(now_s, 0)


DUMP = ["begins", "part", "part", "ends"]


def test_a_dump_comes_step_by_step(resync: Resync, reader: Reader) -> None:
    """Between its parts events can be read."""
    resync.step(0.0, 0)
    assert (reader.heard, resync.is_dumping) == (["begins"], True)
    resync.step(0.0, 0)
    assert reader.heard == DUMP[:2]
    steps(resync, 0.0)
    assert (reader.heard, resync.is_dumping) == (DUMP, False)


def test_dumps_come_five_times_an_interval(resync: Resync, reader: Reader) -> None:
    """Counters are read oftener than records are written."""
    for now_s in range(0, 181, 10):
        steps(resync, float(now_s))
    assert reader.heard == DUMP * 4


def test_a_loss_is_looked_into_at_once(resync: Resync, reader: Reader) -> None:
    """A second dump, however recent the last one."""
    steps(resync, 0.0)
    resync.wanted(1.0)
    steps(resync, 1.0)
    assert reader.heard == [*DUMP, *DUMP[:3], "ends, resync"]


def test_a_loss_while_a_dump_is_under_way(resync: Resync, reader: Reader) -> None:
    """That dump may have missed what was lost: another follows."""
    resync.step(0.0, 0)
    resync.wanted(0.0)
    steps(resync, 0.0)
    assert reader.heard == [*DUMP, *DUMP[:3], "ends, resync"]


def test_dumps_that_take_long_come_rarely(resync: Resync, reader: Reader) -> None:
    """They would take the time that it needs to read events."""
    resync.step(0.0, 0)
    steps(resync, 4.0)
    assert reader.heard == DUMP
    resync.wanted(5.0)
    steps(resync, 19.9)
    assert reader.heard == DUMP
    steps(resync, 20.0)
    assert reader.heard[-1] == "ends, resync"


def test_what_is_missing_is_looked_up_and_waited_for(
    resync: Resync, reader: Reader, looked_up: list[tuple[bytes, IPVersion]]
) -> None:
    """The kernel then tells of what has run out; no other dump comes meanwhile."""
    reader.missing = [(b"1", 4), (b"2", 6)]
    steps(resync, 0.0)
    assert looked_up == reader.missing
    resync.wanted(0.5)
    steps(resync, 1.9)
    assert reader.heard == DUMP
    reader.missing = []
    steps(resync, 2.0)
    assert reader.heard == [*DUMP, "vanished 2", *DUMP[:3], "ends, resync"]


def test_marks_were_changed(reader: Reader, resync: Resync) -> None:
    """A dump at once, which is none after a loss; one that was under way may have come too early.

    Then some more, less and less often: of new decisions nobody tells.
    """
    steps(resync, 0.0)
    steps(resync, 10.0)
    assert reader.heard == DUMP
    resync.soon(10.0)
    resync.step(10.0, 0)
    resync.soon(10.0)
    steps(resync, 10.0)
    assert reader.heard == 3 * DUMP
    begun_at = []
    for tenths in range(100, 2500):
        before = len(reader.heard)
        steps(resync, tenths / 10)
        if len(reader.heard) > before:
            begun_at.append(tenths / 10)
    assert begun_at == [10.5, 11.5, 13.5, 17.5, 25.5, 41.5, 73.5, 133.5, 193.5]
