"""Turns of contenders that stand at the same time: order, parts of a turn, what is said of them."""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from nsgd.bench import pairs
from nsgd.bench.contenders import PLAIN_CONTENDERS, Contender, ContenderFailed, Running
from nsgd.bench.measure import QUICK, Measurement, Plan
from nsgd.bench.network import BenchNetwork
from nsgd.bench.options import add_arguments, check_options
from nsgd.bench.pairs import Site, measure_turns, turn_order
from nsgd.bench.pairs_run import (
    as_listed,
    chosen_contenders,
    format_pairs,
    in_turn,
    pairs_as_json,
    pairs_notes,
)
from nsgd.bench.ratios import add_ratios

PLAIN = {contender.name: contender for contender in PLAIN_CONTENDERS}


def contenders(*words: str) -> list[Contender]:
    """Those that the command line means."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = ("--pairs", *(("--only", ",".join(words)) if words else ()))
    return chosen_contenders(check_options(parser.parse_args(options)))


def measured(**values: float | None) -> Measurement:
    """A measurement with these values only."""
    return Measurement(dict(values))


def test_usual_contenders() -> None:
    """Both engines with every policy, and what they are compared with; none where it is named."""
    names = [contender.name for contender in contenders()]
    assert names[:3] == ["conntrack", "one-rule", "bare"]
    assert len(names) == 13
    assert {name.partition("-")[0] for name in names[3:]} == {"kernel", "queue"}
    assert [contender.name for contender in contenders("none", "queue-mixed")] == [
        *("none", "queue-mixed"),
    ]


def test_second_gateways_stand_half_a_round_apart() -> None:
    """Their rows are below those of the first ones."""
    names = [contender.name for contender in in_turn(contenders())]
    assert len(names) == 15
    for name in ("conntrack", "bare"):
        assert 5 <= names.index(f"{name} again") - names.index(name) <= 8
    assert list(as_listed({name: [] for name in names}))[:5] == [
        *("conntrack", "conntrack again", "one-rule", "bare", "bare again"),
    ]
    assert [contender.name for contender in in_turn(contenders("one-rule"))] == ["one-rule"]


@pytest.mark.parametrize("rounds", [1, 2, 5, 12])
def test_order_of_turns(rounds: int) -> None:
    """Each once in a round; every other round backwards; first are as many as there can be."""
    names = list("abcdefg")
    orders = [turn_order(names, number, rounds) for number in range(rounds)]
    assert all(sorted(order) == names for order in orders)
    for forwards, backwards in zip(orders[::2], orders[1::2], strict=False):
        assert forwards == backwards[::-1]
    assert orders[0] == names
    # None stands behind another one only because it is named so.
    assert len({order[0] for order in orders[::2]}) == min(len(names), (rounds + 1) // 2)


class FakeSite:
    """Says who had a turn, and fails when it is told to."""

    def __init__(self, name: str, log: list[tuple[Any, ...]], failure: ContenderFailed | None):
        self.name, self._log, self._failure = name, log, failure
        self.running = Running()

    def take_turn(
        self, plan: Plan, waiting: Sequence[FakeSite], *, counts_hits: bool
    ) -> Measurement:
        self._log.append((self.name, sorted(site.name for site in waiting), counts_hits))
        if self._failure is not None:
            raise self._failure
        return measured(cpuUsPerFlow=10.0)


def test_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has failed has no further turns, and rounds stay side by side."""
    log: list[tuple[Any, ...]] = []
    failures = {"conntrack": ContenderFailed("conntrack calls 3 packets invalid", 3)}

    @contextlib.contextmanager
    def pair_site(contender: Contender, frames: Path) -> Iterator[FakeSite]:
        if contender.name == "bare":
            raise ContenderFailed("it has ended")
        yield FakeSite(contender.name, log, failures.get(contender.name))

    monkeypatch.setattr(pairs, "pair_site", pair_site)
    monkeypatch.setattr(pairs, "write_frames", lambda *_: None)
    monkeypatch.setattr(pairs, "_REST_S", 0)
    chosen = [PLAIN[name] for name in ("none", "conntrack", "bare")]
    results, told = measure_turns(chosen, QUICK, 3, 10)
    assert log == [
        ("none", ["conntrack"], True),
        ("conntrack", ["none"], True),
        ("none", ["conntrack"], False),
        ("none", ["conntrack"], False),
    ]
    assert [m.values.get("cpuUsPerFlow") for m in results["none"]] == [10.0] * 3
    assert [m.values.get("cpuUsPerFlow") for m in results["conntrack"]] == [None] * 3
    assert [m.conntrack_invalid for m in results["conntrack"]] == [3, 0, 0]
    assert len(results["bare"]) == 3
    assert told == [
        "bare: it has ended",
        "conntrack, round 1: conntrack calls 3 packets invalid",
    ]


class FakeNetwork:
    """A generator's process, and nothing else."""

    generator_pid = 1


