"""One packet in a while is timed, and none is decided by another policy for it."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from nsgd.runtime import counters as cell
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.decision_timer import _PASSED_BY, DecisionTimer
from nsgd.runtime.packet_handler import Handler

from .test_verdict_agreement import FakePacket

PACKET = FakePacket(b"", 0, 0, 0)
SIGNALS = (signal.SIGUSR1, signal.SIGALRM)


class Queue:
    """Hands packets to one handler after another."""

    def __init__(self) -> None:
        self.handle: Handler = lambda packet: None
        self.used = 0

    def use(self, handle: Handler) -> None:
        """From now on."""
        self.handle = handle
        self.used += 1

    def send(self, count: int) -> None:
        """Packets, one by one."""
        for _ in range(count):
            self.handle(PACKET)


@pytest.fixture
def counters() -> Iterator[SharedCounters]:
    """Zeroed."""
    made = SharedCounters.create(1 << 16)
    yield made
    made.close()


def timed(counters: SharedCounters) -> int:
    """Packets in all buckets."""
    first = cell.DECISIONS_TIMED
    return sum(counters.cells[first : first + len(cell.DECISION_BOUNDS_NS) + 1].tolist())


def test_one_packet_a_tick(counters: SharedCounters) -> None:
    """All are handled, and the others meet no other handler than without a timer."""
    queue, handled = Queue(), list[object]()
    timer = DecisionTimer(counters, queue.use, SIGNALS)
    timer.arm()  # before there is a handler
    timer.put(handled.append)
    queue.send(10)
    assert timed(counters) == 0
    for tick in range(1, 4):
        timer.arm()
        queue.send(_PASSED_BY)
        assert timed(counters) == tick - 1
        queue.send(10)
        assert timed(counters) == tick
        assert queue.handle == handled.append
    assert len(handled) == 10 + 3 * (_PASSED_BY + 10)
    assert 0 < counters.cells[cell.DECISION_NS] < 10**9


def test_a_policy_that_comes_meanwhile(counters: SharedCounters) -> None:
    """While a packet is being timed, or before: the new one's handler stays."""
    queue, handled = Queue(), list[str]()
    timer = DecisionTimer(counters, queue.use, SIGNALS)

    def new(packet: object) -> None:
        handled.append("new")

    def old(packet: object) -> None:
        handled.append("old")
        timer.put(new)

    timer.put(old)
    timer.arm()
    queue.send(1)
    queue.send(1)
    assert handled == ["old", "new"]
    timer.put(old)
    timer._to_pass_by = 0
    timer.arm()
    timer._to_pass_by = 0
    queue.send(2)
    assert handled == ["old", "new", "old", "new"]
    assert queue.handle is new
    assert timed(counters) == 1


def test_a_packet_that_fails(counters: SharedCounters) -> None:
    """Is not timed; what it raises goes on, and the handler stands for itself again."""
    queue = Queue()

    def fail(packet: object) -> None:
        raise ValueError

    timer = DecisionTimer(counters, queue.use, SIGNALS)
    timer.put(fail)
    timer.arm()
    timer._to_pass_by = 0
    with pytest.raises(ValueError, match=r"^$"):
        queue.send(1)
    assert queue.handle is fail
    assert timed(counters) == 0
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & set(SIGNALS)


def test_what_takes_longest_is_counted_too(
    counters: SharedCounters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each bound on its lower side, as Prometheus has it, and beyond the last."""
    queue = Queue()
    timer = DecisionTimer(counters, queue.use, SIGNALS)
    timer.put(lambda packet: None)
    bounds = cell.DECISION_BOUNDS_NS
    times = iter([0, bounds[0], 0, bounds[0] + 1, 0, bounds[-1] + 1])
    monkeypatch.setattr("time.perf_counter_ns", lambda: next(times))
    for _ in range(3):
        timer.arm()
        queue.send(_PASSED_BY + 1)
    cells = counters.cells[cell.DECISIONS_TIMED :][: len(bounds) + 1].tolist()
    assert cells == [1, 1, *[0] * (len(bounds) - 2), 1]
    assert counters.cells[cell.DECISION_NS] == 2 * bounds[0] + 2 + bounds[-1]


def test_what_waits_for_the_packet_under_way(counters: SharedCounters) -> None:
    """It is called before the next packet, or where none is under way, once; timing waits."""
    queue, done = Queue(), list[str]()
    timer = DecisionTimer(counters, queue.use, SIGNALS)

    def new(packet: object) -> None:
        done.append("new")

    def old(packet: object) -> None:
        timer.put(new, lambda: done.append("told"))
        timer.put(new)  # links have changed
        timer.arm()
        done.append("old")

    timer.put(old)
    queue.send(3)
    assert done == ["old", "told", "new", "new"]
    assert queue.handle is new
    timer.put(old)
    timer.arm()
    timer._to_pass_by = 0
    queue.send(2)
    assert done[4:] == ["old", "told", "new"]
    assert timed(counters) == 1
    timer.put(new, lambda: done.append("no more"))
    timer.put(new, lambda: done.append("idle"))
    for _ in range(2):
        timer.settle()
        assert done[7:] == ["idle"]
        assert queue.handle is new
