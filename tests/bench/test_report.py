"""What the report says of given measurements."""

from __future__ import annotations

from nsgd.bench.measure import GENERATOR, Measurement
from nsgd.bench.report import add_derived, as_json, format_report, notes, spreads


def measured(**values: float | None) -> Measurement:
    """A measurement with these values only."""
    return Measurement(dict(values))


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
    measurement.conntrack_invalid = 9
    text = "\n".join(notes({"bare": [measurement]}))
    assert "7 packets dropped" in text
    assert "9 packets invalid" in text
    assert "bare: up to 2.0 % of the paced flows were lost" in text
    assert "bare: 3 latency probes were lost" in text
    assert "not quiet" in text


def test_ratios_have_a_table_of_their_own() -> None:
    """Medians, least and most of the rounds' ratios; what has none is left out of it."""
    results = {
        GENERATOR: [measured(cpuUsPerFlow=3.0)] * 2,
        "one-rule": [measured(cpuUsPerFlow=8.0), measured(cpuUsPerFlow=10.0)],
        "queue-ports": [measured(cpuUsPerFlow=24.0), measured(cpuUsPerFlow=20.0)],
    }
    add_derived(results)
    report = format_report(results, dict.fromkeys(results, ""))
    _, _, table = report.partition("Ratios within a round:\n")
    table = table.partition("\n\n")[0]
    assert "queue-ports  2.50 (2.00..3.00)" in table
    assert GENERATOR not in table
    (*_, queue) = as_json(results, dict.fromkeys(results, ""), {})["contenders"]
    assert queue["measured"]["cpuByOneRule"]["values"] == [3.0, 2.0]