@pytest.mark.parametrize("has_ended", [False, True])
def test_parts_of_a_turn(has_ended: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What those without a turn use is taken out, also of a process that has begun meanwhile."""
    spent = {1: 1000.0, 2: 500.0, 3: 7.0, 4: 300.0}

    def measure_paced(
        network: object, rate: float, plan: Plan, values: dict[str, float | None]
    ) -> int:
        values["cpuUsPerFlow"] = 20.0
        # The generator, the worker, the kernel's thread, another contender and its new process.
        spent.update({1: 1800.0, 2: 1000.0, 3: 107.0, 4: 350.0, 5: 50.0})
        if has_ended:
            del spent[2]
        return 100

    def processor_time_us(pid: int) -> float:
        if pid not in spent:
            raise ProcessLookupError(pid)
        return spent[pid]

    monkeypatch.setattr(pairs, "measure_paced", measure_paced)
    monkeypatch.setattr(pairs, "processor_time_us", processor_time_us)
    monkeypatch.setattr(pairs, "softirq_threads", lambda: [3])
    monkeypatch.setattr(pairs, "with_descendants", lambda pids: [*pids, 5])
    network = cast("BenchNetwork", FakeNetwork())
    own = Site(network, Running(processes={"supervisor": 9, "worker": 2}))
    other = Site(network, Running(processes={"program": 4}))
    values: dict[str, float | None] = {}
    if has_ended:
        with pytest.raises(ContenderFailed, match="its worker has ended"):
            own._measure_paced(QUICK, [other], values)
        return
    own._measure_paced(QUICK, [other], values)
    assert values == {
        "cpuUsPerFlow": 19.0,
        "waitingUsPerFlow": 1.0,
        "senderUsPerFlow": 8.0,
        "workerUsPerFlow": 5.0,
        "restUsPerFlow": 6.0,
        "ksoftirqdUsPerFlow": 1.0,
    }


def results() -> dict[str, list[Measurement]]:
    """Three rounds, of which queue-mixed was there in two, with their ratios."""
    found = {
        "conntrack": [measured(cpuUsPerFlow=8.0, gbitPerS=10.0) for _ in range(3)],
        "conntrack again": [measured(gbitPerS=speed) for speed in (9.0, 10.0, 14.0)],
        "bare": [measured(cpuUsPerFlow=10.0, workerUsPerFlow=4.0) for _ in range(3)],
        "bare again": [measured(cpuUsPerFlow=cost) for cost in (9.0, 10.0, 12.0)],
        "queue-mixed": [
            measured(cpuUsPerFlow=12.0, senderUsPerFlow=5.0, startedS=1.5),
            measured(cpuUsPerFlow=16.0, senderUsPerFlow=6.0, pacedLostPercent=2.0, othersLoad=0.5),
            Measurement(),
        ],
    }
    add_ratios(found)
    return found


def test_table_has_medians_and_quartiles() -> None:
    """Quartiles of ratios only; the row of a second gateway says what is noise."""
    rows = {line[:15].strip(): line[15:].split() for line in format_pairs(results()).splitlines()}
    assert rows["Contender"] == [
        *("CPU", "us/flow", "sender", "worker", "rest", "CPU/one-rule", "CPU/bare"),
        *("Gbit/s", "Gbit/conntrack"),
    ]
    assert rows["queue-mixed"] == ["14.0", "5.5", "-", "-", "-", "1.40", "(1.30..1.50)", "-", "-"]
    assert rows["bare"] == ["10.0", "-", "4.0", "-", "-", "-", "-", "-"]
    assert rows["bare again"] == ["10.0", "-", "-", "-", "-", "1.00", "(0.95..1.10)", "-", "-"]
    assert rows["conntrack again"][-3:] == ["10.0", "1.00", "(0.95..1.20)"]


def test_json_has_every_turn() -> None:
    """In rounds' order, an empty one where it failed."""
    document = pairs_as_json(results(), dict.fromkeys(results(), ""), {})
    json.dumps(document)
    *_, queue = document["contenders"]
    assert [turn["cpuUsPerFlow"] for turn in queue["turns"]] == [12.0, 16.0, None]
    assert [turn["cpuByBare"] for turn in queue["turns"]] == [1.2, 1.6, None]
    assert queue["turns"][0]["startedS"] == 1.5
    assert queue["measured"]["cpuByBare"]["values"] == [1.2, 1.6]
    assert queue["turns"][0].keys() == document["columns"].keys() == queue["measured"].keys()


def test_what_a_reader_must_know() -> None:
    """What tells noise, lost flows, a busy machine."""
    told = "\n".join(pairs_notes(results()))
    assert "conntrack again by conntrack, bare again by bare" in told
    assert "queue-mixed: up to 2.0 % of the paced flows were lost" in told
    assert "the machine is not quiet" in told
    assert "noise" not in "\n".join(pairs_notes({"queue-mixed": [measured(othersLoad=0.0)]}))
