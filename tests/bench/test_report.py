"""What the report says of given measurements."""

from __future__ import annotations

from nsgd.bench.measure import GENERATOR, Measurement
from nsgd.bench.report import add_derived, as_json, format_report, format_table, notes, spreads


def measured(**values: float | None) -> Measurement:
    """A measurement with these values only."""
    return Measurement(dict(values))


def test_table_is_aligned() -> None:
    """Names stand to the left, numbers to the right."""
    rows = [["Name", "Count"], ["a", "5"], ["long name", "1234"], ["c", "-"]]
    assert format_table(rows).splitlines() == [
        "Name       Count",
        "a              5",
        "long name   1234",
        "c              -",
    ]


def test_net_processor_time_is_of_the_same_round() -> None:
    """The baseline of a round is taken from that round's measurement, and memory is added up."""
    results = {
        GENERATOR: [measured(cpuUsPerFlow=4.0), measured(cpuUsPerFlow=5.0)],
        "none": [measured(cpuUsPerFlow=5.0), measured(cpuUsPerFlow=7.0)],
        "queue-ports": [
            measured(cpuUsPerFlow=20.0, supervisorMib=30.0, workerMib=10.0),
            measured(cpuUsPerFlow=25.0),
        ],
    }
    add_derived(results)
    queue = [measurement.values for measurement in results["queue-ports"]]
    assert [values["cpuNetUsPerFlow"] for values in queue] == [15.0, 18.0]
    assert [values["rssMib"] for values in queue] == [40.0, None]
    assert results["none"][0].values["cpuNetUsPerFlow"] is None
    assert results[GENERATOR][0].values["cpuNetUsPerFlow"] is None


def test_a_failed_round_leaves_no_number() -> None:
    """Without a baseline there is no net time, and the medians are those of the other rounds."""
    results = {
        "none": [Measurement(), measured(cpuUsPerFlow=5.0)],
        "bare": [measured(cpuUsPerFlow=20.0), Measurement()],
    }
    add_derived(results)
    assert [m.values["cpuNetUsPerFlow"] for m in results["bare"]] == [None, None]
    contenders = as_json(results, {"none": "", "bare": ""}, {})["contenders"]
    assert contenders[1]["measured"]["cpuUsPerFlow"]["values"] == [20.0]


def test_spread_counts_rules_that_were_hit() -> None:
    """Groups that were not asked in a direction are left out."""
    measurement = Measurement(
        rule_hits={
            "web Inbound": {"a": 3, "b": 0, "c": 5, "d": 4},
            "web Outbound": {"a": 0},
        }
    )
    (spread,) = spreads([Measurement(), measurement])
    assert (spread.group, spread.rules, spread.rules_hit) == ("web Inbound", 4, 3)
    assert (spread.minimum, spread.median, spread.maximum, spread.hits) == (3, 4, 5, 12)
    report = format_report({"queue-ports": [measurement]}, {"queue-ports": "text"})
    assert "queue-ports  web Inbound" in report


def test_doubtful_numbers_are_named() -> None:
    """Losses of conntrack and of paced flows, and a busy machine, are said."""
    measurement = measured(pacedLostPercent=2.0, probesLost=3, othersLoad=0.5)
    measurement.conntrack_dropped = 7
    text = "\n".join(notes({"bare": [measurement]}))
    assert "7 packets dropped" in text
    assert "bare: up to 2.0 % of the paced flows were lost" in text
    assert "bare: 3 latency probes were lost" in text
    assert "not quiet" in text
