"""Workers without processes: who is waited for, and whose turn it is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import ClassVar

import pytest

from nsgd.model.rule import Direction
from nsgd.model.settings import DaemonSettings
from nsgd.runtime import counters as cell
from nsgd.runtime import spare_worker, worker_keeper
from nsgd.runtime.counters import SharedCounters
from nsgd.runtime.loop import Loop
from nsgd.runtime.policy_handover import HandOver
from nsgd.runtime.worker_process import WorkerError, WorkerPlace
from nsgd.runtime.workers import Workers

SETTINGS = DaemonSettings(queues=3, queue_number=7)


def policy(generation: int) -> HandOver:
    """One whose whole is its generation, and whose changes are too."""
    whole = str(generation).encode()
    return HandOver(generation, lambda: whole, b"+" + whole, generation - 1)


class FakeWorker:
    """A worker that serves at once, and takes a policy when it is read from."""

    made: ClassVar[list[FakeWorker]] = []
    refused = -1  # number of a queue that cannot be bound
    none_starts = False
    slow = -1  # and of one whose worker does not come to that

    def __init__(self, places: Sequence[WorkerPlace]) -> None:
        if self.none_starts:
            raise WorkerError("no memory")
        self.places = places
        self.place: WorkerPlace | None = None
        self.pid = 100 + len(self.made)
        self.policies: list[bytes] = []
        self.serves = False
        self.is_running = True
        self.is_killed = False
        self.takes_policies = True
        self.generation = 0
        self.heartbeat_age_s = 0.0
        self._descriptors = [os.memfd_create("fake"), *os.pipe()]
        os.write(self._descriptors[2], b"x")
        self.exit_descriptor = os.pidfd_open(os.getpid())
        self.made.append(self)

    @property
    def queue_number(self) -> int | None:
        return self.place.queue.number if self.place else None

    def serve(self, place: WorkerPlace, policy: bytes) -> None:
        assert place in self.places
        self.place = place
        self.policies.append(policy)

    def fileno(self) -> int:
        return self._descriptors[1]

    def read(self) -> None:
        if self.queue_number == self.refused:
            raise WorkerError("queue in use")
        if not self.is_running:
            raise WorkerError("exit status -9")
        self.serves = self.queue_number != self.slow or self.serves
        if self.takes_policies:
            self.generation = int(self.policies[-1])

    def install(self, policy: bytes) -> None:
        self.policies.append(policy)

    def change(self, changes: bytes) -> None:
        self.policies.append(changes)

    def ask_to_end(self) -> None:
        self.is_running = False

    def stop(self, *, is_hung: bool = False) -> None:
        self.is_running = False
        self.is_killed = is_hung
        for descriptor in (*self._descriptors, self.exit_descriptor):
            os.close(descriptor)


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    """Three, not started."""
    monkeypatch.setattr(spare_worker, "WorkerProcess", FakeWorker)
    monkeypatch.setattr(FakeWorker, "made", [])
    loop = Loop()
    made = Workers(loop)
    made.open(SETTINGS)
    yield made
    made.stop()
    made.close()
    loop.close()


def test_one_for_each_number(workers: Workers) -> None:
    """All are started with the policy, not before it is there, and shown by queue."""
    workers.tend()
    assert FakeWorker.made == []
    workers.start(policy(1))
    assert [worker.queue_number for worker in FakeWorker.made] == [7, 8, 9]
    assert [(s.queue_number, s.pid, s.restarts) for s in workers.states] == [
        (7, 100, 0),
        (8, 101, 0),
        (9, 102, 0),
    ]
    assert workers.are_alive
    FakeWorker.made[1].heartbeat_age_s = 100
    assert workers.are_alive  # it has only begun to serve


def test_a_start_fails_where_one_queue_is_taken(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says whose."""
    monkeypatch.setattr(FakeWorker, "refused", 9)
    with pytest.raises(WorkerError, match="worker did not start: queue in use"):
        workers.start(policy(1))


