"""Metrics of the time that decisions take."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client.core import HistogramMetricFamily, Metric

from nsgd.observe.counted import DecisionTimes


def decision_metrics(times: DecisionTimes | None) -> Iterator[Metric]:
    """None before there are workers."""
    if times is None:
        return
    bounds = [f"{bound_ns / 1e9:g}" for bound_ns in times.bounds_ns]
    yield HistogramMetricFamily(
        "nsgd_decision_duration_seconds",
        "From a packet's coming to the worker to its verdict's being given, of packets that are"
        " timed, at most four a second.",
        buckets=list(zip([*bounds, "+Inf"], accumulate(times.counts), strict=True)),
        sum_value=times.sum_ns / 1e9,
    )
