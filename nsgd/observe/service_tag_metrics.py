"""Metrics of the service tags that rules name; none where rules name none."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from nsgd.observe.service_tag_state import ServiceTagsState


def service_tag_metrics(state: ServiceTagsState | None) -> Iterator[Metric]:
    """The file's age and number, and how much each tag holds."""
    if state is None:
        return
    age = GaugeMetricFamily(
        "nsgd_service_tags_age_seconds",
        "How long ago the service tags file in force was installed; Microsoft's changes weekly.",
        labels=("cloud",),
    )
    number = GaugeMetricFamily(
        "nsgd_service_tags_change_number",
        "changeNumber of the service tags file in force.",
        labels=("cloud",),
    )
    prefixes = GaugeMetricFamily(
        "nsgd_service_tag_prefixes",
        "Address prefixes of each service tag that rules in force name.",
        labels=("tag",),
    )
    age.add_metric((state.cloud,), state.age_s)
    number.add_metric((state.cloud,), state.change_number)
    for name, count in state.prefixes.items():
        prefixes.add_metric((name,), count)
    yield from (age, number, prefixes)
