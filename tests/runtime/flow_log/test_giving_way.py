"""Others go first in the middle of what the log's process does, and not for ever."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from nsgd.flowlog.entry import Entry
from nsgd.flowlog.following import Saying
from nsgd.model.packet import UDP, PacketHeader
from nsgd.model.settings import DaemonSettings, FlowLog
from nsgd.policy.compile import compile_policy
from nsgd.policy.numbers import DecisionNumbers
from nsgd.runtime.flow_log import logger as logger_module
from nsgd.runtime.flow_log.attribution import Attribution
from nsgd.runtime.flow_log.azure_files import AzureFiles
from nsgd.runtime.flow_log.buffer import Buffer
from nsgd.runtime.flow_log.cells import FlowLogCells
from nsgd.runtime.flow_log.giving_way import GivingWay
from nsgd.runtime.flow_log.handover import Handover
from nsgd.runtime.flow_log.line_file import LineFile
from nsgd.runtime.flow_log.logger import FlowLogger
from nsgd.runtime.flow_log.output import Output
from nsgd.wire.flow_events import FlowSeen
from tests.models import SMALL
from tests.runtime.flow_log.sides import NOW_S, attributed

MIB = 1 << 20


class Others:
    """Who waits for the processor, and a clock that they can have run on."""

    def __init__(self, takes_s: float = 0.0) -> None:
        self.turns = 0
        self.now_s = 1000.0
        self._takes_s = takes_s

    def run(self) -> None:
        """They have the processor for a while."""
        self.turns += 1
        self.now_s += self._takes_s

    def way(self) -> GivingWay:
        """Gives way to them."""
        return GivingWay(self.run, lambda: self.now_s)


@pytest.fixture
def cells() -> Iterator[FlowLogCells]:
    """Fresh cells."""
    made = FlowLogCells.create(64)
    yield made
    made.close()


def test_others_go_first_every_so_many() -> None:
    """Before the first as well: something else may have come before it."""
    others = Others()
    before = [(item, others.turns) for item in others.way().between("abcdefg", 3)]
    assert before == [
        *(("a", 1), ("b", 1), ("c", 1)),
        *(("d", 2), ("e", 2), ("f", 2)),
        ("g", 3),
    ]


def test_nothing_is_no_work() -> None:
    """Twenty times a second."""
    others = Others()
    assert list(others.way().between((), 3)) == []
    assert others.turns == 0


def test_it_takes_its_share_where_others_take_too_much() -> None:
    """Until it has rested: events that wait for longer than seconds would be lost."""
    others = Others(takes_s=0.1)
    way = others.way()
    assert list(way.between(range(50), 1)) == list(range(50))
    assert others.turns == 3
    way.now()
    assert others.turns == 3
    way.has_rested()
    way.now()
    assert others.turns == 4


def test_the_scheduler_is_asked() -> None:
    """By what needs no permission, under the unit's filter either."""
    assert signature(GivingWay).parameters["give_way"].default is os.sched_yield


def flow(number: int) -> FlowSeen:
    """One that the small policy decided."""
    header = PacketHeader(4, UDP, 0x0A000104, 0x0A000204, 1024 + number, 53, False)
    return FlowSeen(number.to_bytes(4, "big"), number, header, 0xFFFFFFFF, None, 0, 0)


def test_in_the_middle_of_events(cells: FlowLogCells, monkeypatch: pytest.MonkeyPatch) -> None:
    """While flows are followed, and while records are made of what is said of them."""
    others, made = Others(), list[int]()
    mask = DaemonSettings().mark_mask
    endpoints = compile_policy(SMALL).endpoint_map
    attribution = Attribution.build(SMALL, endpoints, DecisionNumbers(), mask)
    logger = FlowLogger(cells, [], others.way())
    logger.use(Handover(FlowLog("/log"), True, attribution))
    logger.follow(None, 0, 1)
    monkeypatch.setattr(Attribution, "is_decided", lambda *_: True)

    def entry(_: Attribution, saying: Saying) -> Entry:
        made.append(others.turns)
        return attributed()

    monkeypatch.setattr(Attribution, "entry", entry)
    logger.events([(False, flow(number)) for number in range(200)], 1)
    rounds = 200 // logger_module._AT_ONCE
    assert len(made) == 200
    assert made[0] == rounds + 1
    assert others.turns == 2 * rounds


Open = Callable[[Path], Any]
OUTPUTS: Sequence[Open] = (
    lambda path: AzureFiles(path, MIB, 0),
    lambda path: LineFile(path / "log", MIB, 0),
)


@pytest.mark.parametrize("open_output", OUTPUTS, ids=["azure", "jsonLines"])
def test_in_the_middle_of_a_flush(cells: FlowLogCells, tmp_path: Path, open_output: Open) -> None:
    """While records are encoded, and while files are written: default flushes are large."""
    others = Others()
    with closing(open_output(tmp_path)) as made:
        output: Output = made
        buffer = Buffer(cells, lambda line: None, others.way())
        for number in range(320):
            buffer.add(attributed(number, mac=f"02{number % 40:010X}"))
        buffer.start(output, int(NOW_S * 1000))
        # Of 320 records, and of what they have become.
        encoded, units = others.turns, len(buffer._due)
        assert encoded == 320 // 16 + -(-units // 2)
        while buffer.is_flushing:
            buffer.step(output, NOW_S)
    assert others.turns == encoded + -(-units // 2)
