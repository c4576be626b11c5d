"""Ratios are of one round, and absent where a part is."""

from __future__ import annotations

from nsgd.bench.measure import GENERATOR, Measurement
from nsgd.bench.ratios import RATIOS, add_ratios
from nsgd.bench.report import RATIO_COLUMNS


def measured(**values: float | None) -> Measurement:
    """A measurement with these values only."""
    return Measurement(dict(values))


def test_ratios_are_of_the_same_round() -> None:
    """Each round's contender by that round's baseline; linear by the contender of its policy."""
    results = {
        "one-rule": [measured(cpuUsPerFlow=8.0), measured(cpuUsPerFlow=10.0)],
        "bare": [measured(cpuUsPerFlow=16.0), measured(cpuUsPerFlow=40.0)],
        "queue-mixed": [measured(cpuUsPerFlow=24.0), measured(cpuUsPerFlow=20.0)],
        "linear-mixed": [measured(cpuUsPerFlow=240.0), measured(cpuUsPerFlow=100.0)],
        "linear-ports": [measured(cpuUsPerFlow=1.0), measured(cpuUsPerFlow=1.0)],
    }
    add_ratios(results)
    queue = [measurement.values for measurement in results["queue-mixed"]]
    assert [values["cpuByOneRule"] for values in queue] == [3.0, 2.0]
    assert [values["cpuByBare"] for values in queue] == [1.5, 0.5]
    assert [values["linearByCpu"] for values in queue] == [10.0, 5.0]
    assert results["one-rule"][0].values["cpuByOneRule"] is None
    assert results["one-rule"][0].values["linearByCpu"] is None
    assert results["linear-mixed"][0].values["linearByCpu"] is None


def test_what_was_not_measured_has_no_ratio() -> None:
    """A failed round, a baseline that was left out, and a net time of less than nothing."""
    results = {
        "one-rule": [Measurement(), measured(cpuUsPerFlow=8.0, cpuNetUsPerFlow=-0.1)],
        "queue-mixed": [
            measured(cpuUsPerFlow=24.0),
            measured(cpuUsPerFlow=24.0, cpuNetUsPerFlow=16.0),
            measured(cpuUsPerFlow=24.0),
        ],
    }
    add_ratios(results)
    queue = [measurement.values for measurement in results["queue-mixed"]]
    assert [values["cpuByOneRule"] for values in queue] == [None, 3.0, None]
    assert [values["cpuNetByOneRule"] for values in queue] == [None, None, None]
    assert [values["cpuByBare"] for values in queue] == [None, None, None]


def test_speed_by_conntrack() -> None:
    """An established connection is compared with conntrack's own; the generator is no contender."""
    results = {
        GENERATOR: [measured(gbitPerS=1.0)],
        "conntrack": [measured(gbitPerS=20.0)],
        "queue-mixed": [measured(gbitPerS=18.0)],
    }
    add_ratios(results, without=(GENERATOR,))
    assert results["queue-mixed"][0].values["gbitByConntrack"] == 0.9
    assert results[GENERATOR][0].values["gbitByConntrack"] is None


def test_every_ratio_is_reported() -> None:
    """The report has a column for each."""
    assert [ratio.key for ratio in RATIOS] == [column.key for column in RATIO_COLUMNS]