def test_a_hand_over_waits_for_each(workers: Workers) -> None:
    """One after the other; the next has its turn when the one before decides by it."""
    workers.start(policy(1))
    FakeWorker.made[0].takes_policies = False
    turns: list[list[int]] = []

    def meanwhile() -> None:
        turns.append([len(worker.policies) - 1 for worker in FakeWorker.made])
        FakeWorker.made[0].takes_policies = len(turns) > 3
        workers.tend()

    workers.hand_over(policy(2), meanwhile)
    assert turns[:4] == [[1, 0, 0]] * 4
    assert [worker.generation for worker in FakeWorker.made] == [2, 2, 2]


def test_nobody_waits_for_who_has_taken_it(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a worker says is heard while the supervisor looks after all of them."""
    workers.start(policy(1))
    waits: list[bool] = []
    wait = worker_keeper.WorkerKeeper.wait

    def waiting(keeper: worker_keeper.WorkerKeeper, timeout_s: float) -> None:
        waits.append(keeper.decides_by_older)
        wait(keeper, timeout_s)

    monkeypatch.setattr(worker_keeper.WorkerKeeper, "wait", waiting)
    workers.hand_over(policy(2), workers.tend)
    assert waits == [True] * 3


def test_who_has_the_policy_before_gets_the_changes(workers: Workers) -> None:
    """One that has been replaced has it too; after a policy that tells none, all get it whole."""
    workers.start(policy(1))
    workers.hand_over(policy(2), workers.tend)
    FakeWorker.made[1].is_running = False
    workers.tend()
    workers.hand_over(policy(3), workers.tend)
    workers.hand_over(HandOver(4, lambda: b"4"), workers.tend)
    workers.hand_over(policy(6), workers.tend)  # of changes to the fifth, which nobody has
    assert [worker.policies for worker in FakeWorker.made] == [
        [b"1", b"+2", b"+3", b"4", b"6"],
        [b"1", b"+2"],
        [b"1", b"+2", b"+3", b"4", b"6"],
        [b"2", b"+3", b"4", b"6"],
    ]


def test_all_of_a_policy_is_made_where_it_is_needed(workers: Workers) -> None:
    """Once for all that start at the same time, and not for those that get changes."""
    made: list[int] = []

    def telling(generation: int) -> HandOver:
        def make() -> bytes:
            made.append(generation)
            return str(generation).encode()

        return HandOver(generation, make, b"+" + str(generation).encode(), generation - 1)

    workers.start(telling(1))
    workers.hand_over(telling(2), workers.tend)
    assert made == [1]
    FakeWorker.made[0].is_running = False
    workers.tend()
    assert made == [1, 2]


def test_a_hand_over_replaces_who_does_not_take_it(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By one that has the policy from the start, which nobody waits for."""
    workers.start(policy(1))
    monkeypatch.setattr(worker_keeper, "HAND_OVER_TIMEOUT_S", -1.0)
    FakeWorker.made[1].takes_policies = False
    FakeWorker.made[1].heartbeat_age_s = -1.0
    workers.hand_over(policy(2), workers.tend)
    assert [worker.queue_number for worker in FakeWorker.made] == [7, 8, 9, 8]
    assert not FakeWorker.made[1].is_running
    assert FakeWorker.made[3].policies == [b"2"]
    assert [s.restarts for s in workers.states] == [0, 1, 0]


def test_the_dead_are_replaced_and_their_counters_kept(workers: Workers) -> None:
    """The new worker has the newest policy and the area of the one before it."""
    workers.start(policy(1))
    areas = list(workers.counters)
    areas[2].cells[cell.ACCEPTED] = 5
    FakeWorker.made[2].is_running = False
    assert [s.pid for s in workers.states] == [100, 101, None]
    assert not workers.are_alive
    workers.tend()
    assert len(FakeWorker.made) == 4
    assert [s.pid for s in workers.states] == [100, 101, 103]
    assert list(workers.counters) == areas
    areas[0].cells[cell.ACCEPTED] = 2
    assert SharedCounters.sum(areas)[cell.ACCEPTED] == 7


def test_the_sum_has_outcomes_of_every_area() -> None:
    """An outcome's cell means something else in each area."""
    areas = [SharedCounters.create(16) for _ in range(2)]
    hit = areas[0].first_hit_cell(Direction.INBOUND) + 3
    for area, counted in zip(areas, ((hit,), (hit, cell.DROPPED)), strict=True):
        first = memoryview(bytearray(48)).cast("I")
        for place, index in enumerate(counted):
            first[place] = index
        area.cells_of_outcomes[:12] = first
        area.cells[cell.OUTCOMES_USED] = 1
        area.outcomes[0] = 10
    total = SharedCounters.sum(areas)
    assert (total[hit], total[cell.DROPPED]) == (20, 10)
    for area in areas:
        area.close()


def test_nobody_waits_for_long_for_one_that_starts(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are looked after meanwhile and afterwards."""
    workers.start(policy(1))
    monkeypatch.setattr(worker_keeper, "_SOON_S", 0.2)
    monkeypatch.setattr(FakeWorker, "slow", 8)
    FakeWorker.made[1].is_running = False
    FakeWorker.made[2].is_running = False
    workers.tend()
    assert [s.pid for s in workers.states] == [100, None, 104]
    assert [worker.queue_number for worker in FakeWorker.made] == [7, 8, 9, 8, 9]
    monkeypatch.setattr(FakeWorker, "slow", -1)
    workers.tend()
    assert [s.pid for s in workers.states] == [100, 103, 104]


def test_a_spare_takes_the_place_of_the_next_that_dies(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever that is; there is one when all else is done, and another one a while later."""
    now_s = 100.0
    monkeypatch.setattr(spare_worker, "time", SimpleNamespace(monotonic=lambda: now_s))
    workers.start(policy(1))
    workers.keep_spare()
    workers.keep_spare()
    assert [worker.queue_number for worker in FakeWorker.made] == [7, 8, 9, None]
    workers.hand_over(policy(2), workers.tend)
    FakeWorker.made[1].is_running = False
    workers.tend()
    assert [worker.queue_number for worker in FakeWorker.made] == [7, 8, 9, 8]
    assert FakeWorker.made[3].policies == [b"2"]
    assert [s.pid for s in workers.states] == [100, 103, 102]
    workers.keep_spare()
    assert len(FakeWorker.made) == 4, "the one that has just begun needs the processor"
    FakeWorker.made[0].is_running = False
    workers.tend()
    assert [worker.queue_number for worker in FakeWorker.made] == [7, 8, 9, 8, 7]
    now_s += 1.0
    workers.keep_spare()
    FakeWorker.made[2].is_running = False
    workers.tend()
    assert [worker.queue_number for worker in FakeWorker.made] == [7, 8, 9, 8, 7, 9]
    now_s += 1.0
    workers.keep_spare()
    assert [worker.queue_number for worker in FakeWorker.made] == [7, 8, 9, 8, 7, 9, None]


def test_a_spare_that_has_gone_is_no_worker(workers: Workers) -> None:
    """Whoever dies then is replaced all the same."""
    workers.start(policy(1))
    workers.keep_spare()
    FakeWorker.made[3].is_running = False
    FakeWorker.made[0].is_running = False
    workers.tend()
    assert [s.pid for s in workers.states] == [104, 101, 102]
    assert FakeWorker.made[4].queue_number == 7


def test_a_spare_is_killed_at_the_end(workers: Workers) -> None:
    """It has nothing to bring to an end, and may stand still: nobody waits for it."""
    workers.start(policy(1))
    workers.keep_spare()
    workers.stop()
    assert [worker.is_killed for worker in FakeWorker.made] == [False, False, False, True]


def test_a_spare_that_does_not_start_is_told_once_a_minute(
    workers: Workers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And harms nobody."""
    workers.start(policy(1))
    monkeypatch.setattr(FakeWorker, "none_starts", True)
    for _ in range(3):
        workers.keep_spare()
    assert caplog.messages == [
        "no spare worker: no memory; trying again in 60 s, meanwhile a worker that dies is replaced"
        " more slowly"
    ]
    assert workers.are_alive
