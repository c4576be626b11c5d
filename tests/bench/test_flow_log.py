"""What a run about flow logging says, and that all flows of it are logged from begin to end."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from nsgd.bench.ender import delete_requests
from nsgd.bench.flow_log import FlowLogPlan, measure_flow_log
from nsgd.bench.flow_log_contenders import Start, start_one_rule, start_reader, starter
from nsgd.bench.flow_log_pairs import (
    AGAIN,
    BASE,
    LOG,
    PairsPlan,
    compare,
    measure_flow_log_pairs,
)
from nsgd.bench.flow_log_run import (
    WITHOUT,
    Values,
    contenders,
    format_flow_log,
    format_latencies,
    notes,
    with_ratios,
)
from nsgd.bench.flows import make_flows
from nsgd.bench.frames import make_frames
from nsgd.bench.network import write_frames
from nsgd.bench.options import add_arguments, check_options
from nsgd.bench.policies import Size
from nsgd.wire import netlink
from nsgd.wire.conntrack import parse_entry

SMALL = Size(10, 10)
SHORT = FlowLogPlan(rate=2000, paced_s=0.2, flood_s=0.1, warm_up=100)


def test_a_flow_is_deleted_by_what_its_first_packet_has() -> None:
    """Addresses, protocol and both ports, of every flow in its order."""
    flows = make_flows(50)
    requests = list(delete_requests(bytes(make_frames(flows, bytes(6), bytes(6)))))
    assert len(requests) == len(flows)
    for flow, request in zip(flows, requests, strict=True):
        ((kind, _, payload),) = netlink.split_messages(request)
        assert kind == 0x102
        assert payload[0] == 2
        attributes = netlink.generic_payload(payload)
        (original,) = netlink.split_attributes(attributes).values()
        parts = netlink.split_attributes(original)
        addresses = netlink.split_attributes(parts[1])
        protocol = netlink.split_attributes(parts[2])
        assert [int.from_bytes(addresses[kind], "big") for kind in (1, 2)] == [
            flow.source,
            flow.destination,
        ]
        assert [int.from_bytes(protocol[kind], "big") for kind in (1, 2, 3)] == [
            flow.protocol,
            flow.source_port,
            flow.destination_port,
        ]
        assert parse_entry(4, attributes) is None  # it names one direction, as a request does


def test_ratios_are_of_the_same_round() -> None:
    """Of a round that one of both failed in there is none."""
    measured = {
        "queue": [{"cpuUsPerFlow": 20.0, "deliveredPerS": 50.0}, {"cpuUsPerFlow": 40.0}, {}],
        "queue-log": [
            {"cpuUsPerFlow": 35.0, "deliveredPerS": 51.0, "logUsPerFlow": 14.0},
            {"cpuUsPerFlow": 50.0},
            {"cpuUsPerFlow": 50.0},
        ],
        "kernel-log": [{"cpuUsPerFlow": 30.0}, {}, {}],
    }
    derived = with_ratios(measured)
    first, second, third = derived["queue-log"]
    assert (first["cpuRatio"], first["cpuMoreUsPerFlow"]) == (1.75, 15.0)
    assert first["deliveredRatio"] == 1.02
    assert (second["cpuRatio"], second["cpuMoreUsPerFlow"]) == (1.25, 10.0)
    assert "deliveredRatio" not in second
    assert "cpuRatio" not in third
    assert derived["queue"] == measured["queue"]
    assert "cpuRatio" not in derived["kernel-log"][0]
    costs, others = format_flow_log(derived).split("\n\n")
    row = next(line for line in costs.splitlines() if line.startswith("queue-log"))
    assert row.split()[1:] == [
        *("50.0", "(35.0..50.0)", "12.5", "(10.0..15.0)", "1.50", "(1.25..1.75)"),
        *("14.0", "-", "-"),
    ]
    assert "1.02" in others


def test_latencies_are_compared_with_both_that_are_alike() -> None:
    """And those two with each other: what a log costs is to be more than that."""
    made = compare({BASE: [1.0, 2.0, 3.0], AGAIN: [4.0, 4.0, 4.0], LOG: [6.0, 6.0, 6.0]})
    assert made[BASE] == {"latencyP50Us": 2.0, "latencyP99Us": 3.0}
    assert made[AGAIN]["latencyP50Ratio"] == 2.0
    assert made[AGAIN]["latencyP99Ratio"] == pytest.approx(4 / 3)
    # Of 1, 2, 3, 4, 4 and 4 together.
    assert (made[LOG]["latencyP50Ratio"], made[LOG]["latencyP99Ratio"]) == (2.0, 1.5)
    assert compare({BASE: [], AGAIN: [], LOG: [5.0]})[LOG].keys() == {
        "latencyP50Us",
        "latencyP99Us",
    }
    (table,) = format_latencies({("queue-log", 2000.0): [{**made[LOG], "idleProcessors": 1.5}]})
    assert table.splitlines()[1].split() == [
        *("queue-log", "2000", "1.50", "6.0", "2.00", "6.0", "1.50")
    ]
    assert format_latencies({}) == []


def test_what_a_reader_must_know() -> None:
    """Events lost where none should be, records that are missing, lost probes, a busy machine."""
    good = {"othersLoad": 0.01, "recordsPerFlow": 4.0, "eventsLost": 0.0}
    measured: dict[str, list[Values]] = {
        "queue-log": [good],
        "queue": [{"othersLoad": 0.0}],
        "kernel": [{}],
    }
    assert notes(measured, {("queue-log", 2000.0): [{"probesLost": 0.0}]}) == []
    bad = {"othersLoad": 0.5, "recordsPerFlow": 3.9, "eventsLost": 7.0}
    waits = {("kernel-log", 2000.0): [{"probesLost": 0.0}, {"probesLost": 2.0}]}
    told = notes({"kernel-log": [good, bad]}, waits)
    assert [line.split(":")[0] for line in told[:3]] == ["kernel-log"] * 3
    assert "7 events were lost" in told[0]
    assert "3.95 (3.90..4.00) records" in told[1]
    assert "2 first packets did not arrive at 2000 flows/s" in told[2]
    assert "0.50 processors" in told[3]


def test_each_is_beside_itself_without_a_log() -> None:
    """So that a minute does not part them."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = check_options(parser.parse_args(["--flow-log"]))
    assert (options.rounds, options.size) == (3, Size(1000, 1000))
    names = list(contenders(options))
    for name, without in WITHOUT.items():
        assert names.index(name) == names.index(without) + 1
    assert {*WITHOUT, *WITHOUT.values()} == set(names)


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (start_reader, {"eventsPerFlow": 2.0, "eventsLost": 0}),
        (
            starter("kernel", SMALL, "mixed", logs=True),
            {"recordsPerFlow": 4.0, "eventsLost": 0},
        ),
    ],
)
def test_a_short_run(start: Start, expected: dict[str, float], tmp_path: Path) -> None:
    """Each flow's begin and end are told, and logged at both of its ends."""
    write_frames(tmp_path / "frames", SMALL.nics)
    values = measure_flow_log(start, tmp_path / "frames", SHORT)
    assert values["pacedDeliveredPercent"] == 100
    assert values["deliveredPerS"] > 0
    assert values["logUsPerFlow"] > 0
    assert {key: values[key] for key in expected} == expected


@pytest.mark.kernel
def test_by_turns(tmp_path: Path) -> None:
    """All three are there at each rate, and no first packet is lost."""
    write_frames(tmp_path / "frames", SMALL.nics)
    plan = PairsPlan(rates=(500.0, 2000.0), turns=1, probes=5, warm_up=100)
    made = measure_flow_log_pairs(start_one_rule, start_reader, tmp_path / "frames", plan)
    assert list(made) == [(name, rate) for rate in plan.rates for name in (BASE, AGAIN, LOG)]
    for (name, _), values in made.items():
        assert values["probesLost"] == 0
        assert values["latencyP50Us"] > 0
        assert ("latencyP50Ratio" in values) == (name != BASE)
