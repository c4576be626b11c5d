"""Medians, percentiles, summaries."""

from __future__ import annotations

import pytest

from nsgd.bench.statistics import Summary, percentile


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([7.0], 50, 7.0),
        ([7.0], 99, 7.0),
        ([1.0, 2.0], 50, 1.0),
        ([1.0, 2.0], 51, 2.0),
        ([3.0, 1.0, 2.0], 50, 2.0),
        ([float(n) for n in range(1, 101)], 99, 99.0),
        ([float(n) for n in range(1, 101)], 100, 100.0),
        ([float(n) for n in range(1, 102)], 99, 100.0),
        ([1.0, 2.0, 3.0], 0, 1.0),
    ],
)
def test_percentile(values: list[float], percent: float, expected: float) -> None:
    """The nearest rank, whatever the order of the values."""
    assert percentile(values, percent) == expected


def test_percentile_of_nothing() -> None:
    """There is no percentile of no values."""
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_summary() -> None:
    """Median, least and most; what was not measured is left out, the order is kept."""
    summary = Summary.of([3.0, None, 1.0, 2.0])
    assert summary == Summary(2.0, 1.0, 3.0, (3.0, 1.0, 2.0))
    assert summary is not None
    assert summary.as_json() == {"median": 2.0, "min": 1.0, "max": 3.0, "values": [3.0, 1.0, 2.0]}


@pytest.mark.parametrize("values", [[], [None], [None, None]])
def test_summary_of_nothing(values: list[float | None]) -> None:
    """Nothing measured is no summary, rather than a zero."""
    assert Summary.of(values) is None
