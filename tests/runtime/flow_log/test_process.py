"""The loop of the log's process: in which order it hears, and how much at once."""

from __future__ import annotations

import errno
import os
import select
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from nsgd.model.settings import DaemonSettings, FlowLog
from nsgd.policy.compile import compile_policy
from nsgd.policy.numbers import DecisionNumbers
from nsgd.runtime.channel import Channel, Message
from nsgd.runtime.flow_log import process as process_module
from nsgd.runtime.flow_log.attribution import Attribution
from nsgd.runtime.flow_log.cells import EVENTS_LOST, FlowLogCells
from nsgd.runtime.flow_log.giving_way import GivingWay
from nsgd.runtime.flow_log.handover import Handover
from nsgd.runtime.flow_log.logger import FlowLogger
from nsgd.runtime.flow_log.process import Process
from tests.models import SMALL

POLICY = compile_policy(SMALL)


Step = Callable[["Events"], int]


class Events:
    """The socket: each read is a step of a test."""

    def __init__(self, steps: list[Step]) -> None:
        self.overflows = self.lost = 0
        self.most: list[int] = []
        self._steps = steps

    def read(self, most: int, give_way: Callable[[], None]) -> list[Any]:
        """As many events as the step says."""
        give_way()
        self.most.append(most)
        return ["event"] * self._steps.pop(0)(self) if self._steps else []

    def close(self) -> None:
        """Nothing."""


class Logger:
    """Notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.is_flushing = False
        self.interval_s = 300.0

    @property
    def has_policy(self) -> bool:
        """Once it has one."""
        return "policy" in self.heard

    def use(self, handover: Handover) -> None:
        """A policy."""
        self.heard.append("policy")

    def events(self, events: list[Any], now_ms: int) -> None:
        """Some, or none."""
        self.heard.append(f"{len(events)} events")

    def dump_begins(self) -> None:
        """A dump."""
        self.heard.append("dump")

    def dump_ends(self, *, is_resync: bool) -> list[Any]:
        """Its end."""
        return []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """As they were, afterwards."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(channel: Channel) -> None:
    """A policy, as the supervisor does."""
    mask = DaemonSettings().mark_mask
    attribution = Attribution.build(SMALL, POLICY.endpoint_map, DecisionNumbers(), mask)
    content = Handover(FlowLog("/log"), True, attribution).to_bytes()
    channel.send(Message("policy", content=content))


@pytest.fixture
def channels() -> Iterator[tuple[Channel, Channel]]:
    """The supervisor's end, with a policy in it already, and the process's."""
    ours, theirs = Channel.pair()
    send(ours)
    yield ours, theirs
    for each in (ours, theirs):
        each.close()


@pytest.fixture
def cells() -> Iterator[FlowLogCells]:
    """Fresh cells."""
    made = FlowLogCells.create(64)
    yield made
    made.close()


def run(
    steps: list[Step],
    channel: Channel,
    cells: FlowLogCells,
    monkeypatch: pytest.MonkeyPatch,
    after: list[Step] | None = None,
    way: GivingWay | None = None,
) -> tuple[list[str], Events]:
    """Go through steps, then be told to stop, and go through those *after*."""
    logger = Logger()
    process = Process(
        channel, cast(FlowLogger, logger), cells, Path("/nonexistent"), way or GivingWay()
    )

    def stop(events: Events) -> int:
        process._is_stopping = True
        return 0

    events = Events([*steps, stop, *(after or [])])
    monkeypatch.setattr(process_module, "FlowEvents", lambda room: events)
    monkeypatch.setattr(process_module, "dump_flows", lambda: iter(()))
    monkeypatch.setattr(process_module, "look_up_flows", lambda flows: None)
    monkeypatch.setattr(process_module, "save_flows", lambda *_: None)
    assert process.run(0, 1) == 0
    return logger.heard, events


def test_a_policy_is_heard_of_before_flows_that_it_may_have_decided(
    channels: tuple[Channel, Channel], cells: FlowLogCells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was sent before it came into force: what is read after it came may be its own."""
    ours, theirs = channels

    def policy_comes(events: Events) -> int:
        send(ours)
        return 1

    steps: list[Step] = [lambda _: 2, policy_comes, lambda _: 3]
    heard, _ = run(steps, theirs, cells, monkeypatch)
    told = [each for each in heard if each != "dump"]
    assert told[:5] == ["policy", "2 events", "1 events", "policy", "3 events"]


def test_as_much_is_read_as_has_come(
    channels: tuple[Channel, Channel], cells: FlowLogCells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a pause where there is more, also of what came before the end."""
    waits: list[float] = []
    real = select.select

    def wait(read: Any, write: Any, wrong: Any, timeout: float | None = None) -> Any:
        waits.append(-1.0 if timeout is None else timeout)
        return real(read, write, wrong, 0 if timeout is not None else None)

    monkeypatch.setattr(select, "select", wait)
    monkeypatch.setattr(process_module, "_EVENTS_AT_ONCE", 10)
    full, some = (lambda _: 10), (lambda _: 3)
    heard, events = run([some, full, full, some], channels[1], cells, monkeypatch, [full, some])
    assert events.most == [10] * 7
    assert heard[-2:] == ["10 events", "3 events"]
    # For the policy, before each read of events, and of these after the two that were full at once.
    assert waits[0] == -1.0
    assert [wait == 0.0 for wait in waits[3:5]] == [True, True]
    assert waits[5] > 0


def test_others_go_first_until_it_is_late(
    channels: tuple[Channel, Channel], cells: FlowLogCells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is late where it does not come to rest, and no longer when it has."""
    monkeypatch.setattr(process_module, "_EVENTS_AT_ONCE", 10)
    turns: list[str] = []
    now_s = [0.0]

    def step(name: str, events: int) -> Step:
        def read(_: Events) -> int:
            turns.append(name)
            now_s[0] += 0.2
            return events

        return read

    way = GivingWay(lambda: turns.append("others"), lambda: now_s[0])
    steps = [step("some", 3), *(step("all", 10) for _ in range(3)), step("rest", 0), step("new", 1)]
    run(steps, channels[1], cells, monkeypatch, way=way)
    # Before each read, and in place of a wait: the first dump is under way at the second one.
    assert turns[:11] == [
        *("others", "some"),
        *("others", "others", "all"),
        *("all", "all", "rest"),
        *("others", "new", "others"),
    ]


def test_it_goes_on_where_it_may_not_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under the unit, whose filter forbids to change priorities: that is no reason to die."""
    asked: list[str] = []

    def forbid(name: str) -> Callable[..., None]:
        def refuse(*_: object) -> None:
            asked.append(name)
            raise PermissionError(errno.EPERM, "Operation not permitted")

        return refuse

    monkeypatch.setattr(os, "nice", forbid("nice"))
    monkeypatch.setattr(os, "sched_setscheduler", forbid("sched_setscheduler"))
    process_module._give_way()
    assert asked == ["nice", "sched_setscheduler"]


def test_what_was_lost_is_counted_and_looked_up(
    channels: tuple[Channel, Channel], cells: FlowLogCells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the socket's own count, and once."""

    def lose(events: Events) -> int:
        events.overflows, events.lost = 1, 70
        return 1

    heard, _ = run([lambda _: 1, lose, lambda _: 1], channels[1], cells, monkeypatch)
    assert cells.cells[EVENTS_LOST] == 70
    assert heard.count("dump") >= 1
