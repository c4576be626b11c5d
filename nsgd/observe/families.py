"""Metric families as Prometheus' client makes them, in a line each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric


def gauge(name: str, help_text: str, value: float, **labels: str) -> Metric:
    """One value."""
    family = GaugeMetricFamily(name, help_text, labels=tuple(labels))
    family.add_metric(tuple(labels.values()), value)
    return family


def gauges(
    name: str,
    help_text: str,
    labels: tuple[str, ...],
    samples: Iterable[tuple[tuple[str, ...], float]],
) -> Metric:
    """A value for each combination of labels."""
    family = GaugeMetricFamily(name, help_text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def by(name: str, help_text: str, label: str, values: Mapping[str, int]) -> Metric:
    """A counter with one label."""
    return counter(name, help_text, (label,), (((key,), count) for key, count in values.items()))


def counter(
    name: str,
    help_text: str,
    labels: tuple[str, ...],
    samples: Iterable[tuple[tuple[str, ...], int]],
) -> Metric:
    """A counter; ``_total`` is appended to the name."""
    family = CounterMetricFamily(name, help_text, labels=labels)
    for values, count in samples:
        family.add_metric(values, count)
    return family
